//! The architecture, held by a test: who may import whom, what the pure core may not touch, what
//! every file opens with, and that the documents name what is there.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file that is not a test.
const LINES_MAX: usize = 600;

/// For each module of `src/`, the modules that it may import besides itself. They point down only.
const MAY_IMPORT: [(&str, &[&str]); 19] = [
    // A constant in a release: bugs that the tests put in.
    ("seeded", &[]),
    ("domain", &["seeded"]),
    ("redact", &[]),
    ("feature", &["domain"]),
    ("config", &["domain", "feature"]),
    ("process", &["config", "domain", "feature"]),
    ("store", &["seeded", "redact", "process", "config", "domain", "feature"]),
    ("tmux", &["process", "config", "domain", "feature"]),
    ("git", &["seeded", "process", "config", "domain", "feature"]),
    ("gates", &["redact", "process", "config", "domain", "feature"]),
    ("agents", &["redact", "process", "config", "domain", "feature"]),
    // It shares nothing with what it checks.
    ("verify", &[]),
    ("telemetry", &["redact", "config"]),
    ("error", &["store", "tmux", "git", "gates", "agents", "process", "config", "domain", "feature"]),
    (
        "supervisor",
        &[
            "seeded",
            "error",
            "telemetry",
            "redact",
            "store",
            "tmux",
            "git",
            "gates",
            "agents",
            "process",
            "config",
            "domain",
            "feature",
        ],
    ),
    (
        "worker",
        &[
            "error",
            "telemetry",
            "redact",
            "store",
            "tmux",
            "git",
            "gates",
            "agents",
            "process",
            "config",
            "domain",
            "feature",
        ],
    ),
    (
        "tui",
        &[
            "supervisor",
            "worker",
            "error",
            "telemetry",
            "redact",
            "store",
            "tmux",
            "git",
            "gates",
            "agents",
            "process",
            "config",
            "domain",
            "feature",
            "cli",
        ],
    ),
    (
        "cli",
        &[
            "tui",
            "verify",
            "supervisor",
            "worker",
            "error",
            "telemetry",
            "redact",
            "store",
            "tmux",
            "git",
            "gates",
            "agents",
            "process",
            "config",
            "domain",
            "feature",
        ],
    ),
    ("lib", &[]),
];

/// What a function of its input alone has no use for.
const IMPURE: [&str; 16] = [
    "std::fs",
    "std::process",
    "std::env",
    "std::net",
    "std::thread",
    "std::io",
    "std::time",
    "SystemTime",
    "tokio",
    "async ",
    ".await",
    "rusqlite",
    "git2",
    "nix::",
    "println!",
    "getrandom",
];

/// Crates that the program is built on.
const BUILT_ON: [&str; 12] = [
    "tokio",
    "tmux_interface",
    "rusqlite",
    "serde",
    "toml",
    "clap",
    "git2",
    "sysinfo",
    "nix",
    "tracing",
    "tracing-appender",
    "insta",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(directory: &str) -> Vec<PathBuf> {
    let mut open = vec![root().join(directory)];
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The first component below `src/`: a directory, or a file without its ending.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.strip_suffix(".rs").unwrap_or(&first).to_owned()
}

fn is_test(path: &Path) -> bool {
    let text = shown(path);
    text.contains("/tests/") || text.ends_with("tests.rs") || text.starts_with("tests/")
}

/// A file's code: no comments, and nothing from its tests on.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate().take_while(|(_, line)| !line.starts_with("mod tests {"));
    let code = lines.map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default().to_owned()));
    code.filter(|(_, line)| !line.trim().is_empty()).collect()
}

/// The modules that a line of code names, as in `crate::store::Client` or `crate::{store, git}`.
fn imports(line: &str) -> Vec<String> {
    let after = line.split("crate::").skip(1);
    after
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split([',', '}']).map(|name| name.trim().to_owned()).collect(),
            None => vec![rest.to_owned()],
        })
        .map(|name| name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>())
        .filter(|name| MAY_IMPORT.iter().any(|(module, _)| module == name))
        .collect()
}

fn none(wrong: &[String], rule: &str) {
    assert!(wrong.is_empty(), "{rule}:\n{}", wrong.join("\n"));
}

#[test]
fn imports_go_down_only() {
    let may: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    let mut wrong = Vec::new();
    for path in rust_files("src").iter().filter(|path| !is_test(path)) {
        let module = module_of(path);
        let allowed = may.get(module.as_str()).copied().unwrap_or_default();
        for (at, line) in code(path) {
            let bad = imports(&line)
                .into_iter()
                .filter(|name| *name != module && !allowed.contains(&name.as_str()));
            wrong.extend(bad.map(|name| format!("{}:{at}: `{module}` imports `{name}`", shown(path))));
        }
    }
    wrong.retain(|line| !line.contains("src/main.rs"));
    none(&wrong, "imports that point up or sideways");
}

#[test]
fn every_module_has_a_place_in_the_layers() {
    let known = |name: &str| {
        name == "main" || name == "testing" || MAY_IMPORT.iter().any(|(module, _)| *module == name)
    };
    let modules: Vec<String> = rust_files("src").iter().map(|path| module_of(path)).collect();
    let wrong: Vec<String> = modules.into_iter().filter(|name| !known(name)).collect();
    none(&wrong, "modules that the layers do not name");
}

