//! Gates of every kind: what blocks, what is only told, and what could not run.

use std::time::{Duration, Instant};

use crate::common::{World, task_row};

/// The first attempt writes `bad`, the second `good`.
const LEARNS: &str =
    "[ $SPRINT_ATTEMPT = 1 ] && echo bad >> a.txt || echo good >> a.txt\ngit add -A; git commit -qm a";

fn world(gate: &str) -> World {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.file("a.txt", "begin\n");
    world.agent(LEARNS);
    world.gate("words", gate);
    world
}

fn done(world: &World) {
    world.configure();
    world.commit("base");
}

const SARIF: &str = r#"at=$(grep -n bad a.txt | head -1 | cut -d: -f1)
if [ -n "$at" ]; then r='{"ruleId":"w1","level":"error","message":{"text":"a bad word"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.txt"},"region":{"startLine":'$at'}}}]}'; fi
echo '{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"words"}},"results":['"$r"']}]}'"#;

const JUNIT: &str = r#"if grep -q bad a.txt; then f='<failure message="a bad word">no</failure>'; n=1; else n=0; fi
echo '<?xml version="1.0"?><testsuites><testsuite name="s" tests="1" failures="'$n'"><testcase classname="c" name="words">'"$f"'</testcase></testsuite></testsuites>'
exit $n"#;

#[test]
fn every_parser_blocks_a_red_attempt() {
    for (parser, gate) in [
        ("regex", "grep -nH bad a.txt || true"),
        ("sarif", SARIF),
        ("junit", JUNIT),
        ("exit-code", "! grep -q bad a.txt"),
    ] {
        let mut world = world(gate);
        world.set("gate.words.parser", &format!("\"{parser}\""));
        if parser == "regex" {
            world.set("gate.words.pattern", "'^(?P<path>[^:]+):(?P<line>\\d+):(?P<message>.*)$'");
        }
        done(&world);
        world.start().expect(0);
        assert_eq!(world.landed(), "T001:2", "{parser}");
    }
}

#[test]
fn what_the_base_had_does_not_block_in_mode_new_and_report_never_does() {
    for (mode, base, landed) in [("new", "bad\n", "T001:2"), ("report", "begin\n", "T001:1")] {
        let mut world = world("grep -nH bad a.txt || true");
        world.file("a.txt", base);
        world.set("gate.words.parser", "\"regex\"");
        world.set("gate.words.pattern", "'^(?P<path>[^:]+):(?P<line>\\d+):(?P<message>.*)$'");
        world.set("gate.words.mode", &format!("\"{mode}\""));
        done(&world);
        world.start().expect(0);
        assert_eq!(world.landed(), landed, "{mode}");
    }
}

