//! `sprint stop`: asks the supervisor to end, waits until it is gone, says what is kept.

use std::time::{Duration, Instant};

use super::args::StopArgs;
use super::context::{Context, store_error};
use super::environment::Environment;
use super::out::{Out, reader_is_gone};
use super::request::{Outcome, answered, deliver};
use super::text::{count, plain, span};
use crate::domain::event::Request;
use crate::domain::state::{Feature, State};
use crate::domain::task::Status;
use crate::error::{CliError, exit};
use crate::git::Repo;
use crate::process::identity::PidFd;

/// Beyond the runs' own limit: saving, ending trees, closing the store.
const END_WAIT: Duration = Duration::from_mins(1);
/// One look at the process.
const LOOK: Duration = Duration::from_secs(1);

/// Runs it.
///
/// # Errors
/// The supervisor does not answer, or does not end in time.
pub fn run(args: StopArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let Some(supervisor) = context.supervisor() else {
        out.line("nothing runs");
        return Ok(exit::DONE);
    };
    let (client, layout) = context.required()?;
    let limit = if args.now { Duration::ZERO } else { args.limit };
    // Opened before it is asked, so that it is this very process that is waited for.
    let handle = supervisor
        .process
        .open()
        .map_err(|error| CliError::environment("the supervisor cannot be watched").because(error))?;
    let request =
        Request::Stop { now: args.now, limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) };
    if let Outcome::Answered(reply) = deliver(&client, layout, Some(&supervisor), request)? {
        answered(&reply, out)?;
    }
    out.flush();
    if let Some(handle) = handle
        && !wait(&handle, limit + END_WAIT)
    {
        let waited = span(u64::try_from((limit + END_WAIT).as_millis()).unwrap_or(u64::MAX));
        return Err(CliError::environment(format!(
            "supervisor {} still runs after {waited}",
            supervisor.process.pid
        ))
        .hint("sprint stop --now ends everything at once")
        .hint("sprint logs says what it waits for"));
    }
    let overview = client.overview().map_err(store_error)?;
    kept(&context.repo, &overview.state, out);
    Ok(exit::DONE)
}

fn wait(handle: &PidFd, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end && !reader_is_gone() {
        if handle.wait(LOOK) {
            return true;
        }
    }
    handle.has_exited()
}

/// What there is to go on with.
fn kept(repo: &Repo, state: &State, out: &mut Out<'_>) {
    let is = |wanted: fn(&Status) -> bool| state.tasks.values().filter(|task| wanted(&task.status)).count();
    let done = is(|status| matches!(status, Status::Done { .. }));
    let open = state.tasks.values().filter(|task| !task.closed()).count();
    out.line(format!("stopped: {} landed, {} open", count(done, "task"), open));
    let saved = saved_work(repo);
    if !saved.is_empty() {
        out.line(format!("uncommitted work of {} is kept:", count(saved.len(), "attempt")));
        for name in &saved {
            out.line(format!("  {}", plain(name, 300)));
        }
    }
    if open > 0 {
        out.line(format!("go on: sprint start {}", plain(&open_directories(state).join(" "), 400)));
    }
}

/// The directories of the features that have an open task, in the order of the features: those that
/// rest because landing is halted or somebody is waited for, too.
fn open_directories(state: &State) -> Vec<&str> {
    let is_open = |feature: &&Feature| state.tasks_of(&feature.id).any(|task| !task.closed());
    let mut open: Vec<&Feature> = state.features.values().filter(is_open).collect();
    open.sort_by_key(|feature| feature.order);
    open.into_iter().map(|feature| feature.dir.as_str()).collect()
}

/// References of work that was saved and has not landed.
fn saved_work(repo: &Repo) -> Vec<String> {
    let Ok(lib) = repo.open() else { return Vec::new() };
    let Ok(found) = lib.references_glob("refs/sprint/wip/*") else { return Vec::new() };
    found.flatten().filter_map(|reference| reference.name().ok().map(str::to_owned)).collect()
}
