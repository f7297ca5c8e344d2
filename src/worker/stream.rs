//! Cleans what programs print: text, line ends, tabs and colours stay, every other control
//! sequence goes. Incremental: a sequence may be cut anywhere between two pieces.

/// Longer sequences are no colours.
const SEQUENCE_MAX: usize = 32;

/// The state between two pieces.
#[derive(Debug, Default)]
pub(super) struct Filter {
    state: Place,
}

#[derive(Debug, Default)]
enum Place {
    #[default]
    Text,
    Escape,
    /// After `ESC [`, with what came so far.
    Control(Vec<u8>),
    /// In a string such as a title, which ends with BEL or `ESC \`.
    String,
    /// In such a string, after an ESC.
    StringEscape,
}

impl Filter {
    /// What may be shown of the next piece.
    pub(super) fn clean(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((first, tail)) = rest.split_first() {
            // Text comes in long stretches, and a flood of it must not cost more than a copy.
            let text = if matches!(self.state, Place::Text) { text_at(rest) } else { 0 };
            if text > 0 {
                out.extend_from_slice(&rest[..text]);
                rest = &rest[text..];
            } else {
                self.step(*first, &mut out);
                rest = tail;
            }
        }
        out
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        #[expect(clippy::match_same_arms, reason = "a transition table: one line a transition")]
        let next = match (std::mem::take(&mut self.state), byte) {
            (Place::Text, b'\n' | b'\t' | 0x20..=0x7e | 0x80..) => {
                out.push(byte);
                Place::Text
            }
            (Place::Text, 0x1b) => Place::Escape,
            (Place::Escape, b'[') => Place::Control(Vec::new()),
            (Place::Escape, b']' | b'P' | b'X' | b'^' | b'_') | (Place::String, 0x20..=0xff) => Place::String,
            (Place::Control(mut so_far), b'0'..=b'9' | b';' | b':') if so_far.len() < SEQUENCE_MAX => {
                so_far.push(byte);
                Place::Control(so_far)
            }
            (Place::Control(so_far), b'm') => {
                out.extend_from_slice(b"\x1b[");
                out.extend_from_slice(&so_far);
                out.push(b'm');
                Place::Text
            }
            // Parameters and intermediates that are no colour: swallowed up to the final byte.
            (Place::Control(so_far), 0x20..=0x3f) => Place::Control(so_far),
            (Place::String, 0x1b) => Place::StringEscape,
            // A string that has no end in its line ends with it: the rest of the output is text.
            (Place::String, b'\n') => {
                out.push(b'\n');
                Place::Text
            }
            (Place::String, 0x07) | (Place::StringEscape, b'\\') => Place::Text,
            (Place::String | Place::StringEscape, _) => Place::String,
            // Every other control character, and the end of a sequence.
            (Place::Text | Place::Escape | Place::Control(_), _) => Place::Text,
        };
        self.state = next;
    }
}

/// How many bytes from the first on are text.
fn text_at(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| *byte < 0x20 && *byte != b'\n' && *byte != b'\t' || *byte == 0x7f)
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], shown: &str) {
        let mut whole = Filter::default();
        assert_eq!(String::from_utf8_lossy(&whole.clean(input)), shown);
        let mut pieces = Filter::default();
        let bytes: Vec<u8> = input.iter().flat_map(|byte| pieces.clean(&[*byte])).collect();
        assert_eq!(String::from_utf8_lossy(&bytes), shown, "cut into bytes");
    }

    #[test]
    fn text_and_colours_stay() {
        check("a\tä\nb\x1b[1;31mred\x1b[0m".as_bytes(), "a\tä\nb\x1b[1;31mred\x1b[0m");
    }

    #[test]
    fn what_could_drive_a_terminal_goes() {
        check(b"a\x1b]0;title\x07b", "ab");
        check(b"a\x1b]52;c;ZXZpbA==\x1b\\b", "ab");
        check(b"a\x1b[2J\x1b[?1049hb\x1b[6nc", "abc");
        check(b"a\x1bcb\x07\x08c", "abc");
        check(b"\x1bP+q544e\x1b\\x", "x");
    }
}
