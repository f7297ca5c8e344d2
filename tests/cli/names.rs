//! Two features that have a task of the same id: whatever is printed, and typed, means one of them.

use sprint::domain::report::Report;
use sprint::domain::triage::{Action, Proposal};

use crate::fixture::{Sample, Sprint, git};

fn only() -> [Sample; 1] {
    [Sample { id: "T002", title: "Write the cart".into(), phase: 0, done: false }]
}

fn proposes(text: &str) -> Report {
    Report::Proposed { proposal: Proposal { action: Action::Answer, text: text.into() } }
}

/// Both ask, and for both the manager proposes an answer.
fn two_features() -> Sprint {
    let mut sprint = Sprint::new();
    sprint.configuration = "[roles.manager]\nagent = \"scripted\"".into();
    for (name, question, answer) in
        [("001-words", "Which language?", "Latin"), ("002-shop", "Which currency?", "euro")]
    {
        sprint.start(name, &only(), 1);
        sprint.report("T002", Report::Blocked { question: question.into() });
        sprint.report("T002", proposes(answer));
    }
    sprint
}

#[test]
fn of_two_tasks_with_one_id_each_is_named_with_its_feature() {
    let sprint = two_features();
    let mut all = String::new();
    for args in [
        &["status"][..],
        &["answer"],
        &["answer", "T002", "--proposed"],
        &["answer", "001-words/T002", "--proposed"],
        &["answer", "001-words/T002", "Greek"],
        &["task", "retry", "002-shop/T002"],
        &["task", "skip", "002-shop/T002"],
        &["status"],
        &["status", "--json"],
        &["task", "show", "001-words/T002"],
        &["task", "diff", "001-words/T002"],
        &["events", "--task", "001-words/T002"],
        &["events", "--task", "009-none/../T002"],
        &["logs", "002-shop/T002"],
        &["attach", "001-words/T002"],
        &["task", "show", "001-wrds/T002"],
        &["task", "show", "001-words/T003"],
        &["prompt", "show", "002-shop/T009"],
    ] {
        all.push_str(&format!("$ sprint {}\n{}\n", args.join(" "), sprint.sprint(args).whole()));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn health_names_each_of_two_tasks_with_one_id_with_its_feature() {
    let mut sprint = Sprint::new();
    sprint.start("001-words", &only(), 1);
    sprint.report("T002", Report::Survived { processes: vec!["4711 sleep".into()] });
    sprint.start("002-shop", &only(), 1);
    sprint.report("T002", Report::Errored { reason: "npm ci failed".into() });
    sprint.supervised();
    let shown = sprint.sprint(&["health"]).out;
    for said in [
        "001-words/T002 waits for you: ",
        "mend it, then sprint task retry 001-words/T002",
        "002-shop/T002 could not go on: ",
        "sprint logs 002-shop/T002      and when it is mended: sprint task retry 002-shop/T002",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
}

#[test]
fn a_prompt_of_a_task_that_two_features_have_is_asked_for_by_its_whole_name() {
    let (dir, top) = Sprint::empty();
    for feature in ["001-words", "002-shop"] {
        std::fs::create_dir_all(top.join("specs").join(feature)).unwrap();
        let tasks = format!("- [ ] T002 write the first part of {feature} in `a.py`\n");
        std::fs::write(top.join("specs").join(feature).join("tasks.md"), tasks).unwrap();
    }
    git(dir.path(), &top, &["add", "."]);
    git(dir.path(), &top, &["commit", "-q", "-m", "two features"]);
    std::fs::write(top.join("sprint.toml"), "[roles.developer]\nagent = \"scripted\"\n").unwrap();
    let show = |task: &str| crate::fixture::sprint(dir.path(), &top, &["prompt", "show", task]);
    insta::assert_snapshot!(show("T002").whole(), @r"
    exit 4
    --- err
    error: several features have a task `T002`: 001-words, 002-shop
    hint: name one: sprint prompt show 001-words/T002
    ");
    assert!(
        show("002-shop/T002").out.contains("the first part of 002-shop"),
        "{}",
        show("002-shop/T002").whole()
    );
    assert!(show("001-words/T002").out.contains("the first part of 001-words"));
    // Nobody would be told what such a file says, and it is misspelt above all.
    std::fs::create_dir_all(top.join(".sprint/prompts")).unwrap();
    std::fs::write(top.join(".sprint/prompts/devlop.md"), "write it\n").unwrap();
    insta::assert_snapshot!(show("001-words/T002").err, @"warning: `.sprint/prompts/devlop.md` is the prompt of no stage, and is not used; the nearest that would be is `.sprint/prompts/develop.md`");
}
