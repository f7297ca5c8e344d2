//! A run's report meets its task: whether it fits the stage, what of it is kept, what follows.
//!
//! A worker only claims. What cannot be true here (a pass out of the merge queue, a candidate of
//! another head, a gate that is missing) never moves a task on.

use super::accounts;
use super::budget::{self, Scope};
use super::draft::Draft;
use super::effect::Effect;
use super::flaky;
use super::gate::Verdict;
use super::ids::{CommitSha, FeatureId, RunId};
use super::moves::{Because, check_again, feed, set};
use super::pipeline::StageKind;
use super::policy::Policy;
use super::report::{Candidate, GateRecord, Report};
use super::state::Run;
use super::task::{Input, Status, Task, TaskKey, TaskName};

/// Applies the report of a run that counts.
pub(super) fn reported(draft: &mut Draft<'_>, key: &TaskKey, run: &Run, report: &Report) {
    let of_this_run = matches!(
        draft.task(key).map(|task| &task.status),
        Some(Status::Running { run: running }) if *running == run.id
    );
    if !of_this_run {
        draft.say_task("report_ignored", key, "a report for a run that the task is not in");
    } else if !fits(run, report) {
        let reason = "the worker's report does not fit the stage; see `sprint logs`";
        feed(draft, key, Input::Errored, &Because::reason(reason));
    } else {
        flaky::count(draft, key, report);
        counts(draft, key, run, report);
    }
}

/// Applies a report that fits.
fn counts(draft: &mut Draft<'_>, key: &TaskKey, run: &Run, report: &Report) {
    if let Report::Resolved { head, summary } = report {
        resolved(draft, key, run, head, summary);
    } else if let Report::Landable { candidate, gates } = report {
        landable(draft, key, run, candidate, gates);
    } else {
        keep(draft, key, run, report);
        let (mut input, mut because) = meaning(&draft.name_of(key), report);
        if input == Input::NothingToDo && run.job.kind != StageKind::Work {
            // There is work, and the branch has all of it: no stage after this one has anything to do.
            input = Input::Contained;
        }
        if let Report::Overspent { scope: scope @ (Scope::Run | Scope::Task), .. } = report {
            because = Because::reason(budget::reason(draft, key, *scope, &run.counted));
            if *scope == Scope::Task && !budget::is_overspent(draft, key) {
                // A person has raised it meanwhile.
                input = Input::Interrupted;
            }
        }
        if accounts::is_broken(draft, run) && matches!(input, Input::Failed | Input::Errored) {
            // It says nothing about the task's work, and spends none of its attempts.
            (input, because) = (Input::Interrupted, Because::reason(because.reason));
        }
        if input == Input::Errored && config_of(draft, key).as_ref() != Some(&run.job.config) {
            // What is broken may be what was corrected: the new configuration has its own tries.
            let reason = format!("the configuration changed meanwhile; before, {}", because.reason);
            return feed(draft, key, Input::Interrupted, &Because::reason(reason));
        }
        feed(draft, key, input, &because);
    }
}

/// Which reports a kind of stage may end with. Only the branch's own move lands a task, so a
/// `land` stage never just passes.
fn fits(run: &Run, report: &Report) -> bool {
    let kind = run.job.kind;
    match report {
        // Whoever has spoken is not asked again, so that no two stages add to each other's work for ever.
        Report::Added { .. } => kind == StageKind::Check && !run.job.stands,
        Report::Errored { .. }
        | Report::Unserved { .. }
        | Report::Overspent { .. }
        | Report::Survived { .. }
        | Report::Interrupted { .. } => true,
        Report::Worked { .. } => kind == StageKind::Work,
        Report::Blocked { .. } => matches!(kind, StageKind::Work | StageKind::Check),
        Report::NothingToDo { .. } | Report::Failed { .. } => kind != StageKind::Wait,
        Report::Landable { .. } | Report::Resolved { .. } => kind == StageKind::Land,
        // The manager's runs are of no stage.
        Report::Proposed { .. } => false,
        Report::Unjudged { .. } | Report::Checked { verdict: Verdict::Pass | Verdict::Skipped, .. } => {
            kind == StageKind::Check
        }
        Report::Checked { verdict: Verdict::Fail | Verdict::Error, .. } => {
            matches!(kind, StageKind::Check | StageKind::Land)
        }
    }
}

