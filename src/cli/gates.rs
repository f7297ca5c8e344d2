//! `sprint gates`: gates by hand, in any repository, without a feature or a supervisor.

mod baseline;
mod choice;
mod files;
mod github;
mod junit;
mod kept;
mod list;
mod progress;
#[cfg(test)]
mod samples;
mod sarif;
mod scratch;
mod way_out;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use git2::ErrorCode;

use super::args::{GatesCommand, GatesRunArgs};
use super::context::{Context as Place, git_error};
use super::environment::Environment;
use super::gate_trees::{HandTrees, Head};
use super::gates_run::{Ran, run_all};
use super::interrupts::Interrupts;
use super::out::Out;
use super::text::{Colour, plain};
use crate::config::layout::tools_directory;
use crate::config::{Config, GateConfig};
use crate::domain::gate::{GateResult, Verdict};
use crate::domain::ids::{CommitSha, GateName};
use crate::error::CliError;
use crate::gates::{BaseScan, Cache, Context, Moment, Thresholds, Watch, recall, remember};
use crate::git::export::{Base, LeftOut};
use crate::git::preflight::Refusal;
use crate::git::{self, Repo, export};
use crate::process::limits::Bounds;
use crate::process::slots::Slots;
use crate::process::subreaper::become_subreaper;
use crate::process::system;

pub(super) use choice::{chosen, unknown as unknown_gate};
use files::Sinks;
use progress::Lines;
use scratch::Scratch;
use way_out::ways_out;

/// Said at once to whoever interrupts: what does not end by itself is given its time.
const ENDING: &str = "interrupted: what runs is being ended, which may take a few seconds";

/// Runs one of the commands.
///
/// # Errors
/// The command line or the configuration is wrong (exit 2), nothing can be run (exit 3), or there
/// is nothing to judge (exit 4).
pub fn run(command: &GatesCommand) -> Result<u8, CliError> {
    let env = Environment::of_process()?;
    let mut out = Out::new(std::io::stdout().lock(), Colour::from_flag(env.colour()), env.columns);
    let code = match command {
        GatesCommand::Run(args) => judge(args, &env, &mut out),
        GatesCommand::List(args) => list::run(*args, &env, &mut out),
        GatesCommand::Baseline(args) => baseline::run(args, &env, &mut out),
        GatesCommand::Cache(args) => kept::run(*args, &env, &mut out),
    };
    // What was printed before an error is still wanted.
    let finished = out.finish();
    code.and_then(|code| finished.map(|()| code))
}

fn judge(args: &GatesRunArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let place = Place::find(env)?;
    let config = place.config(env)?;
    let repo = &place.repo;
    let base = base_for(args, repo)?;
    let head = head(args, env, repo)?;
    has_root(&config, repo, head.commit())?;
    let wanted: BTreeSet<&str> = args.gates.iter().chain(&args.gate).map(String::as_str).collect();
    let gates = chosen(&wanted, args.stage.as_deref(), &config, repo, (head.commit(), &base.commit))?;
    let compared = compared(repo, head.commit(), &base)?;
    // Before an hour of gates, and after the snapshot.
    let sinks = Sinks::open(args, &env.cwd)?;
    spare_sources(&sinks, repo)?;
    let interrupted = Interrupts::take_over()?;
    let cache = Cache::new(&cache_directory(env));
    let last = |name: &_| recall(&cache, &repo.common_dir, name);
    let lines = Lines::new(&gates, last, env);
    let stdout_is_data = args.json || sinks.take_stdout();
    let token = uuid::Uuid::new_v4().simple().to_string();
    if args.github {
        out.text(&github::quiet(&token));
        out.flush();
    }
    let commits = (head.commit().clone(), base.commit.clone());
    let told = Cell::new(false);
    let cancel = || {
        let came = interrupted.came();
        if came && !told.replace(true) {
            lines.as_ref().map_or_else(|| tell(ENDING), |lines| lines.tell(ENDING));
        }
        came
    };
    let call = Call {
        env,
        config: &config,
        repo,
        head,
        base: Some(base.commit),
        fresh: args.no_cache,
        cancel: &cancel,
        watch: Some(lines.as_ref().map_or(&AtTheEnd, |lines| lines as &dyn Watch)),
        all: !args.fail_fast,
    };
    let ran = match &lines {
        Some(_) => call.perform(&gates, &mut std::io::sink()),
        None if args.github => call.perform(&gates, &mut OutWriter(out)),
        // Progress goes where it does not mix with what was asked for.
        None if stdout_is_data => call.perform(&gates, &mut std::io::sink()),
        None => call.perform(&gates, &mut std::io::stderr().lock()),
    };
    if let Some(lines) = lines.filter(|_| env.stdout_is_terminal || ran.is_err()) {
        lines.clear();
    }
    let mut ran = ran.map_err(|error| if interrupted.came() { interrupt() } else { error })?;
    remember(&cache, &repo.common_dir, &ran.gates);
    ran.repeat_with(&choice::words(args));
    let none = gates.is_empty().then(|| choice::no_gate(args.stage.as_deref()));
    if args.json {
        out.text(&ran.json());
    } else if !stdout_is_data {
        out.line(compared);
        if let Some(said) = &none {
            out.line(said);
        }
        out.text(&ran.text(out.colour));
        let root = choice::root_hint(&config, repo, &commits.0, &ran)?;
        let beyond = choice::beyond_root(&config, repo, (&commits.0, &commits.1))?;
        let ways_out = ways_out(&ran, &gates, args.staged);
        ran.elsewhere(args.staged)
            .into_iter()
            .chain(ways_out)
            .chain(root)
            .chain(beyond)
            .for_each(|said| out.line(said));
    }
    none.filter(|_| stdout_is_data).iter().for_each(|said| tell(said));
    tell_submodules(repo, (&commits.0, &commits.1), &gates, &ran)?;
    if args.github {
        out.text(&github::speak(&token));
        out.text(&github::annotations(&ran));
    }
    sinks.write(&ran, out)?;
    Ok(ran.exit_code())
}

