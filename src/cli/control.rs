//! `sprint approve`, `reject`, `pause`, `resume` and `reload`: requests without much else.

use super::args::{RejectArgs, ResumeArgs, TaskArg};
use super::context::{Context, git_error, store_error};
use super::environment::Environment;
use super::fit;
use super::foreign::{self, Foreign};
use super::out::Out;
use super::prompts;
use super::request::{about_task, no_secret, send};
use super::start::frozen_policy;
use crate::config::load;
use crate::domain::event::{ForeignBranch, Request};
use crate::domain::ids::CommitSha;
use crate::domain::state::Feature;
use crate::error::CliError;
use crate::git::landing::{self, Move};
use crate::git::{Repo, branch};
use crate::store::Client;

/// Bytes of a reason.
const REASON_MAX: usize = 4_000;

/// `sprint approve`.
///
/// # Errors
/// As [`about_task`].
pub fn approve(args: &TaskArg, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    about_task(&Context::find(env)?, &args.task, |task| Request::Approve { task }, out)
}

/// `sprint reject`.
///
/// # Errors
/// As [`about_task`].
pub fn reject(args: &RejectArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let mut reason = args.reason.join(" ");
    if reason.trim().is_empty() {
        "rejected by a person".clone_into(&mut reason);
    }
    if reason.len() > REASON_MAX {
        return Err(CliError::usage(format!(
            "the reason has {} bytes, at most {REASON_MAX} are possible",
            reason.len()
        )));
    }
    no_secret("the reason", &reason)?;
    about_task(&Context::find(env)?, &args.task, |task| Request::Reject { task, reason }, out)
}

/// `sprint pause`.
///
/// # Errors
/// As [`send`].
pub fn pause(env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    send(&Context::find(env)?, Request::Pause, out)
}

/// `sprint reload`.
///
/// # Errors
/// The configuration is wrong, or as [`send`].
pub fn reload(env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let (client, _) = context.required()?;
    let layers = context.layers(env)?;
    let mut config = load(&layers)?;
    let base = built_on(&context, &client)?;
    fit::check(&config, &layers, &context.repo, &base)?;
    // The person's commit, never the integration branch: there a task could have written it.
    let own = context.repo.head().map_err(|error| git_error("the repository cannot be read", error))?;
    prompts::freeze(&mut config, &context.repo, &own)?;
    let policy = frozen_policy(&config);
    client.put_config(&config.fingerprint(), &config.to_json()).map_err(store_error)?;
    send(&context, Request::Reload { policy: Box::new(policy) }, out)
}

/// Where the feature that is built has come to; without one, the checkout.
fn built_on(context: &Context, client: &Client) -> Result<CommitSha, CliError> {
    let overview = client.overview().map_err(store_error)?;
    let head = overview.state.current().and_then(|feature| feature.head.clone());
    let checkout = || context.repo.head().map_err(|error| git_error("the repository cannot be read", error));
    head.map_or_else(checkout, Ok)
}

/// `sprint resume`.
///
/// # Errors
/// The branch cannot be adopted or restored (exit 4), or as [`send`].
pub fn resume(args: ResumeArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let context = Context::find(env)?;
    let branch = match (args.adopt, args.restore) {
        (false, false) => None,
        (adopt, _) => {
            let (client, _) = context.required()?;
            let overview = client.overview().map_err(store_error)?;
            let halted = overview.state.features.values().find(|feature| feature.halted.is_some());
            let feature = halted.ok_or_else(|| {
                CliError::refused("landing is not halted: nobody moved the integration branch")
            })?;
            Some(if adopt {
                adopt_branch(&context.repo, feature)?
            } else {
                restore_branch(&context.repo, feature, out)?
            })
        }
    };
    send(&context, Request::Resume { branch }, out)
}

/// Its gates run where workers do, before it becomes ours.
fn adopt_branch(repo: &Repo, feature: &Feature) -> Result<ForeignBranch, CliError> {
    let (found, ours) = foreign::find(repo, feature)?;
    let name = branch::integration(&feature.id);
    match found {
        Foreign::Ahead(head) => Ok(ForeignBranch::Adopted { head }),
        Foreign::Ours => Ok(ForeignBranch::Adopted { head: ours }),
        Foreign::Gone => Err(CliError::refused(format!("`{name}` is gone: there is nothing to adopt"))
            .hint("sprint resume --restore puts it back")),
        Foreign::Astray(head) => Err(CliError::refused(format!(
            "`{name}` is at {}, which does not contain what landed ({})",
            head.short(),
            ours.short()
        ))
        .hint("sprint resume --restore sets it back and keeps those commits")),
    }
}

fn restore_branch(repo: &Repo, feature: &Feature, out: &mut Out<'_>) -> Result<ForeignBranch, CliError> {
    let (found, ours) = foreign::find(repo, feature)?;
    let name = branch::integration(&feature.id);
    let failed = |error| git_error(&format!("`{name}` cannot be set back"), error);
    match found {
        Foreign::Ours => {}
        Foreign::Ahead(head) | Foreign::Astray(head) => {
            let kept = landing::keep_foreign(repo, &feature.id, &head).map_err(failed)?;
            match landing::move_ref(repo, &name, &head, &ours, None).map_err(failed)? {
                Move::Moved => out.line(format!("the commits that were on `{name}` are kept at {kept}")),
                Move::CheckedOut { at } => {
                    return Err(CliError::refused(format!("`{name}` is checked out at `{}`", at.display()))
                        .hint("check out another branch there, then repeat this"));
                }
                Move::Mismatch { .. } => {
                    return Err(
                        CliError::refused(format!("`{name}` was moved again meanwhile")).hint("repeat this")
                    );
                }
            }
        }
        Foreign::Gone => {
            landing::create_branch(repo, &feature.id, &ours).map_err(failed)?;
        }
    }
    Ok(ForeignBranch::Restored)
}
