//! `sprint cost`: what the models' programs say that they have used, by task, role, agent and day,
//! against the budgets. A price that neither a program nor the table tells is unknown, and stays so in
//! every sum that it is part of; what is computed by the table is marked.

use std::collections::BTreeMap;

use serde::Serialize;

use super::args::JsonArgs;
use super::context::{Context, store_error};
use super::environment::Environment;
use super::out::Out;
use super::spending::{self, BudgetRow};
use super::text::{Cell, Table, rfc3339};
use crate::config::Config;
use crate::domain::budget::usd;
use crate::domain::state::Feature;
use crate::error::{CliError, exit};
use crate::process::clock;
use crate::store::{Client, Plans, SpentRun};

/// What some runs used together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// How many told something.
    pub runs: u64,
    /// Tokens in.
    pub tokens_in: u64,
    /// Tokens out.
    pub tokens_out: u64,
    /// Tokens from a cache, of those runs that tell it.
    pub tokens_cached: u64,
    /// Millionths of a US dollar, of those runs that tell it.
    pub cost_micro_usd: u64,
    /// How many did not tell what they cost.
    pub cost_unknown: u64,
    /// How many did not even tell their tokens.
    pub untold: u64,
    /// The part of the cost that is not the programs' word, but by the configured prices.
    pub estimated_micro_usd: u64,
    /// The newest date of those prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated: Option<String>,
}

/// `sprint cost --json`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CostJson {
    /// Everything.
    pub total: Sum,
    /// By feature.
    pub features: BTreeMap<String, Sum>,
    /// By feature and task: `001-thing/T001`.
    pub tasks: BTreeMap<String, Sum>,
    /// By role.
    pub roles: BTreeMap<String, Sum>,
    /// By adapter.
    pub agents: BTreeMap<String, Sum>,
    /// By day, in UTC.
    pub days: BTreeMap<String, Sum>,
    /// Budgets with what is used of them.
    pub budget: Vec<BudgetRow>,
    /// Agents that budgets of money do not bind.
    pub unpriced: Vec<String>,
    /// Every run.
    pub runs: Vec<SpentRun>,
}

/// Runs it.
///
/// # Errors
/// No repository, or a store that cannot be read.
pub fn run(args: JsonArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let mut cost = CostJson::default();
    if let Some(client) = context.reader()? {
        cost = CostJson::of(client.spent().map_err(store_error)?);
        let state = client.overview_with(Plans::OfAll).map_err(store_error)?.state;
        let budgeted = state.features.values().filter(|row| !row.frozen.policy.budget.is_none());
        if let Some(feature) = budgeted.max_by_key(|feature| feature.order) {
            cost.budget = spending::all(&state, feature, clock::now());
            cost.unpriced =
                frozen(&client, feature).map(|config| spending::unpriced(&config)).unwrap_or_default();
        }
    }
    if args.json {
        out.json(&cost);
    } else {
        show(&cost, out);
    }
    Ok(exit::DONE)
}

/// The configuration that a feature is built with; one of another version tells nothing.
fn frozen(client: &Client, feature: &Feature) -> Option<Config> {
    let text = client.config(&feature.frozen.policy.config).ok().flatten()?;
    serde_json::from_str(&text).ok()
}

impl CostJson {
    fn of(runs: Vec<SpentRun>) -> Self {
        let mut cost = Self::default();
        for run in &runs {
            let task = run.task.as_deref().unwrap_or("base");
            let day: String = rfc3339(run.wall_ms).chars().take(10).collect();
            cost.total.add(run);
            cost.features.entry(run.feature.clone()).or_default().add(run);
            cost.tasks.entry(format!("{}/{task}", run.feature)).or_default().add(run);
            cost.roles.entry(run.role.clone()).or_default().add(run);
            cost.agents.entry(run.agent.clone()).or_default().add(run);
            cost.days.entry(day).or_default().add(run);
        }
        cost.runs = runs;
        cost
    }
}

impl Sum {
    /// What these runs used together.
    pub fn of<'r>(runs: impl IntoIterator<Item = &'r SpentRun>) -> Self {
        let mut sum = Self::default();
        runs.into_iter().for_each(|run| sum.add(run));
        sum
    }

    fn add(&mut self, run: &SpentRun) {
        self.runs += 1;
        self.tokens_in = self.tokens_in.saturating_add(run.input);
        self.tokens_out = self.tokens_out.saturating_add(run.output);
        self.tokens_cached = self.tokens_cached.saturating_add(run.cached.unwrap_or(0));
        self.cost_micro_usd = self.cost_micro_usd.saturating_add(run.cost_micro_usd.unwrap_or(0));
        self.cost_unknown += u64::from(run.cost_micro_usd.is_none());
        let tokens = run.input > 0 || run.output > 0 || run.cached.is_some();
        self.untold += u64::from(run.cost_micro_usd.is_none() && !tokens);
        if let Some(date) = &run.estimated {
            let cost = run.cost_micro_usd.unwrap_or(0);
            self.estimated_micro_usd = self.estimated_micro_usd.saturating_add(cost);
            self.estimated = self.estimated.take().max(Some(date.clone()));
        }
    }

    /// `$0.0123`, `~$0.0123` where a part of it is computed, `unknown`, or both where some runs tell it.
    pub fn price(&self) -> String {
        let mark = if self.estimated.is_some() { "~" } else { "" };
        let known = format!(
            "{mark}${}.{:04}",
            self.cost_micro_usd / 1_000_000,
            self.cost_micro_usd % 1_000_000 / 100
        );
        match self.cost_unknown {
            0 => known,
            all if all == self.runs => "unknown".to_owned(),
            some => format!("{known} and {some} unknown"),
        }
    }
}

