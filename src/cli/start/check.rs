//! Everything that can be wrong is found before anything is made.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use camino::Utf8PathBuf;

use crate::agents::program;
use crate::cli::args::StartArgs;
use crate::cli::context::{Context, git_error, sources};
use crate::cli::disk::{self, LowDisk};
use crate::cli::environment::Environment;
use crate::cli::fit;
use crate::cli::prompts;
use crate::cli::spending;
use crate::cli::tasks_lint::{self, Format};
use crate::config::layout::tools_directory;
use crate::config::{self, AdapterKind, Config, GateConfig, Layer, Sources, load};
use crate::domain::event::{NewFeature, NewTask};
use crate::domain::ids::CommitSha;
use crate::domain::pipeline::{Role, StageKind};
use crate::domain::plan::{Order, PlanOptions, StoryOrder, plan};
use crate::domain::policy::Policy;
use crate::error::{CliError, ErrorKind};
use crate::feature::Feature;
use crate::gates::{find_tools, search_path, takes_part};
use crate::git::preflight::{Checked, FeatureDir, Refusal, check_feature};
use crate::git::{branch, contents, landing, preflight};
use crate::supervisor::freeze;
use crate::tmux::version::{VersionError, check_version};

/// A sprint that may start.
pub(super) struct Plan {
    pub(super) checked: Checked,
    pub(super) config: Config,
    pub(super) features: Vec<Ready>,
    pub(super) warnings: Vec<String>,
}

/// A feature that may start.
pub(super) struct Ready {
    pub(super) new: NewFeature,
    /// For `--dry-run`.
    pub(super) shown: String,
    /// Whether the file has open tasks.
    pub(super) open: bool,
}

/// Checks everything.
///
/// # Errors
/// The first thing that is wrong, with its exit code.
pub(super) fn check(args: &StartArgs, env: &Environment) -> Result<Plan, CliError> {
    not_inside_a_run(env)?;
    let checked = preflight::check(&env.cwd).map_err(refused)?;
    check_tmux(env)?;
    let layers = layers(args, env, &checked)?;
    let mut config = load(&layers)?;
    if args.agent.is_some() {
        config.ignore_labels_of_developers();
    }
    let base = base_commit(args, &checked)?;
    fit::check(&config, &layers, &checked.repo, &base)?;
    prompts::freeze(&mut config, &checked.repo, &base)?;
    let directories = directories(args, env, &checked, &base)?;
    check_agents(&config, env, &checked)?;
    let mut warnings: Vec<String> = checked.warnings.iter().map(ToString::to_string).collect();
    let mut features = Vec::new();
    for directory in &directories {
        let after = features.last().map(|ready: &Ready| ready.new.id.clone());
        let mut ready = read_feature(args, env, &checked, &config, &base, directory)?;
        ready.new.after = after;
        check_branch(&checked, &ready)?;
        features.push(ready);
    }
    super::hand_over::refuse_unfit(&checked.repo, &features, env)?;
    warnings.extend(fit::warnings(&config, &checked.repo, &base)?);
    warnings.extend(prompts::unused(&config, &checked.repo, &base)?);
    warnings.extend(low_disk(env, &config)?);
    warnings.extend(spending::warning(&config));
    warnings.extend(check_tools(&config, env, &checked, &base, &directories)?);
    Ok(Plan { checked, config, features, warnings })
}

/// A sprint may start on a disk that is nearly full: there it waits for room.
fn low_disk(env: &Environment, config: &Config) -> Result<Option<String>, CliError> {
    let free = disk::free(&Context::find(env)?);
    let low = LowDisk::judge(free, config.general.disk_free_min);
    Ok(low.map(|low| format!("{}; {}", low.consequence(), disk::MEND)))
}

/// The rules that the configuration gives, for `reload`.
pub fn frozen_policy(config: &Config) -> Policy {
    freeze::policy(config)
}

fn not_inside_a_run(env: &Environment) -> Result<(), CliError> {
    if env.get("SPRINT_RUN").is_none() && env.get(crate::config::layout::WORKER_VARIABLE).is_none() {
        return Ok(());
    }
    Err(CliError::refused("this is inside a run of a sprint, which cannot start another one")
        .hint("call `sprint start` in a terminal of your own"))
}

