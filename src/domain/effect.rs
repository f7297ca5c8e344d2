//! What the supervisor must do outside. Each is idempotent by its id, or can be probed first.

use serde::{Deserialize, Serialize};

use super::ids::{CommitSha, FeatureId, RunId, TaskId, WorkerName};
use super::worker::ProcRef;

/// An effect's name: the event that asked for it, and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EffectId {
    /// The event's number in the log.
    pub event: i64,
    /// Its place among the effects of that event.
    pub place: u32,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Make the worker's session.
    SpawnWorker {
        /// Who.
        worker: WorkerName,
    },
    /// End an idle or unwanted worker.
    EndWorker {
        /// Who.
        worker: WorkerName,
        /// Its process.
        proc: ProcRef,
    },
    /// Ring the worker's doorbell: it has a run, or its run was revoked.
    Wake {
        /// Who.
        worker: WorkerName,
    },
    /// End everything that belongs to a dead worker's run, and see it gone.
    ClearRun {
        /// Which.
        run: RunId,
        /// Its worker.
        worker: WorkerName,
    },
    /// Make the integration branch.
    BeginFeature {
        /// Which feature.
        feature: FeatureId,
        /// Where it begins.
        base: CommitSha,
    },
    /// Move the integration branch, compare-and-swap.
    MoveRef {
        /// The run that built the entry.
        entry: RunId,
        /// Whose branch.
        feature: FeatureId,
        /// Which task lands.
        task: TaskId,
        /// From the last landed commit.
        old: CommitSha,
        /// To the candidate.
        new: CommitSha,
    },
    /// A task has landed: free its worktree, delete what is proved to have landed.
    Tidy {
        /// Whose.
        feature: FeatureId,
        /// Which task.
        task: TaskId,
        /// Its last attempt.
        attempt: u32,
        /// What landed.
        landed: CommitSha,
    },
    /// The feature is finished: what its tasks used is freed.
    FinishFeature {
        /// Which.
        feature: FeatureId,
        /// Its head.
        head: CommitSha,
    },
    /// End all workers, the tmux server and the supervisor.
    Shutdown {
        /// Runs are interrupted instead of awaited.
        now: bool,
    },
}

impl Effect {
    /// Whether it goes through the outbox. The others can be read off the state at any boot: a
    /// worker that is Starting, a run that its worker has not taken, a sprint that is Stopping.
    pub fn is_durable(&self) -> bool {
        match self {
            Self::BeginFeature { .. }
            | Self::MoveRef { .. }
            | Self::Tidy { .. }
            | Self::FinishFeature { .. } => true,
            Self::SpawnWorker { .. }
            | Self::EndWorker { .. }
            | Self::Wake { .. }
            | Self::ClearRun { .. }
            | Self::Shutdown { .. } => false,
        }
    }
}
