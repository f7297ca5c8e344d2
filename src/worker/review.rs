//! The agent of a `check` stage, after the gates: it reads the candidate and judges, or adds what
//! its stage is there for: tests, documentation.
//!
//! Who judges changes nothing. Who adds changes only what the stage's `writes` say. An answer that
//! is neither is told back to the agent, once, in the same conversation; then it is the operator's.

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::added::{self, Left};
use super::agent;
use super::brief;
use super::check::Checked;
use super::conversation::Talk;
use super::life::Desk;
use super::screen::Screen;
use super::spending;
use super::trees::{identity, recipe, set_up};
use super::work::{end_what_is_left, overspent_report, unserved_report};
use crate::agents::claim::{self, CLAIMS_FILE, ClaimedFinding};
use crate::agents::outcome::{CheckOutcome, Duty, ProgramEnding, Review, Said, decide_check};
use crate::config::{Adapter, StageConfig};
use crate::domain::gate::Verdict;
use crate::domain::ids::{TaskId, WorkerName};
use crate::domain::pipeline::Proof;
use crate::domain::report::{Feedback, Report};
use crate::domain::spent::Spent;
use crate::domain::task::TaskKey;
use crate::error::chain;
use crate::git::contents;
use crate::git::leftovers::{self, Author};
use crate::git::pool::{Owner, Pool};
use crate::git::prepare::prepare;
use crate::git::worktree::Worktree;

/// So often an agent is asked in one run.
const ROUNDS: u32 = 2;

/// Lets the role's agent judge or add; without one the gates' word stands, as its own does for what
/// others have added since.
pub(super) fn review(desk: &Desk<'_>, screen: &mut Screen, checked: Checked) -> Result<Report, String> {
    let (Some(adapter), Some(task)) = (brief::adapter(desk)?, desk.run.job.task.clone()) else {
        return Ok(checked.report());
    };
    if desk.run.job.stands {
        screen.say(&format!("what {} said of this attempt stands", adapter.name));
        return Ok(checked.report());
    }
    let stage = brief::stage(desk)?;
    let pool = Pool::open(&desk.place.repo, &desk.place.layout.state).map_err(|error| chain(&error))?;
    let worktree = worktree(desk, screen, &pool, &checked, stage)?;
    let asked = Asked { desk, stage, adapter: &adapter, task: &task, pool: &pool, worktree: &worktree };
    asked.rounds(screen, checked)
}

/// The candidate, or what the same agent had added when it asked.
fn worktree(
    desk: &Desk<'_>,
    screen: &mut Screen,
    pool: &Pool,
    checked: &Checked,
    stage: &StageConfig,
) -> Result<Worktree, String> {
    let told = |error: crate::git::Error| chain(&error);
    let worker = WorkerName::parse(desk.place.worker.as_str()).map_err(|error| error.to_string())?;
    let identity = identity(desk);
    let author = Author { identity: &identity, date: desk.run.job.stamp_s };
    let kept = if stage.writes.is_empty() { None } else { added::kept(desk, &checked.candidate)? };
    let at = kept.as_ref().unwrap_or(&checked.candidate.commit);
    let mut worktree = pool.acquire(&Owner::Gate { worker }, at, None, &author).map_err(told)?.worktree;
    let mut setup = |path: &std::path::Path, command: &str| set_up(desk, screen, path, command);
    prepare(pool, &desk.place.repo, &mut worktree, &recipe(desk), &mut setup).map_err(told)?;
    Ok(worktree)
}

/// Who is asked, about what.
struct Asked<'a> {
    desk: &'a Desk<'a>,
    stage: &'a StageConfig,
    adapter: &'a Adapter,
    task: &'a TaskId,
    pool: &'a Pool,
    worktree: &'a Worktree,
}

/// What came of one round.
enum Round {
    Over(Report),
    Judged(CheckOutcome, Option<Left>),
}

