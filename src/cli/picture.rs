//! What `status`, `health` and the lists show, made from one moment of the store. No output here.

use std::collections::BTreeMap;

use serde::Serialize;

use super::asked::{Asked, PendingRow};
use super::cost::Sum;
use super::disk::LowDisk;
use super::flaky::FlakyRow;
use super::foreign::Foreign;
use super::spending::{self, CostOf};
use super::text::{plain, rfc3339};
use super::traces::TraceRow;
use super::why::not_begun;
use crate::config::layout::Layout;
use crate::domain::event::Now;
use crate::domain::ids::{FeatureId, TaskId};
use crate::domain::pipeline::Role;
use crate::domain::screen::Seen;
use crate::domain::state::{Feature, FeatureStatus, Mode, State};
use crate::domain::task::{Status, Task, TaskKey, TaskName};
use crate::domain::worker::{Life, ProcRef, Worker};
use crate::process::identity::ProcId;
use crate::process::load::{Load, load_of};
use crate::process::supervisor_file::SupervisorFile;
use crate::process::tree::Table;
use crate::store::Overview;

/// Columns of a text in JSON: agents may print without end, and a page of it says enough.
pub const TEXT_MAX: usize = 4_000;

/// `sprint status --json`.
#[derive(Debug, Clone, Serialize)]
pub struct StatusJson {
    /// The feature that is shown: the one that is built, else the last one.
    pub feature: Option<String>,
    /// Where it is.
    pub state: &'static str,
    /// Why it is there, if there is something to say.
    pub reason: String,
    /// Its tasks in order.
    pub tasks: Vec<TaskRow>,
    /// All workers.
    pub workers: Vec<WorkerRow>,
    /// The merge queue.
    pub queue: Vec<QueueRow>,
    /// What waits for a person.
    pub needs_you: Vec<NeedRow>,
    /// Tests that failed and then passed alone, worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flaky: Vec<FlakyRow>,
    /// What changed in the person's repository while a run was on, and still is so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<TraceRow>,
    /// What a person has asked for and the supervisor has not applied yet.
    pub pending: Vec<PendingRow>,
    /// What the feature's models have used, and the budgets.
    pub cost: CostOf,
}

/// A task in `status`.
#[derive(Debug, Clone, Serialize)]
pub struct TaskRow {
    /// Its id.
    pub id: String,
    /// Its title, harmless.
    pub title: String,
    /// Where it is on its way.
    pub stage: String,
    /// How it is.
    pub state: String,
    /// The developer's attempt.
    pub attempt: u32,
    /// Who has it.
    pub worker: Option<String>,
    /// Why it is there.
    pub reason: String,
    /// Since when, for people.
    #[serde(skip)]
    pub since_ms: i64,
    /// The state in the store's own word, for people.
    #[serde(skip)]
    pub word: &'static str,
}

/// A worker in `status` and `health`.
#[derive(Debug, Clone, Serialize)]
pub struct WorkerRow {
    /// Its name, also of its tmux session.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its process, if it lives.
    pub pid: Option<u32>,
    /// How it is.
    pub state: &'static str,
    /// The task that it has.
    pub task: Option<String>,
    /// How its agent's program stands, while it has one.
    pub agent: Option<AgentRow>,
    /// Since when it is so.
    pub since: String,
    /// How often it was started again.
    pub restarts: u32,
    /// Since its last sign of life.
    pub heartbeat_age_ms: Option<u64>,
    /// Of one core, on average since it started, with everything that it runs.
    pub cpu_percent: Option<f64>,
    /// Memory of it and everything that it runs.
    pub rss_bytes: Option<u64>,
    /// For people.
    #[serde(skip)]
    pub since_ms: i64,
}

/// How an agent's program stands.
#[derive(Debug, Clone, Serialize)]
pub struct AgentRow {
    /// `starting`, `ready`, `busy`, `permission`, `question`, `dialog`, `retrying` or `idle`.
    pub state: &'static str,
    /// By what that is known: `start`, `stream`, `hook`, `title` or `screen`.
    pub source: String,
    /// What it asks; may be empty.
    pub text: String,
    /// Since when.
    pub since: String,
}

/// An entry of the merge queue.
#[derive(Debug, Clone, Serialize)]
pub struct QueueRow {
    /// Its task.
    pub task: String,
    /// Counted from 1.
    pub position: usize,
    /// `waiting`, `gating`, `landing`, `retry` or `held`.
    pub state: &'static str,
}

/// Something that waits for a person.
#[derive(Debug, Clone, Serialize)]
pub struct NeedRow {
    /// The feature, if it is about one.
    pub feature: Option<String>,
    /// The task, if it is about one.
    pub task: Option<String>,
    /// `answer`, `approval`, `operator`, `external`, `parked`, `landing`, `retry`, or how an agent's
    /// program waits: `permission`, `question` or `dialog`.
    pub kind: &'static str,
    /// The question, or the reason.
    pub text: String,
    /// What the manager's agent proposes, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposal: Option<ProposalRow>,
    /// The command to type.
    #[serde(skip)]
    pub fix: String,
}

