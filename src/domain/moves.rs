//! Carries out the moves of [`super::task::transition`]: stages, attempts, retries, landing.

use super::draft::Draft;
use super::effect::Effect;
use super::flaky;
use super::ids::FeatureId;
use super::pipeline::{Goto, Stage, StageKind};
use super::policy::{DEATHS_MAX, RETRIES_MAX, error_backoff};
use super::report::Feedback;
use super::state::RunStatus;
use super::task::{Input, Move, Status, StatusKind, Task, TaskKey, WaitKind, transition};
use super::triage;

/// What comes along with an input: a reason for people, and what the next attempt is told.
#[derive(Debug, Default)]
pub(super) struct Because {
    pub(super) reason: String,
    pub(super) feedback: Option<Feedback>,
}

impl Because {
    pub(super) fn reason(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), feedback: None }
    }
}

/// Looks the input up in the table and carries out what it says. Returns whether a request
/// was accepted.
pub(super) fn feed(draft: &mut Draft<'_>, key: &TaskKey, input: Input, because: &Because) {
    let Some(kind) = draft.task(key).map(|task| task.status.kind()) else { return };
    let reason = because.reason.as_str();
    match transition(kind, input) {
        Move::Pass => pass(draft, key, reason),
        Move::Recheck => recheck(draft, key, reason),
        Move::Fail => fail(draft, key, because),
        Move::Error => error(draft, key, because),
        Move::SkipStage => skip_stage(draft, key, reason),
        Move::Ask => {
            set(draft, key, Status::Waiting { wait: WaitKind::Answer, text: reason.to_owned() }, reason);
            draft.say_task("task_asks", key, format!("asks: {reason}"));
        }
        Move::Repeat => died(draft, key),
        Move::Again => {
            if let Some(task) = draft.edit_task(key) {
                task.errors = if input == Input::Retry { 0 } else { task.errors };
            }
            set(draft, key, Status::Ready, reason);
        }
        Move::Hold => hold(draft, key, reason),
        Move::Finish => finish(draft, key),
        Move::HaltLanding => {
            set(draft, key, Status::Ready, reason);
            if let Some(feature) = draft.edit_feature(&key.feature) {
                feature.halted = Some(reason.to_owned());
            }
            draft.say("landing_halted", Some(&key.feature), format!("landing is halted: {reason}"));
        }
        Move::AwaitBranch => {
            set(draft, key, Status::Waiting { wait: WaitKind::Checkout, text: reason.to_owned() }, reason);
            draft.say_task("task_waits", key, format!("waits until the branch is free: {reason}"));
        }
        Move::Continue => {
            set(draft, key, Status::Ready, reason);
            draft.say_task("task_answered", key, "has its answer and goes on");
        }
        Move::Restart => restart(draft, key, reason),
        Move::Leave => {
            revoke(draft, key);
            set(draft, key, Status::Skipped, reason);
            draft.say_task("task_skipped", key, format!("is skipped: {reason}"));
        }
        Move::Park => {
            revoke(draft, key);
            park(draft, key, reason);
            // Whoever stops a task knows what to do with it.
            triage::see(draft, key);
        }
        // Assignments go through the scheduler and landing through `reported`, which know more.
        Move::Begin | Move::Run | Move::Land => {}
        Move::Ignore => {
            draft.say_task("ignored", key, format!("{input:?} comes too late and changes nothing"));
        }
        Move::Refuse => {
            draft.say_task("refused", key, format!("{input:?} makes no sense while it is {}", word(kind)));
        }
    }
}

pub(super) fn word(kind: StatusKind) -> &'static str {
    match kind {
        StatusKind::ToDo => "not begun",
        StatusKind::Ready => "waiting for a worker",
        StatusKind::Running => "running",
        StatusKind::Retry => "waiting for a retry",
        StatusKind::Landing => "landing",
        StatusKind::Waiting(WaitKind::Answer) => "waiting for an answer",
        StatusKind::Waiting(WaitKind::Approval) => "waiting for an approval",
        StatusKind::Waiting(WaitKind::Operator) => "waiting for the operator",
        StatusKind::Waiting(WaitKind::External) => "waiting for something outside",
        StatusKind::Waiting(WaitKind::Checkout) => "waiting until nobody has the branch checked out",
        StatusKind::Parked => "parked",
        StatusKind::Skipped => "skipped",
        StatusKind::Done => "done",
    }
}

