//! The conflict radar in `status`: which tasks in flight will not merge, before they reach the
//! queue. Shows, decides nothing.

use super::out::Out;
use super::text::plain;
use crate::domain::state::State;
use crate::error::chain;
use crate::git::Repo;
use crate::git::radar::{Clash, InFlight, scan};

/// Paths that a line names.
const PATHS_MAX: usize = 3;

/// Prints a line for every clash, and nothing where there is none.
pub(super) fn show(repo: &Repo, state: &State, out: &mut Out<'_>) {
    let clashes = match find(repo, state) {
        Ok(clashes) => clashes,
        Err(error) => {
            tracing::debug!(error, "the radar sees nothing");
            return;
        }
    };
    if clashes.is_empty() {
        return;
    }
    out.line("");
    out.line("Conflicts ahead:");
    for clash in &clashes {
        out.line(line(clash));
    }
}

fn find(repo: &Repo, state: &State) -> Result<Vec<Clash>, String> {
    let Some((feature, head)) = state.current().and_then(|feature| Some((feature, feature.head.as_ref()?)))
    else {
        return Ok(Vec::new());
    };
    let branches: Vec<InFlight> = state
        .tasks_of(&feature.id)
        .filter(|task| task.in_flight())
        .filter_map(|task| Some(InFlight { task: task.key.id.clone(), head: task.head.clone()? }))
        .collect();
    // The repository is not even opened for nothing: `status` is quick.
    if branches.is_empty() {
        return Ok(Vec::new());
    }
    let ignore = format!("{}/tasks.md", feature.dir);
    scan(repo, head, &branches, Some(&ignore)).map_err(|error| chain(&error))
}

fn line(clash: &Clash) -> String {
    let named: Vec<String> = clash.paths.iter().take(PATHS_MAX).map(|path| plain(path, 80)).collect();
    let more = clash.paths.len().saturating_sub(PATHS_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let with = clash.with.as_ref().map_or_else(|| "what has landed".to_owned(), ToString::to_string);
    format!("  {} with {with}: {}{more}", clash.task, named.join(", "))
}
