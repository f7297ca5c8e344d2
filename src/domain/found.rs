//! Reports of runs that the database knows nothing of. It was made again from a copy, or has lost its
//! newest transactions: what was reported since is in the runs' own files, and each says where its task
//! was when the run was given. So it is enough to put the task back there and to apply the report, in the
//! order in which the runs were given.

use super::budget::{self, Used};
use super::draft::Draft;
use super::moves;
use super::pipeline::StageKind;
use super::report::{Filed, Given, Report};
use super::reported;
use super::state::{FeatureStatus, Job, Run, RunStatus};
use super::step;
use super::task::{Input, Status, Task, TaskKey};

/// Applies what a run left, where its task may still be where the run says. What has landed has landed,
/// whatever the database thinks of the task.
pub(super) fn found(draft: &mut Draft<'_>, filed: &Filed, landed: bool) {
    let Some(given) = &filed.given else { return };
    let run = run_of(filed, given);
    draft.put_run(run.clone());
    match place(draft, &given.job, landed) {
        Ok(key) => {
            correct_others(draft, &key, landed);
            put_back(draft, &key, &run);
            if let Some(spent) = &filed.spent {
                budget::used(draft, &run.id, spent);
                step::write_down(draft, &run.id);
            }
            let stage = given.job.stage.as_ref().map_or_else(String::new, ToString::to_string);
            let text = format!("{stage}, attempt {}: its report was found in its file", given.job.attempt);
            draft.say_task("report_found", &key, text);
            if landed && let Report::Landable { candidate, gates } = &filed.report {
                reported::lands(draft, &key, &run, candidate, gates);
                moves::feed(draft, &key, Input::Landed, &moves::Because::reason("landed"));
            } else {
                reported::reported(draft, &key, &run, &filed.report);
            }
        }
        Err(why) => {
            let text = format!("the report of run {}, which nobody knew of, changes nothing: {why}", run.id);
            draft.say("report_ignored", None, text);
        }
    }
    draft.run_was(run);
}

fn run_of(filed: &Filed, given: &Given) -> Run {
    Run {
        id: filed.run.clone(),
        token: filed.token.clone(),
        status: RunStatus::Active,
        worker: given.worker.clone(),
        job: given.job.clone(),
        told: None,
        counted: Used::default(),
        over: None,
        at_once: filed.at_once.clone(),
    }
}

/// The task that the run was of, if it can have been there.
fn place(draft: &Draft<'_>, job: &Job, landed: bool) -> Result<TaskKey, &'static str> {
    let (Some(task), None) = (&job.task, &job.triage) else { return Err("it was of no task's stage") };
    let key = TaskKey { feature: job.feature.clone(), id: task.clone() };
    let feature = draft.feature(&key.feature).ok_or("its feature is not known")?;
    if matches!(feature.status, FeatureStatus::Refused { .. }) {
        return Err("its feature was refused");
    }
    let task = draft.task(&key).ok_or("its task is not known")?;
    if landed && !matches!(task.status, Status::Done { .. }) {
        Ok(key)
    } else if task.closed() {
        Err("its task is over")
    } else if matches!(task.status, Status::Landing { .. }) {
        Err("its task is landing")
    } else if job.attempt < task.attempt {
        Err("its task is at a later attempt")
    } else if mates(draft, &key).iter().any(|mate| lands(draft, mate)) {
        Err("another task of its convoy is landing")
    } else {
        Ok(key)
    }
}

/// The other tasks of its convoy.
fn mates(draft: &Draft<'_>, key: &TaskKey) -> Vec<TaskKey> {
    let convoys = draft.feature(&key.feature).map(|feature| &feature.frozen.plan.convoys);
    let own = convoys.and_then(|convoys| convoys.iter().find(|convoy| convoy.contains(&key.id)));
    let others = own.into_iter().flatten().filter(|id| **id != key.id);
    others.map(|id| TaskKey { feature: key.feature.clone(), id: id.clone() }).collect()
}

fn lands(draft: &Draft<'_>, key: &TaskKey) -> bool {
    draft.task(key).is_some_and(|task| matches!(task.status, Status::Landing { .. }))
}

/// What cannot have been as the database says while the task was where it was.
fn correct_others(draft: &mut Draft<'_>, key: &TaskKey, landed: bool) {
    let all: Vec<TaskKey> = draft.tasks_of(&key.feature).map(|task| task.key.clone()).collect();
    for other in all.iter().filter(|other| landed && *other != key) {
        if lands(draft, other) {
            moves::set(draft, other, Status::Ready, "another task landed meanwhile");
        }
    }
    for mate in mates(draft, key) {
        if draft.task(&mate).is_some_and(Task::in_flight) {
            moves::revoke(draft, &mate);
            let reason = format!("it was stopped, or {} of its convoy would not have gone on", key.id);
            moves::set(draft, &mate, Status::Parked, &reason);
            draft.say_task("task_parked", &mate, format!("is parked: {reason}"));
        }
    }
}

/// The task is where it was when it got the run, and its feature has begun.
fn put_back(draft: &mut Draft<'_>, key: &TaskKey, run: &Run) {
    moves::revoke(draft, key);
    let job = &run.job;
    let turn = (job.kind == StageKind::Land).then(|| moves::next_place(draft, key));
    if let Some(feature) = draft.edit_feature(&key.feature) {
        match feature.status {
            FeatureStatus::Running | FeatureStatus::Finished => {}
            // What the report asks for may have its time: a rest would not see it come.
            FeatureStatus::Resting => feature.status = FeatureStatus::Running,
            FeatureStatus::Queued
            | FeatureStatus::Gating
            | FeatureStatus::GateRetry { .. }
            | FeatureStatus::Beginning
            | FeatureStatus::Refused { .. } => {
                feature.status = FeatureStatus::Running;
                feature.head = Some(job.base.clone());
            }
        }
    }
    let wall = draft.now.wall_ms;
    let Some(task) = draft.edit_task(key) else { return };
    if task.attempt != job.attempt {
        task.stands.clear();
        task.remarks.clear();
    }
    if let (true, Some(stage)) = (job.stands, &job.stage)
        && !task.stands.contains(stage)
    {
        task.stands.push(stage.clone());
    }
    task.status = Status::Running { run: run.id.clone() };
    task.since_ms = wall;
    task.stage.clone_from(&job.stage);
    task.attempt = job.attempt;
    task.head.clone_from(&job.head);
    task.resume_from.clone_from(&job.resume_from);
    task.candidate.clone_from(&job.candidate);
    task.gates.clone_from(&job.gates);
    task.feedback.clone_from(&job.feedback);
    task.answer.clone_from(&job.answer);
    task.stamp_s = job.stamp_s;
    task.queued = task.queued.or(turn);
}
