//! What a gate runs in: the trees that it judges, and what the caller says of the machine.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::cache::Cache;
use super::command;
use super::editable;
use super::interpreter;
use super::judge::Thresholds;
use super::tools;
use super::watch::Watch;
use crate::config::gate::GateConfig;
use crate::domain::gate::ChangedLines;
use crate::domain::ids::{CommitSha, GateName};
use crate::process::limits::Bounds;
use crate::process::slots::Slots;

/// Which of the two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The candidate.
    Head,
    /// Its first parent, or what else it is held against.
    Base,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "candidate",
            Self::Base => "base",
        })
    }
}

/// Which worktree of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room {
    /// For gates that only read it; many may at once.
    Reading,
    /// For one that may run the tree's own code, which can write there.
    Working,
}

impl Room {
    /// The one for this gate.
    pub(super) fn of(gate: &GateConfig) -> Self {
        if gate.tool.reads { Self::Reading } else { Self::Working }
    }
}

/// The trees of a candidate and its base, from whoever knows git. What goes wrong is a text for
/// people: it becomes the reason of a verdict `error`.
pub trait Trees {
    /// The tree's object id; `None` for a worktree as it is, whose results are not kept.
    fn tree(&self, side: Side) -> Option<String>;

    /// What a run of the tree's own code sees in that worktree and the tree has not, as [`super::around`]
    /// says it: asked before any has run, and told the same ever after. `None`: that cannot be told, and
    /// no result of such a run is kept.
    fn besides(&self, side: Side) -> Option<String>;

    /// The commit that git has checked out there: what asks git may be told another thing by each, of the same
    /// tree. `None`: nothing is committed yet.
    ///
    /// # Errors
    /// Why that cannot be told.
    fn history(&self, side: Side) -> Result<Option<CommitSha>, String>;

    /// Whether there is a base to compare with. Without one, every finding is new.
    fn has_base(&self) -> bool;

    /// The files of the tree, relative to the repository's root.
    ///
    /// # Errors
    /// Why they cannot be listed.
    fn files(&self, side: Side) -> Result<Vec<String>, String>;

    /// The root of a worktree of exactly that tree, cleaned of what other gates left. Called before
    /// every run of a tool, and for the base only when it is needed.
    ///
    /// # Errors
    /// Why there is none.
    fn checkout(&self, side: Side, room: Room) -> Result<PathBuf, String>;

    /// The root of that worktree as it is, to look for what was prepared there.
    ///
    /// # Errors
    /// Why there is none.
    fn root(&self, side: Side, room: Room) -> Result<PathBuf, String> {
        self.checkout(side, room)
    }

    /// The person's checkout: what is installed may lead into it.
    fn person(&self) -> Option<&Path> {
        None
    }

    /// Why a test that is red at the base proves nothing of the candidate, where that is so: the base ran with what
    /// is installed for the candidate, or lacked what the checkout has.
    fn distrust(&self) -> Option<String> {
        None
    }

    /// Whether the person's checkout has something of that name (without directory and ending) which git
    /// ignores, and the candidate lies elsewhere, without it.
    fn left_behind(&self, _name: &str) -> bool {
        false
    }

    /// Whether the two rooms are worktrees of their own, so that gates may run in both at once.
    fn apart(&self) -> bool {
        false
    }

    /// What the worktree is called, among all of this person; `None`: nothing is kept for it.
    fn slot(&self, _side: Side) -> Option<String> {
        None
    }

    /// Tracked files of that worktree which differ from the tree now.
    ///
    /// # Errors
    /// Why they cannot be compared.
    fn modified(&self, side: Side, room: Room) -> Result<Vec<String>, String>;

    /// What of git's own has moved there since [`Self::checkout`], for people: a commit, another branch, a
    /// stash.
    ///
    /// # Errors
    /// Why that cannot be told.
    fn moved(&self, side: Side, room: Room) -> Result<Option<String>, String>;

    /// Makes that worktree the tree again, after a gate has changed it.
    ///
    /// # Errors
    /// Why it cannot.
    fn restore(&self, side: Side) -> Result<(), String>;

    /// Whether the path is a file in the candidate or in the base.
    fn is_file(&self, path: &str) -> bool;

    /// Whether the candidate changes, adds or removes that file.
    fn changed(&self, path: &str) -> bool;

    /// Whether the task that is judged names that file.
    fn named_by_task(&self, path: &str) -> bool;

    /// The file's content in the base.
    fn base_file(&self, path: &str) -> Option<Vec<u8>>;

    /// Renamed files: (path in the base, path in the candidate).
    fn renames(&self) -> Vec<(String, String)>;

    /// The lines that the candidate adds or changes; none without a base.
    ///
    /// # Errors
    /// Why they cannot be told.
    fn changed_lines(&self) -> Result<ChangedLines, String>;
}

/// When the base is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseScan {
    /// When the candidate has something that the base could excuse, or a result is kept: a clean
    /// candidate needs no second run.
    WhenNeeded,
    /// Always, so that what was fixed is shown too.
    Always,
}

