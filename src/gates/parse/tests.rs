//! Parsers on what real tools printed (`tests/fixtures/gates`), and on what broken ones would.

use std::path::Path;

use super::*;
use crate::domain::gate::{Kind, Status};

#[path = "tests_python.rs"]
mod python;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gates").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn report(exit: i32, stdout: &[u8]) -> Report<'_> {
    Report {
        exit,
        stdout,
        stderr: b"",
        file: None,
        also: None,
        root: Path::new("/repo"),
        subdir: "",
        pattern: "",
        clean: &[0],
    }
}

fn parse(name: &str, exit: i32, stdout: &[u8]) -> Result<Parsed, ParseError> {
    read(find(name).unwrap(), &report(exit, stdout))
}

fn pytest(exit: i32, file: &str) -> Result<Parsed, ParseError> {
    let bytes = if file.is_empty() { Vec::new() } else { fixture(file) };
    let stderr = if exit == 4 { fixture("pytest-conftest.stderr.txt") } else { Vec::new() };
    read(find("pytest").unwrap(), &Report { file: Some(&bytes), stderr: &stderr, ..report(exit, b"") })
}

/// `rule path:line severity` of each finding.
fn short(parsed: &Parsed) -> Vec<String> {
    let one = |f: &Finding| format!("{} {}:{} {}", f.rule, f.path, f.line, f.severity.as_str());
    parsed.findings.iter().map(one).collect()
}

#[test]
fn ruff_clean_findings_and_syntax_errors() {
    assert_eq!(parse("ruff", 0, &fixture("ruff-clean.json")), Ok(Parsed::default()));
    let parsed = parse("ruff", 1, &fixture("ruff-findings.json")).unwrap();
    assert_eq!(short(&parsed)[1], "F401 pkg/a.py:1 high");
    assert_eq!(parsed.findings[1].message, "`os` imported but unused");
    let parsed = parse("ruff", 1, &fixture("ruff-syntax.json")).unwrap();
    assert!(short(&parsed).contains(&"invalid-syntax pkg/bad.py:1 critical".to_owned()));
}

/// PEP 263 allows other encodings, and ruff reads none of them: that is old where the file is.
#[test]
fn a_file_in_another_encoding_is_a_finding_of_ruff() {
    let said = br#"[{"code":"E902","filename":"/repo/old.py","location":{"row":1},"message":"stream did not contain valid UTF-8"}]"#;
    assert_eq!(short(&parse("ruff", 1, said).unwrap()), ["E902 old.py:1 high"]);
}

#[test]
fn ruff_that_lost_its_files_or_its_words_is_an_error() {
    let error = parse("ruff", 1, &fixture("ruff-nopath.json")).unwrap_err();
    assert_eq!(error.to_string(), "it says that it failed: nope.py: No such file or directory (os error 2)");
    for (exit, stdout) in
        [(0, ""), (1, "[]"), (0, "Found 1 error."), (0, "[{\"code\":"), (0, "{}"), (0, "null")]
    {
        assert!(parse("ruff", exit, stdout.as_bytes()).is_err(), "{stdout:?}");
    }
}

#[test]
fn mypy_clean_findings_notes_and_syntax_errors() {
    assert_eq!(parse("mypy", 0, &fixture("mypy-clean.jsonl")), Ok(Parsed::default()));
    let parsed = parse("mypy", 1, &fixture("mypy-findings.jsonl")).unwrap();
    assert_eq!(short(&parsed), ["return-value pkg/a.py:3 high"]);
    let parsed = parse("mypy", 1, &fixture("mypy-notes.jsonl")).unwrap();
    assert_eq!(short(&parsed), ["return-value pkg/a.py:3 high", "import-not-found pkg/a.py:26 high"]);
    assert_eq!(parsed.incomplete, None);
    let parsed = parse("mypy", 2, &fixture("mypy-syntax.jsonl")).unwrap();
    assert_eq!(short(&parsed)[0], "syntax pkg/bad.py:1 critical");
    assert!(parsed.incomplete.is_some(), "nothing else was checked");
}

#[test]
fn what_mypy_remarks_about_its_configuration_is_no_finding() {
    let mut printed = fixture("mypy-findings.jsonl");
    printed.extend(b"setup.cfg: note: unused section(s): [mypy-colorama.*]\n");
    assert_eq!(parse("mypy", 1, &printed), parse("mypy", 1, &fixture("mypy-findings.jsonl")));
    assert_eq!(parse("mypy", 0, b"mypy.ini: note: unused section(s): [mypy-x]\n"), Ok(Parsed::default()));
}

