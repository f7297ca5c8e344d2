//! Signals as a descriptor for a synchronous `poll` loop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals that are read instead of handled. They stay blocked for the rest of the process: begin
/// before any thread does. Children get an empty mask (`child::spawn`).
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks `signals` in this thread and those it starts, and reads them from now on.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn take_over(signals: &[Signal]) -> io::Result<Self> {
        let set: SigSet = signals.iter().copied().collect();
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { fd })
    }

    /// The next signal that has come; `None` if there is none now.
    ///
    /// # Errors
    /// The descriptor cannot be read.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        let Some(info) = self.fd.read_signal()? else { return Ok(None) };
        let number = i32::try_from(info.ssi_signo).map_err(io::Error::other)?;
        Ok(Some(Signal::try_from(number)?))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_read_once_and_does_not_end_the_process() {
        std::thread::spawn(|| {
            let signals = Signals::take_over(&[Signal::SIGHUP, Signal::SIGUSR2]).unwrap();
            assert_eq!(signals.next().unwrap(), None);
            nix::sys::signal::raise(Signal::SIGHUP).unwrap();
            assert_eq!(signals.next().unwrap(), Some(Signal::SIGHUP));
            assert_eq!(signals.next().unwrap(), None);
        })
        .join()
        .unwrap();
    }
}
