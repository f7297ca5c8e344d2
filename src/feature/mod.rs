//! Pure parsers of spec-kit files: `spec.md`, `plan.md`, `tasks.md`. They take bytes and return
//! values; no input makes them panic, refuse, or take longer than linear time. What they cannot
//! use becomes a warning with its line.
#![deny(clippy::disallowed_methods)]

mod deps;
mod documents;
mod forms;
mod headings;
mod lines;
mod paths;
mod plan_md;
mod refs;
mod spec;
mod table;
mod tasks;

pub use documents::{COMPANIONS, Companion};
pub use plan_md::PlanDocument;
pub use spec::{Requirement, Scenario, SpecDocument, Story, Unclear};
pub use tasks::{Phase, TASKS_MAX, TaskFile, TaskLine, tick};

use serde::Serialize;

/// Something in a file that was not read as its writer may have meant it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Warning {
    /// From 1.
    pub line: u32,
    pub message: String,
}

/// A feature, as its three files say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Feature {
    pub spec: SpecDocument,
    pub plan: PlanDocument,
    pub tasks: TaskFile,
}

impl Feature {
    /// Reads the three files; a file that is not there is the empty one.
    pub fn read(spec: &[u8], plan: &[u8], tasks: &[u8]) -> Self {
        Self { spec: SpecDocument::read(spec), plan: PlanDocument::read(plan), tasks: TaskFile::read(tasks) }
    }
}
