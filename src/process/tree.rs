//! Everything that belongs to a run, and its end.
//!
//! A process belongs to a run by its group, its session, its ancestors, the mark
//! `SPRINT_RUN=<id>` in its environment, its control group, or its working directory in the run's
//! worktree (then only if it has no terminal of its own: a person's shell in there is left alone). It
//! refuses to touch this process and its ancestors, and signals only what it has identified.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cgroup::is_in_group_of;
use super::identity::{PidFd, ProcId, Stat, boot_id, parse_stat};
use super::subreaper;
use super::wait::timeout;

/// The variable that every child of a run carries.
pub const RUN_MARK: &str = "SPRINT_RUN";
/// Time for a tree to vanish after SIGKILL, before it is called unkillable.
pub const KILL_WAIT: Duration = Duration::from_secs(30);

/// Bytes of an environment that are searched for the mark; the kernel's own bound is 2 MiB or so.
const ENVIRON_MAX: u64 = 4 << 20;
/// How often, and how far apart, a process in the middle of `execve` is looked at again: no event
/// tells when it is through.
const EXEC_LOOKS: u32 = 200;
const EXEC_LOOK: Duration = Duration::from_millis(1);
/// More than fifty numbers and a name of sixteen bytes can take.
const STAT_BYTES_MAX: usize = 2048;
/// Between two looks at a tree that does not change.
const LOOK: Duration = Duration::from_millis(100);
/// Names that a message lists.
const NAMED_MAX: usize = 10;

/// By what a run's processes are known.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Their group, their session and their descendants belong to it; they themselves too.
    pub leaders: Vec<ProcId>,
    /// The run id in [`RUN_MARK`].
    pub mark: Option<String>,
    /// The run's worktree, absolute.
    pub worktree: Option<PathBuf>,
}

/// A process that is still there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Member {
    /// Its identity.
    pub id: ProcId,
    /// Its name, at most 15 bytes of anything.
    pub name: String,
}

/// A tree could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// They are still there after SIGKILL and the wait.
    #[error("still running after SIGKILL: {}", Named(.0))]
    Survivors(Vec<Member>),
    /// `/proc` cannot be read, so nothing is known.
    #[error("cannot look at the processes of the machine")]
    Proc(#[from] io::Error),
}

struct Named<'a>(&'a [Member]);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, member) in self.0.iter().take(NAMED_MAX).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} ({})", member.id.pid, member.name.escape_debug())?;
        }
        match self.0.len().checked_sub(NAMED_MAX) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

/// CPU and memory of a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Living processes.
    pub processes: usize,
    /// Clock ticks of CPU, those of children that have been waited for included.
    pub cpu_ticks: u64,
    /// Resident memory; shared pages count once a process.
    pub rss_bytes: u64,
}

/// All processes of the machine at one moment: one scan of `/proc`.
#[derive(Debug)]
pub struct Table {
    by_pid: BTreeMap<i32, Stat>,
    /// The children of each process; made when first asked for.
    children: OnceCell<BTreeMap<i32, Vec<i32>>>,
}

