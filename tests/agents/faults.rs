//! What happens when the provider does not serve, or the program refuses what the model wants.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::common::{World, task_row};
use crate::features::world;
use crate::homes::{Homes, programs};
use crate::standin::Standin;
use crate::standin::scenario::{Scenario, Step, bash, call, fault, fault_times, http, say, write};

fn refused(agent: &str, status: u16, reason: &str) {
    refused_in("headless", agent, status, reason);
}

fn refused_in(mode: &str, agent: &str, status: u16, reason: &str) {
    let Some(programs) = programs(agent) else { return };
    let scenario = Scenario::default().rule("T001", [fault(http(status))]);
    let scenario = if agent == "aider" { scenario.without_tools() } else { scenario };
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = world(agent, &programs, &homes, &standin);
    world.set(&format!("agent.{agent}.mode"), &format!("{mode:?}"));
    if mode == "interactive" {
        asks_nothing(&mut world, agent);
    }
    world.configure();
    world.commit("the mode");
    homes.trust(&world);
    world.be_patient(Duration::from_mins(3));
    world.detach();
    let status = world.wait_for("the failure", |status| {
        status["needs_you"][0]["text"].as_str().is_some_and(|text| text.contains(reason))
    });
    assert_eq!(status["needs_you"][0]["kind"], "operator", "{status:#}");
    assert_eq!(task_row(&status, "T001")["attempt"], 1, "no attempt is spent");
    let asked = standin.count();
    let shown = world.sprint(&["status"]).expect(0).stdout;
    assert!(shown.contains("is on hold, until you have seen to it"), "{shown}");
    assert_eq!(standin.count(), asked, "nobody asks again");
    world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
}

/// The person's word that a program that asks about each file or command may go on.
fn asks_nothing(world: &mut World, agent: &str) {
    let flag = match agent {
        "aider" => "--yes-always",
        "mini-swe-agent" => "--yolo",
        _ => return,
    };
    world.set(&format!("agent.{agent}.args"), &format!("[{flag:?}]"));
}

