//! A conversation that the program does not know any more: the same attempt goes on in a new one.

use crate::common::task_row;
use crate::features::world;
use crate::homes::{Homes, programs};
use crate::standin::Standin;
use crate::standin::scenario::{Scenario, say, write};

/// `unknown`: a name as the program gives them, of a conversation that never was.
fn goes_on_without_it(agent: &str, unknown: &str) {
    goes_on(agent, unknown, "headless");
}

fn goes_on(agent: &str, unknown: &str, mode: &str) {
    let Some(programs) = programs(agent) else { return };
    let scenario = Scenario::default()
        .rule("forty-two", [write("one.txt", "42\n"), say("Written.")])
        .rule("T001", [say("I need a number.\nBLOCKED: which number?")]);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = world(agent, &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.set(&format!("agent.{agent}.mode"), &format!("{mode:?}"));
    world.configure();
    world.commit("one task");
    if mode == "interactive" {
        homes.trust(&world);
    }
    world.start().expect(1);
    let file = world.state().join("sessions/001-demo/T001-InProgress.json");
    let text = std::fs::read(&file).unwrap();
    let mut known: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_ne!(known["session"], "", "{known}");
    known["session"] = unknown.into();
    std::fs::write(&file, known.to_string()).unwrap();
    world.sprint(&["answer", "T001", "forty-two"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1", "{:#}", task_row(&world.status(), "T001"));
    assert_eq!(world.landed_file("one.txt"), "42");
    let answered = standin.requests().into_iter().find(|request| request.user.contains("forty-two")).unwrap();
    assert!(answered.user.contains("which number?"), "{}", answered.user);
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}

const UUID: &str = "01234567-89ab-7cde-8f01-23456789abcd";

#[test]
fn claude_goes_on_in_a_new_conversation() {
    goes_on_without_it("claude", UUID);
}

#[test]
fn claude_goes_on_in_a_new_conversation_on_its_screen() {
    goes_on("claude", UUID, "interactive");
}

#[test]
fn codex_goes_on_in_a_new_conversation_on_its_screen() {
    goes_on("codex", UUID, "interactive");
}

#[test]
fn codex_goes_on_in_a_new_conversation() {
    goes_on_without_it("codex", UUID);
}

#[test]
fn pi_goes_on_in_a_new_conversation() {
    goes_on_without_it("pi", UUID);
}

#[test]
fn opencode_goes_on_in_a_new_conversation() {
    goes_on_without_it("opencode", "ses_0123456789abcdefghijklmnop");
}

#[test]
fn gemini_goes_on_in_a_new_conversation() {
    goes_on_without_it("gemini", UUID);
}

#[test]
fn qwen_goes_on_in_a_new_conversation() {
    goes_on_without_it("qwen", UUID);
}
