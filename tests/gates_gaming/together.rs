//! Several of them at once; and changes that look like it and are none.

use crate::arena::{Arena, CORE, MYPY, PYTEST, RUFF, TESTS, findings, gone, put, python, wrong};
use crate::world::tools;

#[test]
fn two_at_once_are_both_told() {
    if !tools() {
        return;
    }
    let arena = Arena::new(python());
    let line =
        |mark: &str| put("pkg/core.py", &CORE.replacen("\n\n\n", &format!("\n\nimport os{mark}\n\n\n"), 1));
    arena.commit(&[
        line("  # noqa"),
        put("mypy.ini", "[mypy]\nignore_errors = True\n"),
        put(
            "tests/test_core.py",
            &TESTS.replace("    assert double(2) == 4", "    double(2)\n    assert True"),
        ),
        put("conftest.py", "collect_ignore = [\"x\"]\n"),
        put("tests/json.py", "x = 1\n"),
    ]);
    for tool in [RUFF, MYPY, PYTEST] {
        let (content, words) = arena.content(tool);
        assert!(content, "{words}");
    }
    let (code, ran) = arena.gates(&[]);
    assert_eq!(code, 1, "{ran:#}");
    let told = findings(&ran, "integrity");
    for (rule, path) in [
        ("suppression", "pkg/core.py"),
        ("tool-settings", "mypy.ini"),
        ("empty-assertion", "tests/test_core.py"),
        ("test-hook", "conftest.py"),
        ("shadow", "tests/json.py"),
    ] {
        assert!(told.contains(&(rule.into(), path.into())), "{rule}: {told:?}");
    }
}

/// A mark that takes the place of one which another file loses is no more than before; what it hides
/// now is the tool's to find, which knows the line.
#[test]
fn one_file_named_by_the_task_does_not_pay_for_another() {
    if !tools() {
        return;
    }
    let marked = "import os  # noqa: F401\n";
    let base = [python(), vec![("pkg/old.py", marked)]].concat();
    let arena = Arena::new(base);
    arena.commit(&[
        put("pkg/old.py", "x = 1\n"),
        put(
            "pkg/core.py",
            &CORE.replacen("\n\n\n", "\n\nimport os  # noqa: F401\nimport sys  # noqa: F401\n\n\n", 1),
        ),
    ]);
    let (code, ran) = arena.gates(&["integrity"]);
    assert_eq!(code, 1, "two for one: {ran:#}");
}

#[test]
fn what_is_moved_is_no_finding() {
    if !tools() {
        return;
    }
    let old = format!(
        "{}\n\ndef run(x: int) -> str:\n    return x  # type: ignore\n",
        CORE.replacen("\n\n\n", "\n\nimport os  # noqa: F401\n\n\n", 1)
    );
    let skipped = format!(
        "import pytest\n\n{}",
        TESTS.replace("def test_halve", "@pytest.mark.skip(reason=\"slow\")\ndef test_halve")
    );
    let mut base = python();
    base.retain(|(path, _)| *path != "pkg/core.py" && *path != "tests/test_core.py");
    base.push(("pkg/core.py", old.clone().leak()));
    base.push(("tests/test_core.py", skipped.clone().leak()));
    let arena = Arena::new(base);
    let moved = |text: &str| text.replace("pkg.core", "pkg.numbers");
    arena.commit(&[
        gone("pkg/core.py"),
        put("pkg/numbers.py", &old),
        gone("tests/test_core.py"),
        put("tests/test_numbers.py", &moved(&skipped)),
    ]);
    let (code, ran) = arena.gates(&[]);
    assert_eq!(code, 0, "{ran:#}");
    // The same with one of them more.
    arena.commit(&[
        gone("pkg/core.py"),
        put("pkg/numbers.py", &format!("{old}\n\nimport sys  # noqa: E402\n")),
        gone("tests/test_core.py"),
        put("tests/test_numbers.py", &moved(&skipped)),
    ]);
    let (code, ran) = arena.gates(&["integrity"]);
    assert_eq!(code, 1, "{ran:#}");
}

/// A change that has nothing to hide passes, also where it touches the same files.
#[test]
fn an_honest_change_passes() {
    if !tools() {
        return;
    }
    let arena = Arena::new(python());
    let tests = TESTS.replace("assert double(2) == 4", "assert double(3) == 6\n    assert double(-1) == -2");
    arena.commit(&[
        put("pkg/core.py", &format!("{CORE}\n\ndef triple(x: int) -> int:\n    return 3 * x\n")),
        put(
            "tests/test_core.py",
            &format!(
                "{}\n\ndef test_triple() -> None:\n    assert triple(1) == 3\n",
                tests.replace("double, halve", "double, halve, triple")
            ),
        ),
        put("pyproject.toml", &python()[0].1.replace("version = \"1\"", "version = \"2\"")),
        put("tests/helpers.py", "def test_data() -> list[int]:\n    return [1]\n"),
        put("tests/json/a.py", "x = 1\n"),
        put(".gitignore", "*.pyc\n"),
        put("docs/noqa.md", "How to use `# noqa`\n"),
    ]);
    let (code, ran) = arena.gates(&[]);
    assert_eq!(code, 0, "{ran:#}");
    // Without anything hidden it is the tool that tells.
    arena.commit(&[wrong()]);
    assert_eq!(arena.gates(&["pytest"]).0, 1);
}
