//! What the four protocols have in common: a conversation read from a request, and an answer to it.

use serde_json::Value;

/// How much of a text is searched for the working directory.
const CWD_SEARCH_MAX: usize = 200_000;
/// What programs write before the working directory in what they tell their model.
const CWD_MARKS: [&str; 5] = [
    "<cwd>",
    "Current working directory: ",
    "Primary working directory: ",
    "Working directory: ",
    "currently working in the directory: ",
];

/// A request in any protocol.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub model: String,
    pub stream: bool,
    /// A stream is to bring the usage; only Chat Completions leaves it out unasked.
    pub usage: bool,
    pub tools: Vec<Tool>,
    /// In order, without what is of no use here.
    pub turns: Vec<Turn>,
    /// Texts of the system, for the working directory.
    pub system: Vec<String>,
}

/// One thing of a conversation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The user, or the program in the user's name, said something.
    User(String),
    /// A tool was called.
    Call,
    /// A call of ours has its result.
    Result,
}

/// A tool that the program declares.
#[derive(Debug)]
pub(super) struct Tool {
    pub name: String,
    /// JSON Schema of its arguments; null where they are free text.
    pub schema: Value,
}

/// What the model answers.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub text: Option<String>,
    pub call: Option<Call>,
    /// The text is a refusal.
    pub refused: bool,
}

/// A tool is called.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    /// Unique in the conversation; see [`is_ours`].
    pub id: String,
    pub tool: String,
    pub arguments: Value,
}

/// The id of the `number`th call of a conversation.
pub(super) fn call_id(number: usize) -> String {
    format!("call_standin_{number}")
}

/// Whether a call was made here. Programs add to ids, so it is not compared as a whole.
pub(super) fn is_ours(id: &str) -> bool {
    id.contains("standin_")
}

impl Conversation {
    /// The model's input that came last and not from a tool.
    pub(super) fn last_user(&self) -> &str {
        let users = self.turns.iter().rev().filter_map(|turn| match turn {
            Turn::User(text) => Some(text.as_str()),
            Turn::Call | Turn::Result => None,
        });
        users.into_iter().next().unwrap_or_default()
    }

    /// How many calls there were, ours and others'.
    pub(super) fn calls(&self) -> usize {
        self.turns.iter().filter(|turn| **turn == Turn::Call).count()
    }

    /// The directory that the program says it works in.
    pub(super) fn cwd(&self) -> Option<&str> {
        let users = self.turns.iter().filter_map(|turn| match turn {
            Turn::User(text) => Some(text),
            Turn::Call | Turn::Result => None,
        });
        self.system.iter().chain(users).find_map(|text| cwd_in(text))
    }
}

fn cwd_in(text: &str) -> Option<&str> {
    let text = text.get(..CWD_SEARCH_MAX).unwrap_or(text);
    let after = CWD_MARKS.iter().find_map(|mark| text.split_once(mark).map(|(_, after)| after))?;
    let line = after.split(['\n', '<']).next()?.trim();
    line.starts_with('/').then_some(line)
}

/// The texts of a `content` that is a text or a list of parts, each with `text`.
pub(super) fn texts(content: &Value) -> Vec<String> {
    match content {
        Value::String(text) => vec![text.clone()],
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

/// A field that is a text, or nothing.
pub(super) fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// A field that is a list, or no elements.
pub(super) fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

/// A text in up to three pieces, as a stream brings it.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let size = characters.len().div_ceil(3).max(1);
    characters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    /// The line `event:`, where the protocol has one.
    pub name: Option<String>,
    /// The line `data:`.
    pub data: String,
}

impl Event {
    /// An event whose name is the `type` in its data.
    pub(super) fn typed(data: &Value) -> Self {
        Self { name: data["type"].as_str().map(str::to_owned), data: data.to_string() }
    }

    /// An event without a name.
    pub(super) fn plain(data: &Value) -> Self {
        Self { name: None, data: data.to_string() }
    }

    /// As it goes over the wire.
    pub(super) fn lines(&self) -> String {
        match &self.name {
            Some(name) => format!("event: {name}\ndata: {}\n\n", self.data),
            None => format!("data: {}\n\n", self.data),
        }
    }
}
