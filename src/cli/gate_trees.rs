//! The trees of `sprint gates run`: the person's own checkout, or plain directories of commits.

mod bring;
mod filtered;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use bring::{Brought, Wanted};

use crate::config::Worktree;
use crate::domain::gate::ChangedLines;
use crate::domain::ids::CommitSha;
use crate::error::chain;
use crate::gates::{Room, Side, Trees, around, brought, dependencies, languages, stays_inside, stem};
use crate::git::filters::Filtered;
use crate::git::stand::{self, Stand};
use crate::git::{Repo, contents, diff, export, standalone};

/// What is judged.
pub(super) enum Head {
    /// The checkout as it is, as a snapshot of the moment the command began.
    Checkout(CommitSha),
    /// What is staged, as a commit that nothing points to.
    Staged(CommitSha),
    /// A commit.
    Commit(CommitSha),
}

impl Head {
    /// Its files.
    pub(super) fn commit(&self) -> &CommitSha {
        match self {
            Self::Checkout(commit) | Self::Staged(commit) | Self::Commit(commit) => commit,
        }
    }
}

/// Head and base of one call.
pub(super) struct HandTrees {
    repo: Repo,
    head: Head,
    base: Option<CommitSha>,
    scratch: PathBuf,
    /// Where the trees are that are only read.
    reading: PathBuf,
    /// What of the checkout directories of commits are to have.
    wanted: Wanted,
    /// What of it each side's directories get.
    brought: [OnceCell<Result<Vec<Brought>, String>>; 2],
    /// What a run of each side's code sees besides its tree, as it was before the first run.
    beside: [OnceCell<Option<String>>; 2],
    changed: OnceCell<BTreeSet<String>>,
    /// `None` where it cannot be told.
    filtered: OnceCell<Option<Vec<Filtered>>>,
    /// By what they are called: what git ignores in the checkout and the head was written out without.
    left_behind: OnceCell<Option<BTreeSet<String>>>,
    /// Commits do not change, and every gate asks several times.
    listed: [OnceCell<Vec<String>>; 2],
    renamed: OnceCell<Vec<(String, String)>>,
    /// The directories that were written.
    written: RefCell<HashSet<PathBuf>>,
    /// Where the checkout stood before the last tool that may write there.
    stood: RefCell<Option<Stand>>,
}

impl HandTrees {
    pub(super) fn new(
        repo: &Repo,
        head: Head,
        base: Option<CommitSha>,
        (scratch, reading): (&Path, &Path),
    ) -> Self {
        let (repo, scratch, reading) = (repo.clone(), scratch.to_owned(), reading.to_owned());
        Self {
            repo,
            head,
            base,
            scratch,
            reading,
            wanted: Wanted::default(),
            brought: Default::default(),
            beside: Default::default(),
            changed: OnceCell::new(),
            filtered: OnceCell::new(),
            left_behind: OnceCell::new(),
            listed: Default::default(),
            renamed: OnceCell::new(),
            written: RefCell::default(),
            stood: RefCell::default(),
        }
    }

    /// As `[worktree]` says, and installed dependencies: without them no test of a commit would run.
    #[must_use]
    pub(super) fn prepared(mut self, worktree: &Worktree, subdir: &str) -> Self {
        self.wanted = Wanted::new(worktree, subdir);
        self
    }

    /// What is brought into the directories of that side. The same for all of them, whatever a gate does
    /// to the checkout meanwhile.
    fn brought(&self, side: Side) -> Result<&[Brought], String> {
        let find = || {
            let files = self.files(side)?;
            self.wanted.find(&self.repo, self.commit(side)?, &files).map_err(|error| chain(&error))
        };
        self.brought[side as usize].get_or_init(find).as_deref().map_err(Clone::clone)
    }

    /// The file by which the head asks for other packages: dependencies come from the checkout, which has one set.
    fn borrowed(&self) -> Option<String> {
        let (base, head) = (self.base.as_ref()?, self.head.commit());
        let text = |commit, path: &str| contents::blob(&self.repo, commit, path).ok().flatten();
        let asks = |path: &&String| {
            dependencies::differ(path, text(base, path).as_deref(), text(head, path).as_deref())
        };
        self.between(base, head).iter().find(asks).cloned()
    }

    fn commit(&self, side: Side) -> Result<&CommitSha, String> {
        match side {
            Side::Head => Ok(self.head.commit()),
            Side::Base => self.base.as_ref().ok_or_else(|| "there is no base".to_owned()),
        }
    }

