//! The boot order: what happened without a supervisor is known before anything is decided.
//!
//! 1. No git child of an older supervisor lives.
//! 2. The inbox and every report file are applied, also of runs that the database knows nothing of.
//! 3. Living workers are adopted, panes that nobody registered end, and only then do rows without
//!    a process count as dead.
//! 4. What was in the outbox is done, and git is compared with the store.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::place::proc_id;
use super::run::{Note, Supervisor};
use super::{Place, SupervisorError, found};
use crate::domain::effect::{Effect, EffectId};
use crate::domain::event::Event;
use crate::domain::ids::{FeatureId, RunId};
use crate::domain::state::{FeatureStatus, State};
use crate::domain::task::Status;
use crate::domain::worker::Life;
use crate::error::chain;
use crate::git::pool::{Owner, Pool};
use crate::git::{broken, durable, landing, locks};
use crate::process::identity::ProcId;
use crate::seeded::{self, Bug};
use crate::store::{StoreError, reports};
use crate::tmux::pane::PaneInfo;

/// How long a git child of an older supervisor may take to finish before it is ended.
const CHILD_WAIT: Duration = Duration::from_secs(10);

/// git holds a lock on a reference for milliseconds.
pub(super) const LOCK_AGE: Duration = Duration::from_secs(5);

fn children_file(place: &Place) -> PathBuf {
    place.layout.state.join("git-children")
}

/// Writes down a git child of ours before it changes anything that matters.
pub(super) fn record_child(place: &Place, pid: u32) {
    let written = ProcId::of(pid.cast_signed()).and_then(|id| {
        let line = serde_json::to_string(&id).map_err(std::io::Error::other)?;
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(children_file(place))?;
        writeln!(file, "{line}")
    });
    if let Err(error) = written {
        tracing::debug!(pid, %error, "a git child was gone before it was written down");
    }
}

/// An older supervisor's git may still be at it: it finishes, or is ended.
pub(super) fn end_old_children(place: &Place) -> Result<(), SupervisorError> {
    let path = children_file(place);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SupervisorError::system(format!("read `{}`", path.display()))(error)),
    };
    for id in text.lines().filter_map(|line| serde_json::from_str::<ProcId>(line).ok()) {
        let fd = id.open().map_err(SupervisorError::system("look at an old git process"))?;
        let Some(fd) = fd else { continue };
        if !fd.wait(CHILD_WAIT) {
            fd.signal(Signal::SIGKILL).map_err(SupervisorError::system("end an old git process"))?;
            fd.wait(CHILD_WAIT);
        }
    }
    fs::remove_file(&path).map_err(SupervisorError::system(format!("remove `{}`", path.display())))
}

/// What a power cut leaves of objects that agents have made.
pub(super) fn clear_empty_objects(place: &Place) {
    if let Err(error) = broken::remove_empty_objects(&place.repo.common_dir) {
        tracing::warn!(error = chain(&error), "what a power cut may have left is not looked at");
    }
}

/// The same of those that are cut off: where the machine has come up anew, because they have to be read for it.
pub(super) fn clear_spoilt_objects(place: &Place) {
    if let Err(error) = broken::set_spoilt_objects_aside(&place.repo) {
        tracing::warn!(error = chain(&error), "what a power cut may have cut off is not looked at");
    }
}

/// What a git that was killed leaves behind. Workers of the last supervisor may be at work still;
/// theirs are younger. True if there was one.
pub(super) fn clear_locks(place: &Place) -> bool {
    let unusable = Pool::open(&place.repo, &place.layout.state).and_then(|pool| pool.clear_unusable());
    if let Err(error) = unusable {
        tracing::warn!(error = chain(&error), "worktrees that cannot be used stay in git's list");
    }
    let locks = durable::clear_stale_locks(&place.repo.common_dir, LOCK_AGE).unwrap_or_else(|error| {
        tracing::warn!(%error, "locks that nobody holds stay");
        Vec::new()
    });
    for lock in &locks {
        tracing::warn!(lock = %lock.display(), "a lock that nobody holds is removed");
    }
    !locks.is_empty()
}

