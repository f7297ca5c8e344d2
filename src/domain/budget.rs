//! Budgets: what runs of models may use of money and tokens, each, per task, per feature and per
//! day. What a program does not tell counts for nothing: a limit of money binds only where a price
//! is known.
//!
//! Several runs share the budgets of a feature and of a day. Each is told at its beginning what is
//! left, and tells what it has used while it goes on; when the sum reaches the limit, all of them
//! are ended. So a budget is passed by at most one turn of each run that goes on at that moment.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::draft::Draft;
use super::effect::Effect;
use super::event::Now;
use super::ids::{FeatureId, RunId};
use super::moves::{self, Because};
use super::pipeline::{Stage, StageKind};
use super::policy::Policy;
use super::spent::Spent;
use super::state::{FeatureStatus, Run, RunStatus};
use super::task::{Input, Status, Task, TaskKey};
use super::work::{self, WorkKind};

/// How a budget that was raised comes to count: the first with a supervisor, the other without one.
const GO_ON: &str = ", then: sprint reload, or, where the sprint has ended, sprint start";

/// Days of which the sums are kept: a clock that was set wrong for a while, and back, forgets nothing.
const DAYS_MAX: usize = 8;
/// While a day's budget is used up, the date is looked at so often: the machine may sleep over midnight.
const DAY_LOOK_MS: u64 = 900_000;
const DAY_MS: i64 = 86_400_000;

/// A limit, or what is left of one; none of both: there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limit {
    /// Millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
    /// Tokens, in and out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Used {
    /// Millionths of a US dollar, as far as prices are known.
    pub micro_usd: u64,
    /// Tokens, in and out.
    pub tokens: u64,
}

/// All limits; in the job of a run: what of each of them is left for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Of one run.
    #[serde(skip_serializing_if = "Limit::is_none")]
    pub run: Limit,
    /// Of a task, all its runs.
    #[serde(skip_serializing_if = "Limit::is_none")]
    pub task: Limit,
    /// Of a feature.
    #[serde(skip_serializing_if = "Limit::is_none")]
    pub feature: Limit,
    /// Of a day, by the local date.
    #[serde(skip_serializing_if = "Limit::is_none")]
    pub day: Limit,
}

/// Whose budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One run's.
    Run,
    /// A task's.
    Task,
    /// A feature's.
    Feature,
    /// The day's.
    Day,
}

/// A feature for which no model works, because a budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// Whose: the feature's or the day's.
    pub scope: Scope,
    /// When the date is looked at again, in monotonic milliseconds; none: a person has to do something.
    pub due_ms: Option<u64>,
}

impl Scope {
    /// The key of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Task => "task",
            Self::Feature => "feature",
            Self::Day => "day",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Limit {
    /// Whether there is no limit at all.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether so much reaches it.
    pub fn is_reached_by(&self, used: &Used) -> bool {
        self.micro_usd.is_some_and(|limit| used.micro_usd >= limit)
            || self.tokens.is_some_and(|limit| used.tokens >= limit)
    }

    /// What is left of it.
    #[must_use]
    pub fn less(&self, used: &Used) -> Self {
        Self {
            micro_usd: self.micro_usd.map(|limit| limit.saturating_sub(used.micro_usd)),
            tokens: self.tokens.map(|limit| limit.saturating_sub(used.tokens)),
        }
    }

    /// `$5.02 of $5.00` or `2100 of 2000 tokens`: what is reached, else everything.
    pub fn with(&self, used: &Used) -> String {
        let money = self.micro_usd.map(|limit| (used.micro_usd >= limit, used.micro_usd, limit));
        let tokens = self.tokens.map(|limit| (used.tokens >= limit, used.tokens, limit));
        let any = money.is_some_and(|row| row.0) || tokens.is_some_and(|row| row.0);
        let money = money.filter(|row| row.0 || !any);
        let tokens = tokens.filter(|row| row.0 || !any);
        let money = money.map(|(_, used, limit)| format!("{} of {}", usd(used), usd(limit)));
        let tokens = tokens.map(|(_, used, limit)| format!("{used} of {limit} tokens"));
        money.into_iter().chain(tokens).collect::<Vec<_>>().join(" and ")
    }
}

impl Used {
    /// What a run has used.
    pub fn of(spent: &Spent) -> Self {
        Self {
            micro_usd: spent.cost_micro_usd.unwrap_or(0),
            tokens: spent.input.saturating_add(spent.output),
        }
    }

    fn add(&mut self, more: Self) {
        self.micro_usd = self.micro_usd.saturating_add(more.micro_usd);
        self.tokens = self.tokens.saturating_add(more.tokens);
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            micro_usd: self.micro_usd.saturating_sub(earlier.micro_usd),
            tokens: self.tokens.saturating_sub(earlier.tokens),
        }
    }
}

