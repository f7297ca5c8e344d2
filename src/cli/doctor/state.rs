//! The state directory: whose it is, what is in it, and whether that is whole.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::check::Check;
use super::mend::Mend;
use crate::cli::context::{Context, died_supervisor};
use crate::cli::text::{bytes, count};
use crate::config::layout::Layout;
use crate::domain::state::State;
use crate::process::clock;
use crate::store::pinned::{self, LOG_BYTES_MAX};
use crate::store::schema::VERSION;
use crate::store::{Client, Stand, StoreError, ladder, reports, snapshot_names};

/// With fewer a repository of some size does not fit.
const INODES_MIN: u64 = 10_000;
/// What is in the future by more than this was written by another clock.
const AHEAD_MS: i64 = 3_600_000;

/// Everything of the state directory of a sprint that has begun.
pub(super) fn checks(context: &Context, layout: &Layout) -> Vec<Check> {
    let mut all = vec![modes(layout), directories(layout)];
    if !layout.database().exists() {
        all.push(missing(layout));
        return all;
    }
    let stand = Stand::of(&layout.database());
    all.push(database(&stand));
    if let Ok(stand) = &stand {
        all.extend([
            schema(stand),
            owner(stand, layout),
            epoch(context, stand),
            clock_of(stand),
            inbox(context, stand),
        ]);
    }
    all.extend([
        log(layout),
        copies(layout),
        damaged(layout),
        reported(layout),
        supervisor(context),
        inodes(layout),
    ]);
    all
}

/// The sprint's state, as far as it can be read.
pub(super) fn read(layout: &Layout) -> Option<State> {
    Client::open_read_only(&layout.database())
        .and_then(|client| client.overview())
        .ok()
        .map(|read| read.state)
}

/// Directories 0700, files of the person alone.
fn modes(layout: &Layout) -> Check {
    let files =
        ["sprint.db", "sprint.db-wal", "sprint.db-shm", "start.json"].map(|name| layout.state.join(name));
    let all = layout.directories().into_iter().chain(files);
    let open: Vec<PathBuf> = all.filter(is_open).collect();
    match open.first() {
        Some(first) => Check::problem(
            "modes",
            format!("others may read `{}`", first.display()),
            format!("chmod go= {}", first.display()),
        )
        .mended_by(Mend::Close(open)),
        None => Check::ok("modes", "yours alone"),
    }
}

fn is_open(path: &PathBuf) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_symlink() && meta.permissions().mode() & 0o077 != 0)
}

fn directories(layout: &Layout) -> Check {
    // The runtime directory may go at any time; a sprint makes it anew.
    let parts = layout.directories().into_iter().filter(|path| layout.holds(path));
    let missing: Vec<PathBuf> = parts.filter(|path| !path.is_dir()).collect();
    match missing.first() {
        Some(first) => Check::warning(
            "directories",
            format!("`{}` is not there", first.display()),
            "`sprint start` makes it",
        )
        .mended_by(Mend::Make(missing)),
        None => Check::ok("directories", "are there"),
    }
}

fn missing(layout: &Layout) -> Check {
    if snapshot_names(&layout.snapshots()).is_empty() {
        return Check::ok("database", "none yet");
    }
    Check::problem("database", "it is gone, though there are copies of it", "`sprint start` makes it again")
        .mended_by(Mend::MakeAgain)
}

fn database(stand: &Result<Stand, StoreError>) -> Check {
    match stand {
        Ok(stand) => Check::ok("database", format!("whole, {} in the history", count(stand.events, "line"))),
        Err(error @ StoreError::Corrupt { .. }) => Check::problem(
            "database",
            error.to_string(),
            "`sprint start` makes it again from the newest whole copy, and keeps the damaged one",
        )
        .mended_by(Mend::MakeAgain),
        Err(error) => {
            Check::problem("database", crate::error::chain(error), "look at its owner and at the disk")
        }
    }
}

fn schema(stand: &Stand) -> Check {
    match stand.version {
        newer if newer > VERSION => Check::problem(
            "schema",
            format!("version {newer}; this program knows up to {VERSION}"),
            "use the newer sprint that wrote it",
        ),
        VERSION => Check::ok("schema", format!("version {VERSION}")),
        older => Check::ok("schema", format!("version {older}; the next start brings it to {VERSION}")),
    }
}

fn owner(stand: &Stand, layout: &Layout) -> Check {
    match &stand.mark {
        Some(mark) if *mark != layout.hash => Check::problem(
            "owner",
            format!("the database is of another repository ({mark}; this one is {})", layout.hash),
            "`sprint restore` a copy of this one's, or move that file away",
        ),
        Some(_) => Check::ok("owner", "this repository"),
        None => Check::ok("owner", "not said yet; the next start does"),
    }
}

