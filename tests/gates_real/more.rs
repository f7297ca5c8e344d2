//! The tools beyond those that every Python tree is held to: coverage, mutants, security, secrets.
//!
//! What cannot be had from a package registry is played by programs that print what is recorded.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sprint::config::gate::{GateConfig, Mode};
use sprint::config::presets::preset;
use sprint::domain::gate::{GateResult, Kind, Severity, Status, Verdict};
use sprint::gates::{Room, Side, Trees};

use crate::world::*;

/// Those that pip can install, without pip-audit, which needs a database.
const MORE: [&str; 4] = ["mutmut", "semgrep", "bandit", "detect-secrets"];

const UNSAFE: &str = "def double(x: int) -> int:\n    return eval(str(2 * x))\n";
const SECRET: &str = "KEY = \"AKIAQYLPMN5HFIQR7XYA\"\n";
/// Its tests do not see the limit.
const LOOSE: &str = "def double(x: int) -> int:\n    return 2 * x\n\n\n\
    def sign(x: int) -> int:\n    if x > 0:\n        return 1\n    return -1\n";
const LOOSE_TEST: &str = "from pkg.core import double, sign\n\n\ndef test_double() -> None:\n    \
    assert double(2) == 4\n    assert double(3) == 6\n\n\ndef test_sign() -> None:\n    assert sign(5) == 1\n";

fn rules(result: &GateResult, status: Status) -> Vec<String> {
    let of = result.findings.iter().filter(|finding| finding.status == status);
    of.map(|finding| format!("{} {}:{}", finding.rule, finding.path, finding.line)).collect()
}

#[test]
fn a_clean_change_passes_all_of_them_and_leaves_nothing() {
    if !have(&MORE) {
        return;
    }
    let tests = "from pkg.core import double\n\n\ndef test_double() -> None:\n    assert double(2) == 4\n    assert double(3) == 6\n";
    let head = with(CLEAN, "tests/test_core.py", tests);
    let world = World::new(&[("README.md", "")], &head);
    for name in MORE {
        let result = world.run(name);
        assert_eq!(result.verdict, Verdict::Pass, "{name}: {result:#?}");
        assert!(result.tool_version.is_some_and(|version| version.contains('.')), "{name}");
        assert!(!result.cached && world.run(name).cached, "{name}");
    }
    assert!(world.modified(Side::Head, Room::Working).unwrap().is_empty());
    let left: Vec<_> = fs::read_dir(world.dir.path().join("home")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!world.root(Side::Head).join("mutants").exists());
}

#[test]
fn each_sees_its_seeded_defect_and_forgives_it_at_the_base() {
    if !have(&MORE) {
        return;
    }
    for (name, path, text, rule) in [
        ("semgrep", "pkg/core.py", UNSAFE, "eval-of-input pkg/core.py:2"),
        ("bandit", "pkg/core.py", UNSAFE, "B307 pkg/core.py:2"),
        ("detect-secrets", "deploy/keys.cfg", SECRET, "aws-access-key deploy/keys.cfg:1"),
    ] {
        let red = with(CLEAN, path, text);
        let result = World::new(CLEAN, &red).run(name);
        assert_eq!(result.verdict, Verdict::Fail, "{name}: {result:#?}");
        assert!(rules(&result, Status::New).contains(&rule.to_owned()), "{name}: {result:#?}");
        let old = World::new(&red, &red).run(name);
        // A secret that lies open is as bad if it is old.
        let verdict = if name == "detect-secrets" { Verdict::Fail } else { Verdict::Pass };
        assert_eq!((old.verdict, rules(&old, Status::New).len()), (verdict, 0), "{name}: {old:#?}");
        if name == "semgrep" {
            // Two seconds a scan are enough of it.
            continue;
        }
        assert_eq!(World::new(&red, CLEAN).run(name).verdict, Verdict::Pass, "{name}");
        let moved = with(CLEAN, "pkg/elsewhere.py", text);
        let moved = World::new(&with(CLEAN, "pkg/old_place.py", text), &moved).run(name);
        assert_eq!(rules(&moved, Status::New).len(), 0, "{name}: {moved:#?}");
    }
}

