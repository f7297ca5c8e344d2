//! Moved code has no new finding; copied code has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::by_hand::PACKAGES;
use crate::packages::{Package, World, gate};
use crate::person::text;

const TOOLS: [&str; 5] = ["ruff", "mypy", "radon", "bandit", "semgrep"];

const CONFIG: &str = "[gates]\npresets = [\"ruff\", \"mypy\", \"radon\", \"bandit\", \"semgrep\"]\n";

const MOVES: [&str; 6] = ["rename", "header", "function", "split", "order", "indent"];

/// (path, line, rule, message) of what is new.
type New = Vec<(String, u64, String, String)>;

fn new(gate: &Value) -> New {
    let findings = gate["findings"].as_array().unwrap().iter().filter(|one| one["status"] == "new");
    let of = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    findings
        .map(|one| (of(one, "path"), one["line"].as_u64().unwrap(), of(one, "rule"), of(one, "message")))
        .collect()
}

/// Makes the move in the worktree and commits it; the lines that it wrote itself.
fn make(world: &World, name: &str) -> BTreeMap<String, BTreeSet<u64>> {
    world.git(&["checkout", "-q", "--force", "--detach", "new"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gates_agreement/moves.py");
    let mut python = world.command("python3", &world.repo);
    let output = python.arg(script).arg(name).arg(&world.repo).output().unwrap();
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    if world.git(&["status", "--porcelain", "--untracked-files=all"]).is_empty() {
        println!("{name}: this package has nothing that could be moved so");
        world.git(&["tag", name, "new"]);
    } else {
        world.commit(name);
    }
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    serde_json::from_value(said["written"].clone()).unwrap()
}

/// What a tool rightly says of a line that stayed as it was, because others went away: (package or nothing for
/// all, tool, rule, why).
const EXPLAINED: &[(&str, &str, &str, &str)] = &[
    ("", "ruff", "F401", "who used that import is gone, or has moved to another file"),
    ("", "ruff", "I001", "what followed that block of imports has moved to another file"),
    ("", "ruff", "F821", "what it names has stayed in another file, and nobody imports it"),
    ("", "mypy", "has-type", "what it names has moved to a file that imports this one"),
    (
        "tenacity",
        "mypy",
        "operator",
        "`tenacity.retry` is a module and a function: mypy takes what it meets last",
    ),
    ("tenacity", "mypy", "unused-ignore", "where it takes the module, what was ignored is no error"),
];

/// The same between releases: (package, tool, what the path begins with, rule or nothing for all, why).
const RELEASED: &[(&str, &str, &str, &str, &str)] = &[
    (
        "click",
        "mypy",
        "tests/test_commands.py",
        "arg-type",
        "`pass_context`, which it calls, has a stricter type",
    ),
    (
        "itsdangerous",
        "mypy",
        "tests/test_itsdangerous/test_serializer.py",
        "type-arg",
        "mypy's `strict` counts from this release on",
    ),
    ("attrs", "ruff", "", "", "from this release on, pyproject.toml selects every rule of ruff"),
    ("tenacity", "ruff", "", "FA100", "from this release on, pyproject.toml says which Python is the oldest"),
    ("tenacity", "mypy", "tests/", "", "from this release on, mypy's `files` has the tests"),
];

fn explained(package: &Package, tool: &str, rule: &str) -> Option<&'static str> {
    let known = EXPLAINED.iter().find(|(name, its, known, _)| {
        (name.is_empty() || *name == package.name) && *its == tool && *known == rule
    });
    known.map(|(.., why)| *why)
}

/// What is new on lines that were there before, as text; nothing where all is as it should be.
fn false_ones(
    package: &Package,
    ran: &Value,
    written: &BTreeMap<String, BTreeSet<u64>>,
    what: &str,
) -> String {
    let mut wrong = String::new();
    for tool in TOOLS {
        for (path, line, rule, message) in new(gate(ran, tool)) {
            if written.get(&path).is_some_and(|lines| lines.contains(&line)) {
                continue;
            }
            match explained(package, tool, &rule) {
                Some(why) => println!("{what}: {tool} {rule} at {path}:{line} is right: {why}"),
                None => writeln!(wrong, "{what}: {tool} {path}:{line} {rule} {message}").unwrap(),
            }
        }
    }
    wrong
}

fn moved(package: &Package) {
    let Some(world) = World::new(package, CONFIG) else { return };
    let mut wrong = String::new();
    for name in MOVES {
        let written = make(&world, name);
        let what = format!("{} {name}", package.name);
        let ran = world.judge("new", name);
        wrong += &false_ones(package, &ran, &written, &what);
        let of = |tool| {
            gate(&ran, tool)["findings"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|f| f["status"] == "existing")
                .count()
        };
        println!("{what}: old findings {:?}", TOOLS.map(|tool| (tool, of(tool))));
    }
    assert!(wrong.is_empty(), "new findings in code that only moved:\n{wrong}");
    copied(&world, package);
}

/// The same lines a second time are new, for every tool that finds something in them.
fn copied(world: &World, package: &Package) {
    make(world, "copy");
    let ran = world.judge("new", "copy");
    for tool in TOOLS {
        let gate = gate(&ran, tool);
        let copies = |path: &str| path.ends_with("_copied.py");
        let fresh = new(gate).into_iter().filter(|(path, ..)| copies(path)).count();
        let path = |one: &Value| one["path"].as_str().unwrap().to_owned();
        let all = gate["findings"].as_array().unwrap();
        let there = all.iter().filter(|one| one["status"] != "fixed" && copies(&path(one))).count();
        println!("{} copy: {tool} finds {there} in the copy, {fresh} are new", package.name);
        assert_eq!(fresh, there, "{} {tool}: {gate:#}", package.name);
    }
}

/// Every new finding of a newer release that lies on a line of the older one.
fn released(package: &Package) {
    let Some(world) = World::new(package, CONFIG) else { return };
    let ran = world.judge("old", "new");
    let base = world.git(&["rev-parse", "old"]);
    let mut wrong = String::new();
    let mut count = 0;
    for tool in TOOLS {
        for (path, line, rule, message) in new(gate(&ran, tool)) {
            count += 1;
            if line == 0 || !is_old(&world, base.trim(), &path, line) || is_copied(&world, &path, line) {
                continue;
            }
            // Its first line is old, and it has grown: git says nothing of that.
            if rule == "complexity" && message.contains(", was ") {
                println!("{}: {path}:{line} is right: {message}", package.name);
                continue;
            }
            let known = RELEASED.iter().find(|(name, its, at, known, _)| {
                (*name, *its) == (package.name, tool)
                    && path.starts_with(at)
                    && (known.is_empty() || rule == *known)
            });
            match known.map(|known| known.4).or_else(|| explained(package, tool, &rule)) {
                Some(why) => println!("{}: {tool} {rule} at {path}:{line} is right: {why}", package.name),
                None => writeln!(wrong, "{} {tool} {path}:{line} {rule} {message}", package.name).unwrap(),
            }
        }
    }
    println!("{}: {count} new findings", package.name);
    assert!(wrong.is_empty(), "new findings on lines that were there before:\n{wrong}");
}

/// Whether git's own blame, which follows moved lines, gives the line to the base.
fn is_old(world: &World, base: &str, path: &str, line: u64) -> bool {
    let range = format!("{line},{line}");
    let said = world.git(&["blame", "-w", "-M", "-C", "-C", "--porcelain", "-L", &range, "new", "--", path]);
    said.starts_with(base)
}

/// Whether that line is there more often than it was: git gives the copy to the base too.
fn is_copied(world: &World, path: &str, line: u64) -> bool {
    let file = world.git(&["show", &format!("new:{path}")]);
    let line = file.lines().nth(usize::try_from(line).unwrap() - 1).unwrap().trim();
    let count = |tag: &str| {
        let mut git = world.person.command("git", &world.repo);
        let output = git.args(["grep", "-h", "-I", "-F", "-e", line, tag]).output().unwrap();
        text(&output.stdout).lines().filter(|found| found.trim() == line).count()
    };
    count("new") > count("old")
}

macro_rules! packages {
    ($($test:ident: $name:literal;)*) => {
        $(mod $test {
            use super::*;

            fn package() -> &'static Package {
                PACKAGES.iter().find(|package| package.name == $name).unwrap()
            }

            #[test]
            fn moved_code_has_no_new_finding_and_copied_code_has() {
                moved(package());
            }

            #[test]
            fn a_newer_release_has_none_in_old_lines() {
                released(package());
            }
        })*
    };
}

packages! {
    itsdangerous: "itsdangerous";
    click: "click";
    pluggy: "pluggy";
    wcwidth: "wcwidth";
    markupsafe: "MarkupSafe";
    tenacity: "tenacity";
    attrs: "attrs";
    packaging: "packaging";
}
