//! A task's branch that a power cut has spoilt. An agent's git does not sync: after a cut its reference may
//! be an empty file, or name a commit of which something is missing. What is left of the attempt goes on from
//! the newest commit of the branch that is whole; what its files in the worktree say is the agent's to look at.

use std::fs;

use git2::{Oid, Repository};

use super::durable;
use super::error::{IoContext, Result};
use super::repo::{Repo, oid, sha};
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