fn meaning(name: &TaskName, report: &Report) -> (Input, Because) {
    match report {
        // Both sides put together are as the task's own work: see `resolved`.
        Report::Worked { summary, .. } | Report::Resolved { summary, .. } => {
            (Input::Passed, Because::reason(summary))
        }
        Report::Checked { verdict, feedback, summary, .. } => {
            let input = match verdict {
                Verdict::Pass | Verdict::Skipped => Input::Passed,
                Verdict::Fail => Input::Failed,
                Verdict::Error => Input::Errored,
            };
            (input, Because { reason: summary.clone(), feedback: feedback.clone() })
        }
        Report::Added { summary, .. } => (Input::Added, Because::reason(summary)),
        Report::Unjudged { reason } => (Input::Survived, Because::reason(reason)),
        Report::Failed { reason, feedback } => {
            (Input::Failed, Because { reason: reason.clone(), feedback: feedback.clone() })
        }
        Report::NothingToDo { reason } => (Input::NothingToDo, Because::reason(reason)),
        Report::Blocked { question } => (Input::Asked, Because::reason(question)),
        Report::Errored { reason } => (Input::Errored, Because::reason(reason)),
        Report::Overspent { scope: Scope::Run | Scope::Task, reason } => {
            (Input::Overspent, Because::reason(reason))
        }
        Report::Survived { processes } => (Input::Survived, Because::reason(survived(name, processes))),
        // A feature's or a day's budget: nothing is assigned before there is some again.
        Report::Overspent { scope: Scope::Feature | Scope::Day, reason }
        | Report::Unserved { reason, .. }
        | Report::Interrupted { reason } => (Input::Interrupted, Because::reason(reason)),
        Report::Landable { .. } => (Input::Landable, Because::default()),
        Report::Proposed { .. } => (Input::Errored, Because::reason("a proposal is no result")),
    }
}

/// What the task keeps of a report, whatever becomes of it.
fn keep(draft: &mut Draft<'_>, key: &TaskKey, run: &Run, report: &Report) {
    let current = config_of(draft, key).is_some_and(|config| config == run.job.config);
    let Some(task) = draft.edit_task(key) else { return };
    match report {
        Report::Worked { head, .. } => {
            task.head = Some(head.clone());
            task.candidate = None;
            task.gates.clear();
            task.stands.clear();
        }
        Report::Added { head, remarks, .. } => {
            task.head = Some(head.clone());
            task.candidate = None;
            task.gates.clear();
            stands(task, run, remarks);
        }
        Report::Checked { verdict, candidate: Some(candidate), gates, remarks, .. } => {
            // Verdicts under an older configuration count for this stage alone.
            judged(task, candidate, if current { gates } else { &[] });
            match verdict {
                Verdict::Pass | Verdict::Skipped => stands(task, run, remarks),
                Verdict::Fail | Verdict::Error => {}
            }
        }
        // What cannot be merged is no ground for the next attempt: it begins on the head.
        Report::Failed { .. } if run.job.kind == StageKind::Land => task.candidate = None,
        Report::Checked { candidate: None, .. }
        | Report::Unjudged { .. }
        | Report::Failed { .. }
        | Report::NothingToDo { .. }
        | Report::Blocked { .. }
        | Report::Errored { .. }
        | Report::Unserved { .. }
        | Report::Overspent { .. }
        | Report::Survived { .. }
        | Report::Interrupted { .. }
        | Report::Proposed { .. }
        | Report::Resolved { .. }
        | Report::Landable { .. } => {}
    }
}

/// The stage's agent has nothing against the attempt.
fn stands(task: &mut Task, run: &Run, remarks: &[serde_json::Value]) {
    task.remarks.extend_from_slice(remarks);
    if let Some(stage) = run.job.stage.clone().filter(|stage| !task.stands.contains(stage)) {
        task.stands.push(stage);
    }
}

fn config_of(draft: &Draft<'_>, key: &TaskKey) -> Option<String> {
    draft.feature(&key.feature).map(|feature| feature.frozen.policy.config.clone())
}

/// The merger's agent has put both sides together: the result is a head of the task like a
/// developer's, and everything that came after the developer is done again. Once an attempt.
fn resolved(draft: &mut Draft<'_>, key: &TaskKey, run: &Run, head: &CommitSha, summary: &str) {
    if !run.job.resolves {
        let reason = "nobody was asked to resolve a conflict; see `sprint logs`";
        return feed(draft, key, Input::Errored, &Because::reason(reason));
    }
    if let Some(task) = draft.edit_task(key) {
        task.head = Some(head.clone());
        task.candidate = None;
        task.gates.clear();
        // What both sides have become nobody has judged yet.
        task.stands.clear();
        task.resolved = task.attempt;
    }
    draft.say_task("conflict_resolved", key, format!("the merger has resolved the conflict: {summary}"));
    check_again(draft, key, "the merger has resolved a conflict; everything is checked again");
}

/// The newest record of each gate stands, and none of another candidate.
fn judged(task: &mut Task, candidate: &Candidate, gates: &[GateRecord]) {
    if task.candidate.as_ref() != Some(candidate) {
        task.gates.clear();
    }
    task.candidate = Some(candidate.clone());
    task.gates.retain(|old| gates.iter().all(|record| record.gate != old.gate));
    task.gates.extend_from_slice(gates);
}

/// What to tell the operator about processes that would not end.
pub(super) fn survived(name: &TaskName, processes: &[String]) -> String {
    let list = processes.join(", ");
    format!("processes of its run would not end: {list}; end them, then `sprint task retry {name}`")
}

