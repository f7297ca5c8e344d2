//! `radon cc --json`: the complexity of every function, method and nested function.
//!
//! radon lists methods twice (alone, and in their class) and nested functions only as `closures`
//! of the one around them; here each is one metric. It exits with 0 whatever happens.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::{ParseError, Parsed, Report, line, message};
use crate::domain::gate::{Finding, Metric, Severity};

#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    Blocks(Vec<Block>),
    Unreadable { error: String },
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    classname: Option<String>,
    lineno: i64,
    #[serde(default)]
    col_offset: i64,
    complexity: f64,
    #[serde(default)]
    methods: Vec<Block>,
    #[serde(default)]
    closures: Vec<Block>,
}

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.body().iter().all(u8::is_ascii_whitespace) {
        return Err(report.no_report());
    }
    let files: BTreeMap<String, File> =
        serde_json::from_slice(report.body()).map_err(|e| Report::garbled(format!("no radon JSON: {e}")))?;
    let mut parsed = Parsed::default();
    for (path, file) in &files {
        let path = report.path(path);
        match file {
            File::Blocks(blocks) => {
                let mut seen = HashSet::new();
                for block in blocks {
                    collect(&path, "", block, &mut seen, &mut parsed.metrics);
                }
            }
            File::Unreadable { error } => parsed.findings.push(unreadable(&path, error)),
        }
    }
    Ok(parsed)
}

/// Adds `block` and what is in it; a class is only a name for its methods.
fn collect(
    path: &str,
    outer: &str,
    block: &Block,
    seen: &mut HashSet<(i64, i64, String)>,
    metrics: &mut Vec<Metric>,
) {
    let owner = block.classname.as_deref().filter(|_| outer.is_empty()).unwrap_or(outer);
    let symbol = if owner.is_empty() { block.name.clone() } else { format!("{owner}.{}", block.name) };
    if block.kind == "class" {
        for method in &block.methods {
            collect(path, &symbol, method, seen, metrics);
        }
        return;
    }
    if !seen.insert((block.lineno, block.col_offset, block.name.clone())) {
        return;
    }
    metrics.push(Metric {
        name: "complexity".to_owned(),
        value: block.complexity,
        threshold: None,
        path: path.to_owned(),
        symbol: message(&symbol),
        line: line(Some(block.lineno)),
    });
    for closure in &block.closures {
        collect(path, &symbol, closure, seen, metrics);
    }
}

/// What Python runs and radon does not read: it takes every file for UTF-8 without a byte order mark.
const NOT_READ: [&str; 2] = ["U+FEFF", "codec can't decode"];

/// `invalid syntax (<unknown>, line 1)`
fn unreadable(path: &str, error: &str) -> Finding {
    if NOT_READ.iter().any(|words| error.contains(words)) {
        let said = format!("radon reads UTF-8 without a byte order mark alone; save the file so ({error})");
        return Finding::code("unreadable", path, 0, Severity::Medium, &message(&said));
    }
    let number = error.rsplit_once("line ").map_or("", |(_, rest)| rest.trim_end_matches(')'));
    Finding::code("invalid-syntax", path, number.parse().unwrap_or(0), Severity::Critical, &message(error))
}
