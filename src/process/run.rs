//! Runs one child to its end: output, timeout, cancellation, the whole group.
//!
//! It never waits for a daemon that keeps a pipe open, and it refuses to keep more output than the
//! caller asked for.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

pub use super::child::{Exit, Read, Running, Session, SpawnError, Spec, Stdin, Stream, spawn};
use super::limits::Excess;
use super::wait::wait_readable;

/// How often `cancel` is asked while a silent child runs.
const CANCEL_POLL: Duration = Duration::from_millis(100);
/// How long output is read after the child's exit, while somebody else keeps its pipes open.
const DRAIN: Duration = Duration::from_millis(100);
/// How long a child may take to die of SIGKILL before it is left to the caller's tree walk.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// One read.
const CHUNK: usize = 64 * 1024;

/// How a child's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this code.
    Exit(i32),
    /// A signal, not ours, killed it.
    Signal(i32),
    /// Its time was over; it was ended.
    TimedOut,
    /// The caller cancelled; it was ended.
    Cancelled,
    /// It has used more than it may; it was ended.
    Exceeded(Excess),
}

/// What a child left.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The first `output_max` bytes of standard output.
    pub stdout: Vec<u8>,
    /// The first `output_max` bytes of standard error.
    pub stderr: Vec<u8>,
    /// Bytes of both that were not kept.
    pub dropped: u64,
    /// From start to end.
    pub seconds: f64,
}

impl Outcome {
    /// Whether it exited with 0.
    pub fn success(&self) -> bool {
        self.ending == Ending::Exit(0)
    }
}

/// Runs `spec` to its end. `on_output` sees every byte as it comes, kept or not; `cancel` is asked
/// at least ten times a second, so it is the caller's tick too. What is left of the child's
/// group at the end is killed.
///
/// # Errors
/// [`SpawnError`] if it cannot be started, or the system refuses to watch it.
pub fn run(
    spec: &Spec,
    on_output: &mut dyn FnMut(Stream, &[u8]),
    cancel: &dyn Fn() -> bool,
) -> Result<Outcome, SpawnError> {
    let os = |source: io::Error| SpawnError::Os { program: spec.program.clone(), source };
    let start = Instant::now();
    let mut drive = Drive {
        child: spawn(spec)?,
        spec,
        start,
        phase: Phase::Running,
        exited: None,
        kept: [Vec::new(), Vec::new()],
        dropped: 0,
        buffer: vec![0; CHUNK],
    };
    while !drive.is_over(Instant::now()) {
        drive.poll_once().map_err(os)?;
        drive.read_all(on_output).map_err(os)?;
        drive.advance(cancel).map_err(os)?;
    }
    drive.child.finish().map_err(os)?;
    Ok(drive.outcome())
}

/// Where a run is between start and end.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Running,
    /// TERM has been sent.
    Terminating {
        since: Instant,
        why: Ending,
    },
    /// KILL has been sent.
    Killed {
        since: Instant,
        why: Ending,
    },
}

struct Drive<'a> {
    child: Running,
    spec: &'a Spec,
    start: Instant,
    phase: Phase,
    exited: Option<(Exit, Instant)>,
    kept: [Vec<u8>; 2],
    dropped: u64,
    buffer: Vec<u8>,
}

