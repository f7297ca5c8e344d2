//! The state of a sprint: rows of the store, and nothing that is not stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::accounts::Hold;
use super::budget::{Budget, Over, Scope, Used};
use super::flaky::Flakies;
use super::ids::{CommitSha, FeatureId, RunId, StageName, TaskId, Token, WorkerName};
use super::pipeline::StageKind;
use super::plan::Plan;
use super::policy::Policy;
use super::report::{Candidate, Feedback, GateRecord};
use super::spent::Spent;
use super::task::{Answered, Task, TaskKey, TaskName};
use super::trace::Told;
use super::triage::Cause;
use super::worker::{Life, Worker};

/// Where a feature is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum FeatureStatus {
    /// Waits for the one before it.
    Queued,
    /// Its base is being gated.
    Gating,
    /// Its base could not be gated; repeated then.
    GateRetry {
        /// Monotonic milliseconds.
        due_ms: u64,
    },
    /// Its branch is being made.
    Beginning,
    /// Tasks run.
    Running,
    /// Nothing runs and nothing can, for now.
    Resting,
    /// All its tasks are closed.
    Finished,
    /// It could not begin.
    Refused {
        /// The exit code that says so.
        exit: u8,
        /// Why, and what to do.
        reason: String,
    },
}

impl FeatureStatus {
    /// The word that the store and `status` use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Gating | Self::GateRetry { .. } => "gating",
            Self::Beginning => "beginning",
            Self::Running => "running",
            Self::Resting => "resting",
            Self::Finished => "finished",
            Self::Refused { .. } => "refused",
        }
    }

    /// When it is to go on by itself, in monotonic milliseconds.
    pub fn due_ms(&self) -> Option<u64> {
        match self {
            Self::GateRetry { due_ms } => Some(*due_ms),
            Self::Queued
            | Self::Gating
            | Self::Beginning
            | Self::Running
            | Self::Resting
            | Self::Finished
            | Self::Refused { .. } => None,
        }
    }
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name.
    pub id: FeatureId,
    /// Its directory, relative to the repository.
    pub dir: String,
    /// Its place in the queue of features.
    pub order: u32,
    /// Counted from 1; a feature whose file got new tasks begins another round.
    pub round: u32,
    /// Where it is.
    pub status: FeatureStatus,
    /// Order, convoys and rules; shared, because they are large and hardly ever change.
    #[serde(skip)]
    pub frozen: Arc<Frozen>,
    /// The commit that it begins on.
    pub base: CommitSha,
    /// The feature whose branch it begins on.
    pub after: Option<FeatureId>,
    /// The last landed commit; `None` until the branch is there.
    pub head: Option<CommitSha>,
    /// Verdicts `error` in a row on the base.
    pub errors: u32,
    /// What kept the base from being gated the last time, while it is tried again.
    #[serde(default)]
    pub base_error: Option<String>,
    /// Deaths on the base without a report.
    #[serde(default)]
    pub deaths: u32,
    /// Why landing is halted, if it is.
    pub halted: Option<String>,
    /// A foreign head of the branch that is being gated, to be taken over when it is green.
    #[serde(default)]
    pub adopting: Option<CommitSha>,
    /// The last place given out in the merge queue.
    pub queue_last: u64,
    /// What its runs have used.
    #[serde(default)]
    pub used: Used,
    /// No model is asked: a budget is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
    /// Tests that failed and then passed alone.
    #[serde(default, skip_serializing_if = "Flakies::is_empty")]
    pub flaky: Flakies,
    /// What changed in the person's repository while its runs were on, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<Told>,
}

/// What is fixed when a feature is queued.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Frozen {
    /// Order and convoys.
    pub plan: Plan,
    /// The rules.
    pub policy: Policy,
}

/// Whether a run still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Its report will be applied.
    Active,
    /// Its task went elsewhere; the worker is to end it and its report changes nothing.
    Revoked,
}

/// One stage by one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its secret.
    pub token: Token,
    /// Whether it still counts.
    pub status: RunStatus,
    /// Who does it.
    pub worker: WorkerName,
    /// Everything that the worker needs to know.
    pub job: Job,
    /// What it has used so far, as its worker tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Spent>,
    /// How much of that is counted: never less than before.
    #[serde(default)]
    pub counted: Used,
    /// Its model is to be ended: this budget is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Scope>,
    /// The adapter, if its program failed at once: without use, change or claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<String>,
}

