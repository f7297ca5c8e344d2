//! `sprint agent work`: the first process of a pane. The supervisor begins it.

use std::path::PathBuf;

use super::args::WorkArgs;
use super::environment::Environment;
use crate::config::layout::{
    HASH_VARIABLE, Layout, REPO_VARIABLE, RUNTIME_VARIABLE, STATE_VARIABLE, WORKER_VARIABLE,
};
use crate::domain::ids::WorkerName;
use crate::domain::pipeline::Role;
use crate::domain::worker::Worker;
use crate::error::{CliError, chain, exit};
use crate::worker::{Place, WorkerError, work};

/// Runs a worker until it is told to end.
///
/// # Errors
/// It was not begun by a supervisor (exit 2), its slot is taken (exit 4), or it cannot go on.
pub fn run(args: &WorkArgs) -> Result<u8, CliError> {
    let env = Environment::of_process()?;
    let role = Role::parse(&args.role)
        .ok_or_else(|| CliError::usage(format!("there is no role `{}`", args.role)))?;
    let path = |given: &Option<PathBuf>, name: &str| given.clone().or_else(|| env.path(name));
    let missing = || {
        CliError::usage("`sprint agent work` is begun by the supervisor, in a pane of its own")
            .hint("begin a sprint: sprint start specs/001-thing")
    };
    let layout = Layout {
        state: path(&args.state, STATE_VARIABLE).ok_or_else(missing)?,
        runtime: path(&args.runtime, RUNTIME_VARIABLE).ok_or_else(missing)?,
        hash: env.get(HASH_VARIABLE).and_then(|hash| hash.to_str()).ok_or_else(missing)?.to_owned(),
    };
    let name = env.get(WORKER_VARIABLE).and_then(|name| name.to_str());
    let worker = name
        .and_then(|name| WorkerName::parse(name).ok())
        .unwrap_or_else(|| Worker::name_of(role, args.slot, 1));
    let repository = env.path(REPO_VARIABLE).ok_or_else(missing)?;
    crate::telemetry::log_to(&layout.logs(), worker.as_str(), "info");
    let repo = super::context::discover(&repository)?;
    let place = Place { layout, repo, worker, slot: args.slot };
    work(&place, role).map(|()| exit::DONE).map_err(|error| {
        tracing::error!(error = chain(&error), "the worker ends");
        match error {
            WorkerError::Taken(_) => CliError::refused(error.to_string()),
            other => CliError::environment(chain(&other)),
        }
    })
}
