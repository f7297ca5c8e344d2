//! Locks that everybody's git takes in a repository, and that a git which was killed leaves: one on all
//! packed references, one on the configuration. They are nobody's when no git has worked in the
//! repository for a while. Those of the person's checkout are the person's: they are only told of.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use super::error::{IoContext, Result};
use super::repo::Repo;
use crate::process::named::working_in;
use crate::process::tree::Member;

/// For so long no git may have been seen in the repository before a shared lock is nobody's.
pub const WAIT: Duration = Duration::from_secs(30);

/// Seconds in the place of [`WAIT`], in a build with debug assertions: for tests that kill a git over and over.
pub const WAIT_VARIABLE: &str = "SPRINT_LOCK_WAIT";

/// [`WAIT`], but for such tests.
pub fn wait() -> Duration {
    static SHORT: OnceLock<Option<Duration>> = OnceLock::new();
    let asked = || std::env::var(WAIT_VARIABLE).ok()?.parse().ok().map(Duration::from_secs);
    if cfg!(debug_assertions) { SHORT.get_or_init(asked).unwrap_or(WAIT) } else { WAIT }
}

/// Shared ones, in the common directory.
const SHARED: [&str; 2] = ["packed-refs.lock", "config.lock"];
/// Those of a checkout, in its own git directory.
const OF_A_CHECKOUT: [&str; 2] = ["index.lock", "HEAD.lock"];

/// A lock file that has been there for longer than [`WAIT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// The file.
    pub path: PathBuf,
    /// Since when it is there.
    pub age: Duration,
    /// Whether it is of the person's checkout, and so none of sprint's business.
    pub is_persons: bool,
}

/// The git programs that work in this repository, or in the directory `state` of its sprint.
///
/// # Errors
/// `/proc` cannot be read.
pub fn gits(repo: &Repo, state: Option<&Path>) -> io::Result<Vec<Member>> {
    let mut places = vec![repo.top.as_path(), repo.common_dir.as_path()];
    places.extend(state);
    working_in("git", &places)
}

/// Locks that have been there for longer than `wait`, whoever holds them.
pub fn old(repo: &Repo, wait: Duration) -> Vec<Old> {
    let shared = SHARED.iter().map(|name| (repo.common_dir.join(name), false));
    let persons = OF_A_CHECKOUT.iter().map(|name| (repo.git_dir.join(name), true));
    let mut found = Vec::new();
    for (path, is_persons) in shared.chain(persons) {
        // One from the future is younger than any.
        let Some(age) = written(&path).and_then(|at| at.elapsed().ok()) else { continue };
        if age >= wait {
            found.push(Old { path, age, is_persons });
        }
    }
    found
}

/// Watches the shared locks of a repository, and takes away those that are nobody's.
#[derive(Debug, Default)]
pub struct Watch {
    /// A lock as it was written, and since when no git was seen beside it.
    alone: BTreeMap<PathBuf, (SystemTime, Instant)>,
}

impl Watch {
    /// Looks once; `gits` is asked only when there is a lock. Returns what was removed.
    ///
    /// # Errors
    /// A lock cannot be removed. That processes cannot be looked at only means that none is.
    pub fn look(
        &mut self,
        common_dir: &Path,
        now: Instant,
        gits: impl FnOnce() -> io::Result<Vec<Member>>,
    ) -> Result<Vec<PathBuf>> {
        let there = |name: &&str| {
            let path = common_dir.join(name);
            written(&path).map(|at| (path, at))
        };
        let locks: Vec<(PathBuf, SystemTime)> = SHARED.iter().filter_map(there).collect();
        self.alone.retain(|path, (at, _)| locks.iter().any(|lock| lock.0 == *path && lock.1 == *at));
        if locks.is_empty() {
            return Ok(Vec::new());
        }
        // Where nobody can tell, somebody may be at work.
        if gits().map_or(true, |gits| !gits.is_empty()) {
            self.alone.clear();
            return Ok(Vec::new());
        }
        let mut removed = Vec::new();
        for (path, at) in locks {
            let (_, since) = *self.alone.entry(path.clone()).or_insert((at, now));
            if now.duration_since(since) >= wait() {
                fs::remove_file(&path).at("remove", &path)?;
                self.alone.remove(&path);
                removed.push(path);
            }
        }
        Ok(removed)
    }

