//! The presets for Rust, JavaScript, TypeScript and Go with the real tools, on small trees: of each
//! one change that must be red and one that must be green.
//!
//! Rust's tools come with the toolchain that builds this. The others lie in `SPRINT_TEST_LANGUAGES`:
//! `node_modules` (eslint, typescript, vitest), `go-venv` (Go) and `cargo` (cargo-mutants,
//! cargo-deny); what is not there is skipped, and said so.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test: it panics, and says what it skips")]

#[path = "common/two_trees.rs"]
mod two_trees;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sprint::config::gate::GateConfig;
use sprint::config::presets::preset;
use sprint::domain::gate::{GateResult, Severity, Status, Verdict};
use sprint::gates::Side;
use two_trees::{Files, TwoTrees, with};

/// A directory of `SPRINT_TEST_LANGUAGES`, or nothing, and it is said.
fn languages(name: &str) -> Option<PathBuf> {
    let all = std::env::var_os("SPRINT_TEST_LANGUAGES").map(PathBuf::from);
    let found = all.map(|dir| dir.join(name)).filter(|dir| dir.is_dir());
    if found.is_none() {
        println!("SKIPPED: SPRINT_TEST_LANGUAGES has no {name}");
    }
    found
}

/// PATH, with `first` before it.
fn path(first: &[&Path]) -> OsString {
    let person = std::env::var_os("PATH").unwrap_or_default();
    let dirs = first.iter().map(|dir| dir.to_path_buf()).chain(std::env::split_paths(&person));
    std::env::join_paths(dirs).unwrap()
}

fn rules(result: &GateResult, status: Status) -> Vec<String> {
    let of = |f: &&sprint::domain::gate::Finding| f.status == status;
    result.findings.iter().filter(of).map(|f| format!("{} {}:{}", f.rule, f.path, f.line)).collect()
}

const RUST: Files<'_> = &[
    ("Cargo.toml", "[package]\nname = \"demo\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
    ("src/lib.rs", RUST_LIB),
];

const RUST_LIB: &str = "//! A crate.\n\n/// Twice `x`.\npub fn double(x: i32) -> i32 {\n    2 * x\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn doubles() {\n        assert_eq!(super::double(3), 6);\n        assert_eq!(super::double(2), 4);\n    }\n}\n";

fn rust(base: Files<'_>, head: Files<'_>) -> TwoTrees {
    TwoTrees::new(base, head, path(&[]))
}

#[test]
fn formatting_that_is_new_is_red_and_old_is_not() {
    let messy = RUST_LIB.replace("    2 * x", "    2*x");
    let red = rust(RUST, &with(RUST, "src/lib.rs", &messy));
    let result = red.check("cargo-fmt", Verdict::Fail, "1 new finding");
    assert_eq!(rules(&result, Status::New), ["format src/lib.rs:2"]);
    rust(RUST, RUST).check("cargo-fmt", Verdict::Pass, "");
    let old = with(RUST, "src/lib.rs", &messy);
    rust(&old, &with(&old, "src/new.rs", "//! New.\n")).check("cargo-fmt", Verdict::Pass, "1 old finding");
    // Configuration of its own is for rules only.
    let odd = with(RUST, "rustfmt.toml", "max_width = \"x\"\n");
    rust(RUST, &odd).check("cargo-fmt", Verdict::Error, "it says that it failed: The file");
}

