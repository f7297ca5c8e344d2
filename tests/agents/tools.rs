//! sprint's own tools, as the programs offer them to their models.

use std::time::Duration;

use serde_json::json;

use crate::common::World;
use crate::features::world;
use crate::homes::{Homes, programs};
use crate::standin::Standin;
use crate::standin::scenario::{Scenario, call, read, say, write};

fn speaks_through_tools(agent: &str, mode: &str, tool: impl Fn(&str) -> String) {
    let Some(programs) = programs(agent) else { return };
    // Claude's first request on a screen may go before its servers have answered.
    let look = || read("sprint.toml");
    let steps = [
        look(),
        call(&tool("task_show"), json!({})),
        write("one.txt", "1\n"),
        call(&tool("gates_run"), json!({})),
        call(&tool("comment"), json!({"text": "said through a tool"})),
        call(&tool("task_done"), json!({"message": "one is written"})),
        say("Finished."),
    ];
    let ask = [look(), call(&tool("task_blocked"), json!({"question": "which number?"})), say("I wait.")];
    let scenario = Scenario::default()
        .rule("forty-two", [write("two.txt", "42\n"), say("Written.")])
        .rule("T002", ask)
        .rule("T001", steps);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = world(agent, &programs, &homes, &standin);
    world.set(&format!("agent.{agent}.mode"), &format!("{mode:?}"));
    world.configure();
    homes.trust(&world);
    world.be_patient(Duration::from_mins(4));
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n- [ ] T002 write two.txt\n");
    world.commit("two tasks");
    world.start().expect(1);
    let status = world.status();
    assert_eq!(world.landed_file("one.txt"), "1", "{status:#}");
    assert_eq!(status["needs_you"][0]["text"], "which number?", "{status:#}");
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    assert!(events.contains("said through a tool"), "{events}");
    // What the tools answered went back to the model.
    let asked = standin.requests();
    let told = |text: &str| asked.iter().any(|request| request.body.to_string().contains(text));
    assert!(told("acceptance_scenarios") || told("\\\"attempts\\\": 3"), "task_show");
    assert!(told("pass    green"), "gates_run");
    world.sprint(&["answer", "T002", "forty-two"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed_file("two.txt"), "42");
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}

#[test]
fn codex_speaks_through_sprints_tools() {
    speaks_through_tools("codex", "headless", |name| format!("mcp__sprint/{name}"));
}

#[test]
fn claude_speaks_through_sprints_tools() {
    speaks_through_tools("claude", "headless", |name| format!("mcp__sprint__{name}"));
}

#[test]
fn qwen_speaks_through_sprints_tools() {
    speaks_through_tools("qwen", "headless", |name| format!("mcp__sprint__{name}"));
}

#[test]
fn opencode_speaks_through_sprints_tools() {
    speaks_through_tools("opencode", "headless", |name| format!("sprint_{name}"));
}

#[test]
fn codex_speaks_through_sprints_tools_on_its_screen() {
    speaks_through_tools("codex", "interactive", |name| format!("mcp__sprint/{name}"));
}

#[test]
fn opencode_speaks_through_sprints_tools_on_its_screen() {
    speaks_through_tools("opencode", "interactive", |name| format!("sprint_{name}"));
}

#[test]
fn claude_speaks_through_sprints_tools_on_its_screen() {
    speaks_through_tools("claude", "interactive", |name| format!("mcp__sprint__{name}"));
}

#[test]
fn codex_as_the_manager_proposes_through_a_tool() {
    let Some(programs) = programs("codex") else { return };
    let proposal = json!({"action": "answer", "text": "forty-two"});
    let steps =
        [call("mcp__sprint/task_show", json!({})), call("mcp__sprint/propose", proposal), say("Proposed.")];
    let scenario = Scenario::default().rule("You are the manager", steps);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = World::with(
        "- [ ] T001 write number.txt\n",
        "if [ -z \"$SPRINT_ANSWER\" ]; then echo 'BLOCKED: which number?'; exit 0; fi\n\
         echo \"$SPRINT_ANSWER\" > number.txt; git add -A; git commit -qm number",
    );
    world.set("roles.manager.agent", "\"codex\"");
    world.set("roles.manager.model", "\"standin\"");
    world.set("roles.manager.auto", "true");
    homes.furnish(&mut world, &programs, &standin);
    world.configure();
    world.commit("managed");
    world.start().expect(0);
    assert_eq!(world.landed_file("number.txt"), "forty-two");
    let asked = standin.requests();
    assert!(
        asked.iter().any(|request| request.user.contains("which number?")),
        "the prompt has the question"
    );
    let cost = world.sprint(&["cost", "--json"]).expect(0).json();
    assert_eq!(cost["roles"]["manager"], cost["total"], "{cost:#}");
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}
