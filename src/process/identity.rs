//! Who a process is: boot id, pid and start time together, because a pid alone comes back.
//!
//! Signals go through a pidfd that is opened first and checked against the start time after, so
//! that a recycled pid is never hit.

#![expect(unsafe_code, reason = "pidfd_open and pidfd_send_signal have no safe wrapper")]

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::wait::wait_readable;

/// A process that cannot be mistaken for another one, not even after a reboot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcId {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The process id.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: clock ticks since boot.
    pub start_ticks: u64,
}

impl fmt::Display for ProcId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.pid, self.start_ticks)
    }
}

impl ProcId {
    /// The identity of this process.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id().cast_signed())
    }

    /// The identity of the process that has `pid` now, a zombie too.
    ///
    /// # Errors
    /// There is none, or `/proc` cannot be read.
    pub fn of(pid: i32) -> io::Result<Self> {
        let stat = read_stat(pid)?;
        Ok(Self { boot_id: boot_id()?.to_owned(), pid, start_ticks: stat.start_ticks })
    }

    /// Whether this very process still runs; a zombie does not.
    pub fn alive(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot_id)
            && read_stat(self.pid).is_ok_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_dead())
    }

    /// A pidfd of this very process; `None` if it is gone (also when its pid has a new owner).
    ///
    /// # Errors
    /// The kernel refuses for another reason than that the process is gone.
    pub fn open(&self) -> io::Result<Option<PidFd>> {
        if boot_id()? != self.boot_id {
            return Ok(None);
        }
        let Some(fd) = PidFd::open(self.pid)? else { return Ok(None) };
        // The pidfd pins the process; whoever has the pid now is the one that it pins.
        match read_stat(self.pid) {
            Ok(stat) if stat.start_ticks == self.start_ticks => Ok(Some(fd)),
            _ => Ok(None),
        }
    }
}

/// A handle on one process: readable (in `poll`) when it has exited.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens the process that has `pid` now; `None` if there is none.
    ///
    /// # Errors
    /// The kernel refuses (out of descriptors, for example).
    pub fn open(pid: i32) -> io::Result<Option<Self>> {
        // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        match i32::try_from(fd) {
            Ok(fd) if fd >= 0 => {
                // SAFETY: the kernel has just made this descriptor; nobody else owns it.
                Ok(Some(Self(unsafe { OwnedFd::from_raw_fd(fd) })))
            }
            _ => match Errno::last() {
                Errno::ESRCH | Errno::EINVAL => Ok(None),
                errno => Err(errno.into()),
            },
        }
    }

    /// Sends a signal; a process that is gone already is not an error.
    ///
    /// # Errors
    /// Not permitted.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let info: *const libc::siginfo_t = std::ptr::null();
        // SAFETY: the descriptor is open as long as `self`; a null siginfo is allowed.
        let done =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal as i32, info, 0) };
        match (done, Errno::last()) {
            (0, _) | (_, Errno::ESRCH) => Ok(()),
            (_, errno) => Err(errno.into()),
        }
    }

    /// Whether the process has exited (it may be a zombie still).
    pub fn has_exited(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Waits until the process has exited; false when the time is over first.
    pub fn wait(&self, limit: Duration) -> bool {
        matches!(wait_readable([Some(self.0.as_fd())], limit), Ok([true]))
    }

    /// Gives up the descriptor, for an event loop.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for PidFd {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

/// What sprint reads of `/proc/<pid>/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The process id.
    pub pid: i32,
    /// The name, at most 15 bytes; anything may be in it.
    pub name: String,
    /// `R`, `S`, `D`, `Z`, …
    pub state: char,
    /// The parent.
    pub parent: i32,
    /// The process group.
    pub group: i32,
    /// The session.
    pub session: i32,
    /// The number of its controlling terminal; 0 without one.
    pub terminal: i32,
    /// Its threads that have not ended.
    pub threads: u64,
    /// Ticks of CPU, user and system, without its children.
    pub cpu_ticks: u64,
    /// Those of children that it has waited for.
    pub child_ticks: u64,
    /// Clock ticks since boot.
    pub start_ticks: u64,
    /// Resident pages.
    pub rss_pages: u64,
}

