//! Another command of a preset, for what is not everywhere: a test runner, a provider of coverage; and
//! what tests are called by a repository's own configuration.
//!
//! A command that a person wrote stands. What decides is asked of candidate and base alike: a
//! candidate cannot drop a part of the gate by dropping what asks for it.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::context::{Context, Room, Side};
use super::inputs;
use super::test_files;
use super::tools;
use crate::config::gate::{DetectText, GateConfig, Instead, Setting};
use crate::config::presets::preset;

/// A file is looked into up to this.
const TEXT_MAX: u64 = 1 << 20;

/// The gate as this repository needs it, if that is not as the preset is.
pub(super) fn of(gate: &GateConfig, context: &Context<'_>) -> Result<Option<GateConfig>, String> {
    if gate.preset.as_deref() == Some("pytest") {
        return test_files::adapted(gate, context);
    }
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
            && (instead.settings.is_empty() || both_have(&instead.settings, context, &root))
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

fn both_have(settings: &[Setting], context: &Context<'_>, root: &Path) -> bool {
    let has = |text: &dyn Fn(&str) -> Option<Vec<u8>>| {
        settings.iter().any(|asked| {
            let text = text(&path_of(&asked.file, context)).unwrap_or_default();
            is_set(&String::from_utf8_lossy(&text), &asked.section, &asked.key)
        })
    };
    let trees = context.trees;
    has(&|path| read(&root.join(path))) && (!trees.has_base() || has(&|path| trees.base_file(path)))
}

/// Whether the tree at `root` configures its tool nowhere from where the gate starts up to the root.
pub(super) fn unconfigured(settings: &[Setting], root: &Path, subdir: &str) -> bool {
    let above = Path::new(subdir).ancestors().map(|directory| root.join(directory));
    above.flat_map(|directory| settings.iter().map(move |asked| (directory.join(&asked.file), asked))).all(
        |(file, asked)| {
            let text = read(&file);
            !text.is_some_and(|text| is_set(&String::from_utf8_lossy(&text), &asked.section, &asked.key))
        },
    )
}

/// Whether the section of a TOML or INI text has the key; one without a name stands for any.
fn is_set(text: &str, section: &str, key: &str) -> bool {
    let mut inside = section.is_empty();
    if inside && key.is_empty() {
        return true;
    }
    for line in text.lines() {
        if let Some(header) = line.trim_end().strip_prefix('[') {
            inside = header.strip_suffix(']').is_some_and(|header| header.trim() == section);
            let name = header.trim_matches(['[', ']', ' ']);
            let below = || name.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
            if key.is_empty() && (name == section || below()) {
                return true;
            }
        }
        if inside && line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ':'])) {
            return true;
        }
    }
    false
}

fn path_of(file: &str, context: &Context<'_>) -> String {
    if context.subdir.is_empty() { file.to_owned() } else { format!("{}/{file}", context.subdir) }
}

fn says(asked: &DetectText, context: &Context<'_>, root: &Path) -> bool {
    let path = path_of(&asked.file, context);
    let contains = |text: &[u8]| String::from_utf8_lossy(text).contains(&asked.text);
    read(&root.join(&path)).is_some_and(|text| contains(&text))
        || context.trees.base_file(&path).is_some_and(|text| contains(&text))
}

/// A file, and neither a link nor a pipe.
pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
    path.symlink_metadata().ok().filter(fs::Metadata::is_file)?;
    let mut text = Vec::new();
    fs::File::open(path).ok()?.take(TEXT_MAX).read_to_end(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_configured_by_a_file_or_a_section_up_to_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let setting = |file: &str, section: &str| Setting {
            file: file.to_owned(),
            section: section.to_owned(),
            key: String::new(),
        };
        let asked = [setting("mypy.ini", ""), setting("setup.cfg", "mypy")];
        let none = || unconfigured(&asked, dir.path(), "back/end");
        fs::create_dir_all(dir.path().join("back/end")).unwrap();
        fs::write(dir.path().join("back/setup.cfg"), "[flake8]\n").unwrap();
        assert!(none());
        fs::write(dir.path().join("back/setup.cfg"), "[mypy.x]\n").unwrap();
        assert!(!none());
        fs::remove_file(dir.path().join("back/setup.cfg")).unwrap();
        fs::write(dir.path().join("mypy.ini"), "").unwrap();
        assert!(!none());
    }

    #[test]
    fn a_key_counts_in_its_section_alone() {
        let set = |text: &str| is_set(text, "tool.mypy", "files");
        assert!(
            set("[tool.mypy]\nstrict = true\nfiles = [\"src\"]\n") && set("[ tool.mypy ]\nfiles=\"a\"\n")
        );
        for text in [
            "[tool.ruff]\nfiles = [\"src\"]\n",
            "[tool.mypy]\n[[tool.mypy.overrides]]\nfiles = 1\n",
            "[tool.mypy]\n# files = 1\nfiles_of = 1\n",
            "files = 1\n",
        ] {
            assert!(!set(text), "{text}");
        }
    }
}
