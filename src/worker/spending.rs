//! A run's budget while its program goes on: what it has used by its own account, at what price,
//! and whether that reaches what is left for it.

use std::time::{Duration, Instant};

use super::conversation::Talk;
use super::deliver;
use super::life::Desk;
use super::review::sum;
use crate::agents::stream::{Failure, Told, Usage};
use crate::config::{Adapter, Prices};
use crate::domain::budget::{Scope, Used};
use crate::domain::event::Event;
use crate::domain::spent::Spent;

/// Between two tellings where others share a budget; a program that reports its use many times a
/// second must not fill the log.
const TELL: Duration = Duration::from_secs(1);
/// Where nobody does: so that what a worker's death cuts off is counted all the same.
const TELL_ALONE: Duration = Duration::from_secs(5);

/// A program that fails within this time, with nothing used, changed or claimed, failed at once.
const AT_ONCE: Duration = Duration::from_secs(10);

/// What was seen so far of a run's use.
#[derive(Debug, Default)]
pub(super) struct Spending {
    seen: Option<Usage>,
    reached: Option<Scope>,
    /// What the supervisor is still to be told.
    untold: Option<Spent>,
    told: Option<Instant>,
}

impl Spending {
    /// A model's program begins: from now on the run has used something, if nobody says how much.
    pub(super) fn begun(desk: &Desk<'_>, adapter: &Adapter) -> Self {
        let now = adapter.cli.as_ref().map(|_| untold(adapter, &Told::default()));
        Self { untold: desk.spent.borrow().clone().or(now), ..Self::default() }
    }

    /// Looks at what the program has told.
    pub(super) fn look(&mut self, desk: &Desk<'_>, adapter: &Adapter, chat: &Talk, told: &Told) {
        if told.usage.is_none() || told.usage == self.seen {
            return;
        }
        self.seen = told.usage;
        let Some(now) = chat.used(adapter, told).map(|usage| spent(desk, adapter, told, &usage)) else {
            return;
        };
        // With what an earlier round of the run has used.
        let Some(spent) = sum(desk.spent.borrow().clone(), Some(now)) else { return };
        self.reached = desk.run.job.budget.reached_by(&Used::of(&spent));
        self.untold = Some(spent);
    }

    /// The supervisor is told what is new: at most once a report of the program's, which is once a
    /// turn, and not too often.
    pub(super) fn tell(&mut self, desk: &Desk<'_>) {
        let every = if desk.run.job.budget.is_shared() { TELL } else { TELL_ALONE };
        if self.told.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        let Some(spent) = self.untold.take() else { return };
        self.told = Some(Instant::now());
        let event = Event::RunUses { run: desk.run.id.clone(), token: desk.run.token.clone(), spent };
        deliver::remark(desk.place, desk.interrupts.client(), event);
    }

    /// What the program told last.
    pub(super) fn seen(&self) -> Option<Usage> {
        self.seen
    }

    /// The budget that is used up, if one is.
    pub(super) fn reached(&self) -> Option<Scope> {
        self.reached
    }
}

/// The program has ended after this time. Where it has used, said and, as the caller will see, changed
/// nothing, it failed at once; but not where it tells what another task would not meet.
pub(super) fn note_the_end(desk: &Desk<'_>, took: Duration, (said, failure): (bool, Option<&Failure>)) {
    let used = desk.spent.borrow().as_ref().is_some_and(|spent| spent.input > 0 || spent.output > 0);
    let of_the_task = failure.is_some_and(|failure| failure.class.is_of_the_task());
    desk.at_once.set(took < AT_ONCE && !said && !used && !of_the_task);
}

/// The budget that the run's programs have used up so far, if one is.
pub(super) fn used_up(desk: &Desk<'_>) -> Option<Scope> {
    let spent = desk.spent.borrow();
    spent.as_ref().and_then(|spent| desk.run.job.budget.reached_by(&Used::of(spent)))
}

/// For people: which budget, and what of it.
pub(super) fn reason(desk: &Desk<'_>, scope: Scope) -> String {
    let used = desk.spent.borrow().as_ref().map(Used::of).unwrap_or_default();
    let left = desk.run.job.budget.limit(scope).with(&used);
    if left.is_empty() {
        format!("the budget of the {scope} is used up")
    } else {
        format!("the budget of the {scope} is used up: this run used {left} that were left")
    }
}

/// What a run has used, with its price: the program's own, else by the table of prices, else unknown.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, and not negative")]
pub(super) fn spent(desk: &Desk<'_>, adapter: &Adapter, told: &Told, usage: &Usage) -> Spent {
    let own = usage.cost.map(|cost| (cost * 1e6).round() as u64);
    let asked = Some(&adapter.model).filter(|model| !model.is_empty());
    let model = asked.or(told.model.as_ref()).cloned().unwrap_or_default();
    let prices = &desk.config.prices;
    let estimate = if own.is_none() { estimate(prices, asked, told, usage) } else { None };
    Spent {
        agent: adapter.name.clone(),
        model,
        input: usage.input,
        output: usage.output,
        cached: usage.cached,
        cost_micro_usd: own.or(estimate),
        estimated: estimate.map(|_| prices.as_of.clone()),
    }
}

/// What is known of a run whose program does not tell what it used: that it did.
pub(super) fn untold(adapter: &Adapter, told: &Told) -> Spent {
    let asked = Some(&adapter.model).filter(|model| !model.is_empty());
    let model = asked.or(told.model.as_ref()).cloned().unwrap_or_default();
    Spent { agent: adapter.name.clone(), model, ..Spent::default() }
}

/// By the name that was asked for, or by the one that the program tells.
fn estimate(prices: &Prices, asked: Option<&String>, told: &Told, usage: &Usage) -> Option<u64> {
    let names = told.model.iter().chain(asked);
    names.into_iter().find_map(|model| prices.cost_micro_usd(model, usage.input, usage.cached, usage.output))
}
