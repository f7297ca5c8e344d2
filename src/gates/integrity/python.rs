//! What more than one line of Python says: assertions whose failure is caught, and a `conftest.py`
//! that gives tests something else than the code that they are for.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::lexer::{Language, Line};
use super::marks::{Mark, squeezed};
use super::suites::{block, margin};

fn compiled(text: &str) -> Regex {
    Regex::new(text).expect("a test uses every pattern")
}

static EXCEPT: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\s*except\b\*?([^:]*):(.*)$"));
static WITH: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\s*(?:async\s+)?with\b"));
static CALL: LazyLock<Regex> = LazyLock::new(|| compiled(r"\b(\w+)\s*\(([^)]*)\)"));
static SUPPRESS_AS: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"\bsuppress\s+as\s+(\w+)|^\s*(\w+)\s*=\s*(?:\w+\.)*suppress\s*$"));
static ASSERTION: LazyLock<Regex> = LazyLock::new(|| compiled(r"\bassert\b|\.assert\w*\s*\("));
static NARROW: LazyLock<Regex> = LazyLock::new(|| compiled(r"\bAssertionError\b"));
static BROAD: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\s*$|\b(Base)?Exception\b"));
static TELLS: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"\b(raise|assert)\b|\bfail\w*\s*\(|\.assert\w*\s*\("));
static IMPORT: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\s*(?:from\s+[\w.]+\s+)?import\s+(.+)$"));
static ASSIGNS: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"^\s*(\w+)(?:\.\w+)+\s*(?::[^=]+)?[-+*/|&]?=(?:[^=]|$)"));
static SETS: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\s*setattr\s*\(\s*(\w+)"));
static REPLACES: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\bsys\.modules\s*(\[[^\]]*\]\s*=[^=]|\.(update|setdefault|__setitem__)\s*\()|\bpatch\b.*\)\.start\s*\(|\bMonkeyPatch\s*\(",
    )
});
static AUTOUSE: LazyLock<Regex> = LazyLock::new(|| compiled(r"@.*\bfixture\s*\(.*\bautouse\s*=\s*True\b"));
static PATCHES: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"\.(setattr|setitem|delattr)\s*\(|\b(mocker\.)?patch(\.\w+)?\s*\("));

static RAISES: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"^\s*(?:async\s+)?with\b.*\b(?:raises|assertRaises\w*)\s*\(([^)]*)"));
static STATEMENT: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\s*assert\b"));
static LEAVES: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\s*(?:return|break|continue)\b"));
static NEVER: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"^\s*(?:(?:el)?(?:if|while)\s+(?:.*\band\s+)?(?:False|0|None|not\s+(?:True|__debug__)|\d+\s*(?:[<>]=?|==)\s*\d+)|for\s.+\sin\s+(?:\[\s*\]|\(\s*\)|\{\s*\}|range\s*\(\s*0\s*\)))\s*:",
    )
});
static TEST: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\s*(?:async\s+)?def\s+(test\w*)\s*\("));
static COMPARES: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?:^|:)\s*return\b.*(?:[=!<>]=|[^-=]>|<|\b(?:in|is|not)\b)"));
static INNER: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\s*(?:async\s+)?def\s+(\w+)\s*\("));
static MARKS_ITEMS: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\b(?:node|item)\.obj\s*=[^=]|\bsetattr\s*\(\s*(?:request\.node|node|item)\b|\.(?:applymarker|add_marker)\s*\(",
    )
});

/// Of these everybody sets something before a run.
const EVERYBODYS: &[&str] = &["sys", "os", "warnings", "logging", "random", "locale"];

/// The marks of a file that is called so, besides those that a line alone is.
pub(super) fn marks(lines: &[Line], path: &str, is_test: bool) -> Vec<Mark> {
    let is_conftest = path.rsplit('/').next() == Some("conftest.py");
    let mut marks = Vec::new();
    if is_conftest || is_test {
        marks.extend(swallowed(lines));
        marks.extend(unreached(lines));
        marks.extend(unchecked(lines));
    }
    if is_conftest {
        marks.extend(patched(lines));
    }
    marks
}

fn mark(rule: &'static str, lines: &[Line], at: usize, body: String) -> Mark {
    let line = u32::try_from(at + 1).unwrap_or(u32::MAX);
    Mark { rule, text: squeezed(lines[at].written()), was: None, body, line }
}

