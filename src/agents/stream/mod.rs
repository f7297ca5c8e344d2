//! What a model's program prints without its screen: read by the rules of its adapter into what a
//! person sees, what it used, and how it ended. An incremental parser over bytes, pure; it keeps
//! one bounded line (or document) and a few words, however much is printed.

mod pieces;
mod reset;
mod rules;
mod usage;

use serde_json::Value;

pub use reset::Until;
pub use rules::{BadRule, Rules};
pub use usage::Usage;

use self::pieces::Pieces;
use self::rules::{Counts, FailRule, ShowRule};
use self::usage::{amount, whole};
use super::protocol::plain;
use crate::config::StreamKind;
use crate::config::cli_agent::{ShowAs, Trouble, UsageMode};
use crate::config::interactive::HookKeys;
use crate::config::selector::{Path, When};

/// Bytes of one event; of a longer one only its length is known.
pub const EVENT_BYTES_MAX: usize = 4 << 20;
/// Lines at the end of a screen that are not empty, in which a failure is looked for: what came
/// before the last turn is further up.
const SCREEN_LINES: usize = 10;
/// Characters of a failure's text that are kept.
const TEXT_CHARS_MAX: usize = 500;

/// Something for a person to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it is.
    pub kind: ShowAs,
    /// Without escape sequences; may have several lines.
    pub text: String,
}

/// How it went wrong, in the program's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub class: Trouble,
    /// In its words.
    pub text: String,
    /// When a limit ends, if it tells.
    pub until: Option<Until>,
    /// Whether the program told it; else its end shows it, and `text` is the whole of it.
    pub told: bool,
}

impl Failure {
    /// For people: what happened, in the program's words, and what to do.
    pub fn reason(&self) -> String {
        let none = "the program gives no reason".to_owned();
        let text = if self.text.is_empty() { &none } else { &self.text };
        match self.class {
            Trouble::Auth => {
                format!("the model's service refuses the account: {text}; sign in again")
            }
            Trouble::Billing => format!("the account has no credit: {text}; see to it"),
            Trouble::RateLimit => format!("the model's service has a limit, tried again later: {text}"),
            Trouble::Overloaded => format!("the model's service cannot serve now, tried again later: {text}"),
            Trouble::Context => format!("the conversation is too long for the model: {text}"),
            Trouble::Budget => format!("the limit on money or tokens is reached: {text}"),
            Trouble::Turns => format!("the limit on turns is reached: {text}"),
            Trouble::Refused => format!("the model refuses: {text}"),
            Trouble::Denied => format!("the agent was denied what it needs: {text}"),
            Trouble::Stalled => format!("the connection to the model's service broke: {text}"),
            Trouble::Other if !self.told => text.clone(),
            Trouble::Other => format!("the agent's program tells a failure: {text}"),
        }
    }
}

/// What the stream told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// The conversation's name.
    pub session: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// Whether the event of a good end came; always where the adapter knows none.
    pub done: bool,
    /// What failed after that, or without it.
    pub failure: Option<Failure>,
    /// How often the service was told to have failed.
    pub unserved: u32,
    /// What failed, and counts only where nothing was changed.
    pub weak: Option<Failure>,
    /// What was used; none where the program told nothing.
    pub usage: Option<Usage>,
    /// Whether `usage` is the whole conversation's, its earlier runs included.
    pub cumulative: bool,
}

/// The parser of one run's standard output and standard error.
#[derive(Debug, Clone)]
pub struct Reader {
    rules: Rules,
    line: Line,
    errors: Line,
    pieces: Pieces,
    told: Told,
}

/// A line, or a document, that has not ended.
#[derive(Debug, Clone, Default)]
struct Line {
    bytes: Vec<u8>,
    cut: usize,
}

impl Reader {
    /// For one run.
    pub fn new(rules: Rules) -> Self {
        let told = Told {
            done: rules.done.0.is_empty() && rules.done.1.is_none(),
            cumulative: rules.usage.mode == UsageMode::Cumulative,
            ..Told::default()
        };
        Self { rules, line: Line::default(), errors: Line::default(), pieces: Pieces::default(), told }
    }

