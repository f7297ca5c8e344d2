//! The parsers of Python's tools beyond ruff, mypy, radon and pytest, and of those for any language.

use super::*;
use crate::domain::gate::Mutants;

fn with_stderr(name: &str, exit: i32, body: &str, stderr: &str) -> Result<Parsed, ParseError> {
    let read_or_none = |file: &str| if file.is_empty() { Vec::new() } else { fixture(file) };
    let (body, stderr) = (read_or_none(body), read_or_none(stderr));
    read(find(name).unwrap(), &Report { stderr: &stderr, ..report(exit, &body) })
}

fn of(name: &str, exit: i32, body: &str) -> Result<Parsed, ParseError> {
    with_stderr(name, exit, &format!("{name}/{body}"), "")
}

fn said(result: Result<Parsed, ParseError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn bandit_finds_says_what_it_read_and_what_it_could_not() {
    let clean = of("bandit", 1, "clean.json").unwrap();
    assert_eq!((short(&clean), clean.scanned), (vec!["B101 tests/test_core.py:5 low".to_owned()], Some(3)));
    let parsed = of("bandit", 1, "findings.json").unwrap();
    let all = short(&parsed);
    assert!(all.contains(&"B602 pkg/risky.py:9 high".to_owned()), "{all:?}");
    assert!(all.contains(&"B307 pkg/risky.py:10 medium".to_owned()), "{all:?}");
    assert!(!format!("{parsed:?}").contains("hunter2"), "a password is not repeated");
    let syntax = of("bandit", 1, "syntax.json").unwrap();
    assert_eq!(short(&syntax)[0], "unreadable pkg/bad.py:0 critical");
    assert_eq!(of("bandit", 0, "nothing.json").unwrap().scanned, Some(0));
}

#[test]
fn bandit_without_its_files_or_its_report_is_an_error() {
    assert_eq!(
        said(of("bandit", 0, "no-path.json")),
        "it says that it failed: nope.py: No such file or directory"
    );
    assert!(said(of("bandit", 1, "nothing.json")).contains("nothing that explains that"));
    let usage = with_stderr("bandit", 2, "", "bandit/bad-configuration.stderr.txt");
    assert!(said(usage).contains("Error parsing file"));
}

#[test]
fn semgreps_rules_are_named_without_the_place_that_they_lie_at() {
    let clean = of("semgrep", 0, "clean.json").unwrap();
    assert_eq!((clean.findings.len(), clean.scanned), (0, Some(2)));
    let parsed = of("semgrep", 1, "findings.json").unwrap();
    assert_eq!(short(&parsed)[0], "shell-with-input pkg/risky.py:9 high");
    assert!(!format!("{parsed:?}").contains("kit"), "{parsed:?}");
    assert_eq!(of("semgrep", 0, "nothing.json").unwrap().scanned, Some(0));
}

#[test]
fn semgrep_says_what_it_did_not_understand() {
    let parsed = of("semgrep", 1, "syntax.json").unwrap();
    let all = short(&parsed);
    assert!(all.contains(&"not-understood pkg/half.py:8 low".to_owned()), "{all:?}");
    let message = &parsed.findings.iter().find(|f| f.path == "pkg/half.py" && f.line == 8).unwrap().message;
    assert_eq!(message, "`==` was unexpected", "without the line, which moves");
}

#[test]
fn semgrep_with_bad_rules_or_none_is_an_error_and_without_its_registry_not_reached() {
    assert!(said(of("semgrep", 7, "notyaml.json")).contains("Invalid YAML file"));
    assert!(said(of("semgrep", 2, "badrule.json")).contains("Rule parse error in rule x"));
    assert!(said(of("semgrep", 7, "missing.json")).contains("does not exist"));
    assert!(of("semgrep", 0, "findings.json").is_err(), "without --error it finds and says nothing");
    let registry = with_stderr("semgrep", 2, "", "semgrep/registry.stderr.txt").unwrap();
    assert!(registry.unreachable.is_some());
}

#[test]
fn secrets_are_named_by_kind_and_place_and_never_repeated() {
    let parsed = of("detect-secrets", 0, "findings.json").unwrap();
    assert_eq!(
        short(&parsed),
        ["secret-keyword pkg/risky.py:4 medium", "aws-access-key pkg/risky.py:5 critical"]
    );
    assert_eq!(
        parsed.findings[1].message,
        "a secret lies open here (AWS Access Key); remove it, and replace it where it is used"
    );
    assert!(!format!("{parsed:?}").contains("cd32de16"), "not even its hash");
    let leaks = of("gitleaks", 77, "findings.json").unwrap();
    assert_eq!(
        short(&leaks),
        ["aws-access-token pkg/risky.py:5 critical", "generic-api-key pkg/risky.py:9 medium"]
    );
    assert!(!format!("{leaks:?}").contains("0123456789"));
    let hog = with_stderr("trufflehog", 183, "trufflehog/findings.jsonl", "trufflehog/findings.stderr.txt")
        .unwrap();
    assert_eq!((short(&hog), hog.scanned), (vec!["aws pkg/risky.py:5 critical".to_owned()], Some(4)));
    assert!(!format!("{hog:?}").contains("AKIA"));
    for parsed in [parsed, leaks, hog] {
        assert!(parsed.findings.iter().all(|f| f.kind == Kind::Secret));
    }
}

#[test]
fn what_cannot_be_read_is_not_repeated_either() {
    for (name, text) in [
        ("detect-secrets", r#"{"plugins_used":[{}],"results":{"a":[{"type":1,"secret":"hunter2"}]}}"#),
        ("detect-secrets", r#"{"plugins_used":[{}],"results":{"a":"hunter2"}}"#),
        ("gitleaks", r#"["hunter2"]"#),
        ("trufflehog", r#"{"SourceMetadata":"hunter2"}"#),
        ("bandit", r#"{"errors":"hunter2"}"#),
    ] {
        let error = format!("{:?}", parse(name, 0, text.as_bytes()).unwrap_err());
        assert!(!error.contains("hunter2"), "{name}: {error}");
    }
}

#[test]
fn tools_for_secrets_that_did_not_work_are_errors() {
    let clean = of("detect-secrets", 0, "clean.json").unwrap();
    assert_eq!(clean, Parsed::default());
    assert!(parse("detect-secrets", 0, br#"{"plugins_used":[],"results":{}}"#).is_err(), "all turned off");
    assert!(with_stderr("detect-secrets", 0, "", "").is_err());
    assert_eq!(of("gitleaks", 0, "clean.json"), Ok(Parsed::default()));
    assert_eq!(parse("gitleaks", 0, b"null"), Ok(Parsed::default()));
    for exit in [0, 1] {
        assert!(of("gitleaks", exit, "findings.json").is_err(), "{exit}");
    }
    assert!(of("gitleaks", 77, "clean.json").is_err());
    let hog = |exit, stderr: &str| with_stderr("trufflehog", exit, "", stderr);
    assert_eq!(hog(0, "trufflehog/clean.stderr.txt").unwrap().scanned, Some(4));
    assert_eq!(hog(0, "").unwrap().scanned, None, "it does not say that it came to the end");
    assert!(said(hog(0, "trufflehog/broken.stderr.txt")).contains("error chunking unit"));
    assert!(hog(183, "trufflehog/clean.stderr.txt").is_err());
}

#[test]
fn pip_audit_that_looked_nothing_up_is_never_clean() {
    let parsed = of("pip-audit", 1, "findings.json").unwrap();
    assert_eq!(
        short(&parsed),
        ["CVE-2019-1010083 requirements.txt:0 high", "CVE-2018-1000656 requirements.txt:0 high"]
    );
    assert_eq!(parsed.findings[0].symbol, "flask");
    assert!(parsed.findings[0].message.ends_with("(PYSEC-2019-179); fixed in 1.0"), "{parsed:?}");
    assert_eq!(parsed.scanned, Some(2));
    let skipped = of("pip-audit", 0, "not-looked-up.json").unwrap().unreachable.unwrap();
    assert!(skipped.starts_with("2 of 2 packages could not be looked up: "), "{skipped}");
    let away = with_stderr("pip-audit", 1, "", "pip-audit/unreachable.stderr.txt").unwrap();
    assert!(away.unreachable.is_some());
    assert!(with_stderr("pip-audit", 1, "", "pip-audit/bad-requirement.stderr.txt").is_err());
    assert!(of("pip-audit", 0, "nothing.json").unwrap().nothing.is_some());
    assert!(of("pip-audit", 1, "nothing.json").is_err());
}

#[test]
fn pip_audit_on_files_that_pin_all_some_and_nothing() {
    let vulns = r#"[{"id": "PYSEC-1", "fix_versions": ["2"], "aliases": ["CVE-2026-1"]}]"#;
    let pinned = |manifest: &str| {
        format!(r#"{{"name": "flask", "version": "1", "vulns": {vulns}, "manifest": "{manifest}"}}"#)
    };
    let local = r#"{"name": "-e -", "skip_reason": "could not deduce package version from URL requirement"}"#;
    let unread = r#"[{"path": "requirements/dev.txt", "why": "requirement pytest is not pinned: pytest"}]"#;
    let read = |exit, packages: &str| {
        let text = format!(r#"{{"dependencies": [{packages}], "unread": {unread}}}"#);
        parse("pip-audit", exit, text.as_bytes())
    };
    let parsed = read(1, &format!("{}, {local}", pinned("requirements/docs.txt"))).unwrap();
    assert_eq!(
        short(&parsed),
        [
            "CVE-2026-1 requirements/docs.txt:0 high",
            "not-looked-up requirements.txt:0 low",
            "not-looked-up requirements/dev.txt:0 low",
        ]
    );
    assert_eq!((parsed.scanned, parsed.nothing), (Some(1), None));
    let why = "no requirements are pinned: requirements/dev.txt: requirement pytest is not pinned: pytest";
    assert_eq!(read(0, local).unwrap().nothing.as_deref(), Some(why));
    assert!(read(1, local).is_err(), "nothing explains that exit code");
}

#[test]
fn trivy_by_severity_and_without_a_database() {
    let parsed = of("trivy", 0, "findings.json").unwrap();
    assert_eq!(
        short(&parsed),
        [
            "CVE-2019-14806 requirements.txt:0 high",
            "CVE-2020-28724 requirements.txt:0 medium",
            "aws-access-key-id deploy.sh:3 critical"
        ]
    );
    assert_eq!(parsed.findings[2].kind, Kind::Secret);
    assert_eq!(of("trivy", 0, "clean.json").unwrap().scanned, Some(1));
    assert!(of("trivy", 0, "nothing.json").unwrap().nothing.is_some());
    let away = with_stderr("trivy", 1, "", "trivy/no-database.stderr.txt").unwrap();
    assert!(away.unreachable.unwrap().starts_with("trivy has no database of vulnerabilities: "));
    assert!(of("trivy", 1, "clean.json").is_err());
    assert!(parse("trivy", 0, br#"{"SchemaVersion":3}"#).is_err());
}

#[test]
fn mutants_are_counted_and_those_that_live_are_shown() {
    let parsed = of("mutmut", 0, "findings.json").unwrap();
    let mutants = Mutants { killed: 2, survived: 2, untested: 2, ..Mutants::default() };
    assert_eq!(parsed.mutants, Some(mutants));
    assert_eq!(
        short(&parsed),
        [
            "mutant-survived pkg/core.py:6 low",
            "mutant-survived pkg/core.py:8 low",
            "mutant-untested pkg/core.py:15 low",
            "mutant-untested pkg/core.py:15 low"
        ]
    );
    assert!(parsed.findings[0].message.contains("-    if x < low:\n+    if x <= low:"), "{parsed:?}");
    assert_eq!(parsed.findings[2].symbol, "Box.put");
    assert_eq!(of("mutmut", 0, "changed.json").unwrap().mutants.unwrap().score().to_string(), "100");
    assert_eq!(of("mutmut", 0, "unreached.json").unwrap().mutants.unwrap().untested, 6);
}

#[test]
fn mutants_that_were_not_tried_are_said_and_never_all_of_them() {
    let late = of("mutmut", 0, "late.json").unwrap();
    assert!(late.note.unwrap().ends_with("mutants were tried in its time"));
    assert_eq!(of("mutmut", 0, "nothing.json").unwrap().nothing.as_deref(), Some("no function is changed"));
    assert!(said(of("mutmut", 0, "red-tests.json")).contains("failed to collect stats"));
    let red = br#"{"report":"mutmut","unreachable":"the tests are red without a mutant"}"#;
    let parsed = parse("mutmut", 0, red).unwrap();
    assert_eq!(parsed.unreachable.as_deref(), Some("the tests are red without a mutant"));
    for report in [
        r#"{"report":"mutmut","counts":{"not checked":3},"late":true}"#,
        r#"{"report":"mutmut","counts":{"killed":1,"not checked":3},"late":false}"#,
        r#"{"report":"other","counts":{"killed":1}}"#,
        "",
    ] {
        assert!(parse("mutmut", 0, report.as_bytes()).is_err(), "{report}");
    }
}

#[test]
fn coverage_lies_beside_pytests_report() {
    let read_with = |also: Option<&[u8]>| {
        let (junit, root) = (fixture("pytest-clean.xml"), Path::new("/repo"));
        read(find("pytest").unwrap(), &Report { file: Some(&junit), also, root, ..report(0, b"") })
    };
    let coverage = read_with(Some(&fixture("coverage-py/clean.json"))).unwrap().coverage.unwrap();
    let lines = &coverage.files["pkg/core.py"];
    assert_eq!(format!("{:.2}", coverage.percent), "72.73");
    assert!(lines.hit.contains(&2) && lines.missed.contains(&7), "{lines:?}");
    assert!(read_with(Some(&fixture("coverage-py/branches.json"))).unwrap().coverage.is_some());
    let without = read_with(None).unwrap();
    assert!(without.coverage.is_none() && without.note.is_some(), "it says so");
    let absolute = br#"{"files":{"/repo/a.py":{"executed_lines":[1],"missing_lines":[]}},"totals":{"percent_covered":100.0,"num_statements":1}}"#;
    assert!(read_with(Some(absolute)).unwrap().coverage.unwrap().files.contains_key("a.py"));
    for broken in [
        &br#"{"files":{},"totals":{"percent_covered":101.0,"num_statements":1}}"#[..],
        b"{",
        br#"{"files":{},"totals":{}}"#,
    ] {
        assert!(read_with(Some(broken)).is_err());
    }
}

/// As deep as somebody likes: the stack is not the measure.
#[test]
fn deep_json_is_an_error() {
    for name in crate::config::presets::parser_names() {
        for open in ["[", r#"{"results":"#, r#"{"files":["#] {
            let deep = open.repeat(200_000);
            let report = Report { pattern: "x", file: Some(deep.as_bytes()), ..report(1, deep.as_bytes()) };
            drop(read(find(name).unwrap(), &report));
        }
    }
}
