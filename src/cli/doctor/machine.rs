//! The machine: what the kernel and the system around sprint offer, and their bounds.

use std::fs;
use std::path::{Path, PathBuf};

use super::check::Check;
use crate::cli::environment::Environment;
use crate::cli::text::bytes;
use crate::config::layout::{Layout, SOCKET_PATH_MAX};
use crate::gates::find_program;
use crate::process::offline;
use crate::process::system::Machine;
use crate::process::{cgroup, clock};

/// With fewer open files a supervisor of a dozen workers is at its end.
const FILES_MIN: u64 = 1024;
/// Each worker, its agent and a test suite: a few hundred.
const PROCESSES_MIN: u64 = 1000;
/// Fewer instances of inotify than this are used up by an editor and two agents.
const WATCHES_MIN: u64 = 64;
/// With less nothing but a demo runs.
const MEMORY_MIN: u64 = 1 << 30;
/// Wall clock before this is wrong: 2025, in milliseconds.
const EPOCH_MS: i64 = 1_735_689_600_000;
/// The longest name of a socket of ours.
const SOCKET_NAME: &str = "follow-4194304.sock";

/// Everything of the machine.
pub(super) fn checks(env: &Environment) -> Vec<Check> {
    let mut all = vec![network(), systemd(), cgroups(), namespaces(), bwrap(env)];
    all.extend([
        limit("files", "Max open files", FILES_MIN),
        limit("processes", "Max processes", PROCESSES_MIN),
    ]);
    all.extend([watches(), memory(), clock(), proc(), temporary(env)]);
    all
}

/// Gates are kept from the network where the kernel allows that; where not, nobody should believe it.
fn network() -> Check {
    if offline::possible() {
        return Check::ok("network", "gates have none of their own to reach");
    }
    let what = "this kernel gives no child a network of its own: gates run with the network";
    Check::warning("network", what, offline::remedy())
}

fn systemd() -> Check {
    let there = Path::new("/run/systemd/system").is_dir();
    Check::ok("systemd", if there { "runs" } else { "does not run here: nothing keeps the machine awake" })
}

fn cgroups() -> Check {
    let none = || "none to be had: sprint looks at /proc twice a second instead".to_owned();
    Check::ok("cgroups", cgroup::tier().unwrap_or_else(none))
}

fn namespaces() -> Check {
    let most = number("/proc/sys/user/max_user_namespaces");
    match most {
        Some(0) => Check::ok("namespaces", "this kernel gives none to users"),
        Some(most) => Check::ok("namespaces", format!("up to {most}")),
        None => Check::ok("namespaces", "this kernel has none"),
    }
}

fn bwrap(env: &Environment) -> Check {
    let path = env.get("PATH").unwrap_or_default();
    match find_program("bwrap", path, Path::new("/")) {
        Some(at) => Check::ok("bwrap", at.display().to_string()),
        None => Check::ok("bwrap", "is not installed; programs that use it say so themselves"),
    }
}

/// A soft limit of this process, which all that it starts inherits.
fn limit(name: &'static str, line: &str, least: u64) -> Check {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    match soft_limit(&limits, line) {
        Some(soft) if soft < least => Check::warning(
            name,
            format!("only {soft} at once; a sprint of some workers needs {least}"),
            format!("ulimit -{} {least}", if name == "files" { "n" } else { "u" }),
        ),
        Some(soft) => Check::ok(name, format!("{soft} at once")),
        None => Check::ok(name, "without a limit"),
    }
}

/// Of `/proc/self/limits`; `None`: unlimited, or no such line.
fn soft_limit(limits: &str, line: &str) -> Option<u64> {
    let rest = limits.lines().find_map(|found| found.strip_prefix(line))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn watches() -> Check {
    match number("/proc/sys/fs/inotify/max_user_instances") {
        Some(most) if most < WATCHES_MIN => Check::warning(
            "watches",
            format!("only {most} programs may watch files"),
            "sudo sysctl fs.inotify.max_user_instances=128",
        ),
        Some(most) => Check::ok("watches", format!("up to {most} programs")),
        None => Check::ok("watches", "without a limit"),
    }
}

fn memory() -> Check {
    match Machine::read() {
        Ok(machine) if machine.memory_available < MEMORY_MIN => Check::warning(
            "memory",
            format!("only {} are free", bytes(machine.memory_available)),
            "end something, or set `agents.max_developers` lower",
        ),
        Ok(machine) => Check::ok("memory", format!("{} free", bytes(machine.memory_available))),
        Err(error) => Check::warning("memory", format!("cannot be read: {error}"), "mount /proc"),
    }
}

fn clock() -> Check {
    let now = clock::wall_ms();
    if now < EPOCH_MS {
        return Check::warning("clock", "is years behind", "set it: sudo timedatectl set-ntp true");
    }
    Check::ok("clock", crate::cli::text::rfc3339(now))
}

/// Another user's processes may be hidden; one's own must be seen.
fn proc() -> Check {
    match crate::process::tree::Table::scan() {
        Ok(table) if table.is_alive(&own()) => Check::ok("proc", "is mounted"),
        Ok(_) => Check::problem("proc", "does not show this very process", "mount -t proc proc /proc"),
        Err(error) => Check::problem("proc", format!("cannot be read: {error}"), "mount -t proc proc /proc"),
    }
}

fn own() -> crate::process::identity::ProcId {
    let none = || crate::process::identity::ProcId { boot_id: String::new(), pid: 0, start_ticks: 0 };
    crate::process::identity::ProcId::own().unwrap_or_else(|_| none())
}

fn temporary(env: &Environment) -> Check {
    let own = env.path("TMPDIR").filter(|dir| dir.is_absolute());
    let dir = own.unwrap_or_else(|| PathBuf::from("/tmp"));
    match super::writable(&dir) {
        Ok(()) if dir.is_dir() => Check::ok("temporary", dir.display().to_string()),
        _ => Check::problem(
            "temporary",
            format!("`{}` cannot be written", dir.display()),
            "set TMPDIR to a directory of yours",
        ),
    }
}

/// A socket whose path is too long cannot be made.
pub(super) fn sockets(layout: &Layout, env: &Environment) -> Check {
    let tmux = tmux_socket(layout, env);
    let longest = layout.runtime.join(SOCKET_NAME).as_os_str().len().max(tmux.as_os_str().len());
    if longest < SOCKET_PATH_MAX {
        return Check::ok("sockets", format!("the longest path has {longest} bytes"));
    }
    Check::problem(
        "sockets",
        format!("the path of a socket has {longest} bytes, of {} that it may have", SOCKET_PATH_MAX - 1),
        "set XDG_RUNTIME_DIR and TMUX_TMPDIR to shorter directories",
    )
}

/// Where the server of this sprint listens.
pub(super) fn tmux_socket(layout: &Layout, env: &Environment) -> PathBuf {
    let base = env.path("TMUX_TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"));
    base.join(format!("tmux-{}", nix::unistd::getuid())).join(layout.tmux_name())
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             unlimited            96410                processes \n\
                    Max open files            256                  1048576              files     \n";
        assert_eq!(soft_limit(text, "Max open files"), Some(256));
        assert_eq!(soft_limit(text, "Max processes"), None);
        assert_eq!(soft_limit(text, "Max locked memory"), None);
    }
}
