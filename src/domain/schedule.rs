//! What happens next: features begin, workers are started, runs assigned, and at the end rest.
//!
//! It runs after every event and asks nothing but the state, so an idle sprint does nothing.

use std::collections::{BTreeMap, VecDeque};

use super::budget::{self, Scope};
use super::draft::Draft;
use super::effect::Effect;
use super::features;
use super::ids::{FeatureId, WorkerName};
use super::job::give;
use super::moves;
use super::pipeline::{Role, StageKind};
use super::policy::{BREAKER_REST_MS, BREAKERS_MAX, IDLE_MS};
use super::requests::waits_for_person;
use super::state::{FeatureStatus, Mode};
use super::task::{Input, Status, Task};
use super::triage;
pub use super::work::progress_of;
use super::work::{WorkKind, open_work, resting_work, stage_of, waits_for_budget};
use super::worker::{Life, Worker};
use super::workers;

/// Brings the sprint to where nothing more can be decided.
pub(super) fn settle(draft: &mut Draft<'_>) {
    match draft.sprint().mode {
        Mode::Booting | Mode::Stopping => {}
        Mode::Paused => pass_empty_stages(draft),
        Mode::Running if draft.sprint().disk_low => pass_empty_stages(draft),
        Mode::Draining { until_ms } => drain(draft, until_ms),
        Mode::Running => run(draft),
    }
}

fn run(draft: &mut Draft<'_>) {
    // Each round begins a feature or lets one go on that then comes to rest; there are finitely many.
    loop {
        pass_empty_stages(draft);
        triage::revoke_stale(draft);
        let Some(current) = draft.current().map(|feature| feature.id.clone()) else {
            if wake_resting(draft) || features::begin_next(draft) {
                continue;
            }
            return rest(draft);
        };
        if draft.sprint().rest_since_ms.is_some() {
            draft.edit_sprint().rest_since_ms = None;
        }
        keep_permanent_workers(draft, &current);
        assign(draft, &current);
        if !come_to_rest(draft, &current) {
            end_idle_workers(draft, &current);
            return;
        }
    }
}

/// Runs may finish; when none is left, or the time is over, everything ends.
fn drain(draft: &mut Draft<'_>, until_ms: u64) {
    let busy = draft.runs().next().is_some() || landing(draft);
    if busy && draft.now.mono_ms < until_ms {
        return;
    }
    draft.edit_sprint().mode = Mode::Stopping;
    draft.effect(Effect::Shutdown { now: busy });
}

fn landing(draft: &Draft<'_>) -> bool {
    let features = draft.features_at_hand();
    features
        .iter()
        .flat_map(|id| draft.tasks_of(id))
        .any(|task| matches!(task.status, Status::Landing { .. }))
}

/// A stage with neither gates nor an agent passes.
fn pass_empty_stages(draft: &mut Draft<'_>) {
    let Some(current) = draft.current().map(|feature| feature.id.clone()) else { return };
    loop {
        let empty = draft.tasks_of(&current).find(|task| {
            task.status == Status::Ready
                && stage_of(draft, task)
                    .is_some_and(|stage| stage.kind == StageKind::Check && !stage.has_work)
        });
        let Some(key) = empty.map(|task| task.key.clone()) else { return };
        moves::feed(draft, &key, Input::Passed, &moves::Because::reason("nothing to check"));
    }
}

/// Gives open work to idle workers, the oldest work to the lowest slot; for the rest more
/// workers are started.
fn assign(draft: &mut Draft<'_>, current: &FeatureId) {
    if breakers_hold(draft) {
        return;
    }
    while begin_waits(draft, current) {}
    budget::hold_overspent(draft, current);
    let mut idle = idle_workers(draft);
    let mut unserved: BTreeMap<Role, usize> = BTreeMap::new();
    for work in open_work(draft, current) {
        match idle.get_mut(&work.role).and_then(VecDeque::pop_front) {
            Some(worker) => give(draft, &worker, &work),
            None => *unserved.entry(work.role).or_default() += 1,
        }
    }
    for (role, wanted) in unserved {
        start_workers(draft, current, role, wanted);
    }
}

