//! `sprint gates run`: gates by hand, in any repository, without a feature or a supervisor.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use super::args::GatesRunArgs;
use super::context::{Context as Place, git_error};
use super::environment::Environment;
use super::gate_trees::{HandTrees, Head};
use super::gates_run::{Ran, run_all};
use super::out::Out;
use super::text::Colour;
use crate::config::layout::tools_directory;
use crate::config::{Config, GateConfig};
use crate::domain::ids::CommitSha;
use crate::error::{CliError, chain};
use crate::gates::{BaseScan, Cache, Context, Thresholds, languages, takes_part};
use crate::git::preflight::Refusal;
use crate::git::{self, Repo, contents, export};
use crate::process::slots::Slots;
use crate::process::subreaper::become_subreaper;
use crate::process::system;

/// Runs it.
///
/// # Errors
/// The configuration is wrong or a gate is not known (exit 2), or nothing can be run (exit 3).
pub fn run(args: &GatesRunArgs) -> Result<u8, CliError> {
    let env = Environment::of_process()?;
    let place = Place::find(&env)?;
    let config = place.config(&env)?;
    let repo = &place.repo;
    let head = head(args, repo)?;
    let base = base(args, repo)?;
    let at = match &head {
        Head::Checkout(commit) | Head::Commit(commit) => commit.clone(),
    };
    let wanted: BTreeSet<&str> = args.gates.iter().chain(&args.gate).map(String::as_str).collect();
    let gates = chosen(&wanted, args.stage.as_deref(), &config, repo, (&at, &base))?;
    // Progress goes where it does not mix with what was asked for.
    let mut progress: Box<dyn std::io::Write> =
        if args.json { Box::new(std::io::sink()) } else { Box::new(std::io::stderr().lock()) };
    let fresh = args.no_cache;
    let call = Call { env: &env, config: &config, repo, head, base, fresh, cancel: &|| false };
    let ran = call.perform(&gates, &mut progress)?;
    progress.flush().map_err(|error| CliError::environment("standard error is closed").because(error))?;
    let mut out = Out::new(std::io::stdout().lock(), Colour::from_flag(env.colour()), env.columns);
    out.text(&if args.json { ran.json() } else { ran.text() });
    out.finish()?;
    Ok(ran.exit_code())
}

/// Gates on one head held against one base.
pub(super) struct Call<'a> {
    pub(super) env: &'a Environment,
    pub(super) config: &'a Config,
    pub(super) repo: &'a Repo,
    pub(super) head: Head,
    pub(super) base: CommitSha,
    /// Whether kept results are not believed.
    pub(super) fresh: bool,
    /// Asked many times a second: whether nobody waits for it any more.
    pub(super) cancel: &'a dyn Fn() -> bool,
}

impl Call<'_> {
    /// Runs them, in their order.
    pub(super) fn perform(
        self,
        gates: &[GateConfig],
        progress: &mut dyn std::io::Write,
    ) -> Result<Ran, CliError> {
        let env = self.env;
        // What a gate leaves behind is found among our own children.
        become_subreaper()
            .map_err(|error| CliError::environment("gates cannot be watched").because(error))?;
        let scratch = Scratch::new()?;
        let named = match &self.head {
            Head::Commit(commit) => Some(commit.to_string()),
            Head::Checkout(_) => None,
        };
        let trees = HandTrees::new(self.repo, self.head, Some(self.base.clone()), &scratch.0);
        let cache = (!self.fresh).then(|| Cache::new(&cache_directory(env)));
        let slots = Slots::new(&crate::worker::slots_directory(), system::cores()).map_err(|error| {
            CliError::environment("the machine's gate slots cannot be used").because(error)
        })?;
        let tools =
            tools_directory(|name| env.get(name).map(Into::into)).map(|directory| directory.join("bin"));
        let context = Context {
            trees: &trees,
            subdir: &self.config.general.root,
            env: &env.variables,
            tools: tools.as_deref(),
            tmp: &scratch.0,
            cache: cache.as_ref(),
            slots: Some(&slots),
            thresholds: Thresholds::from(self.config),
            base: BaseScan::Always,
            fresh: self.fresh,
            cancel: self.cancel,
            end_left: &crate::gates::end_left,
        };
        run_all(gates, &[], (Some(self.base.to_string()), named), &context, progress)
            .map_err(|error| CliError::environment(error.to_string()))
    }
}