    /// Takes what was read of standard output, and returns what there is to see.
    pub fn out(&mut self, bytes: &[u8]) -> Vec<Shown> {
        if self.rules.stream == StreamKind::Json {
            self.line.keep(bytes);
            return Vec::new();
        }
        let lines = self.line.split(bytes);
        lines.iter().flat_map(|line| self.line(line)).collect()
    }

    /// Takes what was read of standard error: text, whatever standard output is.
    pub fn err(&mut self, bytes: &[u8]) -> Vec<Shown> {
        let lines = self.errors.split(bytes);
        lines.iter().flat_map(|line| self.text(line)).collect()
    }

    /// Both streams have ended.
    pub fn end(&mut self) -> Vec<Shown> {
        let mut shown = Vec::new();
        let rest = std::mem::take(&mut self.line);
        match self.rules.stream {
            StreamKind::Json => shown.extend(self.document(&rest)),
            StreamKind::Jsonl | StreamKind::Text if !rest.bytes.is_empty() => shown.extend(self.line(&rest)),
            StreamKind::Jsonl | StreamKind::Text => {}
        }
        let rest = std::mem::take(&mut self.errors);
        if !rest.bytes.is_empty() {
            shown.extend(self.text(&rest));
        }
        shown.extend(self.pieces.end());
        shown
    }

    /// The file that the program wrote beside its output: one more event.
    pub fn result(&mut self, bytes: &[u8]) -> Vec<Shown> {
        match serde_json::from_slice::<Value>(bytes) {
            Ok(event) => self.event(&event),
            // A file that was cut tells nothing, so that a good end in it is none either.
            Err(_) => Vec::new(),
        }
    }

    /// Whether the adapter knows the event of a good end.
    pub fn knows_its_end(&self) -> bool {
        !self.rules.done.0.is_empty() || self.rules.done.1.is_some()
    }

    /// What a hook of the program tells is one more event. Returns what the model said last, where
    /// the event ends its turn.
    pub fn hook(&mut self, event: &Value, keys: &HookKeys) -> Option<String> {
        if !keys.when.is_empty() && !When::parse(&keys.when).is_ok_and(|when| when.holds(event)) {
            return None;
        }
        let text = |path: &str| Path::parse(path).map(|path| path.text(event)).unwrap_or_default();
        let session = text(&keys.session);
        if !session.is_empty() {
            self.told.session = Some(session);
        }
        self.event(event);
        Some(text(&keys.said)).filter(|said| !said.trim().is_empty())
    }

    /// What the program's own screen shows when it has ended: some say how to go on.
    pub fn last_screen(&mut self, lines: &[String]) {
        let Some(pattern) = &self.rules.session_screen else { return };
        let found = lines.iter().rev().find_map(|line| pattern.captures(line)?.get(1));
        if let Some(name) = found {
            self.told.session = Some(name.as_str().to_owned());
        }
    }

