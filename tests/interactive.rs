//! Programs with their own screens, on real tmux: a prompt that arrives, a person who answers and
//! types, what hooks and screens tell, and what happens when nothing of it comes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops where its premise fails, and says why"
)]

mod common;
#[path = "interactive/faults.rs"]
mod faults;
#[path = "interactive/hooks.rs"]
mod hooks;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::terminal::Terminal;
use crate::common::{SPRINT, World, task_row};

/// A world whose developer is the program with a screen, told to take its prompt so.
fn world(task: &str, arguments: &[&str]) -> World {
    let mut world = World::new();
    world.feature("001-demo", &format!("## Phase 1: Work\n\n- [ ] T001 {task}\n"));
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/screen_program.py");
    for key in ["agent.mine.kind", "agent.mine.command"] {
        world.unset(key);
    }
    let words: Vec<String> = arguments.iter().map(|word| format!("{word:?}")).collect();
    let keys = [
        ("extends", "\"cli\"".to_owned()),
        ("mode", "\"interactive\"".to_owned()),
        ("command", format!("[\"python3\", {program:?}]")),
        ("interactive.args", format!("[{}]", words.join(", "))),
        ("interactive.submit", "[\"Enter\"]".to_owned()),
        ("interactive.clear", "[\"C-u\"]".to_owned()),
        ("interactive.exit", "[\"C-c\"]".to_owned()),
        ("hooks.session", "\"session\"".to_owned()),
        ("hooks.said", "\"said\"".to_owned()),
        ("ready.events", "[\"event=start\"]".to_owned()),
        ("ready.title", "'^ready'".to_owned()),
        ("busy.events", "[\"event=prompt\", \"event=tool\"]".to_owned()),
        ("busy.title", "'^busy'".to_owned()),
        ("blocked.events", "[\"event=permission\"]".to_owned()),
        ("blocked.screen", "'Do you want to'".to_owned()),
        ("blocked.text", "\"what\"".to_owned()),
        ("retrying.screen", "'Retrying in'".to_owned()),
        ("idle.events", "[\"event=stop\"]".to_owned()),
        (
            "dialogs",
            "[{ match = 'trust this folder', what = \"whether it may trust the folder\" }]".to_owned(),
        ),
        ("fail", "[{ when = \"event=failure\", text = \"error\" }]".to_owned()),
    ];
    for (key, value) in keys {
        world.set(&format!("agent.mine.{key}"), &value);
    }
    world.env("HOOK", env!("CARGO_BIN_EXE_sprint"));
    world
}

fn ready(world: &World) {
    world.configure();
    world.commit("base");
}

/// How the developer's agent stands.
fn agent(status: &Value) -> &Value {
    let workers = status["workers"].as_array().unwrap();
    workers
        .iter()
        .find(|worker| worker["role"] == "developer")
        .map_or(&Value::Null, |worker| &worker["agent"])
}

fn landed(world: &World) {
    world.wait_until("it is landed", || world.landed_of("001-demo").len() == 1);
    world.wait_until("the sprint has ended", || world.supervisor().is_none());
    world.assert_nothing_left();
}

