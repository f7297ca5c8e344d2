//! `sprint mcp`: sprint's tools for the program of a run, over the Model Context Protocol on
//! standard input and output.
//!
//! `serve` speaks the protocol, `tools` says what there is and what it takes, `bound` does it: for
//! the one run whose directory and token are in the environment, and nothing else. What fails is
//! an answer in plain words for the model, never an error of the protocol.

mod bound;
mod serve;
mod tools;
mod views;

pub use serve::run;
