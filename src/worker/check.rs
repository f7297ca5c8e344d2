//! A `check` stage: the candidate, its gates, and an agent's verdict where the role has one.
//! Also the base before the first task, which is a check without a task.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use super::life::Desk;
use super::review;
use super::screen::Screen;
use super::select::{Tree, gates_on};
use super::trees::{CandidateTrees, identity};
use crate::agents::feedback::FeedbackFinding;
use crate::config::gate::GateConfig;
use crate::config::layout::SLOTS_VARIABLE;
use crate::domain::gate::{Finding, GateResult, Status, Verdict, overall};
use crate::domain::ids::{CommitSha, TaskId};
use crate::domain::report::{Candidate, Feedback, GateRecord, Report};
use crate::error::chain;
use crate::gates::{self, BaseScan, Cache, Context, Side, Thresholds, Trees};
use crate::git::candidate::{self, Request};
use crate::process::limits::Bounds;
use crate::process::slots::Slots;
use crate::process::system;

/// Findings that the next attempt is told, at most.
const FINDINGS_MAX: usize = 100;
/// Of the finding that is named in a reason so many characters.
const FIRST_MAX: usize = 120;

/// Does the run.
pub(super) fn run(desk: &Desk<'_>, screen: &mut Screen) -> Report {
    let Some(task) = desk.run.job.task.clone() else { return base(desk, screen) };
    let candidate = match candidate(desk, screen, &task) {
        Ok(candidate) => candidate,
        Err(report) => return *report,
    };
    match judge(desk, screen, &candidate) {
        Ok(report) => report,
        Err(reason) => Report::Errored { reason },
    }
}

/// The attempt's candidate: the one that there is, or a new one on the integration head.
fn candidate(desk: &Desk<'_>, screen: &mut Screen, task: &TaskId) -> Result<Candidate, Box<Report>> {
    if let Some(candidate) = &desk.run.job.candidate {
        return Ok(candidate.clone());
    }
    make_candidate(desk, screen, task)
}

/// Merges the task's head with the integration head, the task's box ticked.
pub(super) fn make_candidate(
    desk: &Desk<'_>,
    screen: &mut Screen,
    task: &TaskId,
) -> Result<Candidate, Box<Report>> {
    let job = &desk.run.job;
    let Some(head) = &job.head else {
        return Err(Box::new(Report::Errored { reason: "the task has no work to check".to_owned() }));
    };
    let tasks_path = format!("{}/tasks.md", job.dir);
    let tick = |bytes: &[u8]| crate::feature::tick(bytes, task);
    let identity = identity(desk);
    let request = Request {
        integration: &job.base,
        head,
        feature: &job.feature,
        task,
        attempt: job.attempt,
        title: &job.title,
        tasks_file: Some((&tasks_path, &tick)),
        identity: &identity,
        date: job.stamp_s,
    };
    match candidate::make(&desk.place.repo, &request) {
        Ok(candidate::Candidate::Made { commit, tree }) => {
            screen.say(&format!("candidate {} on {}", commit.short(), job.base.short()));
            Ok(Candidate { commit, tree, base: job.base.clone(), head: head.clone() })
        }
        Ok(candidate::Candidate::Conflict { paths, details }) => {
            screen.say(&format!("conflicts with the integration branch: {}", paths.join(", ")));
            Err(Box::new(conflict(desk, &paths, &details)))
        }
        Ok(candidate::Candidate::NoChange) => Err(Box::new(Report::NothingToDo {
            reason: "its commits change nothing that the integration branch does not have".to_owned(),
        })),
        Err(error) => Err(Box::new(Report::Errored { reason: chain(&error) })),
    }
}

