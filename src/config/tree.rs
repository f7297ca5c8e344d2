//! A configuration before it means anything: values that know which layer and line they are from.
//! Reads TOML text and dotted pairs, and lays one layer over another. Knows no key.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::problem::{Problem, shown};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) layer: Arc<str>,
    pub(super) line: Option<usize>,
    /// For a pair: the name of the variable or flag, which is the place.
    pub(super) name: Option<Arc<str>>,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// The values of TOML, and a text from outside whose type the key decides.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Table),
    /// A date or a number beyond our range: no key takes it.
    Other(&'static str),
}

pub(super) type Table = BTreeMap<String, Node>;

impl Value {
    /// The type in the words of TOML.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number with a fraction",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(name) => name,
        }
    }

    /// As JSON, for serde; places are lost.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
            Self::List(nodes) => nodes.iter().map(|node| node.value.to_json()).collect(),
            Self::Table(table) => {
                table.iter().map(|(key, node)| (key.clone(), node.value.to_json())).collect()
            }
            Self::Other(_) => serde_json::Value::Null,
        }
    }
}

impl Node {
    /// A problem at this place.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        self.origin.problem(key, message)
    }

    pub(super) fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The node at `path`, through tables.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.as_table()?.get(*key))
    }
}

impl Origin {
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        let key = self.name.as_deref().unwrap_or(key);
        Problem { layer: self.layer.to_string(), line: self.line, key: shown(key), message: message.into() }
    }
}

/// Finds the line of a byte offset.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { starts }
    }

    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }
}

/// Reads a TOML text. What can be read is in the node, all syntax errors are problems.
pub(super) fn parse(layer: &str, text: &str) -> (Node, Vec<Problem>) {
    let reader = Reader { layer: layer.into(), lines: Lines::of(text) };
    let (table, errors) = DeTable::parse_recoverable(text);
    let problems = errors
        .iter()
        .map(|error| {
            let line = error.span().map(|span| reader.lines.line(span.start));
            Origin { line, ..reader.origin(0) }.problem("", format!("not TOML: {}", error.message()))
        })
        .collect();
    (Node { origin: reader.origin(0), value: reader.table(table.get_ref()) }, problems)
}

struct Reader {
    layer: Arc<str>,
    lines: Lines,
}

impl Reader {
    fn origin(&self, offset: usize) -> Origin {
        Origin { layer: Arc::clone(&self.layer), line: Some(self.lines.line(offset)), name: None }
    }

    fn table(&self, table: &DeTable<'_>) -> Value {
        let nodes = table.iter().map(|(key, value)| {
            let origin = self.origin(key.span().start);
            (key.get_ref().to_string(), Node { origin, value: self.value(value.get_ref()) })
        });
        Value::Table(nodes.collect())
    }

    fn value(&self, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(int) => i64::from_str_radix(int.as_str(), int.radix())
                .map_or(Value::Other("an integer beyond 64 bits"), Value::Int),
            DeValue::Float(float) => {
                float.as_str().parse().map_or(Value::Other("a number beyond our range"), Value::Float)
            }
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(items) => Value::List(
                items
                    .iter()
                    .map(|item| Node {
                        origin: self.origin(item.span().start),
                        value: self.value(item.get_ref()),
                    })
                    .collect(),
            ),
            DeValue::Table(table) => self.table(table),
        }
    }
}

/// A value written in a variable or a flag, where TOML is accepted but not needed.
pub(super) fn parse_value(origin: &Origin, text: &str) -> Option<Value> {
    let parsed = DeValue::parse(text.trim()).ok()?;
    let reader = Reader { layer: Arc::clone(&origin.layer), lines: Lines::of("") };
    let mut value = reader.value(parsed.get_ref());
    replace_origin(&mut value, origin);
    Some(value)
}

fn replace_origin(value: &mut Value, origin: &Origin) {
    match value {
        Value::List(nodes) => {
            for node in nodes {
                node.origin = origin.clone();
                replace_origin(&mut node.value, origin);
            }
        }
        Value::Table(table) => {
            for node in table.values_mut() {
                node.origin = origin.clone();
                replace_origin(&mut node.value, origin);
            }
        }
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Other(_) => {}
    }
}

/// Lays `over` on `base`: tables are merged key by key, everything else is replaced whole.
pub(super) fn overlay(base: &mut Node, over: Node) {
    match (&mut base.value, over.value) {
        (Value::Table(base_table), Value::Table(over_table)) => {
            for (key, node) in over_table {
                match base_table.entry(key) {
                    std::collections::btree_map::Entry::Occupied(mut there) => overlay(there.get_mut(), node),
                    std::collections::btree_map::Entry::Vacant(free) => {
                        free.insert(node);
                    }
                }
            }
            // A table is judged where it was written last: that is what the person can change.
            base.origin = over.origin;
        }
        (_, value) => *base = Node { origin: over.origin, value },
    }
}

impl Node {
    /// The node at `path`, to be changed.
    pub(super) fn at_mut(&mut self, path: &[&str]) -> Option<&mut Self> {
        path.iter().try_fold(self, |node, key| match &mut node.value {
            Value::Table(table) => table.get_mut(*key),
            _ => None,
        })
    }
}
