//! Which version of a program is there, and how that stands to the versions that its adapter was
//! tried with. A program that has changed fails in ways that no adapter knows: its version says so.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use regex::Regex;

use super::protocol::plain;
use crate::config::cli_agent::VersionKeys;
use crate::process::run::{Session, SpawnError, Spec, Stdin, run};

/// A program that takes longer to tell its version does not tell it.
const ASK_WAIT: Duration = Duration::from_secs(20);
/// Bytes of its answer.
const ANSWER_MAX: usize = 16 * 1024;
/// Characters of an answer, or of a version, that are shown.
const SHOWN_MAX: usize = 80;

/// Why nothing is known of a program's version.
#[derive(Debug, thiserror::Error)]
pub enum Untold {
    /// The adapter does not know how to ask.
    #[error("its adapter does not say how to ask for its version")]
    NotAsked,
    /// It cannot be started.
    #[error("asked for its version, it cannot be run")]
    NotRun(#[from] SpawnError),
    /// What it says has no version in it.
    #[error("asked for its version, it says `{0}`")]
    Unreadable(String),
}

/// Asks the program, without a request to a model.
///
/// # Errors
/// [`Untold`].
pub fn ask(
    program: &OsStr,
    keys: &VersionKeys,
    env: &[(OsString, OsString)],
    cwd: &Path,
) -> Result<String, Untold> {
    if keys.args.is_empty() {
        return Err(Untold::NotAsked);
    }
    let spec = Spec {
        program: program.to_owned(),
        args: keys.args.iter().map(OsString::from).collect(),
        cwd: cwd.to_owned(),
        env: env.to_vec(),
        stdin: Stdin::Null,
        timeout: ASK_WAIT,
        output_max: ANSWER_MAX,
        grace: Duration::from_secs(1),
        session: Session::NewSession,
        bounds: None,
    };
    let outcome = run(&spec, &mut |_, _| {}, &|| false)?;
    let text = [outcome.stdout, outcome.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    found_in(&text, &keys.pattern).ok_or_else(|| Untold::Unreadable(first_line(&text)))
}

fn found_in(text: &str, pattern: &str) -> Option<String> {
    let found = Regex::new(pattern).ok()?.captures(text)?;
    let version = found.get(1).or_else(|| found.get(0))?;
    Some(plain(version.as_str().as_bytes()).chars().take(SHOWN_MAX).collect())
}

fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing");
    plain(line.as_bytes()).chars().take(SHOWN_MAX).collect()
}

/// What is to be said of a version that the adapter was not tried with; none of one that it was.
pub fn remark(version: &str, tested: &[String]) -> Option<String> {
    if tested.is_empty() || tested.iter().any(|known| known == version) {
        return None;
    }
    let newest = tested.iter().max_by(|a, b| compare(a, b))?;
    let oldest = tested.iter().min_by(|a, b| compare(a, b))?;
    Some(if compare(version, oldest) == Ordering::Less {
        format!(
            "version {version}; tested from version {oldest} on: it may be too old for what sprint asks of it"
        )
    } else {
        format!("version {version}; tested up to version {newest}: it may print what sprint does not know")
    })
}

/// By their numbers.
fn compare(a: &str, b: &str) -> Ordering {
    let numbers = |text: &str| -> Vec<u64> {
        let parts = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
        parts.map(|part| part.parse().unwrap_or(u64::MAX)).collect()
    };
    numbers(a).cmp(&numbers(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        let pattern = r"(\d+\.\d+\.\d+)";
        assert_eq!(found_in("codex-cli 0.169.0\n", pattern).as_deref(), Some("0.169.0"));
        assert_eq!(found_in("no version", pattern), None);
    }

    #[test]
    fn a_version_that_was_not_tested_is_told_with_those_that_were() {
        let tested = ["0.9.2".to_owned(), "0.10.0".to_owned()];
        let told = |version| remark(version, &tested);
        assert_eq!(told("0.10.0"), None);
        assert_eq!(remark("1.0.0", &[]), None);
        insta::assert_snapshot!(told("0.10.1").unwrap(), @"version 0.10.1; tested up to version 0.10.0: it may print what sprint does not know");
        insta::assert_snapshot!(told("0.9.3").unwrap(), @"version 0.9.3; tested up to version 0.10.0: it may print what sprint does not know");
        insta::assert_snapshot!(told("0.9.1").unwrap(), @"version 0.9.1; tested from version 0.9.2 on: it may be too old for what sprint asks of it");
    }

    #[test]
    fn a_program_that_does_not_tell_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let keys = |args: &[&str]| VersionKeys {
            args: args.iter().map(ToString::to_string).collect(),
            pattern: r"v(\d+)".to_owned(),
            tested: Vec::new(),
        };
        let ask = |program: &str, args: &[&str]| ask(OsStr::new(program), &keys(args), &[], dir.path());
        assert_eq!(ask("/bin/echo", &["v12"]).unwrap(), "12");
        assert!(matches!(ask("/bin/echo", &[]), Err(Untold::NotAsked)));
        let unreadable = ask("/bin/echo", &["\nhello\nworld"]).unwrap_err().to_string();
        assert_eq!(unreadable, "asked for its version, it says `hello`");
        assert!(matches!(ask("/nowhere/x", &["v"]), Err(Untold::NotRun(_))));
    }
}