/// A report replaces its file; one that git knows is somebody's work, unless it is a report too.
fn spare_sources(sinks: &Sinks, repo: &Repo) -> Result<(), CliError> {
    for file in sinks.files() {
        let (Ok(file), Ok(top)) = (file.canonicalize(), repo.top.canonicalize()) else { continue };
        let Some(name) = file.strip_prefix(&top).ok().and_then(std::path::Path::to_str) else { continue };
        let is_tracked =
            export::is_tracked(repo, name).map_err(|error| git_error("the files cannot be listed", error))?;
        if is_tracked && !export::is_report(&file) {
            let name = plain(name, 200);
            return Err(CliError::usage(format!(
                "`{name}` is in git and no report: it would be overwritten"
            ))
            .hint("name another file, or `git rm --cached` this one"));
        }
    }
    Ok(())
}

/// What is left out that git does not ignore, and what to do about it: who means to commit a report is told why
/// nothing finds it.
fn tell_left_out(left_out: &LeftOut) {
    for directory in &left_out.environments {
        let name = plain(directory, 200);
        tell(&format!("`{name}` is a virtual environment and is left out: add `{name}/` to .gitignore"));
    }
    for path in &left_out.reports {
        let name = plain(path, 200);
        tell(&format!("`{name}` is a report of sprint and is left out: add it to .gitignore"));
    }
    for path in &left_out.nested {
        let name = plain(path, 200);
        tell(&format!(
            "`{name}` is a git repository of its own and is left out: add `{name}/` to .gitignore"
        ));
    }
}

/// Which submodules a tree was without, where a gate that runs its code is red: that may be why.
fn tell_submodules(
    repo: &Repo,
    (head, base): (&CommitSha, &CommitSha),
    gates: &[GateConfig],
    ran: &Ran,
) -> Result<(), CliError> {
    let runs = |name: &GateName| gates.iter().any(|gate| gate.name == *name && !gate.tool.reads);
    let is_red =
        |gate: &GateResult| matches!(gate.verdict, Verdict::Fail | Verdict::Error) || gate.is_excused();
    if !ran.gates.iter().any(|gate| is_red(gate) && runs(&gate.name)) {
        return Ok(());
    }
    for (commit, called) in [(head, "what is judged"), (base, "the base")] {
        let (_, missing) = git::submodules::of(repo, commit)
            .map_err(|error| git_error("the submodules cannot be listed", error))?;
        for path in missing {
            let name = plain(&path, 200);
            tell(&format!(
                "`{name}` is a submodule, and the checkout has it not at the commit that {called} names: its \
                 files were missing there; `git submodule update --init` brings those that HEAD names"
            ));
        }
    }
    Ok(())
}

/// For people, where standard output is data.
fn tell(said: &str) {
    if let Err(error) = writeln!(std::io::stderr().lock(), "{said}") {
        tracing::debug!(%error, "nobody reads standard error");
    }
}

