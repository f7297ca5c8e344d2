//! `kill -9` of the supervisor, of workers, of the tmux server and of the follower, while a real
//! history is replayed. What comes out is what comes out undisturbed: the last release, each task
//! landed exactly once at its first attempt, every commit green, nothing left running.
//!
//! `SPRINT_CRASH_SEED` repeats a run of the dice; `SPRINT_CRASH_KILLS` says how many kills there
//! are at least (a whole run of `scripts/test --full` has 100).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails loudly, and says what it did"
)]

mod common;
mod replay_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::World;
use common::processes::Found;
use nix::sys::signal::Signal;
use replay_support::case::{self, Case, FEATURE, Gate, Recipe};
use replay_support::checks::{self, Checkout};
use replay_support::person::Follower;
use replay_support::rng::Rng;
use sprint::process::identity::ProcId;

/// Characters of a victim's command line that are noted, from its end: git's begins with options.
const COMMAND_SHOWN: usize = 300;
/// One replay with its kills; a sprint that hangs is over by then.
const LIMIT: Duration = Duration::from_mins(4);
/// Kills of one replay: every replay must also come to its end.
const KILLS_A_ROUND: u32 = 25;
/// A round that takes longer tells where the time went.
const SLOW: Duration = Duration::from_secs(45);
/// Without a kill it goes on at most so long until there is something to wait for.
const MOMENT_MAX: Duration = Duration::from_millis(1_500);

const RECIPE: Recipe = Recipe {
    package: "iniconfig",
    versions: &["1.1.1", "2.0.0", "2.1.0"],
    gate: Gate::Compiles,
    nap_ms: 720,
    developers: 8,
    apart: true,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Supervisor,
    /// Any worker.
    Worker,
    /// The merger's, which is in the middle of a landing most of the time.
    Merger,
    Tmux,
    /// A git that sprint itself runs.
    Git,
    /// `sprint start` itself.
    Follower,
    /// Every process of the world, as when the power goes.
    Everything,
}

#[derive(Debug, Clone, Copy)]
enum Moment {
    /// After so long.
    After(Duration),
    /// The lock of the integration branch is there, or the branch moves.
    Landing(Duration),
    /// A supervisor has appeared that was not there.
    Boot(Duration),
    /// There is one to kill: it lives for milliseconds.
    Seen,
    /// The last worker has gone: the supervisor is about to end.
    End(Duration),
}

/// One replay that is being disturbed.
struct Round {
    world: World,
    case: Case,
    before: Checkout,
    rng: Rng,
    follower: Follower,
    starts: u32,
    kills: u32,
    killed: BTreeMap<Victim, u32>,
    /// Kills since the follower was started: what excuses its exit code.
    since_start: u32,
    /// So many agents were seen at work at once.
    agents: usize,
    history: Vec<String>,
    began: Instant,
}

impl Round {
    fn begin(seed: u64) -> Self {
        let mut world = World::new();
        world.hurry();
        let case = case::build(&mut world, &RECIPE);
        let before = Checkout::of(&world);
        let follower = Follower::start(&world, "0");
        Self {
            world,
            case,
            before,
            rng: Rng::new(seed),
            follower,
            starts: 1,
            kills: 0,
            killed: BTreeMap::new(),
            since_start: 0,
            agents: 0,
            history: Vec::new(),
            began: Instant::now(),
        }
    }

    fn note(&mut self, text: &str) {
        self.history.push(format!("{:7.3} {text}", self.began.elapsed().as_secs_f64()));
    }

    /// Disturbs until `kills` are done, then lets it finish; whether it was finished by then.
    fn run(&mut self, kills: u32) {
        while self.kills < kills {
            let (victim, moment) = self.dice();
            if !self.wait_for(victim, moment) {
                return;
            }
            self.kill(victim, moment);
        }
        // One kill more, where everything is about to be over.
        let end = Moment::End(self.rng.ms(0..30));
        if self.wait_for(Victim::Supervisor, end) {
            self.kill(Victim::Supervisor, end);
        }
        while self.goes_on(Duration::from_millis(500)) {}
    }