#[test]
fn a_limit_on_mini_swe_agents_screen_is_waited_for_and_spends_no_attempt() {
    let Some(programs) = programs("mini-swe-agent") else { return };
    // Three tries, each of which its library does three times.
    let end = bash("echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT");
    let steps = [fault_times(http(429), 9), write("one.txt", "1\n"), end];
    let (homes, standin) = (Homes::new(), Standin::start(Scenario::default().rule("T001", steps)));
    let mut world = world("mini-swe-agent", &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.set("agent.mini-swe-agent.mode", "\"interactive\"");
    asks_nothing(&mut world, "mini-swe-agent");
    world.configure();
    world.commit("one task");
    world.be_patient(Duration::from_mins(3));
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    assert!(events.contains("mini-swe-agent is tried again in 10 s"), "{events}");
    world.assert_nothing_left();
}

#[test]
fn a_limit_is_waited_for_and_spends_no_attempt() {
    let Some(programs) = programs("codex") else { return };
    // Codex itself tries twice in this configuration.
    let steps = [fault_times(http(429), 2), write("one.txt", "1\n"), say("Done.")];
    let (homes, standin) = (Homes::new(), Standin::start(Scenario::default().rule("T001", steps)));
    let mut world = world("codex", &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.set("agents.max_developers", "1");
    world.commit("one task");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    assert!(events.contains("codex is tried again in 10 s"), "{events}");
    assert!(events.contains("codex serves again"), "{events}");
    world.assert_nothing_left();
}

#[test]
fn a_refused_key_of_codex_is_told_and_spends_no_attempt() {
    refused("codex", 401, "refuses the account");
}

#[test]
fn a_refused_key_of_pi_is_told_and_spends_no_attempt() {
    refused("pi", 401, "refuses the account");
}

#[test]
fn a_refused_key_of_opencode_is_told_and_spends_no_attempt() {
    refused("opencode", 401, "refuses the account");
}

#[test]
fn a_refused_key_of_gemini_is_told_and_spends_no_attempt() {
    refused("gemini", 401, "refuses the account");
}

#[test]
fn a_refused_key_of_qwen_is_told_and_spends_no_attempt() {
    refused("qwen", 401, "refuses the account");
}

#[test]
fn a_refused_key_of_aider_is_told_and_spends_no_attempt() {
    refused("aider", 401, "refuses the account");
}

#[test]
fn a_refused_key_of_mini_swe_agent_is_told_and_spends_no_attempt() {
    refused("mini-swe-agent", 401, "refuses the account");
}

#[test]
fn a_refused_key_on_codex_screen_is_told_and_spends_no_attempt() {
    refused_in("interactive", "codex", 401, "refuses the account");
}

#[test]
fn a_refused_key_on_claudes_screen_is_told_and_spends_no_attempt() {
    refused_in("interactive", "claude", 401, "refuses the account");
}

#[test]
fn a_refused_key_on_opencodes_screen_is_told_and_spends_no_attempt() {
    refused_in("interactive", "opencode", 401, "refuses the account");
}

#[test]
fn a_refused_key_on_aiders_screen_is_told_and_spends_no_attempt() {
    refused_in("interactive", "aider", 401, "refuses the account");
}

#[test]
fn a_refused_key_on_mini_swe_agents_screen_is_told_and_spends_no_attempt() {
    refused_in("interactive", "mini-swe-agent", 401, "refuses the account");
}

#[test]
fn no_credit_on_claudes_screen_is_told_and_spends_no_attempt() {
    refused_in("interactive", "claude", 402, "has no credit");
}

#[test]
fn no_credit_on_codex_screen_is_told_and_spends_no_attempt() {
    refused_in("interactive", "codex", 402, "has no credit");
}

/// What the model is refused it does not do, and the program ends with exit 0 all the same.
fn denied(agent: &str, step: Step, reason: &str) {
    let Some(programs) = programs(agent) else { return };
    let scenario = Scenario::default().rule("T001", [step, say("I did it.")]);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let world = world(agent, &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.commit("one task");
    world.start().expect(1);
    let status = world.status();
    let task = task_row(&status, "T001");
    assert_eq!(task["state"], "Parked", "{status:#}");
    let told = task["reason"].as_str().unwrap();
    assert!(told.contains("was denied what it needs") && told.contains(reason), "{told}");
    world.assert_nothing_left();
}

#[test]
fn what_claude_is_denied_is_told() {
    denied("claude", bash("make one.txt"), "make one.txt");
}

#[test]
fn what_opencode_rejects_by_itself_is_told() {
    denied("opencode", write("/nowhere/a.txt", "a\n"), "external_directory");
}

#[test]
fn what_gemini_refuses_is_told() {
    denied("gemini", bash("touch one.txt"), ", but nothing was changed");
}

#[test]
fn what_qwen_refuses_is_told() {
    denied("qwen", bash("touch one.txt"), ", but nothing was changed");
}

#[test]
fn a_write_that_qwen_refuses_is_told() {
    let Some(programs) = programs("qwen") else { return };
    // It takes absolute paths only.
    let refused = call("write_file", json!({"file_path": "one.txt", "content": "1\n"}));
    let told = parked("qwen", &programs, [refused, say("I did it.")]);
    assert!(told.contains("nothing was changed") && told.contains("absolute"), "{told}");
}

/// Why the task is parked, of which the model does this, and for which the program then claims success.
fn parked(agent: &str, programs: &Path, steps: impl IntoIterator<Item = Step>) -> String {
    let (homes, standin) = (Homes::new(), Standin::start(Scenario::default().rule("T001", steps)));
    let world = world(agent, programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.commit("one task");
    world.start().expect(1);
    let status = world.status();
    assert_eq!(task_row(&status, "T001")["state"], "Parked", "{status:#}");
    let shown = world.sprint(&["status"]).expect(0).stdout;
    assert!(shown.contains("sprint task retry T001"), "the next step: {shown}");
    world.assert_nothing_left();
    task_row(&status, "T001")["reason"].as_str().unwrap().to_owned()
}

#[test]
fn what_codex_cannot_run_is_told() {
    let Some(programs) = programs("codex") else { return };
    // Below the temporary directory it makes no helpers for its sandbox; which commands fail then
    // depends on the machine. One that lets nothing be written is the same to the model everywhere.
    for (sandbox, state) in [("workspace-write", "Done"), ("read-only", "Parked")] {
        let steps = [bash("touch one.txt"), say("TASK_COMPLETE")];
        let (homes, standin) = (Homes::new(), Standin::start(Scenario::default().rule("T001", steps)));
        let mut world = world("codex", &programs, &homes, &standin);
        world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
        let words = format!("[\"exec\", \"--json\", \"--sandbox\", {sandbox:?}, \"-\"]");
        world.set("agent.codex.headless.args", &words);
        world.set("agent.codex.headless.resume", "[]");
        world.configure();
        world.commit("one task");
        let home = world.path().join("codex");
        std::fs::create_dir(&home).unwrap();
        std::fs::copy(homes.at("codex").join("config.toml"), home.join("config.toml")).unwrap();
        world.env("CODEX_HOME", &home);
        let shown = world.start();
        let row = task_row(&world.status(), "T001").clone();
        assert_eq!(row["state"], state, "{}", shown.shown());
        let told = row["reason"].as_str().unwrap_or_default();
        assert!(state == "Done" || told.ends_with("claimed success, but nothing was changed"), "{told}");
        world.assert_nothing_left();
    }
}

#[test]
fn what_codex_cannot_commit_sprint_commits_and_nothing_else_is_believed() {
    let Some(programs) = programs("codex") else { return };
    let commit =
        "git add -A && git -c user.name=x -c user.email=x@example.invalid commit --allow-empty -qm x";
    let told = parked("codex", &programs, [bash(commit), say("TASK_COMPLETE")]);
    assert!(told.ends_with("claimed success, but nothing was changed"), "{told}");
    let steps = [bash(&format!("echo 1 > one.txt; {commit}")), say("TASK_COMPLETE")];
    let (homes, standin) = (Homes::new(), Standin::start(Scenario::default().rule("T001", steps)));
    let world = world("codex", &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.commit("one task");
    world.start().expect(0);
    assert_eq!((world.landed_file("one.txt"), world.landed()), ("1".to_owned(), "T001:1".to_owned()));
    let tried =
        standin.requests().iter().any(|request| request.body.to_string().contains("Read-only file system"));
    assert!(tried, "its own commit failed");
    world.assert_nothing_left();
}