impl Table {
    /// Scans `/proc` once. Processes that come or go meanwhile may or may not be in it.
    ///
    /// # Errors
    /// `/proc` cannot be listed.
    pub fn scan() -> io::Result<Self> {
        let mut by_pid = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            // One that has gone since the listing is none of ours any more.
            let stat = read_stat(pid).ok().and_then(|bytes| parse_stat(&bytes));
            by_pid.extend(stat.map(|stat| (pid, stat)));
        }
        Ok(Self { by_pid, children: OnceCell::new() })
    }

    /// The living processes, but this one, with an entry in their environment that begins with
    /// `prefix`.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn with_environment(&self, prefix: &[u8]) -> io::Result<Vec<ProcId>> {
        let (boot, own) = (boot_id()?, std::process::id().cast_signed());
        let others = self.by_pid.values().filter(|stat| stat.pid != own && !stat.is_dead());
        let marked = others.filter(|stat| environment_has(stat.pid, |entry| entry.starts_with(prefix)));
        let id =
            |stat: &Stat| ProcId { boot_id: boot.to_owned(), pid: stat.pid, start_ticks: stat.start_ticks };
        Ok(marked.map(id).collect())
    }

    /// All that live, but this one.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub(super) fn living(&self) -> io::Result<Vec<Member>> {
        let (boot, own) = (boot_id()?, std::process::id().cast_signed());
        let others = self.by_pid.values().filter(|stat| stat.pid != own && !stat.is_dead());
        let member = |stat: &Stat| Member {
            id: ProcId { boot_id: boot.to_owned(), pid: stat.pid, start_ticks: stat.start_ticks },
            name: stat.name.clone(),
        };
        Ok(others.map(member).collect())
    }

    /// Usage of a root and its descendants.
    pub fn usage(&self, root: i32) -> Usage {
        let page = page_size();
        let mut sum = Usage::default();
        for pid in self.descendants(&BTreeSet::from([root])) {
            let Some(stat) = self.by_pid.get(&pid).filter(|stat| !stat.is_dead()) else { continue };
            sum.processes += 1;
            sum.cpu_ticks += stat.cpu_ticks + stat.child_ticks;
            sum.rss_bytes += stat.rss_pages * page;
        }
        sum
    }

    /// Resident bytes of these; shared pages count once a process.
    pub(super) fn resident(&self, pids: &BTreeSet<i32>) -> u64 {
        let pages = pids.iter().filter_map(|pid| self.by_pid.get(pid)).map(|stat| stat.rss_pages);
        pages.sum::<u64>() * page_size()
    }

    /// Whether this very process runs, as of the scan.
    pub fn is_alive(&self, id: &ProcId) -> bool {
        boot_id().is_ok_and(|boot| boot == id.boot_id)
            && self.by_pid.get(&id.pid).is_some_and(|s| s.start_ticks == id.start_ticks && !s.is_dead())
    }

    /// The living processes of `scope`, without this process and its ancestors.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn members(&self, scope: &Scope) -> io::Result<Vec<Member>> {
        let boot = boot_id()?;
        let leaders = self.valid_leaders(scope, boot);
        let descendants = self.descendants(&leaders);
        let own = self.ancestors(std::process::id().cast_signed());
        let mut found = Vec::new();
        for (&pid, stat) in &self.by_pid {
            if stat.is_dead() || own.contains(&pid) {
                continue;
            }
            let belongs = descendants.contains(&pid)
                || leaders.contains(&stat.group)
                || leaders.contains(&stat.session)
                || scope.mark.as_ref().is_some_and(|run| has_mark(pid, run) || is_in_group_of(pid, run))
                || scope.worktree.as_ref().is_some_and(|dir| works_in(stat, dir));
            if belongs {
                let id = ProcId { boot_id: boot.to_owned(), pid, start_ticks: stat.start_ticks };
                found.push(Member { id, name: stat.name.clone() });
            }
        }
        Ok(found)
    }

    /// The groups of which all living processes are in `found`; never group 0 or 1.
    fn whole_groups(&self, found: &[Member]) -> BTreeSet<i32> {
        let pids: BTreeSet<i32> = found.iter().map(|member| member.id.pid).collect();
        let group = |pid: &i32| self.by_pid.get(pid).map(|stat| stat.group).filter(|&group| group > 1);
        let mut groups: BTreeSet<i32> = pids.iter().filter_map(group).collect();
        for (pid, stat) in &self.by_pid {
            if !stat.is_dead() && !pids.contains(pid) {
                groups.remove(&stat.group);
            }
        }
        groups
    }

    /// Leaders whose number still means what it meant: nobody has it now, or the leader itself
    /// does. A group keeps its number reserved as long as it has a member.
    fn valid_leaders(&self, scope: &Scope, boot: &str) -> BTreeSet<i32> {
        let valid = |id: &&ProcId| {
            id.boot_id == boot
                && self.by_pid.get(&id.pid).is_none_or(|stat| stat.start_ticks == id.start_ticks)
        };
        scope.leaders.iter().filter(valid).map(|id| id.pid).collect()
    }

    /// `roots` and all below them.
    fn descendants(&self, roots: &BTreeSet<i32>) -> BTreeSet<i32> {
        let children = self.children.get_or_init(|| {
            let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
            for (&pid, stat) in &self.by_pid {
                children.entry(stat.parent).or_default().push(pid);
            }
            children
        });
        let mut seen = BTreeSet::new();
        let mut todo: Vec<i32> = roots.iter().copied().collect();
        while let Some(pid) = todo.pop() {
            if seen.insert(pid) {
                todo.extend(children.get(&pid).into_iter().flatten());
            }
        }
        seen
    }

    /// `pid` and all above it.
    fn ancestors(&self, pid: i32) -> BTreeSet<i32> {
        let mut seen = BTreeSet::new();
        let mut next = pid;
        while next > 0 && seen.insert(next) {
            next = self.by_pid.get(&next).map_or(0, |stat| stat.parent);
        }
        seen
    }
}

