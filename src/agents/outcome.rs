//! How a run of an agent ended: claims and exit codes on one side, git on the other. Pure.
//!
//! Agents claim, git proves: only a success claim *and* a change make a work stage done.

use std::time::Duration;

use super::claim::Claim;
use super::stream::{Failure, Until};
use crate::domain::budget::Scope;
use crate::domain::ids::CommitSha;
use crate::domain::triage::Proposal;

/// How the program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramEnding {
    /// By itself.
    Exited(i32),
    /// A signal that was not ours.
    Signaled(i32),
    /// It could not be started.
    NotStarted(String),
    /// There is no program to start: it was there when the sprint began.
    NoProgram(String),
    /// It took longer than it may.
    TimedOut(Duration),
    /// It gave no sign of life.
    Hung(Duration),
    /// We ended it, because it used more than it may; which limit, for people.
    OverLimit(String),
    /// We ended it, because it had said how it stands (a claim, `BLOCKED`, `TASK_COMPLETE`) and
    /// did not exit.
    EndedAfterClaim,
    /// We ended it, because a budget is used up; or it did so itself.
    OverBudget(Scope),
    /// Its turn was over, and we ended it: with its own screen, or because there is no more budget.
    TurnEnded,
    /// With its own screen: its prompt did not reach it.
    Unreached(String),
    /// We ended it, because the worker was asked to end.
    Interrupted,
}

/// What it said on standard output: see [`super::protocol::Protocol`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The question of `BLOCKED:`.
    pub question: Option<String>,
    /// `TASK_COMPLETE`.
    pub complete: bool,
    /// A verdict with what belongs to it; one through `sprint agent verdict` goes before it.
    pub review: Option<Claim>,
    /// What the manager's agent proposes; one through `sprint agent propose` goes before it.
    pub proposal: Option<Proposal>,
    /// What a model's program told of a failure, whatever its exit code.
    pub failure: Option<Failure>,
    /// What it told of a failure that counts only where nothing was changed.
    pub weak: Option<Failure>,
    /// That its version is none that its adapter was tried with; may be empty. Only of a run that has
    /// failed in a way that this may explain.
    pub version: String,
    /// The last line that it printed on either stream; may be empty. Never a claim: it is shown
    /// with the reason of a failure for which the program gave no other.
    pub last_words: String,
    /// Whether it ended without a word because it does not know the conversation that it was to go
    /// on with.
    pub forgotten: bool,
}

/// What git knows after the program and everything that it started is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitFacts {
    /// The worktree's head; None if it has none any more (the worktree is gone, or is broken).
    pub head: Option<CommitSha>,
    /// Whether the head is a commit of this attempt: it differs from the commit that the run
    /// began with, and has it as an ancestor.
    pub new_commit: bool,
    /// The commit that the run began with, if the head is another one that does not contain it.
    pub astray_of: Option<CommitSha>,
    /// Whether there are uncommitted changes that would be committed.
    pub diff: bool,
    /// Why files that it left cannot be part of the work, if so.
    pub left_out: Option<String>,
    /// Whether the worktree is still where it was.
    pub worktree: Standing,
}

/// What became of a worktree while the program ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    There,
    /// It was deleted, by the program or by somebody else.
    Gone,
    /// It was deleted with all others: somebody cleaned up in the wrong place.
    Swept,
}

/// How a run of a work stage ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunOutcome {
    /// Done, and proven. A diff is still to be committed by us.
    Done {
        /// What the agent says it did; may be empty.
        message: String,
        /// Whether there is a diff to commit.
        commit_diff: bool,
    },
    /// This attempt has failed.
    Failed {
        /// Why, for the next attempt and for the person.
        reason: String,
    },
    /// The agent says that there is nothing to do.
    Skipped,
    /// It waits for an answer. No attempt is spent.
    Blocked {
        /// The question.
        question: String,
    },
    /// The worker was ended. No attempt is spent.
    Interrupted,
    /// Somebody took its worktree away: the operator's concern, no attempt is spent.
    Unjudged {
        /// What is lost.
        reason: String,
    },
    /// The model's service does not serve: no attempt is spent.
    Unserved(Unserved),
    /// A budget is used up: no attempt is spent.
    Overspent(Scope),
}

