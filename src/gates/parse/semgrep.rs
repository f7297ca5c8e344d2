//! `semgrep scan --json-output`: findings, what it could not do (`errors`), and what it scanned.
//!
//! The id of a rule begins with where its file lies: only its last part is the rule's. Its
//! `fingerprint` and `lines` want a login and are not read.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{ParseError, Parsed, Report, json, line, message};
use crate::domain::gate::{Finding, Severity};

#[derive(Deserialize)]
struct Whole {
    results: Vec<Item>,
    errors: Vec<Trouble>,
    paths: Paths,
}

#[derive(Deserialize)]
struct Paths {
    scanned: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Item {
    check_id: String,
    path: String,
    start: Place,
    extra: Extra,
}

#[derive(Deserialize)]
struct Place {
    line: Option<i64>,
}

#[derive(Deserialize)]
struct Extra {
    message: String,
    severity: String,
}

#[derive(Deserialize)]
struct Trouble {
    level: String,
    message: String,
    path: Option<String>,
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    start: Place,
}

/// Words of a registry that could not be asked.
const UNREACHED: [&str; 3] = ["Max retries exceeded", "Failed to resolve", "Failed to download"];

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let said = String::from_utf8_lossy(report.stderr);
    if report.body().is_empty() && UNREACHED.iter().any(|words| said.contains(words)) {
        let why = "its rules cannot be fetched: the registry cannot be reached".to_owned();
        return Ok(Parsed { unreachable: Some(why), ..Parsed::default() });
    }
    let whole: Whole = json(report, "semgrep")?;
    let mut findings: Vec<Finding> = whole.results.iter().map(|item| finding(report, item)).collect();
    for trouble in &whole.errors {
        match &trouble.path {
            Some(path) => findings.push(unread(report, path, trouble)),
            // Of a rule or of the call: nothing of this run counts.
            None if trouble.level == "error" => {
                return Err(ParseError::Failed { what: message(&trouble.message) });
            }
            None => {}
        }
    }
    match (report.exit, whole.results.is_empty()) {
        (0, true) | (1, false) => {}
        _ => return Err(report.contradiction()),
    }
    Ok(Parsed { findings, scanned: Some(whole.paths.scanned.len() as u64), ..Parsed::default() })
}

fn finding(report: &Report<'_>, item: &Item) -> Finding {
    let rule = item.check_id.rsplit('.').next().unwrap_or_default();
    let severity = match item.extra.severity.as_str() {
        "CRITICAL" => Severity::Critical,
        "WARNING" | "MEDIUM" => Severity::Medium,
        "LOW" => Severity::Low,
        "INFO" | "INVENTORY" | "EXPERIMENT" => Severity::Info,
        // `ERROR`, `HIGH`, and any word of a later version.
        _ => Severity::High,
    };
    let path = report.path(&item.path);
    Finding::code(&message(rule), &path, line(item.start.line), severity, &message(&item.extra.message))
}

/// A part of a file that semgrep could not read or finish. It knows fewer constructs than the
/// language has, so that is shown and blocks only where it says itself that it is an error.
fn unread(report: &Report<'_>, path: &str, trouble: &Trouble) -> Finding {
    let severity = if trouble.level == "error" { Severity::Medium } else { Severity::Low };
    let number = trouble.spans.first().and_then(|span| span.start.line);
    // The message names the line, which moves.
    let said = trouble.message.split_once(":\n").map_or(trouble.message.as_str(), |(_, rest)| rest);
    Finding::code("not-understood", &report.path(path), line(number), severity, &message(said))
}
