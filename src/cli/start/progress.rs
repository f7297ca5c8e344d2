//! The progress on a terminal: one line a task, elapsed time, and what waits for the person.

use std::collections::BTreeMap;
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cli::environment::Environment;
use crate::cli::text::{plain, span};
use crate::domain::ids::FeatureId;
use crate::domain::screen::Seen;
use crate::domain::state::State;
use crate::domain::task::{Status, Task, TaskKey, WaitKind};
use crate::domain::worker::Worker;
use crate::store::EventRow;

/// Tasks that have a line at once; the ones that move come first.
const LINES_MAX: usize = 24;

/// The lines; off a terminal there are none.
pub(super) struct Progress {
    lines: Option<Lines>,
}

struct Lines {
    all: MultiProgress,
    head: ProgressBar,
    tasks: BTreeMap<TaskKey, ProgressBar>,
    began: Instant,
}

impl Progress {
    pub(super) fn new(env: &Environment) -> Self {
        let lines = env.stdout_is_terminal.then(|| {
            let all = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::stdout_with_hz(5));
            let head = all.add(bar());
            Lines { all, head, tasks: BTreeMap::new(), began: Instant::now() }
        });
        Self { lines }
    }

    pub(super) fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// Lines that are worth keeping stay above the progress.
    pub(super) fn say(&self, row: &EventRow) {
        let Some(lines) = &self.lines else { return };
        let kept = matches!(
            row.kind.as_str(),
            "task_landed"
                | "stage_failed"
                | "stage_error"
                | "base_error"
                | "task_asks"
                | "task_parked"
                | "task_waits"
                | "feature_refused"
                | "landing_halted"
                | "breaker_open"
                | "agent_held"
                | "budget_used_up"
                | "agent_serves"
                | "agent_waits"
        );
        if kept && let Err(error) = lines.all.println(super::follow::event_line(row)) {
            tracing::debug!(%error, "the terminal takes no more");
        }
    }

    /// Redraws.
    pub(super) fn show(&mut self, state: &State, features: &[FeatureId]) {
        let Some(lines) = &mut self.lines else { return };
        let mut tasks: Vec<&Task> = features.iter().flat_map(|id| state.tasks_of(id)).collect();
        tasks.sort_by_key(|task| (features.iter().position(|id| *id == task.key.feature), task.order));
        let done = tasks.iter().filter(|task| task.closed()).count();
        let elapsed = span(u64::try_from(lines.began.elapsed().as_millis()).unwrap_or(u64::MAX));
        lines.head.set_message(format!(
            "{done} of {} done · {elapsed}{}",
            tasks.len(),
            waiting(state, &tasks)
        ));
        let shown: Vec<&Task> = tasks
            .iter()
            .copied()
            .filter(|task| task.in_flight() || task.status == Status::Parked)
            .take(LINES_MAX)
            .collect();
        let gone: Vec<TaskKey> =
            lines.tasks.keys().filter(|key| shown.iter().all(|task| task.key != **key)).cloned().collect();
        for key in gone {
            if let Some(line) = lines.tasks.remove(&key) {
                line.finish_and_clear();
                lines.all.remove(&line);
            }
        }
        let now = crate::process::clock::wall_ms();
        for task in shown {
            let line = lines.tasks.entry(task.key.clone()).or_insert_with(|| lines.all.add(bar()));
            line.set_message(task_line(state, task, now));
        }
    }

    /// Takes the lines away.
    pub(super) fn finish(&mut self) {
        if let Some(lines) = self.lines.take() {
            lines.tasks.values().for_each(ProgressBar::finish_and_clear);
            lines.head.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{wide_msg}").expect("the template is a constant"));
    bar
}

/// Tasks that ask, agents that wait at their screens, and services that wait for a sign-in.
fn waiting(state: &State, tasks: &[&Task]) -> String {
    let asks = |task: &&&Task| matches!(task.status, Status::Waiting { .. }) || stands(state, task).is_some();
    let held = state.sprint.holds.values().filter(|hold| hold.holds() && hold.until_ms.is_none()).count();
    let waits = tasks.iter().filter(asks).count() + held;
    if waits == 0 { String::new() } else { format!(" · {waits} wait for you: sprint status") }
}

/// How the task's agent stands at its screen, if it waits for a person there, and the worker.
fn stands<'a>(state: &'a State, task: &Task) -> Option<(&'a Seen, &'a Worker)> {
    let Status::Running { run } = &task.status else { return None };
    let worker = state.workers.get(&state.runs.get(run)?.worker)?;
    Some((worker.agent().filter(|seen| seen.stand.needs_a_person())?, worker))
}

fn task_line(state: &State, task: &Task, now_ms: i64) -> String {
    let place = task.stage.as_ref().map_or("ToDo", |stage| stage.as_str());
    let how = match &task.status {
        Status::Running { .. } if let Some((seen, worker)) = stands(state, task) => {
            format!("waits for you ({}): sprint attach {}", seen.stand.word(), worker.name)
        }
        Status::Running { run } => {
            state.runs.get(run).map_or_else(|| "runs".to_owned(), |run| format!("on {}", run.worker))
        }
        Status::Ready => "waits for a worker".to_owned(),
        Status::Retry { .. } => format!("is repeated soon: {}", plain(&task.reason, 60)),
        Status::Landing { .. } => "lands".to_owned(),
        Status::Waiting { wait: WaitKind::Answer, text } => format!("asks: {}", plain(text, 80)),
        Status::Waiting { text, .. } => format!("waits: {}", plain(text, 80)),
        Status::Parked => format!("is parked: {}", plain(&task.reason, 80)),
        Status::ToDo | Status::Skipped | Status::Done { .. } => String::new(),
    };
    let lasted = span((now_ms - task.since_ms).max(0).unsigned_abs());
    format!("{:<8} {place:<11} {:<40} {how} · {lasted}", task.key.id.as_str(), plain(&task.title, 40))
}
