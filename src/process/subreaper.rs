//! The worker adopts the orphans of its tree, so that none of them escapes to init.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::child::waited_for;
use super::identity::read_stat;

/// Makes this process the reaper of all its descendants.
///
/// # Errors
/// The kernel refuses (older than 3.4).
pub fn become_subreaper() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true).map_err(io::Error::from)
}

/// Reaps every dead child that nobody in this process waits for and that is not in `own`; how many.
/// For SIGCHLD.
///
/// # Errors
/// `/proc` cannot be read.
pub fn reap_orphans(own: &[i32]) -> io::Result<usize> {
    let mut reaped = 0;
    for pid in left_children()? {
        if own.contains(&pid) || !read_stat(pid).is_ok_and(|stat| stat.is_dead()) {
            continue;
        }
        match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD | Errno::EINTR) => {}
            Ok(_) => reaped += 1,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(reaped)
}

/// The direct children of this process that nobody here waits for, dead ones too: what others left.
///
/// # Errors
/// `/proc` cannot be read.
pub(super) fn left_children() -> io::Result<Vec<i32>> {
    let waited = waited_for();
    let mut left = children()?;
    left.retain(|pid| !waited.contains(pid));
    Ok(left)
}

/// The direct children of this process, dead ones too.
///
/// # Errors
/// `/proc` cannot be read.
pub fn children() -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    for thread in fs::read_dir("/proc/self/task")? {
        match fs::read_to_string(thread?.path().join("children")) {
            Ok(list) => pids.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok())),
            // The thread is gone, or the kernel was built without the file: then nothing is reaped
            // until we exit, which is untidy and harmless.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(pids)
}
