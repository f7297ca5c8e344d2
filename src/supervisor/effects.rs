//! Does what a step asks for. Each arm is idempotent or probes first, and its result is an event.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::sync::mpsc;

use super::history;
use super::panes::Panes;
use super::place::{Place, proc_id};
use super::recovery;
use super::run::Note;
use crate::domain::effect::{Effect, EffectId};
use crate::domain::event::{Event, moved_text};
use crate::domain::ids::{CommitSha, FeatureId, RunId, TaskId, WorkerName};
use crate::domain::pipeline::Role;
use crate::domain::state::State;
use crate::domain::task::Status;
use crate::error::chain as full;
use crate::git::leftovers::Author;
use crate::git::{self, landing, locks, pool};
use crate::process::identity::ProcId;
use crate::process::scratch;
use crate::process::tree::{EndError, KILL_WAIT, Scope, end_tree};
use crate::process::watch::{Watch, gone_within};
use crate::seeded::{self, Bug};
use crate::store::leavings;
use crate::tmux::pane::Pane;

/// From SIGTERM to SIGKILL for what a dead worker left behind.
const CLEAR_GRACE: Duration = Duration::from_secs(2);
/// How long a worker that was told to end may take.
const END_GRACE: Duration = Duration::from_secs(10);
/// How often what a killed git has spoilt is tried.
const TURNS: u32 = 3;
/// Free worktrees that are kept for the next tasks.
const POOL_KEPT: usize = 16;

/// The way out of the loop, and back in.
#[derive(Debug, Clone)]
pub(super) struct Outside {
    place: Place,
    panes: Panes,
    notes: mpsc::Sender<Note>,
    /// Worktrees are given back one at a time: two effects may mean the same one, and by the time
    /// that the second comes to it, it may be somebody else's.
    giving_back: Arc<Mutex<()>>,
}

impl Outside {
    pub(super) fn new(place: &Place, panes: Panes, notes: mpsc::Sender<Note>) -> Self {
        Self { place: place.clone(), panes, notes, giving_back: Arc::default() }
    }

    pub(super) fn sender(&self) -> mpsc::Sender<Note> {
        self.notes.clone()
    }

    /// What the supervisors before this one left behind.
    pub(super) fn tidy_history(&self) {
        self.blocking(None, |place| {
            history::tidy(place);
            Vec::new()
        });
    }

    /// [`Bug::EarlyDispatch`].
    pub(super) fn land_early(&self, effect: &Effect) {
        if let Effect::MoveRef { entry, feature, old, new, .. } = effect {
            let moved = move_ref(&self.place, entry.clone(), feature, old, new);
            tracing::debug!(?moved, "landed early");
        }
    }

    /// Makes the panes of several workers in one go.
    pub(super) fn spawn_workers(&self, workers: Vec<(WorkerName, Role, u32)>) {
        let this = self.clone();
        tokio::task::spawn_local(async move {
            let answers = this.panes.spawn(&workers).await;
            let (mut events, mut panes) = (Vec::new(), Vec::new());
            for (worker, answer) in answers {
                events.push(match answer {
                    Ok(pane) => {
                        panes.push((worker.clone(), pane));
                        Event::WorkerSpawned { worker, pane: pane.pane.to_string() }
                    }
                    Err(reason) => Event::SpawnFailed { worker, reason },
                });
            }
            this.send(Note { events, done: None, look_for: None }).await;
            for (worker, pane) in panes {
                this.watch_pane(worker, pane);
            }
        });
    }

    /// Who registers is watched by the loop; who dies before that is known by its pane alone.
    fn watch_pane(&self, worker: WorkerName, pane: Pane) {
        let this = self.clone();
        tokio::task::spawn_local(async move {
            // Gone already, where nothing of it can be read.
            let watch = ProcId::of(pane.pid).and_then(|id| Watch::new(&id)).unwrap_or_default();
            if let Some(watch) = watch
                && let Err(error) = watch.exited().await
            {
                tracing::warn!(%worker, %error, "the pane cannot be watched any more");
            }
            this.panes.reap();
            let with_server = !this.panes.is_up();
            let died = Event::PaneDied { worker, pane: pane.pane.to_string(), with_server };
            this.send(Note::event(died)).await;
        });
    }

