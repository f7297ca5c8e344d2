//! What a directory of a commit gets of the checkout: installed dependencies, submodules, and what
//! `[worktree]` names.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use crate::config::Worktree;
use crate::domain::ids::CommitSha;
use crate::error::chain;
use crate::gates::Room;
use crate::git::links::{self, OwnLink};
use crate::git::{Repo, Result, submodules};

/// Where dependencies lie that a repository does not track.
const DEPENDENCIES: [&str; 2] = [".venv", "node_modules"];

/// How something of the checkout comes into another directory.
#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    /// With what in it leads to the tree's own files.
    Link(Vec<OwnLink>),
    /// Files alone.
    Copy,
    /// In the place of an empty directory.
    Submodule,
}

/// Something of the checkout, for one tree that has it not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Brought {
    /// From the repository's root.
    pub(super) path: String,
    how: How,
    /// Whether also gates see it that only read the tree: their kept results are of that alone, so they
    /// get no more than was named.
    named: bool,
}

impl Brought {
    /// The links in it that lead to the tree's own files: where, and where to.
    pub(super) fn own(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let own = match &self.how {
            How::Link(own) => own.as_slice(),
            How::Copy | How::Submodule => &[],
        };
        own.iter().map(|link| (link.at.as_path(), link.to.as_path()))
    }
}

/// What is asked for, whatever the tree.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    link: Vec<String>,
    copy: Vec<String>,
    /// Looked for also further down.
    names: BTreeSet<String>,
}

impl Wanted {
    /// As `[worktree]` says, and the dependencies of the root and of the directory that gates work in.
    pub(super) fn new(worktree: &Worktree, subdir: &str) -> Self {
        let mut link = worktree.link.clone();
        for directory in DEPENDENCIES {
            link.push(directory.to_owned());
            if !subdir.is_empty() {
                link.push(format!("{subdir}/{directory}"));
            }
        }
        // As in `.gitignore`: what has no slash counts at any depth.
        let names = link.iter().filter(|path| !path.contains('/')).cloned().collect();
        Self { link, copy: worktree.copy.clone(), names }
    }

    /// What of it the checkout has, and the tree of `commit` with its `files` has not.
    pub(super) fn find(&self, repo: &Repo, commit: &CommitSha, files: &[String]) -> Result<Vec<Brought>> {
        let has = |path: &str| files.iter().any(|file| Path::new(file).starts_with(path));
        let inside =
            |path: &str| Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        let wanted = |path: &&String| inside(path) && !has(path);
        let nested = links::nested(repo, files, &self.names.iter().map(String::as_str).collect())?;
        let mut found: Vec<Brought> = Vec::new();
        let all = self.link.iter().map(|path| (path, true)).chain(nested.iter().map(|path| (path, false)));
        for (path, named) in all.filter(|(path, _)| wanted(path) && repo.top.join(path).exists()) {
            if found.iter().all(|one| one.path != *path) {
                let how = How::Link(links::own_links(repo, Path::new(path))?);
                found.push(Brought { path: path.clone(), how, named });
            }
        }
        let files = self.copy.iter().filter(wanted).filter(|path| repo.top.join(path).is_file());
        found.extend(files.map(|path| Brought { path: path.clone(), how: How::Copy, named: true }));
        let (here, _) = submodules::of(repo, commit)?;
        found.extend(here.into_iter().map(|path| Brought { path, how: How::Submodule, named: false }));
        Ok(found)
    }
}

/// Brings all of it into the directory of a commit.
pub(super) fn all(
    repo: &Repo,
    brought: &[Brought],
    room: Room,
    directory: &Path,
) -> std::result::Result<(), String> {
    for one in brought.iter().filter(|one| one.named || room == Room::Working) {
        bring(repo, one, directory)
            .map_err(|why| format!("cannot bring `{}` of the checkout: {why}", one.path))?;
    }
    Ok(())
}

fn bring(repo: &Repo, one: &Brought, directory: &Path) -> std::result::Result<(), String> {
    let here = directory.join(&one.path);
    // Who writes a commit's files leaves an empty directory where a submodule belongs.
    if one.how == How::Submodule && here.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        std::fs::remove_dir(&here).map_err(|error| error.to_string())?;
    }
    if here.symlink_metadata().is_ok() {
        return Ok(());
    }
    // A link of the commit's could lead anywhere.
    let above = here.parent().unwrap_or(directory).canonicalize();
    let (Ok(above), Ok(root), Some(name)) = (above, directory.canonicalize(), here.file_name()) else {
        return Ok(());
    };
    let Ok(place) = above.strip_prefix(&root).map(|above| above.join(name)) else { return Ok(()) };
    match &one.how {
        // A gate that writes there would write into the checkout.
        How::Copy => {
            std::fs::copy(repo.top.join(&one.path), &here).map(drop).map_err(|error| error.to_string())
        }
        How::Link(own) => {
            links::link(repo, Path::new(&one.path), (&root, &place), own).map_err(|error| chain(&error))
        }
        How::Submodule => {
            links::link(repo, Path::new(&one.path), (&root, &place), &[]).map_err(|error| chain(&error))
        }
    }
}
