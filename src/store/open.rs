//! Opening: settings, migrations, the boot check, the epoch.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::StoreError;
use super::pinned;
use super::schema::{VERSION, migrations};
use super::watch::OpenFile;
use crate::process::lock::{Lock, LockError};
use crate::seeded::{self, Bug};

/// How long a statement waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);
/// The write-ahead log is truncated to this at a checkpoint.
const WAL_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// So many snapshots are kept.
const SNAPSHOTS_KEPT: usize = 3;

/// The supervisor's side of the store.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    pub(super) epoch: u64,
    file: OpenFile,
}

impl Store {
    /// Opens or makes the database, migrates it and checks it.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a database of a newer sprint, [`StoreError::Corrupt`] for a
    /// damaged one, [`StoreError::ReadOnly`] where it cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            make(path)?;
        }
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let found = user_version(&connection).map_err(|error| with_path(error, path))?;
        if found > VERSION {
            return Err(StoreError::Newer { found, known: VERSION });
        }
        quick_check(&connection, path)?;
        if let Err(error) = migrations().to_latest(&mut connection)
            // Several may open an older database at once: one migrates it, the others find it done.
            && user_version(&connection).map_err(|error| with_path(error, path))? != VERSION
        {
            return Err(migration_error(error, path));
        }
        Ok(Self { connection, epoch: 0, file: OpenFile::of(path) })
    }

    /// Whether the database is not where it was opened any more: what is written goes nowhere.
    pub fn is_lost(&self) -> bool {
        self.file.is_lost()
    }

    /// Binds the database to the repository that it is used for from now on. One that bears no mark yet
    /// gets it.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] if it is another one's: then nothing is written.
    pub fn bind(&mut self, repository: &str) -> Result<(), StoreError> {
        refuse_foreign(&self.connection, self.file.path(), repository)?;
        self.mark(repository)
    }

    /// The same, whatever it was: a person has put it there.
    ///
    /// # Errors
    /// What SQLite says.
    pub(super) fn mark(&mut self, repository: &str) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO meta (key, value) VALUES ('repository', ?1)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
            [repository],
        )?;
        Ok(())
    }

    /// Takes the log into the database's file, as far as nobody reads what was before it, and cuts it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Bytes of its log.
    pub fn log_bytes(&self) -> u64 {
        pinned::log_bytes(self.file.path())
    }

    /// As [`Store::checkpoint`], without waiting for anybody; false if somebody keeps it from that.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn cut_log(&self) -> Result<bool, StoreError> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let cut =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        self.connection.busy_timeout(BUSY)?;
        match cut {
            Ok(busy) => Ok(busy == 0),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Raises the epoch, to more than `above` too: from now on an older supervisor's writes are refused.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn raise_epoch(&mut self, boot_id: &str, above: u64) -> Result<(u64, bool), StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let old: String =
            transaction.query_row("SELECT value FROM meta WHERE key = 'epoch'", [], |row| row.get(0))?;
        let boot: String =
            transaction.query_row("SELECT value FROM meta WHERE key = 'boot'", [], |row| row.get(0))?;
        let next = u64::from(!seeded::is(Bug::SameEpoch));
        let epoch = old.parse::<u64>().unwrap_or(0).max(above).max(1 - next) + next;
        transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'epoch'", [epoch.to_string()])?;
        transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'boot'", [boot_id])?;
        transaction.commit()?;
        self.epoch = epoch;
        Ok((epoch, boot != boot_id))
    }

    /// A copy of the database that can be opened by itself; the oldest beyond three go.
    ///
    /// # Errors
    /// What SQLite or the file system says; an unfinished copy is not left behind.
    pub fn snapshot(&self, directory: &Path, wall_ms: i64) -> Result<PathBuf, StoreError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        std::fs::create_dir_all(directory).map_err(io(directory))?;
        let (part, whole) = (directory.join("unfinished.db"), directory.join(format!("sprint-{wall_ms}.db")));
        if part.exists() {
            std::fs::remove_file(&part).map_err(io(&part))?;
        }
        copy_into(&self.connection, &part)?;
        std::fs::rename(&part, &whole).map_err(io(&whole))?;
        std::fs::File::open(directory).and_then(|file| file.sync_all()).map_err(io(directory))?;
        let names = snapshot_names(directory);
        for old in names.iter().rev().skip(SNAPSHOTS_KEPT) {
            std::fs::remove_file(old).map_err(io(old))?;
        }
        Ok(whole)
    }
}

