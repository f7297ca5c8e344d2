//! What was read, and nothing of how.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// Everything that the rules look at.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub(super) rows: Rows,
    pub(super) git: Git,
    pub(super) reports: Vec<ReportFile>,
}

/// The database.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    /// The last number of the log.
    pub(super) moment: i64,
    /// What `integrity_check` and `foreign_key_check` find.
    pub(super) damage: Vec<String>,
    pub(super) epoch: i64,
    /// Of the log, in its order.
    pub(super) epochs: Vec<i64>,
    pub(super) features: Vec<Feature>,
    pub(super) tasks: Vec<Task>,
    pub(super) workers: Vec<Worker>,
    pub(super) runs: Vec<Run>,
    /// In the order in which they were written.
    pub(super) landings: Vec<Landing>,
    /// In the order in which they were asked for.
    pub(super) intents: Vec<Intent>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Feature {
    pub(super) id: String,
    pub(super) dir: String,
    pub(super) base: String,
    pub(super) head: Option<String>,
    pub(super) halted: Option<String>,
    #[serde(skip)]
    pub(super) status: String,
    #[serde(skip)]
    pub(super) convoys: Vec<Vec<String>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Task {
    pub(super) feature: String,
    pub(super) id: String,
    /// The column.
    pub(super) status: String,
    pub(super) body: TaskBody,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct TaskBody {
    pub(super) status: TaskStatus,
    pub(super) head: Option<String>,
    pub(super) candidate: Option<Candidate>,
    #[serde(default)]
    pub(super) gates: Vec<Gate>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct TaskStatus {
    pub(super) kind: String,
    pub(super) run: Option<String>,
    pub(super) commit: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Candidate {
    pub(super) commit: String,
    pub(super) tree: String,
    pub(super) head: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Gate {
    #[serde(rename = "gate")]
    pub(super) name: String,
    pub(super) verdict: String,
    pub(super) tree: String,
    pub(super) at_merge: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Worker {
    pub(super) name: String,
    /// The column.
    pub(super) life: String,
    pub(super) run: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) worker: String,
    pub(super) feature: String,
    pub(super) task: Option<String>,
    pub(super) token: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Landing {
    pub(super) feature: String,
    pub(super) task: String,
    pub(super) commit: String,
}

/// What the supervisor wrote down before it moved a branch.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Intent {
    pub(super) feature: String,
    pub(super) task: String,
    pub(super) new: String,
    #[serde(skip)]
    pub(super) open: bool,
}

/// The repository.
#[derive(Debug, Clone, Default)]
pub(super) struct Git {
    /// By feature.
    pub(super) branches: BTreeMap<String, Branch>,
    /// Commits that a reference reaches, without the history before the features.
    pub(super) reachable: BTreeSet<String>,
    /// What is not there or not what its name says.
    pub(super) damaged: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Branch {
    /// `None`: there is no such branch.
    pub(super) head: Option<String>,
    /// By first parents from the base (excluded), oldest first.
    pub(super) chain: Vec<Commit>,
    /// Whether the base was found there.
    pub(super) from_base: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) tree: String,
    pub(super) parents: Vec<String>,
    /// `Sprint-Task`, if it and its fellows are there.
    pub(super) task: Option<String>,
    /// Boxes that are ticked here and were not in the first parent.
    pub(super) ticked: BTreeSet<String>,
    /// Boxes of the first parent that are not ticked there.
    pub(super) open_before: BTreeSet<String>,
    /// Boxes that were ticked in the first parent and are not any more.
    pub(super) unticked: BTreeSet<String>,
}

/// A run's report file.
#[derive(Debug, Clone)]
pub(super) struct ReportFile {
    /// The run in whose directory it lies.
    pub(super) place: String,
    /// What it says, or why it cannot be read.
    pub(super) said: Result<Report, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Report {
    pub(super) run: String,
    pub(super) token: String,
    #[serde(rename = "report")]
    pub(super) said: Said,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Said {
    pub(super) kind: String,
    /// Of a developer: the commit.
    pub(super) head: Option<String>,
}
