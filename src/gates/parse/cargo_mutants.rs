//! cargo-mutants, by `outcomes.json`: 0 all caught · 2 some missed · 3 some timed out · 4 the tests
//! fail without any mutant. A run without a mutant leaves no file, or one with nothing in it.

use serde::Deserialize;

use super::{ParseError, Parsed, Report, line, message};
use crate::domain::gate::{Finding, Mutants, Severity};

#[derive(Deserialize)]
struct Outcomes {
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    scenario: Scenario,
    summary: String,
}

#[derive(Deserialize)]
enum Scenario {
    Baseline,
    Mutant(Mutant),
}

#[derive(Deserialize)]
struct Mutant {
    name: String,
    file: String,
    function: Option<Function>,
    span: Option<Span>,
}

#[derive(Deserialize)]
struct Function {
    function_name: String,
}

#[derive(Deserialize)]
struct Span {
    start: Start,
}

#[derive(Deserialize)]
struct Start {
    line: i64,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.body().iter().all(u8::is_ascii_whitespace) {
        return without_report(report);
    }
    let outcomes: Outcomes = serde_json::from_slice(report.body())
        .map_err(|error| Report::garbled(format!("no outcomes of cargo-mutants: {error}")))?;
    let mut mutants = Mutants::default();
    let mut findings = Vec::new();
    for Outcome { scenario, summary } in &outcomes.outcomes {
        match (scenario, summary.as_str()) {
            (Scenario::Baseline, "Success") => {}
            (Scenario::Baseline, _) => {
                // Whose tests are red is told by the gate that runs them.
                let nothing = "its tests do not pass before anything is mutated, so nothing was".to_owned();
                return Ok(Parsed { nothing: Some(nothing), ..Parsed::default() });
            }
            (Scenario::Mutant(_), "CaughtMutant") => mutants.killed += 1,
            (Scenario::Mutant(_), "Timeout") => mutants.timeout += 1,
            (Scenario::Mutant(mutant), "MissedMutant") => {
                mutants.survived += 1;
                findings.push(survivor(report, mutant));
            }
            (Scenario::Mutant(_), "Unviable") => mutants.skipped += 1,
            (Scenario::Mutant(mutant), other) => {
                return Err(Report::garbled(format!("{}: {}", message(&mutant.name), message(other))));
            }
        }
    }
    if report.exit == 0 && mutants.survived > 0 || report.exit != 0 && mutants.tried() == 0 {
        return Err(report.contradiction());
    }
    let nothing = (mutants.tried() == 0).then(|| "there was nothing to mutate".to_owned());
    Ok(Parsed { findings, mutants: Some(mutants), nothing, ..Parsed::default() })
}

/// What it says when it has nothing to do.
const NONE: [&str; 5] = [
    "No mutants to filter",
    "No mutants found",
    "No mutants were generated",
    "Diff changes no Rust source files",
    "Diff file is empty",
];

/// Nothing in the change can be mutated, or it never came so far.
fn without_report(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let said = String::from_utf8_lossy(report.stderr);
    if report.exit == 0 && NONE.iter().any(|words| said.contains(words)) {
        let nothing = Some("there was nothing to mutate".to_owned());
        return Ok(Parsed { nothing, ..Parsed::default() });
    }
    Err(report.no_report())
}

/// Shown; the score is what blocks.
fn survivor(report: &Report<'_>, mutant: &Mutant) -> Finding {
    // `src/lib.rs:2:7: replace * with + in double`
    let said = mutant.name.splitn(4, ':').nth(3).unwrap_or(&mutant.name);
    let said = message(&format!("no test fails when this is changed: {}", said.trim()));
    let start = mutant.span.as_ref().map(|span| span.start.line);
    let symbol = mutant.function.as_ref().map_or(String::new(), |f| message(&f.function_name));
    let found =
        Finding::code("mutant-survived", &report.path(&mutant.file), line(start), Severity::Low, &said);
    Finding { symbol, ..found }
}