/// The processes of `scope` now.
///
/// # Errors
/// `/proc` cannot be read.
pub fn members(scope: &Scope) -> io::Result<Vec<Member>> {
    Table::scan()?.members(scope)
}

/// Usage of several trees with one scan, in the order of `roots`.
///
/// # Errors
/// `/proc` cannot be read.
pub fn tree_usage(roots: &[i32]) -> io::Result<Vec<Usage>> {
    let table = Table::scan()?;
    Ok(roots.iter().map(|&root| table.usage(root)).collect())
}

/// Ends everything in `scope`: SIGTERM, `grace`, then SIGKILL again and again until two looks in a
/// row see nothing, for at most `deadline` after the first SIGKILL ([`KILL_WAIT`] as a rule).
/// Blocks for so long: from async code on a thread of its own.
///
/// # Errors
/// [`EndError::Survivors`] names those that are still there.
pub fn end_tree(scope: &Scope, grace: Duration, deadline: Duration) -> Result<(), EndError> {
    let start = Instant::now();
    let (kill_at, give_up_at) = (start + grace, start + grace + deadline);
    let mut warned = BTreeSet::new();
    let mut empty_looks = 0;
    // Whoever was a member stays one, with all below it: when its parent dies first, nothing else
    // connects it with the tree any more, and it may take a while to die.
    let mut scope = scope.clone();
    loop {
        let table = Table::scan()?;
        let found = table.members(&scope)?;
        let known: BTreeSet<ProcId> = scope.leaders.iter().cloned().collect();
        scope.leaders.extend(found.iter().map(|member| &member.id).filter(|id| !known.contains(id)).cloned());
        let now = Instant::now();
        empty_looks = if found.is_empty() { empty_looks + 1 } else { 0 };
        if empty_looks == 2 {
            return Ok(());
        }
        if now >= give_up_at && !found.is_empty() {
            return Err(EndError::Survivors(found));
        }
        let fds = if now < kill_at { terminate(&found, &mut warned)? } else { kill_all(&found, &table)? };
        let until = if now < kill_at { kill_at } else { give_up_at };
        wait_for_one(&fds, until.saturating_duration_since(now));
    }
}

/// Ends every child of this process that nobody here waits for, with all below it. Of a subreaper:
/// whatever a program left, however it tried to get away. Returns whether there was anything.
///
/// # Errors
/// As [`end_tree`].
pub fn end_children(grace: Duration, deadline: Duration) -> Result<bool, EndError> {
    let alive = |pid: &i32| ProcId::of(*pid).ok().filter(ProcId::alive);
    let give_up_at = Instant::now() + grace + deadline;
    let mut any = false;
    // Ending one may bring its own children up to us.
    loop {
        let leaders: Vec<ProcId> = subreaper::left_children()?.iter().filter_map(alive).collect();
        if leaders.is_empty() {
            break;
        }
        let scope = Scope { leaders, ..Scope::default() };
        if any && Instant::now() >= give_up_at {
            return Err(EndError::Survivors(members(&scope)?));
        }
        any = true;
        end_tree(&scope, grace, deadline)?;
    }
    subreaper::reap_orphans(&[])?;
    Ok(any)
}

