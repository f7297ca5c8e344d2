//! Landing: the only code that moves an integration branch, and what recovery asks about it.
//!
//! A move is a compare-and-swap, then a sync of the directories that hold the reference; the
//! caller's row says so only afterwards. A branch that is checked out anywhere is never moved:
//! the person's files would silently differ from their branch.

use std::path::{Path, PathBuf};

use git2::{Oid, Repository, Sort};

use super::branch;
use super::diff;
use super::durable::{self, RefChange};
use super::error::{Error, IoContext, LibContext, Result};
use super::repo::{Repo, oid, reference, sha};
use crate::domain::ids::{CommitSha, FeatureId, TaskId};
use crate::seeded::{self, Bug};

/// What became of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Move {
    /// Done and durable.
    Moved,
    /// Somebody else moved it: landing halts. None: the branch is gone.
    Mismatch {
        /// Where it is.
        found: Option<CommitSha>,
    },
    /// It is checked out: tried again when it is free.
    CheckedOut {
        /// The checkout.
        at: PathBuf,
    },
}

/// Where a branch is, asked after a crash between intent and result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// The move had happened.
    AtNew,
    /// The move had not happened.
    AtOld,
    /// Neither; None: it is gone.
    Other(Option<CommitSha>),
}

/// One landed task as the first-parent history tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// The commit on the integration branch.
    pub commit: CommitSha,
    /// `Sprint-Task`.
    pub task: TaskId,
    /// `Sprint-Feature`.
    pub feature: FeatureId,
    /// `Sprint-Attempt`.
    pub attempt: u32,
}

/// Moves a branch from `old` to `new`, unless it is checked out or somewhere else.
///
/// # Errors
/// [`Error`] if git fails for another reason; nothing has moved then, or [`probe`] says so.
pub fn move_ref(
    repo: &Repo,
    branch: &str,
    old: &CommitSha,
    new: &CommitSha,
    on_spawn: Option<&dyn Fn(u32)>,
) -> Result<Move> {
    let name = branch::head_ref(branch);
    if let Some(at) = checked_out_at(repo, &name)? {
        return Ok(Move::CheckedOut { at });
    }
    let change = if seeded::is(Bug::NoCompareAndSwap) {
        RefChange::Set(name.clone(), new.clone())
    } else {
        RefChange::Move(name.clone(), new.clone(), Some(old.clone()))
    };
    match durable::update_refs(&repo.common_dir, &[change], on_spawn) {
        Ok(()) => Ok(Move::Moved),
        // A git that was killed, or that failed at its last sync, may have moved it all the same.
        Err(error) => match probe(repo, branch, old, new)? {
            Probe::AtNew => Ok(Move::Moved),
            Probe::AtOld => Err(error),
            Probe::Other(found) => Ok(Move::Mismatch { found }),
        },
    }
}

/// Says whether an interrupted move had happened, and makes what it finds durable.
///
/// # Errors
/// [`Error`] if the reference cannot be read.
pub fn probe(repo: &Repo, branch: &str, old: &CommitSha, new: &CommitSha) -> Result<Probe> {
    let name = branch::head_ref(branch);
    let found = repo.reference(&name)?;
    if found.as_ref() == Some(new) {
        sync_ref(repo, &name)?;
        return Ok(Probe::AtNew);
    }
    Ok(if found.as_ref() == Some(old) { Probe::AtOld } else { Probe::Other(found) })
}

/// The process may have died between the rename and the sync.
fn sync_ref(repo: &Repo, name: &str) -> Result<()> {
    let path = repo.common_dir.join(name);
    for dir in path.ancestors().skip(1).take_while(|p| *p != repo.common_dir).filter(|d| d.is_dir()) {
        durable::sync_dir(dir)?;
    }
    Ok(())
}

/// Creates the integration branch at `base`; an existing one is left where it is and returned.
///
/// # Errors
/// [`Error::Failed`] if git cannot create it.
pub fn create_branch(repo: &Repo, feature: &FeatureId, base: &CommitSha) -> Result<CommitSha> {
    let name = branch::head_ref(&branch::integration(feature));
    if let Some(found) = repo.reference(&name)? {
        return Ok(found);
    }
    // The person's own commits were made without fsync; once a feature, all of them at once.
    durable::sync_everything(&repo.common_dir)?;
    durable::update_refs(&repo.common_dir, &[RefChange::Move(name, base.clone(), None)], None)?;
    Ok(base.clone())
}

