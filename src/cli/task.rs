//! `sprint task list|show|diff|stop|retry|skip` and `sprint queue`.

use serde::Serialize;

use super::args::{JsonArgs, TaskCommand, TaskDiffArgs, TaskShowArgs};
use super::context::{Context, git_error, store_error};
use super::environment::Environment;
use super::events;
use super::out::Out;
use super::picture::{TEXT_MAX, TaskRow};
use super::request::{about_task, find_task};
use super::status::{Moment, task_table};
use super::text::{Cell, Table, Tone, count, plain, plain_lines, rfc3339, span};
use crate::domain::event::Request;
use crate::domain::ids::CommitSha;
use crate::domain::task::{Status, Task};
use crate::error::{CliError, exit};
use crate::git::diff::{self, ChangeKind};
use crate::git::{Repo, branch};
use crate::process::clock;
use crate::store::Client;

/// Bytes of a difference.
const DIFF_MAX: usize = 8 * 1024 * 1024;
/// Lines of the history under a task.
const EVENTS_MAX: u32 = 20;

/// Runs `sprint task …`.
///
/// # Errors
/// As the commands.
pub fn run(command: &TaskCommand, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    match command {
        TaskCommand::List(args) => list(&context, *args, out),
        TaskCommand::Show(args) => show(&context, args, out),
        TaskCommand::Diff(args) => difference(&context, args, env, out),
        TaskCommand::Stop(args) => about_task(&context, &args.task, |task| Request::TaskStop { task }, out),
        TaskCommand::Retry(args) => about_task(&context, &args.task, |task| Request::TaskRetry { task }, out),
        TaskCommand::Skip(args) => about_task(&context, &args.task, |task| Request::TaskSkip { task }, out),
    }
}

fn list(context: &Context, args: JsonArgs, out: &mut Out<'_>) -> Result<u8, CliError> {
    let client = context.reader()?;
    let moment = Moment::read(context, client.as_ref())?;
    let picture = moment.as_ref().map(Moment::picture);
    let rows: Vec<TaskRow> =
        picture.as_ref().and_then(|picture| Some(picture.tasks(picture.feature()?))).unwrap_or_default();
    if args.json {
        out.json(&rows);
    } else if rows.is_empty() {
        out.line("no task is known yet");
    } else {
        let rows: Vec<&TaskRow> = rows.iter().collect();
        task_table(&rows, clock::wall_ms())
            .lines(out.colour, out.columns)
            .into_iter()
            .for_each(|line| out.line(line));
    }
    Ok(exit::DONE)
}

/// `sprint queue`.
///
/// # Errors
/// The store cannot be read.
pub fn queue(args: JsonArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let client = context.reader()?;
    let moment = Moment::read(&context, client.as_ref())?;
    let picture = moment.as_ref().map(Moment::picture);
    let rows =
        picture.as_ref().and_then(|picture| Some(picture.queue(picture.feature()?))).unwrap_or_default();
    if args.json {
        out.json(&rows);
    } else if rows.is_empty() {
        out.line("the merge queue is empty");
    } else {
        let mut table = Table::new(&["PLACE", "TASK", "STATE"]);
        for row in &rows {
            table.row(vec![Cell::new(&row.position.to_string()), Cell::new(&row.task), Cell::new(row.state)]);
        }
        table.lines(out.colour, out.columns).into_iter().for_each(|line| out.line(line));
    }
    Ok(exit::DONE)
}

/// `sprint task show --json`.
#[derive(Debug, Serialize)]
struct TaskJson {
    feature: String,
    #[serde(flatten)]
    row: TaskRow,
    since: String,
    branch: Option<String>,
    head: Option<String>,
    candidate: Option<String>,
    landed: Option<String>,
    gates: Vec<GateJson>,
    findings: Vec<serde_json::Value>,
    remarks: Vec<serde_json::Value>,
    runs: Vec<RunJson>,
}

/// A gate's verdict on the candidate.
#[derive(Debug, Serialize)]
struct GateJson {
    gate: String,
    verdict: String,
    summary: String,
    tree: String,
}

/// One run.
#[derive(Debug, Serialize)]
struct RunJson {
    id: String,
    stage: Option<String>,
    attempt: u32,
    worker: String,
    state: String,
    began: String,
    ended: Option<String>,
    #[serde(skip)]
    took_ms: Option<u64>,
}

