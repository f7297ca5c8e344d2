//! Why a feature and its tasks are where they are: the reasons in `status` and the lists.

use std::collections::BTreeMap;

use super::picture::{Picture, state_word};
use super::text::{clock, count, plain, span};
use crate::domain::accounts::Hold;
use crate::domain::budget::{Scope, day_of, used_up_text};
use crate::domain::ids::{RunId, TaskId};
use crate::domain::pipeline::{Stage, StageKind};
use crate::domain::plan::{self, Plan, PlannedTask};
use crate::domain::policy::RETRIES_MAX;
use crate::domain::schedule::progress_of;
use crate::domain::screen::Stand;
use crate::domain::state::{Feature, FeatureStatus, Sprint};
use crate::domain::task::{Status, Task, WaitKind};

/// So many predecessors are named in a reason.
const NAMED_MAX: usize = 4;
/// What everything waits for that could be begun, on a disk that is nearly full.
const NO_ROOM_ON_DISK: &str = "waits for room on the disk";

impl Picture<'_> {
    /// Why a feature is where it is; empty where its state says it all.
    pub fn feature_reason(&self, feature: &Feature) -> String {
        if let Some(disk) = self.held_by_disk(feature) {
            return disk.consequence();
        }
        match &feature.status {
            FeatureStatus::Queued => match self.state().current() {
                Some(current) => format!("begins after {}", current.id),
                None => String::new(),
            },
            FeatureStatus::Gating | FeatureStatus::GateRetry { .. } => {
                self.base_trouble(feature).unwrap_or_else(|| "the gates of the base come first".to_owned())
            }
            FeatureStatus::Beginning => "its branch is being made".to_owned(),
            FeatureStatus::Running | FeatureStatus::Resting | FeatureStatus::Finished => {
                halted_reason(feature).unwrap_or_default()
            }
            FeatureStatus::Refused { reason, .. } => reason.clone(),
        }
    }

    /// What keeps the base from being gated, and when it is tried again.
    pub fn base_trouble(&self, feature: &Feature) -> Option<String> {
        let why = feature.base_error.as_ref()?;
        let due = feature.status.due_ms();
        let next = self.retry(feature.errors, due);
        Some(format!("the base of {} could not be gated: {why}; {next}", feature.id))
    }

    /// What keeps a task's stage from running, and when it is tried again.
    pub fn task_trouble(&self, task: &Task) -> Option<String> {
        let tried = task.errors > 0
            && matches!(task.status, Status::Ready | Status::Running { .. } | Status::Retry { .. });
        tried.then(|| format!("{}: {}", self.retry(task.errors, task.status.due_ms()), task.reason))
    }

    /// `retry 1 of 3 in 8 s`. A deadline is of a supervisor: without one nothing is due.
    fn retry(&self, errors: u32, due_ms: Option<u64>) -> String {
        let when = match due_ms {
            None => "is on".to_owned(),
            Some(_) if self.supervisor.is_none() => "at the next `sprint start`".to_owned(),
            Some(due) => format!("in {}", span(due.saturating_sub(self.now.mono_ms))),
        };
        format!("retry {errors} of {RETRIES_MAX} {when}")
    }

    /// Why no model is asked for a feature, if so.
    pub(super) fn over_text(&self, feature: &Feature) -> Option<String> {
        let over = feature.over?;
        let days = &self.state().sprint.days;
        let today = days.get(&day_of(self.now)).copied().unwrap_or_default();
        let used = if over.scope == Scope::Day { today } else { feature.used };
        Some(used_up_text(over.scope, &feature.frozen.policy.budget, &used))
    }

    /// Why nobody works with a role's agent now.
    fn hold(&self, feature: &Feature, stage: &Stage, labels: &[String]) -> Option<String> {
        let agent = feature.frozen.policy.agent_of(stage.role, labels)?;
        if let Some(over) = feature.over.filter(|_| stage.kind != StageKind::Land) {
            return Some(format!("the budget of the {} is used up", over.scope));
        }
        let hold = self.state().sprint.holds.get(agent).filter(|hold| hold.holds())?;
        Some(self.hold_text(agent, hold))
    }

    /// Why a task that nothing in the plan holds is not begun.
    pub(super) fn why_not_begun(&self, feature: &Feature, task: &Task) -> String {
        let runs = matches!(feature.status, FeatureStatus::Running | FeatureStatus::Resting);
        let free = runs && feature.over.is_none() && self.held_by_disk(feature).is_none();
        match held_agent(&self.state().sprint, feature, task).filter(|_| free) {
            Some((agent, hold)) => self.hold_text(agent, hold),
            None => self.why_none_begins(feature),
        }
    }

    /// `codex is on hold, tried again in 8 s: …`
    pub(super) fn hold_text(&self, agent: &str, hold: &Hold) -> String {
        let next = match hold.until_ms {
            None => "until you have seen to it".to_owned(),
            Some(_) if self.supervisor.is_none() => "tried again at the next `sprint start`".to_owned(),
            Some(until) => {
                let left = until.saturating_sub(self.now.mono_ms);
                let told = i64::try_from(left).ok().filter(|_| hold.told_ms.is_some());
                let at = told.map(|left| format!(" (at {})", clock(self.now.wall_ms.saturating_add(left))));
                format!("tried again in {}{}", span(left), at.unwrap_or_default())
            }
        };
        format!("{agent} is on hold, {next}: {}", hold.reason)
    }

    /// When something that was asked for is applied.
    pub(super) fn applied_when(&self) -> &'static str {
        if self.supervisor.is_some() { "being applied" } else { "applied at the next `sprint start`" }
    }

    pub(super) fn task_reason(
        &self,
        feature: &Feature,
        task: &Task,
        why_not: &BTreeMap<&TaskId, String>,
    ) -> String {
        if let Some(asked) = self.asked.about(&task.key) {
            return format!("{}; {}", asked.done(), self.applied_when());
        }
        let stage = task.stage.as_ref().and_then(|name| feature.frozen.policy.pipeline.stage(name));
        // What sent it back to the developer explains; that the stage before was passed does not.
        let works = stage.is_some_and(|stage| stage.kind == StageKind::Work);
        let sent_back = if works && task.feedback.is_some() { task.reason.as_str() } else { "" };
        let trouble = self.task_trouble(task);
        let before = trouble.as_deref().unwrap_or(sent_back);
        match &task.status {
            Status::ToDo => why_not.get(&task.key.id).cloned().unwrap_or_default(),
            Status::Ready if self.held_by_disk(feature).is_some() => after_colon(NO_ROOM_ON_DISK, before),
            Status::Ready => match stage
                .filter(|stage| stage.kind != StageKind::Land)
                .and_then(|stage| self.hold(feature, stage, &task.labels))
            {
                Some(hold) => hold,
                None => after_colon(&waits_for(feature, stage), before),
            },
            Status::Running { run } => match self.tries_again(run) {
                Some(text) => text,
                None => before.to_owned(),
            },
            Status::Retry { .. } => before.to_owned(),
            Status::Landing { .. } => "the integration branch is being moved".to_owned(),
            Status::Waiting { text, .. } => text.clone(),
            Status::Done { commit } if task.reason == "landed" => format!("landed as {}", commit.short()),
            Status::Parked | Status::Skipped | Status::Done { .. } => task.reason.clone(),
        }
    }

    /// That a run's program tries its service again, by itself.
    fn tries_again(&self, run: &RunId) -> Option<String> {
        let state = self.state();
        let worker = state.workers.get(&state.runs.get(run)?.worker)?;
        let seen = worker.agent().filter(|seen| seen.stand == Stand::Retrying)?;
        let said = plain(&seen.text, 200);
        let colon = if said.is_empty() { "" } else { ": " };
        Some(format!("its program tries the service again{colon}{said}"))
    }

    /// What all tasks of a feature wait for that nothing in the plan holds.
    pub(super) fn why_none_begins(&self, feature: &Feature) -> String {
        if self.held_by_disk(feature).is_some() {
            return NO_ROOM_ON_DISK.to_owned();
        }
        match &feature.status {
            FeatureStatus::Queued => "its feature has not begun".to_owned(),
            FeatureStatus::Gating | FeatureStatus::GateRetry { .. } if feature.base_error.is_some() => {
                let next = self.retry(feature.errors, feature.status.due_ms());
                format!("the base could not be gated; {next}")
            }
            FeatureStatus::Gating | FeatureStatus::GateRetry { .. } => {
                "waits for the gates of the base".to_owned()
            }
            FeatureStatus::Beginning => "waits for the integration branch".to_owned(),
            FeatureStatus::Refused { .. } => "its feature cannot begin".to_owned(),
            FeatureStatus::Running | FeatureStatus::Resting | FeatureStatus::Finished => {
                waits_to_begin(feature, self.state().tasks_of(&feature.id))
            }
        }
    }
}

