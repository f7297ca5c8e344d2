//! Screens as real programs drew them in tmux (the first line is the title, with what the terminal told of
//! the lines that it read, where that counts), and what they told their
//! hooks, read by the rules of their adapters. The name of a screen's file begins with how the program
//! stood.

use std::fs;

use serde_json::Value;

use super::{Reads, SignalRules, Watch};
use crate::agents::stream::{Reader, Rules};
use crate::config::cli_agent::Trouble;
use crate::config::{CliKeys, load};
use crate::domain::screen::Stand;

fn keys(adapter: &str) -> CliKeys {
    load(&[]).expect("the built-in layer is sound").agent[adapter].cli_keys()
}

fn rules(keys: &CliKeys) -> SignalRules {
    SignalRules::new(&keys.screen).unwrap()
}

/// `reads, 2 before` or `has read 2`.
fn reads(text: &str) -> Reads {
    let number = text.split(' ').find_map(|word| word.parse().ok()).unwrap();
    Reads { now: text.starts_with("reads"), taken: number }
}

#[test]
fn every_recorded_screen_is_read_right() {
    let mut read = Vec::new();
    for adapter in ["claude", "codex", "opencode", "pi", "gemini", "qwen", "aider", "mini-swe-agent"] {
        let directory = format!("{}/src/agents/testdata/screens/{adapter}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let keys = keys(adapter);
        let rules = rules(&keys);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let (head, screen) = text.split_once('\n').unwrap();
            let (title, lines_read) = head.split_once('\t').unwrap_or((head, "has read 0"));
            let lines: Vec<String> = screen.lines().map(ToString::to_string).collect();
            let mut watch = Watch::new(rules.clone());
            watch.lines_read(reads(lines_read));
            watch.glass(title, &lines, 1);
            let sight = watch.sight(60_000);
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let wanted = match name.split('-').next().unwrap() {
                "ready" | "idle" | "interrupted" => vec![Stand::Ready, Stand::Idle],
                "busy" => vec![Stand::Busy],
                "blocked" => vec![Stand::Permission],
                "question" => vec![Stand::Question],
                "retrying" => vec![Stand::Retrying],
                "dialog" => vec![Stand::Dialog],
                other => panic!("what is {other}?"),
            };
            assert!(wanted.contains(&sight.stand), "{adapter} {name} is read as {sight:?}");
            let mut reader = Reader::new(Rules::new(&keys).unwrap());
            reader.screen(&lines);
            // Looked for when a turn is over.
            let over = sight.stand != Stand::Retrying;
            let failure = reader.told().failure.as_ref().filter(|_| over).map(|failure| failure.class);
            assert_eq!(failure, name.ends_with("-failed").then_some(Trouble::Auth), "{adapter} {name}");
            let said = reader.said_on(&lines).map(|said| format!("{said:?}")).unwrap_or_default();
            let row = format!(
                "{adapter:<14} {name:<14} {:<10} {:<6} {} {said}",
                sight.stand.word(),
                sight.source,
                sight.text
            );
            read.push(row.trim_end().to_owned());
        }
    }
    insta::assert_snapshot!(read.join("\n"));
}

/// What tells the events of a program apart.
fn kind(event: &Value) -> String {
    let names = ["hook_event_name", "type", "subtype", "tool_name", "notification_type", "reason", "error"];
    let told = names.iter().filter_map(|name| event[name].as_str());
    let inner = [&event["event"]["type"], &event["request"]["subtype"], &event["messages"][0]["stopReason"]];
    told.chain(inner.into_iter().filter_map(Value::as_str)).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_recorded_hook_is_read_right() {
    let mut read = Vec::new();
    for adapter in ["claude", "codex", "pi", "qwen"] {
        let file = format!("{}/src/agents/testdata/hooks/{adapter}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let keys = keys(adapter);
        let mut reader = Reader::new(Rules::new(&keys).unwrap());
        for line in fs::read_to_string(file).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let mut watch = Watch::new(rules(&keys));
            let stand = watch.hook(&event, 1).map_or("-", |stand| stand.word());
            let text = watch.sight(1).text;
            let said = reader.hook(&event, &keys.hooks).unwrap_or_default();
            let row = [adapter, &kind(&event), "=>", stand, &text, &format!("{said:?}").replace("\"\"", "")];
            read.push(row.join(" ").trim_end().to_owned());
        }
        let told = reader.told();
        assert!(told.session.is_some(), "{adapter} names its conversation");
        read.push(format!("{adapter}: used {:?}", told.usage.map(|usage| (usage.input, usage.output))));
    }
    insta::assert_snapshot!(read.join("\n"));
}
