//! What a worker is given: the job of a run, out of the task and the feature's frozen rules.

use super::accounts::hold_of;
use super::budget::{self, Budget, Used};
use super::draft::Draft;
use super::effect::Effect;
use super::ids::{FeatureId, RunId, WorkerName};
use super::moves;
use super::pipeline::{Role, Stage, StageKind};
use super::policy::TRIAGE_MS;
use super::state::{Feature, Job, Run, RunStatus};
use super::task::{Status, Task, TaskKey};
use super::triage;
use super::work::{Work, WorkKind};
use super::worker::Life;

/// The worker gets the work: a run with an id and a token of its own.
pub(super) fn give(draft: &mut Draft<'_>, worker: &WorkerName, work: &Work) {
    let job = match &work.kind {
        WorkKind::Base { feature } => base_job(draft, feature),
        WorkKind::Triage { key } => triage_job(draft, key),
        WorkKind::Task { key, begins } => {
            if *begins && let Some(first) = moves::first_stage(draft, key) {
                moves::enter(draft, key, &first, "");
            }
            task_job(draft, key)
        }
    };
    let Some(job) = job else { return };
    let (id, token) = draft.draw_run();
    let now = draft.now;
    announce(draft, worker, &job, &id);
    if let Some(worker) = draft.edit_worker(worker)
        && let Life::Idle { proc, .. } = &worker.life
    {
        worker.life = Life::Busy { proc: proc.clone(), run: id.clone() };
        worker.since_ms = now.wall_ms;
        worker.seen = None;
    }
    draft.put_run(Run {
        id,
        token,
        status: RunStatus::Active,
        worker: worker.clone(),
        job,
        told: None,
        counted: Used::default(),
        over: None,
        at_once: None,
    });
    draft.effect(Effect::Wake { worker: worker.clone() });
}

fn announce(draft: &mut Draft<'_>, worker: &WorkerName, job: &Job, run: &RunId) {
    if let (Some(task), Some(_)) = (&job.task, &job.triage) {
        let key = TaskKey { feature: job.feature.clone(), id: task.clone() };
        return draft.say_worker("triage_begins", worker, Some(&key), "the manager looks at it");
    }
    let Some(task) = &job.task else {
        return draft.say_worker("run_assigned", worker, None, format!("the gates of {}", job.title));
    };
    let key = TaskKey { feature: job.feature.clone(), id: task.clone() };
    let wall = draft.now.wall_ms;
    if let Some(task) = draft.edit_task(&key) {
        task.status = Status::Running { run: run.clone() };
        task.since_ms = wall;
        if let Some(answer) = &mut task.answer {
            answer.given = true;
        }
    }
    let stage = job.stage.as_ref().map_or_else(String::new, ToString::to_string);
    draft.say_worker(
        "run_assigned",
        worker,
        Some(&key),
        format!("{stage}, attempt {}, on {worker}", job.attempt),
    );
}

/// A run on the base, or on a foreign head that is to be taken over, may take as long as a stage's longest.
fn base_job(draft: &Draft<'_>, id: &FeatureId) -> Option<Job> {
    let feature = draft.feature(id)?;
    let foreign = feature.adopting.as_ref();
    let timeout_ms = feature.frozen.policy.pipeline.stages.iter().map(|stage| stage.timeout_ms).max()?;
    let base = foreign.unwrap_or(&feature.base).clone();
    let config = feature.frozen.policy.config.clone();
    Some(Job {
        title: if foreign.is_some() { "the foreign head" } else { "the base" }.to_owned(),
        stamp_s: draft.now.wall_ms / 1000,
        timeout_ms,
        ..Job::check(id.clone(), feature.dir.clone(), base, config)
    })
}

/// What the manager looks at counts as seen from now on.
fn triage_job(draft: &mut Draft<'_>, key: &TaskKey) -> Option<Job> {
    let cause = triage::see(draft, key)?;
    let budget = budget::left(draft, key);
    let feature = draft.feature(&key.feature)?;
    let task = draft.task(key)?;
    let (head, config) = (feature.head.clone()?, feature.frozen.policy.config.clone());
    Some(Job {
        task: Some(key.id.clone()),
        title: task.title.clone(),
        labels: task.labels.clone(),
        attempt: task.attempt,
        head: task.head.clone(),
        gates: task.gates.clone(),
        feedback: task.feedback.clone(),
        budget,
        triage: Some(cause),
        stamp_s: draft.now.wall_ms / 1000,
        timeout_ms: TRIAGE_MS,
        ..Job::check(key.feature.clone(), feature.dir.clone(), head, config)
    })
}

/// Once an attempt, where the merger has an agent and its service serves.
fn may_resolve(draft: &Draft<'_>, key: &TaskKey) -> bool {
    let (Some(feature), Some(task)) = (draft.feature(&key.feature), draft.task(key)) else { return false };
    let has_agent = feature.frozen.policy.agent_of(Role::Merger, &task.labels).is_some();
    let first = task.resolved != task.attempt;
    let serves = hold_of(draft, &key.feature, Role::Merger, &task.labels).is_none();
    has_agent && first && serves && budget::used_up(draft, &key.feature).is_none()
}

fn task_job(draft: &Draft<'_>, key: &TaskKey) -> Option<Job> {
    let feature = draft.feature(&key.feature)?;
    let task = draft.task(key)?;
    let stage = feature.frozen.policy.pipeline.stage(task.stage.as_ref()?)?;
    let resolves = stage.kind == StageKind::Land && may_resolve(draft, key);
    let asks = resolves || budget::asks_a_model(&feature.frozen.policy, stage, &task.labels);
    let budget = if asks { budget::left(draft, key) } else { Budget::default() };
    job_of(feature, task, stage).map(|job| Job { resolves, budget, ..job })
}

/// The job that the task would be given if it came to a stage now: what a person looks at before.
pub fn preview(feature: &Feature, task: &Task, stage: &Stage, config: &str) -> Option<Job> {
    let there = task.stage.as_ref() == Some(&stage.name) && task.in_flight();
    let mut task = task.clone();
    if stage.kind == StageKind::Work && !there {
        moves::begin_attempt(&mut task);
    }
    let based =
        Feature { head: Some(feature.head.clone().unwrap_or(feature.base.clone())), ..feature.clone() };
    job_of(&based, &task, stage).map(|job| Job { config: config.to_owned(), ..job })
}

fn job_of(feature: &Feature, task: &Task, stage: &Stage) -> Option<Job> {
    Some(Job {
        feature: feature.id.clone(),
        dir: feature.dir.clone(),
        task: Some(task.key.id.clone()),
        title: task.title.clone(),
        labels: task.labels.clone(),
        stage: Some(stage.name.clone()),
        kind: stage.kind,
        member: 0,
        attempt: task.attempt,
        base: feature.head.clone()?,
        head: task.head.clone(),
        resume_from: task.resume_from.clone(),
        candidate: task.candidate.clone(),
        gates: task.gates.clone(),
        stands: task.stands.contains(&stage.name),
        feedback: task.feedback.clone(),
        answer: task.answer.clone(),
        resolves: false,
        triage: None,
        stamp_s: task.stamp_s,
        timeout_ms: stage.timeout_ms,
        config: feature.frozen.policy.config.clone(),
        budget: Budget::default(),
    })
}
