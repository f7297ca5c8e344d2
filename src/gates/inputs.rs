//! Which files of a tree a gate looks at.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::config::gate::GateConfig;
use crate::domain::gate::{Finding, Status};

/// The files that a gate looks at, as two sets of globs that both have to match.
#[derive(Debug)]
pub(super) struct Inputs {
    tool: Option<GlobSet>,
    paths: Option<GlobSet>,
    /// Of what has to be there besides, below `general.root`.
    detect: Option<GlobSet>,
}

impl Inputs {
    pub(super) fn of(gate: &GateConfig) -> Result<Self, globset::Error> {
        Ok(Self { tool: set(&gate.tool.inputs)?, paths: set(&gate.paths)?, detect: set(&gate.tool.detect)? })
    }

    /// Whether the gate is held to have something to check; if not, it runs on any tree.
    pub(super) fn any(&self) -> bool {
        self.tool.is_some() || self.paths.is_some() || self.detect.is_some()
    }

    /// Whether what the tool cannot work without is among `files`.
    pub(super) fn detects(&self, files: &[String], subdir: &str) -> bool {
        self.detect.as_ref().is_none_or(|set| any(set, files.iter().map(String::as_str), subdir))
    }

    /// How many of `files` it looks at; with a `subdir`, only those below it. None without what the
    /// tool needs besides them.
    pub(super) fn count(&self, files: &[String], subdir: &str) -> usize {
        if self.detects(files, subdir) { self.of_tree(files, subdir).count() } else { 0 }
    }

    /// Those of `files` that it looks at; with a `subdir`, only those below it.
    pub(super) fn of_tree<'f>(
        &'f self,
        files: &'f [String],
        subdir: &'f str,
    ) -> impl Iterator<Item = &'f String> {
        let inside = move |file: &&String| subdir.is_empty() || below(file, subdir);
        let wanted = |file: &&String| matches(self.tool.as_ref(), file) && matches(self.paths.as_ref(), file);
        files.iter().filter(inside).filter(wanted)
    }

    /// Whether a finding at `path` is this gate's: only `paths` of a person keeps one out.
    pub(super) fn covers(&self, path: &str) -> bool {
        path.is_empty() || matches(self.paths.as_ref(), path)
    }
}

/// Whether one of `files` is below `subdir` and matches one of the globs, which begin there.
pub(super) fn any_below<'a>(
    globs: &[String],
    files: impl IntoIterator<Item = &'a str>,
    subdir: &str,
) -> Result<bool, globset::Error> {
    Ok(set(globs)?.is_none_or(|set| any(&set, files, subdir)))
}

fn any<'a>(set: &GlobSet, files: impl IntoIterator<Item = &'a str>, subdir: &str) -> bool {
    let inside = |file: &'a str| match subdir {
        "" => Some(file),
        subdir => file.strip_prefix(subdir)?.strip_prefix('/'),
    };
    files.into_iter().filter_map(inside).any(|file| set.is_match(file))
}

/// Findings that a person lets pass.
#[derive(Debug)]
pub(super) struct Allowed<'a> {
    rules: &'a [String],
    paths: Option<GlobSet>,
}

impl<'a> Allowed<'a> {
    pub(super) fn of(gate: &'a GateConfig) -> Result<Self, globset::Error> {
        Ok(Self { rules: &gate.allow, paths: set(&gate.allow)? })
    }

    /// Marks what may pass as suppressed.
    pub(super) fn mark(&self, findings: &mut [Finding]) {
        let path_may = |path: &str| self.paths.as_ref().is_some_and(|paths| paths.is_match(path));
        for finding in findings {
            if self.rules.contains(&finding.rule) || path_may(&finding.path) {
                finding.status = Status::Suppressed;
            }
        }
    }
}

fn below(file: &str, subdir: &str) -> bool {
    file.strip_prefix(subdir).is_some_and(|rest| rest.starts_with('/'))
}

fn matches(set: Option<&GlobSet>, path: &str) -> bool {
    set.is_none_or(|set| set.is_match(path))
}

pub(super) fn set(globs: &[String]) -> Result<Option<GlobSet>, globset::Error> {
    if globs.is_empty() {
        return Ok(None);
    }
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        let plain = glob.trim_start_matches("./").trim_end_matches('/');
        builder.add(GlobBuilder::new(plain).literal_separator(true).build()?);
        // A directory means all that is in it.
        builder.add(GlobBuilder::new(&format!("{plain}/**")).literal_separator(true).build()?);
    }
    builder.build().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::preset;

    fn count(name: &str, paths: &[&str], subdir: &str, files: &[&str]) -> usize {
        let paths = paths.iter().map(ToString::to_string).collect();
        let gate = GateConfig { paths, ..preset(name).unwrap() };
        let files: Vec<String> = files.iter().map(ToString::to_string).collect();
        Inputs::of(&gate).unwrap().count(&files, subdir)
    }

    #[test]
    fn presets_find_their_files_at_any_depth() {
        assert_eq!(count("ruff", &[], "", &["a.py", "x/y/b.pyi", "c.txt", "py"]), 2);
        assert_eq!(count("pytest", &[], "", &["test_a.py", "t/b_test.py", "t/conftest.py", "testing.py"]), 2);
    }

    #[test]
    fn without_its_project_file_a_tool_has_nothing_to_look_at() {
        let files = ["app/src/a.ts", "app/tsconfig.json", "tsconfig.json.md"];
        assert_eq!(count("tsc", &[], "", &files), 0);
        assert_eq!(count("tsc", &[], "app", &files), 1);
        assert_eq!(count("eslint", &[], "", &["a.js", "eslint.config.mjs"]), 2);
        assert_eq!(count("eslint", &[], "", &["a.js", "x/eslint.config.mjs"]), 0);
    }

    #[test]
    fn paths_and_a_subdirectory_narrow_them() {
        assert_eq!(count("ruff", &["back/"], "", &["back/a.py", "backup/a.py", "back/a.txt"]), 1);
        assert_eq!(count("ruff", &["back/*.py"], "", &["back/a.py", "back/x/a.py"]), 1);
        assert_eq!(count("ruff", &[], "back", &["back/a.py", "backup/a.py", "a.py"]), 1);
    }
}
