//! The environment of an agent's program: the person's, less what is sprint's own, plus what the
//! contract with programs promises. Pure.

use std::ffi::{OsStr, OsString};

use camino::{Utf8Path, Utf8PathBuf};

use crate::config::{Adapter, Home};
use crate::domain::ids::{CommitSha, FeatureId, RunId, StageName, TaskId, Token};

/// Ports in the block of a worktree.
pub const PORTS_PER_WORKTREE: u16 = 20;

/// `SPRINT_STAGE` of the manager's runs, which are of no stage.
pub const TRIAGE: &str = "triage";

/// What a run tells its program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunContext {
    /// The run; also the mark by which its processes are found.
    pub run: RunId,
    /// Its secret, for `sprint agent …`.
    pub token: Token,
    /// Where `sprint agent …` leaves its claims.
    pub run_dir: Utf8PathBuf,
    /// The task.
    pub task: TaskId,
    /// Its title, any text.
    pub title: String,
    /// The feature.
    pub feature: FeatureId,
    /// The feature's directory, relative to the repository.
    pub feature_dir: Utf8PathBuf,
    /// The stage.
    pub stage: StageName,
    /// The developer's attempt, from 1.
    pub attempt: u32,
    /// The working directory.
    pub worktree: Utf8PathBuf,
    /// The file with the prompt.
    pub prompt_file: Utf8PathBuf,
    /// JSON of [`super::feedback::Feedback`]; None at attempt 1.
    pub feedback: Option<String>,
    /// The person's answer, if the run continues after a question.
    pub answer: Option<String>,
    /// What the attempt started from.
    pub base: CommitSha,
    /// The branch of the attempt before.
    pub previous: Option<String>,
    /// The worker's slot, from 1.
    pub slot: u32,
    /// The first of the worktree's ports.
    pub port: u16,
    /// The role's model; empty: none asked for.
    pub model: String,
    /// How hard it is to think; empty: nobody says.
    pub effort: String,
    /// What is left for the run, in US dollars; empty where money is not limited.
    pub budget: String,
    /// The program `sprint` itself.
    pub sprint: Utf8PathBuf,
    /// The name of the conversation, for an adapter of the kind `cli`.
    pub session: Option<String>,
    /// Whether that conversation has begun in an earlier run.
    pub resumes: bool,
    /// Where a hook of the program rings.
    pub bell: Utf8PathBuf,
    /// The home directory for `home = "own"`.
    pub own_home: Utf8PathBuf,
    /// `TMPDIR`: the run's alone, and gone with it.
    pub tmp: Utf8PathBuf,
}

impl RunContext {
    /// The feature's directory in the worktree.
    pub fn feature_dir_in_worktree(&self) -> Utf8PathBuf {
        self.worktree.join(&self.feature_dir)
    }
}

/// Variables that bind git to one repository: with one of them inherited (a `start` out of a git
/// hook has them all) an agent's `git commit` would go to the person's checkout.
const GIT_LOCAL: [&str; 12] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INDEX_VERSION",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_QUARANTINE_PATH",
];

/// The whole environment of the program, sorted by name. `person` is the environment as `start`
/// found it.
pub fn environment(
    person: &[(OsString, OsString)],
    adapter: &Adapter,
    run: &RunContext,
) -> Vec<(OsString, OsString)> {
    let mut env = std::collections::BTreeMap::new();
    env.extend(person.iter().filter(|(name, _)| !is_ours(name)).cloned());
    for name in ["TMP", "TEMP"] {
        env.remove(OsStr::new(name));
    }
    env.insert("TMPDIR".into(), run.tmp.as_str().into());
    env.extend(adapter.env.iter().map(|(name, value)| (name.into(), value.into())));
    if adapter.home == Home::Own {
        env.insert("HOME".into(), run.own_home.as_str().into());
        for xdg in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
            env.remove(OsStr::new(xdg));
        }
    }
    env.insert("PWD".into(), run.worktree.as_str().into());
    env.remove(OsStr::new("OLDPWD"));
    let path = with_sprint(env.get(OsStr::new("PATH")).map(OsString::as_os_str), &run.sprint);
    env.insert("PATH".into(), path);
    env.extend(promised(run));
    env.into_iter().collect()
}

/// Everything that begins with `SPRINT_` is ours, secrets of an outer run included.
fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"SPRINT_") || GIT_LOCAL.iter().any(|local| name == *local)
}

/// `sprint agent done` must work for a program: the directory of the running `sprint` goes to the
/// front, unless it is in the PATH already.
fn with_sprint(path: Option<&OsStr>, sprint: &Utf8Path) -> OsString {
    let Some(dir) = sprint.parent().filter(|dir| dir.is_absolute()) else {
        return path.unwrap_or_default().to_owned();
    };
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        return dir.as_str().into();
    };
    if std::env::split_paths(path).any(|there| there == dir.as_std_path()) {
        return path.to_owned();
    }
    let mut joined = OsString::from(dir.as_str());
    joined.push(":");
    joined.push(path);
    joined
}

