//! A check: what it is about, what was found, what to do, and what `--fix` does by itself.

use serde::Serialize;

use super::mend::Mend;
use crate::cli::text::plain;
use crate::error::{CliError, exit};

/// What to do about a configuration where its error does not say.
const CORRECT: &str = "correct it; `sprint init` writes a sample";
/// Characters of what was found.
const WHAT_MAX: usize = 500;

/// Every check, with what it means: why anybody should care.
pub(super) const ALL: [(&str, &str); 46] = [
    ("tmux", "each worker is a session of tmux"),
    ("network", "gates are kept from the network, so that they judge the tree alone"),
    ("systemd", "logind keeps the machine awake while a sprint runs"),
    ("cgroups", "the kernel counts what agents and gates use, and finds what hides from sprint"),
    ("namespaces", "what gates and sandboxes of agents' programs are kept in"),
    ("bwrap", "the sandbox of some agents' programs; sprint itself uses none"),
    ("files", "open files that a process may have: the supervisor has some for each worker"),
    ("processes", "processes that this user may have: each worker and each agent is several"),
    ("watches", "what editors' and agents' programs watch files with"),
    ("memory", "what agents and gates share"),
    ("clock", "dates of commits and of the history come from it; nothing is decided by it"),
    ("proc", "who a process is, and what belongs to a run, is read there"),
    ("sockets", "a path of a socket has 108 bytes at most"),
    ("temporary", "programs of runs put their files there"),
    ("git", "worktrees, candidates and landings are git's"),
    ("identity", "commits bear your name"),
    ("repository", "what a sprint works on"),
    ("durability", "git's default syncs nothing: sprint syncs what it lands by itself"),
    ("locks", "a lock that a killed git has left keeps others from working"),
    ("branches", "the integration branches are where the database says"),
    ("checked-out", "a branch that is checked out anywhere is never moved"),
    ("worktrees", "the list of git and the pool of sprint are the same"),
    ("state", "database, reports, worktrees and logs lie there"),
    ("runtime", "sockets and heartbeats lie there"),
    ("modes", "state and sockets are yours alone"),
    ("directories", "the parts of the state directory are there"),
    ("database", "it is whole: it is the truth about the sprint"),
    ("schema", "it is of a version that this program knows"),
    ("owner", "it is this repository's"),
    (
        "log",
        "what is not in the database's file yet; more than 64 MB of it means that somebody reads for ever",
    ),
    ("copies", "what a damaged database is made again from"),
    ("damaged", "damaged databases that were kept for you"),
    ("reports", "what runs have said is in files, before it is in the database"),
    ("supervisor", "it decides and lands; one a repository"),
    ("epoch", "supervisors follow one another"),
    ("inbox", "what you have asked for and nobody has done yet"),
    ("disk", "below `general.disk_free_min` nothing new is begun"),
    ("inodes", "a file system has room for so many files, however small"),
    ("left-processes", "what a supervisor that died has left running"),
    ("left-tmux", "the server whose sessions are the workers ends with the sprint"),
    ("left-files", "temporary directories go with their runs"),
    ("left-groups", "control groups go with what was in them"),
    ("configuration", "what `sprint start` would take"),
    ("prompts", "templates of the repository's own"),
    ("agents", "who works on the tasks, and who is signed in"),
    ("gates", "what judges the work"),
];

/// Names that were there before there was a catalogue, and under which line of it they belong.
const UNDER: [(&str, &str); 4] =
    [("developer", "agents"), ("sign-in", "agents"), ("budget", "agents"), ("tool", "gates")];

/// One line of the result.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// Why anybody should care.
    pub means: &'static str,
    /// `ok`, `warning` or `problem`.
    pub state: &'static str,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub fix: Option<String>,
    /// What `--fix` does about it.
    pub mends: Option<String>,
    /// The same, to be done.
    #[serde(skip)]
    pub(super) mend: Option<Mend>,
    /// The exit code of a problem.
    #[serde(skip)]
    pub(super) exit: u8,
}

impl Check {
    pub(super) fn ok(name: &'static str, what: impl AsRef<str>) -> Self {
        let what = plain(what.as_ref(), WHAT_MAX);
        Self {
            name,
            means: means(name),
            state: "ok",
            what,
            fix: None,
            mends: None,
            mend: None,
            exit: exit::DONE,
        }
    }

    pub(super) fn problem(name: &'static str, what: impl AsRef<str>, fix: impl Into<String>) -> Self {
        Self { state: "problem", fix: Some(fix.into()), exit: exit::ENVIRONMENT, ..Self::ok(name, what) }
    }

    pub(super) fn warning(name: &'static str, what: impl AsRef<str>, fix: impl Into<String>) -> Self {
        Self { state: "warning", exit: exit::DONE, ..Self::problem(name, what, fix) }
    }

    /// What a command that needs it would end with.
    pub(super) fn error(name: &'static str, error: &CliError) -> Self {
        let hints = if error.hints.is_empty() { vec![CORRECT.to_owned()] } else { error.hints.clone() };
        Self { exit: error.exit_code(), ..Self::problem(name, &error.message, hints.join("\n")) }
    }

    /// With what `--fix` does about it.
    pub(super) fn mended_by(self, mend: Mend) -> Self {
        Self { mends: Some(mend.text()), mend: Some(mend), ..self }
    }
}

fn means(name: &str) -> &'static str {
    let name = UNDER.iter().find(|(under, _)| *under == name).map_or(name, |(_, above)| above);
    ALL.iter().find(|(known, _)| *known == name).map_or("", |(_, means)| means)
}