#[test]
fn a_lint_and_code_that_does_not_build_are_red_and_an_alias_hides_neither() {
    let lint = RUST_LIB.replace("    2 * x", "    return 2 * x;");
    let head = with(RUST, "src/lib.rs", &lint);
    let head = with(&head, ".cargo/config.toml", "[alias]\nclippy = \"version\"\n");
    let result = rust(RUST, &head).check("clippy", Verdict::Fail, "1 new finding");
    assert_eq!(rules(&result, Status::New), ["clippy::needless_return src/lib.rs:5"]);
    assert!(result.tool_version.unwrap().contains("clippy"));
    rust(&head, &head).check("clippy", Verdict::Pass, "1 old finding");
    rust(RUST, RUST).check("clippy", Verdict::Pass, "");
    let broken = RUST_LIB.replace("    2 * x", "    \"a\"");
    let result =
        rust(RUST, &with(RUST, "src/lib.rs", &broken)).check("clippy", Verdict::Fail, "1 new finding");
    assert_eq!(result.findings[0].severity, Severity::Critical);
    let unknown =
        "[package]\nname = \"demo\"\nversion = \"0.1.0\"\n[dependencies]\nno-such-crate-here = \"1\"\n";
    rust(RUST, &with(RUST, "Cargo.toml", unknown)).check(
        "clippy",
        Verdict::Error,
        "it says that it failed: error: no matching package",
    );
    let gone: Vec<_> = RUST.iter().copied().filter(|(path, _)| *path != "Cargo.toml").collect();
    rust(RUST, &gone).check("clippy", Verdict::Fail, "the base has 1 files for this gate to check");
    rust(&gone, &gone).check("clippy", Verdict::Skipped, "nothing to check: there is no `Cargo.toml`");
}

#[test]
fn tests_of_rust_are_red_where_they_fail_end_early_or_are_gone() {
    let result = rust(RUST, RUST).check("cargo-test", Verdict::Pass, "");
    assert_eq!((result.tests.passed, result.tests.failed), (1, 0));
    let wrong = RUST_LIB.replace("    2 * x", "    3 * x");
    let result =
        rust(RUST, &with(RUST, "src/lib.rs", &wrong)).check("cargo-test", Verdict::Fail, "1 test failed");
    assert_eq!(result.findings[0].symbol, "demo/src/lib.rs::tests::doubles");
    assert_eq!((result.findings[0].path.as_str(), result.findings[0].line), ("src/lib.rs", 12));
    let example = RUST_LIB
        .replace("/// Twice `x`.", "/// Twice `x`.\n/// ```\n/// assert_eq!(demo::double(1), 3);\n/// ```");
    rust(RUST, &with(RUST, "src/lib.rs", &example)).check("cargo-test", Verdict::Fail, "1 test failed");
    let early = wrong.replace("        assert_eq!(super::double(3), 6);", "        std::process::exit(0);");
    let result =
        rust(RUST, &with(RUST, "src/lib.rs", &early)).check("cargo-test", Verdict::Fail, "1 test failed");
    assert_eq!(result.findings[0].rule, "test-lost");
    let abort =
        RUST_LIB.replace("        assert_eq!(super::double(3), 6);", "        std::process::abort();");
    let result =
        rust(RUST, &with(RUST, "src/lib.rs", &abort)).check("cargo-test", Verdict::Fail, "1 test failed");
    assert!(result.findings[0].message.contains("SIGABRT"), "{result:#?}");
    let own = "fn main() {\n    std::process::exit(3);\n}\n";
    let harness = format!("{}\n[[test]]\nname = \"own\"\nharness = false\n", RUST[0].1);
    let base = with(RUST, "Cargo.toml", &harness);
    let green = with(&base, "tests/own.rs", "fn main() {}\n");
    rust(&green, &with(&base, "tests/own.rs", own)).check("cargo-test", Verdict::Fail, "1 test failed");
    rust(&green, &green).check("cargo-test", Verdict::Pass, "");
    let without = "//! A crate.\n\n/// Twice `x`.\npub fn double(x: i32) -> i32 {\n    3 * x\n}\n";
    let untested = with(RUST, "src/lib.rs", without);
    rust(RUST, &untested).check("cargo-test", Verdict::Fail, "there are no tests, but the base has");
    rust(&untested, &untested).check("cargo-test", Verdict::Skipped, "there are no tests");
    let broken = RUST_LIB.replace("    2 * x", "    \"a\"");
    rust(RUST, &with(RUST, "src/lib.rs", &broken)).check("cargo-test", Verdict::Fail, "1 test failed");
}

