//! The pool: who gets which worktree, and that nothing in one is lost.

use super::*;
use crate::git::Error;
use crate::git::leftovers;
use crate::git::pool::{Origin, Proof, State};

const ONE: &str = "sprint-task/001-thing/T001/1";
const TWO: &str = "sprint-task/001-thing/T001/2";

#[test]
fn a_fresh_worktree_is_on_its_branch_clean_and_locked() {
    let f = Fixture::new();
    let got = f.pool().acquire(&task_owner("T001"), &f.head(), Some(ONE), &f.author()).unwrap();
    assert_eq!(got.origin, Origin::Fresh);
    let path = &got.worktree.path;
    assert_eq!(git(path, &["status", "--porcelain", "--branch"]), format!("## {ONE}"));
    assert_eq!(fs::read_to_string(path.join("a.txt")).unwrap(), lines("a", 20));
    assert!(f.git(&["worktree", "list", "--porcelain"]).contains("locked sprint: 001-thing T001"));
    assert_eq!(got.worktree.branch().unwrap().as_deref(), Some(ONE));
}

/// A git that is killed while it adds a worktree leaves an empty `commondir`, and every later
/// `worktree add` of the repository fails at it.
#[test]
fn what_a_killed_git_left_half_made_is_removed_and_a_persons_is_not() {
    let f = Fixture::new();
    let pool = f.pool();
    let half = |name: &str, reason: &str| {
        let admin = f.repo.common_dir.join("worktrees").join(name);
        fs::create_dir_all(&admin).unwrap();
        fs::write(admin.join("commondir"), "").unwrap();
        fs::write(admin.join("locked"), reason).unwrap();
        fs::write(admin.join("gitdir"), "/nowhere/.git\n").unwrap();
        admin
    };
    let (ours, theirs) = (half("999", "sprint: gates of reviewer"), half("mine", "on a stick"));
    fs::remove_dir_all(&theirs).unwrap();
    let got = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &f.author()).unwrap();
    assert_eq!(got.origin, Origin::Fresh);
    assert!(!ours.exists());
    let theirs = half("mine", "on a stick");
    half("998", "sprint: 001-thing T002");
    assert_eq!(pool.clear_unusable().unwrap(), 1);
    assert!(theirs.exists());
}

/// Without the pool, git would still list its worktrees and refuse to add others in their places.
#[test]
fn worktrees_of_a_pool_that_was_removed_are_forgotten_and_their_commits_kept() {
    let f = Fixture::new();
    let pool = f.pool();
    let on_branch = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &f.author()).unwrap().worktree;
    let off = pool.acquire(&task_owner("T002"), &f.head(), None, &f.author()).unwrap().worktree;
    git(&off.path, &["commit", "-q", "--allow-empty", "-m", "on no branch"]);
    let orphan = off.head().unwrap();
    let mine = f.dir.path().join("mine");
    f.git(&["worktree", "add", "-q", "--detach", mine.to_str().unwrap()]);
    fs::remove_dir_all(&mine).unwrap();
    assert_eq!(pool.clear_unusable().unwrap(), 0, "these are in use");
    fs::remove_dir_all(&off.path).unwrap();
    assert_eq!(pool.clear_unusable().unwrap(), 0, "an agent's deed: there is a record");
    fs::remove_dir_all(on_branch.path.parent().unwrap()).unwrap();
    let pool = f.pool();
    assert_eq!(pool.forget_lost(|owner| *owner == task_owner("T001")).unwrap(), 1, "one is at work");
    assert_eq!(pool.record(on_branch.number).unwrap().number, on_branch.number);
    assert_eq!(pool.forget_lost(|_| false).unwrap(), 1);
    let got = pool.acquire(&task_owner("T003"), &f.head(), None, &f.author()).unwrap();
    assert_eq!((got.origin, got.worktree.number), (Origin::Fresh, on_branch.number));
    assert_eq!(f.git(&["worktree", "list"]).lines().count(), 3, "ours, the new one, and the person's");
    assert_eq!(f.git(&["rev-parse", &crate::git::branch::lost_ref(&orphan)]), orphan.as_str());
    assert_eq!(pool.clear_unusable().unwrap(), 0);
}

#[test]
fn the_same_attempt_finds_everything_as_it_was() {
    let f = Fixture::new();
    let pool = f.pool();
    let first = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &f.author()).unwrap().worktree;
    write(&first.path, "half.txt", "half\n");
    let again = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &f.author()).unwrap();
    assert_eq!((again.origin, &again.worktree), (Origin::Kept, &first));
    assert!(first.path.join("half.txt").exists());
    assert_eq!(pool.find(&task_owner("T001")).unwrap(), Some(first));
    assert_eq!(pool.find(&task_owner("T002")).unwrap(), None);
}

