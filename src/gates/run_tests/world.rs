//! Two directories that play a candidate and its base, and scripts that play tools.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::config::gate::GateConfig;
use crate::domain::gate::{ChangedLines, GateResult, Verdict};
use crate::domain::ids::CommitSha;
use crate::gates::{BaseScan, Cache, Context, Room, Side, Thresholds, Trees, run_gate};

/// Two directories that play a candidate and its base, both prepared from lists of files.
pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) files: [BTreeMap<String, String>; 2],
    pub(super) has_base: bool,
    pub(super) named: Vec<String>,
    pub(super) keep: bool,
    pub(super) besides: Option<String>,
    pub(super) apart: bool,
    pub(super) tmp: PathBuf,
    pub(super) cache: Cache,
    pub(super) env: Vec<(OsString, OsString)>,
}

pub(super) const HEAD: usize = 0;
pub(super) const BASE: usize = 1;

pub(super) fn index(side: Side) -> usize {
    if side == Side::Head { HEAD } else { BASE }
}

impl World {
    pub(super) fn new(base: &[(&str, &str)], head: &[(&str, &str)]) -> Self {
        let owned = |files: &[(&str, &str)]| {
            files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect::<BTreeMap<_, _>>()
        };
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.path().join("bin").display());
        Self {
            tmp: dir.path().join("tmp"),
            cache: Cache::new(&dir.path().join("cache")),
            dir,
            files: [owned(head), owned(base)],
            has_base: true,
            named: Vec::new(),
            keep: false,
            besides: Some(String::new()),
            apart: false,
            env: vec![("PATH".into(), path.into()), ("MINE".into(), "yes".into())],
        }
    }

    /// A program in PATH.
    pub(super) fn tool(&self, name: &str, script: &str) {
        let file = self.dir.path().join("bin").join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(super) fn root(&self, side: Side) -> PathBuf {
        self.dir.path().join(side.to_string())
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context {
            trees: self,
            subdir: "",
            env: &self.env,
            tools: None,
            tmp: &self.tmp,
            cache: Some(&self.cache),
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
        }
    }

    pub(super) fn run_with(
        &self,
        gate: &GateConfig,
        change: impl FnOnce(&mut Context<'_>),
    ) -> (GateResult, String) {
        let mut context = self.context();
        change(&mut context);
        let mut pane = Vec::new();
        let result = run_gate(gate, &context, &mut pane).unwrap();
        assert_eq!(fs::read_dir(&self.tmp).unwrap().count(), 0, "temporary directories are removed");
        (result, String::from_utf8(pane).unwrap())
    }

    pub(super) fn run(&self, gate: &GateConfig) -> GateResult {
        self.run_with(gate, |_| {}).0
    }

    pub(super) fn check(&self, gate: &GateConfig, verdict: Verdict, reason: &str) {
        let result = self.run(gate);
        assert_eq!((result.verdict, result.reason.as_str()), (verdict, reason));
    }
}

impl Trees for World {
    fn tree(&self, side: Side) -> Option<String> {
        self.keep.then(|| format!("{:?}", self.files[index(side)]))
    }

    fn besides(&self, _side: Side) -> Option<String> {
        self.besides.clone()
    }

    fn has_base(&self) -> bool {
        self.has_base
    }

    fn files(&self, side: Side) -> Result<Vec<String>, String> {
        Ok(self.files[index(side)].keys().cloned().collect())
    }

    fn checkout(&self, side: Side, _room: Room) -> Result<PathBuf, String> {
        let root = self.root(side);
        if root.exists() {
            return Ok(root);
        }
        self.restore(side)?;
        Ok(root)
    }

    fn modified(&self, side: Side, _room: Room) -> Result<Vec<String>, String> {
        let differs = |path: &str, text: &str| {
            fs::read_to_string(self.root(side).join(path)).ok().as_deref() != Some(text)
        };
        Ok(self.files[index(side)].iter().filter(|(p, t)| differs(p, t)).map(|(p, _)| p.clone()).collect())
    }

    fn history(&self, _side: Side) -> Result<Option<CommitSha>, String> {
        Ok(None)
    }

    fn moved(&self, _side: Side, _room: Room) -> Result<Option<String>, String> {
        Ok(None)
    }

    fn restore(&self, side: Side) -> Result<(), String> {
        for (path, text) in &self.files[index(side)] {
            let file = self.root(side).join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::create_dir_all(self.root(side)).map_err(|e| e.to_string())
    }

    fn apart(&self) -> bool {
        self.apart
    }

    fn is_file(&self, path: &str) -> bool {
        self.files.iter().any(|files| files.contains_key(path))
    }

    fn changed(&self, path: &str) -> bool {
        self.files[HEAD].get(path) != self.files[BASE].get(path)
    }

    fn named_by_task(&self, path: &str) -> bool {
        self.named.iter().any(|named| named == path)
    }

    fn base_file(&self, path: &str) -> Option<Vec<u8>> {
        self.files[BASE].get(path).map(|text| text.clone().into_bytes())
    }

    fn renames(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn changed_lines(&self) -> Result<ChangedLines, String> {
        Ok(ChangedLines::new())
    }
}

pub(super) fn gate(command: &[&str]) -> GateConfig {
    let command = command.iter().map(ToString::to_string).collect();
    let mut gate: GateConfig = toml::from_str("name = 'mine'\nstage = 'InTests'\ncommand = []").unwrap();
    gate.command = command;
    gate
}

pub(super) fn sh(script: &str) -> GateConfig {
    gate(&["sh", "-c", script])
}