fn promised(run: &RunContext) -> Vec<(OsString, OsString)> {
    let mut pairs: Vec<(&str, String)> = vec![
        ("SPRINT_TASK_ID", run.task.to_string()),
        ("SPRINT_TASK_TITLE", run.title.clone()),
        ("SPRINT_FEATURE", run.feature.to_string()),
        ("SPRINT_FEATURE_DIR", run.feature_dir_in_worktree().into_string()),
        ("SPRINT_STAGE", run.stage.to_string()),
        ("SPRINT_ATTEMPT", run.attempt.to_string()),
        ("SPRINT_PROMPT", run.prompt_file.to_string()),
        ("SPRINT_BASE", run.base.to_string()),
        ("SPRINT_SLOT", run.slot.to_string()),
        ("SPRINT_PORT", run.port.to_string()),
        ("SPRINT_WORKTREE", run.worktree.to_string()),
        ("SPRINT_RUN", run.run.to_string()),
        ("SPRINT_RUN_DIR", run.run_dir.to_string()),
        ("SPRINT_TOKEN", run.token.to_string()),
        ("SPRINT_BELL", run.bell.to_string()),
    ];
    let optional = [
        ("SPRINT_FEEDBACK", run.feedback.clone()),
        ("SPRINT_ANSWER", run.answer.clone()),
        ("SPRINT_PREVIOUS", run.previous.clone()),
        ("SPRINT_MODEL", Some(run.model.clone()).filter(|model| !model.is_empty())),
        ("SPRINT_EFFORT", Some(run.effort.clone()).filter(|effort| !effort.is_empty())),
    ];
    pairs.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    // The kernel ends a variable at a NUL, and the start of the program would be refused.
    pairs.into_iter().map(|(name, value)| (name.into(), value.replace('\0', " ").into())).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{AdapterKind, Commits, Retry};

    pub(in crate::agents) fn context() -> RunContext {
        RunContext {
            run: RunId::parse("0192f0c1-2345-7abc-8def-0123456789ab").unwrap(),
            token: Token::parse(&"a".repeat(64)).unwrap(),
            run_dir: "/state/runs/r".into(),
            task: TaskId::parse("T001").unwrap(),
            title: "Write `a.py`; $(rm -rf /)".to_owned(),
            feature: FeatureId::parse("001-thing").unwrap(),
            feature_dir: "specs/001-thing".into(),
            stage: StageName::parse("InProgress").unwrap(),
            attempt: 1,
            worktree: "/state/worktrees/1".into(),
            prompt_file: "/state/runs/r/prompt.md".into(),
            feedback: None,
            answer: None,
            base: CommitSha::parse(&"b".repeat(40)).unwrap(),
            previous: None,
            slot: 2,
            port: 20_020,
            model: String::new(),
            effort: String::new(),
            budget: "4.5".to_owned(),
            sprint: "/opt/sprint/bin/sprint".into(),
            session: None,
            resumes: false,
            bell: "/run/developer-1.bell".into(),
            own_home: "/state/home/mine".into(),
            tmp: "/tmp/sprint-r".into(),
        }
    }

    pub(in crate::agents) fn adapter() -> Adapter {
        Adapter {
            name: "mine".to_owned(),
            kind: AdapterKind::Command,
            command: vec!["./x".to_owned()],
            env: [("KEY".to_owned(), "value".to_owned())].into(),
            commit: Commits::Agent,
            retry: Retry::Fresh,
            stall: std::time::Duration::from_mins(5),
            mode: crate::config::AgentMode::Headless,
            home: Home::Person,
            model: String::new(),
            effort: String::new(),
            cli: None,
        }
    }

    fn person() -> Vec<(OsString, OsString)> {
        let pairs = [
            ("HOME", "/home/ann"),
            ("PATH", "/usr/bin:/bin"),
            ("KEY", "the person's"),
            ("SPRINT_TOKEN", "outer secret"),
            ("SPRINT_CONFIG__agents__max_testers", "1"),
            ("GIT_DIR", "/home/ann/repo/.git"),
            ("GIT_AUTHOR_NAME", "Ann"),
            ("XDG_CONFIG_HOME", "/home/ann/.config"),
            ("OLDPWD", "/home/ann"),
        ];
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn shown(env: &[(OsString, OsString)]) -> String {
        let lines = env.iter().map(|(name, value)| format!("{}={}", name.display(), value.display()));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_first_attempt() {
        insta::assert_snapshot!(shown(&environment(&person(), &adapter(), &context())));
    }

    #[test]
    fn a_later_attempt_with_everything() {
        let mut run = context();
        run.attempt = 2;
        run.feedback = Some("{}".to_owned());
        run.answer = Some("yes".to_owned());
        run.previous = Some("sprint-task/001-thing/T001/1".to_owned());
        run.model = "big".to_owned();
        run.effort = "high".to_owned();
        run.title = "with\0NUL".to_owned();
        let mut own = adapter();
        own.home = Home::Own;
        insta::assert_snapshot!(shown(&environment(&person(), &own, &run)));
    }

    #[test]
    fn sprint_is_found_in_the_path_once() {
        let path = |path: Option<&str>| with_sprint(path.map(OsStr::new), Utf8Path::new("/opt/bin/sprint"));
        assert_eq!(path(None), "/opt/bin");
        assert_eq!(path(Some("")), "/opt/bin");
        assert_eq!(path(Some("/bin")), "/opt/bin:/bin");
        assert_eq!(path(Some("/bin:/opt/bin")), "/bin:/opt/bin");
    }
}
