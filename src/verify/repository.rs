//! Reads the repository: what the integration branches hold, and what references reach.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{ErrorCode, ObjectType, Oid, Repository};

use super::Unreadable;
use super::facts::{Branch, Commit, Feature, Git, Rows};

/// A branch is followed back so far for its base.
const CHAIN_MAX: usize = 100_000;
/// Larger files are known to be there, and not read.
const BLOB_MAX: usize = 64 * 1024 * 1024;
/// So much damage is told.
const DAMAGE_MAX: usize = 20;

/// What git knows of the features in `rows`.
pub(super) fn read(common_dir: &Path, rows: &Rows) -> Result<Git, Unreadable> {
    let repo = Repository::open(common_dir)?;
    let mut git = Git::default();
    let mut seen = BTreeSet::new();
    for feature in rows.features.iter().filter(|feature| feature.head.is_some()) {
        match branch(&repo, feature) {
            Ok(branch) => {
                for commit in &branch.chain {
                    whole(&repo, &commit.id, &mut seen, &mut git.damaged);
                }
                git.branches.insert(feature.id.clone(), branch);
            }
            Err(error) => {
                git.damaged.push(format!("the branch of {} cannot be read: {}", feature.id, error.message()));
            }
        }
    }
    git.reachable = reachable(&repo, rows, &mut git.damaged)?;
    git.damaged.truncate(DAMAGE_MAX);
    Ok(git)
}

fn branch(repo: &Repository, feature: &Feature) -> Result<Branch, git2::Error> {
    let mut found = Branch::default();
    let name = format!("refs/heads/sprint/{}", feature.id);
    let tip = match repo.refname_to_id(&name) {
        Ok(tip) => tip,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    found.head = Some(tip.to_string());
    let file = format!("{}/tasks.md", feature.dir);
    let mut at = tip;
    while found.chain.len() < CHAIN_MAX {
        if at.to_string() == feature.base {
            found.from_base = true;
            break;
        }
        let commit = repo.find_commit(at)?;
        found.chain.push(describe(repo, &commit, &file)?);
        match commit.parent_id(0) {
            Ok(parent) => at = parent,
            Err(_) => break,
        }
    }
    if !found.from_base {
        found.chain.clear();
    }
    found.chain.reverse();
    Ok(found)
}

fn describe(repo: &Repository, commit: &git2::Commit<'_>, file: &str) -> Result<Commit, git2::Error> {
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let (now, _) = boxes(repo, commit, file)?;
    let (before, open_before) = match commit.parent(0) {
        Ok(parent) => boxes(repo, &parent, file)?,
        Err(_) => Default::default(),
    };
    Ok(Commit {
        id: commit.id().to_string(),
        tree: commit.tree_id().to_string(),
        parents: commit.parent_ids().map(|id| id.to_string()).collect(),
        task: trailer(&message, "Sprint-Task"),
        ticked: now.difference(&before).cloned().collect(),
        unticked: before.difference(&now).cloned().collect(),
        open_before,
    })
}

/// A trailer's value: a line `key: value` after the last empty one.
pub(super) fn trailer(message: &str, key: &str) -> Option<String> {
    let last = message.trim_end().rsplit("\n\n").next()?;
    let line = last.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

type Boxes = (BTreeSet<String>, BTreeSet<String>);

/// Ticked ones and open ones.
fn boxes(repo: &Repository, commit: &git2::Commit<'_>, file: &str) -> Result<Boxes, git2::Error> {
    let entry = match commit.tree()?.get_path(Path::new(file)) {
        Ok(entry) => entry,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(Boxes::default()),
        Err(error) => return Err(error),
    };
    let blob = repo.find_blob(entry.id())?;
    Ok(listed(&String::from_utf8_lossy(blob.content())))
}

/// The boxes of a task list: ticked ones and open ones, by the first word after them.
pub(super) fn listed(text: &str) -> Boxes {
    let mut found = Boxes::default();
    for line in text.lines() {
        let line = line.trim_start();
        let Some(rest) = line.strip_prefix("- [").or_else(|| line.strip_prefix("* [")) else { continue };
        let Some((mark, rest)) = rest.split_once(']') else { continue };
        let Some(word) = rest.split_whitespace().next() else { continue };
        let word = word.trim_matches('*').to_owned();
        match mark {
            "x" | "X" => found.0.insert(word),
            " " => found.1.insert(word),
            _ => false,
        };
    }
    found
}

/// Everything that a landed commit brought along is there, and is what its name says.
fn whole(repo: &Repository, commit: &str, seen: &mut BTreeSet<Oid>, damaged: &mut Vec<String>) {
    let mut open = Vec::from_iter(Oid::from_str(commit));
    while let Some(id) = open.pop() {
        if damaged.len() >= DAMAGE_MAX || !seen.insert(id) {
            continue;
        }
        match inside(repo, id) {
            Ok(inner) => open.extend(inner),
            Err(why) => damaged.push(format!("{id} of {}: {why}", &commit[..commit.len().min(10)])),
        }
    }
}

/// What an object names: a commit its tree, a tree its entries.
fn inside(repo: &Repository, id: Oid) -> Result<Vec<Oid>, String> {
    let told = |error: git2::Error| error.message().to_owned();
    let odb = repo.odb().map_err(told)?;
    let (size, kind) = odb.read_header(id).map_err(told)?;
    if kind == ObjectType::Blob && size > BLOB_MAX {
        return Ok(Vec::new());
    }
    let object = odb.read(id).map_err(told)?;
    let is = Oid::hash_object(kind, object.data()).map_err(told)?;
    if is != id {
        return Err(format!("what is there is {is}"));
    }
    match kind {
        ObjectType::Commit => Ok(vec![repo.find_commit(id).map_err(told)?.tree_id()]),
        ObjectType::Tree => {
            let tree = repo.find_tree(id).map_err(told)?;
            // A submodule's commit lives elsewhere.
            let here = tree.iter().filter(|entry| entry.kind() != Some(ObjectType::Commit));
            Ok(here.map(|entry| entry.id()).collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn reachable(
    repo: &Repository,
    rows: &Rows,
    damaged: &mut Vec<String>,
) -> Result<BTreeSet<String>, git2::Error> {
    let mut walk = repo.revwalk()?;
    for reference in repo.references()? {
        let reference = reference?;
        let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
        match reference.peel_to_commit() {
            Ok(commit) => walk.push(commit.id())?,
            // A person's tag of a file, or a remote's HEAD that leads nowhere.
            Err(_) if !name.contains("sprint") => {}
            Err(error) => damaged.push(format!("`{name}` leads nowhere: {}", error.message())),
        }
    }
    for feature in &rows.features {
        // One that is not there hides nothing.
        if let Ok(base) = Oid::from_str(&feature.base).and_then(|id| repo.find_commit(id)) {
            walk.hide(base.id())?;
        }
    }
    walk.map(|id| id.map(|id| id.to_string())).collect()
}
