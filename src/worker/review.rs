//! An agent's verdict in a `check` stage, after the gates: it reads the candidate and judges.
//!
//! It changes nothing: what it leaves in the worktree is no part of the candidate, and a review
//! that tried to is an error that the operator sees.

use super::agent::drive;
use super::brief;
use super::check::Checked;
use super::conversation::Talk;
use super::life::Desk;
use super::screen::Screen;
use super::trees::identity;
use super::work::{end_what_is_left, overspent_report, unserved_report};
use crate::agents::claim::{self, ClaimedFinding};
use crate::agents::outcome::{CheckOutcome, decide_check};
use crate::domain::gate::Verdict;
use crate::domain::ids::WorkerName;
use crate::domain::report::{Feedback, Report};
use crate::error::chain;
use crate::git::leftovers::Author;
use crate::git::pool::{Owner, Pool};
use crate::git::worktree::Worktree;

/// Lets the role's agent judge; without one the gates' word stands.
pub(super) fn review(desk: &Desk<'_>, screen: &mut Screen, checked: Checked) -> Result<Report, String> {
    let (Some(adapter), Some(task)) = (brief::adapter(desk)?, desk.run.job.task.clone()) else {
        return Ok(checked.report());
    };
    let pool = Pool::open(&desk.place.repo, &desk.place.layout.state).map_err(|error| chain(&error))?;
    let worktree = worktree(desk, &pool, &checked)?;
    let chat = Talk::begin(desk, &adapter, &worktree);
    let order = brief::order(desk, &task, &worktree, &adapter, &chat)?;
    screen.say(&format!("{} reviews {}", adapter.name, checked.candidate.commit.short()));
    let claimed = || false;
    let (ending, said) = drive(desk, screen, &adapter, &order, (chat, &claimed))?;
    if let Some(report) = end_what_is_left(desk, &pool, &worktree) {
        return Ok(report);
    }
    let run_dir = brief::utf8(&desk.place.layout.run(&desk.run.id))?;
    let claims = claim::read(&run_dir, &desk.run.token).map_err(|error| chain(&error))?;
    if !claims.claims.is_empty() {
        desk.at_once.set(false);
    }
    unchanged(&worktree, &checked)?;
    Ok(apply(desk, &adapter.name, checked, decide_check(&ending, &said, &claims.claims)))
}

fn worktree(desk: &Desk<'_>, pool: &Pool, checked: &Checked) -> Result<Worktree, String> {
    let worker = WorkerName::parse(desk.place.worker.as_str()).map_err(|error| error.to_string())?;
    let identity = identity(desk);
    let author = Author { identity: &identity, date: desk.run.job.stamp_s };
    let acquired = pool.acquire(&Owner::Gate { worker }, &checked.candidate.commit, None, &author);
    acquired.map(|acquired| acquired.worktree).map_err(|error| chain(&error))
}

fn unchanged(worktree: &Worktree, checked: &Checked) -> Result<(), String> {
    let head = worktree.head().map_err(|error| chain(&error))?;
    let changed = worktree.tracked_changes().map_err(|error| chain(&error))?;
    if head == checked.candidate.commit && changed.is_empty() {
        return Ok(());
    }
    Err(format!("the agent of this stage changed what it was to judge ({})", changed.join(", ")))
}

fn apply(desk: &Desk<'_>, agent: &str, checked: Checked, outcome: CheckOutcome) -> Report {
    match outcome {
        CheckOutcome::Pass { message } => {
            Checked { summary: joined(&checked.summary, &message), ..checked }.report()
        }
        CheckOutcome::Skipped => checked.report(),
        CheckOutcome::Fail { message, findings } => {
            let stage = desk.run.job.stage.as_ref().map(ToString::to_string).unwrap_or_default();
            let findings = findings.iter().map(finding).collect();
            let feedback = Some(Feedback { stage, reason: message.clone(), findings });
            Checked { verdict: Verdict::Fail, feedback, summary: message, ..checked }.report()
        }
        CheckOutcome::Error { reason } => Report::Errored { reason },
        CheckOutcome::Unserved(unserved) => unserved_report(agent, unserved),
        CheckOutcome::Overspent(scope) => overspent_report(desk, scope),
        CheckOutcome::Blocked { question } => Report::Blocked { question },
        CheckOutcome::Interrupted => Report::Interrupted { reason: "the worker was told to end".to_owned() },
    }
}

fn joined(gates: &str, review: &str) -> String {
    if review.is_empty() { gates.to_owned() } else { format!("{gates}; review: {review}") }
}

fn finding(claimed: &ClaimedFinding) -> serde_json::Value {
    serde_json::json!({
        "gate": "review", "rule": "review", "path": claimed.path, "line": claimed.line,
        "severity": "high", "message": claimed.message, "status": "new",
    })
}
