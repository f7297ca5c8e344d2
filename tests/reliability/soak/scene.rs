//! What is soaked: features of small tasks on the real program, two of them handed over at any time, with agents that
//! are programs, a gate whose test fails now and then, and a person who starts again what has ended.

use std::cell::Cell;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::common::{Running, World, processes};

/// So much room has a state's disk, where one can be mounted.
const DISK: &str = "size=1g";
/// An agent says nothing for so long at most; twice what counts as a hang of one that does not work.
const QUIET_MAX: Duration = Duration::from_secs(24);
/// Two features are handed over, so that one supervisor lives from the first to the last.
const AT_ONCE: usize = 2;
/// A test that cannot be right, whatever happens, once `no` lies in the tree.
const PYTEST: &str = r#"if [ "$1" = --version ]; then echo "pytest 9.2.0"; exit 0; fi
alone=; for word in "$@"; do case $word in *::*) alone=1;; esac; done
eval "set -- $PYTEST_ADDOPTS"
for word in "$@"; do case $word in --junitxml=*) report=${word#--junitxml=};; esac; done
sleep 0.1
a=; [ -n "$alone" ] || [ $((RANDOM % 8)) != 0 ] || a='<failure message="now and then">assert</failure>'
b=; if grep -qs '^no$' out/*.txt; then b='<failure message="no">assert</failure>'; fi
one() { echo "<testcase classname=\"test_$1\" name=\"test_$1\" file=\"test_$1.py\" line=\"0\" time=\"0.01\">$2</testcase>"; }
echo "<testsuites><testsuite name=\"pytest\" tests=\"2\">$(one a "$a")$(one b "$b")</testsuite></testsuites>" > "$report"
[ -z "$a$b" ]"#;
/// The third is red at first; the fifth says nothing for long, and is at work all the time. A disk that is full is
/// waited for.
const AGENT: &str = r#"mkdir -p out; word=yes
[ "$1.$SPRINT_ATTEMPT" != T003.1 ] || word=no
if [ "$1" = T005 ] && [ -e quiet ]; then
  end=$((SECONDS + $(cat quiet))); while [ $SECONDS -lt $end ]; do for i in {1..5000}; do :; done; sleep 0.2; done
fi
until echo $word > out/$1.txt; do sleep 0.1; done"#;

/// A file system in memory for the state.
pub(super) struct Disk(PathBuf);

impl Disk {
    /// `None` where this is not allowed.
    fn at(path: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(path).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }

    /// Leaves no byte.
    pub(super) fn fill(&self) {
        let file = File::create(self.0.join("fill")).unwrap();
        let mut at = 0;
        for block in [1 << 20, 4096, 1] {
            let bytes = vec![0; block];
            while let Ok(written @ 1..) = file.write_at(&bytes, at) {
                at += u64::try_from(written).unwrap();
            }
        }
    }

    pub(super) fn make_room(&self) {
        fs::remove_file(self.0.join("fill")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(&self.0).status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.0.display());
        }
    }
}

/// A `sprint start` of one feature that is not over.
struct Handed {
    feature: String,
    running: Running,
}

/// See the module.
pub(super) struct Soaked {
    // Before the world, in which it is mounted.
    pub(super) disk: Option<Disk>,
    pub(super) world: World,
    handed: Vec<Handed>,
    finished: Vec<String>,
    begun: u32,
    tasks: u32,
    quiet: Duration,
    /// Each with the feature's starts before it.
    told: Vec<String>,
    starts: u32,
    retries: u32,
    known: Cell<(i64, i64)>,
}

impl Soaked {
    /// For faults of so long.
    pub(super) fn new(length: Duration) -> Self {
        let mut world = World::new();
        world.hurry();
        let quiet = (length / 8).clamp(Duration::from_secs(8), QUIET_MAX);
        let bin = world.program("bin/pytest", PYTEST).parent().unwrap().to_owned();
        let person = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&person))).unwrap();
        world.env("PATH", path);
        let (slots, temporary) = (world.path().join("slots"), world.path().join("t"));
        fs::create_dir(&temporary).unwrap();
        world.env("SPRINT_SLOTS", slots);
        world.env("TMPDIR", temporary);
        world.agent(AGENT);
        world.file("test_a.py", "def test_a():\n    assert True\n");
        world.file("test_b.py", "def test_b():\n    assert True\n");
        world.set("agents.max_developers", "4");
        world.set("gates.presets", "[\"pytest\"]");
        // Silence of that length is a hang where nothing works.
        world.set("agent.mine.stall", &format!("\"{}s\"", (quiet / 2).as_secs()));
        world.set("timeouts.hung", "\"30s\"");
        world.configure();
        world.commit("base");
        world.be_patient(Duration::from_mins(3));
        let disk = Disk::at(&world.path().join("s"));
        if disk.is_none() {
            println!("SKIPPED: no file system can be mounted here, so no disk is full");
        }
        let tasks = if length < Duration::from_secs(30) { 6 } else { 25 };
        Self {
            disk,
            world,
            handed: Vec::new(),
            finished: Vec::new(),
            begun: 0,
            tasks,
            quiet,
            told: Vec::new(),
            starts: 0,
            retries: 0,
            known: Cell::default(),
        }
    }

    /// Hands over the first two, and waits until there is something to look at.
    pub(super) fn come_up(&mut self) -> Result<(), String> {
        self.keep_two_at_work(true)?;
        let states = self.world.path().join("s/sprint");
        let has_database = || {
            let found = fs::read_dir(&states).into_iter().flatten().flatten();
            found.map(|entry| entry.path().join("sprint.db")).any(|path| path.exists())
        };
        self.world.wait_until("there is a database", has_database);
        Ok(())
    }

    /// After the last fault everything is done within this.
    pub(super) fn drain_limit(&self) -> Duration {
        Duration::from_mins(3) + 2 * self.quiet
    }

    /// How long an agent may be the only one at work, and say nothing.
    pub(super) fn quiet(&self) -> Duration {
        self.quiet
    }

    /// The number of the newest line of the history.
    pub(super) fn history(&self) -> i64 {
        self.look().0
    }

    /// How many tasks have landed.
    pub(super) fn landings(&self) -> i64 {
        self.look().1
    }

    pub(super) fn finished(&self) -> usize {
        self.finished.len()
    }

    /// What a person had to do.
    pub(super) fn persons_part(&self) -> String {
        format!(
            "`start` was typed {} times for {} features, `retry` {} times",
            self.starts, self.begun, self.retries
        )
    }

    /// As far as it can be read: with the disk full it may not.
    fn look(&self) -> (i64, i64) {
        let read = || -> rusqlite::Result<(i64, i64)> {
            let path = self.world.state().join("sprint.db");
            let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let query = "SELECT (SELECT coalesce(max(seq), 0) FROM events), (SELECT count(*) FROM landings)";
            database.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))
        };
        if let Ok(found) = read() {
            self.known.set(found);
        }
        self.known.get()
    }

    /// Looks after those that have ended; with `more` hands over others. False if nothing is at work.
    pub(super) fn keep_two_at_work(&mut self, more: bool) -> Result<bool, String> {
        let (ended, at_work): (Vec<_>, Vec<_>) =
            self.handed.drain(..).partition(|handed| !processes::alive(handed.running.pid()));
        self.handed = at_work;
        for handed in ended {
            let feature = handed.feature;
            let output = handed.running.end();
            self.told.push(output.stdout.clone());
            match output.code {
                0 => self.finished.push(feature),
                // The limit of restarts, or a disk that was full: it says so, and that it is to be typed again.
                3 | 137 => self.start(feature),
                1 => {
                    self.retry(&feature)?;
                    self.start(feature);
                }
                _ => return Err(format!("`start` of {feature}: {}", output.shown())),
            }
        }
        while more && self.handed.len() < AT_ONCE {
            self.begin();
        }
        Ok(!self.handed.is_empty())
    }

    fn start(&mut self, feature: String) {
        self.starts += 1;
        let running = self.world.spawn(&["start", &format!("specs/{feature}")]);
        self.handed.push(Handed { feature, running });
    }

    /// Writes the next feature down and hands it over; what is finished is not needed any more.
    fn begin(&mut self) {
        self.begun += 1;
        for old in &self.finished {
            let path = self.world.repo().join("specs").join(old);
            if path.exists() {
                fs::remove_dir_all(path).unwrap();
            }
        }
        let line = |number: u32| format!("- [ ] T{number:03} [P] write out/T{number:03}.txt\n");
        let tasks: String = (1..=self.tasks).map(line).collect();
        let feature = format!("{:03}-soak", self.begun);
        self.world.feature(&feature, &format!("## Phase 1: Work\n\n{tasks}"));
        let (seconds, every) =
            (self.quiet.as_secs(), u32::try_from(self.quiet.as_secs() / 12).unwrap().max(1));
        let quiet = self.world.repo().join("quiet");
        if self.begun % every == 1 % every {
            fs::write(quiet, seconds.to_string()).unwrap();
        } else if quiet.exists() {
            fs::remove_file(quiet).unwrap();
        }
        self.world.commit(&feature);
        self.start(feature);
    }

    /// What faults have parked or made to wait is tried again, by a person.
    fn retry(&mut self, feature: &str) -> Result<(), String> {
        let status = self.world.status();
        let tasks = status["tasks"].as_array().cloned().unwrap_or_default();
        let stuck = |task: &&Value| task["state"] == "Parked" || task["state"] == "Waiting";
        let mut some = false;
        for task in
            tasks.iter().filter(stuck).filter(|task| task["feature"].as_str().is_none_or(|of| of == feature))
        {
            let id = task["id"].as_str().unwrap_or_default();
            println!("a person tries {feature}/{id} again: {}", task["reason"]);
            self.world.sprint(&["task", "retry", &format!("{feature}/{id}")]).expect(0);
            self.retries += 1;
            some = true;
        }
        if some { Ok(()) } else { Err(format!("`start` of {feature} ended with 1: {status:#}")) }
    }

    /// Nothing that was said is lost, nothing is done twice, nothing is left.
    pub(super) fn judge(&self) -> Result<(), String> {
        let left = self.world.processes();
        if !left.is_empty() {
            return Err(format!("something is left running: {left:?}"));
        }
        let verified = self.world.sprint(&["verify"]);
        if verified.code != 0 {
            return Err(format!("`sprint verify`: {}", verified.shown()));
        }
        for feature in &self.finished {
            let mut landed: Vec<String> =
                self.world.landed_of(feature).into_iter().map(|(task, _)| task).collect();
            landed.sort();
            let wanted: Vec<String> = (1..=self.tasks).map(|number| format!("T{number:03}")).collect();
            if landed != wanted {
                return Err(format!("{feature}: landed {landed:?}"));
            }
            let words = self.world.git(&["grep", "-h", "-e", ".", &format!("sprint/{feature}"), "--", "out"]);
            if words.lines().any(|word| word != "yes") {
                return Err(format!("{feature}: red has landed: {words}"));
            }
        }
        self.nothing_told_is_lost()?;
        self.nobody_was_ended_at_work()?;
        let status = self.world.git(&["status", "--porcelain"]);
        if status.is_empty() { Ok(()) } else { Err(format!("the checkout was touched: {status}")) }
    }

    /// "landed as 0123456789": such a commit is on a branch of its feature.
    fn nothing_told_is_lost(&self) -> Result<(), String> {
        for line in self.told.iter().flat_map(|told| told.lines()) {
            let Some((_, commit)) = line.split_once("landed as ") else { continue };
            let commit = commit.split_whitespace().next().unwrap_or_default();
            if self.world.git(&["branch", "--list", "--contains", commit, "sprint/*"]).is_empty() {
                return Err(format!("`{line}` was told, and is on no branch"));
            }
        }
        Ok(())
    }

    /// Agents that say nothing and work are not ended, nor are their workers.
    fn nobody_was_ended_at_work(&self) -> Result<(), String> {
        let path = self.world.state().join("sprint.db");
        let hung = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(|database| {
                let query = "SELECT count(*) FROM events WHERE text LIKE '%no sign of life%'";
                database.query_row(query, [], |row| row.get::<_, i64>(0))
            })
            .map_err(|error| error.to_string())?;
        let logs = fs::read_dir(self.world.state().join("logs")).into_iter().flatten().flatten();
        let ended: usize = logs
            .map(|log| {
                String::from_utf8_lossy(&fs::read(log.path()).unwrap_or_default())
                    .matches("hangs and is ended")
                    .count()
            })
            .sum();
        println!("ended as hung: {hung} agents, {ended} workers");
        if hung == 0 && ended == 0 {
            Ok(())
        } else {
            Err(format!("{hung} agents and {ended} workers were ended at work"))
        }
    }
}
