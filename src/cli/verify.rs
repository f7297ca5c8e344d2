//! `sprint verify`: what sprint promises, held against the database, git and the report files by a
//! checker of its own.

use serde::Serialize;

use super::args::JsonArgs;
use super::context::Context;
use super::environment::Environment;
use super::out::Out;
use super::text::{Tone, count, plain};
use crate::error::{CliError, chain, exit};
use crate::verify::{self, Broken, Invariant, Outcome, Place};

/// Of what cannot be told without the database.
const NOT_SEEN: &str = "not looked at";
/// Characters of what was seen.
const WHAT_MAX: usize = 400;

/// `sprint verify --json`.
#[derive(Debug, Serialize)]
struct Verified<'o> {
    holds: bool,
    invariants: Vec<Row>,
    #[serde(flatten)]
    outcome: &'o Outcome,
}

/// One invariant.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    promise: &'static str,
    holds: bool,
    /// Whether it could be looked at.
    seen: bool,
}

/// Runs `sprint verify`: 0 if everything holds, 1 if something does not.
///
/// # Errors
/// The repository or the state directory cannot be read (exit 3).
pub fn run(args: JsonArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let layout = context.layout().filter(|layout| layout.database().exists());
    let Some(layout) = layout else {
        nothing(args, out);
        return Ok(exit::DONE);
    };
    let (database, runs) = (layout.database(), layout.runs());
    let place = Place { database: &database, runs: &runs, git: &context.repo.common_dir };
    let outcome = verify::check(place).map_err(|error| {
        CliError::environment(format!("nothing can be said: {}", chain(&error)))
            .hint("`sprint doctor` says what is wrong with this repository and its state directory")
    })?;
    if args.json {
        out.json(&Verified {
            holds: outcome.broken.is_empty(),
            invariants: rows(&outcome),
            outcome: &outcome,
        });
    } else {
        show(&outcome, out);
    }
    Ok(if outcome.broken.is_empty() { exit::DONE } else { exit::UNFINISHED })
}

fn nothing(args: JsonArgs, out: &mut Out<'_>) {
    let outcome = Outcome::default();
    if args.json {
        out.json(&Verified { holds: true, invariants: rows(&outcome), outcome: &outcome });
    } else {
        out.line("No sprint has run in this repository yet: there is nothing to verify.");
    }
}

fn rows(outcome: &Outcome) -> Vec<Row> {
    let row = |invariant: Invariant| Row {
        name: invariant.name(),
        promise: invariant.promise(),
        holds: seen(outcome, invariant) && of(outcome, invariant).next().is_none(),
        seen: seen(outcome, invariant),
    };
    Invariant::ALL.into_iter().map(row).collect()
}

fn seen(outcome: &Outcome, invariant: Invariant) -> bool {
    !outcome.unseen.contains(&invariant)
}

fn of(outcome: &Outcome, invariant: Invariant) -> impl Iterator<Item = &Broken> {
    outcome.broken.iter().filter(move |broken| broken.invariant == invariant)
}

fn show(outcome: &Outcome, out: &mut Out<'_>) {
    let looked = [
        count(outcome.features, "feature"),
        count(outcome.tasks, "task"),
        format!("{} landed", outcome.landed),
        count(outcome.runs, "run"),
        count(outcome.reports, "report file"),
    ];
    out.line(looked.join(", "));
    out.line("");
    let width = if outcome.unseen.is_empty() { 6 } else { NOT_SEEN.len() };
    for row in rows(outcome) {
        let (word, tone) = match (row.seen, row.holds) {
            (false, _) => (NOT_SEEN, Tone::Warn),
            (true, true) => ("holds", Tone::Good),
            (true, false) => ("BROKEN", Tone::Bad),
        };
        let word = out.colour.paint(tone, &format!("{word:<width$}"));
        out.line(format!("{word}  {:<9}  {}", row.name, row.promise));
    }
    if outcome.broken.is_empty() {
        return;
    }
    out.line("");
    for broken in &outcome.broken {
        out.line(format!("{}: {}", broken.invariant.name(), plain(&broken.what, WHAT_MAX)));
    }
    out.line("");
    out.line(
        "Nothing was changed. Keep the state directory and the repository as they are (`sprint stop` keeps",
    );
    out.line("both), and look at `sprint logs` and `sprint events` for the moment at which it happened.");
}
