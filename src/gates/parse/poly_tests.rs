//! Rust's, JavaScript's and Go's tools, and the generic reports of coverage, on what they really
//! printed: `tests/fixtures/gates/TOOL/STATE.EXIT.{stdout,stderr,report,also}`.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::domain::gate::{Kind, Status};

fn directory(tool: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gates").join(tool)
}

/// What a tool left in a state, and its exit code, which the names of the files carry.
struct Recorded {
    exit: i32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    file: Option<Vec<u8>>,
    also: Option<Vec<u8>>,
}

fn recorded(tool: &str, state: &str) -> Recorded {
    let names = std::fs::read_dir(directory(tool)).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    let of = |kind: &str| {
        let wanted = |name: &&String| name.starts_with(&format!("{state}.")) && name.ends_with(kind);
        names.iter().find(wanted).map(|name| std::fs::read(directory(tool).join(name)).unwrap())
    };
    let any = names.iter().find(|name| name.starts_with(&format!("{state}."))).unwrap();
    Recorded {
        exit: any.split('.').nth(1).unwrap().parse().unwrap(),
        stdout: of(".stdout").unwrap_or_default(),
        stderr: of(".stderr").unwrap_or_default(),
        // What a gate is told to write is empty where it is not there.
        file: of(".report").or_else(|| (tool == "cargo-mutants").then(Vec::new)),
        also: of(".also"),
    }
}

impl Recorded {
    fn report(&self) -> Report<'_> {
        Report {
            exit: self.exit,
            stdout: &self.stdout,
            stderr: &self.stderr,
            file: self.file.as_deref(),
            also: self.also.as_deref(),
            root: Path::new("/repo"),
            subdir: "",
            pattern: "",
            clean: &[0],
        }
    }
}

fn parse_with(parser: &str, tool: &str, state: &str) -> Result<Parsed, ParseError> {
    read(find(parser).unwrap(), &recorded(tool, state).report())
}

fn parse(tool: &str, state: &str) -> Result<Parsed, ParseError> {
    parse_with(tool, tool, state)
}

/// What there is to say of a parsed report, in a few lines.
fn short(result: Result<Parsed, ParseError>) -> Vec<String> {
    let parsed = match result {
        Ok(parsed) => parsed,
        Err(error) => return vec![format!("error: {error}")],
    };
    let status = |f: &Finding| if f.status == Status::Suppressed { " suppressed" } else { "" };
    let one = |f: &Finding| {
        let first = f.message.lines().next().unwrap_or("");
        format!("{} {}:{} {}{}: {first}", f.rule, f.path, f.line, f.severity.as_str(), status(f))
    };
    let mut said: Vec<String> = parsed.findings.iter().map(one).collect();
    let t = parsed.tests;
    if t.total() > 0 {
        said.push(format!(
            "tests: {} passed {} failed {} errors {} skipped",
            t.passed, t.failed, t.errors, t.skipped
        ));
    }
    said.extend(parsed.scanned.map(|n| format!("scanned: {n}")));
    said.extend(parsed.nothing.map(|why| format!("nothing: {why}")));
    said.extend(parsed.unreachable.map(|why| format!("unreachable: {why}")));
    said.extend(parsed.incomplete.map(|why| format!("incomplete: {why}")));
    said.extend(parsed.mutants.map(|m| format!("{m:?}")));
    if let Some(coverage) = parsed.coverage {
        said.push(format!("coverage: {:.2}", coverage.percent));
        for (path, lines) in coverage.files {
            said.push(format!("  {path} hit {:?} missed {:?}", lines.hit, lines.missed));
        }
    }
    said
}

