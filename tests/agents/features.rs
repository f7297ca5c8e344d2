//! A feature of four tasks: one that works, one that asks, one whose gate is red at first, and one
//! that needs a permission: on the screen a person gives it, without one it is denied.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{World, task_row};
use crate::homes::{Homes, model, programs};
use crate::scenario::{TASKS, scenario};
use crate::standin::scenario::{Scenario, Step, bash, call, say, write};
use crate::standin::{self, Standin};

pub fn world(agent: &str, programs: &Path, homes: &Homes, standin: &Standin) -> World {
    let mut world = World::new();
    world.feature("001-demo", TASKS);
    world.gate("green", "[ ! -e three.txt ] || grep -q green three.txt");
    world.unset("agent.mine.kind");
    world.unset("agent.mine.command");
    world.set("roles.developer.agent", &format!("{agent:?}"));
    world.set("roles.developer.model", &format!("{:?}", model(agent)));
    if ["gemini", "qwen"].contains(&agent) {
        // Without its screen it runs no command that the person has not allowed.
        world.set(
            &format!("agent.{agent}.args"),
            "[\"--allowed-tools\", \"run_shell_command(cat),run_shell_command(rm)\"]",
        );
    }
    world.set("agents.max_developers", "1");
    homes.furnish(&mut world, programs, standin);
    if agent == "gemini" {
        // It leaves a report of each failure there.
        world.env("TMPDIR", homes.at("tmp"));
    }
    world.configure();
    world.commit("base");
    world
}

