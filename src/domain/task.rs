//! The life of one task: what it is, and the table of its transitions.
//!
//! [`transition`] is the whole machine: every state × every input, written out. It says *what*
//! happens; [`super::step`] carries it out. The table is a reviewed snapshot.

use serde::{Deserialize, Serialize};

use super::budget::Used;
use super::ids::{CommitSha, FeatureId, RunId, StageName, TaskId};
use super::report::{Candidate, Feedback, GateRecord};
use super::triage::Triage;

pub use super::name::TaskName;

/// A task's full name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskKey {
    /// The feature that it belongs to.
    pub feature: FeatureId,
    /// Its id in `tasks.md`.
    pub id: TaskId,
}

/// What a waiting task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitKind {
    /// A person's answer to the agent's question.
    Answer,
    /// A person's approval.
    Approval,
    /// The operator: something is broken that no developer can mend.
    Operator,
    /// Something outside.
    External,
    /// A person has the integration branch checked out; it goes on by itself when it is free.
    Checkout,
}

impl WaitKind {
    /// Every kind, for the table.
    pub const ALL: [Self; 5] = [Self::Answer, Self::Approval, Self::Operator, Self::External, Self::Checkout];

    /// The word in `status`. A checkout is the operator's to free.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Approval => "approval",
            Self::Operator | Self::Checkout => "operator",
            Self::External => "external",
        }
    }
}

/// Where a task is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Status {
    /// Not begun.
    ToDo,
    /// In its stage, waits for a worker.
    Ready,
    /// A worker has it.
    Running {
        /// The run.
        run: RunId,
    },
    /// Something could not run; it is repeated then.
    Retry {
        /// Monotonic milliseconds.
        due_ms: u64,
    },
    /// The supervisor was told to move the integration branch.
    Landing {
        /// The run that built the entry.
        entry: RunId,
    },
    /// Waits for somebody.
    Waiting {
        /// For what.
        wait: WaitKind,
        /// The question, or the reason.
        text: String,
    },
    /// Given up for now, everything kept.
    Parked,
    /// Left out.
    Skipped,
    /// Landed.
    Done {
        /// The merge commit.
        commit: CommitSha,
    },
}

/// [`Status`] without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusKind {
    /// See [`Status::ToDo`].
    ToDo,
    /// See [`Status::Ready`].
    Ready,
    /// See [`Status::Running`].
    Running,
    /// See [`Status::Retry`].
    Retry,
    /// See [`Status::Landing`].
    Landing,
    /// See [`Status::Waiting`].
    Waiting(WaitKind),
    /// See [`Status::Parked`].
    Parked,
    /// See [`Status::Skipped`].
    Skipped,
    /// See [`Status::Done`].
    Done,
}

impl Status {
    /// Without the data.
    pub fn kind(&self) -> StatusKind {
        match self {
            Self::ToDo => StatusKind::ToDo,
            Self::Ready => StatusKind::Ready,
            Self::Running { .. } => StatusKind::Running,
            Self::Retry { .. } => StatusKind::Retry,
            Self::Landing { .. } => StatusKind::Landing,
            Self::Waiting { wait, .. } => StatusKind::Waiting(*wait),
            Self::Parked => StatusKind::Parked,
            Self::Skipped => StatusKind::Skipped,
            Self::Done { .. } => StatusKind::Done,
        }
    }

