//! Layers in, configuration out: pure. Each layer is held against the schema, all are laid over
//! each other, the whole is held against itself, and only then becomes a [`Config`].

use std::sync::Arc;

use super::agent::AgentConfig;
use super::gate::{GateConfig, Mode};
use super::model::Config;
use super::pipeline::{self, RawStage};
use super::problem::{ConfigErrors, Problem};
use super::schema::{self, Kind};
use super::tree::{self, Node, Origin, Table, Value};
use super::{adapters, check, model, presets, validate};

/// The lowest layer, every key of it.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// No key lies deeper (`agent.NAME.env.VARIABLE`). Tables within tables without a bound would
/// exhaust the stack.
const DEPTH_MAX: usize = 4;

const BUILT_IN: &str = "built-in";

/// A source of configuration. Later layers lie over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// As the person knows it: a path, `environment`, `command line`.
    pub name: String,
    /// What it says.
    pub body: LayerBody,
}

/// What a layer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerBody {
    /// A TOML text.
    Toml(String),
    /// Single values. TOML is accepted where the key is no string.
    Pairs(Vec<Pair>),
}

/// A single value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The variable or flag, for messages.
    pub shown: String,
    /// The key, part by part.
    pub path: Vec<String>,
    /// The value as text.
    pub text: String,
}

impl Layer {
    /// A file.
    pub fn toml(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), body: LayerBody::Toml(text.into()) }
    }

    /// Flags, as (dotted key, value).
    pub fn flags(pairs: Vec<(String, String)>) -> Self {
        let pairs = pairs.into_iter().map(|(key, text)| Pair {
            path: key.split('.').map(str::to_owned).collect(),
            shown: key,
            text,
        });
        Self { name: "command line".to_owned(), body: LayerBody::Pairs(pairs.collect()) }
    }

    /// Variables `SPRINT_CONFIG__section__key`, as (name, value); others are left out.
    pub fn environment(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let pairs = variables.into_iter().filter_map(|(name, text)| {
            let path = name.strip_prefix(VARIABLE_PREFIX)?.split("__").map(str::to_owned).collect();
            Some(Pair { shown: name, path, text })
        });
        let mut pairs: Vec<Pair> = pairs.collect();
        pairs.sort_by(|a, b| a.shown.cmp(&b.shown));
        Self { name: "environment".to_owned(), body: LayerBody::Pairs(pairs) }
    }
}

/// What variables of the environment with configuration begin with.
pub const VARIABLE_PREFIX: &str = "SPRINT_CONFIG__";

/// Makes a configuration of the layers, the built-in one below them.
///
/// # Errors
/// Every problem of every layer.
pub fn load(layers: &[Layer]) -> Result<Config, ConfigErrors> {
    let mut problems = Vec::new();
    let merged = laid_over(layers, &mut problems);
    validate::merged(&merged, &mut problems);
    if problems.is_empty() {
        return Ok(build(&merged));
    }
    sort(&mut problems, layers);
    Err(ConfigErrors { problems })
}

/// The layers over each other, for who asks where something was written.
pub(super) fn merged(layers: &[Layer]) -> Node {
    laid_over(layers, &mut Vec::new())
}

/// The layers over each other, the built-in one below them; each is held against the schema.
fn laid_over(layers: &[Layer], problems: &mut Vec<Problem>) -> Node {
    let mut merged = built_in();
    let defaults = merged.clone();
    for layer in layers {
        let node = read(layer, problems);
        check::layer(&node, problems);
        validate::unbuilt(&node, &defaults, problems);
        drop_models_of_other_agents(&mut merged, &node);
        tree::overlay(&mut merged, node);
    }
    merged
}

/// In the order of layers and lines, each once.
fn sort(problems: &mut Vec<Problem>, layers: &[Layer]) {
    let rank = |problem: &Problem| layers.iter().position(|layer| layer.name == problem.layer);
    problems.sort_by(|a, b| (rank(a), a).cmp(&(rank(b), b)));
    problems.dedup();
}

/// Presets, and the defaults over them.
fn built_in() -> Node {
    let (mut root, problems) = tree::parse(BUILT_IN, DEFAULT_TOML);
    debug_assert!(problems.is_empty(), "{problems:?}");
    let mut gates = Table::new();
    for name in presets::preset_names() {
        let (mut gate, _) = tree::parse(BUILT_IN, presets::preset_toml(name).expect("a listed preset"));
        let origin = gate.origin.clone();
        if let Value::Table(table) = &mut gate.value {
            table.insert("preset".to_owned(), Node { origin, value: Value::Text(name.to_owned()) });
        }
        gates.insert(name.to_owned(), gate);
    }
    let origin = root.origin.clone();
    if let Value::Table(table) = &mut root.value {
        table.insert("gate".to_owned(), Node { origin, value: Value::Table(gates) });
        if let Some(Value::Table(agents)) = table.get_mut("agent").map(|node| &mut node.value) {
            agents.extend(adapters::built_in().map(|(name, text)| {
                (name.to_owned(), tree::parse(&format!("{BUILT_IN}, config/agents/{name}.toml"), text).0)
            }));
        }
    }
    root
}

