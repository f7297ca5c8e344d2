//! Marks by which code asks to be left alone: suppressing comments, skipped tests, and hooks that
//! decide which tests run. Each is counted; one more than before is a finding.

use std::sync::LazyLock;

use regex::Regex;

use super::lexer::{Language, Line};

/// A mark, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// What kind: `suppression`, `skipped-test`, `test-hook`, `empty-assertion`.
    pub(super) rule: &'static str,
    /// The mark itself with its codes: `noqa: E501`. Widening it makes another one.
    pub(super) text: String,
    /// From 1.
    pub(super) line: u32,
}

/// Where a pattern is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Comment,
    Code,
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
        r"(?i)\b(ruff:\s*|flake8:\s*)?noqa\b(\s*:\s*[A-Z]+\d+([,\s]+[A-Z]+\d+)*)?",
    ),
    (PYTHON, Place::Comment, "suppression", r"\b(type|pyright):\s*ignore(\s*\[[^\]]*\])?"),
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
    (PYTHON, Place::Code, "skipped-test", r"@(unittest\.)?(skip|skipIf|skipUnless|expectedFailure)\b"),
    (PYTHON, Place::Code, "skipped-test", r"\bSkipTest\b"),
    (PYTHON, Place::Code, "skipped-test", r"\.skipTest\s*\("),
    (PYTHON, Place::Code, "skipped-test", r"\b__test__\s*="),
    (PYTHON, Place::Code, "test-hook", r"\bdef\s+pytest_\w+"),
    (PYTHON, Place::Code, "test-hook", r"\b(collect_ignore(_glob)?|pytest_plugins|load_tests)\b"),
    (PYTHON, Place::Code, "test-hook", r"\bpytest\.hookimpl\b"),
    (
        PYTHON,
        Place::Code,
        "empty-assertion",
        r"\bassert\s+\(?\s*(True|1|not\s+False|not\s+None|not\s+0)\s*\)?\s*($|[,;#])",
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
    (RUST, Place::Code, "skipped-test", r"#\[\s*ignore\b"),
    (
        RUST,
        Place::Code,
        "empty-assertion",
        r"\bassert!\s*\(\s*true\s*[,)]|\bassert_eq!\s*\(\s*(1\s*,\s*1|true\s*,\s*true)\s*[,)]",
    ),
    (SCRIPT, Place::Comment, "suppression", r"\beslint-disable[\w-]*[^*]*"),
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

/// The marks of a file, in its order.
pub(super) fn marks(lines: &[Line], language: Language) -> Vec<Mark> {
    let patterns: Vec<&Pattern> =
        COMPILED.iter().filter(|pattern| pattern.languages.contains(&language)).collect();
    let mut marks = Vec::new();
    for (line, number) in lines.iter().zip(1_u32..) {
        for pattern in &patterns {
            let text = match pattern.place {
                Place::Comment => &line.comment,
                Place::Code => &line.code,
            };
            if text.trim().is_empty() {
                continue;
            }
            let found = pattern.regex.find_iter(text);
            marks.extend(found.map(|found| Mark {
                rule: pattern.rule,
                text: squeezed(found.as_str()),
                line: number,
            }));
        }
    }
    marks
}

/// Blanks do not make another mark.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::lexer::lines;
    use super::*;

    fn found(language: Language, text: &str) -> Vec<String> {
        marks(&lines(text, language), language)
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
    fn text_about_marks_is_none() {
        let text = "MESSAGE = 'add # noqa'\n\"\"\"type: ignore is a comment\"\"\"\nskipped = 1\nassert True_ish\nassert x == 1\n";
        assert_eq!(found(Language::Python, text), Vec::<String>::new());
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