#[test]
fn a_secret_is_nowhere_in_what_a_gate_says() {
    if !have(&["detect-secrets", "bandit"]) {
        return;
    }
    let head =
        with(CLEAN, "pkg/core.py", "PASSWORD = \"hunter2-and-more\"\nKEY = \"AKIAQYLPMN5HFIQR7XYA\"\n");
    let world = World::new(CLEAN, &head);
    for name in ["detect-secrets", "bandit"] {
        let result = world.run(name);
        assert!(!result.findings.is_empty(), "{name}");
        let all = format!("{result:?}");
        assert!(!all.contains("hunter2") && !all.contains("AKIA"), "{name}: {all}");
    }
    let guess = World::new(&head, &head).run("detect-secrets");
    let of = |rule: &str| guess.findings.iter().find(|finding| finding.rule == rule).unwrap();
    assert!(of("aws-access-key").blocks(Mode::Absolute) && !of("secret-keyword").blocks(Mode::Absolute));
}

/// detect-secrets leaves files out by their names, and one that it cannot parse ends it.
#[test]
fn secrets_where_detect_secrets_does_not_look() {
    if !have(&["detect-secrets"]) {
        return;
    }
    let deep = format!("a: {}{}\nb: AKIAQYLPMN5HFIQR7XYA\n", "[".repeat(3000), "]".repeat(3000));
    let mut head = with(CLEAN, "deep.yaml", &deep);
    let result = World::new(CLEAN, &head).run("detect-secrets");
    assert_eq!(rules(&result, Status::New), ["aws-key-id deep.yaml:2"], "{result:#?}");
    assert!(result.reason.contains("it fails on `deep.yaml` ("), "{}", result.reason);
    assert!(result.reason.ends_with("only secrets of well-known forms were looked for there"));
    head.extend([("logo.svg", SECRET), ("sub/poetry.lock", SECRET), ("keys.cfg", SECRET)]);
    let result = World::new(CLEAN, &head).run("detect-secrets");
    let mut found = rules(&result, Status::New);
    found.sort();
    let expected = [
        "aws-access-key keys.cfg:1",
        "aws-key-id deep.yaml:2",
        "aws-key-id logo.svg:1",
        "aws-key-id sub/poetry.lock:1",
    ];
    assert_eq!(found, expected, "{result:#?}");
}

#[test]
fn what_a_tool_could_not_read_is_no_pass() {
    if !have(&MORE) {
        return;
    }
    let broken = with(CLEAN, "pkg/core.py", SYNTAX);
    let world = World::new(CLEAN, &broken);
    assert_eq!(rules(&world.run("bandit"), Status::New), ["unreadable pkg/core.py:0"]);
    assert_eq!(world.run("bandit").verdict, Verdict::Fail);
    assert_ne!(world.run("mutmut").verdict, Verdict::Pass);
    // One that nobody has touched is old.
    assert_eq!(World::new(&broken, &broken).run("bandit").verdict, Verdict::Pass);
}

#[test]
fn a_repositorys_configuration_says_which_rules_and_nothing_else() {
    if !have(&MORE) {
        return;
    }
    let quiet = "[tool.bandit]\nskips = [\"B307\"]\n";
    let head = with_all(CLEAN, &[("pkg/core.py", UNSAFE), ("pyproject.toml", quiet)]);
    assert_eq!(rules(&World::new(CLEAN, &head).run("bandit"), Status::New), [""; 0]);
    let ini = "[bandit]\nformat = txt\noutput = /dev/null\nskips = B101\n";
    let head = with_all(CLEAN, &[("pkg/core.py", UNSAFE), (".bandit", ini)]);
    assert_eq!(rules(&World::new(CLEAN, &head).run("bandit"), Status::New), ["B307 pkg/core.py:2"]);
    let broken = with(CLEAN, "pyproject.toml", "[tool.bandit\n");
    assert_eq!(World::new(CLEAN, &broken).run("bandit").verdict, Verdict::Error);
    let ignored = with_all(CLEAN, &[("pkg/core.py", UNSAFE), (".semgrepignore", "pkg/\ntests/\n")]);
    let result = World::new(CLEAN, &ignored).run("semgrep");
    assert_eq!(result.verdict, Verdict::Error, "it looked at nothing: {result:#?}");
}

