//! `JUnit` XML of what gates said, as CI servers read it: a suite a gate, a case for whatever blocks.
//!
//! A gate that passes is one case, so that no suite is empty; the tests that a tool passed are
//! numbers in its properties, as nobody knows their names.

use std::collections::HashMap;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::cli::gates_run::Ran;
use crate::domain::gate::{Finding, GateResult, Kind, Verdict};

type Xml = Writer<Vec<u8>>;

/// One `<testcase>`.
struct Case {
    name: String,
    classname: String,
    file: String,
    line: u32,
    end: End,
}

enum End {
    Passed,
    Failed { kind: String, message: String },
    Error(String),
    Skipped(String),
}

/// The whole report.
pub(super) fn report(ran: &Ran) -> String {
    let suites: Vec<(&GateResult, Vec<Case>)> = ran.gates.iter().map(|gate| (gate, cases(gate))).collect();
    let all = suites.iter().flat_map(|(_, cases)| cases);
    let seconds = ran.gates.iter().map(|gate| gate.seconds).sum();
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    let written = (|| {
        xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let root = totals(all, seconds);
        xml.create_element("testsuites")
            .with_attribute(("name", "sprint"))
            .with_attributes(root.iter().map(|(name, value)| (*name, value.as_str())))
            .write_inner_content(|xml| suites.iter().try_for_each(|(gate, cases)| suite(xml, gate, cases)))
            .map(|_| ())
    })();
    written.expect("a Vec takes everything");
    let mut text = String::from_utf8(xml.into_inner()).expect("only texts were written");
    text.push('\n');
    text
}

