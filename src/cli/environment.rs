//! What a command has of the world around it: where it was called, its variables, its terminals.
//! Read once, so that tests give their own.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::path::PathBuf;

use crate::config::layout::Homes;
use crate::error::CliError;

/// The surroundings of one command.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Where it was called.
    pub cwd: PathBuf,
    /// All its variables.
    pub variables: Vec<(OsString, OsString)>,
    /// Whether a person types at it.
    pub stdin_is_terminal: bool,
    /// Whether a person looks at it.
    pub stdout_is_terminal: bool,
    /// Columns of that terminal, if it is one.
    pub columns: Option<usize>,
}

impl Environment {
    /// Those of this process.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn of_process() -> Result<Self, CliError> {
        let cwd = std::env::current_dir().map_err(|error| {
            CliError::refused("the working directory cannot be used")
                .because(error)
                .hint("go to a directory that exists")
        })?;
        let stdout_is_terminal = std::io::stdout().is_terminal();
        Ok(Self {
            cwd,
            variables: std::env::vars_os().collect(),
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal,
            columns: if stdout_is_terminal { crate::process::terminal::columns() } else { None },
        })
    }

    /// A variable, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let found = self.variables.iter().find(|(key, _)| key == name)?;
        Some(found.1.as_os_str()).filter(|value| !value.is_empty())
    }

    /// A variable that holds an absolute path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// Whether output may have colour.
    pub fn colour(&self) -> bool {
        self.stdout_is_terminal
            && self.get("NO_COLOR").is_none()
            && self.get("TERM").is_some_and(|term| term != "dumb")
    }

    /// What decides where state lives; `state_dir` is `general.state_dir`.
    pub fn homes(&self, state_dir: Option<PathBuf>) -> Homes {
        Homes {
            state_dir,
            xdg_state: self.path("XDG_STATE_HOME"),
            xdg_runtime: self.path("XDG_RUNTIME_DIR"),
            home: self.path("HOME").unwrap_or_else(|| PathBuf::from("/")),
            uid: nix::unistd::getuid().as_raw(),
        }
    }
}
