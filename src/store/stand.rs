//! How a database stands, for whoever only looks: whether it is whole, whose it is, how far it has come.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::StoreError;
use super::open::{connect, quick_check, user_version, with_path};

/// What can be said of a database that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// Its schema.
    pub version: i64,
    /// The epoch of its last supervisor.
    pub epoch: u64,
    /// The repository whose it is, if it says so.
    pub mark: Option<String>,
    /// Lines of the history.
    pub events: usize,
    /// When the newest of them was written.
    pub newest_wall_ms: Option<i64>,
    /// Rows that nobody has applied yet.
    pub inbox: usize,
}

impl Stand {
    /// Looks; changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is not whole, [`StoreError::Missing`], or what SQLite says.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        quick_check(&connection, path)?;
        let told = |error: rusqlite::Error| with_path(StoreError::from(error), path);
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(told);
        let many = |count: i64| usize::try_from(count).unwrap_or(0);
        Ok(Self {
            version: user_version(&connection)?,
            epoch: meta(&connection, "epoch").map_err(told)?.and_then(|text| text.parse().ok()).unwrap_or(0),
            mark: meta(&connection, "repository").map_err(told)?,
            events: many(number("SELECT count(*) FROM events")?),
            newest_wall_ms: connection
                .query_row("SELECT max(wall_ms) FROM events", [], |row| row.get(0))
                .map_err(told)?,
            inbox: many(number("SELECT count(*) FROM inbox")?),
        })
    }
}

fn meta(connection: &Connection, key: &str) -> Result<Option<String>, rusqlite::Error> {
    connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
}
