//! The tests of a file: their names, and how much each of them asserts.

use std::sync::LazyLock;

use regex::Regex;

use super::lexer::{Language, Line};

/// A test as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    /// Its function's name, or what `it` is told.
    pub(super) name: String,
    /// From 1.
    pub(super) line: u32,
    /// Statements that can make it fail.
    pub(super) assertions: usize,
}

/// What a table of values puts into the title of a test: `%s`, `$name`, `${name}`.
static PLACES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"%[sdifjoOcp#%]|\$\{[^}]*\}|\$[\w.#]+").expect("a test compiles every pattern")
});

impl Test {
    /// Whether a run calls it so: by its name, or by its title with values in it.
    pub(super) fn is_called(&self, name: &str) -> bool {
        if self.name == name {
            return true;
        }
        let parts: Vec<&str> = PLACES.split(&self.name).collect();
        let [first, between @ .., last] = parts.as_slice() else { return false };
        let own = name.strip_prefix(*first).and_then(|own| own.strip_suffix(*last));
        let Some(mut rest) = own else { return false };
        // Values stand between what is written, in its order.
        between.iter().all(|part| match rest.find(*part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    }
}

/// How one language writes tests.
struct Form {
    /// The first or second group is the name. Matched with the code, or with the line as it is written where the
    /// name is a string.
    begins: Regex,
    named_by_string: bool,
    asserts: Regex,
}

impl Form {
    fn new(begins: &str, named_by_string: bool, asserts: &str) -> Self {
        let compiled = |text| Regex::new(text).expect("a test compiles every pattern");
        Self { begins: compiled(begins), named_by_string, asserts: compiled(asserts) }
    }
}

static PYTHON: LazyLock<Form> = LazyLock::new(|| {
    Form::new(
        r"^\s*(?:async\s+)?def\s+(test\w*)\s*\(",
        false,
        // What calls something that checks is believed.
        r"\bassert\b|\bassert_?\w*\s*\(|\.assert\w*\s*\(|\b(raises|warns|fail|deprecated_call)\s*\(|\b_?(check|verify|expect|ensure|compare)\w*\s*\(",
    )
});
static RUST: LazyLock<Form> = LazyLock::new(|| {
    Form::new(
        r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:async\s+)?fn\s+(\w+)",
        false,
        r"\b\w*assert\w*!|\b(panic|unreachable|todo)!|\.(unwrap|expect)\w*\(|\?;|\b_?(check|verify|expect|ensure|compare)\w*\s*[!(]",
    )
});
static SCRIPT: LazyLock<Form> = LazyLock::new(|| {
    Form::new(
        // Also a function behind a table of values, in one line or at its end.
        r#"\b(?:it|test)(?:\.\w+)*\s*\(\s*['"`]([^'"`]*)|(?:\b(?:it|test)(?:\.\w+)*\s*\(\s*\[.*|^\s*)\](?:\s*as const)?\s*\)\s*\(\s*['"`]([^'"`]*).*(?:=>|\bfunction\b)"#,
        true,
        r"\bexpect\w*\s*\(|\bassert\w*\b|\.should\b|\bthrow\b|\b(check|verify|ensure|compare)\w*\s*\(",
    )
});
static GO: LazyLock<Form> = LazyLock::new(|| {
    Form::new(
        r"^func\s+((?:Test|Fuzz|Example|Benchmark)\w*)\s*\(",
        false,
        r"\.(Error|Errorf|Fatal|Fatalf|Fail|FailNow|Run)\s*\(|\b(assert|require|is|check|verify|expect|ensure)\w*[.(]|\bpanic\s*\(",
    )
});

/// Directories that pytest does not look into, besides those that begin with a dot.
const PYTEST_PASSES_BY: &[&str] = &["build", "dist", "node_modules", "venv", "_darcs", "CVS", "{arch}"];

/// Whether the file is called as those are which a runner collects.
pub(super) fn is_collected(path: &str, language: Language) -> bool {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let kind = |name: &'_ str| name.rsplit_once('.').map_or(String::new(), |(_, kind)| kind.to_owned());
    match language {
        Language::Python => {
            let passed_by =
                |part: &str| PYTEST_PASSES_BY.contains(&part) || part.starts_with('.') || kind(part) == "egg";
            let named = stem.starts_with("test_") || stem.ends_with("_test") || stem == "tests";
            named && !directory.split('/').any(passed_by)
        }
        Language::Go => stem.ends_with("_test") && !name.starts_with(['_', '.']),
        Language::Script => matches!(&*kind(stem), "test" | "spec") || path.contains("__tests__/"),
        Language::Rust => true,
    }
}

/// The tests of a file, in its order.
pub(super) fn tests(lines: &[Line], language: Language) -> Vec<Test> {
    let form = match language {
        Language::Python => &*PYTHON,
        Language::Rust => &*RUST,
        Language::Script => &*SCRIPT,
        Language::Go => &*GO,
    };
    let mut found = Vec::new();
    let mut above = Above::default();
    for (at, line) in lines.iter().enumerate() {
        let nested = language == Language::Python && above.is_inside_a_function(line);
        let text = if form.named_by_string { &line.raw } else { &line.code };
        let Some(name) = form.begins.captures(text).and_then(|groups| groups.get(1).or(groups.get(2))) else {
            continue;
        };
        // In a comment, or in the middle of a string, nothing is called.
        let is_called = !form.named_by_string || line.code.contains('(');
        if !is_called || (language == Language::Rust && !has_test_attribute(&lines[..at])) {
            continue;
        }
        if nested {
            // No runner sees it there.
            continue;
        }
        let body = block(&lines[at..], language);
        let assertions =
            reached(body, language).iter().map(|code| form.asserts.find_iter(code).count()).sum();
        let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
        found.push(Test { name: name.as_str().to_owned(), line: number, assertions });
    }
    found
}

/// A function that tests call to check something, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Helper {
    /// Its name and where it stands.
    pub(super) name: String,
    /// From 1.
    pub(super) line: u32,
    /// Whether it can make a test fail.
    pub(super) asserts: bool,
    /// Whether it does nothing at all.
    pub(super) empty: bool,
}

