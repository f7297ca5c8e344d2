//! `sprint health`: does it work, what does not, and what to do about it.

use serde::Serialize;

use super::args::JsonArgs;
use super::context::Context;
use super::disk::{LowDisk, MEND, MEND_RUNNING, free};
use super::environment::Environment;
use super::foreign::Foreign;
use super::locks;
use super::needs::mend_task;
use super::out::Out;
use super::picture::{Picture, WorkerRow};
use super::pins;
use super::status::{Moment, worker_table};
use super::text::{LINE_MAX, Tone, bytes, count, plain, rfc3339, span};
use super::why::halted_reason;
use crate::domain::state::FeatureStatus;
use crate::domain::task::{Status, WaitKind};
use crate::error::{CliError, exit};
use crate::git::branch;

/// What a worker's heartbeat may be old, if the configuration cannot be read.
const HEARTBEAT_MS: u64 = 60_000;
/// The supervisor takes what comes in within this time, in milliseconds.
const INBOX_MS: u64 = 10_000;

/// `sprint health --json`.
#[derive(Debug, Clone, Serialize)]
pub struct HealthJson {
    /// `healthy`, `degraded` or `down`.
    pub status: &'static str,
    /// The supervisor.
    pub supervisor: SupervisorRow,
    /// The workers, as in `status`.
    pub workers: Vec<WorkerRow>,
    /// What has come in and is not applied yet.
    pub queue: QueueDepth,
    /// The store.
    pub database: DatabaseRow,
    /// Free space where the state lives.
    pub disk_free_bytes: Option<u64>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// The supervisor in `health`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SupervisorRow {
    /// Whether it runs.
    pub alive: bool,
    /// Its process.
    pub pid: Option<i32>,
    /// Its epoch.
    pub epoch: Option<u64>,
    /// Since when it runs.
    pub since: Option<String>,
    /// The version of its program.
    pub version: Option<String>,
}

/// Depth and age of what waits for the supervisor.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct QueueDepth {
    /// Rows of the inbox.
    pub depth: u64,
    /// Age of the oldest.
    pub oldest_age_ms: Option<u64>,
}

/// The store in `health`.
#[derive(Debug, Clone, Serialize)]
pub struct DatabaseRow {
    /// `ok`, `none` or `failed`.
    pub state: &'static str,
    /// Where it is.
    pub path: Option<String>,
    /// Its size, write-ahead log included.
    pub bytes: Option<u64>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl Problem {
    pub(super) fn new(what: impl AsRef<str>, fix: impl Into<String>) -> Self {
        Self { what: plain(what.as_ref(), 400), fix: fix.into() }
    }
}

/// Runs it.
///
/// # Errors
/// There is no repository here.
pub fn run(args: JsonArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let limits = Limits::of(&context, env);
    let health = examine(&context, limits);
    if args.json {
        out.json(&health);
    } else {
        render(&health, out);
    }
    Ok(match health.status {
        "healthy" => exit::HEALTHY,
        "degraded" => exit::DEGRADED,
        _ => exit::DOWN,
    })
}

/// What the configuration says about health.
struct Limits {
    heartbeat_ms: u64,
    disk_free_min: u64,
    disk_fix: &'static str,
    problem: Option<Problem>,
}

impl Limits {
    /// By what the supervisor goes by, where one runs: the file may say something else by now.
    fn of_supervisor(self, moment: &Moment<'_>) -> Self {
        match moment.disk_free_min {
            Some(disk_free_min) => Self { disk_free_min, disk_fix: MEND_RUNNING, ..self },
            None => self,
        }
    }