impl Budget {
    /// Whether there is no limit at all.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// One of them.
    pub fn limit(&self, scope: Scope) -> &Limit {
        match scope {
            Scope::Run => &self.run,
            Scope::Task => &self.task,
            Scope::Feature => &self.feature,
            Scope::Day => &self.day,
        }
    }

    /// The first, the narrowest, that so much reaches.
    pub fn reached_by(&self, used: &Used) -> Option<Scope> {
        [Scope::Run, Scope::Task, Scope::Feature, Scope::Day]
            .into_iter()
            .find(|scope| self.limit(*scope).is_reached_by(used))
    }

    /// The lowest limit of money, in millionths of a US dollar.
    pub fn money(&self) -> Option<u64> {
        [self.run, self.task, self.feature, self.day].iter().filter_map(|limit| limit.micro_usd).min()
    }

    /// Whether anybody else's use counts too, so that it has to be told while the run goes on.
    pub fn is_shared(&self) -> bool {
        !(self.task.is_none() && self.feature.is_none() && self.day.is_none())
    }
}

/// `$5.00`, and `$0.0123` where cents are not enough.
pub fn usd(micro: u64) -> String {
    let (whole, part) = (micro / 1_000_000, micro % 1_000_000);
    if part.is_multiple_of(10_000) {
        format!("${whole}.{:02}", part / 10_000)
    } else {
        format!("${whole}.{:04}", part / 100)
    }
}

/// The local date, as days since 1970.
pub fn day_of(now: Now) -> i64 {
    local_ms(now).div_euclid(DAY_MS)
}

fn local_ms(now: Now) -> i64 {
    now.wall_ms.saturating_add(i64::from(now.utc_offset_s) * 1000)
}

/// Until the next local midnight, but not longer than the next look.
fn next_look(now: Now) -> u64 {
    let left = DAY_MS - local_ms(now).rem_euclid(DAY_MS);
    now.mono_ms.saturating_add(u64::try_from(left).unwrap_or(DAY_LOOK_MS).min(DAY_LOOK_MS))
}

/// Whether a run of the stage asks a model, for a task with these labels.
pub(super) fn asks_a_model(policy: &Policy, stage: &Stage, labels: &[String]) -> bool {
    matches!(stage.kind, StageKind::Work | StageKind::Check) && policy.agent_of(stage.role, labels).is_some()
}

/// A run has used so much so far. Told again, or less than before, it counts for nothing.
pub(super) fn used(draft: &mut Draft<'_>, id: &RunId, spent: &Spent) {
    let Some(mut run) = draft.run(id).cloned() else { return };
    if run.told.as_ref() == Some(spent) {
        return;
    }
    let more = Used::of(spent).since(run.counted);
    run.counted.add(more);
    run.told = Some(spent.clone());
    let feature = run.job.feature.clone();
    let task = run.job.task.clone().map(|id| TaskKey { feature: feature.clone(), id });
    draft.put_run(run);
    if more == Used::default() {
        return;
    }
    if let Some(task) = task.and_then(|key| draft.edit_task(&key)) {
        task.used.add(more);
    }
    if let Some(feature) = draft.edit_feature(&feature) {
        feature.used.add(more);
    }
    let today = day_of(draft.now);
    let days = &mut draft.edit_sprint().days;
    days.entry(today).or_default().add(more);
    while days.len() > DAYS_MAX {
        let Some(farthest) = days.keys().copied().max_by_key(|day| day.abs_diff(today)) else { return };
        days.remove(&farthest);
    }
}

/// What is left for a run of the task.
pub(super) fn left(draft: &Draft<'_>, key: &TaskKey) -> Budget {
    let Some(feature) = draft.feature(&key.feature) else { return Budget::default() };
    let budget = &feature.frozen.policy.budget;
    let task = draft.task(key).map(|task| task.used).unwrap_or_default();
    Budget {
        run: budget.run,
        task: budget.task.less(&task),
        feature: budget.feature.less(&feature.used),
        day: budget.day.less(&today(draft)),
    }
}

fn today(draft: &Draft<'_>) -> Used {
    draft.sprint().days.get(&day_of(draft.now)).copied().unwrap_or_default()
}

/// Whether the feature's or the day's budget is used up.
pub(super) fn used_up(draft: &Draft<'_>, id: &FeatureId) -> Option<Scope> {
    let feature = draft.feature(id)?;
    let budget = &feature.frozen.policy.budget;
    if budget.feature.is_reached_by(&feature.used) {
        return Some(Scope::Feature);
    }
    budget.day.is_reached_by(&today(draft)).then_some(Scope::Day)
}

