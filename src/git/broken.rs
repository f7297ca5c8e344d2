//! A task's branch that a power cut has spoilt. An agent's git does not sync: after a cut its reference may
//! be an empty file, or name a commit of which something is missing, and so may the index of its worktree. What
//! is left of the attempt goes on from the newest commit of the branch that is whole; its files are as they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use git2::{DiffFile, FileMode, ObjectType, Oid, Repository};

use super::branch;
use super::durable;
use super::error::{IoContext, LibContext, Result};
use super::repo::{Repo, oid, sha};
use super::worktree::Worktree;
use crate::domain::ids::CommitSha;

/// More objects of one attempt are not read one by one.
const OBJECTS_MAX: usize = 20_000;
/// A system writes what it was given within half a minute; older files were on the disk when the power went.
const UNSYNCED_MAX: Duration = Duration::from_mins(10);
/// A larger file is not read, nor are more bytes of them at once.
const BYTES_MAX: u64 = 8 << 20;
/// Of the branch's history so much is read, from its end.
const STEPS_MAX: usize = 100;

/// Puts the reference `name` of a task's branch back to its newest commit that is whole, to `at` if none is.
/// Returns where, if it had to.
///
/// # Errors
/// [`super::Error`] if it cannot be read for another reason, or not be made again.
pub(super) fn mend(repo: &Repo, name: &str, at: &CommitSha) -> Result<Option<CommitSha>> {
    let lib = repo.open()?;
    let base = oid(at)?;
    let found = match lib.find_reference(name) {
        Ok(reference) => reference.target(),
        Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
        // An empty file is no reference, whatever git2 calls that.
        Err(_) => None,
    };
    if found.is_some_and(|tip| is_whole(&lib, tip, base)) {
        return Ok(None);
    }
    let path = repo.common_dir.join(name);
    if path.exists() {
        fs::remove_file(&path).at("remove", &path)?;
    }
    let newest = steps(repo, name).into_iter().find(|step| is_whole(&lib, *step, base));
    let to = newest.map_or_else(|| at.clone(), sha);
    durable::create_ref(&lib, name, &to)?;
    tracing::warn!(reference = name, %to, "a branch that was broken, as after a power cut, is put back");
    Ok(Some(to))
}

/// Puts a worktree's HEAD on the attempt's `branch`, which is whole, where it is elsewhere and what it is at cannot be
/// read: in the middle of a rebase, say. The files stay as they are. True if it had to.
///
/// # Errors
/// [`super::Error`].
pub(super) fn mend_head(repo: &Repo, worktree: &Worktree, branch: &str, base: &CommitSha) -> Result<bool> {
    let name = branch::head_ref(branch);
    let Some(at) = repo.reference(&name)? else { return Ok(false) };
    let tip = worktree.tip().ok();
    let lib = repo.open()?;
    let base = oid(base)?;
    if tip.as_ref() == Some(&at)
        || tip.is_some_and(|tip| oid(&tip).is_ok_and(|tip| is_whole(&lib, tip, base)))
    {
        return Ok(false);
    }
    worktree.set_head(&lib, Some(&name), oid(&at)?)?;
    tracing::warn!(branch, "HEAD of a worktree, of which something is missing, is put back on its branch");
    Ok(true)
}

/// Makes a worktree's index anew, out of its commit, where it is empty or names a file that cannot be read: the
/// files themselves stay as they are. True if it had to.
///
/// # Errors
/// [`super::Error`] if the index cannot be written.
pub(super) fn mend_index(worktree: &Worktree) -> Result<bool> {
    let what = "cannot read the worktree's index";
    // Without a commit there is nothing to make it out of.
    let lib = worktree.open()?;
    let tree = lib.head().and_then(|head| head.peel_to_tree()).map(|tree| tree.id());
    let Ok(tree) = tree else { return Ok(false) };
    let path = worktree.admin.join("index");
    let is_empty = path.metadata().is_ok_and(|meta| meta.len() == 0);
    // One of a kind that is not read here, a split one, is git's business.
    if !is_empty && index_is_whole(&lib, tree).unwrap_or(true) {
        return Ok(false);
    }
    if path.exists() {
        fs::remove_file(&path).at("remove", &path)?;
    }
    let repo = worktree.open()?;
    let mut index = repo.index().during(what)?;
    index.read_tree(&repo.find_tree(tree).during(what)?).during(what)?;
    index.write().during(what)?;
    tracing::warn!(index = %path.display(), "an index that was broken, as after a power cut, is made anew");
    Ok(true)
}

