//! Drives a program with its own screen in the pane: it has a terminal of its own, whose other side
//! is here. What it prints goes to the pane, what a person types comes from there; between the two
//! stand the watch (how is it?) and the delivery (a text is to be brought to it).
//!
//! One poll loop, as without a screen. Nothing is typed but at its prompt, and a person who has
//! typed lately is not interrupted. What only a person can answer is told, and stops the clocks.

use std::time::Duration;

use camino::Utf8PathBuf;
use nix::sys::signal::Signal;

use super::brief;
use super::conversation::Talk;
use super::deliver;
use super::life::Desk;
use super::pane::Pane;
use super::port::Port;
use super::remarks::Remarks;
use super::screen::Screen;
use super::spending;
use super::vital::Vital;
use crate::agents::claim::{self, Claim};
use crate::agents::delivery::{Delivery, Manner, Step, View};
use crate::agents::hooks::Spool;
use crate::agents::outcome::{ProgramEnding, Said};
use crate::agents::protocol::Protocol;
use crate::agents::signals::{Sight, SignalRules, Watch};
use crate::agents::stream::{Reader, Rules};
use crate::config::interactive::Interactive;
use crate::config::{Adapter, CliKeys, duration, keys};
use crate::domain::event::Event;
use crate::domain::screen::Stand;
use crate::process::child::{Exit, Spec};
use crate::process::clock::monotonic_ms;
use crate::process::pseudo;

/// Between two looks when nothing happens, in milliseconds.
const LOOK_MS: u64 = 5_000;
/// From the keys that end it to SIGTERM, and from there to SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// A turn is over when nothing has happened for so long after its end, in milliseconds.
const CALM_MS: u64 = 1_000;
/// A person who has typed so lately is not interrupted, in milliseconds.
const PERSON_MS: u64 = 30_000;
/// Between two changes of state that the supervisor is told, in milliseconds; the last one always is.
const TELL_MS: u64 = 200;
/// Where an adapter does not say how long its program may take to be ready, or to accept.
const READY_WAIT: Duration = Duration::from_mins(1);
const ACCEPT_WAIT: Duration = Duration::from_secs(30);

/// What is typed when a turn has ended, nothing was changed and nothing was said.
const REMINDER: &str = "You have ended your turn without a change, and have not said how the task stands. \
Go on with it. If you cannot go on without a decision of a person, run: sprint agent blocked \"your \
question\". When it is done, run: sprint agent done \"what you did\".";

/// What a run with a screen begins with.
pub(super) struct Setting<'a> {
    /// What is started.
    pub(super) spec: &'a Spec,
    /// By which adapter.
    pub(super) adapter: &'a Adapter,
    /// What is typed when it is ready; `None`: it got its prompt as an argument.
    pub(super) typed: Option<&'a str>,
    /// Whether something is in the worktree that was not there before.
    pub(super) changed: &'a dyn Fn() -> bool,
}

/// Runs the program until its turn is over, or something ends it.
///
/// # Errors
/// The adapter's rules cannot be used: only in a configuration that was frozen by another version.
pub(super) fn drive(
    desk: &Desk<'_>,
    screen: &mut Screen,
    setting: &Setting<'_>,
    chat: Talk,
) -> Result<(ProgramEnding, Said), String> {
    let bad = |error| format!("the adapter `{}`: {error}", setting.adapter.name);
    let cli = setting.adapter.cli.as_deref().ok_or("a program without a description has no screen")?;
    let reader = Rules::new(cli).map(Reader::new).map_err(bad)?;
    let watch = Watch::new(SignalRules::new(&cli.screen).map_err(bad)?);
    let run_dir = brief::utf8(&desk.place.layout.run(&desk.run.id))?;
    let pane = Pane::take_over();
    let (running, master) = match pseudo::spawn(setting.spec, pane.size()) {
        Ok(started) => started,
        Err(error) => {
            return Ok((ProgramEnding::NotStarted(crate::error::chain(&error)), Said::default()));
        }
    };
    let manner = manner(&cli.interactive);
    let now = monotonic_ms();
    let mut live = Live {
        desk,
        screen,
        setting,
        cli,
        port: Port::new(running, master, pane),
        watch,
        reader,
        spool: Spool::open(&run_dir, desk.run.token.clone()),
        run_dir,
        protocol: Protocol::default(),
        remarks: Remarks::default(),
        delivery: setting.typed.map(|text| Delivery::new(text, manner.clone())),
        step_ms: now,
        manner,
        vital: Vital::new(setting.adapter.stall),
        told: None,
        clock: Clock { began: now, waited: 0, waits_since: None },
        worked_ms: 0,
        asked_ms: 0,
        idle_ms: None,
        accepted: false,
        reminded: false,
        claimed: false,
    };
    let ending = live.follow();
    Ok(live.finish(ending, chat))
}

