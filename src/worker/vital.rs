//! Signs of life of a program: output, CPU in its tree, changes in its worktree. Silence alone ends
//! nobody.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::life::{Place, beat};
use crate::process::tree::tree_usage;

/// Between two looks at clocks, CPU and heartbeat.
pub(super) const LOOK: Duration = Duration::from_secs(5);
/// A gap of this length between two looks means that the worker itself was stopped.
const OWN_STOP: Duration = Duration::from_mins(1);
/// Files that are looked at for a change before a program counts as hung.
const FILES_MAX: usize = 20_000;

/// What was seen of a program's life.
#[derive(Debug)]
pub(super) struct Vital {
    sign: Instant,
    cpu: u64,
    looked: Instant,
    began: SystemTime,
    stall: Duration,
}

impl Vital {
    /// Of a program that starts now, and is hung without a sign for `stall`.
    pub(super) fn new(stall: Duration) -> Self {
        let now = Instant::now();
        Self { sign: now, cpu: 0, looked: now, began: SystemTime::now(), stall }
    }

    /// It gave a sign, or is not expected to.
    pub(super) fn sign(&mut self) {
        self.sign = Instant::now();
    }

    /// Every few seconds: heartbeat, CPU, and the worker's own stops.
    /// In `own`, the run's directory, sprint's own tools leave a sign while they wait for gates.
    pub(super) fn look(&mut self, place: &Place, pid: i32, worktree: &Path, own: &Path) {
        let now = Instant::now();
        if now < self.looked + LOOK {
            return;
        }
        beat(place);
        if now.duration_since(self.looked) > OWN_STOP {
            self.sign = now;
        }
        self.looked = now;
        if let Ok(usage) = tree_usage(&[pid])
            && let Some(cpu) = usage.first().map(|usage| usage.cpu_ticks)
            && cpu != self.cpu
        {
            self.cpu = cpu;
            self.sign = now;
        }
        let silent = now >= self.sign + self.stall;
        let changed = |root: &Path| changed_since(root, self.began, &mut FILES_MAX.clone());
        if silent && (changed(worktree) || changed(own)) {
            self.sign = now;
            self.began = SystemTime::now();
        }
    }

    /// Whether it had given no sign for too long when it was last looked at: without a look nobody is judged.
    pub(super) fn is_hung(&self) -> bool {
        self.looked >= self.sign + self.stall
    }

    /// How long it may give none.
    pub(super) fn stall(&self) -> Duration {
        self.stall
    }
}

/// Whether a file below `root` is newer than `since`. Looks at a bounded number of files.
fn changed_since(root: &Path, since: SystemTime, left: &mut usize) -> bool {
    let Ok(entries) = std::fs::read_dir(root) else { return false };
    for entry in entries.flatten() {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        let Ok(meta) = entry.metadata() else { continue };
        if meta.modified().is_ok_and(|at| at > since) {
            return true;
        }
        if meta.is_dir() && entry.file_name() != ".git" && changed_since(&entry.path(), since, left) {
            return true;
        }
    }
    false
}