/// When the date has to be looked at.
pub(super) fn due_ms(status: &FeatureStatus, over: Option<Over>) -> Option<u64> {
    if is_over(status) { None } else { over?.due_ms }
}

fn is_over(status: &FeatureStatus) -> bool {
    matches!(status, FeatureStatus::Finished | FeatureStatus::Refused { .. })
}

/// Notes which budgets are used up, says so once, and has runs of models ended.
pub(super) fn look(draft: &mut Draft<'_>) {
    for id in draft.feature_ids() {
        let Some(feature) = draft.feature(&id) else { continue };
        let limits = &feature.frozen.policy.budget;
        let limited = !(limits.feature.is_none() && limits.day.is_none());
        if is_over(&feature.status) || !(limited || feature.over.is_some()) {
            continue;
        }
        let (known, found) = (feature.over, used_up(draft, &id));
        note(draft, &id, known, found);
        if let Some(scope) = found {
            end_runs(draft, &id, scope);
        }
    }
}

fn note(draft: &mut Draft<'_>, id: &FeatureId, known: Option<Over>, found: Option<Scope>) {
    let now = draft.now;
    let same = known.map(|over| over.scope) == found;
    let is_due = known.and_then(|over| over.due_ms).is_some_and(|due| due <= now.mono_ms);
    if same && !is_due {
        return;
    }
    let due = |scope| (scope == Scope::Day).then(|| next_look(now));
    let used = draft.feature(id).map(|feature| feature.used).unwrap_or_default();
    let today = today(draft);
    let Some(feature) = draft.edit_feature(id) else { return };
    feature.over = found.map(|scope| Over { scope, due_ms: due(scope) });
    let limits = feature.frozen.policy.budget;
    match found {
        _ if same => {}
        Some(scope) => {
            let used = if scope == Scope::Day { today } else { used };
            let text = format!("{}: {}{GO_ON}", used_up_text(scope, &limits, &used), raise(scope));
            draft.say("budget_used_up", Some(id), text);
        }
        None => draft.say("budget_again", Some(id), "there is budget again; models go on"),
    }
}

/// What a person does about a budget that is used up.
fn raise(scope: Scope) -> String {
    format!("raise `[budget] {scope}`")
}

/// What a person is told about a feature's or a day's budget that is used up; what to do about it, he who
/// tells knows best.
pub fn used_up_text(scope: Scope, limits: &Budget, used: &Used) -> String {
    let what = limits.limit(scope).with(used);
    let next = if scope == Scope::Day { "; it goes on by itself at midnight, or sooner" } else { "" };
    format!("the budget of the {scope} is used up ({what}), and no model is asked{next}")
}

fn end_runs(draft: &mut Draft<'_>, id: &FeatureId, scope: Scope) {
    let Some(policy) = draft.feature(id).map(|feature| &feature.frozen.policy) else { return };
    let asks = |run: &&Run| {
        let stage = run.job.stage.as_ref().and_then(|name| policy.pipeline.stage(name));
        stage.is_some_and(|stage| asks_a_model(policy, stage, &run.job.labels))
    };
    let goes_on =
        |run: &&Run| run.job.feature == *id && run.status == RunStatus::Active && run.over.is_none();
    let runs: Vec<Run> = draft.runs().filter(goes_on).filter(asks).cloned().collect();
    for mut run in runs {
        run.over = Some(scope);
        draft.effect(Effect::Wake { worker: run.worker.clone() });
        draft.put_run(run);
    }
}

/// Tasks whose own budget is used up wait for the person, instead of being worked on.
pub(super) fn hold_overspent(draft: &mut Draft<'_>, current: &FeatureId) {
    let Some(limit) = draft.feature(current).map(|feature| feature.frozen.policy.budget.task) else { return };
    if limit.is_none() {
        return;
    }
    // Who waits leaves a place, in which the next one may begin.
    while {
        let began = begin_overspent(draft, current);
        hold_ready(draft, current, limit);
        began
    } {}
}

/// One that was parked with its budget used up would begin anew: it does, as far as to wait.
fn begin_overspent(draft: &mut Draft<'_>, current: &FeatureId) -> bool {
    let Some(policy) = draft.feature(current).map(|feature| &feature.frozen.policy) else { return false };
    let Some(first) = policy.pipeline.stages.first().cloned() else { return false };
    let asks = |draft: &Draft<'_>, key: &TaskKey| {
        let policy = draft.feature(current).map(|feature| &feature.frozen.policy);
        policy.zip(draft.task(key)).is_some_and(|(policy, task)| asks_a_model(policy, &first, &task.labels))
    };
    let mut began = false;
    for work in work::open_work(draft, current) {
        if let WorkKind::Task { key, begins: true } = &work.kind
            && is_overspent(draft, key)
            && asks(draft, key)
        {
            moves::enter(draft, key, &first, "");
            began = true;
        }
    }
    began
}

