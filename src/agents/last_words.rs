//! The line of a program's last words that tells why it failed, for the reason. It keeps a bounded tail
//! of both streams, however much is printed.

use super::protocol::plain;
use crate::process::child::Stream;
use crate::redact;

/// Bytes kept of what was printed last.
const TAIL_BYTES_MAX: usize = 2 * 1024;
/// Characters of the line that are shown.
const SHOWN_CHARS_MAX: usize = 200;

/// The end of a program's output.
#[derive(Debug, Clone, Default)]
pub struct LastWords {
    /// Whole lines.
    tail: Vec<u8>,
    /// Of each stream the line that has no end yet: none of the other is put into it.
    open: [Vec<u8>; 2],
}

impl LastWords {
    /// Takes what was read, of either stream.
    pub fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let open = &mut self.open[stream as usize];
        let whole = bytes.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
        if whole > 0 {
            keep_last(&mut self.tail, open);
            open.clear();
            keep_last(&mut self.tail, &bytes[..whole]);
        }
        keep_last(open, &bytes[whole..]);
    }

    /// What is kept, of each part from a word's beginning on where something before it is not kept.
    fn whole(&self) -> Vec<u8> {
        let [out, err] = &self.open;
        let parts = [&self.tail, out, err].map(|part| {
            let cut = part.len() == TAIL_BYTES_MAX;
            let space = part.iter().position(u8::is_ascii_whitespace).filter(|_| cut);
            &part[space.unwrap_or(0)..]
        });
        parts.join(&b'\n')
    }

    /// The first line that speaks of an error, else the last one with something to read in it; without
    /// escape sequences, empty if there is none.
    pub fn line(&self) -> String {
        let whole = self.whole();
        let lines = whole.split(|byte| matches!(byte, b'\n' | b'\r'));
        let readable = |text: &String| text.chars().any(char::is_alphanumeric);
        let lines: Vec<String> =
            lines.map(|line| unframed(&plain(line)).to_owned()).filter(readable).collect();
        let telling = lines.iter().find(|line| is_telling(line));
        let line = telling.or(lines.last()).cloned().unwrap_or_default();
        // Before it is cut: of half a secret nobody would see what it is.
        let line = redact::text(&line).into_owned();
        match line.char_indices().nth(SHOWN_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

/// Adds to a tail that keeps its end.
fn keep_last(tail: &mut Vec<u8>, bytes: &[u8]) {
    let kept = &bytes[bytes.len().saturating_sub(TAIL_BYTES_MAX)..];
    let too_many = (tail.len() + kept.len()).saturating_sub(TAIL_BYTES_MAX);
    tail.drain(..too_many);
    tail.extend_from_slice(kept);
}

/// Without the frame that some programs draw around what they say.
fn unframed(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || ('\u{2500}'..='\u{257f}').contains(&c))
}

/// Whether a line says what was wrong: behind it come usage and where to read more. A heading alone
/// (`Error`) says nothing.
fn is_telling(line: &str) -> bool {
    const WORDS: [&str; 8] =
        ["error", "fatal", "panicked", "unknown", "unexpected", "unrecognized", "invalid", "no such"];
    let lower = line.to_lowercase();
    let is_word = |(at, word): (usize, &str)| {
        let (before, after) = (lower[..at].chars().next_back(), lower[at + word.len()..].chars().next());
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    };
    line.split_whitespace().nth(1).is_some()
        && WORDS.iter().any(|word| lower.match_indices(word).any(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pieces: &[&[u8]]) -> String {
        let mut words = LastWords::default();
        for piece in pieces {
            words.push(Stream::Out, piece);
        }
        words.line()
    }

    #[test]
    fn the_last_line_that_says_something() {
        assert_eq!(line(&[]), "");
        assert_eq!(
            line(&[b"begin\n", b"\x1b[31mError: no k", b"ey\x1b[0m\r\n", b"  \n---\n"]),
            "Error: no key"
        );
        assert_eq!(line(&[b"10%\r20%\rcannot go on"]), "cannot go on");
    }

    #[test]
    fn of_a_refused_flag_the_line_that_says_so() {
        let codex: &[u8] =
            b"error: unexpected argument '--bogus' found\n\n  tip: to pass it, use '-- --bogus'\n\n\
            Usage: codex exec [OPTIONS]\n\nFor more information, try '--help'.\n";
        assert_eq!(line(&[codex]), "error: unexpected argument '--bogus' found");
        let aider: &[u8] =
            b"usage: aider [-h]\n             [FILE ...]\naider: error: unrecognized arguments: --bogus\n";
        assert_eq!(line(&[aider]), "aider: error: unrecognized arguments: --bogus");
        let mini = "Usage: mini [OPTIONS]\n╭─ Error ─────╮\n│ No such option: --bogus │\n╰─────╯\n";
        assert_eq!(line(&[mini.as_bytes()]), "No such option: --bogus");
        assert_eq!(line(&[b"0 errors, terrors\nthe end\n"]), "the end", "only whole words");
    }

    #[test]
    fn a_line_of_one_stream_is_not_put_into_one_of_the_other() {
        let mut words = LastWords::default();
        let token = ["ghp", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"].join("_");
        let (first, second) = token.split_at(14);
        words.push(Stream::Err, format!("fatal: bad {first}").as_bytes());
        words.push(Stream::Out, b"begun\n");
        words.push(Stream::Err, second.as_bytes());
        assert_eq!(words.line(), "fatal: bad [redacted: GitHub token]");
    }

    #[test]
    fn much_is_bounded() {
        let mut words = LastWords::default();
        for _ in 0..1000 {
            words.push(Stream::Out, &[b'x'; 4096]);
            words.push(Stream::Out, b"yz");
        }
        assert_eq!((words.tail.len(), words.open[0].len()), (0, TAIL_BYTES_MAX));
        assert_eq!(words.line(), format!("{}…", "x".repeat(SHOWN_CHARS_MAX)));
    }
}