/// Where the workers of several slots die at their start, the machine is not well: what is given out would
/// only be lost. A slot whose worker comes up again does not count.
fn breakers_hold(draft: &mut Draft<'_>) -> bool {
    let names = draft.worker_names();
    let workers = names.iter().filter_map(|name| draft.worker(name));
    let open = workers.filter(|worker| worker.broken_since_ms.is_some() && !worker.is_up()).count();
    let holds = open >= BREAKERS_MAX;
    if holds != draft.sprint().breakers_open {
        draft.edit_sprint().breakers_open = holds;
        let text = if holds {
            format!(
                "the workers of {open} slots die at their start: nothing is given out until one comes up; see `sprint logs`"
            )
        } else {
            "workers come up again, and work is given out".to_owned()
        };
        draft.say("breakers", None, text);
    }
    holds
}

/// A pipeline may begin with a `wait` stage: that needs no worker, and no place in flight.
fn begin_waits(draft: &mut Draft<'_>, current: &FeatureId) -> bool {
    let Some(feature) = draft.feature(current) else { return false };
    let first = feature.frozen.policy.pipeline.stages.first().cloned();
    let Some(first) = first.filter(|stage| stage.kind == StageKind::Wait) else { return false };
    let mut any = false;
    for work in open_work(draft, current) {
        if let WorkKind::Task { key, begins: true } = &work.kind {
            moves::enter(draft, key, &first, "");
            any = true;
        }
    }
    any
}

fn idle_workers(draft: &Draft<'_>) -> BTreeMap<Role, VecDeque<WorkerName>> {
    let names = draft.worker_names();
    let mut idle: Vec<&Worker> = names.iter().filter_map(|name| draft.worker(name)).collect();
    idle.retain(|worker| matches!(worker.life, Life::Idle { .. }));
    idle.sort_by_key(|worker| worker.slot);
    let mut by_role: BTreeMap<Role, VecDeque<WorkerName>> = BTreeMap::new();
    for worker in idle {
        by_role.entry(worker.role).or_default().push_back(worker.name.clone());
    }
    by_role
}

fn workers_of<'d>(draft: &'d Draft<'_>, role: Role) -> Vec<&'d Worker> {
    let all = draft.worker_names();
    all.iter().filter_map(|name| draft.worker(name)).filter(|worker| worker.role == role).collect()
}

/// Starts workers of a role for `wanted` pieces of work, less those that are on their way.
fn start_workers(draft: &mut Draft<'_>, current: &FeatureId, role: Role, wanted: usize) {
    let Some(policy) =
        draft.feature(current).and_then(|feature| feature.frozen.policy.roles.get(&role)).copied()
    else {
        return;
    };
    let starting = workers_of(draft, role).iter().filter(|w| matches!(w.life, Life::Starting { .. })).count();
    let mut missing = wanted.saturating_sub(starting);
    for slot in 1..=policy.max {
        if missing == 0 {
            return;
        }
        let name = Worker::name_of(role, slot, policy.max);
        missing -= usize::from(start_if_absent(draft, &name, role, slot));
    }
}

fn start_if_absent(draft: &mut Draft<'_>, name: &WorkerName, role: Role, slot: u32) -> bool {
    ensure_slot(draft, name, role, slot);
    let absent = draft.worker(name).is_some_and(|worker| worker.life == Life::Absent);
    if absent {
        workers::spawn(draft, name);
    }
    absent
}