    /// What the program's own screen shows while it waits: it may tell a failure, that no good end
    /// follows.
    pub fn screen(&mut self, lines: &[String]) {
        let shows = |line: &String| {
            let found = |rule: &'_ FailRule| {
                let words = rule.screen.as_ref()?.captures(line)?;
                let words = words.name("text").map_or(line.as_str(), |group| group.as_str());
                Some((self.failure(rule.class, words), rule.weak))
            };
            self.rules.fail.iter().find_map(found)
        };
        let good = |line: &String| self.rules.done.1.as_ref().is_some_and(|pattern| pattern.is_match(line));
        let full = lines.iter().rev().filter(|line| !line.trim().is_empty()).take_while(|line| !good(line));
        if let Some((failure, weak)) = full.take(SCREEN_LINES).find_map(shows) {
            self.failed(failure, weak);
        }
    }

    /// What the model has said last, as the program's own screen shows it. The lines of a question are
    /// one: the screen has broken it where it ended.
    pub fn said_on(&self, lines: &[String]) -> Option<String> {
        let screen = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n");
        let said = self.rules.said.as_ref()?.captures_iter(&screen).last()?.get(1)?;
        let said: Vec<&str> = said.as_str().lines().map(str::trim).collect();
        let question = said.iter().position(|line| line.starts_with("BLOCKED:")).unwrap_or(said.len());
        let (before, question) = said.split_at(question);
        let text = [before.join("\n"), question.join(" ")].join("\n");
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// It was ended because it has only tried again for too long.
    pub fn gave_up(&mut self, words: &str) {
        let of_service = |failure: &Failure| failure.class.is_of_the_service();
        let told = self.told.failure.take().filter(of_service);
        self.told.failure = told.or_else(|| Some(self.failure(Trouble::Overloaded, words)));
    }

    /// What is known now.
    pub fn told(&self) -> &Told {
        &self.told
    }

    fn line(&mut self, line: &Line) -> Vec<Shown> {
        if self.rules.stream == StreamKind::Text {
            return self.text(line);
        }
        match serde_json::from_slice::<Value>(&line.bytes) {
            Ok(event @ Value::Object(_)) => self.event(&event),
            // Programs mix remarks into their streams.
            Ok(_) | Err(_) => self.text(line),
        }
    }

    /// Of a document whatever stands before its first brace is a remark.
    fn document(&mut self, document: &Line) -> Vec<Shown> {
        let begin = document.bytes.iter().position(|byte| matches!(byte, b'{' | b'['));
        let mut values = begin.into_iter().flat_map(|at| {
            serde_json::Deserializer::from_slice(&document.bytes[at..]).into_iter::<Value>().take(1)
        });
        match values.next() {
            Some(Ok(Value::Array(events))) => events.iter().flat_map(|event| self.event(event)).collect(),
            Some(Ok(event)) => self.event(&event),
            Some(Err(_)) | None => self.text(document),
        }
    }

    fn event(&mut self, event: &Value) -> Vec<Shown> {
        let (when, at) = &self.rules.session;
        if when.holds(event) {
            self.told.session =
                Some(at.text(event)).filter(|name| !name.is_empty()).or(self.told.session.take());
            let model = Some(self.rules.model.text(event)).filter(|name| !name.is_empty());
            self.told.model = model.or(self.told.model.take());
        }
        self.used(event);
        if self.rules.done.0.holds(event) {
            self.told.done = true;
            self.told.failure = None;
        }
        let failed = self.rules.fail.iter().find(|rule| rule.when.holds(event));
        if let Some(rule) = failed {
            let (mut failure, weak) = (self.failure(rule.class, &rule.text.text(event)), rule.weak);
            failure.until = rule.until.find(event).and_then(reset::in_value).or(failure.until);
            self.failed(failure, weak);
        }
        let pieces = self.rules.show.iter().filter(|rule| rule.pieces).flat_map(|rule| show(rule, event));
        let pieces: Vec<Shown> = pieces.collect();
        let mut all = if pieces.is_empty() { self.pieces.end() } else { self.pieces.add(pieces) };
        all.extend(self.rules.show.iter().filter(|rule| !rule.pieces).flat_map(|rule| show(rule, event)));
        all
    }

    fn failed(&mut self, failure: Failure, weak: bool) {
        self.told.unserved += u32::from(failure.class.is_of_the_service());
        let kept = if weak { &mut self.told.weak } else { &mut self.told.failure };
        *kept = Some(failure);
    }

    fn text(&mut self, line: &Line) -> Vec<Shown> {
        let text = line.text();
        let matches = |pattern: &Option<regex::Regex>| pattern.as_ref().is_some_and(|p| p.is_match(&text));
        if matches(&self.rules.done.1) {
            self.told.done = true;
            self.told.failure = None;
        }
        let found =
            self.rules.fail.iter().find_map(|rule| Some((rule, rule.pattern.as_ref()?.captures(&text)?)));
        if let Some((rule, found)) = found {
            let words = found.name("text").map_or(text.as_str(), |group| group.as_str());
            let (failure, weak) = (self.failure(rule.class, words), rule.weak);
            self.failed(failure, weak);
        }
        if let Some(found) = self.rules.usage.pattern.as_ref().and_then(|pattern| pattern.captures(&text)) {
            let number = |name: &str| found.name(name).and_then(|group| amount(group.as_str()));
            let tokens = |name: &str| number(name).map(whole);
            let (input, output) = (tokens("input"), tokens("output"));
            self.add(input, output, tokens("cached"), number("cost"));
        }
        if text.trim().is_empty() { Vec::new() } else { vec![Shown { kind: self.plain_kind(), text }] }
    }

    /// Text that is not an event: the model's own words only where all output is text.
    fn plain_kind(&self) -> ShowAs {
        if self.rules.stream == StreamKind::Text && !self.rules.remarks { ShowAs::Text } else { ShowAs::Note }
    }

    fn failure(&self, class: Trouble, text: &str) -> Failure {
        let text: String = plain(text.replace('\n', " ").as_bytes()).chars().take(TEXT_CHARS_MAX).collect();
        let until = reset::in_text(&self.rules.reset, &text);
        Failure { class: self.rules.classify(class, &text), text: text.trim().to_owned(), until, told: true }
    }

    fn used(&mut self, event: &Value) {
        let rule = &self.rules.usage;
        if !rule.when.holds(event) {
            return;
        }
        let of = |value: &Value| rule.counts(value);
        let counts = match rule.each.find(event) {
            Some(Value::Array(list)) => list.iter().map(of).reduce(Counts::plus),
            // A table that is there and empty tells that nothing was used.
            Some(Value::Object(table)) => {
                table.values().map(of).reduce(Counts::plus).or_else(|| Some(rule.nothing()))
            }
            Some(_) => None,
            None => Some(of(event)),
        };
        if let Some(Counts { input, output, cached, cost }) = counts {
            self.add(input, output, cached, cost);
        }
    }

    fn add(&mut self, input: Option<u64>, output: Option<u64>, cached: Option<u64>, cost: Option<f64>) {
        let (None, None, None, None) = (input, output, cached, cost) else {
            let new = Usage { input: input.unwrap_or(0), output: output.unwrap_or(0), cached, cost };
            let before = self.told.usage.unwrap_or_default();
            self.told.usage = Some(match self.rules.usage.mode {
                UsageMode::Last => new,
                UsageMode::Sum => before.plus(&new),
                // One that goes backwards is a mistake of the program's.
                UsageMode::Cumulative => before.at_least(&new),
            });
            return;
        };
    }
}

