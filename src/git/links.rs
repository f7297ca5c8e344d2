//! Directories of the person's checkout in another tree, as links.
//!
//! Installed packages may lead back into the sources that they were installed from: in a workspace of
//! npm, `node_modules/@me/core` is a link to `packages/core`. Through one plain link to `node_modules`,
//! tests of another tree would run the checkout's sources. There such a link leads to the same place of
//! that tree, and everything else to the checkout.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use git2::Repository;

use super::error::{IoContext, LibContext, Result};
use super::repo::Repo;

/// What the package managers of Node install into: the only place of theirs with links to sources.
const PACKAGES: &str = "node_modules";

/// Directories in it that are looked into: programs, and a scope (`@me`), which begins so.
const PROGRAMS: &str = ".bin";
const SCOPE: char = '@';

/// An ignored directory lies in a directory of at most so many names.
const DEPTH_MAX: usize = 4;
/// So many of them are brought, and so many places are looked at.
const FOUND_MAX: usize = 500;
const PLACES_MAX: usize = 50_000;

/// A link among installed packages that leads to what the repository has itself. Both from its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnLink {
    /// The link.
    pub at: PathBuf,
    /// Where it leads; empty for the root.
    pub to: PathBuf,
}

/// The links of `path` that lead to sources of the checkout; none if it holds no packages of Node.
///
/// # Errors
/// It cannot be read.
pub fn own_links(repo: &Repo, path: &Path) -> Result<Vec<OwnLink>> {
    let from = repo.top.join(path);
    if path.file_name().is_none_or(|name| name != PACKAGES) || !from.is_dir() {
        return Ok(Vec::new());
    }
    let look = Look {
        lib: Repository::open(&repo.git_dir).during("cannot open the checkout")?,
        top: repo.top.canonicalize().at("read", &repo.top)?,
        packages: from.canonicalize().at("read", &from)?,
    };
    let mut found = Vec::new();
    for (name, entry) in entries(&from)? {
        let at = path.join(&name);
        if entry.is_symlink() {
            found.extend(look.own(&at, &entry)?);
        } else if (name == PROGRAMS || name.starts_with(SCOPE)) && entry.is_dir() {
            for (name, entry) in entries(&entry)?.into_iter().filter(|(_, entry)| entry.is_symlink()) {
                found.extend(look.own(&at.join(name), &entry)?);
            }
        }
    }
    Ok(found)
}

struct Look {
    lib: Repository,
    top: PathBuf,
    packages: PathBuf,
}

impl Look {
    /// The link `entry`, if it leads to the repository's own.
    fn own(&self, at: &Path, entry: &Path) -> Result<Option<OwnLink>> {
        // A link to nowhere leads to no sources.
        let Ok(leads) = entry.canonicalize() else { return Ok(None) };
        let Some(to) = leads.strip_prefix(&self.top).ok().filter(|_| !leads.starts_with(&self.packages))
        else {
            return Ok(None);
        };
        // What git ignores no tree has: other packages, as pnpm links them, and what was generated.
        let root = to.as_os_str().is_empty();
        if !root && self.lib.is_path_ignored(to).during("cannot read ignore rules")? {
            return Ok(None);
        }
        Ok(Some(OwnLink { at: at.to_owned(), to: to.to_owned() }))
    }
}

/// What lies in a directory, in the order of the names. A name that is not UTF-8 is shown so, and is
/// no package's.
fn entries(directory: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).at("read", directory)? {
        let entry = entry.at("read", directory)?;
        found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    found.sort();
    Ok(found)
}

/// Links `path` of the checkout into a tree, at `place` from the root of that. With links of its own
/// (see [`own_links`]) it becomes a directory of links.
///
/// # Errors
/// It cannot be written.
pub fn link(repo: &Repo, path: &Path, (tree, place): (&Path, &Path), own: &[OwnLink]) -> Result<()> {
    let (from, to) = (repo.top.join(path), tree.join(place));
    if let Some(link) = own.iter().find(|link| link.at == path) {
        return symlink(relative(place, &link.to), &to).at("link", &to);
    }
    if !own.iter().any(|link| link.at.starts_with(path)) {
        return symlink(&from, &to).at("link", &to);
    }
    fs::create_dir(&to).at("create", &to)?;
    for entry in fs::read_dir(&from).at("read", &from)? {
        let name = entry.at("read", &from)?.file_name();
        link(repo, &path.join(&name), (tree, &place.join(&name)), own)?;
    }
    Ok(())
}

/// All that [`link`] goes by where it makes a directory of links, which does not follow the checkout by
/// itself; nothing where it makes one plain link.
///
/// # Errors
/// The checkout cannot be read.
pub(super) fn made(repo: &Repo, path: &Path) -> Result<Vec<PathBuf>> {
    let own = own_links(repo, path)?;
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let directories: BTreeSet<&Path> = own.iter().filter_map(|link| link.at.parent()).chain([path]).collect();
    let mut all = Vec::new();
    for directory in directories {
        all.extend(entries(&repo.top.join(directory))?.into_iter().map(|(name, _)| directory.join(name)));
    }
    all.extend(own.into_iter().flat_map(|link| [link.at, link.to]));
    Ok(all)
}

/// What a link at `place` says to lead to `to`, both from the same root.
fn relative(place: &Path, to: &Path) -> PathBuf {
    let above = place.components().count().saturating_sub(1);
    let up: PathBuf = std::iter::repeat_n(Component::ParentDir, above).collect();
    up.join(to)
}

/// Ignored directories of the checkout that are called one of `names` and lie in a directory below the
/// root in which `files` lie.
///
/// # Errors
/// The checkout cannot be read.
pub fn nested(repo: &Repo, files: &[String], names: &BTreeSet<&str>) -> Result<Vec<String>> {
    let above = |file| Path::new(file).ancestors().skip(1).filter(|path| !path.as_os_str().is_empty());
    let shallow = |path: &&Path| path.components().count() <= DEPTH_MAX;
    let places: BTreeSet<&Path> = files.iter().flat_map(above).filter(shallow).collect();
    let lib = Repository::open(&repo.git_dir).during("cannot open the checkout")?;
    let mut found = Vec::new();
    for path in places.iter().take(PLACES_MAX).flat_map(|place| names.iter().map(|name| place.join(name))) {
        if repo.top.join(&path).is_dir() && lib.is_path_ignored(&path).during("cannot read ignore rules")? {
            found.extend(path.to_str().map(str::to_owned));
        }
    }
    if found.len() > FOUND_MAX || places.len() > PLACES_MAX {
        tracing::warn!(found = found.len(), places = places.len(), "not all ignored directories are brought");
        found.truncate(FOUND_MAX);
    }
    Ok(found)
}
