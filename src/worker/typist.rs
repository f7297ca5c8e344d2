//! A program at its own screen: how it stands, and texts that are typed into it. Knows nothing of
//! tasks and runs.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::pane::Pane;
use super::port::Port;
use crate::agents::delivery::{Delivery, Manner, Step, View};
use crate::agents::signals::{Sight, SignalRules, Watch};
use crate::agents::stopped::Stopped;
use crate::config::interactive::Interactive;
use crate::config::{CliKeys, duration, keys};
use crate::domain::screen::Stand;
use crate::process::child::Spec;
use crate::process::clock::monotonic_ms;
use crate::process::pseudo;

/// A person who has typed so lately is not interrupted, in milliseconds.
const PERSON_MS: u64 = 30_000;
/// So long a program draws its screen anew when its size has changed, in milliseconds: what comes and
/// goes meanwhile tells nothing.
const DRAW_MS: u64 = 300;
/// Where an adapter does not say how long its program may take to accept, and what it needs between
/// a text and the key that submits it.
const ACCEPT_WAIT: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_millis(400);

/// The program, its screen, and the text that is on its way to it.
pub(super) struct Typist {
    pub(super) port: Port,
    pub(super) watch: Watch,
    pub(super) manner: Manner,
    delivery: Option<Delivery>,
    stopped: Stopped,
    /// When its next step is due; monotonic milliseconds, as all times here.
    step_ms: u64,
    /// When the program was last seen at work.
    worked_ms: u64,
    /// When it last waited for a person.
    asked_ms: u64,
    /// Whether its screen has changed since it was read.
    unseen: bool,
}

impl Typist {
    /// Starts the program on this pane.
    ///
    /// # Errors
    /// In words: the adapter's rules cannot be used, or the program cannot be started.
    pub(super) fn start(spec: &Spec, cli: &CliKeys, pane: Pane) -> Result<Self, Refused> {
        let rules = SignalRules::new(&cli.screen).map_err(|error| Refused::Rules(error.to_string()))?;
        let (running, master) =
            pseudo::spawn(spec, pane.size()).map_err(|error| Refused::Start(crate::error::chain(&error)))?;
        Ok(Self {
            port: Port::new(running, master, pane),
            watch: Watch::new(rules),
            manner: manner(&cli.interactive),
            delivery: None,
            stopped: Stopped::default(),
            step_ms: 0,
            worked_ms: 0,
            asked_ms: 0,
            unseen: false,
        })
    }

    /// Brings this text to the program as soon as it takes one.
    pub(super) fn type_in(&mut self, text: &str) {
        self.delivery = Some(Delivery::new(text, self.manner.clone()));
        self.step_ms = monotonic_ms();
    }

    /// Whether a text is on its way.
    pub(super) fn types(&self) -> bool {
        self.delivery.is_some()
    }

