//! What the configuration names must be in the repository: found out before anything is made.

use crate::cli::context::git_error;
use crate::cli::text::plain;
use crate::config::{Config, Layer, Misfit, misfits};
use crate::domain::ids::CommitSha;
use crate::error::CliError;
use crate::git::{Repo, contents};

/// Refuses what can only be a mistake.
///
/// # Errors
/// Something that the configuration names is not there (exit 2), or the base cannot be read.
pub(super) fn check(
    config: &Config,
    layers: &[Layer],
    repo: &Repo,
    base: &CommitSha,
) -> Result<(), CliError> {
    let mut found = Vec::new();
    found.extend(root(config, repo, base)?);
    let worktree = &config.worktree;
    for (key, paths) in [("copy", &worktree.copy), ("link", &worktree.link)] {
        found.extend(paths.iter().filter(|path| !is_there(repo, path)).map(|path| missing(key, path)));
    }
    if !worktree.link.is_empty() {
        let files = files(repo, base)?;
        let tracked = worktree.link.iter().filter(|path| is_tracked(&files, path));
        found.extend(tracked.map(|path| linked(path)));
    }
    if found.is_empty() { Ok(()) } else { Err(misfits(layers, &found).into()) }
}

/// What may be a mistake: globs that match no file of the base.
///
/// # Errors
/// The base cannot be read.
pub(super) fn warnings(config: &Config, repo: &Repo, base: &CommitSha) -> Result<Vec<String>, CliError> {
    let globs = &config.worktree.setup_inputs;
    if globs.is_empty() {
        return Ok(Vec::new());
    }
    let files = files(repo, base)?;
    let matches = |glob: &str| {
        globset::Glob::new(glob).is_ok_and(|glob| {
            let matcher = glob.compile_matcher();
            files.iter().any(|file| matcher.is_match(file))
        })
    };
    let none = globs.iter().filter(|glob| !matches(glob));
    Ok(none
        .map(|glob| format!("`worktree.setup_inputs`: no file of the base matches `{}`", plain(glob, 100)))
        .collect())
}

fn files(repo: &Repo, base: &CommitSha) -> Result<Vec<String>, CliError> {
    contents::files(repo, base).map_err(|error| git_error("the base cannot be read", error))
}

fn root(config: &Config, repo: &Repo, base: &CommitSha) -> Result<Option<Misfit>, CliError> {
    let text = &config.general.root;
    if text.is_empty() {
        return Ok(None);
    }
    let there = contents::is_directory(repo, base, text)
        .map_err(|error| git_error("the base cannot be read", error))?;
    Ok((!there).then(|| Misfit {
        key: ["general", "root"],
        text: text.clone(),
        message: format!(
            "there is no directory `{}` in the base, and gates are to run in it; commit it first, or name another",
            plain(text, 100)
        ),
    }))
}

fn is_there(repo: &Repo, path: &str) -> bool {
    std::fs::symlink_metadata(repo.top.join(path)).is_ok()
}

fn missing(key: &'static str, path: &str) -> Misfit {
    let verb = if key == "copy" { "copied" } else { "linked" };
    let shown = plain(path, 100);
    let glob = if path.contains(['*', '?', '[']) {
        "; it takes paths, for patterns there is `.worktreeinclude`"
    } else {
        ""
    };
    Misfit {
        key: ["worktree", key],
        text: path.to_owned(),
        message: format!(
            "the checkout has no `{shown}` that could be {verb} into worktrees; make it, or take it out{glob}"
        ),
    }
}

fn is_tracked(files: &[String], path: &str) -> bool {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    files
        .iter()
        .any(|file| file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn linked(path: &str) -> Misfit {
    let message =
        format!("`{}` is tracked, so that every worktree has its own; take it out", plain(path, 100));
    Misfit { key: ["worktree", "link"], text: path.to_owned(), message }
}
