//! argv → `cli::run` → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(sprint::cli::run(std::env::args_os()))
}
