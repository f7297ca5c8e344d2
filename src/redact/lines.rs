//! Secrets in what comes in pieces: a secret may be cut anywhere between two of them, so lines are
//! looked at whole.

use std::borrow::Cow;

use super::{forms, known};

/// Of a line without an end so much is kept back.
const PENDING_MAX: usize = 8 * 1024;
/// The end of such a line that stays back when the rest goes: no secret on one line is longer.
const OVERLAP: usize = 4 * 1024;

/// What is between two pieces.
#[derive(Debug, Default)]
pub struct Lines {
    pending: Vec<u8>,
    key: Key,
}

/// Where in a private key, whose lines say nothing by themselves.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Key {
    #[default]
    Outside,
    /// After its first line.
    Begun,
    /// Lines of it were left out.
    Inside,
}

impl Lines {
    /// What may be shown by now: whole lines, and of an endless one all but its end.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pending.extend_from_slice(bytes);
        let mut out = Vec::new();
        let whole = self.pending.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.pending.drain(..whole).collect();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            self.line(line, &mut out);
        }
        if self.pending.len() > PENDING_MAX {
            let cut = forms::outside(&self.pending, self.pending.len() - OVERLAP);
            let part: Vec<u8> = self.pending.drain(..cut).collect();
            out.extend_from_slice(&known::bytes(&part));
        }
        out
    }

    /// The rest: nothing comes any more.
    pub fn finish(&mut self) -> Vec<u8> {
        let (mut out, rest) = (Vec::new(), std::mem::take(&mut self.pending));
        if !rest.is_empty() {
            self.line(&rest, &mut out);
        }
        self.key = Key::Outside;
        out
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        if self.key != Key::Outside && is_of_key(line) {
            if self.key == Key::Begun {
                out.extend_from_slice(b"[redacted: private key]\n");
            }
            self.key = Key::Inside;
            return;
        }
        self.key = if begins_key(line) { Key::Begun } else { Key::Outside };
        out.extend_from_slice(&uncoloured(known::bytes(line)));
    }
}

/// A secret with a colour in the middle is one as soon as somebody shows the line without colours: then the line
/// loses them here.
fn uncoloured(line: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if !line.contains(&0x1b) {
        return line;
    }
    let plain = without_colours(&String::from_utf8_lossy(&line));
    let clean = known::bytes(plain.as_bytes());
    if *clean == *plain.as_bytes() { line } else { Cow::Owned(clean.into_owned()) }
}

fn begins_key(line: &[u8]) -> bool {
    let has = |words: &[u8]| line.windows(words.len()).any(|window| window == words);
    has(b"-----BEGIN ") && has(b"PRIVATE KEY") && !has(b"-----END ")
}

/// Base64, or a header or an empty line before it, with whatever a tool puts around a line.
fn is_of_key(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let plain = without_colours(&text);
    let words = plain.trim_matches(|c: char| c.is_whitespace() || "|>\"',-+".contains(c));
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=\\".contains(c);
    let is_header = ["Proc-Type:", "DEK-Info:", "Version:", "Comment:"].iter().any(|h| words.starts_with(h));
    !plain.contains("-----END ") && (is_header || words.chars().all(is_base64))
}

fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 2..];
        rest = tail.find('m').map_or("", |end| &tail[end + 1..]);
    }
    out + rest
}
