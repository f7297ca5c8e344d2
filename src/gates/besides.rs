//! What a run of a tree's own code can see that the tree has not: ignored files, installed packages, the
//! person's variables. A kept result belongs to all of it.
//!
//! What cannot be told within bounds is no guess: then nothing is kept.

mod manifests;
mod packages;

pub use manifests::stays_inside;
pub(super) use packages::site_packages;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::fingerprint::{hash, hash_bytes};

/// More entries than this are not looked through.
const ENTRIES_MAX: usize = 5_000;

/// More bytes than this are not read.
const BYTES_MAX: u64 = 32 << 20;

/// Links to directories may lead round in a circle.
const DEPTH_MAX: usize = 32;

/// Written by tools of their own accord, and made anew where it is not there. `__pycache__` without its
/// source is not imported.
const CACHES: [&str; 2] = ["__pycache__", ".git"];

/// Says of a directory that it is a cache: <https://bford.info/cachedir/>.
const CACHE_TAG: (&str, &[u8]) = ("CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55");

/// What the package managers of Node write last: it names every package and its version.
const NODE_LOCKS: [&str; 4] = [".package-lock.json", ".modules.yaml", ".yarn-integrity", ".yarn-state.yml"];

/// Variables that say where somebody sits and not what a program does; a prefix ends with `*`.
const OF_THE_SEAT: [&str; 37] = [
    "_",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "TERM*",
    "COLORTERM",
    "COLUMNS",
    "LINES",
    "LS_COLORS",
    "SSH_*",
    "GPG_*",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "WINDOWID",
    "XAUTHORITY",
    "XDG_SESSION_*",
    "XDG_SEAT*",
    "XDG_VTNR",
    "DBUS_*",
    "TMUX*",
    "STY",
    "VSCODE_*",
    "VTE_*",
    "KITTY_*",
    "WEZTERM_*",
    "KONSOLE_*",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "SYSTEMD_EXEC_PID",
    "MANAGERPID",
    "PRE_COMMIT*",
    "SPRINT_*",
    "TMPDIR",
    // Which run of CI it is; that it is one, `CI` says.
    "GITHUB_*",
    "RUNNER_*",
    "CI_*",
    // In a commit hook, git says who commits and when.
    "GIT_*",
];

/// All that lies in `root` and is none of `files`, as one text: empty where there is nothing, `None` where it
/// cannot be told.
pub fn around(root: &Path, files: &[String]) -> Option<String> {
    let tree: HashSet<&OsStr> = files.iter().map(OsStr::new).collect();
    let mut look = Look::new(root);
    look.directory(root, Path::new(""), &tree, 0).ok()?;
    Some(look.end())
}

/// What is brought into the directory of a tree, by its names there, from the checkout at `root`; as
/// [`around`] says it. The links `own` lead, in the tree, to what that has itself: where they lead is all
/// that counts of them, and nothing that the checkout has there.
pub fn brought<'a>(
    root: &Path,
    names: impl IntoIterator<Item = &'a str>,
    own: impl IntoIterator<Item = (&'a Path, &'a Path)>,
) -> Option<String> {
    let own: Vec<(&Path, &Path)> = own.into_iter().collect();
    let passed: HashSet<&OsStr> = own.iter().map(|(at, _)| at.as_os_str()).collect();
    let mut look = Look::new(root);
    for name in names {
        look.entry(&root.join(name), Path::new(name), &passed, 0).ok()?;
    }
    for (at, to) in own {
        look.add(at, &format!("leads to {}", hash_bytes(&[to.as_os_str().as_bytes()]))).ok()?;
    }
    Some(look.end())
}

