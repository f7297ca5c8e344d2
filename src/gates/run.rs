//! One gate on one candidate, from its trees to its result.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::cache::Cache;
use super::changes;
use super::inputs::{Allowed, Inputs};
use super::integrity;
use super::judge::{self, Base, Change, Judged, Thresholds};
use super::lost::{self, Texts};
use super::pane::Pane;
use super::parse::Parsed;
use super::scan::{Done, Scan, Scanner};
use super::secrets;
use super::shown;
use super::tools;
use super::validate::validate;
use super::variant;
use super::version::Version;
use super::watch::{Moment, Watch};
use crate::config::gate::{Evidence, GateConfig};
use crate::domain::gate::{ChangedLines, Finding, GateResult, Mode, Status, Verdict};
use crate::domain::ids::GateName;
use crate::process::beside::Stop;
use crate::process::slots::Slots;

/// Which of the two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The candidate.
    Head,
    /// Its first parent, or what else it is held against.
    Base,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "candidate",
            Self::Base => "base",
        })
    }
}

/// Which worktree of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room {
    /// For gates that only read it; many may at once.
    Reading,
    /// For one that may run the tree's own code, which can write there.
    Working,
}

impl Room {
    /// The one for this gate.
    pub(super) fn of(gate: &GateConfig) -> Self {
        if gate.tool.reads { Self::Reading } else { Self::Working }
    }
}

/// The trees of a candidate and its base, from whoever knows git. What goes wrong is a text for
/// people: it becomes the reason of a verdict `error`.
pub trait Trees {
    /// The tree's object id; `None` for a worktree as it is, whose results are not kept.
    fn tree(&self, side: Side) -> Option<String>;

    /// Whether there is a base to compare with. Without one, every finding is new.
    fn has_base(&self) -> bool;

    /// The files of the tree, relative to the repository's root.
    ///
    /// # Errors
    /// Why they cannot be listed.
    fn files(&self, side: Side) -> Result<Vec<String>, String>;

    /// The root of a worktree of exactly that tree, cleaned of what other gates left. Called before
    /// every run of a tool, and for the base only when it is needed.
    ///
    /// # Errors
    /// Why there is none.
    fn checkout(&self, side: Side, room: Room) -> Result<PathBuf, String>;

    /// The root of that worktree as it is, to look for what was prepared there.
    ///
    /// # Errors
    /// Why there is none.
    fn root(&self, side: Side, room: Room) -> Result<PathBuf, String> {
        self.checkout(side, room)
    }

    /// Whether the two rooms are worktrees of their own, so that gates may run in both at once.
    fn apart(&self) -> bool {
        false
    }

    /// What the worktree is called, among all of this person; `None`: nothing is kept for it.
    fn slot(&self, _side: Side) -> Option<String> {
        None
    }

    /// Tracked files of that worktree which differ from the tree now.
    ///
    /// # Errors
    /// Why they cannot be compared.
    fn modified(&self, side: Side, room: Room) -> Result<Vec<String>, String>;

    /// Makes that worktree the tree again, after a gate has changed it.
    ///
    /// # Errors
    /// Why it cannot.
    fn restore(&self, side: Side) -> Result<(), String>;

    /// Whether the path is a file in the candidate or in the base.
    fn is_file(&self, path: &str) -> bool;

    /// Whether the candidate changes, adds or removes that file.
    fn changed(&self, path: &str) -> bool;

    /// Whether the task that is judged names that file.
    fn named_by_task(&self, path: &str) -> bool;

    /// The file's content in the base.
    fn base_file(&self, path: &str) -> Option<Vec<u8>>;

    /// Renamed files: (path in the base, path in the candidate).
    fn renames(&self) -> Vec<(String, String)>;

    /// The lines that the candidate adds or changes; none without a base.
    ///
    /// # Errors
    /// Why they cannot be told.
    fn changed_lines(&self) -> Result<ChangedLines, String>;
}

/// When the base is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseScan {
    /// When the candidate has something that the base could excuse, or a result is kept: a clean
    /// candidate needs no second run.
    WhenNeeded,
    /// Always, so that what was fixed is shown too.
    Always,
}

