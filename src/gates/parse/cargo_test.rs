//! `cargo test`, and `cargo nextest run --message-format libtest-json-plus`, one after the other or alone.
//!
//! libtest prints text; the numbers are those of each `test result:`. A test program that ends
//! before it says its result (`process::exit(0)` in a test) makes cargo exit with 0: that it began
//! with `running 2 tests` is how it is noticed.

use serde::Deserialize;

use super::{ParseError, Parsed, Report, clean, message, rust_text};
use crate::domain::gate::{Finding, Kind, Severity, TestCounts};

/// What a failed test printed is kept up to this, for its message.
const SAID_MAX: usize = 4000;

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let text = String::from_utf8_lossy(report.stdout);
    let stderr = String::from_utf8_lossy(report.stderr);
    let mut walk = Walk { programs: programs(&stderr), ..Walk::default() };
    for line in text.lines() {
        walk.line(line)?;
    }
    walk.end();
    let mut findings = walk.findings(report);
    let unbuilt = rust_text::unbuilt(report);
    let incomplete = (!unbuilt.is_empty()).then(|| "what does not build was not tested".to_owned());
    findings.extend(unbuilt);
    if findings.is_empty() {
        findings.extend(red_targets(&stderr));
    }
    if findings.is_empty() && !is_clean(report, &stderr) {
        if let Some(unreachable) = rust_text::not_installed(report) {
            return Ok(Parsed { unreachable: Some(unreachable), ..Parsed::default() });
        }
        return Err(ParseError::Failed { what: rust_text::complaint(report) });
    }
    let nothing = if findings.is_empty() { nothing(walk.tests) } else { None };
    Ok(Parsed { findings, tests: walk.tests, nothing, incomplete, ..Parsed::default() })
}

/// Test programs that said of no test that it failed, and failed: killed by a signal, or with a
/// harness of their own. Cargo names each: error: test failed, to rerun pass `--test whole`
fn red_targets(stderr: &str) -> Vec<Finding> {
    let target = |line: &str| Some(line.split_once("to rerun pass `")?.1.split('`').next()?.to_owned());
    let of = |(line, next): (&str, &str)| {
        let target = target(line.strip_prefix("error: ")?)?;
        let why = if next.trim().is_empty() || next.starts_with("error") { "" } else { next.trim() };
        let said = message(&format!("the test program of `{target}` failed {why}"));
        Some(test_finding("test-program", message(&target), "", 0, &said))
    };
    let lines: Vec<&str> = stderr.lines().collect();
    let causes = lines.iter().enumerate().map(|(at, line)| {
        // Below: `Caused by:`, then `process didn't exit successfully: … (signal: 6, SIGABRT …)`.
        let cause = lines[at + 1..].iter().take(3).find(|line| line.contains("process didn't exit"));
        (*line, cause.copied().unwrap_or_default())
    });
    causes.filter_map(of).collect()
}

/// nextest has an exit code of its own for "there was no test to run".
fn is_clean(report: &Report<'_>, stderr: &str) -> bool {
    report.exit == 0 || (report.exit == 4 && stderr.contains("no tests to run"))
}

/// Without a test that ran there is nothing to believe.
fn nothing(tests: TestCounts) -> Option<String> {
    match (tests.total(), tests.skipped) {
        (0, _) => Some("there are no tests".to_owned()),
        (total, skipped) if total == skipped => Some(format!("all {total} tests are ignored")),
        _ => None,
    }
}

/// What cargo says that it starts, in the order in which it does: `demo/src/lib.rs`.
fn programs(stderr: &str) -> Vec<String> {
    stderr.lines().filter_map(|line| program(line.trim_start())).collect()
}

/// `Running unittests src/lib.rs (/target/debug/deps/demo-0123456789abcdef)`, `Doc-tests demo`.
fn program(line: &str) -> Option<String> {
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{}/doc", message(name)));
    }
    let (source, file) = line.strip_prefix("Running ")?.strip_suffix(')')?.split_once(" (")?;
    let file = file.rsplit('/').next()?;
    let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
    let source = source.strip_prefix("unittests ").unwrap_or(source);
    Some(format!("{}/{}", message(name), message(source)))
}

/// A test that did not pass.
struct Failure {
    program: usize,
    name: String,
    said: String,
}

/// Where the reader is.
#[derive(Default)]
struct Walk {
    programs: Vec<String>,
    tests: TestCounts,
    failures: Vec<Failure>,
    /// How many programs began.
    begun: usize,
    /// Of the one that runs: how many tests it has.
    open: Option<u64>,
    /// Programs that ended without a result, and how many tests they had.
    lost: Vec<(usize, u64)>,
    /// What failed tests of this program printed, by name.
    printed: Vec<(String, String)>,
    /// In the list of failed tests.
    in_list: bool,
}

/// A line of nextest's.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "event")]
    what: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    stdout: String,
}

