//! lcov's tracefile: which lines tests ran, by file. Only what sprint needs is read: coverage.py
//! puts words where branches should have numbers (`BRDA:2,0,jump to line 3,1`), and that must not
//! matter.

use super::{ParseError, Parsed, Report, message};
use crate::domain::gate::{Coverage, Lines};

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.body().iter().all(u8::is_ascii_whitespace) {
        return Err(report.no_report());
    }
    let coverage = coverage(report, report.body())?;
    if !report.clean.contains(&report.exit) {
        return Err(report.contradiction());
    }
    let nothing = coverage.is_none().then(|| "there is no executable line".to_owned());
    Ok(Parsed { scanned: Some(1), coverage, nothing, ..Parsed::default() })
}

/// The record that is being read: a file's lines, or only how many there are.
#[derive(Default)]
struct Record {
    path: String,
    lines: Lines,
    found: u64,
    run: u64,
}

/// The coverage of a tracefile; `None` where no line can be run.
pub(super) fn coverage(report: &Report<'_>, bytes: &[u8]) -> Result<Option<Coverage>, ParseError> {
    let text = String::from_utf8_lossy(bytes);
    let mut totals = Totals::default();
    let mut open: Option<Record> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line == "end_of_record" {
            let record =
                open.take().ok_or_else(|| Report::garbled("no lcov: a record ends that never began"))?;
            totals.add(record);
            continue;
        }
        match (line.split_once(':'), open.as_mut()) {
            (Some(("SF", path)), None) => {
                open = Some(Record { path: report.path(path), ..Record::default() });
            }
            (Some(("SF", _)), Some(_)) => {
                return Err(Report::garbled("no lcov: a record begins within another"));
            }
            (Some((keyword, value)), Some(record)) => record.keep(keyword, value),
            // `TN:` names a test, before its records.
            (Some(("TN", _)), None) => {}
            _ if line.starts_with('#') => {}
            _ => return Err(Report::garbled(format!("no line of lcov: {}", message(line)))),
        }
    }
    if open.is_some() {
        return Err(Report::garbled("lcov that breaks off in the middle"));
    }
    Ok(totals.coverage())
}

impl Record {
    /// `DA:line,how often`, `LF:how many`, `LH:how many of them ran`; functions and branches are passed over.
    fn keep(&mut self, keyword: &str, value: &str) {
        match keyword {
            "DA" => self.line(value),
            "LF" => self.found = value.parse().unwrap_or(0),
            "LH" => self.run = value.parse().unwrap_or(0),
            _ => {}
        }
    }

    fn line(&mut self, value: &str) {
        let mut parts = value.split(',');
        let number = parts.next().and_then(|number| number.parse::<u32>().ok());
        let times = parts.next().and_then(|times| times.parse::<f64>().ok());
        let (Some(number), Some(times)) = (number, times) else { return };
        let kept = if times > 0.0 { &mut self.lines.hit } else { &mut self.lines.missed };
        kept.insert(number);
    }
}

/// All records; a file has several where several programs ran it.
#[derive(Default)]
struct Totals {
    coverage: Coverage,
    /// Of files without a single line: (found, run).
    counted: (u64, u64),
}

impl Totals {
    fn add(&mut self, record: Record) {
        if record.lines == Lines::default() {
            self.counted.0 = self.counted.0.saturating_add(record.found);
            self.counted.1 = self.counted.1.saturating_add(record.run.min(record.found));
            return;
        }
        let lines = self.coverage.files.entry(record.path).or_default();
        lines.hit.extend(record.lines.hit);
        lines.missed.extend(record.lines.missed);
    }

    fn coverage(mut self) -> Option<Coverage> {
        for lines in self.coverage.files.values_mut() {
            let hit = &lines.hit;
            lines.missed.retain(|line| !hit.contains(line));
        }
        let of =
            |count: fn(&Lines) -> usize| self.coverage.files.values().map(|l| count(l) as u64).sum::<u64>();
        let run = of(|lines| lines.hit.len()).saturating_add(self.counted.1);
        let all = of(|lines| lines.hit.len() + lines.missed.len()).saturating_add(self.counted.0);
        self.coverage.percent = percent(run, all)?;
        Some(self.coverage)
    }
}

/// Per cent; `None` of nothing.
#[expect(clippy::cast_precision_loss, reason = "numbers of lines")]
pub(super) fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part.min(whole) as f64 * 100.0 / whole as f64)
}
