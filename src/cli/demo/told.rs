//! What happened in the demo: lines on the way, and what to make of it at the end. Pure.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::FEATURE;
use crate::cli::out::Out;
use crate::cli::text::{Colour, Tone, clock, plain};
use crate::error::exit;
use crate::store::EventRow;

/// Columns of a sentence.
const TEXT_MAX: usize = 150;

/// Fine alone, red together.
const PAIR: [&str; 2] = ["T007", "T008"];

/// What the demo is to show, in the order of the tasks.
#[derive(Debug, Default)]
pub(super) struct Story {
    state: PathBuf,
    red: Option<String>,
    question: Option<String>,
    killed: Option<String>,
    lost: bool,
    conflict: Option<String>,
    together: Option<String>,
    landed: usize,
    tasks: usize,
    took: Duration,
}

/// A line with its tone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    text: String,
    tone: Tone,
}

impl Line {
    pub(super) fn painted(&self, colour: Colour) -> String {
        colour.paint(self.tone, &self.text)
    }
}

impl Story {
    pub(super) fn new(state: PathBuf) -> Self {
        Self { state, ..Self::default() }
    }

    pub(super) fn killed(&mut self, worker: &str, pid: u32) {
        self.killed = Some(format!("{worker}, pid {pid}"));
    }

    pub(super) fn end(&mut self, landed: usize, tasks: usize, took: Duration) {
        (self.landed, self.tasks, self.took) = (landed, tasks, took);
    }

    /// Keeps what an event means, and gives the lines to show for it.
    pub(super) fn take(&mut self, row: &EventRow, findings: &[String]) -> Vec<Line> {
        let task = row.task.as_deref().unwrap_or_default();
        let (tone, remark) = match row.kind.as_str() {
            "stage_failed" => (Tone::Bad, self.failed(task, &row.text)),
            "task_asks" => {
                self.question = Some(task.to_owned());
                (Tone::Warn, "its developer is free for other work while the question is open")
            }
            "worker_lost" => {
                self.lost |= self.killed.is_some();
                (Tone::Warn, "no attempt is spent, and what it had written is kept")
            }
            "task_landed" => (Tone::Good, ""),
            "task_waits" | "task_parked" | "stage_error" | "feature_refused" | "base_error" => {
                (Tone::Bad, "")
            }
            "run_assigned" if row.worker.as_deref().is_some_and(|worker| worker.starts_with("developer")) => {
                (Tone::Normal, "")
            }
            "task_answered" | "base_passed" | "feature_finished" | "feature_began" => (Tone::Normal, ""),
            _ => return Vec::new(),
        };
        let who = row.task.as_deref().or(row.feature.as_deref()).unwrap_or("sprint");
        let text = format!("{} {who:<6} {}", clock(row.wall_ms), plain(&row.text, TEXT_MAX));
        let remark =
            (!remark.is_empty()).then(|| Line { text: format!("{:16}^ {remark}", ""), tone: Tone::Dim });
        let found = findings.iter().map(|finding| Line {
            text: format!("{:16}| {}", "", plain(finding, TEXT_MAX)),
            tone: Tone::Normal,
        });
        std::iter::once(Line { text, tone }).chain(found).chain(remark).collect()
    }

    fn failed(&mut self, task: &str, text: &str) -> &'static str {
        let what = format!("{task}: {}", plain(text, TEXT_MAX));
        if text.contains("conflict") {
            self.conflict.get_or_insert(what);
            "what landed meanwhile changed the same lines; the next attempt begins on top of it"
        } else if text.contains("in Merging") {
            self.together.get_or_insert(what);
            "it passed its gates alone, and git merges it; together with what landed meanwhile it is red"
        } else if PAIR.contains(&task) {
            // A slow machine: its candidate was made after the other one had landed.
            self.together.get_or_insert(what);
            "fine alone; on top of what landed meanwhile it is red"
        } else {
            self.red.get_or_insert(what);
            "a gate is red: its findings go back to the developer"
        }
    }

    /// Each thing that the demo shows, with what the history says of it.
    fn points(&self) -> [(&'static str, Option<String>); 5] {
        let killed = self.killed.clone().filter(|_| self.lost);
        [
            ("a red gate, repaired", self.red.clone()),
            ("a worker killed, nothing lost", killed.map(|who| format!("T003: {who}"))),
            (
                "a question, answered from outside",
                self.question.as_ref().map(|task| format!("{task}: sprint answer")),
            ),
            ("a conflict, resolved", self.conflict.clone()),
            ("fine alone, red together, repaired", self.together.clone()),
        ]
    }
}