fn ensure_slot(draft: &mut Draft<'_>, name: &WorkerName, role: Role, slot: u32) {
    if draft.worker(name).is_none() {
        draft.put_worker(Worker {
            name: name.clone(),
            role,
            slot,
            life: Life::Absent,
            pane: None,
            restarts: 0,
            instant_deaths: 0,
            broken_since_ms: None,
            started_ms: 0,
            reported: false,
            since_ms: draft.now.wall_ms,
            seen: None,
        });
    }
}

fn keep_permanent_workers(draft: &mut Draft<'_>, current: &FeatureId) {
    let Some(roles) = draft.feature(current).map(|feature| feature.frozen.policy.roles.clone()) else {
        return;
    };
    for (role, policy) in roles.into_iter().filter(|(_, policy)| policy.permanent) {
        for slot in 1..=policy.max {
            start_if_absent(draft, &Worker::name_of(role, slot, policy.max), role, slot);
        }
    }
}

/// On-demand workers end when nothing of their role is left to do.
fn end_idle_workers(draft: &mut Draft<'_>, current: &FeatureId) {
    let now = draft.now.mono_ms;
    let Some(roles) = draft.feature(current).map(|feature| feature.frozen.policy.roles.clone()) else {
        return;
    };
    for name in draft.worker_names() {
        let Some(worker) = draft.worker(&name) else { continue };
        let permanent = roles.get(&worker.role).is_some_and(|policy| policy.permanent);
        let Life::Idle { proc, since_ms } = worker.life.clone() else { continue };
        if permanent || now < since_ms.saturating_add(IDLE_MS) {
            continue;
        }
        if let Some(worker) = draft.edit_worker(&name) {
            worker.life = Life::Ending { proc: proc.clone() };
        }
        draft.effect(Effect::EndWorker { worker: name, proc });
    }
}

/// At rest: no run is active, no task is ready, no retry is due later.
fn come_to_rest(draft: &mut Draft<'_>, current: &FeatureId) -> bool {
    let Some(feature) = draft.feature(current) else { return false };
    if feature.status == FeatureStatus::Gating && all_hopeless(draft, current) {
        features::refuse(
            draft,
            current,
            3,
            "the base cannot be gated: its workers die at their start; see `sprint logs`",
        );
        return true;
    }
    if feature.status != FeatureStatus::Running || draft.runs().any(|run| run.job.feature == *current) {
        return false;
    }
    let moving = draft
        .tasks_of(current)
        .any(|task| matches!(task.status, Status::Landing { .. } | Status::Retry { .. }));
    if moving
        || is_held_for_now(draft, current)
        || (!held_for_long(draft)
            && open_work(draft, current).iter().any(|work| !is_hopeless(draft, current, work.role)))
    {
        return false;
    }
    close_down(draft, current);
    true
}

/// Whether work waits for an agent's service, or for another day, and time alone will tell.
fn is_held_for_now(draft: &Draft<'_>, current: &FeatureId) -> bool {
    let Some(feature) = draft.feature(current) else { return false };
    if feature.over.is_some_and(|over| over.scope == Scope::Day) && waits_for_budget(draft, current) {
        return true;
    }
    let agents = feature.frozen.policy.agents_in_use();
    let waits =
        agents.filter_map(|agent| draft.sprint().holds.get(agent)).any(|hold| hold.until_ms > Some(0));
    waits && draft.tasks_of(current).any(|task| matches!(task.status, Status::ToDo | Status::Ready))
}

/// Nothing of the feature can run: it is finished, or it rests.
fn close_down(draft: &mut Draft<'_>, current: &FeatureId) {
    let Some(feature) = draft.feature(current) else { return };
    let finished = draft.tasks_of(current).all(Task::closed);
    let head = feature.head.clone();
    let parked = draft.tasks_of(current).filter(|task| !task.closed()).count();
    let status = if finished { FeatureStatus::Finished } else { FeatureStatus::Resting };
    if let Some(feature) = draft.edit_feature(current) {
        feature.status = status;
    }
    if finished {
        draft.say("feature_finished", Some(current), "every task has landed or was skipped");
        if let Some(head) = head {
            draft.effect(Effect::FinishFeature { feature: current.clone(), head });
        }
    } else {
        let are = if parked == 1 { "task is" } else { "tasks are" };
        draft.say(
            "feature_rests",
            Some(current),
            format!("nothing can run; {parked} {are} parked, held or waiting"),
        );
    }
}

