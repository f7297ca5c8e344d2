//! `sprint doctor`: is everything there that a sprint needs, and what to do where it is not.

mod check;
mod left;
mod machine;
mod mend;
mod repository;
mod state;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::DoctorArgs;
use super::context::{Context, layout_of};
use super::disk::{self, LowDisk};
use super::environment::Environment;
use super::install::tools_bin;
use super::out::Out;
use super::start::{MORE_GATES, NO_GATES};
use super::text::{Tone, bytes, plain};
pub use check::Check;
use mend::{Around, Mend};

use super::{agents, fit, prompts as own_prompts, spending};
use crate::config::{Config, GateConfig, Role};
use crate::error::{CliError, exit};
use crate::gates::{find_program, find_tools, search_path, takes_part};
use crate::git::id::RepoId;
use crate::git::preflight;
use crate::tmux::version::check_version;

/// What makes a budget of money bind.
const PRICES: &str = "write the model's price under `[prices]`, or a budget of tokens";

/// Runs it: 0 if a sprint can start, 2 if its configuration is wrong, 3 if something is missing. With
/// `--fix`, what can be mended is mended first.
///
/// # Errors
/// Never for what it finds.
pub fn run(args: DoctorArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let mut checks = examine(env);
    let mut mended = Vec::new();
    if args.fix {
        mended = mend_all(&checks, args.yes, env);
        checks = examine(env);
    }
    if args.json {
        out.json(&serde_json::json!({ "checks": checks, "mended": mended }));
    } else {
        for mended in &mended {
            mended.show(out);
        }
        let mut told = "";
        for check in &checks {
            show(check, args.fix, out);
            // Once is enough where several lines are about the same.
            if check.state != "ok" && told != check.means {
                told = check.means;
                out.line(out.colour.paint(Tone::Dim, &format!("{:24}({told})", "")));
            }
        }
    }
    let codes: Vec<u8> = checks.iter().map(|check| check.exit).filter(|code| *code != exit::DONE).collect();
    // What is typed wrong is wrong on every machine.
    let wrong = codes.contains(&exit::USAGE).then_some(exit::USAGE);
    Ok(wrong.or(codes.first().copied()).unwrap_or(exit::DONE))
}

/// What `--fix` has done, or why not.
#[derive(Debug, Clone, Serialize)]
struct Mended {
    name: &'static str,
    what: String,
    done: bool,
    why: Option<String>,
}

impl Mended {
    fn show(&self, out: &mut Out<'_>) {
        let (word, tone) = if self.done { ("mended", Tone::Good) } else { ("left", Tone::Warn) };
        let why = self.why.as_ref().map_or_else(String::new, |why| format!(": {}", plain(why, 300)));
        out.line(format!(
            "{} {:<14} {}{why}",
            out.colour.paint(tone, &format!("{word:<8}")),
            self.name,
            self.what
        ));
    }
}

fn mend_all(checks: &[Check], yes: bool, env: &Environment) -> Vec<Mended> {
    let Ok(context) = Context::find(env) else { return Vec::new() };
    let Some(layout) = context.layout() else { return Vec::new() };
    let around = Around { env, repo: &context.repo, layout };
    let mended = checks.iter().filter_map(|check| {
        let mend = check.mend.as_ref()?;
        let done =
            if mend.needs_yes() && !yes { Err("only with --yes".to_owned()) } else { mend.apply(around) };
        Some(Mended { name: check.name, what: mend.text(), done: done.is_ok(), why: done.err() })
    });
    mended.collect()
}

fn show(check: &Check, fixes: bool, out: &mut Out<'_>) {
    let tone = match check.state {
        "ok" => Tone::Good,
        "warning" => Tone::Warn,
        _ => Tone::Bad,
    };
    let state = out.colour.paint(tone, &format!("{:<8}", check.state));
    out.line(format!("{state} {:<14} {}", check.name, check.what));
    for line in check.fix.iter().flat_map(|fix| fix.lines()) {
        out.line(format!("{:24}{line}", ""));
    }
    if let Some(mends) = check.mends.as_ref().filter(|_| !fixes) {
        let yes = if check.mend.as_ref().is_some_and(Mend::needs_yes) { " --yes" } else { "" };
        out.line(format!("{:24}`sprint doctor --fix{yes}` {mends}", ""));
    }
}

