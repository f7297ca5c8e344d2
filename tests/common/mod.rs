//! A world of its own for one test: a repository, a state directory, an environment, and whatever
//! `sprint` starts in it. Nothing of the person's is read, and nothing is left behind: dropping
//! the world ends every process that knows of it, also when the test panics.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test program uses its own part of this, and fails loudly"
)]

mod bell;
pub(crate) mod processes;
pub(crate) mod terminal;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use sprint::process::identity::ProcId;
use tempfile::TempDir;

use self::bell::Bell;

/// No command may take longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

/// What a command did.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The exit code is `code`, or the test fails with everything that was printed.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// Both streams and the code, as a person sees them.
    pub(crate) fn shown(&self) -> String {
        let mut text = String::new();
        for part in [&self.stdout, &self.stderr] {
            text.push_str(part);
            if !part.is_empty() && !part.ends_with('\n') {
                text.push('\n');
            }
        }
        format!("{text}[exit {}]", self.code)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A `sprint` that runs while the test does something else.
pub(crate) struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    deadline: Duration,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.out).unwrap()).into_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Output {
        use std::os::unix::process::ExitStatusExt;
        let pid = self.child.id().cast_signed();
        let gone = ProcId::of(pid)
            .ok()
            .and_then(|id| id.open().ok().flatten())
            .is_none_or(|fd| fd.wait(self.deadline));
        if !gone {
            self.child.kill().unwrap();
        }
        let status = self.child.wait().unwrap();
        let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let output = Output { code, stdout: text(&self.out), stderr: text(&self.err) };
        assert!(gone, "it did not end within {:?}: {}", self.deadline, output.shown());
        output
    }
}