/// Prints what happened and what to do next; the exit code.
pub(super) fn tell(out: &mut Out<'_>, story: &Story, dir: &Path) -> u8 {
    out.line("");
    out.line(out.colour.paint(Tone::Bold, "What happened (the developers were a script, not a model)"));
    for (name, seen) in story.points() {
        let (tone, text) = match &seen {
            Some(text) => (Tone::Good, text.as_str()),
            None => (Tone::Warn, "not seen this time"),
        };
        out.line(format!("  {} {text}", out.colour.paint(tone, &format!("{name:<35}"))));
    }
    let took = format!("{} s", story.took.as_secs());
    let tone = if story.landed == story.tasks { Tone::Good } else { Tone::Bad };
    let sum =
        format!("{} of {} tasks landed in {took}, one merge each, each one green", story.landed, story.tasks);
    out.line(format!("  {}", out.colour.paint(tone, &sum)));
    out.line("");
    next(out, story, dir);
    if story.tasks > 0 && story.landed == story.tasks { exit::DONE } else { exit::UNFINISHED }
}

fn next(out: &mut Out<'_>, story: &Story, dir: &Path) {
    let name = FEATURE.trim_start_matches("specs/");
    out.line(out.colour.paint(Tone::Bold, "Look around"));
    for line in [
        format!("  cd {}", dir.display()),
        format!("  git log --oneline --first-parent sprint/{name}"),
        "  sprint status            sprint task show T008            sprint events -n 200".to_owned(),
        format!(
            "  git merge sprint/{name}     takes the feature over; until then your checkout is untouched"
        ),
    ] {
        out.line(line);
    }
    out.line("");
    out.line(out.colour.paint(Tone::Bold, "In a repository of your own"));
    out.line("  sprint init              writes a sprint.toml: name your agent there");
    out.line("  sprint doctor            says what is missing");
    out.line("  sprint start specs/001-thing");
    out.line("");
    out.line(format!("To remove the sample: rm -r {} {}", dir.display(), story.state.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, task: &str, worker: Option<&str>, text: &str) -> EventRow {
        EventRow {
            seq: 1,
            wall_ms: 0,
            kind: kind.to_owned(),
            feature: Some("001-words".to_owned()),
            task: Some(task.to_owned()),
            worker: worker.map(str::to_owned),
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_was_not_seen_is_not_claimed() {
        let mut story = Story::new("/state".into());
        story.take(&row("stage_failed", "T002", None, "attempt 1 failed in InReview: ruff: F401"), &[]);
        story.take(&row("worker_lost", "T003", None, "its worker died"), &[]);
        let seen: Vec<bool> = story.points().iter().map(|(_, seen)| seen.is_some()).collect();
        assert_eq!(seen, [true, false, false, false, false]);
        story.killed("developer-2", 7);
        story.take(&row("worker_lost", "T003", None, "its worker died"), &[]);
        story.take(&row("stage_failed", "T006", None, "attempt 1 failed in Merging: conflict in a.py"), &[]);
        story.take(&row("stage_failed", "T008", None, "attempt 1 failed in Merging: mypy: red"), &[]);
        story.take(&row("task_asks", "T004", None, "asks: which?"), &[]);
        assert!(story.points().iter().all(|(_, seen)| seen.is_some()));
        story.end(8, 8, Duration::from_secs(61));
        let mut text = Vec::new();
        let mut out = Out::new(&mut text, Colour::Off, None);
        assert_eq!(tell(&mut out, &story, Path::new("/sample")), 0);
        out.finish().unwrap();
        drop(out);
        insta::assert_snapshot!(String::from_utf8(text).unwrap());
    }
}
