//! What a change does to those who judge it: marks that ask to be left alone, tests that are gone or
//! say nothing any more, settings of tools, files in a tool's way. Pure: two versions of each changed
//! file in, findings out.
//!
//! Marks are counted, so that moving code makes none and copying it does. Everything else is a
//! finding of the change alone.

mod fresh;
mod lexer;
mod marks;
mod narrow;
mod python;
mod settings;
mod shadows;
mod stricter;
mod suites;

use std::collections::BTreeMap;

use self::lexer::Language;
use self::suites::{Helper, Test};
use super::fingerprint::hash;
use super::parse::Parsed;
use crate::domain::gate::{Finding, Fingerprint, Severity};

/// A finding names at most so many tests.
const NAMED_MAX: usize = 8;

/// A file in both trees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Changed {
    /// As the candidate calls it, or the base if the candidate does not have it.
    pub(super) path: String,
    /// As the base calls it.
    pub(super) old_path: String,
    /// Its content in the base.
    pub(super) base: Option<Vec<u8>>,
    /// Its content in the candidate.
    pub(super) head: Option<Vec<u8>>,
    /// Why the candidate's content is not looked at, where it is not.
    pub(super) unread: Option<&'static str>,
}

/// What else decides.
pub(super) struct Around<'a> {
    /// Programs that gates start.
    pub(super) programs: &'a [&'a str],
    /// Whether the candidate has a file of this path.
    pub(super) is_there: &'a dyn Fn(&str) -> bool,
    /// Whether the base has anything that a tool could have judged.
    pub(super) base_has_code: bool,
    /// Whether the repository's configuration calls the file one of tests, besides what everybody calls so.
    pub(super) is_test: &'a dyn Fn(&str) -> bool,
    /// Whether the task names the file: then it is what it was asked for.
    pub(super) named: &'a dyn Fn(&str) -> bool,
}

/// What the change is to answer for, and what of it was there before: to be compared as multisets.
pub(super) fn look(files: &[Changed], around: &Around<'_>) -> (Parsed, Parsed) {
    let mut read: Vec<Sides> = files.iter().map(|file| Sides::of(file, around)).collect();
    fresh::forgive(&mut read);
    let mut head: Vec<Finding> = read.iter().flat_map(|file| file.marks(&file.head)).collect();
    let base: Vec<Finding> = read.iter().flat_map(|file| file.marks(&file.base)).collect();
    head.extend(removed_tests(&read));
    head.extend(read.iter().flat_map(emptied_tests));
    head.extend(files.iter().filter_map(|file| changed_settings(file, around)));
    head.extend(files.iter().filter_map(|file| in_the_way(file, files, around)));
    head.extend(files.iter().filter_map(unread));
    for finding in &mut head {
        if (around.named)(&finding.path) {
            finding.severity = Severity::Info;
            finding.message.push_str(" (the task names the file)");
        }
    }
    let parsed = |findings| Parsed { findings, scanned: Some(files.len() as u64), ..Parsed::default() };
    (parsed(head), parsed(base))
}

/// What a version of a file has.
#[derive(Default)]
struct Content {
    marks: Vec<marks::Mark>,
    tests: Vec<Test>,
    helpers: Vec<Helper>,
    /// Of Python alone.
    lines: Vec<lexer::Line>,
}

impl Content {
    fn of(bytes: Option<&[u8]>, path: &str, is_test: bool) -> Self {
        let (Some(bytes), Some(language)) = (bytes, Language::of(path)) else { return Self::default() };
        let lines = lexer::lines(&String::from_utf8_lossy(bytes), language);
        Self {
            marks: marks::marks(&lines, language, path, is_test),
            tests: suites::tests(&lines, language),
            helpers: if language == Language::Python { suites::helpers(&lines) } else { Vec::new() },
            lines: if language == Language::Python { lines } else { Vec::new() },
        }
    }
}

struct Sides<'a> {
    file: &'a Changed,
    /// Whether a runner looked into it, and looks into it.
    collected: (bool, bool),
    base: Content,
    head: Content,
}

