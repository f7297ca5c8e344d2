//! Git repositories inside a worktree: named before work is believed, saved before it is removed.

use super::*;
use crate::git::leftovers::{commit_all, look, save};
use crate::git::nested::Nested;
use crate::git::worktree::Worktree;

const ONE: &str = "sprint-task/001-thing/T001/1";
const TWO: &str = "sprint-task/001-thing/T001/2";

fn begin(f: &Fixture) -> Worktree {
    f.pool().acquire(&task_owner("T001"), &f.head(), Some(ONE), &f.author()).unwrap().worktree
}

/// A repository at `path` with one commit and one file that is in none.
fn inner(tree: &Worktree, path: &str) -> PathBuf {
    let inner = tree.path.join(path);
    write(&inner, "kept.txt", "kept\n");
    git(&inner, &["init", "-q"]);
    git(&inner, &["add", "-A"]);
    git(&inner, &["commit", "-qm", "inner"]);
    write(&inner, "loose.txt", "loose\n");
    write(&inner, "junk.ignored", "junk\n");
    inner
}

fn found(tree: &Worktree, base: &CommitSha) -> Nested {
    look(tree, base).unwrap().nested
}

fn names(f: &Fixture, commit: &CommitSha, path: &str) -> Vec<String> {
    f.git(&["ls-tree", "-r", "--name-only", commit.as_str(), path]).lines().map(str::to_owned).collect()
}

#[test]
fn an_untracked_repository_is_named_and_is_no_diff() {
    let f = Fixture::new();
    let tree = begin(&f);
    assert_eq!(found(&tree, &f.head()), Nested { alone: true, ..Nested::default() });
    inner(&tree, "dir/sub");
    write(&tree.path, "begun/x", "1\n");
    git(&tree.path.join("begun"), &["init", "-q"]);
    let linked = tree.path.join("linked");
    git(&tree.path, &["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
    let left = look(&tree, &f.head()).unwrap();
    assert_eq!(left.nested.untracked, ["begun", "dir/sub", "linked"]);
    assert!(!left.diff && left.nested.alone);
    write(&tree.path, "x", "1\n");
    let left = look(&tree, &f.head()).unwrap();
    assert!(left.diff && !left.nested.alone);
    commit_all(&tree, "T001: one", &f.author()).unwrap().unwrap();
    assert_eq!(
        found(&tree, &f.head()).untracked,
        ["begun", "dir/sub", "linked"],
        "a commit does not hide them"
    );
}

#[test]
fn what_is_prepared_or_ignored_is_not_named() {
    let f = Fixture::new();
    let mut tree = begin(&f);
    inner(&tree, "vendor");
    inner(&tree, ".venv/src/lib");
    tree.prepared = vec!["vendor".to_owned()];
    assert_eq!(found(&tree, &f.head()).reason(), None);
    assert_eq!(save(&tree, &feature(), &task("T001"), 1, &f.author()).unwrap(), None);
}

#[test]
fn a_link_without_gitmodules_is_named_committed_or_not() {
    let f = Fixture::new();
    let tree = begin(&f);
    inner(&tree, "sub");
    git(&tree.path, &["add", "sub"]);
    let staged = found(&tree, &f.head());
    assert_eq!(staged, Nested { linked: vec!["sub".to_owned()], alone: true, ..Nested::default() });
    git(&tree.path, &["commit", "-qm", "sub"]);
    assert_eq!(found(&tree, &f.head()), staged);
    write(&tree.path, ".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = https://example.org/sub\n");
    assert_eq!(found(&tree, &f.head()).reason(), None, "a submodule that others can fetch");
}

#[test]
fn links_that_the_base_has_are_nobodys_fault() {
    let f = Fixture::new();
    let old = f.head();
    inner(&begin(&f), "sub");
    let path = begin(&f).path;
    git(&path, &["add", "sub"]);
    git(&path, &["commit", "-qm", "sub"]);
    let base = begin(&f).head().unwrap();
    let next = f.pool().acquire(&task_owner("T002"), &base, Some(TWO), &f.author()).unwrap().worktree;
    write(&next.path, "x", "1\n");
    assert_eq!(found(&next, &base).reason(), None);
    let commit = commit_all(&next, "T002: x", &f.author()).unwrap().unwrap();
    assert_eq!(f.git(&["diff", "--name-status", base.as_str(), commit.as_str()]), "A\tx");
    // The integration branch has gone elsewhere since; the work has not.
    let elsewhere = f.commit(&old, &[("y", Some("1\n"))]);
    assert_eq!(found(&next, &elsewhere).linked, ["sub"], "against a history that never had it");
}

#[test]
fn files_and_history_of_a_repository_are_saved() {
    let f = Fixture::new();
    let tree = begin(&f);
    let sub = inner(&tree, "sub");
    inner(&tree, "sub/deeper");
    std::os::unix::fs::symlink("loose.txt", sub.join("link")).unwrap();
    let saved = save(&tree, &feature(), &task("T001"), 1, &f.author()).unwrap().unwrap();
    let kept = names(&f, &saved.commit, "sub");
    let plain: Vec<&str> =
        kept.iter().map(String::as_str).filter(|name| !name.contains(".git.saved/")).collect();
    assert_eq!(
        plain,
        ["sub/deeper/kept.txt", "sub/deeper/loose.txt", "sub/kept.txt", "sub/link", "sub/loose.txt"]
    );
    assert_eq!(f.show(&saved.commit, "sub/loose.txt"), "loose\n");
    assert_eq!(f.show(&saved.commit, "sub/link"), "loose.txt");
    assert_eq!(save(&tree, &feature(), &task("T001"), 1, &f.author()).unwrap().unwrap(), saved);
    f.git(&["fsck", "--strict"]);
    // What was saved is a repository again as soon as its `.git` has its name.
    let back = f.dir.path().join("back");
    f.git(&["worktree", "add", "-q", "--detach", back.to_str().unwrap(), saved.commit.as_str()]);
    fs::rename(back.join("sub/.git.saved"), back.join("sub/.git")).unwrap();
    assert_eq!(git(&back.join("sub"), &["log", "--format=%s"]), "inner");
    assert_eq!(git(&back.join("sub"), &["show", "HEAD:kept.txt"]), "kept");
}

#[test]
fn behind_a_committed_link_files_are_saved_before_the_next_attempt_removes_them() {
    let f = Fixture::new();
    let tree = begin(&f);
    inner(&tree, "sub");
    git(&tree.path, &["add", "-A"]);
    git(&tree.path, &["commit", "-qm", "sub"]);
    let next = f.pool().acquire(&task_owner("T001"), &f.head(), Some(TWO), &f.author()).unwrap().worktree;
    assert_eq!(next.path, tree.path);
    assert!(!next.path.join("sub").exists());
    let saved = crate::git::leftovers::saved(&f.repo, &feature(), &task("T001")).unwrap();
    assert_eq!(saved[0].0, 1);
    assert_eq!(f.show(&saved[0].1.commit, "sub/kept.txt"), "kept\n");
    assert_eq!(f.show(&saved[0].1.commit, "sub/loose.txt"), "loose\n");
}
