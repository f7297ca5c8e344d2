//! Where everything of one repository lives: state, runtime, logs. Paths only; makes nothing.

use std::path::{Path, PathBuf};

use crate::domain::ids::{RunId, WorkerName};

/// A Unix socket path may have so many bytes, its terminating zero included.
pub const SOCKET_PATH_MAX: usize = 108;

/// The variables that tell a worker where its sprint is.
pub const STATE_VARIABLE: &str = "SPRINT_STATE";
/// See [`STATE_VARIABLE`].
pub const RUNTIME_VARIABLE: &str = "SPRINT_RUNTIME";
/// See [`STATE_VARIABLE`].
pub const HASH_VARIABLE: &str = "SPRINT_HASH";
/// The worker's own name.
pub const WORKER_VARIABLE: &str = "SPRINT_WORKER";
/// The git directory of the checkout that `start` was called in.
pub const REPO_VARIABLE: &str = "SPRINT_REPO";
/// Where gates share the cores, if not at the usual place.
pub const SLOTS_VARIABLE: &str = "SPRINT_SLOTS";

/// The places of one repository's sprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// `<state home>/sprint/<repo-name>-<hash>`.
    pub state: PathBuf,
    /// Sockets and heartbeats: gone after a reboot.
    pub runtime: PathBuf,
    /// What makes names unique, and part of the tmux server's name.
    pub hash: String,
}

/// Where sprint keeps the tools that it installs: `$XDG_DATA_HOME/sprint/tools`.
pub fn tools_directory(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    let data = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/share")))?;
    Some(data.join("sprint/tools"))
}

/// The variables that decide where things live, as the person has them.
#[derive(Debug, Clone, Default)]
pub struct Homes {
    /// `general.state_dir`, if set.
    pub state_dir: Option<PathBuf>,
    /// `$XDG_STATE_HOME`, if set and absolute.
    pub xdg_state: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`, if set and absolute.
    pub xdg_runtime: Option<PathBuf>,
    /// `$HOME`.
    pub home: PathBuf,
    /// The person's user id.
    pub uid: u32,
}

impl Layout {
    /// The places of the repository `name` with the id hash `hash`.
    pub fn new(homes: &Homes, name: &str, hash: &str) -> Self {
        let state_root = homes
            .state_dir
            .clone()
            .or_else(|| homes.xdg_state.as_ref().map(|dir| dir.join("sprint")))
            .unwrap_or_else(|| homes.home.join(".local/state/sprint"));
        let runtime = match &homes.xdg_runtime {
            // The longest socket name, `follow-4194304.sock`, must still fit.
            Some(dir) if dir.as_os_str().len() + hash.len() + 32 < SOCKET_PATH_MAX => {
                dir.join(format!("sprint-{hash}"))
            }
            _ => PathBuf::from(format!("/tmp/sprint-{}-{hash}", homes.uid)),
        };
        Self { state: state_root.join(format!("{name}-{hash}")), runtime, hash: hash.to_owned() }
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.state.join("sprint.db")
    }

    /// What a run leaves: prompt, feedback, claims, report.
    pub fn run(&self, run: &RunId) -> PathBuf {
        self.state.join("runs").join(run.as_str())
    }

    /// All runs.
    pub fn runs(&self) -> PathBuf {
        self.state.join("runs")
    }

    /// Worktrees of tasks and gates.
    pub fn worktrees(&self) -> PathBuf {
        self.state.join("worktrees")
    }

    /// Logs of the supervisor and the workers.
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// What runs printed.
    pub fn transcripts(&self) -> PathBuf {
        self.state.join("transcripts")
    }

    /// What one run printed.
    pub fn transcript(&self, run: &RunId) -> PathBuf {
        self.transcripts().join(format!("{run}.log"))
    }

    /// Copies of the database.
    pub fn snapshots(&self) -> PathBuf {
        self.state.join("snapshots")
    }

    /// Results of gates.
    pub fn cache(&self) -> PathBuf {
        self.state.join("cache")
    }

    /// Locks of the slots.
    pub fn lock(&self, worker: &WorkerName) -> PathBuf {
        self.state.join("locks").join(format!("{worker}.lock"))
    }

    /// What `start` found: environment, identity, checkout.
    pub fn session(&self) -> PathBuf {
        self.state.join("start.json")
    }

    /// The lock of a `start` that hands its features over.
    pub fn start_lock(&self) -> PathBuf {
        self.state.join("locks").join("start.lock")
    }

    /// What the supervisor prints before its log is there.
    pub fn supervisor_output(&self) -> PathBuf {
        self.logs().join("supervisor.out")
    }

    /// The supervisor's doorbell.
    pub fn supervisor_bell(&self) -> PathBuf {
        self.runtime.join("supervisor.sock")
    }

    /// A worker's doorbell.
    pub fn worker_bell(&self, worker: &WorkerName) -> PathBuf {
        self.runtime.join(format!("{worker}.sock"))
    }

    /// A following command's doorbell.
    pub fn follower_bell(&self, pid: u32) -> PathBuf {
        self.runtime.join(format!("follow-{pid}.sock"))
    }

    /// A worker's heartbeat: the file's modification time.
    pub fn heartbeat(&self, worker: &WorkerName) -> PathBuf {
        self.runtime.join(format!("{worker}.beat"))
    }

    /// The supervisor's identity: boot id, pid, start, version.
    pub fn supervisor_file(&self) -> PathBuf {
        self.runtime.join("supervisor.json")
    }

    /// The name of the tmux server, for `tmux -L`.
    pub fn tmux_name(&self) -> String {
        format!("sprint-{}", self.hash)
    }

    /// Directories that must be there, 0700.
    pub fn directories(&self) -> Vec<PathBuf> {
        let inside = ["worktrees", "runs", "logs", "transcripts", "snapshots", "home", "cache", "locks"];
        let mut all = vec![self.state.clone(), self.runtime.clone()];
        all.extend(inside.iter().map(|name| self.state.join(name)));
        all
    }

    /// Whether a path lies in the state directory.
    pub fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_directory_that_is_too_long_for_a_socket_is_not_used() {
        let mut homes = Homes { home: "/home/p".into(), uid: 7, ..Homes::default() };
        homes.xdg_runtime = Some(PathBuf::from(format!("/{}", "r".repeat(90))));
        assert_eq!(Layout::new(&homes, "repo", "0123456789").runtime, Path::new("/tmp/sprint-7-0123456789"));
        homes.xdg_runtime = Some("/run/user/7".into());
        let layout = Layout::new(&homes, "repo", "0123456789");
        assert_eq!(layout.runtime, Path::new("/run/user/7/sprint-0123456789"));
        assert_eq!(layout.state, Path::new("/home/p/.local/state/sprint/repo-0123456789"));
    }
}