fn show(rule: &ShowRule, event: &Value) -> Vec<Shown> {
    if !rule.when.holds(event) {
        return Vec::new();
    }
    let one = |value: &Value| {
        let text = rule.text.text(value);
        let lines: Vec<String> = text.split('\n').map(|line| plain(line.as_bytes())).collect();
        let text = lines.join("\n");
        // Between two pieces of a text a space, or the end of a line, is a part of it.
        let empty = if rule.pieces { text.is_empty() } else { text.trim().is_empty() };
        let text = if rule.pieces { text } else { text.trim_end_matches('\n').to_owned() };
        (!empty).then_some(Shown { kind: rule.kind, text })
    };
    match rule.each.find(event) {
        Some(Value::Array(list)) => {
            list.iter().filter(|item| rule.item.is_empty() || rule.item.holds(item)).filter_map(one).collect()
        }
        Some(_) => Vec::new(),
        None => one(event).into_iter().collect(),
    }
}

impl Line {
    fn keep(&mut self, bytes: &[u8]) {
        let room = EVENT_BYTES_MAX.saturating_sub(self.bytes.len());
        let kept = bytes.len().min(room);
        self.bytes.extend_from_slice(&bytes[..kept]);
        self.cut += bytes.len() - kept;
    }

    /// The lines that end in `bytes`.
    fn split(&mut self, bytes: &[u8]) -> Vec<Self> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(text) => {
                    self.keep(text);
                    lines.push(std::mem::take(self));
                }
                None => self.keep(part),
            }
        }
        lines
    }

    fn text(&self) -> String {
        if self.cut > 0 {
            return format!("(a line of {} bytes)", self.bytes.len() + self.cut);
        }
        plain(self.bytes.strip_suffix(b"\r").unwrap_or(&self.bytes))
    }
}

#[cfg(test)]
mod jsonl_tests;
#[cfg(test)]
mod recorded_tests;
#[cfg(test)]
mod tests;