    fn dice(&mut self) -> (Victim, Moment) {
        let after = Moment::After(self.rng.ms(10..500));
        let (soon, short) = (self.rng.ms(0..4), self.rng.ms(0..120));
        match self.rng.of(0..24) {
            0..3 => (Victim::Supervisor, after),
            3..5 => (Victim::Supervisor, Moment::Landing(soon)),
            5..8 => (Victim::Supervisor, Moment::Boot(short)),
            8..14 => (Victim::Worker, after),
            14..16 => (Victim::Merger, Moment::Landing(short)),
            16..17 => (Victim::Tmux, after),
            17..18 => (Victim::Tmux, Moment::Boot(short)),
            18..20 => (Victim::Follower, after),
            20..22 => (Victim::Git, Moment::Seen),
            22..23 => (Victim::Everything, after),
            _ => (Victim::Everything, Moment::Landing(soon)),
        }
    }

    /// Waits for the moment, at most a bounded while; false once the sprint has ended.
    fn wait_for(&mut self, victim: Victim, moment: Moment) -> bool {
        let end = Instant::now() + MOMENT_MAX;
        match moment {
            Moment::After(pause) => return self.goes_on(pause),
            Moment::Seen => {
                while self.victims(victim).is_empty() && Instant::now() < end {
                    if !self.goes_on(Duration::ZERO) {
                        return false;
                    }
                }
            }
            Moment::End(pause) => {
                while self.landed() < self.case.tasks.len() || self.workers() > 0 {
                    if !self.goes_on(Duration::from_millis(10)) {
                        return false;
                    }
                }
                std::thread::sleep(pause);
            }
            Moment::Landing(pause) => {
                let before = self.branch();
                while self.branch() == before && Instant::now() < end {
                    if !self.goes_on(Duration::ZERO) {
                        return false;
                    }
                    std::thread::yield_now();
                }
                std::thread::sleep(pause);
            }
            Moment::Boot(pause) => {
                let known: BTreeSet<u32> = self.supervisors().iter().map(|found| found.pid).collect();
                while self.supervisors().iter().all(|found| known.contains(&found.pid))
                    && Instant::now() < end
                {
                    if !self.goes_on(Duration::from_millis(5)) {
                        return false;
                    }
                }
                std::thread::sleep(pause);
            }
        }
        true
    }

    fn landed(&self) -> usize {
        if self.branch().0.is_none() { 0 } else { self.world.landed_of(FEATURE).len() }
    }

    /// Workers that there are.
    fn workers(&self) -> usize {
        self.victims(Victim::Worker).len()
    }

    /// What is at the integration branch, and whether it is locked.
    fn branch(&self) -> (Option<Vec<u8>>, bool) {
        let path = self.world.repo().join(".git/refs/heads/sprint").join(FEATURE);
        let lock = path.with_extension("lock");
        (fs::read(&path).ok(), lock.exists())
    }

    fn supervisors(&self) -> Vec<Found> {
        let all = self.world.processes();
        all.into_iter().filter(|found| found.command.contains(" supervise ")).collect()
    }

    fn victims(&self, victim: Victim) -> Vec<Found> {
        let all = self.world.processes();
        // What one of them has just forked, an agent to be, has its words for a moment.
        let original = |found: &Found| comm(parent(found.pid)) != "sprint";
        let is = |found: &Found| match victim {
            Victim::Supervisor => found.command.contains(" supervise "),
            Victim::Worker => found.command.contains(" agent work ") && original(found),
            Victim::Merger => found.command.contains(" agent work --role merger") && original(found),
            Victim::Tmux => comm(found.pid) == "tmux: server",
            Victim::Git => comm(found.pid) == "git" && comm(parent(found.pid)) == "sprint",
            Victim::Follower => found.pid == self.follower.pid(),
            Victim::Everything => true,
        };
        all.into_iter().filter(is).collect()
    }