/// Removes objects' files in which nothing is: what a power cut leaves of one that nobody has synced. git and
/// libgit2 take such an object as there, and never write it again. How many there were.
///
/// # Errors
/// [`super::Error::Io`].
pub fn remove_empty_objects(common_dir: &Path) -> Result<usize> {
    let empty: Vec<Loose> =
        loose_objects(common_dir)?.into_iter().filter(|object| object.bytes == 0).collect();
    for Loose { path, .. } in &empty {
        fs::remove_file(path).at("remove", path)?;
        tracing::warn!(object = %path.display(), "an empty object, as after a power cut, is removed");
    }
    Ok(empty.len())
}

/// Puts objects' files aside that are cut off, or hold something else than their name says, and of which there is
/// no other copy: as an empty one, they keep git from writing the object again. Only those are read that were
/// written in the last minutes before the newest, because older ones were on the disk when the power went. They get a
/// name that git ignores, and removes by itself when it is old. How many there were.
///
/// # Errors
/// [`super::Error`].
pub fn set_spoilt_objects_aside(repo: &Repo) -> Result<usize> {
    let mut objects = loose_objects(&repo.common_dir)?;
    objects.sort_by_key(|object| std::cmp::Reverse(object.written));
    let Some(newest) = objects.first().map(|object| object.written) else { return Ok(0) };
    let recent = |object: &&Loose| newest.duration_since(object.written).is_ok_and(|age| age <= UNSYNCED_MAX);
    let recent = objects.iter().take_while(recent).filter(|object| object.bytes <= BYTES_MAX);
    let recent: Vec<(&Loose, Oid)> =
        recent.filter_map(|object| Some((object, object.id()?))).take(OBJECTS_MAX).collect();
    let spoilt = spoilt(repo, &recent)?;
    put_aside(&spoilt)?;
    Ok(spoilt.len())
}

/// What nobody can read of the commits after `base` up to `head`, in words: objects' files that are cut off or hold
/// something else. They are put aside, so that the next attempt can write them. git reads here, as it stops where
/// an object ends too early.
///
/// # Errors
/// [`super::Error`].
pub fn unreadable(repo: &Repo, base: &CommitSha, head: &CommitSha) -> Result<Option<String>> {
    let words = ["rev-list", "--objects", "--no-object-names", head.as_str(), "--not", base.as_str()];
    let listed = repo.git().args(words).output()?;
    if !listed.status.success() {
        // A commit or directory that is cut off: libgit2, which never returns from one, must not find it.
        set_spoilt_objects_aside(repo)?;
        return Ok(Some(format!("its history cannot be read: {}", listed.stderr.trim())));
    }
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let ids = listed.lines().filter_map(|line| Oid::from_str(line.trim()).ok());
    let loose: Vec<(Loose, Oid)> =
        ids.filter_map(|id| Some((Loose::of(&repo.common_dir, id)?, id))).collect();
    let small = loose.iter().filter(|(object, _)| object.bytes <= BYTES_MAX);
    let spoilt = spoilt(repo, &small.map(|(object, id)| (object, *id)).collect::<Vec<_>>())?;
    put_aside(&spoilt)?;
    let first = spoilt.first().and_then(|object| object.id());
    Ok(first.map(|id| format!("{} of its objects cannot be read, {id} among them", spoilt.len())))
}

/// Under a name that git ignores.
fn put_aside(objects: &[&Loose]) -> Result<()> {
    for Loose { path, .. } in objects {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        fs::rename(path, path.with_file_name(format!("tmp_obj_spoilt_{name}"))).at("put aside", path)?;
        tracing::warn!(object = %path.display(), "an object that cannot be read is put aside");
    }
    Ok(())
}

/// Those that git cannot read, or that are another object. git stops at the first that is cut off; libgit2 would read
/// on in such a one for ever.
fn spoilt<'o>(repo: &Repo, objects: &[(&'o Loose, Oid)]) -> Result<Vec<&'o Loose>> {
    let (mut found, mut rest) = (Vec::new(), objects);
    while !rest.is_empty() {
        let mut bytes = 0;
        let count = rest.iter().take_while(|(object, _)| {
            bytes += object.bytes;
            bytes <= BYTES_MAX
        });
        let (now, later) = rest.split_at(count.count().max(1));
        let whole = whole(&read(repo, now)?, now);
        rest = match now.get(whole) {
            None => later,
            Some(broken) => {
                // Alone: what has ended that git was not this object, else.
                if self::whole(&read(repo, &[*broken])?, &[*broken]) == 0 {
                    found.push(broken.0);
                }
                &rest[whole + 1..]
            }
        };
    }
    Ok(found)
}

