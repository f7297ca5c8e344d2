//! `sprint status`: what goes on and why, as a calm table or as JSON.

use std::collections::BTreeMap;

use super::args::StatusArgs;
use super::asked::{Asked, PendingRow};
use super::context::Context;
use super::cost::Sum;
use super::disk::{self, LowDisk};
use super::environment::Environment;
use super::flaky;
use super::follow::Follower;
use super::foreign::Foreign;
use super::needs;
use super::out::Out;
use super::picture::{Picture, StatusJson, TaskRow, WorkerRow, is_there, shown_feature};
use super::spending::{self, CostOf};
use super::text::{Cell, LINE_MAX, Table, Tone, count, plain, span};
use super::traces::{self, TraceRow};
use crate::domain::event::Now;
use crate::domain::ids::FeatureId;
use crate::domain::state::FeatureStatus;
use crate::error::{CliError, exit};
use crate::process::clock;
use crate::process::supervisor_file::SupervisorFile;
use crate::process::tree;
use crate::store::{Client, Overview};

/// Where more tasks than this are shown, those that are over are only counted.
const SHOWN_MAX: usize = 40;
/// Columns of a title in the table.
const TITLE_MAX: usize = 36;
/// Without a ring, `--watch` looks again after so many milliseconds.
const WATCH_MS: u16 = 5_000;

/// Runs it.
///
/// # Errors
/// No repository, or a store that cannot be read.
pub fn run(args: StatusArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    if args.watch {
        return watch(context, env, out);
    }
    let client = context.reader()?;
    let moment = Moment::read(&context, client.as_ref())?;
    match (&moment, args.json) {
        (Some(moment), true) => out.json(&moment.picture().status()),
        (Some(moment), false) => {
            render(&moment.picture(), out);
            super::radar::show(&context.repo, &moment.overview.state, out);
        }
        (None, true) => out.json(&nothing()),
        (None, false) => none(&context, out),
    }
    Ok(exit::DONE)
}

/// Everything that a picture borrows.
pub(super) struct Moment<'a> {
    layout: &'a crate::config::layout::Layout,
    overview: Overview,
    asked: Asked,
    spent: Sum,
    foreign: BTreeMap<FeatureId, Foreign>,
    traces: Vec<TraceRow>,
    pub(super) supervisor: Option<SupervisorFile>,
    /// What the supervisor takes for too little room, if one runs.
    pub(super) disk_free_min: Option<u64>,
    disk: Option<LowDisk>,
    processes: Option<tree::Table>,
    now: Now,
}

impl<'a> Moment<'a> {
    /// Reads the store and the processes; `None` where there is no store.
    pub(super) fn read(context: &'a Context, client: Option<&Client>) -> Result<Option<Self>, CliError> {
        let (Some(client), Some(layout)) = (client, context.layout()) else { return Ok(None) };
        let overview = client.overview().map_err(super::context::store_error)?;
        let living = overview.state.workers.values().any(|worker| worker.life.proc().is_some());
        // A machine whose `/proc` is closed still has a sprint to show.
        let processes = if living { tree::Table::scan().ok() } else { None };
        let now = clock::now();
        let asked = if overview.asked.is_empty() { Asked::default() } else { Asked::of(&overview, now) };
        let halted = overview.state.features.values().filter(|feature| feature.halted.is_some());
        let foreign = halted
            .filter_map(|feature| Some((feature.id.clone(), Foreign::seen(&context.repo, feature)?)))
            .collect();
        let supervisor = context.supervisor();
        let disk_free_min = supervisor.as_ref().and_then(|_| disk::least(client, &overview.state));
        let low = disk_free_min.filter(|_| overview.state.sprint.disk_low);
        let disk = low.and_then(|least| LowDisk::judge(disk::free(context), least));
        let spent = match shown_feature(&overview.state) {
            Some(feature) => Sum::of(&client.spent_of(&feature.id).map_err(super::context::store_error)?),
            None => Sum::default(),
        };
        let traces = traces::standing(&context.repo, &overview.state);
        Ok(Some(Self {
            layout,
            overview,
            asked,
            spent,
            foreign,
            traces,
            supervisor,
            disk_free_min,
            disk,
            processes,
            now,
        }))
    }

    /// What can be shown of it.
    pub(super) fn picture(&self) -> Picture<'_> {
        Picture {
            overview: &self.overview,
            asked: &self.asked,
            spent: &self.spent,
            foreign: &self.foreign,
            traces: &self.traces,
            layout: self.layout,
            supervisor: self.supervisor.as_ref(),
            disk: self.disk,
            processes: self.processes.as_ref(),
            now: self.now,
        }
    }
}

