//! `go vet -json`: an object a package, of analyzers and what they found. It exits with 0 whatever
//! it finds; code that does not build is told in text, and makes it exit with 1.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{ParseError, Parsed, Report, go_text, message};
use crate::domain::gate::{Finding, Severity};

type Package = BTreeMap<String, BTreeMap<String, Said>>;

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Found(Vec<Diagnostic>),
    Failed { error: String },
}

#[derive(Deserialize)]
struct Diagnostic {
    posn: String,
    message: String,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    // Older ones write the objects to stderr, between lines that name packages.
    let outputs = [report.stdout, report.stderr].map(String::from_utf8_lossy);
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    let mut packages = 0u64;
    for object in outputs.iter().flat_map(|text| objects(text)) {
        let package: Package = serde_json::from_str(&object)
            .map_err(|error| Report::garbled(format!("no object of go vet's JSON: {error}")))?;
        packages += 1;
        for (analyzer, said) in package.into_values().flatten() {
            match said {
                Said::Failed { error } => return Err(ParseError::Failed { what: message(&error) }),
                // A package and its tests are looked at one by one, and share their files.
                Said::Found(found) => findings.extend(
                    found
                        .iter()
                        .filter(|d| seen.insert((d.posn.clone(), analyzer.clone(), d.message.clone())))
                        .map(|d| diagnostic(report, &analyzer, d)),
                ),
            }
        }
    }
    let unbuilt: Vec<Finding> = outputs[1].lines().filter_map(|line| does_not_build(report, line)).collect();
    let incomplete = (!unbuilt.is_empty()).then(|| "what does not build was not checked".to_owned());
    findings.extend(unbuilt);
    if findings.is_empty() && (report.exit != 0 || packages == 0) {
        return Err(if report.exit == 0 { report.no_report() } else { report.contradiction() });
    }
    Ok(Parsed { findings, scanned: Some(packages), incomplete, ..Parsed::default() })
}

/// The JSON objects of a text: each begins and ends in the first column.
fn objects(text: &str) -> Vec<String> {
    let mut objects = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match &mut open {
            None if line == "{}" => objects.push(line.to_owned()),
            None if line.starts_with('{') => open = Some(format!("{line}\n")),
            None => {}
            Some(object) => {
                object.push_str(line);
                object.push('\n');
                if line == "}" {
                    objects.extend(open.take());
                }
            }
        }
    }
    // One that breaks off in the middle is no JSON, and is not passed over.
    objects.extend(open);
    objects
}

fn diagnostic(report: &Report<'_>, analyzer: &str, found: &Diagnostic) -> Finding {
    let said = message(&found.message);
    let (path, row) = go_text::place(&found.posn).map_or(("", 0), |(path, row, _)| (path, row));
    let path = if path.is_empty() { String::new() } else { report.path(path) };
    Finding::code(&message(analyzer), &path, row, Severity::High, &said)
}

/// `vet: ./a.go:9:1: missing return`, or a line of `go.mod` that cannot be read.
fn does_not_build(report: &Report<'_>, line: &str) -> Option<Finding> {
    let text = line.strip_prefix("vet: ").unwrap_or(line);
    go_text::finding(report, "compile", Severity::Critical, text)
}
