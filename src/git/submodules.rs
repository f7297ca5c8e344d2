//! Submodules of a commit, and whether the person's checkout has their files.

use git2::{ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};

use super::error::{LibContext, Result};
use super::repo::{Repo, oid};
use crate::domain::ids::CommitSha;

/// The submodules of a commit, by their paths: (those whose files the checkout has, at the commit that
/// is named there; the others).
///
/// # Errors
/// The commit or one of its trees is missing.
pub fn of(repo: &Repo, commit: &CommitSha) -> Result<(Vec<String>, Vec<String>)> {
    let lib = repo.open()?;
    let mut found: Vec<(String, Oid)> = Vec::new();
    let tree = lib.find_commit(oid(commit)?).and_then(|commit| commit.tree());
    let walked = tree.and_then(|tree| {
        tree.walk(TreeWalkMode::PreOrder, |root, entry| {
            if entry.kind() == Some(ObjectType::Commit) {
                found.push((format!("{root}{}", String::from_utf8_lossy(entry.name_bytes())), entry.id()));
            }
            TreeWalkResult::Ok
        })
    });
    walked.during(format!("cannot list the submodules of {}", commit.short()))?;
    let (here, missing): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(path, named)| checked_out(repo, path) == Some(*named));
    let paths = |all: Vec<(String, Oid)>| all.into_iter().map(|(path, _)| path).collect();
    Ok((paths(here), paths(missing)))
}

/// The commit that a submodule of the checkout is at; `None` where its directory is empty.
fn checked_out(repo: &Repo, path: &str) -> Option<Oid> {
    let place = repo.top.join(path);
    // A link could lead to any other repository.
    if place.is_symlink() {
        return None;
    }
    Repository::open(place).ok()?.head().ok()?.target()
}
