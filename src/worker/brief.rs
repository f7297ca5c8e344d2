//! What an agent's program is given: its environment, its prompt, its command line.

use std::time::Duration;

use camino::Utf8PathBuf;

use super::check::gates_for;
use super::conversation::Talk;
use super::life::Desk;
use crate::agents::environment::RunContext;
use crate::agents::feedback::Feedback;
use crate::agents::program::Way;
use crate::agents::prompt::{Document, FeatureText, GateCommand, PromptInput, StoryText, TaskText, Template};
use crate::agents::{environment, hooks, program, prompt};
use crate::config::{Adapter, GateConfig, StageConfig};
use crate::domain::ids::TaskId;
use crate::domain::pipeline::StageKind;
use crate::error::chain;
use crate::feature::{Companion, Feature};
use crate::git::worktree::Worktree;
use crate::git::{branch, contents};
use crate::process::child::{Session, Spec, Stdin};

/// Output of the program that is kept in memory: none, it goes to the pane and the transcript.
const OUTPUT_KEPT: usize = 0;
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// Ports of a worktree: a block each, from here.
const PORTS_FROM: u32 = 20_000;
const PORTS_EACH: u32 = 20;

/// The three documents of every feature, and what they are about.
const OWN_DOCUMENTS: [(&str, &str); 3] =
    [("spec.md", "what is wanted"), ("plan.md", "how it is to be built"), ("tasks.md", "all tasks")];

/// The stage of this run, as frozen.
pub(super) fn stage<'a>(desk: &Desk<'a>) -> Result<&'a StageConfig, String> {
    let name = desk.run.job.stage.as_ref();
    let stage = name.and_then(|name| desk.config.stage(name.as_str()));
    stage.ok_or_else(|| "the stage is not in the frozen configuration".to_owned())
}

/// The agent of this stage's role; `None`: gates only.
pub(super) fn adapter(desk: &Desk<'_>) -> Result<Option<Adapter>, String> {
    desk.config.agent(stage(desk)?.role).map_err(|error| format!("{error}; {}", error.hint()))
}

/// What a run's program is started with.
pub(super) struct Order {
    /// The command, ready to be started in the worktree.
    pub(super) spec: Spec,
    /// The prompt, where the program gets it at its own screen.
    pub(super) typed: Option<String>,
}

/// The command of a run, and what goes with it.
pub(super) fn order(
    desk: &Desk<'_>,
    task: &TaskId,
    worktree: &Worktree,
    adapter: &Adapter,
    chat: &Talk,
) -> Result<Order, String> {
    let mut context = context(desk, task, worktree, adapter)?;
    context.session.clone_from(&chat.session);
    context.resumes = chat.resumes();
    let text = prompt_text(desk, adapter, &context)?;
    std::fs::write(&context.prompt_file, &text)
        .map_err(|error| format!("`{}`: {error}", context.prompt_file))?;
    let env = environment::environment(&desk.session.environment(), adapter, &context);
    let path =
        env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone()).unwrap_or_default();
    let checkout = utf8(&desk.session.checkout)?;
    write_hooks(adapter, &context)?;
    let way = program::way(adapter, &context, &text);
    let line = program::command_line(adapter, &context, way.argument(&text, &context), &checkout, &path)
        .map_err(|error| chain(&error))?;
    let (program, args) = line.split_first().ok_or("the agent has no command")?;
    let spec = Spec {
        program: program.clone(),
        args: args.to_vec(),
        cwd: worktree.path.clone(),
        env,
        stdin: stdin(way, &context),
        timeout: Duration::from_millis(desk.run.job.timeout_ms),
        output_max: OUTPUT_KEPT,
        grace: GRACE,
        session: Session::NewSession,
    };
    Ok(Order { spec, typed: (way == Way::Typed).then_some(text) })
}

fn stdin(way: Way, context: &RunContext) -> Stdin {
    match way {
        Way::Stdin => Stdin::File(context.prompt_file.clone().into()),
        Way::Argument | Way::File | Way::Typed => Stdin::Null,
    }
}

