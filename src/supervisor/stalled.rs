//! The store cannot be written: the disk is full, or fails. Nothing is decided, dispatched or landed any
//! more; workers finish what they have and file it. What has failed is never tried again as it is: once
//! there is room, the store is opened, checked and recovered from the beginning.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::{Place, SupervisorError};
use crate::error::chain;
use crate::process::supervisor_file::SupervisorFile;
use crate::process::system::Disk;
use crate::store::StoreError;

/// So much must be free before a full disk is tried again.
const RESERVE: u64 = 64 * 1024 * 1024;
/// Between two looks at a full disk.
const LOOK: Duration = Duration::from_secs(5);
/// A disk that fails is tried again after this, doubled each time.
const RETRY: Duration = Duration::from_secs(10);
/// At most.
const RETRY_MAX: Duration = Duration::from_mins(5);
/// A life longer than this was not ended by what ended the one before.
pub(super) const CALM: Duration = Duration::from_mins(10);

/// What keeps the store from being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Full,
    Failing,
    Damaged,
}

/// Why nothing goes on for now.
#[derive(Debug)]
pub(super) struct Stall {
    fault: Fault,
    why: String,
}

impl Stall {
    /// Of an error that another beginning may get past.
    pub(super) fn of(error: &SupervisorError) -> Option<Self> {
        let SupervisorError::Store(store) = error else { return None };
        let fault = fault(store)?;
        Some(Self { fault, why: chain(store) })
    }

    /// Tells commands, and waits until it is worth another try. False: somebody asked it to end.
    ///
    /// # Errors
    /// Signals cannot be listened to.
    pub(super) async fn wait(&self, place: &Place, tries: u32) -> Result<bool, SupervisorError> {
        tracing::error!(why = self.why, tries, "nothing is decided until the store can be written");
        announce(place, &self.told());
        let listen = |kind| signal(kind).map_err(SupervisorError::system("listen to signals"));
        let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let mut hup = listen(SignalKind::hangup())?;
        let mut pause = self.pause(tries);
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = term.recv() => return Ok(false),
                _ = int.recv() => return Ok(false),
                _ = hup.recv() => return Ok(false),
            }
            if self.fault != Fault::Full || has_room(place) {
                return Ok(true);
            }
            pause = LOOK;
        }
    }

    fn pause(&self, tries: u32) -> Duration {
        match self.fault {
            Fault::Full => LOOK,
            Fault::Failing | Fault::Damaged => {
                RETRY.saturating_mul(2_u32.saturating_pow(tries.min(8))).min(RETRY_MAX)
            }
        }
    }

    fn told(&self) -> String {
        let then = match self.fault {
            Fault::Full => "it goes on by itself when 64 MB are free",
            Fault::Damaged => "it is made again from a copy by itself",
            Fault::Failing => "it is tried again by itself; look at the disk",
        };
        format!("nothing is decided or landed: {}; {then}", self.why)
    }
}

fn fault(error: &StoreError) -> Option<Fault> {
    match error {
        StoreError::Full => Some(Fault::Full),
        StoreError::Io { .. } => Some(Fault::Failing),
        StoreError::Corrupt { .. } | StoreError::Row { .. } => Some(Fault::Damaged),
        _ => None,
    }
}

fn has_room(place: &Place) -> bool {
    match Disk::of(&place.layout.state) {
        Ok(disk) => disk.free >= RESERVE,
        Err(error) => {
            tracing::warn!(%error, "the free space is not known");
            true
        }
    }
}

/// In the runtime directory, which is in memory as a rule: a full disk does not keep it from being told.
fn announce(place: &Place, why: &str) {
    let path = place.layout.supervisor_file();
    let own = match SupervisorFile::read(&path) {
        Ok(Some(own)) => own,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, "who supervises cannot be read"),
    };
    if let Err(error) = (SupervisorFile { stalled: Some(why.to_owned()), ..own }).write(&path) {
        tracing::warn!(%error, "that nothing goes on cannot be told");
    }
}
