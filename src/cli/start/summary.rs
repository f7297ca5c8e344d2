//! How a sprint ended: the lines at its end, and the exit code.

use crate::cli::context::store_error;
use crate::cli::cost::Sum;
use crate::cli::flaky;
use crate::cli::foreign::Foreign;
use crate::cli::out::Out;
use crate::cli::spending::{self, CostOf};
use crate::cli::text::{count, plain};
use crate::cli::traces;
use crate::cli::why::{held_agent, not_begun, waits_to_begin};
use crate::domain::accounts::Hold;
use crate::domain::ids::FeatureId;
use crate::domain::state::{Feature, FeatureStatus, State};
use crate::domain::task::{Status, Task, TaskName, WaitKind};
use crate::error::{CliError, exit};
use crate::git::{Repo, branch};
use crate::process::clock;
use crate::store::Client;

/// Tasks that need somebody, at most so many are named.
const NAMED_MAX: usize = 20;

/// The exit code of these features: what refused one, 1 if anything is open, else 0.
pub(super) fn exit_of(state: &State, features: &[FeatureId]) -> u8 {
    let rows: Vec<_> = features.iter().filter_map(|id| state.features.get(id)).collect();
    let refused = rows.iter().find_map(|row| match &row.status {
        FeatureStatus::Refused { exit, .. } => Some(*exit),
        _ => None,
    });
    let finished =
        rows.len() == features.len() && rows.iter().all(|row| row.status == FeatureStatus::Finished);
    refused.unwrap_or(if finished { exit::DONE } else { exit::UNFINISHED })
}

/// Prints how the features stand and what to type next.
///
/// # Errors
/// The store cannot be read (exit 3).
pub(super) fn print(
    out: &mut Out<'_>,
    client: &Client,
    features: &[FeatureId],
    repo: &Repo,
    branch_name: Option<&str>,
) -> Result<(), CliError> {
    let state = client.overview().map_err(store_error)?.state;
    for id in features {
        let Some(feature) = state.features.get(id) else { continue };
        if let FeatureStatus::Refused { reason, .. } = &feature.status {
            out.line(format!("{id}: could not begin: {}", plain(reason, 2_000)));
            out.line(format!("  mend that, then: sprint start {}", plain(&feature.dir, 300)));
            continue;
        }
        let mut tasks: Vec<&Task> = state.tasks_of(id).collect();
        tasks.sort_by_key(|task| task.order);
        let landed = tasks.iter().filter(|task| matches!(task.status, Status::Done { .. })).count();
        let are = if tasks.len() == 1 { "is" } else { "are" };
        out.line(format!("{id}: {landed} of {} {are} done", count(tasks.len(), "task")));
        let spent = client.spent_of(id).map_err(store_error)?;
        let budget = spending::shared(&state, feature, clock::now());
        if let Some(cost) = spending::line(&CostOf { sum: Sum::of(&spent), budget }) {
            out.line(format!("  {cost}"));
        }
        for (test, found) in feature.flaky.findings().take(NAMED_MAX) {
            out.line(format!("  {}", flaky::line(test, found)));
        }
        let used: Vec<&String> = feature.frozen.policy.agents_in_use().collect();
        let refused = |(agent, hold): &(&String, &Hold)| {
            used.contains(agent) && hold.holds() && hold.until_ms.is_none()
        };
        for (agent, hold) in state.sprint.holds.iter().filter(refused) {
            out.line(format!("  {agent} waits for you: {}", plain(&hold.reason, 300)));
            out.line(format!("  mend that, then: sprint start {}", plain(&feature.dir, 300)));
        }
        let why = |task: &Task| match held_agent(&state.sprint, feature, task) {
            Some((agent, _)) if feature.over.is_none() => format!("{agent} is on hold"),
            _ => waits_to_begin(feature, tasks.iter().copied()),
        };
        let why_not = not_begun(feature, &tasks, &why);
        for task in tasks.iter().filter(|task| !task.closed()).take(NAMED_MAX) {
            open_task(
                out,
                &state.name_of(&task.key),
                task,
                why_not.get(&task.key.id).map_or("", String::as_str),
            );
        }
        if let Some(reason) = &feature.halted {
            out.line(format!("  landing is halted: {}", plain(reason, 500)));
            // The branch has what no gate has seen: it is not to be taken over.
            first(out, repo, feature);
            continue;
        }
        let integration = branch::integration(id);
        match branch_name {
            // Nothing has landed: there is nothing to take over.
            _ if landed == 0 => {}
            Some(name) => out.line(format!("  to take it over into {name}: git merge {integration}")),
            None => out.line(format!("  to take it over: git merge {integration}")),
        }
    }
    traces::show(&traces::standing(repo, &state), out);
    Ok(())
}

/// What to do about a branch that somebody moved, before anything is taken over.
fn first(out: &mut Out<'_>, repo: &Repo, feature: &Feature) {
    let dir = plain(&feature.dir, 300);
    if feature.adopting.is_none() {
        let fix = Foreign::fix(Foreign::seen(repo, feature).as_ref());
        out.line(format!("  do not take {} over yet; first: {fix}", branch::integration(&feature.id)));
        out.line(format!("  then: sprint start {dir}"));
    } else {
        out.line(format!("  its gates are still to pass: sprint start {dir}"));
    }
}

/// `why_not`: what a task waits for that has not begun.
fn open_task(out: &mut Out<'_>, id: &TaskName, task: &Task, why_not: &str) {
    let (how, todo) = match &task.status {
        Status::Waiting { wait, text } => (
            format!("waits: {}", plain(text, 300)),
            match wait {
                WaitKind::Answer => format!("sprint answer {id} \"…\""),
                WaitKind::Approval | WaitKind::External => {
                    format!("sprint approve {id}")
                }
                WaitKind::Operator => format!("sprint task retry {id}"),
                WaitKind::Checkout => "sprint start, when it is free".to_owned(),
            },
        ),
        Status::Parked => {
            (format!("is parked: {}", plain(&task.reason, 300)), format!("sprint task retry {id}"))
        }
        Status::ToDo => (format!("is not begun: {}", plain(why_not, 300)), format!("sprint task show {id}")),
        Status::Ready
        | Status::Running { .. }
        | Status::Retry { .. }
        | Status::Landing { .. }
        | Status::Skipped
        | Status::Done { .. } => ("is not done yet".to_owned(), format!("sprint task show {id}")),
    };
    out.line(format!("  {id} {how}  [{todo}]"));
}
