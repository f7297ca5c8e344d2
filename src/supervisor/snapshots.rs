//! Copies of the database: one every ten minutes in which something happened.

use std::time::Duration;

use super::Place;
use crate::error::chain;
use crate::process::clock;
use crate::store::Store;

/// Between two snapshots.
const EVERY: Duration = Duration::from_mins(10);

/// When the last one was made, and of what.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    made_ms: Option<u64>,
    commits: u64,
}

impl Snapshots {
    /// Makes one if it is time and something was written since.
    pub(super) fn keep(&mut self, place: &Place, store: &Store, commits: u64) {
        let now = clock::monotonic_ms();
        let every = u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX);
        let due = self.made_ms.is_none_or(|made| now - made >= every);
        if !due || commits == self.commits {
            return;
        }
        match store.snapshot(&place.layout.snapshots(), clock::wall_ms()) {
            Ok(path) => {
                tracing::debug!(path = %path.display(), "snapshot");
                (self.made_ms, self.commits) = (Some(now), commits);
            }
            // The sprint itself goes on: the database is there.
            Err(error) => tracing::warn!(error = chain(&error), "no snapshot could be made"),
        }
    }
}
