//! The one way to run the `git` binary: fixed environment, fixed configuration, explicit
//! repository, deadline, bounded output.
//!
//! Refuses discovery: nothing here follows a `.git` file that an agent could have swapped; the
//! caller names the git directory. The person's own configuration is read in one place only,
//! [`Git::personal`], for the identity.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::error::{Error, Result};

/// How long one command may take unless the caller says otherwise.
pub const DEADLINE: Duration = Duration::from_mins(2);
/// How much one command may print on stdout.
pub const STDOUT_MAX: usize = 64 * 1024 * 1024;
/// How much of stderr is kept for a message; the rest is read and dropped.
pub const STDERR_MAX: usize = 4 * 1024;

/// Configuration that wins over everything in the repository's own `config` file.
const FIXED: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.fsync=all",
    "core.fsyncMethod=fsync",
    "core.attributesFile=/dev/null",
    "core.pager=cat",
    "core.editor=false",
    "core.sshCommand=false",
    "core.alternateRefsCommand=",
    "credential.helper=",
    "protocol.allow=never",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "log.showSignature=false",
    "diff.external=",
    "merge.default=text",
    "worktree.guessRemote=false",
    "advice.detachedHead=false",
];

/// One invocation of `git`.
pub struct Git<'a> {
    dir: Option<PathBuf>,
    work_tree: Option<PathBuf>,
    cwd: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Option<Vec<u8>>,
    deadline: Duration,
    personal: bool,
    on_spawn: Option<&'a dyn Fn(u32)>,
}

/// What a command left behind. Any exit code; see [`Git::run`] for zero only.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All that it printed, at most [`STDOUT_MAX`].
    pub stdout: Vec<u8>,
    /// The first [`STDERR_MAX`] bytes of what it complained about.
    pub stderr: String,
}

impl Output {
    fn failed(&self, command: String) -> Error {
        Error::Failed { command, status: describe(self.status), stderr: self.stderr.trim().to_owned() }
    }
}

impl<'a> Git<'a> {
    /// A command on the repository with this git directory. Without a work tree git sees a bare one.
    pub fn new(git_dir: &Path) -> Self {
        Self {
            dir: Some(git_dir.to_owned()),
            work_tree: None,
            cwd: git_dir.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: None,
            deadline: DEADLINE,
            personal: false,
            on_spawn: None,
        }
    }

    /// A command with the person's own environment and configuration, for reading only.
    pub fn personal(cwd: &Path) -> Self {
        Self { dir: None, cwd: cwd.to_owned(), personal: true, ..Self::new(Path::new("/")) }
    }

    /// Names the working tree, which is also the working directory.
    #[must_use]
    pub fn work_tree(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.cwd);
        self.work_tree = Some(path.to_owned());
        self
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Adds a variable to the fixed environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.into(), value.as_ref().to_owned()));
        self
    }

    /// Bytes for stdin; without them it is `/dev/null`.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Another deadline than [`DEADLINE`].
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Called with the pid before a byte of stdin is written: a command that takes its orders from
    /// stdin (`update-ref --stdin`) can change nothing before it has been recorded.
    #[must_use]
    pub fn on_spawn(mut self, hook: Option<&'a dyn Fn(u32)>) -> Self {
        self.on_spawn = hook;
        self
    }

    /// Runs it and wants exit code 0.
    ///
    /// # Errors
    /// [`Error::Failed`] with what it said, and all of [`Git::output`].
    pub fn run(self) -> Result<Vec<u8>> {
        let shown = self.shown();
        let output = self.output()?;
        if output.status.success() { Ok(output.stdout) } else { Err(output.failed(shown)) }
    }

    /// Runs it to its end, whatever the exit code.
    ///
    /// # Errors
    /// [`Error::Spawn`], [`Error::Timeout`], [`Error::TooMuchOutput`]; [`Error::Failed`] if it was killed, which
    /// says nothing about the repository.
    pub fn output(self) -> Result<Output> {
        let mut command = self.command();
        let child = command.spawn().map_err(Error::Spawn)?;
        if let Some(hook) = self.on_spawn {
            hook(child.id());
        }
        let output = Pump::new(child, self.stdin.clone(), self.deadline)
            .and_then(Pump::finish)
            .map_err(|stop| stop.into_error(self.shown(), self.deadline))?;
        if output.status.signal().is_some() { Err(output.failed(self.shown())) } else { Ok(output) }
    }

    /// The arguments as a message shows them: bounded, so that a path cannot fill the screen.
    fn shown(&self) -> String {
        let words: Vec<_> = self.args.iter().map(|a| a.to_string_lossy()).collect();
        words.join(" ").chars().take(200).collect()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        if !self.personal {
            self.fix(&mut command);
        }
        command.args(&self.args).current_dir(&self.cwd).process_group(0);
        command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0");
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn fix(&self, command: &mut Command) {
        command.env_clear();
        for key in ["PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(key) {
                command.env(key, value);
            }
        }
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GIT_ATTR_NOSYSTEM", "1").env("GIT_NO_LAZY_FETCH", "1").env("GIT_ADVICE", "0");
        for setting in FIXED {
            command.args(["-c", setting]);
        }
        if let Some(dir) = &self.dir {
            command.arg(joined("--git-dir=", dir));
        }
        match &self.work_tree {
            Some(dir) => command.arg(joined("--work-tree=", dir)),
            None => command.arg("--bare"),
        };
    }
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut text = OsString::from(option);
    text.push(path);
    text
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no status".to_owned(),
    }
}

