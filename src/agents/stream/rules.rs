//! An adapter's keys about output, read once: selectors parsed, patterns compiled.

use regex::Regex;
use serde_json::Value;

use crate::config::cli_agent::{FailKeys, Show, ShowAs, Trouble, UsageKeys, UsageMode};
use crate::config::selector::{BadSelector, Path, When};
use crate::config::{CliKeys, StreamKind};

use super::usage::both;

/// A key of an adapter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// A selector.
    #[error(transparent)]
    Selector(#[from] BadSelector),
    /// A regular expression.
    #[error("`{pattern}` is no regular expression: {reason}")]
    Pattern {
        /// As written.
        pattern: String,
        /// Why, in a line.
        reason: String,
    },
}

/// Everything by which output is read.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(super) stream: StreamKind,
    pub(super) session: (When, Path),
    pub(super) model: Path,
    pub(super) session_screen: Option<Regex>,
    /// On the whole screen, where `^` and `$` are a line's.
    pub(super) said: Option<Regex>,
    pub(super) show: Vec<ShowRule>,
    pub(super) remarks: bool,
    pub(super) done: (When, Option<Regex>),
    pub(super) fail: Vec<FailRule>,
    pub(super) class: Vec<(Regex, Trouble)>,
    pub(super) reset: Vec<Regex>,
    pub(super) usage: UsageRule,
}

#[derive(Debug, Clone)]
pub(super) struct ShowRule {
    pub(super) when: When,
    pub(super) each: Path,
    pub(super) item: When,
    pub(super) text: Path,
    pub(super) pieces: bool,
    pub(super) kind: ShowAs,
}

#[derive(Debug, Clone)]
pub(super) struct FailRule {
    pub(super) when: When,
    pub(super) pattern: Option<Regex>,
    pub(super) screen: Option<Regex>,
    pub(super) text: Path,
    pub(super) class: Trouble,
    pub(super) weak: bool,
    pub(super) until: Path,
}

#[derive(Debug, Clone)]
pub(super) struct UsageRule {
    pub(super) when: When,
    pub(super) pattern: Option<Regex>,
    pub(super) each: Path,
    pub(super) mode: UsageMode,
    pub(super) input: Path,
    pub(super) output: Path,
    pub(super) cached: Path,
    pub(super) cost: Path,
}

/// What one place of an event tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) input: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) cached: Option<u64>,
    pub(super) cost: Option<f64>,
}

impl Counts {
    /// Both together; what neither tells stays untold.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            input: both(self.input, other.input, u64::saturating_add),
            output: both(self.output, other.output, u64::saturating_add),
            cached: both(self.cached, other.cached, u64::saturating_add),
            cost: both(self.cost, other.cost, |a, b| a + b),
        }
    }
}

impl UsageRule {
    pub(super) fn counts(&self, value: &Value) -> Counts {
        Counts {
            input: self.input.count(value),
            output: self.output.count(value),
            cached: self.cached.count(value),
            cost: self.cost.money(value),
        }
    }

    /// Nothing, of everything that it tells at all.
    pub(super) fn nothing(&self) -> Counts {
        let zero = |path: &Path| (*path != Path::default()).then_some(0);
        let cost = (self.cost != Path::default()).then_some(0.0);
        Counts { input: zero(&self.input), output: zero(&self.output), cached: zero(&self.cached), cost }
    }
}

impl Rules {
    /// Reads the keys.
    ///
    /// # Errors
    /// [`BadRule`]: the first that cannot be used.
    pub fn new(keys: &CliKeys) -> Result<Self, BadRule> {
        Ok(Self {
            stream: keys.headless.stream,
            session: (When::parse(&keys.session.when)?, Path::parse(&keys.session.at)?),
            model: Path::parse(&keys.session.model)?,
            session_screen: optional(&keys.session.screen)?,
            said: optional(&lines(&keys.interactive.said))?,
            show: keys.show.iter().map(ShowRule::new).collect::<Result<_, _>>()?,
            remarks: keys.headless.remarks,
            done: (When::parse(&keys.done.when)?, optional(&keys.done.pattern)?),
            fail: keys.fail.iter().map(FailRule::new).collect::<Result<_, _>>()?,
            class: keys
                .class
                .iter()
                .map(|row| Ok((compile(&row.pattern)?, row.class)))
                .collect::<Result<_, BadRule>>()?,
            reset: keys.reset.iter().map(|row| compile(&row.pattern)).collect::<Result<_, _>>()?,
            usage: UsageRule::new(&keys.usage)?,
        })
    }

    /// What kind of failure a text tells.
    pub(super) fn classify(&self, known: Trouble, text: &str) -> Trouble {
        if known != Trouble::Other {
            return known;
        }
        self.class.iter().find(|(pattern, _)| pattern.is_match(text)).map_or(known, |(_, class)| *class)
    }
}

/// With `^` and `$` at each line of what it is matched with.
fn lines(pattern: &str) -> String {
    if pattern.is_empty() { String::new() } else { format!("(?m){pattern}") }
}

impl ShowRule {
    fn new(keys: &Show) -> Result<Self, BadRule> {
        Ok(Self {
            when: When::parse(&keys.when)?,
            each: Path::parse(&keys.each)?,
            item: When::parse(&keys.item)?,
            text: Path::parse(&keys.text)?,
            pieces: keys.pieces,
            kind: keys.kind,
        })
    }
}

impl FailRule {
    fn new(keys: &FailKeys) -> Result<Self, BadRule> {
        let (when, text) = (When::parse(&keys.when)?, Path::parse(&keys.text)?);
        let (pattern, screen) = (optional(&keys.pattern)?, optional(&keys.screen)?);
        let until = Path::parse(&keys.until)?;
        Ok(Self { when, pattern, screen, text, class: keys.class, weak: keys.weak, until })
    }
}

impl UsageRule {
    fn new(keys: &UsageKeys) -> Result<Self, BadRule> {
        Ok(Self {
            when: When::parse(&keys.when)?,
            pattern: optional(&keys.pattern)?,
            each: Path::parse(&keys.each)?,
            mode: keys.mode,
            input: Path::parse(&keys.input)?,
            output: Path::parse(&keys.output)?,
            cached: Path::parse(&keys.cached)?,
            cost: Path::parse(&keys.cost)?,
        })
    }
}

fn optional(pattern: &str) -> Result<Option<Regex>, BadRule> {
    if pattern.is_empty() { Ok(None) } else { compile(pattern).map(Some) }
}

fn compile(pattern: &str) -> Result<Regex, BadRule> {
    Regex::new(pattern).map_err(|error| BadRule::Pattern {
        pattern: pattern.to_owned(),
        reason: error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
    })
}
