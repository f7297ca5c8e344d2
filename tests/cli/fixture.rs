//! A repository with a sprint in it, made by real events through the real store.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sprint::config::layout::{Homes, Layout};
use sprint::domain::event::{Envelope, Event, NewFeature, NewTask, Now, Request};
use sprint::domain::gate::Verdict;
use sprint::domain::ids::{CommitSha, FeatureId, TaskId};
use sprint::domain::plan::{PlanItem, PlanOptions, plan};
use sprint::domain::policy::Policy;
use sprint::domain::report::{Candidate, Report};
use sprint::domain::state::{Run, State};
use sprint::domain::step::step;
use sprint::domain::worker::{Life, ProcRef};
use sprint::git::{Repo, id};
use sprint::process::clock;
use sprint::process::identity::ProcId;
use sprint::process::supervisor_file::SupervisorFile;
use sprint::store::{Batch, Store};

/// How long ago everything happened, so that spans are the same in every run.
pub(crate) const AGO_MS: i64 = 125_000;

pub(crate) struct Sprint {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) top: PathBuf,
    pub(crate) layout: Layout,
    pub(crate) store: Store,
    pub(crate) state: State,
    /// Over that of the sample.
    pub(crate) configuration: String,
    entropy: u64,
    next_id: i64,
    /// What the events' clock is ahead of the machine's.
    late_ms: u64,
}

/// A task of the sample.
pub(crate) struct Sample {
    pub(crate) id: &'static str,
    pub(crate) title: String,
    pub(crate) phase: u32,
    pub(crate) done: bool,
}

