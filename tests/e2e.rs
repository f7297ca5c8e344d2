//! Whole sprints on real tmux, git and SQLite, seen from outside.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails loudly, and shares what is in common/"
)]

#[path = "e2e/agents.rs"]
mod agents;
#[path = "e2e/broken_tools.rs"]
mod broken_tools;
mod common;
#[path = "e2e/conflicts.rs"]
mod conflicts;
#[path = "e2e/control.rs"]
mod control;
#[path = "e2e/conversations.rs"]
mod conversations;
#[path = "e2e/deaths.rs"]
mod deaths;
#[path = "e2e/doctor.rs"]
mod doctor;
#[path = "e2e/features.rs"]
mod features;
#[path = "e2e/gates.rs"]
mod gates;
#[path = "e2e/limits.rs"]
mod limits;
#[path = "e2e/locks.rs"]
mod locks;
#[path = "e2e/lost.rs"]
mod lost;
#[path = "e2e/mended.rs"]
mod mended;
#[path = "e2e/misdeeds.rs"]
mod misdeeds;
#[path = "e2e/money.rs"]
mod money;
#[path = "e2e/prompts.rs"]
mod prompts;
#[path = "e2e/questions.rs"]
mod questions;
#[path = "e2e/secrets.rs"]
mod secrets;
#[path = "e2e/sleep.rs"]
mod sleep;
#[path = "e2e/stalled.rs"]
mod stalled;
#[path = "e2e/triage.rs"]
mod triage;
#[path = "e2e/verify.rs"]
mod verify;

#[path = "e2e/roles.rs"]
mod roles;

use common::World;

#[test]
fn the_demo_of_the_contract_lands_and_leaves_nothing_behind() {
    let world = World::demo();
    let head = world.git(&["rev-parse", "HEAD"]);
    let shown = world.start().expect(0);
    world.assert_nothing_left();
    assert!(shown.stdout.contains("git merge sprint/001-demo"), "{}", shown.stdout);
    let landed = world.landed().replace("T003", "T002").replace("T002:1 T002:1", "T00x T00x");
    assert_eq!(landed, "T001:1 T00x T00x T004:2");
    assert_eq!(world.landed_file("src/all.txt"), "two\nthree");
    assert_eq!(world.landed_file("specs/001-demo/tasks.md").to_lowercase().matches("- [x] t00").count(), 4);
    assert_eq!(world.git(&["rev-parse", "HEAD"]), head, "the checkout is not touched");
    assert_eq!(world.git(&["symbolic-ref", "--short", "HEAD"]), "main");
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    let again = world.start().expect(0);
    assert!(again.stdout.contains("4 of 4 tasks are done"), "{}", again.stdout);
    world.assert_nothing_left();
    assert_eq!(world.sprint(&["health", "--json"]).code, 3, "nothing runs: down");
}
