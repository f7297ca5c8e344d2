//! Exclusive locks by `flock`, with the owner's identity in the file for people.
//!
//! The descriptor is `O_CLOEXEC`: one inherited by a child would outlive a killed owner. A lock file
//! is never deleted: a second one at the same path would be a second lock.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::identity::ProcId;

/// Bytes read of a lock file: it holds one line.
const OWNER_MAX: u64 = 4096;

/// A lock that is held until it is dropped or its process ends.
#[derive(Debug)]
#[must_use = "a lock is free again when this is dropped"]
pub struct Lock {
    file: Flock<File>,
    path: PathBuf,
}

/// Why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error("`{}` is locked by {}", path.display(), owner.as_deref().unwrap_or("another process"))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// What its owner wrote into it.
        owner: Option<String>,
    },
    /// The file cannot be opened or locked.
    #[error("cannot lock `{}`", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock at `path` without waiting and writes who has it (`what`, pid).
    ///
    /// # Errors
    /// [`LockError::Held`] names the owner.
    pub fn try_exclusive(path: &Path, what: &str) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        let file = match Flock::lock(open(path).map_err(io)?, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((file, Errno::EWOULDBLOCK)) => {
                return Err(LockError::Held { path: path.to_owned(), owner: owner_of(file) });
            }
            Err((_, errno)) => return Err(io(errno.into())),
        };
        let mut lock = Self { file, path: path.to_owned() };
        lock.write_owner(what).map_err(io)?;
        Ok(lock)
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write_owner(&mut self, what: &str) -> io::Result<()> {
        let id = ProcId::own()?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{what}, pid {}, started at tick {}", id.pid, id.start_ticks)
    }
}

/// Who holds the lock at `path` now; `None` if it is free or not there.
///
/// # Errors
/// The file cannot be opened.
pub fn holder(path: &Path) -> io::Result<Option<String>> {
    let file = match OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Ok(None),
        Err((file, Errno::EWOULDBLOCK)) => {
            Ok(Some(owner_of(file).unwrap_or_else(|| "another process".to_owned())))
        }
        Err((_, errno)) => Err(errno.into()),
    }
}

/// Opens (and makes) a lock file; std sets `O_CLOEXEC` on every file.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn owner_of(mut file: File) -> Option<String> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(OWNER_MAX).read_to_string(&mut text).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_learns_who_has_it_and_a_drop_frees_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        assert_eq!(holder(&path).unwrap(), None);
        let lock = Lock::try_exclusive(&path, "supervisor").unwrap();
        let error = Lock::try_exclusive(&path, "other").unwrap_err().to_string();
        assert!(error.contains(&format!("supervisor, pid {}", std::process::id())), "{error}");
        assert!(holder(&path).unwrap().unwrap().starts_with("supervisor"));
        drop(lock);
        assert_eq!(holder(&path).unwrap(), None);
        let _again = Lock::try_exclusive(&path, "other").unwrap();
    }

    #[test]
    fn a_child_does_not_keep_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let lock = Lock::try_exclusive(&path, "one").unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        drop(lock);
        let again = Lock::try_exclusive(&path, "two");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(again.is_ok());
    }
}
