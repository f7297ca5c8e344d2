//! What tools print, as findings, metrics and tests. Pure: bytes in, values out.
//!
//! A parser says what a report contains; it never decides a verdict. What it cannot believe is a
//! [`ParseError`], which becomes the verdict `error`: an unreadable report is never a pass.
//! To add a tool: one file here, and its line in [`find`].

mod advisories;
mod bandit;
mod cargo_deny;
mod cargo_fmt;
mod cargo_mutants;
mod cargo_test;
mod clippy;
mod cobertura;
mod coverage_py;
mod cvss;
mod eslint;
mod exit_code;
mod go_test;
mod go_text;
mod go_vet;
mod golangci_lint;
mod junit;
mod lcov;
mod llvm_cov;
mod mutmut;
mod mypy;
mod npm_audit;
mod pytest;
mod radon;
mod regex;
mod ruff;
mod rust_text;
mod sarif;
mod secrets;
mod semgrep;
mod tsc;
mod vitest;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::gate::{Coverage, Finding, Metric, Mutants, TestCounts};

/// A message keeps at most this many bytes: it goes into databases and prompts.
const MESSAGE_MAX: usize = 2000;
/// One line of several has at most so many bytes.
const LINE_MAX: usize = 200;
/// Of a long output so many lines from its beginning are shown, which often say what the others come of.
const FIRST_LINES: usize = 5;

/// A report gives at most this many findings; more are an error, because nobody could read them
/// and a comparison of a part would call old ones new.
const FINDINGS_MAX: usize = 200_000;

/// What a tool left.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Its exit code.
    pub exit: i32,
    /// What it printed.
    pub stdout: &'a [u8],
    /// What it complained about.
    pub stderr: &'a [u8],
    /// The report file, where it was told to write one.
    pub file: Option<&'a [u8]>,
    /// A second file of a tool that writes two: its coverage besides its tests. Empty if it wrote none.
    pub also: Option<&'a [u8]>,
    /// The worktree's root: absolute paths in it become relative.
    pub root: &'a Path,
    /// Where relative paths begin, from the root: empty, or `sub/dir`.
    pub subdir: &'a str,
    /// `pattern` of the gate.
    pub pattern: &'a str,
    /// Exit codes that say that nothing was found.
    pub clean: &'a [i32],
}

/// What a report contains.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Parsed {
    /// In the report's order.
    pub findings: Vec<Finding>,
    /// All of them, over a threshold or not.
    pub metrics: Vec<Metric>,
    /// Zeros where there are no tests.
    pub tests: TestCounts,
    /// A tool without findings says no, and this is what it said.
    pub refused: Option<String>,
    /// The tool stopped before it had looked at everything.
    pub incomplete: Option<String>,
    /// How much it says it looked at (files, packages); `None` for a tool that does not say it.
    pub scanned: Option<u64>,
    /// There was nothing for it to do, and why: the gate is skipped.
    pub nothing: Option<String>,
    /// What it needs from elsewhere cannot be had (a database of advisories): an optional gate is
    /// skipped, a required one is an error.
    pub unreachable: Option<String>,
    /// That it cannot be had is a fact of the tree, and not of the machine or the hour.
    #[serde(default)]
    pub settled: bool,
    /// Its report was empty, which is how some tools say that all is well.
    #[serde(default)]
    pub silent: bool,
    /// What the tests ran.
    pub coverage: Option<Coverage>,
    /// How mutants ended.
    pub mutants: Option<Mutants>,
    /// Something that a person should know besides the verdict: what could not be measured.
    #[serde(default)]
    pub note: Option<String>,
    /// The tests by name, where the report has names; empty otherwise.
    #[serde(default)]
    pub ran: Vec<Ran>,
}

/// A test, as it is written: its parameters are runs of one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ran {
    /// Its file; empty where the tool does not say it.
    pub path: String,
    /// Its function, or what `it` is told, without classes and modules.
    pub name: String,
    /// How often it ran, whatever came of it.
    pub times: u32,
    /// How often it was skipped.
    pub skipped: u32,
}

/// Tests by file and name: (file, name, whether it was skipped).
fn ran(cases: impl IntoIterator<Item = (String, String, bool)>) -> Vec<Ran> {
    let mut tests: BTreeMap<(String, String), (u32, u32)> = BTreeMap::new();
    for (path, name, skipped) in cases {
        let counts = tests.entry((path, name)).or_default();
        let count = if skipped { &mut counts.1 } else { &mut counts.0 };
        *count = count.saturating_add(1);
    }
    let ran = |((path, name), (times, skipped))| Ran { path, name, times, skipped };
    tests.into_iter().map(ran).collect()
}

