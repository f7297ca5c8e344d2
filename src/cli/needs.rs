//! What waits for a person, or would go on sooner with one, and what to type about it.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::disk::MEND_RUNNING;
use super::foreign::Foreign;
use super::out::Out;
use super::picture::{NeedRow, Picture, ProposalRow, TEXT_MAX};
use super::text::{LINE_MAX, Tone, count, plain};
use crate::domain::accounts::Hold;
use crate::domain::budget::Scope;
use crate::domain::ids::TaskId;
use crate::domain::state::{Feature, FeatureStatus};
use crate::domain::task::{Status, Task, TaskName, WaitKind};
use crate::domain::triage::{Action, Proposal};
use crate::domain::worker::{Life, Worker};

/// Where a program does not tell what it asks.
const UNKNOWN: &str = "its screen says what for";

impl Picture<'_> {
    /// What waits for a person, in all features that are not over.
    pub fn needs(&self) -> Vec<NeedRow> {
        let mut features: Vec<&Feature> = self.state().features.values().collect();
        features.sort_by_key(|feature| feature.order);
        let disk = features.iter().find_map(|feature| self.held_by_disk(feature));
        let disk =
            disk.map(|disk| need(None, None, "operator", &disk.consequence(), MEND_RUNNING.to_owned()));
        let all = disk.into_iter().chain(features.into_iter().flat_map(|feature| self.needs_of(feature)));
        all.chain(self.broken_workers()).collect()
    }

    /// Slots whose workers die at their start: their tasks wait, and nothing else says why.
    fn broken_workers(&self) -> Vec<NeedRow> {
        let open = |worker: &&Worker| matches!(worker.life, Life::Backoff { open_since_ms: Some(_), .. });
        let row = |worker: &Worker| {
            let name = &worker.name;
            let text = format!(
                "{name} has died {} at its start, and is tried again once a minute: something on this machine, or its agent, ends it",
                count(usize::try_from(worker.instant_deaths).unwrap_or(usize::MAX), "time")
            );
            need(
                None,
                None,
                "retry",
                &text,
                format!("sprint logs {name}      and mend it; it goes on by itself"),
            )
        };
        let workers = self.state().workers.values();
        // Without a supervisor nothing is tried; the next start begins afresh.
        workers.filter(|_| self.supervisor.is_some()).filter(open).map(row).collect()
    }

    fn needs_of(&self, feature: &Feature) -> Vec<NeedRow> {
        let mut needs = Vec::new();
        if let FeatureStatus::Refused { reason, .. } = &feature.status {
            let text = format!("{} cannot begin: {reason}", feature.id);
            needs.push(need(
                Some(feature),
                None,
                "operator",
                &text,
                format!("sprint start {}", plain(&feature.dir, 200)),
            ));
            return needs;
        }
        // A foreign head that is being gated is taken over, or refused, without the person.
        if let (Some(why), None) = (&feature.halted, &feature.adopting) {
            needs.push(need(
                Some(feature),
                None,
                "landing",
                why,
                Foreign::fix(self.foreign.get(&feature.id)).to_owned(),
            ));
        }
        if let Some(why) = self.base_trouble(feature) {
            needs.push(need(Some(feature), None, "retry", &why, self.base_fix(feature)));
        }
        needs.extend(self.budget_of(feature));
        needs.extend(self.holds_of(feature));
        let mut tasks: Vec<&Task> = self.state().tasks_of(&feature.id).collect();
        tasks.sort_by_key(|task| task.order);
        needs.extend(self.waiting_agents(feature));
        needs.extend(tasks.into_iter().filter_map(|task| self.need_of(task)));
        needs
    }

    /// Agents whose service does not serve. What time alone mends is told too.
    fn holds_of(&self, feature: &Feature) -> Vec<NeedRow> {
        let used: BTreeSet<&String> = feature.frozen.policy.agents_in_use().collect();
        let holds =
            self.state().sprint.holds.iter().filter(|(agent, hold)| used.contains(agent) && hold.holds());
        let row = |(agent, hold): (&String, &Hold)| {
            let kind = if hold.until_ms.is_none() { "operator" } else { "retry" };
            need(Some(feature), None, kind, &self.hold_text(agent, hold), self.hold_fix(feature))
        };
        if matches!(feature.status, FeatureStatus::Finished) { Vec::new() } else { holds.map(row).collect() }
    }

    /// How a base is gated again: a `reload` does it at once where somebody applies it.
    pub(super) fn base_fix(&self, feature: &Feature) -> String {
        mend("reviewer", &self.then(feature, "sprint reload"))
    }

    /// `command` where a supervisor applies it; else the start that takes it over.
    fn then(&self, feature: &Feature, command: &str) -> String {
        match self.supervisor {
            Some(_) => command.to_owned(),
            None => format!("sprint start {}", plain(&feature.dir, 200)),
        }
    }

    /// Without a supervisor nobody applies a `resume`; the next start tries it anyway.
    pub(super) fn hold_fix(&self, feature: &Feature) -> String {
        match self.supervisor {
            Some(_) => "sprint resume      tries it at once".to_owned(),
            None => format!("see to it, then: sprint start {}", plain(&feature.dir, 200)),
        }
    }

    /// A budget that is used up: the feature's waits for the person, the day's ends by itself.
    fn budget_of(&self, feature: &Feature) -> Option<NeedRow> {
        let over = feature.over.filter(|_| !matches!(feature.status, FeatureStatus::Finished))?;
        let kind = if over.scope == Scope::Day { "retry" } else { "operator" };
        let then = self.then(feature, "sprint reload");
        let fix = format!("raise `[budget] {}` in sprint.toml, then: {then}", over.scope);
        Some(need(Some(feature), None, kind, &self.over_text(feature)?, fix))
    }

    /// Agents' programs that wait at their own screens: only there can they be answered.
    fn waiting_agents(&self, feature: &Feature) -> Vec<NeedRow> {
        if self.supervisor.is_none() {
            return Vec::new();
        }
        let waits = |worker: &&Worker| worker.agent().is_some_and(|seen| seen.stand.needs_a_person());
        let row = |worker: &Worker| {
            let (seen, run) = (worker.agent()?, self.state().runs.get(worker.life.run()?)?);
            let (task, kind) = (run.job.task.as_ref(), seen.stand.word());
            let fix = format!("sprint attach {}      and answer it there", worker.name);
            let text = if seen.text.is_empty() { UNKNOWN } else { seen.text.as_str() };
            (run.job.feature == feature.id).then(|| need(Some(feature), task, kind, text, fix))
        };
        self.state().workers.values().filter(waits).filter_map(row).collect()
    }

    fn need_of(&self, task: &Task) -> Option<NeedRow> {
        // What the person has done is not asked for again.
        if self.asked.about(&task.key).is_some() {
            return None;
        }
        let row = self.plain_need_of(task)?;
        Some(NeedRow {
            proposal: task.proposal().map(|proposal| proposed(&self.state().name_of(&task.key), proposal)),
            ..row
        })
    }

    fn plain_need_of(&self, task: &Task) -> Option<NeedRow> {
        let (feature, task_id) = (self.state().features.get(&task.key.feature), Some(&task.key.id));
        let id = &self.state().name_of(&task.key);
        let again = || format!("sprint task retry {id}      or: sprint task skip {id}");
        Some(match &task.status {
            Status::Waiting { wait, text } => {
                let fix = match wait {
                    WaitKind::Answer => format!("sprint answer {id} \"…\""),
                    WaitKind::Approval | WaitKind::External => {
                        format!("sprint approve {id}      or: sprint reject {id} \"why\"")
                    }
                    WaitKind::Operator => again(),
                    WaitKind::Checkout => {
                        "switch to another branch there; then it lands by itself".to_owned()
                    }
                };
                need(feature, task_id, wait.as_str(), text, fix)
            }
            Status::Parked => need(feature, task_id, "parked", &task.reason, again()),
            Status::ToDo
            | Status::Ready
            | Status::Running { .. }
            | Status::Retry { .. }
            | Status::Landing { .. }
            | Status::Skipped
            | Status::Done { .. } => {
                need(feature, task_id, "retry", &self.task_trouble(task)?, mend_task(id))
            }
        })
    }
}

