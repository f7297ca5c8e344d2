//! Branches as a power cut leaves them.

use std::time::{Duration, SystemTime};

use super::*;
use crate::git::Error;
use crate::git::branch;
use crate::git::broken::{mend, mend_index, remove_empty_objects, set_spoilt_objects_aside};

const NAME: &str = "refs/heads/sprint-task/001-demo/T001/1";

/// A task's branch with two commits, as an agent's git makes them.
struct Attempt {
    f: Fixture,
    base: CommitSha,
    first: CommitSha,
    second: CommitSha,
}

impl Attempt {
    fn new() -> Self {
        let f = Fixture::new();
        let base = f.head();
        let first = f.commit(&base, &[("one", Some("1"))]);
        let second = f.commit(&first, &[("two", Some("2"))]);
        for commit in [&base, &first, &second] {
            f.git(&["update-ref", "--create-reflog", NAME, commit.as_str()]);
        }
        Self { f, base, first, second }
    }

    fn path(&self) -> PathBuf {
        self.f.repo.common_dir.join(NAME)
    }

    /// An object's file without what was in it.
    fn empty(&self, object: &str) {
        let path = self.f.repo.common_dir.join("objects").join(&object[..2]).join(&object[2..]);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
    }

    fn mended(&self) -> Option<CommitSha> {
        let to = mend(&self.f.repo, NAME, &self.base).unwrap();
        assert_eq!(mend(&self.f.repo, NAME, &self.base).unwrap(), None, "once is enough");
        to
    }
}

#[test]
fn a_branch_that_is_whole_or_not_there_is_left_alone() {
    let attempt = Attempt::new();
    assert_eq!(attempt.mended(), None);
    assert_eq!(attempt.f.repo.reference(NAME).unwrap(), Some(attempt.second.clone()));
    fs::remove_file(attempt.path()).unwrap();
    assert_eq!(attempt.mended(), None);
    assert_eq!(attempt.f.repo.reference(NAME).unwrap(), None);
}

#[test]
fn an_empty_reference_goes_back_to_the_newest_commit() {
    let attempt = Attempt::new();
    fs::write(attempt.path(), "").unwrap();
    assert_eq!(attempt.mended(), Some(attempt.second.clone()));
    assert_eq!(attempt.f.repo.reference(NAME).unwrap(), Some(attempt.second.clone()));
}

#[test]
fn a_commit_of_which_something_is_missing_is_passed_over() {
    let attempt = Attempt::new();
    let two = attempt.f.git(&["rev-parse", &format!("{}:two", attempt.second)]);
    attempt.empty(two.trim());
    assert_eq!(attempt.mended(), Some(attempt.first.clone()));
    attempt.empty(attempt.first.as_str());
    assert_eq!(attempt.mended(), Some(attempt.base.clone()), "nothing of the attempt is whole");
}

#[test]
fn an_index_that_names_what_is_gone_is_made_anew_and_files_stay() {
    let f = Fixture::new();
    let acquired = f.pool().acquire(&task_owner("T001"), &f.head(), Some(&NAME[11..]), &f.author()).unwrap();
    let worktree = acquired.worktree;
    let git = |args: &[&str]| git(&worktree.path, args);
    fs::write(worktree.path.join("two.txt"), "two").unwrap();
    git(&["add", "two.txt"]);
    git(&["add", "-N", "."]);
    assert!(!mend_index(&worktree).unwrap());
    let blob = git(&["hash-object", "two.txt"]);
    let path = f.repo.common_dir.join("objects").join(&blob[..2]).join(blob[2..].trim());
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    assert!(mend_index(&worktree).unwrap());
    assert!(!mend_index(&worktree).unwrap());
    assert_eq!(fs::read_to_string(worktree.path.join("two.txt")).unwrap(), "two");
    fs::write(worktree.admin.join("index"), "").unwrap();
    assert!(mend_index(&worktree).unwrap(), "an empty one too");
    assert_eq!(remove_empty_objects(&f.repo.common_dir).unwrap(), 1);
    assert_eq!(remove_empty_objects(&f.repo.common_dir).unwrap(), 0);
    assert!(git(&["status", "--porcelain"]).contains("two.txt"));
    git(&["add", "two.txt"]);
    assert_eq!(git(&["cat-file", "-p", ":two.txt"]), "two", "it can be written again");
}

