//! Drives a program with its own screen in the pane: it has a terminal of its own, whose other side
//! is here. What it prints goes to the pane, what a person types comes from there; between the two
//! stand the watch (how is it?) and the delivery (a text is to be brought to it).
//!
//! One poll loop, as without a screen. Nothing is typed but at its prompt, and a person who has
//! typed lately is not interrupted. What only a person can answer is told, and stops the clocks.

use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use nix::sys::signal::Signal;

use super::brief;
use super::conversation::{self, Talk};
use super::deliver;
use super::life::Desk;
use super::pane::Pane;
use super::remarks::Remarks;
use super::screen::Screen;
use super::spending;
use super::typist::{Refused, Typist, pressed};
use super::vital::Vital;
use crate::agents::claim::{self, Claim};
use crate::agents::hooks::Spool;
use crate::agents::outcome::{ProgramEnding, Said};
use crate::agents::patience::Patience;
use crate::agents::protocol::Protocol;
use crate::agents::signals::Sight;
use crate::agents::stream::{Reader, Rules};
use crate::config::cli_agent::ShowAs;
use crate::config::{Adapter, CliKeys, duration};
use crate::domain::event::Event;
use crate::domain::screen::Stand;
use crate::process::child::{Exit, Spec};
use crate::process::clock::monotonic_ms;
use crate::process::limits::Excess;

/// Between two looks when nothing happens, in milliseconds.
const LOOK_MS: u64 = 5_000;
/// From the keys that end it to SIGTERM, and from there to SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// A turn is over when nothing has happened for so long after its end, in milliseconds.
const CALM_MS: u64 = 1_000;
/// Between two changes of state that the supervisor is told, in milliseconds; the last one always is.
const TELL_MS: u64 = 200;
/// Where an adapter does not say how long its program may take to be ready.
const READY_WAIT: Duration = Duration::from_mins(1);

/// What is typed when a turn has ended, nothing was changed and nothing was said.
const REMINDER: &str = "You have ended your turn without a change, and have not said how the task stands. \
Go on with it. If you cannot go on without a decision of a person, run: sprint agent blocked \"your \
question\". In the end say how it stands in the way that you were told at first: that it is done, your verdict, or \
your proposal.";

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
    let run_dir = brief::utf8(&desk.place.layout.run(&desk.run.id))?;
    let mut typist = match Typist::start(setting.spec, cli, Pane::take_over()) {
        Ok(typist) => typist,
        Err(Refused::Start(why)) => return Ok((ProgramEnding::NotStarted(why), Said::default())),
        Err(Refused::Rules(why)) => return Err(format!("the adapter `{}`: {why}", setting.adapter.name)),
    };
    if let Some(text) = setting.typed {
        typist.type_in(text);
    }
    let mut live = Live {
        desk,
        screen,
        setting,
        cli,
        typist,
        reader,
        spool: Spool::open(&run_dir, desk.run.token.clone(), &cli.hooks),
        run_dir,
        protocol: Protocol::default(),
        remarks: Remarks::default(),
        vital: Vital::new(setting.adapter.stall),
        patience: Patience::new(setting.adapter.stall),
        told: None,
        clock: Clock { began: monotonic_ms(), waited: 0, waits_since: None },
        idle_ms: None,
        accepted: false,
        reminded: false,
        claimed: false,
    };
    let ending = live.follow();
    Ok(live.finish(ending, chat))
}

