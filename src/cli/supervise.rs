//! `sprint supervise`: the supervisor's process. `sprint start` begins it; people need not.

use super::args::SuperviseArgs;
use super::context::Context;
use super::environment::Environment;
use crate::error::{CliError, chain, exit};
use crate::git::Repo;
use crate::process::detach::announce;
use crate::store::StoreError;
use crate::supervisor::{Place, SupervisorError, supervise};

/// Runs the supervisor of the repository until nothing is left to do.
///
/// # Errors
/// Another one runs it (exit 4), or it cannot go on (exit 3).
pub fn run(args: &SuperviseArgs) -> Result<u8, CliError> {
    let mut env = Environment::of_process()?;
    if let Some(repository) = &args.repository {
        repository.clone_into(&mut env.cwd);
    }
    let context = Context::find(&env)?;
    let Some((_, layout)) = context.known.clone() else { return Err(super::context::no_sprint()) };
    let level = context.config(&env).map_or_else(|_| "info".to_owned(), |config| config.general.log_level);
    crate::telemetry::log_to(&layout.logs(), "supervisor", &level);
    let place = Place { repo: context.repo, layout };
    let ready = || {
        if let Err(error) = announce("ready") {
            tracing::debug!(%error, "nobody waits for the supervisor to be ready");
        }
    };
    match supervise(&place, ready) {
        Ok(()) => Ok(exit::DONE),
        Err(error) => {
            tracing::error!(error = chain(&error), "the supervisor ends");
            Err(told(error, &place.repo))
        }
    }
}

fn told(error: SupervisorError, repo: &Repo) -> CliError {
    match error {
        SupervisorError::Locked(source) => CliError::refused("another supervisor runs this repository")
            .because(source)
            .hint("`sprint status` shows what it does"),
        SupervisorError::Store(foreign @ StoreError::Foreign { .. }) => super::context::store_error(foreign),
        lost @ SupervisorError::StateLost { .. } => {
            let error = CliError::environment(chain(&lost)).hint("workers and the tmux server have ended");
            super::gone::hints(repo, "specs/001-thing").into_iter().fold(error, CliError::hint)
        }
        other => {
            CliError::environment(chain(&other)).hint("state is kept; `sprint start` goes on from there")
        }
    }
}
