//! ruff, mypy, radon and pytest, which every Python tree is held to.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sprint::config::gate::{GateConfig, Mode};
use sprint::config::presets::preset;
use sprint::domain::gate::{Severity, Status, Verdict};
use sprint::gates::Trees;
use sprint::gates::{Room, Side};

use crate::world::*;

#[test]
fn a_clean_tree_passes_everything_and_the_second_time_from_what_is_kept() {
    if !tools() {
        return;
    }
    let world = World::new(&[("README.md", "")], CLEAN);
    for name in BASE {
        let result = world.check(name, Verdict::Pass, "");
        assert!(result.tool_version.is_some_and(|version| version.contains('.')), "{name}");
        assert!(!result.cached && result.findings.is_empty());
        assert!(world.run(name).cached, "{name}");
    }
    assert_eq!(world.run("pytest").tests.passed, 1);
}

#[test]
fn what_is_typed_by_hand_says_what_the_gate_said() {
    if !tools() {
        return;
    }
    // `pkg` is found below `src` and a warning stops the run only because of what sprint adds.
    let tree: Files<'_> = &[
        ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = \"-x\"\n"),
        ("src/pkg/__init__.py", ""),
        ("src/pkg/core.py", LINT),
        (
            "tests/test_core.py",
            "from pkg.core import double\n\n\ndef test_a():\n    assert double(2) == 5\n\n\ndef test_b():\n    assert double(2) == 4\n",
        ),
    ];
    let mut world = World::new(&[("README.md", "")], tree);
    // The person's options are not the gate's: with this one no test would run.
    world.env.push(("PYTEST_ADDOPTS".into(), "-k nothing".into()));
    for (name, exit, says) in
        [("pytest", 1, "1 failed, 1 passed"), ("ruff", 1, "F401"), ("mypy", 0, ""), ("radon", 0, "{")]
    {
        let result = world.run(name);
        let (code, said) = by_hand(&world, &result);
        assert_eq!(code, Some(exit), "{}\n{said}", result.by_hand);
        assert!(said.contains(says), "{}\n{said}", result.by_hand);
    }
    assert!(
        world.modified(Side::Head, Room::Working).unwrap().is_empty(),
        "nothing of it is in the worktree"
    );
}

#[test]
fn every_preset_sees_its_seeded_defect_once_and_forgives_it_at_the_base() {
    if !tools() {
        return;
    }
    // A suite of which nothing passes would prove nothing.
    let clean = with(CLEAN, "tests/test_other.py", "def test_other() -> None:\n    assert True\n");
    let complex = branches("double", 20);
    let wrong = "def double(x: int) -> int:\n    return 3 * x\n";
    for (name, defect, reason, old) in [
        ("ruff", LINT, "1 new finding", "1 old finding"),
        ("mypy", TYPES, "1 new finding", "1 old finding"),
        ("radon", complex.as_str(), "1 new finding", "1 old finding"),
        ("pytest", wrong, "1 test failed", "1 test fails at the base too"),
    ] {
        let red = with(&clean, "pkg/core.py", defect);
        let world = World::new(&clean, &red);
        let result = world.check(name, Verdict::Fail, reason);
        assert_eq!(result.findings[0].status, Status::New);
        assert!(!result.findings[0].path.starts_with('/'), "{:?}", result.findings[0]);
        World::new(&red, &red).check(name, Verdict::Pass, old);
        World::new(&red, &clean).check(name, Verdict::Pass, "1 fixed");
    }
}

#[test]
fn a_syntax_error_is_red_everywhere() {
    if !tools() {
        return;
    }
    let world = World::new(CLEAN, &with(CLEAN, "pkg/core.py", SYNTAX));
    for name in BASE {
        let result = world.run(name);
        assert_eq!(result.verdict, Verdict::Fail, "{name}: {}", result.reason);
        assert!(result.findings.iter().any(|f| f.severity <= Severity::High && f.status == Status::New));
    }
    let broken = with(CLEAN, "pkg/core.py", SYNTAX);
    let result = World::new(&broken, &broken).run("mypy");
    assert_eq!(result.verdict, Verdict::Error, "it stopped there at both: {}", result.reason);
}