#[test]
fn a_repository_that_is_set_up_for_nextest_gets_it_and_its_documentation_is_tested_too() {
    let has = std::env::split_paths(&path(&[])).any(|dir| dir.join("cargo-nextest").is_file());
    if !has {
        println!("SKIPPED: there is no cargo-nextest");
        return;
    }
    let next = with(RUST, ".config/nextest.toml", "[profile.default]\nretries = 0\n");
    let example = RUST_LIB
        .replace("/// Twice `x`.", "/// Twice `x`.\n/// ```\n/// assert_eq!(demo::double(1), 2);\n/// ```");
    let green = with(&next, "src/lib.rs", &example);
    let result = rust(&next, &green).check("cargo-test", Verdict::Pass, "");
    assert_eq!(result.tests.passed, 2, "{result:#?}");
    assert!(result.command[2].contains("nextest run"));
    let wrong = example.replace("(1), 2)", "(1), 3)");
    rust(&next, &with(&next, "src/lib.rs", &wrong)).check("cargo-test", Verdict::Fail, "1 test failed");
    let wrong = example.replace("(3), 6)", "(3), 7)");
    let result =
        rust(&next, &with(&next, "src/lib.rs", &wrong)).check("cargo-test", Verdict::Fail, "1 test failed");
    assert_eq!(result.findings[0].symbol, "demo::demo::tests::doubles");
}

#[test]
fn mutants_of_the_change_alone_are_tried() {
    let Some(cargo) = languages("cargo") else { return };
    if !cargo.join("bin/cargo-mutants").is_file() {
        println!("SKIPPED: there is no cargo-mutants");
        return;
    }
    let trees = |base: Files<'_>, head: Files<'_>| TwoTrees::new(base, head, path(&[&cargo.join("bin")]));
    let old = RUST_LIB
        .replace("#[cfg(test)]", "/// Untested.\npub fn old(x: i32) -> i32 {\n    x + 1\n}\n\n#[cfg(test)]");
    let base = with(RUST, "src/lib.rs", &old);
    let better = old.replace("    2 * x", "    x * 2");
    let result = trees(&base, &with(&base, "src/lib.rs", &better)).check("cargo-mutants", Verdict::Pass, "");
    assert!(result.metrics.iter().any(|m| m.name == "mutation" && m.value > 99.0), "{result:#?}");
    let worse = old.replace("    x + 1", "    x + 2");
    let red = trees(&base, &with(&base, "src/lib.rs", &worse)).check("cargo-mutants", Verdict::Fail, "");
    assert!(red.findings.iter().any(|f| f.rule == "mutant-survived" && f.symbol == "old"), "{red:#?}");
    trees(&base, &with(&base, "README.md", "x\n")).check(
        "cargo-mutants",
        Verdict::Skipped,
        "there was nothing to mutate",
    );
}

