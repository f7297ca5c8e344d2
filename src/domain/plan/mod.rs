//! Order and convoys: which task waits for which, and which share files.
//!
//! [`plan`] turns the tasks of a feature into a [`Plan`]; [`ready`] and [`held_by`] read it
//! together with the progress of the tasks. It refuses declared dependencies that form a circle,
//! and nothing else. Sharing a file is exclusion, not order, so no mixture of the two can lock up.

use serde::{Deserialize, Serialize};

use super::ids::TaskId;

mod convoys;
mod graph;
mod order;
mod phases;
mod ready;
#[cfg(test)]
mod tests;

pub use ready::{held, held_by, open_predecessors, ready, waits_for};

/// A task as the planner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanItem {
    pub id: TaskId,
    /// Its line in `tasks.md`, from 1; the order within a phase.
    pub line: u32,
    /// The number of its phase, in the order of the file.
    pub phase: u32,
    /// Whether its phase belongs to a user story; read with [`StoryOrder::Parallel`] alone.
    pub story_phase: bool,
    /// Phases that its phase waits for because the text names their stories ("US2 depends on US1").
    pub after_phases: Vec<u32>,
    /// Marked `[P]`.
    pub parallel: bool,
    /// Files, directories and globs that it names; `/` between components, no `./` in front.
    pub paths: Vec<String>,
    /// Declared dependencies.
    pub depends_on: Vec<TaskId>,
    /// Done or dropped when the feature was read: it is never in flight again, so it links nobody.
    pub done: bool,
}

/// What holds within a phase: `planner.order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// A task without `[P]` waits for every earlier one, one with `[P]` for every earlier one without.
    #[default]
    SpecKit,
    /// The same, but not between two tasks that both name paths.
    Files,
}

/// What holds between phases: `planner.stories`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoryOrder {
    /// A phase waits for all earlier ones.
    #[default]
    Sequential,
    /// A story's phase waits for the phases before the first story and for the stories it names.
    Parallel,
}

/// Whether a parked task holds the tasks that depend on it: `planner.parked`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParkedPolicy {
    /// They wait until it is retried or skipped.
    #[default]
    Hold,
    /// They go on as if it were done.
    Continue,
}

/// How to plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanOptions {
    pub order: Order,
    pub stories: StoryOrder,
}

/// How far a task is, as far as the order is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Progress {
    /// Not assigned yet, or back from `task retry`.
    Open,
    /// Assigned, and neither landed nor given up: in any stage of the pipeline.
    InFlight,
    /// In flight, and waiting for an answer, an approval, the operator or something outside.
    /// Its convoy stays held.
    Waiting,
    /// Given up for now; holds its dependents, not its convoy.
    Parked,
    Done,
    Skipped,
}

/// A task in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTask {
    pub id: TaskId,
    pub line: u32,
    pub phase: u32,
    pub parallel: bool,
    pub paths: Vec<String>,
    /// The declared dependencies that exist. What it waits for in all: [`Plan::predecessors`].
    pub depends_on: Vec<TaskId>,
    /// The index of its convoy in [`Plan::convoys`]; none for a task that was done before.
    pub convoy: Option<u32>,
}

/// Something about the order that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlanWarning {
    pub line: u32,
    pub message: String,
}

/// The order of a feature's tasks. A function of the items and options alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Oldest first: by phase, then by line.
    pub tasks: Vec<PlannedTask>,
    /// Every open task is in exactly one, also if it is the only one there: "the tasks as convoys"
    /// is then a partition that a reader can count on. Oldest first, in and between convoys.
    pub convoys: Vec<Vec<TaskId>>,
    pub warnings: Vec<PlanWarning>,
    graph: graph::Graph,
}

/// Declared dependencies that form a circle: each task depends on the next, the last on the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tasks depend on one another in a circle: {}", circle(path))]
pub struct Cycle {
    /// The tasks of the circle, each once.
    pub path: Vec<TaskId>,
}

fn circle(path: &[TaskId]) -> String {
    let mut names: Vec<&str> = path.iter().map(TaskId::as_str).collect();
    names.extend(path.first().map(TaskId::as_str));
    names.join(" needs ")
}

/// Plans `items`. Of two items with one id the first (in the slice) counts.
///
/// # Errors
/// [`Cycle`] if declared dependencies form a circle.
pub fn plan(items: &[PlanItem], options: PlanOptions) -> Result<Plan, Cycle> {
    let outline = phases::Outline::new(items);
    let mut warnings = outline.warnings.clone();
    let (graph, depends_on) = order::build(&outline, options, &mut warnings)?;
    let linked = convoys::link(&outline.items);
    warnings.extend(linked.warnings);
    warnings.sort();
    let convoys = linked.groups.iter().map(|g| g.iter().map(|&t| outline.items[t].id.clone()).collect());
    let convoys = convoys.collect();
    let tasks = outline.items.iter().zip(depends_on).zip(&linked.of_item);
    let tasks = tasks.map(|((item, depends_on), convoy)| PlannedTask {
        id: item.id.clone(),
        line: item.line,
        phase: item.phase,
        parallel: item.parallel,
        paths: item.paths.clone(),
        depends_on,
        convoy: *convoy,
    });
    Ok(Plan { tasks: tasks.collect(), convoys, warnings, graph })
}

impl Plan {
    /// The place of a task in [`Plan::tasks`]. Linear: for a single question, not for a loop.
    pub fn position(&self, id: &TaskId) -> Option<usize> {
        self.tasks.iter().position(|t| t.id == *id)
    }

    /// The tasks that `id` waits for directly, declared and implied, without those that another of
    /// them waits for anyway; oldest first.
    pub fn predecessors(&self, id: &TaskId) -> Vec<TaskId> {
        let Some(at) = self.position(id) else { return Vec::new() };
        self.graph.nearest(at, |_| true).into_iter().map(|t| self.tasks[t].id.clone()).collect()
    }
}

impl PlannedTask {
    /// A path that it shares with another task; none where the two are linked through others.
    pub fn shares(&self, other: &Self) -> Option<String> {
        convoys::shared(&self.paths, &other.paths)
    }
}