    /// The word that the store and `status` use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::ToDo => "todo",
            Self::Ready => "ready",
            Self::Running { .. } => "running",
            Self::Retry { .. } => "retry",
            Self::Landing { .. } => "landing",
            Self::Waiting { .. } => "waiting",
            Self::Parked => "parked",
            Self::Skipped => "skipped",
            Self::Done { .. } => "done",
        }
    }

    /// When it is to go on by itself, in monotonic milliseconds.
    pub fn due_ms(&self) -> Option<u64> {
        match self {
            Self::Retry { due_ms } => Some(*due_ms),
            Self::ToDo
            | Self::Ready
            | Self::Running { .. }
            | Self::Landing { .. }
            | Self::Waiting { .. }
            | Self::Parked
            | Self::Skipped
            | Self::Done { .. } => None,
        }
    }
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub key: TaskKey,
    /// One line for people; never executed, never a ref.
    pub title: String,
    /// Its labels: another agent may work on such tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Its place in the plan.
    pub order: u32,
    /// Where it is.
    pub status: Status,
    /// The stage that it is in, or was in when it stopped; `None` before the first.
    pub stage: Option<StageName>,
    /// The developer's attempts so far, counted from 1; numbers are never used twice.
    pub attempt: u32,
    /// Attempts failed since the start or the last retry by a person.
    pub failures: u32,
    /// Verdicts `error` in a row at this stage.
    pub errors: u32,
    /// Deaths without a report at this stage.
    pub deaths: u32,
    /// The developer's work of the current attempt.
    pub head: Option<CommitSha>,
    /// The last candidate of the attempt before: what an adapter that continues starts from.
    /// `None` after a textual conflict.
    pub resume_from: Option<CommitSha>,
    /// What the gates judge.
    pub candidate: Option<Candidate>,
    /// The verdicts on it.
    pub gates: Vec<GateRecord>,
    /// Stages whose agent has nothing against the attempt: its word stands for what later stages add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stands: Vec<StageName>,
    /// What reviews of the attempt found and did not send back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<serde_json::Value>,
    /// What was wrong with the last attempt.
    pub feedback: Option<Feedback>,
    /// The answer for the next run, with its question.
    pub answer: Option<Answered>,
    /// What the manager's agent made of what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triage: Option<Triage>,
    /// Whether its last run failed at once, with nothing done: others of its agent go first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_once: bool,
    /// The attempt whose conflict the merger's agent has resolved; 0 for none.
    #[serde(default)]
    pub resolved: u32,
    /// Place in the merge queue: lower is earlier.
    pub queued: Option<u64>,
    /// The dates of this attempt's merge commit, Unix seconds: a redo gives the same commit.
    pub stamp_s: i64,
    /// Why it is where it is, for people.
    pub reason: String,
    /// Wall clock milliseconds of the last change of stage or status, for display.
    pub since_ms: i64,
    /// What its runs have used.
    #[serde(default)]
    pub used: Used,
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// What the agent asked.
    pub question: String,
    /// What the person said.
    pub answer: String,
    /// The attempt that asked: it goes on where it was; a later one only knows the answer.
    pub attempt: u32,
    /// The stage that asked; none in rows of a version that knew only developers' questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
    /// Whether a run has it: until then the person may say something else.
    #[serde(default)]
    pub given: bool,
}

impl Task {
    /// Whether it counts against `max_in_flight`: what waits for somebody does not.
    pub fn takes_place(&self) -> bool {
        self.in_flight() && !matches!(self.status, Status::Waiting { .. })
    }

    /// Whether it is on its way, and holds its convoy.
    pub fn in_flight(&self) -> bool {
        match self.status {
            Status::Ready
            | Status::Running { .. }
            | Status::Retry { .. }
            | Status::Landing { .. }
            | Status::Waiting { .. } => true,
            Status::ToDo | Status::Parked | Status::Skipped | Status::Done { .. } => false,
        }
    }

    /// Whether it lands as soon as nobody has the integration branch checked out.
    pub fn waits_for_branch(&self) -> bool {
        matches!(self.status, Status::Waiting { wait: WaitKind::Checkout, .. })
    }

    /// Whether it is done for good.
    pub fn closed(&self) -> bool {
        matches!(self.status, Status::Done { .. } | Status::Skipped)
    }
}

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A worker gets it.
    Assigned,
    /// Its run passed.
    Passed,
    /// Its run added to the work: there is a new head.
    Added,
    /// Its run failed.
    Failed,
    /// Something could not run.
    Errored,
    /// The agent says that there is nothing to do.
    NothingToDo,
    /// Its work changes nothing that the integration branch does not have.
    Contained,
    /// The agent asks.
    Asked,
    /// Its worker died without a report.
    Died,
    /// Its run was ended by sprint itself.
    Interrupted,
    /// Only the operator can go on: its processes would not end, or its agent gives no judgement.
    Survived,
    /// A budget is used up.
    Overspent,
    /// The time of its retry has come.
    Due,
    /// Its candidate may land.
    Landable,
    /// The integration branch moved to its candidate.
    Landed,
    /// The integration branch could not be moved.
    LandRefused,
    /// The integration branch is checked out somewhere, and was not moved.
    CheckedOut,
    /// Nobody has the integration branch checked out any more.
    Freed,
    /// A person answers.
    Answer,
    /// A person approves.
    Approve,
    /// A person rejects.
    Reject,
    /// A person asks for another go.
    Retry,
    /// A person leaves it out.
    Skip,
    /// A person stops it.
    Stop,
}