/// What a gate runs in.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Candidate and base.
    pub trees: &'a dyn Trees,
    /// `general.root`: where gates start, relative to the repository; empty for its root.
    pub subdir: &'a str,
    /// The person's environment, less sprint's secrets.
    pub env: &'a [(OsString, OsString)],
    /// sprint's own tools, last in PATH.
    pub tools: Option<&'a Path>,
    /// An existing directory for temporary files, of this run alone. Short: sockets go in there.
    pub tmp: &'a Path,
    /// Kept results.
    pub cache: Option<&'a Cache>,
    /// The machine's gate slots; `None` only in tests.
    pub slots: Option<&'a Slots>,
    /// From `[quality]`.
    pub thresholds: Thresholds,
    /// When the base is scanned.
    pub base: BaseScan,
    /// Whether kept results are not believed: a red base runs once more.
    pub fresh: bool,
    /// Asked at least ten times a second.
    pub cancel: &'a dyn Fn() -> bool,
    /// Called when a tool has ended: ends what it left running, or says why that is not possible.
    pub end_left: &'a dyn Fn() -> Result<(), String>,
    /// Who looks on.
    pub watch: Option<&'a dyn Watch>,
    /// Whether a red gate leaves the others running; else they are cancelled.
    pub all: bool,
    /// Seconds that a gate took last, where that is known: long ones begin first.
    pub usual: &'a dyn Fn(&GateName) -> Option<f64>,
}

impl Context<'_> {
    /// PATH for a gate in that worktree. A virtual environment that the candidate itself brings or
    /// changes does not count: its `pytest` would be the judge of its own cause.
    pub(super) fn search_path(&self, gate: &GateConfig, root: &Path) -> OsString {
        let path = tools::search_path(root, self.variable("PATH"), self.tools);
        let others = std::env::split_paths(&path).filter(|directory| !directory.starts_with(root));
        let own = self.own_programs(gate).into_iter().map(|directory| root.join(directory));
        std::env::join_paths(own.chain(others)).unwrap_or_default()
    }

    /// The directories of the worktree that a gate's programs may come from, first ones first.
    pub(super) fn own_programs(&self, gate: &GateConfig) -> Vec<String> {
        let files = self.trees.files(Side::Head);
        let brings = |directory: &str| {
            let own = |path: &String| {
                path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
                    && self.trees.changed(path)
            };
            files.as_ref().map_or(true, |files| files.iter().any(own))
        };
        let usable = tools::own_directories(gate, self.subdir);
        usable.into_iter().filter(|(dir, _)| !brings(dir)).map(|(dir, bin)| format!("{dir}/{bin}")).collect()
    }

    /// Where files lie that gates bring along.
    pub(super) fn kit(&self) -> PathBuf {
        self.cache.map_or_else(|| self.tmp.join("kit"), |cache| cache.beside("kit"))
    }

    /// The root of that side's worktree as tools see it: they print real paths, and one that does
    /// not begin with the root could not be compared with the base's.
    pub(super) fn checkout(&self, side: Side, room: Room) -> Result<PathBuf, String> {
        real(side, self.trees.checkout(side, room))
    }

    /// The root of that side's worktree, to look for programs and the like.
    pub(super) fn root(&self, side: Side, room: Room) -> Result<PathBuf, String> {
        real(side, self.trees.root(side, room))
    }

    /// A variable of the person's environment.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_os_str())
    }
}

fn real(side: Side, root: Result<PathBuf, String>) -> Result<PathBuf, String> {
    let told = |why: &dyn fmt::Display| format!("cannot check out the {side}: {why}");
    root.map_err(|why| told(&why))?.canonicalize().map_err(|error| told(&error))
}

/// The caller cancelled; there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the gate was cancelled")]
pub struct Cancelled;

/// Runs one gate and judges it. What goes wrong on the way is a verdict, with its reason.
///
/// # Errors
/// [`Cancelled`] alone, when `stop` says so.
pub(super) async fn run_gate(
    gate: &GateConfig,
    context: &Context<'_>,
    stop: &Stop,
    mut pane: Pane<'_, '_>,
) -> Result<GateResult, Cancelled> {
    let tell = |moment: Moment<'_>| {
        if let Some(watch) = context.watch {
            watch.saw(&gate.name, moment);
        }
    };
    tell(Moment::Began);
    let result = secrets::without(Run { gate, context, stop }.run(&mut pane).await?);
    tell(Moment::Ended(&result));
    let told = context.watch.is_some_and(Watch::tells_findings);
    shown::result(&result, !told, &mut pane);
    Ok(result)
}