/// What the manager's agent proposes.
#[derive(Debug, Clone, Serialize)]
pub struct ProposalRow {
    /// `answer`, `split`, `retry` or `skip`.
    pub action: &'static str,
    /// The answer, the advice, the reason, or lines for `tasks.md`.
    pub text: String,
    /// What a person types who agrees.
    pub command: String,
}

/// One moment.
#[derive(Debug)]
pub struct Picture<'a> {
    /// What the store says.
    pub overview: &'a Overview,
    /// What was asked for and is not applied yet.
    pub asked: &'a Asked,
    /// What the models of the feature that is shown have used.
    pub spent: &'a Sum,
    /// Where integration branches are on which landing is halted.
    pub foreign: &'a BTreeMap<FeatureId, Foreign>,
    /// Where things live.
    pub layout: &'a Layout,
    /// What changed in the person's repository while a run was on, and still is so.
    pub traces: &'a [TraceRow],
    /// The living supervisor.
    pub supervisor: Option<&'a SupervisorFile>,
    /// Too little room on the disk, if the supervisor begins nothing because of it.
    pub disk: Option<LowDisk>,
    /// The processes of the machine, if they could be read.
    pub processes: Option<&'a Table>,
    /// When.
    pub now: Now,
}

impl Picture<'_> {
    pub(super) fn state(&self) -> &State {
        &self.overview.state
    }

    /// A task's name as people are shown it: with its feature where another one has that id too.
    pub fn short_name(&self, feature: Option<&str>, task: &str) -> String {
        let known = feature.and_then(|feature| TaskName::parse(&format!("{feature}/{task}")).ok());
        let key = known.and_then(|name| Some(TaskKey { feature: name.feature?, id: name.id }));
        key.map_or_else(|| task.to_owned(), |key| self.state().name_of(&key).to_string())
    }

    /// The feature that is shown: the one that is built, else the next, else the last.
    pub fn feature(&self) -> Option<&Feature> {
        shown_feature(self.state())
    }

    /// The disk, if it keeps a feature from going on.
    pub fn held_by_disk(&self, feature: &Feature) -> Option<LowDisk> {
        let next = || feature.status == FeatureStatus::Queued && self.state().current().is_none();
        self.disk.filter(|_| feature.is_current() || next())
    }

    /// Where the sprint is, in a word.
    pub fn word(&self) -> &'static str {
        let Some(feature) = self.feature() else { return "none" };
        let over = matches!(
            feature.status,
            FeatureStatus::Finished | FeatureStatus::Resting | FeatureStatus::Refused { .. }
        );
        match self.state().sprint.mode {
            _ if over => feature.status.word(),
            _ if self.supervisor.is_none() => "stopped",
            Mode::Paused => "paused",
            Mode::Draining { .. } | Mode::Stopping => "stopping",
            Mode::Running | Mode::Booting => feature.status.word(),
        }
    }

    /// Everything that `status --json` prints.
    pub fn status(&self) -> StatusJson {
        StatusJson {
            feature: self.feature().map(|feature| feature.id.to_string()),
            state: self.word(),
            reason: self.feature().map(|feature| self.feature_reason(feature)).unwrap_or_default(),
            tasks: self.feature().map(|feature| self.tasks(feature)).unwrap_or_default(),
            workers: self.workers(),
            queue: self.feature().map(|feature| self.queue(feature)).unwrap_or_default(),
            needs_you: self.needs(),
            flaky: self.flaky(),
            traces: self.traces.to_vec(),
            pending: self.asked.rows(),
            cost: self.feature().map(|feature| self.cost(feature)).unwrap_or_default(),
        }
    }

    fn cost(&self, feature: &Feature) -> CostOf {
        CostOf { sum: self.spent.clone(), budget: spending::shared(self.state(), feature, self.now) }
    }

    /// The tasks of a feature in the order of the plan.
    pub fn tasks(&self, feature: &Feature) -> Vec<TaskRow> {
        let mut tasks: Vec<&Task> = self.state().tasks_of(&feature.id).collect();
        tasks.sort_by_key(|task| task.order);
        let why_not = not_begun(feature, &tasks, &|task| self.why_not_begun(feature, task));
        tasks.into_iter().map(|task| self.task(feature, task, &why_not)).collect()
    }

    fn task(&self, feature: &Feature, task: &Task, why_not: &BTreeMap<&TaskId, String>) -> TaskRow {
        let worker = match &task.status {
            Status::Running { run } | Status::Landing { entry: run } => self.state().runs.get(run),
            _ => None,
        };
        TaskRow {
            id: task.key.id.to_string(),
            title: plain(&task.title, TEXT_MAX),
            stage: stage_word(task),
            state: state_word(task),
            attempt: task.attempt,
            worker: worker.map(|run| run.worker.to_string()),
            reason: plain(&self.task_reason(feature, task, why_not), TEXT_MAX),
            since_ms: task.since_ms,
            word: task.status.word(),
        }
    }

    /// All workers, those that are there first.
    pub fn workers(&self) -> Vec<WorkerRow> {
        let mut workers: Vec<&Worker> = self.state().workers.values().collect();
        workers.sort_by_key(|worker| (worker.role, worker.slot));
        workers.into_iter().map(|worker| self.worker(worker)).collect()
    }

    fn worker(&self, worker: &Worker) -> WorkerRow {
        let process = worker.life.proc().map(proc_id);
        let alive = process.as_ref().filter(|id| self.processes.is_none_or(|table| table.is_alive(id)));
        let load: Option<Load> = alive.and_then(|id| load_of(self.processes?, id));
        let task = worker
            .life
            .run()
            .and_then(|run| self.state().runs.get(run))
            .and_then(|run| run.job.task.as_ref());
        WorkerRow {
            name: worker.name.to_string(),
            role: worker.role,
            pid: alive.map(|id| id.pid.cast_unsigned()),
            state: if process.is_some() && alive.is_none() { "gone" } else { worker.life.word() },
            task: task.map(ToString::to_string),
            agent: alive.and(worker.agent()).map(agent_row),
            since: rfc3339(worker.since_ms),
            restarts: worker.restarts,
            heartbeat_age_ms: alive.and_then(|_| self.heartbeat_age(worker)),
            cpu_percent: load.map(|load| load.cpu_percent),
            rss_bytes: load.map(|load| load.rss_bytes),
            since_ms: worker.since_ms,
        }
    }

    fn heartbeat_age(&self, worker: &Worker) -> Option<u64> {
        let beat =
            std::fs::metadata(self.layout.heartbeat(&worker.name)).and_then(|meta| meta.modified()).ok()?;
        let beat = beat.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
        let now = u128::try_from(self.now.wall_ms).ok()?;
        u64::try_from(now.saturating_sub(beat)).ok()
    }

    /// The merge queue in its order.
    pub fn queue(&self, feature: &Feature) -> Vec<QueueRow> {
        let open =
            self.state().tasks_of(&feature.id).filter(|task| !task.closed() && task.status != Status::Parked);
        let mut queue: Vec<(u64, &Task)> = open.filter_map(|task| Some((task.queued?, task))).collect();
        queue.sort_by_key(|(place, _)| *place);
        let row = |(index, (_, task)): (usize, &(u64, &Task))| QueueRow {
            task: task.key.id.to_string(),
            position: index + 1,
            state: match task.status {
                Status::Running { .. } => "gating",
                Status::Landing { .. } => "landing",
                Status::Retry { .. } => "retry",
                Status::Waiting { .. } => "held",
                _ if feature.halted.is_some() => "held",
                _ => "waiting",
            },
        };
        queue.iter().enumerate().map(row).collect()
    }

    /// The features before and after the one that is shown.
    pub fn other_features(&self, shown: &FeatureId) -> Vec<&Feature> {
        let mut all: Vec<&Feature> =
            self.state().features.values().filter(|feature| feature.id != *shown).collect();
        all.sort_by_key(|feature| feature.order);
        all
    }
}

