//! How a test waits without a poll: on the bell that the supervisor rings.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use sprint::process::doorbell::Doorbell;

use super::World;

/// Between two looks where no bell rings.
const LOOK_MS: u16 = 50;

/// A doorbell that the supervisor rings after each commit; taken down when it is dropped.
pub(super) struct Bell {
    bell: Option<Doorbell>,
    path: PathBuf,
}

impl Bell {
    /// For one that nobody rings.
    pub(super) fn silent() -> Self {
        Self { bell: None, path: PathBuf::new() }
    }

    pub(super) fn put_up(world: &World) -> Self {
        let number = world.commands.fetch_add(1, Ordering::Relaxed);
        let Some(runtime) = world.runtimes().pop() else { return Self::silent() };
        let path = runtime.join(format!("follow-t{number}.sock"));
        Self { bell: Doorbell::bind(&path).ok(), path }
    }

    /// Until it rings, or for a moment.
    pub(super) fn wait(&self) {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let mut fds: Vec<PollFd<'_>> =
            self.bell.iter().map(|bell| PollFd::new(bell.as_fd(), PollFlags::POLLIN)).collect();
        if matches!(poll(&mut fds, PollTimeout::from(LOOK_MS)), Ok(1))
            && let Some(bell) = &self.bell
        {
            bell.drain().unwrap();
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        if self.bell.is_some() && fs::remove_file(&self.path).is_err() {
            // The supervisor may have ended and tidied up.
        }
    }
}
