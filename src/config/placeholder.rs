//! Placeholders in the arguments of an agent's command: `{prompt}`, `{task.id}`. Parsing and the
//! list of known names only; `agents` puts the values in. `{{` and `}}` stand for braces.

use super::problem::{nearest, nearest_hint};

/// What may stand in braces, and what it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placeholder {
    /// The text of the prompt.
    Prompt,
    /// The path of the file with the prompt.
    PromptFile,
    /// `T001`.
    TaskId,
    /// The task's title, as one argument or a part of one.
    TaskTitle,
    /// The feature's name.
    Feature,
    /// The feature's directory in the worktree.
    FeatureDir,
    /// The stage's name.
    Stage,
    /// The developer's attempt, from 1.
    Attempt,
    /// The worktree's path.
    Worktree,
    /// The commit that the attempt started from.
    Base,
    /// `roles.*.model`; empty if not set.
    Model,
    /// The worker's slot, from 1.
    Slot,
    /// The first of the worktree's 20 ports.
    Port,
    /// The id of the run.
    RunId,
    /// The run's own directory, outside of the worktree: for what a program leaves behind.
    RunDir,
    /// The program `sprint` itself.
    Sprint,
    /// The name of the conversation; of the kind `cli`.
    Session,
    /// In the place of a whole argument: what names the model, or nothing; of the kind `cli`.
    ModelArgs,
    /// How hard the model is to think; empty if nobody says.
    Effort,
    /// In the place of a whole argument: what names the effort, or nothing; of the kind `cli`.
    EffortArgs,
    /// In the place of a whole argument: what offers sprint's tools, or nothing; of the kind `cli`.
    McpArgs,
    /// What is left for the run, in US dollars; empty where money is not limited.
    Budget,
    /// In the place of a whole argument: what sets that limit, or nothing; of the kind `cli`.
    BudgetArgs,
}

/// All of them by name.
pub const PLACEHOLDERS: [(&str, Placeholder); 23] = [
    ("prompt", Placeholder::Prompt),
    ("prompt.file", Placeholder::PromptFile),
    ("task.id", Placeholder::TaskId),
    ("task.title", Placeholder::TaskTitle),
    ("feature", Placeholder::Feature),
    ("feature.dir", Placeholder::FeatureDir),
    ("stage", Placeholder::Stage),
    ("attempt", Placeholder::Attempt),
    ("worktree", Placeholder::Worktree),
    ("base", Placeholder::Base),
    ("model", Placeholder::Model),
    ("slot", Placeholder::Slot),
    ("port", Placeholder::Port),
    ("run.id", Placeholder::RunId),
    ("run.dir", Placeholder::RunDir),
    ("sprint", Placeholder::Sprint),
    ("session", Placeholder::Session),
    ("model.args", Placeholder::ModelArgs),
    ("effort", Placeholder::Effort),
    ("effort.args", Placeholder::EffortArgs),
    ("mcp.args", Placeholder::McpArgs),
    ("budget", Placeholder::Budget),
    ("budget.args", Placeholder::BudgetArgs),
];

/// A part of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Text(String),
    /// To be filled in.
    Value(Placeholder),
}

/// Why an argument cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceholderError {
    /// A name that is none of ours.
    #[error("unknown placeholder `{{{name}}}`{hint}; for a brace itself write `{{{{` or `}}}}`")]
    Unknown {
        /// As written.
        name: String,
        /// What is the nearest.
        hint: String,
    },
    /// Almost one of them.
    #[error("unknown placeholder `{{{name}}}`; the nearest known one is `{near}`")]
    Misspelt {
        /// As written.
        name: String,
        /// The one that was probably meant.
        near: String,
    },
}

