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
use std::time::Duration;

use serde_json::{Value, json};
use standin::Standin;
use standin::scenario::{Scenario, Step, bash, call, fault, fault_times, http, say, write};

use crate::common::{World, task_row};

/// The directory with the program, or nothing, and why.
fn programs(agent: &str) -> Option<PathBuf> {
    let Some(directory) = std::env::var_os("SPRINT_TEST_AGENTS").filter(|value| !value.is_empty()) else {
        eprintln!("skipped: SPRINT_TEST_AGENTS names no directory with {agent}");
        return None;
    };
    let directory = PathBuf::from(directory);
    let program = match agent {
        "aider" => "aider-venv/bin/aider".to_owned(),
        "mini-swe-agent" => "mini-swe-agent-venv/bin/mini".to_owned(),
        name => format!("node_modules/.bin/{name}"),
    };
    let there = directory.join(&program).exists();
    if !there {
        eprintln!("skipped: there is no {program} in {}", directory.display());
    }
    there.then_some(directory)
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

    /// Sends the world's programs to the stand-in.
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
        let own = ["node_modules/.bin", "aider-venv/bin", "mini-swe-agent-venv/bin"];
        let own = own.map(|directory| programs.join(directory));
        let path = own.into_iter().chain(std::env::split_paths(&path));
        world.env("PATH", std::env::join_paths(path).unwrap());
        world.env("CODEX_HOME", self.at("codex"));
        world.env("PI_CODING_AGENT_DIR", self.at("pi"));
        world.env("PI_OFFLINE", "1");
        world.env("STANDIN_KEY", "no-secret");
        self.furnish_by_environment(world, standin);
    }

    /// The person's word that the programs may work in the repository.
    fn trust(&self, world: &World) {
        let repo = world.repo();
        let codex = self.at("codex").join("config.toml");
        let text = std::fs::read_to_string(&codex).unwrap();
        std::fs::write(
            &codex,
            format!("{text}[projects.\"{}\"]\ntrust_level = \"trusted\"\n", repo.display()),
        )
        .unwrap();
        let claude = json!({"hasCompletedOnboarding": true, "theme": "dark",
            "customApiKeyResponses": {"approved": ["no-secret"], "rejected": []},
            "projects": {repo.to_str().unwrap(): {"hasTrustDialogAccepted": true}}});
        std::fs::write(self.at("home").join(".claude.json"), claude.to_string()).unwrap();
    }

    /// Those that take a provider's address from variables, and settings from the home directory.
    fn furnish_by_environment(&self, world: &mut World, standin: &Standin) {
        let home = self.at("home");
        let settings = |directory: &str, settings: &Value| {
            std::fs::write(self.at(&format!("home/{directory}")).join("settings.json"), settings.to_string())
                .unwrap();
        };
        settings(
            ".gemini",
            &json!({"security": {"auth": {"selectedType": "gemini-api-key"}},
                    "general": {"disableAutoUpdate": true}, "privacy": {"usageStatisticsEnabled": false}}),
        );
        settings(
            ".qwen",
            &json!({"security": {"auth": {"selectedType": "openai"}},
                    "general": {"disableAutoUpdate": true}, "privacy": {"usageStatisticsEnabled": false}}),
        );
        let opencode = json!({"autoupdate": false, "share": "disabled", "provider": {"standin": {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": format!("{}/v1", standin.url()), "apiKey": "{env:STANDIN_KEY}"},
            "models": {"standin": {"limit": {"context": 128_000, "output": 8000}}},
        }}});
        std::fs::write(home.join("opencode.json"), opencode.to_string()).unwrap();
        world.env("HOME", &home);
        world.env("XDG_DATA_HOME", self.at("home/.data"));
        world.env("XDG_CACHE_HOME", self.at("home/.cache"));
        world.env("OPENCODE_CONFIG", home.join("opencode.json"));
        world.env("OPENCODE_DISABLE_MODELS_FETCH", "1");
        world.env("ANTHROPIC_BASE_URL", standin.url());
        world.env("ANTHROPIC_API_KEY", "no-secret");
        world.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        world.env("GOOGLE_GEMINI_BASE_URL", standin.url());
        world.env("GEMINI_API_KEY", "no-secret");
        world.env("GEMINI_CLI_TRUST_WORKSPACE", "true");
        world.env("OPENAI_BASE_URL", format!("{}/v1", standin.url()));
        world.env("OPENAI_API_BASE", format!("{}/v1", standin.url()));
        world.env("OPENAI_API_KEY", "no-secret");
        world.env("OPENAI_MODEL", "standin");
        world.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
        world.env("MSWEA_COST_TRACKING", "ignore_errors");
    }
}

