//! The SQLite store: the truth, the event queue and the history.
//!
//! [`Store`] is the supervisor's; [`Client`] is what workers and commands have: they read, and
//! append to the inbox. Only the supervisor changes state, and only while its epoch holds.

mod client;
mod commit;
mod error;
pub mod ladder;
pub mod leavings;
mod open;
pub mod pinned;
mod read;
pub mod reports;
mod salvage;
pub mod schema;
pub mod session;
mod spent;
mod stand;
mod watch;

pub use client::{Client, InboxBody, Orders};
pub use commit::Batch;
pub use error::StoreError;
pub use open::{Store, snapshot_names};
pub use read::{EventRow, InboxRow, Overview, PastRun, Plans};
pub use spent::SpentRun;
pub use stand::Stand;
pub use watch::LogWatch;

#[cfg(test)]
mod tests;
