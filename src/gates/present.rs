//! Whether a gate's tool is here, without running the gate.

use std::path::{Path, PathBuf};

use super::run::Context;
use super::tools::{self, Missing};
use super::version::Version;
use crate::config::gate::GateConfig;
use crate::process::beside::{Stop, wait};

/// What is here of a gate's tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The file of the gate's program.
    pub path: Option<PathBuf>,
    /// What it says of its version; `None` where it is not here or does not say.
    pub version: Option<String>,
    /// What is missing.
    pub missing: Option<Missing>,
}

/// Looks for the tool as a run of the gate in `root` would, and asks for its version.
pub fn look(gate: &GateConfig, context: &Context<'_>, root: &Path) -> Present {
    let path = context.search_path(gate, root);
    let missing = tools::find_tools(std::slice::from_ref(gate), &path, root).pop();
    let start = root.join(context.subdir);
    let program = gate.command.first().and_then(|program| tools::find_program(program, &path, &start));
    let version = missing.is_none().then(|| wait(Version::ask(gate, context, root, &Stop::default())));
    let version = version.and_then(Result::ok).and_then(|version| version.text);
    Present { path: program, version, missing }
}