#[test]
fn mutants_are_made_of_changed_functions_and_survivors_are_shown() {
    if !have(&["mutmut"]) {
        return;
    }
    let head = with_all(CLEAN, &[("pkg/core.py", LOOSE), ("tests/test_core.py", LOOSE_TEST)]);
    let world = World::new(CLEAN, &head);
    let result = world.run("mutmut");
    assert_eq!(result.verdict, Verdict::Fail, "{result:#?}");
    assert_eq!(result.findings[0].rule, "mutation-score");
    assert!(result.findings.iter().all(|finding| finding.symbol != "double"), "only `sign` is new");
    let survivor = result.findings.iter().find(|finding| finding.rule == "mutant-survived").unwrap();
    assert!(survivor.message.contains("\n+    if x >= 0:"), "{}", survivor.message);
    assert_eq!((survivor.path.as_str(), survivor.severity), ("pkg/core.py", Severity::Low));
    let (code, said) = by_hand(&world, &result);
    assert_eq!(code, Some(0), "{}\n{said}", result.by_hand);
    // With tests that see the limit.
    let sharp = format!("{LOOSE_TEST}    assert sign(1) == 1\n    assert sign(0) == -1\n");
    let head = with_all(CLEAN, &[("pkg/core.py", LOOSE), ("tests/test_core.py", &sharp)]);
    // What lies beside the package is not what is shipped, and no test is asked to run it.
    let beside = "def help(x: int) -> int:\n    return x + 1\n";
    let head = with_all(&head, &[("bin/tool.py", beside), ("release/notes.py", beside)]);
    let absolute = GateConfig { mode: Mode::Absolute, ..preset("mutmut").unwrap() };
    let all = World::new(CLEAN, &head).gate(&absolute);
    assert_eq!((all.verdict, all.metrics[0].value.to_string().as_str()), (Verdict::Pass, "100"), "{all:#?}");
}

#[test]
fn without_a_mutant_the_gate_is_skipped_and_says_why() {
    if !have(&["mutmut"]) {
        return;
    }
    let readme = with(CLEAN, "README.md", "more\n");
    World::new(CLEAN, &readme).check("mutmut", Verdict::Skipped, "no function is changed");
    let red = with(CLEAN, "pkg/core.py", "def double(x: int) -> int:\n    return 3 * x\n");
    let result = World::new(CLEAN, &red).run("mutmut");
    assert_eq!(result.verdict, Verdict::Skipped, "its tests fail before anything is changed: {result:#?}");
    assert!(
        result.reason.starts_with("as mutmut runs them, the tests are red without a mutant: FAILED tests/"),
        "{}",
        result.reason
    );
    let required = GateConfig { required: true, ..preset("mutmut").unwrap() };
    assert_eq!(World::new(CLEAN, &red).gate(&required).verdict, Verdict::Error);
    let own = "[tool.mutmut]\nsource_paths = [\"pkg\"]\nalso_copy = [\"tests\"]\n";
    let configured = with_all(CLEAN, &[("pyproject.toml", own), ("pkg/core.py", LOOSE)]);
    let configured = with(&configured, "tests/test_core.py", LOOSE_TEST);
    assert_eq!(World::new(CLEAN, &configured).run("mutmut").verdict, Verdict::Fail);
}