/// What is known to be durable: every integration branch was synced when it was made or moved,
/// and what a remote has can be fetched again.
pub(crate) fn durable_tips(lib: &Repository) -> Result<Vec<Oid>> {
    let mut tips = Vec::new();
    for glob in ["refs/heads/sprint/*", "refs/remotes/*"] {
        for found in lib.references_glob(glob).during("cannot list references")? {
            let commit = found.and_then(|r| r.peel_to_commit());
            // A remote's HEAD may dangle; it only makes the walk longer.
            tips.extend(commit.ok().map(|c| c.id()));
        }
    }
    Ok(tips)
}

/// Anchors an entry's candidate, so that no collection of garbage takes it before it lands.
///
/// # Errors
/// [`Error::UnsafePath`] for an entry that is not plain, [`Error::Failed`].
pub fn anchor_candidate(repo: &Repo, entry: &str, candidate: &CommitSha) -> Result<()> {
    let name = branch::candidate_ref(entry)?;
    if !durable::create_ref(&*repo.open()?, &name, candidate)? {
        durable::update_refs(&repo.common_dir, &[RefChange::Set(name, candidate.clone())], None)?;
    }
    Ok(())
}

/// Keeps a head that somebody put on the integration branch (`sprint resume --restore`).
///
/// # Errors
/// [`Error::Failed`].
pub fn keep_foreign(repo: &Repo, feature: &FeatureId, head: &CommitSha) -> Result<String> {
    let name = branch::foreign_ref(feature, head);
    durable::update_refs(&repo.common_dir, &[RefChange::Set(name.clone(), head.clone())], None)?;
    Ok(name)
}

/// Removes a reference of sprint's that is at `old`.
///
/// # Errors
/// [`Error::UnsafePath`] for a reference that is not sprint's, [`Error::Failed`] if it has moved.
pub fn delete_ref(repo: &Repo, name: &str, old: &CommitSha) -> Result<()> {
    let ours = ["refs/sprint/", "refs/heads/sprint-task/"].iter().any(|prefix| name.starts_with(prefix));
    if !ours {
        let path = name.chars().take(200).collect();
        return Err(Error::UnsafePath { path, why: "it is not a reference that sprint deletes" });
    }
    durable::update_refs(&repo.common_dir, &[RefChange::Delete(name.to_owned(), old.clone())], None)
}

/// Removes the anchors of runs and candidates that `head` contains: what they kept is kept by the
/// integration branch now. How many there were.
///
/// # Errors
/// A reference cannot be read or removed.
pub fn delete_landed_anchors(repo: &Repo, head: &CommitSha) -> Result<usize> {
    let lib = repo.open()?;
    let mut changes = Vec::new();
    for pattern in ["refs/sprint/run/*", "refs/sprint/candidate/*"] {
        for reference in lib.references_glob(pattern).during("cannot list references")? {
            let reference = reference.during("cannot list references")?;
            let (Ok(name), Some(at)) = (reference.name(), reference.target()) else { continue };
            let at = sha(at);
            if diff::descends(&lib, &at, head)? {
                changes.push(RefChange::Delete(name.to_owned(), at));
            }
        }
    }
    if !changes.is_empty() {
        durable::update_refs(&repo.common_dir, &changes, None)?;
    }
    Ok(changes.len())
}

/// The checkout, main or linked, that has this reference: by HEAD, or in the middle of a rebase
/// or a bisection that ends on it. A linked one whose files are gone holds nothing, unless it is
/// locked: then they are only away.
///
/// # Errors
/// [`Error::Io`] if the list of worktrees cannot be read.
pub fn checked_out_at(repo: &Repo, name: &str) -> Result<Option<PathBuf>> {
    if holds(&repo.common_dir, name) {
        // A bare repository's HEAD is no checkout, though linked worktrees may hang from it.
        let lib = repo.open()?;
        if let Some(main) = lib.workdir() {
            return Ok(Some(main.components().collect()));
        }
    }
    let list = repo.common_dir.join("worktrees");
    let entries = match std::fs::read_dir(&list) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Io { what: "read", path: list, source }),
    };
    for entry in entries {
        let admin = entry.at("read", &list)?.path();
        if holds(&admin, name) {
            let at = checkout_of(&admin);
            if at.exists() || admin.join("locked").exists() {
                return Ok(Some(at));
            }
        }
    }
    Ok(None)
}

fn holds(git_dir: &Path, name: &str) -> bool {
    let text = |file: &str| std::fs::read_to_string(git_dir.join(file)).unwrap_or_default();
    let short = name.strip_prefix("refs/heads/").unwrap_or(name);
    text("HEAD").trim_end().strip_prefix("ref:").map(str::trim) == Some(name)
        || ["rebase-merge/head-name", "rebase-apply/head-name"].iter().any(|f| text(f).trim_end() == name)
        || text("BISECT_START").trim_end() == short
}

