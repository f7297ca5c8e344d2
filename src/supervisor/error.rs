//! Why a supervisor ends before its work is done. State is kept; the next start recovers.

use std::path::PathBuf;

use crate::git;
use crate::process::lock::LockError;
use crate::store::StoreError;
use crate::tmux::server::ServerError;

/// Why the supervisor could not go on.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// Another one has the repository.
    #[error("another supervisor runs this repository")]
    Locked(#[source] LockError),
    /// The lock cannot be taken at all.
    #[error("the supervisor's lock cannot be taken")]
    Lock(#[source] LockError),
    /// The store failed: nothing is dispatched any more.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// tmux cannot be brought up.
    #[error("tmux cannot be used")]
    Tmux(#[from] ServerError),
    /// git failed where nothing can go on without it.
    #[error("git failed")]
    Git(#[from] git::Error),
    /// The state directory was removed under a running sprint. Everything that it started has ended.
    #[error("the state directory `{}` was removed while the sprint ran", path.display())]
    StateLost {
        /// The directory.
        path: PathBuf,
    },
    /// Anything of the system's: sockets, signals, directories.
    #[error("{what}")]
    System {
        /// What was tried.
        what: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl SupervisorError {
    pub(super) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}
