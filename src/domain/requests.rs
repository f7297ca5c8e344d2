//! What people ask for, each with its answer.

use std::sync::Arc;

use super::accounts;
use super::budget::Scope;
use super::draft::Draft;
use super::effect::Effect;
use super::event::{ForeignBranch, Request};
use super::features;
use super::ids::FeatureId;
use super::moves::{self, Because, feed, word};
use super::pipeline::Pipeline;
use super::policy::Policy;
use super::state::{Feature, FeatureStatus, Frozen, Mode};
use super::task::{Answered, Input, Move, Status, Task, TaskKey, TaskName, WaitKind, transition};

/// Applies a request and leaves its result.
pub(super) fn apply(draft: &mut Draft<'_>, id: i64, request: &Request) {
    match request {
        Request::Start { feature } => {
            let message = features::start(draft, feature);
            draft.reply(id, 0, message);
        }
        Request::Answer { task, text } => answer(draft, id, task, text),
        Request::Approve { task } => on_task(draft, id, task, Input::Approve, "approved"),
        Request::Reject { task, reason } => on_task(draft, id, task, Input::Reject, reason),
        Request::TaskRetry { task } => on_task(draft, id, task, Input::Retry, "retried"),
        Request::TaskSkip { task } => on_task(draft, id, task, Input::Skip, "skipped by a person"),
        Request::TaskStop { task } => on_task(draft, id, task, Input::Stop, "stopped by a person"),
        Request::Pause => pause(draft, id),
        Request::Resume { branch } => resume(draft, id, branch.as_ref()),
        Request::Stop { now, limit_ms } => stop(draft, id, *now, *limit_ms),
        Request::Reload { policy } => reload(draft, id, policy),
    }
}

/// The task that a person means; of those whose feature is not named, that of the feature that is
/// built, else of the newest one in which the request makes sense.
fn find(draft: &Draft<'_>, task: &TaskName, input: Input) -> Option<TaskKey> {
    let current = draft.current().map(|feature| feature.id.clone());
    let mut features = draft.feature_ids();
    features.reverse();
    let keys: Vec<TaskKey> = current
        .into_iter()
        .chain(features)
        .map(|feature| TaskKey { feature, id: task.id.clone() })
        .filter(|key| task.means(key) && draft.task(key).is_some())
        .collect();
    let sensible = keys.iter().find(|key| {
        draft.task(key).is_some_and(|task| transition(task.status.kind(), input) != Move::Refuse)
    });
    sensible.or(keys.first()).cloned()
}

fn on_task(draft: &mut Draft<'_>, id: i64, task: &TaskName, input: Input, reason: &str) {
    let Some(key) = find(draft, task, input) else {
        draft.reply(id, 4, format!("there is no task {task}; `sprint task list` shows them"));
        return;
    };
    let kind = draft.task(&key).map(|task| task.status.kind()).expect("`find` gives tasks that are there");
    if transition(kind, input) == Move::Refuse {
        let text = refusal(&draft.name_of(&key), input, word(kind));
        draft.reply(id, 4, text);
        return;
    }
    if input == Input::Retry && !is_planned(draft, &key) {
        let name = draft.name_of(&key);
        draft.reply(id, 4, format!("{name} is not open in tasks.md; open it there, then `sprint start`"));
        return;
    }
    feed(draft, &key, input, &Because::reason(reason));
    features::reopen(draft, &key.feature);
    let text = format!("{}: {reason}", draft.name_of(&key));
    draft.reply(id, 0, text);
}

/// Whether the plan knows with what the task shares files: what was dropped or is gone from
/// `tasks.md` has no convoy, and could meet another one's files.
pub(super) fn is_planned(draft: &Draft<'_>, key: &TaskKey) -> bool {
    draft.feature(&key.feature).is_some_and(|feature| {
        feature.frozen.plan.tasks.iter().any(|task| task.id == key.id && task.convoy.is_some())
    })
}

fn refusal(id: &TaskName, input: Input, state: &str) -> String {
    match input {
        Input::Answer => format!("{id} asks nothing: it is {state}"),
        Input::Approve | Input::Reject => format!("{id} waits for no approval: it is {state}"),
        Input::Retry => format!("{id} cannot be retried while it is {state}"),
        Input::Skip => format!("{id} cannot be skipped while it is {state}"),
        Input::Stop => format!("{id} cannot be stopped while it is {state}"),
        Input::Assigned
        | Input::Passed
        | Input::Added
        | Input::Failed
        | Input::Errored
        | Input::NothingToDo
        | Input::Contained
        | Input::Asked
        | Input::Died
        | Input::Interrupted
        | Input::Survived
        | Input::Overspent
        | Input::Due
        | Input::Landable
        | Input::Landed
        | Input::LandRefused
        | Input::CheckedOut
        | Input::Freed => format!("{id} is {state}"),
    }
}