fn conflict(desk: &Desk<'_>, paths: &[String], details: &str) -> Report {
    let stage = desk.run.job.stage.as_ref().map(ToString::to_string).unwrap_or_default();
    let reason = format!("conflict with the integration branch in {}", paths.join(", "));
    tracing::debug!(details, "conflict");
    let findings = paths.iter().map(|path| json(&FeedbackFinding::conflict(path))).collect();
    Report::Failed { reason: reason.clone(), feedback: Some(Feedback { stage, reason, findings }) }
}

fn json(finding: &FeedbackFinding) -> serde_json::Value {
    serde_json::to_value(finding).expect("a finding is plain data")
}

/// What the gates of a stage say of the candidate.
pub(super) struct Checked {
    pub(super) verdict: Verdict,
    pub(super) candidate: Candidate,
    pub(super) gates: Vec<GateRecord>,
    pub(super) feedback: Option<Feedback>,
    /// What a review found and does not send back.
    pub(super) remarks: Vec<serde_json::Value>,
    pub(super) summary: String,
}

impl Checked {
    /// As the supervisor wants it.
    pub(super) fn report(self) -> Report {
        Report::Checked {
            verdict: self.verdict,
            candidate: Some(self.candidate),
            gates: self.gates,
            feedback: self.feedback,
            remarks: self.remarks,
            summary: self.summary,
        }
    }
}

/// Runs the stage's gates on the candidate.
fn judge(desk: &Desk<'_>, screen: &mut Screen, candidate: &Candidate) -> Result<Report, String> {
    let stage = desk.run.job.stage.clone().ok_or("a check stage has a name")?;
    let gates = gates_for(desk, &candidate.commit, Some(&candidate.base), |gate| gate.stage == stage)?;
    let results = run_gates(desk, screen, &candidate.commit, Some(&candidate.base), &gates, Fresh::No)?;
    let verdict = overall(results.iter().map(|result| result.verdict));
    let checked = Checked {
        verdict,
        candidate: candidate.clone(),
        gates: records(&gates, &results, &candidate.tree),
        feedback: (verdict == Verdict::Fail).then(|| feedback(stage.as_str(), &results)),
        remarks: Vec::new(),
        summary: summary(&results),
    };
    match verdict {
        // What the gates let through, the role's agent may still send back.
        Verdict::Pass | Verdict::Skipped => review::review(desk, screen, checked),
        Verdict::Fail | Verdict::Error => Ok(checked.report()),
    }
}

/// The gates of all stages on the commit that the feature begins on. Only an absolute gate that
/// is red twice refuses; what is old is only told.
fn base(desk: &Desk<'_>, screen: &mut Screen) -> Report {
    match base_results(desk, screen) {
        Ok(results) => {
            let red: Vec<&GateResult> = results.iter().filter(|result| result.refuses_start()).collect();
            let error = results.iter().any(|result| result.verdict == Verdict::Error);
            let verdict = if error {
                Verdict::Error
            } else if red.is_empty() {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
            // What is red and old is no reason: it is not named as one.
            let refusing: Vec<GateResult> = red.into_iter().cloned().collect();
            let told = if verdict == Verdict::Fail { &refusing } else { &results };
            Report::Checked {
                verdict,
                candidate: None,
                gates: Vec::new(),
                feedback: None,
                remarks: Vec::new(),
                summary: summary(told),
            }
        }
        Err(reason) => Report::Errored { reason },
    }
}

fn base_results(desk: &Desk<'_>, screen: &mut Screen) -> Result<Vec<GateResult>, String> {
    let base = &desk.run.job.base;
    let gates = gates_for(desk, base, None, |_| true)?;
    let mut results = run_gates(desk, screen, base, None, &gates, Fresh::No)?;
    for (gate, result) in gates.iter().zip(&mut results) {
        if result.refuses_start() {
            screen.say(&format!("{} is red on the base; it runs once more", gate.name));
            let again = run_gates(desk, screen, base, None, std::slice::from_ref(gate), Fresh::Yes)?;
            *result = again.into_iter().next().ok_or("a gate that runs has a result")?;
        }
    }
    Ok(results)
}

/// The enabled gates that take part on this tree and that `wanted` wants, in their order.
pub(super) fn gates_for(
    desk: &Desk<'_>,
    head: &CommitSha,
    base: Option<&CommitSha>,
    wanted: impl Fn(&GateConfig) -> bool,
) -> Result<Vec<GateConfig>, String> {
    let tree = Tree { repo: &desk.place.repo, feature_dir: &desk.run.job.dir, head, base };
    gates_on(&tree, desk.config, wanted)
}

/// Whether kept results are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fresh {
    No,
    Yes,
}