/// A refusal as a person reads it, with its exit code.
pub(super) fn refused(refusal: Refusal) -> CliError {
    let hint = refusal.hint();
    let kind = match &refusal {
        // A git that fails or is killed says nothing about the repository: it can be tried again.
        Refusal::GitMissing | Refusal::GitTooOld { .. } | Refusal::NoIdentity | Refusal::Git(_) => {
            ErrorKind::Environment
        }
        _ => ErrorKind::Refused,
    };
    let error = CliError::new(kind, refusal.to_string());
    let error = if hint.is_empty() { error } else { error.hint(hint) };
    match refusal {
        Refusal::Git(source) => error.because(source),
        _ => error,
    }
}

fn check_tmux(env: &Environment) -> Result<(), CliError> {
    match check_version("tmux".as_ref(), &env.variables) {
        Ok(_) => Ok(()),
        Err(error @ VersionError::TooOld { .. }) => {
            Err(CliError::environment(error.to_string()).hint("install tmux 3.2 or newer"))
        }
        Err(error) => Err(CliError::environment("tmux cannot be used")
            .because(error)
            .hint("install it: apt-get install tmux")),
    }
}

fn layers(args: &StartArgs, env: &Environment, checked: &Checked) -> Result<Vec<Layer>, CliError> {
    let mut flags = Vec::new();
    if let Some(agent) = &args.agent {
        flags.push(("roles.developer.agent".to_owned(), agent.clone()));
    }
    let files = sources(env, Some(&checked.repo.top));
    Ok(Sources { flags, ..files }.read()?)
}

fn base_commit(args: &StartArgs, checked: &Checked) -> Result<CommitSha, CliError> {
    let Some(name) = &args.base else { return Ok(checked.head.clone()) };
    checked.repo.resolve(name).map_err(|error| {
        let shown = crate::cli::text::plain(name, 100);
        CliError::usage(format!("there is no commit `{shown}` to begin on")).because(error)
    })
}

fn directories(
    args: &StartArgs,
    env: &Environment,
    checked: &Checked,
    base: &CommitSha,
) -> Result<Vec<FeatureDir>, CliError> {
    let given: Vec<PathBuf> = if args.all { all_features(checked)? } else { args.features.clone() };
    let mut found: Vec<FeatureDir> = Vec::new();
    for path in given {
        let directory = check_feature(&checked.repo, &env.cwd, &path, base).map_err(refused)?;
        if let Some(other) =
            found.iter().find(|other| other.id == directory.id && other.path != directory.path)
        {
            return Err(CliError::refused(format!(
                "`{}` and `{}` have the same name, which is also the name of the branch",
                other.path, directory.path
            )));
        }
        if found.iter().all(|other| other.id != directory.id) {
            found.push(directory);
        }
    }
    Ok(found)
}

/// Every directory below `specs/` with open tasks, by name.
fn all_features(checked: &Checked) -> Result<Vec<PathBuf>, CliError> {
    let specs = checked.repo.top.join("specs");
    let entries = std::fs::read_dir(&specs)
        .map_err(|error| CliError::refused(format!("`{}` cannot be read", specs.display())).because(error))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let text = std::fs::read(path.join("tasks.md")).unwrap_or_default();
            crate::feature::TaskFile::read(&text).tasks.iter().any(|task| !task.done)
        })
        .collect();
    found.sort();
    if found.is_empty() {
        return Err(CliError::refused("no feature below `specs/` has open tasks"));
    }
    Ok(found)
}