pub(super) fn set(draft: &mut Draft<'_>, key: &TaskKey, status: Status, reason: &str) {
    let wall = draft.now.wall_ms;
    if let Some(task) = draft.edit_task(key) {
        task.status = status;
        reason.clone_into(&mut task.reason);
        task.since_ms = wall;
    }
}

fn stage_of(draft: &Draft<'_>, key: &TaskKey) -> Option<Stage> {
    let task = draft.task(key)?;
    let pipeline = &draft.feature(&key.feature)?.frozen.policy.pipeline;
    pipeline.stage(task.stage.as_ref()?).cloned()
}

fn pass(draft: &mut Draft<'_>, key: &TaskKey, reason: &str) {
    let Some(stage) = stage_of(draft, key) else { return };
    draft.say_task("stage_passed", key, format!("passed {}{}", stage.name, after_colon(reason)));
    go(draft, key, &stage, &stage.on_pass.clone(), reason);
}

/// A new head: every gate of the attempt judges it, from the first stage on. What agents have said
/// stands.
fn recheck(draft: &mut Draft<'_>, key: &TaskKey, reason: &str) {
    let Some(stage) = stage_of(draft, key) else { return };
    let Some(feature) = draft.feature(&key.feature) else { return };
    let first = feature.frozen.policy.pipeline.first_check(&stage.name).unwrap_or(&stage).clone();
    let text = format!("{} added to it{}; the gates run again", stage.name, after_colon(reason));
    draft.say_task("stage_added", key, text);
    enter(draft, key, &first, reason);
}