/// An environment of the project's own, with a package that only it has: pytest is linked into it.
fn environment(world: &World) -> std::path::PathBuf {
    let venv = world.dir.path().join("project");
    let path = world.env.iter().find(|(name, _)| name == "PATH").unwrap().1.clone();
    let of = |program: &str| sprint::gates::find_program(program, &path, Path::new("/")).unwrap();
    let run = |program: &Path, args: &[&str]| {
        let output = std::process::Command::new(program).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&of("python3"), &["-m", "venv", "--without-pip", venv.to_str().unwrap()]);
    let purelib = ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"];
    let python = venv.join("bin/python");
    let packages = run(&python, &purelib);
    let packages = Path::new(packages.trim());
    let pytests = run(&of("pytest").with_file_name("python"), &purelib);
    fs::write(packages.join("pytest.pth"), pytests).unwrap();
    fs::write(packages.join("only_here.py"), "TWO = 2\n").unwrap();
    let script = format!("#!{}\nimport sys\nfrom pytest import main\nsys.exit(main())\n", python.display());
    fs::write(venv.join("bin/pytest"), script).unwrap();
    fs::set_permissions(venv.join("bin/pytest"), fs::Permissions::from_mode(0o755)).unwrap();
    venv
}

#[test]
fn mutmut_works_with_what_the_project_has_installed() {
    if !have(&["mutmut"]) {
        return;
    }
    let code = "from only_here import TWO\n\n\ndef double(x: int) -> int:\n    return TWO * x\n";
    let tests = "from pkg.core import double\n\n\ndef test_double() -> None:\n    assert double(2) == 4\n    assert double(3) == 6\n";
    let head = with(CLEAN, "pkg/core.py", code);
    let head = with(&head, "tests/test_core.py", tests);
    let mut world = World::new(CLEAN, &head);
    let venv = environment(&world);
    let path = world.env.iter_mut().find(|(name, _)| name == "PATH").unwrap();
    let dirs = std::iter::once(venv.join("bin")).chain(std::env::split_paths(&path.1));
    path.1 = std::env::join_paths(dirs).unwrap();
    let result = world.run("mutmut");
    assert_eq!(result.verdict, Verdict::Pass, "{result:#?}");
    assert!(result.metrics.iter().any(|metric| metric.value > 0.0), "{result:#?}");
}

/// Twelve lines that a test runs or does not.
fn long(run: bool) -> (String, String) {
    let body = (0..12).map(|n| format!("    x += {n}\n")).collect::<Vec<_>>().concat();
    let code = format!(
        "def double(x: int) -> int:\n    return 2 * x\n\n\ndef long(x: int) -> int:\n{body}    return x\n"
    );
    let call = if run { "    assert long(0) == 66\n" } else { "" };
    let test = format!(
        "from pkg.core import double, long\n\n\ndef test_double() -> None:\n    assert double(2) == 4\n{call}    assert long\n"
    );
    (code, test)
}

#[test]
fn changed_lines_that_no_test_runs_are_too_many() {
    if !have(&["pytest"]) {
        return;
    }
    for (run, verdict) in [(true, Verdict::Pass), (false, Verdict::Fail)] {
        let (code, test) = long(run);
        let head = with_all(CLEAN, &[("pkg/core.py", &code), ("tests/test_core.py", &test)]);
        let result = World::new(CLEAN, &head).run("pytest");
        assert_eq!(result.verdict, verdict, "{result:#?}");
        assert!(result.metrics.iter().any(|metric| metric.name == "coverage"), "{result:#?}");
        let new = rules(&result, Status::New);
        assert_eq!(new.contains(&"uncovered pkg/core.py:6".to_owned()), !run, "{new:?}");
    }
}

