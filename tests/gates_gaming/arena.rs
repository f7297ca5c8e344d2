//! A repository in which changes are tried: the tool alone, then all gates, then the library.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use sprint::config::gate::GateConfig;
use sprint::config::presets::preset;
use sprint::domain::gate::{Finding, Verdict};

use crate::person::{Person, text};
use crate::world::World;

/// What a change does to files: another text, or none any more.
pub type Change = Vec<(String, Option<String>)>;

/// A file with this text.
pub fn put(path: &str, text: &str) -> (String, Option<String>) {
    (path.to_owned(), Some(text.to_owned()))
}

/// A file less.
pub fn gone(path: &str) -> (String, Option<String>) {
    (path.to_owned(), None)
}

/// How a tool is asked by somebody who trusts it.
#[derive(Debug, Clone, Copy)]
pub enum Alone {
    /// Its command line. Exit code 0 is taken for "clean".
    Says(&'static [&'static str]),
    /// The same, where it says by its silence that all is well.
    IsSilent(&'static [&'static str]),
    /// Nobody has to be asked: what hides it is known.
    NotAsked,
}

pub const RUFF: Alone = Alone::Says(&["ruff", "check", "--no-cache", "."]);
pub const MYPY: Alone = Alone::Says(&["mypy", "--cache-dir=/dev/null", "."]);
pub const PYTEST: Alone = Alone::Says(&["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]);
pub const RADON: Alone = Alone::IsSilent(&["radon", "cc", "--min", "C", "."]);

/// A change that breaks something, the same hidden, and who tells.
pub struct Case {
    pub name: &'static str,
    pub tool: Alone,
    pub broken: Change,
    pub hidden: Change,
    /// Gate, rule and file of the finding that has to be there.
    pub told: (&'static str, &'static str, &'static str),
}

pub const CORE: &str = "\"\"\"Arithmetic.\"\"\"\n\n\ndef double(x: int) -> int:\n    return 2 * x\n\n\ndef halve(x: int) -> int:\n    return x // 2\n";
pub const TESTS: &str = "from pkg.core import double, halve\n\n\ndef test_double() -> None:\n    assert double(2) == 4\n\n\ndef test_halve() -> None:\n    assert halve(4) == 2\n";

/// A package that every tool is content with.
pub fn python() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            "pyproject.toml",
            "[project]\nname = \"pkg\"\nversion = \"1\"\n\n[tool.coverage.report]\nfail_under = 80\n",
        ),
        (
            "conftest.py",
            "\"\"\"Hooks.\"\"\"\n\nimport pytest\n\n\ndef pytest_collection_modifyitems(items: list[pytest.Item]) -> None:\n    items.sort(key=lambda item: item.name)\n",
        ),
        ("pkg/__init__.py", "\"\"\"A package.\"\"\"\n"),
        ("pkg/core.py", CORE),
        ("tests/test_core.py", TESTS),
    ]
}

/// [`CORE`] with a test that fails.
pub fn wrong() -> (String, Option<String>) {
    put("pkg/core.py", &CORE.replace("2 * x", "3 * x"))
}

/// See the module.
pub struct Arena {
    pub person: Person,
    pub top: PathBuf,
    base: Vec<(&'static str, &'static str)>,
    path: OsString,
    /// Defects that the tool alone was seen to tell.
    shown: RefCell<BTreeSet<String>>,
}

impl Arena {
    /// A repository with this base on `main`.
    pub fn new(base: Vec<(&'static str, &'static str)>) -> Self {
        let person = Person::new();
        let top = person.path("repo");
        fs::create_dir(&top).unwrap();
        let tools = person.path("data/sprint/tools/bin");
        let persons = std::env::var_os("PATH").unwrap();
        let dirs = std::iter::once(tools).chain(std::env::split_paths(&persons));
        let path = std::env::join_paths(dirs).unwrap();
        let arena = Self { person, top, base, path, shown: RefCell::default() };
        for (name, value) in [("user.name", "p"), ("user.email", "p@example.invalid")] {
            if !arena.top.join(".git").exists() {
                arena.git(&["init", "-q", "-b", "main"]);
            }
            arena.git(&["config", name, value]);
        }
        for (path, text) in &arena.base {
            arena.write(path, text);
        }
        arena.git(&["add", "--all"]);
        arena.git(&["commit", "-qm", "base"]);
        arena
    }

