//! A worker's life: lock, register, wait, take a run, report, wait.

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::time::{Duration, SystemTime};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::Signal;

use super::interrupt::{Interrupts, Why};
use super::screen::Screen;
use super::traces::Before;
use super::{check, deliver, land};
use crate::config::Config;
use crate::config::layout::Layout;
use crate::domain::event::Event;
use crate::domain::ids::{RunId, WorkerName};
use crate::domain::pipeline::{Role, StageKind};
use crate::domain::report::{Filed, Given, Report};
use crate::domain::spent::Spent;
use crate::domain::state::{Run, RunStatus};
use crate::domain::worker::ProcRef;
use crate::git::Repo;
use crate::process::clock;
use crate::process::doorbell::Doorbell;
use crate::process::identity::ProcId;
use crate::process::lock::Lock;
use crate::process::signals::Signals;
use crate::process::subreaper;
use crate::process::wait::timeout;
use crate::redact;
use crate::store::session::Session;
use crate::store::{Client, LogWatch, StoreError, leavings};

/// Between two looks at the store's log, should a ring be lost; and between two heartbeats.
const LOOK: Duration = Duration::from_secs(5);

/// Why a worker ends before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The slot has a worker.
    #[error("the slot `{0}` has a worker already")]
    Taken(WorkerName),
    /// The store failed where nothing can go on without it.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// Anything of the system's.
    #[error("{what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> WorkerError {
    move |source| WorkerError::System { what, source }
}

/// Where a worker works.
#[derive(Debug, Clone)]
pub struct Place {
    /// State, sockets, logs.
    pub layout: Layout,
    /// The repository.
    pub repo: Repo,
    /// The worker's own name.
    pub worker: WorkerName,
    /// Its slot, counted from 1.
    pub slot: u32,
}

/// Everything that a run needs.
pub(super) struct Desk<'a> {
    pub(super) place: &'a Place,
    pub(super) interrupts: &'a Interrupts,
    pub(super) run: &'a Run,
    pub(super) config: &'a Config,
    pub(super) session: &'a Session,
    /// What the run's model used, once it is known.
    pub(super) spent: &'a RefCell<Option<Spent>>,
    /// Whether the agent's program failed at once: without use, change or claim.
    pub(super) at_once: &'a Cell<bool>,
}

/// Runs a worker until it is told to end. `role` only decides what an idle pane shows.
///
/// # Errors
/// [`WorkerError::Taken`] for a second worker of a slot; otherwise what made going on impossible.
pub fn work(place: &Place, role: Role) -> Result<(), WorkerError> {
    let _lock = Lock::try_exclusive(&place.layout.lock(&place.worker), "sprint worker")
        .map_err(|_held| WorkerError::Taken(place.worker.clone()))?;
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD, Signal::SIGWINCH];
    let signals = Signals::take_over(&signals).map_err(system("take over signals"))?;
    subreaper::become_subreaper().map_err(system("become a subreaper"))?;
    let bell = Doorbell::bind_or_wait(&place.layout.worker_bell(&place.worker))
        .map_err(system("make a doorbell"))?;
    let client = Client::open_for_news(&place.layout.database())?;
    let mut interrupts = Interrupts::new(signals, bell, client);
    let mut screen = Screen::open();
    screen.headline(&format!("{} · sprint {}", place.worker, env!("CARGO_PKG_VERSION")));
    register(place, &interrupts)?;
    let mut stream = (role == Role::Manager).then(|| Stream::open(place)).transpose()?;
    let mut log = LogWatch::new(&place.layout.database());
    let mut last: Option<RunId> = None;
    screen.say("waiting for work");
    while !interrupts.worker_ends() {
        beat(place);
        if let Some(stream) = &mut stream {
            stream.show(&interrupts, &mut screen)?;
        }
        // Before the database is read: what is assigned after that changes the log again.
        log.changed();
        match interrupts.client().run_of(&place.worker)? {
            Some(run) if last.as_ref() != Some(&run.id) => {
                take(place, &interrupts, &mut screen, &run)?;
                last = Some(run.id);
                screen.say("waiting for work");
            }
            // Only here: a signal that ended a run was taken with it, and rings no more.
            Some(_) | None => wait(place, &mut interrupts, stream.as_mut(), &mut log),
        }
        Interrupts::reap();
    }
    screen.say("ends");
    Ok(())
}

fn register(place: &Place, interrupts: &Interrupts) -> Result<(), WorkerError> {
    let id = ProcId::own().map_err(system("read the own process"))?;
    let proc = ProcRef { boot: id.boot_id, pid: id.pid.unsigned_abs(), start: id.start_ticks };
    let pane = std::env::var("TMUX_PANE").ok();
    let started = Event::WorkerStarted { worker: place.worker.clone(), proc, pane };
    // Nobody waits for a worker that is not known: it ends, and its pane says so.
    Ok(deliver::tell(place, interrupts.client(), started)?)
}

