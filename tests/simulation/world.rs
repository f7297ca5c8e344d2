//! The outside of a supervisor: processes, the branch, people, time. Everything that it does is
//! decided by a stream of numbers, so that a schedule can be shrunk and repeated.

mod copies;
mod people;
mod reports;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use sprint::domain::away::{Brought, step_bringing};
use sprint::domain::budget::{Budget, Scope};
use sprint::domain::draft::Step;
use sprint::domain::effect::Effect;
use sprint::domain::event::{Envelope, Event, ForeignBranch, NewFeature, Now, Request};
use sprint::domain::gate::Verdict;
use sprint::domain::ids::{CommitSha, FeatureId, GateName, RunId, TaskId, Token, WorkerName};
use sprint::domain::pipeline::StageKind;
use sprint::domain::report::{Candidate, Filed, GateRecord, Given, Report};
use sprint::domain::spent::Spent;
use sprint::domain::state::{FeatureStatus, Job, Mode, Run, State};
use sprint::domain::step::step;
use sprint::domain::task::{Status, Task, TaskKey, TaskName, WaitKind};
use sprint::domain::triage::{self, Proposal};
use sprint::domain::worker::{Life, ProcRef};

use crate::laws;
use crate::plans::{AGENT, sha};

/// The numbers that decide; zeros when they are used up.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    numbers: Vec<u16>,
    at: usize,
}

impl Choices {
    pub fn new(numbers: Vec<u16>) -> Self {
        Self { numbers, at: 0 }
    }

    pub fn left(&self) -> bool {
        self.at < self.numbers.len()
    }

    fn next(&mut self) -> usize {
        let number = self.numbers.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(number)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.next() % limit.max(1)
    }

    /// True in so many of a thousand cases; never when the numbers are used up.
    pub fn chance(&mut self, permille: usize) -> bool {
        self.left() && self.next() % 1000 < permille
    }
}

/// What can happen next.
#[derive(Debug, Clone)]
enum Action {
    Register(WorkerName),
    Report(RunId),
    Die(WorkerName),
    Clear(RunId),
    Outbox(usize),
    Tick,
    Person,
    Crash,
    Stale(RunId),
    Foreign,
    Free(FeatureId),
    Copy,
    Forget,
}

/// How long a person has a branch checked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkout {
    /// Until the numbers say otherwise.
    Passing,
    /// Until the test says otherwise.
    Kept,
}

pub struct World {
    pub state: State,
    pub now_ms: u64,
    pub choices: Choices,
    /// Every event with what it changed.
    pub log: Vec<(Envelope, Step)>,
    pub branches: BTreeMap<FeatureId, CommitSha>,
    /// Branches that a person has checked out.
    pub checked_out: BTreeMap<FeatureId, Checkout>,
    /// What landed, in order.
    pub landed: Vec<(FeatureId, TaskId)>,
    pub retries: BTreeMap<TaskKey, u32>,
    /// What the person named at `sprint start`, each once.
    named: BTreeMap<FeatureId, NewFeature>,
    pub replies: BTreeMap<i64, (u8, String)>,
    pub shut_down: bool,
    processes: BTreeMap<WorkerName, ProcRef>,
    clears: BTreeSet<RunId>,
    outbox: Vec<Effect>,
    /// What `sprint/<feature>` has gone through.
    history: BTreeMap<FeatureId, BTreeSet<CommitSha>>,
    /// Report files, in the order in which they were written.
    files: Vec<Filed>,
    /// Runs that the database has a row of.
    given: BTreeSet<RunId>,
    copy: Option<copies::Copy>,
    next: u64,
    request: i64,
    epoch: u64,
    /// Whether things may go wrong.
    pub faults: bool,
    /// In so many of a thousand cases a pane cannot be made.
    pub spawn_fails: usize,
    /// Whether the laws are checked; where only time matters they are not.
    pub lawful: bool,
}