static HELPER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:async\s+)?def\s+(_*(?:assert|check|verify|expect|ensure|compare)\w*)\s*\(")
        .expect("a test compiles every pattern")
});

/// The helpers of a file of Python, in its order.
pub(super) fn helpers(lines: &[Line]) -> Vec<Helper> {
    let nothing = |code: &str| {
        let code = code.replace(['"', '\''], "");
        matches!(code.trim(), "" | "pass" | "..." | "return" | "return None" | "return True")
    };
    let found = lines.iter().enumerate().filter_map(|(at, line)| {
        let name = HELPER.captures(&line.code)?.get(1)?.as_str().to_owned();
        let body = &indented(&lines[at..])[1..];
        // `def check(x): pass`, and a signature over several lines.
        let signed = line.code.trim_end().ends_with(':') || !line.code.contains(':');
        let asserts = body.iter().any(|line| PYTHON.asserts.is_match(&line.code));
        let empty = if signed {
            !body.is_empty() && body.iter().all(|line| nothing(&line.code))
        } else {
            line.code.rsplit_once(':').is_some_and(|(_, rest)| nothing(rest))
                && body.iter().all(|line| nothing(&line.code))
        };
        Some(Helper { name, line: u32::try_from(at + 1).unwrap_or(u32::MAX), asserts, empty })
    });
    found.collect()
}

/// What each line stands inside of, by indentation.
#[derive(Default)]
pub(super) struct Above {
    /// How far each of the lines above that it belongs to is indented, and whether it is a function's.
    lines: Vec<(usize, bool)>,
    functions: usize,
}

impl Above {
    /// Takes the next line; whether it belongs to a function.
    pub(super) fn is_inside_a_function(&mut self, line: &Line) -> bool {
        let code = line.code.trim_start();
        if code.is_empty() || code.starts_with([')', ']', '}']) {
            return self.functions > 0;
        }
        let own = margin(line);
        while self.lines.last().is_some_and(|(margin, _)| *margin >= own) {
            self.functions -= usize::from(self.lines.pop().is_some_and(|(_, function)| function));
        }
        let inside = self.functions > 0;
        let function = code.starts_with("def ") || code.starts_with("async def ");
        self.functions += usize::from(function);
        self.lines.push((own, function));
        inside
    }
}

/// At most so many lines before a function may be its attributes and its documentation.
const ATTRIBUTES_MAX: usize = 30;

