//! Marks by which code asks to be left alone: suppressing comments, skipped tests, and hooks that
//! decide which tests run. Each is counted; one more than before is a finding.

use std::sync::LazyLock;

use regex::Regex;

use super::lexer::{Language, Line};
use super::python;
use super::suites::block;

/// A mark, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// What kind: `suppression`, `skipped-test`, `test-hook`, `empty-assertion`.
    pub(super) rule: &'static str,
    /// The mark itself with its codes: `noqa: E501`. Widening it makes another one.
    pub(super) text: String,
    /// How the base writes it, where it hides less now.
    pub(super) was: Option<String>,
    /// Of a function that decides over tests, what it does; empty for all others. Editing it makes
    /// another mark.
    pub(super) body: String,
    /// From 1.
    pub(super) line: u32,
}

/// Where a pattern is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Comment,
    Code,
    /// The line as it is written: documentation is a string.
    Raw,
    /// As it is written, without its comment.
    Written,
}

struct Pattern {
    languages: &'static [Language],
    place: Place,
    rule: &'static str,
    regex: Regex,
}

const ALL: &[Language] = &[Language::Python, Language::Rust, Language::Script, Language::Go];
const PYTHON: &[Language] = &[Language::Python];
const RUST: &[Language] = &[Language::Rust];
const SCRIPT: &[Language] = &[Language::Script];
const GO: &[Language] = &[Language::Go];

