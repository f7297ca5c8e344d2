//! The other side's tmux server: plain, with one session that keeps it alive.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::Outcome;

/// A server of its own, ended with this value.
pub(crate) struct Server {
    name: String,
}

impl Server {
    pub(crate) fn start() -> Outcome<Self> {
        let name = format!("sb-{}-{}", std::process::id(), crate::logs::now_us());
        let server = Self { name };
        let status =
            server.command().args(["new-session", "-d", "-s", "keep", "sleep", "infinity"]).status()?;
        if status.success() { Ok(server) } else { Err("tmux does not start".into()) }
    }

    /// A tmux command on this server.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.name, "-f", "/dev/null"]).env_remove("TMUX").stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// One client that stays and takes commands, a line each.
    pub(crate) fn control(&self) -> Outcome<Child> {
        Ok(self.command().args(["-C", "attach", "-t", "keep"]).stdin(Stdio::piped()).spawn()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.command().arg("kill-server").status() {
            let told = writeln!(std::io::stderr(), "tmux: {error}");
            debug_assert!(told.is_ok(), "standard error is there");
        }
    }
}
