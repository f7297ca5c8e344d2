//! Makes the state, files the request, and sees that a supervisor runs.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use super::READY_WAIT;
use super::check::{Plan, Ready};
use super::summary::exit_of;
use crate::cli::context::{died_supervisor, git_error, layout_of, live_supervisor, store_error};
use crate::cli::environment::Environment;
use crate::config::layout::Layout;
use crate::domain::event::Request;
use crate::domain::ids::FeatureId;
use crate::domain::state::{FeatureStatus, Mode, State};
use crate::error::CliError;
use crate::git::{Repo, branch, diff, id};
use crate::process::detach::{Background, DetachError, spawn_detached};
use crate::process::lock::Lock;
use crate::process::private::{PrivateError, make_private};
use crate::process::{clock, doorbell};
use crate::store::ladder::{self, Mended};
use crate::store::session::Session;
use crate::store::{Client, InboxBody, StoreError};
use crate::supervisor::Place;

/// A supervisor that is killed before it is ready is started again; so often in all.
const TRIES_MAX: u32 = 3;
/// How long a supervisor that is ending may take: its workers' and its own limits.
const END_WAIT: Duration = Duration::from_secs(100);

/// How long another `sprint start` may take to bring its supervisor up.
const TURN_WAIT: Duration = Duration::from_mins(1);

/// A sprint that was handed over.
pub(super) struct Started {
    pub(super) client: Client,
    pub(super) layout: Layout,
    pub(super) features: Vec<FeatureId>,
    /// Lines of the history up to this one are older than this start.
    pub(super) since: i64,
    /// Nothing is left to do, and this is the exit code.
    pub(super) over: Option<u8>,
    /// One that goes on by another configuration than the present one.
    pub(super) frozen: Option<FeatureId>,
    /// What had to be done about the database.
    pub(super) mended: Option<Mended>,
}

/// Hands the features over to the supervisor, which is started if it does not run.
///
/// # Errors
/// The state cannot be made or used (exit 3), or nothing is left to do here (exit 4).
pub(super) fn hand_over(plan: &Plan, env: &Environment) -> Result<Started, CliError> {
    let repo = &plan.checked.repo;
    let (id, _) = id::ensure(repo)
        .map_err(|error| git_error("the repository's `sprint.id` cannot be written", error))?;
    let layout = layout_of(env, repo, &id);
    wait_for_stateless(repo, &layout)?;
    make_directories(&layout)?;
    // Two at once would make the same files, and start two supervisors.
    let _turn = Lock::exclusive_within(&layout.start_lock(), "sprint start", TURN_WAIT)
        .map_err(|error| CliError::environment("another `sprint start` is under way").because(error))?;
    // A supervisor that runs has checked and migrated the database, and holds it.
    let mended = if live_supervisor(repo, &layout).is_none() { open_store(repo, &layout)? } else { None };
    let opened = Client::open(&layout.database()).and_then(|client| client.of_repository(&layout.hash));
    let client = opened.map_err(store_error)?;
    let state = client.overview().map_err(store_error)?.state;
    let features: Vec<FeatureId> = plan.features.iter().map(|ready| ready.new.id.clone()).collect();
    let since = client.last_event().map_err(store_error)?;
    let nothing_runs = live_supervisor(repo, &layout).is_none() && !died_supervisor(repo, &layout);
    if nothing_runs && inbox_is_empty(&client)? && all_over(plan, &state)? {
        let code = exit_of(&state, &features);
        return Ok(Started { client, layout, features, since, over: Some(code), frozen: None, mended });
    }
    let identity = &plan.checked.identity;
    Session::new(&repo.top, &identity.name, &identity.email, env.variables.iter().cloned())
        .write(&layout.session())
        .map_err(store_error)?;
    client.put_config(&plan.config.fingerprint(), &plan.config.to_json()).map_err(store_error)?;
    for ready in &plan.features {
        let request = Request::Start { feature: Box::new(ready.new.clone()) };
        client.append(&InboxBody::Request(request), clock::wall_ms()).map_err(store_error)?;
    }
    let frozen = going_by_another(plan, &state);
    ensure_supervisor(&layout, repo, env)?;
    Ok(Started { client, layout, features, since, over: None, frozen, mended })
}

/// A feature that has begun and whose configuration is not what it would be now.
fn going_by_another(plan: &Plan, state: &State) -> Option<FeatureId> {
    let present = plan.config.fingerprint();
    let begun = |status: &FeatureStatus| match status {
        FeatureStatus::Beginning | FeatureStatus::Running | FeatureStatus::Resting => true,
        FeatureStatus::Queued
        | FeatureStatus::Gating
        | FeatureStatus::GateRetry { .. }
        | FeatureStatus::Finished
        | FeatureStatus::Refused { .. } => false,
    };
    let known = plan.features.iter().filter_map(|ready| state.features.get(&ready.new.id));
    let mut other = known.filter(|feature| begun(&feature.status) && feature.frozen.policy.config != present);
    other.next().map(|feature| feature.id.clone())
}

