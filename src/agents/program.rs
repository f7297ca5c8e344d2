//! Finds the program of an adapter's command before anything is created, so that a missing one is
//! told at once and not by forty failed attempts.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use camino::Utf8Path;

use super::environment::RunContext;
use super::machine::{self, Other};
use super::placeholders::{ARGUMENT_BYTES_MAX, CommandError, fill_in};
use super::scripted;
use crate::config::interactive::Interactive;
use crate::config::{Adapter, AdapterKind, AgentMode, CliKeys, PromptBy};

/// Why an agent's program cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// There is none.
    #[error("the agent program `{program}` is not there (looked in {place})")]
    Missing {
        /// As configured.
        program: String,
        /// A directory, or `PATH`.
        place: String,
    },
    /// It is there and cannot be executed.
    #[error("the agent program `{path}` is not executable; `chmod +x` makes it so")]
    NotExecutable {
        /// Where it is.
        path: String,
    },
    /// It is made for another machine.
    #[error(
        "the agent program `{path}` is made for {machine}, and this machine is {} {}; install the one for it",
        std::env::consts::OS,
        std::env::consts::ARCH
    )]
    WrongMachine {
        /// Where it is.
        path: String,
        /// For which.
        machine: Other,
    },
}

/// Why a run has no command line.
#[derive(Debug, thiserror::Error)]
pub enum CommandLineError {
    /// The program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The arguments.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Program and arguments of a run: what the worker starts in the worktree. `checkout` and `path`
/// are as for [`find`].
///
/// # Errors
/// [`CommandLineError`]: a reason for the attempt to have failed, or for `start` to refuse.
pub fn command_line(
    adapter: &Adapter,
    run: &RunContext,
    prompt: impl AsRef<str>,
    checkout: &Utf8Path,
    path: &OsStr,
) -> Result<Vec<OsString>, CommandLineError> {
    let prompt = prompt.as_ref();
    if adapter.kind == AdapterKind::Scripted {
        return Ok(scripted::command(run).into_iter().map(OsString::from).collect());
    }
    let words =
        adapter.cli.as_ref().map_or_else(|| adapter.command.clone(), |cli| words(adapter, cli, run, prompt));
    let mut line: Vec<OsString> = fill_in(&words, run, prompt)?.into_iter().map(OsString::from).collect();
    let program = adapter.command.first().map_or(Ok(None), |program| find(program, checkout, path))?;
    if let (Some(first), Some(program)) = (line.first_mut(), program) {
        *first = program.into_os_string();
    }
    Ok(line)
}

/// How a prompt comes to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Where `{prompt}` stands among its arguments.
    Argument,
    /// It is too long for that: the argument names the file.
    File,
    /// From standard input.
    Stdin,
    /// At its own screen.
    Typed,
}

impl Way {
    /// What stands for `{prompt}`.
    pub fn argument<'a>(self, prompt: &'a str, run: &RunContext) -> Cow<'a, str> {
        match self {
            Self::File => Cow::Owned(format!(
                "Your task is in the file {}, as it is too long for a command line. Read all of it, \
                 then do what it says.",
                run.prompt_file
            )),
            Self::Argument | Self::Stdin | Self::Typed => Cow::Borrowed(prompt),
        }
    }
}

/// How this prompt comes to the program of this adapter.
pub fn way(adapter: &Adapter, run: &RunContext, prompt: &str) -> Way {
    let Some(cli) = &adapter.cli else { return Way::Argument };
    let fits = prompt.len() <= ARGUMENT_BYTES_MAX;
    match adapter.mode {
        AgentMode::Interactive if fits && Interactive::bring_the_prompt(mode_words(adapter, cli, run)) => {
            Way::Argument
        }
        // An option without its value would be none.
        AgentMode::Interactive if is_an_options_value(mode_words(adapter, cli, run)) => Way::File,
        AgentMode::Interactive => Way::Typed,
        AgentMode::Headless if cli.headless.prompt == PromptBy::Stdin => Way::Stdin,
        AgentMode::Headless if fits => Way::Argument,
        AgentMode::Headless => Way::File,
    }
}

/// Whether the prompt is the value of an option, and cannot be left out of the arguments by itself.
fn is_an_options_value(args: &[String]) -> bool {
    let at = args.iter().position(|word| word == "{prompt}");
    at.and_then(|at| args.get(at.checked_sub(1)?)).is_some_and(|word| word.starts_with('-'))
}