#[test]
fn what_a_deny_toml_forbids_is_red_and_no_database_passes_the_gate_by() {
    let Some(cargo) = languages("cargo") else { return };
    if !cargo.join("bin/cargo-deny").is_file() {
        println!("SKIPPED: there is no cargo-deny");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let trees = |base: Files<'_>, head: Files<'_>| {
        let mut trees = TwoTrees::new(base, head, path(&[&cargo.join("bin")]));
        // A home without a database of advisories, where the toolchain is the real one.
        trees.set("RUSTUP_HOME", &rustup_home());
        trees.set("CARGO_HOME", &home.path().to_string_lossy());
        trees
    };
    trees(RUST, RUST).check("cargo-deny", Verdict::Skipped, "there is no database of advisories");
    let required = GateConfig { required: true, ..preset("cargo-deny").unwrap() };
    assert_eq!(trees(RUST, RUST).gate(&required).verdict, Verdict::Error);
    let own = GateConfig {
        command: ["cargo-deny", "--format", "json", "--offline", "check", "licenses"]
            .map(str::to_owned)
            .to_vec(),
        ..preset("cargo-deny").unwrap()
    };
    let base = with(RUST, "deny.toml", "[licenses]\nallow = [\"MIT\"]\n");
    let licence = |name: &str| format!("{}license = \"{name}\"\n", RUST[0].1);
    let (good, bad) = (licence("MIT"), licence("GPL-3.0-only"));
    let base = with(&base, "Cargo.toml", &good);
    assert_eq!(trees(&base, &base).gate(&own).verdict, Verdict::Pass);
    let result = trees(&base, &with(&base, "Cargo.toml", &bad)).gate(&own);
    let blocking: Vec<&str> = result.blocking().map(|f| f.rule.as_str()).collect();
    assert_eq!((result.verdict, blocking), (Verdict::Fail, vec!["rejected"]));
}

fn rustup_home() -> String {
    let home = std::env::var("HOME").unwrap_or_default();
    std::env::var("RUSTUP_HOME").unwrap_or(format!("{home}/.rustup"))
}

const SCRIPT: Files<'_> = &[
    (
        "package.json",
        "{ \"name\": \"demo\", \"type\": \"module\", \"devDependencies\": { \"vitest\": \"*\" } }\n",
    ),
    ("eslint.config.js", "import js from \"@eslint/js\";\n\nexport default [js.configs.recommended];\n"),
    ("src/a.js", SCRIPT_A),
    (
        "src/a.test.js",
        "import { expect, test } from \"vitest\";\nimport { double } from \"./a.js\";\n\ntest(\"doubles\", () => {\n  expect(double(2)).toBe(4);\n});\n",
    ),
];

const SCRIPT_A: &str = "export const double = (x) => 2 * x;\n";

fn node(base: Files<'_>, head: Files<'_>) -> Option<TwoTrees> {
    let modules = languages("node_modules")?;
    let trees = TwoTrees::new(base, head, path(&[]));
    trees.link("node_modules", &modules);
    Some(trees)
}

#[test]
fn eslints_errors_are_red_and_its_warnings_are_shown() {
    let Some(trees) = node(SCRIPT, SCRIPT) else { return };
    trees.check("eslint", Verdict::Pass, "");
    let unused = with(SCRIPT, "src/a.js", "export const double = (x) => 2 * x;\nconst unused = 1;\n");
    let result = node(SCRIPT, &unused).unwrap().check("eslint", Verdict::Fail, "1 new finding");
    assert_eq!(rules(&result, Status::New), ["no-unused-vars src/a.js:2"]);
    node(&unused, &unused).unwrap().check("eslint", Verdict::Pass, "1 old finding");
    let warn =
        SCRIPT[1].1.replace("[js.configs.recommended]", "[{ rules: { \"no-unused-vars\": \"warn\" } }]");
    let result =
        node(SCRIPT, &with(&unused, "eslint.config.js", &warn)).unwrap().check("eslint", Verdict::Pass, "");
    assert_eq!(result.findings[0].severity, Severity::Low);
    let broken = with(SCRIPT, "src/a.js", "export const double = (;\n");
    let result = node(SCRIPT, &broken).unwrap().check("eslint", Verdict::Fail, "1 new finding");
    assert_eq!(result.findings[0].severity, Severity::Critical);
    let odd = with(SCRIPT, "eslint.config.js", "throw new Error(\"boom\");\n");
    node(SCRIPT, &odd).unwrap().check("eslint", Verdict::Error, "it says that it failed: Error: boom");
    let blind = with(SCRIPT, "eslint.config.js", "export default [{ ignores: [\"**\"] }];\n");
    node(SCRIPT, &blind).unwrap().check(
        "eslint",
        Verdict::Fail,
        "eslint is told to look at none of the files",
    );
}

#[test]
fn a_program_that_the_candidate_itself_brings_does_not_judge_it() {
    let Some(_) = languages("node_modules") else { return };
    let own = "#!/bin/sh\necho '[{\"filePath\":\"a.js\",\"messages\":[]}]'\n";
    let head = with(SCRIPT, "node_modules/.bin/eslint", own);
    let trees = TwoTrees::new(SCRIPT, &head, "/usr/bin:/bin".into());
    let file = trees.root(Side::Head).join("node_modules/.bin/eslint");
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    trees.check("eslint", Verdict::Skipped, "`eslint` is not installed");
}

