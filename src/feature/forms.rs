//! One line that may be a task: list mark, box, id, labels, title.

use super::refs::{after_range_mark, story_id, task_id};
use crate::domain::ids::TaskId;

/// Labels looked at in one line; a line with more is not one that a person wrote.
const LABELS_MAX: usize = 16;

/// What a line is, as far as tasks go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// A box with an id.
    Task(Head),
    /// A box without an id: a list of acceptance points, a step of a task.
    BoxWithoutId,
    /// An id at the beginning of a list item, without a box.
    IdWithoutBox(TaskId),
    /// `- [P] tasks = different files`, any other list item.
    Item,
    /// Not a list item.
    Other,
}

/// A task as its line has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: TaskId,
    /// The other end, where the box stands for a range of ids.
    pub(super) last: Option<TaskId>,
    pub(super) state: Mark,
    /// Where the mark is in the line, in bytes; none where it is not one byte.
    pub(super) mark_at: Option<usize>,
    pub(super) parallel: bool,
    /// `US1`, in the order of the line.
    pub(super) stories: Vec<String>,
    /// Other labels: `Setup`, `P1`, `Risk: high`.
    pub(super) labels: Vec<String>,
    pub(super) title: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Open,
    Done,
    Dropped,
}

/// The width of the white space in front; a tab counts four.
pub(super) fn indent(text: &str) -> usize {
    text.chars().take_while(|c| matches!(c, ' ' | '\t')).map(|c| if c == '\t' { 4 } else { 1 }).sum()
}

/// Reads a line. `bytes` is the line as it is in the file, `text` what was decoded of it.
pub(super) fn form(bytes: &[u8], text: &str) -> Form {
    let Some(item) = list_item(text.trim_start_matches([' ', '\t'])) else { return Form::Other };
    let (struck, inside) = strip_markup(item);
    let Some((mark, rest)) = check_box(inside) else { return without_box(item) };
    let rest = rest.trim_start();
    let mut head = Parts { struck, ..Parts::default() };
    let (struck, rest) = strip_markup(rest);
    head.struck |= struck;
    let rest = head.labels(rest);
    let (struck, rest) = strip_markup(rest);
    head.struck |= struck;
    let Some((id, rest)) = id_or_bracketed(rest) else {
        // A bare letter in brackets (`[P]`, `[S]`) is a label that a note explains.
        let is_label = matches!(mark, Box::Odd);
        return if is_label { Form::Item } else { Form::BoxWithoutId };
    };
    let (last, rest) = match after_range_mark(rest).and_then(task_id) {
        Some((last, rest)) => (Some(last), rest),
        None => (None, rest),
    };
    let rest = head.labels(after_id(rest));
    let title = title(rest);
    let state = mark.state(head.struck || begins_dropped(&title));
    Form::Task(Head {
        id,
        last,
        state,
        mark_at: mark_at(bytes),
        parallel: head.parallel,
        stories: head.stories,
        labels: head.labels,
        title,
    })
}

/// The text of a list item: `- x`, `* x`, `+ x`, `1. x`, `1) x`.
fn list_item(text: &str) -> Option<&str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = if digits > 0 && digits <= 9 {
        text[digits..].strip_prefix(['.', ')'])?
    } else {
        text.strip_prefix(['-', '*', '+', '•'])?
    };
    let item = rest.trim_start_matches([' ', '\t']);
    // `-[ ] T001` lacks its blank, yet everybody means a box.
    (item.len() < rest.len() || item.starts_with('[')).then_some(item)
}

/// Takes `**`, `~~`, `__` and a back-tick off the front; tells whether something was struck out.
fn strip_markup(mut text: &str) -> (bool, &str) {
    let mut struck = false;
    loop {
        let rest = text.trim_start();
        if let Some(rest) = rest.strip_prefix("~~") {
            struck = true;
            text = rest;
        } else if let Some(rest) = ["**", "__", "*", "`"].iter().find_map(|m| rest.strip_prefix(m)) {
            text = rest;
        } else {
            return (struck, rest);
        }
    }
}

/// What stands in the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Box {
    Open,
    Done,
    Dropped,
    /// `[]`, or a tick of several bytes.
    OpenWithoutMark,
    DoneWithoutMark,
    /// Any other single character, such as `[/]` or `[P]`: a box only in front of an id.
    Odd,
}

fn check_box(text: &str) -> Option<(Box, &str)> {
    let inside = text.strip_prefix('[')?;
    let (mark, rest) = inside.split_once(']').filter(|(mark, _)| mark.len() <= 8)?;
    let kind = match mark {
        " " => Box::Open,
        "x" | "X" => Box::Done,
        "~" | "-" => Box::Dropped,
        "✓" | "✔" | "✅" | "☑" | "✔️" | " x" | "x " | " X" | "X " => Box::DoneWithoutMark,
        _ if mark.trim().is_empty() => Box::OpenWithoutMark,
        _ if mark.chars().count() == 1 => Box::Odd,
        _ => return None,
    };
    // `[x](url)` is a link.
    (!rest.starts_with('(')).then_some((kind, rest))
}

