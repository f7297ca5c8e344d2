//! What comes into the supervisor: facts from outside, and requests of people.

use serde::{Deserialize, Serialize};

use super::ids::{CommitSha, FeatureId, RunId, TaskId, Token, WorkerName};
use super::plan::Plan;
use super::policy::Policy;
use super::report::{Filed, Report};
use super::screen::Stand;
use super::spent::Spent;
use super::task::TaskName;
use super::trace::Trace;
use super::worker::ProcRef;

/// The time of an event. The domain has no clock of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Wall clock, Unix milliseconds; for display only.
    pub wall_ms: i64,
    /// `CLOCK_MONOTONIC` milliseconds; for deadlines.
    pub mono_ms: u64,
    /// Seconds that the local time is ahead of UTC; for the date.
    #[serde(default)]
    pub utc_offset_s: i32,
}

/// An event with everything that `step` must not fetch by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// When.
    pub now: Now,
    /// 32 random bytes as hex, for run ids and tokens.
    pub entropy: String,
    /// What.
    pub event: Event,
}

/// A feature as it is handed over for a sprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFeature {
    /// Its name.
    pub id: FeatureId,
    /// The feature directory, relative to the repository.
    pub dir: String,
    /// Order and convoys.
    pub plan: Plan,
    /// Titles by task, with what is already done.
    pub tasks: Vec<NewTask>,
    /// The rules.
    pub policy: Policy,
    /// The commit that it begins on, unless it follows another feature.
    pub base: CommitSha,
    /// The feature whose integration branch it begins on.
    pub after: Option<FeatureId>,
    /// Whether the supervisor stays while something waits for a person.
    pub stay: bool,
    /// How long it stays otherwise, in milliseconds.
    pub answer_wait_ms: u64,
}

/// A task as it is handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// One line.
    pub title: String,
    /// Ticked in `tasks.md`.
    pub done: bool,
    /// Struck out in `tasks.md`.
    pub dropped: bool,
    /// Numbers up to this one were used by earlier rounds.
    pub attempt: u32,
    /// Its labels: another agent may work on such tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// A fact, or a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A supervisor began its work.
    SupervisorStarted {
        /// Raised at every start.
        epoch: u64,
        /// Whether the machine was started anew since the last one.
        rebooted: bool,
    },
    /// Everything that happened without a supervisor is applied: it decides again.
    Recovered,
    /// The worker's pane is there.
    WorkerSpawned {
        /// Who.
        worker: WorkerName,
        /// Its pane.
        pane: String,
    },
    /// The first process of a pane is gone. It counts where its worker had not registered.
    PaneDied {
        /// Who.
        worker: WorkerName,
        /// The pane.
        pane: String,
        /// Together with the tmux server: not its own doing.
        with_server: bool,
    },
    /// The worker's pane could not be made.
    SpawnFailed {
        /// Who.
        worker: WorkerName,
        /// Why.
        reason: String,
    },
    /// The worker registered.
    WorkerStarted {
        /// Who.
        worker: WorkerName,
        /// Its process.
        proc: ProcRef,
        /// Its pane.
        pane: Option<String>,
    },
    /// The worker's process is gone.
    WorkerDied {
        /// Who.
        worker: WorkerName,
        /// Which process; another one's death is none of ours.
        proc: Option<ProcRef>,
        /// Whether the tmux server died with it.
        with_server: bool,
    },
    /// A run ended, as its worker says.
    RunReported {
        /// Which.
        run: RunId,
        /// Must be the run's own.
        token: Token,
        /// How.
        report: Report,
    },
    /// The report of a run that the database knows nothing of: the database is older than the run.
    RunFound {
        /// All that is known of the run.
        filed: Box<Filed>,
        /// Whether the integration branch has the candidate that it found fit to land.
        landed: bool,
    },
    /// The database was damaged or gone, and is there again.
    StoreMended {
        /// What was wrong, from what it was made again, and what is kept.
        text: String,
    },
    /// What a run's model used; comes before the run's report.
    RunSpent {
        /// Which.
        run: RunId,
        /// Must be the run's own.
        token: Token,
        /// What.
        spent: Spent,
    },
    /// What a run's model has used so far.
    RunUses {
        /// Which.
        run: RunId,
        /// Must be the run's own.
        token: Token,
        /// What.
        spent: Spent,
    },
    /// A run's model failed at once: without use, change or claim. Comes before the run's report.
    RunFailedAtOnce {
        /// Which.
        run: RunId,
        /// Must be the run's own.
        token: Token,
        /// The adapter.
        agent: String,
    },
    /// A dead worker's run was cleared.
    RunCleared {
        /// Which.
        run: RunId,
        /// Processes that would not end, as `pid name`.
        survivors: Vec<String>,
    },
    /// An agent says something.
    Comment {
        /// In which run.
        run: RunId,
        /// Must be the run's own.
        token: Token,
        /// What.
        text: String,
    },
    /// Branches or settings of the person's repository changed while a run was on.
    RepositoryChanged {
        /// Which run.
        run: RunId,
        /// Must be the run's own.
        token: Token,
        /// What changed.
        traces: Vec<Trace>,
    },
    /// How an agent's program stands, as its worker sees it.
    AgentSeen {
        /// In which run.
        run: RunId,
        /// Must be the run's own.
        token: Token,
        /// How it stands.
        stand: Stand,
        /// By what it is known.
        source: String,
        /// What it asks, or says.
        text: String,
    },
    /// The feature's integration branch is there.
    FeatureBegun {
        /// Which.
        feature: FeatureId,
        /// Its head.
        head: CommitSha,
    },
    /// The feature's integration branch could not be made.
    FeatureRefused {
        /// Which.
        feature: FeatureId,
        /// Why, and what to do.
        reason: String,
    },
    /// The integration branch moved.
    RefMoved {
        /// The run that built the entry.
        entry: RunId,
    },
    /// The integration branch did not move.
    RefRefused {
        /// The run that built the entry.
        entry: RunId,
        /// Why, and what to do.
        reason: String,
        /// Whether it is tried again by itself: git could not, and the branch is where it was.
        busy: bool,
    },
    /// The integration branch did not move: somebody has it checked out.
    RefCheckedOut {
        /// The run that built the entry.
        entry: RunId,
        /// Where, and what to do.
        reason: String,
    },
    /// Nobody has the integration branch checked out any more.
    BranchFree {
        /// Which feature's.
        feature: FeatureId,
    },
    /// The integration branch is not where the store says.
    BranchMoved {
        /// Which feature's.
        feature: FeatureId,
        /// Where it is, if it is.
        found: Option<CommitSha>,
    },
    /// The disk has less free space than is wanted, or again enough.
    DiskLow {
        /// Whether it has less.
        low: bool,
    },
    /// Something that was due may be due.
    TimePassed,
    /// A request of a person.
    Request {
        /// The inbox row that waits for the result.
        id: i64,
        /// What.
        request: Request,
    },
}

