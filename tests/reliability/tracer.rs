//! Runs a command with everything that it starts under ptrace(2), and asks, before each system call that
//! changes something, what is to become of it: made, failed, or never made because its process is killed
//! right there.
//!
//! Looked at are sprint's own processes and the git that they run, until something is done to one of them.
//! tmux, agents and gates run on undisturbed; what they start is seen all the same, because workers are
//! children of tmux.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::{call, filter};

/// Begins the name of a process that has not become another program yet.
pub(crate) const FORK: &str = "fork of ";

/// A call that is about to be made.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Who makes it: two workers of one role have the same name, and differ here.
    pub(crate) by: Pid,
    /// Whose: `supervise`, `worker developer`, `fork of worker developer`, `git update-ref of supervise`.
    pub(crate) process: String,
    /// As the system calls it.
    pub(crate) name: &'static str,
    /// What it changes.
    pub(crate) kind: &'static str,
}

/// A call as it is met again in another run: whose, its name, and what it changes.
pub(crate) type Site = (String, &'static str, &'static str);

impl Call {
    /// What of it is the same in every run.
    pub(crate) fn site(&self) -> Site {
        (self.process.clone(), self.name, self.kind)
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It is made.
    Let,
    /// It is not made: its process is killed.
    Kill,
    /// It is not made, and ends with this error.
    Fail(Errno),
}

/// What is known of a process.
#[derive(Debug, Clone)]
struct Process {
    name: String,
    watched: bool,
}

impl Process {
    /// Who begins as it, and becomes another program soon.
    fn forked(&self) -> Self {
        Self { name: format!("{FORK}{}", self.known()), watched: self.watched }
    }

    /// Its name, and a fork's is that of who made it.
    fn known(&self) -> &str {
        self.name.strip_prefix(FORK).unwrap_or(&self.name)
    }
}

/// See the module.
pub(crate) struct Tracer<'d> {
    processes: HashMap<Pid, Process>,
    /// Each thread's process.
    threads: HashMap<Pid, Pid>,
    decide: &'d mut dyn FnMut(&Call) -> Deed,
    /// Something was done: from here on nobody is looked at.
    done: bool,
}

/// Runs `command`, which prints into that file, to the end of everything that it starts; its own exit status,
/// which is told as soon as it is known.
///
/// The caller's thread waits, and for its own children only. Whoever wants a deadline ends the processes.
pub(crate) fn run(
    command: &Command,
    printed: fs::File,
    decide: &mut dyn FnMut(&Call) -> Deed,
    ended: &dyn Fn(ExitStatus),
) -> Option<ExitStatus> {
    // It begins when it is being traced.
    let mut gate = filter::gate(command);
    gate.stdin(Stdio::piped()).stdout(printed).stderr(Stdio::null());
    #[expect(clippy::zombie_processes, reason = "it is waited for with everything that it starts")]
    let mut child = gate.spawn().unwrap();
    let root = Pid::from_raw(child.id().cast_signed());
    ptrace::seize(root, options()).unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let mut tracer = Tracer { processes: HashMap::new(), threads: HashMap::new(), decide, done: false };
    tracer.meet(root);
    tracer.follow(root, ended)
}

fn options() -> Options {
    Options::PTRACE_O_TRACESECCOMP
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL
}