/// Why a report cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not the format that was asked for.
    #[error("its report cannot be read: {what}")]
    Garbled {
        /// What was expected, and what was there.
        what: String,
    },
    /// No report at all.
    #[error("it exited with {exit} and left no report{tail}")]
    NoReport {
        /// The exit code.
        exit: i32,
        /// `: ` and its last words, or nothing.
        tail: String,
    },
    /// The exit code tells of something that no line told of.
    #[error("it exited with {exit}, and `pattern` fits no line of {place}{tail}")]
    NoMatch {
        /// The exit code.
        exit: i32,
        /// Where lines were looked for.
        place: &'static str,
        /// `: ` and its last words, or nothing.
        tail: String,
    },
    /// The report and the exit code say different things.
    #[error("it exited with {exit}, but its report has nothing that explains that{tail}")]
    Contradiction {
        /// The exit code.
        exit: i32,
        /// `: ` and its last words, or nothing.
        tail: String,
    },
    /// It says itself that it did not work.
    #[error("it says that it failed: {what}")]
    Failed {
        /// Its words.
        what: String,
    },
    /// It ran no test.
    #[error("there are test files, but {what}")]
    NoTests {
        /// `none was collected`, `all 3 tests were skipped`.
        what: String,
    },
    /// The gate's `pattern` is not a regular expression.
    #[error("its pattern cannot be used: {what}")]
    Pattern {
        /// What is wrong with it.
        what: String,
    },
}

/// Reads a report.
pub type Parser = fn(&Report<'_>) -> Result<Parsed, ParseError>;

/// The parser of that name; [`crate::config::presets::parser_names`] lists them.
pub fn find(name: &str) -> Option<Parser> {
    Some(match name {
        "exit-code" => exit_code::parse,
        "regex" => regex::parse,
        "sarif" => sarif::parse,
        "junit" => junit::parse,
        "cobertura" => cobertura::parse,
        "lcov" => lcov::parse,
        "ruff" => ruff::parse,
        "mypy" => mypy::parse,
        "radon" => radon::parse,
        "pytest" => pytest::parse,
        "cargo-fmt" => cargo_fmt::parse,
        "clippy" => clippy::parse,
        "cargo-test" => cargo_test::parse,
        "llvm-cov" => llvm_cov::parse,
        "cargo-mutants" => cargo_mutants::parse,
        "cargo-deny" => cargo_deny::parse,
        "eslint" => eslint::parse,
        "tsc" => tsc::parse,
        "vitest" => vitest::parse,
        "npm-audit" => npm_audit::parse,
        "go-vet" => go_vet::parse,
        "go-test" => go_test::parse,
        "golangci-lint" => golangci_lint::parse,
        "mutmut" => mutmut::parse,
        "semgrep" => semgrep::parse,
        "bandit" => bandit::parse,
        "detect-secrets" => secrets::detect_secrets,
        "pip-audit" => advisories::pip_audit,
        "trivy" => advisories::trivy,
        "trufflehog" => secrets::trufflehog,
        "gitleaks" => secrets::gitleaks,
        _ => return None,
    })
}

/// Reads with the parser, then holds the result to the bounds that all parsers share.
///
/// # Errors
/// What the parser says, or that there are too many findings.
pub fn read(parser: Parser, report: &Report<'_>) -> Result<Parsed, ParseError> {
    let parsed = parser(report)?;
    if parsed.findings.len() > FINDINGS_MAX {
        let what = format!("{} findings, more than {FINDINGS_MAX}", parsed.findings.len());
        return Err(ParseError::Garbled { what });
    }
    Ok(parsed)
}

/// Whether a pattern can be used by the parser `regex`.
pub(super) fn check_pattern(pattern: &str) -> Result<(), ParseError> {
    regex::compile(pattern).map(drop)
}

/// The tests of a pytest report that passed; none if it cannot be read.
pub(super) fn passed_tests(report: &Report<'_>) -> BTreeSet<String> {
    pytest::passed(report)
}

impl Report<'_> {
    /// Whether it says nothing at all.
    pub(super) fn is_silent(&self) -> bool {
        self.body().iter().all(u8::is_ascii_whitespace)
    }

    /// The report file if there was to be one, else what was printed.
    fn body(&self) -> &[u8] {
        self.file.unwrap_or(self.stdout)
    }

    fn garbled(what: impl Into<String>) -> ParseError {
        ParseError::Garbled { what: what.into() }
    }

    fn no_report(&self) -> ParseError {
        ParseError::NoReport { exit: self.exit, tail: self.tail() }
    }

    fn contradiction(&self) -> ParseError {
        ParseError::Contradiction { exit: self.exit, tail: self.tail() }
    }

    /// `: ` and the last line that says something, of stderr or else of stdout.
    fn tail(&self) -> String {
        last_words(self.stderr)
            .or_else(|| last_words(self.stdout))
            .map_or(String::new(), |words| format!(": {words}"))
    }

    /// A path of the report, relative to the repository where it lies in it.
    fn path(&self, path: &str) -> String {
        relative(self.root, self.subdir, path)
    }
}

