//! `sprint gates cache`: what is kept of gates by hand, and how to be rid of it.

use super::cache_directory;
use crate::cli::args::GatesCacheArgs;
use crate::cli::environment::Environment;
use crate::cli::out::Out;
use crate::cli::text::{bytes, count};
use crate::error::{CliError, exit};
use crate::gates::Cache;

/// Runs it.
///
/// # Errors
/// The directory cannot be read, or a file in it cannot be removed (exit 3).
pub(super) fn run(args: GatesCacheArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let directory = cache_directory(env);
    let cache = Cache::new(&directory);
    let facts = if args.clear { cache.clear() } else { cache.facts() };
    let facts = facts.map_err(|error| {
        let verb = if args.clear { "cleared" } else { "read" };
        CliError::environment(format!("`{}` cannot be {verb}", directory.display())).because(error)
    })?;
    if args.json {
        out.json(&serde_json::json!({
            "directory": facts.directory.to_string_lossy(),
            "entries": facts.entries,
            "bytes": facts.bytes,
            "entries_max": facts.entries_max,
            "bytes_max": facts.bytes_max,
            "cleared": args.clear,
        }));
        return Ok(exit::DONE);
    }
    let results = count(facts.entries, "result");
    if args.clear {
        out.line(format!("removed {results}, {} in {}", bytes(facts.bytes), directory.display()));
        return Ok(exit::DONE);
    }
    out.line(format!("{results}, {} in {}", bytes(facts.bytes), directory.display()));
    out.line(format!(
        "the oldest go beyond {} or {}; `sprint gates cache --clear` removes all",
        count(facts.entries_max, "result"),
        bytes(facts.bytes_max)
    ));
    Ok(exit::DONE)
}
