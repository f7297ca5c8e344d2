//! A gate's own temporary directory.

use std::fs;
use std::path::Path;

/// A gate's own temporary directory, removed when dropped.
pub(super) struct Temporary<'a> {
    dir: &'a Path,
}

impl<'a> Temporary<'a> {
    /// Makes it anew.
    pub(super) fn make(dir: &'a Path) -> Result<Self, String> {
        let told = |error: std::io::Error| {
            format!("cannot make its temporary directory `{}`: {error}", dir.display())
        };
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(told(error)),
            _ => {}
        }
        // Only itself: the one above it is the caller's, and may be gone.
        fs::create_dir(dir).map_err(told)?;
        Ok(Self { dir })
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot remove a gate's temporary directory");
        }
    }
}
