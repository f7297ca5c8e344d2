//! Making objects and references survive a power cut.
//!
//! git's default does not (a plain `git commit` calls no fsync), and agents use that default. So
//! before sprint lets a database row name a commit, it syncs whatever that commit brought along,
//! then the reference, then the directory that holds the reference: in this order.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use git2::{ObjectType, Oid, Repository, Tree};

use super::command::Git;
use super::error::{IoContext, LibContext, Result};
use crate::domain::ids::{CommitSha, FeatureId, TaskId};
use crate::seeded::{self, Bug};

/// From this many objects on, one `syncfs` is cheaper than an fsync each.
const SYNC_EACH_MAX: usize = 400;

/// Syncs a directory, so that the names in it are durable.
///
/// # Errors
/// [`super::Error::Io`].
pub fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).at("sync", path)
}

/// What a reference is called until it is whole.
const PART: &str = "sprint-ref-";
/// Side by side at most: enough for one journal commit to serve them all.
const SYNC_THREADS: usize = 4;

/// Syncs files, all before it returns and in no order. Side by side, because the file system's
/// journal then commits once for all of them, where one after the other costs a commit each.
///
/// # Errors
/// [`super::Error::Io`] for the first that cannot be synced.
fn sync_all(files: &[(PathBuf, File)]) -> Result<()> {
    let share = files.len().div_ceil(SYNC_THREADS).max(1);
    let sync = |part: &[(PathBuf, File)]| -> Result<()> {
        part.iter().try_for_each(|(path, file)| file.sync_all().at("sync", path))
    };
    let mut parts = files.chunks(share);
    let Some(own) = parts.next() else { return Ok(()) };
    std::thread::scope(|scope| {
        let others: Vec<_> = parts.map(|part| scope.spawn(move || sync(part))).collect();
        let mut result = sync(own);
        for other in others {
            let theirs = other.join().expect("a sync does not panic");
            result = result.and(theirs);
        }
        result
    })
}

/// Directories whose own name is known to be durable, by device, inode and time of birth: one that
/// was removed and made again has another birth. Of this process only, so that nothing is believed
/// that another one was killed before it could do.
static NAMED: Mutex<BTreeSet<Born>> = Mutex::new(BTreeSet::new());
/// So many are remembered; then it begins anew.
const NAMED_MAX: usize = 10_000;

type Born = (u64, u64, Duration);

/// Makes the names of `paths`, which lie below `root`, durable: syncs the directories that hold
/// them, and those above as far as they are not known to be named durably themselves.
///
/// One after the other: what the first one commits is all there is, and the rest find it done.
fn sync_names<'a>(root: &Path, paths: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let mut dirs = BTreeSet::new();
    let mut born = Vec::new();
    for dir in paths.into_iter().filter_map(Path::parent).filter(|dir| dir.is_dir()) {
        dirs.insert(dir.to_owned());
        for above in dir.ancestors().take_while(|above| *above != root) {
            let birth = birth(above);
            if birth.is_some_and(|birth| named().contains(&birth)) {
                break;
            }
            dirs.extend(above.parent().map(Path::to_owned));
            born.extend(birth);
        }
    }
    dirs.iter().try_for_each(|dir| sync_dir(dir))?;
    let mut known = named();
    if known.len() > NAMED_MAX {
        known.clear();
    }
    known.extend(born);
    Ok(())
}

fn named() -> MutexGuard<'static, BTreeSet<Born>> {
    NAMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// None where the file system does not tell: such a directory is synced every time.
fn birth(dir: &Path) -> Option<Born> {
    let meta = dir.metadata().ok()?;
    let at = meta.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((meta.dev(), meta.ino(), at))
}

/// Syncs the whole file system that holds the repository's objects.
///
/// # Errors
/// [`super::Error::Io`].
pub fn sync_everything(common_dir: &Path) -> Result<()> {
    let root = common_dir.join("objects");
    let dir = File::open(&root).at("open", &root)?;
    nix::unistd::syncfs(&dir).map_err(std::io::Error::from).at("sync", &root)
}

/// Syncs every commit, tree and file that `tips` reach and `known` do not.
///
/// # Errors
/// [`super::Error::Lib`] if the history cannot be walked, [`super::Error::Io`] if a sync fails.
pub fn sync_commits(repo: &Repository, tips: &[Oid], known: &[Oid]) -> Result<()> {
    let objects = new_objects(repo, tips, known).during("cannot list new objects")?;
    sync_objects(repo, &objects)
}

