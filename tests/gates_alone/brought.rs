//! What a commit's directory gets of the checkout, so that its tests run, and judge its own code.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::person::{Person, text};
use crate::{repository, run, said};

/// A gate that runs `script` in the tree, and what that says is all that counts.
fn gate(script: &str) -> String {
    let words = "mode = \"absolute\"\nnetwork = true\n";
    format!(
        "[gates]\npresets = []\n[gate.mine]\nstage = \"InTests\"\n{words}command = [\"sh\", \"-c\", '{script}']\n"
    )
}

fn write(top: &Path, name: &str, said: &str) {
    let file = top.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, said).unwrap();
}

fn commit(person: &Person, top: &Path, message: &str) {
    person.git(top, &["add", "--all"]);
    person.git(top, &["commit", "-qm", message]);
}

/// A workspace as `npm install` leaves it: its own packages are links among the installed ones.
fn workspace(person: &Person, script: &str) -> PathBuf {
    let top = repository(person, &gate(script));
    write(&top, ".gitignore", "node_modules\n");
    write(&top, "packages/core/index.js", "good\n");
    write(&top, "packages/core/cli.js", "good\n");
    commit(person, &top, "good");
    write(&top, "node_modules/.package-lock.json", "{}");
    write(&top, "node_modules/other/index.js", "other\n");
    fs::create_dir_all(top.join("node_modules/@me")).unwrap();
    fs::create_dir_all(top.join("node_modules/.bin")).unwrap();
    symlink("../../packages/core", top.join("node_modules/@me/core")).unwrap();
    symlink("../packages/core", top.join("node_modules/core")).unwrap();
    symlink("../@me/core/cli.js", top.join("node_modules/.bin/core")).unwrap();
    top
}

const WORKSPACE: &str = "for of in @me/core/index.js core/index.js .bin/core; do grep -q good node_modules/$of || exit 1; done; \
    grep -q other node_modules/other/index.js";

#[test]
fn a_workspaces_own_packages_are_those_of_the_tree_that_is_judged() {
    let person = Person::new();
    let top = workspace(&person, WORKSPACE);
    // What is staged is bad, and the checkout good; then the other way round.
    for name in ["index.js", "cli.js"] {
        let file = format!("packages/core/{name}");
        write(&top, &file, "bad\n");
        person.git(&top, &["add", "packages"]);
        write(&top, &file, "good\n");
        run(&person, &top, 1, &["gates", "run", "--staged"]);
        run(&person, &top, 0, &["gates", "run"]);
        person.git(&top, &["add", "packages"]);
        write(&top, &file, "bad\n");
        run(&person, &top, 0, &["gates", "run", "--staged"]);
        let output = run(&person, &top, 1, &["gates", "run"]);
        assert!(!said(&output).contains("at the base too"), "{}", said(&output));
        run(&person, &top, 0, &["gates", "run", "--head", "HEAD"]);
        write(&top, &file, "good\n");
    }
}

#[test]
fn a_failure_is_not_excused_by_a_base_that_runs_the_checkouts_code() {
    let person = Person::new();
    let top = workspace(&person, WORKSPACE);
    let config = fs::read_to_string(top.join("sprint.toml")).unwrap().replace("\"absolute\"", "\"new\"");
    fs::write(top.join("sprint.toml"), config).unwrap();
    commit(&person, &top, "config");
    write(&top, "packages/core/index.js", "bad\n");
    run(&person, &top, 1, &["gates", "run"]);
    commit(&person, &top, "bad");
    run(&person, &top, 1, &["gates", "run", "--head", "HEAD", "--base", "HEAD^"]);
}

#[test]
fn a_kept_result_is_of_where_a_workspace_link_leads() {
    let person = Person::new();
    let top = workspace(&person, WORKSPACE);
    write(&top, "packages/bad/index.js", "bad\n");
    commit(&person, &top, "another package");
    let expect = |code, kept, what: &str| {
        let output = run(&person, &top, code, &["gates", "run", "--head", "HEAD", "--base", "HEAD"]);
        assert_eq!(said(&output).contains("kept"), kept, "{what}: {}", said(&output));
    };
    expect(0, false, "the first run");
    expect(0, true, "nothing is other");
    write(&top, "packages/core/index.js", "bad\n");
    expect(0, true, "what the checkout has there is not seen");
    fs::remove_file(top.join("node_modules/core")).unwrap();
    symlink("../packages/bad", top.join("node_modules/core")).unwrap();
    expect(1, false, "the link leads elsewhere");
}

#[test]
fn packages_that_lead_to_no_source_stay_one_link() {
    let person = Person::new();
    let top = repository(&person, &gate("test -L node_modules && test -f node_modules/made/x"));
    write(&top, ".gitignore", "node_modules/\n.generated/\n");
    commit(&person, &top, "ignore");
    write(&top, "node_modules/real/index.js", "1");
    write(&top, ".generated/x", "1");
    symlink("real", top.join("node_modules/alias")).unwrap();
    symlink("../.generated", top.join("node_modules/made")).unwrap();
    symlink("nowhere", top.join("node_modules/gone")).unwrap();
    run(&person, &top, 0, &["gates", "run", "--head", "HEAD", "--base", "HEAD"]);
}

