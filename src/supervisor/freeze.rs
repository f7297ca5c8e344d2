//! Turns a configuration into the rules that a feature is frozen with.

use std::collections::BTreeMap;

use crate::config::{self, Config, GateConfig, LabelConfig, Presets, StageConfig, Target};
use crate::domain::ids::GateName;
use crate::domain::pipeline::{Goto, Pipeline, Role, Stage, StageKind};
use crate::domain::plan::ParkedPolicy;
use crate::domain::policy::{Policy, RolePolicy};

/// The rules of a feature that starts with this configuration.
pub fn policy(config: &Config) -> Policy {
    let stages: Vec<Stage> = config.pipeline.iter().map(|raw| stage(config, raw)).collect();
    Policy {
        gate_base: stages.iter().any(|stage| has_gates(config, stage.name.as_str())),
        pipeline: Pipeline { stages },
        roles: roles(config),
        agents: agents(config),
        label_agents: label_agents(config),
        manager_auto: config.role(Role::Manager).auto,
        max_in_flight: config.max_in_flight(),
        budget: config.budget.rules(),
        parked: match config.planner.parked {
            config::ParkedDependents::Hold => ParkedPolicy::Hold,
            config::ParkedDependents::Continue => ParkedPolicy::Continue,
        },
        must_land: must_land(config),
        config: config.fingerprint(),
    }
}

fn roles(config: &Config) -> BTreeMap<Role, RolePolicy> {
    let policy = |role| RolePolicy { max: config.max_workers(role), permanent: config.role(role).permanent };
    Role::ALL.into_iter().map(|role| (role, policy(role))).collect()
}

fn agents(config: &Config) -> BTreeMap<Role, String> {
    let agent = |role: Role| Some(config.role(role).agent.clone()).filter(|agent| agent != config::NO_AGENT);
    Role::ALL.into_iter().filter_map(|role| Some((role, agent(role)?))).collect()
}

/// A label without an agent says nothing here: the role's own works on it. The first of a task's
/// labels counts, so a label that only names a model keeps a later one from naming another agent.
fn label_agents(config: &Config) -> BTreeMap<String, BTreeMap<Role, String>> {
    let agents = |label: &LabelConfig| {
        let own = |role: Role| {
            let said = Some(&label.agent).filter(|agent| !agent.is_empty());
            (role, said.unwrap_or(&config.role(role).agent).clone())
        };
        let all = label.roles.iter().map(|role| own(*role));
        all.filter(|(_, agent)| agent != config::NO_AGENT).collect()
    };
    config.label.iter().map(|(name, label)| (name.to_ascii_lowercase(), agents(label))).collect()
}

fn stage(config: &Config, raw: &StageConfig) -> Stage {
    let labelled = |label: &LabelConfig| {
        label.roles.contains(&raw.role) && !label.agent.is_empty() && label.agent != config::NO_AGENT
    };
    let has_agent = config.role(raw.role).agent != config::NO_AGENT || config.label.values().any(labelled);
    Stage {
        name: raw.name.clone(),
        kind: raw.kind,
        role: raw.role,
        proof: raw.proof,
        attempts: raw.attempts,
        timeout_ms: u64::try_from(raw.timeout.as_millis()).unwrap_or(u64::MAX),
        has_work: raw.kind != StageKind::Check || has_agent || has_gates(config, raw.name.as_str()),
        on_pass: goto(&raw.on_pass),
        on_fail: goto(&raw.on_fail),
        on_skip: goto(&raw.on_skip),
        on_error: goto(&raw.on_error),
    }
}

/// Whether a gate may run in the stage. With `presets = "auto"` the candidate's tree decides, so
/// a preset of the stage counts.
fn has_gates(config: &Config, stage: &str) -> bool {
    config.gate.iter().any(|gate| gate.stage.as_str() == stage && takes_part(config, gate))
}

/// Gates that take part whatever the tree: under `presets = "auto"` a preset does not.
fn must_land(config: &Config) -> Vec<GateName> {
    let always =
        |gate: &&GateConfig| gate.preset.is_none() || matches!(config.gates.presets, Presets::List(_));
    let gates = config.gate.iter().filter(|gate| gate.at_merge && takes_part(config, gate));
    gates.filter(always).map(|gate| gate.name.clone()).collect()
}

fn goto(target: &Target) -> Goto {
    match target {
        Target::Stage(name) => Goto::Stage(name.clone()),
        Target::Done => Goto::Done,
        Target::Skipped => Goto::Skip,
        Target::Stay => Goto::Stay,
        Target::Hold => Goto::Hold,
    }
}

/// Presets take part as `gates.presets` says, gates of the person's own always.
fn takes_part(config: &Config, gate: &GateConfig) -> bool {
    let listed = match (&gate.preset, &config.gates.presets) {
        (None, _) | (Some(_), Presets::Auto(_)) => true,
        (Some(preset), Presets::List(names)) => names.contains(preset),
    };
    gate.enabled && listed
}
