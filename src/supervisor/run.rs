//! The supervisor's process: the lock, the boot, the loop, the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, interval_at};

use super::effects::Outside;
use super::engine::{Dispatch, Engine};
use super::panes::Panes;
use super::pins::Pins;
use super::place::proc_id;
use super::presence::Presence;
use super::settings::Settings;
use super::snapshots::{Made, Snapshots};
use super::stalled::{CALM, Stall};
use super::watchdog::Watchdog;
use super::{Place, SupervisorError, lost, recovery, shutdown};
use crate::domain::effect::{Effect, EffectId};
use crate::domain::event::{Event, Request};
use crate::domain::ids::WorkerName;
use crate::domain::state::State;
use crate::domain::worker::ProcRef;
use crate::error::chain;
use crate::git::locks;
use crate::process::inhibit::{Inhibitor, inhibit_sleep};
use crate::process::letterbox::{self, Reader};
use crate::process::lock::{Lock, LockError};
use crate::process::system::Disk;
use crate::process::watch::Watch;
use crate::process::{cgroup, clock, identity};
use crate::seeded::{self, Bug};
use crate::store::pinned::LOG_BYTES_MAX;
use crate::store::{Client, InboxBody, LogWatch, Store, ladder};

/// Results of effects that wait for the loop.
const NOTES_MAX: usize = 1024;
/// Between two looks at the write-ahead log, should a ring be lost, and at what must be where it was.
const SAFETY: Duration = Duration::from_secs(5);
/// Between two looks at the heartbeats.
const BEAT: Duration = Duration::from_secs(30);

/// What comes back to the loop.
#[derive(Debug)]
pub(super) struct Note {
    /// What happened; several where they belong into one transaction.
    pub(super) events: Vec<Event>,
    /// The effect whose result this is.
    pub(super) done: Option<EffectId>,
    /// A dead worker's run whose report has to be looked for before the events are judged.
    pub(super) look_for: Option<crate::domain::ids::RunId>,
}

impl Note {
    pub(super) fn event(event: Event) -> Self {
        Self { events: vec![event], done: None, look_for: None }
    }
}

/// Runs the sprint of a repository until nothing is left to do or somebody stops it. `ready` is
/// called once the state is recovered.
///
/// # Errors
/// [`SupervisorError::Locked`] if another one runs it already; otherwise what made going on
/// impossible. State is kept, and the next start recovers; but for [`SupervisorError::StateLost`].
pub fn supervise(place: &Place, ready: impl FnOnce()) -> Result<(), SupervisorError> {
    let lock = Lock::try_exclusive(&place.lock(), "sprint supervisor").map_err(|error| match error {
        LockError::Held { .. } => SupervisorError::Locked(error),
        LockError::Io { .. } => SupervisorError::Lock(error),
    })?;
    // Held until the runtime has gone, and with it the last thread that does something.
    let lock = Arc::new(lock);
    let mut ready = Some(ready);
    let mut tries = 0;
    loop {
        let began = Instant::now();
        let Err(error) = live(place, &lock, &mut ready) else { return Ok(()) };
        // Whoever starts a sprint is told at once.
        let stall = if ready.is_some() { None } else { Stall::of(&error) };
        let Some(stall) = stall else { return Err(error) };
        tries = if began.elapsed() > CALM { 0 } else { tries + 1 };
        if !event_loop()?.block_on(stall.wait(place, tries))? {
            return Err(error);
        }
    }
}

/// From the boot to the end, with an event loop of its own: nothing of it goes on afterwards.
fn live(place: &Place, lock: &Arc<Lock>, ready: &mut Option<impl FnOnce()>) -> Result<(), SupervisorError> {
    let runtime = event_loop()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut supervisor = Supervisor::boot(place, Arc::clone(lock)).await?;
        if let Some(ready) = ready.take() {
            ready();
        }
        supervisor.run().await
    })
}

fn event_loop() -> Result<tokio::runtime::Runtime, SupervisorError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build()
        .map_err(SupervisorError::system("start the event loop"))
}

