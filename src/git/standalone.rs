//! The files of a commit in a directory become a repository of their own, so that tools which ask git are told
//! what they are told in a checkout. It borrows objects; what is written there stays there.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use git2::{Reference, ReferenceType, Repository, RepositoryInitOptions};

use super::command::Git;
use super::error::{IoContext, LibContext, Result};
use super::repo::{Repo, oid};
use crate::domain::ids::CommitSha;

/// Characters that mean something in a file of ignored paths.
const SPECIAL: [char; 5] = ['\\', '*', '?', '[', ' '];

/// The commit's files are tracked and nothing is committed: enough for tools that only read, which without a
/// repository look for one in everything around. `target` has those files and no repository.
///
/// # Errors
/// The commit is missing, or the directory cannot be written.
pub fn track(repo: &Repo, commit: &CommitSha, target: &Path) -> Result<()> {
    let lib = repo.open()?;
    let what = || format!("cannot list the files of {}", commit.short());
    let tree = lib.find_commit(oid(commit)?).and_then(|commit| commit.tree()).during(what())?;
    let mut options = RepositoryInitOptions::new();
    options.external_template(false).no_reinit(true);
    let made = Repository::init_opts(target, &options).during(what())?;
    let mut index = made.index().during(what())?;
    index.read_tree(&tree).and_then(|()| index.write()).during(what())
}

/// The same with the whole history: branches and tags as in `repo`, and `head` checked out, detached; without
/// one nothing is committed yet. `beside` is not the commit's, and ignored.
///
/// # Errors
/// As [`track`].
pub fn stand_alone(
    repo: &Repo,
    commit: &CommitSha,
    head: Option<&CommitSha>,
    beside: &[&str],
    target: &Path,
) -> Result<()> {
    track(repo, commit, target)?;
    let own = target.join(".git");
    borrow(repo, &own)?;
    write(&own.join("packed-refs"), names(repo)?)?;
    write(&own.join("info/exclude"), beside.iter().map(|path| ignored(path)).collect::<String>())?;
    if let Some(head) = head {
        write(&own.join("HEAD"), format!("{head}\n"))?;
    }
    // Without their times git takes all files for changed until it has looked at each.
    Git::new(&own).work_tree(target).args(["update-index", "-q", "--refresh"]).output().map(drop)
}

fn write(file: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    if let Some(above) = file.parent() {
        fs::create_dir_all(above).at("create", above)?;
    }
    fs::write(file, text).at("write", file)
}

/// Objects, and where history is cut off.
fn borrow(repo: &Repo, own: &Path) -> Result<()> {
    let theirs = repo.common_dir.join("objects");
    let theirs = theirs.canonicalize().at("look for", &theirs)?;
    write(&own.join("objects/info/alternates"), [theirs.as_os_str().as_bytes(), b"\n"].concat())?;
    let shallow = repo.common_dir.join("shallow");
    if shallow.exists() {
        fs::copy(&shallow, own.join("shallow")).at("copy", &shallow)?;
    }
    Ok(())
}

/// Branches, tags and what is known of remotes, as git packs them; without what cannot be read, and what leads
/// nowhere.
fn names(repo: &Repo) -> Result<String> {
    let lib = repo.open()?;
    let all = lib.references().during("cannot list branches and tags")?;
    let line = |one: std::result::Result<Reference<'_>, git2::Error>| {
        let one = one.ok()?;
        let name = one.name().ok()?.to_owned();
        let wanted =
            ["refs/heads/", "refs/tags/", "refs/remotes/"].iter().any(|place| name.starts_with(place));
        // The main branch of a remote is named by another.
        let direct = if one.kind() == Some(ReferenceType::Symbolic) { one.resolve().ok()? } else { one };
        wanted.then(|| direct.target().map(|target| (name, target)))?
    };
    let mut found: Vec<_> = all.filter_map(line).collect();
    found.sort();
    let mut text = String::new();
    for (name, target) in found {
        writeln!(text, "{target} {name}").expect("a string takes all");
    }
    Ok(text)
}

/// A line of a file of ignored paths that means this path alone.
fn ignored(path: &str) -> String {
    let mut line = String::from("/");
    for letter in path.chars() {
        if SPECIAL.contains(&letter) {
            line.push('\\');
        }
        line.push(letter);
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::ignored;

    #[test]
    fn an_ignored_path_means_itself() {
        assert_eq!(ignored("a b/*[c]"), "/a\\ b/\\*\\[c]\n");
        assert_eq!(ignored(".venv"), "/.venv\n");
    }
}
