//! Files that are started or imported in the place of what a tool means: modules, programs, scripts.

use sprint::config::gate::GateConfig;
use sprint::config::presets::preset;
use sprint::domain::gate::{Mode, Verdict};

use crate::arena::{Alone, Arena, CORE, Case, Change, MYPY, PYTEST, RUFF, all, findings, put, python, wrong};
use crate::world::{CLEAN, World, tools, with_all};

fn case(name: &'static str, tool: Alone, broken: Change, path: &'static str, text: &str) -> Case {
    let hidden = broken.iter().cloned().chain([put(path, text)]).collect();
    Case { name, tool, broken, hidden, told: ("integrity", "shadow", path) }
}

/// Runs whenever Python starts: pytest leaves a test out.
const STARTER: &str = "import os\n\nNAME = \"PYTEST_ADDOPTS\"\nos.environ[NAME] = os.environ.get(NAME, \"\") + \" --deselect tests/test_core.py::test_double\"\n";

/// pytest itself, with one test less.
const OTHER_PYTEST: &str = "import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [path for path in sys.path if os.path.abspath(path or \".\") != here]
del sys.modules[__name__]
if __name__ == \"__main__\":
    import pytest as real

    sys.path.insert(0, here)
    raise SystemExit(real.main([*sys.argv[1:], \"--deselect\", \"tests/test_core.py::test_double\"]))
os.environ[\"PYTEST_ADDOPTS\"] = os.environ.get(\"PYTEST_ADDOPTS\", \"\") + \" --deselect tests/test_core.py::test_double\"
import pytest as real  # type: ignore

sys.path.insert(0, here)
sys.modules[__name__] = real
";

#[test]
fn modules() {
    if !tools() {
        return;
    }
    let types = || vec![put("pkg/core.py", &format!("{CORE}\n\ndef name(x: int) -> str:\n    return x\n"))];
    let stub =
        "def double(x: int) -> int: ...\ndef halve(x: int) -> int: ...\ndef name(x: int) -> str: ...\n";
    // The code under test asks a module of Python's own, which the tests' directory replaces.
    let asks = || {
        let code = CORE.replacen("\n\n\n", "\n\nimport colorsys\n\n\n", 1);
        vec![put("pkg/core.py", &code.replace("return 2 * x", "return getattr(colorsys, \"TWICE\", 3) * x"))]
    };
    all(
        python(),
        &[
            case("sitecustomize", PYTEST, vec![wrong()], "sitecustomize.py", STARTER),
            case("pytest", PYTEST, vec![wrong()], "pytest.py", OTHER_PYTEST),
            case("a stub", MYPY, types(), "pkg/core.pyi", stub),
            case("one of Python's own", PYTEST, asks(), "tests/colorsys.py", "TWICE = 2\n"),
        ],
    );
}

/// Where nothing has to be shown: that it is there is enough.
#[test]
fn whatever_else_is_imported_first() {
    for path in [
        "usercustomize.py",
        "src/sitecustomize.py",
        "sitecustomize/__init__.py",
        "x.pth",
        "tests/json.py",
        "src/coverage.py",
        "src/coverage/__init__.py",
        "tests/pytest_cov.py",
        "mypy.py",
        "radon/__init__.py",
        "typing.pyi",
    ] {
        let world = World::new(CLEAN, &with_all(CLEAN, &[(path, "x = 1\n")]));
        let result = world.run("integrity");
        assert_eq!(result.verdict, Verdict::Fail, "{path}: {result:#?}");
        assert_eq!((result.findings[0].rule.as_str(), result.findings[0].path.as_str()), ("shadow", path));
        let allowed = GateConfig { allow: vec!["shadow".into()], ..preset("integrity").unwrap() };
        assert_eq!(world.gate(&allowed).verdict, Verdict::Pass, "{path}");
    }
}

/// A program of the same name: whoever looks in the worktree first is told what it wants to say, and
/// the gate is not.
#[test]
fn programs() {
    if !tools() {
        return;
    }
    let unused = || vec![put("pkg/core.py", &CORE.replacen("\n\n\n", "\n\nimport os\n\n\n", 1))];
    let arena = Arena::new(python());
    for (path, words) in [
        ("ruff", &["./ruff", "check", "."][..]),
        (".venv/bin/ruff", &[".venv/bin/ruff", "check", "."]),
        ("bin/ruff", &["bin/ruff", "check", "."]),
        ("node_modules/.bin/ruff", &["node_modules/.bin/ruff", "check", "."]),
    ] {
        arena.commit(&unused());
        assert!(!arena.content(RUFF).0);
        let liar = "#!/bin/sh\necho '[]'\nexit 0\n";
        arena.commit(&unused().into_iter().chain([put(path, liar)]).collect::<Change>());
        assert!(arena.content(Alone::Says(words)).0, "{path}");
        let (code, ran) = arena.gates(&["ruff", "integrity"]);
        assert!(findings(&ran, "ruff").contains(&("F401".into(), "pkg/core.py".into())), "{path}: {ran:#}");
        assert!(findings(&ran, "integrity").contains(&("shadow".into(), path.into())), "{path}: {ran:#}");
        assert_eq!(code, 1, "{path}");
    }
}

const CONFIG: &str =
    "[gates]\npresets = []\n[gate.check]\nstage = \"InTests\"\nmode = \"absolute\"\ncommand = COMMAND\n";

/// What a gate's command starts is the base's, unless the task names it.
#[test]
fn scripts() {
    for (path, command, script, cheat) in [
        ("scripts/check.sh", "[\"sh\", \"scripts/check.sh\"]", "! grep -rn FIXME pkg\n", "true\n"),
        ("check", "[\"./check\"]", "#!/bin/sh\n! grep -rn FIXME pkg\n", "#!/bin/sh\ntrue\n"),
        (
            "tools/check.py",
            "[\"python3\", \"tools/check.py\"]",
            "import pathlib, sys\nsys.exit(any(\"FIXME\" in p.read_text() for p in pathlib.Path(\"pkg\").glob(\"*.py\")))\n",
            "print(\"fine\")\n",
        ),
    ] {
        let config = CONFIG.replace("COMMAND", command).leak();
        let base = [python(), vec![("sprint.toml", &*config), (path, script)]].concat();
        let words: Vec<&str> =
            command.split(['[', ']', ',', '"', ' ']).filter(|word| !word.is_empty()).collect();
        let alone =
            Alone::Says(words.iter().map(|word| &*(*word).to_owned().leak()).collect::<Vec<_>>().leak());
        let arena = Arena::new(base.clone());
        let broken = put("pkg/core.py", &format!("{CORE}# FIXME\n"));
        arena.commit(std::slice::from_ref(&broken));
        assert!(!arena.content(alone).0, "{path}");
        arena.commit(&[broken.clone(), put(path, cheat)]);
        assert!(arena.content(alone).0, "{path}");
        let (code, ran) = arena.gates(&[]);
        assert_eq!((code, &ran["gates"][0]["verdict"]), (1, &"fail".into()), "{path}: {ran:#}");
        let text = broken.1.clone().unwrap();
        let head = with_all(&base, &[("pkg/core.py", &text), (path, cheat)]);
        let mut world = World::new(&base, &head);
        let gate = GateConfig {
            command: words.iter().map(|word| (*word).to_owned()).collect(),
            mode: Mode::Absolute,
            parser: "exit-code".into(),
            tool: sprint::config::gate::Tool::default(),
            ..preset("ruff").unwrap()
        };
        // The library's trees have no executable bits.
        if path != "check" {
            assert_eq!(world.gate(&gate).verdict, Verdict::Fail, "{path}");
            world.named.push(path.to_owned());
            assert_eq!(world.gate(&gate).verdict, Verdict::Pass, "{path}: the task names it");
        }
    }
}