/// The loop's own state; the sprint's is in the engine.
pub(super) struct Supervisor {
    pub(super) place: Place,
    pub(super) engine: Engine,
    pub(super) panes: Panes,
    pub(super) outside: Outside,
    pub(super) presence: Presence,
    notes: mpsc::Receiver<Note>,
    /// Whose death is being watched for.
    watched: BTreeMap<WorkerName, ProcRef>,
    /// Effects that are done, to be written with the next batch.
    done: Vec<EffectId>,
    shutdown: Option<bool>,
    log: LogWatch,
    watchdog: Watchdog,
    shared_locks: locks::Watch,
    pins: Pins,
    snapshots: Snapshots,
    settings: Option<Settings>,
    inhibitor: Option<Inhibitor>,
}

impl Supervisor {
    async fn boot(place: &Place, lock: Arc<Lock>) -> Result<Self, SupervisorError> {
        recovery::end_old_children(place)?;
        recovery::clear_locks(place);
        recovery::clear_empty_objects(place);
        let left = cgroup::sweep();
        if !left.is_empty() {
            tracing::warn!(groups = left.len(), "control groups of workers that are gone hold something");
        }
        let (mut store, state) = open_store(place)?;
        let boot_id = identity::boot_id().map_err(SupervisorError::system("read the boot id"))?;
        let (epoch, rebooted) = store.raise_epoch(boot_id, Presence::last_epoch(place))?;
        if rebooted {
            recovery::clear_spoilt_objects(place);
        }
        let presence = Presence::begin(place, lock, epoch)?;
        let panes = Panes::open(place).await?;
        let (sender, notes) = mpsc::channel(NOTES_MAX);
        let mut supervisor = Self {
            place: place.clone(),
            engine: Engine::new(store, state),
            outside: Outside::new(place, panes.clone(), sender),
            panes,
            presence,
            notes,
            watched: BTreeMap::new(),
            done: Vec::new(),
            shutdown: None,
            log: LogWatch::new(&place.layout.database()),
            watchdog: Watchdog::default(),
            shared_locks: locks::Watch::default(),
            pins: Pins::default(),
            snapshots: Snapshots::default(),
            settings: None,
            inhibitor: None,
        };
        recovery::recover(&mut supervisor, epoch, rebooted).await?;
        supervisor.outside.tidy_history();
        Ok(supervisor)
    }

    /// To the end. Whatever fails once the state is gone fails for that reason.
    async fn run(&mut self) -> Result<(), SupervisorError> {
        match self.go_on().await {
            Err(error) if self.engine.store().is_lost() => {
                tracing::debug!(error = chain(&error), "what showed that the state is gone");
                lost::end(self).await
            }
            ended => ended,
        }
    }

    async fn go_on(&mut self) -> Result<(), SupervisorError> {
        let mut signals = Signals::listen()?;
        self.look_around().await?;
        self.beat().await?;
        let mut safety = every(SAFETY);
        let mut beat = every(BEAT);
        while self.shutdown.is_none() {
            let due = self.due();
            tokio::select! {
                rung = self.presence.rung() => {
                    rung?;
                    self.check_state()?;
                    letterbox::look(self).await?;
                }
                note = self.notes.recv() => {
                    if let Some(note) = note {
                        self.take(note).await?;
                    }
                }
                () = tokio::time::sleep(due) => self.apply(vec![Event::TimePassed]).await?,
                _ = safety.tick() => self.look_around().await?,
                _ = beat.tick() => self.beat().await?,
                name = signals.next() => self.ask_to_stop(name).await?,
            }
        }
        shutdown::end(self).await?;
        let made = Made::now(self.engine.commits(), self.engine.state().features.len());
        self.snapshots.make_last(&self.place, self.engine.store(), made);
        self.presence.end()
    }

