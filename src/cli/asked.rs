//! What was asked for while no supervisor ran: rows of the inbox that the next `sprint start` applies.
//!
//! What will become of them is not guessed: they go through the same `step` as there, on a copy.

use std::collections::BTreeMap;

use serde::Serialize;

use super::picture::TEXT_MAX;
use super::text::plain;
use crate::domain::draft::Reply;
use crate::domain::event::{Envelope, Event, Now, Request};
use crate::domain::state::{Mode, State};
use crate::domain::step::step;
use crate::domain::task::{TaskKey, TaskName};
use crate::store::Overview;

/// A request in `status --json`.
#[derive(Debug, Clone, Serialize)]
pub struct PendingRow {
    /// The feature of the task.
    pub feature: String,
    /// The task.
    pub task: String,
    /// `answer`, `approve`, `reject`, `retry`, `skip` or `stop`.
    pub request: &'static str,
    /// The answer, or the reason.
    pub text: String,
}

/// The state as it will be, and what of the requests makes it so.
#[derive(Debug, Default)]
pub struct Asked {
    ahead: State,
    by_task: BTreeMap<TaskKey, Request>,
    now: Option<Now>,
}

impl Asked {
    /// What the requests of the inbox lead to.
    pub fn of(overview: &Overview, now: Now) -> Self {
        let mut ahead = overview.state.clone();
        // As at a boot: requests are applied, and nothing is assigned yet.
        ahead.sprint.mode = Mode::Booting;
        let mut asked = Self { ahead, by_task: BTreeMap::new(), now: Some(now) };
        overview.asked.iter().for_each(|request| asked.take(request));
        asked
    }

    fn take(&mut self, request: &Request) {
        let step = step(&self.ahead, &self.envelope(request));
        for row in step.tasks.iter().filter_map(|row| row.after.as_ref()) {
            self.by_task.insert(row.key.clone(), request.clone());
        }
        self.ahead.apply(&step);
    }

    fn envelope(&self, request: &Request) -> Envelope {
        let now = self.now.unwrap_or(Now { wall_ms: 0, mono_ms: 0, utc_offset_s: 0 });
        // No run is drawn while nothing is assigned.
        let event = Event::Request { id: 0, request: request.clone() };
        Envelope { now, entropy: String::new(), event }
    }

    /// The last request that changes this task, as it is shown.
    pub fn about(&self, task: &TaskKey) -> Option<PendingRow> {
        row(task, self.by_task.get(task)?)
    }

    /// The last request that changes a task of this name.
    pub fn about_name(&self, task: &TaskName) -> Option<(&TaskKey, &Request)> {
        self.by_task.iter().rev().find(|(key, _)| task.means(key))
    }

    /// What the supervisor will say to one more.
    pub fn reply_to(&self, request: &Request) -> Option<Reply> {
        step(&self.ahead, &self.envelope(request)).replies.pop()
    }

    /// All of them that change something, by task.
    pub fn rows(&self) -> Vec<PendingRow> {
        self.by_task.iter().filter_map(|(key, request)| row(key, request)).collect()
    }
}

fn row(task: &TaskKey, request: &Request) -> Option<PendingRow> {
    let (word, text) = word(request)?;
    Some(PendingRow {
        feature: task.feature.to_string(),
        task: task.id.to_string(),
        request: word,
        text: plain(text, TEXT_MAX),
    })
}

/// The request's word and its text; `None` for one that is about no task.
fn word(request: &Request) -> Option<(&'static str, &str)> {
    match request {
        Request::Answer { text, .. } => Some(("answer", text)),
        Request::Approve { .. } => Some(("approve", "")),
        Request::Reject { reason, .. } => Some(("reject", reason)),
        Request::TaskRetry { .. } => Some(("retry", "")),
        Request::TaskSkip { .. } => Some(("skip", "")),
        Request::TaskStop { .. } => Some(("stop", "")),
        Request::Start { .. }
        | Request::Pause
        | Request::Resume { .. }
        | Request::Stop { .. }
        | Request::Reload { .. } => None,
    }
}

impl PendingRow {
    /// What the person did about the task: `answered: euro`.
    pub fn done(&self) -> String {
        let done = match self.request {
            "answer" => "answered",
            "approve" => "approved",
            "reject" => "rejected",
            "retry" => "to be tried again",
            "skip" => "skipped",
            _ => "stopped",
        };
        if self.text.is_empty() { done.to_owned() } else { format!("{done}: {}", self.text) }
    }
}
