//! `sprint completions` and `sprint man`: made from the command tree.

use std::path::Path;

use clap::CommandFactory as _;

use super::args::Cli;
use super::out::Out;
use crate::error::{CliError, exit};

/// Prints completions for a shell.
///
/// # Errors
/// Never; the signature is that of all commands.
pub fn completions(shell: clap_complete::Shell, out: &mut Out<'_>) -> Result<u8, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sprint", &mut text);
    out.text(&String::from_utf8_lossy(&text));
    Ok(exit::DONE)
}

/// Prints the manual page, or writes all pages into a directory.
///
/// # Errors
/// The directory cannot be written.
pub fn man(dir: Option<&Path>, out: &mut Out<'_>) -> Result<u8, CliError> {
    let failed =
        |error: std::io::Error| CliError::environment("the manual pages cannot be written").because(error);
    if let Some(dir) = dir {
        std::fs::create_dir_all(dir).map_err(failed)?;
        clap_mangen::generate_to(Cli::command(), dir).map_err(failed)?;
        return Ok(exit::DONE);
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut text).map_err(failed)?;
    out.text(&String::from_utf8_lossy(&text));
    Ok(exit::DONE)
}
