//! A gate as those see it who watch it run: its command, and what it said in the end.

use super::pane::Pane;
use super::parse;
use crate::domain::gate::{Finding, GateResult, Status};

/// At most this many findings are shown; the result has them all.
const FINDINGS_MAX: usize = 50;
/// A command takes no more bytes: one that is told every changed line is thousands long.
const COMMAND_MAX: usize = 200;

/// A command in one line.
pub(super) fn command(words: &[String]) -> String {
    parse::clean(&words.join(" ").replace(['\n', '\t'], " "), COMMAND_MAX)
}

/// What a gate said, with its findings unless somebody else shows them: what is new, and how many are
/// old.
pub(super) fn result(result: &GateResult, with_findings: bool, pane: &mut Pane<'_, '_>) {
    let of = |status| result.findings.iter().filter(move |finding| finding.status == status);
    let blocks = |finding: &&Finding| finding.blocks(result.mode);
    let told: Vec<&Finding> = of(Status::New).chain(of(Status::Existing).filter(blocks)).collect();
    let old = of(Status::Existing).count() - of(Status::Existing).filter(blocks).count();
    if with_findings {
        told.iter().take(FINDINGS_MAX).for_each(|finding| pane.line(&line(finding)));
        if told.len() > FINDINGS_MAX {
            pane.line(&format!("  … and {} more", told.len() - FINDINGS_MAX));
        }
        if old > 0 {
            pane.line(&format!("  {}", old_ones(old)));
        }
    }
    let time = if result.cached { "kept result".to_owned() } else { format!("{:.1} s", result.seconds) };
    let reason = result.reason.lines().next().unwrap_or_default();
    let colon = if reason.is_empty() { "" } else { ": " };
    pane.line(&format!("{} {} ({time}){colon}{reason}", result.name, result.verdict));
}

fn line(finding: &Finding) -> String {
    let first = finding.message.lines().next().unwrap_or_default();
    let place =
        if finding.path.is_empty() { String::new() } else { format!("{}:{}: ", finding.path, finding.line) };
    format!("  {:8} {place}{} {first}", finding.status.as_str(), finding.rule)
}

/// That there are findings which the base has too, and how to see them.
pub fn old_ones(count: usize) -> String {
    let some = if count == 1 { "1 old finding is".to_owned() } else { format!("{count} old findings are") };
    format!("{some} not listed here: `sprint gates baseline`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_one_line() {
        let words = ["mutmut".to_owned(), format!("{{\"a\":\n{}}}", "[1,2],".repeat(1000))];
        let shown = command(&words);
        assert!(shown.len() < 2 * COMMAND_MAX && !shown.contains('\n') && shown.ends_with('…'), "{shown}");
    }
}
