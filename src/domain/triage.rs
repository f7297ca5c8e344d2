//! Triage: the manager's agent, where the role has one, looks at what is parked or asks, and
//! proposes what to do. A person accepts, or with `roles.manager.auto` some of it is done by itself.
//!
//! Everything is bounded: a cause is looked at once, one at a time, and by itself the manager acts
//! once on a task for each kind of cause. What waits for the operator, for a sign-in or for an
//! approval is never its business.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::accounts::hold_of;
use super::budget;
use super::draft::Draft;
use super::effect::Effect;
use super::features;
use super::ids::FeatureId;
use super::moves::{Because, feed};
use super::pipeline::Role;
use super::report::{Feedback, Report};
use super::requests::{give_answer, is_planned};
use super::state::{Run, RunStatus};
use super::task::{Input, Status, Task, TaskKey, WaitKind};
use super::work::{Work, WorkKind};

/// Why a task does not go on without somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CauseKind {
    /// It asks.
    Question,
    /// Its attempts are spent.
    Parked,
}

/// What the manager is to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Which kind.
    pub kind: CauseKind,
    /// At which attempt.
    pub attempt: u32,
    /// The question, or the reason.
    pub text: String,
}

/// What the manager may propose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Answer the question.
    Answer,
    /// Make several tasks of it.
    Split,
    /// Try again, with advice.
    Retry,
    /// Leave it out.
    Skip,
}

impl Action {
    /// Reads what [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Answer, Self::Split, Self::Retry, Self::Skip]
            .into_iter()
            .find(|action| action.as_str() == word)
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Split => "split",
            Self::Retry => "retry",
            Self::Skip => "skip",
        }
    }
}

/// What the manager proposes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// To do what.
    pub action: Action,
    /// The answer, the advice, the reason, or lines for `tasks.md`.
    pub text: String,
}

/// What a task keeps of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triage {
    /// What was looked at last, or is being looked at.
    pub seen: Option<Cause>,
    /// What came of it, if anything did.
    pub proposal: Option<Proposal>,
    /// On which kinds of causes the manager has acted by itself.
    #[serde(default)]
    pub acted: BTreeSet<CauseKind>,
}

impl Task {
    /// What the manager could look at now.
    pub fn cause(&self) -> Option<Cause> {
        let (kind, text) = match &self.status {
            Status::Waiting { wait: WaitKind::Answer, text } => (CauseKind::Question, text),
            Status::Parked => (CauseKind::Parked, &self.reason),
            Status::Waiting {
                wait: WaitKind::Approval | WaitKind::Operator | WaitKind::External | WaitKind::Checkout,
                ..
            }
            | Status::ToDo
            | Status::Ready
            | Status::Running { .. }
            | Status::Retry { .. }
            | Status::Landing { .. }
            | Status::Skipped
            | Status::Done { .. } => return None,
        };
        Some(Cause { kind, attempt: self.attempt, text: text.clone() })
    }

    /// What the manager proposes about what the task waits for now.
    pub fn proposal(&self) -> Option<&Proposal> {
        let triage = self.triage.as_ref()?;
        triage.proposal.as_ref().filter(|_| triage.seen.is_some() && triage.seen == self.cause())
    }
}

/// The next task that the manager is to look at: one at a time.
pub(super) fn work(draft: &Draft<'_>, id: &FeatureId) -> Option<Work> {
    let policy = &draft.feature(id)?.frozen.policy;
    let busy = || draft.runs().any(|run| run.job.triage.is_some());
    // A look costs something too.
    if busy() || budget::used_up(draft, id).is_some() {
        return None;
    }
    let unseen = |task: &&Task| {
        let seen = task.triage.as_ref().and_then(|triage| triage.seen.as_ref());
        let serves = policy.agent_of(Role::Manager, &task.labels).is_some()
            && hold_of(draft, id, Role::Manager, &task.labels).is_none();
        serves && task.cause().is_some_and(|cause| seen != Some(&cause))
    };
    let first = draft.tasks_of(id).filter(unseen).min_by_key(|task| task.order)?;
    Some(Work { role: Role::Manager, kind: WorkKind::Triage { key: first.key.clone() } })
}

/// The cause counts as looked at: the manager is at it, or it is none of its business.
pub(super) fn see(draft: &mut Draft<'_>, key: &TaskKey) -> Option<Cause> {
    let task = draft.edit_task(key)?;
    let cause = task.cause()?;
    let triage = task.triage.get_or_insert_default();
    triage.seen = Some(cause.clone());
    triage.proposal = None;
    Some(cause)
}

/// A run that looks at what does not wait any more is ended: nobody needs what it costs.
pub(super) fn revoke_stale(draft: &mut Draft<'_>) {
    let stale: Vec<Run> = draft
        .runs()
        .filter(|run| run.status == RunStatus::Active)
        .filter(|run| {
            let task = key_of(run).and_then(|key| draft.task(&key));
            run.job.triage.is_some() && task.and_then(Task::cause) != run.job.triage
        })
        .cloned()
        .collect();
    for mut run in stale {
        run.status = RunStatus::Revoked;
        draft.effect(Effect::Wake { worker: run.worker.clone() });
        draft.put_run(run);
    }
}

