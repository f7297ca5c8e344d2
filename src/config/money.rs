//! `[budget]` and `[prices]`: what models may use, and what their tokens cost where their programs
//! do not tell. There are no built-in prices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::budget;

/// A limit; what is not there is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Limit {
    /// US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
    /// Tokens, in and out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

/// `[budget]`
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Of one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Limit>,
    /// Of a task, all its runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Limit>,
    /// Of a feature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<Limit>,
    /// Of a day, from midnight to midnight here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<Limit>,
}

/// `[prices]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Prices {
    /// Of which date they are.
    #[serde(default)]
    pub as_of: String,
    /// `[prices."MODEL"]`
    #[serde(flatten)]
    pub models: BTreeMap<String, Price>,
}

/// What a model's tokens cost: US dollars per million.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Tokens in.
    pub input: f64,
    /// Tokens out.
    pub output: f64,
    /// Tokens in that come from a cache; none: as the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<f64>,
}

impl Budget {
    /// Whether there is no limit at all.
    pub fn is_none(&self) -> bool {
        self.rules().is_none()
    }

    /// Whether any limit is one of money.
    pub fn limits_money(&self) -> bool {
        self.rules().money().is_some()
    }

    /// As the rules of a feature have it.
    pub fn rules(&self) -> budget::Budget {
        budget::Budget {
            run: limit(self.run),
            task: limit(self.task),
            feature: limit(self.feature),
            day: limit(self.day),
        }
    }
}

fn limit(limit: Option<Limit>) -> budget::Limit {
    let limit = limit.unwrap_or_default();
    budget::Limit { micro_usd: limit.usd.map(|usd| whole(usd * 1e6)), tokens: limit.tokens }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, and not negative")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

impl Prices {
    /// Whether nothing has a price.
    pub fn is_none(&self) -> bool {
        self.models.is_empty()
    }

    /// What so many tokens cost, in millionths of a US dollar; none where the model has no price.
    /// `cached` is a part of `input`.
    #[expect(clippy::cast_precision_loss, reason = "nobody pays for so many tokens")]
    pub fn cost_micro_usd(&self, model: &str, input: u64, cached: Option<u64>, output: u64) -> Option<u64> {
        let price = self.models.get(model)?;
        let cached = cached.unwrap_or(0).min(input);
        let fresh = (input - cached) as f64 * price.input;
        let kept = cached as f64 * price.cached.unwrap_or(price.input);
        // A dollar per million tokens is a millionth of a dollar per token.
        Some(whole(fresh + kept + output as f64 * price.output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_in_millionths_of_a_dollar() {
        let budget = Budget { run: Some(Limit { usd: Some(0.015), tokens: None }), ..Budget::default() };
        assert_eq!(budget.rules().run, budget::Limit { micro_usd: Some(15_000), tokens: None });
        assert!(budget.limits_money() && !budget.is_none() && Budget::default().is_none());
        let tokens = Budget { day: Some(Limit { usd: None, tokens: Some(9) }), ..Budget::default() };
        assert!(!tokens.limits_money() && !tokens.is_none());
    }

    #[test]
    fn tokens_from_a_cache_have_their_own_price_and_are_counted_once() {
        let price = Price { input: 1.25, output: 10.0, cached: Some(0.125) };
        let plain = Price { cached: None, ..price };
        let models = [("m".to_owned(), price), ("plain".to_owned(), plain)].into();
        let prices = Prices { as_of: "2026-11-01".to_owned(), models };
        assert_eq!(prices.cost_micro_usd("m", 1_000_000, None, 1000), Some(1_260_000));
        assert_eq!(prices.cost_micro_usd("m", 1000, Some(800), 0), Some(350));
        assert_eq!(prices.cost_micro_usd("plain", 1000, Some(800), 0), Some(1250));
        assert_eq!(prices.cost_micro_usd("m", 10, Some(800), 0), Some(1), "no more than came in");
        assert_eq!(prices.cost_micro_usd("other", 1000, None, 1000), None, "nothing is invented");
    }
}
