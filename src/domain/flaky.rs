//! Tests that fail and then pass when they run again alone, counted over a feature: one such time is told
//! and forgiven, the third makes the test a finding.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::draft::Draft;
use super::ids::GateName;
use super::report::{Feedback, GateRecord, Report};
use super::task::TaskKey;

/// So often in one feature, and a test is a finding.
pub const FINDING_AT: u32 = 3;
/// Tests that are counted; a suite with more such tests has another trouble.
const TESTS_MAX: usize = 500;

/// One such test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaky {
    /// The gate that ran it the last time.
    pub gate: GateName,
    /// How often.
    pub times: u32,
    /// Whether a developer was told of the finding.
    #[serde(default)]
    pub told: bool,
}

impl Flaky {
    /// Whether it is a finding by now.
    pub fn is_finding(&self) -> bool {
        self.times >= FINDING_AT
    }

    /// What is wrong, for people and for the developer.
    pub fn text(&self) -> String {
        let times = if self.times == 1 { "once".to_owned() } else { format!("{} times", self.times) };
        format!("failed and then passed alone, {times} in this feature")
    }
}

/// The tests of one feature, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flakies(BTreeMap<String, Flaky>);

impl Flakies {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, with their ids.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Flaky)> {
        self.0.iter().map(|(test, flaky)| (test.as_str(), flaky))
    }

    /// Those that are findings.
    pub fn findings(&self) -> impl Iterator<Item = (&str, &Flaky)> {
        self.all().filter(|(_, flaky)| flaky.is_finding())
    }

    /// Counts one more time; how often it was by now, or `None` if no more tests are counted.
    fn count(&mut self, test: &str, gate: &GateName) -> Option<u32> {
        if self.0.len() >= TESTS_MAX && !self.0.contains_key(test) {
            return None;
        }
        let new = || Flaky { gate: gate.clone(), times: 0, told: false };
        let flaky = self.0.entry(test.to_owned()).or_insert_with(new);
        flaky.times = flaky.times.saturating_add(1);
        flaky.gate.clone_from(gate);
        Some(flaky.times)
    }

    /// The findings that no developer was told of, as the gates' own; from now on one was.
    fn tell(&mut self) -> Vec<serde_json::Value> {
        let untold = self.0.iter_mut().filter(|(_, flaky)| flaky.is_finding() && !flaky.told);
        let told = untold.map(|(test, flaky)| {
            flaky.told = true;
            let (path, _) = test.split_once("::").unwrap_or_default();
            let message = format!(
                "`{test}` {}; see that it does not depend on order, time or what other tests leave",
                flaky.text()
            );
            serde_json::json!({
                "gate": flaky.gate.as_str(), "rule": "test-flaky", "path": path, "line": 0,
                "severity": "medium", "message": message, "status": "new",
            })
        });
        told.collect()
    }
}

/// Counts what a report tells of such tests.
pub(super) fn count(draft: &mut Draft<'_>, key: &TaskKey, report: &Report) {
    let (Report::Checked { gates, .. } | Report::Landable { gates, .. }) = report else { return };
    for GateRecord { gate, flaky, .. } in gates {
        for test in flaky {
            let feature = draft.edit_feature(&key.feature);
            let Some(times) = feature.and_then(|feature| feature.flaky.count(test, gate)) else { continue };
            let what = match times {
                FINDING_AT => {
                    format!(", {FINDING_AT} times now: it is a finding, and the next developer is told")
                }
                _ => String::new(),
            };
            draft.say_task(
                "test_flaky",
                key,
                format!("`{test}` of {gate} failed and then passed alone{what}"),
            );
        }
    }
}

/// Puts the findings that nobody was told of into what a developer is told.
pub(super) fn tell(draft: &mut Draft<'_>, key: &TaskKey, feedback: &mut Feedback) {
    let untold = draft
        .feature(&key.feature)
        .is_some_and(|feature| feature.flaky.findings().any(|(_, flaky)| !flaky.told));
    if untold && let Some(feature) = draft.edit_feature(&key.feature) {
        feedback.findings.extend(feature.flaky.tell());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Any order of failures and of developers who are told.
        #[test]
        fn the_third_time_is_a_finding_and_each_is_told_once(
            steps in proptest::collection::vec(proptest::option::weighted(0.8, 0_usize..6), 0..60),
        ) {
            let gate = GateName::parse("pytest").unwrap();
            let (mut flakies, mut times, mut told) = (Flakies::default(), [0_u32; 6], [0_u32; 6]);
            for step in steps {
                match step {
                    Some(test) => {
                        times[test] += 1;
                        let now = flakies.count(&format!("tests/test_a.py::test_{test}"), &gate);
                        prop_assert_eq!(now, Some(times[test]));
                    }
                    None => for finding in flakies.tell() {
                        let place = (0..6).find(|n| finding["message"].as_str().unwrap().contains(&format!("test_{n}`")));
                        told[place.unwrap()] += 1;
                        prop_assert_eq!(&finding["path"], "tests/test_a.py");
                    },
                }
                let findings = flakies.findings().count();
                prop_assert_eq!(findings, times.iter().filter(|times| **times >= FINDING_AT).count());
                prop_assert!(told.iter().zip(times).all(|(told, times)| *told <= u32::from(times >= FINDING_AT)));
            }
        }
    }

    #[test]
    fn the_number_of_tests_is_bounded_and_known_ones_still_count() {
        let (mut flakies, gate) = (Flakies::default(), GateName::parse("pytest").unwrap());
        for n in 0..TESTS_MAX {
            assert_eq!(flakies.count(&format!("t::{n}"), &gate), Some(1));
        }
        assert_eq!(flakies.count("t::more", &gate), None);
        assert_eq!(flakies.count("t::0", &gate), Some(2));
    }
}
