//! Files that git changes on their way into the checkout (`filter` in gitattributes(5), as git-lfs and git-crypt do).
//! sprint runs no such program: what it writes out of a commit has what is committed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use git2::{AttrCheckFlags, AttrValue, Config, Repository};

use super::error::{LibContext, Result};
use super::repo::{Repo, oid};
use crate::domain::ids::CommitSha;

/// A file that a configured filter changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filtered {
    /// From the top of the repository.
    pub path: String,
    /// What the attribute calls the filter.
    pub driver: String,
}

/// Those of `files` that a filter of the person's configuration changes. One that is not configured, as where git-lfs
/// is not installed, changes nothing.
///
/// # Errors
/// The repository, its configuration or its attributes cannot be read.
pub fn filtered(repo: &Repo, files: &[String]) -> Result<Vec<Filtered>> {
    let what = "cannot read which files are filtered";
    let lib = Repository::open(&repo.top).during(what)?;
    let config = lib.config().and_then(|mut config| config.snapshot()).during(what)?;
    let drivers = drivers(&config).during(what)?;
    if drivers.is_empty() || !any_rule(repo, &config, files) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for path in files {
        let value =
            lib.get_attr_bytes(Path::new(path), "filter", AttrCheckFlags::FILE_THEN_INDEX).during(what)?;
        let AttrValue::String(driver) = AttrValue::from_bytes(value) else { continue };
        if drivers.contains(driver) {
            found.push(Filtered { path: path.clone(), driver: driver.to_owned() });
        }
    }
    Ok(found)
}

/// Of the files that a filter changes: those that lie in the checkout as that commit has them, filtered; and those of
/// the commit that do not.
///
/// # Errors
/// The commit cannot be read.
pub fn in_checkout(
    repo: &Repo,
    commit: &CommitSha,
    filtered: &[Filtered],
) -> Result<(Vec<Filtered>, Vec<Filtered>)> {
    let what = "cannot read which files are filtered";
    let lib = Repository::open(&repo.top).during(what)?;
    let tree = lib.find_commit(oid(commit)?).and_then(|commit| commit.tree()).during(what)?;
    // One that libgit2 cannot read says of no file that it lies there unchanged.
    let index = lib.index().ok();
    let of_commit = |one: &&Filtered| tree.get_path(Path::new(&one.path)).is_ok();
    let is_here = |one: &Filtered| {
        let (path, entry) = (Path::new(&one.path), index.as_ref()?.get_path(Path::new(&one.path), 0)?);
        let seen = repo.top.join(path).symlink_metadata().ok()?;
        let id = tree.get_path(path).ok()?.id();
        Some(id == entry.id && seen.is_file() && is_unchanged(&entry, &seen))
    };
    Ok(filtered.iter().filter(of_commit).cloned().partition(|one| is_here(one) == Some(true)))
}

/// Whether a file is the one that git looked at when it wrote the index, by what git goes by too.
fn is_unchanged(entry: &git2::IndexEntry, seen: &fs::Metadata) -> bool {
    // The index keeps the lower half of a size.
    let sizes = u64::from(entry.file_size) == seen.len() & u64::from(u32::MAX);
    sizes
        && i64::from(entry.mtime.seconds()) == seen.mtime()
        && i64::from(entry.mtime.nanoseconds()) == seen.mtime_nsec()
}

/// The filters that there are programs for.
fn drivers(config: &Config) -> std::result::Result<BTreeSet<String>, git2::Error> {
    let mut found = BTreeSet::new();
    config.entries(Some("^filter\\..*\\.(smudge|clean|process)$"))?.for_each(|entry| {
        let (Ok(name), Ok(value)) = (entry.name(), entry.value()) else { return };
        let driver = name.strip_prefix("filter.").and_then(|name| name.rsplit_once('.'));
        if let Some((driver, _)) = driver.filter(|_| !value.is_empty()) {
            found.insert(driver.to_owned());
        }
    })?;
    Ok(found)
}

/// Whether anything can give a file a filter: who has git-lfs has its filter in every repository.
fn any_rule(repo: &Repo, config: &Config, files: &[String]) -> bool {
    let is_one = |path: &&String| path.rsplit('/').next() == Some(".gitattributes");
    let in_tree = files.iter().filter(is_one).map(|path| repo.top.join(path));
    let of_all = config.get_path("core.attributesFile").ok();
    let of_person = Config::find_xdg().ok().map(|config| config.with_file_name("attributes"));
    let names_one =
        |path: PathBuf| fs::read(path).is_ok_and(|text| text.windows(7).any(|word| word == b"filter="));
    in_tree.chain([repo.common_dir.join("info/attributes")]).chain(of_all).chain(of_person).any(names_one)
}
