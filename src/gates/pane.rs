//! What a person who looks at gates sees. Trouble with the writer never reaches a gate.
//!
//! One of those that run speaks as it goes; what the others say is held until they end, so that no
//! line stands among another gate's.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::Write;

use crate::process::run::Stream;
use crate::redact::Lines;

/// Of a gate that waits for its turn to speak so many bytes are held: the last ones.
const HELD_MAX: usize = 256 << 10;

/// The place where all gates of a call are shown.
pub(super) struct Board<'a> {
    out: RefCell<&'a mut dyn Write>,
    speaker: Cell<Option<usize>>,
    held: RefCell<BTreeMap<usize, Vec<u8>>>,
    /// The last line has no end yet.
    open: Cell<bool>,
}

impl<'a> Board<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out: RefCell::new(out),
            speaker: Cell::new(None),
            held: RefCell::default(),
            open: Cell::new(false),
        }
    }

    /// What gate number `id` shows, until it is dropped.
    pub(super) fn pane(&self, id: usize) -> Pane<'_, 'a> {
        Pane { board: self, id, lines: Default::default() }
    }

    fn put(&self, id: usize, bytes: &[u8]) {
        if self.speaker.get().is_none() {
            self.speaker.set(Some(id));
        }
        if self.speaker.get() == Some(id) {
            return self.write(bytes);
        }
        let mut held = self.held.borrow_mut();
        let text = held.entry(id).or_default();
        text.extend_from_slice(bytes);
        if text.len() > 2 * HELD_MAX {
            text.drain(..text.len() - HELD_MAX);
        }
    }

    /// Ends a line that gate number `id` left open.
    fn end_line(&self, id: usize) {
        let open = match self.held.borrow().get(&id) {
            Some(text) => text.last().is_some_and(|last| *last != b'\n'),
            None => self.speaker.get() == Some(id) && self.open.get(),
        };
        if open {
            self.put(id, b"\n");
        }
    }

    /// Gate number `id` has said all; the next one in the order may speak.
    fn end(&self, id: usize) {
        let held = self.held.borrow_mut().remove(&id).unwrap_or_default();
        if self.speaker.get() != Some(id) {
            if self.open.get() && !held.is_empty() {
                self.write(b"\n");
            }
            return self.write(&held);
        }
        self.speaker.set(None);
        let next = self.held.borrow_mut().pop_first();
        if let Some((next, text)) = next {
            self.put(next, &text);
        }
    }

    fn write(&self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.open.set(*last != b'\n');
        let mut out = self.out.borrow_mut();
        if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
            tracing::debug!(%error, "nobody can see this gate");
        }
    }
}

/// A writer for people, fed with output of tools: neither control characters nor secrets get through.
pub(super) struct Pane<'b, 'a> {
    board: &'b Board<'a>,
    id: usize,
    /// Of each of a tool's streams.
    lines: [Lines; 2],
}

impl Pane<'_, '_> {
    /// One line of our own.
    pub(super) fn line(&mut self, text: &str) {
        self.end_output();
        // Names of files are in it, and commands.
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.put(crate::redact::text(&text).as_bytes());
        self.put(b"\n");
    }

    /// What a tool prints: its complaints always, its standard output where that is for people.
    pub(super) fn output(&mut self, stream: Stream, bytes: &[u8], shown: bool) {
        if stream == Stream::Out && !shown {
            return;
        }
        let plain: Vec<u8> = bytes
            .iter()
            .copied()
            .filter(|byte| matches!(byte, b'\n' | b'\t') || !byte.is_ascii_control())
            .collect();
        let shown = self.lines[stream as usize].push(&plain);
        self.put(&shown);
    }

    /// Ends a line that a tool left open.
    pub(super) fn end_output(&mut self) {
        self.put_rest();
        self.board.end_line(self.id);
    }

    /// What was kept back, because a secret could have gone on.
    fn put_rest(&mut self) {
        for stream in 0..self.lines.len() {
            let rest = self.lines[stream].finish();
            self.put(&rest);
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.board.put(self.id, bytes);
        }
    }
}

impl Drop for Pane<'_, '_> {
    fn drop(&mut self) {
        self.put_rest();
        self.board.end(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_speaks_and_the_others_are_heard_when_they_end() {
        let mut out = Vec::new();
        let board = Board::new(&mut out);
        let (mut a, mut b, mut c) = (board.pane(0), board.pane(1), board.pane(2));
        a.line("a begins");
        b.line("b begins");
        c.line("c begins");
        a.output(Stream::Err, b"half", true);
        c.line("c ends");
        drop(c);
        a.line("a ends");
        drop(a);
        b.line("b ends");
        drop(b);
        let said = String::from_utf8(out).unwrap();
        // Half a line is not shown: a secret could go on in the other half.
        assert_eq!(said, "a begins\nc begins\nc ends\nhalf\na ends\nb begins\nb ends\n");
    }
}
