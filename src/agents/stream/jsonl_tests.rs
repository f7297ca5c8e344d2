//! What codex and pi printed, every recording that there is (`testdata/streams/<adapter>/*.jsonl`), read
//! by the rules of their adapters. It is to be looked at whenever it changes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::*;
use crate::config::{Config, load};

fn reader(config: &Config, adapter: &str) -> Reader {
    Reader::new(Rules::new(&config.agent[adapter].cli_keys()).unwrap())
}

/// What is known at the end, in a line.
fn line(name: &str, told: &Told, shown: &[Shown]) -> String {
    let end = match (&told.failure, told.done) {
        (Some(failure), _) => format!("{:?}: {}", failure.class, failure.text),
        (None, true) => "done".to_owned(),
        (None, false) => "broke off".to_owned(),
    };
    let usage = told.usage.map_or_else(
        || "unknown".to_owned(),
        |usage| {
            format!(
                "{} in, {:?} cached, {} out, cost {:?}",
                usage.input, usage.cached, usage.output, usage.cost
            )
        },
    );
    let said =
        shown.iter().rev().find(|shown| shown.kind == ShowAs::Text).map_or("", |shown| shown.text.as_str());
    let kinds = shown.iter().filter(|shown| shown.kind == ShowAs::Tool).count();
    format!(
        "{name}\n    {end}\n    session {}, usage {usage}, {kinds} tools, said last {said:?}",
        told.session.as_deref().unwrap_or("none")
    )
}

#[test]
fn every_recording_is_read_right() {
    let config = load(&[]).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/agents/testdata/streams");
    let mut table = String::new();
    let sorted = |path: &Path| {
        let mut found: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    };
    for directory in sorted(&root) {
        let adapter = directory.file_name().unwrap().to_str().unwrap().to_owned();
        let is_stream = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "jsonl");
        for file in sorted(&directory).into_iter().filter(is_stream) {
            let mut reader = reader(&config, &adapter);
            let mut shown = reader.out(&fs::read(&file).unwrap());
            shown.extend(reader.end());
            let name = format!("{adapter} {}", file.file_stem().unwrap().to_str().unwrap());
            writeln!(table, "{}", line(&name, reader.told(), &shown)).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}
