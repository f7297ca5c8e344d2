//! Leftovers: saved without touching the agent's index, committed, anchored.

use super::*;
use crate::domain::ids::RunId;
use crate::git::leftovers::{commit_all, finish, save, save_head};
use crate::git::worktree::Worktree;

const ONE: &str = "sprint-task/001-thing/T001/1";

fn begin(f: &Fixture) -> Worktree {
    f.pool().acquire(&task_owner("T001"), &f.head(), Some(ONE), &f.author()).unwrap().worktree
}

#[test]
fn saving_takes_staged_changed_untracked_and_removed_and_leaves_the_index_alone() {
    let f = Fixture::new();
    let mut tree = begin(&f);
    tree.prepared = vec![".env".to_owned()];
    write(&tree.path, "staged.txt", "staged\n");
    git(&tree.path, &["add", "staged.txt"]);
    write(&tree.path, "staged.txt", "staged and changed\n");
    write(&tree.path, "deep/er/untracked.txt", "untracked\n");
    write(&tree.path, "junk.ignored", "junk\n");
    write(&tree.path, ".env", "SECRET=1\n");
    fs::remove_file(tree.path.join("b.txt")).unwrap();
    let (index, status) =
        (fs::read(tree.admin.join("index")).unwrap(), git(&tree.path, &["status", "--porcelain"]));
    let saved = save(&tree, &feature(), &task("T001"), 1, &f.author()).unwrap().unwrap();
    assert_eq!(saved.reference, "refs/sprint/wip/001-thing/T001/1");
    let names = f.git(&["ls-tree", "-r", "--name-only", saved.commit.as_str()]);
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        [".gitignore", "a.txt", "deep/er/untracked.txt", "dir/c.txt", TASKS, "staged.txt"]
    );
    assert_eq!(f.show(&saved.commit, "staged.txt"), "staged and changed\n");
    assert_eq!(fs::read(tree.admin.join("index")).unwrap(), index);
    assert_eq!(git(&tree.path, &["status", "--porcelain"]), status);
    assert_eq!(f.git(&["rev-parse", "refs/sprint/wip/001-thing/T001/1"]), saved.commit.as_str());
    let left = fs::read_dir(&tree.admin).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(left.into_iter().all(|name| !name.starts_with("index.sprint")));
}

#[test]
fn a_second_save_keeps_the_first_and_a_clean_tree_saves_nothing() {
    let f = Fixture::new();
    let tree = begin(&f);
    let again = || save(&tree, &feature(), &task("T001"), 1, &f.author()).unwrap();
    assert_eq!(again(), None);
    write(&tree.path, "x", "1\n");
    let one = again().unwrap();
    assert_eq!(again().unwrap(), one);
    write(&tree.path, "x", "2\n");
    let two = again().unwrap();
    assert!(f.git(&["rev-list", two.commit.as_str()]).contains(one.commit.as_str()));
    f.git(&["fsck", "--strict"]);
}

#[test]
fn commits_on_no_branch_are_saved() {
    let f = Fixture::new();
    let tree = begin(&f);
    git(&tree.path, &["switch", "-q", "--detach"]);
    write(&tree.path, "x", "1\n");
    git(&tree.path, &["add", "-A"]);
    git(&tree.path, &["commit", "-qm", "lost?"]);
    let saved = save(&tree, &feature(), &task("T001"), 1, &f.author()).unwrap().unwrap();
    assert_eq!(saved.commit, tree.head().unwrap());
}

#[test]
fn a_head_that_is_saved_lets_go_of_nothing_that_was_saved_before() {
    let f = Fixture::new();
    let tree = begin(&f);
    let commit = |name: &str| {
        write(&tree.path, name, "1\n");
        git(&tree.path, &["add", "-A"]);
        git(&tree.path, &["commit", "-qm", name]);
        tree.head().unwrap()
    };
    let keep = || save_head(&tree, &feature(), &task("T001"), 1, &f.author()).unwrap().commit;
    let first = commit("first");
    assert_eq!(keep(), first, "nothing was saved before");
    assert_eq!((commit("second"), tree.head().unwrap()), (keep(), keep()), "it holds the first");
    let second = tree.head().unwrap();
    git(&tree.path, &["reset", "-q", "--hard", "main"]);
    let third = commit("third");
    let both = keep();
    let held = f.git(&["rev-list", both.as_str()]);
    assert!(held.contains(second.as_str()) && held.contains(third.as_str()));
    assert_eq!(keep(), both, "once is enough");
}

