//! A conflict at landing, given to the merger's agent: a worktree with both sides, and what it
//! makes of them as the task's new head. Whatever goes wrong, the task goes back to its developer.

use super::agent::ask;
use super::brief;
use super::check::gates_for;
use super::conversation::Talk;
use super::life::Desk;
use super::screen::Screen;
use super::trees::{identity, recipe, set_up};
use super::work::{end_what_is_left, unreadable, unserved_report};
use crate::agents::claim;
use crate::agents::merge::{BUILT_IN, MergeInput, prompt as render};
use crate::agents::outcome::{GitFacts, Needed, RunOutcome, Standing, decide};
use crate::agents::prompt::Template;
use crate::domain::ids::{CommitSha, TaskId, WorkerName};
use crate::domain::pipeline::Role;
use crate::domain::report::Report;
use crate::error::chain;
use crate::feature::TaskFile;
use crate::git::conflict::{self, Marked, Sides};
use crate::git::leftovers::{self, Author};
use crate::git::pool::{Owner, Pool};
use crate::git::prepare::prepare;
use crate::git::worktree::Worktree;
use crate::git::{candidate, contents, diff};

/// Asks the agent. `None`: it has not resolved it.
pub(super) fn resolve(desk: &Desk<'_>, screen: &mut Screen, task: &TaskId) -> Result<Option<Report>, String> {
    let adapter = desk
        .config
        .agent_for(Role::Merger, &desk.run.job.labels)
        .map_err(|error| format!("{error}; {}", error.hint()))?;
    let (Some(adapter), Some(head)) = (adapter, &desk.run.job.head) else { return Ok(None) };
    let (job, repo) = (&desk.run.job, &desk.place.repo);
    let (who, tasks_file) = (identity(desk), format!("{}/tasks.md", job.dir));
    let (identity, date) = (&who, job.stamp_s);
    let sides = Sides { integration: &job.base, head, tasks_file: &tasks_file, identity, date };
    let marked = conflict::mark(repo, &sides).map_err(|error| chain(&error))?;
    let pool = Pool::open(repo, &desk.place.layout.state).map_err(|error| chain(&error))?;
    let author = Author { identity, date };
    let worktree = worktree(desk, screen, &pool, &marked.commit, &author)?;
    let words = |_: &_| prompt(desk, task, &sides, &marked);
    let order = |chat: &Talk| brief::order_with(desk, task, &worktree, &adapter, chat, (None, &words));
    screen.say(&format!("{} is asked to resolve it", adapter.name));
    let changed = || leftovers::look(&worktree, &marked.commit).is_ok_and(|left| left.diff);
    let (ending, said) = ask(desk, screen, &adapter, &worktree, (&order, &changed))?;
    if let Some(report) = end_what_is_left(desk, &pool, &worktree) {
        return Ok(Some(report));
    }
    if let Some(reason) = unreadable(desk, &worktree)? {
        return Ok(unresolved(screen, &reason));
    }
    let run_dir = brief::utf8(&desk.place.layout.run(&desk.run.id))?;
    let claims = claim::read(&run_dir, &desk.run.token).map_err(|error| chain(&error))?;
    let facts = facts(desk, &worktree, &marked.commit)?;
    Ok(match decide(&ending, &said, &claims.claims, &facts, Needed::Change) {
        RunOutcome::Done { message, .. } => {
            leftovers::commit_all(&worktree, "resolved", &author).map_err(|error| chain(&error))?;
            accept(desk, screen, task, &sides, &marked, &worktree, message)?
        }
        RunOutcome::Unserved(unserved) => Some(unserved_report(&adapter.name, unserved)),
        RunOutcome::Interrupted => {
            Some(Report::Interrupted { reason: "the worker was told to end".to_owned() })
        }
        RunOutcome::Failed { reason } | RunOutcome::Unjudged { reason } => unresolved(screen, &reason),
        RunOutcome::Overspent(scope) => unresolved(screen, &format!("the budget of the {scope} is used up")),
        RunOutcome::Blocked { question } => unresolved(screen, &format!("it asks: {question}")),
        RunOutcome::Skipped => unresolved(screen, "it says that there is nothing to do"),
    })
}

