//! Brings a report to the supervisor: first the file, then the inbox row, then the ring.
//!
//! The file is what makes it durable: with the supervisor down or the database busy, the next
//! boot finds it.

use std::convert::Infallible;
use std::time::Duration;

use super::life::Place;
use crate::domain::event::Event;
use crate::domain::report::Filed;
use crate::process::letterbox::{self, Sender};
use crate::process::{clock, doorbell};
use crate::store::{Client, InboxBody, StoreError, reports};

/// Tries to append the inbox row; after that the file has to do.
const TRIES: u32 = 5;

/// Files the report, then tells the supervisor.
///
/// # Errors
/// Only when the file cannot be written: then nothing is known of the result.
pub(super) fn deliver(place: &Place, client: &Client, filed: &Filed) -> Result<(), StoreError> {
    reports::write(&place.layout.run(&filed.run), filed)?;
    tracing::info!(run = %filed.run, "the report is durable");
    let Ok(()) = letterbox::send(&News { place, client }, &filed.events());
    Ok(())
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

/// What is durable elsewhere: it is tried again for a while, and then left.
struct News<'a> {
    place: &'a Place,
    client: &'a Client,
}

impl Sender for News<'_> {
    type Error = Infallible;
    type Letter = [Event];
    type Receipt = ();

    fn put(&self, events: &[Event]) -> Result<(), Infallible> {
        // What fails is logged there.
        for event in events {
            drop(append(self.client, event));
        }
        Ok(())
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

/// Appends a fact and rings: one that is known nowhere else, and that nothing goes on without.
///
/// # Errors
/// It cannot be appended: whoever begins anew opens the database anew. One that SQLite could only open for
/// reading stays so.
pub(super) fn must_tell(place: &Place, client: &Client, event: &Event) -> Result<(), StoreError> {
    append(client, event)?;
    ring(place);
    Ok(())
}

fn append(client: &Client, event: &Event) -> Result<(), StoreError> {
    let body = InboxBody::Fact(event.clone());
    for left in (0..TRIES).rev() {
        match client.append(&body, clock::wall_ms()) {
            Ok(_) => break,
            Err(error) if left == 0 => {
                tracing::error!(%error, "the inbox cannot be written; the report file remains");
                return Err(error);
            }
            Err(error) => {
                tracing::warn!(%error, "the inbox cannot be written now");
                // SQLite has waited already; this keeps a broken disk from being hammered.
                std::thread::park_timeout(Duration::from_millis(200));
            }
        }
    }
    Ok(())
}

/// Rings the supervisor.
pub(super) fn ring(place: &Place) {
    if let Err(error) = doorbell::ring(&place.layout.supervisor_bell()) {
        tracing::debug!(%error, "the supervisor cannot be rung; it looks by itself");
    }
}
