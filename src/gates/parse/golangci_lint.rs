//! `golangci-lint run --output.json.path`: issues of many linters. 0 none, 1 some; anything else is
//! no verdict, and neither is a report that tells of an error.

use serde::Deserialize;

use super::{ParseError, Parsed, Report, line, message};
use crate::domain::gate::{Finding, Severity};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Whole {
    issues: Option<Vec<Issue>>,
    report: Option<About>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Issue {
    from_linter: String,
    text: String,
    #[serde(default)]
    severity: String,
    pos: Option<Position>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Position {
    #[serde(default)]
    filename: String,
    line: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct About {
    #[serde(default)]
    error: String,
    #[serde(default)]
    linters: Option<Vec<Linter>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Linter {
    #[serde(default)]
    enabled: bool,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.body().iter().all(u8::is_ascii_whitespace) {
        return Err(report.no_report());
    }
    let whole: Whole = serde_json::from_slice(report.body())
        .map_err(|error| Report::garbled(format!("no golangci-lint JSON: {error}")))?;
    let about = whole.report.ok_or_else(|| Report::garbled("golangci-lint JSON without a report"))?;
    if !about.error.is_empty() {
        return Err(ParseError::Failed { what: message(&about.error) });
    }
    let issues = whole.issues.unwrap_or_default();
    if report.exit != 0 && issues.is_empty() {
        return Err(report.contradiction());
    }
    let findings: Vec<Finding> = issues.iter().map(|issue| finding(report, issue)).collect();
    let linters = about.linters.unwrap_or_default().iter().filter(|linter| linter.enabled).count();
    // With code that does not build, most linters have not looked at it.
    let unbuilt = findings.iter().any(|found| found.severity == Severity::Critical);
    let incomplete = unbuilt.then(|| "linters did not look at what does not build".to_owned());
    Ok(Parsed { findings, scanned: Some(linters as u64), incomplete, ..Parsed::default() })
}

fn finding(report: &Report<'_>, issue: &Issue) -> Finding {
    let severity = match (issue.from_linter.as_str(), issue.severity.to_ascii_lowercase().as_str()) {
        ("typecheck", _) => Severity::Critical,
        (_, "warning" | "medium") => Severity::Medium,
        (_, "low" | "info" | "note") => Severity::Low,
        _ => Severity::High,
    };
    let path = issue.pos.as_ref().map_or(String::new(), |pos| report.path(&pos.filename));
    let row = line(issue.pos.as_ref().and_then(|pos| pos.line));
    Finding::code(&message(&issue.from_linter), &path, row, severity, &message(&issue.text))
}
