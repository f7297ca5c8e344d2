//! Checkouts that are not as a gate expects them: a project that lies deeper, a merge in the middle, a base that
//! has gone on.

use std::fs;

use crate::person::{Person, text};
use crate::{WORDS, repository, run, said};

#[test]
fn where_a_project_lies_deeper_is_said() {
    let person = Person::new();
    let red = "[gates]\npresets = []\n[gate.red]\nstage = \"InTests\"\nmode = \"absolute\"\ncommand = [\"false\"]\n";
    let top = repository(&person, red);
    for place in ["b/deep", "a", "c", "d"] {
        fs::create_dir_all(top.join(place)).unwrap();
        fs::write(top.join(place).join("Cargo.toml"), "").unwrap();
        fs::write(top.join(place).join("lib.rs"), "").unwrap();
    }
    let shown = text(&run(&person, &top, 1, &["gates", "run"]).stdout);
    assert!(
        shown.contains("lies at the top of the repository, but in `a`, `c`, `d` and others: "),
        "{shown}"
    );
    let shown = text(&run(&person, &top, 1, &["gates", "run", "--json"]).stdout);
    assert!(!shown.contains("at the top of the repository"), "{shown}");
    fs::write(top.join("sprint.toml"), "").unwrap();
    let shown = text(&run(&person, &top, 0, &["gates", "list"]).stdout);
    assert!(shown.contains("no: there is no `Cargo.toml`, but in `a`: `general.root`"), "{shown}");
    fs::write(top.join("sprint.toml"), format!("[general]\nroot = \"a\"\n{red}")).unwrap();
    let shown = text(&run(&person, &top, 1, &["gates", "run", "--base", "HEAD"]).stdout);
    assert!(!shown.contains("at the top of the repository"), "{shown}");
    let beyond = "changed, and not looked at by tools that run in `a` (`general.root`): `b/deep/Cargo.toml` and 6 more";
    assert!(shown.contains(beyond), "{shown}");
}

#[test]
fn a_conflict_that_nobody_has_resolved_is_not_judged() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    let commit = |text: &str| {
        fs::write(top.join("a.txt"), text).unwrap();
        person.git(&top, &["commit", "-qam", text.trim()]);
    };
    person.git(&top, &["checkout", "-qb", "other"]);
    commit("theirs\n");
    person.git(&top, &["checkout", "-q", "main"]);
    commit("ours\n");
    let merged = person.command("git", &top).args(["merge", "-q", "other"]).output().unwrap();
    assert!(!merged.status.success(), "{}", said(&merged));
    let shown = said(&run(&person, &top, 4, &["gates", "run"]));
    assert!(shown.contains("`a.txt` has conflicts") && shown.contains("hint: resolve them"), "{shown}");
    run(&person, &top, 0, &["gates", "run", "--head", "HEAD"]);
    fs::write(top.join("a.txt"), "both\n").unwrap();
    run(&person, &top, 0, &["gates", "run"]);
}

#[test]
fn a_base_that_has_gone_on_is_named_with_where_the_branch_left_it() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    person.git(&top, &["checkout", "-qb", "work"]);
    let left = person.git(&top, &["rev-parse", "--short=10", "HEAD"]);
    let compared = |base: &str| {
        let shown = text(&run(&person, &top, 0, &["gates", "run", "--base", base]).stdout);
        shown.lines().next().unwrap().to_owned()
    };
    assert!(!compared("main").contains("gone on"), "{}", compared("main"));
    person.git(&top, &["checkout", "-q", "main"]);
    fs::write(top.join("b.txt"), "more\n").unwrap();
    person.git(&top, &["add", "b.txt"]);
    person.git(&top, &["commit", "-qm", "more"]);
    person.git(&top, &["checkout", "-q", "work"]);
    let (said, left) = (compared("main"), left.trim());
    assert!(said.ends_with(&format!("since {left}, where this branch left it: `--base {left}`")), "{said}");
    assert!(!compared(left).contains("gone on"));
}

#[test]
fn a_report_does_not_replace_what_git_knows() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    let shown = said(&run(&person, &top, 2, &["gates", "run", "--junit", "a.txt"]));
    assert!(shown.contains("`a.txt` is in git and no report"), "{shown}");
    assert_eq!(fs::read_to_string(top.join("a.txt")).unwrap(), "old bad\n");
    run(&person, &top, 0, &["gates", "run", "--junit", "own.xml"]);
    person.git(&top, &["add", "own.xml"]);
    run(&person, &top, 0, &["gates", "run", "--junit", "own.xml"]);
}
