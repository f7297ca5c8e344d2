//! The database's log is bounded: who reads what was before it, and does not stop, keeps it from being
//! taken into the database. A command of sprint's own that does so is ended; of another program the person
//! is told (`sprint health`); a worker is the watchdog's.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::process::identity::ProcId;
use crate::store::{Store, StoreError, pinned};

/// How long SIGKILL may take.
const DIES: Duration = Duration::from_secs(1);

/// Who has been seen reading, at the last look.
#[derive(Debug, Default)]
pub(super) struct Pins {
    seen: BTreeSet<ProcId>,
}

impl Pins {
    /// One look: cuts a log of more than `bound` bytes. Who reads at two looks in a row keeps it from that:
    /// such a process is ended if it is of the program `own` and none of `workers`. Returns who was.
    ///
    /// # Errors
    /// What SQLite or `/proc` says.
    pub(super) fn look(
        &mut self,
        store: &Store,
        bound: u64,
        own: &Path,
        workers: &BTreeSet<i32>,
    ) -> Result<Vec<ProcId>, StoreError> {
        let before = std::mem::take(&mut self.seen);
        if store.log_bytes() <= bound || store.cut_log()? {
            return Ok(Vec::new());
        }
        self.seen = pinned::readers(store.path())?.into_iter().collect();
        let is_ours = |id: &ProcId| !workers.contains(&id.pid) && runs(id, own);
        let (ours, others): (Vec<&ProcId>, Vec<&ProcId>) =
            self.seen.intersection(&before).partition(|id| is_ours(id));
        for id in others {
            tracing::warn!(process = %id, "somebody reads the database and does not stop; its log grows");
        }
        let ended: Vec<ProcId> = ours.into_iter().filter(|id| end(id)).cloned().collect();
        if !ended.is_empty() && store.cut_log()? {
            tracing::info!("the database's log is cut");
        }
        Ok(ended)
    }
}

/// Whether it is that program, also if the file has been replaced since.
fn runs(id: &ProcId, own: &Path) -> bool {
    let Ok(program) = std::fs::read_link(format!("/proc/{}/exe", id.pid)) else { return false };
    let program = program.to_string_lossy().into_owned();
    Path::new(program.strip_suffix(" (deleted)").unwrap_or(&program)) == own && id.alive()
}

/// It only reads: nothing is lost with it, and one that is stopped does not see SIGTERM.
fn end(id: &ProcId) -> bool {
    tracing::warn!(process = %id, "a command reads the database and does not stop: it is ended, for the log grows");
    match id
        .open()
        .and_then(|fd| fd.map_or(Ok(true), |fd| fd.signal(Signal::SIGKILL).map(|()| fd.wait(DIES))))
    {
        Ok(gone) => gone,
        Err(error) => {
            tracing::warn!(process = %id, %error, "it cannot be ended");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};

    const BOUND: u64 = 100_000;

    /// A program that reads and does not stop; `None` without Python.
    fn reader(path: &Path) -> Option<Child> {
        let script = "import sqlite3, sys, time\n\
                      c = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                      c.execute('BEGIN'); c.execute('SELECT * FROM meta').fetchone()\n\
                      print('reads', flush=True); time.sleep(600)";
        let mut command = Command::new("python3");
        command.args(["-c", script]).arg(path).stdout(Stdio::piped());
        let mut child = command.spawn().ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
        assert_eq!(line, "reads\n");
        Some(child)
    }

    fn program(child: &Child) -> PathBuf {
        std::fs::read_link(format!("/proc/{}/exe", child.id())).unwrap()
    }

    /// Writes until the log is longer than it may be.
    fn grow(path: &Path) {
        let client = crate::store::Client::open(path).unwrap();
        while std::fs::metadata(path.with_extension("db-wal")).unwrap().len() <= BOUND * 2 {
            client
                .put_config(&uuid::Uuid::new_v4().to_string(), &format!("{:?}", "x".repeat(9_000)))
                .unwrap();
        }
    }

    #[test]
    fn a_log_that_is_pinned_is_cut_when_our_own_reader_is_ended_and_nobody_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sprint.db");
        let store = Store::open(&path).unwrap();
        let mut pins = Pins::default();
        let nobody = BTreeSet::new();
        grow(&path);
        assert_eq!(pins.look(&store, BOUND, Path::new("/none"), &nobody).unwrap(), []);
        assert_eq!(store.log_bytes(), 0, "nobody reads: it is cut at once");

        let Some(mut child) = reader(&path) else {
            eprintln!("skipped: there is no python3 with sqlite3");
            return;
        };
        grow(&path);
        let own = program(&child);
        let pid = child.id().cast_signed();
        for _ in 0..3 {
            assert_eq!(pins.look(&store, BOUND, Path::new("/none"), &nobody).unwrap(), [], "a foreign one");
            assert_eq!(pins.look(&store, BOUND, &own, &BTreeSet::from([pid])).unwrap(), [], "a worker");
        }
        assert!(store.log_bytes() > BOUND && child.try_wait().unwrap().is_none());
        assert_eq!(pinned::readers(&path).unwrap().iter().map(|id| id.pid).collect::<Vec<_>>(), [pid]);
        let mut pins = Pins::default();
        assert_eq!(pins.look(&store, BOUND, &own, &nobody).unwrap(), [], "it may be done in a moment");
        assert_eq!(pins.look(&store, BOUND, &own, &nobody).unwrap().len(), 1);
        assert_eq!(store.log_bytes(), 0);
        child.wait().unwrap();
    }
}
