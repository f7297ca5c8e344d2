//! `sprint mcp` by a client of its own: the protocol line by line, each tool in a run that a
//! supervisor has given out, and what it says outside of one.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops where its premise fails, and says what it left"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::common::{DEADLINE, World, task_row};

/// A client at the other end of `sprint mcp`.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<Value>,
    last: u64,
}

impl Client {
    fn start(mut command: Command) -> Self {
        command.arg("mcp").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tell, answers) = channel();
        // Ends with the server's output.
        std::thread::spawn(move || {
            for line in output.lines() {
                if tell.send(serde_json::from_str(&line.unwrap()).unwrap()).is_err() {
                    break;
                }
            }
        });
        Self { input: child.stdin.take(), child, answers, last: 0 }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }

    #[track_caller]
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}));
        let answer = self.answers.recv_timeout(DEADLINE).unwrap();
        assert_eq!(answer["id"], self.last, "{answer}");
        answer
    }

    fn initialize(&mut self) -> Value {
        let client = json!({"name": "a test", "version": "1"});
        let answer = self.ask(
            "initialize",
            &json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}),
        );
        if answer["error"].is_null() {
            self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        }
        answer
    }

    /// The text of a tool's answer, and whether it is an error.
    #[track_caller]
    fn call(&mut self, tool: &str, arguments: &Value) -> (bool, String) {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        (result["isError"] == true, text.to_owned())
    }

    /// Closes the client's end: exit code and what the server has told on standard error.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.input.take());
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

const TASKS: &str = "## Phase 1: User Story 1 - Greet (Priority: P1)\n\n\
    - [ ] T001 [P] [US1] greet in src/greet.txt\n- [ ] T002 [P] [US1] part in src/part.txt\n";

const SPEC: &str = "# Feature Specification: greeting\n\n### User Story 1 - Greet (Priority: P1)\n\n\
    People are greeted.\n\n**Acceptance Scenarios**:\n\n1. **Given** a name, **When** it comes in, **Then** it is greeted\n";

/// The developers tell their environment and wait until the test lets them go.
const AGENT: &str = "mkfifo \"$W/go-$1\"\nenv -0 > \"$W/env-$1.part\"\nmv \"$W/env-$1.part\" \"$W/env-$1\"\n\
    mkdir -p src; echo red > \"src/$1.txt\"\ncat \"$W/go-$1\" > /dev/null\n";

fn world() -> World {
    let mut world = World::new();
    world.feature("001-demo", TASKS);
    world.file("specs/001-demo/spec.md", SPEC);
    world.agent(AGENT);
    world.gate("green", "! grep -rq red src 2>/dev/null");
    world.configure();
    world.commit("base");
    world
}

/// The environment of the developer of a task, once it runs.
fn developer(world: &World, task: &str) -> BTreeMap<String, String> {
    let file = world.path().join(format!("env-{task}"));
    world.wait_for("the developer", |_| file.exists());
    let text = String::from_utf8(fs::read(file).unwrap()).unwrap();
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// As a program starts it that passes nothing on but what it must. It does not work in the
/// worktree: what does is ended with the run.
fn in_run(world: &World, env: &BTreeMap<String, String>) -> Client {
    let mut command = world.command(common::SPRINT);
    for name in ["SPRINT_RUN_DIR", "SPRINT_TOKEN", "SPRINT_WORKTREE"] {
        command.env(name, &env[name]);
    }
    Client::start(command)
}

fn let_go(world: &World, task: &str) {
    let fifo: PathBuf = world.path().join(format!("go-{task}"));
    fs::write(fifo, "go\n").unwrap();
}

#[test]
fn the_tools_of_a_run() {
    let world = world();
    world.detach();
    let (first, second) = (developer(&world, "T001"), developer(&world, "T002"));
    let mut client = in_run(&world, &first);
    let hello = client.initialize();
    assert_eq!(hello["result"]["serverInfo"]["name"], "sprint", "{hello}");
    assert_eq!(hello["result"]["protocolVersion"], "2025-06-18");
    let tools = client.ask("tools/list", &json!({}));
    let names: Vec<&str> = tools["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    insta::assert_snapshot!(names.join(" "));

    let (failed, task) = client.call("task_show", &json!({}));
    assert!(!failed, "{task}");
    insta::assert_snapshot!("task_show", task);
    let (failed, peers) = client.call("peers", &json!({}));
    assert!(!failed, "{peers}");
    insta::assert_snapshot!("peers", peers);

    // The worktree as it is: nothing is committed.
    let (failed, red) = client.call("gates_run", &json!({}));
    assert!(!failed && red.starts_with("fail    green") && red.ends_with("fail\n"), "{red}");
    let worktree = Path::new(&first["SPRINT_WORKTREE"]);
    fs::write(worktree.join("src/T001.txt"), "green\n").unwrap();
    let (failed, green) = client.call("gates_run", &json!({"names": ["green"]}));
    assert!(!failed && green.ends_with("pass\n"), "{green}");
    let (failed, unknown) = client.call("gates_run", &json!({"names": ["gren"]}));
    assert!(failed && unknown == "there is no gate `gren`; did you mean `green`?", "{unknown}");

    let (failed, wrong) = client.call("task_done", &json!({"massage": "x"}));
    assert!(failed && wrong.contains("unknown field `massage`"), "{wrong}");
    let nothing = client.ask("tools/call", &json!({"name": "task_undo", "arguments": {}}));
    assert_eq!(nothing["error"]["message"], "there is no tool `task_undo`", "{nothing}");

    assert_eq!(client.call("comment", &json!({"text": "half way"})), (false, "Recorded.".to_owned()));
    let (failed, done) = client.call("task_done", &json!({"message": "greeted"}));
    assert!(!failed && done.starts_with("Recorded."), "{done}");
    assert_eq!(client.end(), (Some(0), String::new()));

    // Another run's token opens nothing here.
    let mut mixed = second.clone();
    mixed.insert("SPRINT_TOKEN".to_owned(), first["SPRINT_TOKEN"].clone());
    let mut stranger = in_run(&world, &mixed);
    let refused = stranger.initialize();
    assert_eq!(refused["error"]["message"], "the token is not that of this run", "{refused}");
    drop(stranger.end());

    let mut other = in_run(&world, &second);
    other.initialize();
    let asked = other.call("task_blocked", &json!({"question": "from whom?"}));
    assert!(!asked.0, "{}", asked.1);
    let_go(&world, "T001");
    let_go(&world, "T002");
    let status = world.wait_for("the question", |status| {
        status["needs_you"][0]["text"] == "from whom?" && task_row(status, "T001")["stage"] == "Done"
    });
    assert_eq!(status["needs_you"][0]["task"], "T002", "{status:#}");
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    assert!(events.contains("half way"), "{events}");
    // A program that outlived its run is told so.
    let (failed, late) = other.call("task_done", &json!({}));
    assert!(failed && late == "this run is over: the task went elsewhere; end your turn", "{late}");
    assert_eq!(other.end(), (Some(0), String::new()));
    world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
}

#[test]
fn outside_of_a_run_it_says_so_in_the_protocol_and_ends() {
    let world = World::new();
    let mut client = Client::start(world.command(common::SPRINT));
    let refused = client.initialize();
    let (code, told) = client.end();
    assert_eq!(code, Some(4));
    insta::assert_snapshot!(format!("{:#}\n{told}", refused["error"]));
}