/// The agent that would begin a task, if nobody works with it now.
pub(super) fn held_agent<'s>(
    sprint: &'s Sprint,
    feature: &'s Feature,
    task: &Task,
) -> Option<(&'s String, &'s Hold)> {
    let policy = &feature.frozen.policy;
    let agent = policy.agent_of(policy.pipeline.stages.first()?.role, &task.labels)?;
    sprint.holds.get(agent).filter(|hold| hold.holds()).map(|hold| (agent, hold))
}

/// What a task waits for that nothing in the plan holds: a place in flight, then a developer.
pub(super) fn waits_to_begin<'t>(feature: &Feature, tasks: impl Iterator<Item = &'t Task>) -> String {
    if let Some(over) = feature.over {
        return format!("the budget of the {} is used up (`[budget] {0}`)", over.scope);
    }
    let most = feature.frozen.policy.max_in_flight;
    let busy = tasks.filter(|task| task.takes_place()).count();
    if u32::try_from(busy).unwrap_or(u32::MAX) < most {
        return "waits for a developer".to_owned();
    }
    let verb = if busy == 1 { "is" } else { "are" };
    format!("waits for a place: {} {verb} in flight (agents.max_in_flight = {most})", count(busy, "task"))
}

/// For every task that has not begun, what it waits for; `otherwise` where nothing in the plan holds it.
pub(super) fn not_begun<'t>(
    feature: &Feature,
    tasks: &[&'t Task],
    otherwise: &dyn Fn(&Task) -> String,
) -> BTreeMap<&'t TaskId, String> {
    if tasks.iter().all(|task| task.status != Status::ToDo) {
        return BTreeMap::new();
    }
    let by_id: BTreeMap<&TaskId, &'t Task> = tasks.iter().map(|task| (&task.key.id, *task)).collect();
    let progress = |id: &TaskId| by_id.get(id).map_or(plan::Progress::Done, |task| progress_of(task));
    let frozen = &feature.frozen;
    let held = plan::held(&frozen.plan, &progress, frozen.policy.parked);
    let open = plan::open_predecessors(&frozen.plan, &progress, frozen.policy.parked);
    let busy = busy_convoys(&frozen.plan, &by_id);
    let mut reasons = BTreeMap::new();
    for ((planned, held), open) in frozen.plan.tasks.iter().zip(held).zip(open) {
        let Some(task) = by_id.get(&planned.id).filter(|task| task.status == Status::ToDo) else {
            continue;
        };
        let text = match planned.convoy.and_then(|convoy| busy.get(&convoy)) {
            _ if !held.is_empty() => format!("held by {}", named(&held, &by_id)),
            _ if !open.is_empty() => format!("after {}", named(&open, &BTreeMap::new())),
            Some((other, task)) => convoy_reason(planned, other, task),
            None => otherwise(task),
        };
        reasons.insert(&task.key.id, text);
    }
    reasons
}

