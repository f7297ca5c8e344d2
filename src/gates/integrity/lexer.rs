//! Source files as lines of code and lines of comment: a mark in a string is no mark.
//!
//! Coarse on purpose: it knows strings and comments of four languages and nothing else of them. No
//! input makes it panic, or take longer than linear time.

/// A family of languages with the same strings and comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// `#` comments; single, double and triple quotes.
    Python,
    /// Nested `/* */`, raw strings, lifetimes.
    Rust,
    /// JavaScript and TypeScript: templates.
    Script,
    /// Raw strings between back-ticks.
    Go,
}

impl Language {
    /// By the file's name.
    pub(super) fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        Some(match name.rsplit_once('.')?.1 {
            "py" | "pyi" => Self::Python,
            "rs" => Self::Rust,
            "js" | "mjs" | "cjs" | "jsx" | "ts" | "tsx" | "mts" | "cts" => Self::Script,
            "go" => Self::Go,
            _ => return None,
        })
    }
}

/// One line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    /// As it is written.
    pub(super) raw: String,
    /// Without comments, and with blanks for what is inside of strings.
    pub(super) code: String,
    /// Its comments, without the signs that begin them.
    pub(super) comment: String,
}

impl Line {
    /// As it is written, without its comment at the end: `code` has a character for each of it.
    pub(super) fn written(&self) -> &str {
        let length = self.code.chars().count();
        let end = self.raw.char_indices().nth(length).map_or(self.raw.len(), |(at, _)| at);
        &self.raw[..end]
    }
}

/// What a place is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    LineComment,
    /// So many levels deep.
    BlockComment(u32),
    /// Until this quote, which a backslash escapes; on one line only if `short`.
    Quoted {
        quote: char,
        short: bool,
    },
    /// Until three of this quote.
    Triple(char),
    /// Until a back-tick or a quote with so many hashes; nothing is escaped.
    Raw {
        end: char,
        hashes: usize,
    },
}

/// The lines of a text.
pub(super) fn lines(text: &str, language: Language) -> Vec<Line> {
    let mut lexer = Lexer { language, inside: Inside::Code };
    let lines = text.lines().flat_map(|line| separate(line, language));
    lines.map(|raw| lexer.line(raw)).collect()
}

/// To Python a carriage return ends a line as well, and a comment with it.
fn separate(line: &str, language: Language) -> impl Iterator<Item = &str> {
    let ends: &[char] = if language == Language::Python { &['\r'] } else { &[] };
    line.split(ends)
}

struct Lexer {
    language: Language,
    inside: Inside,
}

impl Lexer {
    fn line(&mut self, raw: &str) -> Line {
        let chars: Vec<char> = raw.chars().collect();
        let mut line = Line { raw: raw.to_owned(), ..Line::default() };
        let mut at = 0;
        while at < chars.len() {
            at += self.step(&chars[at..], &mut line);
        }
        if matches!(self.inside, Inside::LineComment | Inside::Quoted { short: true, .. }) {
            self.inside = Inside::Code;
        }
        line
    }

    /// Takes what is at the front of `rest`; returns how many characters that were.
    fn step(&mut self, rest: &[char], line: &mut Line) -> usize {
        match self.inside {
            Inside::Code => self.code(rest, line),
            Inside::LineComment => {
                line.comment.extend(rest);
                rest.len()
            }
            Inside::BlockComment(depth) => self.block(rest, depth, line),
            Inside::Quoted { quote, .. } => self.quoted(rest, quote, line),
            Inside::Triple(quote) => self.until(rest, &[quote; 3], line),
            Inside::Raw { end, hashes } => {
                let mut close = vec![end];
                close.extend(std::iter::repeat_n('#', hashes));
                self.until(rest, &close, line)
            }
        }
    }

    fn code(&mut self, rest: &[char], line: &mut Line) -> usize {
        let python = self.language == Language::Python;
        if (python && rest[0] == '#') || (!python && rest.starts_with(&['/', '/'])) {
            self.inside = Inside::LineComment;
            return if python { 1 } else { 2 };
        }
        if !python && rest.starts_with(&['/', '*']) {
            self.inside = Inside::BlockComment(1);
            return 2;
        }
        let taken = self.opening(rest);
        line.code.extend(&rest[..taken]);
        taken
    }