#[test]
fn mypy_that_is_broken_is_an_error() {
    let cannot_read = b"nope.py: error: Cannot read file: No such file or directory";
    assert!(parse("mypy", 2, cannot_read).is_err());
    let usage = Report { stderr: b"mypy: error: unrecognized arguments: --nonsense\n", ..report(2, b"") };
    let error = read(find("mypy").unwrap(), &usage).unwrap_err();
    assert!(error.to_string().ends_with(": mypy: error: unrecognized arguments: --nonsense"), "{error}");
    assert!(parse("mypy", 1, b"").is_err());
    assert!(parse("mypy", 1, b"setup.cfg: note: unused section(s): [mypy-x]\n").is_err());
    assert!(parse("mypy", 0, b"a.py: error: x: note: y\n").is_err());
    assert!(parse("mypy", 0, b"Success: no issues found").is_err());
}

#[test]
fn radon_counts_methods_and_closures_once() {
    let parsed = parse("radon", 0, &fixture("radon-findings.json")).unwrap();
    let of = |path: &str| {
        let mut all: Vec<_> = parsed
            .metrics
            .iter()
            .filter(|m| m.path == path)
            .map(|m| format!("{} {}", m.symbol, m.value))
            .collect();
        all.sort();
        all
    };
    assert_eq!(
        of("pkg/a.py"),
        ["C.m 4", "C.m.inner 2", "f 1", "outer 1", "outer.one 1", "outer.one.two 3", "twice 1"]
    );
    assert_eq!(of("tests/test_a.py")[..2], ["TestK.test_in 2", "TestK.test_p 2"]);
}

#[test]
fn radon_clean_unreadable_and_crashed() {
    // As radon 6.0.1 says it of a byte order mark, and of a file in Latin-1.
    let odd = br#"{"a.py": {"error": "invalid non-printable character U+FEFF (<unknown>, line 1)"},
        "b.py": {"error": "'utf-8' codec can't decode byte 0xe9 in position 29: invalid continuation byte"}}"#;
    let odd = parse("radon", 0, odd).unwrap();
    assert!(
        odd.findings.iter().all(
            |found| found.rule == "unreadable" && found.severity == crate::domain::gate::Severity::Medium
        )
    );
    assert!(odd.findings[0].message.starts_with("radon reads UTF-8 without a byte order mark alone"));
    assert_eq!(parse("radon", 0, &fixture("radon-clean.json")), Ok(Parsed::default()));
    let parsed = parse("radon", 0, &fixture("radon-syntax.json")).unwrap();
    assert!(short(&parsed).contains(&"invalid-syntax pkg/bad.py:1 critical".to_owned()));
    assert!(parse("radon", 1, b"").is_err());
    assert!(parse("radon", 0, b"ValueError: invalid interpolation syntax").is_err());
}

#[test]
fn pytest_counts_cases_and_names_tests_so_that_they_can_run_alone() {
    assert_eq!(pytest(0, "pytest-clean.xml").unwrap().tests.passed, 1);
    let parsed = pytest(1, "pytest-findings.xml").unwrap();
    let tests = parsed.tests;
    assert_eq!((tests.passed, tests.failed, tests.errors, tests.skipped), (2, 3, 1, 2));
    let ids: Vec<_> = parsed.findings.iter().map(|f| f.symbol.as_str()).collect();
    assert_eq!(
        ids,
        [
            "tests/test_a.py::TestK::test_in",
            "tests/test_a.py::TestK::test_p[\\xe9]",
            "tests/test_a.py::TestK::test_p[c/d::e]",
            "tests/test_a.py::test_e"
        ]
    );
    assert_eq!((parsed.findings[0].path.as_str(), parsed.findings[0].line), ("tests/test_a.py", 4));
    assert!(parsed.findings[0].message.contains("assert 1 == 2"), "{}", parsed.findings[0].message);
    assert!(parsed.findings.iter().all(|f| f.kind == Kind::Test));
}

