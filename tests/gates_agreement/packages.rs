//! Real packages as repositories: the older release is the tag `old`, the newer one `new`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::person::{Person, text};

/// Two successive releases of a package.
pub struct Package {
    /// As its archives are called.
    pub name: &'static str,
    pub old: &'static str,
    pub new: &'static str,
    /// What pytest-cov is told by hand to measure; nothing where the package's configuration says it.
    pub measured: &'static [&'static str],
}

impl Package {
    pub const fn new(
        name: &'static str,
        old: &'static str,
        new: &'static str,
        measured: &'static [&'static str],
    ) -> Self {
        Self { name, old, new, measured }
    }
}

/// A package in a repository of a person's own.
pub struct World {
    pub person: Person,
    pub repo: PathBuf,
    venv: PathBuf,
}

/// Programs of the gates, besides those of the machine.
fn directories(venv: &Path) -> Option<Vec<PathBuf>> {
    let mut all = vec![venv.join("bin")];
    for name in ["SPRINT_TEST_TOOLS", "SPRINT_TEST_PYTHON_TOOLS"] {
        let Some(tools) = std::env::var_os(name).map(PathBuf::from).filter(|tools| tools.is_dir()) else {
            println!("SKIPPED: there is no {name}");
            return None;
        };
        all.push(if tools.join("bin").is_dir() { tools.join("bin") } else { tools });
    }
    Some(all)
}

impl World {
    /// A repository with both releases; `None`, and it is said, where they or the tools are not there.
    pub fn new(package: &Package, config: &str) -> Option<Self> {
        let Some(all) = std::env::var_os("SPRINT_TEST_PACKAGES").map(PathBuf::from) else {
            println!("SKIPPED: SPRINT_TEST_PACKAGES names no directory");
            return None;
        };
        let all = fs::canonicalize(&all).unwrap_or_else(|error| panic!("{}: {error}", all.display()));
        let archive = |version: &str| all.join(format!("sdists/{}-{version}.tar.gz", package.name));
        if !archive(package.old).is_file() || !archive(package.new).is_file() {
            println!("SKIPPED: {} is not in {}", package.name, all.display());
            return None;
        }
        directories(&all.join("venv"))?;
        let person = Person::new();
        let repo = person.path("repo");
        fs::create_dir(&repo).unwrap();
        let world = Self { person, repo, venv: all.join("venv") };
        world.git(&["init", "-q", "-b", "main"]);
        world.git(&["config", "user.name", "p"]);
        world.git(&["config", "user.email", "p@example.invalid"]);
        fs::write(world.repo.join(".git/info/exclude"), ".venv\nsprint.toml\n").unwrap();
        fs::write(world.repo.join("sprint.toml"), config).unwrap();
        std::os::unix::fs::symlink(&world.venv, world.repo.join(".venv")).unwrap();
        for (tag, version) in [("old", package.old), ("new", package.new)] {
            world.unpack(&archive(version));
            world.commit(tag);
        }
        Some(world)
    }

    /// The archive's files, and no others, in the repository.
    fn unpack(&self, archive: &Path) {
        if self.repo.join(".git/index").exists() {
            self.git(&["rm", "-rqf", "--ignore-unmatch", "."]);
        }
        let mut tar = Command::new("tar");
        tar.args(["--no-same-owner", "--strip-components=1", "-xzf"]).arg(archive).arg("-C").arg(&self.repo);
        assert!(tar.status().unwrap().success(), "{}", archive.display());
    }

    /// Everything that lies there, as a commit with that tag.
    pub fn commit(&self, tag: &str) {
        // What a package's own .gitignore leaves out was in the archive.
        self.git(&["add", "--all", "--force", "--", ".", ":!.venv", ":!sprint.toml"]);
        self.git(&["commit", "-qm", tag]);
        self.git(&["tag", tag]);
    }

    pub fn git(&self, words: &[&str]) -> String {
        self.person.git(&self.repo, words)
    }

    /// A program with the tools in PATH.
    pub fn command(&self, program: impl AsRef<Path>, at: &Path) -> Command {
        let mut path = directories(&self.venv).unwrap();
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let path: OsString = std::env::join_paths(path).unwrap();
        let mut command = self.person.command(program.as_ref().to_str().unwrap(), at);
        command.env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Where the packages lie that tests need.
    pub fn packages(&self) -> PathBuf {
        let mut pythons = fs::read_dir(self.venv.join("lib")).unwrap().map(|entry| entry.unwrap().path());
        pythons.find_map(|python| Some(python.join("site-packages")).filter(|dir| dir.is_dir())).unwrap()
    }

    pub fn venv(&self) -> &Path {
        &self.venv
    }

    /// The files of a commit in a directory of their own, as a checkout has them: `git archive` leaves
    /// some out and fills others in, where the repository's attributes say so.
    pub fn tree(&self, tag: &str) -> PathBuf {
        let tree = self.person.path(&format!("by-hand-{tag}"));
        fs::create_dir(&tree).unwrap();
        let tree = fs::canonicalize(tree).unwrap();
        let index = self.person.path(&format!("index-{tag}"));
        for words in [["read-tree", tag], ["checkout-index", "--all"]] {
            let mut git = self.person.command("git", &self.repo);
            git.arg("--work-tree").arg(&tree).args(words).env("GIT_INDEX_FILE", &index);
            assert!(git.status().unwrap().success(), "{words:?}");
        }
        tree
    }

    /// What `sprint gates run` says of `head` against `base`: its JSON.
    pub fn judge(&self, base: &str, head: &str) -> Value {
        let sprint = env!("CARGO_BIN_EXE_sprint");
        let mut command = self.command(sprint, &self.repo);
        let output =
            command.args(["gates", "run", "--json", "--base", base, "--head", head]).output().unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)))
    }
}

/// The gate of that name.
pub fn gate<'a>(ran: &'a Value, name: &str) -> &'a Value {
    let gates = ran["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["name"] == name).unwrap_or_else(|| panic!("no gate {name}: {ran:#}"))
}