/// The file by which a program knows to call `sprint hook`: in the run's directory, never in the
/// person's own configuration.
fn write_hooks(adapter: &Adapter, context: &RunContext) -> Result<(), String> {
    let Some(keys) = adapter.cli.as_ref().map(|cli| &cli.hooks).filter(|keys| !keys.file.is_empty()) else {
        return Ok(());
    };
    let path = context.run_dir.join(&keys.file);
    std::fs::write(&path, hooks::content(keys, &context.sprint)).map_err(|error| format!("`{path}`: {error}"))
}

/// Whether this run goes on where the same attempt asked.
pub(super) fn continues(desk: &Desk<'_>) -> bool {
    let job = &desk.run.job;
    job.answer.as_ref().is_some_and(|answered| answered.attempt == job.attempt)
}

/// Paths are given to programs as text.
pub(super) fn utf8(path: &std::path::Path) -> Result<Utf8PathBuf, String> {
    Utf8PathBuf::from_path_buf(path.to_owned()).map_err(|path| {
        format!("the path `{}` is not UTF-8; set general.state_dir to one that is", path.display())
    })
}

fn context(
    desk: &Desk<'_>,
    task: &TaskId,
    worktree: &Worktree,
    adapter: &Adapter,
) -> Result<RunContext, String> {
    let (job, place) = (&desk.run.job, desk.place);
    let run_dir = utf8(&place.layout.run(&desk.run.id))?;
    let block = PORTS_FROM + worktree.number * PORTS_EACH;
    let sprint = std::env::current_exe().map_err(|error| format!("sprint's own program: {error}"))?;
    Ok(RunContext {
        run: desk.run.id.clone(),
        token: desk.run.token.clone(),
        task: task.clone(),
        title: job.title.clone(),
        feature: job.feature.clone(),
        feature_dir: job.dir.clone().into(),
        stage: job.stage.clone().ok_or("a work stage has a name")?,
        attempt: job.attempt,
        worktree: utf8(&worktree.path)?,
        prompt_file: run_dir.join("prompt.md"),
        run_dir,
        feedback: feedback(desk).map(|feedback| feedback.to_json()),
        answer: job.answer.as_ref().map(|answered| answered.answer.clone()),
        base: job.base.clone(),
        previous: previous(desk, task),
        slot: place.slot,
        port: u16::try_from(block).unwrap_or(u16::MAX - 20),
        model: adapter.model.clone(),
        budget: job.budget.money().map(dollars).unwrap_or_default(),
        sprint: utf8(&sprint)?,
        session: None,
        resumes: false,
        bell: utf8(&place.layout.worker_bell(&place.worker))?,
        own_home: utf8(&place.layout.state.join("home").join(&adapter.name))?,
    })
}