impl Stat {
    /// A zombie or worse: it runs no more. The state is the first thread's; a program whose first
    /// thread has ended runs on in the others.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x') && self.threads <= 1
    }
}

/// Parses `/proc/<pid>/stat`. The name stands in parentheses and may hold spaces, parentheses and
/// newlines itself, so the fields are counted from the last `)`.
pub fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    let open = bytes.iter().position(|&b| b == b'(')?;
    let close = bytes.iter().rposition(|&b| b == b')')?;
    let name = String::from_utf8_lossy(bytes.get(open + 1..close)?).into_owned();
    let pid = std::str::from_utf8(&bytes[..open]).ok()?.trim().parse().ok()?;
    let rest = std::str::from_utf8(&bytes[close + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let signed = |index: usize| fields.get(index)?.parse::<i32>().ok();
    Some(Stat {
        pid,
        name,
        state: fields.first()?.chars().next()?,
        parent: signed(1)?,
        group: signed(2)?,
        session: signed(3)?,
        terminal: signed(4)?,
        threads: number(17)?,
        cpu_ticks: number(11)?.saturating_add(number(12)?),
        child_ticks: number(13)?.saturating_add(number(14)?),
        start_ticks: number(19)?,
        rss_pages: number(21)?,
    })
}

/// Reads and parses `/proc/<pid>/stat`.
///
/// # Errors
/// The process is gone, or the line is not what the kernel documents.
pub fn read_stat(pid: i32) -> io::Result<Stat> {
    let bytes = fs::read(format!("/proc/{pid}/stat"))?;
    parse_stat(&bytes)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable /proc/<pid>/stat"))
}

/// The id of this boot.
///
/// # Errors
/// `/proc` is not mounted.
pub fn boot_id() -> io::Result<&'static str> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(known) = BOOT.get() {
        return Ok(known);
    }
    let read = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT.get_or_init(|| read.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    const LINE: &str = "S 1 42 43 0 -1 4194560 1 2 3 4 7 5 2 1 20 0 1 0 987654 1000 321 18446744073709551615";

    #[test]
    fn a_name_with_parentheses_spaces_and_newlines_is_read() {
        for name in ["sh", "a b", "(sd-pam)", "x) R 1 1 (", "a\nb", ")", ""] {
            let stat = parse_stat(format!("42 ({name}) {LINE}").as_bytes()).unwrap();
            assert_eq!((stat.pid, stat.name.as_str(), stat.state), (42, name, 'S'));
            assert_eq!((stat.parent, stat.group, stat.session), (1, 42, 43));
            assert_eq!((stat.cpu_ticks, stat.start_ticks, stat.rss_pages), (12, 987_654, 321));
            assert_eq!((stat.terminal, stat.child_ticks, stat.threads), (0, 3, 1));
        }
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_runs_on() {
        let dead = |line: &str| parse_stat(format!("42 (py) {line}").as_bytes()).unwrap().is_dead();
        let zombie = LINE.replacen('S', "Z", 1);
        assert!(dead(&zombie) && !dead(LINE));
        assert!(!dead(&zombie.replacen(" 20 0 1 0 ", " 20 0 3 0 ", 1)));
    }

    proptest! {
        #[test]
        fn nothing_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_stat(&bytes);
        }
    }

    #[test]
    fn an_identity_outlives_neither_its_process_nor_its_start_time() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcId::of(child.id().cast_signed()).unwrap();
        assert!(id.alive());
        let other = ProcId { start_ticks: id.start_ticks + 1, ..id.clone() };
        assert!(!other.alive() && other.open().unwrap().is_none());
        let fd = id.open().unwrap().unwrap();
        assert!(!fd.has_exited());
        fd.signal(Signal::SIGKILL).unwrap();
        assert!(fd.wait(Duration::from_secs(5)));
        assert!(!id.alive(), "a zombie is not alive");
        child.wait().unwrap();
        fd.signal(Signal::SIGKILL).unwrap();
        assert!(id.open().unwrap().is_none());
    }
}
