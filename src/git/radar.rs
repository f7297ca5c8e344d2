//! The conflict radar: which branches in flight will not merge with each other, or with what has
//! landed, found in memory long before anyone reaches the merge queue.
//!
//! Two branches that touch no common path cannot conflict, so only pairs that do are merged, and
//! of those only the paths that both touched. What takes more than a file's content (removed on
//! one side, another mode, a file against a directory) is merged whole. Shows, decides nothing.

use std::collections::BTreeSet;

use git2::{IndexEntry, IndexTime, MergeOptions, Oid, Repository};

use super::diff;
use super::error::{LibContext, Result};
use super::repo::{Repo, oid};
use super::trees;
use crate::domain::ids::{CommitSha, TaskId};

/// How many branches are compared: the work grows with the square.
pub const BRANCHES_MAX: usize = 200;
/// How many paths of a clash are named.
const PATHS_MAX: usize = 20;

/// A branch that has not landed.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// Whose.
    pub task: TaskId,
    /// Its head.
    pub head: CommitSha,
}

/// Two that do not merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// One task.
    pub task: TaskId,
    /// The other; None for the integration branch.
    pub with: Option<TaskId>,
    /// The paths, sorted.
    pub paths: Vec<String>,
}

struct Branch<'a> {
    task: &'a TaskId,
    head: &'a CommitSha,
    base: CommitSha,
    paths: BTreeSet<String>,
}

/// Every clash among `branches` and with `integration`; the path `ignore` (the feature's
/// `tasks.md`) never clashes. Branches without a common history are left out.
///
/// # Errors
/// [`super::Error::Lib`] if a commit is missing.
pub fn scan(
    repo: &Repo,
    integration: &CommitSha,
    branches: &[InFlight],
    ignore: Option<&str>,
) -> Result<Vec<Clash>> {
    let lib = repo.open()?;
    let mut known = Vec::new();
    for InFlight { task, head } in branches.iter().take(BRANCHES_MAX) {
        if let Some(base) = diff::base_of(&lib, integration, head)? {
            let paths = touched(&lib, &base, head, ignore)?;
            known.push(Branch { task, head, base, paths });
        }
    }
    let mut clashes = Vec::new();
    for (at, one) in known.iter().enumerate() {
        let landed = touched(&lib, &one.base, integration, ignore)?;
        let paths = conflicts(&lib, &one.base, (one.head, &one.paths), (integration, &landed))?;
        clashes.extend(clash(one.task, None, paths));
        for other in &known[at + 1..] {
            if shared(&one.paths, &other.paths).is_empty() {
                continue;
            }
            let base = if one.base == other.base {
                Some(one.base.clone())
            } else {
                diff::base_of(&lib, one.head, other.head)?
            };
            let Some(base) = base else { continue };
            let paths = conflicts(&lib, &base, (one.head, &one.paths), (other.head, &other.paths))?;
            clashes.extend(clash(one.task, Some(other.task), paths));
        }
    }
    Ok(clashes)
}

fn clash(task: &TaskId, with: Option<&TaskId>, mut paths: Vec<String>) -> Option<Clash> {
    if paths.is_empty() {
        return None;
    }
    paths.sort_unstable();
    paths.dedup();
    paths.truncate(PATHS_MAX);
    Some(Clash { task: task.clone(), with: with.cloned(), paths })
}

fn touched(
    lib: &Repository,
    from: &CommitSha,
    to: &CommitSha,
    ignore: Option<&str>,
) -> Result<BTreeSet<String>> {
    if from == to {
        return Ok(BTreeSet::new());
    }
    let changes = diff::changes_in(lib, from, to)?;
    Ok(changes.into_iter().map(|c| c.path).filter(|p| Some(p.as_str()) != ignore).collect())
}

/// Paths that both touch, or of which one lies below the other's.
fn shared<'a>(one: &'a BTreeSet<String>, two: &BTreeSet<String>) -> BTreeSet<&'a str> {
    let below = |path: &str, set: &BTreeSet<String>| {
        let dir = format!("{path}/");
        set.range(dir.clone()..).next().is_some_and(|p| p.starts_with(&dir))
    };
    let above =
        |path: &str, set: &BTreeSet<String>| path.match_indices('/').any(|(at, _)| set.contains(&path[..at]));
    one.iter().map(String::as_str).filter(|p| two.contains(*p) || below(p, two) || above(p, two)).collect()
}

/// The paths in which a merge of two heads conflicts.
fn conflicts(
    lib: &Repository,
    base: &CommitSha,
    one: (&CommitSha, &BTreeSet<String>),
    two: (&CommitSha, &BTreeSet<String>),
) -> Result<Vec<String>> {
    let common = shared(one.1, two.1);
    if common.is_empty() {
        return Ok(Vec::new());
    }
    let what = "cannot merge in memory";
    let tree = |sha: &CommitSha| lib.find_commit(oid(sha)?).and_then(|c| c.tree()).during(what);
    let trees = [tree(base)?, tree(one.0)?, tree(two.0)?];
    let mut found = Vec::new();
    for path in &common {
        let mut sides = [None; 3];
        for (side, tree) in sides.iter_mut().zip(&trees) {
            *side = trees::lookup(lib, tree, path).during(what)?;
        }
        match file_clash(lib, path, sides).during(what)? {
            Some(true) => found.push((*path).to_owned()),
            Some(false) => {}
            None => return whole(lib, &trees).during(what),
        }
    }
    Ok(found)
}

/// Whether three versions of one file conflict; None where that is not a matter of its content.
fn file_clash(
    lib: &Repository,
    path: &str,
    sides: [Option<trees::Entry>; 3],
) -> std::result::Result<Option<bool>, git2::Error> {
    let [Some(base), Some(one), Some(two)] = sides else { return Ok(None) };
    if one == two || base == one || base == two {
        return Ok(Some(false));
    }
    let plain = |e: trees::Entry| e.mode & 0o170_000 == 0o100_000;
    if !(plain(base) && plain(one) && plain(two) && base.mode == one.mode && base.mode == two.mode) {
        return Ok(None);
    }
    let entry = |e: trees::Entry| index_entry(path, e.id);
    let merged = lib.merge_file_from_index(&entry(base), &entry(one), &entry(two), None)?;
    Ok(Some(!merged.is_automergeable()))
}

fn index_entry(path: &str, id: Oid) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode: 0o100_644,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

fn whole(
    lib: &Repository,
    [base, one, two]: &[git2::Tree<'_>; 3],
) -> std::result::Result<Vec<String>, git2::Error> {
    let mut options = MergeOptions::new();
    options.find_renames(true);
    let index = lib.merge_trees(base, one, two, Some(&options))?;
    let mut paths = Vec::new();
    if index.has_conflicts() {
        for conflict in index.conflicts()? {
            let conflict = conflict?;
            let sides = [conflict.our, conflict.their, conflict.ancestor];
            let first = sides.into_iter().flatten().next();
            paths.extend(first.map(|e| String::from_utf8_lossy(&e.path).into_owned()));
        }
    }
    Ok(paths)
}