const TASKS: &str = "## Phase 1: Work\n\n- [ ] T001 write one.txt\n- [ ] T002 write two.txt\n\
                     - [ ] T003 write three.txt\n- [ ] T004 write four.txt\n";

/// What the model does with each task, in the way in which the program lets it.
fn scenario(agent: &str) -> Scenario {
    match agent {
        "aider" => by_texts(),
        "mini-swe-agent" => by_commands(),
        "qwen" => {
            // It does not overwrite a file that it has not read.
            let again = [bash("rm three.txt"), write("three.txt", "green\n"), say("It is green now.")];
            let mut scenario = Scenario::default().rule("attempt 2 of 3", again);
            scenario.rules.extend(by_tools().rules);
            scenario
        }
        _ => by_tools(),
    }
}

/// Later prompts of the same task come first.
fn by_tools() -> Scenario {
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

/// Files are blocks in the answer.
fn by_texts() -> Scenario {
    let file = |path: &str, text: &str| say(&format!("Here it is.\n\n{path}\n```\n{text}\n```\n"));
    Scenario::default()
        .rule("attempt 2 of 3", [file("three.txt", "green")])
        .rule("forty-two", [file("two.txt", "42")])
        .rule("T004", [say("I may not write here.")])
        .rule("T003", [file("three.txt", "red")])
        .rule("T002", [say("I need a number.\nBLOCKED: which number?")])
        .rule("T001", [file("one.txt", "1")])
        .without_tools()
}

/// An answer without a command is a mistake there, and the end is a command too.
fn by_commands() -> Scenario {
    let end = || bash("echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT");
    Scenario::default()
        .rule("attempt 2 of 3", [write("three.txt", "green\n"), end()])
        .rule("forty-two", [write("two.txt", "42\n"), end()])
        .rule("T004", [say("I may not write here."), end()])
        .rule("T003", [write("three.txt", "red\n"), end()])
        .rule("T002", [say("I need a number.\nBLOCKED: which number?"), end()])
        .rule("T001", [say("I write it."), write("one.txt", "1\n"), bash("cat one.txt"), end()])
}

fn model(agent: &str) -> &'static str {
    match agent {
        "pi" | "opencode" => "standin/standin",
        "aider" | "mini-swe-agent" => "openai/standin",
        // It routes requests for its other names by asking another model first.
        "gemini" => "gemini-2.5-flash",
        _ => "standin",
    }
}

