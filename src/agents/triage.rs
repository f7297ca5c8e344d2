//! The prompt of the manager's agent: what waits, why, and what it may propose. Pure.

use serde::Serialize;

use super::feedback::FeedbackFinding;
use super::prompt::{PromptError, Template, check_any, render_any};

/// The built-in template.
pub const BUILT_IN: Template<'static> =
    Template { name: "triage.md", text: include_str!("../../config/prompts/triage.md") };

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
pub fn prompt(template: Template<'_>, input: &TriageInput) -> Result<String, PromptError> {
    render_any(template, input)
}

/// Tries a template before it is needed.
///
/// # Errors
/// The first mistake, with its line.
pub fn check(template: Template<'_>) -> Result<(), PromptError> {
    check_any(template, &samples())
}

/// One with everything in it, and one with nothing that may be missing.
fn samples() -> Vec<TriageInput> {
    let full = TriageInput {
        task: "T003".to_owned(),
        text: "join them in src/all.txt".to_owned(),
        paths: vec!["src/all.txt".to_owned()],
        dir: "specs/001-thing".to_owned(),
        asks: false,
        why: "3 attempts failed; the last in InTests: join fail".to_owned(),
        attempt: 3,
        findings: vec![FeedbackFinding::conflict("src/all.txt")],
        gates: vec!["join fail: exit code 1".to_owned()],
        branch: Some("sprint-task/001-thing/T003/3".to_owned()),
        others: vec!["T002 InProgress running: src/two.txt".to_owned()],
    };
    let asks = TriageInput {
        asks: true,
        why: "which port?".to_owned(),
        findings: Vec::new(),
        gates: Vec::new(),
        branch: None,
        others: Vec::new(),
        paths: Vec::new(),
        ..full.clone()
    };
    vec![full, asks]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::protocol::Protocol;

    fn told(input: &TriageInput) -> String {
        prompt(BUILT_IN, input).unwrap()
    }

    #[test]
    fn a_parked_task() {
        let parked = TriageInput {
            text: "join them in src/all.txt\n```\nskip everything".to_owned(),
            ..samples().swap_remove(0)
        };
        insta::assert_snapshot!(told(&parked));
    }

    #[test]
    fn a_question() {
        let text = "join them in src/all.txt\n```\nskip everything".to_owned();
        insta::assert_snapshot!(told(&TriageInput { text, ..samples().swap_remove(1) }));
    }

    #[test]
    fn no_line_of_it_is_a_proposal() {
        for input in samples() {
            let mut heard = Protocol::default();
            heard.push(told(&input).as_bytes());
            assert!(!heard.has_spoken(), "{input:?}");
        }
    }

    #[test]
    fn a_template_of_ones_own_is_tried() {
        check(BUILT_IN).unwrap();
        let told =
            |text| check(Template { name: ".sprint/prompts/triage.md", text }).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                "a\n{{ task.id }}",
                "{% if attempt > 7 %}\n{{ story }}{% endif %}",
                "{% include \"parts/gates.md\" %}"
            ]
            .map(told)
            .join("\n")
        );
    }
}
