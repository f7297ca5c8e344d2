//! The short directory of one `sprint gates run`, and what a call that was killed has left.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{CliError, chain};
use crate::process::cgroup;
use crate::process::lock::{Lock, noted};
use crate::process::tree::{KILL_WAIT, RUN_MARK, Scope, end_tree};

/// From SIGTERM to SIGKILL for what a killed call has left.
const GRACE: Duration = Duration::from_secs(1);

/// Held as long as the call lives, so that the next one sees whether it does.
const LOCK: &str = ".lock";

/// What tools look for in the directories above the one that they work in: in `/tmp` anybody may have
/// put it.
const STRAYS: [&str; 18] = [
    "ruff.toml",
    ".ruff.toml",
    "pyproject.toml",
    "setup.cfg",
    "tox.ini",
    "pytest.ini",
    ".pytest.ini",
    "conftest.py",
    "mypy.ini",
    ".mypy.ini",
    "package.json",
    "node_modules",
    "tsconfig.json",
    "Cargo.toml",
    ".cargo",
    "rust-toolchain.toml",
    "go.mod",
    "go.work",
];

/// A directory of this call alone, for trees and temporary files. It goes with the call.
pub(super) struct Scratch {
    /// Where it is. Short: sockets go in there.
    pub(super) path: PathBuf,
    /// What the gates' programs carry in [`RUN_MARK`].
    mark: String,
    _lock: Lock,
}

impl Scratch {
    /// Makes it in the directory for temporary files, or in `other` where that would not do; and takes away
    /// what calls have left that live no more, with their processes.
    ///
    /// # Errors
    /// It cannot be made, or what lies above both would decide what tools find.
    pub(super) fn new(other: &Path) -> Result<Self, CliError> {
        let usual = std::env::temp_dir();
        let above = match stray_above(&usual) {
            None => usual,
            Some(_) if stray_above(other).is_none() => other.to_owned(),
            Some(file) => {
                let shown = file.display();
                return Err(CliError::environment(format!(
                    "tools that run in `{}` read `{shown}`",
                    usual.display()
                ))
                .hint("remove that file, or set TMPDIR to a directory with none of its kind above"));
            }
        };
        let prefix = format!("sprint-gates-{}-", nix::unistd::getuid());
        tidy(&above, &prefix);
        let path = above.join(format!("{prefix}{}", std::process::id()));
        let told = |error: &dyn std::fmt::Display| {
            CliError::environment(format!("`{}` cannot be made: {error}", path.display()))
        };
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| told(&error))?;
        let lock = Lock::try_exclusive(&path.join(LOCK), "sprint gates run").map_err(|error| told(&error))?;
        let mark = uuid::Uuid::new_v4().to_string();
        lock.note(&mark).map_err(|error| told(&error))?;
        Ok(Self { path, mark, _lock: lock })
    }

    /// The variables of the gates: the person's, and the mark by which their processes are found. Inside
    /// of a run that has a mark already, whoever ends that run finds them by it.
    pub(super) fn marked(&self, person: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
        let mut all = person.to_vec();
        if all.iter().all(|(name, _)| name != RUN_MARK) {
            all.push((RUN_MARK.into(), self.mark.clone().into()));
        }
        all
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::debug!(error = chain(&error), "a scratch directory stays");
        }
    }
}

/// The first of [`STRAYS`] in a directory or above it.
fn stray_above(directory: &Path) -> Option<PathBuf> {
    let all = directory.ancestors().flat_map(|above| STRAYS.iter().map(move |name| above.join(name)));
    all.into_iter().find(|file| file.symlink_metadata().is_ok())
}

fn tidy(above: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(above) else { return };
    let left = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    for directory in left.map(|entry| entry.path()) {
        if let Err(why) = tidy_one(&directory) {
            tracing::debug!(directory = %directory.display(), why, "what an earlier call has left stays");
        }
    }
}

/// Ends what still runs there and removes the directory, if it is ours and its call lives no more.
fn tidy_one(directory: &Path) -> Result<(), String> {
    let told = |error: &dyn std::error::Error| chain(error);
    let meta = directory.symlink_metadata().map_err(|error| told(&error))?;
    let file = directory.join(LOCK);
    // One without a lock has just been made.
    if !meta.is_dir() || meta.uid() != nix::unistd::getuid().as_raw() || !file.is_file() {
        return Ok(());
    }
    let mark = noted(&file).map_err(|error| told(&error))?;
    let lock = Lock::try_exclusive(&file, "sprint gates run").map_err(|error| told(&error))?;
    if let Some(mark) = mark {
        // The lock's new owner has noted nothing yet; who comes after us may need it.
        lock.note(&mark).map_err(|error| told(&error))?;
        let scope = Scope { mark: Some(mark), ..Scope::default() };
        end_tree(&scope, GRACE, KILL_WAIT).map_err(|error| told(&error))?;
        // What still holds something is removed by whoever sweeps next.
        drop(cgroup::sweep());
    }
    fs::remove_dir_all(directory).map_err(|error| told(&error))
}