fn show(context: &Context, args: &TaskShowArgs, out: &mut Out<'_>) -> Result<u8, CliError> {
    let (client, _) = context.required()?;
    let moment = Moment::read(context, Some(&client))?.ok_or_else(super::context::no_sprint)?;
    let picture = moment.picture();
    let task = find_task(&picture.overview.state, &args.task)?;
    let feature = picture.overview.state.features.get(&task.key.feature);
    let rows = feature.map(|feature| picture.tasks(feature)).unwrap_or_default();
    let row = rows.into_iter().find(|row| row.id == task.key.id.as_str());
    let row = row.ok_or_else(|| CliError::internal("a task has no feature"))?;
    let json = describe(&client, task, row)?;
    if args.json {
        out.json(&json);
    } else {
        render(&json, task, out);
        history(&client, task, out)?;
    }
    Ok(exit::DONE)
}

fn describe(client: &Client, task: &Task, row: TaskRow) -> Result<TaskJson, CliError> {
    let runs = client.runs_of_task(&task.key.feature, task.key.id.as_str()).map_err(store_error)?;
    Ok(TaskJson {
        feature: task.key.feature.to_string(),
        since: rfc3339(task.since_ms),
        branch: (task.attempt > 0).then(|| branch::task(&task.key.feature, &task.key.id, task.attempt)),
        head: task.head.as_ref().map(ToString::to_string),
        candidate: task.candidate.as_ref().map(|candidate| candidate.commit.to_string()),
        landed: match &task.status {
            Status::Done { commit } => Some(commit.to_string()),
            _ => None,
        },
        gates: task
            .gates
            .iter()
            .map(|record| GateJson {
                gate: record.gate.to_string(),
                verdict: record.verdict.to_string(),
                summary: plain(&record.summary, TEXT_MAX),
                tree: record.tree.to_string(),
            })
            .collect(),
        findings: task.feedback.as_ref().map(|feedback| feedback.findings.clone()).unwrap_or_default(),
        remarks: task.remarks.clone(),
        runs: runs
            .into_iter()
            .map(|(run, state, began, ended)| RunJson {
                id: run.id.to_string(),
                stage: run.job.stage.as_ref().map(ToString::to_string),
                attempt: run.job.attempt,
                worker: run.worker.to_string(),
                state,
                began: rfc3339(began),
                ended: ended.map(rfc3339),
                took_ms: ended.map(|ended| (ended - began).max(0).unsigned_abs()),
            })
            .collect(),
        row,
    })
}

fn render(json: &TaskJson, task: &Task, out: &mut Out<'_>) {
    let row = &json.row;
    out.line(format!("{}  {}", out.colour.paint(Tone::Bold, &row.id), row.title));
    let mut field = |name: &str, text: &str| {
        if !text.is_empty() {
            out.line(format!("  {name:<10} {text}"));
        }
    };
    field("feature", &json.feature);
    field("stage", &row.stage);
    field("state", &row.state);
    field("why", &row.reason);
    field("attempt", &if row.attempt > 0 { row.attempt.to_string() } else { String::new() });
    field("worker", row.worker.as_deref().unwrap_or(""));
    field("branch", json.branch.as_deref().unwrap_or(""));
    field("head", json.head.as_deref().unwrap_or(""));
    field("candidate", json.candidate.as_deref().unwrap_or(""));
    field("landed", json.landed.as_deref().unwrap_or(""));
    gates(&json.gates, out);
    if let Some(feedback) = &task.feedback {
        out.line("");
        out.line(format!("Sent back by {}: {}", plain(&feedback.stage, 64), plain(&feedback.reason, 1_000)));
        feedback
            .findings
            .iter()
            .take(20)
            .for_each(|finding| out.line(format!("  {}", finding_line(finding))));
    }
    if !task.remarks.is_empty() {
        out.line("");
        out.line("Recorded by those who looked at it:");
        task.remarks.iter().take(20).for_each(|remark| {
            let severity = remark.get("severity").and_then(|value| value.as_str()).unwrap_or_default();
            out.line(format!("  {} {}", plain(severity, 20), finding_line(remark)));
        });
    }
    runs(&json.runs, out);
}

fn gates(rows: &[GateJson], out: &mut Out<'_>) {
    if rows.is_empty() {
        return;
    }
    out.line("");
    let mut table = Table::new(&["GATE", "VERDICT", "SUMMARY"]);
    for row in rows {
        let tone = match row.verdict.as_str() {
            "pass" => Tone::Good,
            "skipped" => Tone::Dim,
            _ => Tone::Bad,
        };
        table.row(vec![Cell::new(&row.gate), Cell::new(&row.verdict).tone(tone), Cell::new(&row.summary)]);
    }
    table.lines(out.colour, out.columns).into_iter().for_each(|line| out.line(line));
}

