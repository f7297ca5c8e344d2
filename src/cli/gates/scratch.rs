//! The short directory of one `sprint gates run`, and what a call that was killed has left.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use crate::error::{CliError, chain};
use crate::process::cgroup;
use crate::process::lock::{Lock, noted};
use crate::process::tree::{KILL_WAIT, RUN_MARK, Scope, end_tree};

/// From SIGTERM to SIGKILL for what a killed call has left.
const GRACE: Duration = Duration::from_secs(1);

/// Held as long as the call lives, so that the next one sees whether it does.
const LOCK: &str = ".lock";

/// A file system in memory, on every Linux.
const IN_MEMORY: &str = "/dev/shm";

/// Larger trees are not written there.
const IN_MEMORY_MAX: u64 = 64 << 20;

/// So many times a tree's size has to be free there: there may be two of them, and others need room too.
const IN_MEMORY_SPARE: u64 = 8;

/// Directories of one name that are passed by before it is given up.
const NAMES_MAX: u32 = 100;

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
        Self::below(&above).map_err(|error| {
            let shown = above.display();
            CliError::environment(format!("a directory in `{shown}` cannot be made: {}", chain(&*error)))
        })
    }

    /// The same in memory, for trees of so many bytes that nobody writes to: a disk's file system takes tens of
    /// milliseconds to make a hundred files where as many have gone shortly before. `None` where there is no such
    /// place or too little room, and for a person who has named a directory for temporary files.
    pub(super) fn in_memory(bytes: u64) -> Option<Self> {
        let above = Path::new(IN_MEMORY);
        let free = || {
            let found = statfs(above).ok().filter(|found| found.filesystem_type() == TMPFS_MAGIC)?;
            Some(found.blocks_available().saturating_mul(u64::try_from(found.block_size()).ok()?))
        };
        let fits = std::env::var_os("TMPDIR").is_none()
            && bytes <= IN_MEMORY_MAX
            && free()? >= IN_MEMORY_MAX.max(IN_MEMORY_SPARE * bytes)
            && stray_above(above).is_none();
        if fits { Self::below(above).ok() } else { None }
    }

    fn below(above: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let prefix = format!("sprint-gates-{}-", nix::unistd::getuid());
        fs::create_dir_all(above)?;
        tidy(above, &prefix);
        let path = make(&above.join(format!("{prefix}{}", std::process::id())))?;
        let lock = Lock::try_exclusive(&path.join(LOCK), "sprint gates run")?;
        let mark = uuid::Uuid::new_v4().to_string();
        lock.note(&mark)?;
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

/// A directory that was not there: in `/tmp` anybody may have made one that will be called so.
fn make(wanted: &Path) -> io::Result<PathBuf> {
    let mut path = wanted.to_owned();
    for other in 1..=NAMES_MAX {
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path.clone_from(&wanted.with_added_extension(other.to_string()));
            }
            made => return made.map(|()| path),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_somebody_else_has_made_is_passed_by() {
        let above = tempfile::tempdir().unwrap();
        let wanted = above.path().join("sprint-gates-1-2");
        assert_eq!(make(&wanted).unwrap(), wanted);
        let second = make(&wanted).unwrap();
        assert_eq!(second, above.path().join("sprint-gates-1-2.1"));
        assert_eq!(second.metadata().unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_large_tree_is_not_written_into_memory() {
        assert!(Scratch::in_memory(IN_MEMORY_MAX + 1).is_none());
    }
}
