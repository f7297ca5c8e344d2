//! A task's conversation with a model's program, over the runs of a stage: its name, and what it
//! has used so far. A file of the worker's own in the state directory: without it the next run
//! begins another conversation, and nothing is lost but words.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::life::Desk;
use super::review::sum;
use super::screen::Screen;
use super::spending;
use crate::agents::outcome::ProgramEnding;
use crate::agents::stream::{Failure, Reader, Told, Usage};
use crate::config::cli_agent::Trouble;
use crate::config::{Adapter, AgentMode};
use crate::domain::budget::usd;
use crate::domain::spent::Spent;
use crate::domain::state::Job;
use crate::git::worktree::Worktree;

/// Bytes of the file that a program writes about its run; of a longer one nothing is known.
const RESULT_BYTES_MAX: u64 = 64 << 20;

/// What is known of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Conversation {
    /// The adapter that it is held with; another one cannot go on with it.
    agent: String,
    /// Where: programs look a conversation up by their working directory.
    worktree: PathBuf,
    /// Its name, as the program knows it.
    session: String,
    /// Used by all its runs, where the program counts so.
    #[serde(default)]
    used: Option<Usage>,
}

/// A run's part of it.
#[derive(Debug)]
pub(super) struct Talk {
    /// The name: of the conversation that goes on, or one that sprint has given.
    pub(super) session: Option<String>,
    before: Option<Conversation>,
    path: Option<PathBuf>,
    worktree: PathBuf,
}

/// What is known of a conversation's part when its program has ended.
#[derive(Debug)]
pub(super) struct Closed {
    /// How it failed, by the program's own account.
    pub(super) failure: Option<Failure>,
    /// The program does not know the conversation that it was to go on with.
    pub(super) forgotten: bool,
}

impl Talk {
    /// Goes on with the task's conversation where there is one that this adapter can resume.
    pub(super) fn begin(desk: &Desk<'_>, adapter: &Adapter, worktree: &Worktree) -> Self {
        let worktree = worktree.path.clone();
        let Some(cli) = &adapter.cli else {
            return Self { session: None, before: None, path: None, worktree };
        };
        let path = path(&desk.place.layout.state, &desk.run.job);
        let resume = match adapter.mode {
            AgentMode::Headless => &cli.headless.resume,
            AgentMode::Interactive => &cli.interactive.resume,
        };
        let known = path.as_deref().filter(|_| !resume.is_empty()).and_then(read);
        let before = known.filter(|known| known.agent == adapter.name && known.worktree == worktree);
        let named = || cli.session.assign.then(|| uuid::Uuid::new_v4().to_string());
        let session = before.as_ref().map(|before| before.session.clone()).or_else(named);
        Self { session, before, path, worktree }
    }

    /// Whether it began in an earlier run.
    pub(super) fn resumes(&self) -> bool {
        self.before.is_some()
    }

    /// The program has ended: keeps what is to be known of the conversation, and says what was used.
    /// `silent`: nothing has shown that it knew the conversation.
    pub(super) fn end(
        self,
        desk: &Desk<'_>,
        adapter: &Adapter,
        screen: &mut Screen,
        reader: &Reader,
        (ending, silent): (&ProgramEnding, bool),
    ) -> Closed {
        let told = reader.told();
        let (usage, now) = self.after(adapter, told);
        let spent = match usage {
            Some(usage) => {
                let spent = spending::spent(desk, adapter, told, &usage);
                screen.say(&used(&spent));
                Some(spent)
            }
            None => keeps_its_use(adapter, told, ending).then(|| spending::untold(adapter, told)),
        };
        let before = desk.spent.take();
        desk.spent.replace(sum(before, spent));
        let forgotten = self.resumes() && silent && is_forgotten(told, ending);
        if let Some(path) = &self.path {
            let kept = match now.filter(|_| !forgotten) {
                Some(conversation) => write(path, &conversation),
                // The program does not know it any more, or has none.
                None => forget(path),
            };
            if let Err(error) = kept {
                tracing::warn!(path = %path.display(), %error, "the conversation cannot be kept; another begins next time");
            }
        }
        Closed { failure: told.failure.clone().or_else(|| unfinished(told, ending)), forgotten }
    }

    /// What this run has used, as told so far.
    pub(super) fn used(&self, adapter: &Adapter, told: &Told) -> Option<Usage> {
        self.after(adapter, told).0
    }