fn answer(draft: &mut Draft<'_>, id: i64, task: &TaskName, text: &str) {
    if let Some(key) = find(draft, task, Input::Answer)
        && !give_answer(draft, &key, text)
        && let Some(before) = draft.edit_task(&key).and_then(|row| replace_answer(row, text))
    {
        let text = format!("answered, instead of \"{before}\"");
        draft.say_task("task_answered", &key, text.clone());
        let name = draft.name_of(&key);
        return draft.reply(id, 0, format!("{name}: {text}"));
    }
    on_task(draft, id, task, Input::Answer, "answered");
}

/// Keeps the answer for the next run. Returns whether the task asks.
pub(super) fn give_answer(draft: &mut Draft<'_>, key: &TaskKey, text: &str) -> bool {
    let Some(row) = draft.edit_task(key) else { return false };
    let Status::Waiting { wait: WaitKind::Answer, text: question } = &row.status else { return false };
    let (question, answer, attempt) = (question.clone(), text.to_owned(), row.attempt);
    row.answer = Some(Answered { question, answer, attempt, stage: row.stage.clone(), given: false });
    true
}

/// Until a run has the answer, another one takes its place. Returns the one before.
fn replace_answer(task: &mut Task, text: &str) -> Option<String> {
    let ready = task.status == Status::Ready;
    let answered = task.answer.as_mut().filter(|answered| ready && !answered.given);
    let answered = answered.filter(|answered| answered.attempt == task.attempt)?;
    Some(std::mem::replace(&mut answered.answer, text.to_owned()))
}

fn pause(draft: &mut Draft<'_>, id: i64) {
    match draft.sprint().mode.clone() {
        mode @ (Mode::Running | Mode::Booting) => {
            let sprint = draft.edit_sprint();
            sprint.paused = mode == Mode::Booting;
            sprint.mode = if sprint.paused { mode } else { Mode::Paused };
            draft.say("paused", None, "nothing new is assigned until `sprint resume`");
            draft.reply(id, 0, "paused: runs go on, nothing new is assigned");
        }
        Mode::Paused => draft.reply(id, 0, "it is paused already"),
        Mode::Draining { .. } | Mode::Stopping => draft.reply(id, 4, "it is stopping"),
    }
}

fn resume(draft: &mut Draft<'_>, id: i64, branch: Option<&ForeignBranch>) {
    if matches!(draft.sprint().mode, Mode::Draining { .. } | Mode::Stopping) {
        return draft.reply(id, 4, "it is stopping; `sprint start` goes on");
    }
    let released = accounts::release(draft);
    let was_paused = unpause(draft) || released;
    let halted =
        draft.feature_ids().into_iter().find(|id| draft.feature(id).is_some_and(|f| f.halted.is_some()));
    match (halted, branch) {
        (Some(feature), Some(branch)) => {
            let text = resume_landing(draft, &feature, branch);
            draft.reply(id, 0, text);
        }
        (Some(feature), None) => {
            let text = draft.feature(&feature).and_then(|row| row.halted.clone()).unwrap_or_default();
            draft.reply(id, if was_paused { 0 } else { 4 }, format!("landing stays halted: {text}"));
        }
        (None, Some(_)) => draft.reply(id, 4, "landing is not halted: nobody moved the integration branch"),
        (None, None) => draft.reply(id, 0, if was_paused { "goes on" } else { "it was not paused" }),
    }
}

fn unpause(draft: &mut Draft<'_>) -> bool {
    let sprint = draft.edit_sprint();
    let was_paused = sprint.mode == Mode::Paused || sprint.paused;
    if sprint.mode == Mode::Paused {
        sprint.mode = Mode::Running;
    }
    sprint.paused = false;
    if was_paused {
        draft.say("resumed", None, "goes on");
    }
    was_paused
}

/// A foreign head is gated before it becomes ours: nothing red ever lands, whoever made it.
fn resume_landing(draft: &mut Draft<'_>, id: &FeatureId, branch: &ForeignBranch) -> String {
    let Some(feature) = draft.edit_feature(id) else { return String::new() };
    feature.deaths = 0;
    match branch {
        ForeignBranch::Adopted { head } => {
            feature.adopting = Some(head.clone());
            if !feature.frozen.policy.gate_base {
                features::adopt(draft, id);
                return format!("the foreign head {} is taken over", head.short());
            }
            let text = format!("the foreign head {} is gated, and taken over when it is green", head.short());
            draft.say("landing_adopts", Some(id), text.clone());
            text
        }
        ForeignBranch::Restored => {
            feature.halted = None;
            feature.adopting = None;
            draft.say("landing_resumed", Some(id), "the branch was set back");
            "the branch was set back".to_owned()
        }
    }
}

