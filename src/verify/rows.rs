//! Reads the database: one read transaction, statements of its own.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, Transaction};
use serde::Deserialize;
use serde_json::Value;

use super::facts::{Feature, Intent, Landing, Rows, Run, Task, Worker};

/// So much of what SQLite finds wrong is told.
const DAMAGE_MAX: usize = 20;
/// How long another process's transaction is waited for.
const BUSY: std::time::Duration = std::time::Duration::from_secs(10);

type Read<T> = Result<T, String>;

/// The last number of the log, if the database can be read.
pub(super) fn moment(path: &Path) -> Option<i64> {
    open(path).ok()?.query_row("SELECT coalesce(max(seq), 0) FROM log", [], |row| row.get(0)).ok()
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Everything, as of one moment; or why it cannot be read.
pub(super) fn read(path: &Path) -> Read<Rows> {
    let told = |error: rusqlite::Error| error.to_string();
    let mut connection = open(path).map_err(told)?;
    let transaction = connection.transaction().map_err(told)?;
    let mut rows = Rows {
        moment: number(&transaction, "SELECT coalesce(max(seq), 0) FROM log")?,
        damage: damage(&transaction).map_err(told)?,
        epoch: number(&transaction, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'epoch'")?,
        ..Rows::default()
    };
    rows.epochs = list(
        &transaction,
        "SELECT json_extract(body, '$.event.epoch') FROM log
         WHERE json_extract(body, '$.event.event') = 'supervisor_started' ORDER BY seq",
        |row| Ok(row.get(0)?),
    )?;
    rows.features = list(&transaction, "SELECT status, body, frozen FROM features ORDER BY rowid", feature)?;
    rows.tasks = list(&transaction, "SELECT feature, id, status, body FROM tasks ORDER BY rowid", task)?;
    rows.workers = list(
        &transaction,
        "SELECT name, life, json_extract(body, '$.life.run') FROM workers ORDER BY name",
        |row| Ok(Worker { name: row.get(0)?, life: row.get(1)?, run: row.get(2)? }),
    )?;
    rows.runs = list(
        &transaction,
        "SELECT id, status, worker, feature, task, json_extract(body, '$.token') FROM runs ORDER BY rowid",
        run,
    )?;
    rows.landings =
        list(&transaction, "SELECT feature, task, commit_ FROM landings ORDER BY rowid", |row| {
            Ok(Landing { feature: row.get(0)?, task: row.get(1)?, commit: row.get(2)? })
        })?;
    rows.intents = list(
        &transaction,
        "SELECT body, done FROM outbox WHERE json_extract(body, '$.effect') = 'move_ref' ORDER BY event, place",
        |row| Ok(Intent { open: row.get::<_, i64>(1)? == 0, ..json(row, 0)? }),
    )?;
    Ok(rows)
}

fn number(transaction: &Transaction<'_>, statement: &str) -> Read<i64> {
    transaction.query_row(statement, [], |row| row.get(0)).map_err(|error| error.to_string())
}

/// Why a row cannot be used.
enum Bad {
    Sqlite(rusqlite::Error),
    Json(String),
}

impl From<rusqlite::Error> for Bad {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn list<T>(
    transaction: &Transaction<'_>,
    statement: &str,
    each: impl Fn(&Row<'_>) -> Result<T, Bad>,
) -> Read<Vec<T>> {
    let all = || -> Result<Vec<T>, Bad> {
        let mut prepared = transaction.prepare(statement)?;
        let mut rows = prepared.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(each(row)?);
        }
        Ok(found)
    };
    all().map_err(|bad| match bad {
        Bad::Sqlite(error) => error.to_string(),
        Bad::Json(why) => why,
    })
}

fn json<T: for<'de> Deserialize<'de>>(row: &Row<'_>, column: usize) -> Result<T, Bad> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| Bad::Json(format!("a row cannot be read: {error}")))
}

fn feature(row: &Row<'_>) -> Result<Feature, Bad> {
    let frozen: Value = json(row, 2)?;
    let convoys = frozen["plan"]["convoys"].clone();
    let convoys = serde_json::from_value(convoys).map_err(|error| Bad::Json(format!("convoys: {error}")))?;
    Ok(Feature { status: row.get(0)?, convoys, ..json(row, 1)? })
}

fn task(row: &Row<'_>) -> Result<Task, Bad> {
    Ok(Task { feature: row.get(0)?, id: row.get(1)?, status: row.get(2)?, body: json(row, 3)? })
}

fn run(row: &Row<'_>) -> Result<Run, Bad> {
    Ok(Run {
        id: row.get(0)?,
        status: row.get(1)?,
        worker: row.get(2)?,
        feature: row.get(3)?,
        task: row.get(4)?,
        token: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
    })
}

fn damage(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut check = transaction.prepare("PRAGMA integrity_check")?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    for line in lines.take(DAMAGE_MAX) {
        found.push(line?);
    }
    found.retain(|line| line != "ok");
    let mut check = transaction.prepare("PRAGMA foreign_key_check")?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    for line in lines.take(DAMAGE_MAX) {
        found.push(format!("a row of {} names one that is not there", line?));
    }
    Ok(found)
}
