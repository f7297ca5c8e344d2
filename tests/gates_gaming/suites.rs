//! Tests that are skipped, deleted, emptied, weakened, or not collected.

use crate::arena::{Alone, Case, Change, PYTEST, TESTS, all, gone, put, python, wrong};
use crate::world::tools;

const FILE: &str = "tests/test_core.py";

fn case(name: &'static str, rule: &'static str, path: &'static str, hides: Change) -> Case {
    let hidden = std::iter::once(wrong()).chain(hides).collect();
    Case { name, tool: PYTEST, broken: vec![wrong()], hidden, told: ("integrity", rule, path) }
}

/// The file of tests with something in the place of something else.
fn tests(replace: &str, by: &str) -> Change {
    assert!(TESTS.contains(replace));
    vec![put(FILE, &TESTS.replace(replace, by))]
}

#[test]
fn skipped() {
    if !tools() {
        return;
    }
    let marked = |import: &str, mark: &str| {
        tests("def test_double() -> None:", &format!("{mark}\ndef test_double() -> None:"))
            .into_iter()
            .map(|(path, text)| (path, text.map(|text| format!("{import}\n\n{text}"))))
            .collect::<Change>()
    };
    let skip = |name, import, mark| case(name, "skipped-test", FILE, marked(import, mark));
    let inside =
        |code: &str| tests("    assert double(2) == 4", &format!("    {code}\n    assert double(2) == 4"));
    all(
        python(),
        &[
            skip("skip", "import pytest", "@pytest.mark.skip"),
            skip("skip with a reason", "import pytest", "@pytest.mark.skip(reason=\"slow\")"),
            skip("skipif", "import pytest", "@pytest.mark.skipif(True, reason=\"slow\")"),
            skip("xfail", "import pytest", "@pytest.mark.xfail"),
            skip("by another name", "from pytest import mark as m", "@m.xfail"),
            skip("unittest's", "from unittest import skip", "@skip(\"slow\")"),
            case("in the test", "skipped-test", FILE, inside("__import__(\"pytest\").skip(\"slow\")")),
            case(
                "the whole file",
                "skipped-test",
                FILE,
                vec![put(FILE, &format!("import pytest\n\npytestmark = pytest.mark.xfail\n\n{TESTS}"))],
            ),
            case(
                "from a fixture",
                "skipped-test",
                "tests/conftest.py",
                vec![put(
                    "tests/conftest.py",
                    "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef quick(request: pytest.FixtureRequest) -> None:\n    if request.node.name == \"test_double\":\n        pytest.skip(\"slow\")\n",
                )],
            ),
        ],
    );
}

/// Nothing is deleted and nothing is marked: only the run tells that they are gone.
#[test]
fn written_and_not_run() {
    if !tools() {
        return;
    }
    let own = "def test_double() -> None:\n    assert double(2) == 4\n";
    let lost = |name, hides: Change| {
        let hidden = std::iter::once(wrong()).chain(hides).collect();
        Case { name, tool: PYTEST, broken: vec![wrong()], hidden, told: ("pytest", "lost-test", FILE) }
    };
    all(
        python(),
        &[
            lost(
                "never true",
                tests(
                    own,
                    "if not double:\n\n    def test_double() -> None:\n        assert double(2) == 4\n",
                ),
            ),
            lost(
                "a class that is no test's",
                tests(
                    own,
                    "class Doubles:\n    def test_double(self) -> None:\n        assert double(2) == 4\n",
                ),
            ),
            lost("taken out from elsewhere", {
                let code = "import sys\n\ntests = [m for n, m in sys.modules.items() if n.endswith(\"test_core\")]\n\
                    for module in tests:\n    vars(module).update({\"test_double\": 1})\n";
                let late = format!("{TESTS}\n\nfrom tests import late  # type: ignore\n");
                vec![put("tests/__init__.py", ""), put("tests/late.py", code), put(FILE, &late)]
            }),
        ],
    );
}