#[test]
fn types_that_do_not_fit_are_red() {
    let base = with(
        SCRIPT,
        "tsconfig.json",
        "{ \"compilerOptions\": { \"strict\": true, \"pretty\": true, \"types\": [] }, \"include\": [\"src/*.ts\"] }\n",
    );
    let base = with(&base, "src/b.ts", "export const half = (x: number): number => x / 2;\n");
    let Some(trees) = node(&base, &base) else { return };
    trees.check("tsc", Verdict::Pass, "");
    let wrong = with(&base, "src/c.ts", "import { half } from \"./b\";\nexport const c: string = half(2);\n");
    let result = node(&base, &wrong).unwrap().check("tsc", Verdict::Fail, "1 new finding");
    assert_eq!(rules(&result, Status::New), ["TS2322 src/c.ts:2"]);
    node(&wrong, &wrong).unwrap().check("tsc", Verdict::Pass, "1 old finding");
    let broken = with(&base, "src/c.ts", "export const c = (;\n");
    node(&base, &broken).unwrap().check("tsc", Verdict::Fail, "1 new finding");
    let odd = with(
        &base,
        "tsconfig.json",
        "{ \"compilerOptions\": { \"nonsense\": true }, \"include\": [\"src/*.ts\"] }\n",
    );
    node(&base, &odd).unwrap().check("tsc", Verdict::Fail, "1 new finding");
}

#[test]
fn tests_of_javascript_and_what_they_run() {
    let Some(trees) = node(SCRIPT, SCRIPT) else { return };
    assert_eq!(trees.check("vitest", Verdict::Pass, "").tests.passed, 1);
    let wrong = with(SCRIPT, "src/a.js", "export const double = (x) => 3 * x;\n");
    let result = node(SCRIPT, &wrong).unwrap().check("vitest", Verdict::Fail, "1 test failed");
    assert_eq!(result.findings[0].symbol, "src/a.test.js::doubles");
    assert_eq!(result.findings[0].line, 5);
    let empty = with(SCRIPT, "src/a.test.js", "");
    node(SCRIPT, &empty).unwrap().check("vitest", Verdict::Fail, "1 test failed");
    let skipped = SCRIPT[3].1.replace("test(\"", "test.skip(\"");
    node(SCRIPT, &with(SCRIPT, "src/a.test.js", &skipped)).unwrap().check(
        "vitest",
        Verdict::Error,
        "there are test files, but all 1 tests were skipped",
    );
    let stray = SCRIPT[3].1.replace("test(\"", "Promise.reject(new Error(\"stray\"));\ntest(\"");
    let result = node(SCRIPT, &with(SCRIPT, "src/a.test.js", &stray)).unwrap().check(
        "vitest",
        Verdict::Fail,
        "1 test failed",
    );
    assert_eq!(result.findings[0].rule, "vitest-exit", "{result:#?}");
}

#[test]
fn vitest_with_a_provider_holds_the_change_to_what_its_tests_run() {
    let asks = "{ \"type\": \"module\", \"devDependencies\": { \"vitest\": \"*\", \"@vitest/coverage-v8\": \"*\" } }\n";
    let base = with(SCRIPT, "package.json", asks);
    let Some(trees) = node(&base, &base) else { return };
    let result = trees.check("vitest", Verdict::Pass, "");
    assert!(result.metrics.iter().any(|m| m.name == "coverage" && m.value > 99.0), "{result:#?}");
    let lines =
        (0..12).map(|n| format!("  if (x === {n}) {{\n    return {n};\n  }}\n")).collect::<Vec<_>>().concat();
    let untested = format!("{SCRIPT_A}\nexport function odd(x) {{\n{lines}  return x;\n}}\n");
    let result = node(&base, &with(&base, "src/a.js", &untested)).unwrap().check("vitest", Verdict::Fail, "");
    assert!(result.findings.iter().any(|f| f.rule == "coverage-of-change"), "{result:#?}");
}

