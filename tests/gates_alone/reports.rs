//! What is written for others: SARIF, `JUnit` and annotations of GitHub, with files of odd names.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::person::{Person, text};
use crate::{WORDS, repository, run, said};

/// Findings in files with every odd name, some fixed, some suppressed; and a gate that only fails.
pub(crate) const ODD: &str = r#"
[gates]
presets = []
[gate.odd]
stage = "InReview"
command = ["sh", "-c", "cat odd.sarif"]
parser = "sarif"
[gate.build]
stage = "InTests"
command = ["sh", "-c", "exit 7"]
mode = "absolute"
[gate.broken]
stage = "InTests"
command = ["sh", "-c", "kill -9 $$"]
[gate.gone]
stage = "InTests"
command = ["no-such-tool"]
required = false
"#;

pub(crate) fn odd_sarif(names: &[&str]) -> String {
    let result = |name: &&str| {
        let uri = name.bytes().fold(String::new(), |uri, byte| format!("{uri}%{byte:02X}"));
        // Another message, or it would be taken for code that has moved.
        let said =
            if *name == "gone.txt" { "gone" } else { "::error::<&>\"]]>\n\u{1b}[2J::stop-commands::x 50%" };
        serde_json::json!({
            "ruleId": "odd/rule", "level": "error",
            "message": { "text": said },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": uri }, "region": { "startLine": 1 } } }],
        })
    };
    let results: Vec<Value> = names.iter().map(result).collect();
    serde_json::json!({ "version": "2.1.0", "runs": [{
        "tool": { "driver": { "name": "odd" } }, "results": results }] })
    .to_string()
}

fn odd(person: &Person) -> PathBuf {
    let top = repository(person, ODD);
    fs::write(top.join("odd.sarif"), odd_sarif(&["gone.txt", "stays.txt"])).unwrap();
    person.git(&top, &["add", "--all"]);
    person.git(&top, &["commit", "-qm", "odd"]);
    let names = ["stays.txt", "a b.txt", "new\nline.txt", "😀.txt", "co:l,on%.txt", "<&\"'>.txt"];
    fs::write(top.join("odd.sarif"), odd_sarif(&names)).unwrap();
    top
}

