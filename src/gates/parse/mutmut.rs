//! mutmut, by the report of the script that drives it (`config/gates/mutmut.py`): mutmut itself
//! prints for people, and exits with 0 whatever survives.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ParseError, Parsed, Report, json, line, message};
use crate::domain::gate::{Finding, Mutants, Severity};

#[derive(Deserialize)]
struct Whole {
    report: String,
    failed: Option<String>,
    nothing: Option<String>,
    unreachable: Option<String>,
    #[serde(default)]
    settled: bool,
    #[serde(default)]
    counts: BTreeMap<String, u32>,
    #[serde(default)]
    mutants: Vec<Mutant>,
    #[serde(default)]
    late: bool,
}

#[derive(Deserialize)]
struct Mutant {
    status: String,
    path: String,
    line: Option<i64>,
    symbol: String,
    #[serde(default)]
    diff: String,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let whole: Whole = json(report, "mutmut")?;
    if whole.report != "mutmut" {
        return Err(Report::garbled("not the report that was asked for"));
    }
    if let Some(why) = whole.failed {
        return Err(ParseError::Failed { what: message(&why) });
    }
    if let Some(why) = whole.unreachable {
        let (unreachable, settled) = (Some(message(&why)), whole.settled);
        return Ok(Parsed { unreachable, settled, ..Parsed::default() });
    }
    if let Some(why) = whole.nothing {
        return Ok(Parsed { nothing: Some(message(&why)), ..Parsed::default() });
    }
    let count = |names: &[&str]| {
        names.iter().filter_map(|name| whole.counts.get(*name)).fold(0, |sum: u32, n| sum.saturating_add(*n))
    };
    let mutants = Mutants {
        killed: count(&["killed", "caught by type check", "segfault"]),
        timeout: count(&["timeout"]),
        // What ended in no known way was noticed by nobody.
        survived: count(&["survived", "suspicious"]),
        untested: count(&["no tests"]),
        skipped: count(&["skipped"]),
    };
    let left = count(&["not checked", "interrupted"]);
    let tried = mutants.tried();
    if tried == 0 && left > 0 {
        return Err(ParseError::Failed { what: format!("none of {left} mutants was tried in its time") });
    }
    if left > 0 && !whole.late {
        return Err(ParseError::Failed {
            what: format!("{left} mutants were not tried, and it does not say why"),
        });
    }
    let note = (left > 0)
        .then(|| format!("{tried} of {} mutants were tried in its time", tried.saturating_add(left)));
    let findings = whole.mutants.iter().map(|mutant| finding(report, mutant)).collect();
    Ok(Parsed { findings, note, mutants: Some(mutants), ..Parsed::default() })
}

/// What a diff changes, on one line: only the first line of a message is shown where there is little room.
fn changed(diff: &str) -> String {
    let lines = diff.lines().filter(|line| !line.starts_with("---") && !line.starts_with("+++"));
    let of = |sign: char| lines.clone().find_map(|line| line.strip_prefix(sign)).map(str::trim);
    match (of('-'), of('+')) {
        (Some(old), Some(new)) => format!("`{old}` became `{new}`"),
        (Some(old), None) => format!("`{old}` went"),
        (None, Some(new)) => format!("`{new}` came"),
        (None, None) => "see the diff".to_owned(),
    }
}

/// One that nobody noticed is shown; what blocks is the share of them.
fn finding(report: &Report<'_>, mutant: &Mutant) -> Finding {
    let (rule, said) = match mutant.status.as_str() {
        "no tests" => ("mutant-untested", "no test runs this"),
        _ => ("mutant-survived", "no test notices this change"),
    };
    let said = message(&format!("{said}: {}\n{}", changed(&mutant.diff), mutant.diff));
    let code = Finding::code(rule, &report.path(&mutant.path), line(mutant.line), Severity::Low, &said);
    Finding { symbol: message(&mutant.symbol), ..code }
}
