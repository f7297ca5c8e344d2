//! What of the supervisor can be seen from outside: its doorbell, and who it is.
//!
//! Both lie in the runtime directory, which can go while a sprint runs: logind removes it with the
//! person's last session, or somebody tidies up. Nothing is lost with it, because nothing but rings
//! and heartbeats is in there; it is made anew as soon as that is possible. What must be known of
//! the supervisor all the same is noted in the lock on the repository.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixDatagram;

use super::{Place, SupervisorError};
use crate::error::chain;
use crate::process::clock;
use crate::process::doorbell::{self, Doorbell, Rung};
use crate::process::identity::ProcId;
use crate::process::lock::Lock;
use crate::process::private::make_private;
use crate::process::supervisor_file::SupervisorFile;

/// Rings that are taken at once: a flood of rings is one ring.
const RINGS_MAX: u32 = 256;

/// The supervisor's doorbell and announcement.
pub(super) struct Presence {
    place: Place,
    lock: Arc<Lock>,
    own: SupervisorFile,
    doorbell: Doorbell,
    socket: UnixDatagram,
    /// The announcement as it was written last.
    announced: Option<FileId>,
    /// The runtime directory is known to be gone.
    away: bool,
}

/// Device, inode and time of modification: a look that does not read.
type FileId = (u64, u64, i64, i64);

impl Presence {
    /// Says who supervises and listens. A runtime directory that cannot be made now is made later.
    pub(super) fn begin(place: &Place, lock: Arc<Lock>, epoch: u64) -> Result<Self, SupervisorError> {
        let own = SupervisorFile {
            process: ProcId::own().map_err(SupervisorError::system("read the own process"))?,
            epoch,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_wall_ms: clock::wall_ms(),
            ended: false,
            stalled: None,
        };
        let doorbell = Doorbell::bind_or_wait(&place.layout.supervisor_bell())
            .map_err(SupervisorError::system("make a doorbell"))?;
        let socket = listen(&doorbell)?;
        let mut presence =
            Self { place: place.clone(), lock, own, doorbell, socket, announced: None, away: false };
        presence.note()?;
        presence.keep();
        Ok(presence)
    }

    /// The epoch of the supervisor before, as it was announced; 0 if nothing says so. A database that was
    /// made again from a copy may be of an older one.
    pub(super) fn last_epoch(place: &Place) -> u64 {
        let before = SupervisorFile::read(&place.layout.supervisor_file());
        let before = before.inspect_err(|error| tracing::debug!(%error, "who supervised cannot be read"));
        before.ok().flatten().map_or(0, |file| file.epoch)
    }

    /// Returns when somebody has rung.
    pub(super) async fn rung(&self) -> Result<(), SupervisorError> {
        self.socket.readable().await.map_err(SupervisorError::system("listen to the doorbell"))
    }

    /// Takes the rings that have come.
    pub(super) fn take_rings(&self) {
        let mut byte = [0u8; 8];
        for _ in 0..RINGS_MAX {
            if self.socket.try_recv(&mut byte).is_err() {
                break;
            }
        }
    }