/// Every role's agent can be found and executed.
fn check_agents(config: &Config, env: &Environment, checked: &Checked) -> Result<(), CliError> {
    let path = env.get("PATH").unwrap_or_default().to_owned();
    let top = Utf8PathBuf::from_path_buf(checked.repo.top.clone()).map_err(|path| {
        CliError::environment(format!("the path of the repository is not UTF-8: `{}`", path.display()))
    })?;
    let needed: BTreeSet<Role> = config
        .pipeline
        .iter()
        .filter(|stage| matches!(stage.kind, StageKind::Work | StageKind::Check))
        .map(|stage| stage.role)
        // The manager's agent works between the stages.
        .chain((config.role(Role::Manager).agent != config::NO_AGENT).then_some(Role::Manager))
        .collect();
    for role in needed {
        let adapters = config.agents_of(role).map_err(|error| {
            let hint = error.hint();
            CliError::environment(format!("the {role} has no agent that can be used: {error}")).hint(hint)
        })?;
        for adapter in adapters.iter().filter(|adapter| adapter.kind != AdapterKind::Scripted) {
            let program = adapter.command.first().map_or("", String::as_str);
            program::find(program, &top, &path).map_err(|error| {
                CliError::environment(error.to_string())
                    .hint(format!("it is the command of [agent.{}], the agent of the {role}", adapter.name))
            })?;
        }
    }
    Ok(())
}

fn read_feature(
    args: &StartArgs,
    env: &Environment,
    checked: &Checked,
    config: &Config,
    base: &CommitSha,
    directory: &FeatureDir,
) -> Result<Ready, CliError> {
    let read = |name: &str| {
        let path = format!("{}/{name}", directory.path);
        contents::blob(&checked.repo, base, &path)
            .map_err(|error| git_error("the feature cannot be read", error))
    };
    let Some(tasks_md) = read("tasks.md")? else {
        return Err(CliError::refused(format!("`{}` has no tasks.md", directory.path))
            .hint("write the tasks first, as a list: - [ ] T001 what is to be done"));
    };
    let feature = Feature::read(
        &read("spec.md")?.unwrap_or_default(),
        &read("plan.md")?.unwrap_or_default(),
        &tasks_md,
    );
    if !args.allow_unclear {
        refuse_unclear(directory, &feature)?;
    }
    let options = plan_options(config);
    let lint = tasks_lint::render(&tasks_md, options, Format::Text);
    let items = feature.tasks.plan_items();
    let planned = plan(&items, options).map_err(|cycle| {
        CliError::refused(format!("`{}/tasks.md`: {cycle}", directory.path))
            .hint("take one of these dependencies out of tasks.md")
    })?;
    if feature.tasks.tasks.is_empty() {
        return Err(CliError::refused(format!(
            "`{}/tasks.md` has no task that sprint can read",
            directory.path
        ))
        .hint(format!("see: sprint tasks lint {}", directory.path)));
    }
    let tasks = new_tasks(checked, directory, &feature)?;
    Ok(Ready {
        open: feature.tasks.tasks.iter().any(|task| !task.done),
        shown: format!("{}\n{}", directory.path, lint.output),
        new: NewFeature {
            id: directory.id.clone(),
            dir: directory.path.clone(),
            plan: planned,
            tasks,
            policy: freeze::policy(config),
            base: base.clone(),
            after: None,
            stay: args.detach || env.stdout_is_terminal,
            answer_wait_ms: u64::try_from(config.general.answer_wait.as_millis()).unwrap_or(u64::MAX),
        },
    })
}

fn refuse_unclear(directory: &FeatureDir, feature: &Feature) -> Result<(), CliError> {
    let unclear = &feature.spec.unclear;
    if unclear.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = unclear
        .iter()
        .take(10)
        .map(|mark| format!("line {}: {}", mark.line, crate::cli::text::plain(&mark.question, 200)))
        .collect();
    Err(CliError::refused(format!("`{}/spec.md` needs clarification: {}", directory.path, lines.join("; ")))
        .hint("answer the questions in spec.md, or begin anyway: sprint start --allow-unclear …"))
}

/// The planner's part of the configuration.
pub(crate) fn plan_options(config: &Config) -> PlanOptions {
    PlanOptions {
        order: match config.planner.order {
            config::Order::SpecKit => Order::SpecKit,
            config::Order::Files => Order::Files,
        },
        stories: match config.planner.stories {
            config::Stories::Sequential => StoryOrder::Sequential,
            config::Stories::Parallel => StoryOrder::Parallel,
        },
    }
}

