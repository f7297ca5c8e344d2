//! What was spent against what may be: the rows of `sprint cost`, the line and the key of `status`,
//! and what a start says of budgets that cannot bind.

use serde::Serialize;

use super::cost::Sum;
use crate::config::{AdapterKind, AgentMode, Config};
use crate::domain::budget::{Limit, Scope, Used, day_of, usd};
use crate::domain::event::Now;
use crate::domain::pipeline::{Role, StageKind};
use crate::domain::state::{Feature, State};
use crate::domain::task::Task;

/// A budget with what is used of it; `null` is what is not limited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetRow {
    /// `task`, `feature` or `day`.
    pub budget: Scope,
    /// Of what: `001-shop/T001`, `001-shop`, `2026-11-01`.
    pub of: String,
    /// The limit of money, in millionths of a US dollar.
    pub limit_micro_usd: Option<u64>,
    /// Used, as far as prices are known.
    pub used_micro_usd: u64,
    /// Left.
    pub left_micro_usd: Option<u64>,
    /// The limit of tokens, in and out.
    pub limit_tokens: Option<u64>,
    /// Used.
    pub used_tokens: u64,
    /// Left.
    pub left_tokens: Option<u64>,
}

/// `cost` of `status --json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CostOf {
    /// What the feature's runs used.
    #[serde(flatten)]
    pub sum: Sum,
    /// Budgets of the feature and of the day.
    pub budget: Vec<BudgetRow>,
}

impl BudgetRow {
    fn of(budget: Scope, of: String, limit: &Limit, used: &Used) -> Option<Self> {
        let left = limit.less(used);
        (!limit.is_none()).then_some(Self {
            budget,
            of,
            limit_micro_usd: limit.micro_usd,
            used_micro_usd: used.micro_usd,
            left_micro_usd: left.micro_usd,
            limit_tokens: limit.tokens,
            used_tokens: used.tokens,
            left_tokens: left.tokens,
        })
    }

    /// `day: $1.20 of $5.00`.
    pub fn shown(&self) -> String {
        let limit = Limit { micro_usd: self.limit_micro_usd, tokens: self.limit_tokens };
        let used = Used { micro_usd: self.used_micro_usd, tokens: self.used_tokens };
        format!("{}: {}", self.budget, limit.with(&used))
    }
}

/// The budgets of a feature and of the day.
pub fn shared(state: &State, feature: &Feature, now: Now) -> Vec<BudgetRow> {
    let limits = &feature.frozen.policy.budget;
    let today = day_of(now);
    let used = state.sprint.days.get(&today).copied().unwrap_or_default();
    let rows = [
        BudgetRow::of(Scope::Feature, feature.id.to_string(), &limits.feature, &feature.used),
        BudgetRow::of(Scope::Day, date(today), &limits.day, &used),
    ];
    rows.into_iter().flatten().collect()
}

/// Those, and of each task that has used anything.
pub fn all(state: &State, feature: &Feature, now: Now) -> Vec<BudgetRow> {
    let limit = &feature.frozen.policy.budget.task;
    let mut tasks: Vec<&Task> =
        state.tasks_of(&feature.id).filter(|task| task.used != Used::default()).collect();
    tasks.sort_by_key(|task| task.order);
    let name = |task: &Task| format!("{}/{}", task.key.feature, task.key.id);
    let rows = tasks.iter().filter_map(|task| BudgetRow::of(Scope::Task, name(task), limit, &task.used));
    shared(state, feature, now).into_iter().chain(rows).collect()
}

fn date(days: i64) -> String {
    let span = jiff::Span::new().try_days(days);
    let date = span.and_then(|span| jiff::civil::date(1970, 1, 1).checked_add(span));
    date.map_or_else(|_| days.to_string(), |date| date.to_string())
}

/// `cost $1.23, 45000 tokens in, 1200 out; feature: $1.23 of $5.00`; none where nothing was used and
/// nothing is limited.
pub fn line(cost: &CostOf) -> Option<String> {
    if cost.sum.runs == 0 && cost.budget.is_empty() {
        return None;
    }
    let sum = &cost.sum;
    let price = if sum.runs == 0 { usd(0) } else { sum.price() };
    let used = match sum.untold {
        0 => format!("cost {price}, {} tokens in, {} out", sum.tokens_in, sum.tokens_out),
        all if all == sum.runs => "cost and tokens unknown: the agents' programs do not tell them".to_owned(),
        some => {
            let runs = if some == 1 { "1 run".to_owned() } else { format!("{some} runs") };
            format!("cost {price}, {} tokens in, {} out, and those of {runs}", sum.tokens_in, sum.tokens_out)
        }
    };
    let budgets = cost.budget.iter().map(|row| format!("; budget of the {}", row.shown()));
    Some(used + &budgets.collect::<String>())
}

/// Agents that a money budget does not bind, because neither they nor the table tell a price.
pub fn unpriced(config: &Config) -> Vec<String> {
    if !config.budget.limits_money() {
        return Vec::new();
    }
    let asks = |role| {
        let kinds = [StageKind::Work, StageKind::Check];
        config.pipeline.iter().any(|stage| stage.role == role && kinds.contains(&stage.kind))
    };
    let roles = Role::ALL.into_iter().filter(|role| asks(*role));
    let agents = roles.flat_map(|role| config.agents_of(role).unwrap_or_default());
    let mut names: Vec<String> = agents
        .filter(|adapter| match (&adapter.cli, adapter.kind) {
            (_, AdapterKind::Scripted) => false,
            (None, _) => true,
            (Some(cli), _) => {
                let on_screen = adapter.mode == AgentMode::Interactive && !cli.interactive.usage;
                let tells = !cli.usage.cost.is_empty() || cli.usage.pattern.contains("(?P<cost>");
                let named = config.prices.models.contains_key(&adapter.model)
                    || (!cli.session.model.is_empty() && !config.prices.is_none());
                on_screen || !(tells || named)
            }
        })
        .map(|adapter| adapter.name)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// What a start says of them, once.
pub fn warning(config: &Config) -> Option<String> {
    let names = unpriced(config);
    (!names.is_empty()).then(|| {
        format!(
            "budgets of money do not bind {}: on its screen a program tells no use, or it tells no price and `[prices]` has none of its model; budgets of tokens do where it tells tokens",
            names.join(" and ")
        )
    })
}
