//! Which gates take part in a call, and why the others do not.

use std::collections::BTreeSet;

use crate::cli::context::git_error;
use crate::cli::text::plain;
use crate::config::{Config, GateConfig, Presets};
use crate::domain::ids::CommitSha;
use crate::error::CliError;
use crate::gates::{languages, takes_part};
use crate::git::{Repo, contents};

/// A name in a message has at most so many columns.
const NAME_MAX: usize = 100;

/// The gates of the configuration that take part on these trees (head, base), or those that are
/// named in `wanted`.
///
/// # Errors
/// A gate or a stage is not known, or a named gate cannot run (exit 2); the trees cannot be read.
pub(in crate::cli) fn chosen(
    wanted: &BTreeSet<&str>,
    stage: Option<&str>,
    config: &Config,
    repo: &Repo,
    (head, base): (&CommitSha, &CommitSha),
) -> Result<Vec<GateConfig>, CliError> {
    known_stage(config, stage)?;
    if !wanted.is_empty() {
        return named(wanted, stage, config);
    }
    let spoken = spoken(repo, &[head, base])?;
    let here = |gate: &&GateConfig| {
        stage.is_none_or(|stage| gate.stage.as_str() == stage)
            && takes_part(gate, &config.gates.presets, &spoken)
    };
    Ok(config.gate.iter().filter(here).cloned().collect())
}

/// Who names a gate wants it, whatever the configuration selects by itself.
fn named(wanted: &BTreeSet<&str>, stage: Option<&str>, config: &Config) -> Result<Vec<GateConfig>, CliError> {
    for name in wanted {
        let Some(gate) = config.gate.iter().find(|gate| gate.name.as_str() == *name) else {
            return Err(unknown(config, name));
        };
        if !gate.enabled {
            return Err(CliError::usage(format!("gate `{name}` is turned off"))
                .hint(format!("set `[gate.{name}] enabled = true` in sprint.toml")));
        }
        if let Some(stage) = stage.filter(|stage| gate.stage.as_str() != *stage) {
            return Err(CliError::usage(format!("gate `{name}` runs in {}, not in {stage}", gate.stage))
                .hint("leave out `--stage`"));
        }
    }
    Ok(config.gate.iter().filter(|gate| wanted.contains(gate.name.as_str())).cloned().collect())
}

fn known_stage(config: &Config, stage: Option<&str>) -> Result<(), CliError> {
    let Some(stage) = stage else { return Ok(()) };
    let known: Vec<&str> = config.pipeline.iter().map(|known| known.name.as_str()).collect();
    if known.contains(&stage) {
        return Ok(());
    }
    let error = CliError::usage(format!("there is no stage `{}`", plain(stage, NAME_MAX)));
    Err(match crate::config::nearest(stage, known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("the stages are: {}", known.join(", "))),
    })
}

/// The languages of the files of these commits.
///
/// # Errors
/// They cannot be listed (exit 3).
pub(in crate::cli) fn spoken(
    repo: &Repo,
    commits: &[&CommitSha],
) -> Result<BTreeSet<&'static str>, CliError> {
    let mut found = BTreeSet::new();
    for commit in commits {
        let files =
            contents::files(repo, commit).map_err(|error| git_error("the files cannot be listed", error))?;
        found.extend(languages(files.iter().map(String::as_str), None));
    }
    Ok(found)
}

/// A gate that is not there.
pub(in crate::cli) fn unknown(config: &Config, name: &str) -> CliError {
    let known: Vec<&str> = config.gate.iter().map(|gate| gate.name.as_str()).collect();
    let error = CliError::usage(format!("there is no gate `{}`", plain(name, NAME_MAX)));
    match crate::config::nearest(name, known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("known gates: {}", known.join(", "))),
    }
}

/// Whether the gate takes part, and why, in words for people.
pub(in crate::cli) fn why(
    gate: &GateConfig,
    presets: &Presets,
    spoken: &BTreeSet<&'static str>,
) -> (bool, String) {
    let part = takes_part(gate, presets, spoken);
    let wanted = &gate.tool.languages;
    let said = match (&gate.preset, presets) {
        _ if !gate.enabled => "turned off: `enabled = false`".to_owned(),
        (None, _) => "a gate of your own".to_owned(),
        (Some(_), Presets::List(_)) if part => "listed in `gates.presets`".to_owned(),
        (Some(_), Presets::List(names)) if names.is_empty() => "`gates.presets` is empty".to_owned(),
        (Some(_), Presets::List(_)) => "not listed in `gates.presets`".to_owned(),
        (Some(_), Presets::Auto(_)) if wanted.is_empty() => "fits every repository".to_owned(),
        (Some(_), Presets::Auto(_)) if part => {
            let here: Vec<&str> =
                wanted.iter().map(String::as_str).filter(|name| spoken.contains(name)).collect();
            format!("there is {}", here.join(" and "))
        }
        (Some(_), Presets::Auto(_)) => format!("there is no {}", wanted.join(" or ")),
    };
    (part, said)
}
