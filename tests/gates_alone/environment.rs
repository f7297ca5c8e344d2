//! What gates run in: what is installed for the checkout, for trees too that are judged elsewhere (the base,
//! `--staged`, `--head`), and the network.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::person::{Person, text};
use crate::{WORDS, run, said};

const CONFIG: &str = "[gates]\npresets = [\"pytest\"]\n";
const TEST: &str = "from pkga.core import double\n\n\ndef test_double():\n    assert double(4) == 8\n";

/// A repository with those files, all committed, on a branch of its own.
pub(crate) fn repository(person: &Person, files: &[(&str, &str)]) -> PathBuf {
    let top = person.path("repo");
    for (name, content) in [("sprint.toml", CONFIG), (".gitignore", "/.venv/\n/venv/\n__pycache__/\n")] {
        write(&top, name, content);
    }
    for (name, content) in files {
        write(&top, name, content);
    }
    person.git(&top, &["init", "-q", "-b", "main"]);
    person.git(&top, &["config", "user.name", "p"]);
    person.git(&top, &["config", "user.email", "p@example.invalid"]);
    person.git(&top, &["add", "--all"]);
    person.git(&top, &["commit", "-qm", "begin"]);
    person.git(&top, &["checkout", "-qb", "work"]);
    top
}

pub(crate) fn write(top: &Path, name: &str, content: &str) {
    let path = top.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A virtual environment with a pytest, and, as `pip install -e` leaves it, one place in the checkout.
fn install(person: &Person, top: &Path, name: &str, place: Option<&Path>) {
    let made = person.command("python3", top).args(["-m", "venv", "--without-pip", name]).status().unwrap();
    assert!(made.success());
    let tools = person.path("data/sprint/tools").canonicalize().unwrap();
    let packages = |environment: &Path| {
        let lib = fs::read_dir(environment.join("lib")).unwrap().flatten().next().unwrap().path();
        lib.join("site-packages")
    };
    let own = packages(&top.join(name));
    fs::write(own.join("tools.pth"), packages(&tools).to_str().unwrap()).unwrap();
    if let Some(place) = place {
        fs::write(own.join("_pkga.pth"), place.to_str().unwrap()).unwrap();
    }
    let pytest = top.join(name).join("bin/pytest");
    let python = top.join(name).join("bin/python");
    let script = format!(
        "#!{}\nimport sys\nfrom pytest import console_main\nsys.exit(console_main())\n",
        python.display()
    );
    fs::write(&pytest, script).unwrap();
    fs::set_permissions(&pytest, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_package_that_is_installed_from_the_checkout_is_judged_as_the_tree_has_it() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let right = "def double(x):\n    return x * 2\n";
    let wrong = "def double(x):\n    return x * 3\n";
    let core = "python/pkga/core.py";
    let top =
        repository(&person, &[("python/pkga/__init__.py", ""), (core, right), ("tests/test_core.py", TEST)]);
    install(&person, &top, ".venv", Some(&top.join("python")));
    run(&person, &top, 0, &["gates", "run", "pytest"]);
    write(&top, core, wrong);
    let shown = said(&run(&person, &top, 1, &["gates", "run", "pytest"]));
    assert!(shown.contains("1 test failed"), "{shown}");
    // The fault is staged, and the checkout is right again.
    person.git(&top, &["add", core]);
    write(&top, core, right);
    run(&person, &top, 1, &["gates", "run", "--staged", "pytest"]);
    run(&person, &top, 0, &["gates", "run", "pytest"]);
    person.git(&top, &["commit", "-qm", "a fault"]);
    run(&person, &top, 1, &["gates", "run", "--head", "HEAD", "pytest"]);
    person.git(&top, &["checkout", "-qf", "main"]);
    let shown = said(&run(&person, &top, 0, &["gates", "run", "--base", "HEAD", "pytest"]));
    assert!(!shown.contains("fixed"), "{shown}");
}

#[test]
fn a_suite_that_cannot_be_imported_here_or_at_the_base_is_an_error() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let core = |by: u32| format!("import not_installed\n\n\ndef double(x):\n    return x * {by}\n");
    let top =
        repository(&person, &[("pkga/__init__.py", ""), ("pkga/core.py", &core(2)), ("test_core.py", TEST)]);
    write(&top, "pkga/core.py", &core(3));
    let shown = said(&run(&person, &top, 3, &["gates", "run", "pytest"]));
    assert!(shown.contains("no test passes, here or at the base"), "{shown}");
}

#[test]
fn where_other_packages_are_asked_for_the_base_excuses_no_test() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let green = "def test_green():\n    assert True\n";
    let top = repository(&person, &[("requirements.txt", "humanize==4.9.0\n"), ("test_a.py", green)]);
    // What is installed decides, and it is neither tree's.
    write(
        &top,
        "test_b.py",
        "import os\n\n\ndef test_b():\n    assert not os.path.exists(os.environ['HOME'] + '/new')\n",
    );
    person.git(&top, &["add", "--all"]);
    person.git(&top, &["commit", "-qm", "more"]);
    fs::write(person.path("new"), "").unwrap();
    run(&person, &top, 0, &["gates", "run", "--base", "HEAD", "pytest"]);
    write(&top, "requirements.txt", "humanize==3.0.0\n");
    let shown = said(&run(&person, &top, 1, &["gates", "run", "--base", "HEAD", "pytest"]));
    assert!(shown.contains("`requirements.txt` asks for other packages"), "{shown}");
}

