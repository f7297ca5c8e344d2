//! The command tree, and what a wrong command line says.

use clap::CommandFactory as _;

use crate::fixture::{Sprint, sprint};

#[test]
fn the_command_tree() {
    let mut text = String::new();
    tree(&sprint::cli::args::Cli::command(), &mut Vec::new(), &mut text);
    insta::assert_snapshot!(text);
}

fn tree(command: &clap::Command, path: &mut Vec<String>, text: &mut String) {
    path.push(command.get_name().to_owned());
    let hidden = if command.is_hide_set() { " (hidden)" } else { "" };
    text.push_str(&format!(
        "{}{hidden}: {}\n",
        path.join(" "),
        command.get_about().map(ToString::to_string).unwrap_or_default()
    ));
    for argument in
        command.get_arguments().filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version"))
    {
        let name = match (argument.get_short(), argument.get_long()) {
            (Some(short), Some(long)) => format!("-{short} --{long}"),
            (_, Some(long)) => format!("--{long}"),
            (Some(short), None) => format!("-{short}"),
            (None, None) => argument.get_id().to_string(),
        };
        text.push_str(&format!(
            "    {name}: {}\n",
            argument.get_help().map(ToString::to_string).unwrap_or_default()
        ));
    }
    command.get_subcommands().for_each(|sub| tree(sub, path, text));
    path.pop();
}

#[test]
fn the_tree_is_consistent() {
    sprint::cli::args::Cli::command().debug_assert();
}

#[test]
fn wrong_command_lines_exit_with_2_in_the_form_of_the_house() {
    let (dir, top) = Sprint::empty();
    let mut all = String::new();
    for args in [
        &["statsu"][..],
        &["status", "--jsn"],
        &["status", "--json", "--watch"],
        &["start"],
        &["task", "show"],
        &["stop", "--limit", "soon"],
        &["agent", "verdict", "maybe"],
        &["status", "\u{1b}[31mred\nx"],
        &["completions", "tcsh"],
    ] {
        let shown = sprint(dir.path(), &top, args);
        assert_eq!(shown.exit, 2, "{args:?}");
        all.push_str(&format!("$ sprint {}\n{}", args.join(" ").escape_debug(), shown.whole()));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn help_version_completions_and_manual() {
    let (dir, top) = Sprint::empty();
    let run = |args: &[&str]| sprint(dir.path(), &top, args);
    assert_eq!(run(&[]).exit, 2);
    assert_eq!(run(&["--help"]).exit, 0);
    assert_eq!(run(&["--version"]).out, format!("sprint {}\n", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).out.contains("status"), "{shell}");
    }
    assert!(run(&["man"]).out.starts_with(".ie"));
    let pages = dir.path().join("man");
    assert_eq!(run(&["man", "--out", pages.to_str().unwrap()]).exit, 0);
    assert!(pages.join("sprint-task-show.1").exists());
}

#[test]
fn a_sample_configuration_is_written_once() {
    let (dir, top) = Sprint::empty();
    let run = |args: &[&str]| sprint(dir.path(), &top, args);
    assert_eq!(run(&["init"]).exit, 0);
    insta::assert_snapshot!(run(&["init"]).whole());
    std::fs::write(top.join("sprint.toml"), "x").unwrap();
    assert_eq!(run(&["init", "--force"]).exit, 0);
    assert!(std::fs::read_to_string(top.join("sprint.toml")).unwrap().starts_with("# sprint.toml"));
}

#[test]
fn tasks_lint_finds_its_file_and_always_prints_json() {
    let (dir, top) = Sprint::empty();
    let run = |args: &[&str]| sprint(dir.path(), &top, args);
    std::fs::write(top.join("tasks.md"), "- [ ] T001 Write `a.py`\n").unwrap();
    assert_eq!(run(&["tasks", "lint"]).exit, 0);
    assert_eq!(run(&["tasks", "lint", ".", "--json"]).exit, 0);
    std::fs::write(top.join("tasks.md"), "- [x] T001 Write `a.py`\n").unwrap();
    let closed = run(&["tasks", "lint", "--json"]);
    assert!(closed.exit == 2 && closed.out.contains("T001"), "{}", closed.whole());
    let missing = run(&["tasks", "lint", "nowhere", "--json"]);
    insta::assert_snapshot!(missing.whole());
}
