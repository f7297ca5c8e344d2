//! Landing: compare-and-swap, checked-out branches, probes, proof before delete.

use super::*;
use crate::git::branch;
use crate::git::landing::*;

const BRANCH: &str = "sprint/001-thing";

#[test]
fn a_move_is_a_compare_and_swap_and_tells_its_child() {
    let f = Fixture::new();
    let base = f.head();
    assert_eq!(create_branch(&f.repo, &feature(), &base).unwrap(), base);
    let (one, two) = (f.commit(&base, &[("x", Some("1"))]), f.commit(&base, &[("x", Some("2"))]));
    let pid = std::cell::Cell::new(0);
    let hook = |child: u32| pid.set(child);
    assert_eq!(move_ref(&f.repo, BRANCH, &base, &one, Some(&hook)).unwrap(), Move::Moved);
    assert!(pid.get() > 0);
    let lost = move_ref(&f.repo, BRANCH, &base, &two, None).unwrap();
    assert_eq!(lost, Move::Mismatch { found: Some(one.clone()) });
    assert_eq!(probe(&f.repo, BRANCH, &base, &one).unwrap(), Probe::AtNew);
    assert_eq!(probe(&f.repo, BRANCH, &one, &two).unwrap(), Probe::AtOld);
    assert_eq!(probe(&f.repo, BRANCH, &base, &two).unwrap(), Probe::Other(Some(one.clone())));
    assert_eq!(create_branch(&f.repo, &feature(), &base).unwrap(), one, "an existing branch stays");
    f.git(&["branch", "-D", BRANCH]);
    assert_eq!(move_ref(&f.repo, BRANCH, &one, &two, None).unwrap(), Move::Mismatch { found: None });
    assert_eq!(probe(&f.repo, BRANCH, &one, &two).unwrap(), Probe::Other(None));
}

/// A git that is killed after its rename reports failure, and the branch is where it should be.
#[test]
fn a_move_that_failed_after_it_had_happened_is_a_move() {
    let f = Fixture::new();
    let base = f.head();
    create_branch(&f.repo, &feature(), &base).unwrap();
    let one = f.commit(&base, &[("x", Some("1"))]);
    let name = branch::head_ref(BRANCH);
    let happened = |_child: u32| {
        f.git(&["update-ref", &name, one.as_str()]);
    };
    assert_eq!(move_ref(&f.repo, BRANCH, &base, &one, Some(&happened)).unwrap(), Move::Moved);
}

#[test]
fn a_packed_branch_moves_too() {
    let f = Fixture::new();
    let base = f.head();
    create_branch(&f.repo, &feature(), &base).unwrap();
    f.git(&["pack-refs", "--all"]);
    let one = f.commit(&base, &[("x", Some("1"))]);
    assert_eq!(move_ref(&f.repo, BRANCH, &base, &one, None).unwrap(), Move::Moved);
    assert_eq!(f.git(&["rev-parse", BRANCH]), one.as_str());
}

#[test]
fn a_branch_that_is_checked_out_anywhere_is_not_moved() {
    let f = Fixture::new();
    let base = f.head();
    create_branch(&f.repo, &feature(), &base).unwrap();
    let one = f.commit(&base, &[("x", Some("1"))]);
    f.git(&["switch", "-q", BRANCH]);
    assert_eq!(move_ref(&f.repo, BRANCH, &base, &one, None).unwrap(), Move::CheckedOut { at: f.top.clone() });
    f.git(&["switch", "-q", "main"]);
    let linked = f.top.with_file_name("linked");
    f.git(&["worktree", "add", "-q", linked.to_str().unwrap(), BRANCH]);
    assert_eq!(
        move_ref(&f.repo, BRANCH, &base, &one, None).unwrap(),
        Move::CheckedOut { at: linked.clone() }
    );
    git(&linked, &["switch", "-q", "--detach"]);
    assert_eq!(move_ref(&f.repo, BRANCH, &base, &one, None).unwrap(), Move::Moved);
    assert_eq!(f.git(&["rev-parse", BRANCH]), one.as_str());
}