#[test]
fn taken_away_swallowed_or_patched() {
    if !tools() {
        return;
    }
    let own = "def test_double() -> None:\n    assert double(2) == 4\n";
    let after = |code: &str| vec![put(FILE, &format!("{TESTS}\n\n{code}\n"))];
    let catching = |except: &str| {
        let text = "    try:\n        assert double(2) == 4\n    ";
        tests("    assert double(2) == 4\n", &format!("{text}{except}\n        pass\n"))
    };
    let patched = |text: &str| vec![put("tests/conftest.py", text)];
    let double = "def double(x: int) -> int:\n    return 2 * x\n\n\n";
    let swallows = |name, except: &str| case(name, "swallowed-assertion", FILE, catching(except));
    all(
        python(),
        &[
            case("deleted after its definition", "skipped-test", FILE, after("del test_double")),
            case("out of the module", "skipped-test", FILE, after("del globals()[\"test_double\"]")),
            case(
                "in another function",
                "removed-test",
                FILE,
                tests(
                    own,
                    "def outer() -> None:\n    def test_double() -> None:\n        assert double(2) == 4\n",
                ),
            ),
            case(
                "pytest's exception",
                "skipped-test",
                FILE,
                tests(
                    "    assert double(2) == 4",
                    "    import pytest\n\n    raise pytest.skip.Exception(\"slow\")\n    assert double(2) == 4",
                ),
            ),
            swallows("the assertion's error", "except AssertionError:"),
            swallows("every error", "except Exception:"),
            case(
                "a conftest that assigns",
                "test-hook",
                "tests/conftest.py",
                patched(&format!("import pkg.core\n\n\n{double}pkg.core.double = double\n")),
            ),
            case(
                "a conftest with a fixture for all",
                "test-hook",
                "tests/conftest.py",
                patched(&format!(
                    "import pytest\n\n\n{double}@pytest.fixture(autouse=True)\ndef quick(monkeypatch: pytest.MonkeyPatch) -> None:\n    monkeypatch.setattr(\"test_core.double\", double)\n"
                )),
            ),
        ],
    );
}

#[test]
fn deleted_emptied_or_weakened() {
    if !tools() {
        return;
    }
    let own = "def test_double() -> None:\n    assert double(2) == 4\n\n\n";
    let weak = |name, by: &str| case(name, "empty-assertion", FILE, tests("assert double(2) == 4", by));
    all(
        python(),
        &[
            case("one less", "removed-test", FILE, tests(own, "")),
            case(
                "a file less",
                "removed-test",
                FILE,
                vec![
                    gone(FILE),
                    put(
                        "tests/test_other.py",
                        "def test_other() -> None:\n    assert \"a\".upper() == \"A\"\n",
                    ),
                ],
            ),
            case(
                "a comment",
                "removed-test",
                FILE,
                tests(own, "# def test_double() -> None:\n#     assert double(2) == 4\n\n\n"),
            ),
            case("not called a test", "removed-test", FILE, tests("def test_double", "def check_double")),
            case(
                "a file that is not collected",
                "removed-test",
                "tests/core_cases.py",
                vec![
                    gone(FILE),
                    put("tests/core_cases.py", TESTS),
                    put(
                        "tests/test_other.py",
                        "def test_other() -> None:\n    assert \"a\".upper() == \"A\"\n",
                    ),
                ],
            ),
            case(
                "a directory that is not collected",
                "removed-test",
                "build/test_core.py",
                vec![
                    gone(FILE),
                    put("build/test_core.py", TESTS),
                    put(
                        "tests/test_other.py",
                        "def test_other() -> None:\n    assert \"a\".upper() == \"A\"\n",
                    ),
                ],
            ),
            case("emptied", "emptied-test", FILE, tests("assert double(2) == 4", "double(2)")),
            case("pass", "emptied-test", FILE, tests("assert double(2) == 4", "pass")),
            case(
                "returns early",
                "emptied-test",
                FILE,
                tests("    assert double(2)", "    return\n    assert double(2)"),
            ),
            weak("assert True", "assert True"),
            weak("assert 1", "assert 1, double(2)"),
            weak("a constant", "assert \"double\""),
            weak("the same on both sides", "assert 4 == 4"),
            weak("or True", "assert double(2) == 4 or True"),
        ],
    );
}