/// See the module.
pub(crate) struct World {
    dir: TempDir,
    config: BTreeMap<String, String>,
    env: BTreeMap<OsString, OsString>,
    commands: AtomicU32,
    deadline: Duration,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world with an empty repository `r` on `main` and the directories of its own, and a
    /// configuration: two developers that run `agent.sh`, and no gate.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("sp-").tempdir_in("/tmp").unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["s", "c", "x", "h", "r", "out"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::set_permissions(at("x"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(at("gitconfig"), "[init]\n\tdefaultBranch = main\n").unwrap();
        let mut env: BTreeMap<OsString, OsString> = BTreeMap::new();
        let mut set = |name: &str, value: &OsStr| env.insert(name.into(), value.into());
        set("PATH", &std::env::var_os("PATH").unwrap_or_default());
        set("HOME", at("h").as_os_str());
        set("XDG_STATE_HOME", at("s").as_os_str());
        set("XDG_CONFIG_HOME", at("c").as_os_str());
        set("XDG_RUNTIME_DIR", at("x").as_os_str());
        set("GIT_CONFIG_GLOBAL", at("gitconfig").as_os_str());
        set("GIT_CONFIG_NOSYSTEM", "1".as_ref());
        set("LANG", "C.UTF-8".as_ref());
        set("TERM", "xterm-256color".as_ref());
        set("W", dir.path().as_os_str());
        let config = BTreeMap::from(
            [
                ("agents.max_developers", "2"),
                ("roles.developer.agent", "\"mine\""),
                ("agent.mine.kind", "\"command\""),
                ("agent.mine.command", "[\"./agent.sh\", \"{task.id}\"]"),
                ("gates.presets", "[]"),
                ("general.disk_free_min", "\"1MB\""),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        let world = Self { dir, config, env, commands: AtomicU32::new(0), deadline: DEADLINE };
        world.git(&["init", "-q", "-b", "main"]);
        world.git(&["config", "user.name", "Ann"]);
        world.git(&["config", "user.email", "ann@example.invalid"]);
        world
    }

    /// A world whose feature `001-demo` has `tasks` (the lines below a phase), an agent and no gate.
    pub(crate) fn with(tasks: &str, agent: &str) -> Self {
        let world = Self::new();
        world.feature("001-demo", &format!("## Phase 1: Work\n\n{tasks}"));
        world.agent(agent);
        world.configure();
        world.commit("base");
        world
    }

    /// The feature of the contract: four tasks, one red attempt, one gate.
    pub(crate) fn demo() -> Self {
        let mut world = Self::new();
        world.feature(
            "001-demo",
            "## Phase 1: Setup\n\n- [ ] T001 write src/one.txt\n\n## Phase 2: User Story 1 - Two (Priority: P1)\n\n\
             - [ ] T002 [P] [US1] write src/two.txt\n- [ ] T003 [P] [US1] write src/three.txt\n\
             - [ ] T004 [US1] join them in src/all.txt (depends on T002, T003)\n",
        );
        world.file("src/.keep", "");
        world.agent(
            "case \"$1\" in T001) echo one > src/one.txt;; T002) echo two > src/two.txt;; T003) echo three > src/three.txt;;\n\
             T004) if [ \"$SPRINT_ATTEMPT\" = 1 ]; then echo nothing > src/all.txt; else [ -n \"$SPRINT_FEEDBACK\" ]; \
             cat src/two.txt src/three.txt > src/all.txt; fi;; esac\ngit add -A; git commit -qm \"$1\"",
        );
        world.gate("join", "[ ! -e src/all.txt ] || grep -q three src/all.txt");
        world.configure();
        world.commit("base");
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.dir.path().join("r")
    }

    /// A file of the repository, with its directories.
    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A bash program of the repository.
    pub(crate) fn script(&self, path: &str, body: &str) {
        self.file(path, &format!("#!/bin/bash\nset -e\n{body}\n"));
        fs::set_permissions(self.repo().join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A program outside the repository, in a directory that can be put on PATH.
    pub(crate) fn program(&self, path: &str, body: &str) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/bash\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A feature directory.
    pub(crate) fn feature(&self, name: &str, tasks: &str) {
        self.file(&format!("specs/{name}/tasks.md"), &format!("# Tasks: {name}\n\n{tasks}"));
        self.file(&format!("specs/{name}/spec.md"), &format!("# Feature Specification: {name}\n"));
        self.file(&format!("specs/{name}/plan.md"), &format!("# Implementation Plan: {name}\n"));
    }

    /// What the developers run; `$1` is the task.
    pub(crate) fn agent(&self, body: &str) {
        self.script("agent.sh", body);
    }

    /// A gate of its own in `InTests`, a script in the repository, absolute.
    pub(crate) fn gate(&mut self, name: &str, body: &str) {
        let script = format!("gate-{name}.sh");
        self.script(&script, body);
        self.set(&format!("gate.{name}.stage"), "\"InTests\"");
        self.set(&format!("gate.{name}.command"), &format!("[\"./{script}\"]"));
        self.set(&format!("gate.{name}.parser"), "\"exit-code\"");
        self.set(&format!("gate.{name}.mode"), "\"absolute\"");
    }

    /// A key of `sprint.toml`, dotted, with a TOML value.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.config.insert(key.to_owned(), value.to_owned());
    }

    pub(crate) fn unset(&mut self, key: &str) {
        self.config.remove(key);
    }

    /// Writes `sprint.toml`.
    pub(crate) fn configure(&self) {
        let lines: Vec<String> =
            self.config.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        self.file("sprint.toml", &lines.concat());
    }

    /// The adapter `fake` in place of `mine`: a model's program that is this script, and prints
    /// lines of JSON.
    pub(crate) fn fake_agent(&mut self, script: &str) {
        self.script("fake.sh", script);
        self.unset("agent.mine.kind");
        self.unset("agent.mine.command");
        self.set("agent.fake.extends", "\"cli\"");
        self.set("agent.fake.command", "[\"./fake.sh\"]");
        self.set("agent.fake.headless.stream", "\"jsonl\"");
        self.set("agent.fake.done.when", "\"type=done\"");
    }

    /// For programs that take their time to start.
    pub(crate) fn be_patient(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    pub(crate) fn env(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.env.insert(name.into(), value.as_ref().into());
    }

    /// For tests that kill a git over and over: the locks that it leaves are nobody's sooner, but where all
    /// is to be as long as it is.
    pub(crate) fn hurry(&mut self) {
        if std::env::var_os("SPRINT_TEST_EXHAUSTIVE").is_none() {
            self.env(sprint::git::locks::WAIT_VARIABLE, "3");
        }
    }

    pub(crate) fn env_remove(&mut self, name: &str) {
        self.env.remove(OsStr::new(name));
    }

    pub(crate) fn environment(&self) -> &BTreeMap<OsString, OsString> {
        &self.env
    }

    /// A command in the repository, in this world's environment.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.env).current_dir(self.repo()).stdin(Stdio::null());
        command
    }

    /// `git` in the repository; it must succeed.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.git_in(&self.repo(), args)
    }

    #[track_caller]
    pub(crate) fn git_in(&self, directory: &Path, args: &[&str]) -> String {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let output =
            self.command("git").env("PATH", path).current_dir(directory).args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Everything of the checkout.
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// `sprint …` in the repository, to its end.
    #[track_caller]
    pub(crate) fn sprint(&self, args: &[&str]) -> Output {
        self.spawn(args).end()
    }

    /// `sprint start specs/001-demo`.
    #[track_caller]
    pub(crate) fn start(&self) -> Output {
        self.sprint(&["start", "specs/001-demo"])
    }

    /// `sprint start --detach specs/001-demo`, which must succeed.
    #[track_caller]
    pub(crate) fn detach(&self) {
        self.sprint(&["start", "--detach", "specs/001-demo"]).expect(0);
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Running {
        let mut command = self.command(SPRINT);
        command.args(args);
        self.spawn_command(command)
    }

    /// Any command, its output in files: what it leaves behind cannot hold the test up.
    pub(crate) fn spawn_command(&self, mut command: Command) -> Running {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str| self.path().join("out").join(format!("{number}.{kind}"));
        let (out, err) = (file("out"), file("err"));
        let child =
            command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap()).spawn().unwrap();
        Running { child, out, err, deadline: self.deadline }
    }

    /// The runtime directories of the sprints of this world.
    pub(crate) fn runtimes(&self) -> Vec<PathBuf> {
        // A test may have removed all of it.
        let entries = fs::read_dir(self.path().join("x")).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("sprint-")))
            .collect()
    }