/// Runs gates on `head` held against `base`, each shown in the pane.
pub(super) fn run_gates(
    desk: &Desk<'_>,
    screen: &mut Screen,
    head: &CommitSha,
    base: Option<&CommitSha>,
    gates: &[GateConfig],
    fresh: Fresh,
) -> Result<Vec<GateResult>, String> {
    if gates.is_empty() {
        return Ok(Vec::new());
    }
    let trees = CandidateTrees::open(desk, screen, head, base)?;
    let layout = &desk.place.layout;
    let tmp = scratch(desk)?;
    let cache = Cache::new(&layout.cache().join("gates"));
    let common = desk.place.repo.common_dir.as_path();
    let slots = Slots::new(&slots_directory(), system::cores()).map_err(|error| chain(&error))?;
    let mut env = desk.session.environment();
    env.push((crate::process::tree::RUN_MARK.into(), desk.run.id.as_str().into()));
    let cancel = || {
        super::life::beat_now_and_then(desk.place);
        desk.interrupts.run_ends(&desk.run.id).is_some()
    };
    // A pane has a fixed environment: where the tools are, only the person's says.
    let persons = |name: &str| env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let tools = crate::config::layout::tools_directory(persons).map(|dir| dir.join("bin"));
    let context = Context {
        trees: &trees,
        subdir: &desk.config.general.root,
        env: &env,
        tools: tools.as_deref(),
        tmp: &tmp,
        cache: Some(&cache),
        slots: Some(&slots),
        thresholds: Thresholds::from(desk.config),
        bounds: Some(Bounds::of(&desk.config.limits)),
        base: BaseScan::WhenNeeded,
        fresh: fresh == Fresh::Yes,
        cancel: &cancel,
        end_left: &gates::end_left,
        watch: None,
        // Before the first task everything is told at once.
        all: base.is_none() || desk.config.gates.all,
        usual: &|name| gates::recall(&cache, common, name),
    };
    tracing::debug!(head = %head, gates = gates.len(), tree = trees.tree(Side::Head), "gates");
    let results =
        gates::run_gates(gates, &context, screen as &mut dyn Write).map_err(|error| error.to_string());
    if let Ok(results) = &results {
        gates::remember(&cache, common, results);
    }
    let gone = !tmp.is_dir();
    if let Err(error) = fs::remove_dir_all(&tmp) {
        tracing::debug!(%error, "a scratch directory stays until the sprint ends");
    }
    // Nobody's work is judged by tools whose files were taken away under them.
    let red = |results: &Vec<GateResult>| results.iter().any(|result| result.verdict == Verdict::Fail);
    if gone && results.as_ref().is_ok_and(red) {
        return Err(format!("`{}` was removed while gates ran in it", tmp.display()));
    }
    results
}

/// In the runtime directory, whose path is short: sockets of tools go in there. While that
/// directory is gone, beside the state.
fn scratch(desk: &Desk<'_>) -> Result<PathBuf, String> {
    let layout = &desk.place.layout;
    let name = format!("t-{}", std::process::id());
    let (usual, other) = (layout.runtime.join(&name), layout.state.join(&name));
    // Only the last component: the runtime directory is the supervisor's to make.
    let made = |path: &PathBuf| match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(path.clone()),
    };
    made(&usual).or_else(|_| made(&other)).map_err(|error| format!("`{}`: {error}", other.display()))
}

