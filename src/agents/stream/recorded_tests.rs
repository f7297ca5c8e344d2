//! What the real programs printed, read by the rules of their adapters. Recorded against a stand-in
//! for their providers, with other paths; of mini's files prompts and traces are left out.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::config::{Layer, Role, load};

fn rules(agent: &str) -> Rules {
    let text = format!("[roles.developer]\nagent = {agent:?}");
    let config = load(&[Layer::toml("sprint.toml", &text)]).unwrap();
    let adapter = config.agent(Role::Developer).unwrap().unwrap();
    Rules::new(&adapter.cli.unwrap()).unwrap()
}

/// Standard error first: it is what the streams are that comes late.
fn read(agent: &str, case: &str) -> (Vec<Shown>, Told) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/agents/testdata/streams").join(agent);
    let bytes = |kind: &str| fs::read(directory.join(format!("{case}.{kind}"))).ok();
    let (out, err, result) = (bytes("out"), bytes("err"), bytes("json"));
    assert!(out.is_some() || err.is_some() || result.is_some(), "{agent} {case}");
    let mut reader = Reader::new(rules(agent));
    let mut shown = reader.err(&err.unwrap_or_default());
    shown.extend(reader.out(&out.unwrap_or_default()));
    shown.extend(reader.end());
    shown.extend(result.iter().flat_map(|bytes| reader.result(bytes)));
    (shown, reader.told().clone())
}

/// One line: the end, the failure, the weak one, the usage, whether there is a session.
fn line(agent: &str, case: &str) -> String {
    let (_, told) = read(agent, case);
    let class = |failure: &Option<Failure>| {
        failure.as_ref().map_or_else(|| "-".to_owned(), |failure| format!("{:?}", failure.class))
    };
    let cost = |usage: &Usage| usage.cost.map_or_else(|| "?".to_owned(), |cost| format!("{cost:.4}"));
    let usage = told.usage.map_or_else(
        || "-".to_owned(),
        |usage| format!("{}+{:?}/{} ${}", usage.input, usage.cached, usage.output, cost(&usage)),
    );
    let done = if told.done { "done" } else { "broke off" };
    let session = if told.session.is_some() { "session" } else { "-" };
    format!(
        "{agent} {case}: {done}, {}, weak {}, {usage}, {session}",
        class(&told.failure),
        class(&told.weak)
    )
}

#[test]
fn a_file_with_context_window_in_its_name_is_no_conversation_that_is_too_long() {
    let text = "Error calculating cost for model openai/x: This model isn't mapped yet. Add it here - \
                https://example.invalid/blob/main/model_prices_and_context_window.json., perhaps it's not registered? \
                You can ignore this issue globally with export MSWEA_COST_TRACKING='ignore_errors'.";
    let told = |text: &str| {
        let mut reader = Reader::new(rules("mini-swe-agent"));
        let exit =
            serde_json::json!({"role": "exit", "content": text, "extra": {"exit_status": "RuntimeError"}});
        reader.result(serde_json::json!({"messages": [exit]}).to_string().as_bytes());
        reader.told().failure.clone().unwrap()
    };
    assert_eq!(told(text).class, Trouble::Other);
    assert!(told(text).reason().contains("MSWEA_COST_TRACKING='ignore_errors'"), "what helps is told");
    for text in [
        "ContextWindowExceededError: x",
        "it exceeds the context window.",
        "context window",
        "context_length_exceeded",
    ] {
        assert_eq!(told(text).class, Trouble::Context, "{text}");
    }
}

#[test]
fn a_first_start_without_a_network_is_a_broken_connection() {
    let screen = " Unable to connect to Anthropic services\n\n Failed to connect to api.anthropic.com: ENOTFOUND\n\n \
                  Please check your internet connection and network settings.\n\n Note: Claude Code might not be \
                  available in your country. Check supported countries at https://anthropic.com/supported-countries";
    let lines: Vec<String> = screen.lines().map(ToString::to_string).collect();
    let mut reader = Reader::new(rules("claude"));
    reader.screen(&lines);
    let failure = reader.told().failure.clone().unwrap();
    assert_eq!(
        (failure.class, failure.text.as_str()),
        (Trouble::Stalled, "Failed to connect to api.anthropic.com: ENOTFOUND")
    );
}

