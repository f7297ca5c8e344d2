//! A failure that nobody has explained may be a program that has changed: then its version is asked
//! for, and told where it is none that the adapter was tried with.

use crate::agents::outcome::{ProgramEnding, Said};
use crate::agents::version;
use crate::config::Adapter;
use crate::config::cli_agent::Trouble;
use crate::process::child::Spec;

/// Whether the end is one that a program has which prints, shows or takes something else than its
/// adapter knows.
pub(super) fn may_be_its_version(ending: &ProgramEnding, said: &Said) -> bool {
    let unexplained = said.failure.as_ref().is_none_or(|failure| failure.class == Trouble::Other);
    match ending {
        ProgramEnding::Unreached(_) | ProgramEnding::Hung(_) | ProgramEnding::TimedOut(_) => true,
        ProgramEnding::Exited(code) => unexplained && (*code != 0 || said.failure.is_some()),
        ProgramEnding::Signaled(_)
        | ProgramEnding::NotStarted(_)
        | ProgramEnding::NoProgram(_)
        | ProgramEnding::EndedAfterClaim
        | ProgramEnding::OverBudget(_)
        | ProgramEnding::TurnEnded
        | ProgramEnding::OverLimit(_)
        | ProgramEnding::Interrupted => false,
    }
}

/// What is to be said of its version; empty: nothing.
pub(super) fn version(adapter: &Adapter, spec: &Spec) -> String {
    let Some(keys) = adapter.cli.as_ref().map(|cli| &cli.version).filter(|keys| !keys.tested.is_empty())
    else {
        return String::new();
    };
    match version::ask(&spec.program, keys, &spec.env, &spec.cwd) {
        Ok(found) => version::remark(&found, &keys.tested).unwrap_or_default(),
        Err(error) => {
            tracing::debug!(%error, "a program that has failed does not tell its version");
            String::new()
        }
    }
}
