//! What workers and commands have of the store: they read, and append to the inbox.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::open::{connect, refuse_foreign, user_version, with_path};
use super::schema::VERSION;
use super::watch::OpenFile;
use crate::domain::budget::Scope;
use crate::domain::draft::Reply;
use crate::domain::event::{Event, Request};
use crate::domain::ids::{RunId, WorkerName};
use crate::domain::state::Run;
use crate::redact;

/// What is put into the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "read one at a time, and gone at once")]
pub enum InboxBody {
    /// Something that has happened.
    Fact(Event),
    /// Something that a person asks for; its result goes to the row's number.
    Request(Request),
}

/// What the worker of a run is to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orders {
    /// Whether it still counts: it is neither revoked nor ended.
    pub active: bool,
    /// Its model is to be ended, because this budget is used up.
    pub over: Option<Scope>,
}

/// A process's own connection.
#[derive(Debug)]
pub struct Client {
    pub(super) connection: Connection,
    file: OpenFile,
}

impl Client {
    /// Opens an existing database for reading and for the inbox.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Newer`], or what SQLite says.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    /// Opens an existing database for reading only.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// As [`Client::open`], for a worker: what it appends is only news of what is durable
    /// elsewhere (a report file, which every boot looks for) or over after a power cut (a process
    /// that is up). So its commits do not wait for the disk; the supervisor's do, and bring these
    /// along.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub fn open_for_news(path: &Path) -> Result<Self, StoreError> {
        let client = Self::open(path)?;
        client.connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(client)
    }

    fn open_with(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        let connection = connect(path, flags)?;
        let found = user_version(&connection).map_err(|error| with_path(error, path))?;
        if found > VERSION {
            return Err(StoreError::Newer { found, known: VERSION });
        }
        if found == 0 {
            return Err(StoreError::Missing(path.to_owned()));
        }
        Ok(Self { connection, file: OpenFile::of(path) })
    }

    /// As it is, if it is this repository's.
    ///
    /// # Errors
    /// [`StoreError::Foreign`].
    pub fn of_repository(self, repository: &str) -> Result<Self, StoreError> {
        refuse_foreign(&self.connection, self.file.path(), repository)?;
        Ok(self)
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether the database is not where it was opened any more: nobody reads what is appended.
    pub fn is_lost(&self) -> bool {
        self.file.is_lost()
    }

    /// Appends to the inbox, without secrets; durable when it returns.
    ///
    /// # Errors
    /// What SQLite says; the caller tries again.
    pub fn append(&self, body: &InboxBody, wall_ms: i64) -> Result<i64, StoreError> {
        let mut body = body.clone();
        match &mut body {
            InboxBody::Fact(event) => event.each_text(&mut redact::in_place),
            InboxBody::Request(request) => request.each_text(&mut redact::in_place),
        }
        let text = serde_json::to_string(&body).map_err(StoreError::row("inbox"))?;
        self.connection
            .prepare_cached("INSERT INTO inbox (wall_ms, body) VALUES (?1, ?2)")?
            .execute(params![wall_ms, text])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// The result of a request, once there is one.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn result(&self, id: i64) -> Result<Option<Reply>, StoreError> {
        let row = self
            .connection
            .prepare_cached("SELECT exit, message FROM results WHERE id = ?1")?
            .query_row([id], |row| Ok(Reply { id, exit: row.get(0)?, message: row.get(1)? }))
            .optional()?;
        Ok(row)
    }

    /// The run that a worker has.
    ///
    /// # Errors
    /// What SQLite says, or [`StoreError::Row`].
    pub fn run_of(&self, worker: &WorkerName) -> Result<Option<Run>, StoreError> {
        let body: Option<String> = self
            .connection
            .prepare_cached("SELECT body FROM runs WHERE worker = ?1 AND status <> 'ended'")?
            .query_row([worker.as_str()], |row| row.get(0))
            .optional()?;
        body.map(|body| serde_json::from_str(&body).map_err(StoreError::row("runs"))).transpose()
    }

    /// A run, also one that has ended.
    ///
    /// # Errors
    /// What SQLite says, or [`StoreError::Row`].
    pub fn run(&self, run: &RunId) -> Result<Option<Run>, StoreError> {
        let body: Option<String> = self
            .connection
            .prepare_cached("SELECT body FROM runs WHERE id = ?1")?
            .query_row([run.as_str()], |row| row.get(0))
            .optional()?;
        body.map(|body| serde_json::from_str(&body).map_err(StoreError::row("runs"))).transpose()
    }

    /// What a run's worker is to do about it by now.
    ///
    /// # Errors
    /// What SQLite says, or [`StoreError::Row`].
    pub fn orders_of(&self, run: &RunId) -> Result<Orders, StoreError> {
        let row: Option<(String, Option<String>)> = self
            .connection
            .prepare_cached("SELECT status, json_extract(body, '$.over') FROM runs WHERE id = ?1")?
            .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((status, over)) = row else { return Ok(Orders::default()) };
        let over = over.map(|scope| serde_json::from_value(scope.into()).map_err(StoreError::row("runs")));
        Ok(Orders { active: status == "active", over: over.transpose()? })
    }

    /// Keeps a frozen configuration, so that runs find it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn put_config(&self, fingerprint: &str, body: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO configs (fingerprint, body) VALUES (?1, ?2)")?
            .execute([fingerprint, body])?;
        Ok(())
    }

    /// A frozen configuration as JSON.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn config(&self, fingerprint: &str) -> Result<Option<String>, StoreError> {
        let body = self
            .connection
            .prepare_cached("SELECT body FROM configs WHERE fingerprint = ?1")?
            .query_row([fingerprint], |row| row.get(0))
            .optional()?;
        Ok(body)
    }
}
