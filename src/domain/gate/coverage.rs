//! What the tests run of the code: of the lines that a change brings, and of the whole.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Finding, Metric, Severity, Status};

/// Lines that a change adds or changes, by path: in the candidate's numbers, from 1.
pub type ChangedLines = BTreeMap<String, BTreeSet<u32>>;

/// What tests ran.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Per cent of the whole, as the tool itself counts it.
    pub percent: f64,
    /// By path, relative to the repository.
    pub files: BTreeMap<String, Lines>,
}

/// The executable lines of a file, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lines {
    /// A test ran them.
    pub hit: BTreeSet<u32>,
    /// None did.
    pub missed: BTreeSet<u32>,
}

/// To what coverage is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CoverageLimits {
    /// Per cent of the changed lines, and of the whole where the base has it.
    pub least: f64,
    /// With fewer changed executable lines than this nothing is said of them.
    pub lines_min: usize,
    /// Points that the whole may lose.
    pub drop_max: f64,
}

impl Default for CoverageLimits {
    fn default() -> Self {
        Self { least: 80.0, lines_min: 10, drop_max: 0.5 }
    }
}

/// Changed executable lines, and those among them that no test runs.
struct Patch<'a> {
    lines: usize,
    missed: Vec<(&'a str, BTreeSet<u32>)>,
}

impl Patch<'_> {
    fn percent(&self) -> f64 {
        let missed: usize = self.missed.iter().map(|(_, lines)| lines.len()).sum();
        percent(self.lines - missed, self.lines)
    }
}

/// Findings and metrics of a coverage held against the base's (`None`: unknown, or there is none).
///
/// Of the changed lines `least` per cent must be run, once there are enough of them; the whole may
/// not lose more than `drop_max` points, and not fall below `least` if the base was not below it.
/// Old code that never had tests blocks nobody.
pub fn judge_coverage(
    head: &Coverage,
    base: Option<&Coverage>,
    changed: &ChangedLines,
    limits: CoverageLimits,
) -> (Vec<Finding>, Vec<Metric>) {
    let patch = patch(head, changed);
    let enough = patch.lines >= limits.lines_min;
    let low = enough && patch.percent() < limits.least;
    let severity = if low { Severity::Medium } else { Severity::Info };
    let mut findings: Vec<Finding> =
        patch.missed.iter().map(|(path, lines)| uncovered(path, lines, severity)).collect();
    if low {
        let said = format!(
            "tests run {:.1} % of the {} new or changed lines; at least {} % is asked for",
            patch.percent(),
            patch.lines,
            limits.least
        );
        findings.push(Finding::code("coverage-of-change", "", 0, Severity::High, &said));
    }
    let held_to = base.filter(|base| !only_shrank(head, base));
    findings.extend(held_to.and_then(|base| whole(head.percent, base.percent, limits)));
    let mut metrics = vec![metric("coverage", head.percent, limits.least)];
    if enough {
        metrics.push(metric("coverage_of_change", patch.percent(), limits.least));
    }
    (findings, metrics)
}

fn patch<'a>(head: &'a Coverage, changed: &ChangedLines) -> Patch<'a> {
    let mut patch = Patch { lines: 0, missed: Vec::new() };
    for (path, lines) in &head.files {
        let Some(changed) = changed.get(path) else { continue };
        let missed: BTreeSet<u32> = lines.missed.intersection(changed).copied().collect();
        patch.lines += lines.hit.intersection(changed).count() + missed.len();
        if !missed.is_empty() {
            patch.missed.push((path, missed));
        }
    }
    patch
}

fn uncovered(path: &str, lines: &BTreeSet<u32>, severity: Severity) -> Finding {
    let first = lines.first().copied().unwrap_or(0);
    let said = format!("no test runs line {}", ranges(lines));
    Finding::code("uncovered", path, first, severity, &said)
}

/// `3-5, 9`
fn ranges(lines: &BTreeSet<u32>) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match parts.last_mut() {
            Some((_, end)) if *end + 1 == *line => *end = *line,
            _ => parts.push((*line, *line)),
        }
    }
    let words = parts.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") });
    words.collect::<Vec<_>>().join(", ")
}

