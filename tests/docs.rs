//! What README and `docs/` print is true: commands run, paths exist, every key and every dependency
//! has its line.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

mod person;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use person::{Person, text};

/// Commands that need a network or minutes. `scripts/quickstart` is apt, pip, a build and the demo,
/// which `tests/demo.rs` runs; `scripts/test` is what runs this.
const ELSEWHERE: &[&str] = &["scripts/quickstart", "scripts/test"];
/// What ends with another exit code than 0 in the prepared world, and why that is right.
const OTHER_CODES: &[(&str, i32)] = &[
    // The sprint is over: no supervisor runs.
    ("sprint health", 3),
];
/// Placeholders of the documents, and what stands for them in the prepared world; what would ask a
/// network is only looked at.
const INSTEAD: &[(&str, &str)] =
    &[("specs/001-thing", "specs/001-words"), ("HEAD^", "HEAD"), ("$CI_MERGE_REQUEST_DIFF_BASE_SHA", "HEAD")];
const LOOKED_AT: &[(&str, &str)] = &[("sprint install", "sprint install --check")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// README.md and every page of `docs/`.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).unwrap().flatten();
    let names = docs.map(|entry| format!("docs/{}", entry.file_name().to_string_lossy()));
    let mut pages: Vec<String> =
        names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "md")).collect();
    pages.sort();
    pages.insert(0, "README.md".to_owned());
    pages
}

/// The fenced blocks of a page: language and lines.
fn blocks(page: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut open: Option<(String, Vec<String>)> = None;
    for line in read(page).lines() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(language), None) => open = Some((language.to_owned(), Vec::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, lines))) => lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    found
}

/// The commands that a page prints to be typed.
fn commands(page: &str) -> Vec<String> {
    let typed = |language: &str, line: &str| match language {
        "console" => line.strip_prefix("$ ").map(str::to_owned),
        "yaml" => {
            let step = line.trim().trim_start_matches("- ").trim_start_matches("run: ");
            Some(step.to_owned()).filter(|step| step.starts_with("sprint "))
        }
        "sh" | "" => Some(line.trim().to_owned()).filter(|line| {
            language == "sh" || line.starts_with("sprint start ") || line.starts_with("scripts/")
        }),
        _ => None,
    };
    let blocks = blocks(page);
    blocks
        .iter()
        .flat_map(|(language, lines)| lines.iter().filter_map(|line| typed(language, line)))
        .collect()
}

/// The sample library with the first two tasks of its feature, which need no help from outside.
fn world(person: &Person, name: &str) -> PathBuf {
    let dir = person.path(name);
    let library =
        ["README.md", "pyproject.toml", "sprint.toml", "src/humanly/__init__.py", "src/humanly/numbers.py"];
    let mut files: Vec<(String, String)> = library
        .iter()
        .map(|file| ((*file).to_owned(), read(&format!("config/demo/library/{file}"))))
        .collect();
    files.push(("tests/test_numbers.py".to_owned(), read("config/demo/library/tests/test_numbers.py")));
    let tasks = read("config/demo/feature/tasks.md");
    let wanted = |line: &&str| !line.starts_with("- [ ]") || line.contains("T001") || line.contains("T002");
    let tasks: Vec<&str> = tasks.lines().filter(wanted).collect();
    files.push(("specs/001-words/tasks.md".to_owned(), tasks.join("\n") + "\n"));
    for file in ["spec.md", "plan.md"] {
        files.push((format!("specs/001-words/{file}"), read(&format!("config/demo/feature/{file}"))));
    }
    for task in ["T001", "T002"] {
        let script = format!("{task}.toml");
        files.push((
            format!("specs/001-words/script/{script}"),
            read(&format!("config/demo/script/{script}")),
        ));
    }
    for (path, text) in files {
        let file = dir.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    person.git(&dir, &["init", "--quiet", "--initial-branch=main"]);
    person.git(&dir, &["config", "user.name", "p"]);
    person.git(&dir, &["config", "user.email", "p@example.invalid"]);
    person.git(&dir, &["add", "--all"]);
    person.git(&dir, &["commit", "--quiet", "--message=sample"]);
    dir
}

#[test]
fn every_command_that_is_printed_runs() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let used = world(&person, "used");
    let fresh = world(&person, "fresh");
    fs::remove_file(fresh.join("sprint.toml")).unwrap();
    let mut ran = BTreeSet::new();
    for page in pages() {
        for command in commands(&page) {
            if ELSEWHERE.contains(&command.as_str()) {
                assert!(root().join(&command).is_file(), "{page}: {command}");
                continue;
            }
            let typed = INSTEAD.iter().fold(command.clone(), |text, (from, to)| text.replace(from, to));
            let looked_at = LOOKED_AT.iter().find(|(whole, _)| *whole == typed);
            let typed = looked_at.map_or(typed, |(_, other)| (*other).to_owned());
            if !ran.insert(typed.clone()) {
                continue;
            }
            let words: Vec<&str> = typed.split_whitespace().collect();
            assert_eq!(words[0], "sprint", "{page}: `{command}` is neither run nor named in ELSEWHERE");
            // `init` is for a repository that has no sprint.toml yet.
            let cwd = if words[1] == "init" { &fresh } else { &used };
            let output = person.sprint(cwd, &words[1..]);
            let expected =
                OTHER_CODES.iter().find(|(command, _)| *command == typed).map_or(0, |(_, code)| *code);
            assert_eq!(
                output.status.code(),
                Some(expected),
                "{page}: {command}\n{}{}",
                text(&output.stdout),
                text(&output.stderr)
            );
        }
    }
    assert!(ran.len() > 10, "{ran:?}");
}

