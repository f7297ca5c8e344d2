//! Tests that fail once and pass when they run again alone.

use std::collections::BTreeSet;

use super::parse::{self, Parsed};
use crate::domain::gate::{Finding, Kind, Severity};

/// Whether it is a test that can be run alone, and failed.
pub(super) fn is_failed_test(finding: &Finding) -> bool {
    finding.kind == Kind::Test
        && finding.symbol.contains("::")
        && matches!(finding.rule.as_str(), "test-failed" | "test-error")
}

/// What a flake said takes at most so many bytes: it asks for no correction, and is told again and again.
const SAID_MAX: usize = 300;

/// What it said when it failed, on one line.
fn in_a_line(said: &str) -> String {
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    parse::clean(&format!("failed, then passed alone: {words}"), SAID_MAX)
}

/// Marks the failed tests that are among `green`: shown, counted, not blocking.
pub(super) fn mark_flaky(parsed: &mut Parsed, green: &BTreeSet<String>) {
    for finding in &mut parsed.findings {
        if !is_failed_test(finding) || !green.contains(&finding.symbol) {
            continue;
        }
        let tests = &mut parsed.tests;
        let count = if finding.rule == "test-error" { &mut tests.errors } else { &mut tests.failed };
        *count = count.saturating_sub(1);
        tests.flaky += 1;
        "test-flaky".clone_into(&mut finding.rule);
        finding.severity = Severity::Info;
        finding.message = in_a_line(&finding.message);
    }
}
