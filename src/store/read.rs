//! Reading: the whole state at boot, and what commands show.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::open::copy_into;
use super::{Client, InboxBody, Store, StoreError};
use crate::domain::away::Brought;
use crate::domain::effect::{Effect, EffectId};
use crate::domain::event::Request;
use crate::domain::ids::{FeatureId, RunId, TaskId};
use crate::domain::state::{Feature, Frozen, Run, Sprint, State};
use crate::domain::task::Task;
use crate::domain::worker::Worker;

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// Its number; later is higher.
    pub seq: i64,
    /// Wall clock, Unix milliseconds.
    pub wall_ms: i64,
    /// What happened, as a word.
    pub kind: String,
    /// The feature, if it concerns one.
    pub feature: Option<String>,
    /// The task, if it concerns one.
    pub task: Option<String>,
    /// The worker, if it concerns one.
    pub worker: Option<String>,
    /// The sentence.
    pub text: String,
}

/// What `status` and `health` need, read in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// Everything that is in the state.
    pub state: State,
    /// Rows in the inbox, and the age of the oldest's writing as wall clock milliseconds.
    pub inbox: (u64, Option<i64>),
    /// What people have asked for about tasks and nobody has applied yet, oldest first.
    pub asked: Vec<Request>,
}

/// Of which features the order and the rules are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plans {
    /// Of those that are not over: what a screen shows.
    OfOpen,
    /// Of all.
    OfAll,
}

/// A row of the inbox: its number, and what it holds or why that cannot be read.
pub type InboxRow = (i64, Result<InboxBody, String>);

/// A run of the past: the run, its status as a word, when it began and when it ended.
pub type PastRun = (Run, String, i64, Option<i64>);

impl Store {
    /// The whole state.
    ///
    /// # Errors
    /// What SQLite says, or [`StoreError::Row`].
    pub fn load(&self) -> Result<State, StoreError> {
        load(&self.connection, FROZEN_OF_ALL)
    }

    /// What of a finished feature is not kept in memory.
    ///
    /// # Errors
    /// What SQLite says, or [`StoreError::Row`].
    pub fn bring(&self, feature: &FeatureId) -> Result<Brought, StoreError> {
        let frozen: String = self
            .connection
            .prepare_cached("SELECT frozen FROM features WHERE id = ?1")?
            .query_row([feature.as_str()], |row| row.get(0))?;
        let frozen = serde_json::from_str(&frozen).map_err(StoreError::row("features"))?;
        let mut query = self.connection.prepare_cached("SELECT body FROM tasks WHERE feature = ?1")?;
        let bodies = query.query_map([feature.as_str()], |row| row.get::<_, String>(0))?;
        let tasks = bodies.map(|body| serde_json::from_str(&body?).map_err(StoreError::row("tasks")));
        Ok(Brought { frozen: Arc::new(frozen), tasks: tasks.collect::<Result<_, _>>()? })
    }

    /// What workers and commands have put into the inbox, oldest first.
    ///
    /// # Errors
    /// What SQLite says. A row that cannot be read is given as the error of its number.
    pub fn inbox(&self, most: u32) -> Result<Vec<InboxRow>, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT id, body FROM inbox ORDER BY id LIMIT ?1")?;
        let rows = query.query_map([most], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| {
            let (id, body) = row?;
            Ok((id, serde_json::from_str(&body).map_err(|error| error.to_string())))
        })
        .collect()
    }

    /// Takes a row that cannot be read out of the inbox.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn drop_inbox(&self, id: i64) -> Result<(), StoreError> {
        self.connection.execute("DELETE FROM inbox WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Effects whose results are not known, oldest first.
    ///
    /// # Errors
    /// What SQLite says, or [`StoreError::Row`].
    pub fn open_effects(&self) -> Result<Vec<(EffectId, Effect)>, StoreError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT event, place, body FROM outbox WHERE done = 0 ORDER BY event, place")?;
        let rows = query.query_map([], |row| {
            Ok((EffectId { event: row.get(0)?, place: row.get(1)? }, row.get::<_, String>(2)?))
        })?;
        rows.map(|row| {
            let (id, body) = row?;
            Ok((id, serde_json::from_str(&body).map_err(StoreError::row("outbox"))?))
        })
        .collect()
    }

    /// A frozen configuration as JSON.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn config(&self, fingerprint: &str) -> Result<Option<String>, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT body FROM configs WHERE fingerprint = ?1")?;
        Ok(query.query_row([fingerprint], |row| row.get(0)).optional()?)
    }

    /// The database's own name, which its copies share.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn name(&self) -> Result<String, StoreError> {
        name(&self.connection)
    }

    /// Whether there is a row of the run.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn knows_run(&self, run: &RunId) -> Result<bool, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT 1 FROM runs WHERE id = ?1")?;
        Ok(query.exists([run.as_str()])?)
    }

    /// The newest run of a task, whatever became of it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn newest_run(&self, feature: &FeatureId, task: &TaskId) -> Result<Option<String>, StoreError> {
        let mut query =
            self.connection.prepare_cached("SELECT max(id) FROM runs WHERE feature = ?1 AND task = ?2")?;
        Ok(query.query_row([feature.as_str(), task.as_str()], |row| row.get(0))?)
    }

    /// The events of the log in order, for replay.
    ///
    /// # Errors
    /// What SQLite says, or [`StoreError::Row`].
    pub fn log(&self) -> Result<Vec<crate::domain::event::Envelope>, StoreError> {
        rows(&self.connection, "log", "SELECT body FROM log ORDER BY seq")
    }
}