/// Every pattern: languages, place, rule, regular expression. The whole match is the mark's text.
const PATTERNS: &[(&[Language], Place, &str, &str)] = &[
    (ALL, Place::Comment, "suppression", r"(?i)\bnosemgrep\b(\s*:\s*[\w.,\s-]+)?"),
    (ALL, Place::Comment, "suppression", r"(?i)#?\bnosec\b(\s*:?\s*[BG]\d[\w,\s]*)?"),
    (
        ALL,
        Place::Comment,
        "suppression",
        r"(?i)\b(gitleaks:allow|trufflehog:ignore|pragma:\s*allowlist[ -]\w+)",
    ),
    (
        PYTHON,
        Place::Comment,
        "suppression",
        r"(?i)(^|#)\s*(ruff:\s*|flake8:\s*)?noqa\b(\s*:\s*[A-Z]+\d+([,\s]+[A-Z]+\d+)*)?",
    ),
    (PYTHON, Place::Comment, "suppression", r"(?i)\bruff:\s*(ignore|file-ignore|disable)\b(\s*\[[^\]]*\])?"),
    (PYTHON, Place::Comment, "suppression", r"\b(type|pyright|pyrefly|ty):\s*ignore(\s*\[[^\]]*\])?"),
    (PYTHON, Place::Comment, "suppression", r"\bmypy:\s*[\w-]+.*"),
    (PYTHON, Place::Comment, "suppression", r"(?i)\bpragma:\s*no[ -]?(cover|branch|mutate)\b"),
    (
        PYTHON,
        Place::Comment,
        "suppression",
        r"\b(pylint:\s*(disable|skip-file)\b.*|isort:\s*skip\w*|pyre-ignore\b.*)",
    ),
    (PYTHON, Place::Comment, "suppression", r"^\s*skip\b"),
    (PYTHON, Place::Code, "suppression", r"@(typing\.)?no_type_check\b"),
    (PYTHON, Place::Code, "skipped-test", r"\bmark\.(skip|skipif|xfail)\b"),
    (PYTHON, Place::Code, "skipped-test", r"\bpytest\.(skip|xfail|importorskip|exit)\s*\("),
    (PYTHON, Place::Code, "skipped-test", r#"\.(skip|xfail|importorskip)\s*\(\s*(reason\b|["'])"#),
    (
        PYTHON,
        Place::Code,
        "skipped-test",
        r"@(\w+\.)?(skip|skipif|skipIf|skipUnless|xfail|expectedFailure)\b",
    ),
    (PYTHON, Place::Raw, "skipped-test", r"#\s*doctest:\s*\+SKIP\b"),
    (PYTHON, Place::Code, "skipped-test", r"\bSkipTest\b"),
    (PYTHON, Place::Code, "skipped-test", r"\.skipTest\s*\("),
    (PYTHON, Place::Code, "skipped-test", r"\b__test__\s*="),
    (
        PYTHON,
        Place::Code,
        "skipped-test",
        r"\b(skip|xfail)\.Exception\b|\braise\s+[\w.]*\b(Skipped|XFailed|_?Skip(ped)?Exception)\b",
    ),
    (PYTHON, Place::Code, "skipped-test", r"\bdel\s+([\w.]+\s*,\s*)*([\w]+\.)*test_\w+"),
    (
        PYTHON,
        Place::Written,
        "skipped-test",
        r#"^\s*(del\b[^"']*\[|delattr\s*\([^"']*,|(globals|vars|locals)\s*\([^"']*\.pop\s*\()\s*["']test_?\w*["']"#,
    ),
    (PYTHON, Place::Code, "skipped-test", r"^\s*(\w+\.)*test_\w+\s*=\s*(None|lambda\b)"),
    (PYTHON, Place::Code, "test-hook", r"\bdef\s+pytest_\w+"),
    (PYTHON, Place::Code, "test-hook", r"\b(collect_ignore(_glob)?|pytest_plugins|load_tests)\b"),
    (PYTHON, Place::Code, "test-hook", r"\bpytest\.hookimpl\b"),
    // What unittest calls of a test, and what tests call of unittest.
    (PYTHON, Place::Code, "test-hook", r"\bdef\s+(run|__call__)\s*\(\s*self\s*,\s*result\b"),
    (
        PYTHON,
        Place::Code,
        "test-hook",
        r"(\bdef\s+|^\s*|\.)(_callTestMethod|assert((Not)?(Equals?|In|IsInstance|AlmostEqual|Regex)|True|False|Is(Not)?(None)?|(Greater|Less)(Equal)?|Count\w*|(Dict|List|Set|Tuple|Sequence|MultiLine)Equal|Raises\w*|Warns\w*|(No)?Logs))\s*(:[^=(]*)?(=[^=]|\((?:\s*self\b)[^)]*\)\s*(->[^:]*)?:)",
    ),
    (
        PYTHON,
        Place::Code,
        "empty-assertion",
        r"\bassert\s+\(?\s*(True|not\s+False|not\s+None|not\s+0)\s*\)?\s*($|[,;#])",
    ),
    (
        PYTHON,
        Place::Code,
        "empty-assertion",
        r#"\bassert\s+\(?\s*([1-9]\d*|"[^"]*"|'[^']*')\s*\)?\s*($|[,;#])"#,
    ),
    (PYTHON, Place::Code, "empty-assertion", r"\bassert\b.*\bor\s+(True|1)\s*\)?\s*($|[,;#])"),
    (
        PYTHON,
        Place::Code,
        "empty-assertion",
        r"\bassert(True\s*\(\s*True|False\s*\(\s*False|Equals?\s*\(\s*(1\s*,\s*1|True\s*,\s*True))\b",
    ),
    (RUST, Place::Code, "suppression", r"#!?\[\s*(allow|expect|cfg_attr\s*\(.*\b(allow|ignore))\b[^\]]*"),
    (RUST, Place::Code, "suppression", r"#!?\[\s*(rustfmt::skip|coverage\s*\(\s*off|mutants::skip)\b"),
    (RUST, Place::Code, "skipped-test", r"#\[\s*(ignore\b|cfg\s*\(\s*(any\s*\(\s*\)|FALSE|false)\s*\))"),
    (
        RUST,
        Place::Code,
        "empty-assertion",
        r"\bassert!\s*\(\s*true\s*[,)]|\bassert_eq!\s*\(\s*(1\s*,\s*1|true\s*,\s*true)\s*[,)]",
    ),
    (SCRIPT, Place::Comment, "suppression", r"\beslint-disable[\w-]*[^*]*"),
    (SCRIPT, Place::Comment, "suppression", r#"^\s*eslint\s+[\w@/"'-]+\s*:.*"#),
    (SCRIPT, Place::Comment, "suppression", r"@ts-(ignore|expect-error|nocheck)\b"),
    (SCRIPT, Place::Comment, "suppression", r"\b(istanbul|c8|v8)\s+ignore\b(\s+\w+)*"),
    (SCRIPT, Place::Comment, "suppression", r"\b(biome-ignore|Stryker\s+disable)\b"),
    (
        SCRIPT,
        Place::Code,
        "skipped-test",
        r"\b(it|test|describe|suite)(\.\w+)*\.(skip|only|todo|fails|skipIf|runIf)\b",
    ),
    (SCRIPT, Place::Code, "skipped-test", r"\b(xit|xtest|xdescribe|fit|fdescribe)\s*\("),
    (
        SCRIPT,
        Place::Code,
        "empty-assertion",
        r"\bexpect\s*\(\s*(true|1)\s*\)\s*\.\s*(toBe|toEqual|toBeTruthy)\b|\bassert(\.ok)?\s*\(\s*true\s*[,)]",
    ),
    (GO, Place::Comment, "suppression", r"\bnolint\b(:[\w,-]+)?"),
    (GO, Place::Comment, "suppression", r"^\s*lint:(file-)?ignore\b.*"),
    (GO, Place::Comment, "skipped-test", r"^go:build\s.*"),
    (GO, Place::Code, "skipped-test", r"\b\w+\.(Skip|Skipf|SkipNow)\s*\("),
    (GO, Place::Code, "test-hook", r"\bfunc\s+TestMain\b"),
    (GO, Place::Code, "empty-assertion", r"\b(assert|require)\.True\s*\(\s*\w+\s*,\s*true\s*[,)]"),
];

static COMPILED: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let compiled = PATTERNS.iter().map(|(languages, place, rule, text)| Pattern {
        languages,
        place: *place,
        rule,
        regex: Regex::new(text).expect("a test compiles every pattern"),
    });
    compiled.collect()
});

