//! Conflicts laid out and put together again.

use super::*;
use crate::domain::ids::RunId;
use crate::git::candidate::{Candidate, Request, make};
use crate::git::conflict::{Sides, mark, resolve, unresolved};

fn sides<'a>(f: &'a Fixture, integration: &'a CommitSha, head: &'a CommitSha) -> Sides<'a> {
    Sides { integration, head, tasks_file: TASKS, identity: &f.identity, date: DATE }
}

fn run() -> RunId {
    RunId::parse("01920000-0000-7000-8000-000000000001").unwrap()
}

#[test]
fn both_sides_are_in_one_tree_and_what_is_made_of_it_merges() {
    let f = Fixture::new();
    let base = f.commit(&f.head(), &[("a.txt", Some("one\n")), ("gone.txt", Some("x\n"))]);
    let ours = f.commit(
        &base,
        &[
            ("a.txt", Some("ours\n")),
            ("new.txt", Some("our new\n")),
            ("gone.txt", None),
            ("o.txt", Some("o\n")),
        ],
    );
    let theirs = f.commit(
        &base,
        &[
            ("a.txt", Some("theirs\n")),
            ("new.txt", Some("their new\n")),
            ("gone.txt", Some("changed\n")),
            ("t.txt", Some("t\n")),
            (TASKS, Some("scribbled\n")),
        ],
    );
    let sides = sides(&f, &ours, &theirs);
    let marked = mark(&f.repo, &sides).unwrap();
    assert_eq!(marked.paths, ["a.txt", "gone.txt", "new.txt"]);
    assert_eq!(
        f.show(&marked.commit, "a.txt"),
        "<<<<<<< the integration branch\nours\n=======\ntheirs\n>>>>>>> the task\n"
    );
    assert!(f.show(&marked.commit, "new.txt").contains("our new\n=======\ntheir new\n"));
    assert_eq!(f.show(&marked.commit, "gone.txt"), "changed\n");
    assert_eq!(f.show(&marked.commit, "o.txt") + &f.show(&marked.commit, "t.txt"), "o\nt\n");
    assert_eq!(f.show(&marked.commit, TASKS), f.show(&ours, TASKS), "never the task's");
    assert_eq!(unresolved(&f.repo, &marked.commit, &marked.paths).unwrap(), ["a.txt", "new.txt"]);
    assert_eq!(mark(&f.repo, &sides).unwrap(), marked, "a redo is the same");

    let done = f.commit(&marked.commit, &[("a.txt", Some("both\n")), ("new.txt", Some("both new\n"))]);
    assert_eq!(unresolved(&f.repo, &done, &marked.paths).unwrap(), Vec::<String>::new());
    let head = resolve(&f.repo, &sides, &done, "T001: resolved", &run()).unwrap();
    assert_eq!(f.git(&["log", "-1", "--format=%P", head.as_str()]), format!("{theirs} {ours}"));
    assert_eq!(f.git(&["rev-parse", &crate::git::branch::run_ref(&run())]), head.as_str());
    let (feature, task) = (feature(), task("T001"));
    let request = Request {
        integration: &ours,
        head: &head,
        feature: &feature,
        task: &task,
        attempt: 1,
        title: "one",
        tasks_file: None,
        identity: &f.identity,
        date: DATE,
    };
    let Candidate::Made { commit, .. } = make(&f.repo, &request).unwrap() else { panic!("it merges") };
    assert_eq!(f.show(&commit, "a.txt"), "both\n");
    f.git(&["fsck", "--strict"]);
}

#[test]
fn what_is_no_text_stays_as_the_integration_branch_has_it() {
    let f = Fixture::new();
    let base = f.commit(&f.head(), &[("b.bin", Some("\0base"))]);
    let ours = f.commit(&base, &[("b.bin", Some("\0ours"))]);
    let theirs = f.commit(&base, &[("b.bin", Some("\0theirs"))]);
    let marked = mark(&f.repo, &sides(&f, &ours, &theirs)).unwrap();
    assert_eq!(marked.paths, ["b.bin"], "it is named all the same");
    assert_eq!(f.show(&marked.commit, "b.bin"), "\0ours");
}
