//! The one asynchronous thing here: waiting for the exit of a process that is not our child.

#![expect(unsafe_code, reason = "AsyncFd asks for a promise about its descriptor")]

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::identity::ProcId;

/// Watches one process through its pidfd.
#[derive(Debug)]
pub struct Watch {
    fd: AsyncFd<OwnedFd>,
}

impl Watch {
    /// Watches this very process; `None` if it is gone already. Inside a tokio runtime only.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new(id: &ProcId) -> io::Result<Option<Self>> {
        let Some(pidfd) = id.open()? else { return Ok(None) };
        // SAFETY: an OwnedFd returns the same descriptor every time and keeps it open until it is
        // dropped, which AsyncFd does only after its registration.
        let fd = unsafe { AsyncFd::register_with_interest(pidfd.into_fd(), Interest::READABLE) }?;
        Ok(Some(Self { fd }))
    }

    /// Returns when it has exited. May be dropped and called again.
    ///
    /// # Errors
    /// The runtime shuts down.
    pub async fn exited(&self) -> io::Result<()> {
        self.fd.readable().await.map(|_| ())
    }
}

/// Whether the process is gone within `limit`.
///
/// # Errors
/// Out of descriptors, or the runtime shuts down.
pub async fn gone_within(id: &ProcId, limit: Duration) -> io::Result<bool> {
    let Some(watch) = Watch::new(id)? else { return Ok(true) };
    match tokio::time::timeout(limit, watch.exited()).await {
        Ok(exited) => exited.map(|()| true),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_exit_is_seen_and_a_living_process_is_not_gone() {
        let mut child = std::process::Command::new("sleep").arg("300").spawn().unwrap();
        let id = ProcId::of(child.id().cast_signed()).unwrap();
        assert!(!gone_within(&id, Duration::from_millis(20)).await.unwrap());
        child.kill().unwrap();
        assert!(gone_within(&id, Duration::from_secs(10)).await.unwrap());
        child.wait().unwrap();
        assert!(Watch::new(&id).unwrap().is_none());
    }
}
