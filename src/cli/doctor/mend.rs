//! What `sprint doctor --fix` does by itself. Nothing of it loses anything but for what needs `--yes`, and
//! what a sprint works with is only touched while none runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::environment::Environment;
use crate::config::layout::Layout;
use crate::error::chain;
use crate::git::Repo;
use crate::git::pool::Pool;
use crate::process::cgroup;
use crate::process::child::{Session, Spec, Stdin};
use crate::process::clock;
use crate::process::lock::Lock;
use crate::process::private::make_private;
use crate::process::run::run;
use crate::store::{Store, ladder};
use crate::supervisor::Place;

/// How long tmux may take to end.
const TMUX_WAIT: Duration = Duration::from_secs(10);

/// One thing to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mend {
    /// These are the person's alone again.
    Close(Vec<PathBuf>),
    /// These directories are made.
    Make(Vec<PathBuf>),
    /// Files that are nobody's go.
    RemoveFiles(Vec<PathBuf>),
    /// Temporary directories go, with what is in them.
    RemoveDirectories(Vec<PathBuf>),
    /// Control groups that hold nothing go.
    RemoveGroups,
    /// Entries of git's list whose worktrees are not there go.
    ClearWorktrees,
    /// The log goes into the database.
    Checkpoint,
    /// A copy of the database is made.
    Copy,
    /// The database is made again.
    MakeAgain,
    /// The tmux server of that name ends.
    EndTmux(String),
}

/// Where it is done.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) env: &'a Environment,
    pub(super) repo: &'a Repo,
    pub(super) layout: &'a Layout,
}

impl Mend {
    /// What it does, for people.
    pub(super) fn text(&self) -> String {
        let files = |paths: &[PathBuf]| match paths {
            [one] => format!("`{}`", one.display()),
            many => format!("{} files and directories", many.len()),
        };
        match self {
            Self::Close(paths) => format!("lets nobody but you into {}", files(paths)),
            Self::Make(paths) => format!("makes {}", files(paths)),
            Self::RemoveFiles(paths) | Self::RemoveDirectories(paths) => format!("removes {}", files(paths)),
            Self::RemoveGroups => "removes empty control groups".to_owned(),
            Self::ClearWorktrees => "takes worktrees that are not there out of git's list".to_owned(),
            Self::Checkpoint => "takes the log into the database".to_owned(),
            Self::Copy => "makes a copy".to_owned(),
            Self::MakeAgain => {
                "makes it again from the newest whole copy, and keeps the damaged one".to_owned()
            }
            Self::EndTmux(name) => format!("ends the tmux server {name}"),
        }
    }

    /// Whether something is lost by it, or somebody could still want it.
    pub(super) fn needs_yes(&self) -> bool {
        matches!(self, Self::MakeAgain | Self::EndTmux(_))
    }

    /// Whether no sprint may run meanwhile.
    fn needs_rest(&self) -> bool {
        !matches!(self, Self::Close(_) | Self::Make(_) | Self::RemoveGroups)
    }

    /// Does it.
    ///
    /// # Errors
    /// Why it could not be done, for people.
    pub(super) fn apply(&self, around: Around<'_>) -> Result<(), String> {
        let _alone = if self.needs_rest() { Some(alone(around)?) } else { None };
        let database = around.layout.database();
        let told = |error: crate::store::StoreError| chain(&error);
        match self {
            Self::Close(paths) => each(paths, close),
            Self::Make(paths) => {
                paths.iter().try_for_each(|path| make_private(path).map_err(|error| chain(&error)))
            }
            Self::RemoveFiles(paths) => each(paths, |path| fs::remove_file(path)),
            Self::RemoveDirectories(paths) => each(paths, |path| fs::remove_dir_all(path)),
            Self::RemoveGroups => match cgroup::sweep().first() {
                Some(left) => Err(format!("`{}` still holds something", left.display())),
                None => Ok(()),
            },
            Self::ClearWorktrees => Pool::open(around.repo, &around.layout.state)
                .and_then(|pool| pool.clear_unusable())
                .map(drop)
                .map_err(|error| chain(&error)),
            Self::Checkpoint => Store::open(&database).and_then(|store| store.checkpoint()).map_err(told),
            Self::Copy => Store::open(&database)
                .and_then(|store| store.snapshot(&around.layout.snapshots(), clock::wall_ms()))
                .map(drop)
                .map_err(told),
            Self::MakeAgain => {
                ladder::open(&database, &around.layout.snapshots(), clock::wall_ms()).map(drop).map_err(told)
            }
            Self::EndTmux(name) => end_tmux(name, around.env),
        }
    }
}

fn alone(around: Around<'_>) -> Result<(Lock, Lock), String> {
    let told = |_| "a sprint runs here, or begins: `sprint stop`, then again".to_owned();
    let begins = around.layout.start_lock();
    if let Some(directory) = begins.parent() {
        make_private(directory).map_err(|error| chain(&error))?;
    }
    let turn = Lock::try_exclusive(&begins, "sprint doctor").map_err(told)?;
    let own = Lock::try_exclusive(&Place::lock_of(around.repo), "sprint doctor").map_err(told)?;
    Ok((turn, own))
}

fn each(paths: &[PathBuf], act: impl Fn(&Path) -> std::io::Result<()>) -> Result<(), String> {
    paths.iter().try_for_each(|path| match act(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("`{}`: {error}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    })
}

/// Takes away what others may; never follows a link.
fn close(path: &Path) -> std::io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_symlink() {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(meta.permissions().mode() & 0o700))
}

fn end_tmux(name: &str, env: &Environment) -> Result<(), String> {
    let spec = Spec {
        program: "tmux".into(),
        args: ["-L", name, "kill-server"].map(Into::into).to_vec(),
        cwd: "/".into(),
        env: env.variables.clone(),
        stdin: Stdin::Null,
        timeout: TMUX_WAIT,
        output_max: 4096,
        grace: Duration::from_secs(1),
        session: Session::NewGroup,
        bounds: None,
    };
    let outcome = run(&spec, &mut |_, _| {}, &|| false).map_err(|error| chain(&error))?;
    if outcome.success() { Ok(()) } else { Err(String::from_utf8_lossy(&outcome.stderr).trim().to_owned()) }
}