/// The model's service does not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// What happened, and what to do.
    pub reason: String,
    /// Whether waiting alone does not help.
    pub lasting: bool,
    /// When it serves again, if it tells.
    pub until: Option<Until>,
}

/// What must be there for [`RunOutcome::Done`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// A new commit, or a diff.
    Change,
    /// The claim alone.
    Nothing,
}

/// Judges a run of a work stage.
///
/// A question goes before everything else, the exit code included. Then everything that speaks
/// against success goes before what speaks for it: `agent done` and exit 1 is a failure, and so is
/// `agent fail` and exit 0. Of `done` and `fail` the last one counts.
pub fn decide(
    ending: &ProgramEnding,
    said: &Said,
    claims: &[Claim],
    git: &GitFacts,
    needed: Needed,
) -> RunOutcome {
    if let Some(question) = question(said, claims) {
        return RunOutcome::Blocked { question };
    }
    let unjudged = |what: &str| RunOutcome::Unjudged {
        reason: format!(
            "{what} was deleted while the agent ran: commits are in git, what was not committed is lost, and the worktree is made anew"
        ),
    };
    match (claimed(ending, said, claims), git.worktree) {
        (Claimed::Interrupted, _) => RunOutcome::Interrupted,
        (Claimed::Unserved(unserved), _) => RunOutcome::Unserved(unserved),
        (Claimed::Overspent(scope), _) => RunOutcome::Overspent(scope),
        (Claimed::Unreached(reason), _) => RunOutcome::Unjudged { reason },
        (_, Standing::Swept) => unjudged("the directory of all worktrees"),
        // Nobody can work without a worktree. A claim of success all the same is the agent's own.
        (Claimed::Failure(_) | Claimed::Skip, Standing::Gone) => unjudged("its worktree"),
        (Claimed::Failure(reason), Standing::There) => RunOutcome::Failed { reason },
        (Claimed::Skip, Standing::There) => RunOutcome::Skipped,
        (Claimed::Success(message), Standing::There | Standing::Gone) => {
            prove(message, (has_claimed(said, claims), said.weak.as_ref()), git, needed)
        }
    }
}

/// Whether it has said itself that it is done.
fn has_claimed(said: &Said, claims: &[Claim]) -> bool {
    said.complete || claims.iter().any(|claim| matches!(claim, Claim::Done { .. }))
}

fn prove(
    message: String,
    (claimed, weak): (bool, Option<&Failure>),
    git: &GitFacts,
    needed: Needed,
) -> RunOutcome {
    let lead = if claimed { "claimed success" } else { "ended as if it were done" };
    let failed = |reason: &str| RunOutcome::Failed { reason: reason.to_owned() };
    if git.head.is_none() {
        return failed(&format!("{lead}, but its worktree is gone"));
    }
    // Landing without them would drop them without a word.
    if let Some(why) = &git.left_out {
        return failed(why);
    }
    if needed == Needed::Change && !git.new_commit && !git.diff {
        let why = weak.map_or_else(String::new, |weak| format!("; {}", weak.reason()));
        return match &git.astray_of {
            Some(began) => failed(&format!(
                "{lead}, but its commits do not contain the commit that the attempt began with ({})",
                began.short()
            )),
            None => failed(&format!("{lead}, but nothing was changed{why}")),
        };
    }
    RunOutcome::Done { message, commit_diff: git.diff }
}

/// The first question, through whichever way it came.
fn question(said: &Said, claims: &[Claim]) -> Option<String> {
    let claimed = claims.iter().find_map(|claim| match claim {
        Claim::Blocked { question } => Some(question),
        Claim::Done { .. }
        | Claim::Fail { .. }
        | Claim::Verdict { .. }
        | Claim::Propose { .. }
        | Claim::Comment { .. } => None,
    });
    claimed.or(said.question.as_ref()).cloned()
}

enum Claimed {
    Success(String),
    Failure(String),
    Skip,
    /// The model's service does not serve, for now or for this account.
    Unserved(Unserved),
    Overspent(Scope),
    Interrupted,
    /// It was never asked: nobody's failure.
    Unreached(String),
}

