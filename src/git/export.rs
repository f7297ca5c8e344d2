//! A checkout as it is, as a commit; and commits as plain directories. For gates by hand, in a
//! person's own checkout: nothing in it is changed, and no worktree or branch is made.

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use git2::build::CheckoutBuilder;
use git2::{BranchType, ErrorCode, Repository, Signature, Time};

use super::error::{Error, IoContext, LibContext, Result};
use super::repo::{Repo, oid, sha};
use crate::domain::ids::CommitSha;

/// Names that a repository's main branch goes by, where it has no remote that says so.
const MAIN_NAMES: [&str; 3] = ["main", "master", "trunk"];

/// A report begins in so many bytes.
const REPORT_BEGINS: u64 = 4 << 10;

/// How their files may be called.
const REPORT_ENDINGS: [&str; 3] = [".sarif", ".json", ".xml"];

/// What stands there, in one of sprint's: SARIF and `JUnit`.
const REPORTS: [[&str; 2]; 2] =
    [["/sarif-schema-2.1.0.json\"", "\"id\": \"sprint/"], ["<?xml", "<testsuites name=\"sprint\""]];

/// A copy of an index, so that the person's own is never written; removed when dropped.
struct IndexCopy(PathBuf);

impl IndexCopy {
    fn of(repo: &Repo, index: &Path) -> Result<Self> {
        // In the same directory: a split index names its other half by it.
        let copy = Self(repo.git_dir.join(format!("sprint-index-{}", std::process::id())));
        if index.exists() {
            fs::copy(index, &copy.0).at("copy", index)?;
            // By its time git tells which files may have changed since it was written, in the same
            // moment and to the same size: a younger copy would hide them.
            let written = index.metadata().and_then(|meta| meta.modified()).at("read", index)?;
            let file = fs::File::options().write(true).open(&copy.0).at("open", &copy.0)?;
            file.set_modified(written).at("write", &copy.0)?;
        }
        Ok(copy)
    }

    fn git<'g>(&self, repo: &Repo) -> super::command::Git<'g> {
        super::command::Git::new(&repo.git_dir).work_tree(&repo.top).env("GIT_INDEX_FILE", &self.0)
    }

    /// Clears the flags by which git passes files by (`skip-worktree`, `assume-unchanged`): tests run on what they
    /// are.
    fn look_at(&self, repo: &Repo, names: &[&[u8]]) -> Result<()> {
        for flag in ["--no-skip-worktree", "--no-assume-unchanged"].into_iter().filter(|_| !names.is_empty())
        {
            let names = names.join(&0);
            self.git(repo).args(["update-index", flag, "-z", "--stdin"]).stdin(names).run()?;
        }
        Ok(())
    }

    fn commit(&self, repo: &Repo, message: &str) -> Result<CommitSha> {
        let what = "what lies here cannot be written as a commit";
        let tree = self.git(repo).arg("write-tree").run()?;
        let lib = repo.open()?;
        let tree = git2::Oid::from_str(String::from_utf8_lossy(&tree).trim()).during(what)?;
        let tree = lib.find_tree(tree).during(what)?;
        let parent = match repo.head() {
            Ok(head) => Some(lib.find_commit(oid(&head)?).during(what)?),
            // The first one has no parent.
            Err(Error::Lib { source, .. }) if source.code() == ErrorCode::UnbornBranch => None,
            Err(error) => return Err(error),
        };
        let who = nobody().during(what)?;
        let parents: Vec<_> = parent.iter().collect();
        lib.commit(None, &who, &who, message, &tree, &parents).map(sha).during(what)
    }
}

/// Who makes commits that nothing points to, so that the same files are the same commit.
fn nobody() -> std::result::Result<Signature<'static>, git2::Error> {
    Signature::new("sprint", "sprint@localhost", &Time::new(0, 0))
}

impl Drop for IndexCopy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, "the copy of the index is gone already");
        }
    }
}

/// The checkout as it is, as a commit on HEAD that nothing points to.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// With untracked files, and without ignored ones.
    pub commit: CommitSha,
    /// What else it is without.
    pub left_out: LeftOut,
}

/// What is neither tracked nor ignored, and nobody's work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Virtual environments of Python: thousands of files. Relative to the top, without a slash at the end.
    pub environments: Vec<String>,
    /// Reports that sprint itself has written: their fingerprints look like secrets. Told by how they begin,
    /// whatever they are called.
    pub reports: Vec<String>,
    /// Repositories of their own that lie in the checkout: git takes no file of them.
    pub nested: Vec<String>,
    /// Symbolic links that lead nowhere: the locks of an editor (`.#name`).
    links: Vec<String>,
}

