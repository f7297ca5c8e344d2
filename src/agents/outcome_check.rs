//! How a run of an agent in a check stage ended: a review, or something that it adds. Pure.

use super::{Claimed, ProgramEnding, Said, Unserved, claimed, question};
use crate::agents::claim::{AgentVerdict, Claim, ClaimedFinding};
use crate::domain::budget::Scope;

/// What the agent of a check stage is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// It judges, and changes nothing.
    Judge,
    /// It may add to the work.
    Add {
        /// Whether it has to, or say that there is nothing to add by exit code 2.
        must: bool,
        /// Whether it has, within what it may write.
        has: bool,
    },
}

/// What an agent said of the work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Review {
    /// In a sentence; may be empty.
    pub message: String,
    /// What it looked at.
    pub evidence: Vec<String>,
    /// Where, and what to do.
    pub findings: Vec<ClaimedFinding>,
}

/// How a run of an agent in a check stage ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It may go on; what the review found is recorded.
    Pass(Review),
    /// It may go on, with what was added.
    Added(Review),
    /// Back to the developer.
    Fail(Review),
    /// The agent's answer is no judgement. It is told why, once.
    Unfit {
        /// Why, in words for the agent and for people.
        reason: String,
    },
    /// The model's service does not serve.
    Unserved(Unserved),
    /// A budget is used up.
    Overspent(Scope),
    /// There is no judgement: never a pass, and not the developer's fault.
    Error {
        /// Why.
        reason: String,
    },
    /// Nothing to judge.
    Skipped,
    /// It waits for an answer.
    Blocked {
        /// The question.
        question: String,
    },
    /// The worker was ended.
    Interrupted,
}

/// Judges an agent's run in a check stage. Exit 0 alone is no verdict: an agent that crashed
/// politely would let everything through. Exit 1 alone is a failure.
pub fn decide_check(ending: &ProgramEnding, said: &Said, claims: &[Claim], duty: Duty) -> CheckOutcome {
    if let Some(question) = question(said, claims) {
        return CheckOutcome::Blocked { question };
    }
    let verdict = verdict(claims).or_else(|| verdict(said.review.as_slice()));
    match (claimed(ending, said, claims), verdict) {
        (Claimed::Interrupted, _) => CheckOutcome::Interrupted,
        (Claimed::Unserved(unserved), _) => CheckOutcome::Unserved(unserved),
        (Claimed::Overspent(scope), _) => CheckOutcome::Overspent(scope),
        (Claimed::Unreached(reason), _) => CheckOutcome::Error { reason },
        (_, Some((AgentVerdict::Fail, review))) => sent_back(review, duty),
        // It was ended because of that very verdict.
        (Claimed::Failure(_), Some((AgentVerdict::Pass, review)))
            if *ending == ProgramEnding::EndedAfterClaim
                && !claims.iter().any(|claim| matches!(claim, Claim::Fail { .. })) =>
        {
            passed(review, duty)
        }
        (Claimed::Success(_), Some((AgentVerdict::Pass, review))) => passed(review, duty),
        (Claimed::Success(message), None) => done(message, said, claims, duty),
        (Claimed::Skip, _) => CheckOutcome::Skipped,
        (Claimed::Failure(message), None) if *ending == ProgramEnding::Exited(1) => {
            CheckOutcome::Fail(Review { message, ..Review::default() })
        }
        (Claimed::Failure(reason), _) => CheckOutcome::Error { reason },
    }
}

/// The last verdict, with what belongs to it.
fn verdict(claims: &[Claim]) -> Option<(AgentVerdict, Review)> {
    claims.iter().rev().find_map(|claim| match claim {
        Claim::Verdict { verdict, message, evidence, findings } => Some((
            *verdict,
            Review { message: message.clone(), evidence: evidence.clone(), findings: findings.clone() },
        )),
        Claim::Done { .. }
        | Claim::Fail { .. }
        | Claim::Blocked { .. }
        | Claim::Propose { .. }
        | Claim::Comment { .. } => None,
    })
}

/// Nobody can tell a review that looked at nothing from one that did not look.
fn without_evidence(review: &Review, duty: Duty) -> Option<CheckOutcome> {
    let names = !review.evidence.is_empty() || review.findings.iter().any(|found| !found.path.is_empty());
    let reason =
        "the verdict names no evidence: say which files, acceptance scenarios and commands you looked at";
    (duty == Duty::Judge && !names).then(|| CheckOutcome::Unfit { reason: reason.to_owned() })
}

fn sent_back(review: Review, duty: Duty) -> CheckOutcome {
    if let Some(unfit) = without_evidence(&review, duty) {
        return unfit;
    }
    if !review.findings.is_empty() && !review.findings.iter().any(ClaimedFinding::sends_back) {
        let reason = "the verdict is fail, and no finding is high or critical: only those send a task back";
        return CheckOutcome::Unfit { reason: reason.to_owned() };
    }
    CheckOutcome::Fail(review)
}

