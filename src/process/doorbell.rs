//! A Unix datagram socket that only says "look": 28 µs instead of a poll of the database.
//!
//! It carries no data and promises nothing: whoever waits must also look on its own, rarely. Its
//! directory may be removed at any time, so whoever waits puts its bell up again, now and then.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// `sun_path` has 108 bytes, one of them for the final NUL.
pub const SOCKET_PATH_MAX: usize = 107;

/// Datagrams taken by one `drain`; more only mean that it was rung more often.
const DRAIN_MAX: usize = 1024;

/// Why a doorbell could not be put up.
#[derive(Debug, thiserror::Error)]
pub enum DoorbellError {
    /// The path does not fit into a socket address.
    #[error("socket path `{}` has {length} bytes, at most {SOCKET_PATH_MAX} are possible", path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// The socket cannot be made.
    #[error("cannot make the socket `{}`", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The listening side.
#[derive(Debug)]
pub struct Doorbell {
    socket: UnixDatagram,
    path: PathBuf,
    /// Device and inode of the socket's file; `None` if it could not be put up.
    file: Option<(u64, u64)>,
}

/// Whether somebody is behind a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// Somebody is, and has been rung often enough.
    Heard,
    /// The bell is there and whoever put it up is not.
    Nobody,
    /// There is no bell.
    Missing,
}

impl Doorbell {
    /// Puts up the doorbell at `path`, in place of whatever was there. It is not taken down when
    /// dropped: by then a successor may have put up its own.
    ///
    /// # Errors
    /// The path is too long, or its directory cannot be written.
    pub fn bind(path: &Path) -> Result<Self, DoorbellError> {
        let io = |source| DoorbellError::Io { path: path.to_owned(), source };
        // Made beside it and renamed, so that there is never a moment without a doorbell.
        let beside = path.with_extension("new");
        let length = path.as_os_str().as_bytes().len().max(beside.as_os_str().as_bytes().len());
        if length > SOCKET_PATH_MAX {
            return Err(DoorbellError::TooLong { path: path.to_owned(), length });
        }
        match fs::remove_file(&beside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io(e)),
            _ => {}
        }
        let socket = UnixDatagram::bind(&beside).map_err(io)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).map_err(io)?;
        socket.set_nonblocking(true).map_err(io)?;
        let file = file_id(&beside).map_err(io)?;
        fs::rename(&beside, path).map_err(io)?;
        Ok(Self { socket, path: path.to_owned(), file: Some(file) })
    }

    /// As [`Doorbell::bind`], for somebody who can do without: where the bell cannot be put up now,
    /// nobody can ring until [`Doorbell::keep`] has done it.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn bind_or_wait(path: &Path) -> io::Result<Self> {
        match Self::bind(path) {
            Ok(bell) => Ok(bell),
            Err(error) => {
                tracing::debug!(%error, "no doorbell; it looks now and then");
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Ok(Self { socket, path: path.to_owned(), file: None })
            }
        }
    }

    /// Where it is, or is to be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is where it was put up.
    pub fn is_up(&self) -> bool {
        self.file.is_some() && file_id(&self.path).ok() == self.file
    }

    /// Puts it up again where it is gone, with its directory as a rule; whether it had to. What was
    /// rung in between is not heard: look.
    ///
    /// # Errors
    /// As [`Doorbell::bind`]; the old one stays.
    pub fn keep(&mut self) -> Result<bool, DoorbellError> {
        if self.is_up() {
            return Ok(false);
        }
        *self = Self::bind(&self.path)?;
        Ok(true)
    }

    /// Takes all rings that have come; how many (0: none).
    ///
    /// # Errors
    /// The socket cannot be read.
    pub fn drain(&self) -> io::Result<usize> {
        let mut byte = [0; 1];
        for rings in 0..DRAIN_MAX {
            match self.socket.recv(&mut byte) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(rings),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(DRAIN_MAX)
    }

    /// The socket, for tokio.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn try_clone_socket(&self) -> io::Result<UnixDatagram> {
        self.socket.try_clone()
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Device and inode of a file, not of what a link points to.
fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

/// Rings at `path`, without waiting. Nobody there, or one that has been rung enough, is no error.
///
/// # Errors
/// Anything else: the path is too long, no permission, out of descriptors.
pub fn ring(path: &Path) -> io::Result<Rung> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match socket.send_to(b"!", path) {
        Ok(_) => Ok(Rung::Heard),
        Err(e) => match e.kind() {
            io::ErrorKind::WouldBlock => Ok(Rung::Heard),
            io::ErrorKind::ConnectionRefused => Ok(Rung::Nobody),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Rung::Missing),
            _ => Err(e),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_heard_and_a_missing_bell_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bell.sock");
        assert_eq!(ring(&path).unwrap(), Rung::Missing);
        assert_eq!(ring(&dir.path().join("file/bell.sock")).unwrap(), Rung::Missing);
        let bell = Doorbell::bind(&path).unwrap();
        assert_eq!(bell.drain().unwrap(), 0);
        for _ in 0..5000 {
            ring(&path).unwrap();
        }
        assert!(bell.drain().unwrap() > 0);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(bell);
        // A child that another test is just starting may hold the socket a moment longer.
        assert_ne!(ring(&path).unwrap(), Rung::Missing);
        let again = Doorbell::bind(&path).unwrap();
        assert_eq!(ring(&path).unwrap(), Rung::Heard);
        assert_eq!(again.drain().unwrap(), 1);
    }

    #[test]
    fn a_bell_whose_directory_was_removed_is_put_up_again_and_another_ones_is_not_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (below, path) = (dir.path().join("x"), dir.path().join("x/bell.sock"));
        let mut bell = Doorbell::bind_or_wait(&path).unwrap();
        assert!(!bell.is_up() && bell.keep().is_err(), "there is no directory");
        fs::create_dir(&below).unwrap();
        assert!(bell.keep().unwrap() && bell.is_up() && !bell.keep().unwrap());
        fs::remove_dir_all(&below).unwrap();
        assert!(!bell.is_up());
        fs::create_dir(&below).unwrap();
        let other = Doorbell::bind(&path).unwrap();
        assert!(!bell.is_up(), "that is another one's");
        assert!(bell.keep().unwrap() && !other.is_up());
        assert_eq!(ring(&path).unwrap(), Rung::Heard);
        assert_eq!(bell.drain().unwrap(), 1);
    }

    #[test]
    fn a_path_that_does_not_fit_is_refused_by_its_length() {
        let path = PathBuf::from(format!("/tmp/{}", "x".repeat(103)));
        assert!(matches!(Doorbell::bind(&path), Err(DoorbellError::TooLong { length: 112, .. })));
    }
}
