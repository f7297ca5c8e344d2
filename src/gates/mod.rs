//! Gates: run a tool on a tree, read what it says, hold it against the base.
//!
//! `run` is the way through one gate; `scan` runs a tool, `parse` reads it, `judge` decides. No
//! git here: trees come through [`Trees`]. Nothing here turns "could not tell" into a pass.

mod besides;
mod by_hand;
mod cache;
mod changes;
mod command;
mod context;
pub mod dependencies;
mod durations;
mod editable;
mod files;
mod fingerprint;
mod flaky;
mod inputs;
mod integrity;
mod interpreter;
mod judge;
mod keep;
mod kit;
mod lacks;
mod left;
mod lost;
mod pane;
pub mod parse;
mod patch;
mod present;
mod run;
mod scan;
mod secrets;
mod select;
mod shown;
mod targets;
mod test_files;
mod together;
mod tools;
mod validate;
mod variant;
mod version;
mod watch;

pub use besides::{around, brought, stays_inside};
pub use by_hand::shell_word;
pub use cache::{Cache, CacheFacts};
pub use context::{BaseScan, Context, Room, Side, Trees};
pub use durations::{recall, remember, was_excused};
pub use judge::Thresholds;
pub use lacks::stem;
pub use left::end_left;
pub use present::{Present, look};
pub use run::Cancelled;
pub use select::{Choice, Contents, choice, deeper, takes_part};
pub use shown::old_ones;
pub use together::{run_gate, run_gates};
pub use tools::{Missing, find_program, find_tools, languages, search_path};
pub use validate::{InvalidGate, validate};
pub use watch::{Moment, Watch};

pub use crate::config::presets::{parser_names, preset_names};
