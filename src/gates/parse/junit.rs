//! `JUnit` XML: `<testcase>`s, counted one by one, because the totals of a root are often missing.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use super::{ParseError, Parsed, Report, line, message};
use crate::domain::gate::{Finding, Kind, Severity, TestCounts};

/// One `<testcase>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Case {
    pub(super) classname: String,
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: Option<i64>,
    pub(super) end: End,
    /// `message`, a blank line, and the text below it.
    pub(super) said: String,
}

/// What a report has.
#[derive(Debug, Default)]
pub(super) struct Suite {
    pub(super) cases: Vec<Case>,
    /// `<property>`s that are no test's.
    pub(super) properties: BTreeMap<String, String>,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum End {
    #[default]
    Passed,
    Skipped,
    Failed,
    Error,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    let cases = cases(report)?;
    let parsed = parsed(report, &cases, |case| {
        [case.classname.as_str(), case.name.as_str()]
            .iter()
            .filter(|s| !s.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(".")
    });
    if report.exit != 0 && parsed.findings.is_empty() {
        return Err(report.contradiction());
    }
    Ok(parsed)
}

/// The cases of the report.
fn cases(report: &Report<'_>) -> Result<Vec<Case>, ParseError> {
    let cases = suite(report)?.cases;
    some_ran(&cases)?;
    Ok(cases)
}

/// All that the report has.
pub(super) fn suite(report: &Report<'_>) -> Result<Suite, ParseError> {
    if report.body().iter().all(u8::is_ascii_whitespace) {
        return Err(report.no_report());
    }
    read(report.body()).map_err(|what| Report::garbled(format!("no JUnit XML: {what}")))
}

/// A suite of which nothing ran proves nothing.
pub(super) fn some_ran(cases: &[Case]) -> Result<(), ParseError> {
    if cases.is_empty() {
        return Err(ParseError::NoTests { what: "none was collected".to_owned() });
    }
    if cases.iter().all(|case| case.end == End::Skipped) {
        return Err(ParseError::NoTests { what: format!("all {} tests were skipped", cases.len()) });
    }
    Ok(())
}

/// Counts and findings; `id` names a test.
pub(super) fn parsed(report: &Report<'_>, cases: &[Case], id: impl Fn(&Case) -> String) -> Parsed {
    let mut tests = TestCounts::default();
    let mut findings = Vec::new();
    for case in cases {
        match case.end {
            End::Passed => tests.passed += 1,
            End::Skipped => tests.skipped += 1,
            End::Failed => tests.failed += 1,
            End::Error => tests.errors += 1,
        }
        if case.end >= End::Failed {
            findings.push(finding(report, case, &id(case)));
        }
    }
    Parsed { findings, tests, ..Parsed::default() }
}

fn finding(report: &Report<'_>, case: &Case, id: &str) -> Finding {
    let rule = if case.end == End::Error { "test-error" } else { "test-failed" };
    let path = if case.file.is_empty() { String::new() } else { report.path(&case.file) };
    let text = message(&format!("{id}: {}", case.said.trim()));
    Finding {
        kind: Kind::Test,
        symbol: message(id),
        ..Finding::code(rule, &path, line(case.line), Severity::High, &text)
    }
}

fn read(xml: &[u8]) -> Result<Suite, String> {
    let text = String::from_utf8_lossy(xml);
    let mut reader = Reader::from_str(&text);
    let mut walk = Walk::default();
    loop {
        let event = reader.read_event().map_err(|e| e.to_string())?;
        match event {
            Event::Start(tag) => walk.open(&tag)?,
            Event::Empty(tag) => {
                walk.open(&tag)?;
                walk.close(tag.name().as_ref());
            }
            Event::End(tag) => walk.close(tag.name().as_ref()),
            Event::Text(text) => walk.text(&text),
            Event::CData(text) => walk.text(&text),
            Event::GeneralRef(entity) => match entity.resolve_char_ref().map_err(|e| e.to_string())? {
                Some(c) => walk.text(c.encode_utf8(&mut [0; 4])),
                None => walk.text(resolve_predefined_entity(&entity).unwrap_or("?")),
            },
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    walk.finish()
}

/// Where the reader is.
#[derive(Default)]
struct Walk {
    suite: Suite,
    depth: usize,
    suites: usize,
    /// A total, or something outside of any case, tells of a failure.
    bad_seen: bool,
    in_case: bool,
    in_outcome: bool,
}

impl Walk {
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        let name = tag.name();
        match name.as_ref() {
            "testsuites" | "testsuite" => {
                self.suites += 1;
                for total in ["failures", "errors"] {
                    self.bad_seen |= attribute(tag, total)?.trim().parse::<u64>().is_ok_and(|bad| bad > 0);
                }
            }
            "testcase" => {
                self.suite.cases.push(case(tag)?);
                self.in_case = true;
            }
            "property" if !self.in_case => {
                self.suite.properties.insert(attribute(tag, "name")?, attribute(tag, "value")?);
            }
            "failure" => self.outcome(tag, End::Failed)?,
            "error" => self.outcome(tag, End::Error)?,
            "skipped" => self.outcome(tag, End::Skipped)?,
            _ => {}
        }
        self.depth += 1;
        Ok(())
    }

    /// A case can have several: the worst one counts.
    fn outcome(&mut self, tag: &BytesStart<'_>, end: End) -> Result<(), String> {
        let said = attribute(tag, "message")?;
        self.bad_seen |= !self.in_case && end >= End::Failed;
        if let Some(case) = self.suite.cases.last_mut().filter(|_| self.in_case) {
            case.end = case.end.max(end);
            case.said.push_str(&said);
            case.said.push('\n');
            self.in_outcome = true;
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        match name {
            "testcase" => self.in_case = false,
            "failure" | "error" | "skipped" => self.in_outcome = false,
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        // Twice what a message keeps: a test that prints megabytes is not carried around.
        if let Some(case) = self.suite.cases.last_mut().filter(|c| self.in_outcome && c.said.len() < 4000) {
            case.said.push_str(text);
        }
    }

    /// A file that breaks off in the middle is not a report of everything.
    fn finish(self) -> Result<Suite, String> {
        let explained = self.suite.cases.iter().any(|case| case.end >= End::Failed);
        match (self.suites > 0, self.depth) {
            (true, 0) if self.bad_seen && !explained => {
                Err("it tells of a failure that is no test's".to_owned())
            }
            (false, _) => Err("there is no <testsuite>".to_owned()),
            (true, 0) => Ok(self.suite),
            (true, _) => Err("it breaks off in the middle".to_owned()),
        }
    }
}

fn case(tag: &BytesStart<'_>) -> Result<Case, String> {
    Ok(Case {
        classname: attribute(tag, "classname")?,
        name: attribute(tag, "name")?,
        file: attribute(tag, "file")?,
        line: attribute(tag, "line")?.parse().ok(),
        ..Case::default()
    })
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<String, String> {
    let Some(attribute) = tag.try_get_attribute(name).map_err(|e| e.to_string())? else {
        return Ok(String::new());
    };
    Ok(attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|e| e.to_string())?.into_owned())
}
