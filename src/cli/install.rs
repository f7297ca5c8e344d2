//! `sprint install`: the Python tools of the presets, in a virtual environment of sprint's own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::args::InstallArgs;
use super::environment::Environment;
use super::out::Out;
use super::text::{Tone, harmless};
use crate::config::gate::GateConfig;
use crate::config::layout::tools_directory;
use crate::config::presets::{preset, preset_names};
use crate::error::{CliError, exit};
use crate::gates::{find_program, search_path};
use crate::process::run::{Ending, Session, Spec, Stdin, run as run_child};

/// Making the environment, or fetching the tools, takes no longer.
const WAIT: Duration = Duration::from_mins(10);
/// Bytes of pip's output that are kept for a message.
const OUTPUT_MAX: usize = 64 * 1024;
/// Lines of it that a message shows.
const SHOWN_MAX: usize = 12;

/// A tool in `install --check --json`.
#[derive(Debug, Serialize)]
struct Tool {
    name: String,
    program: String,
    path: Option<String>,
}

/// Where the environment is: `$XDG_DATA_HOME/sprint/tools`.
fn tools_dir(env: &Environment) -> Result<PathBuf, CliError> {
    tools_directory(|name| env.get(name).map(OsString::from))
        .ok_or_else(|| CliError::environment("neither HOME nor XDG_DATA_HOME is set").hint("set HOME"))
}

/// Where its programs are; last in the PATH of gates.
pub(super) fn tools_bin(env: &Environment) -> Option<PathBuf> {
    tools_dir(env).ok().map(|dir| dir.join("bin"))
}

/// Runs it.
///
/// # Errors
/// No Python, no network, or with `--check` something that is missing (exit 3).
pub fn run(args: &InstallArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    // Those without which nothing starts; the others are skipped where they are not there.
    let wanted = |gate: &GateConfig| gate.required && package(gate).is_some();
    let gates: Vec<GateConfig> = preset_names().filter_map(preset).filter(wanted).collect();
    let missing = missing(&gates, env);
    if args.check {
        return Ok(check(&gates, &missing, args.json, env, out));
    }
    if missing.is_empty() {
        report(&gates, env, out);
        return Ok(exit::DONE);
    }
    let packages: Vec<&str> =
        missing.iter().filter_map(|gate| package(gate)).flat_map(str::split_whitespace).collect();
    let dir = tools_dir(env)?;
    out.line(format!("installing {} into {}", packages.join(", "), dir.display()));
    out.flush();
    make_environment(&dir, env)?;
    fetch(&dir, &packages, env)?;
    report(&gates, env, out);
    Ok(exit::DONE)
}

/// The packages of a preset whose tool pip can fetch.
fn package(gate: &GateConfig) -> Option<&str> {
    gate.tool.install.strip_prefix("pip install ")
}

fn path(env: &Environment) -> OsString {
    search_path(Path::new("/nowhere"), env.get("PATH"), tools_bin(env).as_deref())
}

fn program(gate: &GateConfig) -> &str {
    gate.command.first().map_or("", String::as_str)
}

fn missing<'g>(gates: &'g [GateConfig], env: &Environment) -> Vec<&'g GateConfig> {
    let path = path(env);
    gates.iter().filter(|gate| find_program(program(gate), &path, Path::new("/")).is_none()).collect()
}

fn check(
    gates: &[GateConfig],
    missing: &[&GateConfig],
    json: bool,
    env: &Environment,
    out: &mut Out<'_>,
) -> u8 {
    if json {
        let path = path(env);
        let tool = |gate: &GateConfig| Tool {
            name: gate.name.to_string(),
            program: program(gate).to_owned(),
            path: find_program(program(gate), &path, Path::new("/"))
                .map(|found| found.to_string_lossy().into_owned()),
        };
        out.json(&serde_json::json!({ "tools": gates.iter().map(tool).collect::<Vec<_>>() }));
    } else {
        report(gates, env, out);
        if !missing.is_empty() {
            out.line("sprint install fetches what is missing");
        }
    }
    if missing.is_empty() { exit::DONE } else { exit::ENVIRONMENT }
}

fn report(gates: &[GateConfig], env: &Environment, out: &mut Out<'_>) {
    let path = path(env);
    for gate in gates {
        let name = program(gate);
        match find_program(name, &path, Path::new("/")) {
            Some(found) => {
                out.line(format!(
                    "{} {name:<8} {}",
                    out.colour.paint(Tone::Good, "ok     "),
                    found.display()
                ));
            }
            None => out.line(format!("{} {name}", out.colour.paint(Tone::Bad, "missing"))),
        }
    }
}

fn make_environment(dir: &Path, env: &Environment) -> Result<(), CliError> {
    if dir.join("bin/python").exists() && dir.join("bin/pip").exists() {
        return Ok(());
    }
    let path = env.get("PATH").unwrap_or_default();
    if find_program("python3", path, Path::new("/")).is_none() {
        return Err(CliError::environment("python3 is not installed")
            .hint("sudo apt-get install python3 python3-venv"));
    }
    // `--clear`: what an attempt without ensurepip left behind would be taken for an environment.
    let args = ["-m", "venv", "--clear"].iter().map(OsString::from).chain([dir.into()]).collect();
    command("python3".into(), args, env, "sprint's own virtual environment cannot be made")
        .map_err(|error| error.hint("sudo apt-get install python3-venv"))
}

fn fetch(dir: &Path, packages: &[&str], env: &Environment) -> Result<(), CliError> {
    let fixed = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"];
    let args = fixed.iter().copied().chain(packages.iter().copied()).map(OsString::from).collect();
    command(dir.join("bin/python").into(), args, env, "pip could not install the tools")
        .map_err(|error| error.hint("is there a network? `pip config list` shows a mirror, if one is set"))
}

fn command(program: OsString, args: Vec<OsString>, env: &Environment, failed: &str) -> Result<(), CliError> {
    let spec = Spec {
        program,
        args,
        cwd: "/".into(),
        env: env.variables.clone(),
        stdin: Stdin::Null,
        timeout: WAIT,
        output_max: OUTPUT_MAX,
        grace: Duration::from_secs(2),
        session: Session::NewGroup,
    };
    let outcome = run_child(&spec, &mut |_, _| {}, &|| false)
        .map_err(|error| CliError::environment(failed).because(error))?;
    if outcome.success() {
        return Ok(());
    }
    let text = [outcome.stdout, outcome.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<String> = text.lines().map(harmless).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(SHOWN_MAX)..].join("\n  ");
    let how = match outcome.ending {
        Ending::Exit(code) => format!("exit {code}"),
        Ending::Signal(number) => format!("signal {number}"),
        Ending::TimedOut => format!("not done after {} s", WAIT.as_secs()),
        Ending::Cancelled => "cancelled".to_owned(),
    };
    Err(CliError::environment(format!("{failed} ({how})\n  {last}")))
}
