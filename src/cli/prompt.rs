//! `sprint prompt show`: what an agent would be told, word for word.

use std::io::{Read as _, Write as _};

use serde::Serialize;

use super::args::{PromptCommand, PromptShowArgs};
use super::context::{Context, git_error, store_error};
use super::environment::Environment;
use super::out::Out;
use super::prompts;
use super::request::find_task;
use super::text::plain;
use crate::agents::sent::as_text;
use crate::config::{Adapter, Config, StageConfig};
use crate::domain::ids::{FeatureId, RunId, StageName};
use crate::domain::job::preview;
use crate::domain::pipeline::StageKind;
use crate::domain::state::{Job, State};
use crate::domain::task::{Status, Task, TaskName};
use crate::error::{CliError, exit};
use crate::feature::TaskFile;
use crate::git::contents;
use crate::store::Client;
use crate::supervisor::freeze;
use crate::worker::Scene;

/// Bytes of a prompt that was sent.
const PROMPT_BYTES_MAX: u64 = 16 << 20;

/// What is shown of a prompt beside its text.
#[derive(Debug, Serialize)]
struct PromptJson {
    task: String,
    feature: String,
    stage: String,
    role: String,
    attempt: u32,
    agent: String,
    model: String,
    effort: String,
    template: String,
    text: String,
}

/// Whose prompt it is.
struct Subject {
    config: Config,
    job: Job,
    in_flight: Vec<Task>,
    /// The run that has it now, in this stage.
    run: Option<RunId>,
}

/// Runs `sprint prompt …`.
///
/// # Errors
/// There is no such task, or its stage has no agent (exit 4); a template has a mistake (exit 2).
pub fn run(command: &PromptCommand, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let PromptCommand::Show(args) = command;
    let context = Context::find(env)?;
    let client = context.reader()?;
    let state = client.as_ref().map(Client::overview).transpose().map_err(store_error)?;
    let known = state.as_ref().map(|overview| &overview.state).filter(|state| args.is_known(state));
    let subject = match (known, &client) {
        (Some(state), Some(client)) => of_sprint(args, &context, env, state, client)?,
        _ => of_checkout(args, &context, env)?,
    };
    let shown = shown(&context, &subject)?;
    for text in unused(&context, &subject.config)? {
        warn(&text);
    }
    if args.json {
        out.json(&shown);
    } else {
        out.text(&shown.text);
    }
    Ok(exit::DONE)
}

/// Templates that nobody is told.
fn unused(context: &Context, config: &Config) -> Result<Vec<String>, CliError> {
    let head = context.repo.head().map_err(|error| git_error("the repository cannot be read", error))?;
    prompts::unused(config, &context.repo, &head)
}

/// Beside the prompt, which is to be exactly what is sent.
fn warn(text: &str) {
    if let Err(error) = writeln!(std::io::stderr().lock(), "warning: {text}") {
        tracing::debug!(%error, "standard error is closed");
    }
}

impl PromptShowArgs {
    fn is_known(&self, state: &State) -> bool {
        TaskName::parse(&self.task).is_ok_and(|name| state.tasks.keys().any(|key| name.means(key)))
    }
}

/// A task that a sprint knows: its job is the one that it has, or that it would get now.
fn of_sprint(
    args: &PromptShowArgs,
    context: &Context,
    env: &Environment,
    state: &State,
    client: &Client,
) -> Result<Subject, CliError> {
    let task = find_task(state, &args.task)?;
    let feature = state.features.get(&task.key.feature).ok_or_else(super::context::no_sprint)?;
    let frozen = client.config(&feature.frozen.policy.config).map_err(store_error)?;
    let config: Config = match frozen {
        Some(text) => serde_json::from_str(&text)
            .map_err(|error| CliError::internal(format!("the frozen configuration: {error}")))?,
        // Of what is over the rules are not read: those of now are the nearest.
        None => current_config(context, env)?,
    };
    let name = chosen(args, &config, task.stage.as_ref())?.name.clone();
    // Of what is over the pipeline is not read either.
    let rules = freeze::policy(&config).pipeline;
    let job = rules.stage(&name).and_then(|at| preview(feature, task, at, &config.fingerprint()));
    let job = job.ok_or_else(|| CliError::internal("a stage of the configuration is not in the pipeline"))?;
    let in_flight = state.tasks_of(&task.key.feature).filter(|task| task.in_flight()).cloned().collect();
    let run = match &task.status {
        Status::Running { run } if task.stage.as_ref() == Some(&name) => Some(run.clone()),
        _ => None,
    };
    Ok(Subject { config, job, in_flight, run })
}

