//! Checks across keys, on the merged layers: names that must exist, combinations that make no
//! sense, and what is not built yet. Each problem is reported at the place that a person wrote.

use std::collections::{BTreeMap, BTreeSet};

use super::agent::NO_AGENT;
use super::pipeline::{RESERVED_NAMES, TARGET_WORDS};
use super::presets;
use super::problem::{Problem, nearest_hint, shown};
use super::tree::{self, Node, Table, Value};
use super::values;

/// Keys whose effect is not built yet: the default is accepted, since examples show it, and any
/// other value is refused, since it would be believed to hold.
const UNBUILT_KEYS: [(&[&str], &str); 1] = [(&["merge", "finish"], "finishing by itself")];

/// Presets that are to come.
const UNBUILT_PRESETS: [&str; 21] = [
    "mutmut",
    "semgrep",
    "bandit",
    "detect-secrets",
    "pip-audit",
    "trivy",
    "trufflehog",
    "gitleaks",
    "cargo-fmt",
    "clippy",
    "cargo-test",
    "llvm-cov",
    "cargo-mutants",
    "cargo-deny",
    "eslint",
    "tsc",
    "vitest",
    "npm-audit",
    "go-vet",
    "go-test",
    "golangci-lint",
];

/// Reports keys of one layer that ask for what is not built yet.
pub(super) fn unbuilt(layer: &Node, defaults: &Node, problems: &mut Vec<Problem>) {
    for (path, what) in UNBUILT_KEYS {
        let (Some(node), Some(default)) = (layer.at(path), defaults.at(path)) else { continue };
        if !same(&node.value, &default.value) {
            let message = format!(
                "{what} is not built yet, so only the default {} is accepted; remove the key",
                default.value.to_json()
            );
            problems.push(node.problem(&path.join("."), message));
        }
    }
}

#[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "defaults are small whole numbers")]
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => *a as f64 == *b,
        (a, b) => a == b,
    }
}

/// Reports what does not fit together.
pub(super) fn merged(root: &Node, problems: &mut Vec<Problem>) {
    let mut validator = Validator { root, problems };
    validator.roles();
    validator.labels();
    validator.efforts();
    validator.agents();
    let stages = validator.pipeline();
    validator.presets();
    validator.gates(&stages);
    validator.prices();
}

/// The agents with what they extend laid under them. A cycle or an unknown name ends the chain.
pub(super) fn extended_agents(root: &Node) -> BTreeMap<String, Node> {
    let Some(agents) = root.at(&["agent"]).and_then(Node::as_table) else { return BTreeMap::new() };
    agents
        .keys()
        .filter_map(|name| Some((name.clone(), extended(agents, name, &mut BTreeSet::new())?)))
        .collect()
}

fn extended(agents: &Table, name: &str, seen: &mut BTreeSet<String>) -> Option<Node> {
    let node = agents.get(name)?;
    node.as_table()?;
    if !seen.insert(name.to_owned()) {
        return Some(node.clone());
    }
    let base = text_at(node, "extends").and_then(|base| extended(agents, base, seen));
    let Some(mut base) = base else { return Some(node.clone()) };
    tree::overlay(&mut base, node.clone());
    Some(base)
}

fn text_at<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.at(&[key])?.as_text()
}

/// A stage as far as it could be read.
struct StageView<'a> {
    node: &'a Node,
    name: &'a str,
    kind: Option<&'a str>,
}

struct Validator<'a, 'p> {
    root: &'a Node,
    problems: &'p mut Vec<Problem>,
}

