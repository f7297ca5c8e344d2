//! From the command line to the command, and from its result to the exit code.

use std::ffi::OsString;
use std::io::Write as _;

use clap::error::ErrorKind as ClapKind;
use clap::{CommandFactory, FromArgMatches};

use super::args::{Cli, Command, TasksCommand};
use super::environment::Environment;
use super::out::Out;
use super::text::{Colour, LINE_MAX, plain};
use super::{
    agent, agents, answer, attach, backup, control, cost, demo, doctor, events, gates, generate, health,
    hook, init, install, lint, logs, mcp, persons, prompt, start, status, stop, supervise, task, verify,
};
use crate::error::{CliError, exit};
use crate::redact;

/// Runs the command that `args` (with the program's name) ask for; the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    redact::know(&std::env::vars_os().collect::<Vec<_>>());
    // Nothing that a program adds to this may be a mistake: it would stop the program.
    if let [_, command, words @ ..] = args.as_slice()
        && command == "hook"
        && !words.iter().any(|word| word == "--help")
    {
        return hook::run(words, |name| std::env::var(name).ok());
    }
    let result = parse(args).and_then(|parsed| match parsed {
        Parsed::Run(cli) => dispatch(&cli.command),
        Parsed::Show { text, exit } => show(&text, exit),
    });
    result.unwrap_or_else(|error| {
        report(&error);
        error.exit_code()
    })
}

/// An error that cannot be written anywhere is in the exit code still.
fn report(error: &CliError) {
    if let Err(error) = writeln!(std::io::stderr().lock(), "{error}") {
        tracing::debug!(%error, "standard error is closed");
    }
}

enum Parsed {
    Run(Box<Cli>),
    Show { text: String, exit: u8 },
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, CliError> {
    let parsed = Cli::command().try_get_matches_from(args).and_then(|found| Cli::from_arg_matches(&found));
    match parsed {
        Ok(cli) => Ok(Parsed::Run(Box::new(cli))),
        Err(error) => match error.kind() {
            ClapKind::DisplayHelp | ClapKind::DisplayVersion => {
                Ok(Parsed::Show { text: error.render().to_string(), exit: exit::DONE })
            }
            ClapKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Ok(Parsed::Show { text: error.render().to_string(), exit: exit::USAGE })
            }
            _ => Err(usage(&error.render().to_string())),
        },
    }
}

/// clap's message in the form of the house: one sentence, then hints.
pub(super) fn usage(rendered: &str) -> CliError {
    let mut lines =
        rendered.lines().map(|line| plain(line, LINE_MAX).replace('\'', "`")).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let mut message = first.strip_prefix("error: ").unwrap_or(&first).to_owned();
    let mut hints = Vec::new();
    for line in lines {
        if let Some(tip) = line.strip_prefix("tip: ") {
            hints.push(tip.to_owned());
        } else if let Some(usage) = line.strip_prefix("Usage: ") {
            hints.push(format!("usage: {usage}"));
        } else if line.starts_with("For more information") {
            // The usage line says it.
        } else if hints.is_empty() {
            message = format!("{message} {line}");
        }
    }
    hints.into_iter().fold(CliError::usage(message), CliError::hint)
}

fn show(text: &str, exit: u8) -> Result<u8, CliError> {
    let text = &format!("{}\n", text.trim_end());
    if exit != exit::DONE {
        if let Err(error) = write!(std::io::stderr().lock(), "{text}") {
            tracing::debug!(%error, "standard error is closed");
        }
        return Ok(exit);
    }
    let mut out = Out::new(std::io::stdout().lock(), Colour::Off, None);
    out.text(text);
    out.finish()?;
    Ok(exit)
}

fn dispatch(command: &Command) -> Result<u8, CliError> {
    // These have output of their own: a supervisor's log, a pane, a followed sprint.
    match command {
        Command::Start(args) => return start::run(args),
        Command::Hook(args) => return Ok(hook::run(&args.words, |name| std::env::var(name).ok())),
        Command::Supervise(args) => return supervise::run(args),
        Command::Agent(command) => return agent::run(command),
        Command::Demo(args) => return demo::run(args),
        Command::Mcp => return mcp::run(),
        Command::Gates(command) => return gates::run(command),
        _ => {}
    }
    let env = Environment::of_process()?;
    let mut out = Out::new(std::io::stdout().lock(), Colour::from_flag(env.colour()), env.columns);
    let result = persons::check(command, &env).and_then(|()| query(command, &env, &mut out));
    // What was printed before an error is still wanted, and a failed write matters only alone.
    let finished = out.finish();
    let code = result?;
    finished.map(|()| code)
}

fn query(command: &Command, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    match command {
        Command::Status(args) => status::run(*args, env, out),
        Command::Health(args) => health::run(*args, env, out),
        Command::Answer(args) => answer::run(args, env, out),
        Command::Approve(args) => control::approve(args, env, out),
        Command::Reject(args) => control::reject(args, env, out),
        Command::Pause => control::pause(env, out),
        Command::Resume(args) => control::resume(*args, env, out),
        Command::Reload => control::reload(env, out),
        Command::Stop(args) => stop::run(*args, env, out),
        Command::Init(args) => init::run(args, env, out),
        Command::Install(args) => install::run(args, env, out),
        Command::Doctor(args) => doctor::run(*args, env, out),
        Command::Attach(args) => attach::run(args, env, out),
        Command::Logs(args) => logs::run(args, env, out),
        Command::Events(args) => events::run(args, env, out),
        Command::Task(command) => task::run(command, env, out),
        Command::Tasks(TasksCommand::Lint(args)) => lint::run(args, env, out),
        Command::Prompt(command) => prompt::run(command, env, out),
        Command::Agents(command) => agents::run(command, env, out),
        Command::Cost(args) => cost::run(*args, env, out),
        Command::Queue(args) => task::queue(*args, env, out),
        Command::Verify(args) => verify::run(*args, env, out),
        Command::Backup(args) => backup::backup(&args.file, env, out),
        Command::Restore(args) => backup::restore(&args.file, env, out),
        Command::Export => events::export(env, out),
        Command::Completions(args) => generate::completions(args.shell, out),
        Command::Man(args) => generate::man(args.out.as_deref(), out),
        Command::Start(_)
        | Command::Hook(_)
        | Command::Supervise(_)
        | Command::Agent(_)
        | Command::Demo(_)
        | Command::Mcp
        | Command::Gates(_) => {
            Err(CliError::internal("a command with output of its own came to the queries"))
        }
    }
}
