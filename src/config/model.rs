//! The configuration as plain data: what the rest of the program reads, and what is frozen into
//! the database as JSON when a feature starts. Built by [`super::load()`]; holds no I/O.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use crate::domain::pipeline::Role;

use super::agent::{Adapter, AgentConfig, AgentError};
use super::gate::GateConfig;
use super::label::LabelConfig;
use super::money::{Budget, Prices};
use super::pipeline::StageConfig;
use super::prompts::OwnPrompt;

/// Everything that can be configured, complete: every key has its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `[general]`
    pub general: General,
    /// `[planner]`
    pub planner: Planner,
    /// `[[pipeline.stage]]`, in order, without the implicit `ToDo` and `Done`.
    pub pipeline: Vec<StageConfig>,
    /// `[agents]`
    pub agents: Agents,
    /// `[roles.*]`
    pub roles: Roles,
    /// `[agent.NAME]`, with `extends` resolved.
    pub agent: BTreeMap<String, AgentConfig>,
    /// `[label.NAME]`
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub label: BTreeMap<String, LabelConfig>,
    /// `[timeouts]`
    pub timeouts: Timeouts,
    /// `[quality]`
    pub quality: Quality,
    /// `[security]`
    pub security: Security,
    /// `[gates]`
    pub gates: Gates,
    /// `[gate.NAME]`: every preset that is built in with the person's keys over it, in the order
    /// in which they run, then the person's own.
    pub gate: Vec<GateConfig>,
    /// `[worktree]`
    pub worktree: Worktree,
    /// `[merge]`
    pub merge: Merge,
    /// `[limits]`
    #[serde(default, skip_serializing_if = "Limits::are_usual")]
    pub limits: Limits,
    /// `[budget]`
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// `[prices]`
    #[serde(default, skip_serializing_if = "Prices::is_none")]
    pub prices: Prices,
    /// Templates of the repository's own, by stage: put in when a feature starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompts: BTreeMap<String, OwnPrompt>,
    /// The repository's own template of the manager's agent, as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triage_prompt: Option<OwnPrompt>,
}

/// `[general]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct General {
    /// Where state lives; empty: `$XDG_STATE_HOME/sprint`.
    pub state_dir: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub log_level: String,
    /// Off a terminal: how long to stay for an answer.
    #[serde(with = "super::duration")]
    pub answer_wait: Duration,
    /// Below this many bytes nothing new is begun.
    #[serde(with = "super::size")]
    pub disk_free_min: u64,
    /// Whether the machine is kept awake while runs are active.
    pub inhibit_sleep: bool,
    /// A subfolder of the repository that is the project; empty: the whole.
    pub root: String,
}

/// `[planner]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planner {
    /// Which tasks of a phase wait for which.
    pub order: Order,
    /// Whether user stories wait for each other.
    pub stories: Stories,
    /// What becomes of the dependents of a parked task.
    pub parked: ParkedDependents,
}

/// `planner.order`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As spec-kit has it: without `[P]` in file order.
    SpecKit,
    /// Tasks that name paths wait only for what shares them.
    Files,
}

/// `planner.stories`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stories {
    /// One after the other, as the phases are.
    Sequential,
    /// Side by side, after what is common to all.
    Parallel,
}

/// `planner.parked`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParkedDependents {
    /// They wait.
    Hold,
    /// They go on without it.
    Continue,
}

/// `[agents]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agents {
    /// Developers at once.
    pub max_developers: u32,
    /// Testers at once.
    pub max_testers: u32,
    /// Tasks in flight and not waiting; 0: twice the developers. See [`Config::max_in_flight`].
    pub max_in_flight: u32,
    /// Whether programs that take them are offered sprint's own tools, `sprint mcp`.
    #[serde(default)]
    pub mcp: bool,
}

/// The names of the roles, as they are written.
pub(super) const ROLE_NAMES: &[&str] = &["manager", "reviewer", "tester", "librarian", "merger", "developer"];

/// `[roles.*]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    /// `[roles.manager]`
    pub manager: RoleConfig,
    /// `[roles.reviewer]`
    pub reviewer: RoleConfig,
    /// `[roles.tester]`
    pub tester: RoleConfig,
    /// `[roles.librarian]`
    pub librarian: RoleConfig,
    /// `[roles.merger]`
    pub merger: RoleConfig,
    /// `[roles.developer]`
    pub developer: RoleConfig,
}

/// One of `[roles.*]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleConfig {
    /// The name of an adapter, or `none`.
    pub agent: String,
    /// The model that the adapter is asked for; empty: its own default.
    pub model: String,
    /// How hard the model thinks, in the adapter's words; empty: as it does by itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub effort: String,
    /// Workers at once; None: what `[agents]` says, and 1 for a role that is not there.
    #[serde(default)]
    pub max: Option<u32>,
    /// Whether its session is there while nothing is to do.
    pub permanent: bool,
    /// Of the manager: whether its answers, retries and skips are done without the person.
    #[serde(default)]
    pub auto: bool,
}

/// `[timeouts]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// A worker whose heartbeat is older is looked at.
    #[serde(with = "super::duration")]
    pub heartbeat: Duration,
    /// No output, no CPU, no file change for so long: hung. An adapter's `stall` goes before it.
    #[serde(with = "super::duration")]
    pub hung: Duration,
    /// A run of an agent.
    #[serde(with = "super::duration")]
    pub task: Duration,
    /// A landing, its gates not counted.
    #[serde(with = "super::duration")]
    pub merge: Duration,
}

