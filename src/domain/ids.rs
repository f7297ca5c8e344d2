//! The identifiers of the domain, one type each, so that they cannot be mixed up.
//!
//! Text that comes from outside becomes an id only through a `parse` that refuses everything
//! that could mean something to git, tmux or a shell.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: {rule}")]
pub struct InvalidId {
    /// What it was to be: "task id", "commit", …
    pub kind: &'static str,
    /// The text, shortened to 80 characters.
    pub text: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

fn invalid(kind: &'static str, text: &str, rule: &'static str) -> InvalidId {
    InvalidId { kind, text: text.chars().take(80).collect(), rule }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes `text` if it keeps the rule of this id.
            ///
            /// # Errors
            /// [`InvalidId`] names the rule that is broken.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(invalid($kind, text, $rule)) }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

/// Letters, digits, `.`, `_`, `-`; begins with a letter or digit; no `..`, no `.lock` at the end:
/// safe in a ref, a path, a tmux name and an argument.
fn is_plain_name(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        && !text.contains("..")
        && !text.ends_with('.')
        && !text.to_ascii_lowercase().ends_with(".lock")
}

text_id!(
    /// A task of a feature: `T001`, `T007.1`, `T005a`.
    TaskId, "task id", "it is letters, digits, `.`, `_` and `-`, at most 64 of them", |t| is_plain_name(t, 64)
);
text_id!(
    /// A feature, named as its directory is: `001-thing`.
    FeatureId, "feature name", "it is letters, digits, `.`, `_` and `-`, at most 100 of them", |t| is_plain_name(t, 100)
);
text_id!(
    /// A worker's name: role, `-` and slot (`developer-1`), or the role alone (`reviewer`).
    WorkerName, "worker name", "it is letters, digits and `-`", |t| is_plain_name(t, 64)
);
text_id!(
    /// The name of a stage of the pipeline: `InReview`.
    StageName, "stage name", "it is letters, digits, `.`, `_` and `-`", |t| is_plain_name(t, 64)
);
text_id!(
    /// The name of a gate: `ruff`.
    GateName, "gate name", "it is letters, digits, `.`, `_` and `-`", |t| is_plain_name(t, 64)
);
text_id!(
    /// A git object id, 40 (SHA-1) or 64 (SHA-256) lower-case hex digits. Also used for trees.
    CommitSha, "commit", "it is 40 or 64 hex digits", |t| {
        matches!(t.len(), 40 | 64) && t.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }
);
text_id!(
    /// A run: one stage by one worker. UUIDv7 in its hyphenated form.
    RunId, "run id", "it is a UUID", |t| uuid::Uuid::try_parse(t).is_ok() && t.len() == 36
);
text_id!(
    /// The secret of one run, 64 hex digits; fences workers.
    Token, "token", "it is 64 hex digits", |t| t.len() == 64 && t.bytes().all(|b| b.is_ascii_hexdigit())
);

impl CommitSha {
    /// The first 10 digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_tmux_or_a_shell_would_read_are_refused() {
        for bad in
            ["", "#(cmd)", "$(id)", "a;b", "--option", "../..", "a..b", "a b", "x.lock", "a\n", ".a", "a."]
        {
            assert!(TaskId::parse(bad).is_err(), "{bad:?}");
            assert!(FeatureId::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["T001", "T007.1", "T005a", "001-thing"] {
            assert!(TaskId::parse(good).is_ok(), "{good:?}");
        }
        assert!(TaskId::parse(&"T".repeat(65)).is_err());
    }

    #[test]
    fn a_long_text_is_shortened_in_the_message() {
        let error = TaskId::parse(&"é".repeat(10_000)).unwrap_err();
        assert_eq!(error.text.chars().count(), 80);
    }
}
