//! Power cuts: repository and state lie on file systems of their own, each in a file. At a moment everything
//! stands still, the files are copied, and the copies are what a machine finds that comes up again: what was
//! written and not synced is there only by luck.
//!
//! `SPRINT_TEST_CUTS` says how many there are; `SPRINT_CUTS_SEED` repeats one run of the dice. Needs root and
//! loop devices; without them it says SKIPPED.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::point::{Counter, Point, Recording};
use crate::rng::Rng;
use crate::scene::{Scene, Size};
use crate::tracer::Deed;
use crate::trial::record;

/// Room enough for a sprint, and little enough to be copied quickly.
const MEGABYTES: u64 = 64;
/// A file that is written to all the time cannot be copied as of one moment.
const COPY_WAIT: Duration = Duration::from_secs(10);
/// Cuts of one run.
const OF_A_RUN: usize = 6;
/// What lies in an image: the repository, and the state.
const PARTS: [&str; 2] = ["r", "s"];

fn runs(program: &str, words: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program} {words:?}: {said}")) }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An ext4 in a file, mounted in the place of a directory.
struct Image {
    file: PathBuf,
    at: PathBuf,
    mounted: bool,
}

impl Image {
    /// With what lies in the directory.
    fn instead_of(at: &Path) -> Result<Self, String> {
        let mut image = Self { file: at.with_extension("img"), at: at.to_owned(), mounted: false };
        let made = fs::File::create(&image.file).and_then(|made| made.set_len(MEGABYTES << 20));
        made.map_err(|error| error.to_string())?;
        // `-d` fills it; nothing of it is only in memory.
        runs("mkfs.ext4", &["-q", "-F", "-m", "0", "-d", text(at), text(&image.file)])?;
        image.mount()?;
        Ok(image)
    }

    fn mount(&mut self) -> Result<(), String> {
        runs("mount", &["-o", "loop", text(&self.file), text(&self.at)])?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> Result<(), String> {
        runs("umount", &[text(&self.at)])?;
        self.mounted = false;
        Ok(())
    }

    /// This one loses nothing.
    fn sync(&self) {
        nix::unistd::syncfs(fs::File::open(&self.at).unwrap()).unwrap();
    }

    /// What is in the file at one moment. The processes stand still; the system's own writing may go on, and
    /// then it is copied once more.
    fn copy(&self, to: &Path) -> Result<(), String> {
        let end = Instant::now() + COPY_WAIT;
        let changed = || fs::metadata(&self.file).map(|meta| (meta.mtime(), meta.mtime_nsec())).unwrap();
        while Instant::now() < end {
            let before = changed();
            runs("cp", &["--sparse=always", text(&self.file), text(to)])?;
            if changed() == before {
                return Ok(());
            }
        }
        Err("the file is written to all the time".to_owned())
    }

    /// Goes on with that copy: the journal is replayed, and then nothing may be wrong with it.
    fn come_up_as(&mut self, copy: &Path) -> Result<(), String> {
        if self.mounted {
            self.unmount()?;
        }
        fs::rename(copy, &self.file).map_err(|error| error.to_string())?;
        self.mount()?;
        self.unmount()?;
        runs("fsck.ext4", &["-fn", text(&self.file)])?;
        self.mount()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.mounted
            && let Err(error) = self.unmount()
        {
            eprintln!("an image stays mounted: {error}");
        }
    }
}

/// Which of the two loses what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loses {
    Both,
    Repository,
    State,
}

/// A machine that has lost its power: what is on its disks, and what `start` had told by then.
struct Cut {
    point: Point,
    loses: Loses,
    files: [PathBuf; 2],
    told: String,
}

/// A scene whose disks can be cut off.
struct Machine {
    // Before the world, whose directory it is in.
    images: [Image; 2],
    scene: Scene,
}

impl Machine {
    fn new() -> Result<Self, String> {
        let scene = Scene::new();
        let [repository, state] = PARTS.map(|part| Image::instead_of(&scene.world.path().join(part)));
        Ok(Self { images: [repository?, state?], scene })
    }

