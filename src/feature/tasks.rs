//! `tasks.md`: the tasks of a feature, and what in the file looks like one and is not taken.

use crate::domain::ids::TaskId;
use crate::domain::plan::PlanItem;

use super::Warning;

mod links;
mod reader;
#[cfg(test)]
mod tests;

/// Tasks taken from one file; a feature of that size is a mistake.
pub const TASKS_MAX: usize = 10_000;

/// What a `tasks.md` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskFile {
    /// In the order of the file.
    pub tasks: Vec<TaskLine>,
    /// Those with tasks, in the order of the file.
    pub phases: Vec<Phase>,
    /// By line.
    pub warnings: Vec<Warning>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskLine {
    pub id: TaskId,
    /// The text after id and labels. It comes from outside: show it, never run it.
    pub title: String,
    /// Wrapped lines and sub-points, as they are.
    pub details: String,
    /// Ticked, or dropped.
    pub done: bool,
    /// Struck out, `[~]`, or marked as dropped.
    pub dropped: bool,
    pub parallel: bool,
    /// `US1`, from the labels.
    pub stories: Vec<String>,
    /// Other labels: `Setup`, `P1`.
    pub labels: Vec<String>,
    /// The place of its phase in [`TaskFile::phases`].
    pub phase: u32,
    /// Files, directories (with `/` at the end, where so written) and globs.
    pub paths: Vec<String>,
    /// Declared dependencies, also on tasks that are not there.
    pub depends_on: Vec<TaskId>,
    /// From 1.
    pub line: u32,
    /// Where the byte in its box is in the file. None for a row of a table, a range, an odd box.
    pub mark_offset: Option<usize>,
}

/// A phase: a heading with tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Phase {
    /// The heading; empty for tasks above all headings.
    pub title: String,
    /// The heading's line.
    pub line: u32,
    /// The stories that the heading names, or that all of its tasks have as their label.
    pub stories: Vec<String>,
    /// The phases whose stories these stories depend on.
    pub after: Vec<u32>,
}

impl TaskFile {
    /// Reads a file. Never fails: what cannot be used is in the warnings.
    pub fn read(bytes: &[u8]) -> Self {
        reader::read(bytes)
    }

    /// The task with this id.
    pub fn task(&self, id: &TaskId) -> Option<&TaskLine> {
        self.tasks.iter().find(|t| t.id == *id)
    }

    /// The title of the phase that a task is in.
    pub fn phase_title(&self, task: &TaskLine) -> &str {
        self.phases.get(task.phase as usize).map_or("", |p| p.title.as_str())
    }

    /// The tasks as the planner wants them.
    pub fn plan_items(&self) -> Vec<PlanItem> {
        let item = |task: &TaskLine| {
            let phase = self.phases.get(task.phase as usize);
            PlanItem {
                id: task.id.clone(),
                line: task.line,
                phase: task.phase,
                story_phase: phase.is_some_and(|p| !p.stories.is_empty()),
                after_phases: phase.map(|p| p.after.clone()).unwrap_or_default(),
                parallel: task.parallel,
                paths: task.paths.clone(),
                depends_on: task.depends_on.clone(),
                done: task.done,
            }
        };
        self.tasks.iter().map(item).collect()
    }
}

/// The file with the box of `id` ticked: exactly one byte differs. None if there is no such box,
/// or it is ticked (or dropped) already.
pub fn tick(bytes: &[u8], id: &TaskId) -> Option<Vec<u8>> {
    let file = TaskFile::read(bytes);
    let task = file.task(id).filter(|t| !t.done)?;
    let mut ticked = bytes.to_vec();
    *ticked.get_mut(task.mark_offset?)? = b'X';
    Some(ticked)
}