impl Tracer<'_> {
    fn follow(&mut self, root: Pid, ended: &dyn Fn(ExitStatus)) -> Option<ExitStatus> {
        use std::os::unix::process::ExitStatusExt as _;
        let own = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let mut status = None;
        let mut gone = |pid: Pid, raw: i32| {
            if pid == root {
                let raw = ExitStatus::from_raw(raw);
                status = Some(raw);
                ended(raw);
            }
        };
        loop {
            match waitpid(None::<Pid>, Some(own)) {
                Ok(WaitStatus::Exited(pid, code)) => {
                    gone(pid, code << 8);
                    self.forget(pid);
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    gone(pid, signal as i32);
                    self.forget(pid);
                }
                Ok(WaitStatus::PtraceEvent(thread, _, event)) => self.at_event(thread, event),
                Ok(WaitStatus::Stopped(thread, signal)) => {
                    self.meet(thread);
                    go_on(thread, Some(signal));
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => return status,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn forget(&mut self, thread: Pid) {
        self.threads.remove(&thread);
        self.processes.remove(&thread);
    }

    /// A thread that was not known: of a known process, or a process of its own, a fork of its parent.
    fn meet(&mut self, thread: Pid) {
        if self.threads.contains_key(&thread) {
            return;
        }
        let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse().ok().map(Pid::from_raw)
        };
        let process = field("Tgid:").unwrap_or(thread);
        if !self.processes.contains_key(&process) {
            let parent = field("PPid:").and_then(|parent| self.processes.get(&parent)).map(Process::forked);
            let unknown = Process { name: "start".to_owned(), watched: false };
            self.processes.insert(process, parent.unwrap_or(unknown));
        }
        self.threads.insert(thread, process);
    }

    /// A stop of a whole process is not kept up: nobody here stops one.
    fn at_event(&mut self, thread: Pid, event: i32) {
        self.meet(thread);
        if event == Event::PTRACE_EVENT_EXEC as i32 {
            self.at_exec(thread);
        } else if event == Event::PTRACE_EVENT_SECCOMP as i32 {
            self.at_call(thread);
        }
        go_on(thread, None);
    }

    /// It is another program now.
    fn at_exec(&mut self, thread: Pid) {
        let words = fs::read(format!("/proc/{thread}/cmdline")).unwrap_or_default();
        let words: Vec<String> =
            words.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let before = self.processes.get(&thread).cloned();
        let now = program(&words, before.as_ref());
        self.processes.insert(thread, now);
    }

    fn at_call(&mut self, thread: Pid) {
        let process = self.threads[&thread];
        let Some(Process { name: who, watched: true }) = self.processes.get(&process) else { return };
        if self.done {
            return;
        }
        // It may have been killed since.
        let Ok(mut registers) = ptrace::getregs(thread) else { return };
        let Some((name, kind)) = call::of(thread, &registers) else { return };
        let deed = (self.decide)(&Call { by: process, process: who.clone(), name, kind });
        self.done = deed != Deed::Let;
        match deed {
            Deed::Let => {}
            Deed::Kill => gone_is_fine(kill(process, Signal::SIGKILL)),
            Deed::Fail(errno) => {
                // No such call: it is not made, and returns what is there already.
                registers.orig_rax = u64::MAX;
                registers.rax = (-i64::from(errno as i32)).cast_unsigned();
                gone_is_fine(ptrace::setregs(thread, registers));
            }
        }
    }
}

fn go_on(thread: Pid, signal: Option<Signal>) {
    gone_is_fine(ptrace::cont(thread, signal));
}

/// Whoever was killed meanwhile is waited for like everybody else.
fn gone_is_fine(result: nix::Result<()>) {
    if let Err(error) = result {
        assert_eq!(error, Errno::ESRCH);
    }
}

/// What a program is, by its words and by who it was before.
fn program(words: &[String], before: Option<&Process>) -> Process {
    let base = |word: &String| Path::new(word).file_name().map(|name| name.to_string_lossy().into_owned());
    let word = |at: usize| words.get(at).map(String::as_str).unwrap_or_default();
    let parent_is_watched = before.is_some_and(|before| before.watched);
    match words.first().and_then(base).as_deref() {
        Some("sprint") if word(1) == "agent" && word(2) == "work" => {
            let role = words.iter().skip_while(|word| *word != "--role").nth(1);
            Process {
                name: format!("worker {}", role.map(String::as_str).unwrap_or_default()),
                watched: true,
            }
        }
        Some("sprint") => Process { name: word(1).to_owned(), watched: true },
        Some("git") if parent_is_watched => {
            let of = before.map(Process::known).unwrap_or_default();
            Process { name: format!("git {} of {of}", git_verb(words)), watched: true }
        }
        other => Process { name: other.unwrap_or("?").to_owned(), watched: false },
    }
}

/// The first word that is neither an option nor the value of one.
fn git_verb(words: &[String]) -> &str {
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-c" | "-C" => {
                words.next();
            }
            option if option.starts_with('-') => {}
            verb => return verb,
        }
    }
    ""
}
