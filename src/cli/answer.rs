//! `sprint answer`: lists what tasks ask, and answers.

use std::io::Read as _;

use serde::Serialize;

use super::args::AnswerArgs;
use super::asked::PendingRow;
use super::context::{Context, store_error};
use super::environment::Environment;
use super::out::Out;
use super::request::{about_task, find_task, no_secret};
use super::status::Moment;
use super::text::{Tone, plain_lines};
use crate::domain::event::Request;
use crate::domain::task::{Status, Task, TaskName, WaitKind};
use crate::domain::triage::Action;
use crate::error::{CliError, exit};

/// Bytes of an answer.
const ANSWER_MAX: usize = 64 * 1024;

/// A question in `answer --json`.
#[derive(Debug, Serialize)]
struct Question<'a> {
    feature: &'a str,
    task: &'a str,
    #[serde(rename = "question")]
    text: &'a str,
    /// The task's name as it is shown.
    #[serde(skip)]
    name: String,
    /// What was said and is not applied yet.
    answer: Option<String>,
    /// What was done about the question and is not applied yet.
    #[serde(skip)]
    done: Option<String>,
}

/// Runs it.
///
/// # Errors
/// No text, an unknown task, or as [`about_task`].
pub fn run(args: &AnswerArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let Some(task) = &args.task else { return list(&context, args.json, out) };
    let (task, text) =
        if args.proposed { proposed(&context, task)? } else { (task.clone(), text(args, env)?) };
    about_task(&context, &task, |task| Request::Answer { task, text }, out)
}

fn text(args: &AnswerArgs, env: &Environment) -> Result<String, CliError> {
    let task = args.task.as_deref().unwrap_or("T003");
    let text = if !args.text.is_empty() {
        args.text.join(" ")
    } else if env.stdin_is_terminal {
        return Err(CliError::usage("there is no answer")
            .hint(format!("sprint answer {task} \"…\", or give it on standard input")));
    } else {
        from_stdin()?
    };
    if text.trim().is_empty() {
        return Err(CliError::usage("the answer is empty").hint(format!("sprint answer {task} \"…\"")));
    }
    if text.len() > ANSWER_MAX {
        return Err(CliError::usage(format!("the answer has more than {ANSWER_MAX} bytes")));
    }
    no_secret("the answer", &text)?;
    Ok(text)
}

/// Whom the manager's agent would answer, and what.
fn proposed(context: &Context, task: &str) -> Result<(String, String), CliError> {
    let (client, _) = context.required()?;
    let overview = client.overview().map_err(store_error)?;
    let found = find_task(&overview.state, task)?;
    let name = TaskName::parse(task).map_err(|error| CliError::usage(error.to_string()))?;
    let same = overview.state.tasks.values().filter(|other| name.means(&other.key));
    let answers = |task: &&Task| task.proposal().is_some_and(|proposal| proposal.action == Action::Answer);
    let mut proposals = same
        .filter(answers)
        .filter_map(|task| Some((task.key.name().to_string(), task.proposal()?.text.clone())));
    let first = proposals.next().ok_or_else(|| {
        let name = overview.state.name_of(&found.key);
        CliError::refused(format!("nobody proposes an answer for {name}"))
            .hint(format!("sprint answer {name} \"…\""))
    })?;
    match proposals.next() {
        None => Ok(first),
        // A proposal is accepted unseen: it must be the one that is meant.
        Some(other) => {
            Err(CliError::refused(format!("an answer is proposed for {} and for {}", first.0, other.0))
                .hint(format!("name one: sprint answer {} --proposed", first.0)))
        }
    }
}

fn from_stdin() -> Result<String, CliError> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(ANSWER_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::usage("standard input cannot be read").because(error))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| CliError::usage("the answer is not UTF-8").because(error))?;
    Ok(text.trim_end().to_owned())
}

fn list(context: &Context, json: bool, out: &mut Out<'_>) -> Result<u8, CliError> {
    let client = context.reader()?;
    let moment = Moment::read(context, client.as_ref())?;
    let picture = moment.as_ref().map(Moment::picture);
    let tasks = picture.iter().flat_map(|picture| picture.overview.state.tasks.values());
    let asked = |task: &Task| picture.as_ref().and_then(|picture| picture.asked.about(&task.key));
    let named = |task: &Task| {
        picture
            .as_ref()
            .map(|picture| picture.overview.state.name_of(&task.key).to_string())
            .unwrap_or_default()
    };
    let questions: Vec<Question<'_>> = tasks
        .filter_map(|task| match &task.status {
            Status::Waiting { wait: WaitKind::Answer, text } => {
                let asked = asked(task);
                Some(Question {
                    feature: task.key.feature.as_str(),
                    task: task.key.id.as_str(),
                    name: named(task),
                    text,
                    done: asked.as_ref().map(PendingRow::done),
                    answer: asked.filter(|row| row.request == "answer").map(|row| row.text),
                })
            }
            _ => None,
        })
        .collect();
    if json {
        out.json(&questions);
        return Ok(exit::DONE);
    }
    if questions.is_empty() {
        out.line("no task asks anything");
    }
    for question in &questions {
        out.line(format!("{} asks:", out.colour.paint(Tone::Bold, &question.name)));
        for line in plain_lines(question.text) {
            out.line(format!("  {line}"));
        }
        match (&question.done, &picture) {
            (Some(done), Some(picture)) => out.line(format!("  {done}; {}", picture.applied_when())),
            _ => out.line(format!("  sprint answer {} \"…\"", question.name)),
        }
    }
    Ok(exit::DONE)
}