impl<'a> Sides<'a> {
    fn of(file: &'a Changed, around: &Around<'_>) -> Self {
        let is_test = |path: &str| is_test_file(path) || (around.is_test)(path);
        let is_collected = |path: &str| is_collected(path) || (around.is_test)(path);
        let base = Content::of(file.base.as_deref(), &file.old_path, is_test(&file.old_path));
        let mut head = Content::of(file.head.as_deref(), &file.path, is_test(&file.path));
        let collected = (is_collected(&file.old_path), is_collected(&file.path));
        if collected == (true, false) {
            // Where no runner looks, they are gone.
            head.tests.clear();
        }
        narrow::recognise(&base.marks, &mut head.marks);
        Self { file, collected, base, head }
    }

    /// The marks of one side. Their fingerprints name neither line nor what stands beside them: who
    /// edits a line that has had a mark before adds none.
    fn marks(&self, side: &Content) -> Vec<Finding> {
        let finding = |mark: &marks::Mark| {
            let shortened = |text: &str| text.chars().take(200).collect::<String>();
            let text = shortened(&mark.text);
            let known = shortened(mark.was.as_ref().unwrap_or(&mark.text));
            let fingerprint = Fingerprint {
                placed: hash(&["integrity", mark.rule, &known, &mark.body, &self.file.old_path]),
                placeless: hash(&["integrity", mark.rule, &known, &mark.body]),
            };
            let said = format!("`{text}` {}", meaning(mark.rule));
            Finding {
                fingerprint,
                ..Finding::code(mark.rule, &self.file.path, mark.line, Severity::High, &said)
            }
        };
        side.marks.iter().map(finding).collect()
    }
}

fn meaning(rule: &str) -> &'static str {
    match rule {
        "suppression" => "hides what a tool finds; mend what it says instead",
        "skipped-test" => "keeps tests from running",
        "test-hook" => "can change which tests run, or what they say",
        "empty-assertion" => "asserts nothing",
        "swallowed-assertion" => "keeps an assertion from failing",
        _ => "is new",
    }
}

/// Of the change alone: nothing in the base is its partner.
fn finding(rule: &str, path: &str, line: u32, message: &str) -> Finding {
    let id = hash(&["integrity", rule, path, message]);
    let fingerprint = Fingerprint { placed: id.clone(), placeless: id };
    Finding { fingerprint, ..Finding::code(rule, path, line, Severity::High, message) }
}

/// Whether the file decides how tools judge, or which tests run.
pub(super) fn is_setting(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name == "conftest.py" || settings::is_whole(path) || settings::part(path, &[]).is_some()
}

/// Whether the file is for tests alone, and a runner looks into it. Rust's may be anywhere.
pub(super) fn is_test_file(path: &str) -> bool {
    Language::of(path)
        .is_some_and(|language| language != Language::Rust && suites::is_collected(path, language))
}

/// Whether a text has a function of Python that begins a line.
pub(super) fn has_python_function(text: &[u8]) -> bool {
    let lines = lexer::lines(&String::from_utf8_lossy(text), Language::Python);
    lines.iter().any(|line| line.code.starts_with("def "))
}

/// What has become of a test in the text of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Written {
    /// Where it is still written; 0 where it is not, or never was.
    pub(super) line: u32,
    fewer: bool,
    marked: bool,
}

impl Written {
    /// Whether either version has it.
    pub(super) fn is_known(self) -> bool {
        self.line > 0 || self.fewer
    }

    /// Whether this gate has something to say of it: it is gone, has another name, or a mark.
    pub(super) fn is_gone(self) -> bool {
        self.fewer || self.marked
    }
}

/// Two versions of a file, read once for all the tests that are looked for in it.
pub(super) struct Versions {
    base: Content,
    head: Content,
    /// The candidate has more marks to skip something than the base.
    marked: bool,
}

