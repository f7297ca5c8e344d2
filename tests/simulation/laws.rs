//! What must hold after every step, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use sprint::domain::budget::{Used, day_of};
use sprint::domain::draft::Step;
use sprint::domain::event::{Envelope, Event};
use sprint::domain::ids::TaskId;
use sprint::domain::pipeline::StageKind;
use sprint::domain::plan::{ParkedPolicy, waits_for};
use sprint::domain::report::Report;
use sprint::domain::schedule::progress_of;
use sprint::domain::state::{Feature, Mode, RunStatus, State};
use sprint::domain::task::{Status, Task, TaskKey};
use sprint::domain::worker::Life;

use crate::plans::ATTEMPTS;

pub fn check(
    before: &State,
    envelope: &Envelope,
    step: &Step,
    after: &State,
    retries: &BTreeMap<TaskKey, u32>,
) {
    assignments_need_a_running_sprint(step, after);
    models_need_a_budget(envelope, step, after);
    a_stale_token_changes_nothing(before, envelope, step);
    tokens_differ(after);
    runs_workers_and_tasks_agree(after);
    the_manager_looks_once(before, envelope, step, after);
    for feature in after.features.values() {
        one_of_a_convoy_in_flight(feature, after);
        one_landing_at_a_time(feature, after);
        attempts_are_bounded(feature, after, retries);
    }
    for row in &step.tasks {
        let (Some(old), Some(new)) = (&row.before, &row.after) else { continue };
        what_is_done_stays_done(old, new, envelope);
        // A found run puts its task where it was, verdicts and all; and what a person has skipped since the
        // copy is open again, though what came after it had begun.
        if matches!(envelope.event, Event::RunFound { .. }) {
            continue;
        }
        if old.status == Status::ToDo && new.in_flight() {
            what_begins_may_begin(new, before, after);
        }
        a_new_head_is_judged_from_the_beginning(old, new, after);
        a_conflict_is_resolved_once_an_attempt(old, new);
    }
}

fn assignments_need_a_running_sprint(step: &Step, after: &State) {
    let assigned = step.runs.iter().any(|row| row.before.is_none());
    assert!(!assigned || after.sprint.mode == Mode::Running, "assigned while {:?}", after.sprint.mode);
}

/// No run of a model begins while a budget is used up.
fn models_need_a_budget(envelope: &Envelope, step: &Step, after: &State) {
    for run in step.runs.iter().filter(|row| row.before.is_none()).filter_map(|row| row.after.as_ref()) {
        let feature = &after.features[&run.job.feature];
        let budget = &feature.frozen.policy.budget;
        if run.job.kind != StageKind::Work {
            continue;
        }
        let task = TaskKey { feature: feature.id.clone(), id: run.job.task.clone().unwrap() };
        let today = after.sprint.days.get(&day_of(envelope.now)).copied().unwrap_or_default();
        for (limit, used) in
            [(budget.task, after.tasks[&task].used), (budget.feature, feature.used), (budget.day, today)]
        {
            assert!(!limit.is_reached_by(&used), "{} begins with {used:?} of {limit:?} used", task.id);
        }
        assert!(run.job.budget.reached_by(&Used::default()).is_none(), "it is told that nothing is left");
    }
}

/// What fences one run from the other.
fn tokens_differ(after: &State) {
    let tokens: BTreeSet<_> = after.runs.values().map(|run| &run.token).collect();
    assert_eq!(tokens.len(), after.runs.len(), "two runs have one token");
}

fn a_stale_token_changes_nothing(before: &State, envelope: &Envelope, step: &Step) {
    let Event::RunReported { run, token, .. } = &envelope.event else { return };
    if before.runs.get(run).is_some_and(|run| run.token == *token) {
        return;
    }
    // The scheduler may use the moment for what was due anyway; the run itself is as it was.
    assert!(
        step.runs.iter().all(|row| row.before.as_ref().is_none_or(|old| old.id != *run)),
        "a stale report ended a run"
    );
}

fn runs_workers_and_tasks_agree(state: &State) {
    let mut of_task = BTreeSet::new();
    for run in state.runs.values() {
        let owner = &state.workers[&run.worker];
        assert_eq!(owner.life.run(), Some(&run.id), "{} does not have its run", owner.name);
        let Some(task) = &run.job.task else { continue };
        let key = TaskKey { feature: run.job.feature.clone(), id: task.clone() };
        if run.job.triage.is_some() {
            continue;
        }
        assert!(of_task.insert(key.clone()), "two runs of {task}");
        let has_it = matches!(&state.tasks[&key].status, Status::Running { run: id } if *id == run.id);
        assert_eq!(has_it, run.status == RunStatus::Active, "{task} and its run disagree");
    }
    for worker in state.workers.values() {
        if let Life::Busy { run, .. } = &worker.life {
            assert!(state.runs.contains_key(run), "{} is busy with nothing", worker.name);
        }
    }
    for task in state.tasks.values() {
        if let Status::Running { run } = &task.status {
            assert!(state.runs.contains_key(run), "{} runs nowhere", task.key.id);
        }
    }
}

