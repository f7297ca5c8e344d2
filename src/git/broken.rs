//! A task's branch that a power cut has spoilt. An agent's git does not sync: after a cut its reference may
//! be an empty file, or name a commit of which something is missing, and so may the index of its worktree. What
//! is left of the attempt goes on from the newest commit of the branch that is whole; its files are as they are.

use std::fs;
use std::path::Path;

use git2::{DiffFile, FileMode, ObjectType, Oid, Repository};

use super::durable;
use super::error::{IoContext, LibContext, Result};
use super::repo::{Repo, oid, sha};
use super::worktree::Worktree;
use crate::domain::ids::CommitSha;

/// More objects of one attempt are not read one by one.
const OBJECTS_MAX: usize = 20_000;
/// Of the branch's history so much is read, from its end.
const STEPS_MAX: usize = 100;

/// Puts the reference `name` of a task's branch back to its newest commit that is whole, to `at` if none is.
/// Returns where, if it had to.
///
/// # Errors
/// [`super::Error`] if it cannot be read for another reason, or not be made again.
pub(super) fn mend(repo: &Repo, name: &str, at: &CommitSha) -> Result<Option<CommitSha>> {
    let lib = repo.open()?;
    let base = oid(at)?;
    let found = match lib.find_reference(name) {
        Ok(reference) => reference.target(),
        Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
        // An empty file is no reference, whatever git2 calls that.
        Err(_) => None,
    };
    if found.is_some_and(|tip| is_whole(&lib, tip, base)) {
        return Ok(None);
    }
    let path = repo.common_dir.join(name);
    if path.exists() {
        fs::remove_file(&path).at("remove", &path)?;
    }
    let newest = steps(repo, name).into_iter().find(|step| is_whole(&lib, *step, base));
    let to = newest.map_or_else(|| at.clone(), sha);
    durable::create_ref(&lib, name, &to)?;
    tracing::warn!(reference = name, %to, "a branch that was broken, as after a power cut, is put back");
    Ok(Some(to))
}

/// Makes a worktree's index anew, out of its commit, where it is empty or names a file that cannot be read: the
/// files themselves stay as they are. True if it had to.
///
/// # Errors
/// [`super::Error`] if the worktree has no commit, or the index cannot be written.
pub(super) fn mend_index(worktree: &Worktree) -> Result<bool> {
    let what = "cannot read the worktree's index";
    let tree = worktree.open()?.head().and_then(|head| head.peel_to_tree()).during(what)?.id();
    let path = worktree.admin.join("index");
    let is_empty = path.metadata().is_ok_and(|meta| meta.len() == 0);
    // One of a kind that is not read here, a split one, is git's business.
    if !is_empty && index_is_whole(&worktree.open()?, tree).unwrap_or(true) {
        return Ok(false);
    }
    if path.exists() {
        fs::remove_file(&path).at("remove", &path)?;
    }
    let repo = worktree.open()?;
    let mut index = repo.index().during(what)?;
    index.read_tree(&repo.find_tree(tree).during(what)?).during(what)?;
    index.write().during(what)?;
    tracing::warn!(index = %path.display(), "an index that was broken, as after a power cut, is made anew");
    Ok(true)
}

/// Removes objects' files in which nothing is: what a power cut leaves of one that nobody has synced. git and
/// libgit2 take such an object as there, and never write it again. How many there were.
///
/// # Errors
/// [`super::Error::Io`].
pub fn remove_empty_objects(common_dir: &Path) -> Result<usize> {
    let root = common_dir.join("objects");
    let mut removed = 0;
    for entry in fs::read_dir(&root).at("read", &root)?.flatten() {
        let is_loose = entry.file_name().len() == 2 && entry.path().is_dir();
        for object in fs::read_dir(entry.path()).into_iter().filter(|_| is_loose).flatten().flatten() {
            let path = object.path();
            // Under its own name none is ever written bit by bit.
            let is_object = object.file_name().len() >= 38;
            if is_object && object.metadata().is_ok_and(|meta| meta.is_file() && meta.len() == 0) {
                fs::remove_file(&path).at("remove", &path)?;
                tracing::warn!(object = %path.display(), "an empty object, as after a power cut, is removed");
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Whether everything that it has and the commit has not can be read.
fn index_is_whole(repo: &Repository, tree: Oid) -> std::result::Result<bool, git2::Error> {
    let (tree, index, odb) = (repo.find_tree(tree)?, repo.index()?, repo.odb()?);
    let diff = repo.diff_tree_to_index(Some(&tree), Some(&index), None)?;
    let empty = Oid::hash_object(ObjectType::Blob, &[])?;
    let is_whole = |file: DiffFile<'_>| {
        // A repository in the worktree is a commit of its own; a file that is only announced is empty.
        let elsewhere = matches!(file.mode(), FileMode::Commit | FileMode::Unreadable);
        elsewhere || file.id().is_zero() || file.id() == empty || odb.read(file.id()).is_ok()
    };
    Ok(diff.deltas().all(|delta| is_whole(delta.new_file())))
}

/// Where the branch has been, the newest first, as its log tells.
fn steps(repo: &Repo, name: &str) -> Vec<Oid> {
    let text = fs::read(repo.common_dir.join("logs").join(name)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let new = |line: &str| Oid::from_str(line.split(' ').nth(1)?).ok();
    text.lines().rev().take(STEPS_MAX).filter_map(new).collect()
}

/// Whether everything can be read that `tip` has and `base` has not.
fn is_whole(lib: &Repository, tip: Oid, base: Oid) -> bool {
    let objects = durable::new_objects(lib, &[tip], &[base]);
    let odb = lib.odb();
    let (Ok(objects), Ok(odb)) = (objects, odb) else { return false };
    objects.len() > OBJECTS_MAX || objects.iter().all(|object| odb.read(*object).is_ok())
}
