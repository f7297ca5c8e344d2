//! Candidates: what merges, what conflicts, what never does, and how long it takes.

use std::time::Instant;

use super::*;
use crate::git::candidate::{Candidate, Request, make, one_line};
use crate::git::landing::{Move, anchor_candidate, create_branch, move_ref};

fn tick(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.contains("- [ ] T001").then(|| text.replace("- [ ] T001", "- [x] T001").into_bytes())
}

fn ask(fixture: &Fixture, integration: &CommitSha, head: &CommitSha, title: &str) -> Candidate {
    let (feature, task) = (feature(), task("T001"));
    let request = Request {
        integration,
        head,
        feature: &feature,
        task: &task,
        attempt: 2,
        title,
        tasks_file: Some((TASKS, &tick)),
        identity: &fixture.identity,
        date: DATE,
    };
    make(&fixture.repo, &request).unwrap()
}

fn made(candidate: Candidate) -> CommitSha {
    match candidate {
        Candidate::Made { commit, .. } => commit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_candidate_has_both_parents_its_box_ticked_and_trailers() {
    let f = Fixture::new();
    let base = f.head();
    let head = f.commit(&base, &[("new.txt", Some("new\n"))]);
    let Candidate::Made { commit, tree } = ask(&f, &base, &head, "one") else { panic!() };
    assert_eq!(f.git(&["log", "-1", "--format=%P", commit.as_str()]), format!("{base} {head}"));
    assert_eq!(f.git(&["log", "-1", "--format=%T", commit.as_str()]), tree.as_str());
    assert_eq!(
        f.git(&["log", "-1", "--format=%an <%ae> %at %ct", commit.as_str()]),
        "Ann Lee <ann@example.org> 1700000000 1700000000"
    );
    let trailers = f.git(&["log", "-1", "--format=%(trailers:only)", commit.as_str()]);
    assert_eq!(trailers.trim(), "Sprint-Task: T001\nSprint-Feature: 001-thing\nSprint-Attempt: 2");
    let before = f.show(&base, TASKS);
    assert_eq!(f.show(&commit, TASKS), before.replace("[ ] T001", "[x] T001"));
    assert_eq!(f.show(&commit, "new.txt"), "new\n");
    f.git(&["fsck", "--strict"]);
}

#[test]
fn the_same_request_gives_the_same_commit() {
    let f = Fixture::new();
    let base = f.head();
    let head = f.commit(&base, &[("new.txt", Some("new\n"))]);
    assert_eq!(made(ask(&f, &base, &head, "one")), made(ask(&f, &base, &head, "one")));
}

#[test]
fn disjoint_and_adjacent_changes_merge_as_git_merges_them() {
    let f = Fixture::new();
    let base = f.head();
    let a = lines("a", 20);
    let ours = f.commit(
        &base,
        &[("a.txt", Some(&with_line(&a, 2, "ours"))), ("b.txt", None), ("x/y.txt", Some("y"))],
    );
    let theirs = f.commit(
        &base,
        &[("a.txt", Some(&with_line(&a, 15, "theirs"))), ("dir/c.txt", None), ("x/z.txt", Some("z"))],
    );
    let commit = made(ask(&f, &ours, &theirs, "one"));
    let plain = f.git(&["merge-tree", "--write-tree", ours.as_str(), theirs.as_str()]);
    let differing = f.git(&["diff-tree", "-r", "--name-only", &plain, commit.as_str()]);
    assert_eq!(differing, TASKS);
    assert!(f.show(&commit, "a.txt").contains("ours") && f.show(&commit, "a.txt").contains("theirs"));
}

#[test]
fn a_textual_conflict_names_its_paths() {
    let f = Fixture::new();
    let base = f.head();
    let a = lines("a", 20);
    let ours = f.commit(&base, &[("a.txt", Some(&with_line(&a, 2, "ours")))]);
    let theirs = f.commit(&base, &[("a.txt", Some(&with_line(&a, 2, "theirs")))]);
    let Candidate::Conflict { paths, details } = ask(&f, &ours, &theirs, "one") else { panic!() };
    assert_eq!(paths, ["a.txt"]);
    assert!(details.contains("CONFLICT (content)"), "{details}");
}

#[test]
fn tasks_md_never_conflicts_whatever_the_agent_does_with_it() {
    let f = Fixture::new();
    let base = f.head();
    let landed = f.show(&base, TASKS).replace("[ ] T002", "[x] T002");
    let ours = f.commit(&base, &[(TASKS, Some(&landed))]);
    for edit in [Some("rewritten\n"), Some("- [x] T001 one\n- [ ] T002 two\n"), None] {
        let theirs = f.commit(&base, &[(TASKS, edit), ("new.txt", Some("new\n"))]);
        let commit = made(ask(&f, &ours, &theirs, "one"));
        assert_eq!(f.show(&commit, TASKS), landed.replace("[ ] T001", "[x] T001"), "{edit:?}");
        assert_eq!(f.show(&commit, "new.txt"), "new\n");
    }
    // A file where the directory was, and the real merge on top of it.
    let a = lines("a", 20);
    let ours = f.commit(&ours, &[("a.txt", Some(&with_line(&a, 2, "ours")))]);
    let theirs = f.commit(
        &base,
        &[
            ("specs/001-thing", None),
            ("specs/001-thing", Some("gone\n")),
            ("a.txt", Some(&with_line(&a, 15, "t"))),
        ],
    );
    let commit = made(ask(&f, &ours, &theirs, "one"));
    assert_eq!(f.show(&commit, TASKS), landed.replace("[ ] T001", "[x] T001"));
}

#[test]
fn only_a_tick_is_no_change() {
    let f = Fixture::new();
    let base = f.head();
    let ticked = f.show(&base, TASKS).replace("[ ] T001", "[x] T001");
    let head = f.commit(&base, &[(TASKS, Some(&ticked))]);
    assert_eq!(ask(&f, &base, &head, "one"), Candidate::NoChange);
    assert_eq!(ask(&f, &base, &base, "one"), Candidate::NoChange);
}

#[test]
fn a_rename_meets_an_edit_of_the_old_name() {
    let f = Fixture::new();
    let base = f.head();
    let a = lines("a", 20);
    let ours = f.commit(&base, &[("a.txt", None), ("moved.txt", Some(&a))]);
    let theirs = f.commit(&base, &[("a.txt", Some(&with_line(&a, 2, "theirs")))]);
    let commit = made(ask(&f, &ours, &theirs, "one"));
    assert_eq!(f.show(&commit, "moved.txt"), with_line(&a, 2, "theirs"));
    assert_eq!(f.show(&commit, "a.txt"), "");
}

#[test]
fn one_file_renamed_to_two_names_is_a_conflict() {
    let f = Fixture::new();
    let base = f.head();
    let a = lines("a", 20);
    let ours = f.commit(&base, &[("a.txt", None), ("one.txt", Some(&a))]);
    let theirs = f.commit(&base, &[("a.txt", None), ("two.txt", Some(&a))]);
    assert!(matches!(ask(&f, &ours, &theirs, "one"), Candidate::Conflict { .. }));
}

#[test]
fn a_file_into_a_renamed_directory_and_file_against_directory_are_left_to_git() {
    let f = Fixture::new();
    let base = f.head();
    let c = lines("c", 20);
    let ours = f.commit(&base, &[("dir", None), ("folder/c.txt", Some(&c))]);
    let theirs = f.commit(&base, &[("dir/new.txt", Some("new\n"))]);
    assert!(matches!(ask(&f, &ours, &theirs, "one"), Candidate::Conflict { .. }));
    let ours = f.commit(&base, &[("thing", Some("file\n"))]);
    let theirs = f.commit(&base, &[("thing/inner.txt", Some("inner\n"))]);
    let Candidate::Conflict { paths, .. } = ask(&f, &ours, &theirs, "one") else { panic!() };
    assert!(paths.iter().any(|p| p.starts_with("thing")), "{paths:?}");
}

#[test]
fn modes_links_and_line_ends_survive() {
    let f = Fixture::new();
    let base = f.head();
    let pool = f.pool();
    let got =
        pool.acquire(&task_owner("T001"), &base, Some("sprint-task/001-thing/T001/1"), &f.author()).unwrap();
    let root = &got.worktree.path;
    write(root, "crlf.txt", "one\r\ntwo\r\n");
    write(root, "run.sh", "#!/bin/sh\n");
    std::os::unix::fs::symlink("a.txt", root.join("link")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(root.join("run.sh"), mode).unwrap();
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "work"]);
    let ours = f.commit(&base, &[("b.txt", Some("ours\n"))]);
    let commit = made(ask(&f, &ours, &got.worktree.head().unwrap(), "one"));
    assert_eq!(f.show(&commit, "crlf.txt"), "one\r\ntwo\r\n");
    let listed = f.git(&["ls-tree", commit.as_str(), "run.sh", "link"]);
    assert!(listed.contains("120000 blob") && listed.contains("100755 blob"), "{listed}");
    let gate = pool.acquire(&gate_owner("reviewer"), &commit, None, &f.author()).unwrap().worktree;
    assert_eq!(fs::read_link(gate.path.join("link")).unwrap(), Path::new("a.txt"));
    assert_eq!(fs::read(gate.path.join("crlf.txt")).unwrap(), b"one\r\ntwo\r\n");
    assert_eq!(gate.tracked_changes().unwrap(), [""; 0]);
}

#[test]
fn a_title_is_one_line_and_adds_no_trailer() {
    let f = Fixture::new();
    let base = f.head();
    let head = f.commit(&base, &[("new.txt", Some("new\n"))]);
    let title = "x\n\nSprint-Task: T666\r\u{2028}\u{202e}$(touch /tmp/canary)\0 #(cmd)\u{1b}[31m 🙂";
    let commit = made(ask(&f, &base, &head, title));
    let subject = f.git(&["log", "-1", "--format=%s", commit.as_str()]);
    assert_eq!(subject, "T001: x Sprint-Task: T666 $(touch /tmp/canary) #(cmd) [31m 🙂");
    let trailers = f.git(&["log", "-1", "--format=%(trailers:only)", commit.as_str()]);
    assert!(!trailers.contains("T666"), "{trailers}");
    assert_eq!(one_line(&"é".repeat(10_000)).chars().count(), 200);
    assert_eq!(one_line("  --option\t"), "--option");
}

#[test]
fn two_merge_bases_leave_the_merge_to_git() {
    let f = Fixture::new();
    let base = f.head();
    let ours = f.commit(&base, &[("o.txt", Some("o\n"))]);
    let theirs = f.commit(&base, &[("t.txt", Some("t\n"))]);
    let merge = |one: &CommitSha, two: &CommitSha| {
        let tree = f.git(&["merge-tree", "--write-tree", one.as_str(), two.as_str()]);
        let args = ["commit-tree", &tree, "-p", one.as_str(), "-p", two.as_str(), "-m", "m"];
        CommitSha::parse(&f.git(&args)).unwrap()
    };
    let (one, two) = (merge(&ours, &theirs), merge(&theirs, &ours));
    let tasks = f.show(&base, TASKS);
    let one = f.commit(&one, &[(TASKS, Some(&tasks.replace("[ ] T002", "[x] T002")))]);
    let two = f.commit(&two, &[(TASKS, Some("mine\n")), ("n.txt", Some("n\n"))]);
    let commit = made(ask(&f, &one, &two, "one"));
    assert_eq!(f.show(&commit, TASKS), tasks.replace("[ ] T002", "[x] T002").replace("[ ] T001", "[x] T001"));
    assert_eq!(f.show(&commit, "n.txt"), "n\n");
}

/// A base commit with 1,000 files of 20 lines in 40 directories.
fn thousand_files(f: &Fixture) -> (CommitSha, Vec<(String, String)>) {
    let files: Vec<(String, String)> =
        (0..1000).map(|n| (format!("src/m{}/f{n}.txt", n % 40), lines(&n.to_string(), 20))).collect();
    let refs: Vec<(&str, Option<&str>)> = files.iter().map(|(p, c)| (p.as_str(), Some(c.as_str()))).collect();
    (f.commit(&f.head(), &refs), files)
}

#[test]
fn a_candidate_at_a_thousand_files_is_quick() {
    let f = Fixture::new();
    let (base, files) = thousand_files(&f);
    let ours = f.commit(&base, &[("src/m1/f1.txt", Some(&with_line(&files[1].1, 2, "ours")))]);
    for (name, line, path) in [("disjoint", 2, 2), ("same file", 15, 1)] {
        let text = with_line(&files[path].1, line, "theirs");
        let theirs = f.commit(&base, &[(files[path].0.as_str(), Some(&text))]);
        let mut times: Vec<_> = (0..9)
            .map(|n| {
                let began = Instant::now();
                made(ask(&f, &ours, &theirs, &format!("title {n}")));
                began.elapsed()
            })
            .collect();
        times.sort_unstable();
        eprintln!("candidate at 1,000 files, {name}: median {:?} of {times:?}", times[4]);
        assert!(times[4].as_millis() < 500, "{name}: {times:?}");
    }
}

#[test]
fn landing_twenty_a_second_at_a_thousand_files() {
    const COUNT: u16 = 20;
    let f = Fixture::new();
    let (base, files) = thousand_files(&f);
    let heads: Vec<CommitSha> = (0..usize::from(COUNT))
        .map(|n| f.edit(&base, &files[n].0, &with_line(&files[n].1, 2, "task")))
        .collect();
    let gate = f.pool().acquire(&gate_owner("merger"), &base, None, &f.author()).unwrap().worktree;

    create_branch(&f.repo, &feature(), &base).unwrap();
    let began = Instant::now();
    let mut last = base.clone();
    for (n, head) in heads.iter().enumerate() {
        let commit = made(ask(&f, &last, head, &format!("title {n}")));
        anchor_candidate(&f.repo, &format!("e{n}"), &commit).unwrap();
        gate.checkout_tree(&commit).unwrap();
        assert_eq!(gate.tracked_changes().unwrap(), [""; 0]);
        assert_eq!(move_ref(&f.repo, "sprint/001-thing", &last, &commit, None).unwrap(), Move::Moved);
        last = commit;
    }
    let ours = began.elapsed();

    f.git(&["branch", "raw", base.as_str()]);
    let began = Instant::now();
    let mut last = base;
    let fsync = ["-c", "core.fsync=all", "-c", "gc.auto=0"];
    let raw = |cwd: &Path, args: &[&str]| git(cwd, &[&fsync[..], args].concat());
    for head in &heads {
        let tree = raw(&f.top, &["merge-tree", "--write-tree", last.as_str(), head.as_str()]);
        let args = ["commit-tree", &tree, "-p", last.as_str(), "-p", head.as_str(), "-m", "m"];
        let commit = CommitSha::parse(&raw(&f.top, &args)).unwrap();
        raw(&gate.path, &["checkout", "-q", "-f", "--detach", commit.as_str()]);
        raw(&gate.path, &["clean", "-qffdx"]);
        raw(&gate.path, &["status", "--porcelain"]);
        raw(&f.top, &["update-ref", "refs/heads/raw", commit.as_str(), last.as_str()]);
        last = commit;
    }
    let theirs = began.elapsed();
    let rate = |time: std::time::Duration| f64::from(COUNT) / time.as_secs_f64();
    eprintln!("landed at 1,000 files: {:.1}/s, raw git {:.1}/s", rate(ours), rate(theirs));
    // Half the claim: the machine of a test run is shared.
    assert!(ours < theirs * 4, "{ours:?} against {theirs:?}");
}