#[test]
fn the_core_is_pure() {
    let mut wrong = Vec::new();
    let pure = rust_files("src/domain").into_iter().chain(rust_files("src/feature"));
    for path in pure.filter(|path| !is_test(path)) {
        for (at, line) in code(&path) {
            let impure = IMPURE.into_iter().filter(|word| line.contains(word));
            wrong.extend(impure.map(|word| format!("{}:{at}: {word}", shown(&path))));
        }
    }
    none(&wrong, "the domain and the feature's parsers have no clock, file, process or randomness");
}

#[test]
fn queries_and_workers_have_no_runtime() {
    // The one server of the commands speaks a protocol whose crate needs it.
    let outside = |path: &PathBuf| {
        !matches!(module_of(path).as_str(), "supervisor" | "tmux" | "process")
            && !path.ends_with("src/cli/mcp/serve.rs")
            && !is_test(path)
    };
    let mut wrong = Vec::new();
    for path in rust_files("src").iter().filter(|path| outside(path)) {
        let lines = code(path).into_iter().filter(|(_, line)| line.contains("tokio::"));
        wrong.extend(lines.map(|(at, _)| format!("{}:{at}", shown(path))));
    }
    none(&wrong, "tokio outside of the supervisor and what it waits with");
}

#[test]
fn only_the_store_speaks_sql_and_only_git_opens_repositories() {
    let mut wrong = Vec::new();
    for path in rust_files("src").iter().filter(|path| !is_test(path)) {
        for (word, owner) in [("rusqlite::", "store"), ("tmux_interface::", "tmux")] {
            let lines =
                code(path).into_iter().filter(|(_, line)| line.contains(word) && module_of(path) != owner);
            // The checker reads by statements of its own: see `src/verify/mod.rs`.
            let lines = lines.filter(|_| module_of(path) != "verify");
            wrong.extend(lines.map(|(at, _)| format!("{}:{at}: {word} belongs to `{owner}`", shown(path))));
        }
    }
    none(&wrong, "an adapter's library outside of the adapter");
}

#[test]
fn every_file_says_what_it_is() {
    let opens = |path: &PathBuf| fs::read_to_string(path).unwrap().starts_with("//!");
    let files = rust_files("src").into_iter().chain(rust_files("tests"));
    let wrong: Vec<String> = files.filter(|path| !opens(path)).map(|path| shown(&path)).collect();
    none(&wrong, "files that do not open with `//!`");
}

#[test]
fn files_stay_readable() {
    let lines = |path: &Path| fs::read_to_string(path).unwrap().lines().count();
    let files: Vec<PathBuf> = rust_files("src").into_iter().filter(|path| !is_test(path)).collect();
    let long = files.iter().map(|path| (lines(path), path)).filter(|(count, _)| *count > LINES_MAX);
    let wrong: Vec<String> = long.map(|(count, path)| format!("{}: {count}", shown(path))).collect();
    none(&wrong, "files of more than 600 lines");
}

/// A document that must be there: one that is not holds nothing to its word.
fn document(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_architecture_names_only_what_is_there() {
    let text = document("docs/ARCHITECTURE.md");
    let quoted = text.split('`').skip(1).step_by(2);
    let places = ["src/", "tests/", "config/", "scripts/", "docs/", "specs/"];
    let named = quoted.filter(|text| places.iter().any(|place| text.starts_with(place)));
    let plain = named.filter(|text| !text.contains(['*', '{', '<', ' ', '$']));
    let missing = plain.filter(|text| !root().join(text.split("::").next().unwrap_or_default()).exists());
    none(&missing.map(ToOwned::to_owned).collect::<Vec<_>>(), "docs/ARCHITECTURE.md names what is not there");
}

fn dependencies() -> Vec<String> {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let sections =
        ["dependencies", "dev-dependencies"].into_iter().filter_map(|name| table.get(name)?.as_table());
    sections.flat_map(|section| section.keys().cloned()).collect()
}

#[test]
fn every_dependency_has_a_reason() {
    let text = document("docs/DEPENDENCIES.md");
    let has_line = |name: &str| {
        text.lines().any(|line| line.contains(&format!("`{name}`")) && line.len() > name.len() + 12)
    };
    let wrong: Vec<String> = dependencies().into_iter().filter(|name| !has_line(name)).collect();
    none(&wrong, "dependencies without a line in docs/DEPENDENCIES.md");
}

#[test]
fn what_it_is_built_on_is_used() {
    let known = dependencies();
    let all: String = rust_files("src").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let used = |name: &str| {
        let krate = name.replace('-', "_");
        all.contains(&format!("{krate}::"))
    };
    let wrong = BUILT_ON.into_iter().filter(|name| !known.iter().any(|known| known == name) || !used(name));
    none(&wrong.map(ToOwned::to_owned).collect::<Vec<_>>(), "crates that are not used");
}

#[test]
fn imports_are_seen_in_every_form() {
    assert_eq!(imports("use crate::store::{Client, Store};"), ["store"]);
    assert_eq!(imports("use crate::{git::Repo, tmux};"), ["git", "tmux"]);
    assert_eq!(imports("let x: crate::gates::Cache = crate::agents::y();"), ["gates", "agents"]);
}
