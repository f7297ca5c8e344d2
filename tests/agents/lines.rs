//! Programs whose screen is lines alone, and that ask about each file or command: a person answers.

use std::time::Duration;

use serde_json::json;

use crate::common::World;
use crate::features::world;
use crate::homes::{Homes, programs};
use crate::scenario::{TASKS, scenario};
use crate::standin::Standin;

const AIDER: Person = Person { question: "[Yes]:", yes: ["y", "Enter"] };
const MINI: Person = Person { question: "to show available commands\n>", yes: ["", "Enter"] };

/// The feature with its developer on its own screen.
fn on_screen(agent: &str, homes: &Homes, standin: &Standin) -> Option<World> {
    let mut world = world(agent, &programs(agent)?, homes, standin);
    world.set(&format!("agent.{agent}.mode"), "\"interactive\"");
    world.configure();
    world.commit("on the screen");
    world.be_patient(Duration::from_mins(4));
    Some(world)
}

/// How a question for permission ends on the screen, and what says yes.
struct Person {
    question: &'static str,
    yes: [&'static str; 2],
}

/// A person who says yes to each question for permission, once, until something has happened.
fn says_yes_until(world: &World, person: &Person, what: &str, happened: impl Fn(&World) -> bool) -> usize {
    let mut answered = Vec::new();
    world.wait_until_watching(what, || {
        let status = world.status();
        let workers = status["workers"].as_array().cloned().unwrap_or_default();
        if workers.iter().any(|worker| worker["agent"]["state"] == "permission") {
            // One question may follow the other without anything between them that is told.
            let screen =
                world.tmux(&["capture-pane", "-p", "-t", "developer-1"]).stdout.trim_end().to_owned();
            if screen.ends_with(person.question) && answered.last() != Some(&screen) {
                answered.push(screen);
                for key in person.yes.iter().filter(|key| !key.is_empty()) {
                    world.tmux(&["send-keys", "-t", "developer-1", key]).expect(0);
                }
            }
        }
        happened(world)
    });
    answered.len()
}

/// Success, a question and a red gate that is repaired; what is to be written is asked about each time.
fn builds_the_feature_by_lines(agent: &str, person: &Person) {
    let homes = Homes::new();
    let standin = Standin::start(scenario(agent));
    let Some(world) = on_screen(agent, &homes, &standin) else { return };
    world.feature("001-demo", &TASKS[..TASKS.find("- [ ] T004").unwrap()]);
    world.commit("three tasks");
    world.detach();
    let waits = |world: &World| {
        let status = world.status();
        status["needs_you"].as_array().unwrap().iter().any(|needs| needs["kind"] == "answer")
    };
    let asked = says_yes_until(&world, person, "the question", waits);
    world.sprint(&["answer", "T002", "forty-two"]).expect(0);
    let asked = asked + says_yes_until(&world, person, "the end", |world| world.supervisor().is_none());
    assert!(asked >= 4, "each file was asked about: {asked}");
    assert_eq!(world.landed(), "T001:1 T002:1 T003:2");
    assert_eq!(["one.txt", "two.txt", "three.txt"].map(|name| world.landed_file(name)), ["1", "42", "green"]);
    let answered = standin.requests().into_iter().find(|request| request.user.contains("forty-two")).unwrap();
    assert!(answered.body.to_string().contains("which number?"), "{:#}", answered.body);
    // Each answer costs 30 tokens.
    let cost = world.sprint(&["cost", "--json"]).expect(0).json();
    assert_eq!(cost["total"]["tokens_out"], json!(30 * standin.count()), "{cost:#}");
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}

#[test]
fn aider_builds_the_feature_on_its_screen() {
    builds_the_feature_by_lines("aider", &AIDER);
}

#[test]
fn mini_swe_agent_builds_the_feature_on_its_screen() {
    builds_the_feature_by_lines("mini-swe-agent", &MINI);
}
