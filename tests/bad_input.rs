//! Everything that a person can get wrong: the message, the exit code, and that nothing was made.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails loudly, and shares what is in common/"
)]

mod common;
#[path = "bad_input/hostile.rs"]
mod hostile;
#[path = "bad_input/machine.rs"]
mod machine;

use std::fs;
use std::path::Path;

use common::{SPRINT, World};

const WRITES: &str = "echo $1 > $1.txt; git add -A; git commit -qm $1";

fn world() -> World {
    World::with("- [ ] T001 write a.txt\n", WRITES)
}

/// What `start` says, and that it made nothing.
fn refusal(world: &World, args: &[&str]) -> String {
    let mut words = vec!["start"];
    words.extend(args);
    let shown = world.sprint(&words);
    assert_ne!(shown.code, 0, "{}", shown.shown());
    nothing_made(world);
    format!("$ sprint {}\n{}\n", words.join(" "), world.redact(&shown.shown()))
}

fn nothing_made(world: &World) {
    assert!(!world.path().join("s/sprint").exists(), "a state directory was made");
    assert!(world.runtimes().is_empty(), "a runtime directory was made");
    world.assert_nothing_left();
}

fn refused_in(world: &World, directory: &Path, args: &[&str]) -> String {
    let mut command = world.command(SPRINT);
    command.current_dir(directory).args(args);
    let shown = world.spawn_command(command).end();
    assert_ne!(shown.code, 0, "{}", shown.shown());
    nothing_made(world);
    world.redact(&shown.shown())
}

#[test]
fn repositories() {
    let world = world();
    let mut text = String::new();
    let mut case = |name: &str, shown: String| text.push_str(&format!("# {name}\n{shown}\n\n"));

    let none = world.path().join("none");
    fs::create_dir(&none).unwrap();
    case("not a repository", refused_in(&world, &none, &["start", "specs/001-demo"]));
    case("not a repository, status", refused_in(&world, &none, &["status"]));
    let empty = world.path().join("empty");
    world.git(&["init", "-q", empty.to_str().unwrap()]);
    case("no commit", refused_in(&world, &empty, &["start", "specs/001-demo"]));
    let bare = world.path().join("bare");
    world.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    case("bare", refused_in(&world, &bare, &["start", "specs/001-demo"]));
    let shallow = world.path().join("shallow");
    world.commit("second");
    let url = format!("file://{}", world.repo().display());
    world.git(&["clone", "-q", "--depth", "1", &url, shallow.to_str().unwrap()]);
    case("shallow", refused_in(&world, &shallow, &["start", "specs/001-demo"]));
    case("gone", {
        let gone = world.path().join("gone");
        fs::create_dir(&gone).unwrap();
        let mut command = world.command("bash");
        command.current_dir(&gone).args(["-c", &format!("rmdir {}; exec {SPRINT} status", gone.display())]);
        world.redact(&world.spawn_command(command).end().shown())
    });
    insta::assert_snapshot!(text);
}

#[test]
fn branches_and_identity() {
    let mut text = String::new();
    for branch in ["sprint", "sprint-task"] {
        let world = world();
        world.git(&["branch", branch]);
        text.push_str(&refusal(&world, &["specs/001-demo"]));
    }
    let reserved = world();
    reserved.git(&["worktree", "add", "-q", "-b", "sprint/001-demo", "../mine"]);
    text.push_str(&refusal(&reserved, &["specs/001-demo"]));
    let nobody = world();
    nobody.git(&["config", "--unset", "user.name"]);
    nobody.git(&["config", "--unset", "user.email"]);
    text.push_str(&refusal(&nobody, &["specs/001-demo"]));
    insta::assert_snapshot!(text);
}

#[test]
fn feature_directories() {
    let world = world();
    let mut text = String::new();
    let mut case = |args: &[&str]| text.push_str(&refusal(&world, args));
    case(&["specs/009-none"]);
    case(&["agent.sh"]);
    fs::create_dir_all(world.path().join("outside/001-demo")).unwrap();
    case(&["../outside/001-demo"]);
    case(&["."]);
    world.feature("002-new", "- [ ] T001 a\n");
    case(&["specs/002-new"]);
    world.file("specs/003-no-tasks/spec.md", "# Feature Specification: none\n");
    world.feature("004-closed", "## Phase 1: Work\n\n- [x] T001 write a.txt\n");
    world.feature("005-cycle", "## Phase 1: Work\n\n- [ ] T001 write a.txt (depends on T003)\n- [ ] T002 write b.txt (depends on T001)\n- [ ] T003 write c.txt (depends on T002)\n");
    world.feature("006-prose", "Write a program. Then test it.\n");
    world.feature("007-unclear", "- [ ] T001 write a.txt\n");
    world.file(
        "specs/007-unclear/spec.md",
        "# Feature Specification: x\n\n- **FR-001**: it MUST do [NEEDS CLARIFICATION: what?]\n",
    );
    world.file("specs/008 blank/tasks.md", "- [ ] T001 write a.txt\n");
    world.commit("features");
    case(&["specs/003-no-tasks"]);
    case(&["specs/004-closed"]);
    case(&["specs/005-cycle"]);
    case(&["specs/006-prose"]);
    case(&["specs/007-unclear"]);
    case(&["specs/008 blank"]);
    world.file("specs/001-demo/tasks.md", "- [ ] T001 something else\n");
    case(&["specs/001-demo"]);
    case(&[]);
    case(&["--all", "specs/001-demo"]);
    case(&["--base", "no such", "specs/001-demo"]);
    insta::assert_snapshot!(text);
}

