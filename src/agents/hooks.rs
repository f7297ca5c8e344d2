//! What programs tell `sprint hook`, as lines of a file in the run's directory that only grows: the
//! receiver needs nobody, and nothing is lost while nobody listens.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::interactive::HookKeys;
use crate::domain::ids::Token;

/// The file in the run's directory.
pub const HOOKS_FILE: &str = "hooks.jsonl";
/// Bytes of a payload that are read.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;
/// Bytes of the file; what comes later is dropped, and the screen still tells.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Characters of a text in a payload that are kept.
const TEXT_CHARS_MAX: usize = 4_000;
/// Values of a list or an object that are kept.
const VALUES_MAX: usize = 50;
/// How deep a payload is kept.
const DEPTH_MAX: usize = 4;
/// Bytes that are read of the file at once.
const READ_BYTES: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Line {
    token: String,
    payload: Value,
}

/// Adds what a program has told. A payload that is no JSON is kept as a text.
///
/// # Errors
/// The file cannot be written, or is full.
pub fn append(run_dir: &Utf8Path, token: &Token, payload: &[u8]) -> io::Result<()> {
    let payload = serde_json::from_slice(payload)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(payload).into_owned()));
    let line = Line { token: token.to_string(), payload: pruned(&payload, DEPTH_MAX) };
    let mut text = serde_json::to_string(&line)?;
    text.push('\n');
    let path = run_dir.join(HOOKS_FILE);
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    if file.metadata()?.len() > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "this run has told more than is kept"));
    }
    // One write: with O_APPEND two hooks do not mix their lines.
    file.write_all(text.as_bytes())
}

/// A payload without what is long in it: whole files and outputs of tools.
fn pruned(value: &Value, depth: usize) -> Value {
    match value {
        Value::String(text) => Value::String(text.chars().take(TEXT_CHARS_MAX).collect()),
        Value::Array(_) | Value::Object(_) if depth == 0 => Value::Null,
        Value::Array(list) => list.iter().take(VALUES_MAX).map(|value| pruned(value, depth - 1)).collect(),
        Value::Object(map) => {
            let kept = map.iter().take(VALUES_MAX);
            Value::Object(kept.map(|(key, value)| (key.clone(), pruned(value, depth - 1))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Reads a run's file as it grows.
#[derive(Debug)]
pub struct Spool {
    path: Utf8PathBuf,
    token: Token,
    file: Option<File>,
    rest: Vec<u8>,
}

impl Spool {
    /// Of a run, from the file's end as it is now: an earlier worker of the run has seen the rest.
    pub fn open(run_dir: &Utf8Path, token: Token) -> Self {
        let path = run_dir.join(HOOKS_FILE);
        let file = File::open(&path).ok().and_then(|mut file| {
            io::Seek::seek(&mut file, io::SeekFrom::End(0)).ok()?;
            Some(file)
        });
        Self { path, token, file, rest: Vec::new() }
    }

    /// What has come since, in its order; a bounded part of it, more with the next call.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<Value>> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
        }
        if let Some(file) = &mut self.file {
            file.take(READ_BYTES).read_to_end(&mut self.rest)?;
        }
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Ok(Vec::new()) };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        let parsed = lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        let own = parsed.filter(|line: &Line| line.token == self.token.as_str());
        Ok(own.map(|line| line.payload).collect())
    }
}

/// The text of the file that tells a program to call `sprint hook`; `{hook}` in it is the command
/// line, for a text between quotes.
pub fn content(keys: &HookKeys, sprint: &Utf8Path) -> String {
    let line = format!("'{}' hook", sprint.as_str().replace('\'', r"'\''"));
    let quoted = Value::String(line).to_string();
    keys.content.replace("{hook}", quoted.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn token(digit: &str) -> Token {
        Token::parse(&digit.repeat(64)).unwrap()
    }

    #[test]
    fn what_is_told_comes_once_in_its_order_and_only_from_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let mut spool = Spool::open(dir, token("a"));
        assert!(spool.read().unwrap().is_empty());
        append(dir, &token("a"), br#"{"n": 1}"#).unwrap();
        append(dir, &token("b"), br#"{"n": 2}"#).unwrap();
        append(dir, &token("a"), b"no json\xff").unwrap();
        assert_eq!(spool.read().unwrap(), [json!({"n": 1}), json!("no json\u{fffd}")]);
        assert!(spool.read().unwrap().is_empty());
        append(dir, &token("a"), br#"{"n": 3}"#).unwrap();
        let mut later = Spool::open(dir, token("a"));
        assert_eq!(spool.read().unwrap(), [json!({"n": 3})]);
        assert!(later.read().unwrap().is_empty());
    }

    #[test]
    fn half_a_line_waits_for_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        append(dir, &token("a"), br#"{"n": 1}"#).unwrap();
        let whole = std::fs::read(dir.join(HOOKS_FILE)).unwrap();
        std::fs::remove_file(dir.join(HOOKS_FILE)).unwrap();
        let mut spool = Spool::open(dir, token("a"));
        std::fs::write(dir.join(HOOKS_FILE), &whole[..20]).unwrap();
        assert!(spool.read().unwrap().is_empty());
        let mut file = OpenOptions::new().append(true).open(dir.join(HOOKS_FILE)).unwrap();
        file.write_all(&whole[20..]).unwrap();
        assert_eq!(spool.read().unwrap(), [json!({"n": 1})]);
    }

    #[test]
    fn a_flood_is_bounded_in_each_payload_and_in_all() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let big =
            json!({"text": "x".repeat(1 << 20), "list": (0..1000).collect::<Vec<_>>(), "deep": [[[[[1]]]]]});
        append(dir, &token("a"), big.to_string().as_bytes()).unwrap();
        assert!(std::fs::metadata(dir.join(HOOKS_FILE)).unwrap().len() < 6_000);
        std::fs::File::options().write(true).open(dir.join(HOOKS_FILE)).unwrap().set_len(17 << 20).unwrap();
        assert!(append(dir, &token("a"), b"{}").is_err());
    }

    #[test]
    fn a_path_stays_one_word_of_the_shell_and_of_the_json() {
        let keys = HookKeys { content: r#"{"command": "{hook}"}"#.to_owned(), ..HookKeys::default() };
        let text = content(&keys, Utf8Path::new(r#"/a b/it's"x\"#));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["command"], r#"'/a b/it'\''s"x\' hook"#);
    }
}
