//! `mypy --output json`: one object a line; nothing at all for a clean tree.
//!
//! Exit code 2 is both a syntax error (with JSON) and a broken call (with plain text). What it remarks
//! about its own configuration is plain text among the JSON: `setup.cfg: note: unused section(s): …`.

use serde::Deserialize;

use super::{ParseError, Parsed, Report, clean, line, message};
use crate::domain::gate::{Finding, Severity};

#[derive(Deserialize)]
struct Item {
    file: String,
    line: Option<i64>,
    message: String,
    code: Option<String>,
    severity: String,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let (mut findings, mut noted) = (Vec::new(), false);
    let body = String::from_utf8_lossy(report.body());
    for text in body.lines().filter(|text| !text.trim().is_empty() && !is_remark(text)) {
        let item: Item = serde_json::from_str(text)
            .map_err(|_| Report::garbled(format!("not a line of mypy's JSON: {}", clean(text, 200))))?;
        if item.severity == "error" {
            findings.push(finding(report, &item));
        } else {
            noted = true;
        }
    }
    match (report.exit, findings.first()) {
        (0, _) | (_, Some(_)) => {}
        // With JSON it exits with 1 for a note too, which in plain text is a success.
        (1, None) if noted => {}
        (_, None) => return Err(report.contradiction()),
    }
    // At a syntax error or a module with two names it looks at nothing else.
    let incomplete = findings.first().filter(|_| report.exit == 2).map(stopped);
    Ok(Parsed { findings, incomplete, ..Parsed::default() })
}

/// What made it stop, in its own words.
fn stopped(finding: &Finding) -> String {
    let said = finding.message.lines().next().unwrap_or_default();
    format!("mypy stopped at `{}` and checked nothing else: {said}", finding.path)
}

/// Whether it is a plain note, which is about the configuration and finds nothing.
fn is_remark(text: &str) -> bool {
    !text.starts_with('{') && text.split_once(": note: ").is_some_and(|(file, _)| !file.contains(": "))
}

fn finding(report: &Report<'_>, item: &Item) -> Finding {
    let rule = item.code.as_deref().unwrap_or("misc");
    let severity = if rule == "syntax" { Severity::Critical } else { Severity::High };
    Finding::code(
        &message(rule),
        &report.path(&item.file),
        line(item.line),
        severity,
        &message(&item.message),
    )
}
