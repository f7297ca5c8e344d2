//! What a tool that works step by step keeps between its runs (`{keep}`): a directory for each gate in
//! each worktree, so that no branch reads what another has left.
//!
//! Tools check what they find there by the content of the files. Where one could not do its work, the
//! directory goes with it; while another run has it, a fresh one serves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::cache::Cache;
use super::fingerprint::hash;
use crate::process::lock::{Lock, LockError};

/// More directories than this, and those that were used longest ago go.
const PLACES_MAX: usize = 32;

/// A directory that this run alone has.
#[derive(Debug)]
pub(super) struct Keep {
    pub(super) dir: PathBuf,
    _lock: Lock,
}

impl Keep {
    /// The directory of `gate` in the worktree that is called `slot`; none while another run has it, or
    /// where it cannot be made, which costs time and nothing else.
    pub(super) fn take(cache: &Cache, slot: &str, gate: &str) -> Option<Self> {
        let above = cache.beside("keep");
        let taken = take(&above, &hash(&[slot, gate]));
        if let Err(error) = &taken {
            tracing::debug!(%error, gate, "a tool begins from nothing");
        }
        taken.ok().flatten()
    }

    /// Takes away all that is kept.
    pub(super) fn forget(&self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "what a tool has kept stays");
        }
    }
}

fn take(above: &Path, name: &str) -> io::Result<Option<Keep>> {
    fs::create_dir_all(above)?;
    let lock = match Lock::try_exclusive(&lock_of(&above.join(name)), "a gate") {
        Ok(lock) => lock,
        Err(LockError::Held { .. }) => return Ok(None),
        Err(error) => return Err(io::Error::other(error)),
    };
    let dir = above.join(name);
    if !dir.is_dir() {
        trim(above)?;
        fs::create_dir(&dir)?;
    }
    fs::File::open(&dir)?.set_modified(SystemTime::now())?;
    Ok(Some(Keep { dir, _lock: lock }))
}

fn lock_of(dir: &Path) -> PathBuf {
    dir.with_extension("lock")
}

/// Makes room for one more.
fn trim(above: &Path) -> io::Result<()> {
    let mut places = Vec::new();
    for entry in fs::read_dir(above)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            places.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    places.sort();
    let surplus = (places.len() + 1).saturating_sub(PLACES_MAX);
    for (_, dir) in places.into_iter().take(surplus) {
        // One that is in use stays.
        if Lock::try_exclusive(&lock_of(&dir), "a gate").is_ok() {
            fs::remove_dir_all(&dir)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gate_has_a_place_in_each_worktree_and_one_run_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(&dir.path().join("gates"));
        let take = |slot: &str, gate: &str| Keep::take(&cache, slot, gate);
        let first = take("001", "mypy").unwrap();
        fs::write(first.dir.join("mine"), "").unwrap();
        assert!(take("001", "mypy").is_none(), "another run has it");
        let others = [take("002", "mypy").unwrap(), take("001", "tsc").unwrap()];
        assert!(others.iter().all(|other| other.dir != first.dir));
        drop(first);
        let again = take("001", "mypy").unwrap();
        assert!(again.dir.join("mine").is_file());
        again.forget();
        drop(again);
        assert_eq!(fs::read_dir(take("001", "mypy").unwrap().dir).unwrap().count(), 0);
    }

    #[test]
    fn there_are_only_so_many() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(&dir.path().join("gates"));
        let held = Keep::take(&cache, "held", "mypy").unwrap();
        for slot in 0..2 * PLACES_MAX {
            assert!(Keep::take(&cache, &slot.to_string(), "mypy").is_some());
        }
        let dirs =
            fs::read_dir(cache.beside("keep")).unwrap().flatten().filter(|entry| entry.path().is_dir());
        assert!(dirs.count() <= PLACES_MAX + 1);
        assert!(held.dir.is_dir());
    }
}
