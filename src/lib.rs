//! `sprint`: builds a written-down feature with coding agents, gated and merged one at a time.
//!
//! The architecture on one screen, in reading order; dependencies point down only
//! (`tests/architecture.rs` holds it):
//!
//! ```text
//! main → cli                 argv, screens, exit codes
//!          → supervisor      the only loop: event → domain::step → one transaction → effects
//!            worker          the first process of a pane: takes a run, does it, reports
//!              → store tmux git gates agents     adapters to the outside, none imports another
//!                → process   children, trees, signals, locks
//!                  → config  layers, validation, the frozen configuration
//!                    → domain, feature           pure: no clock, file, process or randomness
//!                      redact                    no secret in what is kept, shown or told
//!                      seeded                    bugs that the tests put in; nothing in a release
//! ```

pub mod domain;
pub mod feature;
pub mod redact;
pub mod seeded;

pub mod config;
pub mod error;
pub mod process;

pub mod agents;
pub mod gates;
pub mod git;
pub mod store;
pub mod tmux;

pub mod supervisor;
pub mod telemetry;
pub mod verify;
pub mod worker;

pub mod cli;
