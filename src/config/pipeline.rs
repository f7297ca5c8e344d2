//! The stages of the pipeline: `[[pipeline.stage]]`, and what the keys that are not written mean.
//! Only the shape; whether stages fit together is `validate`'s business.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::{Role, Timeouts};
use crate::domain::ids::StageName;

pub use crate::domain::pipeline::{Proof, StageKind};

/// Where a task goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Target {
    /// To that stage.
    Stage(StageName),
    /// It is finished.
    Done,
    /// It is left out, and its dependents go on.
    Skipped,
    /// The same stage again.
    Stay,
    /// It waits for the operator.
    Hold,
}

/// The targets that are no stages, as they are written.
pub(super) const TARGET_WORDS: [&str; 4] = ["stay", "hold", "Done", "Skipped"];

/// Names which no stage may have, because they mean something else.
pub(super) const RESERVED_NAMES: [&str; 7] = ["ToDo", "Done", "Skipped", "Parked", "Waiting", "stay", "hold"];

impl From<String> for Target {
    fn from(text: String) -> Self {
        match text.as_str() {
            "stay" => Self::Stay,
            "Done" => Self::Done,
            "Skipped" => Self::Skipped,
            // A text that is no name cannot come through `load`; holding is the safe reading of a
            // frozen configuration that somebody edited.
            name => StageName::parse(name).map_or(Self::Hold, |name| {
                if name.as_str() == "hold" { Self::Hold } else { Self::Stage(name) }
            }),
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        match target {
            Target::Stage(name) => name.into(),
            Target::Done => "Done".into(),
            Target::Skipped => "Skipped".into(),
            Target::Stay => "stay".into(),
            Target::Hold => "hold".into(),
        }
    }
}

/// One stage, complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageConfig {
    /// Unique in the pipeline.
    pub name: StageName,
    /// What it does.
    pub kind: StageKind,
    /// Who does it.
    pub role: Role,
    /// A template in the repository for the agent's prompt; empty: see [`StageConfig::prompt_files`].
    pub prompt: String,
    /// What must be there to leave it.
    pub proof: Proof,
    /// Globs that its agent may change; empty for a work stage: everything.
    pub writes: Vec<String>,
    /// Runs of it side by side.
    pub members: u32,
    /// A run is ended after this.
    #[serde(with = "super::duration")]
    pub timeout: Duration,
    /// Failed attempts before the task is parked.
    pub attempts: u32,
    /// Where a task goes that passed.
    pub on_pass: Target,
    /// … that failed.
    pub on_fail: Target,
    /// … that has nothing to do here (exit 2 of an agent; all gates skipped counts as passed).
    pub on_skip: Target,
    /// … whose gate could not run, after its retries.
    pub on_error: Target,
}

/// One stage as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStage {
    pub(super) name: StageName,
    pub(super) kind: StageKind,
    pub(super) role: Option<Role>,
    #[serde(default)]
    pub(super) prompt: String,
    pub(super) proof: Option<Proof>,
    #[serde(default)]
    pub(super) writes: Vec<String>,
    #[serde(default = "one")]
    pub(super) members: u32,
    pub(super) timeout: Option<String>,
    #[serde(default = "three")]
    pub(super) attempts: u32,
    pub(super) on_pass: Option<Target>,
    pub(super) on_fail: Option<Target>,
    pub(super) on_skip: Option<Target>,
    pub(super) on_error: Option<Target>,
}

fn one() -> u32 {
    1
}

fn three() -> u32 {
    3
}

/// Puts in what is not written.
pub(super) fn complete(raw: Vec<RawStage>, timeouts: &Timeouts) -> Vec<StageConfig> {
    let outline: Vec<(StageName, StageKind)> =
        raw.iter().map(|stage| (stage.name.clone(), stage.kind)).collect();
    raw.into_iter().enumerate().map(|(at, stage)| complete_one(stage, at, &outline, timeouts)).collect()
}

fn complete_one(
    raw: RawStage,
    at: usize,
    outline: &[(StageName, StageKind)],
    timeouts: &Timeouts,
) -> StageConfig {
    let next = outline.get(at + 1).map_or(Target::Done, |(name, _)| Target::Stage(name.clone()));
    let on_pass = raw.on_pass.unwrap_or(next);
    let back_to_work = outline[..at]
        .iter()
        .rev()
        .find(|(_, kind)| *kind == StageKind::Work)
        .map_or(Target::Stay, |(name, _)| Target::Stage(name.clone()));
    let is_work = raw.kind == StageKind::Work;
    StageConfig {
        role: raw.role.unwrap_or_else(|| default_role(raw.kind)),
        proof: raw.proof.unwrap_or_else(|| default_proof(raw.kind)),
        timeout: raw
            .timeout
            .and_then(|text| super::duration::parse(&text).ok())
            .unwrap_or(if raw.kind == StageKind::Land { timeouts.merge } else { timeouts.task }),
        on_fail: raw.on_fail.unwrap_or(if is_work { Target::Stay } else { back_to_work }),
        on_skip: raw.on_skip.unwrap_or(if is_work { Target::Skipped } else { on_pass.clone() }),
        on_error: raw.on_error.unwrap_or(Target::Hold),
        on_pass,
        name: raw.name,
        kind: raw.kind,
        prompt: raw.prompt,
        writes: raw.writes,
        members: raw.members,
        attempts: raw.attempts,
    }
}

fn default_role(kind: StageKind) -> Role {
    match kind {
        StageKind::Work => Role::Developer,
        StageKind::Check => Role::Reviewer,
        StageKind::Land => Role::Merger,
        StageKind::Wait => Role::Manager,
    }
}

fn default_proof(kind: StageKind) -> Proof {
    match kind {
        StageKind::Work => Proof::Commit,
        StageKind::Check => Proof::Verdict,
        StageKind::Land | StageKind::Wait => Proof::None,
    }
}
