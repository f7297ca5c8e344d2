//! Texts of agents and files, and readers that go away.

use std::process::Stdio;

use sprint::domain::report::Report;

use crate::fixture::{Sample, Sprint, command, shown};

const ESCAPE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}clean $(touch canary) `touch canary` #(touch canary); --x";

fn hostile() -> Sprint {
    let sample = |id, title: String| Sample { id, title, phase: 0, done: false };
    let mut sprint = Sprint::begun(
        &[
            sample("T001", ESCAPE.to_owned()),
            sample("T002", "\u{202e}fdp.exe\u{202c} \u{1f469}\u{200d}\u{1f4bb} שלום".to_owned()),
            sample("T003", "x".repeat(10_000)),
            sample("T004", "two\nlines\r\nand\ta tab".to_owned()),
        ],
        4,
    );
    sprint.report("T001", Report::Blocked { question: format!("{ESCAPE}\n\u{1b}[31msecond") });
    sprint.report("T003", Report::Errored { reason: "y".repeat(10_000) });
    sprint.supervised();
    sprint
}

fn is_harmless(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)))
}

#[test]
fn nothing_that_a_terminal_acts_on_is_shown_and_nothing_runs() {
    let sprint = hostile();
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["health"],
        &["health", "--json"],
        &["task", "list"],
        &["task", "list", "--json"],
        &["task", "show", "T001"],
        &["task", "show", "T003"],
        &["answer"],
        &["events"],
        &["events", "--json"],
        &["attach"],
        &["attach", ESCAPE],
        &["logs", ESCAPE],
        &["task", "show", ESCAPE],
        &["task", "skip", "../../x"],
        &["answer", "--", "--option", "x"],
    ] {
        let shown = sprint.sprint(args);
        assert!(is_harmless(&shown.out) && is_harmless(&shown.err), "{args:?}: {}", shown.whole());
        let longest = shown.out.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(longest < 5_000, "{args:?}: a line of {longest}");
    }
    assert!(!sprint.top.join("canary").exists());
}

#[test]
fn hostile_titles_in_the_table() {
    let sprint = hostile();
    let table = sprint.sprint(&["status"]).out;
    let table: Vec<&str> = table.lines().skip(2).take(5).map(|line| line.get(..90).unwrap_or(line)).collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn colour_is_for_terminals_only() {
    let sprint = hostile();
    let mut forced = command(sprint.dir.path(), &sprint.top, &["status"]);
    forced.env("TERM", "xterm-256color").env("CLICOLOR_FORCE", "1");
    assert!(!shown(forced.output().unwrap()).out.contains('\u{1b}'));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sprint = hostile();
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["events"],
        &["man"],
        &["events", "-f"],
        &["status", "--watch"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = command(sprint.dir.path(), &sprint.top, args);
        let output = child.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}

#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let sprint = hostile();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command(sprint.dir.path(), &sprint.top, &["status"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: standard output cannot be written"));
}
