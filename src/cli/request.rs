//! Asking the supervisor for something: a row in the inbox, a ring, and the result.
//!
//! Without a supervisor the row stays and is applied at the next `sprint start`; what can be
//! refused at once (an unknown task) is.

use std::time::{Duration, Instant};

use super::asked::Asked;
use super::context::{Context, store_error};
use super::follow::Follower;
use super::out::Out;
use super::text::plain;
use crate::config::layout::Layout;
use crate::config::nearest;
use crate::domain::draft::Reply;
use crate::domain::event::Request;
use crate::domain::state::State;
use crate::domain::task::{Task, TaskKey, TaskName};
use crate::error::{CliError, ErrorKind, exit};
use crate::process::letterbox::{self, Asked as Came, Asker, Sender};
use crate::process::supervisor_file::SupervisorFile;
use crate::process::{clock, doorbell};
use crate::redact;
use crate::store::{Client, InboxBody, Overview, Plans, StoreError};

/// An id that is less like the one that was given is not worth a hint.
const ALIKE: f64 = 0.5;
/// How long a result is waited for.
const RESULT_WAIT: Duration = Duration::from_secs(10);
/// Without a ring the result is looked for after so long, at first and at last.
const LOOK_MS: (u16, u16) = (100, 1_000);
/// A row is tried so often when the disk or the lock says no.
const APPENDS_MAX: u32 = 3;

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The supervisor's answer.
    Answered(Reply),
    /// No supervisor: it is applied later.
    Later,
}

/// Refuses a text of a person's that holds a secret: it would be kept, and told to a model.
///
/// # Errors
/// It does.
pub fn no_secret(what: &str, text: &str) -> Result<(), CliError> {
    if redact::text(text) == text {
        return Ok(());
    }
    let kind = redact::first(text).unwrap_or("the value of one of your variables");
    Err(CliError::refused(format!("{what} holds a secret ({kind}): it would be kept, and told to a model"))
        .hint("set it in the environment of `sprint start`, and name the variable instead"))
}

/// Sends a request and prints what became of it; the exit code is the supervisor's.
///
/// # Errors
/// The request was refused, the store cannot be written, or nobody answered in time.
pub fn send(context: &Context, request: Request, out: &mut Out<'_>) -> Result<u8, CliError> {
    let (client, layout) = context.required()?;
    match deliver(&client, layout, context.supervisor().as_ref(), request)? {
        Outcome::Answered(reply) => answered(&reply, out),
        Outcome::Later => Ok(later("", out)),
    }
}

/// Prints a good result; makes an error of a refusal.
///
/// # Errors
/// The supervisor refused.
pub fn answered(reply: &Reply, out: &mut Out<'_>) -> Result<u8, CliError> {
    let message = plain(&reply.message, 2_000);
    let kind = match reply.exit {
        exit::DONE => {
            out.line(message);
            return Ok(exit::DONE);
        }
        exit::USAGE => ErrorKind::Usage,
        exit::ENVIRONMENT => ErrorKind::Environment,
        exit::BUG => ErrorKind::Internal,
        _ => ErrorKind::Refused,
    };
    Err(CliError::new(kind, message))
}

/// Appends the request, and waits for its result if there is a supervisor.
///
/// # Errors
/// The store cannot be written, or nobody answered in time.
pub fn deliver(
    client: &Client,
    layout: &Layout,
    supervisor: Option<&SupervisorFile>,
    request: Request,
) -> Result<Outcome, CliError> {
    // The doorbell first: a ring between the row and the wait is heard.
    let follower = supervisor.map(|_| Follower::new(Some(layout)));
    let mut question = Question { client, layout, supervisor, follower, end: None, look: LOOK_MS.0 };
    let row = letterbox::send(&question, &InboxBody::Request(request))?;
    match letterbox::wait_for(&mut question, &row)? {
        Came::Answered(reply) => Ok(Outcome::Answered(reply)),
        Came::Kept => Ok(Outcome::Later),
        Came::TooLong => {
            let text = format!("the supervisor has not answered for {} s", RESULT_WAIT.as_secs());
            Err(CliError::environment(text)
                .hint("the request is recorded and will be applied")
                .hint("sprint health says what the supervisor does"))
        }
    }
}

/// A request on its way: a row, a ring, and the look for its result.
struct Question<'a> {
    client: &'a Client,
    layout: &'a Layout,
    supervisor: Option<&'a SupervisorFile>,
    follower: Option<Follower>,
    /// From the first wait on.
    end: Option<Instant>,
    look: u16,
}

impl Sender for Question<'_> {
    type Error = CliError;
    type Letter = InboxBody;
    type Receipt = i64;

    fn put(&self, body: &InboxBody) -> Result<i64, CliError> {
        append(self.client, body)
    }

    fn ring(&self) {
        if let Err(error) = doorbell::ring(&self.layout.supervisor_bell()) {
            tracing::debug!(%error, "the supervisor could not be rung; it looks by itself");
        }
    }
}