    /// Now and then: heartbeats, free space, a snapshot, sleep.
    async fn beat(&mut self) -> Result<(), SupervisorError> {
        self.check_state()?;
        let settings = Settings::renew(&mut self.settings, &self.engine);
        self.watchdog.look(&self.place, self.engine.state(), settings.hung);
        self.keep_awake(settings.inhibit_sleep);
        self.keep_log_short();
        let made = Made::now(self.engine.commits(), self.engine.state().features.len());
        self.snapshots.keep(&self.place, self.engine.store(), made);
        match Disk::of(&self.place.layout.state) {
            Ok(disk) => {
                let low = disk.free < settings.disk_free_min;
                if low == self.engine.state().sprint.disk_low {
                    return Ok(());
                }
                self.apply(vec![Event::DiskLow { low }]).await
            }
            Err(error) => {
                tracing::warn!(%error, "the free space is not known");
                Ok(())
            }
        }
    }

    fn keep_log_short(&mut self) {
        let workers = self.engine.state().workers.values();
        let workers = workers.filter_map(|worker| Some(worker.life.proc()?.pid.cast_signed())).collect();
        let looked = std::env::current_exe()
            .map_err(SupervisorError::system("find this program"))
            .and_then(|own| Ok(self.pins.look(self.engine.store(), LOG_BYTES_MAX, &own, &workers)?));
        if let Err(error) = looked {
            tracing::warn!(error = chain(&error), "the database's log cannot be looked at");
        }
    }

    /// The machine does not sleep while a run is active, where the person wants that.
    fn keep_awake(&mut self, wanted: bool) {
        let active = wanted && !self.engine.state().runs.is_empty();
        match (&self.inhibitor, active) {
            (None, true) => self.inhibitor = Some(inhibit_sleep()),
            (Some(_), false) => self.inhibitor = None,
            (None, false) | (Some(_), true) => {}
        }
    }

    /// How long nothing is due. An hour where nothing is: the other arms wake the loop.
    fn due(&self) -> Duration {
        self.engine.outlook().due_ms.map_or(Duration::from_hours(1), |at| {
            Duration::from_millis(at.saturating_sub(clock::monotonic_ms()))
        })
    }

    /// Nothing may be decided on a state that nobody will ever read.
    fn check_state(&self) -> Result<(), SupervisorError> {
        if self.engine.store().is_lost() {
            return Err(SupervisorError::StateLost { path: self.place.layout.state.clone() });
        }
        Ok(())
    }

    /// Whether everything is where it was; and a ring can be lost, the log's time cannot. Without
    /// a change nothing is read.
    async fn look_around(&mut self) -> Result<(), SupervisorError> {
        self.check_state()?;
        self.presence.keep();
        self.panes.keep();
        recovery::clear_shared_locks(&self.place, &mut self.shared_locks);
        self.look_at_checkouts().await?;
        if !self.log.changed() {
            return Ok(());
        }
        self.apply(Vec::new()).await
    }

    /// A branch that a person has checked out tells nobody when it is free: a few small files do.
    async fn look_at_checkouts(&mut self) -> Result<(), SupervisorError> {
        let free = recovery::freed_branches(self);
        if free.is_empty() { Ok(()) } else { self.apply(free).await }
    }

    /// A result of an effect, with every other one that waits: one transaction for all.
    pub(super) async fn take(&mut self, first: Note) -> Result<(), SupervisorError> {
        let mut events = Vec::new();
        let mut note = Some(first);
        while let Some(taken) = note {
            if let Some(run) = &taken.look_for {
                // What the worker left must be known before its death is judged.
                self.apply(std::mem::take(&mut events)).await?;
                events.extend(recovery::filed_report(&self.place, self.engine.state(), run)?);
            }
            self.done.extend(taken.done);
            events.extend(taken.events);
            note = self.notes.try_recv().ok();
        }
        self.apply(events).await
    }

    /// Everything that waits now, without waiting for more.
    pub(super) async fn wait_for_note(&mut self, limit: Duration) -> Result<(), SupervisorError> {
        tokio::select! {
            rung = self.presence.rung() => {
                rung?;
                letterbox::look(self).await
            }
            note = self.notes.recv() => match note {
                Some(note) => self.take(note).await,
                None => Ok(()),
            },
            // Where the doorbell is gone, nobody rings.
            () = tokio::time::sleep(limit) => self.apply(Vec::new()).await,
        }
    }

