//! What is installed in a virtual environment of Python, told from what installers write down:
//! <https://packaging.python.org/en/latest/specifications/recording-installed-packages/>.
//!
//! An edit by hand inside an installed package is not seen.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{hash, hash_bytes, read};

/// A file that leads elsewhere is read up to this.
const PATHS_MAX: u64 = 1 << 20;

/// Interpreter, packages with their files, and what leads to code elsewhere, as one hash.
///
/// # Errors
/// It cannot be read; or the environment has code from outside of `root`, of which nobody knows what it is.
pub(super) fn of(environment: &Path, root: &Path, bytes: &mut u64) -> io::Result<String> {
    let mut all = vec![read(&environment.join("pyvenv.cfg"), bytes)?, sizes(&environment.join("bin"))?];
    let insides = [root.to_owned(), root.canonicalize()?, environment.canonicalize()?];
    for directory in site_packages(environment) {
        let mut found = Vec::new();
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default();
            found.push(hash_bytes(&[name.as_bytes(), package(&path, &insides, bytes)?.as_bytes()]));
        }
        found.sort();
        all.extend(found);
    }
    Ok(hash(&all.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn package(path: &Path, insides: &[PathBuf], bytes: &mut u64) -> io::Result<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.ends_with(".dist-info") {
        let direct = path.join("direct_url.json");
        let direct = if direct.is_file() { read(&direct, bytes)? } else { String::new() };
        return Ok(record(&path.join("RECORD"), bytes)? + &direct);
    }
    let end = Path::new(&name).extension().unwrap_or_default();
    if end == "pth" || end == "egg-link" || name.starts_with("__editable__") {
        return leading(path, insides, bytes);
    }
    // A module of one file is in its package's record too.
    Ok(String::new())
}

/// The files of a package with their hashes; not its scripts, whose first line names the environment.
fn record(file: &Path, bytes: &mut u64) -> io::Result<String> {
    if !file.is_file() {
        return Ok(String::new());
    }
    let text = bounded(file, *bytes)?;
    *bytes -= text.len() as u64;
    let lines = text.lines().filter(|line| !line.starts_with("..")).collect::<Vec<_>>();
    Ok(hash(&[&lines.join("\n")]))
}

/// A file that leads to code elsewhere: inside, the tree decides.
fn leading(file: &Path, insides: &[PathBuf], bytes: &mut u64) -> io::Result<String> {
    if !file.is_file() {
        return Ok(String::new());
    }
    let text = bounded(file, (*bytes).min(PATHS_MAX))?;
    let outside = |word: &str| {
        Path::new(word).is_absolute() && !insides.iter().any(|inside| Path::new(word).starts_with(inside))
    };
    let words = text.split(['\n', '\'', '"', ' ']).map(str::trim);
    match words.filter(|word| Path::new(word).is_dir()).find(|word| outside(word)) {
        Some(_) => Err(io::Error::other("packages lie elsewhere")),
        None => Ok(hash(&[&text])),
    }
}

fn bounded(file: &Path, max: u64) -> io::Result<String> {
    if file.metadata()?.len() > max {
        return Err(super::too_much());
    }
    Ok(String::from_utf8_lossy(&fs::read(file)?).into_owned())
}

/// The programs by name and size.
fn sizes(directory: &Path) -> io::Result<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let size = entry.path().metadata().map_or(0, |meta| meta.len());
        all.push(hash_bytes(&[entry.file_name().as_bytes(), format!("{size}").as_bytes()]));
    }
    all.sort();
    Ok(all.join(" "))
}

/// Where its packages lie, for each version of Python.
pub(in crate::gates) fn site_packages(environment: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(environment.join("lib")) else { return Vec::new() };
    let mut all: Vec<PathBuf> = entries.flatten().map(|entry| entry.path().join("site-packages")).collect();
    all.retain(|directory| directory.is_dir());
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(root: &Path) -> PathBuf {
        let packages = root.join(".venv/lib/python3.11/site-packages");
        fs::create_dir_all(packages.join("one-1.0.dist-info")).unwrap();
        fs::create_dir_all(root.join(".venv/bin")).unwrap();
        fs::write(root.join(".venv/pyvenv.cfg"), "home = /usr/bin\n").unwrap();
        fs::write(packages.join("one-1.0.dist-info/RECORD"), "one.py,sha256=a,1\n../../bin/one,sha256=b,1\n")
            .unwrap();
        packages
    }

    #[test]
    fn an_installation_is_seen_and_where_the_environment_lies_is_not() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (packages, other) = (environment(a.path()), environment(b.path()));
        let look = |root: &Path| of(&root.join(".venv"), root, &mut 1_000_000).unwrap();
        fs::write(other.join("one-1.0.dist-info/RECORD"), "one.py,sha256=a,1\n../../bin/one,sha256=c,1\n")
            .unwrap();
        assert_eq!(look(a.path()), look(b.path()));
        let before = look(a.path());
        fs::write(packages.join("one-1.0.dist-info/RECORD"), "one.py,sha256=z,1\n").unwrap();
        let reinstalled = look(a.path());
        fs::create_dir(packages.join("two-1.0.dist-info")).unwrap();
        assert!(before != reinstalled && reinstalled != look(a.path()));
    }

    #[test]
    fn an_editable_installation_of_something_else_is_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let (root, elsewhere) = (dir.path().join("checkout"), dir.path().join("other"));
        let packages = environment(&root);
        fs::create_dir_all(root.join("src")).unwrap();
        fs::create_dir_all(&elsewhere).unwrap();
        let look = || of(&root.join(".venv"), &root, &mut 1_000_000);
        fs::write(packages.join("mine.pth"), root.join("src").to_str().unwrap()).unwrap();
        assert!(look().is_ok());
        fs::write(
            packages.join("__editable___x_finder.py"),
            format!("M = {{'x': '{}'}}", elsewhere.display()),
        )
        .unwrap();
        assert!(look().is_err());
    }
}
