//! The pure core: what a sprint is and how it moves. No I/O, clock, randomness or environment.
//!
//! Start with [`step::step`]: an event meets the state and gives changed rows, lines of history
//! and effects. [`task::transition`] is the table of a task's life.
#![deny(clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

pub mod ids;
pub mod name;

pub mod effect;
pub mod event;
pub mod spent;
pub mod state;
pub mod step;

pub mod accounts;
pub mod away;
pub mod budget;
pub mod draft;
pub mod flaky;
pub mod gate;
pub mod pipeline;
pub mod plan;
pub mod policy;
pub mod report;
pub mod schedule;
pub mod screen;
pub mod task;
pub mod trace;
pub mod triage;
pub mod worker;

mod features;
mod found;
pub mod job;
mod moves;
mod reported;
mod requests;
mod work;
mod workers;
