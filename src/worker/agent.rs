//! Drives an agent's program as a child: output, protocol, claims, clocks, the end.
//!
//! One poll loop for the child's output, its exit, signals and the doorbell. It never blocks on
//! the pane, and silence alone ends nobody: *hung* means no output, no CPU in the tree and no
//! change in the worktree.

use std::path::Path;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::brief::{NoOrder, Order};
use super::conversation::{self, Talk};
use super::deliver;
use super::interactive::{self, Setting};
use super::life::Desk;
use super::remarks::Remarks;
use super::screen::Screen;
use super::spending::{self, Spending};
use super::unclear;
use super::vital::{LOOK, Vital};
use crate::agents::claim::{self, Claim};
use crate::agents::last_words::LastWords;
use crate::agents::outcome::{ProgramEnding, Said};
use crate::agents::patience::Patience;
use crate::agents::protocol::{Protocol, Signal as Word};
use crate::agents::stream::{Failure, Reader, Rules, Shown};
use crate::config::cli_agent::{ShowAs, Trouble};
use crate::config::{Adapter, AgentMode};
use crate::domain::budget::{Scope, Used};
use crate::domain::event::Event;
use crate::domain::screen::Stand;
use crate::git::worktree::Worktree;
use crate::process::child::{self, Exit, Read, Running, Stream};
use crate::process::limits::Excess;

/// A program that has said how it stands and does not exit is ended after this.
const AFTER_CLAIM: Duration = Duration::from_secs(10);
/// Between two changes that the supervisor is told.
const TELL: Duration = Duration::from_secs(1);
/// Characters of what it says about its service.
const TOLD_MAX: usize = 300;
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// How long output may still come after the program's exit, from what it left behind.
const DRAIN: Duration = Duration::from_millis(500);

/// What makes a run's command, for a conversation.
type Ordered<'a> = &'a dyn Fn(&Talk) -> Result<Order, NoOrder>;

