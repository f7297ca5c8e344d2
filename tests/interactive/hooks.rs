//! Hooks in floods, and such as make no sense: the receiver answers at once with exit 0, what is kept
//! is bounded, and how the program stands is known all the same.

use crate::common::World;
use crate::common::processes::alive;
use crate::{agent, landed, ready, world};

/// Bytes that a run's hooks may take.
const KEPT_MAX: u64 = 17 << 20;

fn flooded() -> World {
    let mut world = world("write it, floods, waits", &["--hooks", "--prompt", "{prompt}"]);
    world.env("FLOOD", std::env::var("SPRINT_TEST_FLOOD").unwrap_or_else(|_| "2000".to_owned()));
    ready(&world);
    world.detach();
    world
}

/// Each hook of the flood was kept once, nothing of others, and not more than a run may tell.
fn check(world: &World) {
    world.wait_until("the flood is over", || world.exists("flooded"));
    let runs = std::fs::read_dir(world.state().join("runs")).unwrap().flatten();
    let kept = runs.map(|run| run.path().join("hooks.jsonl")).find(|path| path.exists()).unwrap();
    assert!(std::fs::metadata(&kept).unwrap().len() < KEPT_MAX);
    let text = std::fs::read_to_string(kept).unwrap();
    let mut numbers: Vec<u32> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|line| line["payload"]["number"].as_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let calls = world.environment()[std::ffi::OsStr::new("FLOOD")].to_str().unwrap().parse().unwrap();
    assert_eq!(numbers, (0..calls).collect::<Vec<_>>());
}

#[test]
fn a_flood_of_hooks_is_kept_within_bounds_and_the_state_is_right() {
    let world = flooded();
    check(&world);
    let status = world.wait_for("it works", |status| agent(status)["state"] == "busy");
    assert_eq!(agent(&status)["source"], "hook", "{status:#}");
    // The supervisor was told of changes, and not of hooks.
    let events = world.sprint(&["events", "-n", "10000"]).expect(0).stdout;
    assert!(events.lines().count() < 200, "{}", events.lines().count());
    world.touch("go");
    landed(&world);
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn a_flood_while_the_supervisor_is_down_is_kept_too() {
    let world = flooded();
    world.wait_until("the program works", || world.exists("prompts"));
    let supervisor = world.supervisor().unwrap();
    let killed = nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(supervisor.cast_signed()),
        nix::sys::signal::Signal::SIGKILL,
    );
    killed.unwrap();
    world.wait_until("it is dead", || !alive(supervisor));
    check(&world);
    world.touch("go");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    world.assert_nothing_left();
}
