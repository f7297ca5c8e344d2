//! The version of tmux, and whether it will do.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::time::Duration;

use crate::process::run::{Session, SpawnError, Spec, Stdin, run};

/// The oldest version that has `new-session -e` and `paste-buffer -p` over control mode.
pub const VERSION_MIN: Version = Version { major: 3, minor: 2 };

/// Time for `tmux -V`.
const ASK_WAIT: Duration = Duration::from_secs(10);
/// Bytes of its answer.
const ANSWER_MAX: usize = 1024;

/// A version of tmux; letters (`3.3a`) do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Before the dot.
    pub major: u32,
    /// After it.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Why tmux cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// It cannot be run.
    #[error("tmux cannot be run; install tmux {VERSION_MIN} or newer")]
    Run(#[from] SpawnError),
    /// What `tmux -V` says is not a version.
    #[error("`tmux -V` says `{answer}`, which is not a version")]
    Unreadable {
        /// The answer, its control characters escaped.
        answer: String,
    },
    /// Older than [`VERSION_MIN`].
    #[error("tmux {found} is too old; install {VERSION_MIN} or newer")]
    TooOld {
        /// What is installed.
        found: Version,
    },
}

/// Parses `tmux 3.3a`, `tmux next-3.4`, `tmux openbsd-7.1`, `tmux master`. OpenBSD numbers tmux
/// after itself (7.1 carries 3.3), and `master` is newer than any release.
pub fn parse_version(answer: &str) -> Option<Version> {
    let text = answer.trim().strip_prefix("tmux").unwrap_or(answer).trim();
    if text == "master" {
        return Some(Version { major: u32::MAX, minor: 0 });
    }
    let text = text.strip_prefix("next-").or_else(|| text.strip_prefix("openbsd-")).unwrap_or(text);
    let (major, rest) = text.split_once('.')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some(Version { major: major.parse().ok()?, minor: rest[..digits].parse().ok()? })
}

/// Asks `program -V` and refuses what is too old.
///
/// # Errors
/// [`VersionError`].
pub fn check_version(program: &OsStr, env: &[(OsString, OsString)]) -> Result<Version, VersionError> {
    let spec = Spec {
        program: program.to_owned(),
        args: vec!["-V".into()],
        cwd: "/".into(),
        env: env.to_vec(),
        stdin: Stdin::Null,
        timeout: ASK_WAIT,
        output_max: ANSWER_MAX,
        grace: Duration::ZERO,
        session: Session::NewGroup,
        bounds: None,
    };
    let outcome = run(&spec, &mut |_, _| {}, &|| false)?;
    let answer = String::from_utf8_lossy(&outcome.stdout);
    let found = parse_version(&answer)
        .ok_or_else(|| VersionError::Unreadable { answer: answer.trim().escape_debug().to_string() })?;
    if found < VERSION_MIN { Err(VersionError::TooOld { found }) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_they_are_printed() {
        for (answer, major, minor) in [
            ("tmux 3.3a\n", 3, 3),
            ("tmux 3.2", 3, 2),
            ("tmux next-3.4", 3, 4),
            ("tmux openbsd-7.1", 7, 1),
            ("tmux 2.9a", 2, 9),
            ("tmux 3.10-rc", 3, 10),
            ("tmux master", u32::MAX, 0),
        ] {
            assert_eq!(parse_version(answer), Some(Version { major, minor }), "{answer}");
        }
        for bad in ["", "tmux", "tmux x.y", "3", "command not found", "tmux 3.x"] {
            assert_eq!(parse_version(bad), None, "{bad}");
        }
        assert!(Version { major: 3, minor: 10 } > Version { major: 3, minor: 2 });
    }

    #[test]
    fn a_missing_and_an_old_tmux_are_told_apart() {
        let missing = check_version("no-such-tmux".as_ref(), &[]);
        assert!(matches!(missing, Err(VersionError::Run(SpawnError::Missing { .. }))));
        assert!(matches!(check_version("/bin/echo".as_ref(), &[]), Err(VersionError::Unreadable { .. })));
    }
}
