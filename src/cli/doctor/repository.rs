//! The repository: what of git's a sprint depends on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::check::Check;
use super::mend::Mend;
use crate::cli::context::Context;
use crate::domain::state::State;
use crate::git::locks::{self, WAIT};
use crate::git::pool::Pool;
use crate::git::{branch, landing};

/// Names that a message lists.
const NAMED_MAX: usize = 3;

/// What can be said with and without a sprint's state.
pub(super) fn checks(context: &Context, state: Option<&State>) -> Vec<Check> {
    let mut all = vec![durability(context), locks_of(context), worktrees(context)];
    all.extend(state.map(|state| branches(context, state)));
    all.extend(state.map(|state| checked_out(context, state)));
    all
}

/// Only told: it is the person's own choice.
fn durability(context: &Context) -> Check {
    let lib = context.repo.open().ok();
    let config = lib.and_then(|lib| lib.config().ok()?.get_string("core.fsync").ok());
    match config {
        Some(value) => {
            Check::ok("durability", format!("core.fsync = {value}; what lands is synced in any case"))
        }
        None => Check::ok("durability", "core.fsync is git's default; what lands is synced in any case"),
    }
}

fn locks_of(context: &Context) -> Check {
    let layout = context.layout();
    let gits = locks::gits(&context.repo, layout.map(|layout| layout.state.as_path())).unwrap_or_default();
    let (persons, shared): (Vec<_>, Vec<_>) =
        locks::old(&context.repo, WAIT).into_iter().partition(|lock| lock.is_persons);
    if let Some(lock) = shared.first() {
        let what = format!("`{}` is left of a git that was killed", lock.path.display());
        if let Some(git) = gits.first() {
            return Check::warning(
                "locks",
                what,
                format!("git {} works here: let it finish, or end it", git.id.pid),
            );
        }
        let check = Check::warning("locks", what, "a sprint removes it by itself after half a minute");
        return check.mended_by(Mend::RemoveFiles(shared.into_iter().map(|lock| lock.path).collect()));
    }
    match persons.first() {
        Some(lock) if gits.is_empty() => Check::warning(
            "locks",
            format!("`{}` is left in your checkout, which sprint never touches", lock.path.display()),
            format!("if nothing of yours is at work there: rm {}", lock.path.display()),
        ),
        Some(_) | None => Check::ok("locks", "none is left"),
    }
}

fn worktrees(context: &Context) -> Check {
    let Some(layout) = context.layout().filter(|layout| layout.state.is_dir()) else {
        return Check::ok("worktrees", "none yet");
    };
    let records = match Pool::open(&context.repo, &layout.state).and_then(|pool| pool.records()) {
        Ok(records) => records,
        Err(error) => {
            let fix = format!("ls -l {}", layout.worktrees().display());
            return Check::warning("worktrees", format!("the pool cannot be read: {error}"), fix);
        }
    };
    let pooled: BTreeSet<String> = records.into_iter().map(|record| record.admin).collect();
    let gone = gone(context, &layout.worktrees());
    if let Some(first) = gone.first() {
        let what = format!("git's list has {first}, which is not there{}", more(gone.len()));
        let check = Check::warning("worktrees", what, "a sprint takes it out by itself when it starts");
        return check.mended_by(Mend::ClearWorktrees);
    }
    Check::ok("worktrees", format!("{} in the pool", pooled.len()))
}

/// Worktrees of ours in git's list whose directories are not there.
fn gone(context: &Context, root: &Path) -> Vec<String> {
    let entries =
        std::fs::read_dir(context.repo.common_dir.join("worktrees")).into_iter().flatten().flatten();
    let mut gone: Vec<String> = entries
        .filter_map(|entry| {
            let place = std::fs::read_to_string(entry.path().join("gitdir")).ok()?;
            let place = PathBuf::from(place.trim());
            let directory = place.parent()?;
            (directory.starts_with(root) && !directory.is_dir()).then(|| directory.display().to_string())
        })
        .collect();
    gone.sort();
    gone
}

fn branches(context: &Context, state: &State) -> Check {
    let found = match branch::integrations(&context.repo) {
        Ok(found) => found,
        Err(error) => return Check::warning("branches", format!("cannot be read: {error}"), "git fsck"),
    };
    let is_at = |id, head| found.iter().any(|(feature, at)| feature == id && at == head);
    let moved = state.features.values().filter_map(|feature| {
        let head = feature.head.as_ref()?;
        (!is_at(&feature.id, head)).then(|| branch::integration(&feature.id))
    });
    let moved: Vec<String> = moved.collect();
    match moved.first() {
        Some(first) => Check::warning(
            "branches",
            format!("{first} is not where the database says{}", more(moved.len())),
            "`sprint verify` says what does not hold; a branch that you have merged and deleted is in order",
        ),
        None => Check::ok("branches", format!("{} of sprint's", found.len())),
    }
}

fn checked_out(context: &Context, state: &State) -> Check {
    let names = state.features.keys().map(branch::integration);
    let held = names.filter_map(|name| {
        let at = landing::checked_out_at(&context.repo, &branch::head_ref(&name)).ok()??;
        Some((at, name))
    });
    let held: Vec<(PathBuf, String)> = held.collect();
    match held.first() {
        Some((at, name)) => Check::warning(
            "checked-out",
            format!("{name} is checked out at `{}`: nothing lands there", at.display()),
            "switch to another branch there",
        ),
        None => Check::ok("checked-out", "none of sprint's branches"),
    }
}

fn more(count: usize) -> String {
    if count > NAMED_MAX { format!(", and {} more", count - 1) } else { String::new() }
}
