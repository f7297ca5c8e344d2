//! Gives gates their trees: a worktree of the candidate, one of its base, and what differs.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::life::Desk;
use crate::domain::gate::ChangedLines;
use crate::domain::ids::{CommitSha, WorkerName};
use crate::gates::{Room, Side, Trees, around, stays_inside};
use crate::git::leftovers::Author;
use crate::git::pool::{Owner, Pool};
use crate::git::prepare::{Recipe, prepare};
use crate::git::worktree::Worktree;
use crate::git::{self, Identity, Repo, contents, diff};
use crate::process::child::{Session as Detached, Spec, Stdin};
use crate::process::limits::Bounds;
use crate::process::run::{Ending, run};
use crate::redact::Lines;

/// Bytes of a set-up's output that are kept for its message.
const SETUP_OUTPUT_MAX: usize = 64 * 1024;

/// The trees of one candidate.
pub(super) struct CandidateTrees<'a> {
    repo: Repo,
    head: Tree,
    /// None: there is no base.
    base: Option<CommitSha>,
    /// Checked out when a gate asks for it: most candidates have nothing that it could excuse.
    base_tree: OnceCell<Tree>,
    desk: &'a Desk<'a>,
    changed: BTreeSet<String>,
    renames: Vec<(String, String)>,
    named: Vec<String>,
    /// What a run of the candidate's code sees besides its tree, as it was before the first run.
    beside: OnceCell<Option<String>>,
    /// Whether no manifest of either side leads out of its tree.
    inside: [OnceCell<bool>; 2],
}

struct Tree {
    commit: CommitSha,
    worktree: Worktree,
    /// Exact, and nothing has run in it since.
    pristine: Cell<bool>,
}

/// The person's identity, as the session has it.
pub(super) fn identity(desk: &Desk<'_>) -> Identity {
    Identity { name: desk.session.name.clone(), email: desk.session.email.clone() }
}

/// How worktrees are prepared.
pub(super) fn recipe(desk: &Desk<'_>) -> Recipe {
    let worktree = &desk.config.worktree;
    Recipe {
        setup: worktree.setup.clone(),
        setup_inputs: worktree.setup_inputs.clone(),
        copy: worktree.copy.clone(),
        link: worktree.link.clone(),
    }
}

/// Runs `worktree.setup`, its output going to the pane.
pub(super) fn set_up(
    desk: &Desk<'_>,
    pane: &mut dyn std::io::Write,
    path: &Path,
    command: &str,
) -> Result<(), String> {
    let mut env = desk.session.environment();
    env.retain(|(name, _)| !name.as_encoded_bytes().starts_with(b"SPRINT_"));
    env.push((crate::process::tree::RUN_MARK.into(), desk.run.id.as_str().into()));
    let spec = Spec {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), command.into()],
        cwd: path.to_owned(),
        env,
        stdin: Stdin::Null,
        timeout: desk.config.timeouts.task,
        output_max: SETUP_OUTPUT_MAX,
        grace: std::time::Duration::from_secs(5),
        session: Detached::NewSession,
        bounds: Some(Bounds::of(&desk.config.limits)),
    };
    let mut put = |bytes: &[u8]| {
        if let Err(error) = pane.write_all(bytes) {
            tracing::debug!(%error, "the pane takes no more");
        }
    };
    // Each stream's lines whole: one of the other in the middle of a secret would save it.
    let mut lines = [Lines::default(), Lines::default()];
    let mut show = |stream, bytes: &[u8]| put(&lines[stream as usize].push(bytes));
    let cancel = || desk.interrupts.run_ends(&desk.run.id).is_some();
    let outcome = run(&spec, &mut show, &cancel);
    for rest in lines.iter_mut().map(Lines::finish).filter(|rest| !rest.is_empty()) {
        put(&rest);
        put(b"\n");
    }
    let outcome = outcome.map_err(|error| error.to_string())?;
    match outcome.ending {
        Ending::Exit(0) => Ok(()),
        Ending::Exit(code) => Err(format!("`{command}` ended with exit code {code}")),
        Ending::Signal(signal) => Err(format!("`{command}` was ended by signal {signal}")),
        Ending::TimedOut => Err(format!("`{command}` took longer than {} s", spec.timeout.as_secs())),
        Ending::Cancelled => Err("it was interrupted".to_owned()),
        Ending::Exceeded(excess) => Err(format!("`{command}` was ended: {excess}")),
    }
}

