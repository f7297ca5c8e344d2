//! A checkout as it is, as a commit; and commits as plain directories. For gates by hand, in a
//! person's own checkout: nothing in it is changed, and no worktree or branch is made.

use std::fs;
use std::path::{Path, PathBuf};

use git2::build::CheckoutBuilder;
use git2::{BranchType, Repository};

use super::error::{IoContext, LibContext, Result};
use super::repo::{Repo, oid, sha};
use crate::domain::ids::CommitSha;

/// Names that a repository's main branch goes by, where it has no remote that says so.
const MAIN_NAMES: [&str; 3] = ["main", "master", "trunk"];

/// Removes the copy of the index when the snapshot is made, or fails.
struct IndexCopy(PathBuf);

impl Drop for IndexCopy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, "the copy of the index is gone already");
        }
    }
}

/// The checkout as it is, untracked files included and ignored ones not, as a commit on HEAD that
/// nothing points to.
///
/// # Errors
/// The checkout cannot be read, or git fails.
pub fn snapshot(repo: &Repo) -> Result<CommitSha> {
    let copy = IndexCopy(repo.git_dir.join(format!("sprint-index-{}", std::process::id())));
    let index = repo.git_dir.join("index");
    if index.exists() {
        fs::copy(&index, &copy.0).at("copy", &index)?;
    }
    let git = || super::command::Git::new(&repo.git_dir).work_tree(&repo.top).env("GIT_INDEX_FILE", &copy.0);
    git().args(["add", "--all", "--", "."]).run()?;
    let tree = git().arg("write-tree").run()?;
    let head = repo.head()?;
    let mut commit = git().args(["commit-tree", "-p", head.as_str(), "-m", "the worktree as it is"]);
    for (name, value) in [("NAME", "sprint"), ("EMAIL", "sprint@localhost"), ("DATE", "@0 +0000")] {
        commit =
            commit.env(&format!("GIT_AUTHOR_{name}"), value).env(&format!("GIT_COMMITTER_{name}"), value);
    }
    let made = commit.arg(String::from_utf8_lossy(&tree).trim()).run()?;
    let lib = repo.open()?;
    let text = String::from_utf8_lossy(&made).trim().to_owned();
    let found = lib.find_commit_by_prefix(&text).during("the snapshot cannot be found")?;
    Ok(sha(found.id()))
}

/// Writes the files of a commit below `target`, which is made anew.
///
/// # Errors
/// The commit is missing, or the directory cannot be written.
pub fn export(repo: &Repo, commit: &CommitSha, target: &Path) -> Result<()> {
    if target.exists() {
        fs::remove_dir_all(target).at("remove", target)?;
    }
    fs::create_dir_all(target).at("create", target)?;
    checkout(repo, commit, target, &[])
}

/// Writes the given files of a commit into a directory, over what is there.
///
/// # Errors
/// The commit is missing, or the files cannot be written.
pub fn restore(repo: &Repo, commit: &CommitSha, target: &Path, paths: &[String]) -> Result<()> {
    if paths.is_empty() { Ok(()) } else { checkout(repo, commit, target, paths) }
}

fn checkout(repo: &Repo, commit: &CommitSha, target: &Path, paths: &[String]) -> Result<()> {
    let lib = repo.open()?;
    let what = || format!("cannot write the files of {}", commit.short());
    let tree = lib.find_commit(oid(commit)?).and_then(|commit| commit.tree()).during(what())?;
    let mut options = CheckoutBuilder::new();
    options.force().update_index(false).target_dir(target).disable_pathspec_match(true);
    for path in paths {
        options.path(path);
    }
    lib.checkout_tree(tree.as_object(), Some(&mut options)).during(what())
}

/// What a person's work is compared with: where it left its upstream, else the main branch, else
/// HEAD.
///
/// # Errors
/// HEAD has no commit.
pub fn default_base(repo: &Repo) -> Result<CommitSha> {
    let head = repo.head()?;
    let lib = Repository::open(&repo.git_dir).during("cannot open the checkout")?;
    let other = upstream(&lib).or_else(|| main_branch(&lib));
    let base = other.and_then(|other| {
        let ours = oid(&head).ok()?;
        lib.merge_base(ours, other).ok()
    });
    Ok(base.map_or(head, sha))
}

fn upstream(lib: &Repository) -> Option<git2::Oid> {
    let head = lib.head().ok()?;
    let name = head.shorthand().ok()?;
    lib.find_branch(name, BranchType::Local).ok()?.upstream().ok()?.get().target()
}

fn main_branch(lib: &Repository) -> Option<git2::Oid> {
    let remote = lib.find_reference("refs/remotes/origin/HEAD").ok().and_then(|r| r.resolve().ok());
    remote
        .and_then(|reference| reference.target())
        .or_else(|| MAIN_NAMES.iter().find_map(|name| lib.refname_to_id(&format!("refs/heads/{name}")).ok()))
}
