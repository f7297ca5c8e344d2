//! What a program's screen shows: its output, read as a terminal reads it.

use std::num::NonZeroU16;

use vt100::{Callbacks, Parser};

use crate::agents::protocol::plain;
use crate::agents::signals::Reads;
use crate::process::pseudo::Size;

/// Characters of a title that are kept.
const TITLE_MAX: usize = 200;
/// Bytes of lines that have left the screen and nobody has taken yet.
const GONE_BYTES_MAX: usize = 256 * 1024;

/// A screen.
pub(super) struct Glass {
    parser: Parser<Heard>,
    /// Lines that were read with marks around pasted texts.
    taken: u64,
}

/// How a terminal is told to mark pasted texts, or not to.
const MARKS: &[u8] = b"\x1b[?2004";

/// What is told beside the screen.
#[derive(Default)]
struct Heard {
    title: String,
    /// Lines that have scrolled off: what a person would find further up.
    gone: String,
}

impl Callbacks for Heard {
    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.title = plain(title).chars().take(TITLE_MAX).collect();
    }

    fn on_scroll(&mut self, row: vt100::capture::RowContents<'_>, alternate: bool) {
        if alternate || self.gone.len() > GONE_BYTES_MAX {
            return;
        }
        let mut line = String::new();
        let mut from_the_start = vt100::capture::BasicFormattedCaptureState::new();
        if row.write_formatted_basic(&mut line, &mut from_the_start).is_ok() {
            self.gone.push_str(plain(line.as_bytes()).trim_end());
            self.gone.push('\n');
        }
    }
}

impl Glass {
    /// Dark, of this size.
    pub(super) fn new(size: Size) -> Self {
        let (rows, columns) = cells(size);
        Self { parser: Parser::new_with_callbacks(rows, columns, 0, Heard::default()), taken: 0 }
    }

    /// The program has printed this.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        // Between two looks it may have stopped to read, and begun again.
        let mut rest = bytes;
        while !rest.is_empty() {
            let next = rest[1..].windows(MARKS.len()).position(|window| window == MARKS);
            let (piece, later) = rest.split_at(next.map_or(rest.len(), |at| at + 1));
            let read = self.brackets();
            self.parser.process(piece);
            self.taken += u64::from(read && !self.brackets());
            rest = later;
        }
    }

    /// The lines that it reads.
    pub(super) fn reads(&self) -> Reads {
        Reads { now: self.brackets(), taken: self.taken }
    }

    /// The screen has another size.
    pub(super) fn resize(&mut self, size: Size) {
        let (rows, columns) = cells(size);
        self.parser.set_size(rows, columns);
    }

    /// The window's title.
    pub(super) fn title(&self) -> &str {
        &self.parser.callbacks().title
    }

    /// The lines from top to bottom, without colours.
    pub(super) fn lines(&self) -> Vec<String> {
        let screen = self.parser.screen();
        screen.rows(0, screen.size().1.get()).map(|line| line.trim_end().to_owned()).collect()
    }

    /// Whether the program has asked to be told where a pasted text begins and ends.
    pub(super) fn brackets(&self) -> bool {
        self.parser.screen().bracketed_paste()
    }

    /// Everything that draws the screen anew on a terminal that has missed some of it.
    pub(super) fn redraw(&self) -> Vec<u8> {
        self.parser.screen().state_formatted().into_bytes()
    }

    /// The lines that have scrolled off since somebody last asked.
    pub(super) fn gone(&mut self) -> String {
        std::mem::take(&mut self.parser.callbacks_mut().gone)
    }
}

fn cells(size: Size) -> (NonZeroU16, NonZeroU16) {
    let cells = |count: u16| NonZeroU16::new(count).unwrap_or(NonZeroU16::MIN);
    (cells(size.rows), cells(size.columns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: Size = Size { rows: 3, columns: 10 };

    #[test]
    fn a_screen_its_title_and_what_has_left_it() {
        let mut glass = Glass::new(SIZE);
        glass.take(b"\x1b]0;\xe2\x9c\xb3 at\x07one\r\n\x1b[31mtwo\x1b[0m\r\nthree\r\nfour");
        assert_eq!(glass.title(), "✳ at");
        assert_eq!(glass.lines(), ["two", "three", "four"]);
        assert_eq!(glass.gone(), "one\n");
        assert_eq!(glass.gone(), "");
        assert!(!glass.brackets());
        glass.take(b"\x1b[?2004h\x1b[2J");
        assert!(glass.brackets());
        assert_eq!(glass.lines(), ["", "", ""]);
    }

    #[test]
    fn a_terminal_that_missed_it_is_drawn_anew() {
        let mut glass = Glass::new(SIZE);
        glass.take(b"a\r\nb\x1b[?2004h");
        let mut other = Glass::new(SIZE);
        other.take(b"rubbish\x1b[?1049h");
        other.take(&glass.redraw());
        assert_eq!(other.lines(), glass.lines());
        assert!(other.brackets());
    }

    #[test]
    fn lines_that_are_read_are_counted_however_the_output_is_cut() {
        let output =
            b"hi\x1b[?2004h> one\x1b[?2004l\r\nit is\x1b[?2004h> \x1b[?2004l\x1b[?2004l\x1b[?2004h> ";
        for cut in 0..output.len() {
            let mut glass = Glass::new(SIZE);
            glass.take(&output[..cut]);
            glass.take(&output[cut..]);
            assert_eq!(glass.reads(), Reads { now: true, taken: 2 }, "{cut}");
        }
    }

    proptest! {
        #[test]
        fn no_output_and_no_size_makes_it_panic(
            pieces in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..60),
                    "(\u{1b}\\[[0-9;?>]{0,9}[A-Za-z@`]|[ -~]|世|\r|\n|\u{1b}[A-Z78=>]){0,30}".prop_map(String::into_bytes),
                ],
                0..8,
            ),
            sizes in proptest::collection::vec((1_u16..60, 1_u16..200), 8),
        ) {
            let mut glass = Glass::new(SIZE);
            for (piece, (rows, columns)) in pieces.iter().zip(sizes) {
                glass.take(piece);
                glass.resize(Size { rows, columns });
                drop((glass.lines(), glass.redraw(), glass.gone()));
            }
        }
    }
}