    /// Of a commit; none for the person's own checkout, in which only the tree's own code is run.
    fn directory(&self, side: Side, room: Room) -> Option<PathBuf> {
        match (side, &self.head, room) {
            (Side::Head, Head::Checkout(_), Room::Working) => None,
            (_, _, Room::Working) => Some(self.scratch.join(side.to_string())),
            (_, _, Room::Reading) => Some(self.reading.join(format!("{side}-read"))),
        }
    }

    /// Makes a repository of the directory of a commit. History is for the tree's own code alone: what a
    /// gate that only reads finds in a commit is kept for every commit with its files.
    fn under_git(&self, side: Side, room: Room, directory: &Path, brought: &[Brought]) -> Result<(), String> {
        let (commit, told) = (self.commit(side)?, |error| chain(&error));
        if room == Room::Reading {
            return standalone::track(&self.repo, commit, directory).map_err(told);
        }
        let head = self.history(side)?;
        let beside: Vec<&str> = brought.iter().map(|one| one.path.as_str()).collect();
        standalone::stand_alone(&self.repo, commit, head.as_ref(), &beside, directory).map_err(told)
    }

    /// Paths that two commits differ in.
    fn between(&self, from: &CommitSha, to: &CommitSha) -> BTreeSet<String> {
        diff::changed_paths(&self.repo, from, to).unwrap_or_default().into_iter().collect()
    }
}

impl Trees for HandTrees {
    fn tree(&self, side: Side) -> Option<String> {
        contents::tree_of(&self.repo, self.commit(side).ok()?).ok().map(|tree| tree.to_string())
    }

    fn besides(&self, side: Side) -> Option<String> {
        let look = || {
            let (files, commit) = (self.files(side).ok()?, self.commit(side).ok()?);
            let text = |path: &str| contents::blob(&self.repo, commit, path).ok().flatten();
            if !stays_inside(&files, text) {
                return None;
            }
            if let (Side::Head, Head::Checkout(_)) = (side, &self.head) {
                // What asks git finds the person's repository here alone: elsewhere it may say something else.
                let told = format!("the person's repository {}", around(&self.repo.top, &files)?);
                return Some(told + &self.seen(self.filtered()?));
            }
            let (all, (filtered, _)) = (self.brought(side).ok()?, self.filtered_of(side)?);
            let told = brought(
                &self.repo.top,
                all.iter().map(|one| one.path.as_str()),
                all.iter().flat_map(Brought::own),
            )?;
            Some(told + &self.seen(&filtered))
        };
        self.beside[side as usize].get_or_init(look).clone()
    }

    fn history(&self, side: Side) -> Result<Option<CommitSha>, String> {
        match (side, &self.head) {
            (Side::Head, Head::Checkout(snapshot) | Head::Staged(snapshot)) => {
                contents::parent_of(&self.repo, snapshot).map_err(|error| chain(&error))
            }
            _ => self.commit(side).cloned().map(Some),
        }
    }

    fn person(&self) -> Option<&Path> {
        Some(&self.repo.top)
    }

    fn distrust(&self) -> Option<String> {
        let asks = self.borrowed().map(|file| {
            format!("`{file}` asks for other packages, and the base ran with those of the candidate")
        });
        asks.or_else(|| self.unlike_checkout())
    }

    fn has_base(&self) -> bool {
        self.base.is_some()
    }

    fn left_behind(&self, name: &str) -> bool {
        let look = || {
            let (ignored, brought) = (export::ignored(&self.repo).ok()?, self.brought(Side::Head).ok()?);
            let there = |path: &String| brought.iter().any(|one| one.path == path.trim_end_matches('/'));
            Some(ignored.iter().filter(|path| !there(path)).map(|path| stem(path).to_owned()).collect())
        };
        // Where that cannot be told, no test is excused by it.
        let is_written_out = !matches!(self.head, Head::Checkout(_));
        is_written_out && self.left_behind.get_or_init(look).as_ref().is_none_or(|names| names.contains(name))
    }

    fn files(&self, side: Side) -> Result<Vec<String>, String> {
        let listed = &self.listed[side as usize];
        if let Some(files) = listed.get() {
            return Ok(files.clone());
        }
        let files = contents::files(&self.repo, self.commit(side)?).map_err(|error| chain(&error))?;
        Ok(listed.get_or_init(|| files).clone())
    }

