//! Directories that are the person's alone: mode 0700, and never one that somebody else made first,
//! in a shared `/tmp` for instance.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a directory is not there, or is not used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// It cannot be made.
    #[error("`{}` cannot be made", path.display())]
    Make {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It cannot be looked at, or not be closed to others.
    #[error("`{}` cannot be used", path.display())]
    Use {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Somebody else's, or no directory.
    #[error("`{}` is not a directory of yours", path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
    },
}

/// Makes the directory and those above it, as far as they are not there, and closes it to others.
///
/// # Errors
/// [`PrivateError`].
pub fn make_private(path: &Path) -> Result<(), PrivateError> {
    let make = |source| PrivateError::Make { path: path.to_owned(), source };
    let told = |source| PrivateError::Use { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(make)?;
    let meta = fs::symlink_metadata(path).map_err(told)?;
    if !meta.is_dir() || meta.uid() != nix::unistd::getuid().as_raw() {
        return Err(PrivateError::NotOurs { path: path.to_owned() });
    }
    // Nothing for the group, nothing for others.
    if meta.permissions().mode().trailing_zeros() >= 6 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_closed_and_a_link_or_a_file_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        make_private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        make_private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(make_private(&link), Err(PrivateError::NotOurs { .. })));
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(make_private(&file.join("x")), Err(PrivateError::Make { .. })));
    }
}
