//! Programs that nobody has signed in, and such as were never started before.

use crate::common::{World, task_row};
use crate::features::world;
use crate::homes::{Homes, programs};
use crate::standin::Standin;
use crate::standin::scenario::{Scenario, say, write};

/// A world whose program knows nothing of the person.
fn signed_out(agent: &str) -> Option<(World, Standin, Homes)> {
    let programs = programs(agent)?;
    let scenario = Scenario::default().rule("T001", [write("one.txt", "1\n"), say("TASK_COMPLETE")]);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = world(agent, &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    if agent == "pi" {
        // Of a provider of its own it takes the name of the variable for the key.
        world.set("roles.developer.model", "\"anthropic/claude-sonnet-4-5\"");
        world.configure();
    }
    world.commit("one task");
    for name in ["STANDIN_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY"] {
        world.env_remove(name);
    }
    world.env("HOME", homes.at("nobody"));
    Some((world, standin, homes))
}

fn waits_for_a_sign_in(agent: &str) {
    let Some((world, standin, _homes)) = signed_out(agent) else { return };
    world.detach();
    let status = world.wait_for("the hold", |status| !status["needs_you"].as_array().unwrap().is_empty());
    let need = &status["needs_you"][0];
    assert_eq!(need["kind"], "operator", "{status:#}");
    assert!(need["text"].as_str().unwrap().contains("refuses the account"), "{status:#}");
    assert_eq!(task_row(&status, "T001")["attempt"], 1, "no attempt is spent");
    assert_eq!(standin.count(), 0, "nothing is asked of anybody");
    let check = world.sprint(&["agents", "check", agent]).expect(0);
    // A configuration with a provider of its own is a sign.
    assert_eq!(check.stdout.contains("no sign of a sign-in"), agent != "codex", "{}", check.shown());
    world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
}

macro_rules! with_each {
    ($check:ident: $($test:ident $agent:literal)*) => { $(#[test] fn $test() { $check($agent); })* };
}

with_each!(waits_for_a_sign_in:
    claude_waits_for_a_sign_in "claude"
    codex_waits_for_a_sign_in "codex"
    pi_waits_for_a_sign_in "pi"
    gemini_waits_for_a_sign_in "gemini"
    qwen_waits_for_a_sign_in "qwen"
    aider_waits_for_a_sign_in "aider"
    mini_swe_agent_waits_for_a_sign_in "mini-swe-agent"
);

/// As the adapter has them, but for its daemon: it starts one when it sees fit.
const DAEMON: &str = "[\"--sandbox\", \"workspace-write\", \"--ask-for-approval\", \"on-request\", \"-c\", \"features.daemon_auto_start=true\", \"-c\", \
                      'notify=[\"{sprint}\", \"hook\"]', \"{model.args}\", \"{prompt}\"]";

/// A dialog may be drawn before its program reads keys: like a person, one who has chosen looks whether that is
/// seen before he confirms.
fn press(world: &World, key: &str, last: bool) {
    let send = || world.tmux(&["send-keys", "-t", "developer-1", key]).expect(0);
    let screen = || world.tmux(&["capture-pane", "-p", "-t", "developer-1"]).expect(0).stdout;
    let before = screen();
    send();
    let mut looks = 0_u32;
    world.wait_until_watching("the choice is seen", || {
        looks += 1;
        if !last && looks.is_multiple_of(40) {
            send();
        }
        last || screen() != before
    });
}

/// On its screen, in a repository that it does not know.
fn on_its_screen(agent: &str, keys: &[(&str, &str)], daemon: bool) {
    let Some(programs) = programs(agent) else { return };
    let scenario = Scenario::default().rule("T001", [write("one.txt", "1\n"), say("TASK_COMPLETE")]);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = world(agent, &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.set(&format!("agent.{agent}.mode"), "\"interactive\"");
    if daemon {
        world.set("agent.codex.interactive.args", DAEMON);
    }
    world.configure();
    world.commit("on the screen");
    std::fs::write(homes.at("home").join(".claude.json"), "{\"hasCompletedOnboarding\":true}").unwrap();
    world.detach();
    for (asked, pressed) in keys {
        let status = world.wait_for(asked, |status| {
            let needs = &status["needs_you"][0];
            needs["kind"] == "dialog" && needs["text"].as_str().is_some_and(|text| text.contains(asked))
        });
        assert_eq!(task_row(&status, "T001")["attempt"], 1);
        assert_eq!(standin.count(), 0, "nothing is asked before the person has answered");
        let shown = world.sprint(&["status"]).expect(0).stdout;
        assert!(shown.contains("sprint attach developer-1"), "{shown}");
        let keys: Vec<&str> = pressed.split(' ').collect();
        for (at, key) in keys.iter().enumerate() {
            press(&world, key, at + 1 == keys.len());
        }
    }
    world.wait_until("it is landed", || world.landed_of("001-demo").len() == 1);
    world.wait_until("the sprint has ended", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1");
    world.assert_nothing_left();
}

#[test]
fn codex_asks_a_person_whether_it_may_trust_the_folder() {
    on_its_screen("codex", &[("trust the folder", "Enter")], false);
}

#[test]
fn claude_asks_a_person_about_the_folder_and_the_key() {
    on_its_screen("claude", &[("trust the folder", "Enter"), ("API key", "Up Enter")], false);
}

#[test]
fn codex_with_a_daemon_of_its_own_leaves_nothing_behind() {
    on_its_screen("codex", &[("trust the folder", "Enter")], true);
}
