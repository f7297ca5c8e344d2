//! Locks that a git which was killed has left, and locks that somebody holds.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use crate::common::World;

const WAITS: &str =
    "touch $W/here; until [ -e $W/go ]; do sleep 0.1; done\necho a > a.txt; git add -A; git commit -qm a";

fn problems(world: &World) -> String {
    world.sprint(&["health", "--json"]).json()["problems"].to_string()
}

/// Makes a lock file that is a minute old.
fn lock(world: &World, name: &str) -> std::path::PathBuf {
    let path = world.repo().join(".git").join(name);
    let file = fs::File::create(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();
    path
}

#[test]
fn a_shared_lock_is_left_to_a_living_git_and_removed_when_it_is_nobodys() {
    let mut world = World::with("- [ ] T001 write a.txt\n", WAITS);
    world.be_patient(Duration::from_mins(3));
    world.detach();
    world.wait_until("the agent", || world.exists("here"));
    let mut command = world.command("git");
    command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut git = command.spawn().unwrap();
    let (shared, persons) = (lock(&world, "packed-refs.lock"), lock(&world, "index.lock"));
    let told = problems(&world);
    assert!(told.contains("packed-refs.lock") && told.contains(&git.id().to_string()), "{told}");
    assert!(!told.contains("index.lock"), "a git of the person's may hold it: {told}");
    git.kill().unwrap();
    git.wait().unwrap();
    let told = problems(&world);
    assert!(told.contains("index.lock") && told.contains("sprint never touches your checkout"), "{told}");
    world.touch("go");
    world.wait_until("the lock is nobody's", || !shared.exists());
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1");
    assert!(persons.exists(), "that of the person's checkout is the person's");
    let branches = world.git(&["for-each-ref", "--format=%(refname)", "refs/heads/sprint-task"]);
    assert_eq!(branches, "", "what had to wait for the lock was done after it");
}

#[test]
fn the_locks_of_a_worktree_go_with_the_run_that_has_left_them() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        "if [ $SPRINT_ATTEMPT = 1 ]; then for name in index HEAD; do touch $(git rev-parse --git-dir)/$name.lock; done; exit 1; fi\n\
         echo a > a.txt; git add -A; git commit -qm a",
    );
    world.start().expect(0);
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:2");
}
