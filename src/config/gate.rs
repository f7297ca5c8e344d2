//! What one gate is: the keys of `[gate.X]`, and the facts about its tool that only a preset knows.
//!
//! Holds values only. Where they come from (presets, layers) is `config`'s other files' business;
//! how a gate runs and is judged is `gates`'.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::domain::gate::Mode;
use crate::domain::ids::{GateName, StageName};

/// One gate: a command, a parser and a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in a file of the person's")]
pub struct GateConfig {
    /// `ruff`; unique among the gates.
    pub name: GateName,
    /// The stage that runs it.
    pub stage: StageName,
    /// `false`: as if it were not written.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whether an absent tool refuses `start`; otherwise the gate is skipped, and shown so.
    #[serde(default = "yes")]
    pub required: bool,
    /// Whether it must have passed for exactly the tree that lands.
    #[serde(default = "yes")]
    pub at_merge: bool,
    /// Program and arguments. `{out}` is a file for the tool's report, `{root}` the worktree,
    /// `{tmp}` the gate's own temporary directory, `{kit}` where the preset's own files lie; as words
    /// of their own, `{files}` the files that it looks at and `{changed}` the changed lines as JSON.
    pub command: Vec<String>,
    /// How its output is read: one of [`super::presets::parser_names`].
    #[serde(default = "exit_code")]
    pub parser: String,
    /// Against what it is held.
    #[serde(default)]
    pub mode: Mode,
    /// Ended after this; counted from the moment that it has its slots.
    #[serde(default = "five_minutes", with = "super::duration")]
    pub timeout: Duration,
    /// How many cores it keeps busy.
    #[serde(default = "one")]
    pub weight: u32,
    /// Whether it may reach the network; without, it has nothing but loopback where the kernel allows it.
    #[serde(default)]
    pub network: bool,
    /// Globs of the files that it looks at, from the repository's root; empty: the preset's.
    #[serde(default)]
    pub paths: Vec<String>,
    /// For the parser `regex`: named groups `path`, `line`, `message`, `rule`, `severity`.
    #[serde(default)]
    pub pattern: String,
    /// Exit codes that say that nothing was found, for the parsers `exit-code` and `regex`: grep's
    /// is 1.
    #[serde(default = "zero")]
    pub clean: Vec<i32>,
    /// A file that the command writes its report to, relative to the worktree; empty: `{out}`
    /// where the command names it, else stdout.
    #[serde(default)]
    pub output: String,
    /// Findings that never block: names of rules, or globs of paths.
    #[serde(default)]
    pub allow: Vec<String>,
    /// The preset that it comes from.
    #[serde(default)]
    pub preset: Option<String>,
    /// What only a preset knows; never written in `sprint.toml`.
    #[serde(default)]
    pub tool: Tool,
}

/// What has to be there, besides an expected exit code and a readable report, for a clean verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// The parser's own rule alone (the default of a user's gate).
    #[default]
    None,
    /// At least one file of the tree matches the inputs.
    Files,
    /// At least one test ran.
    Tests,
    /// The tool says itself that it looked at something.
    Reported,
    /// At least one mutant was tried; none at all: the gate is skipped.
    Mutants,
}

/// Where a tool is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartIn {
    /// The worktree's root (or `general.root` in it).
    #[default]
    Root,
    /// The gate's temporary directory: for tools that choke on a repository's own files.
    Tmp,
}

/// A word in a file of the repository: that the tool is one of its dependencies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectText {
    /// Relative to `general.root`.
    pub file: String,
    /// What it has to contain.
    pub text: String,
}

/// A key of one of a repository's files of settings, in either of the forms that TOML and INI share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Its path below `general.root`.
    pub file: String,
    /// `[section]` without its brackets; empty: the file alone says it.
    #[serde(default)]
    pub section: String,
    /// What stands before the `=`; empty: the section alone says it.
    #[serde(default)]
    pub key: String,
}

/// Another command, and what has to be there for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instead {
    /// A program in PATH; empty: none has to be.
    #[serde(default)]
    pub program: String,
    /// Globs below `general.root`, one of them of a file that is there; empty: no file has to be.
    #[serde(default)]
    pub files: Vec<String>,
    /// A file that has to contain something.
    #[serde(default)]
    pub text: Option<DetectText>,
    /// Settings, one of which candidate and base have to have: what narrows a gate is believed only
    /// where it is not new. Empty: none has to be.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// The command.
    pub command: Vec<String>,
    /// Where it writes its second report; empty: nowhere.
    #[serde(default)]
    pub also: String,
}

