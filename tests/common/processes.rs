//! Which processes know of a directory: by environment, arguments or working directory.

use std::fs;

use nix::sys::signal::Signal;
use sprint::process::identity::ProcId;

/// A process of a world.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub pid: u32,
    pub command: String,
}

/// Whether the process runs: there, and not a zombie.
pub(crate) fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !"ZX".contains(state))
}

/// Every process but this one that mentions one of `marks`.
pub(crate) fn marked(marks: &[String]) -> Vec<Found> {
    let own = std::process::id();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != own).filter_map(|pid| found(pid, marks)).collect()
}

fn found(pid: u32, marks: &[String]) -> Option<Found> {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let (command, environment) = (read("cmdline"), read("environ"));
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    let texts =
        [String::from_utf8_lossy(&command), String::from_utf8_lossy(&environment), cwd.to_string_lossy()];
    let mentions = texts.iter().any(|text| marks.iter().any(|mark| text.contains(mark.as_str())));
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    (mentions && alive(pid)).then_some(Found { pid, command })
}

/// SIGKILL to all of them, each checked to be the one that was found.
pub(crate) fn end(all: &[Found]) {
    for found in all {
        let Ok(Some(handle)) = ProcId::of(found.pid.cast_signed()).and_then(|id| id.open()) else { continue };
        if handle.signal(Signal::SIGKILL).is_ok() {
            handle.wait(std::time::Duration::from_millis(500));
        }
    }
}