/// For each convoy the task of it that is in flight.
fn busy_convoys<'p, 't>(
    plan: &'p Plan,
    tasks: &BTreeMap<&TaskId, &'t Task>,
) -> BTreeMap<u32, (&'p PlannedTask, &'t Task)> {
    let in_flight = |planned: &'p PlannedTask| {
        let task = tasks.get(&planned.id).filter(|task| task.in_flight())?;
        Some((planned.convoy?, (planned, *task)))
    };
    plan.tasks.iter().filter_map(in_flight).collect()
}

/// `shares src/a.py with T002, which is in flight`.
fn convoy_reason(planned: &PlannedTask, other: &PlannedTask, task: &Task) -> String {
    let id = &other.id;
    let how = match &task.status {
        Status::Waiting { wait: WaitKind::Answer, .. } => "which waits for an answer",
        Status::Waiting { wait: WaitKind::Approval, .. } => "which waits for an approval",
        Status::Waiting { wait: WaitKind::Operator, .. } => "which waits for the operator",
        Status::Waiting { wait: WaitKind::External, .. } => "which waits for something outside",
        _ => "which is in flight",
    };
    match planned.shares(other) {
        Some(path) => format!("shares {path} with {id}, {how}"),
        None => format!("linked by other tasks' files with {id}, {how}"),
    }
}

/// Why landing is halted, if it is.
pub(super) fn halted_reason(feature: &Feature) -> Option<String> {
    let why = feature.halted.as_ref()?;
    Some(match &feature.adopting {
        Some(head) => format!(
            "landing is halted: the foreign head {} is gated, and taken over when it is green",
            head.short()
        ),
        None => format!("landing is halted: {why}"),
    })
}

/// What a task that is ready in its stage waits for.
fn waits_for(feature: &Feature, stage: Option<&Stage>) -> String {
    let lands = stage.is_some_and(|stage| stage.kind == StageKind::Land);
    match (&feature.halted, stage) {
        (Some(_), _) if lands => "landing is halted".to_owned(),
        (None, _) if lands => "waits for its turn in the merge queue".to_owned(),
        (_, Some(stage)) => format!("waits for a {}", stage.role),
        (_, None) => "waits for a worker".to_owned(),
    }
}

fn after_colon(lead: &str, reason: &str) -> String {
    if reason.is_empty() { lead.to_owned() } else { format!("{lead}: {reason}") }
}

/// `T001, T002 (parked) and 3 more`.
fn named(ids: &[TaskId], tasks: &BTreeMap<&TaskId, &Task>) -> String {
    let name = |id: &TaskId| match tasks.get(id) {
        Some(task) => format!("{id} ({})", state_word(task).to_lowercase()),
        None => id.to_string(),
    };
    let text = ids.iter().take(NAMED_MAX).map(name).collect::<Vec<_>>().join(", ");
    match ids.len().checked_sub(NAMED_MAX) {
        Some(more) if more > 0 => format!("{text} and {more} more"),
        _ => text,
    }
}