/// Facts about a tool that a preset carries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// sprint itself looks; nothing is started.
    #[serde(default)]
    pub builtin: bool,
    /// It only reads the tree: it runs nothing of it and writes nothing there, so others of its kind
    /// may run beside it in the same worktree.
    #[serde(default)]
    pub reads: bool,
    /// The languages that select the preset under `presets = "auto"`.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Globs of what it can look at; none in the tree: the gate is skipped.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Globs below `general.root` of what has to be there besides: the tool's project file or
    /// configuration. One of them is enough; empty: nothing has to be.
    #[serde(default)]
    pub detect: Vec<String>,
    /// A file that has to name the tool.
    #[serde(default)]
    pub detect_text: Option<DetectText>,
    /// Commands for what is not everywhere, the first that fits in the place of the preset's own.
    #[serde(default)]
    pub instead: Vec<Instead>,
    /// Prints its version.
    #[serde(default)]
    pub version: Vec<String>,
    /// Files above so many bytes are not among `{files}`, or are in `{large}`, and the verdict says so; 0:
    /// there is no bound.
    #[serde(default)]
    pub file_max: u64,
    /// Exit codes that mean "I did my work"; empty: the parser decides.
    #[serde(default)]
    pub expected: Vec<i32>,
    /// What must be there for a clean verdict.
    #[serde(default)]
    pub evidence: Evidence,
    /// Where it is started.
    #[serde(default)]
    pub start_in: StartIn,
    /// Arguments that the parser relies on, each group added unless its first word is there
    /// already: a command that a person wrote keeps working. One with `{python}` needs a Python that is
    /// known to have what the tests import, one with `{sources}` a `src` that is no package, one
    /// with `{none}` (an empty word) a repository without any of `configured`, one
    /// with `{diff}`, a file with the lines that the candidate changes, a base, one with `{has:NAME}` a
    /// file of that name where the gate starts, one with `{changed}` the mode `new`, one with `{large}`,
    /// patterns of the files above `file_max` with commas between them, such files.
    #[serde(default)]
    pub ensure: Vec<Vec<String>>,
    /// Where the repository itself configures the tool. Without any of these, some tools read what the person
    /// has at home, which no other machine has.
    #[serde(default)]
    pub configured: Vec<Setting>,
    /// Where it writes its report, with the placeholders of `command`, if it cannot be told `{out}`.
    #[serde(default)]
    pub report: String,
    /// Where a tool that writes two reports puts the second, with the placeholders of `command`.
    #[serde(default)]
    pub also: String,
    /// Environment, with the placeholders of `command`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What is appended to these variables where the repository has none of `configured`.
    #[serde(default)]
    pub unconfigured_env: BTreeMap<String, String>,
    /// The `[quality]` key that it is held to, if any.
    #[serde(default)]
    pub threshold: Option<String>,
    /// Programs that have to be there besides the command's.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Files that sprint brings along, in `{kit}`: see [`super::presets::brought`].
    #[serde(default)]
    pub kit: Vec<String>,
    /// How a person gets it: what to type, or where its makers publish it.
    #[serde(default)]
    pub install: String,
    /// What `sprint install` fetches; none where no package in reach is this tool.
    #[serde(default)]
    pub package: Option<Package>,
}

/// A tool's package, pinned, in one of the ecosystems.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Requirements for pip or uv: `ruff==1.2.3`. The first is the tool, the others go with it.
    #[serde(default)]
    pub pip: Vec<String>,
    /// Packages for npm: `eslint@1.2.3`.
    #[serde(default)]
    pub npm: Vec<String>,
    /// Crates for `cargo install`: `cargo-deny@1.2.3`.
    #[serde(default)]
    pub cargo: Vec<String>,
    /// The programs of it that gates call; empty: the one that the gate needs.
    #[serde(default)]
    pub programs: Vec<String>,
}

impl Tool {
    /// How a person gets the tool: `sprint install` where that can bring it, and its own way; empty where
    /// nothing is known.
    pub fn how_to_get(&self) -> String {
        match (&self.package, self.install.as_str()) {
            (Some(_), "") => "sprint install".to_owned(),
            (Some(_), own) => format!("sprint install, or: {own}"),
            (None, own) => own.to_owned(),
        }
    }
}

impl Package {
    /// Everything that is asked of a client.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.pip.iter().chain(&self.npm).chain(&self.cargo).map(String::as_str)
    }

    /// `pip ruff==1.2.3`
    pub fn shown(&self) -> String {
        let client = match (self.pip.is_empty(), self.npm.is_empty()) {
            (false, _) => "pip",
            (true, false) => "npm",
            (true, true) => "cargo",
        };
        format!("{client} {}", self.all().collect::<Vec<_>>().join(" "))
    }

    /// Where its client puts programs below the directory that it installs into.
    pub fn programs_in(&self, home: &Path) -> PathBuf {
        if self.npm.is_empty() { home.join("bin") } else { home.join("node_modules/.bin") }
    }
}

impl GateConfig {
    /// The keys that `[gate.X]` may have in a person's file (`name` is the table's).
    pub const KEYS: [&'static str; 15] = [
        "stage", "enabled", "required", "at_merge", "command", "parser", "mode", "timeout", "weight",
        "network", "paths", "pattern", "clean", "output", "allow",
    ];
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn zero() -> Vec<i32> {
    vec![0]
}

fn exit_code() -> String {
    "exit-code".to_owned()
}

fn five_minutes() -> Duration {
    Duration::from_mins(5)
}
