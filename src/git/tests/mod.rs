//! Tests of this module on real repositories, each in a directory of its own.

mod addition;
mod broken;
mod candidate;
mod conflict;
mod diff;
mod durable;
mod export;
mod hostile;
mod id;
mod landing;
mod leftovers;
mod nested;
mod pool;
mod preflight;
mod prepare;
mod radar;
mod traces;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::leftovers::Author;
use super::pool::{Owner, Pool};
use super::repo::{oid, sha};
use super::trees::{self, Entry};
use super::{Identity, Repo};
use crate::domain::ids::{CommitSha, FeatureId, TaskId, WorkerName};

pub(crate) const TASKS: &str = "specs/001-thing/tasks.md";
pub(crate) const DATE: i64 = 1_700_000_000;

/// A repository with a feature of three tasks, committed.
pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) top: PathBuf,
    pub(crate) repo: Repo,
    pub(crate) identity: Identity,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let top = dir.path().canonicalize().unwrap().join("shop");
        fs::create_dir(&top).unwrap();
        git(&top, &["init", "-q", "-b", "main"]);
        write(&top, "a.txt", &lines("a", 20));
        write(&top, "b.txt", &lines("b", 20));
        write(&top, "dir/c.txt", &lines("c", 20));
        write(&top, ".gitignore", "*.ignored\n.venv/\n");
        write(&top, TASKS, "# Tasks\n\n- [ ] T001 one\n- [ ] T002 two\n- [ ] T003 three\n");
        git(&top, &["add", "-A"]);
        git(&top, &["commit", "-q", "-m", "begin"]);
        let repo = Repo::discover(&top).unwrap();
        let identity = Identity { name: "Ann Lee".to_owned(), email: "ann@example.org".to_owned() };
        Self { dir, top, repo, identity }
    }

    pub(crate) fn author(&self) -> Author<'_> {
        Author { identity: &self.identity, date: DATE }
    }

    pub(crate) fn pool(&self) -> Pool {
        Pool::open(&self.repo, &self.dir.path().join("state")).unwrap()
    }

    pub(crate) fn head(&self) -> CommitSha {
        self.repo.head().unwrap()
    }

    /// A commit on `from` with these files written (None: removed), on no branch.
    pub(crate) fn commit(&self, from: &CommitSha, files: &[(&str, Option<&str>)]) -> CommitSha {
        let tree = TempDir::new_in(self.dir.path()).unwrap();
        let index = tree.path().join("index");
        let work = tree.path().join("work");
        fs::create_dir(&work).unwrap();
        let run = |args: &[&str]| {
            let mut command = command(&work, args);
            command.env("GIT_INDEX_FILE", &index).env("GIT_DIR", &self.repo.common_dir);
            text(command.env("GIT_WORK_TREE", &work))
        };
        run(&["read-tree", from.as_str()]);
        run(&["checkout-index", "-a"]);
        for (path, content) in files {
            match content {
                Some(content) => write(&work, path, content),
                None => super::worktree::remove_any(&work.join(path)).unwrap(),
            }
        }
        run(&["add", "-A"]);
        let tree = run(&["write-tree"]);
        CommitSha::parse(&run(&["commit-tree", &tree, "-p", from.as_str(), "-m", "work"])).unwrap()
    }

    /// As [`Fixture::commit`] for one file, by libgit2: quick, and no hook or filter can run.
    pub(crate) fn edit(&self, from: &CommitSha, path: &str, content: &str) -> CommitSha {
        let repo = self.repo.open().unwrap();
        let parent = repo.find_commit(oid(from).unwrap()).unwrap();
        let entry = Entry { id: repo.blob(content.as_bytes()).unwrap(), mode: 0o100_644 };
        let tree = parent.tree().unwrap();
        let id = trees::replace(&repo, Some(&tree), path, Some(entry), &mut Vec::new()).unwrap();
        let tree = repo.find_tree(id).unwrap();
        let who = git2::Signature::new("a", "b", &git2::Time::new(1, 0)).unwrap();
        sha(repo.commit(None, &who, &who, "edit", &tree, &[&parent]).unwrap())
    }

    pub(crate) fn show(&self, commit: &CommitSha, path: &str) -> String {
        let out = command(&self.top, &["show", &format!("{commit}:{path}")]).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(&self.top, args)
    }
}

pub(crate) fn feature() -> FeatureId {
    FeatureId::parse("001-thing").unwrap()
}

pub(crate) fn task(id: &str) -> TaskId {
    TaskId::parse(id).unwrap()
}

pub(crate) fn task_owner(id: &str) -> Owner {
    Owner::Task { feature: feature(), task: task(id) }
}

pub(crate) fn gate_owner(name: &str) -> Owner {
    Owner::Gate { worker: WorkerName::parse(name).unwrap() }
}

pub(crate) fn lines(prefix: &str, count: usize) -> String {
    (0..count).map(|n| [prefix, " ", &n.to_string(), "\n"].concat()).collect()
}

/// The text with one of its lines replaced.
pub(crate) fn with_line(text: &str, at: usize, new: &str) -> String {
    let change = |(n, line): (usize, &str)| [if n == at { new } else { line }, "\n"].concat();
    text.lines().enumerate().map(change).collect()
}

pub(crate) fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

pub(crate) fn command(cwd: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(args).current_dir(cwd).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", "/nonexistent");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Agent").env(format!("GIT_{who}_EMAIL"), "agent@example.org");
    }
    command
}

pub(crate) fn git(cwd: &Path, args: &[&str]) -> String {
    text(&mut command(cwd, args))
}

fn text(command: &mut Command) -> String {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
}