    /// Events and the inbox into one transaction; then the effects go out.
    pub(super) async fn apply(&mut self, events: Vec<Event>) -> Result<(), SupervisorError> {
        if seeded::is(Bug::EarlyDispatch) {
            self.engine.foresee()?.iter().for_each(|effect| self.outside.land_early(effect));
        }
        let effects = self.engine.apply(events, std::mem::take(&mut self.done))?;
        self.dispatch(effects);
        self.watch_workers();
        self.presence.ring_followers();
        tokio::task::yield_now().await;
        Ok(())
    }

    pub(super) fn dispatch(&mut self, effects: Dispatch) {
        let mut spawns = Vec::new();
        for (id, effect) in effects {
            match effect {
                Effect::Shutdown { now } => self.shutdown = Some(now || self.shutdown == Some(true)),
                Effect::SpawnWorker { worker } => {
                    if let Some(row) = self.engine.state().workers.get(&worker) {
                        spawns.push((worker, row.role, row.slot));
                    }
                }
                other => self.outside.start(id, other, self.engine.state()),
            }
        }
        if !spawns.is_empty() {
            self.outside.spawn_workers(spawns);
        }
    }

    /// Whether the end was asked for, and whether at once.
    pub(super) fn ends_now(&self) -> bool {
        self.shutdown == Some(true)
    }

    fn watch_workers(&mut self) {
        let state = self.engine.state();
        let living: Vec<(WorkerName, ProcRef)> = state
            .workers
            .values()
            .filter_map(|worker| Some((worker.name.clone(), worker.life.proc()?.clone())))
            .collect();
        for (name, proc) in living {
            if self.watched.get(&name) == Some(&proc) {
                continue;
            }
            self.watched.insert(name.clone(), proc.clone());
            self.watch(name, proc);
        }
    }

    fn watch(&self, worker: WorkerName, proc: ProcRef) {
        let (sender, panes) = (self.outside.sender(), self.panes.clone());
        tokio::task::spawn_local(async move {
            match Watch::new(&proc_id(&proc)) {
                Ok(Some(watch)) => {
                    if let Err(error) = watch.exited().await {
                        tracing::warn!(%worker, %error, "the worker cannot be watched any more");
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%worker, %error, "the worker cannot be watched; it counts as dead if it is");
                }
            }
            panes.reap();
            let died = Event::WorkerDied { worker, proc: Some(proc), with_server: !panes.is_up() };
            if sender.send(Note::event(died)).await.is_err() {
                tracing::debug!("a death after the end of the loop");
            }
        });
    }

    /// A signal is a request to stop at once, with everything saved.
    async fn ask_to_stop(&mut self, name: &str) -> Result<(), SupervisorError> {
        tracing::info!(signal = name, "asked to stop");
        let client = Client::open(&self.place.layout.database())?;
        let request = Request::Stop { now: true, limit_ms: 0 };
        client.append(&InboxBody::Request(request), clock::wall_ms())?;
        self.apply(Vec::new()).await
    }
}

impl Reader for Supervisor {
    type Error = SupervisorError;

    fn take_rings(&mut self) {
        self.presence.take_rings();
    }

    async fn read(&mut self) -> Result<(), SupervisorError> {
        self.apply(Vec::new()).await
    }
}

/// What had to be done about the database is in the history too.
fn open_store(place: &Place) -> Result<(Store, State), SupervisorError> {
    let layout = &place.layout;
    let mut opened = ladder::open(&layout.database(), &layout.snapshots(), clock::wall_ms())?;
    opened.store.bind(&layout.hash)?;
    if let Some(mended) = opened.mended {
        tracing::error!("{}", mended.text());
    }
    Ok((opened.store, opened.state))
}

/// Ticks when everybody else looks too.
fn every(period: Duration) -> Interval {
    interval_at(Instant::now() + clock::until_common(period), period)
}

struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, SupervisorError> {
        let listen = |kind| signal(kind).map_err(SupervisorError::system("listen to signals"));
        Ok(Self {
            term: listen(SignalKind::terminate())?,
            int: listen(SignalKind::interrupt())?,
            hup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
            _ = self.hup.recv() => "SIGHUP",
        }
    }
}
