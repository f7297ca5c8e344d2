//! `sprint attach`: the person's terminal goes to a worker's session.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use serde::Serialize;

use super::args::AttachArgs;
use super::context::{Context, store_error};
use super::environment::Environment;
use super::out::Out;
use super::picture::proc_id;
use super::request::find_task;
use super::text::{Cell, Table, Tone, plain};
use crate::domain::ids::WorkerName;
use crate::domain::pipeline::Role;
use crate::domain::state::State;
use crate::domain::worker::{Life, Worker};
use crate::error::{CliError, exit};
use crate::tmux::attach::attach_argv;

/// A session in `attach --json`.
#[derive(Debug, Serialize)]
struct Session<'a> {
    name: &'a str,
    role: Role,
    state: &'a str,
    task: Option<&'a str>,
}

/// Runs it; with a name it only returns if it cannot be done.
///
/// # Errors
/// Nobody of that name, not running (exit 4), no tmux (exit 3).
pub fn run(args: &AttachArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let state = match context.reader()? {
        Some(client) => client.overview().map_err(store_error)?.state,
        None => State::default(),
    };
    let Some(who) = &args.who else { return Ok(list(&state, args.json, out)) };
    let name = resolve(&state, who)?;
    let layout = context.layout().ok_or_else(super::context::no_sprint)?;
    let inside = env.get("TMUX").is_some();
    let terminal = env.stdin_is_terminal && env.stdout_is_terminal;
    if !inside && !terminal {
        return Err(CliError::usage("`sprint attach` needs a terminal")
            .hint(format!("sprint logs {name} prints what it shows")));
    }
    out.finish()?;
    let how = attach_argv(&layout.tmux_name(), &name, env.get("TMUX").and_then(|value| value.to_str()));
    let mut command = Command::new(&how.argv[0]);
    command.args(&how.argv[1..]);
    how.env_remove.iter().for_each(|variable| {
        command.env_remove(variable);
    });
    let error = command.exec();
    Err(CliError::environment("tmux cannot be run").because(error).hint("install tmux 3.2 or newer"))
}

fn lives(worker: &Worker) -> bool {
    match &worker.life {
        Life::Starting { .. } => worker.pane.is_some(),
        life => life.proc().is_some_and(|proc| proc_id(proc).alive()),
    }
}

fn list(state: &State, json: bool, out: &mut Out<'_>) -> u8 {
    let mut living: Vec<&Worker> = state.workers.values().filter(|worker| lives(worker)).collect();
    living.sort_by_key(|worker| (worker.role, worker.slot));
    let task = |worker: &Worker| {
        let run = worker.life.run().and_then(|run| state.runs.get(run));
        run.and_then(|run| run.job.task.as_ref()).map(|task| task.as_str().to_owned())
    };
    if json {
        let tasks: Vec<Option<String>> = living.iter().map(|worker| task(worker)).collect();
        let sessions: Vec<Session<'_>> = living
            .iter()
            .zip(&tasks)
            .map(|(worker, task)| Session {
                name: worker.name.as_str(),
                role: worker.role,
                state: worker.life.word(),
                task: task.as_deref(),
            })
            .collect();
        out.json(&sessions);
        return exit::DONE;
    }
    if living.is_empty() {
        out.line("no session runs");
        return exit::DONE;
    }
    let mut table = Table::new(&["SESSION", "STATE", "TASK"]);
    for worker in living {
        table.row(vec![
            Cell::new(worker.name.as_str()).tone(Tone::Bold),
            Cell::new(worker.life.word()),
            Cell::new(&task(worker).unwrap_or_default()),
        ]);
    }
    table.lines(out.colour, None).into_iter().for_each(|line| out.line(line));
    out.line("");
    out.line("sprint attach NAME goes there; Ctrl-b d comes back");
    exit::DONE
}

/// The worker that is meant: by its name, by its role, or by the task that it has.
fn resolve(state: &State, who: &str) -> Result<WorkerName, CliError> {
    let named = state.workers.values().find(|worker| worker.name.as_str() == who);
    let of_role = Role::parse(who).map(|role| {
        let same = state.workers.values().filter(|worker| worker.role == role && lives(worker));
        // One that works is what the person wants to see.
        same.min_by_key(|worker| (worker.life.run().is_none(), worker.slot))
    });
    match (named, of_role) {
        (Some(worker), _) => running(Some(worker), who),
        (None, Some(worker)) => running(worker, who),
        (None, None) => of_task(state, who),
    }
}

fn running(worker: Option<&Worker>, who: &str) -> Result<WorkerName, CliError> {
    let worker = worker.filter(|worker| lives(worker));
    let shown = plain(who, 80);
    worker.map(|worker| worker.name.clone()).ok_or_else(|| {
        CliError::refused(format!("`{shown}` does not run"))
            .hint("sprint attach lists what runs")
            .hint(format!("sprint logs {shown} shows what it printed"))
    })
}

fn of_task(state: &State, who: &str) -> Result<WorkerName, CliError> {
    let Ok(task) = find_task(state, who) else {
        return Err(CliError::refused(format!("there is no role, worker or task `{}`", plain(who, 80)))
            .hint("sprint attach lists what runs"));
    };
    let run = state.runs.values().find(|run| {
        run.job.feature == task.key.feature
            && run.job.task.as_ref() == Some(&task.key.id)
            && lives_in(state, &run.worker)
    });
    let name = state.name_of(&task.key);
    run.map(|run| run.worker.clone()).ok_or_else(|| {
        CliError::refused(format!("nobody works on {name} now"))
            .hint(format!("sprint task show {name} says where it is"))
    })
}

fn lives_in(state: &State, name: &WorkerName) -> bool {
    state.workers.get(name).is_some_and(lives)
}