    /// Starts one effect; its result comes back as a note.
    pub(super) fn start(&self, id: EffectId, effect: Effect, state: &State) {
        match effect {
            Effect::Wake { worker } => self.wake(&worker),
            Effect::EndWorker { worker, proc } => Self::end_worker(worker, proc_id(&proc)),
            Effect::ClearRun { run, worker } => self.clear_run(run, &worker, state),
            Effect::BeginFeature { feature, base } => {
                self.blocking(Some(id), move |place| vec![begin(place, feature, &base)]);
            }
            Effect::MoveRef { entry, feature, task, old, new } => {
                tracing::info!(%feature, %task, %old, %new, "landing");
                self.blocking(Some(id), move |place| vec![move_ref(place, entry, &feature, &old, &new)]);
            }
            Effect::Tidy { feature, task, attempt, landed } => {
                let giving_back = Arc::clone(&self.giving_back);
                self.blocking(Some(id), move |place| {
                    let _one = giving_back.lock().unwrap_or_else(PoisonError::into_inner);
                    tidy(place, &feature, &task, attempt, &landed);
                    Vec::new()
                });
            }
            Effect::FinishFeature { feature, head } => {
                let giving_back = Arc::clone(&self.giving_back);
                let landed = landed_tasks(state, &feature);
                self.blocking(Some(id), move |place| {
                    let _one = giving_back.lock().unwrap_or_else(PoisonError::into_inner);
                    tracing::info!(%feature, %head, "finished");
                    tidy_all(place, &feature, &head, landed);
                    free_worktrees(place, &feature);
                    match landing::delete_landed_anchors(&place.repo, &head) {
                        Ok(count) => tracing::debug!(count, "anchors of landed work are gone"),
                        Err(error) => tracing::warn!(error = full(&error), "anchors of landed work stay"),
                    }
                    history::tidy(place);
                    crate::process::memory::give_back();
                    Vec::new()
                });
            }
            // The loop takes these two before they come here.
            Effect::SpawnWorker { .. } | Effect::Shutdown { .. } => {}
        }
    }

    fn wake(&self, worker: &WorkerName) {
        if let Err(error) = crate::process::doorbell::ring(&self.place.layout.worker_bell(worker)) {
            tracing::warn!(%worker, %error, "the worker's doorbell cannot be rung; it looks by itself");
        }
    }

    /// Its death is seen by whoever watches it.
    fn end_worker(worker: WorkerName, id: ProcId) {
        tokio::task::spawn_local(async move {
            for (signal, wait) in [(Signal::SIGTERM, END_GRACE), (Signal::SIGKILL, END_GRACE)] {
                let sent = id.open().and_then(|fd| fd.map_or(Ok(()), |fd| fd.signal(signal)));
                if let Err(error) = sent {
                    tracing::warn!(%worker, %error, "the worker cannot be signalled");
                }
                match gone_within(&id, wait).await {
                    Ok(true) => return,
                    Ok(false) => tracing::warn!(%worker, %signal, "the worker is still there"),
                    Err(error) => tracing::warn!(%worker, %error, "the worker cannot be watched"),
                }
            }
        });
    }

    /// A run is over only when nothing that belongs to it lives.
    fn clear_run(&self, run: RunId, worker: &WorkerName, state: &State) {
        tracing::info!(%run, %worker, "what a dead worker has left is ended");
        let scope = run_scope(&self.place, &run, worker, state);
        let this = self.clone();
        tokio::task::spawn_local(async move {
            let own = scratch::of_run(std::env::var_os("TMPDIR").as_deref(), run.as_str());
            let left = this.place.layout.run(&run);
            let end = move || {
                if seeded::is(Bug::UnconfirmedDeath) {
                    return Ok(());
                }
                end_tree(&scope, CLEAR_GRACE, KILL_WAIT).map(|()| {
                    scratch::remove(&own);
                    leavings::clean(&left);
                })
            };
            let ended = tokio::task::spawn_blocking(end).await;
            let survivors = match ended {
                Ok(Ok(())) => Vec::new(),
                Ok(Err(EndError::Survivors(left))) => {
                    left.iter().map(|member| format!("{} {}", member.id.pid, member.name)).collect()
                }
                Ok(Err(EndError::Proc(error))) => vec![format!("unknown: {error}")],
                Err(error) => vec![format!("unknown: {error}")],
            };
            let event = Event::RunCleared { run: run.clone(), survivors };
            this.send(Note { events: vec![event], done: None, look_for: Some(run) }).await;
        });
    }

