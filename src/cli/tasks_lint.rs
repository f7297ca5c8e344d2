//! `sprint tasks lint`: shows what was read from a `tasks.md`, the order, the convoys and the
//! warnings. It takes the bytes of the file and gives text back; it reads and prints nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::domain::ids::TaskId;
use crate::domain::plan::{Cycle, ParkedPolicy, Plan, PlanOptions, Progress, open_predecessors, plan};
use crate::feature::{TaskFile, TaskLine, Warning};

/// Characters of a title shown in the table.
const TITLE_WIDTH: usize = 72;

/// How to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// What was found.
#[derive(Debug)]
pub struct Lint {
    /// For standard output; ends with a line end.
    pub output: String,
    /// Why nothing can be run, if so: the exit code is then 2.
    pub refused: Option<Refused>,
}

/// Why a feature cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("no task found in the file")]
    NoTasks,
    #[error("no task is open: every one is done or dropped")]
    NothingOpen,
    #[error(transparent)]
    Cycle(#[from] Cycle),
}

/// Reads a `tasks.md`, plans it and shows both.
pub fn render(tasks_md: &[u8], options: PlanOptions, format: Format) -> Lint {
    let file = TaskFile::read(tasks_md);
    let mut warnings = file.warnings.clone();
    let (planned, cycle) = match plan(&file.plan_items(), options) {
        Ok(plan) => (Some(plan), None),
        Err(cycle) => (None, Some(cycle)),
    };
    if let Some(cycle) = &cycle {
        let line = cycle.path.iter().filter_map(|id| file.task(id)).map(|t| t.line).min().unwrap_or(1);
        warnings.push(Warning { line, message: cycle.to_string() });
    }
    let of_plan = planned.iter().flat_map(|p| &p.warnings);
    warnings.extend(of_plan.map(|w| Warning { line: w.line, message: w.message.clone() }));
    warnings.sort();
    let waits = planned.as_ref().map(|plan| waits(&file, plan)).unwrap_or_default();
    let view = View { file: &file, plan: planned.as_ref(), waits, warnings: &warnings };
    let output = match format {
        Format::Json => view.json(),
        Format::Text => view.text(),
    };
    Lint { output, refused: refused(&file, cycle) }
}

fn refused(file: &TaskFile, cycle: Option<Cycle>) -> Option<Refused> {
    if file.tasks.is_empty() {
        Some(Refused::NoTasks)
    } else if let Some(cycle) = cycle {
        Some(Refused::Cycle(cycle))
    } else {
        file.tasks.iter().all(|t| t.done).then_some(Refused::NothingOpen)
    }
}

/// For each open task the open ones that it waits for: what is done holds nobody.
fn waits(file: &TaskFile, plan: &Plan) -> BTreeMap<TaskId, Vec<TaskId>> {
    let open: BTreeSet<&TaskId> = file.tasks.iter().filter(|t| !t.done).map(|t| &t.id).collect();
    let progress = |id: &TaskId| if open.contains(id) { Progress::Open } else { Progress::Done };
    let before = open_predecessors(plan, &progress, ParkedPolicy::Hold);
    plan.tasks.iter().map(|task| task.id.clone()).zip(before).collect()
}

struct View<'a> {
    file: &'a TaskFile,
    /// None if dependencies form a circle.
    plan: Option<&'a Plan>,
    waits: BTreeMap<TaskId, Vec<TaskId>>,
    warnings: &'a [Warning],
}

/// The interface: `docs/json.md`.
#[derive(Serialize)]
struct Report<'a> {
    tasks: Vec<Task<'a>>,
    /// Every open task is in exactly one.
    convoys: Vec<Vec<&'a TaskId>>,
    warnings: &'a [Warning],
}

#[derive(Serialize)]
struct Task<'a> {
    id: &'a TaskId,
    title: &'a str,
    /// Also for dropped tasks.
    done: bool,
    parallel: bool,
    /// `US1`, `US1+US2`, or null.
    story: Option<String>,
    /// The heading of the phase.
    phase: &'a str,
    paths: &'a [String],
    depends_on: &'a [TaskId],
    line: u32,
}

