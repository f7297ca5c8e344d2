//! The graph behind a plan: tasks, and two barriers a phase so that "waits for every earlier
//! phase" costs one edge a task and not one for each pair.

use serde::{Deserialize, Serialize};

/// Nodes `0..tasks` are tasks, oldest first; then come [`Graph::begin`] and [`Graph::end`] of the
/// phases. Acyclic once built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Graph {
    pub(super) tasks: usize,
    pub(super) preds: Vec<Vec<u32>>,
    pub(super) succs: Vec<Vec<u32>>,
    /// For each task the rule within its phase. The edges alone are not enough: they leave out what
    /// follows from others, and a task can be done or skipped before those that it should wait for.
    pub(super) rules: Vec<Rule>,
    /// All nodes, each after what it waits for.
    pub(super) topological: Vec<u32>,
}

/// What holds between a task and the older ones of its phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) phase: usize,
    /// The class of the task, one bit.
    pub(super) class: u8,
    /// The classes that it waits for; none where each older task has an edge of its own.
    pub(super) waits_for: u8,
}

impl Graph {
    pub(super) fn new(tasks: usize, phases: usize) -> Self {
        let nodes = tasks + 2 * phases;
        Self {
            tasks,
            preds: vec![Vec::new(); nodes],
            succs: vec![Vec::new(); nodes],
            rules: vec![Rule::default(); tasks],
            topological: Vec::new(),
        }
    }

    /// The barrier that the tasks of a phase wait for.
    pub(super) fn begin(&self, phase: usize) -> usize {
        self.tasks + 2 * phase
    }

    /// The barrier that waits for the tasks of a phase.
    pub(super) fn end(&self, phase: usize) -> usize {
        self.tasks + 2 * phase + 1
    }

    pub(super) fn add(&mut self, before: usize, after: usize) {
        self.succs[before].push(index(after));
        self.preds[after].push(index(before));
    }

    /// The older tasks that `count` and that the rule of its phase makes `task` wait for, without
    /// those that another of them waits for. The edges alone do not show them where a task between
    /// was ticked out of order.
    fn older(&self, task: usize, count: impl Fn(usize) -> bool) -> Vec<usize> {
        let rule = self.rules[task];
        let mut covered = 0;
        let mut found = Vec::new();
        for older in (0..task).rev().take_while(|&t| self.rules[t].phase == rule.phase) {
            if rule.waits_for & !covered == 0 {
                break;
            }
            let Rule { class, waits_for, .. } = self.rules[older];
            if class & rule.waits_for & !covered != 0 && count(older) {
                covered |= waits_for;
                found.push(older);
            }
        }
        found
    }

    /// Which nodes come after `from`, itself left out.
    pub(super) fn reached_from(&self, from: usize) -> Vec<bool> {
        let mut seen = vec![false; self.succs.len()];
        let mut open = vec![from];
        while let Some(node) = open.pop() {
            for &next in &self.succs[node] {
                if !std::mem::replace(&mut seen[next as usize], true) {
                    open.push(next as usize);
                }
            }
        }
        seen
    }

    /// The tasks that `of` waits for and that `count`: the nearest ones on each way back, seen through
    /// the barriers and past those of its phase that do not count. Before a phase with such a task
    /// nothing is looked at: that one waits for what is there.
    pub(super) fn nearest(&self, of: usize, count: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut seen = vec![false; self.preds.len()];
        let mut found = Vec::new();
        let mut open = vec![of];
        while let Some(node) = open.pop() {
            let fresh: Vec<usize> = self.preds[node].iter().map(|&p| p as usize).collect();
            let fresh = fresh.into_iter().filter(|&p| !std::mem::replace(&mut seen[p], true));
            let (barriers, tasks): (Vec<usize>, Vec<usize>) = fresh.partition(|&p| p >= self.tasks);
            let mut counted: Vec<usize> = tasks.into_iter().filter(|&t| count(t)).collect();
            if node == of {
                let older = self.older(of, &count).into_iter();
                counted.extend(older.filter(|&t| !std::mem::replace(&mut seen[t], true)));
            }
            let is_covered = |begin: &usize| {
                counted.iter().any(|&t| node >= self.tasks || self.succs[t].contains(&index(begin + 1)))
            };
            open.extend(barriers.into_iter().filter(|b| !is_covered(b)));
            found.extend(counted);
        }
        found.sort_unstable();
        found
    }

    /// Sorts the nodes; the nodes of a circle are left out. Among equals the lowest comes first.
    pub(super) fn sort(&mut self) {
        let mut missing: Vec<usize> = self.preds.iter().map(Vec::len).collect();
        let mut free: Vec<usize> = (0..missing.len()).rev().filter(|&n| missing[n] == 0).collect();
        self.topological = Vec::with_capacity(missing.len());
        while let Some(node) = free.pop() {
            self.topological.push(index(node));
            for &next in &self.succs[node] {
                missing[next as usize] -= 1;
                if missing[next as usize] == 0 {
                    free.push(next as usize);
                }
            }
        }
    }

    /// Some circle, each node before the one that waits for it, if there is one.
    pub(super) fn circle(&mut self) -> Option<Vec<usize>> {
        self.sort();
        let mut left = vec![true; self.preds.len()];
        for &node in &self.topological {
            left[node as usize] = false;
        }
        // What is left waits for something that is left: going back must come round.
        let mut node = left.iter().position(|&l| l)?;
        let mut place = vec![usize::MAX; left.len()];
        let mut path = Vec::new();
        while place[node] == usize::MAX {
            place[node] = path.len();
            path.push(node);
            let back = self.preds[node].iter().find(|&&p| left[p as usize]);
            node = *back.expect("a node that was not sorted has a predecessor that was not") as usize;
        }
        Some(path.split_off(place[node]))
    }
}

/// Nodes are counted in `u32`: the reader takes far fewer tasks than that.
pub(super) fn index(node: usize) -> u32 {
    u32::try_from(node).expect("a feature has fewer than 2^32 tasks")
}
