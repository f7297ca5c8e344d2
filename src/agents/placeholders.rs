//! Puts values into the placeholders of a command. No shell anywhere: an argument stays one
//! argument, whatever its value contains.

use serde_json::Value;

use crate::config::placeholder::{self, Part, Placeholder, PlaceholderError};

use super::environment::RunContext;

/// The kernel takes no longer single argument (`MAX_ARG_STRLEN` is 128 KiB, with the NUL).
pub const ARGUMENT_BYTES_MAX: usize = 128 * 1024 - 1;

/// Why a command cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The configuration should have refused it.
    #[error(transparent)]
    Placeholder(#[from] PlaceholderError),
    /// More than the kernel takes.
    #[error(
        "argument {position} of the agent's command has {bytes} bytes, and the system takes 131071; read the prompt from the file in SPRINT_PROMPT, or use {{prompt.file}}"
    )]
    TooLong {
        /// From 1; the program is 0.
        position: usize,
        /// Its length.
        bytes: usize,
    },
}

/// The command with its values.
///
/// # Errors
/// An unknown placeholder, or an argument that the kernel would not take.
pub fn fill_in(command: &[String], run: &RunContext, prompt: &str) -> Result<Vec<String>, CommandError> {
    command
        .iter()
        .enumerate()
        .map(|(position, argument)| {
            let filled = fill_in_one(&placeholder::parse(argument)?, run, prompt);
            if filled.len() > ARGUMENT_BYTES_MAX {
                return Err(CommandError::TooLong { position, bytes: filled.len() });
            }
            Ok(filled)
        })
        .collect()
}

/// JSON with its texts filled in; keys stay as they are.
///
/// # Errors
/// An unknown placeholder.
pub fn fill_in_json(value: &Value, run: &RunContext) -> Result<Value, PlaceholderError> {
    Ok(match value {
        Value::String(text) => Value::String(fill_in_one(&placeholder::parse(text)?, run, "")),
        Value::Array(items) => items.iter().map(|item| fill_in_json(item, run)).collect::<Result<_, _>>()?,
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| Ok((key.clone(), fill_in_json(value, run)?)))
                .collect::<Result<_, PlaceholderError>>()?,
        ),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other.clone(),
    })
}

fn fill_in_one(parts: &[Part], run: &RunContext, prompt: &str) -> String {
    let mut filled = String::new();
    for part in parts {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Value(placeholder) => {
                let value = value(*placeholder, run, prompt);
                // A title `--force` that is an argument of its own would be read as an option.
                if filled.is_empty() && value.starts_with('-') {
                    filled.push(' ');
                }
                filled.push_str(&value);
            }
        }
    }
    filled.replace('\0', " ")
}

fn value(placeholder: Placeholder, run: &RunContext, prompt: &str) -> String {
    match placeholder {
        Placeholder::Prompt => prompt.to_owned(),
        Placeholder::PromptFile => run.prompt_file.to_string(),
        Placeholder::TaskId => run.task.to_string(),
        Placeholder::TaskTitle => run.title.clone(),
        Placeholder::Feature => run.feature.to_string(),
        Placeholder::FeatureDir => run.feature_dir_in_worktree().into_string(),
        Placeholder::Stage => run.stage.to_string(),
        Placeholder::Attempt => run.attempt.to_string(),
        Placeholder::Worktree => run.worktree.to_string(),
        Placeholder::Base => run.base.to_string(),
        Placeholder::Slot => run.slot.to_string(),
        Placeholder::Port => run.port.to_string(),
        Placeholder::RunId => run.run.to_string(),
        Placeholder::RunDir => run.run_dir.to_string(),
        Placeholder::Sprint => run.sprint.to_string(),
        Placeholder::Session => run.session.clone().unwrap_or_default(),
        Placeholder::Effort | Placeholder::EffortArgs => run.effort.clone(),
        // Arguments that name the model are put in before; elsewhere it is its name alone.
        Placeholder::Model | Placeholder::ModelArgs => run.model.clone(),
        // Put in before; elsewhere there is nothing to offer them with.
        Placeholder::McpArgs => String::new(),
        Placeholder::Budget | Placeholder::BudgetArgs => run.budget.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::environment::tests::context;
    use super::*;

    fn filled(command: &[&str]) -> Result<Vec<String>, CommandError> {
        let command: Vec<String> = command.iter().map(|&argument| argument.to_owned()).collect();
        fill_in(&command, &context(), "do it\nwell")
    }

    #[test]
    fn every_placeholder_has_a_value() {
        let all: Vec<String> =
            placeholder::PLACEHOLDERS.iter().map(|(name, _)| format!("{name}={{{name}}}")).collect();
        insta::assert_snapshot!(fill_in(&all, &context(), "do it\nwell").unwrap().join("\n"));
    }

    #[test]
    fn a_value_stays_one_argument_and_no_option() {
        let mut run = context();
        run.title = "--force \0 $(x)".to_owned();
        let command = ["p".to_owned(), "{task.title}".to_owned(), "-t{task.title}".to_owned()];
        assert_eq!(fill_in(&command, &run, "").unwrap(), ["p", " --force   $(x)", "-t--force   $(x)"]);
    }

    #[test]
    fn what_is_filled_in_is_never_filled_in_again() {
        let mut run = context();
        run.title = "{prompt} {{task.id}} {prompt.file} {nonsense} ${HOME}".to_owned();
        run.model = "{task.title}".to_owned();
        let command = ["p", "{task.title}", "{model}:{prompt}"].map(str::to_owned);
        let filled = fill_in(&command, &run, "do {task.title}").unwrap();
        assert_eq!(filled, ["p", run.title.as_str(), "{task.title}:do {task.title}"]);
    }

    #[test]
    fn texts_of_json_are_filled_in_and_stay_texts() {
        let mut run = context();
        run.run_dir = "/state/a \"b\"".into();
        let content = serde_json::json!({"{task.id}": ["{run.dir}", true, {"env": "${SPRINT_TOKEN}"}]});
        let expected = serde_json::json!({"{task.id}": ["/state/a \"b\"", true, {"env": "${SPRINT_TOKEN}"}]});
        assert_eq!(fill_in_json(&content, &run), Ok(expected));
        assert!(fill_in_json(&serde_json::json!(["{nonsense}"]), &run).is_err());
    }

    #[test]
    fn what_cannot_be_an_argument_is_refused() {
        assert!(matches!(filled(&["p", "{nonsense}"]), Err(CommandError::Placeholder(_))));
        let error = fill_in(&["p".to_owned(), "{prompt}".to_owned()], &context(), &"x".repeat(200_000));
        assert_eq!(error, Err(CommandError::TooLong { position: 1, bytes: 200_000 }));
    }
}