impl Versions {
    pub(super) fn of(path: &str, base: &[u8], head: &[u8]) -> Self {
        let is_test = is_test_file(path);
        // What is forgiven there is not told there.
        let was = (!base.is_empty()).then(Vec::new);
        let file = Changed { path: path.into(), old_path: path.into(), base: was, ..Changed::default() };
        let (base, head) = (Content::of(Some(base), path, is_test), Content::of(Some(head), path, is_test));
        let mut sides = [Sides { file: &file, collected: (is_test, is_test), base, head }];
        fresh::forgive(&mut sides);
        let [Sides { base, head, .. }] = sides;
        let skips = |side: &Content| side.marks.iter().filter(|mark| mark.rule == "skipped-test").count();
        let marked = skips(&head) > skips(&base);
        Self { base, head, marked }
    }

    /// What has become of the test `name`.
    pub(super) fn written(&self, name: &str) -> Written {
        let count = |side: &Content| side.tests.iter().filter(|test| test.is_called(name)).count();
        Written {
            line: self.head.tests.iter().find(|test| test.is_called(name)).map_or(0, |test| test.line),
            fewer: count(&self.head) < count(&self.base),
            marked: self.marked,
        }
    }
}

/// Whether a runner collects what is called so.
fn is_collected(path: &str) -> bool {
    Language::of(path).is_some_and(|language| suites::is_collected(path, language))
}

