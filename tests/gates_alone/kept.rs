//! What is kept, what is left out, and what is said of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::person::{Person, text};
use crate::{WORDS, repository, run, said};

/// Every file below `dir` whose bytes have `word`.
fn with_word(dir: &Path, word: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            with_word(&path, word, found);
        } else if kind.is_file() && text(&fs::read(&path).unwrap()).contains(word) {
            found.push(path);
        }
    }
}

#[test]
fn what_a_gate_keeps_has_no_secrets_and_a_name_of_a_file_acts_on_no_terminal() {
    let person = Person::new();
    let token = ["ghp", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"].join("_");
    let script = format!(
        "[gates]\npresets = []\n[gate.mine]\nstage = \"InTests\"\ncommand = [\"sh\", \"-c\", \"cat said; exit 1\"]\n{}",
        "mode = \"absolute\"\n"
    );
    let top = repository(&person, &script);
    fs::write(top.join("said"), format!("gate {token}\n")).unwrap();
    let output = run(&person, &top, 1, &["gates", "run"]);
    assert!(!said(&output).contains(&token) && said(&output).contains("redacted"), "{}", said(&output));
    let mut found = Vec::new();
    for name in ["state", "data", "cache", "run"] {
        with_word(&person.path(name), "ghp_", &mut found);
    }
    assert_eq!(found, Vec::<PathBuf>::new());

    fs::write(top.join("sprint.toml"), WORDS).unwrap();
    fs::write(top.join("e\u{1b}[31mred\u{1b}]0;pwn\u{7}.txt"), "bad\n").unwrap();
    let output = run(&person, &top, 1, &["gates", "run"]);
    assert!(said(&output).contains("red"), "{}", said(&output));
    assert!(!said(&output).contains(['\u{1b}', '\u{7}']), "{:?}", said(&output));
}

#[test]
fn a_complaint_on_standard_error_is_no_finding() {
    let person = Person::new();
    let config = WORDS
        .replace("\".\"]", "\"nodir\"]")
        .replace(r"^\./(?P<path>[^:]+):(?P<line>\d+):(?P<message>.*)$", "^(?P<message>.*)$");
    let top = repository(&person, &config);
    let output = run(&person, &top, 3, &["gates", "run"]);
    assert!(said(&output).contains("No such file"), "{}", said(&output));
}

#[test]
fn what_is_new_is_said_once_and_what_is_old_is_counted() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    fs::write(top.join("a.txt"), "old bad\nnew bad\n").unwrap();
    let output = run(&person, &top, 1, &["gates", "run"]);
    let (out, progress) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(format!("{out}{progress}").matches("new bad").count(), 1, "{}", said(&output));
    assert!(!out.contains("old bad"), "{out}");
    assert!(out.contains("1 old finding is not listed here: `sprint gates baseline`"), "{out}");
    assert!(progress.contains("▶ words"), "{progress}");
}

