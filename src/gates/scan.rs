//! One tool, once, on one tree: run it, read what it says, or say why it cannot be believed.
//!
//! Refuses to judge: what a result means against the base is `judge`'s.

mod doubts;
mod read;

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::doubts::advised;
use super::by_hand::{self, Surroundings};
use super::command::{self, BaseScript, Places};
use super::files::{REPORT_MAX, Temporary};
use super::fingerprint;
use super::flaky::{is_failed_test, mark_flaky};
use super::inputs::Inputs;
use super::keep::Keep;
use super::kit::Kit;
use super::pane::Pane;
use super::parse::{self, Parsed};
use super::patch;
use super::run::{Cancelled, Context, Room, Side};
use super::secrets;
use super::targets;
use super::tools;
use super::version::Version;
use crate::config::gate::{GateConfig, StartIn};
use crate::domain::gate::{Kind, Mode};
use crate::process::beside::{Stop, pause};
use crate::process::offline;
use crate::process::run::{Ending, Outcome, Session, SpawnError, Spec, Stdin};
use crate::process::slots::{Guard, LOOK};

/// Output of a tool whose report is elsewhere is kept up to this, its end rather than its beginning.
const WORDS_MAX: usize = 256 << 10;

/// From SIGTERM to SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// More failed tests than this are no flakes; they are not run again.
const RERUN_MAX: usize = 25;

/// A run of a tool that is believed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Done {
    /// What it found.
    pub(super) parsed: Parsed,
    /// How long it ran.
    pub(super) seconds: f64,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scan {
    /// It is believed.
    Done {
        /// What it found.
        done: Box<Done>,
        /// Whether it was kept from an earlier run.
        cached: bool,
    },
    /// The tree has nothing that it looks at.
    Nothing,
    /// Its program is not there.
    Missing(String),
    /// It could not run, or cannot be believed; why, and how long it took to find out.
    Error(String, f64),
}

/// One gate on one tree.
pub(super) struct Scanner<'a> {
    gate: &'a GateConfig,
    context: &'a Context<'a>,
    inputs: &'a Inputs,
    side: Side,
    stop: &'a Stop,
}

/// A tool that is ready to run.
struct Ready {
    places: Places,
    cwd: PathBuf,
    path: OsString,
}

/// How a run of a tool went wrong.
enum Broken {
    Cancelled,
    Missing(String),
    Because(String),
}