/// What is severe sends back, whatever the verdict's word.
fn passed(review: Review, duty: Duty) -> CheckOutcome {
    if let Some(unfit) = without_evidence(&review, duty) {
        return unfit;
    }
    if review.findings.iter().any(ClaimedFinding::sends_back) {
        return CheckOutcome::Fail(review);
    }
    match duty {
        Duty::Add { has: true, .. } => CheckOutcome::Added(review),
        Duty::Add { must: true, has: false } => nothing_added(),
        Duty::Judge | Duty::Add { must: false, has: false } => CheckOutcome::Pass(review),
    }
}

/// A claim of success without a verdict: enough for who adds, if it has added or says that it is done.
fn done(message: String, said: &Said, claims: &[Claim], duty: Duty) -> CheckOutcome {
    let told = said.complete || claims.iter().any(|claim| matches!(claim, Claim::Done { .. }));
    let review = Review { message, ..Review::default() };
    match duty {
        Duty::Add { has: true, .. } => CheckOutcome::Added(review),
        Duty::Add { must: false, has: false } if told => CheckOutcome::Pass(review),
        Duty::Add { must: true, has: false } => nothing_added(),
        Duty::Judge | Duty::Add { .. } => {
            CheckOutcome::Unfit { reason: "it claimed success, but gave no verdict".to_owned() }
        }
    }
}

fn nothing_added() -> CheckOutcome {
    let reason =
        "the stage needs a commit, and nothing was added; end with exit code 2 if there is nothing to add";
    CheckOutcome::Unfit { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gate::Severity;

    fn verdict(verdict: AgentVerdict, evidence: &[&str], severities: &[Severity]) -> Claim {
        let finding = |severity: &Severity| ClaimedFinding {
            path: String::new(),
            line: 0,
            severity: *severity,
            message: "x".to_owned(),
        };
        Claim::Verdict {
            verdict,
            message: "why".to_owned(),
            evidence: evidence.iter().map(|&text| text.to_owned()).collect(),
            findings: severities.iter().map(finding).collect(),
        }
    }

    fn word(claims: &[Claim], duty: Duty) -> &'static str {
        match decide_check(&ProgramEnding::Exited(0), &Said::default(), claims, duty) {
            CheckOutcome::Pass(_) => "pass",
            CheckOutcome::Added(_) => "added",
            CheckOutcome::Fail(_) => "fail",
            CheckOutcome::Unfit { .. } => "unfit",
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_review_names_its_evidence_and_severity_decides() {
        use AgentVerdict::{Fail, Pass};
        let judged = |claim| word(&[claim], Duty::Judge);
        assert_eq!(judged(verdict(Pass, &["a.py"], &[])), "pass");
        assert_eq!(judged(verdict(Pass, &[], &[])), "unfit");
        assert_eq!(judged(verdict(Fail, &[], &[])), "unfit");
        assert_eq!(judged(verdict(Fail, &["a.py"], &[])), "fail");
        assert_eq!(judged(verdict(Pass, &["a.py"], &[Severity::Medium, Severity::Info])), "pass");
        assert_eq!(judged(verdict(Pass, &["a.py"], &[Severity::Low, Severity::High])), "fail");
        assert_eq!(judged(verdict(Fail, &["a.py"], &[Severity::Critical])), "fail");
        assert_eq!(judged(verdict(Fail, &["a.py"], &[Severity::Medium])), "unfit");
    }

    #[test]
    fn who_adds_needs_no_verdict_but_a_word() {
        let done = Claim::Done { message: "wrote tests".to_owned() };
        let duty = |must, has| Duty::Add { must, has };
        assert_eq!(word(std::slice::from_ref(&done), duty(false, true)), "added");
        assert_eq!(word(&[], duty(true, true)), "added");
        assert_eq!(word(std::slice::from_ref(&done), duty(false, false)), "pass");
        assert_eq!(word(&[], duty(false, false)), "unfit", "exit 0 alone says nothing");
        assert_eq!(word(std::slice::from_ref(&done), duty(true, false)), "unfit");
        assert_eq!(word(&[done], Duty::Judge), "unfit");
        assert_eq!(word(&[verdict(AgentVerdict::Fail, &[], &[])], duty(false, true)), "fail");
        assert_eq!(word(&[verdict(AgentVerdict::Pass, &[], &[])], duty(false, true)), "added");
    }

    #[test]
    fn a_verdict_in_the_programs_own_words_counts_where_no_other_was_given() {
        let said = Said { review: Some(verdict(AgentVerdict::Pass, &["a.py"], &[])), ..Said::default() };
        let decide = |claims: &[Claim]| decide_check(&ProgramEnding::Exited(0), &said, claims, Duty::Judge);
        assert!(matches!(decide(&[]), CheckOutcome::Pass(_)));
        assert!(matches!(decide(&[verdict(AgentVerdict::Fail, &["a.py"], &[])]), CheckOutcome::Fail(_)));
    }

    #[test]
    fn a_turn_that_is_over_says_nothing_and_a_budget_is_no_judgement() {
        let decide =
            |ending| decide_check(&ending, &Said::default(), &[], Duty::Add { must: false, has: false });
        assert!(matches!(decide(ProgramEnding::TurnEnded), CheckOutcome::Unfit { .. }));
        let over = CheckOutcome::Overspent(Scope::Run);
        assert_eq!(decide(ProgramEnding::OverBudget(Scope::Run)), over);
    }
}