/// The arguments of a first or a later prompt, with the screen or without it.
fn mode_words<'a>(adapter: &Adapter, cli: &'a CliKeys, run: &RunContext) -> &'a [String] {
    let (args, resume) = match adapter.mode {
        AgentMode::Headless => (&cli.headless.args, &cli.headless.resume),
        AgentMode::Interactive => (&cli.interactive.args, &cli.interactive.resume),
    };
    if run.resumes && !resume.is_empty() { resume } else { args }
}

/// The words of a model's program: its command, then those of a first or a later prompt.
fn words(adapter: &Adapter, cli: &CliKeys, run: &RunContext, prompt: &str) -> Vec<String> {
    let typed = way(adapter, run, prompt) == Way::Typed;
    let mode = mode_words(adapter, cli, run).iter().filter(|word| !(typed && *word == "{prompt}"));
    let model = if run.model.is_empty() { &[] } else { cli.headless.model.as_slice() };
    let effort = if run.effort.is_empty() { &[] } else { cli.headless.effort.as_slice() };
    let budget = if run.budget.is_empty() { &[] } else { cli.headless.budget.as_slice() };
    let mode = mode.flat_map(|word| match word.as_str() {
        "{model.args}" => model.to_vec(),
        "{effort.args}" => effort.to_vec(),
        "{mcp.args}" => cli.mcp.args.clone(),
        "{budget.args}" => budget.to_vec(),
        _ => vec![word.clone()],
    });
    adapter.command.iter().cloned().chain(mode).collect()
}

/// The program as an absolute path: a bare name through `path` (the value of PATH), everything
/// else relative to the checkout, so that no task can change the program that works on it. Write
/// `{worktree}/agent.sh` for the version of the worktree; it is not looked for here (`Ok(None)`).
///
/// # Errors
/// [`ProgramError`].
pub fn find(program: &str, checkout: &Utf8Path, path: &OsStr) -> Result<Option<PathBuf>, ProgramError> {
    let found = place(program, checkout, path)?;
    match found.as_deref().and_then(|file| Some((file, machine::other_machine(file)?))) {
        Some((file, machine)) => {
            Err(ProgramError::WrongMachine { path: file.display().to_string(), machine })
        }
        None => Ok(found),
    }
}

fn place(program: &str, checkout: &Utf8Path, path: &OsStr) -> Result<Option<PathBuf>, ProgramError> {
    if program.contains('{') {
        return Ok(None);
    }
    if program.contains('/') {
        let file = checkout.join(program).into_std_path_buf();
        return match executable(&file) {
            Some(true) => Ok(Some(file)),
            Some(false) => Err(ProgramError::NotExecutable { path: file.display().to_string() }),
            None => Err(ProgramError::Missing { program: program.to_owned(), place: checkout.to_string() }),
        };
    }
    let mut blocked = None;
    for dir in std::env::split_paths(path).filter(|dir| dir.is_absolute()) {
        let file = dir.join(program);
        match executable(&file) {
            Some(true) => return Ok(Some(file)),
            Some(false) => blocked = blocked.or(Some(file)),
            None => {}
        }
    }
    Err(match blocked {
        Some(file) => ProgramError::NotExecutable { path: file.display().to_string() },
        None => ProgramError::Missing { program: program.to_owned(), place: "PATH".to_owned() },
    })
}

