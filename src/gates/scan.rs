//! One tool, once, on one tree: run it, read what it says, or say why it cannot be believed.
//!
//! Refuses to judge: what a result means against the base is `judge`'s.

mod doubts;
mod execute;
mod passed_by;
mod prepare;
mod read;

use std::cell::OnceCell;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::doubts::advised;
use super::besides;
use super::command::{self, BaseScript, Places};
use super::context::{Context, Room, Side};
use super::files::{REPORT_MAX, Temporary};
use super::fingerprint;
use super::inputs::Inputs;
use super::keep::Keep;
use super::kit::Kit;
use super::pane::Pane;
use super::parse::{self, Parsed};
use super::patch;
use super::run::Cancelled;
use super::secrets;
use super::version::Version;
use crate::config::gate::GateConfig;
use crate::domain::gate::Kind;
use crate::process::beside::Stop;

/// From SIGTERM to SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(5);

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
    /// What lay in the place of the report before.
    before: OnceCell<Aside>,
}

/// A file that was put aside, and comes back if nobody has put another in its place: what `output` names may be
/// anything, by a slip.
struct Aside {
    place: PathBuf,
    kept: PathBuf,
}

impl Drop for Aside {
    fn drop(&mut self) {
        let back = match self.place.symlink_metadata() {
            Ok(_) => Ok(()),
            Err(_) => std::fs::copy(&self.kept, &self.place).map(drop),
        };
        if let Err(error) = back.and_then(|()| std::fs::remove_file(&self.kept)) {
            let (file, kept) = (self.place.display(), self.kept.display());
            tracing::error!(%error, %file, %kept, "what lay in the place of a report cannot be put back");
        }
    }
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
        let done: Box<Done> = self.context.cache?.get(&self.key(version)?)?;
        // To a required gate that is an error, which is never kept.
        (done.parsed.unreachable.is_none() || !self.gate.required).then_some(done)
    }

    /// What a run that is believed comes to.
    fn believed(done: Box<Done>, cached: bool) -> Scan {
        match done.parsed.unreachable {
            Some(why) => Scan::Missing(why),
            None => Scan::Done { done, cached },
        }
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
            return Ok(Self::believed(done, true));
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
                Ok(Self::believed(done, false))
            }
            Err(Broken::Cancelled) => Err(Cancelled),
            Err(Broken::Missing(why)) => Ok(Scan::Missing(why)),
            Err(Broken::Because(why)) => Ok(Scan::Error(advised(why, &files), seconds)),
        }
    }

    /// Tree, tool, configuration, command, and what a run sees besides; `None` for a worktree that is no
    /// tree, or a tool that does not say which one it is.
    fn key(&self, version: &Version) -> Option<String> {
        let tree = self.context.trees.tree(self.side)?;
        let gate = self.gate;
        let besides = match self.room() {
            Room::Reading => String::new(),
            Room::Working => self.context.trees.besides(self.side)?,
        };
        let history = match gate.preset {
            // A command of the person's own may be about a commit.
            None => self.context.trees.history(self.side).ok()?.map(|commit| commit.to_string()),
            Some(_) => None,
        };
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
            &besides,
            &history.unwrap_or_default(),
            &besides::variables(self.context.env),
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
        self.can_be_named(&root, files)?;
        let mut ready = self.ready(&root, files)?;
        if let Some(keep) = keep {
            ready.places.keep.clone_from(&keep.dir);
        }
        let own = ready.places.tmp.clone();
        let tmp = Temporary::make(&own)?;
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
        let judged = self.perform(parser, (&mut ready, &argv), (&root, files), seconds, pane).await;
        drop((slots, placed, tmp));
        self.undisturbed()?;
        let mut parsed = match (judged, self.untouched()) {
            (judged, Ok(())) => judged?,
            (Ok(_), Err(did)) => return Err(did.into()),
            (Err(Broken::Because(why)), Err(did)) => return Err(format!("{why}; {did}").into()),
            (Err(other), Err(did)) => {
                pane.line(&format!("  {did}"));
                return Err(other);
            }
        };
        self.stamp(&root, files, &mut parsed);
        // After the fingerprints: they are the same on every machine, whatever secrets it knows.
        secrets::leave_out_of(&mut parsed);
        Ok(parsed)
    }

    /// The tool's run, what it says, and what of it is run once more.
    async fn perform(
        &self,
        parser: parse::Parser,
        (ready, argv): (&mut Ready, &[String]),
        (root, files): (&Path, &[String]),
        seconds: &mut f64,
        pane: &mut Pane<'_, '_>,
    ) -> Result<Parsed, Broken> {
        let outcome = self.execute(ready, argv, pane).await?;
        *seconds = outcome.seconds;
        let mut parsed = if self.gate.parser == "detect-secrets" {
            let mut parsed = self.read_secrets(parser, (ready, argv), &outcome, seconds, pane).await?;
            self.look_where_it_does_not(root, files, &mut parsed)?;
            parsed
        } else {
            self.read(parser, ready, &outcome)?
        };
        self.saw_what_is_there(root, files, &parsed)?;
        self.tell_large(root, files, &mut parsed);
        if self.gate.parser == "pytest" {
            self.rerun(ready, argv, &mut parsed, seconds, pane).await?;
        }
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

    /// Whoever cleans temporary directories may have taken a tool's files away under it.
    fn undisturbed(&self) -> Result<(), Broken> {
        if self.context.tmp.is_dir() {
            return Ok(());
        }
        Err(format!("`{}` was removed while it ran", self.context.tmp.display()).into())
    }

    /// A gate that changes tracked files, or commits, is void: what it judged is not the tree.
    fn untouched(&self) -> Result<(), String> {
        let trees = self.context.trees;
        let moved = trees
            .moved(self.side, self.room())
            .map_err(|why| format!("cannot tell what is checked out: {why}"))?;
        let changed = trees
            .modified(self.side, self.room())
            .map_err(|why| format!("cannot compare the worktree with its tree: {why}"))?;
        let did = match (changed.as_slice(), moved) {
            ([], None) => return Ok(()),
            (_, Some(moved)) => moved,
            ([only], None) => format!("it changed tracked files (`{only}`)"),
            ([first, more @ ..], None) => {
                format!("it changed tracked files (`{first}` and {} more)", more.len())
            }
        };
        match trees.restore(self.side) {
            Ok(()) => Err(format!("{did}, so its verdict is void")),
            Err(why) => Err(format!("{did}, and the worktree cannot be restored: {why}")),
        }
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
        if matches!(self.gate.parser.as_str(), "mypy" | "radon" | "ruff") {
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
}