/// What git says of them: a line with name, kind and size each, and what is in it.
fn read(repo: &Repo, objects: &[(&Loose, Oid)]) -> Result<Vec<u8>> {
    let names: Vec<String> = objects.iter().map(|(_, id)| id.to_string()).collect();
    let said = repo.git().args(["cat-file", "--batch"]).stdin(names.join("\n") + "\n").output()?;
    Ok(said.stdout)
}

/// How many of them, from the first on, are there and are what their names say.
fn whole(mut said: &[u8], objects: &[(&Loose, Oid)]) -> usize {
    let mut next = |id: Oid| -> Option<()> {
        let end = said.iter().position(|byte| *byte == b'\n')?;
        let line = std::str::from_utf8(&said[..end]).ok()?;
        let [_, kind, size] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
        let (kind, size) = (ObjectType::from_str(kind)?, size.parse::<usize>().ok()?);
        let body = said.get(end + 1..(end + 1).checked_add(size)?)?;
        said = said.get(end + 2 + size..)?;
        (Oid::hash_object(kind, body).ok()? == id).then_some(())
    };
    objects.iter().take_while(|(_, id)| next(*id).is_some()).count()
}

/// An object in a file of its own.
struct Loose {
    path: PathBuf,
    bytes: u64,
    written: SystemTime,
}

impl Loose {
    /// `None` where it has no file of its own.
    fn of(common_dir: &Path, id: Oid) -> Option<Self> {
        let name = id.to_string();
        let path = common_dir.join("objects").join(&name[..2]).join(&name[2..]);
        let meta = path.metadata().ok()?;
        Some(Self { bytes: meta.len(), written: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), path })
    }

    /// `aa/bbbb…`
    fn id(&self) -> Option<Oid> {
        let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
        Oid::from_str(&(name(self.path.parent()?)? + &name(&self.path)?)).ok()
    }
}

fn loose_objects(common_dir: &Path) -> Result<Vec<Loose>> {
    let root = common_dir.join("objects");
    let mut found = Vec::new();
    for entry in fs::read_dir(&root).at("read", &root)?.flatten() {
        let is_loose = entry.file_name().len() == 2 && entry.path().is_dir();
        for object in fs::read_dir(entry.path()).into_iter().filter(|_| is_loose).flatten().flatten() {
            // Under its own name none is ever written bit by bit.
            let is_object =
                object.file_name().len() >= 38 && !object.file_name().as_encoded_bytes().contains(&b'_');
            let Some(meta) = object.metadata().ok().filter(|meta| is_object && meta.is_file()) else {
                continue;
            };
            let written = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            found.push(Loose { path: object.path(), bytes: meta.len(), written });
        }
    }
    Ok(found)
}

/// Whether everything that it has and the commit has not can be read.
fn index_is_whole(repo: &Repository, tree: Oid) -> std::result::Result<bool, git2::Error> {
    let (tree, index, odb) = (repo.find_tree(tree)?, repo.index()?, repo.odb()?);
    let diff = repo.diff_tree_to_index(Some(&tree), Some(&index), None)?;
    let empty = Oid::hash_object(ObjectType::Blob, &[])?;
    let is_whole = |file: DiffFile<'_>| {
        // A repository in the worktree is a commit of its own; a file that is only announced is empty.
        let elsewhere = matches!(file.mode(), FileMode::Commit | FileMode::Unreadable);
        elsewhere || file.id().is_zero() || file.id() == empty || odb.read(file.id()).is_ok()
    };
    Ok(diff.deltas().all(|delta| is_whole(delta.new_file())))
}

/// Where the branch has been, the newest first, as its log tells.
fn steps(repo: &Repo, name: &str) -> Vec<Oid> {
    let text = fs::read(repo.common_dir.join("logs").join(name)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let new = |line: &str| Oid::from_str(line.split(' ').nth(1)?).ok();
    text.lines().rev().take(STEPS_MAX).filter_map(new).collect()
}

/// Whether everything can be read that `tip` has and `base` has not.
fn is_whole(lib: &Repository, tip: Oid, base: Oid) -> bool {
    let objects = durable::new_objects(lib, &[tip], &[base]);
    let odb = lib.odb();
    let (Ok(objects), Ok(odb)) = (objects, odb) else { return false };
    objects.len() > OBJECTS_MAX || objects.iter().all(|object| odb.read(*object).is_ok())
}