#[test]
fn an_object_that_is_cut_off_is_put_aside_and_written_again_and_older_ones_are_not_read() {
    let attempt = Attempt::new();
    let objects = attempt.f.repo.common_dir.join("objects");
    let path = |object: &str| objects.join(&object[..2]).join(&object[2..]);
    let cut = |object: &str| {
        let bytes = fs::read(path(object)).unwrap();
        fs::remove_file(path(object)).unwrap();
        fs::write(path(object), &bytes[..bytes.len() - 4]).unwrap();
    };
    let blob = |commit: &CommitSha, file: &str| {
        attempt.f.git(&["rev-parse", &format!("{commit}:{file}")]).trim().to_owned()
    };
    assert_eq!(set_spoilt_objects_aside(&attempt.f.repo).unwrap(), 0, "all is whole");
    let (one, two) = (blob(&attempt.first, "one"), blob(&attempt.second, "two"));
    cut(&two);
    // What another object is, under its name.
    fs::remove_file(path(attempt.second.as_str())).unwrap();
    fs::copy(path(&one), path(attempt.second.as_str())).unwrap();
    let whole = fs::read(path(&one)).unwrap();
    cut(&one);
    let long_ago = SystemTime::now() - Duration::from_hours(1);
    fs::File::options().append(true).open(path(&one)).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(set_spoilt_objects_aside(&attempt.f.repo).unwrap(), 2);
    assert_eq!(set_spoilt_objects_aside(&attempt.f.repo).unwrap(), 0, "once is enough");
    assert!(path(&one).exists() && !path(&two).exists());
    assert!(path(&two).with_file_name(format!("tmp_obj_spoilt_{}", &two[2..])).exists(), "it is kept");
    fs::write(path(&one), whole).unwrap();
    assert_eq!(attempt.mended(), Some(attempt.first.clone()));
    let two_again = attempt.f.repo.common_dir.join("two");
    fs::write(&two_again, "2").unwrap();
    assert_eq!(attempt.f.git(&["hash-object", "-w", &two_again.to_string_lossy()]).trim(), two);
    assert_eq!(attempt.f.git(&["cat-file", "-p", &two]), "2", "it can be written again");
}

#[test]
fn what_lies_in_a_worktree_whose_commit_cannot_be_read_is_saved_before_the_next_attempt() {
    for detached in [false, true] {
        let f = Fixture::new();
        let branch = |attempt: u32| branch::task(&feature(), &task("T001"), attempt);
        let acquire =
            |n| f.pool().acquire(&task_owner("T001"), &f.head(), Some(&branch(n)), &f.author()).unwrap();
        let worktree = acquire(1).worktree;
        let git = |args: &[&str]| git(&worktree.path, args);
        if detached {
            git(&["checkout", "-q", "--detach"]);
        }
        fs::write(worktree.path.join("two.txt"), "two").unwrap();
        git(&["add", "two.txt"]);
        git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "mine"]);
        let commit = git(&["rev-parse", "HEAD"]);
        fs::remove_file(f.repo.common_dir.join("objects").join(&commit[..2]).join(commit[2..].trim()))
            .unwrap();
        let next = acquire(2).worktree;
        assert_eq!(next.head().unwrap(), f.head(), "detached: {detached}");
        assert!(!next.path.join("two.txt").exists());
        assert_eq!(f.git(&["show", "refs/sprint/wip/001-thing/T001/1:two.txt"]), "two");
    }
}

#[test]
fn a_git_that_is_killed_says_nothing_of_the_repository() {
    let f = Fixture::new();
    let kill = |pid: u32| {
        let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    };
    let asked = f.repo.git().args(["hash-object", "--stdin"]).stdin("x").on_spawn(Some(&kill)).output();
    assert!(matches!(&asked, Err(Error::Failed { status, .. }) if status == "signal 9"), "{asked:?}");
}
