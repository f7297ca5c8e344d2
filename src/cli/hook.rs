//! `sprint hook`: the one receiver of what agents' programs tell by themselves. It answers at once,
//! always with exit 0 and without a word: a program must never wait for it, or be stopped by it.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::agents::hooks::{self, PAYLOAD_BYTES_MAX};
use crate::domain::ids::Token;
use crate::error::exit;
use crate::process::doorbell;

/// A program that says nothing on standard input for so long has nothing to say.
const SILENCE_MAX: Duration = Duration::from_millis(500);
/// However long it goes on talking.
const READ_MAX: Duration = Duration::from_secs(2);

/// Runs it. `words`: its arguments, of which the last may be the payload.
pub fn run(words: &[OsString], variable: impl Fn(&str) -> Option<String>) -> u8 {
    let Some((dir, token)) = own_run(&variable) else { return exit::DONE };
    let payload = match words.last() {
        Some(word) => word.as_encoded_bytes().to_vec(),
        None => read_stdin(),
    };
    if payload.len() > PAYLOAD_BYTES_MAX || payload.iter().all(u8::is_ascii_whitespace) {
        return exit::DONE;
    }
    match hooks::append(&dir, &token, &payload) {
        Ok(()) => {
            let bell = variable("SPRINT_BELL").unwrap_or_default();
            // The worker reads the file at its next look too.
            drop(doorbell::ring(Path::new(&bell)));
        }
        // There is nobody to tell: what a hook prints goes into a model's conversation.
        Err(error) => tracing::debug!(%error, "what a hook told is not kept"),
    }
    exit::DONE
}

/// Outside of a run, as in a person's own session with the same settings, there is nothing to do.
fn own_run(variable: &impl Fn(&str) -> Option<String>) -> Option<(Utf8PathBuf, Token)> {
    let dir =
        variable("SPRINT_RUN_DIR").map(Utf8PathBuf::from).filter(|dir| dir.is_absolute() && dir.is_dir())?;
    Some((dir, Token::parse(&variable("SPRINT_TOKEN")?).ok()?))
}

fn read_stdin() -> Vec<u8> {
    let mut input = std::io::stdin().lock();
    let (mut payload, mut buffer) = (Vec::new(), vec![0u8; 64 * 1024]);
    let end = Instant::now() + READ_MAX;
    while payload.len() <= PAYLOAD_BYTES_MAX {
        let wait = SILENCE_MAX.min(end.saturating_duration_since(Instant::now()));
        let stdin = std::io::stdin();
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO));
        if !matches!(ready, Ok(count) if count > 0) {
            break;
        }
        match input.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => payload.extend_from_slice(&buffer[..count]),
        }
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_a_run_it_does_nothing_and_inside_it_keeps_the_last_word() {
        assert_eq!(run(&["{}".into()], |_| None), 0);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap().to_owned();
        let own = |name: &str| match name {
            "SPRINT_RUN_DIR" => Some(path.clone()),
            "SPRINT_TOKEN" => Some("a".repeat(64)),
            _ => None,
        };
        assert_eq!(run(&["x".into(), r#"{"type": "turn"}"#.into()], own), 0);
        assert_eq!(run(&[" ".into()], own), 0);
        let kept = std::fs::read_to_string(dir.path().join(hooks::HOOKS_FILE)).unwrap();
        assert_eq!(kept.lines().count(), 1);
        assert!(kept.contains(r#""payload":{"type":"turn"}"#), "{kept}");
    }
}
