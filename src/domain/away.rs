//! What is over needs no memory: the tasks and the rules of finished features are put away, and are brought back
//! when an event asks for them.
//!
//! A step cannot tell the difference. One that misses a feature says so, and is made again with it.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use super::draft::Step;
use super::event::Envelope;
use super::ids::{FeatureId, TaskId};
use super::state::{FeatureStatus, Frozen, Mode, State};
use super::step::attempt;
use super::task::{Task, TaskKey};

/// What stands for the rules of all that are put away.
static NOTHING: LazyLock<Arc<Frozen>> = LazyLock::new(Arc::default);

/// What a feature has again that is brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Its plan and its rules.
    pub frozen: Arc<Frozen>,
    /// All its tasks.
    pub tasks: Vec<Task>,
}

/// [`super::step::step`] on a state of which something may be put away; `bring` gives it back.
///
/// # Errors
/// What `bring` says.
pub fn step_bringing<E>(
    state: &mut State,
    envelope: &Envelope,
    bring: impl Fn(&FeatureId) -> Result<Brought, E>,
) -> Result<Step, E> {
    loop {
        // Each turn brings what was away, so there are no more turns than features.
        let missed = match attempt(state, envelope) {
            Ok(step) => return Ok(step),
            Err(missed) => missed,
        };
        for feature in missed {
            let brought = bring(&feature)?;
            state.bring_back(&feature, brought);
        }
    }
}

impl State {
    /// Puts away what is over and at which nobody works any more. Not while a supervisor recovers, who looks at
    /// everything.
    pub fn put_away(&mut self) {
        if self.sprint.mode == Mode::Booting {
            return;
        }
        let busy: BTreeSet<&FeatureId> = self.runs.values().map(|run| &run.job.feature).collect();
        let over = self.features.values().filter(|feature| {
            feature.status == FeatureStatus::Finished
                && !self.away.contains_key(&feature.id)
                && !busy.contains(&feature.id)
                && self.tasks_of(&feature.id).all(Task::closed)
        });
        for id in over.map(|feature| feature.id.clone()).collect::<Vec<_>>() {
            let keys: Vec<TaskKey> = self.tasks_of(&id).map(|task| task.key.clone()).collect();
            for key in &keys {
                self.tasks.remove(key);
            }
            if let Some(feature) = self.features.get_mut(&id) {
                feature.frozen = Arc::clone(&NOTHING);
            }
            self.away.insert(id, keys.into_iter().map(|key| key.id).collect());
        }
    }

    /// As if the feature had never been away.
    pub fn bring_back(&mut self, id: &FeatureId, brought: Brought) {
        self.away.remove(id);
        if let Some(feature) = self.features.get_mut(id) {
            feature.frozen = brought.frozen;
        }
        self.tasks.extend(brought.tasks.into_iter().map(|task| (task.key.clone(), task)));
    }

    /// Whether there is such a task, put away or not.
    pub fn knows(&self, key: &TaskKey) -> bool {
        self.tasks.contains_key(key) || self.is_away(key)
    }

    /// Whether the task is one of those that are put away.
    pub(super) fn is_away(&self, key: &TaskKey) -> bool {
        let away = self.away.get(&key.feature);
        // In the order of their keys.
        away.is_some_and(|ids: &Vec<TaskId>| ids.binary_search(&key.id).is_ok())
    }
}
