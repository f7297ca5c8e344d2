//! The checker behind `sprint verify`: reads the database, git and the report files, and says which
//! invariant does not hold.
//!
//! It shares no code with what it checks: rows are read by its own statements, trailers and boxes
//! by its own parsers, and [`rules`] knows of nothing but [`Facts`]. It writes nothing.

mod facts;
mod loose;
mod reports;
mod repository;
mod rows;
mod rules;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;

pub use facts::Facts;
use facts::Git;

/// Looks at a sprint that goes on are repeated so often until nothing moved meanwhile.
const LOOKS_MAX: usize = 5;

/// What sprint promises, as far as it can be read off afterwards. `docs/RELIABILITY.md` has the
/// code that keeps each, and the tests that try to break it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Invariant {
    /// The database is whole.
    Database,
    /// Supervisors follow one another.
    Epochs,
    /// Tasks, runs and workers agree on who does what.
    Owners,
    /// Two tasks of a convoy are never in flight together.
    Convoys,
    /// A report is whole, and of the run in whose place it lies.
    Reports,
    /// The integration branch is where the database says.
    Head,
    /// The branch has one commit a task, on top of each other.
    Chain,
    /// Database and branch name the same landings, each once.
    Landings,
    /// What landed is what the gates passed.
    Gated,
    /// What landed ticks its own box and no other.
    Boxes,
    /// What landed can be read, byte for byte.
    Objects,
    /// No finished work is out of reach.
    Kept,
}

impl Invariant {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 12] = [
        Self::Database,
        Self::Epochs,
        Self::Owners,
        Self::Convoys,
        Self::Reports,
        Self::Head,
        Self::Chain,
        Self::Landings,
        Self::Gated,
        Self::Boxes,
        Self::Objects,
        Self::Kept,
    ];

    /// Its name in `--json` and in `docs/RELIABILITY.md`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Epochs => "epochs",
            Self::Owners => "owners",
            Self::Convoys => "convoys",
            Self::Reports => "reports",
            Self::Head => "head",
            Self::Chain => "chain",
            Self::Landings => "landings",
            Self::Gated => "gated",
            Self::Boxes => "boxes",
            Self::Objects => "objects",
            Self::Kept => "kept",
        }
    }

    /// What it promises, in a line.
    pub fn promise(self) -> &'static str {
        match self {
            Self::Database => "the database is whole",
            Self::Epochs => "supervisors follow one another, never two at once",
            Self::Owners => "tasks, runs and workers agree on who does what",
            Self::Convoys => "two tasks of a convoy are never in flight together",
            Self::Reports => "a report is whole, and of the run in whose place it lies",
            Self::Head => "the integration branch is where the database says",
            Self::Chain => "the branch has one commit a task, each on top of the one before",
            Self::Landings => "database and branch name the same landings, each once",
            Self::Gated => "what landed is what the gates passed",
            Self::Boxes => "what landed ticks its own box in tasks.md and no other",
            Self::Objects => "what landed can be read, byte for byte",
            Self::Kept => "no finished work is out of reach",
        }
    }
}

/// An invariant that does not hold, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Which one.
    pub invariant: Invariant,
    /// What was seen, for people.
    pub what: String,
}

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// `sprint.db`.
    pub database: &'a Path,
    /// The directory of the runs' directories.
    pub runs: &'a Path,
    /// The repository's common git directory.
    pub git: &'a Path,
}

/// What was looked at, and what does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Everything that is broken; nothing if all holds.
    pub broken: Vec<Broken>,
    /// What could not be looked at, and so may hold or not.
    pub unseen: Vec<Invariant>,
    /// How many features.
    pub features: usize,
    /// How many tasks.
    pub tasks: usize,
    /// How many tasks have landed.
    pub landed: usize,
    /// How many runs there were.
    pub runs: usize,
    /// How many report files were read.
    pub reports: usize,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The repository.
    #[error("the repository cannot be read")]
    Git(#[from] git2::Error),
    /// The runs' directories.
    #[error("`{path}` cannot be read")]
    Files {
        /// Which one.
        path: std::path::PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// Checks everything. A sprint that goes on meanwhile is looked at again, until nothing moved
/// between the first look and the last.
///
/// # Errors
/// [`Unreadable`]; a database that cannot be read is an [`Outcome`] instead.
pub fn check(place: Place<'_>) -> Result<Outcome, Unreadable> {
    let mut outcome = once(place)?;
    for _ in 1..LOOKS_MAX {
        let (before, seen) = outcome;
        if seen.broken.is_empty() || rows::moment(place.database) == before {
            return Ok(seen);
        }
        outcome = once(place)?;
    }
    Ok(outcome.1)
}

/// One look, and the moment of the database at which it began.
fn once(place: Place<'_>) -> Result<(Option<i64>, Outcome), Unreadable> {
    let rows = match rows::read(place.database) {
        Ok(rows) => rows,
        Err(why) => return Ok((None, damaged(why))),
    };
    let moment = rows.moment;
    let told = |source| Unreadable::Files { path: place.git.join("objects"), source };
    let cut_off = loose::cut_off(place.git).map_err(told)?;
    let git = if cut_off.is_empty() { repository::read(place.git, &rows)? } else { Git::default() };
    let reports = reports::read(place.runs)?;
    let facts = Facts { rows, git, reports };
    let mut broken = rules::broken(&facts);
    let mut unseen = Vec::new();
    if !cut_off.is_empty() {
        unseen.extend(OF_GIT.into_iter().filter(|other| *other != Invariant::Objects));
        broken.retain(|broken| !OF_GIT.contains(&broken.invariant));
        let what = |id| format!("the object {id} is cut off; `git fsck` says what it belongs to");
        broken.extend(cut_off.into_iter().map(|id| Broken { invariant: Invariant::Objects, what: what(id) }));
    }
    let outcome = Outcome {
        broken,
        unseen,
        features: facts.rows.features.len(),
        tasks: facts.rows.tasks.len(),
        landed: facts.rows.landings.len(),
        runs: facts.rows.runs.len(),
        reports: facts.reports.len(),
    };
    Ok((Some(moment), outcome))
}

/// What is held against the repository, and so cannot be told where objects are cut off.
const OF_GIT: [Invariant; 7] = [
    Invariant::Head,
    Invariant::Chain,
    Invariant::Landings,
    Invariant::Gated,
    Invariant::Boxes,
    Invariant::Objects,
    Invariant::Kept,
];

fn damaged(what: String) -> Outcome {
    let broken = vec![Broken { invariant: Invariant::Database, what }];
    // Each of the others is held against the database.
    let unseen = Invariant::ALL.into_iter().filter(|other| *other != Invariant::Database).collect();
    Outcome { broken, unseen, ..Outcome::default() }
}
