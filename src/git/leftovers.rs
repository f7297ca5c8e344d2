//! Keeping what a run leaves behind: uncommitted work, commits, the head that it ended with.
//!
//! [`save`] changes neither the worktree nor the agent's index: it works on a copy. Whatever is
//! named by a reference here has been synced before. A git repository inside the worktree cannot
//! be committed: [`look`] names it, and [`save`] takes its files one by one.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::{Commit, Index, Oid, Repository, Signature, Status, StatusOptions, Time};

use super::branch;
use super::diff;
use super::durable::{self, RefChange};
use super::error::{IoContext, LibContext, Result};
use super::landing;
use super::nested::{self, Modules, Nested};
use super::repo::{Identity, Repo, oid, reference, sha};
use super::worktree::{Worktree, remove_any};
use crate::domain::ids::{CommitSha, FeatureId, RunId, TaskId};
use crate::seeded::{self, Bug};

/// Who commits, and when (seconds since 1970).
#[derive(Debug, Clone)]
pub struct Author<'a> {
    /// The person's identity.
    pub identity: &'a Identity,
    /// Given, never read from a clock here.
    pub date: i64,
}

impl Author<'_> {
    fn signature(&self) -> Result<Signature<'static>> {
        Signature::new(&self.identity.name, &self.identity.email, &Time::new(self.date, 0))
            .during("the identity cannot sign a commit")
    }
}

/// The reference of an attempt's uncommitted work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// `refs/sprint/wip/<feature>/<task>/<attempt>`.
    pub reference: String,
    /// Its commit; the parent is the head that the work was on.
    pub commit: CommitSha,
}

/// Saves uncommitted work (tracked and untracked, not what is ignored or prepared), and a head
/// that no branch holds. None if there is neither. Of a git repository inside the worktree its
/// files are saved, and its `.git` as `.git.saved`.
///
/// An earlier save of the same attempt stays reachable as the second parent.
///
/// # Errors
/// [`super::Error`].
pub fn save(
    worktree: &Worktree,
    feature: &FeatureId,
    task: &TaskId,
    attempt: u32,
    author: &Author<'_>,
) -> Result<Option<Saved>> {
    if seeded::is(Bug::LeftoversLost) {
        return Ok(None);
    }
    let repo = worktree.open()?;
    let Some(head) = repo.head().and_then(|h| h.peel_to_commit()).ok() else { return Ok(None) };
    let tree = snapshot(worktree, &repo, Inner::Saved)?.tree;
    let to = Wip { repo: &repo, common_dir: &worktree.common_dir, feature, task, attempt, author };
    // A worktree that the agent has deleted holds no work: only its head may be worth keeping.
    let dirty = tree != head.tree_id() && !worktree.is_empty();
    if dirty {
        return to.keep(&head, tree).map(Some);
    }
    if landing::head_branch(&repo).is_some() { Ok(None) } else { to.keep_head(&head).map(Some) }
}

/// Saves the head that the worktree is at, whatever branch it is on: the branch is to go elsewhere.
///
/// # Errors
/// [`super::Error`].
pub fn save_head(
    worktree: &Worktree,
    feature: &FeatureId,
    task: &TaskId,
    attempt: u32,
    author: &Author<'_>,
) -> Result<Saved> {
    let repo = worktree.open()?;
    let head = repo.head().and_then(|h| h.peel_to_commit()).during("the worktree has no commit")?;
    let to = Wip { repo: &repo, common_dir: &worktree.common_dir, feature, task, attempt, author };
    to.keep_head(&head)
}

/// Where an attempt's work is saved.
struct Wip<'a> {
    repo: &'a Repository,
    common_dir: &'a Path,
    feature: &'a FeatureId,
    task: &'a TaskId,
    attempt: u32,
    author: &'a Author<'a>,
}

impl<'a> Wip<'a> {
    fn name(&self) -> String {
        branch::wip_ref(self.feature, self.task, self.attempt)
    }

