//! Holds: the service of an agent's model does not serve, for now or for this account, or its program
//! fails at once every time. Everybody who works with that agent waits together; nobody's attempt is
//! spent.

use serde::{Deserialize, Serialize};

use super::draft::Draft;
use super::gate::Verdict;
use super::ids::{FeatureId, TaskId};
use super::pipeline::{Role, StageKind};
use super::policy::BREAKER_RUNS;
use super::report::Report;
use super::state::{Run, Sprint};
use super::task::TaskKey;

/// The first wait, in milliseconds; each in a row is twice as long.
const HOLD_MS: u64 = 10_000;
/// No wait is longer,
const HOLD_MS_MAX: u64 = 900_000;
/// but for one whose end the service itself has told, which is waited for so long at most.
const TOLD_MS_MAX: u64 = 24 * 3_600_000;
/// And so long after it: clocks differ.
const TOLD_MORE_MS: u64 = 1000;
/// What ends a hold that time does not end: the first with a supervisor, the other without one.
const GO_ON: &str = "; then: sprint resume, or, where the sprint has ended, sprint start";

/// An agent that nobody works with for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// When it is tried again, in monotonic milliseconds; 0: it may be tried. None: a person has to
    /// do something first.
    pub until_ms: Option<u64>,
    /// So often in a row.
    pub tries: u32,
    /// Since when, wall clock.
    pub since_ms: i64,
    /// In the program's words.
    pub reason: String,
    /// When it ends as the service itself has told; wall clock, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_ms: Option<i64>,
}

impl Hold {
    /// Whether it holds now.
    pub fn holds(&self) -> bool {
        self.until_ms != Some(0)
    }
}

impl Sprint {
    /// When the next hold ends.
    pub(super) fn hold_due(&self) -> Option<u64> {
        self.holds.values().filter_map(|hold| hold.until_ms).filter(|until| *until > 0).min()
    }
}

/// What a report tells of the agent's service, whatever becomes of the task.
pub(super) fn reported(draft: &mut Draft<'_>, run: &Run, report: &Report) {
    if let Report::Unserved { agent, reason, lasting, until_ms } = report {
        return unserved(draft, agent, reason, *lasting, *until_ms);
    }
    note(draft, run, report);
    match (&run.at_once, report) {
        (
            Some(agent),
            Report::Failed { reason, .. } | Report::Errored { reason } | Report::Unjudged { reason },
        ) => {
            return failed_at_once(draft, run, agent, reason);
        }
        // Nobody knows how it would have gone on.
        (_, Report::Interrupted { .. }) => return,
        _ => {}
    }
    // Gates that passed or failed without it tell nothing about it.
    if !was_served(run, report) {
        return;
    }
    let role = draft.worker(&run.worker).map(|worker| worker.role);
    let policy = draft.feature(&run.job.feature).map(|feature| &feature.frozen.policy);
    let agent = role.zip(policy).and_then(|(role, policy)| policy.agent_of(role, &run.job.labels)).cloned();
    let Some(agent) = agent else { return };
    if draft.sprint().at_once.contains_key(&agent) {
        draft.edit_sprint().at_once.remove(&agent);
    }
    served(draft, &agent);
}

/// Whether the task's last run failed at once.
fn note(draft: &mut Draft<'_>, run: &Run, report: &Report) {
    let Some(id) = run.job.task.clone() else { return };
    let key = TaskKey { feature: run.job.feature.clone(), id };
    let known = draft.task(&key).is_some_and(|task| task.at_once);
    if known != run.at_once.is_some()
        && !matches!(report, Report::Interrupted { .. })
        && let Some(task) = draft.edit_task(&key)
    {
        task.at_once = !known;
    }
}

/// Whether the report shows that the agent had its answers. In a check stage it is asked only when
/// the gates have passed, and once an attempt.
fn was_served(run: &Run, report: &Report) -> bool {
    let asked = run.job.kind == StageKind::Check && run.job.stage.is_some() && !run.job.stands;
    match report {
        Report::Worked { .. } | Report::Failed { .. } | Report::Overspent { .. } => {
            run.job.kind == StageKind::Work
        }
        Report::Added { .. } | Report::Unjudged { .. } | Report::Checked { verdict: Verdict::Pass, .. } => {
            asked
        }
        Report::Proposed { .. } | Report::Resolved { .. } | Report::Blocked { .. } => true,
        Report::Checked { .. }
        | Report::Landable { .. }
        | Report::NothingToDo { .. }
        | Report::Unserved { .. }
        | Report::Errored { .. }
        | Report::Survived { .. }
        | Report::Interrupted { .. } => false,
    }
}