/// With what the head was compared; where nothing differs, that nothing can be new.
fn compared(repo: &Repo, head: &CommitSha, base: &Base) -> Result<String, CliError> {
    let same = export::is_same(repo, head, &base.commit)
        .map_err(|error| git_error("the commits cannot be compared", error))?;
    let with = format!("compared with {} ({})", plain(&base.name, 100), base.commit.short());
    let left = export::parting(repo, head, &base.commit).filter(|left| *left != base.commit);
    let with = match left.as_ref().map(CommitSha::short) {
        Some(left) => {
            format!("{with}, which has gone on since {left}, where this branch left it: `--base {left}`")
        }
        None => with,
    };
    Ok(match (same, is_unborn_here(repo)) {
        (false, _) => with,
        (true, false) => {
            format!("{with}: nothing differs, so nothing is new; `--base REF` names another commit")
        }
        (true, true) => format!("{with}: nothing is staged, so nothing is judged; `git add` what you commit"),
    })
}

fn interrupt() -> CliError {
    CliError::interrupted("the gates were interrupted; nothing of them runs any more")
}

/// Without a terminal to draw on: findings come with the whole text, once.
struct AtTheEnd;

impl Watch for AtTheEnd {
    fn saw(&self, _gate: &GateName, _moment: Moment<'_>) {}

    fn tells_findings(&self) -> bool {
        true
    }
}

/// Progress on standard output, where that is a log and not data.
struct OutWriter<'a, 'o>(&'a mut Out<'o>);

impl std::io::Write for OutWriter<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.text(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush();
        Ok(())
    }
}

/// Gates on one head held against one base.
pub(super) struct Call<'a> {
    pub(super) env: &'a Environment,
    pub(super) config: &'a Config,
    pub(super) repo: &'a Repo,
    pub(super) head: Head,
    /// `None`: against nothing.
    pub(super) base: Option<CommitSha>,
    /// Whether kept results are not believed.
    pub(super) fresh: bool,
    /// Asked many times a second: whether nobody waits for it any more.
    pub(super) cancel: &'a dyn Fn() -> bool,
    /// Who looks on.
    pub(super) watch: Option<&'a dyn Watch>,
    /// Whether a red gate leaves the others running.
    pub(super) all: bool,
}

impl Call<'_> {
    /// Runs them, in their order.
    pub(super) fn perform(
        self,
        gates: &[GateConfig],
        progress: &mut dyn std::io::Write,
    ) -> Result<Ran, CliError> {
        let named = match &self.head {
            Head::Commit(commit) => Some(commit.to_string()),
            Head::Checkout(_) | Head::Staged(_) => None,
        };
        let base = self.base.as_ref().map(ToString::to_string);
        self.within(|context| {
            run_all(gates, &[], (base, named), context, progress)
                .map_err(|error| CliError::environment(error.to_string()))
        })?
    }

    /// Calls `act` with all that a gate runs in.
    fn within<T>(self, act: impl FnOnce(&Context<'_>) -> T) -> Result<T, CliError> {
        let env = self.env;
        // What a gate leaves behind is found among our own children.
        become_subreaper()
            .map_err(|error| CliError::environment("gates cannot be watched").because(error))?;
        let scratch = Scratch::new(&cache_directory(env).with_file_name("run"))?;
        let variables = scratch.marked(&env.variables);
        let bytes = export::size(self.repo)
            .map_err(|error| git_error("the size of the checkout cannot be told", error))?;
        let memory = Scratch::in_memory(bytes);
        let reading = memory.as_ref().unwrap_or(&scratch);
        let trees = HandTrees::new(self.repo, self.head, self.base, (&scratch.path, &reading.path))
            .prepared(&self.config.worktree, &self.config.general.root);
        let times = Cache::new(&cache_directory(env));
        let cache = (!self.fresh).then_some(&times);
        let slots = Slots::new(&crate::worker::slots_directory(), system::cores()).map_err(|error| {
            CliError::environment("the machine's gate slots cannot be used").because(error)
        })?;
        let tools =
            tools_directory(|name| env.get(name).map(Into::into)).map(|directory| directory.join("bin"));
        Ok(act(&Context {
            trees: &trees,
            subdir: &self.config.general.root,
            env: &variables,
            tools: tools.as_deref(),
            tmp: &scratch.path,
            cache,
            slots: Some(&slots),
            thresholds: Thresholds::from(self.config),
            bounds: Some(Bounds::of(&self.config.limits)),
            base: BaseScan::Always,
            fresh: self.fresh,
            cancel: self.cancel,
            end_left: &crate::gates::end_left,
            watch: self.watch,
            all: self.all,
            usual: &|name| recall(&times, &self.repo.common_dir, name),
        }))
    }
}