#[derive(Clone, Copy)]
struct Run<'a> {
    gate: &'a GateConfig,
    context: &'a Context<'a>,
    stop: &'a Stop,
}

impl Run<'_> {
    async fn run(&self, pane: &mut Pane<'_, '_>) -> Result<GateResult, Cancelled> {
        match variant::of(self.gate, self.context) {
            Ok(Some(gate)) => Run { gate: &gate, ..*self }.run_as_it_is(pane).await,
            Ok(None) => self.run_as_it_is(pane).await,
            Err(why) => Ok(self.without_run(Verdict::Error, &why)),
        }
    }

    async fn run_as_it_is(&self, pane: &mut Pane<'_, '_>) -> Result<GateResult, Cancelled> {
        if let Err(error) = validate(self.gate) {
            return Ok(self.without_run(Verdict::Error, &error.to_string()));
        }
        let inputs = match Inputs::of(self.gate) {
            Ok(inputs) => inputs,
            Err(error) => return Ok(self.without_run(Verdict::Error, &error.to_string())),
        };
        let allowed = match Allowed::of(self.gate) {
            Ok(allowed) => allowed,
            Err(error) => return Ok(self.without_run(Verdict::Error, &error.to_string())),
        };
        if self.gate.tool.builtin {
            return Ok(self.integrity(&allowed));
        }
        if let Some(result) = self.nothing_to_check(&inputs) {
            return Ok(result);
        }
        let root = match self.context.root(Side::Head, Room::of(self.gate)) {
            Ok(root) => root,
            Err(why) => return Ok(self.without_run(Verdict::Error, &why)),
        };
        let version = Version::ask(self.gate, self.context, &root, self.stop).await;
        let scanner = |side| Scanner::new(self.gate, self.context, &inputs, side, self.stop);
        let command = scanner(Side::Head).shown_command(&root);
        let usual = (self.context.usual)(&self.gate.name);
        let usual = usual.map_or(String::new(), |seconds| format!(" (usually {seconds:.1} s)"));
        pane.line(&format!("▶ {}{usual}: {}", self.gate.name, shown::command(&command)));
        let blank = GateResult {
            by_hand: scanner(Side::Head).by_hand(&root),
            command,
            tool_version: version.text.clone(),
            ..self.without_run(Verdict::Error, "")
        };
        let (mut done, cached) = match scanner(Side::Head).scan(&version, pane).await? {
            Scan::Done { done, cached } => (done, cached),
            Scan::Nothing => {
                return Ok(GateResult {
                    verdict: Verdict::Skipped,
                    reason: "nothing to check".into(),
                    ..blank
                });
            }
            Scan::Missing(why) if self.gate.required => return Ok(GateResult { reason: why, ..blank }),
            Scan::Missing(why) => return Ok(GateResult { verdict: Verdict::Skipped, reason: why, ..blank }),
            Scan::Error(why, seconds) => return Ok(GateResult { reason: why, seconds, ..blank }),
        };
        if let Some(reason) = done.parsed.nothing.clone() {
            let (verdict, reason) = self.nothing_left(&scanner(Side::Base), reason, &version, pane).await?;
            return Ok(GateResult { verdict, reason, seconds: done.seconds, ..blank });
        }
        let lines = match self.changed_lines(&done) {
            Ok(lines) => lines,
            Err(why) => {
                let reason = format!("cannot tell what the candidate changes: {why}");
                return Ok(GateResult { reason, ..blank });
            }
        };
        let mut base = self.base(&scanner(Side::Base), &done, &version, pane).await?;
        let lost = self.lost_tests(&done.parsed, &base, &root);
        allowed.mark(&mut done.parsed.findings);
        if let Base::Scanned(parsed) = &mut base {
            allowed.mark(&mut parsed.findings);
        }
        let seconds = if cached { 0.0 } else { done.seconds };
        let change = Change {
            lines: &lines,
            touches: &|path| self.context.trees.changed(path),
            allow: &|found| allowed.mark(found),
        };
        let Judged { verdict, findings, metrics, reason } =
            judge::judge(self.gate.mode, &done.parsed, &base, &lost, self.context.thresholds, change);
        Ok(GateResult {
            verdict,
            findings,
            metrics,
            reason,
            seconds,
            cached,
            tests: done.parsed.tests,
            ..blank
        })
    }

    /// A tool that finds nothing to do is passed by, unless it had something at the base: then the
    /// candidate has removed what was judged. What a change leaves to mutate says nothing of the base.
    async fn nothing_left(
        &self,
        base: &Scanner<'_>,
        reason: String,
        version: &Version,
        pane: &mut Pane<'_, '_>,
    ) -> Result<(Verdict, String), Cancelled> {
        let asks = self.gate.mode != Mode::Report && self.gate.tool.evidence != Evidence::Mutants;
        if !asks || !self.context.trees.has_base() {
            return Ok((Verdict::Skipped, reason));
        }
        pane.line(&format!("  {reason}; and at the base"));
        Ok(match base.scan(version, pane).await? {
            Scan::Done { done, .. } if done.parsed.nothing.is_none() => {
                (Verdict::Fail, format!("{reason}, but the base has something to check"))
            }
            Scan::Error(why, _) => {
                (Verdict::Error, format!("{reason}; the base could not be checked: {why}"))
            }
            Scan::Done { .. } | Scan::Nothing | Scan::Missing(_) => (Verdict::Skipped, reason),
        })
    }

    /// What the change does to those who judge it: nothing is started, and nothing is kept.
    fn integrity(&self, allowed: &Allowed<'_>) -> GateResult {
        if !self.context.trees.has_base() {
            return self.without_run(Verdict::Skipped, "there is nothing to compare with");
        }
        let began = Instant::now();
        let changed = match changes::collect(self.context) {
            Ok(changed) => changed,
            Err(why) => return self.without_run(Verdict::Error, &why),
        };
        let (mut head, mut base) = changes::look(self.context, &changed);
        allowed.mark(&mut head.findings);
        allowed.mark(&mut base.findings);
        let change = Change { lines: &ChangedLines::new(), touches: &|_| true, allow: &|_| {} };
        let base = Base::Scanned(Box::new(base));
        let judged = judge::judge(self.gate.mode, &head, &base, &[], self.context.thresholds, change);
        let Judged { verdict, mut findings, reason, .. } = judged;
        // A mark less is nothing to tell anybody.
        findings.retain(|finding| finding.status != Status::Fixed);
        let seconds = began.elapsed().as_secs_f64();
        let by_hand = self.gate.command.join(" ");
        GateResult { seconds, by_hand, findings, ..self.without_run(verdict, &reason) }
    }

    /// Only coverage is held against lines.
    fn changed_lines(&self, done: &Done) -> Result<ChangedLines, String> {
        match done.parsed.coverage {
            Some(_) if self.context.trees.has_base() => self.context.trees.changed_lines(),
            _ => Ok(ChangedLines::new()),
        }
    }

    /// Tests that ran at the base and are passed by now.
    fn lost_tests(&self, head: &Parsed, base: &Base, root: &Path) -> Vec<Finding> {
        let (Base::Scanned(base), trees) = (base, self.context.trees) else { return Vec::new() };
        let files = trees.files(Side::Head).unwrap_or_default();
        let renames = trees.renames();
        let old = |new: &str| {
            let known = renames.iter().find(|(_, other)| other == new);
            known.map_or(new.to_owned(), |(old, _)| old.clone())
        };
        let decided = files
            .iter()
            .any(|path| integrity::is_setting(path) && trees.changed(path) && trees.named_by_task(path));
        let texts = Texts {
            files: &files,
            base: &|path| trees.base_file(&old(path)),
            head: &|path| changes::read(root, path).ok()?.0,
            renamed: &|path| {
                renames.iter().find(|(old, _)| old == path).map_or(path, |(_, new)| new).to_owned()
            },
            changed: &|path| trees.changed(path),
            named: &|path| decided || trees.named_by_task(path),
        };
        lost::findings(head, base, &texts)
    }

    /// Whether the candidate changes what decides which tests run: then the base's are run too, to be
    /// held against them.
    fn could_lose_tests(&self, head: &Parsed) -> bool {
        let trees = self.context.trees;
        let decides = |path: &String| lost::decides(path) && trees.changed(path);
        !head.ran.is_empty()
            && self.gate.mode != Mode::Report
            && [Side::Head, Side::Base]
                .into_iter()
                .any(|side| trees.files(side).is_ok_and(|files| files.iter().any(decides)))
    }

    fn without_run(&self, verdict: Verdict, reason: &str) -> GateResult {
        without_run(self.gate, verdict, reason)
    }

    /// A tree without anything that the gate looks at passes it by, unless the base had some: then
    /// the candidate has removed what was judged.
    fn nothing_to_check(&self, inputs: &Inputs) -> Option<GateResult> {
        if !inputs.any() {
            return None;
        }
        let trees = self.context.trees;
        let count = |side| trees.files(side).map(|files| inputs.count(&files, self.context.subdir));
        match count(Side::Head) {
            Ok(0) => {}
            Ok(_) => return None,
            Err(why) => {
                return Some(self.without_run(Verdict::Error, &format!("cannot list the candidate: {why}")));
            }
        }
        let nothing = self.nothing(inputs);
        let before = if trees.has_base() { count(Side::Base) } else { Ok(0) };
        Some(match (before, self.gate.mode) {
            (Ok(0), _) => self.without_run(Verdict::Skipped, &nothing),
            (Ok(n), Mode::Report) => {
                self.without_run(Verdict::Skipped, &format!("{nothing}; the base has {n} files"))
            }
            (Ok(n), Mode::New | Mode::Absolute) => self.without_run(
                Verdict::Fail,
                &format!("the base has {n} files for this gate to check, the candidate has none"),
            ),
            (Err(why), _) => self.without_run(Verdict::Error, &format!("cannot list the base: {why}")),
        })
    }

    /// Why there is nothing to check.
    fn nothing(&self, inputs: &Inputs) -> String {
        let files = self.context.trees.files(Side::Head).unwrap_or_default();
        match self.gate.tool.detect.as_slice() {
            [first, more @ ..] if !inputs.detects(&files, self.context.subdir) => {
                let alike = if more.is_empty() { "" } else { " or the like" };
                format!("nothing to check: there is no `{first}`{alike}")
            }
            _ => "nothing to check".to_owned(),
        }
    }

    async fn base(
        &self,
        scanner: &Scanner<'_>,
        head: &Done,
        version: &Version,
        pane: &mut Pane<'_, '_>,
    ) -> Result<Base, Cancelled> {
        if !self.context.trees.has_base() {
            return Ok(Base::None);
        }
        if self.gate.tool.evidence == Evidence::Mutants {
            // What became of other mutants there excuses nothing, and takes as long again.
            return Ok(Base::NotNeeded);
        }
        let wanted = self.context.base == BaseScan::Always
            || judge::needs_base(&head.parsed, self.context.thresholds)
            || self.could_lose_tests(&head.parsed);
        if !wanted {
            return Ok(scanner
                .kept(version)
                .map_or(Base::NotNeeded, |done| Base::Scanned(done.parsed.into())));
        }
        pane.line("  and at the base, to compare");
        Ok(match scanner.scan(version, pane).await? {
            Scan::Done { done, .. } => Base::Scanned(done.parsed.into()),
            Scan::Nothing => Base::Scanned(Box::default()),
            Scan::Missing(why) | Scan::Error(why, _) => Base::Error(why),
        })
    }
}

/// A result where no tool ran.
pub(super) fn without_run(gate: &GateConfig, verdict: Verdict, reason: &str) -> GateResult {
    GateResult {
        name: gate.name.clone(),
        verdict,
        mode: gate.mode,
        tool_version: None,
        seconds: 0.0,
        cached: false,
        command: gate.command.clone(),
        by_hand: String::new(),
        findings: Vec::new(),
        metrics: Vec::new(),
        tests: crate::domain::gate::TestCounts::default(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