fn unresolved(screen: &mut Screen, reason: &str) -> Option<Report> {
    screen.say(&format!("the conflict is not resolved: {reason}"));
    None
}

/// What is left in the worktree becomes the task's head, if both sides are out of their marks.
fn accept(
    desk: &Desk<'_>,
    screen: &mut Screen,
    task: &TaskId,
    sides: &Sides<'_>,
    marked: &Marked,
    worktree: &Worktree,
    summary: String,
) -> Result<Option<Report>, String> {
    let repo = &desk.place.repo;
    let result = worktree.head().map_err(|error| chain(&error))?;
    let left = conflict::unresolved(repo, &result, &marked.paths).map_err(|error| chain(&error))?;
    if !left.is_empty() {
        return Ok(unresolved(screen, &format!("marks are left in {}", left.join(", "))));
    }
    let title = candidate::one_line(&desk.run.job.title);
    let message = format!("{task}: {title} (merged with the integration branch)\n");
    let head = conflict::resolve(repo, sides, &result, &message, &desk.run.id);
    Ok(Some(Report::Resolved { head: head.map_err(|error| chain(&error))?, summary }))
}

fn worktree(
    desk: &Desk<'_>,
    screen: &mut Screen,
    pool: &Pool,
    at: &CommitSha,
    author: &Author<'_>,
) -> Result<Worktree, String> {
    let worker = WorkerName::parse(desk.place.worker.as_str()).map_err(|error| error.to_string())?;
    let acquired = pool.acquire(&Owner::Gate { worker }, at, None, author).map_err(|error| chain(&error))?;
    let mut worktree = acquired.worktree;
    let mut setup = |path: &std::path::Path, command: &str| set_up(desk, screen, path, command);
    prepare(pool, &desk.place.repo, &mut worktree, &recipe(desk), &mut setup)
        .map_err(|error| chain(&error))?;
    Ok(worktree)
}

fn facts(desk: &Desk<'_>, worktree: &Worktree, began: &CommitSha) -> Result<GitFacts, String> {
    let head = worktree.head().map_err(|error| chain(&error))?;
    let contains = diff::is_descendant(&desk.place.repo, began, &head).map_err(|error| chain(&error))?;
    let left = leftovers::look(worktree, began).map_err(|error| chain(&error))?;
    Ok(GitFacts {
        new_commit: contains && head != *began,
        astray_of: (!contains).then(|| began.clone()),
        head: Some(head),
        diff: left.diff,
        left_out: left.nested.reason(),
        worktree: Standing::There,
    })
}

fn prompt(desk: &Desk<'_>, task: &TaskId, sides: &Sides<'_>, marked: &Marked) -> Result<String, String> {
    let job = &desk.run.job;
    let tasks = contents::blob(&desk.place.repo, &job.base, sides.tasks_file);
    let tasks = TaskFile::read(&tasks.map_err(|error| chain(&error))?.unwrap_or_default());
    let line = tasks.task(task);
    let gates = gates_for(desk, &marked.commit, Some(&job.base), |gate| gate.at_merge)?;
    let input = MergeInput {
        task: task.to_string(),
        text: line.map_or_else(|| job.title.clone(), |line| format!("{}\n{}", line.title, line.details)),
        dir: job.dir.clone(),
        paths: marked.paths.clone(),
        integration: sides.integration.to_string(),
        head: sides.head.to_string(),
        gates: gates.iter().map(|gate| gate.command.join(" ")).collect(),
    };
    let own = desk.config.own_prompt(brief::stage(desk)?);
    let template = own.map_or(BUILT_IN, |own| Template { name: &own.file, text: &own.text });
    render(template, &input).map_err(|error| chain(&error))
}
