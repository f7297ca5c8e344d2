//! What can go wrong between sprint and a repository, in one enum.

use std::path::{Path, PathBuf};

/// A git operation that failed. Refusals at start are [`super::preflight::Refusal`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The binary could not be started.
    #[error("git could not be started")]
    Spawn(#[source] std::io::Error),
    /// The binary said no.
    #[error("`git {command}` failed with {status}{}{stderr}", if stderr.is_empty() { "" } else { ": " })]
    Failed {
        /// Its arguments, without the fixed ones.
        command: String,
        /// `exit code 128`, `signal 9`.
        status: String,
        /// What it said, bounded.
        stderr: String,
    },
    /// The binary took longer than its deadline, and was killed.
    #[error("`git {command}` was not done after {seconds} s")]
    Timeout {
        /// Its arguments, without the fixed ones.
        command: String,
        /// The deadline.
        seconds: u64,
    },
    /// The binary printed more than fits.
    #[error("`git {command}` printed more than {limit} bytes")]
    TooMuchOutput {
        /// Its arguments, without the fixed ones.
        command: String,
        /// The bound.
        limit: usize,
    },
    /// libgit2 said no.
    #[error("{what}")]
    Lib {
        /// What was to be done.
        what: String,
        /// Why not.
        #[source]
        source: git2::Error,
    },
    /// A file could not be read or written.
    #[error("cannot {what} `{path}`")]
    Io {
        /// The verb: "read", "write", "remove".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The link between a worktree and the repository is not the one that sprint made.
    #[error("worktree `{path}` is not as sprint made it: {what}")]
    Tampered {
        /// The worktree.
        path: PathBuf,
        /// The difference.
        what: String,
    },
    /// A worktree may not be given back yet.
    #[error("worktree `{path}` is kept: {why}")]
    Kept {
        /// The worktree.
        path: PathBuf,
        /// What has not landed or is not saved.
        why: String,
    },
    /// The lock of the worktree pool was held by somebody else for too long.
    #[error("`{path}` was locked by another process for {seconds} s")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A file of sprint's own does not have the form that it must have.
    #[error("`{path}` cannot be read: {what}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A path out of the configuration or a repository that leads elsewhere.
    #[error("path `{path}` is refused: {why}")]
    UnsafePath {
        /// The path as given.
        path: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// `[worktree] setup` failed: the operator's concern, no attempt is spent.
    #[error("worktree setup failed: {0}")]
    Setup(String),
}

/// The result of this module.
pub type Result<T> = std::result::Result<T, Error>;

/// Adds what was being done to an error of libgit2.
pub(crate) trait LibContext<T> {
    fn during(self, what: impl Into<String>) -> Result<T>;
}

impl<T> LibContext<T> for std::result::Result<T, git2::Error> {
    fn during(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|source| Error::Lib { what: what.into(), source })
    }
}

/// Adds verb and path to an I/O error.
pub(crate) trait IoContext<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { what, path: path.to_owned(), source })
    }
}
