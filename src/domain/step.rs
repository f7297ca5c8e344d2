//! `step`: an event meets the state. It only routes; the work is in the modules beside it.

use std::collections::BTreeSet;

use super::draft::{Draft, Step};
use super::event::{Envelope, Event};
use super::ids::{FeatureId, RunId, Token};
use super::pipeline::Role;
use super::report::Report;
use super::screen::{Seen, Stand};
use super::spent::{Spent, SpentRow};
use super::state::{Mode, Run, RunStatus, State};
use super::task::TaskKey;
use super::trace::Trace;
use super::worker::Life;
use super::{accounts, budget, features, found, moves, reported, requests, schedule, trace, triage, workers};
use crate::seeded::{self, Bug};

/// Applies one event. Total: every event in every state has an answer, and a fact that comes
/// late or from the wrong side is recorded and changes nothing.
///
/// # Panics
/// Something of the state is put away that the event asks for: [`super::away::step_bringing`] is for those.
pub fn step(state: &State, envelope: &Envelope) -> Step {
    attempt(state, envelope).expect("nothing of the state is put away")
}

/// The same, or the features without which it cannot be said.
pub(super) fn attempt(state: &State, envelope: &Envelope) -> Result<Step, BTreeSet<FeatureId>> {
    let mut draft = Draft::new(state, envelope);
    route(&mut draft, &envelope.event);
    budget::look(&mut draft);
    if draft.sprint().mode != Mode::Booting {
        schedule::settle(&mut draft);
    }
    draft.finish()
}

fn route(draft: &mut Draft<'_>, event: &Event) {
    match event {
        Event::SupervisorStarted { epoch, rebooted } => supervisor_started(draft, *epoch, *rebooted),
        Event::Recovered => recovered(draft),
        Event::WorkerSpawned { worker, pane } => workers::spawned(draft, worker, pane),
        Event::PaneDied { worker, pane, with_server } => {
            workers::pane_died(draft, worker, pane, *with_server);
        }
        Event::SpawnFailed { worker, reason } => workers::spawn_failed(draft, worker, reason),
        Event::WorkerStarted { worker, proc, pane } => workers::started(draft, worker, proc, pane.as_ref()),
        Event::WorkerDied { worker, proc, with_server } => {
            workers::died(draft, worker, proc.as_ref(), *with_server);
        }
        Event::RunReported { run, token, report } => run_reported(draft, run, token, report),
        Event::RunFound { filed, landed } => found::found(draft, filed, *landed),
        Event::StoreMended { text } => draft.say("store_mended", None, text),
        Event::RunSpent { run, token, spent } => run_spent(draft, run, token, spent),
        Event::RunUses { run, token, spent } => run_uses(draft, run, token, spent),
        Event::RunFailedAtOnce { run, token, agent } => failed_at_once(draft, run, token, agent),
        Event::RunCleared { run, survivors } => workers::run_cleared(draft, run, survivors),
        Event::Comment { run, token, text } => comment(draft, run, token, text),
        Event::RepositoryChanged { run, token, traces } => repository_changed(draft, run, token, traces),
        Event::AgentSeen { run, token, stand, source, text } => {
            agent_seen(draft, run, token, (*stand, source, text));
        }
        Event::FeatureBegun { feature, head } => features::begun(draft, feature, head),
        Event::FeatureRefused { feature, reason } => features::not_begun(draft, feature, reason),
        Event::RefMoved { entry } => reported::landed(draft, entry),
        Event::RefRefused { entry, reason, busy } => reported::land_refused(draft, entry, reason, *busy),
        Event::RefCheckedOut { entry, reason } => reported::checked_out(draft, entry, reason),
        Event::BranchFree { feature } => reported::freed(draft, feature),
        Event::BranchMoved { feature, found } => features::branch_moved(draft, feature, found.as_ref()),
        Event::DiskLow { low } => disk_low(draft, *low),
        Event::TimePassed => time_passed(draft),
        Event::Request { id, request } => requests::apply(draft, *id, request),
    }
}

/// Deadlines are of the boot that set them; after a reboot everything that was to wait is due.
fn supervisor_started(draft: &mut Draft<'_>, epoch: u64, rebooted: bool) {
    let sprint = draft.edit_sprint();
    sprint.epoch = epoch;
    sprint.paused |= sprint.mode == Mode::Paused;
    sprint.mode = Mode::Booting;
    sprint.rest_since_ms = None;
    draft.say("supervisor_started", None, format!("supervisor started, epoch {epoch}"));
    if rebooted {
        moves::forget_deadlines(draft);
        accounts::forget_deadlines(draft);
        workers::forget_deadlines(draft);
        features::forget_deadlines(draft);
    }
}

/// A pause outlives the supervisor; a request to stop that came meanwhile holds.
fn recovered(draft: &mut Draft<'_>) {
    let sprint = draft.edit_sprint();
    if sprint.mode == Mode::Booting {
        sprint.mode = if sprint.paused { Mode::Paused } else { Mode::Running };
    }
    sprint.paused = false;
    draft.say("supervisor_recovered", None, "the supervisor has recovered its state");
}

fn disk_low(draft: &mut Draft<'_>, low: bool) {
    if draft.sprint().disk_low == low {
        return;
    }
    draft.edit_sprint().disk_low = low;
    let text = if low {
        "the disk is nearly full (general.disk_free_min): runs go on, nothing new is begun until there is room"
    } else {
        "the disk has room again"
    };
    draft.say("disk", None, text);
}

