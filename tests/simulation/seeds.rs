//! Bugs that are put in on purpose (`sprint::seeded`) are seen by the random schedules, in a process of its
//! own that has them. Those that need a real store or git are in `tests/reliability/seeds.rs`.

use std::process::Command;

/// The same schedules as always, with the bug or without any.
fn schedules(bug: &str) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "schedules::many_schedules_1", "--nocapture"]);
    command.env("SPRINT_SEEDED_BUG", bug).env("SPRINT_TEST_SCHEDULES", "80");
    let output = command.env_remove("SPRINT_SCHEDULE_SEED").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[track_caller]
fn caught(bug: &str, by: &str) {
    let (passed, said) = schedules(bug);
    assert!(!passed && said.contains(by), "`{bug}` is not seen: {said}");
}

#[test]
fn the_schedules_hold_without_a_bug() {
    let (passed, said) = schedules("");
    assert!(passed && said.contains("1 passed"), "{said}");
}

#[test]
fn one_token_for_all_runs_is_seen() {
    caught("same-token", "two runs have one token");
}

#[test]
fn a_late_report_that_counts_is_seen() {
    caught("late-report", "a stale report ended a run");
}
