//! Holds: the service of an agent's model does not serve, for now or for this account. Everybody
//! who works with that agent waits together; nobody's attempt is spent.

use serde::{Deserialize, Serialize};

use super::draft::Draft;
use super::gate::Verdict;
use super::ids::FeatureId;
use super::pipeline::{Role, StageKind};
use super::report::Report;
use super::state::{Run, Sprint};

/// The first wait, in milliseconds; each in a row is twice as long.
const HOLD_MS: u64 = 10_000;
/// No wait is longer.
const HOLD_MS_MAX: u64 = 900_000;

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
    if let Report::Unserved { agent, reason, lasting } = report {
        return unserved(draft, agent, reason, *lasting);
    }
    let worked = was_served(run, report);
    let role = draft.worker(&run.worker).map(|worker| worker.role);
    let policy = draft.feature(&run.job.feature).map(|feature| &feature.frozen.policy);
    let agent = role.zip(policy).and_then(|(role, policy)| policy.agent_of(role, &run.job.labels)).cloned();
    if let Some(agent) = agent.filter(|_| worked) {
        served(draft, &agent);
    }
}

/// Whether the report shows that the agent had its answers. In a check stage it is asked only when
/// the gates have passed, and once an attempt.
fn was_served(run: &Run, report: &Report) -> bool {
    let asked = run.job.kind == StageKind::Check && run.job.stage.is_some() && !run.job.stands;
    match report {
        Report::Worked { .. } | Report::Failed { .. } => run.job.kind == StageKind::Work,
        Report::Added { .. } | Report::Unjudged { .. } | Report::Checked { verdict: Verdict::Pass, .. } => {
            asked
        }
        Report::Proposed { .. } | Report::Resolved { .. } => true,
        Report::Checked { .. }
        | Report::Landable { .. }
        | Report::NothingToDo { .. }
        | Report::Blocked { .. }
        | Report::Unserved { .. }
        | Report::Errored { .. }
        | Report::Survived { .. }
        | Report::Interrupted { .. } => false,
    }
}

/// The service of an agent did not serve a run. `lasting`: waiting alone does not help.
fn unserved(draft: &mut Draft<'_>, agent: &str, reason: &str, lasting: bool) {
    let (now, known) = (draft.now, draft.sprint().holds.get(agent).cloned());
    // Of several runs that meet the same limit, the first one counts.
    let meets = known.as_ref().is_some_and(Hold::holds);
    if meets && !lasting {
        return;
    }
    let tries = known.map_or(0, |hold| hold.tries) + 1;
    let wait = HOLD_MS.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(HOLD_MS_MAX);
    let until_ms = (!lasting).then(|| now.mono_ms.saturating_add(wait).max(1));
    let next =
        if lasting { "waits for you".to_owned() } else { format!("is tried again in {} s", wait / 1000) };
    let hold = Hold { until_ms, tries, since_ms: now.wall_ms, reason: reason.to_owned() };
    draft.edit_sprint().holds.insert(agent.to_owned(), hold);
    draft.say("agent_held", None, format!("{agent} {next}: {reason}"));
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
        draft.edit_sprint().holds.clear();
    }
    held
}

/// After a reboot deadlines mean nothing: what was to wait is due.
pub(super) fn forget_deadlines(draft: &mut Draft<'_>) {
    if !draft.sprint().holds.is_empty() {
        for hold in draft.edit_sprint().holds.values_mut().filter(|hold| hold.until_ms.is_some()) {
            hold.until_ms = Some(0);
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
