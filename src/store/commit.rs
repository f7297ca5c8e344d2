//! The one transaction of a step: history, rows, results, outbox.

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Serialize;

use super::{Store, StoreError};
use crate::domain::draft::{Changed, Step};
use crate::domain::effect::EffectId;
use crate::domain::event::Envelope;
use crate::domain::ids::CommitSha;
use crate::domain::spent::SpentRow;
use crate::domain::state::{Feature, Run, RunStatus};
use crate::domain::task::{Task, TaskKey};
use crate::domain::worker::Worker;

/// Everything that one transaction writes.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events with what they changed, in order.
    pub steps: Vec<(Envelope, Step)>,
    /// Inbox rows that are applied with them.
    pub consumed: Vec<i64>,
    /// Effects whose results are among the events.
    pub done: Vec<EffectId>,
}

impl Store {
    /// Writes the batch, or nothing. Returns the number of each event in the log.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another supervisor has taken over, [`StoreError::Conflict`]
    /// when a row is not in the state that a change leaves, or what SQLite says. After an error
    /// nothing of the batch is in the database, and the state in memory must not be used.
    pub fn commit(&mut self, batch: &Batch) -> Result<Vec<i64>, StoreError> {
        let epoch = self.epoch;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        check_epoch(&transaction, epoch)?;
        let mut numbers = Vec::with_capacity(batch.steps.len());
        for (envelope, step) in &batch.steps {
            // An event that changes nothing is not worth a row, nor a number.
            numbers.push(if step.is_empty() { 0 } else { write_step(&transaction, envelope, step)? });
        }
        for id in &batch.consumed {
            one(
                transaction.prepare_cached("DELETE FROM inbox WHERE id = ?1")?.execute([id])?,
                "inbox",
                id,
                "pending",
            )?;
        }
        for id in &batch.done {
            let mut done = transaction
                .prepare_cached("UPDATE outbox SET done = 1 WHERE event = ?1 AND place = ?2 AND done = 0")?;
            one(done.execute(params![id.event, id.place])?, "outbox", &id.event, "open")?;
        }
        transaction.commit()?;
        Ok(numbers)
    }
}

/// A transaction of an older supervisor writes nothing.
fn check_epoch(transaction: &Transaction<'_>, epoch: u64) -> Result<(), StoreError> {
    let held: String = transaction
        .prepare_cached("SELECT value FROM meta WHERE key = 'epoch'")?
        .query_row([], |row| row.get(0))
        .optional()?
        .unwrap_or_default();
    if held == epoch.to_string() { Ok(()) } else { Err(StoreError::Fenced { epoch }) }
}

fn one(
    changed: usize,
    table: &'static str,
    key: &dyn std::fmt::Display,
    state: &str,
) -> Result<(), StoreError> {
    if changed == 1 {
        return Ok(());
    }
    Err(StoreError::Conflict { table, key: key.to_string(), state: state.to_owned() })
}

fn json<T: Serialize>(table: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::row(table))
}