#[test]
fn a_repository_that_is_strict_with_warnings_or_with_coverage_is_measured_all_the_same() {
    if !have(&["pytest"]) {
        return;
    }
    let strict = "[tool.pytest.ini_options]\nfilterwarnings = [\"error\"]\n\
        addopts = \"--cov=pkg --cov-branch --cov-fail-under=100 --cov-report=term-missing\"\n\
        [tool.coverage.report]\nfail_under = 100\n";
    let (code, test) = long(true);
    let more = format!("{code}\n\ndef other(x: int) -> int:\n    return x\n");
    let base =
        with_all(CLEAN, &[("pyproject.toml", strict), ("pkg/core.py", &more), ("tests/test_core.py", &test)]);
    let result = World::new(&base, &base).check("pytest", Verdict::Pass, "");
    assert!(
        result.metrics.iter().any(|metric| metric.name == "coverage" && metric.value < 100.0),
        "{result:#?}"
    );
    for turned_off in ["addopts = \"-p no:cov\"", "addopts = \"--no-cov\""] {
        let config = format!("[tool.pytest.ini_options]\n{turned_off}\n");
        let head = with(CLEAN, "pyproject.toml", &config);
        let result = World::new(CLEAN, &head).run("pytest");
        assert_eq!(result.tests.passed, 1, "{result:#?}");
        assert!(result.reason.contains("coverage was not measured"), "{}", result.reason);
    }
}

/// A world in which a program prints what is recorded; `script` is what it does besides.
fn played(name: &str, script: &str, files: Files<'_>) -> World {
    let mut world = World::new(CLEAN, files);
    let bin = world.dir.path().join("played");
    fs::create_dir(&bin).unwrap();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gates").join(name);
    let text = format!(
        "#!/bin/sh\nR='{}'\nfor word; do case $last in --report-path|--output) out=$word;; esac; last=$word; done\n\
        case $1 in version|--version) echo '{name} 9.9.9'; exit 0;; esac\n{script}\n",
        recorded.display()
    );
    fs::write(bin.join(name), text).unwrap();
    fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let mut env: BTreeMap<_, _> = world.env.drain(..).collect();
    env.insert("PATH".into(), path.into());
    world.env = env.into_iter().collect();
    world
}

/// Each file by itself: one without pins is told, and hides nothing of the others.
#[test]
fn requirements_of_several_files() {
    let tree = with_all(
        CLEAN,
        &[
            ("requirements.txt", "idna==3.4\n"),
            ("requirements/dev.txt", "pytest>=7\n"),
            ("requirements/docs.txt", "-r ../requirements.txt\nflask==0.5\n"),
        ],
    );
    let idna = r#"{"name": "idna", "version": "3.4", "vulns": [{"id": "PYSEC-1"}]}"#;
    let script = format!(
        "case $2 in\n\
        */dev.txt) echo 'ERROR:pip_audit._cli:requirement pytest is not pinned to an exact version: pytest>=7 (from x)' >&2; exit 1;;\n\
        */docs.txt) sed 's|\"dependencies\": .|&{idna},|' $R/findings.json > $out; exit 1;;\n\
        esac\necho '{{\"dependencies\": [{idna}]}}' > $out; exit 1"
    );
    let result = played("pip-audit", &script, &tree).run("pip-audit");
    assert_eq!(result.verdict, Verdict::Fail, "{result:#?}");
    assert_eq!(
        rules(&result, Status::New),
        [
            "PYSEC-1 requirements.txt:0",
            "CVE-2019-1010083 requirements/docs.txt:0",
            "CVE-2018-1000656 requirements/docs.txt:0",
            "not-looked-up requirements/dev.txt:0",
        ]
    );
    let said = "not looked up: all of it: requirement pytest is not pinned to an exact version: pytest>=7";
    assert_eq!(result.findings.last().unwrap().message, said);
    let loose = with(CLEAN, "requirements/dev.txt", "pytest>=7\n");
    let result = played("pip-audit", &script, &loose).run("pip-audit");
    assert_eq!(result.verdict, Verdict::Skipped, "{result:#?}");
    assert!(result.reason.starts_with("no requirements are pinned: requirements/dev.txt: "), "{result:#?}");
}