/// The person's variables that a program may go by, as one hash.
pub(super) fn variables(env: &[(OsString, OsString)]) -> String {
    let seat = |name: &str| {
        OF_THE_SEAT.iter().any(|of| of.strip_suffix('*').map_or(*of == name, |start| name.starts_with(start)))
    };
    let mut all: Vec<String> = env
        .iter()
        .filter(|(name, _)| !seat(&name.to_string_lossy()))
        .map(|(name, value)| {
            let value = if name == "PATH" { without_gits_own(value) } else { value.clone() };
            hash_bytes(&[name.as_bytes(), value.as_bytes()])
        })
        .collect();
    all.sort();
    hash(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

/// In a hook, git puts its own programs first.
fn without_gits_own(path: &OsStr) -> OsString {
    let kept = std::env::split_paths(path).filter(|directory| !directory.ends_with("git-core"));
    std::env::join_paths(kept).unwrap_or_else(|_| path.to_owned())
}

/// One walk, with what it may still read.
struct Look<'a> {
    root: &'a Path,
    found: Vec<String>,
    entries: usize,
    bytes: u64,
}

impl<'a> Look<'a> {
    fn new(root: &'a Path) -> Self {
        Self { root, found: Vec::new(), entries: ENTRIES_MAX, bytes: BYTES_MAX }
    }

    fn end(mut self) -> String {
        if self.found.is_empty() {
            return String::new();
        }
        self.found.sort();
        hash(&self.found.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn directory(&mut self, at: &Path, name: &Path, tree: &HashSet<&OsStr>, depth: usize) -> io::Result<()> {
        if depth > DEPTH_MAX {
            return Err(too_much());
        }
        for entry in fs::read_dir(at)? {
            let entry = entry?;
            if !CACHES.iter().any(|cache| entry.file_name() == *cache) {
                self.entry(&entry.path(), &name.join(entry.file_name()), tree, depth)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, at: &Path, name: &Path, tree: &HashSet<&OsStr>, depth: usize) -> io::Result<()> {
        if tree.contains(name.as_os_str()) {
            return Ok(());
        }
        let meta = match at.metadata() {
            // A link to nowhere, or gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        if !meta.is_dir() {
            return self.file(at, name, &meta);
        }
        if at.join("pyvenv.cfg").is_file() {
            let what = packages::of(at, self.root, &mut self.bytes)?;
            return self.add(name, &what);
        }
        if is_cache(at) {
            return Ok(());
        }
        if at.file_name().is_some_and(|last| last == "node_modules")
            && let Some(lock) = NODE_LOCKS.iter().map(|lock| at.join(lock)).find(|lock| lock.is_file())
        {
            self.links_stay_inside(at)?;
            let what = read(&lock, &mut self.bytes)? + &names(at)?;
            return self.add(name, &what);
        }
        self.directory(at, name, tree, depth + 1)
    }

    /// A package of Node that is a link to somewhere else, as `npm link` makes it, is code that nobody has
    /// written down.
    fn links_stay_inside(&self, packages: &Path) -> io::Result<()> {
        let insides = [self.root.canonicalize()?, packages.canonicalize()?];
        for entry in fs::read_dir(packages)? {
            let path = entry?.path();
            let scoped = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"@"));
            let own: Vec<PathBuf> = if scoped && path.is_dir() {
                fs::read_dir(&path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?
            } else {
                vec![path]
            };
            for link in own.iter().filter(|path| path.is_symlink()) {
                let Ok(target) = link.canonicalize() else { continue };
                if !insides.iter().any(|inside| target.starts_with(inside)) {
                    return Err(io::Error::other("packages lie elsewhere"));
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, at: &Path, name: &Path, meta: &Metadata) -> io::Result<()> {
        // Sockets and pipes have no content that could be kept.
        let what = if meta.is_file() { read(at, &mut self.bytes)? } else { "no file".to_owned() };
        self.add(name, &what)
    }

    fn add(&mut self, name: &Path, what: &str) -> io::Result<()> {
        self.entries = self.entries.checked_sub(1).ok_or_else(too_much)?;
        self.found.push(hash_bytes(&[name.as_os_str().as_bytes(), what.as_bytes()]));
        Ok(())
    }
}

fn is_cache(directory: &Path) -> bool {
    let mut start = [0; CACHE_TAG.1.len()];
    let tag = fs::File::open(directory.join(CACHE_TAG.0));
    tag.and_then(|mut tag| tag.read_exact(&mut start)).is_ok_and(|()| start == CACHE_TAG.1)
}

/// The names in a directory, whatever their order.
fn names(directory: &Path) -> io::Result<String> {
    let entries: io::Result<Vec<PathBuf>> = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect();
    let mut names: Vec<_> =
        entries?.iter().filter_map(|path| path.file_name().map(OsStr::to_owned)).collect();
    names.sort();
    Ok(hash_bytes(&names.iter().map(|name| name.as_bytes()).collect::<Vec<_>>()))
}

/// A file's content as a hash, out of what may still be read.
fn read(file: &Path, bytes: &mut u64) -> io::Result<String> {
    let mut content = Vec::new();
    let read = fs::File::open(file)?.take(*bytes + 1).read_to_end(&mut content)?;
    *bytes = bytes.checked_sub(read as u64).ok_or_else(too_much)?;
    Ok(hash_bytes(&[&content]))
}

fn too_much() -> io::Error {
    io::Error::other("more lies there than is looked through")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn what_the_tree_has_and_caches_are_nothing_and_any_other_file_counts_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let look = || around(root, &["src/a.py".to_owned()]).unwrap();
        write(root, "src/a.py", "1");
        write(root, "src/__pycache__/a.pyc", "1");
        write(root, ".git/HEAD", "1");
        write(root, "target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");
        write(root, "target/debug/x", "1");
        assert_eq!(look(), "");
        write(root, ".env", "MODE=1");
        let one = look();
        write(root, ".env", "MODE=2");
        let two = look();
        write(root, ".env", "MODE=1");
        assert!(one != two && one == look() && !one.is_empty());
        write(root, "target/CACHEDIR.TAG", "no");
        assert_ne!(look(), one, "only called a cache");
    }

    #[test]
    fn what_is_brought_is_as_what_lies_there() {
        let dir = tempfile::tempdir().unwrap();
        let (checkout, other) = (dir.path().join("checkout"), dir.path().join("other"));
        write(&checkout, "data/one.txt", "1");
        fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(checkout.join("data"), other.join("data")).unwrap();
        assert_eq!(brought(&checkout, ["data", "absent"], []), around(&other, &[]));
        assert_eq!(brought(&checkout, ["absent"], []).as_deref(), Some(""));
    }

    #[test]
    fn of_a_link_to_what_the_tree_has_counts_where_it_leads_and_nothing_that_the_checkout_has_there() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "packages/core/index.js", "1");
        write(dir.path(), "node_modules/a/index.js", "1");
        let at = Path::new("node_modules/core");
        std::os::unix::fs::symlink("../packages/core", dir.path().join(at)).unwrap();
        let look = |to| brought(dir.path(), ["node_modules"], [(at, Path::new(to))]).unwrap();
        let before = look("packages/core");
        assert_ne!(before, look("packages/other"));
        write(dir.path(), "packages/core/index.js", "2");
        assert_eq!(before, look("packages/core"));
        write(dir.path(), "node_modules/a/index.js", "2");
        assert_ne!(before, look("packages/core"));
    }

    #[test]
    fn what_is_too_much_or_leads_in_a_circle_is_not_told() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(".", dir.path().join("round")).unwrap();
        assert_eq!(around(dir.path(), &[]), None);
        fs::remove_file(dir.path().join("round")).unwrap();
        fs::File::create(dir.path().join("large")).unwrap().set_len(BYTES_MAX + 1).unwrap();
        assert_eq!(around(dir.path(), &[]), None);
    }

    #[test]
    fn packages_of_node_are_what_their_manager_says() {
        let dir = tempfile::tempdir().unwrap();
        let look = || around(dir.path(), &[]).unwrap();
        write(dir.path(), "node_modules/.package-lock.json", "{\"a\": 1}");
        write(dir.path(), "node_modules/a/index.js", "1");
        let before = look();
        write(dir.path(), "node_modules/.package-lock.json", "{\"a\": 2}");
        assert_ne!(before, look());
        write(dir.path(), "packages/b/index.js", "1");
        std::os::unix::fs::symlink("../packages/b", dir.path().join("node_modules/b")).unwrap();
        look();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("node_modules/@c")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("node_modules/@c/c")).unwrap();
        assert_eq!(around(dir.path(), &[]), None, "as `npm link` does");
    }

    #[test]
    fn a_variable_counts_unless_it_says_only_where_somebody_sits() {
        let of = |pairs: &[(&str, &str)]| {
            variables(&pairs.iter().map(|(n, v)| (n.into(), v.into())).collect::<Vec<_>>())
        };
        assert_ne!(of(&[("MODE", "1")]), of(&[("MODE", "2")]));
        assert_eq!(of(&[("MODE", "1"), ("A", "")]), of(&[("A", ""), ("SHLVL", "2"), ("MODE", "1")]));
        assert_eq!(of(&[("TMUX_PANE", "1"), ("SSH_TTY", "x")]), of(&[]));
        assert_eq!(of(&[("PATH", "/usr/lib/git-core:/bin")]), of(&[("PATH", "/bin")]));
    }
}
