//! Everything at once, for long: features of small tasks, one after the other, and every few seconds a fault, until
//! the faults stop. Then everything drains, and nothing that was told is lost.
//!
//! `SPRINT_TEST_SOAK` says for how many seconds there are faults (8; `scripts/test --full` 180, `--exhaustive`
//! 3,600), `SPRINT_SOAK_SEED` repeats the dice.

mod faults;
mod gauge;
mod scene;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::rng::Rng;
use faults::{Deck, Fault};
use gauge::Gauge;
use scene::Soaked;

/// A sprint that does nothing for so long after a fault hangs.
const STEP_MAX: Duration = Duration::from_mins(1);
/// Between two looks at what a sprint does.
const LOOK: Duration = Duration::from_millis(20);
/// From here on a slope of memory means something.
const LONG: Duration = Duration::from_mins(10);
/// More than this is a leak.
const GROWTH_MAX: f64 = 1.0;
/// What the log of the database may come to.
const LOG_MAX: u64 = 64 << 20;
/// So many descriptors more at the end of a supervisor's life than at its beginning are a leak.
const DESCRIPTORS_MAX: usize = 8;

/// One run of the dice.
struct Soak {
    scene: Soaked,
    rng: Rng,
    deck: Deck,
    gauge: Gauge,
    length: Duration,
    began: Instant,
    done: BTreeMap<Fault, u32>,
    /// From a fault to the next line of the history, and to the next landing.
    steps: Vec<Duration>,
    landings: Vec<Duration>,
}

impl Soak {
    fn new(seed: u64, length: Duration) -> Self {
        let scene = Soaked::new(length);
        let deck = Deck::of(scene.disk.is_some());
        Self {
            scene,
            rng: Rng::new(seed),
            deck,
            gauge: Gauge::default(),
            length,
            began: Instant::now(),
            done: BTreeMap::new(),
            steps: Vec::new(),
            landings: Vec::new(),
        }
    }

    /// Faults as long as it lasts, then none until everything is done.
    fn run(&mut self) -> Result<(), String> {
        self.scene.come_up()?;
        while self.began.elapsed() < self.length {
            let pause = self.pause();
            self.go_on_for(pause)?;
            self.disturb()?;
        }
        let quiet = Instant::now();
        let limit = self.scene.drain_limit();
        while self.scene.keep_two_at_work(false)? {
            self.tend()?;
            if quiet.elapsed() > limit {
                return Err(format!("not drained {limit:?} after the last fault"));
            }
        }
        println!("drained in {:.1?}", quiet.elapsed());
        self.scene.judge()
    }

    /// One fault every 5 to 15 seconds; in a short run more of them.
    fn pause(&mut self) -> Duration {
        match self.length.as_secs() {
            0..30 => self.rng.ms(300..1_500),
            30..180 => self.rng.ms(1_000..4_000),
            _ => self.rng.ms(5_000..15_000),
        }
    }

    fn go_on_for(&mut self, pause: Duration) -> Result<(), String> {
        let end = Instant::now() + pause;
        while Instant::now() < end {
            self.scene.keep_two_at_work(true)?;
            self.tend()?;
        }
        Ok(())
    }

    /// A look.
    fn tend(&mut self) -> Result<(), String> {
        std::thread::sleep(LOOK);
        self.gauge.look(&self.scene.world);
        let worst = self.gauge.log_max();
        if worst > LOG_MAX { Err(format!("the database's log has {worst} bytes")) } else { Ok(()) }
    }

    /// One supervisor is left alone for long, so that its memory can be looked at.
    fn spares_supervisor(&self) -> bool {
        let part = self.began.elapsed().as_secs_f64() / self.length.as_secs_f64();
        self.length >= LONG && (0.1..0.9).contains(&part)
    }

    fn disturb(&mut self) -> Result<(), String> {
        let spare = self.spares_supervisor();
        let fault = self.deck.draw(&mut self.rng, spare);
        if !faults::happen(fault, &self.scene, &mut self.rng)? {
            return Ok(());
        }
        *self.done.entry(fault).or_default() += 1;
        let (began, before) = (Instant::now(), self.scene.history());
        let landed = self.scene.landings();
        let (mut step, mut landing) = (None, None);
        while step.is_none() || landing.is_none() {
            self.scene.keep_two_at_work(true)?;
            self.tend()?;
            step = step.or_else(|| (self.scene.history() > before).then(|| began.elapsed()));
            landing = landing.or_else(|| (self.scene.landings() > landed).then(|| began.elapsed()));
            // An agent that was killed begins its silence anew, and nothing else may be there to land.
            let (what, limit) = match step {
                None => ("step", STEP_MAX),
                Some(_) => ("landing", STEP_MAX + 2 * self.scene.quiet()),
            };
            if began.elapsed() > limit {
                return Err(format!("no {what} within {limit:?} after {fault:?}"));
            }
        }
        self.steps.extend(step);
        self.landings.extend(landing);
        Ok(())
    }

    /// What was seen, for a person.
    fn tell(&mut self) {
        let faults: u32 = self.done.values().sum();
        println!("{} merges of {} features", self.scene.landings(), self.scene.finished());
        println!("{faults} faults: {:?}; {}", self.done, self.scene.persons_part());
        for (what, took) in [("next step", &mut self.steps), ("next landing", &mut self.landings)] {
            took.sort();
            let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
            let most = took.last().copied().unwrap_or_default();
            println!("from a fault to the {what}: p50 {:.2?}, p99 {:.2?}, max {most:.2?}", at(50), at(99));
        }
        println!("{}", self.gauge);
    }

    /// Bounds that only a long run can break.
    fn judge_gauge(&self) -> Result<(), String> {
        let growth = self.gauge.descriptors_growth();
        if growth > DESCRIPTORS_MAX {
            return Err(format!("a supervisor holds {growth} descriptors more than at its beginning"));
        }
        match self.gauge.slope_mb_an_hour() {
            Some(slope) if self.length >= LONG && slope >= GROWTH_MAX => {
                Err(format!("a supervisor grows by {slope:.2} MB/h"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn commit() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = std::process::Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .current_dir(root)
        .output();
    String::from_utf8_lossy(&git.unwrap().stdout).trim().to_owned()
}

#[test]
fn a_soak_of_faults_loses_nothing_and_drains() {
    let seed = Rng::seed_from("SPRINT_SOAK_SEED");
    let seconds: u64 = std::env::var("SPRINT_TEST_SOAK").map_or(8, |text| text.parse().unwrap());
    let commit = commit();
    println!("seed {seed}, {seconds} s, commit {commit}");
    let mut soak = Soak::new(seed, Duration::from_secs(seconds));
    let came = soak.run().and_then(|()| soak.judge_gauge());
    soak.tell();
    if let Err(why) = came {
        eprintln!("{}", soak.scene.world.log());
        drop(soak);
        panic!(
            "{why}\nseed {seed}, commit {commit}\nagain: SPRINT_SOAK_SEED={seed} SPRINT_TEST_SOAK={seconds} \
             cargo test --test reliability a_soak_of_faults"
        );
    }
}
