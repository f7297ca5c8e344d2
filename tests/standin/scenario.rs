//! What the stand-in is told to play: plain data, in Rust, TOML or JSON.
//!
//! ```toml
//! [[rules]]
//! when = "T001"
//! steps = [{ say = "I look." }, { bash = "ls" }, { write = { path = "a.txt", content = "a" } }, { say = "Done." }]
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that a stand-in answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The first rule that matches is played.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What is said where no rule matches, and to requests that declare no tool (titles, summaries).
    #[serde(default = "default_text")]
    pub default: String,
    /// What each answer says that it has cost.
    #[serde(default)]
    pub usage: Usage,
}

fn default_text() -> String {
    "Nothing to do.".to_owned()
}

/// Played while its texts are in what the user has said last (of what matches any rule).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// A substring of a message of the user.
    pub when: String,
    /// Others that have to be in the same message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// In order; when they are over, the last text is repeated.
    pub steps: Vec<Step>,
    /// For requests that declare no tool: some programs work by texts alone.
    #[serde(default)]
    pub without_tools: bool,
}

/// One thing that the model does. A text directly before an action is said in the same answer as
/// the action; a text that nothing follows ends the turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// A text.
    Say(String),
    /// A command line for whichever tool the program declares for it.
    Bash(String),
    /// Reads a file; by a command where the program declares no tool that does.
    Read(String),
    /// A whole file; by a command where the program declares no tool that writes files.
    Write {
        /// Absolute, or relative to the working directory that the program has told its model.
        path: String,
        /// The whole content.
        content: String,
    },
    /// A call by the program's own name of a tool.
    Call {
        /// As the program declares it, or a name that it does not know. `NAMESPACE/NAME` where the
        /// Responses API has tools in namespaces.
        tool: String,
        /// Passed as they are.
        #[serde(default)]
        arguments: serde_json::Value,
    },
    /// Instead of an answer.
    Fault(Fault),
}

/// Something goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// How often, for one message of the user; absent: always. Afterwards the next step is played.
    /// Counted by the server, as no conversation shows it: give each agent a message of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Kind {
    /// An answer with this status and, unless it is given, a body as the provider would write it.
    Http {
        /// 401, 402, 429, 500, 529, …
        status: u16,
        /// Seconds, in the header `retry-after`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
        /// Other headers.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
        /// The whole body.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
    /// The connection is closed before the first byte of an answer.
    Dropped,
    /// The connection is closed in the middle of the answer.
    Truncated,
    /// A line in the middle of the answer is no JSON.
    Malformed,
    /// The answer begins, and nothing follows.
    Stalled,
    /// The model refuses.
    Refusal,
    /// The conversation has become too long for the model.
    ContextTooLong,
}

/// Tokens of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Usage {
    /// All of the input, with what is cached.
    pub input: u64,
    /// The part of the input that was read from a cache.
    pub cached: u64,
    /// All of the output.
    pub output: u64,
}

impl Default for Usage {
    /// Numbers that can be told apart in any sum.
    fn default() -> Self {
        Self { input: 1000, cached: 200, output: 30 }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self { rules: Vec::new(), default: default_text(), usage: Usage::default() }
    }
}

impl Rule {
    /// Whether it is about this message.
    pub(crate) fn is_about(&self, message: &str) -> bool {
        message.contains(&self.when) && self.also.iter().all(|text| message.contains(text))
    }
}

impl Scenario {
    /// Adds a rule.
    pub(crate) fn rule(self, when: &str, steps: impl IntoIterator<Item = Step>) -> Self {
        self.rule_for(&[when], steps)
    }

    /// Adds a rule for messages that have all of `when` in them.
    pub(crate) fn rule_for(mut self, when: &[&str], steps: impl IntoIterator<Item = Step>) -> Self {
        let mut also: Vec<String> = when.iter().map(|&text| text.to_owned()).collect();
        let (when, steps) = (also.remove(0), steps.into_iter().collect());
        self.rules.push(Rule { when, also, steps, without_tools: false });
        self
    }

    /// The same for programs that work by texts alone, and declare no tool.
    pub(crate) fn without_tools(mut self) -> Self {
        self.rules.iter_mut().for_each(|rule| rule.without_tools = true);
        self
    }
}

/// A text.
pub(crate) fn say(text: &str) -> Step {
    Step::Say(text.to_owned())
}

/// A command line.
pub(crate) fn bash(command: &str) -> Step {
    Step::Bash(command.to_owned())
}

/// Reads a file.
pub(crate) fn read(path: &str) -> Step {
    Step::Read(path.to_owned())
}

/// A whole file.
pub(crate) fn write(path: &str, content: &str) -> Step {
    Step::Write { path: path.to_owned(), content: content.to_owned() }
}

/// A call by the program's own name of a tool.
pub(crate) fn call(tool: &str, arguments: serde_json::Value) -> Step {
    Step::Call { tool: tool.to_owned(), arguments }
}

/// A fault that stays.
pub(crate) fn fault(kind: Kind) -> Step {
    Step::Fault(Fault { kind, times: None })
}

/// A fault that goes away.
pub(crate) fn fault_times(kind: Kind, times: u32) -> Step {
    Step::Fault(Fault { kind, times: Some(times) })
}

/// An answer with a status and the provider's own words for it.
pub(crate) fn http(status: u16) -> Kind {
    Kind::Http { status, retry_after: None, headers: BTreeMap::new(), body: None }
}

/// As [`http`], with `retry-after`.
pub(crate) fn http_after(status: u16, seconds: u32) -> Kind {
    Kind::Http { status, retry_after: Some(seconds), headers: BTreeMap::new(), body: None }
}