impl From<String> for Broken {
    fn from(why: String) -> Self {
        Self::Because(why)
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn new(
        gate: &'a GateConfig,
        context: &'a Context<'a>,
        inputs: &'a Inputs,
        side: Side,
        stop: &'a Stop,
    ) -> Self {
        Self { gate, context, inputs, side, stop }
    }

    /// The result that is kept for this tree, without running anything but the version.
    pub(super) fn kept(&self, version: &Version) -> Option<Box<Done>> {
        if self.context.fresh {
            return None;
        }
        self.context.cache?.get(&self.key(version)?)
    }

    /// Runs the tool, unless its result is kept.
    pub(super) async fn scan(&self, version: &Version, pane: &mut Pane<'_, '_>) -> Result<Scan, Cancelled> {
        let files = match self.context.trees.files(self.side) {
            Ok(files) => files,
            Err(why) => return Ok(Scan::Error(format!("cannot list the tree: {why}"), 0.0)),
        };
        if self.inputs.any() && self.inputs.count(&files, self.context.subdir) == 0 {
            return Ok(Scan::Nothing);
        }
        if let Some(done) = self.kept(version) {
            return Ok(Scan::Done { done, cached: true });
        }
        let mut seconds = 0.0;
        let keep = self.keep();
        let ran = self.run(&files, keep.as_ref(), &mut seconds, pane).await;
        if let (Some(keep), Err(Broken::Because(_))) = (&keep, &ran) {
            keep.forget();
        }
        match ran {
            Ok(parsed) => {
                let done = Box::new(Done { parsed, seconds });
                if let Some((cache, key)) = self.context.cache.zip(self.key(version)) {
                    cache.put(&key, &done);
                }
                Ok(Scan::Done { done, cached: false })
            }
            Err(Broken::Cancelled) => Err(Cancelled),
            Err(Broken::Missing(why)) => Ok(Scan::Missing(why)),
            Err(Broken::Because(why)) => Ok(Scan::Error(advised(why, &files), seconds)),
        }
    }

    /// Tree, tool, configuration, command; `None` for a worktree that is no tree, or a tool that does
    /// not say which one it is.
    fn key(&self, version: &Version) -> Option<String> {
        let tree = self.context.trees.tree(self.side)?;
        let gate = self.gate;
        if version.text.is_none()
            && !gate.tool.version.is_empty()
            && gate
                .command
                .first()
                .into_iter()
                .chain(&gate.tool.needs)
                .any(|p| Some(p) == gate.tool.version.first())
        {
            return None;
        }
        let config = serde_json::to_string(&(
            &gate.command,
            &gate.parser,
            &gate.pattern,
            &gate.clean,
            &gate.output,
            &gate.paths,
            gate.network,
            &gate.tool,
        ))
        .ok()?;
        let script = self.base_script().map_or(String::new(), |(_, _, content)| {
            fingerprint::hash(&[&String::from_utf8_lossy(&content)])
        });
        let renames = serde_json::to_string(&self.context.trees.renames()).ok()?;
        Some(super::cache::Cache::key(&[
            &tree,
            version.text.as_deref().unwrap_or_default(),
            &config,
            self.context.subdir,
            &version.program,
            &script,
            // The head's fingerprints name paths as the base does.
            if self.side == Side::Head { &renames } else { "[]" },
            &self.kit().identity(),
            &self.changed().ok()?.unwrap_or_default(),
        ]))
    }

    async fn run(
        &self,
        files: &[String],
        keep: Option<&Keep>,
        seconds: &mut f64,
        pane: &mut Pane<'_, '_>,
    ) -> Result<Parsed, Broken> {
        let parser = parse::find(&self.gate.parser)
            .ok_or_else(|| format!("there is no parser `{}`", self.gate.parser))?;
        let root = self.context.checkout(self.side, self.room())?;
        let mut ready = self.ready(&root, files)?;
        if let Some(keep) = keep {
            ready.places.keep.clone_from(&keep.dir);
        }
        let tmp = Temporary::make(&ready.places.tmp)?;
        if let Some(file) = &ready.places.diff {
            self.write_diff(file, &root)?;
        }
        self.kit()
            .place()
            .map_err(|e| format!("cannot write what it needs to `{}`: {e}", ready.places.kit.display()))?;
        let script = self.base_script();
        let mut argv = command::argv(self.gate, &ready.places);
        let placed = match &script {
            Some((_, path, content)) => Some(
                BaseScript::place(&root, path, content)
                    .map_err(|e| format!("cannot place the base's `{path}`: {e}"))?,
            ),
            None => None,
        };
        if let (Some((index, path, _)), Some(placed)) = (&script, &placed) {
            pane.line(&format!("  `{path}` is changed by the candidate: the base's version runs"));
            argv[*index] = placed.word();
        }
        let slots = self.slots(pane).await?;
        let outcome = self.execute(&ready, &argv, pane).await?;
        *seconds = outcome.seconds;
        let mut parsed = self.read(parser, &ready, &outcome)?;
        self.saw_what_is_there(&root, files, &parsed)?;
        self.tell_large(&root, files, &mut parsed);
        if self.gate.parser == "pytest" {
            self.rerun(&ready, &argv, &mut parsed, seconds, pane).await?;
        }
        drop((slots, placed, tmp));
        self.undisturbed()?;
        self.untouched()?;
        self.stamp(&root, files, &mut parsed);
        // After the fingerprints: they are the same on every machine, whatever secrets it knows.
        secrets::leave_out_of(&mut parsed);
        Ok(parsed)
    }

    fn room(&self) -> Room {
        Room::of(self.gate)
    }

    /// What it keeps between its runs, if it does.
    fn keep(&self) -> Option<Keep> {
        let cache = self.context.cache.filter(|_| command::wants_keep(self.gate))?;
        Keep::take(cache, &self.context.trees.slot(self.side)?, self.gate.name.as_str())
    }

    fn kit(&self) -> Kit {
        Kit::of(self.gate, &self.context.kit())
    }

    /// The lines that the candidate changes, where the tool looks only at them.
    fn changed(&self) -> Result<Option<String>, String> {
        let asked = self.gate.command.iter().chain(self.gate.tool.ensure.iter().flatten());
        if self.gate.mode != Mode::New || asked.into_iter().all(|word| word != "{changed}") {
            return Ok(None);
        }
        let trees = self.context.trees;
        let lines = trees.has_base().then(|| trees.changed_lines()).transpose();
        let lines = lines.map_err(|why| format!("cannot tell what the candidate changes: {why}"))?;
        Ok(Some(targets::changed(lines.as_ref(), self.context.subdir)))
    }

    fn ready(&self, root: &Path, files: &[String]) -> Result<Ready, String> {
        let tmp = self.context.tmp.join(format!("{}-{}", self.gate.name, self.side));
        let places = Places::new(root, &tmp);
        // Joining nothing would leave a slash at the end.
        let start =
            if self.context.subdir.is_empty() { root.to_owned() } else { root.join(self.context.subdir) };
        let cwd = match self.gate.tool.start_in {
            StartIn::Root => start.clone(),
            StartIn::Tmp => tmp,
        };
        let path = self.context.search_path(self.gate, root);
        let differs = self.side == Side::Head && self.gate.mode == Mode::New && self.context.trees.has_base();
        let diff = (differs && command::wants_diff(self.gate)).then(|| places.tmp.join("change.diff"));
        // `{root}` of a command is where the gate works.
        let asked_for = self.gate.tool.ensure.iter().flatten().filter_map(|word| command::asked_for(word));
        let places = Places {
            kit: self.kit().dir,
            files: targets::files(root, self.context.subdir, files, self.inputs, self.gate.tool.file_max),
            changed: self.changed()?,
            has: asked_for.filter(|name| start.join(name).is_file()).map(ToOwned::to_owned).collect(),
            root: start,
            diff,
            ..places
        };
        Ok(Ready { places, cwd, path })
    }

    /// As it is shown to people: names of files up to a length.
    fn shown(&self, root: &Path) -> Ready {
        let files = self.context.trees.files(self.side).unwrap_or_default();
        // What cannot be told is the verdict's reason, and here it is left out.
        let mut ready = self.ready(root, &files).unwrap_or_else(|_| Ready {
            places: Places::new(root, self.context.tmp),
            cwd: root.to_owned(),
            path: OsString::new(),
        });
        ready.places.files = targets::shortened(ready.places.files, targets::SHOWN_MAX);
        ready
    }

    /// The lines that the candidate changes, for a tool that looks at nothing else.
    fn write_diff(&self, file: &Path, root: &Path) -> Result<(), Broken> {
        let changed = self.context.trees.changed_lines()?;
        let diff = patch::diff(&changed, root, self.context.subdir);
        fs::write(file, diff).map_err(|e| format!("cannot write `{}`: {e}", file.display()).into())
    }

    /// The script that the command starts, in the base's version, if the candidate changes it.
    fn base_script(&self) -> Option<(usize, String, Vec<u8>)> {
        let trees = self.context.trees;
        if self.side != Side::Head || !trees.has_base() {
            return None;
        }
        let changed = |path: &str| trees.changed(path);
        let (index, path) =
            command::script(&self.gate.command, self.context.subdir, &|path| trees.is_file(path))?;
        if !changed(&path) || trees.named_by_task(&path) {
            return None;
        }
        Some((index, path.clone(), trees.base_file(&path)?))
    }

    async fn slots(&self, pane: &mut Pane<'_, '_>) -> Result<Option<Guard>, Broken> {
        let Some(slots) = self.context.slots else { return Ok(None) };
        let weight = self.gate.weight as usize;
        let mut waiter = slots.queue(weight);
        let mut told = false;
        while !self.stop.came() {
            if let Some(guard) = waiter.try_take().map_err(|error| Broken::Because(chain(&error)))? {
                return Ok(Some(guard));
            }
            if !told {
                pane.line(&format!("  waits for {weight} of this machine's gate slots"));
                told = true;
            }
            pause(LOOK).await;
        }
        Err(Broken::Cancelled)
    }

    async fn execute(
        &self,
        ready: &Ready,
        argv: &[String],
        pane: &mut Pane<'_, '_>,
    ) -> Result<Outcome, Broken> {
        let program = argv.first().map_or("", String::as_str);
        let missing = |program| Broken::Missing(not_found(program, &self.gate.tool.install));
        let absent = |needed: &&String| tools::find_program(needed, &ready.path, &ready.cwd).is_none();
        if let Some(needed) = self.gate.tool.needs.iter().find(absent) {
            return Err(missing(needed));
        }
        let Some(file) = tools::find_program(program, &ready.path, &ready.cwd) else {
            return Err(missing(program));
        };
        let shown = !self.report_is_printed();
        let mut tails = [Vec::new(), Vec::new()];
        let mut on_output = |stream, bytes: &[u8]| {
            pane.output(stream, bytes, shown);
            keep_last(&mut tails[stream as usize], bytes);
        };
        let outcome = self.stop.run(self.spec(ready, file, argv), &mut on_output).await;
        pane.end_output();
        // Before anything is read or judged: what still runs could write. What only reads leaves
        // nothing that would; helpers of those beside it are not for us to end.
        if self.room() == Room::Working {
            (self.context.end_left)().map_err(Broken::Because)?;
        }
        let mut outcome = outcome.map_err(|error| match error {
            SpawnError::Missing { .. } => missing(program),
            error => Broken::Because(chain(&error)),
        })?;
        if shown && outcome.dropped > 0 {
            // People and the developer's next attempt want the end of a long log.
            [outcome.stdout, outcome.stderr] = tails;
        }
        Ok(outcome)
    }

    fn spec(&self, ready: &Ready, program: PathBuf, argv: &[String]) -> Spec {
        let online = self.gate.network || !offline::possible();
        Spec {
            program: program.into_os_string(),
            args: argv.iter().skip(1).map(OsString::from).collect(),
            cwd: ready.cwd.clone(),
            env: command::environment(Some(self.gate), self.context.env, &ready.path, &ready.places),
            stdin: Stdin::Null,
            timeout: self.gate.timeout,
            output_max: if self.report_is_printed() { REPORT_MAX } else { WORDS_MAX },
            grace: GRACE,
            session: if online { Session::NewSession } else { Session::Offline },
        }
    }

    /// Failed tests run once more alone; one that passes then is flaky: shown, counted, not blocking.
    async fn rerun(
        &self,
        ready: &Ready,
        argv: &[String],
        parsed: &mut Parsed,
        seconds: &mut f64,
        pane: &mut Pane<'_, '_>,
    ) -> Result<(), Broken> {
        let failed: BTreeSet<String> =
            parsed.findings.iter().filter(|f| is_failed_test(f)).map(|f| f.symbol.clone()).collect();
        let ids: Vec<String> = failed.into_iter().collect();
        if ids.is_empty() || ids.len() > RERUN_MAX {
            return Ok(());
        }
        let Some(words) = command::only_tests(argv, &ready.cwd, &ids) else { return Ok(()) };
        pane.line(&format!("  {} failed: once more, alone", ids.len()));
        if let Err(error) = fs::remove_file(&ready.places.out) {
            return Err(format!("cannot remove the first report: {error}").into());
        }
        let outcome = self.execute(ready, &words, pane).await?;
        *seconds += outcome.seconds;
        if outcome.ending == Ending::Cancelled {
            return Err(Broken::Cancelled);
        }
        // Whatever went wrong there, the first failure stands.
        let Ending::Exit(exit) = outcome.ending else { return Ok(()) };
        let file = self.report_file(ready)?;
        let green = parse::passed_tests(&self.report(ready, exit, &outcome, file.as_deref()));
        mark_flaky(parsed, &green);
        Ok(())
    }

    /// Whoever cleans temporary directories may have taken a tool's files away under it.
    fn undisturbed(&self) -> Result<(), Broken> {
        if self.context.tmp.is_dir() {
            return Ok(());
        }
        Err(format!("`{}` was removed while it ran", self.context.tmp.display()).into())
    }

    /// A gate that changes tracked files is void: what it judged is not the tree.
    fn untouched(&self) -> Result<(), Broken> {
        let trees = self.context.trees;
        let changed = trees
            .modified(self.side, self.room())
            .map_err(|why| format!("cannot compare the worktree with its tree: {why}"))?;
        let Some(first) = changed.first() else { return Ok(()) };
        if let Err(why) = trees.restore(self.side) {
            return Err(format!("it changed `{first}`, and the worktree cannot be restored: {why}").into());
        }
        let more = if changed.len() > 1 { format!(" and {} more", changed.len() - 1) } else { String::new() };
        Err(format!("it changed tracked files (`{first}`{more}), so its verdict is void").into())
    }

    fn stamp(&self, root: &Path, files: &[String], parsed: &mut Parsed) {
        let renames = if self.side == Side::Head { self.context.trees.renames() } else { Vec::new() };
        let old = |path: &str| {
            let found = renames.iter().find(|(_, new)| new == path);
            found.map_or(path.to_owned(), |(old, _)| old.clone())
        };
        for metric in &mut parsed.metrics {
            // Complexities are held against the base by path and symbol.
            metric.path = parse::relative(root, "", &metric.path);
        }
        patch::name_as_the_tree_does(parsed, files, self.context.subdir);
        if matches!(self.gate.parser.as_str(), "radon" | "ruff") {
            // They walk into everything that lies there: a `venv` that the setup made is not the tree.
            let files: HashSet<&String> = files.iter().collect();
            let lies_about = |path: &String| {
                let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
                inside && !files.contains(path) && root.join(path).is_file()
            };
            parsed.findings.retain(|finding| !lies_about(&finding.path));
            parsed.metrics.retain(|metric| !lies_about(&metric.path));
        }
        parsed.findings.retain(|finding| finding.kind == Kind::Test || self.inputs.covers(&finding.path));
        parsed.metrics.retain(|metric| self.inputs.covers(&metric.path));
        fingerprint::stamp(&self.gate.parser, &mut parsed.findings, root, &old);
    }

    /// The command as it is run on this side, for people.
    pub(super) fn shown_command(&self, root: &Path) -> Vec<String> {
        command::argv(self.gate, &self.shown(root).places)
    }

    /// The line that does the same when it is typed in a worktree like this one.
    pub(super) fn by_hand(&self, root: &Path) -> String {
        let ready = self.shown(root);
        let mut programs = self.context.own_programs(self.gate);
        programs.retain(|directory| root.join(directory).is_dir());
        let around = Surroundings {
            subdir: self.context.subdir,
            person: self.context.env,
            has_venv: ready.places.venv.is_some(),
            programs: &programs,
            tools: self.context.tools,
            like: &ready.places,
        };
        by_hand::line(self.gate, &around)
    }
}

/// Keeps the last [`WORDS_MAX`] bytes, at times twice as many.
fn keep_last(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(bytes);
    if tail.len() > 2 * WORDS_MAX {
        tail.drain(..tail.len() - WORDS_MAX);
    }
}

fn not_found(program: &str, install: &str) -> String {
    if program.contains('/') {
        return format!("`{}` is not there", parse::clean(program, 200));
    }
    let how = if install.is_empty() { String::new() } else { format!(" ({install})") };
    format!("`{}` is not installed{how}", parse::clean(program, 200))
}

/// An error with all its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
