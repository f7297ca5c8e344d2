//! The state machine over the lines of a `tasks.md`.

use std::collections::HashMap;

use crate::domain::ids::TaskId;

use super::super::forms::{Form, Head, Mark, form, indent};
use super::super::headings::{Heading, Topic, heading, stories, topic};
use super::super::lines::{Kind, Line, lines};
use super::super::table::{Row, Tables, is_row};
use super::super::{Warning, deps, paths, refs};
use super::links::{Links, resolve};
use super::{Phase, TASKS_MAX, TaskFile, TaskLine};

pub(super) fn read(bytes: &[u8]) -> TaskFile {
    let mut reader = Reader::default();
    for line in lines(bytes) {
        reader.line(&line);
    }
    reader.finish()
}

/// The heading that is in force.
struct Section {
    level: usize,
    /// None: its phase begins with its first task.
    phase: Option<u32>,
    title: String,
    line: u32,
    stories: Vec<String>,
}

impl Default for Section {
    /// What is above all headings: any heading replaces it.
    fn default() -> Self {
        Self { level: usize::MAX, phase: None, title: String::new(), line: 0, stories: Vec::new() }
    }
}

#[derive(Default)]
struct Reader {
    file: TaskFile,
    lines_of: HashMap<TaskId, u32>,
    links: Links,
    section: Section,
    /// The innermost part that is about something else, and its level.
    topic: Option<(usize, Topic)>,
    seen_heading: bool,
    /// The task that further lines may belong to.
    current: Option<Current>,
    tables: Tables,
    /// Rows and bare ids: they are judged when all tasks are known.
    rows: Vec<(u32, u32, Row)>,
    bare: Vec<(u32, TaskId, &'static str)>,
    is_full: bool,
}

struct Current {
    task: usize,
    indent: usize,
    after_blank: bool,
}

impl Reader {
    fn warn(&mut self, line: u32, message: String) {
        self.file.warnings.push(Warning { line, message });
    }

    fn line(&mut self, line: &Line<'_>) {
        if line.kind != Kind::Text {
            return self.outside(line);
        }
        let text = line.text.trim_end();
        if text.trim_start().is_empty() {
            self.current.iter_mut().for_each(|c| c.after_blank = true);
            return;
        }
        if let Some(heading) = heading(text) {
            self.tables = Tables::default();
            return self.heading(line.number, &heading);
        }
        if let Some(row) = self.tables.read(text) {
            self.row(line.number, row);
        }
        if is_row(text) {
            self.current = None;
            return;
        }
        match form(line.bytes, text) {
            Form::Task(head) => self.task(line, head),
            other => self.no_task(line, text, &other),
        }
    }

    /// Code, comments, front matter: a task in there is an example, which a person should know.
    fn outside(&mut self, line: &Line<'_>) {
        let text = line.text.trim().trim_start_matches("<!--").trim_start();
        if let Form::Task(head) = form(text.as_bytes(), text) {
            self.warn(line.number, format!("`{}` is {}: not taken", head.id, line.kind.place()));
        }
    }

    fn heading(&mut self, line: u32, heading: &Heading<'_>) {
        self.current = None;
        let is_first = !std::mem::replace(&mut self.seen_heading, true);
        let topic = topic(heading.text);
        if self.topic.is_some_and(|(level, _)| heading.level <= level) || topic == Topic::Phase {
            self.topic = None;
        }
        if matches!(topic, Topic::Dependencies | Topic::Talk) && self.topic.is_none() {
            self.topic = Some((heading.level, topic));
        }
        if let Some((id, _)) = refs::task_id(heading.text.trim_start_matches(['*', '~', '[', ' '])) {
            self.bare.push((line, id, "is a heading, without a check box"));
        }
        let is_unused = self.section.phase.is_none();
        let replaces = topic == Topic::Phase || is_unused || heading.level <= self.section.level;
        if !replaces || (is_first && heading.level == 1 && topic != Topic::Phase) {
            return;
        }
        self.section = Section {
            level: heading.level,
            phase: None,
            title: super::super::forms::title(heading.text),
            line,
            stories: stories(heading.text),
        };
        if topic == Topic::Phase {
            self.phase();
        }
    }

    /// The phase of a task on this line. Phases without tasks are dropped at the end.
    fn phase(&mut self) -> u32 {
        if let Some(phase) = self.section.phase {
            return phase;
        }
        let phase = u32::try_from(self.file.phases.len()).unwrap_or(u32::MAX);
        self.file.phases.push(Phase {
            title: self.section.title.clone(),
            line: self.section.line,
            stories: self.section.stories.clone(),
            after: Vec::new(),
        });
        self.section.phase = Some(phase);
        phase
    }

