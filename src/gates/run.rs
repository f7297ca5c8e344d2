//! One gate on one candidate, from its trees to its result.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::changes;
use super::context::{BaseScan, Context, Room, Side};
use super::inputs::{Allowed, Inputs};
use super::integrity;
use super::judge::{self, Base, Change, Judged};
use super::lost::{self, Texts};
use super::pane::Pane;
use super::parse::Parsed;
use super::scan::{Done, Scan, Scanner};
use super::secrets;
use super::shown;
use super::validate::validate;
use super::variant;
use super::version::{Asking, Version};
use super::watch::{Moment, Watch};
use crate::config::gate::{Evidence, GateConfig};
use crate::domain::gate::{ChangedLines, Finding, GateResult, Mode, Status, Verdict};
use crate::process::beside::Stop;

/// The caller cancelled; there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the gate was cancelled")]
pub struct Cancelled;

/// A gate that is ready to run, whose tool is already being asked for its version.
pub(super) struct Prepared<'a> {
    gate: Cow<'a, GateConfig>,
    plan: Plan,
}

enum Plan {
    /// Nothing is run: that is its result.
    Said(Box<GateResult>),
    /// sprint itself looks.
    Builtin,
    /// A tool, with what it looks at, where, and which one it is.
    Tool(Box<Tool>),
}

struct Tool {
    inputs: Inputs,
    root: PathBuf,
    asking: Asking,
}

/// Finds out what there is to run. Tools of gates that are prepared one after another say their versions
/// at the same time: one that hangs then keeps them waiting once. Within [`crate::process::beside::wait`].
pub(super) fn prepare<'a>(gate: &'a GateConfig, context: &Context<'_>, stop: &Stop) -> Prepared<'a> {
    let gate = match variant::of(gate, context) {
        Ok(Some(other)) => Cow::Owned(other),
        Ok(None) => Cow::Borrowed(gate),
        Err(why) => {
            let said = without_run(gate, Verdict::Error, &why);
            return Prepared { gate: Cow::Borrowed(gate), plan: Plan::Said(said.into()) };
        }
    };
    let plan = Run { gate: &gate, context, stop }.plan().unwrap_or_else(Plan::Said);
    Prepared { gate, plan }
}

