//! A sprint that waits for a person asks no model and starts no program, however many agents are up.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails loudly, and shares what is in common/"
)]

mod common;
mod standin;

use std::time::Duration;

use serde_json::{Value, json};
use standin::Standin;
use standin::scenario::{Scenario, say};

use crate::common::World;

/// Longer than every look that somebody takes now and then. `scripts/bench` measures ten minutes.
const IDLE: Duration = Duration::from_secs(12);

/// Asks its model once, then the person.
const AGENT: &str = r#"
echo run >> $W/runs
body='{"model":"standin","messages":[{"role":"user","content":"T001"}]}'
exec 3<>/dev/tcp/127.0.0.1/$STANDIN_PORT
printf 'POST /v1/chat/completions HTTP/1.1\r\nhost: standin\r\ncontent-length: %s\r\n\r\n%s' ${#body} "$body" >&3
cat <&3 > $W/answer
echo '{"type":"usage","in":100,"out":30}'
echo '{"type":"said","text":"BLOCKED: which way?"}'
echo '{"type":"done"}'"#;

fn world(standin: &Standin) -> World {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.fake_agent(AGENT);
    world.set("agent.fake.show", "[{ when = \"type=said\", text = \"text\", as = \"text\" }]");
    world.set("agent.fake.usage", "{ when = \"type=usage\", input = \"in\", output = \"out\" }");
    for role in ["manager", "reviewer", "tester", "librarian", "merger", "developer"] {
        world.set(&format!("roles.{role}.agent"), "\"fake\"");
    }
    // With manager, reviewer, librarian and merger these are eight.
    for role in ["developer", "tester"] {
        world.set(&format!("agents.max_{role}s"), "2");
        world.set(&format!("roles.{role}.permanent"), "true");
    }
    world.set("budget.day", "{ tokens = 1_000_000 }");
    world.env("STANDIN_PORT", standin.url().rsplit_once(':').unwrap().1);
    world.configure();
    world.commit("base");
    world
}

#[test]
fn eight_agents_that_wait_cost_nothing() {
    let standin = Standin::start(Scenario::default().rule("T001", [say("I need to know.")]).without_tools());
    let world = world(&standin);
    world.detach();
    let up = |worker: &Value| worker["state"] == "idle";
    // The developer asks, and the manager looks at the question, once.
    world.wait_for("the question, the manager's look and eight idle workers", |status| {
        let workers = status["workers"].as_array().unwrap();
        let looked = world.read("runs").lines().count() == 2;
        looked
            && status["needs_you"][0]["kind"] == "answer"
            && workers.iter().filter(|worker| up(worker)).count() == 8
    });
    assert!(world.read("answer").contains("I need to know."));
    world.wait_for("what both have used", |status| status["cost"]["runs"] == 2);
    assert_eq!((standin.count(), world.read("runs").lines().count()), (2, 2));
    let spent = world.status()["cost"].clone();
    assert_eq!((&spent["runs"], &spent["tokens_out"]), (&json!(2), &json!(60)), "{spent:#}");
    // What is measured is that nothing happens in this time: there is nothing to wait for.
    std::thread::sleep(IDLE);
    assert_eq!((standin.count(), world.read("runs").lines().count()), (2, 2), "somebody asked");
    assert_eq!(world.status()["cost"], spent);
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
}