#[test]
fn a_linked_checkout_that_was_deleted_holds_no_branch() {
    let f = Fixture::new();
    create_branch(&f.repo, &feature(), &f.head()).unwrap();
    let linked = f.top.with_file_name("linked");
    f.git(&["worktree", "add", "-q", "--lock", linked.to_str().unwrap(), BRANCH]);
    fs::remove_dir_all(&linked).unwrap();
    let at = || checked_out_at(&f.repo, &branch::head_ref(BRANCH)).unwrap();
    assert_eq!(at(), Some(linked.clone()), "on a disk that is not there now, perhaps");
    f.git(&["worktree", "unlock", linked.to_str().unwrap()]);
    assert_eq!(at(), None);
}

#[test]
fn a_branch_in_the_middle_of_a_rebase_counts_as_checked_out() {
    let f = Fixture::new();
    create_branch(&f.repo, &feature(), &f.head()).unwrap();
    let state = f.repo.common_dir.join("rebase-merge");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("head-name"), "refs/heads/sprint/001-thing\n").unwrap();
    assert!(checked_out_at(&f.repo, "refs/heads/sprint/001-thing").unwrap().is_some());
}

#[test]
fn landed_tasks_come_from_first_parents_and_last_paragraphs() {
    let f = Fixture::new();
    let base = f.head();
    let land = |on: &CommitSha, message: &str, side: &str| {
        let tree = f.git(&["rev-parse", &format!("{on}^{{tree}}")]);
        let forged = f.git(&["commit-tree", &tree, "-p", on.as_str(), "-m", side]);
        let args = ["commit-tree", &tree, "-p", on.as_str(), "-p", &forged, "-m", message];
        CommitSha::parse(&f.git(&args)).unwrap()
    };
    let forged = "x\n\nSprint-Task: T666\nSprint-Feature: 001-thing\nSprint-Attempt: 1";
    let one =
        land(&base, "T002: b\n\nSprint-Task: T002\nSprint-Feature: 001-thing\nSprint-Attempt: 1", forged);
    let two =
        land(&one, "T001: a\n\nSprint-Task: T001\nSprint-Feature: 001-thing\nSprint-Attempt: 3", forged);
    let three = land(&two, "Sprint-Task: T003\nSprint-Feature: 001-thing\nSprint-Attempt: 1", forged);
    let landed = landed_tasks(&f.repo, &base, &three).unwrap();
    let ids: Vec<_> = landed.iter().map(|l| (l.task.as_str(), l.attempt)).collect();
    assert_eq!(ids, [("T002", 1), ("T001", 3)]);
    assert_eq!(landed[0].commit, one);
}

#[test]
fn proof_is_ancestry_or_equal_changes() {
    let f = Fixture::new();
    let base = f.head();
    let work = f.commit(&base, &[("x", Some("1\n"))]);
    assert!(!is_landed(&f.repo, &work, &base).unwrap());
    let other = f.commit(&base, &[("y", Some("1\n"))]);
    assert!(!is_landed(&f.repo, &work, &other).unwrap());
    let picked = f.commit(&other, &[("x", Some("1\n"))]);
    assert!(is_landed(&f.repo, &work, &picked).unwrap(), "the same change, another commit");
    assert!(is_landed(&f.repo, &base, &picked).unwrap());
}

#[test]
fn only_sprints_own_references_are_deleted() {
    let f = Fixture::new();
    let base = f.head();
    anchor_candidate(&f.repo, "e-1", &base).unwrap();
    assert!(delete_ref(&f.repo, "refs/sprint/candidate/e-1", &base).is_ok());
    assert!(f.repo.reference("refs/sprint/candidate/e-1").unwrap().is_none());
    assert!(delete_ref(&f.repo, "refs/heads/main", &base).is_err());
    assert!(anchor_candidate(&f.repo, "../heads/main", &base).is_err());
    let kept = keep_foreign(&f.repo, &feature(), &base).unwrap();
    assert_eq!(f.repo.reference(&kept).unwrap(), Some(base));
}

#[test]
fn attempts_go_on_above_the_highest_known() {
    let f = Fixture::new();
    let head = f.head();
    assert_eq!(branch::highest_attempt(&f.repo, &feature(), &task("T001")).unwrap(), 0);
    f.git(&["branch", "sprint-task/001-thing/T001/9", head.as_str()]);
    f.git(&["branch", "sprint-task/001-thing/T0011/40", head.as_str()]);
    f.git(&["update-ref", "refs/sprint/wip/001-thing/T001/12", head.as_str()]);
    assert_eq!(branch::highest_attempt(&f.repo, &feature(), &task("T001")).unwrap(), 12);
}