/// One without a mark is of a time when there was none.
pub(super) fn refuse_foreign(
    connection: &Connection,
    path: &Path,
    repository: &str,
) -> Result<(), StoreError> {
    let mark = connection
        .query_row("SELECT value FROM meta WHERE key = 'repository'", [], |row| row.get::<_, String>(0))
        .optional()?;
    match mark {
        Some(found) if found != repository => {
            Err(StoreError::Foreign { path: path.to_owned(), found, own: repository.to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

/// A whole copy in a file that is not there or empty; durable when it returns.
pub(super) fn copy_into(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    connection.execute("VACUUM INTO ?1", [file.to_string_lossy()])?;
    let synced = std::fs::File::open(file).and_then(|copy| copy.sync_all());
    synced.map_err(|source| StoreError::Io { path: file.to_owned(), source })
}

/// Makes a database that is whole before it is at its place: in WAL mode, and with its tables. The
/// switch to WAL needs the database alone and does not wait for it (SQLite's busy handler is not asked
/// where a read lock becomes a write lock), so nobody else may have it open then.
pub(super) fn make(path: &Path) -> Result<(), StoreError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Io { path, source }
    };
    let _alone =
        Lock::exclusive_within(&beside(path, ".lock"), "making the database", BUSY).map_err(|error| {
            match error {
                LockError::Io { source, .. } => unusable(path, source),
                held @ LockError::Held { .. } => unusable(path, std::io::Error::other(held)),
            }
        })?;
    if path.exists() {
        return Ok(());
    }
    let part = beside(path, ".new");
    for left in [part.clone(), beside(&part, "-wal"), beside(&part, "-shm")] {
        match std::fs::remove_file(&left) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(&left)(error)),
            Ok(()) | Err(_) => {}
        }
    }
    let mut connection = connect(&part, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    migrations().to_latest(&mut connection).map_err(|error| migration_error(error, path))?;
    // The last connection takes the log into the file.
    connection.close().map_err(|(_, error)| with_path(StoreError::from(error), path))?;
    std::fs::File::open(&part).and_then(|file| file.sync_all()).map_err(io(&part))?;
    std::fs::rename(&part, path).map_err(io(path))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::File::open(directory).and_then(|file| file.sync_all()).map_err(io(directory))
}

/// `sprint.db` with something after it.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn unusable(path: &Path, source: std::io::Error) -> StoreError {
    match source.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::ReadOnly(path.to_owned())
        }
        std::io::ErrorKind::StorageFull => StoreError::Full,
        _ => StoreError::Io { path: path.to_owned(), source },
    }
}

fn migration_error(error: rusqlite_migration::Error, path: &Path) -> StoreError {
    match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => with_path(StoreError::from(err), path),
        other => StoreError::Corrupt { path: path.to_owned(), detail: other.to_string() },
    }
}

/// The snapshots in a directory, oldest first.
pub fn snapshot_names(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("sprint-") && path.extension().is_some_and(|end| end == "db")
        })
        .collect();
    names.sort();
    names
}

/// A connection with the settings that every process uses.
pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let set_up = || -> Result<Connection, rusqlite::Error> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            let synchronous = if seeded::is(Bug::NormalSync) { "NORMAL" } else { "FULL" };
            connection.pragma_update(None, "synchronous", synchronous)?;
            connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
            connection.pragma_update(None, "foreign_keys", true)?;
        }
        Ok(connection)
    };
    set_up().map_err(|error| with_path(StoreError::from(error), path))
}

pub(super) fn with_path(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Corrupt { detail, .. } => StoreError::Corrupt { path: path.to_owned(), detail },
        StoreError::ReadOnly(_) => StoreError::ReadOnly(path.to_owned()),
        StoreError::Sqlite(source)
            if source.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen) && path.exists() =>
        {
            StoreError::ReadOnly(path.to_owned())
        }
        StoreError::Sqlite(source)
            if source.sqlite_error_code() == Some(rusqlite::ErrorCode::SystemIoFailure) =>
        {
            StoreError::Io { path: path.to_owned(), source: std::io::Error::other(source) }
        }
        other => other,
    }
}

pub(super) fn user_version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

pub(super) fn quick_check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let detail: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| with_path(StoreError::from(error), path))?;
    if detail == "ok" { Ok(()) } else { Err(StoreError::Corrupt { path: path.to_owned(), detail }) }
}
