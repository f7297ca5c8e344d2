//! An integration branch that somebody moved: where it is, and what can be done about it.

use super::context::git_error;
use crate::domain::ids::CommitSha;
use crate::domain::state::Feature;
use crate::error::CliError;
use crate::git::{self, Repo, branch, diff};

/// Where the branch is, seen from what landed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// Where it should be.
    Ours,
    /// Further: it contains everything that landed.
    Ahead(CommitSha),
    /// Elsewhere: something that landed is not in it.
    Astray(CommitSha),
    /// It is not there.
    Gone,
}

impl Foreign {
    /// Asks git.
    ///
    /// # Errors
    /// The branch or the history cannot be read.
    pub fn of(repo: &Repo, feature: &Feature, ours: &CommitSha) -> Result<Self, git::Error> {
        let name = branch::head_ref(&branch::integration(&feature.id));
        Ok(match repo.reference(&name)? {
            None => Self::Gone,
            Some(head) if head == *ours => Self::Ours,
            Some(head) if diff::is_descendant(repo, ours, &head)? => Self::Ahead(head),
            Some(head) => Self::Astray(head),
        })
    }

    /// As [`Foreign::of`], for a screen: what git cannot tell now is left open.
    pub fn seen(repo: &Repo, feature: &Feature) -> Option<Self> {
        let found = Self::of(repo, feature, feature.head.as_ref()?);
        found.inspect_err(|error| tracing::debug!(%error, "the integration branch cannot be read")).ok()
    }

    /// What to type: taking over makes sense only where nothing that landed would be lost.
    pub fn fix(seen: Option<&Self>) -> &'static str {
        match seen {
            Some(Self::Gone | Self::Astray(_) | Self::Ours) => "sprint resume --restore",
            Some(Self::Ahead(_)) | None => "sprint resume --adopt      or: sprint resume --restore",
        }
    }
}

/// Where the branch is, and the commit where it should be.
///
/// # Errors
/// It was never made (exit 4), or git cannot be asked (exit 3).
pub(super) fn find(repo: &Repo, feature: &Feature) -> Result<(Foreign, CommitSha), CliError> {
    let ours =
        feature.head.clone().ok_or_else(|| CliError::refused("the integration branch was never made"))?;
    let found = Foreign::of(repo, feature, &ours)
        .map_err(|error| git_error("the integration branch cannot be read", error))?;
    Ok((found, ours))
}