impl<'a> CandidateTrees<'a> {
    /// Checks out `head`, in a worktree of this worker's own.
    ///
    /// # Errors
    /// Why it cannot, for people.
    pub(super) fn open(
        desk: &'a Desk<'a>,
        pane: &mut dyn std::io::Write,
        head: &CommitSha,
        base: Option<&CommitSha>,
    ) -> Result<Self, String> {
        let repo = desk.place.repo.clone();
        let told = |error: git::Error| crate::error::chain(&error);
        let (changed, renames) = match base {
            Some(base) => (
                diff::changed_paths(&repo, base, head).map_err(told)?.into_iter().collect(),
                contents::renames(&repo, base, head).map_err(told)?,
            ),
            None => (BTreeSet::new(), Vec::new()),
        };
        Ok(Self {
            head: tree(desk, pane, head, "")?,
            base: base.cloned(),
            base_tree: OnceCell::new(),
            desk,
            named: named_paths(&repo, desk, head),
            repo,
            changed,
            renames,
            beside: OnceCell::new(),
            inside: Default::default(),
        })
    }

    fn side(&self, side: Side) -> Result<&Tree, String> {
        match side {
            Side::Head => Ok(&self.head),
            Side::Base => {
                if let Some(tree) = self.base_tree.get() {
                    return Ok(tree);
                }
                // Its set-up is not shown: the pane is the gate's that asks.
                let made = tree(self.desk, &mut std::io::sink(), self.commit(side)?, ".base")?;
                Ok(self.base_tree.get_or_init(|| made))
            }
        }
    }

    fn stays_inside(&self, side: Side) -> bool {
        let (Ok(files), Ok(commit)) = (self.files(side), self.commit(side)) else { return false };
        stays_inside(&files, |path| contents::blob(&self.repo, commit, path).ok().flatten())
    }

    fn commit(&self, side: Side) -> Result<&CommitSha, String> {
        match side {
            Side::Head => Ok(&self.head.commit),
            Side::Base => self.base.as_ref().ok_or_else(|| "there is no base".to_owned()),
        }
    }
}

fn tree(
    desk: &Desk<'_>,
    pane: &mut dyn std::io::Write,
    commit: &CommitSha,
    suffix: &str,
) -> Result<Tree, String> {
    let told = |error: git::Error| crate::error::chain(&error);
    let repo = &desk.place.repo;
    let pool = Pool::open(repo, &desk.place.layout.state).map_err(told)?;
    let name = format!("{}{suffix}", desk.place.worker);
    let worker = WorkerName::parse(&name).map_err(|error| error.to_string())?;
    let identity = identity(desk);
    let author = Author { identity: &identity, date: desk.run.job.stamp_s };
    let mut worktree = pool.acquire(&Owner::Gate { worker }, commit, None, &author).map_err(told)?.worktree;
    let mut setup = |path: &Path, command: &str| set_up(desk, pane, path, command);
    prepare(&pool, repo, &mut worktree, &recipe(desk), &mut setup).map_err(told)?;
    Ok(Tree { commit: commit.clone(), worktree, pristine: Cell::new(true) })
}

