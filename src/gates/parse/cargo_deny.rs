//! `cargo deny --format json check`: one object a line on stderr, the last one a summary; without
//! it nothing was checked. Advisories are vulnerabilities of `Cargo.lock`.

use serde::Deserialize;
use serde_json::Value;

use super::{ParseError, Parsed, Report, clean, line, message};
use crate::domain::gate::{Finding, Kind, Severity};

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: String,
    fields: Value,
}

#[derive(Deserialize)]
struct Diagnostic {
    #[serde(default)]
    code: Option<String>,
    message: String,
    severity: String,
    #[serde(default)]
    labels: Vec<Label>,
    #[serde(default)]
    graphs: Vec<Graph>,
    advisory: Option<Advisory>,
}

#[derive(Deserialize)]
struct Label {
    #[serde(default)]
    message: String,
    #[serde(default)]
    line: i64,
}

#[derive(Deserialize)]
struct Graph {
    #[serde(rename = "Krate")]
    krate: Option<Krate>,
}

#[derive(Deserialize)]
struct Krate {
    name: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    #[serde(default)]
    package: String,
    cvss: Option<String>,
    informational: Option<Value>,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let mut findings = Vec::new();
    let mut summary = false;
    let mut failure = None;
    for text in String::from_utf8_lossy(report.stderr).lines().filter(|text| !text.trim().is_empty()) {
        let Ok(item) = serde_json::from_str::<Item>(text) else {
            // cargo's own lines come between: `Updating crates.io index`.
            failure = failure.or_else(|| text.starts_with("error").then(|| message(text)));
            continue;
        };
        match item.kind.as_str() {
            "summary" => summary = true,
            "diagnostic" => {
                let said = Diagnostic::deserialize(item.fields)
                    .map_err(|e| Report::garbled(format!("{e}: {}", clean(text, 200))))?;
                findings.extend(finding(&said));
            }
            _ => failure = failure.or_else(|| logged_error(&item.fields)),
        }
    }
    if !summary {
        return broken(report, failure);
    }
    if report.exit != 0 && findings.is_empty() {
        return Err(report.contradiction());
    }
    Ok(Parsed { findings, ..Parsed::default() })
}

fn logged_error(fields: &Value) -> Option<String> {
    let text = |key| fields.get(key).and_then(Value::as_str);
    (text("level") == Some("ERROR")).then(|| message(text("message").unwrap_or("")))
}

/// Without its database it checks nothing at all.
fn broken(report: &Report<'_>, failure: Option<String>) -> Result<Parsed, ParseError> {
    let Some(what) = failure else { return Err(report.no_report()) };
    if what.contains("advisory-db") {
        let unreachable = Some(format!("there is no database of advisories (`cargo deny fetch`): {what}"));
        return Ok(Parsed { unreachable, ..Parsed::default() });
    }
    Err(ParseError::Failed { what })
}

fn finding(said: &Diagnostic) -> Option<Finding> {
    let severity = match said.severity.as_str() {
        "error" => Severity::High,
        "warning" => Severity::Low,
        // Notes and helps say what is in order.
        _ => return None,
    };
    let krate = said.graphs.iter().find_map(|graph| graph.krate.as_ref());
    let name = krate.map_or(String::new(), |k| message(&format!("{} {}", k.name, k.version)));
    if let Some(advisory) = &said.advisory {
        return Some(vulnerability(said, advisory, severity));
    }
    let mut labels = said.labels.iter().map(|label| label.message.as_str()).filter(|text| !text.is_empty());
    let detail = labels.next_back().map_or(String::new(), |text| format!(" ({text})"));
    let text = message(&format!("{name}: {}{detail}", said.message));
    // Labels lie in deny.toml or in the crate's own manifest: neither is named.
    let found = Finding::code(said.code.as_deref().unwrap_or("deny"), "Cargo.lock", 0, severity, &text);
    Some(Finding { symbol: krate.map_or(String::new(), |k| message(&k.name)), ..found })
}

/// Abandoned and unsound crates are shown; only what can be attacked counts as a vulnerability.
fn vulnerability(said: &Diagnostic, advisory: &Advisory, severity: Severity) -> Finding {
    let text = message(&format!("{}: {}", advisory.package, said.message));
    let row = said.labels.first().map(|label| label.line);
    let is_attack = advisory.informational.as_ref().is_none_or(Value::is_null);
    let severity = if is_attack { by_score(advisory.cvss.as_deref()) } else { severity.max(Severity::Low) };
    let found = Finding::code(&message(&advisory.id), "Cargo.lock", line(row), severity, &text);
    let kind = if is_attack { Kind::Vulnerability } else { Kind::Code };
    Finding { kind, symbol: message(&advisory.package), ..found }
}

/// The severity of a CVSS 3 vector; one that cannot be told is high.
fn by_score(vector: Option<&str>) -> Severity {
    match vector.and_then(super::cvss::score) {
        Some(score) if score >= 9.0 => Severity::Critical,
        Some(score) if score >= 7.0 => Severity::High,
        Some(score) if score >= 4.0 => Severity::Medium,
        Some(_) => Severity::Low,
        None => Severity::High,
    }
}
