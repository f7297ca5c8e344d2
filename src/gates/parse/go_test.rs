//! `go test -json`: events, one a line; and its cover profile. 1 is a failed test as well as code
//! that does not build, which has events of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::{ParseError, Parsed, Report, clean, go_text, message};
use crate::domain::gate::{Coverage, Finding, Kind, Lines, Severity, TestCounts};

/// What a test printed is kept up to this, for its message.
const SAID_MAX: usize = 4000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    action: String,
    #[serde(default)]
    package: String,
    #[serde(default)]
    import_path: String,
    #[serde(default)]
    test: String,
    #[serde(default)]
    output: String,
    #[serde(default)]
    failed_build: String,
}

/// What is known of the run so far.
#[derive(Default)]
struct Walk {
    tests: TestCounts,
    /// Tests of packages, and whether they were skipped; not those that others start.
    ran: Vec<(String, bool)>,
    /// By package and test; a package's own has no test.
    printed: BTreeMap<(String, String), String>,
    failed: Vec<(String, String)>,
    built: Vec<String>,
    build_failed: bool,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let mut walk = Walk::default();
    for text in String::from_utf8_lossy(report.stdout).lines().filter(|text| !text.trim().is_empty()) {
        if !text.starts_with('{') {
            // A test that writes past its package's output.
            continue;
        }
        let event: Event = serde_json::from_str(text)
            .map_err(|_| Report::garbled(format!("no line of go test's JSON: {}", clean(text, 200))))?;
        walk.event(event);
    }
    let mut findings = walk.findings(report);
    let unbuilt = walk.unbuilt(report);
    let incomplete = (!unbuilt.is_empty()).then(|| "what does not build was not tested".to_owned());
    findings.extend(unbuilt);
    if findings.is_empty() {
        if report.exit != 0 || walk.build_failed {
            return Err(broken(report, &walk));
        }
        ran(walk.tests)?;
    }
    let coverage = report.also.filter(|bytes| !bytes.is_empty()).and_then(profile);
    let ran = super::ran(walk.ran.into_iter().map(|(name, skipped)| (String::new(), name, skipped)));
    Ok(Parsed { findings, tests: walk.tests, incomplete, coverage, ran, ..Parsed::default() })
}

fn ran(tests: TestCounts) -> Result<(), ParseError> {
    match (tests.total(), tests.skipped) {
        (0, _) => Err(ParseError::NoTests { what: "none was run".to_owned() }),
        (total, skipped) if total == skipped => {
            Err(ParseError::NoTests { what: format!("all {total} tests were skipped") })
        }
        _ => Ok(()),
    }
}

/// Neither a test nor a line of code: `pattern ./...: directory prefix . does not contain …`.
fn broken(report: &Report<'_>, walk: &Walk) -> ParseError {
    match walk
        .built
        .iter()
        .rev()
        .map(|line| line.trim())
        .find(|line| !line.is_empty() && !line.starts_with('#'))
    {
        Some(line) => ParseError::Failed { what: message(line) },
        None => report.contradiction(),
    }
}

impl Walk {
    fn event(&mut self, event: Event) {
        let key = (event.package, event.test);
        let is_test = !key.1.is_empty();
        if is_test && !key.1.contains('/') && matches!(&*event.action, "pass" | "skip" | "fail") {
            self.ran.push((key.1.clone(), event.action == "skip"));
        }
        match event.action.as_str() {
            "output" => {
                let said = self.printed.entry(key).or_default();
                if said.len() < SAID_MAX && !is_frame(&event.output) {
                    said.push_str(&event.output);
                }
            }
            "build-output" => self.built.push(event.output),
            "build-fail" => self.build_failed = true,
            "pass" if is_test => self.tests.passed = self.tests.passed.saturating_add(1),
            "skip" if is_test => self.tests.skipped = self.tests.skipped.saturating_add(1),
            "fail" if is_test => {
                self.tests.failed = self.tests.failed.saturating_add(1);
                self.failed.push(key);
            }
            // A package fails with its tests and with its build; by itself it says something new.
            "fail" if event.failed_build.is_empty() && event.import_path.is_empty() => self.failed.push(key),
            _ => {}
        }
    }

