//! The real agent programs against the stand-in for their models: what they print, how they end and
//! what they leave, so that it is noticed when a new version does otherwise.
//!
//! They come from `SPRINT_TEST_AGENTS` (a directory with `node_modules`, see `need_agents` in
//! `scripts/lib.sh`); without it these tests say that they are skipped. With
//! `SPRINT_RECORD_STREAMS=1` what the programs print is written to
//! `src/agents/testdata/streams`, with paths and ids made stable.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test: it panics, and says what it skips")]

#[path = "common/processes.rs"]
mod processes;
#[path = "standin_programs/mod.rs"]
mod programs;
mod standin;

use std::fs;

use programs::{Desk, Ran, agents};
use serde_json::{Value, json};
use standin::scenario::{Kind, Scenario, Step, bash, fault, fault_times, http, http_after, say, write};
use standin::{Protocol, Standin};

/// Everything that is played; the prompts choose.
fn scenario() -> Scenario {
    let call = |tool: &str, arguments: Value| Step::Call { tool: tool.to_owned(), arguments };
    Scenario::default()
        .rule(
            "TASK success",
            [say("I write the file."), write("hello.txt", "hello\n"), say("Done: hello.txt is written.")],
        )
        .rule("TASK tool-failed", [bash("echo no >&2; exit 3"), say("The command failed with 3.")])
        .rule("TASK tool-denied codex", [bash("echo no > ../denied.txt"), say("I may not write there.")])
        .rule("TASK tool-denied pi", [call("bash", json!({"command": "true"})), say("I have no such tool.")])
        .rule(
            "TASK commit-denied",
            [bash("echo c > c.txt && git add -A && git commit -m c"), say("I could not commit.")],
        )
        .rule(
            "TASK committed",
            [
                bash("echo d > d.txt && git add -A && git commit -qm d; touch ../r/.git/hooks/pre-commit"),
                say("Done: it is committed."),
            ],
        )
        .rule("TASK unauthorized", [fault(http(401))])
        .rule(
            "TASK rate-limited",
            [
                fault_times(http_after(429, 1), 1),
                write("late.txt", "late\n"),
                say("Done: late.txt is written."),
            ],
        )
        .rule("TASK out-of-credit", [fault(http(402))])
        .rule("TASK limited-for-long", [fault_times(http_after(429, 1), 5), say("Done after all.")])
        .rule("TASK server-error", [fault(http(500))])
        .rule("TASK connection-lost", [fault_times(Kind::Truncated, 1), say("Done after all.")])
        .rule("TASK stalled", [fault_times(Kind::Stalled, 1), say("Done after all.")])
        .rule("TASK refused", [fault(Kind::Refusal)])
        .rule("TASK context-too-long", [fault(Kind::ContextTooLong)])
        .rule("TASK question", [say("I have looked around.\n\nBLOCKED: which port?")])
        .rule("TASK resumed", [write("again.txt", "again\n"), say("Done: again.txt is written.")])
}

/// The events of this type.
fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

#[track_caller]
fn file(desk: &Desk, name: &str) -> Option<String> {
    fs::read_to_string(desk.worktree().join(name)).ok()
}

/// The items of codex that are completed, of this type.
fn items(ran: &Ran, kind: &str) -> Vec<Value> {
    let events = ran.events();
    let completed = of_type(&events, "item.completed").into_iter().map(|event| event["item"].clone());
    completed.filter(|item| item["type"] == kind).collect()
}

#[track_caller]
fn codex_said(ran: &Ran, text: &str) {
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let last = items(ran, "agent_message").pop().unwrap_or_default();
    assert_eq!(last["text"], text, "{ran:#?}");
}

#[test]
fn codex_works_in_a_worktree_and_goes_on_with_its_session() {
    let Some(agents) = agents() else { return };
    let standin = Standin::start(scenario());
    let desk = Desk::codex(&agents, &standin);
    let first = desk.run("success", "TASK success: write hello.txt");
    codex_said(&first, "Done: hello.txt is written.");
    assert_eq!(file(&desk, "hello.txt").as_deref(), Some("hello\n"));
    desk.record_request(&standin, "codex");
    let usage = |ran: &Ran| ran.events().pop().unwrap()["usage"]["input_tokens"].clone();
    assert_eq!(usage(&first), 2000);

    let session = first.session().unwrap();
    let again = desk.run_with("resumed", Some(&session), &[], "TASK resumed: go on");
    codex_said(&again, "Done: again.txt is written.");
    assert_eq!(again.session().as_ref(), Some(&session));
    assert_eq!(file(&desk, "again.txt").as_deref(), Some("again\n"));
    // Of the whole session, not of the last call of the program.
    assert_eq!(usage(&again), 4000);

    let question = desk.run("question", "TASK question: look around");
    codex_said(&question, "I have looked around.\n\nBLOCKED: which port?");
    assert!(standin.requests().iter().all(|request| request.protocol == Protocol::Responses));
    assert_eq!(standin.failures(), Vec::<String>::new());
    assert_eq!(desk.left(), Vec::<String>::new());
}

