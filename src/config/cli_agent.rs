//! The keys of an adapter of the kind `cli`: everything that sprint knows of one model's
//! command-line program. Data only; `agents::stream` reads output with it, `agents::program` makes
//! the command line of it.

use serde::{Deserialize, Serialize};

use super::interactive::{HookKeys, Interactive, ScreenKeys};

/// How a program is driven without its screen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Headless {
    /// Arguments of a conversation's first prompt, after `command` and `args`.
    pub args: Vec<String>,
    /// Arguments of a later prompt of the same conversation; empty: it cannot be resumed.
    pub resume: Vec<String>,
    /// What stands in the place of `{model.args}` where the role has a model.
    pub model: Vec<String>,
    /// What stands in the place of `{effort.args}` where an effort is asked for; empty: the program
    /// knows none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effort: Vec<String>,
    /// What stands in the place of `{budget.args}` where there is a budget in money.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budget: Vec<String>,
    /// How it reads the prompt.
    pub prompt: PromptBy,
    /// What it prints on standard output.
    pub stream: StreamKind,
    /// Whether text on standard output is never the model's own words: a program that repeats its
    /// prompt there would ask what the prompt only quotes.
    pub remarks: bool,
    /// A file in the run's directory (`{run.dir}`) that its arguments tell it to write: one JSON
    /// document, read as one more event when the program has ended. Empty: none.
    pub result: String,
}

/// How a program is given its prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptBy {
    /// Where `{prompt}` stands; at most 128 KiB.
    #[default]
    Argument,
    /// From standard input, to its end.
    Stdin,
}

/// What standard output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamKind {
    /// One JSON object a line.
    Jsonl,
    /// One JSON document in all; of a list each element is an event.
    Json,
    /// Text for people.
    #[default]
    Text,
}

/// How a conversation is named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionKeys {
    /// Whether sprint names it: `{session}` is then a new UUID in the first prompt's arguments.
    pub assign: bool,
    /// The event that tells its name.
    pub when: String,
    /// Where in that event.
    pub at: String,
    /// Where that event names the model, which the price of its tokens depends on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// What of its own screen, when it has ended, is the name: the first group.
    pub screen: String,
}

/// What of the stream a person sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// Which events.
    pub when: String,
    /// A list in the event whose elements are shown one by one; empty: the event itself.
    #[serde(default)]
    pub each: String,
    /// Which elements.
    #[serde(default)]
    pub item: String,
    /// Where the text is, in the element or else in the event.
    pub text: String,
    /// Whether it is a piece of a longer text, as the model says it: such pieces are put together
    /// until an event comes that brings none.
    #[serde(default)]
    pub pieces: bool,
    /// What it is.
    #[serde(rename = "as")]
    pub kind: ShowAs,
}

/// What a shown text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShowAs {
    /// What the model says. A line `BLOCKED: …` in it is a question.
    Text,
    /// What it thinks.
    Thought,
    /// A tool that it calls.
    Tool,
    /// What a tool gave.
    Result,
    /// A remark of the program.
    Note,
    /// The program tries again.
    Retry,
}

impl ShowAs {
    /// Whether a program shows it only when its service serves.
    pub fn is_progress(self) -> bool {
        matches!(self, Self::Text | Self::Thought | Self::Tool | Self::Result)
    }
}

/// The event that ends a turn well.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DoneKeys {
    /// Which; what failed before it does not count any more. Empty: the exit code alone tells.
    pub when: String,
    /// Or which lines of text.
    pub pattern: String,
}

/// A failure that the program tells in its output, whatever its exit code.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FailKeys {
    /// Which events.
    pub when: String,
    /// Or which lines of text, on either stream; with a group `text`, that is the text.
    pub pattern: String,
    /// Or what the lower part of its own screen shows while it waits.
    pub screen: String,
    /// Where the event has the text.
    pub text: String,
    /// What kind of failure; `other`: what the text tells, by `class`.
    pub class: Trouble,
    /// Whether it counts only where the run changed nothing: the model was refused something, and
    /// may have found another way. A good end does not take it back.
    pub weak: bool,
    /// Where the event tells when a limit ends: seconds, a date, Unix time or a time of day.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub until: String,
}

/// Kinds of failures of a model's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// Nobody is signed in, or the key is wrong.
    Auth,
    /// No credit.
    Billing,
    /// Too many requests for now.
    RateLimit,
    /// The service cannot serve for now.
    Overloaded,
    /// The conversation is too long for the model.
    Context,
    /// A limit on money or tokens was reached.
    Budget,
    /// A limit on turns was reached.
    Turns,
    /// The model refuses.
    Refused,
    /// A tool was denied.
    Denied,
    /// The service does not answer.
    Stalled,
    /// Anything else.
    #[default]
    Other,
}

