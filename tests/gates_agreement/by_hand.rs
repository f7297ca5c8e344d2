//! Every Python preset on real packages, base and head: what sprint says is what the tool says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::packages::{Package, World, gate};
use crate::person::text;

const CONFIG: &str = r#"
[gates]
presets = ["ruff", "mypy", "radon", "pytest", "bandit", "detect-secrets", "semgrep", "pip-audit"]
"#;

/// What finds places in code; tests and advisories are compared by themselves.
const TOOLS: [&str; 6] = ["ruff", "mypy", "radon", "bandit", "detect-secrets", "semgrep"];

/// How often (path, line, rule) was found.
type Found = BTreeMap<(String, u64, String), usize>;

/// Runs it to its end, whatever its exit code says: the report is what counts.
fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    text(&output.stdout)
}

/// What an independent reader says of a report.
fn read(world: &World, tool: &str, tree: &Path, report: &str) -> Option<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gates_agreement/read.py");
    let file = world.person.path("report");
    fs::write(&file, report).unwrap();
    let mut python = world.command("python3", world.person.home.path());
    python.arg(script).arg(tool).arg(tree).stdin(fs::File::open(file).unwrap());
    let output = python.output().unwrap();
    output.status.success().then(|| text(&output.stdout))
}

/// `path<tab>line<tab>rule`, one a line.
fn found(lines: &str) -> Found {
    let mut found = Found::new();
    for line in lines.lines() {
        let mut parts = line.split('\t');
        let mut next = || parts.next().unwrap_or_else(|| panic!("{line}"));
        let (path, number, rule) = (next(), next(), next());
        *found.entry((path.to_owned(), number.parse().unwrap(), rule.to_owned())).or_default() += 1;
    }
    found
}

/// The tool, typed in a directory that has the files of that side.
fn typed(world: &World, tool: &str, tree: &Path) -> String {
    let mut command = world.command(if tool == "detect-secrets" { tool } else { "env" }, tree);
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/semgrep/python.yml");
    match tool {
        "ruff" => command.args([
            "ruff",
            "check",
            "--no-fix",
            "--no-cache",
            "--no-respect-gitignore",
            "--output-format=json",
            ".",
        ]),
        "mypy" => {
            command.env("MYPYPATH", tree.join("src")).args(["mypy", "--output=json", "--no-pretty"]);
            command.args(["--no-error-summary", "--namespace-packages", "--explicit-package-bases"]);
            command
                .arg("--cache-dir=/dev/null")
                .arg("--python-executable")
                .arg(world.venv().join("bin/python"));
            // An argument would take the place of what the repository says to check.
            if names_files(tree) { &mut command } else { command.arg(".") }
        }
        // It reads ./pyproject.toml, and crashes on some.
        "radon" => command.current_dir("/").args(["radon", "cc", "--json"]).arg(tree),
        "bandit" => {
            command.args(["bandit", "-q", "-r", "-f", "json"]);
            if tree.join(".bandit").is_file() {
                command.args(["--ini", ".bandit"]);
            }
            if tree.join("pyproject.toml").is_file() {
                command.args(["-c", "pyproject.toml"]);
            }
            command.arg(".")
        }
        "detect-secrets" => command.args(["scan", "--no-verify", "--all-files", "."]),
        "semgrep" => {
            command.args(["SEMGREP_SEND_METRICS=off", "semgrep", "scan", "--config"]).arg(rules);
            command.args(["--metrics=off", "--disable-version-check", "--json", "."])
        }
        _ => panic!("{tool} is none of these"),
    };
    output(&mut command)
}

/// Whether mypy's part of the configuration says which files are to be checked.
fn names_files(tree: &Path) -> bool {
    let places = [("mypy.ini", "[mypy]"), ("pyproject.toml", "[tool.mypy]"), ("setup.cfg", "[mypy]")];
    places.iter().any(|(file, section)| {
        let text = std::fs::read_to_string(tree.join(file)).unwrap_or_default();
        let own = text.split_once(&format!("{section}\n")).map_or("", |(_, rest)| rest);
        own.split("\n[").next().unwrap_or_default().lines().any(|line| line.starts_with("files"))
    })
}

