//! A gate's own directory, and the reports that its tool leaves.

use std::fs;
use std::path::Path;

/// A report larger than this is an error: nothing honest prints so much.
pub(super) const REPORT_MAX: usize = 64 << 20;

/// What the tool wrote there: empty where it wrote nothing, which the parser explains.
pub(super) fn read_report(path: &Path) -> Result<Option<Vec<u8>>, String> {
    // Neither a symbolic link nor a pipe: a report is what the tool wrote there.
    match path.symlink_metadata() {
        Ok(meta) if meta.is_file() && meta.len() <= REPORT_MAX as u64 => {}
        Ok(meta) if meta.is_file() => {
            return Err(format!("its report has more than {} MiB", REPORT_MAX >> 20));
        }
        Ok(_) => return Err(format!("its report `{}` is not a file", path.display())),
        // The parser says what is missing, or finds the reason in what was printed.
        Err(_) => return Ok(Some(Vec::new())),
    }
    fs::read(path).map(Some).map_err(|e| format!("cannot read its report `{}`: {e}", path.display()))
}

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
