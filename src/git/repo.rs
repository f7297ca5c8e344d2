//! Where a repository is, and the person's identity.
//!
//! [`Repo`] is plain data, so that it travels between threads and processes; libgit2 is opened on
//! the common directory, which an agent's worktree cannot redirect.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use git2::{ErrorCode, Oid, Repository, RepositoryOpenFlags};
use serde::{Deserialize, Serialize};

use super::command::Git;
use super::error::{Error, LibContext, Result};
use crate::domain::ids::CommitSha;

/// So long an open repository serves: a landing asks a dozen times within milliseconds, and what
/// libgit2 keeps of its objects must not grow for hours.
const KEPT_FOR: Duration = Duration::from_secs(2);

thread_local! {
    static LAST: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

struct Kept {
    common_dir: PathBuf,
    opened: Instant,
    lib: Rc<Repository>,
}

/// A repository of the person's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repo {
    /// The shared git directory: objects, references, `config`, `sprint.id`.
    pub common_dir: PathBuf,
    /// The git directory of the checkout that `start` was called in; differs in a linked worktree.
    pub git_dir: PathBuf,
    /// The root of that checkout.
    pub top: PathBuf,
    /// For names of directories: letters, digits, `.`, `_`, `-`; at most 40 of them.
    pub name: String,
}

/// Who commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `user.name`.
    pub name: String,
    /// `user.email`.
    pub email: String,
}

impl Repo {
    /// The repository that `cwd` lies in.
    ///
    /// # Errors
    /// [`Error::Lib`] with libgit2's code: `NotFound` (none), `Owner` (somebody else's), others.
    /// A bare repository has no `top` and gives [`ErrorCode::BareRepo`]; a checkout that only calls itself
    /// bare has one, so that what runs there can still be asked and stopped.
    pub fn discover(cwd: &Path) -> Result<Self> {
        let found = Repository::open_ext(cwd, RepositoryOpenFlags::empty(), std::iter::empty::<&Path>())
            .during(format!("no repository at `{}`", cwd.display()))?;
        let Some(top) = found.workdir().or_else(|| called_bare(&found)) else {
            let bare = git2::Error::new(ErrorCode::BareRepo, git2::ErrorClass::Repository, "it is bare");
            return Err(bare).during(format!("no checkout at `{}`", cwd.display()));
        };
        let common_dir = absolute(found.commondir());
        let name = name_of(&common_dir);
        Ok(Self { git_dir: absolute(found.path()), top: absolute(top), name, common_dir })
    }

    /// libgit2 on the common directory: the one that this thread opened a moment ago, with the
    /// objects that it has read, or a new one.
    ///
    /// # Errors
    /// [`Error::Lib`].
    pub fn open(&self) -> Result<Rc<Repository>> {
        LAST.with_borrow_mut(|last| {
            if let Some(kept) = last.as_ref()
                && kept.common_dir == self.common_dir
                && kept.opened.elapsed() < KEPT_FOR
            {
                return Ok(Rc::clone(&kept.lib));
            }
            *last = None;
            let lib = Repository::open(&self.common_dir)
                .during(format!("cannot open `{}`", self.common_dir.display()))?;
            let lib = Rc::new(lib);
            let common_dir = self.common_dir.clone();
            *last = Some(Kept { common_dir, opened: Instant::now(), lib: Rc::clone(&lib) });
            Ok(lib)
        })
    }

    /// A command on the common directory, without a work tree.
    pub fn git<'a>(&self) -> Git<'a> {
        Git::new(&self.common_dir)
    }

    /// What a branch, tag or expression points to, as a commit.
    ///
    /// # Errors
    /// [`Error::Lib`] if there is no such commit.
    pub fn resolve(&self, revision: &str) -> Result<CommitSha> {
        let repo = self.open()?;
        let object = repo.revparse_single(revision).during(format!("no commit `{revision}`"))?;
        let commit = object.peel_to_commit().during(format!("`{revision}` is not a commit"))?;
        Ok(sha(commit.id()))
    }

    /// The commit that the checkout of `start` is at.
    ///
    /// # Errors
    /// [`Error::Lib`] if there is no commit yet.
    pub fn head(&self) -> Result<CommitSha> {
        let repo = Repository::open(&self.git_dir).during("cannot open the checkout")?;
        let head = repo.head().and_then(|h| h.peel_to_commit()).during("HEAD has no commit")?;
        Ok(sha(head.id()))
    }

    /// Where a reference points, if it exists. `name` is full: `refs/heads/…`.
    ///
    /// # Errors
    /// [`Error::Lib`] if it exists and cannot be read.
    pub fn reference(&self, name: &str) -> Result<Option<CommitSha>> {
        reference(&*self.open()?, name)
    }
}

/// As [`Repo::reference`], on an open repository.
pub(crate) fn reference(repo: &Repository, name: &str) -> Result<Option<CommitSha>> {
    match repo.refname_to_id(name) {
        Ok(id) => Ok(Some(sha(id))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(source) => Err(Error::Lib { what: format!("cannot read `{name}`"), source }),
    }
}

/// libgit2's form of an id.
pub(crate) fn oid(sha: &CommitSha) -> Result<Oid> {
    Oid::from_str(sha.as_str()).during(format!("`{sha}` is not an object id of this repository"))
}

/// Our form of an id.
pub(crate) fn sha(oid: Oid) -> CommitSha {
    CommitSha::parse(&oid.to_string()).expect("libgit2 prints 40 lower-case hex digits")
}

/// The checkout of a repository in which somebody has set `core.bare`: git keeps an index only where there
/// are files.
pub(super) fn called_bare(lib: &Repository) -> Option<&Path> {
    let git_dir = lib.path();
    let has_files = lib.is_bare() && git_dir.file_name()? == ".git" && git_dir.join("index").is_file();
    git_dir.parent().filter(|_| has_files)
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// `/home/me/shop/.git` → `shop`; `/srv/shop.git` → `shop`.
fn name_of(common_dir: &Path) -> String {
    let last = common_dir.file_name().unwrap_or_default();
    let named = if last == ".git" { common_dir.parent().and_then(Path::file_name) } else { Some(last) };
    let text = named.unwrap_or_default().to_string_lossy();
    let text = text.strip_suffix(".git").unwrap_or(&text);
    let plain: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    let plain: String = plain.trim_start_matches(['.', '-', '_']).chars().take(40).collect();
    if plain.is_empty() { "repository".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for (path, name) in [
            ("/home/me/shop/.git", "shop"),
            ("/srv/shop.git", "shop"),
            ("/a/#(cmd) x/.git", "cmd--x"),
            ("/a/.../.git", "repository"),
            ("/.git", "repository"),
        ] {
            assert_eq!(name_of(Path::new(path)), name, "{path}");
        }
    }
}
