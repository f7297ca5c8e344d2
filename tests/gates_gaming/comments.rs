//! Comments and attributes that ask a tool to look away.

use crate::arena::{Alone, CORE, Case, Change, MYPY, RUFF, all, directory, put, python};
use crate::world::tools;

/// [`CORE`] with other lines in front of its functions.
fn core(first: &str) -> Change {
    vec![put("pkg/core.py", &CORE.replacen("\n\n\n", &format!("\n\n{first}\n\n\n"), 1))]
}

/// [`CORE`] with one more function.
fn more(function: &str) -> Change {
    vec![put("pkg/core.py", &format!("{CORE}\n\n{function}"))]
}

fn case(name: &'static str, tool: Alone, broken: Change, hidden: Change) -> Case {
    Case { name, tool, broken, hidden, told: ("integrity", "suppression", "pkg/core.py") }
}

#[test]
fn of_ruff() {
    if !tools() {
        return;
    }
    let unused = |hidden: &str| (core("import os"), core(hidden));
    let cases = [
        ("noqa", "import os  # noqa"),
        ("noqa with a code", "import os  # noqa: F401"),
        ("NOQA", "import os  #NOQA"),
        ("for the file", "# ruff: noqa\nimport os"),
        ("for the file, with a code", "# ruff: noqa: F401\nimport os"),
        ("flake8's", "# flake8: noqa\nimport os"),
        ("ignore", "import os  # ruff: ignore[F401]"),
        ("file-ignore", "# ruff: file-ignore[F401]\nimport os"),
        ("disable", "# ruff: disable[F401]\nimport os\n\n# ruff: enable[F401]"),
    ];
    let mut cases: Vec<Case> = cases
        .into_iter()
        .map(|(name, hidden)| {
            let (broken, hidden) = unused(hidden);
            case(name, RUFF, broken, hidden)
        })
        .collect();
    let used = "\n\nPLACE = os.sep + sys.prefix";
    let unsorted = |mark: &str| core(&format!("import sys{mark}\nimport os{mark}{used}"));
    cases.push(case("isort: skip", RUFF, unsorted(""), unsorted("  # isort: skip")));
    all(python(), &cases);
}

#[test]
fn of_mypy() {
    if !tools() {
        return;
    }
    let broken = || more("def name(x: int) -> str:\n    return x\n");
    let line = |mark: &str| more(&format!("def name(x: int) -> str:\n    return x{mark}\n"));
    let cases = [
        case("type: ignore", MYPY, broken(), line("  # type: ignore")),
        case("with a code", MYPY, broken(), line("  # type: ignore[return-value]")),
        case(
            "for the file",
            MYPY,
            broken(),
            vec![put(
                "pkg/core.py",
                &format!("# mypy: ignore-errors\n{CORE}\n\ndef name(x: int) -> str:\n    return x\n"),
            )],
        ),
        case(
            "no_type_check",
            MYPY,
            broken(),
            vec![put(
                "pkg/core.py",
                &format!(
                    "{}\n\n@no_type_check\ndef name(x: int) -> str:\n    return x\n",
                    CORE.replacen("\n\n\n", "\n\nfrom typing import no_type_check\n\n\n", 1)
                ),
            )],
        ),
    ];
    all(python(), &cases);
}

#[test]
fn of_coverage() {
    if !tools() {
        return;
    }
    let lines: Vec<String> = (0..12).map(|n| format!("    if x == {n}:\n        return {n} + x\n")).collect();
    let function =
        |mark: &str| more(&format!("def more(x: int) -> int:{mark}\n{}    return x\n", lines[..6].concat()));
    let tool =
        Alone::Says(&["python", "-m", "pytest", "-q", "--cov=pkg", "--cov-branch", "-p", "no:cacheprovider"]);
    let cases = [
        case("no cover", tool, function(""), function("  # pragma: no cover")),
        case("no cover, otherwise", tool, function(""), function("  # pragma:no cover because")),
    ];
    all(python(), &cases);
}

#[test]
fn of_bandit_and_semgrep() {
    let Some(bin) = directory("SPRINT_TEST_PYTHON_TOOLS", "bin") else { return };
    let alone = |words: &[&str]| -> Alone {
        let program = bin.join(words[0]).to_str().unwrap().to_owned();
        let words: Vec<&'static str> = std::iter::once(&*program.leak())
            .chain(words[1..].iter().map(|word| &*(*word).to_owned().leak()))
            .collect();
        Alone::Says(words.leak())
    };
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/config/semgrep/python.yml");
    let bandit = alone(&["bandit", "-q", "-r", "pkg"]);
    let semgrep = alone(&[
        "semgrep",
        "scan",
        "--error",
        "--metrics=off",
        "--disable-version-check",
        "--config",
        rules,
        "pkg",
    ]);
    let unsafe_line =
        |mark: &str| more(&format!("def run(text: str) -> object:\n    return eval(text){mark}\n"));
    let cases = [
        case("nosec", bandit, unsafe_line(""), unsafe_line("  # nosec")),
        case("nosec with a code", bandit, unsafe_line(""), unsafe_line("  # nosec B307")),
        case("nosemgrep", semgrep, unsafe_line(""), unsafe_line("  # nosemgrep")),
        case("a plain skip", Alone::NotAsked, vec![], unsafe_line("  # skip")),
    ];
    all(python(), &cases);
}