/// One at a time, at what waits now and was not looked at before, and never for the operator.
fn the_manager_looks_once(before: &State, envelope: &Envelope, step: &Step, after: &State) {
    // What nobody could look at is looked at again.
    let again = matches!(
        &envelope.event,
        Event::RunReported { report: Report::Interrupted { .. } | Report::Unserved { .. }, .. }
    );
    let looks = |state: &State| {
        let runs = state.runs.values().filter(|run| run.job.triage.is_some());
        runs.cloned().collect::<Vec<_>>()
    };
    let running = looks(after);
    assert!(running.len() <= 1, "{} runs of the manager", running.len());
    for run in running {
        let key = TaskKey { feature: run.job.feature.clone(), id: run.job.task.clone().unwrap() };
        let waits = after.tasks[&key].cause() == run.job.triage;
        let decides = after.sprint.mode == Mode::Running && !after.sprint.disk_low;
        assert!(waits || run.status == RunStatus::Revoked || !decides, "{} does not wait so", key.id);
        let is_new = !before.runs.contains_key(&run.id);
        let seen = before.tasks.get(&key).and_then(|task| task.triage.as_ref()?.seen.clone());
        assert!(!is_new || again || seen != run.job.triage, "{} is looked at twice", key.id);
    }
    for row in &step.tasks {
        let (Some(old), Some(new)) = (&row.before, &row.after) else { continue };
        let acted = |task: &Task| task.triage.as_ref().map_or(0, |triage| triage.acted.len());
        assert!(acted(new) >= acted(old) && acted(new) <= 2, "what was done by itself is not forgotten");
    }
}

/// What is put together is judged like a developer's work, and not put together twice.
fn a_conflict_is_resolved_once_an_attempt(old: &Task, new: &Task) {
    if old.resolved == new.resolved {
        return;
    }
    assert_eq!(new.resolved, new.attempt, "{} resolved at another attempt", new.key.id);
    assert!(new.candidate.is_none() && new.gates.is_empty(), "{} keeps older verdicts", new.key.id);
}

fn one_of_a_convoy_in_flight(feature: &Feature, state: &State) {
    for convoy in &feature.frozen.plan.convoys {
        let key = |id: &_| TaskKey { feature: feature.id.clone(), id: Clone::clone(id) };
        let flying: Vec<_> = convoy.iter().filter(|id| state.tasks[&key(id)].in_flight()).collect();
        assert!(flying.len() <= 1, "{flying:?} are in flight at once");
    }
}

fn one_landing_at_a_time(feature: &Feature, state: &State) {
    assert!(
        state.tasks_of(&feature.id).filter(|task| task.waits_for_branch()).count() <= 1,
        "two entries wait for one checkout"
    );
    let runs = state
        .runs
        .values()
        .filter(|run| run.job.feature == feature.id && run.job.kind == StageKind::Land)
        .count();
    let moving =
        state.tasks_of(&feature.id).filter(|task| matches!(task.status, Status::Landing { .. })).count();
    assert!(runs + moving <= 1, "{runs} entries are gated and {moving} move the branch");
}

fn attempts_are_bounded(feature: &Feature, state: &State, retries: &BTreeMap<TaskKey, u32>) {
    for task in state.tasks_of(&feature.id) {
        assert!(task.failures <= ATTEMPTS, "{} failed {} times", task.key.id, task.failures);
        // By itself the manager retries once what is parked and once what asks.
        let acted = task.triage.as_ref().map_or(0, |triage| triage.acted.len());
        let again = retries.get(&task.key).copied().unwrap_or(0) + u32::try_from(acted).unwrap();
        let most = ATTEMPTS * (1 + again);
        assert!(task.attempt <= most, "{} is at attempt {} of {most}", task.key.id, task.attempt);
    }
}

fn what_begins_may_begin(task: &Task, before: &State, after: &State) {
    let feature = &after.features[&task.key.feature];
    let frozen = &feature.frozen;
    for id in frozen.plan.predecessors(&task.key.id) {
        let other = &after.tasks[&TaskKey { feature: feature.id.clone(), id: id.clone() }];
        let let_go = frozen.policy.parked == ParkedPolicy::Continue && other.status == Status::Parked;
        assert!(other.closed() || let_go, "{} begins before {id}", task.key.id);
    }
    assert_eq!(
        open_before(feature, &task.key.id, after),
        Vec::<TaskId>::new(),
        "{} begins too early",
        task.key.id
    );
    let flying = |state: &State| {
        let tasks = state.tasks_of(&feature.id);
        tasks.filter(|task| task.in_flight() && !matches!(task.status, Status::Waiting { .. })).count()
    };
    let room = usize::try_from(frozen.policy.max_in_flight).unwrap();
    assert!(flying(after) <= room.max(flying(before)), "more than {room} in flight");
}

