//! The load of process trees out of one scan of `/proc`, without waiting for a second one.

use nix::time::{ClockId, clock_gettime};

use super::identity::ProcId;
use super::tree::{Table, Usage};

/// What a tree uses.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Per cent of one core, on average since the root of the tree started.
    pub cpu_percent: f64,
    /// Resident bytes; shared pages count once a process.
    pub rss_bytes: u64,
}

/// The load of a root and its descendants; `None` if the root is gone.
pub fn load_of(table: &Table, root: &ProcId) -> Option<Load> {
    table.is_alive(root).then(|| load(table.usage(root.pid), root.start_ticks, boot_ms(), ticks_per_second()))
}

fn load(usage: Usage, start_ticks: u64, now_ms: u64, hertz: u64) -> Load {
    let lived_ms = now_ms.saturating_sub(start_ticks * 1000 / hertz).max(1);
    let used_ms = usage.cpu_ticks * 1000 / hertz;
    // Per mille in integers: exact enough for people, and no cast loses anything.
    let per_mille = u32::try_from(used_ms.saturating_mul(1000) / lived_ms).unwrap_or(u32::MAX);
    Load { cpu_percent: f64::from(per_mille) / 10.0, rss_bytes: usage.rss_bytes }
}

/// Milliseconds since boot, sleep included: the clock of a process's start.
fn boot_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME exists on every Linux");
    u64::try_from(now.tv_sec() * 1000 + now.tv_nsec() / 1_000_000).unwrap_or(0)
}

fn ticks_per_second() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .and_then(|ticks| u64::try_from(ticks).ok())
        .filter(|ticks| *ticks > 0)
        .unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_core_on_average() {
        let usage = Usage { processes: 1, cpu_ticks: 500, rss_bytes: 7 };
        assert_eq!(load(usage, 1000, 20_000, 100), Load { cpu_percent: 50.0, rss_bytes: 7 });
        assert!(load(usage, 1000, 10_000, 100).cpu_percent > 0.0, "a process of no age divides by nothing");
    }

    #[test]
    fn our_own_tree_has_a_load_and_a_foreign_one_none() {
        let table = Table::scan().unwrap();
        let own = ProcId::own().unwrap();
        assert!(load_of(&table, &own).unwrap().rss_bytes > 100_000);
        assert_eq!(load_of(&table, &ProcId { start_ticks: own.start_ticks + 1, ..own }), None);
    }
}
