//! What could be assigned now, in the order in which it is handed out: oldest first, and before what
//! failed at once.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::hold_of;
use super::budget;
use super::draft::Draft;
use super::ids::{FeatureId, TaskId};
use super::pipeline::{Role, Stage, StageKind};
use super::plan::{Progress, ready};
use super::state::{FeatureStatus, Run};
use super::task::{Status, Task, TaskKey};
use super::triage;

/// Something that waits for a worker.
pub(super) struct Work {
    pub(super) role: Role,
    pub(super) kind: WorkKind,
}

pub(super) enum WorkKind {
    /// A stage of a task; `begins`: its first, which it has yet to enter.
    Task { key: TaskKey, begins: bool },
    /// The manager looks at what a task waits for.
    Triage { key: TaskKey },
    /// The gates of the base, or of a foreign head.
    Base { feature: FeatureId },
}

/// All work of a feature that could be assigned now.
pub(super) fn open_work(draft: &Draft<'_>, id: &FeatureId) -> Vec<Work> {
    let Some(feature) = draft.feature(id) else { return Vec::new() };
    match feature.status {
        FeatureStatus::Gating => base_work(draft, id),
        FeatureStatus::Running => resting_work(draft, id),
        FeatureStatus::Queued
        | FeatureStatus::GateRetry { .. }
        | FeatureStatus::Beginning
        | FeatureStatus::Resting
        | FeatureStatus::Finished
        | FeatureStatus::Refused { .. } => Vec::new(),
    }
}

/// What a resting feature would have to do if it ran.
pub(super) fn resting_work(draft: &Draft<'_>, id: &FeatureId) -> Vec<Work> {
    let adopts = draft.feature(id).is_some_and(|feature| feature.adopting.is_some());
    let mut work = if adopts { base_work(draft, id) } else { Vec::new() };
    work.extend(task_work(draft, id));
    work.extend(triage::work(draft, id));
    work
}

fn base_work(draft: &Draft<'_>, id: &FeatureId) -> Vec<Work> {
    let gated = draft.runs().any(|run| run.job.feature == *id && run.job.task.is_none());
    if gated {
        return Vec::new();
    }
    vec![Work { role: Role::Reviewer, kind: WorkKind::Base { feature: id.clone() } }]
}

fn task_work(draft: &Draft<'_>, id: &FeatureId) -> Vec<Work> {
    let used_up = budget::used_up(draft, id).is_some();
    let mut found = found(draft, id);
    found.retain(|(task, work)| {
        // Landing itself needs no model.
        let lands = stage_of(draft, task).is_some_and(|stage| stage.kind == StageKind::Land);
        let served = lands || hold_of(draft, id, work.role, &task.labels).is_none();
        served && !(used_up && asks_a_model(draft, task, work))
    });
    found.into_iter().map(|(_, work)| work).collect()
}

/// Whether there is work that waits for nothing but a budget.
pub(super) fn waits_for_budget(draft: &Draft<'_>, id: &FeatureId) -> bool {
    budget::used_up(draft, id).is_some()
        && found(draft, id).iter().any(|(task, work)| asks_a_model(draft, task, work))
}

fn asks_a_model(draft: &Draft<'_>, task: &Task, work: &Work) -> bool {
    let Some(policy) = draft.feature(&task.key.feature).map(|feature| &feature.frozen.policy) else {
        return false;
    };
    let stage = match &work.kind {
        WorkKind::Task { begins: true, .. } => policy.pipeline.stages.first(),
        WorkKind::Task { begins: false, .. } | WorkKind::Base { .. } => stage_of(draft, task),
        WorkKind::Triage { .. } => return true,
    };
    stage.is_some_and(|stage| budget::asks_a_model(policy, stage, &task.labels))
}

