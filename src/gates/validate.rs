//! Whether a gate, as it is configured, can run at all: said when the configuration is loaded, not
//! in the middle of a feature.

use std::path::{Component, Path};

use super::inputs::Inputs;
use super::parse;
use crate::config::gate::GateConfig;

/// Why a gate cannot run as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGate {
    /// There is nothing to run.
    #[error("gate `{gate}`: `command` is empty")]
    NoCommand {
        /// The gate.
        gate: String,
    },
    /// No parser of that name.
    #[error("gate `{gate}`: there is no parser `{parser}` (there are: {})", crate::config::presets::parser_names().join(", "))]
    Parser {
        /// The gate.
        gate: String,
        /// The name.
        parser: String,
    },
    /// The pattern of a `regex` gate.
    #[error("gate `{gate}`: {why}")]
    Pattern {
        /// The gate.
        gate: String,
        /// What is wrong with it.
        why: String,
    },
    /// A glob of `paths`.
    #[error("gate `{gate}`: `paths` has a glob that cannot be read: {why}")]
    Paths {
        /// The gate.
        gate: String,
        /// What is wrong with it.
        why: String,
    },
    /// `output` leads out of the worktree.
    #[error("gate `{gate}`: `output` is `{output}`; it has to be a file in the worktree")]
    Output {
        /// The gate.
        gate: String,
        /// The path.
        output: String,
    },
    /// A gate that would be ended before it begins.
    #[error("gate `{gate}`: `timeout` is 0")]
    Timeout {
        /// The gate.
        gate: String,
    },
}

/// Checks what can be checked without a tree or a tool.
///
/// # Errors
/// [`InvalidGate`] names the gate and the key.
pub fn validate(config: &GateConfig) -> Result<(), InvalidGate> {
    let gate = config.name.to_string();
    if config.command.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(InvalidGate::NoCommand { gate });
    }
    if parse::find(&config.parser).is_none() {
        return Err(InvalidGate::Parser { gate, parser: config.parser.clone() });
    }
    if config.parser == "regex"
        && let Err(error) = parse::check_pattern(&config.pattern)
    {
        return Err(InvalidGate::Pattern { gate, why: error.to_string() });
    }
    if let Err(error) = Inputs::of(config) {
        return Err(InvalidGate::Paths { gate, why: error.to_string() });
    }
    if !is_inside(&config.output) || !is_file_name(&config.output) {
        return Err(InvalidGate::Output { gate, output: config.output.clone() });
    }
    if config.timeout.is_zero() {
        return Err(InvalidGate::Timeout { gate });
    }
    Ok(())
}

/// Empty where there is none.
fn is_file_name(path: &str) -> bool {
    path.is_empty() || (Path::new(path).file_name().is_some() && !path.ends_with(['/', '.']))
}

fn is_inside(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::{preset, preset_names};
    use std::time::Duration;

    fn check(change: impl FnOnce(&mut GateConfig), message: &str) {
        let mut gate = preset("ruff").unwrap();
        change(&mut gate);
        assert_eq!(validate(&gate).unwrap_err().to_string(), message);
    }

    #[test]
    fn presets_are_valid() {
        for name in preset_names() {
            assert_eq!(validate(&preset(name).unwrap()), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_cannot_run_is_refused_with_the_key() {
        check(|gate| gate.command.clear(), "gate `ruff`: `command` is empty");
        check(|gate| gate.timeout = Duration::ZERO, "gate `ruff`: `timeout` is 0");
        let names = crate::config::presets::parser_names().join(", ");
        check(
            |gate| gate.parser = "rust".into(),
            &format!("gate `ruff`: there is no parser `rust` (there are: {names})"),
        );
        check(|gate| gate.parser = "regex".into(), "gate `ruff`: its pattern cannot be used: it is empty");
        for bad in ["/etc/passwd", "a/../../b", ".", "reports/", "reports/."] {
            check(
                |gate| gate.output = bad.into(),
                &format!("gate `ruff`: `output` is `{bad}`; it has to be a file in the worktree"),
            );
        }
        let mut gate = preset("ruff").unwrap();
        gate.paths = vec!["a[".into()];
        assert!(validate(&gate).unwrap_err().to_string().starts_with("gate `ruff`: `paths` has a glob"));
    }
}
