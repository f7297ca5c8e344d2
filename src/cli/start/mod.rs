//! `sprint start`: check everything, hand the features over, follow them to the end.
//!
//! - [`check`] looks at repository, features, agents and tools, and begins nothing.
//! - [`hand_over`] makes the state, files the request and sees that a supervisor runs.
//! - [`follow`] shows what happens and gives the exit code.

mod check;
mod follow;
pub(super) mod hand_over;
mod progress;
mod summary;

use std::time::Duration;

use super::args::StartArgs;
use super::environment::Environment;
use super::out::Out;
use super::text::{Colour, plain};
use crate::error::{CliError, exit};

pub use check::frozen_policy;
pub(crate) use check::plan_options;
pub(super) use check::{MORE_GATES, NO_GATES};

/// How long a new supervisor may take until it is ready.
const READY_WAIT: Duration = Duration::from_mins(1);

/// Runs it.
///
/// # Errors
/// What keeps the sprint from starting; see `docs/exit-codes.md`.
pub fn run(args: &StartArgs) -> Result<u8, CliError> {
    let env = Environment::of_process()?;
    let mut out = Out::new(std::io::stdout().lock(), Colour::from_flag(env.colour()), env.columns);
    let plan = check::check(args, &env)?;
    for warning in &plan.warnings {
        out.line(format!("warning: {}", plain(warning, 500)));
    }
    if args.dry_run {
        plan.features.iter().for_each(|feature| out.text(&feature.shown));
        out.finish()?;
        return Ok(exit::DONE);
    }
    out.flush();
    let started = hand_over::hand_over(&plan, &env)?;
    if let Some(mended) = &started.mended {
        out.line(format!("warning: {}", plain(&mended.text(), 1000)));
        out.flush();
    }
    if let Some(code) = started.over {
        let checked = &plan.checked;
        summary::print(
            &mut out,
            &started.client,
            &started.features,
            &checked.repo,
            checked.branch.as_deref(),
        )?;
        out.finish()?;
        return Ok(code);
    }
    if let Some(feature) = &started.frozen {
        out.line(format!(
            "{} goes on with the configuration that it began with; `sprint reload` takes the present one",
            plain(feature.as_str(), 200)
        ));
        out.flush();
    }
    if args.detach {
        out.line(
            "the sprint runs; `sprint status` shows it, `sprint start` follows it, `sprint stop` ends it",
        );
        out.finish()?;
        return Ok(exit::DONE);
    }
    follow::follow(&mut out, &env, &plan, &started)
}
