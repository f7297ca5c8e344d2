//! coverage.py's JSON report, as pytest-cov writes it beside pytest's own.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ParseError, Report};
use crate::domain::gate::{Coverage, Lines};

#[derive(Deserialize)]
struct Whole {
    files: BTreeMap<String, File>,
    totals: Totals,
}

#[derive(Deserialize)]
struct File {
    executed_lines: Vec<u32>,
    missing_lines: Vec<u32>,
}

#[derive(Deserialize)]
struct Totals {
    percent_covered: f64,
    #[serde(default)]
    num_statements: u64,
}

/// What the tests ran; `None` where nothing was there to run.
pub(super) fn read(report: &Report<'_>, bytes: &[u8]) -> Result<Option<Coverage>, ParseError> {
    let whole: Whole =
        serde_json::from_slice(bytes).map_err(|e| Report::garbled(format!("no coverage.py JSON: {e}")))?;
    let percent = whole.totals.percent_covered;
    if !(0.0..=100.0).contains(&percent) {
        return Err(Report::garbled(format!("{percent} % of the lines")));
    }
    if whole.totals.num_statements == 0 {
        return Ok(None);
    }
    let lines = |file: File| Lines {
        hit: file.executed_lines.into_iter().collect(),
        missed: file.missing_lines.into_iter().collect(),
    };
    let files = whole.files.into_iter().map(|(path, file)| (report.path(&path), lines(file)));
    Ok(Some(Coverage { percent, files: files.collect() }))
}
