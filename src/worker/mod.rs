//! The first process of a pane: takes the run assigned to it, does it, reports.
//!
//! - [`life`] registers, waits at its doorbell and takes runs; it needs no supervisor to finish one.
//! - `work`, `check`, `land` do the three kinds of stage; `agent` drives a program, `trees` gives
//!   gates their worktrees.
//! - `screen` is the pane and the transcript, `deliver` brings a report to the supervisor.

mod agent;
mod brief;
mod check;
mod conversation;
mod deliver;
mod interrupt;
mod land;
mod life;
mod remarks;
mod review;
mod screen;
mod spending;
mod stream;
mod trees;
mod work;

pub use check::slots_directory;
pub use life::{Place, WorkerError, work};