    fn earlier(&self) -> Result<Option<Commit<'a>>> {
        let Some(at) = reference(self.repo, &self.name())? else { return Ok(None) };
        let repo: &'a Repository = self.repo;
        repo.find_commit(oid(&at)?).during("what was saved before is incomplete").map(Some)
    }

    /// The head as it is, unless that would let go of what was saved before.
    fn keep_head(&self, head: &Commit<'_>) -> Result<Saved> {
        match self.earlier()? {
            Some(earlier) if !diff::descends(self.repo, &sha(earlier.id()), &sha(head.id()))? => {
                self.keep(head, head.tree_id())
            }
            Some(_) | None => self.point_at(head.id()),
        }
    }

    /// A commit of this tree on the head; what was saved before is its second parent.
    fn keep(&self, head: &Commit<'_>, tree: Oid) -> Result<Saved> {
        let what = "cannot save uncommitted work";
        let earlier = self.earlier()?;
        if let Some(same) =
            earlier.as_ref().filter(|e| e.tree_id() == tree && e.parent_id(0) == Ok(head.id()))
        {
            return Ok(Saved { reference: self.name(), commit: sha(same.id()) });
        }
        let signature = self.author.signature()?;
        let tree = self.repo.find_tree(tree).during(what)?;
        let parents: Vec<_> = std::iter::once(head).chain(earlier.as_ref()).collect();
        let message = format!("{}: uncommitted work of attempt {}\n", self.task, self.attempt);
        let commit =
            self.repo.commit(None, &signature, &signature, &message, &tree, &parents).during(what)?;
        self.point_at(commit)
    }

    fn point_at(&self, commit: Oid) -> Result<Saved> {
        durable::sync_commits(self.repo, &[commit], &landing::durable_tips(self.repo)?)?;
        let saved = Saved { reference: self.name(), commit: sha(commit) };
        let change = RefChange::Set(saved.reference.clone(), saved.commit.clone());
        durable::update_refs(self.common_dir, &[change], None)?;
        Ok(saved)
    }
}

/// What earlier attempts of a task have saved, oldest attempt first.
///
/// # Errors
/// [`super::Error::Lib`].
pub fn saved(repo: &Repo, feature: &FeatureId, task: &TaskId) -> Result<Vec<(u32, Saved)>> {
    let lib = repo.open()?;
    let prefix = format!("refs/sprint/wip/{feature}/{task}/");
    let mut found = Vec::new();
    for reference in lib.references_glob(&format!("{prefix}*")).during("cannot list references")? {
        let reference = reference.during("cannot list references")?;
        let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
        let attempt = name.strip_prefix(&prefix).and_then(|n| n.parse().ok());
        if let (Some(attempt), Some(id)) = (attempt, reference.target()) {
            found.push((attempt, Saved { reference: name, commit: sha(id) }));
        }
    }
    found.sort_by_key(|(attempt, _)| *attempt);
    Ok(found)
}

/// Commits everything that is not ignored or prepared onto the branch (or detached HEAD) of the
/// worktree. None if there is nothing to commit.
///
/// # Errors
/// [`super::Error`]; [`super::Error::Failed`] if the branch moved meanwhile.
pub fn commit_all(worktree: &Worktree, message: &str, author: &Author<'_>) -> Result<Option<CommitSha>> {
    let what = "cannot commit the work";
    let repo = worktree.open()?;
    let head = repo.head().and_then(|h| h.peel_to_commit()).during(what)?;
    let tree = snapshot(worktree, &repo, Inner::Out)?.tree;
    if tree == head.tree_id() {
        return Ok(None);
    }
    let signature = author.signature()?;
    let tree = repo.find_tree(tree).during(what)?;
    let commit = repo.commit(None, &signature, &signature, message, &tree, &[&head]).during(what)?;
    durable::sync_commits(&repo, &[commit], &[head.id()])?;
    let at = sha(commit);
    match landing::head_branch(&repo) {
        Some(name) => {
            let name = branch::head_ref(&name);
            let change = RefChange::Move(name, at.clone(), Some(sha(head.id())));
            durable::update_refs(&worktree.common_dir, &[change], None)?;
        }
        None => repo.set_head_detached(commit).during(what)?,
    }
    // The agent's index now describes what HEAD holds; `repo` works on a copy of it.
    let fresh = worktree.open()?;
    let tree = fresh.find_tree(tree.id()).during(what)?;
    let mut index = worktree.index(&fresh)?;
    index.read_tree(&tree).during(what)?;
    index.write().during(what)?;
    Ok(Some(at))
}

/// How a run ended, as git sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// HEAD of the worktree.
    pub head: CommitSha,
    /// The branch that it is on; None for a detached HEAD. An agent may have left its own.
    pub branch: Option<String>,
}

/// Syncs the head's objects, then anchors it at `refs/sprint/run/<id>`.
///
/// # Errors
/// [`super::Error`].
pub fn finish(worktree: &Worktree, run: &RunId) -> Result<Finished> {
    let repo = worktree.open()?;
    let head = repo.head().and_then(|h| h.peel_to_commit()).during("the worktree has no commit")?.id();
    durable::sync_commits(&repo, &[head], &landing::durable_tips(&repo)?)?;
    let name = branch::run_ref(run);
    if !durable::create_ref(&repo, &name, &sha(head))? {
        durable::update_refs(&worktree.common_dir, &[RefChange::Set(name, sha(head))], None)?;
    }
    Ok(Finished { head: sha(head), branch: landing::head_branch(&repo) })
}

/// What an agent has left in its worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Whether there is work that [`commit_all`] would commit.
    pub diff: bool,
    /// What neither it nor the agent's own commits can hold.
    pub nested: Nested,
}

