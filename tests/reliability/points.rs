//! SIGKILL just before a system call that changes something, and such a call that fails: in `start`, the
//! supervisor, the workers, and the git that they run.
//!
//! `SPRINT_TRIAL="kill supervise|fsync|database-log|7"` repeats one. `SPRINT_TEST_POINTS` is `few` (the
//! default), `sites` (each call of the landing on each kind of file, then places that differ by the call before
//! them for so many minutes as `SPRINT_TEST_MINUTES` says) or `every` (all points of two features, in slices:
//! what is in the ledger is not done again).

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::point::Point;
use crate::scene::Size;
use crate::tracer::Deed;
use crate::trial::{Came, Trial, record};

/// Halves of the machine: each is a test, so that both cores have one.
const LANES: usize = 2;
/// Trials that a lane does side by side where all are wanted: most of them wait, for a worker to be tried anew.
const HANDS: usize = 8;
/// Trials of a lane where few are wanted.
const FEW: usize = 4;
/// What was wrong once, and must not be again.
const REGRESSIONS: &str = include_str!("regressions.txt");

/// How much is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Few,
    Sites,
    Every,
}

impl Extent {
    /// What the environment says.
    pub(crate) fn asked() -> Self {
        match std::env::var("SPRINT_TEST_POINTS").as_deref() {
            Ok("sites") => Self::Sites,
            Ok("every") => Self::Every,
            Ok("few") | Err(_) => Self::Few,
            Ok(other) => panic!("SPRINT_TEST_POINTS={other}: it is `few`, `sites` or `every`"),
        }
    }
}

/// How long those that need not all be done are done for.
pub(crate) fn minutes() -> Duration {
    let text = std::env::var("SPRINT_TEST_MINUTES").unwrap_or_else(|_| "1".to_owned());
    Duration::from_secs_f64(60.0 * text.parse::<f64>().unwrap())
}

/// What a lane does: what it must, and what it does as long as there is time.
struct Work {
    must: Vec<Trial>,
    may: Vec<Trial>,
}

impl Work {
    /// As a run has it that is recorded for this.
    fn of(size: Size, deeds: &[Deed], extent: Extent, lane: usize) -> Self {
        let recording = record(size);
        let mine = |trials: Vec<Trial>| -> Vec<Trial> {
            trials
                .into_iter()
                .enumerate()
                .filter(|(at, _)| at % LANES == lane)
                .map(|(_, trial)| trial)
                .collect()
        };
        let both = |points: Vec<Point>| -> Vec<Trial> {
            let trial = |point: Point| {
                deeds.iter().map(move |deed| Trial { size, deed: *deed, point: point.clone() })
            };
            points.into_iter().flat_map(trial).filter(Trial::makes_sense).collect()
        };
        let landing: Vec<Point> = recording
            .every()
            .into_iter()
            .filter(|point| point.nth == 1 && is_landing(&point.process))
            .collect();
        let rest: Vec<Point> = recording.sites().into_iter().filter(|site| !landing.contains(site)).collect();
        match extent {
            Extent::Few => Self { must: spread(mine(both(landing)), FEW), may: Vec::new() },
            Extent::Sites if deeds.contains(&Deed::Kill) => {
                Self { must: mine(both(landing)), may: shuffled(mine(both(rest))) }
            }
            Extent::Sites => Self { must: Vec::new(), may: shuffled(mine(both(recording.sites()))) },
            Extent::Every => Self { must: mine(both(recording.every())), may: Vec::new() },
        }
    }
}

impl Trial {
    /// Only what deals with files can fail for want of room.
    fn makes_sense(&self) -> bool {
        self.deed == Deed::Kill || !matches!(&*self.point.kind, "process" | "socket")
    }
}

/// The merger, what it runs, and what moves the branch.
fn is_landing(process: &str) -> bool {
    process.ends_with("worker merger") || process == "git update-ref of supervise"
}

/// So many of them, from everywhere.
fn spread(trials: Vec<Trial>, count: usize) -> Vec<Trial> {
    let step = (trials.len() / count).max(1);
    trials.into_iter().step_by(step).take(count).collect()
}

/// In an order of chance, so that each run with a bound looks at others. The seed is told.
pub(crate) fn shuffled(mut trials: Vec<Trial>) -> Vec<Trial> {
    let mut rng = crate::rng::Rng::new(crate::rng::Rng::seed_from("SPRINT_POINTS_SEED"));
    for at in (1..trials.len()).rev() {
        let with = usize::try_from(rng.of(0..u64::try_from(at + 1).unwrap())).unwrap();
        trials.swap(at, with);
    }
    trials
}

/// The id of the directory `src`, so that a change of tests or pages takes nothing back.
fn state_of_the_code(root: &Path) -> String {
    let git = |words: &[&str]| {
        let output = std::process::Command::new("git").args(words).current_dir(root).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let changed = if git(&["status", "--porcelain", "src"]).is_empty() { "" } else { "-changed" };
    git(&["rev-parse", "--short=12", "HEAD:src"]) + changed
}

/// What was done for this state of the code, so that slices add up.
struct Ledger {
    path: PathBuf,
    done: BTreeSet<String>,
}

impl Ledger {
    fn open(layer: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let directory = root.join("target/reliability");
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join(format!("{layer}-{}.txt", state_of_the_code(root)));
        let text = fs::read_to_string(&path).unwrap_or_default();
        // What was wrong is tried again.
        let done = text.lines().filter_map(|line| line.split_once('\t')).filter(|(_, came)| *came != "wrong");
        let done = done.map(|(trial, _)| trial.to_owned()).collect();
        Self { path, done }
    }

    fn has(&self, trial: &Trial) -> bool {
        self.done.contains(&trial.to_string())
    }

    fn add(&self, trial: &Trial, came: &Came) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.path).unwrap();
        let word = match came {
            Came::Right => "right",
            Came::Missed => "missed",
            Came::Wrong(_) => "wrong",
        };
        // In one call: two lanes write to it.
        file.write_all(format!("{trial}\t{word}\n").as_bytes()).unwrap();
    }
}