fn examine(env: &Environment) -> Vec<Check> {
    let mut checks = vec![tmux(env)];
    checks.extend(machine::checks(env));
    checks.extend(preflight_checks(env));
    let Ok(context) = Context::find(env) else { return checks };
    checks.extend(places(env, &context));
    let begun = context.layout().filter(|layout| layout.state.is_dir());
    let state = begun.and_then(state::read);
    checks.extend(self::repository::checks(&context, state.as_ref()));
    if let Some(layout) = begun {
        checks.push(machine::sockets(layout, env));
        checks.extend(state::checks(&context, layout));
        checks.extend(left::checks(&context, layout, env));
    }
    match context.config(env) {
        Ok(config) => {
            checks.push(fits(env, &context, &config));
            checks.extend(prompts(&context, &config));
            checks.push(disk(&context, &config));
            checks.push(agent(env, &context, &config));
            checks.extend(agents::versions(&config, env, &context.repo.top).into_iter().map(version));
            checks.extend(signed_out(env, &config));
            checks.extend(spending::warning(&config).map(|text| Check::warning("budget", text, PRICES)));
            checks.extend(tools(env, &context, &config));
        }
        Err(error) => checks.push(Check::error("configuration", &error)),
    }
    checks
}

/// The version of a model's program that is used here, and what is odd about it.
fn version((name, version, remark): (String, String, Option<String>)) -> Check {
    match remark {
        Some(remark) => Check::warning("agents", format!("{name} {version}"), remark),
        None => Check::ok("agents", format!("{name} {version}")),
    }
}

/// Whether what the configuration names is in the repository; without a commit nothing is yet.
fn fits(env: &Environment, context: &Context, config: &Config) -> Check {
    let check = || {
        let Ok(head) = context.repo.head() else { return Ok(()) };
        fit::check(config, &context.layers(env)?, &context.repo, &head)
    };
    check().map_or_else(
        |error| Check::error("configuration", &error),
        |()| Check::ok("configuration", "is right"),
    )
}

/// The repository's own templates: whether they can be written, and whether anybody is told them.
fn prompts(context: &Context, config: &Config) -> Vec<Check> {
    let Ok(head) = context.repo.head() else { return Vec::new() };
    if let Err(error) = own_prompts::freeze(&mut config.clone(), &context.repo, &head) {
        return vec![Check::error("prompts", &error)];
    }
    let unused = own_prompts::unused(config, &context.repo, &head).unwrap_or_default();
    unused.into_iter().map(|text| Check::warning("prompts", text, "rename it, or take it out")).collect()
}

/// Agents' programs that show no sign of a sign-in. A person may have one that is not known here.
fn signed_out(env: &Environment, config: &Config) -> Vec<Check> {
    let check = |(name, hint): (&str, &str)| {
        Check::warning("sign-in", format!("there is no sign that {name} is signed in"), hint)
    };
    agents::signed_out(config, env).into_iter().map(check).collect()
}

fn tmux(env: &Environment) -> Check {
    match check_version(OsStr::new("tmux"), &env.variables) {
        Ok(version) => Check::ok("tmux", version.to_string()),
        Err(error) => Check::problem("tmux", error.to_string(), "sudo apt-get install tmux"),
    }
}

fn preflight_checks(env: &Environment) -> Vec<Check> {
    match preflight::check(&env.cwd) {
        Ok(checked) => {
            let mut checks = vec![
                Check::ok("git", &checked.git_version),
                Check::ok("identity", format!("{} <{}>", checked.identity.name, checked.identity.email)),
                Check::ok(
                    "repository",
                    format!("{} at {}", checked.repo.top.display(), checked.head.short()),
                ),
            ];
            checks.extend(checked.warnings.iter().map(|warning| {
                Check::warning("repository", warning.to_string(), "a sprint can start all the same")
            }));
            checks
        }
        Err(refusal) => vec![Check::problem("repository", refusal.to_string(), refusal.hint())],
    }
}