fn manner(keys_of: &Interactive) -> Manner {
    let bytes = |names: &[String]| names.iter().filter_map(|name| keys::bytes(name)).flatten().collect();
    let time = |text: &str, otherwise| duration::parse(text).unwrap_or(otherwise);
    Manner {
        clear: bytes(&keys_of.clear),
        submit: bytes(&keys_of.submit),
        settle: time(&keys_of.settle, Duration::from_millis(400)),
        accept_wait: time(&keys_of.accept_wait, ACCEPT_WAIT),
    }
}

struct Live<'a> {
    desk: &'a Desk<'a>,
    screen: &'a mut Screen,
    setting: &'a Setting<'a>,
    cli: &'a CliKeys,
    port: Port,
    watch: Watch,
    /// Reads what hooks tell of failures, usage and the conversation's name.
    reader: Reader,
    spool: Spool,
    run_dir: Utf8PathBuf,
    protocol: Protocol,
    remarks: Remarks,
    delivery: Option<Delivery>,
    /// When its next step is due.
    step_ms: u64,
    manner: Manner,
    vital: Vital,
    /// What the supervisor knows, and since when.
    told: Option<(Sight, u64)>,
    clock: Clock,
    /// When it was last seen at work; monotonic milliseconds, as all times here.
    worked_ms: u64,
    /// When it last waited for a person.
    asked_ms: u64,
    /// Since when its turn is over.
    idle_ms: Option<u64>,
    /// Whether a prompt was accepted.
    accepted: bool,
    reminded: bool,
    /// Whether it has said how the task stands.
    claimed: bool,
}

/// How long the run takes, without what it waits for a person.
struct Clock {
    began: u64,
    waited: u64,
    waits_since: Option<u64>,
}

