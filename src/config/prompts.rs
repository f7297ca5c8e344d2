//! Which template a stage's prompt is made with, and where a repository may have one of its own.
//! The texts are frozen with the configuration: no task writes the prompt of the next one.

use serde::{Deserialize, Serialize};

use super::model::{Config, Role};
use super::pipeline::{StageConfig, StageKind};

/// Where templates of a repository's own lie.
pub const PROMPTS_DIR: &str = ".sprint/prompts";

/// A template of the repository, as it was when the feature started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnPrompt {
    /// Its file, relative to the repository.
    pub file: String,
    /// What it says.
    pub text: String,
}

/// The name of the template of the manager's agent: it works in no stage.
pub const TRIAGE_PROMPT: &str = "triage";
/// The name of the template of who resolves a conflict in a stage that lands.
pub const MERGE_PROMPT: &str = "merge";

impl StageConfig {
    /// The name of the built-in template of this stage; `None`: it has no agent that is told of each
    /// task.
    pub fn built_in_prompt(&self) -> Option<&'static str> {
        match (self.kind, self.role) {
            (StageKind::Work, _) => Some("develop"),
            // Who may change nothing judges.
            (StageKind::Check, _) if self.writes.is_empty() => Some("review"),
            (StageKind::Check, Role::Librarian) => Some("document"),
            (StageKind::Check, _) => Some("test"),
            (StageKind::Land | StageKind::Wait, _) => None,
        }
    }

    /// The files of which the first that is there takes the built-in one's place. The one that the
    /// stage names has to be there.
    pub fn prompt_files(&self) -> Vec<String> {
        let conflict = (self.kind == StageKind::Land).then_some(MERGE_PROMPT);
        let Some(name) = self.built_in_prompt().or(conflict) else { return Vec::new() };
        if !self.prompt.is_empty() {
            return vec![self.prompt.clone()];
        }
        [self.name.as_str(), name].iter().map(|name| format!("{PROMPTS_DIR}/{name}.md")).collect()
    }
}

impl Config {
    /// The repository's own template of a stage, if it has one.
    pub fn own_prompt(&self, stage: &StageConfig) -> Option<&OwnPrompt> {
        self.prompts.get(stage.name.as_str())
    }
}
