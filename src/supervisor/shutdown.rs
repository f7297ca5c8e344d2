//! The end: workers finish or are interrupted, the tmux server goes, nothing is left behind.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::SupervisorError;
use super::place::proc_id;
use super::run::Supervisor;
use crate::domain::worker::{Life, ProcRef};
use crate::process::{cgroup, clock};

/// How long workers may take to end their runs and report.
const WORKERS_MS: u64 = 45_000;
/// After that they are killed, and what they left is cleared within this.
const KILLED_MS: u64 = 40_000;

/// Ends every worker and the tmux server; returns when nothing of them lives.
pub(super) async fn end(supervisor: &mut Supervisor) -> Result<(), SupervisorError> {
    tracing::info!(now = supervisor.ends_now(), "the end");
    signal_all(supervisor, Signal::SIGTERM);
    wait_until_gone(supervisor, WORKERS_MS).await?;
    signal_all(supervisor, Signal::SIGKILL);
    wait_until_gone(supervisor, KILLED_MS).await?;
    supervisor.panes.close().await?;
    drop(cgroup::sweep());
    supervisor.apply(Vec::new()).await
}

/// Registered workers whose process is there.
pub(super) fn living(supervisor: &Supervisor) -> Vec<ProcRef> {
    let workers = supervisor.engine.state().workers.values();
    workers.filter_map(|worker| worker.life.proc().cloned()).filter(|proc| proc_id(proc).alive()).collect()
}

/// To all of them.
pub(super) fn signal_all(supervisor: &Supervisor, signal: Signal) {
    for proc in living(supervisor) {
        let sent = proc_id(&proc).open().and_then(|fd| fd.map_or(Ok(()), |fd| fd.signal(signal)));
        if let Err(error) = sent {
            tracing::warn!(pid = proc.pid, %error, "a worker cannot be signalled");
        }
    }
}

/// Results and deaths are applied as they come, until no worker lives and no run is cleared.
async fn wait_until_gone(supervisor: &mut Supervisor, limit_ms: u64) -> Result<(), SupervisorError> {
    let end = clock::monotonic_ms() + limit_ms;
    while busy(supervisor) && clock::monotonic_ms() < end {
        let left = Duration::from_millis(end.saturating_sub(clock::monotonic_ms()));
        supervisor.wait_for_note(left.min(Duration::from_millis(500))).await?;
    }
    Ok(())
}

fn busy(supervisor: &Supervisor) -> bool {
    let state = supervisor.engine.state();
    let clearing = state.workers.values().any(|worker| matches!(worker.life, Life::Clearing { .. }));
    let open = supervisor.engine.store().open_effects().is_ok_and(|effects| !effects.is_empty());
    clearing
        || open
        || !living(supervisor).is_empty()
        || state.workers.values().any(|w| w.life.proc().is_some())
}