/// What `status --json` says where no sprint was ever started.
pub(super) fn nothing() -> StatusJson {
    StatusJson {
        feature: None,
        state: "none",
        reason: String::new(),
        tasks: Vec::new(),
        workers: Vec::new(),
        queue: Vec::new(),
        needs_you: Vec::new(),
        flaky: Vec::new(),
        traces: Vec::new(),
        pending: Vec::new(),
        cost: CostOf::default(),
    }
}

fn none(context: &Context, out: &mut Out<'_>) {
    if !context.had_supervisor() {
        return out.line("No sprint was started here yet. Begin one: sprint start specs/001-thing");
    }
    let gone = context.no_state();
    out.line(gone.message);
    gone.hints.iter().for_each(|hint| out.line(format!("  {hint}")));
}

fn watch(mut context: Context, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let mut follower = Follower::new(context.layout());
    loop {
        // The first `start` gives the repository its id, and with it the places to look at.
        if context.known.is_none() {
            context = Context::find(env)?;
            if context.known.is_some() {
                follower = Follower::new(context.layout());
            }
        }
        let client = context.reader()?;
        let moment = Moment::read(&context, client.as_ref())?;
        if out.columns.is_some() {
            // The window may have another size by now.
            out.columns = crate::process::terminal::columns().or(out.columns);
            // Home, and everything below away: one write, so that it does not flicker.
            out.text("\u{1b}[H\u{1b}[2J\u{1b}[3J");
        }
        match &moment {
            Some(moment) => render(&moment.picture(), out),
            None => none(&context, out),
        }
        out.flush();
        if out.is_closed() || !follower.wait(WATCH_MS) {
            return Ok(exit::DONE);
        }
    }
}

/// The text form.
pub fn render(picture: &Picture<'_>, out: &mut Out<'_>) {
    let status = picture.status();
    heading(picture, &status, out);
    tasks(picture, &status.tasks, out);
    workers(picture, &status.workers, out);
    features(picture, out);
    needs::show(picture, &status.needs_you, out);
    traces::show(&status.traces, out);
    flaky::show(&status.flaky, out);
    pending(picture, &status.pending, out);
}

fn heading(picture: &Picture<'_>, status: &StatusJson, out: &mut Out<'_>) {
    let Some(feature) = &status.feature else {
        out.line("No feature was started here yet.");
        return;
    };
    let done = status.tasks.iter().filter(|task| task.state == "Done").count();
    let tone = match status.state {
        "finished" => Tone::Good,
        "refused" => Tone::Bad,
        "paused" | "stopped" | "stopping" | "resting" => Tone::Warn,
        _ => Tone::Normal,
    };
    let supervisor = match picture.supervisor {
        Some(file) => {
            let up = span((picture.now.wall_ms - file.started_wall_ms).max(0).unsigned_abs());
            format!("supervisor {} for {up}", file.process.pid)
        }
        None => "no supervisor runs".to_owned(),
    };
    out.line(format!(
        "{}  {}  {done} of {} done  {}",
        out.colour.paint(Tone::Bold, feature),
        out.colour.paint(tone, status.state),
        count(status.tasks.len(), "task"),
        out.colour.paint(Tone::Dim, &supervisor),
    ));
    if let Some(why) = under_heading(picture) {
        out.line(format!("  {}", plain(&why, LINE_MAX)));
    }
    if let Some(cost) = spending::line(&status.cost) {
        out.line(format!("  {}", plain(&cost, LINE_MAX)));
    }
    out.line("");
}

/// Why the feature does not run yet; what needs the person is said below.
fn under_heading(picture: &Picture<'_>) -> Option<String> {
    if let Some(why) = picture.supervisor.and_then(|supervisor| supervisor.stalled.clone()) {
        return Some(why);
    }
    let feature = picture.feature()?;
    if let Some(disk) = picture.held_by_disk(feature) {
        return Some(disk.consequence());
    }
    match feature.status {
        FeatureStatus::Queued => Some(picture.feature_reason(feature)).filter(|why| !why.is_empty()),
        FeatureStatus::Gating | FeatureStatus::GateRetry { .. } | FeatureStatus::Beginning => {
            Some(picture.why_none_begins(feature))
        }
        FeatureStatus::Running
        | FeatureStatus::Resting
        | FeatureStatus::Finished
        | FeatureStatus::Refused { .. } => None,
    }
}

fn tasks(picture: &Picture<'_>, rows: &[TaskRow], out: &mut Out<'_>) {
    if rows.is_empty() {
        return;
    }
    let is_over = |row: &TaskRow| matches!(row.state.as_str(), "Done" | "Skipped");
    let hides = rows.len() > SHOWN_MAX;
    let shown: Vec<&TaskRow> = rows.iter().filter(|row| !hides || !is_over(row)).collect();
    for line in task_table(&shown, picture.now.wall_ms).lines(out.colour, out.columns) {
        out.line(line);
    }
    if shown.len() < rows.len() {
        let over = count(rows.len() - shown.len(), "task");
        out.line(format!("  … and {over} done or skipped; `sprint task list` shows all"));
    }
    out.line("");
}

