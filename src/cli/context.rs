//! Which repository a command is about, and where its sprint lives. Changes nothing.
//!
//! It works in the checkout, below it, in a linked worktree and in sprint's own worktrees: they
//! all share one git directory, and that directory holds the id.

use std::path::{Path, PathBuf};

use camino::Utf8PathBuf;
use git2::ErrorCode;

use super::environment::Environment;
use crate::config::layout::Layout;
use crate::config::{Config, Layer, Sources, load};
use crate::error::CliError;
use crate::git::id::{self, RepoId};
use crate::git::{self, Repo};
use crate::process::supervisor_file::SupervisorFile;
use crate::store::{Client, StoreError};
use crate::supervisor::Place;

/// A repository, and where its sprint lives if it has had one.
#[derive(Debug, Clone)]
pub struct Context {
    /// The repository.
    pub repo: Repo,
    /// Its id and its places; `None` if no sprint was ever started here.
    pub known: Option<(RepoId, Layout)>,
}

impl Context {
    /// The repository of the working directory.
    ///
    /// # Errors
    /// There is none (exit 4), or its id cannot be read.
    pub fn find(env: &Environment) -> Result<Self, CliError> {
        let repo = discover(&env.cwd)?;
        let known = id::read(&repo)
            .map_err(|error| git_error("the repository's `sprint.id` cannot be read", error))?;
        let known = known.map(|id| {
            let layout = layout_of(env, &repo, &id);
            (id, layout)
        });
        Ok(Self { repo, known })
    }

    /// Where the sprint lives.
    pub fn layout(&self) -> Option<&Layout> {
        self.known.as_ref().map(|(_, layout)| layout)
    }

    /// The store for reading; `None` if no sprint was ever started here.
    ///
    /// # Errors
    /// It is there and cannot be used (exit 3).
    pub fn reader(&self) -> Result<Option<Client>, CliError> {
        self.open(Client::open_read_only)
    }

    /// The store for requests; `None` if no sprint was ever started here.
    ///
    /// # Errors
    /// It is there and cannot be used (exit 3).
    pub fn writer(&self) -> Result<Option<Client>, CliError> {
        self.open(Client::open)
    }

    fn open(&self, with: impl Fn(&Path) -> Result<Client, StoreError>) -> Result<Option<Client>, CliError> {
        let Some(layout) = self.layout() else { return Ok(None) };
        match with(&layout.database()).and_then(|client| client.of_repository(&layout.hash)) {
            Ok(client) => Ok(Some(client)),
            Err(StoreError::Missing(_)) => Ok(None),
            Err(error) => Err(store_error(error)),
        }
    }

    /// The store and its places, where a command makes no sense without them.
    ///
    /// # Errors
    /// No sprint was ever started here or its state is gone (exit 4), or the store cannot be used
    /// (exit 3).
    pub fn required(&self) -> Result<(Client, &Layout), CliError> {
        match (self.writer()?, self.layout()) {
            (Some(client), Some(layout)) => Ok((client, layout)),
            _ => Err(self.no_state()),
        }
    }

    /// The supervisor that runs now.
    pub fn supervisor(&self) -> Option<SupervisorFile> {
        live_supervisor(&self.repo, self.layout()?)
    }

    /// Whether a supervisor of this sprint runs or has ever run.
    pub fn had_supervisor(&self) -> bool {
        self.layout().is_some_and(|layout| last_supervisor(&self.repo, layout).is_some())
    }

    /// The whole configuration, as `sprint start` would take it.
    ///
    /// # Errors
    /// What is wrong with it (exit 2).
    pub fn config(&self, env: &Environment) -> Result<Config, CliError> {
        Ok(load(&self.layers(env)?)?)
    }

    /// What the configuration is made of.
    ///
    /// # Errors
    /// A file or a variable cannot be read (exit 2).
    pub fn layers(&self, env: &Environment) -> Result<Vec<Layer>, CliError> {
        Ok(sources(env, Some(&self.repo.top)).read()?)
    }
}

/// The repository that a directory lies in.
///
/// # Errors
/// There is none, it is bare, or it is somebody else's (exit 4).
pub fn discover(cwd: &Path) -> Result<Repo, CliError> {
    Repo::discover(cwd).map_err(|error| {
        let code = match &error {
            git::Error::Lib { source, .. } => source.code(),
            _ => ErrorCode::GenericError,
        };
        let at = super::text::plain(&cwd.to_string_lossy(), 200);
        match code {
            ErrorCode::NotFound => CliError::refused(format!("`{at}` is not in a git repository"))
                .hint("go to a repository, or make one with `git init` and a first commit"),
            ErrorCode::BareRepo => CliError::refused(format!(
                "the repository at `{at}` is bare: it has no files to work on"
            ))
            .hint("call sprint where its files are: in a worktree of it (`git worktree list`), or a clone"),
            ErrorCode::Owner => {
                CliError::refused(format!("the repository at `{at}` belongs to another user"))
                    .hint(format!("if you trust it: git config --global --add safe.directory '{at}'"))
            }
            _ => git_error("the repository cannot be opened", error),
        }
    })
}

