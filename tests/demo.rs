//! `sprint demo` from the outside: the whole sample through real tmux, git, ruff, mypy, radon and
//! pytest. The tools come from `SPRINT_TEST_TOOLS` (a virtual environment) or PATH; absent tools
//! fail these tests, unless `SPRINT_TEST_TOOLS_OPTIONAL=1` says that they may be skipped.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

mod person;

use std::path::Path;

use person::{Person, text};

/// Every process that mentions the person's directory.
fn left_running(person: &Person) -> Vec<String> {
    let home = person.home.path().to_str().unwrap().to_owned();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let words = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    words.map(|words| text(&words).replace('\0', " ")).filter(|words| words.contains(&home)).collect()
}

#[test]
fn the_demo_shows_what_it_promises_and_leaves_nothing_running() {
    let person = Person::new();
    if !person.has_tools() {
        return;
    }
    let sample = person.path("humanly");
    let output = person.sprint(person.home.path(), &["demo", sample.to_str().unwrap()]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}\n{}", text(&output.stderr));
    for promised in [
        "The developers are a script, not a model",
        "a red gate, repaired                T002:",
        "a worker killed, nothing lost       T003:",
        "a question, answered from outside   T004:",
        "a conflict, resolved                T00",
        "fine alone, red together, repaired  T00",
        "8 of 8 tasks landed",
        "git merge sprint/001-words",
    ] {
        assert!(said.contains(promised), "`{promised}` is not in:\n{said}");
    }
    assert!(!said.contains("not seen this time"), "{said}");
    assert_eq!(left_running(&person), Vec::<String>::new());
    every_landed_commit_is_green(&person, &sample);
    assert_eq!(person.git(&sample, &["status", "--porcelain"]), "", "the checkout is untouched");
    assert_eq!(person.git(&sample, &["symbolic-ref", "--short", "HEAD"]), "main\n");
    let again = person.sprint(person.home.path(), &["demo", sample.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(4), "a directory with something in it is refused");
}

fn every_landed_commit_is_green(person: &Person, sample: &Path) {
    let landed = person.git(sample, &["rev-list", "--first-parent", "--reverse", "main..sprint/001-words"]);
    let commits: Vec<&str> = landed.lines().collect();
    assert_eq!(commits.len(), 8, "one merge a task");
    for commit in commits {
        let tree = tempfile::tempdir().unwrap();
        let at = tree.path().to_str().unwrap();
        person.git(sample, &["worktree", "add", "--quiet", "--detach", at, commit]);
        let tests = person
            .tool("pytest", tree.path())
            .args(["-q", "-p", "no:cacheprovider"])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap();
        assert!(tests.status.success(), "{commit}: {}", text(&tests.stdout));
        let lint = person.tool("ruff", tree.path()).args(["check", "--no-cache", "."]).output().unwrap();
        assert!(lint.status.success(), "{commit}: {}", text(&lint.stdout));
        person.git(sample, &["worktree", "remove", "--force", at]);
    }
}

#[test]
fn without_the_tools_nothing_is_written() {
    let person = Person::new();
    let bare = person.path("bin");
    std::fs::create_dir(&bare).unwrap();
    for program in ["tmux", "git"] {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|dir| dir.join(program))
            .find(|file| file.exists())
            .unwrap();
        std::os::unix::fs::symlink(found, bare.join(program)).unwrap();
    }
    let sample = person.path("humanly");
    let output = person
        .command(env!("CARGO_BIN_EXE_sprint"), person.home.path())
        .env("PATH", &bare)
        .env("XDG_DATA_HOME", person.path("empty"))
        .args(["demo", sample.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.starts_with("error: the gates of the sample need ruff, mypy, radon, pytest"), "{said}");
    assert!(said.contains("hint: install them into sprint's own place: sprint install"), "{said}");
    assert!(!sample.exists());
}