    fn checkout(&self, side: Side, room: Room) -> Result<PathBuf, String> {
        let Some(directory) = self.directory(side, room) else {
            let stands = stand::stand(&self.repo).map_err(|error| chain(&error))?;
            self.stood.replace(Some(stands));
            return Ok(self.repo.top.clone());
        };
        let first = self.written.borrow_mut().insert(directory.clone());
        // Others may be reading what is only read, and nobody writes there.
        if first || room == Room::Working {
            let commit = self.commit(side)?;
            export::export(&self.repo, commit, &directory).map_err(|error| chain(&error))?;
            if room == Room::Working {
                self.bring_filtered(side, &directory)?;
            }
            let brought = self.brought(side)?;
            self.under_git(side, room, &directory, brought)?;
            bring::all(&self.repo, brought, room, &directory)?;
        }
        Ok(directory)
    }

    fn root(&self, side: Side, room: Room) -> Result<PathBuf, String> {
        match (side, &self.head, self.directory(side, room)) {
            // What was prepared there is linked from here.
            (Side::Head, Head::Checkout(_), _) => Ok(self.repo.top.clone()),
            (_, _, Some(directory)) if self.written.borrow().contains(&directory) => Ok(directory),
            _ => self.checkout(side, room),
        }
    }

    fn apart(&self) -> bool {
        true
    }

    fn slot(&self, side: Side) -> Option<String> {
        Some(format!("{side} {}", self.repo.common_dir.display()))
    }

    fn modified(&self, side: Side, room: Room) -> Result<Vec<String>, String> {
        // Directories of commits are written anew before every tool that could change them, so what
        // one changes there is seen by nobody; only the person's own checkout matters.
        let (Side::Head, Room::Working, Head::Checkout(before)) = (side, room, &self.head) else {
            return Ok(Vec::new());
        };
        let now = export::snapshot(&self.repo).map_err(|error| chain(&error))?.commit;
        if export::is_same(&self.repo, before, &now).map_err(|error| chain(&error))? {
            return Ok(Vec::new());
        }
        let judged: BTreeSet<String> = self.files(Side::Head)?.into_iter().collect();
        let tracked: BTreeSet<String> =
            export::tracked(&self.repo).map_err(|error| chain(&error))?.into_iter().collect();
        // Of what is not tracked only sources count: who runs tests leaves `.coverage` and the like, and
        // it need not have been this gate.
        let counts = |path: &String| {
            judged.contains(path) && (tracked.contains(path) || !languages([path.as_str()], None).is_empty())
        };
        Ok(self.between(before, &now).into_iter().filter(counts).collect())
    }

    fn moved(&self, side: Side, room: Room) -> Result<Option<String>, String> {
        let stood = self.stood.borrow();
        let (None, Some(stood)) = (self.directory(side, room), stood.as_ref()) else { return Ok(None) };
        let now = stand::stand(&self.repo).map_err(|error| chain(&error))?;
        Ok(stood.moved_to(&now))
    }

    fn restore(&self, side: Side) -> Result<(), String> {
        let (Side::Head, Head::Checkout(before)) = (side, &self.head) else { return Ok(()) };
        let paths = self.modified(side, Room::Working)?;
        export::restore(&self.repo, before, &self.repo.top, &paths).map_err(|error| chain(&error))
    }

    fn is_file(&self, path: &str) -> bool {
        let here = |side| {
            self.commit(side)
                .is_ok_and(|commit| contents::blob(&self.repo, commit, path).is_ok_and(|blob| blob.is_some()))
        };
        here(Side::Head) || here(Side::Base)
    }

    fn changed(&self, path: &str) -> bool {
        let all = self.changed.get_or_init(|| match (&self.base, self.commit(Side::Head)) {
            (Some(base), Ok(head)) => self.between(base, head),
            _ => BTreeSet::new(),
        });
        all.contains(path)
    }

    fn named_by_task(&self, _path: &str) -> bool {
        false
    }

    fn base_file(&self, path: &str) -> Option<Vec<u8>> {
        contents::blob(&self.repo, self.base.as_ref()?, path).ok().flatten()
    }

    fn renames(&self) -> Vec<(String, String)> {
        let renamed = self.renamed.get_or_init(|| match (&self.base, self.commit(Side::Head)) {
            (Some(base), Ok(head)) => contents::renames(&self.repo, base, head).unwrap_or_default(),
            _ => Vec::new(),
        });
        renamed.clone()
    }

    fn changed_lines(&self) -> Result<ChangedLines, String> {
        let (base, head) = (self.commit(Side::Base)?, self.commit(Side::Head)?);
        diff::changed_lines(&self.repo, base, head).map_err(|error| chain(&error))
    }
}
