//! The lives of features: queued, gated, begun, at rest, finished.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::budget::Used;
use super::draft::Draft;
use super::effect::Effect;
use super::event::{NewFeature, NewTask, moved_text};
use super::flaky::Flakies;
use super::gate::Verdict;
use super::ids::{CommitSha, FeatureId};
use super::policy::{DEATHS_MAX, error_backoff};
use super::report::Report;
use super::state::{Feature, FeatureStatus, Frozen, Mode, Run};
use super::task::{Status, Task, TaskKey};
use super::{accounts, moves, workers};

/// Takes a feature over: a new one, one that goes on, or another round of a finished one.
pub(super) fn start(draft: &mut Draft<'_>, new: &NewFeature) -> String {
    draft.edit_sprint().rest_since_ms = None;
    workers::forget_deadlines(draft);
    accounts::release(draft);
    let sprint = draft.edit_sprint();
    if matches!(sprint.mode, Mode::Draining { .. }) {
        sprint.mode = Mode::Running;
    }
    sprint.stay = new.stay;
    sprint.answer_wait_ms = new.answer_wait_ms;
    sprint.config = Some(new.policy.config.clone());
    let Some(known) = draft.feature(&new.id).cloned() else {
        queue(draft, new, 1);
        return format!("feature {} is queued", new.id);
    };
    take_budget(draft, new);
    match known.status {
        FeatureStatus::Queued
        | FeatureStatus::Gating
        | FeatureStatus::GateRetry { .. }
        | FeatureStatus::Beginning
        | FeatureStatus::Running => format!("feature {} goes on", new.id),
        FeatureStatus::Refused { .. } => {
            queue(draft, new, known.round);
            format!("feature {} is tried again", new.id)
        }
        FeatureStatus::Resting | FeatureStatus::Finished => {
            if !has_unknown_tasks(draft, new) {
                return format!("feature {} goes on", new.id);
            }
            queue(draft, new, known.round + 1);
            format!("feature {} begins another round", new.id)
        }
    }
}

/// What may be used is the person's to say each time, and not fixed with the feature.
fn take_budget(draft: &mut Draft<'_>, new: &NewFeature) {
    let Some(row) = draft.edit_feature(&new.id) else { return };
    if row.frozen.policy.budget != new.policy.budget {
        Arc::make_mut(&mut row.frozen).policy.budget = new.policy.budget;
    }
}

fn has_unknown_tasks(draft: &Draft<'_>, new: &NewFeature) -> bool {
    new.tasks
        .iter()
        .filter(|task| !task.done && !task.dropped)
        .any(|task| draft.task(&TaskKey { feature: new.id.clone(), id: task.id.clone() }).is_none())
}

fn queue(draft: &mut Draft<'_>, new: &NewFeature, round: u32) {
    let last =
        draft.feature_ids().iter().filter_map(|id| draft.feature(id)).map(|feature| feature.order).max();
    draft.put_feature(Feature {
        id: new.id.clone(),
        dir: new.dir.clone(),
        order: last.map_or(0, |order| order + 1),
        round,
        status: FeatureStatus::Queued,
        frozen: Arc::new(Frozen { plan: new.plan.clone(), policy: new.policy.clone() }),
        base: new.base.clone(),
        after: new.after.clone(),
        head: None,
        errors: 0,
        base_error: None,
        deaths: 0,
        halted: None,
        adopting: None,
        flaky: Flakies::default(),
        traces: Vec::new(),
        queue_last: 0,
        used: draft.feature(&new.id).map(|known| known.used).unwrap_or_default(),
        over: None,
    });
    leave_out_vanished(draft, new);
    for (order, task) in (0u32..).zip(&new.tasks) {
        let key = TaskKey { feature: new.id.clone(), id: task.id.clone() };
        let row = match draft.task(&key) {
            // What has landed or was left out in an earlier round stays so.
            Some(known) if known.closed() => {
                Task { order, title: task.title.clone(), labels: task.labels.clone(), ..known.clone() }
            }
            Some(known) => Task {
                attempt: known.attempt.max(task.attempt),
                used: known.used,
                ..fresh(draft, &key, order, task, &new.base)
            },
            None => fresh(draft, &key, order, task, &new.base),
        };
        draft.put_task(row);
    }
    draft.say("feature_queued", Some(&new.id), format!("{} tasks", new.tasks.len()));
}

