//! Tests that are skipped from the day they were written: a mark on what is new hides nothing that ran
//! before. Python alone; where it is not certain that all is new, a mark stays a finding. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::lexer::{Language, Line};
use super::marks::Mark;
use super::suites::{Above, block, margin};
use super::{Sides, is_test_file};

/// A decorator has at most so many lines.
const DECORATORS_MAX: usize = 50;

fn compiled(text: &str) -> Regex {
    Regex::new(text).expect("a test uses every pattern")
}

static DEFINES: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)"));
/// A class that takes no tests over from another, which a new one could replace.
static PLAIN_CLASS: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"^\s*class\s+\w+\s*(\(\s*((unittest\.)?TestCase|object)?\s*\))?\s*:"));
/// Decorators that make nothing else of a test, as `fixture` would.
static DECORATOR: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"^\s*@((pytest\.)?mark\.(skip|skipif|xfail|parametrize)|(unittest\.)?(skip|skipIf|skipUnless|expectedFailure))\b",
    )
});
/// Marks as they stand above a test.
static ABOVE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"^mark\.(skip|skipif|xfail)$|^@(unittest\.)?(skip|skipIf|skipUnless|expectedFailure)$")
});
/// Marks as they stand in a test, which end nothing but it.
static WITHIN: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"^pytest\.(skip|xfail|importorskip)\s*\($|^\.skipTest\s*\($"));

/// Takes the marks of new tests away from what the change is to answer for; none if the base has a test, or
/// what else a test file defines, that is not where it was: it could have got a new name.
pub(super) fn forgive(read: &mut [Sides<'_>]) {
    let may = |file: &Sides<'_>| file.head.marks.iter().any(is_forgivable);
    if !read.iter().any(may) || read.iter().any(has_lost) {
        return;
    }
    let found: Vec<Vec<Place>> =
        read.iter().map(|file| if may(file) { places(file) } else { Vec::new() }).collect();
    let told = words(read, found.iter().flatten().map(|place| place.name.as_str()).collect());
    for (file, places) in read.iter_mut().zip(found) {
        // What others call, they skip with it.
        let own: Vec<Place> = places.into_iter().filter(|place| told[&place.name] <= place.times).collect();
        file.head.marks.retain(|mark| !own.iter().any(|place| place.has(mark)));
    }
}

fn is_forgivable(mark: &Mark) -> bool {
    mark.rule == "skipped-test" && (ABOVE.is_match(&mark.text) || WITHIN.is_match(&mark.text))
}

/// Where marks are those of something new.
struct Place {
    /// What it is called, and how often that word may stand in the change.
    name: String,
    times: usize,
    /// From 0: the lines where a mark may stand as it does above a test, and as in one.
    above: BTreeSet<usize>,
    within: Range<usize>,
}

impl Place {
    fn has(&self, mark: &Mark) -> bool {
        let at = (mark.line as usize).saturating_sub(1);
        is_forgivable(mark)
            && ((ABOVE.is_match(&mark.text) && self.above.contains(&at))
                || (WITHIN.is_match(&mark.text) && self.within.contains(&at)))
    }
}

fn counted<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counted = BTreeMap::new();
    names.for_each(|name| *counted.entry(name).or_default() += 1);
    counted
}

fn defined(lines: &[Line]) -> impl Iterator<Item = &str> {
    lines.iter().filter_map(|line| Some(DEFINES.captures(&line.code)?.get(1)?.as_str()))
}

/// Whether a file of tests had something that it has no more.
fn has_lost(file: &Sides<'_>) -> bool {
    let is_conftest = file.file.old_path.rsplit('/').next() == Some("conftest.py");
    if !(file.collected.0 || is_conftest || !file.base.tests.is_empty()) {
        return false;
    }
    let fewer = |was: BTreeMap<&str, usize>, is: BTreeMap<&str, usize>| {
        was.iter().any(|(name, times)| is.get(name).copied().unwrap_or_default() < *times)
    };
    let tests = |side: &super::Content| side.tests.iter().map(|test| test.name.clone()).collect::<Vec<_>>();
    let (was, is) = (tests(&file.base), tests(&file.head));
    fewer(counted(was.iter().map(String::as_str)), counted(is.iter().map(String::as_str)))
        || fewer(counted(defined(&file.base.lines)), counted(defined(&file.head.lines)))
}

