//! From dependencies as they are written to dependencies between the tasks that are there.

use std::collections::{HashMap, HashSet};

use crate::domain::ids::TaskId;

use super::super::Warning;
use super::super::deps::{self, OwnLinks, Pair, Ref};
use super::super::refs::sort_key;
use super::super::table::Row;
use super::TaskFile;

/// Dependencies taken from one file. Ranges multiply (`T001-T999 before T1000-T1999`): without a
/// bound a short file could ask for more than memory holds.
const LINKS_MAX: usize = 50_000;
/// Tasks looked at for that, also those that were known already: the same range a thousand times
/// is no more dependencies, but a thousand times the work.
const STEPS_MAX: usize = 1_000_000;

/// What was read, in the order of the file.
#[derive(Default)]
pub(super) struct Links {
    own: Vec<(usize, u32, OwnLinks)>,
    pairs: Vec<(u32, Pair)>,
}

impl Links {
    pub(super) fn own(&mut self, place: usize, line: u32, links: OwnLinks) {
        if links != OwnLinks::default() {
            self.own.push((place, line, links));
        }
    }

    pub(super) fn pairs(&mut self, line: u32, pairs: Vec<Pair>) {
        self.pairs.extend(pairs.into_iter().map(|p| (line, p)));
    }

    /// The columns "Depends on" and "Blocks" of a table: ids alone say it there.
    pub(super) fn row(&mut self, line: u32, row: &Row) {
        for (key, cell) in [("after", &row.needs), ("before", &row.blocks)] {
            self.pairs(line, deps::of_prose(&format!("{} {key} {cell}", row.id)));
        }
    }
}

/// Gives the tasks their dependencies; the links between stories come back, earlier one first.
pub(super) fn resolve(file: &mut TaskFile, links: Links) -> Vec<(String, String)> {
    let mut resolver = Resolver::new(file);
    for (place, line, own) in links.own {
        resolver.own(place, line, &own);
    }
    let mut stories = Vec::new();
    for (line, pair) in links.pairs {
        match pair {
            Pair::Tasks(before, after) => resolver.pair(line, &before, &after),
            Pair::Stories(before, after) => {
                let more = before.iter().flat_map(|b| after.iter().map(move |a| (b.clone(), a.clone())));
                let room = LINKS_MAX.saturating_sub(stories.len());
                stories.extend(more.take(room));
            }
        }
    }
    if resolver.steps >= STEPS_MAX && !resolver.is_full {
        resolver.warn(1, "the dependencies name too many ranges: not all were taken".to_owned());
    }
    let Resolver { found, mut warnings, .. } = resolver;
    for (task, needs) in file.tasks.iter_mut().zip(found) {
        task.depends_on = needs;
    }
    file.warnings.append(&mut warnings);
    stories
}

struct Resolver {
    places: HashMap<TaskId, usize>,
    ids: Vec<TaskId>,
    /// All tasks by the order of their ids, for ranges.
    by_key: Vec<((Vec<u64>, String), usize)>,
    found: Vec<Vec<TaskId>>,
    known: HashSet<(usize, TaskId)>,
    warnings: Vec<Warning>,
    steps: usize,
    is_full: bool,
}

impl Resolver {
    fn new(file: &TaskFile) -> Self {
        let ids: Vec<TaskId> = file.tasks.iter().map(|t| t.id.clone()).collect();
        let mut by_key: Vec<_> = ids.iter().map(sort_key).zip(0..).collect();
        by_key.sort();
        Self {
            places: ids.iter().cloned().zip(0..).collect(),
            found: vec![Vec::new(); ids.len()],
            ids,
            by_key,
            known: HashSet::new(),
            warnings: Vec::new(),
            steps: 0,
            is_full: false,
        }
    }

    fn own(&mut self, place: usize, line: u32, own: &OwnLinks) {
        let id = self.ids[place].clone();
        for one in &own.needs {
            match one {
                Ref::One(need) if *need == id => {
                    self.warn(line, format!("`{id}` names itself as what it depends on: left out"));
                }
                // One that is not there stays: the planner says so, with the task's line.
                Ref::One(need) => self.add(line, place, need.clone()),
                Ref::Range(..) => self.tasks(line, one).into_iter().for_each(|b| self.link(line, b, place)),
            }
        }
        for one in &own.blocks {
            for after in self.tasks(line, one) {
                self.link(line, place, after);
            }
        }
    }

    fn pair(&mut self, line: u32, before: &[Ref], after: &[Ref]) {
        let mut all =
            |refs: &[Ref]| -> Vec<usize> { refs.iter().flat_map(|r| self.tasks(line, r)).collect() };
        let (before, after) = (all(before), all(after));
        for &later in &after {
            for &earlier in &before {
                if self.is_full || self.steps > STEPS_MAX {
                    return;
                }
                self.link(line, earlier, later);
            }
        }
    }

    /// The places of the tasks that are meant.
    fn tasks(&mut self, line: u32, one: &Ref) -> Vec<usize> {
        match one {
            Ref::One(id) => {
                let place = self.places.get(id).copied();
                if place.is_none() {
                    self.warn(line, format!("`{id}` is named in a dependency, but there is no such task"));
                }
                place.into_iter().collect()
            }
            Ref::Range(first, last) => {
                let (first, last) = (sort_key(first), sort_key(last));
                let from = self.by_key.partition_point(|(key, _)| *key < first);
                let room = STEPS_MAX.saturating_sub(self.steps);
                let meant = self.by_key[from..].iter().take(room).take_while(|(key, _)| *key <= last);
                let meant: Vec<usize> = meant.map(|(_, p)| *p).collect();
                self.steps += meant.len();
                meant
            }
        }
    }

    fn link(&mut self, line: u32, before: usize, after: usize) {
        if before != after {
            self.add(line, after, self.ids[before].clone());
        }
    }

    fn add(&mut self, line: u32, task: usize, need: TaskId) {
        self.steps += 1;
        if self.is_full || self.known.contains(&(task, need.clone())) {
            return;
        }
        if self.known.len() >= LINKS_MAX || self.steps > STEPS_MAX {
            self.is_full = true;
            self.warn(line, format!("more than {LINKS_MAX} dependencies: from here on none is taken"));
            return;
        }
        self.known.insert((task, need.clone()));
        self.found[task].push(need);
    }

    fn warn(&mut self, line: u32, message: String) {
        self.warnings.push(Warning { line, message });
    }
}