impl Trouble {
    /// Whether it is about the service or the account, and not about this task's work: no attempt
    /// is spent on it.
    pub fn is_of_the_service(self) -> bool {
        matches!(self, Self::Auth | Self::Billing | Self::RateLimit | Self::Overloaded | Self::Stalled)
    }
}

impl Trouble {
    /// Whether another task would not meet it: it says nothing about the program and its account.
    pub fn is_of_the_task(self) -> bool {
        matches!(self, Self::Context | Self::Budget | Self::Turns | Self::Refused)
    }

    /// Whether a person has to do something before it is over.
    pub fn is_lasting(self) -> bool {
        matches!(self, Self::Auth | Self::Billing)
    }
}

/// The words of the keys `class`.
pub(super) const TROUBLES: &[&str] = &[
    "auth",
    "billing",
    "rate-limit",
    "overloaded",
    "context",
    "budget",
    "turns",
    "refused",
    "denied",
    "stalled",
    "other",
];

/// A text that tells a kind of failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassKeys {
    /// In the text of a failure.
    pub pattern: String,
    /// Is this.
    #[serde(rename = "is")]
    pub class: Trouble,
}

/// How a text tells when a limit ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetKeys {
    /// In the text of a failure; its groups are `hours`, `minutes` and `seconds` from now, `at` (a
    /// date with a time), `unix`, or `clock` (the time of day here).
    pub pattern: String,
}

/// Where the program tells what it used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UsageKeys {
    /// Which events.
    pub when: String,
    /// Or which lines of text, with the groups `input`, `output`, `cached`, `cost`.
    pub pattern: String,
    /// A list or a table in the event with what each of its elements used, which is added up; empty: the
    /// event itself.
    pub each: String,
    /// What several of them mean.
    pub mode: UsageMode,
    /// Where tokens are that went in, those from a cache included where the program counts so.
    pub input: String,
    /// Where tokens are that came out.
    pub output: String,
    /// Where tokens are that came from a cache.
    pub cached: String,
    /// Where the price is, in US dollars. Empty: the program tells none, and none is invented.
    pub cost: String,
}

/// What several reports of usage mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsageMode {
    /// The last one is the run's.
    #[default]
    Last,
    /// Their sum is the run's.
    Sum,
    /// The last one is the conversation's, over all its runs.
    Cumulative,
}

/// How to ask for the program's version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VersionKeys {
    /// Its arguments for that.
    pub args: Vec<String>,
    /// What of the answer is the version: the first group.
    pub pattern: String,
    /// With which versions the adapter was tried.
    pub tested: Vec<String>,
}

/// What shows that somebody is signed in; looked at without a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginKeys {
    /// One of these variables is set.
    pub env: Vec<String>,
    /// Or one of these files is there; `~` and `$VARIABLE` at the beginning are filled in.
    pub files: Vec<String>,
    /// What to type to sign in.
    pub hint: String,
}

/// How the program is offered sprint's own tools, `sprint mcp`, for one run: nothing of the
/// person's configuration is touched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct McpKeys {
    /// What stands in the place of `{mcp.args}`.
    pub args: Vec<String>,
    /// A file of the run's directory (`{run.dir}`) with `content` as JSON, for the person's eyes
    /// alone. Empty: none.
    pub file: String,
    /// A variable with `content` as JSON, unless the person has set it. Empty: none.
    pub variable: String,
    /// Any table; its texts may have placeholders.
    pub content: serde_json::Map<String, serde_json::Value>,
}

/// All of it, with what the adapter extends laid under it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CliKeys {
    /// Without its screen.
    pub headless: Headless,
    /// With its screen.
    pub interactive: Interactive,
    /// How it calls `sprint hook`.
    pub hooks: HookKeys,
    /// By what its states are known.
    pub screen: ScreenKeys,
    /// The conversation.
    pub session: SessionKeys,
    /// What a person sees.
    pub show: Vec<Show>,
    /// A good end.
    pub done: DoneKeys,
    /// Bad ones.
    pub fail: Vec<FailKeys>,
    /// What texts of failures tell.
    pub class: Vec<ClassKeys>,
    /// What texts tell of the end of a limit.
    pub reset: Vec<ResetKeys>,
    /// What was used.
    pub usage: UsageKeys,
    /// The version.
    pub version: VersionKeys,
    /// The sign-in.
    pub login: LoginKeys,
    /// What to type where the program is missing.
    pub install: String,
    /// Signs of a prompt that the program takes for more than text, wherever they stand; it takes
    /// them for text after a backslash.
    pub escape: String,
    /// How it is offered sprint's tools.
    pub mcp: McpKeys,
}
