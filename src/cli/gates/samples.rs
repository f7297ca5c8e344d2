//! What gates may say, for the tests of the reports: every verdict, status and kind.

use crate::cli::gates_run::Ran;
use crate::domain::gate::{
    Finding, Fingerprint, GateResult, Kind, Metric, Mode, Severity, Status, TestCounts, Verdict,
};
use crate::domain::ids::GateName;

fn result(name: &str, verdict: Verdict, reason: &str) -> GateResult {
    GateResult {
        name: GateName::parse(name).unwrap(),
        verdict,
        mode: Mode::New,
        tool_version: Some(format!("{name} 1.2.3")),
        seconds: 0.25,
        cached: false,
        command: vec![name.into()],
        by_hand: format!("{name} ."),
        findings: Vec::new(),
        metrics: Vec::new(),
        tests: TestCounts::default(),
        reason: reason.to_owned(),
    }
}

fn finding(rule: &str, path: &str, line: u32, severity: Severity, status: Status, said: &str) -> Finding {
    let fingerprint = Fingerprint { placed: format!("p-{rule}-{line}"), placeless: format!("q-{rule}") };
    Finding { status, fingerprint, ..Finding::code(rule, path, line, severity, said) }
}

fn lint() -> GateResult {
    GateResult {
        findings: vec![
            finding("F401", "a b.py", 3, Severity::High, Status::New, "`os` unused"),
            finding("W291", "a b.py", 5, Severity::Low, Status::New, "a blank at the end"),
            finding("F401", "old.py", 7, Severity::High, Status::Existing, "`re` unused"),
            finding("E711", "old.py", 9, Severity::Medium, Status::Fixed, "compared with None"),
            finding("S101", "old.py", 2, Severity::Medium, Status::Suppressed, "an assertion"),
        ],
        metrics: vec![Metric {
            name: "complexity".into(),
            value: 16.0,
            threshold: Some(15.0),
            path: "a b.py".into(),
            symbol: "C.f".into(),
            line: 1,
        }],
        ..result("ruff", Verdict::Fail, "1 new finding")
    }
}

fn tests() -> GateResult {
    let symbol = "tests/test_a.py::test_one[x]";
    let failed = Finding {
        kind: Kind::Test,
        symbol: symbol.into(),
        ..finding(
            "test-failed",
            "tests/test_a.py",
            4,
            Severity::High,
            Status::New,
            "assert 1 == 2\n1 is not 2",
        )
    };
    GateResult {
        mode: Mode::Absolute,
        findings: vec![failed],
        tests: TestCounts { passed: 7, failed: 1, errors: 0, skipped: 2, flaky: 1 },
        ..result("pytest", Verdict::Fail, "1 test failed")
    }
}

fn secrets() -> GateResult {
    let found = Finding {
        kind: Kind::Secret,
        ..finding("aws-key", "conf.py", 1, Severity::Critical, Status::New, "an AWS key")
    };
    GateResult {
        mode: Mode::Absolute,
        findings: vec![found],
        ..result("gitleaks", Verdict::Fail, "1 secret")
    }
}

/// One of each.
pub(in crate::cli) fn ran() -> Ran {
    let broken = GateResult {
        tool_version: None,
        by_hand: String::new(),
        ..result("mypy", Verdict::Error, "signal 9 killed it")
    };
    let gates = vec![
        lint(),
        tests(),
        secrets(),
        result("build", Verdict::Fail, "exit code 2: no rule to make target"),
        broken,
        result("trivy", Verdict::Skipped, "`trivy` is not installed"),
        result("radon", Verdict::Pass, ""),
    ];
    Ran { base: Some("b".repeat(40)), head: None, offline: true, gates }
}