/// A task of a feature that no sprint has begun: as it would be on the commit of now.
fn of_checkout(args: &PromptShowArgs, context: &Context, env: &Environment) -> Result<Subject, CliError> {
    let config = current_config(context, env)?;
    let failed = |error| git_error("the repository cannot be read", error);
    let head = context.repo.head().map_err(failed)?;
    let wanted = TaskName::parse(&args.task)
        .map_err(|_| CliError::usage(format!("`{}` is no task's id", plain(&args.task, 80))))?;
    let files = contents::files(&context.repo, &head).map_err(failed)?;
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.starts_with("specs/") && file.ends_with("/tasks.md")) {
        let bytes = contents::blob(&context.repo, &head, file).map_err(failed)?.unwrap_or_default();
        let dir = file.trim_end_matches("/tasks.md").to_owned();
        let name = dir.rsplit('/').next().and_then(|name| FeatureId::parse(name).ok());
        let line = TaskFile::read(&bytes).task(&wanted.id).cloned();
        let name = name.filter(|name| wanted.feature.as_ref().is_none_or(|feature| feature == name));
        found.extend(name.zip(line).map(|(name, line)| (dir, name, line)));
    }
    let (dir, feature, line) = only(args, found)?;
    let stage = chosen(args, &config, None)?;
    let job = Job {
        task: Some(wanted.id),
        title: line.title,
        labels: line.labels,
        stage: Some(stage.name.clone()),
        kind: stage.kind,
        attempt: 1,
        ..Job::check(feature, dir, head, config.fingerprint())
    };
    Ok(Subject { config, job, in_flight: Vec::new(), run: None })
}

type Found = (String, FeatureId, crate::feature::TaskLine);

fn only(args: &PromptShowArgs, mut found: Vec<Found>) -> Result<Found, CliError> {
    let shown = plain(&args.task, 80);
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(CliError::refused(format!("there is no task `{shown}`"))
            .hint("tasks are known once their feature is committed below `specs/`")),
        _ => {
            let names: Vec<&str> = found.iter().map(|(_, feature, _)| feature.as_str()).collect();
            Err(CliError::refused(format!("several features have a task `{shown}`: {}", names.join(", ")))
                .hint(format!("name one: sprint prompt show {}/{shown}", names[0])))
        }
    }
}

/// As `sprint start` would freeze it.
fn current_config(context: &Context, env: &Environment) -> Result<Config, CliError> {
    let mut config = context.config(env)?;
    let head = context.repo.head().map_err(|error| git_error("the repository cannot be read", error))?;
    prompts::freeze(&mut config, &context.repo, &head)?;
    Ok(config)
}

/// The stage that is asked for, or the one that the task is in, or the first in which anybody is told
/// anything.
fn chosen<'c>(
    args: &PromptShowArgs,
    config: &'c Config,
    current: Option<&StageName>,
) -> Result<&'c StageConfig, CliError> {
    let told = || config.pipeline.iter().filter(|stage| stage.built_in_prompt().is_some());
    let find = |name: &str| told().find(|stage| stage.name.as_str() == name);
    let stage = match &args.stage {
        Some(name) => find(name),
        None => current.and_then(|name| find(name.as_str())).or_else(|| told().next()),
    };
    stage.ok_or_else(|| {
        let asked = plain(args.stage.as_deref().unwrap_or_default(), 80);
        let names: Vec<&str> = told().map(|stage| stage.name.as_str()).collect();
        CliError::refused(format!("no agent is told anything in the stage `{asked}`"))
            .hint(format!("name another one: --stage {}", names.join(", --stage ")))
    })
}

fn shown(context: &Context, subject: &Subject) -> Result<PromptJson, CliError> {
    let Subject { config, job, in_flight, run } = subject;
    let stage = job.stage.as_ref().and_then(|name| config.stage(name.as_str()));
    let stage = stage.ok_or_else(|| CliError::internal("a job has no stage"))?;
    let adapter = agent(config, stage, &job.labels)?;
    let candidate = job.candidate.as_ref().filter(|_| stage.kind == StageKind::Check);
    let scene = Scene { repo: &context.repo, config, job, candidate, in_flight };
    let prompt = scene.prompt(adapter.commit).map_err(|error| {
        CliError::environment(format!("the prompt cannot be written: {}", plain(&error, 1_000)))
    })?;
    Ok(PromptJson {
        task: job.task.as_ref().map(ToString::to_string).unwrap_or_default(),
        feature: job.feature.to_string(),
        stage: stage.name.to_string(),
        role: stage.role.to_string(),
        attempt: job.attempt,
        text: run
            .as_ref()
            .and_then(|run| sent(context, run))
            .unwrap_or_else(|| as_text(&adapter, &prompt.text).into_owned()),
        agent: adapter.name,
        model: adapter.model,
        effort: adapter.effort,
        template: prompt.template,
    })
}

/// What a run was told. It may know what only its worker knows: a check stage's candidate, before
/// the stage is over.
fn sent(context: &Context, run: &RunId) -> Option<String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(context.layout()?.run(run).join("prompt.md")).ok()?;
    file.take(PROMPT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

fn agent(config: &Config, stage: &StageConfig, labels: &[String]) -> Result<Adapter, CliError> {
    let adapter = config.agent_for(stage.role, labels).map_err(|error| {
        let hint = error.hint();
        CliError::environment(error.to_string()).hint(hint)
    })?;
    adapter.ok_or_else(|| {
        let role = stage.role;
        CliError::refused(format!(
            "the {role} has no agent, so that nobody is told anything in `{}`",
            stage.name
        ))
        .hint(format!("give it one: [roles.{role}] agent = \"…\", or look at another stage with --stage"))
    })
}
