//! Text for terminals: whatever agents and files say is shown harmlessly, tables line up by the
//! width that a terminal gives to characters, and colour is there only where it may be.

use crate::domain::gate::Verdict;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Between two columns of a table.
const GAP: &str = "  ";
/// A tab leads to the next multiple of this.
const TAB: usize = 8;
/// What a shortened text ends with.
const ELLIPSIS: char = '…';
/// The last column of a table that no terminal bounds.
const LAST_COLUMN_MAX: usize = 200;
/// What the last column keeps on a narrow terminal, and any other one.
const LAST_COLUMN_MIN: usize = 20;
const COLUMN_MIN: usize = 10;
/// No line that is shown has more columns, however wide its text.
pub const LINE_MAX: usize = 2_000;

/// `text` as one harmless line of at most `max` columns: escape sequences and other controls go,
/// white space becomes single spaces, characters that turn or hide what is around them go.
pub fn plain(text: &str, max: usize) -> String {
    if is_plain(text) && text.len() <= max {
        return text.to_owned();
    }
    let mut line = String::new();
    let mut width = 0;
    let mut space = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_control_sequence(&mut chars),
            c if c.is_whitespace() => space = !line.is_empty(),
            c if c.is_control() || is_invisible(c) => {}
            c => {
                let wide = c.width().unwrap_or(0) + usize::from(space);
                if width + wide > max {
                    return shorten(line, max);
                }
                if std::mem::take(&mut space) {
                    line.push(' ');
                }
                line.push(c);
                width += wide;
            }
        }
    }
    line
}

/// What nearly every text is: printable ASCII, words apart by one space. Seen at a glance, so that
/// a thousand titles cost nothing.
fn is_plain(text: &str) -> bool {
    let mut before = b' ';
    let words = text.bytes().all(|byte| {
        let fine = (b' '..=b'~').contains(&byte) && !(byte == b' ' && before == b' ');
        before = byte;
        fine
    });
    words && (text.is_empty() || before != b' ')
}

/// Ends a line that is too long with an ellipsis within `max` columns.
fn shorten(mut line: String, max: usize) -> String {
    while line.width() + 1 > max && line.pop().is_some() {}
    if max > 0 {
        line.truncate(line.trim_end().len());
        line.push(ELLIPSIS);
    }
    line
}

/// As [`plain`], for texts of several lines (a question, a log, a diff): line breaks and blanks
/// stay, tabs become blanks, and no line has more than [`LINE_MAX`] columns.
pub fn plain_lines(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().map(harmless)
}

/// One line as it is, without what a terminal would act on.
pub fn harmless(line: &str) -> String {
    let mut shown = String::new();
    let mut width = 0;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let (c, wide) = match c {
            '\u{1b}' => {
                skip_escape(&mut chars);
                continue;
            }
            '\u{9b}' => {
                skip_control_sequence(&mut chars);
                continue;
            }
            '\t' => (' ', TAB - width % TAB),
            c if c.is_control() || is_invisible(c) => continue,
            c => (c, c.width().unwrap_or(0)),
        };
        if width + wide > LINE_MAX {
            return shorten(shown, LINE_MAX);
        }
        width += wide;
        let times = if c == ' ' { wide.max(1) } else { 1 };
        (0..times).for_each(|_| shown.push(c));
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// Marks of direction, joiners, tags, byte order marks: they change what the characters around
/// them look like, or look like nothing.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_escape(chars: &mut Chars<'_>) {
    match chars.next() {
        Some('[') => skip_control_sequence(chars),
        // A string (title, hyperlink, …) ends with BEL or ESC \. One without an end takes only
        // its line, so that a single byte cannot hide a whole file.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next_if(|c| *c != '\n') {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        Some(' '..='/') => {
            while chars.next_if(|c| (' '..='/').contains(c)).is_some() {}
            chars.next();
        }
        Some(_) | None => {}
    }
}

fn skip_control_sequence(chars: &mut Chars<'_>) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

/// How a text is set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Normal,
    /// A heading.
    Bold,
    /// Less important.
    Dim,
    /// Well.
    Good,
    /// Waits for somebody.
    Warn,
    /// Not well.
    Bad,
}

impl Tone {
    /// That of a verdict.
    pub fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Good,
            Verdict::Fail | Verdict::Error => Self::Bad,
            Verdict::Skipped => Self::Dim,
        }
    }
}

