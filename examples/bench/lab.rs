//! A repository with a feature, in a directory of its own, and the sprint on it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::logs::{self, Entry};
use crate::{Outcome, Plan};

/// How the tasks of the feature stand to each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// One after the other.
    Line,
    /// All at once.
    Parallel,
}

/// What a lab is made of.
pub(crate) struct Setup {
    pub(crate) files: usize,
    pub(crate) tasks: usize,
    pub(crate) order: Order,
    /// The agent's words, after this program's own path.
    pub(crate) agent: Vec<String>,
    /// The rest of `sprint.toml`.
    pub(crate) config: String,
}

/// The place.
pub(crate) struct Lab {
    directory: TempDir,
    sprint: PathBuf,
    pub(crate) repo: PathBuf,
}

/// Nothing of sprint's is a session of its own unless there is work for it.
pub(crate) const ON_DEMAND: &str = "[roles.manager]\npermanent = false\n[roles.reviewer]\npermanent = false\n[roles.librarian]\npermanent = false\n[roles.merger]\npermanent = false\n";

impl Lab {
    pub(crate) fn new(plan: &Plan, setup: &Setup) -> Outcome<Self> {
        let directory = tempfile::Builder::new().prefix("sb-").tempdir_in("/tmp")?;
        let repo = directory.path().join("repo");
        for name in ["state", "cfg", "run", "data", "stamps"] {
            fs::DirBuilder::new().mode(0o700).create(directory.path().join(name))?;
        }
        let lab = Self { directory, sprint: plan.sprint.clone(), repo };
        lab.make_repository(plan, setup)?;
        Ok(lab)
    }

    fn make_repository(&self, plan: &Plan, setup: &Setup) -> Outcome<()> {
        let feature = self.repo.join("specs/001-bench");
        fs::create_dir_all(&feature)?;
        write_files(&self.repo, setup.files)?;
        let mut tasks = "# Tasks: bench\n\n## Phase 1: Work\n\n".to_owned();
        let mark = if setup.order == Order::Parallel { "[P] " } else { "" };
        for number in 1..=setup.tasks {
            writeln!(tasks, "- [ ] T{number:03} {mark}write src/T{number:03}.txt")?;
        }
        fs::write(feature.join("tasks.md"), tasks)?;
        fs::write(feature.join("spec.md"), "# Feature Specification: bench\n")?;
        fs::write(feature.join("plan.md"), "# Implementation Plan: bench\n")?;
        let mut words = vec![plan.own.display().to_string()];
        words.extend(
            setup.agent.iter().map(|word| word.replace("{stamps}", &self.stamps().display().to_string())),
        );
        let config = format!(
            "[gates]\npresets = []\n[roles.developer]\nagent = \"probe\"\n[agent.probe]\nkind = \"command\"\ncommand = {words:?}\n{}",
            setup.config
        );
        fs::write(self.repo.join("sprint.toml"), config)?;
        init(&self.repo)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn stamps(&self) -> PathBuf {
        self.path("stamps")
    }

    /// When a task's agent began.
    pub(crate) fn stamp(&self, task: &str) -> Option<i64> {
        fs::read_to_string(self.stamps().join(task)).ok()?.parse().ok()
    }

    /// How many agents have begun.
    pub(crate) fn stamped(&self) -> usize {
        let all = fs::read_dir(self.stamps()).into_iter().flatten().flatten();
        all.filter(|entry| entry.path().extension().is_none()).count()
    }

    /// A command of sprint's, in the repository.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.sprint);
        command.args(words).current_dir(&self.repo).stdin(Stdio::null());
        for (variable, name) in [
            ("XDG_STATE_HOME", "state"),
            ("XDG_CONFIG_HOME", "cfg"),
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_DATA_HOME", "data"),
        ] {
            command.env(variable, self.path(name));
        }
        command.env_remove("TMUX");
        command
    }

