//! One worktree: is it still ours, what is in it, and making it exactly one commit.
//!
//! An agent can rewrite the `.git` file of its worktree, or the administrative files behind it, so
//! that git run there would obey another repository. So nothing here discovers anything: the
//! link is compared with what sprint recorded ([`Worktree::verify`]), and libgit2 is opened on the
//! recorded directories.
//!
//! A checkout is exact. A tracked file whose inode, size, mtime or ctime is not the index's is
//! removed and written anew, so that a file changed under its old mtime does not survive.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use git2::build::CheckoutBuilder;
use git2::{Index, IndexEntry, Oid, Repository};

use super::error::{Error, IoContext, LibContext, Result};
use super::landing;
use super::repo::{oid, sha};
use crate::domain::ids::CommitSha;

/// How many changed paths are named.
const CHANGES_MAX: usize = 200;
/// A checkout of so many files is made by their names; above it, of everything.
const LISTED_MAX: usize = 100;
pub(super) const GITLINK: u32 = 0o160_000;
pub(super) const SYMLINK: u32 = 0o120_000;

/// A worktree of the pool, in use by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// Its number in the pool.
    pub number: u32,
    /// Its root: where agents and gates run.
    pub path: PathBuf,
    /// `<common>/worktrees/<name>`.
    pub admin: PathBuf,
    /// The repository.
    pub common_dir: PathBuf,
    /// What `[worktree]` put there, relative to the root: kept by cleaning, never committed.
    pub prepared: Vec<String>,
}

impl Worktree {
    /// Compares the link between worktree and repository with what sprint made.
    ///
    /// # Errors
    /// [`Error::Tampered`] names the first difference.
    pub fn verify(&self) -> Result<()> {
        for (path, wanted) in self.links() {
            let what = match fs::symlink_metadata(&path) {
                Ok(meta) if !meta.is_file() => "is not a plain file",
                Ok(meta) if meta.len() > 64 * 1024 => "is too long",
                Ok(_) if fs::read(&path).is_ok_and(|text| text == wanted) => continue,
                Ok(_) => "was changed",
                Err(_) => "is missing",
            };
            let what = format!("`{}` {what}", path.display());
            return Err(Error::Tampered { path: self.path.clone(), what });
        }
        Ok(())
    }

    /// Writes the link anew where it is not as it was; true if something had to be done.
    ///
    /// # Errors
    /// [`Error::Tampered`] if the administrative directory is gone, [`Error::Io`].
    pub fn repair(&self) -> Result<bool> {
        if !self.admin.join("HEAD").exists() {
            let what = format!("`{}` is missing", self.admin.display());
            return Err(Error::Tampered { path: self.path.clone(), what });
        }
        if self.verify().is_ok() {
            return Ok(false);
        }
        if fs::symlink_metadata(&self.path).is_ok_and(|m| !m.is_dir()) {
            fs::remove_file(&self.path).at("remove", &self.path)?;
        }
        fs::create_dir_all(&self.path).at("create", &self.path)?;
        for (path, wanted) in self.links() {
            remove_any(&path)?;
            fs::write(&path, wanted).at("write", &path)?;
        }
        Ok(true)
    }

    /// The three files of the link and their contents.
    fn links(&self) -> [(PathBuf, Vec<u8>); 3] {
        let line =
            |prefix: &str, path: &Path| [prefix.as_bytes(), path.as_os_str().as_bytes(), b"\n"].concat();
        let dot_git = self.path.join(".git");
        [
            (self.admin.join("commondir"), b"../..\n".to_vec()),
            (self.admin.join("gitdir"), line("", &dot_git)),
            (dot_git, line("gitdir: ", &self.admin)),
        ]
    }

    /// Opens libgit2 on the recorded directories, after [`Worktree::verify`].
    ///
    /// # Errors
    /// [`Error::Tampered`], [`Error::Lib`].
    pub fn open(&self) -> Result<Repository> {
        self.verify()?;
        let what = || format!("cannot open worktree `{}`", self.path.display());
        let repo = Repository::open(&self.admin).during(what())?;
        repo.set_workdir(&self.path, false).during(what())?;
        Ok(repo)
    }

    /// The commit that HEAD is at.
    ///
    /// # Errors
    /// [`Error::Lib`] if it is at none.
    pub fn head(&self) -> Result<CommitSha> {
        let repo = self.open()?;
        let head = repo.head().and_then(|h| h.peel_to_commit());
        Ok(sha(head.during(format!("`{}` has no commit", self.path.display()))?.id()))
    }

