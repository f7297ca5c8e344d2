//! Secrets in what tools say: left out before it is kept, shown or told to anybody.

use super::parse::Parsed;
use crate::domain::gate::{Finding, GateResult};
use crate::redact;

/// Paths stay: they are the tree's own names.
fn leave_out(findings: &mut [Finding]) {
    for finding in findings {
        let Finding {
            rule,
            message,
            symbol,
            source,
            kind: _,
            path: _,
            line: _,
            severity: _,
            status: _,
            fingerprint: _,
        } = finding;
        for text in [rule, message, symbol, source] {
            redact::in_place(text);
        }
    }
}

/// What was read of a report, without secrets: before it is kept.
pub(super) fn leave_out_of(parsed: &mut Parsed) {
    leave_out(&mut parsed.findings);
    let said = [&mut parsed.refused, &mut parsed.incomplete, &mut parsed.nothing, &mut parsed.unreachable];
    said.into_iter().flatten().for_each(redact::in_place);
}

/// A result without secrets: a reason holds a tool's last words, and a line to type its variables.
pub(super) fn without(mut result: GateResult) -> GateResult {
    leave_out(&mut result.findings);
    let texts = [&mut result.reason, &mut result.by_hand];
    texts.into_iter().chain(&mut result.command).chain(&mut result.tool_version).for_each(redact::in_place);
    result
}
