//! Templates of a repository's own: found, tried and put into the configuration before anything
//! begins, so that a mistake in one is told now and not in the night.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;

use super::context::git_error;
use super::text::plain;
use crate::agents::prompt::{PromptError, Template, check};
use crate::agents::{merge, triage};
use crate::config::{Config, OwnPrompt, PROMPTS_DIR, StageConfig, TRIAGE_PROMPT, nearest};
use crate::domain::ids::CommitSha;
use crate::domain::pipeline::StageKind;
use crate::error::CliError;
use crate::git::{Repo, contents};

/// A template that is larger is none.
const TEMPLATE_BYTES_MAX: usize = 4 << 20;
/// Files without a stage, at most so many are named.
const UNUSED_MAX: usize = 10;

/// Puts them in: as the base has them; one that the base does not have, as the checkout has it.
///
/// # Errors
/// One has a mistake or a stage names one that is not there (exit 2), or the base cannot be read.
pub(super) fn freeze(config: &mut Config, repo: &Repo, base: &CommitSha) -> Result<(), CliError> {
    let mut found = Vec::new();
    for stage in &config.pipeline {
        if let Some(own) = own_prompt(stage, repo, base)? {
            tried(&own, if stage.kind == StageKind::Land { merge::check } else { check })?;
            found.push((stage.name.to_string(), own));
        }
    }
    config.prompts.extend(found);
    config.triage_prompt = first(&[format!("{PROMPTS_DIR}/{TRIAGE_PROMPT}.md")], repo, base)?;
    config.triage_prompt.iter().try_for_each(|own| tried(own, triage::check))
}

/// What lies where templates do and is none that anybody is told: a misspelt name, above all.
///
/// # Errors
/// The base cannot be read.
pub(super) fn unused(config: &Config, repo: &Repo, base: &CommitSha) -> Result<Vec<String>, CliError> {
    let told = |error| git_error("the base cannot be read", error);
    let mut used: BTreeSet<String> = config.pipeline.iter().flat_map(StageConfig::prompt_files).collect();
    used.insert(format!("{PROMPTS_DIR}/{TRIAGE_PROMPT}.md"));
    let mut there = lying(repo);
    if contents::is_directory(repo, base, PROMPTS_DIR).map_err(told)? {
        let below = format!("{PROMPTS_DIR}/");
        let files = contents::files(repo, base).map_err(told)?;
        there.extend(files.into_iter().filter(|file| file.starts_with(&below)));
    }
    Ok(there.difference(&used).take(UNUSED_MAX).map(|file| unused_text(file, &used)).collect())
}

fn unused_text(file: &str, used: &BTreeSet<String>) -> String {
    let near = nearest(file, used.iter().map(String::as_str));
    let near = near.map(|near| format!("; the nearest that would be is `{near}`")).unwrap_or_default();
    format!("`{}` is the prompt of no stage, and is not used{near}", plain(file, 200))
}

/// The files of the checkout's directory.
fn lying(repo: &Repo) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(repo.top.join(PROMPTS_DIR)) else { return BTreeSet::new() };
    let files = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    files.filter_map(|entry| Some(format!("{PROMPTS_DIR}/{}", entry.file_name().to_str()?))).collect()
}

fn tried(own: &OwnPrompt, check: impl Fn(Template<'_>) -> Result<(), PromptError>) -> Result<(), CliError> {
    Ok(check(Template { name: &own.file, text: &own.text })?)
}

fn own_prompt(stage: &StageConfig, repo: &Repo, base: &CommitSha) -> Result<Option<OwnPrompt>, CliError> {
    let found = first(&stage.prompt_files(), repo, base)?;
    if found.is_some() || stage.prompt.is_empty() {
        return Ok(found);
    }
    let (name, file) = (&stage.name, plain(&stage.prompt, 200));
    Err(CliError::config(format!("the stage `{name}` has the prompt `{file}`, which is not there"))
        .hint("write it, or take the key `prompt` out: the built-in one then holds"))
}

/// The first of the files that is there.
fn first(files: &[String], repo: &Repo, base: &CommitSha) -> Result<Option<OwnPrompt>, CliError> {
    for file in files {
        let tracked =
            contents::blob(repo, base, file).map_err(|error| git_error("the base cannot be read", error))?;
        if let Some(bytes) = tracked.or_else(|| in_checkout(repo, file)) {
            return Ok(Some(OwnPrompt { file: file.clone(), text: text(file, bytes)? }));
        }
    }
    Ok(None)
}

fn in_checkout(repo: &Repo, file: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(TEMPLATE_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    let file = fs::File::open(repo.top.join(file)).ok()?;
    file.take(bound).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn text(file: &str, bytes: Vec<u8>) -> Result<String, CliError> {
    if bytes.len() > TEMPLATE_BYTES_MAX {
        return Err(CliError::config(format!("the prompt `{file}` has more than 4 MiB")));
    }
    String::from_utf8(bytes).map_err(|_| CliError::config(format!("the prompt `{file}` is not UTF-8")))
}
