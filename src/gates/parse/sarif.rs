//! SARIF 2.1.0, as far as gates need it: results, their places and levels, suppressions, and
//! whether the tool says itself that it failed.

use serde::Deserialize;

use super::{ParseError, Parsed, Report, line, message};
use crate::domain::gate::{Finding, Severity, Status};

#[derive(Deserialize)]
struct Log {
    version: String,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    /// Absent means that the tool did not look for results, unlike `[]`.
    results: Option<Vec<Item>>,
    #[serde(default)]
    invocations: Vec<Invocation>,
}

#[derive(Deserialize)]
struct Tool {
    driver: Driver,
}

#[derive(Deserialize)]
struct Driver {
    name: String,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: String,
    default_configuration: Option<Level>,
}

#[derive(Deserialize)]
struct Level {
    level: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    #[serde(default)]
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Deserialize)]
struct Notification {
    level: Option<String>,
    message: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    rule_id: Option<String>,
    rule_index: Option<i64>,
    kind: Option<String>,
    level: Option<String>,
    message: Text,
    #[serde(default)]
    locations: Vec<Location>,
    #[serde(default)]
    suppressions: Vec<Suppression>,
}

#[derive(Deserialize)]
struct Text {
    text: Option<String>,
    markdown: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Option<Physical>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Option<Artifact>,
    region: Option<Region>,
}

#[derive(Deserialize)]
struct Artifact {
    uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: Option<i64>,
}

#[derive(Deserialize)]
struct Suppression {
    status: Option<String>,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.body().iter().all(u8::is_ascii_whitespace) {
        return Err(report.no_report());
    }
    let log: Log =
        serde_json::from_slice(report.body()).map_err(|e| Report::garbled(format!("no SARIF: {e}")))?;
    if !log.version.starts_with("2.1") {
        return Err(Report::garbled(format!("SARIF of version {}, not 2.1.0", message(&log.version))));
    }
    if log.runs.is_empty() {
        return Err(Report::garbled("SARIF without a run"));
    }
    let mut findings = Vec::new();
    for run in &log.runs {
        succeeded(run)?;
        let results = run.results.as_ref().ok_or_else(|| {
            Report::garbled(format!("the run of `{}` has no results", message(&run.tool.driver.name)))
        })?;
        findings.extend(results.iter().filter(|item| counts(item)).map(|item| finding(report, run, item)));
    }
    if report.exit != 0 && findings.is_empty() {
        return Err(report.contradiction());
    }
    Ok(Parsed { findings, ..Parsed::default() })
}

fn succeeded(run: &Run) -> Result<(), ParseError> {
    for invocation in &run.invocations {
        let complaint =
            invocation.tool_execution_notifications.iter().find(|n| n.level.as_deref() == Some("error"));
        if invocation.execution_successful && complaint.is_none() {
            continue;
        }
        let said = complaint.and_then(|n| n.message.as_ref()).map_or(String::new(), Text::plain);
        return Err(ParseError::Failed { what: format!("{} {said}", message(&run.tool.driver.name)) });
    }
    Ok(())
}

/// `pass`, `notApplicable`, `informational`, … are results too, but say nothing against the code.
fn counts(item: &Item) -> bool {
    matches!(item.kind.as_deref(), None | Some("fail" | "open" | "review"))
}

impl Text {
    fn plain(&self) -> String {
        message(self.text.as_deref().or(self.markdown.as_deref()).unwrap_or(""))
    }
}

fn finding(report: &Report<'_>, run: &Run, item: &Item) -> Finding {
    let rules = &run.tool.driver.rules;
    let index = item.rule_index.and_then(|index| usize::try_from(index).ok());
    let rule = index
        .and_then(|index| rules.get(index))
        .or_else(|| rules.iter().find(|rule| Some(&rule.id) == item.rule_id.as_ref()));
    let name = item.rule_id.as_deref().or(rule.map(|rule| rule.id.as_str())).unwrap_or("result");
    let default = rule.and_then(|rule| rule.default_configuration.as_ref()?.level.as_deref());
    let place = item.locations.iter().find_map(|location| location.physical_location.as_ref());
    let uri = place.and_then(|place| place.artifact_location.as_ref()?.uri.as_deref());
    let row = place.and_then(|place| place.region.as_ref()?.start_line);
    let severity = severity(item.level.as_deref().or(default));
    let path = uri.map_or(String::new(), |uri| report.path(&percent_decoded(uri)));
    let found = Finding::code(&message(name), &path, line(row), severity, &item.message.plain());
    // A suppression that is under review or rejected does not suppress.
    let accepted = |s: &Suppression| matches!(s.status.as_deref(), None | Some("accepted"));
    let suppressed = !item.suppressions.is_empty() && item.suppressions.iter().all(accepted);
    Finding { status: if suppressed { Status::Suppressed } else { Status::New }, ..found }
}

fn severity(level: Option<&str>) -> Severity {
    match level {
        Some("error") => Severity::High,
        Some("note") => Severity::Low,
        Some("none") => Severity::Info,
        // The format's own default is `warning`.
        _ => Severity::Medium,
    }
}

fn percent_decoded(uri: &str) -> String {
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match tail {
            [a, b, ..] if *first == b'%' => hex(*a).zip(hex(*b)).map(|(a, b)| a << 4 | b),
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
