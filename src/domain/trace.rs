//! Traces: what changed in the person's own repository while a run was on, beside the run's work. Sprint
//! cannot know who did it, and undoes nothing: the person is told once, with the command that does.

use serde::{Deserialize, Serialize};

use super::draft::Draft;
use super::state::Run;
use super::task::TaskKey;

/// Traces of a feature that are kept for `status`, the newest.
const KEPT_MAX: usize = 50;

/// What kind of thing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A local branch that is not sprint's.
    Branch,
    /// A key of the repository's own configuration.
    Setting,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// What kind of thing.
    pub kind: Kind,
    /// The branch, without `refs/heads/`, or the key.
    pub name: String,
    /// The commit or the value that it had, if it was there.
    pub from: Option<String>,
    /// What it has now, if it is there.
    pub to: Option<String>,
    /// The command that puts it back.
    pub fix: String,
}

impl Trace {
    /// Every text that came from the repository.
    pub fn each_text(&mut self, f: &mut dyn FnMut(&mut String)) {
        for text in [&mut self.name, &mut self.fix].into_iter().chain(&mut self.from).chain(&mut self.to) {
            f(text);
        }
    }

    /// What changed, as a clause: `branch `main` moved from 0123456789 to 9876543210`.
    pub fn text(&self) -> String {
        let (name, from, to) = (&self.name, self.short(self.from.as_ref()), self.short(self.to.as_ref()));
        match (self.kind, from, to) {
            (Kind::Branch, Some(from), Some(to)) => format!("branch `{name}` moved from {from} to {to}"),
            (Kind::Branch, None, Some(to)) => format!("branch `{name}` was made, at {to}"),
            (Kind::Branch, from, None) => {
                format!("branch `{name}` was deleted, which was at {}", from.unwrap_or_default())
            }
            (Kind::Setting, Some(from), Some(to)) => format!("`{name}` was set to `{to}`; it was `{from}`"),
            (Kind::Setting, None, Some(to)) => format!("`{name}` was set to `{to}`; it was not set"),
            (Kind::Setting, from, None) => {
                format!("`{name}` was removed; it was `{}`", from.unwrap_or_default())
            }
        }
    }

    /// Commits as git shortens them; values as they are.
    fn short<'a>(&self, value: Option<&'a String>) -> Option<&'a str> {
        const SHORT: usize = 10;
        value.map(|value| match self.kind {
            // A branch may stand for another one.
            Kind::Branch if !value.starts_with("refs/") => value.get(..SHORT).unwrap_or(value),
            Kind::Branch | Kind::Setting => value,
        })
    }
}

/// A trace, and while what it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// `T004`, or words for a run without a task.
    pub during: String,
    /// What changed.
    pub trace: Trace,
}

impl Told {
    /// For people; no accusation, because the person may have done it.
    pub fn text(&self) -> String {
        format!("while {} ran, {}", self.during, self.trace.text())
    }
}

/// Tells the person what was not told yet: runs beside each other see the same.
pub(super) fn seen(draft: &mut Draft<'_>, run: &Run, traces: &[Trace]) {
    let key = run.job.task.as_ref().map(|id| TaskKey { feature: run.job.feature.clone(), id: id.clone() });
    let during =
        key.as_ref().map_or_else(|| "the gates of the base".to_owned(), |key| draft.name_of(key).to_string());
    for trace in traces {
        let Some(feature) = draft.edit_feature(&run.job.feature) else { return };
        let same = |told: &Told| (told.trace.kind, &told.trace.name) == (trace.kind, &trace.name);
        if feature.traces.iter().any(|told| same(told) && told.trace.to == trace.to) {
            continue;
        }
        feature.traces.retain(|told| !same(told));
        let excess = (feature.traces.len() + 1).saturating_sub(KEPT_MAX);
        feature.traces.drain(..excess);
        let told = Told { during: during.clone(), trace: trace.clone() };
        let text = format!("{}; if that was not you: {}", told.text(), trace.fix);
        feature.traces.push(told);
        draft.say_worker("repository_changed", &run.worker, key.as_ref(), text);
    }
}