/// Does trials, says what came of them, and fails for each that was wrong.
#[derive(Default)]
struct Tally {
    right: usize,
    missed: usize,
    wrong: Vec<String>,
    /// From the beginning of each trial to a sprint that is done.
    took: Vec<Duration>,
}

impl Tally {
    fn try_one(&mut self, trial: &Trial) -> Came {
        let began = Instant::now();
        let came = trial.run();
        self.took.push(began.elapsed());
        println!("{:5.1} s {trial}", began.elapsed().as_secs_f64());
        match &came {
            Came::Right => self.right += 1,
            Came::Missed => self.missed += 1,
            Came::Wrong(why) => {
                eprintln!("wrong: {trial}: {why}");
                self.wrong.push(format!(
                    "{why}\nagain: SPRINT_TRIAL='{trial}' cargo test --test reliability one_trial_again"
                ));
            }
        }
        came
    }

    fn join(&mut self, other: Self) {
        self.right += other.right;
        self.missed += other.missed;
        self.wrong.extend(other.wrong);
        self.took.extend(other.took);
    }

    fn end(mut self, what: &str) {
        self.took.sort();
        let at =
            |per_cent: usize| self.took.get(self.took.len() * per_cent / 100).copied().unwrap_or_default();
        println!(
            "{what}: {} right, {} missed, {} wrong; took p50 {:.1?}, p99 {:.1?}",
            self.right,
            self.missed,
            self.wrong.len(),
            at(50),
            at(99)
        );
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n\n"));
    }
}

fn lane(layer: &str, deeds: &[Deed], lane: usize) {
    let (extent, began) = (Extent::asked(), Instant::now());
    let tally = match extent {
        Extent::Every => every(layer, deeds, lane, began),
        Extent::Few | Extent::Sites => some(deeds, extent, lane, began),
    };
    tally.end(&format!("{layer}, lane {lane}, in {:.0?}", began.elapsed()));
}

/// What must be done, and of the rest what there is time for.
fn some(deeds: &[Deed], extent: Extent, lane: usize, began: Instant) -> Tally {
    let work = Work::of(Size::Two, deeds, extent, lane);
    let mut tally = Tally::default();
    for trial in &work.must {
        tally.try_one(trial);
    }
    for trial in work.may.iter().take_while(|_| began.elapsed() < minutes()) {
        tally.try_one(trial);
    }
    tally
}

/// All of both sizes that is not done yet, for as long as there is time, side by side.
fn every(layer: &str, deeds: &[Deed], lane: usize, began: Instant) -> Tally {
    let ledger = Ledger::open(layer);
    let both = [Size::Two, Size::Six].map(|size| Work::of(size, deeds, Extent::Every, lane).must);
    let all = both.concat();
    let count = all.len();
    let open = shuffled(all.into_iter().filter(|trial| !ledger.has(trial)).collect());
    println!("{layer}, lane {lane}: {} of {count} trials are not done yet", open.len());
    let todo = Mutex::new(open.iter().take_while(|_| began.elapsed() < minutes()));
    let hand = || {
        let mut tally = Tally::default();
        loop {
            let next = todo.lock().unwrap().next();
            let Some(trial) = next else { return tally };
            let came = tally.try_one(trial);
            ledger.add(trial, &came);
        }
    };
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..HANDS).map(|_| scope.spawn(hand)).collect();
        for one in all {
            tally.join(one.join().unwrap());
        }
    });
    tally
}

const KILL: [Deed; 1] = [Deed::Kill];
const FAIL: [Deed; 2] = [Deed::Fail(Errno::ENOSPC), Deed::Fail(Errno::EIO)];

#[test]
fn kills_at_system_calls_1() {
    lane("kills", &KILL, 0);
}

#[test]
fn kills_at_system_calls_2() {
    lane("kills", &KILL, 1);
}

#[test]
fn failing_system_calls_1() {
    lane("failures", &FAIL, 0);
}

#[test]
fn failing_system_calls_2() {
    lane("failures", &FAIL, 1);
}

/// What was wrong once. It need not be met: what runs beside it takes turns.
#[test]
fn what_was_wrong_once_is_right() {
    let mut tally = Tally::default();
    for line in REGRESSIONS.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        tally.try_one(&line.parse().unwrap());
    }
    assert!(tally.right > 0, "none of them was met");
    tally.end("regressions");
}

#[test]
fn one_trial_again() {
    let Ok(text) = std::env::var("SPRINT_TRIAL") else {
        println!("SKIPPED: SPRINT_TRIAL names none");
        return;
    };
    let mut tally = Tally::default();
    println!("{:?}", tally.try_one(&text.parse().unwrap()));
    tally.end(&text);
}
