//! A control group of a child's own, where the system lets us have one: version 2, or version 1 with
//! its hierarchies apart. The kernel counts there, what is in it cannot leave it, and its name tells
//! whose it is.
//!
//! Nothing depends on it: where no directory can be made, or a child does not come in, the walk through
//! `/proc` does the work.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::identity::ProcId;

/// What the names of our groups begin with; then the run, or `hand`, the maker's pid and start, a number.
const PREFIX: &str = "sprint-run-";
/// The name of a run that is none of a sprint's.
const BY_HAND: &str = "hand";
/// How long the members of a group may take to die of SIGKILL before they are left to the tree walk.
const CRUSH_WAIT: Duration = Duration::from_secs(5);
/// Between two rounds of killing: what dies is seen a moment later.
const CRUSH_LOOK: Duration = Duration::from_millis(5);

/// How deep groups within a group are looked for.
const DEPTH: usize = 8;

/// Of which kind a controller's hierarchy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A directory in which groups can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Home {
    version: Version,
    directory: PathBuf,
    processes: bool,
    memory: bool,
}

/// What a controller says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Counted {
    /// Nobody counts.
    #[default]
    Not,
    /// The limit was not reached.
    Within,
    /// It was.
    Exceeded,
}

/// What the kernel has counted in a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) processes: Counted,
    pub(super) memory: Counted,
}

/// A child's group: one directory a hierarchy. They go when it is dropped, or later, when they are empty.
#[derive(Debug)]
pub(super) struct Group {
    name: String,
    homes: Vec<Home>,
}

impl Group {
    /// For a child of this run; `None` where there is none to be had.
    pub(super) fn make(run: Option<&str>, processes: u64, memory: u64) -> Option<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        remove_left();
        let own = ProcId::own().ok()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let run = run.filter(|run| is_plain(run)).unwrap_or(BY_HAND);
        let name = format!("{PREFIX}{run}.{}.{}.{number}", own.pid, own.start_ticks);
        let made = |home: &&Home| match make_in(home, &name, processes, memory) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, directory = %home.directory.display(), "no control group");
                leave(home.directory.join(&name));
                false
            }
        };
        let homes: Vec<Home> = homes().iter().filter(made).cloned().collect();
        (!homes.is_empty()).then_some(Self { name, homes })
    }

    /// What a child writes a `0` into to come in.
    pub(super) fn doors(&self) -> Vec<fs::File> {
        let open =
            |home: &Home| fs::OpenOptions::new().write(true).open(self.directory(home).join("cgroup.procs"));
        self.homes.iter().filter_map(|home| open(home).ok()).collect()
    }

    /// Whether the child has come in everywhere; to be asked while it lives.
    pub(super) fn holds(&self, child: i32) -> bool {
        let whereabouts = fs::read_to_string(format!("/proc/{child}/cgroup")).unwrap_or_default();
        whereabouts.lines().filter(|line| line.ends_with(&self.name)).count() >= self.homes.len()
    }

    /// What was counted.
    ///
    /// # Errors
    /// The group's files cannot be read.
    pub(super) fn counted(&self) -> io::Result<Counts> {
        let mut counts = Counts::default();
        for home in &self.homes {
            let directory = self.directory(home);
            if home.processes {
                counts.processes = told(fs::read_to_string(directory.join("pids.events"))?.as_str(), "max");
            }
            if home.memory {
                let file = if home.version == Version::One { "memory.oom_control" } else { "memory.events" };
                counts.memory = told(fs::read_to_string(directory.join(file))?.as_str(), "oom_kill");
            }
        }
        Ok(counts)
    }

    /// Lets nobody in there make another process, and kills all of them until there are none.
    pub(super) fn crush(&self) {
        for home in &self.homes {
            let directory = self.directory(home);
            // Where there is the one or the other; the killing alone does it too, mostly.
            for (file, word) in [("pids.max", "0"), ("cgroup.kill", "1")] {
                if directory.join(file).exists()
                    && let Err(error) = fs::write(directory.join(file), word)
                {
                    tracing::debug!(%error, file, "a control group does not help with the killing");
                }
            }
        }
        let until = Instant::now() + CRUSH_WAIT;
        while self.kill_all() && Instant::now() < until {
            std::thread::sleep(CRUSH_LOOK);
        }
    }

    /// Whether there was anybody.
    fn kill_all(&self) -> bool {
        let mut any = false;
        for home in &self.homes {
            for group in with_nested(&self.directory(home), DEPTH) {
                let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
                for pid in members.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 1)
                {
                    any |= kill(Pid::from_raw(pid), Signal::SIGKILL) != Err(Errno::ESRCH);
                }
            }
        }
        any
    }

    fn directory(&self, home: &Home) -> PathBuf {
        home.directory.join(&self.name)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for home in &self.homes {
            leave(self.directory(home));
        }
    }
}