/// What a gate runs in.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Candidate and base.
    pub trees: &'a dyn Trees,
    /// `general.root`: where gates start, relative to the repository; empty for its root.
    pub subdir: &'a str,
    /// The person's environment, less sprint's secrets.
    pub env: &'a [(OsString, OsString)],
    /// sprint's own tools, last in PATH.
    pub tools: Option<&'a Path>,
    /// An existing directory for temporary files, of this run alone. Short: sockets go in there.
    pub tmp: &'a Path,
    /// Kept results.
    pub cache: Option<&'a Cache>,
    /// The machine's gate slots; `None` only in tests.
    pub slots: Option<&'a Slots>,
    /// From `[quality]`.
    pub thresholds: Thresholds,
    /// What a tool may use; `None` only in tests.
    pub bounds: Option<Bounds>,
    /// When the base is scanned.
    pub base: BaseScan,
    /// Whether kept results are not believed: a red base runs once more.
    pub fresh: bool,
    /// Asked at least ten times a second.
    pub cancel: &'a dyn Fn() -> bool,
    /// Called when a tool has ended: ends what it left running, or says why that is not possible.
    pub end_left: &'a dyn Fn() -> Result<(), String>,
    /// Who looks on.
    pub watch: Option<&'a dyn Watch>,
    /// Whether a red gate leaves the others running; else they are cancelled.
    pub all: bool,
    /// Seconds that a gate took last, where that is known: long ones begin first.
    pub usual: &'a dyn Fn(&GateName) -> Option<f64>,
}

impl Context<'_> {
    /// PATH for a gate in that worktree. A virtual environment that the candidate itself brings or
    /// changes does not count: its `pytest` would be the judge of its own cause.
    pub(super) fn search_path(&self, gate: &GateConfig, root: &Path) -> OsString {
        let path = tools::search_path(root, self.variable("PATH"), self.tools);
        let files = self.trees.files(Side::Head).unwrap_or_default();
        // What the person has installed there lies in no tree; `.venv` is looked at below.
        let installed = |directory: &Path| {
            directory.strip_prefix(root).is_ok_and(|inside| {
                let first = inside.components().next().map(|part| Path::new(part.as_os_str()));
                first.is_some_and(|first| first != Path::new(".venv"))
                    && directory.parent().is_some_and(|above| above.join("pyvenv.cfg").is_file())
                    && !files.iter().any(|file| Path::new(file).starts_with(inside))
            })
        };
        let others = std::env::split_paths(&path)
            .filter(|directory| !directory.starts_with(root) || installed(directory));
        let own = self.own_programs(gate).into_iter().map(|directory| root.join(directory));
        std::env::join_paths(own.chain(others)).unwrap_or_default()
    }

    /// The directories of the worktree that a gate's programs may come from, first ones first.
    pub(super) fn own_programs(&self, gate: &GateConfig) -> Vec<String> {
        let files = self.trees.files(Side::Head);
        let brings = |directory: &str| {
            let own = |path: &String| {
                path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
                    && self.trees.changed(path)
            };
            files.as_ref().map_or(true, |files| files.iter().any(own))
        };
        let usable = tools::own_directories(gate, self.subdir);
        usable.into_iter().filter(|(dir, _)| !brings(dir)).map(|(dir, bin)| format!("{dir}/{bin}")).collect()
    }

    /// The Python with what the tests import: that of the worktree's own environment, or else the one
    /// that `pytest` runs with. A tool that has an environment of its own knows nothing of it.
    pub(super) fn python(&self, gate: &GateConfig, root: &Path) -> Option<PathBuf> {
        if !command::wants_python(gate) {
            return None;
        }
        let own = root.join(".venv/bin");
        if own.is_dir() && self.own_programs(gate).iter().any(|directory| root.join(directory) == own) {
            return Some(own.join("python"));
        }
        interpreter::of(&tools::find_program("pytest", &self.search_path(gate, root), root)?)
    }

    /// Where modules of the tree at `root` begin that are installed from the person's checkout, for a gate that
    /// says where modules begin.
    pub(super) fn editable(&self, gate: &GateConfig, root: &Path) -> Vec<PathBuf> {
        let (Some(person), true) = (self.trees.person(), gate.tool.env.contains_key("PYTHONPATH")) else {
            return Vec::new();
        };
        let program = gate.command.first();
        let program = program.and_then(|word| tools::find_program(word, &self.search_path(gate, root), root));
        // In the checkout itself they are what is installed.
        let environment =
            program.filter(|_| person != root).and_then(|program| editable::environment(&program));
        let places = environment.map(|environment| editable::places(&environment, person));
        let here = places.unwrap_or_default().into_iter().map(|place| root.join(place));
        here.filter(|place| place.is_dir()).collect()
    }

    /// Where files lie that gates bring along.
    pub(super) fn kit(&self) -> PathBuf {
        self.cache.map_or_else(|| self.tmp.join("kit"), |cache| cache.beside("kit"))
    }

    /// The root of that side's worktree as tools see it: they print real paths, and one that does
    /// not begin with the root could not be compared with the base's.
    pub(super) fn checkout(&self, side: Side, room: Room) -> Result<PathBuf, String> {
        real(side, self.trees.checkout(side, room))
    }

    /// The root of that side's worktree, to look for programs and the like.
    pub(super) fn root(&self, side: Side, room: Room) -> Result<PathBuf, String> {
        real(side, self.trees.root(side, room))
    }

    /// A variable of the person's environment.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_os_str())
    }
}

fn real(side: Side, root: Result<PathBuf, String>) -> Result<PathBuf, String> {
    let told = |why: &dyn fmt::Display| format!("cannot check out the {side}: {why}");
    root.map_err(|why| told(&why))?.canonicalize().map_err(|error| told(&error))
}
