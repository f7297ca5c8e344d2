//! The life of one worker: a slot of a role, and the process that fills it.

use serde::{Deserialize, Serialize};

use super::ids::{RunId, WorkerName};
use super::pipeline::Role;
use super::screen::Seen;

/// A process, so that another one with the same pid is not taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcRef {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// Its pid.
    pub pid: u32,
    /// Its start, in clock ticks since boot.
    pub start: u64,
}

/// Where a worker is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Life {
    /// Not there, and not needed.
    Absent,
    /// Its pane was asked for; it has not registered yet.
    Starting {
        /// Until then, in monotonic milliseconds.
        until_ms: u64,
    },
    /// Registered, without a run.
    Idle {
        /// The process.
        proc: ProcRef,
        /// Since, in monotonic milliseconds.
        since_ms: u64,
    },
    /// It has a run.
    Busy {
        /// The process.
        proc: ProcRef,
        /// The run.
        run: RunId,
    },
    /// It was told to end.
    Ending {
        /// The process.
        proc: ProcRef,
    },
    /// It is dead; its run's processes are being ended.
    Clearing {
        /// The run.
        run: RunId,
    },
    /// It died too soon and too often; started again then.
    Backoff {
        /// Monotonic milliseconds.
        due_ms: u64,
        /// Whether the breaker is open, and since when.
        open_since_ms: Option<u64>,
    },
}

impl Life {
    /// The word that the store and `status` use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Starting { .. } => "starting",
            Self::Idle { .. } => "idle",
            Self::Busy { .. } => "busy",
            Self::Ending { .. } => "ending",
            Self::Clearing { .. } => "clearing",
            Self::Backoff { open_since_ms: None, .. } => "backoff",
            Self::Backoff { open_since_ms: Some(_), .. } => "broken",
        }
    }

    /// Its living process.
    pub fn proc(&self) -> Option<&ProcRef> {
        match self {
            Self::Idle { proc, .. } | Self::Busy { proc, .. } | Self::Ending { proc } => Some(proc),
            Self::Absent | Self::Starting { .. } | Self::Clearing { .. } | Self::Backoff { .. } => None,
        }
    }

    /// The run that it has, or that is being cleared after it.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::Busy { run, .. } | Self::Clearing { run } => Some(run),
            Self::Absent
            | Self::Starting { .. }
            | Self::Idle { .. }
            | Self::Ending { .. }
            | Self::Backoff { .. } => None,
        }
    }
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// `reviewer`, `developer-2`.
    pub name: WorkerName,
    /// Its role.
    pub role: Role,
    /// Counted from 1.
    pub slot: u32,
    /// Where it is.
    pub life: Life,
    /// The tmux pane, `%7`.
    pub pane: Option<String>,
    /// How often it was started again.
    pub restarts: u32,
    /// Deaths within 10 s of the start, in a row.
    pub instant_deaths: u32,
    /// Since when its breaker is open, in monotonic milliseconds.
    pub broken_since_ms: Option<u64>,
    /// Monotonic milliseconds of its last start.
    pub started_ms: u64,
    /// Whether it has reported a run since that start.
    pub reported: bool,
    /// Wall clock milliseconds of the last change, for display.
    pub since_ms: i64,
    /// How the agent of its run stands, while it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

impl Worker {
    /// Whether it has registered, and its process is not known to be gone.
    pub fn is_up(&self) -> bool {
        self.life.proc().is_some()
    }

    /// How the agent of its run stands, if it has a run and its agent was seen.
    pub fn agent(&self) -> Option<&Seen> {
        self.seen.as_ref().filter(|_| matches!(self.life, Life::Busy { .. }))
    }

    /// The name of a role's slot: permanent roles with one slot go by the role alone.
    pub fn name_of(role: Role, slot: u32, max: u32) -> WorkerName {
        let alone = max == 1 && !matches!(role, Role::Developer | Role::Tester);
        let text = if alone { role.to_string() } else { format!("{role}-{slot}") };
        WorkerName::parse(&text).expect("a role, a dash and a number are a worker name")
    }
}