pub(super) fn new_objects(
    repo: &Repository,
    tips: &[Oid],
    known: &[Oid],
) -> std::result::Result<BTreeSet<Oid>, git2::Error> {
    let mut walk = repo.revwalk()?;
    for tip in tips {
        walk.push(*tip)?;
    }
    for old in known {
        walk.hide(*old)?;
    }
    let mut objects = BTreeSet::new();
    for id in walk {
        let commit = repo.find_commit(id?)?;
        objects.insert(commit.id());
        let before = commit.parents().next().map(|p| p.tree()).transpose()?;
        collect(repo, &commit.tree()?, before.as_ref(), &mut objects)?;
    }
    Ok(objects)
}

/// Adds what `tree` holds and `before` does not, at the same place.
fn collect(
    repo: &Repository,
    tree: &Tree<'_>,
    before: Option<&Tree<'_>>,
    objects: &mut BTreeSet<Oid>,
) -> std::result::Result<(), git2::Error> {
    if before.is_some_and(|b| b.id() == tree.id()) || !objects.insert(tree.id()) {
        return Ok(());
    }
    for entry in tree {
        let old = before.and_then(|b| {
            let name = entry.name_bytes();
            b.iter().find(|e| e.name_bytes() == name).map(|e| (e.id(), e.kind()))
        });
        if old.is_some_and(|(id, _)| id == entry.id()) {
            continue;
        }
        match entry.kind() {
            Some(ObjectType::Tree) => {
                let inner = repo.find_tree(entry.id())?;
                let old = match old {
                    Some((id, Some(ObjectType::Tree))) => Some(repo.find_tree(id)?),
                    _ => None,
                };
                collect(repo, &inner, old.as_ref(), objects)?;
            }
            Some(ObjectType::Blob) => {
                objects.insert(entry.id());
            }
            // A submodule's commit lives elsewhere.
            _ => {}
        }
    }
    Ok(())
}

/// As [`collect`], for trees by id.
pub(crate) fn collect_new(
    repo: &Repository,
    tree: Oid,
    before: Oid,
    objects: &mut BTreeSet<Oid>,
) -> std::result::Result<(), git2::Error> {
    objects.remove(&tree);
    collect(repo, &repo.find_tree(tree)?, Some(&repo.find_tree(before)?), objects)
}

/// Syncs these objects where they are loose; the packs, where one of them is not.
pub(crate) fn sync_objects<'a>(repo: &Repository, objects: impl IntoIterator<Item = &'a Oid>) -> Result<()> {
    let root = repo.commondir().join("objects");
    let objects: Vec<&Oid> = objects.into_iter().collect();
    if objects.len() > SYNC_EACH_MAX {
        return sync_everything(repo.commondir());
    }
    let mut files = Vec::new();
    let mut packed = false;
    for id in objects {
        let path = loose_path(&root, *id);
        match File::open(&path) {
            Ok(file) => files.push((path, file)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => packed = true,
            Err(source) => return Err(super::Error::Io { what: "sync", path, source }),
        }
    }
    sync_all(&files)?;
    sync_names(&root, files.iter().map(|(path, _)| path.as_path()))?;
    if packed { sync_packs(&root.join("pack")) } else { Ok(()) }
}

/// A clean file syncs in microseconds, so which pack it is does not matter.
fn sync_packs(dir: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(super::Error::Io { what: "read", path: dir.to_owned(), source }),
    };
    for entry in entries {
        let path = entry.at("read", dir)?.path();
        if path.is_file() {
            File::open(&path).and_then(|f| f.sync_all()).at("sync", &path)?;
        }
    }
    sync_dir(dir)
}

fn loose_path(objects: &Path, id: Oid) -> PathBuf {
    let text = id.to_string();
    objects.join(&text[..2]).join(&text[2..])
}

/// Removes lock files that a killed git left beside references of sprint's. Called at boot, once no git
/// child of an older supervisor lives. git holds such a lock for milliseconds, so one of `age` is
/// nobody's; a person's own branches are not looked at, and what is shared has a watch of its own
/// ([`super::locks`]).
///
/// # Errors
/// [`super::Error::Io`].
pub fn clear_stale_locks(common_dir: &Path, age: Duration) -> Result<Vec<PathBuf>> {
    if seeded::is(Bug::LocksStay) {
        return Ok(Vec::new());
    }
    let mut locks = Vec::new();
    for dir in ["refs/heads/sprint", "refs/heads/sprint-task", "refs/sprint"] {
        find_locks(&common_dir.join(dir), &mut locks)?;
    }
    let entries = std::fs::read_dir(common_dir).at("read", common_dir)?;
    let parts = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PART));
    locks.extend(parts.map(|entry| entry.path()));
    remove_old(locks, age)
}