#[test]
fn codex_ends_well_when_its_tools_fail() {
    let Some(agents) = agents() else { return };
    let standin = Standin::start(scenario());
    let desk = Desk::codex(&agents, &standin);
    let failed = desk.run("tool-failed", "TASK tool-failed: begin");
    codex_said(&failed, "The command failed with 3.");
    assert_eq!(items(&failed, "command_execution")[0]["exit_code"], 3);

    let denied = desk.run("tool-denied", "TASK tool-denied codex: begin");
    codex_said(&denied, "I may not write there.");
    // The stream has nothing about a command that the sandbox stopped, only the model is told.
    assert!(last_result(&standin).contains("Read-only file system"), "{}", last_result(&standin));
    assert_eq!(file(&desk, "../denied.txt"), None);

    // The sandbox lets nothing be written in the repository that a worktree belongs to.
    let commit = desk.run("commit-denied", "TASK commit-denied: begin");
    codex_said(&commit, "I could not commit.");
    assert_eq!(file(&desk, "c.txt").as_deref(), Some("c\n"));
    assert!(last_result(&standin).contains("Read-only file system"), "{}", last_result(&standin));
}

/// A worktree's own directory is protected by name even below a root that may be written; named as
/// a root of its own it is not. Hooks and configuration need not be among them.
#[test]
fn codex_commits_where_the_sandbox_is_told_of_the_repository() {
    let Some(agents) = agents() else { return };
    let standin = Standin::start(scenario());
    let desk = Desk::codex(&agents, &standin);
    let git = desk.git_directory();
    let roots = ["worktrees/w", "objects", "refs", "logs"].map(|name| format!("{:?}", git.join(name)));
    let roots = format!("sandbox_workspace_write.writable_roots=[{}]", roots.join(","));
    let ran = desk.run_with("committed", None, &["-c", &roots], "TASK committed: begin");
    codex_said(&ran, "Done: it is committed.");
    let branch = fs::read_to_string(git.join("refs/heads/w")).unwrap();
    let base = fs::read_to_string(git.join("refs/heads/main")).unwrap();
    assert_ne!(branch, base, "{}", last_result(&standin));
    assert!(!git.join("hooks/pre-commit").exists());
}

#[test]
fn codex_and_a_provider_that_fails() {
    let Some(agents) = agents() else { return };
    let standin = Standin::start(scenario());
    let desk = Desk::codex(&agents, &standin);
    let refused = desk.run("unauthorized", "TASK unauthorized: begin");
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let events = refused.events();
    assert_eq!(events.last().unwrap()["type"], "turn.failed");
    assert!(events.last().unwrap()["error"]["message"].as_str().unwrap().contains("401"), "{refused:#?}");

    let limited = desk.run("rate-limited", "TASK rate-limited: begin");
    codex_said(&limited, "Done: late.txt is written.");
    assert_eq!(of_type(&limited.events(), "error").len(), 1, "{limited:#?}");

    let long = desk.run("context-too-long", "TASK context-too-long: begin");
    assert_eq!(long.code, Some(1), "{long:#?}");

    // An answer that stops is given up after the configured time, and asked for again.
    let stalled = desk.run("stalled", "TASK stalled: begin");
    codex_said(&stalled, "Done after all.");
}

/// What codex has told its model last of a call.
fn last_result(standin: &Standin) -> String {
    let request = standin.requests().pop().unwrap();
    let last = request.body["input"].as_array().unwrap().last().unwrap();
    last["output"].as_str().unwrap_or_default().to_owned()
}

/// The last message of pi's model.
fn pi_last(ran: &Ran) -> Value {
    let events = ran.events();
    let ends = of_type(&events, "agent_end");
    ends.last().unwrap_or_else(|| panic!("no end: {}", ran.stderr))["messages"]
        .as_array()
        .unwrap()
        .iter()
        .rfind(|message| message["role"] == "assistant")
        .unwrap()
        .clone()
}

#[track_caller]
fn pi_said(ran: &Ran, text: &str) {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(pi_last(ran)["content"][0]["text"], text);
}

