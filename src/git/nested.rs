//! Git repositories inside a worktree: an agent's `git init sub`, a clone, a worktree of its own.
//!
//! git takes no file of one into a commit: at most it writes a link to a commit that nobody else
//! has. So they are named before work is believed ([`Nested`]), and saved file by file before
//! anything is removed ([`save`]).

use std::fs::{self, File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use git2::{Delta, DiffDelta, FileMode, Index, IndexEntry, IndexTime, Oid, Repository, Tree};

use super::candidate::one_line;
use super::error::{IoContext, LibContext, Result};
use super::worktree::{GITLINK, SYMLINK};

/// Repositories that a message names.
const NAMED_MAX: usize = 5;
/// What a saved `.git` is called: no tree may hold that name itself.
const SAVED: &[u8] = b".git.saved";
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;

/// Repositories whose files cannot be part of the work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nested {
    /// Repositories that git does not track.
    pub untracked: Vec<String>,
    /// Links to a repository that the work adds, and that no `.gitmodules` explains.
    pub linked: Vec<String>,
    /// Whether the work is nothing but these.
    pub alone: bool,
}

impl Nested {
    /// What the work holds of them between two trees; `untracked` is what was found beside.
    pub(super) fn between(
        repo: &Repository,
        before: &Tree<'_>,
        now: &Tree<'_>,
        untracked: &[PathBuf],
    ) -> std::result::Result<Self, git2::Error> {
        let modules = Modules::of(repo, now);
        let diff = repo.diff_tree_to_tree(Some(before), Some(now), None)?;
        let (links, others): (Vec<_>, Vec<_>) = diff.deltas().partition(|delta| modules.leave_out(delta));
        let linked = links.iter().filter_map(|delta| delta.new_file().path());
        let shown = |path: &Path| path.to_string_lossy().trim_end_matches('/').to_owned();
        Ok(Self {
            untracked: untracked.iter().map(|path| shown(path)).collect(),
            linked: linked.map(shown).collect(),
            alone: others.is_empty(),
        })
    }

    /// What is wrong and what to do about it, in a line; None if there is no such repository.
    pub fn reason(&self) -> Option<String> {
        let all: Vec<&String> = self.untracked.iter().chain(&self.linked).collect();
        let are = match all.len() {
            0 => return None,
            1 => "is a git repository of its own; its",
            _ => "are git repositories of their own; their",
        };
        let linked: Vec<&String> = self.linked.iter().collect();
        let unlink = if linked.is_empty() {
            String::new()
        } else {
            format!(", then {}", named(&linked, "git rm --cached ", ""))
        };
        let alone = if self.alone { "; nothing else was changed" } else { "" };
        let (which, what) = (named(&all, "", ""), named(&all, "", "/.git"));
        Some(format!("{which} {are} files cannot be part of the task: remove {what}{unlink}{alone}"))
    }
}

/// Paths as a message shows them: an agent has chosen them.
fn named(paths: &[&String], before: &str, after: &str) -> String {
    let shown = paths.iter().take(NAMED_MAX).map(|path| format!("`{before}{}{after}`", one_line(path)));
    let text = shown.collect::<Vec<_>>().join(", ");
    match paths.len().saturating_sub(NAMED_MAX) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// The submodules that a tree's `.gitmodules` explains.
pub(super) struct Modules(Vec<String>);

impl Modules {
    pub(super) fn of(repo: &Repository, tree: &Tree<'_>) -> Self {
        let entry = tree.get_name(".gitmodules").and_then(|entry| repo.find_blob(entry.id()).ok());
        let text = entry.map(|blob| String::from_utf8_lossy(blob.content()).into_owned()).unwrap_or_default();
        let value = |line: &str| {
            let value = line.trim().strip_prefix("path")?.trim_start().strip_prefix('=')?.trim();
            Some(value.trim_matches('"').trim_end_matches('/').to_owned())
        };
        Self(text.lines().filter_map(value).collect())
    }

    pub(super) fn explain(&self, path: &Path) -> bool {
        self.0.iter().any(|known| Path::new(known) == path)
    }

    /// A link that was not there before and that nobody could follow.
    fn leave_out(&self, delta: &DiffDelta<'_>) -> bool {
        let (old, new) = (delta.old_file(), delta.new_file());
        delta.status() != Delta::Deleted
            && new.mode() == FileMode::Commit
            && old.mode() != FileMode::Commit
            && !new.path().is_some_and(|path| self.explain(path))
    }

    /// The links of an index that nobody could follow, and behind which there is a repository.
    pub(super) fn unexplained(&self, index: &Index, root: &Path) -> Vec<PathBuf> {
        let links = index.iter().filter(|entry| entry.mode == GITLINK);
        let paths = links.map(|entry| PathBuf::from(std::ffi::OsStr::from_bytes(&entry.path)));
        paths.filter(|path| !self.explain(path) && is_repository(&root.join(path))).collect()
    }
}

/// Whether somebody else's git is at home there.
pub(super) fn is_repository(path: &Path) -> bool {
    fs::symlink_metadata(path.join(".git")).is_ok()
}

/// Puts every file of the repository at `path` into the index: its files where they are, less
/// what is ignored, and all of its `.git` under another name, so that its history is kept too.
pub(super) fn save(repo: &Repository, index: &mut Index, root: &Path, path: &Path) -> Result<()> {
    let link = index.get_path(path, 0).is_some();
    if link {
        index.remove_path(path).during("cannot save a repository in a worktree")?;
    }
    let name = path.as_os_str().as_bytes();
    let mut into = name.strip_suffix(b"/").unwrap_or(name).to_vec();
    Saver { repo, index }.directory(&root.join(path), &mut into, Ignored::Out)
}

/// Whether ignored files are left out: git's own are not asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ignored {
    Out,
    Kept,
}

