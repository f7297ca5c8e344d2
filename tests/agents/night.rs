//! A night: the service limits, a task asks, a program waits at a dialog, the supervisor is killed.
//! In the morning everything has landed, or waits for a reason that has a name; nothing was lost,
//! and no attempt was spent on what no developer can help.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{World, processes, task_row};
use crate::features::{permission, world};
use crate::homes::{Homes, programs};
use crate::standin::Standin;
use crate::standin::scenario::{Scenario, fault_times, http, say, write};

const TASKS: &str = "## Phase 1: Work\n\n- [ ] T001 [P] write one.txt\n- [ ] T002 [P] write two.txt\n\
                     - [ ] T003 [P] write wish.txt\n- [ ] T004 [P] write four.txt\n";

fn waits(status: &Value, task: &str, kind: &str) -> bool {
    let needs = status["needs_you"].as_array().unwrap();
    needs.iter().any(|need| need["task"] == task && need["kind"] == kind)
}

fn kill_the_supervisor(world: &World) {
    let supervisor = world.supervisor().unwrap();
    let pid = nix::unistd::Pid::from_raw(supervisor.cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    world.wait_until("it is dead", || !processes::alive(supervisor));
}

#[test]
fn a_night_of_codex_on_its_screen() {
    let agent = "codex";
    let Some(programs) = programs(agent) else { return };
    let homes = Homes::new();
    let asked = permission(agent, &homes, "wish.txt");
    let scenario = Scenario::default()
        .rule("forty-two", [write("two.txt", "42\n"), say("Written.")])
        .rule("task: T001", [fault_times(http(429), 2), write("one.txt", "1\n"), say("Done.")])
        .rule("task: T002", [say("I need a number.\nBLOCKED: which number?")])
        .rule("task: T003", asked.steps)
        .rule("task: T004", [fault_times(http(429), 1), write("four.txt", "4\n"), say("Done.")]);
    let standin = Standin::start(scenario);
    let mut world = world(agent, &programs, &homes, &standin);
    world.feature("001-demo", TASKS);
    world.set("agents.max_developers", "3");
    world.set("agent.codex.mode", "\"interactive\"");
    world.configure();
    world.commit("a night");
    homes.trust(&world);
    world.be_patient(Duration::from_mins(5));
    world.detach();
    world.wait_for("the permission", |status| waits(status, "T003", "permission"));
    kill_the_supervisor(&world);
    world.detach();
    // The morning.
    let morning = world.wait_for("the morning", |status| {
        let done = ["T001", "T004"].iter().all(|task| task_row(status, task)["state"] == "Done");
        done && waits(status, "T002", "answer") && waits(status, "T003", "permission")
    });
    let attempts = ["T001", "T002", "T003", "T004"].map(|task| task_row(&morning, task)["attempt"].clone());
    assert_eq!(attempts, [1, 1, 1, 1].map(|n| json!(n)), "{morning:#}");
    let events = world.sprint(&["events", "-n", "300"]).expect(0).stdout;
    assert!(events.contains("codex is tried again in"), "{events}");
    world.sprint(&["answer", "T002", "forty-two"]).expect(0);
    let worker = task_row(&morning, "T003")["worker"].as_str().unwrap().to_owned();
    world.tmux(&["send-keys", "-t", &worker, asked.yes]).expect(0);
    world.wait_until("the sprint has ended", || world.supervisor().is_none());
    let files = ["one.txt", "two.txt", "wish.txt", "four.txt"].map(|name| world.landed_file(name));
    assert_eq!(files, ["1", "42", "4", "4"]);
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}