    pub fn git(&self, args: &[&str]) -> String {
        self.person.git(&self.top, args)
    }

    /// A text that begins with `#!` is a program.
    fn write(&self, path: &str, text: &str) {
        let file = self.top.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        if text.starts_with("#!") {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// A branch of its own with this change as a commit; the checkout is that.
    pub fn commit(&self, change: &[(String, Option<String>)]) {
        self.git(&["checkout", "-q", "--force", "-B", "work", "main"]);
        self.git(&["clean", "-qfdx", "-e", "node_modules"]);
        for (path, text) in change {
            match text {
                Some(text) => self.write(path, text),
                None => fs::remove_file(self.top.join(path)).unwrap(),
            }
        }
        // A link to what is installed is nothing to commit.
        let installed = self.top.join("node_modules").is_symlink();
        let all = ["add", "--all", "--force", "--", ".", ":!node_modules"];
        self.git(if installed { &all } else { &all[..5] });
        self.git(&["commit", "-q", "--allow-empty", "-m", "work"]);
    }

    /// Whether the tool alone is content with the checkout.
    pub fn content(&self, tool: Alone) -> (bool, String) {
        let (words, silent) = match tool {
            Alone::Says(words) => (words, false),
            Alone::IsSilent(words) => (words, true),
            Alone::NotAsked => return (true, String::new()),
        };
        let output = self.run(words);
        let quiet = !silent || output.stdout.iter().all(u8::is_ascii_whitespace);
        (output.status.success() && quiet, said(&output))
    }

    /// A command in the checkout, with the tools in PATH.
    pub fn run(&self, words: &[&str]) -> Output {
        let mut command = self.person.command(words[0], &self.top);
        let program =
            std::env::split_paths(&self.path).map(|dir| dir.join(words[0])).find(|file| file.is_file());
        let found = program.unwrap_or_else(|| words[0].into());
        if !words[0].contains('/') {
            command = self.person.command(found.to_str().unwrap(), &self.top);
        }
        command
            .envs(toolchain())
            .env("PATH", &self.path)
            .env("PYTHONPATH", &self.top)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command.args(&words[1..]).output().unwrap()
    }

    /// `sprint gates run` on the commit: exit code and what it says.
    pub fn gates(&self, only: &[&str]) -> (i32, Value) {
        let mut args = vec!["gates", "run", "--json", "--base", "main", "--head", "HEAD"];
        args.extend(only);
        let mut command = self.person.command(env!("CARGO_BIN_EXE_sprint"), &self.top);
        let output = command.envs(toolchain()).args(&args).output().unwrap();
        let ran = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&output)));
        (output.status.code().unwrap(), ran)
    }

    /// The defect is told by the tool, hidden from the tool, and told by a gate all the same: of the
    /// whole list of presets, or of the one gate that has to tell it.
    ///
    /// # Errors
    /// What of that is not so.
    fn catches(&self, case: &Case, whole: bool) -> Result<(), String> {
        let name = case.name;
        let defect = format!("{:?} {:?}", case.tool, case.broken);
        if !matches!(case.tool, Alone::NotAsked) && self.shown.borrow_mut().insert(defect) {
            self.commit(&case.broken);
            let (content, words) = self.content(case.tool);
            check(!content, || format!("{name}: the tool alone does not see the defect: {words}"))?;
        }
        self.commit(&case.hidden);
        let (content, words) = self.content(case.tool);
        check(content, || format!("{name}: the tool alone is not deceived: {words}"))?;
        let (gate, rule, path) = case.told;
        let (code, ran) = self.gates(if whole { &[] } else { std::slice::from_ref(&gate) });
        let told = findings(&ran, gate).iter().any(|(r, p)| r == rule && p == path);
        check(told, || format!("{name}: no `{rule}` of {gate} in `{path}`: {}", shown(&ran)))?;
        check(code == 1, || format!("{name}: exit code {code}: {}", shown(&ran)))?;
        if gate == "integrity" { self.lets_through(case) } else { Ok(()) }
    }

    /// Where the task names the files, and where a person allows the rule or the file.
    fn lets_through(&self, case: &Case) -> Result<(), String> {
        let mut head: BTreeMap<&str, &str> = self.base.iter().copied().collect();
        for (path, text) in &case.hidden {
            match text {
                Some(text) => head.insert(path, text),
                None => head.remove(path.as_str()),
            };
        }
        let head: Vec<(&str, &str)> = head.into_iter().collect();
        let mut world = World::new(&self.base, &head);
        let gate = preset("integrity").unwrap();
        let is = |world: &World, gate: &GateConfig, verdict: Verdict, when: &str| {
            let result = world.gate(gate);
            check(result.verdict == verdict, || format!("{}: {when}: {result:#?}", case.name))
        };
        is(&world, &gate, Verdict::Fail, "as it is")?;
        let found = world.gate(&gate).findings;
        for word in [|f: &Finding| f.rule.clone(), |f: &Finding| f.path.clone()] {
            let allow = found.iter().map(word).collect();
            is(&world, &GateConfig { allow, ..gate.clone() }, Verdict::Pass, "allowed")?;
        }
        world.named = case.hidden.iter().map(|(path, _)| path.clone()).collect();
        is(&world, &gate, Verdict::Pass, "named by the task")
    }
}