fn claimed(ending: &ProgramEnding, said: &Said, claims: &[Claim]) -> Claimed {
    let with_version = |reason: String| match said.version.as_str() {
        "" => reason,
        version => format!("{reason}; it is {version}"),
    };
    match claimed_by(ending, said, claims) {
        Claimed::Failure(reason) => Claimed::Failure(with_version(reason)),
        Claimed::Unreached(reason) => Claimed::Unreached(with_version(reason)),
        other => other,
    }
}

fn claimed_by(ending: &ProgramEnding, said: &Said, claims: &[Claim]) -> Claimed {
    let stand = claims.iter().rev().find_map(|claim| match claim {
        Claim::Done { message } => Some(Ok(message.clone())),
        Claim::Fail { reason } => Some(Err(reason.clone())),
        Claim::Blocked { .. } | Claim::Verdict { .. } | Claim::Propose { .. } | Claim::Comment { .. } => None,
    });
    let with_last_words = |reason: String| match said.last_words.as_str() {
        "" => reason,
        words => format!("{reason}; its last words: {words}"),
    };
    let reason_or = |default: &str| match &stand {
        Some(Err(reason)) if !reason.is_empty() => reason.clone(),
        _ => with_last_words(default.to_owned()),
    };
    match ending {
        ProgramEnding::Interrupted => Claimed::Interrupted,
        ProgramEnding::OverBudget(scope) => Claimed::Overspent(*scope),
        ProgramEnding::NotStarted(why) => Claimed::Failure(format!("the agent could not be started: {why}")),
        // Every task that is given to it would fail so.
        ProgramEnding::NoProgram(why) => {
            Claimed::Unserved(Unserved { reason: why.clone(), lasting: true, until: None })
        }
        ProgramEnding::Unreached(why) => Claimed::Unreached(format!(
            "the prompt did not reach the agent: {why}; `sprint logs` with the task's id shows its screen"
        )),
        // Whatever it said meanwhile: this is why it did not get any further.
        ProgramEnding::OverLimit(why) => Claimed::Failure(format!(
            "the agent was ended: {why}; raise the limit if the work needs that, or see what it started"
        )),
        _ if let Some(failure) =
            said.failure.as_ref().filter(|failure| failure.class.is_of_the_service()) =>
        {
            let (reason, lasting) = (failure.reason(), failure.class.is_lasting());
            Claimed::Unserved(Unserved { reason, lasting, until: failure.until })
        }
        ProgramEnding::TimedOut(limit) => Claimed::Failure(with_last_words(over("took longer than", *limit))),
        ProgramEnding::Hung(limit) => {
            Claimed::Failure(with_last_words(over("gave no sign of life for", *limit)))
        }
        ProgramEnding::Signaled(signal) => {
            Claimed::Failure(reason_or(&format!("the agent was killed by signal {signal}")))
        }
        // What it told itself is nearer than its exit code, and some exit with 0 all the same.
        ProgramEnding::Exited(_) | ProgramEnding::EndedAfterClaim | ProgramEnding::TurnEnded
            if let Some(failure) = &said.failure =>
        {
            Claimed::Failure(reason_or(&failure.reason()))
        }
        ProgramEnding::Exited(2) if !matches!(stand, Some(Err(_))) => Claimed::Skip,
        ProgramEnding::Exited(code) if *code != 0 => Claimed::Failure(reason_or(&exit_reason(*code))),
        ProgramEnding::Exited(_) | ProgramEnding::EndedAfterClaim | ProgramEnding::TurnEnded => match stand {
            Some(Ok(message)) => Claimed::Success(message),
            Some(Err(_)) => Claimed::Failure(reason_or("the agent says that it failed")),
            None if said.complete || *ending != ProgramEnding::EndedAfterClaim => {
                Claimed::Success(String::new())
            }
            None => Claimed::Failure("the agent was ended without having said how it stands".to_owned()),
        },
    }
}

fn over(what: &str, limit: Duration) -> String {
    format!("the agent {what} {}, and was ended", crate::config::duration::format(limit))
}

/// What an exit code means that is neither 0 nor 2.
pub fn exit_reason(code: i32) -> String {
    match code {
        1 => "the agent failed (exit 1)".to_owned(),
        126 => "the agent's program, or one that it calls, cannot be executed (exit 126)".to_owned(),
        127 => "the agent's program, or one that it calls, was not found (exit 127)".to_owned(),
        code => format!("the agent ended with exit code {code}"),
    }
}

