//! The pane while a program has it: what the program prints goes out as it is, what a person types
//! comes in. Neither ever waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use super::glass::Glass;
use crate::process::pseudo::Size;

/// Bytes that wait for a slow terminal; if there were more, the screen is drawn anew.
const PENDING_MAX: usize = 1 << 20;
/// Where there is no terminal.
const NO_TERMINAL: Size = Size { rows: 40, columns: 120 };

/// What a program may have left switched on: another screen, mouse, paste and key reports, colours,
/// a hidden cursor.
const AS_BEFORE: &[u8] =
    b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b[<u\x1b[>4;0m\x1b[r\x1b[0m\x1b[?25h\x1b[999;1H\r\n";

/// The terminal of this process. Dropped, it is as it was before.
pub(super) struct Pane {
    input: io::Stdin,
    output: io::Stdout,
    before: Option<Termios>,
    pending: Vec<u8>,
    /// More than the terminal could take was dropped.
    torn: bool,
    closed: bool,
}

impl Pane {
    /// Where there is no person: nothing is shown, and nothing typed.
    pub(super) fn unseen() -> Self {
        let (input, output) = (io::stdin(), io::stdout());
        Self { input, output, before: None, pending: Vec::new(), torn: false, closed: true }
    }

    /// Takes the terminal over: keys come as they are typed, and mean what the program takes them for.
    pub(super) fn take_over() -> Self {
        let (input, output) = (io::stdin(), io::stdout());
        let before = tcgetattr(&input).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            cfmakeraw(&mut raw);
            if let Err(errno) = tcsetattr(&input, SetArg::TCSANOW, &raw) {
                tracing::warn!(%errno, "the pane's terminal cannot be made raw");
            }
        }
        let flags = fcntl(&input, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
        let closed =
            flags.and_then(|flags| fcntl(&input, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))).is_err();
        Self { input, output, before, pending: Vec::new(), torn: false, closed }
    }

    /// Its size now.
    pub(super) fn size(&self) -> Size {
        Size::of(self.output.as_fd()).unwrap_or(NO_TERMINAL)
    }

    /// To poll for keys; `None` where there is no terminal.
    pub(super) fn keys(&self) -> Option<BorrowedFd<'_>> {
        (!self.closed && self.before.is_some()).then(|| self.input.as_fd())
    }

    /// To poll for room.
    pub(super) fn room(&self) -> Option<BorrowedFd<'_>> {
        (!self.pending.is_empty()).then(|| self.output.as_fd())
    }

    /// What was typed, into `buffer`; 0: nothing now.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> usize {
        if self.keys().is_none() {
            return 0;
        }
        match nix::unistd::read(&self.input, buffer) {
            Ok(0) => {
                self.closed = true;
                0
            }
            Ok(count) => count,
            Err(Errno::EAGAIN | Errno::EINTR) => 0,
            Err(errno) => {
                tracing::debug!(%errno, "nothing more can be typed in the pane");
                self.closed = true;
                0
            }
        }
    }

    /// What the program prints.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.closed {
            return;
        }
        if self.pending.len() + bytes.len() > PENDING_MAX {
            self.pending.clear();
            self.torn = true;
        }
        if !self.torn {
            self.pending.extend_from_slice(bytes);
        }
    }

    /// Gives the terminal what it takes now.
    pub(super) fn flush(&mut self, glass: &Glass) {
        while !self.pending.is_empty() || self.torn {
            if self.pending.is_empty() {
                self.torn = false;
                self.pending = glass.redraw();
            }
            match nix::unistd::write(&self.output, &self.pending) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(errno) => {
                    tracing::debug!(%errno, "the pane takes no more");
                    self.pending.clear();
                    self.torn = false;
                }
            }
        }
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            if let Err(errno) = tcsetattr(&self.input, SetArg::TCSANOW, before) {
                tracing::debug!(%errno, "the pane's terminal stays raw");
            }
            if let Err(errno) = nix::unistd::write(&self.output, AS_BEFORE) {
                tracing::debug!(%errno, "the pane is not cleared after its program");
            }
        }
    }
}

/// Whether a person may have typed this: terminals answer programs' questions on the same way, and
/// tell when they get or lose the focus.
pub(super) fn is_typed(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(after) = answer(rest) {
        rest = after;
    }
    !rest.is_empty()
}

/// What follows after an answer of the terminal at the beginning of `bytes`.
fn answer(bytes: &[u8]) -> Option<&[u8]> {
    match bytes.strip_prefix(b"\x1b")? {
        [b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte))?;
            let (parameters, last) = (&rest[..end], rest[end]);
            let reports = matches!(last, b'c' | b'R' | b'n' | b't' | b'y' | b'I' | b'O');
            let asked = parameters.first().is_some_and(|byte| matches!(byte, b'?' | b'>'));
            // `ESC [ 1 ; 2 R` is also F3 with shift; a person who types only that is not lost by it.
            (reports || asked).then(|| &rest[end + 1..])
        }
        // Strings: colours, names, capabilities.
        [b']' | b'P' | b'_', rest @ ..] => {
            let bell = rest.iter().position(|byte| *byte == 0x07).map(|at| at + 1);
            let string = rest.windows(2).position(|pair| pair == b"\x1b\\").map(|at| at + 2);
            [bell, string].into_iter().flatten().min().map(|end| &rest[end..])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_terminal_are_not_typed() {
        for answer in [
            &b"\x1b[?1;2c"[..],
            b"\x1b[>84;0;0c",
            b"\x1b[12;40R",
            b"\x1b]11;rgb:0000/0000/0000\x1b\\",
            b"\x1b]10;rgb:ffff/ffff/ffff\x07\x1b[?0u\x1b[I",
            b"\x1bP>|tmux 3.3a\x1b\\",
            b"",
        ] {
            assert!(!is_typed(answer), "{answer:?}");
        }
        for typed in
            [&b"a"[..], b"\r", b"\x1b", b"\x1b[A", b"\x1b[200~x\x1b[201~", b"\x1b[?1;2cq", "é".as_bytes()]
        {
            assert!(is_typed(typed), "{typed:?}");
        }
    }
}