    /// Whether a shared lock is there.
    pub fn any(common_dir: &Path) -> bool {
        SHARED.iter().any(|name| written(&common_dir.join(name)).is_some())
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(path).and_then(|meta| meta.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::tests::Fixture;
    use crate::process::identity::ProcId;
    use std::process::{Command, Stdio};

    #[expect(clippy::unnecessary_wraps, reason = "what the watch asks may fail")]
    fn nobody() -> io::Result<Vec<Member>> {
        Ok(Vec::new())
    }

    #[test]
    fn a_shared_lock_goes_when_no_git_was_seen_for_long_enough() {
        let f = Fixture::new();
        let dir = &f.repo.common_dir;
        let (mut watch, begin) = (Watch::default(), Instant::now());
        let later = |seconds| begin + Duration::from_secs(seconds);
        for name in ["packed-refs.lock", "config.lock", "index.lock"] {
            fs::write(dir.join(name), "").unwrap();
        }
        assert_eq!(watch.look(dir, begin, nobody).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(watch.look(dir, later(29), nobody).unwrap(), Vec::<PathBuf>::new());
        let somebody = || Ok(vec![Member { id: ProcId::own()?, name: "git".to_owned() }]);
        assert!(watch.look(dir, later(31), somebody).unwrap().is_empty(), "a living git may hold it");
        assert!(watch.look(dir, later(32), nobody).unwrap().is_empty(), "the time begins anew");
        assert!(watch.look(dir, later(61), || Err(io::Error::other("no /proc"))).unwrap().is_empty());
        assert!(watch.look(dir, later(62), nobody).unwrap().is_empty());
        let removed = watch.look(dir, later(92), nobody).unwrap();
        assert_eq!(removed, [dir.join("packed-refs.lock"), dir.join("config.lock")]);
        assert!(!Watch::any(dir) && dir.join("index.lock").exists(), "a checkout's is the person's");
    }

    #[test]
    fn a_lock_that_is_another_one_by_now_has_its_own_time() {
        let f = Fixture::new();
        let (dir, lock) = (&f.repo.common_dir, f.repo.common_dir.join("config.lock"));
        let (mut watch, begin) = (Watch::default(), Instant::now());
        fs::write(&lock, "").unwrap();
        watch.look(dir, begin, nobody).unwrap();
        let file = fs::File::options().write(true).open(&lock).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(3)).unwrap();
        assert!(watch.look(dir, begin + WAIT, nobody).unwrap().is_empty());
        assert_eq!(watch.look(dir, begin + 2 * WAIT, nobody).unwrap(), [lock]);
    }

    #[test]
    fn a_git_that_works_in_the_repository_is_seen_wherever_it_stands() {
        let f = Fixture::new();
        assert_eq!(gits(&f.repo, None).unwrap(), []);
        let outside = tempfile::tempdir().unwrap();
        for (place, arguments) in
            [(&f.repo.top, vec![]), (&outside.path().to_owned(), vec!["-C", f.repo.top.to_str().unwrap()])]
        {
            let mut command = Command::new("git");
            command.args(arguments).args(["cat-file", "--batch"]).current_dir(place);
            let mut git = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            let found = gits(&f.repo, None).unwrap();
            assert_eq!(found.len(), 1, "{found:?}");
            git.kill().unwrap();
            git.wait().unwrap();
        }
        assert_eq!(gits(&f.repo, None).unwrap(), []);
    }

    #[test]
    fn old_locks_are_told_with_whose_they_are() {
        let f = Fixture::new();
        fs::write(f.repo.common_dir.join("index.lock"), "").unwrap();
        fs::write(f.repo.common_dir.join("config.lock"), "").unwrap();
        assert_eq!(old(&f.repo, WAIT), []);
        let found = old(&f.repo, Duration::ZERO);
        assert_eq!(found.iter().map(|lock| lock.is_persons).collect::<Vec<_>>(), [false, true]);
    }
}