impl Input {
    /// Every input, for the table.
    pub const ALL: [Self; 24] = [
        Self::Assigned,
        Self::Passed,
        Self::Added,
        Self::Failed,
        Self::Errored,
        Self::NothingToDo,
        Self::Contained,
        Self::Asked,
        Self::Died,
        Self::Interrupted,
        Self::Survived,
        Self::Overspent,
        Self::Due,
        Self::Landable,
        Self::Landed,
        Self::LandRefused,
        Self::CheckedOut,
        Self::Freed,
        Self::Answer,
        Self::Approve,
        Self::Reject,
        Self::Retry,
        Self::Skip,
        Self::Stop,
    ];
}

/// What is to be done with the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// It enters the first stage and runs.
    Begin,
    /// It runs in its stage.
    Run,
    /// As the stage's `on_pass` says.
    Pass,
    /// Back to the first check stage: the gates run again.
    Recheck,
    /// As the stage's `on_fail` says, or parked when the attempts are spent.
    Fail,
    /// Later again, or as the stage's `on_error` says.
    Error,
    /// As the stage's `on_skip` says.
    SkipStage,
    /// It waits for the answer.
    Ask,
    /// The same stage again; parked after too many deaths.
    Repeat,
    /// The same stage again, nothing counted.
    Again,
    /// It waits for the operator.
    Hold,
    /// The integration branch is to move.
    Land,
    /// It is done.
    Finish,
    /// It queues again and landing halts.
    HaltLanding,
    /// It waits until the integration branch is free, and nothing else lands before it.
    AwaitBranch,
    /// It goes on with the answer.
    Continue,
    /// A new attempt, or the stage again where only the gate is to be repeated.
    Restart,
    /// It is left out; its run, if any, is revoked.
    Leave,
    /// It is parked; its run, if any, is revoked.
    Park,
    /// A fact that comes late: recorded, nothing else.
    Ignore,
    /// A request that makes no sense now: refused with a reason.
    Refuse,
}

