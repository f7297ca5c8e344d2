//! What is checked before a sprint starts. Changes nothing; every refusal says what to type.
//!
//! A linked worktree of the person's is a fine place to start from: its checkout gives feature
//! directory and base, the repository is the common one. A worktree of sprint's own is not: that
//! is an agent starting a sprint inside a sprint.

use std::path::{Component, Path, PathBuf};

use git2::{ErrorCode, Repository, StatusOptions};

use super::branch;
use super::command::Git;
use super::error::Error;
use super::landing;
use super::pool;
use super::repo::{self, Identity, Repo, oid};
use super::traces::quoted;
use super::trees;
use crate::domain::ids::{CommitSha, FeatureId};

/// The oldest git that has `merge-tree --write-tree`.
pub const GIT_MIN: (u32, u32) = (2, 38);
/// How many paths a warning or refusal names.
const NAMED_MAX: usize = 5;

/// Why a sprint cannot start here.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No git.
    #[error("git is not installed")]
    GitMissing,
    /// An old git.
    #[error("git {found} is too old")]
    GitTooOld {
        /// Its version.
        found: String,
    },
    /// Not in a repository.
    #[error("`{}` is not in a git repository", .0.display())]
    NotARepository(PathBuf),
    /// Somebody else's.
    #[error("the repository at `{}` belongs to another user", .0.display())]
    NotOwned(PathBuf),
    /// A format that cannot be read.
    #[error("the repository at `{}` has a format that sprint cannot read: {why}", path.display())]
    Unsupported {
        /// Where it is.
        path: PathBuf,
        /// What libgit2 says.
        why: String,
    },
    /// No checkout.
    #[error("the repository at `{}` is bare", .0.display())]
    Bare(PathBuf),
    /// Somebody has set `core.bare` where there are files.
    #[error("the repository at `{}` calls itself bare (`core.bare`), and has files all the same", .0.display())]
    CalledBare(PathBuf),
    /// Nothing to begin from.
    #[error("the repository has no commit yet")]
    NoCommit,
    /// Cut history.
    #[error("the repository is a shallow clone")]
    Shallow,
    /// Nobody to commit as.
    #[error("git does not know who you are")]
    NoIdentity,
    /// A branch in the way of ours.
    #[error("there is a branch named `{0}`, so git cannot create `{0}/…`")]
    ReservedBranch(&'static str),
    /// Inside a sprint.
    #[error("`{}` is one of sprint's own worktrees", .0.display())]
    OwnWorktree(PathBuf),
    /// No such directory.
    #[error("feature directory `{}` does not exist", .0.display())]
    FeatureMissing(PathBuf),
    /// Elsewhere.
    #[error("feature directory `{}` is not inside the repository `{}`", dir.display(), top.display())]
    FeatureOutside {
        /// As given.
        dir: PathBuf,
        /// The checkout.
        top: PathBuf,
    },
    /// A name that cannot be part of a branch.
    #[error("the directory name `{0}` cannot name a branch")]
    FeatureName(String),
    /// Not in git, or not as in git.
    #[error("feature directory `{dir}` is not committed as it is: {paths}")]
    FeatureUncommitted {
        /// From the root.
        dir: String,
        /// Some of the paths.
        paths: String,
    },
    /// Committed, but not in the base.
    #[error("feature directory `{dir}` is not in the base {base}")]
    FeatureNotInBase {
        /// From the root.
        dir: String,
        /// The base.
        base: String,
    },
    /// Checked out.
    #[error("branch `{branch}` is checked out at `{}`", at.display())]
    IntegrationCheckedOut {
        /// The branch.
        branch: String,
        /// Where.
        at: PathBuf,
    },
    /// Something else.
    #[error("the repository could not be examined")]
    Git(#[from] Error),
}

impl Refusal {
    /// What the person can do.
    pub fn hint(&self) -> String {
        match self {
            Self::GitMissing => "install it: `apt install git`".to_owned(),
            Self::GitTooOld { .. } => format!("install git {}.{} or newer", GIT_MIN.0, GIT_MIN.1),
            Self::NotARepository(_) => "change into one, or type `git init`".to_owned(),
            Self::NotOwned(path) => {
                format!("if you trust it: `git config --global --add safe.directory {}`", path.display())
            }
            Self::Unsupported { .. } => {
                "sprint reads SHA-1 repositories with files for references".to_owned()
            }
            Self::Bare(_) => {
                "start where its files are: in a worktree of it (`git worktree list`), or a clone".to_owned()
            }
            Self::CalledBare(_) => {
                "if you have not set that, a program has; take it back: `git config core.bare false`"
                    .to_owned()
            }
            Self::NoCommit => "commit something first: `git add -A && git commit -m \"begin\"`".to_owned(),
            Self::Shallow => "fetch the rest: `git fetch --unshallow`".to_owned(),
            Self::NoIdentity => {
                "tell it: `git config --global user.name \"…\"` and `git config --global user.email \"…\"`"
                    .to_owned()
            }
            Self::ReservedBranch(name) => format!("rename it: `git branch -m {name} my-{name}`"),
            Self::OwnWorktree(_) => "start in your own checkout".to_owned(),
            Self::FeatureMissing(_) => "name a directory with `tasks.md` in it".to_owned(),
            Self::FeatureOutside { .. } => "start in the repository that holds it".to_owned(),
            Self::FeatureName(_) => "rename it: letters, digits, `.`, `_` and `-` only".to_owned(),
            Self::FeatureUncommitted { dir, .. } => {
                format!("commit it: `git add {0} && git commit -m \"add {0}\"`", quoted(dir))
            }
            Self::FeatureNotInBase { .. } => "merge it into the base, or choose another `--base`".to_owned(),
            Self::IntegrationCheckedOut { at, .. } => {
                format!(
                    "check something else out there: `git -C {} switch -`",
                    quoted(&at.display().to_string())
                )
            }
            Self::Git(_) => "nothing was begun: mend what git says above, and type it again".to_owned(),
        }
    }
}

/// The file of the checkout that counts without being committed.
const CONFIGURATION: &str = "sprint.toml";

/// What is worth saying and stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// HEAD is on no branch.
    Detached,
    /// Uncommitted changes, which no task will see; some of their paths.
    Dirty(Vec<String>),
    /// Submodules, which worktrees leave empty.
    Submodules(Vec<String>),
    /// Attribute files that send paths through LFS: worktrees hold pointers.
    Lfs(Vec<String>),
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Detached => write!(f, "HEAD is on no branch; the sprint begins at its commit"),
            Self::Dirty(paths) => {
                write!(f, "uncommitted changes are not part of the sprint: {}", named(paths))
            }
            Self::Submodules(paths) => {
                write!(
                    f,
                    "submodules are empty in worktrees unless `[worktree] setup` fetches them: {}",
                    named(paths)
                )
            }
            Self::Lfs(paths) => write!(
                f,
                "LFS files are pointers in worktrees unless `[worktree] setup` fetches them (`git lfs pull`): {}",
                named(paths)
            ),
        }
    }
}

