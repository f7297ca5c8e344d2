//! The last line that a program printed, for the reason of its failure. It keeps a bounded tail of
//! both streams, however much is printed.

use super::protocol::plain;

/// Bytes kept of what was printed last.
const TAIL_BYTES_MAX: usize = 2 * 1024;
/// Characters of the line that are shown.
const SHOWN_CHARS_MAX: usize = 200;

/// The end of a program's output.
#[derive(Debug, Clone, Default)]
pub struct LastWords {
    tail: Vec<u8>,
}

impl LastWords {
    /// Takes what was read, of either stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(TAIL_BYTES_MAX)..];
        let too_many = (self.tail.len() + kept.len()).saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..too_many.min(self.tail.len()));
        self.tail.extend_from_slice(kept);
    }

    /// The last line with something to read in it, without escape sequences; empty if there is none.
    pub fn line(&self) -> String {
        let lines = self.tail.rsplit(|byte| matches!(byte, b'\n' | b'\r'));
        let readable = |text: &String| text.chars().any(char::is_alphanumeric);
        let line = lines.map(|line| plain(line).trim().to_owned()).find(readable).unwrap_or_default();
        match line.char_indices().nth(SHOWN_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pieces: &[&[u8]]) -> String {
        let mut words = LastWords::default();
        for piece in pieces {
            words.push(piece);
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
    fn much_is_bounded() {
        let mut words = LastWords::default();
        for _ in 0..1000 {
            words.push(&[b'x'; 4096]);
            words.push(b"yz");
        }
        assert_eq!(words.tail.len(), TAIL_BYTES_MAX);
        assert_eq!(words.line(), format!("{}…", "x".repeat(SHOWN_CHARS_MAX)));
    }
}
