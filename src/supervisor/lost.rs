//! The state directory was removed while the sprint ran: there is nothing to go on with. Nothing
//! is decided or written any more; workers, what they started, and the tmux server end, so that
//! nothing goes on that nobody knows of. What has landed is in git.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::SupervisorError;
use super::place::proc_id;
use super::run::Supervisor;
use super::shutdown::{living, signal_all};
use crate::domain::ids::RunId;
use crate::process::tree::{KILL_WAIT, Scope, end_tree};
use crate::process::watch::gone_within;

/// How long workers may take to end what they run: they end an agent within ten seconds.
const WORKERS: Duration = Duration::from_secs(20);
/// After SIGKILL.
const KILLED: Duration = Duration::from_secs(5);
/// From SIGTERM to SIGKILL for what a worker left behind.
const GRACE: Duration = Duration::from_secs(2);

/// Ends everything that was started.
///
/// # Errors
/// Always [`SupervisorError::StateLost`]: that it ended well does not make it a success.
pub(super) async fn end(supervisor: &mut Supervisor) -> Result<(), SupervisorError> {
    tracing::error!("the state directory is gone; everything ends");
    for (signal, limit) in [(Signal::SIGTERM, WORKERS), (Signal::SIGKILL, KILLED)] {
        signal_all(supervisor, signal);
        wait(supervisor, limit).await;
    }
    let runs = supervisor.engine.state().runs.keys().cloned().collect();
    match tokio::task::spawn_blocking(move || end_runs(runs)).await {
        Ok(()) => {}
        Err(error) => tracing::error!(%error, "what runs left behind could not be ended"),
    }
    if let Err(error) = supervisor.panes.close().await {
        tracing::error!(error = crate::error::chain(&error), "the tmux server cannot be ended");
    }
    if let Err(error) = supervisor.presence.end() {
        tracing::warn!(error = crate::error::chain(&error), "the end cannot be announced");
    }
    Err(SupervisorError::StateLost { path: supervisor.place.layout.state.clone() })
}

async fn wait(supervisor: &Supervisor, limit: Duration) {
    let end = Instant::now() + limit;
    for proc in living(supervisor) {
        let left = end.saturating_duration_since(Instant::now());
        if let Err(error) = gone_within(&proc_id(&proc), left).await {
            tracing::warn!(pid = proc.pid, %error, "a worker cannot be watched");
        }
    }
}

/// Known by their mark alone: the worktrees that they worked in are gone.
fn end_runs(runs: Vec<RunId>) {
    for run in runs {
        let scope = Scope { leaders: Vec::new(), mark: Some(run.to_string()), worktree: None };
        if let Err(error) = end_tree(&scope, GRACE, KILL_WAIT) {
            tracing::error!(%run, %error, "something of a run cannot be ended");
        }
    }
}
