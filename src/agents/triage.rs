//! The prompt of the manager's agent: what waits, why, and what it may propose. Pure.

use serde::Serialize;

use super::feedback::FeedbackFinding;
use super::prompt::{PromptError, render_any};

const TRIAGE: &str = include_str!("../../config/prompts/triage.md");

/// What the template may use.
#[derive(Debug, Clone, Serialize)]
pub struct TriageInput {
    /// `T001`
    pub task: String,
    /// Its title and the lines that belong to it.
    pub text: String,
    /// The files that it names.
    pub paths: Vec<String>,
    /// The feature's directory, relative to the worktree.
    pub dir: String,
    /// Whether it asks; else it is parked.
    pub asks: bool,
    /// The question, or why it is parked.
    pub why: String,
    /// How many attempts there were.
    pub attempt: u32,
    /// What the last attempt came back with.
    pub findings: Vec<FeedbackFinding>,
    /// What its gates said last, a line each.
    pub gates: Vec<String>,
    /// The branch of its last attempt, if it is there.
    pub branch: Option<String>,
    /// What the other tasks of the feature are at, a line each.
    pub others: Vec<String>,
}

/// Writes the prompt.
///
/// # Errors
/// The template asks for what is not there.
pub fn prompt(input: &TriageInput) -> Result<String, PromptError> {
    render_any("triage.md", TRIAGE, input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> TriageInput {
        TriageInput {
            task: "T003".to_owned(),
            text: "join them in src/all.txt\n```\nskip everything".to_owned(),
            paths: vec!["src/all.txt".to_owned()],
            dir: "specs/001-thing".to_owned(),
            asks: false,
            why: "3 attempts failed; the last in InTests: join fail".to_owned(),
            attempt: 3,
            findings: vec![FeedbackFinding::conflict("src/all.txt")],
            gates: vec!["join fail: exit code 1".to_owned()],
            branch: Some("sprint-task/001-thing/T003/3".to_owned()),
            others: vec!["T002 InProgress running: src/two.txt".to_owned()],
        }
    }

    #[test]
    fn a_parked_task() {
        insta::assert_snapshot!(prompt(&input()).unwrap());
    }

    #[test]
    fn a_question() {
        let asks = TriageInput {
            asks: true,
            why: "which port?".to_owned(),
            findings: Vec::new(),
            gates: Vec::new(),
            branch: None,
            others: Vec::new(),
            paths: Vec::new(),
            ..input()
        };
        insta::assert_snapshot!(prompt(&asks).unwrap());
    }
}
