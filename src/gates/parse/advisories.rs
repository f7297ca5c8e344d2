//! pip-audit and trivy: published vulnerabilities of what manifests ask for. Both need data from
//! elsewhere, and pip-audit passes without it: what was not looked up is never clean.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{ParseError, Parsed, Report, json, last_words, message};
use crate::domain::gate::{Finding, Kind, Severity};

fn finding(id: &str, path: &str, package: &str, severity: Severity, said: &str) -> Finding {
    let code = Finding::code(&message(id), path, 0, severity, &message(said));
    Finding { kind: Kind::Vulnerability, symbol: message(package), ..code }
}

#[derive(Deserialize)]
struct PipAudit {
    dependencies: Vec<Dependency>,
    /// Of those that ran it: the files that it refused for want of pins.
    #[serde(default)]
    unread: Vec<Unread>,
}

#[derive(Deserialize)]
struct Unread {
    path: String,
    #[serde(default)]
    why: String,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    #[serde(default)]
    version: String,
    skip_reason: Option<String>,
    /// Of those that ran it: the file that asks for the package.
    manifest: Option<String>,
    #[serde(default)]
    vulns: Vec<Advisory>,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    #[serde(default)]
    fix_versions: Vec<String>,
    #[serde(default)]
    aliases: Vec<String>,
}

/// Words of an advisory service that could not be asked.
const UNREACHED: [&str; 5] =
    ["ConnectionError", "ConnectionTimeout", "ServiceError", "Max retries exceeded", "ReadTimeout"];

/// Words for what has no version to look up, such as `-e .`; other reasons go away with the next run.
const NO_VERSION: &str = "URL requirement";

/// `pip-audit -r requirements.txt --format json`, or that of many files together. It knows no severities:
/// each counts as high.
pub(super) fn pip_audit(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.body().iter().all(u8::is_ascii_whitespace) {
        let said = String::from_utf8_lossy(report.stderr);
        if UNREACHED.iter().any(|words| said.contains(words)) {
            return Ok(unreachable_because("the advisories cannot be reached", report));
        }
        return Err(report.no_report());
    }
    let whole: PipAudit = json(report, "pip-audit")?;
    let unpinned = |one: &&Dependency| one.skip_reason.as_deref().is_some_and(|why| why.contains(NO_VERSION));
    let skipped = || whole.dependencies.iter().filter(|one| one.skip_reason.is_some() && !unpinned(one));
    if let Some(why) = skipped().find_map(|one| one.skip_reason.as_deref()) {
        let (count, all) = (skipped().count(), whole.dependencies.len());
        let said = format!("{count} of {all} packages could not be looked up: {}", message(why));
        return Ok(Parsed { unreachable: Some(said), ..Parsed::default() });
    }
    let all = whole.dependencies.iter().flat_map(|one| one.vulns.iter().map(move |vuln| (one, vuln)));
    let mut findings: Vec<Finding> = all.map(|(one, vuln)| advisory(report, one, vuln)).collect();
    if report.exit != 0 && findings.is_empty() {
        return Err(report.contradiction());
    }
    let without: Vec<&Dependency> = whole.dependencies.iter().filter(unpinned).collect();
    let scanned = whole.dependencies.len() - without.len();
    let nothing = (scanned == 0).then(|| match whole.unread.first() {
        Some(one) => format!("no requirements are pinned: {}: {}", message(&one.path), message(&one.why)),
        None => "the requirements name no package with a version".to_owned(),
    });
    findings
        .extend(without.iter().map(|one| not_looked_up(report, one.path(), &one.name, "it has no version")));
    findings.extend(whole.unread.iter().map(|one| not_looked_up(report, &one.path, "all of it", &one.why)));
    Ok(Parsed { findings, nothing, scanned: Some(scanned as u64), ..Parsed::default() })
}

/// Shown, and no fault: most of what people develop with is not pinned.
fn not_looked_up(report: &Report<'_>, path: &str, what: &str, why: &str) -> Finding {
    let said = message(&format!("not looked up: {what}: {why}"));
    Finding::code("not-looked-up", &report.path(path), 0, Severity::Low, &said)
}

