//! What the model does in the feature of four tasks, in the way in which each program lets it.

use crate::standin::scenario::{Scenario, bash, say, write};

pub const TASKS: &str = "## Phase 1: Work\n\n- [ ] T001 write one.txt\n- [ ] T002 write two.txt\n\
                     - [ ] T003 write three.txt\n- [ ] T004 write four.txt\n";

/// What the model does with each task, in the way in which the program lets it.
pub fn scenario(agent: &str) -> Scenario {
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