    /// Runs `work` on a thread of its own; what it returns are the events of its result.
    fn blocking(&self, id: Option<EffectId>, work: impl FnOnce(&Place) -> Vec<Event> + Send + 'static) {
        let this = self.clone();
        tokio::task::spawn_local(async move {
            let place = this.place.clone();
            match tokio::task::spawn_blocking(move || work(&place)).await {
                Ok(events) => this.send(Note { events, done: id, look_for: None }).await,
                // It stays in the outbox and is done again at the next boot.
                Err(error) => tracing::error!(%error, ?id, "an effect ended in a panic"),
            }
        });
    }

    async fn send(&self, note: Note) {
        if self.notes.send(note).await.is_err() {
            tracing::debug!("a result after the end of the loop");
        }
    }
}

/// By what the processes of a dead worker's run are known.
fn run_scope(place: &Place, run: &RunId, worker: &WorkerName, state: &State) -> Scope {
    let owner = state.runs.get(run).and_then(|run| {
        Some(pool::Owner::Task { feature: run.job.feature.clone(), task: run.job.task.clone()? })
    });
    let kind = state.runs.get(run).map(|run| run.job.kind);
    let owner = match kind {
        Some(crate::domain::pipeline::StageKind::Work) => owner,
        Some(_) | None => Some(pool::Owner::Gate { worker: worker.clone() }),
    };
    let worktree: Option<PathBuf> = owner.and_then(|owner| {
        let pool = pool::Pool::open(&place.repo, &place.layout.state).ok()?;
        Some(pool.find(&owner).ok()??.path)
    });
    Scope { leaders: Vec::new(), mark: Some(run.to_string()), worktree }
}

/// A git that was killed is no reason to refuse: it is tried again, once its lock is nobody's.
fn begin(place: &Place, feature: FeatureId, base: &CommitSha) -> Event {
    let mut turn = 1;
    loop {
        match landing::create_branch(&place.repo, &feature, base) {
            Ok(head) => return Event::FeatureBegun { feature, head },
            Err(error) if turn < TURNS => {
                tracing::warn!(%feature, error = full(&error), "the branch is tried again");
                wait_for_locks(place);
                turn += 1;
            }
            Err(error) => {
                let branch = Place::branch(&feature);
                let reason = format!("branch `{branch}` cannot be made: {}", full(&error));
                return Event::FeatureRefused { feature, reason };
            }
        }
    }
}

/// Until the lock of a git that was killed is old enough to be nobody's; one of all takes longer.
fn wait_for_locks(place: &Place) {
    let mut watch = locks::Watch::default();
    let until = Instant::now() + locks::wait() + recovery::LOCK_AGE;
    loop {
        recovery::clear_shared_locks(place, &mut watch);
        // Whoever is parked may be woken by what was waited for in this thread before: a lock is too young then.
        std::thread::sleep(recovery::LOCK_AGE);
        recovery::clear_locks(place);
        if !locks::Watch::any(&place.repo.common_dir) || Instant::now() >= until {
            return;
        }
    }
}

/// The branch moves by compare-and-swap from the last landed commit, which comes from the store
/// and never from the branch itself.
fn move_ref(place: &Place, entry: RunId, feature: &FeatureId, old: &CommitSha, new: &CommitSha) -> Event {
    let branch = Place::branch(feature);
    let found = || place.repo.reference(&git::branch::head_ref(&branch)).ok().flatten();
    let from_ref = seeded::is(Bug::OldFromRef).then(found).flatten();
    let old = from_ref.as_ref().unwrap_or(old);
    match landing::probe(&place.repo, &branch, old, new) {
        Ok(landing::Probe::AtNew) => return Event::RefMoved { entry },
        Ok(landing::Probe::AtOld | landing::Probe::Other(_)) => {}
        Err(error) => {
            return Event::RefRefused {
                entry,
                reason: format!("branch `{branch}` cannot be read: {}", full(&error)),
                busy: true,
            };
        }
    }
    let record = |pid: u32| recovery::record_child(place, pid);
    let attempt = || landing::move_ref(&place.repo, &branch, old, new, Some(&record));
    let moved = match attempt() {
        // A git that was killed may have left its lock on the branch.
        Err(_) if recovery::clear_locks(place) => attempt(),
        other => other,
    };
    match moved {
        Ok(landing::Move::Moved) => Event::RefMoved { entry },
        Ok(landing::Move::Mismatch { found }) => {
            let reason = moved_text(&branch, found.as_ref(), Some(old));
            Event::RefRefused { entry, reason, busy: false }
        }
        Ok(landing::Move::CheckedOut { at }) => {
            let reason = format!(
                "branch `{branch}` is checked out at `{}`; switch to another branch there, and it lands by itself",
                at.display()
            );
            Event::RefCheckedOut { entry, reason }
        }
        Err(error) => Event::RefRefused { entry, reason: full(&error), busy: true },
    }
}

