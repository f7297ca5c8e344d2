//! What runs of models cost, as their own programs tell it; else by the person's own prices, and
//! marked so. What neither tells is unknown.

use serde::{Deserialize, Serialize};

use super::ids::{FeatureId, RunId, StageName, TaskId};
use super::pipeline::Role;

/// What one run used. Nothing at all, without a cost: its program does not tell it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// The adapter.
    pub agent: String,
    /// The model that the role asked for, else the one that the program tells; empty: its own.
    pub model: String,
    /// Tokens in.
    pub input: u64,
    /// Tokens out.
    pub output: u64,
    /// Tokens from a cache; none: not told.
    pub cached: Option<u64>,
    /// Millionths of a US dollar; none: not told.
    pub cost_micro_usd: Option<u64>,
    /// The cost is not the program's word, but by the configured prices of this date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated: Option<String>,
}

/// A run with what it used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentRow {
    /// The run.
    pub run: RunId,
    /// Its feature.
    pub feature: FeatureId,
    /// Its task; none for the base.
    pub task: Option<TaskId>,
    /// Its stage.
    pub stage: Option<StageName>,
    /// The role of its worker.
    pub role: Role,
    /// The developer's attempt.
    pub attempt: u32,
    /// What it used.
    pub spent: Spent,
}