#[test]
fn a_prompt_as_an_argument_and_states_by_hooks() {
    let world = world("write it", &["--hooks", "--prompt", "{prompt}"]);
    ready(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(world.landed_file("T001.txt"), "done");
    assert_eq!(world.read("prompts").lines().count(), 1);
    let cost = world.sprint(&["cost", "--json"]).expect(0).json();
    assert_eq!(cost["total"]["untold"], 1, "it does not tell what it uses: {cost:#}");
    let shown = world.sprint(&["cost"]).expect(0).stdout;
    assert!(
        shown
            .lines()
            .any(|line| line.trim_start().starts_with("all") && line.matches("unknown").count() == 4),
        "{shown}"
    );
    world.assert_nothing_left();
}

#[test]
fn a_prompt_is_typed_and_states_are_seen_without_hooks() {
    let world = world("write it", &[]);
    ready(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(world.read("prompts").lines().count(), 1, "{}", world.read("prompts"));
    world.assert_nothing_left();
}

#[test]
fn a_dialog_waits_for_the_person_and_is_not_typed_into() {
    let world = world("write it", &["--trust"]);
    ready(&world);
    world.detach();
    let status = world.wait_for("the dialog", |status| agent(status)["state"] == "dialog");
    assert_eq!(agent(&status)["text"], "whether it may trust the folder", "{status:#}");
    let needs = &status["needs_you"][0];
    assert_eq!((&needs["task"], &needs["kind"]), (&json!("T001"), &json!("dialog")), "{status:#}");
    let shown = world.sprint(&["status"]).expect(0).stdout;
    assert!(shown.contains("sprint attach developer-1"), "{shown}");
    assert!(!world.exists("stray") && !world.exists("prompts"));
    world.tmux(&["send-keys", "-t", "developer-1", "y"]).expect(0);
    landed(&world);
    assert!(!world.exists("stray"), "{}", world.read("stray"));
    let events = world.sprint(&["events", "-n", "100"]).expect(0).stdout;
    assert!(events.contains("its agent waits for you (dialog)"), "{events}");
    assert!(events.contains("its agent goes on"), "{events}");
}

#[test]
fn a_dialog_is_answered_where_the_person_has_configured_that() {
    let mut world = world("write it", &["--trust"]);
    world.set("agent.mine.dialogs", "[{ match = 'trust this folder', what = \"trust\", answer = [\"y\"] }]");
    ready(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert!(!world.exists("stray"));
    world.assert_nothing_left();
}

#[test]
fn a_permission_stops_the_clocks_until_the_person_has_answered() {
    let mut world = world("write it, asks-permission", &["--hooks", "--prompt", "{prompt}"]);
    world.set("agent.mine.stall", "\"1s\"");
    world.set("timeouts.task", "\"8s\"");
    ready(&world);
    world.detach();
    let status = world.wait_for("the question", |status| agent(status)["state"] == "permission");
    assert_eq!(agent(&status)["text"], "rm -rf build");
    assert_eq!(agent(&status)["source"], "hook");
    // Both clocks would have run out.
    let since = Instant::now();
    world.wait_until("it has waited for long enough", || since.elapsed() > Duration::from_secs(10));
    assert_eq!(agent(&world.status())["state"], "permission");
    world.tmux(&["send-keys", "-t", "developer-1", "y"]).expect(0);
    landed(&world);
    assert_eq!(world.landed(), "T001:1");
}

/// The person stops the turn at its question, and types on later.
fn stopped(hooks: &str) {
    let mut world = world("write it, asks-permission", &[hooks, "--prompt", "{prompt}"]);
    world.set("agent.mine.stall", "\"3s\"");
    world.set("timeouts.task", "\"12s\"");
    ready(&world);
    world.detach();
    world.wait_for("the question", |status| agent(status)["state"] == "permission");
    world.tmux(&["send-keys", "-t", "developer-1", "Escape"]).expect(0);
    let status = world.wait_for("the person", |status| agent(status)["state"] == "question");
    assert_eq!(agent(&status)["text"], "you have stopped it: type there what it is to do instead");
    assert_eq!(status["needs_you"][0]["task"], "T001", "{status:#}");
    // Longer than a turn that is over is waited for, and than both clocks.
    let since = Instant::now();
    world.wait_until("it has waited for long enough", || since.elapsed() > Duration::from_secs(13));
    let status = world.status();
    assert_eq!(agent(&status)["state"], "question", "{status:#}");
    assert_eq!(world.read("prompts").lines().count(), 1, "nothing was typed for the person");
    world.tmux(&["send-keys", "-t", "developer-1", "go on", "Enter"]).expect(0);
    let status = world.wait_for("the end of the turn", |status| {
        let row = task_row(status, "T001");
        row["stage"] != "InProgress" || row["attempt"] == 2
    });
    assert_eq!(task_row(&status, "T001")["attempt"], 1, "{status:#}");
    landed(&world);
    assert_eq!((world.landed().as_str(), world.read("prompts").lines().count()), ("T001:1", 2));
}

#[test]
fn a_turn_that_the_person_stops_waits_for_the_person_and_costs_nothing() {
    stopped("--hooks");
}

#[test]
fn the_same_without_hooks() {
    stopped("--no-hooks");
}

#[test]
fn start_on_a_terminal_tells_of_an_agent_that_waits_for_the_person() {
    let world = world("write it, asks-permission", &["--hooks", "--prompt", "{prompt}"]);
    ready(&world);
    let terminal = Terminal::open(&world);
    terminal.line(&format!("{SPRINT} start specs/001-demo"));
    let screen = terminal.wait("waits for you (permission): sprint attach developer-1");
    assert!(screen.contains("1 wait for you: sprint status"), "{screen}");
    world.tmux(&["send-keys", "-t", "developer-1", "y"]).expect(0);
    // Its turn does not end while the person may still be typing.
    world.wait_until("it is landed", || world.landed_of("001-demo").len() == 1);
    terminal.wait("git merge");
    terminal.close();
    landed(&world);
}

#[test]
fn a_question_ends_the_run_and_the_answer_begins_the_next() {
    let world = world("write it, asks-a-question", &["--hooks", "--prompt", "{prompt}"]);
    ready(&world);
    world.start().expect(1);
    let status = world.status();
    assert_eq!(status["needs_you"][0]["text"], "which number?", "{status:#}");
    world.sprint(&["answer", "T001", "42"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed_file("T001.txt"), "42");
    world.assert_nothing_left();
}

#[test]
fn a_conversation_that_the_program_does_not_know_any_more_is_begun_anew_in_the_same_run() {
    let mut world = world("write it, asks-a-question", &["--first", "--hooks", "--prompt", "{prompt}"]);
    let resume = "[\"--resume\", \"{session}\", \"--hooks\", \"--prompt\", \"{prompt}\"]";
    world.set("agent.mine.interactive.resume", resume);
    ready(&world);
    world.start().expect(1);
    world.sprint(&["answer", "T001", "42"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.read("starts"), "--first --hooks\n--resume s-1\n--first --hooks\n");
    assert_eq!((world.landed(), world.landed_file("T001.txt")), ("T001:1".to_owned(), "42".to_owned()));
    world.assert_nothing_left();
}

#[test]
fn a_turn_without_a_change_is_asked_once_to_go_on() {
    let world = world("write it, is-lazy", &["--hooks"]);
    ready(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let prompts = world.read("prompts");
    assert_eq!(prompts.lines().count(), 2, "{prompts}");
    assert!(
        prompts.lines().nth(1).unwrap().contains("You have ended your turn without a change"),
        "{prompts}"
    );
    world.assert_nothing_left();
}

#[test]
fn a_limit_that_a_hook_tells_is_waited_for() {
    let world = world("write it, limit", &["--hooks", "--prompt", "{prompt}"]);
    ready(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let events = world.sprint(&["events", "-n", "100"]).expect(0).stdout;
    assert!(events.contains("mine is tried again in 10 s"), "{events}");
    world.assert_nothing_left();
}

#[test]
fn a_broken_connection_that_only_the_screen_tells_before_it_ends_is_waited_for() {
    let mut world = world("write it", &["--offline", "--hooks", "--prompt", "{prompt}"]);
    world.set("agent.mine.fail", "[{ screen = '^ (?P<text>Unable to connect .*)', class = \"stalled\" }]");
    ready(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1", "no attempt is spent");
    let events = world.sprint(&["events", "-n", "100"]).expect(0).stdout;
    assert!(events.contains("mine is tried again in 10 s"), "{events}");
    assert!(events.contains("Unable to connect to its services"), "{events}");
    world.assert_nothing_left();
}

#[test]
fn a_program_that_only_tries_its_service_again_is_ended_and_waited_for() {
    let mut world = world("write it, tries-again", &["--hooks", "--prompt", "{prompt}"]);
    world.set("agent.mine.stall", "\"3s\"");
    ready(&world);
    world.detach();
    world.wait_for("why nothing goes on", |status| {
        let reason = task_row(status, "T001")["reason"].as_str().unwrap_or_default();
        reason.starts_with("its program tries the service again")
    });
    world.wait_until("it is landed", || world.landed_of("001-demo").len() == 1);
    world.wait_until("the sprint has ended", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1", "no attempt is spent");
    let events = world.sprint(&["events", "-n", "100"]).expect(0).stdout;
    assert!(events.contains("its program has tried again for 3s"), "{events}");
    world.assert_nothing_left();
}

#[test]
fn a_prompt_that_is_not_accepted_is_an_error_that_somebody_sees() {
    let mut world = world("write it", &["--hooks", "--deaf"]);
    world.set("agent.mine.interactive.ready_wait", "\"3s\"");
    world.set("agent.mine.interactive.accept_wait", "\"2s\"");
    // It has changed, for all that is known.
    for (key, value) in [("args", "[\"--version\"]"), ("pattern", "'(\\d+)\\.'"), ("tested", "[\"1.0\"]")] {
        world.set(&format!("agent.mine.version.{key}"), value);
    }
    ready(&world);
    world.detach();
    let status = world.wait_for("the error", |status| {
        task_row(status, "T001")["reason"].as_str().is_some_and(|reason| reason.contains("did not reach"))
    });
    let row = task_row(&status, "T001");
    assert_eq!(row["attempt"], 1, "no attempt is spent: {status:#}");
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.contains("; it is version 3; tested up to version 1.0: it may print"), "{reason}");
    assert_eq!(status["needs_you"][0]["task"], "T001", "{status:#}");
    world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
}

#[test]
fn a_person_types_and_the_screen_has_the_size_of_the_pane() {
    let world = world("write it, waits", &["--hooks", "--prompt", "{prompt}"]);
    ready(&world);
    world.detach();
    world.wait_for("it works", |status| agent(status)["state"] == "busy");
    world.tmux(&["resize-window", "-t", "developer-1", "-x", "91", "-y", "33"]).expect(0);
    world.wait_until("the size is told", || world.exists("sizes") && world.read("sizes").contains("33 91"));
    let screen = world.tmux(&["capture-pane", "-p", "-t", "developer-1"]).expect(0).stdout;
    assert!(screen.contains("working"), "{screen}");
    world.touch("go");
    landed(&world);
}

#[test]
fn a_megabyte_and_control_characters_arrive_as_text() {
    let world = world("write it", &[]);
    let text = format!("{}\u{1b}[201~\r/quit\n@file\u{0}\nend", "0123456789abcde\n".repeat(65_536));
    world.file("specs/001-demo/spec.md", "# Feature Specification: big\n");
    world.file("prompts/own.md", &format!("{{% raw %}}{}{{% endraw %}}", text.replace('\u{0}', "")));
    let mut world = world;
    world.set(
        "pipeline.stage",
        "[{ name = \"InProgress\", kind = \"work\", role = \"developer\", proof = \"commit\", prompt = \"prompts/own.md\" }, \
         { name = \"Merging\", kind = \"land\", role = \"merger\" }]",
    );
    ready(&world);
    world.start().expect(0);
    let prompts = world.read("prompts");
    assert_eq!(prompts.lines().count(), 1, "one prompt, whole: {prompts}");
    let length: usize = prompts.split(' ').next().unwrap().parse().unwrap();
    assert!(length > 1_048_576, "{length}");
    world.assert_nothing_left();
}

#[test]
fn a_killed_supervisor_changes_nothing_for_a_program_with_a_screen() {
    let world = world("write it, waits", &["--hooks", "--prompt", "{prompt}"]);
    ready(&world);
    world.detach();
    world.wait_for("it works", |status| agent(status)["state"] == "busy");
    let supervisor = world.supervisor().unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(supervisor.cast_signed()),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    world.wait_until("it is dead", || !common::processes::alive(supervisor));
    world.touch("go");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(world.read("prompts").lines().count(), 1);
    world.assert_nothing_left();
}