/// Whether it may be executed; None if it is no file.
fn executable(file: &Path) -> Option<bool> {
    let metadata = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    Some(metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::super::environment::tests as tests_of_environment;
    use super::*;
    use crate::config::cli_agent::Headless;

    #[test]
    fn the_command_line_of_each_kind() {
        let (mut adapter, run) = (tests_of_environment::adapter(), tests_of_environment::context());
        let line = |adapter: &Adapter| {
            let line = command_line(adapter, &run, "p", Utf8Path::new("/checkout"), OsStr::new("/bin"));
            line.map(|line| line.join(OsStr::new(" ")).into_string().unwrap())
                .map_err(|error| error.to_string())
        };
        assert_eq!(line(&adapter).unwrap_err(), "the agent program `./x` is not there (looked in /checkout)");
        adapter.command = vec!["sh".to_owned(), "{task.id}".to_owned()];
        assert_eq!(line(&adapter).unwrap(), "/bin/sh T001");
        adapter.command = vec!["{worktree}/x".to_owned()];
        assert_eq!(line(&adapter).unwrap(), "/state/worktrees/1/x");
        adapter.kind = AdapterKind::Scripted;
        assert_eq!(
            line(&adapter).unwrap(),
            "/opt/sprint/bin/sprint agent scripted --script /state/worktrees/1/specs/001-thing/script/T001.toml"
        );
    }

    #[test]
    fn model_and_effort_are_told_where_they_are_asked_for() {
        let (mut adapter, mut run) = (tests_of_environment::adapter(), tests_of_environment::context());
        let text = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let headless = crate::config::cli_agent::Headless {
            args: text(&["-p", "{model.args}", "{effort.args}", "{prompt}"]),
            model: text(&["--model", "{model}"]),
            effort: text(&["-c", "effort={effort}"]),
            ..crate::config::cli_agent::Headless::default()
        };
        adapter.kind = AdapterKind::Cli;
        adapter.command = text(&["sh"]);
        adapter.cli = Some(Box::new(CliKeys { headless, ..CliKeys::default() }));
        let line = |run: &RunContext| {
            let line = command_line(&adapter, run, "p", Utf8Path::new("/checkout"), OsStr::new("/bin"));
            line.unwrap().join(OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(line(&run), "/bin/sh -p p");
        run.effort = "high".to_owned();
        assert_eq!(line(&run), "/bin/sh -p -c effort=high p");
        run.model = "big".to_owned();
        assert_eq!(line(&run), "/bin/sh -p --model big -c effort=high p");
    }

    #[test]
    fn a_prompt_that_is_too_long_for_an_argument_goes_another_way() {
        let (mut adapter, run) = (tests_of_environment::adapter(), tests_of_environment::context());
        let words = || vec!["-p".to_owned(), "{prompt}".to_owned()];
        let headless = Headless { args: words(), ..Headless::default() };
        let alone = vec!["{prompt}".to_owned()];
        let interactive = Interactive { args: alone, ..Interactive::default() };
        adapter.kind = AdapterKind::Cli;
        adapter.command = vec!["sh".to_owned()];
        adapter.cli = Some(Box::new(CliKeys { headless, interactive, ..CliKeys::default() }));
        let long = "x".repeat(ARGUMENT_BYTES_MAX + 1);
        let line = |adapter: &Adapter, way: Way| {
            let argument = way.argument(&long, &run);
            let line = command_line(adapter, &run, argument, Utf8Path::new("/checkout"), OsStr::new("/bin"));
            line.unwrap().join(OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(way(&adapter, &run, "short"), Way::Argument);
        assert_eq!(way(&adapter, &run, &long), Way::File);
        assert!(line(&adapter, Way::File).contains("in the file /state/runs/r/prompt.md"));
        adapter.mode = AgentMode::Interactive;
        assert_eq!(way(&adapter, &run, "short"), Way::Argument);
        assert_eq!(way(&adapter, &run, &long), Way::Typed);
        if let Some(cli) = &mut adapter.cli {
            cli.interactive.args = ["-m", "x", "--task", "{prompt}"].map(str::to_owned).to_vec();
        }
        assert_eq!(way(&adapter, &run, &long), Way::File);
    }

    #[test]
    fn tools_are_offered_where_the_arguments_say() {
        let (mut adapter, run) = (tests_of_environment::adapter(), tests_of_environment::context());
        let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut keys = CliKeys::default();
        keys.headless.args = words(&["go", "{mcp.args}", "-"]);
        adapter.command = words(&["sh"]);
        for (offered, expected) in
            [(vec![], "sh go -"), (words(&["-c", "x={sprint}"]), "sh go -c x={sprint} -")]
        {
            keys.mcp.args = offered;
            assert_eq!(super::words(&adapter, &keys, &run, "p").join(" "), expected);
        }
    }

    #[test]
    fn programs_are_found_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let checkout = Utf8Path::from_path(dir.path()).unwrap();
        for (name, mode) in [("good.sh", 0o755), ("bad.sh", 0o644)] {
            let file = dir.path().join(name);
            std::fs::write(&file, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = OsStr::new(checkout.as_str());
        let find = |program: &str| super::find(program, checkout, path);
        assert_eq!(find("./good.sh"), Ok(Some(dir.path().join("./good.sh"))));
        assert_eq!(find("good.sh"), Ok(Some(dir.path().join("good.sh"))));
        assert_eq!(find("{worktree}/x"), Ok(None));
        assert!(matches!(find("bad.sh"), Err(ProgramError::NotExecutable { .. })));
        assert!(matches!(find("./bad.sh"), Err(ProgramError::NotExecutable { .. })));
        assert!(matches!(find("none.sh"), Err(ProgramError::Missing { .. })));
        assert!(matches!(find("./none.sh"), Err(ProgramError::Missing { .. })));
        assert!(matches!(find("."), Err(ProgramError::Missing { .. })));
    }
}