#[test]
fn pytest_that_cannot_collect_is_the_developers_and_one_that_collects_nothing_is_not() {
    let parsed = pytest(1, "pytest-collection.xml").unwrap();
    assert!(
        short(&parsed).contains(&"test-error tests/test_bad.py:0 high".to_owned()),
        "{:?}",
        short(&parsed)
    );
    let parsed = pytest(4, "").unwrap();
    assert_eq!(short(&parsed), ["conftest tests/conftest.py:1 critical"]);
    assert!(parsed.incomplete.is_some());
    let none = pytest(5, "pytest-none.xml").unwrap_err();
    assert_eq!(none.to_string(), "there are test files, but none was collected");
    assert!(pytest(0, "pytest-none.xml").is_err(), "even with exit code 0");
    assert!(pytest(3, "pytest-internal.xml").is_err());
    assert!(pytest(0, "").is_err());
    assert!(pytest(2, "pytest-clean.xml").is_err(), "interrupted, and nothing says why");
}

/// Whoever ends the session chooses its exit code: `pytest.exit("enough", 0)`.
#[test]
fn a_pytest_that_was_stopped_is_no_pass_whatever_it_exits_with() {
    let parsed = pytest(0, "pytest-stopped.xml").unwrap();
    assert_eq!((short(&parsed), parsed.tests.passed), (vec!["ended-early pkg/core.py:5 high".to_owned()], 1));
    let said = "pytest was stopped after 1 of 3 tests: _pytest.outcomes.Exit: enough (pkg/core.py:5) in \
                tests/test_core.py::test_double";
    assert_eq!(parsed.findings[0].message, said);
    assert_eq!((parsed.incomplete.as_deref(), parsed.note), (Some(said), None));
    let planned = pytest(0, "pytest-planned.xml").unwrap();
    assert_eq!(planned.incomplete.as_deref(), Some("only 0 of 3 collected tests ran to their end"));
    let case = r#"<testcase classname="t" name="a" file="t.py"/>"#;
    let with = |properties: &str, cases: &str| {
        let xml = format!("<testsuite><properties>{properties}</properties>{cases}</testsuite>");
        read(find("pytest").unwrap(), &Report { file: Some(xml.as_bytes()), ..report(0, b"") })
    };
    let property = |name: &str, value: &str| format!(r#"<property name="sprint.{name}" value="{value}"/>"#);
    let counted = |ended, collected| property("ended", ended) + &property("collected", collected);
    assert_eq!(with(&counted("1", "1"), case).unwrap().incomplete, None);
    assert!(with(&counted("1", "2"), case).unwrap().incomplete.is_some());
    let stopped = with(&property("stopped", "Exit: x"), "").unwrap();
    assert_eq!(short(&stopped), ["ended-early :0 high"], "while it collected");
    assert!(with("", r#"<testcase time="0.0"/>"#).is_err(), "what was set up has not run");
    let said = property("idle", "[[&quot;t.py::T::test_b&quot;, 7, &quot;it is a coroutine&quot;]]");
    let idle = with(&(counted("1", "1") + &said), case).unwrap();
    assert_eq!(short(&idle), ["idle-test t.py:7 high"]);
    assert_eq!(idle.findings[0].message, "t.py::T::test_b: it is a coroutine");
    assert!(with(&(counted("1", "1") + &property("idle", "[7]")), case).is_err());
    let asked = with(&(counted("1", "1") + &property("coverage", "asked")), case).unwrap();
    assert_eq!(
        asked.note.as_deref(),
        Some("coverage was not measured: pytest-cov was asked, and left no report")
    );
}

#[test]
fn pytest_with_a_threshold_of_a_plugin_fails() {
    let parsed = pytest(1, "pytest-clean.xml").unwrap();
    assert_eq!(short(&parsed), ["pytest-exit :0 high"]);
}

#[test]
fn tests_that_were_all_skipped_prove_nothing() {
    let xml = br#"<testsuite><testcase name="a"><skipped/></testcase></testsuite>"#;
    assert_eq!(
        parse("junit", 0, xml).unwrap_err().to_string(),
        "there are test files, but all 1 tests were skipped"
    );
}

#[test]
fn junit_of_any_tool_with_entities_cdata_and_a_bare_suite() {
    let xml = br#"<?xml version="1.0"?><testsuite name="s" tests="0">
      <testcase classname="C" name="ok"><system-out>&lt;failure&gt;</system-out></testcase>
      <testcase classname="C" name="bad &amp; &#x41;"><failure message="a &lt; b"><![CDATA[x < y]]> &amp; z</failure></testcase>
      <testcase name="both"><skipped/><error/></testcase></testsuite>"#;
    let parsed = parse("junit", 1, xml).unwrap();
    assert_eq!((parsed.tests.passed, parsed.tests.failed, parsed.tests.errors), (1, 1, 1));
    assert_eq!(parsed.findings[0].message, "C.bad & A: a < b\nx < y & z");
    assert!(
        parse("junit", 2, br#"<testsuite><testcase name="a"/></testsuite>"#).is_err(),
        "exit code unexplained"
    );
    for broken in [
        "",
        "<html></html>",
        "<testsuite><testcase name='a'/>",
        "<testsuite/>",
        "<testsuite><testcase></testsuite>",
    ] {
        assert!(parse("junit", 0, broken.as_bytes()).is_err(), "{broken:?}");
    }
}

const SARIF: &str = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t","rules":[
  {"id":"R1","defaultConfiguration":{"level":"error"}},{"id":"R2"}]}},"results":[
  {"ruleId":"R1","message":{"text":"one"},"locations":[{"physicalLocation":
    {"artifactLocation":{"uri":"file:///repo/a%20b.py"},"region":{"startLine":7}}}]},
  {"ruleIndex":1,"message":{"markdown":"two"}},
  {"ruleId":"R1","level":"note","message":{"text":"three"}},
  {"ruleId":"R1","message":{"text":"four"},"suppressions":[{"kind":"inSource"}]},
  {"ruleId":"R1","message":{"text":"five"},"suppressions":[{"kind":"external","status":"rejected"}]},
  {"ruleId":"R1","kind":"pass","message":{"text":"six"}}]}]}"#;

