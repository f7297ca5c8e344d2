//! What a candidate changes, as the gate `integrity` wants to see it: both versions of each file, out
//! of git and of the candidate's worktree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::context::{Context, Room, Side};
use super::integrity::{self, Around, Changed};
use super::parse::Parsed;
use super::targets::{self, NOT_TEXT};
use super::test_files;
use super::tools::languages;
use crate::config::presets::{preset, preset_names};

/// A larger file is no source, and no configuration that a person has written.
const FILE_MAX: u64 = 4 << 20;

/// Every file that differs between base and candidate.
///
/// # Errors
/// Why that cannot be told.
pub(super) fn collect(context: &Context<'_>) -> Result<Vec<Changed>, String> {
    let trees = context.trees;
    let listed = |side| trees.files(side).map_err(|why| format!("cannot list the {side}: {why}"));
    let head: BTreeSet<String> = listed(Side::Head)?.into_iter().collect();
    let base = listed(Side::Base)?;
    let old: BTreeMap<String, String> = trees.renames().into_iter().map(|(old, new)| (new, old)).collect();
    let moved: BTreeSet<&String> = old.values().collect();
    let gone = base.iter().filter(|path| !head.contains(*path) && !moved.contains(path));
    let root = context.root(Side::Head, Room::Reading)?;
    let mut changed = Vec::new();
    for path in head.iter().chain(gone) {
        if !trees.changed(path) {
            continue;
        }
        let old_path = old.get(path).unwrap_or(path).clone();
        let (head, unread) = if head.contains(path) { read(&root, path)? } else { (None, None) };
        let base = trees.base_file(&old_path).filter(|bytes| bytes.len() as u64 <= FILE_MAX);
        changed.push(Changed { path: path.clone(), old_path, base, head, unread });
    }
    Ok(changed)
}

/// A file of the candidate, and why nothing of it was read where it is there.
pub(super) type Read = (Option<Vec<u8>>, Option<&'static str>);

pub(super) fn read(root: &Path, path: &str) -> Result<Read, String> {
    let file = root.join(path);
    let told = |error: std::io::Error| {
        if targets::is_no_text(root, path) {
            return format!("cannot read the candidate's `{path}`: {NOT_TEXT}");
        }
        format!("cannot read the candidate's `{path}`: {error}")
    };
    let unread = |why| Ok((Some(Vec::new()), Some(why)));
    match file.symlink_metadata() {
        Ok(meta) if meta.is_symlink() => unread("it is a symbolic link now"),
        Ok(meta) if meta.is_file() && meta.len() > FILE_MAX => unread("it has more than 4 MiB"),
        Ok(meta) if meta.is_file() => Ok((Some(fs::read(&file).map_err(told)?), None)),
        // A submodule has no marks; that it is there counts.
        Ok(_) => Ok((Some(Vec::new()), None)),
        Err(error) => Err(told(error)),
    }
}

/// What the change is to answer for, and what of it was there before.
///
/// # Errors
/// Why the candidate cannot be read.
pub(super) fn look(context: &Context<'_>, changed: &[Changed]) -> Result<(Parsed, Parsed), String> {
    let programs: BTreeSet<String> = preset_names()
        .filter_map(|name| preset(name)?.command.first().cloned())
        .filter(|program| program != "sprint")
        .collect();
    let programs: Vec<&str> = programs.iter().map(String::as_str).collect();
    let files = context.trees.files(Side::Base).unwrap_or_default();
    let head: BTreeSet<String> = context.trees.files(Side::Head).unwrap_or_default().into_iter().collect();
    let root = context.root(Side::Head, Room::Reading)?;
    let tests = test_files::named(context, &root)?;
    let around = Around {
        programs: &programs,
        is_there: &|path| head.contains(path),
        base_has_code: !languages(files.iter().map(String::as_str), None).is_empty(),
        is_test: &|path| tests.is_match(path),
        named: &|path| context.trees.named_by_task(path),
    };
    Ok(integrity::look(changed, &around))
}
