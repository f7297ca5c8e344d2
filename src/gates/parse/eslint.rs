//! `eslint --format json`: every file that it looked at, with its messages. 0 and 1 are its
//! verdicts, 2 is a broken call or configuration.

use serde::Deserialize;

use super::{ParseError, Parsed, Report, line, message};
use crate::domain::gate::{Finding, Severity, Status};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(rename = "filePath")]
    path: String,
    messages: Vec<Item>,
    #[serde(default)]
    suppressed_messages: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    rule_id: Option<String>,
    severity: i64,
    message: String,
    line: Option<i64>,
    #[serde(default)]
    fatal: bool,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.exit == 2 {
        return Err(ParseError::Failed { what: complaint(report) });
    }
    if report.body().iter().all(u8::is_ascii_whitespace) {
        return Err(report.no_report());
    }
    let files: Vec<File> = serde_json::from_slice(report.body())
        .map_err(|error| Report::garbled(format!("no eslint JSON: {error}")))?;
    let mut findings = Vec::new();
    for file in &files {
        let path = report.path(&file.path);
        findings.extend(file.messages.iter().map(|item| finding(&path, item)));
        let suppressed = file.suppressed_messages.iter().map(|item| finding(&path, item));
        findings.extend(suppressed.map(|found| Finding { status: Status::Suppressed, ..found }));
    }
    // `--max-warnings` makes it refuse what its rules only warn of.
    let refused =
        report.exit != 0 && !findings.iter().any(|f| f.status == Status::New && f.severity.blocks());
    if refused {
        return Err(report.contradiction());
    }
    let nothing = files.is_empty().then(|| "eslint is told to look at none of the files".to_owned());
    Ok(Parsed { findings, scanned: Some(files.len() as u64), nothing, ..Parsed::default() })
}

/// What it says below its name: `Oops!`, then `ESLint: 10.15.0`, then why.
fn complaint(report: &Report<'_>) -> String {
    let text = String::from_utf8_lossy(report.stderr);
    let says = |line: &&str| !line.is_empty() && !line.starts_with("Oops!") && !line.starts_with("ESLint: ");
    text.lines().map(str::trim).find(says).map_or("it does not say why".to_owned(), message)
}

fn finding(path: &str, item: &Item) -> Finding {
    let severity = match (item.fatal, item.severity) {
        (true, _) => Severity::Critical,
        // What the repository's own rules call a warning is shown and does not block.
        (false, 0 | 1) => Severity::Low,
        (false, _) => Severity::High,
    };
    let rule = item.rule_id.as_deref().unwrap_or(if item.fatal { "invalid-syntax" } else { "eslint" });
    Finding::code(&message(rule), path, line(item.line), severity, &message(&item.message))
}
