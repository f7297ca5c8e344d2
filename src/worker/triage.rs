//! The manager's agent looks at what a task waits for, and proposes what to do. It changes nothing:
//! it has a worktree of the integration head, as a reviewer has one of the candidate.

use super::agent::ask;
use super::brief;
use super::conversation::Talk;
use super::life::Desk;
use super::screen::Screen;
use super::trees::identity;
use super::work::{end_what_is_left, unserved_report};
use crate::agents::claim;
use crate::agents::environment::RunContext;
use crate::agents::outcome::{TriageOutcome, decide_triage};
use crate::agents::prompt::Template;
use crate::agents::triage::{BUILT_IN, TriageInput, prompt as render};
use crate::domain::ids::{TaskId, WorkerName};
use crate::domain::pipeline::Role;
use crate::domain::report::{GateRecord, Report};
use crate::domain::state::State;
use crate::domain::task::Task;
use crate::domain::triage::{Cause, CauseKind, Proposal};
use crate::error::chain;
use crate::feature::TaskFile;
use crate::git::leftovers::Author;
use crate::git::pool::{Owner, Pool};
use crate::git::worktree::Worktree;
use crate::git::{branch, contents};

/// Characters of a proposal that are kept.
const TEXT_MAX: usize = 4_000;
/// Other tasks that the manager is told of.
const OTHERS_MAX: usize = 50;

/// Does the run.
pub(super) fn run(desk: &Desk<'_>, screen: &mut Screen, cause: &Cause) -> Report {
    look(desk, screen, cause).unwrap_or_else(|reason| Report::Errored { reason })
}

fn look(desk: &Desk<'_>, screen: &mut Screen, cause: &Cause) -> Result<Report, String> {
    let task = desk.run.job.task.clone().ok_or("the manager looks at a task")?;
    let adapter = desk
        .config
        .agent_for(Role::Manager, &desk.run.job.labels)
        .map_err(|error| format!("{error}; {}", error.hint()))?;
    let adapter = adapter.ok_or("the manager has no agent")?;
    let pool = Pool::open(&desk.place.repo, &desk.place.layout.state).map_err(|error| chain(&error))?;
    let worktree = worktree(desk, &pool)?;
    let words = |context: &RunContext| prompt(desk, context, cause);
    let order = |chat: &Talk| brief::order_with(desk, &task, &worktree, &adapter, chat, (None, &words));
    screen.say(&format!("{} looks at {task}: {}", adapter.name, cause.text));
    let (ending, said) = ask(desk, screen, &adapter, &worktree, (&order, &|| false))?;
    if let Some(report) = end_what_is_left(desk, &pool, &worktree) {
        return Ok(report);
    }
    let run_dir = brief::utf8(&desk.place.layout.run(&desk.run.id))?;
    let claims = claim::read(&run_dir, &desk.run.token).map_err(|error| chain(&error))?;
    Ok(match decide_triage(&ending, &said, &claims.claims) {
        TriageOutcome::Proposed(proposal) => Report::Proposed { proposal: short(proposal) },
        TriageOutcome::Unserved(unserved) => unserved_report(&adapter.name, unserved),
        TriageOutcome::Nothing { reason } => Report::Failed { reason, feedback: None },
        TriageOutcome::Interrupted => Report::Interrupted { reason: "the worker was told to end".to_owned() },
    })
}

fn short(proposal: Proposal) -> Proposal {
    let text = match proposal.text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", &proposal.text[..end]),
        None => proposal.text,
    };
    Proposal { text, ..proposal }
}

fn worktree(desk: &Desk<'_>, pool: &Pool) -> Result<Worktree, String> {
    let worker = WorkerName::parse(desk.place.worker.as_str()).map_err(|error| error.to_string())?;
    let identity = identity(desk);
    let author = Author { identity: &identity, date: desk.run.job.stamp_s };
    let acquired = pool.acquire(&Owner::Gate { worker }, &desk.run.job.base, None, &author);
    acquired.map(|acquired| acquired.worktree).map_err(|error| chain(&error))
}

/// What the manager is told.
pub(super) fn prompt(desk: &Desk<'_>, context: &RunContext, cause: &Cause) -> Result<String, String> {
    let job = &desk.run.job;
    let path = format!("{}/tasks.md", job.dir);
    let tasks = contents::blob(&desk.place.repo, &job.base, &path).map_err(|error| chain(&error))?;
    let tasks = TaskFile::read(&tasks.unwrap_or_default());
    let line = tasks.task(&context.task);
    let name = branch::task(&job.feature, &context.task, job.attempt);
    let there = desk.place.repo.reference(&branch::head_ref(&name)).ok().flatten().is_some();
    let overview = desk.interrupts.client().overview().map_err(|error| chain(&error))?;
    let findings = job.feedback.iter().flat_map(|told| &told.findings);
    let input = TriageInput {
        task: context.task.to_string(),
        text: line.map_or_else(|| job.title.clone(), |line| format!("{}\n{}", line.title, line.details)),
        paths: line.map(|line| line.paths.clone()).unwrap_or_default(),
        dir: job.dir.clone(),
        asks: cause.kind == CauseKind::Question,
        why: cause.text.clone(),
        attempt: cause.attempt,
        findings: findings.filter_map(|value| serde_json::from_value(value.clone()).ok()).collect(),
        gates: job.gates.iter().map(said).collect(),
        branch: there.then_some(name),
        others: others(desk, &overview.state, &context.task),
    };
    let own = desk.config.triage_prompt.as_ref();
    let template = own.map_or(BUILT_IN, |own| Template { name: &own.file, text: &own.text });
    render(template, &input).map_err(|error| chain(&error))
}

fn said(record: &GateRecord) -> String {
    format!("{} {}: {}", record.gate, record.verdict, record.summary)
}

/// The other tasks that are in flight or wait, a line each.
fn others(desk: &Desk<'_>, state: &State, own: &TaskId) -> Vec<String> {
    let mut tasks: Vec<&Task> = state.tasks_of(&desk.run.job.feature).collect();
    tasks.sort_by_key(|task| task.order);
    let open = tasks.into_iter().filter(|task| task.key.id != *own && !task.closed() && task.stage.is_some());
    let line = |task: &Task| {
        let at = task.stage.as_ref().map_or("", |stage| stage.as_str());
        format!("{} {at} {}: {}", task.key.id, task.status.word(), task.title)
    };
    open.take(OTHERS_MAX).map(line).collect()
}
