//! The prompt of the merger's agent: what does not merge, and where both sides are. Pure.

use serde::Serialize;

use super::prompt::{PromptError, render_any};

const MERGE: &str = include_str!("../../config/prompts/merge.md");

/// What the template may use.
#[derive(Debug, Clone, Serialize)]
pub struct MergeInput {
    /// `T001`
    pub task: String,
    /// Its title and the lines that belong to it.
    pub text: String,
    /// The feature's directory, relative to the worktree.
    pub dir: String,
    /// What does not merge.
    pub paths: Vec<String>,
    /// The last landed commit.
    pub integration: String,
    /// The task's work.
    pub head: String,
    /// What is run on the result, as one would type it.
    pub gates: Vec<String>,
}

/// Writes the prompt.
///
/// # Errors
/// The template asks for what is not there.
pub fn prompt(input: &MergeInput) -> Result<String, PromptError> {
    render_any("merge.md", MERGE, input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_in_two_files() {
        let input = MergeInput {
            task: "T003".to_owned(),
            text: "join them in src/all.txt".to_owned(),
            dir: "specs/001-thing".to_owned(),
            paths: vec!["src/all.txt".to_owned(), "src/two.txt".to_owned()],
            integration: "a".repeat(40),
            head: "b".repeat(40),
            gates: vec!["ruff check .".to_owned()],
        };
        insta::assert_snapshot!(prompt(&input).unwrap());
    }
}
