//! Tests that ran at the base, are still written in the candidate, and do not run there.
//!
//! `integrity` reads what is written and starts nothing; here is what only two runs can tell: a test
//! that was taken out of its class, wrapped in an `if`, passed by through a plugin. What is gone from
//! the text, or has a mark to be skipped, is integrity's to say and is left out.

use std::collections::{BTreeMap, BTreeSet};

use super::fingerprint::hash;
use super::integrity::{self, Versions};
use super::parse::{Parsed, Ran};
use crate::domain::gate::{Finding, Fingerprint, Severity};

/// The rule of such a finding.
const RULE: &str = "lost-test";

/// A finding names at most so many tests.
const NAMED_MAX: usize = 8;

/// What is written in both trees.
pub(super) struct Texts<'a> {
    /// The files of the candidate.
    pub(super) files: &'a [String],
    /// A file of the base by the candidate's name for it; nothing where there is none.
    pub(super) base: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// A file of the candidate.
    pub(super) head: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// The candidate's name for a file of the base.
    pub(super) renamed: &'a dyn Fn(&str) -> String,
    /// Whether the candidate changes that file.
    pub(super) changed: &'a dyn Fn(&str) -> bool,
    /// Whether the task names it, or a changed file that decides which tests run.
    pub(super) named: &'a dyn Fn(&str) -> bool,
}

/// Whether a change of this file can make tests vanish that it is worth to run the base for.
pub(super) fn decides(path: &str) -> bool {
    integrity::is_setting(path) || integrity::is_test_file(path)
}

/// The findings of the candidate's run, held against the base's.
pub(super) fn findings(head: &Parsed, base: &Parsed, texts: &Texts<'_>) -> Vec<Finding> {
    if head.ran.is_empty() || head.incomplete.is_some() {
        return Vec::new();
    }
    let now: BTreeMap<(&str, &str), &Ran> =
        head.ran.iter().map(|ran| ((&*ran.path, &*ran.name), ran)).collect();
    let broken: BTreeSet<&str> =
        head.findings.iter().filter(|f| f.rule == "test-error").map(|f| &*f.path).collect();
    let mut search = Search::of(texts);
    let mut lost: BTreeMap<(String, Severity), Vec<(u32, String)>> = BTreeMap::new();
    for was in base.ran.iter().filter(|was| was.times > 0) {
        let path = if was.path.is_empty() { String::new() } else { (texts.renamed)(&was.path) };
        let is = now.get(&(&*path, &*was.name)).copied();
        let is_as_before = is.is_some_and(|is| is.times >= was.times);
        if is_as_before || (!path.is_empty() && broken.contains(&*path)) {
            continue;
        }
        let Some(place) = search.find(&path, was, is) else { continue };
        let severity = severity(&place, texts);
        lost.entry((place.path, severity)).or_default().push((place.line, said(was, is)));
    }
    lost.into_iter().map(|((path, severity), tests)| finding(&path, severity, &tests)).collect()
}

/// The test's name, with what is left of it.
fn said(was: &Ran, is: Option<&Ran>) -> String {
    match is {
        Some(is) if is.times > 0 => format!("{} ({} of {})", was.name, is.times, was.times),
        Some(is) if is.skipped > 0 => format!("{} (skipped)", was.name),
        _ => was.name.clone(),
    }
}

/// Where a test is still written.
struct Place {
    path: String,
    line: u32,
    /// Whether the change is to blame for certain.
    sure: bool,
}

/// Looks for tests in files, each of which is read once: hundreds of tests can be lost together.
struct Search<'a> {
    texts: &'a Texts<'a>,
    files: BTreeSet<&'a str>,
    read: BTreeMap<String, Option<Versions>>,
}

impl<'a> Search<'a> {
    fn of(texts: &'a Texts<'a>) -> Self {
        let files = texts.files.iter().map(String::as_str).collect();
        Self { texts, files, read: BTreeMap::new() }
    }

    /// `None` where its text has gone, which is told by who reads texts, or where nobody can say.
    fn find(&mut self, path: &str, was: &Ran, is: Option<&Ran>) -> Option<Place> {
        if path.is_empty() {
            return self.anywhere(was);
        }
        let written = self.versions(path)?.written(&was.name);
        if written.is_gone() {
            return None;
        }
        // A plugin's own, one that is inherited, or one of a list that is made of other files: who can say.
        let skipped = is.is_some_and(|is| is.times > 0 || is.skipped > 0);
        let sure = written.line > 0 && ((self.texts.changed)(path) || !skipped);
        Some(Place { path: path.to_owned(), line: written.line, sure })
    }