/// Assertions that cannot fail, because what they raise is caught and nobody is told.
fn swallowed(lines: &[Line]) -> Vec<Mark> {
    let mut marks = Vec::new();
    // Of each open `try`: how far it is indented, and the assertions before it.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut assertions = 0;
    let suppress = suppressing(lines);
    for (at, line) in lines.iter().enumerate() {
        let code = line.code.trim();
        if code == "try:" {
            let own = margin(line);
            open.retain(|(margin, _)| *margin < own);
            open.push((own, assertions));
        }
        if let Some(groups) = EXCEPT.captures(&line.code) {
            let tried = open.iter().rev().find(|(own, _)| *own == margin(line));
            let asserts = tried.is_some_and(|(_, before)| assertions > *before);
            let handler = block(&lines[at..], Language::Python);
            let told =
                TELLS.is_match(&groups[2]) || handler[1..].iter().any(|line| TELLS.is_match(&line.code));
            let or_else = lines.get(at + handler.len()).is_some_and(|next| next.code.trim() == "else:");
            if catches(&groups[1], asserts) && !told && !or_else {
                marks.push(mark("swallowed-assertion", lines, at, String::new()));
            }
        }
        if let Some(what) = suppressed(&line.code, &suppress) {
            let inside = block(&lines[at..], Language::Python);
            if catches(what, inside.iter().any(|line| ASSERTION.is_match(&line.code))) {
                marks.push(mark("swallowed-assertion", lines, at, String::new()));
            }
        }
        if let Some(groups) = RAISES.captures(&line.code) {
            // That an assertion of the test's own fails is what is asked for.
            let inside = block(&lines[at..], Language::Python);
            let asserts = inside[1..].iter().any(|line| STATEMENT.is_match(&line.code));
            if asserts && (NARROW.is_match(&groups[1]) || BROAD.is_match(&groups[1])) {
                marks.push(mark("swallowed-assertion", lines, at, String::new()));
            }
        }
        if code == "finally:" {
            let inside = block(&lines[at..], Language::Python);
            let defines = inside.iter().any(|line| line.code.trim_start().starts_with("def "));
            if !defines && inside[1..].iter().any(|line| LEAVES.is_match(&line.code)) {
                // Whoever leaves from there drops what was raised.
                marks.push(mark("swallowed-assertion", lines, at, String::new()));
            }
        }
        assertions += usize::from(ASSERTION.is_match(&line.code));
    }
    marks
}

/// The names by which a file knows `contextlib.suppress`.
fn suppressing(lines: &[Line]) -> BTreeSet<&str> {
    let renames = lines.iter().filter_map(|line| SUPPRESS_AS.captures(&line.code));
    let others = renames.filter_map(|groups| groups.get(1).or(groups.get(2))).map(|name| name.as_str());
    others.chain(["suppress"]).collect()
}

/// What is suppressed by a `with` that calls one of these names.
fn suppressed<'l>(code: &'l str, names: &BTreeSet<&str>) -> Option<&'l str> {
    let mut calls = WITH.is_match(code).then(|| CALL.captures_iter(code))?;
    calls.find_map(|call| names.contains(&call[1]).then(|| call.get(2)).flatten()).map(|what| what.as_str())
}

/// What a test file has and nobody runs: under a condition that never holds, or a test whose name is
/// given to another one in the same place.
fn unreached(lines: &[Line]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if NEVER.is_match(&line.code) {
            marks.push(mark("skipped-test", lines, at, String::new()));
        }
        let Some(name) = TEST.captures(&line.code).map(|groups| groups[1].to_owned()) else { continue };
        let own = margin(line);
        let beside = lines[at + 1..].iter().filter(|line| !line.code.trim().is_empty());
        let mut beside = beside.take_while(|line| margin(line) >= own).filter(|line| margin(line) == own);
        if beside.any(|line| TEST.captures(&line.code).is_some_and(|groups| groups[1] == name)) {
            marks.push(mark("skipped-test", lines, at, String::new()));
        }
    }
    marks
}

/// Tests that look as if they checked something: what a test returns nobody looks at, and what stands in a
/// function that it never calls is not run.
fn unchecked(lines: &[Line]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let tests = lines.iter().enumerate().filter(|(_, line)| TEST.is_match(&line.code));
    for (first, _) in tests {
        let body = block(&lines[first..], Language::Python);
        let mut inner_end = 0;
        for (at, line) in body.iter().enumerate() {
            if let Some(groups) = INNER.captures(&line.code).filter(|_| at > 0) {
                let inner = block(&body[at..], Language::Python);
                inner_end = inner_end.max(at + inner.len());
                let registered = body[at - 1].code.trim_start().starts_with('@');
                let asserts = inner.iter().any(|line| ASSERTION.is_match(&line.code));
                if asserts && !registered && words(body, &groups[1]) == 1 {
                    marks.push(mark("empty-assertion", lines, first + at, String::new()));
                }
            } else if at >= inner_end && COMPARES.is_match(&line.code) {
                marks.push(mark("empty-assertion", lines, first + at, String::new()));
            }
        }
    }
    marks
}