#[test]
fn the_next_attempt_is_clean_and_the_work_before_it_is_saved() {
    let f = Fixture::new();
    let pool = f.pool();
    let first = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &f.author()).unwrap().worktree;
    write(&first.path, "half.txt", "half\n");
    write(&first.path, "a.txt", "changed\n");
    let base = f.commit(&f.head(), &[("landed.txt", Some("landed\n"))]);
    let next = pool.acquire(&task_owner("T001"), &base, Some(TWO), &f.author()).unwrap();
    assert_eq!((next.origin, next.worktree.number), (Origin::Reset, first.number));
    assert_eq!(git(&first.path, &["status", "--porcelain", "--branch", "--ignored"]), format!("## {TWO}"));
    assert!(first.path.join("landed.txt").exists() && !first.path.join("half.txt").exists());
    let saved = leftovers::saved(&f.repo, &feature(), &task("T001")).unwrap();
    assert_eq!(saved.len(), 1);
    assert_eq!(saved[0].0, 1);
    assert_eq!(f.show(&saved[0].1.commit, "half.txt"), "half\n");
    assert_eq!(f.show(&saved[0].1.commit, "a.txt"), "changed\n");
}

#[test]
fn a_branch_that_has_commits_keeps_them() {
    let f = Fixture::new();
    let work = f.commit(&f.head(), &[("x", Some("1\n"))]);
    f.git(&["branch", ONE, work.as_str()]);
    let got = f.pool().acquire(&task_owner("T001"), &f.head(), Some(ONE), &f.author()).unwrap();
    assert_eq!(got.worktree.head().unwrap(), work);
}

#[test]
fn a_worktree_is_recycled_only_with_proof_and_leftovers_saved() {
    let f = Fixture::new();
    let (pool, author) = (f.pool(), f.author());
    let got = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap().worktree;
    write(&got.path, "x", "1\n");
    git(&got.path, &["add", "-A"]);
    git(&got.path, &["commit", "-qm", "work"]);
    write(&got.path, "left.txt", "left\n");
    let kept = pool.release(&got, &Proof::LandedIn(f.head()), &author).unwrap_err();
    assert!(matches!(kept, Error::Kept { .. }), "{kept}");
    let landed = f.commit(&f.head(), &[("x", Some("1\n"))]);
    pool.release(&got, &Proof::LandedIn(landed.clone()), &author).unwrap();
    let saved = leftovers::saved(&f.repo, &feature(), &task("T001")).unwrap();
    assert_eq!(f.show(&saved[0].1.commit, "left.txt"), "left\n");
    assert!(!f.git(&["worktree", "list", "--porcelain"]).contains("locked"));
    let next =
        pool.acquire(&task_owner("T002"), &landed, Some("sprint-task/001-thing/T002/1"), &author).unwrap();
    assert_eq!((next.origin, next.worktree.number), (Origin::Recycled, got.number));
    assert_eq!(git(&got.path, &["status", "--porcelain", "--ignored"]), "");
    f.git(&["branch", "-D", ONE]);
}

#[test]
fn a_gate_worktree_is_exactly_the_commit_each_time() {
    let f = Fixture::new();
    let (pool, author) = (f.pool(), f.author());
    let base = f.head();
    let next =
        f.commit(&base, &[("a.txt", None), ("dir", None), ("dir", Some("file\n")), ("new/n", Some("n\n"))]);
    let gate = pool.acquire(&gate_owner("reviewer"), &base, None, &author).unwrap().worktree;
    for _ in 0..2 {
        for at in [&next, &base] {
            write(&gate.path, "b.txt", "changed\n");
            write(&gate.path, "junk/deep/x", "junk");
            write(&gate.path, "cache.ignored", "junk");
            git(&gate.path, &["add", "-A"]);
            assert!(!gate.tracked_changes().unwrap().is_empty());
            let again = pool.acquire(&gate_owner("reviewer"), at, None, &author).unwrap();
            assert_eq!((again.origin, again.worktree.number), (Origin::Reset, gate.number));
            assert_eq!(git(&gate.path, &["status", "--porcelain", "--ignored"]), "");
            assert_eq!(git(&gate.path, &["rev-parse", "HEAD"]), at.as_str());
            assert_eq!(gate.tracked_changes().unwrap(), [""; 0]);
        }
    }
}

#[test]
fn a_change_under_the_old_time_and_size_is_seen_and_undone() {
    let f = Fixture::new();
    let gate = f.pool().acquire(&gate_owner("reviewer"), &f.head(), None, &f.author()).unwrap().worktree;
    let path = gate.path.join("a.txt");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, lines("z", 20)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    assert_eq!(gate.tracked_changes().unwrap(), ["a.txt"]);
    gate.checkout_tree(&f.head()).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), lines("a", 20));
}