fn named(paths: &[String]) -> String {
    let mut text = paths.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    if paths.len() > NAMED_MAX {
        text.push_str(&format_more(paths.len() - NAMED_MAX));
    }
    text
}

fn format_more(count: usize) -> String {
    format!(" and {count} more")
}

/// A repository that a sprint can start in.
#[derive(Debug, Clone)]
pub struct Checked {
    /// It.
    pub repo: Repo,
    /// The commit that the checkout is at.
    pub head: CommitSha,
    /// Its branch, if it is on one.
    pub branch: Option<String>,
    /// Who commits.
    pub identity: Identity,
    /// `2.47.3`.
    pub git_version: String,
    /// Worth saying.
    pub warnings: Vec<Warning>,
}

/// A feature directory that a sprint can start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureDir {
    /// Named as the directory is.
    pub id: FeatureId,
    /// From the root of the repository, with `/`.
    pub path: String,
}

/// Checks git and the repository at `cwd`.
///
/// # Errors
/// The first [`Refusal`] that applies.
pub fn check(cwd: &Path) -> Result<Checked, Refusal> {
    let git_version = check_git(cwd)?;
    let repo = Repo::discover(cwd).map_err(|error| discovery(error, cwd))?;
    if pool::is_ours(&repo.git_dir) {
        return Err(Refusal::OwnWorktree(repo.top));
    }
    let lib = Repository::open(&repo.git_dir).map_err(|source| lib_error(source, "cannot open it"))?;
    if repo::called_bare(&lib).is_some() {
        return Err(Refusal::CalledBare(repo.top));
    }
    if lib.is_shallow() {
        return Err(Refusal::Shallow);
    }
    let head = repo.head().map_err(|_| Refusal::NoCommit)?;
    for name in branch::RESERVED {
        if landing::exists(&lib, &branch::head_ref(name))? {
            return Err(Refusal::ReservedBranch(name));
        }
    }
    let identity = identity(&repo.top)?;
    let branch = landing::head_branch(&lib);
    let warnings = warnings(&lib, &head)?;
    Ok(Checked { repo, head, branch, identity, git_version, warnings })
}