/// How often a word stands there.
fn words(lines: &[Line], word: &str) -> usize {
    let of = |line: &Line| {
        line.code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|part| *part == word).count()
    };
    lines.iter().map(of).sum()
}

/// Whether an assertion's failure is among what is caught.
fn catches(what: &str, asserts: bool) -> bool {
    NARROW.is_match(what) || (asserts && BROAD.is_match(what))
}

/// Where a `conftest.py` puts something in the place of what it has imported, for every test.
fn patched(lines: &[Line]) -> Vec<Mark> {
    let imported = imported(lines);
    let is_imported =
        |regex: &Regex, code: &str| regex.captures(code).is_some_and(|groups| imported.contains(&groups[1]));
    let mut marks = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = &line.code;
        if is_imported(&ASSIGNS, code)
            || is_imported(&SETS, code)
            || REPLACES.is_match(code)
            || MARKS_ITEMS.is_match(code)
        {
            marks.push(mark("test-hook", lines, at, String::new()));
        }
        if AUTOUSE.is_match(code) {
            let function = lines[at..].iter().position(|line| line.code.contains("def "));
            let own = function.map_or(&lines[at..=at], |down| block(&lines[at + down..], Language::Python));
            if own.iter().any(|line| PATCHES.is_match(&line.code)) {
                let body: Vec<String> = own.iter().map(|line| squeezed(line.written())).collect();
                marks.push(mark("test-hook", lines, at, body.join("\n")));
            }
        }
    }
    marks
}

/// The names that imports make.
fn imported(lines: &[Line]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut in_list = false;
    for line in lines {
        let text = match (in_list, IMPORT.captures(&line.code)) {
            (true, _) => line.code.clone(),
            (false, Some(groups)) => groups[1].to_owned(),
            (false, None) => continue,
        };
        in_list = (in_list || text.contains('(')) && !text.contains(')');
        for name in text.split([',', '(', ')']) {
            let own = name.rsplit(" as ").next().unwrap_or_default().trim();
            let own = own.split('.').next().unwrap_or_default();
            names.insert(own.to_owned());
        }
    }
    names.retain(|name| !name.is_empty() && !EVERYBODYS.contains(&name.as_str()));
    names
}

