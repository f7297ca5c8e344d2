//! What workers report: well, badly, and lies.

use super::*;

impl World {
    /// What the worker of a run says when all is well.
    pub fn good_report(&mut self, run: &Run) -> Report {
        let job = &run.job;
        if job.triage.is_some() {
            return self.proposal();
        }
        match job.kind {
            StageKind::Work => Report::Worked { head: self.commit(), summary: "done".to_owned() },
            StageKind::Check if job.task.is_none() => checked(Verdict::Pass, None),
            StageKind::Check => {
                let candidate = self.candidate(job, false);
                checked(Verdict::Pass, Some(candidate))
            }
            StageKind::Land if job.resolves && self.choices.chance(300) => {
                Report::Resolved { head: self.commit(), summary: "both".to_owned() }
            }
            StageKind::Land => {
                let candidate = self.candidate(job, true);
                let gates = vec![record("unit", Verdict::Pass, &candidate.tree)];
                Report::Landable { candidate, gates }
            }
            StageKind::Wait => panic!("nobody is assigned to a wait stage"),
        }
    }

    /// Anything, also what makes no sense for the cause.
    pub(super) fn proposal(&mut self) -> Report {
        use triage::Action::{Answer, Retry, Skip, Split};
        let action = [Retry, Answer, Skip, Split][self.choices.below(4)];
        Report::Proposed { proposal: Proposal { action, text: "so".to_owned() } }
    }

    /// The one that was judged before, or a new one: at Merging also when the head has moved.
    pub(super) fn candidate(&mut self, job: &Job, current: bool) -> Candidate {
        match &job.candidate {
            Some(old) if !current || old.base == job.base => old.clone(),
            _ => Candidate {
                commit: self.commit(),
                tree: self.commit(),
                base: job.base.clone(),
                head: job.head.clone().unwrap_or_else(|| job.base.clone()),
            },
        }
    }

    pub(super) fn report_of(&mut self, run: &Run) -> Report {
        let good = self.good_report(run);
        if !self.faults {
            return good;
        }
        let text = "chance".to_owned();
        match self.choices.below(48) {
            0 => Report::Failed { reason: text, feedback: None },
            1 => Report::Errored { reason: text },
            2 => Report::Blocked { question: text },
            3 => Report::Interrupted { reason: text },
            4 => Report::NothingToDo { reason: text },
            5 => Report::Survived { processes: vec!["7 sleep".to_owned()] },
            6 => checked(Verdict::Fail, None),
            7 => checked(Verdict::Error, None),
            // A worker that lies: what it says must not land anything.
            8 => checked(Verdict::Pass, None),
            9 => Report::Worked { head: self.commit(), summary: text },
            10 => match good {
                Report::Landable { candidate, .. } => Report::Landable { candidate, gates: Vec::new() },
                other => other,
            },
            11 => match good {
                Report::Landable { candidate, gates } => {
                    Report::Landable { candidate: Candidate { tree: self.commit(), ..candidate }, gates }
                }
                other => other,
            },
            12 => Report::Unserved { agent: AGENT.to_owned(), reason: text, lasting: false, until_ms: None },
            13 => Report::Unserved { agent: AGENT.to_owned(), reason: text, lasting: true, until_ms: None },
            14 if job_adds(run) => self.added(text),
            // It lies: it has spoken before, or nobody may add there.
            15 if self.choices.chance(200) => self.added(text),
            16 if self.choices.chance(200) => Report::Unjudged { reason: text },
            17 => Report::Resolved { head: self.commit(), summary: text },
            18 => Report::Proposed { proposal: Proposal { action: triage::Action::Skip, text } },
            19 => Report::Overspent { scope: Scope::Run, reason: text },
            20 => Report::Overspent { scope: Scope::Feature, reason: text },
            _ => good,
        }
    }

    pub(super) fn added(&mut self, summary: String) -> Report {
        let paths = vec!["tests/test_a.py".to_owned()];
        Report::Added { head: self.commit(), paths, remarks: Vec::new(), summary }
    }

    pub fn report(&mut self, run: &Run, report: Report) {
        self.apply(Event::RunReported { run: run.id.clone(), token: run.token.clone(), report });
    }

    pub(super) fn report_run(&mut self, id: &RunId) {
        let Some(run) = self.state.runs.get(id).cloned() else { return };
        let report = self.report_of(&run);
        if self.faults && run.job.kind == StageKind::Work {
            self.use_some(&run);
            // It is over by now where somebody took the task away meanwhile.
            if matches!(report, Report::Failed { .. }) && self.choices.chance(500) {
                let (run, token) = (run.id.clone(), run.token.clone());
                self.apply(Event::RunFailedAtOnce { run, token, agent: AGENT.to_owned() });
            }
        }
        self.report(&run, report);
    }
}