/// Why a child did not come to its own end.
enum Stop {
    Io(std::io::Error),
    Deadline,
    TooMuch,
}

impl Stop {
    fn into_error(self, command: String, deadline: Duration) -> Error {
        match self {
            Self::Io(source) => Error::Spawn(source),
            Self::Deadline => Error::Timeout { command, seconds: deadline.as_secs() },
            Self::TooMuch => Error::TooMuchOutput { command, limit: STDOUT_MAX },
        }
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Moves bytes to and from one child on one thread; kills its process group when dropped early.
struct Pump {
    child: Child,
    stdin: Option<(std::process::ChildStdin, Vec<u8>, usize)>,
    stdout: Option<std::process::ChildStdout>,
    stderr: Option<std::process::ChildStderr>,
    out: Vec<u8>,
    err: Vec<u8>,
    until: Instant,
    ended: bool,
}

impl Pump {
    fn new(mut child: Child, input: Option<Vec<u8>>, deadline: Duration) -> std::result::Result<Self, Stop> {
        let stdin = child.stdin.take().map(|pipe| (pipe, input.unwrap_or_default(), 0));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let pump = Self {
            child,
            stdin,
            stdout,
            stderr,
            out: Vec::new(),
            err: Vec::new(),
            until: Instant::now() + deadline,
            ended: false,
        };
        pump.stdin.as_ref().map(|(p, ..)| nonblocking(p)).transpose()?;
        pump.stdout.as_ref().map(nonblocking).transpose()?;
        pump.stderr.as_ref().map(nonblocking).transpose()?;
        Ok(pump)
    }

    fn finish(mut self) -> std::result::Result<Output, Stop> {
        while self.stdin.is_some() || self.stdout.is_some() || self.stderr.is_some() {
            self.wait_for_a_pipe()?;
            self.feed()?;
            if drain(&mut self.stdout, &mut self.out)? {
                self.stdout = None;
            }
            if drain(&mut self.stderr, &mut self.err)? {
                self.stderr = None;
            }
            if self.out.len() > STDOUT_MAX {
                return Err(Stop::TooMuch);
            }
            // Complaints without end are read, so that the child goes on, and not kept.
            self.err.truncate(STDERR_MAX);
        }
        let status = self.reap()?;
        Ok(Output {
            status,
            stdout: std::mem::take(&mut self.out),
            stderr: String::from_utf8_lossy(&self.err).into_owned(),
        })
    }

    fn wait_for_a_pipe(&self) -> std::result::Result<(), Stop> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Stop::Deadline);
        }
        let mut fds = Vec::with_capacity(3);
        if let Some((pipe, ..)) = &self.stdin {
            fds.push(PollFd::new(pipe.as_fd(), PollFlags::POLLOUT));
        }
        if let Some(pipe) = &self.stdout {
            fds.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
        }
        if let Some(pipe) = &self.stderr {
            fds.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(errno) => Err(Stop::Io(errno.into())),
        }
    }

    fn feed(&mut self) -> std::result::Result<(), Stop> {
        let Some((pipe, bytes, sent)) = &mut self.stdin else { return Ok(()) };
        while *sent < bytes.len() {
            match pipe.write(&bytes[*sent..]) {
                Ok(n) => *sent += n,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                // It has stopped listening; its exit code says why.
                Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => break,
                Err(e) => return Err(Stop::Io(e)),
            }
        }
        self.stdin = None;
        Ok(())
    }

    /// git closes its pipes by exiting, so the wait is over at once; a child that closed them and
    /// stayed has [`CLOSED_PIPES_GRACE`] on a thread of its own.
    fn reap(&mut self) -> std::result::Result<ExitStatus, Stop> {
        let pid = self.child.id();
        let (tell, told) = std::sync::mpsc::channel();
        if let Some(status) = self.child.try_wait()? {
            self.ended = true;
            return Ok(status);
        }
        std::thread::scope(|scope| {
            let child = &mut self.child;
            scope.spawn(move || tell.send(child.wait()));
            let left = self.until.saturating_duration_since(Instant::now());
            let status = told.recv_timeout(left).or_else(|_| {
                kill_group(pid);
                told.recv().map_err(|_| Stop::Deadline)
            })?;
            self.ended = true;
            Ok(status?)
        })
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        if !self.ended {
            kill_group(self.child.id());
            if let Err(error) = self.child.wait() {
                tracing::warn!(pid = self.child.id(), %error, "a git child could not be reaped");
            }
        }
    }
}

/// The child leads its group (`process_group(0)`) and has not been reaped, so the id is its own.
fn kill_group(pid: u32) {
    let group = Pid::from_raw(i32::try_from(pid).expect("a pid fits into pid_t"));
    if let Err(errno) = killpg(group, Signal::SIGKILL) {
        tracing::debug!(pid, %errno, "a git child was gone before it could be killed");
    }
}

fn nonblocking(pipe: &impl AsFd) -> std::io::Result<()> {
    let flags = OFlag::from_bits_truncate(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Reads what is there; true at the end of the stream.
fn drain(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) -> std::io::Result<bool> {
    let Some(pipe) = pipe else { return Ok(false) };
    let mut buffer = [0; 16 * 1024];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(n) => into.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        }
        if into.len() > STDOUT_MAX {
            return Ok(false);
        }
    }
}