/// The service of an agent did not serve a run. `lasting`: waiting alone does not help.
fn unserved(draft: &mut Draft<'_>, agent: &str, reason: &str, lasting: bool, told_ms: Option<i64>) {
    let (now, known) = (draft.now, draft.sprint().holds.get(agent).cloned());
    // Of several runs that meet the same limit, the first one counts, and is told once.
    let waits = |hold: &Hold| if lasting { hold.until_ms.is_none() } else { hold.holds() };
    if known.as_ref().is_some_and(waits) {
        return;
    }
    let tries = known.map_or(0, |hold| hold.tries) + 1;
    let backoff = HOLD_MS.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(HOLD_MS_MAX);
    let told_ms = told_ms.filter(|_| !lasting);
    let wait = told_ms.map_or(backoff, |at| told_wait(at, now.wall_ms));
    let until_ms = (!lasting).then(|| now.mono_ms.saturating_add(wait).max(1));
    let next =
        if lasting { "waits for you".to_owned() } else { format!("is tried again in {} s", wait / 1000) };
    let then = if lasting { GO_ON } else { "" };
    let hold = Hold { until_ms, tries, since_ms: now.wall_ms, reason: reason.to_owned(), told_ms };
    draft.edit_sprint().holds.insert(agent.to_owned(), hold);
    draft.say("agent_held", None, format!("{agent} {next}: {reason}{then}"));
}

/// How long a limit is waited for whose end is told.
fn told_wait(at_ms: i64, wall_ms: i64) -> u64 {
    let left = u64::try_from(at_ms.saturating_sub(wall_ms)).unwrap_or(0);
    left.saturating_add(TOLD_MORE_MS).min(TOLD_MS_MAX)
}

/// A run failed without use, change or claim. After some in a row nobody tries again unattended.
fn failed_at_once(draft: &mut Draft<'_>, run: &Run, agent: &str, reason: &str) {
    let now = draft.now;
    let row = draft.edit_sprint().at_once.entry(agent.to_owned()).or_default();
    *row = row.saturating_add(1);
    let waits = draft.sprint().holds.get(agent).is_some_and(|known| known.until_ms.is_none());
    if waits || !is_open(draft, agent) {
        return;
    }
    let logs = log_of(draft, run);
    let reason = format!(
        "{BREAKER_RUNS} runs in a row failed at once, with nothing done: {reason}; see `sprint logs {logs}`, and mend it"
    );
    draft.say("agent_held", None, format!("{agent} waits for you: {reason}{GO_ON}"));
    let hold = Hold { until_ms: None, tries: 1, since_ms: now.wall_ms, reason, told_ms: None };
    draft.edit_sprint().holds.insert(agent.to_owned(), hold);
}

/// Whose log shows what the run printed.
fn log_of(draft: &Draft<'_>, run: &Run) -> String {
    let key = |id: &TaskId| TaskKey { feature: run.job.feature.clone(), id: id.clone() };
    run.job.task.as_ref().map_or_else(|| run.worker.to_string(), |id| draft.name_of(&key(id)).to_string())
}

fn is_open(draft: &Draft<'_>, agent: &str) -> bool {
    draft.sprint().at_once.get(agent).is_some_and(|runs| *runs >= BREAKER_RUNS)
}

/// Whether the run failed at once and its agent's breaker is open: it has judged nothing.
pub(super) fn is_broken(draft: &Draft<'_>, run: &Run) -> bool {
    run.at_once.as_ref().is_some_and(|agent| is_open(draft, agent))
}

/// A run of the agent got its answers.
fn served(draft: &mut Draft<'_>, agent: &str) {
    if draft.sprint().holds.get(agent).is_some_and(|hold| !hold.holds()) {
        draft.edit_sprint().holds.remove(agent);
        draft.say("agent_serves", None, format!("{agent} serves again"));
    }
}

/// Holds whose time has come.
pub(super) fn expire(draft: &mut Draft<'_>) {
    let now = draft.now.mono_ms;
    let due = |until: Option<u64>| until.is_some_and(|until| until > 0 && until <= now);
    if draft.sprint().holds.values().any(|hold| due(hold.until_ms)) {
        for hold in draft.edit_sprint().holds.values_mut().filter(|hold| due(hold.until_ms)) {
            hold.until_ms = Some(0);
        }
    }
}

/// A person has done something: everything is tried at once. Returns whether anything was held.
pub(super) fn release(draft: &mut Draft<'_>) -> bool {
    let held = draft.sprint().holds.values().any(Hold::holds);
    if held {
        let sprint = draft.edit_sprint();
        sprint.holds.clear();
        // One more that fails at once opens the breaker again.
        sprint.at_once.values_mut().for_each(|runs| *runs = (*runs).min(BREAKER_RUNS - 1));
    }
    held
}

/// After a reboot deadlines mean nothing: what was to wait is due, unless its end was told.
pub(super) fn forget_deadlines(draft: &mut Draft<'_>) {
    let now = draft.now;
    if !draft.sprint().holds.is_empty() {
        for hold in draft.edit_sprint().holds.values_mut().filter(|hold| hold.until_ms.is_some()) {
            let told = hold.told_ms.filter(|at| hold.until_ms != Some(0) && *at > now.wall_ms);
            hold.until_ms = Some(told.map_or(0, |at| now.mono_ms + told_wait(at, now.wall_ms)));
        }
    }
}

/// The hold on the agent of a role for a task with these labels, if it holds.
pub(super) fn hold_of<'d>(
    draft: &'d Draft<'_>,
    feature: &FeatureId,
    role: Role,
    labels: &[String],
) -> Option<&'d Hold> {
    let agent = draft.feature(feature)?.frozen.policy.agent_of(role, labels)?;
    draft.sprint().holds.get(agent).filter(|hold| hold.holds())
}
