//! What lies between two commits: paths, text, ancestry. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use git2::{
    DiffDelta, DiffFormat, DiffHunk, DiffLine, DiffLineType as Origin, DiffOptions, ErrorCode, Repository,
};

use super::error::{LibContext, Result};
use super::repo::{Repo, oid, sha};
use crate::domain::ids::CommitSha;

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to the root; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to a path. A rename is a removal and an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// New.
    Added,
    /// Gone.
    Deleted,
    /// Other content, mode or type.
    Modified,
}

/// The text of a diff, perhaps cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffText {
    /// Unified form.
    pub text: String,
    /// True if there was more than the caller wanted.
    pub cut: bool,
}

/// Every path that differs between the trees of two commits, sorted.
///
/// # Errors
/// [`super::Error::Lib`] if one of them is not there.
pub fn changes(repo: &Repo, from: &CommitSha, to: &CommitSha) -> Result<Vec<Change>> {
    changes_in(&*repo.open()?, from, to)
}

/// Only the paths of [`changes`].
///
/// # Errors
/// As [`changes`].
pub fn changed_paths(repo: &Repo, from: &CommitSha, to: &CommitSha) -> Result<Vec<String>> {
    Ok(changes(repo, from, to)?.into_iter().map(|c| c.path).collect())
}

pub(crate) fn changes_in(repo: &Repository, from: &CommitSha, to: &CommitSha) -> Result<Vec<Change>> {
    let what = || format!("cannot compare {} with {}", from.short(), to.short());
    let old = repo.find_commit(oid(from)?).and_then(|c| c.tree()).during(what())?;
    let new = repo.find_commit(oid(to)?).and_then(|c| c.tree()).during(what())?;
    let mut options = DiffOptions::new();
    options.include_typechange(true).ignore_submodules(false);
    let diff = repo.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options)).during(what())?;
    let mut changes: Vec<Change> = diff
        .deltas()
        .map(|delta| {
            let kind = match delta.status() {
                git2::Delta::Added => ChangeKind::Added,
                git2::Delta::Deleted => ChangeKind::Deleted,
                _ => ChangeKind::Modified,
            };
            let side = if kind == ChangeKind::Deleted { delta.old_file() } else { delta.new_file() };
            let path = String::from_utf8_lossy(side.path_bytes().unwrap_or_default()).into_owned();
            Change { path, kind }
        })
        .collect();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

/// The lines, from 1, that `to` adds or changes, by path. Renamed files are followed: moving one
/// changes no line. Binary files have none.
///
/// # Errors
/// [`super::Error::Lib`] if one of them is not there.
pub fn changed_lines(
    repo: &Repo,
    from: &CommitSha,
    to: &CommitSha,
) -> Result<BTreeMap<String, BTreeSet<u32>>> {
    let repository = repo.open()?;
    let what = || format!("cannot compare {} with {}", from.short(), to.short());
    let tree = |commit| repository.find_commit(oid(commit)?).and_then(|c| c.tree()).during(what());
    let (old, new) = (tree(from)?, tree(to)?);
    let mut options = DiffOptions::new();
    options.context_lines(0).interhunk_lines(0);
    let mut diff = repository.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options)).during(what())?;
    diff.find_similar(None).during(what())?;
    let mut lines: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    let mut take = |delta: DiffDelta<'_>, _: Option<DiffHunk<'_>>, line: DiffLine<'_>| {
        if let (Origin::Addition, Some(number)) = (line.origin_value(), line.new_lineno()) {
            let path =
                String::from_utf8_lossy(delta.new_file().path_bytes().unwrap_or_default()).into_owned();
            lines.entry(path).or_default().insert(number);
        }
        true
    };
    diff.foreach(&mut |_, _| true, None, None, Some(&mut take)).during(what())?;
    Ok(lines)
}

