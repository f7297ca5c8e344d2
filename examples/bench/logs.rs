//! Reads the logs of a sprint: every line has its time in microseconds, after the commit.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Outcome;

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    text: String,
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// All lines of the logs whose name begins with `name.`, in their order.
pub(crate) fn read(directory: &Path, name: &str) -> Outcome<Vec<Entry>> {
    let mut entries = Vec::new();
    for file in std::fs::read_dir(directory)? {
        let path = file?.path();
        let own = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&format!("{name}.")));
        if own && path.extension().is_some_and(|end| end == "log") {
            entries.extend(std::fs::read_to_string(&path)?.lines().filter_map(parse));
        }
    }
    entries.sort_by_key(|entry| entry.at);
    Ok(entries)
}

fn parse(line: &str) -> Option<Entry> {
    let (stamp, text) = line.split_once(' ')?;
    let at: jiff::Timestamp = stamp.parse().ok()?;
    Some(Entry { at: at.as_microsecond(), text: text.to_owned() })
}

impl Entry {
    pub(crate) fn says(&self, what: &str) -> bool {
        self.text.contains(what)
    }

    /// The value of a field, without quotes.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let from = self.text.find(&format!(" {name}="))? + name.len() + 2;
        let value = &self.text[from..];
        let quoted = value.strip_prefix('"').and_then(|rest| rest.split('"').next());
        quoted.or_else(|| value.split(' ').next())
    }

    /// A line of the history of this kind.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.field("kind") == Some(kind)
    }

    /// When the step began whose commit this line followed.
    pub(crate) fn began(&self) -> i64 {
        self.at - self.field("took_us").and_then(|text| text.parse::<i64>().ok()).unwrap_or(0)
    }
}

/// Milliseconds between two moments.
#[expect(clippy::cast_precision_loss, reason = "a span of minutes")]
pub(crate) fn ms(from: i64, to: i64) -> f64 {
    (to - from) as f64 / 1000.0
}
