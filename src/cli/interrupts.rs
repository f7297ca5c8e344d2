//! A person who does not want to wait any longer.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;

use crate::error::CliError;
use crate::process::signals::Signals;

/// SIGINT, SIGTERM and SIGHUP: what was started is ended before this process is.
pub(super) struct Interrupts {
    signals: Signals,
    came: AtomicBool,
}

impl Interrupts {
    /// They are read from now on; begin before any thread does.
    ///
    /// # Errors
    /// Out of descriptors (exit 3).
    pub(super) fn take_over() -> Result<Self, CliError> {
        let signals = Signals::take_over(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
            .map_err(|error| CliError::environment("signals cannot be watched").because(error))?;
        Ok(Self { signals, came: AtomicBool::new(false) })
    }

    /// Whether one has come; stays so.
    pub(super) fn came(&self) -> bool {
        if matches!(self.signals.next(), Ok(Some(_))) {
            self.came.store(true, Ordering::Relaxed);
        }
        self.came.load(Ordering::Relaxed)
    }
}
