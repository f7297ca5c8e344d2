//! `sprint backup` and `sprint restore`: the database as a file of the person's. What has landed is in git; what
//! runs have reported is beside the database; a sprint that starts on a restored one finds both.

use std::path::Path;

use super::context::{Context, git_error, live_supervisor, store_error};
use super::environment::Environment;
use super::out::Out;
use super::text::{count, plain};
use crate::domain::state::State;
use crate::error::{CliError, exit};
use crate::git::{Repo, contents};
use crate::process::clock;
use crate::process::lock::{Lock, LockError};
use crate::store::{Client, StoreError, ladder};
use crate::supervisor::Place;

/// Copies the database, also while a sprint runs.
///
/// # Errors
/// The file is there already (exit 4), or cannot be written (exit 3).
pub(super) fn backup(file: &Path, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let client = context.reader()?.ok_or_else(|| context.no_state())?;
    let file = env.cwd.join(file);
    if file.exists() {
        return Err(CliError::refused(format!("`{}` is there already", shown(&file)))
            .hint("name a file that is not there: a backup overwrites nothing"));
    }
    client.copy_to(&file).map_err(store_error)?;
    let state = client.overview().map_err(store_error)?.state;
    out.line(format!("{} written: {}", shown(&file), said(&state)));
    out.line("what has landed, and work that has not, is in git: keep the repository too");
    Ok(exit::DONE)
}

/// Puts a backup in the database's place.
///
/// # Errors
/// A sprint runs, or the backup is another repository's (exit 4); it is not whole (exit 3).
pub(super) fn restore(file: &Path, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let layout = context.layout().ok_or_else(|| context.no_state())?;
    let file = env.cwd.join(file);
    if live_supervisor(&context.repo, layout).is_some() {
        return Err(CliError::refused("a sprint runs here").hint("end it first: sprint stop"));
    }
    let state = state_of(&file)?;
    belongs(&context.repo, &state)?;
    let _turn = Lock::try_exclusive(&layout.start_lock(), "sprint restore").map_err(used)?;
    let _alone = Lock::try_exclusive(&Place::lock_of(&context.repo), "sprint restore").map_err(used)?;
    let mended =
        ladder::restore((&layout.database(), &layout.hash), &file, clock::wall_ms()).map_err(store_error)?;
    out.line(format!("restored: {}", said(&state)));
    if let Some(kept) = mended.kept {
        out.line(format!("what was there is kept as {}", shown(&kept)));
    }
    out.line("`sprint start` goes on from there, with what runs have reported since and what has landed");
    Ok(exit::DONE)
}

fn used(error: LockError) -> CliError {
    CliError::refused("somebody else is about to use the database")
        .because(error)
        .hint("try again in a moment")
}

fn state_of(file: &Path) -> Result<State, CliError> {
    let overview = Client::open_read_only(file).and_then(|backup| backup.overview());
    overview.map(|overview| overview.state).map_err(|error| match error {
        StoreError::Missing(_) | StoreError::Corrupt { .. } | StoreError::Row { .. } => {
            CliError::environment(format!("`{}` is no backup of sprint's", shown(file)))
                .because(error)
                .hint("name a file that `sprint backup` has written")
        }
        other => store_error(other),
    })
}

/// What a backup says has landed must be in this repository.
fn belongs(repo: &Repo, state: &State) -> Result<(), CliError> {
    let heads = state.features.values().filter_map(|feature| Some((&feature.id, feature.head.as_ref()?)));
    for (id, head) in heads {
        let there = contents::has_commit(repo, head);
        if !there.map_err(|error| git_error("the repository cannot be read", error))? {
            let text =
                format!("the backup is of another repository: {} of {id} is not in this one", head.short());
            return Err(CliError::refused(text).hint("restore it in the repository that it was made of"));
        }
    }
    Ok(())
}

fn said(state: &State) -> String {
    let closed = state.tasks.values().filter(|task| task.closed()).count();
    format!("{}, {closed} of them closed", count(state.tasks.len(), "task"))
}

fn shown(file: &Path) -> String {
    plain(&file.to_string_lossy(), 500)
}