    fn task(&mut self, line: &Line<'_>, head: Head) {
        let phase = self.phase();
        let is_range = head.last.is_some();
        let ids = self.ids(line.number, &head);
        let Head { mark_at, parallel, stories, labels, title, state, .. } = head;
        for id in ids {
            let task = TaskLine {
                id,
                title: title.clone(),
                details: String::new(),
                done: state != Mark::Open,
                dropped: state == Mark::Dropped,
                parallel,
                stories: stories.clone(),
                labels: labels.clone(),
                phase,
                paths: Vec::new(),
                depends_on: Vec::new(),
                line: line.number,
                mark_offset: mark_at.filter(|_| !is_range).map(|at| line.offset + at),
            };
            let Some(place) = self.add(task) else { continue };
            if !is_range {
                self.read_text(place, line.number, &title);
            }
            self.current = Some(Current { task: place, indent: indent(&line.text), after_blank: false });
        }
    }

    /// The ids that a box stands for. An open box can be ticked once, so it is one task.
    fn ids(&mut self, line: u32, head: &Head) -> Vec<TaskId> {
        let Some(last) = &head.last else { return vec![head.id.clone()] };
        match refs::range(&head.id, last) {
            Some(ids) if head.state != Mark::Open => ids,
            _ => {
                let message =
                    format!("`{}-{last}` is one box for several ids: taken as `{}` alone", head.id, head.id);
                self.warn(line, message);
                vec![head.id.clone()]
            }
        }
    }

    /// Keeps a task, if its id is new and there is room.
    fn add(&mut self, task: TaskLine) -> Option<usize> {
        let line = task.line;
        if let Some(first) = self.lines_of.get(&task.id).copied() {
            self.current = None;
            self.warn(line, format!("`{}` is there already, on line {first}: not taken", task.id));
            return None;
        }
        if self.file.tasks.len() >= TASKS_MAX {
            if !std::mem::replace(&mut self.is_full, true) {
                self.warn(line, format!("more than {TASKS_MAX} tasks: from here on none is taken"));
            }
            return None;
        }
        if task.title.is_empty() && !task.done {
            self.warn(line, format!("`{}` has no text", task.id));
        }
        self.lines_of.insert(task.id.clone(), line);
        self.file.tasks.push(task);
        Some(self.file.tasks.len() - 1)
    }

    /// Reads the paths out of a line that belongs to a task.
    fn read_text(&mut self, place: usize, line: u32, text: &str) {
        let task = &mut self.file.tasks[place];
        if !paths::collect(text, &mut task.paths) {
            let message =
                format!("`{}` names more than {} paths: the others are not taken", task.id, paths::PATHS_MAX);
            self.warn(line, message);
        }
    }

    /// Reads the dependencies out of the whole text of each task: a list of ids may be wrapped.
    fn read_links(&mut self) {
        for (place, task) in self.file.tasks.iter().enumerate() {
            let mut text = task.title.clone();
            for line in task.details.lines().map(str::trim_start) {
                // A point of a list begins a sentence of its own.
                let is_point = line.starts_with(['-', '*', '+']);
                text.push_str(if is_point { " ; " } else { " " });
                text.push_str(line);
            }
            let (own, pairs) = deps::of_task(&text);
            self.links.own(place, task.line, own);
            self.links.pairs(task.line, pairs);
        }
    }

    /// A line that is no task: it goes on with one, or is prose, or should have been one.
    fn no_task(&mut self, line: &Line<'_>, text: &str, form: &Form) {
        if *form == Form::BoxWithoutId {
            self.warn(line.number, "a check box without a task id (`T001`): not taken".to_owned());
        }
        if self.continues(text, form) {
            return;
        }
        self.current = None;
        match self.topic.map(|(_, topic)| topic) {
            Some(Topic::Talk) => {}
            Some(Topic::Dependencies) => self.links.pairs(line.number, deps::of_prose(text)),
            Some(Topic::Phase | Topic::Other) | None => {
                self.links.pairs(line.number, deps::of_prose(text));
                self.maybe_a_task(line, text, form);
            }
        }
    }

    fn maybe_a_task(&mut self, line: &Line<'_>, text: &str, form_of_line: &Form) {
        let inside = text.trim_start().trim_start_matches(['>', ' ']);
        let is_quoted = inside.len() < text.trim_start().len();
        match form_of_line {
            Form::IdWithoutBox(id) => self.bare.push((line.number, id.clone(), "has no check box")),
            Form::Other if is_quoted => {
                if let Form::Task(head) = form(inside.as_bytes(), inside) {
                    self.bare.push((line.number, head.id, "is in a quotation"));
                }
            }
            Form::Other => {
                let start = inside.trim_start_matches(['*', '~', '_', '`']);
                // "T014)." is the rest of a wrapped line.
                let bare = refs::task_id(start).filter(|(_, rest)| !rest.starts_with(')'));
                if let Some((id, _)) = bare {
                    self.bare.push((line.number, id, "has no check box"));
                }
            }
            Form::Task(_) | Form::BoxWithoutId | Form::Item => {}
        }
    }

