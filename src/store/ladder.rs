//! A database that is damaged or gone is made again: from the newest copy that is whole, else anew. What runs
//! have reported since is in their files, what has landed is in git; the supervisor finds both. The damaged
//! database is kept.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;

use super::client::{Client, InboxBody};
use super::open::{beside, connect, make, snapshot_names, user_version};
use super::{Store, StoreError, salvage};
use crate::domain::event::Event;
use crate::domain::state::State;

/// So many damaged databases are kept.
const DAMAGED_KEPT: usize = 3;
/// What SQLite puts beside a database. Left beside another one, it would be taken for its own.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// What was done about a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// What was wrong with it.
    pub why: String,
    /// The copy that is in its place; `None` if it begins anew.
    pub from: Option<PathBuf>,
    /// Where the damaged one is; `None` if there was none.
    pub kept: Option<PathBuf>,
    /// What people had asked for and nobody had done yet: so many of these could be read in the damaged one.
    pub saved: usize,
}

impl Mended {
    /// For people.
    pub fn text(&self) -> String {
        let now = match &self.from {
            Some(copy) => {
                let copy = copy.file_name().unwrap_or_default().to_string_lossy();
                format!(
                    "it was made again from the copy {copy} and from what runs have reported since; what you have said since is forgotten"
                )
            }
            None => {
                "no copy is whole, so it begins anew; what has landed is in git, and work that has not is \
                     under refs/sprint/"
                    .to_owned()
            }
        };
        let kept = self.kept.as_ref().map_or_else(String::new, |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("; the one before is kept as {name}")
        });
        let saved = match self.saved {
            0 => String::new(),
            1 => "; a command that waited in it is kept".to_owned(),
            many => format!("; {many} commands that waited in it are kept"),
        };
        format!("the database {}: {now}{saved}{kept}", self.why)
    }
}

/// A database that is whole.
#[derive(Debug)]
pub struct Opened {
    /// The database.
    pub store: Store,
    /// All that is in it: it was read to see that it can be.
    pub state: State,
    /// What had to be done about it, if anything.
    pub mended: Option<Mended>,
}

