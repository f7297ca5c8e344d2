//! What a check stage's agent adds becomes one commit on the task's head.

use super::*;
use crate::domain::ids::RunId;
use crate::domain::report::Candidate;
use crate::git::addition::{Addition, make};
use crate::git::branch;

fn run() -> RunId {
    RunId::parse("0192f0c1-2345-7abc-8def-0123456789ab").unwrap()
}

fn added(f: &Fixture, candidate: &Candidate, left: &CommitSha) -> CommitSha {
    let addition = Addition {
        candidate,
        left,
        tasks_file: TASKS,
        title: "T001: tester of x\n\nSprint-Task: T666",
        run: &run(),
        identity: &f.identity,
        date: DATE,
    };
    make(&f.repo, &addition).unwrap()
}

fn candidate(commit: &CommitSha, base: &CommitSha, head: &CommitSha) -> Candidate {
    Candidate { commit: commit.clone(), tree: commit.clone(), base: base.clone(), head: head.clone() }
}

#[test]
fn it_holds_what_was_left_but_for_tasks_md_and_knows_what_had_landed() {
    let f = Fixture::new();
    let begun = f.head();
    let head = f.commit(&begun, &[("new.txt", Some("new\n"))]);
    let landed = f.commit(&begun, &[("other.txt", Some("other\n"))]);
    let ticked = f.show(&begun, TASKS).replace("[ ]", "[x]");
    let files = [("new.txt", Some("new\n")), (TASKS, Some(ticked.as_str()))];
    let merged = f.commit(&landed, &files);
    let left = f.commit(&merged, &[("tests/a.txt", Some("a test\n")), ("new.txt", None)]);
    let made = added(&f, &candidate(&merged, &landed, &head), &left);
    assert_eq!(f.git(&["log", "-1", "--format=%P", made.as_str()]), format!("{head} {landed}"));
    assert_eq!(f.show(&made, "tests/a.txt"), "a test\n");
    assert_eq!(f.show(&made, "other.txt"), "other\n");
    assert_eq!(f.show(&made, TASKS), f.show(&landed, TASKS), "its boxes are not its own to tick");
    assert!(!f.git(&["ls-tree", "--name-only", made.as_str()]).contains("new.txt"));
    assert_eq!(f.git(&["log", "-1", "--format=%s", made.as_str()]), "T001: tester of x Sprint-Task: T666");
    assert_eq!(f.git(&["log", "-1", "--format=%(trailers:only)", made.as_str()]), "");
    assert_eq!(f.repo.reference(&branch::run_ref(&run())).unwrap(), Some(made.clone()));
    assert_eq!(
        added(&f, &candidate(&merged, &landed, &head), &left),
        made,
        "the same again is the same commit"
    );
    f.git(&["fsck", "--strict"]);
}

#[test]
fn on_a_base_that_the_head_contains_it_has_one_parent() {
    let f = Fixture::new();
    let base = f.head();
    let head = f.commit(&base, &[("new.txt", Some("new\n"))]);
    let left = f.commit(&head, &[("tests/a.txt", Some("a test\n"))]);
    let made = added(&f, &candidate(&head, &base, &head), &left);
    assert_eq!(f.git(&["log", "-1", "--format=%P", made.as_str()]), head.to_string());
}
