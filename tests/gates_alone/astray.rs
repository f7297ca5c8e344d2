//! What leads a tool astray and lies in no tree: compiled files, variables of a person's shell, files above the
//! repository, repositories inside of it.

use std::fs;
use std::path::Path;

use crate::environment::{repository, write};
use crate::person::Person;
use crate::{run, said};

const CORE: &str = "def add(a, b):\n    return a + b\n";
const TEST: &str = "from pkg.core import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n";
const FILES: [(&str, &str); 3] =
    [("pkg/__init__.py", ""), ("pkg/core.py", CORE), ("tests/test_core.py", TEST)];

fn gates(person: &Person, top: &Path, variables: &[(&str, &str)], words: &[&str]) -> (Option<i32>, String) {
    let mut command = person.command(env!("CARGO_BIN_EXE_sprint"), top);
    command.args(["gates", "run"]).args(words).envs(variables.iter().copied());
    let output = command.output().unwrap();
    (output.status.code(), said(&output))
}

/// An edit that changes neither size nor time, and a file that says that it need not be compared with its source.
#[test]
fn what_is_compiled_is_not_believed() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let top = repository(&person, &FILES);
    let compiled = |mode: &str, file: &str| {
        let code = format!(
            "import py_compile as p; p.compile('{file}', invalidation_mode=p.PycInvalidationMode.{mode})"
        );
        let made = person.command("python3", &top).args(["-c", &code]).status().unwrap();
        assert!(made.success());
    };
    for (mode, file, right, wrong) in [
        ("TIMESTAMP", "pkg/core.py", "a + b", "a - b"),
        ("UNCHECKED_HASH", "pkg/core.py", "a + b", "b - a"),
        ("TIMESTAMP", "tests/test_core.py", "== 3", "== 4"),
    ] {
        let at = fs::metadata(top.join(file)).unwrap().modified().unwrap();
        compiled(mode, file);
        let text = fs::read_to_string(top.join(file)).unwrap();
        write(&top, file, &text.replace(right, wrong));
        fs::File::options().write(true).open(top.join(file)).unwrap().set_modified(at).unwrap();
        let (code, shown) = gates(&person, &top, &[], &["pytest"]);
        assert_eq!(code, Some(1), "{mode} of {file}: {shown}");
        write(&top, file, &text);
    }
    run(&person, &top, 0, &["gates", "run", "pytest"]);
    // One that is committed is in the way of whoever does not look at sources.
    compiled("UNCHECKED_HASH", "pkg/core.py");
    person.git(&top, &["add", "-f", "pkg/__pycache__"]);
    let (code, shown) = gates(&person, &top, &[], &["--staged", "integrity"]);
    assert!(code == Some(1) && shown.contains("Python believes what is compiled"), "{shown}");
}

#[test]
fn variables_that_are_options_of_tools_are_the_persons() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let top = repository(&person, &FILES);
    fs::write(person.path("omit"), "[run]\nomit = */core.py\n").unwrap();
    fs::write(
        person.path("quick.py"),
        "def pytest_collection_modifyitems(items):\n    items[:] = [i for i in items if 'add' not in i.name]\n",
    )
    .unwrap();
    let (omit, place) = (person.path("omit"), person.path(""));
    let report = person.path("elsewhere");
    let (omit, place) = (omit.to_str().unwrap(), place.to_str().unwrap());
    let long = "    a += 1\n".repeat(14);
    write(&top, "pkg/core.py", &format!("{CORE}\n\ndef big(a):\n{long}    return a\n"));
    let (code, shown) = gates(&person, &top, &[("COVERAGE_RCFILE", omit)], &["pytest"]);
    assert!(code == Some(1) && shown.contains("coverage-of-change"), "{shown}");
    write(&top, "pkg/core.py", "import os\n\n\ndef add(a, b):\n    return a - b\n");
    let plugin = [("PYTEST_PLUGINS", "quick"), ("PYTHONPATH", place)];
    let (code, shown) = gates(&person, &top, &plugin, &["pytest"]);
    assert!(code == Some(1) && shown.contains("1 test failed"), "{shown}");
    let (code, shown) = gates(&person, &top, &[("RUFF_OUTPUT_FILE", report.to_str().unwrap())], &["ruff"]);
    assert!(code == Some(1) && shown.contains("F401") && !report.exists(), "{shown}");
}

/// pytest itself stops at the directory of its configuration.
#[test]
fn a_conftest_above_the_repository_is_another_projects() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let top = repository(&person, &FILES);
    write(&top, "pyproject.toml", "[tool.pytest.ini_options]\ntestpaths = [\"tests\"]\n");
    person.git(&top, &["add", "--all"]);
    person.git(&top, &["commit", "-qm", "configured"]);
    let hook = "def pytest_collection_modifyitems(items):\n    items[:] = [i for i in items if 'new' not in i.name]\n";
    fs::write(person.path("conftest.py"), hook).unwrap();
    write(&top, "tests/test_core.py", &format!("{TEST}\n\ndef test_new():\n    assert add(1, 1) == 3\n"));
    let shown = said(&run(&person, &top, 1, &["gates", "run", "--base", "HEAD", "pytest"]));
    assert!(shown.contains("1 test failed"), "{shown}");
}

#[test]
fn a_repository_that_lies_in_the_checkout_is_left_out_and_named() {
    let person = Person::new();
    let top = repository(&person, &[("a.txt", "a\n")]);
    let words = "[gates]\npresets = []\n[gate.there]\nstage = \"InTests\"\nmode = \"absolute\"\ncommand = [\"test\", \"-f\", \"a.txt\"]\n";
    write(&top, "sprint.toml", words);
    let clone = top.join("vendor/clone");
    fs::create_dir_all(&clone).unwrap();
    person.git(&clone, &["init", "-q"]);
    write(&clone, "b.txt", "b\n");
    let told =
        "`vendor/clone` is a git repository of its own and is left out: add `vendor/clone/` to .gitignore";
    let shown = said(&run(&person, &top, 0, &["gates", "run"]));
    assert!(shown.contains(told), "without a commit: {shown}");
    person.git(&clone, &["add", "--all"]);
    person.git(&clone, &["-c", "user.name=p", "-c", "user.email=p@e.invalid", "commit", "-qm", "b"]);
    let shown = said(&run(&person, &top, 0, &["gates", "run", "--no-cache"]));
    assert!(shown.contains(told), "with one: {shown}");
    assert!(clone.join("b.txt").is_file() && clone.join(".git").is_dir());
}
