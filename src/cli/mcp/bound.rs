//! The one run that the tools are about: who it is, and what it may ask.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use camino::Utf8PathBuf;

use super::tools::Asked;
use super::views;
use crate::agents::claim::{self, Claim};
use crate::cli::agent::own_run;
use crate::cli::context::{discover, store_error};
use crate::cli::environment::Environment;
use crate::cli::gate_trees::Head;
use crate::cli::gates::{Call, chosen};
use crate::cli::text::Colour;
use crate::config::Config;
use crate::config::layout::Layout;
use crate::domain::ids::{RunId, Token};
use crate::domain::state::{Run, RunStatus};
use crate::error::{CliError, chain};
use crate::git::export;
use crate::process::tree::RUN_MARK;
use crate::store::Client;
use crate::store::session::Session;

/// A file in the run's directory; its age tells the worker that the program is at work where it
/// only waits for gates, or they for the machine.
const BEAT_FILE: &str = "mcp.beat";
/// Between two of them.
const BEAT: Duration = Duration::from_secs(5);

/// A run, by its directory and token.
#[derive(Debug)]
pub(super) struct Bound {
    run_dir: Utf8PathBuf,
    run: RunId,
    token: Token,
    /// Whether it is the manager's, about what a task waits for.
    triage: bool,
    layout: Layout,
    /// The worktree, or where in it the program works.
    cwd: PathBuf,
    /// Held while gates run: a second call would take the same files from under the first.
    gates: Mutex<()>,
}

impl Bound {
    /// Out of the environment that the run gives its program.
    ///
    /// # Errors
    /// It is none, or another run's.
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, CliError> {
        let (run_dir, token) = own_run(&variable)?;
        let strange = || CliError::refused(format!("`{run_dir}` is not the directory of a run"));
        let run = run_dir.file_name().and_then(|name| RunId::parse(name).ok()).ok_or_else(strange)?;
        let state = run_dir.parent().and_then(|runs| runs.parent()).ok_or_else(strange)?;
        // Only what lies in the state directory is asked for.
        let layout = Layout { state: state.into(), runtime: PathBuf::new(), hash: String::new() };
        let cwd = variable("SPRINT_WORKTREE").map(PathBuf::from).filter(|path| path.is_absolute());
        let cwd = cwd.or_else(|| std::env::current_dir().ok()).ok_or_else(strange)?;
        let mut bound = Self { run_dir, run, token, triage: false, layout, cwd, gates: Mutex::new(()) };
        let known = bound.known(&bound.client()?).map_err(CliError::refused)?;
        if known.token != bound.token {
            return Err(CliError::refused("the token is not that of this run"));
        }
        bound.triage = known.job.triage.is_some();
        Ok(bound)
    }

    /// Whether the program is the manager's, which only looks and proposes.
    pub(super) fn is_triage(&self) -> bool {
        self.triage
    }

    /// Does what is asked; the answer for the model, or why there is none.
    pub(super) fn perform(&self, asked: Asked, cancelled: &dyn Fn() -> bool) -> Result<String, String> {
        match asked {
            Asked::Task => self.task(),
            Asked::Peers => self.peers(),
            Asked::Gates(names) => self.gates(&names, cancelled),
            Asked::Claim(claim) => self.claim(claim),
        }
    }

    fn client(&self) -> Result<Client, CliError> {
        Client::open_read_only(&self.layout.database()).map_err(store_error)
    }

    fn known(&self, client: &Client) -> Result<Run, String> {
        let run = client.run(&self.run).map_err(|error| chain(&error))?;
        run.ok_or_else(|| "this run is not known any more; end your turn".to_owned())
    }

    /// The run, while it counts.
    fn active(&self, client: &Client) -> Result<Run, String> {
        let run = self.known(client)?;
        let is_active = client.orders_of(&self.run).map_err(|error| chain(&error))?.active;
        if is_active && run.status == RunStatus::Active {
            Ok(run)
        } else {
            Err("this run is over: the task went elsewhere; end your turn".to_owned())
        }
    }

    fn task(&self) -> Result<String, String> {
        let client = self.client().map_err(|error| told(&error))?;
        let run = self.active(&client)?;
        let (config, repo) = (config(&client, &run)?, discover(&self.cwd).map_err(|error| told(&error))?);
        views::task(&repo, &run.job, &config)
    }

    fn peers(&self) -> Result<String, String> {
        let client = self.client().map_err(|error| told(&error))?;
        let run = self.active(&client)?;
        let overview = client.overview().map_err(|error| chain(&error))?;
        Ok(views::peers(&overview.state, &run.job))
    }

