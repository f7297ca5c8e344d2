//! What a person who looks at a gate sees. Trouble with the writer never reaches the gate.

use std::io::Write;

use crate::process::run::Stream;
use crate::redact::Lines;

/// A writer for people, fed with output of tools: neither control characters nor secrets get through.
pub(super) struct Pane<'a> {
    out: &'a mut dyn Write,
    column: usize,
    /// Of each of a tool's streams.
    lines: [Lines; 2],
}

impl<'a> Pane<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, column: 0, lines: Default::default() }
    }

    /// One line of our own.
    pub(super) fn line(&mut self, text: &str) {
        self.end_output();
        self.put(text.as_bytes());
        self.put(b"\n");
        self.column = 0;
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
        for stream in 0..self.lines.len() {
            let rest = self.lines[stream].finish();
            self.put(&rest);
        }
        if self.column > 0 {
            self.put(b"\n");
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(last) = bytes.last() {
            self.column = usize::from(*last != b'\n');
        }
        if let Err(error) = self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            tracing::debug!(%error, "nobody can see this gate");
        }
    }
}
