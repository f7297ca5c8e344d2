//! What only a person asks for. A run's own program may look at everything, and talks back through
//! `sprint agent` and `sprint mcp`; it does not answer, approve or stop in a person's name.

use super::args::{Command, TaskCommand};
use super::context::Context;
use super::environment::Environment;
use crate::domain::ids::RunId;
use crate::error::CliError;
use crate::process::tree::RUN_MARK;

/// Refuses a person's command inside a run of this repository's sprint. A run of another one (sprint
/// is being built with sprint) is nothing to this one.
///
/// # Errors
/// It is one (exit 4).
pub(super) fn check(command: &Command, env: &Environment) -> Result<(), CliError> {
    let Some(name) = name(command) else { return Ok(()) };
    let run = env.get(RUN_MARK).and_then(|run| RunId::parse(run.to_str()?).ok());
    let Some(run) = run else { return Ok(()) };
    let context = Context::find(env)?;
    if !context.layout().is_some_and(|layout| layout.run(&run).exists()) {
        return Ok(());
    }
    Err(CliError::refused(format!("`sprint {name}` is a person's to say, and this is inside a run"))
        .hint("what a run has to say goes through `sprint agent done | fail | blocked | comment`"))
}

fn name(command: &Command) -> Option<&'static str> {
    Some(match command {
        Command::Answer(args) if args.task.is_some() => "answer",
        Command::Approve(_) => "approve",
        Command::Reject(_) => "reject",
        Command::Pause => "pause",
        Command::Resume(_) => "resume",
        Command::Reload => "reload",
        Command::Stop(_) => "stop",
        Command::Backup(_) => "backup",
        Command::Restore(_) => "restore",
        Command::Task(TaskCommand::Stop(_)) => "task stop",
        Command::Task(TaskCommand::Retry(_)) => "task retry",
        Command::Task(TaskCommand::Skip(_)) => "task skip",
        _ => return None,
    })
}
