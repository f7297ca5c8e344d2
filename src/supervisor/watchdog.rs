//! Heartbeats: a busy worker that does not beat and uses no CPU is ended; silence alone is not.
//!
//! The worker itself judges its agent. This is about the worker: stopped, or stuck in the kernel.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;

use super::Place;
use super::place::proc_id;
use crate::domain::ids::WorkerName;
use crate::domain::state::State;
use crate::domain::worker::Life;
use crate::process::clock;
use crate::process::tree::tree_usage;

/// A look that comes so late means that the supervisor itself was stopped: nobody is judged.
const OWN_STOP_MS: u64 = 90_000;

/// What the last look saw.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    last_ms: Option<u64>,
    cpu: BTreeMap<WorkerName, u64>,
}

impl Watchdog {
    /// One look at all busy workers. One that has not beaten for `hung` and used no CPU between
    /// two looks is ended.
    pub(super) fn look(&mut self, place: &Place, state: &State, hung: Duration) {
        let now = clock::monotonic_ms();
        let stopped = self.last_ms.is_some_and(|last| now - last > OWN_STOP_MS);
        self.last_ms = Some(now);
        let mut seen = BTreeMap::new();
        for worker in state.workers.values() {
            let Life::Busy { proc, .. } = &worker.life else { continue };
            let beat =
                std::fs::metadata(place.layout.heartbeat(&worker.name)).and_then(|meta| meta.modified());
            let age = beat.ok().and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default();
            if age < hung {
                continue;
            }
            let used = tree_usage(&[proc.pid.cast_signed()])
                .ok()
                .and_then(|usage| usage.first().map(|u| u.cpu_ticks));
            let Some(used) = used else { continue };
            let idle = self.cpu.get(&worker.name) == Some(&used);
            seen.insert(worker.name.clone(), used);
            if idle && !stopped {
                end(worker.name.as_str(), &proc_id(proc), age);
            }
        }
        self.cpu = seen;
    }
}

fn end(name: &str, id: &crate::process::identity::ProcId, age: Duration) {
    tracing::warn!(worker = name, pid = id.pid, seconds = age.as_secs(), "the worker hangs and is ended");
    let sent = id.open().and_then(|fd| fd.map_or(Ok(()), |fd| fd.signal(Signal::SIGKILL)));
    if let Err(error) = sent {
        tracing::warn!(worker = name, %error, "the hung worker cannot be ended");
    }
}