#[test]
fn configuration() {
    let mut text = String::new();
    for toml in [
        "[agents]\nmax_develpers = 2\n",
        "[agents]\nmax_developers = \"two\"\n",
        "[roles.reviwer]\nagent = \"none\"\n",
        "[roles.developer]\nagent = \"mien\"\n[agent.mine]\nkind = \"command\"\ncommand = [\"./agent.sh\"]\n",
        "[gates]\npresets = [\"rufff\"]\n",
        "[gate.x]\nstage = \"InTest\"\ncommand = [\"true\"]\n",
        "[gate.x]\nstage = \"InTests\"\ncommand = [\"true\"]\nparser = \"sarf\"\n",
        "[gate.x]\nstage = \"InTests\"\n",
        "[gate.x]\nstage = \"InTests\"\ncommand = [\"true\"]\nparser = \"regex\"\npattern = \"(\"\n",
        "[gate.x]\nstage = \"InTests\"\ncommand = [\"true\"]\nmode = \"newer\"\n",
        "[gate.llvm-cov]\nenabled = true\n",
        "[quality]\ncoverage = 90\n",
        "[timeouts]\ntask = \"soon\"\n",
        "[merge]\nfinish = \"pr\"\n",
        "agents = [\n",
    ] {
        let world = world();
        world.file("sprint.toml", toml);
        text.push_str(&format!("{toml}{}\n", refusal(&world, &["specs/001-demo"])));
    }
    let mut world = world();
    text.push_str(&refusal(&world, &["--agent", "mein", "specs/001-demo"]));
    world.env("SPRINT_CONFIG__agents__max_develpers", "3");
    text.push_str(&refusal(&world, &["specs/001-demo"]));
    insta::assert_snapshot!(text);
}

#[test]
fn what_the_configuration_names_and_the_repository_has_not() {
    let mut text = String::new();
    for toml in [
        "[worktree]\ncopy = [\n  \".env\",\n  \"secrets/no.env\",\n]\n",
        "[worktree]\nlink = [\"node_modules\"]\ncopy = [\"*.env\"]\n",
        "[worktree]\nlink = [\"specs\"]\n",
        "[general]\nroot = \"backend\"\n",
        "[general]\nroot = \"agent.sh\"\n",
    ] {
        let world = world();
        world.file("sprint.toml", toml);
        world.file(".env", "KEY=1\n");
        text.push_str(&format!("{toml}{}\n", refusal(&world, &["specs/001-demo"])));
    }
    let mut world = world();
    world.env("SPRINT_CONFIG__general__root", "backend");
    text.push_str(&refusal(&world, &["specs/001-demo"]));
    // On the disk and not in the base: no worktree would have it.
    world.file("backend/x", "");
    text.push_str(&refusal(&world, &["specs/001-demo"]));
    world.commit("backend");
    world.env("SPRINT_CONFIG__worktree__setup_inputs", "[\"*.lock\", \"*.sh\"]");
    let told = world.sprint(&["start", "--dry-run", "specs/001-demo"]).expect(0);
    text.push_str(told.stdout.lines().next().unwrap());
    insta::assert_snapshot!(text);
}

