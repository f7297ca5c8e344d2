//! What a template may use, and samples of it: with them a template is tried before anybody needs it.

use serde::Serialize;

use crate::agents::feedback::{Feedback, FeedbackFinding};
use crate::config::Commits;

/// What a template may use.
#[derive(Debug, Clone, Serialize)]
pub struct PromptInput {
    /// Whose prompt it is: `developer`.
    pub role: String,
    /// The stage's name.
    pub stage: String,
    /// The task.
    pub task: TaskText,
    /// The feature.
    pub feature: FeatureText,
    /// The story that the task belongs to.
    pub story: Option<StoryText>,
    /// The requirements that concern the task, one a line; empty: there are none.
    pub requirements: String,
    /// Whether the task or its story names them; if not, they are all of the feature's.
    pub requirements_named: bool,
    /// The parts of `plan.md` that matter everywhere; empty: it says nothing.
    pub plan: String,
    /// The constitution; empty: there is none.
    pub constitution: String,
    /// What there is to read.
    pub documents: Vec<Document>,
    /// What others are doing in this feature.
    pub peers: Vec<PeerText>,
    /// What will be run.
    pub gates: Vec<GateCommand>,
    /// The developer's attempt, from 1.
    pub attempt: u32,
    /// How many there may be.
    pub attempts: u32,
    /// What happened before.
    pub feedback: Option<Feedback>,
    /// The branch of the attempt before.
    pub previous: Option<String>,
    /// Who commits.
    pub commit: Commits,
    /// What the work is compared with.
    pub base: String,
    /// Files that the task changes, in a check stage.
    pub changed: Vec<String>,
    /// Globs that the agent may change; empty: everything in a work stage, nothing in a check stage.
    pub writes: Vec<String>,
}

/// A task.
#[derive(Debug, Clone, Serialize)]
pub struct TaskText {
    /// `T001`
    pub id: String,
    /// Its title and the lines that belong to it.
    pub text: String,
    /// The files that it names.
    pub paths: Vec<String>,
    /// Its labels, but for `P` and stories.
    pub labels: Vec<String>,
}

/// A feature.
#[derive(Debug, Clone, Serialize)]
pub struct FeatureText {
    /// `001-thing`
    pub name: String,
    /// Of `spec.md`; may be empty.
    pub title: String,
    /// Relative to the worktree.
    pub dir: String,
}

/// A user story.
#[derive(Debug, Clone, Serialize)]
pub struct StoryText {
    /// `US1`
    pub id: String,
    /// `P1`; may be empty.
    pub priority: String,
    /// Title and acceptance scenarios.
    pub text: String,
}

/// A document, by path: an agent reads what it needs.
#[derive(Debug, Clone, Serialize)]
pub struct Document {
    /// Relative to the worktree.
    pub path: String,
    /// In a few words.
    pub what: String,
}

/// Another task that is in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerText {
    /// `T002`
    pub id: String,
    /// Its title.
    pub title: String,
    /// The files that it names.
    pub paths: Vec<String>,
    /// Where it is.
    pub stage: String,
}

/// A gate that will judge the work.
#[derive(Debug, Clone, Serialize)]
pub struct GateCommand {
    /// `ruff`
    pub name: String,
    /// As one would type it.
    pub command: String,
}

/// Everything is there, nothing is, and what lies between: a template that can be written for all
/// of them can be written.
pub(super) fn samples() -> Vec<PromptInput> {
    let full = full();
    let bare = PromptInput {
        task: TaskText { paths: Vec::new(), labels: Vec::new(), ..full.task.clone() },
        story: None,
        requirements: String::new(),
        plan: String::new(),
        constitution: String::new(),
        documents: Vec::new(),
        peers: Vec::new(),
        gates: Vec::new(),
        feedback: None,
        previous: None,
        commit: Commits::Supervisor,
        changed: Vec::new(),
        writes: Vec::new(),
        ..full.clone()
    };
    let answered =
        PromptInput { feedback: Some(Feedback::answer("InProgress", "Which?", "This.")), ..bare.clone() };
    vec![full, bare, answered]
}

fn full() -> PromptInput {
    PromptInput {
        role: "developer".to_owned(),
        stage: "InProgress".to_owned(),
        task: TaskText {
            id: "T001".to_owned(),
            text: "Write `src/a.py`\n  - with tests".to_owned(),
            paths: vec!["src/a.py".to_owned()],
            labels: vec!["docs".to_owned()],
        },
        feature: FeatureText {
            name: "001-thing".to_owned(),
            title: "A thing".to_owned(),
            dir: "specs/001-thing".to_owned(),
        },
        story: Some(StoryText {
            id: "US1".to_owned(),
            priority: "P1".to_owned(),
            text: "Use the thing\n- Given a thing, When it is used, Then it works".to_owned(),
        }),
        requirements: "FR-001: The thing works".to_owned(),
        requirements_named: true,
        plan: "Language: Python 3.12".to_owned(),
        constitution: "Tests first.".to_owned(),
        documents: vec![Document { path: "specs/001-thing/plan.md".to_owned(), what: "the plan".to_owned() }],
        peers: vec![PeerText {
            id: "T002".to_owned(),
            title: "Write `src/b.py`".to_owned(),
            paths: vec!["src/b.py".to_owned()],
            stage: "InReview".to_owned(),
        }],
        gates: vec![GateCommand { name: "ruff".to_owned(), command: "ruff check .".to_owned() }],
        attempt: 2,
        attempts: 3,
        feedback: Some(Feedback {
            stage: "InReview".to_owned(),
            reason: "gate".to_owned(),
            findings: vec![FeedbackFinding::conflict("src/a.py")],
            findings_left_out: 1,
            ..Feedback::default()
        }),
        previous: Some("sprint-task/001-thing/T001/1".to_owned()),
        commit: Commits::Agent,
        base: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        changed: vec!["src/a.py".to_owned()],
        writes: vec!["tests/**".to_owned()],
    }
}
