//! Sprint with real agent programs, against the stand-in for their providers: a feature of four
//! tasks (one that works, one that asks, one whose gate is red at first, one that is denied what it
//! needs), and what happens when the provider does not serve.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops where its premise fails, and says what it skips"
)]

mod common;
mod standin;

use std::path::{Path, PathBuf};

use serde_json::json;
use standin::Standin;
use standin::scenario::{Scenario, bash, fault, fault_times, http, say, write};

use crate::common::{World, task_row};

/// The directory with the programs, or nothing, and why.
fn programs() -> Option<PathBuf> {
    let directory = std::env::var_os("SPRINT_TEST_AGENTS").filter(|value| !value.is_empty());
    if directory.is_none() {
        eprintln!("skipped: SPRINT_TEST_AGENTS names no directory with codex and pi");
    }
    directory.map(PathBuf::from)
}

/// Homes of programs, outside of the temporary directory: codex' sandbox does not work in there.
struct Homes(tempfile::TempDir);

impl Homes {
    fn new() -> Self {
        Self(tempfile::Builder::new().prefix("agents-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// Sends the world's codex and pi to the stand-in.
    fn furnish(&self, world: &mut World, programs: &Path, standin: &Standin) {
        let codex = format!(
            "model = \"standin\"\nmodel_provider = \"standin\"\ncheck_for_update_on_startup = false\n\
             [model_providers.standin]\nname = \"standin\"\nbase_url = \"{}/v1\"\nwire_api = \"responses\"\n\
             env_key = \"STANDIN_KEY\"\nstream_idle_timeout_ms = 20000\nrequest_max_retries = 1\n",
            standin.url(),
        );
        std::fs::write(self.at("codex").join("config.toml"), codex).unwrap();
        let pi = json!({"providers": {"standin": {
            "baseUrl": format!("{}/v1", standin.url()), "api": "openai-completions", "apiKey": "STANDIN_KEY",
            "models": [{"id": "standin", "contextWindow": 128_000, "maxTokens": 8000}],
        }}});
        std::fs::write(self.at("pi").join("models.json"), pi.to_string()).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(programs.join("node_modules/.bin")).chain(std::env::split_paths(&path));
        world.env("PATH", std::env::join_paths(path).unwrap());
        world.env("CODEX_HOME", self.at("codex"));
        world.env("PI_CODING_AGENT_DIR", self.at("pi"));
        world.env("PI_OFFLINE", "1");
        world.env("STANDIN_KEY", "no-secret");
    }
}

const TASKS: &str = "## Phase 1: Work\n\n- [ ] T001 write one.txt\n- [ ] T002 write two.txt\n\
                     - [ ] T003 write three.txt\n- [ ] T004 write four.txt\n";

/// What the model does with each task: later prompts of the same task come first.
fn scenario() -> Scenario {
    Scenario::default()
        .rule("attempt 2 of 3", [write("three.txt", "green\n"), say("It is green now.")])
        .rule("forty-two", [write("two.txt", "42\n"), say("Written.")])
        .rule("T004", [say("I may not write here.")])
        .rule("T003", [write("three.txt", "red\n"), say("Done.")])
        .rule("T002", [say("I need a number.\nBLOCKED: which number?")])
        .rule(
            "T001",
            [say("I write it."), write("one.txt", "1\n"), bash("cat one.txt"), say("TASK_COMPLETE")],
        )
}

fn world(agent: &str, programs: &Path, homes: &Homes, standin: &Standin) -> World {
    let mut world = World::new();
    world.feature("001-demo", TASKS);
    world.gate("green", "[ ! -e three.txt ] || grep -q green three.txt");
    world.unset("agent.mine.kind");
    world.unset("agent.mine.command");
    world.set("roles.developer.agent", &format!("{agent:?}"));
    world.set("roles.developer.model", if agent == "pi" { "\"standin/standin\"" } else { "\"standin\"" });
    world.set("agents.max_developers", "1");
    homes.furnish(&mut world, programs, standin);
    world.configure();
    world.commit("base");
    world
}

fn a_feature_with(agent: &str) {
    let Some(programs) = programs() else { return };
    let (homes, standin) = (Homes::new(), Standin::start(scenario()));
    let world = world(agent, &programs, &homes, &standin);
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
    assert!(reason.ends_with("claimed success, but there is no commit"), "{reason}");
    // The answer went on with the conversation that had asked.
    let answered = standin.requests().into_iter().find(|request| request.user.contains("forty-two")).unwrap();
    assert!(answered.body.to_string().contains("which number?"), "{:#}", answered.body);
    // Each answer costs 30 tokens; a conversation that goes on is not counted twice.
    let cost = world.sprint(&["cost", "--json"]).expect(0).json();
    assert_eq!(cost["total"]["tokens_out"], json!(30 * standin.count()), "{cost:#}");
    assert_eq!(cost["agents"][agent], cost["total"], "{cost:#}");
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}

#[test]
fn codex_builds_the_feature() {
    a_feature_with("codex");
}

#[test]
fn pi_builds_the_feature() {
    a_feature_with("pi");
}

fn refused(agent: &str, status: u16, reason: &str) {
    let Some(programs) = programs() else { return };
    let scenario = Scenario::default().rule("T001", [fault(http(status))]);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let world = world(agent, &programs, &homes, &standin);
    world.detach();
    let status = world.wait_for("the failure", |status| {
        status["needs_you"][0]["text"].as_str().is_some_and(|text| text.contains(reason))
    });
    assert_eq!(status["needs_you"][0]["kind"], "operator", "{status:#}");
    assert_eq!(task_row(&status, "T001")["attempt"], 1, "no attempt is spent");
    let asked = standin.count();
    let shown = world.sprint(&["status"]).expect(0).stdout;
    assert!(shown.contains("is on hold, until you have seen to it"), "{shown}");
    assert_eq!(standin.count(), asked, "nobody asks again");
    world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
}

#[test]
fn a_limit_is_waited_for_and_spends_no_attempt() {
    let Some(programs) = programs() else { return };
    // Codex itself tries twice in this configuration.
    let steps = [fault_times(http(429), 2), write("one.txt", "1\n"), say("Done.")];
    let (homes, standin) = (Homes::new(), Standin::start(Scenario::default().rule("T001", steps)));
    let mut world = world("codex", &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.set("agents.max_developers", "1");
    world.commit("one task");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    assert!(events.contains("codex is tried again in 10 s"), "{events}");
    assert!(events.contains("codex serves again"), "{events}");
    world.assert_nothing_left();
}

#[test]
fn a_refused_key_is_told_and_spends_no_attempt() {
    refused("codex", 401, "refuses the account");
    refused("pi", 401, "refuses the account");
}