impl Asker for Question<'_> {
    type Answer = Reply;

    fn answer(&self, row: &i64) -> Result<Option<Reply>, CliError> {
        self.client.result(*row).map_err(store_error)
    }

    fn has_reader(&self) -> bool {
        self.supervisor.is_some_and(SupervisorFile::alive)
    }

    fn wait(&mut self) -> bool {
        let now = Instant::now();
        if now >= *self.end.get_or_insert(now + RESULT_WAIT) {
            return false;
        }
        if let Some(follower) = &self.follower {
            follower.rang(self.look);
        }
        self.look = self.look.saturating_mul(2).min(LOOK_MS.1);
        true
    }
}

fn append(client: &Client, body: &InboxBody) -> Result<i64, CliError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match client.append(body, clock::wall_ms()) {
            Ok(id) => return Ok(id),
            // Busy after SQLite's own wait: once more, then the person is told.
            Err(StoreError::Sqlite(_)) if tries < APPENDS_MAX => {}
            Err(error) => return Err(store_error(error)),
        }
    }
}

/// A request about a task (`T002` or `001-words/T002`): its name is checked against the store first, and, where no supervisor
/// will say so, whether it makes sense.
///
/// # Errors
/// No such task, or it cannot be done with it now (exit 4); and as [`send`].
pub fn about_task(
    context: &Context,
    task: &str,
    request: impl FnOnce(TaskName) -> Request,
    out: &mut Out<'_>,
) -> Result<u8, CliError> {
    let (client, layout) = context.required()?;
    let supervisor = context.supervisor();
    let plans = if supervisor.is_some() { Plans::OfOpen } else { Plans::OfAll };
    let overview = client.overview_with(plans).map_err(store_error)?;
    let named = find_task(&overview.state, task)?;
    // One that names no feature stays so: which of several makes sense, the supervisor decides.
    let name = if task.contains('/') { named.key.name() } else { named.key.id.clone().into() };
    let request = request(name.clone());
    let mut instead = String::new();
    if supervisor.is_none() {
        let asked = Asked::of(&overview, clock::now());
        foresee(&overview, &asked, &name, &request)?;
        if let (Request::Answer { .. }, Some((_, Request::Answer { text, .. }))) =
            (&request, asked.about_name(&name))
        {
            instead = format!(", instead of \"{}\"", plain(text, 500));
        }
    }
    match deliver(&client, layout, supervisor.as_ref(), request)? {
        Outcome::Answered(reply) => answered(&reply, out),
        Outcome::Later => Ok(later(&instead, out)),
    }
}

fn later(instead: &str, out: &mut Out<'_>) -> u8 {
    out.line(format!("no supervisor runs: applied at the next `sprint start`{instead}"));
    exit::DONE
}

/// What the next supervisor would refuse is refused at once, unless something else waits for it
/// that could make sense of it: a worker's report, a feature.
fn foresee(overview: &Overview, asked: &Asked, name: &TaskName, request: &Request) -> Result<(), CliError> {
    let before = asked.about_name(name);
    let refused = asked.reply_to(request).filter(|reply| reply.exit != exit::DONE);
    let all_known = overview.inbox.0 == u64::try_from(overview.asked.len()).unwrap_or(u64::MAX);
    match (before, refused) {
        (Some((key, _)), Some(_)) => Err(already(asked, key)),
        (Some((key, before)), None) if before == request => Err(already(asked, key)),
        (None, Some(reply)) if all_known => Err(CliError::refused(plain(&reply.message, 2_000))),
        (Some(_) | None, _) => Ok(()),
    }
}

fn already(asked: &Asked, task: &TaskKey) -> CliError {
    let done = asked.about(task).map(|row| row.done()).unwrap_or_default();
    CliError::refused(format!("{} is already {done}", task.id))
        .hint("that is applied at the next `sprint start`")
}

/// The task of that name: `001-words/T002`, or `T002` of the feature that is built, else of the newest
/// that has it.
///
/// # Errors
/// There is none (exit 4); names the nearest.
pub fn find_task<'s>(state: &'s State, text: &str) -> Result<&'s Task, CliError> {
    let current = state.current().map(|feature| &feature.id);
    let order = |task: &Task| state.features.get(&task.key.feature).map_or(0, |feature| feature.order);
    let name = TaskName::parse(text).map_err(|_| unknown_task(state, text))?;
    let same = state.tasks.values().filter(|task| name.means(&task.key));
    let best = same.max_by_key(|task| (current == Some(&task.key.feature), order(task)));
    best.ok_or_else(|| unknown_task(state, text))
}

fn unknown_task(state: &State, text: &str) -> CliError {
    let shown = plain(text, 80);
    let error = CliError::refused(format!("there is no task `{shown}`"));
    let whole = text.contains('/');
    let name = |key: &TaskKey| if whole { key.name().to_string() } else { key.id.to_string() };
    let names: Vec<String> = state.tasks.keys().map(name).collect();
    let ids: Vec<&str> = names.iter().map(String::as_str).collect();
    let other_case = ids.iter().find(|id| id.eq_ignore_ascii_case(text)).copied();
    let alike = nearest(&shown, ids.iter().copied())
        .filter(|near| strsim::normalized_damerau_levenshtein(&shown, near) >= ALIKE);
    match other_case.or(alike) {
        Some(near) => error.hint(format!("the nearest is `{near}`; `sprint task list` shows all")),
        None => error.hint("`sprint task list` shows all"),
    }
}
