//! What a worker reports about a run, and the facts that it carries.

use serde::{Deserialize, Serialize};

use super::budget::Scope;
use super::event::Event;
use super::gate::Verdict;
use super::ids::{CommitSha, GateName, RunId, Token, WorkerName};
use super::spent::Spent;
use super::state::Job;
use super::triage::Proposal;

/// A task's head merged with the integration head of a moment, its box ticked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The merge commit.
    pub commit: CommitSha,
    /// Its tree: what the gates judge.
    pub tree: CommitSha,
    /// The integration head that it was made on, its first parent.
    pub base: CommitSha,
    /// The task's head, its second parent.
    pub head: CommitSha,
}

/// A gate's verdict on one tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRecord {
    /// The gate.
    pub gate: GateName,
    /// What it said.
    pub verdict: Verdict,
    /// The tree that it judged.
    pub tree: CommitSha,
    /// Whether it must stand for the tree that lands.
    pub at_merge: bool,
    /// One line for people.
    pub summary: String,
    /// Tests that failed and then passed alone, in the run of the gate that this tells of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flaky: Vec<String>,
}

impl GateRecord {
    /// Whether the tree may land as far as this gate goes.
    pub fn lets_land(&self, tree: &CommitSha) -> bool {
        self.tree == *tree
            && match self.verdict {
                Verdict::Pass | Verdict::Skipped => true,
                Verdict::Fail | Verdict::Error => false,
            }
    }
}

/// What the next attempt is told: the JSON of `SPRINT_FEEDBACK`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// The stage that sends it back.
    pub stage: String,
    /// Why, in a line.
    pub reason: String,
    /// What was found, most severe first. The shape is the gates' own.
    pub findings: Vec<serde_json::Value>,
}

/// A report as it lies in the run's directory and in the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
    /// Which run.
    pub run: RunId,
    /// Its secret.
    pub token: Token,
    /// How it ended.
    pub report: Report,
    /// What its model used, if it had one that tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
    /// The adapter, if its program failed at once: without use, change or claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<String>,
    /// What the run was about: a database that is older than the run learns it from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Box<Given>>,
}

/// What a run's worker was given, and by which database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The database's own name: another one's runs are none of its.
    pub database: String,
    /// Who had it.
    pub worker: WorkerName,
    /// What it was to do.
    pub job: Job,
}

impl Filed {
    /// What the supervisor is told, in this order.
    pub fn events(&self) -> Vec<Event> {
        let (run, token) = (|| self.run.clone(), || self.token.clone());
        let spent = self.spent.clone().map(|spent| Event::RunSpent { run: run(), token: token(), spent });
        let at_once = self.at_once.clone();
        let at_once = at_once.map(|agent| Event::RunFailedAtOnce { run: run(), token: token(), agent });
        let report = Event::RunReported { run: run(), token: token(), report: self.report.clone() };
        spent.into_iter().chain(at_once).chain([report]).collect()
    }
}

impl Feedback {
    /// Every text that came from outside.
    pub fn each_text(&mut self, f: &mut dyn FnMut(&mut String)) {
        let Self { stage: _, reason, findings } = self;
        f(reason);
        for finding in findings {
            each_text_of(finding, f);
        }
    }
}

fn gates_texts(gates: &mut [GateRecord], f: &mut dyn FnMut(&mut String)) {
    for gate in gates {
        f(&mut gate.summary);
        gate.flaky.iter_mut().for_each(&mut *f);
    }
}

