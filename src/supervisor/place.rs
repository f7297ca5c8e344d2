//! Where a sprint is: its repository and its state.

use std::path::PathBuf;

use crate::config::layout::Layout;
use crate::domain::ids::FeatureId;
use crate::domain::worker::ProcRef;
use crate::git::Repo;
use crate::process::identity::ProcId;

/// The repository and the places of its sprint.
#[derive(Debug, Clone)]
pub struct Place {
    /// The repository.
    pub repo: Repo,
    /// State, sockets, logs.
    pub layout: Layout,
}

impl Place {
    /// The feature's integration branch.
    pub fn branch(feature: &FeatureId) -> String {
        crate::git::branch::integration(feature)
    }

    /// The lock that makes a supervisor the only one of its repository, whatever the state
    /// directory is.
    pub fn lock(&self) -> PathBuf {
        Self::lock_of(&self.repo)
    }

    /// The lock of a repository: see [`Self::lock`].
    pub fn lock_of(repo: &Repo) -> PathBuf {
        repo.common_dir.join("sprint.lock")
    }
}

/// A process as the system knows it.
pub(super) fn proc_id(proc: &ProcRef) -> ProcId {
    ProcId { boot_id: proc.boot.clone(), pid: proc.pid.cast_signed(), start_ticks: proc.start }
}