    /// Waits until something happens, or until then.
    pub(super) fn wait(&self, others: &[BorrowedFd<'_>], until_ms: u64) {
        let now = monotonic_ms();
        let step = self.delivery.as_ref().map(|_| self.step_ms);
        let drawn = Some(self.drawn_ms()).filter(|due| self.unseen && *due > now);
        let until = [step, drawn, self.watch.due(now)].into_iter().flatten().fold(until_ms, u64::min);
        self.port.wait(others, self.takes_keys(), until);
    }

    /// Takes in what the program prints and what a person types. Whether it has printed anything.
    pub(super) fn exchange(&mut self) -> bool {
        let printed = self.port.exchange(self.takes_keys());
        self.unseen |= printed;
        let now = monotonic_ms();
        if self.unseen && now < self.drawn_ms() {
            self.watch.drawn_anew(self.port.glass.reads());
        } else if self.unseen {
            self.unseen = false;
            if self.watch.lines_read(self.port.glass.reads()) {
                self.worked_ms = now;
            }
            self.watch.glass(self.port.glass.title(), &self.port.glass.lines(), now);
        }
        printed
    }

    /// Until when it draws its screen anew, after its size has changed.
    fn drawn_ms(&self) -> u64 {
        if self.port.resized_ms == 0 { 0 } else { self.port.resized_ms + DRAW_MS }
    }

    /// Between the pieces of a text nobody else types.
    fn takes_keys(&self) -> bool {
        !self.delivery.as_ref().is_some_and(Delivery::holds_keys)
    }

    /// How the program stands now.
    pub(super) fn look(&mut self) -> Sight {
        let now = monotonic_ms();
        // A turn is stopped by a key, or by an answer to a question, which only the screen tells.
        let stopped_ms = self.port.stopped_ms.max(self.watch.stopped_ms());
        let sight = self.stopped.look(self.watch.sight(now), stopped_ms, self.worked_ms, now);
        if matches!(sight.stand, Stand::Busy | Stand::Retrying) {
            self.worked_ms = now;
        }
        if sight.stand.needs_a_person() {
            self.asked_ms = now;
        }
        sight
    }

    /// A hook has come: a whole turn may have gone by between two looks. That it is ready for a
    /// prompt, or something that is no state, shows no work.
    pub(super) fn hears(&mut self, event: &serde_json::Value) {
        let now = monotonic_ms();
        if self.watch.hook(event, now).is_some_and(|stand| stand != Stand::Ready) {
            self.worked_ms = now;
        }
    }

    /// Whether a person has stopped its turn, and has not said what is to follow.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.holds()
    }

    /// Whether it was ever seen at work.
    pub(super) fn has_worked(&self) -> bool {
        self.worked_ms > 0
    }

    /// The next step of the text that is on its way: nothing, its acceptance, or why it is lost.
    pub(super) fn step(&mut self, sight: &Sight) -> Option<Result<(), String>> {
        let mut delivery = self.delivery.take()?;
        let now = monotonic_ms();
        if delivery.holds_keys() && !self.port.is_sent() {
            self.delivery = Some(delivery);
            return None;
        }
        delivery.sent(self.port.sent_ms);
        let view = View {
            stand: if self.person_types() { Stand::Busy } else { sight.stand },
            changed_ms: self.port.changed_ms,
            worked_ms: self.worked_ms,
            brackets: self.port.glass.brackets(),
        };
        match delivery.step(&view, now) {
            Step::Wait(until) => self.step_ms = until,
            Step::Send(bytes) => {
                self.port.send(&bytes);
                self.step_ms = now;
            }
            Step::Accepted => return Some(Ok(())),
            Step::Lost(why) => return Some(Err(why)),
        }
        self.delivery = Some(delivery);
        None
    }

    /// Whether a person is at it. An answer to what the program asked is no beginning of a text.
    pub(super) fn person_types(&self) -> bool {
        self.port.typed_ms > self.asked_ms && monotonic_ms() < self.person_until()
    }

    /// Until when a person who has typed is not interrupted.
    pub(super) fn person_until(&self) -> u64 {
        if self.port.typed_ms == 0 { 0 } else { self.port.typed_ms + PERSON_MS }
    }

    /// What its screen shows last.
    pub(super) fn last_line(&self) -> String {
        let lines = self.port.glass.lines();
        let last = lines.iter().rev().find(|line| !line.trim().is_empty());
        last.map(|line| line.trim().chars().take(100).collect()).unwrap_or_default()
    }
}

/// Why there is no program.
pub(super) enum Refused {
    /// Its adapter.
    Rules(String),
    /// The system.
    Start(String),
}

fn manner(keys_of: &Interactive) -> Manner {
    let time = |text: &str, otherwise| duration::parse(text).unwrap_or(otherwise);
    Manner {
        clear: pressed(&keys_of.clear),
        submit: pressed(&keys_of.submit),
        settle: time(&keys_of.settle, SETTLE),
        accept_wait: time(&keys_of.accept_wait, ACCEPT_WAIT),
    }
}

/// The bytes of keys.
pub(super) fn pressed(names: &[String]) -> Vec<u8> {
    names.iter().filter_map(|name| keys::bytes(name)).flatten().collect()
}
