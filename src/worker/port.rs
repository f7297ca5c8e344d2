//! Between a program's terminal and the pane: bytes in both directions, and what the screen shows.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::glass::Glass;
use super::pane::{Pane, is_typed};
use crate::agents::stopped::stops;
use crate::process::child::{Read, Running};
use crate::process::clock::monotonic_ms;
use crate::process::pseudo::Master;

/// Bytes that wait for the program; what a person types beyond that waits in the terminal.
const KEYS_MAX: usize = 64 * 1024;
/// Bytes of its output that are taken in one turn: a flood does not keep the clocks waiting.
const TURN_MAX: usize = 256 * 1024;

/// A program with its screen.
pub(super) struct Port {
    pub(super) running: Running,
    master: Master,
    pane: Pane,
    pub(super) glass: Glass,
    to_program: Vec<u8>,
    /// When the screen changed last; monotonic milliseconds, as all times here. 0: never.
    pub(super) changed_ms: u64,
    /// When the program last got everything that waited for it.
    pub(super) sent_ms: u64,
    /// When a person typed last.
    pub(super) typed_ms: u64,
    /// When a person last pressed what stops a turn.
    pub(super) stopped_ms: u64,
    /// When its size changed last.
    pub(super) resized_ms: u64,
    gone: bool,
}

impl Port {
    pub(super) fn new(running: Running, master: Master, pane: Pane) -> Self {
        let glass = Glass::new(pane.size());
        let to_program = Vec::new();
        Self {
            running,
            master,
            pane,
            glass,
            to_program,
            changed_ms: 0,
            sent_ms: 0,
            typed_ms: 0,
            stopped_ms: 0,
            resized_ms: 0,
            gone: false,
        }
    }

    /// Waits for anything to happen, at most until then. `keys`: whether a person may type now.
    pub(super) fn wait(&self, others: &[BorrowedFd<'_>], keys: bool, until_ms: u64) {
        let mut fds = vec![PollFd::new(self.running.pidfd(), PollFlags::POLLIN)];
        fds.extend(others.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
        if !self.gone {
            let writes = if self.to_program.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
            fds.push(PollFd::new(self.master.as_fd(), PollFlags::POLLIN | writes));
        }
        let typed = self.pane.keys().filter(|_| keys && self.to_program.len() < KEYS_MAX);
        fds.extend(typed.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        fds.extend(self.pane.room().map(|fd| PollFd::new(fd, PollFlags::POLLOUT)));
        let wait = Duration::from_millis(until_ms.saturating_sub(monotonic_ms()));
        let wait = PollTimeout::try_from(wait.min(Duration::from_mins(1))).unwrap_or(PollTimeout::ZERO);
        if let Err(errno) = poll(&mut fds, wait) {
            tracing::debug!(%errno, "waiting for a program was interrupted");
        }
    }

    /// Takes what there is in both directions. Whether the program has printed anything.
    pub(super) fn exchange(&mut self, keys: bool) -> bool {
        let printed = self.read_program();
        if keys {
            self.read_keys();
        }
        self.write_program();
        self.pane.flush(&self.glass);
        printed
    }

    fn read_program(&mut self) -> bool {
        let mut buffer = vec![0u8; 16 * 1024];
        let mut taken = 0;
        while !self.gone && taken < TURN_MAX {
            match self.master.read(&mut buffer) {
                Ok(Read::Bytes(count)) => {
                    taken += count;
                    self.running.printed(count);
                    self.glass.take(&buffer[..count]);
                    self.pane.put(&buffer[..count]);
                }
                Ok(Read::WouldBlock) => break,
                Ok(Read::Eof) => self.gone = true,
                Err(error) => {
                    tracing::warn!(%error, "a program's screen cannot be read any more");
                    self.gone = true;
                }
            }
        }
        if taken > 0 {
            self.changed_ms = monotonic_ms();
        }
        taken > 0
    }

    fn read_keys(&mut self) {
        let mut buffer = [0u8; 4096];
        while self.to_program.len() < KEYS_MAX {
            let count = self.pane.read(&mut buffer);
            if count == 0 {
                return;
            }
            if is_typed(&buffer[..count]) {
                self.typed_ms = monotonic_ms();
            }
            if stops(&buffer[..count]) {
                self.stopped_ms = monotonic_ms();
            }
            self.to_program.extend_from_slice(&buffer[..count]);
        }
    }

    /// Bytes for the program, after those that wait already.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.to_program.extend_from_slice(bytes);
        self.write_program();
    }

    /// Whether the program has got everything.
    pub(super) fn is_sent(&self) -> bool {
        self.to_program.is_empty()
    }

    fn write_program(&mut self) {
        if self.to_program.is_empty() {
            return;
        }
        while !self.to_program.is_empty() {
            match self.master.write(&self.to_program) {
                Ok(0) => return,
                Ok(written) => drop(self.to_program.drain(..written)),
                Err(error) => {
                    tracing::warn!(%error, "nothing more can be typed into a program");
                    self.to_program.clear();
                }
            }
        }
        self.sent_ms = monotonic_ms();
    }

    /// The pane has another size now, and so has the program's screen.
    pub(super) fn resize(&mut self) {
        let size = self.pane.size();
        self.resized_ms = monotonic_ms();
        self.glass.resize(size);
        if let Err(error) = self.master.resize(size) {
            tracing::debug!(%error, "a program's screen keeps its size");
        }
    }
}
