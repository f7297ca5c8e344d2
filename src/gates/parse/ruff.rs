//! `ruff check --output-format json`: one array of findings, `[]` for none.

use serde::Deserialize;

use super::{ParseError, Parsed, Report, line, message};
use crate::domain::gate::{Finding, Severity};

#[derive(Deserialize)]
struct Item {
    code: Option<String>,
    name: Option<String>,
    filename: String,
    location: Option<Location>,
    message: String,
}

#[derive(Deserialize)]
struct Location {
    row: Option<i64>,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.body().iter().all(u8::is_ascii_whitespace) {
        return Err(report.no_report());
    }
    let items: Vec<Item> =
        serde_json::from_slice(report.body()).map_err(|e| Report::garbled(format!("no ruff JSON: {e}")))?;
    // Of a file in another encoding it says so, and looks at the others.
    let lost = |item: &&Item| item.code.as_deref() == Some("E902") && !item.message.contains("valid UTF-8");
    if let Some(lost) = items.iter().find(lost) {
        let what = format!("{}: {}", report.path(&lost.filename), message(&lost.message));
        return Err(ParseError::Failed { what });
    }
    if report.exit != 0 && items.is_empty() {
        return Err(report.contradiction());
    }
    Ok(Parsed { findings: items.iter().map(|item| finding(report, item)).collect(), ..Parsed::default() })
}

fn finding(report: &Report<'_>, item: &Item) -> Finding {
    let rule = item.code.as_deref().or(item.name.as_deref()).unwrap_or("invalid-syntax");
    let severity = if rule == "invalid-syntax" { Severity::Critical } else { Severity::High };
    let row = line(item.location.as_ref().and_then(|location| location.row));
    Finding::code(&message(rule), &report.path(&item.filename), row, severity, &message(&item.message))
}