fn what_is_done_stays_done(old: &Task, new: &Task, envelope: &Envelope) {
    if matches!(old.status, Status::Done { .. }) {
        assert_eq!(old.status, new.status, "{} was done: {:?}", old.key.id, envelope.event);
    }
    if matches!(new.status, Status::Done { .. }) && !matches!(old.status, Status::Done { .. }) {
        let landed = matches!(old.status, Status::Landing { .. })
            || matches!(envelope.event, Event::RunFound { landed: true, .. });
        assert!(landed, "{} is done without landing", old.key.id);
    }
}

/// Whatever changes the head, no verdict on the old one is left, and no stage adds twice.
fn a_new_head_is_judged_from_the_beginning(old: &Task, new: &Task, after: &State) {
    if new.head.is_some() && new.head != old.head {
        assert!(new.candidate.is_none() && new.gates.is_empty(), "{} keeps what was judged", new.key.id);
        let stage = new
            .stage
            .as_ref()
            .and_then(|name| after.features[&new.key.feature].frozen.policy.pipeline.stage(name));
        // Reports on their way to the landing are older.
        assert!(stage.is_none_or(|stage| stage.kind != StageKind::Land), "{} lands unjudged", new.key.id);
        assert!(new.stands.len() <= new.stands.iter().collect::<BTreeSet<_>>().len(), "{:?}", new.stands);
    }
    let another = old.head != new.head && old.attempt == new.attempt;
    if old.resolved != new.resolved {
        assert!(new.stands.is_empty(), "{}: what the merger made is judged anew", new.key.id);
    } else if let (Some(_), Some(_), true) = (&old.head, &new.head, another) {
        assert!(new.stands.len() > old.stands.len(), "{}: a stage that has spoken adds again", new.key.id);
    }
}

/// At the end every feature is over or rests, and whatever is open has a reason to be.
pub fn at_rest(state: &State) {
    for feature in state.features.values() {
        assert!(!feature.is_current(), "{} goes on: {:?}", feature.id, feature.status);
        for task in state.tasks_of(&feature.id).filter(|task| !task.closed()) {
            assert!(
                has_reason(feature, task, state),
                "{} is {:?} without a reason: {}",
                task.key.id,
                task.status,
                picture(state)
            );
        }
    }
}

fn picture(state: &State) -> String {
    let tasks = state
        .tasks
        .values()
        .map(|t| format!("{}/{} {:?} {:?} {}\n", t.key.feature, t.key.id, t.status, t.stage, t.reason));
    let features =
        state.features.values().map(|f| format!("{} {:?} halted {:?}\n", f.id, f.status, f.halted));
    let workers = state.workers.values().map(|w| format!("{} {:?}\n", w.name, w.life));
    format!(
        "{:?}\n{}{}{}",
        state.sprint,
        features.collect::<String>(),
        tasks.collect::<String>(),
        workers.collect::<String>()
    )
}

fn has_reason(feature: &Feature, task: &Task, state: &State) -> bool {
    match &task.status {
        Status::Parked | Status::Waiting { .. } => true,
        // While landing is halted, what waits for it fills the places in flight.
        Status::ToDo => {
            feature.head.is_none()
                || feature.over.is_some()
                || nothing_lands(feature, state)
                || is_held(feature, task, state)
        }
        Status::Ready => feature.over.is_some() || nothing_lands(feature, state),
        other => panic!("{} is {other:?} at rest: {}", task.key.id, picture(state)),
    }
}

/// Until a person does something about the branch.
fn nothing_lands(feature: &Feature, state: &State) -> bool {
    feature.halted.is_some() || state.tasks_of(&feature.id).any(Task::waits_for_branch)
}

/// What the task waits for and is not over.
fn open_before(feature: &Feature, id: &TaskId, state: &State) -> Vec<TaskId> {
    let progress =
        |id: &TaskId| progress_of(&state.tasks[&TaskKey { feature: feature.id.clone(), id: id.clone() }]);
    waits_for(&feature.frozen.plan, id, &progress, feature.frozen.policy.parked)
}

/// Something before it, or of its convoy, is open.
fn is_held(feature: &Feature, task: &Task, state: &State) -> bool {
    let of = |id: &_| &state.tasks[&TaskKey { feature: feature.id.clone(), id: Clone::clone(id) }];
    let plan = &feature.frozen.plan;
    let before = !open_before(feature, &task.key.id, state).is_empty();
    let convoy = plan.convoys.iter().find(|convoy| convoy.contains(&task.key.id));
    before || convoy.is_some_and(|convoy| convoy.iter().any(|id| of(id).in_flight()))
}