/// Whether tones become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// They do.
    On,
    /// They do not.
    Off,
}

impl Colour {
    /// On if `yes`.
    pub fn from_flag(yes: bool) -> Self {
        if yes { Self::On } else { Self::Off }
    }

    /// `text` in its tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Normal => return text.to_owned(),
            Tone::Bold => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
        };
        match self {
            Self::On if !text.is_empty() => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::On | Self::Off => text.to_owned(),
        }
    }
}

/// A cell of a table: harmless text and its tone.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell; `text` may be anything.
    pub fn new(text: &str) -> Self {
        Self { text: plain(text, LINE_MAX), tone: Tone::Normal }
    }

    /// In that tone.
    #[must_use]
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

/// Rows of cells that line up. The last column takes what is left of the terminal.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
    /// No column but the last is wider.
    column_max: usize,
}

impl Table {
    /// A table with headings.
    pub fn new(headings: &[&str]) -> Self {
        let heading = headings.iter().map(|text| Cell::new(text).tone(Tone::Dim)).collect();
        Self { rows: vec![heading], column_max: 48 }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Its lines, indented by two, within `width` columns if there is a terminal.
    pub fn lines(&self, colour: Colour, width: Option<usize>) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![0; columns];
        for row in &self.rows {
            for (place, cell) in row.iter().enumerate().take(columns.saturating_sub(1)) {
                widths[place] = widths[place].max(cell.text.width()).min(self.column_max);
            }
        }
        if let Some(width) = width {
            self.narrow(&mut widths, width.saturating_sub(GAP.len() + LAST_COLUMN_MIN));
        }
        let before = GAP.len() + taken(&widths);
        let last = width.map_or(LAST_COLUMN_MAX, |width| width.saturating_sub(before).max(LAST_COLUMN_MIN));
        self.rows.iter().map(|row| line_of(row, &widths, last, colour)).collect()
    }

    /// On a narrow terminal columns without content go, then the widest give, so far as something
    /// of them can still be read; then whole ones go.
    fn narrow(&self, widths: &mut [usize], room: usize) {
        if taken(widths) <= room {
            return;
        }
        for (place, width) in widths.iter_mut().enumerate() {
            let mut cells = self.rows.iter().skip(1).filter_map(|row| row.get(place));
            if cells.all(|cell| cell.text.is_empty()) {
                *width = 0;
            }
        }
        while taken(widths) > room {
            match widths.iter_mut().max() {
                Some(widest) if *widest > COLUMN_MIN => *widest -= 1,
                Some(_) | None => break,
            }
        }
        // A line that the terminal breaks lines up with nothing: what is least wanted goes. The first
        // column says what a row is about, the last one why.
        while taken(widths) > room {
            match widths.iter_mut().skip(1).rev().find(|width| **width > 0) {
                Some(width) => *width = 0,
                None => return,
            }
        }
    }
}

/// What all columns but the last take, with the gaps; one that is left out has no width.
fn taken(widths: &[usize]) -> usize {
    widths.iter().filter(|width| **width > 0).map(|width| width + GAP.len()).sum()
}