fn discovery(error: Error, cwd: &Path) -> Refusal {
    let Error::Lib { source, .. } = &error else { return Refusal::Git(error) };
    match source.code() {
        ErrorCode::NotFound => Refusal::NotARepository(cwd.to_owned()),
        ErrorCode::BareRepo => Refusal::Bare(cwd.to_owned()),
        ErrorCode::Owner => Refusal::NotOwned(cwd.to_owned()),
        _ => Refusal::Unsupported { path: cwd.to_owned(), why: source.message().to_owned() },
    }
}

fn lib_error(source: git2::Error, what: &str) -> Refusal {
    Refusal::Git(Error::Lib { what: what.to_owned(), source })
}

fn check_git(cwd: &Path) -> Result<String, Refusal> {
    let out = Git::personal(cwd).arg("version").run().map_err(|error| match error {
        Error::Spawn(e) if e.kind() == std::io::ErrorKind::NotFound => Refusal::GitMissing,
        error => Refusal::Git(error),
    })?;
    let text = String::from_utf8_lossy(&out);
    let (version, number) = parse_version(&text);
    if number < GIT_MIN { Err(Refusal::GitTooOld { found: version }) } else { Ok(version) }
}

/// `git version 2.39.5 (Apple Git-154)` → `2.39.5`, (2, 39).
fn parse_version(text: &str) -> (String, (u32, u32)) {
    let version = text.split_whitespace().nth(2).unwrap_or("0").to_owned();
    let mut parts = version.split('.').map(|p| p.parse().unwrap_or(0));
    let number = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    (version, number)
}

/// The identity that git commits with here, from the person's own configuration and environment.
/// One that git would make up from host and user name does not count.
///
/// # Errors
/// [`Refusal::NoIdentity`].
pub fn identity(top: &Path) -> Result<Identity, Refusal> {
    identity_from(Git::personal(top))
}

fn identity_from(git: Git<'_>) -> Result<Identity, Refusal> {
    let output = git.args(["-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT"]).output()?;
    if !output.status.success() {
        return Err(Refusal::NoIdentity);
    }
    parse_ident(&String::from_utf8_lossy(&output.stdout)).ok_or(Refusal::NoIdentity)
}

/// `Ann Lee <ann@example.org> 1700000000 +0100`
fn parse_ident(text: &str) -> Option<Identity> {
    let (name, rest) = text.rsplit_once(" <")?;
    let (email, _) = rest.split_once('>')?;
    let (name, email) = (name.trim().to_owned(), email.trim().to_owned());
    (!name.is_empty() && !email.is_empty()).then_some(Identity { name, email })
}

fn warnings(lib: &Repository, head: &CommitSha) -> Result<Vec<Warning>, Refusal> {
    let mut warnings = Vec::new();
    if lib.head_detached().unwrap_or(false) {
        warnings.push(Warning::Detached);
    }
    let mut dirty = uncommitted(lib, None).map_err(|e| lib_error(e, "cannot read the status"))?;
    // The configuration is the checkout's, as it is: its changes do count.
    dirty.retain(|path| path != CONFIGURATION);
    if !dirty.is_empty() {
        warnings.push(Warning::Dirty(dirty));
    }
    let tree = lib
        .find_commit(oid(head)?)
        .and_then(|c| c.tree())
        .map_err(|e| lib_error(e, "the commit of HEAD is incomplete"))?;
    let walk = |e| lib_error(e, "the tree of HEAD is incomplete");
    let submodules = trees::find_files(&tree, |_, mode| mode == 0o160_000).map_err(walk)?;
    if !submodules.is_empty() {
        warnings.push(Warning::Submodules(submodules));
    }
    let attributes = trees::find_files(&tree, |name, _| name == b".gitattributes").map_err(walk)?;
    let lfs: Vec<String> = attributes.into_iter().filter(|path| names_lfs(lib, &tree, path)).collect();
    if !lfs.is_empty() {
        warnings.push(Warning::Lfs(lfs));
    }
    Ok(warnings)
}

fn names_lfs(lib: &Repository, tree: &git2::Tree<'_>, path: &str) -> bool {
    let entry = trees::lookup(lib, tree, path).ok().flatten();
    let blob = entry.and_then(|e| lib.find_blob(e.id).ok());
    blob.is_some_and(|b| b.content().windows(10).any(|w| w == b"filter=lfs"))
}

/// Paths that differ from HEAD, untracked ones too, below `dir` or anywhere.
fn uncommitted(lib: &Repository, dir: Option<&str>) -> Result<Vec<String>, git2::Error> {
    let mut options = StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(dir.is_some()).exclude_submodules(true);
    if let Some(dir) = dir {
        options.pathspec(dir).disable_pathspec_match(true);
    }
    let statuses = lib.statuses(Some(&mut options))?;
    Ok(statuses.iter().map(|s| String::from_utf8_lossy(s.path_bytes()).into_owned()).collect())
}