    /// What HEAD is at, by its name alone: nothing is read of the commit, which an agent may have damaged.
    ///
    /// # Errors
    /// [`Error::Lib`] if it is at none.
    pub fn tip(&self) -> Result<CommitSha> {
        let tip = Repository::open(&self.admin).and_then(|repo| repo.refname_to_id("HEAD"));
        Ok(sha(tip.during(format!("`{}` has no commit", self.path.display()))?))
    }

    /// The branch that HEAD names, if it names one.
    ///
    /// # Errors
    /// [`Error::Tampered`], [`Error::Lib`].
    pub fn branch(&self) -> Result<Option<String>> {
        Ok(landing::head_branch(&self.open()?))
    }

    /// True if there is no file in it: an agent has deleted everything.
    pub fn is_empty(&self) -> bool {
        let Ok(mut entries) = fs::read_dir(&self.path) else { return true };
        entries.all(|entry| entry.is_ok_and(|e| e.file_name() == ".git"))
    }

    /// Removes git's lock files of this worktree. Only once every process of its run is gone.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn clear_stale_locks(&self) -> Result<()> {
        for name in ["index.lock", "HEAD.lock", "ORIG_HEAD.lock", "config.worktree.lock"] {
            remove_any(&self.admin.join(name))?;
        }
        Ok(())
    }

    /// Makes it exactly this commit, on no branch: what a gate judges. Everything else but what
    /// was prepared is removed, ignored files too.
    ///
    /// # Errors
    /// [`Error`].
    pub fn checkout_tree(&self, commit: &CommitSha) -> Result<()> {
        let repo = self.open()?;
        self.set_head(&repo, None, oid(commit)?)?;
        self.make_exact(&repo, oid(commit)?)
    }

    /// Makes it exactly the head of a branch, and puts HEAD on it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn checkout_branch(&self, branch: &str) -> Result<()> {
        let repo = self.open()?;
        let name = super::branch::head_ref(branch);
        let commit = repo.refname_to_id(&name).during(format!("no branch `{branch}`"))?;
        self.set_head(&repo, Some(&name), commit)?;
        self.make_exact(&repo, commit)
    }

    /// HEAD as a file: libgit2 would write a reflog and read the old value, which may be damaged.
    pub(super) fn set_head(&self, repo: &Repository, branch: Option<&str>, commit: Oid) -> Result<()> {
        repo.find_commit(commit).during(format!("no commit {commit}"))?;
        let text = branch.map_or_else(|| format!("{commit}\n"), |name| format!("ref: {name}\n"));
        let path = self.admin.join("HEAD");
        let temporary = self.admin.join("HEAD.sprint");
        fs::write(&temporary, text).at("write", &temporary)?;
        let file = fs::File::open(&temporary).at("open", &temporary)?;
        file.sync_all().at("sync", &temporary)?;
        fs::rename(&temporary, &path).at("write", &path)?;
        for state in ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"] {
            remove_any(&self.admin.join(state))?;
        }
        Ok(())
    }

    fn make_exact(&self, repo: &Repository, commit: Oid) -> Result<()> {
        let what = || format!("cannot check {commit} out in `{}`", self.path.display());
        let tree = repo.find_commit(commit).and_then(|c| c.tree()).during(what())?;
        let mut index = self.index(repo)?;
        // Entries that change lose their times here, so their files count as touched.
        index.read_tree(&tree).during(what())?;
        let wanted = by_path(&index);
        let mut scrub = Scrub::new(&self.path, &self.prepared, &wanted, Exact::Yes);
        scrub.run()?;
        let missing: Vec<&Vec<u8>> =
            wanted.keys().filter(|path| !scrub.stayed.contains(path.as_slice())).collect();
        let mut options = CheckoutBuilder::new();
        options.force().recreate_missing(true).remove_untracked(false);
        index.write().during(what())?;
        if missing.is_empty() {
            return Ok(());
        }
        // Everything else was just looked at; with a list libgit2 does not look at it again.
        if missing.len() <= LISTED_MAX {
            options.disable_pathspec_match(true);
            for path in missing {
                options.path(path.clone());
            }
        }
        repo.checkout_index(Some(&mut index), Some(&mut options)).during(what())
    }

    /// The index; an empty one where an agent has left something that libgit2 cannot read (nonsense,
    /// or a split or sparse one).
    pub(super) fn index(&self, repo: &Repository) -> Result<Index> {
        let found = repo.index().and_then(|mut index| index.read(true).map(|()| index));
        found.or_else(|_| {
            let path = self.admin.join("index");
            remove_any(&path)?;
            let again = self.open()?.index();
            again.during("cannot open the index")
        })
    }

    /// Tracked paths that are not as in HEAD: a gate that leaves some is void. Sorted, bounded.
    ///
    /// # Errors
    /// [`Error`].
    pub fn tracked_changes(&self) -> Result<Vec<String>> {
        let repo = self.open()?;
        let what = "cannot compare a worktree with HEAD";
        let head = repo.head().and_then(|h| h.peel_to_tree()).during(what)?;
        let index = self.index(&repo)?;
        let staged = repo.diff_tree_to_index(Some(&head), Some(&index), None).during(what)?;
        let mut changed: Vec<String> = Vec::new();
        for delta in staged.deltas().take(CHANGES_MAX) {
            let path = delta.new_file().path_bytes().or(delta.old_file().path_bytes());
            changed.push(String::from_utf8_lossy(path.unwrap_or_default()).into_owned());
        }
        let edited = index.iter().filter(|entry| self.differs(&repo, entry)).take(CHANGES_MAX);
        changed.extend(edited.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
        changed.sort_unstable();
        changed.dedup();
        changed.truncate(CHANGES_MAX);
        Ok(changed)
    }

    fn differs(&self, repo: &Repository, entry: &IndexEntry) -> bool {
        if entry.mode == GITLINK {
            return false;
        }
        let path = self.path.join(std::ffi::OsStr::from_bytes(&entry.path));
        let Ok(meta) = fs::symlink_metadata(&path) else { return true };
        if untouched(&meta, entry) {
            return false;
        }
        if !same_kind(&meta, entry.mode) {
            return true;
        }
        let raw = if meta.is_symlink() {
            fs::read_link(&path).map(|target| target.as_os_str().as_bytes().to_vec())
        } else {
            fs::read(&path)
        };
        let raw_id = raw.ok().and_then(|bytes| Oid::hash_object(git2::ObjectType::Blob, &bytes).ok());
        if raw_id == Some(entry.id) {
            return false;
        }
        // Line ends may be converted on the way to the index; libgit2 knows how, but trusts mtime
        // and size, so its word counts only where one of these has moved.
        let moved = u64::from(entry.file_size) != meta.len()
            || i64::from(entry.mtime.seconds()) != meta.mtime()
            || i64::from(entry.mtime.nanoseconds()) != meta.mtime_nsec();
        let relative = Path::new(std::ffi::OsStr::from_bytes(&entry.path));
        !(moved && repo.status_file(relative).is_ok_and(|status| !status.is_wt_modified()))
    }

    /// Untracked paths, ignored ones too; a directory without a tracked file is one path.
    ///
    /// # Errors
    /// [`Error`].
    pub fn untracked(&self) -> Result<Vec<String>> {
        let repo = self.open()?;
        let tracked = by_path(&self.index(&repo)?);
        let dirs = directories(&tracked);
        let mut found = Vec::new();
        collect_untracked(&self.path, &mut Vec::new(), &tracked, &dirs, &mut found)?;
        Ok(found)
    }

    /// Removes everything untracked but what was prepared.
    ///
    /// # Errors
    /// [`Error`].
    pub fn clean(&self) -> Result<()> {
        let repo = self.open()?;
        let tracked = by_path(&self.index(&repo)?);
        Scrub::new(&self.path, &self.prepared, &tracked, Exact::No).run()
    }
}

