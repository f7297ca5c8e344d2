//! One `poll` over whatever a synchronous loop waits for.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Waits until one of `fds` is readable (or closed at its other end), at most `limit`; which ones
/// are, in their order. `None` stands for something that is not waited for now. An interrupted
/// wait ends early with none.
///
/// # Errors
/// Too many descriptors, or out of memory.
pub fn wait_readable<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    limit: Duration,
) -> io::Result<[bool; N]> {
    let mut ready = [false; N];
    let present: Vec<usize> = (0..N).filter(|&index| fds[index].is_some()).collect();
    let mut polled: Vec<PollFd<'_>> =
        fds.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    match poll(&mut polled, timeout(limit)) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    for (index, fd) in present.into_iter().zip(&polled) {
        ready[index] = fd.any().unwrap_or(false);
    }
    Ok(ready)
}

/// Rounded up: a wait of 0 ms just before the moment would spin. At most 24 days.
pub fn timeout(limit: Duration) -> PollTimeout {
    let millis = i32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::fd::AsFd;

    #[test]
    fn it_tells_which_one_and_keeps_its_limit() {
        let (quiet, _keep) = io::pipe().unwrap();
        let (loud, mut writer) = io::pipe().unwrap();
        let wait = |limit| wait_readable([Some(quiet.as_fd()), None, Some(loud.as_fd())], limit).unwrap();
        assert_eq!(wait(Duration::from_micros(10)), [false; 3]);
        writer.write_all(b"x").unwrap();
        assert_eq!(wait(Duration::MAX), [false, false, true]);
        drop(writer);
        assert_eq!(wait(Duration::MAX), [false, false, true]);
    }
}