/// Open tasks of an earlier round that the file does not have any more.
fn leave_out_vanished(draft: &mut Draft<'_>, new: &NewFeature) {
    let named: BTreeSet<_> = new.tasks.iter().map(|task| &task.id).collect();
    let open = draft.tasks_of(&new.id).filter(|task| !task.closed() && !named.contains(&task.key.id));
    let gone: Vec<TaskKey> = open.map(|task| task.key.clone()).collect();
    for key in gone {
        moves::set(draft, &key, Status::Skipped, "not in tasks.md any more");
    }
}

fn fresh(draft: &Draft<'_>, key: &TaskKey, order: u32, task: &NewTask, base: &CommitSha) -> Task {
    let (status, reason) = if task.dropped {
        (Status::Skipped, "dropped in tasks.md")
    } else if task.done {
        (Status::Done { commit: base.clone() }, "already done in tasks.md")
    } else {
        (Status::ToDo, "")
    };
    Task {
        key: key.clone(),
        title: task.title.clone(),
        labels: task.labels.clone(),
        order,
        status,
        stage: None,
        attempt: task.attempt,
        failures: 0,
        errors: 0,
        deaths: 0,
        head: None,
        resume_from: None,
        candidate: None,
        gates: Vec::new(),
        stands: Vec::new(),
        remarks: Vec::new(),
        feedback: None,
        answer: None,
        triage: None,
        at_once: false,
        resolved: 0,
        queued: None,
        stamp_s: 0,
        reason: reason.to_owned(),
        since_ms: draft.now.wall_ms,
        used: Used::default(),
    }
}

/// The first queued feature begins: its base is gated, then its branch is made.
pub(super) fn begin_next(draft: &mut Draft<'_>) -> bool {
    let queued = draft
        .feature_ids()
        .into_iter()
        .find(|id| draft.feature(id).is_some_and(|feature| feature.status == FeatureStatus::Queued));
    let Some(id) = queued else { return false };
    let after = draft.feature(&id).and_then(|feature| feature.after.clone());
    let base = after.and_then(|before| draft.feature(&before)?.head.clone());
    let Some(feature) = draft.edit_feature(&id) else { return false };
    if let Some(base) = base {
        feature.base = base;
    }
    feature.status = FeatureStatus::Gating;
    if !feature.frozen.policy.gate_base {
        based(draft, &id);
    }
    true
}

fn based(draft: &mut Draft<'_>, id: &FeatureId) {
    let Some(feature) = draft.edit_feature(id) else { return };
    feature.status = FeatureStatus::Beginning;
    feature.base_error = None;
    let base = feature.base.clone();
    draft.effect(Effect::BeginFeature { feature: id.clone(), base });
}

/// The gates of the base, or of a foreign head, have spoken.
pub(super) fn base_reported(draft: &mut Draft<'_>, run: &Run, report: &Report) {
    let id = &run.job.feature;
    if draft.feature(id).is_some_and(|feature| feature.frozen.policy.config != run.job.config) {
        let text = "the configuration changed while the base was gated; its gates run again";
        return draft.say("base_again", Some(id), text);
    }
    if draft.feature(id).is_some_and(|feature| feature.adopting.is_some()) {
        return foreign_reported(draft, id, report);
    }
    if draft.feature(id).is_some_and(|feature| feature.status != FeatureStatus::Gating) {
        // It was found to have begun: the database had forgotten.
        return draft.say("base_ignored", Some(id), "its base was gated before");
    }
    match report {
        Report::Checked { verdict, summary, .. } => match verdict {
            Verdict::Pass | Verdict::Skipped => {
                draft.say("base_passed", Some(id), summary.clone());
                based(draft, id);
            }
            Verdict::Fail => {
                let what = format!("the base is red: {summary}; `sprint logs reviewer` shows what failed");
                refuse(draft, id, 4, &what);
            }
            Verdict::Error => base_error(draft, id, summary),
        },
        Report::Errored { reason } | Report::Failed { reason, .. } => base_error(draft, id, reason),
        Report::Interrupted { .. }
        | Report::Unserved { .. }
        | Report::Overspent { .. }
        | Report::Survived { .. }
        | Report::Added { .. }
        | Report::Unjudged { .. }
        | Report::Worked { .. }
        | Report::Proposed { .. }
        | Report::Resolved { .. }
        | Report::Landable { .. }
        | Report::NothingToDo { .. }
        | Report::Blocked { .. } => base_lost(draft, id),
    }
}