fn runs(rows: &[RunJson], out: &mut Out<'_>) {
    if rows.is_empty() {
        return;
    }
    out.line("");
    let mut table = Table::new(&["TRY", "STAGE", "WORKER", "STATE", "TOOK", "RUN"]);
    for row in rows {
        table.row(vec![
            Cell::new(&row.attempt.to_string()),
            Cell::new(row.stage.as_deref().unwrap_or("")),
            Cell::new(&row.worker),
            Cell::new(&row.state),
            Cell::new(&row.took_ms.map(span).unwrap_or_default()),
            Cell::new(&row.id),
        ]);
    }
    table.lines(out.colour, out.columns).into_iter().for_each(|line| out.line(line));
}

/// A finding, whatever gate it is from: place, rule, message.
fn finding_line(finding: &serde_json::Value) -> String {
    let text = |key: &str| finding.get(key).and_then(|value| value.as_str()).unwrap_or_default();
    let line = finding.get("line").and_then(serde_json::Value::as_u64).filter(|line| *line > 0);
    let place = match (text("path"), line) {
        ("", _) => String::new(),
        (path, Some(line)) => format!("{path}:{line}: "),
        (path, None) => format!("{path}: "),
    };
    let rule = if text("rule").is_empty() { String::new() } else { format!("{} ", text("rule")) };
    plain(&format!("{place}{rule}{}", text("message")), 1_000)
}

fn history(client: &Client, task: &Task, out: &mut Out<'_>) -> Result<(), CliError> {
    let rows =
        client.last_events_of(Some(&task.key.feature), &task.key.id, EVENTS_MAX).map_err(store_error)?;
    if !rows.is_empty() {
        out.line("");
    }
    for row in &rows {
        out.line(format!("  {}", events::line(row, out)));
    }
    Ok(())
}

fn difference(
    context: &Context,
    args: &TaskDiffArgs,
    env: &Environment,
    out: &mut Out<'_>,
) -> Result<u8, CliError> {
    let (client, _) = context.required()?;
    let state = client.overview().map_err(store_error)?.state;
    let task = find_task(&state, &args.task)?;
    let failed = |error| git_error("the changes cannot be read", error);
    let integration = state.features.get(&task.key.feature).and_then(|feature| feature.head.clone());
    let Some((from, to)) = span_of(&context.repo, task, integration.as_ref()).map_err(failed)? else {
        out.line(format!("{} has changed nothing yet", task.key.id));
        return Ok(exit::DONE);
    };
    if args.stat {
        let changes = diff::changes(&context.repo, &from, &to).map_err(failed)?;
        for change in &changes {
            let mark = match change.kind {
                ChangeKind::Added => 'A',
                ChangeKind::Deleted => 'D',
                ChangeKind::Modified => 'M',
            };
            out.line(format!("{mark} {}", plain(&change.path, 1_000)));
        }
        out.line(count(changes.len(), "file"));
        return Ok(exit::DONE);
    }
    let found = diff::text(&context.repo, &from, &to, DIFF_MAX).map_err(failed)?;
    if env.stdout_is_terminal {
        plain_lines(&found.text).for_each(|line| out.line(painted(&line, out)));
    } else {
        // Into a file or another program it goes as it is: it may be applied.
        out.text(&found.text);
    }
    if found.cut {
        out.line(format!("… cut after {DIFF_MAX} bytes; git diff {} {} shows all", from.short(), to.short()));
    }
    Ok(exit::DONE)
}

fn painted(line: &str, out: &Out<'_>) -> String {
    let tone = match line.as_bytes().first() {
        _ if line.starts_with("+++") || line.starts_with("---") || line.starts_with("diff ") => Tone::Bold,
        Some(b'+') => Tone::Good,
        Some(b'-') => Tone::Bad,
        Some(b'@') => Tone::Dim,
        _ => Tone::Normal,
    };
    out.colour.paint(tone, line)
}

/// The two commits between which the task's changes lie.
fn span_of(
    repo: &Repo,
    task: &Task,
    integration: Option<&CommitSha>,
) -> Result<Option<(CommitSha, CommitSha)>, crate::git::Error> {
    if let Status::Done { commit } = &task.status {
        // A task that was done before the sprint has no commit of its own.
        let first_parent = repo.resolve(&format!("{commit}^1"));
        return Ok(first_parent
            .ok()
            .filter(|_| task.candidate.as_ref().is_some_and(|candidate| candidate.commit == *commit))
            .map(|parent| (parent, commit.clone())));
    }
    let name = branch::head_ref(&branch::task(&task.key.feature, &task.key.id, task.attempt));
    let head = match &task.head {
        Some(head) => Some(head.clone()),
        None if task.attempt > 0 => repo.reference(&name)?,
        None => None,
    };
    let (Some(head), Some(integration)) = (head, integration) else { return Ok(None) };
    let base = diff::merge_base(repo, integration, &head)?;
    Ok(base.filter(|base| *base != head).map(|base| (base, head)))
}