/// Ways out that look like ordinary code, each with exit code 0 of the tool alone.
#[test]
fn ended_early_never_reached_or_asked_to_fail() {
    if !tools() {
        return;
    }
    let exits = "\"\"\"Arithmetic.\"\"\"\n\nimport pytest\n\n\ndef double(x: int) -> int:\n    pytest.exit(\"enough\", 0)\n\n\n\
        def halve(x: int) -> int:\n    return x // 2\n";
    let ended = Case {
        name: "the session is ended",
        tool: PYTEST,
        broken: vec![wrong()],
        hidden: vec![put("pkg/core.py", exits)],
        told: ("pytest", "ended-early", "pkg/core.py"),
    };
    let conftest = |body: &str| {
        let fixture = "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef mild(request: pytest.FixtureRequest) -> None:\n";
        vec![put("tests/conftest.py", &format!("{fixture}    {body}\n"))]
    };
    let hook = |name, body: &str| case(name, "test-hook", "tests/conftest.py", conftest(body));
    let inside = |code: &str| tests("    assert double(2) == 4", code);
    let twice = format!("{TESTS}\n\ndef test_double() -> None:\n    assert double(0) == 0\n");
    let raises =
        inside("    with __import__(\"pytest\").raises(AssertionError):\n        assert double(2) == 4");
    let drops = inside("    try:\n        assert double(2) == 4\n    finally:\n        return");
    all(
        python(),
        &[
            ended,
            hook("a mark from a fixture", "request.applymarker(getattr(pytest.mark, \"x\" + \"fail\"))"),
            hook("another function", "request.node.obj = lambda: None"),
            case("its failure is asked for", "swallowed-assertion", FILE, raises),
            case("its failure is dropped", "swallowed-assertion", FILE, drops),
            case("never", "skipped-test", FILE, inside("    if False:\n        assert double(2) == 4")),
            case("another of its name", "skipped-test", FILE, vec![put(FILE, &twice)]),
        ],
    );
}

#[test]
fn not_collected() {
    if !tools() {
        return;
    }
    let hook = |body: &str| {
        format!(
            "\"\"\"Hooks.\"\"\"\n\nimport pytest\n\n\ndef pytest_collection_modifyitems(items: list[pytest.Item]) -> None:\n{body}"
        )
    };
    let drops = "    items[:] = [item for item in items if item.name != \"test_double\"]\n";
    all(
        python(),
        &[
            case("a hook that is edited", "test-hook", "conftest.py", vec![put("conftest.py", &hook(drops))]),
            case(
                "a new hook",
                "test-hook",
                "tests/conftest.py",
                vec![put("tests/conftest.py", &hook(drops).replace("Hooks", "More"))],
            ),
            case(
                "collect_ignore",
                "test-hook",
                "tests/conftest.py",
                vec![
                    put("tests/conftest.py", "collect_ignore = [\"test_core.py\"]\n"),
                    put(
                        "tests/test_other.py",
                        "def test_other() -> None:\n    assert \"a\".upper() == \"A\"\n",
                    ),
                ],
            ),
            case(
                "a plugin",
                "test-hook",
                "quick.py",
                vec![
                    put("quick.py", &hook(drops)),
                    put(
                        "conftest.py",
                        &format!(
                            "{}\n\npytest_plugins = [\"quick\"]\n",
                            hook("    items.sort(key=lambda item: item.name)\n").trim_end()
                        ),
                    ),
                ],
            ),
            case(
                "a report that is changed",
                "test-hook",
                "tests/conftest.py",
                vec![put(
                    "tests/conftest.py",
                    "import pytest\n\n\ndef pytest_runtest_call(item: pytest.Item) -> None:\n    item.obj = lambda: None\n",
                )],
            ),
            case(
                "pytest.ini",
                "tool-settings",
                "pytest.ini",
                vec![put("pytest.ini", "[pytest]\naddopts = -k halve\n")],
            ),
            case(
                "pytest.toml",
                "tool-settings",
                "pytest.toml",
                vec![put("pytest.toml", "[pytest]\naddopts = [\"-k\", \"halve\"]\n")],
            ),
            case(
                "tox.ini",
                "tool-settings",
                "tox.ini",
                vec![put("tox.ini", "[pytest]\naddopts = -k halve\n")],
            ),
        ],
    );
}