/// Whether there is work and nobody who will ever do it.
fn all_hopeless(draft: &Draft<'_>, current: &FeatureId) -> bool {
    let work = open_work(draft, current);
    !work.is_empty()
        && (held_for_long(draft) || work.iter().all(|work| is_hopeless(draft, current, work.role)))
}

/// Whether so many breakers that nothing is given out have been open for ten minutes.
fn held_for_long(draft: &Draft<'_>) -> bool {
    let names = draft.worker_names();
    let long =
        names.iter().filter_map(|name| draft.worker(name)).filter(|worker| is_long_broken(draft, worker));
    draft.sprint().breakers_open && long.count() >= BREAKERS_MAX
}

fn is_long_broken(draft: &Draft<'_>, worker: &Worker) -> bool {
    let open_before = draft.now.mono_ms.checked_sub(BREAKER_REST_MS);
    worker.broken_since_ms.is_some_and(|since| Some(since) <= open_before)
}

/// Whether every slot of a role has a breaker that is open for ten minutes.
fn is_hopeless(draft: &Draft<'_>, current: &FeatureId, role: Role) -> bool {
    let Some(policy) = draft.feature(current).and_then(|feature| feature.frozen.policy.roles.get(&role))
    else {
        return true;
    };
    let broken = workers_of(draft, role).iter().filter(|worker| is_long_broken(draft, worker)).count();
    broken >= usize::try_from(policy.max).unwrap_or(usize::MAX)
}

/// A task of an earlier feature that was answered late runs once the current one is at rest.
fn wake_resting(draft: &mut Draft<'_>) -> bool {
    let able = draft.feature_ids().into_iter().find(|id| {
        draft
            .feature(id)
            .is_some_and(|feature| feature.status == FeatureStatus::Resting && feature.head.is_some())
            && (draft.tasks_of(id).all(Task::closed)
                || (!held_for_long(draft)
                    && resting_work(draft, id).iter().any(|work| !is_hopeless(draft, id, work.role))))
    });
    let Some(id) = able else { return false };
    if let Some(feature) = draft.edit_feature(&id) {
        feature.status = FeatureStatus::Running;
    }
    true
}

/// Permanent workers are there while the person is waited for, after a restart too; others end.
fn stay(draft: &mut Draft<'_>) {
    let ids = draft.feature_ids();
    let rests =
        |id: &&FeatureId| draft.feature(id).is_some_and(|feature| feature.status == FeatureStatus::Resting);
    let Some(last) = ids.iter().rev().find(rests) else { return };
    keep_permanent_workers(draft, last);
    end_idle_workers(draft, last);
}

/// Nothing is left to do: everything ends, unless it stays for a person.
fn rest(draft: &mut Draft<'_>) {
    let waits = waits_for_person(draft);
    let sprint = draft.sprint().clone();
    if waits && sprint.stay {
        return stay(draft);
    }
    if waits && sprint.answer_wait_ms > 0 {
        let since = sprint.rest_since_ms.unwrap_or(draft.now.mono_ms);
        if draft.now.mono_ms < since.saturating_add(sprint.answer_wait_ms) {
            if sprint.rest_since_ms.is_none() {
                draft.edit_sprint().rest_since_ms = Some(since);
            }
            return;
        }
    }
    draft.edit_sprint().mode = Mode::Stopping;
    draft.edit_sprint().rest_since_ms = None;
    draft.say("sprint_rests", None, "nothing is left to do; workers and tmux server end");
    draft.effect(Effect::Shutdown { now: false });
}
