//! What an earlier sprint may have left behind. While one runs, all of it may be in use.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::check::Check;
use super::machine::tmux_socket;
use super::mend::Mend;
use crate::cli::context::Context;
use crate::cli::environment::Environment;
use crate::cli::text::count;
use crate::config::layout::{Layout, STATE_VARIABLE};
use crate::process::identity::ProcId;
use crate::process::tree::Table;
use crate::process::{cgroup, scratch};

/// All of it.
pub(super) fn checks(context: &Context, layout: &Layout, env: &Environment) -> Vec<Check> {
    if context.supervisor().is_some() {
        let used = |name| Check::ok(name, "a sprint runs: what is there is in use");
        return ["left-processes", "left-tmux", "left-files"]
            .map(used)
            .into_iter()
            .chain([groups()])
            .collect();
    }
    vec![processes(layout), tmux(layout, env), files(layout, env), groups()]
}

fn processes(layout: &Layout) -> Check {
    let mark = format!("{STATE_VARIABLE}={}", layout.state.display());
    match Table::scan().and_then(|table| table.with_environment(mark.as_bytes())) {
        Ok(left) if left.is_empty() => Check::ok("left-processes", "none"),
        Ok(left) => {
            let pids: Vec<String> = left.iter().take(10).map(|id| id.pid.to_string()).collect();
            let what = format!(
                "{} of a sprint without a supervisor: {}",
                count(left.len(), "process"),
                pids.join(", ")
            );
            Check::warning(
                "left-processes",
                what,
                "`sprint start` takes them over; `sprint stop --now` ends them and saves their work",
            )
        }
        Err(error) => Check::warning("left-processes", format!("not known: {error}"), "mount /proc"),
    }
}

fn tmux(layout: &Layout, env: &Environment) -> Check {
    let socket = tmux_socket(layout, env);
    match UnixStream::connect(&socket) {
        Ok(_) => Check::warning(
            "left-tmux",
            format!("the server {} runs without a supervisor", layout.tmux_name()),
            format!("`sprint start` takes it over; tmux -L {} kill-server ends it", layout.tmux_name()),
        )
        .mended_by(Mend::EndTmux(layout.tmux_name())),
        // tmux leaves its socket at times, and makes it anew.
        Err(_) => Check::ok("left-tmux", "none"),
    }
}

fn files(layout: &Layout, env: &Environment) -> Check {
    let entries =
        |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let of_runs = |run: PathBuf| {
        let name = run.file_name()?.to_str()?.to_owned();
        Some(scratch::of_run(env.get("TMPDIR"), &name)).filter(|path| path.is_dir())
    };
    let runs: Vec<PathBuf> = entries(&layout.runs());
    let mut left: Vec<PathBuf> = runs.into_iter().filter_map(of_runs).collect();
    for place in [&layout.runtime, &layout.state] {
        let there: Vec<PathBuf> = entries(place);
        left.extend(there.into_iter().filter(|path| is_of_the_dead(path)));
    }
    left.sort();
    match left.first() {
        Some(first) => Check::warning(
            "left-files",
            format!(
                "{} of runs that are over, such as `{}`",
                count(left.len(), "directory"),
                first.display()
            ),
            "they hold nothing that anybody needs",
        )
        .mended_by(Mend::RemoveDirectories(left)),
        None => Check::ok("left-files", "none"),
    }
}

/// `t-4711`, where nobody is called 4711: what gates had for their temporary files.
fn is_of_the_dead(path: &Path) -> bool {
    let pid = path.file_name().and_then(|name| name.to_str()?.strip_prefix("t-")?.parse::<i32>().ok());
    path.is_dir() && pid.is_some_and(|pid| !ProcId::of(pid).is_ok_and(|id| id.alive()))
}

fn groups() -> Check {
    match cgroup::abandoned().len() {
        0 => Check::ok("left-groups", "none"),
        many => Check::warning(
            "left-groups",
            format!("{} of workers that are gone", count(many, "control group")),
            "the next sprint removes them",
        )
        .mended_by(Mend::RemoveGroups),
    }
}
