//! `bandit -f json`. It exits with 0 though it could not read a file: only `errors` says so.

use serde::Deserialize;

use super::{ParseError, Parsed, Report, json, line, message};
use crate::domain::gate::{Finding, Kind, Severity};

#[derive(Deserialize)]
struct Whole {
    errors: Vec<Unread>,
    metrics: serde_json::Map<String, serde_json::Value>,
    results: Vec<Item>,
}

#[derive(Deserialize)]
struct Unread {
    filename: String,
    reason: String,
}

#[derive(Deserialize)]
struct Item {
    filename: String,
    issue_severity: String,
    issue_text: String,
    line_number: Option<i64>,
    test_id: String,
    #[serde(default)]
    test_name: String,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let whole: Whole = json(report, "bandit")?;
    let mut findings = Vec::new();
    for unread in &whole.errors {
        findings.push(unreadable(report, unread)?);
    }
    findings.extend(whole.results.iter().map(|item| finding(report, item)));
    if report.exit != 0 && whole.results.is_empty() {
        return Err(report.contradiction());
    }
    // `_totals` is no file.
    let files = whole.metrics.keys().filter(|name| *name != "_totals").count();
    Ok(Parsed { findings, scanned: Some(files as u64), ..Parsed::default() })
}

/// A file that it could not read is not clean; one that is not there was never the tree's.
fn unreadable(report: &Report<'_>, unread: &Unread) -> Result<Finding, ParseError> {
    let path = report.path(&unread.filename);
    if unread.reason.contains("No such file") {
        return Err(ParseError::Failed { what: message(&format!("{path}: {}", unread.reason)) });
    }
    Ok(Finding::code("unreadable", &path, 0, Severity::Critical, &message(&unread.reason)))
}

/// bandit's own words; what it calls low is shown and does not block.
fn finding(report: &Report<'_>, item: &Item) -> Finding {
    let severity = match item.issue_severity.as_str() {
        "MEDIUM" => Severity::Medium,
        "LOW" => Severity::Low,
        // `HIGH`, and any word of a later version.
        _ => Severity::High,
    };
    // A password in the code is in its message, and in the line.
    let password = item.test_name.starts_with("hardcoded_password");
    let (kind, said) = if password {
        (Kind::Secret, item.test_name.replace('_', " "))
    } else {
        (Kind::Code, item.issue_text.clone())
    };
    let path = report.path(&item.filename);
    let code =
        Finding::code(&message(&item.test_id), &path, line(item.line_number), severity, &message(&said));
    Finding { kind, ..code }
}
