//! What gates found, as a prompt tells it.

use std::fmt::Write as _;

use crate::agents::feedback::FeedbackFinding;

/// All findings together take at most so many bytes of a prompt.
const FINDINGS_BYTES_MAX: usize = 8_000;

/// By gate, each with the command that shows it again; within a gate in their order, which is the most
/// severe first.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands values over")]
pub(super) fn shown(findings: minijinja::value::Serde<Vec<FeedbackFinding>>) -> String {
    let mut gates: Vec<&str> = Vec::new();
    for finding in findings.iter().filter(|finding| !finding.gate.is_empty()) {
        if !gates.contains(&finding.gate.as_str()) {
            gates.push(&finding.gate);
        }
    }
    let mut text = String::new();
    for gate in std::iter::once("").chain(gates) {
        let own: Vec<&FeedbackFinding> = findings.iter().filter(|finding| finding.gate == gate).collect();
        let Some(first) = own.first() else { continue };
        if !gate.is_empty() {
            let run =
                if first.command.is_empty() { String::new() } else { format!(" (run: {})", first.command) };
            writeln!(text, "{gate}{run}").expect("a String takes everything");
        }
        let told = own.iter().map(|finding| line(finding)).take_while(|told| {
            let fits = text.len() + told.len() <= FINDINGS_BYTES_MAX;
            if fits {
                text.push_str(told);
            }
            fits
        });
        let left = own.len() - told.count();
        if left > 0 {
            writeln!(text, "… and {left} more").expect("a String takes everything");
        }
    }
    text.trim_end().to_owned()
}

/// `path:line · rule · message`, and the line of the source below it.
fn line(finding: &FeedbackFinding) -> String {
    let place =
        if finding.line > 0 { format!("{}:{}", finding.path, finding.line) } else { finding.path.clone() };
    let parts = [place, finding.rule.clone(), finding.message.clone()];
    let said = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
    let source =
        if finding.source.is_empty() { String::new() } else { format!("    > {}\n", finding.source) };
    format!("- {said}\n{source}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gate::{Finding, Severity};

    fn finding(gate: &str, line: u32, message: &str) -> FeedbackFinding {
        let found = Finding::code("R1", "a.py", line, Severity::High, message);
        FeedbackFinding::of_gate(gate, &format!("{gate} ."), &Finding { source: "x = 1".into(), ..found })
    }

    fn shown_of(findings: Vec<FeedbackFinding>) -> String {
        shown(minijinja::value::Serde(findings))
    }

    #[test]
    fn findings_stand_by_gate_with_command_and_source() {
        let found = vec![
            finding("mypy", 3, "bad"),
            finding("ruff", 1, "unused"),
            FeedbackFinding::conflict("b.py"),
            finding("mypy", 9, "worse"),
        ];
        assert_eq!(
            shown_of(found),
            "- b.py · conflict · changed here and on the integration branch in ways that do not merge\n\
             mypy (run: mypy .)\n- a.py:3 · R1 · bad\n    > x = 1\n- a.py:9 · R1 · worse\n    > x = 1\n\
             ruff (run: ruff .)\n- a.py:1 · R1 · unused\n    > x = 1"
        );
    }

    #[test]
    fn more_than_eight_kilobytes_are_counted() {
        let found: Vec<_> = (1..500).map(|line| finding("ruff", line, &"long ".repeat(20))).collect();
        let text = shown_of(found);
        assert!(text.len() <= FINDINGS_BYTES_MAX + 100, "{}", text.len());
        assert!(text.ends_with(" more") && text.contains("\n… and 4"), "{}", &text[text.len() - 60..]);
    }
}
