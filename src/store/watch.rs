//! Looking at the database from outside, without a query: whether it is still where it was opened,
//! and whether somebody has written to it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A time of modification that is younger than this may be that of a later write too: the clock of
/// files is coarse.
const SETTLED: Duration = Duration::from_secs(1);

/// The file of an open database. SQLite goes on with one that has been removed as if nothing were.
#[derive(Debug, Clone)]
pub(super) struct OpenFile {
    path: PathBuf,
    /// Device and inode; neither is used again as long as the database is open.
    id: Option<(u64, u64)>,
}

impl OpenFile {
    /// Of a database that has just been opened.
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), id: file_id(path).ok() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path leads elsewhere now, or nowhere. A disk that does not answer is no proof.
    pub(super) fn is_lost(&self) -> bool {
        match file_id(&self.path) {
            Ok(found) => self.id.is_some_and(|id| id != found),
            Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }
}

fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

/// The write-ahead log, for somebody whose ring may be lost: every commit changes its time.
#[derive(Debug)]
pub struct LogWatch {
    path: PathBuf,
    seen: Option<SystemTime>,
}

impl LogWatch {
    /// Of the database at `path`. It has changed until it was looked at.
    pub fn new(path: &Path) -> Self {
        let mut path = path.to_owned().into_os_string();
        path.push("-wal");
        Self { path: path.into(), seen: None }
    }

    /// Whether it may have changed since the last call. Ask this first and read the database after
    /// it: then nothing that is written in between is missed.
    pub fn changed(&mut self) -> bool {
        let found = fs::metadata(&self.path).and_then(|meta| meta.modified()).ok();
        let same = found.is_some() && found == self.seen;
        let settled = |at: &SystemTime| at.elapsed().is_ok_and(|age| age >= SETTLED);
        self.seen = found.filter(settled);
        !same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_or_replaced_database_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/sprint.db");
        fs::create_dir(dir.path().join("state")).unwrap();
        fs::write(&path, "").unwrap();
        let _open = fs::File::open(&path).unwrap();
        let file = OpenFile::of(&path);
        fs::write(&path, "more").unwrap();
        assert!(!file.is_lost());
        fs::remove_dir_all(dir.path().join("state")).unwrap();
        assert!(file.is_lost());
        fs::create_dir(dir.path().join("state")).unwrap();
        fs::write(&path, "").unwrap();
        assert!(file.is_lost(), "that is another one");
        fs::remove_dir_all(dir.path().join("state")).unwrap();
        fs::write(dir.path().join("state"), "").unwrap();
        assert!(file.is_lost());
    }

    #[test]
    fn a_log_has_changed_until_its_time_stands_still() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sprint.db");
        let mut log = LogWatch::new(&path);
        assert!(log.changed() && log.changed(), "nothing is there to be sure of");
        let file = fs::File::create(dir.path().join("sprint.db-wal")).unwrap();
        assert!(log.changed() && log.changed(), "too young: a later write may have the same time");
        file.set_modified(SystemTime::now() - SETTLED * 2).unwrap();
        assert!(log.changed());
        assert!(!log.changed() && !log.changed());
        file.set_modified(SystemTime::now() - SETTLED * 3).unwrap();
        assert!(log.changed() && !log.changed());
    }
}