/// What could be assigned if every service served and there were no budgets.
fn found<'d>(draft: &'d Draft<'_>, id: &'d FeatureId) -> Found<'d> {
    let tasks: BTreeMap<&TaskId, &Task> = draft.tasks_of(id).map(|task| (&task.key.id, task)).collect();
    // Of a task that was skipped or stopped and then retried, a worker may still be ending the run.
    // The manager only looks: what it looks at may go on meanwhile.
    let of_stage = |run: &&Run| run.job.feature == *id && run.job.triage.is_none();
    let occupied: BTreeSet<&TaskId> =
        draft.runs().filter(of_stage).filter_map(|run| run.job.task.as_ref()).collect();
    let mut found = waiting_stages(draft, id, &tasks);
    found.extend(beginnings(draft, id, &tasks));
    found.retain(|(task, _)| !occupied.contains(&task.key.id));
    // What failed at once does not keep others from showing that it is no fault of the agent's.
    found.sort_by_key(|(task, _)| (task.at_once, task.order));
    found
}

type Found<'d> = Vec<(&'d Task, Work)>;

/// Tasks that are in a stage and have no worker. Of those that would land, only the first.
fn waiting_stages<'d>(draft: &Draft<'_>, id: &FeatureId, tasks: &BTreeMap<&TaskId, &'d Task>) -> Found<'d> {
    let waiting = tasks.values().filter(|task| task.status == Status::Ready);
    let staged: Vec<(&'d Task, &Stage)> =
        waiting.filter_map(|task| Some((*task, stage_of(draft, task)?))).collect();
    let lands = |stage: &Stage| stage.kind == StageKind::Land;
    let turn = if may_land(draft, id, tasks) {
        staged.iter().filter(|(_, stage)| lands(stage)).filter_map(|(task, _)| task.queued).min()
    } else {
        None
    };
    let has_turn = |task: &Task| turn.is_some() && task.queued == turn;
    staged
        .into_iter()
        .filter(|(task, stage)| !lands(stage) || has_turn(task))
        .map(|(task, stage)| {
            (task, Work { role: stage.role, kind: WorkKind::Task { key: task.key.clone(), begins: false } })
        })
        .collect()
}

/// Landing is strictly one at a time: from the assignment until the branch has moved, however long
/// a person has it checked out. A revoked entry's worker may still be at it.
fn may_land(draft: &Draft<'_>, id: &FeatureId, tasks: &BTreeMap<&TaskId, &Task>) -> bool {
    let halted = draft.feature(id).is_none_or(|feature| feature.halted.is_some());
    let moving =
        tasks.values().any(|task| matches!(task.status, Status::Landing { .. }) || task.waits_for_branch());
    let running = draft.runs().any(|run| run.job.kind == StageKind::Land);
    !(halted || moving || running)
}

/// Tasks that may begin, as far as there is room in flight.
fn beginnings<'d>(draft: &Draft<'_>, id: &FeatureId, tasks: &BTreeMap<&TaskId, &'d Task>) -> Found<'d> {
    let Some(frozen) = draft.feature(id).map(|feature| &feature.frozen) else { return Vec::new() };
    let Some(first) = frozen.policy.pipeline.stages.first() else { return Vec::new() };
    let busy = tasks.values().filter(|task| task.takes_place());
    let room =
        usize::try_from(frozen.policy.max_in_flight).unwrap_or(usize::MAX).saturating_sub(busy.count());
    if room == 0 {
        return Vec::new();
    }
    let progress = |id: &TaskId| tasks.get(id).map_or(Progress::Skipped, |task| progress_of(task));
    ready(&frozen.plan, &progress, frozen.policy.parked)
        .iter()
        .take(room)
        .filter_map(|id| tasks.get(id))
        .map(|task| {
            (*task, Work { role: first.role, kind: WorkKind::Task { key: task.key.clone(), begins: true } })
        })
        .collect()
}

/// The stage that a task is in.
pub(super) fn stage_of<'d>(draft: &'d Draft<'_>, task: &Task) -> Option<&'d Stage> {
    draft.feature(&task.key.feature)?.frozen.policy.pipeline.stage(task.stage.as_ref()?)
}

/// How the plan sees a task.
pub fn progress_of(task: &Task) -> Progress {
    match task.status {
        Status::ToDo => Progress::Open,
        Status::Ready | Status::Running { .. } | Status::Retry { .. } | Status::Landing { .. } => {
            Progress::InFlight
        }
        Status::Waiting { .. } => Progress::Waiting,
        Status::Parked => Progress::Parked,
        Status::Skipped => Progress::Skipped,
        Status::Done { .. } => Progress::Done,
    }
}