/// What sprint says is there now, in the same words.
fn told(gate: &Value) -> Found {
    let mut found = Found::new();
    for finding in gate["findings"].as_array().unwrap().iter().filter(|one| one["status"] != "fixed") {
        let of = |key: &str| finding[key].as_str().unwrap().to_owned();
        let rule = match of("rule").as_str() {
            // "`f` has complexity 17 (…)"
            "complexity" => {
                let message = of("message");
                let value = message.rsplit_once(" has complexity ").unwrap().1;
                format!("complexity {}", value.split(' ').next().unwrap())
            }
            rule => rule.to_owned(),
        };
        *found.entry((of("path"), finding["line"].as_u64().unwrap(), rule)).or_default() += 1;
    }
    found
}

fn same(what: &str, sprint: &Found, hand: &Found) {
    let differ = |a: &Found, b: &Found| -> Vec<String> {
        a.iter().filter(|(key, n)| b.get(key) != Some(n)).map(|(key, n)| format!("{n} × {key:?}")).collect()
    };
    assert!(
        sprint == hand,
        "{what}\nonly sprint says: {:#?}\nonly the tool says: {:#?}",
        differ(sprint, hand),
        differ(hand, sprint)
    );
}

/// The tests by hand: their counts, and per cent of what they ran.
fn tests(world: &World, package: &Package, tree: &Path) -> (Found, f64) {
    // Of this side alone: coverage combines what lies there.
    let own = tree.with_extension("measured");
    fs::create_dir(&own).unwrap();
    let (report, coverage) = (own.join("tests.xml"), own.join("coverage.json"));
    let mut pytest = world.command(world.venv().join("bin/pytest"), tree);
    pytest.env("PYTHONPATH", format!("{0}:{0}/src", tree.display())).env("COVERAGE_FILE", own.join("data"));
    pytest.args(["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--cov-fail-under=0"]);
    pytest.args([
        "-W",
        "ignore::coverage.exceptions.CoverageWarning",
        "-W",
        "ignore::pytest_cov.PytestCovWarning",
    ]);
    pytest.arg(format!("--junitxml={}", report.display()));
    pytest.arg(format!("--cov-report=json:{}", coverage.display()));
    if package.measured.is_empty() {
        pytest.arg("--cov");
    }
    pytest.args(package.measured.iter().map(|name| format!("--cov={name}")));
    let said = output(&mut pytest);
    let report = fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {said}"));
    let counts = found(&read(world, "pytest", tree, &report).unwrap());
    let coverage = fs::read_to_string(&coverage).unwrap_or_else(|error| panic!("{error}: {said}"));
    (counts, read(world, "coverage", tree, &coverage).unwrap().trim().parse().unwrap())
}

fn told_tests(gate: &Value) -> (Found, f64) {
    let count = |name: &str| gate["tests"][name].as_u64().unwrap();
    // By hand nothing is run once more.
    let failed = count("failed") + count("flaky");
    let ends = [
        ("passed", count("passed")),
        ("failed", failed),
        ("errors", count("errors")),
        ("skipped", count("skipped")),
    ];
    let found = ends.map(|(end, n)| ((end.to_owned(), n, "tests".to_owned()), 1)).into_iter().collect();
    let metrics = gate["metrics"].as_array().unwrap();
    let whole = metrics.iter().find(|metric| metric["name"] == "coverage");
    (found, whole.unwrap_or_else(|| panic!("no coverage: {gate:#}"))["value"].as_f64().unwrap())
}

