//! Which tool it is that judges: what it says of itself, and what can be seen of its file.
//!
//! A Python tool takes 0.1 to 0.3 s to say its version. In a virtual environment that is kept: an
//! installation there changes the tool's file or the directory of packages. Anything else (shims,
//! wrappers) is asked every time.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cache::Cache;
use super::command::{self, Places};
use super::context::Context;
use super::parse::{self, Parsed};
use super::scan::GRACE;
use super::tools;
use crate::config::gate::{Evidence, GateConfig};
use crate::process::beside::{Started, Stop};
use crate::process::run::{Ending, Outcome, Session, SpawnError, Spec, Stdin};

/// A tool says its version within this, or its results are not kept.
pub(super) const TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 20 });

/// The tool of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// The first line that it prints about its version.
    pub(super) text: Option<String>,
    /// The file of the gate's program and its environment; empty for one in the worktree, which
    /// the tree and its setup determine.
    pub(super) program: String,
    /// What to tell people of a tool that did not answer.
    pub(super) silent: Option<String>,
}

impl Version {
    /// Why a clean result is not believed. Some tools say nothing of a clean tree; one that cannot even
    /// say its version may be any program, and one that does nothing says nothing too.
    pub(super) fn doubt(&self, gate: &GateConfig, parsed: &Parsed) -> Option<String> {
        let asked =
            gate.tool.evidence == Evidence::Files && gate.tool.version.first() == gate.command.first();
        let is_version = |text: &String| text.contains(|c: char| c.is_ascii_digit());
        if !asked || !parsed.silent || parsed.refused.is_some() || self.text.as_ref().is_some_and(is_version)
        {
            return None;
        }
        let shown = gate.tool.version.join(" ");
        Some(format!(
            "it printed nothing, and `{shown}` says no version: whether it has looked at anything cannot be told"
        ))
    }
}

/// A tool that is asked for its version.
pub(super) struct Asking {
    program: String,
    answer: Answer,
}

enum Answer {
    /// It was kept, or there is nothing to ask.
    Known(Option<String>),
    /// It is running.
    Asked { running: Started, shown: String, how: String, keep: Option<(Cache, String)> },
}

impl Asking {
    /// Asks the tool of `gate`, or remembers what it said. It runs from now on, beside whatever else does.
    /// Within [`crate::process::beside::wait`].
    pub(super) fn begin(gate: &GateConfig, context: &Context<'_>, root: &Path, stop: &Stop) -> Self {
        let path = context.search_path(gate, root);
        let start = root.join(context.subdir);
        let find = |words: &[String]| tools::find_program(words.first()?, &path, &start);
        let mut program = find(&gate.command).map_or(String::new(), |file| identity(&file, root).0);
        if let Some(python) = context.python(gate, root) {
            program.push(' ');
            program.push_str(&with_packages(&python, root));
        }
        let asked = find(&gate.tool.version).map(|file| answer(gate, context, root, &file, stop));
        Self { program, answer: asked.unwrap_or(Answer::Known(None)) }
    }

    /// What it says.
    pub(super) async fn end(self) -> Version {
        let program = self.program;
        let (running, shown, how, keep) = match self.answer {
            Answer::Known(text) => return Version { text, program, silent: None },
            Answer::Asked { running, shown, how, keep } => (running, shown, how, keep),
        };
        let outcome = running.end().await;
        let hung = outcome.as_ref().is_ok_and(|outcome| outcome.ending == Ending::TimedOut);
        let text = first_line(outcome);
        if let (Some((cache, key)), Some(text)) = (keep, &text) {
            cache.put(&key, text);
        }
        Version { text, program, silent: hung.then(|| silent(&shown, &how)) }
    }
}

/// What to do about a tool that does not even say its version.
fn silent(shown: &str, how: &str) -> String {
    let after = crate::config::duration::format(TIMEOUT);
    let anew = if how.is_empty() {
        String::new()
    } else {
        format!(", and if it hangs there, install it anew ({how})")
    };
    format!("`{shown}` did not answer within {after}, so nothing of it is kept: type it yourself{anew}")
}

fn answer(gate: &GateConfig, context: &Context<'_>, root: &Path, file: &Path, stop: &Stop) -> Answer {
    let (identity, stable) = identity(file, root);
    let kept = context.cache.filter(|_| stable && !identity.is_empty());
    // A link in a directory of this call alone leads to the same tool as in the next call.
    let place = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let key = Cache::key(&["version", &place.to_string_lossy(), &identity, &gate.tool.version.join("\0")]);
    if let Some(text) = kept.and_then(|cache| cache.get(&key)) {
        return Answer::Known(Some(text));
    }
    Answer::Asked {
        running: stop.start(spec(gate, context, root, file)),
        shown: gate.tool.version.join(" "),
        how: gate.tool.how_to_get(),
        keep: kept.map(|cache| (cache.clone(), key)),
    }
}

