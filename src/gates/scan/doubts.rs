//! What a tool cannot have seen, or was not shown; and what may be behind its failure.

use std::fs;
use std::path::Path;

use super::{Broken, Scanner};
use crate::config::gate::Evidence;
use crate::config::presets::preset;
use crate::gates::context::Side;
use crate::gates::integrity;
use crate::gates::parse::Parsed;
use crate::gates::targets::{self, NOT_TEXT};

/// A note names at most so many files.
const NAMED_MAX: usize = 3;

impl Scanner<'_> {
    /// radon lists every function, complex or not: one that lists none where there are some has looked
    /// at nothing, whatever program it is.
    pub(super) fn saw_what_is_there(
        &self,
        root: &Path,
        files: &[String],
        parsed: &Parsed,
    ) -> Result<(), Broken> {
        let gate = self.gate;
        let own = gate.preset.as_deref().and_then(preset).is_some_and(|own| own.command == gate.command);
        let says_nothing = parsed.metrics.is_empty() && parsed.findings.is_empty();
        if gate.parser != "radon" || gate.tool.evidence != Evidence::Files || !own || !says_nothing {
            return Ok(());
        }
        let has_function = |path: &&String| {
            fs::read(root.join(path)).is_ok_and(|text| integrity::has_python_function(&text))
        };
        // It passes hidden ones by.
        let looked_at = self.inputs.of_tree(files, self.context.subdir);
        let fits = |path: &&String| {
            let bytes = root.join(path).symlink_metadata().map_or(0, |meta| meta.len());
            gate.tool.file_max == 0 || bytes <= gate.tool.file_max
        };
        let looked_at = looked_at.filter(fits);
        let mut shown = looked_at.filter(|path| path.split('/').all(|part| !part.starts_with('.')));
        match shown.find(has_function) {
            Some(path) => Err(format!("it lists no function, and `{path}` has some").into()),
            None => Ok(()),
        }
    }

    /// A file that is named to the tool, or that the tool looks for itself, and whose name is no text, would
    /// be passed by without a word. What was so at the base is not the candidate's.
    pub(super) fn can_be_named(&self, root: &Path, files: &[String]) -> Result<(), Broken> {
        let gate = self.gate;
        let named = gate.command.iter().any(|word| word == "{files}");
        if self.side == Side::Base || !(named || PASS_BY.contains(&gate.parser.as_str())) {
            return Ok(());
        }
        let mut looked_at = self.inputs.of_tree(files, self.context.subdir);
        match looked_at.find(|path| targets::is_no_text(root, path)) {
            Some(path) => Err(format!("`{path}` cannot be looked at: {NOT_TEXT}").into()),
            None => Ok(()),
        }
    }

    /// Says which files are too large for the tool to be shown them.
    pub(super) fn tell_large(&self, root: &Path, files: &[String], parsed: &mut Parsed) {
        let (max, subdir) = (self.gate.tool.file_max, self.context.subdir);
        let large = self.large(&root.join(subdir), files);
        if large.is_empty() {
            return;
        }
        let more = if large.len() > NAMED_MAX { ", …" } else { "" };
        let names = large[..large.len().min(NAMED_MAX)].join(", ");
        let said = format!("not looked at, for they have more than {} MiB: {names}{more}", max >> 20);
        if large.len() == self.inputs.of_tree(files, subdir).count() {
            parsed.nothing = Some(said);
            return;
        }
        parsed.note = Some(parsed.note.take().map_or(said.clone(), |note| format!("{note}; {said}")));
    }
}

/// Parsers of tools that look for files themselves, and say nothing of those with odd names.
const PASS_BY: &[&str] = &["semgrep"];

/// Why a tool failed, with what may be behind it: few tools can read a name that is not UTF-8.
pub(super) fn advised(why: String, files: &[String]) -> String {
    match files.iter().find(|path| path.contains(char::REPLACEMENT_CHARACTER)) {
        Some(path) if !why.contains(NOT_TEXT) => format!("{why}; `{path}` may be the cause: {NOT_TEXT}"),
        Some(_) | None => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_tool_reads_is_told() {
        let files = |name: &str| vec!["a.py".to_owned(), name.to_owned()];
        assert_eq!(advised("it crashed".into(), &files("b.py")), "it crashed");
        let odd = advised("it crashed".into(), &files("b\u{fffd}.py"));
        assert!(
            odd.starts_with("it crashed; `b\u{fffd}.py` may be the cause: its name is not UTF-8"),
            "{odd}"
        );
    }
}
