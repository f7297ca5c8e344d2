//! What `task_show` and `peers` say, as JSON.

use serde::Serialize;
use serde_json::Value;

use crate::config::Config;
use crate::domain::state::{Job, State};
use crate::error::chain;
use crate::feature::{Feature, Story, TaskLine};
use crate::git::{Repo, contents};

/// Findings of the attempt before that are shown.
const FINDINGS_MAX: usize = 50;
/// Tasks in flight that are shown.
const PEERS_MAX: usize = 100;

#[derive(Serialize)]
struct TaskView<'a> {
    id: &'a str,
    title: &'a str,
    text: String,
    feature: &'a str,
    directory: &'a str,
    stage: &'a str,
    attempt: u32,
    attempts: Option<u32>,
    paths: &'a [String],
    stories: Vec<StoryView<'a>>,
    feedback: Option<FeedbackView<'a>>,
    answer: Option<AnswerView<'a>>,
}

#[derive(Serialize)]
struct StoryView<'a> {
    id: &'a str,
    title: &'a str,
    priority: &'a str,
    acceptance_scenarios: Vec<&'a str>,
}

#[derive(Serialize)]
struct FeedbackView<'a> {
    stage: &'a str,
    reason: &'a str,
    findings: &'a [Value],
    findings_left_out: usize,
}

#[derive(Serialize)]
struct AnswerView<'a> {
    question: &'a str,
    answer: &'a str,
}

/// The task of a run, with what the feature's files of its base say about it.
pub(super) fn task(repo: &Repo, job: &Job, config: &Config) -> Result<String, String> {
    let read = |name: &str| {
        contents::blob(repo, &job.base, &format!("{}/{name}", job.dir))
            .map(Option::unwrap_or_default)
            .map_err(|error| chain(&error))
    };
    let feature = Feature::read(&read("spec.md")?, &read("plan.md")?, &read("tasks.md")?);
    let line = job.task.as_ref().and_then(|task| feature.tasks.task(task));
    Ok(pretty(&task_view(job, config, &feature, line)))
}

fn task_view<'a>(
    job: &'a Job,
    config: &Config,
    feature: &'a Feature,
    line: Option<&'a TaskLine>,
) -> TaskView<'a> {
    let stage = job.stage.as_ref();
    let findings = |all: &'a Vec<Value>| &all[..all.len().min(FINDINGS_MAX)];
    TaskView {
        id: job.task.as_ref().map_or("", |task| task.as_str()),
        title: &job.title,
        text: line.map(|line| format!("{}\n{}", line.title, line.details)).unwrap_or_default(),
        feature: job.feature.as_str(),
        directory: &job.dir,
        stage: stage.map_or("", |stage| stage.as_str()),
        attempt: job.attempt,
        attempts: stage.and_then(|stage| config.stage(stage.as_str())).map(|stage| stage.attempts),
        paths: line.map(|line| line.paths.as_slice()).unwrap_or_default(),
        stories: line.map(|line| stories(feature, line)).unwrap_or_default(),
        feedback: job.feedback.as_ref().map(|told| FeedbackView {
            stage: &told.stage,
            reason: &told.reason,
            findings: findings(&told.findings),
            findings_left_out: told.findings.len().saturating_sub(FINDINGS_MAX),
        }),
        answer: job
            .answer
            .as_ref()
            .map(|answered| AnswerView { question: &answered.question, answer: &answered.answer }),
    }
}

fn stories<'a>(feature: &'a Feature, line: &TaskLine) -> Vec<StoryView<'a>> {
    let of_task = |story: &&Story| line.stories.contains(&story.id);
    let view = |story: &'a Story| StoryView {
        id: &story.id,
        title: &story.title,
        priority: story.priority.as_deref().unwrap_or_default(),
        acceptance_scenarios: story.scenarios.iter().map(|scenario| scenario.text.as_str()).collect(),
    };
    feature.spec.stories.iter().filter(of_task).map(view).collect()
}

#[derive(Serialize)]
struct PeerView<'a> {
    id: &'a str,
    title: &'a str,
    stage: &'a str,
    state: &'a str,
    paths: &'a [String],
}

/// The other tasks of the feature that are in flight.
pub(super) fn peers(state: &State, job: &Job) -> String {
    let plan = state.features.get(&job.feature).map(|feature| &feature.frozen.plan);
    let paths = |id: &str| {
        let planned = plan.and_then(|plan| plan.tasks.iter().find(|task| task.id.as_str() == id));
        planned.map(|task| task.paths.as_slice()).unwrap_or_default()
    };
    let others = state
        .tasks_of(&job.feature)
        .filter(|task| task.in_flight() && Some(&task.key.id) != job.task.as_ref());
    let views: Vec<PeerView<'_>> = others
        .take(PEERS_MAX)
        .map(|task| PeerView {
            id: task.key.id.as_str(),
            title: &task.title,
            stage: task.stage.as_ref().map_or("", |stage| stage.as_str()),
            state: task.status.word(),
            paths: paths(task.key.id.as_str()),
        })
        .collect();
    pretty(&views)
}

fn pretty(view: &impl Serialize) -> String {
    serde_json::to_string_pretty(view).expect("a view has only strings and numbers")
}