/// Advisories are somewhere else: what cannot be looked up is skipped, and never clean.
fn advisories(world: &World, tree: &Path, gate: &Value) {
    let (mut asked, mut away, mut hand) = (0, false, BTreeSet::new());
    for file in requirements(tree) {
        let mut command = world.command("pip-audit", tree);
        command.arg("-r").arg(&file).args(["--no-deps", "--disable-pip", "-f", "json"]);
        let printed = output(command.arg("--progress-spinner=off"));
        // It refuses a file that does not pin everything.
        if printed.trim().is_empty() {
            continue;
        }
        asked += 1;
        match read(world, "pip-audit", tree, &printed) {
            None => away = true,
            // A file has what it includes once more.
            Some(lines) => hand.extend(lines.lines().map(str::to_owned)),
        }
    }
    if asked == 0 || away {
        assert_eq!(gate["verdict"], "skipped", "{gate:#}");
        return;
    }
    let said = told(gate);
    assert_eq!(said.keys().filter(|(_, _, rule)| rule != "not-looked-up").count(), hand.len(), "{gate:#}");
}

/// The files of requirements in a tree.
fn requirements(tree: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![tree.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|end| end == "txt")
                && (name.starts_with("requirements") || directory.ends_with("requirements"))
            {
                found.push(path);
            }
        }
    }
    found
}

fn agree(package: &Package) {
    let Some(world) = World::new(package, CONFIG) else { return };
    let mut report = Vec::new();
    // The base as a candidate of its own says what its side has.
    let sides = [("old", world.judge("old", "old")), ("new", world.judge("old", "new"))];
    let mut at_base = BTreeMap::new();
    for (side, ran) in &sides {
        let tree = world.tree(side);
        for tool in TOOLS {
            let what = format!("{} {side} {tool}", package.name);
            let said = gate(ran, tool);
            let began = Instant::now();
            let printed = typed(&world, tool, &tree);
            let lines = read(&world, tool, &tree, &printed).unwrap_or_else(|| panic!("{what}: {printed}"));
            let hand = found(&lines);
            report.push(format!(
                "{what}: {} findings, by hand {:.1} s",
                lines.lines().count(),
                began.elapsed().as_secs_f64()
            ));
            same(&what, &told(said), &hand);
            let n: usize = hand.values().sum();
            at_base.entry(tool).or_insert(n);
            // One that stopped at its first finding agrees by saying that it did.
            assert!(said["verdict"] != "error" || (tool == "mypy" && n == 1), "{what}: {said:#}");
        }
        let said = gate(ran, "pytest");
        let (counts, percent) = tests(&world, package, &tree);
        let (told, measured) = told_tests(said);
        let what = format!("{} {side} pytest", package.name);
        same(&what, &told, &counts);
        assert!((measured - percent).abs() < 0.02, "{what}: {measured} % and by hand {percent} %");
        report.push(format!(
            "{what}: {:?}, {percent:.2} %",
            counts.keys().map(|(end, n, _)| (end, n)).collect::<BTreeSet<_>>()
        ));
        advisories(&world, &tree, gate(ran, "pip-audit"));
    }
    for tool in TOOLS.into_iter().filter(|tool| *tool != "radon") {
        paired(&format!("{} {tool}", package.name), gate(&sides[1].1, tool), at_base[tool]);
    }
    println!("{}", report.join("\n"));
}

/// Everything of the base is either still there or fixed.
fn paired(what: &str, said: &Value, at_base: usize) {
    let findings = said["findings"].as_array().unwrap();
    let old = findings.iter().filter(|one| one["status"] == "existing" || one["status"] == "fixed").count();
    assert_eq!(old, at_base, "{what}: what is old and what is fixed is all that the base has");
}

macro_rules! packages {
    ($($test:ident: $name:literal $old:literal $new:literal $measured:expr;)*) => {
        /// All of them.
        pub const PACKAGES: &[Package] = &[$(Package::new($name, $old, $new, $measured)),*];
        $(#[test] fn $test() { agree(&Package::new($name, $old, $new, $measured)); })*

        /// All mutants of each package, for hours.
        mod mutants_of_every_package {
            use super::*;

            $(#[test] fn $test() {
                if std::env::var_os("SPRINT_TEST_EXHAUSTIVE").is_none() {
                    println!("SKIPPED: SPRINT_TEST_EXHAUSTIVE is not set");
                    return;
                }
                mutants(&Package::new($name, $old, $new, $measured));
            })*
        }
    };
}

