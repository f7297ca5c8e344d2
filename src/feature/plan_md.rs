//! `plan.md`: the technical context and the structure, as texts.

use super::forms::title;
use super::headings::heading;
use super::lines::{Kind, lines};

/// Bytes of the structure kept: it goes into prompts.
const STRUCTURE_MAX: usize = 16 * 1024;

/// What a `plan.md` says; an empty text where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanDocument {
    /// Without "Implementation Plan:".
    pub title: String,
    /// `**Language/Version**`.
    pub language: String,
    pub dependencies: String,
    pub storage: String,
    pub testing: String,
    pub platform: String,
    pub project_type: String,
    /// The section "Project Structure", code blocks included.
    pub structure: String,
}

impl PlanDocument {
    /// Reads a file; never fails.
    pub fn read(bytes: &[u8]) -> Self {
        let mut document = Self::default();
        // The level of the heading of the structure, while we are below it.
        let mut structure: Option<usize> = None;
        for line in lines(bytes) {
            let text = line.text.trim_end();
            let heading = heading(text).filter(|_| line.kind == Kind::Text);
            if let Some(heading) = heading {
                let is_structure = heading.text.to_lowercase().contains("structure");
                match structure {
                    Some(level) if heading.level > level => {}
                    Some(_) | None => structure = is_structure.then_some(heading.level),
                }
                document.set_title(heading.level, heading.text);
            } else if line.kind == Kind::Text {
                document.field(text);
            }
            if structure.is_some() && line.kind != Kind::Comment && document.structure.len() < STRUCTURE_MAX {
                document.structure.push_str(text);
                document.structure.push('\n');
            }
        }
        let end = document.structure.trim_end().len();
        document.structure.truncate(end);
        document
    }

    fn set_title(&mut self, level: usize, text: &str) {
        if level == 1 && self.title.is_empty() {
            self.title = title(text.strip_prefix("Implementation Plan:").unwrap_or(text));
        }
    }

    /// `**Testing**: pytest`. What still waits for an answer says nothing.
    fn field(&mut self, text: &str) {
        let text = text.trim_start_matches(['-', '*', ' ', '_', '|']);
        let Some((name, value)) = text.split_once([':', '|']) else { return };
        let value = title(value.trim_matches(['*', ' ', '_', '|', ':']));
        if value.is_empty()
            || value.starts_with("[NEEDS CLARIFICATION")
            || value.contains("or NEEDS CLARIFICATION")
        {
            return;
        }
        let field = match name.trim_end_matches(['*', ' ', '_']).to_lowercase().as_str() {
            "language/version" | "language" | "languages" => &mut self.language,
            "primary dependencies" | "dependencies" => &mut self.dependencies,
            "storage" => &mut self.storage,
            "testing" | "tests" => &mut self.testing,
            "target platform" | "platform" => &mut self.platform,
            "project type" => &mut self.project_type,
            _ => return,
        };
        if field.is_empty() {
            *field = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan() {
        insta::assert_debug_snapshot!(PlanDocument::read(include_bytes!("../../tests/fixtures/plan.md")));
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(PlanDocument::read(b""), PlanDocument::default());
    }
}
