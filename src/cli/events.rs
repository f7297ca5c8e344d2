//! `sprint events`: the history, line by line.

use serde::Serialize;

use super::args::EventsArgs;
use super::context::{Context, store_error};
use super::environment::Environment;
use super::follow::Follower;
use super::out::Out;
use super::text::{Tone, clock, plain, rfc3339};
use crate::domain::task::TaskName;
use crate::error::{CliError, exit};
use crate::store::{Client, EventRow};

/// Lines that are read at once while it follows.
const BATCH: u32 = 1_000;
/// Without a ring it looks again after so many milliseconds.
const LOOK_MS: u16 = 5_000;
/// Columns of a line's text.
const TEXT_MAX: usize = 1_000;

/// A line in `events --json`.
#[derive(Debug, Serialize)]
struct EventJson<'a> {
    seq: i64,
    time: String,
    kind: &'a str,
    feature: Option<&'a str>,
    task: Option<&'a str>,
    worker: Option<&'a str>,
    text: String,
}

/// Runs it.
///
/// # Errors
/// The store cannot be read.
pub fn run(args: &EventsArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let Some(client) = context.reader()? else {
        return if args.follow { Err(context.no_state()) } else { Ok(exit::DONE) };
    };
    // The doorbell first: what happens between the first look and the wait is rung for.
    let follower = args.follow.then(|| Follower::new(context.layout()));
    let mut last = client.last_event().map_err(store_error)?;
    let task = wanted(args)?;
    let rows = match &task {
        Some(task) => client.last_events_of(task.feature.as_ref(), &task.id, args.lines),
        None => client.last_events(args.lines),
    };
    let rows = rows.map_err(store_error)?;
    for row in &rows {
        show(row, args, out);
    }
    last = rows.last().map_or(last, |row| row.seq.max(last));
    let Some(follower) = follower else { return Ok(exit::DONE) };
    loop {
        out.flush();
        if out.is_closed() || !follower.wait(LOOK_MS) {
            return Ok(exit::DONE);
        }
        if client.is_lost() {
            return Err(context.no_state());
        }
        last = more(&client, last, args, task.as_ref(), out)?;
    }
}

/// The whole history, a line of JSON an event.
///
/// # Errors
/// The store cannot be read.
pub fn export(env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let Some(client) = Context::find(env)?.reader()? else { return Ok(exit::DONE) };
    let mut last = 0;
    while !out.is_closed() {
        let rows = client.events_after(last, BATCH).map_err(store_error)?;
        let Some(newest) = rows.last().map(|row| row.seq) else { break };
        for row in &rows {
            out.json_line(&json_of(row));
        }
        last = newest;
    }
    Ok(exit::DONE)
}

/// Shows what came after `last`; the number of the newest line.
fn more(
    client: &Client,
    mut last: i64,
    args: &EventsArgs,
    task: Option<&TaskName>,
    out: &mut Out<'_>,
) -> Result<i64, CliError> {
    loop {
        let rows = client.events_after(last, BATCH).map_err(store_error)?;
        let Some(newest) = rows.last().map(|row| row.seq) else { return Ok(last) };
        let wanted = rows.iter().filter(|row| task.is_none_or(|task| is_about(row, task)));
        wanted.for_each(|row| show(row, args, out));
        last = newest;
    }
}

/// The task whose events are asked for.
fn wanted(args: &EventsArgs) -> Result<Option<TaskName>, CliError> {
    let parse = |text: &String| TaskName::parse(text).map_err(|error| CliError::usage(error.to_string()));
    args.task.as_ref().map(parse).transpose()
}

fn is_about(row: &EventRow, task: &TaskName) -> bool {
    let feature =
        task.feature.as_ref().is_none_or(|feature| row.feature.as_deref() == Some(feature.as_str()));
    feature && row.task.as_deref() == Some(task.id.as_str())
}

fn show(row: &EventRow, args: &EventsArgs, out: &mut Out<'_>) {
    if args.json {
        out.json_line(&json_of(row));
    } else {
        out.line(line(row, out));
    }
}

fn json_of(row: &EventRow) -> EventJson<'_> {
    EventJson {
        seq: row.seq,
        time: rfc3339(row.wall_ms),
        kind: &row.kind,
        feature: row.feature.as_deref(),
        task: row.task.as_deref(),
        worker: row.worker.as_deref(),
        text: plain(&row.text, super::picture::TEXT_MAX),
    }
}

/// A line of the history for people.
pub(super) fn line(row: &EventRow, out: &Out<'_>) -> String {
    let time = out.colour.paint(Tone::Dim, &clock(row.wall_ms));
    let who = row.task.as_deref().or(row.worker.as_deref()).or(row.feature.as_deref()).unwrap_or("sprint");
    let by = row.worker.as_deref().filter(|worker| *worker != who);
    let by = by.map(|worker| format!("{}  ", plain(worker, 64))).unwrap_or_default();
    let who = out.colour.paint(Tone::Bold, &format!("{:<6}", plain(who, 64)));
    format!("{time}  {who}  {by}{}", plain(&row.text, TEXT_MAX))
}