impl Clock {
    fn waits(&mut self, waits: bool, now: u64) {
        match (self.waits_since, waits) {
            (None, true) => self.waits_since = Some(now),
            (Some(since), false) => {
                self.waited += now - since;
                self.waits_since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    fn ran(&self, now: u64) -> u64 {
        now - self.began - self.waited - self.waits_since.map_or(0, |since| now - since)
    }
}

impl Live<'_> {
    fn follow(&mut self) -> ProgramEnding {
        let first = self.look();
        self.tell(&first);
        loop {
            let keys = !self.delivery.as_ref().is_some_and(Delivery::holds_keys);
            self.port.wait(self.desk.interrupts.fds(), keys, self.next());
            if self.desk.interrupts.take_resized() {
                self.port.resize();
            }
            let printed = self.port.exchange(keys);
            let sight = self.see(printed);
            match self.port.running.try_wait() {
                Ok(Some(exit)) => return self.exited(exit),
                Ok(None) => {}
                Err(error) => return ProgramEnding::NotStarted(format!("it cannot be waited for: {error}")),
            }
            let ending = self.must_end(&sight).or_else(|| self.deliver(&sight)).or_else(|| self.turn(&sight));
            if let Some(ending) = ending {
                self.stop(&ending);
                return ending;
            }
        }
    }

    /// When something is due without anything that happens.
    fn next(&self) -> u64 {
        let now = monotonic_ms();
        let untold = self.told.as_ref().map(|(_, at)| at + TELL_MS).filter(|due| *due > now);
        let step = self.delivery.as_ref().map(|_| self.step_ms);
        let person = if self.port.typed_ms > 0 { self.port.typed_ms + PERSON_MS } else { 0 };
        let calm = self.idle_ms.map(|since| (since + CALM_MS).max(person)).filter(|due| *due > now);
        [untold, step, calm, self.watch.due(now)].into_iter().flatten().fold(now + LOOK_MS, u64::min)
    }

    /// Takes in what has come, and tells the supervisor how the program stands.
    fn see(&mut self, printed: bool) -> Sight {
        self.read_hooks();
        if printed {
            self.vital.sign();
            let gone = self.port.glass.gone();
            self.screen.note(&gone);
            self.watch.glass(self.port.glass.title(), &self.port.glass.lines(), monotonic_ms());
        }
        if let Some(keys) = self.watch.answer() {
            self.screen.note("sprint answers the dialog, as `dialogs` says\n");
            self.port.send(&keys);
        }
        let sight = self.look();
        self.tell(&sight);
        sight
    }

    fn look(&mut self) -> Sight {
        let now = monotonic_ms();
        let sight = self.watch.sight(now);
        if matches!(sight.stand, Stand::Busy | Stand::Retrying) {
            self.worked_ms = now;
            self.accepted = true;
        }
        let asks = sight.stand.needs_a_person();
        if asks {
            self.asked_ms = now;
        }
        let waits = asks || self.person_types(now);
        self.clock.waits(waits, now);
        if waits {
            self.vital.sign();
        }
        self.idle_ms = match (sight.stand, self.idle_ms) {
            (Stand::Idle, None) => Some(now),
            (Stand::Idle, since) => since,
            _ => None,
        };
        sight
    }

    fn read_hooks(&mut self) {
        let events = match self.spool.read() {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(%error, "what hooks told cannot be read; the screen still tells");
                return;
            }
        };
        for event in events {
            self.vital.sign();
            // A whole turn may have gone by between two looks.
            self.worked_ms = monotonic_ms();
            self.watch.hook(&event, monotonic_ms());
            if let Some(text) = self.reader.hook(&event, &self.cli.hooks) {
                self.accepted = true;
                self.protocol.push(format!("{text}\n").as_bytes());
                self.screen.note(&format!("{text}\n"));
            }
        }
    }

    /// The supervisor is told what has changed, and not more often than somebody can read.
    fn tell(&mut self, sight: &Sight) {
        let now = monotonic_ms();
        let news = self.told.as_ref().is_none_or(|(told, _)| told != sight);
        let soon = self.told.as_ref().is_some_and(|(_, at)| now < at + TELL_MS);
        if !news || soon {
            return;
        }
        self.screen.note(&format!("▌ {} ({})\n", sight.stand.word(), sight.source));
        let run = self.desk.run;
        let event = Event::AgentSeen {
            run: run.id.clone(),
            token: run.token.clone(),
            stand: sight.stand,
            source: sight.source.to_owned(),
            text: sight.text.clone(),
        };
        if deliver::remark(self.desk.place, self.desk.interrupts.client(), event) {
            self.told = Some((sight.clone(), now));
        }
    }

    /// What ends a run whatever the program does.
    fn must_end(&mut self, sight: &Sight) -> Option<ProgramEnding> {
        if self.desk.interrupts.run_ends(&self.desk.run.id).is_some() {
            return Some(ProgramEnding::Interrupted);
        }
        // What it has used itself is not known; what others have used of the same budget is.
        if let Some(scope) = self.desk.interrupts.over_budget(&self.desk.run.id) {
            return Some(ProgramEnding::OverBudget(scope));
        }
        self.claimed = self.claimed || self.has_claimed();
        let now = monotonic_ms();
        let timeout = Duration::from_millis(self.desk.run.job.timeout_ms);
        if Duration::from_millis(self.clock.ran(now)) >= timeout {
            return Some(ProgramEnding::TimedOut(timeout));
        }
        let ready_wait = duration::parse(&self.cli.interactive.ready_wait).unwrap_or(READY_WAIT);
        let waits = !self.accepted && !sight.stand.needs_a_person();
        if waits && Duration::from_millis(self.clock.ran(now)) >= ready_wait + self.manner.accept_wait {
            let wait = duration::format(ready_wait + self.manner.accept_wait);
            return Some(ProgramEnding::Unreached(format!(
                "the program has not taken its prompt within {wait}; it shows `{}`",
                self.last_line()
            )));
        }
        self.vital.look(self.desk.place, self.port.running.pid(), &self.setting.spec.cwd);
        self.vital.is_hung().then(|| ProgramEnding::Hung(self.vital.stall()))
    }

    /// Whether it has said how it stands; its remarks go into the history on the way.
    fn has_claimed(&mut self) -> bool {
        if !self.run_dir.join(claim::CLAIMS_FILE).exists() {
            return false;
        }
        let Ok(claims) = claim::read(&self.run_dir, &self.desk.run.token) else { return false };
        self.remarks.tell(self.desk, &claims.claims);
        claims.claims.iter().any(Claim::is_final)
    }

    fn deliver(&mut self, sight: &Sight) -> Option<ProgramEnding> {
        let mut delivery = self.delivery.take()?;
        let now = monotonic_ms();
        if delivery.holds_keys() && !self.port.is_sent() {
            self.delivery = Some(delivery);
            return None;
        }
        delivery.sent(self.port.sent_ms);
        let view = View {
            stand: if self.person_types(now) { Stand::Busy } else { sight.stand },
            changed_ms: self.port.changed_ms,
            worked_ms: self.worked_ms,
            brackets: self.port.glass.brackets(),
        };
        match delivery.step(&view, now) {
            Step::Wait(until) => {
                self.step_ms = until;
                self.delivery = Some(delivery);
            }
            Step::Send(bytes) => {
                self.port.send(&bytes);
                self.step_ms = now;
                self.delivery = Some(delivery);
            }
            Step::Accepted => {
                self.accepted = true;
                self.screen.note("▌ the prompt was accepted\n");
            }
            Step::Lost(why) => return Some(ProgramEnding::Unreached(why)),
        }
        None
    }

    /// An answer to what it asked is no beginning of a text.
    fn person_types(&self, now: u64) -> bool {
        self.port.typed_ms > self.asked_ms && now < self.port.typed_ms + PERSON_MS
    }

    /// Whether the turn is over, and the run with it.
    fn turn(&mut self, sight: &Sight) -> Option<ProgramEnding> {
        let now = monotonic_ms();
        let calm = self.idle_ms.is_some_and(|since| now >= since + CALM_MS);
        if !calm || self.delivery.is_some() || self.person_types(now) || sight.stand != Stand::Idle {
            return None;
        }
        self.reader.screen(&self.port.glass.lines());
        let told = self.claimed || self.protocol.question().is_some() || self.protocol.is_complete();
        if told || self.reader.told().failure.is_some() || self.reminded || (self.setting.changed)() {
            return Some(ProgramEnding::TurnEnded);
        }
        self.reminded = true;
        self.screen.note("▌ nothing is changed and nothing was said: it is asked once to go on\n");
        self.delivery = Some(Delivery::new(REMINDER, self.manner.clone()));
        self.step_ms = now;
        None
    }

    fn last_line(&self) -> String {
        let lines = self.port.glass.lines();
        let last = lines.iter().rev().find(|line| !line.trim().is_empty());
        last.map(|line| line.trim().chars().take(100).collect()).unwrap_or_default()
    }

    fn exited(&mut self, exit: Exit) -> ProgramEnding {
        self.port.exchange(false);
        self.read_hooks();
        match exit {
            // A person has ended it at its prompt: the turn counts.
            Exit::Code(0) if self.idle_ms.is_some() => ProgramEnding::TurnEnded,
            Exit::Code(code) => ProgramEnding::Exited(code),
            Exit::Signal(signal) => ProgramEnding::Signaled(signal),
        }
    }

    /// Its own keys where it stands at its prompt, then SIGTERM, then SIGKILL; the rest of the tree
    /// is the caller's.
    fn stop(&mut self, ending: &ProgramEnding) {
        if *ending == ProgramEnding::TurnEnded {
            let keys: Vec<u8> =
                self.cli.interactive.exit.iter().filter_map(|name| keys::bytes(name)).flatten().collect();
            self.port.send(&keys);
            if self.ends_within(GRACE) {
                return;
            }
        }
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            if let Err(error) = self.port.running.signal_group(signal) {
                tracing::debug!(%error, "the program's group cannot be signalled");
            }
            if self.ends_within(GRACE) {
                return;
            }
        }
    }

