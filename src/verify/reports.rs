//! Reads the report files.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::Unreadable;
use super::facts::ReportFile;

/// Larger ones are no reports.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// One for every run that has filed one.
pub(super) fn read(runs: &Path) -> Result<Vec<ReportFile>, Unreadable> {
    let failed = |source| Unreadable::Files { path: runs.to_owned(), source };
    let entries = match fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let directory = entry.map_err(failed)?;
        let path = directory.path().join("report.json");
        let place = directory.file_name().to_string_lossy().into_owned();
        match fs::metadata(&path) {
            Ok(file) if file.len() <= BYTES_MAX => {
                let said = fs::read(&path).map_err(|error| error.to_string());
                let said = said.and_then(|text| serde_json::from_slice(&text).map_err(|e| e.to_string()));
                found.push(ReportFile { place, said });
            }
            Ok(_) => found.push(ReportFile { place, said: Err("it is too large".to_owned()) }),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => found.push(ReportFile { place, said: Err(error.to_string()) }),
        }
    }
    found.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(found)
}