/// SIGTERM to each process once; SIGCONT after it, for a stopped one does not see it otherwise.
fn terminate(found: &[Member], warned: &mut BTreeSet<ProcId>) -> io::Result<Vec<PidFd>> {
    let mut fds = Vec::new();
    for member in found {
        let Some(fd) = member.id.open()? else { continue };
        if warned.insert(member.id.clone()) {
            send(&fd, member, Signal::SIGTERM);
            send(&fd, member, Signal::SIGCONT);
        }
        fds.push(fd);
    }
    Ok(fds)
}

/// Groups that consist of members alone are killed at once, so that one that forks all the time
/// cannot outrun us.
fn kill_all(found: &[Member], table: &Table) -> io::Result<Vec<PidFd>> {
    for group in table.whole_groups(found) {
        match kill(Pid::from_raw(-group), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let mut fds = Vec::new();
    for member in found {
        let Some(fd) = member.id.open()? else { continue };
        send(&fd, member, Signal::SIGKILL);
        fds.push(fd);
    }
    Ok(fds)
}

/// One that may not be signalled (set-uid) stays, and is named as a survivor in the end.
fn send(fd: &PidFd, member: &Member, signal: Signal) {
    if let Err(error) = fd.signal(signal) {
        tracing::warn!(process = %member.id, %signal, %error, "cannot signal a process of a run");
    }
}

/// Returns when one of them exits, at the latest after [`LOOK`] or `limit`.
fn wait_for_one(fds: &[PidFd], limit: Duration) {
    let mut polled: Vec<PollFd<'_>> =
        fds.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
    if polled.is_empty() {
        return;
    }
    if let Err(errno) = poll(&mut polled, timeout(limit.min(LOOK))) {
        tracing::debug!(%errno, "poll on the processes of a run was interrupted");
    }
}

/// One `read` for the whole line: `fs::read` asks for the size, which `/proc` does not know, and
/// then feels its way with six, for each process of the machine.
fn read_stat(pid: i32) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut line = vec![0; STAT_BYTES_MAX];
    let length = fs::File::open(format!("/proc/{pid}/stat"))?.read(&mut line)?;
    line.truncate(length);
    Ok(line)
}

fn has_mark(pid: i32, run: &str) -> bool {
    let wanted = format!("{RUN_MARK}={run}");
    environment_has(pid, |entry| entry == wanted.as_bytes())
}

/// False also of a process that has gone, or is another user's: it is none of ours.
fn environment_has(pid: i32, wanted: impl Fn(&[u8]) -> bool) -> bool {
    let mut unfound = None;
    for _ in 0..EXEC_LOOKS {
        let Ok(environ) = read_environ(pid) else { return false };
        if environ.split(|&b| b == 0).any(&wanted) {
            return true;
        }
        if environ.is_empty() && between_programs(pid) {
            std::thread::sleep(EXEC_LOOK);
            unfound = None;
            continue;
        }
        // One that becomes another program in the middle of the look shows a part, or nothing:
        // only what is seen twice is so.
        if unfound == Some(environ.len()) {
            return false;
        }
        unfound = Some(environ.len());
    }
    false
}

fn read_environ(pid: i32) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut environ = Vec::new();
    fs::File::open(format!("/proc/{pid}/environ"))?.take(ENVIRON_MAX).read_to_end(&mut environ)?;
    Ok(environ)
}

/// In the middle of `execve` a process has neither environment nor arguments for a moment. One that
/// runs has arguments; a kernel's thread, which has none either, has no program.
fn between_programs(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| arguments.is_empty())
        && fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

fn works_in(stat: &Stat, dir: &Path) -> bool {
    if stat.terminal != 0 {
        return false;
    }
    let Ok(cwd) = fs::read_link(format!("/proc/{}/cwd", stat.pid)) else { return false };
    let bytes = cwd.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    Path::new(std::ffi::OsStr::from_bytes(bytes)).starts_with(dir)
}

fn page_size() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|size| u64::try_from(size).ok())
        .unwrap_or(4096)
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
