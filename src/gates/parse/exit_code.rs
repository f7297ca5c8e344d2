//! No report: 0 (or what `clean` says) is a pass, anything else a refusal. Signals, timeouts, 126 and 127 never get here.

use super::{ParseError, Parsed, Report, both_ends};

/// How many lines of each of its outputs are kept for the developer.
const LINES: usize = 30;

#[expect(clippy::unnecessary_wraps, reason = "every parser has this type")]
pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.clean.contains(&report.exit) {
        return Ok(Parsed::default());
    }
    let words =
        [report.stdout, report.stderr].map(|s| both_ends(s, LINES)).into_iter().filter(|s| !s.is_empty());
    let said = words.collect::<Vec<_>>().join("\n");
    let colon = if said.is_empty() { "" } else { ": " };
    Ok(Parsed { refused: Some(format!("exited with {}{colon}{said}", report.exit)), ..Parsed::default() })
}
