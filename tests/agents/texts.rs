//! What stands in a prompt is sent as a text, whatever it looks like to the program, and however
//! long it is.

use crate::common::World;
use crate::features::world;
use crate::homes::{Homes, programs};
use crate::standin::scenario::{Scenario, bash, say, write};
use crate::standin::{self, Standin};

/// What a program of its own would do with such lines: end itself, run a command, read files.
const LINES: &str =
    "/quit\n!touch stray\n@README.md and @nobody, a@example.invalid\n# \u{1b}[201~\u{7}\u{9b}end\n";

/// One task with a template of its own, which the model does in the way in which the program lets it.
fn told(agent: &str, prompt: &str) -> Option<(World, Standin, Homes)> {
    let programs = programs(agent)?;
    let steps = match agent {
        "aider" => vec![say("Here it is.\n\none.txt\n```\n1\n```\n")],
        "mini-swe-agent" => {
            vec![write("one.txt", "1\n"), bash("echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT")]
        }
        _ => vec![write("one.txt", "1\n"), say("TASK_COMPLETE")],
    };
    let scenario = Scenario::default().rule("T001", steps);
    let scenario = if agent == "aider" { scenario.without_tools() } else { scenario };
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let world = world(agent, &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.file("README.md", "what the readme says\n");
    world.file(".sprint/prompts/develop.md", &format!("{{% raw %}}{prompt}{{% endraw %}}"));
    world.configure();
    world.commit("a template of its own");
    Some((world, standin, homes))
}

fn is_sent_as_text(agent: &str) {
    let Some((world, standin, _homes)) = told(agent, &format!("{LINES}T001 is yours.\n{LINES}")) else {
        return;
    };
    let shown = world.sprint(&["prompt", "show", "T001"]).expect(0).stdout;
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let names = world.git(&["ls-tree", "-r", "--name-only", "sprint/001-demo"]);
    assert!(!names.contains("stray"), "{names}");
    let asked = standin.requests();
    let conversation =
        asked.iter().find(|request| request.body.to_string().contains("T001 is yours")).unwrap();
    let mut texts = Vec::new();
    every_text(&conversation.body, &mut texts);
    assert!(texts.iter().any(|text| text.contains(shown.trim())), "sent as it is shown: {shown}\n{texts:#?}");
    assert!(!texts.iter().any(|text| text.contains("what the readme says")), "{texts:#?}");
    assert!(shown.contains("/quit\n!touch stray\n") && shown.contains("README.md and"), "{shown}");
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{9b}'), "{shown:?}");
    world.assert_nothing_left();
}

fn every_text(value: &serde_json::Value, texts: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => texts.push(text.clone()),
        serde_json::Value::Array(list) => list.iter().for_each(|value| every_text(value, texts)),
        serde_json::Value::Object(map) => map.values().for_each(|value| every_text(value, texts)),
        _ => {}
    }
}

/// A prompt that no argument could hold.
fn a_megabyte(agent: &str) {
    let long = format!("T001 is yours.\n{}The last line.\n", "0123456789abcde\n".repeat(62_500));
    let Some((world, standin, _homes)) = told(agent, &long) else { return };
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let asked = standin.requests();
    let whole = asked.iter().any(|request| {
        let mut texts = Vec::new();
        every_text(&request.body, &mut texts);
        texts.iter().any(|text| text.len() > 1_000_000 && text.contains("The last line."))
    });
    assert!(whole, "{:?}", asked.iter().map(|request| request.body.to_string().len()).collect::<Vec<_>>());
    world.assert_nothing_left();
}

#[test]
fn what_codex_does_not_take_it_refuses_in_words() {
    let long = format!("T001 is yours.\n{}", "0123456789abcde\n".repeat(70_000));
    let Some((world, standin, _homes)) = told("codex", &long) else { return };
    world.start().expect(1);
    let shown = world.sprint(&["status"]).expect(0).stdout;
    assert!(shown.contains("Input exceeds the maximum length"), "{shown}");
    assert_eq!(standin.count(), 0, "nothing of it is sent");
    world.assert_nothing_left();
}

/// It takes a prompt as an argument alone, without its screen and on it.
fn a_megabyte_of_mini_swe_agent(mode: &str) {
    let long = format!("T001 is yours.\n{}The last line.\n", "0123456789abcde\n".repeat(62_500));
    let agent = "mini-swe-agent";
    let Some(programs) = programs(agent) else { return };
    let look = bash("grep -c 0123456789abcde \"$SPRINT_PROMPT\"; tail -n 1 \"$SPRINT_PROMPT\"");
    let steps = [look, write("one.txt", "1\n"), bash("echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT")];
    let scenario = Scenario::default().rule("Your task is in the file", steps);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = world(agent, &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.file(".sprint/prompts/develop.md", &format!("{{% raw %}}{long}{{% endraw %}}"));
    world.set("agent.mini-swe-agent.mode", &format!("{mode:?}"));
    if mode == "interactive" {
        world.set("agent.mini-swe-agent.args", "[\"--yolo\"]");
    }
    world.configure();
    world.commit("a template of its own");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let read = |request: &standin::Request| request.body.to_string().contains("62500\\\\nThe last line.");
    assert!(standin.requests().iter().any(read), "it is told where all of it is");
    world.assert_nothing_left();
}

#[test]
fn mini_swe_agent_is_told_where_a_megabyte_is() {
    a_megabyte_of_mini_swe_agent("headless");
}

#[test]
fn mini_swe_agent_is_told_where_a_megabyte_is_on_its_screen() {
    a_megabyte_of_mini_swe_agent("interactive");
}

macro_rules! with_each {
    ($check:ident: $($test:ident $agent:literal)*) => { $(#[test] fn $test() { $check($agent); })* };
}

with_each!(is_sent_as_text:
    claude_is_sent_commands_and_files_as_text "claude"
    codex_is_sent_commands_and_files_as_text "codex"
    pi_is_sent_commands_and_files_as_text "pi"
    opencode_is_sent_commands_and_files_as_text "opencode"
    gemini_is_sent_commands_and_files_as_text "gemini"
    qwen_is_sent_commands_and_files_as_text "qwen"
    aider_is_sent_commands_and_files_as_text "aider"
    mini_swe_agent_is_sent_commands_and_files_as_text "mini-swe-agent"
);

with_each!(a_megabyte:
    claude_is_sent_a_megabyte "claude"
    codex_is_sent_a_megabyte "codex"
    pi_is_sent_a_megabyte "pi"
    opencode_is_sent_a_megabyte "opencode"
    gemini_is_sent_a_megabyte "gemini"
    qwen_is_sent_a_megabyte "qwen"
    aider_is_sent_a_megabyte "aider"
);
