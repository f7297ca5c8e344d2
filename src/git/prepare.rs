//! Preparing a worktree: `[worktree] copy / link / setup` and `.worktreeinclude`.
//!
//! Done once for a worktree, and again when the recipe or one of the `setup_inputs` changes. What
//! is untracked afterwards is *prepared*: cleaning keeps it, commits leave it out. Files come from
//! the person's checkout; nothing is written through a symbolic link or outside the worktree.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use globset::{Glob, GlobSetBuilder};
use sha2::{Digest, Sha256};

use super::command::Git;
use super::error::{Error, IoContext, LibContext, Result};
use super::id::hex;
use super::links;
use super::pool::Pool;
use super::repo::Repo;
use super::worktree::{Worktree, remove_any};

/// How many files `.worktreeinclude` may bring along.
const INCLUDED_MAX: usize = 10_000;
/// How deep a copied directory may be.
const DEPTH_MAX: usize = 64;
const INCLUDE_FILE: &str = ".worktreeinclude";

/// `[worktree]` of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// A shell command, run in the worktree; empty for none.
    pub setup: String,
    /// Globs of tracked files; a change of one runs `setup` again.
    pub setup_inputs: Vec<String>,
    /// Paths of the person's checkout that are copied.
    pub copy: Vec<String>,
    /// Paths of the person's checkout that are linked.
    pub link: Vec<String>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to do: it was prepared for the same inputs.
    Fresh,
    /// It was prepared.
    Prepared,
}

/// Runs `setup` for its caller, who owns output, environment and time-out. An `Err` is the text
/// for the person.
pub type RunSetup<'a> = &'a mut dyn FnMut(&Path, &str) -> std::result::Result<(), String>;

/// Prepares a checked-out worktree, if it is not prepared for the same inputs already. On success
/// `worktree.prepared` says what is there.
///
/// # Errors
/// [`Error::Setup`] if the command failed, [`Error::UnsafePath`] for a path that leads elsewhere.
pub fn prepare(
    pool: &Pool,
    repo: &Repo,
    worktree: &mut Worktree,
    recipe: &Recipe,
    run_setup: RunSetup<'_>,
) -> Result<Outcome> {
    let included = included(repo)?;
    let key = key(repo, worktree, recipe, &included)?;
    if pool.record(worktree.number)?.prepared_key.as_deref() == Some(key.as_str()) {
        return Ok(Outcome::Fresh);
    }
    for path in recipe.copy.iter().chain(&included) {
        place(repo, worktree, path, Place::Copy)?;
    }
    for path in &recipe.link {
        place(repo, worktree, path, Place::Link)?;
    }
    if !recipe.setup.trim().is_empty() {
        run_setup(&worktree.path, &recipe.setup).map_err(Error::Setup)?;
    }
    worktree.prepared = worktree.untracked()?;
    pool.record_prepared(worktree.number, &worktree.prepared, &key)?;
    Ok(Outcome::Prepared)
}

/// Hash of the recipe, of what is included, of the links that are made, and of every input file's content.
fn key(repo: &Repo, worktree: &Worktree, recipe: &Recipe, included: &[String]) -> Result<String> {
    let mut hash = Sha256::new();
    let mut add = |text: &[u8]| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    add(recipe.setup.as_bytes());
    for list in [&recipe.setup_inputs, &recipe.copy, &recipe.link] {
        add(&(list.len() as u64).to_le_bytes());
        for text in list {
            add(text.as_bytes());
        }
    }
    for text in included {
        add(text.as_bytes());
    }
    for path in &recipe.link {
        for link in links::made(repo, &inside(path)?)? {
            add(link.as_os_str().as_bytes());
        }
    }
    for (path, id) in inputs(worktree, &recipe.setup_inputs)? {
        add(&path);
        add(id.as_bytes());
    }
    Ok(hex(&hash.finalize()))
}

/// The tracked files that the globs match, with the ids of their contents.
fn inputs(worktree: &Worktree, globs: &[String]) -> Result<Vec<(Vec<u8>, git2::Oid)>> {
    if globs.is_empty() {
        return Ok(Vec::new());
    }
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let bad = |_| Error::UnsafePath { path: glob.clone(), why: "it is not a glob" };
        set.add(Glob::new(glob).map_err(bad)?);
    }
    let bad = |_| Error::UnsafePath { path: globs.join(" "), why: "these are not globs" };
    let set = set.build().map_err(bad)?;
    let index = worktree.open()?.index().during("cannot open the index")?;
    let named = |path: &[u8]| set.is_match(Path::new(std::ffi::OsStr::from_bytes(path)));
    Ok(index.iter().filter(|e| named(&e.path)).map(|e| (e.path, e.id)).collect())
}