    /// Whether a string begins here; how much of the front is code.
    fn opening(&mut self, rest: &[char]) -> usize {
        let (language, first) = (self.language, rest[0]);
        if language == Language::Python && matches!(first, '"' | '\'') {
            if rest.starts_with(&[first; 3]) {
                self.inside = Inside::Triple(first);
                return 3;
            }
            self.inside = Inside::Quoted { quote: first, short: true };
            return 1;
        }
        if language == Language::Rust && first == 'r' {
            let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
            if rest.get(1 + hashes) == Some(&'"') {
                self.inside = Inside::Raw { end: '"', hashes };
                return 2 + hashes;
            }
        }
        match (language, first) {
            (Language::Rust, '"') => self.inside = Inside::Quoted { quote: '"', short: false },
            // A character; otherwise it is a lifetime.
            (Language::Rust, '\'') if rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'') => {
                self.inside = Inside::Quoted { quote: '\'', short: true };
            }
            (Language::Script | Language::Go, '"' | '\'') => {
                self.inside = Inside::Quoted { quote: first, short: true };
            }
            (Language::Script, '`') => self.inside = Inside::Quoted { quote: '`', short: false },
            (Language::Go, '`') => self.inside = Inside::Raw { end: '`', hashes: 0 },
            _ => {}
        }
        1
    }

    fn block(&mut self, rest: &[char], depth: u32, line: &mut Line) -> usize {
        if rest.starts_with(&['*', '/']) {
            self.inside = if depth == 1 { Inside::Code } else { Inside::BlockComment(depth - 1) };
            line.comment.push(' ');
            return 2;
        }
        if self.language == Language::Rust && rest.starts_with(&['/', '*']) {
            self.inside = Inside::BlockComment(depth.saturating_add(1));
            return 2;
        }
        line.comment.push(rest[0]);
        1
    }

    fn quoted(&mut self, rest: &[char], quote: char, line: &mut Line) -> usize {
        if rest[0] == '\\' {
            line.code.push_str("  ");
            return rest.len().min(2);
        }
        if rest[0] == quote {
            self.inside = Inside::Code;
            line.code.push(quote);
        } else {
            line.code.push(' ');
        }
        1
    }

    fn until(&mut self, rest: &[char], close: &[char], line: &mut Line) -> usize {
        // Three quotes may be escaped; what is raw has no escapes.
        if rest[0] == '\\' && matches!(self.inside, Inside::Triple(_)) {
            line.code.push_str("  ");
            return rest.len().min(2);
        }
        if rest.starts_with(close) {
            self.inside = Inside::Code;
            line.code.extend(close);
            return close.len();
        }
        line.code.push(' ');
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `code|comment` of each line, blanks squeezed.
    fn shown(language: Language, text: &str) -> Vec<String> {
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        lines(text, language)
            .iter()
            .map(|line| format!("{}|{}", squeezed(&line.code), squeezed(&line.comment)))
            .collect()
    }

    #[test]
    fn python() {
        let text = "x = '# no' # noqa\n\"\"\"doc # no\n  # no\n\"\"\" # yes\ny = 'it\\'s # no'\nz = \"open\n# at last";
        let expected = ["x = ' '| noqa", "\"\"\"|", "|", "\"\"\"| yes", "y = ' '|", "z = \"|", "| at last"];
        assert_eq!(shown(Language::Python, text), expected.map(|line| line.replace("| ", "|")));
    }

    #[test]
    fn rust() {
        let text = "let a = \"// no\"; // yes\nlet c = '\"'; fn f<'a>(x: &'a str) {} // two\n\
                    let r = r#\"a \" // no\"#; /* in /* deep */ still */ code()";
        let expected = [
            "let a = \" \";|yes",
            "let c = ' '; fn f<'a>(x: &'a str) {}|two",
            "let r = r#\" \"#; code()|in deep still",
        ];
        assert_eq!(shown(Language::Rust, text), expected);
    }

    #[test]
    fn scripts_and_go() {
        let text = "const a = `x // no\n ${b} // no` // yes\nit('a // no') /* two */";
        assert_eq!(shown(Language::Script, text), ["const a = `|", "`|yes", "it(' ')|two"]);
        let text = "a := `raw \\` // yes\nb := \"x\\\" // no\"";
        assert_eq!(shown(Language::Go, text), ["a := ` `|yes", "b := \" \"|"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_stumble(text in "[\\\\\"'`#/*rx\n \u{e9}]{0,200}", which in 0..4_usize) {
            let language = [Language::Python, Language::Rust, Language::Script, Language::Go][which];
            prop_assert_eq!(lines(&text, language).len(), text.lines().count());
            prop_assert!(lines(&text, language).iter().all(|line| line.raw.starts_with(line.written())));
        }
    }
}
