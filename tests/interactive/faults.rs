//! A program with a screen that dies, is killed, is resized and typed into by others; and workers and
//! supervisors that die while a prompt is on its way.

use std::collections::HashSet;
use std::fmt::Write as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::common::processes::alive;
use crate::common::{World, task_row};
use crate::{agent, landed, ready, world};

fn end(pid: u32) {
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
}

/// The program that works on the task, when it has begun.
fn program(world: &World) -> u32 {
    world.wait_until("the program works", || world.read("pids").lines().count() > 0);
    world.read("pids").lines().last().unwrap().parse().unwrap()
}

fn worker(world: &World) -> u32 {
    let status = world.wait_for("the worker", |status| {
        status["workers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["name"] == "developer-1" && row["pid"].is_u64())
    });
    let workers = status["workers"].as_array().unwrap().clone();
    let row = workers.into_iter().find(|row| row["name"] == "developer-1").unwrap();
    u32::try_from(row["pid"].as_u64().unwrap()).unwrap()
}

#[test]
fn one_that_dies_in_the_middle_of_its_turn_costs_an_attempt_and_says_how() {
    let world = world("write it, dies", &["--hooks", "--prompt", "{prompt}"]);
    ready(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:2");
    let shown = world.sprint(&["task", "show", "T001"]).expect(0).stdout;
    assert!(shown.contains("the agent ended with exit code 3"), "{shown}");
    assert!(shown.contains("half a screen"), "its last words: {shown}");
    world.assert_nothing_left();
}

#[test]
fn a_daemon_that_it_leaves_behind_is_ended() {
    let world = world("write it, forks", &["--hooks", "--prompt", "{prompt}"]);
    ready(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert!(!alive(world.read("daemon").trim().parse().unwrap()));
    world.assert_nothing_left();
}

#[test]
fn one_that_is_killed_costs_an_attempt_and_its_worker_lives() {
    let world = world("write it, waits", &["--hooks", "--prompt", "{prompt}"]);
    ready(&world);
    world.detach();
    let (pid, of) = (program(&world), worker(&world));
    end(pid);
    world.wait_for("the next attempt", |status| task_row(status, "T001")["attempt"] == 2);
    assert_eq!(worker(&world), of);
    world.touch("go");
    landed(&world);
    assert_eq!(world.landed(), "T001:2");
    let shown = world.sprint(&["task", "show", "T001"]).expect(0).stdout;
    assert!(shown.contains("the agent was killed by signal 9"), "{shown}");
}

#[test]
fn a_pane_that_a_person_kills_costs_no_attempt() {
    let world = world("write it, waits", &["--hooks", "--prompt", "{prompt}"]);
    ready(&world);
    world.detach();
    let pid = program(&world);
    world.tmux(&["kill-pane", "-t", "developer-1"]).expect(0);
    world.wait_until("its program is ended", || !alive(pid));
    world.wait_until("another one works", || world.read("pids").lines().count() == 2);
    world.touch("go");
    landed(&world);
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn a_storm_of_sizes_leaves_the_last_one() {
    let world = world("write it, waits", &["--hooks", "--prompt", "{prompt}"]);
    ready(&world);
    world.detach();
    world.wait_for("it works", |status| agent(status)["state"] == "busy");
    let mut words: Vec<String> = Vec::new();
    for step in 0..300 {
        let (columns, rows) = (1 + step * 7 % 200, 1 + step * 3 % 60);
        let resize = format!("resize-window -t developer-1 -x {columns} -y {rows} ;");
        words.extend(resize.split(' ').map(str::to_owned));
    }
    words.extend("resize-window -t developer-1 -x 77 -y 21".split(' ').map(str::to_owned));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    world.tmux(&words).expect(0);
    world.wait_until("the last size is told", || world.read("sizes").ends_with("21 77\n"));
    assert_eq!(agent(&world.status())["state"], "busy");
    world.touch("go");
    landed(&world);
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn one_that_is_never_ready_is_an_error_that_somebody_sees() {
    let mut world = world("write it", &["--blank"]);
    world.set("agent.mine.interactive.ready_wait", "\"2s\"");
    world.set("agent.mine.interactive.accept_wait", "\"1s\"");
    ready(&world);
    world.detach();
    let status = world.wait_for("the error", |status| !status["needs_you"].as_array().unwrap().is_empty());
    let row = task_row(&status, "T001");
    assert_eq!(row["attempt"], 1, "{status:#}");
    let reason = status["needs_you"][0]["text"].as_str().unwrap();
    assert!(reason.contains("has not taken its prompt within 3s; it shows `loading`"), "{status:#}");
    assert!(!world.exists("prompts"));
    world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
}

/// A prompt that is longer than a terminal takes at once, on its way to a program that does not read.
fn half_typed() -> World {
    let mut world = world("write it", &["--slow"]);
    let mut long = String::new();
    for line in 0..20_000 {
        writeln!(long, "line {line}").unwrap();
    }
    world.file(".sprint/prompts/develop.md", &format!("{long}The end of {{{{ task.id }}}}.\n"));
    world.set("agent.mine.interactive.accept_wait", "\"20s\"");
    ready(&world);
    world.detach();
    world.wait_until("it is typed", || world.exists("typing"));
    world
}

fn prompts(world: &World) -> Vec<String> {
    let all = world.read("prompts");
    all.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn a_supervisor_that_is_killed_while_a_prompt_is_typed_changes_nothing_about_it() {
    let world = half_typed();
    let supervisor = world.supervisor().unwrap();
    end(supervisor);
    world.wait_until("it is dead", || !alive(supervisor));
    world.touch("read");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(prompts(&world), ["The end of T001."]);
    world.assert_nothing_left();
}

#[test]
fn a_worker_that_is_killed_while_a_prompt_is_typed_types_it_again_into_another_program() {
    let world = half_typed();
    end(worker(&world));
    let pids = |world: &World| world.read("typing").lines().map(str::to_owned).collect::<HashSet<_>>();
    world.wait_until("another program is typed into", || pids(&world).len() == 2);
    world.touch("read");
    landed(&world);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(prompts(&world), ["The end of T001."], "half a prompt was never submitted");
}

#[test]
fn what_a_person_types_is_not_mixed_with_what_sprint_types() {
    let world = world("write it, is-lazy", &["--hooks", "--prompt", "{prompt}"]);
    ready(&world);
    world.detach();
    // Its turn ends without a change, and sprint would remind it a second later.
    world.wait_until("its turn is over", || world.read("prompts").lines().count() == 1);
    world.tmux(&["send-keys", "-t", "developer-1", "-l", "Go on with it: "]).expect(0);
    let since = std::time::Instant::now();
    world.wait_until("sprint would have typed", || since.elapsed() > std::time::Duration::from_secs(4));
    assert_eq!(prompts(&world).len(), 1);
    world.tmux(&["send-keys", "-t", "developer-1", "-l", "write it"]).expect(0);
    world.tmux(&["send-keys", "-t", "developer-1", "Enter"]).expect(0);
    world.wait_until("it has taken the person's words", || prompts(&world).len() == 2);
    assert_eq!(prompts(&world)[1], "Go on with it: write it");
    landed(&world);
    assert_eq!(prompts(&world).len(), 2, "nothing was typed beside");
    assert_eq!(task_row(&world.status(), "T001")["attempt"], json!(1));
}
