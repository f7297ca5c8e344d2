//! What can be done now, and what holds the rest. Linear in the size of the plan.

use super::{ParkedPolicy, Plan, Progress};
use crate::domain::ids::TaskId;

/// So many holders are kept for a task: a screen shows no more.
const HOLDERS_MAX: usize = 8;

/// The tasks that can be assigned now, oldest first; never two of a convoy.
pub fn ready(plan: &Plan, progress: &dyn Fn(&TaskId) -> Progress, parked: ParkedPolicy) -> Vec<TaskId> {
    let now: Vec<Progress> = plan.tasks.iter().map(|t| progress(&t.id)).collect();
    let mut taken = vec![false; plan.convoys.len()];
    for (task, now) in plan.tasks.iter().zip(&now) {
        if let (Some(convoy), Progress::InFlight | Progress::Waiting) = (task.convoy, now) {
            taken[convoy as usize] = true;
        }
    }
    let free = unhindered(plan, &now, parked);
    let mut result = Vec::new();
    for (place, task) in plan.tasks.iter().enumerate() {
        let is_taken = |c: u32| std::mem::replace(&mut taken[c as usize], true);
        if now[place] == Progress::Open && free[place] && !task.convoy.is_some_and(is_taken) {
            result.push(task.id.clone());
        }
    }
    result
}

/// For each node whether all that it waits for is over.
fn unhindered(plan: &Plan, now: &[Progress], parked: ParkedPolicy) -> Vec<bool> {
    let graph = &plan.graph;
    let mut free = vec![false; graph.preds.len()];
    for node in graph.topological.iter().map(|&n| n as usize) {
        free[node] = graph.preds[node].iter().all(|&pred| {
            let pred = pred as usize;
            now.get(pred).map_or(free[pred], |&p| is_over(p, parked))
        });
    }
    let (mut phase, mut open) = (0, 0);
    for (task, rule) in graph.rules.iter().enumerate() {
        if std::mem::replace(&mut phase, rule.phase) != rule.phase {
            open = 0;
        }
        free[task] &= open & rule.waits_for == 0;
        open |= if is_over(now[task], parked) { 0 } else { rule.class };
    }
    free
}

fn is_over(progress: Progress, parked: ParkedPolicy) -> bool {
    match progress {
        Progress::Done | Progress::Skipped => true,
        Progress::Parked => parked == ParkedPolicy::Continue,
        Progress::Open | Progress::InFlight | Progress::Waiting => false,
    }
}

/// For each task of the plan, in its order, the parked and waiting tasks that hold it: the nearest
/// ones on each way back, oldest first, at most eight. Empty for a task that is not open and for
/// one that only waits its turn. One pass for all, for screens that show every task.
pub fn held(plan: &Plan, progress: &dyn Fn(&TaskId) -> Progress, parked: ParkedPolicy) -> Vec<Vec<TaskId>> {
    let now: Vec<Progress> = plan.tasks.iter().map(|t| progress(&t.id)).collect();
    let graph = &plan.graph;
    let mut holders: Vec<Vec<u32>> = vec![Vec::new(); graph.preds.len()];
    for node in graph.topological.iter().map(|&n| n as usize) {
        let mut found: Vec<u32> = Vec::new();
        for &pred in &graph.preds[node] {
            match now.get(pred as usize) {
                Some(&p) if is_over(p, parked) => {}
                Some(Progress::Parked | Progress::Waiting) => add(&mut found, pred),
                Some(_) | None => holders[pred as usize].iter().for_each(|&h| add(&mut found, h)),
            }
        }
        holders[node] = found;
    }
    add_older(plan, &now, parked, &mut holders);
    let shown = |(place, holders): (usize, &Vec<u32>)| match now[place] {
        Progress::Open => holders.iter().map(|&h| plan.tasks[h as usize].id.clone()).collect(),
        Progress::InFlight | Progress::Waiting | Progress::Parked | Progress::Done | Progress::Skipped => {
            Vec::new()
        }
    };
    holders.iter().enumerate().take(graph.tasks).map(shown).collect()
}

/// Adds the holders that no edge shows: a task of the phase is over, those before it are not.
fn add_older(plan: &Plan, now: &[Progress], parked: ParkedPolicy, holders: &mut [Vec<u32>]) {
    let mut phase = 0;
    let mut of_class: [Vec<u32>; u8::BITS as usize] = [const { Vec::new() }; u8::BITS as usize];
    for (task, rule) in plan.graph.rules.iter().enumerate() {
        if std::mem::replace(&mut phase, rule.phase) != rule.phase {
            of_class.iter_mut().for_each(Vec::clear);
        }
        let waited = of_class.iter().enumerate().filter(|(bit, _)| rule.waits_for & (1 << bit) != 0);
        for (_, older) in waited {
            for &holder in older {
                add(&mut holders[task], holder);
            }
        }
        let own = &mut of_class[rule.class.trailing_zeros() as usize % 8];
        match now[task] {
            p if is_over(p, parked) => {}
            Progress::Parked | Progress::Waiting => add(own, super::graph::index(task)),
            Progress::Open | Progress::InFlight | Progress::Done | Progress::Skipped => {
                holders[task].iter().for_each(|&h| add(own, h));
            }
        }
    }
}

/// Keeps the oldest holders, sorted, each once.
fn add(found: &mut Vec<u32>, holder: u32) {
    if let Err(place) = found.binary_search(&holder) {
        found.insert(place, holder);
        found.truncate(HOLDERS_MAX);
    }
}

/// The parked and waiting tasks that hold `task`: as [`held`], for one.
pub fn held_by(
    plan: &Plan,
    task: &TaskId,
    progress: &dyn Fn(&TaskId) -> Progress,
    parked: ParkedPolicy,
) -> Vec<TaskId> {
    let Some(place) = plan.position(task) else { return Vec::new() };
    held(plan, progress, parked).swap_remove(place)
}

/// The tasks not over that `task` waits for directly, whatever their state; oldest first.
pub fn waits_for(
    plan: &Plan,
    task: &TaskId,
    progress: &dyn Fn(&TaskId) -> Progress,
    parked: ParkedPolicy,
) -> Vec<TaskId> {
    let Some(place) = plan.position(task) else { return Vec::new() };
    let open = plan.graph.nearest(place, |t| !is_over(progress(&plan.tasks[t].id), parked));
    open.into_iter().map(|t| plan.tasks[t].id.clone()).collect()
}

/// For each task of the plan, in its order, what it waits for directly and is not over: as
/// [`waits_for`], in one pass for screens that show every task. Empty for a task that is not open.
pub fn open_predecessors(
    plan: &Plan,
    progress: &dyn Fn(&TaskId) -> Progress,
    parked: ParkedPolicy,
) -> Vec<Vec<TaskId>> {
    let now: Vec<Progress> = plan.tasks.iter().map(|t| progress(&t.id)).collect();
    let waits = |place: usize| {
        let open = plan.graph.nearest(place, |t| !is_over(now[t], parked));
        open.into_iter().map(|t| plan.tasks[t].id.clone()).collect()
    };
    (0..now.len()).map(|place| if now[place] == Progress::Open { waits(place) } else { Vec::new() }).collect()
}
