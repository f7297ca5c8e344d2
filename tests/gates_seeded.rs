//! For every preset one change that must be red and one that must be green: where each has them, and,
//! for programs that are not to be had, a stand-in that prints what theirs print.

#![expect(clippy::unwrap_used, reason = "a test: it panics")]
#![allow(dead_code, clippy::print_stdout, reason = "it shares two trees with others")]

#[path = "common/two_trees.rs"]
mod two_trees;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sprint::config::presets::preset_names;
use sprint::domain::gate::{GateResult, Verdict};
use two_trees::{Files, TwoTrees, with};

const BASE: &str = include_str!("gates_real/base.rs");
const MORE: &str = include_str!("gates_real/more.rs");
const POLY: &str = include_str!("gates_poly.rs");
const GAMING: &str = include_str!("gates_gaming/together.rs");
const HERE: &str = include_str!("gates_seeded.rs");

/// Preset, the file that tries it, and the function that has it both red and green.
const CASES: &[(&str, &str, &str)] = &[
    ("ruff", BASE, "every_preset_sees_its_seeded_defect_once_and_forgives_it_at_the_base"),
    ("mypy", BASE, "every_preset_sees_its_seeded_defect_once_and_forgives_it_at_the_base"),
    ("radon", BASE, "every_preset_sees_its_seeded_defect_once_and_forgives_it_at_the_base"),
    ("pytest", BASE, "every_preset_sees_its_seeded_defect_once_and_forgives_it_at_the_base"),
    ("mutmut", MORE, "mutants_are_made_of_changed_functions_and_survivors_are_shown"),
    ("semgrep", MORE, "each_sees_its_seeded_defect_and_forgives_it_at_the_base"),
    ("bandit", MORE, "each_sees_its_seeded_defect_and_forgives_it_at_the_base"),
    ("detect-secrets", MORE, "each_sees_its_seeded_defect_and_forgives_it_at_the_base"),
    ("gitleaks", MORE, "programs_that_no_registry_has_are_read_by_what_they_document"),
    ("trufflehog", MORE, "programs_that_no_registry_has_are_read_by_what_they_document"),
    ("trivy", MORE, "programs_that_no_registry_has_are_read_by_what_they_document"),
    ("pip-audit", HERE, "packages_with_a_vulnerability"),
    ("cargo-fmt", POLY, "formatting_that_is_new_is_red_and_old_is_not"),
    ("clippy", POLY, "a_lint_and_code_that_does_not_build_are_red_and_an_alias_hides_neither"),
    ("cargo-test", POLY, "tests_of_rust_are_red_where_they_fail_end_early_or_are_gone"),
    ("cargo-mutants", POLY, "mutants_of_the_change_alone_are_tried"),
    ("cargo-deny", HERE, "what_deny_forbids"),
    ("llvm-cov", HERE, "lines_of_rust_that_no_test_runs"),
    ("eslint", POLY, "eslints_errors_are_red_and_its_warnings_are_shown"),
    ("tsc", POLY, "types_that_do_not_fit_are_red"),
    ("vitest", POLY, "tests_of_javascript_and_what_they_run"),
    ("npm-audit", HERE, "packages_with_a_vulnerability"),
    ("go-vet", POLY, "what_go_vet_finds_is_red_though_it_exits_with_0"),
    ("go-test", POLY, "tests_of_go_and_what_they_run"),
    ("golangci-lint", HERE, "issues_of_go"),
    ("integrity", GAMING, "what_is_moved_is_no_finding"),
];

/// The text of a function of a file, from its name to the next one's attribute.
fn function<'t>(text: &'t str, name: &str) -> &'t str {
    let from = text.find(&format!("fn {name}(")).unwrap_or_else(|| panic!("there is no test `{name}`"));
    let rest = &text[from..];
    &rest[..rest.find("\n}\n").unwrap_or(rest.len())]
}

