//! `[label.NAME]`: another agent, model or effort for the tasks that have the label, as in
//! `- [ ] T004 [docs] describe it`.

use serde::{Deserialize, Serialize};

use super::model::{Config, Role};

/// `[label.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelConfig {
    /// The name of an adapter; empty: the role's.
    #[serde(default)]
    pub agent: String,
    /// The model; empty: the role's, or its adapter's.
    #[serde(default)]
    pub model: String,
    /// How hard it thinks; empty: as the role says.
    #[serde(default)]
    pub effort: String,
    /// Whose it is.
    #[serde(default = "developer")]
    pub roles: Vec<Role>,
}

fn developer() -> Vec<Role> {
    vec![Role::Developer]
}

impl Config {
    /// The developers' agent was named for this start: labels do not send their tasks to another one.
    pub fn ignore_labels_of_developers(&mut self) {
        for label in self.label.values_mut() {
            label.roles.retain(|role| *role != Role::Developer);
        }
    }

    /// Whether a role, or a label for it, names the adapter.
    pub fn names_agent(&self, role: Role, agent: &str) -> bool {
        let labelled = self.label.values().any(|label| label.agent == agent && label.roles.contains(&role));
        self.role(role).agent == agent || labelled
    }

    /// What the first of a task's labels says that says anything to the role. Labels are the same
    /// whatever their case.
    pub fn label_for(&self, role: Role, labels: &[String]) -> Option<&LabelConfig> {
        let named = |label: &String| self.label.iter().find(|(name, _)| name.eq_ignore_ascii_case(label));
        labels.iter().filter_map(named).map(|(_, label)| label).find(|label| label.roles.contains(&role))
    }
}