fn after_colon(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

fn skip_stage(draft: &mut Draft<'_>, key: &TaskKey, reason: &str) {
    let Some(stage) = stage_of(draft, key) else { return };
    go(draft, key, &stage, &stage.on_skip.clone(), reason);
}

fn fail(draft: &mut Draft<'_>, key: &TaskKey, because: &Because) {
    let Some(stage) = stage_of(draft, key) else { return };
    let mut feedback = because.feedback.clone().unwrap_or_else(|| Feedback {
        stage: stage.name.to_string(),
        reason: because.reason.clone(),
        findings: Vec::new(),
    });
    flaky::tell(draft, key, &mut feedback);
    let Some(task) = draft.edit_task(key) else { return };
    task.failures += 1;
    task.errors = 0;
    task.feedback = Some(feedback);
    let (failures, attempt) = (task.failures, task.attempt);
    draft.say_task(
        "stage_failed",
        key,
        format!("attempt {attempt} failed in {}{}", stage.name, after_colon(&because.reason)),
    );
    if failures >= stage.attempts {
        let reason = format!("{failures} attempts failed; the last in {}: {}", stage.name, because.reason);
        park(draft, key, &reason);
    } else {
        go(draft, key, &stage, &stage.on_fail.clone(), &because.reason);
    }
}

fn error(draft: &mut Draft<'_>, key: &TaskKey, because: &Because) {
    let Some(stage) = stage_of(draft, key) else { return };
    let mono = draft.now.mono_ms;
    let Some(task) = draft.edit_task(key) else { return };
    task.errors += 1;
    let errors = task.errors;
    let Some(wait) = error_backoff(errors) else {
        task.errors = 0;
        return go(draft, key, &stage, &stage.on_error.clone(), &because.reason);
    };
    let next = retry_in(errors, wait);
    let text = format!("{} could not run{}; {next}", stage.name, after_colon(&because.reason));
    draft.say_task("stage_error", key, text);
    set(draft, key, Status::Retry { due_ms: mono.saturating_add(wait) }, &because.reason);
}

/// `retry 1 of 3 in 10 s`.
pub(super) fn retry_in(errors: u32, wait_ms: u64) -> String {
    format!("retry {errors} of {RETRIES_MAX} in {} s", wait_ms / 1000)
}

fn died(draft: &mut Draft<'_>, key: &TaskKey) {
    let Some(task) = draft.edit_task(key) else { return };
    task.deaths += 1;
    let deaths = task.deaths;
    if deaths >= DEATHS_MAX {
        let reason = format!("its workers died {deaths} times without a report; see `sprint logs`");
        park(draft, key, &reason);
        // The machine's trouble is the operator's.
        triage::see(draft, key);
    } else {
        set(draft, key, Status::Ready, "its worker died; the stage is done again");
        draft.say_task("worker_lost", key, "its worker died; the stage is done again");
    }
}

fn hold(draft: &mut Draft<'_>, key: &TaskKey, reason: &str) {
    set(draft, key, Status::Waiting { wait: WaitKind::Operator, text: reason.to_owned() }, reason);
    draft.say_task("task_waits", key, format!("waits for the operator: {reason}"));
}

fn park(draft: &mut Draft<'_>, key: &TaskKey, reason: &str) {
    set(draft, key, Status::Parked, reason);
    draft.say_task("task_parked", key, format!("is parked: {reason}"));
}

fn finish(draft: &mut Draft<'_>, key: &TaskKey) {
    let Some(candidate) = draft.task(key).and_then(|task| task.candidate.clone()) else { return };
    let attempt = draft.task(key).map_or(0, |task| task.attempt);
    set(draft, key, Status::Done { commit: candidate.commit.clone() }, "");
    if let Some(feature) = draft.edit_feature(&key.feature) {
        feature.head = Some(candidate.commit.clone());
    }
    draft.land(key, &candidate.commit);
    draft.say_task("task_landed", key, format!("landed as {}", candidate.commit.short()));
    draft.effect(Effect::Tidy {
        feature: key.feature.clone(),
        task: key.id.clone(),
        attempt,
        landed: candidate.commit,
    });
}

/// A person wants another go: the task begins anew, and its convoy decides when.
fn restart(draft: &mut Draft<'_>, key: &TaskKey, reason: &str) {
    triage::advise(draft, key);
    if let Some(task) = draft.edit_task(key) {
        task.failures = 0;
        task.deaths = 0;
        task.errors = 0;
        task.stage = None;
        task.resume_from = None;
        clear_work(task);
    }
    set(draft, key, Status::ToDo, reason);
    draft.say_task("task_retried", key, "is to be done again");
}

/// A new attempt: what the one before has made is what it may start from. One that has made nothing
/// leaves what there was.
pub(super) fn begin_attempt(task: &mut Task) {
    if task.head.is_some() {
        task.resume_from = task.candidate.take().map(|candidate| candidate.commit);
    }
    clear_work(task);
    task.attempt += 1;
}

fn clear_work(task: &mut Task) {
    task.head = None;
    task.candidate = None;
    task.gates.clear();
    task.stands.clear();
    task.remarks.clear();
    task.queued = None;
}

/// Takes the task from `stage` to where `goto` says.
fn go(draft: &mut Draft<'_>, key: &TaskKey, stage: &Stage, goto: &Goto, reason: &str) {
    let Some(feature) = draft.feature(&key.feature) else { return };
    let pipeline = &feature.frozen.policy.pipeline;
    let target = match goto {
        Goto::Next => match pipeline.after(&stage.name) {
            Some(next) => next.clone(),
            None => return close(draft, key),
        },
        Goto::Rework => pipeline.rework(&stage.name).unwrap_or(stage).clone(),
        Goto::Stage(name) => pipeline.stage(name).unwrap_or(stage).clone(),
        Goto::Done => return close(draft, key),
        Goto::Stay => stage.clone(),
        Goto::Hold => return hold(draft, key, reason),
        Goto::Skip => {
            set(draft, key, Status::Skipped, reason);
            draft.say_task("task_skipped", key, format!("is skipped: {reason}"));
            return;
        }
    };
    enter(draft, key, &target, reason);
}

/// The task has a new head that is no developer's: it goes to what follows the developer.
pub(super) fn check_again(draft: &mut Draft<'_>, key: &TaskKey, reason: &str) {
    let Some(stage) = stage_of(draft, key) else { return };
    let pipeline = draft.feature(&key.feature).map(|feature| &feature.frozen.policy.pipeline);
    match pipeline.and_then(|pipeline| pipeline.rework(&stage.name)).cloned() {
        Some(work) => go(draft, key, &work, &work.on_pass, reason),
        None => enter(draft, key, &stage, reason),
    }
}

/// A pipeline without a land stage ends with the last one: what it made is its result.
fn close(draft: &mut Draft<'_>, key: &TaskKey) {
    let commit = draft.task(key).and_then(|task| task.head.clone());
    match commit {
        Some(commit) => set(draft, key, Status::Done { commit }, ""),
        None => set(draft, key, Status::Skipped, "it left the pipeline without a change"),
    }
}

/// The task enters a stage: a `work` stage is a new attempt, a `land` stage gives it a place in
/// the merge queue, a `wait` stage waits.
pub(super) fn enter(draft: &mut Draft<'_>, key: &TaskKey, stage: &Stage, reason: &str) {
    let place = (stage.kind == StageKind::Land).then(|| next_place(draft, key));
    let stamp = draft.now.wall_ms / 1000;
    let Some(task) = draft.edit_task(key) else { return };
    let changed = task.stage.as_ref() != Some(&stage.name);
    task.stage = Some(stage.name.clone());
    if changed {
        task.errors = 0;
        task.deaths = 0;
    }
    match stage.kind {
        StageKind::Work => {
            begin_attempt(task);
            task.stamp_s = stamp;
            set(draft, key, Status::Ready, reason);
        }
        StageKind::Check => set(draft, key, Status::Ready, reason),
        StageKind::Land => {
            task.queued = task.queued.or(place);
            set(draft, key, Status::Ready, "");
        }
        StageKind::Wait => {
            let text = format!("{} waits for an approval", stage.name);
            set(draft, key, Status::Waiting { wait: WaitKind::Approval, text: text.clone() }, &text);
            draft.say_task("task_waits", key, text);
        }
    }
}

pub(super) fn next_place(draft: &mut Draft<'_>, key: &TaskKey) -> u64 {
    draft.edit_feature(&key.feature).map_or(0, |feature| {
        feature.queue_last += 1;
        feature.queue_last
    })
}

/// The task goes elsewhere: its run's worker is told to end it, and its report will not count.
pub(super) fn revoke(draft: &mut Draft<'_>, key: &TaskKey) {
    let Some(Status::Running { run }) = draft.task(key).map(|task| task.status.clone()) else { return };
    let Some(mut run) = draft.run(&run).cloned() else { return };
    run.status = RunStatus::Revoked;
    draft.effect(Effect::Wake { worker: run.worker.clone() });
    draft.put_run(run);
}

/// A reboot: what was to wait is due.
pub(super) fn forget_deadlines(draft: &mut Draft<'_>) {
    for key in all_tasks(draft, |task| matches!(task.status, Status::Retry { .. })) {
        if let Some(task) = draft.edit_task(&key) {
            task.status = Status::Retry { due_ms: 0 };
        }
    }
}

/// Retries whose time has come. The reason stays: it says why the stage is done again.
pub(super) fn retry_due(draft: &mut Draft<'_>) {
    let now = draft.now.mono_ms;
    for key in all_tasks(draft, |task| matches!(task.status, Status::Retry { due_ms } if due_ms <= now)) {
        let reason = draft.task(&key).map(|task| task.reason.clone()).unwrap_or_default();
        feed(draft, &key, Input::Due, &Because::reason(reason));
    }
}

/// A person has mended something: errors do not count any more, and what waits for a retry is due.
/// Returns whether there was any.
pub(super) fn retry_at_once(draft: &mut Draft<'_>, feature: &FeatureId) -> bool {
    let errored: Vec<TaskKey> =
        draft.tasks_of(feature).filter(|task| task.errors > 0).map(|task| task.key.clone()).collect();
    let mut any = false;
    for key in errored {
        let Some(task) = draft.edit_task(&key) else { continue };
        task.errors = 0;
        if matches!(task.status, Status::Retry { .. }) {
            any = true;
            feed(draft, &key, Input::Retry, &Because::reason("tried again with the new configuration"));
        }
    }
    any
}

fn all_tasks(draft: &Draft<'_>, keep: impl Fn(&Task) -> bool) -> Vec<TaskKey> {
    let features = draft.features_at_hand();
    features
        .iter()
        .flat_map(|id| draft.tasks_of(id))
        .filter(|task| keep(task))
        .map(|task| task.key.clone())
        .collect()
}

/// The stage that a task begins in.
pub(super) fn first_stage(draft: &Draft<'_>, key: &TaskKey) -> Option<Stage> {
    draft.feature(&key.feature)?.frozen.policy.pipeline.stages.first().cloned()
}
