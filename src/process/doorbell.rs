//! A Unix datagram socket that only says "look": 28 µs instead of a poll of the database.
//!
//! It carries no data and promises nothing: whoever waits must also look on its own, rarely.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
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
        fs::rename(&beside, path).map_err(io)?;
        Ok(Self { socket })
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

/// Rings at `path`, without waiting. Nobody there, or one that has been rung enough, is no error.
///
/// # Errors
/// Anything else: the path is too long, no permission, out of descriptors.
pub fn ring(path: &Path) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match socket.send_to(b"!", path) {
        Ok(_) => Ok(()),
        Err(e) => match e.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::WouldBlock => Ok(()),
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
        ring(&path).unwrap();
        let bell = Doorbell::bind(&path).unwrap();
        assert_eq!(bell.drain().unwrap(), 0);
        for _ in 0..5000 {
            ring(&path).unwrap();
        }
        assert!(bell.drain().unwrap() > 0);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(bell);
        ring(&path).unwrap();
        let again = Doorbell::bind(&path).unwrap();
        ring(&path).unwrap();
        assert_eq!(again.drain().unwrap(), 1);
    }

    #[test]
    fn a_path_that_does_not_fit_is_refused_by_its_length() {
        let path = PathBuf::from(format!("/tmp/{}", "x".repeat(103)));
        assert!(matches!(Doorbell::bind(&path), Err(DoorbellError::TooLong { length: 112, .. })));
    }
}
