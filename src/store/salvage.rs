//! What people had asked for, out of a damaged database: rows of the inbox that can still be read. What
//! runs have said is in their report files; this is nowhere else.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use super::client::InboxBody;
use super::{Store, StoreError};

/// No inbox is longer; a damaged one may seem so.
const ROWS_MAX: usize = 10_000;

/// Puts the requests that wait in `damaged` into the inbox of `store`, under their own numbers, so that
/// whoever waits for an answer finds it. Returns how many; what cannot be read is only told in the log.
pub(super) fn requests(damaged: &Path, store: &Store) -> usize {
    let rows = readable(damaged).unwrap_or_else(|error| {
        tracing::warn!(%error, "commands that waited in the damaged database cannot be read");
        BTreeMap::new()
    });
    let mut saved = 0;
    for (id, (wall_ms, body)) in rows {
        match put(store, id, wall_ms, &body) {
            Ok(count) => saved += count,
            Err(error) => tracing::warn!(id, %error, "a command out of the damaged database is lost"),
        }
    }
    saved
}

fn put(store: &Store, id: i64, wall_ms: i64, body: &str) -> Result<usize, StoreError> {
    // One that the copy has too is there already; one that it has answered was done.
    Ok(store.connection.execute(
        "INSERT OR IGNORE INTO inbox (id, wall_ms, body)
         SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM results WHERE id = ?1)",
        params![id, wall_ms, body],
    )?)
}

/// From both ends, for a page in the middle may be what is damaged.
fn readable(damaged: &Path) -> Result<BTreeMap<i64, (i64, String)>, rusqlite::Error> {
    let connection = Connection::open_with_flags(damaged, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // It is kept as it was found: what is in its log stays there.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let mut found = BTreeMap::new();
    for order in ["ASC", "DESC"] {
        let statement = format!("SELECT id, wall_ms, body FROM inbox ORDER BY id {order} LIMIT {ROWS_MAX}");
        let mut statement = connection.prepare(&statement)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        // Behind the first row that cannot be read there is nothing to be had from this end.
        found.extend(rows.map_while(Result::ok));
    }
    found.retain(|_, (_, body): &mut (i64, String)| {
        matches!(serde_json::from_str(body), Ok(InboxBody::Request(_)))
    });
    Ok(found)
}