fn totals<'c>(cases: impl Iterator<Item = &'c Case>, seconds: f64) -> [(&'static str, String); 5] {
    let (mut tests, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for case in cases {
        tests += 1;
        match case.end {
            End::Passed => {}
            End::Failed { .. } => failures += 1,
            End::Error(_) => errors += 1,
            End::Skipped(_) => skipped += 1,
        }
    }
    let text = |number: i32| number.to_string();
    [
        ("tests", text(tests)),
        ("failures", text(failures)),
        ("errors", text(errors)),
        ("skipped", text(skipped)),
        ("time", format!("{seconds:.3}")),
    ]
}

fn suite(xml: &mut Xml, gate: &GateResult, cases: &[Case]) -> std::io::Result<()> {
    let totals = totals(cases.iter(), gate.seconds);
    xml.create_element("testsuite")
        .with_attribute(("name", gate.name.as_str()))
        .with_attributes(totals.iter().map(|(name, value)| (*name, value.as_str())))
        .write_inner_content(|xml| {
            xml.create_element("properties").write_inner_content(|xml| properties(xml, gate))?;
            cases.iter().try_for_each(|case| write(xml, case))
        })?;
    Ok(())
}

fn properties(xml: &mut Xml, gate: &GateResult) -> std::io::Result<()> {
    let mut all = vec![
        ("verdict", gate.verdict.as_str().to_owned()),
        ("mode", gate.mode.as_str().to_owned()),
        ("reason", legal(&gate.reason)),
    ];
    all.extend(gate.tool_version.as_deref().map(|version| ("tool", legal(version))));
    let tests = gate.tests;
    if tests.total() > 0 {
        all.extend([
            ("tests.passed", tests.passed.to_string()),
            ("tests.failed", tests.failed.to_string()),
            ("tests.errors", tests.errors.to_string()),
            ("tests.skipped", tests.skipped.to_string()),
            ("tests.flaky", tests.flaky.to_string()),
        ]);
    }
    all.iter().try_for_each(|(name, value)| {
        let property = xml.create_element("property");
        property.with_attribute(("name", *name)).with_attribute(("value", value.as_str())).write_empty()?;
        Ok(())
    })
}

fn write(xml: &mut Xml, case: &Case) -> std::io::Result<()> {
    let mut element = xml
        .create_element("testcase")
        .with_attribute(("name", case.name.as_str()))
        .with_attribute(("classname", case.classname.as_str()));
    if !case.file.is_empty() {
        element = element.with_attribute(("file", case.file.as_str()));
    }
    if case.line > 0 {
        element = element.with_attribute(("line", case.line.to_string().as_str()));
    }
    match &case.end {
        End::Passed => element.write_empty().map(|_| ()),
        End::Failed { kind, message } => said(element, "failure", kind, message),
        End::Error(message) => said(element, "error", "error", message),
        End::Skipped(message) => said(element, "skipped", "", message),
    }
}

fn said(
    case: quick_xml::writer::ElementWriter<'_, Vec<u8>>,
    tag: &str,
    kind: &str,
    message: &str,
) -> std::io::Result<()> {
    case.write_inner_content(|xml| {
        let first = message.lines().next().unwrap_or_default();
        let mut element = xml.create_element(tag).with_attribute(("message", first));
        if !kind.is_empty() {
            element = element.with_attribute(("type", kind));
        }
        element.write_text_content(BytesText::new(message)).map(|_| ())
    })?;
    Ok(())
}

fn cases(gate: &GateResult) -> Vec<Case> {
    let mut cases: Vec<Case> = gate.blocking().map(|finding| of_finding(gate, finding)).collect();
    if cases.is_empty() {
        cases.push(of_gate(gate));
    }
    // Readers keep one case of a name.
    let mut seen: HashMap<(String, String), u32> = HashMap::new();
    for case in &mut cases {
        let times = seen.entry((case.classname.clone(), case.name.clone())).or_default();
        *times += 1;
        if *times > 1 {
            case.name = format!("{} ({times})", case.name);
        }
    }
    cases
}

fn of_gate(gate: &GateResult) -> Case {
    let reason = legal(&gate.reason);
    let end = match gate.verdict {
        Verdict::Pass => End::Passed,
        Verdict::Fail => End::Failed { kind: gate.name.to_string(), message: reason },
        Verdict::Error => End::Error(reason),
        Verdict::Skipped => End::Skipped(reason),
    };
    Case {
        name: gate.name.to_string(),
        classname: format!("sprint.{}", gate.name),
        file: String::new(),
        line: 0,
        end,
    }
}

fn of_finding(gate: &GateResult, finding: &Finding) -> Case {
    let path = legal(&finding.path);
    let place = match (finding.path.as_str(), finding.line) {
        ("", _) => String::new(),
        (_, 0) => format!(" {path}"),
        (_, line) => format!(" {path}:{line}"),
    };
    let name = match finding.kind {
        Kind::Test if !finding.symbol.is_empty() => legal(&finding.symbol),
        _ => format!("{}{place}", legal(&finding.rule)),
    };
    let message = legal(&finding.message);
    Case {
        name,
        classname: format!("sprint.{}", gate.name),
        line: finding.line,
        end: End::Failed {
            kind: legal(&finding.rule),
            message: format!("{message}\n{}{place}, {}", legal(&finding.rule), finding.severity.as_str())
                .trim_start()
                .to_owned(),
        },
        file: path,
    }
}

/// What XML 1.0 cannot say at all, escaped or not, is left out.
fn legal(text: &str) -> String {
    let known = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.chars().filter(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::gates::samples;

    #[test]
    fn a_suite_a_gate_with_totals_that_are_the_number_of_cases() {
        insta::assert_snapshot!(report(&samples::ran()));
    }

    #[test]
    fn no_character_breaks_the_file() {
        let mut ran = samples::ran();
        ran.gates[0].findings[0].message = "\u{1b}[31m]]> & \"<a>\u{0}\u{ffff}".to_owned();
        ran.gates[0].findings[0].path = "a \"b\"\n<&>.py".to_owned();
        let text = report(&ran);
        let mut reader = quick_xml::Reader::from_str(&text);
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => break,
                _ => assert!(!text.contains(['\u{1b}', '\u{0}', '\u{ffff}'])),
            }
        }
    }
}
