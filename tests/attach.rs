//! What a person sees: progress on a terminal, panes through `sprint attach`, and what keys do.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails loudly, and shares what is in common/"
)]

mod common;

use common::SPRINT;
use common::World;
use common::terminal::Terminal;

/// A task that waits for `$W/go` while its agent talks.
fn world() -> World {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.agent("echo the agent thinks aloud; touch $W/here; until [ -e $W/go ]; do sleep 0.05; done; echo $SPRINT_ATTEMPT > a.txt; git add -A; git commit -qm a");
    world.gate(
        "words",
        "echo the gate looks around; ! grep -q 1 a.txt || { echo a.txt is too short; exit 1; }",
    );
    world.set("gate.words.stage", "\"InReview\"");
    world.file("a.txt", "begin\n");
    world.configure();
    world.commit("base");
    world
}

#[test]
fn attach_shows_the_developers_pane_and_the_reviewers_gates() {
    let world = world();
    world.detach();
    world.wait_until("the agent", || world.exists("here"));
    let terminal = Terminal::open(&world);
    terminal.line(&format!("{SPRINT} attach T001"));
    let screen = terminal.wait("the agent thinks aloud");
    assert!(screen.contains("T001"), "the pane says whose it is:\n{screen}");
    terminal.tmux(&["resize-window", "-t", "t", "-x", "80", "-y", "24"]);
    let hint = "detach: C-b d (inside another tmux: C-b C-b d)";
    terminal.wait_for("the hint in eighty columns", |screen| {
        screen.lines().any(|line| line.contains("[developer-1]") && line.trim_end().ends_with(hint))
    });
    terminal.keys(&["C-b", "d"]);
    terminal.wait("[detached");
    terminal.line(&format!("clear; {SPRINT} attach reviewer"));
    world.touch("go");
    let screen = terminal.wait("too short");
    assert!(screen.contains("words"), "the gate has its name:\n{screen}");
    terminal.keys(&["C-b", "d"]);
    terminal.close();
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:2");
    world.assert_nothing_left();
}

#[test]
fn the_managers_pane_shows_the_events_and_attach_inside_switches() {
    let world = world();
    world.detach();
    world.wait_until("the agent", || world.exists("here"));
    let terminal = Terminal::open(&world);
    terminal.line(&format!("{SPRINT} attach manager"));
    let screen = terminal.wait("T001");
    assert!(
        screen.contains("run_assigned") || screen.contains("InProgress"),
        "the history of the sprint:\n{screen}"
    );
    // Inside sprint's own server the client is switched to the other session.
    let clients = world.tmux(&["list-clients", "-F", "#{client_name}=#{session_name}"]).stdout;
    assert!(clients.contains("=manager"), "{clients}");
    let w = world.path().display();
    let shell =
        format!("cd {w}/r && XDG_STATE_HOME={w}/s XDG_RUNTIME_DIR={w}/x HOME={w}/h {SPRINT} attach reviewer");
    world.tmux(&["new-window", "-t", "=manager:", &shell]).expect(0);
    world.wait_until("the client is switched", || {
        world.tmux(&["list-clients", "-F", "#{client_name}=#{session_name}"]).stdout.contains("=reviewer")
    });
    terminal.keys(&["C-b", "d"]);
    terminal.wait("[detached");
    terminal.close();
    let list = world.sprint(&["attach"]).expect(0);
    assert!(list.stdout.contains("developer-1") && list.stdout.contains("manager"), "{}", list.stdout);
    world.sprint(&["attach", "nobody"]).expect(4);
    world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
}

#[test]
fn on_a_terminal_start_shows_progress_and_ctrl_c_stops_only_the_following() {
    let world = world();
    let terminal = Terminal::open(&world);
    terminal.line(&format!("{SPRINT} start specs/001-demo; echo code=$?"));
    world.wait_until("the agent", || world.exists("here"));
    let screen = terminal.wait("T001");
    assert!(screen.contains("InProgress") && screen.contains("0 of 1 done"), "one line a task:\n{screen}");
    terminal.keys(&["C-c"]);
    let screen = terminal.wait("code=1");
    assert!(screen.contains("the sprint goes on"), "{screen}");
    assert!(world.supervisor().is_some());
    terminal.line(&format!("clear; {SPRINT} start specs/001-demo; echo code=$?"));
    terminal.wait("0 of 1 done");
    world.touch("go");
    let screen = terminal.wait("code=0");
    assert!(screen.contains("git merge sprint/001-demo"), "{screen}");
    terminal.close();
    world.assert_nothing_left();
}

#[test]
fn a_closed_terminal_leaves_the_sprint_alone() {
    let world = world();
    let terminal = Terminal::open(&world);
    terminal.line(&format!("{SPRINT} start specs/001-demo"));
    world.wait_until("the agent", || world.exists("here"));
    terminal.close();
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:2");
    world.assert_nothing_left();
}

#[test]
fn on_a_terminal_a_question_keeps_the_sprint_there() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        "[ -n \"$SPRINT_ANSWER\" ] || { echo 'BLOCKED: why?'; exit 0; }\necho a > a.txt; git add -A; git commit -qm a",
    );
    let terminal = Terminal::open(&world);
    terminal.line(&format!("{SPRINT} start specs/001-demo; echo code=$?"));
    terminal.wait("asks: why?");
    world.sprint(&["answer", "T001", "because"]).expect(0);
    terminal.wait("code=0");
    terminal.close();
    world.assert_nothing_left();
}
