//! The prompt of the merger's agent: what does not merge, and where both sides are. Pure.

use serde::Serialize;

use super::prompt::{PromptError, Template, check_any, render_any};

/// The built-in template.
pub const BUILT_IN: Template<'static> =
    Template { name: "merge.md", text: include_str!("../../config/prompts/merge.md") };

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
pub fn prompt(template: Template<'_>, input: &MergeInput) -> Result<String, PromptError> {
    render_any(template, input)
}

/// Tries a template before it is needed.
///
/// # Errors
/// The first mistake, with its line.
pub fn check(template: Template<'_>) -> Result<(), PromptError> {
    let full = sample();
    let bare = MergeInput { gates: Vec::new(), ..full.clone() };
    check_any(template, &[full, bare])
}

fn sample() -> MergeInput {
    MergeInput {
        task: "T003".to_owned(),
        text: "join them in src/all.txt".to_owned(),
        dir: "specs/001-thing".to_owned(),
        paths: vec!["src/all.txt".to_owned(), "src/two.txt".to_owned()],
        integration: "a".repeat(40),
        head: "b".repeat(40),
        gates: vec!["ruff check .".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_in_two_files() {
        insta::assert_snapshot!(prompt(BUILT_IN, &sample()).unwrap());
    }

    #[test]
    fn a_template_of_ones_own_is_tried() {
        check(BUILT_IN).unwrap();
        let own = Template { name: ".sprint/prompts/merge.md", text: "{{ task }}\n{{ changed }}" };
        assert!(
            check(own)
                .unwrap_err()
                .to_string()
                .starts_with(".sprint/prompts/merge.md:2: there is no `changed`")
        );
    }
}