    fn claim(&self, claim: Claim) -> Result<String, String> {
        self.active(&self.client().map_err(|error| told(&error))?)?;
        let proposes = matches!(claim, Claim::Propose { .. });
        if proposes != self.triage && !matches!(claim, Claim::Comment { .. }) {
            let otherwise = "you are asked for a proposal about this task: call `propose`";
            return Err(if proposes { "only the manager's agent proposes" } else { otherwise }.to_owned());
        }
        let answer = match &claim {
            Claim::Done { .. } => "Recorded. End your turn; the work is checked now.",
            Claim::Blocked { .. } => "Recorded. End your turn; you go on when a person has answered.",
            Claim::Comment { .. } => "Recorded.",
            Claim::Fail { .. } | Claim::Verdict { .. } | Claim::Propose { .. } => "Recorded. End your turn.",
        };
        claim::append(&self.run_dir, &self.token, claim).map_err(|error| chain(&error))?;
        Ok(answer.to_owned())
    }

    fn gates(&self, names: &[String], cancelled: &dyn Fn() -> bool) -> Result<String, String> {
        let Ok(_one) = self.gates.try_lock() else {
            return Err("gates of this run are running already; wait for their result".to_owned());
        };
        let client = self.client().map_err(|error| told(&error))?;
        let run = self.active(&client)?;
        let config = config(&client, &run)?;
        let repo = discover(&self.cwd).map_err(|error| told(&error))?;
        if !within(&repo.top, &self.layout.worktrees()) {
            return Err(format!("`{}` is not a worktree of this sprint", repo.top.display()));
        }
        let head = export::snapshot(&repo).map_err(|error| chain(&error))?.commit;
        let base = run.job.base.clone();
        let wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let gates = chosen(&wanted, None, &config, &repo, (&head, &base)).map_err(|error| told(&error))?;
        if gates.is_empty() {
            return Ok("There are no gates: test the work yourself.".to_owned());
        }
        let beat = Beat::new(self.run_dir.join(BEAT_FILE));
        let watched = || {
            beat.now_and_then();
            cancelled()
        };
        let env = self.environment()?;
        let (head, fresh) = (Head::Checkout(head), false);
        let call = Call {
            env: &env,
            config: &config,
            repo: &repo,
            head,
            base: Some(base),
            fresh,
            cancel: &watched,
            watch: None,
            all: true,
        };
        call.perform(&gates, &mut std::io::sink())
            .map(|ran| ran.text(Colour::Off))
            .map_err(|error| told(&error))
    }

    /// Gates have the person's environment as `start` found it, whatever the program passes on.
    fn environment(&self) -> Result<Environment, String> {
        let session = Session::read(&self.layout.session()).map_err(|error| chain(&error))?;
        let mut variables = session.environment();
        variables.retain(|(name, _)| !name.as_encoded_bytes().starts_with(b"SPRINT_"));
        // What they leave behind is found by it, and ended with the run.
        variables.push((RUN_MARK.into(), self.run.as_str().into()));
        Ok(Environment {
            cwd: self.cwd.clone(),
            variables,
            stdin_is_terminal: false,
            stdout_is_terminal: false,
            columns: None,
        })
    }
}

/// As the feature was frozen with.
fn config(client: &Client, run: &Run) -> Result<Config, String> {
    let text = client.config(&run.job.config).map_err(|error| chain(&error))?;
    let text = text.ok_or("the configuration of this feature is missing")?;
    serde_json::from_str(&text).map_err(|error| format!("the configuration of this feature: {error}"))
}

fn within(path: &Path, directory: &Path) -> bool {
    match (path.canonicalize(), directory.canonicalize()) {
        (Ok(path), Ok(directory)) => path.starts_with(directory),
        _ => false,
    }
}

/// An error for people, as one text for a model.
pub(super) fn told(error: &CliError) -> String {
    let mut text = error
        .source
        .as_ref()
        .map_or_else(|| error.message.clone(), |source| format!("{}: {source}", error.message));
    for hint in &error.hints {
        text.push_str("; ");
        text.push_str(hint);
    }
    text
}

/// Touches a file, not too often.
struct Beat {
    path: Utf8PathBuf,
    last: Cell<Option<Instant>>,
}

impl Beat {
    fn new(path: Utf8PathBuf) -> Self {
        Self { path, last: Cell::new(None) }
    }

    fn now_and_then(&self) {
        if self.last.get().is_some_and(|last| last.elapsed() < BEAT) {
            return;
        }
        self.last.set(Some(Instant::now()));
        let touched = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .and_then(|file| file.set_modified(SystemTime::now()));
        if let Err(error) = touched {
            tracing::debug!(%error, "the sign of life cannot be written");
        }
    }
}
