//! The items in order, and the phases: which come first and which wait for which.

use std::collections::{BTreeMap, HashSet};

use super::graph::Graph;
use super::{PlanItem, PlanWarning, StoryOrder};

/// The items, oldest first, with their phases. A phase is known by its *rank*, its place in the
/// order: that of the file, unless the text says that a story depends on a later one.
pub(super) struct Outline<'a> {
    pub(super) items: Vec<&'a PlanItem>,
    /// The rank of each item's phase.
    pub(super) rank: Vec<usize>,
    pub(super) phases: Vec<Phase>,
    pub(super) warnings: Vec<PlanWarning>,
}

/// A phase, in the order of ranks.
#[derive(Default)]
pub(super) struct Phase {
    pub(super) story: bool,
    /// Ranks of the phases that its stories name; all lower than its own.
    after: Vec<usize>,
}

/// A phase in the order of the file.
#[derive(Default)]
struct Named {
    line: u32,
    story: bool,
    after: Vec<u32>,
}

impl<'a> Outline<'a> {
    pub(super) fn new(items: &'a [PlanItem]) -> Self {
        let mut warnings = Vec::new();
        let mut ids = HashSet::new();
        let (mut items, twice): (Vec<_>, Vec<_>) = items.iter().partition(|i| ids.insert(&i.id));
        for item in twice {
            let message = format!("`{}` is there twice; the first one counts", item.id);
            warnings.push(PlanWarning { line: item.line, message });
        }
        let named = collect(&items);
        let order = rank(&named, &mut warnings);
        items.sort_by_key(|i| (order[&i.phase], i.line));
        let rank = items.iter().map(|i| order[&i.phase]).collect();
        let mut phases: Vec<Phase> = named.iter().map(|_| Phase::default()).collect();
        for (number, phase) in &named {
            let own = order[number];
            let after =
                phase.after.iter().filter_map(|p| order.get(p).copied()).filter(|&r| r < own).collect();
            phases[own] = Phase { story: phase.story, after };
        }
        Self { items, rank, phases, warnings }
    }

    /// Puts the barriers between the phases into the graph.
    pub(super) fn connect(&self, graph: &mut Graph, stories: StoryOrder) {
        for (task, &rank) in self.rank.iter().enumerate() {
            graph.add(task, graph.end(rank));
        }
        for rank in 0..self.phases.len() {
            graph.add(graph.begin(rank), graph.end(rank));
            for before in self.waits(rank, stories) {
                graph.add(graph.end(before), graph.begin(rank));
            }
        }
    }

    /// The phases that a phase waits for, without those that they wait for themselves.
    fn waits(&self, rank: usize, stories: StoryOrder) -> Vec<usize> {
        let previous: Vec<usize> = rank.checked_sub(1).into_iter().collect();
        match stories {
            StoryOrder::Sequential => previous,
            StoryOrder::Parallel if !self.phases[rank].story => {
                // Back to the last phase that waited for everything before it, inclusive.
                let barrier = (0..rank).rev().find(|&r| !self.phases[r].story).unwrap_or(0);
                (barrier..rank).collect()
            }
            StoryOrder::Parallel => {
                let first = self.phases.iter().position(|p| p.story).unwrap_or(rank);
                first.checked_sub(1).into_iter().chain(self.phases[rank].after.iter().copied()).collect()
            }
        }
    }
}

fn collect(items: &[&PlanItem]) -> BTreeMap<u32, Named> {
    let mut phases: BTreeMap<u32, Named> = BTreeMap::new();
    for item in items {
        let phase = phases.entry(item.phase).or_insert(Named { line: item.line, ..Named::default() });
        phase.line = phase.line.min(item.line);
        phase.story |= item.story_phase;
        phase.after.extend(&item.after_phases);
    }
    for (number, phase) in &mut phases {
        phase.after.sort_unstable();
        phase.after.dedup();
        phase.after.retain(|p| p != number);
    }
    phases
}

/// Gives each phase its rank: the order of the file, but a phase comes after those that it names.
/// Prose about stories must not stop a feature: where it goes round in a circle, the order of the
/// file decides, and a warning says so.
fn rank(phases: &BTreeMap<u32, Named>, warnings: &mut Vec<PlanWarning>) -> BTreeMap<u32, usize> {
    let mut ranks = BTreeMap::new();
    for &first in phases.keys() {
        let mut path = vec![first];
        while let Some(&top) = path.last() {
            let next = phases[&top]
                .after
                .iter()
                .find(|p| phases.contains_key(p) && !ranks.contains_key(*p) && !path.contains(p));
            match next {
                _ if ranks.contains_key(&top) => drop(path.pop()),
                Some(&next) => path.push(next),
                None => {
                    ranks.insert(top, ranks.len());
                    path.pop();
                }
            }
        }
    }
    for (number, phase) in phases {
        for named in phase.after.iter().filter(|p| ranks.contains_key(p)) {
            let message = if ranks[named] > ranks[number] {
                "the stories depend on one another in a circle; the order of the file decides"
            } else if named > number {
                "a story depends on a later one, which therefore comes first"
            } else {
                continue;
            };
            warnings.push(PlanWarning { line: phase.line, message: message.to_owned() });
        }
    }
    ranks
}
