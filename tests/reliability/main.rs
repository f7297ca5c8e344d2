//! The reliability contract, tried: real processes on a real repository, disturbed at a chosen point or by
//! chance, and judged by `sprint verify`, which shares no code with them.
//!
//! `tracer`, `filter` and `call` see every system call that changes something; `scene` is what is disturbed, and what
//! must come out of it; the other files are one kind of disturbance each.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails loudly, and says what it did"
)]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod call;
#[path = "../common/mod.rs"]
mod common;
mod filter;
mod many;
mod migrate;
mod order;
mod point;
mod points;
mod power;
#[allow(dead_code, reason = "shared with the replays of real histories")]
#[path = "../replay_support/rng.rs"]
mod rng;
mod scene;
mod seeds;
mod soak;
mod tracer;
mod trial;
