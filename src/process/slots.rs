//! A machine-wide semaphore of weights: one slot a core, each a flocked file.
//!
//! All slots of one request are taken at once under one lock, so two requests can never hold half
//! of each other's. A killed holder frees its slots by dying; nothing is ever cleaned up.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::lock;

/// Between two looks at the slots while others hold them; flock has no queue with a timeout.
pub const LOOK: Duration = Duration::from_millis(20);

/// The slots of one machine.
#[derive(Debug, Clone)]
pub struct Slots {
    dir: PathBuf,
    cores: usize,
}

/// Slots that are held until this is dropped.
#[derive(Debug)]
#[must_use = "the slots are free again when this is dropped"]
pub struct Guard {
    files: Vec<Flock<File>>,
}

impl Guard {
    /// How many slots it holds.
    pub fn weight(&self) -> usize {
        self.files.len()
    }
}

/// Why no slots were given.
#[derive(Debug, thiserror::Error)]
pub enum SlotsError {
    /// The caller cancelled while it waited.
    #[error("cancelled while waiting for {weight} gate slots")]
    Cancelled {
        /// What was asked for, clamped.
        weight: usize,
    },
    /// The directory or a slot file cannot be used.
    #[error("cannot use the gate slots in `{}`", dir.display())]
    Io {
        /// The directory of the slots.
        dir: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Slots {
    /// The slots in `dir` (made if missing), `cores` of them, at least one.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn new(dir: &Path, cores: usize) -> Result<Self, SlotsError> {
        let io = |source| SlotsError::Io { dir: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(io)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(io)?;
        Ok(Self { dir: dir.to_owned(), cores: cores.max(1) })
    }

    /// How many there are.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Takes `weight` slots (at least one, at most all) as soon as so many are free, or nothing.
    /// Whoever waits holds the door: those behind it wait too, so a heavy one is never starved.
    ///
    /// # Errors
    /// [`SlotsError::Cancelled`] when `cancel` says so; it is asked before every look.
    pub fn acquire(&self, weight: usize, cancel: &dyn Fn() -> bool) -> Result<Guard, SlotsError> {
        let mut waiter = self.queue(weight);
        loop {
            if cancel() {
                return Err(SlotsError::Cancelled { weight: waiter.weight });
            }
            if let Some(guard) = waiter.try_take()? {
                return Ok(guard);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// A place in the queue, for a `poll` loop that asks [`Waiter::try_take`] every [`LOOK`].
    pub fn queue(&self, weight: usize) -> Waiter {
        Waiter { slots: self.clone(), weight: weight.clamp(1, self.cores), door: None }
    }

    fn file(&self, name: &str) -> Result<Option<Flock<File>>, SlotsError> {
        try_lock(&self.dir.join(name)).map_err(|source| SlotsError::Io { dir: self.dir.clone(), source })
    }
}

/// A request that waits for its slots.
#[derive(Debug)]
pub struct Waiter {
    slots: Slots,
    weight: usize,
    door: Option<Flock<File>>,
}

impl Waiter {
    /// Takes all its slots if so many are free now; holds none otherwise. Once it has them, a
    /// further call takes as many again.
    ///
    /// # Errors
    /// A slot file cannot be used.
    pub fn try_take(&mut self) -> Result<Option<Guard>, SlotsError> {
        if self.door.is_none() {
            self.door = self.slots.file("door")?;
        }
        if self.door.is_none() {
            return Ok(None);
        }
        let mut files = Vec::with_capacity(self.weight);
        for slot in 0..self.slots.cores {
            files.extend(self.slots.file(&format!("slot-{slot}"))?);
            if files.len() == self.weight {
                self.door = None;
                return Ok(Some(Guard { files }));
            }
        }
        Ok(None)
    }
}

fn try_lock(path: &Path) -> io::Result<Option<Flock<File>>> {
    match Flock::lock(lock::open(path)?, FlockArg::LockExclusiveNonblock) {
        Ok(file) => Ok(Some(file)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_weights_of_all_holders_never_exceed_the_cores() {
        let dir = tempfile::tempdir().unwrap();
        let slots = Slots::new(&dir.path().join("slots"), 3).unwrap();
        let (held, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for weight in [1, 2, 3, 99, 1, 2] {
                let (slots, held, most) = (&slots, &held, &most);
                scope.spawn(move || {
                    let guard = slots.acquire(weight, &|| false).unwrap();
                    let now = held.fetch_add(guard.weight(), Ordering::SeqCst) + guard.weight();
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    held.fetch_sub(guard.weight(), Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_heavy_one_that_waits_keeps_light_ones_behind_it_and_a_cancel_frees_the_door() {
        let dir = tempfile::tempdir().unwrap();
        let slots = Slots::new(dir.path(), 2).unwrap();
        let one = slots.acquire(1, &|| false).unwrap();
        let mut heavy = slots.queue(2);
        assert!(heavy.try_take().unwrap().is_none());
        assert!(slots.queue(1).try_take().unwrap().is_none());
        drop(heavy);
        assert_eq!(slots.queue(1).try_take().unwrap().unwrap().weight(), 1);
        drop(one);
        let error = slots.acquire(1, &|| true).unwrap_err();
        assert!(matches!(error, SlotsError::Cancelled { weight: 1 }));
    }
}