/// Every state of a tool, by its parser.
fn states(parser: &str, tool: &str) -> String {
    let names = std::fs::read_dir(directory(tool)).unwrap().map(|entry| entry.unwrap().file_name());
    let states: BTreeSet<String> =
        names.map(|name| name.into_string().unwrap().split('.').next().unwrap().to_owned()).collect();
    let states = states.iter().filter(|state| *state != "README" && *state != "covered");
    let shown = states.map(|state| {
        let exit = recorded(tool, state).exit;
        format!("[{state}, exit {exit}]\n{}\n", short(parse_with(parser, tool, state)).join("\n"))
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// All states of all tools: what is a finding, what is broken, what is nothing.
#[test]
fn every_tool_in_every_state() {
    let all = [
        ("cargo-fmt", "cargo-fmt"),
        ("clippy", "clippy"),
        ("cargo-test", "cargo-test"),
        ("cargo-test", "nextest"),
        ("cargo-mutants", "cargo-mutants"),
        ("cargo-deny", "cargo-deny"),
        ("eslint", "eslint"),
        ("tsc", "tsc"),
        ("vitest", "vitest"),
        ("npm-audit", "npm-audit"),
        ("go-vet", "go-vet"),
        ("go-test", "go-test"),
        ("golangci-lint", "golangci-lint"),
        ("lcov", "lcov"),
        ("cobertura", "cobertura"),
    ];
    for (parser, tool) in all {
        insta::assert_snapshot!(format!("every_state_of_{tool}"), states(parser, tool));
    }
}

/// A report that is empty, cut or of another tool is no verdict, whatever the exit code says.
#[test]
fn no_clean_verdict_without_a_report() {
    for name in NEW {
        for (exit, text) in [(0, ""), (0, "{"), (0, "<html>"), (0, "ok\n"), (1, "")] {
            let empty =
                Some(text.as_bytes()).filter(|_| ["cargo-mutants", "lcov", "llvm-cov"].contains(&name));
            let report = Report {
                exit,
                stdout: text.as_bytes(),
                stderr: b"",
                file: empty,
                also: None,
                root: Path::new("/repo"),
                subdir: "",
                pattern: "",
                clean: &[0],
            };
            let clean = read(find(name).unwrap(), &report).is_ok_and(|parsed| parsed.nothing.is_none());
            // These two say nothing at all of a clean tree; that files were there is the evidence.
            let silent =
                ["cargo-fmt", "tsc"].contains(&name) && exit == 0 && (text.is_empty() || name == "cargo-fmt");
            assert_eq!(clean, silent, "{name} {exit} {text:?}");
        }
    }
}

const NEW: [&str; 15] = [
    "cobertura",
    "lcov",
    "cargo-fmt",
    "clippy",
    "cargo-test",
    "llvm-cov",
    "cargo-mutants",
    "cargo-deny",
    "eslint",
    "tsc",
    "vitest",
    "npm-audit",
    "go-vet",
    "go-test",
    "golangci-lint",
];

#[test]
fn a_test_program_that_ends_early_is_no_pass() {
    let parsed = parse("cargo-test", "exit0").unwrap();
    assert_eq!(parsed.findings[0].rule, "test-lost");
    assert_eq!(parsed.findings[0].message, "demo/src/lib.rs ended before it said how its 2 tests went");
    assert!(parsed.findings.iter().all(|f| f.kind == Kind::Test));
}

#[test]
fn tests_of_rust_are_named_by_their_program() {
    let parsed = parse("cargo-test", "findings").unwrap();
    let symbols: Vec<&str> = parsed.findings.iter().map(|f| f.symbol.as_str()).collect();
    assert_eq!(
        symbols,
        [
            "demo/src/lib.rs::tests::doubles",
            "demo/src/lib.rs::tests::fallible",
            "demo/src/lib.rs::tests::panics",
            "demo/doc::src/lib.rs - double (line 5)"
        ]
    );
    assert!(parsed.findings[0].message.contains("left: 4"), "{}", parsed.findings[0].message);
    let parsed = parse_with("cargo-test", "nextest", "findings").unwrap();
    assert!(parsed.findings.iter().any(|f| f.symbol == "demo::demo::tests::fallible"));
}

#[test]
fn nextest_and_the_tests_of_documentation_in_one_go() {
    let (mut first, second) = (recorded("nextest", "findings"), recorded("cargo-test", "doctest"));
    first.stdout.extend(second.stdout);
    first.stderr.extend(second.stderr);
    let parsed = read(find("cargo-test").unwrap(), &first.report()).unwrap();
    assert_eq!((parsed.tests.passed, parsed.tests.failed), (3, 3));
}

#[test]
fn a_broken_build_is_no_missing_coverage_and_red_tests_are_no_survivors() {
    let types = recorded("cargo-test", "types");
    let parsed = read(find("llvm-cov").unwrap(), &Report { exit: 1, ..types.report() }).unwrap();
    assert_eq!(parsed.findings.len(), 2);
    let green = parse_with("llvm-cov", "lcov", "llvm-cov").unwrap();
    assert_eq!(green.coverage.unwrap().percent.to_string(), "20");
    let red = parse("cargo-mutants", "baseline").unwrap();
    assert_eq!((red.mutants, red.nothing.is_some()), (None, true));
}

#[test]
fn an_error_outside_of_every_test_of_vitest_is_told_in_its_words() {
    let parsed = parse("vitest", "unhandled").unwrap();
    let [found] = parsed.findings.as_slice() else { panic!("{:?}", parsed.findings) };
    let begin =
        "no test failed, but vitest exited with 1: Error: boom late\n ❯ Timeout._onTimeout a.test.js:2:45\n";
    assert!(found.message.starts_with(begin), "{}", found.message);
    assert!(!found.message.contains('⎯') && !found.message.contains("JSON report"), "{}", found.message);
}

#[test]
fn vitest_takes_its_coverage_from_a_second_report() {
    let clean = recorded("vitest", "clean");
    let lcov = std::fs::read(directory("vitest").join("covered.also")).unwrap();
    let report = Report { also: Some(&lcov), ..clean.report() };
    let coverage = read(find("vitest").unwrap(), &report).unwrap().coverage.unwrap();
    assert_eq!(format!("{:.0} {:?}", coverage.percent, coverage.files["src/a.js"].missed), "40 {4, 5, 7}");
    let cut = Report { also: Some(b"TN:\nSF:src/a.js\n"), ..clean.report() };
    assert!(read(find("vitest").unwrap(), &cut).is_err());
    let none = Report { also: Some(b""), ..clean.report() };
    assert_eq!(
        read(find("vitest").unwrap(), &none).unwrap().coverage,
        None,
        "\"Unknown\", in vitest's words"
    );
}

#[test]
fn several_records_of_a_file_are_one() {
    let text = b"SF:a\nDA:1,0\nDA:2,1\nend_of_record\nSF:a\nDA:1,3\nDA:3,0\nBRDA:1,0,jump to line 3,-\nend_of_record\n";
    let found = recorded("lcov", "vitest");
    let report = Report { file: Some(text), ..found.report() };
    let coverage = read(find("lcov").unwrap(), &report).unwrap().coverage.unwrap();
    assert_eq!((coverage.files["a"].hit.len(), coverage.files["a"].missed.len()), (2, 1));
    for broken in ["SF:a\nDA:1,1\n", "end_of_record\n", "SF:a\nSF:b\nend_of_record\n", "hello\n"] {
        let report = Report { file: Some(broken.as_bytes()), ..report };
        assert!(read(find("lcov").unwrap(), &report).is_err(), "{broken:?}");
    }
}

#[test]
fn a_source_of_cobertura_is_where_its_files_lie() {
    let xml = br#"<coverage line-rate="0.5"><sources><source>/repo/pkg</source></sources><packages><package><classes>
      <class filename="__init__.py"><lines><line number="1" hits="2"/><line number="2" hits="0"/></lines></class>
      </classes></package></packages></coverage>"#;
    let found = recorded("cobertura", "vitest");
    let report = Report { file: Some(xml), ..found.report() };
    let coverage = read(find("cobertura").unwrap(), &report).unwrap().coverage.unwrap();
    assert_eq!(coverage.files.keys().collect::<Vec<_>>(), ["pkg/__init__.py"]);
    assert_eq!(coverage.percent.to_string(), "50");
}

proptest! {
    /// Garbage, and real reports that were cut or changed, never panic.
    #[test]
    fn no_input_makes_these_parsers_panic(
        name in proptest::sample::select(&NEW[..]),
        exit in 0..6i32,
        garbage in proptest::collection::vec(any::<u8>(), 0..200),
        source in proptest::sample::select(vec![
            ("clippy", "findings"), ("cargo-test", "findings"), ("nextest", "findings"), ("cargo-fmt", "findings"),
            ("cargo-mutants", "missed"), ("cargo-deny", "advisories"), ("eslint", "findings"), ("tsc", "findings"),
            ("vitest", "findings"), ("npm-audit", "findings"), ("go-vet", "findings"), ("go-test", "failing"),
            ("golangci-lint", "findings"), ("lcov", "coverage-py"), ("cobertura", "coverage-py"),
        ]),
        own in any::<bool>(),
        cut in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let (tool, state) = source;
        let found = recorded(tool, state);
        let mut real = [found.file.unwrap_or_default(), found.stdout, found.stderr].concat();
        real.truncate(cut.index(real.len()) + 1);
        let position = at.index(real.len());
        real[position] = byte;
        let parser = if own { if tool == "nextest" { "cargo-test" } else { tool } } else { name };
        for bytes in [&garbage, &real] {
            let report = Report {
                exit, stdout: bytes, stderr: bytes, file: Some(bytes), also: Some(bytes),
                root: Path::new("/repo"), subdir: "sub", pattern: "", clean: &[0],
            };
            let on_stdout = Report { file: None, ..report };
            let _ = (read(find(parser).unwrap(), &report), read(find(parser).unwrap(), &on_stdout));
        }
    }
}
