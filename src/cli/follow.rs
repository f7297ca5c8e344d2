//! Waiting for something to happen: a doorbell of our own that the supervisor rings after every
//! commit, and a look at the store now and then in case a ring is lost.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd};

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
    bell: Option<RefCell<Doorbell>>,
}

impl Follower {
    /// Puts up a doorbell. Where that is not possible (no sprint was ever started), waiting is
    /// only a matter of time.
    pub fn new(layout: Option<&Layout>) -> Self {
        let path = layout.map(|layout| layout.follower_bell(std::process::id()));
        let bell = path.and_then(|path| match Doorbell::bind_or_wait(&path) {
            Ok(bell) => Some(RefCell::new(bell)),
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

    /// Whether it rang, or `other` became readable, within `limit_ms`. A bell that was taken away and
    /// is put up again counts as rung.
    pub fn rang_or(&self, limit_ms: u16, other: Option<BorrowedFd<'_>>) -> bool {
        let bell = self.bell.as_ref().map(RefCell::borrow);
        let own = bell.as_ref().map(|bell| bell.as_fd());
        let mut fds: Vec<PollFd<'_>> =
            own.into_iter().chain(other).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let rang = matches!(poll(&mut fds, PollTimeout::from(limit_ms)), Ok(n) if n > 0);
        if let (true, Some(bell)) = (rang, &bell)
            && let Err(error) = bell.drain()
        {
            tracing::debug!(%error, "the doorbell cannot be emptied");
        }
        drop(bell);
        rang || self.keep()
    }

    /// Puts the bell up again where it is gone, with the runtime directory as a rule; true if it had to.
    fn keep(&self) -> bool {
        let kept = self.bell.as_ref().map(|bell| bell.borrow_mut().keep());
        kept.is_some_and(|kept| {
            kept.unwrap_or_else(|error| {
                tracing::debug!(%error, "no doorbell; it looks now and then");
                false
            })
        })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let bell = self.bell.take().map(RefCell::into_inner);
        if let Some(bell) = bell.filter(Doorbell::is_up)
            && let Err(error) = std::fs::remove_file(bell.path())
        {
            tracing::debug!(%error, "the doorbell is gone already");
        }
    }
}
