//! One child process: its own group or session, nothing inherited, bounded pipes, a pidfd.
//!
//! [`Running`] is the low-level handle for a `poll` loop of the caller; `run` drives one to its
//! end. The child is reaped only after its whole group has been signalled: as long as its zombie is
//! there, the group's number cannot belong to anybody else.

#![expect(unsafe_code, reason = "pre_exec: own session, default signals, empty mask")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::identity::{PidFd, ProcId};
use super::limits::{Bounds, Entry, Excess, Fence};
use super::offline::Identity;
use super::tree::RUN_MARK;

/// How long a dropped child may take to die of SIGKILL before it is left to init.
const DROP_WAIT: Duration = Duration::from_secs(1);

/// Signals that a shell, `nohup` or our own signalfd may have set: a child begins with the default.
const RESET: [i32; 10] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGPIPE,
    libc::SIGCHLD,
    libc::SIGUSR1,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// What to run, and within which bounds.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The program; looked up in the PATH of `env` if it has no slash, relative to `cwd` otherwise.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// Its standard input.
    pub stdin: Stdin,
    /// How long it may take, on `CLOCK_MONOTONIC`.
    pub timeout: Duration,
    /// Bytes kept of each stream, from its beginning; the rest is counted and dropped.
    pub output_max: usize,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Where its signals and its terminal end.
    pub session: Session,
    /// What it may use with all that it starts; `None`: a program of sprint's own.
    pub bounds: Option<Bounds>,
}

impl Spec {
    /// What the child begins with, and what watches it.
    pub(super) fn fence(&self) -> (Option<Fence>, Entry) {
        let run = self.env.iter().find(|(name, _)| name == RUN_MARK).and_then(|(_, value)| value.to_str());
        self.bounds.map_or_else(Default::default, |bounds| {
            let (fence, entry) = Fence::around(bounds, run);
            (Some(fence), entry)
        })
    }
}

/// A child's standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// A file, read from its beginning.
    File(PathBuf),
}

/// How far a child is cut off from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// A process group of its own in our session.
    NewGroup,
    /// A session of its own: no controlling terminal.
    NewSession,
    /// A session of its own, and a network that has nothing but loopback.
    Offline,
    /// A session of its own, whose terminal is the child's standard input.
    Terminal,
}

/// One of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Why a child could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No such program.
    #[error("program `{}` not found", program.display())]
    Missing {
        /// As it was asked for.
        program: OsString,
    },
    /// It is there but cannot be executed.
    #[error("program `{}` is not executable", program.display())]
    NotExecutable {
        /// As it was asked for.
        program: OsString,
    },
    /// The working directory is not there.
    #[error("working directory `{}` is not a directory", cwd.display())]
    Cwd {
        /// The directory.
        cwd: PathBuf,
    },
    /// The file for standard input cannot be opened.
    #[error("cannot open `{}` as standard input", path.display())]
    Stdin {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Anything else: out of processes, memory, descriptors, …
    #[error("cannot run `{}`", program.display())]
    Os {
        /// As it was asked for.
        program: OsString,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// How a child ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// A signal killed it.
    Signal(i32),
}

/// What one read of a stream gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now.
    WouldBlock,
    /// The other end is closed; the stream is now closed here too.
    Eof,
}

/// A child that runs. Dropped, it is killed with its whole group.
#[derive(Debug)]
pub struct Running {
    id: ProcId,
    pidfd: PidFd,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    reaped: bool,
    fence: Option<Fence>,
}

/// Starts a child as `spec` says; `timeout`, `output_max` and `grace` are the caller's business.
///
/// # Errors
/// [`SpawnError`] says what is missing.
pub fn spawn(spec: &Spec) -> Result<Running, SpawnError> {
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).current_dir(&spec.cwd).env_clear().envs(spec.env.iter().cloned());
    command.stdin(open_stdin(&spec.stdin)?).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (fence, entry) = spec.fence();
    isolate(&mut command, spec.session, entry);
    start(spec, &mut command, fence)
}

/// Starts a command of std's, as a child of ours.
pub(super) fn start(spec: &Spec, command: &mut Command, fence: Option<Fence>) -> Result<Running, SpawnError> {
    let child = {
        // Held over the fork: nobody may see a child that is not known to be waited for.
        let mut waited = waited_for();
        let child = command.spawn().map_err(|source| spawn_error(spec, source))?;
        waited.insert(child.id().cast_signed());
        child
    };
    let pid = child.id().cast_signed();
    Running::adopt(child, fence).map_err(|source| {
        waited_for().remove(&pid);
        SpawnError::Os { program: spec.program.clone(), source }
    })
}