/// Makes the database if there is none, and makes it again if it is damaged. The lock is taken for the latter
/// alone: what a supervisor that died has noted in it is read later.
fn open_store(repo: &Repo, layout: &Layout) -> Result<Option<Mended>, CliError> {
    let (database, snapshots) = (layout.database(), layout.snapshots());
    if ladder::is_sound(&database, &snapshots).map_err(store_error)? {
        return Ok(None);
    }
    let _alone = Lock::try_exclusive(&Place::lock_of(repo), "sprint start").map_err(|error| {
        CliError::environment("the database is damaged, and somebody uses it").because(error)
    })?;
    let opened = ladder::open(&database, &snapshots, clock::wall_ms());
    Ok(opened.map_err(store_error)?.mended)
}

/// A supervisor whose state was removed under it ends as soon as it notices, with everything that it
/// started; a new state begins after that.
fn wait_for_stateless(repo: &Repo, layout: &Layout) -> Result<(), CliError> {
    let stateless = live_supervisor(repo, layout).filter(|_| !layout.database().exists());
    let Some(file) = stateless else { return Ok(()) };
    if let Err(error) = doorbell::ring(&layout.supervisor_bell()) {
        tracing::debug!(%error, "the supervisor could not be rung; it looks by itself");
    }
    if file.wait_gone(END_WAIT) {
        return Ok(());
    }
    Err(CliError::environment(format!(
        "supervisor {} has lost its state directory and does not come to its end",
        file.process.pid
    ))
    .hint(format!("end it: kill {}, then sprint start again", file.process.pid)))
}

/// A feature that was never begun and has no open task, or whose branch has work that the base does
/// not have; nothing has been made yet.
///
/// # Errors
/// There is one (exit 4), or the state that is there cannot be read (exit 3).
pub(super) fn refuse_unfit(repo: &Repo, features: &[Ready], env: &Environment) -> Result<(), CliError> {
    let told = |error| git_error("the repository's `sprint.id` cannot be read", error);
    let layout = id::read(repo).map_err(told)?.map(|id| layout_of(env, repo, &id));
    let path = layout.as_ref().map(Layout::database).filter(|path| path.exists());
    let own = |client: Client| {
        let hash = layout.as_ref().map_or("", |layout| layout.hash.as_str());
        client.of_repository(hash)?.overview()
    };
    let overview = path.map(|path| Client::open_read_only(&path).and_then(own));
    let state = match overview {
        // A file without tables is what a start leaves that found the disk full. One that is damaged, or gone though
        // there are copies, is made again before anything is handed over.
        None | Some(Err(StoreError::Missing(_) | StoreError::Corrupt { .. } | StoreError::Row { .. })) => {
            layout.map_or_else(State::default, |layout| ladder::state_of_copies(&layout.snapshots()))
        }
        Some(overview) => overview.map_err(store_error)?.state,
    };
    for ready in features.iter().filter(|ready| !state.features.contains_key(&ready.new.id)) {
        refuse_unknown_work(repo, ready)?;
    }
    let closed = features.iter().find(|ready| !ready.open && !state.features.contains_key(&ready.new.id));
    closed.map_or(Ok(()), |ready| {
        Err(CliError::refused(format!("`{}` has nothing open: every task is done", ready.new.dir))
            .hint("add tasks to tasks.md, or open one: - [ ]"))
    })
}

/// What an earlier sprint has landed and this state knows nothing of would be done a second time.
fn refuse_unknown_work(repo: &Repo, ready: &Ready) -> Result<(), CliError> {
    let name = branch::integration(&ready.new.id);
    let told = |error| git_error("the branches cannot be read", error);
    let Some(head) = repo.reference(&branch::head_ref(&name)).map_err(told)? else { return Ok(()) };
    if diff::is_descendant(repo, &head, &ready.new.base).map_err(told)? {
        return Ok(());
    }
    Err(CliError::refused(format!("`{name}` has commits of a sprint whose state is not here"))
        .hint(format!("go on from there: sprint start --base {name} {}", ready.new.dir))
        .hint(format!("or take it over first: git merge {name}"))
        .hint(format!("or do without it: git branch -m {name} old-{}", ready.new.id)))
}

fn inbox_is_empty(client: &Client) -> Result<bool, CliError> {
    Ok(client.overview().map_err(store_error)?.inbox.0 == 0)
}

