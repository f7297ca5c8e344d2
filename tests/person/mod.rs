//! A person of a test's own: home, state, caches and tools that are nobody else's.

#![allow(dead_code, unreachable_pub, reason = "each test uses what it needs of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A person of the test's own: home, state, caches, tools.
pub struct Person {
    /// Everything lies in it.
    pub home: TempDir,
}

impl Person {
    /// See the name.
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        // Short: a socket path has 108 bytes.
        let home = tempfile::Builder::new().prefix("sd").tempdir_in("/tmp").unwrap();
        for name in ["state", "config", "run", "data", "cache"] {
            std::fs::create_dir(home.path().join(name)).unwrap();
        }
        std::fs::set_permissions(home.path().join("run"), std::fs::Permissions::from_mode(0o700)).unwrap();
        // Where `sprint install` puts them, and not in PATH: gates must find them there.
        if let Some(tools) = std::env::var_os("SPRINT_TEST_TOOLS") {
            std::fs::create_dir(home.path().join("data/sprint")).unwrap();
            std::os::unix::fs::symlink(tools, home.path().join("data/sprint/tools")).unwrap();
        }
        Self { home }
    }

    /// See the name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// See the name.
    pub fn command(&self, program: &str, cwd: &Path) -> Command {
        let path = std::env::var_os("PATH").unwrap();
        let mut command = Command::new(program);
        command.env_clear().current_dir(cwd).stdin(Stdio::null());
        command.env("PATH", path).env("HOME", self.home.path()).env("LANG", "C.UTF-8");
        let homes = [("STATE", "state"), ("CONFIG", "config"), ("DATA", "data"), ("CACHE", "cache")];
        for (name, dir) in homes {
            command.env(format!("XDG_{name}_HOME"), self.path(dir));
        }
        command.env("XDG_RUNTIME_DIR", self.path("run"));
        command
    }

    /// See the name.
    pub fn sprint(&self, cwd: &Path, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_sprint"), cwd).args(args).output().unwrap()
    }

    /// See the name.
    pub fn git(&self, cwd: &Path, args: &[&str]) -> String {
        let output = self.command("git", cwd).args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A tool of the gates; from sprint's own place if it is there.
    pub fn tool(&self, name: &str, cwd: &Path) -> Command {
        let own = self.path("data/sprint/tools/bin").join(name);
        let program = if own.exists() { own } else { PathBuf::from(name) };
        self.command(program.to_str().unwrap(), cwd)
    }

    /// Whether the tools are there; if they are not and need not be, the test is over.
    /// See the name.
    pub fn has_tools(&self) -> bool {
        let check = self.sprint(self.home.path(), &["install", "--check", "ruff", "mypy", "radon", "pytest"]);
        let optional = std::env::var_os("SPRINT_TEST_TOOLS_OPTIONAL").is_some_and(|value| value == "1");
        assert!(check.status.success() || optional, "set SPRINT_TEST_TOOLS: {}", text(&check.stdout));
        check.status.success()
    }
}

/// Output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
