//! What can go wrong with the store, sorted by what to do about it.

use std::path::PathBuf;

/// Why the store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no database yet.
    #[error("there is no database at `{0}`")]
    Missing(PathBuf),
    /// Written by a newer sprint.
    #[error(
        "the database is of version {found}, this sprint knows up to {known}; use the newer sprint that wrote it"
    )]
    Newer {
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// It was written for another repository.
    #[error(
        "the database `{path}` is of another repository: it bears the mark {found}, and this one's is {own}"
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Its mark.
        found: String,
        /// That of this repository.
        own: String,
    },
    /// It does not hold together.
    #[error("the database `{path}` is damaged: {detail}")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What `quick_check` says.
        detail: String,
    },
    /// A newer supervisor has taken over: this one must not write any more.
    #[error("another supervisor has taken over (its epoch is above {epoch})")]
    Fenced {
        /// Ours.
        epoch: u64,
    },
    /// A row was not in the state that a change leaves: a bug, and nothing was written.
    #[error("{table} row `{key}` is not in the state `{state}` that the change leaves")]
    Conflict {
        /// Which table.
        table: &'static str,
        /// Which row.
        key: String,
        /// The state that was expected.
        state: String,
    },
    /// A row's JSON is not what this program writes.
    #[error("a row of {table} cannot be read")]
    Row {
        /// Which table.
        table: &'static str,
        /// What serde says.
        #[source]
        source: serde_json::Error,
    },
    /// The disk is full.
    #[error("the disk is full: nothing was written")]
    Full,
    /// It may only be read.
    #[error("the database `{0}` cannot be written; check its owner and permissions")]
    ReadOnly(PathBuf),
    /// Anything else of SQLite's.
    #[error("the database failed")]
    Sqlite(#[source] rusqlite::Error),
    /// Anything else of the file system's.
    #[error("`{path}` cannot be used")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::SystemIoFailure) => {
                Self::Io { path: PathBuf::from("sprint.db"), source: std::io::Error::other(error) }
            }
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(PathBuf::from("sprint.db")),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { path: PathBuf::from("sprint.db"), detail: error.to_string() }
            }
            _ => Self::Sqlite(error),
        }
    }
}

impl StoreError {
    pub(super) fn row(table: &'static str) -> impl Fn(serde_json::Error) -> Self {
        move |source| Self::Row { table, source }
    }
}