fn places(env: &Environment, context: &Context) -> Vec<Check> {
    // Before the first start there is no id; the parents are the same for every one.
    let none = RepoId { id: "0".repeat(32), hash: "0".repeat(10) };
    let layout = context.layout().cloned().unwrap_or_else(|| layout_of(env, &context.repo, &none));
    let shown = |dir: &Path| match (context.layout(), dir.parent()) {
        (None, Some(parent)) => format!("a new directory in {}, at the first start", parent.display()),
        _ => dir.display().to_string(),
    };
    let place = |name: &'static str, dir: &Path| match writable(dir) {
        Ok(()) => Check::ok(name, shown(dir)),
        Err(at) => Check::problem(
            name,
            format!("`{}` cannot be written", at.display()),
            format!("ls -ld {}", at.display()),
        ),
    };
    vec![place("state", &layout.state), place("runtime", &layout.runtime)]
}

/// Whether a directory can be written, or made in the nearest one that is there.
fn writable(dir: &Path) -> Result<(), PathBuf> {
    let there = dir.ancestors().find(|path| path.exists()).unwrap_or(dir);
    let access = nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK;
    nix::unistd::access(there, access).map_err(|_| there.to_owned())
}

fn disk(context: &Context, config: &Config) -> Check {
    let free = disk::free(context).unwrap_or(0);
    match LowDisk::judge(Some(free), config.general.disk_free_min) {
        Some(low) => Check::problem("disk", low.text(), disk::MEND),
        None => Check::ok("disk", format!("{} free", bytes(free))),
    }
}

fn agent(env: &Environment, context: &Context, config: &Config) -> Check {
    let adapter = match config.agent(Role::Developer) {
        Ok(Some(adapter)) => adapter,
        Ok(None) => {
            return Check::problem(
                "developer",
                "has no agent",
                "write `agent = \"…\"` under [roles.developer]",
            );
        }
        Err(error) => return Check::problem("developer", error.to_string(), error.hint()),
    };
    let Some(program) = adapter.command.first() else {
        return Check::ok("developer", &adapter.name);
    };
    if program.contains('{') {
        return Check::ok("developer", format!("{} runs `{program}`", adapter.name));
    }
    let path = env.get("PATH").unwrap_or_default();
    match find_program(program, path, &context.repo.top) {
        Some(_) => Check::ok("developer", format!("{} runs `{program}`", adapter.name)),
        None => Check::problem(
            "developer",
            format!("the program `{program}` of the agent {} is not there", adapter.name),
            "install it, or correct `command`",
        ),
    }
}

fn tools(env: &Environment, context: &Context, config: &Config) -> Vec<Check> {
    let top = &context.repo.top;
    let path = search_path(top, env.get("PATH"), tools_bin(env).as_deref());
    let head = context.repo.head();
    let found = head.and_then(|head| crate::worker::contents_of(&context.repo, &[&head], config));
    let found = found.unwrap_or_default();
    let takes_part = |gate: &&GateConfig| takes_part(gate, &config.gates.presets, &found);
    let wanted: Vec<GateConfig> = config.gate.iter().filter(takes_part).cloned().collect();
    let missing = find_tools(&wanted, &path, top);
    let mut checks: Vec<Check> = missing
        .iter()
        .map(|tool| {
            let what = format!("{} of the gate {} is not there", tool.program, tool.gate);
            let fix = match tool.install.as_str() {
                "" => "install it, or set `enabled = false` for the gate".to_owned(),
                install => install.to_owned(),
            };
            if tool.required { Check::problem("tool", what, fix) } else { Check::warning("tool", what, fix) }
        })
        .collect();
    let runs =
        |gate: &&GateConfig| gate.enabled && missing.iter().all(|tool| tool.gate != gate.name.as_str());
    let names: Vec<&str> = wanted.iter().filter(runs).map(|gate| gate.name.as_str()).collect();
    if missing.iter().all(|tool| !tool.required) {
        let none = names.is_empty().then(|| Check::warning("gates", NO_GATES, MORE_GATES));
        checks.push(none.unwrap_or_else(|| Check::ok("gates", names.join(", "))));
    }
    checks
}