/// A directory that is not there has nothing to check, which is no pass.
fn has_root(config: &Config, repo: &Repo, head: &CommitSha) -> Result<(), CliError> {
    let root = &config.general.root;
    let files =
        git::contents::files(repo, head).map_err(|error| git_error("the files cannot be listed", error))?;
    let below = |file: &String| file.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with('/'));
    if root.is_empty() || files.iter().any(below) {
        return Ok(());
    }
    let shown = plain(root, 100);
    Err(CliError::usage(format!("`general.root` is `{shown}`, and no file of what is judged lies there"))
        .hint("write in sprint.toml where the project lies, from the repository's root, or remove the key"))
}

fn head(args: &GatesRunArgs, env: &Environment, repo: &Repo) -> Result<Head, CliError> {
    if let Some(name) = &args.head {
        return Ok(Head::Commit(resolve(repo, name)?));
    }
    if args.staged {
        // In a commit hook git works on an index of its own.
        let index = env.get("GIT_INDEX_FILE").map(|file| env.cwd.join(file));
        return export::staged(repo, index.as_deref()).map(Head::Staged).map_err(|error| match &error {
            git::Error::Lib { source, .. } if source.code() == git2::ErrorCode::Unmerged => {
                CliError::refused("what is staged has conflicts, so it is no tree that could be judged")
                    .hint("resolve them, and `git add` the files")
            }
            _ => unborn_or("what is staged cannot be read", error),
        });
    }
    if let Some(path) =
        export::conflict(repo).map_err(|error| git_error("the index cannot be read", error))?
    {
        let name = plain(&path, 200);
        return Err(CliError::refused(format!(
            "`{name}` has conflicts, so the worktree is no tree that could be judged"
        ))
        .hint("resolve them, or judge a commit: `--head HEAD`"));
    }
    let snapshot = export::snapshot(repo).map_err(|error| unborn_or("the worktree cannot be read", error))?;
    tell_left_out(&snapshot.left_out);
    Ok(Head::Checkout(snapshot.commit))
}

fn is_unborn_here(repo: &Repo) -> bool {
    matches!(repo.head(), Err(error) if is_unborn(&error))
}

/// What is staged for a repository's first commit is held against nothing, or its hook would forbid it.
fn base_for(args: &GatesRunArgs, repo: &Repo) -> Result<Base, CliError> {
    if !(is_unborn_here(repo) && args.staged && args.base.is_none()) {
        return base(args.base.as_deref(), repo);
    }
    let commit =
        export::nothing(repo).map_err(|error| git_error("the repository cannot be written", error))?;
    Ok(Base { commit, name: "nothing: there is no commit yet".to_owned() })
}

/// What findings are held against, where none is named: see [`export::default_base`].
///
/// # Errors
/// There is no such commit (exit 2), or none at all (exit 4).
fn base(name: Option<&str>, repo: &Repo) -> Result<Base, CliError> {
    if let Some(name) = name {
        repo.head().map_err(|error| unborn_or("there is nothing to judge", error))?;
        return Ok(Base { commit: resolve(repo, name)?, name: name.to_owned() });
    }
    export::default_base(repo).map_err(|error| {
        let error = unborn_or("there is nothing to compare with", error);
        if !repo.common_dir.join("shallow").exists() {
            return error;
        }
        error.hint("fetch the whole history (`git fetch --unshallow`), or name a commit: --base REF")
    })
}

/// A repository without a commit is no broken machine: the person has a step to do first.
fn unborn_or(what: &str, error: git::Error) -> CliError {
    if is_unborn(&error) {
        return CliError::refused(Refusal::NoCommit.to_string()).hint(Refusal::NoCommit.hint());
    }
    git_error(what, error)
}

fn is_unborn(error: &git::Error) -> bool {
    matches!(error, git::Error::Lib { source, .. } if source.code() == ErrorCode::UnbornBranch)
}

fn resolve(repo: &Repo, name: &str) -> Result<CommitSha, CliError> {
    export::resolve(repo, name).map_err(|error| {
        let said = CliError::usage(format!("there is no commit `{}`", plain(name, 100)));
        let code = if let git::Error::Lib { source, .. } = &error { Some(source.code()) } else { None };
        match code {
            // It says the same in git's words.
            Some(ErrorCode::NotFound | ErrorCode::InvalidSpec | ErrorCode::Peel) => said.hint(
                "name a commit, a branch or a tag: `git log` and `git branch --all` list what there is",
            ),
            _ if name.starts_with(':') => {
                said.hint("that names a file of the index; `--staged` judges what is staged")
            }
            _ => said.because(error),
        }
    })
}

fn cache_directory(env: &Environment) -> PathBuf {
    let cache = env.path("XDG_CACHE_HOME").or_else(|| env.path("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("sprint/gates")
}