/// The run on the base ended without a verdict: it is done again.
pub(super) fn base_lost(draft: &mut Draft<'_>, id: &FeatureId) {
    draft.say("base_again", Some(id), "the gates of the base run again");
}

/// The run's worker died. A base that kills its worker every time cannot be gated.
pub(super) fn base_died(draft: &mut Draft<'_>, id: &FeatureId) {
    let Some(feature) = draft.edit_feature(id) else { return };
    feature.deaths += 1;
    if feature.deaths < DEATHS_MAX {
        return base_lost(draft, id);
    }
    let reason = format!("its workers died {DEATHS_MAX} times without a report; see `sprint logs`");
    if feature.adopting.is_some() {
        keep_halted(draft, id, &reason);
    } else {
        refuse(draft, id, 3, &format!("the base cannot be gated: {reason}"));
    }
}

/// A foreign head becomes ours when it is green, and only then.
fn foreign_reported(draft: &mut Draft<'_>, id: &FeatureId, report: &Report) {
    match report {
        Report::Checked { verdict: Verdict::Pass | Verdict::Skipped, .. } => adopt(draft, id),
        Report::Checked { verdict: Verdict::Fail, summary, .. } => {
            keep_halted(draft, id, &format!("its gates are red: {summary}"));
        }
        Report::Checked { verdict: Verdict::Error, summary: reason, .. }
        | Report::Errored { reason }
        | Report::Failed { reason, .. } => {
            keep_halted(draft, id, &format!("it could not be gated: {reason}"));
        }
        Report::Interrupted { .. }
        | Report::Unserved { .. }
        | Report::Overspent { .. }
        | Report::Survived { .. }
        | Report::Added { .. }
        | Report::Unjudged { .. }
        | Report::Worked { .. }
        | Report::Proposed { .. }
        | Report::Resolved { .. }
        | Report::Landable { .. }
        | Report::NothingToDo { .. }
        | Report::Blocked { .. } => base_lost(draft, id),
    }
}

/// The foreign head is the last landed commit from now on.
pub(super) fn adopt(draft: &mut Draft<'_>, id: &FeatureId) {
    let Some(feature) = draft.edit_feature(id) else { return };
    let Some(head) = feature.adopting.take() else { return };
    feature.halted = None;
    feature.head = Some(head.clone());
    draft.say("landing_resumed", Some(id), format!("the foreign head {head} is taken over"));
}

fn keep_halted(draft: &mut Draft<'_>, id: &FeatureId, why: &str) {
    let Some(feature) = draft.edit_feature(id) else { return };
    let Some(head) = feature.adopting.take() else { return };
    let text = format!(
        "the foreign head {} is not taken over, {why}; `sprint resume --restore` sets the branch back, `--adopt` tries again",
        head.short()
    );
    feature.halted = Some(text.clone());
    draft.say("landing_halted", Some(id), text);
}

/// A finished feature in which something is open again. The scheduler lets it run when the
/// current one is at rest.
pub(super) fn reopen(draft: &mut Draft<'_>, id: &FeatureId) {
    let open = draft.tasks_of(id).any(|task| !task.closed());
    if let Some(feature) = draft.edit_feature(id)
        && feature.status == FeatureStatus::Finished
        && open
    {
        feature.status = FeatureStatus::Resting;
    }
}

