//! Where tools are, which are missing, and which languages a tree is written in.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::gate::GateConfig;

/// A tool that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The gate that needs it.
    pub gate: String,
    /// The program.
    pub program: String,
    /// Whether `start` is refused without it.
    pub required: bool,
    /// How a person gets it, as [`crate::config::gate::Tool::how_to_get`] says it; may be empty.
    pub install: String,
}

/// PATH for a gate: the worktree's virtual environment, then the person's, then sprint's tools.
pub fn search_path(root: &Path, person: Option<&OsStr>, tools: Option<&Path>) -> OsString {
    let mut dirs = vec![root.join(".venv/bin")];
    // A relative entry would mean another directory in every worktree, one that the candidate fills.
    dirs.extend(person.map(std::env::split_paths).into_iter().flatten().filter(|dir| dir.is_absolute()));
    dirs.extend(tools.map(Path::to_owned));
    // Only a directory with a colon cannot be joined; it could not be searched either.
    let usable = dirs.into_iter().filter(|dir| !dir.to_string_lossy().contains(':'));
    std::env::join_paths(usable).expect("directories without a colon can be joined")
}

/// Where a worktree has programs of its own for the gate, and below which directory: first ones
/// first. Node's packages may call a program what they like, so only gates for JavaScript look there.
pub(super) fn own_directories(gate: &GateConfig, subdir: &str) -> Vec<(String, &'static str)> {
    let mut all = vec![(".venv".to_owned(), "bin")];
    if gate.tool.languages.iter().any(|language| language == "javascript") {
        all.extend((!subdir.is_empty()).then(|| (format!("{subdir}/node_modules"), ".bin")));
        all.push(("node_modules".to_owned(), ".bin"));
    }
    all
}

/// The program's file: looked up in `path`, or relative to `cwd` if it has a slash.
pub fn find_program(program: &str, path: &OsStr, cwd: &Path) -> Option<PathBuf> {
    let executable = |file: &PathBuf| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        // One that is there but not executable is the spawn's to report.
        return Some(cwd.join(program)).filter(|file| file.exists());
    }
    std::env::split_paths(path).map(|dir| dir.join(program)).find(executable)
}

/// The tools of enabled gates that neither `path` nor the checkout at `root` has. A program with a
/// slash is the repository's own and is looked for when it runs.
pub fn find_tools(gates: &[GateConfig], path: &OsStr, root: &Path) -> Vec<Missing> {
    let there = |program: &str, path: &OsStr| find_program(program, path, Path::new("/")).is_some();
    let missing = |gate: &GateConfig| {
        let dirs = own_directories(gate, "").into_iter().map(|(dir, bin)| root.join(dir).join(bin));
        let own = std::env::join_paths(dirs).unwrap_or_default();
        let absent =
            |program: &&String| !program.contains('/') && !there(program, path) && !there(program, &own);
        // The interpreter of a script that drives a tool comes with the tool.
        let program = gate.tool.needs.iter().chain(gate.command.first()).find(absent)?;
        Some(Missing {
            gate: gate.name.to_string(),
            program: program.clone(),
            required: gate.required,
            install: gate.tool.how_to_get(),
        })
    };
    let started = |gate: &&GateConfig| gate.enabled && !gate.tool.builtin;
    gates.iter().filter(started).filter_map(missing).collect()
}

/// The languages of a tree: by its files, and by plan.md's "Language/Version".
pub fn languages<'a>(
    files: impl IntoIterator<Item = &'a str>,
    plan_language: Option<&str>,
) -> BTreeSet<&'static str> {
    let mut found: BTreeSet<&'static str> = files.into_iter().filter_map(of_file).collect();
    let plan = plan_language.unwrap_or_default().to_lowercase();
    let words = plan.split(|c: char| !c.is_alphanumeric()).map(|w| w.trim_end_matches(char::is_numeric));
    found.extend(words.filter_map(of_word));
    found
}

fn of_file(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.')?.1 {
        "py" | "pyi" => Some("python"),
        "rs" => Some("rust"),
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => Some("javascript"),
        "go" => Some("go"),
        _ => None,
    }
}

fn of_word(word: &str) -> Option<&'static str> {
    match word {
        "python" | "cpython" => Some("python"),
        "rust" => Some("rust"),
        "javascript" | "typescript" | "node" | "nodejs" => Some("javascript"),
        "go" | "golang" => Some("go"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::preset;

    #[test]
    fn languages_come_from_files_and_from_the_plan() {
        let of =
            |files: &[&str], plan| languages(files.iter().copied(), plan).into_iter().collect::<Vec<_>>();
        assert_eq!(of(&["a/b.py", "README.md"], None), ["python"]);
        assert_eq!(of(&[], Some("Python 3.11, TypeScript 5")), ["javascript", "python"]);
        assert_eq!(of(&["Makefile", "x.rs"], Some("ergonomic C")), ["rust"]);
        assert_eq!(of(&[".py/none"], Some("NEEDS CLARIFICATION")), Vec::<&str>::new());
    }

    #[test]
    fn a_missing_tool_is_named_and_a_program_of_the_repository_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mine = GateConfig { command: vec!["./check.sh".into()], ..preset("mypy").unwrap() };
        let ruff = preset("ruff").unwrap();
        let off = GateConfig { enabled: false, ..preset("radon").unwrap() };
        let missing = find_tools(&[ruff, mine, off], dir.path().as_os_str(), Path::new("/nowhere"));
        assert_eq!(missing.len(), 1);
        assert_eq!((missing[0].program.as_str(), missing[0].required), ("ruff", true));
        assert_eq!(missing[0].install, "sprint install, or: pip install ruff");
    }

    #[test]
    fn a_relative_entry_of_path_is_left_out() {
        let path = search_path(Path::new("/w"), Some(OsStr::new("/a:.:bin:/b")), Some(Path::new("/t")));
        assert_eq!(path, "/w/.venv/bin:/a:/b:/t");
    }

    #[test]
    fn a_file_without_the_x_bit_is_not_a_program() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tool"), "").unwrap();
        assert_eq!(find_program("tool", dir.path().as_os_str(), Path::new("/")), None);
    }
}