fn read(layer: &Layer, problems: &mut Vec<Problem>) -> Node {
    match &layer.body {
        LayerBody::Toml(text) => {
            let (node, errors) = tree::parse(&layer.name, text);
            problems.extend(errors);
            node
        }
        LayerBody::Pairs(pairs) => read_pairs(&layer.name, pairs, problems),
    }
}

fn read_pairs(layer: &str, pairs: &[Pair], problems: &mut Vec<Problem>) -> Node {
    let layer: Arc<str> = layer.into();
    let origin = Origin { layer: Arc::clone(&layer), line: None, name: None };
    let mut root = Node { origin, value: Value::Table(Table::new()) };
    for pair in pairs {
        let origin = Origin { layer: Arc::clone(&layer), line: None, name: Some(pair.shown.as_str().into()) };
        if pair.path.len() > DEPTH_MAX {
            problems.push(origin.problem(&pair.shown, "unknown key"));
            continue;
        }
        let value = pair_value(pair, &origin);
        let node = pair.path.iter().rev().fold(Node { origin: origin.clone(), value }, |inner, key| {
            let table = Table::from([(key.clone(), inner)]);
            Node { origin: origin.clone(), value: Value::Table(table) }
        });
        tree::overlay(&mut root, node);
    }
    root
}

/// A text that a key takes as it is needs no quotes; everything else is TOML.
fn pair_value(pair: &Pair, origin: &Origin) -> Value {
    let text = || Value::Text(pair.text.clone());
    match schema::find(&pair.path) {
        Some(Kind::Text(_) | Kind::Quantity(..) | Kind::OneOf(_)) | None => text(),
        Some(_) => tree::parse_value(origin, &pair.text).unwrap_or_else(text),
    }
}

/// Model and effort belong to their agent: where a higher layer names another agent and neither, the
/// lower layer's would be words that the new agent does not know.
fn drop_models_of_other_agents(merged: &mut Node, over: &Node) {
    for role in model::ROLE_NAMES {
        let agent_of =
            |node: &Node| node.at(&["roles", role, "agent"]).and_then(Node::as_text).map(str::to_owned);
        let Some(agent) = agent_of(over) else { continue };
        if agent_of(merged).as_ref() == Some(&agent) {
            continue;
        }
        for key in ["model", "effort"] {
            if over.at(&["roles", role, key]).is_none()
                && let Some(word) = merged.at_mut(&["roles", role, key])
            {
                word.value = Value::Text(String::new());
            }
        }
    }
}

/// Everything has been checked: what fails from here on is a difference between the schema and
/// the types, which the tests would have found.
fn build(merged: &Node) -> Config {
    let section =
        |name: &str| merged.at(&[name]).map_or(serde_json::Value::Null, |node| node.value.to_json());
    let timeouts: model::Timeouts = typed(section("timeouts"));
    let stages: Vec<RawStage> = typed(section("pipeline")["stage"].take());
    let agents = validate::extended_agents(merged);
    Config {
        general: typed(section("general")),
        planner: typed(section("planner")),
        pipeline: pipeline::complete(stages, &timeouts),
        agents: typed(section("agents")),
        roles: typed(section("roles")),
        agent: agents
            .into_iter()
            .map(|(name, node)| (name, typed::<AgentConfig>(node.value.to_json())))
            .collect(),
        label: merged.at(&["label"]).map(|node| typed(node.value.to_json())).unwrap_or_default(),
        timeouts,
        quality: typed(section("quality")),
        security: typed(section("security")),
        gates: typed(section("gates")),
        gate: gates(merged),
        worktree: typed(section("worktree")),
        merge: typed(section("merge")),
        limits: typed(section("limits")),
        budget: typed(section("budget")),
        prices: typed(section("prices")),
        prompts: std::collections::BTreeMap::new(),
        triage_prompt: None,
    }
}

/// Presets in the order in which they run, then the person's own by name.
fn gates(merged: &Node) -> Vec<GateConfig> {
    let Some(table) = check::table_at(merged, &["gate"]) else { return Vec::new() };
    let own = table.keys().map(String::as_str).filter(|name| presets::preset_toml(name).is_none());
    let gate = |name: &str| {
        let mut json = table.get(name)?.value.to_json();
        json["name"] = name.into();
        let mode = table.get(name)?.at(&["mode"]);
        let persons = mode.filter(|mode| *mode.origin.layer != *BUILT_IN);
        if persons.and_then(Node::as_text) == Some(Mode::Absolute.as_str()) {
            // What a preset lets pass by itself, a person who asks for everything gets.
            json["mode"] = serde_json::json!(Mode::Strict);
        }
        Some(typed(json))
    };
    let own = own.filter_map(gate).collect::<Vec<_>>();
    presets::preset_names().filter_map(gate).chain(own).collect()
}

fn typed<T: serde::de::DeserializeOwned>(json: serde_json::Value) -> T {
    serde_json::from_value(json).expect("the schema accepts only what the types take")
}
