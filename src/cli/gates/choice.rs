//! Which gates take part in a call.

use std::collections::BTreeSet;

use crate::cli::args::GatesRunArgs;
use crate::cli::context::git_error;
use crate::cli::gates_run::Ran;
use crate::cli::text::plain;
use crate::config::{Config, GateConfig};
use crate::domain::gate::Verdict;
use crate::domain::ids::CommitSha;
use crate::error::CliError;
use crate::gates::{Contents, takes_part};
use crate::git::{self, Repo};
use crate::worker::contents_of;

/// What a project of some language is known by.
const MANIFESTS: [&str; 6] =
    ["pyproject.toml", "setup.py", "setup.cfg", "package.json", "Cargo.toml", "go.mod"];

/// So many directories are named.
const SHOWN: usize = 3;
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
    let contents = contents(config, repo, &[head, base])?;
    let here = |gate: &&GateConfig| {
        stage.is_none_or(|stage| gate.stage.as_str() == stage)
            && takes_part(gate, &config.gates.presets, &contents)
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
    Err(match crate::config::alike(stage, known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("the stages are: {}", known.join(", "))),
    })
}

/// Said where nothing was judged: that is no pass of anything.
pub(super) fn no_gate(stage: Option<&str>) -> String {
    let place = stage.map_or("here".to_owned(), |stage| format!("in {}", plain(stage, NAME_MAX)));
    format!("no gate takes part {place}, so nothing was judged; `sprint gates list` says why")
}

/// Said where gates are red that ran above the project: that may be why.
///
/// # Errors
/// The files cannot be listed (exit 3).
pub(super) fn root_hint(
    config: &Config,
    repo: &Repo,
    head: &CommitSha,
    ran: &Ran,
) -> Result<Option<String>, CliError> {
    if !config.general.root.is_empty() || matches!(ran.verdict(), Verdict::Pass | Verdict::Skipped) {
        return Ok(None);
    }
    let files =
        git::contents::files(repo, head).map_err(|error| git_error("the files cannot be listed", error))?;
    if files.iter().any(|file| MANIFESTS.contains(&file.as_str())) {
        return Ok(None);
    }
    let of = |file: &'_ String| {
        let (directory, name) = file.rsplit_once('/')?;
        MANIFESTS.contains(&name).then(|| (directory.matches('/').count(), plain(directory, NAME_MAX)))
    };
    let projects: BTreeSet<(usize, String)> = files.iter().filter_map(of).collect();
    let shown: Vec<String> = projects.iter().take(SHOWN).map(|(_, name)| format!("`{name}`")).collect();
    let more = projects.len().checked_sub(SHOWN + 1).map_or("", |_| " and others");
    Ok((!shown.is_empty()).then(|| {
        format!(
            "no project lies at the top of the repository, but in {}{more}: gates run in the one that \
             `general.root` in sprint.toml names",
            shown.join(", ")
        )
    }))
}

/// Said where a change goes beyond the project that gates run in: of the rest no tool says anything.
///
/// # Errors
/// The commits cannot be compared (exit 3).
pub(super) fn beyond_root(
    config: &Config,
    repo: &Repo,
    (head, base): (&CommitSha, &CommitSha),
) -> Result<Option<String>, CliError> {
    let root = &config.general.root;
    if root.is_empty() {
        return Ok(None);
    }
    let changed = git::diff::changed_paths(repo, base, head)
        .map_err(|error| git_error("the changed files cannot be listed", error))?;
    let below = |path: &String| path.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with('/'));
    let beyond: Vec<&String> = changed.iter().filter(|path| !below(path)).collect();
    Ok(beyond.first().map(|one| {
        let (one, root) = (plain(one, NAME_MAX), plain(root, NAME_MAX));
        let others = match beyond.len() {
            1 => String::new(),
            more => format!(" and {} more", more - 1),
        };
        format!("changed, and not looked at by tools that run in `{root}` (`general.root`): `{one}`{others}")
    }))
}

/// What a call was told of what it judges, to be typed again.
pub(super) fn words(args: &GatesRunArgs) -> Vec<&str> {
    let mut words = Vec::new();
    for (flag, value) in [("--base", &args.base), ("--head", &args.head)] {
        words.extend(value.iter().flat_map(|value| [flag, value.as_str()]));
    }
    words.extend(args.staged.then_some("--staged"));
    words
}

/// What is in these commits, as far as it decides which presets take part.
///
/// # Errors
/// They cannot be read (exit 3).
pub(in crate::cli) fn contents(
    config: &Config,
    repo: &Repo,
    commits: &[&CommitSha],
) -> Result<Contents, CliError> {
    contents_of(repo, commits, config).map_err(|error| git_error("the files cannot be listed", error))
}

/// A gate that is not there.
pub(in crate::cli) fn unknown(config: &Config, name: &str) -> CliError {
    let known: Vec<&str> = config.gate.iter().map(|gate| gate.name.as_str()).collect();
    let error = CliError::usage(format!("there is no gate `{}`", plain(name, NAME_MAX)));
    match crate::config::alike(name, known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("known gates: {}", known.join(", "))),
    }
}
