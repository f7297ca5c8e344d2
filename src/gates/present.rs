//! Whether a gate's tool is here, without running the gate.

use std::path::{Path, PathBuf};

use super::context::Context;
use super::tools::{self, Missing};
use super::version::{Asking, Version};
use crate::config::gate::GateConfig;
use crate::process::beside::{Stop, wait};

/// What is here of a gate's tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The file of the gate's program.
    pub path: Option<PathBuf>,
    /// What it says of its version; `None` where it is not here or does not say.
    pub version: Option<String>,
    /// What to tell people of one that did not answer.
    pub silent: Option<String>,
    /// What is missing.
    pub missing: Option<Missing>,
}

/// Looks for the tools as a run of the gates in `root` would, and asks all of them for their versions at
/// the same time.
pub fn look(gates: &[&GateConfig], context: &Context<'_>, root: &Path) -> Vec<Present> {
    let asked = wait(async {
        let begun: Vec<_> = gates.iter().map(|gate| begin(gate, context, root)).collect();
        let mut all = Vec::new();
        for (present, asking) in begun {
            all.push(match asking {
                Some(asking) => present.with(asking.end().await),
                None => present,
            });
        }
        all
    });
    // Without the system's means to wait, what lies there is seen nevertheless.
    asked.unwrap_or_else(|_| gates.iter().map(|gate| present(gate, context, root)).collect())
}

fn begin(gate: &GateConfig, context: &Context<'_>, root: &Path) -> (Present, Option<Asking>) {
    let present = present(gate, context, root);
    let there = present.missing.is_none();
    let asking = there.then(|| Asking::begin(gate, context, root, &Stop::default()));
    (present, asking)
}

fn present(gate: &GateConfig, context: &Context<'_>, root: &Path) -> Present {
    let path = context.search_path(gate, root);
    let missing = tools::find_tools(std::slice::from_ref(gate), &path, root).pop();
    let start = root.join(context.subdir);
    let program = gate.command.first().and_then(|program| tools::find_program(program, &path, &start));
    Present { path: program, version: None, silent: None, missing }
}

impl Present {
    fn with(self, said: Version) -> Self {
        Self { version: said.text, silent: said.silent, ..self }
    }
}