#[test]
fn an_environment_that_is_switched_on_and_lies_in_no_tree_is_the_persons() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let test = "import only_here\n\n\ndef test_a():\n    assert only_here.NAME == 1\n";
    let top = repository(&person, &[("test_a.py", test)]);
    install(&person, &top, "venv", None);
    let lib = fs::read_dir(top.join("venv/lib")).unwrap().flatten().next().unwrap().path();
    fs::write(lib.join("site-packages/only_here.py"), "NAME = 1\n").unwrap();
    let switched_on = |args: &[&str]| {
        let path = format!("{}:{}", top.join("venv/bin").display(), std::env::var("PATH").unwrap());
        let mut command = person.command(env!("CARGO_BIN_EXE_sprint"), &top);
        let output =
            command.env("PATH", path).env("VIRTUAL_ENV", top.join("venv")).args(args).output().unwrap();
        (output.status.code(), text(&output.stdout))
    };
    for args in [&["gates", "run", "pytest"][..], &["gates", "run", "--staged", "pytest"]] {
        let (code, shown) = switched_on(args);
        assert_eq!(code, Some(0), "{args:?}: {shown}");
    }
}

/// `sprint ARGS` where the kernel gives nobody a network of its own; `None` if that cannot be made here.
fn without_namespaces(person: &Person, top: &Path, args: &[&str]) -> Option<Output> {
    let forbid = "echo 0 > /proc/sys/user/max_net_namespaces || exit 99; exec \"$@\"";
    let words = ["-Ur", "sh", "-c", forbid, "sh", env!("CARGO_BIN_EXE_sprint")];
    let output = person.command("unshare", top).args(words).args(args).output().ok()?;
    let made = !matches!(output.status.code(), None | Some(99)) && !text(&output.stderr).contains("unshare:");
    if !made {
        println!("skipped: no namespace of users here: {}", said(&output));
    }
    made.then_some(output)
}

#[test]
fn where_gates_could_reach_the_network_it_is_said() {
    let person = Person::new();
    let top = crate::repository(&person, WORDS);
    let Some(output) = without_namespaces(&person, &top, &["gates", "run"]) else { return };
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(shown.matches("the gates could reach the network").count(), 1, "{shown}");
    let output = without_namespaces(&person, &top, &["gates", "run", "--json"]).unwrap();
    let ran: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&ran["offline"], &ran["verdict"]), (&Value::Bool(false), &Value::from("pass")));
    let output = without_namespaces(&person, &top, &["doctor"]).unwrap();
    let shown = text(&output.stdout);
    assert!(shown.contains("warning  network"), "{shown}");
    assert!(shown.contains("sudo sysctl -w user.max_net_namespaces=10000"), "{shown}");
}