/// Looks at what a run that began on `base` has left.
///
/// # Errors
/// [`super::Error`].
pub fn look(worktree: &Worktree, base: &CommitSha) -> Result<Left> {
    let what = "cannot read the worktree";
    let repo = worktree.open()?;
    let head = repo.head().and_then(|h| h.peel_to_commit()).during(what)?;
    // Where the work has left the base: what came there since is none of its doing.
    let began = diff::base_of(&repo, base, &sha(head.id()))?;
    let began = oid(began.as_ref().unwrap_or(base))?;
    let before = repo.find_commit(began).and_then(|commit| commit.tree()).during(what)?;
    let found = snapshot(worktree, &repo, Inner::Out)?;
    let now = repo.find_tree(found.tree).during(what)?;
    let nested = Nested::between(&repo, &before, &now, &found.inner).during(what)?;
    Ok(Left { diff: found.tree != head.tree_id(), nested })
}

/// What becomes of git repositories inside the worktree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inner {
    /// As in a commit: they are left out.
    Out,
    /// Their files are taken.
    Saved,
}

struct Snapshot {
    tree: Oid,
    /// The repositories that git does not track.
    inner: Vec<PathBuf>,
}

/// The worktree as a tree, by way of a copy of its index.
fn snapshot(worktree: &Worktree, repo: &Repository, inner: Inner) -> Result<Snapshot> {
    let copy = Copy::new(&worktree.admin)?;
    let what = "cannot read the worktree";
    // An index that an agent has broken, or never had, begins again at HEAD.
    let mut index = if let Ok(index) = Index::open(&copy.path) {
        index
    } else {
        remove_any(&copy.path)?;
        Index::open(&copy.path).during(what)?
    };
    repo.set_index(&mut index).during(what)?;
    if index.is_empty() {
        let tree = repo.head().and_then(|h| h.peel_to_tree()).during(what)?;
        index.read_tree(&tree).during(what)?;
    }
    let untracked = add_changes(worktree, repo, &mut index).during(what)?;
    let mut tree = index.write_tree_to(repo).during(what)?;
    if inner == Inner::Saved {
        let modules = Modules::of(repo, &repo.find_tree(tree).during(what)?);
        let linked = modules.unexplained(&index, &worktree.path);
        for path in untracked.iter().chain(&linked) {
            nested::save(repo, &mut index, &worktree.path, path)?;
        }
        tree = index.write_tree_to(repo).during(what)?;
    }
    Ok(Snapshot { tree, inner: untracked })
}

/// Takes every change into the index but the repositories that git does not track: their paths.
fn add_changes(
    worktree: &Worktree,
    repo: &Repository,
    index: &mut Index,
) -> std::result::Result<Vec<PathBuf>, git2::Error> {
    let mut options = StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).exclude_submodules(true);
    options.include_ignored(false).no_refresh(true).renames_head_to_index(false);
    let mut touched: Vec<(PathBuf, Status)> = Vec::new();
    for entry in repo.statuses(Some(&mut options))?.iter() {
        let path = Path::new(OsStr::from_bytes(entry.path_bytes())).to_owned();
        touched.push((path, entry.status()));
    }
    let mut inner = Vec::new();
    for (path, status) in touched {
        let text = path.to_string_lossy();
        if status.is_wt_new() && is_prepared(worktree, &text) {
            continue;
        }
        // A repository inside the worktree is somebody else's history.
        if text.ends_with('/') {
            if nested::is_repository(&worktree.path.join(&path)) {
                inner.push(path);
            }
            continue;
        }
        let exists = fs::symlink_metadata(worktree.path.join(&path)).is_ok_and(|m| !m.is_dir());
        if status.is_conflicted() {
            index.conflict_remove(&path)?;
        }
        if exists {
            index.add_path(&path)?;
        } else if index.get_path(&path, 0).is_some() {
            index.remove_path(&path)?;
        }
    }
    // Entries that status compares by time alone are compared by content here.
    index.update_all(["*"], None)?;
    Ok(inner)
}

fn is_prepared(worktree: &Worktree, path: &str) -> bool {
    worktree.prepared.iter().any(|kept| {
        path.strip_prefix(kept.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// A copy of an index, removed when dropped.
struct Copy {
    path: PathBuf,
}

impl Copy {
    fn new(admin: &Path) -> Result<Self> {
        let path = admin.join(format!("index.sprint-{}", uuid::Uuid::new_v4().simple()));
        let from = admin.join("index");
        match fs::copy(&from, &path) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            other => drop(other.at("copy", &from)?),
        }
        Ok(Self { path })
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = remove_any(&self.path) {
            tracing::debug!(%error, "a temporary index stays behind");
        }
    }
}
