//! Changes that break something and hide it from the tool: the tool alone says that all is well, and
//! `sprint gates run` does not. Each with the real tool, on a real repository, with the whole list of
//! presets; and the same change is let through where a task names the file or a person allows it.
//!
//! The tools come from `SPRINT_TEST_TOOLS`, `SPRINT_TEST_PYTHON_TOOLS` and `SPRINT_TEST_LANGUAGES`, as in
//! the other tests of gates; what is not there is skipped, and said so.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "a test: it panics, and says what it skips; its parts share what is in others"
)]

#[path = "gates_gaming/arena.rs"]
mod arena;
#[path = "gates_gaming/comments.rs"]
mod comments;
#[path = "gates_gaming/in_the_way.rs"]
mod in_the_way;
#[path = "gates_gaming/languages.rs"]
mod languages;
mod person;
#[path = "gates_gaming/settings.rs"]
mod settings;
#[path = "gates_gaming/suites.rs"]
mod suites;
#[path = "gates_gaming/together.rs"]
mod together;
#[path = "gates_real/world.rs"]
mod world;