fn has_test_attribute(before: &[Line]) -> bool {
    let own = before.iter().rev().take(ATTRIBUTES_MAX).take_while(|line| {
        let code = line.code.trim();
        code.is_empty() || code.starts_with('#') || code.starts_with(')') || code.ends_with(',')
    });
    own.into_iter().any(|line| line.code.trim_start().starts_with("#[") && line.code.contains("test"))
}

/// The function that begins in the first of the lines.
pub(super) fn block(lines: &[Line], language: Language) -> &[Line] {
    match language {
        Language::Python => indented(lines),
        Language::Rust | Language::Go | Language::Script => enclosed(lines),
    }
}

/// Leaves at once, with nothing in its hands: where the body begins, or in front of more in a line.
static LEAVES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[{:])\s*return\s*;").expect("a test compiles every pattern"));

/// Never true, as everybody can read. Python's are told where they stand.
static NEVER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\bif\s*\(?\s*(?:false|0|!\s*true|\d+\s*[<>]=?\s*\d+|\d+\s*={2,3}\s*\d+)\s*[){]")
        .expect("a test compiles every pattern")
});

/// The code of a function that can be reached: up to where it always returns, without what stands under a
/// condition that is never true. A `return` at the depth of the whole body is under no condition.
fn reached(body: &[Line], language: Language) -> Vec<&str> {
    let written = || body.iter().enumerate().filter(|(_, line)| !line.code.trim().is_empty());
    let first = body.first().map_or(0, margin);
    let own = written().skip(1).map(|(_, line)| margin(line)).filter(|depth| *depth > first).min();
    let (mut found, mut never) = (Vec::new(), None);
    for (at, line) in written() {
        if never.is_some_and(|depth| margin(line) > depth) {
            continue;
        }
        never = (language != Language::Python && NEVER.is_match(&line.code)).then(|| margin(line));
        if never.is_some() {
            continue;
        }
        let is_own = at == 0 || Some(margin(line)) == own;
        let leaves = LEAVES.find(&line.code).filter(|leaves| at == 0 || (is_own && leaves.start() == 0));
        found.push(leaves.map_or(&*line.code, |leaves| &line.code[..leaves.start()]));
        if leaves.is_some() || (at > 0 && is_own && returns(line)) {
            break;
        }
    }
    found
}