fn epoch(context: &Context, stand: &Stand) -> Check {
    match context.supervisor() {
        Some(file) if file.epoch != stand.epoch => Check::problem(
            "epoch",
            format!(
                "supervisor {} is of epoch {}, the database of {}",
                file.process.pid, file.epoch, stand.epoch
            ),
            format!("end that supervisor: kill {}; then sprint start", file.process.pid),
        ),
        Some(_) | None => Check::ok("epoch", stand.epoch.to_string()),
    }
}

/// The clock of the machine, as the history knows it.
fn clock_of(stand: &Stand) -> Check {
    let ahead = stand.newest_wall_ms.unwrap_or(0) - clock::wall_ms();
    if ahead > AHEAD_MS {
        let what = "the newest line of the history is in the future: the clock was set back";
        return Check::warning("clock", what, "nothing is decided by it; set it if it is wrong now");
    }
    Check::ok("clock", "agrees with the history")
}

fn inbox(context: &Context, stand: &Stand) -> Check {
    let waiting = count(stand.inbox, "message");
    match (stand.inbox, context.supervisor()) {
        (0, _) => Check::ok("inbox", "empty"),
        (_, Some(_)) => Check::ok("inbox", format!("{waiting}, which the supervisor is about to take")),
        (_, None) => Check::ok("inbox", format!("{waiting}, applied at the next `sprint start`")),
    }
}

fn log(layout: &Layout) -> Check {
    let size = pinned::log_bytes(&layout.database());
    if size <= LOG_BYTES_MAX {
        return Check::ok("log", bytes(size));
    }
    Check::warning(
        "log",
        format!("{}: somebody reads the database and does not stop", bytes(size)),
        "`sprint health` names who",
    )
    .mended_by(Mend::Checkpoint)
}

fn copies(layout: &Layout) -> Check {
    let unfinished = layout.snapshots().join("unfinished.db");
    if unfinished.exists() {
        let what = "one was never finished";
        return Check::warning("copies", what, "the next one takes its place")
            .mended_by(Mend::RemoveFiles(vec![unfinished]));
    }
    let names = snapshot_names(&layout.snapshots());
    let bad: Vec<PathBuf> = names.iter().filter(|copy| Stand::of(copy).is_err()).cloned().collect();
    match (bad.first(), names.len()) {
        (Some(first), _) => {
            let name = first.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Check::warning(
                "copies",
                format!("{name} is not whole"),
                "look at the disk; a new one is made now with --fix",
            )
            .mended_by(Mend::Copy)
        }
        (None, 0) => Check::warning("copies", "there is none", "one is made every ten minutes of a sprint")
            .mended_by(Mend::Copy),
        (None, many) => Check::ok("copies", format!("{many}, whole")),
    }
}

fn damaged(layout: &Layout) -> Check {
    let kept = ladder::damaged(&layout.database());
    match kept.last() {
        Some(newest) => Check::warning(
            "damaged",
            format!("{} kept, the newest `{}`", count(kept.len(), "damaged database"), newest.display()),
            "look at the disk; when you need it no more, remove it",
        ),
        None => Check::ok("damaged", "none"),
    }
}

fn reported(layout: &Layout) -> Check {
    let runs = fs::read_dir(layout.runs()).into_iter().flatten().flatten().map(|entry| entry.path());
    let (mut read, mut bad) = (0, Vec::new());
    for run in runs {
        match reports::read(&run) {
            Ok(found) => read += usize::from(found.is_some()),
            Err(_) => bad.push(run),
        }
    }
    match bad.first() {
        Some(run) => Check::warning(
            "reports",
            format!("that in `{}` cannot be read", run.display()),
            "the run was done again, or is; `sprint verify` says whether anything is lost",
        ),
        None => Check::ok("reports", format!("{} can be read", count(read, "report"))),
    }
}

fn supervisor(context: &Context) -> Check {
    let died = context.layout().is_some_and(|layout| died_supervisor(&context.repo, layout));
    match context.supervisor() {
        Some(file) => Check::ok("supervisor", format!("{} runs", file.process.pid)),
        None if died => Check::warning(
            "supervisor",
            "the last one died before it had ended what it started",
            "`sprint start` goes on; `sprint stop --now` ends what is left",
        ),
        None => Check::ok("supervisor", "none runs"),
    }
}

fn inodes(layout: &Layout) -> Check {
    match nix::sys::statvfs::statvfs(&layout.state) {
        // Some file systems have no such number.
        Ok(stat) if stat.files() > 0 && stat.files_available() < INODES_MIN => Check::problem(
            "inodes",
            format!("room for only {} files", stat.files_available()),
            "remove what has many small files: caches, old worktrees",
        ),
        Ok(_) => Check::ok("inodes", "enough"),
        Err(error) => Check::warning(
            "inodes",
            format!("not known: {error}"),
            format!("df -i {}", layout.state.display()),
        ),
    }
}