struct Live<'a> {
    desk: &'a Desk<'a>,
    screen: &'a mut Screen,
    setting: &'a Setting<'a>,
    cli: &'a CliKeys,
    typist: Typist,
    /// Reads what hooks tell of failures, usage and the conversation's name.
    reader: Reader,
    spool: Spool,
    run_dir: Utf8PathBuf,
    protocol: Protocol,
    remarks: Remarks,
    vital: Vital,
    patience: Patience,
    /// What the supervisor knows, and since when.
    told: Option<(Sight, u64)>,
    clock: Clock,
    /// Since when its turn is over; monotonic milliseconds, as all times here.
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
            self.typist.wait(&self.desk.interrupts.fds(), self.next());
            if self.desk.interrupts.take_resized() {
                self.typist.port.resize();
            }
            let printed = self.typist.exchange();
            let sight = self.see(printed);
            match self.typist.port.running.try_wait() {
                Ok(Some(exit)) => {
                    let excess = self.typist.port.running.last_excess();
                    return match excess {
                        Some(excess) => self.crush(excess),
                        None => self.exited(exit),
                    };
                }
                Ok(None) => {}
                Err(error) => return ProgramEnding::NotStarted(format!("it cannot be waited for: {error}")),
            }
            if let Some(excess) = self.typist.port.running.excess() {
                return self.crush(excess);
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
        let calm = self.idle_ms.map(|since| (since + CALM_MS).max(self.typist.person_until()));
        let later = |due: &u64| *due > now;
        let look = self.typist.port.running.next_look().and_then(|look| u64::try_from(look.as_millis()).ok());
        let look = now + look.unwrap_or(LOOK_MS);
        [untold, calm.filter(later)].into_iter().flatten().fold(look, u64::min)
    }

    /// Takes in what has come, and tells the supervisor how the program stands.
    fn see(&mut self, printed: bool) -> Sight {
        self.read_hooks();
        if printed {
            self.vital.sign();
            let gone = self.typist.port.glass.gone();
            self.screen.note(&gone);
        }
        if let Some(keys) = self.typist.watch.answer() {
            self.screen.note("sprint answers the dialog, as `dialogs` says\n");
            self.typist.port.send(&keys);
        }
        let sight = self.look();
        self.tell(&sight);
        sight
    }

    fn look(&mut self) -> Sight {
        let now = monotonic_ms();
        let sight = self.typist.look();
        self.accepted |= self.typist.has_worked();
        let waits = sight.stand.needs_a_person() || self.typist.person_types();
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
            self.typist.hears(&event);
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
        if waits && Duration::from_millis(self.clock.ran(now)) >= ready_wait + self.typist.manner.accept_wait
        {
            let wait = duration::format(ready_wait + self.typist.manner.accept_wait);
            return Some(ProgramEnding::Unreached(format!(
                "the program has not taken its prompt within {wait}; it shows `{}`",
                self.typist.last_line()
            )));
        }
        let own = self.desk.place.layout.run(&self.desk.run.id);
        self.vital.look(self.desk.place, self.typist.port.running.pid(), &self.setting.spec.cwd, &own);
        if self.vital.is_hung() {
            return Some(ProgramEnding::Hung(self.vital.stall()));
        }
        self.only_tries(sight.stand).then(|| {
            self.reader.gave_up(&self.patience.words());
            ProgramEnding::TurnEnded
        })
    }

    /// Whether it has done nothing for too long but try its service again.
    fn only_tries(&mut self, stand: Stand) -> bool {
        let now = Instant::now();
        match stand {
            Stand::Retrying => return self.patience.tries(now),
            Stand::Busy => self.patience.works(now),
            _ => self.patience.is_served(),
        }
        false
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
        match self.typist.step(sight)? {
            Ok(()) => {
                self.accepted = true;
                self.screen.note("▌ the prompt was accepted\n");
                None
            }
            Err(why) => Some(ProgramEnding::Unreached(why)),
        }
    }

    /// Whether the turn is over, and the run with it.
    fn turn(&mut self, sight: &Sight) -> Option<ProgramEnding> {
        let now = monotonic_ms();
        let calm = self.idle_ms.is_some_and(|since| now >= since + CALM_MS);
        if !calm || self.typist.types() || self.typist.person_types() || sight.stand != Stand::Idle {
            return None;
        }
        let told = self.read_screen() || self.claimed;
        if told || self.reader.told().failure.is_some() || self.reminded || (self.setting.changed)() {
            return Some(ProgramEnding::TurnEnded);
        }
        self.reminded = true;
        self.screen.note("▌ nothing is changed and nothing was said: it is asked once to go on\n");
        self.typist.type_in(REMINDER);
        None
    }

    /// What only the screen tells of the turn. Whether it has said how the task stands.
    fn read_screen(&mut self) -> bool {
        let lines = self.typist.port.glass.lines();
        self.reader.screen(&lines);
        let said = self.reader.said_on(&lines).map(|said| format!("{said}\n")).unwrap_or_default();
        if self.cli.headless.result.is_empty() {
            self.protocol.push(said.as_bytes());
            return self.protocol.has_spoken();
        }
        // It tells the same in a file, once it has ended.
        let mut seen = Protocol::default();
        seen.push(said.as_bytes());
        self.protocol.has_spoken() || seen.has_spoken()
    }

    /// What it has written about its run when it has ended.
    fn read_result(&mut self) {
        let Some(bytes) = conversation::result(self.desk, self.setting.adapter) else { return };
        for shown in self.reader.result(&bytes).into_iter().filter(|shown| shown.kind == ShowAs::Text) {
            self.protocol.push(format!("{}\n", shown.text).as_bytes());
        }
    }

    fn exited(&mut self, exit: Exit) -> ProgramEnding {
        self.typist.exchange();
        self.read_hooks();
        match exit {
            // A person has ended it at its prompt: the turn counts.
            Exit::Code(0) if self.idle_ms.is_some() || self.typist.is_stopped() => ProgramEnding::TurnEnded,
            Exit::Code(code) => ProgramEnding::Exited(code),
            Exit::Signal(signal) => ProgramEnding::Signaled(signal),
        }
    }

    /// It has used more than it may: no warning, and nothing of it is waited for.
    fn crush(&mut self, excess: Excess) -> ProgramEnding {
        if let Err(error) = self.typist.port.running.crush() {
            tracing::warn!(%error, "a program that uses too much cannot be killed; its tree is ended next");
        }
        self.screen.note(&format!("▌ the program is ended: {excess}\n"));
        ProgramEnding::OverLimit(excess.to_string())
    }

    /// Its own keys where it stands at its prompt, then SIGTERM, then SIGKILL; the rest of the tree
    /// is the caller's.
    fn stop(&mut self, ending: &ProgramEnding) {
        if *ending == ProgramEnding::TurnEnded {
            self.typist.port.send(&pressed(&self.cli.interactive.exit));
            if self.ends_within(GRACE) {
                return;
            }
        }
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            if let Err(error) = self.typist.port.running.signal_group(signal) {
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
            self.typist.port.wait(&self.desk.interrupts.fds(), false, until.min(monotonic_ms() + 100));
            self.typist.exchange();
            if matches!(self.typist.port.running.try_wait(), Ok(Some(_)) | Err(_)) {
                return true;
            }
        }
        false
    }

    /// What it said last, and its screen as it was at the end.
    fn finish(mut self, ending: ProgramEnding, chat: Talk) -> (ProgramEnding, Said) {
        self.has_claimed();
        let last_words = self.typist.last_line();
        let lines = self.typist.port.glass.lines();
        self.reader.last_screen(&lines);
        if matches!(ending, ProgramEnding::Exited(_)) {
            // In the middle of a turn, or before the first.
            self.reader.screen(&lines);
        }
        let lines = lines.join("\n");
        self.screen.note(&format!("{}\n", lines.trim_end()));
        self.read_result();
        if let Some(word) = self.protocol.finish() {
            tracing::debug!(?word, "the last line had no end");
        }
        // That a hook names the conversation shows nothing: it is the name that the program was given.
        // Who was typing has ended it.
        let silent = !(self.accepted || self.claimed || self.typist.person_types());
        // The pane is a line printer again.
        drop(self.typist);
        let ended = (&ending, silent);
        let closed = chat.end(self.desk, self.setting.adapter, self.screen, &self.reader, ended);
        let took = Duration::from_millis(monotonic_ms().saturating_sub(self.clock.began));
        let said = self.accepted || self.protocol.is_complete();
        spending::note_the_end(self.desk, took, (said, closed.failure.as_ref()));
        let said = Said {
            failure: closed.failure,
            weak: self.reader.told().weak.clone(),
            question: self.protocol.question().map(str::to_owned),
            complete: self.protocol.is_complete(),
            review: self.protocol.review(),
            proposal: self.protocol.proposal().cloned(),
            version: String::new(),
            last_words,
            forgotten: closed.forgotten,
        };
        (ending, said)
    }
}
