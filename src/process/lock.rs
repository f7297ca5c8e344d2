//! Exclusive locks by `flock`. The file's first line says to people who has it; its second line is
//! whatever the owner wants others to know ([`Lock::note`]), who can read it without the lock.
//!
//! The descriptor is `O_CLOEXEC`: one inherited by a child would outlive a killed owner. A lock file
//! is never deleted: a second one at the same path would be a second lock.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::identity::ProcId;

/// Between two looks at a lock that somebody has.
const LOOK: Duration = Duration::from_millis(20);
/// A child that has been forked executes its program within this time, or ends.
const CHILD_BEGINS: Duration = Duration::from_secs(5);
/// Bytes read of a lock file: it holds two lines.
const OWNER_MAX: u64 = 4096;

/// A lock that is held until it is dropped or its process ends.
#[derive(Debug)]
#[must_use = "a lock is free again when this is dropped"]
pub struct Lock {
    file: Flock<File>,
    path: PathBuf,
    /// Who has it: the file's first line.
    owner: String,
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
    /// Takes the lock at `path` and writes who has it (`what`, pid). Nobody is waited for who lives; an owner that was
    /// killed may have left it for a moment to a child which it had just begun, and which has no program yet.
    ///
    /// # Errors
    /// [`LockError::Held`] names the owner.
    pub fn try_exclusive(path: &Path, what: &str) -> Result<Self, LockError> {
        let end = Instant::now() + CHILD_BEGINS;
        loop {
            match Self::try_once(path, what) {
                Err(LockError::Held { owner: Some(owner), .. })
                    if is_gone(&owner) && Instant::now() < end =>
                {
                    std::thread::sleep(LOOK);
                }
                result => return result,
            }
        }
    }

    fn try_once(path: &Path, what: &str) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        let file = match Flock::lock(open(path).map_err(io)?, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((file, Errno::EWOULDBLOCK)) => {
                return Err(LockError::Held { path: path.to_owned(), owner: owner_of(file) });
            }
            Err((_, errno)) => return Err(io(errno.into())),
        };
        let id = ProcId::own().map_err(io)?;
        let owner = format!("{what}, pid {}, started at tick {}", id.pid, id.start_ticks);
        let lock = Self { file, path: path.to_owned(), owner };
        lock.note("").map_err(io)?;
        Ok(lock)
    }

    /// As [`Self::try_exclusive`], but waits for whoever has it, at most so long.
    ///
    /// # Errors
    /// [`LockError::Held`] when the time is over.
    pub fn exclusive_within(path: &Path, what: &str, limit: Duration) -> Result<Self, LockError> {
        let end = Instant::now() + limit;
        loop {
            match Self::try_exclusive(path, what) {
                // The kernel tells nobody when a lock is free, but for one who waits without end.
                Err(LockError::Held { .. }) if Instant::now() < end => std::thread::sleep(LOOK),
                result => return result,
            }
        }
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down one line for others, in place of an earlier one. It stays when the lock is free
    /// again: what it says must tell by itself whether it still holds.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note(&self, line: &str) -> io::Result<()> {
        let text = format!("{}\n{line}", self.owner);
        // Never empty in between: there are readers without the lock.
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.file.set_len(text.len() as u64)
    }
}

/// What the last owner of the lock at `path` has noted; `None` if nothing. Nothing is locked.
///
/// # Errors
/// The file is there and cannot be read.
pub fn noted(path: &Path) -> io::Result<Option<String>> {
    let file = match OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut bytes = Vec::new();
    file.take(OWNER_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().nth(1).filter(|line| !line.is_empty()).map(str::to_owned))
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

/// Whether the owner that wrote this line ([`Lock::try_exclusive`]) runs no more.
fn is_gone(owner: &str) -> bool {
    let id = || {
        let (rest, tick) = owner.rsplit_once(", started at tick ")?;
        let (_, pid) = rest.rsplit_once(", pid ")?;
        let own = ProcId::own().ok()?;
        Some(ProcId { pid: pid.parse().ok()?, start_ticks: tick.parse().ok()?, ..own })
    };
    id().is_some_and(|id| !id.alive())
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
    fn what_the_owner_notes_is_read_without_the_lock_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        assert_eq!(noted(&path).unwrap(), None);
        let lock = Lock::try_exclusive(&path, "supervisor").unwrap();
        assert_eq!(noted(&path).unwrap(), None);
        lock.note("a longer line").unwrap();
        lock.note("a line").unwrap();
        assert_eq!(noted(&path).unwrap().as_deref(), Some("a line"));
        assert!(holder(&path).unwrap().unwrap().starts_with("supervisor, pid"));
        drop(lock);
        assert_eq!(noted(&path).unwrap().as_deref(), Some("a line"));
        let _next = Lock::try_exclusive(&path, "supervisor").unwrap();
        assert_eq!(noted(&path).unwrap(), None, "that was another owner's");
    }

    #[test]
    fn a_lock_that_a_killed_owner_has_left_to_its_child_is_waited_for() {
        use std::io::BufRead as _;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        std::fs::write(&path, format!("supervisor, pid {}, started at tick 1\n", dead.id())).unwrap();
        let mut child = std::process::Command::new("flock");
        child.arg(&path).args(["sh", "-c", "echo locked; sleep 0.3"]).stdout(std::process::Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut said = String::new();
        io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!((said.as_str(), holder(&path).unwrap().is_some()), ("locked\n", true));
        let _mine = Lock::try_exclusive(&path, "the next").unwrap();
        child.wait().unwrap();
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