    fn ends_within(&mut self, wait: Duration) -> bool {
        let until = monotonic_ms() + u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        while monotonic_ms() < until {
            self.port.wait(self.desk.interrupts.fds(), false, until.min(monotonic_ms() + 100));
            self.port.exchange(false);
            if matches!(self.port.running.try_wait(), Ok(Some(_)) | Err(_)) {
                return true;
            }
        }
        false
    }

    /// What it said last, and its screen as it was at the end.
    fn finish(mut self, ending: ProgramEnding, chat: Talk) -> (ProgramEnding, Said) {
        self.has_claimed();
        let last_words = self.last_line();
        let lines = self.port.glass.lines();
        self.reader.last_screen(&lines);
        let lines = lines.join("\n");
        self.screen.note(&format!("{}\n", lines.trim_end()));
        if let Some(word) = self.protocol.finish() {
            tracing::debug!(?word, "the last line had no end");
        }
        // The pane is a line printer again.
        drop(self.port);
        let failure = chat.end(self.desk, self.setting.adapter, self.screen, &self.reader, &ending);
        let took = Duration::from_millis(monotonic_ms().saturating_sub(self.clock.began));
        spending::note_the_end(self.desk, took, self.accepted || self.protocol.is_complete());
        let said = Said {
            failure,
            weak: self.reader.told().weak.clone(),
            question: self.protocol.question().map(str::to_owned),
            complete: self.protocol.is_complete(),
            last_words,
        };
        (ending, said)
    }
}
