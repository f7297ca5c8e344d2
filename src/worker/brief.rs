//! What an agent's program is given: its environment, its prompt, its command line.

use std::path::PathBuf;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::conversation::Talk;
use super::life::Desk;
use super::offer;
use super::prompt::{self, Scene, feedback, previous};
use crate::agents::environment::RunContext;
use crate::agents::program::{CommandLineError, ProgramError, Way};
use crate::agents::prompt as agents_prompt;
use crate::agents::{environment, hooks, program, sent};
use crate::config::{Adapter, Home, StageConfig};
use crate::domain::budget::Used;
use crate::domain::ids::{StageName, TaskId};
use crate::domain::report::Candidate;
use crate::domain::state::Job;
use crate::error::chain;
use crate::git::worktree::Worktree;
use crate::process::child::{Session, Spec, Stdin};
use crate::process::limits::Bounds;
use crate::process::private::make_private;
use crate::process::scratch;
use crate::redact;

/// Output of the program that is kept in memory: none, it goes to the pane and the transcript.
const OUTPUT_KEPT: usize = 0;
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// Ports of a worktree: a block each, from here.
const PORTS_FROM: u32 = 20_000;
const PORTS_EACH: u32 = 20;

/// The stage of this run, as frozen.
pub(super) fn stage<'a>(desk: &Desk<'a>) -> Result<&'a StageConfig, String> {
    let name = desk.run.job.stage.as_ref();
    let stage = name.and_then(|name| desk.config.stage(name.as_str()));
    stage.ok_or_else(|| "the stage is not in the frozen configuration".to_owned())
}

/// The agent of this stage's role; `None`: gates only.
pub(super) fn adapter(desk: &Desk<'_>) -> Result<Option<Adapter>, String> {
    desk.config
        .agent_for(stage(desk)?.role, &desk.run.job.labels)
        .map_err(|error| format!("{error}; {}", error.hint()))
}

/// What a run's prompt is about, beside the task.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Subject<'a> {
    /// What a check stage judges.
    pub(super) candidate: Option<&'a Candidate>,
    /// Why the agent's answer of a moment ago does not count.
    pub(super) again: Option<&'a str>,
}

/// What a run's program is started with.
pub(super) struct Order {
    /// The command, ready to be started in the worktree.
    pub(super) spec: Spec,
    /// The prompt, where the program gets it at its own screen.
    pub(super) typed: Option<String>,
}

/// Why a run has no command.
pub(super) enum NoOrder {
    /// Its agent's program cannot be started: nobody who works with it can go on.
    Program(ProgramError),
    /// Anything else, in words.
    Other(String),
}

impl From<String> for NoOrder {
    fn from(reason: String) -> Self {
        Self::Other(reason)
    }
}

impl From<CommandLineError> for NoOrder {
    fn from(error: CommandLineError) -> Self {
        match error {
            CommandLineError::Program(error) => Self::Program(error),
            CommandLineError::Command(error) => Self::Other(chain(&error)),
        }
    }
}

/// The command of a run, and what goes with it.
pub(super) fn order(
    desk: &Desk<'_>,
    task: &TaskId,
    worktree: &Worktree,
    adapter: &Adapter,
    chat: &Talk,
    subject: &Subject<'_>,
) -> Result<Order, NoOrder> {
    order_with(
        desk,
        task,
        worktree,
        adapter,
        chat,
        (subject.candidate, &|_| match subject.again {
            // It has heard the rest.
            Some(reason) if chat.resumes() => Ok(agents_prompt::again(reason)),
            Some(reason) => {
                let whole = prompt_text(desk, adapter, subject.candidate)?;
                Ok(format!("{whole}\n{}", agents_prompt::again(reason)))
            }
            None => prompt_text(desk, adapter, subject.candidate),
        }),
    )
}

/// What makes a prompt of what a run is told.
type Words<'a> = &'a dyn Fn(&RunContext) -> Result<String, String>;

