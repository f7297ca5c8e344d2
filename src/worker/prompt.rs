//! What a prompt is made of: the task and its feature as the base has them, what others are doing,
//! the gates that will judge. The worker sends it, and `sprint prompt show` prints it.
//!
//! Documents are read from the integration branch, never from a task's own work: what a developer
//! wrote into `spec.md` does not tell the reviewer what to look for.

use super::select::{Tree, gates_on};
use crate::agents::feedback::Feedback;
use crate::agents::prompt::{
    self, Document, FeatureText, GateCommand, PeerText, PromptInput, StoryText, TaskText, Template,
};
use crate::config::{Commits, Config, GateConfig, StageConfig};
use crate::domain::ids::{CommitSha, TaskId};
use crate::domain::pipeline::StageKind;
use crate::domain::report::Candidate;
use crate::domain::state::Job;
use crate::domain::task::Task;
use crate::error::chain;
use crate::feature::{Companion, Feature, PlanDocument, Requirement, Story, TaskLine};
use crate::git::{Repo, branch, contents, diff};
use crate::redact;

/// The three documents of every feature, and what they are about.
const OWN_DOCUMENTS: [(&str, &str); 3] =
    [("spec.md", "what is wanted"), ("plan.md", "how it is to be built"), ("tasks.md", "all tasks")];
/// The rules of a repository, as spec-kit has them.
const CONSTITUTION: &str = ".specify/memory/constitution.md";
/// Requirements in a prompt where the task names none.
const REQUIREMENTS_MAX: usize = 60;
/// Changed files that are named.
const CHANGED_MAX: usize = 100;
/// Other tasks that are named.
const PEERS_MAX: usize = 20;

/// What a prompt is made of.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Where the documents are.
    pub repo: &'a Repo,
    /// The rules, templates of the repository's own among them.
    pub config: &'a Config,
    /// What is to be done.
    pub job: &'a Job,
    /// In a check stage, what is judged; `None` before it is made.
    pub candidate: Option<&'a Candidate>,
    /// The feature's tasks that are in flight, this one perhaps among them.
    pub in_flight: &'a [Task],
}

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The file of its template; `develop.md` for a built-in one.
    pub template: String,
    /// What is sent.
    pub text: String,
}

