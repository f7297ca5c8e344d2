//! A candidate and its base as two directories, and small trees to put in them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use sprint::config::gate::GateConfig;
use sprint::config::presets::preset;
use sprint::domain::gate::{ChangedLines, GateResult, Verdict};
use sprint::domain::ids::CommitSha;
use sprint::gates::{BaseScan, Cache, Context, Room, Side, Thresholds, Trees, find_tools, run_gate};

/// A candidate and its base as two directories.
pub struct World {
    pub dir: tempfile::TempDir,
    pub head: BTreeMap<String, String>,
    pub base: BTreeMap<String, String>,
    pub cache: Cache,
    pub tmp: PathBuf,
    pub env: Vec<(OsString, OsString)>,
    /// Files that the task names.
    pub named: Vec<String>,
}

pub type Files<'a> = &'a [(&'a str, &'a str)];

pub fn owned(files: Files<'_>) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect()
}

pub fn search_path() -> OsString {
    let mut dirs = Vec::new();
    let of = |name| std::env::var_os(name).map(PathBuf::from);
    for tools in [of("SPRINT_TEST_TOOLS"), of(MORE_TOOLS)].into_iter().flatten() {
        dirs.push(if tools.join("bin").is_dir() { tools.join("bin") } else { tools });
    }
    dirs.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    std::env::join_paths(dirs).unwrap()
}

/// A virtual environment with more of Python's tools: only long runs have one.
pub const MORE_TOOLS: &str = "SPRINT_TEST_PYTHON_TOOLS";

/// What every Python tree is held to, cheap ones first.
pub const BASE: [&str; 4] = ["ruff", "radon", "mypy", "pytest"];

/// Whether the tools that every Python tree is held to are there; panics where they have to be.
pub fn tools() -> bool {
    have(&BASE)
}

/// Whether the tools of these presets are there; panics where they have to be.
pub fn have(presets: &[&str]) -> bool {
    let gates: Vec<GateConfig> = presets.iter().filter_map(|name| preset(name)).collect();
    let missing = find_tools(&gates, &search_path(), Path::new("/"));
    if missing.is_empty() {
        return true;
    }
    let names: Vec<_> = missing.iter().map(|m| m.program.as_str()).collect();
    let more = presets.iter().any(|name| !BASE.contains(name)) && std::env::var_os(MORE_TOOLS).is_none();
    let optional = more || std::env::var_os("SPRINT_TEST_TOOLS_OPTIONAL").is_some_and(|value| value == "1");
    assert!(optional, "not installed: {names:?}; set SPRINT_TEST_TOOLS to a virtual environment with them");
    println!("SKIPPED: not installed: {names:?}");
    false
}

impl World {
    pub fn new(base: Files<'_>, head: Files<'_>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tmp = dir.path().join("t mp");
        fs::create_dir(&tmp).unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        let world = Self {
            head: owned(head),
            base: owned(base),
            cache: Cache::new(&dir.path().join("cache")),
            tmp,
            env: vec![
                ("PATH".into(), search_path()),
                ("HOME".into(), home.into()),
                ("LANG".into(), "C.UTF-8".into()),
                ("SCRATCH".into(), dir.path().into()),
            ],
            named: Vec::new(),
            dir,
        };
        for side in [Side::Head, Side::Base] {
            world.restore(side).unwrap();
        }
        world
    }

    pub fn files_of(&self, side: Side) -> &BTreeMap<String, String> {
        if side == Side::Head { &self.head } else { &self.base }
    }

    pub fn root(&self, side: Side) -> PathBuf {
        self.dir.path().join("work trees").join(side.to_string())
    }

    pub fn gate(&self, gate: &GateConfig) -> GateResult {
        let context = Context {
            trees: self,
            subdir: "",
            env: &self.env,
            tools: None,
            tmp: &self.tmp,
            cache: Some(&self.cache),
            slots: None,
            bounds: None,
            thresholds: Thresholds::default(),
            base: BaseScan::Always,
            fresh: false,
            cancel: &|| false,
            end_left: &|| Ok(()),
            watch: None,
            all: true,
            usual: &|_| None,
        };
        let mut pane = Vec::new();
        let result = run_gate(gate, &context, &mut pane).unwrap();
        if !matches!(result.verdict, Verdict::Pass) {
            println!("{}", String::from_utf8_lossy(&pane));
        }
        result
    }

    pub fn run(&self, name: &str) -> GateResult {
        self.gate(&preset(name).unwrap())
    }

    /// Verdict and reason of a preset.
    pub fn check(&self, name: &str, verdict: Verdict, reason: &str) -> GateResult {
        let result = self.run(name);
        assert_eq!((result.verdict, result.reason.as_str()), (verdict, reason), "{name}: {result:#?}");
        result
    }
}

