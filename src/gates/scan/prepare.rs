//! What has to lie there before a tool runs, and its command line as it is run and as it is shown.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::{Broken, Ready, Scanner};
use crate::config::gate::StartIn;
use crate::domain::gate::Mode;
use crate::gates::by_hand::{self, Surroundings};
use crate::gates::command::{self, Places};
use crate::gates::context::Side;
use crate::gates::{patch, targets, variant};

impl Scanner<'_> {
    /// The lines that the candidate changes, where the tool looks only at them.
    pub(super) fn changed(&self) -> Result<Option<String>, String> {
        let asked = self.gate.command.iter().chain(self.gate.tool.ensure.iter().flatten());
        if self.gate.mode != Mode::New || asked.into_iter().all(|word| word != "{changed}") {
            return Ok(None);
        }
        let trees = self.context.trees;
        let lines = trees.has_base().then(|| trees.changed_lines()).transpose();
        let lines = lines.map_err(|why| format!("cannot tell what the candidate changes: {why}"))?;
        Ok(Some(targets::changed(lines.as_ref(), self.context.subdir)))
    }

    pub(super) fn ready(&self, root: &Path, files: &[String]) -> Result<Ready, String> {
        let tmp = self.context.tmp.join(format!("{}-{}", self.gate.name, self.side));
        let places = Places::new(root, &tmp);
        // Joining nothing would leave a slash at the end.
        let start =
            if self.context.subdir.is_empty() { root.to_owned() } else { root.join(self.context.subdir) };
        let cwd = match self.gate.tool.start_in {
            StartIn::Root => start.clone(),
            StartIn::Tmp => tmp,
        };
        let path = self.context.search_path(self.gate, root);
        let differs = self.side == Side::Head && self.gate.mode == Mode::New && self.context.trees.has_base();
        let diff = (differs && command::wants_diff(self.gate)).then(|| places.tmp.join("change.diff"));
        // `{root}` of a command is where the gate works.
        let asked_for = self.gate.tool.ensure.iter().flatten().filter_map(|word| command::asked_for(word));
        let places = Places {
            python: self.context.python(self.gate, root),
            sources: command::sources(&start),
            editable: self.context.editable(self.gate, root),
            kit: self.kit().dir,
            files: targets::files(root, self.context.subdir, files, self.inputs, self.gate.tool.file_max),
            large: self.large(&start, files),
            changed: self.changed()?,
            unconfigured: variant::unconfigured(&self.gate.tool.configured, root, self.context.subdir),
            has: asked_for.filter(|name| start.join(name).is_file()).map(ToOwned::to_owned).collect(),
            root: start,
            diff,
            ..places
        };
        Ok(Ready { places, cwd, path, before: OnceCell::new() })
    }

    /// What is too large for the tool, relative to where it starts.
    pub(super) fn large(&self, start: &Path, files: &[String]) -> Vec<String> {
        if !command::chooses_files(self.gate) {
            return Vec::new();
        }
        targets::large(start, self.context.subdir, files, self.inputs, self.gate.tool.file_max)
    }

    /// As it is shown to people: names of files up to a length.
    pub(super) fn shown(&self, root: &Path) -> Ready {
        let files = self.context.trees.files(self.side).unwrap_or_default();
        // What cannot be told is the verdict's reason, and here it is left out.
        let mut ready = self.ready(root, &files).unwrap_or_else(|_| Ready {
            places: Places::new(root, self.context.tmp),
            cwd: root.to_owned(),
            path: OsString::new(),
            before: OnceCell::new(),
        });
        ready.places.files = targets::shortened(ready.places.files, targets::SHOWN_MAX);
        ready
    }

    /// The lines that the candidate changes, for a tool that looks at nothing else.
    pub(super) fn write_diff(&self, file: &Path, root: &Path) -> Result<(), Broken> {
        let changed = self.context.trees.changed_lines()?;
        let diff = patch::diff(&changed, root, self.context.subdir);
        fs::write(file, diff).map_err(|e| format!("cannot write `{}`: {e}", file.display()).into())
    }

    /// The script that the command starts, in the base's version, if the candidate changes it.
    pub(super) fn base_script(&self) -> Option<(usize, String, Vec<u8>)> {
        let trees = self.context.trees;
        if self.side != Side::Head || !trees.has_base() {
            return None;
        }
        let changed = |path: &str| trees.changed(path);
        let (index, path) =
            command::script(&self.gate.command, self.context.subdir, &|path| trees.is_file(path))?;
        if !changed(&path) || trees.named_by_task(&path) {
            return None;
        }
        Some((index, path.clone(), trees.base_file(&path)?))
    }

    /// The command as it is run on this side, for people.
    pub(in crate::gates) fn shown_command(&self, root: &Path) -> Vec<String> {
        command::argv(self.gate, &self.shown(root).places)
    }

    /// The line that does the same when it is typed in a worktree like this one.
    pub(in crate::gates) fn by_hand(&self, root: &Path) -> String {
        let ready = self.shown(root);
        let mut programs = self.context.own_programs(self.gate);
        programs.retain(|directory| root.join(directory).is_dir());
        let around = Surroundings {
            subdir: self.context.subdir,
            person: self.context.env,
            has_venv: ready.places.venv.is_some(),
            programs: &programs,
            tools: self.context.tools,
            like: &ready.places,
        };
        by_hand::line(self.gate, &around)
    }
}
