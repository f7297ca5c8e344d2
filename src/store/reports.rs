//! Report files: what a run's worker leaves before its inbox row, so that a result is never lost.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::domain::report::Filed;
use crate::process::private::make_private;
use crate::redact;

/// Larger files are not reports of ours.
const REPORT_BYTES_MAX: u64 = 16 * 1024 * 1024;

fn io(path: &Path) -> impl Fn(std::io::Error) -> StoreError + '_ {
    move |source| StoreError::Io { path: path.to_owned(), source }
}

/// Where the report of a run lies.
pub fn path(run_directory: &Path) -> PathBuf {
    run_directory.join("report.json")
}

/// Writes the report, without secrets; durable when it returns: file and directory are synced, and a reader sees
/// the whole of it or nothing.
///
/// # Errors
/// What the file system says.
pub fn write(run_directory: &Path, filed: &Filed) -> Result<(), StoreError> {
    // It lies where an agent could remove it.
    make_private(run_directory).map_err(|error| io(run_directory)(std::io::Error::other(error)))?;
    let (part, whole) = (run_directory.join("report.part"), path(run_directory));
    let mut filed = filed.clone();
    filed.report.each_text(&mut redact::in_place);
    let text = serde_json::to_vec(&filed).map_err(StoreError::row("report.json"))?;
    let mut file = File::create(&part).map_err(io(&part))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(io(&part))?;
    fs::rename(&part, &whole).map_err(io(&whole))?;
    File::open(run_directory).and_then(|directory| directory.sync_all()).map_err(io(run_directory))
}

/// Reads the report of a run, if there is one.
///
/// # Errors
/// [`StoreError::Row`] if it is damaged, or what the file system says.
pub fn read(run_directory: &Path) -> Result<Option<Filed>, StoreError> {
    let whole = path(run_directory);
    let size = match fs::metadata(&whole) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(&whole)(error)),
    };
    if size > REPORT_BYTES_MAX {
        return Err(io(&whole)(std::io::Error::other("too large for a report")));
    }
    let text = fs::read(&whole).map_err(io(&whole))?;
    serde_json::from_slice(&text).map(Some).map_err(StoreError::row("report.json"))
}
