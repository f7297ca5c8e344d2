//! Copies of the database, and a database that is damaged and made again from one.

use super::*;

/// What a copy holds.
#[derive(Clone)]
pub struct Copy {
    state: State,
    outbox: Vec<Effect>,
    given: BTreeSet<RunId>,
    /// Events that were applied by then.
    events: usize,
}

impl World {
    /// A worker files what it reports; nobody else can.
    pub(super) fn file(&mut self, event: &Event) {
        let Event::RunReported { run, token, report } = event else { return };
        let Some(run) = self.state.runs.get(run).filter(|run| run.token == *token) else { return };
        let given = Given { database: "db".to_owned(), worker: run.worker.clone(), job: run.job.clone() };
        self.files.push(Filed {
            run: run.id.clone(),
            token: token.clone(),
            report: report.clone(),
            spent: run.told.clone(),
            at_once: None,
            given: Some(Box::new(given)),
        });
    }

    pub(super) fn copy(&mut self) {
        let (state, outbox) = (self.state.clone(), self.outbox.clone());
        self.copy = Some(Copy { state, outbox, given: self.given.clone(), events: self.log.len() });
    }

    pub(super) fn has_landed(&self, feature: &FeatureId, commit: &CommitSha) -> bool {
        self.history.get(feature).is_some_and(|commits| commits.contains(commit))
    }

    /// The database is as it was when it was copied. Workers have seen it go, and have gone too; git and
    /// the report files are as they are.
    pub(super) fn forget(&mut self) {
        let Some(copy) = self.copy.clone() else { return };
        self.state = copy.state;
        self.outbox = copy.outbox;
        self.given = copy.given;
        self.log.truncate(copy.events);
        // How often a task failed, and what the manager has tried, is forgotten too.
        for key in self.state.tasks.keys() {
            *self.retries.entry(key.clone()).or_default() += 3;
        }
        self.processes.clear();
        self.clears.clear();
        self.shut_down = false;
        self.epoch += 1;
        self.apply(Event::SupervisorStarted { epoch: self.epoch, rebooted: false });
        self.find();
        self.see_who_is_gone();
        self.look_at_branches();
        self.apply(Event::Recovered);
    }

    /// As the boot order says: runs that the copy knows, landings that are over, runs that it does not know.
    fn find(&mut self) {
        let (living, unknown): (Vec<Filed>, Vec<Filed>) =
            self.files.clone().into_iter().partition(|filed| self.given.contains(&filed.run));
        for Filed { run, token, report, .. } in living {
            if self.state.runs.contains_key(&run) {
                self.apply(Event::RunReported { run, token, report });
            }
        }
        let landing = |task: &Task| match (&task.status, &task.candidate) {
            (Status::Landing { entry }, Some(candidate)) => {
                self.has_landed(&task.key.feature, &candidate.commit).then(|| entry.clone())
            }
            _ => None,
        };
        let entries: Vec<RunId> = self.state.tasks.values().filter_map(landing).collect();
        for entry in entries {
            self.apply(Event::RefMoved { entry });
        }
        for filed in unknown {
            let landed = match (&filed.report, &filed.given) {
                (Report::Landable { candidate, .. }, Some(given)) => {
                    self.has_landed(&given.job.feature, &candidate.commit)
                }
                _ => false,
            };
            self.apply(Event::RunFound { filed: Box::new(filed), landed });
        }
    }

    fn look_at_branches(&mut self) {
        for feature in self.state.features.values().cloned().collect::<Vec<_>>() {
            let begun = matches!(feature.status, FeatureStatus::Running | FeatureStatus::Resting);
            let landing =
                self.state.tasks_of(&feature.id).any(|task| matches!(task.status, Status::Landing { .. }));
            let found = self.branches.get(&feature.id).cloned();
            if begun && !landing && feature.head.is_some() && found != feature.head {
                self.apply(Event::BranchMoved { feature: feature.id, found });
            }
        }
    }
}
