//! Screens as real programs drew them in tmux (the first line is the title), read by the rules of
//! their adapters. The name of a file begins with how the program stood.

use std::fs;

use super::{SignalRules, Watch};
use crate::config::load;
use crate::domain::screen::Stand;

fn rules(adapter: &str) -> SignalRules {
    let config = load(&[]).expect("the built-in layer is sound");
    SignalRules::new(&config.agent[adapter].cli_keys().screen).unwrap()
}

#[test]
fn every_recorded_screen_is_read_right() {
    let mut read = Vec::new();
    for adapter in ["claude", "codex", "opencode"] {
        let directory = format!("{}/src/agents/testdata/screens/{adapter}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let (title, screen) = text.split_once('\n').unwrap();
            let lines: Vec<String> = screen.lines().map(ToString::to_string).collect();
            let mut watch = Watch::new(rules(adapter));
            watch.glass(title, &lines, 1);
            let sight = watch.sight(60_000);
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let wanted = match name.split('-').next().unwrap() {
                "ready" | "idle" | "interrupted" => vec![Stand::Ready, Stand::Idle],
                "busy" => vec![Stand::Busy],
                "blocked" => vec![Stand::Permission],
                "retrying" => vec![Stand::Retrying],
                "dialog" => vec![Stand::Dialog],
                other => panic!("what is {other}?"),
            };
            assert!(wanted.contains(&sight.stand), "{adapter} {name} is read as {sight:?}");
            read.push(format!("{adapter:<9} {name:<14} {:<10} {}", sight.stand.word(), sight.source));
        }
    }
    insta::assert_snapshot!(read.join("\n"));
}
