//! `tsc --pretty false`: text, one line an error, more of it indented. Exit codes say only "some".
//!
//! An error without a file is a broken call; one in tsconfig.json is the developer's.

use super::{ParseError, Parsed, Report, message};
use crate::domain::gate::{Finding, Severity};

/// Errors of the parser: with one of them, types are not checked at all.
const SYNTAX: std::ops::Range<u32> = 1000..1192;

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let text = String::from_utf8_lossy(report.body());
    let mut findings: Vec<Finding> = Vec::new();
    for line in text.lines() {
        if let Some(found) = finding(report, line) {
            findings.push(found);
        } else if let Some(said) = line.strip_prefix("error TS") {
            return Err(ParseError::Failed { what: message(&format!("TS{said}")) });
        } else if let (Some(last), true) = (findings.last_mut(), line.starts_with(' ')) {
            last.message = message(&format!("{}\n{line}", last.message));
        }
    }
    match (report.exit, findings.is_empty()) {
        (0, true) if text.trim().is_empty() => {}
        (0, true) => return Err(Report::garbled(format!("no line of tsc's errors: {}", message(&text)))),
        (_, false) => {}
        (_, true) => return Err(report.contradiction()),
    }
    let stopped = !findings.is_empty() && findings.iter().all(|found| found.severity == Severity::Critical);
    let incomplete = stopped.then(|| "tsc stopped there and checked no types".to_owned());
    Ok(Parsed { findings, incomplete, ..Parsed::default() })
}

/// `src/a.ts(3,14): error TS2322: Type 'number' is not …`
fn finding(report: &Report<'_>, text: &str) -> Option<Finding> {
    let (place, said) = text.split_once("): error TS")?;
    let (path, position) = place.rsplit_once('(')?;
    let (code, said) = said.split_once(": ")?;
    let number: u32 = code.parse().ok()?;
    let row = position.split(',').next()?.parse().ok()?;
    let severity = if SYNTAX.contains(&number) { Severity::Critical } else { Severity::High };
    Some(Finding::code(&format!("TS{number}"), &report.path(path), row, severity, &message(said)))
}