impl Walk {
    fn line(&mut self, line: &str) -> Result<(), ParseError> {
        if line.starts_with("{\"type\":") {
            return self.event(line);
        }
        if let Some(count) = running(line) {
            self.end();
            self.open = Some(count);
            self.begun += 1;
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.result(result);
        } else if line == "failures:" {
            self.in_list = true;
        } else if let Some(name) = block(line) {
            self.in_list = false;
            self.printed.push((name.to_owned(), String::new()));
        } else if let Some(name) = line.strip_prefix("    ").filter(|_| self.in_list) {
            self.fail(name);
        } else if let Some((_, said)) = self.printed.last_mut().filter(|(_, said)| said.len() < SAID_MAX) {
            said.push_str(line);
            said.push('\n');
        }
        Ok(())
    }

    fn fail(&mut self, name: &str) {
        let said = self.printed.iter_mut().find(|(printed, _)| printed == name);
        let said = said.map_or(String::new(), |(_, said)| std::mem::take(said));
        self.failures.push(Failure { program: self.begun, name: message(name), said });
    }

    /// `FAILED. 1 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.08s`
    fn result(&mut self, text: &str) {
        let number = |word: &str| -> u32 {
            let part = text.split(['.', ';']).map(str::trim).find(|part| part.ends_with(word));
            part.and_then(|part| part.split(' ').next()?.parse().ok()).unwrap_or(0)
        };
        self.tests.passed =
            self.tests.passed.saturating_add(number(" passed")).saturating_add(number(" measured"));
        self.tests.failed = self.tests.failed.saturating_add(number(" failed"));
        self.tests.skipped = self.tests.skipped.saturating_add(number(" ignored"));
        self.open = None;
        self.printed.clear();
        self.in_list = false;
    }

    /// A program that says nothing more is over.
    fn end(&mut self) {
        if let Some(count) = self.open.take().filter(|count| *count > 0) {
            self.lost.push((self.begun, count));
        }
        self.printed.clear();
        self.in_list = false;
    }

    fn event(&mut self, line: &str) -> Result<(), ParseError> {
        let event: Event = serde_json::from_str(line)
            .map_err(|_| Report::garbled(format!("no line of nextest's JSON: {}", clean(line, 200))))?;
        match (event.kind.as_str(), event.what.as_str()) {
            ("test", "ok") => self.tests.passed = self.tests.passed.saturating_add(1),
            ("test", "ignored") => self.tests.skipped = self.tests.skipped.saturating_add(1),
            ("test", "failed" | "timeout") => {
                self.tests.failed = self.tests.failed.saturating_add(1);
                let name = message(&event.name.replacen('$', "::", 1));
                self.failures.push(Failure { program: 0, name, said: event.stdout });
            }
            _ => {}
        }
        Ok(())
    }

    /// Programs can be named only if each one that cargo started has said that it runs.
    fn program(&self, number: usize) -> Option<&str> {
        let known = self.programs.len() == self.begun;
        number.checked_sub(1).filter(|_| known).and_then(|index| self.programs.get(index)).map(String::as_str)
    }

    fn findings(&mut self, report: &Report<'_>) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.failures.iter().map(|f| self.failed(report, f)).collect();
        if report.exit == 0 {
            // In a red run, what a failed test printed can look like another program's beginning.
            findings.extend(self.lost.iter().map(|lost| self.ended_early(*lost)));
            self.tests.errors = u32::try_from(self.lost.len()).unwrap_or(u32::MAX);
        }
        findings
    }

    fn failed(&self, report: &Report<'_>, failure: &Failure) -> Finding {
        let (path, line) = panicked_at(&failure.said).unwrap_or_default();
        // nextest's names begin with the program's.
        let symbol = match (failure.program, self.program(failure.program)) {
            (0, _) => failure.name.clone(),
            (_, program) => format!("{}::{}", program.unwrap_or("test"), failure.name),
        };
        let path = if path.is_empty() { String::new() } else { report.path(path) };
        let said = message(&format!("{}: {}", failure.name, failure.said.trim()));
        test_finding("test-failed", symbol, &path, line, &said)
    }

    fn ended_early(&self, (number, count): (usize, u64)) -> Finding {
        let program = self.program(number).unwrap_or("a test program");
        let said = format!("{program} ended before it said how its {count} tests went");
        test_finding("test-lost", program.to_owned(), "", 0, &said)
    }
}

fn test_finding(rule: &str, symbol: String, path: &str, line: u32, said: &str) -> Finding {
    Finding { kind: Kind::Test, symbol, ..Finding::code(rule, path, line, Severity::High, said) }
}

/// `running 2 tests`
fn running(line: &str) -> Option<u64> {
    let (count, word) = line.strip_prefix("running ")?.split_once(' ')?;
    count.parse().ok().filter(|_| matches!(word, "test" | "tests"))
}

/// `---- tests::doubles stdout ----`
fn block(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// `thread 'x' panicked at src/lib.rs:23:9:`; a place outside of the repository is not one.
fn panicked_at(said: &str) -> Option<(&str, u32)> {
    let (_, rest) = said.split_once("panicked at ")?;
    let mut parts = rest.lines().next()?.trim_end_matches(':').rsplitn(3, ':');
    let (_, line, path) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    (!path.starts_with('/')).then_some((path, line))
}
