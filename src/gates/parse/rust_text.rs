//! What rustc and cargo write for people on stderr, as far as it tells whose fault something is.

use super::{Report, message};
use crate::domain::gate::{Finding, Kind, Severity};

/// An error with its place: `error[E0308]: mismatched types`, then ` --> src/lib.rs:2:5`.
struct Error<'a> {
    code: &'a str,
    said: &'a str,
    place: Option<&'a str>,
}

/// The errors that have a place in the repository. Cargo's own (`could not compile …`) have none.
pub(super) fn errors(report: &Report<'_>) -> Vec<Finding> {
    let text = String::from_utf8_lossy(report.stderr);
    let mut found: Vec<Error<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(error) = headline(line) {
            found.push(error);
        } else if line.trim().is_empty() {
            // A place belongs to the error right above it.
            found.push(Error { code: "", said: "", place: None });
        } else if let (Some(last), Some(place)) = (found.last_mut(), line.trim_start().strip_prefix("--> ")) {
            last.place.get_or_insert(place.trim());
        }
    }
    found.iter().filter(|error| !error.said.is_empty()).filter_map(|error| finding(report, error)).collect()
}

fn headline(line: &str) -> Option<Error<'_>> {
    let rest = line.strip_prefix("error")?;
    let (code, said) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once("]: ")?,
        None => ("", rest.strip_prefix(": ")?),
    };
    Some(Error { code, said, place: None })
}

fn finding(report: &Report<'_>, error: &Error<'_>) -> Option<Finding> {
    let mut parts = error.place?.rsplitn(3, ':');
    let (_, line, path) = (parts.next()?, parts.next()?, parts.next()?);
    let code = if error.code.is_empty() { "syntax" } else { error.code };
    let line = line.parse().unwrap_or(0);
    Some(Finding::code(&message(code), &report.path(path), line, Severity::Critical, &message(error.said)))
}

/// The same as tests that could not be built: one that the base cannot build either is excused.
pub(super) fn unbuilt(report: &Report<'_>) -> Vec<Finding> {
    let as_test = |f: Finding| Finding { kind: Kind::Test, symbol: format!("{} {}", f.path, f.rule), ..f };
    errors(report).into_iter().map(as_test).collect()
}

/// rustup's stand-in for a component that is not there says so, and cargo for a subcommand.
pub(super) fn not_installed(report: &Report<'_>) -> Option<String> {
    let text = String::from_utf8_lossy(report.stderr);
    let says = |line: &&str| {
        line.starts_with("error: no such command") || line.contains(" is not installed for the toolchain ")
    };
    text.lines().find(says).map(message)
}

/// Why cargo could not begin, in one line: its first error and what it says of being offline.
pub(super) fn complaint(report: &Report<'_>) -> String {
    let text = String::from_utf8_lossy(report.stderr);
    let first = text.lines().find(|line| line.starts_with("error")).unwrap_or("error: it says nothing");
    let offline = text.contains("offline mode");
    let hint = "; gates have no network: fetch dependencies in `[worktree] setup` (`cargo fetch`)";
    message(&format!("{first}{}", if offline { hint } else { "" }))
}
