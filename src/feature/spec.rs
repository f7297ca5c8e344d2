//! `spec.md`: title, stories, acceptance scenarios, requirements, open questions.
//!
//! It does not judge them: whether an open question stops a start is for the caller to say.

use super::forms::title;
use super::headings::heading;
use super::lines::{Kind, lines};
use super::refs::story_id;

/// Open questions kept.
const UNCLEAR_MAX: usize = 1000;
const MARK: &str = "[NEEDS CLARIFICATION";

/// What a `spec.md` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpecDocument {
    /// Without "Feature Specification:".
    pub title: String,
    pub stories: Vec<Story>,
    /// `FR-001`, in the order of the file.
    pub requirements: Vec<Requirement>,
    /// `SC-001`.
    pub criteria: Vec<Requirement>,
    pub unclear: Vec<Unclear>,
}

/// A user story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// `US1`.
    pub id: String,
    pub title: String,
    /// `P1`, where given.
    pub priority: Option<String>,
    pub line: u32,
    pub scenarios: Vec<Scenario>,
}

/// An acceptance scenario: Given, When, Then, as one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    pub line: u32,
    pub text: String,
}

/// A requirement or a success criterion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    pub id: String,
    pub line: u32,
    pub text: String,
}

/// `[NEEDS CLARIFICATION: …]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclear {
    pub line: u32,
    pub question: String,
}

impl SpecDocument {
    /// Reads a file; never fails.
    pub fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader::default();
        for line in lines(bytes).iter().filter(|l| l.kind == Kind::Text) {
            reader.line(line.number, line.text.trim_end());
        }
        reader.document
    }
}

/// What a wrapped line goes on with.
#[derive(Clone, Copy, Default)]
enum Open {
    #[default]
    Nothing,
    Scenario,
    Requirement,
    Criterion,
}

#[derive(Default)]
struct Reader {
    document: SpecDocument,
    open: Open,
    /// The level of the heading of the story that we are in.
    story_level: Option<usize>,
}

impl Reader {
    fn line(&mut self, number: u32, text: &str) {
        self.questions(number, text);
        if let Some(heading) = heading(text) {
            self.open = Open::Nothing;
            return self.heading(number, heading.level, heading.text);
        }
        let point = without_list_mark(text.trim_start());
        let plain = point.replace("**", "").replace("__", "");
        if plain.trim().is_empty() {
            self.open = Open::Nothing;
        } else if let Some((id, rest)) = requirement_id(&plain) {
            let found = Requirement { id: id.to_owned(), line: number, text: title(rest) };
            let is_criterion = id.starts_with("SC");
            self.open = if is_criterion { Open::Criterion } else { Open::Requirement };
            let list =
                if is_criterion { &mut self.document.criteria } else { &mut self.document.requirements };
            list.push(found);
        } else if starts_with_word(&plain, "given") {
            self.scenario(number, &plain);
        } else if point.len() == text.trim_start().len() || is_step(&plain) {
            self.goes_on(&plain);
        } else {
            self.open = Open::Nothing;
        }
    }

    fn heading(&mut self, line: u32, level: usize, text: &str) {
        if level == 1 && self.document.title.is_empty() {
            let name = text.strip_prefix("Feature Specification:").or_else(|| text.strip_prefix("Spec:"));
            self.document.title = title(name.unwrap_or(text));
            return;
        }
        if let Some((id, rest)) = story_id(text) {
            let (name, priority) = priority(rest);
            let name = title(name.trim_start_matches([' ', '-', '–', '—', ':', '.']));
            self.document.stories.push(Story { id, title: name, priority, line, scenarios: Vec::new() });
            self.story_level = Some(level);
        } else if self.story_level.is_some_and(|story| level <= story) {
            self.story_level = None;
        }
    }

    /// A scenario outside of a story belongs to none, and is left out.
    fn scenario(&mut self, line: u32, text: &str) {
        self.open = Open::Nothing;
        if self.story_level.is_some()
            && let Some(story) = self.document.stories.last_mut()
        {
            story.scenarios.push(Scenario { line, text: title(text) });
            self.open = Open::Scenario;
        }
    }

    fn goes_on(&mut self, text: &str) {
        let document = &mut self.document;
        let target = match self.open {
            Open::Nothing => None,
            Open::Scenario => {
                document.stories.last_mut().and_then(|s| s.scenarios.last_mut()).map(|s| &mut s.text)
            }
            Open::Requirement => document.requirements.last_mut().map(|r| &mut r.text),
            Open::Criterion => document.criteria.last_mut().map(|r| &mut r.text),
        };
        if let Some(target) = target {
            target.push(' ');
            target.push_str(&title(text));
        }
    }

    /// A mark in back-ticks is talk about marks.
    fn questions(&mut self, line: u32, text: &str) {
        let mut ticks = 0;
        let mut parts = text.split(MARK);
        ticks += parts.next().unwrap_or_default().matches('`').count();
        for part in parts {
            let is_quoted = ticks % 2 == 1;
            ticks += part.matches('`').count();
            if !is_quoted && self.document.unclear.len() < UNCLEAR_MAX {
                let question = part.split(']').next().unwrap_or_default();
                let question = title(question.trim_start_matches([':', ' ']));
                self.document.unclear.push(Unclear { line, question });
            }
        }
    }
}

fn without_list_mark(text: &str) -> &str {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest =
        if digits > 0 { text[digits..].strip_prefix(['.', ')']) } else { text.strip_prefix(['-', '*', '+']) };
    rest.filter(|r| r.starts_with([' ', '\t'])).map_or(text, str::trim_start)
}

/// `FR-001`, `FR-001a`, `NFR-2`, `SC-003`, and what follows.
fn requirement_id(text: &str) -> Option<(&str, &str)> {
    let prefix = ["NFR-", "FR-", "SC-"].into_iter().find(|p| text.starts_with(p))?;
    let digits = text[prefix.len()..].bytes().take_while(u8::is_ascii_digit).count();
    let mut end = prefix.len() + digits;
    end += text[end..].bytes().take_while(u8::is_ascii_alphanumeric).count();
    let (id, rest) = text.split_at(end);
    let rest = rest.trim_start_matches([':', ' ', '-', '–', '—', '.']);
    (digits > 0).then_some((id, rest))
}

/// "(Priority: P1)" at the end of a heading.
fn priority(text: &str) -> (&str, Option<String>) {
    let Some((name, rest)) = text.split_once("(Priority:") else { return (text, None) };
    let value = rest.split(')').next().unwrap_or_default().trim();
    (name, (!value.is_empty()).then(|| title(value)))
}

fn starts_with_word(text: &str, word: &str) -> bool {
    let start = text.trim_start().get(..word.len());
    start.is_some_and(|s| s.eq_ignore_ascii_case(word))
        && !text.trim_start()[word.len()..].starts_with(char::is_alphanumeric)
}

/// When, Then and And on lines of their own.
fn is_step(text: &str) -> bool {
    ["when", "then", "and", "but"].iter().any(|w| starts_with_word(text, w))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification() {
        insta::assert_debug_snapshot!(SpecDocument::read(include_bytes!("../../tests/fixtures/spec.md")));
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(SpecDocument::read(b""), SpecDocument::default());
    }
}
