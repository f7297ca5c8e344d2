//! A candidate and its base as two directories, and gates on them with real tools.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use sprint::config::gate::GateConfig;
use sprint::config::presets::preset;
use sprint::domain::gate::{ChangedLines, GateResult, Verdict};
use sprint::domain::ids::CommitSha;
use sprint::gates::{BaseScan, Context, Room, Side, Thresholds, Trees, run_gate};

/// Paths and texts.
pub(crate) type Files<'a> = &'a [(&'a str, &'a str)];

/// Both trees, and a place for everything that tools write.
pub(crate) struct TwoTrees {
    dir: tempfile::TempDir,
    head: BTreeMap<String, String>,
    base: BTreeMap<String, String>,
    tmp: PathBuf,
    env: Vec<(OsString, OsString)>,
}

fn owned(files: Files<'_>) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect()
}

/// `files` with another text at `path`.
pub(crate) fn with<'a>(files: Files<'a>, path: &'a str, text: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut all: Vec<_> = files.iter().copied().filter(|(p, _)| *p != path).collect();
    all.push((path, text));
    all
}

impl TwoTrees {
    /// `path` is the PATH of the person.
    pub(crate) fn new(base: Files<'_>, head: Files<'_>, path: OsString) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tmp = dir.path().join("t mp");
        fs::create_dir(&tmp).unwrap();
        let mut env: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        // Nor are cargo's and nextest's own, who run this test, the tool's.
        let outer = |name: &str| ["CARGO_", "NEXTEST"].iter().any(|prefix| name.starts_with(prefix));
        env.retain(|(name, _)| name != "PATH" && !outer(&name.to_string_lossy()));
        env.push(("PATH".into(), path));
        let trees = Self { head: owned(head), base: owned(base), tmp, env, dir };
        for side in [Side::Head, Side::Base] {
            trees.restore(side).unwrap();
        }
        trees
    }

    /// What `[worktree]` would have prepared in both.
    pub(crate) fn link(&self, name: &str, target: &Path) {
        for side in [Side::Head, Side::Base] {
            std::os::unix::fs::symlink(target, self.root(side).join(name)).unwrap();
        }
    }

    /// Sets a variable of the person's.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(n, _)| n != name);
        self.env.push((name.into(), value.into()));
    }

    fn files_of(&self, side: Side) -> &BTreeMap<String, String> {
        if side == Side::Head { &self.head } else { &self.base }
    }

    /// The directory of a side.
    pub(crate) fn root(&self, side: Side) -> PathBuf {
        self.dir.path().join("work trees").join(side.to_string())
    }

    /// A gate on the candidate, held against the base where that makes a difference.
    pub(crate) fn gate(&self, gate: &GateConfig) -> GateResult {
        let context = Context {
            trees: self,
            subdir: "",
            env: &self.env,
            tools: None,
            tmp: &self.tmp,
            cache: None,
            slots: None,
            bounds: None,
            thresholds: Thresholds::default(),
            base: BaseScan::WhenNeeded,
            fresh: false,
            cancel: &|| false,
            end_left: &|| Ok(()),
            watch: None,
            all: true,
            usual: &|_| None,
        };
        let mut pane = Vec::new();
        let result = run_gate(gate, &context, &mut pane).unwrap();
        if result.verdict != Verdict::Pass {
            println!("{}", String::from_utf8_lossy(&pane));
        }
        result
    }

    /// A preset, its verdict, and the beginning of its reason.
    pub(crate) fn check(&self, name: &str, verdict: Verdict, reason: &str) -> GateResult {
        let result = self.gate(&preset(name).unwrap());
        assert_eq!(result.verdict, verdict, "{name}: {result:#?}");
        assert!(result.reason.starts_with(reason), "{name}: {result:#?}");
        result
    }
}

impl Trees for TwoTrees {
    fn tree(&self, _: Side) -> Option<String> {
        None
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
        let changed = |(path, text): &(&String, &String)| now(path).as_ref() != Some(*text);
        Ok(self.files_of(side).iter().filter(changed).map(|(path, _)| path.clone()).collect())
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
    fn named_by_task(&self, _: &str) -> bool {
        false
    }
    fn base_file(&self, path: &str) -> Option<Vec<u8>> {
        self.base.get(path).map(|text| text.clone().into_bytes())
    }
    fn renames(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    /// Line by line at the same number: enough for these.
    fn changed_lines(&self) -> Result<ChangedLines, String> {
        let lines = |(path, text): (&String, &String)| {
            let old: Vec<&str> = self.base.get(path).map_or(Vec::new(), |text| text.lines().collect());
            let new = text.lines().enumerate().filter(|(n, line)| old.get(*n) != Some(line));
            (path.clone(), new.map(|(n, _)| u32::try_from(n).unwrap() + 1).collect())
        };
        Ok(self.head.iter().map(lines).collect())
    }
}
