//! The pipeline: stages as data. The engine knows the kinds of stage and none of the names.

use serde::{Deserialize, Serialize};

use super::ids::StageName;

/// Who does a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Plans and shows the event stream of the whole sprint.
    Manager,
    /// Implements.
    Developer,
    /// Lint, types, complexity; a model's review.
    Reviewer,
    /// Tests, coverage, mutation.
    Tester,
    /// Security scans and documentation.
    Librarian,
    /// Candidates and the merge queue.
    Merger,
}

impl Role {
    /// Every role, in the order in which people read them.
    pub const ALL: [Self; 6] =
        [Self::Manager, Self::Developer, Self::Reviewer, Self::Tester, Self::Librarian, Self::Merger];

    /// The role's name in configuration, tmux and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Developer => "developer",
            Self::Reviewer => "reviewer",
            Self::Tester => "tester",
            Self::Librarian => "librarian",
            Self::Merger => "merger",
        }
    }

    /// The role of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a stage does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageKind {
    /// An agent makes a change.
    Work,
    /// Gates and, with an agent, a verdict.
    Check,
    /// The candidate lands on the integration branch.
    Land,
    /// Waits for an approval or something outside.
    Wait,
}

/// What must be there to leave a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// A new commit, or a diff that sprint commits.
    Commit,
    /// A changed file within the stage's `writes`.
    File,
    /// A verdict.
    Verdict,
    /// The claim alone.
    None,
}

/// Where a task goes from a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goto {
    /// The next stage of the list, or Done after the last.
    Next,
    /// The nearest `work` stage at or before this one, as a new attempt.
    Rework,
    /// That stage.
    Stage(StageName),
    /// This stage again.
    Stay,
    /// Waiting for the operator.
    Hold,
    /// The task is Skipped.
    Skip,
    /// The task is Done: what it made is its result.
    Done,
}

/// One stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name, as `status` shows it.
    pub name: StageName,
    /// What it does.
    pub kind: StageKind,
    /// Who does it.
    pub role: Role,
    /// What must be there to leave it.
    pub proof: Proof,
    /// How often a task may fail before it is parked.
    pub attempts: u32,
    /// Milliseconds that one run may take.
    pub timeout_ms: u64,
    /// Whether there is anything to do: a stage with neither gates nor an agent passes.
    pub has_work: bool,
    /// After a pass.
    pub on_pass: Goto,
    /// After a fail.
    pub on_fail: Goto,
    /// After a skip.
    pub on_skip: Goto,
    /// After an error that did not go away.
    pub on_error: Goto,
}

/// The stages in order. `ToDo` before and `Done` after them are implied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pipeline {
    /// In the order of the way of a task.
    pub stages: Vec<Stage>,
}

impl Pipeline {
    /// The stage of that name.
    pub fn stage(&self, name: &StageName) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == *name)
    }

    /// The stage after `name`; `None` when that is Done.
    pub fn after(&self, name: &StageName) -> Option<&Stage> {
        let at = self.stages.iter().position(|stage| stage.name == *name)?;
        self.stages.get(at + 1)
    }

    /// The first `check` stage that the work of `name`'s attempt comes to.
    pub fn first_check(&self, name: &StageName) -> Option<&Stage> {
        let at = self.stages.iter().position(|stage| stage.name == *name)?;
        let before = &self.stages[..=at];
        let work = before.iter().rposition(|stage| stage.kind == StageKind::Work).map_or(0, |work| work + 1);
        before[work..].iter().find(|stage| stage.kind == StageKind::Check)
    }

    /// The nearest `work` stage at or before `name`, else the first stage.
    pub fn rework(&self, name: &StageName) -> Option<&Stage> {
        let at = self.stages.iter().position(|stage| stage.name == *name)?;
        self.stages[..=at].iter().rev().find(|stage| stage.kind == StageKind::Work).or(self.stages.first())
    }
}
