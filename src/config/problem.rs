//! What is wrong with a configuration, where, and what was probably meant. Owns the wording of
//! "nearest known"; knows nothing of files.

use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The layer: a file as the person knows it, `environment`, or `command line`.
    pub layer: String,
    /// The line in the file, from 1. None for a layer without lines, where `key` says it all.
    pub line: Option<usize>,
    /// The dotted key, or the variable of the environment.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.layer)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if self.key.is_empty() {
            write!(f, ": {}", self.message)
        } else {
            write!(f, ": `{}`: {}", self.key, self.message)
        }
    }
}

/// More problems than this are only counted: a wrong file given as configuration is not to fill a
/// screen.
pub const PROBLEMS_SHOWN_MAX: usize = 50;

/// All mistakes of all layers, in the order of layers and lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => only.fmt(f),
            many => {
                write!(f, "{} problems in the configuration", many.len())?;
                for problem in many.iter().take(PROBLEMS_SHOWN_MAX) {
                    write!(f, "\n  {problem}")?;
                }
                match many.len().saturating_sub(PROBLEMS_SHOWN_MAX) {
                    0 => Ok(()),
                    hidden => write!(f, "\n  … and {hidden} more"),
                }
            }
        }
    }
}

/// The known name which is the most like `name`; None only if there are no names.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: String = name.chars().take(100).collect();
    known.into_iter().max_by(|a, b| {
        strsim::normalized_damerau_levenshtein(&name, a)
            .total_cmp(&strsim::normalized_damerau_levenshtein(&name, b))
            // With a tie the first name wins, so that the message is a function of the input.
            .then(std::cmp::Ordering::Greater)
    })
}

/// At least so much of a name has to be the same for another one to be meant.
const ALIKE: f64 = 0.5;

/// The known name that may have been meant; None where nothing is near.
pub fn alike<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(name, known).filter(|near| strsim::normalized_damerau_levenshtein(name, near) >= ALIKE)
}

/// `; the nearest known …` for a message, or nothing.
pub(super) fn nearest_hint<'a>(name: &str, what: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!("; the nearest known {what} is `{near}`"))
}

/// A text of the person in a message: shortened, control characters escaped.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}