/// The heartbeat is the modification time of a file.
pub(super) fn beat(place: &Place) {
    let path = place.layout.heartbeat(&place.worker);
    let touched = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = touched {
        // The runtime directory can be gone for long; nobody is judged for a beat that is not there.
        tracing::debug!(%error, "the heartbeat cannot be written");
    }
}

/// A beat from a loop that is asked many times a second: at most one every few seconds.
pub(super) fn beat_now_and_then(place: &Place) {
    let age = fs::metadata(place.layout.heartbeat(&place.worker)).and_then(|meta| meta.modified());
    if age.map_or(true, |at| at.elapsed().is_ok_and(|age| age > LOOK)) {
        beat(place);
    }
}

/// Waits for a ring or a signal; without either, until the store's log has changed.
fn wait(place: &Place, interrupts: &mut Interrupts, mut stream: Option<&mut Stream>, log: &mut LogWatch) {
    loop {
        let [signals, bell] = interrupts.fds();
        let mut fds = vec![PollFd::new(signals, PollFlags::POLLIN), PollFd::new(bell, PollFlags::POLLIN)];
        if let Some(stream) = &stream {
            fds.push(PollFd::new(std::os::fd::AsFd::as_fd(&stream.bell), PollFlags::POLLIN));
        }
        match poll(&mut fds, timeout(clock::until_common(LOOK))) {
            Ok(0) => {}
            Ok(_) => return,
            Err(errno) => {
                tracing::debug!(%errno, "waiting was interrupted");
                return;
            }
        }
        beat(place);
        interrupts.end_if_stateless();
        let mut missed = interrupts.keep_bell();
        if let Some(stream) = stream.as_deref_mut() {
            missed |= stream.keep_bell();
        }
        if missed || log.changed() {
            return;
        }
    }
}

/// Does one run and reports it.
fn take(place: &Place, interrupts: &Interrupts, screen: &mut Screen, run: &Run) -> Result<(), WorkerError> {
    let (task, stage) = (run.job.task.as_ref(), run.job.stage.as_ref());
    tracing::info!(run = %run.id, ?task, ?stage, "takes a run");
    let directory = place.layout.run(&run.id);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(system("make the run's directory"))?;
    if let Ok(Some(filed)) = crate::store::reports::read(&directory) {
        // Done before, and only the news of it was lost.
        return Ok(deliver::deliver(place, interrupts.client(), &filed)?);
    }
    screen.record(&place.layout.transcript(&run.id)).map_err(system("write the transcript"))?;
    screen.headline(&title(run));
    let (report, spent, at_once) = if run.status == RunStatus::Revoked {
        (Report::Interrupted { reason: "the task went elsewhere".to_owned() }, None, None)
    } else {
        perform(place, interrupts, screen, run)
    };
    screen.say(&outcome(&report));
    leavings::clean(&directory);
    let given = given(place, interrupts.client(), run);
    let filed = Filed { run: run.id.clone(), token: run.token.clone(), report, spent, at_once, given };
    let delivered = deliver::deliver(place, interrupts.client(), &filed);
    screen.stop_recording();
    Ok(delivered?)
}

/// For a database that is made again from an older copy. One that cannot say its name is damaged already.
fn given(place: &Place, client: &Client, run: &Run) -> Option<Box<Given>> {
    let database = client.name();
    let database = database.inspect_err(|error| tracing::warn!(%error, "the database does not say its name"));
    Some(Box::new(Given { database: database.ok()?, worker: place.worker.clone(), job: run.job.clone() }))
}

fn perform(
    place: &Place,
    interrupts: &Interrupts,
    screen: &mut Screen,
    run: &Run,
) -> (Report, Option<Spent>, Option<String>) {
    let frozen = match frozen(place, interrupts.client(), run) {
        Ok(frozen) => frozen,
        Err(reason) => return (Report::Errored { reason }, None, None),
    };
    let (spent, at_once) = (RefCell::new(None), Cell::new(false));
    let (config, session) = (&frozen.0, &frozen.1);
    redact::know(&session.environment());
    redact::know(&config.variables());
    let desk = Desk { place, interrupts, run, config, session, spent: &spent, at_once: &at_once };
    let before = Before::now(&desk);
    let report = match run.job.kind {
        _ if let Some(cause) = &run.job.triage => super::triage::run(&desk, screen, cause),
        StageKind::Work => super::work::run(&desk, screen),
        StageKind::Check | StageKind::Wait => check::run(&desk, screen),
        StageKind::Land => land::run(&desk, screen),
    };
    before.tell(&desk, screen);
    let report = match interrupts.run_ends(&run.id) {
        // A result that is there is worth more than the wish to end.
        Some(why) if !is_result(&report) => Report::Interrupted { reason: interrupted(why).to_owned() },
        Some(_) | None => report,
    };
    let agent = || super::brief::adapter(&desk).ok().flatten().map(|adapter| adapter.name);
    let at_once = if at_once.get() { agent() } else { None };
    (report, spent.take(), at_once)
}

