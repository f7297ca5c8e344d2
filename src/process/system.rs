//! The machine as `health` shows it: memory, load, the disk under a path, CPU of trees.
//!
//! `sysinfo` reads memory, load and the CPU per cent of trees over time; one-shot sums of trees
//! are `tree::tree_usage`, which is four times cheaper.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use sysinfo::{MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};

/// Memory and load of the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// Bytes.
    pub memory_total: u64,
    /// Bytes that can be had without swapping.
    pub memory_available: u64,
    /// Average number of tasks that want a core, over one minute.
    pub load_one: f64,
}

impl Machine {
    /// Reads it now.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn read() -> io::Result<Self> {
        let memory = MemoryRefreshKind::nothing().with_ram();
        let system = System::new_with_specifics(RefreshKind::nothing().with_memory(memory))
            .map_err(io::Error::other)?;
        Ok(Self {
            cores: cores(),
            memory_total: system.total_memory(),
            memory_available: system.available_memory(),
            load_one: System::load_average().map_err(io::Error::other)?.one,
        })
    }
}

/// Bytes of memory of the machine, or of the container that this process is in; `None`: it does not tell.
pub fn memory_total() -> Option<u64> {
    let memory = MemoryRefreshKind::nothing().with_ram();
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(memory)).ok()?;
    let machine = system.total_memory();
    let container = system.cgroup_limits().map_or(machine, |limits| limits.total_memory);
    Some(container.min(machine)).filter(|bytes| *bytes > 0)
}

/// Cores that this process may use (affinity and cgroup quota counted), at least one.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Space of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that this user may still write.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

impl Disk {
    /// The file system that `path` is on.
    ///
    /// # Errors
    /// The path is not there.
    pub fn of(path: &Path) -> io::Result<Self> {
        let stat = nix::sys::statvfs::statvfs(path)?;
        let unit = stat.fragment_size();
        Ok(Self { free: stat.blocks_available() * unit, total: stat.blocks() * unit })
    }
}

/// CPU and memory of one tree between two samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TreeLoad {
    /// Per cent of one core since the sample before; 0 at the first one.
    pub cpu_percent: f32,
    /// Resident bytes.
    pub rss_bytes: u64,
}

/// Samples trees again and again, for somebody who watches.
#[derive(Debug)]
pub struct TreeSampler {
    system: System,
}

impl TreeSampler {
    /// A sampler that has seen nothing yet.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn new() -> io::Result<Self> {
        Ok(Self { system: System::new().map_err(io::Error::other)? })
    }

    /// The load of the trees below `roots`, in their order.
    pub fn sample(&mut self, roots: &[i32]) -> Vec<TreeLoad> {
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (pid, process) in self.system.processes() {
            if let Some(parent) = process.parent() {
                children.entry(parent.as_u32()).or_default().push(pid.as_u32());
            }
        }
        roots.iter().map(|root| self.tree(root.cast_unsigned(), &children)).collect()
    }

    fn tree(&self, root: u32, children: &BTreeMap<u32, Vec<u32>>) -> TreeLoad {
        let mut load = TreeLoad::default();
        let mut todo = vec![root];
        while let Some(pid) = todo.pop() {
            if let Some(process) = self.system.process(sysinfo::Pid::from_u32(pid)) {
                load.cpu_percent += process.cpu_usage();
                load.rss_bytes += process.memory();
            }
            todo.extend(children.get(&pid).into_iter().flatten());
        }
        load
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_memory_cores_and_a_disk() {
        let machine = Machine::read().unwrap();
        assert!(machine.cores >= 1 && machine.memory_total > machine.memory_available);
        let disk = Disk::of(Path::new("/")).unwrap();
        assert!(disk.total > disk.free);
        assert!(Disk::of(Path::new("/no/such/path")).is_err());
    }

    #[test]
    fn our_own_tree_uses_memory() {
        let mut sampler = TreeSampler::new().unwrap();
        let own = std::process::id().cast_signed();
        let loads = sampler.sample(&[own, -1]);
        assert!(loads[0].rss_bytes > 100_000);
        assert_eq!(loads[1], TreeLoad::default());
    }
}
