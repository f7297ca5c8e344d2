//! What waits for a person, or would go on sooner with one, and what to type about it.

use super::out::Out;
use super::picture::{NeedRow, Picture, TEXT_MAX};
use super::text::{LINE_MAX, Tone, plain};
use crate::domain::ids::TaskId;
use crate::domain::state::{Feature, FeatureStatus, State};
use crate::domain::task::{Status, Task};

impl Picture<'_> {
    /// What waits for a person, in all features that are not over.
    pub fn needs(&self) -> Vec<NeedRow> {
        let mut features: Vec<&Feature> = self.state().features.values().collect();
        features.sort_by_key(|feature| feature.order);
        features.into_iter().flat_map(|feature| self.needs_of(feature)).collect()
    }

    fn needs_of(&self, feature: &Feature) -> Vec<NeedRow> {
        let mut needs = Vec::new();
        if let FeatureStatus::Refused { reason, .. } = &feature.status {
            needs.push(need(None, "operator", &format!("{} cannot begin: {reason}", feature.id)));
            return needs;
        }
        if let Some(why) = &feature.halted {
            needs.push(need(None, "landing", why));
        }
        if let Some(why) = self.base_trouble(feature) {
            needs.push(need(None, "retry", &why));
        }
        let mut tasks: Vec<&Task> = self.state().tasks_of(&feature.id).collect();
        tasks.sort_by_key(|task| task.order);
        needs.extend(tasks.into_iter().filter_map(|task| self.need_of(task)));
        needs
    }

    fn need_of(&self, task: &Task) -> Option<NeedRow> {
        // What the person has done is not asked for again.
        if self.asked.about(&task.key).is_some() {
            return None;
        }
        let id = Some(&task.key.id);
        match &task.status {
            Status::Waiting { wait, text } => Some(need(id, wait.as_str(), text)),
            Status::Parked => Some(need(id, "parked", &task.reason)),
            Status::ToDo
            | Status::Ready
            | Status::Running { .. }
            | Status::Retry { .. }
            | Status::Landing { .. }
            | Status::Skipped
            | Status::Done { .. } => Some(need(id, "retry", &self.task_trouble(task)?)),
        }
    }
}

fn need(task: Option<&TaskId>, kind: &'static str, text: &str) -> NeedRow {
    NeedRow { task: task.map(ToString::to_string), kind, text: plain(text, TEXT_MAX) }
}

/// The text form: what waits for the person, each with the command to type.
pub(super) fn show(rows: &[NeedRow], state: &State, out: &mut Out<'_>) {
    if rows.is_empty() {
        return;
    }
    out.line(out.colour.paint(Tone::Bold, "Needs you"));
    for row in rows {
        let text = plain(&row.text, LINE_MAX);
        let lead = out.colour.paint(Tone::Warn, &lead(row));
        out.line(if text.is_empty() { format!("  {lead}") } else { format!("  {lead}: {text}") });
        out.line(format!("      {}", to_type(row, state)));
    }
}

fn lead(row: &NeedRow) -> String {
    let who = row.task.as_deref().unwrap_or("the sprint");
    match row.kind {
        "answer" => format!("{who} asks"),
        "approval" => format!("{who} waits for your approval"),
        "external" => format!("{who} waits for something outside"),
        "parked" => format!("{who} is parked"),
        "landing" => "landing is halted".to_owned(),
        "retry" if row.task.is_none() => format!("{who} waits"),
        "retry" => format!("{who} could not go on"),
        _ => format!("{who} waits for you"),
    }
}

/// The exact command.
fn to_type(row: &NeedRow, state: &State) -> String {
    let task = row.task.as_deref().unwrap_or_default();
    match row.kind {
        "answer" => format!("sprint answer {task} \"…\""),
        "approval" | "external" => format!("sprint approve {task}      or: sprint reject {task} \"why\""),
        "parked" => format!("sprint task retry {task}      or: sprint task skip {task}"),
        "landing" => "sprint resume --adopt      or: sprint resume --restore".to_owned(),
        "retry" => mend(row.task.as_deref()),
        _ if task.is_empty() => {
            let refused = state.features.values().find(|f| matches!(f.status, FeatureStatus::Refused { .. }));
            format!("sprint start {}", refused.map_or("…", |feature| feature.dir.as_str()))
        }
        _ => format!("sprint task retry {task}      or: sprint task skip {task}"),
    }
}

/// Where to look at an error that is repeated by itself, and how not to wait for that.
pub(super) fn mend(task: Option<&str>) -> String {
    match task {
        Some(task) => format!("sprint logs {task}      and when it is mended: sprint task retry {task}"),
        None => "sprint logs reviewer      and when it is mended: sprint reload".to_owned(),
    }
}