/// What a worker is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The feature.
    pub feature: FeatureId,
    /// Its directory, relative to the repository.
    pub dir: String,
    /// The task; `None` for the base.
    pub task: Option<TaskId>,
    /// The task's title.
    pub title: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The stage; `None` for the base.
    pub stage: Option<StageName>,
    /// What kind of stage; the base is a check.
    pub kind: StageKind,
    /// One of the stage's members, counted from 0.
    pub member: u32,
    /// The developer's attempt.
    pub attempt: u32,
    /// The integration head, or the base.
    pub base: CommitSha,
    /// The developer's work.
    pub head: Option<CommitSha>,
    /// The last candidate of the attempt before, for an adapter that continues.
    pub resume_from: Option<CommitSha>,
    /// What was judged before in this attempt.
    pub candidate: Option<Candidate>,
    /// The verdicts on it.
    pub gates: Vec<GateRecord>,
    /// The stage's agent has spoken for this attempt already: its gates alone run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stands: bool,
    /// From the attempt before.
    pub feedback: Option<Feedback>,
    /// The answer to the agent's question.
    pub answer: Option<Answered>,
    /// Whether the merger's agent may resolve a conflict at landing.
    #[serde(default)]
    pub resolves: bool,
    /// What the manager is to look at; the run is of no stage then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triage: Option<Cause>,
    /// The dates of commits that sprint makes, Unix seconds: a redo gives the same commit.
    pub stamp_s: i64,
    /// Milliseconds that the run may take.
    pub timeout_ms: u64,
    /// Fingerprint of the frozen configuration.
    pub config: String,
    /// What is left of each budget for this run.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
}

impl Job {
    /// A check of no task on this commit: what all jobs have beside it is theirs to say.
    pub fn check(feature: FeatureId, dir: String, base: CommitSha, config: String) -> Self {
        Self {
            feature,
            dir,
            task: None,
            title: String::new(),
            labels: Vec::new(),
            stage: None,
            kind: StageKind::Check,
            member: 0,
            attempt: 0,
            base,
            head: None,
            resume_from: None,
            candidate: None,
            gates: Vec::new(),
            stands: false,
            feedback: None,
            answer: None,
            resolves: false,
            triage: None,
            stamp_s: 0,
            timeout_ms: 0,
            config,
            budget: Budget::default(),
        }
    }
}

/// Whether the sprint goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Mode {
    /// The supervisor recovers; nothing is decided yet.
    Booting,
    /// It goes on.
    Running,
    /// Nothing new is assigned.
    Paused,
    /// Runs finish, then everything ends.
    Draining {
        /// Until then, in monotonic milliseconds.
        until_ms: u64,
    },
    /// Everything ends.
    Stopping,
}

/// What belongs to no row of its own.
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own, and several may hold")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sprint {
    /// Raised at every start of a supervisor.
    pub epoch: u64,
    /// Whether it goes on.
    pub mode: Mode,
    /// Whether the supervisor stays while something waits for a person.
    pub stay: bool,
    /// How long it stays otherwise, in milliseconds.
    pub answer_wait_ms: u64,
    /// The disk is nearly full: nothing new is assigned until there is room again.
    #[serde(default)]
    pub disk_low: bool,
    /// Too many slots' workers die at their start: nothing is given out until fewer do.
    #[serde(default)]
    pub breakers_open: bool,
    /// Fingerprint of the configuration that the last `start` or `reload` found: what is the machine's
    /// and not a feature's own is as it says.
    #[serde(default)]
    pub config: Option<String>,
    /// Agents whose models' services do not serve.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<String, Hold>,
    /// By agent, how many of its runs in a row failed at once.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub at_once: BTreeMap<String, u32>,
    /// What was used on the last days, by the local date as days since 1970.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub days: BTreeMap<i64, Used>,
    /// When it came to rest, in monotonic milliseconds.
    pub rest_since_ms: Option<u64>,
    /// While booting: it was paused, and will be again.
    #[serde(default)]
    pub paused: bool,
}

impl Default for Sprint {
    fn default() -> Self {
        Self {
            epoch: 0,
            mode: Mode::Running,
            stay: false,
            answer_wait_ms: 0,
            disk_low: false,
            breakers_open: false,
            config: None,
            holds: BTreeMap::new(),
            at_once: BTreeMap::new(),
            days: BTreeMap::new(),
            rest_since_ms: None,
            paused: false,
        }
    }
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// What belongs to no row.
    pub sprint: Sprint,
    /// All features, also finished ones.
    pub features: BTreeMap<FeatureId, Feature>,
    /// All their tasks, but for those of features that are put away.
    pub tasks: BTreeMap<TaskKey, Task>,
    /// Features that are put away, with the sorted ids of their tasks: what these are only the store knows.
    pub away: BTreeMap<FeatureId, Vec<TaskId>>,
    /// All slots that were ever used.
    pub workers: BTreeMap<WorkerName, Worker>,
    /// Living runs only; the store keeps the others.
    pub runs: BTreeMap<RunId, Run>,
}