#[test]
fn moved_code_is_not_new_and_copied_code_is() {
    if !tools() {
        return;
    }
    let old = with(CLEAN, "pkg/old.py", LINT);
    let moved = with(CLEAN, "pkg/other.py", LINT);
    World::new(&old, &moved).check("ruff", Verdict::Pass, "1 old finding");
    let copied = with(&old, "pkg/other.py", LINT);
    World::new(&old, &copied).check("ruff", Verdict::Fail, "1 new finding, 1 old finding");
    let lower = format!("\n\n# more\n\n\n{}", branches("big", 20));
    let (before, after) = (branches("big", 20), lower);
    World::new(&with(CLEAN, "pkg/big.py", &before), &with(CLEAN, "pkg/big.py", &after)).check(
        "radon",
        Verdict::Pass,
        "1 old finding",
    );
    World::new(&with(CLEAN, "pkg/big.py", &before), &with(CLEAN, "pkg/large.py", &before)).check(
        "radon",
        Verdict::Pass,
        "1 old finding",
    );
    let worse = branches("big", 21);
    World::new(&with(CLEAN, "pkg/big.py", &before), &with(CLEAN, "pkg/big.py", &worse)).check(
        "radon",
        Verdict::Fail,
        "1 new finding",
    );
}

#[test]
fn a_repositorys_configuration_changes_neither_format_nor_files() {
    if !tools() {
        return;
    }
    let config = "[tool.ruff]\nfix = true\noutput-format = \"full\"\nunsafe-fixes = true\n\
        [tool.mypy]\npretty = true\nshow_error_context = true\nnamespace_packages = false\n\
        [tool.pytest.ini_options]\naddopts = \"-x -q --junitxml=mine.xml -o junit_family=xunit2\"\nfilterwarnings = [\"error\"]\n\
        [tool.other]\nformat = \"50% (%s)\"\n";
    let base = with(CLEAN, "pyproject.toml", config);
    let lint = with(&base, "pkg/core.py", LINT);
    World::new(&base, &lint).check("ruff", Verdict::Fail, "1 new finding");
    let types = with(&base, "pkg/core.py", TYPES);
    World::new(&base, &types).check("mypy", Verdict::Fail, "1 new finding");
    let complex = branches("double", 20);
    World::new(&base, &with(&base, "pkg/core.py", &complex)).check("radon", Verdict::Fail, "1 new finding");
    let two = "def test_a() -> None:\n    assert 0\n\n\ndef test_b() -> None:\n    assert 0\n";
    let result = World::new(&base, &with(&base, "tests/test_two.py", two)).check(
        "pytest",
        Verdict::Fail,
        "2 tests failed",
    );
    assert_eq!(result.tests.failed, 2, "`-x` does not hide the second one");
    World::new(&base, &base).check("pytest", Verdict::Pass, "");
}

#[test]
fn pytest_that_collects_nothing_is_an_error_and_a_greenfield_is_skipped() {
    if !tools() {
        return;
    }
    let empty = with(CLEAN, "tests/test_core.py", "\"\"\"Later.\"\"\"\n");
    let reason = "there are test files, but none was collected";
    World::new(CLEAN, &empty).check("pytest", Verdict::Error, reason);
    let green = [("README.md", "new\n")];
    for name in BASE {
        World::new(&green, &green).check(name, Verdict::Skipped, "nothing to check");
    }
    let without: Vec<_> = CLEAN.iter().copied().filter(|(path, _)| !path.starts_with("tests/")).collect();
    let result = World::new(CLEAN, &without).run("pytest");
    assert_eq!(result.verdict, Verdict::Fail, "the tests were deleted");
}