/// The difference as a person reads it, at most `max` bytes of it.
///
/// # Errors
/// As [`changes`].
pub fn text(repo: &Repo, from: &CommitSha, to: &CommitSha, max: usize) -> Result<DiffText> {
    let repo = repo.open()?;
    let what = || format!("cannot compare {} with {}", from.short(), to.short());
    let old = repo.find_commit(oid(from)?).and_then(|c| c.tree()).during(what())?;
    let new = repo.find_commit(oid(to)?).and_then(|c| c.tree()).during(what())?;
    let mut diff = repo.diff_tree_to_tree(Some(&old), Some(&new), None).during(what())?;
    diff.find_similar(None).during(what())?;
    let mut bytes: Vec<u8> = Vec::new();
    let mut cut = false;
    let printed = diff.print(DiffFormat::Patch, |_, _, line| {
        if bytes.len() >= max {
            cut = true;
            return false;
        }
        if matches!(line.origin(), '+' | '-' | ' ') {
            bytes.push(u8::try_from(line.origin()).expect("three ASCII characters"));
        }
        bytes.extend_from_slice(line.content());
        true
    });
    match printed {
        Err(e) if !(cut && e.code() == ErrorCode::User) => return Err(e).during(what()),
        _ => {}
    }
    cut |= bytes.len() > max;
    bytes.truncate(max);
    Ok(DiffText { text: String::from_utf8_lossy(&bytes).into_owned(), cut })
}

/// True if `head` is `ancestor` or comes after it.
///
/// # Errors
/// [`super::Error::Lib`] if one of them is not there.
pub fn is_descendant(repo: &Repo, ancestor: &CommitSha, head: &CommitSha) -> Result<bool> {
    descends(&*repo.open()?, ancestor, head)
}

pub(crate) fn descends(repo: &Repository, ancestor: &CommitSha, head: &CommitSha) -> Result<bool> {
    if ancestor == head {
        return Ok(true);
    }
    repo.graph_descendant_of(oid(head)?, oid(ancestor)?).during(format!(
        "cannot compare {} with {}",
        ancestor.short(),
        head.short()
    ))
}

/// True if `head` holds a commit that `base` does not: the proof of a stage with `proof = "commit"`.
///
/// # Errors
/// As [`is_descendant`].
pub fn has_new_commit(repo: &Repo, base: &CommitSha, head: &CommitSha) -> Result<bool> {
    let repo = repo.open()?;
    let (ahead, _) =
        repo.graph_ahead_behind(oid(head)?, oid(base)?).during(format!("cannot read {}", head.short()))?;
    Ok(ahead > 0)
}

/// The messages of the newest commits that `head` holds and `base` does not, at most `most`.
///
/// # Errors
/// As [`is_descendant`].
pub fn messages(
    repo: &Repo,
    base: &CommitSha,
    head: &CommitSha,
    most: usize,
) -> Result<Vec<(CommitSha, String)>> {
    let (repo, what) = (repo.open()?, format!("cannot read {}", head.short()));
    let mut walk = repo.revwalk().during(&what)?;
    walk.push(oid(head)?).during(&what)?;
    walk.hide(oid(base)?).during(&what)?;
    let text = |id: git2::Oid| {
        let commit = repo.find_commit(id)?;
        Ok((sha(id), String::from_utf8_lossy(commit.message_bytes()).into_owned()))
    };
    walk.take(most).map(|id| id.and_then(text).during(&what)).collect()
}

/// The commit that two histories share, if there is one.
///
/// # Errors
/// [`super::Error::Lib`] if one of them is not there.
pub fn merge_base(repo: &Repo, one: &CommitSha, two: &CommitSha) -> Result<Option<CommitSha>> {
    base_of(&*repo.open()?, one, two)
}

pub(crate) fn base_of(repo: &Repository, one: &CommitSha, two: &CommitSha) -> Result<Option<CommitSha>> {
    match repo.merge_base(oid(one)?, oid(two)?) {
        Ok(base) => Ok(Some(sha(base))),
        Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
        Err(e) => Err(e).during(format!("no merge base of {} and {}", one.short(), two.short())),
    }
}
