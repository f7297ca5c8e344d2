//! What GitHub Actions reads on standard output: annotations at lines, and nothing else as a command.
//!
//! A runner takes any line that begins with `::` for one, so that a finding could speak to it; all
//! that is for people comes between [`quiet`] and [`speak`].

use std::fmt::Write as _;

use crate::cli::gates_run::Ran;
use crate::domain::gate::{Finding, GateResult, Severity, Status, Verdict};

/// A runner shows so many of a kind a step; the rest would be lost without a word.
const SHOWN_MAX: usize = 10;

/// From here on the runner takes nothing for a command.
pub(super) fn quiet(token: &str) -> String {
    format!("::stop-commands::{token}\n")
}

/// Until here.
pub(super) fn speak(token: &str) -> String {
    format!("::{token}::\n")
}

/// The annotations: what blocks as errors first, then what could not run, then what is new and
/// does not block.
pub(super) fn annotations(ran: &Ran) -> String {
    let mut lines = Vec::new();
    for gate in &ran.gates {
        let blocking: Vec<&Finding> = gate.blocking().collect();
        lines.extend(blocking.iter().map(|finding| of_finding("error", gate, finding)));
        let silent = gate.verdict == Verdict::Fail && blocking.is_empty();
        if silent || gate.verdict == Verdict::Error {
            lines.push(of_gate("error", gate));
        }
    }
    for gate in &ran.gates {
        let beside = |finding: &&Finding| {
            finding.status == Status::New && !gate.blocking().any(|other| std::ptr::eq(other, *finding))
        };
        let level = |finding: &Finding| match finding.severity {
            Severity::Critical | Severity::High | Severity::Medium => "warning",
            Severity::Low | Severity::Info => "notice",
        };
        lines.extend(gate.findings.iter().filter(beside).map(|f| of_finding(level(f), gate, f)));
        if gate.verdict == Verdict::Skipped {
            lines.push(of_gate("notice", gate));
        }
    }
    let all = lines.len();
    // One notice is for what is not shown.
    for (level, max) in [("error", SHOWN_MAX), ("warning", SHOWN_MAX), ("notice", SHOWN_MAX - 1)] {
        let begins = format!("::{level} ");
        let mut shown = 0;
        lines.retain(|line| {
            let is_one = line.starts_with(&begins);
            shown += usize::from(is_one);
            !is_one || shown <= max
        });
    }
    let more = all - lines.len();
    if more > 0 {
        lines.push(format!("::notice title=sprint::{more} more are in the log of this step"));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn of_gate(level: &str, gate: &GateResult) -> String {
    let said = if gate.reason.is_empty() { gate.verdict.as_str() } else { &gate.reason };
    format!("::{level} title={}::{}", property(gate.name.as_str()), data(said))
}

fn of_finding(level: &str, gate: &GateResult, finding: &Finding) -> String {
    let mut place = String::new();
    if !finding.path.is_empty() {
        place = format!("file={},", property(&finding.path));
        if finding.line > 0 {
            // Writing to a String cannot fail.
            write!(place, "line={},", finding.line).expect("a String takes everything");
        }
    }
    let title = property(&format!("{} {}", gate.name, finding.rule));
    let said = if finding.message.is_empty() { &finding.rule } else { &finding.message };
    format!("::{level} {place}title={title}::{}", data(said))
}

fn data(text: &str) -> String {
    escaped(text, "%\r\n")
}

fn property(text: &str) -> String {
    escaped(text, "%\r\n:,")
}

/// In the runner's own way; other control characters would move the reader's terminal.
fn escaped(text: &str, special: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(c) {
            // Writing to a String cannot fail.
            write!(line, "%{:02X}", u32::from(c)).expect("a String takes everything");
        } else if !c.is_control() || c == '\t' {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::gates::samples;

    #[test]
    fn what_blocks_is_an_error_at_its_line() {
        insta::assert_snapshot!(annotations(&samples::ran()));
    }

    #[test]
    fn nothing_that_a_finding_says_is_a_command() {
        let mut ran = samples::ran();
        let finding = &mut ran.gates[0].findings[0];
        finding.message = "50%\n::add-mask::x\r\n\u{1b}[2J😀".to_owned();
        finding.path = "a:b,c d\n%.py".to_owned();
        let text = annotations(&ran);
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            "::error file=a%3Ab%2Cc d%0A%25.py,line=3,title=ruff F401::50%25%0A::add-mask::x%0D%0A[2J😀"
        );
        assert!(text.lines().all(|line| line.starts_with("::error ")
            || line.starts_with("::notice ")
            || line.starts_with("::warning ")));
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let mut ran = samples::ran();
        let finding = ran.gates[0].findings[0].clone();
        ran.gates[0].findings = vec![finding; 80];
        let text = annotations(&ran);
        let of = |level: &str| text.lines().filter(|line| line.starts_with(&format!("::{level} "))).count();
        assert!(of("error") == SHOWN_MAX && of("warning") <= SHOWN_MAX && of("notice") <= SHOWN_MAX);
        assert!(text.ends_with("more are in the log of this step\n"), "{text}");
    }
}