/// Asks the program, in the conversation of before where there is one. A program that does not know
/// that one any more is asked again in a new one, within the same run: what it is told has everything
/// in it.
///
/// # Errors
/// As [`drive`], and those of `order`.
pub(super) fn ask(
    desk: &Desk<'_>,
    screen: &mut Screen,
    adapter: &Adapter,
    worktree: &Worktree,
    (order, changed): (Ordered<'_>, &dyn Fn() -> bool),
) -> Result<(ProgramEnding, Said), String> {
    let begin = |screen: &mut Screen| {
        let chat = Talk::begin(desk, adapter, worktree);
        match order(&chat) {
            Ok(order) => drive(desk, screen, adapter, &order, (chat, changed)),
            Err(NoOrder::Program(error)) => {
                Ok((ProgramEnding::NoProgram(crate::error::chain(&error)), Said::default()))
            }
            Err(NoOrder::Other(reason)) => Err(reason),
        }
    };
    let (ending, said) = begin(screen)?;
    if !said.forgotten {
        return Ok((ending, said));
    }
    screen.say(&format!(
        "{} does not know the conversation of before any more: another one begins",
        adapter.name
    ));
    begin(screen)
}

/// Runs the program to its end.
///
/// # Errors
/// The adapter's rules cannot be used: only in a configuration that was frozen by another version.
fn drive(
    desk: &Desk<'_>,
    screen: &mut Screen,
    adapter: &Adapter,
    order: &Order,
    talk: (Talk, &dyn Fn() -> bool),
) -> Result<(ProgramEnding, Said), String> {
    let (ending, mut said) = follow_to_the_end(desk, screen, adapter, order, talk)?;
    if unclear::may_be_its_version(&ending, &said) {
        said.version = unclear::version(adapter, &order.spec);
    }
    Ok((ending, said))
}

fn follow_to_the_end(
    desk: &Desk<'_>,
    screen: &mut Screen,
    adapter: &Adapter,
    order: &Order,
    (chat, changed): (Talk, &dyn Fn() -> bool),
) -> Result<(ProgramEnding, Said), String> {
    if adapter.mode == AgentMode::Interactive && adapter.cli.is_some() {
        let Order { spec, typed } = order;
        let setting = Setting { spec, adapter, typed: typed.as_deref(), changed };
        return interactive::drive(desk, screen, &setting, chat);
    }
    let spec = &order.spec;
    let reader = adapter.cli.as_ref().map(|cli| Rules::new(cli).map(Reader::new)).transpose();
    let reader = reader.map_err(|error| format!("the adapter `{}`: {error}", adapter.name))?;
    if desk.interrupts.run_ends(&desk.run.id).is_none()
        && let Some(scope) = desk.interrupts.over_budget(&desk.run.id)
    {
        // While the gates ran, others have used it up.
        return Ok((ProgramEnding::OverBudget(scope), Said::default()));
    }
    let running = match child::spawn(spec) {
        Ok(running) => running,
        Err(error) => {
            desk.at_once.set(adapter.cli.is_some());
            return Ok((ProgramEnding::NotStarted(crate::error::chain(&error)), Said::default()));
        }
    };
    let mut drive = Drive {
        desk,
        adapter,
        chat,
        spending: Spending::begun(desk, adapter),
        screen,
        running,
        protocol: Protocol::default(),
        last_words: LastWords::default(),
        reader,
        worktree: &spec.cwd,
        timeout: Duration::from_millis(desk.run.job.timeout_ms),
        began: Instant::now(),
        vital: Vital::new(adapter.stall),
        patience: Patience::new(adapter.stall),
        gives_up: false,
        end_at: None,
        remarks: Remarks::default(),
        told: None,
    };
    let mut ending = drive.follow();
    drive.screen.end_output();
    let took = drive.began.elapsed();
    // What it said last: once the report is in, the run is over and takes no remark.
    let claimed = drive.has_claimed();
    if let Some(reader) = drive.reader.as_mut() {
        let shown = conversation::result(desk, adapter).map(|bytes| reader.result(&bytes));
        drive.show(&shown.unwrap_or_default());
    }
    let weak = drive.reader.as_ref().and_then(|reader| reader.told().weak.clone());
    if ending == ProgramEnding::EndedAfterClaim && !claimed && drive.tells_its_end() {
        ending = ProgramEnding::TurnEnded;
    }
    let (reader, chat) = (drive.reader.take(), drive.chat);
    let closed = reader.map(|reader| {
        // Before it has named the conversation it does not know it.
        let silent = reader.told().session.is_none() && !reader.told().done;
        chat.end(desk, adapter, drive.screen, &reader, (&ending, silent))
    });
    let (failure, forgotten) = closed.map_or((None, false), |closed| (closed.failure, closed.forgotten));
    if let Some(scope) = own_limit(desk, failure.as_ref()) {
        ending = ProgramEnding::OverBudget(scope);
    }
    if adapter.cli.is_some() {
        let said = drive.protocol.has_spoken();
        spending::note_the_end(desk, took, (said, failure.as_ref()));
    }
    let said = Said {
        failure,
        weak,
        question: drive.protocol.question().map(str::to_owned),
        complete: drive.protocol.is_complete(),
        review: drive.protocol.review(),
        proposal: drive.protocol.proposal().cloned(),
        version: String::new(),
        last_words: drive.last_words.line(),
        forgotten: forgotten && !drive.protocol.has_spoken() && !claimed,
    };
    Ok((ending, said))
}

struct Drive<'a> {
    desk: &'a Desk<'a>,
    adapter: &'a Adapter,
    chat: Talk,
    spending: Spending,
    screen: &'a mut Screen,
    running: Running,
    protocol: Protocol,
    last_words: LastWords,
    /// Of a model's program: reads its stream.
    reader: Option<Reader>,
    worktree: &'a Path,
    timeout: Duration,
    began: Instant,
    vital: Vital,
    patience: Patience,
    /// Whether it has done nothing for too long but try its service again.
    gives_up: bool,
    /// When a program that has said how it stands is ended.
    end_at: Option<Instant>,
    remarks: Remarks,
    /// How it stands, as far as the supervisor was told.
    told: Option<(Stand, Instant)>,
}