/// Checks a feature directory: it exists, lies in the checkout, can name a branch, and is
/// committed, exactly as it is on disk, in the base.
///
/// # Errors
/// The first [`Refusal`] that applies.
pub fn check_feature(repo: &Repo, cwd: &Path, dir: &Path, base: &CommitSha) -> Result<FeatureDir, Refusal> {
    let given = cwd.join(dir);
    let real = given.canonicalize().map_err(|_| Refusal::FeatureMissing(dir.to_owned()))?;
    if !real.is_dir() {
        return Err(Refusal::FeatureMissing(dir.to_owned()));
    }
    let outside = || Refusal::FeatureOutside { dir: dir.to_owned(), top: repo.top.clone() };
    let relative = real.strip_prefix(&repo.top).map_err(|_| outside())?;
    if relative.as_os_str().is_empty()
        || relative.components().any(|c| c == Component::Normal(".git".as_ref()))
    {
        return Err(outside());
    }
    let path = relative.to_str().ok_or_else(|| Refusal::FeatureName(relative.display().to_string()))?;
    let name = relative.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let id = FeatureId::parse(name).map_err(|e| Refusal::FeatureName(e.text))?;
    check_committed(repo, path, base)?;
    Ok(FeatureDir { id, path: path.to_owned() })
}

fn check_committed(repo: &Repo, path: &str, base: &CommitSha) -> Result<(), Refusal> {
    let lib = Repository::open(&repo.git_dir).map_err(|e| lib_error(e, "cannot open the checkout"))?;
    let dirty = uncommitted(&lib, Some(path)).map_err(|e| lib_error(e, "cannot read the status"))?;
    let head = repo.head()?;
    if !dirty.is_empty() || !holds(&lib, &head, path)? {
        let paths = if dirty.is_empty() { "ignored or empty".to_owned() } else { named(&dirty) };
        return Err(Refusal::FeatureUncommitted { dir: path.to_owned(), paths });
    }
    if holds(&lib, base, path)? {
        return Ok(());
    }
    Err(Refusal::FeatureNotInBase { dir: path.to_owned(), base: base.short().to_owned() })
}

fn holds(lib: &Repository, commit: &CommitSha, path: &str) -> Result<bool, Refusal> {
    let tree = lib.find_commit(oid(commit)?).and_then(|c| c.tree());
    let tree = tree.map_err(|e| lib_error(e, "a commit is incomplete"))?;
    let entry = trees::lookup(lib, &tree, path).map_err(|e| lib_error(e, "a tree is incomplete"))?;
    Ok(entry.is_some())
}

/// Checks that the integration branch of a feature can be moved.
///
/// # Errors
/// [`Refusal::IntegrationCheckedOut`].
pub fn check_integration(repo: &Repo, feature: &FeatureId) -> Result<(), Refusal> {
    let branch = branch::integration(feature);
    match landing::checked_out_at(repo, &branch::head_ref(&branch))? {
        Some(at) => Err(Refusal::IntegrationCheckedOut { branch, at }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (text, number) in [
            ("git version 2.47.3\n", (2, 47)),
            ("git version 2.9.5 (Apple Git-154)", (2, 9)),
            ("git version 3.0.0.rc1", (3, 0)),
            ("nonsense", (0, 0)),
            ("", (0, 0)),
        ] {
            assert_eq!(parse_version(text).1, number, "{text:?}");
        }
        assert!(parse_version("git version 2.9.5").1 < GIT_MIN);
    }

    #[test]
    fn identities_need_a_name_and_an_address() {
        let parsed = parse_ident("Ann <x> Lee <ann@example.org> 1700000000 +0100").unwrap();
        assert_eq!((parsed.name.as_str(), parsed.email.as_str()), ("Ann <x> Lee", "ann@example.org"));
        for bad in ["", "Ann", "Ann <> 1 +0", " <a@b> 1 +0"] {
            assert_eq!(parse_ident(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_identity_that_git_would_make_up_does_not_count() {
        let dir = tempfile::TempDir::new().unwrap();
        let nobody = || {
            let git = Git::personal(dir.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
            git.env("GIT_CONFIG_NOSYSTEM", "1").env("EMAIL", "").env("GIT_COMMITTER_EMAIL", "")
        };
        assert!(matches!(identity_from(nobody()), Err(Refusal::NoIdentity)));
        let ann = nobody().env("GIT_COMMITTER_NAME", "Ann").env("GIT_COMMITTER_EMAIL", "ann@example.org");
        assert_eq!(identity_from(ann).unwrap().name, "Ann");
    }

    #[test]
    fn commands_to_copy_are_quoted() {
        assert_eq!(quoted("specs/001-thing"), "specs/001-thing");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $(x)"), r"'it'\''s $(x)'");
        assert_eq!(quoted("-x"), "'-x'");
    }
}