fn is_result(report: &Report) -> bool {
    match report {
        Report::Worked { .. }
        | Report::Checked { .. }
        | Report::Added { .. }
        | Report::Landable { .. }
        | Report::NothingToDo { .. }
        | Report::Blocked { .. }
        | Report::Proposed { .. }
        | Report::Resolved { .. }
        | Report::Overspent { .. }
        | Report::Survived { .. } => true,
        // Under a signal, tools fail for that reason.
        Report::Failed { .. }
        | Report::Errored { .. }
        | Report::Unjudged { .. }
        | Report::Unserved { .. }
        | Report::Interrupted { .. } => false,
    }
}

fn interrupted(why: Why) -> &'static str {
    match why {
        Why::Signal => "the worker was told to end",
        Why::Revoked => "the task went elsewhere",
    }
}

/// The configuration and the session that the feature was frozen with.
fn frozen(place: &Place, client: &Client, run: &Run) -> Result<(Config, Session), String> {
    let text = client.config(&run.job.config).map_err(|error| error.to_string())?;
    let text = text.ok_or("the frozen configuration is missing; `sprint start` writes it again")?;
    let config = serde_json::from_str(&text).map_err(|error| format!("the frozen configuration: {error}"))?;
    let session = Session::read(&place.layout.session()).map_err(|error| error.to_string())?;
    Ok((config, session))
}

fn title(run: &Run) -> String {
    let job = &run.job;
    let title: String = job.title.chars().filter(|c| !c.is_control()).take(100).collect();
    match (&job.task, &job.stage) {
        (Some(task), Some(stage)) => format!("{task} · {stage} · attempt {} · {title}", job.attempt),
        (Some(task), None) => format!("{task} · what to do about it · {title}"),
        (None, _) => "the gates of the base".to_owned(),
    }
}

fn outcome(report: &Report) -> String {
    match report {
        Report::Worked { head, .. } => format!("done: {}", head.short()),
        Report::Checked { verdict, summary, .. } => format!("verdict: {verdict}. {summary}"),
        Report::Added { head, paths, .. } => format!("added as {}: {}", head.short(), paths.join(", ")),
        Report::Unjudged { reason } => format!("no judgement: {reason}"),
        Report::Landable { candidate, .. } => format!("may land: {}", candidate.commit.short()),
        Report::Failed { reason, .. } => format!("failed: {reason}"),
        Report::NothingToDo { reason } => format!("nothing to do: {reason}"),
        Report::Blocked { question } => format!("asks: {question}"),
        Report::Resolved { head, .. } => format!("resolved: {}", head.short()),
        Report::Proposed { proposal } => {
            format!("proposes: {}: {}", proposal.action.as_str(), proposal.text)
        }
        Report::Errored { reason } => format!("could not run: {reason}"),
        Report::Unserved { reason, .. } => format!("not served: {reason}"),
        Report::Overspent { reason, .. } => format!("ended: {reason}"),
        Report::Survived { processes } => format!("would not end: {}", processes.join(", ")),
        Report::Interrupted { reason } => format!("interrupted: {reason}"),
    }
}

/// The manager's pane: the events of the whole sprint.
struct Stream {
    bell: Doorbell,
    seq: i64,
}

impl Stream {
    fn open(place: &Place) -> Result<Self, WorkerError> {
        let bell = Doorbell::bind_or_wait(&place.layout.follower_bell(std::process::id()))
            .map_err(system("make a doorbell"))?;
        Ok(Self { bell, seq: 0 })
    }

    /// As [`Interrupts::keep_bell`].
    fn keep_bell(&mut self) -> bool {
        self.bell.keep().unwrap_or_else(|error| {
            tracing::debug!(%error, "no doorbell for the events; it looks now and then");
            false
        })
    }

    fn show(&mut self, interrupts: &Interrupts, screen: &mut Screen) -> Result<(), WorkerError> {
        self.bell.drain().map_err(system("read the doorbell"))?;
        if self.seq == 0 {
            let newest = interrupts.client().last_event()?;
            self.seq = (newest - 50).max(0);
        }
        for row in interrupts.client().events_after(self.seq, 500)? {
            self.seq = row.seq;
            let who = row.task.or(row.worker).or(row.feature).unwrap_or_default();
            let text: String = row.text.chars().filter(|c| !c.is_control()).take(200).collect();
            screen.say(&format!("{who:<12} {:<16} {text}", row.kind));
        }
        Ok(())
    }
}
