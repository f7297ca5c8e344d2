//! Adapters as they are configured: `[agent.NAME]`, and which one a role uses. How a program is
//! then driven is `agents`' business.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cli_agent::{
    ClassKeys, CliKeys, DoneKeys, FailKeys, Headless, LoginKeys, McpKeys, ResetKeys, SessionKeys, Show,
    UsageKeys, VersionKeys,
};
use super::interactive::{AgentMode, Dialog, HookKeys, Interactive, ScreenKeys, SignalKeys, StoppedKeys};
use super::label::LabelConfig;
use super::model::{Config, Role, RoleConfig};
use super::pipeline::StageKind;

/// How a program is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterKind {
    /// Any program.
    Command,
    /// A model's command-line program, described by the keys of [`CliKeys`].
    Cli,
    /// The embedded player of scripts; not a model.
    Scripted,
}

/// Who commits what an agent changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Commits {
    /// The agent is asked to; what it leaves, sprint commits.
    #[default]
    Agent,
    /// The agent is never asked to.
    Supervisor,
}

/// What the next attempt starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retry {
    /// The integration head, clean.
    #[default]
    Fresh,
    /// The candidate of the attempt before.
    Continue,
}

/// Whose home directory an agent sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Home {
    /// The person's, logins included.
    #[default]
    Person,
    /// One under the state directory.
    Own,
}

/// `[agent.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// None only where nothing says it.
    #[serde(default)]
    pub kind: Option<AdapterKind>,
    /// The adapter that this one starts from; its keys are already in here.
    #[serde(default)]
    pub extends: Option<String>,
    /// Program and arguments, with placeholders.
    #[serde(default)]
    pub command: Vec<String>,
    /// Arguments put after those of `command`: what an adapter that extends another one adds.
    #[serde(default)]
    pub args: Vec<String>,
    /// Variables over the person's.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Who commits.
    #[serde(default)]
    pub commit: Commits,
    /// What the next attempt starts from.
    #[serde(default)]
    pub retry: Retry,
    /// Without a sign of life for so long it is hung; None: `timeouts.hung`.
    #[serde(default)]
    pub stall: Option<String>,
    /// Whose home it sees.
    #[serde(default)]
    pub home: Home,
    /// The model of each role that has none of its own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub models: BTreeMap<Role, String>,
    /// Of the kind `cli`: with its own screen or without it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: AgentMode,
    /// Of the kind `cli`: how it runs without its screen.
    #[serde(default, skip_serializing_if = "is_default")]
    pub headless: Headless,
    /// How it runs with its screen.
    #[serde(default, skip_serializing_if = "is_default")]
    pub interactive: Interactive,
    /// How it calls `sprint hook`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hooks: HookKeys,
    /// It waits for a prompt.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ready: SignalKeys,
    /// It works.
    #[serde(default, skip_serializing_if = "is_default")]
    pub busy: SignalKeys,
    /// It asks whether it may do something.
    #[serde(default, skip_serializing_if = "is_default")]
    pub blocked: SignalKeys,
    /// It asks something else.
    #[serde(default, skip_serializing_if = "is_default")]
    pub question: SignalKeys,
    /// It tries again by itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retrying: SignalKeys,
    /// A turn has ended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub idle: SignalKeys,
    /// A person has stopped its turn.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stopped: StoppedKeys,
    /// What only a person should answer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dialogs: Vec<Dialog>,
    /// How its conversations are named.
    #[serde(default, skip_serializing_if = "is_default")]
    pub session: SessionKeys,
    /// What of its output a person sees.
    #[serde(default, skip_serializing_if = "is_default")]
    pub show: Vec<Show>,
    /// The event that ends a turn well.
    #[serde(default, skip_serializing_if = "is_default")]
    pub done: DoneKeys,
    /// What in its output is a failure.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fail: Vec<FailKeys>,
    /// What texts of failures tell.
    #[serde(default, skip_serializing_if = "is_default")]
    pub class: Vec<ClassKeys>,
    /// What texts tell of the end of a limit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reset: Vec<ResetKeys>,
    /// Where it tells what it used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub usage: UsageKeys,
    /// How to ask for its version.
    #[serde(default, skip_serializing_if = "is_default")]
    pub version: VersionKeys,
    /// What shows that somebody is signed in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub login: LoginKeys,
    /// What to type where it is missing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub install: String,
    /// Signs of a prompt that it takes for more than text, unless there is a backslash before them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub escape: String,
    /// How it is offered sprint's tools.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mcp: McpKeys,
}

/// What says nothing is not written: a frozen configuration stays readable.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An adapter that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    /// Its name in the configuration.
    pub name: String,
    /// How it is driven.
    pub kind: AdapterKind,
    /// Program and arguments, with placeholders; empty for the scripted one.
    pub command: Vec<String>,
    /// Variables over the person's.
    pub env: BTreeMap<String, String>,
    /// Who commits.
    pub commit: Commits,
    /// What the next attempt starts from.
    pub retry: Retry,
    /// Without a sign of life for so long it is hung.
    #[serde(with = "super::duration")]
    pub stall: Duration,
    /// Whose home it sees.
    pub home: Home,
    /// With its own screen or without it.
    #[serde(default)]
    pub mode: AgentMode,
    /// The model that is asked for; empty: the program's own.
    pub model: String,
    /// How hard it thinks; empty: the program's own.
    #[serde(default)]
    pub effort: String,
    /// Of the kind `cli`: how to drive it and to read it.
    pub cli: Option<Box<CliKeys>>,
}

