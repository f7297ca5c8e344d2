//! `sprint demo`: the whole main job on a sample repository, offline.
//!
//! - [`files`] writes the sample: a small Python library, a feature, and the scripts that play the
//!   developers. It refuses a directory that has anything in it.
//! - [`drive`] runs `sprint start` on it, and does from outside what a person or an accident would:
//!   answers a question, kills a worker.
//! - [`told`] keeps what happened, as the history has it, and tells it at the end.
//!
//! The developers are a script and not a model, and the output says so. Everything else is what
//! every sprint does: tmux, git, worktrees, gates, the merge queue.

mod drive;
mod files;
mod told;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::DemoArgs;
use super::environment::Environment;
use super::out::Out;
use super::text::{Colour, Tone};
use crate::error::{CliError, exit};
use crate::process::run::{Ending, Outcome, Session, Spec, Stdin, run as run_child};

/// The feature of the sample.
const FEATURE: &str = "specs/001-words";
/// The gates of the sample.
const SAMPLE_GATES: &[&str] = &["ruff", "mypy", "radon", "pytest"];
/// A command of ours that takes longer is not coming back.
const COMMAND_WAIT: Duration = Duration::from_mins(2);
/// Bytes of a command's output that are passed on.
const OUTPUT_MAX: usize = 256 * 1024;

/// Runs it.
///
/// # Errors
/// The directory cannot be used (exit 4), a tool is missing (exit 3), or what `sprint start` says.
pub fn run(args: &DemoArgs) -> Result<u8, CliError> {
    let env = Environment::of_process()?;
    let mut out = Out::new(std::io::stdout().lock(), Colour::from_flag(env.colour()), env.columns);
    let sprint = Sprint::new(&env, &place(args, &env)?)?;
    tools_are_there(&sprint)?;
    files::write(&sprint.dir)?;
    introduce(&mut out, &sprint);
    let played = begin(&mut out, &sprint).and_then(|()| drive::drive(&mut out, &env, &sprint));
    let story = match played {
        Ok(story) => story,
        Err(error) => {
            out.flush();
            return Err(error.hint(format!("the sample is in {}", sprint.dir.display())));
        }
    };
    let code = told::tell(&mut out, &story, &sprint.dir);
    out.finish()?;
    Ok(code)
}

/// `DIR`, or a new directory in the person's cache.
fn place(args: &DemoArgs, env: &Environment) -> Result<PathBuf, CliError> {
    if let Some(dir) = &args.dir {
        return Ok(env.cwd.join(dir));
    }
    let cache = env.path("XDG_CACHE_HOME").or_else(|| Some(env.path("HOME")?.join(".cache")));
    let cache = cache.ok_or_else(|| {
        CliError::usage("neither HOME nor XDG_CACHE_HOME says where to put the sample")
            .hint("sprint demo DIR")
    })?;
    let name = format!("demo-{}-{}", crate::process::clock::wall_ms() / 1_000, std::process::id());
    Ok(cache.join("sprint").join(name))
}

/// The sample and how to call sprint in it.
struct Sprint {
    dir: PathBuf,
    program: PathBuf,
    variables: Vec<(OsString, OsString)>,
}

impl Sprint {
    fn new(env: &Environment, dir: &Path) -> Result<Self, CliError> {
        let program = std::env::current_exe()
            .map_err(|error| CliError::environment("sprint's own program is not there").because(error))?;
        // What binds git to another repository is not meant for the sample.
        let foreign = |name: &OsString| name.to_str().is_some_and(|name| name.starts_with("GIT_"));
        let mut variables: Vec<_> =
            env.variables.iter().filter(|(name, _)| !foreign(name)).cloned().collect();
        variables.push((files::SIGNS_VARIABLE.into(), files::signs(dir).into()));
        Ok(Self { dir: dir.to_owned(), program, variables })
    }