/// A Python with `jsonschema`; without one the test is over, unless it has to be there.
fn python() -> Option<PathBuf> {
    let tools = std::env::var_os("SPRINT_TEST_TOOLS").map(PathBuf::from);
    let python = tools.map(|tools| tools.join("bin/python")).filter(|python| python.is_file());
    let has = |python: &PathBuf| {
        let mut command = Command::new(python);
        command.args(["-c", "import jsonschema"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = python.filter(has);
    if found.is_none() {
        let optional = std::env::var_os("SPRINT_TEST_TOOLS_OPTIONAL").is_some_and(|value| value == "1");
        assert!(optional, "SPRINT_TEST_TOOLS has no Python with jsonschema: `pip install jsonschema` there");
        println!("SKIPPED: SPRINT_TEST_TOOLS has no Python with jsonschema");
    }
    found
}

#[test]
fn sarif_is_valid_by_the_official_schema_whatever_files_are_called() {
    let Some(python) = python() else { return };
    let person = Person::new();
    let top = odd(&person);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sarif");
    for extra in [&[][..], &["--github"]] {
        let file = person.path("out.sarif");
        let args: Vec<&str> =
            ["gates", "run", "--sarif", file.to_str().unwrap()].iter().chain(extra).copied().collect();
        run(&person, &top, 3, &args);
        let checked = Command::new(&python)
            .arg(fixtures.join("validate.py"))
            .arg(fixtures.join("sarif-schema-2.1.0.json"))
            .arg(&file)
            .output()
            .unwrap();
        assert!(checked.status.success(), "{}", said(&checked));
        let log: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let states: Vec<&str> = log["runs"][3]["results"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|result| result["baselineState"].as_str())
            .collect();
        let count = |state: &str| states.iter().filter(|found| **found == state).count();
        let absent = usize::from(extra.is_empty());
        assert_eq!((count("new"), count("unchanged"), count("absent")), (5, 1, absent), "{log:#}");
        assert!(!text(&fs::read(&file).unwrap()).contains(person.home.path().to_str().unwrap()), "{log:#}");
    }
}

#[test]
fn junit_is_read_by_others_and_its_totals_are_its_cases() {
    let person = Person::new();
    let top = odd(&person);
    let output = run(&person, &top, 3, &["gates", "run", "--junit", "-"]);
    let file = person.path("out.xml");
    fs::write(&file, &output.stdout).unwrap();
    let script = "import sys, xml.etree.ElementTree as e
root = e.parse(sys.argv[1]).getroot()
for part in [root, *root]:
    cases = [case for case in part.iter('testcase')]
    for word, tag in (('tests', None), ('failures', 'failure'), ('errors', 'error'), ('skipped', 'skipped')):
        found = [case for case in cases if tag is None or case.find(tag) is not None]
        assert int(part.get(word)) == len(found), (part.attrib, word, len(found))
print([(suite.get('name'), suite.get('tests'), suite.get('failures')) for suite in root])";
    let read = person.command("python3", &top).args(["-c", script]).arg(&file).output().unwrap();
    assert_eq!(
        text(&read.stdout).trim(),
        "[('broken', '1', '0'), ('build', '1', '1'), ('gone', '1', '0'), ('odd', '5', '5')]",
        "{}\n{}",
        said(&read),
        text(&output.stdout)
    );
}

#[test]
fn github_reads_annotations_and_no_command_of_a_tool() {
    let person = Person::new();
    let top = odd(&person);
    let output = run(&person, &top, 3, &["gates", "run", "--github"]);
    let shown = text(&output.stdout);
    let mut lines = shown.lines();
    let token = lines.next().unwrap().strip_prefix("::stop-commands::").unwrap().to_owned();
    let end = format!("::{token}::");
    let (quiet, spoken): (Vec<&str>, Vec<&str>) = {
        let all: Vec<&str> = lines.collect();
        let at = all.iter().position(|line| *line == end).unwrap();
        (all[..at].to_vec(), all[at + 1..].to_vec())
    };
    assert!(quiet.iter().any(|line| line.contains("new")), "{shown}");
    assert!(spoken.iter().all(|line| line.starts_with("::")), "{shown}");
    let annotation = "::error file=co%3Al%2Con%25.txt,line=1,title=odd odd/rule::::error::";
    assert!(spoken.iter().any(|line| line.starts_with(annotation)), "{shown}");
    assert!(spoken.iter().any(|line| line.starts_with("::error title=build::")), "{shown}");
    assert_eq!(text(&output.stderr), "", "all in one stream, or the runner mixes them");
}

/// A stranger's case: the hook said no to a person's own settings, and nothing more.
#[test]
fn who_changes_settings_by_hand_is_told_how_and_the_line_works_as_it_is_printed() {
    let person = Person::new();
    let config = "[gates]\npresets = [\"integrity\"]\n";
    let top = repository(&person, &format!("{config}[gate.integrity]\nallow = [\"docs/it's/**\"]\n"));
    fs::write(top.join("a.py"), "x = 1\n").unwrap();
    person.git(&top, &["add", "--all"]);
    person.git(&top, &["commit", "-qm", "code"]);
    let hook = top.join(".git/hooks/pre-commit");
    fs::write(&hook, format!("#!/bin/sh\nexec {} gates run --staged\n", env!("CARGO_BIN_EXE_sprint")))
        .unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(top.join("mypy.ini"), "[mypy]\nstrict = True\n").unwrap();
    fs::write(top.join("a.py"), "x = 1  # noqa\n").unwrap();
    person.git(&top, &["add", "--all"]);
    let refused = person.command("git", &top).args(["commit", "-m", "settings"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let told = said(&refused);
    let line = told.lines().find_map(|line| line.split_once("by its rules: ")).map(|(_, line)| line);
    let line = line.unwrap_or_else(|| panic!("{told}"));
    assert!(line.contains(r#"s/**","suppression","tool-settings"]' git commit"#), "{line}");
    let typed = line.replace('…', "-m settings");
    let made = person.command("sh", &top).args(["-c", &typed]).output().unwrap();
    assert_eq!(made.status.code(), Some(0), "{typed}: {}", said(&made));
    let again = run(&person, &top, 1, &["gates", "run", "--base", "HEAD^"]);
    assert!(said(&again).contains("' sprint gates run …"), "{}", said(&again));
}

#[test]
fn a_hook_before_anything_is_staged_names_no_commit_and_a_clean_gate_has_no_empty_reason() {
    let person = Person::new();
    let top = person.path("empty");
    fs::create_dir(&top).unwrap();
    person.git(&top, &["init", "-q"]);
    let output = run(&person, &top, 0, &["gates", "run", "--staged"]);
    assert!(said(&output).contains("`git add` what you commit"), "{}", said(&output));
    assert!(!said(&output).contains("--base"), "{}", said(&output));
    let top = repository(&person, WORDS);
    fs::write(top.join("a.txt"), "fine\n").unwrap();
    person.git(&top, &["commit", "-qam", "clean"]);
    let output = run(&person, &top, 0, &["gates", "baseline"]);
    let progress = text(&output.stderr);
    assert!(progress.contains("words clean (") && !progress.trim_end().ends_with(':'), "{progress}");
}

#[test]
fn install_names_the_program_that_it_has_found_among_the_packages_of_node() {
    let person = Person::new();
    let top = repository(&person, "[gates]\npresets = [\"vitest\"]\n");
    let bin = top.join("node_modules/.bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("vitest"), "#!/bin/sh\nexit 0\n").unwrap();
    fs::set_permissions(bin.join("vitest"), fs::Permissions::from_mode(0o755)).unwrap();
    let output = run(&person, &top, 0, &["install", "--check", "vitest"]);
    let shown = text(&output.stdout);
    assert!(shown.contains("node_modules/.bin/vitest") && !shown.contains("no package"), "{shown}");
}
