//! Bugs that are put in on purpose (`sprint::seeded`) are seen: each by a disturbance that a sprint without it
//! gets over. Those of the state machine alone are in `tests/simulation/seeds.rs`.

use std::time::Duration;

use crate::order;
use crate::point::Recording;
use crate::scene::Scene;
use crate::tracer::{Call, Deed};

/// With a bug a sprint may hang for ever.
const LIMIT: Duration = Duration::from_secs(12);

/// Runs with a bug, of which one must show it.
const TRIES: usize = 5;

/// The same with the bug and without it.
#[track_caller]
fn caught(bug: &str, before: &str, disturb: impl Fn(&Scene) -> Result<(), String>) {
    let sound = disturb(&Scene::with("", before, LIMIT));
    assert!(sound.is_ok(), "without a bug: {sound:?}");
    // What a bug does early or twice may come late, or once, on a busy machine: it shows in one of some runs.
    let mut runs = (0..TRIES).map(|_| disturb(&Scene::with(bug, before, LIMIT)));
    let broken = runs.find_map(Result::err);
    println!("{bug}: {broken:?}");
    assert!(broken.is_some(), "`{bug}` is not seen in {TRIES} runs");
}

fn in_order(scene: &Scene) -> Result<(), String> {
    let mut recording = Recording::default();
    let status = scene.play(&mut |call| {
        recording.add(call);
        Deed::Let
    });
    scene.judge(status, false)?;
    order::check(recording.calls())
}

/// Kills whoever makes the first call of which `when` is true.
fn killed(scene: &Scene, mut when: impl FnMut(&Call) -> bool + Send) -> Result<(), String> {
    let mut met = false;
    let status = scene.play(&mut |call| {
        met = when(call);
        if met { Deed::Kill } else { Deed::Let }
    });
    if met { scene.judge(status, false) } else { Err("nobody was killed".to_owned()) }
}

/// The `nth` time that a branch is about to move; the first time it is made.
fn moves(nth: usize) -> impl FnMut(&Call) -> bool + Send {
    let mut count = 0;
    move |call| {
        count += usize::from(is(call, "git update-ref of supervise", "rename", "branch"));
        count == nth && is(call, "git update-ref of supervise", "rename", "branch")
    }
}

fn is(call: &Call, process: &str, name: &str, kind: &str) -> bool {
    call.process == process && call.name == name && call.kind == kind
}

/// A person commits on the integration branch just before a call; whether that commit is still on it at the
/// end.
fn foreign(scene: &Scene, mut when: impl FnMut(&Call) -> bool + Send) -> Result<(), String> {
    const BRANCH: &str = "refs/heads/sprint/001-demo";
    let mut theirs = None;
    scene.play(&mut |call| {
        if theirs.is_none() && when(call) {
            let tree = format!("{BRANCH}^{{tree}}");
            let commit = scene.world.git(&["commit-tree", &tree, "-p", BRANCH, "-m", "by hand"]);
            scene.world.git(&["update-ref", BRANCH, &commit]);
            theirs = Some(commit);
        }
        Deed::Let
    });
    let theirs = theirs.ok_or("there was no such call")?;
    let on_it = scene.world.git(&["branch", "--list", "--contains", &theirs, "sprint/001-demo"]);
    if on_it.is_empty() { Err("a person's commit is gone from the branch".to_owned()) } else { Ok(()) }
}

#[test]
fn a_skipped_sync_is_seen() {
    caught("skipped-sync", "", in_order);
}

#[test]
fn a_database_that_does_not_wait_for_the_disk_is_seen() {
    caught("normal-sync", "", in_order);
}

#[test]
fn a_landing_before_the_database_knows_of_it_is_seen() {
    caught("early-dispatch", "", in_order);
}

#[test]
fn a_move_without_compare_and_swap_is_seen() {
    caught("no-compare-and-swap", "", |scene| {
        let mut made = false;
        foreign(scene, move |call| {
            let is_lock = is(call, "git update-ref of supervise", "openat", "branch.lock");
            let lands = is_lock && made;
            made |= is_lock;
            lands
        })
    });
}

#[test]
fn an_old_place_that_comes_from_the_branch_is_seen() {
    caught("old-from-ref", "", |scene| foreign(scene, |call| is(call, "worker merger", "rename", "report")));
}

#[test]
fn locks_that_stay_are_seen() {
    caught("locks-stay", "", |scene| killed(scene, moves(2)));
}

#[test]
fn a_landing_that_is_given_up_blindly_is_seen() {
    caught("blind-requeue", "", |scene| {
        let (mut lands, mut moved) = (moves(2), false);
        killed(scene, move |call| {
            moved |= lands(call);
            moved && call.process == "supervise"
        })
    });
}

#[test]
fn an_epoch_that_is_not_raised_is_seen() {
    caught("same-epoch", "", |scene| {
        let mut works = false;
        killed(scene, move |call| {
            works |= call.process == "worker developer";
            works && call.process == "supervise"
        })
    });
}

#[test]
fn a_death_that_is_not_confirmed_is_seen() {
    // What the agent has started outlives it, and is in the worktree when the next one begins. It says itself
    // that it holds the lock, and both are waited for, as nobody knows which of the workers is killed.
    let before = "flock -n \"$W/lock-$1\" true || echo \"$1\" >> \"$W/overlap\"\n\
                  setsid flock \"$W/lock-$1\" sh -c 'touch \"$W/at-work-$0\"; exec sleep 8' \"$1\" \
                  < /dev/null > /dev/null 2>&1 &\n\
                  for look in 1 2 3 4 5 6 7 8 9 10; do\n\
                  [ -e \"$W/at-work-T001\" ] && [ -e \"$W/at-work-T002\" ] && break; sleep 0.2\n\
                  done\n\
                  echo at work; sleep 0.3";
    caught("unconfirmed-death", before, |scene| {
        let at_work = || ["at-work-T001", "at-work-T002"].iter().all(|name| scene.world.exists(name));
        killed(scene, |call| call.process == "worker developer" && at_work())?;
        if scene.world.exists("overlap") { Err("two programs in one worktree".to_owned()) } else { Ok(()) }
    });
}

#[test]
fn leftovers_that_are_not_saved_are_seen() {
    let before = "[ \"$1\" != T001 ] || { echo half > half.txt; echo 'BLOCKED: which?'; exit 0; }";
    caught("leftovers-lost", before, |scene| {
        let status = scene.play(&mut |_| Deed::Let);
        assert_eq!(status.and_then(|status| status.code()), Some(1), "somebody is asked");
        let saved = scene.world.git(&["for-each-ref", "--format=%(refname)", "refs/sprint/wip"]);
        let has = |name: &str| scene.world.git(&["ls-tree", "-r", "--name-only", name]).contains("half.txt");
        if saved.lines().any(has) { Ok(()) } else { Err(format!("half.txt is in none of `{saved}`")) }
    });
}
