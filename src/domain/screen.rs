//! How an agent's program stands, as its worker sees it: shown to people, and never proof of work.

use serde::{Deserialize, Serialize};

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stand {
    /// It was started and has not shown itself.
    Starting,
    /// It waits for its first prompt.
    Ready,
    /// It works.
    Busy,
    /// It asks whether it may do something.
    Permission,
    /// It asks something else.
    Question,
    /// It shows what only a person should answer: sign-in, trust, an update.
    Dialog,
    /// Its service does not serve for now, and it tries again by itself.
    Retrying,
    /// Its turn has ended.
    Idle,
}

impl Stand {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Ready,
        Self::Busy,
        Self::Permission,
        Self::Question,
        Self::Dialog,
        Self::Retrying,
        Self::Idle,
    ];

    /// The word for it in `status`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Busy => "busy",
            Self::Permission => "permission",
            Self::Question => "question",
            Self::Dialog => "dialog",
            Self::Retrying => "retrying",
            Self::Idle => "idle",
        }
    }

    /// Whether it goes on only when a person has answered it, at its own screen.
    pub fn needs_a_person(self) -> bool {
        matches!(self, Self::Permission | Self::Question | Self::Dialog)
    }

    /// Whether it waits for a prompt: only then is anything typed.
    pub fn takes_a_prompt(self) -> bool {
        matches!(self, Self::Ready | Self::Idle)
    }
}

/// A change of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// How it stands.
    pub stand: Stand,
    /// By what it is known: `hook`, `title`, `screen`, `stream` or `start`.
    pub source: String,
    /// What it asks, or what it says; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Since when, wall clock.
    pub since_ms: i64,
}
