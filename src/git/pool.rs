//! The pool of worktrees: `<state>/worktrees/NNN`, and beside each its record `NNN.json`.
//!
//! A recycled worktree is ready several times sooner than a new one. It is recycled only after
//! [`Pool::release`], which wants proof that nothing in it can be lost; leftovers are saved by
//! every path that resets one. Workers share the pool: a lock guards choosing and recording, the
//! slow checkout happens outside it, in a worktree that the record already gives to one owner.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::branch;
use super::broken;
use super::durable;
use super::error::{Error, IoContext, LibContext, Result};
use super::landing;
use super::leftovers::{self, Author};
use super::repo::{Repo, oid, sha};
use super::worktree::{Worktree, remove_any};
use crate::domain::ids::{CommitSha, FeatureId, TaskId, WorkerName};

/// How long the pool's lock is waited for: its holder forks git at most once.
const LOCK_MAX: Duration = Duration::from_mins(1);
/// How often a lock that is taken is tried: `flock` itself has no deadline.
const LOCK_RETRY: Duration = Duration::from_millis(5);
/// The highest number: a bound against a loop, far above `agents.max_in_flight`.
const NUMBER_MAX: u32 = 9_999;
/// How the reason begins for which a worktree of ours is locked, and one of gates.
pub(super) const LOCK_PREFIX: &str = "sprint: ";
pub(super) const GATES_PREFIX: &str = "sprint: gates of ";
/// In the administrative directory of every worktree of sprint's.
pub(crate) const MARKER: &str = "sprint";

/// Whose worktree it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Owner {
    /// A task's: kept from attempt to attempt until it has landed.
    Task {
        /// The feature.
        feature: FeatureId,
        /// The task.
        task: TaskId,
    },
    /// A worker's, for gates: whatever candidate comes.
    Gate {
        /// The worker.
        worker: WorkerName,
    },
}

/// What a record says about a worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Given to an owner, not checked out yet.
    Preparing,
    /// Its owner's.
    InUse,
    /// Anybody's.
    Free,
    /// Nobody's: processes that could not be ended are in it, or its link is gone.
    Quarantined,
}

/// `NNN.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Its number.
    pub number: u32,
    /// The name of its administrative directory; empty until git has made it.
    pub admin: String,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// What may be done with it.
    pub state: State,
    /// The branch that sprint put it on.
    pub branch: Option<String>,
    /// What `[worktree]` put there.
    pub prepared: Vec<String>,
    /// Hash of everything that preparation depends on.
    pub prepared_key: Option<String>,
    /// Why it is quarantined.
    pub reason: Option<String>,
    /// Somebody deleted this record with the worktree; it was rebuilt, and nobody has had it since.
    #[serde(default)]
    pub lost: bool,
}

impl Record {
    /// Of a worktree that is to be.
    pub(super) fn new(number: u32, owner: Option<Owner>) -> Self {
        Self {
            number,
            admin: String::new(),
            owner,
            state: State::Preparing,
            branch: None,
            prepared: Vec::new(),
            prepared_key: None,
            reason: None,
            lost: false,
        }
    }
}

/// Where an acquired worktree came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The owner's, on the branch that was asked for: contents untouched.
    Kept,
    /// The owner's, checked out anew.
    Reset,
    /// Somebody else's before.
    Recycled,
    /// New.
    Fresh,
}

/// A worktree for its owner.
#[derive(Debug, Clone)]
pub struct Acquired {
    /// It.
    pub worktree: Worktree,
    /// Where it came from.
    pub origin: Origin,
    /// The link to the repository had been changed, and was put right.
    pub repaired: bool,
    /// It had been deleted with its record: what was not committed in it is lost.
    pub lost: bool,
}

/// Why a worktree may be given back.
#[derive(Debug, Clone)]
pub enum Proof {
    /// A gate's: it holds nothing.
    Gate,
    /// Its head is contained in this commit of the integration branch (checked).
    LandedIn(CommitSha),
    /// The person skips the task: the branch stays, leftovers are saved.
    BranchKept,
}

/// The pool of one repository's state directory.
#[derive(Debug, Clone)]
pub struct Pool {
    repo: Repo,
    root: PathBuf,
}

impl Pool {
    /// The pool below a state directory; makes the directory. Where somebody has deleted records,
    /// they are rebuilt.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Locked`].
    pub fn open(repo: &Repo, state_dir: &Path) -> Result<Self> {
        let root = state_dir.join("worktrees");
        fs::create_dir_all(&root).at("create", &root)?;
        let root = root.canonicalize().at("resolve", &root)?;
        let pool = Self { repo: repo.clone(), root };
        pool.restore()?;
        Ok(pool)
    }