impl Sprint {
    /// A repository without a sprint: its directory, and its checkout.
    pub(crate) fn empty() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::Builder::new().prefix("sprint-cli-").tempdir().unwrap();
        let top = dir.path().join("shop");
        std::fs::create_dir_all(top.join("src")).unwrap();
        std::fs::create_dir_all(dir.path().join("run")).unwrap();
        std::fs::write(top.join("README.md"), "shop\n").unwrap();
        git(dir.path(), &top, &["init", "-q", "-b", "main"]);
        git(dir.path(), &top, &["add", "."]);
        git(dir.path(), &top, &["commit", "-q", "-m", "begin"]);
        (dir, top)
    }

    /// A store with nothing in it.
    pub(crate) fn new() -> Self {
        let (dir, top) = Self::empty();
        Self::within(dir, top)
    }

    /// The same in a repository that was there before.
    pub(crate) fn within(dir: tempfile::TempDir, top: PathBuf) -> Self {
        let repo = Repo::discover(&top).unwrap();
        let (repo_id, _) = id::ensure(&repo).unwrap();
        let homes = Homes {
            xdg_state: Some(dir.path().join("state")),
            xdg_runtime: Some(dir.path().join("run")),
            home: dir.path().join("home"),
            ..Homes::default()
        };
        let layout = Layout::new(&homes, &repo.name, &repo_id.hash);
        layout.directories().iter().for_each(|path| std::fs::create_dir_all(path).unwrap());
        let mut store = Store::open(&layout.database()).unwrap();
        store.raise_epoch(clock::boot_id().unwrap(), 0).unwrap();
        Self {
            dir,
            top,
            layout,
            store,
            state: State::default(),
            configuration: String::new(),
            entropy: 0,
            next_id: 1,
            late_ms: 0,
        }
    }

    /// The sample feature, begun: its developers are at work.
    pub(crate) fn begun(samples: &[Sample], developers: u32) -> Self {
        let mut sprint = Self::new();
        sprint.start("001-shop", samples, developers);
        sprint
    }

    /// The sample feature while its base is gated.
    pub(crate) fn gating(samples: &[Sample]) -> Self {
        let mut sprint = Self::new();
        let mut feature = sprint.feature("001-shop", samples, 2);
        feature.policy.gate_base = true;
        sprint.request(Request::Start { feature: Box::new(feature) });
        sprint.fill();
        sprint
    }

    pub(crate) fn start(&mut self, name: &str, samples: &[Sample], developers: u32) {
        let feature = self.feature(name, samples, developers);
        let (id, head) = (feature.id.clone(), feature.base.clone());
        self.request(Request::Start { feature: Box::new(feature) });
        self.feed(Event::FeatureBegun { feature: id, head });
        self.fill();
    }

    fn feature(&self, name: &str, samples: &[Sample], developers: u32) -> NewFeature {
        let head = Repo::discover(&self.top).unwrap().head().unwrap();
        new_feature(&FeatureId::parse(name).unwrap(), samples, (developers, &self.configuration), &head)
    }

    /// Everything that was asked for is there, as this very process.
    pub(crate) fn fill(&mut self) {
        loop {
            let starting = self.state.workers.values().find(|w| matches!(w.life, Life::Starting { .. }));
            let Some(name) = starting.map(|worker| worker.name.clone()) else { return };
            self.feed(Event::WorkerSpawned { worker: name.clone(), pane: "%7".into() });
            self.feed(Event::WorkerStarted { worker: name, proc: own(), pane: Some("%7".into()) });
        }
    }

    pub(crate) fn feed(&mut self, event: Event) {
        self.entropy += 1;
        let now = Now {
            wall_ms: clock::wall_ms() - AGO_MS,
            mono_ms: clock::monotonic_ms() + self.late_ms,
            utc_offset_s: 0,
        };
        let envelope = Envelope { now, entropy: format!("{:064x}", self.entropy), event };
        let step = step(&self.state, &envelope);
        self.state.apply(&step);
        let batch = Batch { steps: vec![(envelope, step)], ..Batch::default() };
        self.store.commit(&batch).unwrap();
    }

    pub(crate) fn request(&mut self, request: Request) {
        // Far above the rows that commands append.
        self.next_id += 1;
        let id = 1_000_000 + self.next_id;
        self.feed(Event::Request { id, request });
    }

    /// The run of a task.
    pub(crate) fn run_of(&self, task: &str) -> Run {
        let run =
            self.state.runs.values().find(|run| run.job.task.as_ref().is_some_and(|id| id.as_str() == task));
        run.unwrap_or_else(|| panic!("nobody works on {task}")).clone()
    }

    /// What the gates of the base say.
    pub(crate) fn base_report(&mut self, report: Report) {
        let run = self.state.runs.values().find(|run| run.job.task.is_none());
        let run = run.expect("somebody gates the base").clone();
        self.feed(Event::RunReported { run: run.id, token: run.token, report });
        self.fill();
    }

    /// Time passes until everything that waits for a retry has been due.
    pub(crate) fn wait_for_retries(&mut self) {
        self.late_ms += 100_000;
        self.feed(Event::TimePassed);
        self.fill();
    }

    pub(crate) fn report(&mut self, task: &str, report: Report) {
        let run = self.run_of(task);
        self.feed(Event::RunReported { run: run.id, token: run.token, report });
        self.fill();
    }

    /// The developer's work on a task is done.
    pub(crate) fn worked(&mut self, task: &str) {
        self.report(task, Report::Worked { head: sha('b'), summary: "done".into() });
    }

    /// The checks of a task pass until it is in the merge queue.
    pub(crate) fn passed(&mut self, task: &str) {
        let candidate = Candidate { commit: sha('c'), tree: sha('d'), base: sha('e'), head: sha('b') };
        let pass = Report::Checked {
            verdict: Verdict::Pass,
            candidate: Some(candidate),
            gates: Vec::new(),
            feedback: None,
            summary: "all gates pass".into(),
            remarks: Vec::new(),
        };
        self.report(task, pass);
    }

    /// A supervisor that lives: this process.
    pub(crate) fn supervised(&self) {
        let file = SupervisorFile {
            process: ProcId::own().unwrap(),
            epoch: 1,
            version: env!("CARGO_PKG_VERSION").into(),
            started_wall_ms: clock::wall_ms() - AGO_MS,
            ended: false,
            stalled: None,
        };
        file.write(&self.layout.supervisor_file()).unwrap();
    }

    pub(crate) fn sprint(&self, args: &[&str]) -> Shown {
        sprint(self.dir.path(), &self.top, args)
    }
}

/// A picture with something of everything.
pub(crate) fn shop() -> Sprint {
    let sample = |id, title: &str, phase, done| Sample { id, title: title.into(), phase, done };
    let mut sprint = Sprint::begun(
        &[
            sample("T001", "Set up the package", 0, true),
            sample("T002", "Write the cart", 1, false),
            sample("T003", "Write the prices", 1, false),
            sample("T004", "Write the stock", 1, false),
            sample("T005", "Write the orders", 1, false),
            sample("T006", "Write the report", 2, false),
        ],
        4,
    );
    sprint.report("T002", Report::Blocked { question: "Which currency?".into() });
    sprint.worked("T003");
    for _ in 0..3 {
        sprint.report("T004", Report::Failed { reason: "ruff: F401 unused import".into(), feedback: None });
    }
    sprint
}

