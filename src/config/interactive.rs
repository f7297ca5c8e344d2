//! The keys of an adapter about a program's own screen: how it is started there, how text is
//! brought to it, and by what its state is known. Data only; `agents::signals` reads them.

use serde::{Deserialize, Serialize};

/// How a program is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentMode {
    /// Without its screen: exact, and the pane shows a readable form of what it prints.
    #[default]
    Headless,
    /// With its own screen in the pane; a person may type into it.
    Interactive,
}

/// How a program is driven with its own screen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Interactive {
    /// Arguments of a conversation's first prompt; `{prompt}` among them submits it at the start.
    pub args: Vec<String>,
    /// Arguments of a conversation that goes on; empty: it cannot be resumed.
    pub resume: Vec<String>,
    /// Keys that empty the line where one types, before text is brought there.
    pub clear: Vec<String>,
    /// Keys that submit what was typed.
    pub submit: Vec<String>,
    /// Keys that end the program at its prompt.
    pub exit: Vec<String>,
    /// Between the end of a text and the key that submits it; programs take a key that follows too
    /// soon for a part of the text.
    pub settle: String,
    /// How long it may take until it shows that it is ready.
    pub ready_wait: String,
    /// How long it may take until it shows that it has accepted a prompt.
    pub accept_wait: String,
    /// What of its screen, when a turn is over, is what the model said last: the first group of the
    /// last match. Empty: hooks tell it, or nothing does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub said: String,
    /// Whether its hooks tell what it uses, by the keys of `usage`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub usage: bool,
}

impl Interactive {
    /// Whether these arguments bring it its prompt; otherwise it is typed.
    pub fn bring_the_prompt(args: &[String]) -> bool {
        args.iter().any(|word| word == "{prompt}")
    }
}

/// How a program is told to call `sprint hook` when something happens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HookKeys {
    /// A file in the run's directory that is written before the program starts. Empty: none.
    pub file: String,
    /// Its content. `{hook}` becomes the command line of the receiver, as it stands between the
    /// quotes of a JSON text.
    pub content: String,
    /// A file in the run's directory into which its arguments tell the program to write its events
    /// itself, one JSON object a line. Empty: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stream: String,
    /// Which events are the conversation's own; empty: all. Programs hold others beside it, to find it
    /// a title.
    pub when: String,
    /// In an event: the conversation's name.
    pub session: String,
    /// In the event that ends a turn: what the model said last.
    pub said: String,
}

/// By what a state of a program is known. Whichever there is of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignalKeys {
    /// Events that `sprint hook` receives: one of these conditions.
    pub events: Vec<String>,
    /// The title of its window.
    pub title: String,
    /// The lower part of its screen.
    pub screen: String,
    /// Beside that, or alone: whether it reads a line, which a program shows that has its terminal mark
    /// where a pasted text begins and ends for just so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<bool>,
    /// In an event: what it is about, for the person.
    pub text: String,
    /// In an event: the tool that the program wants to use.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tool: String,
    /// In an event: what it wants to do with it; the first that is there, before `text`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wants: Vec<String>,
    /// The same on its screen: the groups of the last match.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub shown: String,
}

/// By what it is known that a person has stopped a turn, beside the keys that do so everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoppedKeys {
    /// The line that the program prints at every such stop, on the lower part of its screen.
    pub screen: String,
}

impl StoppedKeys {
    fn is_none(&self) -> bool {
        self.screen.is_empty()
    }
}

/// Something on the screen that only a person should answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dialog {
    /// How it is recognised on the screen.
    #[serde(rename = "match")]
    pub pattern: String,
    /// What it asks, for the person.
    pub what: String,
    /// Keys that answer it; empty: it is the person's.
    pub answer: Vec<String>,
}

/// The states of a program by the names of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ScreenKeys {
    /// It waits for a prompt.
    pub ready: SignalKeys,
    /// It works.
    pub busy: SignalKeys,
    /// It asks whether it may do something.
    pub blocked: SignalKeys,
    /// It asks something else.
    pub question: SignalKeys,
    /// Its service does not serve for now, and it tries again.
    pub retrying: SignalKeys,
    /// A turn has ended.
    pub idle: SignalKeys,
    /// A person has stopped its turn.
    #[serde(skip_serializing_if = "StoppedKeys::is_none")]
    pub stopped: StoppedKeys,
    /// What only a person should answer.
    pub dialogs: Vec<Dialog>,
}