#[test]
fn the_hook_for_commits_runs() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let top = world(&person, "hook");
    let hooks = read(".pre-commit-hooks.yaml");
    let entry = hooks.lines().find_map(|line| line.trim().strip_prefix("entry: ")).unwrap();
    let words: Vec<&str> = entry.split_whitespace().collect();
    assert_eq!(words[0], "sprint");
    let output = person.sprint(&top, &words[1..]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(hooks.contains("id: sprint-gates") && read("docs/ci.md").contains("id: sprint-gates"));
}

/// `` `sprint word …` `` anywhere in a text.
fn subcommands(page: &str) -> BTreeSet<String> {
    let text = read(page);
    let spans = text.split('`').skip(1).step_by(2).filter_map(|span| span.strip_prefix("sprint "));
    let words = spans.filter_map(|rest| rest.split_whitespace().next());
    words.filter(|word| word.chars().all(|c| c.is_ascii_lowercase())).map(str::to_owned).collect()
}

#[test]
fn every_command_that_is_named_exists() {
    let person = Person::new();
    let named: BTreeSet<String> = pages().iter().flat_map(|page| subcommands(page)).collect();
    assert!(named.len() > 8, "{named:?}");
    for name in named {
        let output = person.sprint(person.home.path(), &[&name, "--help"]);
        assert_eq!(output.status.code(), Some(0), "sprint {name} --help: {}", text(&output.stderr));
    }
}

#[test]
fn every_path_in_the_architecture_exists() {
    let page = read("docs/ARCHITECTURE.md");
    let tops = ["src/", "tests/", "config/", "docs/", "scripts/", "specs/"];
    let spans = page.split('`').skip(1).step_by(2);
    let paths: Vec<&str> = spans.filter(|span| tops.iter().any(|top| span.starts_with(top))).collect();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "docs/ARCHITECTURE.md names `{path}`, which is not there");
    }
}

/// Each promise with what it says, its code and its tests.
#[test]
fn every_promise_has_its_code_and_its_tests() {
    let (page, sources) = (read("docs/RELIABILITY.md"), all_sources());
    for invariant in sprint::verify::Invariant::ALL {
        let begin = format!("| `{}` | {} |", invariant.name(), invariant.promise());
        let row = page.lines().find(|line| line.starts_with(&begin));
        let row = row.unwrap_or_else(|| panic!("no row `{begin}`"));
        has_code_and_tests(row, &sources);
    }
}

#[test]
fn every_seeded_bug_names_the_test_that_sees_it() {
    let (page, sources) = (read("docs/RELIABILITY.md"), all_sources());
    for (name, _) in sprint::seeded::NAMES {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("no row of `{name}`"));
        let test = row.split('`').nth(3).unwrap();
        assert!(sources.contains(&format!("fn {test}(")), "no test `{test}`");
        assert!(sources.contains(&format!("caught(\"{name}\"")), "no test puts `{name}` in");
    }
}

#[test]
fn every_fault_of_the_matrix_has_its_test() {
    let (page, sources) = (read("docs/RELIABILITY.md"), all_sources());
    let matrix = page.split_once("## The 48 faults").unwrap().1.split("\n## ").next().unwrap();
    let rows: Vec<&str> = matrix.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), 48);
    for (at, row) in rows.iter().enumerate() {
        assert!(row.starts_with(&format!("| {} |", at + 1)), "{row}");
        let tests: Vec<&str> = row.split('`').skip(1).step_by(2).filter(|name| name.contains('_')).collect();
        assert!(!tests.is_empty() || row.contains("not yet"), "{row}");
        for test in tests {
            assert!(is_run(&sources, test), "`{test}` is no test that every run has");
        }
    }
}

