//! Any tool that prints one finding a line, by a regular expression with named groups.
//!
//! Groups: `message` (else the whole line), `path`, `line`, `rule`, `severity`. Without a match the
//! exit code must be one that says that there is nothing: a pattern that does not fit is no pass.

use ::regex::{Captures, Regex, RegexBuilder};

use super::{ParseError, Parsed, Report, line, message};
use crate::domain::gate::{Finding, Severity};

/// The compiled pattern may take this much memory; `regex` runs in linear time.
const SIZE_MAX: usize = 4 << 20;

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let pattern = compile(report.pattern)?;
    let mut findings = Vec::new();
    // On standard error compilers have their findings and everybody has complaints: there a finding
    // names its file, whatever else the pattern takes.
    let outputs = match report.file {
        Some(file) => [(file, false), (&b""[..], false)],
        None => [(report.stdout, false), (report.stderr, true)],
    };
    for (output, with_path) in outputs {
        let text = String::from_utf8_lossy(output);
        let captured = text.lines().filter_map(|line| pattern.captures(line));
        let told = captured.filter(|found| !with_path || found.name("path").is_some());
        findings.extend(told.map(|found| finding(report, &found)));
    }
    if findings.is_empty() && !report.clean.contains(&report.exit) {
        let place = match report.file {
            Some(_) => "its output file",
            None => "what it printed (on standard error one that names a file as `path`)",
        };
        return Err(ParseError::NoMatch { exit: report.exit, place, tail: report.tail() });
    }
    Ok(Parsed { findings, ..Parsed::default() })
}

/// The pattern as a regular expression within bounds.
pub(super) fn compile(pattern: &str) -> Result<Regex, ParseError> {
    if pattern.is_empty() {
        return Err(ParseError::Pattern { what: "it is empty".to_owned() });
    }
    let built = RegexBuilder::new(pattern).size_limit(SIZE_MAX).build();
    built.map_err(|error| ParseError::Pattern { what: error.to_string() })
}

fn finding(report: &Report<'_>, found: &Captures<'_>) -> Finding {
    let group = |name| found.name(name).map(|m| m.as_str());
    let path = group("path").map_or(String::new(), |path| report.path(path));
    let number = group("line").and_then(|text| text.parse().ok());
    let whole = found.get(0).map_or("", |m| m.as_str());
    let rule = message(group("rule").unwrap_or("match"));
    Finding::code(
        &rule,
        &path,
        line(number),
        severity(group("severity")),
        &message(group("message").unwrap_or(whole)),
    )
}

/// The words that tools use; one that nobody knows blocks.
fn severity(word: Option<&str>) -> Severity {
    match word.unwrap_or("error").to_ascii_lowercase().as_str() {
        "critical" | "fatal" | "blocker" => Severity::Critical,
        "warning" | "warn" | "medium" | "moderate" | "w" => Severity::Medium,
        "low" | "minor" | "style" | "convention" | "refactor" | "hint" => Severity::Low,
        "info" | "information" | "note" | "notice" | "debug" | "i" => Severity::Info,
        _ => Severity::High,
    }
}