fn name(connection: &Connection) -> Result<String, StoreError> {
    Ok(connection.query_row("SELECT value FROM meta WHERE key = 'name'", [], |row| row.get(0))?)
}

impl Client {
    /// The database's own name, which its copies share.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn name(&self) -> Result<String, StoreError> {
        name(&self.connection)
    }

    /// Writes a copy that can be opened by itself, for the person alone. Nothing is there if it fails.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the file is there already or cannot be written, or what SQLite says.
    pub fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let io = |source| StoreError::Io { path: file.to_owned(), source };
        // SQLite takes an empty file; its own would be readable by everybody.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(io)?;
        let copied = copy_into(&self.connection, file);
        if copied.is_err() {
            std::fs::remove_file(file).map_err(io)?;
        }
        copied
    }

    /// What `status` and `health` need, as one moment. Of features that are finished or refused
    /// the plan and the rules are left out.
    ///
    /// # Errors
    /// What SQLite says, or [`StoreError::Row`].
    pub fn overview(&self) -> Result<Overview, StoreError> {
        self.overview_with(Plans::OfOpen)
    }

    /// As [`Client::overview`], with or without the plans of what is over. Where requests wait it
    /// has them all: only with them can be said what will become of a request.
    ///
    /// # Errors
    /// As [`Client::overview`].
    pub fn overview_with(&self, plans: Plans) -> Result<Overview, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let asked = asked(&transaction)?;
        let all = plans == Plans::OfAll || !asked.is_empty();
        let state = load(&transaction, if all { FROZEN_OF_ALL } else { FROZEN_OF_OPEN })?;
        let inbox = transaction.query_row("SELECT count(*), min(wall_ms) FROM inbox", [], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, Option<i64>>(1)?))
        })?;
        transaction.commit()?;
        Ok(Overview { state, inbox, asked })
    }

    /// The tasks of a feature that are on their way.
    ///
    /// # Errors
    /// What SQLite says, or [`StoreError::Row`].
    pub fn in_flight(&self, feature: &FeatureId) -> Result<Vec<Task>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT body FROM tasks WHERE feature = ?1
             AND status IN ('ready', 'running', 'retry', 'landing', 'waiting') ORDER BY id",
        )?;
        let bodies = query.query_map([feature.as_str()], |row| row.get::<_, String>(0))?;
        bodies.map(|body| serde_json::from_str(&body?).map_err(StoreError::row("tasks"))).collect()
    }

    /// Lines of the history after `seq`, oldest first, at most `most`.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn events_after(&self, seq: i64, most: u32) -> Result<Vec<EventRow>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT seq, wall_ms, kind, feature, task, worker, text FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let rows = query.query_map(params![seq, most], event_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest `most` lines, oldest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn last_events(&self, most: u32) -> Result<Vec<EventRow>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT * FROM (SELECT seq, wall_ms, kind, feature, task, worker, text FROM events
             ORDER BY seq DESC LIMIT ?1) ORDER BY seq",
        )?;
        let rows = query.query_map([most], event_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest `most` lines about a task, oldest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn last_events_of(
        &self,
        feature: Option<&FeatureId>,
        task: &TaskId,
        most: u32,
    ) -> Result<Vec<EventRow>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT * FROM (SELECT seq, wall_ms, kind, feature, task, worker, text FROM events
             WHERE task = ?1 AND (?3 IS NULL OR feature = ?3) ORDER BY seq DESC LIMIT ?2) ORDER BY seq",
        )?;
        let feature = feature.map(FeatureId::as_str);
        let rows = query.query_map(params![task.as_str(), most, feature], event_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest `most` runs of a worker, oldest first.
    ///
    /// # Errors
    /// What SQLite says, or [`StoreError::Row`].
    pub fn runs_of_worker(&self, worker: &str, most: u32) -> Result<Vec<Run>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT body FROM (SELECT id, body FROM runs WHERE worker = ?1 ORDER BY id DESC LIMIT ?2) ORDER BY id",
        )?;
        let bodies = query.query_map(params![worker, most], |row| row.get::<_, String>(0))?;
        bodies.map(|body| serde_json::from_str(&body?).map_err(StoreError::row("runs"))).collect()
    }

    /// Runs whose end is applied, of features that are over.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn runs_over(&self) -> Result<BTreeSet<RunId>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT runs.id FROM runs JOIN features ON features.id = runs.feature
             WHERE runs.status = 'ended' AND features.status IN ('finished', 'refused')",
        )?;
        let ids = query.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(ids.iter().filter_map(|id| RunId::parse(id).ok()).collect())
    }

    /// The number of the newest line.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn last_event(&self) -> Result<i64, StoreError> {
        Ok(self.connection.query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0))?)
    }

    /// The runs of a task, oldest first, as (run, status word, began, ended).
    ///
    /// # Errors
    /// What SQLite says, or [`StoreError::Row`].
    pub fn runs_of_task(&self, feature: &FeatureId, task: &str) -> Result<Vec<PastRun>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT body, status, began_ms, ended_ms FROM runs WHERE feature = ?1 AND task = ?2 ORDER BY id",
        )?;
        let rows = query.query_map([feature.as_str(), task], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
        rows.map(|row| {
            let (body, status, began, ended): (String, String, i64, Option<i64>) = row?;
            Ok((serde_json::from_str(&body).map_err(StoreError::row("runs"))?, status, began, ended))
        })
        .collect()
    }
}