/// Landed tree = gated tree: the entry lands only when every gate that must stand for it does,
/// on exactly its tree, and it is the task's head on the last landed commit.
fn landable(draft: &mut Draft<'_>, key: &TaskKey, run: &Run, candidate: &Candidate, gates: &[GateRecord]) {
    if let Some(reason) = outdated(draft, key, run, candidate) {
        return feed(draft, key, Input::Interrupted, &Because::reason(reason));
    }
    let policy = draft.feature(&key.feature).map(|feature| &feature.frozen.policy);
    if let Some(reason) = policy.and_then(|policy| missing(policy, candidate, gates)) {
        return feed(draft, key, Input::Errored, &Because::reason(reason));
    }
    if draft.task(key).and_then(|task| task.head.as_ref()) != Some(&candidate.head) {
        let reason = "the candidate is not of the task's head; see `sprint logs`";
        return feed(draft, key, Input::Errored, &Because::reason(reason));
    }
    lands(draft, key, run, candidate, gates);
    draft.effect(Effect::MoveRef {
        entry: run.id.clone(),
        feature: key.feature.clone(),
        task: key.id.clone(),
        old: candidate.base.clone(),
        new: candidate.commit.clone(),
    });
}

/// It lands, or has landed.
pub(super) fn lands(
    draft: &mut Draft<'_>,
    key: &TaskKey,
    run: &Run,
    candidate: &Candidate,
    gates: &[GateRecord],
) {
    if let Some(task) = draft.edit_task(key) {
        judged(task, candidate, gates);
    }
    set(draft, key, Status::Landing { entry: run.id.clone() }, "");
}

/// What happened while the entry was gated, so that it has to be gated again.
fn outdated(draft: &Draft<'_>, key: &TaskKey, run: &Run, candidate: &Candidate) -> Option<&'static str> {
    let feature = draft.feature(&key.feature)?;
    if feature.head.as_ref() != Some(&candidate.base) {
        Some("the integration branch moved while the entry was gated; it is gated again")
    } else if feature.halted.is_some() {
        Some("landing was halted while the entry was gated")
    } else if another_lands(draft, key, run) {
        Some("another entry is landing; it is gated again")
    } else if feature.frozen.policy.config != run.job.config {
        Some("the configuration changed while the entry was gated; it is gated again")
    } else {
        None
    }
}

/// Only where the run was found in its file: the scheduler gives out one entry at a time.
fn another_lands(draft: &Draft<'_>, key: &TaskKey, run: &Run) -> bool {
    let gated = |other: &Run| {
        other.id != run.id && other.job.feature == key.feature && other.job.kind == StageKind::Land
    };
    draft.runs().any(gated)
        || draft.tasks_of(&key.feature).any(|task| matches!(task.status, Status::Landing { .. }))
}

/// The first gate that does not stand for the tree.
fn missing(policy: &Policy, candidate: &Candidate, gates: &[GateRecord]) -> Option<String> {
    let stands = |record: &&GateRecord| record.lets_land(&candidate.tree);
    let red = gates.iter().find(|record| record.at_merge && !stands(record)).map(|record| &record.gate);
    let absent =
        policy.must_land.iter().find(|name| !gates.iter().filter(stands).any(|record| record.gate == **name));
    let name = red.or(absent)?;
    Some(format!("gate {name} does not stand for the tree that is to land"))
}

fn landing_task(draft: &Draft<'_>, entry: &RunId) -> Option<TaskKey> {
    let features = draft.features_at_hand();
    features
        .iter()
        .flat_map(|id| draft.tasks_of(id))
        .find(|task| matches!(&task.status, Status::Landing { entry: at } if at == entry))
        .map(|task| task.key.clone())
}

/// The integration branch is at the entry's candidate.
pub(super) fn landed(draft: &mut Draft<'_>, entry: &RunId) {
    match landing_task(draft, entry) {
        Some(key) => feed(draft, &key, Input::Landed, &Because::reason("landed")),
        None => draft.say("landing_ignored", None, format!("entry {entry} is not landing any more")),
    }
}

/// The integration branch is not at the entry's candidate, and was not moved. `busy`: git could
/// not; that is tried again.
pub(super) fn land_refused(draft: &mut Draft<'_>, entry: &RunId, reason: &str, busy: bool) {
    not_landed(draft, entry, if busy { Input::Errored } else { Input::LandRefused }, reason);
}

/// A person has the integration branch checked out. Nothing lands until it is free.
pub(super) fn checked_out(draft: &mut Draft<'_>, entry: &RunId, reason: &str) {
    not_landed(draft, entry, Input::CheckedOut, reason);
}

fn not_landed(draft: &mut Draft<'_>, entry: &RunId, input: Input, reason: &str) {
    match landing_task(draft, entry) {
        Some(key) => feed(draft, &key, input, &Because::reason(reason)),
        None => draft.say("landing_ignored", None, format!("entry {entry} is not landing any more")),
    }
}

/// Whoever had the integration branch checked out has let go of it.
pub(super) fn freed(draft: &mut Draft<'_>, feature: &FeatureId) {
    let waiting = draft.tasks_of(feature).filter(|task| task.waits_for_branch());
    let keys: Vec<TaskKey> = waiting.map(|task| task.key.clone()).collect();
    for key in keys {
        draft.say_task("landing_resumed", &key, "the branch is free again, and it lands");
        feed(draft, &key, Input::Freed, &Because::default());
    }
}