/// Tests that are nowhere any more. One that another file has now was moved; where a file has as many
/// new ones as it has lost, they were given other names.
fn removed_tests(read: &[Sides<'_>]) -> Vec<Finding> {
    // By whether it is where a runner looks: what was never there may be moved anywhere.
    let mut added: BTreeMap<(&str, bool), i64> = BTreeMap::new();
    for file in read {
        let (was, is) = file.collected;
        file.head.tests.iter().for_each(|test| *added.entry((&test.name, is)).or_default() += 1);
        file.base.tests.iter().for_each(|test| *added.entry((&test.name, was)).or_default() -= 1);
    }
    let mut findings = Vec::new();
    for file in read {
        let was = file.collected.0;
        let (before, now) = (file.base.tests.len(), file.head.tests.len());
        let mut gone: Vec<&str> = Vec::new();
        for test in &file.base.tests {
            let here = file.head.tests.iter().any(|other| other.name == test.name);
            let elsewhere =
                if was { 0 } else { added.get(&(&*test.name, true)).copied().unwrap_or_default() };
            let balance = added.entry((&test.name, was)).or_default();
            if !here && *balance + elsewhere < 0 && gone.len() < before.saturating_sub(now) {
                *balance += 1;
                gone.push(&test.name);
            }
        }
        if !gone.is_empty() {
            findings.push(finding("removed-test", &file.file.path, 0, &removed(&gone)));
        }
    }
    findings
}

/// `3 tests are gone: a, b, c`
fn removed(names: &[&str]) -> String {
    let some = if names.len() == 1 { "a test is".to_owned() } else { format!("{} tests are", names.len()) };
    let more = if names.len() > NAMED_MAX { ", …" } else { "" };
    format!("{some} gone: {}{more}", names[..names.len().min(NAMED_MAX)].join(", "))
}

/// Tests that could fail before and cannot now.
fn emptied_tests(file: &Sides<'_>) -> Vec<Finding> {
    let asserted = |name: &str| {
        let known = file.base.tests.iter().filter(|test| test.name == name);
        known.map(|test| test.assertions).min().unwrap_or(0)
    };
    let empty = file.head.tests.iter().filter(|test| test.assertions == 0 && asserted(&test.name) > 0);
    let said = |test: &Test| {
        let message = format!("the test `{}` asserts nothing any more", test.name);
        finding("emptied-test", &file.file.path, test.line, &message)
    };
    let was_one =
        |helper: &&Helper| file.base.helpers.iter().any(|was| was.name == helper.name && was.asserts);
    let helpers = file.head.helpers.iter().filter(|helper| helper.empty).filter(was_one);
    let said_of = |helper: &Helper| {
        let message =
            format!("`{}`, which tests call to check something, does nothing any more", helper.name);
        finding("emptied-test", &file.file.path, helper.line, &message)
    };
    empty.map(said).chain(helpers.map(said_of)).collect()
}

/// A change of how tools are configured. Where there was no code, there is nothing to weaken.
fn changed_settings(file: &Changed, around: &Around<'_>) -> Option<Finding> {
    if !around.base_has_code {
        return None;
    }
    let was_moved = file.old_path != file.path;
    let (before, now) =
        (settings_in(&file.old_path, file.base.as_ref()), settings_in(&file.path, file.head.as_ref()));
    // Where it lies is what it is about.
    let differs = before != now || (was_moved && now.is_some());
    if let (Some(base), Some(head), None, false) = (&file.base, &file.head, file.unread, was_moved)
        && stricter::is_no_weaker(&file.path, base, head)
    {
        return None;
    }
    let said =
        "how tools judge is changed here; that is a person's to decide, or a task's that names the file";
    differs.then(|| finding("tool-settings", &file.path, 0, said))
}

/// What a file says to tools; nothing of one that says nothing.
fn settings_in(path: &str, bytes: Option<&Vec<u8>>) -> Option<Vec<u8>> {
    let bytes = bytes?;
    if settings::is_whole(path) {
        return Some(bytes.clone());
    }
    let part = settings::part(path, bytes)?;
    (Some(&part) != settings::part(path, &[]).as_ref()).then(|| part.into_bytes())
}

/// A source file that only tools can read, and they do as it says.
fn unread(file: &Changed) -> Option<Finding> {
    let why = file.unread.filter(|_| Language::of(&file.path).is_some())?;
    Some(finding("unread", &file.path, 0, &format!("{why}; what it asks of tools cannot be told")))
}

fn in_the_way(file: &Changed, all: &[Changed], around: &Around<'_>) -> Option<Finding> {
    let was_there = file.base.is_some() && file.old_path == file.path;
    if was_there || file.head.is_none() {
        return None;
    }
    // A stub that is moved together with its code is in nobody's way anew.
    let was_its_stub = |code: &str| {
        let was = file.base.as_ref().and_then(|_| shadows::code_of(&file.old_path));
        was.is_some_and(|was| all.iter().any(|other| other.path == code && other.old_path == was))
    };
    let stub = || {
        let code =
            shadows::code_of(&file.path).filter(|code| (around.is_there)(code) && !was_its_stub(code))?;
        Some(format!("type checkers read it in the place of `{code}`"))
    };
    let why = shadows::why(&file.path, around.programs).or_else(stub)?;
    Some(finding("shadow", &file.path, 0, &why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gate::{Mode, compare};

    fn changed(path: &str, base: Option<&str>, head: Option<&str>) -> Changed {
        let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        Changed {
            path: path.into(),
            old_path: path.into(),
            base: bytes(base),
            head: bytes(head),
            unread: None,
        }
    }

    /// `rule path:line` of what blocks.
    fn blocking(files: &[Changed], named: &[&str]) -> Vec<String> {
        let around = Around {
            programs: &["ruff"],
            is_there: &|path| path == "pkg/core.py",
            base_has_code: true,
            is_test: &|path| path.contains("check_"),
            named: &|path| named.contains(&path),
        };
        let (mut head, base) = look(files, &around);
        compare(&mut head.findings, base.findings);
        let blocks = head.findings.iter().filter(|finding| finding.blocks(Mode::New));
        blocks.map(|finding| format!("{} {}:{}", finding.rule, finding.path, finding.line)).collect()
    }

    fn one(path: &str, base: &str, head: &str) -> Vec<String> {
        blocking(&[changed(path, Some(base), Some(head))], &[])
    }

    #[test]
    fn one_mark_more_is_a_finding_and_an_edited_line_is_none() {
        assert_eq!(one("a.py", "x = 1\n", "x = 1  # noqa\n"), ["suppression a.py:1"]);
        assert_eq!(one("a.py", "x = 1  # noqa: E1\n", "y = 2\nx = 3  # noqa: E1\n"), Vec::<String>::new());
        assert_eq!(one("a.py", "x = 1  # noqa: E1\n", "x = 1  # noqa\n"), ["suppression a.py:1"], "widened");
        assert_eq!(one("a.py", "x = 1  # noqa\n", "x = 1  # noqa: E1\n"), Vec::<String>::new(), "narrowed");
        let both = one("a.py", "x = 1  # noqa\n", "x = 1  # noqa: E1\ny = 1  # noqa: E1\n");
        assert_eq!(both, ["suppression a.py:2"], "narrowed, and one more");
        let copied = one("a.py", "f()  # noqa: E1\n", "f()  # noqa: E1\nf()  # noqa: E1\n");
        assert_eq!(copied, ["suppression a.py:2"]);
    }

    #[test]
    fn moving_code_makes_no_finding() {
        let text = "x = 1  # noqa\ndef test_a():\n    assert x\n";
        let moved = [changed("a.py", Some(text), None), changed("b.py", None, Some(text))];
        assert_eq!(blocking(&moved, &[]), Vec::<String>::new());
    }

    #[test]
    fn tests_that_are_gone_or_empty() {
        let two = "def test_a():\n    assert 1 == x\n\ndef test_b():\n    assert 2 == x\n";
        let one_left = "def test_a():\n    assert 1 == x\n";
        assert_eq!(one("t/test_x.py", two, one_left), ["removed-test t/test_x.py:0"]);
        assert_eq!(
            one("t/test_x.py", two, &two.replace("test_b", "test_c")),
            Vec::<String>::new(),
            "renamed"
        );
        assert_eq!(blocking(&[changed("t/test_x.py", Some(two), None)], &[]), ["removed-test t/test_x.py:0"]);
        assert_eq!(
            one("t/test_x.py", two, &two.replace("assert 2 == x", "pass")),
            ["emptied-test t/test_x.py:4"]
        );
        let helper = "def check_it(x):\n    assert x == 1\n\n\ndef test_a():\n    check_it(f())\n";
        for now in ["pass", "\"\"\"Nothing.\"\"\"", "return True"] {
            let emptied = one("t/help.py", helper, &helper.replace("assert x == 1", now));
            assert_eq!(emptied, ["emptied-test t/help.py:1"], "{now}");
        }
        let moved =
            helper.replace("assert x == 1", "return x == 1").replace("    check_it", "    assert check_it");
        assert_eq!(
            one("t/help.py", helper, &moved),
            Vec::<String>::new(),
            "it answers, and its caller asserts"
        );
        let weak = one("t/test_x.py", two, &two.replace("assert 2 == x", "assert True"));
        assert_eq!(weak, ["empty-assertion t/test_x.py:5"]);
    }

    #[test]
    fn settings_and_files_in_the_way() {
        assert_eq!(one("mypy.ini", "strict = true\n", "strict = false\n"), ["tool-settings mypy.ini:0"]);
        let new = |path: &str, text: &str| blocking(&[changed(path, None, Some(text))], &[]);
        assert_eq!(new("ruff.toml", "select = []\n"), ["tool-settings ruff.toml:0"]);
        assert_eq!(new("pyproject.toml", "[project]\nname = 'x'\n"), Vec::<String>::new());
        assert_eq!(new("pyproject.toml", "[tool.ruff]\nselect = []\n"), ["tool-settings pyproject.toml:0"]);
        assert_eq!(new("sitecustomize.py", ""), ["shadow sitecustomize.py:0"]);
        assert_eq!(one("sitecustomize.py", "a = 1\n", "a = 2\n"), Vec::<String>::new(), "it was there");
        assert_eq!(
            blocking(&[changed("mypy.ini", Some("a"), None)], &[]),
            ["tool-settings mypy.ini:0"],
            "deleted"
        );
    }

    #[test]
    fn a_file_that_takes_another_place_is_judged_by_that_place() {
        let moved = |from: &str, to: &str, text: &str| {
            let text = Some(text.as_bytes().to_vec());
            let file = Changed { base: text.clone(), head: text, ..changed(to, None, None) };
            blocking(&[Changed { old_path: from.into(), ..file }], &[])
        };
        assert_eq!(moved("docs/r.txt", "ruff.toml", "select = []\n"), ["tool-settings ruff.toml:0"]);
        assert_eq!(moved("docs/ruff.toml", "ruff.toml", "select = []\n"), ["tool-settings ruff.toml:0"]);
        assert_eq!(moved("ruff.toml", "old.txt", "select = ['ALL']\n"), ["tool-settings old.txt:0"]);
        assert_eq!(moved("a/pyproject.toml", "b/pyproject.toml", "[project]\n"), Vec::<String>::new());
        assert_eq!(moved("help.py", "tests/json.py", "x = 1\n"), ["shadow tests/json.py:0"]);
        let test = "def test_a():\n    assert 1 == x\n";
        assert_eq!(moved("t/test_x.py", "t/cases.py", test), ["removed-test t/cases.py:0"]);
        assert_eq!(moved("t/test_x.py", "build/test_x.py", test), ["removed-test build/test_x.py:0"]);
        assert_eq!(moved("t/check_x.py", "t/cases.py", test), ["removed-test t/cases.py:0"], "configured");
        assert_eq!(moved("t/test_x.py", "t/test_y.py", test), Vec::<String>::new());
        assert_eq!(moved("t/cases_x.py", "t/cases_y.py", test), Vec::<String>::new(), "somebody's own names");
    }

    #[test]
    fn a_source_file_that_cannot_be_read_is_told() {
        let file =
            |path: &str| Changed { unread: Some("it is a link"), ..changed(path, Some("x"), Some("")) };
        assert_eq!(blocking(&[file("a.py")], &[]), ["unread a.py:0"]);
        assert_eq!(blocking(&[file("a.bin")], &[]), Vec::<String>::new());
        assert_eq!(blocking(&[changed("pkg/core.pyi", None, Some(""))], &[]), ["shadow pkg/core.pyi:0"]);
        let moved = |from: &str, to: &str| Changed {
            old_path: from.into(),
            ..changed(to, Some("def f() -> int: ...\n"), Some("def f() -> int: ...\n"))
        };
        let (stub, code) = (moved("old/core.pyi", "pkg/core.pyi"), moved("old/core.py", "pkg/core.py"));
        assert_eq!(blocking(std::slice::from_ref(&stub), &[]), ["shadow pkg/core.pyi:0"], "alone");
        assert_eq!(blocking(&[stub, code], &[]), Vec::<String>::new(), "with its code");
        assert_eq!(blocking(&[changed("pkg/other.pyi", None, Some(""))], &[]), Vec::<String>::new());
    }

    #[test]
    fn a_hook_that_is_edited_is_a_finding() {
        let hook = "def pytest_collection_modifyitems(items):\n    items.sort()\n";
        let edited = one("conftest.py", hook, &hook.replace("items.sort()", "items.clear()"));
        assert_eq!(edited, ["test-hook conftest.py:1"]);
        assert_eq!(one("conftest.py", hook, &format!("import os\n\n\n{hook}")), Vec::<String>::new());
    }

    #[test]
    fn a_new_test_that_is_skipped_hides_nothing_and_one_that_was_there_does() {
        let old = "import sys\nimport pytest\n\ndef test_a():\n    assert 1 == x\n";
        let skipif = "\n\n@pytest.mark.skipif(\n    sys.platform == 'win32', reason='(')\ndef test_new():\n    assert 2 == x\n";
        let within = "\n\ndef test_new():\n    np = pytest.importorskip('numpy')\n    assert np\n";
        let class = "\n\n@pytest.mark.skip\nclass TestNew:\n    @pytest.mark.xfail\n    def test_new(self):\n        assert 2 == x\n";
        let unit = "\n\nclass TestNew(unittest.TestCase):\n    @unittest.skipIf(x, 'y')\n    def test_new(self):\n        self.skipTest('z')\n        assert x\n";
        for more in [skipif, within, class, unit] {
            assert_eq!(one("t/test_x.py", old, &format!("{old}{more}")), Vec::<String>::new(), "{more}");
            let renamed = old.replace("test_a", "test_new").replace("def", "@pytest.mark.skip\ndef");
            assert!(!one("t/test_x.py", old, &renamed).is_empty(), "a new name");
            let gone = format!("import sys\nimport pytest\n\ndef helper(): pass\n{more}");
            assert!(!one("t/test_x.py", old, &gone).is_empty(), "{more}: in the place of another");
            let file = format!("import pytest\npytestmark = pytest.mark.skipif(x, reason='y')\n{more}");
            assert_eq!(blocking(&[changed("t/test_n.py", None, Some(&file))], &[]), Vec::<String>::new());
            let imported = changed("t/test_x.py", Some(old), Some(&format!("{old}import test_n\n")));
            assert!(!blocking(&[changed("t/test_n.py", None, Some(&file)), imported], &[]).is_empty());
            let moved = changed("t/test_x.py", Some(old), None);
            assert!(!blocking(&[changed("t/test_n.py", None, Some(&file)), moved], &[]).is_empty(), "{more}");
        }
    }

    #[test]
    fn what_looks_like_a_new_test_and_skips_another_is_a_finding() {
        let old = "import pytest\n\ndef test_a():\n    assert 1 == x\n\nclass TestB(Base):\n    y = 1\n";
        let skipped = |more: &str| {
            let found = one("t/test_x.py", old, &format!("{old}{more}"));
            assert!(found.iter().any(|found| found.starts_with("skipped-test")), "{more}: {found:?}");
        };
        skipped("\npytestmark = pytest.mark.skip\n");
        skipped("\nnp = pytest.importorskip('numpy')\n");
        skipped("\n@pytest.fixture(autouse=True)\ndef test_new():\n    pytest.skip('a')\n");
        skipped("\n    @pytest.mark.skip\n    def test_inherited(self):\n        pass\n");
        skipped(
            "\ndef test_new(request):\n    for i in request.session.items: i.add_marker(pytest.mark.skip)\n",
        );
        skipped("\ndef test_new():\n    pytest.skip('a')\n\ndef helper(): test_new()\n");
        skipped("\ndef test_new():\n    pytest.exit('a')\n");
        skipped("\ndef quick():\n    pytest.skip('a')\n");
        skipped("from more import *\n@pytest.mark.skip\ndef test_new():\n    assert x\n");
        let hook = "import pytest\n\n@pytest.fixture(autouse=True)\ndef quick():\n    pytest.skip('a')\n";
        assert!(!blocking(&[changed("t/conftest.py", None, Some(hook))], &[]).is_empty());
        let marks = "import pytest\ndef test_n(request):\n    request.session.items[0].own_markers.append(pytest.mark.skip)\n";
        assert_eq!(
            blocking(&[changed("t/test_n.py", None, Some(marks))], &[]),
            ["skipped-test t/test_n.py:3"]
        );
    }

    #[test]
    fn what_is_forgiven_is_no_reason_to_pass_a_lost_test_by() {
        let old = "import pytest\ndef test_a():\n    assert x\n";
        let new = format!("{old}\n@pytest.mark.skip\ndef test_new():\n    assert x\n");
        let written = Versions::of("t/test_x.py", old.as_bytes(), new.as_bytes()).written("test_a");
        assert!(written.is_known() && !written.is_gone());
        let marked = new.replace("def test_a", "@pytest.mark.skip\ndef test_a");
        assert!(Versions::of("t/test_x.py", old.as_bytes(), marked.as_bytes()).written("test_a").is_gone());
    }

    #[test]
    fn stricter_settings_are_free() {
        let ruff = "line-length = 120\n[lint]\nselect = ['E']\n";
        assert_eq!(one("ruff.toml", ruff, &ruff.replace("120", "100")), Vec::<String>::new());
        assert_eq!(one("ruff.toml", ruff, &ruff.replace("120", "140")), ["tool-settings ruff.toml:0"]);
    }

    #[test]
    fn what_the_task_names_is_what_it_was_asked_for() {
        let file = [changed("mypy.ini", Some("strict = true\n"), Some("strict = false\n"))];
        assert_eq!(blocking(&file, &["mypy.ini"]), Vec::<String>::new());
    }
}
