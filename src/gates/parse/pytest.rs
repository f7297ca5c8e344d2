//! pytest, by its `JUnit` XML (`xunit1`: only that names each test's file) and its exit codes:
//! 0 passed · 1 failed, or a plugin's threshold · 2 interrupted · 4 bad call, or a broken
//! `conftest.py` · 5 nothing collected. 3, an internal error, is not among the expected ones.

use std::collections::BTreeSet;

use super::coverage_py;
use super::junit::{self, Case, End};
use super::{ParseError, Parsed, Report, last_lines, line, message};
use crate::domain::gate::{Finding, Kind, Severity};

const UNMEASURED: &str = "coverage was not measured: pytest-cov is not there, or turned off";

const CONFTEST: &str = "ImportError while loading conftest '";

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.exit == 5 {
        return Err(ParseError::NoTests { what: "none was collected".to_owned() });
    }
    if report.file.is_none_or(<[u8]>::is_empty) {
        return broken_conftest(report).ok_or_else(|| report.no_report());
    }
    let mut cases = junit::cases(report)?;
    if let Some(internal) = cases.iter().find(|c| c.classname == "pytest" && c.name == "internal") {
        return Err(ParseError::Failed { what: message(&internal.said) });
    }
    for case in &mut cases {
        // pytest counts lines from 0 there.
        case.line = case.line.map(|line| line.saturating_add(1));
    }
    let mut parsed = junit::parsed(report, &cases, node_id);
    parsed.ran = super::ran(cases.iter().filter(|case| !case.classname.is_empty()).map(|case| {
        let name = case.name.split('[').next().unwrap_or_default().to_owned();
        (report.path(&case.file), name, case.end == End::Skipped)
    }));
    match (report.exit, parsed.findings.is_empty()) {
        (0, _) | (1 | 2, false) => {}
        (1, true) => parsed.findings.push(threshold(report)),
        _ => return Err(report.contradiction()),
    }
    parsed.incomplete = (report.exit == 2).then(|| "pytest was interrupted and ran nothing else".to_owned());
    match report.also.filter(|bytes| !bytes.is_empty()) {
        Some(bytes) => parsed.coverage = coverage_py::read(report, bytes)?,
        None => parsed.note = Some(UNMEASURED.to_owned()),
    }
    Ok(parsed)
}

/// `tests/test_a.py::TestK::test_in[x]`: what pytest takes to run that test alone.
fn node_id(case: &Case) -> String {
    if case.file.is_empty() {
        return format!("{}::{}", case.classname, case.name);
    }
    if case.classname.is_empty() {
        // A file that could not be collected; its name is the module's.
        return case.file.clone();
    }
    let module = case.file.trim_end_matches(".py").replace('/', ".");
    let classes = case.classname.strip_prefix(&module).unwrap_or("").trim_start_matches('.');
    let parts = classes.split('.').filter(|class| !class.is_empty());
    [case.file.as_str()].into_iter().chain(parts).chain([case.name.as_str()]).collect::<Vec<_>>().join("::")
}

/// A `conftest.py` that cannot be imported is the developer's, though pytest calls it a bad call.
fn broken_conftest(report: &Report<'_>) -> Option<Parsed> {
    let text = String::from_utf8_lossy(report.stderr);
    let (_, rest) = text.split_once(CONFTEST)?;
    let (path, rest) = rest.split_once('\'')?;
    let path = report.path(path);
    let said = message(&format!("cannot be imported: {}", rest.trim_start_matches('.').trim()));
    let number = rest.split_once(&format!("{path}:")).map_or("", |(_, rest)| rest);
    let number = number.split(':').next().and_then(|n| n.parse().ok());
    let finding = Finding {
        kind: Kind::Test,
        symbol: path.clone(),
        ..Finding::code("conftest", &path, line(number), Severity::Critical, &said)
    };
    let incomplete = Some("pytest ran no test".to_owned());
    Some(Parsed { findings: vec![finding], incomplete, ..Parsed::default() })
}

/// Exit code 1 although nothing failed: `--cov-fail-under` in the repository's own options, or alike.
fn threshold(report: &Report<'_>) -> Finding {
    let said =
        message(&format!("no test failed, but pytest exited with 1: {}", last_lines(report.stdout, 5)));
    Finding {
        kind: Kind::Test,
        symbol: "exit code 1".to_owned(),
        ..Finding::code("pytest-exit", "", 0, Severity::High, &said)
    }
}

/// The tests that passed and nothing else: neither their set-up nor their tear-down failed.
pub(super) fn passed(report: &Report<'_>) -> BTreeSet<String> {
    let Ok(cases) = junit::cases(report) else { return BTreeSet::new() };
    let of = |wanted: fn(End) -> bool| {
        cases.iter().filter(move |c| wanted(c.end)).map(node_id).collect::<BTreeSet<_>>()
    };
    let (passed, other) = (of(|end| end == End::Passed), of(|end| end != End::Passed));
    passed.difference(&other).cloned().collect()
}
