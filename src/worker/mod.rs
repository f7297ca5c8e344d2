//! The first process of a pane: takes the run assigned to it, does it, reports.
//!
//! - [`life`] registers, waits at its doorbell and takes runs; it needs no supervisor to finish one.
//! - `work`, `check`, `land` do the three kinds of stage; `agent` drives a program, `trees` gives
//!   gates their worktrees.
//!   `interactive` does so with the program's own screen: `typist` types into it, `port` is
//!   between its terminal and the `pane`, `glass` is what it shows; `vital` are signs of life of both.
//! - `screen` is the pane and the transcript, `deliver` brings a report to the supervisor.

mod added;
mod agent;
mod brief;
mod check;
mod conversation;
mod deliver;
mod glass;
mod interactive;
mod interrupt;
mod land;
mod life;
mod offer;
mod pane;
mod port;
mod prompt;
mod remarks;
mod resolve;
mod review;
mod screen;
mod select;
mod spending;
mod stream;
mod traces;
mod trees;
mod triage;
pub mod trial;
mod typist;
mod unclear;
mod vital;
mod work;

pub use check::slots_directory;
pub use life::{Place, WorkerError, work};
pub use prompt::{Prompt, Scene};
pub use select::contents_of;