/// Takes a [`Snapshot`].
///
/// # Errors
/// The checkout cannot be read, or git fails.
pub fn snapshot(repo: &Repo) -> Result<Snapshot> {
    let copy = IndexCopy::of(repo, &repo.git_dir.join("index"))?;
    // All that git sees, in one call: a tag, a space and the name.
    let words = ["ls-files", "-v", "-z", "--cached", "--others", "--exclude-standard", "--", ":(top)"];
    let listed = copy.git(repo).args(words).run()?;
    let lines = || listed.split(|byte| *byte == 0).filter_map(|line| Some((*line.first()?, line.get(2..)?)));
    let is_there = |name: &&[u8]| repo.top.join(OsStr::from_bytes(name)).symlink_metadata().is_ok();
    let passed_by = lines().filter(|(tag, _)| *tag == b'S' || tag.is_ascii_lowercase());
    copy.look_at(repo, &passed_by.map(|(_, name)| name).filter(is_there).collect::<Vec<_>>())?;
    let untracked = lines().filter(|(tag, _)| *tag == b'?');
    let left_out = LeftOut::of(repo, untracked.filter_map(|(_, name)| std::str::from_utf8(name).ok()));
    let mut add = copy.git(repo).args(["add", "--all", "--", "."]);
    let LeftOut { environments, reports, nested, links } = &left_out;
    for path in [environments, reports, nested, links].into_iter().flatten() {
        add = add.arg(format!(":(exclude,top,literal){path}"));
    }
    add.run()?;
    Ok(Snapshot { commit: copy.commit(repo, "the worktree as it is")?, left_out })
}

impl LeftOut {
    fn of<'a>(repo: &Repo, untracked: impl Iterator<Item = &'a str>) -> Self {
        let mut found = Self::default();
        for name in untracked {
            let (path, named) = (repo.top.join(name), |ending: &&str| name.ends_with(*ending));
            let Ok(meta) = path.symlink_metadata() else { continue };
            if let Some(repository) = name.strip_suffix('/') {
                found.nested.push(repository.to_owned());
                continue;
            }
            // What is only called so stays.
            let environment =
                name.strip_suffix("/pyvenv.cfg").filter(|_| path.with_file_name("bin/python").exists());
            if let Some(environment) = environment {
                found.environments.push(environment.to_owned());
            } else if meta.is_symlink() && !path.exists() {
                found.links.push(name.to_owned());
            } else if meta.is_file() && REPORT_ENDINGS.iter().any(named) && is_report(&path) {
                found.reports.push(name.to_owned());
            }
        }
        found
    }
}

/// Whether a file begins as a report of sprint's own does; not one that cannot be read.
pub fn is_report(file: &Path) -> bool {
    let mut head = Vec::new();
    let read = fs::File::open(file).and_then(|opened| opened.take(REPORT_BEGINS).read_to_end(&mut head));
    let head = String::from_utf8_lossy(&head);
    read.is_ok() && REPORTS.iter().any(|marks| marks.iter().all(|mark| head.contains(mark)))
}

/// Whether git knows a file, by its path from the root.
///
/// # Errors
/// The index cannot be read.
pub fn is_tracked(repo: &Repo, path: &str) -> Result<bool> {
    let index = git2::Index::open(&repo.git_dir.join("index")).during("cannot read the index")?;
    // It panics at paths that no repository can have.
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    Ok(plain && index.get_path(Path::new(path), 0).is_some())
}

