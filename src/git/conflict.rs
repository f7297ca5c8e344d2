//! A conflict as something to work on: a commit whose files have both sides between marks, and the
//! task's new head out of what somebody made of it.
//!
//! Merged by libgit2 in memory: drivers that the repository names never run, and no branch, index
//! or working tree is touched.

use git2::{Index, IndexConflict, IndexEntry, MergeFileOptions, Oid, Repository, Signature, Time};

use super::durable::{self, RefChange};
use super::error::{LibContext, Result};
use super::repo::{Identity, Repo, oid, sha};
use super::{branch, landing, trees};
use crate::domain::ids::{CommitSha, RunId};

/// So many paths of a conflict are named.
const PATHS_MAX: usize = 200;
/// Before each side, and after both.
const MARKS: [&str; 2] = ["<<<<<<< ", ">>>>>>> "];

/// What the sides are called beside the marks.
const OURS: &str = "the integration branch";
const THEIRS: &str = "the task";

/// What does not merge.
pub struct Sides<'a> {
    /// The last landed commit.
    pub integration: &'a CommitSha,
    /// The task's work.
    pub head: &'a CommitSha,
    /// `tasks.md` from the root: it is the integration branch's, whatever the task did to it.
    pub tasks_file: &'a str,
    /// Who commits.
    pub identity: &'a Identity,
    /// Seconds since 1970; a redo gives the same commits.
    pub date: i64,
}

/// Both sides in one tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// To be checked out; its parents are the task's head and the integration head.
    pub commit: CommitSha,
    /// What does not merge, sorted, at most 200.
    pub paths: Vec<String>,
}

/// Writes both sides into one tree, marked where they do not merge. What one side has deleted is
/// there as the other one changed it.
///
/// # Errors
/// [`super::Error`] if an object is missing or cannot be written.
pub fn mark(repo: &Repo, sides: &Sides<'_>) -> Result<Marked> {
    let what = "cannot lay out the conflict";
    let lib = repo.open()?;
    let ours = lib.find_commit(oid(sides.integration)?).during(what)?;
    let theirs = lib.find_commit(oid(sides.head)?).during(what)?;
    let mut index = lib.merge_commits(&ours, &theirs, None).during(what)?;
    let conflicts: Vec<IndexConflict> =
        index.conflicts().during(what)?.collect::<std::result::Result<_, _>>().during(what)?;
    let mut paths = Vec::new();
    for conflict in conflicts {
        paths.extend(settle(&lib, &mut index, &conflict)?);
    }
    paths.retain(|path| path != sides.tasks_file);
    paths.sort_unstable();
    paths.dedup();
    paths.truncate(PATHS_MAX);
    let mut written = Vec::new();
    let merged = index.write_tree_to(&lib).during(what)?;
    let own = trees::lookup(&lib, &ours.tree().during(what)?, sides.tasks_file).during(what)?;
    let tree = lib.find_tree(merged).during(what)?;
    let tree = trees::replace(&lib, Some(&tree), sides.tasks_file, own, &mut written).during(what)?;
    let commit = commit(&lib, sides, tree, "both sides of a conflict")?;
    Ok(Marked { commit: sha(commit), paths })
}

/// Puts a file into the index where there was a conflict; its paths.
fn settle(lib: &Repository, index: &mut Index, conflict: &IndexConflict) -> Result<Vec<String>> {
    let what = "cannot lay out the conflict";
    let sides = [&conflict.ancestor, &conflict.our, &conflict.their];
    let mut raw: Vec<Vec<u8>> = sides.iter().filter_map(|side| Some(side.as_ref()?.path.clone())).collect();
    raw.sort_unstable();
    raw.dedup();
    let blob = match (&conflict.ancestor, &conflict.our, &conflict.their) {
        (_, Some(ours), Some(theirs)) if is_file(ours) && is_file(theirs) => {
            Some(both(lib, conflict.ancestor.as_ref(), ours, theirs)?)
        }
        (_, Some(side), _) | (_, None, Some(side)) => Some(side.id),
        (_, None, None) => None,
    };
    for path in &raw {
        let text = std::str::from_utf8(path).map_err(|_| git2::Error::from_str("a path is not UTF-8"));
        let text = text.during(what)?;
        index.conflict_remove(std::path::Path::new(text)).during(what)?;
    }
    if let (Some(id), Some(side)) = (blob, conflict.our.as_ref().or(conflict.their.as_ref())) {
        // Stage 0: no conflict any more.
        let entry = IndexEntry { id, flags: 0, flags_extended: 0, file_size: 0, ..copy(side) };
        index.add(&entry).during(what)?;
    }
    Ok(raw.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect())
}