/// The marks of a file, in its order; whether it is one of tests decides what counts there.
pub(super) fn marks(lines: &[Line], language: Language, path: &str, is_test: bool) -> Vec<Mark> {
    let patterns: Vec<&Pattern> =
        COMPILED.iter().filter(|pattern| pattern.languages.contains(&language)).collect();
    let mut marks = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
        let mark =
            |rule, text: &str, body| Mark { rule, text: squeezed(text), was: None, body, line: number };
        for (rule, text) in of_line(line, &patterns) {
            let body = if rule == "test-hook" { body(&lines[at..], language) } else { String::new() };
            marks.push(mark(rule, text, body));
        }
        let is_told = |mark: &Mark| mark.line == number && mark.rule == "empty-assertion";
        let same = same_on_both_sides(line, language).filter(|_| !marks.iter().rev().take(4).any(is_told));
        marks.extend(same.map(|said| mark("empty-assertion", said, String::new())));
    }
    if language == Language::Python {
        marks.extend(python::marks(lines, path, is_test));
    }
    marks
}

/// Rule and text of what one line has; what two patterns find in the same place is one mark.
fn of_line<'l>(line: &'l Line, patterns: &[&Pattern]) -> Vec<(&'static str, &'l str)> {
    let mut found: Vec<(&'static str, Place, regex::Match<'l>)> = Vec::new();
    for pattern in patterns {
        let text = match pattern.place {
            Place::Comment => &line.comment,
            Place::Code => &line.code,
            Place::Raw => &line.raw,
            Place::Written => line.written(),
        };
        if text.trim().is_empty() {
            continue;
        }
        for one in pattern.regex.find_iter(text) {
            let known = |(rule, place, other): &(&str, Place, regex::Match<'_>)| {
                *rule == pattern.rule
                    && *place == pattern.place
                    && one.start() < other.end()
                    && other.start() < one.end()
            };
            if !found.iter().any(known) {
                found.push((pattern.rule, pattern.place, one));
            }
        }
    }
    let text = |place, one: regex::Match<'l>| match place {
        // Where a comment begins inside of another.
        Place::Comment => one.as_str().trim_start_matches(|c: char| c == '#' || c.is_whitespace()),
        Place::Code | Place::Raw | Place::Written => one.as_str(),
    };
    found.into_iter().map(|(rule, place, one)| (rule, text(place, one))).collect()
}

