//! The lives of the workers: registered, dead, cleared, started again, ended when idle.

use super::draft::Draft;
use super::effect::Effect;
use super::ids::{RunId, WorkerName};
use super::moves::{self, Because};
use super::policy::{BREAKER_DEATHS, BREAKER_RETRY_MS, INSTANT_DEATH_MS, REGISTER_MS, death_backoff_ms};
use super::reported;
use super::state::{Mode, RunStatus};
use super::task::{Input, TaskKey};
use super::triage;
use super::worker::{Life, ProcRef};

/// The pane is there; the worker has to register.
pub(super) fn spawned(draft: &mut Draft<'_>, name: &WorkerName, pane: &str) {
    if let Some(worker) = draft.edit_worker(name) {
        worker.pane = Some(pane.to_owned());
    }
}

/// A worker that was killed before it could register: nobody has to wait until it is late.
pub(super) fn pane_died(draft: &mut Draft<'_>, name: &WorkerName, pane: &str, with_server: bool) {
    let waits_for_it = draft.worker(name).is_some_and(|worker| {
        matches!(worker.life, Life::Starting { .. }) && worker.pane.as_deref() == Some(pane)
    });
    if waits_for_it {
        died(draft, name, None, with_server);
    }
}

/// The pane could not be made: as an instant death, so that it is not tried in a tight loop.
pub(super) fn spawn_failed(draft: &mut Draft<'_>, name: &WorkerName, reason: &str) {
    draft.say_worker("spawn_failed", name, None, format!("could not be started: {reason}"));
    if matches!(draft.worker(name).map(|worker| &worker.life), Some(Life::Starting { .. })) {
        bury(draft, name, Death::Instant);
    }
}

/// The worker has registered. A slot has one process: a second one sees the lock and exits.
pub(super) fn started(draft: &mut Draft<'_>, name: &WorkerName, proc: &ProcRef, pane: Option<&String>) {
    let now = draft.now;
    let stopping = draft.sprint().mode == Mode::Stopping;
    let Some(worker) = draft.edit_worker(name) else {
        draft.say(
            "worker_unknown",
            None,
            format!("a worker `{name}` that nobody asked for registered; it is ended"),
        );
        draft.effect(Effect::EndWorker { worker: name.clone(), proc: proc.clone() });
        return;
    };
    if worker.life.proc() == Some(proc) {
        return;
    }
    if stopping {
        worker.life = Life::Ending { proc: proc.clone() };
        draft.effect(Effect::EndWorker { worker: name.clone(), proc: proc.clone() });
        return;
    }
    match worker.life {
        Life::Starting { .. } | Life::Absent | Life::Backoff { .. } => {
            worker.life = Life::Idle { proc: proc.clone(), since_ms: now.mono_ms };
            worker.pane = pane.cloned().or_else(|| worker.pane.take());
            worker.started_ms = now.mono_ms;
            worker.reported = false;
            worker.since_ms = now.wall_ms;
            draft.say_worker("worker_started", name, None, format!("is up, pid {}", proc.pid));
        }
        Life::Idle { .. } | Life::Busy { .. } | Life::Ending { .. } | Life::Clearing { .. } => {
            let text = format!("pid {} registered for a slot that is taken; it is ended", proc.pid);
            draft.say_worker("worker_refused", name, None, text);
            draft.effect(Effect::EndWorker { worker: name.clone(), proc: proc.clone() });
        }
    }
}

/// The worker's process is gone.
pub(super) fn died(draft: &mut Draft<'_>, name: &WorkerName, proc: Option<&ProcRef>, with_server: bool) {
    let now = draft.now;
    let Some(worker) = draft.worker(name).cloned() else { return };
    if proc.is_some() && worker.life.proc() != proc {
        return;
    }
    let young = now.mono_ms.saturating_sub(worker.started_ms) < INSTANT_DEATH_MS;
    let death = if young && !worker.reported && !with_server { Death::Instant } else { Death::Plain };
    match &worker.life {
        Life::Ending { .. } => ended(draft, name),
        Life::Busy { run, .. } => {
            let run = run.clone();
            let key = draft.run(&run).and_then(|run| {
                Some(TaskKey { feature: run.job.feature.clone(), id: run.job.task.clone()? })
            });
            draft.say_worker("worker_died", name, key.as_ref(), "died; what it left behind is being ended");
            count_death(draft, name, death);
            if let Some(worker) = draft.edit_worker(name) {
                worker.life = Life::Clearing { run: run.clone() };
            }
            draft.effect(Effect::ClearRun { run, worker: name.clone() });
        }
        Life::Idle { .. } | Life::Starting { .. } if draft.sprint().mode == Mode::Stopping => {
            ended(draft, name);
        }
        Life::Idle { .. } | Life::Starting { .. } => {
            draft.say_worker("worker_died", name, None, "died");
            bury(draft, name, death);
        }
        Life::Absent | Life::Clearing { .. } | Life::Backoff { .. } => {}
    }
}

