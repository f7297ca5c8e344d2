//! A checkout as it is, as a commit; and commits as plain directories. For gates by hand, in a
//! person's own checkout: nothing in it is changed, and no worktree or branch is made.

use std::fs;
use std::path::{Path, PathBuf};

use git2::build::CheckoutBuilder;
use git2::{BranchType, Repository};

use super::error::{IoContext, LibContext, Result};
use super::repo::{Repo, oid, sha};
use crate::domain::ids::CommitSha;

/// Names that a repository's main branch goes by, where it has no remote that says so.
const MAIN_NAMES: [&str; 3] = ["main", "master", "trunk"];

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

    fn commit(&self, repo: &Repo, message: &str) -> Result<CommitSha> {
        let tree = self.git(repo).arg("write-tree").run()?;
        let head = repo.head()?;
        let mut commit = self.git(repo).args(["commit-tree", "-p", head.as_str(), "-m", message]);
        for (name, value) in [("NAME", "sprint"), ("EMAIL", "sprint@localhost"), ("DATE", "@0 +0000")] {
            commit =
                commit.env(&format!("GIT_AUTHOR_{name}"), value).env(&format!("GIT_COMMITTER_{name}"), value);
        }
        let made = commit.arg(String::from_utf8_lossy(&tree).trim()).run()?;
        let lib = repo.open()?;
        let text = String::from_utf8_lossy(&made).trim().to_owned();
        let found = lib.find_commit_by_prefix(&text).during("the snapshot cannot be found")?;
        Ok(sha(found.id()))
    }
}

impl Drop for IndexCopy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, "the copy of the index is gone already");
        }
    }
}

/// The checkout as it is, untracked files included and ignored ones not, as a commit on HEAD that
/// nothing points to.
///
/// # Errors
/// The checkout cannot be read, or git fails.
pub fn snapshot(repo: &Repo) -> Result<CommitSha> {
    let copy = IndexCopy::of(repo, &repo.git_dir.join("index"))?;
    let mut add = copy.git(repo).args(["add", "--all", "--", "."]);
    for environment in environments(repo)? {
        add = add.arg(format!(":(exclude,top,literal){environment}"));
    }
    add.run()?;
    copy.commit(repo, "the worktree as it is")
}

/// Virtual environments of Python in the checkout that are neither tracked nor ignored: thousands of
/// files that are nobody's work. Relative to the top, without a slash at the end.
///
/// # Errors
/// git fails.
pub fn environments(repo: &Repo) -> Result<Vec<String>> {
    let git = super::command::Git::new(&repo.git_dir).work_tree(&repo.top);
    let words = ["ls-files", "-z", "--others", "--exclude-standard", "--", ":(top,glob)**/pyvenv.cfg"];
    let listed = git.args(words).run()?;
    let found = listed.split(|byte| *byte == 0).filter_map(|name| {
        let directory = std::str::from_utf8(name).ok()?.strip_suffix("/pyvenv.cfg")?;
        // What is only called so stays.
        repo.top.join(directory).join("bin/python").exists().then(|| directory.to_owned())
    });
    Ok(found.collect())
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

/// Writes the files of a commit below `target`, which is made anew.
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

/// Makes a directory that [`export`] wrote a repository of its own, in which the commit's files are
/// tracked and nothing is committed: tools that ask git what is tracked (or, without a repository,
/// look for one in everything around) are told the same as in the checkout.
///
/// # Errors
/// The commit is missing, or the directory cannot be written.
pub fn track(repo: &Repo, commit: &CommitSha, target: &Path) -> Result<()> {
    let lib = repo.open()?;
    let what = || format!("cannot list the files of {}", commit.short());
    let tree = lib.find_commit(oid(commit)?).and_then(|commit| commit.tree()).during(what())?;
    let mut options = git2::RepositoryInitOptions::new();
    options.external_template(false).no_reinit(true);
    let made = Repository::init_opts(target, &options).during(what())?;
    let mut index = made.index().during(what())?;
    index.read_tree(&tree).and_then(|()| index.write()).during(what())
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

/// What a person's work is compared with: where it left its upstream, else the main branch, else
/// HEAD.
///
/// # Errors
/// HEAD has no commit, or the history is cut off before that place: HEAD in its stead would make
/// nothing new.
pub fn default_base(repo: &Repo) -> Result<CommitSha> {
    let head = repo.head()?;
    let lib = Repository::open(&repo.git_dir).during("cannot open the checkout")?;
    let Some(other) = upstream(&lib).or_else(|| main_branch(&lib)) else { return Ok(head) };
    match lib.merge_base(oid(&head)?, other) {
        Ok(base) => Ok(sha(base)),
        Err(error) if lib.is_shallow() => {
            Err(error).during("the history here ends before the place where this branch began")
        }
        // A history of its own.
        Err(_) => Ok(head),
    }
}

fn upstream(lib: &Repository) -> Option<git2::Oid> {
    let head = lib.head().ok()?;
    let name = head.shorthand().ok()?;
    lib.find_branch(name, BranchType::Local).ok()?.upstream().ok()?.get().target()
}

fn main_branch(lib: &Repository) -> Option<git2::Oid> {
    let remote = lib.find_reference("refs/remotes/origin/HEAD").ok().and_then(|r| r.resolve().ok());
    remote
        .and_then(|reference| reference.target())
        .or_else(|| main_in(lib, "refs/heads"))
        .or_else(|| main_in(lib, "refs/remotes/origin"))
}

fn main_in(lib: &Repository, place: &str) -> Option<git2::Oid> {
    MAIN_NAMES.iter().find_map(|name| lib.refname_to_id(&format!("{place}/{name}")).ok())
}
