//! SARIF 2.1.0 of what gates said: a run a gate, for code scanning and editors.
//!
//! No source line is in it: a secret would be, and whoever reads it has the source. No command
//! either: it names directories of whoever ran it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::gates_run::Ran;
use crate::domain::gate::{Finding, GateResult, Kind, Severity, Status, Verdict};

/// What the standard calls the root of the repository; readers put their own directory there.
const ROOT: &str = "%SRCROOT%";
/// A version of the rules by which fingerprints are made.
const FINGERPRINT: &str = "sprint/v1";

/// Who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Whoever knows the standard.
    Any,
    /// GitHub's code scanning: it opens an alert for whatever is listed, also for what is fixed or
    /// suppressed, and refuses a file in which one result has no place.
    GitHub,
}

/// The whole report.
pub(super) fn report(ran: &Ran, readers: Readers) -> String {
    let of = |gate: &GateResult| run(gate, ran.base.is_some(), readers);
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": ran.gates.iter().map(of).collect::<Vec<_>>(),
    });
    let mut text = serde_json::to_string_pretty(&log).expect("a view has only strings and numbers");
    text.push('\n');
    text
}

fn run(gate: &GateResult, compared: bool, readers: Readers) -> Value {
    let own = without_finding(gate);
    let wanted = |finding: &&Finding| {
        readers == Readers::Any || !matches!(finding.status, Status::Fixed | Status::Suppressed)
    };
    let findings: Vec<&Finding> = gate.findings.iter().chain(&own).filter(wanted).collect();
    let mut rules: Vec<&Finding> = Vec::new();
    let mut results = Vec::new();
    for finding in findings {
        let known = rules.iter().position(|other| other.rule == finding.rule);
        let index = known.unwrap_or_else(|| {
            rules.push(finding);
            rules.len() - 1
        });
        results.push(result(finding, index, compared, readers));
    }
    json!({
        "tool": { "driver": driver(gate, &rules) },
        "automationDetails": { "id": format!("sprint/{}/", gate.name) },
        "originalUriBaseIds": { ROOT: { "description": { "text": "the root of the repository" } } },
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation(gate)],
        "results": results,
        "properties": {
            "verdict": gate.verdict.as_str(), "mode": gate.mode.as_str(), "reason": gate.reason, "cached": gate.cached,
        },
    })
}

/// A red gate without a finding that says so (a build, coverage) is told as one of its own.
fn without_finding(gate: &GateResult) -> Option<Finding> {
    let silent = gate.verdict == Verdict::Fail && gate.blocking().next().is_none();
    silent.then(|| Finding::code(gate.name.as_str(), "", 0, Severity::High, &gate.reason))
}

fn driver(gate: &GateResult, rules: &[&Finding]) -> Value {
    let mut driver = json!({
        "name": gate.name.as_str(),
        "rules": rules.iter().map(|finding| rule(gate, finding)).collect::<Vec<_>>(),
    });
    if let Some(version) = &gate.tool_version {
        driver["version"] = json!(version);
        if let Some(numbers) = semantic(version) {
            driver["semanticVersion"] = json!(numbers);
        }
    }
    driver
}

/// `1.2.3` in what a tool says of its version.
fn semantic(text: &str) -> Option<&str> {
    let numbers = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        let number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        parts.len() == 3 && parts.iter().all(number)
    };
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find(numbers)
}

fn rule(gate: &GateResult, finding: &Finding) -> Value {
    let title = json!({ "text": format!("{} ({})", finding.rule, gate.name) });
    let mut rule = json!({
        "id": finding.rule,
        "shortDescription": title,
        "fullDescription": title,
        "help": { "text": format!("To see it again: sprint gates run {}", gate.name) },
        "defaultConfiguration": { "level": level(finding.severity) },
    });
    if matches!(finding.kind, Kind::Secret | Kind::Vulnerability) {
        rule["properties"] = json!({ "tags": ["security"], "security-severity": score(finding.severity) });
    }
    rule
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// In the middle of what readers take for each word.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
        Severity::Info => "0.0",
    }
}