    pub(super) fn repo(&self) -> &Repo {
        &self.repo
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether somebody has deleted the worktree's record since its owner got it: the directory of
    /// all worktrees, most likely. Its owner alone asks.
    pub fn was_deleted(&self, worktree: &Worktree) -> bool {
        self.record(worktree.number).map_or(true, |record| record.lost)
    }

    /// A worktree for `owner`, at `at`, on a new branch where one is named.
    ///
    /// The owner's own one is taken first: as it is where it is on that branch already, otherwise
    /// checked out anew, after its leftovers were saved. A branch that exists keeps its commits:
    /// the worktree is at its tip. A gate's worktree is always exactly `at`.
    ///
    /// # Errors
    /// [`Error`]; the record stays `preparing`, and the next call begins again.
    pub fn acquire(
        &self,
        owner: &Owner,
        at: &CommitSha,
        branch: Option<&str>,
        author: &Author<'_>,
    ) -> Result<Acquired> {
        let (record, origin) = self.choose(owner, at)?;
        let worktree = self.worktree(&record);
        let repaired = match worktree.repair() {
            Ok(repaired) => repaired,
            Err(Error::Tampered { what, .. }) => {
                self.quarantine(record.number, &what)?;
                return self.acquire(owner, at, branch, author);
            }
            Err(error) => return Err(error),
        };
        worktree.clear_stale_locks()?;
        let before = record.branch.as_deref();
        for name in branch.into_iter().chain(before.filter(|name| branch != Some(*name))) {
            broken::mend(&self.repo, &branch::head_ref(name), at)?;
        }
        if let Some(name) = before.filter(|_| !worktree.is_empty()) {
            broken::mend_head(&self.repo, &worktree, name, at)?;
            broken::mend_index(&worktree)?;
        }
        let same = record.state == State::InUse && branch.is_some() && record.branch.as_deref() == branch;
        if same && !record.lost && !worktree.is_empty() {
            return Ok(Acquired { worktree, origin: Origin::Kept, repaired, lost: false });
        }
        if origin != Origin::Fresh {
            Self::save_leftovers(&record, branch, &worktree, author)?;
        }
        self.check_out(&record, &worktree, at, branch)?;
        Ok(Acquired { worktree, origin, repaired, lost: record.lost })
    }

    fn check_out(
        &self,
        record: &Record,
        worktree: &Worktree,
        at: &CommitSha,
        branch: Option<&str>,
    ) -> Result<()> {
        // A gate's worktree is made exact whatever its record says, so that one needs no news.
        let stays =
            branch.is_none() && record.branch.is_none() && record.state == State::InUse && !record.lost;
        let said = record.branch.is_none() && record.state == State::Preparing;
        if !stays && !said {
            self.save_record(&Record { state: State::Preparing, branch: None, ..record.clone() })?;
        }
        match branch {
            Some(name) => {
                // One that is there keeps its commits.
                durable::create_ref(&*self.repo.open()?, &branch::head_ref(name), at)?;
                worktree.checkout_branch(name)?;
            }
            None => worktree.checkout_tree(at)?,
        }
        if stays {
            return Ok(());
        }
        let branch = branch.map(str::to_owned);
        self.save_record(&Record { state: State::InUse, branch, lost: false, ..record.clone() })
    }

    /// Saves what a task's worktree holds, for the attempt that its branch names.
    fn save_leftovers(
        record: &Record,
        wanted: Option<&str>,
        worktree: &Worktree,
        author: &Author<'_>,
    ) -> Result<()> {
        let Some(Owner::Task { feature, task }) = &record.owner else { return Ok(()) };
        // On no branch of ours there has been no attempt whose work it could be; but a record that
        // was rebuilt does not know of an agent that had left it.
        let wanted = wanted.filter(|_| record.lost);
        let branch = record.branch.as_deref().or(wanted);
        let attempt = branch.and_then(|b| b.rsplit('/').next()).and_then(|n| n.parse().ok());
        let Some(attempt) = attempt else { return Ok(()) };
        leftovers::save(worktree, feature, task, attempt, author).map(drop)
    }

    /// Under the lock: the owner's own, a free one, or a new one; recorded as the owner's.
    fn choose(&self, owner: &Owner, at: &CommitSha) -> Result<(Record, Origin)> {
        let _lock = self.lock()?;
        let mut records = self.records()?;
        let own = |r: &&mut Record| {
            r.owner.as_ref() == Some(owner) && matches!(r.state, State::InUse | State::Preparing)
        };
        if let Some(record) = records.iter_mut().find(|r| own(r) && !r.admin.is_empty()) {
            return Ok((record.clone(), Origin::Reset));
        }
        if let Some(record) = records.iter_mut().find(|r| r.state == State::Free && !r.admin.is_empty()) {
            record.owner = Some(owner.clone());
            record.state = State::Preparing;
            record.branch = None;
            self.save_record(record)?;
            let admin = self.worktree(record).admin;
            if admin.is_dir() {
                write_lock(&admin, owner)?;
            }
            return Ok((record.clone(), Origin::Recycled));
        }
        let used: Vec<u32> = records.iter().map(|r| r.number).collect();
        self.create(owner, at, &used).map(|record| (record, Origin::Fresh))
    }

    /// `git worktree add` without a checkout, which needs no hook, no filter and little time.
    fn create(&self, owner: &Owner, at: &CommitSha, used: &[u32]) -> Result<Record> {
        let free = |n: &u32| !used.contains(n) && !self.path(*n).exists();
        let number = (1..=NUMBER_MAX).find(free).ok_or_else(|| Error::Kept {
            path: self.root.clone(),
            why: format!("it holds {NUMBER_MAX} worktrees already"),
        })?;
        let mut record = Record::new(number, Some(owner.clone()));
        self.save_record(&record)?;
        let path = self.path(number);
        let add = || {
            let git =
                self.repo.git().args(["worktree", "add", "--no-checkout", "--detach", "--lock", "--reason"]);
            git.arg(lock_reason(owner)).arg(&path).arg(at.as_str()).run()
        };
        if let Err(error) = add() {
            if self.remove_unusable(Some(&path))? == 0 {
                return Err(error);
            }
            remove_any(&path)?;
            add()?;
        }
        record.admin = admin_name(&path, &self.repo.common_dir)?;
        let worktree = self.worktree(&record);
        let marker = worktree.admin.join(MARKER);
        fs::write(&marker, b"").at("write", &marker)?;
        // git may write relative or differently resolved paths: ours are recorded ones.
        worktree.repair()?;
        self.save_record(&record)?;
        Ok(record)
    }

    /// Gives a worktree back, for anybody to use.
    ///
    /// # Errors
    /// [`Error::Kept`] if the proof does not hold.
    pub fn release(&self, worktree: &Worktree, proof: &Proof, author: &Author<'_>) -> Result<()> {
        let record = self.record(worktree.number)?;
        worktree.repair()?;
        worktree.clear_stale_locks()?;
        self.check_proof(worktree, proof)?;
        Self::save_leftovers(&record, None, worktree, author)?;
        // HEAD leaves the branch, so that the person can check it out or delete it.
        if let Ok(head) = worktree.head() {
            worktree.open()?.set_head_detached(oid(&head)?).during("cannot leave the branch")?;
        }
        let _lock = self.lock()?;
        remove_any(&worktree.admin.join("locked"))?;
        self.save_record(&Record { owner: None, state: State::Free, branch: None, ..record })
    }

    fn check_proof(&self, worktree: &Worktree, proof: &Proof) -> Result<()> {
        let kept = |why: &str| Err(Error::Kept { path: worktree.path.clone(), why: why.to_owned() });
        match proof {
            Proof::Gate | Proof::BranchKept => Ok(()),
            Proof::LandedIn(integration) => {
                let head = worktree.head()?;
                if landing::is_landed(&self.repo, &head, integration)? {
                    return Ok(());
                }
                kept(&format!("{} has not landed in {}", head.short(), integration.short()))
            }
        }
    }

    /// Puts down that the worktree was deleted under its owner: whatever lies there now, it is made
    /// anew before anybody gets it.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`].
    pub fn lose(&self, number: u32) -> Result<()> {
        let _lock = self.lock()?;
        let record = self.record(number)?;
        self.save_record(&Record { lost: true, ..record })
    }

    /// Takes a worktree out of use, with everything in it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn quarantine(&self, number: u32, reason: &str) -> Result<()> {
        let _lock = self.lock()?;
        let record = self.record(number)?;
        let reason = Some(reason.chars().take(500).collect());
        self.save_record(&Record { state: State::Quarantined, reason, ..record })
    }

