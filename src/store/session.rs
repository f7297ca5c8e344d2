//! `start.json`: what every process of a sprint must know of the person who started it.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;

/// What `start` found. Readable by the person alone: an environment holds secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The person's checkout.
    pub checkout: PathBuf,
    /// `user.name`.
    pub name: String,
    /// `user.email`.
    pub email: String,
    /// The environment; bytes, because a variable need not be UTF-8.
    environment: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Session {
    /// What `start` found.
    pub fn new(
        checkout: &Path,
        name: &str,
        email: &str,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Self {
        Self {
            checkout: checkout.to_owned(),
            name: name.to_owned(),
            email: email.to_owned(),
            environment: environment.map(|(key, value)| (key.into_vec(), value.into_vec())).collect(),
        }
    }

    /// The person's environment.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let os = |bytes: &Vec<u8>| std::ffi::OsStr::from_bytes(bytes).to_owned();
        self.environment.iter().map(|(key, value)| (os(key), os(value))).collect()
    }

    /// Writes the file in one piece, 0600.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, path: &Path) -> Result<(), StoreError> {
        let io = |source| StoreError::Io { path: path.to_owned(), source };
        let part = path.with_extension(format!("{}.part", std::process::id()));
        let text = serde_json::to_vec(self).map_err(StoreError::row("start.json"))?;
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&part)
            .map_err(io)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(io)?;
        fs::rename(&part, path).map_err(io)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// It is not there, or not what [`Session::write`] writes.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let text = fs::read(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
        serde_json::from_slice(&text).map_err(StoreError::row("start.json"))
    }
}
