//! What to say when a sprint was started here and its state directory is not there any more:
//! nothing is left of it but what is in git.

use super::context::{Context, git_error};
use super::text::plain;
use crate::config::layout::Layout;
use crate::domain::ids::FeatureId;
use crate::error::CliError;
use crate::git::{Repo, branch, diff};
use crate::process::supervisor_file::SupervisorFile;
use crate::store::snapshot_names;

/// Branches that are named; more would be no help.
const NAMED_MAX: usize = 3;

/// The state directory is gone, and what to do about it.
pub fn state_gone(repo: &Repo, layout: &Layout, living: Option<&SupervisorFile>) -> CliError {
    let state = plain(&layout.state.to_string_lossy(), 300);
    if living.is_none() && !snapshot_names(&layout.snapshots()).is_empty() {
        return CliError::environment(format!("the database in `{state}` is gone"))
            .hint("`sprint start` makes it again from the newest copy in its snapshots/");
    }
    let error =
        CliError::refused(format!("the state directory of this repository's sprint is gone: `{state}`"));
    if let Some(file) = living {
        return error
            .hint(format!("supervisor {} notices it and ends within seconds", file.process.pid))
            .hint("then sprint start says how to go on");
    }
    hints(repo, "specs/001-thing").into_iter().fold(error, CliError::hint)
}

/// How to go on with what has landed; without anything, with the feature `dir`.
pub fn hints(repo: &Repo, dir: &str) -> Vec<String> {
    let open = unmerged(repo).unwrap_or_else(|error| {
        tracing::debug!(error = error.message, "the branches cannot be read");
        Vec::new()
    });
    let hints: Vec<String> = open.iter().take(NAMED_MAX).map(go_on).collect();
    if hints.is_empty() { vec![format!("begin anew: sprint start {}", plain(dir, 200))] } else { hints }
}

/// How to go on with one feature.
pub fn go_on(feature: &FeatureId) -> String {
    let branch = branch::integration(feature);
    format!(
        "what has landed is on `{branch}`; go on from there: sprint start --base {branch} specs/{feature}"
    )
}

/// Features whose integration branches have commits that the checkout does not have.
fn unmerged(repo: &Repo) -> Result<Vec<FeatureId>, CliError> {
    let told = |error| git_error("the branches cannot be read", error);
    let head = repo.head().map_err(told)?;
    let mut found = Vec::new();
    for (feature, at) in branch::integrations(repo).map_err(told)? {
        if !diff::is_descendant(repo, &at, &head).map_err(told)? {
            found.push(feature);
        }
    }
    Ok(found)
}

impl Context {
    /// Why there is no state to work with: it was never made, or it is gone.
    pub fn no_state(&self) -> CliError {
        match self.layout() {
            Some(layout) if self.had_supervisor() => {
                state_gone(&self.repo, layout, self.supervisor().as_ref())
            }
            _ => super::context::no_sprint(),
        }
    }
}