impl Drive<'_> {
    fn is_over(&self, now: Instant) -> bool {
        let closed = self.child.stream(Stream::Out).is_none() && self.child.stream(Stream::Err).is_none();
        match (self.exited, self.phase) {
            (Some(_), _) if closed => true,
            (Some((_, at)), Phase::Running | Phase::Killed { .. }) => now >= at + DRAIN,
            (None, Phase::Killed { since, .. }) => now >= since + KILL_WAIT,
            // After TERM: the leader may have obeyed, but its group has the rest of the grace.
            (_, Phase::Terminating { .. }) | (None, Phase::Running) => false,
        }
    }

    /// The moment at which something has to be decided even if nothing happens.
    fn wake_at(&self) -> Instant {
        match (self.exited, self.phase) {
            (_, Phase::Terminating { since, .. }) => since + self.spec.grace,
            (Some((_, at)), _) => at + DRAIN,
            (None, Phase::Killed { since, .. }) => since + KILL_WAIT,
            (None, Phase::Running) => self.start + self.spec.timeout,
        }
    }

    fn poll_once(&self) -> io::Result<()> {
        let limit = self.wake_at().saturating_duration_since(Instant::now()).min(CANCEL_POLL);
        let exit = self.exited.is_none().then(|| self.child.pidfd());
        let fds = [self.child.stream(Stream::Out), self.child.stream(Stream::Err), exit];
        wait_readable(fds, limit).map(|_| ())
    }

    /// Takes the exit first and the output after it, so that all that the child wrote is read.
    fn read_all(&mut self, on_output: &mut dyn FnMut(Stream, &[u8])) -> io::Result<()> {
        if self.exited.is_none() {
            self.exited = self.child.try_wait()?.map(|exit| (exit, Instant::now()));
            if self.exited.is_some()
                && matches!(self.phase, Phase::Running)
                && let Some(excess) = self.child.last_excess()
            {
                self.crush(excess)?;
            }
        }
        for stream in [Stream::Out, Stream::Err] {
            // One pipe's worth at a time: a child that floods must not hide its timeout.
            for _ in 0..4 {
                match self.child.read(stream, &mut self.buffer)? {
                    Read::Bytes(n) => self.take(stream, n, on_output),
                    Read::WouldBlock | Read::Eof => break,
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, stream: Stream, n: usize, on_output: &mut dyn FnMut(Stream, &[u8])) {
        let bytes = &self.buffer[..n];
        on_output(stream, bytes);
        let kept = &mut self.kept[stream as usize];
        let keep = n.min(self.spec.output_max.saturating_sub(kept.len()));
        kept.extend_from_slice(&bytes[..keep]);
        self.dropped += (n - keep) as u64;
    }

    fn advance(&mut self, cancel: &dyn Fn() -> bool) -> io::Result<()> {
        let now = Instant::now();
        match self.phase {
            Phase::Running if self.exited.is_some() => Ok(()),
            Phase::Running if now >= self.start + self.spec.timeout => self.terminate(Ending::TimedOut, now),
            Phase::Running if cancel() => self.terminate(Ending::Cancelled, now),
            Phase::Running => match self.child.excess() {
                Some(excess) => self.crush(excess),
                None => Ok(()),
            },
            Phase::Terminating { since, why } if now >= since + self.spec.grace => {
                self.child.signal_group(Signal::SIGKILL)?;
                self.phase = Phase::Killed { since: now, why };
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// No warning for what has used too much: it would use more meanwhile.
    fn crush(&mut self, excess: Excess) -> io::Result<()> {
        self.phase = Phase::Killed { since: Instant::now(), why: Ending::Exceeded(excess) };
        self.child.crush()
    }

    fn terminate(&mut self, why: Ending, now: Instant) -> io::Result<()> {
        self.child.signal_group(Signal::SIGTERM)?;
        // A stopped process does not see SIGTERM until it goes on.
        self.child.signal_group(Signal::SIGCONT)?;
        self.phase = Phase::Terminating { since: now, why };
        Ok(())
    }

    fn outcome(self) -> Outcome {
        let ending = match (self.phase, self.exited) {
            (Phase::Terminating { why, .. } | Phase::Killed { why, .. }, _) => why,
            (Phase::Running, Some((Exit::Code(code), _))) => Ending::Exit(code),
            (Phase::Running, Some((Exit::Signal(signal), _))) => Ending::Signal(signal),
            (Phase::Running, None) => unreachable!("a running child is not over"),
        };
        let [stdout, stderr] = self.kept;
        let seconds = self.start.elapsed().as_secs_f64();
        Outcome { ending, stdout, stderr, dropped: self.dropped, seconds }
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