impl<'a> View<'a> {
    fn convoys(&self) -> Vec<Vec<&'a TaskId>> {
        let convoys = self.plan.map(|p| &p.convoys[..]).unwrap_or_default();
        convoys.iter().map(|c| c.iter().collect()).collect()
    }

    fn json(&self) -> String {
        let report = Report {
            tasks: self.file.tasks.iter().map(|t| self.task(t)).collect(),
            convoys: self.convoys(),
            warnings: self.warnings,
        };
        let mut text =
            serde_json::to_string_pretty(&report).expect("texts, numbers and lists have a JSON form");
        text.push('\n');
        text
    }

    fn task(&self, task: &'a TaskLine) -> Task<'a> {
        Task {
            id: &task.id,
            title: &task.title,
            done: task.done,
            parallel: task.parallel,
            story: story(task),
            phase: self.file.phase_title(task),
            paths: &task.paths,
            depends_on: &task.depends_on,
            line: task.line,
        }
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        for (number, phase) in (0u32..).zip(&self.file.phases) {
            lines.push(if phase.title.is_empty() {
                "(no heading)".to_owned()
            } else {
                shown(&phase.title, 100)
            });
            lines.extend(self.file.tasks.iter().filter(|t| t.phase == number).flat_map(|t| self.row(t)));
            lines.push(String::new());
        }
        if let Some(plan) = self.plan {
            let several = plan.convoys.iter().filter(|c| c.len() > 1);
            let several: Vec<String> = several.map(|c| format!("  {}", names(c))).collect();
            if !several.is_empty() {
                lines.push("Convoys (share files: one task at a time)".to_owned());
                lines.extend(several);
                lines.push(String::new());
            }
        }
        if !self.warnings.is_empty() {
            lines.push("Warnings".to_owned());
            lines.extend(
                self.warnings.iter().map(|w| format!("  line {}: {}", w.line, shown(&w.message, 400))),
            );
            lines.push(String::new());
        }
        lines.push(self.summary());
        lines.join("\n") + "\n"
    }

    /// The task, and below it what it touches and waits for.
    fn row(&self, task: &TaskLine) -> Vec<String> {
        let mark = match (task.dropped, task.done) {
            (true, _) => '~',
            (false, true) => 'x',
            (false, false) => ' ',
        };
        let labels = [task.parallel.then(|| "[P] ".to_owned()), story(task).map(|s| format!("[{s}] "))];
        let labels: String = labels.into_iter().flatten().collect();
        let mut rows = vec![format!("  [{mark}] {:<6} {labels}{}", task.id, shown(&task.title, TITLE_WIDTH))];
        if !task.paths.is_empty() {
            rows.push(format!("{:13}paths: {}", "", shown(&task.paths.join(", "), 200)));
        }
        if let Some(before) = self.waits.get(&task.id).filter(|before| !before.is_empty()) {
            rows.push(format!("{:13}after: {}", "", names(before)));
        }
        rows
    }

    fn summary(&self) -> String {
        let tasks = &self.file.tasks;
        let open = tasks.iter().filter(|t| !t.done).count();
        let count = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        format!(
            "{}, {open} open, {}, {}",
            count(tasks.len(), "task", "tasks"),
            count(self.plan.map_or(0, |p| p.convoys.len()), "convoy", "convoys"),
            count(self.warnings.len(), "warning", "warnings")
        )
    }
}

fn story(task: &TaskLine) -> Option<String> {
    (!task.stories.is_empty()).then(|| task.stories.join("+"))
}

/// At most twelve ids; the others are counted.
fn names(ids: &[TaskId]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<&str> = ids.iter().take(SHOWN).map(TaskId::as_str).collect();
    let more = if ids.len() > SHOWN { format!(" and {} more", ids.len() - SHOWN) } else { String::new() };
    shown.join(" ") + &more
}

/// Text from outside, for a terminal: no control characters, no change of direction, not too long.
fn shown(text: &str, width: usize) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut clean: String =
        text.chars().take(width).map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(width).is_some() {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: &str = "# Tasks: demo\n\n## Phase 1: Setup\n\n- [x] T001 write src/one.txt\n- [~] T009 gone\n\n\
        ## Phase 2: User Story 1 - Two (Priority: P1)\n\n- [ ] T002 [P] [US1] write src/two.txt\n\
        - [ ] T003 [P] [US1] write src/three.txt\n- [ ] T004 [US1+US2] join them in src/two.txt (depends on T002, T003)\n\
        - [ ] check it\n";

    fn lint(text: &str, format: Format) -> Lint {
        render(text.as_bytes(), PlanOptions::default(), format)
    }

    #[test]
    fn json() {
        let lint = lint(DEMO, Format::Json);
        assert_eq!(lint.refused, None);
        insta::assert_snapshot!(lint.output);
    }

    #[test]
    fn text() {
        insta::assert_snapshot!(lint(DEMO, Format::Text).output);
    }

    #[test]
    fn what_is_ticked_out_of_order_is_nobodys_predecessor() {
        let text = "- [ ] T001 a\n- [ ] T002 b\n- [ ] T003 c\n- [x] T004 d\n- [ ] T005 e\n";
        let output = lint(text, Format::Text).output;
        let after: Vec<&str> =
            output.lines().filter_map(|line| line.trim().strip_prefix("after: ")).collect();
        assert_eq!(after, ["T001", "T002", "T003"]);
    }

    #[test]
    fn what_cannot_run_says_why_and_is_still_json() {
        let circle = "- [ ] T001 a (after T002)\n- [ ] T002 b (after T001)\n";
        for (text, message) in [
            ("", "no task found in the file"),
            ("- [x] T001 a\n", "no task is open: every one is done or dropped"),
            (circle, "tasks depend on one another in a circle: T001 needs T002 needs T001"),
        ] {
            let lint = lint(text, Format::Json);
            assert_eq!(lint.refused.map(|r| r.to_string()).as_deref(), Some(message));
            let value: serde_json::Value = serde_json::from_str(&lint.output).unwrap();
            assert!(value["tasks"].is_array() && value["convoys"].is_array() && value["warnings"].is_array());
        }
    }

    #[test]
    fn hostile_titles_are_shown_and_nothing_more() {
        let text = format!("- [ ] T001 \u{1b}[31m#(cmd) $(id) `x` \u{202e}abc {}\n", "é".repeat(10_000));
        let output = lint(&text, Format::Text).output;
        assert!(!output.contains(['\u{1b}', '\u{202e}']) && output.lines().all(|l| l.chars().count() < 120));
        let json: serde_json::Value = serde_json::from_str(&lint(&text, Format::Json).output).unwrap();
        assert!(json["tasks"][0]["title"].as_str().unwrap().contains("#(cmd) $(id) `x`"));
    }
}
