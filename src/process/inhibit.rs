//! Keeps the machine awake while a sprint runs, where logind offers it.

use std::io;
use std::process::{Child, Command, Stdio};

use super::child::{Session, isolate};
use super::limits::Entry;

/// Held as long as this lives. The lock's holder is `cat` on a pipe of ours: however we end, the
/// pipe closes, `cat` ends and the machine may sleep again.
#[derive(Debug)]
#[must_use = "the machine may sleep again when this is dropped"]
pub struct Inhibitor {
    child: Option<Child>,
}

/// Inhibits sleep, or logs why it cannot; that is no reason not to work.
pub fn inhibit_sleep() -> Inhibitor {
    match start() {
        Ok(child) => Inhibitor { child: Some(child) },
        Err(error) => {
            tracing::info!(%error, "sleep is not inhibited: systemd-inhibit cannot be started");
            Inhibitor { child: None }
        }
    }
}

fn start() -> io::Result<Child> {
    let mut command = Command::new("systemd-inhibit");
    command
        .args(["--what=sleep:idle", "--who=sprint", "--why=a sprint is running", "--mode=block", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    isolate(&mut command, Session::NewSession, Entry::default());
    command.spawn()
}

impl Inhibitor {
    /// Whether sleep is inhibited now; false also when logind refused (it says so after a moment).
    pub fn is_held(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Inhibitor {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        drop(child.stdin.take());
        // systemd-inhibit is killed rather than waited for; `cat` sees the end of its input.
        if let Err(error) = child.kill().and_then(|()| child.wait()) {
            tracing::warn!(%error, "cannot end systemd-inhibit");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_works_with_and_without_logind_and_leaves_no_child() {
        let mut inhibitor = inhibit_sleep();
        let pid = inhibitor.child.as_ref().map(|child| child.id().cast_signed());
        inhibitor.is_held();
        drop(inhibitor);
        assert!(pid.is_none_or(|pid| !crate::process::identity::ProcId::of(pid).is_ok_and(|id| id.alive())));
    }
}
