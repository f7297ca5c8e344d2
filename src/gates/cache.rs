//! Results of tools, kept by (tree, tool version, configuration, command, what a run sees besides the tree).
//!
//! Holds only runs that were believed; an error is never kept, so it is tried again. A file that
//! is torn, of another version or for another key is a miss. Trouble with the cache never changes
//! a verdict: it is logged, and the tool runs.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::fingerprint::hash;

/// Raised when a kept result would be read wrongly by a newer program.
const FORMAT: u32 = 3;

/// More entries than this, and the oldest go.
const ENTRIES_MAX: usize = 2000;

/// Whole size of all entries.
const BYTES_MAX: u64 = 256 << 20;

/// One result larger than this is not kept.
const ENTRY_MAX: u64 = 32 << 20;

/// A temporary file older than this was left by a writer that died.
const STALE: Duration = Duration::from_hours(1);

/// A directory of results. Any number of processes may use it at once.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
}

/// What a cache holds and may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheFacts {
    /// Where it is; need not be there.
    pub directory: PathBuf,
    /// Results that are kept.
    pub entries: usize,
    /// Their whole size.
    pub bytes: u64,
    /// More entries than this, and the oldest go.
    pub entries_max: usize,
    /// More bytes than this, and the oldest go.
    pub bytes_max: u64,
}

#[derive(Serialize, Deserialize)]
struct Entry<T> {
    format: u32,
    key: String,
    kept: T,
}

impl Cache {
    /// The cache in `dir`, which is made when something is first kept.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// A directory for what is no result: beside them, for they are counted and bounded.
    pub(super) fn beside(&self, what: &str) -> PathBuf {
        let name = self.dir.file_name().unwrap_or_default().to_string_lossy();
        self.dir.with_file_name(format!("{name}-{what}"))
    }

    /// The key of a result: a hash over its parts and over this program's version.
    pub(super) fn key(parts: &[&str]) -> String {
        let mut all = vec![env!("CARGO_PKG_VERSION")];
        all.extend(parts);
        hash(&all)
    }