/// Whether a process is in a group of this run, wherever that is.
pub(super) fn is_in_group_of(pid: i32, run: &str) -> bool {
    let wanted = format!("/{PREFIX}{run}.");
    fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| text.contains(&wanted))
}

/// Which controllers count for us here, for people: `processes and memory, cgroup v1`.
pub fn tier() -> Option<String> {
    let homes = homes();
    let has = |what: fn(&Home) -> bool| homes.iter().any(what);
    let (processes, memory) = (has(|home| home.processes), has(|home| home.memory));
    let what = [processes.then_some("processes"), memory.then_some("memory")];
    let what: Vec<&str> = what.into_iter().flatten().collect();
    let version = if has(|home| home.version == Version::Two) { 2 } else { 1 };
    (!what.is_empty()).then(|| format!("{}, cgroup v{version}", what.join(" and ")))
}

/// Removes groups whose makers are gone; returns those that still hold something.
pub fn sweep() -> Vec<PathBuf> {
    let mut left = abandoned();
    left.retain(|path| remove(path).is_err());
    left
}

/// Groups of ours whose makers are gone.
pub fn abandoned() -> Vec<PathBuf> {
    let entries =
        homes().iter().flat_map(|home| fs::read_dir(&home.directory).into_iter().flatten().flatten());
    entries.map(|entry| entry.path()).filter(|path| is_abandoned(path)).collect()
}

fn is_abandoned(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let mut parts = rest.rsplit('.').skip(1);
    let start = parts.next().and_then(|ticks| ticks.parse::<u64>().ok());
    let pid = parts.next().and_then(|pid| pid.parse::<i32>().ok());
    let (Some(start), Some(pid)) = (start, pid) else { return false };
    !ProcId::of(pid).is_ok_and(|id| id.start_ticks == start && id.alive())
}

/// A name that is one component of a path, and nothing of a number's.
fn is_plain(run: &str) -> bool {
    !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// `max 3` among the lines of an events file.
fn told(events: &str, key: &str) -> Counted {
    let count = |line: &str| line.strip_prefix(key)?.trim().parse::<u64>().ok();
    match events.lines().find_map(count) {
        None => Counted::Not,
        Some(0) => Counted::Within,
        Some(_) => Counted::Exceeded,
    }
}

fn make_in(home: &Home, name: &str, processes: u64, memory: u64) -> io::Result<()> {
    let directory = home.directory.join(name);
    fs::create_dir(&directory)?;
    if home.processes {
        fs::write(directory.join("pids.max"), processes.to_string())?;
    }
    if home.memory {
        let file = if home.version == Version::One { "memory.limit_in_bytes" } else { "memory.max" };
        fs::write(directory.join(file), memory.to_string())?;
    }
    Ok(())
}

/// Where groups can be made here; found out once a process, by making one.
fn homes() -> &'static [Home] {
    static HOMES: OnceLock<Vec<Home>> = OnceLock::new();
    HOMES.get_or_init(|| {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        candidates(&mounts, &own).into_iter().filter_map(probe).collect()
    })
}

/// The directories of our own groups, by hierarchy, those with a controller that we use.
fn candidates(mounts: &str, own: &str) -> Vec<(Version, PathBuf)> {
    let mut found = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let wanted = |name: &str| controllers.split(',').any(|controller| controller == name);
        let version = if controllers.is_empty() { Version::Two } else { Version::One };
        if version == Version::One && !wanted("pids") && !wanted("memory") {
            continue;
        }
        let Some((root, at)) = mounted(mounts, version, controllers) else { continue };
        let below = path.strip_prefix(&root).unwrap_or(path).trim_start_matches('/');
        found.push((version, at.join(below)));
    }
    found
}

/// Which part of a hierarchy is mounted, and where.
fn mounted(mounts: &str, version: Version, controllers: &str) -> Option<(String, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (name, options) = (kind.next()?, kind.nth(1)?);
        let fits = match version {
            Version::Two => name == "cgroup2",
            Version::One => {
                name == "cgroup"
                    && controllers.split(',').all(|wanted| options.split(',').any(|option| option == wanted))
            }
        };
        let mut parts = mount.split(' ').skip(3);
        let (root, at) = (parts.next()?, parts.next()?);
        fits.then(|| (root.trim_end_matches('/').to_owned(), PathBuf::from(at)))
    })
}

