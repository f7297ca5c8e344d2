//! Copies of the database: one every ten minutes in which something happened, one when a feature has been handed
//! over, which nothing but the database knows, and one at the end.

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
    last: Option<Made>,
}

/// What a snapshot was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) at_ms: u64,
    pub(super) commits: u64,
    pub(super) features: usize,
}

impl Made {
    /// Of now.
    pub(super) fn now(commits: u64, features: usize) -> Self {
        Self { at_ms: clock::monotonic_ms(), commits, features }
    }
}

impl Snapshots {
    /// Makes one if it is time and something was written since.
    pub(super) fn keep(&mut self, place: &Place, store: &Store, now: Made) {
        if is_due(self.last, now) {
            self.make(place, store, now);
        }
    }

    /// Makes one if anything was written since the last.
    pub(super) fn make_last(&mut self, place: &Place, store: &Store, now: Made) {
        if self.last.is_none_or(|last| last.commits != now.commits) {
            self.make(place, store, now);
        }
    }

    fn make(&mut self, place: &Place, store: &Store, now: Made) {
        match store.snapshot(&place.layout.snapshots(), clock::wall_ms()) {
            Ok(path) => {
                tracing::debug!(path = %path.display(), "snapshot");
                self.last = Some(now);
            }
            // The sprint itself goes on: the database is there.
            Err(error) => tracing::warn!(error = chain(&error), "no snapshot could be made"),
        }
    }
}

fn is_due(last: Option<Made>, now: Made) -> bool {
    let every = u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX);
    last.is_none_or(|last| {
        last.commits != now.commits && (last.features != now.features || now.at_ms - last.at_ms >= every)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_due_at_first_after_ten_minutes_and_with_a_new_feature() {
        let at = |at_ms, commits, features| Made { at_ms, commits, features };
        let last = Some(at(1_000, 5, 1));
        assert!(is_due(None, at(0, 0, 0)));
        assert!(!is_due(last, at(600_999, 6, 1)) && is_due(last, at(601_000, 6, 1)));
        assert!(is_due(last, at(1_001, 6, 2)), "a feature was handed over");
        assert!(!is_due(last, at(9_000_000, 5, 1)), "nothing was written");
    }
}