    /// A test whose runner does not say in which file it is.
    fn anywhere(&mut self, was: &Ran) -> Option<Place> {
        let mut found = None;
        for path in self.texts.files.iter().filter(|path| integrity::is_test_file(path)) {
            let Some(versions) = self.versions(path) else { continue };
            let written = versions.written(&was.name);
            if written.is_known() && written.is_gone() {
                return None;
            }
            if written.line > 0 {
                found.get_or_insert(Place { path: path.clone(), line: written.line, sure: true });
            }
        }
        found
    }

    /// Both versions of a file that the candidate has.
    fn versions(&mut self, path: &str) -> Option<&Versions> {
        if !self.read.contains_key(path) {
            let read = self.files.contains(path).then(|| self.texts.versions(path)).flatten();
            self.read.insert(path.to_owned(), read);
        }
        self.read.get(path)?.as_ref()
    }
}

impl Texts<'_> {
    fn versions(&self, path: &str) -> Option<Versions> {
        let head = (self.head)(path)?;
        // A new file has nothing of its own at the base: what is in it came from elsewhere.
        let base = if (self.changed)(path) { (self.base)(path).unwrap_or_default() } else { head.clone() };
        Some(Versions::of(path, &base, &head))
    }
}

fn severity(place: &Place, texts: &Texts<'_>) -> Severity {
    match (place.sure, (texts.named)(&place.path)) {
        (_, true) => Severity::Info,
        (true, false) => Severity::High,
        (false, false) => Severity::Low,
    }
}