    fn of(context: &Context, env: &Environment) -> Self {
        match context.config(env) {
            Ok(config) => Self {
                heartbeat_ms: u64::try_from(config.timeouts.heartbeat.as_millis()).unwrap_or(u64::MAX),
                disk_free_min: config.general.disk_free_min,
                disk_fix: MEND,
                problem: None,
            },
            Err(error) => Self {
                heartbeat_ms: HEARTBEAT_MS,
                disk_free_min: 0,
                disk_fix: MEND,
                problem: Some(Problem::new(
                    error.message,
                    "correct the configuration; a running sprint goes on with its own",
                )),
            },
        }
    }
}

fn examine(context: &Context, limits: Limits) -> HealthJson {
    let read = context.reader().and_then(|client| Moment::read(context, client.as_ref()));
    let limits = match &read {
        Ok(Some(moment)) => limits.of_supervisor(moment),
        Ok(None) | Err(_) => limits,
    };
    let mut health = empty(context);
    health.problems.extend(limits.problem.clone());
    match &read {
        Ok(Some(moment)) => {
            health.database.state = "ok";
            fill(&mut health, &moment.picture(), &limits);
        }
        Ok(None) if context.had_supervisor() => {
            let gone = context.no_state();
            health.problems.push(Problem::new(&gone.message, gone.hints.join("; ")));
        }
        Ok(None) => health
            .problems
            .push(Problem::new("no sprint was started here yet", "sprint start specs/001-thing")),
        Err(error) => {
            health.database.state = "failed";
            let fix = error.hints.first().cloned().unwrap_or_else(|| "look at `sprint doctor`".to_owned());
            health.problems.push(Problem::new(&error.message, fix));
        }
    }
    health.problems.extend(disk(&health, &limits));
    health.problems.extend(locks::problems(context));
    health.problems.extend(pins::problem(context));
    let stalled = context.supervisor().and_then(|supervisor| supervisor.stalled);
    health
        .problems
        .extend(stalled.map(|why| Problem::new(plain(&why, LINE_MAX), "make room, or look at the disk")));
    health.status = match (health.supervisor.alive, &read) {
        (true, Ok(Some(_))) if health.problems.is_empty() => "healthy",
        (true, Ok(Some(_))) => "degraded",
        _ => "down",
    };
    health
}

fn empty(context: &Context) -> HealthJson {
    let file = context.supervisor();
    let database = context.layout().map(crate::config::layout::Layout::database);
    let size = |path: &std::path::Path| std::fs::metadata(path).map(|meta| meta.len()).ok();
    let total = database
        .as_ref()
        .and_then(|path| Some(size(path)? + size(&path.with_extension("db-wal")).unwrap_or(0)));
    HealthJson {
        status: "down",
        supervisor: file.map_or_else(SupervisorRow::default, |file| SupervisorRow {
            alive: true,
            pid: Some(file.process.pid),
            epoch: Some(file.epoch),
            since: Some(rfc3339(file.started_wall_ms)),
            version: Some(file.version),
        }),
        workers: Vec::new(),
        queue: QueueDepth::default(),
        database: DatabaseRow {
            state: "none",
            path: database.map(|path| path.to_string_lossy().into_owned()),
            bytes: total,
        },
        disk_free_bytes: free(context),
        problems: Vec::new(),
    }
}

fn fill(health: &mut HealthJson, picture: &Picture<'_>, limits: &Limits) {
    health.workers = picture.workers();
    let (depth, oldest) = picture.overview.inbox;
    let age = oldest.map(|wall| (picture.now.wall_ms - wall).max(0).unsigned_abs());
    health.queue = QueueDepth { depth, oldest_age_ms: age };
    if !health.supervisor.alive {
        let fix = match picture.feature() {
            // With a request that waits there is something to do after all.
            Some(feature) if feature.status == FeatureStatus::Finished && depth == 0 => {
                format!("nothing is to be done; git merge {} takes it over", branch::integration(&feature.id))
            }
            Some(feature) => format!("sprint start {}", plain(&feature.dir, 200)),
            None => "sprint start specs/001-thing".to_owned(),
        };
        health
            .problems
            .push(Problem::new(format!("no supervisor runs; the sprint is {}", picture.word()), fix));
        return;
    }
    if age.is_some_and(|age| age > INBOX_MS) {
        let what = format!(
            "{} not taken for {}",
            count(usize::try_from(depth).unwrap_or(usize::MAX), "message"),
            span(age.unwrap_or(0))
        );
        health.problems.push(Problem::new(
            what,
            "look at `sprint logs`; `sprint stop --now` and `sprint start` begin afresh",
        ));
    }
    let own = picture.overview.state.sprint.epoch;
    if health.supervisor.version.as_deref() != Some(env!("CARGO_PKG_VERSION")) {
        let what = format!("the supervisor (epoch {own}) is of another version than this program");
        health.problems.push(Problem::new(what, "sprint stop, then sprint start"));
    }
    for worker in &health.workers {
        health.problems.extend(problem_of(worker, limits));
    }
    health.problems.extend(held(picture));
}

fn problem_of(worker: &WorkerRow, limits: &Limits) -> Option<Problem> {
    let name = &worker.name;
    match worker.state {
        "gone" => Some(Problem::new(
            format!("{name} is gone"),
            "it is started again by itself; if not, look at `sprint logs`",
        )),
        "broken" => Some(Problem::new(
            format!("{name} died too often at its start; it is tried once a minute"),
            format!("sprint logs {name}"),
        )),
        "busy" | "idle" => {
            let age = worker.heartbeat_age_ms.filter(|age| *age > limits.heartbeat_ms)?;
            Some(Problem::new(
                format!("{name} has shown no sign of life for {}", span(age)),
                format!("sprint attach {name}"),
            ))
        }
        _ => None,
    }
}

/// What the operator must mend; questions and parked tasks are ordinary life.
fn held(picture: &Picture<'_>) -> Vec<Problem> {
    let state = &picture.overview.state;
    let halted = state.features.values().filter_map(|feature| {
        let fix = match feature.adopting {
            Some(_) => "it goes on by itself; sprint logs reviewer",
            None => Foreign::fix(picture.foreign.get(&feature.id)),
        };
        Some(Problem::new(halted_reason(feature)?, fix))
    });
    let mut problems: Vec<Problem> = halted.collect();
    problems.extend(state.tasks.values().filter_map(|task| match &task.status {
        Status::Waiting { wait: WaitKind::Operator, text } => {
            let id = state.name_of(&task.key);
            Some(Problem::new(
                format!("{id} waits for you: {text}"),
                format!("mend it, then sprint task retry {id}"),
            ))
        }
        Status::Waiting { wait: WaitKind::Checkout, text } => Some(Problem::new(
            format!("{} waits for you: {text}", state.name_of(&task.key)),
            "switch to another branch there",
        )),
        _ => None,
    }));
    problems.extend(refused_accounts(picture));
    problems.extend(tried_again(picture));
    problems
}

/// Services that only the person can make serve again.
fn refused_accounts(picture: &Picture<'_>) -> Vec<Problem> {
    let Some(feature) = picture.feature().filter(|feature| feature.status != FeatureStatus::Finished) else {
        return Vec::new();
    };
    let used: Vec<&String> = feature.frozen.policy.agents_in_use().collect();
    let holds = picture.overview.state.sprint.holds.iter();
    holds
        .filter(|(agent, hold)| used.contains(agent) && hold.holds() && hold.until_ms.is_none())
        .map(|(agent, hold)| Problem::new(picture.hold_text(agent, hold), picture.hold_fix(feature)))
        .collect()
}

/// What could not run and is repeated by itself: mended now, it need not wait.
fn tried_again(picture: &Picture<'_>) -> Vec<Problem> {
    let state = &picture.overview.state;
    let bases = state
        .features
        .values()
        .filter_map(|feature| Some(Problem::new(picture.base_trouble(feature)?, picture.base_fix(feature))));
    let tasks = state.tasks.values().filter_map(|task| {
        let id = state.name_of(&task.key);
        let what = format!("{id} could not go on: {}", picture.task_trouble(task)?);
        Some(Problem::new(what, mend_task(&id)))
    });
    bases.chain(tasks).collect()
}

fn disk(health: &HealthJson, limits: &Limits) -> Option<Problem> {
    let low = LowDisk::judge(health.disk_free_bytes, limits.disk_free_min)?;
    Some(Problem::new(low.text(), limits.disk_fix))
}

fn render(health: &HealthJson, out: &mut Out<'_>) {
    let tone = match health.status {
        "healthy" => Tone::Good,
        "degraded" => Tone::Warn,
        _ => Tone::Bad,
    };
    let supervisor = match (&health.supervisor.pid, &health.supervisor.since) {
        (Some(pid), Some(since)) => format!("supervisor {pid}, since {since}"),
        _ => "no supervisor".to_owned(),
    };
    out.line(format!("{}  {supervisor}", out.colour.paint(tone, health.status)));
    let free = health.disk_free_bytes.map_or_else(|| "unknown".to_owned(), bytes);
    let size = health.database.bytes.map_or_else(String::new, |size| format!(" ({})", bytes(size)));
    out.line(format!("database {}{size}, inbox {}, {free} free", health.database.state, health.queue.depth));
    let rows: Vec<&WorkerRow> = health.workers.iter().filter(|row| row.state != "absent").collect();
    if !rows.is_empty() {
        out.line("");
        for line in worker_table(&rows, crate::process::clock::wall_ms()).lines(out.colour, out.columns) {
            out.line(line);
        }
    }
    if !health.problems.is_empty() {
        out.line("");
        out.line(out.colour.paint(Tone::Bold, "Problems"));
        for problem in &health.problems {
            out.line(format!("  {}", out.colour.paint(Tone::Warn, &problem.what)));
            out.line(format!("      {}", problem.fix));
        }
    }
}