/// Whether every feature was finished before and its file has no task that is new.
fn all_over(plan: &Plan, state: &State) -> Result<bool, CliError> {
    let mut over = true;
    for ready in &plan.features {
        let known: BTreeSet<_> = state.tasks_of(&ready.new.id).map(|task| &task.key.id).collect();
        let unknown =
            ready.new.tasks.iter().any(|task| !task.done && !task.dropped && !known.contains(&task.id));
        let Some(feature) = state.features.get(&ready.new.id) else {
            over = false;
            continue;
        };
        match feature.status {
            FeatureStatus::Finished if !unknown => {}
            FeatureStatus::Finished => {
                check_round(plan, ready)?;
                over = false;
            }
            _ => over = false,
        }
    }
    Ok(over)
}

/// Another round begins on what the last one made: its branch must be in the base.
fn check_round(plan: &Plan, ready: &Ready) -> Result<(), CliError> {
    let repo = &plan.checked.repo;
    let name = branch::integration(&ready.new.id);
    let told = |error| git_error("the branches cannot be read", error);
    let Some(head) = repo.reference(&branch::head_ref(&name)).map_err(told)? else { return Ok(()) };
    if diff::is_descendant(repo, &head, &ready.new.base).map_err(told)? {
        return Ok(());
    }
    Err(CliError::refused(format!(
        "`{}` has new tasks, but the base does not contain `{name}`",
        ready.new.dir
    ))
    .hint(format!("merge it first: git merge {name}")))
}

fn make_directories(layout: &Layout) -> Result<(), CliError> {
    layout.directories().iter().try_for_each(|directory| make_private(directory).map_err(not_made))
}

fn not_made(error: PrivateError) -> CliError {
    let told = CliError::environment(error.to_string());
    match error {
        PrivateError::Make { source, .. } | PrivateError::Use { source, .. } => {
            told.because(source).hint("set general.state_dir to a directory that you can write")
        }
        PrivateError::NotOurs { .. } => {
            told.hint("remove it, or set XDG_RUNTIME_DIR and general.state_dir to directories of your own")
        }
    }
}

/// Rings the supervisor, or starts one.
///
/// # Errors
/// It does not come up (exit 3).
pub(in crate::cli) fn ensure_supervisor(
    layout: &Layout,
    repo: &Repo,
    env: &Environment,
) -> Result<(), CliError> {
    if living_after_the_end(layout, repo)? {
        doorbell::ring(&layout.supervisor_bell())
            .map_err(|error| CliError::environment("the supervisor cannot be rung").because(error))?;
        return Ok(());
    }
    let program = std::env::current_exe()
        .map_err(|error| CliError::environment("sprint's own program is not there").because(error))?;
    let what = Background {
        program: program.into(),
        args: vec!["supervise".into(), "--repository".into(), repo.top.clone().into()],
        cwd: layout.state.clone(),
        env: env.variables.clone(),
        log: layout.supervisor_output(),
    };
    let mut tries = 1;
    loop {
        match spawn_detached(&what).and_then(|detached| detached.wait_ready(READY_WAIT)) {
            Ok(_) => return Ok(()),
            // Another `start` was quicker: its supervisor takes our request too.
            Err(DetachError::Ended { .. }) if live_supervisor(repo, layout).is_some() => return Ok(()),
            // As one that is killed later is started again.
            Err(DetachError::Ended { killed: true, .. }) if tries < TRIES_MAX => tries += 1,
            Err(error) => return Err(not_started(layout, error)),
        }
    }
}

/// Whether a supervisor runs that takes requests: one that is ending is waited for.
fn living_after_the_end(layout: &Layout, repo: &Repo) -> Result<bool, CliError> {
    let end = Instant::now() + END_WAIT;
    let Some(file) = live_supervisor(repo, layout) else { return Ok(false) };
    let client = Client::open_read_only(&layout.database()).map_err(store_error)?;
    let handle = file.process.open().ok().flatten();
    let Some(handle) = handle else { return Ok(false) };
    while Instant::now() < end {
        if client.overview().map_err(store_error)?.state.sprint.mode != Mode::Stopping {
            return Ok(true);
        }
        if handle.wait(Duration::from_millis(200)) {
            return Ok(false);
        }
    }
    Err(CliError::environment(format!(
        "supervisor {} is ending and does not come to its end",
        file.process.pid
    ))
    .hint("sprint stop --now, then sprint start again"))
}

fn not_started(layout: &Layout, error: DetachError) -> CliError {
    let said = fs::read_to_string(layout.supervisor_output()).unwrap_or_default();
    let last =
        said.lines().rfind(|line| line.starts_with("error: ")).map(|line| line["error: ".len()..].to_owned());
    let message = last.map_or_else(
        || "the supervisor did not start".to_owned(),
        |line| format!("the supervisor did not start: {}", crate::cli::text::plain(&line, 500)),
    );
    CliError::environment(message).because(error).hint("see: sprint logs supervisor")
}