#[test]
fn a_broken_conftest_or_an_internal_error() {
    if !tools() {
        return;
    }
    let conftest = with(CLEAN, "tests/conftest.py", "import nothing_like_this\n");
    let result = World::new(CLEAN, &conftest).check("pytest", Verdict::Fail, "1 test failed");
    assert_eq!((result.findings[0].rule.as_str(), result.findings[0].line), ("conftest", 1));
    let internal =
        with(CLEAN, "conftest.py", "def pytest_collection_modifyitems():\n    raise RuntimeError('x')\n");
    assert_eq!(World::new(CLEAN, &internal).run("pytest").verdict, Verdict::Error);
}

#[test]
fn a_broken_test_file_does_not_hide_a_failed_test_elsewhere() {
    if !tools() {
        return;
    }
    let base = with(CLEAN, "tests/test_broken.py", "import nothing_like_this\n");
    let head = with(&base, "pkg/core.py", "def double(x: int) -> int:\n    return 5\n");
    let reason = "1 test failed, 1 test fails at the base too";
    World::new(&base, &head).check("pytest", Verdict::Fail, reason);
}

#[test]
fn a_test_that_fails_once_is_flaky_and_does_not_block() {
    if !tools() {
        return;
    }
    let flaky = "import os\nimport pathlib\n\n\nclass TestFlaky:\n    def test_second_time(self) -> None:\n        \
        mark = pathlib.Path(os.environ['SCRATCH'], 'ran')\n        ran = mark.exists()\n        mark.touch()\n        assert ran\n\n\n\
        def test_never() -> None:\n    assert False\n";
    let one = flaky.split("\n\n\ndef test_never").next().unwrap();
    let result = World::new(CLEAN, &with(CLEAN, "tests/test_flaky.py", one)).check(
        "pytest",
        Verdict::Pass,
        "1 flaky test",
    );
    assert_eq!((result.tests.passed, result.tests.failed, result.tests.flaky), (1, 0, 1));
    let result = World::new(CLEAN, &with(CLEAN, "tests/test_flaky.py", flaky)).run("pytest");
    assert_eq!((result.verdict, result.reason.as_str()), (Verdict::Fail, "1 test failed, 1 flaky test"));
}

#[test]
fn a_src_layout_is_tested_from_the_worktree() {
    if !tools() {
        return;
    }
    let src: Vec<(String, &str)> = CLEAN
        .iter()
        .map(|(path, text)| {
            (if path.starts_with("pkg") { format!("src/{path}") } else { path.to_string() }, *text)
        })
        .collect();
    let src: Vec<(&str, &str)> = src.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let world = World::new(&[("README.md", "")], &src);
    for name in BASE {
        world.check(name, Verdict::Pass, "");
    }
}

#[test]
fn a_persons_own_command_for_a_preset_works_and_one_that_lies_is_an_error() {
    if !tools() {
        return;
    }
    let words = |text: &str| text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
    let world = World::new(CLEAN, &with(CLEAN, "pkg/core.py", LINT));
    let own = |name: &str, command: Vec<String>| GateConfig { command, ..preset(name).unwrap() };
    assert_eq!(world.gate(&own("ruff", words("ruff check pkg"))).reason, "1 new finding");
    assert_eq!(world.gate(&own("mypy", words("mypy pkg"))).verdict, Verdict::Pass);
    assert_eq!(world.gate(&own("pytest", words("python3 -m pytest -q tests"))).tests.passed, 1);
    let shell = vec!["sh".into(), "-c".into(), "pytest -q tests && echo fine".into()];
    assert_eq!(world.gate(&own("pytest", shell)).tests.passed, 1);
    for (name, command) in
        [("ruff", "true"), ("pytest", "true"), ("radon", "true"), ("ruff", "echo ok"), ("mypy", "echo ok")]
    {
        assert_eq!(world.gate(&own(name, words(command))).verdict, Verdict::Error, "{name} {command}");
    }
    let report = GateConfig { mode: Mode::Report, ..preset("ruff").unwrap() };
    assert_eq!(world.gate(&report).verdict, Verdict::Pass);
}

