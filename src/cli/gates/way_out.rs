//! What a person can do whose own change `integrity` stops. In a sprint a task names the file; by hand there
//! is no task, and a hook that can only say no would be turned off.

use crate::cli::gates_run::Ran;
use crate::config::GateConfig;

const GATE: &str = "integrity";

/// The line that lets the change pass once, by its rules; nothing where `integrity` stops nothing.
pub(super) fn way_out(ran: &Ran, gates: &[GateConfig], staged: bool) -> Option<String> {
    let result = ran.gates.iter().find(|result| result.name.as_str() == GATE)?;
    let stops = result.findings.iter().filter(|finding| finding.blocks(result.mode));
    let mut rules: Vec<&str> = stops.map(|finding| finding.rule.as_str()).collect();
    if rules.is_empty() {
        return None;
    }
    rules.sort_unstable();
    // A variable stands in the place of what sprint.toml allows.
    let own = gates.iter().find(|gate| gate.name.as_str() == GATE);
    let mut allowed: Vec<&str> =
        own.iter().flat_map(|gate| &gate.allow).map(String::as_str).chain(rules).collect();
    let mut seen = std::collections::BTreeSet::new();
    allowed.retain(|rule| seen.insert(*rule));
    let list = serde_json::json!(allowed).to_string().replace('\'', r"'\''");
    let command = if staged { "git commit …" } else { "sprint gates run …" };
    Some(format!(
        "a change of your own that {GATE} stops is yours to allow, once and by its rules: \
         SPRINT_CONFIG__gate__{GATE}__allow='{list}' {command}"
    ))
}