/// More requests about tasks than these are not shown before they are applied.
const ASKED_MAX: u32 = 256;

/// The requests about tasks in the inbox. Reports and starts, which are large, are not read.
fn asked(connection: &Connection) -> Result<Vec<Request>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT json_extract(body, '$.request') FROM inbox
         WHERE json_extract(body, '$.request.request')
               IN ('answer', 'approve', 'reject', 'task_retry', 'task_skip', 'task_stop')
         ORDER BY id LIMIT ?1",
    )?;
    let bodies = query.query_map([ASKED_MAX], |row| row.get::<_, String>(0))?;
    bodies.map(|body| serde_json::from_str(&body?).map_err(StoreError::row("inbox"))).collect()
}

fn event_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<EventRow> {
    Ok(EventRow {
        seq: row.get(0)?,
        wall_ms: row.get(1)?,
        kind: row.get(2)?,
        feature: row.get(3)?,
        task: row.get(4)?,
        worker: row.get(5)?,
        text: row.get(6)?,
    })
}

fn rows<T: DeserializeOwned>(
    connection: &Connection,
    table: &'static str,
    sql: &str,
) -> Result<Vec<T>, StoreError> {
    let mut query = connection.prepare_cached(sql)?;
    let bodies = query.query_map([], |row| row.get::<_, String>(0))?;
    bodies.map(|body| serde_json::from_str(&body?).map_err(StoreError::row(table))).collect()
}

/// Features with order, convoys and rules.
const FROZEN_OF_ALL: &str = "SELECT body, frozen FROM features";
/// The same, but nothing frozen of what is over: it is most of the bytes, and nobody asks.
const FROZEN_OF_OPEN: &str =
    "SELECT body, CASE WHEN status IN ('finished', 'refused') THEN NULL ELSE frozen END FROM features";

fn load(connection: &Connection, features: &str) -> Result<State, StoreError> {
    let sprint: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE key = 'sprint'", [], |row| row.get(0))
        .optional()?;
    let sprint = match sprint.filter(|text| !text.is_empty()) {
        Some(text) => serde_json::from_str(&text).map_err(StoreError::row("meta"))?,
        None => Sprint::default(),
    };
    let tasks: Vec<Task> = rows(connection, "tasks", "SELECT body FROM tasks")?;
    let workers: Vec<Worker> = rows(connection, "workers", "SELECT body FROM workers")?;
    let runs: Vec<Run> = rows(connection, "runs", "SELECT body FROM runs WHERE status <> 'ended'")?;
    Ok(State {
        sprint,
        features: load_features(connection, features)?,
        tasks: tasks.into_iter().map(|task| (task.key.clone(), task)).collect(),
        away: BTreeMap::new(),
        workers: workers.into_iter().map(|worker| (worker.name.clone(), worker)).collect(),
        runs: runs.into_iter().map(|run| (run.id.clone(), run)).collect(),
    })
}

fn load_features(connection: &Connection, sql: &str) -> Result<BTreeMap<FeatureId, Feature>, StoreError> {
    let mut query = connection.prepare_cached(sql)?;
    let bodies =
        query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)))?;
    bodies
        .map(|row| {
            let (body, frozen) = row?;
            let mut feature: Feature = serde_json::from_str(&body).map_err(StoreError::row("features"))?;
            if let Some(frozen) = frozen {
                let frozen: Frozen = serde_json::from_str(&frozen).map_err(StoreError::row("features"))?;
                feature.frozen = Arc::new(frozen);
            }
            Ok((feature.id.clone(), feature))
        })
        .collect()
}