    /// Puts up again what is gone. A look at two files where nothing is.
    pub(super) fn keep(&mut self) {
        match self.restore() {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(directory = %self.place.layout.runtime.display(), "doorbell and announcement are up");
                self.away = false;
            }
            Err(error) if self.away => {
                tracing::debug!(error = chain(&error), "the runtime directory is still gone");
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "the runtime directory is gone and cannot be made now");
                self.away = true;
            }
        }
    }

    fn restore(&mut self) -> Result<bool, SupervisorError> {
        let announcement = self.place.layout.supervisor_file();
        // Not only whether there is one: a supervisor that was killed leaves its own behind.
        let there = file_id(&announcement);
        if self.doorbell.is_up() && there.is_some() && there == self.announced {
            return Ok(false);
        }
        let make = SupervisorError::system("make the runtime directory");
        make_private(&self.place.layout.runtime).map_err(io::Error::other).map_err(make)?;
        let bind = SupervisorError::system("bind the doorbell");
        if self.doorbell.keep().map_err(io::Error::other).map_err(bind)? {
            self.socket = listen(&self.doorbell)?;
        }
        self.own.write(&announcement).map_err(SupervisorError::system("write who supervises"))?;
        self.announced = file_id(&announcement);
        Ok(true)
    }

    fn note(&self) -> Result<(), SupervisorError> {
        let noted = self.own.note(&self.lock, &self.place.layout.hash);
        noted.map_err(SupervisorError::system("write who supervises into the lock"))
    }

    /// Rings the commands that follow.
    pub(super) fn ring_followers(&self) {
        for path in entries(&self.place.layout.runtime).filter(|path| kind(path) == Kind::Follower) {
            ring(&path);
        }
    }

    /// Everything that was started has ended: says so, and takes away what is of no use any more.
    /// The announcement stays, also when this process has gone: until then commands must see it, and after
    /// that its last word, that all was ended, is what tells a clean end from one after which something may
    /// be left.
    pub(super) fn end(&mut self) -> Result<(), SupervisorError> {
        self.own.ended = true;
        self.note()?;
        self.tidy();
        if !self.place.layout.runtime.is_dir() {
            return Ok(());
        }
        let written = self.own.write(&self.place.layout.supervisor_file());
        written.map_err(SupervisorError::system("write who supervises"))
    }

    /// Bells, heartbeats and temporary files of workers that are gone, and bells of commands that
    /// were killed.
    fn tidy(&self) {
        for path in entries(&self.place.layout.runtime) {
            match kind(&path) {
                Kind::Follower if ring(&path) == Some(Rung::Nobody) => tell(&path, fs::remove_file(&path)),
                Kind::Follower | Kind::Other => {}
                Kind::File => tell(&path, fs::remove_file(&path)),
                Kind::Scratch => tell(&path, fs::remove_dir_all(&path)),
            }
        }
        // There are some only if the runtime directory was gone for a while.
        for path in entries(&self.place.layout.state).filter(|path| kind(path) == Kind::Scratch) {
            tell(&path, fs::remove_dir_all(&path));
        }
    }
}

fn file_id(path: &Path) -> Option<FileId> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

fn listen(doorbell: &Doorbell) -> Result<UnixDatagram, SupervisorError> {
    let socket = doorbell.try_clone_socket().and_then(UnixDatagram::from_std);
    socket.map_err(SupervisorError::system("listen to the doorbell"))
}

/// What is in a directory; nothing where it is not there.
fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn tell(path: &Path, removed: io::Result<()>) {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "something of the sprint's stays");
        }
        _ => {}
    }
}

fn ring(path: &Path) -> Option<Rung> {
    match doorbell::ring(path) {
        Ok(rung) => Some(rung),
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "a follower cannot be rung");
            None
        }
    }
}

/// What a name in the runtime directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A command's bell; the command may be there.
    Follower,
    /// Something of the supervisor's or a worker's.
    File,
    /// Where a worker's tools had their temporary files.
    Scratch,
    /// The announcement, or nothing of ours.
    Other,
}

fn kind(path: &Path) -> Kind {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let end = path.extension().unwrap_or_default().to_string_lossy();
    if name.starts_with("follow-") {
        Kind::Follower
    } else if ["sock", "beat", "new", "part"].contains(&&*end) {
        Kind::File
    } else if name.strip_prefix("t-").is_some_and(|pid| pid.parse::<u32>().is_ok()) {
        Kind::Scratch
    } else {
        Kind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_runtime_directory_are_told_apart() {
        let check = |name: &str, expected| assert_eq!(kind(Path::new(name)), expected, "{name}");
        check("follow-12.sock", Kind::Follower);
        check("developer-1.sock", Kind::File);
        check("developer-1.beat", Kind::File);
        check("supervisor.new", Kind::File);
        check("supervisor.12.part", Kind::File);
        check("t-12", Kind::Scratch);
        check("supervisor.json", Kind::Other);
        check("t-mine", Kind::Other);
        check("notes", Kind::Other);
    }
}
