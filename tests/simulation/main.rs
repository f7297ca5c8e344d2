//! A simulated sprint: workers that register, run, fail, die, ask and lie, a branch that somebody
//! moves, people, supervisors that are killed; under a virtual clock, against `step` alone.
//!
//! `world` is the outside, `laws` is what must hold after every step, `plans` makes features.
//! What random schedules find, and the cases worked by hand, are tests here.

#![expect(clippy::unwrap_used, unreachable_pub, reason = "a test of several files, seen by nobody else")]

mod laws;
mod money;
mod plans;
mod replay;
#[allow(dead_code, reason = "shared with the replays of real histories")]
#[path = "../replay_support/rng.rs"]
mod rng;
mod scale;
mod schedules;
mod seeds;
mod triage;
mod worked;
mod world;