#[test]
fn cleaning_keeps_what_was_prepared() {
    let f = Fixture::new();
    let mut gate = f.pool().acquire(&gate_owner("reviewer"), &f.head(), None, &f.author()).unwrap().worktree;
    gate.prepared = vec![".venv".to_owned(), "dir/kept/x".to_owned()];
    for path in [".venv/lib/x", "dir/kept/x", "dir/kept/y", "dir/junk", "new/junk", "cache.ignored"] {
        write(&gate.path, path, "x");
    }
    gate.clean().unwrap();
    assert_eq!(gate.untracked().unwrap(), [".venv", "dir/kept"]);
    assert!(!gate.path.join("dir/kept/y").exists());
    gate.checkout_tree(&f.commit(&f.head(), &[("dir", None)])).unwrap();
    assert!(gate.path.join(".venv/lib/x").exists() && gate.path.join("dir/kept/x").exists());
    assert!(!gate.path.join("dir/c.txt").exists());
}

#[test]
fn eight_workers_at_once_get_eight_worktrees() {
    let f = Fixture::new();
    let (pool, head) = (f.pool(), f.head());
    let mut paths: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|n| {
                let (pool, head, f) = (&pool, &head, &f);
                scope.spawn(move || {
                    let branch = format!("sprint-task/001-thing/T{n}/1");
                    let owner = task_owner(&format!("T{n}"));
                    pool.acquire(&owner, head, Some(&branch), &f.author()).unwrap().worktree.path
                })
            })
            .collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), 8);
    for path in &paths {
        assert_eq!(git(path, &["status", "--porcelain"]), "");
    }
    assert_eq!(pool.records().unwrap().len(), 8);
}

#[test]
fn a_deleted_worktree_comes_back_with_its_commits() {
    let f = Fixture::new();
    let (pool, author) = (f.pool(), f.author());
    let got = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap().worktree;
    write(&got.path, "x", "1\n");
    git(&got.path, &["add", "-A"]);
    git(&got.path, &["commit", "-qm", "work"]);
    fs::write(got.admin.join("index.lock"), "").unwrap();
    fs::remove_dir_all(&got.path).unwrap();
    let back = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap();
    assert!(back.repaired);
    assert_eq!(leftovers::saved(&f.repo, &feature(), &task("T001")).unwrap(), [], "nothing was left");
    assert_eq!(git(&got.path, &["status", "--porcelain", "--branch"]), format!("## {ONE}"));
    assert_eq!(fs::read_to_string(got.path.join("x")).unwrap(), "1\n");
}

/// A task's with a commit, one on no branch, a gate's, and a free one.
fn four(f: &Fixture, pool: &Pool) -> [crate::git::worktree::Worktree; 4] {
    let author = f.author();
    let take = |owner: &Owner, branch: Option<&str>| {
        pool.acquire(owner, &f.head(), branch, &author).unwrap().worktree
    };
    let task = take(&task_owner("T001"), Some(ONE));
    let left = take(&task_owner("T002"), Some("sprint-task/001-thing/T002/1"));
    git(&left.path, &["switch", "-q", "--detach"]);
    for tree in [&task, &left] {
        write(&tree.path, "x", &tree.path.display().to_string());
        git(&tree.path, &["add", "-A"]);
        git(&tree.path, &["commit", "-qm", "work"]);
    }
    let gate = take(&gate_owner("reviewer"), None);
    let free = take(&gate_owner("tester-1"), None);
    pool.release(&free, &Proof::Gate, &author).unwrap();
    [task, left, gate, free]
}

#[test]
fn worktrees_that_were_deleted_with_their_records_come_back_to_their_owners() {
    let f = Fixture::new();
    let (pool, author) = (f.pool(), f.author());
    let [task_tree, left, gate, free] = four(&f, &pool);
    let heads = [task_tree.head().unwrap(), left.head().unwrap()];
    assert!(!pool.was_deleted(&task_tree));
    fs::remove_dir_all(task_tree.path.parent().unwrap()).unwrap();
    assert!(pool.was_deleted(&task_tree), "nobody has looked yet");
    let pool = f.pool();
    assert!(pool.was_deleted(&task_tree), "rebuilt, and not given out again");
    // Somebody else comes first, and gets nobody's number.
    let other = pool.acquire(&task_owner("T003"), &f.head(), Some("sprint-task/001-thing/T003/1"), &author);
    assert_eq!(other.unwrap().worktree.number, free.number);
    let back = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap();
    assert_eq!((back.worktree.number, back.lost), (task_tree.number, true));
    assert_eq!(back.worktree.head().unwrap(), heads[0]);
    assert!(back.worktree.path.join("x").exists() && !pool.was_deleted(&back.worktree));
    let again = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap();
    assert_eq!((again.origin, again.lost), (Origin::Kept, false));
    // A commit on no branch is kept before HEAD leaves it.
    pool.acquire(&task_owner("T002"), &f.head(), Some("sprint-task/001-thing/T002/1"), &author).unwrap();
    let saved = leftovers::saved(&f.repo, &feature(), &task("T002")).unwrap();
    assert_eq!(saved[0].1.commit, heads[1]);
    let judged = pool.acquire(&gate_owner("reviewer"), &f.head(), None, &author).unwrap();
    assert_eq!((judged.worktree.number, judged.lost), (gate.number, true));
    assert_eq!(git(&gate.path, &["status", "--porcelain"]), "");
    assert!(!pool.was_deleted(&gate));
    assert_eq!(pool.records().unwrap().len(), 4);
}