fn result(finding: &Finding, index: usize, compared: bool, readers: Readers) -> Value {
    let text = if finding.message.is_empty() { &finding.rule } else { &finding.message };
    let mut result = json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": { "text": text },
        "properties": { "severity": finding.severity.as_str(), "status": finding.status.as_str() },
    });
    let places = location(finding, readers);
    if !places.is_null() {
        result["locations"] = json!([places]);
    }
    if !finding.fingerprint.placed.is_empty() {
        result["fingerprints"] = json!({ FINGERPRINT: finding.fingerprint.placed });
        result["partialFingerprints"] =
            json!({ format!("{FINGERPRINT}/withoutPath"): finding.fingerprint.placeless });
    }
    if compared {
        result["baselineState"] = json!(match finding.status {
            Status::New => "new",
            // Of what is suppressed nobody knows whether the base had it; it is no news.
            Status::Existing | Status::Suppressed => "unchanged",
            Status::Fixed => "absent",
        });
    }
    if finding.status == Status::Suppressed {
        result["suppressions"] = json!([{ "kind": "inSource" }]);
    }
    result
}

fn location(finding: &Finding, readers: Readers) -> Value {
    let mut place = json!({});
    if !finding.path.is_empty() {
        let mut physical = json!({ "artifactLocation": artifact(&finding.path) });
        if finding.line > 0 {
            physical["region"] = json!({ "startLine": finding.line });
        }
        place["physicalLocation"] = physical;
    } else if readers == Readers::GitHub {
        // What judges the whole is written there.
        place["physicalLocation"] =
            json!({ "artifactLocation": artifact("sprint.toml"), "region": { "startLine": 1 } });
    }
    if !finding.symbol.is_empty() {
        place["logicalLocations"] = json!([{ "fullyQualifiedName": finding.symbol }]);
    }
    if place.as_object().is_some_and(serde_json::Map::is_empty) { Value::Null } else { place }
}

fn artifact(path: &str) -> Value {
    match path.strip_prefix('/') {
        Some(rest) => json!({ "uri": format!("file:///{}", encoded(rest)) }),
        None => json!({ "uri": encoded(path), "uriBaseId": ROOT }),
    }
}

/// A path as a relative reference: a colon in its first part would make a scheme of that.
fn encoded(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            uri.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(uri, "%{byte:02X}").expect("a String takes everything");
        }
    }
    uri
}

fn invocation(gate: &GateResult) -> Value {
    let mut invocation = json!({ "executionSuccessful": gate.verdict != Verdict::Error });
    if matches!(gate.verdict, Verdict::Error | Verdict::Skipped) {
        let level = if gate.verdict == Verdict::Error { "error" } else { "note" };
        invocation["toolExecutionNotifications"] =
            json!([{ "level": level, "message": { "text": gate.reason } }]);
    }
    invocation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::gates::samples;

    #[test]
    fn a_run_has_rules_levels_places_states_and_suppressions() {
        insta::assert_snapshot!(report(&samples::ran(), Readers::Any));
    }

    #[test]
    fn github_gets_open_results_alone_and_each_has_a_place() {
        let text = report(&samples::ran(), Readers::GitHub);
        assert!(!text.contains("absent") && !text.contains("suppressions"), "{text}");
        let log: Value = serde_json::from_str(&text).unwrap();
        for run in log["runs"].as_array().unwrap() {
            for result in run["results"].as_array().unwrap() {
                assert!(result["locations"][0]["physicalLocation"].is_object(), "{result}");
            }
        }
    }

    #[test]
    fn paths_are_relative_references_whatever_is_in_them() {
        for (path, uri) in [
            ("src/a b.py", "src/a%20b.py"),
            ("a:b.py", "a%3Ab.py"),
            ("x\n#?%.py", "x%0A%23%3F%25.py"),
            ("😀.py", "%F0%9F%98%80.py"),
        ] {
            assert_eq!(encoded(path), uri);
        }
        assert_eq!(artifact("/o/a.py"), json!({ "uri": "file:///o/a.py" }));
    }

    #[test]
    fn a_version_is_found_in_what_a_tool_says() {
        assert_eq!(semantic("ruff 0.17.6"), Some("0.17.6"));
        assert_eq!(semantic("mypy 2.4.1 (compiled: yes)"), Some("2.4.1"));
        assert_eq!(semantic("v18.1"), None);
    }
}
