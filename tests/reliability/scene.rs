//! What is disturbed: a feature, from `sprint start` to its end, with an attempt that is red, commits of the
//! agents' and of sprint's. And what must come out of it.

use std::process::ExitStatus;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::common::{SPRINT, World};
use crate::tracer::{self, Call, Deed};

/// From the disturbance to a sprint that is consistent and done: more is a hang.
const LIMIT: Duration = Duration::from_mins(1);

/// From the end of a `start` that was not killed to the end of all that it has started.
const AFTER: Duration = Duration::from_secs(15);

/// From one look at what is left of a hang to the next.
const END_WAIT: Duration = Duration::from_millis(500);

/// A task: its id, its file, and what is in that.
type Task = (&'static str, &'static str, &'static str);

const TASKS: [Task; 6] = [
    ("T001", "one.txt", "one"),
    ("T002", "two.txt", "two"),
    ("T003", "three.txt", "three"),
    ("T004", "four.txt", "four"),
    ("T005", "five.txt", "five"),
    ("T006", "six.txt", "six"),
];

/// Its first attempt is red.
const TWICE: &str = "T002";

/// Even tasks commit, and the others leave what they did.
const AGENT: &str = r#"case "$1" in
T001) echo one > one.txt;;
T002) if [ "$SPRINT_ATTEMPT" = 1 ]; then echo no > two.txt; else echo two > two.txt; fi;;
T003) echo three > three.txt;;
T004) echo four > four.txt;;
T005) echo five > five.txt;;
T006) echo six > six.txt;;
esac
case "$1" in *[246]) git add -A; git commit -qm "$1";; esac"#;

/// How large the feature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Size {
    /// Two tasks, side by side, and nobody who only waits: each program is looked at call by call.
    #[default]
    Two,
    /// Six tasks in two phases, with all who are always there.
    Six,
}

impl Size {
    fn tasks(self) -> &'static [Task] {
        match self {
            Self::Two => &TASKS[..2],
            Self::Six => &TASKS,
        }
    }

    /// As `tasks.md` has them.
    fn text(self) -> String {
        let line = |(id, file, _): &Task| format!("- [ ] {id} [P] write {file}\n");
        let text = |tasks: &[Task]| tasks.iter().map(line).collect::<String>();
        let (first, second) = self.tasks().split_at(self.tasks().len().div_ceil(2).max(2));
        let second =
            if second.is_empty() { String::new() } else { format!("\n## Phase 2: More\n\n{}", text(second)) };
        format!("## Phase 1: Work\n\n{}{second}", text(first))
    }

    /// Each task's attempt that lands in an undisturbed run, and the least one that lands in any other.
    fn landed(self) -> Vec<(&'static str, u32)> {
        self.tasks().iter().map(|(id, ..)| (*id, if *id == TWICE { 2 } else { 1 })).collect()
    }
}

/// See the module.
pub(crate) struct Scene {
    pub(crate) world: World,
    size: Size,
    main: String,
    limit: Duration,
}

impl Scene {
    /// Ready to be started.
    pub(crate) fn new() -> Self {
        Self::of(Size::Two)
    }

    /// The same with a feature of that size.
    pub(crate) fn of(size: Size) -> Self {
        Self::made(size, "", "", LIMIT)
    }

    /// With a bug that is put in on purpose, something that every agent does first, and less patience.
    pub(crate) fn with(bug: &str, before: &str, limit: Duration) -> Self {
        Self::made(Size::Two, bug, before, limit)
    }

    fn made(size: Size, bug: &str, before: &str, limit: Duration) -> Self {
        let mut world = World::new();
        world.env("SPRINT_SEEDED_BUG", bug);
        world.hurry();
        world.feature("001-demo", &size.text());
        world.agent(&format!("{before}\n{AGENT}"));
        world.gate("two", "[ ! -e two.txt ] || grep -q two two.txt");
        if size == Size::Two {
            world.set("roles.manager.permanent", "false");
            world.set("roles.librarian.permanent", "false");
        }
        world.configure();
        // It waits for nobody else's gates, and leaves nothing behind where it is cut off.
        let (slots, temporary) = (world.path().join("slots"), world.path().join("t"));
        std::fs::create_dir(&temporary).unwrap();
        world.env("SPRINT_SLOTS", slots);
        world.env("TMPDIR", temporary);
        world.commit("base");
        let main = world.git(&["rev-parse", "main"]);
        Self { world, size, main, limit }
    }