#[test]
fn a_conflicted_index_a_nested_repository_and_a_broken_index_do_not_stop_a_save() {
    let f = Fixture::new();
    let tree = begin(&f);
    let other = f.commit(&f.head(), &[("a.txt", Some("theirs\n"))]);
    write(&tree.path, "a.txt", "ours\n");
    git(&tree.path, &["commit", "-qam", "ours"]);
    assert!(!command(&tree.path, &["merge", other.as_str()]).output().unwrap().status.success());
    write(&tree.path, "inner/file", "x\n");
    git(&tree.path.join("inner"), &["init", "-q"]);
    let saved = save(&tree, &feature(), &task("T001"), 1, &f.author()).unwrap().unwrap();
    assert!(f.show(&saved.commit, "a.txt").contains("<<<<<<<"));
    fs::write(tree.admin.join("index"), "garbage").unwrap();
    write(&tree.path, "x", "1\n");
    let saved = save(&tree, &feature(), &task("T001"), 1, &f.author()).unwrap().unwrap();
    assert_eq!(f.show(&saved.commit, "x"), "1\n");
    assert_eq!(f.show(&saved.commit, "b.txt"), lines("b", 20));
}

#[test]
fn a_commit_by_sprint_takes_everything_and_leaves_a_clean_worktree() {
    let f = Fixture::new();
    let tree = begin(&f);
    assert_eq!(commit_all(&tree, "T001: one", &f.author()).unwrap(), None);
    write(&tree.path, "new/x", "1\n");
    fs::remove_file(tree.path.join("b.txt")).unwrap();
    let commit = commit_all(&tree, "T001: one", &f.author()).unwrap().unwrap();
    assert_eq!(f.git(&["rev-parse", ONE]), commit.as_str());
    assert_eq!(git(&tree.path, &["status", "--porcelain", "--branch"]), format!("## {ONE}"));
    assert_eq!(f.git(&["diff", "--name-status", "main", ONE]), "D\tb.txt\nA\tnew/x");
}

#[test]
fn a_split_index_does_not_stop_a_commit() {
    let f = Fixture::new();
    let tree = begin(&f);
    git(&tree.path, &["update-index", "--split-index"]);
    write(&tree.path, "x", "1\n");
    git(&tree.path, &["add", "x"]);
    let commit = commit_all(&tree, "T001: one", &f.author()).unwrap().unwrap();
    assert_eq!(f.git(&["diff", "--name-status", "main", commit.as_str()]), "A\tx");
    assert_eq!(git(&tree.path, &["status", "--porcelain"]), "");
    assert_eq!(tree.tracked_changes().unwrap(), [""; 0]);
}

#[test]
fn a_finished_run_is_anchored_and_survives_a_collection() {
    let f = Fixture::new();
    let tree = begin(&f);
    write(&tree.path, "x", "1\n");
    let commit = commit_all(&tree, "T001: one", &f.author()).unwrap().unwrap();
    let run = RunId::parse(&uuid::Uuid::now_v7().to_string()).unwrap();
    let finished = finish(&tree, &run).unwrap();
    assert_eq!((finished.head, finished.branch.as_deref()), (commit.clone(), Some(ONE)));
    git(&tree.path, &["switch", "-q", "--detach", "main"]);
    f.git(&["branch", "-D", ONE]);
    f.git(&["-c", "gc.reflogExpire=now", "gc", "-q", "--prune=now"]);
    assert_eq!(f.git(&["rev-parse", &format!("refs/sprint/run/{run}")]), commit.as_str());
    // Now everything is packed: syncing finds it there.
    finish(&tree, &run).unwrap();
}