    fn kill(&mut self, victim: Victim, moment: Moment) {
        let at_work =
            self.world.processes().iter().filter(|found| found.command.contains("bin/apply T")).count();
        self.agents = self.agents.max(at_work);
        let found = self.victims(victim);
        let chosen = match victim {
            Victim::Everything => found,
            _ => self.rng.pick(&found).cloned().into_iter().collect(),
        };
        // All are opened before the first one is killed: it is to be one moment.
        let open = |found: &Found| {
            let handle = ProcId::of(found.pid.cast_signed()).and_then(|id| id.open()).ok().flatten()?;
            Some((found.clone(), handle))
        };
        let open: Vec<_> = chosen.iter().filter_map(open).collect();
        let killed: Vec<_> =
            open.into_iter().filter(|(_, handle)| handle.signal(Signal::SIGKILL).is_ok()).collect();
        let Some((first, _)) = killed.first() else { return };
        self.kills += 1;
        *self.killed.entry(victim).or_default() += 1;
        self.since_start += 1;
        self.note(&format!(
            "kill {victim:?} {} of {} {moment:?}: {}",
            first.pid,
            killed.len(),
            tail(&first.command)
        ));
    }

    /// Follows for so long; starts again where a person would. False once it is finished.
    fn goes_on(&mut self, pause: Duration) -> bool {
        assert!(self.began.elapsed() < LIMIT, "it hangs\n{}", self.follower.said());
        let Some(end) = self.follower.wait(pause) else { return true };
        self.note(&format!("start ended with {:?}", end.code));
        match end.code {
            Some(0) => return false,
            // The limit of restarts, a supervisor that was killed as it came up, or `start` itself.
            Some(3) | None if self.since_start > 0 => {}
            _ => panic!("`start` gave up, undisturbed:\n{}", end.output),
        }
        self.follower = Follower::start(&self.world, &self.starts.to_string());
        self.starts += 1;
        self.since_start = 0;
        true
    }
}

fn tail(command: &str) -> &str {
    let from = command.char_indices().rev().nth(COMMAND_SHOWN).map_or(0, |(at, _)| at);
    &command[from..]
}

fn comm(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

fn parent(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    fields.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// With `SPRINT_TEST_KEEP` what is on the disk stays for a look.
fn keep(round: &Round) -> Option<PathBuf> {
    let to = PathBuf::from(std::env::var_os("SPRINT_TEST_KEEP")?);
    let copied = std::process::Command::new("cp").arg("-a").arg(round.world.path()).arg(&to).status();
    copied.is_ok_and(|status| status.success()).then_some(to)
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[test]
fn kills_cost_nothing_but_time() {
    let seed = Rng::seed_from("SPRINT_CRASH_SEED");
    let kills: u32 = std::env::var("SPRINT_CRASH_KILLS").map_or(KILLS_A_ROUND, |text| text.parse().unwrap());
    println!("seed {seed}, {kills} kills");
    let (mut done, mut number) = (0, 0);
    while done < kills {
        let own = seed.wrapping_add(number);
        let quota = KILLS_A_ROUND.min(kills - done);
        let mut round = Round::begin(own);
        if let Err(why) = round.run_and_check(quota) {
            eprintln!("{}\n{}", round.history.join("\n"), round.world.log());
            if let Some(kept) = keep(&round) {
                eprintln!("the world is kept in {}", kept.display());
            }
            drop(round);
            // Last, because whoever reads a long output reads its end.
            eprintln!("again: SPRINT_CRASH_SEED={own} SPRINT_CRASH_KILLS={quota} cargo test --test crash");
            eprintln!("because: {why}");
            panic!("{why}");
        }
        println!(
            "round {own}: {:?}, {} starts, {} tasks, {} agents at once, {:.1?}",
            round.killed,
            round.starts,
            round.case.tasks.len(),
            round.agents,
            round.began.elapsed()
        );
        if round.began.elapsed() > SLOW {
            println!("{}\n{}", round.history.join("\n"), round.follower.said());
        }
        // A round in which nothing could be killed must not go on for ever.
        done += round.kills.max(1);
        number += 1;
    }
}

impl Round {
    /// What was wrong, where something was.
    fn run_and_check(&mut self, kills: u32) -> Result<(), String> {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.run(kills);
            checks::all(&self.world, &self.case, &self.before);
        }));
        result.map_err(|panic| said(&*panic).to_owned())
    }
}
