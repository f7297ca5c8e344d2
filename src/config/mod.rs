//! Configuration: built-in defaults, files, environment, flags; validated, then frozen.
//!
//! [`load()`] is pure; [`Sources`] reads the layers. A [`Config`] is plain data: a feature's is
//! frozen into the database as JSON when it starts.

pub mod adapters;
mod agent;
mod check;
pub mod cli_agent;
pub mod duration;
pub mod gate;
pub mod interactive;
pub mod keys;
mod label;
pub mod layout;
mod load;
mod misfit;
mod model;
mod money;
mod pipeline;
pub mod placeholder;
pub mod presets;
mod problem;
mod prompts;
mod schema;
pub mod selector;
pub mod size;
mod sources;
mod tree;
mod validate;
mod values;

pub use agent::{Adapter, AdapterKind, AgentConfig, AgentError, Commits, Home, NO_AGENT, Retry};
pub use cli_agent::{CliKeys, PromptBy, StreamKind};
pub use gate::{GateConfig, Mode, Package};
pub use interactive::AgentMode;
pub use label::LabelConfig;
pub use load::{DEFAULT_TOML, Layer, LayerBody, Pair, VARIABLE_PREFIX, load};
pub use misfit::{Misfit, misfits};
pub use model::{
    Agents, AutoWord, Config, Finish, Gates, General, Limits, Merge, Order, ParkedDependents, Planner,
    Presets, Quality, Role, RoleConfig, Roles, Security, Stories, Timeouts, Worktree,
};
pub use money::{Budget, Limit, Price, Prices};
pub use pipeline::{Proof, StageConfig, StageKind, Target};
pub use problem::{ConfigErrors, PROBLEMS_SHOWN_MAX, Problem, alike, nearest};
pub use prompts::{MERGE_PROMPT, OwnPrompt, PROMPTS_DIR, TRIAGE_PROMPT};
pub use sources::{FILE_BYTES_MAX, SourceError, Sources};

#[cfg(test)]
mod tests;
