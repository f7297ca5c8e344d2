//! What programs tell `sprint hook`, as lines of a file in the run's directory that only grows: the
//! receiver needs nobody, and nothing is lost while nobody listens.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::interactive::HookKeys;
use crate::domain::ids::Token;
use crate::redact;

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
/// Bytes of one line; of a longer one nothing is known.
const LINE_BYTES_MAX: usize = 4 << 20;

#[derive(Serialize, Deserialize)]
struct Line {
    token: String,
    payload: Value,
}

/// Adds what a program has told, without secrets. A payload that is no JSON is kept as a text.
///
/// # Errors
/// The file cannot be written, or is full.
pub fn append(run_dir: &Utf8Path, token: &Token, payload: &[u8]) -> io::Result<()> {
    let payload = serde_json::from_slice(payload)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(payload).into_owned()));
    let line = Line { token: token.to_string(), payload: pruned(&payload, DEPTH_MAX) };
    let text = format!("{}\n", redact::text(&serde_json::to_string(&line)?));
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
    lines: Lines,
    token: Token,
    /// The file into which the program itself writes its events, where it has one.
    stream: Option<Lines>,
}

impl Spool {
    /// Of a run, from the file's end as it is now: an earlier worker of the run has seen the rest. What
    /// the program writes itself is begun anew with each start of it.
    pub fn open(run_dir: &Utf8Path, token: Token, keys: &HookKeys) -> Self {
        let stream = (!keys.stream.is_empty()).then(|| Lines::new(run_dir.join(&keys.stream)));
        Self { lines: Lines::at_end(run_dir.join(HOOKS_FILE)), token, stream }
    }

    /// What has come since, in its order; a bounded part of it, more with the next call.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<Value>> {
        let told = self.lines.read()?;
        let parsed = told.iter().filter_map(|line| serde_json::from_slice(line).ok());
        let own = parsed.filter(|line: &Line| line.token == self.token.as_str());
        let mut events: Vec<Value> = own.map(|line| line.payload).collect();
        if let Some(stream) = &mut self.stream {
            let lines = stream.read()?;
            let parsed = lines.iter().filter_map(|line| serde_json::from_slice::<Value>(line).ok());
            events.extend(parsed.map(|event| pruned(&event, DEPTH_MAX)));
        }
        Ok(events)
    }
}

/// The lines of a file that others write.
#[derive(Debug)]
struct Lines {
    path: Utf8PathBuf,
    file: Option<File>,
    rest: Vec<u8>,
    /// Whether the line that has begun is too long to be kept.
    skips: bool,
}

impl Lines {
    fn new(path: Utf8PathBuf) -> Self {
        Self { path, file: None, rest: Vec::new(), skips: false }
    }

    /// From its end as it is now.
    fn at_end(path: Utf8PathBuf) -> Self {
        let file = File::open(&path).ok().and_then(|mut file| {
            file.seek(SeekFrom::End(0)).ok()?;
            Some(file)
        });
        Self { file, ..Self::new(path) }
    }

    fn read(&mut self) -> io::Result<Vec<Vec<u8>>> {
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
        Ok(self.whole())
    }

    fn whole(&mut self) -> Vec<Vec<u8>> {
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            if self.rest.len() > LINE_BYTES_MAX {
                self.rest.clear();
                self.skips = true;
            }
            return Vec::new();
        };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        let skipped = usize::from(std::mem::take(&mut self.skips));
        lines.split(|byte| *byte == b'\n').skip(skipped).map(<[u8]>::to_vec).collect()
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
        let mut spool = Spool::open(dir, token("a"), &HookKeys::default());
        assert!(spool.read().unwrap().is_empty());
        append(dir, &token("a"), br#"{"n": 1}"#).unwrap();
        append(dir, &token("b"), br#"{"n": 2}"#).unwrap();
        append(dir, &token("a"), b"no json\xff").unwrap();
        assert_eq!(spool.read().unwrap(), [json!({"n": 1}), json!("no json\u{fffd}")]);
        assert!(spool.read().unwrap().is_empty());
        append(dir, &token("a"), br#"{"n": 3}"#).unwrap();
        let mut later = Spool::open(dir, token("a"), &HookKeys::default());
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
        let mut spool = Spool::open(dir, token("a"), &HookKeys::default());
        std::fs::write(dir.join(HOOKS_FILE), &whole[..20]).unwrap();
        assert!(spool.read().unwrap().is_empty());
        let mut file = OpenOptions::new().append(true).open(dir.join(HOOKS_FILE)).unwrap();
        file.write_all(&whole[20..]).unwrap();
        assert_eq!(spool.read().unwrap(), [json!({"n": 1})]);
    }

    #[test]
    fn what_the_program_writes_by_itself_is_read_too() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let (keys, file) = (HookKeys { stream: "s".to_owned(), ..HookKeys::default() }, dir.join("s"));
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        let mut spool = Spool::open(dir, token("a"), &keys);
        assert!(spool.read().unwrap().is_empty());
        write("{\"n\": 1}\nno json\n{\"n\":");
        assert_eq!(spool.read().unwrap(), [json!({"n": 1})]);
        write("{\"n\": 1}\nno json\n{\"n\": 2}\n");
        assert_eq!(spool.read().unwrap(), [json!({"n": 2})]);
        append(dir, &token("a"), br#"{"n": 3}"#).unwrap();
        assert_eq!(spool.read().unwrap(), [json!({"n": 3})]);
    }

    #[test]
    fn a_line_without_an_end_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = Utf8Path::from_path(dir.path()).unwrap().join("s");
        std::fs::write(&file, "x".repeat(LINE_BYTES_MAX + (2 << 20))).unwrap();
        let mut lines = Lines::new(file.clone());
        for _ in 0..8 {
            assert!(lines.read().unwrap().is_empty());
            assert!(lines.rest.len() <= LINE_BYTES_MAX);
        }
        let mut writer = File::options().append(true).open(&file).unwrap();
        writer.write_all(b"x\n{\"n\": 1}\n").unwrap();
        assert_eq!(lines.read().unwrap()[0], b"{\"n\": 1}");
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