fn spec(gate: &GateConfig, context: &Context<'_>, root: &Path, file: &Path) -> Spec {
    let path = context.search_path(gate, root);
    Spec {
        program: file.into(),
        args: gate.tool.version.iter().skip(1).map(OsString::from).collect(),
        // Not in the repository, whose configuration may break even this.
        cwd: PathBuf::from("/"),
        env: surroundings(gate, context, root, &path),
        stdin: Stdin::Null,
        timeout: TIMEOUT,
        output_max: 4096,
        grace: GRACE,
        session: Session::NewSession,
        bounds: None,
    }
}

fn first_line(outcome: Result<Outcome, SpawnError>) -> Option<String> {
    let outcome = outcome.ok().filter(Outcome::success)?;
    let text = if outcome.stdout.is_empty() { outcome.stderr } else { outcome.stdout };
    let text = String::from_utf8_lossy(&text);
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    Some(parse::clean(first.trim(), 200))
}

/// The environment of the gate without its lists: what lies in the worktree is no part of the tool.
fn surroundings(
    gate: &GateConfig,
    context: &Context<'_>,
    root: &Path,
    path: &OsStr,
) -> Vec<(OsString, OsString)> {
    let mut alone = gate.clone();
    alone.tool.env.retain(|name, _| !name.ends_with("PATH") && !name.ends_with("OPTS"));
    command::environment(Some(&alone), context.env, path, &Places::new(root, context.tmp))
}

/// What tells a program from another one in its place, and whether that is all there is to tell.
fn identity(file: &Path, root: &Path) -> (String, bool) {
    let file = &behind_link(file);
    // Without following the program's own link: an environment's `python` is one.
    let dir = file.parent().and_then(|dir| dir.canonicalize().ok()).unwrap_or_default();
    if root.canonicalize().is_ok_and(|root| dir.starts_with(root)) {
        return (String::new(), false);
    }
    let mut identity = stamp(file);
    let environment = dir.parent().filter(|dir| dir.join("pyvenv.cfg").is_file());
    for packages in environment.into_iter().flat_map(packages) {
        identity.push(' ');
        identity.push_str(&stamp(&packages));
    }
    (identity, environment.is_some())
}

/// The program in its environment, where a link elsewhere leads to it: sprint's own tools have such.
fn behind_link(file: &Path) -> PathBuf {
    let in_environment = |file: &Path| {
        file.parent().and_then(Path::parent).is_some_and(|dir| dir.join("pyvenv.cfg").is_file())
    };
    let target = || Some(file.parent()?.join(file.read_link().ok()?));
    match target() {
        Some(target) if !in_environment(file) && in_environment(&target) => target,
        _ => file.to_owned(),
    }
}

/// What tells an interpreter from another one, or from itself after an installation; nothing of one in the
/// worktree, as with programs.
fn with_packages(python: &Path, root: &Path) -> String {
    let Some(dir) = python.parent().and_then(|dir| dir.canonicalize().ok()) else { return String::new() };
    if root.canonicalize().is_ok_and(|root| dir.starts_with(root)) {
        return String::new();
    }
    let prefix = dir.parent().unwrap_or(Path::new("/"));
    let all = packages(prefix).into_iter().chain(packages(&prefix.join("local")));
    let stamps: Vec<String> = all.map(|packages| stamp(&packages)).collect();
    format!("{} {} {}", dir.display(), stamp(python), stamps.join(" "))
}

/// `lib/python3.11/site-packages`, or what Debian has in its place.
fn packages(environment: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(environment.join("lib")) else { return Vec::new() };
    let both = ["site-packages", "dist-packages"];
    let dirs = entries.flatten().flat_map(|entry| both.map(|name| entry.path().join(name)));
    let mut found: Vec<PathBuf> = dirs.filter(|dir| dir.is_dir()).collect();
    found.sort();
    found
}

fn stamp(path: &Path) -> String {
    path.metadata().map_or(String::new(), |meta| {
        format!("{}:{}:{}.{}", meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_into_an_environment_changes_its_tools_identity() {
        let dir = tempfile::tempdir().unwrap();
        let (bin, packages) = (dir.path().join("v/bin"), dir.path().join("v/lib/python3.11/site-packages"));
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(&packages).unwrap();
        let tool = bin.join("tool");
        fs::write(&tool, "").unwrap();
        let root = dir.path().join("worktree");
        fs::create_dir(&root).unwrap();
        assert!(!identity(&tool, &root).1, "no environment yet");
        fs::write(dir.path().join("v/pyvenv.cfg"), "").unwrap();
        let before = identity(&tool, &root);
        assert!(before.1 && before == identity(&tool, &root));
        fs::File::open(&packages).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_ne!(before, identity(&tool, &root));
        assert_eq!(identity(&tool, dir.path()), (String::new(), false), "in the worktree");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&tool, &link).unwrap();
        assert_eq!(identity(&link, &root), identity(&tool, &root), "a link to it is the same tool");
    }
}
