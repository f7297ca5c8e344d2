//! Which gates take part on a tree.

use std::collections::BTreeSet;

use crate::config::gate::GateConfig;
use crate::config::{Config, Presets};
use crate::domain::ids::CommitSha;
use crate::error::chain;
use crate::gates;
use crate::git::{Repo, contents};

/// A commit, what it is compared with, and the feature that it is of.
pub(super) struct Tree<'a> {
    pub(super) repo: &'a Repo,
    pub(super) feature_dir: &'a str,
    pub(super) head: &'a CommitSha,
    pub(super) base: Option<&'a CommitSha>,
}

/// The enabled gates that take part on this tree and that `wanted` wants, in their order.
pub(super) fn gates_on(
    tree: &Tree<'_>,
    config: &Config,
    wanted: impl Fn(&GateConfig) -> bool,
) -> Result<Vec<GateConfig>, String> {
    // What a tree is made of is asked only where it decides something.
    let taken: Vec<&GateConfig> = config.gate.iter().filter(|gate| gate.enabled && wanted(gate)).collect();
    let presets = &config.gates.presets;
    let asks = matches!(presets, Presets::Auto(_)) && taken.iter().any(|gate| gate.preset.is_some());
    let languages = if asks { languages(tree)? } else { BTreeSet::new() };
    Ok(taken.into_iter().filter(|gate| gates::takes_part(gate, presets, &languages)).cloned().collect())
}

/// The languages of a candidate and its base.
fn languages(tree: &Tree<'_>) -> Result<BTreeSet<&'static str>, String> {
    let Tree { repo, feature_dir, head, base } = tree;
    let mut files = contents::files(repo, head).map_err(|error| chain(&error))?;
    if let Some(base) = base {
        files.extend(contents::files(repo, base).map_err(|error| chain(&error))?);
    }
    let plan_path = format!("{feature_dir}/plan.md");
    let plan = contents::blob(repo, head, &plan_path).map_err(|error| chain(&error))?.unwrap_or_default();
    let language = crate::feature::PlanDocument::read(&plan).language;
    Ok(gates::languages(
        files.iter().map(String::as_str),
        Some(&language).filter(|l| !l.is_empty()).map(String::as_str),
    ))
}