impl Asked<'_> {
    fn rounds(&self, screen: &mut Screen, checked: Checked) -> Result<Report, String> {
        let mut again: Option<String> = None;
        let mut at_once = true;
        for round in 1..=ROUNDS {
            let judged = self.ask(screen, &checked, again.as_deref())?;
            at_once &= self.desk.at_once.get();
            self.desk.at_once.set(at_once);
            let (outcome, left) = match judged {
                Round::Over(report) => return Ok(report),
                Round::Judged(outcome, left) => (outcome, left),
            };
            let CheckOutcome::Unfit { reason } = outcome else { return self.report(checked, outcome, left) };
            screen.say(&format!("its answer does not count: {reason}"));
            if round < ROUNDS {
                if let Some(scope) = spending::used_up(self.desk) {
                    return self.report(checked, CheckOutcome::Overspent(scope), left);
                }
                self.begin_anew(&checked)?;
            }
            again = Some(reason);
        }
        let (stage, reason) = (&self.stage.name, again.unwrap_or_default());
        // What other features there are, a worker does not know: the whole name is always right.
        let task = TaskKey { feature: self.desk.run.job.feature.clone(), id: self.task.clone() }.name();
        Ok(Report::Unjudged {
            reason: format!(
                "the agent of {stage} gave no answer that counts, also after it was told why: {reason}; `sprint task retry {task}` asks it again"
            ),
        })
    }

    /// What was claimed before does not count any more, and does not end the next program. Who adds
    /// goes on where it was.
    fn begin_anew(&self, checked: &Checked) -> Result<(), String> {
        if self.stage.writes.is_empty() {
            self.worktree.checkout_tree(&checked.candidate.commit).map_err(|error| chain(&error))?;
        }
        let path = self.desk.place.layout.run(&self.desk.run.id).join(CLAIMS_FILE);
        match std::fs::rename(&path, path.with_extension("refused.jsonl")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("`{}`: {error}", path.display()))
            }
            _ => Ok(()),
        }
    }

    fn ask(&self, screen: &mut Screen, checked: &Checked, again: Option<&str>) -> Result<Round, String> {
        let Self { desk, adapter, task, pool, worktree, .. } = self;
        let subject = brief::Subject { candidate: Some(&checked.candidate), again };
        let order = |chat: &Talk| brief::order(desk, task, worktree, adapter, chat, &subject);
        screen.say(&format!("{} looks at {}", adapter.name, checked.candidate.commit.short()));
        let changed = || self.has_added(checked);
        let (ending, said) = agent::ask(desk, screen, adapter, worktree, (&order, &changed))?;
        if let Some(report) = end_what_is_left(desk, pool, worktree) {
            return Ok(Round::Over(report));
        }
        self.judge(screen, checked, &ending, &said)
    }

    /// Whether there is anything to see of its work, while it runs.
    fn has_added(&self, checked: &Checked) -> bool {
        let candidate = &checked.candidate;
        let left = leftovers::look(self.worktree, &candidate.commit);
        !self.stage.writes.is_empty()
            && (left.is_ok_and(|left| left.diff)
                || self.worktree.head().is_ok_and(|head| head != candidate.commit))
    }

    fn judge(
        &self,
        screen: &mut Screen,
        checked: &Checked,
        ending: &ProgramEnding,
        said: &Said,
    ) -> Result<Round, String> {
        let run_dir = brief::utf8(&self.desk.place.layout.run(&self.desk.run.id))?;
        let claims = claim::read(&run_dir, &self.desk.run.token).map_err(|error| chain(&error))?;
        let (left, duty) = if self.stage.writes.is_empty() {
            (added::touched(self.desk, self.worktree, &checked.candidate)?, Duty::Judge)
        } else {
            let left = added::look(self.desk, screen, self.worktree, &checked.candidate)?;
            let has = !left.paths.is_empty();
            (left, Duty::Add { must: self.stage.proof == Proof::Commit, has })
        };
        if !(claims.claims.is_empty() && left.paths.is_empty()) {
            self.desk.at_once.set(false);
        }
        let outcome = decide_check(ending, said, &claims.claims, duty);
        let unfit = match &outcome {
            CheckOutcome::Pass(review) | CheckOutcome::Added(review) | CheckOutcome::Fail(review) => {
                self.unknown_place(checked, review)?.or(self.outside(&left)?)
            }
            CheckOutcome::Blocked { .. } => {
                added::keep(self.desk, self.worktree, self.task, &self.stage.writes);
                None
            }
            _ => None,
        };
        let outcome = unfit.map_or(outcome, |reason| CheckOutcome::Unfit { reason });
        Ok(Round::Judged(outcome, Some(left)))
    }

    /// A finding in a file that the candidate does not have is about something else.
    fn unknown_place(&self, checked: &Checked, review: &Review) -> Result<Option<String>, String> {
        for finding in review.findings.iter().filter(|finding| !finding.path.is_empty()) {
            let (repo, commit) = (&self.desk.place.repo, &checked.candidate.commit);
            let path = finding.path.trim_start_matches("./");
            if !contents::is_there(repo, commit, path).map_err(|error| chain(&error))? {
                return Ok(Some(format!(
                    "a finding names `{path}`, which is not there; name files relative to the repository"
                )));
            }
        }
        Ok(None)
    }

    /// What it changed and may not. The feature's `tasks.md` stays as it was anyway.
    fn outside(&self, left: &Left) -> Result<Option<String>, String> {
        if let Some(why) = &left.beside {
            return Ok(Some(why.clone()));
        }
        let own = Own::of(&self.stage.writes)?;
        let outside: Vec<&str> =
            left.paths.iter().map(String::as_str).filter(|path| !own.has(path)).collect();
        if outside.is_empty() {
            return Ok(None);
        }
        let names = outside.join(", ");
        Ok(Some(match self.stage.writes.as_slice() {
            [] => format!("it changed what it was to judge ({names}); take that back and change nothing"),
            writes => format!(
                "it changed files that are not its own ({names}); take that back: only {} are",
                writes.join(", ")
            ),
        }))
    }

    fn report(&self, checked: Checked, outcome: CheckOutcome, left: Option<Left>) -> Result<Report, String> {
        Ok(match outcome {
            CheckOutcome::Pass(review) => Checked {
                summary: joined(&checked.summary, &review.message),
                remarks: self.remarks(&review),
                ..checked
            }
            .report(),
            CheckOutcome::Added(review) => {
                let left = left.ok_or("what was added is gone")?;
                let head = added::commit(self.desk, self.worktree, &checked.candidate, &left, self.stage)?;
                let summary = joined(&left.paths.join(", "), &review.message);
                Report::Added { head, paths: left.paths, remarks: self.remarks(&review), summary }
            }
            CheckOutcome::Skipped => checked.report(),
            CheckOutcome::Fail(review) => {
                let findings = self.findings(&review);
                let reason = review.message.clone();
                let feedback =
                    Some(Feedback { stage: self.stage.name.to_string(), reason: reason.clone(), findings });
                Checked { verdict: Verdict::Fail, feedback, summary: reason, ..checked }.report()
            }
            CheckOutcome::Unfit { reason } | CheckOutcome::Error { reason } => Report::Errored { reason },
            CheckOutcome::Unserved(unserved) => unserved_report(&self.adapter.name, unserved),
            CheckOutcome::Overspent(scope) => {
                added::keep(self.desk, self.worktree, self.task, &self.stage.writes);
                overspent_report(self.desk, scope)
            }
            CheckOutcome::Blocked { question } => Report::Blocked { question },
            CheckOutcome::Interrupted => {
                Report::Interrupted { reason: "the worker was told to end".to_owned() }
            }
        })
    }

    /// What was found, worst first, in the shape of the gates' findings.
    fn findings(&self, review: &Review) -> Vec<serde_json::Value> {
        let mut findings: Vec<&ClaimedFinding> = review.findings.iter().collect();
        findings.sort_by_key(|finding| finding.severity);
        let value = |finding: &ClaimedFinding| {
            serde_json::json!({
                "gate": self.stage.role.as_str(), "rule": "review",
                "path": finding.path.trim_start_matches("./"), "line": finding.line,
                "severity": finding.severity, "message": finding.message, "status": "new",
            })
        };
        findings.into_iter().map(value).collect()
    }

    /// What is recorded of a review that lets the task go on: findings, and what it looked at.
    fn remarks(&self, review: &Review) -> Vec<serde_json::Value> {
        let mut remarks = self.findings(review);
        if !review.evidence.is_empty() {
            remarks.push(serde_json::json!({
                "gate": self.stage.role.as_str(), "rule": "evidence", "path": "", "line": 0,
                "severity": "info", "message": review.evidence.join("; "), "status": "new",
            }));
        }
        remarks
    }
}