/// As a program takes an amount of money: `4.5`.
fn dollars(micro: u64) -> String {
    let text = format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The branch of the attempt before, if it is there.
fn previous(desk: &Desk<'_>, task: &TaskId) -> Option<String> {
    let job = &desk.run.job;
    let name = branch::task(&job.feature, task, job.attempt.checked_sub(1).filter(|attempt| *attempt > 0)?);
    desk.place.repo.reference(&branch::head_ref(&name)).ok().flatten().map(|_| name)
}

/// What the attempt before was told is wrong, or the answer to its question.
fn feedback(desk: &Desk<'_>) -> Option<Feedback> {
    let job = &desk.run.job;
    if let Some(answered) = job.answer.as_ref().filter(|_| continues(desk)) {
        let stage = job.stage.as_ref().map_or("", |stage| stage.as_str());
        return Some(Feedback::answer(stage, &answered.question, &answered.answer));
    }
    let told = job.feedback.as_ref()?;
    let findings = told.findings.iter().filter_map(|value| serde_json::from_value(value.clone()).ok());
    Some(Feedback {
        stage: told.stage.clone(),
        reason: told.reason.clone(),
        findings: findings.collect(),
        ..Feedback::default()
    })
}

fn prompt_text(desk: &Desk<'_>, adapter: &Adapter, context: &RunContext) -> Result<String, String> {
    let stage = stage(desk)?;
    let gates = gates_for(desk, &desk.run.job.base, None, |_| true)?;
    let input = prompt_input(desk, adapter, context, stage, &gates);
    let own = own_template(desk, stage)?;
    let template = match (&own, stage.kind) {
        (Some(text), _) => Template::Own { name: &stage.prompt, text },
        (None, StageKind::Work) => Template::Work,
        (None, StageKind::Check | StageKind::Land | StageKind::Wait) => Template::Check,
    };
    prompt::render(template, &input).map_err(|error| chain(&error))
}

/// The stage's own template, as the base has it: a task does not write the next one's prompt.
fn own_template(desk: &Desk<'_>, stage: &StageConfig) -> Result<Option<String>, String> {
    if stage.prompt.is_empty() {
        return Ok(None);
    }
    let found =
        contents::blob(&desk.place.repo, &desk.run.job.base, &stage.prompt).map_err(|error| chain(&error))?;
    let bytes = found
        .ok_or_else(|| format!("the prompt `{}` of stage {} is not in the base", stage.prompt, stage.name))?;
    String::from_utf8(bytes).map(Some).map_err(|_| format!("the prompt `{}` is not UTF-8", stage.prompt))
}

fn prompt_input(
    desk: &Desk<'_>,
    adapter: &Adapter,
    context: &RunContext,
    stage: &StageConfig,
    gates: &[GateConfig],
) -> PromptInput {
    let job = &desk.run.job;
    let directory = context.feature_dir_in_worktree();
    let read = |name: &str| std::fs::read(directory.join(name)).unwrap_or_default();
    let feature = Feature::read(&read("spec.md"), &read("plan.md"), &read("tasks.md"));
    let line = feature.tasks.task(&context.task);
    PromptInput {
        task: TaskText {
            id: context.task.to_string(),
            text: line.map_or_else(|| job.title.clone(), |line| format!("{}\n{}", line.title, line.details)),
            paths: line.map(|line| line.paths.clone()).unwrap_or_default(),
        },
        feature: FeatureText {
            name: job.feature.to_string(),
            title: feature.spec.title.clone(),
            dir: job.dir.clone(),
        },
        story: line.and_then(|line| story(&feature, &line.stories)),
        documents: documents(&job.dir, &context.worktree),
        gates: gates
            .iter()
            .map(|gate| GateCommand { name: gate.name.to_string(), command: gate.command.join(" ") })
            .collect(),
        attempt: job.attempt,
        attempts: stage.attempts,
        feedback: feedback(desk),
        previous: context.previous.clone(),
        commit: adapter.commit,
        base: job.base.to_string(),
        // An agent of a check stage changes nothing yet.
        writes: if stage.kind == StageKind::Work { stage.writes.clone() } else { Vec::new() },
        port: context.port,
    }
}

fn story(feature: &Feature, names: &[String]) -> Option<StoryText> {
    let story = names.iter().find_map(|name| feature.spec.stories.iter().find(|story| story.id == *name))?;
    let scenarios: Vec<String> =
        story.scenarios.iter().map(|scenario| format!("- {}", scenario.text)).collect();
    Some(StoryText {
        id: story.id.clone(),
        priority: story.priority.clone().unwrap_or_default(),
        text: format!("{}\n{}", story.title, scenarios.join("\n")),
    })
}

/// What there is to read beside the task, by path.
fn documents(dir: &str, worktree: &Utf8PathBuf) -> Vec<Document> {
    let own = OWN_DOCUMENTS.iter().map(|(name, what)| (format!("{dir}/{name}"), *what));
    let beside = crate::feature::COMPANIONS.iter().map(|companion| match companion {
        Companion::FeatureFile(name) | Companion::FeatureDirectory(name) => {
            (format!("{dir}/{name}"), "background")
        }
        Companion::RepositoryFile(name) => ((*name).to_owned(), "the rules of this repository"),
    });
    let there = own.chain(beside).filter(|(path, _)| worktree.join(path).exists());
    there.map(|(path, what)| Document { path, what: what.to_owned() }).collect()
}
