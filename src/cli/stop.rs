//! `sprint stop`: asks the supervisor to end, waits until it is gone, says what is kept.

use std::time::{Duration, Instant};

use super::args::StopArgs;
use super::context::{Context, died_supervisor, store_error};
use super::environment::Environment;
use super::out::{Out, reader_is_gone};
use super::picture::proc_id;
use super::request::{Outcome, answered, deliver};
use super::start::hand_over::ensure_supervisor;
use super::text::{count, plain, span};
use crate::domain::event::Request;
use crate::domain::state::{Feature, State};
use crate::domain::task::Status;
use crate::error::{CliError, exit};
use crate::git::Repo;
use crate::process::clock;
use crate::process::identity::PidFd;
use crate::process::supervisor_file::SupervisorFile;
use crate::store::InboxBody;

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
    let limit = if args.now { Duration::ZERO } else { args.limit };
    let request =
        Request::Stop { now: args.now, limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) };
    let asked = match context.supervisor() {
        Some(supervisor) => ask(&context, supervisor, request, out)?,
        None if outlives_its_supervisor(&context)? => {
            let asked = InboxBody::Request(request);
            context.required()?.0.append(&asked, clock::wall_ms()).map_err(store_error)?;
            None
        }
        None => {
            out.line("nothing runs");
            return Ok(exit::DONE);
        }
    };
    let (supervisor, handle) = match asked {
        Some(both) => both,
        None => watched(revive(&context, env, out)?)?,
    };
    let client = context.required()?.0;
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

/// Whether workers go on though their supervisor is gone: it was killed, or its disk was full.
fn outlives_its_supervisor(context: &Context) -> Result<bool, CliError> {
    let (Some(client), Some(layout)) = (context.reader()?, context.layout()) else { return Ok(false) };
    if !died_supervisor(&context.repo, layout) {
        return Ok(false);
    }
    let state = client.overview().map_err(store_error)?.state;
    Ok(state.workers.values().filter_map(|worker| worker.life.proc()).any(|proc| proc_id(proc).alive()))
}

/// The supervisor that ends now, watched; `None` if it has died meanwhile and left the request to the next one.
fn ask(
    context: &Context,
    supervisor: SupervisorFile,
    request: Request,
    out: &mut Out<'_>,
) -> Result<Option<Watched>, CliError> {
    let (client, layout) = context.required()?;
    // Opened before it is asked, so that it is this very process that is waited for.
    let (supervisor, handle) = watched(supervisor)?;
    match deliver(&client, layout, Some(&supervisor), request)? {
        Outcome::Answered(reply) => {
            answered(&reply, out)?;
            Ok(Some((supervisor, handle)))
        }
        Outcome::Later => {
            supervisor.wait_gone(END_WAIT);
            Ok(None)
        }
    }
}

/// A supervisor, and its process while that runs.
type Watched = (SupervisorFile, Option<PidFd>);

fn watched(supervisor: SupervisorFile) -> Result<Watched, CliError> {
    let handle = supervisor
        .process
        .open()
        .map_err(|error| CliError::environment("the supervisor cannot be watched").because(error))?;
    Ok((supervisor, handle))
}

/// A supervisor that finds the request to stop at its boot: it alone knows how to end what is left,
/// and to save its work.
fn revive(context: &Context, env: &Environment, out: &mut Out<'_>) -> Result<SupervisorFile, CliError> {
    let layout = context.required()?.1;
    out.line(if outlives_its_supervisor(context)? {
        "the supervisor is gone and its workers are not; another one ends them"
    } else {
        "the supervisor was gone before it read this; another one does"
    });
    out.flush();
    ensure_supervisor(layout, &context.repo, env)?;
    SupervisorFile::read(&layout.supervisor_file())
        .ok()
        .flatten()
        .ok_or_else(|| CliError::environment("the supervisor that is to end them cannot be found"))
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
