//! Standard output: buffered, and quiet when nobody reads it any more.
//!
//! A reader that goes away (`sprint status | head -1`) is no failure: what is written afterwards
//! is dropped, and commands that follow look at [`Out::is_closed`].

use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::text::Colour;
use crate::error::CliError;

/// Where a command writes, and how.
pub struct Out<'a> {
    sink: Box<dyn Write + 'a>,
    /// Whether it may have colour.
    pub colour: Colour,
    /// Columns, where it is a terminal.
    pub columns: Option<usize>,
    closed: bool,
    failed: Option<io::Error>,
}

impl fmt::Debug for Out<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Out")
            .field("colour", &self.colour)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl<'a> Out<'a> {
    /// Writes to `sink`.
    pub fn new(sink: impl Write + 'a, colour: Colour, columns: Option<usize>) -> Self {
        Self { sink: Box::new(io::BufWriter::new(sink)), colour, columns, closed: false, failed: None }
    }

    /// One line.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.text(text.as_ref());
        self.text("\n");
    }

    /// Text as it is.
    pub fn text(&mut self, text: &str) {
        let written = self.sink.write_all(text.as_bytes());
        self.keep(written);
    }

    /// A value as JSON, over several lines.
    pub fn json(&mut self, value: &impl serde::Serialize) {
        let text = serde_json::to_string_pretty(value).expect("output values have texts as keys");
        self.line(text);
    }

    /// A value as JSON, on one line.
    pub fn json_line(&mut self, value: &impl serde::Serialize) {
        let text = serde_json::to_string(value).expect("output values have texts as keys");
        self.line(text);
    }

    /// Brings everything to the reader.
    pub fn flush(&mut self) {
        let flushed = self.sink.flush();
        self.keep(flushed);
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Flushes, and says whether everything arrived. A reader that went away is fine.
    ///
    /// # Errors
    /// Standard output cannot be written: a full disk, for example.
    pub fn finish(&mut self) -> Result<(), CliError> {
        self.flush();
        match self.failed.take() {
            None => Ok(()),
            Some(error) => Err(CliError::environment("standard output cannot be written").because(error)),
        }
    }

    fn keep(&mut self, result: io::Result<()>) {
        match result {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.closed = true,
            Err(error) => {
                self.closed = true;
                self.failed.get_or_insert(error);
            }
        }
        if self.closed {
            self.sink = Box::new(io::sink());
        }
    }
}

/// Whether the reader of our standard output has gone, without writing to it.
pub fn reader_is_gone() -> bool {
    let stdout = io::stdout();
    let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(n) if n > 0)
        && fds[0].revents().is_some_and(|seen| seen.intersects(gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(io::ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_goes_is_fine_and_a_full_disk_is_not() {
        let mut out = Out::new(Fails(io::ErrorKind::BrokenPipe), Colour::Off, None);
        out.line("x".repeat(100_000));
        assert!(out.is_closed());
        out.finish().unwrap();
        let mut out = Out::new(Fails(io::ErrorKind::StorageFull), Colour::Off, None);
        out.line("x");
        let error = out.finish().unwrap_err();
        assert_eq!(error.exit_code(), 3);
    }
}