/// What git ignores in the checkout: files, and directories of which it ignores all, with a slash at the end.
///
/// # Errors
/// git fails.
pub fn ignored(repo: &Repo) -> Result<Vec<String>> {
    let git = super::command::Git::new(&repo.git_dir).work_tree(&repo.top);
    let words =
        ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory", "--", ":(top)"];
    let listed = git.args(words).run()?;
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

/// The files that git tracks in the checkout. Paths that are not UTF-8 are shown with replacement
/// characters.
///
/// # Errors
/// git fails.
pub fn tracked(repo: &Repo) -> Result<Vec<String>> {
    let git = super::command::Git::new(&repo.git_dir).work_tree(&repo.top);
    let listed = git.args(["ls-files", "-z", "--cached", "--", ":(top)"]).run()?;
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

/// What is staged, as a commit on HEAD that nothing points to. `index` is the file that git works
/// on in a commit hook, which need not be the repository's own.
///
/// # Errors
/// The index cannot be read or has conflicts, or git fails.
pub fn staged(repo: &Repo, index: Option<&Path>) -> Result<CommitSha> {
    let usual = repo.git_dir.join("index");
    let copy = IndexCopy::of(repo, index.unwrap_or(&usual))?;
    let read = git2::Index::open(&copy.0).during("cannot read the index")?;
    if read.has_conflicts() {
        let said = git2::Error::new(
            git2::ErrorCode::Unmerged,
            git2::ErrorClass::Index,
            "files of it have conflicts that are not resolved",
        );
        return Err(said).during("the index is not a tree yet");
    }
    copy.commit(repo, "what is staged")
}

/// A file of the checkout in which a conflict stands that git knows of and nobody has resolved.
///
/// # Errors
/// The index cannot be read.
pub fn conflict(repo: &Repo) -> Result<Option<String>> {
    let index = git2::Index::open(&repo.git_dir.join("index")).during("cannot read the index")?;
    let all = index.conflicts().during("cannot list the conflicts")?;
    let sides = all.filter_map(std::result::Result::ok).filter_map(|one| one.our.or(one.their));
    let names = sides.map(|side| String::from_utf8_lossy(&side.path).into_owned());
    let mut names: Vec<String> = names.filter(|name| has_mark(&repo.top.join(name))).collect();
    names.sort();
    Ok(names.into_iter().next())
}

/// Whether git's mark of a conflict stands in a file.
fn has_mark(path: &Path) -> bool {
    fs::read(path)
        .is_ok_and(|bytes| bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"<<<<<<< ")))
}

/// The files of the checkout as they lie there, without those that are ignored; there need not be
/// a commit. Paths that are not UTF-8 are shown with replacement characters.
///
/// # Errors
/// git fails.
pub fn present(repo: &Repo) -> Result<Vec<String>> {
    let git = super::command::Git::new(&repo.git_dir).work_tree(&repo.top);
    let listed = git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).run()?;
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

/// Writes the files of a commit below `target`, which is made anew; no repository: [`super::standalone`] makes
/// one of it.
///
/// # Errors
/// The commit is missing, or the directory cannot be written.
pub fn export(repo: &Repo, commit: &CommitSha, target: &Path) -> Result<()> {
    if target.exists() {
        fs::remove_dir_all(target).at("remove", target)?;
    }
    fs::create_dir_all(target).at("create", target)?;
    checkout(repo, commit, target, &[])
}

/// About how many bytes the files of the checkout have: those that git knows, as they were when it saw them last.
///
/// # Errors
/// The index cannot be read.
pub fn size(repo: &Repo) -> Result<u64> {
    let index = git2::Index::open(&repo.git_dir.join("index")).during("cannot read the index")?;
    Ok(index.iter().map(|entry| u64::from(entry.file_size)).sum())
}

/// Writes the given files of a commit into a directory, over what is there.
///
/// # Errors
/// The commit is missing, or the files cannot be written.
pub fn restore(repo: &Repo, commit: &CommitSha, target: &Path, paths: &[String]) -> Result<()> {
    if paths.is_empty() { Ok(()) } else { checkout(repo, commit, target, paths) }
}

fn checkout(repo: &Repo, commit: &CommitSha, target: &Path, paths: &[String]) -> Result<()> {
    let lib = repo.open()?;
    let what = || format!("cannot write the files of {}", commit.short());
    let tree = lib.find_commit(oid(commit)?).and_then(|commit| commit.tree()).during(what())?;
    let mut options = CheckoutBuilder::new();
    options.force().update_index(false).target_dir(target).disable_pathspec_match(true);
    for path in paths {
        options.path(path);
    }
    lib.checkout_tree(tree.as_object(), Some(&mut options)).during(what())
}

/// The commit that a name means in this checkout: `HEAD` of a linked worktree is its own.
///
/// # Errors
/// There is none.
pub fn resolve(repo: &Repo, name: &str) -> Result<CommitSha> {
    let lib = Repository::open(&repo.git_dir).during("cannot open the checkout")?;
    let object = lib.revparse_single(name).during(format!("no commit `{name}`"))?;
    let commit = object.peel_to_commit().during(format!("`{name}` is not a commit"))?;
    Ok(sha(commit.id()))
}

/// A commit that work is compared with, and by which name it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The commit.
    pub commit: CommitSha,
    /// For people: a branch, `HEAD`.
    pub name: String,
}

