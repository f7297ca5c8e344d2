//! Follows the sample's sprint, and does from outside what a person or an accident would do.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::files;
use super::told::Story;
use super::{FEATURE, Sprint};
use crate::cli::context::{Context, store_error};
use crate::cli::environment::Environment;
use crate::cli::follow::Follower;
use crate::cli::out::Out;
use crate::cli::text::Tone;
use crate::domain::state::{FeatureStatus, State};
use crate::domain::task::{Status, WaitKind};
use crate::error::CliError;
use crate::process::identity::ProcId;
use crate::process::signals::Signals;
use crate::process::supervisor_file::SupervisorFile;
use crate::store::{Client, EventRow};

/// The task that asks, and what it is told.
const ASKS: &str = "T004";
const ANSWER: &str = "yes";
/// The task whose worker is killed.
const KILLED: &str = "T003";
/// The pair that is red together waits until these have landed, so that nothing comes between.
const FIRST: [&str; 2] = ["T005", "T006"];
/// The whole demo takes about a minute; a machine on which it takes this long has a problem.
const WHOLE_WAIT: Duration = Duration::from_mins(15);
/// From the end of the feature to the end of supervisor, workers and tmux.
const END_WAIT: Duration = Duration::from_secs(30);
/// A script's sign rings no bell: how often it is looked for.
const LOOK_MS: u16 = 200;
/// Findings that are shown of a failed stage.
const FINDINGS_MAX: usize = 3;
/// Lines of the history that are read at a time.
const LINES: u32 = 500;

/// Follows it to its end.
///
/// # Errors
/// The store cannot be read, the sprint does not end, or a signal came; it is stopped then.
pub(super) fn drive(out: &mut Out<'_>, env: &Environment, sprint: &Sprint) -> Result<Story, CliError> {
    let signals = Signals::take_over(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
        .map_err(|error| CliError::environment("signals cannot be taken over").because(error))?;
    let inside = Environment { cwd: sprint.dir.clone(), ..env.clone() };
    let context = Context::find(&inside)?;
    let (client, layout) = context.required()?;
    let mut drive = Drive {
        sprint,
        client,
        follower: Follower::new(Some(layout)),
        story: Story::new(layout.state.clone()),
        context: context.clone(),
        seen: 0,
        answered: false,
        victim: None,
    };
    let followed = drive.follow(out, &signals);
    if followed.is_err() {
        drive.stop();
    }
    followed.map(|()| drive.story)
}

struct Drive<'a> {
    sprint: &'a Sprint,
    client: Client,
    context: Context,
    follower: Follower,
    story: Story,
    seen: i64,
    answered: bool,
    /// The worker that was killed.
    victim: Option<String>,
}