type Entries = HashMap<Vec<u8>, IndexEntry>;

fn by_path(index: &Index) -> Entries {
    index.iter().map(|entry| (entry.path.clone(), entry)).collect()
}

/// Every directory that holds a tracked file.
fn directories(entries: &Entries) -> HashSet<&[u8]> {
    let mut dirs = HashSet::new();
    for path in entries.keys() {
        for (at, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
            dirs.insert(&path[..at]);
        }
    }
    dirs
}

/// The file is the one that the index describes: nobody has written to it since. The index has 32
/// bits of each number.
fn untouched(meta: &Metadata, entry: &IndexEntry) -> bool {
    let low = |wide: u64| u32::try_from(wide & u64::from(u32::MAX)).expect("the high half is masked");
    let same_time = |time: git2::IndexTime, seconds: i64, nanoseconds: i64| {
        low(i64::from(time.seconds()).cast_unsigned()) == low(seconds.cast_unsigned())
            && i64::from(time.nanoseconds()) == nanoseconds
    };
    same_kind(meta, entry.mode)
        && entry.file_size == low(meta.len())
        && entry.ino == low(meta.ino())
        && same_time(entry.mtime, meta.mtime(), meta.mtime_nsec())
        && same_time(entry.ctime, meta.ctime(), meta.ctime_nsec())
}

fn same_kind(meta: &Metadata, mode: u32) -> bool {
    match mode {
        SYMLINK => meta.is_symlink(),
        _ => meta.is_file() && (meta.permissions().mode() & 0o100 != 0) == (mode & 0o100 != 0),
    }
}