fn stop(draft: &mut Draft<'_>, id: i64, now: bool, limit_ms: u64) {
    let until_ms = draft.now.mono_ms.saturating_add(limit_ms);
    if draft.sprint().mode == Mode::Stopping && !now {
        return draft.reply(id, 0, "it is stopping already");
    }
    // Whoever stops it and starts it again means it to go on.
    draft.edit_sprint().paused = false;
    if now {
        draft.edit_sprint().mode = Mode::Stopping;
        draft.effect(Effect::Shutdown { now: true });
        draft.reply(id, 0, "everything is being ended; `sprint start` goes on");
    } else {
        draft.edit_sprint().mode = Mode::Draining { until_ms };
        draft.reply(id, 0, "runs may finish, then everything ends; `sprint start` goes on");
    }
    draft.say("stopping", None, if now { "stops at once" } else { "stops when the runs are done" });
}

fn reload(draft: &mut Draft<'_>, id: i64, policy: &Policy) {
    draft.edit_sprint().config = Some(policy.config.clone());
    accounts::release(draft);
    let Some(feature) = current_or_resting(draft) else {
        draft.reply(id, 0, "no feature is being built; the next one takes the new configuration");
        return;
    };
    let Some(row) = draft.edit_feature(&feature) else { return };
    let (pipeline, same) = reloaded_pipeline(&row.frozen.policy.pipeline, &policy.pipeline);
    let message = if same {
        "the new configuration holds"
    } else {
        "the new configuration holds, but for the pipeline, which stays as it was when the feature began"
    };
    let changed = row.frozen.policy.config != policy.config;
    let plan = row.frozen.plan.clone();
    row.frozen = Arc::new(Frozen { plan, policy: Policy { pipeline, ..policy.clone() } });
    if changed {
        forget_verdicts(draft, &feature);
    }
    // Who corrects a gate does not want to wait for what the old one was owed.
    let tasks = moves::retry_at_once(draft, &feature);
    let base = features::retry_at_once(draft, &feature);
    let at_once = if tasks || base { "; what waited for a retry is tried at once" } else { "" };
    let message = format!("{message}{at_once}");
    draft.say("reloaded", Some(&feature), message.clone());
    draft.reply(id, 0, message);
}

/// The feature that is built, else the newest that rests.
fn current_or_resting(draft: &Draft<'_>) -> Option<FeatureId> {
    let current = draft.current().map(|feature| feature.id.clone());
    let rests =
        |id: &FeatureId| draft.feature(id).is_some_and(|feature| feature.status == FeatureStatus::Resting);
    current.or_else(|| draft.feature_ids().into_iter().rfind(rests))
}

/// The way of the tasks is frozen with the feature: tasks are in the middle of it. Only whether
/// a stage has anything to do follows the gates.
fn reloaded_pipeline(frozen: &Pipeline, new: &Pipeline) -> (Pipeline, bool) {
    let mut pipeline = frozen.clone();
    for stage in &mut pipeline.stages {
        if let Some(same) = new.stage(&stage.name).filter(|same| same.kind == stage.kind) {
            stage.has_work = same.has_work;
        }
    }
    let same = pipeline == *new;
    (pipeline, same)
}

/// What was judged by other gates does not count for landing. A landing whose intent is out does.
fn forget_verdicts(draft: &mut Draft<'_>, feature: &FeatureId) {
    let judged = draft.tasks_of(feature).filter(|task| !task.gates.is_empty() && !task.closed());
    let keys: Vec<TaskKey> = judged.map(|task| task.key.clone()).collect();
    for key in keys {
        if let Some(task) = draft.edit_task(&key) {
            task.gates.clear();
        }
    }
}

/// Whether anything waits for a person in a feature.
pub(super) fn waits_for_person(draft: &Draft<'_>) -> bool {
    draft.feature_ids().iter().any(|id| {
        let Some(feature) = draft.feature(id) else { return false };
        let open = !matches!(feature.status, FeatureStatus::Finished | FeatureStatus::Refused { .. });
        open && (feature.halted.is_some()
            || draft.tasks_of(id).any(|task| matches!(task.status, Status::Waiting { .. }))
            || is_held(draft, feature)
            || feature.over.is_some_and(|over| over.scope == Scope::Feature))
    })
}

/// Whether an agent of the feature is on hold until a person does something.
fn is_held(draft: &Draft<'_>, feature: &Feature) -> bool {
    let holds = &draft.sprint().holds;
    feature
        .frozen
        .policy
        .agents_in_use()
        .filter_map(|agent| holds.get(agent))
        .any(|hold| hold.until_ms.is_none())
}
