//! What Go's tools write about a place: `./a.go:9:1: missing return`.

use super::{Report, message};
use crate::domain::gate::{Finding, Severity};

/// The line as a finding, if it begins with a place in a Go file.
pub(super) fn finding(report: &Report<'_>, rule: &str, severity: Severity, text: &str) -> Option<Finding> {
    let (path, row, said) = place(text)?;
    Some(Finding::code(&message(rule), &report.path(path), row, severity, &message(said)))
}

/// `path.go:9:1: said`, `go.mod:1: said`, or a place alone, `/repo/a.go:6:14`.
pub(super) fn place(text: &str) -> Option<(&str, u32, &str)> {
    let end = [".go:", "go.mod:"].iter().filter_map(|name| Some(text.find(name)? + name.len())).min()?;
    let (path, rest) = (&text[..end - 1], &text[end..]);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let row = rest[..digits].parse().ok()?;
    let rest = rest[digits..].trim_start_matches(':');
    let column = rest.bytes().take_while(u8::is_ascii_digit).count();
    let path_is_one_word = !path.contains(": ");
    path_is_one_word.then(|| (path, row, rest[column..].trim_start_matches(':').trim()))
}
