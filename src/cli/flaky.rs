//! Tests that failed and then passed alone, as people and programs are told of them.

use serde::Serialize;

use super::out::Out;
use super::picture::Picture;
use super::text::{Tone, plain};
use crate::domain::flaky::Flaky;

/// So many are shown; the JSON has them all.
const SHOWN_MAX: usize = 20;

/// One of them in `status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlakyRow {
    /// In which feature.
    pub feature: String,
    /// The gate that ran it the last time.
    pub gate: String,
    /// The test's id.
    pub test: String,
    /// How often.
    pub times: u32,
    /// Whether that makes it a finding; of severity `medium`, and it blocks nothing.
    pub finding: bool,
    /// As people are told.
    #[serde(skip)]
    text: String,
}

impl FlakyRow {
    fn of(feature: &impl ToString, test: &str, flaky: &Flaky) -> Self {
        Self {
            feature: feature.to_string(),
            gate: flaky.gate.to_string(),
            test: test.to_owned(),
            times: flaky.times,
            finding: flaky.is_finding(),
            text: flaky.text(),
        }
    }
}

impl Picture<'_> {
    /// Those of the feature that is shown, worst first.
    pub fn flaky(&self) -> Vec<FlakyRow> {
        let Some(feature) = self.feature() else { return Vec::new() };
        let mut rows: Vec<FlakyRow> =
            feature.flaky.all().map(|(test, flaky)| FlakyRow::of(&feature.id, test, flaky)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.times));
        rows
    }
}

/// A test and what is wrong with it, in a line.
pub(super) fn line(test: &str, flaky: &Flaky) -> String {
    format!("medium: `{}` of {} {}", plain(test, 200), flaky.gate, flaky.text())
}

/// The text form: findings by their severity.
pub(super) fn show(rows: &[FlakyRow], out: &mut Out<'_>) {
    if rows.is_empty() {
        return;
    }
    out.line(out.colour.paint(Tone::Bold, "Flaky tests"));
    for row in rows.iter().take(SHOWN_MAX) {
        let severity = if row.finding { "medium: " } else { "" };
        out.line(format!("  {severity}`{}` of {} {}", plain(&row.test, 200), row.gate, row.text));
    }
    if rows.len() > SHOWN_MAX {
        out.line(format!("  … and {} more", rows.len() - SHOWN_MAX));
    }
}