#[test]
fn installed_packages_further_down_are_brought_where_git_ignores_them() {
    let person = Person::new();
    let script = "cd packages/app; cat node_modules/a/index.js .venv/here node_modules/core/index.js | grep -q bad && exit 1; \
        test -d node_modules/a && test -e .venv/here && test -e node_modules/core/index.js \
        && test -e deps/x && test ! -e other/x && test ! -e ../../a/b/c/d/e/deps";
    let top = repository(&person, &(gate(script) + "[worktree]\nlink = [\"deps\"]\n"));
    write(&top, ".gitignore", "node_modules/\n.venv/\ndeps/\nother/\n");
    write(&top, "packages/app/index.js", "1\n");
    write(&top, "packages/core/index.js", "good\n");
    write(&top, "a/b/c/d/e/x", "1\n");
    commit(&person, &top, "packages");
    // `start` and the gates want what `[worktree] link` names.
    write(&top, "deps/x", "1");
    for name in ["node_modules/a/index.js", ".venv/here", "deps/x", "other/x"] {
        write(&top.join("packages/app"), name, "1\n");
    }
    write(&top, "a/b/c/d/e/deps/x", "too deep");
    symlink("../../core", top.join("packages/app/node_modules/core")).unwrap();
    write(&top, "packages/core/index.js", "bad\n");
    let head = ["gates", "run", "--head", "HEAD", "--base", "HEAD"];
    run(&person, &top, 0, &head);
    let output = run(&person, &top, 0, &head);
    assert!(said(&output).contains("kept"), "{}", said(&output));
    write(&top, "packages/app/node_modules/a/index.js", "bad\n");
    run(&person, &top, 1, &head);
}

#[test]
fn a_submodule_is_there_where_the_checkout_has_it_at_that_commit_and_else_its_absence_is_said() {
    let person = Person::new();
    let library = person.path("library");
    fs::create_dir(&library).unwrap();
    person.git(&library, &["init", "-q", "-b", "main"]);
    person.git(&library, &["config", "user.name", "p"]);
    person.git(&library, &["config", "user.email", "p@example.invalid"]);
    write(&library, "x", "1\n");
    commit(&person, &library, "one");
    let top = repository(&person, &gate("test -f vendor/lib/x && ! grep -q bad vendor/lib/x"));
    let from = library.to_str().unwrap();
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", from, "vendor/lib"];
    person.git(&top, &add);
    commit(&person, &top, "submodule");
    let head = ["gates", "run", "--head", "HEAD", "--base", "HEAD"];
    let note = "`vendor/lib` is a submodule, and the checkout has it not at the commit that";
    let output = run(&person, &top, 0, &head);
    assert!(!text(&output.stderr).contains(note), "{}", said(&output));
    assert!(said(&run(&person, &top, 0, &head)).contains("kept"));
    // Its files as they lie there count.
    write(&top, "vendor/lib/x", "bad\n");
    run(&person, &top, 1, &head);
    write(&top, "vendor/lib/x", "1\n");
    let lib = top.join("vendor/lib");
    person.git(
        &lib,
        &["-c", "user.name=p", "-c", "user.email=p@x", "commit", "-q", "--allow-empty", "-m", "two"],
    );
    let output = run(&person, &top, 1, &head);
    assert!(text(&output.stderr).contains(note), "{}", said(&output));
    assert!(lib.join("x").exists(), "nothing of the checkout is touched");
}

#[test]
fn what_asks_git_is_told_the_same_everywhere() {
    let person = Person::new();
    let script = "test \"$(git rev-parse HEAD)\" = \"$(cat head)\" && git describe --tags --match \"v*\" && \
        git log -1 --format=%s main && test -z \"$(git diff-files --name-only)\" && echo told >> told.txt";
    let top = repository(&person, &gate(script));
    let head = |top: &Path| person.git(top, &["rev-parse", "HEAD"]);
    write(&top, ".gitignore", "told.txt\nhead\n.venv/\n");
    fs::create_dir(top.join(".venv")).unwrap();
    commit(&person, &top, "first");
    person.git(&top, &["tag", "v1"]);
    let more =
        format!("{}\n[worktree]\ncopy = [\"head\"]\n", fs::read_to_string(top.join("sprint.toml")).unwrap());
    fs::write(top.join("sprint.toml"), more).unwrap();
    commit(&person, &top, "second");
    write(&top, "head", &head(&top));
    write(&top, "a.txt", "staged\n");
    person.git(&top, &["add", "a.txt"]);
    // The checkout, what is staged on its commit, that commit, and an earlier one.
    run(&person, &top, 0, &["gates", "run"]);
    run(&person, &top, 0, &["gates", "run", "--staged"]);
    run(&person, &top, 0, &["gates", "run", "--head", "HEAD"]);
    run(&person, &top, 1, &["gates", "run", "--head", "v1"]);
    write(&top, "head", &person.git(&top, &["rev-parse", "v1"]));
    run(&person, &top, 0, &["gates", "run", "--head", "v1"]);
    assert_eq!(person.git(&top, &["status", "--porcelain"]), "M  a.txt\n", "nothing of it is touched");
}
