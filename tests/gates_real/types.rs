//! mypy where it is installed by itself, and on trees that it finds odd.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use sprint::domain::gate::Verdict;

use crate::world::*;

/// A mypy that knows of no other packages than its own, as one that is installed by itself.
fn alone(world: &mut World) {
    let own = world.dir.path().join("own");
    let made = Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&own).status().unwrap();
    assert!(made.success());
    let path = search_path();
    let real = std::env::split_paths(&path).map(|dir| dir.join("mypy")).find(|file| file.exists()).unwrap();
    let bin = world.dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\nexec '{}' --python-executable '{}/bin/python' \"$@\"\n",
        real.display(),
        own.display()
    );
    fs::write(bin.join("mypy"), script).unwrap();
    fs::set_permissions(bin.join("mypy"), fs::Permissions::from_mode(0o755)).unwrap();
    let all = std::iter::once(bin).chain(std::env::split_paths(&path));
    world.env.retain(|(name, _)| name != "PATH");
    world.env.push(("PATH".into(), std::env::join_paths(all).unwrap()));
}

const IMPORTS: &str = "import pytest\n\nfrom pkg.core import double\n\n\ndef test_double() -> None:\n    with pytest.raises(TypeError):\n        double()  # type: ignore[call-arg]\n";

#[test]
fn what_the_tests_import_is_looked_for_where_the_tests_find_it() {
    if !tools() {
        return;
    }
    let mut world = World::new(CLEAN, &with(CLEAN, "tests/test_core.py", IMPORTS));
    alone(&mut world);
    let result = world.check("mypy", Verdict::Pass, "");
    assert!(result.by_hand.contains("--python-executable /"), "{}", result.by_hand);
    let (code, said) = by_hand(&world, &result);
    assert_eq!(code, Some(0), "{said}");
    // What is nowhere is still a finding.
    let text = IMPORTS.replace("import pytest\n", "import no_such_module\nimport pytest\n");
    let mut world = World::new(CLEAN, &with(CLEAN, "tests/test_core.py", &text));
    alone(&mut world);
    let result = world.check("mypy", Verdict::Fail, "1 new finding");
    assert_eq!(result.findings[0].rule, "import-not-found");
}

#[test]
fn without_a_pytest_mypy_looks_where_it_is() {
    if !tools() {
        return;
    }
    let mut world = World::new(CLEAN, CLEAN);
    alone(&mut world);
    let only: Vec<PathBuf> = vec![world.dir.path().join("bin"), "/usr/bin".into(), "/bin".into()];
    world.env.retain(|(name, _)| name != "PATH");
    world.env.push(("PATH".into(), std::env::join_paths(only).unwrap()));
    if std::path::Path::new("/usr/bin/pytest").exists() {
        println!("SKIPPED: this machine has a pytest of its own");
        return;
    }
    let result = world.check("mypy", Verdict::Pass, "");
    assert!(!result.by_hand.contains("--python-executable"), "{}", result.by_hand);
}

#[test]
fn a_src_that_is_a_package_is_checked_under_one_name() {
    if !tools() {
        return;
    }
    let tree: Files<'_> = &[
        ("src/__init__.py", ""),
        ("src/core.py", "def double(x: int) -> int:\n    return 2 * x\n"),
        ("main.py", "from src.core import double\n\nprint(double(2))\n"),
    ];
    World::new(&[("README.md", "")], tree).check("mypy", Verdict::Pass, "");
    let wrong = with(tree, "main.py", "from src.core import double\n\nprint(double(\"2\"))\n");
    let result = World::new(tree, &wrong).check("mypy", Verdict::Fail, "1 new finding");
    assert_eq!(result.findings[0].rule, "arg-type");
}

#[test]
fn where_mypy_stops_it_says_why_in_its_own_words() {
    if !tools() {
        return;
    }
    let own = ("mypy.ini", "[mypy]\nmypy_path = src\n");
    let tree = with_all(
        CLEAN,
        &[
            own,
            ("src/__init__.py", ""),
            ("src/twice.py", "x = 1\n"),
            ("main.py", "import src.twice\nimport twice\n"),
        ],
    );
    let result = World::new(&tree, &tree).run("mypy");
    assert_eq!(result.verdict, Verdict::Error, "{result:#?}");
    let said = "mypy stopped at `src/twice.py` and checked nothing else: Source file found twice under different module names";
    assert!(result.reason.starts_with(said), "{}", result.reason);
    let odd = with(CLEAN, "a-b/__init__.py", "");
    let result = World::new(&odd, &odd).run("mypy");
    assert_eq!(result.verdict, Verdict::Error, "{result:#?}");
    assert!(
        result.reason.contains("a-b contains __init__.py but is not a valid Python package name"),
        "{}",
        result.reason
    );
}