fn time_passed(draft: &mut Draft<'_>) {
    moves::retry_due(draft);
    accounts::expire(draft);
    workers::time_passed(draft);
    features::retry_due(draft);
}

/// Money that is gone is written down, also where the run's task went elsewhere meanwhile.
fn run_spent(draft: &mut Draft<'_>, id: &RunId, token: &Token, spent: &Spent) {
    if draft.run(id).is_none_or(|run| run.token != *token) {
        return;
    }
    budget::used(draft, id, spent);
    write_down(draft, id);
}

/// What a run has told of its use. Also of one that died, and will tell no more.
pub(super) fn write_down(draft: &mut Draft<'_>, id: &RunId) {
    let Some(run) = draft.run(id).cloned() else { return };
    let (Some(role), Some(spent)) = (role_of(draft, &run), run.told.clone()) else { return };
    let job = run.job;
    let (feature, task, stage, attempt) = (job.feature, job.task, job.stage, job.attempt);
    draft.spend(SpentRow { run: run.id, feature, task, stage, role, attempt, spent });
}

/// A worker of a time that the database knows nothing of was of its stage's role.
fn role_of(draft: &Draft<'_>, run: &Run) -> Option<Role> {
    let stage = || {
        let pipeline = &draft.feature(&run.job.feature)?.frozen.policy.pipeline;
        pipeline.stage(run.job.stage.as_ref()?).map(|stage| stage.role)
    };
    draft.worker(&run.worker).map(|worker| worker.role).or_else(stage)
}

/// What it has used so far counts for the budgets that it shares with others.
fn run_uses(draft: &mut Draft<'_>, id: &RunId, token: &Token, spent: &Spent) {
    if draft.run(id).is_some_and(|run| run.token == *token) {
        budget::used(draft, id, spent);
    }
}

fn failed_at_once(draft: &mut Draft<'_>, id: &RunId, token: &Token, agent: &str) {
    let Some(mut run) = draft.run(id).filter(|run| run.token == *token).cloned() else { return };
    run.at_once = Some(agent.to_owned());
    draft.put_run(run);
}

fn run_reported(draft: &mut Draft<'_>, id: &RunId, token: &Token, report: &Report) {
    let Some(run) = draft.run(id).cloned() else {
        draft.say("report_refused", None, format!("a report about run {id}, which is over, changes nothing"));
        return;
    };
    if run.token != *token && !seeded::is(Bug::LateReport) {
        draft.say_worker(
            "report_refused",
            &run.worker,
            None,
            "a report with another run's token changes nothing",
        );
        return;
    }
    draft.end_run(id);
    let now = draft.now;
    if let Some(worker) = draft.edit_worker(&run.worker) {
        worker.reported = true;
        worker.instant_deaths = 0;
        worker.broken_since_ms = None;
        // A worker whose run is being cleared is dead: it becomes free when that is done.
        if let Life::Busy { proc, run: busy } = &worker.life
            && busy == id
        {
            worker.life = Life::Idle { proc: proc.clone(), since_ms: now.mono_ms };
            worker.since_ms = now.wall_ms;
        }
    }
    accounts::reported(draft, &run, report);
    if run.status == RunStatus::Revoked {
        draft.say_worker(
            "run_revoked",
            &run.worker,
            None,
            "the run's task went elsewhere; its report changes nothing",
        );
        return;
    }
    if let Some(cause) = &run.job.triage {
        return triage::reported(draft, &run, cause, report);
    }
    match &run.job.task {
        Some(task) => {
            let key = TaskKey { feature: run.job.feature.clone(), id: task.clone() };
            reported::reported(draft, &key, &run, report);
        }
        None => features::base_reported(draft, &run, report),
    }
}

/// What is seen of an agent decides nothing; a person sees it, and the history what only a person
/// can answer.
fn agent_seen(draft: &mut Draft<'_>, id: &RunId, token: &Token, (stand, source, text): (Stand, &str, &str)) {
    let Some(run) = draft.run(id).filter(|run| run.token == *token).cloned() else { return };
    let since_ms = draft.now.wall_ms;
    let Some(worker) = draft.edit_worker(&run.worker) else { return };
    let seen = Seen { stand, source: source.to_owned(), text: text.to_owned(), since_ms };
    let waited = worker.seen.replace(seen).is_some_and(|before| before.stand.needs_a_person());
    let key = run.job.task.map(|id| TaskKey { feature: run.job.feature, id });
    if stand.needs_a_person() {
        let text = if text.is_empty() { "its screen says what for" } else { text };
        let text = format!("its agent waits for you ({}): {text}", stand.word());
        draft.say_worker("agent_waits", &run.worker, key.as_ref(), text);
    } else if waited {
        draft.say_worker("agent_goes_on", &run.worker, key.as_ref(), "its agent goes on");
    }
}

fn comment(draft: &mut Draft<'_>, id: &RunId, token: &Token, text: &str) {
    let Some(run) = draft.run(id).filter(|run| run.token == *token).cloned() else {
        draft.say("comment_refused", None, format!("a comment on run {id}, which is over or another's"));
        return;
    };
    let key = run.job.task.map(|id| TaskKey { feature: run.job.feature, id });
    draft.say_worker("comment", &run.worker, key.as_ref(), text);
}

fn repository_changed(draft: &mut Draft<'_>, id: &RunId, token: &Token, traces: &[Trace]) {
    if let Some(run) = draft.run(id).filter(|run| run.token == *token).cloned() {
        trace::seen(draft, &run, traces);
    }
}