    /// The hash of the repository: part of the names of its places.
    pub(crate) fn hash(&self) -> String {
        let state = self.state();
        let name = state.file_name().unwrap().to_string_lossy().into_owned();
        name.rsplit_once('-').expect("`<name>-<hash>`").1.to_owned()
    }

    /// The state directory of the repository.
    pub(crate) fn state(&self) -> PathBuf {
        fs::read_dir(self.path().join("s/sprint"))
            .unwrap()
            .flatten()
            .next()
            .expect("a sprint was started")
            .path()
    }

    /// The supervisor that runs now.
    pub(crate) fn supervisor(&self) -> Option<u32> {
        let text = fs::read(self.runtimes().pop()?.join("supervisor.json")).ok()?;
        let file: Value = serde_json::from_slice(&text).ok()?;
        let pid = u32::try_from(file["pid"].as_u64()?).ok()?;
        processes::alive(pid).then_some(pid)
    }

    /// `tmux` against the world's own server.
    pub(crate) fn tmux(&self, args: &[&str]) -> Output {
        let mut command = self.command("tmux");
        command.arg("-L").arg(format!("sprint-{}", self.hash())).args(args);
        self.spawn_command(command).end()
    }

    pub(crate) fn status(&self) -> Value {
        self.sprint(&["status", "--json"]).expect(0).json()
    }

