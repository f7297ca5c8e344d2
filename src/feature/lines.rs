//! The lines of a Markdown file, with what is not text marked: front matter, fences, comments.

/// A line as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: u32,
    /// Where it begins in the file, in bytes.
    pub(super) offset: usize,
    /// The bytes, without the end of the line.
    pub(super) bytes: &'a [u8],
    /// The text, without comments; what is not UTF-8 is replaced.
    pub(super) text: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    FrontMatter,
    /// In a fence, or the fence itself.
    Fence,
    /// Wholly in a comment.
    Comment,
}

impl Kind {
    /// For a message: "in a fence".
    pub(super) fn place(self) -> &'static str {
        match self {
            Self::Text => "in the text",
            Self::FrontMatter => "in the front matter",
            Self::Fence => "in a code block",
            Self::Comment => "in a comment",
        }
    }
}

const OPEN: &str = "<!--";
const CLOSE: &str = "-->";

/// Splits a file. A comment that is never closed is text: it must not swallow the rest of a file.
pub(super) fn lines(bytes: &[u8]) -> Vec<Line<'_>> {
    let last_close = bytes.windows(CLOSE.len()).rposition(|w| w == CLOSE.as_bytes()).unwrap_or(0);
    let mut reader = Reader { front: front_matter_lines(bytes), fence: None, comment: false, last_close };
    let mut all = Vec::new();
    for (number, (offset, bytes)) in (1..).zip(split(bytes)) {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let (kind, text) = reader.read(offset, text);
        all.push(Line { number, offset, bytes, text, kind });
    }
    all
}

/// Lines with their offsets; `\r\n` and `\n` end one.
fn split(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut offset = 0;
    bytes.split_inclusive(|&b| b == b'\n').map(move |line| {
        let start = offset;
        offset += line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        (start, line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// The front matter's lines, both marks counted; none if it is not closed.
fn front_matter_lines(bytes: &[u8]) -> usize {
    let mut lines = split(bytes).map(|(_, line)| line.trim_ascii_end());
    let first = lines.next().unwrap_or_default();
    if first.strip_prefix("\u{feff}".as_bytes()).unwrap_or(first) != b"---" {
        return 0;
    }
    lines.position(|l| l == b"---" || l == b"...").map_or(0, |at| at + 2)
}

struct Reader {
    /// Lines of front matter still to come.
    front: usize,
    /// The open fence: its character and length.
    fence: Option<(char, usize)>,
    comment: bool,
    last_close: usize,
}

impl Reader {
    fn read(&mut self, offset: usize, text: &str) -> (Kind, String) {
        if self.front > 0 {
            self.front -= 1;
            return (Kind::FrontMatter, text.to_owned());
        }
        if self.comment {
            return self.in_comment(offset, text);
        }
        let fence = fence(text);
        match (self.fence, fence) {
            (None, Some(fence)) => {
                self.fence = Some((fence.character, fence.length));
                (Kind::Fence, text.to_owned())
            }
            (Some((character, length)), Some(fence))
                if fence.character == character && fence.length >= length && fence.bare =>
            {
                self.fence = None;
                (Kind::Fence, text.to_owned())
            }
            (Some(_), _) => (Kind::Fence, text.to_owned()),
            (None, None) => (Kind::Text, self.without_comments(offset, text)),
        }
    }

    fn in_comment(&mut self, offset: usize, text: &str) -> (Kind, String) {
        match text.split_once(CLOSE) {
            None => (Kind::Comment, text.to_owned()),
            Some((_, rest)) => {
                self.comment = false;
                let rest = self.without_comments(offset, rest);
                if rest.trim().is_empty() { (Kind::Comment, text.to_owned()) } else { (Kind::Text, rest) }
            }
        }
    }

    fn without_comments(&mut self, offset: usize, text: &str) -> String {
        let mut kept = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = comment_start(rest) {
            let inside = &rest[at + OPEN.len()..];
            if let Some((_, after)) = inside.split_once(CLOSE) {
                kept.push_str(&rest[..at]);
                rest = after;
            } else if offset + text.len() < self.last_close {
                kept.push_str(&rest[..at]);
                self.comment = true;
                return kept;
            } else {
                break; // No close comes any more: looking for it again and again would be quadratic.
            }
        }
        kept.push_str(rest);
        kept
    }
}

/// Where a comment begins, outside of back-ticks.
fn comment_start(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find(['`', '<']).map(|at| from + at) {
        if text[at..].starts_with(OPEN) {
            return Some(at);
        }
        from = at + 1;
        if text.as_bytes()[at] == b'`' {
            from += text[from..].find('`').map_or(0, |end| end + 1);
        }
    }
    None
}

struct Fence {
    character: char,
    length: usize,
    /// Nothing after it: it may close.
    bare: bool,
}

fn fence(text: &str) -> Option<Fence> {
    let text = text.trim();
    let character = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = text.trim_start_matches(character);
    let length = text.len() - rest.len();
    // "```x```" on one line is code in a line, not a fence.
    let is_inline = character == '`' && rest.contains('`');
    (length >= 3 && !is_inline).then_some(Fence { character, length, bare: rest.is_empty() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, String)> {
        lines(text.as_bytes()).into_iter().map(|l| (l.kind, l.text)).collect()
    }

    #[test]
    fn front_matter_fences_and_comments_are_told_from_text() {
        insta::assert_debug_snapshot!(kinds(
            "---\na: b\n---\ntext <!-- gone --> kept\n<!-- open\ninside\nend --> after\n```sh\n- [ ] T001\n```\n`<!--` text\n<!-- never closed"
        ));
    }

    #[test]
    fn front_matter_without_an_end_is_text() {
        assert!(kinds("---\na\nb\n").iter().all(|(k, _)| *k == Kind::Text));
    }

    #[test]
    fn a_fence_is_closed_by_one_as_long_of_the_same_kind() {
        let kinds: Vec<Kind> = kinds("````\n```\n~~~~\n````\ntext").into_iter().map(|(k, _)| k).collect();
        assert_eq!(kinds, [Kind::Fence, Kind::Fence, Kind::Fence, Kind::Fence, Kind::Text]);
    }

    #[test]
    fn offsets_and_ends_of_lines() {
        let all = lines(b"a\r\nbc\n\xff\n");
        let seen: Vec<_> = all.iter().map(|l| (l.number, l.offset, l.bytes)).collect();
        assert_eq!(seen, [(1, 0, &b"a"[..]), (2, 3, b"bc"), (3, 6, b"\xff")]);
        assert_eq!(all[2].text, "\u{fffd}");
    }
}