/// Runs one gate and judges it. What goes wrong on the way is a verdict, with its reason.
///
/// # Errors
/// [`Cancelled`] alone, when `stop` says so.
pub(super) async fn run_gate(
    prepared: Prepared<'_>,
    context: &Context<'_>,
    stop: &Stop,
    mut pane: Pane<'_, '_>,
) -> Result<GateResult, Cancelled> {
    let gate: &GateConfig = &prepared.gate;
    let tell = |moment: Moment<'_>| {
        if let Some(watch) = context.watch {
            watch.saw(&gate.name, moment);
        }
    };
    tell(Moment::Began);
    let result = secrets::without(Run { gate, context, stop }.run(prepared.plan, &mut pane).await?);
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
    /// What there is to do, or the result of a gate that runs nothing.
    fn plan(&self) -> Result<Plan, Box<GateResult>> {
        let error = |why: &str| Box::new(self.without_run(Verdict::Error, why));
        validate(self.gate).map_err(|invalid| error(&invalid.to_string()))?;
        let inputs = Inputs::of(self.gate).map_err(|invalid| error(&invalid.to_string()))?;
        Allowed::of(self.gate).map_err(|invalid| error(&invalid.to_string()))?;
        if self.gate.tool.builtin {
            return Ok(Plan::Builtin);
        }
        if let Some(result) = self.nothing_to_check(&inputs) {
            return Err(result.into());
        }
        let root = self.context.root(Side::Head, Room::of(self.gate)).map_err(|why| error(&why))?;
        let asking = Asking::begin(self.gate, self.context, &root, self.stop);
        Ok(Plan::Tool(Tool { inputs, root, asking }.into()))
    }

    async fn run(&self, plan: Plan, pane: &mut Pane<'_, '_>) -> Result<GateResult, Cancelled> {
        let allowed = match Allowed::of(self.gate) {
            Ok(allowed) => allowed,
            Err(error) => return Ok(self.without_run(Verdict::Error, &error.to_string())),
        };
        let Tool { inputs, root, asking } = match plan {
            Plan::Said(result) => return Ok(*result),
            Plan::Builtin => return Ok(self.integrity(&allowed)),
            Plan::Tool(tool) => *tool,
        };
        let version = asking.end().await;
        let said = version.silent.clone();
        if let Some(said) = &said {
            pane.line(&format!("  {said}"));
        }
        let mut result = self.judged(&inputs, &allowed, &root, version, pane).await?;
        if let Some(said) = said {
            let colon = if result.reason.is_empty() { "" } else { "; " };
            result.reason = format!("{}{colon}{said}", result.reason);
        }
        Ok(result)
    }

    async fn judged(
        &self,
        inputs: &Inputs,
        allowed: &Allowed<'_>,
        root: &Path,
        version: Version,
        pane: &mut Pane<'_, '_>,
    ) -> Result<GateResult, Cancelled> {
        let scanner = |side| Scanner::new(self.gate, self.context, inputs, side, self.stop);
        let command = scanner(Side::Head).shown_command(root);
        let usual = (self.context.usual)(&self.gate.name);
        let usual = usual.map_or(String::new(), |seconds| format!(" (usually {seconds:.1} s)"));
        pane.line(&format!("▶ {}{usual}: {}", self.gate.name, shown::command(&command)));
        let blank = GateResult {
            by_hand: scanner(Side::Head).by_hand(root),
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
            let seconds = if cached { 0.0 } else { done.seconds };
            return Ok(GateResult { verdict, seconds, cached, reason, ..blank });
        }
        if let Some(reason) = version.doubt(self.gate, &done.parsed) {
            return Ok(GateResult { reason, seconds: done.seconds, ..blank });
        }
        let lines = match self.changed_lines(&done) {
            Ok(lines) => lines,
            Err(why) => {
                let reason = format!("cannot tell what the candidate changes: {why}");
                return Ok(GateResult { reason, ..blank });
            }
        };
        let mut base = self.base(&scanner(Side::Base), &done, &version, pane).await?;
        let lost = self.lost_tests(&done.parsed, &base, root);
        allowed.mark(&mut done.parsed.findings);
        if let Base::Scanned(parsed) = &mut base {
            allowed.mark(&mut parsed.findings);
        }
        let seconds = if cached { 0.0 } else { done.seconds };
        let tests = done.parsed.tests;
        let was = base.tests();
        let any_red = [tests, was].iter().any(|tests| tests.failed.saturating_add(tests.errors) > 0);
        let distrust = any_red.then(|| self.context.trees.distrust()).flatten();
        let change = Change {
            distrust: distrust.as_deref(),
            left_behind: &|name| self.context.trees.left_behind(name),
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
        let (mut head, mut base) = match changes::look(self.context, &changed) {
            Ok(looked) => looked,
            Err(why) => return self.without_run(Verdict::Error, &why),
        };
        allowed.mark(&mut head.findings);
        allowed.mark(&mut base.findings);
        let change = Change {
            distrust: None,
            left_behind: &|_| false,
            lines: &ChangedLines::new(),
            touches: &|_| true,
            allow: &|_| {},
        };
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
        // Where the repository names its files of tests itself.
        let named = Inputs::of(self.gate).ok().filter(|_| self.gate.parser == "pytest");
        let decides = |files: Vec<String>| {
            let mut tests = named.iter().flat_map(|named| named.of_tree(&files, self.context.subdir));
            let mut others = files.iter().filter(|path| lost::decides(path));
            tests.any(|path| trees.changed(path)) || others.any(|path| trees.changed(path))
        };
        !head.ran.is_empty()
            && self.gate.mode != Mode::Report
            && [Side::Head, Side::Base].into_iter().any(|side| trees.files(side).is_ok_and(decides))
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
            (Ok(n), Mode::New | Mode::Absolute | Mode::Strict) => self.without_run(
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
                .filter(|done| done.parsed.unreachable.is_none())
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