fn returns(line: &Line) -> bool {
    let after = line.code.trim_start().strip_prefix("return");
    after.is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// How far a line is indented.
pub(super) fn margin(line: &Line) -> usize {
    line.code.len() - line.code.trim_start().len()
}

/// A function's lines below the first, by their indentation; what stands in that line counts too.
fn indented(lines: &[Line]) -> &[Line] {
    let own = margin(&lines[0]);
    let ends = |line: &Line| {
        let code = line.code.trim();
        // A signature over several lines ends at the function's own depth.
        !code.is_empty() && margin(line) <= own && !code.starts_with(')')
    };
    let length = lines[1..].iter().position(ends).map_or(lines.len(), |length| length + 1);
    &lines[..length]
}

/// From a line that opens braces or parentheses to the one that closes the last of them.
fn enclosed(lines: &[Line]) -> &[Line] {
    let (mut depth, mut opened) = (0_i64, false);
    for (at, line) in lines.iter().enumerate() {
        for c in line.code.chars() {
            match c {
                '{' | '(' => {
                    depth += 1;
                    opened |= c == '{';
                }
                '}' | ')' => depth -= 1,
                _ => {}
            }
        }
        if opened && depth <= 0 {
            return &lines[..=at];
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::lexer::lines;
    use super::*;

    fn found(language: Language, text: &str) -> Vec<String> {
        tests(&lines(text, language), language)
            .iter()
            .map(|test| format!("{} {} {}", test.line, test.name, test.assertions))
            .collect()
    }

    #[test]
    fn python_tests() {
        let text = "def helper(): assert 1\ndef test_a():\n    x = 1\n    assert x == 1\n\n    # assert no\n    assert x, 'assert'\n\
            class TestB:\n    async def test_b(self,\n                     x):\n        with pytest.raises(E):\n            f()\n\
            \x20   def test_c(self): pass\n    def test_d(self):\n        check_all(1)\n";
        assert_eq!(found(Language::Python, text), ["2 test_a 2", "9 test_b 1", "13 test_c 0", "14 test_d 1"]);
    }

    #[test]
    fn a_test_in_a_function_is_none() {
        let text = "def outer():\n    x = 1\n    def test_a():\n        assert x\n\n    class TestB:\n        def test_b(self):\n            assert 1\n\
            class TestC:\n    def test_c(self, x=(\n            1)):\n        assert x\n    if y:\n        def test_d(self):\n            assert x\n";
        assert_eq!(found(Language::Python, text), ["10 test_c 1", "14 test_d 1"]);
    }

    #[test]
    fn a_test_with_a_table_of_values_is_known_by_its_title() {
        let one = "it.each([[1, 2], [3, 4]])('adds %i to $b', (a, b) => {\n  expect(a).toBe(b)\n})\n";
        let over_lines = format!("test.each([\n  [1, 2],\n] as const)({}", one.split_once(")(").unwrap().1);
        assert_eq!(found(Language::Script, one), ["1 adds %i to $b 1"]);
        assert_eq!(found(Language::Script, &over_lines), ["3 adds %i to $b 1"]);
        let test = &tests(&lines(one, Language::Script), Language::Script)[0];
        assert!(test.is_called("adds 1 to 2") && test.is_called("adds %i to $b"));
        assert!(!test.is_called("adds 1") && !test.is_called("then adds 1 to 2"));
        let plain = Test { name: "adds".into(), ..test.clone() };
        assert!(plain.is_called("adds") && !plain.is_called("adds 1"));
    }

    #[test]
    fn what_stands_under_what_is_never_true_asserts_nothing() {
        let script = |code: &str| found(Language::Script, &format!("it('a', () => {{\n  {code}\n}})\n"));
        for code in ["if (1 > 2) expect(x)", "if (false) {\n    expect(x)\n  }", "if (!true) expect(x)"] {
            assert_eq!(script(code), ["1 a 0"], "{code}");
        }
        assert_eq!(script("if (false) {\n    expect(x)\n  }\n  expect(y)"), ["1 a 1"]);
        assert_eq!(script("if (x > 2) expect(x)"), ["1 a 1"]);
        assert_eq!(script("if (false || x) expect(x)"), ["1 a 1"]);
    }

    #[test]
    fn what_stands_behind_a_return_asserts_nothing() {
        let text = "def test_a():\n    return\n    assert x\ndef test_b():\n    if y:\n        return\n    assert x\n\
            def test_c():\n    return check_all(x)\n";
        assert_eq!(found(Language::Python, text), ["1 test_a 0", "4 test_b 1", "8 test_c 1"]);
        for text in ["it('a', () => { return; expect(x) })\n", "it('a', () => { return;\n  expect(x)\n})\n"] {
            assert_eq!(found(Language::Script, text), ["1 a 0"], "{text}");
        }
        assert_eq!(found(Language::Script, "it('a', () => {\n  return expect(x)\n})\n"), ["1 a 1"]);
        assert_eq!(
            found(Language::Script, "it('a', () => {\n  if (y) { return; }\n  expect(x)\n})\n"),
            ["1 a 1"]
        );
        let text = "#[test]\nfn a() {\n    return;\n    assert!(x);\n}\n";
        assert_eq!(found(Language::Rust, text), ["2 a 0"]);
        assert_eq!(found(Language::Script, "it('a', () => {\n  return\n  expect(x)\n})\n"), ["1 a 0"]);
    }

    #[test]
    fn tests_of_other_languages() {
        let text = "fn helper() { assert!(x) }\n#[test]\nfn a() {\n    assert_eq!(1, x);\n}\n#[tokio::test]\n#[cfg(unix)]\nasync fn b() {}\n";
        assert_eq!(found(Language::Rust, text), ["3 a 1", "8 b 0"]);
        let text = "it('adds', () => {\n  expect(1).toBe(x)\n})\ntest.each([1])(\"each\", f)\n// it('no')\ntest('none', () => {})\n";
        assert_eq!(found(Language::Script, text), ["1 adds 1", "6 none 0"]);
        let text = "func TestA(t *testing.T) {\n\tif x { t.Fatal(1) }\n}\nfunc helper() {}\nfunc TestB(t *testing.T) {}\n";
        assert_eq!(found(Language::Go, text), ["1 TestA 1", "5 TestB 0"]);
    }
}