fn write_step(transaction: &Transaction<'_>, envelope: &Envelope, step: &Step) -> Result<i64, StoreError> {
    transaction.prepare_cached("INSERT INTO log (body) VALUES (?1)")?.execute([json("log", envelope)?])?;
    let number = transaction.last_insert_rowid();
    for line in &step.lines {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO events (log, wall_ms, kind, feature, task, worker, text) VALUES (?1,?2,?3,?4,?5,?6,?7)",
        )?;
        insert.execute(params![
            number,
            envelope.now.wall_ms,
            line.kind,
            line.feature.as_ref().map(ToString::to_string),
            line.task.as_ref().map(ToString::to_string),
            line.worker.as_ref().map(ToString::to_string),
            line.text,
        ])?;
    }
    if let Some(sprint) = &step.sprint {
        let mut update = transaction.prepare_cached("UPDATE meta SET value = ?1 WHERE key = 'sprint'")?;
        one(update.execute([json("meta", sprint)?])?, "meta", &"sprint", "present")?;
    }
    step.features.iter().try_for_each(|row| write_feature(transaction, row))?;
    step.tasks.iter().try_for_each(|row| write_task(transaction, row))?;
    step.workers.iter().try_for_each(|row| write_worker(transaction, row))?;
    // A worker may end one run and get the next in one step, and has only one at a time.
    let (over, living): (Vec<_>, Vec<_>) = step.runs.iter().partition(|row| row.after.is_none());
    over.into_iter().chain(living).try_for_each(|row| write_run(transaction, row, envelope.now.wall_ms))?;
    step.landed.iter().try_for_each(|row| write_landing(transaction, row))?;
    step.found.iter().try_for_each(|run| insert_run(transaction, run, "ended", envelope.now.wall_ms))?;
    step.spent.iter().try_for_each(|row| write_spent(transaction, row, envelope.now.wall_ms))?;
    for reply in &step.replies {
        let mut insert =
            transaction.prepare_cached("INSERT INTO results (id, exit, message) VALUES (?1,?2,?3)")?;
        insert.execute(params![reply.id, reply.exit, reply.message])?;
    }
    for (place, effect) in (0u32..).zip(&step.effects).filter(|(_, effect)| effect.is_durable()) {
        let mut insert =
            transaction.prepare_cached("INSERT INTO outbox (event, place, body) VALUES (?1,?2,?3)")?;
        insert.execute(params![number, place, json("outbox", effect)?])?;
    }
    Ok(number)
}

fn write_feature(transaction: &Transaction<'_>, row: &Changed<Feature>) -> Result<(), StoreError> {
    let Some(after) = &row.after else { return Ok(()) };
    let body = json("features", after)?;
    match &row.before {
        None => {
            let frozen = json("features", after.frozen.as_ref())?;
            transaction
                .prepare_cached("INSERT INTO features (id, status, body, frozen) VALUES (?1,?2,?3,?4)")?
                .execute(params![after.id.as_str(), after.status.word(), body, frozen])?;
            Ok(())
        }
        Some(before) => {
            let changed = transaction
                .prepare_cached("UPDATE features SET status = ?1, body = ?2 WHERE id = ?3 AND status = ?4")?
                .execute(params![after.status.word(), body, after.id.as_str(), before.status.word()])?;
            one(changed, "features", &after.id, before.status.word())?;
            if before.frozen != after.frozen {
                let frozen = json("features", after.frozen.as_ref())?;
                transaction
                    .prepare_cached("UPDATE features SET frozen = ?1 WHERE id = ?2")?
                    .execute(params![frozen, after.id.as_str()])?;
            }
            Ok(())
        }
    }
}

fn write_task(transaction: &Transaction<'_>, row: &Changed<Task>) -> Result<(), StoreError> {
    let Some(after) = &row.after else { return Ok(()) };
    let body = json("tasks", after)?;
    let stage = after.stage.as_ref().map(ToString::to_string);
    let changed = match &row.before {
        None => transaction
            .prepare_cached(
                "INSERT INTO tasks (feature, id, status, stage, attempt, body) VALUES (?1,?2,?3,?4,?5,?6)",
            )?
            .execute(params![
                after.key.feature.as_str(),
                after.key.id.as_str(),
                after.status.word(),
                stage,
                after.attempt,
                body
            ])?,
        Some(before) => transaction
            .prepare_cached(
                "UPDATE tasks SET status = ?1, stage = ?2, attempt = ?3, body = ?4
                 WHERE feature = ?5 AND id = ?6 AND status = ?7 AND stage IS ?8 AND attempt = ?9",
            )?
            .execute(params![
                after.status.word(),
                stage,
                after.attempt,
                body,
                after.key.feature.as_str(),
                after.key.id.as_str(),
                before.status.word(),
                before.stage.as_ref().map(ToString::to_string),
                before.attempt,
            ])?,
    };
    let expected = row.before.as_ref().map_or("new", |before| before.status.word());
    one(changed, "tasks", &after.key.id, expected)
}

