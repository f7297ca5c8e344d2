//! Whether the run is to end: a signal came, or the supervisor revoked it.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::domain::budget::Scope;
use crate::domain::ids::RunId;
use crate::process::doorbell::Doorbell;
use crate::process::signals::Signals;
use crate::process::subreaper;
use crate::store::{Client, LogWatch, Orders};

/// Between two looks at the store's log while a run goes on, should a ring be lost.
const LOOK: Duration = Duration::from_secs(5);

/// Why a run is to end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// SIGHUP, SIGTERM or SIGINT, or nobody will ever read a report: the worker ends too.
    Signal,
    /// The task went elsewhere; the worker stays.
    Revoked,
}

/// Signals and doorbell of this worker.
pub(super) struct Interrupts {
    signals: Signals,
    bell: Doorbell,
    client: Client,
    ended: Cell<bool>,
    revoked: RefCell<Option<RunId>>,
    /// The run whose model is to be ended, and the budget that is used up.
    over: RefCell<Option<(RunId, Scope)>>,
    /// Rung since somebody last asked.
    rung: Cell<bool>,
    /// The pane has got another size since somebody last asked.
    resized: Cell<bool>,
    log: RefCell<LogWatch>,
    looked: Cell<Instant>,
}

impl Interrupts {
    pub(super) fn new(signals: Signals, bell: Doorbell, client: Client) -> Self {
        Self {
            log: RefCell::new(LogWatch::new(client.path())),
            looked: Cell::new(Instant::now()),
            signals,
            bell,
            client,
            ended: Cell::new(false),
            revoked: RefCell::new(None),
            over: RefCell::new(None),
            rung: Cell::new(false),
            resized: Cell::new(false),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// What to poll for input: a signal, or a ring.
    pub(super) fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.signals.as_fd(), self.bell.as_fd()]
    }

    /// Puts the doorbell up again where it is gone; true if it had to, and a ring may be lost.
    pub(super) fn keep_bell(&mut self) -> bool {
        self.bell.keep().unwrap_or_else(|error| {
            tracing::debug!(%error, "no doorbell; it looks now and then");
            false
        })
    }

    /// Whether the worker itself is to end.
    pub(super) fn worker_ends(&self) -> bool {
        self.look();
        self.ended.get()
    }

    /// Whether this run is to end. Cheap as long as nobody rings and nothing is written.
    pub(super) fn run_ends(&self, run: &RunId) -> Option<Why> {
        self.look();
        if self.ended.get() {
            return Some(Why::Signal);
        }
        if self.rung.replace(false) || self.log_has_changed() {
            match self.client.orders_of(run) {
                Ok(Orders { active: false, .. }) => *self.revoked.borrow_mut() = Some(run.clone()),
                Ok(Orders { over: None, .. }) => {}
                Ok(Orders { over: Some(scope), .. }) => {
                    *self.over.borrow_mut() = Some((run.clone(), scope));
                }
                Err(error) => {
                    tracing::warn!(%error, "whether the run still counts cannot be read now");
                    self.rung.set(true);
                }
            }
        }
        (self.revoked.borrow().as_ref() == Some(run)).then_some(Why::Revoked)
    }

    /// The budget because of which the run's model is to be ended, as of the last [`Self::run_ends`].
    pub(super) fn over_budget(&self, run: &RunId) -> Option<Scope> {
        self.over.borrow().as_ref().filter(|(id, _)| id == run).map(|(_, scope)| *scope)
    }

    /// Without the state directory there is nobody to work for.
    pub(super) fn end_if_stateless(&self) {
        if self.client.is_lost() {
            tracing::error!("the state directory is gone; the worker ends");
            self.ended.set(true);
        }
    }

    fn log_has_changed(&self) -> bool {
        if self.looked.get().elapsed() < LOOK {
            return false;
        }
        self.looked.set(Instant::now());
        self.end_if_stateless();
        self.log.borrow_mut().changed()
    }

    /// Takes what has come. Orphans of runs, whose reaper we are, are taken away too.
    fn look(&self) {
        while let Ok(Some(signal)) = self.signals.next() {
            match signal {
                Signal::SIGCHLD => {}
                Signal::SIGWINCH => self.resized.set(true),
                _ => self.ended.set(true),
            }
        }
        match self.bell.drain() {
            Ok(0) => {}
            Ok(_) => self.rung.set(true),
            Err(error) => tracing::warn!(%error, "the doorbell cannot be read"),
        }
    }

    /// Whether the pane has got another size since the last call.
    pub(super) fn take_resized(&self) -> bool {
        self.look();
        self.resized.replace(false)
    }

    /// Takes away dead orphans that no child handle waits for.
    pub(super) fn reap() {
        if let Err(error) = subreaper::reap_orphans(&[]) {
            tracing::debug!(%error, "orphans cannot be reaped now");
        }
    }
}
