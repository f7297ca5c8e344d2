//! Predecessors: declared ones first, then the implied ones, each left out where it would close
//! a circle.

use std::collections::HashMap;

use super::graph::{Graph, Rule};
use super::phases::Outline;
use super::{Cycle, Order, PlanItem, PlanOptions, PlanWarning};
use crate::domain::ids::TaskId;

/// So many ids are named in a warning; the others are counted.
const NAMED_MAX: usize = 3;

/// The graph, and for each item the declared dependencies that exist.
pub(super) fn build(
    outline: &Outline<'_>,
    options: PlanOptions,
    warnings: &mut Vec<PlanWarning>,
) -> Result<(Graph, Vec<Vec<TaskId>>), Cycle> {
    let mut graph = Graph::new(outline.items.len(), outline.phases.len());
    let depends_on = declare(outline, &mut graph, warnings);
    if let Some(circle) = graph.circle() {
        // The graph goes from the earlier to the later one; a person reads "needs".
        return Err(Cycle { path: circle.into_iter().map(|t| outline.items[t].id.clone()).collect() });
    }
    let mut implied = Implied::new(outline, options, &graph);
    outline.connect(&mut graph, options.stories);
    for task in 0..outline.items.len() {
        let left_out = implied.add(task, &mut graph);
        warnings.extend(warning(outline, task, &left_out));
    }
    graph.sort();
    debug_assert_eq!(graph.topological.len(), graph.preds.len(), "an edge that closes a circle is left out");
    Ok((graph, depends_on))
}

fn declare(outline: &Outline<'_>, graph: &mut Graph, warnings: &mut Vec<PlanWarning>) -> Vec<Vec<TaskId>> {
    let places: HashMap<&TaskId, usize> = outline.items.iter().enumerate().map(|(n, i)| (&i.id, n)).collect();
    let mut all = Vec::with_capacity(outline.items.len());
    for (task, item) in outline.items.iter().enumerate() {
        let mut before: Vec<usize> = Vec::new();
        for id in &item.depends_on {
            if let Some(&place) = places.get(id) {
                before.push(place);
            } else {
                let message = format!("`{}` depends on `{id}`, which is not there", item.id);
                warnings.push(PlanWarning { line: item.line, message });
            }
        }
        before.sort_unstable();
        before.dedup();
        for &earlier in &before {
            graph.add(earlier, task);
        }
        all.push(before.iter().map(|&b| outline.items[b].id.clone()).collect());
    }
    all
}

/// Adds the implied predecessors, task by task, oldest first.
struct Implied<'a> {
    outline: &'a Outline<'a>,
    order: Order,
    /// The oldest task that comes after each one by declared dependencies. An implied predecessor
    /// is older than its task, so only a task that has an older one after it can close a circle.
    oldest_after: Vec<usize>,
    /// Sorted. For each [`Class`] what a task of it has to wait for in the current phase; who waits for
    /// these has waited for all.
    frontier: [Vec<usize>; CLASSES],
    phase: usize,
    first_of_phase: usize,
}

/// Tasks that the rule within a phase treats alike.
#[derive(Clone, Copy)]
struct Class {
    parallel: bool,
    paths: bool,
}

const CLASSES: usize = 4;

impl Class {
    fn of(item: &PlanItem) -> Self {
        Self { parallel: item.parallel, paths: !item.paths.is_empty() }
    }

    fn number(self) -> usize {
        usize::from(self.parallel) * 2 + usize::from(self.paths)
    }

    fn bit(self) -> u8 {
        1 << self.number()
    }

    fn waits_for_bits(self, order: Order) -> u8 {
        let waited = Self::all().into_iter().filter(|&earlier| self.waits_for(earlier, order));
        waited.map(Self::bit).sum()
    }

    fn all() -> [Self; CLASSES] {
        [(false, false), (false, true), (true, false), (true, true)]
            .map(|(parallel, paths)| Self { parallel, paths })
    }

    fn waits_for(self, earlier: Self, order: Order) -> bool {
        let is_free =
            self.parallel && earlier.parallel || order == Order::Files && self.paths && earlier.paths;
        !is_free
    }
}