#[test]
fn programs_that_no_registry_has_are_read_by_what_they_document() {
    let tree = with_all(CLEAN, &[("requirements.txt", "flask==2.0.0\n"), ("pkg/risky.py", SECRET)]);
    let tree = with(&tree, "deploy.sh", "true\n");
    for (name, script, verdict) in [
        ("gitleaks", "cat $R/findings.json > $out; exit 77", Verdict::Fail),
        ("gitleaks", "cat $R/clean.json > $out; exit 0", Verdict::Pass),
        ("gitleaks", "cat $R/findings.json > $out; exit 0", Verdict::Error),
        ("gitleaks", "echo fatal >&2; exit 1", Verdict::Error),
        ("trufflehog", "cat $R/findings.jsonl; cat $R/findings.stderr.txt >&2; exit 183", Verdict::Fail),
        ("trufflehog", "cat $R/clean.stderr.txt >&2; exit 0", Verdict::Pass),
        ("trufflehog", "exit 0", Verdict::Error),
        ("trufflehog", "cat $R/broken.stderr.txt >&2; exit 0", Verdict::Error),
        ("trivy", "cat $R/findings.json > $out; exit 0", Verdict::Fail),
        ("trivy", "cat $R/clean.json > $out; exit 0", Verdict::Pass),
        ("trivy", "cat $R/nothing.json > $out; exit 0", Verdict::Skipped),
        ("trivy", "cat $R/no-database.stderr.txt >&2; exit 1", Verdict::Skipped),
        ("trivy", "exit 0", Verdict::Error),
        ("pip-audit", "cat $R/findings.json > $out; exit 1", Verdict::Fail),
        ("pip-audit", "cat $R/not-looked-up.json > $out; exit 0", Verdict::Skipped),
        ("pip-audit", "cat $R/unreachable.stderr.txt >&2; exit 1", Verdict::Skipped),
        ("pip-audit", "cat $R/bad-requirement.stderr.txt >&2; exit 1", Verdict::Error),
    ] {
        let world = played(name, script, &tree);
        let result = world.run(name);
        assert_eq!(result.verdict, verdict, "{name}: {script}: {result:#?}");
        assert!(!format!("{result:?}").contains("AKIA"), "{name}");
        let secret = |kind| kind == Kind::Secret;
        if name == "gitleaks" && verdict == Verdict::Fail {
            assert!(result.findings.iter().all(|finding| secret(finding.kind)));
        }
        if verdict == Verdict::Skipped && script.contains(">&2") {
            let required = GateConfig { required: true, ..preset(name).unwrap() };
            assert_eq!(
                world.gate(&required).verdict,
                Verdict::Error,
                "{name}: a required one is never passed by"
            );
        }
    }
}

#[test]
fn an_optional_tool_that_is_not_there_is_skipped_and_says_where_it_is_had() {
    let tree = with(CLEAN, "requirements.txt", "flask==2.0.0\n");
    let world = played("nothing", "exit 0", &tree);
    for name in
        ["mutmut", "semgrep", "bandit", "detect-secrets", "pip-audit", "trivy", "trufflehog", "gitleaks"]
    {
        let result = world.run(name);
        assert_eq!(result.verdict, Verdict::Skipped, "{name}: {result:#?}");
        assert!(result.reason.starts_with(&format!("`{name}` is not installed (")), "{}", result.reason);
    }
}

#[test]
fn a_file_that_is_too_large_is_not_shown_to_a_tool_and_that_is_said() {
    if !have(&["detect-secrets"]) {
        return;
    }
    let large = "x = 1\n".repeat(1 << 20);
    let head = with(CLEAN, "pkg/large.py", &large);
    let result = World::new(CLEAN, &head).run("detect-secrets");
    assert_eq!(result.verdict, Verdict::Pass, "{result:#?}");
    assert_eq!(result.reason, "not looked at, for they have more than 4 MiB: pkg/large.py");
    assert!(result.seconds < 20.0, "{}", result.seconds);
}