impl Box {
    fn state(self, dropped: bool) -> Mark {
        match self {
            Self::Done | Self::DoneWithoutMark if !dropped => Mark::Done,
            Self::Open | Self::OpenWithoutMark | Self::Odd if !dropped => Mark::Open,
            _ => Mark::Dropped,
        }
    }
}

/// The box is the first `[` of the line: nothing but marks of lists and fonts (or a mark of the
/// byte order) comes before it. Where a comment does, the box is none that can be ticked.
fn mark_at(bytes: &[u8]) -> Option<usize> {
    let open = bytes.iter().position(|&b| b == b'[')?;
    let is_mark = |b: &u8| b" \t-*+~_`.)0123456789".contains(b) || !b.is_ascii();
    let is_box = bytes.get(open + 2) == Some(&b']') && bytes[..open].iter().all(is_mark);
    is_box.then_some(open + 1)
}

fn without_box(item: &str) -> Form {
    let (_, inside) = strip_markup(item);
    let mut parts = Parts::default();
    let (_, inside) = strip_markup(parts.labels(inside));
    match id_or_bracketed(inside) {
        Some((id, rest)) if after_range_mark(rest).is_none() => Form::IdWithoutBox(id),
        _ => Form::Item,
    }
}

fn id_or_bracketed(text: &str) -> Option<(TaskId, &str)> {
    let bracketed = || {
        let (id, rest) = task_id(text.strip_prefix(['[', '('])?)?;
        Some((id, rest.strip_prefix([']', ')'])?))
    };
    task_id(text).or_else(bracketed)
}

/// What follows an id: marks of fonts, `:`, `.`, `)`, a dash.
fn after_id(text: &str) -> &str {
    let text = text.trim_start_matches(['*', '_', '`', '~', ':', '.', ')']).trim_start();
    ["- ", "– ", "— "].iter().find_map(|d| text.strip_prefix(d)).unwrap_or(text).trim_start()
}

#[derive(Default)]
struct Parts {
    struck: bool,
    parallel: bool,
    stories: Vec<String>,
    labels: Vec<String>,
}

impl Parts {
    /// Takes the labels off the front; a link is none, and neither is an id.
    fn labels<'a>(&mut self, mut text: &'a str) -> &'a str {
        for _ in 0..LABELS_MAX {
            let start = text.trim_start().trim_start_matches(['*', '`']);
            let Some((label, rest)) = start.strip_prefix('[').and_then(|t| t.split_once(']')) else { break };
            let is_id = task_id(label).is_some_and(|(_, rest)| rest.is_empty());
            if label.len() > 80 || label.contains('[') || rest.starts_with('(') || is_id {
                break;
            }
            self.label(label.trim());
            text = rest.trim_start_matches(['*', '`', ',', ':']).trim_start();
        }
        text
    }

    fn label(&mut self, label: &str) {
        if matches!(label, "P" | "p" | "Parallel" | "parallel") {
            self.parallel = true;
            return;
        }
        let mut others = Vec::new();
        for part in label.split(['+', ',', '/', '&', ' ', ';']).filter(|p| !p.is_empty()) {
            match story_id(part) {
                Some((story, "")) if !self.stories.contains(&story) => self.stories.push(story),
                Some((_, "")) => {}
                Some(_) | None if part == "P" => self.parallel = true,
                Some(_) | None => others.push(part),
            }
        }
        if !others.is_empty() {
            self.labels.push(others.join(" "));
        }
    }
}

/// The title: no control characters, no marks of fonts left over at its ends.
pub(super) fn title(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut title = clean.trim();
    for mark in ["~~", "**"] {
        if title.matches(mark).count() % 2 == 1 {
            let stripped = title.strip_suffix(mark).or_else(|| title.strip_prefix(mark));
            title = stripped.unwrap_or(title).trim();
        }
    }
    title.to_owned()
}

/// `DROPPED`, `(REMOVED: …)` and the like, in capitals, at the beginning of a title.
fn begins_dropped(title: &str) -> bool {
    let title = title.trim_start_matches(['*', '(', '_', '~', '[']);
    ["DROPPED", "REMOVED", "CANCELLED", "CANCELED", "WITHDRAWN"].iter().any(|word| {
        title.strip_prefix(word).is_some_and(|rest| {
            let next = rest.trim_start_matches([' ', '*', '_']).chars().next();
            next.is_none_or(|c| matches!(c, ':' | '-' | '–' | '—' | '.' | ')' | '(' | ']' | ','))
        })
    })
}
