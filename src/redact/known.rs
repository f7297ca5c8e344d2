//! The secrets that a process knows by their values: those of its person's variables. One set for the
//! whole process, like its log: whatever is written, by whichever part, must not hold them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, PoisonError, RwLock};

use regex::bytes::Regex;

use super::forms;

/// Shorter values are no secrets, or would be found everywhere.
const VALUE_BYTES_MIN: usize = 8;
/// Longer ones are looked for in pieces of this length.
const PIECE_BYTES_MAX: usize = 1024;
/// Pieces that are known; an environment with more has not only secrets.
const PIECES_MAX: usize = 256;

/// Values, longest first, and the variables that hold them.
#[derive(Debug, Clone)]
struct Known {
    names: BTreeMap<Vec<u8>, String>,
    any: Option<Regex>,
}

static KNOWN: RwLock<Option<Arc<Known>>> = RwLock::new(None);

fn known() -> Option<Arc<Known>> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// From now on the values of those of these variables are secrets whose names say so.
pub fn know<'a>(variables: impl IntoIterator<Item = &'a (OsString, OsString)>) {
    let mut names = known().map_or_else(BTreeMap::new, |known| known.names.clone());
    let before = names.len();
    for (name, value) in variables {
        if let Some(name) = name.to_str().filter(|name| is_telling(name)) {
            for piece in pieces(value) {
                if names.len() < PIECES_MAX {
                    names.entry(piece).or_insert_with(|| name.to_owned());
                }
            }
        }
    }
    if names.len() > before {
        let any = pattern(&names);
        *KNOWN.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Known { names, any }));
    }
}

/// `GITHUB_TOKEN`, `OPENAI_API_KEY`, `PGPASSWORD`; sprint's own are not the person's.
fn is_telling(name: &str) -> bool {
    const ENDS: [&str; 7] =
        ["API_KEY", "TOKEN", "SECRET", "SECRET_KEY", "ACCESS_KEY", "PRIVATE_KEY", "API_SECRET"];
    let upper = name.to_ascii_uppercase();
    let ends_with = |end: &&str| {
        upper.strip_suffix(*end).is_some_and(|before| before.is_empty() || before.ends_with('_'))
    };
    !upper.starts_with("SPRINT_")
        && (upper.contains("PASSWORD") || upper.contains("PASSWD") || ENDS.iter().any(ends_with))
}

/// What to look for of a value: its lines, as they are and as JSON has them.
fn pieces(value: &OsStr) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for line in value.as_bytes().split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        if !is_secret(line) {
            continue;
        }
        let mut forms = vec![line.to_vec()];
        let quoted = serde_json::to_string(&String::from_utf8_lossy(line)).unwrap_or_default();
        forms.push(quoted.trim_matches('"').as_bytes().to_vec());
        forms.dedup();
        let long_enough = |piece: &&[u8]| piece.len() >= VALUE_BYTES_MIN;
        all.extend(forms.iter().flat_map(|form| {
            form.chunks(PIECE_BYTES_MAX).filter(long_enough).map(<[u8]>::to_vec).collect::<Vec<_>>()
        }));
    }
    all
}

/// A word, a path or an address is none, whatever its variable is called: it would be found in
/// innocent text.
fn is_secret(value: &[u8]) -> bool {
    value.len() >= VALUE_BYTES_MIN
        && !value.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_')
        && !value.starts_with(b"/")
        && !value.starts_with(b"~/")
        && !value.starts_with(b"-----")
        && !value.windows(3).any(|three| three == b"://")
}

fn pattern(names: &BTreeMap<Vec<u8>, String>) -> Option<Regex> {
    let mut values: Vec<&Vec<u8>> = names.keys().collect();
    // The first alternative that fits wins.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let words: Vec<String> = values.into_iter().map(|value| literal(value)).collect();
    // Too large only for an environment that is all secrets; the forms remain.
    Regex::new(&format!("(?-u){}", words.join("|"))).ok()
}

fn literal(value: &[u8]) -> String {
    let mut text = String::with_capacity(4 * value.len());
    for byte in value {
        // Writing to a String cannot fail.
        write!(text, "\\x{byte:02x}").expect("a String takes everything");
    }
    text
}

/// The text without secrets.
pub fn bytes(text: &[u8]) -> Cow<'_, [u8]> {
    let plain = forms::replace(text);
    let Some(known) = known() else { return plain };
    let Some(any) = known.any.as_ref().filter(|any| any.is_match(&plain)) else { return plain };
    let name = |found: &regex::bytes::Captures<'_>| {
        let name = known.names.get(&found[0]).map_or("secret", String::as_str);
        format!("[redacted: {name}]").into_bytes()
    };
    Cow::Owned(any.replace_all(&plain, name).into_owned())
}

/// The text without secrets.
pub fn text(text: &str) -> Cow<'_, str> {
    match bytes(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        // What is replaced begins and ends at characters; a value that does not is not text.
        Cow::Owned(plain) => Cow::Owned(String::from_utf8_lossy(&plain).into_owned()),
    }
}

/// As [`text`].
pub fn in_place(value: &mut String) {
    if let Cow::Owned(plain) = text(value) {
        *value = plain;
    }
}