/// Makes a group there, or beside there, and sees what it can do. In version 2 a group with processes of
/// its own has no controllers to give; its parent may.
fn probe((version, own): (Version, PathBuf)) -> Option<Home> {
    let beside = own.parent().filter(|_| version == Version::Two);
    [Some(own.as_path()), beside].into_iter().flatten().find_map(|directory| {
        let controllers = fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
        if version == Version::Two
            && !controllers.split_whitespace().any(|name| name == "pids" || name == "memory")
        {
            return None;
        }
        if version == Version::Two {
            // Refused where they are given already, or may not be: the trial tells.
            drop(fs::write(directory.join("cgroup.subtree_control"), "+pids +memory"));
        }
        let own = ProcId::own().ok()?;
        let trial = directory.join(format!("{PREFIX}{BY_HAND}.{}.{}.trial", own.pid, own.start_ticks));
        fs::create_dir(&trial).ok()?;
        let has = |file: &str| trial.join(file).exists();
        let home = Home {
            version,
            directory: directory.to_owned(),
            processes: has("pids.max"),
            memory: has("memory.max") || has("memory.limit_in_bytes"),
        };
        leave(trial);
        (home.processes || home.memory).then_some(home)
    })
}

/// Removes a group's directory; one that still holds something is removed later.
fn leave(directory: PathBuf) {
    if remove(&directory).is_err() {
        left().push(directory);
    }
}

/// Removes a group and those inside, of a sprint that ran in it; the kernel refuses while one has a process.
fn remove(directory: &Path) -> io::Result<()> {
    with_nested(directory, DEPTH).iter().try_for_each(|group| match fs::remove_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    })
}

/// The innermost first, at last itself.
fn with_nested(directory: &Path, depth: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let inner = entries.filter(|entry| depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut all: Vec<PathBuf> = inner.flat_map(|entry| with_nested(&entry.path(), depth - 1)).collect();
    all.push(directory.to_owned());
    all
}

fn remove_left() {
    let all = std::mem::take(&mut *left());
    all.into_iter().for_each(leave);
}

/// Directories that still held something when they were to go.
fn left() -> MutexGuard<'static, Vec<PathBuf>> {
    static LEFT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_groups_are_found_in_both_versions_and_in_a_container() {
        let mounts = "30 20 0:1 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                      31 20 0:2 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                      32 20 0:3 /docker/1 /sys/fs/cgroup/memory rw shared:1 - cgroup cgroup rw,memory\n\
                      33 20 0:4 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let own = "9:pids:/a\n8:cpu,cpuacct:/\n7:memory:/docker/1/b\n0::/c/d\n";
        let found = candidates(mounts, own);
        let one = |path: &str| (Version::One, PathBuf::from(path));
        assert_eq!(
            found,
            [
                one("/sys/fs/cgroup/pids/a"),
                one("/sys/fs/cgroup/memory/b"),
                (Version::Two, PathBuf::from("/sys/fs/cgroup/unified/c/d"))
            ]
        );
        assert_eq!(candidates("", own), [], "not mounted");
    }

    #[test]
    fn a_group_goes_with_those_inside_and_stays_while_one_is_not_empty() {
        let home = tempfile::tempdir().unwrap();
        let group = home.path().join("sprint-run-a.1.1.0");
        fs::create_dir_all(group.join("sprint-run-a.2.1.0/inner")).unwrap();
        fs::write(group.join("sprint-run-a.2.1.0/a member"), "").unwrap();
        assert!(remove(&group).is_err(), "what is in use stays");
        assert!(group.join("sprint-run-a.2.1.0/a member").exists());
        fs::remove_file(group.join("sprint-run-a.2.1.0/a member")).unwrap();
        remove(&group).unwrap();
        assert!(!group.exists());
        remove(&group).unwrap();
    }

    #[test]
    fn what_a_controller_tells() {
        assert_eq!(told("max 0\n", "max"), Counted::Within);
        assert_eq!(told("low 0\noom 4\noom_kill 1\noom_group_kill 0\n", "oom_kill"), Counted::Exceeded);
        assert_eq!(told("under_oom 0\n", "oom_kill"), Counted::Not, "an old kernel");
    }

    #[test]
    fn only_a_group_whose_maker_is_gone_is_abandoned() {
        let own = ProcId::own().unwrap();
        let name = |pid: i32, start: u64| PathBuf::from(format!("/x/sprint-run-0190-a.{pid}.{start}.0"));
        assert!(!is_abandoned(&name(own.pid, own.start_ticks)));
        assert!(is_abandoned(&name(own.pid, own.start_ticks + 1)));
        assert!(!is_abandoned(Path::new("/x/sprint-run-")) && !is_abandoned(Path::new("/x/user.slice")));
        assert!(is_plain("0190-a") && !is_plain("../x") && !is_plain("a.1"));
    }
}
