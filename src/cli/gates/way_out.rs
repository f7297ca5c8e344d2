//! What a person can do whose own change `integrity` stops, or a gate of tests because some run no more or they run
//! less of the code. In a sprint a task names the file; by hand there is no task, and a hook that can only say no would
//! be turned off.

use std::collections::BTreeSet;

use crate::cli::gates_run::Ran;
use crate::config::GateConfig;
use crate::domain::gate::GateResult;

const GATE: &str = "integrity";
/// Rules of other gates that are a question of what somebody meant, too.
const MEANT: [&str; 2] = ["lost-test", "coverage-of-whole"];

/// For each gate that stops such a change, the line that lets it pass once, by its rules.
pub(super) fn ways_out(ran: &Ran, gates: &[GateConfig], staged: bool) -> Vec<String> {
    ran.gates.iter().filter_map(|result| way_out(result, gates, staged)).collect()
}

fn way_out(result: &GateResult, gates: &[GateConfig], staged: bool) -> Option<String> {
    let name = result.name.as_str();
    let stops = result.findings.iter().filter(|finding| finding.blocks(result.mode));
    let mut rules: Vec<&str> = stops.map(|finding| finding.rule.as_str()).collect();
    rules.retain(|rule| name == GATE || MEANT.contains(rule));
    if rules.is_empty() {
        return None;
    }
    rules.sort_unstable();
    // A variable stands in the place of what sprint.toml allows.
    let own = gates.iter().find(|gate| gate.name == result.name);
    let mut allowed: Vec<&str> =
        own.iter().flat_map(|gate| &gate.allow).map(String::as_str).chain(rules).collect();
    let mut seen = BTreeSet::new();
    allowed.retain(|rule| seen.insert(*rule));
    let list = serde_json::json!(allowed).to_string().replace('\'', r"'\''");
    let command = if staged { "git commit …" } else { "sprint gates run …" };
    // A shell takes no other letters for a variable's name.
    let env = if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') { "" } else { "env " };
    Some(format!(
        "a change of your own that {name} stops is yours to allow, once and by its rules: \
         {env}SPRINT_CONFIG__gate__{name}__allow='{list}' {command}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::preset;
    use crate::domain::gate::{Finding, Severity, Status, TestCounts, Verdict};

    fn said(rule: &str) -> Vec<String> {
        let gate = preset("pytest").unwrap();
        let found = Finding::code(rule, "", 0, Severity::High, "less");
        let result = GateResult {
            name: gate.name.clone(),
            verdict: Verdict::Fail,
            mode: gate.mode,
            tool_version: None,
            seconds: 0.0,
            cached: false,
            command: Vec::new(),
            by_hand: String::new(),
            findings: vec![Finding { status: Status::New, ..found }],
            metrics: Vec::new(),
            tests: TestCounts::default(),
            reason: String::new(),
        };
        let ran = Ran { base: None, head: None, offline: true, gates: vec![result] };
        ways_out(&ran, &[gate], false)
    }

    #[test]
    fn what_somebody_may_have_meant_has_a_way_out() {
        for rule in MEANT {
            let ways = said(rule);
            assert!(ways.len() == 1 && ways[0].contains(&format!("__allow='[\"{rule}\"]'")), "{ways:?}");
        }
        assert_eq!(said("test-failure"), Vec::<String>::new());
    }
}