impl Dependency {
    fn path(&self) -> &str {
        self.manifest.as_deref().unwrap_or(MANIFEST)
    }
}

fn advisory(report: &Report<'_>, package: &Dependency, advisory: &Advisory) -> Finding {
    // A CVE is the name that other tools know it by.
    let id = advisory.aliases.iter().find(|alias| alias.starts_with("CVE-")).unwrap_or(&advisory.id);
    let fixed = match advisory.fix_versions.as_slice() {
        [] => "no version without it is known".to_owned(),
        versions => format!("fixed in {}", versions.join(", ")),
    };
    let said = format!("{} {} has {id} ({}); {fixed}", package.name, package.version, advisory.id);
    finding(id, &report.path(package.path()), &package.name, Severity::High, &said)
}

/// The file where a report names none.
const MANIFEST: &str = "requirements.txt";

fn unreachable_because(what: &str, report: &Report<'_>) -> Parsed {
    let words = last_words(report.stderr).unwrap_or_default();
    Parsed { unreachable: Some(format!("{what}: {words}")), ..Parsed::default() }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Trivy {
    schema_version: u32,
    results: Option<Vec<TrivyResult>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TrivyResult {
    target: String,
    packages: Option<Vec<IgnoredAny>>,
    vulnerabilities: Option<Vec<Vulnerability>>,
    secrets: Option<Vec<Secret>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vulnerability {
    #[serde(rename = "VulnerabilityID")]
    id: String,
    pkg_name: String,
    #[serde(default)]
    installed_version: String,
    #[serde(default)]
    fixed_version: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    title: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    #[serde(rename = "RuleID")]
    rule: String,
    start_line: Option<i64>,
}

/// Words of a trivy that has no database and cannot get one.
const NO_DATABASE: [&str; 4] = ["DB error", "database error", "failed to download", "first run"];

/// `trivy fs --format json --list-all-pkgs`.
pub(super) fn trivy(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.exit != 0 {
        let said = String::from_utf8_lossy(report.stderr);
        if NO_DATABASE.iter().any(|words| said.contains(words)) {
            return Ok(unreachable_because("trivy has no database of vulnerabilities", report));
        }
        return Err(report.no_report());
    }
    let whole: Trivy = json(report, "trivy")?;
    if whole.schema_version != 2 {
        return Err(Report::garbled(format!("trivy's schema {}, not 2", whole.schema_version)));
    }
    let results = whole.results.unwrap_or_default();
    let findings: Vec<Finding> = results.iter().flat_map(|result| of_target(report, result)).collect();
    let packages: usize = results.iter().map(|result| result.packages.as_ref().map_or(0, Vec::len)).sum();
    let nothing = (packages == 0 && findings.is_empty())
        .then(|| "the manifests and lock files name no package that trivy knows".to_owned());
    Ok(Parsed { findings, nothing, scanned: Some(packages as u64), ..Parsed::default() })
}

fn of_target(report: &Report<'_>, result: &TrivyResult) -> Vec<Finding> {
    let path = report.path(&result.target);
    let vulnerabilities = result.vulnerabilities.iter().flatten().map(|one| {
        let fixed = match one.fixed_version.as_str() {
            "" => "no version without it is known".to_owned(),
            version => format!("fixed in {version}"),
        };
        let said =
            format!("{} {} has {}: {}; {fixed}", one.pkg_name, one.installed_version, one.id, one.title);
        finding(&one.id, &path, &one.pkg_name, severity(&one.severity), &said)
    });
    let secrets = result.secrets.iter().flatten().map(|secret| Finding {
        kind: Kind::Secret,
        ..Finding::code(
            &message(&secret.rule),
            &path,
            super::line(secret.start_line),
            Severity::Critical,
            "a secret lies open here; remove it, and replace it where it is used",
        )
    });
    vulnerabilities.chain(secrets).collect()
}

fn severity(word: &str) -> Severity {
    match word {
        "CRITICAL" => Severity::Critical,
        "MEDIUM" => Severity::Medium,
        "LOW" => Severity::Low,
        // `HIGH`, `UNKNOWN`, and any word of a later version.
        _ => Severity::High,
    }
}