const GO: Files<'_> = &[
    ("go.mod", "module example.com/demo\n\ngo 1.21\n"),
    ("sub/a.go", "package sub\n\n// Double is twice x.\nfunc Double(x int) int { return 2 * x }\n"),
    (
        "sub/a_test.go",
        "package sub\n\nimport \"testing\"\n\nfunc TestDouble(t *testing.T) {\n\tif Double(2) != 4 {\n\t\tt.Fatal(\"not 4\")\n\t}\n}\n",
    ),
];

fn go(base: Files<'_>, head: Files<'_>) -> Option<TwoTrees> {
    let bin = languages("go-venv")?.join("bin");
    Some(TwoTrees::new(base, head, path(&[&bin])))
}

#[test]
fn what_go_vet_finds_is_red_though_it_exits_with_0() {
    let Some(trees) = go(GO, GO) else { return };
    let result = trees.check("go-vet", Verdict::Pass, "");
    assert!(result.tool_version.unwrap().starts_with("go version"));
    let odd = with(
        GO,
        "sub/b.go",
        "package sub\n\nimport \"fmt\"\n\nfunc Say() { fmt.Printf(\"%d\\n\", \"x\") }\n",
    );
    let result = go(GO, &odd).unwrap().check("go-vet", Verdict::Fail, "1 new finding");
    assert_eq!(rules(&result, Status::New), ["printf sub/b.go:5"]);
    go(&odd, &odd).unwrap().check("go-vet", Verdict::Pass, "1 old finding");
    let broken = with(GO, "sub/b.go", "package sub\n\nfunc B(x int { return }\n");
    go(GO, &broken).unwrap().check("go-vet", Verdict::Fail, "1 new finding");
}

#[test]
fn tests_of_go_and_what_they_run() {
    let Some(trees) = go(GO, GO) else { return };
    let result = trees.check("go-test", Verdict::Pass, "");
    assert_eq!(result.tests.passed, 1);
    assert!(result.metrics.iter().any(|m| m.name == "coverage" && m.value > 99.0), "{result:#?}");
    let wrong =
        with(GO, "sub/a.go", "package sub\n\n// Double is not.\nfunc Double(x int) int { return 3 * x }\n");
    let result = go(GO, &wrong).unwrap().check("go-test", Verdict::Fail, "1 test failed");
    assert_eq!(
        (result.findings[0].path.as_str(), result.findings[0].line),
        ("sub/a_test.go", 7),
        "{result:#?}"
    );
    let broken = with(GO, "sub/a.go", "package sub\n\nfunc Double(x int) int { return \"a\" }\n");
    go(GO, &broken).unwrap().check("go-test", Verdict::Fail, "1 test failed");
    let none = with(GO, "sub/a_test.go", "package sub\n");
    go(GO, &none).unwrap().check("go-test", Verdict::Error, "there are test files, but none was run");
    let lines =
        (0..12).map(|n| format!("\tif x == {n} {{\n\t\treturn {n}\n\t}}\n")).collect::<Vec<_>>().concat();
    let untested =
        format!("package sub\n\n// Odd is untested.\nfunc Odd(x int) int {{\n{lines}\treturn x\n}}\n");
    let result = go(GO, &with(GO, "sub/b.go", &untested)).unwrap().check("go-test", Verdict::Fail, "");
    assert!(result.findings.iter().any(|f| f.rule == "uncovered" && f.path == "sub/b.go"), "{result:#?}");
}

#[test]
fn a_tool_that_is_not_there_is_skipped_and_named() {
    for (name, files) in
        [("golangci-lint", GO), ("llvm-cov", RUST), ("tsc", &with(SCRIPT, "tsconfig.json", "{}"))]
    {
        let trees = TwoTrees::new(files, files, "/usr/bin:/bin".into());
        let program = preset(name).unwrap().command[0].clone();
        trees.check(name, Verdict::Skipped, &format!("`{program}` is not installed ("));
    }
}
