//! What a check stage's agent adds to a task's work: one commit of sprint's own on the task's head,
//! whatever the agent did to its worktree's history.

use git2::{Signature, Time};

use super::branch;
use super::candidate::one_line;
use super::durable::{self, RefChange};
use super::error::{LibContext, Result};
use super::repo::{Identity, Repo, oid, sha};
use super::trees;
use crate::domain::ids::{CommitSha, RunId};
use crate::domain::report::Candidate;

/// What an addition is made of.
pub struct Addition<'a> {
    /// What the agent was given.
    pub candidate: &'a Candidate,
    /// A commit with everything as the agent left it.
    pub left: &'a CommitSha,
    /// The feature's `tasks.md`: its boxes are sprint's to tick, so it stays as the base has it.
    pub tasks_file: &'a str,
    /// The commit's first line; untrusted.
    pub title: &'a str,
    /// The run, whose reference holds the new head.
    pub run: &'a RunId,
    /// Who commits.
    pub identity: &'a Identity,
    /// Seconds since 1970, never read from a clock here.
    pub date: i64,
}

/// Makes the task's new head, durable and held by the run's reference: the agent's tree on the
/// task's head and on the base that the candidate was made on. The same addition is the same commit.
///
/// # Errors
/// [`super::Error`] if an object is missing or cannot be made durable.
pub fn make(repo: &Repo, addition: &Addition<'_>) -> Result<CommitSha> {
    let what = "cannot commit what an agent has added";
    let lib = repo.open()?;
    let commit = |at: &CommitSha| lib.find_commit(oid(at)?).during(what);
    let (head, base) = (commit(&addition.candidate.head)?, commit(&addition.candidate.base)?);
    let left = commit(addition.left)?.tree().during(what)?;
    let own = trees::lookup(&lib, &base.tree().during(what)?, addition.tasks_file).during(what)?;
    let mut written = Vec::new();
    let tree = trees::replace(&lib, Some(&left), addition.tasks_file, own, &mut written).during(what)?;
    let tree = lib.find_tree(tree).during(what)?;
    let Identity { name, email } = addition.identity;
    let signature = Signature::new(name, email, &Time::new(addition.date, 0)).during(what)?;
    let merged = lib.graph_descendant_of(head.id(), base.id()).during(what)? || head.id() == base.id();
    let parents = if merged { vec![&head] } else { vec![&head, &base] };
    let message = format!("{}\n", one_line(addition.title));
    let made = lib.commit(None, &signature, &signature, &message, &tree, &parents).during(what)?;
    written.push(made);
    durable::sync_objects(&lib, &written)?;
    let made = sha(made);
    let change = RefChange::Set(branch::run_ref(addition.run), made.clone());
    durable::update_refs(&repo.common_dir, &[change], None)?;
    Ok(made)
}
