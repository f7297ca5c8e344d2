//! Releases as a feature: each difference is a phase, its files are grouped into tasks, and an
//! agent outside the repository applies exactly the files of its task.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::releases::{self, Entry, Files};
use crate::common::World;

/// The feature of every case.
pub const FEATURE: &str = "001-replay";

/// Whether the code of the release is right.
#[derive(Debug, Clone, Copy)]
pub enum Gate {
    /// Everything compiles.
    Compiles,
    /// The package's own tests, in this directory.
    Tests(&'static str),
}

/// What is replayed.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    pub package: &'static str,
    /// Successive; the first one is the base.
    pub versions: &'static [&'static str],
    pub gate: Gate,
    /// How long the agent takes at most for a task, so that something can happen meanwhile.
    pub nap_ms: u64,
    /// How many agents there are at most.
    pub developers: u32,
    /// What may be torn apart is: each file is a task of its own.
    pub apart: bool,
}

/// A task and what it does.
#[derive(Debug, Clone)]
pub struct Task {
    pub id: String,
    pub phase: usize,
    pub parallel: bool,
    /// `None` deletes the file.
    pub changes: BTreeMap<String, Option<Entry>>,
}

/// A feature in a world, ready to be started.
pub struct Case {
    pub tasks: Vec<Task>,
    /// The tree that must come out, outside the feature's directory.
    pub last: Files,
    /// The gate, as argv in a checkout.
    pub gate: Vec<String>,
}

/// Puts the case into the world: repository, feature, agent, configuration.
pub fn build(world: &mut World, recipe: &Recipe) -> Case {
    let versions: Vec<Files> =
        recipe.versions.iter().map(|version| releases::release(recipe.package, version)).collect();
    let (first, last) = (versions.first().unwrap(), versions.last().unwrap().clone());
    let tasks = tasks(&versions, recipe.apart);
    for (path, entry) in first {
        put(&world.repo(), path, entry);
    }
    world.feature(FEATURE, &tasks_md(recipe, &tasks));
    for task in &tasks {
        prepare(&world.path().join("changes").join(&task.id), task);
    }
    let python = releases::tools().join("python").into_os_string().into_string().unwrap();
    let words: Vec<&str> = match recipe.gate {
        Gate::Compiles => vec![&python, "-m", "compileall", "-q", "-f", "."],
        Gate::Tests(directory) => vec![&python, "-m", "pytest", "-q", "-p", "no:cacheprovider", directory],
    };
    let gate: Vec<String> = words.into_iter().map(str::to_owned).collect();
    configure(world, recipe, &gate);
    // What a release ships counts, whatever its `.gitignore` says.
    world.git(&["add", "-A", "-f"]);
    world.git(&["commit", "-q", "-m", &format!("{} {}", recipe.package, recipe.versions[0])]);
    Case { tasks, last, gate }
}

fn put(directory: &Path, path: &str, entry: &Entry) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, &entry.bytes).unwrap();
    let mode = if entry.executable { 0o755 } else { 0o644 };
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The group of what is not torn apart.
const CODE: &str = "code";

/// Which files go together: code and its tests must not be torn apart, the rest may.
fn group(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ends = |ending: &str| Path::new(name).extension().is_some_and(|found| found == ending);
    if path.starts_with("docs/") || ends("rst") || ends("md") || name == "CHANGELOG" || name == "LICENSE" {
        "docs"
    } else if name == "PKG-INFO" || path.contains(".egg-info/") {
        "metadata"
    } else if path.starts_with('.') || path.starts_with("scripts/") || ends("ini") {
        "tooling"
    } else {
        CODE
    }
}

/// Each difference is a phase: what can be done side by side, and the code, before or after it.
fn tasks(versions: &[Files], apart: bool) -> Vec<Task> {
    let mut all: Vec<Task> = Vec::new();
    for (phase, pair) in versions.windows(2).enumerate() {
        let mut groups: BTreeMap<String, BTreeMap<String, Option<Entry>>> = BTreeMap::new();
        let paths: BTreeSet<&String> = pair[0].keys().chain(pair[1].keys()).collect();
        for path in paths.into_iter().filter(|path| pair[0].get(*path) != pair[1].get(*path)) {
            let group = match group(path) {
                whole if !apart || whole == CODE => whole.to_owned(),
                _ => path.clone(),
            };
            groups.entry(group).or_default().insert(path.clone(), pair[1].get(path).cloned());
        }
        let code = groups.remove(CODE).map(|changes| (false, changes));
        let beside = groups.into_values().map(|changes| (true, changes));
        let ordered: Vec<_> = if phase % 2 == 0 {
            beside.chain(code).collect()
        } else {
            code.into_iter().chain(beside).collect()
        };
        for (parallel, changes) in ordered {
            all.push(Task { id: format!("T{:03}", all.len() + 1), phase, parallel, changes });
        }
    }
    all
}

fn tasks_md(recipe: &Recipe, tasks: &[Task]) -> String {
    let mut text = String::new();
    for (phase, version) in recipe.versions.iter().skip(1).enumerate() {
        write!(text, "## Phase {}: {} {version}\n\n", phase + 1, recipe.package).unwrap();
        for task in tasks.iter().filter(|task| task.phase == phase) {
            let paths: Vec<String> = task.changes.keys().map(|path| format!("`{path}`")).collect();
            let mark = if task.parallel { "[P] " } else { "" };
            writeln!(text, "- [ ] {} {mark}Bring {} to {version}", task.id, paths.join(", ")).unwrap();
        }
        text.push('\n');
    }
    text
}

/// `files/` to copy, `deleted` and `paths` as lists that end in NUL.
fn prepare(directory: &Path, task: &Task) {
    fs::create_dir_all(directory.join("files")).unwrap();
    let mut deleted = String::new();
    for (path, entry) in &task.changes {
        match entry {
            Some(entry) => put(&directory.join("files"), path, entry),
            None => write!(deleted, "{path}\0").unwrap(),
        }
    }
    let paths = task.changes.keys().fold(String::new(), |all, path| all + path + "\0");
    fs::write(directory.join("deleted"), deleted).unwrap();
    fs::write(directory.join("paths"), paths).unwrap();
}

/// The agent works in three steps with naps between, so that it can be met half-way.
const AGENT: &str = r#"set -euo pipefail
change=$W/changes/$1
echo "$1 $SPRINT_ATTEMPT" >> "$W/agent.log"
nap() { sleep "$NAP"; }
nap
while IFS= read -r -d '' path; do rm -f -- "$path"; done < "$change/deleted"
nap
cp -a "$change/files/." .
nap
GIT_LITERAL_PATHSPECS=1 git add -A -f --pathspec-from-file="$change/paths" --pathspec-file-nul
git commit -q -m "$1"
nap"#;

fn configure(world: &mut World, recipe: &Recipe, gate: &[String]) {
    let agent = world.program("bin/apply", AGENT).into_os_string().into_string().unwrap();
    world.env("NAP", format!("0.{:03}", recipe.nap_ms / 4));
    world.env("PYTHONPATH", "src");
    world.env("PYTHONDONTWRITEBYTECODE", "1");
    let text = format!(
        "[agents]\nmax_developers = {}\n[roles.developer]\nagent = \"apply\"\n\
         [agent.apply]\nkind = \"command\"\ncommand = [{agent:?}, \"{{task.id}}\"]\n\
         [gates]\npresets = []\n\
         [gate.own]\nstage = \"InTests\"\ncommand = {gate:?}\nparser = \"exit-code\"\nmode = \"absolute\"\n",
        recipe.developers
    );
    let directory = world.path().join("c/sprint");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("config.toml"), text).unwrap();
}