/// The feature that is shown: the one that is built, else the next, else the last.
pub fn shown_feature(state: &State) -> Option<&Feature> {
    let mut all: Vec<&Feature> = state.features.values().collect();
    all.sort_by_key(|feature| feature.order);
    let queued = all.iter().find(|feature| feature.status == FeatureStatus::Queued).copied();
    let unfinished = all.iter().rev().find(|feature| feature.status != FeatureStatus::Finished).copied();
    state.current().or(queued).or(unfinished).or(all.last().copied())
}

fn agent_row(seen: &Seen) -> AgentRow {
    AgentRow {
        state: seen.stand.word(),
        source: plain(&seen.source, 20),
        text: plain(&seen.text, TEXT_MAX),
        since: rfc3339(seen.since_ms),
    }
}

/// The process that a row of the store means.
pub fn proc_id(proc: &ProcRef) -> ProcId {
    ProcId { boot_id: proc.boot.clone(), pid: proc.pid.cast_signed(), start_ticks: proc.start }
}

/// `ToDo`, the name of a stage of the pipeline, or `Done`.
pub fn stage_word(task: &Task) -> String {
    match (&task.status, &task.stage) {
        (Status::Done { .. }, _) => "Done".to_owned(),
        (_, Some(stage)) => stage.to_string(),
        (_, None) => "ToDo".to_owned(),
    }
}

/// `ToDo`, the stage's name while it moves, `Waiting`, `Parked`, `Skipped` or `Done`.
pub fn state_word(task: &Task) -> String {
    match task.status {
        Status::Waiting { .. } => "Waiting".to_owned(),
        Status::Parked => "Parked".to_owned(),
        Status::Skipped => "Skipped".to_owned(),
        Status::ToDo => "ToDo".to_owned(),
        Status::Ready
        | Status::Running { .. }
        | Status::Retry { .. }
        | Status::Landing { .. }
        | Status::Done { .. } => stage_word(task),
    }
}

/// Whether a worker's slot is in use.
pub fn is_there(life: &Life) -> bool {
    !matches!(life, Life::Absent)
}