#[test]
fn a_gate_that_cannot_run_is_repeated_and_then_the_operators() {
    let world = world(
        "grep -q begin a.txt; [ \"$(git log --oneline | wc -l)\" = 1 ] || [ -e $W/mended ] || exit 127",
    );
    done(&world);
    let began = Instant::now();
    world.start().expect(1);
    assert!(began.elapsed() >= Duration::from_secs(70), "10 + 20 + 40 s: {:?}", began.elapsed());
    world.assert_nothing_left();
    let status = world.status();
    assert_eq!(task_row(&status, "T001")["state"], "Waiting", "{status:#}");
    assert_eq!(status["needs_you"][0]["kind"], "operator", "{status:#}");
    world.touch("mended");
    world.sprint(&["task", "retry", "T001"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1", "the gate was repeated, not the work");
}

#[test]
fn a_base_that_cannot_be_gated_is_an_environment_that_is_broken() {
    let mut world = world("exit 126");
    done(&world);
    let shown = world.start().expect(3);
    assert!(shown.stdout.contains("words"), "{}", shown.stdout);
    world.assert_nothing_left();
    assert!(world.git(&["branch", "--list", "sprint/*"]).is_empty(), "nothing was begun");
    world.gate("words", "true");
    world.commit("mended");
    world.start().expect(0);
}

/// The moments of the first events of these kinds after `seq`.
fn times(world: &World, kinds: &[&str]) -> Vec<String> {
    let events = world.sprint(&["events", "--json", "-n", "1000"]).expect(0).stdout;
    let rows: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut rows = rows.iter();
    let time = |kind: &&str| rows.find(|row| row["kind"] == **kind).map(|row| row["time"].to_string());
    kinds.iter().filter_map(time).collect()
}

#[test]
fn a_base_that_could_not_be_gated_is_told_and_a_reload_tries_at_once() {
    let mut world = world("exit 127");
    done(&world);
    world.detach();
    let status = world.wait_for("the first error", |status| status["needs_you"][0]["kind"] == "retry");
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains("words error") && reason.contains("retry 1 of 3"), "{status:#}");
    assert!(task_row(&status, "T001")["reason"].as_str().unwrap().contains("the base"), "{status:#}");
    let health = world.sprint(&["health", "--json"]).expect(1).json();
    assert!(health["problems"][0]["what"].as_str().unwrap().contains("retry 1 of 3"), "{health:#}");
    assert!(health["problems"][0]["fix"].as_str().unwrap().contains("sprint logs reviewer"), "{health:#}");
    let logs = world.sprint(&["logs", "reviewer"]).expect(0);
    assert!(logs.stdout.contains("words"), "it is where it is said to be: {}", logs.stdout);
    world.set("gate.words.command", "[\"true\"]");
    world.configure();
    let told = world.sprint(&["reload"]).expect(0);
    assert!(told.stdout.contains("at once"), "{}", told.stdout);
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    let times = times(&world, &["base_error", "reloaded", "run_assigned", "base_passed"]);
    assert!(times.len() == 4 && times[1] == times[2], "with the reload itself: {times:?}");
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn gates_of_all_stages_run_on_the_tree_that_lands() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n");
    world.agent("echo $1 > $1.txt; git add -A; git commit -qm $1");
    for (name, stage) in [("one", "InReview"), ("two", "InTests"), ("three", "InDocs")] {
        world.gate(name, &format!("echo {name} $(git rev-parse HEAD^{{tree}}) >> $W/gated"));
        world.set(&format!("gate.{name}.stage"), &format!("\"{stage}\""));
    }
    done(&world);
    world.start().expect(0);
    let gated = world.read("gated");
    for commit in world.git(&["rev-list", "--first-parent", "main..sprint/001-demo"]).lines() {
        let tree = world.git(&["rev-parse", &format!("{commit}^{{tree}}")]);
        for name in ["one", "two", "three"] {
            assert!(gated.contains(&format!("{name} {tree}")), "{name} never judged {tree}: {gated}");
        }
    }
}

/// The example of `docs/gates.md`, as it is written there.
#[test]
fn a_grep_gate_is_clean_without_a_match_and_an_error_where_grep_could_not_look() {
    let page = include_str!("../../docs/gates.md");
    let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let example = blocks.into_iter().find(|block| block.starts_with("[gate.fixme]")).unwrap();
    let world = World::with("- [ ] T001 write a.txt\n", "true");
    world.file("src/a.txt", "fine\n");
    let config = world.read("r/sprint.toml");
    world.file("sprint.toml", &format!("{config}\n{example}"));
    world.commit("a grep gate");
    let run = |code: i32| {
        let ran = world.sprint(&["gates", "run", "fixme", "--json"]).expect(code).json();
        ran["gates"][0].clone()
    };
    assert_eq!(run(0)["verdict"], "pass");
    world.file("src/b.txt", "one\nFIXME: two\n");
    let red = run(1);
    assert_eq!(red["findings"][0]["path"], "src/b.txt", "{red:#}");
    assert_eq!(red["findings"][0]["line"], 2, "{red:#}");
    world.git(&["rm", "-rqf", "--cached", "src"]);
    std::fs::remove_dir_all(world.repo().join("src")).unwrap();
    let broken = run(3);
    assert!(broken["reason"].as_str().unwrap().contains("exited with 2"), "{broken:#}");
}

/// Processes with this word in their command line.
fn running(word: &str) -> Vec<String> {
    let commands = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    commands.filter(|line| line.contains(word)).collect()
}

#[test]
fn what_a_gate_leaves_running_is_ended_however_it_hides() {
    let length = format!("8{}.25", std::process::id());
    let mut world =
        world(&format!("setsid sleep {length} &\n(env -i setsid sleep {length} >/dev/null 2>&1 &)\nexit 0"));
    world.set("gate.words.parser", "\"exit-code\"");
    world.set("gate.words.mode", "\"absolute\"");
    done(&world);
    world.sprint(&["gates", "run", "words"]).expect(0);
    assert_eq!(running(&format!("sleep {length}")), Vec::<String>::new());
    world.start().expect(0);
    assert_eq!(running(&format!("sleep {length}")), Vec::<String>::new());
    world.assert_nothing_left();
}

#[test]
fn the_prompt_names_the_gates_that_judge() {
    let Some(tools) = std::env::var_os("SPRINT_TEST_TOOLS") else {
        eprintln!("skipped: SPRINT_TEST_TOOLS names no directory with ruff");
        return;
    };
    let mut world = world("exit 0");
    world.agent("cp \"$SPRINT_PROMPT\" $W/prompt; echo 'x = 1' > a.py; git add -A; git commit -qm a");
    world.file("old.py", "y = 2\n");
    world.set("gate.words.mode", "\"absolute\"");
    world.set("gates.presets", "[\"ruff\"]");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::iter::once(std::path::PathBuf::from(tools).join("bin")).chain(std::env::split_paths(&path));
    world.env("PATH", std::env::join_paths(path).unwrap());
    done(&world);
    world.start().expect(0);
    let prompt = world.read("prompt");
    assert!(prompt.contains("- `ruff`: `ruff check"), "{prompt}");
    assert!(prompt.contains("- `words`: `./gate-words.sh`"), "{prompt}");
    assert!(!prompt.contains("No command checks your work"), "{prompt}");
}
