//! Gates by hand on a Python package of 5,000 lines: a second run, each tool against itself alone, and
//! all of them against the slowest one.
//!
//! The tools are those of `SPRINT_TEST_TOOLS` and `SPRINT_TEST_PYTHON_TOOLS`, and of PATH. Every
//! sample of a tool is of a tree that nobody has seen before: a line is added and committed first.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::lab::{git, init};
use crate::report::Report;
use crate::stats::Sample;
use crate::{Outcome, Plan};

/// Every Python gate but mutation.
const GATES: [&str; 7] = ["ruff", "radon", "mypy", "pytest", "bandit", "detect-secrets", "semgrep"];

/// Modules of about a hundred lines.
const MODULES: usize = 50;

/// sprint may add this, in milliseconds.
const ADDED_MAX: f64 = 50.0;

/// sprint may add this share of a tool that takes a second or more; of a quicker one the milliseconds count.
const SHARE_MAX: f64 = 0.05;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let lab = Package::new(plan)?;
    let gates = lab.installed()?;
    if gates.is_empty() {
        return Err("none of the Python tools is there; SPRINT_TEST_TOOLS names a directory of them".into());
    }
    if gates.len() < GATES.len() {
        report.note(format!("gates: only {} are installed", gates.join(", ")));
    }
    again(&lab, plan, report)?;
    for gate in &gates {
        added(&lab, plan, gate, report)?;
    }
    together(&lab, plan, &gates, report)
}

/// All gates on what they have just judged.
fn again(lab: &Package, plan: &Plan, report: &mut Report) -> Outcome<()> {
    for (name, head) in [("the worktree", &[][..]), ("a commit", &["--head", "HEAD"])] {
        let words = [&["gates", "run", "--base", "main"][..], head].concat();
        lab.timed(&words)?;
        let (mut ours, mut floor) = (Sample::default(), Sample::default());
        for _ in 0..plan.size(20, 7) {
            floor.push(lab.timed(&["--version"])?.0);
            ours.push(lab.timed(&words)?.0);
        }
        let median = ours.median();
        report.figure(
            &format!("all gates once more, unchanged, {name}, 5,000 lines"),
            shown(&ours),
            format!("`--version` {}", shown(&floor)),
            Some(median / floor.median()),
            "≤ 100 ms",
            median <= 100.0,
        );
    }
    Ok(())
}

/// What sprint adds to one tool.
fn added(lab: &Package, plan: &Plan, gate: &str, report: &mut Report) -> Outcome<()> {
    let words = ["gates", "run", "--gate", gate, "--base", "main", "--json"];
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    lab.change()?;
    // From here on what the base says is known: one run of the tool.
    let line = by_hand(&lab.timed(&words)?.1, gate)?;
    for _ in 0..plan.size(9, 3) {
        lab.change()?;
        bare.push(lab.typed(&line)?);
        ours.push(lab.timed(&words)?.0);
    }
    let more = ours.median() - bare.median();
    let share = more / bare.median();
    let long = bare.median() >= 1000.0;
    report.figure(
        &format!("one gate, a tree not seen before: {gate}"),
        shown(&ours),
        format!("the tool alone {}", shown(&bare)),
        Some(ours.median() / bare.median()),
        if long { "≤ 50 ms and 5 % more" } else { "≤ 50 ms more" },
        more <= ADDED_MAX && (!long || share <= SHARE_MAX),
    );
    Ok(())
}

/// All gates on a changed package whose base is known, against the slowest tool alone.
fn together(lab: &Package, plan: &Plan, gates: &[String], report: &mut Report) -> Outcome<()> {
    let words = ["gates", "run", "--base", "main", "--json"];
    let lines: Vec<(String, String)> = {
        lab.change()?;
        let said = lab.timed(&words)?.1;
        gates.iter().map(|gate| Ok((gate.clone(), by_hand(&said, gate)?))).collect::<Outcome<_>>()?
    };
    let mut ours = Sample::default();
    let mut alone: Vec<(String, Sample)> =
        gates.iter().map(|gate| (gate.clone(), Sample::default())).collect();
    for _ in 0..plan.size(5, 2) {
        lab.change()?;
        for ((_, line), (_, sample)) in lines.iter().zip(&mut alone) {
            sample.push(lab.typed(line)?);
        }
        ours.push(lab.timed(&words)?.0);
    }
    let all: f64 = alone.iter().map(|(_, sample)| sample.median()).sum();
    let slowest = alone.iter().max_by(|a, b| a.1.median().total_cmp(&b.1.median()));
    let (name, slowest) = slowest.ok_or("no gate")?;
    let ratio = ours.median() / slowest.median();
    report.figure(
        "all Python gates but mutation, 5,000 lines, one of them changed",
        shown(&ours),
        format!("{name} alone {}; one after the other {all:.0} ms", shown(slowest)),
        Some(ratio),
        "≤ 1.3 ×",
        ratio <= 1.3,
    );
    Ok(())
}

fn shown(sample: &Sample) -> String {
    format!("{:.0} ms (p90 {:.0}, n {})", sample.median(), sample.at(0.9), sample.len())
}