/// Marked as a test, and not as one that is left out.
fn is_run(sources: &str, test: &str) -> bool {
    let Some((before, _)) = sources.split_once(&format!("fn {test}(")) else { return false };
    let marks = before.rsplit("\n\n").next().unwrap_or_default();
    marks.contains("test]") && !marks.contains("#[ignore")
}

#[test]
fn every_guard_has_its_code_and_its_tests() {
    let (page, sources) = (read("docs/SECURITY.md"), all_sources());
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && line.contains('`')).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        has_code_and_tests(row, &sources);
    }
}

fn all_sources() -> String {
    let files = sources_below("src").into_iter().chain(sources_below("tests"));
    files.map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// A row of a table names files that are there, and tests.
fn has_code_and_tests(row: &str, sources: &str) {
    let spans: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
    let is_path = |span: &&str| span.starts_with("src/") || span.starts_with("tests/");
    let (paths, others): (Vec<&str>, Vec<&str>) = spans.into_iter().partition(is_path);
    assert!(!paths.is_empty() && paths.iter().all(|path| root().join(path).exists()), "{row}");
    let tests: Vec<&str> = others.into_iter().filter(|name| name.contains('_')).collect();
    assert!(!tests.is_empty() || paths.iter().any(|path| path.starts_with("tests/")), "{row}");
    for test in tests {
        assert!(sources.contains(&format!("fn {test}(")), "no test `{test}`");
    }
}

fn sources_below(directory: &str) -> Vec<PathBuf> {
    let mut open = vec![root().join(directory)];
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else if entry.path().extension().is_some_and(|end| end == "rs") {
                found.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let here = root().join(&page);
        for link in read(&page).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            assert!(here.parent().unwrap().join(target).exists(), "{page} links to `{target}`");
        }
    }
}

fn dotted(table: &toml::Table, prefix: &str, keys: &mut Vec<String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(table) => dotted(table, &key, keys),
            // The keys of a stage are listed by their own names.
            toml::Value::Array(stages) if stages.iter().any(toml::Value::is_table) => {
                let stages = stages.iter().filter_map(toml::Value::as_table);
                keys.extend(stages.flat_map(|stage| stage.keys().cloned()));
            }
            _ => keys.push(key),
        }
    }
}

#[test]
fn every_key_of_the_configuration_is_explained() {
    let defaults: toml::Table = read("config/default.toml").parse().unwrap();
    let mut keys = Vec::new();
    dotted(&defaults, "", &mut keys);
    assert!(keys.len() > 40, "{keys:?}");
    let page = read("docs/configuration.md");
    let missing: Vec<&String> = keys.iter().filter(|key| !page.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/configuration.md does not explain {missing:?}");
}

#[test]
fn every_program_has_its_set_up_and_the_versions_it_was_tested_with() {
    let page = read("docs/agents.md");
    for entry in std::fs::read_dir(root().join("config/agents")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let keys: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let Some(install) = keys.get("install") else {
            assert_eq!(name, "cli", "{name} says how it is installed");
            continue;
        };
        let row = format!(
            "| `{name}` | `{}` | `{}` |",
            install.as_str().unwrap(),
            keys["login"]["hint"].as_str().unwrap()
        );
        assert!(page.contains(&row), "docs/agents.md has no row `{row}…`");
        let tested = keys["version"]["tested"].as_array().unwrap();
        let versions = tested.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(", ");
        let known = page.lines().any(|line| {
            line.starts_with(&format!("| `{name}` |")) && line.contains(&format!("| {versions} |"))
        });
        assert!(known, "docs/agents.md says another version of {name} than {versions}");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let package: toml::Table = read("Cargo.toml").parse().unwrap();
    let page = read("docs/DEPENDENCIES.md");
    for section in ["dependencies", "dev-dependencies"] {
        for name in package[section].as_table().unwrap().keys() {
            assert!(page.contains(&format!("| `{name}` |")), "docs/DEPENDENCIES.md has no line for `{name}`");
        }
    }
}

#[test]
fn the_feature_of_sprint_itself_is_clean() {
    let person = Person::new();
    let output = person.sprint(root(), &["tasks", "lint", "specs/001-sprint", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lint: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(lint["warnings"].as_array().unwrap().len(), 0, "{}", lint["warnings"]);
    for task in lint["tasks"].as_array().unwrap().iter().filter(|task| task["done"] == true) {
        for path in task["paths"].as_array().unwrap() {
            let path = path.as_str().unwrap();
            assert!(root().join(path).exists(), "{} is done, and `{path}` is not there", task["id"]);
        }
    }
}
