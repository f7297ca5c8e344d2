//! What was pushed while a run was on, as far as this repository tells: a push through a remote that
//! it knows moves the reference in which it remembers that remote's branch.

use std::collections::BTreeMap;

use crate::domain::ids::CommitSha;

use super::diff::descends;
use super::error::{LibContext, Result};
use super::repo::{Repo, sha};

/// Remembered branches that are looked at; of a remote with more than these nothing is told.
const BRANCHES_MAX: usize = 10_000;

/// The branches of all remotes, as they were when last heard of: `origin/main`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered(BTreeMap<String, CommitSha>);

impl Remembered {
    /// As of now.
    ///
    /// # Errors
    /// [`super::Error::Lib`] if the references cannot be listed.
    pub fn now(repo: &Repo) -> Result<Self> {
        let what = "cannot list the branches of remotes";
        let lib = repo.open()?;
        let mut found = BTreeMap::new();
        for reference in lib.references_glob("refs/remotes/*").during(what)?.take(BRANCHES_MAX) {
            let reference = reference.during(what)?;
            let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
            if let (Some(name), Some(head)) = (name.strip_prefix("refs/remotes/"), reference.target()) {
                found.insert(name.to_owned(), sha(head));
            }
        }
        Ok(Self(found))
    }

    /// What has moved since `before` and is sprint's, or of the work between `base` and `head`: what a
    /// person has fetched meanwhile is neither.
    ///
    /// # Errors
    /// [`super::Error::Lib`] if the commits cannot be compared.
    pub fn pushed_since(
        &self,
        before: &Self,
        repo: &Repo,
        (base, head): (&CommitSha, &CommitSha),
    ) -> Result<Vec<(String, CommitSha)>> {
        let lib = repo.open()?;
        let mut pushed = Vec::new();
        for (name, at) in self.0.iter().filter(|(name, at)| before.0.get(*name) != Some(at)) {
            let branch = name.split_once('/').map_or("", |(_, branch)| branch);
            let ours = branch.starts_with("sprint/") || branch.starts_with("sprint-task/");
            let of_the_work = || {
                Ok::<_, super::Error>(at != base && descends(&lib, base, at)? && descends(&lib, at, head)?)
            };
            if ours || of_the_work()? {
                pushed.push((name.clone(), at.clone()));
            }
        }
        Ok(pushed)
    }
}
