//! Records of the pool that somebody deleted with the worktrees, rebuilt from what git itself
//! keeps of each worktree: where it was, whose, on which branch.
//!
//! So the next one who asks for a worktree gets the same number back, never one in whose place
//! another one's run may still be.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::Result;
use super::pool::{MARKER, Owner, Pool, Record, State};
use super::worktree::Worktree;
use crate::domain::ids::{FeatureId, TaskId, WorkerName};

/// What attempts' branches begin with.
const TASK_BRANCHES: &str = "sprint-task/";

impl Pool {
    /// Rebuilds every record that is missing; how many there were.
    ///
    /// # Errors
    /// [`super::Error::Io`], [`super::Error::Locked`].
    pub(super) fn restore(&self) -> Result<usize> {
        if self.unrecorded().is_empty() {
            return Ok(0);
        }
        // Somebody else may have seen it too, and may be at it.
        let _lock = self.lock()?;
        let missing = self.unrecorded();
        for (number, admin) in &missing {
            let record = self.rebuilt(*number, admin);
            tracing::warn!(number, state = ?record.state, "the record of a worktree was deleted, and is made anew");
            self.save_record(&record)?;
        }
        Ok(missing.len())
    }

    /// Worktrees of this pool that git knows and that have no record.
    fn unrecorded(&self) -> Vec<(u32, String)> {
        let list = self.repo().common_dir.join("worktrees");
        let admins = fs::read_dir(list).into_iter().flatten().flatten().map(|entry| entry.path());
        admins
            .filter(|admin| admin.join(MARKER).exists())
            .filter_map(|admin| Some((self.number_of(&admin)?, admin.file_name()?.to_str()?.to_owned())))
            .filter(|(number, _)| !self.record_path(*number).exists())
            .collect()
    }

    /// The number of the worktree that an administrative directory belongs to, if it is one of ours.
    fn number_of(&self, admin: &Path) -> Option<u32> {
        let dot_git = PathBuf::from(fs::read_to_string(admin.join("gitdir")).ok()?.trim_end());
        let path = dot_git.parent().filter(|path| path.parent() == Some(self.root()))?;
        let number = path.file_name()?.to_str()?.parse().ok()?;
        (self.path(number) == path).then_some(number)
    }

    fn rebuilt(&self, number: u32, admin: &str) -> Record {
        let record = Record { admin: admin.to_owned(), lost: true, ..Record::new(number, None) };
        let worktree = self.worktree(&record);
        let reason = fs::read_to_string(worktree.admin.join("locked")).ok();
        let owner = reason.as_deref().and_then(owner_of);
        let aside = |why: &str| Record {
            owner: owner.clone(),
            state: State::Quarantined,
            reason: Some(why.to_owned()),
            ..record.clone()
        };
        match (&owner, reason) {
            // Nothing says what of it was prepared, and what is an agent's work.
            _ if !worktree.is_empty() => aside("its record was deleted; its files are kept"),
            (Some(_), _) => {
                let branch = branch_of(&worktree);
                Record { owner: owner.clone(), state: State::InUse, branch, ..record.clone() }
            }
            (None, None) => Record { state: State::Free, ..record.clone() },
            (None, Some(_)) => aside("its record was deleted, and nothing says whose it was"),
        }
    }
}

/// The branch of an attempt that HEAD names. The `.git` file is gone, so nothing is opened.
fn branch_of(worktree: &Worktree) -> Option<String> {
    let head = fs::read_to_string(worktree.admin.join("HEAD")).ok()?;
    let name = head.strip_prefix("ref:")?.trim().strip_prefix("refs/heads/")?;
    name.starts_with(TASK_BRANCHES).then(|| name.to_owned())
}

/// As [`super::pool::lock_reason`] wrote it.
fn owner_of(reason: &str) -> Option<Owner> {
    let words: Vec<&str> = reason.trim_end().strip_prefix("sprint: ")?.split(' ').collect();
    match words.as_slice() {
        ["gates", "of", worker] => Some(Owner::Gate { worker: WorkerName::parse(worker).ok()? }),
        [feature, task] => {
            let (feature, task) = (FeatureId::parse(feature).ok()?, TaskId::parse(task).ok()?);
            Some(Owner::Task { feature, task })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::pool::lock_reason;

    #[test]
    fn an_owner_is_read_as_it_was_written() {
        let task = Owner::Task {
            feature: FeatureId::parse("001-thing").unwrap(),
            task: TaskId::parse("T001").unwrap(),
        };
        let gate = Owner::Gate { worker: WorkerName::parse("developer-1.base").unwrap() };
        for owner in [task, gate] {
            assert_eq!(owner_of(&lock_reason(&owner)), Some(owner));
        }
        for strange in
            ["", "on a stick", "sprint: ", "sprint: a/b T001", "sprint: 001-thing ../T001", "sprint: a b c d"]
        {
            assert_eq!(owner_of(strange), None, "{strange:?}");
        }
    }
}