fn world(agent: &str, programs: &Path, homes: &Homes, standin: &Standin) -> World {
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

/// The same with the program's own screen in the pane. What it tells of its usage there is nothing.
fn a_feature_on_the_screen_of(agent: &str) {
    let Some(programs) = programs(agent) else { return };
    let mut scenario = scenario(agent);
    if agent == "opencode" {
        // Nothing tells there what it said.
        let asks = [bash("sprint agent blocked 'which number?'"), say("I wait for it.")];
        scenario.rules.retain(|rule| rule.when != "T002");
        scenario = scenario.rule("T002", asks);
    }
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = world(agent, &programs, &homes, &standin);
    world.set(&format!("agent.{agent}.mode"), "\"interactive\"");
    world.configure();
    world.commit("on the screen");
    homes.trust(&world);
    // Eight starts of a program that may take ten seconds each on a busy machine.
    world.be_patient(Duration::from_mins(4));
    builds_the_feature(&world);
    let answered = standin.requests().into_iter().find(|request| request.user.contains("forty-two")).unwrap();
    assert!(answered.body.to_string().contains("which number?"), "{:#}", answered.body);
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}

fn a_feature_with(agent: &str) {
    let Some(programs) = programs(agent) else { return };
    let (homes, standin) = (Homes::new(), Standin::start(scenario(agent)));
    let world = world(agent, &programs, &homes, &standin);
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

/// Success, a question, a red gate that is repaired, and a task that is claimed and not done.
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
    assert!(reason.ends_with("claimed success, but there is no commit"), "{reason}");
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

fn refused(agent: &str, status: u16, reason: &str) {
    let Some(programs) = programs(agent) else { return };
    let scenario = Scenario::default().rule("T001", [fault(http(status))]);
    let scenario = if agent == "aider" { scenario.without_tools() } else { scenario };
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
    let Some(programs) = programs("codex") else { return };
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
fn a_refused_key_of_codex_is_told_and_spends_no_attempt() {
    refused("codex", 401, "refuses the account");
}

#[test]
fn a_refused_key_of_pi_is_told_and_spends_no_attempt() {
    refused("pi", 401, "refuses the account");
}

#[test]
fn a_refused_key_of_opencode_is_told_and_spends_no_attempt() {
    refused("opencode", 401, "refuses the account");
}

#[test]
fn a_refused_key_of_gemini_is_told_and_spends_no_attempt() {
    refused("gemini", 401, "refuses the account");
}

#[test]
fn a_refused_key_of_qwen_is_told_and_spends_no_attempt() {
    refused("qwen", 401, "refuses the account");
}

#[test]
fn a_refused_key_of_aider_is_told_and_spends_no_attempt() {
    refused("aider", 401, "refuses the account");
}

#[test]
fn a_refused_key_of_mini_swe_agent_is_told_and_spends_no_attempt() {
    refused("mini-swe-agent", 401, "refuses the account");
}

/// What the model is refused it does not do, and the program ends with exit 0 all the same.
fn denied(agent: &str, step: Step, reason: &str) {
    let Some(programs) = programs(agent) else { return };
    let scenario = Scenario::default().rule("T001", [step, say("I did it.")]);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let world = world(agent, &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.commit("one task");
    world.start().expect(1);
    let status = world.status();
    let task = task_row(&status, "T001");
    assert_eq!(task["state"], "Parked", "{status:#}");
    let told = task["reason"].as_str().unwrap();
    assert!(told.contains("was denied what it needs") && told.contains(reason), "{told}");
    world.assert_nothing_left();
}

#[test]
fn what_opencode_rejects_by_itself_is_told() {
    denied("opencode", write("/nowhere/a.txt", "a\n"), "external_directory");
}

#[test]
fn what_gemini_refuses_is_told() {
    denied("gemini", bash("touch one.txt"), "claimed success, but there is no commit");
}

#[test]
fn what_qwen_refuses_is_told() {
    denied("qwen", bash("touch one.txt"), "claimed success, but there is no commit");
}

/// sprint's own tools, as the program offers them to its model.
fn speaks_through_tools(agent: &str, tool: impl Fn(&str) -> String) {
    let Some(programs) = programs(agent) else { return };
    let steps = [
        call(&tool("task_show"), json!({})),
        write("one.txt", "1\n"),
        call(&tool("gates_run"), json!({})),
        call(&tool("comment"), json!({"text": "said through a tool"})),
        call(&tool("task_done"), json!({"message": "one is written"})),
        say("Finished."),
    ];
    let ask = [call(&tool("task_blocked"), json!({"question": "which number?"})), say("I wait.")];
    let scenario = Scenario::default()
        .rule("forty-two", [write("two.txt", "42\n"), say("Written.")])
        .rule("T002", ask)
        .rule("T001", steps);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let world = world(agent, &programs, &homes, &standin);
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n- [ ] T002 write two.txt\n");
    world.commit("two tasks");
    world.start().expect(1);
    let status = world.status();
    assert_eq!(world.landed_file("one.txt"), "1", "{status:#}");
    assert_eq!(status["needs_you"][0]["text"], "which number?", "{status:#}");
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    assert!(events.contains("said through a tool"), "{events}");
    // What the tools answered went back to the model.
    let asked = standin.requests();
    let told = |text: &str| asked.iter().any(|request| request.body.to_string().contains(text));
    assert!(told("acceptance_scenarios") || told("\\\"attempts\\\": 3"), "task_show");
    assert!(told("pass    green"), "gates_run");
    world.sprint(&["answer", "T002", "forty-two"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed_file("two.txt"), "42");
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}

#[test]
fn codex_speaks_through_sprints_tools() {
    speaks_through_tools("codex", |name| format!("mcp__sprint/{name}"));
}

#[test]
fn opencode_speaks_through_sprints_tools() {
    speaks_through_tools("opencode", |name| format!("sprint_{name}"));
}

#[test]
fn codex_as_the_manager_proposes_through_a_tool() {
    let Some(programs) = programs("codex") else { return };
    let proposal = json!({"action": "answer", "text": "forty-two"});
    let steps =
        [call("mcp__sprint/task_show", json!({})), call("mcp__sprint/propose", proposal), say("Proposed.")];
    let scenario = Scenario::default().rule("You are the manager", steps);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = World::with(
        "- [ ] T001 write number.txt\n",
        "if [ -z \"$SPRINT_ANSWER\" ]; then echo 'BLOCKED: which number?'; exit 0; fi\n\
         echo \"$SPRINT_ANSWER\" > number.txt; git add -A; git commit -qm number",
    );
    world.set("roles.manager.agent", "\"codex\"");
    world.set("roles.manager.model", "\"standin\"");
    world.set("roles.manager.auto", "true");
    homes.furnish(&mut world, &programs, &standin);
    world.configure();
    world.commit("managed");
    world.start().expect(0);
    assert_eq!(world.landed_file("number.txt"), "forty-two");
    let asked = standin.requests();
    assert!(
        asked.iter().any(|request| request.user.contains("which number?")),
        "the prompt has the question"
    );
    let cost = world.sprint(&["cost", "--json"]).expect(0).json();
    assert_eq!(cost["roles"]["manager"], cost["total"], "{cost:#}");
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}