    /// Waits until the status is as wanted, looking whenever the supervisor rings.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let bell = Bell::put_up(self);
        let end = Instant::now() + self.deadline / 2;
        loop {
            let status = self.status();
            if condition(&status) {
                return status;
            }
            assert!(
                Instant::now() < end,
                "{what}: not within {:?}: {status:#}\n{}",
                self.deadline / 2,
                self.log()
            );
            bell.wait();
        }
    }

    /// Waits until `task` is in `state` (`Waiting`, `Parked`, `Done`, `InReview`…).
    #[track_caller]
    pub(crate) fn wait_task(&self, task: &str, state: &str) -> Value {
        self.wait_for(&format!("{task} {state}"), |status| task_row(status, task)["state"] == state)
    }

    /// Waits until something holds that no bell tells.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        self.wait_until_watching(what, condition);
    }

    /// As [`Self::wait_until`], with a look that keeps something of what it sees.
    #[track_caller]
    pub(crate) fn wait_until_watching(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let bell = Bell::silent();
        let end = Instant::now() + self.deadline;
        while !condition() {
            assert!(Instant::now() < end, "{what}: not within {:?}\n{}", self.deadline, self.log());
            bell.wait();
        }
    }

    /// A file that an agent waits for: `while [ ! -e $W/go ]; do sleep 0.05; done`.
    pub(crate) fn touch(&self, name: &str) {
        fs::write(self.path().join(name), "").unwrap();
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    /// What an agent left in `$W/<name>`.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    /// Tasks and attempts as they landed on the feature's branch, oldest first.
    pub(crate) fn landed_of(&self, feature: &str) -> Vec<(String, u32)> {
        let format = "--format=%(trailers:key=Sprint-Task,valueonly,separator=)%x20%(trailers:key=Sprint-Attempt,valueonly,separator=)";
        let branch = format!("sprint/{feature}");
        let log = self.git(&["log", "--first-parent", "--reverse", format, &branch]);
        let pair = |line: &str| {
            let (task, attempt) = line.trim().split_once(' ')?;
            Some((task.to_owned(), attempt.trim().parse().ok()?))
        };
        log.lines().filter_map(pair).collect()
    }

    /// As `T001:1 T002:1 …` of `001-demo`.
    pub(crate) fn landed(&self) -> String {
        let pairs = self.landed_of("001-demo");
        pairs.iter().map(|(task, attempt)| format!("{task}:{attempt}")).collect::<Vec<_>>().join(" ")
    }

    /// A file at the head of the feature's branch.
    pub(crate) fn landed_file(&self, path: &str) -> String {
        self.git(&["show", &format!("sprint/001-demo:{path}")])
    }

    /// Everything that runs and knows of this world.
    pub(crate) fn processes(&self) -> Vec<processes::Found> {
        let mut marks = vec![self.path().to_string_lossy().into_owned()];
        for runtime in self.runtimes() {
            marks.push(runtime.file_name().unwrap().to_string_lossy().into_owned());
        }
        processes::marked(&marks)
    }

    /// Nothing of this world runs any more.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        let left = self.processes();
        assert!(left.is_empty(), "still there: {left:#?}");
    }

    /// The end of the supervisor's log, for a test that fails.
    pub(crate) fn log(&self) -> String {
        let Ok(entries) = fs::read_dir(self.path().join("s/sprint")) else { return String::new() };
        let mut text = String::new();
        for file in entries
            .flatten()
            .filter_map(|entry| fs::read_dir(entry.path().join("logs")).ok())
            .flatten()
            .flatten()
        {
            let all = fs::read(file.path()).unwrap_or_default();
            let tail = &all[all.len().saturating_sub(4_000)..];
            let (path, tail) = (file.path(), String::from_utf8_lossy(tail));
            text = format!("{text}--- {}\n{tail}\n", path.display());
        }
        text
    }

    /// What differs from one run to the next is replaced.
    pub(crate) fn redact(&self, text: &str) -> String {
        let text = text.replace(&*self.path().to_string_lossy(), "[W]");
        let replace = |text: String, pattern: &str, by: &str| {
            regex::Regex::new(pattern).unwrap().replace_all(&text, by).into_owned()
        };
        let text = replace(text, r"\b[0-9a-f]{40}\b", "[sha]");
        let text = replace(text, r"\b(r|sprint)-[0-9a-f]{8,32}\b", "$1-[hash]");
        let text = replace(text, r"\d\d:\d\d:\d\d|damaged-\d+", "[time]");
        replace(text, r"\bpid \d+", "pid [pid]")
    }

    fn end_everything(&self) {
        for runtime in self.runtimes() {
            let name = runtime.file_name().unwrap().to_os_string();
            let killed = self.command("tmux").arg("-L").arg(name).arg("kill-server").output();
            assert!(killed.is_ok() || std::thread::panicking());
        }
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            processes::end(&left);
        }
        eprintln!("a test left processes behind: {:#?}", self.processes());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        self.end_everything();
        // Worktrees of a gate may be read-only; the directory is under /tmp in any case.
    }
}

/// The program under test.
pub(crate) const SPRINT: &str = env!("CARGO_BIN_EXE_sprint");

/// The row of a task in `status --json`; null where there is none.
pub(crate) fn task_row<'v>(status: &'v Value, task: &str) -> &'v Value {
    const NONE: &Value = &Value::Null;
    let rows = status["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().find(|row| row["id"] == task).unwrap_or(NONE)
}
