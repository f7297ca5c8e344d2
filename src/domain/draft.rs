//! A state being changed: the old one, and over it the rows that an event touches.
//!
//! Nothing is cloned but what changes, so an event costs the same at ten tasks and at ten
//! thousand; and the rows that changed are known, with what they were before.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::effect::Effect;
use super::event::{Envelope, Now};
use super::ids::{CommitSha, FeatureId, RunId, TaskId, Token, WorkerName};
use super::spent::SpentRow;
use super::state::{Feature, Run, Sprint, State};
use super::task::{Task, TaskKey, TaskName};
use super::worker::Worker;
use crate::seeded::{self, Bug};

/// One line of the history, for people and for `sprint events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What happened: a word such as `task_landed`.
    pub kind: String,
    /// The feature, if it concerns one.
    pub feature: Option<FeatureId>,
    /// The task, if it concerns one.
    pub task: Option<TaskId>,
    /// The worker, if it concerns one.
    pub worker: Option<WorkerName>,
    /// The sentence.
    pub text: String,
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The inbox row.
    pub id: i64,
    /// Exit code of the command that asked: 0 or 4.
    pub exit: u8,
    /// What happened, or why not.
    pub message: String,
}

/// A changed row: what it was, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed<T> {
    /// `None`: the row is new.
    pub before: Option<T>,
    /// `None`: the row is over. Only runs end; the store keeps them as ended.
    pub after: Option<T>,
}

/// Everything that an event changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// Lines of the history.
    pub lines: Vec<Line>,
    /// The sprint's own row, if it changed.
    pub sprint: Option<Sprint>,
    /// Features.
    pub features: Vec<Changed<Feature>>,
    /// Tasks.
    pub tasks: Vec<Changed<Task>>,
    /// Workers.
    pub workers: Vec<Changed<Worker>>,
    /// Runs.
    pub runs: Vec<Changed<Run>>,
    /// Runs that were over before anything was known of them.
    pub found: Vec<Run>,
    /// What has landed, and as which commit.
    pub landed: Vec<(TaskKey, CommitSha)>,
    /// Results of requests.
    pub replies: Vec<Reply>,
    /// What runs used.
    pub spent: Vec<SpentRow>,
    /// What is to be done, in order.
    pub effects: Vec<Effect>,
}

impl Step {
    /// Whether nothing changes and nothing is to be done.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A state being changed.
pub(super) struct Draft<'a> {
    base: &'a State,
    pub(super) now: Now,
    entropy: &'a str,
    drawn: u32,
    sprint: Option<Sprint>,
    features: BTreeMap<FeatureId, Feature>,
    tasks: BTreeMap<TaskKey, Task>,
    workers: BTreeMap<WorkerName, Worker>,
    runs: BTreeMap<RunId, Option<Run>>,
    found: Vec<Run>,
    landed: Vec<(TaskKey, CommitSha)>,
    lines: Vec<Line>,
    replies: Vec<Reply>,
    spent: Vec<SpentRow>,
    effects: Vec<Effect>,
    /// Features that were asked for and are put away.
    missed: RefCell<BTreeSet<FeatureId>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(base: &'a State, envelope: &'a Envelope) -> Self {
        Self {
            base,
            now: envelope.now,
            entropy: &envelope.entropy,
            drawn: 0,
            sprint: None,
            features: BTreeMap::new(),
            tasks: BTreeMap::new(),
            workers: BTreeMap::new(),
            runs: BTreeMap::new(),
            found: Vec::new(),
            landed: Vec::new(),
            lines: Vec::new(),
            replies: Vec::new(),
            spent: Vec::new(),
            effects: Vec::new(),
            missed: RefCell::default(),
        }
    }

    /// What is answered from here on is not what it would be if the feature were there.
    fn ask_for(&self, feature: &FeatureId) {
        if self.base.away.contains_key(feature) {
            self.missed.borrow_mut().insert(feature.clone());
        }
    }

    pub(super) fn sprint(&self) -> &Sprint {
        self.sprint.as_ref().unwrap_or(&self.base.sprint)
    }

    pub(super) fn edit_sprint(&mut self) -> &mut Sprint {
        self.sprint.get_or_insert_with(|| self.base.sprint.clone())
    }

    pub(super) fn feature(&self, id: &FeatureId) -> Option<&Feature> {
        self.features.get(id).or_else(|| self.base.features.get(id))
    }

    pub(super) fn edit_feature(&mut self, id: &FeatureId) -> Option<&mut Feature> {
        self.ask_for(id);
        if !self.features.contains_key(id) {
            self.features.insert(id.clone(), self.base.features.get(id)?.clone());
        }
        self.features.get_mut(id)
    }

