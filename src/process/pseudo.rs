//! A pseudo-terminal for one child: it sees a screen of its own, and we have the other side.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::libc;
use nix::pty::{Winsize, openpty};

use super::child::{Read, Running, Session, SpawnError, Spec, isolate, start};

nix::ioctl_write_ptr_bad!(set_size, libc::TIOCSWINSZ, Winsize);
nix::ioctl_read_bad!(get_size, libc::TIOCGWINSZ, Winsize);

/// Rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// From top to bottom.
    pub rows: u16,
    /// From left to right.
    pub columns: u16,
}

impl Size {
    /// Of a terminal; `None`: it is none, or does not know.
    pub fn of(terminal: BorrowedFd<'_>) -> Option<Self> {
        use std::os::fd::AsRawFd as _;
        let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is open for the borrow, and the kernel fills a plain structure.
        #[expect(unsafe_code, reason = "an ioctl on a borrowed descriptor")]
        let got = unsafe { get_size(terminal.as_raw_fd(), &raw mut size) };
        let size = got.ok().map(|_| Self { rows: size.ws_row, columns: size.ws_col })?;
        (size.rows > 0 && size.columns > 0).then_some(size)
    }

    fn winsize(self) -> Winsize {
        Winsize { ws_row: self.rows, ws_col: self.columns, ws_xpixel: 0, ws_ypixel: 0 }
    }
}

/// Our side of a child's terminal; reads and writes never wait.
#[derive(Debug)]
pub struct Master(File);

/// Starts a child with a terminal of its own, as `spec` says but for its standard streams.
///
/// # Errors
/// [`SpawnError`] says what is missing.
pub fn spawn(spec: &Spec, size: Size) -> Result<(Running, Master), SpawnError> {
    let failed = |source: io::Error| SpawnError::Os { program: spec.program.clone(), source };
    let (master, slave) = open(size).map_err(failed)?;
    let again = || slave.try_clone().map(Stdio::from).map_err(failed);
    let mut command = Command::new(&spec.program);
    // Its size is that of its terminal, and not of another one, or of none.
    let env = spec.env.iter().filter(|(name, _)| name != "COLUMNS" && name != "LINES");
    command.args(&spec.args).current_dir(&spec.cwd).env_clear().envs(env.cloned());
    command.stdin(again()?).stdout(again()?).stderr(again()?);
    let (fence, entry) = spec.fence();
    isolate(&mut command, Session::Terminal, entry);
    Ok((start(spec, &mut command, fence)?, master))
}

fn open(size: Size) -> io::Result<(Master, OwnedFd)> {
    let pair = openpty(Some(&size.winsize()), None)?;
    for end in [&pair.master, &pair.slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    let flags = OFlag::from_bits_retain(fcntl(&pair.master, FcntlArg::F_GETFL)?);
    fcntl(&pair.master, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok((Master(File::from(pair.master)), pair.slave))
}

impl Master {
    /// Reads once. When nobody has the other side open any more, that is its end.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Read> {
        match self.0.read(buffer) {
            Ok(0) => Ok(Read::Eof),
            Ok(count) => Ok(Read::Bytes(count)),
            Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => Ok(Read::Eof),
            Err(error) if is_for_now(&error) => Ok(Read::WouldBlock),
            Err(error) => Err(error),
        }
    }

    /// Writes what it takes now, and says how much.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if is_for_now(&error) => Ok(0),
            // Nobody reads there any more: the child's end is told by its process.
            Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => Ok(bytes.len()),
            other => other,
        }
    }

    /// The child's screen has another size; it is told by SIGWINCH.
    ///
    /// # Errors
    /// What the system says.
    pub fn resize(&self, size: Size) -> io::Result<()> {
        use std::os::fd::AsRawFd as _;
        let winsize = size.winsize();
        // SAFETY: the descriptor is ours and open, and the kernel only reads a plain structure.
        #[expect(unsafe_code, reason = "an ioctl on an own descriptor")]
        unsafe { set_size(self.0.as_raw_fd(), &raw const winsize) }?;
        Ok(())
    }
}

impl AsFd for Master {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn is_for_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