/// Children that somebody in this process waits for: they are not for whoever ends or reaps what
/// others left behind. Held while it looks.
pub(super) fn waited_for() -> MutexGuard<'static, BTreeSet<i32>> {
    static WAITED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
    WAITED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Own group or session, nothing but stdio open, default signals, empty signal mask. A signal mask is inherited through
/// exec: without this, a child of a process with a signalfd could not be ended by SIGTERM.
pub(super) fn isolate(command: &mut Command, session: Session, entry: Entry) {
    let identity = Identity::own();
    // SAFETY: between fork and exec only async-signal-safe calls are made, on plain integers and a
    // mask on the stack; nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            come_in(&entry);
            let done = match session {
                Session::NewGroup => libc::setpgid(0, 0),
                Session::NewSession | Session::Offline | Session::Terminal => libc::setsid(),
            };
            if done < 0 {
                return Err(io::Error::last_os_error());
            }
            if session == Session::Terminal && libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
            if session == Session::Offline {
                identity.leave_the_network()?;
            }
            // Descriptors that our own parent left open without O_CLOEXEC are none of the child's
            // business. A kernel without the call keeps them; that is no reason not to start.
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            for signal in RESET {
                libc::signal(signal, libc::SIG_DFL);
            }
            let mut mask: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut mask);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const mask, std::ptr::null_mut());
            Ok(())
        });
    }
}

/// Into the control groups, and forward in the kernel's order of who goes first when memory runs out.
/// What is refused is no reason not to start: the walk through `/proc` counts as well.
fn come_in(entry: &Entry) {
    let put = |fd: i32, text: &[u8]| {
        // SAFETY: a write of a static text to an open descriptor; what it returns is not needed.
        unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) };
    };
    for door in &entry.doors {
        put(door.as_raw_fd(), b"0");
    }
    if let Some(score) = entry.oom_score {
        // SAFETY: async-signal-safe calls on a static path and on the descriptor that the first gives.
        unsafe {
            let fd = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            if fd >= 0 {
                put(fd, score);
                libc::close(fd);
            }
        }
    }
}

fn open_stdin(stdin: &Stdin) -> Result<Stdio, SpawnError> {
    match stdin {
        Stdin::Null => Ok(Stdio::null()),
        Stdin::File(path) => File::open(path)
            .map(Stdio::from)
            .map_err(|source| SpawnError::Stdin { path: path.clone(), source }),
    }
}

pub(super) fn spawn_error(spec: &Spec, source: io::Error) -> SpawnError {
    let program = spec.program.clone();
    // A missing directory and a missing program are the same errno.
    if !spec.cwd.is_dir() {
        return SpawnError::Cwd { cwd: spec.cwd.clone() };
    }
    match source.kind() {
        io::ErrorKind::NotFound => SpawnError::Missing { program },
        io::ErrorKind::PermissionDenied => SpawnError::NotExecutable { program },
        _ if source.raw_os_error() == Some(libc::ENOEXEC) => SpawnError::NotExecutable { program },
        _ => SpawnError::Os { program, source },
    }
}

impl Running {
    fn adopt(mut child: Child, fence: Option<Fence>) -> io::Result<Self> {
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let pid = child.id().cast_signed();
        // std's handle is let go (it does not reap). The child is not reaped yet, so both are there even if it has already exited.
        match Self::handles(pid, stdout.as_ref(), stderr.as_ref()) {
            Ok((id, pidfd)) => {
                let fence = fence.map(|fence| fence.closed(&id));
                Ok(Self { id, pidfd, stdout, stderr, reaped: false, fence })
            }
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    fn handles(
        pid: i32,
        stdout: Option<&ChildStdout>,
        stderr: Option<&ChildStderr>,
    ) -> io::Result<(ProcId, PidFd)> {
        stdout.map(set_nonblocking).transpose()?;
        stderr.map(set_nonblocking).transpose()?;
        let pidfd = PidFd::open(pid)?.ok_or_else(|| io::Error::from(Errno::ESRCH))?;
        Ok((ProcId::of(pid)?, pidfd))
    }

    /// Its pid, which is its group's number too (and its session's, if it has its own).
    pub fn pid(&self) -> i32 {
        self.id.pid
    }

    /// Its identity, to be recorded.
    pub fn identity(&self) -> &ProcId {
        &self.id
    }

    /// Readable in `poll` when it has exited.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// A stream to poll for reading; `None` once it is at its end.
    pub fn stream(&self, stream: Stream) -> Option<BorrowedFd<'_>> {
        match stream {
            Stream::Out => self.stdout.as_ref().map(AsFd::as_fd),
            Stream::Err => self.stderr.as_ref().map(AsFd::as_fd),
        }
    }

    /// Reads once, without blocking. A stream that is at its end stays so.
    ///
    /// # Errors
    /// The pipe cannot be read; the stream is closed then.
    pub fn read(&mut self, stream: Stream, buffer: &mut [u8]) -> io::Result<Read> {
        let got = match stream {
            Stream::Out => self.stdout.as_mut().map(|pipe| pipe.read(buffer)),
            Stream::Err => self.stderr.as_mut().map(|pipe| pipe.read(buffer)),
        };
        match got {
            None => Ok(Read::Eof),
            Some(Ok(0)) => {
                self.close(stream);
                Ok(Read::Eof)
            }
            Some(Ok(n)) => {
                self.printed(n);
                Ok(Read::Bytes(n))
            }
            Some(Err(e)) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(Read::WouldBlock)
            }
            Some(Err(e)) => {
                self.close(stream);
                Err(e)
            }
        }
    }