/// The agent of a role that only runs its gates.
pub const NO_AGENT: &str = "none";

/// Why a role has no agent to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// One that is not there at all: only in a frozen configuration that was edited.
    #[error("the agent `{name}` of the role `{role}` is not configured")]
    Unknown {
        /// The adapter.
        name: String,
        /// The role.
        role: Role,
    },
    /// No program.
    #[error("the agent `{name}` of the role `{role}` has no `command`")]
    NoCommand {
        /// The adapter.
        name: String,
        /// The role.
        role: Role,
    },
    /// A work stage without anyone to work.
    #[error("the role `{role}` has the agent `none`, and nobody else can make changes")]
    NobodyWorks {
        /// The role.
        role: Role,
    },
}

impl AgentError {
    /// What the person can do about it.
    pub fn hint(&self) -> String {
        let (Self::Unknown { role, .. } | Self::NoCommand { role, .. } | Self::NobodyWorks { role }) = self;
        format!(
            "write `[agent.mine]` with `kind = \"command\"` and `command = [\"./my-agent.sh\", \"{{task.id}}\"]` \
             into `sprint.toml`, and `agent = \"mine\"` under `[roles.{role}]`; or try `--agent scripted`"
        )
    }
}

pub(super) fn resolve(
    config: &Config,
    role: Role,
    label: Option<&LabelConfig>,
) -> Result<Option<Adapter>, AgentError> {
    let settings = config.role(role);
    let name = label.map(|label| &label.agent).filter(|name| !name.is_empty()).unwrap_or(&settings.agent);
    let name = name.clone();
    if name == NO_AGENT {
        let works = config.pipeline.iter().any(|stage| stage.role == role && stage.kind == StageKind::Work);
        return if works { Err(AgentError::NobodyWorks { role }) } else { Ok(None) };
    }
    let Some(agent) = config.agent.get(&name) else {
        return Err(AgentError::Unknown { name, role });
    };
    let Some(kind) = agent.kind else {
        return Err(AgentError::Unknown { name, role });
    };
    if kind != AdapterKind::Scripted && agent.command.is_empty() {
        return Err(AgentError::NoCommand { name, role });
    }
    Ok(Some(Adapter {
        kind,
        command: agent.command.iter().chain(&agent.args).cloned().collect(),
        env: agent.env.clone(),
        commit: agent.commit,
        retry: agent.retry,
        stall: agent
            .stall
            .as_deref()
            .and_then(|text| super::duration::parse(text).ok())
            .unwrap_or(config.timeouts.hung),
        home: agent.home,
        mode: agent.mode,
        model: asked(label, settings, &name, |label| &label.model, |role| &role.model)
            .or_else(|| agent.models.get(&role).cloned())
            .unwrap_or_default(),
        effort: asked(label, settings, &name, |label| &label.effort, |role| &role.effort).unwrap_or_default(),
        cli: (kind == AdapterKind::Cli).then(|| Box::new(offered(config, agent.cli_keys()))),
        name,
    }))
}

/// What the label asks for, else the role. A role's words are for the role's own agent.
fn asked<'c>(
    label: Option<&'c LabelConfig>,
    settings: &'c RoleConfig,
    agent: &str,
    of_label: impl Fn(&'c LabelConfig) -> &'c String,
    of_role: impl Fn(&'c RoleConfig) -> &'c String,
) -> Option<String> {
    let own = Some(of_role(settings)).filter(|_| settings.agent == agent);
    let asked = label.map(of_label).filter(|text| !text.is_empty()).or(own);
    asked.filter(|text| !text.is_empty()).cloned()
}

/// Without sprint's own tools where `agents.mcp` says so.
fn offered(config: &Config, keys: CliKeys) -> CliKeys {
    let mcp = if config.agents.mcp { keys.mcp } else { McpKeys::default() };
    CliKeys { mcp, ..keys }
}

impl AgentConfig {
    /// The keys of the kind `cli`.
    pub fn cli_keys(&self) -> CliKeys {
        CliKeys {
            headless: self.headless.clone(),
            interactive: self.interactive.clone(),
            hooks: self.hooks.clone(),
            screen: ScreenKeys {
                ready: self.ready.clone(),
                busy: self.busy.clone(),
                blocked: self.blocked.clone(),
                question: self.question.clone(),
                retrying: self.retrying.clone(),
                idle: self.idle.clone(),
                stopped: self.stopped.clone(),
                dialogs: self.dialogs.clone(),
            },
            session: self.session.clone(),
            show: self.show.clone(),
            done: self.done.clone(),
            fail: self.fail.clone(),
            class: self.class.clone(),
            reset: self.reset.clone(),
            usage: self.usage.clone(),
            version: self.version.clone(),
            login: self.login.clone(),
            install: self.install.clone(),
            escape: self.escape.clone(),
            mcp: self.mcp.clone(),
        }
    }
}
