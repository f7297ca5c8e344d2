//! What runs leave on the disk: the newest of what is over are kept, so that a state directory does
//! not grow with every feature that was ever built. The database keeps the history of all.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use super::Place;
use crate::domain::ids::RunId;
use crate::error::chain;
use crate::store::{Client, StoreError};

/// Runs of features that are over, with their transcripts, that are kept: weeks of work for
/// `sprint logs`, and with transcripts of the usual size some tens of megabytes. What belongs to a
/// feature that is not over is kept besides, however much it is.
const OVER_KEPT: usize = 300;

/// Removes what is left of the oldest runs that are over. What cannot be removed stays, and the
/// log says so.
pub(super) fn tidy(place: &Place) {
    match surplus(place) {
        Ok(old) if old.is_empty() => {}
        Ok(old) => {
            tracing::info!(runs = old.len(), "what the oldest runs left is removed");
            for run in &old {
                if let Err(error) = remove(place, run) {
                    tracing::warn!(%run, %error, "what an old run left stays");
                }
            }
        }
        Err(error) => tracing::warn!(error = chain(&error), "what old runs left stays"),
    }
}

/// Only what the database says is over may go: a report whose run it does not know, or has not
/// applied, is not one.
fn surplus(place: &Place) -> Result<Vec<RunId>, StoreError> {
    let found = found(place);
    if found.len() <= OVER_KEPT {
        return Ok(Vec::new());
    }
    let over = Client::open_read_only(&place.layout.database())?.runs_over()?;
    Ok(oldest(&found, &over, OVER_KEPT))
}

/// Runs of which something is on the disk. Their names are in the order of time.
fn found(place: &Place) -> BTreeSet<RunId> {
    let names = |directory: &Path| -> Vec<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    };
    let runs = names(&place.layout.runs());
    let transcripts = names(&place.layout.transcripts());
    let all = runs.iter().chain(&transcripts).map(|name| name.split('.').next().unwrap_or(name));
    all.filter_map(|name| RunId::parse(name).ok()).collect()
}

/// Of those that are over, all but the newest.
fn oldest(found: &BTreeSet<RunId>, over: &BTreeSet<RunId>, keep: usize) -> Vec<RunId> {
    let gone: Vec<&RunId> = found.intersection(over).collect();
    let old = gone.len().saturating_sub(keep);
    gone.into_iter().take(old).cloned().collect()
}

fn remove(place: &Place, run: &RunId) -> io::Result<()> {
    let transcript = place.layout.transcript(run);
    let absent_is_fine = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    absent_is_fine(fs::remove_file(transcript.with_extension("old.log")))?;
    absent_is_fine(fs::remove_file(&transcript))?;
    absent_is_fine(fs::remove_dir_all(place.layout.run(run)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u8) -> RunId {
        RunId::parse(&format!("019c0000-0000-7000-8000-0000000000{number:02x}")).unwrap()
    }

    fn runs(numbers: std::ops::Range<u8>) -> BTreeSet<RunId> {
        numbers.map(run).collect()
    }

    #[test]
    fn the_oldest_go_and_only_of_what_is_over() {
        assert_eq!(oldest(&runs(0..9), &runs(0..9), 9), []);
        assert_eq!(oldest(&runs(0..9), &runs(0..9), 7), [run(0), run(1)]);
        assert_eq!(oldest(&runs(0..9), &runs(4..9), 3), [run(4), run(5)], "0 to 3 are not over");
        assert_eq!(oldest(&runs(3..9), &runs(0..9), 0).len(), 6, "0 to 2 are gone already");
        assert_eq!(oldest(&runs(0..9), &BTreeSet::new(), 0), []);
    }
}
