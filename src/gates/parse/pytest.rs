//! pytest, by its `JUnit` XML (`xunit1`: only that names each test's file) and its exit codes:
//! 0 passed · 1 failed, or a plugin's threshold · 2 interrupted · 4 bad call, or a broken
//! `conftest.py` · 5 nothing collected. 3, an internal error, is not among the expected ones.

use std::collections::{BTreeMap, BTreeSet};

use super::coverage_py;
use super::junit::{self, Case, End, Suite};
use super::{ParseError, Parsed, Report, last_lines, line, message};
use crate::domain::gate::{Finding, Kind, Severity};

const UNMEASURED: &str = "coverage was not measured: pytest-cov is not there, or turned off";

const UNREPORTED: &str = "coverage was not measured: pytest-cov was asked, and left no report";

const CONFTEST: &str = "ImportError while loading conftest '";

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.exit == 5 {
        return Err(ParseError::NoTests { what: "none was collected".to_owned() });
    }
    if report.file.is_none_or(<[u8]>::is_empty) {
        return broken_conftest(report).ok_or_else(|| report.no_report());
    }
    let Suite { mut cases, properties } = junit::suite(report)?;
    if let Some(internal) = cases.iter().find(|c| c.classname == "pytest" && c.name == "internal") {
        return Err(ParseError::Failed { what: message(&internal.said) });
    }
    // One without a name was set up, and never ran to its end.
    cases.retain(|case| case.end != End::Passed || !(case.classname.is_empty() && case.name.is_empty()));
    let unfinished = unfinished(&properties);
    if unfinished.is_none() {
        junit::some_ran(&cases)?;
    }
    for case in &mut cases {
        // pytest counts lines from 0 there.
        case.line = case.line.map(|line| line.saturating_add(1));
        name_the_cause(case);
    }
    let mut parsed = junit::parsed(report, &cases, node_id);
    parsed.ran = super::ran(cases.iter().filter(|case| !case.classname.is_empty()).map(|case| {
        let name = case.name.split('[').next().unwrap_or_default().to_owned();
        (report.path(&case.file), name, case.end == End::Skipped)
    }));
    // That it gave up itself has its reason in another finding.
    let gave_up = properties.get("sprint.stopped").is_some_and(|said| said.starts_with("Interrupted: "));
    if let Some(said) = unfinished.as_ref().filter(|_| !gave_up || parsed.findings.is_empty()) {
        parsed.findings.push(ended_early(report, said));
    }
    match (report.exit, parsed.findings.is_empty()) {
        (0, _) | (1 | 2, false) => {}
        (1, true) => parsed.findings.push(threshold(report)),
        // What a call of `pytest.exit` wants it to exit with is as it likes.
        _ if unfinished.is_some() => {}
        _ => return Err(report.contradiction()),
    }
    let interrupted = || "pytest was interrupted and ran nothing else".to_owned();
    parsed.findings.extend(idle(report, &properties)?);
    parsed.incomplete = unfinished.or_else(|| (report.exit == 2).then(interrupted));
    match report.also.filter(|bytes| !bytes.is_empty()) {
        Some(bytes) => parsed.coverage = coverage_py::read(report, bytes)?,
        None if parsed.incomplete.is_some() => {}
        None if properties.get("sprint.coverage").is_some_and(|asked| !asked.is_empty()) => {
            parsed.note = Some(UNREPORTED.to_owned());
        }
        None => parsed.note = Some(UNMEASURED.to_owned()),
    }
    Ok(parsed)
}

/// Why fewer tests ran to their end than were collected, by what our own plugin says in the report; where
/// it had no part in the run, nobody says it.
fn unfinished(properties: &BTreeMap<String, String>) -> Option<String> {
    let count = |name: &str| properties.get(name)?.parse::<usize>().ok();
    let of = match (count("sprint.ended"), count("sprint.collected")) {
        (Some(ended), Some(collected)) => (ended < collected).then(|| format!("{ended} of {collected}")),
        _ => None,
    };
    match (properties.get("sprint.stopped"), of) {
        (Some(stopped), Some(of)) => {
            Some(format!("pytest was stopped after {of} tests: {}", message(stopped)))
        }
        (Some(stopped), None) => Some(format!("pytest was stopped before its end: {}", message(stopped))),
        (None, Some(of)) => Some(format!("only {of} collected tests ran to their end")),
        (None, None) => None,
    }
}

/// Tests that look like some and cannot fail, by what our own plugin says: none of their code runs.
fn idle(report: &Report<'_>, properties: &BTreeMap<String, String>) -> Result<Vec<Finding>, ParseError> {
    let Some(said) = properties.get("sprint.idle") else { return Ok(Vec::new()) };
    let all: Vec<(String, u32, String)> = serde_json::from_str(said).map_err(|error| ParseError::Failed {
        what: message(&format!("its report says of idle tests what cannot be read: {error}")),
    })?;
    let finding = |(id, at, why): (String, u32, String)| Finding {
        kind: Kind::Test,
        symbol: message(&id),
        ..Finding::code(
            "idle-test",
            &report.path(id.split("::").next().unwrap_or_default()),
            at,
            Severity::High,
            &message(&format!("{id}: {why}")),
        )
    };
    Ok(all.into_iter().map(finding).collect())
}

/// Somebody ends the session, whatever the exit code is then: `pytest.exit("…", 0)`.
fn ended_early(report: &Report<'_>, said: &str) -> Finding {
    // `Exit: enough (pkg/core.py:5) in tests/test_core.py::test_a`
    let place = said.rsplit_once(" (").and_then(|(_, rest)| rest.split_once(')')).map(|(place, _)| place);
    let place = place.and_then(|place| place.rsplit_once(':'));
    let (path, at) = place.and_then(|(path, at)| Some((path, at.parse().ok()?))).unwrap_or_default();
    let path = if path.is_empty() { String::new() } else { report.path(path) };
    Finding {
        kind: Kind::Test,
        symbol: "the whole run".to_owned(),
        ..Finding::code("ended-early", &path, at, Severity::High, &message(said))
    }
}

/// The first line of what cannot be collected says nothing; the reason is the last one that pytest marks.
fn name_the_cause(case: &mut Case) {
    const BARE: &str = "collection failure";
    let why = case.said.lines().rev().find_map(|line| line.strip_prefix("E  ")).map(str::trim);
    if let Some(why) = why.filter(|_| case.said.lines().next() == Some(BARE)) {
        case.said = case.said.replacen(BARE, &format!("{BARE}: {why}"), 1);
    }
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
    let Ok(Suite { cases, .. }) = junit::suite(report) else { return BTreeSet::new() };
    let of = |wanted: fn(End) -> bool| {
        cases.iter().filter(move |c| wanted(c.end)).map(node_id).collect::<BTreeSet<_>>()
    };
    let (passed, other) = (of(|end| end == End::Passed), of(|end| end != End::Passed));
    passed.difference(&other).cloned().collect()
}