fn finding(path: &str, severity: Severity, tests: &[(u32, String)]) -> Finding {
    let names: Vec<&str> = tests.iter().map(|(_, said)| said.as_str()).collect();
    let what = if names.len() == 1 {
        "a test that is written here does".to_owned()
    } else {
        format!("{} tests that are written here do", names.len())
    };
    let more = if names.len() > NAMED_MAX { ", …" } else { "" };
    let first = names[..names.len().min(NAMED_MAX)].join(", ");
    let why = if severity == Severity::Info { " (the task names what decides it)" } else { "" };
    let said = format!("{what} not run any more as at the base: {first}{more}{why}");
    let id = hash(&[RULE, path, &names.join("\n")]);
    let fingerprint = Fingerprint { placed: id.clone(), placeless: id };
    let line = tests.iter().map(|(line, _)| *line).min().unwrap_or(0);
    Finding { fingerprint, ..Finding::code(RULE, path, line, severity, &said) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str =
        "class TestA:\n    def test_a(self):\n        assert x\n\n    def test_b(self):\n        assert x\n";

    fn ran(tests: &[(&str, u32, u32)]) -> Parsed {
        let of = |(name, times, skipped): &(&str, u32, u32)| {
            let (path, name) = name.split_once(' ').unwrap_or(("t/test_x.py", name));
            Ran { path: path.into(), name: name.into(), times: *times, skipped: *skipped }
        };
        Parsed { ran: tests.iter().map(of).collect(), ..Parsed::default() }
    }

    /// `severity path:line message` of what is lost when the file goes from one text to the other.
    fn lost(head: &Parsed, base: &Parsed, texts: (&str, &str), named: bool) -> Vec<String> {
        let bytes = |text: &str| Some(text.as_bytes().to_vec());
        let texts = Texts {
            files: &["t/test_x.py".to_owned()],
            base: &|_| bytes(texts.0),
            head: &|_| bytes(texts.1),
            renamed: &str::to_owned,
            changed: &|_| texts.0 != texts.1,
            named: &|_| named,
        };
        let found = findings(head, base, &texts).into_iter();
        found.map(|f| format!("{} {}:{} {}", f.severity.as_str(), f.path, f.line, f.message)).collect()
    }

    #[test]
    fn a_test_that_is_written_and_does_not_run() {
        let base = ran(&[("test_a", 1, 0), ("test_b", 1, 0)]);
        let head = ran(&[("test_a", 1, 0)]);
        let deleted = TWO.replace("    def test_b", "    if x:\n      def test_b");
        let said =
            "high t/test_x.py:5 a test that is written here does not run any more as at the base: test_b";
        let hidden = lost(&head, &base, (TWO, &deleted), false);
        assert_eq!(hidden, [said.replace(":5", ":6")]);
        assert_eq!(lost(&head, &base, (TWO, TWO), false), [said], "by somebody else's file");
        assert_eq!(lost(&base, &base, (TWO, &deleted), false), Vec::<String>::new());
        let allowed = lost(&head, &base, (TWO, &deleted), true);
        assert!(allowed[0].starts_with("info ") && allowed[0].ends_with("(the task names what decides it)"));
        let all = lost(&ran(&[("t/test_y.py test_y", 1, 0)]), &base, (TWO, TWO), false);
        assert!(
            all[0].ends_with(
                "2 tests that are written here do not run any more as at the base: test_a, test_b"
            )
        );
    }

    #[test]
    fn what_reading_tells_is_not_told_twice() {
        let base = ran(&[("test_a", 1, 0), ("test_b", 1, 0)]);
        let head = ran(&[("test_a", 1, 0)]);
        for text in [
            TWO.split("    def test_b").next().unwrap(),
            &TWO.replace("test_b", "test_c"),
            &TWO.replace("    def test_b", "    @pytest.mark.skip\n    def test_b"),
        ] {
            assert_eq!(lost(&head, &base, (TWO, text), false), Vec::<String>::new(), "{text}");
        }
        let unread = Parsed { incomplete: Some("stopped".into()), ..head };
        assert_eq!(lost(&unread, &base, (TWO, TWO), false), Vec::<String>::new());
        assert_eq!(lost(&Parsed::default(), &base, (TWO, TWO), false), Vec::<String>::new(), "kept long ago");
    }

    /// Go's runner names packages, and no files; a mark in another file excuses nothing.
    #[test]
    fn a_test_of_a_runner_that_names_no_file_is_looked_for_in_all() {
        const GO: &str = "package a\n\nfunc TestA(t *testing.T) {\n\tcheck(t)\n}\n";
        const OTHER: &str = "package a\n\nfunc TestB(t *testing.T) {\n\tcheck(t)\n}\n";
        let ran = |names: &[&str]| Parsed {
            ran: names.iter().map(|name| Ran { name: (*name).into(), times: 1, ..Ran::default() }).collect(),
            ..Parsed::default()
        };
        let with = |head: &str, other: &str, is_new: bool| {
            let text = |path: &str, a: &str, b: &str| match path {
                "a_test.go" => Some(a.as_bytes().to_vec()),
                "b_test.go" => Some(b.as_bytes().to_vec()),
                other => panic!("{other} is no file of tests"),
            };
            let texts = Texts {
                files: &["a.go".to_owned(), "a_test.go".to_owned(), "b_test.go".to_owned()],
                base: &|path| text(path, GO, OTHER).filter(|_| !is_new),
                head: &|path| text(path, head, other),
                renamed: &str::to_owned,
                changed: &|_| true,
                named: &|_| false,
            };
            let found = findings(&ran(&["TestB"]), &ran(&["TestA", "TestB"]), &texts);
            found.iter().map(|f| format!("{}:{}", f.path, f.line)).collect::<Vec<_>>()
        };
        let lost = |head: &str, other: &str| with(head, other, false);
        assert_eq!(lost(GO, OTHER), ["a_test.go:3"]);
        assert_eq!(with(GO, OTHER, true), ["a_test.go:3"], "moved to where it is not run");
        assert_eq!(lost(GO, &OTHER.replace("check(t)", "t.Skip()")), ["a_test.go:3"], "another's mark");
        assert_eq!(lost(&GO.replace("check(t)", "t.Skip()"), OTHER), Vec::<String>::new());
        assert_eq!(lost(OTHER, OTHER), Vec::<String>::new(), "its text is gone");
    }

    #[test]
    fn what_may_have_other_reasons_is_shown() {
        let base = ran(&[("test_a", 3, 0), ("test_b", 1, 0), ("pkg.core.f", 1, 0)]);
        let head = ran(&[("test_a", 2, 0), ("test_b", 0, 1)]);
        let said = "low t/test_x.py:0 3 tests that are written here do not run any more as at the base: \
                    test_a (2 of 3), test_b (skipped), pkg.core.f";
        assert_eq!(lost(&head, &base, (TWO, TWO), false), [said]);
        let changed = format!("{TWO}\nX = [1, 2]\n");
        assert!(lost(&head, &base, (TWO, &changed), false)[0].starts_with("high "), "the file is changed");
    }
}
