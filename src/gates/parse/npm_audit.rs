//! `npm audit --json`: advisories by package. It exits with 1 for a vulnerability, without a
//! registry and without a lock file; only a report of version 2 is one.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ParseError, Parsed, Report, message};
use crate::domain::gate::{Finding, Kind, Severity};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole {
    audit_report_version: Option<i64>,
    #[serde(default)]
    vulnerabilities: BTreeMap<String, Package>,
    metadata: Option<Metadata>,
    message: Option<String>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Package {
    via: Vec<Via>,
}

/// An advisory, or the name of the package that has one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Via {
    Advisory(Advisory),
    #[expect(dead_code, reason = "it is reported where its advisory is")]
    Package(String),
}

#[derive(Deserialize)]
struct Advisory {
    #[serde(default)]
    source: serde_json::Value,
    #[serde(default)]
    title: String,
    #[serde(default)]
    url: String,
    severity: String,
    #[serde(default)]
    range: String,
}

#[derive(Deserialize)]
struct Metadata {
    dependencies: Option<Dependencies>,
}

#[derive(Deserialize)]
struct Dependencies {
    total: u64,
}

#[derive(Deserialize)]
struct Failure {
    code: Option<String>,
    #[serde(default)]
    summary: String,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.body().iter().all(u8::is_ascii_whitespace) {
        return Err(report.no_report());
    }
    let whole: Whole = serde_json::from_slice(report.body())
        .map_err(|error| Report::garbled(format!("no npm audit JSON: {error}")))?;
    if let Some(failure) = &whole.error {
        return failed(&whole, failure);
    }
    if whole.audit_report_version != Some(2) {
        return Err(Report::garbled("not an audit report of version 2"));
    }
    let of = |(name, package): (&String, &Package)| -> Vec<Finding> {
        let advisories = package.via.iter().filter_map(|via| match via {
            Via::Advisory(advisory) => Some(finding(report, name, advisory)),
            Via::Package(_) => None,
        });
        advisories.collect()
    };
    let findings: Vec<Finding> = whole.vulnerabilities.iter().flat_map(of).collect();
    if report.exit != 0 && findings.is_empty() {
        return Err(report.contradiction());
    }
    let scanned = whole.metadata.and_then(|metadata| metadata.dependencies).map(|all| all.total);
    let nothing = (scanned == Some(0) && findings.is_empty()).then(|| "there are no dependencies".to_owned());
    Ok(Parsed { findings, scanned, nothing, ..Parsed::default() })
}

/// The registry did not answer, or not with advisories; anything else is a broken call.
fn failed(whole: &Whole, failure: &Failure) -> Result<Parsed, ParseError> {
    let text = whole.message.as_deref().filter(|text| !text.is_empty()).unwrap_or(&failure.summary);
    if let Some(code) = &failure.code {
        return Err(ParseError::Failed { what: message(&format!("{code}: {text}")) });
    }
    let unreachable = Some(format!("npm's advisories cannot be reached: {}", message(text)));
    Ok(Parsed { unreachable, ..Parsed::default() })
}

fn finding(report: &Report<'_>, package: &str, advisory: &Advisory) -> Finding {
    let severity = match advisory.severity.as_str() {
        "critical" => Severity::Critical,
        "moderate" => Severity::Medium,
        "low" => Severity::Low,
        "info" | "none" => Severity::Info,
        _ => Severity::High,
    };
    let last = advisory.url.rsplit('/').next().filter(|id| !id.is_empty());
    let rule = last.map_or_else(|| format!("npm-{}", advisory.source), ToOwned::to_owned);
    let said = message(&format!("{package} {}: {} ({})", advisory.range, advisory.title, advisory.url));
    let found = Finding::code(&message(&rule), &report.path("package-lock.json"), 0, severity, &said);
    Finding { kind: Kind::Vulnerability, symbol: message(package), ..found }
}