/// The new tests of a file, the new classes of nothing but new tests, and the file itself if it is new.
fn places(file: &Sides<'_>) -> Vec<Place> {
    let lines = &file.head.lines;
    if Language::of(&file.file.path) != Some(Language::Python) {
        return Vec::new();
    }
    if file.file.base.is_none() {
        return whole(file).into_iter().collect();
    }
    if lines.iter().any(|line| line.code.contains("import *")) {
        // What it brings could be replaced here.
        return Vec::new();
    }
    let known: BTreeSet<&str> = defined(&file.base.lines).collect();
    let classes: Vec<usize> =
        (0..lines.len()).filter(|at| lines[*at].code.trim_start().starts_with("class ")).collect();
    let mut places = Vec::new();
    for test in file.head.tests.iter().filter(|test| !known.contains(&*test.name)) {
        let at = test.line as usize - 1;
        let own = margin(&lines[at]);
        let around = classes.iter().rev().find(|class| **class < at && margin(&lines[**class]) < own);
        let plain = own == 0 || around.is_some_and(|class| PLAIN_CLASS.is_match(&lines[*class].code));
        if let Some(above) = decorators(lines, at).filter(|_| plain) {
            let end = at + block(&lines[at..], Language::Python).len();
            places.push(Place { name: test.name.clone(), times: 1, above, within: at..end });
        }
    }
    for at in classes.into_iter().filter(|at| margin(&lines[*at]) == 0) {
        let Some(name) = defined(&lines[at..=at]).next().filter(|name| !known.contains(name)) else {
            continue;
        };
        let end = at + block(&lines[at..], Language::Python).len();
        let mut own = file.head.tests.iter().filter(|test| (at..end).contains(&(test.line as usize - 1)));
        let new = own.clone().next().is_some() && own.all(|test| !known.contains(&*test.name));
        if let Some(above) = decorators(lines, at).filter(|_| new) {
            places.push(Place { name: name.to_owned(), times: 1, above, within: 0..0 });
        }
    }
    places
}

/// A new file of tests, unless somebody imports it.
fn whole(file: &Sides<'_>) -> Option<Place> {
    let path = &file.file.path;
    let stem = path.rsplit('/').next()?.strip_suffix(".py")?;
    let mut above = Above::default();
    // In a function, a mark could be given to the tests of others.
    let inside: Vec<bool> = file.head.lines.iter().map(|line| above.is_inside_a_function(line)).collect();
    let outside = (0..inside.len()).filter(|at| !inside[*at]).collect();
    let place = Place { name: stem.to_owned(), times: 0, above: outside, within: 0..inside.len() };
    is_test_file(path).then_some(place)
}

/// The lines of the decorators above a function or class; `None` if one of them is not known.
fn decorators(lines: &[Line], at: usize) -> Option<BTreeSet<usize>> {
    let mut found = BTreeSet::new();
    let mut open = 0_usize;
    for up in (0..at).rev().take(DECORATORS_MAX) {
        let code = lines[up].code.trim();
        let count = |signs: [char; 3]| code.chars().filter(|c| signs.contains(c)).count();
        open = (open + count([')', ']', '}'])).saturating_sub(count(['(', '[', '{']));
        let begins = open == 0 && code.starts_with('@');
        if begins && !DECORATOR.is_match(code) {
            return None;
        }
        if open == 0 && !begins && !code.is_empty() {
            return Some(found);
        }
        found.insert(up);
    }
    Some(found)
}

/// How often each of the names stands in the change, in strings and comments too.
fn words(read: &[Sides<'_>], names: BTreeSet<&str>) -> BTreeMap<String, usize> {
    let mut told: BTreeMap<String, usize> = names.into_iter().map(|name| (name.to_owned(), 0)).collect();
    for line in read.iter().flat_map(|file| &file.head.lines) {
        for word in line.raw.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
            if let Some(times) = told.get_mut(word) {
                *times += 1;
            }
        }
    }
    told
}
