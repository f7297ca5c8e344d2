//! The embedded agent `scripted`: plays a script in a worktree. It is a program like any other (a
//! child of the worker, driven through environment, output and exit code), offline and
//! deterministic, and says on every line that it is not a model.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;

use super::environment::RunContext;
use super::script::{Action, Script, ScriptError, Situation, TIMEOUT_DEFAULT, parse};
use crate::process::run::{Ending, Session, Spec, Stdin, run};

/// What each line begins with.
pub const LABEL: &str = "[script, not a model]";

/// A script that is larger is none.
pub const SCRIPT_BYTES_MAX: u64 = 4 << 20;
/// Output of a `run` step that is passed on.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// How often a `wait` step looks.
const LOOK: Duration = Duration::from_millis(20);
/// From SIGTERM to SIGKILL for a `run` step.
const GRACE: Duration = Duration::from_secs(2);

/// The command that plays the script of a run.
pub fn command(context: &RunContext) -> Vec<String> {
    let script = script_path(context);
    vec![
        context.sprint.to_string(),
        "agent".to_owned(),
        "scripted".to_owned(),
        "--script".to_owned(),
        script.into_string(),
    ]
}

/// `<feature directory>/script/<task>.toml` in the worktree.
pub fn script_path(context: &RunContext) -> Utf8PathBuf {
    context.feature_dir_in_worktree().join("script").join(format!("{}.toml", context.task))
}

/// Where a script is played.
#[derive(Debug, Clone)]
pub struct World {
    /// The working directory.
    pub worktree: PathBuf,
    /// The environment of the process.
    pub env: Vec<(OsString, OsString)>,
}

impl World {
    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }

    /// What conditions are held against.
    pub fn situation(&self) -> Situation {
        let text = |name: &str| self.variable(name).map(|value| value.to_string_lossy().into_owned());
        Situation {
            attempt: text("SPRINT_ATTEMPT").and_then(|text| text.parse().ok()).unwrap_or(1),
            stage: text("SPRINT_STAGE").unwrap_or_default(),
            feedback: text("SPRINT_FEEDBACK"),
            answer: text("SPRINT_ANSWER"),
        }
    }
}

/// Why a script could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// No file, or none that can be read.
    #[error("there is no script `{path}`; the agent `scripted` plays one for each task")]
    NoScript {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// [`SCRIPT_BYTES_MAX`].
    #[error("the script `{path}` is larger than 4 MiB")]
    TooLarge {
        /// The script.
        path: PathBuf,
    },
    /// A mistake in it.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// A step did not work.
    #[error("the step in line {line} failed: {message}")]
    Step {
        /// From 1.
        line: usize,
        /// What happened.
        message: String,
    },
    /// Our own output is closed: nobody is there any more.
    #[error("cannot write")]
    Output(#[source] std::io::Error),
}

/// Reads the script `file` and plays it. Returns the exit code; on an error it is 1.
///
/// # Errors
/// [`PlayError`], to be printed on standard error.
pub fn play_file(file: &Path, world: &World, out: &mut dyn Write) -> Result<u8, PlayError> {
    let missing = |source| PlayError::NoScript { path: file.to_owned(), source };
    if std::fs::metadata(file).map_err(missing)?.len() > SCRIPT_BYTES_MAX {
        return Err(PlayError::TooLarge { path: file.to_owned() });
    }
    let text = std::fs::read_to_string(file).map_err(missing)?;
    play(&parse(&file.to_string_lossy(), &text)?, world, out)
}

/// Plays a script. A script that comes to its end has succeeded.
///
/// # Errors
/// The first step that fails.
pub fn play(script: &Script, world: &World, out: &mut dyn Write) -> Result<u8, PlayError> {
    let situation = world.situation();
    for step in script.steps.iter().filter(|step| step.when.holds(&situation)) {
        let mut player = Player { world, out: &mut *out };
        match player.step(&step.action) {
            Ok(None) => {}
            Ok(Some(code)) => return Ok(code),
            Err(Failure::Output(error)) => return Err(PlayError::Output(error)),
            Err(Failure::Step(message)) => return Err(PlayError::Step { line: step.line, message }),
        }
    }
    Ok(0)
}

enum Failure {
    Output(std::io::Error),
    Step(String),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Step(message)
    }
}

struct Player<'a> {
    world: &'a World,
    out: &'a mut dyn Write,
}