/// Where the configuration of a checkout is read; without one, the person's own.
pub fn sources(env: &Environment, top: Option<&Path>) -> Sources {
    let top = top.and_then(|top| Utf8PathBuf::from_path_buf(top.to_owned()).ok());
    Sources::usual(top.as_deref(), env.variables.clone(), Vec::new())
}

/// The places of a repository's sprint.
///
/// A worktree of sprint's own has a `sprint.toml` that an agent may have written; where the state
/// is not where that one says, the main checkout's says it.
pub fn layout_of(env: &Environment, repo: &Repo, id: &RepoId) -> Layout {
    let at = |top: &Path| Layout::new(&env.homes(state_dir(env, top)), &repo.name, &id.hash);
    let here = at(&repo.top);
    let main = repo.common_dir.parent().filter(|top| *top != repo.top && repo.common_dir.ends_with(".git"));
    match main {
        Some(main) if !here.database().exists() => at(main),
        _ => here,
    }
}

/// `general.state_dir` alone: a mistake elsewhere in the configuration must not hide the state.
fn state_dir(env: &Environment, top: &Path) -> Option<PathBuf> {
    let sources = sources(env, Some(top));
    let from_file = |path: &Utf8PathBuf| {
        let text = std::fs::read_to_string(path).ok()?;
        let table: toml::Table = text.parse().ok()?;
        Some(table.get("general")?.get("state_dir")?.as_str()?.to_owned())
    };
    let variable =
        env.get("SPRINT_CONFIG__general__state_dir").and_then(|value| value.to_str()).map(str::to_owned);
    let found = variable
        .or_else(|| from_file(sources.repository_file.as_ref()?))
        .or_else(|| from_file(sources.user_file.as_ref()?))
        .filter(|text| !text.is_empty())?;
    Some(match (found.strip_prefix("~/"), env.path("HOME")) {
        (Some(below), Some(home)) => home.join(below),
        _ => top.join(found),
    })
}

/// The supervisor that ran last, as its announcement or the lock of the repository says it.
fn last_supervisor(repo: &Repo, layout: &Layout) -> Option<SupervisorFile> {
    SupervisorFile::find(&layout.supervisor_file(), &Place::lock_of(repo), &layout.hash)
}

/// The supervisor that runs now.
pub fn live_supervisor(repo: &Repo, layout: &Layout) -> Option<SupervisorFile> {
    last_supervisor(repo, layout).filter(SupervisorFile::alive)
}

/// Whether a supervisor died before it had ended what it started: workers or the tmux server may
/// be there still, and only another supervisor can tell.
pub fn died_supervisor(repo: &Repo, layout: &Layout) -> bool {
    last_supervisor(repo, layout).is_some_and(|file| !file.ended && !file.alive())
}

/// No sprint was ever started here.
pub fn no_sprint() -> CliError {
    CliError::refused("no sprint was started in this repository yet")
        .hint("begin one: sprint start specs/001-thing")
}

/// An error of the store as a person reads it.
pub fn store_error(error: StoreError) -> CliError {
    let message = error.to_string();
    let cli = CliError::environment(message);
    match error {
        StoreError::Corrupt { path, .. } => {
            let snapshots = path.with_file_name("snapshots");
            cli.hint(format!(
                "`sprint start` makes it again from the newest copy in `{}`, and keeps the damaged one",
                snapshots.display()
            ))
        }
        StoreError::Foreign { path, .. } => CliError::refused(cli.message).hint(format!(
            "put this repository's own back (`sprint restore` with a file of `{}`), or move that one away: \
             `sprint start` then begins anew on what has landed",
            path.with_file_name("snapshots").display()
        )),
        StoreError::Full => cli.hint("make room, then repeat the command"),
        StoreError::Sqlite(source) => cli.because(source),
        StoreError::Row { source, .. } => cli.because(source),
        StoreError::Io { source, .. } => cli.because(source),
        StoreError::Missing(_)
        | StoreError::Newer { .. }
        | StoreError::Fenced { .. }
        | StoreError::Conflict { .. }
        | StoreError::ReadOnly(_) => cli,
    }
}

/// An error of git's as a person reads it.
pub fn git_error(what: &str, error: git::Error) -> CliError {
    CliError::environment(what).because(error)
}
