//! `vitest run --reporter=json`: files and their tests; and the lcov report of its coverage, where
//! the repository has a provider for it. 1 is a failed test, a broken file, an error outside of
//! every test, a threshold, or no test at all.

use serde::Deserialize;

use super::{ParseError, Parsed, Report, last_lines, lcov, message};
use crate::domain::gate::{Finding, Kind, Severity, TestCounts};

/// So many lines of what it says besides its report.
const WORDS_MAX: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole {
    test_results: Vec<File>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    name: String,
    status: String,
    #[serde(default)]
    message: String,
    assertion_results: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    #[serde(default)]
    ancestor_titles: Vec<String>,
    title: String,
    status: String,
    #[serde(default)]
    failure_messages: Option<Vec<String>>,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.body().iter().all(u8::is_ascii_whitespace) {
        return Err(report.no_report());
    }
    let whole: Whole = serde_json::from_slice(report.body())
        .map_err(|error| Report::garbled(format!("no vitest JSON: {error}")))?;
    let mut tests = TestCounts::default();
    let mut findings = Vec::new();
    let mut ran_ones = Vec::new();
    for file in &whole.test_results {
        let path = report.path(&file.name);
        let skipped = |test: &Test| !matches!(test.status.as_str(), "passed" | "failed");
        let of = |test: &Test| (path.clone(), test.title.clone(), skipped(test));
        ran_ones.extend(file.assertion_results.iter().map(of));
        findings
            .extend(file.assertion_results.iter().filter_map(|test| count(report, &path, test, &mut tests)));
        if file.status == "failed" && file.assertion_results.iter().all(|test| test.status != "failed") {
            tests.errors += 1;
            findings.push(finding("test-error", &path, path.clone(), 0, &file.message));
        }
    }
    if findings.is_empty() {
        ran(tests)?;
        if report.exit != 0 {
            findings.push(refused(report));
        }
    }
    let coverage = report.also.filter(|bytes| !bytes.is_empty()).map(|bytes| lcov::coverage(report, bytes));
    Ok(Parsed {
        findings,
        tests,
        coverage: coverage.transpose()?.flatten(),
        ran: super::ran(ran_ones),
        ..Parsed::default()
    })
}

fn ran(tests: TestCounts) -> Result<(), ParseError> {
    match (tests.total(), tests.skipped) {
        (0, _) => Err(ParseError::NoTests { what: "none was collected".to_owned() }),
        (total, skipped) if total == skipped => {
            Err(ParseError::NoTests { what: format!("all {total} tests were skipped") })
        }
        _ => Ok(()),
    }
}

fn count(report: &Report<'_>, path: &str, test: &Test, tests: &mut TestCounts) -> Option<Finding> {
    let counted = match test.status.as_str() {
        "passed" => &mut tests.passed,
        "failed" => &mut tests.failed,
        _ => &mut tests.skipped,
    };
    *counted = counted.saturating_add(1);
    if test.status != "failed" {
        return None;
    }
    let titles = test.ancestor_titles.iter().map(String::as_str).chain([test.title.as_str()]);
    let name = titles.collect::<Vec<_>>().join(" > ");
    let said = test.failure_messages.as_deref().unwrap_or_default().join("\n");
    let row = place(report, path, &said);
    let name = message(&name);
    Some(finding("test-failed", path, format!("{path}::{name}"), row, &format!("{name}: {said}")))
}

/// Where in the test's own file it went wrong: `at /repo/src/a.test.js:6:23`.
fn place(report: &Report<'_>, path: &str, said: &str) -> u32 {
    let frame = said.lines().find_map(|line| {
        let at = line.trim().strip_prefix("at ")?;
        // `at name (place)`, or the place alone, which may have spaces in it.
        let place = at.strip_suffix(')').and_then(|at| at.rsplit_once(" (")).map_or(at, |(_, place)| place);
        let mut parts = place.rsplitn(3, ':');
        let (_, row, file) = (parts.next()?, parts.next()?, parts.next()?);
        if report.path(file) == path { row.parse().ok() } else { None }
    });
    frame.unwrap_or(0)
}

fn finding(rule: &str, path: &str, symbol: String, row: u32, said: &str) -> Finding {
    let found = Finding::code(rule, path, row, Severity::High, &message(said));
    Finding { kind: Kind::Test, symbol, ..found }
}

/// An error that no test is to blame for, or a threshold of the repository's own.
fn refused(report: &Report<'_>) -> Finding {
    let words = outside_of_tests(&String::from_utf8_lossy(report.stderr)).unwrap_or_else(|| {
        last_lines(if report.stderr.is_empty() { report.stdout } else { report.stderr }, WORDS_MAX)
    });
    let said = format!("no test failed, but vitest exited with {}: {words}", report.exit);
    finding("vitest-exit", "", "exit code".to_owned(), 0, &said)
}

/// The first of its "Unhandled Errors": what stands below `⎯⎯⎯ Uncaught Exception ⎯⎯⎯`, which another such line ends.
fn outside_of_tests(said: &str) -> Option<String> {
    let is_rule = |line: &&str| line.contains("⎯⎯⎯⎯");
    let mut lines = said.lines().skip_while(|line| !line.contains(" Unhandled Errors ")).skip(1);
    lines.find(is_rule)?;
    let below = lines.take_while(|line| !is_rule(line)).filter(|line| !line.trim().is_empty());
    Some(message(&below.take(WORDS_MAX).collect::<Vec<_>>().join("\n")))
}
