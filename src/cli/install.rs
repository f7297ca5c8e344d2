//! `sprint install`: the tools of the gates that take part here, into a place of sprint's own.
//!
//! Nothing outside of that place changes, nobody's rights but the person's are needed, and a package
//! is fetched only where its preset names it: many a tool's name is another program's elsewhere.

mod fetch;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::args::InstallArgs;
use super::context::{discover, git_error};
use super::environment::Environment;
use super::gates::unknown_gate;
use super::interrupts::Interrupts;
use super::out::Out;
use super::text::{Tone, plain};
use crate::config::gate::GateConfig;
use crate::config::layout::tools_directory;
use crate::config::presets::preset;
use crate::config::{Config, Package, load};
use crate::error::{CliError, exit};
use crate::gates::{Contents, find_program, find_tools, search_path, takes_part};
use crate::git::{Repo, export};
use crate::process::lock::Lock;
use fetch::{Order, Place, install};

/// Another `sprint install` may take so long before this one gives up.
const LOCK_WAIT: Duration = Duration::from_mins(10);

/// How a tool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It is there.
    Ok,
    /// It is not there.
    Missing,
    /// It is ours, in another version than this sprint knows.
    Outdated,
}

/// A tool in `--json`; keys are added, never renamed or removed.
#[derive(Debug, Serialize)]
struct Tool {
    name: String,
    program: String,
    path: Option<String>,
    state: State,
    required: bool,
    /// What sprint would fetch: `pip ruff==1.2.3`; `null` where there is nothing in reach.
    package: Option<String>,
    /// How a person gets it.
    install: String,
    /// Why it could not be installed.
    error: Option<String>,
}

/// Where the tools are: `$XDG_DATA_HOME/sprint/tools`.
fn tools_dir(env: &Environment) -> Result<PathBuf, CliError> {
    tools_directory(|name| env.get(name).map(OsString::from))
        .ok_or_else(|| CliError::environment("neither HOME nor XDG_DATA_HOME is set").hint("set HOME"))
}

/// Where the programs are; last in the PATH of gates.
pub(super) fn tools_bin(env: &Environment) -> Option<PathBuf> {
    tools_dir(env).ok().map(|dir| dir.join("bin"))
}

/// Runs it.
///
/// # Errors
/// A gate is not known (exit 2), or it is not said which tools are wanted (exit 4). A tool that is
/// required, or that could be installed, and is not there at the end: exit 3, without an error.
pub fn run(args: &InstallArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let (mut gates, top) = wanted(args, env)?;
    // What is sprint itself or lies in the repository is nothing to fetch.
    gates.retain(|gate| !gate.tool.builtin && !program(gate).contains('/'));
    let place = Place::new(&tools_dir(env)?);
    let look = |gate: &GateConfig| Tool::of(gate, &place, env, &top);
    let mut tools: Vec<Tool> = gates.iter().map(look).collect();
    if !args.check {
        let todo = |(gate, tool): (&GateConfig, &Tool)| tool.state != State::Ok && package(gate).is_some();
        if gates.iter().zip(&tools).any(todo) {
            fetch_all(&gates, &mut tools, &place, env, &top, out, args.json)?;
        }
    }
    if args.json {
        let directory = place.bin();
        out.json(&serde_json::json!({ "directory": directory.to_string_lossy(), "tools": tools }));
    } else {
        report(&tools, args.check, out);
    }
    let absent = |tool: &Tool| tool.state == State::Missing && (tool.required || tool.error.is_some());
    Ok(if tools.iter().any(absent) { exit::ENVIRONMENT } else { exit::DONE })
}

/// The gates whose tools are wanted, and the checkout whose own programs count; those that are
/// named, or those that take part in the repository here.
fn wanted(args: &InstallArgs, env: &Environment) -> Result<(Vec<GateConfig>, PathBuf), CliError> {
    let here = discover(&env.cwd);
    let config = match &here {
        Ok(repo) => load(&super::context::sources(env, Some(&repo.top)).read()?)?,
        Err(_) => load(&super::context::sources(env, None).read()?)?,
    };
    if !args.gates.is_empty() {
        let find = |name: &String| {
            let found = config.gate.iter().find(|gate| gate.name.as_str() == name);
            found.cloned().ok_or_else(|| unknown_gate(&config, name))
        };
        let gates = args.gates.iter().map(find).collect::<Result<_, _>>()?;
        return Ok((gates, here.map_or_else(|_| PathBuf::from("/nowhere"), |repo| repo.top)));
    }
    let repo = here.map_err(|error| error.hint("or name the gates: sprint install ruff pytest"))?;
    Ok((chosen(&config, &repo)?, repo.top))
}

/// As `sprint gates run` would choose, and without a commit too.
fn chosen(config: &Config, repo: &Repo) -> Result<Vec<GateConfig>, CliError> {
    let files = export::present(repo).map_err(|error| git_error("the files cannot be listed", error))?;
    let mut contents = Contents::new(&config.general.root);
    let read = |path: &str| match std::fs::read(repo.top.join(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::environment(format!("cannot read `{path}`")).because(error)),
    };
    contents.add(files, &config.gate, read)?;
    let takes_part = |gate: &&GateConfig| takes_part(gate, &config.gates.presets, &contents);
    Ok(config.gate.iter().filter(takes_part).cloned().collect())
}