/// The tasks in the order of the plan; attempts go on above the highest that git knows.
fn new_tasks(checked: &Checked, directory: &FeatureDir, feature: &Feature) -> Result<Vec<NewTask>, CliError> {
    let task = |task: &crate::feature::TaskLine| {
        let attempt = branch::highest_attempt(&checked.repo, &directory.id, &task.id)
            .map_err(|error| git_error("the branches cannot be read", error))?;
        Ok(NewTask {
            id: task.id.clone(),
            title: task.title.clone(),
            done: task.done && !task.dropped,
            dropped: task.dropped,
            attempt,
            labels: task.labels.clone(),
        })
    };
    feature.tasks.tasks.iter().map(task).collect()
}

/// The integration branch can be made or moved.
fn check_branch(checked: &Checked, ready: &Ready) -> Result<(), CliError> {
    let name = branch::integration(&ready.new.id);
    let at = landing::checked_out_at(&checked.repo, &branch::head_ref(&name))
        .map_err(|error| git_error("the branches cannot be read", error))?;
    match at {
        Some(at) => Err(refused(Refusal::IntegrationCheckedOut { branch: name, at })),
        None => Ok(()),
    }
}

/// What is said where there are no gates.
pub(in crate::cli) const NO_GATES: &str =
    "no gate is configured, and none applies by itself: no command checks what lands";
/// What to do about it.
pub(in crate::cli) const MORE_GATES: &str = "write one under `[gate.NAME]`, as docs/gates.md says";

/// A required tool that is absent stops the start; an optional one is told.
fn check_tools(
    config: &Config,
    env: &Environment,
    checked: &Checked,
    base: &CommitSha,
    directories: &[FeatureDir],
) -> Result<Vec<String>, CliError> {
    let gates = selected_gates(config, checked, base, directories)?;
    let tools =
        tools_directory(|name| env.get(name).map(OsString::from)).map(|directory| directory.join("bin"));
    let path = search_path(&checked.repo.top, env.get("PATH"), tools.as_deref());
    let missing = find_tools(&gates, &path, &checked.repo.top);
    if let Some(required) = missing.iter().find(|tool| tool.required) {
        return Err(CliError::environment(format!(
            "the gate `{}` needs `{}`, which is not there",
            required.gate, required.program
        ))
        .hint(install_hint(required))
        .hint(format!("or do without it: [gate.{}] enabled = false", required.gate)));
    }
    let absent = |gate: &GateConfig| missing.iter().any(|tool| tool.gate == gate.name.as_str());
    let none_runs = gates.iter().all(|gate| gate.preset.is_some() && absent(gate));
    let none = none_runs.then(|| format!("{NO_GATES}; {MORE_GATES}"));
    Ok(skipped(&missing).into_iter().chain(none).collect())
}

/// One line for all that is optional and absent.
fn skipped(missing: &[crate::gates::Missing]) -> Option<String> {
    match missing {
        [] => None,
        [one] => Some(format!("the gate `{}` will be skipped: `{}` is not there", one.gate, one.program)),
        many => {
            let names = many.iter().map(|tool| tool.gate.as_str()).collect::<Vec<_>>().join(", ");
            Some(format!("these gates will be skipped, as their tools are not there: {names}"))
        }
    }
}

fn install_hint(tool: &crate::gates::Missing) -> String {
    if tool.install.is_empty() {
        format!("install `{}`, so that it is on PATH", tool.program)
    } else {
        format!("install it: {}", tool.install)
    }
}

fn selected_gates(
    config: &Config,
    checked: &Checked,
    base: &CommitSha,
    directories: &[FeatureDir],
) -> Result<Vec<GateConfig>, CliError> {
    let told = |error| git_error("the base cannot be read", error);
    let mut found = crate::worker::contents_of(&checked.repo, &[base], config).map_err(told)?;
    for directory in directories {
        let plan =
            contents::blob(&checked.repo, base, &format!("{}/plan.md", directory.path)).map_err(told)?;
        let language = crate::feature::PlanDocument::read(&plan.unwrap_or_default()).language;
        found.add_plan(&language);
    }
    let takes_part = |gate: &&GateConfig| takes_part(gate, &config.gates.presets, &found);
    Ok(config.gate.iter().filter(takes_part).cloned().collect())
}