/// What a person's work is compared with: where it left its upstream, else the main branch, else
/// HEAD. An upstream of the branch's own name is where that is published: once all is pushed, HEAD would be
/// compared with itself, and the main branch stands in its place.
///
/// # Errors
/// HEAD has no commit, or the history is cut off before that place: HEAD in its stead would make
/// nothing new.
pub fn default_base(repo: &Repo) -> Result<Base> {
    let head = repo.head()?;
    let lib = Repository::open(&repo.git_dir).during("cannot open the checkout")?;
    let itself = |commit| Base { commit, name: "HEAD".to_owned() };
    let (upstream, main, at) = (upstream(&lib), main_branch(&lib), oid(&head)?);
    let all_pushed = |upstream: &Branch| {
        upstream.is_own && lib.merge_base(at, upstream.tip).is_ok_and(|begun| begun == at)
    };
    let found = match upstream {
        Some(upstream) if !all_pushed(&upstream) => Some(upstream),
        // Of the main branch itself, all that is pushed is old.
        Some(upstream) if main.as_ref().is_none_or(|main| main.is_same(&upstream)) => Some(upstream),
        _ => main,
    };
    let Some(Branch { tip, name, .. }) = found else { return Ok(itself(head)) };
    match lib.merge_base(at, tip) {
        Ok(base) => Ok(Base { commit: sha(base), name }),
        Err(error) if lib.is_shallow() => {
            Err(error).during("the history here ends before the place where this branch began")
        }
        // A history of its own.
        Err(_) => Ok(itself(head)),
    }
}

/// A branch that work may have begun at.
struct Branch {
    tip: git2::Oid,
    /// `main`, `origin/main`.
    name: String,
    /// Whether it is called as the person's branch is.
    is_own: bool,
}

impl Branch {
    /// Whether both are called the same, here or at a remote.
    fn is_same(&self, other: &Self) -> bool {
        let own = |name: &str| name.strip_prefix("origin/").unwrap_or(name).to_owned();
        own(&self.name) == own(&other.name)
    }
}

fn upstream(lib: &Repository) -> Option<Branch> {
    let head = lib.head().ok()?;
    let own = head.shorthand().ok()?;
    let upstream = lib.find_branch(own, BranchType::Local).ok()?.upstream().ok()?;
    let name = upstream.name().ok().flatten()?.to_owned();
    // `origin/feature`; a remote's name has no slash that anybody would think of.
    let is_own = name.split_once('/').is_some_and(|(_, branch)| branch == own);
    Some(Branch { tip: upstream.get().target()?, name, is_own })
}

fn main_branch(lib: &Repository) -> Option<Branch> {
    let remote = lib.find_reference("refs/remotes/origin/HEAD").ok().and_then(|r| r.resolve().ok());
    let of_remote = remote.and_then(|reference| {
        let name = reference.shorthand().ok()?.to_owned();
        Some(Branch { tip: reference.target()?, name, is_own: false })
    });
    of_remote.or_else(|| main_in(lib, "refs/heads/")).or_else(|| main_in(lib, "refs/remotes/origin/"))
}

fn main_in(lib: &Repository, place: &str) -> Option<Branch> {
    MAIN_NAMES.iter().find_map(|main| {
        let full = format!("{place}{main}");
        let tip = lib.refname_to_id(&full).ok()?;
        let name = full.trim_start_matches("refs/heads/").trim_start_matches("refs/remotes/").to_owned();
        Some(Branch { tip, name, is_own: false })
    })
}

/// A commit without a file, that nothing points to: what the first commit of a repository is compared with.
///
/// # Errors
/// It cannot be written.
pub fn nothing(repo: &Repo) -> Result<CommitSha> {
    let lib = repo.open()?;
    let what = "cannot write an empty commit";
    let who = nobody().during(what)?;
    let tree = lib.treebuilder(None).and_then(|tree| tree.write()).and_then(|id| lib.find_tree(id));
    let tree = tree.during(what)?;
    lib.commit(None, &who, &who, "nothing", &tree, &[]).map(sha).during(what)
}

/// Where the history of one left that of the other; `None` if they have nothing in common.
pub fn parting(repo: &Repo, one: &CommitSha, other: &CommitSha) -> Option<CommitSha> {
    let lib = repo.open().ok()?;
    lib.merge_base(oid(one).ok()?, oid(other).ok()?).ok().map(sha)
}

/// Whether two commits have the same files.
///
/// # Errors
/// One of them is missing.
pub fn is_same(repo: &Repo, one: &CommitSha, other: &CommitSha) -> Result<bool> {
    let lib = repo.open()?;
    let tree = |commit| Ok(lib.find_commit(oid(commit)?).during("a commit is not there")?.tree_id());
    Ok(tree(one)? == tree(other)?)
}