fn hold_ready(draft: &mut Draft<'_>, current: &FeatureId, limit: Limit) {
    let over = |task: &&Task| task.status == Status::Ready && limit.is_reached_by(&task.used);
    let asks = |task: &&Task| {
        let policy = draft.feature(current).map(|feature| &feature.frozen.policy);
        let stage = work::stage_of(draft, task);
        policy.zip(stage).is_some_and(|(policy, stage)| asks_a_model(policy, stage, &task.labels))
    };
    let keys: Vec<TaskKey> =
        draft.tasks_of(current).filter(over).filter(asks).map(|task| task.key.clone()).collect();
    for key in keys {
        let reason = reason(draft, &key, Scope::Task, &Used::default());
        moves::feed(draft, &key, Input::Overspent, &Because::reason(reason));
    }
}

/// Whether a task's own budget is used up.
pub(super) fn is_overspent(draft: &Draft<'_>, key: &TaskKey) -> bool {
    let limit = draft.feature(&key.feature).map(|feature| feature.frozen.policy.budget.task);
    limit.zip(draft.task(key)).is_some_and(|(limit, task)| limit.is_reached_by(&task.used))
}

/// Why a task waits whose run was ended at a budget, and what to do. `run`: what that run has used.
pub(super) fn reason(draft: &Draft<'_>, key: &TaskKey, scope: Scope, run: &Used) -> String {
    let limits = draft.feature(&key.feature).map(|feature| feature.frozen.policy.budget).unwrap_or_default();
    let used = match scope {
        Scope::Run => *run,
        Scope::Task | Scope::Feature | Scope::Day => {
            draft.task(key).map(|task| task.used).unwrap_or_default()
        }
    };
    let what = limits.limit(scope).with(&used);
    let what = if what.is_empty() { String::new() } else { format!(" ({what})") };
    format!(
        "the budget of the {scope} is used up{what}; its work is saved: {}{GO_ON}; then: sprint task retry {}",
        raise(scope),
        draft.name_of(key)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(micro_usd: u64, tokens: u64) -> Used {
        Used { micro_usd, tokens }
    }

    #[test]
    fn a_limit_is_reached_by_either_and_says_by_which() {
        let limit = Limit { micro_usd: Some(5_000_000), tokens: Some(2000) };
        assert!(!limit.is_reached_by(&used(4_999_999, 1999)));
        assert!(limit.is_reached_by(&used(5_000_000, 0)) && limit.is_reached_by(&used(0, 2000)));
        assert!(!Limit::default().is_reached_by(&used(u64::MAX, u64::MAX)));
        assert_eq!(limit.with(&used(5_020_000, 7)), "$5.02 of $5.00");
        assert_eq!(limit.with(&used(1_234_500, 2100)), "2100 of 2000 tokens");
        assert_eq!(limit.with(&used(1_234_500, 7)), "$1.2345 of $5.00 and 7 of 2000 tokens");
        assert_eq!(limit.less(&used(6_000_000, 500)), Limit { micro_usd: Some(0), tokens: Some(1500) });
    }

    #[test]
    fn the_narrowest_budget_is_named_and_the_lowest_money_is_given() {
        let money = |usd: u64| Limit { micro_usd: Some(usd), tokens: None };
        let budget = Budget { task: money(3), feature: money(2), ..Budget::default() };
        assert_eq!(budget.reached_by(&used(1, 9)), None);
        assert_eq!(budget.reached_by(&used(2, 9)), Some(Scope::Feature));
        assert_eq!(budget.reached_by(&used(3, 9)), Some(Scope::Task));
        assert_eq!((budget.money(), Budget::default().money()), (Some(2), None));
        assert!(budget.is_shared() && !Budget { run: money(1), ..Budget::default() }.is_shared());
    }

    #[test]
    fn a_day_is_the_local_date() {
        let at = |wall_ms, utc_offset_s| Now { wall_ms, mono_ms: 1000, utc_offset_s };
        let new_year = 1_767_225_600_000; // 2026-01-01T00:00:00Z
        assert_eq!(day_of(at(new_year, 0)), day_of(at(new_year - 1, 0)) + 1);
        assert_eq!(day_of(at(new_year - 3_600_000, 3600)), day_of(at(new_year, 0)));
        assert_eq!(day_of(at(new_year, -3600)) + 1, day_of(at(new_year, 0)));
        assert_eq!(next_look(at(new_year - 60_000, 0)), 61_000, "midnight");
        assert_eq!(next_look(at(new_year, 0)), 1000 + DAY_LOOK_MS, "or a look before");
    }
}