#[test]
fn every_preset_has_a_change_that_is_red_and_one_that_is_green() {
    for name in preset_names() {
        let case = CASES.iter().find(|(preset, ..)| *preset == name);
        let (_, file, test) = case.unwrap_or_else(|| panic!("the preset `{name}` has no seeded defect"));
        let body = function(file, test);
        assert!(body.contains(&format!("\"{name}\"")) || name == "mutmut", "`{test}` does not run `{name}`");
    }
    let unknown: Vec<_> = CASES.iter().filter(|(name, ..)| !preset_names().any(|n| n == *name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Both trees with a program that prints what is recorded: red where the tree has a file `RED`.
fn played(program: &str, script: &str, base: Files<'_>, head: Files<'_>) -> (tempfile::TempDir, TwoTrees) {
    let bin = tempfile::tempdir().unwrap();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gates");
    let text = format!(
        "#!/bin/sh\nR='{}'\nfor word; do case $last in --output-path|--output) out=$word;; esac; last=$word\n\
        case $word in --output.json.path=*) out=${{word#*=}};; --version|version) echo '{program} 9.9.9'; exit 0;; esac\ndone\n\
        red() {{ [ -e RED ]; }}\n{script}\n",
        recorded.display()
    );
    fs::write(bin.path().join(program), text).unwrap();
    fs::set_permissions(bin.path().join(program), fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::join_paths([bin.path(), Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
    let trees = TwoTrees::new(base, head, path);
    (bin, trees)
}

/// The change that makes it red is red, one beside it is green, and what is old is not new.
#[track_caller]
fn seeded(preset: &str, program: &str, script: &str, base: Files<'_>, red: &str) -> GateResult {
    let with_red = with(base, "RED", "");
    let result = played(program, script, base, &with_red).1.check(preset, Verdict::Fail, red);
    played(program, script, base, &with(base, "OTHER", "")).1.check(preset, Verdict::Pass, "");
    result
}

const GO: Files<'_> =
    &[("go.mod", "module demo\n"), ("a.go", "package demo\n"), ("sub/b.go", "package sub\n")];
const RUST: Files<'_> =
    &[("Cargo.toml", "[package]\nname = \"demo\"\n"), ("Cargo.lock", ""), ("src/lib.rs", "//! A crate.\n")];

#[test]
fn issues_of_go() {
    let script = "if red; then cat $R/golangci-lint/findings.1.report > $out; exit 1; fi\n\
        cat $R/golangci-lint/clean.0.report > $out";
    let result = seeded("golangci-lint", "golangci-lint", script, GO, "");
    assert!(result.blocking().any(|finding| finding.rule == "errcheck"), "{result:#?}");
    let old = with(GO, "RED", "");
    played("golangci-lint", script, &old, &old).1.check("golangci-lint", Verdict::Pass, "");
    // Something was logged: no verdict, whatever the report says.
    let failed = "cat $R/golangci-lint/clean.0.report > $out; exit 7";
    played("golangci-lint", failed, GO, GO).1.check("golangci-lint", Verdict::Error, "it exited with 7");
}

#[test]
fn packages_with_a_vulnerability() {
    let lock: Files<'_> = &[("package-lock.json", "{}"), ("a.js", "")];
    let script =
        "if red; then cat $R/npm-audit/findings.1.stdout; exit 1; fi; cat $R/npm-audit/clean.0.stdout";
    seeded("npm-audit", "npm", script, lock, "");
    let unreachable =
        "cat $R/npm-audit/unreachable.1.stdout; cat $R/npm-audit/unreachable.1.stderr >&2; exit 1";
    played("npm", unreachable, lock, lock).1.check("npm-audit", Verdict::Skipped, "");
    let pins: Files<'_> = &[("requirements.txt", "flask==2.0.0\n"), ("a.py", "")];
    // Nothing of theirs is recorded for a clean one: the list of packages, and no vulnerability.
    let clean = r#"{"dependencies": [{"name": "flask", "version": "2.0.0", "vulns": []}], "fixes": []}"#;
    let script =
        format!("if red; then cat $R/pip-audit/findings.json > $out; exit 1; fi; echo '{clean}' > $out");
    seeded("pip-audit", "pip-audit", &script, pins, "");
}

#[test]
fn what_deny_forbids() {
    let script = "if red; then cat $R/cargo-deny/findings.6.stderr >&2; exit 6; fi\n\
        cat $R/cargo-deny/clean.0.stderr >&2";
    seeded("cargo-deny", "cargo-deny", script, RUST, "");
    let none = "cat $R/cargo-deny/nodb.1.stderr >&2; exit 1";
    played("cargo-deny", none, RUST, RUST).1.check("cargo-deny", Verdict::Skipped, "");
}

#[test]
fn lines_of_rust_that_no_test_runs() {
    let report = |hits: u32| {
        let lines: Vec<String> = (1..=12).map(|line| format!("DA:{line},{hits}\\n")).collect();
        format!(
            "printf \"SF:$PWD/src/lib.rs\\n{}LF:12\\nLH:{}\\nend_of_record\\n\" > $out",
            lines.concat(),
            hits * 12
        )
    };
    let script = format!("if red; then {}; else {}; fi", report(0), report(1));
    let code = "// A line.\n".repeat(12);
    let long = with(RUST, "src/lib.rs", &code);
    let red = with(&long, "RED", "");
    let result = played("cargo-llvm-cov", &script, RUST, &red).1.check("llvm-cov", Verdict::Fail, "");
    assert!(result.blocking().any(|finding| finding.rule.contains("cover")), "{result:#?}");
    played("cargo-llvm-cov", &script, RUST, &long).1.check("llvm-cov", Verdict::Pass, "");
}
