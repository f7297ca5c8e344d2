//! `sprint init`: a commented sprint.toml to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};

use super::args::InitArgs;
use super::context::discover;
use super::environment::Environment;
use super::out::Out;
use crate::error::{CliError, exit};

/// What is written: every line is a comment, so nothing changes until the person wants it.
const SAMPLE: &str = include_str!("../../config/sample.toml");

/// Runs it.
///
/// # Errors
/// There is one already (exit 4), or it cannot be written.
pub fn run(args: &InitArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let path = discover(&env.cwd)?.top.join("sprint.toml");
    let shown = path.display();
    let mut options = OpenOptions::new();
    options.write(true);
    if args.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options.open(&path).and_then(|mut file| file.write_all(SAMPLE.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => CliError::refused(format!("`{shown}` is there already"))
            .hint("`sprint init --force` writes a new one over it"),
        _ => CliError::environment(format!("`{shown}` cannot be written")).because(error),
    })?;
    out.line(format!("wrote {shown}"));
    out.line("Name your agent in it, then: sprint doctor, and sprint start specs/001-thing");
    Ok(exit::DONE)
}

#[cfg(test)]
mod tests {
    use super::SAMPLE;
    use crate::config::{Layer, load};

    #[test]
    fn the_sample_changes_nothing_and_is_right_without_its_marks() {
        let as_written = load(&[Layer::toml("sprint.toml", SAMPLE)]).unwrap();
        assert_eq!(as_written, load(&[]).unwrap());
        let uncommented: String = SAMPLE
            .lines()
            .map(|line| line.strip_prefix("#").filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        load(&[Layer::toml("sprint.toml", uncommented)]).unwrap();
    }
}
