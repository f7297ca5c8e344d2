//! Which gates take part on a tree.

use crate::config::gate::GateConfig;
use crate::config::{Config, Presets};
use crate::domain::ids::CommitSha;
use crate::error::chain;
use crate::gates::{self, Contents};
use crate::git::{self, Repo};

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
    let contents = if asks { contents(tree, config)? } else { Contents::default() };
    Ok(taken.into_iter().filter(|gate| gates::takes_part(gate, presets, &contents)).cloned().collect())
}

/// What is in a candidate, its base and its plan.
fn contents(tree: &Tree<'_>, config: &Config) -> Result<Contents, String> {
    let Tree { repo, feature_dir, head, base } = tree;
    let commits: Vec<&CommitSha> = [Some(*head), *base].into_iter().flatten().collect();
    let mut contents = contents_of(repo, &commits, config).map_err(|error| chain(&error))?;
    let plan = git::contents::blob(repo, head, &format!("{feature_dir}/plan.md"));
    let plan = plan.map_err(|error| chain(&error))?.unwrap_or_default();
    contents.add_plan(&crate::feature::PlanDocument::read(&plan).language);
    Ok(contents)
}

/// What is in these commits, as far as it decides which presets take part.
///
/// # Errors
/// Why one of them cannot be read.
pub fn contents_of(repo: &Repo, commits: &[&CommitSha], config: &Config) -> Result<Contents, git::Error> {
    let mut contents = Contents::new(&config.general.root);
    for commit in commits {
        let files = git::contents::files(repo, commit)?;
        contents.add(files, &config.gate, |path| git::contents::blob(repo, commit, path))?;
    }
    Ok(contents)
}