    /// Closes our end of a stream; a child that writes on gets SIGPIPE.
    pub fn close(&mut self, stream: Stream) {
        match stream {
            Stream::Out => self.stdout = None,
            Stream::Err => self.stderr = None,
        }
    }

    /// It has printed so many more bytes than [`Running::read`] has seen: on a terminal of its own.
    pub fn printed(&mut self, bytes: usize) {
        if let Some(fence) = &mut self.fence {
            fence.printed(bytes);
        }
    }

    /// The limit that it has reached with all that it started. Cheap: it looks now and then.
    pub fn excess(&mut self) -> Option<Excess> {
        self.fence.as_mut().and_then(|fence| fence.excess(&self.id, false))
    }

    /// The same, with a look in any case: when it has ended.
    pub fn last_excess(&mut self) -> Option<Excess> {
        self.fence.as_mut().and_then(|fence| fence.excess(&self.id, true))
    }

    /// In how long [`Running::excess`] is to be asked again, if it is watched at all.
    pub fn next_look(&self) -> Option<Duration> {
        self.fence.as_ref().map(Fence::due)
    }

    /// Kills it and what it started, without a warning, as far as that is known here: after an excess.
    ///
    /// # Errors
    /// The group may not be signalled.
    pub fn crush(&mut self) -> io::Result<()> {
        self.signal_group(Signal::SIGKILL)?;
        if let Some(fence) = &mut self.fence {
            fence.crush();
        }
        Ok(())
    }

    /// How it ended, if it has. It stays a zombie, and its group ours, until [`Running::finish`].
    ///
    /// # Errors
    /// Somebody else has reaped it.
    pub fn try_wait(&self) -> io::Result<Option<Exit>> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(Pid::from_raw(self.pid())), flags) {
            Ok(WaitStatus::Exited(_, code)) => Ok(Some(Exit::Code(code))),
            Ok(WaitStatus::Signaled(_, signal, _)) => Ok(Some(Exit::Signal(signal as i32))),
            Ok(_) | Err(Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Signals its whole group; one that is empty is not an error.
    ///
    /// # Errors
    /// Not permitted (a set-uid member).
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        if self.reaped {
            return Ok(());
        }
        match kill(Pid::from_raw(-self.pid()), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Kills what is left of its group and reaps it if it has exited (after SIGKILL: waits for that
    /// at most a second). Processes that left the group are for `tree::end_tree`.
    ///
    /// # Errors
    /// The group may not be signalled.
    pub fn finish(&mut self) -> io::Result<()> {
        self.signal_group(Signal::SIGKILL)?;
        if !self.reaped && self.pidfd.wait(DROP_WAIT) {
            self.reaped = true;
            waited_for().remove(&self.pid());
            // ECHILD: somebody reaped it; either way it is gone.
            match waitpid(Pid::from_raw(self.pid()), Some(WaitPidFlag::WNOHANG)) {
                Ok(_) | Err(Errno::ECHILD) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::warn!(pid = self.pid(), %error, "cannot end a child's group");
        }
        // One that would not die is left to whoever looks for what was left behind.
        waited_for().remove(&self.pid());
    }
}

fn set_nonblocking<F: AsFd + AsRawFd>(pipe: &F) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