    /// Runs one to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Outcome<String> {
        let output = self.command(words).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("sprint {}: {}: {}", words.join(" "), output.status, said.trim()).into())
    }

    pub(crate) fn start(&self) -> Outcome<()> {
        self.run(&["start", "specs/001-bench", "--detach"]).map(drop)
    }

    /// The state directory.
    pub(crate) fn state(&self) -> Outcome<PathBuf> {
        let mut found = fs::read_dir(self.path("state").join("sprint"))?;
        Ok(found.next().ok_or("no state directory")??.path())
    }

    /// What makes this sprint's names unique.
    fn hash(&self) -> Option<String> {
        let state = self.state().ok()?;
        state.file_name()?.to_str()?.rsplit('-').next().map(str::to_owned)
    }

    /// The lines of somebody's log; none as long as there is none.
    pub(crate) fn log(&self, name: &str) -> Vec<Entry> {
        self.state().and_then(|state| logs::read(&state.join("logs"), name)).unwrap_or_default()
    }

    /// The logs of all workers.
    pub(crate) fn worker_logs(&self) -> Outcome<Vec<(String, Vec<Entry>)>> {
        let mut found = Vec::new();
        for file in fs::read_dir(self.state()?.join("logs"))? {
            let name = file?.file_name().to_string_lossy().into_owned();
            let Some((worker, end)) = name.split_once('.') else { continue };
            if worker != "supervisor" && end.ends_with("log") {
                found.push((worker.to_owned(), self.log(worker)));
            }
        }
        Ok(found)
    }

    /// Lines of the history of one kind.
    pub(crate) fn history(&self, kind: &str) -> Vec<Entry> {
        self.log("supervisor").into_iter().filter(|entry| entry.is(kind)).collect()
    }

    /// Waits until something is so.
    pub(crate) fn wait(what: &str, limit: Duration, so: impl Fn() -> bool) -> Outcome<()> {
        let until = Instant::now() + limit;
        while !so() {
            if Instant::now() > until {
                return Err(format!("no {what} after {} s", limit.as_secs()).into());
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        Ok(())
    }

    /// The supervisor's process.
    pub(crate) fn supervisor(&self) -> Outcome<i32> {
        let file = self
            .path("run")
            .join(format!("sprint-{}", self.hash().ok_or("no state")?))
            .join("supervisor.json");
        let json: serde_json::Value = serde_json::from_slice(&fs::read(file)?)?;
        let pid = json["pid"].as_i64().ok_or("no pid of the supervisor")?;
        Ok(i32::try_from(pid)?)
    }

    /// `status --json`.
    pub(crate) fn status(&self) -> Outcome<serde_json::Value> {
        Ok(serde_json::from_str(&self.run(&["status", "--json"])?)?)
    }

    /// The living workers: name and process.
    pub(crate) fn workers(&self) -> Outcome<Vec<(String, i32)>> {
        let status = self.status()?;
        let rows = status["workers"].as_array().ok_or("no workers in status")?;
        let row = |row: &serde_json::Value| {
            Some((row["name"].as_str()?.to_owned(), i32::try_from(row["pid"].as_i64()?).ok()?))
        };
        Ok(rows.iter().filter_map(row).collect())
    }

    /// tmux's own process.
    pub(crate) fn tmux(&self) -> Outcome<i32> {
        let json: serde_json::Value = serde_json::from_slice(&fs::read(self.state()?.join("tmux.pid"))?)?;
        Ok(i32::try_from(json["pid"].as_i64().ok_or("no pid of tmux")?)?)
    }
}

impl Drop for Lab {
    /// Nothing stays, whatever was measured or failed.
    fn drop(&mut self) {
        let supervisor = self.supervisor().ok();
        if let Err(error) = self.run(&["stop", "--now"]) {
            eprintln!("{error}");
        }
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until
            && supervisor.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
        {
            std::thread::sleep(Duration::from_millis(25));
        }
        if let Some(hash) = self.hash() {
            // It has gone with its supervisor; only a failed run leaves one.
            let kill = Command::new("tmux")
                .args(["-L", &format!("sprint-{hash}"), "kill-server"])
                .stderr(Stdio::null())
                .status();
            if let Err(error) = kill {
                eprintln!("tmux: {error}");
            }
        }
    }
}

/// Small files in directories of fifty.
pub(crate) fn write_files(repo: &Path, count: usize) -> Outcome<()> {
    fs::create_dir_all(repo.join("src"))?;
    fs::write(repo.join("src/.keep"), "")?;
    for number in 0..count {
        let directory = repo.join(format!("lib/d{:03}", number / 50));
        fs::create_dir_all(&directory)?;
        let line = format!("line of file {number} with some words in it\n");
        fs::write(directory.join(format!("f{number:05}.txt")), line.repeat(40))?;
    }
    Ok(())
}

/// Makes it a repository with one commit.
pub(crate) fn init(repo: &Path) -> Outcome<()> {
    git(repo, &["init", "-q", "-b", "main"])?;
    git(repo, &["config", "user.name", "bench"])?;
    git(repo, &["config", "user.email", "bench@example.invalid"])?;
    git(repo, &["config", "gc.auto", "0"])?;
    git(repo, &["add", "-A"])?;
    git(repo, &["commit", "-q", "-m", "base"])
}

/// Runs git.
pub(crate) fn git(at: &Path, words: &[&str]) -> Outcome<()> {
    let output = Command::new("git").arg("-C").arg(at).args(words).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("git {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()).into())
}