    /// What was kept under `key`.
    pub(super) fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let path = self.path(key);
        if fs::metadata(&path).ok()?.len() > ENTRY_MAX {
            return None;
        }
        let entry: Entry<T> = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        if entry.format != FORMAT || entry.key != key {
            return None;
        }
        // Recently used ones stay: the bound drops the oldest first.
        if let Ok(file) = File::options().append(true).open(&path)
            && let Err(error) = file.set_modified(SystemTime::now())
        {
            tracing::debug!(%error, "cannot touch a kept gate result");
        }
        Some(entry.kept)
    }

    /// Keeps a value under `key`.
    pub(super) fn put<T: Serialize>(&self, key: &str, kept: &T) {
        let entry = Entry { format: FORMAT, key: key.to_owned(), kept };
        let kept = serde_json::to_vec(&entry).map_err(io::Error::from).and_then(|b| self.write(key, &b));
        if let Err(error) = kept.and_then(|()| self.trim()) {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot keep a gate's result");
        }
    }

    /// How much is kept, and how much may be.
    ///
    /// # Errors
    /// The directory is there and cannot be read.
    pub fn facts(&self) -> io::Result<CacheFacts> {
        let kept = self.kept()?;
        Ok(CacheFacts {
            directory: self.dir.clone(),
            entries: kept.len(),
            bytes: kept.iter().map(|(_, len, _)| len).sum(),
            entries_max: ENTRIES_MAX,
            bytes_max: BYTES_MAX,
        })
    }

    /// Removes all that is kept, and nothing else that may lie there; what it was.
    ///
    /// # Errors
    /// The directory cannot be read, or a file cannot be removed.
    pub fn clear(&self) -> io::Result<CacheFacts> {
        let facts = self.facts()?;
        self.kept()?.iter().try_for_each(|(_, _, path)| remove(path))?;
        Ok(facts)
    }

    /// Entries with their age and size; none where nothing was ever kept.
    fn kept(&self) -> io::Result<Vec<(SystemTime, u64, PathBuf)>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            // One that another process has just removed is no error.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_file() && entry.path().extension().is_some_and(|end| end == "json") {
                files.push((meta.modified()?, meta.len(), entry.path()));
            }
        }
        Ok(files)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.dir.join(format!("{key}.json"))
    }

    fn write(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > ENTRY_MAX {
            return Ok(());
        }
        fs::create_dir_all(&self.dir)?;
        let temporary = self.dir.join(format!("{key}.{}.tmp", uuid::Uuid::new_v4().simple()));
        let mut file = File::create_new(&temporary)?;
        // Not synced: what a power cut leaves of it is cut short, which is no entry.
        let written = file.write_all(bytes);
        let renamed = written.and_then(|()| fs::rename(&temporary, self.path(key)));
        if renamed.is_err() {
            remove(&temporary)?;
        }
        renamed
    }

    fn trim(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            // One that another process has just removed is no error.
            let Ok(meta) = entry.metadata() else { continue };
            let modified = meta.modified()?;
            if entry.path().extension().is_some_and(|e| e == "tmp") {
                if modified.elapsed().is_ok_and(|age| age > STALE) {
                    remove(&entry.path())?;
                }
                continue;
            }
            files.push((modified, meta.len(), entry.path()));
        }
        files.sort();
        let (mut count, mut bytes) = (files.len(), files.iter().map(|(_, len, _)| len).sum::<u64>());
        for (_, len, path) in files {
            if count <= ENTRIES_MAX && bytes <= BYTES_MAX {
                break;
            }
            remove(&path)?;
            count -= 1;
            bytes -= len;
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::scan::Done;

    #[test]
    fn what_is_kept_is_found_and_what_is_torn_or_of_another_key_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(&dir.path().join("gates"));
        let (a, b) = (Cache::key(&["a", "b"]), Cache::key(&["ab", ""]));
        assert_ne!(a, b, "parts are not run together");
        assert!(cache.get::<Done>(&a).is_none());
        let done = Done { seconds: 1.5, ..Done::default() };
        cache.put(&a, &done);
        assert_eq!(cache.get(&a), Some(done));
        fs::copy(cache.path(&a), cache.path(&b)).unwrap();
        assert!(cache.get::<Done>(&b).is_none(), "the file says which key it is for");
        let bytes = fs::read(cache.path(&a)).unwrap();
        fs::write(cache.path(&a), &bytes[..bytes.len() / 2]).unwrap();
        assert!(cache.get::<Done>(&a).is_none());
        assert!(
            fs::read_dir(dir.path().join("gates"))
                .unwrap()
                .all(|e| { e.unwrap().path().extension().unwrap() == "json" })
        );
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_only_a_miss() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let cache = Cache::new(&file.join("below"));
        cache.put("k", &Done::default());
        assert!(cache.get::<Done>("k").is_none());
    }

    #[test]
    fn what_is_kept_is_counted_and_cleared_and_other_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(&dir.path().join("gates"));
        assert_eq!(cache.facts().unwrap().entries, 0, "nothing was ever kept");
        cache.put("a", &1);
        cache.put("b", &2);
        fs::write(dir.path().join("gates/mine.txt"), "mine").unwrap();
        let facts = cache.clear().unwrap();
        assert_eq!(facts.entries, 2);
        assert!(facts.bytes > 0);
        assert_eq!(cache.facts().unwrap().entries, 0);
        assert!(dir.path().join("gates/mine.txt").exists());
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path());
        for n in 0..ENTRIES_MAX {
            fs::write(dir.path().join(format!("{n}.json")), "").unwrap();
        }
        let old = File::options().append(true).open(dir.path().join("7.json")).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        cache.put("new", &Done::default());
        assert!(!dir.path().join("7.json").exists());
        assert!(cache.get::<Done>("new").is_some());
    }
}
