//! `cargo fmt -- --check`: the places that it would change, as differences. Its exit code is 1 for
//! those, for a syntax error and for configuration that it cannot read.

use super::{ParseError, Parsed, Report, message, rust_text};
use crate::domain::gate::{Finding, Severity};

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if let Some(unreachable) = rust_text::not_installed(report) {
        return Ok(Parsed { unreachable: Some(unreachable), ..Parsed::default() });
    }
    let text = String::from_utf8_lossy(report.stdout);
    let mut findings = rust_text::errors(report);
    // A file that cannot be read is not formatted, and hides nothing else.
    findings.extend(text.lines().filter_map(|line| difference(report, line)));
    if report.exit != 0 && findings.is_empty() {
        // The usage that may follow says nothing.
        let said = String::from_utf8_lossy(report.stderr);
        let first = said.lines().find(|line| !line.trim().is_empty());
        return Err(
            first.map_or_else(|| report.contradiction(), |what| ParseError::Failed { what: message(what) })
        );
    }
    Ok(Parsed { findings, ..Parsed::default() })
}

/// `Diff in /repo/src/lib.rs:6:`; older ones say `at line 6:`.
fn difference(report: &Report<'_>, line: &str) -> Option<Finding> {
    let place = line.strip_prefix("Diff in ")?.strip_suffix(':')?;
    let (path, number) = place.rsplit_once(" at line ").or_else(|| place.rsplit_once(':'))?;
    let number = number.parse().ok()?;
    let said = "is not formatted; `cargo fmt` does it";
    Some(Finding::code("format", &report.path(path), number, Severity::Medium, said))
}