/// Frees what a landed task used. What cannot be proved to have landed stays; that is not an
/// error of the sprint's, and the log says so.
fn tidy(place: &Place, feature: &FeatureId, task: &TaskId, attempt: u32, landed: &CommitSha) {
    if let Err(error) = try_tidy(place, feature, task, attempt, landed) {
        tracing::warn!(%feature, %task, error = full(&error), "something of a landed task stays");
    }
}

/// The landed tasks of a feature, with their last attempts.
fn landed_tasks(state: &State, feature: &FeatureId) -> Vec<(TaskId, u32)> {
    let landed = state.tasks_of(feature).filter(|task| matches!(task.status, Status::Done { .. }));
    landed.map(|task| (task.key.id.clone(), task.attempt)).collect()
}

/// Once more for all landed tasks of a finished feature: a git that was killed leaves a lock that
/// keeps the next ones from deleting anything, until it is old enough to be nobody's.
fn tidy_all(place: &Place, feature: &FeatureId, head: &CommitSha, mut left: Vec<(TaskId, u32)>) {
    for turn in 0..TURNS {
        left.retain(|(task, attempt)| try_tidy(place, feature, task, *attempt, head).is_err());
        if left.is_empty() {
            return;
        }
        if turn + 1 < TURNS {
            wait_for_locks(place);
        }
    }
    tracing::warn!(%feature, tasks = left.len(), "something of landed tasks stays");
}

/// What skipped tasks of a finished feature still hold: their branches stay, and what was not
/// committed is saved.
fn free_worktrees(place: &Place, feature: &FeatureId) {
    let free = || -> Result<(), git::Error> {
        let pool = pool::Pool::open(&place.repo, &place.layout.state)?;
        let identity = git::Identity { name: "sprint".to_owned(), email: "sprint@localhost".to_owned() };
        let author = Author { identity: &identity, date: crate::process::clock::wall_ms() / 1000 };
        for record in pool.records()? {
            let ours = matches!(&record.owner, Some(pool::Owner::Task { feature: of, .. }) if of == feature);
            if ours && record.state == pool::State::InUse {
                pool.release(&pool.worktree(&record), &pool::Proof::BranchKept, &author)?;
            }
        }
        Ok(())
    };
    if let Err(error) = free() {
        tracing::warn!(%feature, error = full(&error), "a worktree of a finished feature stays");
    }
}

fn try_tidy(
    place: &Place,
    feature: &FeatureId,
    task: &TaskId,
    attempt: u32,
    landed: &CommitSha,
) -> Result<(), git::Error> {
    let pool = pool::Pool::open(&place.repo, &place.layout.state)?;
    let owner = pool::Owner::Task { feature: feature.clone(), task: task.clone() };
    if let Some(worktree) = pool.find(&owner)? {
        let identity = git::Identity { name: "sprint".to_owned(), email: "sprint@localhost".to_owned() };
        let author = Author { identity: &identity, date: crate::process::clock::wall_ms() / 1000 };
        pool.release(&worktree, &pool::Proof::LandedIn(landed.clone()), &author)?;
    }
    pool.prune(POOL_KEPT)?;
    let branch = git::branch::head_ref(&git::branch::task(feature, task, attempt));
    if let Some(head) = place.repo.reference(&branch)?
        && landing::is_landed(&place.repo, &head, landed)?
    {
        landing::delete_ref(&place.repo, &branch, &head)?;
    }
    Ok(())
}