/// The files that the task's line in `tasks.md` names: an edit of them is what it is for.
fn named_paths(repo: &Repo, desk: &Desk<'_>, head: &CommitSha) -> Vec<String> {
    let Some(task) = &desk.run.job.task else { return Vec::new() };
    let path = format!("{}/tasks.md", desk.run.job.dir);
    let Ok(Some(bytes)) = contents::blob(repo, head, &path) else { return Vec::new() };
    crate::feature::TaskFile::read(&bytes).task(task).map(|task| task.paths.clone()).unwrap_or_default()
}

impl Trees for CandidateTrees<'_> {
    fn tree(&self, side: Side) -> Option<String> {
        contents::tree_of(&self.repo, self.commit(side).ok()?).ok().map(|tree| tree.to_string())
    }

    /// Both are prepared by the same recipe, and the base's worktree is made only for a gate that has to run
    /// there: the candidate's speaks for it. What its own manifests name, its commit says.
    fn besides(&self, side: Side) -> Option<String> {
        if !*self.inside[side as usize].get_or_init(|| self.stays_inside(side)) {
            return None;
        }
        let look = || around(&self.head.worktree.path, &self.files(Side::Head).ok()?);
        self.beside.get_or_init(look).clone()
    }

    fn history(&self, side: Side) -> Result<Option<CommitSha>, String> {
        self.commit(side).cloned().map(Some)
    }

    fn person(&self) -> Option<&Path> {
        Some(&self.repo.top)
    }

    fn has_base(&self) -> bool {
        self.base.is_some()
    }

    fn files(&self, side: Side) -> Result<Vec<String>, String> {
        contents::files(&self.repo, self.commit(side)?).map_err(|error| crate::error::chain(&error))
    }

    fn checkout(&self, side: Side, room: Room) -> Result<PathBuf, String> {
        let tree = self.side(side)?;
        // Who only reads leaves it as it is.
        if !tree.pristine.replace(room == Room::Reading) {
            tree.worktree.clean().map_err(|error| crate::error::chain(&error))?;
        }
        Ok(tree.worktree.path.clone())
    }

    fn root(&self, side: Side, _room: Room) -> Result<PathBuf, String> {
        Ok(self.side(side)?.worktree.path.clone())
    }

    fn slot(&self, side: Side) -> Option<String> {
        Some(self.side(side).ok()?.worktree.path.to_string_lossy().into_owned())
    }

    fn modified(&self, side: Side, _room: Room) -> Result<Vec<String>, String> {
        self.side(side)?.worktree.tracked_changes().map_err(|error| crate::error::chain(&error))
    }

    fn moved(&self, side: Side, _room: Room) -> Result<Option<String>, String> {
        let tree = self.side(side)?;
        let now = tree.worktree.head().map_err(|error| crate::error::chain(&error))?;
        Ok((now != tree.commit)
            .then(|| format!("while it ran, HEAD moved from {} to {}", tree.commit.short(), now.short())))
    }

    fn restore(&self, side: Side) -> Result<(), String> {
        let tree = self.side(side)?;
        tree.worktree.checkout_tree(&tree.commit).map_err(|error| crate::error::chain(&error))
    }

    fn is_file(&self, path: &str) -> bool {
        let here =
            |commit: &CommitSha| contents::blob(&self.repo, commit, path).is_ok_and(|blob| blob.is_some());
        here(&self.head.commit) || self.base.as_ref().is_some_and(here)
    }

    fn changed(&self, path: &str) -> bool {
        self.changed.contains(path)
    }

    fn named_by_task(&self, path: &str) -> bool {
        self.named.iter().any(|named| named == path)
    }

    fn base_file(&self, path: &str) -> Option<Vec<u8>> {
        contents::blob(&self.repo, self.base.as_ref()?, path).ok().flatten()
    }

    fn renames(&self) -> Vec<(String, String)> {
        self.renames.clone()
    }

    fn changed_lines(&self) -> Result<ChangedLines, String> {
        let (base, head) = (self.commit(Side::Base)?, &self.head.commit);
        diff::changed_lines(&self.repo, base, head).map_err(|error| crate::error::chain(&error))
    }
}