impl Drive<'_> {
    fn follow(&mut self) -> ProgramEnding {
        loop {
            self.wait();
            self.read_all();
            match self.running.try_wait() {
                Ok(Some(exit)) => {
                    self.drain();
                    if let Some(excess) = self.running.last_excess() {
                        return self.crush(excess);
                    }
                    return match exit {
                        Exit::Code(code) => ProgramEnding::Exited(code),
                        Exit::Signal(signal) => ProgramEnding::Signaled(signal),
                    };
                }
                Ok(None) => {}
                Err(error) => return ProgramEnding::NotStarted(format!("it cannot be waited for: {error}")),
            }
            if let Some(excess) = self.running.excess() {
                return self.crush(excess);
            }
            if let Some(ending) = self.must_end() {
                self.stop(matches!(ending, ProgramEnding::OverBudget(_)));
                return ending;
            }
        }
    }

    /// Waits for output, the exit, a signal, a ring, or the next look.
    fn wait(&self) {
        let [signals, bell] = self.desk.interrupts.fds();
        let mut fds = vec![
            PollFd::new(self.running.pidfd(), PollFlags::POLLIN),
            PollFd::new(signals, PollFlags::POLLIN),
            PollFd::new(bell, PollFlags::POLLIN),
        ];
        let streams = [self.running.stream(Stream::Out), self.running.stream(Stream::Err)];
        fds.extend(streams.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let now = Instant::now();
        let look = self.running.next_look().unwrap_or(LOOK);
        let deadlines = [Some(now + look), Some(self.began + self.timeout), self.end_at];
        let next = deadlines.into_iter().flatten().min().unwrap_or(now);
        let millis = next.saturating_duration_since(now).as_millis();
        let wait = PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX).saturating_add(1));
        if let Err(errno) = poll(&mut fds, wait) {
            tracing::debug!(%errno, "waiting for a program was interrupted");
        }
    }

    fn read_all(&mut self) {
        let mut buffer = vec![0u8; 64 * 1024];
        for stream in [Stream::Out, Stream::Err] {
            // One piece a turn: a flood of one stream does not keep the other, or the clocks, waiting.
            match self.running.read(stream, &mut buffer) {
                Ok(Read::Bytes(count)) => self.take(stream, &buffer[..count]),
                Ok(Read::WouldBlock | Read::Eof) => {}
                Err(error) => {
                    tracing::warn!(%error, "a program's output cannot be read any more");
                    self.running.close(stream);
                }
            }
        }
    }

    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        self.vital.sign();
        let unserved = self.unserved();
        let shown = match (&mut self.reader, stream) {
            (Some(reader), Stream::Out) => reader.out(bytes),
            (Some(reader), Stream::Err) => reader.err(bytes),
            (None, _) => {
                self.screen.output(stream, bytes);
                self.last_words.push(stream, bytes);
                if stream == Stream::Out {
                    self.hear(bytes);
                }
                return;
            }
        };
        self.show(&shown);
        let tries = self.unserved() > unserved || shown.last().is_some_and(|last| last.kind == ShowAs::Retry);
        if shown.iter().any(|shown| shown.kind.is_progress()) {
            self.patience.is_served();
        } else if tries {
            self.gives_up |= self.patience.tries(Instant::now());
        }
        if let Some(reader) = &self.reader {
            self.spending.look(self.desk, self.adapter, &self.chat, reader.told());
        }
    }

    /// How often its service has failed, as far as it tells.
    fn unserved(&self) -> u32 {
        self.reader.as_ref().map_or(0, |reader| reader.told().unserved)
    }

    /// What a model's program said: the model's own words may be a question.
    fn show(&mut self, shown: &[Shown]) {
        if let Some(last) = shown.last() {
            self.stands(if last.kind == ShowAs::Retry { Stand::Retrying } else { Stand::Busy }, last);
        }
        for Shown { kind, text } in shown {
            self.screen.show_stream(*kind, text);
            self.last_words.push(Stream::Out, text.as_bytes());
            self.last_words.push(Stream::Out, b"\n");
            if *kind == ShowAs::Text {
                self.hear(format!("{text}\n").as_bytes());
            }
        }
    }

    /// How it stands, as its stream tells: it works, or tries its service again.
    fn stands(&mut self, stand: Stand, last: &Shown) {
        let lately = |at: &Instant| at.elapsed() < TELL;
        if self.told.as_ref().is_some_and(|(told, at)| *told == stand || lately(at)) {
            return;
        }
        let text =
            if stand == Stand::Retrying { last.text.chars().take(TOLD_MAX).collect() } else { String::new() };
        let run = self.desk.run;
        let (id, token, source) = (run.id.clone(), run.token.clone(), "stream".to_owned());
        let event = Event::AgentSeen { run: id, token, stand, source, text };
        if deliver::remark(self.desk.place, self.desk.interrupts.client(), event) {
            self.told = Some((stand, Instant::now()));
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        for word in self.protocol.push(bytes) {
            match word {
                Word::Blocked(_) | Word::Complete => self.end_soon(),
            }
        }
    }

    fn end_soon(&mut self) {
        self.end_at = self.end_at.or(Some(Instant::now() + AFTER_CLAIM));
    }

    /// What is still in the pipes. Something that the program left behind may keep them open.
    fn drain(&mut self) {
        let until = Instant::now() + DRAIN;
        while Instant::now() < until {
            let open: Vec<_> = [Stream::Out, Stream::Err]
                .into_iter()
                .filter(|s| self.running.stream(*s).is_some())
                .collect();
            if open.is_empty() {
                break;
            }
            let mut fds: Vec<PollFd<'_>> = open
                .iter()
                .filter_map(|s| self.running.stream(*s))
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
                .collect();
            let left =
                u16::try_from(until.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(0);
            match poll(&mut fds, PollTimeout::from(left)) {
                Ok(0) | Err(_) => break,
                Ok(_) => self.read_all(),
            }
        }
        if let Some(shown) = self.reader.as_mut().map(Reader::end) {
            self.show(&shown);
        }
        if let Some(word) = self.protocol.finish() {
            tracing::debug!(?word, "the last line had no end");
        }
    }

    fn must_end(&mut self) -> Option<ProgramEnding> {
        if self.desk.interrupts.run_ends(&self.desk.run.id).is_some() {
            return Some(ProgramEnding::Interrupted);
        }
        self.spending.tell(self.desk);
        if let Some(scope) = self.over_budget() {
            return Some(ProgramEnding::OverBudget(scope));
        }
        let now = Instant::now();
        if self.end_at.is_none() && self.has_claimed() {
            self.end_soon();
        }
        if self.end_at.is_some_and(|at| at <= now) {
            return Some(ProgramEnding::EndedAfterClaim);
        }
        if now >= self.began + self.timeout {
            return Some(ProgramEnding::TimedOut(self.timeout));
        }
        if let Some(reader) = self.reader.as_mut().filter(|_| self.gives_up) {
            reader.gave_up(&self.patience.words());
            return Some(ProgramEnding::TurnEnded);
        }
        let own = self.desk.place.layout.run(&self.desk.run.id);
        self.vital.look(self.desk.place, self.running.pid(), self.worktree, &own);
        self.vital.is_hung().then(|| ProgramEnding::Hung(self.vital.stall()))
    }

    /// Whether the event of a good end has come, from a program that has one.
    fn tells_its_end(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.knows_its_end() && reader.told().done)
    }

    /// The budget that is used up. Who has told its end is not ended over it, but awaited for a moment.
    fn over_budget(&mut self) -> Option<Scope> {
        let ordered = self.desk.interrupts.over_budget(&self.desk.run.id);
        let scope = self.spending.reached().or(ordered)?;
        if self.tells_its_end() {
            self.end_soon();
            return None;
        }
        Some(scope)
    }

    /// Whether it has said how it stands; its remarks go into the history on the way.
    fn has_claimed(&mut self) -> bool {
        let directory = self.desk.place.layout.run(&self.desk.run.id);
        let Some(directory) = Utf8Path::from_path(&directory) else { return false };
        if !directory.join(claim::CLAIMS_FILE).exists() {
            return false;
        }
        let Ok(claims) = claim::read(directory, &self.desk.run.token) else { return false };
        self.remarks.tell(self.desk, &claims.claims);
        claims.claims.iter().any(Claim::is_final)
    }

    /// It has used more than it may: no warning, and nothing of it is waited for.
    fn crush(&mut self, excess: Excess) -> ProgramEnding {
        if let Err(error) = self.running.crush() {
            tracing::warn!(%error, "a program that uses too much cannot be killed; its tree is ended next");
        }
        self.screen.say(&format!("the program is ended: {excess}"));
        self.drain();
        ProgramEnding::OverLimit(excess.to_string())
    }

    /// SIGTERM to the group, then SIGKILL; the rest of the tree is the caller's. A program that is over
    /// its budget and finishes another turn all the same is not waited for.
    fn stop(&mut self, over_budget: bool) {
        let spent = self.spending.seen();
        for (signal, wait) in [(Signal::SIGTERM, GRACE), (Signal::SIGKILL, GRACE)] {
            if let Err(error) = self.running.signal_group(signal) {
                tracing::debug!(%error, "the program's group cannot be signalled");
            }
            let until = Instant::now() + wait;
            while Instant::now() < until {
                if over_budget && signal == Signal::SIGTERM && self.spending.seen() != spent {
                    break;
                }
                let mut fds = [PollFd::new(self.running.pidfd(), PollFlags::POLLIN)];
                if let Err(errno) = poll(&mut fds, PollTimeout::from(100u8)) {
                    tracing::debug!(%errno, "waiting for a program's end was interrupted");
                }
                self.read_all();
                if matches!(self.running.try_wait(), Ok(Some(_)) | Err(_)) {
                    self.drain();
                    return;
                }
            }
        }
    }
}

/// The program has ended itself at the limit of money that it was given. What it tells may fall short
/// of that limit: then it is the run's, which nobody repeats unattended.
fn own_limit(desk: &Desk<'_>, failure: Option<&Failure>) -> Option<Scope> {
    let budget = &desk.run.job.budget;
    let is_limit = failure.is_some_and(|failure| failure.class == Trouble::Budget);
    budget.money().filter(|_| is_limit)?;
    let used = desk.spent.borrow().as_ref().map(Used::of).unwrap_or_default();
    Some(budget.reached_by(&used).unwrap_or(Scope::Run))
}
