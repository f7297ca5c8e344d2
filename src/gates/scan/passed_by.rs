//! What detect-secrets does not look into: files of some names, text that is not UTF-8, and files that
//! make it fail. There, secrets are looked for by their makers' forms: less than it would find, and
//! never nothing without a word.

use std::fs;
use std::path::Path;

use super::{Broken, Ready, Scanner};
use crate::domain::gate::{Finding, Kind, Severity};
use crate::gates::command;
use crate::gates::pane::Pane;
use crate::gates::parse::{self, Parsed, Parser};
use crate::process::run::{Ending, Outcome};
use crate::redact;

/// Ends of names that its filters leave out and that are text.
const ENDS: &[&str] = &[".css", ".iml", ".ipr", ".iws", ".lock", ".map", ".prefs", ".sum", ".svg"];

/// Whole names that its filters leave out.
const NAMES: &[&str] = &[
    "Brewfile.lock.json",
    "Cartfile.resolved",
    "Package.resolved",
    "package-lock.json",
    "packages.lock.json",
];

/// Kinds of secrets that are told by a word beside them.
const GUESSES: &[&str] = &["authorization", "password"];

/// So many files may make it fail; with more, something else is wrong.
const FAILING_MAX: usize = 5;

/// A text with a NUL in so many bytes is none.
const TEXT_BEGINS: usize = 8 << 10;

impl Scanner<'_> {
    /// Reads what detect-secrets says; where it fails, finds the files that make it do so.
    pub(super) async fn read_secrets(
        &self,
        parser: Parser,
        (ready, argv): (&mut Ready, &[String]),
        outcome: &Outcome,
        seconds: &mut f64,
        pane: &mut Pane<'_, '_>,
    ) -> Result<Parsed, Broken> {
        let read = self.read(parser, ready, outcome);
        let all = ready.places.files.clone();
        // As the command was run: a script of the base's may have taken the place of its program.
        let splits = command::argv(self.gate, &ready.places) == argv && all.len() > 1;
        let failed = matches!(outcome.ending, Ending::Exit(code) if !self.gate.tool.expected.contains(&code));
        let (Err(Broken::Because(why)), true, true) = (&read, failed, splits) else { return read };
        pane.line(&format!("  {why}: looking for the file that makes it fail"));
        let mut parsed = Parsed::default();
        let mut failing: Vec<String> = Vec::new();
        let mut open = vec![all];
        while let Some(files) = open.pop() {
            ready.places.files.clone_from(&files);
            let argv = command::argv(self.gate, &ready.places);
            let outcome = self.execute(ready, &argv, pane).await?;
            *seconds += outcome.seconds;
            match self.read(parser, ready, &outcome) {
                Ok(part) => parsed.findings.extend(part.findings),
                Err(Broken::Because(_)) if files.len() > 1 => {
                    let (one, other) = files.split_at(files.len() / 2);
                    open.extend([other.to_vec(), one.to_vec()]);
                }
                Err(Broken::Because(_)) => failing.extend(files),
                Err(broken) => return Err(broken),
            }
            if failing.len() > FAILING_MAX {
                return read;
            }
        }
        let names = failing.join("`, `");
        let said = "only secrets of well-known forms were looked for there";
        parsed.note = (!failing.is_empty()).then(|| format!("it fails on `{names}` ({why}): {said}"));
        let start = ready.cwd.clone();
        for file in &failing {
            parsed.findings.extend(self.known_secrets(&start, file)?);
        }
        Ok(parsed)
    }

    /// The secrets of well-known forms in the files that it passes by.
    pub(super) fn look_where_it_does_not(
        &self,
        root: &Path,
        files: &[String],
        parsed: &mut Parsed,
    ) -> Result<(), Broken> {
        let max = self.gate.tool.file_max;
        for path in self.inputs.of_tree(files, self.context.subdir) {
            let Ok(meta) = root.join(path).symlink_metadata() else { continue };
            if !meta.is_file() || (max > 0 && meta.len() > max) {
                continue;
            }
            let bytes = read(root, path)?;
            if is_passed_by(path) || std::str::from_utf8(&bytes).is_err() {
                parsed.findings.extend(secrets(path, &bytes));
            }
        }
        Ok(())
    }

    fn known_secrets(&self, start: &Path, file: &str) -> Result<Vec<Finding>, Broken> {
        let bytes = read(start, file)?;
        Ok(secrets(&parse::relative(start, self.context.subdir, file), &bytes))
    }
}

fn read(root: &Path, path: &str) -> Result<Vec<u8>, Broken> {
    fs::read(root.join(path)).map_err(|error| format!("cannot read `{path}`: {error}").into())
}

fn is_passed_by(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let end = name.rfind('.').map(|at| name[at..].to_lowercase()).unwrap_or_default();
    ENDS.contains(&end.as_str()) || NAMES.contains(&name) || path.contains("swagger")
}

/// The secrets of a text, in whatever encoding; none of what is no text.
fn secrets(path: &str, bytes: &[u8]) -> Vec<Finding> {
    let wide = |of: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| of([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    let text = match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ if bytes.iter().take(TEXT_BEGINS).any(|byte| *byte == 0) => return Vec::new(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    };
    let mut line = (0, 1_u32);
    let mut found = Vec::new();
    for (at, kind) in redact::all(&text) {
        let breaks = String::from_utf8_lossy(&text.as_bytes()[line.0..at]).matches('\n').count();
        line = (at, line.1.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX)));
        found.push(finding(path, line.1, kind));
    }
    found
}

fn finding(path: &str, line: u32, kind: &str) -> Finding {
    let severity = if GUESSES.contains(&kind) { Severity::Medium } else { Severity::Critical };
    let rule = kind.to_lowercase().replace(' ', "-");
    let said = format!("a secret lies open here ({kind}); remove it, and replace it where it is used");
    Finding { kind: Kind::Secret, ..Finding::code(&rule, path, line, severity, &said) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = concat!("first\nKEY = \"AKIA", "QYLPMN5HFIQR7XYA\"\n");

    fn lines(bytes: &[u8]) -> Vec<String> {
        secrets("a", bytes).iter().map(|found| format!("{}:{}", found.rule, found.line)).collect()
    }

    #[test]
    fn a_key_is_found_in_any_encoding_and_not_in_what_is_no_text() {
        let units = |of: fn(u16) -> [u8; 2]| KEY.encode_utf16().flat_map(of).collect::<Vec<u8>>();
        let little = [&[0xff, 0xfe][..], &units(u16::to_le_bytes)].concat();
        let big = [&[0xfe, 0xff][..], &units(u16::to_be_bytes)].concat();
        let latin = [b"\xe9\n", KEY.as_bytes()].concat();
        assert_eq!(lines(&little), ["aws-key-id:2"]);
        assert_eq!(lines(&big), ["aws-key-id:2"]);
        assert_eq!(lines(&latin), ["aws-key-id:3"]);
        assert_eq!(lines(&[b"\x89PNG\0", KEY.as_bytes()].concat()), Vec::<String>::new());
        assert_eq!(lines(b"\xff\xfe"), Vec::<String>::new());
    }

    #[test]
    fn its_filters_go_by_name() {
        for path in ["a/poetry.lock", "go.sum", "logo.SVG", "package-lock.json", "swagger/a.txt"] {
            assert!(is_passed_by(path), "{path}");
        }
        for path in ["a.py", "lock", "a.svg.txt", "package.json"] {
            assert!(!is_passed_by(path), "{path}");
        }
    }
}