/// A task lands once: a second row for the same (feature, task) violates the primary key.
fn write_landing(
    transaction: &Transaction<'_>,
    (key, commit): &(TaskKey, CommitSha),
) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT INTO landings (feature, task, commit_) VALUES (?1,?2,?3)")?
        .execute([key.feature.as_str(), key.id.as_str(), commit.as_str()])?;
    Ok(())
}

fn write_worker(transaction: &Transaction<'_>, row: &Changed<Worker>) -> Result<(), StoreError> {
    let Some(after) = &row.after else { return Ok(()) };
    let body = json("workers", after)?;
    let changed = match &row.before {
        None => transaction
            .prepare_cached("INSERT INTO workers (name, life, body) VALUES (?1,?2,?3)")?
            .execute(params![after.name.as_str(), after.life.word(), body])?,
        Some(before) => transaction
            .prepare_cached("UPDATE workers SET life = ?1, body = ?2 WHERE name = ?3 AND life = ?4")?
            .execute(params![after.life.word(), body, after.name.as_str(), before.life.word()])?,
    };
    let expected = row.before.as_ref().map_or("new", |before| before.life.word());
    one(changed, "workers", &after.name, expected)
}

fn write_run(transaction: &Transaction<'_>, row: &Changed<Run>, wall_ms: i64) -> Result<(), StoreError> {
    match (&row.before, &row.after) {
        (None, Some(run)) => insert_run(transaction, run, word(run.status), wall_ms),
        (Some(before), Some(after)) => {
            let changed = transaction
                .prepare_cached("UPDATE runs SET status = ?1, body = ?2 WHERE id = ?3 AND status = ?4")?
                .execute(params![
                    word(after.status),
                    json("runs", after)?,
                    after.id.as_str(),
                    word(before.status)
                ])?;
            one(changed, "runs", &after.id, word(before.status))
        }
        (Some(before), None) => {
            let changed = transaction
                .prepare_cached(
                    "UPDATE runs SET status = 'ended', ended_ms = ?1 WHERE id = ?2 AND status = ?3",
                )?
                .execute(params![wall_ms, before.id.as_str(), word(before.status)])?;
            one(changed, "runs", &before.id, word(before.status))
        }
        (None, None) => Ok(()),
    }
}

fn insert_run(
    transaction: &Transaction<'_>,
    run: &Run,
    status: &str,
    wall_ms: i64,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO runs (id, status, worker, feature, task, stage, member, attempt, began_ms, ended_ms, body)
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
        )?
        .execute(params![
            run.id.as_str(),
            status,
            run.worker.as_str(),
            run.job.feature.as_str(),
            run.job.task.as_ref().map(ToString::to_string),
            run.job.stage.as_ref().map(ToString::to_string),
            run.job.member,
            run.job.attempt,
            wall_ms,
            (status == "ended").then_some(wall_ms),
            json("runs", run)?,
        ])?;
    Ok(())
}

/// A report that is found again after a crash has told this before.
fn write_spent(transaction: &Transaction<'_>, row: &SpentRow, wall_ms: i64) -> Result<(), StoreError> {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let spent = &row.spent;
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO spent
             (run, wall_ms, feature, task, stage, role, attempt, agent, model, input, output, cached, cost,
              estimated)
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
        )?
        .execute(params![
            row.run.as_str(),
            wall_ms,
            row.feature.as_str(),
            row.task.as_ref().map(ToString::to_string),
            row.stage.as_ref().map(ToString::to_string),
            row.role.as_str(),
            row.attempt,
            spent.agent,
            spent.model,
            whole(spent.input),
            whole(spent.output),
            spent.cached.map(whole),
            spent.cost_micro_usd.map(whole),
            spent.estimated,
        ])?;
    Ok(())
}

fn word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Active => "active",
        RunStatus::Revoked => "revoked",
    }
}
