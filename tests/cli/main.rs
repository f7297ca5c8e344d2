//! The commands as a person has them: the binary, on a prepared store, in an environment of its own.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::format_push_string, reason = "snapshots are put together out of short texts")]

mod fixture;

mod help;
mod hostile;
mod machine;
mod names;
mod queries;
mod requests;