#[test]
fn a_landed_task_whose_worktree_was_deleted_is_released_like_any_other() {
    let f = Fixture::new();
    let pool = f.pool();
    let [tree, ..] = four(&f, &pool);
    let head = tree.head().unwrap();
    fs::remove_dir_all(tree.path.parent().unwrap()).unwrap();
    let pool = f.pool();
    let found = pool.find(&task_owner("T001")).unwrap().unwrap();
    assert!(pool.release(&found, &Proof::LandedIn(f.head()), &f.author()).is_err(), "it has not landed");
    pool.release(&found, &Proof::LandedIn(head), &f.author()).unwrap();
    assert_eq!(pool.record(tree.number).unwrap().state, State::Free);
    assert_eq!(pool.prune(0).unwrap().len(), 2);
    assert!(!tree.admin.exists());
}

#[test]
fn a_record_that_is_deleted_alone_costs_no_file() {
    let f = Fixture::new();
    let (pool, author) = (f.pool(), f.author());
    let got = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap().worktree;
    write(&got.path, "half.txt", "half\n");
    fs::remove_file(got.path.with_extension("json")).unwrap();
    let pool = f.pool();
    assert_eq!(pool.record(got.number).unwrap().state, State::Quarantined);
    let next = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap().worktree;
    assert_ne!(next.number, got.number);
    assert!(got.path.join("half.txt").exists());
}

#[test]
fn a_directory_in_the_place_of_a_lost_worktree_is_not_kept_as_it_is() {
    let f = Fixture::new();
    let (pool, author) = (f.pool(), f.author());
    let got = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap().worktree;
    fs::remove_dir_all(&got.path).unwrap();
    write(&got.path, "junk.txt", "junk\n");
    pool.lose(got.number).unwrap();
    assert!(pool.was_deleted(&got));
    let back = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap();
    assert_eq!((back.origin, back.lost, back.worktree.number), (Origin::Reset, true, got.number));
    assert_eq!(git(&got.path, &["status", "--porcelain", "--ignored"]), "");
    let saved = leftovers::saved(&f.repo, &feature(), &task("T001")).unwrap();
    assert_eq!(f.show(&saved[0].1.commit, "junk.txt"), "junk\n");
}

#[test]
fn a_worktree_without_its_administration_is_set_aside_with_its_files() {
    let f = Fixture::new();
    let (pool, author) = (f.pool(), f.author());
    let got = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap().worktree;
    write(&got.path, "half.txt", "half\n");
    fs::remove_dir_all(&got.admin).unwrap();
    let next = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap();
    assert_ne!(next.worktree.number, got.number);
    assert!(got.path.join("half.txt").exists());
    assert_eq!(pool.record(got.number).unwrap().state, State::Quarantined);
}

#[test]
fn a_crash_between_choice_and_checkout_is_made_good() {
    let f = Fixture::new();
    let (pool, author) = (f.pool(), f.author());
    let got = pool.acquire(&gate_owner("reviewer"), &f.head(), None, &author).unwrap().worktree;
    pool.release(&got, &Proof::Gate, &author).unwrap();
    // A record whose worktree never came to be.
    fs::write(
        got.path.with_file_name("007.json"),
        fs::read_to_string(got.path.with_extension("json"))
            .unwrap()
            .replace("\"number\": 1", "\"number\": 7")
            .replace("\"admin\": \"001\"", "\"admin\": \"\""),
    )
    .unwrap();
    // What a process left that was killed as it removed one.
    let trash = got.path.with_file_name(".trash-1");
    fs::create_dir(&trash).unwrap();
    write(&trash, "half.txt", "half");
    assert_eq!(pool.prune(8).unwrap(), [7]);
    assert!(!trash.exists());
    assert_eq!(pool.prune(0).unwrap(), [1]);
    assert!(!got.path.exists() && !got.admin.exists());
    assert_eq!(f.git(&["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
}