/// The package of a gate's tool; none where a person has put another program in its place.
fn package(gate: &GateConfig) -> Option<&Package> {
    let own = preset(gate.preset.as_deref()?)?;
    gate.tool.package.as_ref().filter(|_| own.command.first() == gate.command.first())
}

impl Tool {
    fn of(gate: &GateConfig, place: &Place, env: &Environment, top: &Path) -> Self {
        let path = search_path(top, env.get("PATH"), Some(&place.bin()));
        let missing = find_tools(std::slice::from_ref(gate), &path, top).pop();
        let program = missing.as_ref().map_or_else(|| program(gate), |missing| missing.program.clone());
        let found = find_program(&program, &path, top).or_else(|| of_node(gate, &program, top));
        let package = package(gate);
        let state = match (&found, package) {
            _ if missing.is_some() => State::Missing,
            (Some(found), Some(package)) if place.is_older(found, package) => State::Outdated,
            _ => State::Ok,
        };
        Self {
            name: gate.name.to_string(),
            program,
            path: found.map(|found| found.to_string_lossy().into_owned()),
            state,
            required: gate.required,
            package: package.map(Package::shown),
            install: gate.tool.install.clone(),
            error: None,
        }
    }
}

/// The program among the packages of the checkout's own, where [`find_tools`] has found it too.
fn of_node(gate: &GateConfig, program: &str, top: &Path) -> Option<PathBuf> {
    let is_script = gate.tool.languages.iter().any(|language| language == "javascript");
    let own = top.join("node_modules/.bin").into_os_string();
    find_program(program, &own, top).filter(|_| is_script)
}

/// The program that tells whether the tool is there: where a script drives it, not the script's interpreter.
fn program(gate: &GateConfig) -> String {
    gate.tool.needs.first().or(gate.command.first()).cloned().unwrap_or_default()
}

fn fetch_all(
    gates: &[GateConfig],
    tools: &mut [Tool],
    place: &Place,
    env: &Environment,
    top: &Path,
    out: &mut Out<'_>,
    quiet: bool,
) -> Result<(), CliError> {
    let directory = tools_dir(env)?;
    std::fs::create_dir_all(&directory).map_err(|error| {
        CliError::environment(format!("cannot make `{}`", directory.display())).because(error)
    })?;
    let _lock = Lock::exclusive_within(&directory.join("lock"), "sprint install", LOCK_WAIT)
        .map_err(|error| CliError::environment("the tools are being changed").because(error))?;
    let interrupted = Interrupts::take_over()?;
    for (gate, tool) in gates.iter().zip(tools) {
        let Some(package) = package(gate) else { continue };
        // Another one that held the lock may have brought it.
        if tool.state == State::Ok || Tool::of(gate, place, env, top).state == State::Ok {
            continue;
        }
        if !quiet {
            out.line(format!("installing {} ({})", gate.name, package.shown()));
            out.flush();
        }
        let order = Order { package, programs: programs(gate, package), version: &gate.tool.version };
        let done = install(&order, place, env, &|| interrupted.came());
        if interrupted.came() {
            return Err(CliError::interrupted("interrupted; what was not whole is not installed"));
        }
        *tool = Tool::of(gate, place, env, top);
        tool.error = done.err().map(|error| error.to_string());
    }
    Ok(())
}

fn programs(gate: &GateConfig, package: &Package) -> Vec<String> {
    if package.programs.is_empty() { vec![program(gate)] } else { package.programs.clone() }
}

fn report(tools: &[Tool], check: bool, out: &mut Out<'_>) {
    // Of gates that share a program, one speaks for all.
    let mut told = BTreeSet::new();
    let width = tools.iter().map(|tool| tool.program.len()).max().unwrap_or(0);
    for tool in tools {
        let (word, tone) = match tool.state {
            State::Ok => ("ok      ", Tone::Good),
            State::Missing if tool.required => ("missing ", Tone::Bad),
            State::Missing => ("optional", Tone::Warn),
            State::Outdated => ("outdated", Tone::Warn),
        };
        let rest = match (&tool.path, &tool.package) {
            (Some(path), _) => plain(path, 200),
            (None, Some(package)) => package.clone(),
            (None, None) if tool.install.is_empty() => "no package in reach; install it yourself".to_owned(),
            (None, None) => format!("no package in reach: {}", tool.install),
        };
        let line = format!("{:width$}  {rest}", plain(&tool.program, 100));
        if told.insert((word, line.clone())) {
            out.line(format!("{} {}", out.colour.paint(tone, word), line.trim_end()));
        }
        if let Some(error) = &tool.error {
            error.lines().for_each(|line| out.line(format!("         {line}")));
        }
    }
    if tools.is_empty() {
        out.line("no gate takes part here; `sprint gates list` says why");
    }
    if check && tools.iter().any(|tool| tool.state != State::Ok && tool.package.is_some()) {
        out.line("sprint install fetches what has a package");
    }
}