/// What an agent may change.
struct Own {
    all: GlobSet,
    /// Those that name a hidden place.
    hidden: GlobSet,
}

impl Own {
    fn of(writes: &[String]) -> Result<Self, String> {
        let set = |globs: &mut dyn Iterator<Item = &String>| {
            let mut set = GlobSetBuilder::new();
            for glob in globs {
                set.add(Glob::new(glob).map_err(|error| format!("`writes`: {error}"))?);
            }
            set.build().map_err(|error| format!("`writes`: {error}"))
        };
        let hidden = set(&mut writes.iter().filter(|glob| glob.starts_with('.')))?;
        Ok(Self { all: set(&mut writes.iter())?, hidden })
    }

    /// A hidden place, such as `.sprint` with its prompts or `.specify` with the constitution, has to
    /// be named: `**/*.md` does not mean it.
    fn has(&self, path: &str) -> bool {
        if path.starts_with('.') { self.hidden.is_match(path) } else { self.all.is_match(path) }
    }
}

fn joined(gates: &str, review: &str) -> String {
    if review.is_empty() { gates.to_owned() } else { format!("{gates}; {review}") }
}

/// Both rounds are one run's.
pub(super) fn sum(before: Option<Spent>, now: Option<Spent>) -> Option<Spent> {
    let (Some(before), Some(now)) = (&before, &now) else { return now.or(before) };
    let both = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
    let cost_micro_usd = both(before.cost_micro_usd, now.cost_micro_usd);
    let estimated = now.estimated.clone().or_else(|| before.estimated.clone());
    Some(Spent {
        input: before.input + now.input,
        output: before.output + now.output,
        cached: both(before.cached, now.cached),
        cost_micro_usd,
        estimated: estimated.filter(|_| cost_micro_usd.is_some()),
        ..now.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_places_have_to_be_named() {
        let own =
            |globs: &[&str]| Own::of(&globs.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>()).unwrap();
        let docs = own(&["docs/**", "**/*.md", "CHANGELOG*"]);
        assert!(
            docs.has("README.md") && docs.has("a/b.md") && docs.has("docs/x.txt") && docs.has("CHANGELOG")
        );
        assert!(!docs.has("src/a.py") && !docs.has(".sprint/prompts/review.md"));
        assert!(!docs.has(".specify/memory/constitution.md"));
        assert!(own(&[".github/**"]).has(".github/x.md"));
    }

    #[test]
    fn both_rounds_are_paid_for() {
        let spent = |input, cost| Spent { input, cost_micro_usd: cost, ..Spent::default() };
        assert_eq!(sum(None, None), None);
        assert_eq!(sum(Some(spent(1, None)), None), Some(spent(1, None)));
        assert_eq!(sum(Some(spent(1, Some(5))), Some(spent(2, Some(6)))), Some(spent(3, Some(11))));
        assert_eq!(
            sum(Some(spent(1, None)), Some(spent(2, Some(6)))),
            Some(spent(3, None)),
            "never invented"
        );
    }
}
