//! What must hold once a replay is finished, whatever happened on the way.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::case::{Case, FEATURE};
use super::releases::Files;
use crate::common::World;

/// The person's checkout: branch, head, status, and every file with its contents.
#[derive(Debug, PartialEq, Eq)]
pub struct Checkout {
    head: String,
    branch: String,
    status: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl Checkout {
    pub fn of(world: &World) -> Self {
        let mut files = BTreeMap::new();
        read(&world.repo(), "", &mut files);
        Self {
            head: world.git(&["rev-parse", "HEAD"]),
            branch: world.git(&["symbolic-ref", "HEAD"]),
            status: world.git(&["status", "--porcelain", "--ignored"]),
            files,
        }
    }
}

fn read(directory: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if prefix.is_empty() && name == ".git" {
            continue;
        }
        let path = format!("{prefix}/{name}");
        if entry.file_type().unwrap().is_dir() {
            read(&entry.path(), &path, files);
        } else {
            files.insert(path, fs::read(entry.path()).unwrap());
        }
    }
}

/// Everything.
pub fn all(world: &World, case: &Case, before: &Checkout) {
    world.assert_nothing_left();
    assert_eq!(Checkout::of(world), *before, "the checkout was touched");
    the_tree(world, case);
    one_merge_a_task(world, case);
    every_commit_is_green(world, case);
    boxes(world, case);
    tidy(world);
    let status = world.status();
    assert_eq!(status["state"], "finished", "{status:#}");
    world.sprint(&["verify"]).expect(0);
    world.assert_nothing_left();
}

fn branch() -> String {
    format!("sprint/{FEATURE}")
}

fn the_tree(world: &World, case: &Case) {
    let own = format!("specs/{FEATURE}/");
    let listed = world.git(&["-c", "core.quotePath=false", "ls-tree", "-r", &branch()]);
    let mut found: BTreeMap<String, (bool, String)> = BTreeMap::new();
    for line in listed.lines() {
        let (meta, path) = line.split_once('\t').unwrap();
        let words: Vec<&str> = meta.split(' ').collect();
        if !path.starts_with(&own) {
            found.insert(path.to_owned(), (words[0] == "100755", words[2].to_owned()));
        }
    }
    let wanted = wanted(&case.last);
    let differ: Vec<_> = found.iter().filter(|(path, entry)| wanted.get(*path) != Some(entry)).collect();
    let missing: Vec<_> = wanted.keys().filter(|path| !found.contains_key(*path)).collect();
    assert!(
        differ.is_empty() && missing.is_empty(),
        "not the last release: differ {differ:?}, missing {missing:?}"
    );
}

fn wanted(files: &Files) -> BTreeMap<String, (bool, String)> {
    let id = |bytes: &[u8]| git2::Oid::hash_object(git2::ObjectType::Blob, bytes).unwrap().to_string();
    files.iter().map(|(path, entry)| (path.clone(), (entry.executable, id(&entry.bytes)))).collect()
}

/// Each task exactly once, at its first attempt, as a merge, phase after phase.
fn one_merge_a_task(world: &World, case: &Case) {
    let landed = world.landed_of(FEATURE);
    let phase = |id: &str| case.tasks.iter().find(|task| task.id == id).unwrap().phase;
    let mut ids: Vec<&str> = landed.iter().map(|(id, _)| id.as_str()).collect();
    assert!(ids.is_sorted_by_key(|id| phase(id)), "phases in disorder: {ids:?}");
    ids.sort_unstable();
    let all: Vec<&str> = case.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, all, "each task lands exactly once");
    let spent: Vec<_> = landed.iter().filter(|(_, attempt)| *attempt != 1).collect();
    assert!(spent.is_empty(), "nobody failed, but attempts were spent: {spent:?}");
    let parents = world.git(&["log", "--first-parent", "--format=%P", &format!("main..{}", branch())]);
    assert_eq!(parents.lines().count(), case.tasks.len(), "commits that are no task's");
    assert!(parents.lines().all(|line| line.split(' ').count() == 2), "not all are merges: {parents}");
}

fn every_commit_is_green(world: &World, case: &Case) {
    let clone = world.path().join("clone");
    if clone.exists() {
        fs::remove_dir_all(&clone).unwrap();
    }
    world.git(&["clone", "-q", "--no-checkout", ".", &clone.to_string_lossy()]);
    let commits = world.git(&["rev-list", "--first-parent", "--reverse", &format!("main..{}", branch())]);
    let mut seen = String::new();
    for commit in commits.lines() {
        world.git_in(&clone, &["checkout", "-q", "-f", commit]);
        world.git_in(&clone, &["clean", "-ffdxq"]);
        let mut gate: Command = world.command(&case.gate[0]);
        let output = gate.args(&case.gate[1..]).current_dir(&clone).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{commit} is red:\n{text}");
        seen = text;
    }
    println!("the gate at the last commit: {}", seen.trim_end().lines().last().unwrap_or("green"));
}

fn boxes(world: &World, case: &Case) {
    let path = format!("{}:specs/{FEATURE}/tasks.md", branch());
    let text = world.git(&["show", &path]);
    assert_eq!(text.matches("- [X] T").count(), case.tasks.len(), "{text}");
    let before = world.git(&["show", &format!("main:specs/{FEATURE}/tasks.md")]);
    assert_eq!(text.replace("- [X] T", "- [ ] T"), before, "more than the boxes changed");
}

/// Branches of landed tasks are gone, and no worktree is held or set aside.
fn tidy(world: &World) {
    let refs = world.git(&["for-each-ref", "--format=%(refname)", "refs/heads/sprint-task/"]);
    assert_eq!(refs, "", "branches of landed tasks are still there");
    let worktrees = world.git(&["worktree", "list", "--porcelain"]);
    let kept: Vec<&str> = worktrees.lines().filter(|line| line.starts_with("branch ")).collect();
    assert_eq!(kept, ["branch refs/heads/main"], "worktrees hold branches: {worktrees}");
    let fsck = world.git(&["fsck", "--connectivity-only", "--no-dangling"]);
    assert_eq!(fsck, "", "the repository is damaged");
}