impl State {
    /// The feature that is being built: the first that has begun and is not over.
    pub fn current(&self) -> Option<&Feature> {
        let mut begun: Vec<_> = self.features.values().filter(|feature| feature.is_current()).collect();
        begun.sort_by_key(|feature| feature.order);
        begun.first().copied()
    }

    /// The tasks of a feature, by id.
    pub fn tasks_of<'a>(&'a self, feature: &'a FeatureId) -> impl Iterator<Item = &'a Task> {
        self.tasks
            .range(TaskKey::first_of(feature)..)
            .map(|(_, task)| task)
            .take_while(move |t| t.key.feature == *feature)
    }

    /// The shortest name that means no other task: with the feature where another one has that id too.
    pub fn name_of(&self, key: &TaskKey) -> TaskName {
        let mut others = self.features.keys().filter(|feature| **feature != key.feature);
        let is_there =
            |feature: &FeatureId| self.knows(&TaskKey { feature: feature.clone(), id: key.id.clone() });
        if others.any(is_there) { key.name() } else { key.id.clone().into() }
    }

    /// The next moment at which [`super::event::Event::TimePassed`] has something to do,
    /// in monotonic milliseconds. Only what will really be done then: a moment that is over and
    /// stays due would keep the supervisor's loop spinning.
    pub fn next_due(&self) -> Option<u64> {
        let tasks = self.tasks.values().filter_map(|task| task.status.due_ms());
        let workers = self.workers.values().filter_map(|worker| self.worker_due(worker));
        let features = self.features.values().filter_map(|feature| feature.status.due_ms());
        let holds = self.sprint.hold_due();
        let days = self.features.values().filter_map(|row| super::budget::due_ms(&row.status, row.over));
        tasks.chain(workers).chain(features).chain(holds).chain(days).chain(self.sprint_due()).min()
    }

    fn worker_due(&self, worker: &Worker) -> Option<u64> {
        match worker.life {
            Life::Starting { until_ms } => Some(until_ms),
            Life::Backoff { due_ms, .. } => Some(due_ms),
            Life::Idle { since_ms, .. } if self.decides() && self.is_on_demand(worker) => {
                Some(since_ms.saturating_add(super::policy::IDLE_MS))
            }
            Life::Absent
            | Life::Idle { .. }
            | Life::Busy { .. }
            | Life::Ending { .. }
            | Life::Clearing { .. } => None,
        }
    }

    /// Whether anything is assigned, started or ended now.
    fn decides(&self) -> bool {
        self.sprint.mode == Mode::Running && !self.sprint.disk_low
    }

    fn sprint_due(&self) -> Option<u64> {
        match self.sprint.mode {
            Mode::Draining { until_ms } => Some(until_ms),
            Mode::Running if self.sprint.disk_low => None,
            Mode::Running => {
                self.sprint.rest_since_ms.map(|since| since.saturating_add(self.sprint.answer_wait_ms))
            }
            Mode::Booting | Mode::Paused | Mode::Stopping => None,
        }
    }

    /// The feature whose permanent workers are kept: the one that is built or, while the sprint
    /// stays for a person, the last one that rests.
    pub fn manned(&self) -> Option<&Feature> {
        let resting = || {
            let features = self.features.values().filter(|feature| feature.status == FeatureStatus::Resting);
            features.max_by_key(|feature| feature.order)
        };
        self.current().or_else(|| if self.sprint.stay { resting() } else { None })
    }

    fn is_on_demand(&self, worker: &Worker) -> bool {
        self.manned()
            .and_then(|feature| feature.frozen.policy.roles.get(&worker.role))
            .is_some_and(|role| !role.permanent)
    }
}

impl Feature {
    /// Begun and not over.
    pub fn is_current(&self) -> bool {
        match self.status {
            FeatureStatus::Gating
            | FeatureStatus::GateRetry { .. }
            | FeatureStatus::Beginning
            | FeatureStatus::Running => true,
            FeatureStatus::Queued
            | FeatureStatus::Resting
            | FeatureStatus::Finished
            | FeatureStatus::Refused { .. } => false,
        }
    }
}

impl TaskKey {
    /// A key that sorts before every task of the feature.
    fn first_of(feature: &FeatureId) -> Self {
        // `-` sorts before every character an id may begin with; ids never begin with it.
        Self { feature: feature.clone(), id: TaskId::parse("0").expect("`0` is an id") }
    }
}