    /// The worktree of an owner, as it is.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`].
    pub fn find(&self, owner: &Owner) -> Result<Option<Worktree>> {
        let records = self.records()?;
        let own = records.iter().find(|r| r.owner.as_ref() == Some(owner) && r.state == State::InUse);
        Ok(own.map(|r| self.worktree(r)))
    }

    /// Every record, by number.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`].
    pub fn records(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.root).at("read", &self.root)? {
            let path = entry.at("read", &self.root)?.path();
            let number = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
            if let (Some(number), true) = (number, path.extension().is_some_and(|e| e == "json")) {
                records.push(self.record(number)?);
            }
        }
        records.sort_by_key(|r| r.number);
        Ok(records)
    }

    /// Puts down what preparation has done.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn record_prepared(&self, number: u32, prepared: &[String], key: &str) -> Result<()> {
        let record = self.record(number)?;
        let prepared_key = Some(key.to_owned());
        self.save_record(&Record { prepared: prepared.to_vec(), prepared_key, ..record })
    }

    /// The record of one worktree.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`].
    pub fn record(&self, number: u32) -> Result<Record> {
        let path = self.record_path(number);
        let text = fs::read(&path).at("read", &path)?;
        serde_json::from_slice(&text).map_err(|error| Error::Malformed { path, what: error.to_string() })
    }

    pub(super) fn save_record(&self, record: &Record) -> Result<()> {
        let path = self.record_path(record.number);
        let temporary = path.with_extension(format!("json.{}", uuid::Uuid::new_v4().simple()));
        let text = serde_json::to_vec_pretty(record).expect("a record is JSON");
        let mut file = File::create(&temporary).at("create", &temporary)?;
        file.write_all(&text).and_then(|()| file.sync_all()).at("write", &temporary)?;
        fs::rename(&temporary, &path).at("write", &path)?;
        durable::sync_dir(&self.root)
    }

    /// A worktree out of its record.
    pub fn worktree(&self, record: &Record) -> Worktree {
        Worktree {
            number: record.number,
            path: self.path(record.number),
            admin: self.repo.common_dir.join("worktrees").join(&record.admin),
            common_dir: self.repo.common_dir.clone(),
            prepared: record.prepared.clone(),
        }
    }

    pub(super) fn path(&self, number: u32) -> PathBuf {
        self.root.join(format!("{number:03}"))
    }

    pub(super) fn record_path(&self, number: u32) -> PathBuf {
        self.root.join(format!("{number:03}.json"))
    }

    /// The lock of the pool; the kernel drops it with the process.
    pub(super) fn lock(&self) -> Result<File> {
        let path = self.root.join(".lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path).at("open", &path)?;
        let until = Instant::now() + LOCK_MAX;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(source)) => return Err(Error::Io { what: "lock", path, source }),
                Err(TryLockError::WouldBlock) if Instant::now() > until => {
                    return Err(Error::Locked { path, seconds: LOCK_MAX.as_secs() });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_RETRY),
            }
        }
    }
}

