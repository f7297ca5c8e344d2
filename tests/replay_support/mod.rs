//! Replays: real releases of real packages as features, an agent that applies them, and what must
//! hold afterwards. Nothing of the packages is kept in this repository.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test program uses its own part of this, and fails loudly"
)]

pub mod case;
pub mod checks;
pub mod person;
pub mod releases;
pub mod rng;
