//! The only loop: recover; event in → `step` → one transaction → effects out.
//!
//! - [`run::supervise`] is the process: lock, boot order, loop, end.
//! - [`engine`] applies events: nothing else writes state.
//! - [`effects`] does what a step asks for; every result comes back as an event.
//! - [`recovery`] is the boot order of the design: what happened without a supervisor.
//! - [`panes`] is the tmux side, [`freeze`] turns a configuration into the rules of a feature.
//! - [`presence`] is what others see of it, [`lost`] the end of one whose state was removed,
//!   [`pins`] keeps the database's log short, [`stalled`] the pause of one whose disk is full or fails.

mod effects;
mod engine;
mod error;
mod found;
pub mod freeze;
mod history;
mod lost;
mod panes;
mod pins;
mod place;
mod presence;
mod recovery;
mod run;
mod settings;
mod shutdown;
mod snapshots;
mod stalled;
mod watchdog;

pub use error::SupervisorError;
pub use place::Place;
pub use run::supervise;
