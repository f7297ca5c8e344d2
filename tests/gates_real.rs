//! The presets with the real tools, on small trees.
//!
//! The tools come from `SPRINT_TEST_TOOLS` (a virtual environment) or PATH. Absent tools fail
//! these tests, unless `SPRINT_TEST_TOOLS_OPTIONAL=1` says that they may be skipped. mutmut, semgrep,
//! bandit and detect-secrets come from `SPRINT_TEST_PYTHON_TOOLS`; without it their tests are skipped.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test: it panics, and says what it skips; its parts share what is public"
)]

#[path = "gates_real/base.rs"]
mod base;
#[path = "gates_real/more.rs"]
mod more;
#[path = "gates_real/personal.rs"]
mod personal;
#[path = "gates_real/types.rs"]
mod types;
#[path = "gates_real/world.rs"]
mod world;
