//! The rules of one feature, frozen when it starts: limits, backoff, roles.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::ids::GateName;
use super::pipeline::{Pipeline, Role};
use super::plan::ParkedPolicy;

/// How many workers a role has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolePolicy {
    /// At most so many at once.
    pub max: u32,
    /// Kept while the sprint runs, else started on demand and ended when idle.
    pub permanent: bool,
}

/// The rules of one feature.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// The stages.
    pub pipeline: Pipeline,
    /// Workers by role.
    pub roles: BTreeMap<Role, RolePolicy>,
    /// The agents of the roles that have one: whose service may be on hold.
    #[serde(default)]
    pub agents: BTreeMap<Role, String>,
    /// The agents of tasks with a label, by the label in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub label_agents: BTreeMap<String, BTreeMap<Role, String>>,
    /// Whether the manager's answers, retries and skips are done without the person.
    #[serde(default)]
    pub manager_auto: bool,
    /// What models may use.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// Tasks that may be in flight and not Waiting.
    pub max_in_flight: u32,
    /// Whether a parked task holds its dependents.
    pub parked: ParkedPolicy,
    /// Whether there are gates that the base must pass first.
    pub gate_base: bool,
    /// Gates that must stand for every tree that lands, whatever a worker reports: a person's own
    /// and the presets that are listed by name. Others depend on the tree.
    #[serde(default)]
    pub must_land: Vec<GateName>,
    /// Fingerprint of the frozen configuration, whose text the store keeps.
    pub config: String,
}

impl Policy {
    /// The agent of a role for a task with these labels: the first label that says anything counts.
    pub fn agent_of(&self, role: Role, labels: &[String]) -> Option<&String> {
        let mut said = labels.iter().filter_map(|label| self.label_agents.get(&label.to_ascii_lowercase()));
        said.find_map(|agents| agents.get(&role)).or_else(|| self.agents.get(&role))
    }

    /// Every agent that somebody works with; some more than once.
    pub fn agents_in_use(&self) -> impl Iterator<Item = &String> {
        self.agents.values().chain(self.label_agents.values().flat_map(BTreeMap::values))
    }
}

/// Waits before a gate that could not run is repeated, in milliseconds.
pub const ERROR_BACKOFF_MS: [u64; 3] = [10_000, 20_000, 40_000];
/// So often it is repeated by itself.
#[expect(clippy::cast_possible_truncation, reason = "three fits")]
pub const RETRIES_MAX: u32 = ERROR_BACKOFF_MS.len() as u32;
/// A (task, stage) whose workers died so often without a report is parked.
pub const DEATHS_MAX: u32 = 10;
/// A worker that dies so soon after its start, without a report, counts for the breaker.
pub const INSTANT_DEATH_MS: u64 = 10_000;
/// Instant deaths in a row that open a slot's breaker.
pub const BREAKER_DEATHS: u32 = 5;
/// Runs in a row that failed at once open the breaker of their agent.
pub const BREAKER_RUNS: u32 = 3;
/// So many open breakers at once are no slot's trouble any more: nothing is given out.
pub const BREAKERS_MAX: usize = 3;
/// An open breaker tries again so often, in milliseconds.
pub const BREAKER_RETRY_MS: u64 = 60_000;
/// A breaker that has been open so long does not keep a feature from being at rest.
pub const BREAKER_REST_MS: u64 = 600_000;
/// An on-demand worker is ended when it was idle so long, in milliseconds.
pub const IDLE_MS: u64 = 15_000;
/// A worker that has not registered so long after its pane came is ended and counted as dead.
pub const REGISTER_MS: u64 = 30_000;

/// The manager may look at a task for so long, in milliseconds.
pub const TRIAGE_MS: u64 = 900_000;

/// The wait after the `deaths`-th instant death in a row, in milliseconds.
pub fn death_backoff_ms(deaths: u32) -> u64 {
    1_000u64 << deaths.saturating_sub(1).min(5)
}

/// How long the retry after that many errors in a row waits; `None` when no retry is left.
pub fn error_backoff(errors: u32) -> Option<u64> {
    let place = usize::try_from(errors).ok()?.checked_sub(1)?;
    ERROR_BACKOFF_MS.get(place).copied()
}
