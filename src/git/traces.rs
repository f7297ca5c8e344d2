//! What runs may change in the person's repository beside their work: branches that are not sprint's, and
//! the settings by which git finds files and starts programs. Read twice, compared, never written.

use std::collections::BTreeMap;

use git2::{Config, ErrorCode};

use super::error::{LibContext, Result};
use super::repo::Repo;
use crate::domain::trace::{Kind, Trace};

/// Branches that are looked at; of a repository with more nothing is told beyond them.
const BRANCHES_MAX: usize = 10_000;
/// Bytes of a value that a command is made of; one that is longer is for the person's editor.
const VALUE_BYTES_MAX: usize = 300;
/// Bytes of a value that are kept to compare and to show.
const KEPT_BYTES_MAX: usize = 2_000;

/// Settings that decide where git's files are, what it starts, and where it pushes.
const SETTINGS: [&str; 5] =
    ["core.bare", "core.worktree", "core.hookspath", "core.fsmonitor", "core.sshcommand"];

/// Branches and settings at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    branches: BTreeMap<String, String>,
    settings: BTreeMap<String, String>,
}

impl Snapshot {
    /// As of now. `hide` replaces secrets in values: an address may hold a password.
    ///
    /// # Errors
    /// [`super::Error::Lib`] if references or the configuration cannot be read.
    pub fn now(repo: &Repo, hide: &dyn Fn(&str) -> String) -> Result<Self> {
        Ok(Self { branches: branches(repo)?, settings: settings(repo, hide)? })
    }

    /// What is otherwise than it was `before`, settings first.
    pub fn since(&self, before: &Self, repo: &Repo) -> Vec<Trace> {
        let config = repo.common_dir.join("config");
        let config = quoted(&config.to_string_lossy());
        let settings = differences(Kind::Setting, &before.settings, &self.settings);
        let branches = differences(Kind::Branch, &before.branches, &self.branches);
        settings.chain(branches).map(|trace| Trace { fix: fix(&trace, &config), ..trace }).collect()
    }

    /// Whether the repository still is as a trace says that it became.
    pub fn still_has(&self, trace: &Trace) -> bool {
        let all = match trace.kind {
            Kind::Branch => &self.branches,
            Kind::Setting => &self.settings,
        };
        all.get(&trace.name) == trace.to.as_ref()
    }
}

/// Only the names of sprint's own branches are read: there may be thousands.
fn branches(repo: &Repo) -> Result<BTreeMap<String, String>> {
    let what = "cannot list branches";
    let lib = repo.open()?;
    let mut found = BTreeMap::new();
    let mut all = lib.references_glob("refs/heads/*").during(what)?;
    // A name that is not UTF-8 could not be typed again.
    for name in all.names().flatten().filter(|name| !is_ours(name)).take(BRANCHES_MAX) {
        // One that is deleted at this moment is not there.
        if let Ok(reference) = lib.find_reference(name)
            && let Some(short) = name.strip_prefix("refs/heads/")
            && let Some(at) = points_to(&reference)
        {
            found.insert(short.to_owned(), at);
        }
    }
    Ok(found)
}

/// A commit, or another reference.
fn points_to(reference: &git2::Reference<'_>) -> Option<String> {
    match reference.target() {
        Some(commit) => Some(commit.to_string()),
        None => reference.symbolic_target().ok().flatten().map(str::to_owned),
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("refs/heads/sprint/") || name.starts_with("refs/heads/sprint-task/")
}

/// The repository's own, with what its file includes; not those of the person or the machine. Read anew:
/// an open repository remembers them.
fn settings(repo: &Repo, hide: &dyn Fn(&str) -> String) -> Result<BTreeMap<String, String>> {
    let what = "cannot read the repository's configuration";
    let config = match Config::open(&repo.common_dir.join("config")) {
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(BTreeMap::new()),
        other => other.during(what)?,
    };
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut entries = config.entries(None).during(what)?;
    while let Some(entry) = entries.next() {
        let entry = entry.during(what)?;
        let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
        if !matters(&name) {
            continue;
        }
        let value =
            if entry.has_value() { String::from_utf8_lossy(entry.value_bytes()) } else { "true".into() };
        let value = hide(&value);
        let known = found.entry(name).and_modify(|known| known.push('\n')).or_default();
        known.push_str(&value);
        known.truncate(known.floor_char_boundary(KEPT_BYTES_MAX));
    }
    Ok(found)
}

fn matters(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let remote = name.starts_with("remote.") && ["url", "pushurl"].contains(&last);
    SETTINGS.contains(&name) || name.starts_with("filter.") || remote
}

fn differences<'a>(
    kind: Kind,
    before: &'a BTreeMap<String, String>,
    now: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = Trace> + 'a {
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    let changed = now.keys().filter(|name| before.get(*name) != now.get(*name));
    changed.chain(gone).map(move |name| Trace {
        kind,
        name: name.clone(),
        from: before.get(name).cloned(),
        to: now.get(name).cloned(),
        fix: String::new(),
    })
}

/// Does what it says and no more: a branch goes back only from where it was seen, also one that is checked out.
fn fix(trace: &Trace, config: &str) -> String {
    let is_commit = |value: &String| value.len() == 40 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    match trace.kind {
        Kind::Branch => {
            let name = quoted(&format!("refs/heads/{}", trace.name));
            match (&trace.from, &trace.to) {
                (Some(from), Some(to)) if is_commit(from) && is_commit(to) => {
                    format!("git update-ref {name} {from} {to}")
                }
                (Some(from), _) if is_commit(from) => format!("git update-ref --no-deref {name} {from}"),
                (Some(from), _) => format!("git symbolic-ref {name} {}", quoted(from)),
                (None, Some(to)) if is_commit(to) => format!("git update-ref -d {name} {to}"),
                (None, _) => format!("git symbolic-ref -d {name}"),
            }
        }
        Kind::Setting => {
            let name = quoted(&trace.name);
            match &trace.from {
                // Several values, or one with a secret that is not kept.
                Some(from)
                    if from.len() > VALUE_BYTES_MAX
                        || from.contains(char::is_control)
                        || from.contains("[redacted") =>
                {
                    format!("git config --file {config} --edit")
                }
                Some(from) => format!("git config --file {config} --replace-all {name} {}", quoted(from)),
                None => format!("git config --file {config} --unset-all {name}"),
            }
        }
    }
}

/// A word as a POSIX shell reads it, for a command that the person copies.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
