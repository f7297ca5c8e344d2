//! The stand-in against the providers' own libraries: they validate its answers strictly, whole and
//! streamed, with calls of tools and with faults.
//!
//! The libraries (`openai`, `anthropic`, `google-genai`) are in the Python of `SPRINT_TEST_TOOLS`;
//! `SPRINT_TEST_LIBRARIES=1` says that they have to be there.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test: it panics, and says what it skips")]

mod standin;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use standin::Standin;
use standin::scenario::{Kind, Scenario, bash, fault, fault_times, http, http_after, say};

/// The script gives up by itself long before the test runner does.
const SECONDS_MAX: &str = "120";

/// Ends with 0 where they are installed; to import them takes seconds.
const INSTALLED: &str = "from importlib.metadata import version
for name in ('openai', 'anthropic', 'google-genai'): version(name)";

/// A Python with the libraries.
fn python() -> Option<PathBuf> {
    let tools = std::env::var_os("SPRINT_TEST_TOOLS").map(PathBuf::from);
    let python = tools.map(|tools| tools.join("bin/python")).filter(|python| python.is_file());
    let imports = |python: &PathBuf| {
        let mut command = Command::new(python);
        command.args(["-c", INSTALLED]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = python.filter(imports);
    if found.is_none() {
        let needed = std::env::var_os("SPRINT_TEST_LIBRARIES").is_some_and(|value| value == "1");
        assert!(!needed, "SPRINT_TEST_TOOLS has no Python with openai, anthropic and google-genai");
        eprintln!("skipped: SPRINT_TEST_TOOLS has no Python with openai, anthropic and google-genai");
    }
    found
}

/// Runs one check of the script against a stand-in.
#[track_caller]
fn check(name: &str) {
    let Some(python) = python() else { return };
    let mut scenario = Scenario::default()
        .rule("TASK two steps", [say("I look first."), bash("ls -a"), say("Done: there is nothing.")])
        .rule("TASK context", [fault(Kind::ContextTooLong)])
        .rule("TASK once", [fault_times(http_after(429, 0), 1), say("After all.")])
        .rule("TASK dropped", [fault(Kind::Dropped)])
        .rule("TASK truncated", [fault(Kind::Truncated)])
        .rule("TASK malformed", [fault(Kind::Malformed)])
        .rule("TASK refusal", [fault(Kind::Refusal)]);
    for status in [401, 402, 429, 500, 529] {
        scenario = scenario.rule(&format!("TASK status {status}"), [fault(http(status))]);
    }
    let standin = Standin::start(scenario);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standin_schema/libraries.py");
    let output = Command::new("timeout")
        .arg(SECONDS_MAX)
        .arg(python)
        .arg("-B")
        .arg(script)
        .args([standin.url().as_str(), name])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}\n{:?}", output.status, standin.failures());
    assert_eq!(standin.failures(), Vec::<String>::new());
}

#[test]
fn anthropic_understands_messages() {
    check("messages");
}

#[test]
fn openai_understands_chat_completions() {
    check("chat");
}

#[test]
fn openai_understands_responses() {
    check("responses");
}

#[test]
fn google_understands_generate_content() {
    check("gemini");
}

#[test]
fn each_library_understands_faults() {
    check("faults");
}
