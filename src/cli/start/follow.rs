//! Follows a sprint to its end: on a terminal a line a task, elsewhere a line an event.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::check::Plan;
use super::hand_over::{Started, ensure_supervisor};
use super::summary;
use crate::cli::context::{died_supervisor, live_supervisor, store_error};
use crate::cli::environment::Environment;
use crate::cli::follow::Follower;
use crate::cli::gone;
use crate::cli::out::Out;
use crate::cli::start::progress::Progress;
use crate::cli::text::plain;
use crate::domain::state::{FeatureStatus, Mode, State};
use crate::error::{CliError, exit};
use crate::process::doorbell;
use crate::process::signals::Signals;
use crate::process::supervisor_file::SupervisorFile;
use crate::store::EventRow;

/// A supervisor that died is started again so often within a minute.
const RESTARTS_MAX: usize = 3;
const MINUTE: Duration = Duration::from_mins(1);
/// From the supervisor's last word to its end.
const END_WAIT: Duration = Duration::from_secs(10);
/// From the loss of the state to the supervisor's end.
const LOST_WAIT: Duration = Duration::from_mins(1);
/// Between two looks, should a ring be lost.
const LOOK_MS: u16 = 1_000;
/// Lines that are read at a time.
const LINES: u32 = 500;

/// Follows until the features are over and everything that was started has ended.
///
/// # Errors
/// The store cannot be read, or the supervisor does not stay up (exit 3).
pub(super) fn follow(
    out: &mut Out<'_>,
    env: &Environment,
    plan: &Plan,
    started: &Started,
) -> Result<u8, CliError> {
    let signals = Signals::take_over(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
        .map_err(|error| CliError::environment("signals cannot be taken over").because(error))?;
    let follower = Follower::new(Some(&started.layout));
    let mut seen = started.since;
    let mut restarts: Vec<Instant> = Vec::new();
    let mut last: Option<SupervisorFile> = None;
    let mut progress = Progress::new(env);
    loop {
        // Its death rings no bell: it is watched beside the bell.
        let supervisor = live_supervisor(&plan.checked.repo, &started.layout);
        let living = supervisor.as_ref().and_then(|file| file.process.open().ok().flatten());
        last = supervisor.or(last);
        if started.client.is_lost() {
            progress.finish();
            return Err(lost(started, plan, last.as_ref()));
        }
        seen = show_events(out, started, seen, &mut progress)?;
        let overview = started.client.overview().map_err(store_error)?;
        let state = overview.state;
        progress.show(&state, &started.features);
        if living.is_none() {
            // What it did not take before it ended is the next one's.
            let in_order = ended(&state) && !died_supervisor(&plan.checked.repo, &started.layout);
            if in_order && overview.inbox.0 == 0 && !came_too_late(&state, started) {
                // Everything that was started has ended before `start` returns.
                if last.is_some_and(|file| !file.wait_gone(END_WAIT)) {
                    tracing::warn!("the supervisor takes long to end");
                }
                break;
            }
            restart(&mut restarts, started, plan, env)?;
        } else if others_go_on(&state, started) {
            break;
        }
        if let Ok(Some(signal)) = signals.next() {
            progress.finish();
            out.line(format!("{signal}: no longer followed; the sprint goes on (`sprint stop` ends it)"));
            out.flush();
            return Ok(exit::UNFINISHED);
        }
        follower.rang_or(LOOK_MS, living.as_ref().map(AsFd::as_fd));
    }
    progress.finish();
    let checked = &plan.checked;
    summary::print(out, &started.client, &started.features, &checked.repo, checked.branch.as_deref())?;
    out.flush();
    let state = started.client.overview().map_err(store_error)?.state;
    Ok(summary::exit_of(&state, &started.features))
}

/// A supervisor ends in order only when it was told to, or when nothing was left.
fn ended(state: &State) -> bool {
    state.sprint.mode == Mode::Stopping && state.workers.values().all(|worker| worker.life.proc().is_none())
}

/// Our features were handed to a supervisor that was ending already.
fn came_too_late(state: &State, started: &Started) -> bool {
    let queued = |id| state.features.get(id).is_some_and(|row| row.status == FeatureStatus::Queued);
    started.features.iter().any(queued)
}

/// Our features are over, and the supervisor goes on with somebody else's.
fn others_go_on(state: &State, started: &Started) -> bool {
    let over = |status: &FeatureStatus| {
        matches!(status, FeatureStatus::Finished | FeatureStatus::Refused { .. } | FeatureStatus::Resting)
    };
    let ours = started.features.iter().all(|id| state.features.get(id).is_some_and(|row| over(&row.status)));
    let others = state.features.values().any(|row| !started.features.contains(&row.id) && !over(&row.status));
    ours && others
}

fn restart(
    restarts: &mut Vec<Instant>,
    started: &Started,
    plan: &Plan,
    env: &Environment,
) -> Result<(), CliError> {
    restarts.retain(|at| at.elapsed() < MINUTE);
    if restarts.len() >= RESTARTS_MAX {
        return Err(CliError::environment(format!(
            "the supervisor died {RESTARTS_MAX} times within a minute"
        ))
        .hint("see: sprint logs supervisor; state is kept, `sprint start` goes on from there"));
    }
    restarts.push(Instant::now());
    ensure_supervisor(&started.layout, &plan.checked.repo, env)
}

/// The state directory was removed: the supervisor notices, and ends with everything that it started.
fn lost(started: &Started, plan: &Plan, last: Option<&SupervisorFile>) -> CliError {
    if let Err(error) = doorbell::ring(&started.layout.supervisor_bell()) {
        tracing::debug!(%error, "the supervisor could not be rung; it looks by itself");
    }
    let ended = last.is_none_or(|file| file.wait_gone(LOST_WAIT));
    let state = plain(&started.layout.state.to_string_lossy(), 300);
    let error =
        CliError::environment(format!("the state directory `{state}` was removed while the sprint ran"));
    let error = match last.filter(|_| !ended) {
        Some(file) => error.hint(format!("supervisor {0} has not ended: kill {0}", file.process.pid)),
        None => error,
    };
    let dirs: Vec<&str> = plan.features.iter().map(|ready| ready.new.dir.as_str()).collect();
    gone::hints(&plan.checked.repo, &dirs.join(" ")).into_iter().fold(error, CliError::hint)
}

fn show_events(
    out: &mut Out<'_>,
    started: &Started,
    mut seen: i64,
    progress: &mut Progress,
) -> Result<i64, CliError> {
    loop {
        let rows = started.client.events_after(seen, LINES).map_err(store_error)?;
        let Some(last) = rows.last() else { return Ok(seen) };
        seen = last.seq;
        for row in &rows {
            if progress.is_on() {
                progress.say(row);
            } else {
                out.line(event_line(row));
            }
        }
        out.flush();
    }
}

/// `12:30:01 T001 task_landed landed as 1234567890`.
pub(super) fn event_line(row: &EventRow) -> String {
    let who = row.task.as_deref().or(row.worker.as_deref()).or(row.feature.as_deref()).unwrap_or("sprint");
    let time = crate::cli::text::clock(row.wall_ms);
    let by = match (&row.task, &row.worker) {
        (Some(_), Some(worker)) => format!(" [{worker}]"),
        _ => String::new(),
    };
    format!("{time} {:<12} {:<16} {}{by}", plain(who, 40), row.kind, plain(&row.text, 500))
}