impl Scene<'_> {
    /// The prompt for an agent that commits as `commit` says.
    ///
    /// # Errors
    /// For people: the repository cannot be read, or the template cannot be used.
    pub fn prompt(&self, commit: Commits) -> Result<Prompt, String> {
        let stage = self.stage()?;
        let template = self.template(stage)?;
        let input = self.input(stage, commit)?;
        let text = prompt::render(template, &input).map_err(|error| error.to_string())?;
        let text = redact::text(&text).into_owned();
        Ok(Prompt { template: template.name.to_owned(), text })
    }

    fn stage(&self) -> Result<&StageConfig, String> {
        let name = self.job.stage.as_ref();
        let stage = name.and_then(|name| self.config.stage(name.as_str()));
        stage.ok_or_else(|| "the stage is not in the frozen configuration".to_owned())
    }

    fn template(&self, stage: &StageConfig) -> Result<Template<'_>, String> {
        if let Some(own) = self.config.own_prompt(stage) {
            return Ok(Template { name: &own.file, text: &own.text });
        }
        let built_in = stage.built_in_prompt().and_then(Template::built_in);
        built_in.ok_or_else(|| format!("the stage {} has no prompt", stage.name))
    }

    /// What the work is compared with, and the commit that the documents are read from.
    fn base(&self) -> &CommitSha {
        self.candidate.map_or(&self.job.base, |candidate| &candidate.base)
    }

    fn input(&self, stage: &StageConfig, commit: Commits) -> Result<PromptInput, String> {
        let job = self.job;
        let task = job.task.as_ref().ok_or("a prompt is about a task")?;
        let feature = self.feature()?;
        let line = feature.tasks.task(task);
        let story = line.and_then(|line| story(&feature, line));
        let (requirements, requirements_named) = requirements(&feature, line, story);
        Ok(PromptInput {
            role: stage.role.to_string(),
            stage: stage.name.to_string(),
            task: task_text(task, &job.title, line),
            feature: FeatureText {
                name: job.feature.to_string(),
                title: feature.spec.title.clone(),
                dir: job.dir.clone(),
            },
            story: story.map(story_text),
            requirements,
            requirements_named,
            plan: plan_text(&feature.plan),
            constitution: self.file(CONSTITUTION)?.unwrap_or_default(),
            documents: self.documents()?,
            peers: self.peers(&feature),
            gates: self.gates()?,
            attempt: job.attempt,
            attempts: stage.attempts,
            feedback: feedback(job),
            previous: self.previous(task),
            commit,
            base: self.base().to_string(),
            changed: self.changed()?,
            writes: stage.writes.clone(),
        })
    }

    fn feature(&self) -> Result<Feature, String> {
        let read = |name: &str| {
            let found = contents::blob(self.repo, self.base(), &format!("{}/{name}", self.job.dir));
            found.map(Option::unwrap_or_default).map_err(|error| chain(&error))
        };
        Ok(Feature::read(&read("spec.md")?, &read("plan.md")?, &read("tasks.md")?))
    }

    fn file(&self, path: &str) -> Result<Option<String>, String> {
        let bytes = contents::blob(self.repo, self.base(), path).map_err(|error| chain(&error))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// What there is to read beside the task, by path.
    fn documents(&self) -> Result<Vec<Document>, String> {
        let dir = &self.job.dir;
        let own = OWN_DOCUMENTS.iter().map(|(name, what)| (format!("{dir}/{name}"), *what));
        let beside = crate::feature::COMPANIONS.iter().map(|companion| match companion {
            Companion::FeatureFile(name) | Companion::FeatureDirectory(name) => {
                (format!("{dir}/{name}"), "background")
            }
            Companion::RepositoryFile(name) => ((*name).to_owned(), "the rules of this repository"),
        });
        let mut found = Vec::new();
        for (path, what) in own.chain(beside) {
            let there = contents::is_there(self.repo, self.base(), &path).map_err(|error| chain(&error))?;
            if there {
                found.push(Document { path, what: what.to_owned() });
            }
        }
        Ok(found)
    }

    fn peers(&self, feature: &Feature) -> Vec<PeerText> {
        let others = self.in_flight.iter().filter(|task| {
            task.in_flight()
                && task.key.feature == self.job.feature
                && self.job.task.as_ref() != Some(&task.key.id)
        });
        let peer = |task: &Task| PeerText {
            id: task.key.id.to_string(),
            title: task.title.clone(),
            paths: feature.tasks.task(&task.key.id).map(|line| line.paths.clone()).unwrap_or_default(),
            stage: task.stage.as_ref().map(ToString::to_string).unwrap_or_default(),
        };
        others.take(PEERS_MAX).map(peer).collect()
    }

    fn gates(&self) -> Result<Vec<GateCommand>, String> {
        let head = self.candidate.map_or(self.base(), |candidate| &candidate.commit);
        let tree = Tree { repo: self.repo, feature_dir: &self.job.dir, head, base: None };
        let command =
            |gate: GateConfig| GateCommand { name: gate.name.to_string(), command: gate.command.join(" ") };
        Ok(gates_on(&tree, self.config, |_| true)?.into_iter().map(command).collect())
    }

    /// The branch of the attempt before, if it is there.
    fn previous(&self, task: &TaskId) -> Option<String> {
        previous(self.repo, self.job, task)
    }

    fn changed(&self) -> Result<Vec<String>, String> {
        let Some(candidate) = self.candidate else { return Ok(Vec::new()) };
        let mut paths = diff::changed_paths(self.repo, &candidate.base, &candidate.commit)
            .map_err(|error| chain(&error))?;
        paths.truncate(CHANGED_MAX);
        Ok(paths)
    }
}

/// The branch of the attempt before, if it is there.
pub(super) fn previous(repo: &Repo, job: &Job, task: &TaskId) -> Option<String> {
    let before = job.attempt.checked_sub(1).filter(|attempt| *attempt > 0)?;
    let name = branch::task(&job.feature, task, before);
    repo.reference(&branch::head_ref(&name)).ok().flatten().map(|_| name)
}

/// Whether the run goes on where the same attempt asked, in the same stage: nobody is told another
/// one's question as his own.
pub(super) fn continues(job: &Job) -> bool {
    job.answer.as_ref().is_some_and(|answered| {
        let same =
            answered.stage.as_ref().map_or(job.kind == StageKind::Work, |at| Some(at) == job.stage.as_ref());
        same && answered.attempt == job.attempt
    })
}

/// What the attempt before was told is wrong, or the answer to its question.
pub(super) fn feedback(job: &Job) -> Option<Feedback> {
    if let Some(answered) = job.answer.as_ref().filter(|_| continues(job)) {
        let stage = job.stage.as_ref().map_or("", |stage| stage.as_str());
        return Some(Feedback::answer(stage, &answered.question, &answered.answer));
    }
    let told = job.feedback.as_ref()?;
    let findings = told.findings.iter().filter_map(|value| serde_json::from_value(value.clone()).ok());
    Some(Feedback {
        stage: told.stage.clone(),
        reason: told.reason.clone(),
        findings: findings.collect(),
        ..Feedback::default()
    })
}

