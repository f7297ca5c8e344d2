//! What of the pool was taken away or never finished. Records that somebody deleted with the
//! worktrees are rebuilt from what git itself keeps of each: where it was, whose, on which branch.
//!
//! So the next one who asks for a worktree gets the same number back, never one in whose place
//! another one's run may still be.

use std::fs;
use std::path::{Path, PathBuf};

use super::branch;
use super::durable;
use super::error::Result;
use super::pool::{GATES_PREFIX, LOCK_PREFIX, MARKER, Owner, Pool, Record, State};
use super::worktree::{Worktree, remove_any};
use crate::domain::ids::{CommitSha, FeatureId, TaskId, WorkerName};

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

    /// Forgets worktrees that were deleted with their records and that nobody is at work in: git
    /// lists them no more, and a head that was on no branch is named. How many there were.
    ///
    /// # Errors
    /// [`super::Error`].
    pub fn forget_lost(&self, at_work: impl Fn(&Owner) -> bool) -> Result<usize> {
        let _lock = self.lock()?;
        let mut forgotten = 0;
        for record in self.records()?.iter().filter(|record| record.lost) {
            let worktree = self.worktree(record);
            // What lies in its place now is saved when its owner gets it.
            if worktree.path.exists() || record.owner.as_ref().is_some_and(&at_work) {
                continue;
            }
            self.anchor_head(&worktree.admin)?;
            self.put_one_away(record)?;
            forgotten += 1;
        }
        Ok(forgotten)
    }

    /// Removes what killed gits of ours have left half made, and what git still lists of worktrees
    /// that were removed together with the pool; how many there were.
    ///
    /// # Errors
    /// [`super::Error`].
    pub fn clear_unusable(&self) -> Result<usize> {
        let _lock = self.lock()?;
        self.remove_unusable(None)
    }

    /// Only under the pool's lock, where no other one of ours is at it; the person's worktrees have
    /// another reason, or none. The record of `new`, which is just being made, is no other one's.
    pub(super) fn remove_unusable(&self, new: Option<&Path>) -> Result<usize> {
        let list = self.repo().common_dir.join("worktrees");
        let mut removed = 0;
        for admin in fs::read_dir(&list).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if is_half_made(&admin, self.root()) {
                tracing::warn!(admin = %admin.display(), "a worktree that git did not finish is removed");
            } else if self.is_lost(&admin, new) {
                self.anchor_head(&admin)?;
                tracing::warn!(admin = %admin.display(), "a worktree that is gone is removed from git's list");
            } else {
                continue;
            }
            remove_any(&admin)?;
            removed += 1;
        }
        Ok(removed)
    }

    /// A worktree that was begun in this place by an earlier pool: neither it nor its record is
    /// there, and git would add no other one with its path. One that was finished has its record
    /// again ([`Pool::restore`]), and may have a run.
    fn is_lost(&self, admin: &Path, new: Option<&Path>) -> bool {
        let path = read_line(admin, "gitdir");
        let Some(path) = Path::new(&path).parent().filter(|path| path.parent() == Some(self.root())) else {
            return false;
        };
        let begun = !admin.join(MARKER).exists() && !path.with_extension("json").exists();
        !path.exists() && (begun || new == Some(path))
    }

    /// A task's head that is on no branch is named, or the next collection of garbage would take it.
    fn anchor_head(&self, admin: &Path) -> Result<()> {
        let reason = read_line(admin, "locked");
        if !reason.starts_with(LOCK_PREFIX) || reason.starts_with(GATES_PREFIX) {
            return Ok(());
        }
        let Ok(head) = CommitSha::parse(&read_line(admin, "HEAD")) else { return Ok(()) };
        durable::create_ref(&*self.repo().open()?, &branch::lost_ref(&head), &head).map(drop)
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

/// What a `git worktree add` of ours left that was killed in the middle: its empty `commondir` makes
/// every git of the repository fail.
fn is_half_made(admin: &Path, root: &Path) -> bool {
    let half = admin.join("commondir").exists() && read_line(admin, "commondir").is_empty();
    let ours = read_line(admin, "locked").starts_with(LOCK_PREFIX)
        || Path::new(&read_line(admin, "gitdir")).starts_with(root);
    half && ours
}

/// A file of git's with one line; nothing where it cannot be read.
fn read_line(admin: &Path, name: &str) -> String {
    fs::read_to_string(admin.join(name)).unwrap_or_default().trim().to_owned()
}

/// The branch of an attempt that HEAD names. The `.git` file is gone, so nothing is opened.
fn branch_of(worktree: &Worktree) -> Option<String> {
    let head = fs::read_to_string(worktree.admin.join("HEAD")).ok()?;
    let name = head.strip_prefix("ref:")?.trim().strip_prefix("refs/heads/")?;
    name.starts_with(TASK_BRANCHES).then(|| name.to_owned())
}

/// As [`super::pool::lock_reason`] wrote it.
fn owner_of(reason: &str) -> Option<Owner> {
    let words: Vec<&str> = reason.trim_end().strip_prefix(LOCK_PREFIX)?.split(' ').collect();
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