/// One for all sprints of this person on this machine, unless the person names another one.
pub fn slots_directory() -> PathBuf {
    let named = std::env::var_os(SLOTS_VARIABLE).map(PathBuf::from).filter(|path| path.is_absolute());
    named.unwrap_or_else(|| PathBuf::from(format!("/tmp/sprint-slots-{}", nix::unistd::getuid())))
}

/// What is kept of the results, bound to the tree. A gate that was not run to its end because of a
/// red one has said nothing of it.
pub(super) fn records(gates: &[GateConfig], results: &[GateResult], tree: &CommitSha) -> Vec<GateRecord> {
    let record = |(gate, result): (&GateConfig, &GateResult)| GateRecord {
        gate: gate.name.clone(),
        verdict: result.verdict,
        tree: tree.clone(),
        at_merge: gate.at_merge,
        summary: result.reason.clone(),
        flaky: flaky(result),
    };
    let red = overall(results.iter().map(|result| result.verdict)) == Verdict::Fail;
    let said = |(_, result): &(&GateConfig, &GateResult)| !red || result.verdict != Verdict::Skipped;
    gates.iter().zip(results).filter(said).map(record).collect()
}

/// Tests that failed and then passed alone when the gate ran; a kept result tells of an earlier run.
fn flaky(result: &GateResult) -> Vec<String> {
    let is_flaky = |finding: &&Finding| finding.rule == "test-flaky" && finding.status != Status::Fixed;
    let found = result.findings.iter().filter(is_flaky).filter(|_| !result.cached);
    found.map(|finding| finding.symbol.clone()).collect()
}

/// One line for people: what is red, else what is not a pass, or how many passed.
pub(super) fn summary(results: &[GateResult]) -> String {
    let bad = |verdict: Verdict| matches!(verdict, Verdict::Fail | Verdict::Error);
    let any = results.iter().any(|result| bad(result.verdict));
    let tells = |verdict: Verdict| if any { bad(verdict) } else { verdict != Verdict::Pass };
    let notable = results.iter().filter(|result| tells(result.verdict));
    let notable: Vec<String> =
        notable.map(|result| format!("{} {}{}", result.name, result.verdict, in_brackets(result))).collect();
    match results.len() {
        1 if notable.is_empty() => "1 gate passed".to_owned(),
        all if notable.is_empty() => format!("{all} gates passed"),
        _ => notable.join("; "),
    }
}

/// Its reason, and of what blocks the most severe: ` (2 new findings; F401 pkg/a.py:3 first)`.
fn in_brackets(result: &GateResult) -> String {
    let first = result.blocking().min_by_key(|finding| finding.severity).map(|finding| {
        let place = match (finding.path.as_str(), finding.line) {
            ("", _) => String::new(),
            (path, 0) => format!(" {path}"),
            (path, line) => format!(" {path}:{line}"),
        };
        let words: String = format!("{}{place}", finding.rule).chars().take(FIRST_MAX).collect();
        format!("{words} first")
    });
    let reason = Some(result.reason.as_str()).filter(|reason| !reason.is_empty()).map(ToOwned::to_owned);
    let parts: Vec<String> = reason.into_iter().chain(first).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
}

/// What the next attempt is told: new findings of red gates, most severe first.
pub(super) fn feedback(stage: &str, results: &[GateResult]) -> Feedback {
    let mut findings: Vec<FeedbackFinding> = results
        .iter()
        .flat_map(|result| {
            let of_gate = |finding| FeedbackFinding::of_gate(result.name.as_str(), &result.by_hand, finding);
            result.blocking().map(of_gate)
        })
        .collect();
    findings.sort_by_key(|finding| finding.severity);
    let findings = findings.iter().take(FINDINGS_MAX).map(json).collect();
    Feedback { stage: stage.to_owned(), reason: summary(results), findings }
}
