//! Errors that reach a person: what happened, what to do about it, and the exit code.
//!
//! Modules have error enums of their own; only here do they become text for a terminal. Nothing
//! is printed here.

use std::error::Error;
use std::fmt;

use crate::agents::program::ProgramError;
use crate::agents::prompt::PromptError;
use crate::config::{AgentError, ConfigErrors, SourceError};

pub mod exit;

/// Whose business an error is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The command line is wrong.
    Usage,
    /// The configuration is wrong.
    Config,
    /// Something that is needed is missing or does not work: a tool, an agent's program, tmux, git.
    Environment,
    /// It could be done, and must not: the state of the sprint or of the repository forbids it.
    Refused,
    /// A bug of ours.
    Internal,
    /// Nobody waits for it any more.
    Interrupted,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Usage, Self::Config, Self::Environment, Self::Refused, Self::Internal, Self::Interrupted];

    /// What the process ends with.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage | Self::Config => exit::USAGE,
            Self::Environment => exit::ENVIRONMENT,
            Self::Refused => exit::REFUSED,
            Self::Internal => exit::BUG,
            Self::Interrupted => exit::INTERRUPTED,
        }
    }
}

/// An error on its way to the terminal.
#[derive(Debug)]
#[must_use = "an error that is not returned is lost"]
pub struct CliError {
    /// Decides the exit code.
    pub kind: ErrorKind,
    /// One sentence, a lowercase fragment without full stop.
    pub message: String,
    /// What to do next, a line each.
    pub hints: Vec<String>,
    /// What lies below, outermost first.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl CliError {
    /// An error without hints.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new(), source: None }
    }

    /// The command line is wrong: exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// The configuration is wrong: exit 2.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Something is missing: exit 3.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Environment, message)
    }

    /// It must not be done: exit 4.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    /// A signal has ended it: exit 130.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Interrupted, message)
    }

    /// A bug: exit 70, with the hint to report it.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message).hint("this is a bug of sprint; nothing that landed is lost")
    }

    /// Adds what the person can do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds what lies below.
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }
}

/// `error: …`, a line `  because: …` for each source, a line `hint: …` for each hint; no line
/// break at the end. Lines of a message after the first are kept as they are.
impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let mut below: Option<&(dyn Error + 'static)> = self.source.as_deref().map(|source| source as _);
        while let Some(source) = below {
            write!(f, "\n  because: {source}")?;
            below = source.source();
        }
        self.hints.iter().try_for_each(|hint| write!(f, "\nhint: {hint}"))
    }
}

impl Error for CliError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<ConfigErrors> for CliError {
    fn from(errors: ConfigErrors) -> Self {
        Self::config(errors.to_string())
    }
}

impl From<SourceError> for CliError {
    fn from(error: SourceError) -> Self {
        let message = error.to_string();
        match error {
            SourceError::Read { source, .. } => Self::config(message).because(source),
            SourceError::NotText { .. } | SourceError::TooLarge { .. } | SourceError::Variable { .. } => {
                Self::config(message)
            }
        }
    }
}

/// An agent that cannot be used is missing from the environment, like a program that is not there.
impl From<AgentError> for CliError {
    fn from(error: AgentError) -> Self {
        Self::environment(error.to_string()).hint(error.hint())
    }
}

impl From<ProgramError> for CliError {
    fn from(error: ProgramError) -> Self {
        Self::environment(error.to_string()).hint("the key is `command` of the agent's `[agent.NAME]`")
    }
}

/// A stage's own template is a part of the configuration.
impl From<PromptError> for CliError {
    fn from(error: PromptError) -> Self {
        Self::config(error.to_string()).hint(
            "the template of a prompt is tried before anything begins; docs/prompts.md says what it may use",
        )
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        // A transparent wrapper says the same as what it wraps.
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Layer, Role, load};

    fn shown(error: impl Into<CliError>) -> String {
        let error = error.into();
        format!("{error}\n[exit {}]", error.exit_code())
    }

    fn config(text: &str) -> Result<Config, ConfigErrors> {
        load(&[Layer::toml("sprint.toml", text)])
    }

    #[test]
    fn a_person_reads_what_why_and_what_next() {
        let source = std::io::Error::other("no space left on device");
        let error = CliError::environment("cannot write `x`").because(source).hint("free some space");
        insta::assert_snapshot!(shown(error), @r"
        error: cannot write `x`
          because: no space left on device
        hint: free some space
        [exit 3]
        ");
    }

    #[test]
    fn problems_of_the_configuration_are_all_shown() {
        let one = config("[quality]\ncomplexity_maks = 3\n").unwrap_err();
        insta::assert_snapshot!(shown(one), @r"
        error: sprint.toml:2: `quality.complexity_maks`: unknown key; the nearest known key is `quality.complexity_max`
        [exit 2]
        ");
        let two = config("[agents]\nmax_developers = 0\n[planer]\norder = 1\n").unwrap_err();
        insta::assert_snapshot!(shown(two), @r"
        error: 2 problems in the configuration
          sprint.toml:2: `agents.max_developers`: is 0, and must be between 1 and 1000
          sprint.toml:3: `planer`: unknown key; the nearest known key is `planner`
        [exit 2]
        ");
    }

    #[test]
    fn an_agent_that_is_not_there_says_what_to_configure() {
        let error =
            config("[roles.developer]\nagent = \"command\"").unwrap().agent(Role::Developer).unwrap_err();
        insta::assert_snapshot!(shown(error), @r#"
        error: the agent `command` of the role `developer` has no `command`
        hint: write `[agent.mine]` with `kind = "command"` and `command = ["./my-agent.sh", "{task.id}"]` into `sprint.toml`, and `agent = "mine"` under `[roles.developer]`; or try `--agent scripted`
        [exit 3]
        "#);
    }

    #[test]
    fn the_exit_codes_of_the_kinds() {
        let codes: Vec<String> =
            ErrorKind::ALL.iter().map(|kind| format!("{kind:?} {}", kind.exit_code())).collect();
        insta::assert_snapshot!(codes.join("\n"), @r"
        Usage 2
        Config 2
        Environment 3
        Refused 4
        Internal 70
        Interrupted 130
        ");
    }
}
