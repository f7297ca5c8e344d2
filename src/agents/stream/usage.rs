//! What a run of a model's program used: tokens, and money where the program tells it.

use serde::{Deserialize, Serialize};

/// Tokens and money.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens that went in.
    pub input: u64,
    /// Tokens that came out.
    pub output: u64,
    /// Tokens that came from a cache; none where the program does not tell.
    pub cached: Option<u64>,
    /// US dollars; none where the program does not tell.
    pub cost: Option<f64>,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cached: both(self.cached, other.cached, u64::saturating_add),
            cost: both(self.cost, other.cost, |a, b| a + b),
        }
    }

    /// What has been used since `earlier`, where both are of the same conversation.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            input: self.input.saturating_sub(earlier.input),
            output: self.output.saturating_sub(earlier.output),
            cached: self.cached.map(|now| now.saturating_sub(earlier.cached.unwrap_or(0))),
            cost: self.cost.map(|now| (now - earlier.cost.unwrap_or(0.0)).max(0.0)),
        }
    }

    pub(super) fn at_least(&self, other: &Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cached: both(self.cached, other.cached, u64::max),
            cost: both(self.cost, other.cost, f64::max),
        }
    }
}

pub(super) fn both<T: Copy>(a: Option<T>, b: Option<T>, join: impl Fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(join(a, b)),
        (one, other) => one.or(other),
    }
}

/// `700`, `2.1k`, `1,234`.
pub(super) fn amount(text: &str) -> Option<f64> {
    let text = text.replace(',', "");
    let (digits, times) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits.to_owned(), 1e3),
        None => (
            text.strip_suffix(['m', 'M']).unwrap_or(&text).to_owned(),
            if text.ends_with(['m', 'M']) { 1e6 } else { 1.0 },
        ),
    };
    digits
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite() && *number >= 0.0)
        .map(|number| number * times)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, and not negative")]
pub(super) fn whole(number: f64) -> u64 {
    number.round() as u64
}
