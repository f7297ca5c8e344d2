//! A `land` stage: the candidate on the integration head of now, and the gates that must stand
//! for exactly its tree. The supervisor alone moves the branch.

use super::check::{Fresh, feedback, gates_for, make_candidate, records, run_gates, summary};
use super::life::Desk;
use super::resolve;
use super::screen::Screen;
use crate::config::gate::GateConfig;
use crate::domain::gate::{Verdict, overall};
use crate::domain::ids::TaskId;
use crate::domain::report::{Candidate, GateRecord, Report};
use crate::error::chain;
use crate::git::landing;

/// Does the run.
pub(super) fn run(desk: &Desk<'_>, screen: &mut Screen) -> Report {
    let Some(task) = desk.run.job.task.clone() else {
        return Report::Errored { reason: "a land stage needs a task".to_owned() };
    };
    let candidate = match current(desk, screen, &task) {
        Ok(candidate) => candidate,
        Err(report) => return unmerged(desk, screen, &task, *report),
    };
    match gate(desk, screen, &candidate) {
        Ok(report) => report,
        Err(reason) => Report::Errored { reason },
    }
}

/// What does not merge goes to the merger's agent where it may, else back to the developer.
fn unmerged(desk: &Desk<'_>, screen: &mut Screen, task: &TaskId, report: Report) -> Report {
    if !(desk.run.job.resolves && matches!(report, Report::Failed { .. })) {
        return report;
    }
    match resolve::resolve(desk, screen, task) {
        Ok(Some(other)) => other,
        Ok(None) => report,
        Err(reason) => {
            screen.say(&format!("the conflict cannot be given to an agent: {reason}"));
            report
        }
    }
}

/// The gated candidate if the integration head has not moved since, else a new one.
fn current(desk: &Desk<'_>, screen: &mut Screen, task: &TaskId) -> Result<Candidate, Box<Report>> {
    let job = &desk.run.job;
    match &job.candidate {
        Some(candidate) if candidate.base == job.base => {
            screen.say("the integration branch has not moved: what was gated lands");
            Ok(candidate.clone())
        }
        Some(_) | None => make_candidate(desk, screen, task),
    }
}

fn gate(desk: &Desk<'_>, screen: &mut Screen, candidate: &Candidate) -> Result<Report, String> {
    let needed = gates_for(desk, &candidate.commit, Some(&candidate.base), |gate| gate.at_merge)?;
    let (known, open) = split(desk, &needed, candidate);
    let results = run_gates(desk, screen, &candidate.commit, Some(&candidate.base), &open, Fresh::No)?;
    match overall(results.iter().map(|result| result.verdict)) {
        Verdict::Fail => {
            let stage = desk.run.job.stage.as_ref().map_or("", |stage| stage.as_str());
            // With the candidate, so that a developer that continues sees what was red.
            Ok(Report::Checked {
                verdict: Verdict::Fail,
                candidate: Some(candidate.clone()),
                gates: records(&open, &results, &candidate.tree),
                feedback: Some(feedback(stage, &results)),
                remarks: Vec::new(),
                summary: summary(&results),
            })
        }
        Verdict::Error => Ok(Report::Errored { reason: summary(&results) }),
        Verdict::Pass | Verdict::Skipped => {
            landing::anchor_candidate(&desk.place.repo, desk.run.id.as_str(), &candidate.commit)
                .map_err(|error| chain(&error))?;
            let mut gates = known;
            gates.extend(records(&open, &results, &candidate.tree));
            Ok(Report::Landable { candidate: candidate.clone(), gates })
        }
    }
}

/// Gates that have passed on exactly this tree already, and those that have to run.
fn split(
    desk: &Desk<'_>,
    needed: &[GateConfig],
    candidate: &Candidate,
) -> (Vec<GateRecord>, Vec<GateConfig>) {
    let (mut known, mut open) = (Vec::new(), Vec::new());
    for gate in needed {
        let stands = |record: &&GateRecord| record.gate == gate.name && record.lets_land(&candidate.tree);
        match desk.run.job.gates.iter().find(stands) {
            // What it tells of single tests was counted when it ran.
            Some(record) => known.push(GateRecord { flaky: Vec::new(), ..record.clone() }),
            None => open.push(gate.clone()),
        }
    }
    (known, open)
}
