//! What the agent of a check stage leaves in its worktree, held against the candidate.

use super::brief;
use super::life::Desk;
use super::screen::Screen;
use super::trees::identity;
use crate::config::StageConfig;
use crate::domain::ids::{CommitSha, TaskId};
use crate::domain::report::Candidate;
use crate::error::chain;
use crate::git::addition::{self, Addition};
use crate::git::leftovers::{self, Author};
use crate::git::worktree::Worktree;
use crate::git::{candidate, diff};

/// What is there that the candidate does not have.
pub(super) struct Left {
    /// A commit with all of it.
    pub(super) head: CommitSha,
    /// The files that differ, without the feature's `tasks.md`, whose edits are dropped.
    pub(super) paths: Vec<String>,
    /// Why some of it can be part of no commit, if so.
    pub(super) beside: Option<String>,
}

/// Who judges changes nothing that git tracks; what a command leaves beside that is no matter.
pub(super) fn touched(desk: &Desk<'_>, worktree: &Worktree, candidate: &Candidate) -> Result<Left, String> {
    let told = |error: crate::git::Error| chain(&error);
    let head = worktree.head().map_err(told)?;
    let mut paths = diff::changed_paths(&desk.place.repo, &candidate.commit, &head).map_err(told)?;
    paths.extend(worktree.tracked_changes().map_err(told)?);
    Ok(Left { head, paths, beside: None })
}

/// What is added: looks, and commits what the agent has not.
pub(super) fn look(
    desk: &Desk<'_>,
    screen: &mut Screen,
    worktree: &Worktree,
    candidate: &Candidate,
) -> Result<Left, String> {
    let told = |error: crate::git::Error| chain(&error);
    worktree.repair().map_err(told)?;
    worktree.clear_stale_locks().map_err(told)?;
    let seen = leftovers::look(worktree, &candidate.commit).map_err(told)?;
    if seen.diff {
        let identity = identity(desk);
        let author = Author { identity: &identity, date: desk.run.job.stamp_s };
        leftovers::commit_all(worktree, "what the agent left\n", &author).map_err(told)?;
        screen.say("sprint commits what the agent left");
    }
    let head = worktree.head().map_err(told)?;
    let tasks = tasks_file(desk);
    let mut paths = diff::changed_paths(&desk.place.repo, &candidate.commit, &head).map_err(told)?;
    paths.retain(|path| *path != tasks);
    Ok(Left { head, paths, beside: seen.nested.reason() })
}

/// The task's new head, with what was added; durable.
pub(super) fn commit(
    desk: &Desk<'_>,
    worktree: &Worktree,
    candidate: &Candidate,
    left: &Left,
    stage: &StageConfig,
) -> Result<CommitSha, String> {
    let job = &desk.run.job;
    leftovers::finish(worktree, &desk.run.id).map_err(|error| chain(&error))?;
    let task = job.task.as_ref().map(ToString::to_string).unwrap_or_default();
    let addition = Addition {
        candidate,
        left: &left.head,
        tasks_file: &tasks_file(desk),
        title: &format!("{task}: {} of {}", stage.role, candidate::one_line(&job.title)),
        run: &desk.run.id,
        identity: &identity(desk),
        date: job.stamp_s,
    };
    addition::make(&desk.place.repo, &addition).map_err(|error| chain(&error))
}

fn tasks_file(desk: &Desk<'_>) -> String {
    format!("{}/tasks.md", desk.run.job.dir)
}

/// The agent asks: what it has so far is kept, for the run that has the answer.
pub(super) fn keep(desk: &Desk<'_>, worktree: &Worktree, task: &TaskId, writes: &[String]) {
    if writes.is_empty() {
        return;
    }
    let job = &desk.run.job;
    let identity = identity(desk);
    let author = Author { identity: &identity, date: job.stamp_s };
    if let Err(error) = leftovers::save(worktree, &job.feature, task, job.attempt, &author) {
        tracing::warn!(error = chain(&error), "what the agent had when it asked stays in the worktree");
    }
}

/// What the same agent had on this candidate when it asked.
pub(super) fn kept(desk: &Desk<'_>, candidate: &Candidate) -> Result<Option<CommitSha>, String> {
    let job = &desk.run.job;
    let Some(task) = job.task.as_ref().filter(|_| brief::continues(desk)) else { return Ok(None) };
    let told = |error: crate::git::Error| chain(&error);
    let saved = leftovers::saved(&desk.place.repo, &job.feature, task).map_err(told)?;
    let Some((_, saved)) = saved.into_iter().rfind(|(attempt, _)| *attempt == job.attempt) else {
        return Ok(None);
    };
    let on_it = diff::is_descendant(&desk.place.repo, &candidate.commit, &saved.commit).map_err(told)?;
    Ok(on_it.then_some(saved.commit))
}