#[test]
fn paths_are_compared_though_a_link_leads_to_the_worktree_and_an_environment_lies_in_it() {
    if !tools() {
        return;
    }
    let red = with(CLEAN, "pkg/core.py", LINT);
    let world = World::new(&red, &red);
    let real = world.dir.path().join("real");
    fs::rename(world.dir.path().join("work trees"), &real).unwrap();
    std::os::unix::fs::symlink(&real, world.dir.path().join("work trees")).unwrap();
    let result = world.check("ruff", Verdict::Pass, "1 old finding");
    assert_eq!(result.findings[0].path, "pkg/core.py");
    let venv = world.root(Side::Head).join("venv/lib");
    fs::create_dir_all(&venv).unwrap();
    fs::write(venv.join("big.py"), branches("big", 30)).unwrap();
    world.check("radon", Verdict::Pass, "");
}

/// radon would take a gigabyte of memory for it.
#[test]
fn a_huge_file_is_passed_by_and_named_and_the_others_are_not() {
    if !tools() {
        return;
    }
    let table = format!("X = [{}]\n", "1, ".repeat(1 << 20));
    let huge = with(CLEAN, "pkg/a [1], *.py", &table);
    let said = "not looked at, for they have more than 2 MiB: pkg/a [1], *.py";
    let result = World::new(CLEAN, &huge).check("radon", Verdict::Pass, said);
    assert!(result.by_hand.contains("--exclude"), "{result:#?}");
    let complex = branches("f", 30);
    let red = with(&huge, "pkg/core.py", &complex);
    World::new(CLEAN, &red).check("radon", Verdict::Fail, &format!("1 new finding; {said}"));
    let alone = [("huge.py", table.as_str())];
    let all = "not looked at, for they have more than 2 MiB: huge.py";
    World::new(&alone, &alone).check("radon", Verdict::Skipped, all);
    let gone = format!("{all}, but the base has something to check");
    World::new(CLEAN, &alone).check("radon", Verdict::Fail, &gone);
}

#[test]
fn nothing_is_left_in_the_worktree_or_the_home() {
    if !tools() {
        return;
    }
    let world = World::new(CLEAN, CLEAN);
    for name in BASE {
        world.run(name);
    }
    let mut found = Vec::new();
    walk(&world.root(Side::Head), &mut found);
    assert_eq!(found.len(), CLEAN.len(), "{found:?}");
    assert_eq!(fs::read_dir(world.dir.path().join("home")).unwrap().count(), 0);
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}

#[test]
fn a_radon_that_says_nothing_is_not_believed() {
    if !tools() {
        return;
    }
    let mut world = World::new(CLEAN, CLEAN);
    let bin = world.dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("radon"), "#!/bin/sh\necho '{}'\n").unwrap();
    fs::set_permissions(bin.join("radon"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = world.env.iter_mut().find(|(name, _)| name == "PATH").unwrap();
    let dirs = std::iter::once(bin).chain(std::env::split_paths(&path.1));
    path.1 = std::env::join_paths(dirs).unwrap();
    world.check("radon", Verdict::Error, "it lists no function, and `pkg/core.py` has some");
    let none: Files<'_> = &[("pkg/core.py", "TEXT = \"\"\"\ndef f(): pass\n\"\"\"\n")];
    World::new(none, none).check("radon", Verdict::Pass, "");
}

#[test]
fn mypy_checks_what_the_repository_says_unless_that_is_new() {
    if !tools() {
        return;
    }
    let config = "[tool.mypy]\nfiles = [\"pkg\"]\n\n[tool.ruff]\nline-length = 99\n";
    let wrong = with(CLEAN, "scripts/wrong.py", TYPES);
    let narrowed = with(&wrong, "pyproject.toml", config);
    let settled = with(CLEAN, "pyproject.toml", config);
    let said = World::new(&settled, &narrowed).check("mypy", Verdict::Pass, "");
    assert_eq!(said.command.last().map(String::as_str).filter(|word| *word == "."), None);
    World::new(CLEAN, &narrowed).check("mypy", Verdict::Fail, "1 new finding");
    let inside = with(&settled, "pkg/core.py", TYPES);
    World::new(&settled, &inside).check("mypy", Verdict::Fail, "1 new finding");
}