/// As [`order`], with a prompt of its own. `candidate`: what a check stage judges.
pub(super) fn order_with(
    desk: &Desk<'_>,
    task: &TaskId,
    worktree: &Worktree,
    adapter: &Adapter,
    chat: &Talk,
    (candidate, prompt): (Option<&Candidate>, Words<'_>),
) -> Result<Order, NoOrder> {
    let mut context = context(desk, task, worktree, adapter)?;
    if let Some(candidate) = candidate {
        context.base = candidate.base.clone();
    }
    context.session.clone_from(&chat.session);
    context.resumes = chat.resumes();
    let text = sent::as_text(adapter, &redact::text(&prompt(&context)?)).into_owned();
    std::fs::write(&context.prompt_file, &text)
        .map_err(|error| format!("`{}`: {error}", context.prompt_file))?;
    make_private(context.tmp.as_std_path()).map_err(|error| chain(&error))?;
    if adapter.home == Home::Own {
        make_private(context.own_home.as_std_path()).map_err(|error| chain(&error))?;
    }
    let mut env = environment::environment(&desk.session.environment(), adapter, &context);
    offer::tools(adapter, &context, &mut env)?;
    let path =
        env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone()).unwrap_or_default();
    let checkout = utf8(&desk.session.checkout)?;
    write_hooks(adapter, &context)?;
    let way = program::way(adapter, &context, &text);
    let line = program::command_line(adapter, &context, way.argument(&text, &context), &checkout, &path)?;
    let (program, args) = line.split_first().ok_or_else(|| "the agent has no command".to_owned())?;
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
        bounds: Some(Bounds::of(&desk.config.limits)),
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
    let Some(keys) = adapter.cli.as_ref().map(|cli| &cli.hooks) else { return Ok(()) };
    if !keys.stream.is_empty() {
        // What an earlier start of the program has written there was read.
        let path = context.run_dir.join(&keys.stream);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("`{path}`: {error}"));
            }
            Ok(()) | Err(_) => {}
        }
    }
    if keys.file.is_empty() {
        return Ok(());
    }
    let path = context.run_dir.join(&keys.file);
    std::fs::write(&path, hooks::content(keys, &context.sprint)).map_err(|error| format!("`{path}`: {error}"))
}

/// Whether this run goes on where the same attempt asked.
pub(super) fn continues(desk: &Desk<'_>) -> bool {
    prompt::continues(&desk.run.job)
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
    // An earlier round of the same run.
    let used = desk.spent.borrow().as_ref().map_or(0, |spent| Used::of(spent).micro_usd);
    let sprint = std::env::current_exe().map_err(|error| format!("sprint's own program: {error}"))?;
    Ok(RunContext {
        run: desk.run.id.clone(),
        token: desk.run.token.clone(),
        task: task.clone(),
        title: job.title.clone(),
        feature: job.feature.clone(),
        feature_dir: job.dir.clone().into(),
        stage: stage_name(job)?,
        attempt: job.attempt,
        worktree: utf8(&worktree.path)?,
        prompt_file: run_dir.join("prompt.md"),
        run_dir,
        feedback: feedback(job).map(|feedback| feedback.to_json()),
        answer: job.answer.as_ref().map(|answered| answered.answer.clone()),
        base: job.base.clone(),
        previous: previous(&place.repo, job, task),
        slot: place.slot,
        port: u16::try_from(block).unwrap_or(u16::MAX - 20),
        model: adapter.model.clone(),
        effort: adapter.effort.clone(),
        budget: job.budget.money().map(|left| dollars(left.saturating_sub(used))).unwrap_or_default(),
        sprint: utf8(&sprint)?,
        session: None,
        resumes: false,
        bell: utf8(&place.layout.worker_bell(&place.worker))?,
        own_home: utf8(&place.layout.state.join("home").join(&adapter.name))?,
        tmp: utf8(&scratch(desk))?,
    })
}

/// The run's temporary directory.
pub(super) fn scratch(desk: &Desk<'_>) -> PathBuf {
    let env = desk.session.environment();
    let person = env.iter().find(|(name, _)| name == "TMPDIR").map(|(_, value)| value.as_os_str());
    scratch::of_run(person, desk.run.id.as_str())
}

/// The manager's runs are of no stage.
fn stage_name(job: &Job) -> Result<StageName, String> {
    let named = job.stage.clone().map_or_else(|| StageName::parse(environment::TRIAGE), Ok);
    named.map_err(|error| error.to_string())
}

/// As a program takes an amount of money: `4.5`.
fn dollars(micro: u64) -> String {
    let text = format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// As `sprint prompt show` prints it. `candidate`: what a check stage judges.
fn prompt_text(desk: &Desk<'_>, adapter: &Adapter, candidate: Option<&Candidate>) -> Result<String, String> {
    let job = &desk.run.job;
    let in_flight = desk.interrupts.client().in_flight(&job.feature).map_err(|error| chain(&error))?;
    let scene = Scene { repo: &desk.place.repo, config: desk.config, job, candidate, in_flight: &in_flight };
    scene.prompt(adapter.commit).map(|prompt| prompt.text)
}