impl Trees for World {
    fn tree(&self, side: Side) -> Option<String> {
        Some(format!("{:?}", self.files_of(side)))
    }
    fn besides(&self, _: Side) -> Option<String> {
        Some(String::new())
    }
    fn has_base(&self) -> bool {
        true
    }
    fn files(&self, side: Side) -> Result<Vec<String>, String> {
        Ok(self.files_of(side).keys().cloned().collect())
    }
    fn checkout(&self, side: Side, _room: Room) -> Result<PathBuf, String> {
        Ok(self.root(side))
    }
    fn modified(&self, side: Side, _room: Room) -> Result<Vec<String>, String> {
        let now = |path: &str| fs::read_to_string(self.root(side).join(path)).ok();
        Ok(self
            .files_of(side)
            .iter()
            .filter(|(p, t)| now(p).as_ref() != Some(t))
            .map(|(p, _)| p.clone())
            .collect())
    }
    fn history(&self, _side: Side) -> Result<Option<CommitSha>, String> {
        Ok(None)
    }

    fn moved(&self, _side: Side, _room: Room) -> Result<Option<String>, String> {
        Ok(None)
    }

    fn restore(&self, side: Side) -> Result<(), String> {
        fs::create_dir_all(self.root(side)).unwrap();
        for (path, text) in self.files_of(side) {
            let file = self.root(side).join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
        }
        Ok(())
    }
    fn is_file(&self, path: &str) -> bool {
        self.head.contains_key(path) || self.base.contains_key(path)
    }
    fn changed(&self, path: &str) -> bool {
        self.head.get(path) != self.base.get(path)
    }
    fn named_by_task(&self, path: &str) -> bool {
        self.named.iter().any(|named| named == path)
    }
    fn base_file(&self, path: &str) -> Option<Vec<u8>> {
        self.base.get(path).map(|text| text.clone().into_bytes())
    }
    fn renames(&self) -> Vec<(String, String)> {
        let gone = self.base.iter().filter(|(path, _)| !self.head.contains_key(*path));
        let same =
            |text: &String| self.head.iter().find(|(path, t)| *t == text && !self.base.contains_key(*path));
        gone.filter_map(|(old, text)| Some((old.clone(), same(text)?.0.clone()))).collect()
    }

    fn changed_lines(&self) -> Result<ChangedLines, String> {
        let changed = |path: &String, text: &String| {
            let old = self.base.get(path).map_or("", String::as_str);
            let new = text.lines().zip(1..).filter(|(line, _)| !old.lines().any(|o| o == *line));
            new.map(|(_, number)| number).collect::<std::collections::BTreeSet<u32>>()
        };
        let all = self.head.iter().map(|(path, text)| (path.clone(), changed(path, text)));
        Ok(all.filter(|(_, lines)| !lines.is_empty()).collect())
    }
}

pub const CLEAN: Files<'_> = &[
    ("pkg/__init__.py", "\"\"\"A package.\"\"\"\n"),
    ("pkg/core.py", "def double(x: int) -> int:\n    return 2 * x\n"),
    (
        "tests/test_core.py",
        "from pkg.core import double\n\n\ndef test_double() -> None:\n    assert double(2) == 4\n",
    ),
];

pub const LINT: &str = "import os\n\n\ndef double(x: int) -> int:\n    return 2 * x\n";
pub const TYPES: &str = "def double(x: int) -> int:\n    y: str = 2 * x\n    return len(y)\n";
pub const SYNTAX: &str = "def double(x: int) -> int:\n    return (2 * x\n";

pub fn with<'a>(files: Files<'a>, path: &'a str, text: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut all: Vec<_> = files.iter().copied().filter(|(p, _)| *p != path).collect();
    all.push((path, text));
    all
}

pub fn with_all<'a>(files: Files<'a>, others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = files.iter().filter(|(path, _)| others.iter().all(|(other, _)| other != path));
    kept.chain(others).copied().collect()
}

pub fn branches(name: &str, count: usize) -> String {
    let ifs =
        (0..count).map(|n| format!("    if x == {n}:\n        return {n}\n")).collect::<Vec<_>>().concat();
    format!("def {name}(x: int) -> int:\n{ifs}    return -1\n")
}

/// Exit code and standard output of a gate's line, typed in the worktree.
pub fn by_hand(world: &World, result: &GateResult) -> (Option<i32>, String) {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &result.by_hand]).current_dir(world.root(Side::Head));
    let output = shell.env_clear().envs(world.env.iter().cloned()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), format!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}