fn checkout_of(admin: &Path) -> PathBuf {
    let text = std::fs::read_to_string(admin.join("gitdir")).unwrap_or_default();
    Path::new(text.trim_end()).parent().map_or_else(|| admin.to_owned(), Path::to_owned)
}

/// Tasks that landed between `base` (excluded) and `head`, oldest first, by first parents.
///
/// # Errors
/// [`Error::Lib`] if the history cannot be read.
pub fn landed_tasks(repo: &Repo, base: &CommitSha, head: &CommitSha) -> Result<Vec<Landed>> {
    let lib = repo.open()?;
    let what = "cannot read the integration branch";
    let mut walk = lib.revwalk().during(what)?;
    walk.set_sorting(Sort::TOPOLOGICAL).during(what)?;
    walk.simplify_first_parent().during(what)?;
    walk.push(oid(head)?).during(what)?;
    walk.hide(oid(base)?).during(what)?;
    let mut landed = Vec::new();
    for id in walk {
        let commit = lib.find_commit(id.during(what)?).during(what)?;
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        if let Some((task, feature, attempt)) = trailers(&message) {
            landed.push(Landed { commit: sha(commit.id()), task, feature, attempt });
        }
    }
    landed.reverse();
    Ok(landed)
}

/// The three trailers, out of the last paragraph, and only if it is not the first.
fn trailers(message: &str) -> Option<(TaskId, FeatureId, u32)> {
    let (_, last) = message.trim_end().rsplit_once("\n\n")?;
    let value = |key: &str| last.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let task = TaskId::parse(value("Sprint-Task:")?).ok()?;
    let feature = FeatureId::parse(value("Sprint-Feature:")?).ok()?;
    let attempt = value("Sprint-Attempt:")?.parse().ok()?;
    Some((task, feature, attempt))
}

/// The proof before anything is deleted: `head` is an ancestor of `integration`, or each of its
/// own commits has an equal change there.
///
/// # Errors
/// [`Error`] if the histories cannot be compared.
pub fn is_landed(repo: &Repo, head: &CommitSha, integration: &CommitSha) -> Result<bool> {
    let lib = repo.open()?;
    if diff::descends(&lib, head, integration)? {
        return Ok(true);
    }
    // `git cherry` leaves merges out, and a merge may hold work of its own: only a line counts.
    let mut walk = lib.revwalk().during("cannot compare")?;
    walk.push(oid(head)?).during("cannot compare")?;
    walk.hide(oid(integration)?).during("cannot compare")?;
    for id in walk {
        let commit = id.and_then(|id| lib.find_commit(id)).during("cannot compare")?;
        if commit.parent_count() != 1 {
            return Ok(false);
        }
    }
    let out = repo.git().arg("cherry").arg(integration.as_str()).arg(head.as_str()).run()?;
    Ok(String::from_utf8_lossy(&out).lines().all(|line| line.starts_with("- ")))
}

/// The branch that HEAD of an open repository names, if it names one.
pub(crate) fn head_branch(lib: &Repository) -> Option<String> {
    let head = lib.find_reference("HEAD").ok()?;
    let target = head.symbolic_target().ok().flatten()?.to_owned();
    target.strip_prefix("refs/heads/").map(str::to_owned)
}

/// Whether a reference exists, on an open repository.
pub(crate) fn exists(lib: &Repository, name: &str) -> Result<bool> {
    Ok(reference(lib, name)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_read_from_the_last_paragraph_only() {
        let good = "T001: x\n\nSprint-Task: T001\nSprint-Feature: 001-thing\nSprint-Attempt: 2\n";
        assert_eq!(trailers(good).unwrap().2, 2);
        for bad in [
            "",
            "Sprint-Task: T001\nSprint-Feature: f\nSprint-Attempt: 1",
            "x\n\nSprint-Task: T001\nSprint-Feature: f\nSprint-Attempt: 1\n\nthe end",
            "x\n\nSprint-Task: ../..\nSprint-Feature: f\nSprint-Attempt: 1",
            "x\n\nSprint-Task: T001\nSprint-Feature: f\nSprint-Attempt: -1",
            "x\n\nSprint-Task: T001\nSprint-Attempt: 1",
        ] {
            assert_eq!(trailers(bad), None, "{bad:?}");
        }
    }
}