fn ended(draft: &mut Draft<'_>, name: &WorkerName) {
    let wall = draft.now.wall_ms;
    if let Some(worker) = draft.edit_worker(name) {
        worker.life = Life::Absent;
        worker.pane = None;
        worker.since_ms = wall;
    }
    draft.say_worker("worker_ended", name, None, "has ended");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    Plain,
    Instant,
}

fn count_death(draft: &mut Draft<'_>, name: &WorkerName, death: Death) {
    let wall = draft.now.wall_ms;
    if let Some(worker) = draft.edit_worker(name) {
        worker.restarts += 1;
        worker.pane = None;
        worker.since_ms = wall;
        worker.instant_deaths = if death == Death::Instant { worker.instant_deaths + 1 } else { 0 };
        if death == Death::Plain {
            worker.broken_since_ms = None;
        }
    }
}

fn bury(draft: &mut Draft<'_>, name: &WorkerName, death: Death) {
    count_death(draft, name, death);
    rest(draft, name);
}

/// The slot is free again: at once, or after a wait when its workers die at their start.
fn rest(draft: &mut Draft<'_>, name: &WorkerName) {
    let now = draft.now.mono_ms;
    let Some(worker) = draft.edit_worker(name) else { return };
    let deaths = worker.instant_deaths;
    worker.life = match deaths {
        0 => Life::Absent,
        1..BREAKER_DEATHS => {
            Life::Backoff { due_ms: now.saturating_add(death_backoff_ms(deaths)), open_since_ms: None }
        }
        BREAKER_DEATHS.. => {
            let since = worker.broken_since_ms.unwrap_or(now);
            worker.broken_since_ms = Some(since);
            Life::Backoff { due_ms: now + BREAKER_RETRY_MS, open_since_ms: Some(since) }
        }
    };
    if deaths == BREAKER_DEATHS {
        let text = "its workers die within seconds; it is tried again once a minute: see `sprint logs`";
        draft.say_worker("breaker_open", name, None, text);
    }
}

/// What a dead worker left behind is gone, or would not go.
pub(super) fn run_cleared(draft: &mut Draft<'_>, id: &RunId, survivors: &[String]) {
    let slot = draft.worker_names().into_iter().find(|name| {
        matches!(draft.worker(name).map(|worker| &worker.life), Some(Life::Clearing { run }) if run == id)
    });
    if let Some(name) = slot {
        rest(draft, &name);
    }
    super::step::write_down(draft, id);
    let Some(run) = draft.run(id).cloned() else { return };
    draft.end_run(id);
    let Some(task) = run.job.task.clone() else {
        super::features::base_died(draft, &run.job.feature);
        return;
    };
    if run.status == RunStatus::Revoked {
        return;
    }
    if run.job.triage.is_some() {
        return triage::lost(draft, &run);
    }
    let key = TaskKey { feature: run.job.feature, id: task };
    if survivors.is_empty() {
        moves::feed(draft, &key, Input::Died, &Because::reason("its worker died"));
    } else {
        let reason = reported::survived(&draft.name_of(&key), survivors);
        moves::feed(draft, &key, Input::Survived, &Because::reason(reason));
    }
}

/// Starts that took too long, waits that are over.
pub(super) fn time_passed(draft: &mut Draft<'_>) {
    let now = draft.now.mono_ms;
    for name in draft.worker_names() {
        let Some(life) = draft.worker(&name).map(|worker| worker.life.clone()) else { continue };
        match life {
            Life::Starting { until_ms } if until_ms <= now => {
                draft.say_worker("worker_late", &name, None, "did not register in time");
                bury(draft, &name, Death::Instant);
            }
            Life::Backoff { due_ms, .. } if due_ms <= now => {
                if let Some(worker) = draft.edit_worker(&name) {
                    worker.life = Life::Absent;
                }
            }
            Life::Absent
            | Life::Starting { .. }
            | Life::Idle { .. }
            | Life::Busy { .. }
            | Life::Ending { .. }
            | Life::Clearing { .. }
            | Life::Backoff { .. } => {}
        }
    }
}

/// A reboot, or a person who starts the sprint again: nobody waits any more, and every breaker
/// is closed.
pub(super) fn forget_deadlines(draft: &mut Draft<'_>) {
    for name in draft.worker_names() {
        let Some(worker) = draft.edit_worker(&name) else { continue };
        if matches!(worker.life, Life::Backoff { .. }) {
            worker.life = Life::Absent;
            worker.instant_deaths = 0;
        }
        worker.broken_since_ms = None;
    }
}

/// Asks for the worker's pane.
pub(super) fn spawn(draft: &mut Draft<'_>, name: &WorkerName) {
    let now = draft.now;
    if let Some(worker) = draft.edit_worker(name) {
        worker.life = Life::Starting { until_ms: now.mono_ms + REGISTER_MS };
        worker.pane = None;
        worker.started_ms = now.mono_ms;
        worker.reported = false;
        worker.since_ms = now.wall_ms;
    }
    draft.effect(Effect::SpawnWorker { worker: name.clone() });
}
