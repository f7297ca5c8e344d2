//! Files that are not what git says they are: those that a filter changes on their way into the checkout, and those
//! that git is told to pass by.

use std::path::{Path, PathBuf};

use crate::environment::{repository, write};
use crate::person::Person;
use crate::{run, said};

const APP: &str =
    "from pathlib import Path\n\n\ndef load(path):\n    return Path(path).read_text().upper()\n";
const TEST: &str = "from app import load\n\n\ndef test_load():\n    assert load(\"x.dat\") == \"HELLO\\n\"\n\n\ndef test_itself():\n    assert load(\"app.py\")\n";
const SOUND: &str = "def add(a, b):\n    return a + b\n";
const BROKEN: &str = "def add(a, b):\n    return a - b\n";
const TEST_ADD: &str = "from app import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n";
const RUN: [&str; 3] = ["gates", "run", "pytest"];

/// As git-lfs does it: what is committed is not what tests read.
fn filtering(person: &Person) {
    for (key, value) in [("clean", "base64"), ("smudge", "base64 -d"), ("required", "true")] {
        person.git(person.home.path(), &["config", "--global", &format!("filter.code.{key}"), value]);
    }
}

fn commit(person: &Person, top: &Path) {
    person.git(top, &["commit", "-qam", "change"]);
}

#[test]
fn a_test_that_reads_what_a_filter_makes_is_judged_everywhere() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    filtering(&person);
    let files = [
        (".gitattributes", "*.dat filter=code\n"),
        ("x.dat", "hello\n"),
        ("app.py", APP),
        ("test_x.py", TEST),
    ];
    let top = repository(&person, &files);
    assert_eq!(person.git(&top, &["show", "HEAD:x.dat"]), "aGVsbG8K\n");
    let [head, staged] =
        [["--head", "HEAD"].as_slice(), &["--staged"]].map(|words| [&RUN[..], words].concat());
    for words in [&RUN[..], &staged, &head] {
        let shown = said(&run(&person, &top, 0, words));
        assert!(!shown.contains("fixed") && !shown.contains("at the base too"), "{words:?}: {shown}");
    }
    write(&top, "app.py", &APP.replace("upper", "lower"));
    let shown = said(&run(&person, &top, 1, &RUN));
    assert!(shown.contains("'hello\\n' == 'HELLO\\n'"), "{shown}");
    commit(&person, &top);
    run(&person, &top, 1, &head);
    let clone = clone_of(&person, &top);
    run(&person, &clone, 1, &[&RUN[..], &["--base", "origin/main"]].concat());

    // The base's file is nowhere: what is red for want of it excuses nothing.
    write(&top, "x.dat", "hallo\n");
    commit(&person, &top);
    let shown = said(&run(&person, &top, 1, &RUN));
    assert!(
        shown.contains("`x.dat` was not as in the checkout, for gates run no filter of git, as `code`"),
        "{shown}"
    );
}

fn clone_of(person: &Person, top: &Path) -> PathBuf {
    let clone = person.path("clone");
    person.git(person.home.path(), &["clone", "-q", top.to_str().unwrap(), clone.to_str().unwrap()]);
    clone
}

#[test]
fn what_git_passes_by_is_judged_as_it_lies_there_and_kept_for_nobody_else() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let top = repository(&person, &[("app.py", SOUND), ("test_x.py", TEST_ADD)]);
    run(&person, &top, 0, &RUN);
    for flag in ["assume-unchanged", "skip-worktree"] {
        person.git(&top, &["update-index", &format!("--{flag}"), "app.py"]);
        write(&top, "app.py", BROKEN);
        run(&person, &top, 1, &RUN);
        assert_eq!(
            person.git(&top, &["status", "--porcelain"]),
            "",
            "the person's own index says what it said"
        );
        person.git(&top, &["update-index", &format!("--no-{flag}"), "app.py"]);
        person.git(&top, &["checkout", "-q", "app.py"]);
    }
    write(&top, "app.py", BROKEN);
    commit(&person, &top);
    person.git(&top, &["update-index", "--skip-worktree", "app.py"]);
    write(&top, "app.py", SOUND);
    run(&person, &top, 0, &RUN);
    run(&person, &clone_of(&person, &top), 1, &[&RUN[..], &["--base", "origin/main"]].concat());
}

#[test]
fn a_run_on_filtered_files_is_kept_for_no_other_checkout() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let top = repository(&person, &[("app.py", SOUND), ("test_x.py", TEST_ADD)]);
    // What is committed is broken, and what lies there is not.
    for (key, value) in [("clean", "sed 's/a + b/a - b/'"), ("smudge", "cat")] {
        person.git(&top, &["config", &format!("filter.lossy.{key}"), value]);
    }
    write(&top, ".gitattributes", "app.py filter=lossy\n");
    person.git(&top, &["add", "--all"]);
    person.git(&top, &["add", "--renormalize", "."]);
    commit(&person, &top);
    assert!(person.git(&top, &["show", "HEAD:app.py"]).contains("a - b"));
    run(&person, &top, 0, &RUN);
    run(&person, &clone_of(&person, &top), 1, &[&RUN[..], &["--base", "origin/main"]].concat());
}