impl World {
    pub fn new(choices: Choices) -> Self {
        Self {
            state: State::default(),
            now_ms: 1_000_000,
            choices,
            log: Vec::new(),
            branches: BTreeMap::new(),
            checked_out: BTreeMap::new(),
            landed: Vec::new(),
            retries: BTreeMap::new(),
            named: BTreeMap::new(),
            replies: BTreeMap::new(),
            shut_down: false,
            processes: BTreeMap::new(),
            clears: BTreeSet::new(),
            outbox: Vec::new(),
            history: BTreeMap::new(),
            files: Vec::new(),
            given: BTreeSet::new(),
            copy: None,
            next: 1_000,
            request: 0,
            epoch: 0,
            faults: true,
            spawn_fails: 80,
            lawful: true,
        }
    }

    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn commit(&mut self) -> CommitSha {
        let number = self.number();
        sha(number)
    }

    /// One event through `step`; the laws are checked, and the effects are on their way.
    pub fn apply(&mut self, event: Event) {
        let number = self.number();
        let now = Now {
            wall_ms: i64::try_from(self.now_ms).unwrap() + 1_700_000_000_000,
            mono_ms: self.now_ms,
            utc_offset_s: 3600,
        };
        let envelope = Envelope { now, entropy: format!("{number:064x}"), event };
        self.file(&envelope.event);
        let done = step(&self.state, &envelope);
        let before = self.state.clone();
        self.state.apply(&done);
        without_what_is_over(&before, &envelope, (&done, &self.state));
        for reply in &done.replies {
            self.replies.insert(reply.id, (reply.exit, reply.message.clone()));
        }
        if self.lawful {
            laws::check(&before, &envelope, &done, &self.state, &self.retries);
        }
        for effect in &done.effects {
            self.dispatch(effect);
        }
        let new = done.runs.iter().filter_map(|row| row.after.as_ref()).chain(&done.found);
        self.given.extend(new.map(|run| run.id.clone()));
        self.log.push((envelope, done));
    }

    pub fn request(&mut self, request: Request) -> (u8, String) {
        if let Request::TaskRetry { task } = &request {
            for feature in self.state.features.keys() {
                *self
                    .retries
                    .entry(TaskKey { feature: feature.clone(), id: task.id.clone() })
                    .or_default() += 1;
            }
        }
        self.request += 1;
        let id = self.request;
        self.apply(Event::Request { id, request });
        self.replies[&id].clone()
    }

    /// `sprint start`: asks the supervisor that runs, or starts one that finds the request.
    pub fn start(&mut self, feature: NewFeature) -> (u8, String) {
        self.named.entry(feature.id.clone()).or_insert_with(|| feature.clone());
        let request = Request::Start { feature: Box::new(feature) };
        if self.epoch > 0 && !self.shut_down {
            return self.request(request);
        }
        self.boot_with(false, Some(request));
        self.replies[&self.request].clone()
    }

    fn dispatch(&mut self, effect: &Effect) {
        match effect {
            Effect::ClearRun { run, .. } => {
                self.clears.insert(run.clone());
            }
            Effect::EndWorker { worker, proc } => {
                if self.processes.get(worker) == Some(proc) {
                    self.processes.remove(worker);
                }
            }
            Effect::Shutdown { .. } => self.shut_down = true,
            Effect::SpawnWorker { .. } | Effect::Wake { .. } => {}
            durable => {
                assert!(durable.is_durable());
                self.outbox.push(durable.clone());
            }
        }
    }

    pub fn proc_of(&self, worker: &WorkerName) -> Option<ProcRef> {
        self.processes.get(worker).cloned()
    }

    pub fn register(&mut self, worker: &WorkerName) {
        let pid = u32::try_from(self.number()).unwrap();
        let proc = ProcRef { boot: "boot".to_owned(), pid, start: 7 };
        self.processes.insert(worker.clone(), proc.clone());
        self.apply(Event::WorkerStarted { worker: worker.clone(), proc, pane: Some(format!("%{pid}")) });
    }

    pub fn kill(&mut self, worker: &WorkerName, with_server: bool) {
        let Some(proc) = self.processes.remove(worker) else { return };
        self.apply(Event::WorkerDied { worker: worker.clone(), proc: Some(proc), with_server });
    }

    fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for worker in self.state.workers.values() {
            let living = self.processes.get(&worker.name) == worker.life.proc();
            match &worker.life {
                Life::Starting { .. } => actions.push(Action::Register(worker.name.clone())),
                Life::Busy { run, .. } if living => actions.push(Action::Report(run.clone())),
                Life::Idle { .. } | Life::Busy { .. } | Life::Ending { .. } if !living => {
                    actions.push(Action::Die(worker.name.clone()));
                }
                _ => {}
            }
        }
        actions.extend(self.clears.iter().cloned().map(Action::Clear));
        actions.extend((0..self.outbox.len()).map(Action::Outbox));
        let passing = self.checked_out.iter().filter(|(_, how)| **how == Checkout::Passing);
        actions.extend(passing.map(|(feature, _)| Action::Free(feature.clone())));
        actions
    }

    /// One thing happens. Returns whether there was one.
    pub fn turn(&mut self) -> bool {
        if self.shut_down && self.faults {
            self.end();
            return true;
        }
        if self.shut_down {
            return false;
        }
        let mut actions = self.actions();
        if self.faults {
            let run = self.state.runs.keys().next().cloned();
            actions.extend(run.map(Action::Stale));
            let workers: Vec<_> = self.processes.keys().cloned().collect();
            if !workers.is_empty() && self.choices.chance(60) {
                actions = vec![Action::Die(workers[self.choices.below(workers.len())].clone())];
            } else if self.choices.chance(80) {
                actions = vec![Action::Person];
            } else if self.choices.chance(30) {
                actions = vec![Action::Crash];
            } else if self.choices.chance(20) {
                actions = vec![Action::Foreign];
            } else if self.choices.chance(25) {
                actions = vec![Action::Copy];
            } else if self.copy.is_some() && self.choices.chance(10) {
                actions = vec![Action::Forget];
            }
            actions.push(Action::Tick);
        } else if actions.is_empty() && self.state.next_due().is_some() {
            actions.push(Action::Tick);
        }
        if actions.is_empty() {
            return false;
        }
        let at = self.choices.below(actions.len());
        self.act(actions.swap_remove(at));
        true
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Register(worker) => self.register_or_not(&worker),
            Action::Report(run) => self.report_run(&run),
            Action::Die(worker) => self.die(&worker),
            Action::Clear(run) => {
                self.clears.remove(&run);
                let survivors =
                    if self.faults && self.choices.chance(100) { vec!["9 x".to_owned()] } else { Vec::new() };
                self.apply(Event::RunCleared { run, survivors });
            }
            Action::Outbox(at) => self.carry_out(at),
            Action::Tick => self.tick(),
            Action::Person => self.person(),
            Action::Crash => self.boot(true),
            Action::Stale(run) => {
                let token = Token::parse(&"a".repeat(64)).unwrap();
                let report = Report::Failed { reason: "stale".to_owned(), feedback: None };
                self.apply(Event::RunReported { run, token, report });
            }
            Action::Foreign => self.foreign(),
            Action::Free(feature) => self.free(feature),
            Action::Copy => self.copy(),
            Action::Forget => self.forget(),
        }
    }

    fn register_or_not(&mut self, worker: &WorkerName) {
        if !(self.faults && self.choices.chance(self.spawn_fails)) {
            return self.register(worker);
        }
        // There is no pane, or its process dies before it registers.
        let (worker, number) = (worker.clone(), self.number());
        if number.is_multiple_of(2) {
            self.apply(Event::SpawnFailed { worker, reason: "no pane".to_owned() });
        } else {
            let pane = format!("%s{number}");
            self.apply(Event::WorkerSpawned { worker: worker.clone(), pane: pane.clone() });
            self.apply(Event::PaneDied { worker, pane, with_server: false });
        }
    }

    /// Its model uses something, told while it works, at its end, or both; or never.
    fn use_some(&mut self, run: &Run) {
        for last in [false, true] {
            if self.choices.chance(700) {
                let output = u64::try_from(self.choices.below(40)).unwrap();
                self.spend(run, output, last);
            }
        }
    }

    /// The run has used so much so far; `last`: in all.
    pub fn spend(&mut self, run: &Run, output: u64, last: bool) {
        let spent = Spent { agent: AGENT.to_owned(), output, ..Spent::default() };
        let (run, token) = (run.id.clone(), run.token.clone());
        self.apply(if last {
            Event::RunSpent { run, token, spent }
        } else {
            Event::RunUses { run, token, spent }
        });
    }

    fn die(&mut self, name: &WorkerName) {
        let proc = self.state.workers.get(name).and_then(|worker| worker.life.proc().cloned());
        self.processes.remove(name);
        let with_server = self.faults && self.choices.chance(200);
        self.apply(Event::WorkerDied { worker: name.clone(), proc, with_server });
    }

    /// The clock goes to the next moment that matters, or somewhere before.
    fn tick(&mut self) {
        let due = self.state.next_due();
        let step = if self.faults { u64::try_from(self.choices.below(30_000)).unwrap() } else { u64::MAX };
        self.now_ms = match due {
            Some(due) => due.max(self.now_ms).min(self.now_ms.saturating_add(step)),
            None => self.now_ms + step.min(1_000),
        };
        self.apply(Event::TimePassed);
        assert!(
            self.state.next_due().is_none_or(|due| due > self.now_ms),
            "it would spin: {:#?}",
            self.state
        );
    }

    fn carry_out(&mut self, at: usize) {
        match self.outbox.remove(at) {
            Effect::BeginFeature { feature, base } => {
                if self.faults && self.choices.chance(50) {
                    let reason = "no".to_owned();
                    return self.apply(Event::FeatureRefused { feature, reason });
                }
                // One that is there stays where it is: the copy of a database may not know of it.
                let head = self.branches.entry(feature.clone()).or_insert(base).clone();
                self.apply(Event::FeatureBegun { feature, head });
            }
            Effect::MoveRef { entry, feature, task, old, new } => {
                self.move_ref(entry, &feature, task, &old, new);
            }
            Effect::Tidy { .. } | Effect::FinishFeature { .. } => {}
            other => panic!("{other:?} does not go through the outbox"),
        }
    }

    fn move_ref(&mut self, entry: RunId, feature: &FeatureId, task: TaskId, old: &CommitSha, new: CommitSha) {
        if self.faults && self.choices.chance(50) {
            let reason = "git could not".to_owned();
            return self.apply(Event::RefRefused { entry, reason, busy: true });
        }
        if self.faults && self.choices.chance(100) {
            self.checked_out.insert(feature.clone(), Checkout::Passing);
        }
        if self.checked_out.contains_key(feature) {
            return self.apply(Event::RefCheckedOut { entry, reason: "checked out".to_owned() });
        }
        if self.has_landed(feature, &new) {
            return self.apply(Event::RefMoved { entry });
        }
        let at = self.branches[feature].clone();
        if at != *old {
            let reason = "somebody moved it".to_owned();
            return self.apply(Event::RefRefused { entry, reason, busy: false });
        }
        assert!(!self.landed.contains(&(feature.clone(), task.clone())), "{task} lands twice");
        self.branches.insert(feature.clone(), new.clone());
        self.history.entry(feature.clone()).or_default().insert(new.clone());
        self.landed.push((feature.clone(), task));
        self.apply(Event::RefMoved { entry });
        assert_eq!(self.state.features[feature].head, Some(new), "the head is what landed last");
    }

    /// The supervisor ended in order: its workers are interrupted, then gone.
    fn end(&mut self) {
        let busy: Vec<Run> = self.state.runs.values().cloned().collect();
        for run in busy {
            if self.processes.contains_key(&run.worker) {
                self.report(&run, Report::Interrupted { reason: "stop".to_owned() });
            }
        }
        for worker in self.processes.keys().cloned().collect::<Vec<_>>() {
            self.kill(&worker, false);
        }
        for run in std::mem::take(&mut self.clears) {
            self.apply(Event::RunCleared { run, survivors: Vec::new() });
        }
        while !self.outbox.is_empty() {
            self.carry_out(0);
        }
        if self.faults {
            self.restart();
        }
    }

    /// `sprint start` again.
    pub fn restart(&mut self) {
        self.boot(false);
    }

    /// A supervisor begins. After a crash, some workers go on and some are gone; what the outbox
    /// has is done again, the rest is read off the state.
    fn boot(&mut self, crashed: bool) {
        self.boot_with(crashed, None);
    }

    pub fn boot_with(&mut self, crashed: bool, request: Option<Request>) {
        self.shut_down = false;
        self.epoch += 1;
        self.apply(Event::SupervisorStarted { epoch: self.epoch, rebooted: false });
        if let Some(request) = request {
            self.request(request);
        }
        if crashed && self.choices.chance(300) {
            self.processes.clear();
        }
        for run in self.state.runs.values().cloned().collect::<Vec<_>>() {
            // It finished meanwhile: its report waits in the inbox.
            if crashed && self.processes.contains_key(&run.worker) && self.choices.chance(300) {
                let report = self.report_of(&run);
                self.report(&run, report);
            }
        }
        self.see_who_is_gone();
        // What was freed without a supervisor is known before anything is decided.
        let waiting = self.state.tasks.values().filter(|task| task.waits_for_branch());
        let free: BTreeSet<FeatureId> = waiting
            .map(|task| task.key.feature.clone())
            .filter(|feature| !self.checked_out.contains_key(feature))
            .collect();
        for feature in free {
            self.apply(Event::BranchFree { feature });
        }
        self.apply(Event::Recovered);
    }

    fn see_who_is_gone(&mut self) {
        for worker in self.state.workers.values().cloned().collect::<Vec<_>>() {
            let proc = worker.life.proc().cloned();
            let starting = matches!(worker.life, Life::Starting { .. });
            let gone = proc.is_some() && self.processes.get(&worker.name) != proc.as_ref();
            if starting || gone {
                self.apply(Event::WorkerDied { worker: worker.name.clone(), proc, with_server: true });
            }
            if let Life::Clearing { run } = &worker.life {
                self.clears.insert(run.clone());
            }
        }
    }

    /// Nothing goes wrong any more: the person resumes what is paused or halted, and starts again
    /// what stopped, which closes every breaker; then everything must come to an end.
    pub fn calm(&mut self) {
        self.faults = false;
        // Without a supervisor that looks, the next one finds them free.
        self.checked_out.clear();
        for _ in 0..2 {
            if self.shut_down {
                self.end();
            }
            self.restart();
            self.resume();
        }
        for feature in self.named.clone().into_values() {
            self.start(feature);
        }
        let mut turns = 0;
        while !(self.shut_down || self.state.sprint.mode == Mode::Stopping) && self.turn() {
            turns += 1;
            assert!(turns < 5_000, "it does not come to an end: {:#?}", self.state);
        }
        if self.shut_down {
            self.end();
        }
    }
}