#[path = "outcome_check.rs"]
mod check;
pub use check::{CheckOutcome, Duty, Review, decide_check};

/// How the manager's run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriageOutcome {
    /// It proposes something.
    Proposed(Proposal),
    /// The model's service does not serve.
    Unserved(Unserved),
    /// It proposes nothing.
    Nothing {
        /// Why.
        reason: String,
    },
    /// The worker was ended.
    Interrupted,
}

/// Judges the manager's run. Its last proposal counts, whatever the exit code: a person, or a
/// bounded rule, judges it.
pub fn decide_triage(ending: &ProgramEnding, said: &Said, claims: &[Claim]) -> TriageOutcome {
    let proposal = claims.iter().rev().find_map(|claim| match claim {
        Claim::Propose { action, text } => Some(Proposal { action: *action, text: text.clone() }),
        Claim::Done { .. }
        | Claim::Fail { .. }
        | Claim::Blocked { .. }
        | Claim::Verdict { .. }
        | Claim::Comment { .. } => None,
    });
    let proposal = proposal.or_else(|| said.proposal.clone());
    let proposal = proposal.filter(|proposal| !proposal.text.trim().is_empty());
    match (claimed(ending, said, claims), proposal) {
        (Claimed::Interrupted, _) => TriageOutcome::Interrupted,
        (_, Some(proposal)) => TriageOutcome::Proposed(proposal),
        (Claimed::Unserved(unserved), None) => TriageOutcome::Unserved(unserved),
        (Claimed::Failure(reason) | Claimed::Unreached(reason), None) => TriageOutcome::Nothing { reason },
        (Claimed::Overspent(scope), None) => {
            TriageOutcome::Nothing { reason: format!("the budget of the {scope} is used up") }
        }
        (Claimed::Success(_) | Claimed::Skip, None) => {
            TriageOutcome::Nothing { reason: "the agent ended without a proposal".to_owned() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::claim::AgentVerdict;
    use crate::domain::triage::Action;

    fn endings() -> Vec<ProgramEnding> {
        let minute = Duration::from_mins(1);
        vec![
            ProgramEnding::Exited(0),
            ProgramEnding::Exited(1),
            ProgramEnding::Exited(2),
            ProgramEnding::Exited(3),
            ProgramEnding::Exited(126),
            ProgramEnding::Exited(127),
            ProgramEnding::Signaled(9),
            ProgramEnding::NotStarted("no such file".to_owned()),
            ProgramEnding::NoProgram("the agent program `x` is not there".to_owned()),
            ProgramEnding::TimedOut(minute),
            ProgramEnding::Hung(minute),
            ProgramEnding::OverLimit("it had more than 9 processes at once (`limits.processes`)".to_owned()),
            ProgramEnding::EndedAfterClaim,
            ProgramEnding::Interrupted,
        ]
    }

    fn claim_sets() -> Vec<(&'static str, Vec<Claim>)> {
        let done = Claim::Done { message: "did it".to_owned() };
        let fail = Claim::Fail { reason: "too hard".to_owned() };
        let verdict = |verdict| Claim::Verdict {
            verdict,
            message: "looked".to_owned(),
            evidence: vec!["a.py".to_owned()],
            findings: Vec::new(),
        };
        vec![
            ("no claim", Vec::new()),
            ("done", vec![done.clone()]),
            ("fail", vec![fail.clone()]),
            ("done, then fail", vec![done.clone(), fail.clone()]),
            ("fail, then done", vec![fail, done]),
            ("verdict pass", vec![verdict(AgentVerdict::Pass)]),
            ("verdict fail", vec![verdict(AgentVerdict::Fail)]),
        ]
    }

    fn git(new_commit: bool, diff: bool) -> GitFacts {
        GitFacts {
            head: Some(CommitSha::parse(&"c".repeat(40)).unwrap()),
            new_commit,
            astray_of: None,
            diff,
            left_out: None,
            worktree: Standing::There,
        }
    }

    #[test]
    fn a_version_that_was_not_tested_is_told_with_a_failure_only() {
        let said = Said { version: "version 9; tested up to version 1".to_owned(), ..Said::default() };
        let unreached = ProgramEnding::Unreached("it shows `x`".to_owned());
        let Claimed::Unreached(reason) = claimed(&unreached, &said, &[]) else { panic!() };
        insta::assert_snapshot!(reason, @"the prompt did not reach the agent: it shows `x`; `sprint logs` with the task's id shows its screen; it is version 9; tested up to version 1");
        let Claimed::Failure(reason) = claimed(&ProgramEnding::Exited(1), &said, &[]) else { panic!() };
        insta::assert_snapshot!(reason, @"the agent failed (exit 1); it is version 9; tested up to version 1");
        assert!(matches!(claimed(&ProgramEnding::Exited(0), &said, &[]), Claimed::Success(_)));
    }

    #[test]
    fn every_ending_with_every_claim() {
        let said = Said::default();
        let mut table = Vec::new();
        for ending in endings() {
            for (name, claims) in claim_sets() {
                let work = decide(&ending, &said, &claims, &git(true, false), Needed::Change);
                let check = decide_check(&ending, &said, &claims, Duty::Judge);
                let adds = decide_check(&ending, &said, &claims, Duty::Add { must: true, has: true });
                table.push(format!(
                    "{ending:?} · {name}\n    work:  {work:?}\n    check: {check:?}\n    adds:  {adds:?}"
                ));
            }
        }
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn a_claim_is_no_proof() {
        let decide =
            |git: &GitFacts, needed| decide(&ProgramEnding::Exited(0), &Said::default(), &[], git, needed);
        let done = |commit_diff| RunOutcome::Done { message: String::new(), commit_diff };
        let failed = |reason: &str| RunOutcome::Failed { reason: reason.to_owned() };
        assert_eq!(decide(&git(true, false), Needed::Change), done(false));
        assert_eq!(decide(&git(false, true), Needed::Change), done(true));
        assert_eq!(decide(&git(true, true), Needed::Change), done(true));
        assert_eq!(
            decide(&git(false, false), Needed::Change),
            failed("ended as if it were done, but nothing was changed")
        );
        let says = Said { complete: true, ..Said::default() };
        let ends = &ProgramEnding::Exited(0);
        for (said, claims) in
            [(&says, &[][..]), (&Said::default(), &[Claim::Done { message: "x".to_owned() }])]
        {
            let outcome = super::decide(ends, said, claims, &git(false, false), Needed::Change);
            assert_eq!(outcome, failed("claimed success, but nothing was changed"));
        }
        let began = CommitSha::parse(&"b".repeat(40)).unwrap();
        assert_eq!(
            decide(&GitFacts { astray_of: Some(began), ..git(false, false) }, Needed::Change),
            failed(
                "ended as if it were done, but its commits do not contain the commit that the attempt began with (bbbbbbbbbb)"
            )
        );
        assert_eq!(decide(&git(false, false), Needed::Nothing), done(false));
        let gone = GitFacts { head: None, worktree: Standing::Gone, ..git(false, false) };
        assert_eq!(
            decide(&gone, Needed::Nothing),
            failed("ended as if it were done, but its worktree is gone")
        );
    }

    #[test]
    fn nothing_is_done_that_leaves_files_out() {
        for (new_commit, diff) in [(true, false), (false, true), (true, true), (false, false)] {
            let facts =
                GitFacts { left_out: Some("`sub` is none of it".to_owned()), ..git(new_commit, diff) };
            for needed in [Needed::Change, Needed::Nothing] {
                let outcome = decide(&ProgramEnding::Exited(0), &Said::default(), &[], &facts, needed);
                assert_eq!(outcome, RunOutcome::Failed { reason: "`sub` is none of it".to_owned() });
            }
        }
    }

    #[test]
    fn who_takes_the_worktree_away_pays_for_it() {
        let outcome = |ending: &ProgramEnding, worktree| {
            let facts = GitFacts { head: None, worktree, ..git(false, false) };
            decide(ending, &Said::default(), &[], &facts, Needed::Change)
        };
        let mut table = Vec::new();
        for worktree in [Standing::Gone, Standing::Swept] {
            for code in [0, 1, 2] {
                let outcome = outcome(&ProgramEnding::Exited(code), worktree);
                table.push(format!("{worktree:?}, exit {code}: {outcome:?}"));
            }
            assert_eq!(outcome(&ProgramEnding::Interrupted, worktree), RunOutcome::Interrupted);
        }
        insta::assert_snapshot!(table.join("\n"), @r#"
        Gone, exit 0: Failed { reason: "ended as if it were done, but its worktree is gone" }
        Gone, exit 1: Unjudged { reason: "its worktree was deleted while the agent ran: commits are in git, what was not committed is lost, and the worktree is made anew" }
        Gone, exit 2: Unjudged { reason: "its worktree was deleted while the agent ran: commits are in git, what was not committed is lost, and the worktree is made anew" }
        Swept, exit 0: Unjudged { reason: "the directory of all worktrees was deleted while the agent ran: commits are in git, what was not committed is lost, and the worktree is made anew" }
        Swept, exit 1: Unjudged { reason: "the directory of all worktrees was deleted while the agent ran: commits are in git, what was not committed is lost, and the worktree is made anew" }
        Swept, exit 2: Unjudged { reason: "the directory of all worktrees was deleted while the agent ran: commits are in git, what was not committed is lost, and the worktree is made anew" }
        "#);
    }

    #[test]
    fn a_proposal_in_the_programs_own_words_counts_where_no_other_was_made() {
        let proposal = |text: &str| Proposal { action: Action::Retry, text: text.to_owned() };
        let said = |text: &str| Said { proposal: Some(proposal(text)), ..Said::default() };
        let claim = Claim::Propose { action: Action::Retry, text: "claimed".to_owned() };
        let decide = |said: &Said, claims: &[Claim]| decide_triage(&ProgramEnding::Exited(0), said, claims);
        assert_eq!(decide(&said("printed"), &[]), TriageOutcome::Proposed(proposal("printed")));
        assert_eq!(decide(&said("printed"), &[claim]), TriageOutcome::Proposed(proposal("claimed")));
        assert!(matches!(decide(&said(""), &[]), TriageOutcome::Nothing { .. }), "a word alone says nothing");
    }

    #[test]
    fn a_question_goes_before_everything() {
        let said = Said { question: Some("why?".to_owned()), complete: true, ..Said::default() };
        let claims = [Claim::Done { message: String::new() }];
        for ending in endings() {
            let outcome = decide(&ending, &said, &claims, &git(true, false), Needed::Change);
            assert_eq!(outcome, RunOutcome::Blocked { question: "why?".to_owned() });
            assert_eq!(
                decide_check(&ending, &said, &claims, Duty::Judge),
                CheckOutcome::Blocked { question: "why?".to_owned() }
            );
        }
    }

    #[test]
    fn last_words_explain_a_failure_and_claim_nothing() {
        let said = Said { last_words: "error: no key".to_owned(), ..Said::default() };
        let reason = |ending, claims: &[Claim]| match decide(
            &ending,
            &said,
            claims,
            &git(true, false),
            Needed::Change,
        ) {
            RunOutcome::Failed { reason } => reason,
            other => format!("{other:?}"),
        };
        assert_eq!(
            reason(ProgramEnding::Exited(1), &[]),
            "the agent failed (exit 1); its last words: error: no key"
        );
        assert_eq!(
            reason(ProgramEnding::Hung(Duration::from_mins(1)), &[]),
            "the agent gave no sign of life for 1m, and was ended; its last words: error: no key"
        );
        let fail = Claim::Fail { reason: "too hard".to_owned() };
        assert_eq!(reason(ProgramEnding::Exited(1), &[fail]), "too hard");
        assert!(reason(ProgramEnding::Exited(0), &[]).starts_with("Done"));
    }

    #[test]
    fn complete_counts_when_we_had_to_end_it() {
        let said = Said { complete: true, ..Said::default() };
        let outcome = decide(&ProgramEnding::EndedAfterClaim, &said, &[], &git(true, false), Needed::Change);
        assert!(matches!(outcome, RunOutcome::Done { .. }));
        let outcome = decide(&ProgramEnding::Exited(1), &said, &[], &git(true, false), Needed::Change);
        assert!(matches!(outcome, RunOutcome::Failed { .. }));
    }
}