/// `path` from the root of the repository; one outside stays as it is.
pub(super) fn relative(root: &Path, subdir: &str, path: &str) -> String {
    let plain = path.strip_prefix("file://").unwrap_or(path);
    if let Ok(inside) = Path::new(plain).strip_prefix(root) {
        return inside.to_string_lossy().into_owned();
    }
    let plain = plain.trim_start_matches("./").replace('\\', "/");
    if plain.starts_with('/') || subdir.is_empty() { plain } else { format!("{subdir}/{plain}") }
}

/// The last line with text, at most 300 characters of it.
pub(super) fn last_words(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(clean(line, 300))
}

/// The last `lines` lines with text, for people.
pub(super) fn last_lines(output: &[u8], lines: usize) -> String {
    let text = String::from_utf8_lossy(output);
    let mut last: Vec<&str> = text.lines().rev().filter(|l| !l.trim().is_empty()).take(lines).collect();
    last.reverse();
    clean(&last.join("\n"), MESSAGE_MAX)
}

/// What was said, for people, in at most `most` lines with text: of more than that the first and the last ones.
pub(super) fn both_ends(output: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(output);
    let lines = text.lines().filter(|line| !line.trim().is_empty()).map(|line| clean(line, LINE_MAX));
    let mut first: Vec<String> = lines.collect();
    let rest = first.split_off(first.len().min(FIRST_LINES));
    let mut room = MESSAGE_MAX.saturating_sub(first.iter().map(String::len).sum());
    let fits = |line: &&String| {
        let left = room.checked_sub(line.len());
        room = left.unwrap_or(room);
        left.is_some()
    };
    let last = rest.iter().rev().take(most.saturating_sub(FIRST_LINES)).take_while(fits).count();
    let (left_out, last) = rest.split_at(rest.len() - last);
    let gap = (!left_out.is_empty()).then(|| format!("… {} more lines …", left_out.len()));
    first.into_iter().chain(gap).chain(last.iter().cloned()).collect::<Vec<_>>().join("\n")
}

/// Text from outside for a message: without control characters, shortened to `max` bytes.
pub(super) fn clean(text: &str, max: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(max + 4));
    for c in uncoloured(text).chars().filter(|c| *c == '\n' || *c == '\t' || !c.is_control()) {
        if kept.len() + c.len_utf8() > max {
            kept.push('…');
            break;
        }
        kept.push(c);
    }
    kept
}

/// Without the terminal's sequences for colours (`ESC [ 31 m`, ECMA-48 §5.4), which some tools write into a file too.
fn uncoloured(text: &str) -> Cow<'_, str> {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default();
    let is_last = |c: char| ('@'..='~').contains(&c);
    let rest: String = parts.map(|part| part.split_once(is_last).map_or("", |(_, after)| after)).collect();
    if first.len() == text.len() { Cow::Borrowed(text) } else { Cow::Owned(format!("{first}{rest}")) }
}

/// The body as JSON of that tool. What is wrong with it is told by its place alone: its words may be
/// a secret.
fn json<T: serde::de::DeserializeOwned>(report: &Report<'_>, tool: &str) -> Result<T, ParseError> {
    if report.body().iter().all(u8::is_ascii_whitespace) {
        return Err(report.no_report());
    }
    serde_json::from_slice(report.body()).map_err(|error| {
        Report::garbled(format!("no {tool} JSON at line {}, column {}", error.line(), error.column()))
    })
}

fn message(text: &str) -> String {
    clean(text.trim(), MESSAGE_MAX)
}

/// Numbers of lines come as anything: −1, 0, `null`, or beyond every file.
fn line(number: Option<i64>) -> u32 {
    number.and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

#[cfg(test)]
mod poly_tests;
#[cfg(test)]
mod tests;