/// Removes the locks on the branches of one task. Only once every process of its run is gone: an
/// agent that was killed in the middle of `git commit` leaves one, and nothing else would ever
/// take it away.
///
/// # Errors
/// [`super::Error::Io`].
pub fn clear_task_locks(common_dir: &Path, feature: &FeatureId, task: &TaskId) -> Result<Vec<PathBuf>> {
    let mut locks = Vec::new();
    for dir in
        [format!("refs/heads/sprint-task/{feature}/{task}"), format!("refs/sprint/wip/{feature}/{task}")]
    {
        find_locks(&common_dir.join(dir), &mut locks)?;
    }
    remove_old(locks, Duration::ZERO)
}

fn remove_old(mut locks: Vec<PathBuf>, age: Duration) -> Result<Vec<PathBuf>> {
    // An age below zero is a file from the future: younger than any.
    let old = |path: &PathBuf| {
        let written = std::fs::symlink_metadata(path).and_then(|m| m.modified());
        written.is_ok_and(|t| t.elapsed().is_ok_and(|elapsed| elapsed >= age))
    };
    locks.retain(old);
    for lock in &locks {
        std::fs::remove_file(lock).at("remove", lock)?;
    }
    Ok(locks)
}

fn find_locks(dir: &Path, locks: &mut Vec<PathBuf>) -> Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(super::Error::Io { what: "read", path: dir.to_owned(), source }),
    };
    for entry in entries {
        let entry = entry.at("read", dir)?;
        if entry.file_type().at("read", dir)?.is_dir() {
            find_locks(&entry.path(), locks)?;
        } else if entry.path().extension().is_some_and(|e| e == "lock") {
            locks.push(entry.path());
        }
    }
    Ok(())
}

/// One change of a reference, for [`update_refs`].
#[derive(Debug, Clone)]
pub enum RefChange {
    /// Points it there, whatever it was.
    Set(String, CommitSha),
    /// Points it there if it is at the second commit, or absent where that is None.
    Move(String, CommitSha, Option<CommitSha>),
    /// Removes it if it is at this commit.
    Delete(String, CommitSha),
}

impl RefChange {
    fn name(&self) -> &str {
        match self {
            Self::Set(name, _) | Self::Move(name, ..) | Self::Delete(name, _) => name,
        }
    }

    fn order(&self) -> String {
        match self {
            Self::Set(name, new) => format!("update {name}\0{new}\0\0"),
            Self::Move(name, new, Some(old)) => format!("update {name}\0{new}\0{old}\0"),
            Self::Move(name, new, None) => format!("create {name}\0{new}\0"),
            Self::Delete(name, old) => format!("delete {name}\0{old}\0"),
        }
    }
}

/// Changes references in one transaction, and syncs the directories that hold them.
///
/// Orders go through stdin, so `on_spawn` has recorded the child before it can change anything.
///
/// # Errors
/// [`super::Error::Failed`] if git refuses one; then none is changed.
pub fn update_refs(common_dir: &Path, changes: &[RefChange], on_spawn: Option<&dyn Fn(u32)>) -> Result<()> {
    let mut orders = String::new();
    for change in changes {
        orders.push_str(&change.order());
    }
    let git = Git::new(common_dir).args(["update-ref", "--no-deref", "-z", "--stdin"]).stdin(orders);
    git.on_spawn(on_spawn).run()?;
    if seeded::is(Bug::SkippedSync) {
        return Ok(());
    }
    let names: Vec<PathBuf> = changes.iter().map(|change| common_dir.join(change.name())).collect();
    sync_names(common_dir, names.iter().map(PathBuf::as_path))?;
    // One that is removed may have been in `packed-refs` too.
    let removes = changes.iter().any(|change| matches!(change, RefChange::Delete(..)));
    if removes { sync_dir(common_dir) } else { Ok(()) }
}

/// Makes a reference of sprint's own that does not exist yet, durable when it returns, without a
/// process and without a lock that a killed worker could leave: whole under another name first,
/// then linked, which fails where it is there already. False in that case.
///
/// # Errors
/// [`super::Error::Io`].
pub(crate) fn create_ref(repo: &Repository, name: &str, at: &CommitSha) -> Result<bool> {
    if super::repo::reference(repo, name)?.is_some() {
        return Ok(false);
    }
    let common_dir = repo.commondir().to_owned();
    let path = common_dir.join(name);
    let dir = path.parent().expect("a reference lies in `refs`");
    std::fs::create_dir_all(dir).at("create", dir)?;
    let part = common_dir.join(format!("{PART}{}", uuid::Uuid::new_v4().simple()));
    let mut file = File::options().write(true).create_new(true).open(&part).at("create", &part)?;
    writeln!(file, "{at}").and_then(|()| file.sync_all()).at("write", &part)?;
    let linked = std::fs::hard_link(&part, &path);
    std::fs::remove_file(&part).at("remove", &part)?;
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(false),
        other => other.at("write", &path)?,
    }
    sync_names(&common_dir, [path.as_path()])?;
    Ok(true)
}