/// Ignored files of the person's checkout that `.worktreeinclude` names, in gitignore's syntax.
fn included(repo: &Repo) -> Result<Vec<String>> {
    let file = repo.top.join(INCLUDE_FILE);
    if !fs::symlink_metadata(&file).is_ok_and(|m| m.is_file()) {
        return Ok(Vec::new());
    }
    let mut option = std::ffi::OsString::from("--exclude-from=");
    option.push(&file);
    let list = Git::new(&repo.git_dir).work_tree(&repo.top).args(["ls-files", "-z", "--others", "--ignored"]);
    let out = list.arg(option).run()?;
    let lib = git2::Repository::open(&repo.git_dir).during("cannot open the checkout")?;
    let mut paths = Vec::new();
    for path in out.split(|b| *b == 0).filter(|p| !p.is_empty()) {
        let path = String::from_utf8_lossy(path).into_owned();
        if lib.is_path_ignored(Path::new(&path)).during("cannot read ignore rules")? {
            paths.push(path);
        }
        if paths.len() > INCLUDED_MAX {
            let what = format!("it names more than {INCLUDED_MAX} files");
            return Err(Error::Malformed { path: file, what });
        }
    }
    Ok(paths)
}

#[derive(Clone, Copy)]
enum Place {
    Copy,
    Link,
}

/// Puts one path of the checkout into the worktree; what is missing there is left out, what is
/// tracked is left alone.
fn place(repo: &Repo, worktree: &Worktree, path: &str, how: Place) -> Result<()> {
    let relative = inside(path)?;
    let from = repo.top.join(&relative);
    if fs::symlink_metadata(&from).is_err() {
        // `start` has seen it: it is gone since.
        tracing::warn!(path, "`[worktree]` names a path that the checkout does not have any more");
        return Ok(());
    }
    let lib = worktree.open()?;
    let index = lib.index().during("cannot open the index")?;
    let below = format!("{}/", relative.display());
    let tracked = index.get_path(&relative, 0).is_some()
        || index.iter().any(|entry| entry.path.starts_with(below.as_bytes()));
    if tracked && matches!(how, Place::Link) {
        return Err(Error::UnsafePath { path: path.to_owned(), why: "a tracked path cannot be linked" });
    }
    let to = worktree.path.join(&relative);
    make_parents(&worktree.path, &relative)?;
    match how {
        Place::Link => {
            remove_any(&to)?;
            let own = links::own_links(repo, &relative)?;
            links::link(repo, &relative, (&worktree.path, &relative), &own)
        }
        Place::Copy => copy(&from, &to, &worktree.path, &index, DEPTH_MAX),
    }
}

/// Relative, without `..`, not into `.git`.
fn inside(path: &str) -> Result<PathBuf> {
    let refuse = |why| Err(Error::UnsafePath { path: path.chars().take(200).collect(), why });
    let mut clean = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            _ => return refuse("it leads out of the repository"),
        }
    }
    if clean.as_os_str().is_empty() {
        return refuse("it is the repository itself");
    }
    if clean.components().next().is_some_and(|c| c.as_os_str() == ".git") {
        return refuse("it is git's");
    }
    Ok(clean)
}

/// Makes the directories above a path; a symbolic link among them (a commit may contain one) is
/// refused, or the file would land wherever it points to.
fn make_parents(root: &Path, relative: &Path) -> Result<()> {
    let mut dir = root.to_owned();
    for part in relative.parent().into_iter().flat_map(Path::components) {
        dir.push(part);
        match fs::symlink_metadata(&dir) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => {
                let path = relative.display().to_string();
                return Err(Error::UnsafePath { path, why: "a parent is not a directory in the worktree" });
            }
            Err(_) => fs::create_dir(&dir).at("create", &dir)?,
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, root: &Path, index: &git2::Index, depth: usize) -> Result<()> {
    let meta = fs::symlink_metadata(from).at("read", from)?;
    let relative = to.strip_prefix(root).expect("the target was joined to the root");
    if index.get_path(relative, 0).is_some() {
        return Ok(());
    }
    if meta.is_symlink() {
        let target = fs::read_link(from).at("read", from)?;
        remove_any(to)?;
        return std::os::unix::fs::symlink(target, to).at("link", to);
    }
    if meta.is_file() {
        remove_any(to)?;
        return fs::copy(from, to).map(drop).at("copy", from);
    }
    if !meta.is_dir() {
        return Ok(());
    }
    if depth == 0 {
        let path = relative.display().to_string();
        return Err(Error::UnsafePath { path, why: "it is too deep" });
    }
    if fs::symlink_metadata(to).is_ok_and(|m| !m.is_dir()) {
        remove_any(to)?;
    }
    fs::create_dir_all(to).at("create", to)?;
    for entry in fs::read_dir(from).at("read", from)? {
        let entry = entry.at("read", from)?;
        copy(&entry.path(), &to.join(entry.file_name()), root, index, depth - 1)?;
    }
    Ok(())
}