/// unittest calls what is not run by being called, and whatever has the name of its own.
#[test]
fn unittests_that_cannot_fail() {
    if !tools() {
        return;
    }
    let text = "import unittest\n\nfrom pkg.core import double, halve\n\n\nclass TestCore(unittest.TestCase):\n    \
                def test_double(self) -> None:\n        self.assertEqual(double(2), 4)\n\n    \
                def test_halve(self) -> None:\n        self.assertEqual(halve(4), 2)\n        double(1)\n";
    let base = || {
        let mut files = python();
        files.retain(|(path, _)| *path != FILE);
        files.push((FILE, text));
        files
    };
    let by = |replace: &str, by: &str| {
        assert!(text.contains(replace));
        vec![wrong(), put(FILE, &text.replace(replace, by))]
    };
    let hidden =
        |name, told, hidden: Change| Case { name, tool: PYTEST, broken: vec![wrong()], hidden, told };
    let (idle, hook) = (("pytest", "idle-test", FILE), ("integrity", "test-hook", FILE));
    let method = |signature: &str, body: &str| {
        by("    def test_double", &format!("    def {signature}:\n        {body}\n\n    def test_double"))
    };
    all(
        base(),
        &[
            hidden("nobody awaits it", idle, by("def test_double", "async def test_double")),
            hidden(
                "nobody asks it for values",
                idle,
                by("(double(2), 4)\n", "(double(2), 4)\n        yield\n"),
            ),
            hidden(
                "runs nothing",
                hook,
                method("run(self, result: object = None) -> object", "return result"),
            ),
            hidden(
                "compares nothing",
                hook,
                method(
                    "assertEqual(self, first: int, second: int, msg: object = None) -> None",
                    "\"\"\"Nothing.\"\"\"",
                ),
            ),
            hidden(
                "is given something else",
                hook,
                by(
                    "class TestCore",
                    "unittest.TestCase.assertEqual = print  # type: ignore\n\n\nclass TestCore",
                ),
            ),
        ],
    );
}

/// New tests that the tool warns of, and goes on.
#[test]
fn a_class_that_pytest_makes_nothing_of() {
    if !tools() {
        return;
    }
    let class = |makes: &str| {
        let text = format!(
            "class TestMore:\n    {makes}def test_more(self) -> None:\n        assert double(1) == 3\n"
        );
        vec![put(FILE, &format!("{TESTS}\n\n{text}"))]
    };
    all(
        python(),
        &[Case {
            name: "a class with a constructor",
            tool: PYTEST,
            broken: class(""),
            hidden: class("def __init__(self) -> None:\n        self.a = 1\n\n    "),
            told: ("pytest", "idle-test", FILE),
        }],
    );
}

#[test]
fn a_documentation_that_is_not_tried() {
    let doc = |mark: &str| {
        put(
            "pkg/doc.py",
            &format!(
                "def f(x: int) -> int:\n    \"\"\"Twice.\n\n    >>> f(2){mark}\n    4\n    \"\"\"\n    return 3 * x\n"
            ),
        )
    };
    if !tools() {
        return;
    }
    let tool = Alone::Says(&["python", "-m", "pytest", "-q", "--doctest-modules", "-p", "no:cacheprovider"]);
    all(
        python(),
        &[Case {
            name: "doctest: +SKIP",
            tool,
            broken: vec![doc("")],
            hidden: vec![doc("  # doctest: +SKIP")],
            told: ("integrity", "skipped-test", "pkg/doc.py"),
        }],
    );
}