fn job_adds(run: &Run) -> bool {
    run.job.kind == StageKind::Check && run.job.task.is_some() && !run.job.stands
}

pub fn checked(verdict: Verdict, candidate: Option<Candidate>) -> Report {
    Report::Checked {
        verdict,
        candidate,
        gates: Vec::new(),
        feedback: None,
        remarks: Vec::new(),
        summary: String::new(),
    }
}

pub fn record(gate: &str, verdict: Verdict, tree: &CommitSha) -> GateRecord {
    let gate = GateName::parse(gate).unwrap();
    GateRecord {
        gate,
        verdict,
        tree: tree.clone(),
        at_merge: true,
        summary: String::new(),
        flaky: Vec::new(),
    }
}

/// A supervisor that has put away what is over does the same, and comes to the same.
fn without_what_is_over(before: &State, envelope: &Envelope, (done, after): (&Step, &State)) {
    if before.features.values().all(|feature| feature.status != FeatureStatus::Finished) {
        return;
    }
    let bring = |feature: &FeatureId| -> Result<Brought, Infallible> {
        let frozen = before.features[feature].frozen.clone();
        Ok(Brought { frozen, tasks: before.tasks_of(feature).cloned().collect() })
    };
    let mut lean = before.clone();
    lean.put_away();
    let Ok(step) = step_bringing(&mut lean, envelope, bring);
    assert_eq!(step, *done, "of {envelope:?}");
    lean.apply(&step);
    for feature in lean.away.keys().cloned().collect::<Vec<_>>() {
        let Ok(brought) = bring(&feature);
        lean.bring_back(&feature, brought);
    }
    assert_eq!(lean, *after, "after {envelope:?}");
}
