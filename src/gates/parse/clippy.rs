//! `cargo clippy --message-format=json`: one object a line. 101 is lint, compiler, manifest and more:
//! only `build-finished` says that everything was looked at.

use std::collections::HashSet;

use serde::Deserialize;

use super::{ParseError, Parsed, Report, line, message, rust_text};
use crate::domain::gate::{Finding, Severity};

#[derive(Deserialize)]
struct Item {
    reason: String,
    success: Option<bool>,
    message: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Diagnostic {
    message: String,
    level: String,
    code: Option<Code>,
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: Option<i64>,
    #[serde(default)]
    column_start: i64,
    #[serde(default)]
    is_primary: bool,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if let Some(unreachable) = rust_text::not_installed(report) {
        return Ok(Parsed { unreachable: Some(unreachable), ..Parsed::default() });
    }
    let mut findings = Vec::new();
    let mut seen = HashSet::new();
    let mut finished = None;
    for text in String::from_utf8_lossy(report.body()).lines().filter(|text| text.starts_with('{')) {
        let item: Item = serde_json::from_str(text)
            .map_err(|error| Report::garbled(format!("no line of cargo's JSON: {error}")))?;
        finished = finished.or(item.success.filter(|_| item.reason == "build-finished"));
        // A crate is built twice, with its tests and without; each finding counts once.
        findings.extend(item.message.and_then(|said| finding(report, &said, &mut seen)));
    }
    match finished {
        Some(true) if report.exit == 0 => Ok(Parsed { findings, ..Parsed::default() }),
        Some(false) if findings.iter().any(|f| f.severity <= Severity::High) => {
            let incomplete = Some("what depends on code that does not build was not checked".to_owned());
            Ok(Parsed { findings, incomplete, ..Parsed::default() })
        }
        Some(_) => Err(report.contradiction()),
        None => begun(report),
    }
}

/// Nothing was built: a manifest that cannot be read is the developer's.
fn begun(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let findings = rust_text::errors(report);
    if report.exit == 0 || findings.is_empty() {
        return Err(ParseError::Failed { what: rust_text::complaint(report) });
    }
    let incomplete = Some("cargo stopped there and checked nothing".to_owned());
    Ok(Parsed { findings, incomplete, ..Parsed::default() })
}

fn finding(
    report: &Report<'_>,
    said: &Diagnostic,
    seen: &mut HashSet<(String, i64, i64, String, String)>,
) -> Option<Finding> {
    let span = said.spans.iter().find(|span| span.is_primary).or(said.spans.first())?;
    let rule = said.code.as_ref().map_or("rustc", |code| code.code.as_str());
    let start = span.line_start.unwrap_or(0);
    let place = (span.file_name.clone(), start, span.column_start, rule.to_owned(), said.message.clone());
    if !seen.insert(place) {
        return None;
    }
    let severity = match said.level.as_str() {
        // The compiler's own errors; a denied lint is one of its name.
        "error" | "error: internal compiler error" if is_compilers(rule) => Severity::Critical,
        "error" => Severity::High,
        "warning" => Severity::Medium,
        _ => Severity::Info,
    };
    let path = report.path(&span.file_name);
    Some(Finding::code(&message(rule), &path, line(Some(start)), severity, &message(&said.message)))
}

/// `E0308`, or none at all, as a syntax error has.
fn is_compilers(rule: &str) -> bool {
    rule == "rustc" || (rule.starts_with('E') && rule[1..].bytes().all(|b| b.is_ascii_digit()))
}
