//! What a program and all that it starts may use together: processes, memory, output.
//!
//! The kernel counts where a control group can be had (`cgroup`), else a look at `/proc` now and then
//! does: it is later, and sees the same. Whoever drives the child asks [`super::child::Running::excess`]
//! and ends it; a limit is never a reason to touch anybody else.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::cgroup::{Counted, Group};
use super::identity::ProcId;
use super::subreaper;
use super::system;
use super::tree::{Scope, Table};
use crate::config::{Limits, size};

/// Between two looks where the kernel counts, and keeps to the limit by itself.
const COUNTED: Duration = Duration::from_secs(2);
/// Between two looks at `/proc`, at least: a shell makes some hundred processes in that time.
const WALKED: Duration = Duration::from_millis(500);
/// So many times as long as a look takes the next one waits: thirty programs that are watched keep a core
/// busy for less than a tenth of its time.
const WALK_SHARE: u32 = 400;
/// But no longer than this.
const WALKED_MAX: Duration = Duration::from_secs(5);
/// The kernel's choice when memory runs out: whoever has the most of it first, then a run's programs,
/// and sprint itself and the person's own programs after them. -1000 to 1000; usually 0.
const OOM_SCORE: i32 = 500;
/// Of the machine's memory a program may have so many tenths, where nothing else is said.
const TENTHS: u64 = 8;

/// What a program may use, with all that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Processes at once; a thread is one where the kernel counts.
    pub processes: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes that it prints, kept or not.
    pub output: u64,
    /// Whether the kernel is asked to count, where it does.
    pub groups: bool,
}

impl Bounds {
    /// As they are configured. What is left to the machine is asked of it.
    pub fn of(limits: &Limits) -> Self {
        let memory = match limits.memory {
            0 => system::memory_total().unwrap_or(u64::MAX / TENTHS) / 10 * TENTHS,
            memory => memory,
        };
        Self { processes: limits.processes.into(), memory, output: limits.output, groups: limits.cgroups }
    }
}

/// A limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// So many processes were allowed.
    Processes(u64),
    /// So many bytes.
    Memory(u64),
    /// So many bytes.
    Output(u64),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processes(max) => {
                write!(f, "it had more than {max} processes at once (`limits.processes`)")
            }
            Self::Memory(max) => {
                write!(f, "it took more than {} of memory (`limits.memory`)", size::format(*max))
            }
            Self::Output(max) => write!(f, "it printed more than {} (`limits.output`)", size::format(*max)),
        }
    }
}

/// What is done to a child before its program begins; made before the fork, for nothing may be
/// allocated after it.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Files into which it writes that it comes in.
    pub(super) doors: Vec<fs::File>,
    /// What goes into its own `oom_score_adj`; nothing where it is high enough.
    pub(super) oom_score: Option<&'static [u8]>,
}

/// Watches one child and what it starts.
#[derive(Debug)]
pub(super) struct Fence {
    bounds: Bounds,
    group: Option<Group>,
    next: Instant,
    output: u64,
    excess: Option<Excess>,
}

impl Fence {
    /// Around a child of the run `run` that is about to start, and what the child itself does for it.
    pub(super) fn around(bounds: Bounds, run: Option<&str>) -> (Self, Entry) {
        let group = bounds.groups.then(|| Group::make(run, bounds.processes, bounds.memory)).flatten();
        let doors = group.as_ref().map(Group::doors).unwrap_or_default();
        let own = fs::read_to_string("/proc/self/oom_score_adj")
            .ok()
            .and_then(|text| text.trim().parse::<i32>().ok());
        let oom_score = own.is_none_or(|own| own < OOM_SCORE).then_some(b"500".as_slice());
        (
            Self { bounds, group, next: Instant::now() + WALKED, output: 0, excess: None },
            Entry { doors, oom_score },
        )
    }

    /// The child has started. Where it was not let in, the kernel counts nothing of it.
    pub(super) fn closed(mut self, child: &ProcId) -> Self {
        self.group = self.group.filter(|group| group.holds(child.pid) || !child.alive());
        self
    }

    /// It has printed so many more bytes.
    pub(super) fn printed(&mut self, bytes: usize) {
        self.output += bytes as u64;
        if self.output > self.bounds.output && self.excess.is_none() {
            self.excess = Some(Excess::Output(self.bounds.output));
        }
    }

    /// How long it is until the next look.
    pub(super) fn due(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// The limit that was reached, if one was; looks now and then, or `at_once`.
    pub(super) fn excess(&mut self, child: &ProcId, at_once: bool) -> Option<Excess> {
        if self.excess.is_some() || (!at_once && Instant::now() < self.next) {
            return self.excess;
        }
        let began = Instant::now();
        self.excess = match self.look(child) {
            Ok(excess) => excess,
            Err(error) => {
                tracing::warn!(%error, "what a program uses cannot be seen now");
                None
            }
        };
        let pause = if self.group.is_some() {
            COUNTED
        } else {
            (began.elapsed() * WALK_SHARE).clamp(WALKED, WALKED_MAX)
        };
        self.next = Instant::now() + pause;
        self.excess
    }

    fn look(&self, child: &ProcId) -> io::Result<Option<Excess>> {
        let counted = self.group.as_ref().map(Group::counted).transpose()?.unwrap_or_default();
        if counted.processes == Counted::Exceeded {
            return Ok(Some(Excess::Processes(self.bounds.processes)));
        }
        if counted.memory == Counted::Exceeded {
            return Ok(Some(Excess::Memory(self.bounds.memory)));
        }
        if counted.processes == Counted::Within && counted.memory == Counted::Within {
            return Ok(None);
        }
        self.walk(child)
    }

    /// Without the kernel's help. What has left the child's tree is ours, if we are its reaper.
    fn walk(&self, child: &ProcId) -> io::Result<Option<Excess>> {
        let alive = |pid: &i32| ProcId::of(*pid).ok();
        let orphans = subreaper::left_children()?;
        let leaders = std::iter::once(child.clone()).chain(orphans.iter().filter_map(alive)).collect();
        let table = Table::scan()?;
        let members = table.members(&Scope { leaders, ..Scope::default() })?;
        if members.len() as u64 > self.bounds.processes {
            return Ok(Some(Excess::Processes(self.bounds.processes)));
        }
        let pids: BTreeSet<i32> = members.iter().map(|member| member.id.pid).collect();
        if table.resident(&pids) <= self.bounds.memory {
            return Ok(None);
        }
        // Pages that many share count once for each of them there; the exact sum costs more.
        let exact: u64 = pids.iter().map(|pid| proportional(*pid).unwrap_or(0)).sum();
        Ok((exact > self.bounds.memory).then_some(Excess::Memory(self.bounds.memory)))
    }

    /// Ends everything in the group at once: what forks all the time cannot be outrun otherwise.
    pub(super) fn crush(&mut self) {
        if let Some(group) = &self.group {
            group.crush();
        }
    }
}

/// Bytes of memory of a process, shared pages divided among those who share them; `None`: it has gone.
fn proportional(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