/// `[limits]`: of each program of an agent and of each gate, with all that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processes at once.
    pub processes: u32,
    /// Bytes of memory; 0: four fifths of the machine's.
    #[serde(with = "super::size")]
    pub memory: u64,
    /// Bytes that are printed.
    #[serde(with = "super::size")]
    pub output: u64,
    /// Whether control groups are used where there are some.
    pub cgroups: bool,
}

impl Default for Limits {
    /// Those of `config/default.toml`, for what an older version has frozen.
    fn default() -> Self {
        Self { processes: 8192, memory: 0, output: 10_000_000_000, cgroups: true }
    }
}

impl Limits {
    /// Whether nobody has changed them: they are left out then, as older versions do.
    pub fn are_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// `[quality]`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Per cent of the lines.
    pub coverage: f64,
    /// Per cent of the mutants.
    pub mutation: f64,
    /// A function above this complexity is shown.
    pub complexity_flag: u32,
    /// A function above this complexity is a failure.
    pub complexity_max: u32,
}

/// `[security]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// Critical vulnerabilities that are tolerated.
    pub critical_cve_max: u32,
    /// High ones.
    pub high_cve_max: u32,
    /// Medium ones.
    pub medium_cve_max: u32,
}

/// `[gates]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gates {
    /// Which presets take part.
    pub presets: Presets,
    /// Whether, in a stage, a red gate leaves the others running, so that the next attempt is told of
    /// everything at once.
    pub all: bool,
}

/// `gates.presets`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Presets {
    /// Those of the languages of the tree and of `plan.md`.
    Auto(AutoWord),
    /// These.
    List(Vec<String>),
}

/// The word `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoWord {
    /// `auto`
    Auto,
}

impl Presets {
    /// Whether languages decide.
    pub fn is_auto(&self) -> bool {
        matches!(self, Self::Auto(_))
    }
}

/// `[worktree]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worktree {
    /// A shell command, run in every worktree before its first use; empty: none.
    pub setup: String,
    /// Globs of files; `setup` runs again when one of them changes.
    pub setup_inputs: Vec<String>,
    /// Paths copied from the checkout.
    pub copy: Vec<String>,
    /// Paths linked into the checkout.
    pub link: Vec<String>,
}

/// `[merge]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// What happens at the end of a feature.
    pub finish: Finish,
}

/// `merge.finish`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The command to merge is printed.
    None,
    /// The base branch is moved forward.
    Ff,
    /// A pull request is opened.
    Pr,
}

impl Config {
    /// The variables that programs and gates get besides the person's.
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        let of_agents = self.agent.values().flat_map(|agent| &agent.env);
        let of_gates = self.gate.iter().flat_map(|gate| &gate.tool.env);
        of_agents.chain(of_gates).map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// The settings of a role.
    pub fn role(&self, role: Role) -> &RoleConfig {
        match role {
            Role::Manager => &self.roles.manager,
            Role::Reviewer => &self.roles.reviewer,
            Role::Tester => &self.roles.tester,
            Role::Librarian => &self.roles.librarian,
            Role::Merger => &self.roles.merger,
            Role::Developer => &self.roles.developer,
        }
    }

    /// How many workers of a role there may be at once; at least 1.
    pub fn max_workers(&self, role: Role) -> u32 {
        let default = match role {
            Role::Developer => self.agents.max_developers,
            Role::Tester => self.agents.max_testers,
            Role::Manager | Role::Reviewer | Role::Librarian | Role::Merger => 1,
        };
        self.role(role).max.unwrap_or(default)
    }

    /// How many tasks may be in flight and not waiting.
    pub fn max_in_flight(&self) -> u32 {
        match self.agents.max_in_flight {
            0 => self.max_workers(Role::Developer).saturating_mul(2),
            max => max,
        }
    }

    /// The stage of that name.
    pub fn stage(&self, name: &str) -> Option<&StageConfig> {
        self.pipeline.iter().find(|stage| stage.name.as_str() == name)
    }

    /// The adapter of a role; `Ok(None)` for `none`: gates only.
    ///
    /// # Errors
    /// The adapter lacks its command: to be asked at `start`, so that
    /// `status` works without.
    pub fn agent(&self, role: Role) -> Result<Option<Adapter>, AgentError> {
        self.agent_for(role, &[])
    }

    /// The adapter of a role for a task with these labels; `Ok(None)`: gates only.
    ///
    /// # Errors
    /// As [`Config::agent`].
    pub fn agent_for(&self, role: Role, labels: &[String]) -> Result<Option<Adapter>, AgentError> {
        super::agent::resolve(self, role, self.label_for(role, labels))
    }

    /// Everybody who may be asked for in a stage of a role: its own adapter, and those of labels.
    ///
    /// # Errors
    /// The first agent that cannot be used.
    pub fn agents_of(&self, role: Role) -> Result<Vec<Adapter>, AgentError> {
        let labelled = self.label.iter().filter(|(_, label)| label.roles.contains(&role));
        let labels = labelled.map(|(name, _)| self.agent_for(role, std::slice::from_ref(name)));
        let all = std::iter::once(self.agent(role)).chain(labels);
        all.filter_map(Result::transpose).collect()
    }

    /// The canonical JSON: keys sorted, no white space.
    pub fn to_json(&self) -> String {
        let value = serde_json::to_value(self).expect("plain data with text keys is JSON");
        value.to_string()
    }

    /// The SHA-256 of the canonical JSON, in hex: equal for equal configurations.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.to_json().as_bytes());
        digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing into a String cannot fail.
            let _infallible = write!(hex, "{byte:02x}");
            hex
        })
    }
}