    pub(super) fn put_feature(&mut self, feature: Feature) {
        self.ask_for(&feature.id);
        self.features.insert(feature.id.clone(), feature);
    }

    /// All features in the order of their queue.
    pub(super) fn feature_ids(&self) -> Vec<FeatureId> {
        let mut all: Vec<(u32, FeatureId)> = self
            .base
            .features
            .values()
            .filter(|feature| !self.features.contains_key(&feature.id))
            .chain(self.features.values())
            .map(|feature| (feature.order, feature.id.clone()))
            .collect();
        all.sort();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// The same without those that are put away, in which nothing is under way.
    pub(super) fn features_at_hand(&self) -> Vec<FeatureId> {
        let mut all = self.feature_ids();
        all.retain(|id| !self.base.away.contains_key(id));
        all
    }

    /// The feature that is being built.
    pub(super) fn current(&self) -> Option<&Feature> {
        self.feature_ids().iter().filter_map(|id| self.feature(id)).find(|feature| feature.is_current()).map(
            |f| {
                // Looked up again so that the borrow is of `self` and not of the list.
                self.feature(&f.id).expect("it was just found")
            },
        )
    }

    pub(super) fn task(&self, key: &TaskKey) -> Option<&Task> {
        if self.base.is_away(key) {
            self.ask_for(&key.feature);
        }
        self.tasks.get(key).or_else(|| self.base.tasks.get(key))
    }

    /// As [`State::name_of`].
    pub(super) fn name_of(&self, key: &TaskKey) -> TaskName {
        let others = self.feature_ids().into_iter().filter(|feature| *feature != key.feature);
        let mut same = others.map(|feature| TaskKey { feature, id: key.id.clone() });
        if same.any(|other| self.tasks.contains_key(&other) || self.base.knows(&other)) {
            key.name()
        } else {
            key.id.clone().into()
        }
    }

    pub(super) fn edit_task(&mut self, key: &TaskKey) -> Option<&mut Task> {
        self.ask_for(&key.feature);
        if !self.tasks.contains_key(key) {
            self.tasks.insert(key.clone(), self.base.tasks.get(key)?.clone());
        }
        self.tasks.get_mut(key)
    }

    pub(super) fn put_task(&mut self, task: Task) {
        self.ask_for(&task.key.feature);
        self.tasks.insert(task.key.clone(), task);
    }

    /// The tasks of a feature, in no order that matters.
    pub(super) fn tasks_of<'s>(&'s self, feature: &'s FeatureId) -> impl Iterator<Item = &'s Task> {
        self.ask_for(feature);
        let old = self.base.tasks_of(feature).map(|task| self.tasks.get(&task.key).unwrap_or(task));
        let new = self
            .tasks
            .values()
            .filter(move |task| task.key.feature == *feature && !self.base.tasks.contains_key(&task.key));
        old.chain(new)
    }

    pub(super) fn worker(&self, name: &WorkerName) -> Option<&Worker> {
        self.workers.get(name).or_else(|| self.base.workers.get(name))
    }

    pub(super) fn edit_worker(&mut self, name: &WorkerName) -> Option<&mut Worker> {
        if !self.workers.contains_key(name) {
            self.workers.insert(name.clone(), self.base.workers.get(name)?.clone());
        }
        self.workers.get_mut(name)
    }

    pub(super) fn put_worker(&mut self, worker: Worker) {
        self.workers.insert(worker.name.clone(), worker);
    }

    /// All workers, by name.
    pub(super) fn worker_names(&self) -> Vec<WorkerName> {
        let mut names: Vec<_> = self.base.workers.keys().chain(self.workers.keys()).cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    pub(super) fn run(&self, id: &RunId) -> Option<&Run> {
        match self.runs.get(id) {
            Some(run) => run.as_ref(),
            None => self.base.runs.get(id),
        }
    }

    pub(super) fn put_run(&mut self, run: Run) {
        self.runs.insert(run.id.clone(), Some(run));
    }

    pub(super) fn end_run(&mut self, id: &RunId) {
        self.runs.insert(id.clone(), None);
    }

    /// The run was over before anything was known of it.
    pub(super) fn run_was(&mut self, run: Run) {
        self.end_run(&run.id);
        self.found.push(run);
    }

    /// The living runs.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        let old = self.base.runs.values().filter(|run| !self.runs.contains_key(&run.id));
        old.chain(self.runs.values().flatten())
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn land(&mut self, key: &TaskKey, commit: &CommitSha) {
        self.landed.push((key.clone(), commit.clone()));
    }

    pub(super) fn spend(&mut self, row: SpentRow) {
        self.spent.push(row);
    }

    pub(super) fn reply(&mut self, id: i64, exit: u8, message: impl Into<String>) {
        self.replies.push(Reply { id, exit, message: message.into() });
    }

    /// A line about a task.
    pub(super) fn say_task(&mut self, kind: &str, key: &TaskKey, text: impl Into<String>) {
        self.lines.push(Line {
            kind: kind.to_owned(),
            feature: Some(key.feature.clone()),
            task: Some(key.id.clone()),
            worker: None,
            text: text.into(),
        });
    }

    /// A line about a worker, and the task that it has.
    pub(super) fn say_worker(
        &mut self,
        kind: &str,
        worker: &WorkerName,
        key: Option<&TaskKey>,
        text: impl Into<String>,
    ) {
        self.lines.push(Line {
            kind: kind.to_owned(),
            feature: key.map(|key| key.feature.clone()),
            task: key.map(|key| key.id.clone()),
            worker: Some(worker.clone()),
            text: text.into(),
        });
    }

    /// A line about a feature, or about the whole sprint.
    pub(super) fn say(&mut self, kind: &str, feature: Option<&FeatureId>, text: impl Into<String>) {
        self.lines.push(Line {
            kind: kind.to_owned(),
            feature: feature.cloned(),
            task: None,
            worker: None,
            text: text.into(),
        });
    }

    /// A new run id (UUIDv7) and its token, out of the event's time and entropy.
    pub(super) fn draw_run(&mut self) -> (RunId, Token) {
        self.drawn += 1;
        let digest = |label: &str| {
            let mut hash = Sha256::new();
            hash.update(self.entropy);
            hash.update(label);
            hash.update(self.drawn.to_be_bytes());
            hash.finalize()
        };
        let mut random = [0u8; 10];
        random.copy_from_slice(&digest("run")[..10]);
        let millis = u64::try_from(self.now.wall_ms).unwrap_or(0);
        let id =
            uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().hyphenated().to_string();
        let token = if seeded::is(Bug::SameToken) { "a".repeat(64) } else { hex(&digest("token")) };
        (
            RunId::parse(&id).expect("a hyphenated UUID is a run id"),
            Token::parse(&token).expect("32 bytes as hex are a token"),
        )
    }

    /// What has changed, or what it cannot be said without.
    pub(super) fn finish(self) -> Result<Step, BTreeSet<FeatureId>> {
        let (base, missed) = (self.base, self.missed.into_inner());
        if !missed.is_empty() {
            return Err(missed);
        }
        Ok(Step {
            lines: self.lines,
            sprint: self.sprint.filter(|sprint| *sprint != base.sprint),
            features: changed(self.features, |id| base.features.get(id)),
            tasks: changed(self.tasks, |key| base.tasks.get(key)),
            workers: changed(self.workers, |name| base.workers.get(name)),
            runs: self
                .runs
                .into_iter()
                .map(|(id, after)| Changed { before: base.runs.get(&id).cloned(), after })
                .filter(|row| row.before != row.after)
                .collect(),
            found: self.found,
            landed: self.landed,
            replies: self.replies,
            spent: self.spent,
            effects: self.effects,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).expect("four bits are a hex digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn changed<'b, K, T: Clone + PartialEq + 'b>(
    rows: BTreeMap<K, T>,
    before: impl Fn(&K) -> Option<&'b T>,
) -> Vec<Changed<T>> {
    rows.into_iter()
        .map(|(key, after)| Changed { before: before(&key).cloned(), after: Some(after) })
        .filter(|row| row.before != row.after)
        .collect()
}

impl State {
    /// Takes over what a step changed.
    pub fn apply(&mut self, step: &Step) {
        if let Some(sprint) = &step.sprint {
            self.sprint = sprint.clone();
        }
        for feature in step.features.iter().filter_map(|row| row.after.as_ref()) {
            self.features.insert(feature.id.clone(), feature.clone());
        }
        for task in step.tasks.iter().filter_map(|row| row.after.as_ref()) {
            self.tasks.insert(task.key.clone(), task.clone());
        }
        for worker in step.workers.iter().filter_map(|row| row.after.as_ref()) {
            self.workers.insert(worker.name.clone(), worker.clone());
        }
        for row in &step.runs {
            match (&row.before, &row.after) {
                (_, Some(run)) => {
                    self.runs.insert(run.id.clone(), run.clone());
                }
                (Some(run), None) => {
                    self.runs.remove(&run.id);
                }
                (None, None) => {}
            }
        }
    }
}