    /// Whether the line belongs to the task above it; if so it is read.
    fn continues(&mut self, text: &str, form: &Form) -> bool {
        let Some(current) = &self.current else { return false };
        let deeper = indent(text) > current.indent;
        let start = text.trim_start();
        // A wrapped line may begin at the margin, a bold word ("**Checkpoint**") begins something else.
        let is_lazy =
            *form == Form::Other && !current.after_blank && !start.starts_with(['*', '-', '>', '_']);
        if !deeper && !is_lazy {
            return false;
        }
        let place = current.task;
        let details = &mut self.file.tasks[place].details;
        if !details.is_empty() {
            details.push('\n');
        }
        details.push_str(text);
        let number = self.file.tasks[place].line;
        self.read_text(place, number, start);
        true
    }

    fn row(&mut self, line: u32, row: Row) {
        if self.topic.is_some() {
            // A table about dependencies describes tasks that are elsewhere.
            self.links.row(line, &row);
            return;
        }
        let phase = self.phase();
        self.rows.push((line, phase, row));
    }

    fn finish(mut self) -> TaskFile {
        self.take_rows();
        self.sort();
        self.read_links();
        for (line, id, why) in std::mem::take(&mut self.bare) {
            if !self.lines_of.contains_key(&id) {
                self.warn(line, format!("`{id}` {why}: not taken"));
            }
        }
        let story_links = resolve(&mut self.file, std::mem::take(&mut self.links));
        self.close_phases(&story_links);
        if self.file.tasks.is_empty() {
            self.warn(
                1,
                "no task found; one looks like this: `- [ ] T001 text with the path of a file`".to_owned(),
            );
        }
        self.file.warnings.sort();
        self.file.warnings.dedup();
        self.file
    }

    /// A row whose id also has a box repeats that task; every other one is a task.
    fn take_rows(&mut self) {
        for (line, phase, row) in std::mem::take(&mut self.rows) {
            self.links.row(line, &row);
            if self.lines_of.contains_key(&row.id) {
                continue;
            }
            let (text, id) = (row.text.clone(), row.id.clone());
            let place = self.add(TaskLine {
                id,
                title: row.title,
                details: String::new(),
                done: row.state != Mark::Open,
                dropped: row.state == Mark::Dropped,
                parallel: row.parallel,
                stories: row.stories,
                labels: Vec::new(),
                phase,
                paths: Vec::new(),
                depends_on: Vec::new(),
                line,
                mark_offset: None,
            });
            if let Some(place) = place {
                self.read_text(place, line, &text);
            }
        }
    }

    /// Rows were added behind the boxes: brings all into the order of the file, and says where that
    /// is not the order of the ids.
    fn sort(&mut self) {
        self.file.tasks.sort_by_key(|t| t.line);
        for pair in self.file.tasks.windows(2) {
            let [before, task] = pair else { continue };
            if refs::sort_key(&before.id) > refs::sort_key(&task.id) {
                let message =
                    format!("`{}` comes after `{}`: the order of the lines counts", task.id, before.id);
                self.file.warnings.push(Warning { line: task.line, message });
            }
        }
    }

    /// Drops phases without tasks, gives the others their stories and what they wait for.
    fn close_phases(&mut self, story_links: &[(String, String)]) {
        let mut used = vec![Vec::new(); self.file.phases.len()];
        for (place, task) in self.file.tasks.iter().enumerate() {
            used[task.phase as usize].push(place);
        }
        let phases = std::mem::take(&mut self.file.phases);
        for (mut phase, places) in phases.into_iter().zip(used).filter(|(_, places)| !places.is_empty()) {
            let number = u32::try_from(self.file.phases.len()).unwrap_or(u32::MAX);
            let tasks = &mut self.file.tasks;
            if phase.stories.is_empty() && places.iter().all(|&p| !tasks[p].stories.is_empty()) {
                let all = places.iter().flat_map(|&p| tasks[p].stories.iter().cloned());
                phase.stories = all.collect::<std::collections::BTreeSet<_>>().into_iter().collect();
            }
            for &place in &places {
                tasks[place].phase = number;
            }
            self.file.phases.push(phase);
        }
        let mut phases_of: HashMap<&str, Vec<u32>> = HashMap::new();
        for (number, phase) in (0..).zip(&self.file.phases) {
            phase.stories.iter().for_each(|s| phases_of.entry(s).or_default().push(number));
        }
        let mut after: Vec<(u32, u32)> = Vec::new();
        for (before, later) in story_links {
            let (Some(before), Some(later)) = (phases_of.get(before.as_str()), phases_of.get(later.as_str()))
            else {
                continue;
            };
            after.extend(
                later.iter().flat_map(|&l| before.iter().map(move |&b| (l, b))).filter(|(l, b)| l != b),
            );
        }
        after.sort_unstable();
        after.dedup();
        for (later, before) in after {
            self.file.phases[later as usize].after.push(before);
        }
    }
}
