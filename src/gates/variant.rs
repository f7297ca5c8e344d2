//! Another command of a preset, for what is not everywhere: a test runner, a provider of coverage.
//!
//! A command that a person wrote stands. What decides is asked of candidate and base alike: a
//! candidate cannot drop a part of the gate by dropping what asks for it.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::inputs;
use super::run::{Context, Room, Side};
use super::tools;
use crate::config::gate::{DetectText, GateConfig, Instead};
use crate::config::presets::preset;

/// A file is looked into up to this.
const TEXT_MAX: u64 = 1 << 20;

/// The gate with the command that fits in the place of the preset's own, if there is one.
pub(super) fn of(gate: &GateConfig, context: &Context<'_>) -> Result<Option<GateConfig>, String> {
    let own = gate.preset.as_deref().and_then(preset);
    if gate.tool.instead.is_empty() || own.is_none_or(|own| own.command != gate.command) {
        return Ok(None);
    }
    let root = context.root(Side::Head, Room::of(gate))?;
    let files = files(context)?;
    let fits = |instead: &&Instead| {
        let program = &instead.program;
        let path = context.search_path(gate, &root);
        (program.is_empty() || tools::find_program(program, &path, &root).is_some())
            && below(&instead.files, &files, context.subdir)
            && instead.text.as_ref().is_none_or(|asked| says(asked, context, &root))
    };
    let chosen = gate.tool.instead.iter().find(fits);
    Ok(chosen.map(|instead| {
        let mut gate = GateConfig { command: instead.command.clone(), ..gate.clone() };
        gate.tool.also.clone_from(&instead.also);
        gate
    }))
}

fn files(context: &Context<'_>) -> Result<Vec<String>, String> {
    let trees = context.trees;
    let mut files = trees.files(Side::Head)?;
    if trees.has_base() {
        files.extend(trees.files(Side::Base)?);
    }
    Ok(files)
}

fn below(globs: &[String], files: &[String], subdir: &str) -> bool {
    inputs::any_below(globs, files.iter().map(String::as_str), subdir).unwrap_or(false)
}

fn says(asked: &DetectText, context: &Context<'_>, root: &Path) -> bool {
    let path = if context.subdir.is_empty() {
        asked.file.clone()
    } else {
        format!("{}/{}", context.subdir, asked.file)
    };
    let contains = |text: &[u8]| String::from_utf8_lossy(text).contains(&asked.text);
    read(&root.join(&path)).is_some_and(|text| contains(&text))
        || context.trees.base_file(&path).is_some_and(|text| contains(&text))
}

/// A file, and neither a link nor a pipe.
fn read(path: &Path) -> Option<Vec<u8>> {
    path.symlink_metadata().ok().filter(fs::Metadata::is_file)?;
    let mut text = Vec::new();
    fs::File::open(path).ok()?.take(TEXT_MAX).read_to_end(&mut text).ok()?;
    Some(text)
}