/// Whether tracked files that were touched go too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exact {
    Yes,
    No,
}

/// Walks a worktree and removes what may not stay. Follows no symbolic link.
struct Scrub<'a> {
    root: &'a Path,
    keep: &'a [String],
    wanted: &'a Entries,
    dirs: HashSet<&'a [u8]>,
    exact: Exact,
    /// Tracked paths that are there and may stay.
    stayed: HashSet<&'a [u8]>,
}

impl<'a> Scrub<'a> {
    fn new(root: &'a Path, keep: &'a [String], wanted: &'a Entries, exact: Exact) -> Self {
        Self { root, keep, wanted, dirs: directories(wanted), exact, stayed: HashSet::new() }
    }

    fn run(&mut self) -> Result<()> {
        self.walk(self.root, &mut Vec::new())
    }

    fn walk(&mut self, dir: &Path, relative: &mut Vec<u8>) -> Result<()> {
        let top = relative.len();
        for entry in read_dir(dir)? {
            let entry = entry.at("read", dir)?;
            let name = entry.file_name();
            if top == 0 && name == ".git" {
                continue;
            }
            if top > 0 {
                relative.push(b'/');
            }
            relative.extend_from_slice(name.as_bytes());
            let path = entry.path();
            let meta = entry.metadata().at("read", &path)?;
            match self.verdict(relative, &meta) {
                Verdict::Stays => {}
                Verdict::Goes => remove_any(&path)?,
                Verdict::Look => self.walk(&path, relative)?,
            }
            relative.truncate(top);
        }
        Ok(())
    }

    fn verdict(&mut self, path: &[u8], meta: &Metadata) -> Verdict {
        let wanted: &'a Entries = self.wanted;
        if let Some((path, entry)) = wanted.get_key_value(path) {
            if entry.mode == GITLINK && meta.is_dir() {
                self.stayed.insert(path);
                return Verdict::Stays;
            }
            let fine = !meta.is_dir() && (self.exact == Exact::No || untouched(meta, entry));
            if fine {
                self.stayed.insert(path);
            }
            return if fine { Verdict::Stays } else { Verdict::Goes };
        }
        if self.keep.iter().any(|kept| kept.as_bytes() == path) {
            return Verdict::Stays;
        }
        let below = |kept: &String| kept.as_bytes().strip_prefix(path).is_some_and(|r| r.starts_with(b"/"));
        let look = meta.is_dir() && (self.dirs.contains(path) || self.keep.iter().any(below));
        if look { Verdict::Look } else { Verdict::Goes }
    }
}

enum Verdict {
    Stays,
    Goes,
    Look,
}

fn read_dir(dir: &Path) -> Result<fs::ReadDir> {
    match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).at("open", dir)?;
            fs::read_dir(dir).at("read", dir)
        }
        other => other.at("read", dir),
    }
}

fn collect_untracked(
    dir: &Path,
    relative: &mut Vec<u8>,
    tracked: &Entries,
    dirs: &HashSet<&[u8]>,
    found: &mut Vec<String>,
) -> Result<()> {
    let top = relative.len();
    for entry in read_dir(dir)? {
        let entry = entry.at("read", dir)?;
        let name = entry.file_name();
        if top == 0 && name == ".git" {
            continue;
        }
        if top > 0 {
            relative.push(b'/');
        }
        relative.extend_from_slice(name.as_bytes());
        let is_dir = entry.file_type().at("read", dir)?.is_dir();
        if is_dir && dirs.contains(relative.as_slice()) {
            collect_untracked(&entry.path(), relative, tracked, dirs, found)?;
        } else if !tracked.contains_key(relative.as_slice()) {
            found.push(String::from_utf8_lossy(relative).into_owned());
        }
        relative.truncate(top);
    }
    found.sort_unstable();
    Ok(())
}

/// Removes a file, a link or a whole directory; nothing there is fine. A directory that a tool
/// made read-only is opened first.
pub(crate) fn remove_any(path: &Path) -> Result<()> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(()) };
    if !meta.is_dir() {
        return fs::remove_file(path).at("remove", path);
    }
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            unlock_dirs(path)?;
            fs::remove_dir_all(path).at("remove", path)
        }
        other => other.at("remove", path),
    }
}

fn unlock_dirs(dir: &Path) -> Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).at("open", dir)?;
    for entry in fs::read_dir(dir).at("read", dir)? {
        let path = entry.at("read", dir)?.path();
        if fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir()) {
            unlock_dirs(&path)?;
        }
    }
    Ok(())
}