fn key_of(run: &Run) -> Option<TaskKey> {
    Some(TaskKey { feature: run.job.feature.clone(), id: run.job.task.clone()? })
}

/// The manager's run has ended with a report.
pub(super) fn reported(draft: &mut Draft<'_>, run: &Run, cause: &Cause, report: &Report) {
    let Some(key) = key_of(run) else { return };
    if draft.task(&key).and_then(Task::cause).as_ref() != Some(cause) {
        return draft.say_task("triage_late", &key, "the manager's proposal comes too late");
    }
    match report {
        Report::Proposed { proposal } => proposed(draft, &key, cause, proposal),
        Report::Interrupted { .. } => forget(draft, &key),
        // Everybody with that agent waits, and the manager looks again afterwards.
        Report::Unserved { reason, .. } => match hold_of(draft, &key.feature, Role::Manager, &run.job.labels)
        {
            Some(_) => forget(draft, &key),
            None => nothing(draft, &key, reason),
        },
        Report::Failed { reason, .. } | Report::Errored { reason } => nothing(draft, &key, reason),
        Report::Survived { processes } => {
            nothing(draft, &key, &format!("processes of its run would not end: {}", processes.join(", ")));
        }
        Report::Worked { .. }
        | Report::Added { .. }
        | Report::Unjudged { .. }
        | Report::Checked { .. }
        | Report::Landable { .. }
        | Report::Resolved { .. }
        | Report::NothingToDo { .. }
        | Report::Overspent { .. }
        | Report::Blocked { .. } => nothing(draft, &key, "its report is no proposal"),
    }
}

/// The manager's worker died: the cause is not looked at again, whoever killed it.
pub(super) fn lost(draft: &mut Draft<'_>, run: &Run) {
    if let Some(key) = key_of(run) {
        nothing(draft, &key, "its worker died");
    }
}

fn nothing(draft: &mut Draft<'_>, key: &TaskKey, reason: &str) {
    draft.say_task("triage_failed", key, format!("the manager has no proposal: {reason}"));
}

fn forget(draft: &mut Draft<'_>, key: &TaskKey) {
    if let Some(triage) = draft.edit_task(key).and_then(|task| task.triage.as_mut()) {
        triage.seen = None;
    }
}

fn proposed(draft: &mut Draft<'_>, key: &TaskKey, cause: &Cause, proposal: &Proposal) {
    if proposal.action == Action::Answer && cause.kind != CauseKind::Question {
        return nothing(draft, key, "it proposes an answer, and nothing was asked");
    }
    if let Some(task) = draft.edit_task(key) {
        task.triage.get_or_insert_default().proposal = Some(proposal.clone());
    }
    let text = format!("the manager proposes: {}: {}", proposal.action.as_str(), proposal.text);
    draft.say_task("triage_proposed", key, text);
    if acts(draft, key, cause.kind, proposal.action) {
        act(draft, key, cause.kind, proposal);
    }
}

/// Whether it is done without the person.
fn acts(draft: &Draft<'_>, key: &TaskKey, kind: CauseKind, action: Action) -> bool {
    let auto = draft.feature(&key.feature).is_some_and(|feature| feature.frozen.policy.manager_auto);
    let acted =
        draft.task(key).and_then(|task| task.triage.as_ref()).is_some_and(|t| t.acted.contains(&kind));
    let possible = match action {
        Action::Answer | Action::Skip => true,
        Action::Retry => is_planned(draft, key),
        Action::Split => false,
    };
    auto && !acted && possible
}

fn act(draft: &mut Draft<'_>, key: &TaskKey, kind: CauseKind, proposal: &Proposal) {
    if let Some(triage) = draft.edit_task(key).and_then(|task| task.triage.as_mut()) {
        triage.acted.insert(kind);
    }
    draft.say_task("triage_applied", key, "it is done without you, as roles.manager.auto says");
    let (input, done) = match proposal.action {
        Action::Answer => {
            give_answer(draft, key, &proposal.text);
            (Input::Answer, "answered")
        }
        Action::Retry => (Input::Retry, "retried"),
        Action::Skip | Action::Split => (Input::Skip, "skipped"),
    };
    feed(draft, key, input, &Because::reason(format!("{done} by the manager: {}", proposal.text)));
    features::reopen(draft, &key.feature);
}

/// What the next attempt is told where another go was proposed.
pub(super) fn advise(draft: &mut Draft<'_>, key: &TaskKey) {
    let Some(task) = draft.task(key) else { return };
    let advice = task.proposal().filter(|proposal| proposal.action == Action::Retry);
    let Some(advice) = advice.map(|proposal| proposal.text.clone()) else { return };
    let stage = task.stage.as_ref().map(ToString::to_string).unwrap_or_default();
    let reason = task.reason.clone();
    if let Some(task) = draft.edit_task(key) {
        let told = || Feedback { stage, reason, findings: Vec::new() };
        let feedback = task.feedback.get_or_insert_with(told);
        feedback.reason = format!("{}\nThe manager's advice: {advice}", feedback.reason);
    }
}
