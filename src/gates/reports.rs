//! Reading what a tool left: bounded, and never through a link.

use std::fs;
use std::path::Path;

/// A report larger than this is an error: nothing honest prints so much.
pub(super) const REPORT_MAX: usize = 64 << 20;

/// A report: neither a symbolic link nor a pipe, but what the tool wrote there; empty where there is none.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn read_report(path: &Path) -> Result<Vec<u8>, String> {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_file() && meta.len() <= REPORT_MAX as u64 => {}
        Ok(meta) if meta.is_file() => {
            return Err(format!("its report has more than {} MiB", REPORT_MAX >> 20));
        }
        Ok(_) => return Err(format!("its report `{}` is not a file", path.display())),
        // The parser says what is missing, or finds the reason in what was printed.
        Err(_) => return Ok(Vec::new()),
    }
    fs::read(path).map_err(|e| format!("cannot read its report `{}`: {e}", path.display()))
}
