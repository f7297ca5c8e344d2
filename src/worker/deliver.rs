//! Brings a report to the supervisor: first the file, then the inbox row, then the ring.
//!
//! The file is what makes it durable: with the supervisor down or the database busy, the next
//! boot finds it.

use std::time::Duration;

use super::life::Place;
use crate::domain::event::Event;
use crate::domain::report::Filed;
use crate::process::letterbox::{self, Sender};
use crate::process::{clock, doorbell};
use crate::store::{Client, InboxBody, StoreError, reports};

/// Tries to append an inbox row; for a report, the file has to do after that.
const TRIES: u32 = 5;

/// Files the report, then tells the supervisor.
///
/// # Errors
/// Only when the file cannot be written: then nothing is known of the result.
pub(super) fn deliver(place: &Place, client: &Client, filed: &Filed) -> Result<(), StoreError> {
    reports::write(&place.layout.run(&filed.run), filed)?;
    tracing::info!(run = %filed.run, "the report is durable");
    if let Err(error) = letterbox::send(&News { place, client }, &filed.events()) {
        tracing::error!(%error, "the inbox cannot be written; the report file remains");
    }
    Ok(())
}

/// Appends a fact and rings: one that is known nowhere else, and that nothing goes on without.
///
/// # Errors
/// It cannot be appended: whoever begins anew opens the database anew. A log that SQLite could only open for
/// reading stays so.
pub(super) fn tell(place: &Place, client: &Client, event: Event) -> Result<(), StoreError> {
    letterbox::send(&News { place, client }, &[event])
}

/// Appends a remark and rings; false if it could not be appended. It is tried once: no work waits
/// for a remark.
pub(super) fn remark(place: &Place, client: &Client, event: Event) -> bool {
    match letterbox::send(&Remark { place, client }, &InboxBody::Fact(event)) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, "a remark cannot be brought into the history now");
            false
        }
    }
}

/// What the supervisor has to know: it is tried again for a while.
struct News<'a> {
    place: &'a Place,
    client: &'a Client,
}

impl Sender for News<'_> {
    type Error = StoreError;
    type Letter = [Event];
    type Receipt = ();

    fn put(&self, events: &[Event]) -> Result<(), StoreError> {
        events.iter().try_for_each(|event| append(self.client, event))
    }

    fn ring(&self) {
        ring(self.place);
    }
}

/// What is known nowhere else.
struct Remark<'a> {
    place: &'a Place,
    client: &'a Client,
}

impl Sender for Remark<'_> {
    type Error = StoreError;
    type Letter = InboxBody;
    type Receipt = i64;

    fn put(&self, body: &InboxBody) -> Result<i64, StoreError> {
        self.client.append(body, clock::wall_ms())
    }

    fn ring(&self) {
        ring(self.place);
    }
}

fn append(client: &Client, event: &Event) -> Result<(), StoreError> {
    let body = InboxBody::Fact(event.clone());
    for _ in 1..TRIES {
        let Err(error) = client.append(&body, clock::wall_ms()) else { return Ok(()) };
        tracing::warn!(%error, "the inbox cannot be written now");
        // SQLite has waited already; this keeps a broken disk from being hammered.
        std::thread::sleep(Duration::from_millis(200));
    }
    client.append(&body, clock::wall_ms()).map(drop)
}

/// Rings the supervisor.
pub(super) fn ring(place: &Place) {
    if let Err(error) = doorbell::ring(&place.layout.supervisor_bell()) {
        tracing::debug!(%error, "the supervisor cannot be rung; it looks by itself");
    }
}