    /// What this run used, and the conversation as it is now.
    fn after(&self, adapter: &Adapter, told: &Told) -> (Option<Usage>, Option<Conversation>) {
        let session = told.session.clone().or_else(|| self.session.clone());
        // Another conversation began than the one that was to go on.
        let same = self.before.as_ref().filter(|before| Some(&before.session) == session.as_ref());
        let earlier = same.and_then(|before| before.used);
        let usage = match (told.usage, earlier) {
            (Some(now), Some(earlier)) if told.cumulative => Some(now.since(&earlier)),
            (now, _) => now,
        };
        let used = if told.cumulative { told.usage.or(earlier) } else { None };
        let (agent, worktree) = (adapter.name.clone(), self.worktree.clone());
        (usage, session.map(|session| Conversation { agent, worktree, session, used }))
    }
}

/// The file that a program wrote about its run, where its adapter knows of one.
pub(super) fn result(desk: &Desk<'_>, adapter: &Adapter) -> Option<Vec<u8>> {
    let name = adapter.cli.as_ref().map(|cli| &cli.headless.result).filter(|name| !name.is_empty())?;
    let path = desk.place.layout.run(&desk.run.id).join(name);
    let mut bytes = Vec::new();
    let file = fs::File::open(&path);
    match file.and_then(|file| file.take(RESULT_BYTES_MAX).read_to_end(&mut bytes)) {
        Ok(_) => Some(bytes),
        Err(error) => {
            // It did not come so far: without its good end the run is none that is done.
            tracing::warn!(path = %path.display(), %error, "a program's result cannot be read");
            None
        }
    }
}

/// Whether a program has used its service and does not tell how much.
fn keeps_its_use(adapter: &Adapter, told: &Told, ending: &ProgramEnding) -> bool {
    match (adapter.mode, ending) {
        (_, ProgramEnding::NotStarted(_) | ProgramEnding::NoProgram(_) | ProgramEnding::Unreached(_)) => {
            false
        }
        // One that ends before its turn may not have come to it.
        (AgentMode::Headless, ProgramEnding::Exited(_) | ProgramEnding::Signaled(_)) => told.done,
        _ => true,
    }
}

/// Whether a program that was to go on with a conversation, and has shown nothing of it, ended by
/// itself. One that its service has refused knows it all the same.
fn is_forgotten(told: &Told, ending: &ProgramEnding) -> bool {
    let refused = told.failure.as_ref().is_some_and(|failure| failure.class.is_of_the_service());
    // Some tell that they have used nothing.
    let used = told.usage.is_some_and(|usage| usage.input > 0 || usage.output > 0);
    !used && !refused && matches!(ending, ProgramEnding::Exited(_))
}

/// A good end has an event of its own; exit 0 without it is none. Neither is exit 2: programs end so
/// that do not know an argument, and no model can make its program say "nothing to do" with it.
fn unfinished(told: &Told, ending: &ProgramEnding) -> Option<Failure> {
    let text = match ending {
        ProgramEnding::Exited(0) => "the agent ended with exit code 0 in the middle of its turn",
        ProgramEnding::Exited(2) => "the agent ended with exit code 2 before its turn was over",
        _ => return None,
    };
    let failure = || Failure { class: Trouble::Other, text: text.to_owned(), until: None, told: false };
    (!told.done).then(failure)
}

fn used(spent: &Spent) -> String {
    let cached = spent.cached.map_or_else(String::new, |cached| format!(" ({cached} cached)"));
    let mark = if spent.estimated.is_some() { "~" } else { "" };
    let cost = spent.cost_micro_usd;
    let cost = cost.map_or_else(|| "cost unknown".to_owned(), |cost| format!("{mark}{}", usd(cost)));
    format!("used {} tokens in{cached}, {} out, {cost}", spent.input, spent.output)
}

/// Where it lies: ids only, so that nothing of a title becomes a path.
fn path(state: &Path, job: &Job) -> Option<PathBuf> {
    let name = format!("{}-{}.json", job.task.as_ref()?, job.stage.as_ref()?);
    Some(state.join("sessions").join(job.feature.as_str()).join(name))
}

fn read(path: &Path) -> Option<Conversation> {
    let text = fs::read(path).ok()?;
    match serde_json::from_slice(&text) {
        Ok(known) => Some(known),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a conversation cannot be read; another begins");
            None
        }
    }
}

/// Whole or not at all.
fn write(path: &Path, conversation: &Conversation) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let part = path.with_extension("part");
    fs::write(&part, serde_json::to_vec(conversation)?)?;
    fs::rename(part, path)
}

fn forget(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