fn is_file(entry: &IndexEntry) -> bool {
    entry.mode & 0o170_000 == 0o100_000
}

fn copy(entry: &IndexEntry) -> IndexEntry {
    IndexEntry {
        ctime: entry.ctime,
        mtime: entry.mtime,
        dev: entry.dev,
        ino: entry.ino,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        file_size: entry.file_size,
        id: entry.id,
        flags: entry.flags,
        flags_extended: entry.flags_extended,
        path: entry.path.clone(),
    }
}

/// One file with both sides; of what is no text, ours.
fn both(
    lib: &Repository,
    ancestor: Option<&IndexEntry>,
    ours: &IndexEntry,
    theirs: &IndexEntry,
) -> Result<Oid> {
    let what = "cannot lay out the conflict";
    let (one, other) = (lib.find_blob(ours.id).during(what)?, lib.find_blob(theirs.id).during(what)?);
    if one.is_binary() || other.is_binary() || one.id() == other.id() {
        return Ok(ours.id);
    }
    // libgit2 has no bytes at all where nothing is left, and its binding takes them for some; with
    // both sides' text and one mode there are marks at least.
    if one.size() == 0 || other.size() == 0 || ours.mode != theirs.mode {
        return lib.blob(&whole(one.content(), other.content())).during(what);
    }
    let ancestor = match ancestor {
        Some(ancestor) => copy(ancestor),
        // Both sides made it: against nothing.
        None => IndexEntry { id: lib.blob(b"").during(what)?, ..copy(ours) },
    };
    let mut options = MergeFileOptions::new();
    options.our_label(OURS).their_label(THEIRS);
    match lib.merge_file_from_index(&ancestor, ours, theirs, Some(&mut options)) {
        Ok(merged) => lib.blob(merged.content()).during(what),
        Err(error) => {
            tracing::debug!(%error, "no text: the integration branch's version stands");
            Ok(ours.id)
        }
    }
}

/// Both files one after the other, between marks.
fn whole(ours: &[u8], theirs: &[u8]) -> Vec<u8> {
    let line = |bytes: &[u8]| match bytes.last() {
        Some(b'\n') | None => bytes.to_vec(),
        Some(_) => [bytes, b"\n"].concat(),
    };
    let [before, after] = MARKS;
    let first = format!("{before}{OURS}\n");
    let last = format!("{after}{THEIRS}\n");
    [first.as_bytes(), &line(ours), b"=======\n", &line(theirs), last.as_bytes()].concat()
}

/// Which of `paths` still have marks in `commit`.
///
/// # Errors
/// The commit is missing.
pub fn unresolved(repo: &Repo, commit: &CommitSha, paths: &[String]) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for path in paths {
        let bytes = super::contents::blob(repo, commit, path)?.unwrap_or_default();
        let has =
            |mark: &str| bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(mark.as_bytes()));
        if MARKS.into_iter().all(has) {
            left.push(path.clone());
        }
    }
    Ok(left)
}

/// The task's new head: the tree of `resolved`, its parents the task's head and the integration
/// head. Durable, and anchored as the run's.
///
/// # Errors
/// [`super::Error`].
pub fn resolve(
    repo: &Repo,
    sides: &Sides<'_>,
    resolved: &CommitSha,
    message: &str,
    run: &RunId,
) -> Result<CommitSha> {
    let what = "cannot write the resolved merge";
    let lib = repo.open()?;
    let tree = lib.find_commit(oid(resolved)?).during(what)?.tree_id();
    let commit = commit(&lib, sides, tree, message)?;
    durable::sync_commits(&lib, &[commit], &landing::durable_tips(&lib)?)?;
    let (name, at) = (branch::run_ref(run), sha(commit));
    if !durable::create_ref(&lib, &name, &at)? {
        durable::update_refs(&repo.common_dir, &[RefChange::Set(name, at.clone())], None)?;
    }
    Ok(at)
}

fn commit(lib: &Repository, sides: &Sides<'_>, tree: Oid, message: &str) -> Result<Oid> {
    let what = "cannot write a commit";
    let tree = lib.find_tree(tree).during(what)?;
    let head = lib.find_commit(oid(sides.head)?).during(what)?;
    let integration = lib.find_commit(oid(sides.integration)?).during(what)?;
    let Identity { name, email } = sides.identity;
    let signature = Signature::new(name, email, &Time::new(sides.date, 0)).during(what)?;
    lib.commit(None, &signature, &signature, message, &tree, &[&head, &integration]).during(what)
}
