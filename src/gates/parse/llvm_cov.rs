//! `cargo llvm-cov --ignore-run-fail --lcov`: an lcov report, or code that does not build.

use super::{ParseError, Parsed, Report, lcov, rust_text};

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.exit == 0 {
        return lcov::parse(report);
    }
    if let Some(unreachable) = rust_text::not_installed(report) {
        return Ok(Parsed { unreachable: Some(unreachable), ..Parsed::default() });
    }
    let findings = rust_text::unbuilt(report);
    if findings.is_empty() {
        return Err(ParseError::Failed { what: rust_text::complaint(report) });
    }
    let incomplete = Some("what does not build was not run".to_owned());
    Ok(Parsed { findings, incomplete, ..Parsed::default() })
}
