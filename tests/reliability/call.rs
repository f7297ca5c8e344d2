//! System calls that change something, and what they change: a kind of file, never a path of one run.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

use nix::libc;
use nix::unistd::Pid;

/// The longest path that a system takes.
const PATH_MAX: usize = 4096;

/// Where a call names its file.
#[derive(Debug, Clone, Copy)]
enum Names {
    /// This argument is a descriptor.
    Descriptor(usize),
    /// This argument is a path.
    Path(usize),
    /// A directory's descriptor and a path below it.
    Below(usize, usize),
    /// Nothing: it is about processes.
    Nothing,
}

/// The calls that are looked at. Opening counts where it may make or empty a file.
const CALLS: &[(i64, &str, Names)] = &[
    (libc::SYS_write, "write", Names::Descriptor(0)),
    (libc::SYS_writev, "writev", Names::Descriptor(0)),
    (libc::SYS_pwrite64, "pwrite64", Names::Descriptor(0)),
    (libc::SYS_sendto, "sendto", Names::Descriptor(0)),
    (libc::SYS_ftruncate, "ftruncate", Names::Descriptor(0)),
    (libc::SYS_fallocate, "fallocate", Names::Descriptor(0)),
    (libc::SYS_fsync, "fsync", Names::Descriptor(0)),
    (libc::SYS_fdatasync, "fdatasync", Names::Descriptor(0)),
    (libc::SYS_fchmod, "fchmod", Names::Descriptor(0)),
    (libc::SYS_copy_file_range, "copy_file_range", Names::Descriptor(2)),
    (libc::SYS_open, "open", Names::Path(0)),
    (libc::SYS_openat, "openat", Names::Below(0, 1)),
    (libc::SYS_creat, "creat", Names::Path(0)),
    (libc::SYS_rename, "rename", Names::Path(1)),
    (libc::SYS_renameat, "renameat", Names::Below(2, 3)),
    (libc::SYS_renameat2, "renameat2", Names::Below(2, 3)),
    (libc::SYS_link, "link", Names::Path(1)),
    (libc::SYS_linkat, "linkat", Names::Below(2, 3)),
    (libc::SYS_symlink, "symlink", Names::Path(1)),
    (libc::SYS_symlinkat, "symlinkat", Names::Below(1, 2)),
    (libc::SYS_unlink, "unlink", Names::Path(0)),
    (libc::SYS_unlinkat, "unlinkat", Names::Below(0, 1)),
    (libc::SYS_mkdir, "mkdir", Names::Path(0)),
    (libc::SYS_mkdirat, "mkdirat", Names::Below(0, 1)),
    (libc::SYS_rmdir, "rmdir", Names::Path(0)),
    (libc::SYS_chmod, "chmod", Names::Path(0)),
    (libc::SYS_fchmodat, "fchmodat", Names::Below(0, 1)),
    (libc::SYS_utimensat, "utimensat", Names::Below(0, 1)),
    (libc::SYS_execve, "execve", Names::Nothing),
    (libc::SYS_clone, "clone", Names::Nothing),
    (libc::SYS_clone3, "clone3", Names::Nothing),
    (libc::SYS_vfork, "vfork", Names::Nothing),
    (libc::SYS_kill, "kill", Names::Nothing),
    (libc::SYS_pidfd_send_signal, "pidfd_send_signal", Names::Nothing),
];

/// Who opens with one of these may make a file, or empty it.
pub(crate) const CHANGING: [libc::c_int; 2] = [libc::O_CREAT, libc::O_TRUNC];

/// As the system numbers those that are looked at.
pub(crate) fn numbers() -> impl Iterator<Item = i64> {
    CALLS.iter().map(|(number, _, _)| *number)
}

/// Which argument of a call that opens has its flags. Others have none.
pub(crate) fn flags_at(number: i64) -> Option<usize> {
    match number {
        libc::SYS_open => Some(1),
        libc::SYS_openat => Some(2),
        _ => None,
    }
}

/// What one call that a tracer was asked about changes, if it changes something: its name, and the kind of
/// file.
pub(crate) fn of(thread: Pid, registers: &libc::user_regs_struct) -> Option<(&'static str, &'static str)> {
    let number = registers.orig_rax.cast_signed();
    let (_, name, names) = CALLS.iter().find(|(of, _, _)| *of == number)?;
    let arguments = [registers.rdi, registers.rsi, registers.rdx, registers.r10];
    let path = match *names {
        Names::Nothing => return Some((name, "process")),
        Names::Descriptor(at) => descriptor(thread, arguments[at])?,
        Names::Path(at) => absolute(thread, libc::AT_FDCWD, &text(thread, arguments[at])?)?,
        Names::Below(directory, at) => {
            let directory = i32::from_ne_bytes(arguments[directory].to_ne_bytes()[..4].try_into().ok()?);
            absolute(thread, directory, &text(thread, arguments[at])?)?
        }
    };
    Some((name, kind(&path)?))
}