/// The line that repeats the gate, as its JSON has it.
fn by_hand(said: &[u8], gate: &str) -> Outcome<String> {
    let said: Value = serde_json::from_slice(said)?;
    let gates = said["gates"].as_array().ok_or("no gates")?;
    let found = gates.iter().find(|one| one["name"] == gate).ok_or("the gate did not run")?;
    if !["pass", "fail"].iter().any(|verdict| found["verdict"] == *verdict) {
        return Err(format!("{gate} is {}: {}", found["verdict"], found["reason"]).into());
    }
    Ok(found["by_hand"].as_str().unwrap_or_default().to_owned())
}

/// A package of 5,000 lines in a repository, and a home of its own.
struct Package {
    directory: tempfile::TempDir,
    sprint: PathBuf,
    path: OsString,
}

impl Package {
    fn new(plan: &Plan) -> Outcome<Self> {
        let directory = tempfile::Builder::new().prefix("sb-").tempdir_in("/tmp")?;
        let repo = directory.path().join("repo");
        for below in ["pkg", "tests"] {
            std::fs::create_dir_all(repo.join(below))?;
            std::fs::write(repo.join(below).join("__init__.py"), "")?;
        }
        for number in 0..MODULES {
            std::fs::write(repo.join(format!("pkg/m{number:02}.py")), module(number))?;
            std::fs::write(repo.join(format!("tests/test_m{number:02}.py")), test(number))?;
        }
        let names: Vec<String> = GATES.iter().map(|name| format!("\"{name}\"")).collect();
        std::fs::write(repo.join("sprint.toml"), format!("[gates]\npresets = [{}]\n", names.join(", ")))?;
        init(&repo)?;
        git(&repo, &["checkout", "-q", "-b", "work"])?;
        for home in ["state", "config", "data", "cache", "run"] {
            std::fs::create_dir(directory.path().join(home))?;
        }
        let mut path = Vec::new();
        for name in ["SPRINT_TEST_TOOLS", "SPRINT_TEST_PYTHON_TOOLS"] {
            path.extend(std::env::var_os(name).map(|tools| PathBuf::from(tools).join("bin")));
        }
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let lab = Self { directory, sprint: plan.sprint.clone(), path: std::env::join_paths(path)? };
        lab.change()?;
        Ok(lab)
    }

    fn repo(&self) -> PathBuf {
        self.directory.path().join("repo")
    }

    /// Those of the gates whose tool is there.
    fn installed(&self) -> Outcome<Vec<String>> {
        let said = self.timed(&["gates", "run", "--base", "main", "--json"])?.1;
        let said: Value = serde_json::from_slice(&said)?;
        let gates = said["gates"].as_array().ok_or("no gates")?;
        let ran = gates.iter().filter(|gate| gate["verdict"] == "pass" || gate["verdict"] == "fail");
        Ok(ran.filter_map(|gate| gate["name"].as_str()).map(ToOwned::to_owned).collect())
    }

    /// One line more in one module, committed.
    fn change(&self) -> Outcome<()> {
        let file = self.repo().join("pkg/m00.py");
        let mut text = std::fs::read_to_string(&file)?;
        writeln!(text, "LAST = {}", text.len())?;
        std::fs::write(&file, text)?;
        git(&self.repo(), &["commit", "-qam", "change"])
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.repo()).env("PATH", &self.path).env("LANG", "C.UTF-8");
        command.env("HOME", self.directory.path()).env("XDG_RUNTIME_DIR", self.directory.path().join("run"));
        for (name, home) in [("STATE", "state"), ("CONFIG", "config"), ("DATA", "data"), ("CACHE", "cache")] {
            command.env(format!("XDG_{name}_HOME"), self.directory.path().join(home));
        }
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Milliseconds of a call, and what it printed.
    fn timed(&self, words: &[&str]) -> Outcome<(f64, Vec<u8>)> {
        let mut command = self.command(&self.sprint);
        let began = Instant::now();
        let output = command.args(words).output()?;
        Ok((began.elapsed().as_secs_f64() * 1000.0, output.stdout))
    }

    /// Milliseconds of a line that is typed there.
    fn typed(&self, line: &str) -> Outcome<f64> {
        let mut shell = self.command(Path::new("/bin/sh"));
        let began = Instant::now();
        shell.args(["-c", line]).stdout(Stdio::null()).status()?;
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    }
}

/// A module of a hundred lines.
fn module(number: usize) -> String {
    let mut text = format!("\"\"\"Module {number}.\"\"\"\n\nfrom __future__ import annotations\n\n");
    for function in 0..12 {
        let at = number * 100 + function;
        text.extend([format!(
            "\ndef step_{function}(values: list[int], limit: int = {at}) -> int:\n    total = 0\n    for value in values:\n        if value > limit:\n            total += value\n        elif value < 0:\n            total -= value\n    return total\n"
        )]);
    }
    text
}

fn test(number: usize) -> String {
    let mut text = format!("from pkg import m{number:02}\n\n");
    for function in 0..12 {
        let at = number * 100 + function;
        text.extend([format!(
            "\ndef test_step_{function}() -> None:\n    assert m{number:02}.step_{function}([{at} + 1, -1, 0], {at}) == {at} + 2\n"
        )]);
    }
    text
}