/// The table of tasks, also of `task list`.
pub(super) fn task_table(rows: &[&TaskRow], wall_ms: i64) -> Table {
    let mut table = Table::new(&["TASK", "STAGE", "STATE", "TRY", "WORKER", "FOR", "TITLE", "WHY"]);
    for row in rows {
        let tone = match row.state.as_str() {
            "Done" => Tone::Good,
            "Waiting" => Tone::Warn,
            "Parked" => Tone::Bad,
            "ToDo" | "Skipped" => Tone::Dim,
            _ => Tone::Normal,
        };
        // A stage says it all while the task moves; the state is for how it moves there.
        let state = match row.word {
            "running" => "at work",
            "ready" | "retry" | "landing" => row.word,
            _ => row.state.as_str(),
        };
        let began = row.state != "ToDo";
        table.row(vec![
            Cell::new(&row.id),
            Cell::new(&row.stage),
            Cell::new(state).tone(tone),
            Cell::new(&if row.attempt > 0 { row.attempt.to_string() } else { String::new() }),
            Cell::new(row.worker.as_deref().unwrap_or("")),
            Cell::new(&if began {
                span((wall_ms - row.since_ms).max(0).unsigned_abs())
            } else {
                String::new()
            }),
            Cell::new(&plain(&row.title, TITLE_MAX)),
            Cell::new(&row.reason).tone(if tone == Tone::Good { Tone::Dim } else { tone }),
        ]);
    }
    table
}

fn workers(picture: &Picture<'_>, rows: &[WorkerRow], out: &mut Out<'_>) {
    let names: Vec<&str> = picture
        .overview
        .state
        .workers
        .values()
        .filter(|worker| is_there(&worker.life))
        .map(|worker| worker.name.as_str())
        .collect();
    let rows: Vec<&WorkerRow> = rows.iter().filter(|row| names.contains(&row.name.as_str())).collect();
    if rows.is_empty() || picture.supervisor.is_none() {
        return;
    }
    for line in worker_table(&rows, picture.now.wall_ms).lines(out.colour, out.columns) {
        out.line(line);
    }
    out.line("");
}

/// The table of workers, also of `health` and `attach`.
pub(super) fn worker_table(rows: &[&WorkerRow], wall_ms: i64) -> Table {
    let mut table =
        Table::new(&["WORKER", "STATE", "TASK", "FOR", "PID", "CPU", "MEMORY", "BEAT", "RESTARTS"]);
    for row in rows {
        let tone = match row.state {
            "busy" => Tone::Normal,
            "gone" | "broken" => Tone::Bad,
            "backoff" | "clearing" => Tone::Warn,
            _ => Tone::Dim,
        };
        table.row(vec![
            Cell::new(&row.name),
            Cell::new(row.state).tone(tone),
            Cell::new(row.task.as_deref().unwrap_or("")),
            Cell::new(&span((wall_ms - row.since_ms).max(0).unsigned_abs())),
            Cell::new(&row.pid.map(|pid| pid.to_string()).unwrap_or_default()),
            Cell::new(&row.cpu_percent.map(|cpu| format!("{cpu:.1} %")).unwrap_or_default()),
            Cell::new(&row.rss_bytes.map(super::text::bytes).unwrap_or_default()),
            Cell::new(&row.heartbeat_age_ms.map(|age| format!("{} ago", span(age))).unwrap_or_default()),
            Cell::new(&if row.restarts > 0 { row.restarts.to_string() } else { String::new() }),
        ]);
    }
    table
}

fn features(picture: &Picture<'_>, out: &mut Out<'_>) {
    let Some(shown) = picture.feature().map(|feature| feature.id.clone()) else { return };
    let others = picture.other_features(&shown);
    if others.is_empty() {
        return;
    }
    let mut table = Table::new(&["FEATURE", "STATE", "WHY"]);
    for feature in others {
        let why = picture.feature_reason(feature);
        table.row(vec![Cell::new(feature.id.as_str()), Cell::new(feature.status.word()), Cell::new(&why)]);
    }
    for line in table.lines(out.colour, out.columns) {
        out.line(line);
    }
    out.line("");
}

/// What the person has done already, so that nobody does it again.
fn pending(picture: &Picture<'_>, rows: &[PendingRow], out: &mut Out<'_>) {
    if rows.is_empty() {
        return;
    }
    out.line(out.colour.paint(Tone::Bold, &sentence(picture.applied_when())));
    for row in rows {
        let name = picture.short_name(Some(&row.feature), &row.task);
        out.line(format!("  {name} is {}", row.done()));
    }
    if let (None, Some(feature)) = (picture.supervisor, picture.feature()) {
        out.line(format!("      sprint start {}", plain(&feature.dir, 200)));
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