    /// With an older feature that is done, in a state as the first release of the schema has left it.
    pub(crate) fn of_the_first_schema() -> Self {
        let mut scene = Self::new();
        scene.world.feature("000-old", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
        scene.world.commit("an older feature");
        scene.main = scene.world.git(&["rev-parse", "main"]);
        scene.world.sprint(&["start", "specs/000-old"]).expect(0);
        std::fs::remove_dir_all(scene.world.state().join("snapshots")).unwrap();
        let database = rusqlite::Connection::open(scene.world.state().join("sprint.db")).unwrap();
        // What the later ones have brought, and the mark that a supervisor puts in by itself.
        let back =
            "DROP TABLE spent; DELETE FROM meta WHERE key IN ('name', 'repository'); PRAGMA user_version = 1";
        database.execute_batch(back).unwrap();
        scene
    }

    /// The version of the schema that the state has.
    pub(crate) fn schema(&self) -> i64 {
        let database = rusqlite::Connection::open(self.world.state().join("sprint.db")).unwrap();
        database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    /// `sprint start` to the end of everything that it starts, with a look at each call. `None` if it hung, or
    /// has left something that had to be ended though all is done.
    pub(crate) fn play(&self, decide: &mut (dyn FnMut(&Call) -> Deed + Send)) -> Option<ExitStatus> {
        let mut command = self.world.command(SPRINT);
        command.args(["start", "specs/001-demo"]);
        let printed = std::fs::File::create(self.printed()).unwrap();
        let (tell, told) = channel::<ExitStatus>();
        std::thread::scope(|scope| {
            let playing = scope.spawn(|| {
                let ended = move |status| tell.send(status).unwrap();
                tracer::run(&command, printed, decide, &ended)
            });
            let (mut wait, mut left) = (2 * self.limit, false);
            loop {
                match told.recv_timeout(wait) {
                    // What a killed one has started goes on by itself.
                    Ok(status) if status.code().is_none() => {}
                    Ok(_) => wait = AFTER,
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => {
                        // So that the tracer comes back.
                        crate::common::processes::end(&self.world.processes());
                        (wait, left) = (END_WAIT, true);
                    }
                }
            }
            playing.join().unwrap().filter(|status| !(left && status.success()))
        })
    }

    /// What `start` has printed so far.
    pub(crate) fn told(&self) -> String {
        std::fs::read_to_string(self.printed()).unwrap_or_default()
    }

    fn printed(&self) -> std::path::PathBuf {
        self.world.path().join("out/play")
    }

    /// What is wrong after a run that ended with `status`, if anything is. A `start` that was killed itself
    /// is said once more, as a person would.
    pub(crate) fn judge(&self, status: Option<ExitStatus>, again: bool) -> Result<(), String> {
        self.judge_after(0, status, again)
    }

    /// The same, and so many of the agents' attempts may have failed by what was done.
    pub(crate) fn judge_after(
        &self,
        failed: u32,
        status: Option<ExitStatus>,
        again: bool,
    ) -> Result<(), String> {
        let began = Instant::now();
        let code = status.and_then(|status| status.code());
        if again {
            let said = self.world.sprint(&["start", "specs/001-demo"]);
            if said.code != 0 {
                return Err(format!("the second `start`: {}", said.shown()));
            }
        } else if code != Some(0) {
            return Err(format!("`start` ended with {code:?}"));
        }
        if began.elapsed() > self.limit {
            return Err(format!("it took {:?}", began.elapsed()));
        }
        let left = self.world.processes();
        if !left.is_empty() {
            return Err(format!("something is left running: {left:?}"));
        }
        self.look(failed)
    }

    /// The state that it is in, with nobody at work.
    fn look(&self, failed: u32) -> Result<(), String> {
        let verified = self.world.sprint(&["verify"]);
        if verified.code != 0 {
            return Err(format!("`sprint verify`: {}", verified.shown()));
        }
        let mut landed = self.world.landed_of("001-demo");
        landed.sort();
        let least: Vec<_> =
            self.size.landed().into_iter().map(|(task, attempt)| (task.to_owned(), attempt)).collect();
        let as_wanted = landed.len() == least.len()
            && landed.iter().zip(&least).all(|(found, least)| found.0 == least.0 && found.1 >= least.1);
        let attempts = |of: &[(String, u32)]| of.iter().map(|(_, attempt)| *attempt).sum::<u32>();
        if !as_wanted || attempts(&landed) > attempts(&least) + failed {
            return Err(format!("landed: {landed:?}"));
        }
        for (_, path, wanted) in self.size.tasks() {
            let found = self.world.landed_file(path);
            if found != *wanted {
                return Err(format!("{path} is `{found}`"));
            }
        }
        let main = self.world.git(&["rev-parse", "main"]);
        let status = self.world.git(&["status", "--porcelain"]);
        if main != self.main || !status.is_empty() {
            return Err(format!("the checkout was touched: {main}, {status}"));
        }
        Ok(())
    }
}
