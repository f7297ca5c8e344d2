//! What a next attempt is told about the one before: the JSON of `SPRINT_FEEDBACK`.

use serde::{Deserialize, Serialize};

use crate::domain::gate::{Finding, Severity, Status};

/// The bound of the JSON: with its name it has to fit into one variable of the environment, which
/// may have 128 KiB.
pub const JSON_BYTES_MAX: usize = 96 * 1024;
/// Findings that are given; the rest is counted in `findings_left_out`.
pub const FINDINGS_MAX: usize = 200;
/// Bytes of one text in it.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// The object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// The stage that sent the task back.
    pub stage: String,
    /// `gate`, `conflict`, `agent`, `timeout`, `answer`, … or a sentence: for people.
    pub reason: String,
    /// What was found; conflicting files too, with the rule `conflict`.
    pub findings: Vec<FeedbackFinding>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub findings_left_out: usize,
    /// The question that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The person's answer to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference to the field")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// One finding, with the keys of `gates run --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackFinding {
    /// Who found it; empty for a conflict.
    #[serde(default)]
    pub gate: String,
    /// The tool's name for it.
    #[serde(default)]
    pub rule: String,
    /// Relative to the repository; may be empty.
    #[serde(default)]
    pub path: String,
    /// From 1; 0 for none.
    #[serde(default)]
    pub line: u32,
    /// How bad.
    #[serde(default = "high")]
    pub severity: Severity,
    /// What is wrong.
    #[serde(default)]
    pub message: String,
    /// In comparison with the base.
    #[serde(default = "new")]
    pub status: Status,
    /// The line of the source, in short.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// What a person, or the next attempt, types to see it again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
}

fn high() -> Severity {
    Severity::High
}

fn new() -> Status {
    Status::New
}

impl FeedbackFinding {
    /// A gate's finding; `command` does by hand what the gate did.
    pub fn of_gate(gate: &str, command: &str, finding: &Finding) -> Self {
        Self {
            gate: gate.to_owned(),
            rule: finding.rule.clone(),
            path: finding.path.clone(),
            line: finding.line,
            severity: finding.severity,
            message: finding.message.clone(),
            status: finding.status,
            source: finding.source.clone(),
            command: command.to_owned(),
        }
    }

    /// A file that both sides changed.
    pub fn conflict(path: &str) -> Self {
        Self {
            gate: String::new(),
            rule: "conflict".to_owned(),
            path: path.to_owned(),
            line: 0,
            severity: Severity::High,
            message: "changed here and on the integration branch in ways that do not merge".to_owned(),
            status: Status::New,
            source: String::new(),
            command: String::new(),
        }
    }
}

impl Feedback {
    /// For a run that goes on with an answer.
    pub fn answer(stage: &str, question: &str, answer: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            reason: "answer".to_owned(),
            question: Some(question.to_owned()),
            answer: Some(answer.to_owned()),
            ..Self::default()
        }
    }

    /// The JSON, within [`JSON_BYTES_MAX`]: texts are cut, and findings left out from the end.
    pub fn to_json(&self) -> String {
        let mut kept = self.clone();
        kept.cut_texts();
        kept.leave_out_beyond(FINDINGS_MAX);
        loop {
            let json = serde_json::to_string(&kept).expect("plain data is JSON");
            if json.len() <= JSON_BYTES_MAX || kept.findings.is_empty() {
                return json;
            }
            kept.leave_out_beyond(kept.findings.len() / 2);
        }
    }

    fn cut_texts(&mut self) {
        let texts =
            [Some(&mut self.stage), Some(&mut self.reason), self.question.as_mut(), self.answer.as_mut()];
        let of_findings = self.findings.iter_mut().flat_map(|finding| {
            let own = [&mut finding.gate, &mut finding.rule, &mut finding.path, &mut finding.message];
            own.into_iter().chain([&mut finding.source, &mut finding.command])
        });
        for text in texts.into_iter().flatten().chain(of_findings) {
            cut(text);
        }
    }

    fn leave_out_beyond(&mut self, max: usize) {
        self.findings_left_out += self.findings.len().saturating_sub(max);
        self.findings.truncate(max);
    }
}

fn cut(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        let mut end = TEXT_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shape_of_the_json() {
        let finding = Finding::code("F401", "a.py", 3, Severity::High, "`os` imported but unused");
        let feedback = Feedback {
            stage: "InReview".to_owned(),
            reason: "gate".to_owned(),
            findings: vec![
                FeedbackFinding::of_gate("ruff", "ruff check .", &finding),
                FeedbackFinding::conflict("b.py"),
            ],
            ..Feedback::default()
        };
        insta::assert_snapshot!(feedback.to_json(), @r#"{"stage":"InReview","reason":"gate","findings":[{"gate":"ruff","rule":"F401","path":"a.py","line":3,"severity":"high","message":"`os` imported but unused","status":"new","command":"ruff check ."},{"gate":"","rule":"conflict","path":"b.py","line":0,"severity":"high","message":"changed here and on the integration branch in ways that do not merge","status":"new"}]}"#);
        insta::assert_snapshot!(Feedback::answer("InProgress", "which?", "this").to_json(), @r#"{"stage":"InProgress","reason":"answer","findings":[],"question":"which?","answer":"this"}"#);
    }

    #[test]
    fn a_finding_of_a_stranger_needs_only_what_it_has() {
        let finding: FeedbackFinding =
            serde_json::from_str(r#"{"path":"a.py","message":"x","more":1}"#).unwrap();
        assert_eq!(
            (finding.path.as_str(), finding.severity, finding.status),
            ("a.py", Severity::High, Status::New)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_always_fits_into_a_variable(count in 0_usize..400, message in "\\PC{0,300}", times in 1_usize..80) {
            let finding = FeedbackFinding { message: message.repeat(times), ..FeedbackFinding::conflict("a") };
            let text = message.repeat(times);
            let mut feedback = Feedback::answer("S", &text, &text);
            feedback.findings = vec![finding; count];
            let json = feedback.to_json();
            // Six bytes for one is what JSON makes of a control character.
            prop_assert!(json.len() <= 128 * 1024 - 64, "{}", json.len());
            let back: Feedback = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(back.findings.len() + back.findings_left_out, count);
        }
    }
}