impl Drive<'_> {
    fn follow(&mut self, out: &mut Out<'_>, signals: &Signals) -> Result<(), CliError> {
        let began = Instant::now();
        let mut over: Option<Instant> = None;
        let mut last: Option<SupervisorFile> = None;
        loop {
            self.show_events(out)?;
            let state = self.client.overview().map_err(store_error)?.state;
            let supervisor = self.context.supervisor();
            let alive = supervisor.is_some();
            last = supervisor.or(last);
            if let Some(status) = at_rest(&state) {
                let since = *over.get_or_insert_with(Instant::now);
                if !alive || !matches!(status, FeatureStatus::Finished) || since.elapsed() > END_WAIT {
                    self.finish(out, &state, began)?;
                    return last.is_none_or(|file| file.wait_gone(END_WAIT)).then_some(()).ok_or_else(left);
                }
            } else if !alive {
                return Err(CliError::environment("the supervisor of the sample has ended too early")
                    .hint("see: sprint logs"));
            }
            self.answer(out, &state)?;
            self.kill(out, &state)?;
            self.quiet(&state)?;
            if let Ok(Some(signal)) = signals.next() {
                return Err(CliError::refused(format!("{signal}: the demo is stopped")));
            }
            if began.elapsed() > WHOLE_WAIT {
                return Err(
                    CliError::environment("the demo did not come to its end").hint("see: sprint status")
                );
            }
            self.follower.rang(LOOK_MS);
        }
    }

    fn show_events(&mut self, out: &mut Out<'_>) -> Result<(), CliError> {
        loop {
            let rows = self.client.events_after(self.seen, LINES).map_err(store_error)?;
            let Some(last) = rows.last() else { break };
            self.seen = last.seq;
            for row in &rows {
                if row.kind == "worker_lost" && row.task.as_deref() == Some(KILLED) {
                    self.sign("T003.killed")?;
                }
                let findings = if row.kind == "stage_failed" { self.findings(row)? } else { Vec::new() };
                let lines = self.story.take(row, &findings);
                for line in lines {
                    out.line(line.painted(out.colour));
                }
            }
        }
        out.flush();
        Ok(())
    }

    /// What the next attempt of the task is told, a line a finding.
    fn findings(&self, row: &EventRow) -> Result<Vec<String>, CliError> {
        let state = self.client.overview().map_err(store_error)?.state;
        let task = state.tasks.values().find(|task| row.task.as_deref() == Some(task.key.id.as_str()));
        let told = task.and_then(|task| task.feedback.as_ref());
        Ok(told.into_iter().flat_map(|feedback| &feedback.findings).take(FINDINGS_MAX).map(finding).collect())
    }

    /// What a person would type.
    fn answer(&mut self, out: &mut Out<'_>, state: &State) -> Result<(), CliError> {
        let asks = |task: &&crate::domain::task::Task| {
            task.key.id.as_str() == ASKS
                && matches!(task.status, Status::Waiting { wait: WaitKind::Answer, .. })
        };
        if self.answered || state.tasks.values().find(asks).is_none() {
            return Ok(());
        }
        self.answered = true;
        self.sprint.show(out, &["answer", ASKS, ANSWER])
    }

    /// `kill -9`, as the kernel does it when memory is short.
    fn kill(&mut self, out: &mut Out<'_>, state: &State) -> Result<(), CliError> {
        if self.victim.is_some() || !self.signs().join("T003.began").exists() {
            return Ok(());
        }
        let run =
            state.runs.values().find(|run| run.job.task.as_ref().is_some_and(|id| id.as_str() == KILLED));
        let Some(worker) = run.and_then(|run| state.workers.get(&run.worker)) else { return Ok(()) };
        let Some(proc) = worker.life.proc() else { return Ok(()) };
        let failed = |error| CliError::environment("the worker of T003 cannot be killed").because(error);
        let id = ProcId { boot_id: proc.boot.clone(), pid: proc.pid.cast_signed(), start_ticks: proc.start };
        if let Some(process) = id.open().map_err(failed)? {
            process.signal(Signal::SIGKILL).map_err(failed)?;
            let name = worker.name.to_string();
            let remark = out
                .colour
                .paint(Tone::Dim, &format!("     # the process of {name}, in the middle of {KILLED}"));
            let typed = out.colour.paint(Tone::Bold, &format!("$ kill -9 {}", proc.pid));
            out.line(typed + &remark);
            out.flush();
            self.story.killed(&name, proc.pid);
            self.victim = Some(name);
        }
        Ok(())
    }

    /// Lets the last pair go on.
    fn quiet(&self, state: &State) -> Result<(), CliError> {
        let landed = |id: &str| state.tasks.values().any(|task| task.key.id.as_str() == id && task.closed());
        if FIRST.iter().all(|id| landed(id)) && !self.signs().join("quiet").exists() {
            self.sign("quiet")?;
        }
        Ok(())
    }

    fn signs(&self) -> PathBuf {
        files::signs(&self.sprint.dir)
    }

    fn sign(&self, name: &str) -> Result<(), CliError> {
        fs::write(self.signs().join(name), "").map_err(|error| {
            CliError::environment(format!("the sign `{name}` cannot be given")).because(error)
        })
    }

    fn finish(&mut self, out: &mut Out<'_>, state: &State, began: Instant) -> Result<(), CliError> {
        self.show_events(out)?;
        let feature = state.features.values().next().map(|feature| feature.id.clone());
        let tasks: Vec<_> = feature.iter().flat_map(|id| state.tasks_of(id)).collect();
        let landed = tasks.iter().filter(|task| matches!(task.status, Status::Done { .. })).count();
        self.story.end(landed, tasks.len(), began.elapsed());
        if landed < tasks.len() {
            self.stop();
        }
        Ok(())
    }

    /// Ends everything that was started; there is nothing to do about a failure but to say so.
    fn stop(&self) {
        match self.sprint.call(&["stop", "--now"], &self.sprint.dir) {
            Ok(outcome) if outcome.success() => {}
            Ok(outcome) => tracing::warn!(?outcome.ending, feature = FEATURE, "the sample is not stopped"),
            Err(error) => tracing::warn!(%error, feature = FEATURE, "the sample is not stopped"),
        }
    }
}

/// `src/a.py:4 F401 imported but unused`.
fn finding(value: &serde_json::Value) -> String {
    let text = |key: &str| value.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
    let line = value.get("line").and_then(serde_json::Value::as_u64).filter(|line| *line > 0);
    let place = line.map_or_else(|| text("path").to_owned(), |line| format!("{}:{line}", text("path")));
    [place.as_str(), text("rule"), text("message")].join(" ")
}

fn left() -> CliError {
    CliError::environment("the supervisor of the sample has not ended").hint("see: sprint logs")
}

/// How the sample's only feature ended, once it has; a question is no end, it will be answered.
fn at_rest(state: &State) -> Option<&FeatureStatus> {
    let status = &state.features.values().next()?.status;
    match status {
        FeatureStatus::Finished | FeatureStatus::Refused { .. } => Some(status),
        FeatureStatus::Resting if state.tasks.values().all(|task| !asks_a_person(&task.status)) => {
            Some(status)
        }
        _ => None,
    }
}

fn asks_a_person(status: &Status) -> bool {
    matches!(status, Status::Waiting { wait: WaitKind::Answer, .. })
}