/// Every text in a value; its keys stay.
fn each_text_of(value: &mut serde_json::Value, f: &mut dyn FnMut(&mut String)) {
    match value {
        serde_json::Value::String(text) => f(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| each_text_of(item, f)),
        serde_json::Value::Object(table) => table.values_mut().for_each(|item| each_text_of(item, f)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Report {
    /// A `work` stage: the claim and its proof.
    Worked {
        /// The head that git proves.
        head: CommitSha,
        /// What the agent said of it.
        summary: String,
    },
    /// A `check` stage, or the base: what the gates and the review say.
    Checked {
        /// All of it.
        verdict: Verdict,
        /// What was judged; `None` for the base.
        candidate: Option<Candidate>,
        /// A line a gate.
        gates: Vec<GateRecord>,
        /// For the next attempt, when it failed.
        feedback: Option<Feedback>,
        /// What a review found and does not send back, in the shape of the gates' findings.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remarks: Vec<serde_json::Value>,
        /// One line for people.
        summary: String,
    },
    /// A `check` stage: its agent has added to the work, within what it may write, and has nothing
    /// against it.
    Added {
        /// The task's new head: the old one, and what was added.
        head: CommitSha,
        /// The files that it adds or changes.
        paths: Vec<String>,
        /// As of [`Report::Checked`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remarks: Vec<serde_json::Value>,
        /// One line for people.
        summary: String,
    },
    /// A `check` stage: its agent gives no judgement that counts, also after it was told why.
    Unjudged {
        /// Why, and what to do about it.
        reason: String,
    },
    /// A `land` stage: the candidate may land.
    Landable {
        /// What is to land.
        candidate: Candidate,
        /// Every gate that must stand for it.
        gates: Vec<GateRecord>,
    },
    /// It failed: red, conflict, claim without proof, time-out, hang.
    Failed {
        /// In a line.
        reason: String,
        /// For the next attempt.
        feedback: Option<Feedback>,
    },
    /// The agent says that there is nothing to do; of a later stage than its work: the integration
    /// branch has all of the work already.
    NothingToDo {
        /// Why.
        reason: String,
    },
    /// The agent asks.
    Blocked {
        /// What.
        question: String,
    },
    /// The service of the agent's model does not serve: nobody's fault here.
    Unserved {
        /// The adapter.
        agent: String,
        /// In its program's words.
        reason: String,
        /// Whether waiting alone does not help: nobody is signed in, or there is no credit.
        lasting: bool,
        /// When it serves again, as it says; wall clock, Unix milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until_ms: Option<i64>,
    },
    /// A budget was reached, and the program was ended; what it had done is saved.
    Overspent {
        /// Which.
        scope: Scope,
        /// In a line.
        reason: String,
    },
    /// A `land` stage: what did not merge was put together, by the merger's agent.
    Resolved {
        /// The task's new head, a merge of its work with the integration head.
        head: CommitSha,
        /// What the agent said of it.
        summary: String,
    },
    /// The manager proposes what to do about a task.
    Proposed {
        /// What.
        proposal: Proposal,
    },
    /// Something could not run: the operator's.
    Errored {
        /// What, and what to do about it.
        reason: String,
    },
    /// Processes of the run would not end.
    Survived {
        /// Which, as `pid name`.
        processes: Vec<String>,
    },
    /// Sprint ended the run itself.
    Interrupted {
        /// Why.
        reason: String,
    },
}

impl Report {
    /// Every text that came from outside: of programs, of models, of tools. Names and commits are none.
    pub fn each_text(&mut self, f: &mut dyn FnMut(&mut String)) {
        match self {
            Self::Worked { head: _, summary } | Self::Resolved { head: _, summary } => f(summary),
            Self::Checked { verdict: _, candidate: _, gates, feedback, remarks, summary } => {
                gates_texts(gates, f);
                if let Some(feedback) = feedback {
                    feedback.each_text(f);
                }
                for remark in remarks {
                    each_text_of(remark, f);
                }
                f(summary);
            }
            Self::Added { head: _, paths: _, remarks, summary } => {
                for remark in remarks {
                    each_text_of(remark, f);
                }
                f(summary);
            }
            Self::Landable { candidate: _, gates } => gates_texts(gates, f),
            Self::Failed { reason, feedback } => {
                f(reason);
                if let Some(feedback) = feedback {
                    feedback.each_text(f);
                }
            }
            Self::Blocked { question } => f(question),
            Self::Proposed { proposal } => f(&mut proposal.text),
            Self::Survived { processes } => processes.iter_mut().for_each(f),
            Self::Unjudged { reason }
            | Self::NothingToDo { reason }
            | Self::Unserved { agent: _, reason, lasting: _, until_ms: _ }
            | Self::Overspent { scope: _, reason }
            | Self::Errored { reason }
            | Self::Interrupted { reason } => f(reason),
        }
    }
}