/// Whether the database can be used as it is; makes it if there is none.
///
/// # Errors
/// As [`Store::open`], but never [`StoreError::Corrupt`].
pub fn is_sound(path: &Path, snapshots: &Path) -> Result<bool, StoreError> {
    match sound(path, snapshots) {
        Ok(store) => Ok(store.is_some()),
        Err(StoreError::Corrupt { .. } | StoreError::Row { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What the database would be made again from, as it is: nothing is changed.
pub fn state_of_copies(snapshots: &Path) -> State {
    let copies = snapshot_names(snapshots).into_iter().rev();
    let mut states =
        copies.filter_map(|copy| Client::open_read_only(&copy).and_then(|copy| copy.overview()).ok());
    states.next().map_or_else(State::default, |overview| overview.state)
}

/// Opens the database; makes it if there is none, and makes it again if it is not whole. Only for who is
/// alone with it: the supervisor, or whoever is about to start one.
///
/// # Errors
/// As [`Store::open`], but never [`StoreError::Corrupt`] of the database itself.
pub fn open(path: &Path, snapshots: &Path, wall_ms: i64) -> Result<Opened, StoreError> {
    let why = match sound(path, snapshots) {
        Ok(Some((store, state))) => return Ok(Opened { store, state, mended: None }),
        Ok(None) => "was gone".to_owned(),
        Err(StoreError::Corrupt { detail, .. }) => format!("was damaged ({detail})"),
        Err(StoreError::Row { table, source }) => format!("was damaged (a row of {table}: {source})"),
        Err(error) => return Err(error),
    };
    let copy = newest_whole(path, snapshots)?;
    let kept = put_aside(path, wall_ms).map_err(io_at(path))?;
    match &copy {
        Some(_) => put_in_place(path).map_err(io_at(path))?,
        None => make(path)?,
    }
    let store = Store::open(path)?;
    let saved = kept.as_deref().map_or(0, |kept| salvage::requests(kept, &store));
    let mended = Mended { why, from: copy, kept, saved };
    tell(path, &mended, wall_ms)?;
    Ok(Opened { state: store.load()?, store, mended: Some(mended) })
}

/// Puts `backup` in the place of the database of `repository`; what was there is kept beside it. Only for who is alone with it.
///
/// # Errors
/// [`StoreError::Corrupt`] if the backup is not whole: then nothing is changed. Else as [`Store::open`].
pub fn restore((path, repository): (&Path, &str), backup: &Path, wall_ms: i64) -> Result<Mended, StoreError> {
    prepare(path, backup)?;
    let kept = put_aside(path, wall_ms).map_err(io_at(path))?;
    put_in_place(path).map_err(io_at(path))?;
    Store::open(path)?.mark(repository)?;
    let why = "was replaced by a person".to_owned();
    let mended = Mended { why, from: Some(backup.to_owned()), kept, saved: 0 };
    tell(path, &mended, wall_ms)?;
    Ok(mended)
}

/// The supervisor tells it, and it is in the history.
fn tell(path: &Path, mended: &Mended, wall_ms: i64) -> Result<(), StoreError> {
    let told = Event::StoreMended { text: mended.text() };
    Client::open(path)?.append(&InboxBody::Fact(told), wall_ms).map(|_| ())
}

/// The database if it can be opened, checked and read; `None` if it is gone, or empty, though there are copies
/// of it.
fn sound(path: &Path, snapshots: &Path) -> Result<Option<(Store, State)>, StoreError> {
    let copies = || !snapshot_names(snapshots).is_empty();
    if !path.exists() && copies() {
        return Ok(None);
    }
    if path.exists() && fs::metadata(path).map_err(io_at(path))?.len() == 0 && copies() {
        return Ok(None);
    }
    let store = Store::open(path)?;
    let state = store.load()?;
    Ok(Some((store, state)))
}

/// Makes `sprint.db.new` out of the newest copy that is whole. Returns which.
fn newest_whole(path: &Path, snapshots: &Path) -> Result<Option<PathBuf>, StoreError> {
    for copy in snapshot_names(snapshots).into_iter().rev() {
        match prepare(path, &copy) {
            Ok(()) => return Ok(Some(copy)),
            Err(error @ (StoreError::Full | StoreError::Io { .. } | StoreError::ReadOnly(_))) => {
                return Err(error);
            }
            Err(error) => {
                tracing::warn!(copy = %copy.display(), %error, "a copy of the database is not whole");
            }
        }
    }
    Ok(None)
}

/// A copy of a copy, checked more closely than at every boot, in the mode that all processes use.
fn prepare(path: &Path, copy: &Path) -> Result<(), StoreError> {
    let new = beside(path, ".new");
    for left in [new.clone(), beside(&new, "-wal"), beside(&new, "-shm")] {
        remove(&left).map_err(io_at(&left))?;
    }
    fs::copy(copy, &new).map_err(io_at(&new))?;
    let connection = connect(&new, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let detail: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if detail != "ok" || user_version(&connection)? == 0 {
        return Err(StoreError::Corrupt { path: copy.to_owned(), detail });
    }
    connection.close().map_err(|(_, error)| StoreError::from(error))?;
    let store = Store::open(&new)?;
    store.load()?;
    store.connection.close().map_err(|(_, error)| StoreError::from(error))?;
    File::open(&new).and_then(|file| file.sync_all()).map_err(io_at(&new))
}

/// The companions first: without them the database is only older.
fn put_aside(path: &Path, wall_ms: i64) -> io::Result<Option<PathBuf>> {
    let kept = beside(path, &format!(".damaged-{wall_ms}"));
    for end in COMPANIONS {
        rename(&beside(path, end), &beside(&kept, end))?;
    }
    let was_there = rename(path, &kept)?;
    sync_parent(path)?;
    forget_oldest(path)?;
    Ok(was_there.then_some(kept))
}

fn put_in_place(path: &Path) -> io::Result<()> {
    rename(&beside(path, ".new"), path)?;
    sync_parent(path)
}

/// Only the newest damaged ones are kept: a disk that damages one every hour must not fill up with them.
fn forget_oldest(path: &Path) -> io::Result<()> {
    for old in damaged(path).iter().rev().skip(DAMAGED_KEPT) {
        for end in ["", COMPANIONS[0], COMPANIONS[1]] {
            remove(&beside(old, end))?;
        }
    }
    Ok(())
}

/// The damaged databases that are kept, oldest first.
pub fn damaged(path: &Path) -> Vec<PathBuf> {
    let begin = format!("{}.damaged-", path.file_name().unwrap_or_default().to_string_lossy());
    let entries = fs::read_dir(path.parent().unwrap_or(Path::new("."))).into_iter().flatten().flatten();
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.strip_prefix(&begin).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_one).collect();
    found.sort();
    found
}

/// Whether there was something to rename.
fn rename(from: &Path, to: &Path) -> io::Result<bool> {
    absent(fs::rename(from, to))
}

fn remove(path: &Path) -> io::Result<bool> {
    absent(fs::remove_file(path))
}

fn absent(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| match source.kind() {
        ErrorKind::StorageFull => StoreError::Full,
        _ => StoreError::Io { path: path.clone(), source },
    }
}
