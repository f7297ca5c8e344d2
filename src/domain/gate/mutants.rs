//! Mutants: small changes of the code that a test should notice.

use serde::{Deserialize, Serialize};

use super::{Finding, Metric, Severity};

/// How many mutants ended how. The ones that survived are findings besides, with their diffs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mutants {
    /// A test failed.
    pub killed: u32,
    /// The tests ran too long, which is as good.
    pub timeout: u32,
    /// Every test passed.
    pub survived: u32,
    /// No test runs that place.
    pub untested: u32,
    /// Not tried, and nobody's fault: the code does not build, or its author has left it out.
    pub skipped: u32,
}

impl Mutants {
    /// How many were tried.
    pub fn tried(&self) -> u32 {
        // A report may say anything; a sum that began again at zero would be a score of 100.
        [self.timeout, self.survived, self.untested].into_iter().fold(self.killed, u32::saturating_add)
    }

    /// Per cent that the tests noticed, of those that were tried.
    pub fn score(&self) -> f64 {
        if self.tried() == 0 {
            return 100.0;
        }
        f64::from(self.killed.saturating_add(self.timeout)) * 100.0 / f64::from(self.tried())
    }
}

/// The finding that there is if fewer than `least` per cent were noticed, and the score.
pub fn judge_mutants(mutants: &Mutants, least: f64) -> (Option<Finding>, Metric) {
    let score = mutants.score();
    let said = format!(
        "tests notice {score:.1} % of {} mutants ({} survived, {} that no test runs); at least {least} % is asked for",
        mutants.tried(),
        mutants.survived,
        mutants.untested
    );
    let finding = (score < least).then(|| Finding::code("mutation-score", "", 0, Severity::High, &said));
    let metric = Metric {
        name: "mutation".into(),
        value: (score * 100.0).round() / 100.0,
        threshold: Some(least),
        path: String::new(),
        symbol: String::new(),
        line: 0,
    };
    (finding, metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_noticed_and_what_no_test_runs_is_not() {
        let mutants = Mutants { killed: 7, timeout: 1, survived: 1, untested: 1, skipped: 5 };
        let (finding, metric) = judge_mutants(&mutants, 80.0);
        assert_eq!((finding, metric.value.to_string().as_str()), (None, "80"));
        let (finding, _) = judge_mutants(&mutants, 80.1);
        assert_eq!(
            finding.unwrap().message,
            "tests notice 80.0 % of 10 mutants (1 survived, 1 that no test runs); at least 80.1 % is asked for"
        );
        assert_eq!(Mutants::default().score().to_string(), "100");
        let absurd = Mutants { killed: 1, survived: u32::MAX, untested: u32::MAX, ..Mutants::default() };
        assert!(absurd.tried() == u32::MAX && absurd.score() < 0.1);
    }
}