/// An environment as `python -m venv .venv` makes it, with a program in it.
fn environment(top: &Path) {
    fs::create_dir_all(top.join(".venv/bin")).unwrap();
    fs::write(top.join(".venv/pyvenv.cfg"), "home = /usr/bin\n").unwrap();
    fs::write(top.join(".venv/bad.txt"), "bad\n").unwrap();
    for program in ["python", "mine"] {
        let file = top.join(".venv/bin").join(program);
        fs::write(&file, "#!/bin/sh\nexit 0\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn an_environment_that_git_does_not_ignore_is_left_out_and_its_programs_are_found() {
    let person = Person::new();
    let config =
        "[gates]\npresets = [\"integrity\"]\n[gate.mine]\nstage = \"InTests\"\ncommand = [\"mine\"]\n";
    let top = repository(&person, config);
    fs::write(top.join("a.py"), "x = 1\n").unwrap();
    person.git(&top, &["add", "--all"]);
    person.git(&top, &["commit", "-qm", "code"]);
    environment(&top);
    fs::write(top.join(".venv/sitecustomize.py"), "x = 1  # noqa\n").unwrap();
    let output = run(&person, &top, 0, &["gates", "run"]);
    let hint = "`.venv` is a virtual environment and is left out: add `.venv/` to .gitignore";
    assert!(text(&output.stderr).contains(hint), "{}", said(&output));
    assert_eq!(text(&output.stdout).matches("pass").count(), 3, "{}", said(&output));
    fs::remove_file(top.join(".venv/bin/python")).unwrap();
    let output = run(&person, &top, 1, &["gates", "run", "integrity"]);
    assert!(text(&output.stdout).contains(".venv/sitecustomize.py"), "only called so: {}", said(&output));
}

#[test]
fn a_file_that_tests_leave_is_no_changed_file_and_a_source_is_one() {
    let person = Person::new();
    let config = "[gates]\npresets = []\n[gate.mine]\nstage = \"InTests\"\n\
        command = [\"sh\", \"-c\", \"date >> .coverage; test ! -e more || echo x >> new.py\"]\n";
    let top = repository(&person, config);
    fs::write(top.join(".coverage"), "").unwrap();
    fs::write(top.join("new.py"), "x = 1\n").unwrap();
    run(&person, &top, 0, &["gates", "run"]);
    fs::write(top.join("more"), "").unwrap();
    let output = run(&person, &top, 3, &["gates", "run"]);
    assert!(text(&output.stdout).contains("it changed tracked files (`new.py`)"), "{}", said(&output));
}

#[test]
fn a_name_that_is_near_is_offered_and_any_other_is_not() {
    let person = Person::new();
    let top = repository(&person, "");
    let hint = |name: &str| text(&run(&person, &top, 2, &["gates", "run", name]).stderr);
    assert!(hint("ruf").contains("did you mean `ruff`?"));
    let far = hint("nosuch");
    assert!(!far.contains("did you mean") && far.contains("known gates: "), "{far}");
}

/// A stranger's case: tests that go by an ignored file, by what is installed, or by a variable.
#[test]
fn a_kept_result_is_of_the_files_beside_the_tree_the_packages_and_the_variables_that_were_there() {
    let person = Person::new();
    let script = "case \"$MODE$(cat .env 2>/dev/null)$(ls .venv/lib/python3/site-packages 2>/dev/null)\" in *bad*) exit 1;; esac";
    let gate = format!(
        "[gates]\npresets = []\n[gate.mine]\nstage = \"InTests\"\nmode = \"absolute\"\ncommand = [\"sh\", \"-c\", '{script}']\n"
    );
    let top = repository(&person, &gate);
    fs::write(top.join(".gitignore"), ".env\n.venv/\n").unwrap();
    let packages = top.join(".venv/lib/python3/site-packages");
    fs::create_dir_all(packages.join("one-1.dist-info")).unwrap();
    fs::create_dir_all(top.join(".venv/bin")).unwrap();
    fs::write(top.join(".venv/pyvenv.cfg"), "").unwrap();
    let expect = |code, kept: bool, what: &str| {
        let output = run(&person, &top, code, &["gates", "run"]);
        assert_eq!(said(&output).contains("kept result"), kept, "{what}: {}", said(&output));
    };
    fs::write(top.join(".env"), "good").unwrap();
    expect(0, false, "the first run");
    expect(0, true, "nothing is other");
    fs::write(top.join(".env"), "bad").unwrap();
    expect(1, false, "an ignored file");
    // The commit's own directory has no `.env`: what the checkout saw is not its result.
    let head = run(&person, &top, 0, &["gates", "run", "--head", "HEAD", "--base", "HEAD"]);
    assert!(!said(&head).contains("fail"), "{}", said(&head));
    fs::write(top.join(".env"), "good").unwrap();
    expect(0, true, "as it was");
    fs::create_dir(packages.join("bad-1.dist-info")).unwrap();
    expect(1, false, "an installed package");
    fs::remove_dir(packages.join("bad-1.dist-info")).unwrap();
    let output = person
        .command(env!("CARGO_BIN_EXE_sprint"), &top)
        .args(["gates", "run"])
        .env("MODE", "bad")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "a variable: {}", said(&output));
    expect(0, true, "as it was, again");
}

/// A stranger's case: `rsdep = { path = "../rsdep" }`.
#[test]
fn nothing_is_kept_of_a_tree_whose_manifest_leads_out_of_it() {
    let person = Person::new();
    let gate = "[gates]\npresets = []\n[gate.mine]\nstage = \"InTests\"\nmode = \"absolute\"\n\
        command = [\"sh\", \"-c\", '! grep bad ../rsdep/lib.rs']\n";
    let top = repository(&person, gate);
    let other = person.path("rsdep");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("lib.rs"), "good\n").unwrap();
    fs::write(top.join("Cargo.toml"), "[dependencies]\nrsdep = { path = \"rsdep\" }\n").unwrap();
    let expect = |code, kept: bool, what: &str| {
        let output = run(&person, &top, code, &["gates", "run"]);
        assert_eq!(said(&output).contains("kept result"), kept, "{what}: {}", said(&output));
    };
    expect(0, false, "the first run");
    expect(0, true, "inside");
    fs::write(top.join("Cargo.toml"), "[dependencies]\nrsdep = { path = \"../rsdep\" }\n").unwrap();
    expect(0, false, "another tree");
    expect(0, false, "outside");
    fs::write(other.join("lib.rs"), "bad\n").unwrap();
    expect(1, false, "what lies outside is another one");
}

#[test]
fn what_lies_in_the_place_of_a_report_is_back_where_no_report_came() {
    let person = Person::new();
    let config = "[gates]\npresets = []\n[gate.mine]\nstage = \"InTests\"\ncommand = [\"true\"]\n\
                  parser = \"junit\"\noutput = \"notes.md\"\nmode = \"absolute\"\n";
    let top = repository(&person, config);
    fs::write(top.join("notes.md"), "my day of work\n").unwrap();
    let output = run(&person, &top, 3, &["gates", "run"]);
    assert!(said(&output).contains("left no report"), "{}", said(&output));
    assert_eq!(fs::read_to_string(top.join("notes.md")).unwrap(), "my day of work\n");
}

#[test]
fn what_a_command_of_ones_own_asks_git_is_kept_for_that_commit_alone() {
    let person = Person::new();
    let config = "[gates]\npresets = []\n[gate.mine]\nstage = \"InTests\"\nmode = \"absolute\"\n\
                  command = [\"git\", \"diff\", \"--check\", \"HEAD\"]\n";
    let top = repository(&person, config);
    fs::write(top.join("spaces.txt"), "x   \n").unwrap();
    person.git(&top, &["add", "--all"]);
    let expect = |code: i32, kept: bool, args: &[&str]| {
        let output = run(&person, &top, code, &[&["gates", "run"], args].concat());
        assert_eq!(said(&output).contains("mine         kept"), kept, "{args:?}: {}", said(&output));
    };
    expect(1, false, &["--staged"]);
    expect(1, true, &["--staged"]);
    expect(1, false, &[]);
    person.git(&top, &["commit", "-qm", "spaces"]);
    // The same tree: by now there is no difference.
    expect(0, false, &["--head", "HEAD"]);
    expect(0, false, &[]);
    expect(0, true, &[]);
}