#[test]
fn every_recording_is_read_right() {
    let cases = [
        ("opencode", ["success", "401", "denied", "rate-limit"].as_slice()),
        ("gemini", &["success", "question", "401", "denied"]),
        ("qwen", &["success", "401", "context", "denied"]),
        ("aider", &["success", "401", "billing", "overloaded"]),
        ("mini-swe-agent", &["success", "401", "gave-up"]),
        (
            "claude",
            &[
                "success",
                "401",
                "billing",
                "context",
                "turns",
                "budget",
                "denied",
                "question",
                "rate-limit",
                "overloaded",
                "server-error",
                "connection-lost",
                "refused",
            ],
        ),
    ];
    let lines = cases.iter().flat_map(|(agent, cases)| cases.iter().map(|case| line(agent, case)));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_it_says_of_a_failure_is_in_plain_words() {
    let reason = |agent: &str, case: &str| {
        let told = read(agent, case).1;
        format!("{agent} {case}: {}", told.failure.or(told.weak).unwrap().reason())
    };
    let all = [
        ("opencode", "401"),
        ("opencode", "denied"),
        ("opencode", "rate-limit"),
        ("gemini", "401"),
        ("gemini", "denied"),
        ("qwen", "401"),
        ("qwen", "denied"),
        ("aider", "401"),
        ("aider", "overloaded"),
        ("mini-swe-agent", "401"),
        ("mini-swe-agent", "gave-up"),
        ("claude", "turns"),
        ("claude", "denied"),
    ];
    insta::assert_snapshot!(all.map(|(agent, case)| reason(agent, case)).join("\n"));
}

#[test]
fn a_question_in_pieces_stands_on_a_line_of_its_own() {
    let said = |agent: &str, case: &str| -> Vec<String> {
        let shown = read(agent, case).0.into_iter().filter(|shown| shown.kind == ShowAs::Text);
        shown.flat_map(|shown| shown.text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    assert_eq!(said("gemini", "question"), ["I need a number.", "BLOCKED: which number?"]);
    assert_eq!(said("opencode", "success"), ["I write it.", "TASK_COMPLETE"]);
    assert_eq!(said("qwen", "success"), ["I write it.", "TASK_COMPLETE"]);
    assert_eq!(said("mini-swe-agent", "success"), ["I write it."]);
}

/// The lower end of a screen after a turn that failed, as the programs have shown it.
#[test]
fn what_a_screen_tells_of_a_failure_is_known_by_its_class() {
    let shown = [
        ("codex", "■ exceeded retry limit, last status: 429 Too Many Requests", Trouble::RateLimit),
        ("codex", "■ unexpected status 401 Unauthorized: Incorrect API key provided., url:", Trouble::Auth),
        (
            "codex",
            "■ unexpected status 402 Payment Required: You exceeded your current quota, please",
            Trouble::Billing,
        ),
        (
            "codex",
            "■ We’re currently experiencing high demand, which may cause temporary errors.",
            Trouble::Overloaded,
        ),
        ("codex", "■ unexpected status 529 <unknown status code>: The server had an", Trouble::Overloaded),
        (
            "codex",
            "■ Codex ran out of room in the model's context window. Start a new thread or",
            Trouble::Context,
        ),
        ("codex", "■ stream disconnected before completion: error sending request", Trouble::Stalled),
        ("claude", "  ⎿  Invalid API key · Fix external API key", Trouble::Auth),
        ("opencode", "  ┃  Incorrect API key provided.", Trouble::Auth),
        (
            "opencode",
            "  ┃  You exceeded your current quota, please check your plan and billing details.",
            Trouble::Billing,
        ),
    ];
    let footer = ["", "", "› Ask anything", "", "  model · ~/tree", "  ? for shortcuts"];
    for (agent, line, class) in shown {
        let mut reader = Reader::new(rules(agent));
        let lines: Vec<String> = std::iter::once(line).chain(footer).map(ToOwned::to_owned).collect();
        reader.screen(&lines);
        assert_eq!(reader.told().failure.as_ref().map(|failure| failure.class), Some(class), "{line}");
    }
}

#[test]
fn what_a_model_says_of_failures_on_a_screen_is_none() {
    let lines =
        ["• The server sends 429 when the rate limit is exceeded: I handle it.", "", "› Ask anything"];
    for agent in ["codex", "claude", "opencode"] {
        let mut reader = Reader::new(rules(agent));
        reader.screen(&lines.map(ToOwned::to_owned));
        assert_eq!(reader.told().failure, None);
    }
    let mut reader = Reader::new(rules("codex"));
    let before = std::iter::once("■ exceeded retry limit, last status: 429 Too Many Requests");
    let after = std::iter::repeat_n("• It goes on.", 10);
    reader.screen(&before.chain(after).map(ToOwned::to_owned).collect::<Vec<_>>());
    assert_eq!(reader.told().failure, None, "that was before this turn");
}