#[cfg(test)]
mod tests {
    use super::super::lexer::lines;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let marks = marks(&lines(text, Language::Python), path, super::super::is_test_file(path));
        marks.iter().map(|mark| format!("{} {} {}", mark.line, mark.rule, mark.text)).collect()
    }

    #[test]
    fn an_assertion_whose_failure_is_caught() {
        let catching = |except: &str| {
            format!("def test_a():\n    try:\n        assert f() == 1\n    {except}\n        pass\n")
        };
        for except in [
            "except AssertionError:",
            "except (ValueError, AssertionError) as e:",
            "except:",
            "except Exception:",
            "except BaseException: # why",
        ] {
            let text = catching(except);
            let expected = format!("4 swallowed-assertion {}", except.split(" #").next().unwrap());
            assert_eq!(found("t/test_a.py", &text), [expected], "{except}");
            assert_eq!(found("pkg/a.py", &text), Vec::<String>::new());
        }
        let with = "def test_a():\n    with contextlib.suppress(Exception):\n        assert x\n";
        assert_eq!(found("test_a.py", with), ["2 swallowed-assertion with contextlib.suppress(Exception):"]);
        for (named, called) in
            [("from contextlib import suppress as quiet", "quiet"), ("calm = contextlib.suppress", "calm")]
        {
            let text =
                format!("{named}\ndef test_a():\n    with open(x), {called}(Exception):\n        assert x\n");
            assert_eq!(
                found("test_a.py", &text),
                [format!("3 swallowed-assertion with open(x), {called}(Exception):")]
            );
        }
    }

    #[test]
    fn what_is_caught_and_told_is_no_mark() {
        for text in [
            "try:\n    assert f()\nexcept ValueError:\n    pass\n",
            "try:\n    f()\nexcept Exception:\n    pass\n",
            "try:\n    assert f()\nexcept AssertionError:\n    print(x)\n    raise\n",
            "try:\n    check(0)\nexcept AssertionError:\n    pass\nelse:\n    pytest.fail('no')\n",
            "try:\n    f()\nexcept Exception as e:\n    assert e.args\n",
            "with suppress(OSError):\n    assert x\n",
        ] {
            assert_eq!(found("test_a.py", text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_failure_that_is_asked_for_or_dropped_is_swallowed() {
        let raises = "def test_a():\n    with pytest.raises(AssertionError):\n        assert f() == 1\n";
        assert_eq!(found("test_a.py", raises), ["2 swallowed-assertion with pytest.raises(AssertionError):"]);
        let drops = "def test_a():\n    try:\n        assert f()\n    finally:\n        return\n";
        assert_eq!(found("test_a.py", drops), ["4 swallowed-assertion finally:"]);
        for text in [
            "with pytest.raises(AssertionError):\n    check(0)\n",
            "with pytest.raises(ValueError):\n    assert f()\n",
            "with pytest.raises(Exception) as e:\n    f()\nassert e\n",
            "try:\n    assert f()\nfinally:\n    close()\n",
        ] {
            assert_eq!(found("test_a.py", text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_never_runs_is_a_mark() {
        for never in [
            "if False:",
            "if x and False:",
            "while 0:",
            "elif not True:",
            "if 1 > 2:",
            "if x and 1 == 2:",
            "if not __debug__:",
            "for _ in []:",
            "for a, b in range(0):",
        ] {
            let text = format!("def test_a():\n    {never}\n        assert x\n");
            assert_eq!(found("test_a.py", &text), [format!("2 skipped-test {never}")]);
            assert_eq!(found("pkg/a.py", &text), Vec::<String>::new());
        }
        let twice = "def test_a():\n    assert x\n\ndef helper(): pass\n\ndef test_a():\n    pass\n";
        assert_eq!(found("test_a.py", twice), ["1 skipped-test def test_a():"]);
        let apart = "class TestA:\n    def test_a(self): f()\n\nclass TestB:\n    def test_a(self): f()\n\n\
            if x:\n    def test_b(): f()\nelse:\n    def test_b(): f()\nif y == False:\n    z = 0\n";
        assert_eq!(found("test_a.py", apart), Vec::<String>::new());
    }

    #[test]
    fn what_is_returned_or_never_called_checks_nothing() {
        for (text, line) in [
            ("def test_a(): return f(1) == 5\n", "1 empty-assertion def test_a(): return f(1) == 5"),
            ("def test_a():\n    x = f()\n    return x > 1\n", "3 empty-assertion return x > 1"),
            ("def test_a():\n    def inner():\n        assert f()\n", "2 empty-assertion def inner():"),
        ] {
            assert_eq!(found("test_a.py", text), [line]);
            assert_eq!(found("pkg/a.py", text), Vec::<String>::new());
        }
        for text in [
            "def test_a():\n    def key(x):\n        return x > 1\n    assert sorted(y, key=key)\n",
            "def test_a():\n    def check():\n        assert f()\n    Thread(target=check).start()\n",
            "def test_a():\n    @app.route\n    def page():\n        assert f()\n    app.get()\n",
            "def test_a():\n    return\n\ndef test_b():\n    return run(main)\n",
            "def helper():\n    return x == 1\n",
        ] {
            assert_eq!(found("test_a.py", text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_conftest_that_marks_or_replaces_tests() {
        for text in [
            "request.node.obj = lambda: None",
            "request.applymarker(getattr(pytest.mark, word))",
            "request.node.add_marker(pytest.mark.slow)",
            "setattr(request.node, 'obj', f)",
        ] {
            let found_there = found("tests/conftest.py", text);
            assert_eq!(found_there, [format!("1 test-hook {text}")]);
            assert_eq!(found("tests/helpers.py", text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(found("conftest.py", "same = item.obj == f"), Vec::<String>::new());
    }

    #[test]
    fn a_conftest_that_patches_the_code_under_test() {
        for (text, line) in [
            (
                "import pkg.core\n\npkg.core.double = lambda x: 2 * x\n",
                "3 test-hook pkg.core.double = lambda x: 2 * x",
            ),
            ("from pkg import (\n    core as c,\n)\nc.double = f\n", "4 test-hook c.double = f"),
            ("from pkg import core\nsetattr(core, 'double', f)\n", "2 test-hook setattr(core, 'double', f)"),
            (
                "import sys\nsys.modules['pkg.core'] = Fake()\n",
                "2 test-hook sys.modules['pkg.core'] = Fake()",
            ),
            (
                "mock.patch('pkg.core.double', f).start()\n",
                "1 test-hook mock.patch('pkg.core.double', f).start()",
            ),
            (
                "@pytest.fixture(autouse=True)\ndef quick(monkeypatch):\n    monkeypatch.setattr('pkg.core.double', f)\n",
                "1 test-hook @pytest.fixture(autouse=True)",
            ),
        ] {
            assert_eq!(found("tests/conftest.py", text), [line], "{text}");
            assert_eq!(found("tests/helpers.py", text), Vec::<String>::new(), "{text}");
        }
        let harmless = "import sys\nimport pkg\nsys.dont_write_bytecode = True\nsame = pkg.x == 1\nself.x = 1\n\
            @pytest.fixture\ndef quick(monkeypatch):\n    monkeypatch.setattr('pkg.core.double', f)\n";
        assert_eq!(found("conftest.py", harmless), Vec::<String>::new());
    }
}
