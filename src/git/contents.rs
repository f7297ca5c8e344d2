//! What a commit holds: its tree, its files, their bytes, and what was renamed between two.

use std::path::{Component, Path, PathBuf};

use git2::{DiffFindOptions, ObjectType, Repository, TreeWalkMode, TreeWalkResult};

use super::error::{LibContext, Result};
use super::repo::{Repo, oid, sha};
use crate::domain::ids::CommitSha;

/// A blob that is larger is not read.
const BLOB_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The tree of a commit.
///
/// # Errors
/// The commit is missing.
pub fn tree_of(repo: &Repo, commit: &CommitSha) -> Result<CommitSha> {
    let lib = repo.open()?;
    Ok(sha(tree(&lib, commit)?.id()))
}

/// The first parent of a commit, if it has one.
///
/// # Errors
/// The commit is missing.
pub fn parent_of(repo: &Repo, commit: &CommitSha) -> Result<Option<CommitSha>> {
    let lib = repo.open()?;
    let commit = lib.find_commit(oid(commit)?).during(format!("{} is missing", commit.short()))?;
    Ok(commit.parent_ids().next().map(sha))
}

/// The paths of all files of a commit, symbolic links included; paths that are not UTF-8 are
/// shown with replacement characters.
///
/// # Errors
/// The commit or one of its trees is missing.
pub fn files(repo: &Repo, commit: &CommitSha) -> Result<Vec<String>> {
    let lib = repo.open()?;
    let mut found = Vec::new();
    let walk = |root: &str, entry: &git2::TreeEntry<'_>| {
        if entry.kind() == Some(ObjectType::Blob) {
            found.push(format!("{root}{}", String::from_utf8_lossy(entry.name_bytes())));
        }
        TreeWalkResult::Ok
    };
    tree(&lib, commit)?.walk(TreeWalkMode::PreOrder, walk).during("cannot list the files of a commit")?;
    Ok(found)
}

/// Whether a commit has a directory there; a submodule is one.
///
/// # Errors
/// The commit is missing.
pub fn is_directory(repo: &Repo, commit: &CommitSha, path: &str) -> Result<bool> {
    let lib = repo.open()?;
    let clean: PathBuf =
        Path::new(path).components().filter(|part| matches!(part, Component::Normal(_))).collect();
    // `.` is the root, which every commit has.
    if clean.as_os_str().is_empty() {
        return Ok(true);
    }
    let kind = tree(&lib, commit)?.get_path(&clean).ok().and_then(|entry| entry.kind());
    Ok(matches!(kind, Some(ObjectType::Tree | ObjectType::Commit)))
}

/// Whether a commit has anything there, a file or a directory.
///
/// # Errors
/// The commit is missing.
pub fn is_there(repo: &Repo, commit: &CommitSha, path: &str) -> Result<bool> {
    let lib = repo.open()?;
    Ok(tree(&lib, commit)?.get_path(Path::new(path)).is_ok())
}

/// Whether the repository has the commit.
///
/// # Errors
/// The repository cannot be read.
pub fn has_commit(repo: &Repo, commit: &CommitSha) -> Result<bool> {
    Ok(repo.open()?.find_commit(oid(commit)?).is_ok())
}

/// The bytes of a file in a commit; `None` if it is not there, not a file, or too large.
///
/// # Errors
/// The commit is missing.
pub fn blob(repo: &Repo, commit: &CommitSha, path: &str) -> Result<Option<Vec<u8>>> {
    let lib = repo.open()?;
    let Ok(entry) = tree(&lib, commit)?.get_path(Path::new(path)) else { return Ok(None) };
    let Ok(blob) = lib.find_blob(entry.id()) else { return Ok(None) };
    Ok((blob.size() <= BLOB_BYTES_MAX).then(|| blob.content().to_vec()))
}

/// Renamed files between two commits, as (old path, new path).
///
/// # Errors
/// One of the commits is missing.
pub fn renames(repo: &Repo, from: &CommitSha, to: &CommitSha) -> Result<Vec<(String, String)>> {
    let lib = repo.open()?;
    let what = "cannot compare two commits";
    let mut diff =
        lib.diff_tree_to_tree(Some(&tree(&lib, from)?), Some(&tree(&lib, to)?), None).during(what)?;
    diff.find_similar(Some(DiffFindOptions::new().renames(true))).during(what)?;
    let path = |file: git2::DiffFile<'_>| file.path().map(|path| path.to_string_lossy().into_owned());
    let renamed = diff.deltas().filter(|delta| delta.status() == git2::Delta::Renamed);
    Ok(renamed.filter_map(|delta| Some((path(delta.old_file())?, path(delta.new_file())?))).collect())
}

fn tree<'lib>(lib: &'lib Repository, commit: &CommitSha) -> Result<git2::Tree<'lib>> {
    let what = || format!("no commit {}", commit.short());
    lib.find_commit(oid(commit)?).and_then(|commit| commit.tree()).during(what())
}