struct Saver<'a> {
    repo: &'a Repository,
    index: &'a mut Index,
}

impl Saver<'_> {
    /// Follows no symbolic link.
    fn directory(&mut self, from: &Path, into: &mut Vec<u8>, ignored: Ignored) -> Result<()> {
        let top = into.len();
        for entry in fs::read_dir(from).at("read", from)? {
            let path = entry.at("read", from)?.path();
            let name = path.file_name().unwrap_or_default().as_bytes();
            let of_git = name == b".git";
            into.push(b'/');
            into.extend_from_slice(if of_git { SAVED } else { name });
            let ignored = if of_git { Ignored::Kept } else { ignored };
            self.entry(&path, into, ignored)?;
            into.truncate(top);
        }
        Ok(())
    }

    fn entry(&mut self, from: &Path, into: &mut Vec<u8>, ignored: Ignored) -> Result<()> {
        let what = || format!("cannot save `{}`", from.display());
        let meta = fs::symlink_metadata(from).at("read", from)?;
        let relative = Path::new(std::ffi::OsStr::from_bytes(into));
        if ignored == Ignored::Out && self.repo.is_path_ignored(relative).during(what())? {
            return Ok(());
        }
        if meta.is_dir() {
            return self.directory(from, into, ignored);
        }
        let Some((id, mode)) = self.blob(from, &meta)? else { return Ok(()) };
        self.index.add(&index_entry(into, id, mode)).during(what())
    }

    /// The bytes as they are. None: neither a file nor a link; git holds nothing else.
    fn blob(&self, from: &Path, meta: &Metadata) -> Result<Option<(Oid, u32)>> {
        let what = || format!("cannot save `{}`", from.display());
        if meta.is_symlink() {
            let target = fs::read_link(from).at("read", from)?;
            let id = self.repo.blob(target.as_os_str().as_bytes()).during(what())?;
            return Ok(Some((id, SYMLINK)));
        }
        if !meta.is_file() {
            return Ok(None);
        }
        // A stream: a clone's pack may be larger than memory.
        let mut writer = self.repo.blob_writer(None).during(what())?;
        let mut file = File::open(from).at("read", from)?;
        std::io::copy(&mut file, &mut writer).at("save", from)?;
        let program = meta.permissions().mode() & 0o100 != 0;
        Ok(Some((writer.commit().during(what())?, if program { PROGRAM } else { FILE })))
    }
}

fn index_entry(path: &[u8], id: Oid, mode: u32) -> IndexEntry {
    let never = IndexTime::new(0, 0);
    IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(untracked: &[&str], linked: &[&str], alone: bool) -> Nested {
        let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        Nested { untracked: owned(untracked), linked: owned(linked), alone }
    }

    #[test]
    fn the_reason_names_what_is_left_out_and_what_to_do() {
        let reason = |nested: Nested| nested.reason().unwrap_or_default();
        assert_eq!(nested(&[], &[], true).reason(), None);
        insta::assert_snapshot!(reason(nested(&["sub"], &[], false)), @"`sub` is a git repository of its own; its files cannot be part of the task: remove `sub/.git`");
        insta::assert_snapshot!(reason(nested(&["sub"], &[], true)), @"`sub` is a git repository of its own; its files cannot be part of the task: remove `sub/.git`; nothing else was changed");
        insta::assert_snapshot!(reason(nested(&[], &["sub"], true)), @"`sub` is a git repository of its own; its files cannot be part of the task: remove `sub/.git`, then `git rm --cached sub`; nothing else was changed");
        insta::assert_snapshot!(reason(nested(&["a", "b\n`c"], &["d"], false)), @"`a`, `b `c`, `d` are git repositories of their own; their files cannot be part of the task: remove `a/.git`, `b `c/.git`, `d/.git`, then `git rm --cached d`");
        let many: Vec<String> = (0..9).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        insta::assert_snapshot!(reason(nested(&many, &[], false)), @"`0`, `1`, `2`, `3`, `4` and 4 more are git repositories of their own; their files cannot be part of the task: remove `0/.git`, `1/.git`, `2/.git`, `3/.git`, `4/.git` and 4 more");
    }
}
