//! Waiting for something to happen: a doorbell of our own that the supervisor rings after every
//! commit, and a look at the store now and then in case a ring is lost.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::out::reader_is_gone;
use crate::config::layout::Layout;
use crate::process::doorbell::Doorbell;

/// While nothing rings, standard output is looked at so often, in milliseconds: a reader that has
/// gone must not leave us behind.
const LOOK_MS: u16 = 1_000;

/// A following command's doorbell; taken down when it is dropped.
#[derive(Debug)]
pub struct Follower {
    bell: Option<(Doorbell, PathBuf)>,
}

impl Follower {
    /// Puts up a doorbell. Where that is not possible (no sprint was ever started), waiting is
    /// only a matter of time.
    pub fn new(layout: Option<&Layout>) -> Self {
        let path = layout.map(|layout| layout.follower_bell(std::process::id()));
        let bell = path.and_then(|path| match Doorbell::bind(&path) {
            Ok(bell) => Some((bell, path)),
            Err(error) => {
                tracing::debug!(%error, "no doorbell; it looks now and then");
                None
            }
        });
        Self { bell }
    }

    /// Returns true when it rang, or after `limit_ms`; false when nobody reads our output any more.
    pub fn wait(&self, limit_ms: u16) -> bool {
        let mut left = limit_ms;
        while left > 0 {
            if reader_is_gone() {
                return false;
            }
            let step = left.min(LOOK_MS);
            if self.rang(step) {
                return true;
            }
            left -= step;
        }
        !reader_is_gone()
    }

    /// Whether it rang within `limit_ms`.
    pub fn rang(&self, limit_ms: u16) -> bool {
        self.rang_or(limit_ms, None)
    }

    /// Whether it rang, or `other` became readable, within `limit_ms`.
    pub fn rang_or(&self, limit_ms: u16, other: Option<BorrowedFd<'_>>) -> bool {
        let bell = self.bell.as_ref().map(|(bell, _)| bell.as_fd());
        let mut fds: Vec<PollFd<'_>> =
            bell.into_iter().chain(other).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let rang = matches!(poll(&mut fds, PollTimeout::from(limit_ms)), Ok(n) if n > 0);
        if let (true, Some((bell, _))) = (rang, &self.bell)
            && let Err(error) = bell.drain()
        {
            tracing::debug!(%error, "the doorbell cannot be emptied");
        }
        rang
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.bell
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(%error, "the doorbell is gone already");
        }
    }
}