/// The table. Nested and without a `_` arm, so that a new state or input is a list of decisions.
#[expect(clippy::match_same_arms, reason = "inputs that come together are listed together")]
pub fn transition(status: StatusKind, input: Input) -> Move {
    use Input as I;
    use Move as M;
    match status {
        StatusKind::ToDo => match input {
            I::Assigned => M::Begin,
            I::Skip => M::Leave,
            I::Stop => M::Park,
            I::Answer | I::Approve | I::Reject | I::Retry => M::Refuse,
            I::Passed
            | I::Failed
            | I::Errored
            | I::NothingToDo
            | I::Contained
            | I::Asked
            | I::Died
            | I::Interrupted => M::Ignore,
            I::Added | I::Survived | I::Overspent | I::Due | I::Landable | I::Landed => M::Ignore,
            I::LandRefused | I::CheckedOut | I::Freed => M::Ignore,
        },
        StatusKind::Ready => match input {
            I::Assigned => M::Run,
            // A stage without gates and agent passes without a run.
            I::Passed => M::Pass,
            // Nothing is asked of a model for it any more.
            I::Overspent => M::Hold,
            I::Skip => M::Leave,
            I::Stop => M::Park,
            I::Answer | I::Approve | I::Reject | I::Retry => M::Refuse,
            I::Failed
            | I::Errored
            | I::NothingToDo
            | I::Contained
            | I::Asked
            | I::Died
            | I::Interrupted
            | I::Survived => M::Ignore,
            I::Added | I::Due | I::Landable | I::Landed => M::Ignore,
            I::LandRefused | I::CheckedOut | I::Freed => M::Ignore,
        },
        StatusKind::Running => match input {
            I::Passed => M::Pass,
            I::Added => M::Recheck,
            I::Failed => M::Fail,
            I::Errored => M::Error,
            I::NothingToDo => M::SkipStage,
            // Nothing is lost: what it was to bring is there, whoever has brought it.
            I::Contained => M::Leave,
            I::Asked => M::Ask,
            I::Died => M::Repeat,
            I::Interrupted => M::Again,
            I::Survived | I::Overspent => M::Hold,
            I::Landable => M::Land,
            I::Skip => M::Leave,
            I::Stop => M::Park,
            I::Answer | I::Approve | I::Reject | I::Retry => M::Refuse,
            I::Assigned | I::Due | I::Landed | I::LandRefused | I::CheckedOut | I::Freed => M::Ignore,
        },
        StatusKind::Retry => match input {
            I::Due | I::Retry => M::Again,
            I::Skip => M::Leave,
            I::Stop => M::Park,
            I::Answer | I::Approve | I::Reject => M::Refuse,
            I::Assigned
            | I::Passed
            | I::Failed
            | I::Errored
            | I::NothingToDo
            | I::Contained
            | I::Asked
            | I::Died => M::Ignore,
            I::Added | I::Interrupted | I::Survived | I::Overspent | I::Landable | I::Landed => M::Ignore,
            I::LandRefused | I::CheckedOut | I::Freed => M::Ignore,
        },
        // From the intent until its result nothing else may move the task.
        StatusKind::Landing => match input {
            I::Landed => M::Finish,
            I::LandRefused => M::HaltLanding,
            // A person has the branch: told, and landed when it is free.
            I::CheckedOut => M::AwaitBranch,
            // git could not: told, and tried again.
            I::Errored => M::Error,
            I::Answer | I::Approve | I::Reject | I::Retry | I::Skip | I::Stop => M::Refuse,
            I::Assigned | I::Passed | I::Failed | I::NothingToDo | I::Contained | I::Asked | I::Died => {
                M::Ignore
            }
            I::Added | I::Interrupted | I::Survived | I::Overspent | I::Due | I::Landable | I::Freed => {
                M::Ignore
            }
        },
        StatusKind::Waiting(wait) => match input {
            I::Answer => match wait {
                WaitKind::Answer => M::Continue,
                WaitKind::Approval | WaitKind::Operator | WaitKind::External | WaitKind::Checkout => {
                    M::Refuse
                }
            },
            I::Approve => match wait {
                WaitKind::Approval | WaitKind::External => M::Pass,
                WaitKind::Answer | WaitKind::Operator | WaitKind::Checkout => M::Refuse,
            },
            I::Reject => match wait {
                WaitKind::Approval | WaitKind::External => M::Fail,
                WaitKind::Answer | WaitKind::Operator | WaitKind::Checkout => M::Refuse,
            },
            I::Retry => match wait {
                WaitKind::Operator | WaitKind::Checkout => M::Again,
                WaitKind::Answer => M::Restart,
                WaitKind::Approval | WaitKind::External => M::Refuse,
            },
            I::Freed => match wait {
                WaitKind::Checkout => M::Again,
                WaitKind::Answer | WaitKind::Approval | WaitKind::Operator | WaitKind::External => M::Ignore,
            },
            I::Skip => M::Leave,
            I::Stop => M::Park,
            I::Assigned
            | I::Passed
            | I::Failed
            | I::Errored
            | I::NothingToDo
            | I::Contained
            | I::Asked
            | I::Died => M::Ignore,
            I::Added | I::Interrupted | I::Survived | I::Overspent | I::Due | I::Landable | I::Landed => {
                M::Ignore
            }
            I::LandRefused | I::CheckedOut => M::Ignore,
        },
        StatusKind::Parked => match input {
            I::Retry => M::Restart,
            I::Skip => M::Leave,
            I::Answer | I::Approve | I::Reject | I::Stop => M::Refuse,
            I::Assigned
            | I::Passed
            | I::Failed
            | I::Errored
            | I::NothingToDo
            | I::Contained
            | I::Asked
            | I::Died => M::Ignore,
            I::Added | I::Interrupted | I::Survived | I::Overspent | I::Due | I::Landable | I::Landed => {
                M::Ignore
            }
            I::LandRefused | I::CheckedOut | I::Freed => M::Ignore,
        },
        StatusKind::Skipped => match input {
            I::Retry => M::Restart,
            I::Answer | I::Approve | I::Reject | I::Skip | I::Stop => M::Refuse,
            I::Assigned
            | I::Passed
            | I::Failed
            | I::Errored
            | I::NothingToDo
            | I::Contained
            | I::Asked
            | I::Died => M::Ignore,
            I::Added | I::Interrupted | I::Survived | I::Overspent | I::Due | I::Landable | I::Landed => {
                M::Ignore
            }
            I::LandRefused | I::CheckedOut | I::Freed => M::Ignore,
        },
        StatusKind::Done => match input {
            I::Answer | I::Approve | I::Reject | I::Retry | I::Skip | I::Stop => M::Refuse,
            I::Assigned
            | I::Passed
            | I::Failed
            | I::Errored
            | I::NothingToDo
            | I::Contained
            | I::Asked
            | I::Died => M::Ignore,
            I::Added | I::Interrupted | I::Survived | I::Overspent | I::Due | I::Landable | I::Landed => {
                M::Ignore
            }
            I::LandRefused | I::CheckedOut | I::Freed => M::Ignore,
        },
    }
}
