//! Several gates at once: which may run beside which, and within how many cores.
//!
//! Everything happens on one thread; what it waits for are tools. Gates that only read a tree share
//! its worktree. One that may run the tree's own code has the worktree to itself, or, where the two
//! kinds have worktrees apart, runs beside those that read and never beside another of its kind:
//! whatever such code does, no other gate's verdict depends on it.

use std::cmp::Reverse;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::context::{Context, Room};
use super::pane::Board;
use super::run::{self, Cancelled, Prepared};
use super::watch::Moment;
use crate::config::gate::GateConfig;
use crate::domain::gate::{GateResult, Verdict};
use crate::domain::ids::GateName;
use crate::process::beside::{Stop, wait, within};
use crate::process::slots::Slots;
use crate::process::system;

/// How often it is asked whether anybody still wants the results.
const TICK: Duration = Duration::from_millis(100);

/// Gates that took less last time run in their order; of the others the longest begins first.
const SHORT: Duration = Duration::from_secs(1);

/// Runs one gate and judges it. What goes wrong on the way is a verdict, with its reason.
///
/// # Errors
/// [`Cancelled`] alone.
pub fn run_gate(
    gate: &GateConfig,
    context: &Context<'_>,
    pane: &mut dyn Write,
) -> Result<GateResult, Cancelled> {
    let mut results = run_all(&[gate], context, pane)?;
    Ok(results.remove(0))
}

/// Runs the enabled gates, as many at once as the cores and the trees allow. With `context.all` each
/// to its end: a red one does not hide the findings of others; else a red one cancels the rest,
/// which is skipped. Results are in the order of `gates`.
///
/// # Errors
/// [`Cancelled`] alone.
pub fn run_gates(
    gates: &[GateConfig],
    context: &Context<'_>,
    pane: &mut dyn Write,
) -> Result<Vec<GateResult>, Cancelled> {
    let enabled: Vec<&GateConfig> = gates.iter().filter(|gate| gate.enabled).collect();
    run_all(&enabled, context, pane)
}

fn run_all(
    gates: &[&GateConfig],
    context: &Context<'_>,
    pane: &mut dyn Write,
) -> Result<Vec<GateResult>, Cancelled> {
    let cores = context.slots.map_or_else(system::cores, Slots::cores);
    let together = Together { gates, context, board: Board::new(pane), stop: Stop::default(), cores };
    match wait(together.run()) {
        Ok(results) => results,
        Err(error) => {
            let why = format!("the system has no means to wait for it: {error}");
            Ok(gates.iter().map(|gate| run::without_run(gate, Verdict::Error, &why)).collect())
        }
    }
}

type Running<'f> = (usize, Pin<Box<dyn Future<Output = Result<GateResult, Cancelled>> + 'f>>);

struct Together<'a> {
    gates: &'a [&'a GateConfig],
    context: &'a Context<'a>,
    board: Board<'a>,
    stop: Stop,
    cores: usize,
}

impl Together<'_> {
    async fn run(&self) -> Result<Vec<GateResult>, Cancelled> {
        let mut waiting = self.order();
        let prepared = self.gates.iter().map(|gate| Some(run::prepare(gate, self.context, &self.stop)));
        let mut prepared: Vec<Option<Prepared<'_>>> = prepared.collect();
        let mut running: Vec<Running<'_>> = Vec::new();
        let mut results: Vec<Option<GateResult>> = vec![None; self.gates.len()];
        let mut red: Option<GateName> = None;
        loop {
            while let Some(next) = waiting.iter().position(|next| self.may_start(*next, &running)) {
                let id = waiting.remove(next);
                let Some(ready) = prepared[id].take() else { continue };
                let gate = run::run_gate(ready, self.context, &self.stop, self.board.pane(id));
                running.push((id, Box::pin(gate)));
            }
            if running.is_empty() {
                break;
            }
            let ended = within(TICK, any(&mut running)).await;
            if (self.context.cancel)() {
                return self.cancelled(running).await;
            }
            let Some((id, result)) = ended else { continue };
            let result = result.unwrap_or_else(|Cancelled| self.passed_by(id, red.as_ref()));
            if result.verdict == Verdict::Fail && !self.context.all && red.is_none() {
                red = Some(result.name.clone());
                self.stop.now();
                for id in waiting.drain(..) {
                    results[id] = Some(self.passed_by(id, red.as_ref()));
                }
            }
            results[id] = Some(result);
        }
        let mut results: Vec<GateResult> = results.into_iter().flatten().collect();
        if let Err(why) = (self.context.end_left)() {
            self.void_those_that_read(&mut results, &why);
        }
        Ok(results)
    }

    /// What they left running is ended when the last one is done; what cannot be ended may have written.
    fn void_those_that_read(&self, results: &mut [GateResult], why: &str) {
        for (gate, result) in self.gates.iter().zip(results) {
            if Room::of(gate) == Room::Reading && !gate.tool.builtin {
                *result = run::without_run(gate, Verdict::Error, why);
            }
        }
    }

    /// Everything is ended before it is left.
    async fn cancelled(&self, mut running: Vec<Running<'_>>) -> Result<Vec<GateResult>, Cancelled> {
        self.stop.now();
        while !running.is_empty() {
            // Whatever it has come to: nobody wants it any more.
            drop(any(&mut running).await);
        }
        if let Err(why) = (self.context.end_left)() {
            tracing::warn!(why, "what gates left running stays");
        }
        Err(Cancelled)
    }

    fn passed_by(&self, id: usize, red: Option<&GateName>) -> GateResult {
        let reason = red.map_or_else(
            || "it was cancelled".to_owned(),
            |red| format!("not run to its end, as {red} has failed"),
        );
        let result = run::without_run(self.gates[id], Verdict::Skipped, &reason);
        if let Some(watch) = self.context.watch {
            watch.saw(&result.name, Moment::Ended(&result));
        }
        result
    }

    /// Short ones first, as they are configured, and of the long ones the longest first: it would
    /// run alone at the end.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.gates.len()).collect();
        let usual = |id: &usize| (self.context.usual)(&self.gates[*id].name);
        let time = |id: &usize| usual(id).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let long = |id: &usize| time(id).filter(|time| *time >= SHORT).map(Reverse);
        // What needs no tool is done before anything of the tree runs.
        order.sort_by_key(|id| (!self.gates[*id].tool.builtin, long(id)));
        order
    }

    fn may_start(&self, id: usize, running: &[Running<'_>]) -> bool {
        let weight = |id: usize| (self.gates[id].weight as usize).clamp(1, self.cores);
        let room = |id: usize| Room::of(self.gates[id]);
        let used: usize = running.iter().map(|(id, _)| weight(*id)).sum();
        let beside = |other: usize| match (room(id), room(other)) {
            (Room::Reading, Room::Reading) => true,
            (Room::Working, Room::Working) => false,
            _ => self.context.trees.apart(),
        };
        used + weight(id) <= self.cores && running.iter().all(|(other, _)| beside(*other))
    }
}

/// The first of them that ends, taken out.
async fn any(running: &mut Vec<Running<'_>>) -> (usize, Result<GateResult, Cancelled>) {
    std::future::poll_fn(|context| {
        for place in 0..running.len() {
            if let Poll::Ready(result) = running[place].1.as_mut().poll(context) {
                return Poll::Ready((running.swap_remove(place).0, result));
            }
        }
        Poll::Pending
    })
    .await
}
