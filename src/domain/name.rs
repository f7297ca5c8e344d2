//! How a person names a task, and which tasks a name means.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{FeatureId, InvalidId, TaskId};
use super::task::TaskKey;

impl TaskKey {
    /// The name that means this task whatever other features there are.
    pub fn name(&self) -> TaskName {
        TaskName { feature: Some(self.feature.clone()), id: self.id.clone() }
    }
}

/// A task as a person names it: `T002`, or `001-words/T002` where several features have one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskName {
    /// The feature, if it is named.
    pub feature: Option<FeatureId>,
    /// Its id in `tasks.md`.
    pub id: TaskId,
}

impl TaskName {
    /// Takes `T002` or `001-words/T002`.
    ///
    /// # Errors
    /// [`InvalidId`] names the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let (feature, id) = match text.rsplit_once('/') {
            Some((feature, id)) => (Some(FeatureId::parse(feature)?), id),
            None => (None, text),
        };
        Ok(Self { feature, id: TaskId::parse(id)? })
    }

    /// Whether this task is meant.
    pub fn means(&self, key: &TaskKey) -> bool {
        self.id == key.id && self.feature.as_ref().is_none_or(|feature| *feature == key.feature)
    }
}

impl From<TaskId> for TaskName {
    fn from(id: TaskId) -> Self {
        Self { feature: None, id }
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.feature {
            Some(feature) => write!(f, "{feature}/{}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

impl TryFrom<String> for TaskName {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

impl From<TaskName> for String {
    fn from(name: TaskName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_id_or_a_feature_and_an_id() {
        let key = |feature: &str| TaskKey {
            feature: FeatureId::parse(feature).unwrap(),
            id: TaskId::parse("T002").unwrap(),
        };
        let short = TaskName::parse("T002").unwrap();
        assert!(short.means(&key("001-words")) && short.means(&key("002-shop")));
        let whole = TaskName::parse("001-words/T002").unwrap();
        assert!(whole.means(&key("001-words")) && !whole.means(&key("002-shop")));
        assert_eq!(whole.to_string(), "001-words/T002");
        assert_eq!(key("001-words").name(), whole);
        // As older requests lie in an inbox.
        assert_eq!(serde_json::from_str::<TaskName>("\"T002\"").unwrap(), short);
        for bad in ["", "/", "/T002", "001-words/", "a/b/T002", "../T002", "001-words/$(id)"] {
            assert!(TaskName::parse(bad).is_err(), "{bad}");
        }
    }
}