/// Whether there is less code, and no more of it that no test runs: who deletes what is tested well lowers the share.
fn only_shrank(head: &Coverage, base: &Coverage) -> bool {
    let missed = |of: &Coverage| of.files.values().map(|lines| lines.missed.len()).sum::<usize>();
    let hit = |of: &Coverage| of.files.values().map(|lines| lines.hit.len()).sum::<usize>();
    hit(head) < hit(base) && missed(head) <= missed(base)
}

fn whole(head: f64, base: f64, limits: CoverageLimits) -> Option<Finding> {
    let fell = base - head > limits.drop_max;
    let crossed = base >= limits.least && head < limits.least;
    let said = format!("tests run {head:.1} % of the whole, before it was {base:.1} %");
    (fell || crossed).then(|| Finding {
        status: Status::New,
        ..Finding::code("coverage-of-whole", "", 0, Severity::High, &said)
    })
}

fn metric(name: &str, value: f64, threshold: f64) -> Metric {
    Metric {
        name: name.to_owned(),
        // Two digits: more are noise.
        value: (value * 100.0).round() / 100.0,
        threshold: Some(threshold),
        path: String::new(),
        symbol: String::new(),
        line: 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of lines")]
fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gate::Mode;

    fn coverage(percent: f64, hit: &[u32], missed: &[u32]) -> Coverage {
        let lines = Lines { hit: hit.iter().copied().collect(), missed: missed.iter().copied().collect() };
        Coverage { percent, files: [("a.py".to_owned(), lines)].into() }
    }

    fn changed(lines: std::ops::RangeInclusive<u32>) -> ChangedLines {
        [("a.py".to_owned(), lines.collect())].into()
    }

    /// The rules of what blocks in mode `new`.
    fn blocking(head: &Coverage, base: Option<&Coverage>, changed: &ChangedLines) -> Vec<String> {
        let (findings, _) = judge_coverage(head, base, changed, CoverageLimits::default());
        findings.iter().filter(|f| f.blocks(Mode::New)).map(|f| f.rule.clone()).collect()
    }

    #[test]
    fn changed_lines_are_held_to_the_limit_once_there_are_enough() {
        let head = coverage(50.0, &[1, 2, 3, 4, 5, 6, 7], &[8, 9, 10, 11]);
        let base = coverage(50.0, &[], &[]);
        assert_eq!(blocking(&head, Some(&base), &changed(1..=10)), ["uncovered", "coverage-of-change"]);
        assert!(blocking(&head, Some(&base), &changed(2..=10)).is_empty(), "nine lines");
        assert!(blocking(&head, Some(&base), &changed(20..=90)).is_empty(), "nothing executable");
        let better = coverage(50.0, &[1, 2, 3, 4, 5, 6, 7, 8], &[9, 10]);
        assert!(blocking(&better, Some(&base), &changed(1..=10)).is_empty(), "exactly 80 %");
        let (findings, metrics) = judge_coverage(&head, None, &changed(1..=10), CoverageLimits::default());
        assert_eq!(findings[0].message, "no test runs line 8-10");
        assert_eq!((findings[0].path.as_str(), findings[0].line), ("a.py", 8));
        assert_eq!(metrics[1].value.to_string(), "70");
    }

    #[test]
    fn the_whole_may_not_fall_and_old_code_without_tests_blocks_nobody() {
        let at = |percent| coverage(percent, &[], &[]);
        let none = ChangedLines::new();
        assert_eq!(blocking(&at(89.0), Some(&at(90.0)), &none), ["coverage-of-whole"]);
        assert_eq!(blocking(&at(79.9), Some(&at(80.0)), &none), ["coverage-of-whole"]);
        assert!(blocking(&at(89.6), Some(&at(90.0)), &none).is_empty());
        assert!(blocking(&at(63.0), Some(&at(63.0)), &none).is_empty());
        assert!(blocking(&at(3.0), None, &none).is_empty());
        // 20 of 22 lines, then 10 of 12; or two more that nothing runs.
        let lines: Vec<u32> = (1..=20).collect();
        let (before, fewer) = (coverage(90.9, &lines, &[30, 31]), coverage(83.3, &lines[..10], &[30, 31]));
        assert!(blocking(&fewer, Some(&before), &none).is_empty(), "what was tested is deleted");
        let less_run = coverage(83.3, &lines[..18], &[19, 20, 30, 31]);
        assert_eq!(blocking(&less_run, Some(&before), &none), ["coverage-of-whole"]);
    }
}
