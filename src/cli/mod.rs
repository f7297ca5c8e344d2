//! One file per subcommand, and what they share. Only here things are printed.
//!
//! [`run`] parses ([`args`]) and routes; a command finds its repository ([`context`]), reads one
//! moment of the store ([`picture`]) or sends a request ([`request`]), and writes through
//! [`out`] what [`text`] has made harmless. Commands that only ask are synchronous.

pub mod agents;
pub mod args;
mod asked;
mod backup;
pub mod context;
pub mod cost;
pub mod environment;
mod flaky;
pub mod follow;
mod foreign;
pub mod gone;
mod needs;
pub mod out;
mod persons;
pub mod picture;
mod pins;
mod prompts;
mod radar;
pub mod request;
pub mod text;
mod traces;
mod why;

pub mod agent;
pub mod answer;
pub mod attach;
pub mod control;
pub mod demo;
pub mod disk;
pub mod doctor;
pub mod events;
mod fit;
mod gate_trees;
pub mod gates;
pub mod gates_run;
pub mod generate;
pub mod health;
pub mod hook;
pub mod init;
pub mod install;
mod interrupts;
pub mod lint;
mod locks;
pub mod logs;
pub mod mcp;
pub mod prompt;
pub mod scripted;
pub mod spending;
pub mod start;
pub mod status;
pub mod stop;
pub mod supervise;
pub mod task;
pub mod tasks_lint;
pub mod verify;
pub mod work;

mod dispatch;

pub use dispatch::run;