/// Splits an argument into texts and placeholders. Only `{name}` with a name of lower-case letters,
/// digits, `.`, `_` and `-` is a placeholder; other braces, as in JSON or `${HOME}`, stand for
/// themselves.
///
/// # Errors
/// A name in braces that is not known.
pub fn parse(text: &str) -> Result<Vec<Part>, PlaceholderError> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            plain.push_str(&rest[..1]);
            rest = &rest[2..];
        } else if let Some(name) = name_in_braces(rest).filter(|_| !plain.ends_with('$')) {
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Value(lookup(name)?));
            rest = &rest[name.len() + 2..];
        } else {
            plain.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() || parts.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

fn name_in_braces(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?;
    let name = &inner[..inner.find('}')?];
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'));
    is_name.then_some(name)
}

/// How much a name must be like a known one to be taken for a misspelling of it.
const MISSPELLING: f64 = 0.6;

/// Refuses a `{name}` that looks like a misspelling of one of `known`, for commands with
/// placeholders of their own. Anything else in braces (`awk '{print}'`) stands for itself there.
///
/// # Errors
/// The first such name.
pub fn check_names(text: &str, known: &[&str]) -> Result<(), PlaceholderError> {
    let braces = text.match_indices('{').filter(|(at, _)| !text[..*at].ends_with(['$', '{']));
    for name in braces.filter_map(|(at, _)| name_in_braces(&text[at..])) {
        let alike = |near: &&str| strsim::normalized_damerau_levenshtein(name, near) >= MISSPELLING;
        let known_name = known.contains(&name);
        if let Some(near) = nearest(name, known.iter().copied()).filter(alike).filter(|_| !known_name) {
            return Err(PlaceholderError::Misspelt { name: name.to_owned(), near: near.to_owned() });
        }
    }
    Ok(())
}

fn lookup(name: &str) -> Result<Placeholder, PlaceholderError> {
    PLACEHOLDERS.iter().find(|(known, _)| *known == name).map(|(_, placeholder)| *placeholder).ok_or_else(
        || {
            let known = PLACEHOLDERS.iter().map(|(known, _)| *known);
            PlaceholderError::Unknown { name: name.to_owned(), hint: nearest_hint(name, "one", known) }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_texts_and_placeholders() {
        assert_eq!(
            parse("--task={task.id}/{attempt}"),
            Ok(vec![
                Part::Text("--task=".to_owned()),
                Part::Value(Placeholder::TaskId),
                Part::Text("/".to_owned()),
                Part::Value(Placeholder::Attempt),
            ])
        );
        assert_eq!(parse(""), Ok(vec![Part::Text(String::new())]));
    }

    #[test]
    fn other_braces_stand_for_themselves() {
        for (text, plain) in [
            ("{{prompt}}", "{prompt}"),
            ("{\"a\": 1}", "{\"a\": 1}"),
            ("${HOME:-x} ${prompt} {} { prompt }", "${HOME:-x} ${prompt} {} { prompt }"),
            ("{", "{"),
        ] {
            assert_eq!(parse(text), Ok(vec![Part::Text(plain.to_owned())]), "{text}");
        }
    }

    #[test]
    fn an_unknown_name_names_the_nearest() {
        insta::assert_snapshot!(parse("{task.idd}").unwrap_err(), @"unknown placeholder `{task.idd}`; the nearest known one is `task.id`; for a brace itself write `{{` or `}}`");
    }

    #[test]
    fn other_commands_have_other_names() {
        let known = ["out", "root", "tmp"];
        for fine in ["{out}", "{root}/x", "{print}", "${outt}", "{{outt}}", "{}"] {
            assert_eq!(check_names(fine, &known), Ok(()), "{fine}");
        }
        assert!(check_names("--report={outt}", &known).is_err());
        let near = |text: &str| check_names(text, &["keep", "kit", "files"]).unwrap_err().to_string();
        assert_eq!(near("{fles}"), "unknown placeholder `{fles}`; the nearest known one is `files`");
        assert_eq!(near("a/{kitt}"), "unknown placeholder `{kitt}`; the nearest known one is `kit`");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}a-z.é$]{0,30}") {
            drop(parse(&text));
        }
    }
}