/// The locks of all: only once nobody's git has worked here for a while.
pub(super) fn clear_shared_locks(place: &Place, watch: &mut locks::Watch) {
    let gits = || locks::gits(&place.repo, Some(&place.layout.state));
    match watch.look(&place.repo.common_dir, Instant::now(), gits) {
        Ok(removed) => {
            for lock in removed {
                tracing::warn!(lock = %lock.display(), "a lock that nobody holds is removed");
            }
        }
        Err(error) => tracing::warn!(error = chain(&error), "a lock that nobody holds stays"),
    }
}

/// The report that a run's worker has filed, as long as the run is not over.
pub(super) fn filed_report(place: &Place, state: &State, run: &RunId) -> Result<Vec<Event>, StoreError> {
    if !state.runs.contains_key(run) {
        return Ok(Vec::new());
    }
    match reports::read(&place.layout.run(run)) {
        Ok(Some(filed)) if filed.run == *run => Ok(filed.events()),
        Ok(_) => Ok(Vec::new()),
        // A damaged file is no report: the run is done again.
        Err(StoreError::Row { source, .. }) => {
            tracing::error!(%run, %source, "the run's report cannot be read");
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// The whole boot order.
pub(super) async fn recover(
    supervisor: &mut Supervisor,
    epoch: u64,
    rebooted: bool,
) -> Result<(), SupervisorError> {
    let open = supervisor.engine.store().open_effects()?;
    let clearing = runs_to_clear(supervisor.engine.state());
    // Twice the inbox's bound is enough for any number of rows: each `apply` takes a bounded part.
    supervisor.apply(vec![Event::SupervisorStarted { epoch, rebooted }]).await?;
    while !supervisor.engine.store().inbox(1)?.is_empty() {
        supervisor.apply(Vec::new()).await?;
    }
    supervisor.apply(filed_reports(supervisor)?).await?;
    supervisor.apply(found::landed_already(supervisor)?).await?;
    supervisor.apply(found::reports(supervisor)?).await?;
    let panes = supervisor.panes.list().await?;
    let fresh = dead_workers(supervisor.engine.state());
    end_strangers(supervisor, &panes).await;
    supervisor.apply(fresh).await?;
    forget_lost_worktrees(supervisor);
    redo(supervisor, open, &clearing);
    supervisor.apply(moved_branches(supervisor)?).await?;
    supervisor.apply(freed_branches(supervisor)).await?;
    supervisor.apply(vec![Event::Recovered]).await
}

fn filed_reports(supervisor: &Supervisor) -> Result<Vec<Event>, StoreError> {
    let state = supervisor.engine.state();
    let reports = state.runs.keys().map(|run| filed_report(&supervisor.place, state, run));
    Ok(reports.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Rows without a living process.
fn dead_workers(state: &State) -> Vec<Event> {
    let dead = state.workers.values().filter_map(|worker| {
        let proc = match &worker.life {
            Life::Starting { .. } => None,
            Life::Idle { proc, .. } | Life::Busy { proc, .. } | Life::Ending { proc } => {
                if proc_id(proc).alive() {
                    return None;
                }
                Some(proc.clone())
            }
            Life::Absent | Life::Clearing { .. } | Life::Backoff { .. } => return None,
        };
        Some(Event::WorkerDied { worker: worker.name.clone(), proc, with_server: true })
    });
    dead.collect()
}

/// Panes whose process is no registered worker's: started by an older supervisor, never
/// registered, and without a run.
async fn end_strangers(supervisor: &Supervisor, panes: &[PaneInfo]) {
    let state = supervisor.engine.state();
    let known: Vec<u32> = state.workers.values().filter_map(|worker| Some(worker.life.proc()?.pid)).collect();
    for pane in panes.iter().filter(|pane| !known.contains(&pane.pane.pid.unsigned_abs())) {
        if let Err(error) = supervisor.panes.end(pane).await {
            tracing::warn!(session = pane.session_name, %error, "a stray pane cannot be ended");
        }
    }
}

/// Worktrees that somebody deleted: of those in which no run can be, nothing is left to come back
/// to. A run that is there gets its own again, and nobody else its place.
fn forget_lost_worktrees(supervisor: &Supervisor) {
    let runs = &supervisor.engine.state().runs;
    let at_work = |owner: &Owner| {
        runs.values().any(|run| match owner {
            Owner::Task { feature, task } => {
                run.job.feature == *feature && run.job.task.as_ref() == Some(task)
            }
            // `reviewer.base` is the reviewer's too.
            Owner::Gate { worker } => worker.as_str().split('.').next() == Some(run.worker.as_str()),
        })
    };
    let place = &supervisor.place;
    let forgotten = Pool::open(&place.repo, &place.layout.state).and_then(|pool| pool.forget_lost(at_work));
    if let Err(error) = forgotten {
        tracing::warn!(error = chain(&error), "worktrees that were deleted stay in git's list");
    }
}

/// Runs that were being cleared when the supervisor before ended.
fn runs_to_clear(state: &State) -> BTreeSet<RunId> {
    let clearing = state.workers.values().filter_map(|worker| match &worker.life {
        Life::Clearing { run } => Some(run.clone()),
        Life::Absent
        | Life::Starting { .. }
        | Life::Idle { .. }
        | Life::Busy { .. }
        | Life::Ending { .. }
        | Life::Backoff { .. } => None,
    });
    clearing.collect()
}

/// What was asked for and has no result yet. Runs of workers whose death this boot has seen are being cleared
/// already: of two who clear, the slower one would end what the run's successor has in the same worktree.
fn redo(supervisor: &mut Supervisor, open: Vec<(EffectId, Effect)>, clearing: &BTreeSet<RunId>) {
    let state = supervisor.engine.state();
    // Not in the outbox, because the state says it: runs to clear, workers to end, runs to take.
    let none = EffectId { event: 0, place: 0 };
    let mut effects = open;
    for worker in state.workers.values() {
        let effect = match &worker.life {
            Life::Clearing { run } if clearing.contains(run) => {
                Effect::ClearRun { run: run.clone(), worker: worker.name.clone() }
            }
            Life::Ending { proc } => Effect::EndWorker { worker: worker.name.clone(), proc: proc.clone() },
            Life::Busy { .. } => Effect::Wake { worker: worker.name.clone() },
            Life::Absent
            | Life::Starting { .. }
            | Life::Idle { .. }
            | Life::Backoff { .. }
            | Life::Clearing { .. } => continue,
        };
        effects.push((none, effect));
    }
    if seeded::is(Bug::BlindRequeue) {
        requeue_blindly(supervisor, &mut effects);
    }
    supervisor.dispatch(effects);
}

/// [`Bug::BlindRequeue`].
fn requeue_blindly(supervisor: &Supervisor, effects: &mut Vec<(EffectId, Effect)>) {
    effects.retain(|(_, effect)| {
        let Effect::MoveRef { entry, .. } = effect else { return true };
        let reason = "it was interrupted".to_owned();
        let refused = Event::RefRefused { entry: entry.clone(), reason, busy: true };
        supervisor.outside.sender().try_send(Note::event(refused)).is_err()
    });
}

/// Integration branches that are not where the store says. A landing in between is not a
/// mismatch: its own effect finds out.
fn moved_branches(supervisor: &Supervisor) -> Result<Vec<Event>, SupervisorError> {
    let state = supervisor.engine.state();
    let mut events = Vec::new();
    for feature in state.features.values() {
        let begun = matches!(feature.status, FeatureStatus::Running | FeatureStatus::Resting);
        let landing = state.tasks_of(&feature.id).any(|task| matches!(task.status, Status::Landing { .. }));
        let Some(head) = feature.head.as_ref().filter(|_| begun && !landing) else { continue };
        let name = crate::git::branch::head_ref(&Place::branch(&feature.id));
        let found = supervisor.place.repo.reference(&name)?;
        if found.as_ref() != Some(head) {
            events.push(Event::BranchMoved { feature: feature.id.clone(), found });
        }
    }
    Ok(events)
}

/// Integration branches that a task waits for and that nobody has checked out any more.
pub(super) fn freed_branches(supervisor: &Supervisor) -> Vec<Event> {
    let waiting = supervisor.engine.outlook().wait_for_branch.iter();
    let free = waiting.filter(|feature| is_free(&supervisor.place, feature));
    free.map(|feature| Event::BranchFree { feature: feature.clone() }).collect()
}

/// A branch whose checkouts cannot be read is looked at again.
fn is_free(place: &Place, feature: &FeatureId) -> bool {
    let name = crate::git::branch::head_ref(&Place::branch(feature));
    match landing::checked_out_at(&place.repo, &name) {
        Ok(at) => at.is_none(),
        Err(error) => {
            tracing::warn!(%feature, error = chain(&error), "the checkouts of the branch cannot be read");
            false
        }
    }
}
