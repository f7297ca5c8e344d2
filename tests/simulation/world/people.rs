//! People, and others who move branches.

use super::*;

impl World {
    /// The person switches to another branch; the supervisor sees it if it is there.
    pub fn free(&mut self, feature: FeatureId) {
        self.checked_out.remove(&feature);
        self.apply(Event::BranchFree { feature });
    }

    pub(super) fn foreign(&mut self) {
        let Some(feature) = self.branches.keys().next().cloned() else { return };
        if !self.faults || self.outbox.iter().any(|effect| matches!(effect, Effect::MoveRef { .. })) {
            return;
        }
        let found = self.commit();
        self.branches.insert(feature.clone(), found.clone());
        // Nobody looks for a branch that the state knows nothing of.
        let begun = self.state.features.get(&feature).is_some_and(|row| row.head.is_some());
        if begun && self.choices.chance(500) {
            self.apply(Event::BranchMoved { feature, found: Some(found) });
        }
    }

    pub(super) fn person(&mut self) {
        let keys: Vec<TaskKey> = self.state.tasks.keys().cloned().collect();
        if keys.is_empty() {
            return;
        }
        let key = keys[self.choices.below(keys.len())].clone();
        let task = TaskName::from(key.id.clone());
        let request = match self.choices.below(14) {
            0 => Request::TaskSkip { task },
            1 => Request::TaskStop { task },
            2..4 => Request::TaskRetry { task },
            4 => Request::Pause,
            5..7 => return self.resume(),
            7 => Request::Stop { now: self.choices.chance(500), limit_ms: 20_000 },
            8 => Request::Approve { task },
            9 => Request::Reject { task, reason: "no".to_owned() },
            10 => self.reload(),
            _ => self.waiting_answer().unwrap_or(Request::Answer { task, text: "yes".to_owned() }),
        };
        self.request(request);
    }

    pub(super) fn reload(&mut self) -> Request {
        let current = self.state.current().or(self.state.features.values().next()).unwrap();
        let mut policy = current.frozen.policy.clone();
        policy.config = format!("c{}", self.next);
        if self.choices.chance(500) {
            // A person raises what is used up.
            policy.budget = Budget::default();
        }
        Request::Reload { policy: Box::new(policy) }
    }

    pub(super) fn waiting_answer(&self) -> Option<Request> {
        let asks = |status: &Status| matches!(status, Status::Waiting { wait: WaitKind::Answer, .. });
        let task = self.state.tasks.values().find(|task| asks(&task.status))?;
        Some(Request::Answer { task: task.key.id.clone().into(), text: "yes".to_owned() })
    }

    /// Goes on; a moved branch is adopted or set back.
    pub fn resume(&mut self) {
        let halted =
            self.state.features.values().find(|feature| feature.halted.is_some()).map(|row| row.id.clone());
        let branch = halted.map(|feature| {
            let head = self.branches.get(&feature).cloned();
            match head {
                Some(head) if self.faults && self.choices.chance(500) => ForeignBranch::Adopted { head },
                _ => {
                    let ours = self.state.features[&feature].head.clone().unwrap();
                    self.branches.insert(feature, ours);
                    ForeignBranch::Restored
                }
            }
        });
        self.request(Request::Resume { branch });
    }
}
