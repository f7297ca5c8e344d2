//! `sprint logs`: the supervisor's log, or what the runs of a worker or a task printed. Whatever
//! is in there, a terminal only sees text.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::args::LogsArgs;
use super::context::{Context, store_error};
use super::environment::Environment;
use super::follow::Follower;
use super::out::Out;
use super::request::find_task;
use super::text::{Tone, harmless, plain, plain_lines};
use crate::config::layout::Layout;
use crate::domain::pipeline::Role;
use crate::domain::state::Run;
use crate::error::{CliError, exit};
use crate::store::Client;

/// Bytes of a file's end that are looked at.
const TAIL_MAX: u64 = 4 * 1024 * 1024;
/// So many of the newest runs are shown.
const RUNS_MAX: u32 = 20;
/// While it follows, files are looked at so often, in milliseconds.
const LOOK_MS: u16 = 300;

/// Runs it.
///
/// # Errors
/// Nobody of that name, or a log that cannot be read.
pub fn run(args: &LogsArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let (Some(client), Some(layout)) = (context.reader()?, context.layout()) else {
        return Err(context.no_state());
    };
    let source = Source::find(&client, args.who.as_deref())?;
    let mut shown: BTreeMap<PathBuf, u64> = BTreeMap::new();
    let files = source.files(&client, layout)?;
    first(&files, args.lines, &mut shown, out)?;
    if !args.follow {
        if files.is_empty() {
            out.line("nothing was written yet");
        }
        return Ok(exit::DONE);
    }
    let follower = Follower::new(Some(layout));
    loop {
        out.flush();
        if out.is_closed() || !follower.wait(LOOK_MS) {
            return Ok(exit::DONE);
        }
        if client.is_lost() {
            return Err(context.no_state());
        }
        for (title, path) in source.files(&client, layout)? {
            more(&title, &path, &mut shown, out)?;
        }
    }
}

/// Whose log.
enum Source {
    Supervisor,
    Worker(String),
    Task(crate::domain::task::TaskKey),
}

impl Source {
    fn find(client: &Client, who: Option<&str>) -> Result<Self, CliError> {
        let Some(who) = who else { return Ok(Self::Supervisor) };
        if who == "supervisor" {
            return Ok(Self::Supervisor);
        }
        let state = client.overview().map_err(store_error)?.state;
        if let Some(worker) = state.workers.keys().find(|name| name.as_str() == who) {
            return Ok(Self::Worker(worker.to_string()));
        }
        if let Some(role) = Role::parse(who) {
            // The role's only worker, or its first one.
            let first =
                state.workers.values().filter(|worker| worker.role == role).min_by_key(|worker| worker.slot);
            return first.map(|worker| Self::Worker(worker.name.to_string())).ok_or_else(|| {
                CliError::refused(format!("no {role} has worked yet")).hint("sprint status shows the workers")
            });
        }
        find_task(&state, who).map(|task| Self::Task(task.key.clone())).map_err(|_| {
            CliError::refused(format!("there is no worker and no task `{}`", plain(who, 80)))
                .hint("sprint status shows workers and tasks")
        })
    }

    /// Titles and files, oldest first.
    fn files(&self, client: &Client, layout: &Layout) -> Result<Vec<(String, PathBuf)>, CliError> {
        let runs: Vec<Run> = match self {
            Self::Supervisor => return Ok(newest_log(&layout.logs()).into_iter().collect()),
            Self::Worker(name) => client.runs_of_worker(name, RUNS_MAX).map_err(store_error)?,
            Self::Task(key) => {
                let runs = client.runs_of_task(&key.feature, key.id.as_str()).map_err(store_error)?;
                runs.into_iter().map(|(run, ..)| run).collect()
            }
        };
        let file = |run: &Run| {
            let path = layout.transcript(&run.id);
            path.exists().then(|| (title(run), path))
        };
        Ok(runs.iter().filter_map(file).collect())
    }
}

fn title(run: &Run) -> String {
    let task = run.job.task.as_ref().map_or("base", |task| task.as_str());
    let other = if run.job.triage.is_some() { "triage" } else { "gates" };
    let stage = run.job.stage.as_ref().map_or(other, |stage| stage.as_str());
    format!("{task} {stage}, attempt {}, {}", run.job.attempt, run.worker)
}

/// The supervisor's newest log file.
fn newest_log(dir: &Path) -> Option<(String, PathBuf)> {
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    let logs = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("supervisor"));
    let newest = logs.max_by_key(|entry| entry.metadata().and_then(|meta| meta.modified()).ok())?;
    Some(("supervisor".to_owned(), newest.path()))
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> CliError {
    let message = format!("`{}` cannot be read", path.display());
    move |error| CliError::environment(message.clone()).because(error)
}

/// The last lines of all files together.
fn first(
    files: &[(String, PathBuf)],
    most: usize,
    shown: &mut BTreeMap<PathBuf, u64>,
    out: &mut Out<'_>,
) -> Result<(), CliError> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (place, (_, path)) in files.iter().enumerate() {
        let (text, end) = tail(path).map_err(failed(path))?;
        shown.insert(path.clone(), end);
        lines.extend(plain_lines(&text).map(|line| (place, line)));
    }
    let skip = lines.len().saturating_sub(most);
    let mut at = None;
    for (place, line) in lines.into_iter().skip(skip) {
        if files.len() > 1 && at != Some(place) {
            heading(&files[place].0, out);
        }
        at = Some(place);
        out.line(line);
    }
    Ok(())
}

fn heading(title: &str, out: &mut Out<'_>) {
    out.line(out.colour.paint(Tone::Bold, &format!("── {title}")));
}

/// The end of a file as text, and its size.
fn tail(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let from = size.saturating_sub(TAIL_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(size - from).read_to_end(&mut bytes)?;
    // The first line of a cut file is half a line.
    let begin =
        if from > 0 { bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1) } else { 0 };
    Ok((String::from_utf8_lossy(&bytes[begin..]).into_owned(), size))
}

/// What was written since the last look, whole lines only.
fn more(
    title: &str,
    path: &Path,
    shown: &mut BTreeMap<PathBuf, u64>,
    out: &mut Out<'_>,
) -> Result<(), CliError> {
    let is_new = !shown.contains_key(path);
    let size = std::fs::metadata(path).map_or(0, |meta| meta.len());
    // A file that became shorter was rotated: it begins anew.
    let from = shown.get(path).copied().filter(|from| *from <= size).unwrap_or(0);
    if size == from {
        shown.insert(path.to_owned(), from);
        return Ok(());
    }
    let mut file = File::open(path).map_err(failed(path))?;
    file.seek(SeekFrom::Start(from)).map_err(failed(path))?;
    let mut bytes = Vec::new();
    file.take(TAIL_MAX.min(size - from)).read_to_end(&mut bytes).map_err(failed(path))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    // One endless line is shown in pieces.
    let whole = if whole == 0 && bytes.len() as u64 == TAIL_MAX { bytes.len() } else { whole };
    if is_new && whole > 0 {
        heading(title, out);
    }
    String::from_utf8_lossy(&bytes[..whole]).lines().for_each(|line| out.line(harmless(line)));
    shown.insert(path.to_owned(), from + whole as u64);
    Ok(())
}