fn head(args: &GatesRunArgs, repo: &Repo) -> Result<Head, CliError> {
    match &args.head {
        Some(name) => Ok(Head::Commit(resolve(repo, name)?)),
        None => Ok(Head::Checkout(
            export::snapshot(repo).map_err(|error| unborn_or("the worktree cannot be read", error))?,
        )),
    }
}

fn base(args: &GatesRunArgs, repo: &Repo) -> Result<CommitSha, CliError> {
    match &args.base {
        Some(name) => resolve(repo, name),
        None => {
            export::default_base(repo).map_err(|error| unborn_or("there is nothing to compare with", error))
        }
    }
}

/// A repository without a commit is no broken machine: the person has a step to do first.
fn unborn_or(what: &str, error: git::Error) -> CliError {
    match &error {
        git::Error::Lib { source, .. } if source.code() == git2::ErrorCode::UnbornBranch => {
            CliError::refused(Refusal::NoCommit.to_string()).hint(Refusal::NoCommit.hint())
        }
        _ => git_error(what, error),
    }
}

fn resolve(repo: &Repo, name: &str) -> Result<CommitSha, CliError> {
    repo.resolve(name).map_err(|error| {
        CliError::usage(format!("there is no commit `{}`", super::text::plain(name, 100))).because(error)
    })
}

/// The gates of the configuration that take part on these trees (head, base), or those that are
/// named in `wanted`.
pub(super) fn chosen(
    wanted: &BTreeSet<&str>,
    stage: Option<&str>,
    config: &Config,
    repo: &Repo,
    (head, base): (&CommitSha, &CommitSha),
) -> Result<Vec<GateConfig>, CliError> {
    let spoken = spoken(repo, head, base)?;
    for name in wanted {
        if config.gate.iter().all(|gate| gate.name.as_str() != *name) {
            return Err(unknown(config, name));
        }
    }
    let chosen = |gate: &&GateConfig| {
        let by_stage = stage.is_none_or(|stage| gate.stage.as_str() == stage);
        // Who names a gate wants it, whatever the configuration selects by itself.
        let listed = if wanted.is_empty() {
            takes_part(gate, &config.gates.presets, &spoken)
        } else {
            gate.enabled && wanted.contains(gate.name.as_str())
        };
        by_stage && listed
    };
    Ok(config.gate.iter().filter(chosen).cloned().collect())
}

fn spoken(repo: &Repo, head: &CommitSha, base: &CommitSha) -> Result<BTreeSet<&'static str>, CliError> {
    let told = |error| git_error("the files cannot be listed", error);
    let mut files = contents::files(repo, head).map_err(told)?;
    files.extend(contents::files(repo, base).map_err(told)?);
    Ok(languages(files.iter().map(String::as_str), None))
}

fn unknown(config: &Config, name: &str) -> CliError {
    let known: Vec<&str> = config.gate.iter().map(|gate| gate.name.as_str()).collect();
    let error = CliError::usage(format!("there is no gate `{}`", super::text::plain(name, 100)));
    match crate::config::nearest(name, known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("known gates: {}", known.join(", "))),
    }
}

fn cache_directory(env: &Environment) -> PathBuf {
    let cache = env.path("XDG_CACHE_HOME").or_else(|| env.path("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("sprint/gates")
}

/// A short directory of this call alone.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, CliError> {
        let name = format!("sprint-gates-{}-{}", nix::unistd::getuid(), std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).map_err(|error| {
            CliError::environment(format!("`{}` cannot be made", path.display())).because(error)
        })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(error = chain(&error), "a scratch directory stays");
        }
    }
}
