//! Source releases from the package index, unpacked once into a cache outside the repository.
//!
//! `SPRINT_TEST_CACHE` says where (default `target/test-cache`); `SPRINT_TEST_TOOLS` names a
//! virtual environment with pytest (default: one that is made in the cache).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

/// What the environment of the default needs: to run tests, and to read source releases.
const TOOLS: &[&str] = &["pytest>=8", "setuptools<81", "wheel", "setuptools-scm", "hatchling", "hatch-vcs"];

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub bytes: Vec<u8>,
    pub executable: bool,
}

/// All files of a release by their paths.
pub type Files = BTreeMap<String, Entry>;

fn cache() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-cache");
    let path = std::env::var_os("SPRINT_TEST_CACHE").map_or_else(default, PathBuf::from);
    fs::create_dir_all(&path).unwrap();
    path.canonicalize().unwrap()
}

/// Test programs run side by side: one of them fills the cache, the others wait.
fn locked() -> Flock<File> {
    let file = File::create(cache().join("lock")).unwrap();
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap()
}

fn must(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed (the package index is needed once):\n{text}");
}

/// The directory of `python` and `pytest`.
pub fn tools() -> PathBuf {
    if let Some(given) = std::env::var_os("SPRINT_TEST_TOOLS") {
        return PathBuf::from(given).join("bin");
    }
    let _lock = locked();
    own_tools()
}

fn own_tools() -> PathBuf {
    let venv = cache().join("tools");
    if !venv.join("complete").exists() {
        must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
        must(Command::new(venv.join("bin/python")).args(["-m", "pip", "install", "-q"]).args(TOOLS));
        fs::write(venv.join("complete"), "").unwrap();
    }
    venv.join("bin")
}

/// The files of a release.
pub fn release(package: &str, version: &str) -> Files {
    let _lock = locked();
    let name = format!("{package}-{version}");
    let home = cache().join("releases");
    let unpacked = home.join(&name);
    if !unpacked.exists() {
        fs::create_dir_all(&home).unwrap();
        let scratch = tempfile::tempdir_in(&home).unwrap();
        let archive = download(package, version, scratch.path());
        must(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(scratch.path()));
        fs::rename(scratch.path().join(&name), &unpacked).unwrap();
    }
    let mut files = Files::new();
    walk(&unpacked, "", &mut files);
    files
}

fn download(package: &str, version: &str, to: &Path) -> PathBuf {
    // What pip wants is metadata, for which it runs the package's build backend.
    let pip =
        ["-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d"];
    let mut command = Command::new(own_tools().join("python"));
    command.args(pip).arg(to).arg(format!("{package}=={version}"));
    must(&mut command);
    to.join(format!("{package}-{version}.tar.gz"))
}

fn walk(directory: &Path, prefix: &str, files: &mut Files) {
    use std::os::unix::fs::PermissionsExt;
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let meta = entry.path().symlink_metadata().unwrap();
        if meta.is_dir() {
            walk(&entry.path(), &path, files);
        } else if meta.is_file() {
            let executable = meta.permissions().mode() & 0o100 != 0;
            files.insert(path, Entry { bytes: fs::read(entry.path()).unwrap(), executable });
        }
    }
}