impl<'a> Implied<'a> {
    fn new(outline: &'a Outline<'a>, options: PlanOptions, declared: &Graph) -> Self {
        let mut oldest_after = vec![usize::MAX; declared.preds.len()];
        for &task in declared.topological.iter().rev() {
            let after = declared.succs[task as usize].iter().map(|&s| s as usize);
            oldest_after[task as usize] = after.map(|s| s.min(oldest_after[s])).min().unwrap_or(usize::MAX);
        }
        let frontier = [const { Vec::new() }; CLASSES];
        Self { outline, order: options.order, oldest_after, frontier, phase: 0, first_of_phase: 0 }
    }

    /// Returns the older tasks that `task` would wait for, did they not wait for it.
    fn add(&mut self, task: usize, graph: &mut Graph) -> Vec<usize> {
        if self.outline.rank[task] != self.phase {
            self.phase = self.outline.rank[task];
            self.first_of_phase = task;
            self.frontier.iter_mut().for_each(Vec::clear);
        }
        let class = Class::of(self.outline.items[task]);
        graph.rules[task] = Rule { phase: self.phase, class: class.bit(), waits_for: 0 };
        if self.oldest_after[task] < task {
            return self.add_one_by_one(task, graph);
        }
        graph.add(graph.begin(self.phase), task);
        graph.rules[task].waits_for = class.waits_for_bits(self.order);
        let before = self.frontier[class.number()].clone();
        for &earlier in &before {
            graph.add(earlier, task);
        }
        self.advance(task, class, |t| before.binary_search(&t).is_ok());
        Vec::new()
    }

    /// The way for a task that some older one waits for: every older task is looked at.
    fn add_one_by_one(&mut self, task: usize, graph: &mut Graph) -> Vec<usize> {
        let reached = graph.reached_from(task);
        let mut left_out = self.add_earlier_phases(task, graph, &reached);
        let class = Class::of(self.outline.items[task]);
        for (earlier, &is_later) in reached.iter().enumerate().take(task).skip(self.first_of_phase) {
            if !class.waits_for(Class::of(self.outline.items[earlier]), self.order) {
            } else if is_later {
                left_out.push(earlier);
            } else {
                graph.add(earlier, task);
            }
        }
        let (outline, order) = (self.outline, self.order);
        self.advance(task, class, |t| !reached[t] && class.waits_for(Class::of(outline.items[t]), order));
        left_out
    }

    fn add_earlier_phases(&self, task: usize, graph: &mut Graph, reached: &[bool]) -> Vec<usize> {
        let begin = graph.begin(self.phase);
        if !reached[begin] {
            graph.add(begin, task);
            return Vec::new();
        }
        let mut waits = vec![false; self.outline.phases.len()];
        let mut open = vec![begin];
        while let Some(node) = open.pop() {
            for pred in graph.preds[node].iter().map(|&p| p as usize).filter(|&p| p >= graph.tasks) {
                if !std::mem::replace(&mut waits[(pred - graph.tasks) / 2], true) {
                    open.push(graph.end((pred - graph.tasks) / 2));
                    open.push(graph.begin((pred - graph.tasks) / 2));
                }
            }
        }
        let earlier = (0..self.first_of_phase).filter(|&t| waits[self.outline.rank[t]]);
        let (left_out, before): (Vec<usize>, Vec<usize>) = earlier.partition(|&t| reached[t]);
        for earlier in before {
            graph.add(earlier, task);
        }
        left_out
    }

    /// Puts `task` on the frontier, in place of what it `covers`.
    fn advance(&mut self, task: usize, class: Class, covers: impl Fn(usize) -> bool) {
        for waiter in Class::all().into_iter().filter(|w| w.waits_for(class, self.order)) {
            let frontier = &mut self.frontier[waiter.number()];
            frontier.retain(|&t| !covers(t));
            frontier.push(task);
        }
    }
}

fn warning(outline: &Outline<'_>, task: usize, left_out: &[usize]) -> Option<PlanWarning> {
    if left_out.is_empty() {
        return None;
    }
    let item = outline.items[task];
    let named: Vec<&str> = left_out.iter().take(NAMED_MAX).map(|&t| outline.items[t].id.as_str()).collect();
    let more = match left_out.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "`{}` goes before {}{more}, against the order of the file: a dependency says so",
        item.id,
        named.join(", ")
    );
    Some(PlanWarning { line: item.line, message })
}
