//! Holds one layer against the schema: unknown keys, wrong types, wrong values. Reports all of
//! them, and goes on with what is right.

use super::problem::{Problem, nearest, nearest_hint, shown};
use super::schema::{self, Field, Kind};
use super::tree::{Node, Table, Value};
use super::values::{self, TextRule};

/// Reports into `problems` what the layer `root` may not have.
pub(super) fn layer(root: &Node, problems: &mut Vec<Problem>) {
    Checker { problems }.section(root, "", schema::ROOT);
}

struct Checker<'a> {
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn section(&mut self, node: &Node, path: &str, fields: &'static [Field]) {
        let Some(table) = node.as_table() else {
            return self.wrong_type(node, path, "a table");
        };
        for (key, value) in table {
            let dotted = join(path, key);
            match fields.iter().find(|field| field.key == key) {
                Some(field) => self.value(value, &dotted, field.kind),
                None => self.unknown(value, path, key, fields),
            }
        }
    }

    fn unknown(&mut self, node: &Node, path: &str, key: &str, fields: &'static [Field]) {
        let near = nearest(key, schema::keys(fields)).map(|near| join(path, near)).unwrap_or_default();
        // A key of that very name in another section is what was meant, rather than a neighbour.
        let suffix = format!(".{key}");
        let near = schema::dotted_keys().into_iter().find(|dotted| dotted.ends_with(&suffix)).unwrap_or(near);
        self.report(node, &join(path, key), format!("unknown key; the nearest known key is `{near}`"));
    }

    fn value(&mut self, node: &Node, path: &str, kind: Kind) {
        match kind {
            Kind::Bool => {
                if !matches!(node.value, Value::Bool(_)) {
                    self.wrong_type(node, path, "`true` or `false`");
                }
            }
            Kind::Int(min, max) => self.int(node, path, min, max),
            Kind::Number(min, max) => self.number(node, path, min, max),
            Kind::Text(rule) => self.text(node, path, rule),
            Kind::Quantity(rule, example) => match node.as_text() {
                Some(text) => self.keeps(node, path, rule(text)),
                None => self.wrong_type(node, path, &format!("a string with a unit, such as \"{example}\"")),
            },
            Kind::OneOf(words) => self.one_of(node, path, words),
            Kind::Texts(rule) => self.texts(node, path, rule),
            Kind::Ints(min, max) => self.ints(node, path, min, max),
            Kind::Command(rule) => self.command(node, path, rule),
            Kind::WordOrTexts(word, rule) => self.word_or_texts(node, path, word, rule),
            Kind::Env => self.env(node, path),
            Kind::Free(rule) => match node.as_table() {
                Some(_) => self.free(node, path, rule),
                None => self.wrong_type(node, path, "a table"),
            },
            Kind::Table(fields) => self.section(node, path, fields),
            Kind::Named(rule, fields) => self.named(node, path, rule, fields),
            Kind::Mixed(fixed, rule, fields) => self.mixed(node, path, fixed, (rule, fields)),
            Kind::Tables(fields) => self.tables(node, path, fields),
        }
    }

    fn int(&mut self, node: &Node, path: &str, min: i64, max: i64) {
        match node.value {
            Value::Int(value) if (min..=max).contains(&value) => {}
            Value::Int(value) => {
                self.report(node, path, format!("is {value}, and must be between {min} and {max}"));
            }
            _ => self.wrong_type(node, path, "an integer"),
        }
    }

    fn number(&mut self, node: &Node, path: &str, min: f64, max: f64) {
        #[expect(clippy::cast_precision_loss, reason = "the bounds are small")]
        let value = match node.value {
            Value::Int(value) => value as f64,
            Value::Float(value) => value,
            _ => return self.wrong_type(node, path, "a number"),
        };
        if !(min..=max).contains(&value) {
            self.report(node, path, format!("is {value}, and must be between {min} and {max}"));
        }
    }

    fn text(&mut self, node: &Node, path: &str, rule: TextRule) {
        match node.as_text() {
            Some(text) => self.keeps(node, path, rule(text)),
            None => self.wrong_type(node, path, "a string"),
        }
    }

    fn one_of(&mut self, node: &Node, path: &str, words: &'static [&'static str]) {
        let Some(text) = node.as_text() else {
            return self.wrong_type(node, path, "a string");
        };
        if words.contains(&text) {
            return;
        }
        let hint = nearest_hint(text, "one", words.iter().copied());
        let all = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        self.report(node, path, format!("is `{}`, which is none of {all}{hint}", shown(text)));
    }

    fn texts(&mut self, node: &Node, path: &str, rule: TextRule) {
        let Value::List(items) = &node.value else {
            return self.wrong_type(node, path, "a list of strings, such as [\"a\", \"b\"]");
        };
        for item in items {
            self.text(item, path, rule);
        }
    }

    fn ints(&mut self, node: &Node, path: &str, min: i64, max: i64) {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                self.report(node, path, "is empty; it must have at least one number".to_owned());
            }
            Value::List(items) => {
                for item in items {
                    self.int(item, path, min, max);
                }
            }
            _ => self.wrong_type(node, path, "a list of integers, such as [0, 1]"),
        }
    }

    fn command(&mut self, node: &Node, path: &str, rule: TextRule) {
        let Value::List(items) = &node.value else {
            return self.wrong_type(node, path, "a list of strings, such as [\"program\", \"argument\"]");
        };
        if items.first().and_then(Node::as_text).is_none_or(str::is_empty) && items.len() < 2 {
            return self.report(node, path, "is empty; it must name a program".to_owned());
        }
        self.texts(node, path, rule);
        if items.first().and_then(Node::as_text) == Some("") {
            self.report(node, path, "begins with an empty string; it must name a program".to_owned());
        }
        // No shell reads it: `["true", "&&", "false"]` would be a `true` with two arguments.
        if let Some(word) = items.iter().filter_map(Node::as_text).find(|word| ["&&", "||"].contains(word)) {
            let message = format!(
                "has the word `{word}`, which only a shell understands; write `[\"sh\", \"-c\", \"… {word} …\"]`"
            );
            self.report(node, path, message);
        }
    }

    fn word_or_texts(&mut self, node: &Node, path: &str, word: &'static str, rule: TextRule) {
        match &node.value {
            Value::Text(text) if text == word => {}
            Value::Text(text) => {
                self.report(
                    node,
                    path,
                    format!("is `{}`, and must be `{word}` or a list of names", shown(text)),
                );
            }
            Value::List(_) => self.texts(node, path, rule),
            _ => self.wrong_type(node, path, &format!("\"{word}\" or a list of names")),
        }
    }

    fn env(&mut self, node: &Node, path: &str) {
        let Some(table) = node.as_table() else {
            return self.wrong_type(node, path, "a table of strings, such as { KEY = \"value\" }");
        };
        for (name, value) in table {
            let dotted = join(path, name);
            self.keeps(value, &dotted, values::variable(name));
            self.text(value, &dotted, values::no_nul);
        }
    }

    /// The depth is bounded by the reader of TOML.
    fn free(&mut self, node: &Node, path: &str, rule: TextRule) {
        match &node.value {
            Value::Text(text) => self.keeps(node, path, rule(text)),
            Value::List(items) => items.iter().for_each(|item| self.free(item, path, rule)),
            Value::Table(table) => {
                for (key, value) in table {
                    self.free(value, &join(path, key), rule);
                }
            }
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
            Value::Other(_) => {
                self.wrong_type(node, path, "what JSON has: a text, a number, a list or a table");
            }
        }
    }

    fn named(&mut self, node: &Node, path: &str, rule: schema::NameRule, fields: &'static [Field]) {
        let Some(table) = node.as_table() else {
            return self.wrong_type(node, path, "a table of sections");
        };
        for (name, section) in table {
            let dotted = join(path, name);
            if section.as_table().is_none() {
                let message =
                    format!("is {}, and must be a section: `[{path}.NAME]`", section.value.type_name());
                self.report(section, &dotted, message);
                continue;
            }
            if let Err(message) = (rule.check)(name) {
                self.report(section, &dotted, format!("the name of this {}: {message}", rule.what));
            }
            self.section(section, &dotted, fields);
        }
    }

    fn mixed(
        &mut self,
        node: &Node,
        path: &str,
        fixed: &'static [Field],
        (rule, fields): (schema::NameRule, &'static [Field]),
    ) {
        let Some(table) = node.as_table() else {
            return self.wrong_type(node, path, "a table");
        };
        let is_fixed = |key: &str| fixed.iter().any(|field| field.key == key);
        let (known, named): (Table, Table) = table.clone().into_iter().partition(|(key, _)| is_fixed(key));
        let part = |table| Node { origin: node.origin.clone(), value: Value::Table(table) };
        self.section(&part(known), path, fixed);
        self.named(&part(named), path, rule, fields);
    }

    fn tables(&mut self, node: &Node, path: &str, fields: &'static [Field]) {
        let Value::List(items) = &node.value else {
            return self.wrong_type(node, path, &format!("a list of sections: `[[{path}]]`"));
        };
        for item in items {
            self.section(item, path, fields);
        }
    }

    fn keeps(&mut self, node: &Node, path: &str, verdict: Result<(), String>) {
        if let Err(message) = verdict {
            self.report(node, path, message);
        }
    }

    fn wrong_type(&mut self, node: &Node, path: &str, wanted: &str) {
        self.report(node, path, format!("is {}, and must be {wanted}", node.value.type_name()));
    }

    fn report(&mut self, node: &Node, path: &str, message: String) {
        self.problems.push(node.problem(path, message));
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The section at `path` of a merged tree, for checks across keys.
pub(super) fn table_at<'a>(root: &'a Node, path: &[&str]) -> Option<&'a Table> {
    root.at(path)?.as_table()
}