// `measured` is empty where the package's own configuration says what to measure.
packages! {
    itsdangerous: "itsdangerous" "2.1.2" "2.2.0" &[];
    click: "click" "8.1.7" "8.1.8" &[];
    pluggy: "pluggy" "1.4.0" "1.5.0" &[];
    wcwidth: "wcwidth" "0.2.12" "0.2.13" &[];
    markupsafe: "MarkupSafe" "2.1.4" "2.1.5" &[];
    tenacity: "tenacity" "8.2.3" "8.3.0" &["tenacity"];
    attrs: "attrs" "23.1.0" "23.2.0" &[];
    packaging: "packaging" "24.0" "24.1" &["src"];
}

/// All mutants of a small package.
#[test]
fn mutants_of_a_small_package() {
    mutants(PACKAGES.iter().find(|package| package.name == "MarkupSafe").unwrap());
}

/// All of the code, and as long as it takes: by hand nothing is left out either.
const MUTANTS: &str = r#"
[gates]
presets = ["mutmut"]
[gate.mutmut]
command = ["python3", "{kit}/mutmut.py", "--tmp", "{tmp}", "--out", "{out}", "--budget", "28000"]
mode = "absolute"
timeout = "8h"
"#;

fn mutants(package: &Package) {
    let name = package.name;
    let Some(world) = World::new(package, MUTANTS) else { return };
    for side in ["old", "new"] {
        let began = Instant::now();
        let ran = world.judge(side, side);
        let seconds = began.elapsed().as_secs_f64();
        let said = gate(&ran, "mutmut");
        let tree = world.tree(side);
        let source =
            if tree.join("src").is_dir() { "src" } else { package.measured.first().copied().unwrap_or(name) };
        let others =
            fs::read_dir(&tree).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let others: Vec<String> = others.filter(|other| other != source).collect();
        let mut setup = fs::read_to_string(tree.join("setup.cfg")).unwrap_or_default();
        let also = others.join("\n\t");
        let table = format!("\n[mutmut]\nsource_paths = {source}\nalso_copy =\n\t{also}\n");
        setup.push_str(&table);
        fs::write(tree.join("setup.cfg"), setup).unwrap();
        let mut mutmut = world.command("mutmut", &tree);
        // Its tests need what the project has installed.
        mutmut.env("PYTHONPATH", world.packages()).env("PYTEST_ADDOPTS", "-p no:cacheprovider");
        let printed = output(mutmut.args(["run", "--max-children", "2"]));
        let counts = read(&world, "mutmut", &tree.join("mutants"), "").unwrap();
        let counts: BTreeMap<String, u32> = serde_json::from_str(&counts).unwrap();
        let of = |end: &str| counts.get(end).copied().unwrap_or(0);
        let noticed = of("killed") + of("timeout");
        let tried = noticed + of("survived") + of("no tests");
        if tried == 0 {
            // Where the tests cannot bear what it makes of the code, it says so and tries nothing.
            let red = ["failed to collect stats", "Failed to run clean test"];
            assert!(red.iter().any(|words| printed.contains(words)), "{name} {side}: {said:#} {printed}");
            assert_eq!(said["verdict"], "skipped", "{name} {side}: {said:#}");
            println!("{name} {side} mutmut: none was tried, by hand and here: {}", said["reason"]);
            continue;
        }
        let score = 100.0 * f64::from(noticed) / f64::from(tried);
        let metric = said["metrics"][0]["value"].as_f64().unwrap_or_else(|| panic!("{said:#}"));
        let all = began.elapsed().as_secs_f64();
        println!(
            "{name} {side} mutmut: {counts:?}, by hand {score:.2} % in {:.0} s, {metric} % in {seconds:.0} s",
            all - seconds
        );
        assert!((metric - score).abs() < 0.02, "{name} {side}: {metric} % and by hand {score} %, {counts:?}");
        let open = said["findings"].as_array().unwrap().iter().filter(|one| one["path"] != "").count();
        assert_eq!(u32::try_from(open).unwrap(), of("survived") + of("no tests"), "{name} {side}: {said:#}");
    }
}