fn need(
    feature: Option<&Feature>,
    task: Option<&TaskId>,
    kind: &'static str,
    text: &str,
    fix: String,
) -> NeedRow {
    NeedRow {
        feature: feature.map(|feature| feature.id.to_string()),
        task: task.map(ToString::to_string),
        kind,
        text: plain(text, TEXT_MAX),
        proposal: None,
        fix,
    }
}

/// The proposed text is in no command: nobody types what a model has written.
fn proposed(id: &TaskName, proposal: &Proposal) -> ProposalRow {
    let command = match proposal.action {
        Action::Answer => format!("sprint answer {id} --proposed"),
        Action::Retry => format!("sprint task retry {id}"),
        Action::Skip => format!("sprint task skip {id}"),
        Action::Split => {
            format!("put such lines into tasks.md in place of {id}, commit it, then sprint start")
        }
    };
    ProposalRow { action: proposal.action.as_str(), text: plain(&proposal.text, TEXT_MAX), command }
}

/// The text form: what waits for the person, each with the command to type.
pub(super) fn show(picture: &Picture<'_>, rows: &[NeedRow], out: &mut Out<'_>) {
    if rows.is_empty() {
        return;
    }
    out.line(out.colour.paint(Tone::Bold, "Needs you"));
    for row in rows {
        let text = plain(&row.text, LINE_MAX);
        let lead = out.colour.paint(Tone::Warn, &lead(picture, row));
        out.line(if text.is_empty() { format!("  {lead}") } else { format!("  {lead}: {text}") });
        if let Some(ProposalRow { action, text, command }) = &row.proposal {
            out.line(format!("      the manager proposes: {action}: {}", plain(text, LINE_MAX)));
            out.line(format!("      {command}      does so; otherwise:"));
        }
        out.line(format!("      {}", row.fix));
    }
}

fn lead(picture: &Picture<'_>, row: &NeedRow) -> String {
    let named = row.task.as_ref().map(|task| picture.short_name(row.feature.as_deref(), task));
    let who = named.as_deref().unwrap_or("the sprint");
    match row.kind {
        "answer" => format!("{who} asks"),
        "approval" => format!("{who} waits for your approval"),
        "external" => format!("{who} waits for something outside"),
        "permission" => format!("the agent of {who} asks for your permission"),
        "question" => format!("the agent of {who} asks you something"),
        "dialog" => format!("the agent of {who} asks"),
        "parked" => format!("{who} is parked"),
        "landing" => "landing is halted".to_owned(),
        "retry" if row.task.is_none() => format!("{who} waits"),
        "retry" => format!("{who} could not go on"),
        _ => format!("{who} waits for you"),
    }
}

/// Where to look at a task's error that is repeated by itself, and how not to wait for that.
pub(super) fn mend_task(task: &TaskName) -> String {
    mend(task, &format!("sprint task retry {task}"))
}

fn mend(logs: impl Display, then: &str) -> String {
    format!("sprint logs {logs}      and when it is mended: {then}")
}
