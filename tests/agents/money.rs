//! What real programs may use, budgets in tokens and money, and how hard they are asked to think.

use std::path::Path;

use serde_json::{Value, json};

use crate::common::{World, task_row};
use crate::homes::{Homes, model, programs};
use crate::standin::scenario::{Scenario, bash, say, write};
use crate::standin::{self, Standin};

/// Tokens of one answer of the stand-in.
const ANSWER: u64 = 1030;

fn world(agent: &str, programs: &Path, homes: &Homes, standin: &Standin) -> World {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n- [ ] T002 write two.txt\n");
    world.unset("agent.mine.kind");
    world.unset("agent.mine.command");
    world.set("roles.developer.agent", &format!("{agent:?}"));
    world.set("roles.developer.model", &format!("{:?}", model(agent)));
    world.set("agents.max_developers", "1");
    homes.furnish(&mut world, programs, standin);
    world
}

/// It begins, and would go on for long.
fn endless() -> Scenario {
    let looks = (1..60).map(|n| bash(&format!("git log -{n}")));
    let steps = [write("draft.txt", "half\n")].into_iter().chain(looks).chain([say("Done.")]);
    Scenario::default().rule("T001", steps)
}

/// The run is ended at its budget, within a turn: what was done is saved, the person is told, no
/// attempt is spent.
fn is_ended_at_its_budget(world: &World, standin: &Standin) -> Value {
    world.configure();
    world.commit("base");
    world.start().expect(1);
    let status = world.status();
    let task = task_row(&status, "T001");
    assert_eq!((&task["state"], &task["attempt"]), (&json!("Waiting"), &json!(1)), "{status:#}");
    let text = status["needs_you"][0]["text"].as_str().unwrap();
    assert!(text.contains("the budget of the run is used up"), "{text}");
    assert!(text.contains("raise `[budget] run`, then: sprint reload"), "{text}");
    let saved = world.git(&["for-each-ref", "--format=%(refname)", "refs/sprint/wip"]);
    assert_eq!(world.git(&["show", &format!("{}:draft.txt", saved.trim())]), "half");
    let asked = standin.count();
    world.start().expect(1);
    assert_eq!(standin.count(), asked, "starting again asks nobody");
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
    status
}

fn keeps_to_its_tokens(agent: &str) {
    let Some(programs) = programs(agent) else { return };
    let (homes, standin) = (Homes::new(), Standin::start(endless()));
    let mut world = world(agent, &programs, &homes, &standin);
    world.set("budget.run", "{ tokens = 5_000 }");
    let status = is_ended_at_its_budget(&world, &standin);
    let used = status["cost"]["tokens_in"].as_u64().unwrap() + status["cost"]["tokens_out"].as_u64().unwrap();
    assert!((5_000..5_000 + 2 * ANSWER).contains(&used), "{status:#}");
    // A title, and what is on its way when it is ended.
    assert!(standin.count() <= 10, "{}", standin.count());
}

#[test]
fn pi_keeps_to_its_tokens() {
    keeps_to_its_tokens("pi");
}

#[test]
fn opencode_keeps_to_its_tokens() {
    keeps_to_its_tokens("opencode");
}

/// It knows prices itself, and a limit of its own is the same.
#[test]
fn claude_keeps_to_its_money() {
    let Some(programs) = programs("claude") else { return };
    let (homes, standin) = (Homes::new(), Standin::start(endless()));
    let mut world = world("claude", &programs, &homes, &standin);
    world.set("roles.developer.model", "\"sonnet\"");
    world.set("budget.run", "{ usd = 0.02 }");
    let status = is_ended_at_its_budget(&world, &standin);
    let used = status["cost"]["cost_micro_usd"].as_u64().unwrap();
    let answers = u64::try_from(standin.count()).unwrap();
    assert!((20_000..=20_000 + used / answers + 1).contains(&used), "{answers} answers: {status:#}");
}

/// It tells what it has used when its turn is over: what has begun is finished, and nothing begins.
#[test]
fn codex_begins_nothing_beyond_the_features_budget() {
    let Some(programs) = programs("codex") else { return };
    let scenario = Scenario::default().rule("T001", [write("one.txt", "1\n"), say("Done.")]);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = world("codex", &programs, &homes, &standin);
    world.set("budget.feature", "{ tokens = 2_000 }");
    world.configure();
    world.commit("base");
    world.start().expect(1);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(standin.count(), 2, "T002 is not begun");
    let status = world.status();
    assert_eq!(status["cost"]["budget"][0]["used_tokens"], json!(2 * ANSWER), "{status:#}");
    let text = status["needs_you"][0]["text"].as_str().unwrap();
    assert!(text.contains("the budget of the feature is used up"), "{text}");
    world.assert_nothing_left();
}

/// What a role asks for reaches the service.
fn thinks_as_it_is_asked(agent: &str, model: &str, at: &str) {
    let Some(programs) = programs(agent) else { return };
    let scenario = Scenario::default().rule("T001", [say("BLOCKED: which number?")]);
    let scenario = if agent == "aider" { scenario.without_tools() } else { scenario };
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = world(agent, &programs, &homes, &standin);
    world.set("roles.developer.model", &format!("{model:?}"));
    world.set("roles.developer.effort", "\"low\"");
    world.configure();
    world.commit("base");
    world.start().expect(1);
    let asked = standin.requests();
    let told = |request: &standin::Request| request.body.pointer(at) == Some(&json!("low"));
    assert!(
        asked.iter().any(told),
        "{at}: {:#?}",
        asked.iter().map(|request| bare(&request.body)).collect::<Vec<_>>()
    );
    world.assert_nothing_left();
}

/// Without what is long.
fn bare(body: &Value) -> Value {
    let mut body = body.clone();
    for key in ["messages", "tools", "input", "system", "instructions"] {
        body.as_object_mut().unwrap().remove(key);
    }
    body
}

#[test]
fn codex_thinks_as_it_is_asked() {
    thinks_as_it_is_asked("codex", "standin", "/reasoning/effort");
}

#[test]
fn claude_thinks_as_it_is_asked() {
    thinks_as_it_is_asked("claude", "sonnet", "/output_config/effort");
}

/// The others drop it where they do not know that the model thinks.
#[test]
fn pi_thinks_as_it_is_asked() {
    thinks_as_it_is_asked("pi", "standin/thinker", "/reasoning_effort");
}

#[test]
fn opencode_thinks_as_it_is_asked() {
    thinks_as_it_is_asked("opencode", "standin/thinker", "/reasoning_effort");
}

#[test]
fn aider_thinks_as_it_is_asked() {
    thinks_as_it_is_asked("aider", "openai/o3-mini", "/reasoning_effort");
}
