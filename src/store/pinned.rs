//! Who reads the database at this moment: each reader holds a lock on a byte of the file beside it.

use std::ops::RangeInclusive;
use std::path::Path;

use super::StoreError;
use super::open::beside;
use crate::process::identity::ProcId;
use crate::process::locked::holders;

/// The log is not to be longer than this.
pub const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The bytes of SQLite's five marks for readers (its "WAL-mode file format").
const READERS: RangeInclusive<u64> = 123..=127;

/// The processes that read it, this one among them.
///
/// # Errors
/// The kernel does not tell.
pub fn readers(path: &Path) -> Result<Vec<ProcId>, StoreError> {
    let shared = beside(path, "-shm");
    if !shared.exists() {
        return Ok(Vec::new());
    }
    holders(&shared, &READERS).map_err(|source| StoreError::Io { path: shared, source })
}

/// Bytes of the log.
pub fn log_bytes(path: &Path) -> u64 {
    std::fs::metadata(beside(path, "-wal")).map_or(0, |meta| meta.len())
}
