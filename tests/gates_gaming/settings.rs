//! Thresholds that are lowered, and tools that are configured to look away.

use crate::arena::{Alone, Arena, CORE, Case, Change, MYPY, RADON, RUFF, all, findings, put, python};
use crate::world::{branches, tools};

fn case(name: &'static str, tool: Alone, broken: Change, path: &'static str, text: &str) -> Case {
    let hidden = broken.iter().cloned().chain([put(path, text)]).collect();
    Case { name, tool, broken, hidden, told: ("integrity", "tool-settings", path) }
}

/// The project's file with more at its end.
fn project(more: &str) -> String {
    format!("{}\n{more}", python()[0].1)
}

#[test]
fn of_ruff() {
    if !tools() {
        return;
    }
    let unused = || vec![put("pkg/core.py", &CORE.replacen("\n\n\n", "\n\nimport os\n\n\n", 1))];
    let hides = |name, path, text: &str| case(name, RUFF, unused(), path, text);
    all(
        python(),
        &[
            hides("ignore", "pyproject.toml", &project("[tool.ruff.lint]\nignore = [\"F401\"]\n")),
            hides("select", "pyproject.toml", &project("[tool.ruff.lint]\nselect = [\"E\"]\n")),
            hides(
                "per file",
                "pyproject.toml",
                &project("[tool.ruff.lint.per-file-ignores]\n\"pkg/*\" = [\"F\"]\n"),
            ),
            hides("exclude", "pyproject.toml", &project("[tool.ruff]\nextend-exclude = [\"pkg\"]\n")),
            hides("ruff.toml", "ruff.toml", "[lint]\nignore = [\"F401\"]\n"),
            hides("below", "pkg/.ruff.toml", "[lint]\nignore = [\"F401\"]\n"),
        ],
    );
}

#[test]
fn what_git_ignores_is_looked_at_all_the_same() {
    if !tools() {
        return;
    }
    let extra = || vec![put("pkg/extra.py", "import os\n")];
    let hides = |name, path: &str| Case {
        name,
        tool: RUFF,
        broken: extra(),
        hidden: extra().into_iter().chain([put(path, "extra.py\n")]).collect(),
        told: ("ruff", "F401", "pkg/extra.py"),
    };
    all(python(), &[hides("by .gitignore", ".gitignore"), hides("by .ignore", "pkg/.ignore")]);
}

#[test]
fn of_mypy_and_radon() {
    if !tools() {
        return;
    }
    let types = || vec![put("pkg/core.py", &format!("{CORE}\n\ndef name(x: int) -> str:\n    return x\n"))];
    let many = || vec![put("pkg/core.py", &format!("{CORE}\n\n{}", branches("many", 20)))];
    let hides = |name, path, text: &str| case(name, MYPY, types(), path, text);
    all(
        python(),
        &[
            hides("mypy.ini", "mypy.ini", "[mypy]\nignore_errors = True\n"),
            hides("setup.cfg", "setup.cfg", "[mypy-pkg.*]\nignore_errors = True\n\n[mypy]\n"),
            hides(
                "an error code",
                "pyproject.toml",
                &project("[tool.mypy]\ndisable_error_code = [\"return-value\"]\n"),
            ),
            hides(
                "exclude",
                "pyproject.toml",
                &project(
                    "[tool.mypy]\nexclude = [\"pkg\"]\nfiles = [\"tests\"]\nfollow_imports = \"skip\"\n",
                ),
            ),
            case("radon.cfg", RADON, many(), "radon.cfg", "[radon]\nexclude = pkg/core.py\n"),
        ],
    );
}

#[test]
fn of_coverage() {
    if !tools() {
        return;
    }
    let lines: Vec<String> = (0..12).map(|n| format!("    if x == {n}:\n        return {n} + x\n")).collect();
    let untested = || {
        vec![put(
            "pkg/core.py",
            &format!("{CORE}\n\ndef more(x: int) -> int:\n{}    return x\n", lines.concat()),
        )]
    };
    let tool = Alone::Says(&["python", "-m", "pytest", "-q", "--cov=pkg", "-p", "no:cacheprovider"]);
    let hides = |name, path, text: &str| case(name, tool, untested(), path, text);
    all(
        python(),
        &[
            hides("fail_under", "pyproject.toml", &python()[0].1.replace("80", "10")),
            hides(".coveragerc", ".coveragerc", "[run]\nomit = pkg/core.py\n[report]\nfail_under = 0\n"),
            hides(
                "exclude_also",
                "pyproject.toml",
                &python()[0].1.replace("fail_under = 80", "fail_under = 80\nexclude_also = [\"if x == \"]"),
            ),
            hides(
                ".coveragerc.toml",
                ".coveragerc.toml",
                "[run]\nomit = [\"pkg/core.py\"]\n[report]\nfail_under = 0\n",
            ),
        ],
    );
}

/// What sprint itself is told: the gate that it was about says nothing any more, `integrity` does.
#[test]
fn of_sprint() {
    if !tools() {
        return;
    }
    let arena = Arena::new(python());
    let many = put("pkg/core.py", &format!("{CORE}\n\n{}", branches("many", 20)));
    let unused = put("pkg/core.py", &CORE.replacen("\n\n\n", "\n\nimport os\n\n\n", 1));
    for (gate, broken, text) in [
        ("radon", &many, "[quality]\ncomplexity_max = 40\n"),
        ("radon", &many, "[gate.radon]\nallow = [\"pkg/**\"]\n"),
        ("ruff", &unused, "[gate.ruff]\nmode = \"report\"\n"),
        ("ruff", &unused, "[gate.ruff]\npaths = [\"tests\"]\n"),
        ("ruff", &unused, "[gate.ruff]\nenabled = false\n"),
    ] {
        arena.commit(std::slice::from_ref(broken));
        assert_eq!(arena.gates(&[gate]).0, 1, "{text}");
        arena.commit(&[broken.clone(), put("sprint.toml", text)]);
        let (code, ran) = arena.gates(&[]);
        assert_eq!(findings(&ran, gate), [], "{text}: the gate itself is deceived");
        assert_eq!(findings(&ran, "integrity"), [("tool-settings".into(), "sprint.toml".into())], "{text}");
        assert_eq!(code, 1, "{text}");
    }
}