/// A module that a build makes and git ignores is nowhere but in the checkout: a test that cannot be run for want of
/// it, here and at the base, is no old failure.
#[test]
fn a_test_that_lacks_an_ignored_file_on_both_sides_is_not_excused() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let other = ("test_other.py", "def test_other():\n    assert True\n");
    let test = "from gen import X\n\n\ndef test_x():\n    assert X == 1\n";
    let top = repository(&person, &[("test_gen.py", test), other]);
    write(&top, ".gitignore", "/gen.py\n__pycache__/\n");
    write(&top, "gen.py", "X = 1\n");
    person.git(&top, &["add", "--all"]);
    person.git(&top, &["commit", "-qm", "generated"]);
    run(&person, &top, 0, &["gates", "run", "pytest", "--base", "HEAD"]);
    write(&top, "test_gen.py", &test.replace("== 1", "== 99"));
    person.git(&top, &["add", "--all"]);
    let staged = ["gates", "run", "pytest", "--staged", "--base", "HEAD"];
    let shown = said(&run(&person, &top, 1, &staged));
    assert!(
        shown.contains("test_gen.py: collection failure: ModuleNotFoundError: No module named 'gen'"),
        "{shown}"
    );
    assert!(shown.contains("`[worktree] copy`"), "{shown}");
    fs::rename(top.join("gen.py"), person.path("gen.py")).unwrap();
    let old = said(&run(&person, &top, 0, &staged));
    assert!(old.contains("1 test fails at the base too"), "nobody has it: {old}");
    fs::rename(person.path("gen.py"), top.join("gen.py")).unwrap();
    write(&top, "sprint.toml", &format!("{CONFIG}[worktree]\ncopy = [\"gen.py\"]\n"));
    let shown = said(&run(&person, &top, 1, &staged));
    assert!(shown.contains("assert 1 == 99"), "{shown}");
    write(&top, "test_gen.py", test);
    person.git(&top, &["add", "--all"]);
    run(&person, &top, 0, &staged);
}

#[test]
fn what_git_ignores_is_not_judged_by_a_tool_that_walks_into_it() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let top = repository(
        &person,
        &[("pkg/__init__.py", ""), ("pkg/use.py", "from pkg.gen import X\n\nY: int = X\n")],
    );
    write(&top, ".gitignore", "/pkg/gen.py\n");
    write(&top, "pkg/gen.py", "X: int = \"s\"\n");
    run(&person, &top, 0, &["gates", "run", "mypy"]);
    write(&top, "pkg/gen.py", "X: str = \"s\"\n");
    let shown = said(&run(&person, &top, 1, &["gates", "run", "mypy"]));
    assert!(shown.contains("pkg/use.py:3: "), "it is looked into all the same: {shown}");
}

/// As in a clone that lies in another project's directory.
#[test]
fn a_pytest_configuration_above_the_repository_is_another_projects() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let test =
        "from m import f\n\n\ndef test_f():\n    assert f() == 1\n\n\ndef test_more():\n    assert f()\n";
    let top = repository(&person, &[("m.py", "def f():\n    return 1\n"), ("tests/test_m.py", test)]);
    fs::write(person.path("pytest.ini"), "[pytest]\naddopts = --deselect repo/tests/test_m.py::test_f\n")
        .unwrap();
    write(&top, "m.py", "def f():\n    return 0 + 1\n");
    run(&person, &top, 0, &["gates", "run", "pytest"]);
    write(&top, "m.py", "def f():\n    return 2\n");
    let shown = said(&run(&person, &top, 1, &["gates", "run", "pytest"]));
    assert!(shown.contains("1 test failed") && !shown.contains("lost-test"), "{shown}");
    write(&top, "pytest.ini", "[pytest]\naddopts = --deselect tests/test_m.py::test_f\n");
    let shown = said(&run(&person, &top, 1, &["gates", "run", "pytest"]));
    assert!(shown.contains("lost-test"), "its own counts: {shown}");
    let rules = r#"["coverage-of-whole","lost-test"]"#;
    let allow = format!("SPRINT_CONFIG__gate__pytest__allow='{rules}' sprint gates run …");
    assert!(shown.contains(&format!("by its rules: {allow}")), "{shown}");
    let allowed = person
        .command(env!("CARGO_BIN_EXE_sprint"), &top)
        .args(["gates", "run", "pytest"])
        .env("SPRINT_CONFIG__gate__pytest__allow", rules)
        .output()
        .unwrap();
    assert!(!said(&allowed).contains("is yours to allow"), "{}", said(&allowed));
}
