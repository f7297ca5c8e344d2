//! Adapters: how to drive an agent program.
//!
//! What a program is given (`environment`, `placeholders`, `prompt`, `feedback`), what it says
//! (`protocol` on its output, `claim` through `sprint agent …`), and what that means (`outcome`):
//! all pure but for `claim`'s file. Starting, watching and ending the program is the worker's
//! business; `scripted` is the embedded program that plays a script.

pub mod claim;
pub mod delivery;
pub mod environment;
pub mod feedback;
pub mod hooks;
pub mod last_words;
pub mod machine;
pub mod merge;
pub mod outcome;
pub mod patience;
pub mod placeholders;
pub mod program;
pub mod prompt;
pub mod protocol;
pub mod script;
pub mod scripted;
pub mod sent;
pub mod signals;
pub mod stopped;
pub mod stream;
pub mod triage;
pub mod version;

#[cfg(test)]
mod contract_tests;