    /// Runs `sprint args…` in `cwd` and waits for it.
    fn call(&self, args: &[&str], cwd: &Path) -> Result<Outcome, CliError> {
        let spec = Spec {
            program: self.program.clone().into(),
            args: args.iter().map(OsString::from).collect(),
            cwd: cwd.to_owned(),
            env: self.variables.clone(),
            stdin: Stdin::Null,
            timeout: COMMAND_WAIT,
            output_max: OUTPUT_MAX,
            grace: Duration::from_secs(2),
            session: Session::NewGroup,
            bounds: None,
        };
        run_child(&spec, &mut |_, _| {}, &|| false)
            .map_err(|error| CliError::environment("sprint cannot run itself").because(error))
    }

    /// Runs a command in the sample, shown as it would be typed, with what it prints.
    fn show(&self, out: &mut Out<'_>, args: &[&str]) -> Result<(), CliError> {
        let typed = args.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        out.line(out.colour.paint(Tone::Bold, &format!("$ sprint {typed}")));
        out.flush();
        let outcome = self.call(args, &self.dir)?;
        for line in String::from_utf8_lossy(&outcome.stdout).lines() {
            out.line(format!("  {}", super::text::harmless(line)));
        }
        out.flush();
        if outcome.success() { Ok(()) } else { Err(failed(&typed, &outcome)) }
    }
}

fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("\"{word}\"") } else { word.to_owned() }
}

/// A command's error in the words that it had for it, and of its kind.
fn failed(typed: &str, outcome: &Outcome) -> CliError {
    let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
    let mut lines = said.lines().map(super::text::harmless);
    let message = lines.next().map_or_else(
        || format!("`sprint {typed}` did not work"),
        |line| line.strip_prefix("error: ").unwrap_or(&line).to_owned(),
    );
    let error = match outcome.ending {
        Ending::Exit(2) => CliError::config(message),
        Ending::Exit(4) => CliError::refused(message),
        _ => CliError::environment(message),
    };
    lines.filter_map(|line| line.trim().strip_prefix("hint: ").map(str::to_owned)).fold(error, CliError::hint)
}

/// The sample is gated for real: without the tools there is nothing to show.
fn tools_are_there(sprint: &Sprint) -> Result<(), CliError> {
    let outcome = sprint.call(&[&["install", "--check"], SAMPLE_GATES].concat(), Path::new("/"))?;
    if outcome.ending != Ending::Exit(i32::from(exit::ENVIRONMENT)) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let missing: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("missing")?.split_whitespace().next()).collect();
    Err(CliError::environment(format!(
        "the gates of the sample need {}, which are not there",
        missing.join(", ")
    ))
    .hint(format!("install them into sprint's own place: sprint install {}", SAMPLE_GATES.join(" "))))
}

fn introduce(out: &mut Out<'_>, sprint: &Sprint) {
    let bold = |text: &str| out.colour.paint(Tone::Bold, text);
    let lines = [
        format!(
            "{} in {}",
            bold("sprint demo: a sample library and a feature of 8 tasks"),
            sprint.dir.display()
        ),
        "  The developers are a script, not a model: what they write is in specs/001-words/script."
            .to_owned(),
        "  All the rest is real: tmux, git worktrees, ruff, mypy, radon, pytest, the merge queue.".to_owned(),
        String::new(),
    ];
    for line in lines {
        out.line(line);
    }
}

fn begin(out: &mut Out<'_>, sprint: &Sprint) -> Result<(), CliError> {
    sprint.show(out, &["tasks", "lint", FEATURE])?;
    out.line("");
    sprint.show(out, &["start", FEATURE, "--detach"])?;
    out.line("");
    out.line("To look at it meanwhile, in another terminal:");
    out.line(format!(
        "  cd {} && sprint status --watch     (or: sprint attach reviewer)",
        sprint.dir.display()
    ));
    out.line("");
    out.flush();
    Ok(())
}