fn new_feature(id: &FeatureId, samples: &[Sample], rules: (u32, &str), base: &CommitSha) -> NewFeature {
    let (developers, more) = rules;
    let sample = sprint::config::Layer::toml(
        "sprint.toml",
        format!(
            "[roles.developer]\nagent = \"scripted\"\n[agents]\nmax_developers = {developers}\nmax_in_flight = {}",
            developers + 4
        ),
    );
    let config =
        sprint::config::load(&[sample, sprint::config::Layer::toml("sprint.toml", more.to_owned())]).unwrap();
    let mut policy: Policy = sprint::supervisor::freeze::policy(&config);
    policy.gate_base = false;
    let items: Vec<PlanItem> = samples.iter().zip(1u32..).map(|(sample, line)| item(sample, line)).collect();
    NewFeature {
        id: id.clone(),
        dir: format!("specs/{id}"),
        plan: plan(&items, PlanOptions::default()).unwrap(),
        tasks: samples
            .iter()
            .map(|sample| NewTask {
                id: TaskId::parse(sample.id).unwrap(),
                title: sample.title.clone(),
                done: sample.done,
                dropped: false,
                attempt: 0,
                labels: Vec::new(),
            })
            .collect(),
        policy,
        base: base.clone(),
        after: None,
        stay: true,
        answer_wait_ms: 0,
    }
}

fn item(sample: &Sample, line: u32) -> PlanItem {
    PlanItem {
        id: TaskId::parse(sample.id).unwrap(),
        line,
        phase: sample.phase,
        story_phase: false,
        after_phases: Vec::new(),
        parallel: true,
        paths: vec![format!("src/{}.py", sample.id)],
        depends_on: Vec::new(),
        done: sample.done,
    }
}

pub(crate) fn sha(digit: char) -> CommitSha {
    CommitSha::parse(&digit.to_string().repeat(40)).unwrap()
}

pub(crate) fn own() -> ProcRef {
    let id = ProcId::own().unwrap();
    ProcRef { boot: id.boot_id, pid: id.pid.cast_unsigned(), start: id.start_ticks }
}

pub(crate) fn git(home: &Path, dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
        .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What a command left.
pub(crate) struct Shown {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Shown {
    /// For a snapshot: the exit code, both outputs, and nothing that differs between runs.
    pub(crate) fn whole(&self) -> String {
        let mut text = format!("exit {}\n", self.exit);
        for (name, part) in [("out", &self.out), ("err", &self.err)] {
            if !part.is_empty() {
                text.push_str(&format!("--- {name}\n{}", settled(part)));
            }
        }
        text
    }
}

/// Without what differs between runs and machines.
pub(crate) fn settled(text: &str) -> String {
    let own = std::process::id();
    let rules = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z".to_owned(), "TIME"),
        (r"\b\d\d:\d\d:\d\d\b".to_owned(), "CLOCK"),
        (format!(r"\b{own}\b"), "PID"),
        (r"/tmp/\.?sprint-cli-[A-Za-z0-9]+".to_owned(), "DIR"),
        (r"shop-[0-9a-f]{10}".to_owned(), "shop-HASH"),
        (
            r#""(cpu_percent|rss_bytes|disk_free_bytes|bytes|heartbeat_age_ms)": [0-9.]+"#.to_owned(),
            "\"$1\": N",
        ),
        (r"\d+\.\d %".to_owned(), "CPU"),
        (r"\d+(\.\d)? (k|M|G|T)?B\b".to_owned(), "SIZE"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}".to_owned(), "RUN"),
    ];
    let text = rules.iter().fold(text.to_owned(), |text, (pattern, with)| {
        regex::Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    });
    // The width of a column with pids depends on the pid.
    let blanks = regex::Regex::new(" {2,}").unwrap();
    let lines = text.split_inclusive('\n');
    lines
        .map(
            |line| {
                if line.contains("PID") {
                    blanks.replace_all(line, "  ").into_owned()
                } else {
                    line.to_owned()
                }
            },
        )
        .collect()
}

pub(crate) fn command(home: &Path, cwd: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sprint"));
    command
        .args(args)
        .current_dir(cwd)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.join("home"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_RUNTIME_DIR", home.join("run"))
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    command
}

pub(crate) fn sprint(home: &Path, cwd: &Path, args: &[&str]) -> Shown {
    shown(command(home, cwd, args).output().unwrap())
}

pub(crate) fn shown(output: Output) -> Shown {
    Shown {
        exit: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
