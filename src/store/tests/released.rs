//! Every schema that was released is led to the present one, whole or not at all, and loses nothing.

use rusqlite::Connection;

use super::{Case, Client, Store, StoreError};
use crate::store::schema::{VERSION, migrations};

/// What each version added, as it was released.
const RELEASED: [&str; 4] = [
    include_str!("schemas/v1.sql"),
    include_str!("schemas/v2.sql"),
    include_str!("schemas/v3.sql"),
    include_str!("schemas/v4.sql"),
];

/// A database of that version, without rows of its own.
fn made(path: &std::path::Path, version: usize) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    for sql in &RELEASED[..version] {
        connection.execute_batch(sql).unwrap();
    }
    connection.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
    connection
}

/// Tables, columns and indexes.
fn shape(connection: &Connection) -> Vec<String> {
    let mut statement =
        connection.prepare("SELECT sql FROM sqlite_master WHERE sql <> '' ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|sql| sql.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Fills it with what a sprint of today has, as far as that version had the tables and columns.
fn fill(old: &Connection, from: &std::path::Path) {
    old.execute("ATTACH ?1 AS new", [from.to_str().unwrap()]).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut statement = old.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    for table in
        names("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    {
        let columns = names(&format!("SELECT name FROM pragma_table_info('{table}')")).join(", ");
        let only = if table == "meta" { "WHERE key <> 'name'" } else { "" };
        old.execute_batch(&format!(
            "INSERT OR REPLACE INTO main.{table} ({columns}) SELECT {columns} FROM new.{table} {only}"
        ))
        .unwrap();
    }
    old.execute_batch("DETACH new").unwrap();
}

#[test]
fn what_was_released_is_not_edited() {
    assert_eq!(i64::try_from(RELEASED.len()).unwrap(), VERSION, "a new version: keep its file here too");
    for version in 1..=RELEASED.len() {
        let directory = tempfile::tempdir().unwrap();
        let released = made(&directory.path().join("old.db"), version);
        let mut today = Connection::open_in_memory().unwrap();
        migrations().to_version(&mut today, version).unwrap();
        assert_eq!(shape(&released), shape(&today), "schema {version}");
    }
}

#[test]
fn a_filled_database_of_every_released_schema_goes_on() {
    let mut case = Case::new();
    case.start();
    case.work_on();
    case.store.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    for version in 1..=RELEASED.len() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sprint.db");
        let old = made(&path, version);
        fill(&old, &case.path());
        drop(old);
        let mut store = Store::open(&path).unwrap();
        assert_eq!(store.load().unwrap(), case.state, "schema {version}");
        assert_eq!(store.raise_epoch("boot", 0).unwrap(), (2, false), "schema {version}");
        let today = Connection::open(&path).unwrap();
        let found: i64 = today.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(found, VERSION);
        assert_eq!(shape(&today), shape(&case.store.connection), "schema {version}");
        let log: i64 = today.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
        assert_eq!(log, case.count("log"), "schema {version}");
    }
}

#[test]
fn a_migration_that_fails_at_its_end_has_changed_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sprint.db");
    let old = made(&path, 1);
    // What the fourth version adds is there already.
    old.execute("INSERT INTO meta VALUES ('name', 'x')", []).unwrap();
    let before = shape(&old);
    assert!(Store::open(&path).is_err());
    let found: i64 = old.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!((found, shape(&old)), (1, before));
}

#[test]
fn a_database_is_bound_to_its_repository_and_another_ones_is_refused() {
    let mut case = Case::new();
    let path = case.path();
    assert!(Client::open(&path).unwrap().of_repository("aaaa").is_ok(), "nobody has it yet");
    case.store.bind("aaaa").unwrap();
    case.store.bind("aaaa").unwrap();
    let foreign = |error: StoreError| matches!(&error, StoreError::Foreign { found, .. } if found == "aaaa");
    assert!(foreign(case.store.bind("bbbb").unwrap_err()));
    assert!(foreign(Client::open_read_only(&path).unwrap().of_repository("bbbb").unwrap_err()));
    assert!(Client::open(&path).unwrap().of_repository("aaaa").is_ok());
    case.store.mark("bbbb").unwrap();
    case.store.bind("bbbb").unwrap();
}