fn base_error(draft: &mut Draft<'_>, id: &FeatureId, reason: &str) {
    let now = draft.now.mono_ms;
    let Some(feature) = draft.edit_feature(id) else { return };
    feature.errors += 1;
    let errors = feature.errors;
    let Some(wait) = error_backoff(errors) else {
        let reason = format!("the base could not be gated: {reason}; `sprint logs reviewer` shows it");
        return refuse(draft, id, 3, &reason);
    };
    feature.status = FeatureStatus::GateRetry { due_ms: now.saturating_add(wait) };
    feature.base_error = Some(reason.to_owned());
    let text = format!("the base could not be gated: {reason}; {}", moves::retry_in(errors, wait));
    draft.say("base_error", Some(id), text);
}

/// The base is gated again when its time has come.
pub(super) fn retry_due(draft: &mut Draft<'_>) {
    let now = draft.now.mono_ms;
    for id in draft.feature_ids() {
        let due = draft.feature(&id).is_some_and(
            |feature| matches!(feature.status, FeatureStatus::GateRetry { due_ms } if due_ms <= now),
        );
        if due && let Some(feature) = draft.edit_feature(&id) {
            feature.status = FeatureStatus::Gating;
        }
    }
}

/// A person has mended something: the base's errors do not count any more, and if it waits for a
/// retry it is gated at once. Returns whether it did.
pub(super) fn retry_at_once(draft: &mut Draft<'_>, id: &FeatureId) -> bool {
    let Some(feature) = draft.edit_feature(id) else { return false };
    feature.errors = 0;
    feature.base_error = None;
    let waits = matches!(feature.status, FeatureStatus::GateRetry { .. });
    if waits {
        feature.status = FeatureStatus::Gating;
    }
    waits
}

/// A reboot: what was to wait is due.
pub(super) fn forget_deadlines(draft: &mut Draft<'_>) {
    for id in draft.feature_ids() {
        let waits = draft.feature(&id).is_some_and(|f| matches!(f.status, FeatureStatus::GateRetry { .. }));
        if waits && let Some(feature) = draft.edit_feature(&id) {
            feature.status = FeatureStatus::Gating;
        }
    }
}

/// The integration branch is there.
pub(super) fn begun(draft: &mut Draft<'_>, id: &FeatureId, head: &CommitSha) {
    let Some(feature) = draft.edit_feature(id) else { return };
    if feature.status != FeatureStatus::Beginning {
        return;
    }
    feature.status = FeatureStatus::Running;
    feature.head = Some(head.clone());
    draft.say("feature_begun", Some(id), format!("begins on {}", head.short()));
}

/// The integration branch could not be made. One that has begun meanwhile has its branch.
pub(super) fn not_begun(draft: &mut Draft<'_>, id: &FeatureId, reason: &str) {
    if draft.feature(id).is_some_and(|feature| feature.status == FeatureStatus::Beginning) {
        refuse(draft, id, 4, reason);
    }
}

/// The feature cannot begin.
pub(super) fn refuse(draft: &mut Draft<'_>, id: &FeatureId, exit: u8, reason: &str) {
    let Some(feature) = draft.edit_feature(id) else { return };
    feature.status = FeatureStatus::Refused { exit, reason: reason.to_owned() };
    feature.errors = 0;
    feature.base_error = None;
    draft.say("feature_refused", Some(id), reason);
}

/// Somebody moved the integration branch: landing halts, and only landing. One that is gone by
/// now is told again: what was said of it before cannot be done any more.
pub(super) fn branch_moved(draft: &mut Draft<'_>, id: &FeatureId, found: Option<&CommitSha>) {
    let Some(feature) = draft.edit_feature(id) else { return };
    let reason = moved_text(&format!("sprint/{id}"), found, feature.head.as_ref());
    let news = feature.halted.is_none() || (found.is_none() && feature.halted.as_ref() != Some(&reason));
    if news {
        feature.halted = Some(reason.clone());
        draft.say("landing_halted", Some(id), reason);
    }
}
