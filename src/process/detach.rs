//! Starts a process that outlives us: own session, output to a log, and a word when it is ready.
//!
//! The child's standard output is a pipe to us until it calls [`announce`]; afterwards it is the
//! log, like standard error. If it ends first, we see the pipe close.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::child::{Session, isolate};
use super::identity::ProcId;
use super::limits::Entry;
use super::wait::wait_readable;

/// Bytes of the line that says "ready".
const LINE_MAX: usize = 4096;
/// From a closed output to an end.
const END_WAIT: Duration = Duration::from_secs(1);
/// Between two looks whether it has.
const END_LOOK: Duration = Duration::from_millis(5);

/// Why a process could not be started apart from us.
#[derive(Debug, thiserror::Error)]
pub enum DetachError {
    /// The log cannot be opened, or the program not started.
    #[error("cannot start `{}` in the background", program.display())]
    Start {
        /// The program.
        program: OsString,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("the background process ended before it was ready; see `{}`", log.display())]
    Ended {
        /// Where its messages are.
        log: PathBuf,
        /// By a signal: it had nothing against being started.
        killed: bool,
    },
    /// It has not said that it is ready.
    #[error("the background process {pid} was not ready after {} s; see `{}`", waited.as_secs(), log.display())]
    Silent {
        /// It still runs.
        pid: i32,
        /// For so long.
        waited: Duration,
        /// Where its messages are.
        log: PathBuf,
    },
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Background {
    /// The program, absolute.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its working directory: one that will stay.
    pub cwd: PathBuf,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Its output is appended here.
    pub log: PathBuf,
}

/// A process that runs on without us.
#[derive(Debug)]
pub struct Detached {
    /// Who it is.
    pub id: ProcId,
    child: Child,
    ready: ChildStdout,
    log: PathBuf,
}

/// Starts it; [`Detached::wait_ready`] then tells how it went.
///
/// # Errors
/// [`DetachError::Start`].
pub fn spawn_detached(what: &Background) -> Result<Detached, DetachError> {
    let error = |source| DetachError::Start { program: what.program.clone(), source };
    let log = open_log(&what.log).map_err(error)?;
    let mut command = Command::new(&what.program);
    command.args(&what.args).current_dir(&what.cwd).env_clear().envs(what.env.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    isolate(&mut command, Session::NewSession, Entry::default());
    let mut child = command.spawn().map_err(error)?;
    let ready = child.stdout.take().ok_or_else(|| error(Errno::EBADF.into()))?;
    let id = ProcId::of(child.id().cast_signed()).map_err(error)?;
    Ok(Detached { id, child, ready, log: what.log.clone() })
}

fn open_log(path: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

impl Detached {
    /// Waits for the line of [`announce`], at most `limit`.
    ///
    /// # Errors
    /// It ended first, or said nothing.
    pub fn wait_ready(mut self, limit: Duration) -> Result<String, DetachError> {
        let end = Instant::now() + limit;
        let mut line = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(DetachError::Silent { pid: self.id.pid, waited: limit, log: self.log });
            }
            match wait_readable([Some(self.ready.as_fd())], left) {
                Ok([true]) => {}
                Ok([false]) => continue,
                Err(_) => return Err(self.ended()),
            }
            let mut chunk = [0; 512];
            match self.ready.read(&mut chunk) {
                Ok(n) if n > 0 && line.len() < LINE_MAX => line.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                _ => return Err(self.ended()),
            }
            if let Some(length) = line.iter().position(|&b| b == b'\n') {
                return Ok(String::from_utf8_lossy(&line[..length]).into_owned());
            }
        }
    }

    fn ended(mut self) -> DetachError {
        let killed = self.status().is_some_and(|status| status.signal().is_some());
        DetachError::Ended { log: self.log, killed }
    }

    /// How it ended: its output is closed a moment before, and whoever traces it learns of its end first. One that
    /// only closed its output stays.
    fn status(&mut self) -> Option<ExitStatus> {
        let give_up_at = Instant::now() + END_WAIT;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < give_up_at => std::thread::sleep(END_LOOK),
                Ok(status) => return status,
                Err(error) => {
                    tracing::debug!(%error, "cannot wait for the background process");
                    return None;
                }
            }
        }
    }
}

/// In the started process: says `line` to whoever started it and turns standard output over to
/// the log. Somebody who has gone meanwhile is no error.
///
/// # Errors
/// Standard output cannot be turned over.
pub fn announce(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => return Err(e),
        _ => {}
    }
    nix::unistd::dup2_stdout(io::stderr().as_fd())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn background(dir: &Path, script: &str) -> Background {
        Background {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            cwd: dir.to_owned(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            log: dir.join("log"),
        }
    }

    #[test]
    fn its_word_is_heard_and_it_leads_a_session_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let detached = spawn_detached(&background(dir.path(), "echo ready 7; exec sleep 300")).unwrap();
        let id = detached.id.clone();
        assert_eq!(detached.wait_ready(Duration::from_secs(10)).unwrap(), "ready 7");
        assert_eq!(crate::process::identity::read_stat(id.pid).unwrap().session, id.pid);
        assert!(id.alive());
        id.open().unwrap().unwrap().signal(nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    #[test]
    fn an_early_end_and_silence_point_to_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let detached = spawn_detached(&background(dir.path(), "echo broken >&2; exit 1")).unwrap();
        let error = detached.wait_ready(Duration::from_secs(10)).unwrap_err();
        assert!(matches!(error, DetachError::Ended { killed: false, .. }));
        let detached = spawn_detached(&background(dir.path(), "kill -9 $$")).unwrap();
        let error = detached.wait_ready(Duration::from_secs(10)).unwrap_err();
        assert!(matches!(error, DetachError::Ended { killed: true, .. }));
        assert_eq!(std::fs::read_to_string(dir.path().join("log")).unwrap(), "broken\n");
        let detached = spawn_detached(&background(dir.path(), "exec sleep 300")).unwrap();
        let id = detached.id.clone();
        let error = detached.wait_ready(Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, DetachError::Silent { .. }));
        id.open().unwrap().unwrap().signal(nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}