/// The same with the program's own screen in the pane, a supervisor in the background, and a task
/// that needs a permission. What a program tells of its usage there is nothing.
fn a_feature_on_the_screen_of(agent: &str) {
    let Some(programs) = programs(agent) else { return };
    let homes = Homes::new();
    let asked = permission(agent, &homes, "four.txt");
    let mut scenario = scenario(agent);
    if agent == "opencode" {
        // Nothing tells there what it said.
        let asks = [bash("sprint agent blocked 'which number?'"), say("I wait for it.")];
        scenario.rules.retain(|rule| rule.when != "T002");
        scenario = scenario.rule("T002", asks);
    }
    let replaced = if agent == "gemini" { ["T004", "T001"] } else { ["T004", "T004"] };
    scenario.rules.retain(|rule| !replaced.contains(&rule.when.as_str()));
    if agent == "gemini" {
        // Where one command is allowed by its name, it refuses the others without asking.
        scenario = scenario.rule("T001", [write("one.txt", "1\n"), say("TASK_COMPLETE")]);
    }
    let standin = Standin::start(scenario.rule("T004", asked.steps));
    let mut world = world(agent, &programs, &homes, &standin);
    world.set(&format!("agent.{agent}.mode"), "\"interactive\"");
    if agent == "gemini" {
        world.unset("agent.gemini.args");
    }
    world.configure();
    world.commit("on the screen");
    homes.trust(&world);
    // Eight starts of a program that may take ten seconds each on a busy machine.
    world.be_patient(Duration::from_mins(8));
    world.detach();
    let needs = |task: &'static str, kind: &'static str| {
        let is = move |needs: &Value| needs["task"] == task && needs["kind"] == kind;
        move |status: &Value| status["needs_you"].as_array().unwrap().iter().any(is)
    };
    world.wait_for("the question", needs("T002", "answer"));
    world.sprint(&["answer", "T002", "forty-two"]).expect(0);
    if !asked.yes.is_empty() {
        world.wait_for("the permission", needs("T004", "permission"));
        let shown = world.sprint(&["status"]).expect(0).stdout;
        assert!(shown.contains("sprint attach developer-1"), "{shown}");
        let wants = |needs: &Value| {
            let text = needs["text"].as_str().unwrap();
            needs["kind"] == "permission" && text.contains(asked.about) && text != "its screen says what for"
        };
        let told = |status: &Value| status["needs_you"].as_array().unwrap().iter().any(wants);
        let told = world.wait_for("what the permission is for", told);
        assert!(!told["needs_you"].to_string().contains(r#"{\""#), "no JSON: {told:#}");
        world.tmux(&["send-keys", "-t", "developer-1", asked.yes]).expect(0);
    }
    world.wait_until("the sprint has ended", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1 T002:1 T003:2 T004:1");
    let files = ["one.txt", "two.txt", "three.txt", "four.txt"].map(|name| world.landed_file(name));
    assert_eq!(files, ["1", "42", "green", "4"]);
    let answered = standin.requests().into_iter().find(|request| request.user.contains("forty-two")).unwrap();
    assert!(answered.body.to_string().contains("which number?"), "{:#}", answered.body);
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}

/// What a model does that its program asks the person about, and the key that says yes; none of a
/// program that never asks.
pub struct Permission {
    pub steps: Vec<Step>,
    pub yes: &'static str,
    /// What the person is told of it.
    pub about: &'static str,
}

pub fn permission(agent: &str, homes: &Homes, path: &str) -> Permission {
    let (step, yes, about) = match agent {
        "codex" => {
            let arguments = json!({"cmd": format!("echo 4 > {path}"), "justification": "May I?",
                                   "sandbox_permissions": "require_escalated"});
            (call("exec_command", arguments), "y", "echo 4 >")
        }
        "gemini" | "qwen" => (bash("sleep 0.1"), "Enter", "sleep 0.1"),
        "pi" => (bash("sleep 0.1"), "", ""),
        "claude" => (bash(&format!("python3 -c \"open('{path}', 'w').write('4')\"")), "Enter", "python3 -c"),
        _ => (write(homes.at("elsewhere").join("a.txt").to_str().unwrap(), "4\n"), "Enter", ""),
    };
    Permission { steps: vec![step, write(path, "4\n"), say("Written.")], yes, about }
}

fn a_feature_with(agent: &str) {
    let Some(programs) = programs(agent) else { return };
    let homes = Homes::new();
    let mut scenario = scenario(agent);
    if ["claude", "codex", "opencode", "gemini", "qwen"].contains(&agent) {
        // Nobody is there to be asked, so that the program refuses it; and ends well.
        let asked = permission(agent, &homes, "four.txt").steps.into_iter().take(1);
        scenario.rules.retain(|rule| rule.when != "T004");
        scenario = scenario.rule("T004", asked.chain([say("I may not do that.")]));
    }
    let standin = Standin::start(scenario);
    let mut world = world(agent, &programs, &homes, &standin);
    world.be_patient(Duration::from_mins(4));
    builds_the_feature(&world);
    // The answer went on with the conversation that had asked.
    let answered = standin.requests().into_iter().find(|request| request.user.contains("forty-two")).unwrap();
    assert!(answered.body.to_string().contains("which number?"), "{:#}", answered.body);
    // Each answer costs 30 tokens; a conversation that goes on is not counted twice.
    let cost = world.sprint(&["cost", "--json"]).expect(0).json();
    // What it asks beside the conversation, for a title, it does not tell.
    let titles = |request: &&standin::Request| agent == "opencode" && request.body.get("tools").is_none();
    let told = standin.count() - standin.requests().iter().filter(titles).count();
    assert_eq!(cost["total"]["tokens_out"], json!(30 * told), "{cost:#}");
    assert_eq!(cost["agents"][agent], cost["total"], "{cost:#}");
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}

/// Success, a question, a red gate that is repaired, and a task whose permission is denied, or that is
/// claimed and not done.
fn builds_the_feature(world: &World) {
    world.start().expect(1);
    let status = world.status();
    assert_eq!(world.landed_file("one.txt"), "1");
    assert_eq!(task_row(&status, "T002")["state"], "Waiting", "{status:#}");
    assert_eq!(status["needs_you"][0]["text"], "which number?");
    world.sprint(&["answer", "T002", "forty-two"]).expect(0);
    world.start().expect(1);
    assert_eq!(world.landed_file("two.txt"), "42");
    assert_eq!(world.landed_file("three.txt"), "green", "the second attempt");
    let status = world.status();
    let fourth = task_row(&status, "T004");
    assert_eq!((&fourth["state"], &fourth["attempt"]), (&json!("Parked"), &json!(3)), "{status:#}");
    let reason = fourth["reason"].as_str().unwrap();
    let denied = reason.contains("was denied what it needs");
    assert!(denied || reason.ends_with(", but nothing was changed"), "{reason}");
}

#[test]
fn codex_builds_the_feature_on_its_screen() {
    a_feature_on_the_screen_of("codex");
}

#[test]
fn opencode_builds_the_feature_on_its_screen() {
    a_feature_on_the_screen_of("opencode");
}

#[test]
fn pi_builds_the_feature_on_its_screen() {
    a_feature_on_the_screen_of("pi");
}

#[test]
fn gemini_builds_the_feature_on_its_screen() {
    a_feature_on_the_screen_of("gemini");
}

#[test]
fn qwen_builds_the_feature_on_its_screen() {
    a_feature_on_the_screen_of("qwen");
}

#[test]
fn claude_builds_the_feature_on_its_screen() {
    a_feature_on_the_screen_of("claude");
}

#[test]
fn claude_builds_the_feature() {
    a_feature_with("claude");
}

#[test]
fn codex_builds_the_feature() {
    a_feature_with("codex");
}

#[test]
fn pi_builds_the_feature() {
    a_feature_with("pi");
}

#[test]
fn opencode_builds_the_feature() {
    a_feature_with("opencode");
}

#[test]
fn gemini_builds_the_feature() {
    a_feature_with("gemini");
}

#[test]
fn qwen_builds_the_feature() {
    a_feature_with("qwen");
}

#[test]
fn aider_builds_the_feature() {
    a_feature_with("aider");
}

#[test]
fn mini_swe_agent_builds_the_feature() {
    a_feature_with("mini-swe-agent");
}

/// A person who says "no" by the number of the answer has stopped the turn as one does who presses escape:
/// the program waits for that person, and so does sprint.
#[test]
fn codex_waits_for_the_person_who_has_said_no_by_its_number() {
    let agent = "codex";
    let Some(programs) = programs(agent) else { return };
    let homes = Homes::new();
    let asked = permission(agent, &homes, "one.txt");
    let scenario = Scenario::default()
        .rule("forty-two", [write("one.txt", "1\n"), say("Written.\nTASK_COMPLETE")])
        .rule("T001", asked.steps);
    let standin = Standin::start(scenario);
    let mut world = world(agent, &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.set("agent.codex.mode", "\"interactive\"");
    world.configure();
    world.commit("one task, on the screen");
    homes.trust(&world);
    world.be_patient(Duration::from_mins(2));
    world.detach();
    let is = |kind: &'static str| move |status: &Value| status["needs_you"][0]["kind"] == kind;
    world.wait_for("the permission", is("permission"));
    let screen = world.tmux(&["capture-pane", "-p", "-t", "developer-1"]).expect(0).stdout;
    let no = screen.lines().find(|line| line.contains(". No,")).unwrap_or_else(|| panic!("{screen}"));
    let number = no.chars().find(char::is_ascii_digit).unwrap().to_string();
    world.tmux(&["send-keys", "-t", "developer-1", &number]).expect(0);
    let status = world.wait_for("the person", is("question"));
    let text = status["needs_you"][0]["text"].as_str().unwrap();
    assert_eq!(text, "you have stopped it: type there what it is to do instead", "{status:#}");
    world.tmux(&["send-keys", "-t", "developer-1", "-l", "forty-two"]).expect(0);
    let shows = |text: &str| world.tmux(&["capture-pane", "-p", "-t", "developer-1"]).stdout.contains(text);
    world.wait_until("the words are on the screen", || shows("forty-two"));
    // A key that follows a text too soon is a part of it there: a person presses it again.
    let mut looks = 0_u32;
    world.wait_until_watching("the turn goes on", || {
        if looks.is_multiple_of(40) {
            world.tmux(&["send-keys", "-t", "developer-1", "Enter"]).expect(0);
        }
        looks += 1;
        !is("question")(&world.status())
    });
    world.wait_until("the sprint has ended", || world.supervisor().is_none());
    assert_eq!((world.landed(), world.landed_file("one.txt")), ("T001:1".to_owned(), "1".to_owned()));
    world.assert_nothing_left();
}