/// What a function does that begins in the first of the lines; an assignment is a line.
fn body(lines: &[Line], language: Language) -> String {
    let is_function = lines[0].code.contains("def ") || lines[0].code.contains("func ");
    let own = if is_function { block(lines, language) } else { &lines[..1] };
    own.iter().map(|line| squeezed(line.written())).collect::<Vec<_>>().join("\n")
}

/// How a comparison is written: what begins it, what stands between its sides, and what ends it.
const COMPARISONS: &[(&[Language], &str, &str, &str)] = &[
    (PYTHON, "assert ", "==", ""),
    (PYTHON, "assert ", " is ", ""),
    (PYTHON, ".assertEqual(", ",", ")"),
    (RUST, "assert_eq!(", ",", ")"),
    (SCRIPT, "expect(", ").toBe(", ")"),
    (SCRIPT, "expect(", ").toEqual(", ")"),
];

/// An assertion that compares something with itself.
fn same_on_both_sides(line: &Line, language: Language) -> Option<&str> {
    let text = line.written();
    COMPARISONS.iter().filter(|(languages, ..)| languages.contains(&language)).find_map(
        |(_, begins, between, ends)| {
            let at = text.find(begins)?;
            let (left, right) = text[at + begins.len()..].split_once(between)?;
            let right = right.trim_end_matches([';', ' ', '\t']);
            let right =
                right.strip_suffix(ends).unwrap_or(right).split_once(',').map_or(right, |(own, _)| own);
            let right = right.strip_suffix(ends).unwrap_or(right);
            let (left, right) = (left.trim(), right.trim());
            (!left.is_empty() && left == right).then(|| text[at..].trim_end())
        },
    )
}