fn line_of(row: &[Cell], widths: &[usize], last: usize, colour: Colour) -> String {
    let mut line = String::from(GAP);
    for (place, cell) in row.iter().enumerate() {
        let is_last = place + 1 == widths.len();
        if !is_last && widths[place] == 0 {
            continue;
        }
        let room = if is_last { last } else { widths[place] };
        let text = plain(&cell.text, room);
        let fill = if is_last { 0 } else { room.saturating_sub(text.width()) };
        line.push_str(&colour.paint(cell.tone, &text));
        if !is_last {
            line.push_str(&" ".repeat(fill));
            line.push_str(GAP);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// A span of time in its two largest units: `8 s`, `3 min`, `2 h 05 min`, `4 d 3 h`.
pub fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86_400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// A number of bytes: `812 B`, `3.4 MB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    match UNITS.iter().find(|(_, size)| count >= *size) {
        Some((unit, size)) => format!("{}.{} {unit}", count / size, count % size * 10 / size),
        None => format!("{count} B"),
    }
}

/// Wall clock milliseconds as RFC 3339 in UTC, to the millisecond.
pub fn rfc3339(wall_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(wall_ms).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

/// The time of day here, for lines of a log: `14:03:07`.
pub fn clock(wall_ms: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(wall_ms) else { return String::new() };
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// "1 task", "2 tasks".
pub fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_text_becomes_a_harmless_line() {
        for (text, shown) in [
            ("a\u{1b}[31mred\u{1b}[0m b", "ared b"),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("\u{1b}]8;;http://e\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("one\r\ntwo\n\n three", "one two three"),
            ("\u{202e}gnp.exe", "gnp.exe"),
            ("\u{9b}2Jclear", "clear"),
            ("a\u{8}\u{7f}\0b", "ab"),
            ("#(cmd) $(id) ; --x", "#(cmd) $(id) ; --x"),
            ("\u{1b}", ""),
            ("\u{1b}]never ends\nnext", "next"),
        ] {
            assert_eq!(plain(text, 100), shown, "{text:?}");
        }
    }

    #[test]
    fn long_and_wide_text_is_shortened_by_columns() {
        assert_eq!(plain("abcdef", 6), "abcdef");
        assert_eq!(plain("abcdefg", 6), "abcde…");
        assert_eq!(plain("日本語日本語", 6), "日本…");
        assert_eq!(plain(&"x".repeat(10_000), 20).chars().count(), 20);
        assert_eq!(plain("abc", 0), "");
    }

    proptest! {
        #[test]
        fn nothing_gets_through(text in "\\PC*|[\\x00-\\x9f\u{200b}-\u{206f}]*", max in 0usize..90) {
            let shown = plain(&text, max);
            prop_assert!(shown.width() <= max);
            prop_assert!(!shown.chars().any(|c| c.is_control() || is_invisible(c)));
        }
    }

    #[test]
    fn on_a_narrow_terminal_the_widest_columns_give_first() {
        let mut table = Table::new(&["ID", "TRY", "TITLE", "WHY"]);
        let long = |letter: &str| Cell::new(&letter.repeat(40));
        table.row(vec![Cell::new("T001"), Cell::new(""), long("t"), long("w")]);
        for width in [40, 50, 60, 200] {
            let lines = table.lines(Colour::Off, Some(width));
            assert!(lines.iter().all(|line| line.width() <= width), "{width}: {lines:#?}");
            assert!(lines[1].contains("T001") && lines[1].contains("www"), "{lines:#?}");
            assert_eq!(lines[0].contains("TRY"), width == 200, "a column without content goes");
        }
        assert!(table.lines(Colour::Off, Some(200))[1].contains(&"t".repeat(40)));
    }

    #[test]
    fn what_does_not_fit_goes_column_by_column() {
        let mut table = Table::new(&["GATE", "STAGE", "MODE", "TOOL", "LAST", "HERE"]);
        let words =
            ["cargo-mutants", "InReview", "absolute", "cargo-mutants 25.3", "12.3 s", "yes: there is rust"];
        table.row(words.iter().map(|word| Cell::new(word)).collect());
        for width in [36, 46, 60, 80] {
            let lines = table.lines(Colour::Off, Some(width));
            assert!(lines.iter().all(|line| line.width() <= width), "{width}: {lines:#?}");
            assert!(lines[1].contains("cargo") && lines[1].contains("yes"), "{width}: {lines:#?}");
        }
        assert!(!table.lines(Colour::Off, Some(46))[0].contains("LAST"));
    }

    #[test]
    fn tables_line_up_by_width() {
        let mut table = Table::new(&["ID", "TITLE", "REASON"]);
        table.row(vec![
            Cell::new("T001"),
            Cell::new("日本"),
            Cell::new("a very long reason that does not fit"),
        ]);
        table.row(vec![Cell::new("T002").tone(Tone::Good), Cell::new("plain"), Cell::new("")]);
        let off = table.lines(Colour::Off, Some(40));
        assert_eq!(
            off,
            ["  ID    TITLE  REASON", "  T001  日本   a very long reason that…", "  T002  plain"]
        );
        let on = table.lines(Colour::On, None);
        assert!(on[2].contains("\u{1b}[32mT002\u{1b}[0m  plain"), "{on:?}");
    }

    #[test]
    fn spans_and_sizes() {
        let shown: Vec<String> = [7_999, 61_000, 7_500_000, 300_000_000].into_iter().map(span).collect();
        assert_eq!(shown, ["7 s", "1 min", "2 h 05 min", "3 d 11 h"]);
        assert_eq!([bytes(812), bytes(3_450_000), bytes(20_000_000_000)], ["812 B", "3.4 MB", "20.0 GB"]);
        assert_eq!(rfc3339(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}
