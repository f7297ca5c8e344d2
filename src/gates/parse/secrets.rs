//! detect-secrets, gitleaks and trufflehog. What they found is never kept: only what kind of
//! secret, and where. Two of them print it, so nothing of their text is repeated either.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ParseError, Parsed, Report, clean, json, line, message};
use crate::domain::gate::{Finding, Kind, Severity};

/// A secret of that kind at that place. One told by its form is critical; a guess (a word next to
/// a string, a string of much entropy) is what a person has to look at.
fn finding(report: &Report<'_>, kind: &str, path: &str, number: Option<i64>, severity: Severity) -> Finding {
    let rule: String = kind
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .collect::<Vec<_>>()
        .join("-");
    let said =
        format!("a secret lies open here ({}); remove it, and replace it where it is used", message(kind));
    let code = Finding::code(&clean(&rule, 100), &report.path(path), line(number), severity, &said);
    Finding { kind: Kind::Secret, ..code }
}

#[derive(Deserialize)]
struct DetectSecrets {
    plugins_used: Vec<serde::de::IgnoredAny>,
    results: BTreeMap<String, Vec<Detected>>,
}

#[derive(Deserialize)]
struct Detected {
    #[serde(rename = "type")]
    kind: String,
    line_number: Option<i64>,
}

/// What detect-secrets tells by a word or by entropy, and not by a form that only secrets have.
const GUESSES: [&str; 5] = [
    "Secret Keyword",
    "Base64 High Entropy String",
    "Hex High Entropy String",
    "Basic Auth Credentials",
    "Public IP (ipv4)",
];

/// `detect-secrets scan`: it exits with 0 whatever it finds, and says nothing of what it scanned.
pub(super) fn detect_secrets(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let whole: DetectSecrets = json(report, "detect-secrets")?;
    if whole.plugins_used.is_empty() {
        return Err(ParseError::Failed { what: "all of its plugins are turned off".to_owned() });
    }
    let all = whole.results.iter().flat_map(|(path, found)| found.iter().map(move |one| (path, one)));
    let findings = all.map(|(path, one)| {
        let guess = GUESSES.contains(&one.kind.as_str());
        let severity = if guess { Severity::Medium } else { Severity::Critical };
        finding(report, &one.kind, path, one.line_number, severity)
    });
    Ok(Parsed { findings: findings.collect(), ..Parsed::default() })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Leak {
    #[serde(rename = "RuleID")]
    rule: String,
    start_line: Option<i64>,
    file: String,
}

/// gitleaks' exit code for leaks, as the preset asks for it: its own 1 is that of an error too.
const LEAKS: i32 = 77;

/// `gitleaks dir --report-format json --exit-code 77`.
pub(super) fn gitleaks(report: &Report<'_>) -> Result<Parsed, ParseError> {
    // An empty list is printed as `null` by some versions.
    let leaks: Vec<Leak> = json::<Option<Vec<Leak>>>(report, "gitleaks")?.unwrap_or_default();
    match (report.exit, leaks.is_empty()) {
        (0, true) | (LEAKS, false) => {}
        _ => return Err(report.contradiction()),
    }
    let findings = leaks.iter().map(|leak| {
        let guess = leak.rule.starts_with("generic-");
        let severity = if guess { Severity::Medium } else { Severity::Critical };
        finding(report, &leak.rule, &leak.file, leak.start_line, severity)
    });
    Ok(Parsed { findings: findings.collect(), ..Parsed::default() })
}

#[derive(Deserialize)]
struct Hog {
    #[serde(rename = "SourceMetadata")]
    source: Source,
    #[serde(rename = "DetectorName")]
    detector: String,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "Data")]
    data: BTreeMap<String, Lies>,
}

#[derive(Deserialize)]
struct Lies {
    file: Option<String>,
    line: Option<i64>,
}

/// The line of trufflehog's log that says that it came to the end.
#[derive(Deserialize)]
struct Log {
    msg: String,
    #[serde(default)]
    level: String,
    chunks: Option<u64>,
}

const FOUND: i32 = 183;

/// `trufflehog filesystem --json --fail`: one object a line, its log on stderr.
pub(super) fn trufflehog(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let mut findings = Vec::new();
    for text in lines(report.body()) {
        // Its words may hold the secret: none of them is repeated.
        let hog: Hog = serde_json::from_str(&text)
            .map_err(|_| Report::garbled("a line is not one of trufflehog's JSON"))?;
        let Some(place) = hog.source.data.values().next() else {
            return Err(Report::garbled("a secret without a place"));
        };
        let path = place.file.as_deref().unwrap_or_default();
        findings.push(finding(report, &hog.detector, path, place.line, Severity::Critical));
    }
    let log: Vec<Log> = lines(report.stderr).filter_map(|text| serde_json::from_str(&text).ok()).collect();
    if let Some(error) = log.iter().find(|line| matches!(line.level.as_str(), "error" | "fatal")) {
        return Err(ParseError::Failed { what: message(&error.msg) });
    }
    match (report.exit, findings.is_empty()) {
        (0, true) | (FOUND, false) => {}
        _ => return Err(report.contradiction()),
    }
    let end = log.iter().find(|line| line.msg == "finished scanning");
    Ok(Parsed { findings, scanned: end.and_then(|line| line.chunks), ..Parsed::default() })
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes
        .split(|b| *b == b'\n')
        .map(|l| String::from_utf8_lossy(l).trim().to_owned())
        .filter(|l| !l.is_empty())
}
