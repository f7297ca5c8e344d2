//! Who the supervisor is: `supervisor.json` in the runtime directory, and the same noted in the lock
//! on the repository, because the runtime directory can go. Hints for commands; the lock itself is
//! what decides that there is only one.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::identity::ProcId;
use super::lock::{self, Lock};

/// Bytes that are read of the file: it holds a few short values.
const BYTES_MAX: u64 = 16 * 1024;

/// The supervisor of one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorFile {
    /// The process.
    #[serde(flatten)]
    pub process: ProcId,
    /// Its epoch.
    pub epoch: u64,
    /// The version of the program.
    pub version: String,
    /// When it began, wall clock milliseconds.
    pub started_wall_ms: i64,
    /// It has ended everything that it started, and is only about to go. A file without this, of a
    /// process that is gone, means that something may be left.
    #[serde(default)]
    pub ended: bool,
    /// Why nothing is decided for now, if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<String>,
}

/// What the lock says: a copy of a repository has a copy of its lock, but is another sprint.
#[derive(Serialize, Deserialize)]
struct Noted {
    /// The hash of the repository's id.
    sprint: String,
    #[serde(flatten)]
    supervisor: SupervisorFile,
}

impl SupervisorFile {
    /// Notes it in the lock of the sprint `hash`.
    ///
    /// # Errors
    /// The lock's file cannot be written.
    pub fn note(&self, lock: &Lock, hash: &str) -> io::Result<()> {
        let noted = Noted { sprint: hash.to_owned(), supervisor: self.clone() };
        lock.note(&serde_json::to_string(&noted)?)
    }

    /// The supervisor of the sprint `hash`, out of its file or out of its lock: the one that lives,
    /// else the one that began last.
    pub fn find(path: &Path, lock: &Path, hash: &str) -> Option<Self> {
        let announced = Self::read(path).unwrap_or_else(|error| {
            tracing::debug!(%error, "who supervises cannot be read");
            None
        });
        if announced.as_ref().is_some_and(Self::alive) {
            return announced;
        }
        let noted = Self::noted(lock, hash);
        let newest = |known: &Self| (known.alive(), known.started_wall_ms);
        announced.into_iter().chain(noted).max_by_key(newest)
    }

    fn noted(lock: &Path, hash: &str) -> Option<Self> {
        let line = lock::noted(lock).unwrap_or_else(|error| {
            tracing::debug!(%error, "the supervisor's lock cannot be read");
            None
        });
        let noted: Noted = serde_json::from_str(&line?).ok()?;
        (noted.sprint == hash).then_some(noted.supervisor)
    }

    /// Writes the file whole, in place of another one.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        let part = path.with_extension(format!("{}.part", self.process.pid));
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(&text)?;
        drop(file);
        fs::rename(&part, path)
    }

    /// What the file says; `None` if it is not there or not one of ours.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text).ok())
    }

    /// Takes the file away, if it is still this process's.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        if Self::read(path)?.is_some_and(|found| found.process == self.process) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Whether this very process still runs.
    pub fn alive(&self) -> bool {
        self.process.alive()
    }

    /// Waits for the end of this very process, which comes a moment after its file is gone; whether
    /// it came within `limit`.
    pub fn wait_gone(&self, limit: Duration) -> bool {
        // A process that cannot be opened is not there, or not ours to wait for.
        self.process.open().ok().flatten().is_none_or(|process| process.wait(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_and_whether_it_lives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("supervisor.json");
        assert_eq!(SupervisorFile::read(&path).unwrap(), None);
        let own = SupervisorFile {
            process: ProcId::own().unwrap(),
            epoch: 3,
            version: "0.1.0".into(),
            started_wall_ms: 7,
            ended: false,
            stalled: None,
        };
        own.write(&path).unwrap();
        assert_eq!(SupervisorFile::read(&path).unwrap(), Some(own.clone()));
        assert!(own.alive());
        let mut other = own.clone();
        other.process.start_ticks += 1;
        assert!(!other.alive());
        other.remove(&path).unwrap();
        assert!(path.exists(), "another one's file stays");
        own.remove(&path).unwrap();
        assert!(!path.exists());
        fs::write(&path, "{torn").unwrap();
        assert_eq!(SupervisorFile::read(&path).unwrap(), None);
    }

    #[test]
    fn where_its_file_is_gone_the_lock_knows_it() {
        let dir = tempfile::tempdir().unwrap();
        let (path, locked) = (dir.path().join("run/supervisor.json"), dir.path().join("x.lock"));
        let find = |hash| SupervisorFile::find(&path, &locked, hash);
        assert_eq!(find("a"), None);
        let lock = Lock::try_exclusive(&locked, "sprint supervisor").unwrap();
        assert_eq!(find("a"), None);
        let own = SupervisorFile {
            process: ProcId::own().unwrap(),
            epoch: 3,
            version: "0.1.0".into(),
            started_wall_ms: 7,
            ended: false,
            stalled: None,
        };
        own.note(&lock, "a").unwrap();
        assert_eq!(find("a"), Some(own.clone()));
        assert_eq!(find("b"), None, "a copy of the repository is another sprint");
        let mut older = SupervisorFile { started_wall_ms: 9, ..own.clone() };
        older.process.start_ticks += 1;
        fs::create_dir(dir.path().join("run")).unwrap();
        older.write(&path).unwrap();
        assert_eq!(find("a"), Some(own.clone()), "the living one");
        let mut dead = own;
        dead.process.start_ticks += 2;
        dead.note(&lock, "a").unwrap();
        assert_eq!(find("a"), Some(older), "else the last one");
    }
}