/// The last component of what the new `.git` file points to, if that is below the repository.
pub(super) fn admin_name(path: &Path, common_dir: &Path) -> Result<String> {
    let dot_git = path.join(".git");
    let text = fs::read_to_string(&dot_git).at("read", &dot_git)?;
    let target = text.trim_end().strip_prefix("gitdir: ").map(|t| path.join(t));
    let name = target.as_deref().and_then(Path::file_name).and_then(|n| n.to_str()).map(str::to_owned);
    name.filter(|n| common_dir.join("worktrees").join(n).is_dir()).ok_or_else(|| Error::Tampered {
        path: path.to_owned(),
        what: "its `.git` file does not name a worktree of the repository".to_owned(),
    })
}

pub(super) fn lock_reason(owner: &Owner) -> String {
    match owner {
        Owner::Task { feature, task } => format!("{LOCK_PREFIX}{feature} {task}"),
        Owner::Gate { worker } => format!("{GATES_PREFIX}{worker}"),
    }
}

/// As `git worktree lock`, without the fork.
fn write_lock(admin: &Path, owner: &Owner) -> Result<()> {
    let path = admin.join("locked");
    fs::write(&path, lock_reason(owner)).at("write", &path)
}

/// True if this git directory is a worktree that sprint made.
pub(crate) fn is_ours(git_dir: &Path) -> bool {
    git_dir.join("gitdir").exists() && git_dir.join(MARKER).exists()
}

/// The commit that a worktree's HEAD names, for messages.
pub fn head_of(worktree: &Worktree) -> Option<CommitSha> {
    let repo = worktree.open().ok()?;
    let head = repo.head().ok()?.peel_to_commit().ok()?;
    Some(sha(head.id()))
}
