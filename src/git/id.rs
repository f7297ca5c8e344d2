//! `sprint.id` in the common git directory: which repository this is, whatever its path.
//!
//! The file holds a random id and the path that it was made for. A new clone has none and a copy
//! has somebody else's path: both get a new id, so they never share a state directory.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::durable;
use super::error::{Error, IoContext, Result};
use super::repo::Repo;

/// The longest `sprint.id` that is read.
const FILE_MAX: u64 = 16 * 1024;
const FILE: &str = "sprint.id";

/// The identity of one repository on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoId {
    /// 32 hex digits, random.
    pub id: String,
    /// What makes names unique: the first 10 hex digits of a hash of the id.
    pub hash: String,
}

/// How [`ensure`] came by the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It was there.
    Kept,
    /// The repository had none.
    Fresh,
    /// The repository is a copy of, or was moved from, the one at this path: it begins afresh.
    Copied(String),
}

#[derive(Serialize, Deserialize)]
struct File {
    id: String,
    /// For people; not every path is Unicode, so it is not compared.
    path: String,
    path_sha256: String,
}

/// The id, if the repository has a valid one. Changes nothing.
///
/// # Errors
/// [`Error::Io`] if the file is there and cannot be read.
pub fn read(repo: &Repo) -> Result<Option<RepoId>> {
    let own = path_hash(&repo.common_dir);
    Ok(load(&file(repo))?.filter(|f| f.path_sha256 == own).map(|f| repo_id(f.id)))
}

/// The id; makes one where there is none or where it belongs to another path.
///
/// # Errors
/// [`Error::Io`] if it cannot be read or written.
pub fn ensure(repo: &Repo) -> Result<(RepoId, Origin)> {
    let path = file(repo);
    let own = path_hash(&repo.common_dir);
    match load(&path)? {
        Some(found) if found.path_sha256 == own => Ok((repo_id(found.id), Origin::Kept)),
        Some(found) => {
            let id = write(repo, &path, &Replace::Yes)?;
            Ok((id, Origin::Copied(found.path)))
        }
        None => Ok((write(repo, &path, &Replace::No)?, Origin::Fresh)),
    }
}

enum Replace {
    Yes,
    No,
}

/// Writes a temporary file and puts it in place whole. Of two processes that find no id one wins,
/// and both use the winner's.
fn write(repo: &Repo, path: &Path, replace: &Replace) -> Result<RepoId> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let file = File {
        id: id.clone(),
        path: repo.common_dir.to_string_lossy().into_owned(),
        path_sha256: path_hash(&repo.common_dir),
    };
    let text = serde_json::to_vec_pretty(&file).expect("three strings are JSON");
    let temporary = path.with_extension(format!("id.{id}"));
    let mut out = std::fs::File::create(&temporary).at("create", &temporary)?;
    out.write_all(&text).and_then(|()| out.sync_all()).at("write", &temporary)?;
    match replace {
        Replace::Yes => std::fs::rename(&temporary, path).at("write", path)?,
        Replace::No => {
            let linked = std::fs::hard_link(&temporary, path);
            std::fs::remove_file(&temporary).at("remove", &temporary)?;
            match linked {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                other => other.at("write", path)?,
            }
        }
    }
    durable::sync_dir(&repo.common_dir)?;
    let found = load(path)?.ok_or_else(|| malformed(path, "it disappeared while it was written"))?;
    Ok(repo_id(found.id))
}

/// None if it is absent or torn (an id that cannot be read names nothing, a new one is made).
fn load(path: &Path) -> Result<Option<File>> {
    let size = match std::fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Io { what: "read", path: path.to_owned(), source }),
    };
    if size > FILE_MAX {
        return Err(malformed(path, "it is not one of sprint's: too long"));
    }
    let text = std::fs::read(path).at("read", path)?;
    match serde_json::from_slice::<File>(&text) {
        Ok(file) if is_id(&file.id) => Ok(Some(file)),
        _ => Err(malformed(path, "it is not one of sprint's; remove it to begin afresh")),
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn malformed(path: &Path, what: &str) -> Error {
    Error::Malformed { path: path.to_owned(), what: what.to_owned() }
}

fn file(repo: &Repo) -> PathBuf {
    repo.common_dir.join(FILE)
}

fn repo_id(id: String) -> RepoId {
    let hash = hex(&Sha256::digest(id.as_bytes()))[..10].to_owned();
    RepoId { id, hash }
}

fn path_hash(path: &Path) -> String {
    hex(&Sha256::digest(path.as_os_str().as_bytes()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every text");
        text
    })
}