#[test]
fn sarif_levels_places_and_suppressions() {
    let parsed = parse("sarif", 1, SARIF.as_bytes()).unwrap();
    assert_eq!(short(&parsed), ["R1 a b.py:7 high", "R2 :0 medium", "R1 :0 low", "R1 :0 high", "R1 :0 high"]);
    let statuses: Vec<_> = parsed.findings.iter().map(|f| f.status).collect();
    assert_eq!(statuses[2..], [Status::New, Status::Suppressed, Status::New]);
}

#[test]
fn sarif_that_says_it_failed_or_did_not_look_is_an_error() {
    let run = |rest: &str| {
        format!(r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"t"}}}}{rest}}}]}}"#)
    };
    assert_eq!(parse("sarif", 0, run(r#","results":[]"#).as_bytes()), Ok(Parsed::default()));
    for (exit, text) in [
        (0, run("")),
        (1, run(r#","results":[]"#)),
        (0, run(r#","results":[],"invocations":[{"executionSuccessful":false}]"#)),
        (0, r#"{"version":"2.1.0","runs":[]}"#.to_owned()),
        (0, r#"{"version":"1.0.0","runs":[]}"#.to_owned()),
        (0, String::new()),
    ] {
        assert!(parse("sarif", exit, text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn regex_finds_lines_with_its_groups() {
    let pattern = r"^(?P<path>[^:]+):(?P<line>\d+): (?P<severity>\w+): (?P<message>.*) \[(?P<rule>\w+)\]$";
    let stdout = b"./a.c:3: warning: odd [W1]\nnoise\n/repo/b.c:9: error: bad [E2]\n";
    let parsed = read(find("regex").unwrap(), &Report { pattern, ..report(1, stdout) }).unwrap();
    assert_eq!(short(&parsed), ["W1 a.c:3 medium", "E2 b.c:9 high"]);
    let error = read(find("regex").unwrap(), &Report { pattern, ..report(1, b"boom") }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it exited with 1, and `pattern` fits no line of what it printed (on standard error one that names a \
         file as `path`): boom"
    );
    assert!(read(find("regex").unwrap(), &Report { pattern: "(", ..report(0, b"") }).is_err());
    assert!(parse("regex", 0, b"").is_err(), "no pattern");
}

#[test]
fn a_clean_exit_code_is_one_that_says_so_and_no_other() {
    let grep = |exit, stdout: &'static [u8]| {
        let report =
            Report { pattern: "^(?P<path>[^:]+):(?P<line>\\d+):", clean: &[1], ..report(exit, stdout) };
        read(find("regex").unwrap(), &report).map(|parsed| parsed.findings.len())
    };
    assert_eq!(grep(1, b""), Ok(0), "nothing found");
    assert_eq!(grep(0, b"a:1:x\n"), Ok(1));
    assert_eq!(grep(2, b"a:1:x\n"), Ok(1), "what it found before it went wrong counts");
    assert!(grep(2, b"").is_err(), "it went wrong");
    assert!(grep(0, b"Binary file a matches\n").is_err(), "found, and not understood");
    let quiet = |exit| read(find("exit-code").unwrap(), &Report { clean: &[1], ..report(exit, b"") });
    assert_eq!(quiet(1), Ok(Parsed::default()));
    assert_eq!(quiet(0).unwrap().refused.as_deref(), Some("exited with 0"));
}

#[test]
fn exit_codes_need_no_output() {
    assert_eq!(parse("exit-code", 0, b"anything"), Ok(Parsed::default()));
    let refused = parse("exit-code", 3, b"a\n\x1b[31mb\x07\n").unwrap().refused.unwrap();
    assert_eq!(refused, "exited with 3: a\nb");
}

#[test]
fn of_a_long_output_both_ends_are_kept() {
    let lines: Vec<String> = (1..=100).map(|number| format!("line {number}")).collect();
    let said = both_ends(lines.join("\n").as_bytes(), 30);
    assert!(
        said.starts_with("line 1\nline 2\nline 3\nline 4\nline 5\n… 70 more lines …\nline 76\n"),
        "{said}"
    );
    assert!(said.ends_with("\nline 100") && said.lines().count() == 31, "{said}");
    assert_eq!(both_ends(lines[..30].join("\n").as_bytes(), 30), lines[..30].join("\n"));
    let wide = "x".repeat(9_000) + &format!("\n{}", "z".repeat(900)).repeat(40) + "\nthe end";
    let wide = both_ends(wide.as_bytes(), 30);
    assert!(wide.starts_with("xxx") && wide.ends_with("\nthe end") && wide.len() < 2_100, "{wide}");
}

#[test]
fn every_name_that_configuration_knows_is_a_parser() {
    for name in crate::config::presets::parser_names() {
        assert!(find(name).is_some(), "{name}");
    }
    assert!(find("nonsense").is_none());
}

#[test]
fn paths_become_relative_to_the_repository() {
    let of = |subdir: &str, path: &str| relative(Path::new("/repo"), subdir, path);
    assert_eq!(of("", "./a/b.py"), "a/b.py");
    assert_eq!(of("sub", "b.py"), "sub/b.py");
    assert_eq!(of("sub", "/repo/sub/b.py"), "sub/b.py");
    assert_eq!(of("sub", "/elsewhere/b.py"), "/elsewhere/b.py");
    assert_eq!(of("", "/repository/b.py"), "/repository/b.py");
}

#[test]
fn long_and_hostile_messages_are_cut_and_cleaned() {
    assert_eq!(clean("\x1b[1m\x1b[31mError\x1b[39m: b\x1b[31", 99), "Error: b");
    let text = clean(&format!("\x1b]0;title\x07{}", "é".repeat(5000)), 2000);
    assert!(text.len() <= 2003 && text.starts_with("]0;titleé") && text.ends_with('…'));
}

#[test]
fn junit_that_tells_of_a_failure_without_its_test_is_no_report_of_success() {
    for report in [
        r#"<testsuites tests="3" failures="2"><testsuite tests="3" failures="2"><testcase name="a"/></testsuite></testsuites>"#,
        r#"<testsuite tests="1" errors="1"><testcase name="a"/><error message="setup"/></testsuite>"#,
        r#"<testsuite><testcase name="a"/><failure message="late"/></testsuite>"#,
    ] {
        let said = parse("junit", 0, report.as_bytes()).unwrap_err().to_string();
        assert!(said.contains("a failure that is no test's"), "{said}");
    }
    let sound = r#"<testsuite tests="2" failures="1"><testcase name="a"/><testcase name="b"><failure/></testcase></testsuite>"#;
    assert_eq!(parse("junit", 1, sound.as_bytes()).unwrap().tests.failed, 1);
}

#[test]
fn mypy_that_has_only_notes_found_nothing() {
    let note = r#"{"file": "a.py", "line": 3, "column": 4, "message": "By default the bodies of untyped functions are not checked", "hint": null, "code": "annotation-unchecked", "severity": "note"}"#;
    assert_eq!(parse("mypy", 1, note.as_bytes()).unwrap().findings, []);
    assert!(parse("mypy", 2, note.as_bytes()).is_err(), "it stopped, and does not say why");
    assert!(parse("mypy", 1, b"").is_err());
}
