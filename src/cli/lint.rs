//! `sprint tasks lint`: finds the file and the order's rules; [`super::tasks_lint`] does the rest.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::args::LintArgs;
use super::context::{Context, sources};
use super::environment::Environment;
use super::out::Out;
use super::start::plan_options;
use super::tasks_lint::{Format, render};
use super::text::plain;
use crate::config::load;
use crate::domain::plan::PlanOptions;
use crate::error::{CliError, exit};

/// Bytes that are read of a file; the longest known has a tenth of it.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// Runs it.
///
/// # Errors
/// Nothing can be run: no file, no task, none open, or a circle (exit 2).
pub fn run(args: &LintArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let path = file(&env.cwd, args.dir.as_deref());
    let format = if args.json { Format::Json } else { Format::Text };
    let bytes = read(&path);
    if bytes.is_ok() || args.json {
        let lint = render(bytes.as_deref().unwrap_or_default(), options(env), format);
        out.text(&lint.output);
        if let (Ok(_), Some(why)) = (&bytes, lint.refused) {
            return Err(CliError::usage(format!("`{}`: {why}", plain(&path.to_string_lossy(), 300))));
        }
    }
    bytes.map(|_| exit::DONE)
}

fn file(cwd: &Path, dir: Option<&Path>) -> PathBuf {
    let path = dir.map_or_else(|| cwd.to_owned(), |dir| cwd.join(dir));
    if path.is_file() { path } else { path.join("tasks.md") }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let shown = plain(&path.to_string_lossy(), 300);
    let failed = |error| {
        CliError::usage(format!("`{shown}` cannot be read"))
            .because(error)
            .hint("name a feature directory that has a tasks.md: sprint tasks lint specs/001-thing")
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(CliError::usage(format!("`{shown}` has more than {FILE_MAX} bytes")));
    }
    Ok(bytes)
}

/// The planner's rules, where there is a configuration that can be read: the file alone is enough.
fn options(env: &Environment) -> PlanOptions {
    let top = Context::find(env).map(|context| context.repo.top);
    let config = top.ok().and_then(|top| load(&sources(env, Some(&top)).read().ok()?).ok());
    config.map_or_else(PlanOptions::default, |config| plan_options(&config))
}
