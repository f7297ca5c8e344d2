//! The exit codes, part of the interface: `docs/exit-codes.md` says what they mean, and a test
//! holds the two together.

/// Done. Failures that were repaired on the way do not count.
pub const DONE: u8 = 0;
/// At rest with parked, held or waiting tasks; or `gates run` failed.
pub const UNFINISHED: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// A required tool, an agent's program, tmux or git is missing; or a gate could not run.
pub const ENVIRONMENT: u8 = 3;
/// Refused: it could be done, and must not.
pub const REFUSED: u8 = 4;
/// Ctrl-C, or another signal that ends a command before it has an answer.
pub const INTERRUPTED: u8 = 130;
/// A bug.
pub const BUG: u8 = 70;

/// `sprint health`: all is well.
pub const HEALTHY: u8 = 0;
/// `sprint health`: it works, with problems.
pub const DEGRADED: u8 = 1;
/// `sprint health`: it does not work.
pub const DOWN: u8 = 3;

/// Every code and its line in the table of `docs/exit-codes.md`.
pub const TABLE: [(u8, &str); 7] = [
    (DONE, "done; failures that were repaired on the way do not count"),
    (
        UNFINISHED,
        "at rest with parked, held or waiting tasks; or `gates run` failed, or `verify` found a broken promise",
    ),
    (USAGE, "the command line or the configuration is wrong"),
    (
        ENVIRONMENT,
        "a required tool, an agent's program, tmux or git is missing or too old; a gate could not run; or the state directory was removed while the sprint ran",
    ),
    (REFUSED, "refused: the state of the sprint or of the repository forbids it"),
    (BUG, "a bug of sprint"),
    (INTERRUPTED, "`gates` or `install` was interrupted by Ctrl-C or another signal, and there is no answer"),
];

/// The codes of `sprint health`.
pub const HEALTH_TABLE: [(u8, &str); 3] = [
    (HEALTHY, "healthy"),
    (DEGRADED, "degraded: it works, with problems that are listed"),
    (DOWN, "down: no supervisor, or one that cannot work"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_code() {
        let page = include_str!("../../docs/exit-codes.md");
        let expected: Vec<String> =
            TABLE.iter().chain(&HEALTH_TABLE).map(|(code, text)| format!("| {code} | {text} |")).collect();
        let written: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("| ") && line.as_bytes().get(2).is_some_and(u8::is_ascii_digit))
            .collect();
        assert_eq!(written, expected);
    }
}