    fn findings(&mut self, report: &Report<'_>) -> Vec<Finding> {
        let mut above = BTreeSet::new();
        for (package, test) in self.failed.iter().filter(|(_, test)| !test.is_empty()) {
            above.insert((package.as_str(), ""));
            above.extend(test.match_indices('/').map(|(at, _)| (package.as_str(), &test[..at])));
        }
        let mut findings = Vec::new();
        for key in &self.failed {
            let (package, test) = (key.0.as_str(), key.1.as_str());
            let said = self.printed.get(key).map_or("", String::as_str);
            // A package, or a test with others in it, that fails for nothing but what is in it.
            if above.contains(&(package, test)) && (test.is_empty() || said.trim().is_empty()) {
                continue;
            }
            if test.is_empty() {
                self.tests.errors = self.tests.errors.saturating_add(1);
            }
            findings.push(failed(report, package, test, said));
        }
        findings
    }

    /// Errors of the compiler, as tests that could not be built.
    fn unbuilt(&self, report: &Report<'_>) -> Vec<Finding> {
        let stderr = String::from_utf8_lossy(report.stderr);
        let lines = self.built.iter().map(|line| line.trim_end()).chain(stderr.lines());
        let found = lines.filter_map(|line| compile_error(report, line));
        found.map(|f| Finding { kind: Kind::Test, symbol: f.path.clone(), ..f }).collect()
    }
}

/// `2026/11/22 06:05:23 cover: /repo/a.go: /repo/a.go:3:19: missing ',' …` says it in the end.
fn compile_error(report: &Report<'_>, line: &str) -> Option<Finding> {
    if line.starts_with('#') {
        return None;
    }
    let text = line.rsplit_once(".go: ").map_or(line, |(_, rest)| rest);
    go_text::finding(report, "compile", Severity::Critical, text.strip_prefix("vet: ").unwrap_or(text))
}

/// `=== RUN`, `--- FAIL`: what go says of a test, not what the test says.
fn is_frame(output: &str) -> bool {
    ["=== ", "--- FAIL", "--- PASS", "--- SKIP"].iter().any(|start| output.trim_start().starts_with(start))
}

fn failed(report: &Report<'_>, package: &str, test: &str, said: &str) -> Finding {
    let name = if test.is_empty() { package } else { test };
    let full = message(&format!("{name}: {}", said.trim()));
    let (path, row) = said
        .lines()
        .filter_map(|line| go_text::place(line.trim()))
        .find(|(path, ..)| !path.starts_with('/') || Path::new(path).starts_with(report.root))
        .map_or((String::new(), 0), |(path, row, _)| (report.path(&in_package(package, path)), row));
    let rule = if test.is_empty() { "test-error" } else { "test-failed" };
    let found = Finding::code(rule, &path, row, Severity::High, &full);
    Finding { kind: Kind::Test, symbol: message(&format!("{package}::{test}")), ..found }
}

/// Go names the file of a test without its directory.
fn in_package(package: &str, file: &str) -> String {
    if file.contains('/') { file.to_owned() } else { format!("{package}/{file}") }
}

/// `mode: set`, then `example.com/demo/sub/b.go:3.18,3.28 1 0`: columns, statements, how often.
///
/// A profile names files by their package; whoever knows the tree finds them by their ends.
fn profile(bytes: &[u8]) -> Option<Coverage> {
    let text = String::from_utf8_lossy(bytes);
    let blocks: Vec<Block<'_>> = text.lines().filter_map(block).collect();
    let mut coverage = Coverage::default();
    let (mut all, mut hit) = (0u64, 0u64);
    for block in &blocks {
        all = all.saturating_add(block.statements);
        hit = hit.saturating_add(if block.hit { block.statements } else { 0 });
        mark(coverage.files.entry(block.file.to_owned()).or_default(), block);
    }
    if all == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers of statements")]
    let percent = hit as f64 * 100.0 / all as f64;
    coverage.percent = percent;
    Some(coverage)
}

/// A line that several blocks share was run if one of them was.
fn mark(lines: &mut Lines, block: &Block<'_>) {
    for number in block.first..=block.last.min(block.first.saturating_add(LINES_MAX)) {
        if block.hit {
            lines.missed.remove(&number);
            lines.hit.insert(number);
        } else if !lines.hit.contains(&number) {
            lines.missed.insert(number);
        }
    }
}

/// A block has no more lines than this.
const LINES_MAX: u32 = 10_000;

struct Block<'a> {
    file: &'a str,
    first: u32,
    last: u32,
    statements: u64,
    hit: bool,
}

fn block(line: &str) -> Option<Block<'_>> {
    let (file, rest) = line.rsplit_once(':')?;
    let mut words = rest.split(' ');
    let (start, end) = words.next()?.split_once(',')?;
    let row = |place: &str| place.split('.').next()?.parse::<u32>().ok();
    let statements = words.next()?.parse().ok()?;
    let hit = words.next()?.parse::<u64>().ok()? > 0;
    Some(Block { file, first: row(start)?, last: row(end)?, statements, hit })
}
