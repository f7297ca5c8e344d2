//! Files that git changes on their way into the checkout: a directory of a commit gets them from there, where it can.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::HandTrees;
use crate::gates::{Room, Side, Trees as _};
use crate::git::filters::{self, Filtered};

impl HandTrees {
    /// Files that git changes on their way into the checkout; `None` where that cannot be told.
    pub(super) fn filtered(&self) -> Option<&[Filtered]> {
        let look = || {
            let mut files = self.files(Side::Head).ok()?;
            files.extend(self.base.iter().flat_map(|_| self.files(Side::Base)).flatten());
            files.sort_unstable();
            files.dedup();
            filters::filtered(&self.repo, &files).ok()
        };
        self.filtered.get_or_init(look).as_deref()
    }

    /// Those of them that a directory of that side gets from the checkout, and those that it has as they are committed.
    pub(super) fn filtered_of(&self, side: Side) -> Option<(Vec<Filtered>, Vec<Filtered>)> {
        match self.filtered()? {
            [] => Some((Vec::new(), Vec::new())),
            some => filters::in_checkout(&self.repo, self.commit(side).ok()?, some).ok(),
        }
    }

    /// Why a directory of a commit was not as the checkout is, where a filter has made a difference.
    pub(super) fn unlike_checkout(&self) -> Option<String> {
        let is_written_out = |side: &Side| self.directory(*side, Room::Working).is_some();
        for side in [Side::Base, Side::Head].into_iter().filter(is_written_out) {
            let Some((_, unlike)) = self.filtered_of(side) else {
                return Some("it cannot be told which files git filters".to_owned());
            };
            if let Some(Filtered { path, driver }) = unlike.first() {
                return Some(format!(
                    "`{path}` was not as in the checkout, for gates run no filter of git, as `{driver}`"
                ));
            }
        }
        None
    }

    pub(super) fn bring_filtered(&self, side: Side, directory: &Path) -> Result<(), String> {
        for one in self.filtered_of(side).unwrap_or_default().0 {
            let told = |error| format!("`{}` cannot be copied: {error}", one.path);
            std::fs::copy(self.repo.top.join(&one.path), directory.join(&one.path)).map_err(told)?;
        }
        Ok(())
    }

    /// As they lie in the checkout now; what a filter has made of a file, its tree does not say.
    pub(super) fn seen<'f>(&self, files: impl IntoIterator<Item = &'f Filtered>) -> String {
        let seen = |one: &Filtered| {
            let meta = self.repo.top.join(&one.path).symlink_metadata();
            let of = meta.map_or((0, 0, 0), |meta| (meta.len(), meta.mtime(), meta.mtime_nsec()));
            format!("\n{} {of:?}", one.path)
        };
        files.into_iter().map(seen).collect()
    }
}