/// Blanks do not make another mark.
pub(super) fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::lexer::lines;
    use super::*;

    fn found(language: Language, text: &str) -> Vec<String> {
        marks(&lines(text, language), language, "a.py", false)
            .iter()
            .map(|mark| format!("{}:{} {}", mark.line, mark.rule, mark.text))
            .collect()
    }

    #[test]
    fn python_marks() {
        let text = "import os  # noqa: F401, E501\nx = f()  # type: ignore[arg-type]\n\
            def g():  # pragma: no cover\n    eval(x)  # nosec B307\n    eval(x)  # nosemgrep: rules.eval\n\
            @pytest.mark.skip(reason='later')\n@pytest.mark.xfail\ndef test_a():\n    assert True\n\
            def pytest_collection_modifyitems(items): items.clear()\ncollect_ignore = ['a']\n# skip\n";
        assert_eq!(
            found(Language::Python, text),
            [
                "1:suppression noqa: F401, E501",
                "2:suppression type: ignore[arg-type]",
                "3:suppression pragma: no cover",
                "4:suppression nosec B307",
                "5:suppression nosemgrep: rules.eval",
                "6:skipped-test mark.skip",
                "7:skipped-test mark.xfail",
                "9:empty-assertion assert True",
                "10:test-hook def pytest_collection_modifyitems",
                "11:test-hook collect_ignore",
                "12:suppression skip",
            ]
        );
    }

    #[test]
    fn tests_that_are_taken_away_while_they_run() {
        for text in [
            "del TestA.test_b",
            "    del test_b",
            "del helper, TestA.test_b",
            "delattr(TestA, \"test_b\")",
            "del globals()['test_b']",
            "globals().pop('test_b')",
            "TestA.test_b = None",
            "    raise pytest.skip.Exception('slow')",
            "raise Skipped('slow')",
        ] {
            let marks = found(Language::Python, text);
            assert!(marks.len() == 1 && marks[0].starts_with("1:skipped-test "), "{text}: {marks:?}");
        }
        for text in ["del tested", "test_b = f()", "# del test_b", "x = 'raise Skipped'", "del x['a']"] {
            assert_eq!(found(Language::Python, text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn an_assertion_that_compares_something_with_itself() {
        let empty = |language, text: &str| {
            let marks = found(language, text);
            marks.len() == 1 && marks[0].contains("empty-assertion")
        };
        for text in [
            "assert 4 == 4",
            "    assert x is x, 'm'  # c",
            "self.assertEqual(a.b, a.b)",
            "assert \"a\" == \"a\"",
        ] {
            assert!(empty(Language::Python, text), "{text}");
        }
        assert!(empty(Language::Rust, "assert_eq!(2, 2);") && empty(Language::Script, "expect(2).toBe(2);"));
        for text in ["assert f(4) == 4", "assert \"a\" == \"b\"", "assert a == a.b", "self.assertEqual(a, b)"]
        {
            assert_eq!(found(Language::Python, text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(found(Language::Rust, "assert_eq!(f(2), 2);"), Vec::<String>::new());
    }

    #[test]
    fn what_a_hook_does_belongs_to_it() {
        let bodies = |text: &str| {
            let marks = marks(&lines(text, Language::Python), Language::Python, "a.py", false);
            marks.into_iter().map(|mark| mark.body).collect::<Vec<_>>()
        };
        let hook = "def pytest_runtest_setup(item):\n    skip('a')  # why\n\n\nx = 1\n";
        assert_eq!(bodies(hook), ["def pytest_runtest_setup(item):\nskip('a')\n\n"]);
        assert_ne!(bodies(hook), bodies(&hook.replace("'a'", "'b'")));
        assert_eq!(bodies(hook), bodies(&hook.replace("# why", "# other").replace("x = 1", "x = 2")));
    }

    #[test]
    fn text_about_marks_is_none() {
        let text = "MESSAGE = 'add # noqa'\n\"\"\"type: ignore is a comment\"\"\"\nskipped = 1\nassert True_ish\nassert x == 1\n\
            x = 1  # hello NoQA : F401\n";
        assert_eq!(found(Language::Python, text), Vec::<String>::new());
        let nested = "x = 1  # hello # NoQA : F401\n";
        assert_eq!(found(Language::Python, nested), ["1:suppression NoQA : F401"], "ruff takes it for one");
        assert_eq!(
            found(Language::Rust, "let x = \"#[ignore]\"; // an allow would hide it"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn marks_of_other_languages() {
        assert_eq!(
            found(Language::Rust, "#![allow(dead_code)]\n#[ignore = \"slow\"]\nassert!(true);\n"),
            [
                "1:suppression #![allow(dead_code)",
                "2:skipped-test #[ignore",
                "3:empty-assertion assert!(true)"
            ]
        );
        assert_eq!(
            found(
                Language::Script,
                "// eslint-disable-next-line no-eval\n/* @ts-ignore */\nit.skip('a', f)\nxit('b')\nexpect(true).toBe(true)"
            ),
            [
                "1:suppression eslint-disable-next-line no-eval",
                "2:suppression @ts-ignore",
                "3:skipped-test it.skip",
                "4:skipped-test xit(",
                "5:empty-assertion expect(true).toBe",
            ]
        );
        assert_eq!(
            found(Language::Go, "f() //nolint:errcheck\nt.Skip(\"x\")\n//go:build ignore"),
            ["1:suppression nolint:errcheck", "2:skipped-test t.Skip(", "3:skipped-test go:build ignore"]
        );
    }

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(COMPILED.len(), PATTERNS.len());
    }
}
