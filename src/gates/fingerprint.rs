//! What makes a finding the same one in two trees: everything about it but its line number.
//!
//! Keyed by line, 12 ordinary commits on old code made 137 "new" findings; so keyed, 7.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::parse::clean;
use crate::domain::gate::{Finding, Fingerprint, Kind};

/// A source file larger than this is not read for its lines: it is no source.
const SOURCE_MAX: u64 = 8 << 20;

/// Of a line of source a finding keeps so many bytes.
const SHOWN_MAX: usize = 160;

/// Gives each finding its fingerprint, and the line that it is about. `root` is where the sources lie; `renamed` tells what the
/// base calls a path.
pub(super) fn stamp(tool: &str, findings: &mut [Finding], root: &Path, renamed: &dyn Fn(&str) -> String) {
    let mut sources = Sources::default();
    for finding in findings {
        let line = sources.line(root, &finding.path, finding.line);
        if finding.kind == Kind::Code {
            finding.source = clean(&line, SHOWN_MAX);
        }
        let text = match finding.kind {
            Kind::Code | Kind::Secret => {
                format!("{}\0{}\0{}", finding.rule, without_numbers(&finding.message), line)
            }
            Kind::Test => test_text(&finding.symbol).to_owned(),
            Kind::Vulnerability => format!("{}\0{}", finding.rule, finding.symbol),
        };
        finding.fingerprint = Fingerprint {
            placed: hash(&[tool, &renamed(&finding.path), &text]),
            placeless: hash(&[tool, "", &text]),
        };
    }
}

/// The test without its file; a whole file keeps its name.
fn test_text(symbol: &str) -> &str {
    symbol.split_once("::").map_or(symbol, |(_, test)| test)
}

/// SHA-256 of the parts, 32 hex digits of it.
pub(super) fn hash(parts: &[&str]) -> String {
    hash_bytes(&parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>())
}

/// The same for what need not be text.
pub(super) fn hash_bytes(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

/// Messages name lines and counts ("redefined from line 12"): every run of digits becomes `N`.
fn without_numbers(message: &str) -> String {
    let mut kept = String::with_capacity(message.len());
    for c in message.chars() {
        if !c.is_ascii_digit() {
            kept.push(c);
        } else if !kept.ends_with('N') {
            kept.push('N');
        }
    }
    kept
}

/// Source files, each read once.
#[derive(Default)]
struct Sources {
    files: HashMap<String, Vec<String>>,
}

impl Sources {
    /// The line without its indentation and with single spaces; empty where there is none.
    fn line(&mut self, root: &Path, path: &str, line: u32) -> String {
        if line == 0 || path.is_empty() || path.starts_with('/') || path.split('/').any(|p| p == "..") {
            return String::new();
        }
        let lines = self.files.entry(path.to_owned()).or_insert_with(|| read_lines(&root.join(path)));
        lines.get(line as usize - 1).cloned().unwrap_or_default()
    }
}

fn read_lines(path: &Path) -> Vec<String> {
    let small = path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= SOURCE_MAX);
    let bytes = if small { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    String::from_utf8_lossy(&bytes).lines().map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gate::{Severity, Status, compare};

    fn stamped(root: &Path, source: &str, findings: &[(u32, &str)]) -> Vec<Finding> {
        std::fs::write(root.join("a.py"), source).unwrap();
        let mut found: Vec<Finding> =
            findings.iter().map(|(line, m)| Finding::code("R", "a.py", *line, Severity::High, m)).collect();
        stamp("ruff", &mut found, root, &ToOwned::to_owned);
        found
    }

    #[test]
    fn a_line_that_moved_and_was_indented_is_the_same_and_a_changed_one_is_new() {
        let root = tempfile::tempdir().unwrap();
        let base = stamped(root.path(), "import os\nx = 1\n", &[(1, "from line 3"), (2, "bad x")]);
        let source = "\n\nif y:\n    import  os\n    x = 2\n";
        let mut head = stamped(root.path(), source, &[(4, "from line 77"), (5, "bad x")]);
        compare(&mut head, base);
        let statuses: Vec<_> = head.iter().map(|f| f.status).collect();
        assert_eq!(statuses, [Status::Existing, Status::New, Status::Fixed]);
    }

    #[test]
    fn a_path_outside_is_never_read() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("secret"), "s\n").unwrap();
        let inner = root.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        assert_eq!(Sources::default().line(&inner, "../secret", 1), "");
        assert_eq!(Sources::default().line(&inner, "/etc/passwd", 1), "");
    }
}