/// Rust's programs look for the toolchain in the home directory, which is the test's own.
fn toolchain() -> Vec<(&'static str, PathBuf)> {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let of = |name, below| (name, std::env::var_os(name).map_or(home.join(below), PathBuf::from));
    vec![of("RUSTUP_HOME", ".rustup"), of("CARGO_HOME", ".cargo")]
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Rule and file of what blocks in a gate.
pub fn findings(ran: &Value, gate: &str) -> Vec<(String, String)> {
    let gates = ran["gates"].as_array().unwrap();
    let own = gates.iter().filter(|g| g["name"] == gate && g["verdict"] == "fail");
    let new = own.flat_map(|g| g["findings"].as_array().unwrap()).filter(|f| f["status"] == "new");
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    new.map(|f| (word(&f["rule"]), word(&f["path"]))).collect()
}

/// What each gate says, in a line, and its findings.
fn shown(ran: &Value) -> String {
    let line = |gate: &Value| {
        let findings = gate["findings"].as_array().unwrap().iter().map(Value::to_string);
        let findings: Vec<String> = findings.collect();
        format!("{} {} {}: {}", gate["name"], gate["verdict"], gate["reason"], findings.join(" "))
    };
    ran["gates"].as_array().unwrap().iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Everything that a program said.
pub fn said(output: &Output) -> String {
    format!("exit {:?}\n{}{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Tries the cases one after the other in one repository: they share what the base's gates said.
#[track_caller]
pub fn all(base: Vec<(&'static str, &'static str)>, cases: &[Case]) {
    every(&Arena::new(base), cases);
}

/// See [`all`].
#[track_caller]
pub fn every(arena: &Arena, cases: &[Case]) {
    let tried = cases.iter().enumerate().map(|(at, case)| arena.catches(case, at == 0));
    let wrong: Vec<String> = tried.filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

/// A directory of `SPRINT_TEST_PYTHON_TOOLS` or another variable, or nothing, and it is said.
pub fn directory(variable: &str, below: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(|dir| Path::new(&dir).join(below)).filter(|dir| dir.is_dir());
    if found.is_none() {
        println!("SKIPPED: {variable} has no {below}");
    }
    found
}
