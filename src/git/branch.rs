//! The names of sprint's branches and references. Made of ids only, never of titles.

use crate::domain::ids::{CommitSha, FeatureId, RunId, TaskId};

use super::error::{LibContext, Result};
use super::repo::{Repo, sha};

/// Names that a person's branch may not have: git could not create ours below them.
pub const RESERVED: [&str; 2] = ["sprint", "sprint-task"];

/// `sprint/<feature>`: what lands.
pub fn integration(feature: &FeatureId) -> String {
    format!("sprint/{feature}")
}

/// `sprint-task/<feature>/<task>/<attempt>`: what one attempt commits to.
pub fn task(feature: &FeatureId, task: &TaskId, attempt: u32) -> String {
    format!("sprint-task/{feature}/{task}/{attempt}")
}

/// `refs/heads/<branch>`.
pub fn head_ref(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

/// Where uncommitted work of an attempt is saved.
pub fn wip_ref(feature: &FeatureId, task: &TaskId, attempt: u32) -> String {
    format!("refs/sprint/wip/{feature}/{task}/{attempt}")
}

/// What a run ended with.
pub fn run_ref(run: &RunId) -> String {
    format!("refs/sprint/run/{run}")
}

/// What an entry of the merge queue will land.
///
/// # Errors
/// [`super::Error::UnsafePath`] for an entry that is not letters, digits, `-` and `_`.
pub fn candidate_ref(entry: &str) -> Result<String> {
    let safe =
        !entry.is_empty() && entry.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !safe {
        let path = entry.chars().take(80).collect();
        return Err(super::Error::UnsafePath { path, why: "an entry is letters, digits, `-` and `_`" });
    }
    Ok(format!("refs/sprint/candidate/{entry}"))
}

/// Where a head is kept that somebody else put on the integration branch.
pub fn foreign_ref(feature: &FeatureId, head: &CommitSha) -> String {
    format!("refs/sprint/foreign/{feature}/{head}")
}

/// Where the head of a worktree is kept that was removed from outside, if it was on no branch.
pub fn lost_ref(head: &CommitSha) -> String {
    format!("refs/sprint/lost/{head}")
}

/// The features that have an integration branch, with its head, by name.
///
/// # Errors
/// [`super::Error::Lib`] if the references cannot be listed.
pub fn integrations(repo: &Repo) -> Result<Vec<(FeatureId, CommitSha)>> {
    let what = "cannot list references";
    let lib = repo.open()?;
    let mut found = Vec::new();
    for reference in lib.references_glob("refs/heads/sprint/*").during(what)? {
        let reference = reference.during(what)?;
        let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
        let feature = name.strip_prefix("refs/heads/sprint/").and_then(|id| FeatureId::parse(id).ok());
        if let (Some(feature), Some(head)) = (feature, reference.target()) {
            found.push((feature, sha(head)));
        }
    }
    found.sort();
    Ok(found)
}

/// The highest attempt that any reference knows of, 0 if none: attempts go on above it.
///
/// # Errors
/// [`super::Error::Lib`] if the references cannot be listed.
pub fn highest_attempt(repo: &Repo, feature: &FeatureId, task: &TaskId) -> Result<u32> {
    let repo = repo.open()?;
    let mut highest = 0;
    for prefix in
        [format!("refs/heads/sprint-task/{feature}/{task}/"), format!("refs/sprint/wip/{feature}/{task}/")]
    {
        let names = repo.references_glob(&format!("{prefix}*")).during("cannot list references")?;
        for reference in names {
            let reference = reference.during("cannot list references")?;
            let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
            highest = highest.max(attempt_in(&name, &prefix).unwrap_or(0));
        }
    }
    Ok(highest)
}

fn attempt_in(name: &str, prefix: &str) -> Option<u32> {
    name.strip_prefix(prefix)?.parse().ok()
}