fn descriptor(thread: Pid, number: u64) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{thread}/fd/{number}")).ok()
}

fn absolute(thread: Pid, directory: i32, path: &str) -> Option<PathBuf> {
    if path.starts_with('/') {
        return Some(PathBuf::from(path));
    }
    let start = match u64::try_from(directory) {
        Ok(number) => descriptor(thread, number)?,
        Err(_) => fs::read_link(format!("/proc/{thread}/cwd")).ok()?,
    };
    Some(start.join(path))
}

/// A string of the process's.
fn text(thread: Pid, address: u64) -> Option<String> {
    let memory = fs::File::open(format!("/proc/{thread}/mem")).ok()?;
    let mut bytes = Vec::new();
    let mut page = [0; 256];
    while bytes.len() < PATH_MAX {
        // The next page may not be there.
        let read = memory.read_at(&mut page, address + bytes.len() as u64).ok()?;
        let end = page[..read].iter().position(|byte| *byte == 0);
        bytes.extend_from_slice(&page[..end.unwrap_or(read)]);
        if end.is_some() || read == 0 {
            break;
        }
    }
    String::from_utf8(bytes).ok()
}

/// What it is, wherever it lies; `None` for what nobody finds again.
fn kind(path: &Path) -> Option<&'static str> {
    let text = path.to_str()?;
    if text.starts_with("socket:") {
        return Some("socket");
    }
    if !text.starts_with('/') || text.starts_with("/dev/") || text.starts_with("/proc/") {
        return None;
    }
    let names: Vec<&str> = path
        .components()
        .filter_map(|part| if let Component::Normal(name) = part { name.to_str() } else { None })
        .collect();
    let last = names.last().copied().unwrap_or_default();
    let has = |name: &str| names.contains(&name);
    Some(if let Some(at) = names.iter().position(|name| *name == ".git") {
        git_kind(&names[at + 1..])
    } else if let Some(kind) = database_kind(last) {
        kind
    } else if has("runs") {
        if last.starts_with("report.") { "report" } else { "run" }
    } else if has("logs") {
        "log"
    } else if has("transcripts") {
        "transcript"
    } else if has("worktrees") {
        "worktree"
    } else if has("x") {
        "runtime"
    } else if has("sprint") {
        "state"
    } else {
        "other"
    })
}

fn database_kind(name: &str) -> Option<&'static str> {
    match name {
        "sprint.db" => Some("database"),
        "sprint.db-wal" => Some("database-log"),
        "sprint.db-shm" => Some("database-index"),
        _ if name.starts_with("sprint-") && name.contains(".db") => Some("snapshot"),
        _ => None,
    }
}

/// Below the git directory.
fn git_kind(names: &[&str]) -> &'static str {
    let is_lock =
        names.last().is_some_and(|name| Path::new(name).extension().is_some_and(|end| end == "lock"));
    match names {
        ["refs", "heads", "sprint", ..] if is_lock => "branch.lock",
        ["refs", "heads", "sprint", ..] => "branch",
        ["refs", "heads", "sprint-task", ..] => "task-branch",
        ["refs", "sprint", ..] => "anchor",
        ["refs", ..] => "reference",
        ["objects", "pack", ..] => "pack",
        ["objects", ..] => "object",
        ["worktrees", ..] if is_lock => "worktree-admin.lock",
        ["worktrees", ..] => "worktree-admin",
        ["logs", ..] => "reflog",
        [name, ..] if name.starts_with("packed-refs") => "packed-refs",
        [name, ..] if name.starts_with("sprint.") => "sprint-id",
        _ => "git",
    }
}

#[cfg(test)]
mod tests {
    use super::kind;
    use std::path::Path;

    #[test]
    fn files_have_kinds() {
        for (path, wanted) in [
            ("/t/r/.git/refs/heads/sprint/001-demo.lock", Some("branch.lock")),
            ("/t/r/.git/refs/heads/sprint/001-demo", Some("branch")),
            ("/t/r/.git/refs/sprint/run/1", Some("anchor")),
            ("/t/r/.git/objects/ab/cd", Some("object")),
            ("/t/r/.git/worktrees/w1/index.lock", Some("worktree-admin.lock")),
            ("/t/s/sprint/r-1/sprint.db-wal", Some("database-log")),
            ("/t/s/sprint/r-1/runs/1/report.part", Some("report")),
            ("/t/s/sprint/r-1/worktrees/w1/one.txt", Some("worktree")),
            ("/dev/null", None),
            ("pipe:[1]", None),
            ("socket:[1]", Some("socket")),
        ] {
            assert_eq!(kind(Path::new(path)), wanted, "{path}");
        }
    }
}