#[test]
fn pi_works_in_a_worktree_and_goes_on_with_its_session() {
    let Some(agents) = agents() else { return };
    let standin = Standin::start(scenario());
    let desk = Desk::pi(&agents, &standin, "openai-completions");
    let first = desk.run("success", "TASK success: write hello.txt");
    pi_said(&first, "Done: hello.txt is written.");
    assert_eq!(file(&desk, "hello.txt").as_deref(), Some("hello\n"));
    desk.record_request(&standin, "pi-openai-completions");
    // What is read from a cache is counted apart.
    assert_eq!(pi_last(&first)["usage"]["input"], 800);
    assert_eq!(pi_last(&first)["usage"]["cacheRead"], 200);

    let session = first.session().unwrap();
    let again = desk.run_with("resumed", Some(&session), &[], "TASK resumed: go on");
    pi_said(&again, "Done: again.txt is written.");
    assert_eq!(again.session().as_ref(), Some(&session));
    assert_eq!(file(&desk, "again.txt").as_deref(), Some("again\n"));

    let question = desk.run("question", "TASK question: look around");
    pi_said(&question, "I have looked around.\n\nBLOCKED: which port?");
    assert_eq!(standin.failures(), Vec::<String>::new());
    assert_eq!(desk.left(), Vec::<String>::new());
}

#[test]
fn pi_ends_well_when_its_tools_fail() {
    let Some(agents) = agents() else { return };
    let standin = Standin::start(scenario());
    let desk = Desk::pi(&agents, &standin, "openai-completions");
    let failed = desk.run("tool-failed", "TASK tool-failed: begin");
    pi_said(&failed, "The command failed with 3.");
    assert_eq!(of_type(&failed.events(), "tool_execution_end")[0]["isError"], true);

    let more = ["--tools", "read"];
    let denied = desk.run_with("tool-denied", None, &more, "TASK tool-denied pi: begin");
    pi_said(&denied, "I have no such tool.");
    assert_eq!(of_type(&denied.events(), "tool_execution_end")[0]["isError"], true);
}

#[test]
fn pi_and_a_provider_that_fails() {
    let Some(agents) = agents() else { return };
    let standin = Standin::start(scenario());
    let desk = Desk::pi(&agents, &standin, "openai-completions");
    // The exit code does not tell.
    let refused = desk.run("unauthorized", "TASK unauthorized: begin");
    assert_eq!(refused.code, Some(0), "{refused:#?}");
    assert_eq!(pi_last(&refused)["stopReason"], "error", "{refused:#?}");
    assert!(pi_last(&refused)["errorMessage"].as_str().unwrap().contains("401"), "{refused:#?}");

    let limited = desk.run("rate-limited", "TASK rate-limited: begin");
    pi_said(&limited, "Done: late.txt is written.");

    let long = desk.run("context-too-long", "TASK context-too-long: begin");
    assert_eq!(pi_last(&long)["stopReason"], "error", "{long:#?}");
}

#[test]
fn what_goes_away_is_tried_again_and_what_stays_is_told() {
    let Some(agents) = agents() else { return };
    for codex in [true, false] {
        // A stand-in each: how often a fault was met is counted by the message.
        let standin = Standin::start(scenario());
        let desk = if codex {
            Desk::codex(&agents, &standin)
        } else {
            Desk::pi(&agents, &standin, "openai-completions")
        };
        for (name, good) in [
            ("out-of-credit", false),
            ("limited-for-long", true),
            ("server-error", false),
            ("connection-lost", true),
            // codex does not tell a refusal from an empty answer.
            ("refused", codex),
        ] {
            let ran = desk.run(name, &format!("TASK {name}: begin"));
            assert_eq!(ran.code, Some(i32::from(codex && !good)), "{name}: {ran:#?}");
            if !codex {
                assert_eq!(pi_last(&ran)["stopReason"] == "stop", good, "{name}: {ran:#?}");
            }
        }
    }
}

#[test]
fn pi_speaks_every_protocol() {
    let Some(agents) = agents() else { return };
    let standin = Standin::start(scenario());
    for (api, protocol) in [
        ("openai-responses", Protocol::Responses),
        ("anthropic-messages", Protocol::Messages),
        ("google-generative-ai", Protocol::Gemini),
    ] {
        let desk = Desk::pi(&agents, &standin, api);
        let ran = desk.run(&format!("success-{api}"), "TASK success: write hello.txt");
        pi_said(&ran, "Done: hello.txt is written.");
        assert_eq!(file(&desk, "hello.txt").as_deref(), Some("hello\n"), "{api}");
        assert_eq!(pi_last(&ran)["usage"]["input"], 800, "{api}");
        assert_eq!(standin.requests().last().unwrap().protocol, protocol);
        desk.record_request(&standin, &format!("pi-{api}"));
    }
    assert_eq!(standin.failures(), Vec::<String>::new());
}