fn show(cost: &CostJson, out: &mut Out<'_>) {
    if cost.runs.is_empty() {
        out.line("no model has told of any use here");
    } else {
        sums(cost, out);
    }
    if let Some(date) = &cost.total.estimated {
        out.line(format!("~ by your own prices as of {date}, not by what the program tells"));
    }
    budgets(cost, out);
    if !cost.unpriced.is_empty() {
        let names = cost.unpriced.join(" and ");
        out.line(format!("budgets of money do not bind {names}: no price is known; see `[prices]`"));
    }
}

fn budgets(cost: &CostJson, out: &mut Out<'_>) {
    if cost.budget.is_empty() {
        return;
    }
    out.line("");
    let mut table = Table::new(&["BUDGET", "OF", "LIMIT", "USED", "LEFT"]);
    for row in &cost.budget {
        let money = row.limit_micro_usd.map(|limit| {
            (usd(limit), usd(row.used_micro_usd), row.left_micro_usd.map_or_else(String::new, usd))
        });
        let tokens = row.limit_tokens.map(|limit| {
            let left = row.left_tokens.map_or_else(String::new, |left| format!("{left} tokens"));
            (format!("{limit} tokens"), format!("{} tokens", row.used_tokens), left)
        });
        for (limit, used, left) in money.into_iter().chain(tokens) {
            let cells = [row.budget.to_string(), row.of.clone(), limit, used, left];
            table.row(cells.iter().map(|text| Cell::new(text)).collect());
        }
    }
    for line in table.lines(out.colour, out.columns) {
        out.line(line);
    }
}

fn sums(cost: &CostJson, out: &mut Out<'_>) {
    let mut table = Table::new(&["WHAT", "RUNS", "TOKENS IN", "CACHED", "TOKENS OUT", "COST"]);
    row(&mut table, "all", &cost.total);
    for sums in [&cost.features, &cost.tasks, &cost.roles, &cost.agents, &cost.days] {
        for (name, sum) in sums {
            row(&mut table, name, sum);
        }
    }
    for line in table.lines(out.colour, out.columns) {
        out.line(line);
    }
}

fn row(table: &mut Table, name: &str, sum: &Sum) {
    let tokens = [sum.tokens_in, sum.tokens_cached, sum.tokens_out].map(|tokens| match sum.untold {
        all if all == sum.runs => "unknown".to_owned(),
        _ => tokens.to_string(),
    });
    let cells = [name.to_owned(), sum.runs.to_string()].into_iter().chain(tokens);
    table.row(cells.chain([sum.price()]).map(|text| Cell::new(&text)).collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(task: &str, cost: Option<u64>) -> SpentRun {
        SpentRun {
            run: format!("run-{task}"),
            wall_ms: 1_767_225_600_000,
            feature: "001-thing".to_owned(),
            task: Some(task.to_owned()),
            stage: Some("InProgress".to_owned()),
            role: "developer".to_owned(),
            attempt: 1,
            agent: "codex".to_owned(),
            model: String::new(),
            input: 1000,
            output: 30,
            cached: cost,
            cost_micro_usd: cost,
            estimated: None,
        }
    }

    #[test]
    fn what_is_not_told_stays_unknown() {
        let cost =
            CostJson::of(vec![run("T001", Some(1_230_000)), run("T002", None), run("T001", Some(5_600))]);
        let price = |name: &str| cost.tasks[name].price();
        assert_eq!(price("001-thing/T001"), "$1.2356");
        assert_eq!(price("001-thing/T002"), "unknown");
        assert_eq!(cost.total.price(), "$1.2356 and 1 unknown");
        assert_eq!((cost.total.runs, cost.total.tokens_in, cost.total.tokens_out), (3, 3000, 90));
        assert_eq!(cost.days.keys().collect::<Vec<_>>(), ["2026-01-01"]);
        assert_eq!(cost.roles["developer"].runs, 3);
    }

    #[test]
    fn a_run_that_tells_nothing_at_all_is_counted() {
        let silent = SpentRun { input: 0, output: 0, ..run("T002", None) };
        let sum = Sum::of(&[run("T001", Some(20_000)), silent.clone()]);
        assert_eq!((sum.runs, sum.cost_unknown, sum.untold), (2, 1, 1));
        assert_eq!(Sum::of(&[silent]).price(), "unknown");
    }

    #[test]
    fn what_is_computed_is_marked_with_the_date_of_the_prices() {
        let mut own = run("T002", Some(10_000));
        own.estimated = Some("2026-11-01".to_owned());
        let sum = Sum::of(&[run("T001", Some(20_000)), own]);
        assert_eq!(sum.price(), "~$0.0300");
        assert_eq!((sum.estimated_micro_usd, sum.estimated.as_deref()), (10_000, Some("2026-11-01")));
        assert_eq!(Sum::of(&[run("T001", Some(20_000))]).price(), "$0.0200");
    }
}