    /// Plays it to its end; at each of the points the power would have gone.
    fn play(&self, points: &[(Point, Loses)]) -> Result<Vec<Cut>, String> {
        let mut counters: Vec<Counter> = points.iter().map(|_| Counter::default()).collect();
        let (mut cuts, mut failed) = (Vec::new(), Ok(()));
        let status = self.scene.play(&mut |call| {
            for (counter, (point, loses)) in counters.iter_mut().zip(points) {
                if counter.is_at(call, point) && failed.is_ok() {
                    match self.cut(cuts.len(), point, *loses) {
                        Ok(cut) => cuts.push(cut),
                        Err(error) => failed = Err(error),
                    }
                }
            }
            Deed::Let
        });
        failed?;
        self.scene.judge(status, false)?;
        Ok(cuts)
    }

    fn cut(&self, number: usize, point: &Point, loses: Loses) -> Result<Cut, String> {
        let files = PARTS.map(|part| self.scene.world.path().join(format!("cut-{number}-{part}.img")));
        let [repository, state] = &self.images;
        // What has been told is told of what is on both.
        let told = self.scene.told();
        match loses {
            Loses::Both => {}
            Loses::Repository => state.sync(),
            Loses::State => repository.sync(),
        }
        repository.copy(&files[0])?;
        state.copy(&files[1])?;
        Ok(Cut { point: point.clone(), loses, files, told })
    }

    /// Comes up after the cut, and goes on to the end.
    fn recover(&mut self, cut: &Cut) -> Result<(), String> {
        for (image, file) in self.images.iter_mut().zip(&cut.files) {
            image.come_up_as(file)?;
        }
        // What lies in memory is gone with the power.
        for runtime in self.scene.world.runtimes() {
            fs::remove_dir_all(runtime).map_err(|error| error.to_string())?;
        }
        self.scene.judge(None, true)?;
        // "T001: landed as 0123456789": nothing that was told is taken back.
        for line in cut.told.lines() {
            let Some((_, commit)) = line.split_once("landed as ") else { continue };
            let commit = commit.split_whitespace().next().unwrap_or_default();
            let branches = ["branch", "--list", "--contains", commit, "sprint/001-demo"];
            if self.scene.world.git(&branches).is_empty() {
                return Err(format!("`{line}` was told, and is not on the branch"));
            }
        }
        Ok(())
    }
}

/// Points of an undisturbed run: half of them just after something was acknowledged.
fn points(recording: &Recording, rng: &mut Rng) -> Vec<(Point, Loses)> {
    let every = recording.every();
    let acknowledged: Vec<Point> = every.iter().filter(|point| point.name == "sendto").cloned().collect();
    let pick = |at: usize| {
        let from = if at.is_multiple_of(2) { &acknowledged } else { &every };
        let loses = [Loses::Both, Loses::Repository, Loses::State][at % 3];
        (rng.pick(from).unwrap().clone(), loses)
    };
    (0..OF_A_RUN).map(pick).collect()
}

fn cuts(part: u64, parts: u64) {
    if !nix::unistd::geteuid().is_root() || runs("mkfs.ext4", &["-V"]).is_err() {
        println!("SKIPPED: power cuts need root, mkfs.ext4 and loop devices");
        return;
    }
    let wanted: u64 = std::env::var("SPRINT_TEST_CUTS").map_or(12, |text| text.parse().unwrap());
    let seed = Rng::seed_from("SPRINT_CUTS_SEED").wrapping_add(part);
    let mut rng = Rng::new(seed);
    let recording = record(Size::Two);
    let (mut right, began) = (0, Instant::now());
    while right < wanted / parts {
        let mut machine = match Machine::new() {
            Ok(machine) => machine,
            Err(error) if right == 0 => {
                println!("SKIPPED: no file system in a file can be mounted here: {error}");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        let cuts = machine.play(&points(&recording, &mut rng)).unwrap();
        for cut in cuts {
            if let Err(why) = machine.recover(&cut) {
                eprintln!("{}", machine.scene.world.log());
                panic!(
                    "{why}\nafter a power cut at {} ({:?} lost what was not synced)\n\
                     again: SPRINT_CUTS_SEED={} cargo test --test reliability power_cuts",
                    cut.point,
                    cut.loses,
                    seed.wrapping_sub(part)
                );
            }
            right += 1;
        }
    }
    println!("{right} power cuts in {:.0?}, seed {seed}", began.elapsed());
}

#[test]
fn power_cuts_1() {
    cuts(0, 2);
}

#[test]
fn power_cuts_2() {
    cuts(1, 2);
}
