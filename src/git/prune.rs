//! Worktrees that nobody needs any more go. What takes long, the files, goes without the lock.

use std::fs;

use super::error::{IoContext, Result};
use super::pool::{Pool, Record, State, admin_name};
use super::worktree::remove_any;

/// What the directory of a worktree that goes is called.
const TRASH: &str = ".trash-";

impl Pool {
    /// Removes free worktrees beyond `keep`, and records whose worktree never came to be.
    /// Returns the numbers that are gone.
    ///
    /// # Errors
    /// [`super::Error::Io`].
    pub fn prune(&self, keep: usize) -> Result<Vec<u32>> {
        let gone = self.put_away(keep)?;
        self.empty_trash()?;
        Ok(gone)
    }

    fn put_away(&self, keep: usize) -> Result<Vec<u32>> {
        let _lock = self.lock()?;
        let records = self.records()?;
        let unborn = records.iter().filter(|r| r.admin.is_empty());
        let free = records.iter().filter(|r| r.state == State::Free && !r.admin.is_empty()).skip(keep);
        let mut gone = Vec::new();
        for record in unborn.chain(free) {
            self.put_one_away(record)?;
            gone.push(record.number);
        }
        Ok(gone)
    }

    /// Without the lock, which others wait for: thousands of files may go. What a killed process
    /// left here goes with it.
    fn empty_trash(&self) -> Result<()> {
        for entry in fs::read_dir(self.root()).at("read", self.root())? {
            let entry = entry.at("read", self.root())?;
            if entry.file_name().to_string_lossy().starts_with(TRASH) {
                remove_any(&entry.path())?;
            }
        }
        Ok(())
    }

    /// The directory is renamed first: a half-removed one is never taken for a worktree.
    pub(super) fn put_one_away(&self, record: &Record) -> Result<()> {
        let path = self.path(record.number);
        let trash = self.root().join(format!("{TRASH}{}", uuid::Uuid::new_v4().simple()));
        let admin = if record.admin.is_empty() {
            admin_name(&path, &self.repo().common_dir).unwrap_or_default()
        } else {
            record.admin.clone()
        };
        if path.exists() {
            fs::rename(&path, &trash).at("remove", &path)?;
        }
        if !admin.is_empty() {
            remove_any(&self.repo().common_dir.join("worktrees").join(admin))?;
        }
        remove_any(&self.record_path(record.number))
    }
}
