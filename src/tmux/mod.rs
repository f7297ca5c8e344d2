//! tmux: our own server over one control-mode connection.
//!
//! Nothing here goes through a shell, and no text from outside becomes a name, a target or a
//! format: sessions are named by [`crate::domain::ids::WorkerName`], everything else is addressed
//! by the ids that tmux gave.

pub mod attach;
pub mod client;
pub mod command;
pub mod control;
pub mod pane;
pub mod server;
pub mod version;

#[cfg(test)]
mod contract_tests;