impl Player<'_> {
    /// Does one step; an exit code ends the play.
    fn step(&mut self, action: &Action) -> Result<Option<u8>, Failure> {
        match action {
            Action::Say(text) => self.say(text)?,
            Action::Print(text) => self.print(text)?,
            Action::Write { path, content, executable } => {
                self.say(&format!("write {path}"))?;
                self.write(path, content, *executable)?;
            }
            Action::Append { path, content } => {
                self.say(&format!("append to {path}"))?;
                let before = read_or_empty(&self.inside(path)?)?;
                self.write(path, &(before + content), false)?;
            }
            Action::Replace { path, old, new } => {
                self.say(&format!("replace in {path}"))?;
                self.replace(path, old, new)?;
            }
            Action::Delete { path } => {
                self.say(&format!("delete {path}"))?;
                let file = self.inside(path)?;
                std::fs::remove_file(file).map_err(|error| format!("cannot delete `{path}`: {error}"))?;
            }
            Action::Run { command, expect, timeout } => self.run(command, *expect, *timeout)?,
            Action::Commit(message) => self.commit(message)?,
            Action::Wait { path, timeout } => self.wait(path, *timeout)?,
            Action::PidFile { path } => {
                let file = self.anywhere(path)?;
                let written = std::fs::write(&file, format!("{}\n", std::process::id()));
                written.map_err(|error| format!("cannot write `{}`: {error}", file.display()))?;
            }
            Action::Blocked(question) => {
                self.say("I have a question")?;
                self.print(&format!("BLOCKED: {question}"))?;
                return Ok(Some(0));
            }
            Action::Fail(reason) => return self.end(&format!("I fail: {reason}"), 1),
            Action::Skip(reason) => return self.end(&format!("nothing to do: {reason}"), 2),
            Action::Exit(code) => return self.end(&format!("I end with exit code {code}"), *code),
        }
        Ok(None)
    }

    fn end(&mut self, text: &str, code: u8) -> Result<Option<u8>, Failure> {
        self.say(text)?;
        Ok(Some(code))
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        text.lines().try_for_each(|line| self.print(&format!("{LABEL} {line}")))
    }

    fn print(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{line}").and_then(|()| self.out.flush()).map_err(Failure::Output)
    }

    fn write(&mut self, path: &str, content: &str, executable: bool) -> Result<(), Failure> {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.inside(path)?;
        let failed = |error: std::io::Error| format!("cannot write `{path}`: {error}");
        std::fs::write(&file, content).map_err(failed)?;
        if executable {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
        }
        Ok(())
    }

    fn replace(&mut self, path: &str, old: &str, new: &str) -> Result<(), Failure> {
        let text = read_or_empty(&self.inside(path)?)?;
        match text.matches(old).count() {
            1 => self.write(path, &text.replacen(old, new, 1), false),
            count => Err(format!("`{path}` has the text {count} times, and must have it once").into()),
        }
    }

    /// A path in the worktree, its directory made; a symbolic link does not lead out of it.
    fn inside(&self, path: &str) -> Result<PathBuf, Failure> {
        let file = self.world.worktree.join(path);
        let failed = |error: std::io::Error| format!("cannot use `{path}`: {error}");
        let dir = file.parent().unwrap_or(&self.world.worktree);
        let root = self.world.worktree.canonicalize().map_err(failed)?;
        let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(&root);
        let real = there.canonicalize().map_err(failed)?;
        if !real.starts_with(&root) || file.is_symlink() {
            return Err(format!("`{path}` leads out of the worktree").into());
        }
        std::fs::create_dir_all(dir).map_err(failed)?;
        Ok(file)
    }

    /// A path for signs between a script and whoever watches it.
    fn anywhere(&self, path: &str) -> Result<PathBuf, Failure> {
        let Some(rest) = path.strip_prefix('$') else {
            return Ok(self.world.worktree.join(path));
        };
        let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
        match self.world.variable(name) {
            Some(value) => Ok(Path::new(value).join(rest)),
            None => Err(format!("the variable `{name}` of `{path}` is not set").into()),
        }
    }

    /// Looks for the file until it is there. A sign in the file system has no event that works
    /// everywhere, so this is the one place that looks again and again, within its bound.
    fn wait(&mut self, path: &str, timeout: Duration) -> Result<(), Failure> {
        let file = self.anywhere(path)?;
        self.say(&format!("wait for {path}"))?;
        let end = Instant::now() + timeout;
        while !file.exists() {
            if Instant::now() >= end {
                let waited = crate::config::duration::format(timeout);
                return Err(format!("`{path}` was not there after {waited}").into());
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn run(&mut self, command: &[String], expect: i32, timeout: Duration) -> Result<(), Failure> {
        self.say(&format!("run {}", command.join(" ")))?;
        let (ending, output) = self.child(command, timeout)?;
        for line in output.lines() {
            self.say(&super::protocol::plain(line.as_bytes()))?;
        }
        if ending == Ending::Exit(expect) {
            return Ok(());
        }
        let program = &command[0];
        Err(match ending {
            Ending::Exit(code) => {
                format!("`{program}` ended with exit code {code}, and {expect} was expected")
            }
            Ending::Signal(signal) => format!("`{program}` was killed by signal {signal}"),
            Ending::TimedOut | Ending::Cancelled | Ending::Exceeded(_) => {
                format!("`{program}` took longer than {}", crate::config::duration::format(timeout))
            }
        }
        .into())
    }

    fn commit(&mut self, message: &str) -> Result<(), Failure> {
        self.say(&format!("commit: {message}"))?;
        let message = format!("--message={message}");
        for arguments in [vec!["git", "add", "--all"], vec!["git", "commit", "--quiet", &message]] {
            let command: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
            let (ending, output) = self.child(&command, TIMEOUT_DEFAULT)?;
            if ending != Ending::Exit(0) {
                return Err(format!("`git {}` failed: {}", command[1], output.trim()).into());
            }
        }
        Ok(())
    }

    fn child(&self, command: &[String], timeout: Duration) -> Result<(Ending, String), Failure> {
        let spec = Spec {
            program: OsString::from(&command[0]),
            args: command[1..].iter().map(OsString::from).collect(),
            cwd: self.world.worktree.clone(),
            env: self.world.env.clone(),
            stdin: Stdin::Null,
            timeout,
            output_max: OUTPUT_BYTES_MAX,
            grace: GRACE,
            session: Session::NewGroup,
            bounds: None,
        };
        let outcome = run(&spec, &mut |_, _| {}, &|| false).map_err(|error| chain(&error))?;
        let text = [outcome.stdout, outcome.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok((outcome.ending, text.concat()))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}

fn read_or_empty(file: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(format!("cannot read `{}`: {error}", file.display()).into()),
    }
}

#[cfg(test)]
#[path = "scripted_tests.rs"]
mod tests;