fn task_text(id: &TaskId, title: &str, line: Option<&TaskLine>) -> TaskText {
    let text = |line: &TaskLine| format!("{}\n{}", line.title, line.details).trim_end().to_owned();
    TaskText {
        id: id.to_string(),
        text: line.map_or_else(|| title.to_owned(), text),
        paths: line.map(|line| line.paths.clone()).unwrap_or_default(),
        labels: line.map(|line| line.labels.clone()).unwrap_or_default(),
    }
}

fn story<'f>(feature: &'f Feature, line: &TaskLine) -> Option<&'f Story> {
    line.stories.iter().find_map(|name| feature.spec.stories.iter().find(|story| story.id == *name))
}

fn story_text(story: &Story) -> StoryText {
    let scenarios: Vec<String> =
        story.scenarios.iter().map(|scenario| format!("- {}", scenario.text)).collect();
    StoryText {
        id: story.id.clone(),
        priority: story.priority.clone().unwrap_or_default(),
        text: format!("{}\n{}", story.title, scenarios.join("\n")),
    }
}

/// Those that the task or its story names; without any, all of the feature's, for spec-kit has no
/// other link between the two. Whether they were named.
fn requirements(feature: &Feature, line: Option<&TaskLine>, story: Option<&Story>) -> (String, bool) {
    let mut text = line.map(|line| format!("{}\n{}", line.title, line.details)).unwrap_or_default();
    for scenario in story.iter().flat_map(|story| &story.scenarios) {
        text.push_str(&scenario.text);
        text.push('\n');
    }
    let spec = &feature.spec;
    let named: Vec<&Requirement> =
        spec.requirements.iter().chain(&spec.criteria).filter(|found| names(&text, &found.id)).collect();
    let is_named = !named.is_empty();
    let chosen = if is_named { named } else { spec.requirements.iter().take(REQUIREMENTS_MAX).collect() };
    let lines: Vec<String> = chosen.iter().map(|found| format!("{}: {}", found.id, found.text)).collect();
    (lines.join("\n"), is_named)
}

/// Whether a text has an id as a word of its own: `FR-001` is not in `FR-0011`.
fn names(text: &str, id: &str) -> bool {
    text.match_indices(id).any(|(at, _)| {
        let after = text[at + id.len()..].chars().next();
        after.is_none_or(|next| !next.is_alphanumeric())
    })
}

fn plan_text(plan: &PlanDocument) -> String {
    let fields = [
        ("Language", &plan.language),
        ("Dependencies", &plan.dependencies),
        ("Storage", &plan.storage),
        ("Testing", &plan.testing),
        ("Platform", &plan.platform),
        ("Project", &plan.project_type),
        ("Structure", &plan.structure),
    ];
    let said = fields.into_iter().filter(|(_, text)| !text.is_empty());
    said.map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature() -> Feature {
        let spec = "# Feature Specification: X\n\n### User Story 1 - Use it (Priority: P1)\n\n\
                    1. **Given** a thing, **When** it is used, **Then** FR-002 holds\n\n## Requirements\n\n\
                    - **FR-001**: one\n- **FR-0011**: eleven\n- **FR-002**: two\n- **SC-001**: fast\n";
        let plan = "# Implementation Plan: X\n\n**Language/Version**: Python 3.12\n**Testing**: pytest\n";
        let tasks = "## Phase 1: A\n\n- [ ] T001 do it\n- [ ] T002 do FR-001\n- [ ] T003 [US1] use it within SC-001\n";
        Feature::read(spec.as_bytes(), plan.as_bytes(), tasks.as_bytes())
    }

    fn of(id: &str) -> (String, bool) {
        let feature = feature();
        let line = feature.tasks.task(&TaskId::parse(id).unwrap()).unwrap();
        requirements(&feature, Some(line), story(&feature, line))
    }

    #[test]
    fn requirements_are_those_that_are_named_or_else_all() {
        assert_eq!(of("T001"), ("FR-001: one\nFR-0011: eleven\nFR-002: two".to_owned(), false));
        assert_eq!(of("T002"), ("FR-001: one".to_owned(), true));
        assert_eq!(of("T003"), ("FR-002: two\nSC-001: fast".to_owned(), true));
    }

    #[test]
    fn of_the_plan_its_context_is_told() {
        assert_eq!(plan_text(&feature().plan), "Language: Python 3.12\nTesting: pytest");
        assert_eq!(plan_text(&PlanDocument::default()), "");
    }
}