/// What people ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// A feature is to be built.
    Start {
        /// The feature; boxed because it is large.
        feature: Box<NewFeature>,
    },
    /// An answer to a question.
    Answer {
        /// Which task.
        task: TaskName,
        /// The text.
        text: String,
    },
    /// A wait stage is passed.
    Approve {
        /// Which task.
        task: TaskName,
    },
    /// A wait stage is not passed.
    Reject {
        /// Which task.
        task: TaskName,
        /// Why.
        reason: String,
    },
    /// Another go.
    TaskRetry {
        /// Which task.
        task: TaskName,
    },
    /// It is left out.
    TaskSkip {
        /// Which task.
        task: TaskName,
    },
    /// It is stopped and parked.
    TaskStop {
        /// Which task.
        task: TaskName,
    },
    /// Nothing new is assigned.
    Pause,
    /// Goes on.
    Resume {
        /// What to do about a branch that somebody moved.
        branch: Option<ForeignBranch>,
    },
    /// The sprint stops.
    Stop {
        /// At once, instead of letting runs finish.
        now: bool,
        /// How long runs may go on, in milliseconds.
        limit_ms: u64,
    },
    /// New rules for the current feature.
    Reload {
        /// The rules; boxed because they are large.
        policy: Box<Policy>,
    },
}

impl Event {
    /// Every text that came from outside, also in what is reported or asked for. Names are none.
    pub fn each_text(&mut self, f: &mut dyn FnMut(&mut String)) {
        match self {
            Self::SpawnFailed { worker: _, reason }
            | Self::FeatureRefused { feature: _, reason }
            | Self::RefRefused { entry: _, reason, busy: _ }
            | Self::RefCheckedOut { entry: _, reason } => f(reason),
            Self::RunReported { run: _, token: _, report } => report.each_text(f),
            Self::RunFound { filed, landed: _ } => filed.report.each_text(f),
            Self::RunCleared { run: _, survivors } => survivors.iter_mut().for_each(f),
            Self::RepositoryChanged { run: _, token: _, traces } => {
                for trace in traces {
                    trace.each_text(f);
                }
            }
            Self::StoreMended { text }
            | Self::Comment { run: _, token: _, text }
            | Self::AgentSeen { run: _, token: _, stand: _, source: _, text } => f(text),
            Self::Request { id: _, request } => request.each_text(f),
            Self::SupervisorStarted { .. }
            | Self::Recovered
            | Self::WorkerSpawned { .. }
            | Self::PaneDied { .. }
            | Self::WorkerStarted { .. }
            | Self::WorkerDied { .. }
            | Self::RunSpent { .. }
            | Self::RunUses { .. }
            | Self::RunFailedAtOnce { .. }
            | Self::FeatureBegun { .. }
            | Self::RefMoved { .. }
            | Self::BranchFree { .. }
            | Self::BranchMoved { .. }
            | Self::DiskLow { .. }
            | Self::TimePassed => {}
        }
    }
}

impl Request {
    /// Every text that somebody wrote for it. A feature's own are in its repository.
    pub fn each_text(&mut self, f: &mut dyn FnMut(&mut String)) {
        match self {
            Self::Answer { task: _, text } => f(text),
            Self::Reject { task: _, reason } => f(reason),
            Self::Start { .. }
            | Self::Approve { .. }
            | Self::TaskRetry { .. }
            | Self::TaskSkip { .. }
            | Self::TaskStop { .. }
            | Self::Pause
            | Self::Resume { .. }
            | Self::Stop { .. }
            | Self::Reload { .. } => {}
        }
    }
}

/// What to do about an integration branch that somebody moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "branch", rename_all = "snake_case")]
pub enum ForeignBranch {
    /// Its head, a gated descendant, becomes ours.
    Adopted {
        /// The foreign head.
        head: CommitSha,
    },
    /// The branch was set back; the foreign head is kept.
    Restored,
}

/// What a person is told about an integration branch that is at `found` instead of `landed`.
pub fn moved_text(branch: &str, found: Option<&CommitSha>, landed: Option<&CommitSha>) -> String {
    let landed = landed.map_or("none", CommitSha::short);
    match found {
        Some(found) => format!(
            "branch {branch} is at {}, the last landed commit is {landed}; `sprint resume --adopt` takes it over, `sprint resume --restore` sets it back",
            found.short()
        ),
        None => format!(
            "branch {branch} is gone, the last landed commit is {landed}; `sprint resume --restore` puts it back"
        ),
    }
}
