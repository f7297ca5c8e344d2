//! What a commit holds: its tree, its files, their bytes, and what was renamed between two.

use std::path::Path;

use git2::{DiffFindOptions, Repository, TreeWalkMode, TreeWalkResult};

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

/// The paths of all files of a commit, symbolic links included; paths that are not UTF-8 are
/// shown with replacement characters.
///
/// # Errors
/// The commit or one of its trees is missing.
pub fn files(repo: &Repo, commit: &CommitSha) -> Result<Vec<String>> {
    let lib = repo.open()?;
    let mut found = Vec::new();
    let walk = |root: &str, entry: &git2::TreeEntry<'_>| {
        if entry.kind() == Some(git2::ObjectType::Blob) {
            found.push(format!("{root}{}", String::from_utf8_lossy(entry.name_bytes())));
        }
        TreeWalkResult::Ok
    };
    tree(&lib, commit)?.walk(TreeWalkMode::PreOrder, walk).during("cannot list the files of a commit")?;
    Ok(found)
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
