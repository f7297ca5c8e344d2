//! Sprint with real agent programs, against the stand-in for their providers.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test stops where its premise fails, and says what it skips; its parts share what is public"
)]

mod common;
#[path = "agents/conversations.rs"]
mod conversations;
#[path = "agents/faults.rs"]
mod faults;
#[path = "agents/features.rs"]
mod features;
#[path = "agents/first_runs.rs"]
mod first_runs;
#[path = "agents/homes.rs"]
mod homes;
#[path = "agents/lines.rs"]
mod lines;
#[path = "agents/money.rs"]
mod money;
#[path = "agents/night.rs"]
mod night;
#[path = "agents/roles.rs"]
mod roles;
#[path = "agents/scenario.rs"]
mod scenario;
mod standin;
#[path = "agents/texts.rs"]
mod texts;
#[path = "agents/tools.rs"]
mod tools;