#[test]
fn agents() {
    let mut text = String::new();
    let mut case = |command: &str, prepare: fn(&World)| {
        let mut world = World::new();
        world.feature("001-demo", "- [ ] T001 write a.txt\n");
        world.agent(WRITES);
        prepare(&world);
        world.set("agent.mine.command", command);
        world.configure();
        world.commit("base");
        text.push_str(&refusal(&world, &["specs/001-demo"]));
    };
    case("[\"./no-such-agent\"]", |_| ());
    case("[\"no-such-agent-on-path\"]", |_| ());
    case("[\"./agent.txt\"]", |world| world.file("agent.txt", "not a program\n"));
    case("[\"./specs\"]", |_| ());
    case("[\"./agent.other\"]", |world| {
        // The beginning of a program of a machine that nobody has.
        let head = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 11], &[0x34, 0x12], &[0; 44]].concat();
        world.script("agent.other", "");
        std::fs::write(world.repo().join("agent.other"), head).unwrap();
    });
    case("[]", |_| ());
    case("[\"./agent.sh\", \"{tsk.id}\"]", |_| ());
    let mut world = World::new();
    world.feature("001-demo", "- [ ] T001 write a.txt\n");
    world.set("roles.developer.agent", "\"command\"");
    world.unset("agent.mine.kind");
    world.unset("agent.mine.command");
    world.configure();
    world.commit("base");
    text.push_str(&refusal(&world, &["specs/001-demo"]));
    insta::assert_snapshot!(text);
}

#[test]
fn gates_and_the_base() {
    let mut text = String::new();
    let mut missing = World::new();
    missing.feature("001-demo", "- [ ] T001 write a.txt\n");
    missing.agent(WRITES);
    missing.set("gate.x.stage", "\"InTests\"");
    missing.set("gate.x.command", "[\"no-such-tool\", \"--check\"]");
    missing.configure();
    missing.commit("base");
    text.push_str(&refusal(&missing, &["specs/001-demo"]));
    missing.set("gate.x.required", "false");
    missing.configure();
    missing.commit("optional");
    let told = missing.start().expect(0);
    text.push_str(&format!("{}\n", told.stdout.lines().next().unwrap()));
    assert_eq!(missing.landed(), "T001:1");

    let mut red = World::new();
    red.feature("001-demo", "- [ ] T001 write a.txt\n");
    red.agent(WRITES);
    red.gate("always", "echo it is broken; echo x >> $W/runs; exit 1");
    red.configure();
    red.commit("base");
    let shown = red.start().expect(4);
    red.assert_nothing_left();
    assert_eq!(red.read("runs").lines().count(), 2, "a red base is gated once more");
    let lines: Vec<&str> = shown.stdout.lines().filter(|line| line.starts_with("001-demo:")).collect();
    text.push_str(&format!("{}\n", lines.join("\n")));
    assert!(red.git(&["branch", "--list", "sprint/*"]).is_empty());
    insta::assert_snapshot!(text);
}

#[test]
fn commands_without_a_sprint() {
    let world = world();
    let mut text = String::new();
    for args in [
        vec!["status"],
        vec!["status", "--json"],
        vec!["events"],
        vec!["answer", "T001", "x"],
        vec!["task", "retry", "T001"],
        vec!["task", "list"],
        vec!["pause"],
        vec!["resume"],
        vec!["stop"],
        vec!["attach"],
        vec!["attach", "T001"],
        vec!["logs"],
        vec!["queue"],
        vec!["reload"],
        vec!["frobnicate"],
        vec!["agent", "done"],
        vec!["agent", "work", "--role", "developer", "--slot", "1"],
    ] {
        let shown = world.sprint(&args);
        text.push_str(&format!("$ sprint {}\n{}\n\n", args.join(" "), world.redact(&shown.shown())));
    }
    nothing_made(&world);
    insta::assert_snapshot!(text);
}

#[test]
fn starting_from_inside() {
    let mut world = World::with(
        "- [ ] T001 write a.txt\n",
        &format!(
            "{SPRINT} start specs/001-demo > $W/inner 2>&1 || echo \"[exit $?]\" >> $W/inner\npwd > $W/pwd; touch $W/here; until [ -e $W/go ]; do sleep 0.05; done\n{WRITES}"
        ),
    );
    world.detach();
    world.wait_until("the agent", || world.exists("here"));
    let mut text = format!("# by an agent\n{}\n", world.redact(&world.read("inner")));
    // A person goes into a worktree of sprint's.
    let inside = world.read("pwd").trim().to_owned();
    let mut command = world.command(SPRINT);
    command.current_dir(&inside).args(["start", "specs/001-demo"]);
    let shown = world.spawn_command(command).end();
    let said = world.redact(&shown.shown());
    text.push_str(&format!(
        "# in a worktree of sprint's\n{}\n",
        regex::Regex::new(r"worktrees/\S+").unwrap().replace_all(&said, "worktrees/[n]")
    ));
    // A person opens a shell inside sprint's own tmux: there the sprint is followed as anywhere.
    let runtime = world.hash();
    world.env("TMUX", format!("/tmp/tmux-{}/sprint-{runtime},1,0", nix::unistd::getuid()));
    world.sprint(&["start", "--detach", "specs/001-demo"]).expect(0);
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1");
    insta::assert_snapshot!(text);
}