impl<'a> Validator<'a, '_> {
    fn report(&mut self, node: &Node, key: &str, message: impl Into<String>) {
        self.problems.push(node.problem(key, message));
    }

    fn table(&self, key: &str) -> &'a Table {
        static EMPTY: Table = Table::new();
        self.root.at(&[key]).and_then(Node::as_table).unwrap_or(&EMPTY)
    }

    fn known_agent(&mut self, settings: &Node, key: &str) {
        let (Some(node), Some(name)) = (settings.at(&["agent"]), text_at(settings, "agent")) else { return };
        let known = self.table("agent").keys().map(String::as_str).chain([NO_AGENT]);
        if values::name(name).is_err() || known.clone().any(|known| known == name) {
            return;
        }
        let hint = nearest_hint(name, "one", known);
        let shown = shown(name);
        self.report(
            node,
            key,
            format!("there is no agent `{shown}`{hint}; write `[agent.{shown}]` to make it one"),
        );
    }

    fn labels(&mut self) {
        for (name, settings) in self.table("label") {
            self.known_agent(settings, &format!("label.{name}.agent"));
        }
    }

    /// An effort that the program cannot be told would be believed to hold.
    fn efforts(&mut self) {
        let agents = extended_agents(self.root);
        let told = |agent: &str| {
            agents.get(agent).is_none_or(|whole| {
                text_at(whole, "kind") != Some("cli") || whole.at(&["headless", "effort"]).is_some()
            })
        };
        let of_role = |role: &str| self.root.at(&["roles", role, "agent"]).and_then(Node::as_text);
        let roles = self.table("roles").iter().map(|(name, node)| {
            (format!("roles.{name}"), node, text_at(node, "agent").into_iter().collect::<Vec<_>>())
        });
        let labels = self.table("label").iter().map(|(name, node)| {
            let whose: Vec<&str> = match node.at(&["roles"]).map(|list| &list.value) {
                Some(Value::List(items)) => items.iter().filter_map(Node::as_text).collect(),
                _ => vec!["developer"],
            };
            let own = text_at(node, "agent").filter(|agent| !agent.is_empty());
            let agents = match own {
                Some(agent) => vec![agent],
                None => whose.into_iter().filter_map(of_role).collect(),
            };
            (format!("label.{name}"), node, agents)
        });
        for (section, settings, agents) in roles.chain(labels).collect::<Vec<_>>() {
            let Some(place) = settings.at(&["effort"]).filter(|place| place.as_text() != Some("")) else {
                continue;
            };
            if let Some(agent) = agents.into_iter().find(|agent| !told(agent)) {
                let message = format!(
                    "has no effect: the adapter `{}` has no `headless.effort`, with which its program could be told",
                    shown(agent)
                );
                self.report(place, &format!("{section}.effort"), message);
            }
        }
    }

    fn roles(&mut self) {
        for (role, settings) in self.table("roles") {
            self.known_agent(settings, &format!("roles.{role}.agent"));
            if matches!(role.as_str(), "manager" | "merger")
                && let Some(node) = settings.at(&["max"])
                && !matches!(node.value, Value::Int(1))
            {
                self.report(node, &format!("roles.{role}.max"), format!("there is always one {role}"));
            }
        }
    }

    fn agents(&mut self) {
        let agents = self.table("agent");
        let all = extended_agents(self.root);
        for (name, node) in agents {
            let key = format!("agent.{name}");
            if name == NO_AGENT {
                self.report(node, &key, "`none` means no agent, and cannot name one");
            }
            if !self.extends_is_sound(agents, name, node) {
                continue;
            }
            let Some(whole) = all.get(name) else { continue };
            let kind = text_at(whole, "kind");
            self.has_screen(node, whole, &key);
            let has_command = whole.at(&["command"]).is_some();
            match kind {
                None if whole.at(&["kind"]).is_none() => {
                    self.report(node, &key, "has no `kind`; write `kind = \"command\"`, or `extends` with an adapter that is built in");
                }
                // The built-in one is there to be extended, and says so when it is used.
                Some("command" | "cli") if !has_command && !matches!(name.as_str(), "command" | "cli") => {
                    self.report(node, &key, "has no `command`; write the program and its arguments: `command = [\"./my-agent.sh\", \"{task.id}\"]`");
                }
                Some("scripted") => {
                    for unused in ["command", "args"] {
                        if let Some(extra) = whole.at(&[unused]) {
                            self.report(
                                extra,
                                &format!("{key}.{unused}"),
                                "has no effect: an agent of the kind `scripted` plays the feature's scripts",
                            );
                        }
                    }
                }
                Some(_) | None => {}
            }
        }
    }

    fn has_screen(&mut self, node: &Node, whole: &Node, key: &str) {
        let wanted = text_at(whole, "mode") == Some("interactive");
        let driven = whole.at(&["interactive", "submit"]).is_some();
        if wanted && !driven {
            let place = node.at(&["mode"]).unwrap_or(node);
            let message = "has no screen that sprint can drive; leave `mode` out, or describe it under `interactive` (docs/agents.md)";
            self.report(place, &format!("{key}.mode"), message);
        }
    }

    fn extends_is_sound(&mut self, agents: &Table, name: &str, node: &Node) -> bool {
        let Some((place, base)) = node.at(&["extends"]).and_then(|place| Some((place, place.as_text()?)))
        else {
            return true;
        };
        let key = format!("agent.{name}.extends");
        if !agents.contains_key(base) {
            let hint = nearest_hint(base, "one", agents.keys().map(String::as_str));
            let message = format!("there is no adapter `{}`{hint}", shown(base));
            self.report(place, &key, message);
            return false;
        }
        let mut chain = vec![name];
        let mut at = base;
        loop {
            if chain.contains(&at) {
                chain.push(at);
                self.report(place, &key, format!("goes in a circle: {}", chain.join(" → ")));
                return false;
            }
            chain.push(at);
            match agents.get(at).and_then(|node| text_at(node, "extends")) {
                Some(next) => at = next,
                None => return true,
            }
        }
    }

    fn pipeline(&mut self) -> Vec<StageView<'a>> {
        let Some(list) = self.root.at(&["pipeline", "stage"]) else { return Vec::new() };
        let Value::List(nodes) = &list.value else { return Vec::new() };
        let mut stages: Vec<StageView<'a>> = Vec::new();
        for node in nodes.iter().filter(|node| node.as_table().is_some()) {
            for needed in ["name", "kind"] {
                if node.at(&[needed]).is_none() {
                    self.report(node, "pipeline.stage", format!("a stage has no `{needed}`"));
                }
            }
            let Some(name) = text_at(node, "name") else { continue };
            if RESERVED_NAMES.contains(&name) {
                self.report(
                    node,
                    "pipeline.stage.name",
                    format!("`{name}` has a meaning of its own and names no stage"),
                );
            }
            if stages.iter().any(|stage| stage.name == name) {
                self.report(node, "pipeline.stage.name", format!("there are two stages `{}`", shown(name)));
            }
            self.unbuilt_stage(node);
            stages.push(StageView { node, name, kind: text_at(node, "kind") });
        }
        self.targets(&stages);
        let names: BTreeSet<&str> = stages.iter().map(|stage| stage.name).collect();
        // With a stage that has no name of its own, "where does a task go" has no answer.
        if names.len() == nodes.len() {
            self.shape(list, &stages);
        }
        stages
    }

    fn unbuilt_stage(&mut self, node: &Node) {
        for (key, word) in [("kind", "wait"), ("proof", "file")] {
            if let Some(place) = node.at(&[key]).filter(|place| place.as_text() == Some(word)) {
                self.report(place, &format!("pipeline.stage.{key}"), format!("`{word}` is not built yet"));
            }
        }
        if let Some(place) = node.at(&["members"]).filter(|place| matches!(place.value, Value::Int(2..))) {
            self.report(place, "pipeline.stage.members", "more than one member is not built yet");
        }
        if let (Some(place), Some(kind)) = (node.at(&["proof"]), text_at(node, "kind"))
            && place.as_text() == Some("commit")
        {
            let writes = node.at(&["writes"]).is_some_and(|list| list.value != Value::List(Vec::new()));
            let message = match kind {
                "work" => return,
                "check" if writes => return,
                "check" => {
                    "`commit` needs `writes`: the globs in which the agent of this stage may change files"
                        .to_owned()
                }
                kind => format!(
                    "`commit` can only be the proof of a `work` or `check` stage, and this is a `{kind}` stage"
                ),
            };
            self.report(place, "pipeline.stage.proof", message);
        }
    }

    fn targets(&mut self, stages: &[StageView<'a>]) {
        let known = || stages.iter().map(|stage| stage.name).chain(TARGET_WORDS);
        for stage in stages {
            for key in ["on_pass", "on_fail", "on_skip", "on_error"] {
                let Some(place) = stage.node.at(&[key]) else { continue };
                let Some(target) = place.as_text() else { continue };
                if !known().any(|name| name == target) {
                    let hint = nearest_hint(target, "one", known());
                    self.report(
                        place,
                        &format!("pipeline.stage.{key}"),
                        format!("there is no stage `{}`{hint}", shown(target)),
                    );
                }
            }
        }
    }

    /// A task that passes everything must be worked on, land, and be done.
    fn shape(&mut self, list: &Node, stages: &[StageView<'a>]) {
        if stages.iter().any(|stage| stage.kind.is_none()) {
            return;
        }
        let Some(first) = stages.first() else {
            return self.report(list, "pipeline.stage", "the pipeline has no stage");
        };
        let lands = stages.iter().filter(|stage| stage.kind == Some("land")).count();
        if lands != 1 {
            self.report(
                list,
                "pipeline.stage",
                format!("the pipeline has {lands} `land` stages, and must have one"),
            );
        }
        let mut passed: Vec<&str> = Vec::new();
        let mut at = first;
        loop {
            if passed.contains(&at.name) {
                return self.report(
                    at.node,
                    "pipeline.stage.on_pass",
                    format!(
                        "a task that passes everything goes in a circle: {} → {}",
                        passed.join(" → "),
                        at.name
                    ),
                );
            }
            passed.push(at.name);
            let index = stages.iter().position(|stage| stage.name == at.name).unwrap_or(0);
            let next = text_at(at.node, "on_pass").or_else(|| stages.get(index + 1).map(|stage| stage.name));
            match next.and_then(|next| stages.iter().find(|stage| stage.name == next)) {
                Some(stage) => at = stage,
                None if matches!(next, Some("stay" | "hold" | "Skipped")) => {
                    return self.report(
                        at.node,
                        "pipeline.stage.on_pass",
                        "a task that passes everything never gets done",
                    );
                }
                None => break,
            }
        }
        for (kind, what) in [("work", "worked on"), ("land", "landed")] {
            let reached = stages.iter().any(|stage| stage.kind == Some(kind) && passed.contains(&stage.name));
            if !reached {
                self.report(
                    list,
                    "pipeline.stage",
                    format!("a task that passes everything is never {what}: it goes {}", passed.join(" → ")),
                );
            }
        }
    }

    fn presets(&mut self) {
        let Some(list) = self.root.at(&["gates", "presets"]) else { return };
        let Value::List(items) = &list.value else { return };
        for item in items {
            let Some(name) = item.as_text() else { continue };
            if presets::preset_toml(name).is_some() {
                continue;
            }
            let message = if UNBUILT_PRESETS.contains(&name) {
                format!("the preset `{name}` is not built yet")
            } else {
                let hint = nearest_hint(name, "one", presets::preset_names());
                format!("there is no preset `{}`{hint}", shown(name))
            };
            self.report(item, "gates.presets", message);
        }
    }

    fn gates(&mut self, stages: &[StageView<'a>]) {
        for (name, node) in self.table("gate") {
            if node.as_table().is_none() {
                continue;
            }
            let key = format!("gate.{name}");
            let is_preset = presets::preset_toml(name).is_some();
            if !is_preset && node.at(&["command"]).is_none() {
                self.unknown_gate(node, name, &key);
            } else if !is_preset && node.at(&["stage"]).is_none() {
                let checks = stages
                    .iter()
                    .filter(|stage| stage.kind == Some("check"))
                    .map(|stage| format!("`{}`", stage.name));
                let checks = checks.collect::<Vec<_>>().join(", ");
                self.report(node, &key, format!("has no `stage`; it may be one of {checks}"));
            }
            self.gate_stage(node, name, stages, is_preset);
            self.gate_pattern(node, &key);
            self.gate_clean(node, &key);
        }
    }

    fn unknown_gate(&mut self, node: &Node, name: &str, key: &str) {
        let message = if UNBUILT_PRESETS.contains(&name) {
            "this preset is not built yet; with a `command` and a `stage` it is a gate of your own".to_owned()
        } else {
            let hint = nearest_hint(name, "one", presets::preset_names());
            format!("is no preset{hint}; a gate of your own needs a `command` and a `stage`")
        };
        self.report(node, key, message);
    }

    fn gate_stage(&mut self, gate: &Node, name: &str, stages: &[StageView<'a>], is_preset: bool) {
        let Some((place, stage)) = gate.at(&["stage"]).and_then(|place| Some((place, place.as_text()?)))
        else {
            return;
        };
        let disabled = matches!(gate.at(&["enabled"]).map(|node| &node.value), Some(Value::Bool(false)));
        if stages.is_empty() || disabled || (is_preset && !self.preset_takes_part(name)) {
            return;
        }
        let key = format!("gate.{name}.stage");
        let places = || {
            stages.iter().filter(|stage| matches!(stage.kind, Some("check" | "land"))).map(|stage| stage.name)
        };
        match stages.iter().find(|known| known.name == stage) {
            Some(known) if matches!(known.kind, Some("check" | "land")) => {}
            Some(_) => {
                let hint = nearest_hint(stage, "one with gates", places());
                self.report(place, &key, format!("the stage `{}` runs no gates{hint}", shown(stage)));
            }
            None => {
                let hint = nearest_hint(stage, "one", places());
                let message = format!("there is no stage `{}`{hint}", shown(stage));
                // A preset's own stage is nobody's mistake but that of the pipeline which lacks it.
                match self.root.at(&["pipeline", "stage"]) {
                    Some(list) if &*place.origin.layer == "built-in" => {
                        self.report(list, &key, format!("{message}; set `stage`, or `enabled = false`"));
                    }
                    _ => self.report(place, &key, message),
                }
            }
        }
    }

    fn preset_takes_part(&self, name: &str) -> bool {
        match self.root.at(&["gates", "presets"]).map(|node| &node.value) {
            Some(Value::List(items)) => items.iter().any(|item| item.as_text() == Some(name)),
            _ => true,
        }
    }

    /// A price without its date says nothing, and half a price is none.
    fn prices(&mut self) {
        let Some(prices) = self.root.at(&["prices"]) else { return };
        let Some(table) = prices.as_table() else { return };
        let models: Vec<_> = table.iter().filter(|(_, node)| node.as_table().is_some()).collect();
        if !models.is_empty() && !table.contains_key("as_of") {
            self.report(
                prices,
                "prices",
                "has no `as_of`; write of which date they are: `as_of = \"2026-11-01\"`",
            );
        }
        for (name, node) in models {
            for key in ["input", "output"] {
                if node.at(&[key]).is_none() {
                    let message = format!("has no `{key}`: US dollars per million tokens");
                    self.report(node, &format!("prices.{}", shown(name)), message);
                }
            }
        }
    }

    fn gate_clean(&mut self, gate: &Node, key: &str) {
        let parser = text_at(gate, "parser").unwrap_or("exit-code");
        if let Some(place) = gate.at(&["clean"]).filter(|_| !matches!(parser, "exit-code" | "regex")) {
            let message =
                format!("has no effect with the parser `{parser}`; only `exit-code` and `regex` have it");
            self.report(place, &format!("{key}.clean"), message);
        }
    }

    fn gate_pattern(&mut self, gate: &Node, key: &str) {
        let parser = text_at(gate, "parser").unwrap_or("exit-code");
        match (gate.at(&["pattern"]), parser) {
            (None, "regex") => {
                self.report(gate, key, "has the parser `regex` and no `pattern`; name the groups path, line, message, rule or severity in one");
            }
            (Some(place), "regex") if place.as_text() == Some("") => {
                self.report(place, &format!("{key}.pattern"), "is empty");
            }
            (Some(place), other) if other != "regex" => {
                self.report(
                    place,
                    &format!("{key}.pattern"),
                    format!("has no effect with the parser `{other}`; only `regex` has one"),
                );
            }
            _ => {}
        }
    }
}
