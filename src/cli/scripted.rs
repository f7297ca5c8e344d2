//! `sprint agent scripted`: the embedded program that plays a script in place of a model.

use std::io::Write as _;

use super::args::ScriptedArgs;
use crate::agents::scripted::{PlayError, World, play_file};
use crate::error::{CliError, exit};

/// Runs it; the exit code is the script's.
///
/// # Errors
/// The working directory is gone.
pub fn run(args: &ScriptedArgs) -> Result<u8, CliError> {
    let worktree = std::env::current_dir()
        .map_err(|error| CliError::environment("the worktree of the script is gone").because(error))?;
    let world = World { worktree, env: std::env::vars_os().collect() };
    match play_file(&args.script, &world, &mut std::io::stdout().lock()) {
        Ok(code) => Ok(code),
        // To the worker a script is an agent: exit 1 is a failed attempt, with its words on
        // standard error.
        Err(error) => {
            say(&error);
            Ok(exit::UNFINISHED)
        }
    }
}

fn say(error: &PlayError) {
    let error = CliError::environment(error.to_string());
    if let Err(closed) = writeln!(std::io::stderr().lock(), "{error}") {
        tracing::debug!(%closed, "standard error is closed");
    }
}
