//! `sprint gates` on its own: in a repository without a feature, in a commit hook, in CI.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test: it panics, and says what it skips")]

#[path = "gates_alone/astray.rs"]
mod astray;
#[path = "gates_alone/brought.rs"]
mod brought;
#[path = "gates_alone/environment.rs"]
mod environment;
#[path = "gates_alone/filters.rs"]
mod filters;
#[path = "gates_alone/kept.rs"]
mod kept;
#[path = "gates_alone/odd.rs"]
mod odd;
mod person;
#[path = "gates_alone/reports.rs"]
mod reports;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use person::{Person, text};
use serde_json::Value;

/// Nothing here takes so long.
const DEADLINE: Duration = Duration::from_mins(1);

/// `words`: every line with `bad` is a finding.
const WORDS: &str = r#"
[gates]
presets = []
[gate.words]
stage = "InReview"
command = ["grep", "-rnH", "--include=*.txt", "bad", "."]
parser = "regex"
pattern = '^\./(?P<path>[^:]+):(?P<line>\d+):(?P<message>.*)$'
clean = [1]
"#;

/// A repository with `words` and a commit.
fn repository(person: &Person, config: &str) -> PathBuf {
    let top = person.path("re po");
    fs::create_dir(&top).unwrap();
    fs::write(top.join("sprint.toml"), config).unwrap();
    fs::write(top.join("a.txt"), "old bad\n").unwrap();
    person.git(&top, &["init", "-q", "-b", "main"]);
    person.git(&top, &["config", "user.name", "p"]);
    person.git(&top, &["config", "user.email", "p@example.invalid"]);
    person.git(&top, &["add", "--all"]);
    person.git(&top, &["commit", "-qm", "begin"]);
    top
}

fn said(output: &Output) -> String {
    format!("exit {:?}\n{}{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Runs it and wants the exit code.
#[track_caller]
fn run(person: &Person, top: &Path, code: i32, args: &[&str]) -> Output {
    let output = person.sprint(top, args);
    assert_eq!(output.status.code(), Some(code), "sprint {args:?}: {}", said(&output));
    output
}

#[test]
fn staged_is_the_index_and_the_worktree_is_what_lies_there() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    fs::write(top.join("a.txt"), "old bad\nnew bad\n").unwrap();
    person.git(&top, &["add", "a.txt"]);
    fs::write(top.join("a.txt"), "old bad\n").unwrap();
    run(&person, &top, 1, &["gates", "run", "--staged"]);
    run(&person, &top, 0, &["gates", "run"]);
    run(&person, &top, 0, &["gates", "run", "--worktree"]);
    run(&person, &top, 0, &["gates", "run", "--head", "HEAD"]);
    let before = person.git(&top, &["status", "--porcelain"]);
    assert_eq!(before, "MM a.txt\n", "nothing of it is touched");
}

#[test]
fn a_commit_hook_judges_what_is_committed_also_with_an_index_of_its_own() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    let hook = top.join(".git/hooks/pre-commit");
    let line = format!("#!/bin/sh\nexec {} gates run --staged\n", env!("CARGO_BIN_EXE_sprint"));
    fs::write(&hook, line).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let commit = |args: &[&str]| person.command("git", &top).args(args).output().unwrap();
    fs::write(top.join("a.txt"), "old bad\nnew bad\n").unwrap();
    // `-a` makes an index of its own, which alone has the change.
    let refused = commit(&["commit", "-am", "bad"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    fs::write(top.join("a.txt"), "old bad\nfine\n").unwrap();
    fs::write(top.join("b.txt"), "bad\n").unwrap();
    let made = commit(&["commit", "-am", "good"]);
    assert!(made.status.success(), "what is not committed does not count: {}", said(&made));
}

#[test]
fn a_base_that_a_shallow_clone_does_not_reach_is_no_pass() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    person.git(&top, &["checkout", "-q", "-b", "work"]);
    for line in ["new bad", "more bad"] {
        fs::write(top.join("a.txt"), format!("old bad\n{line}\n")).unwrap();
        person.git(&top, &["commit", "-qam", line]);
    }
    let clone = person.path("clone");
    let from = format!("file://{}", top.display());
    let words = ["clone", "-q", "--depth=1", "--no-single-branch", "--branch=work", &from];
    person.git(person.home.path(), &[&words[..], &[clone.to_str().unwrap()]].concat());
    // As CI systems check out: no branch, and no word about which is the main one.
    person.git(&clone, &["checkout", "-q", "--detach"]);
    person.git(&clone, &["branch", "-q", "-D", "work"]);
    person.git(&clone, &["remote", "set-head", "origin", "--delete"]);
    let output = run(&person, &clone, 3, &["gates", "run"]);
    assert!(text(&output.stderr).contains("or name a commit: --base REF"), "{}", said(&output));
    run(&person, &clone, 1, &["gates", "run", "--base", "origin/main"]);
    person.git(&clone, &["fetch", "-q", "--unshallow"]);
    run(&person, &clone, 1, &["gates", "run"]);
}

#[test]
fn what_is_staged_may_not_have_conflicts() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    for (branch, words) in [("one", "one\n"), ("two", "two\n")] {
        person.git(&top, &["checkout", "-q", "-b", branch, "main"]);
        fs::write(top.join("a.txt"), words).unwrap();
        person.git(&top, &["commit", "-qam", branch]);
    }
    let merge = person.command("git", &top).args(["merge", "one"]).output().unwrap();
    assert!(!merge.status.success());
    let refused = run(&person, &top, 4, &["gates", "run", "--staged"]);
    assert!(text(&refused.stderr).contains("has conflicts"), "{}", said(&refused));
}

#[test]
fn a_linked_worktree_has_a_head_of_its_own() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    let other = person.path("other");
    person.git(&top, &["worktree", "add", "-q", "-b", "other", other.to_str().unwrap()]);
    fs::write(other.join("a.txt"), "old bad\nnew bad\n").unwrap();
    person.git(&other, &["commit", "-qam", "bad"]);
    run(&person, &other, 1, &["gates", "run", "--head", "HEAD"]);
    run(&person, &top, 0, &["gates", "run", "--head", "HEAD"]);
}

#[test]
fn a_commit_is_judged_with_what_the_checkout_has_installed() {
    let person = Person::new();
    let config = format!(
        "{}\n[gate.env]\nstage = \"InTests\"\ncommand = [\"sh\", \"-c\", \"mine\"]\nmode = \"absolute\"\n\
         [worktree]\ncopy = [\"local.cfg\"]\n",
        "[gates]\npresets = []"
    );
    let top = repository(&person, &config);
    fs::create_dir_all(top.join(".venv/bin")).unwrap();
    fs::write(top.join("local.cfg"), "x\n").unwrap();
    fs::write(top.join(".git/info/exclude"), ".venv\nlocal.cfg\n").unwrap();
    let mine = top.join(".venv/bin/mine");
    fs::write(&mine, "#!/bin/sh\ntest -f local.cfg && echo changed > local.cfg\n").unwrap();
    fs::set_permissions(&mine, fs::Permissions::from_mode(0o755)).unwrap();
    run(&person, &top, 0, &["gates", "run", "--head", "HEAD"]);
    assert_eq!(fs::read_to_string(top.join("local.cfg")).unwrap(), "x\n", "it is a copy");
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_any_gate_runs() {
    let person = Person::new();
    let marker = person.path("ran");
    let config = format!(
        "[gates]\npresets = []\n[gate.marks]\nstage = \"InTests\"\ncommand = [\"touch\", \"{}\"]\n",
        marker.display()
    );
    let top = repository(&person, &config);
    let refused = |args: &[&str], why: &str| {
        let args: Vec<&str> = ["gates", "run"].iter().chain(args).copied().collect();
        let output = run(&person, &top, 2, &args);
        assert!(text(&output.stderr).contains(why), "{}", said(&output));
        assert!(!marker.exists(), "{args:?} ran a gate");
    };
    refused(&["--sarif", "/nowhere/x.sarif"], "`/nowhere/x.sarif` cannot be written");
    refused(&["--junit", "/"], "`/` cannot be written");
    refused(&["--sarif", "x", "--junit", "./x"], "both name");
    refused(&["--sarif", "-", "--json"], "`--json` and `--sarif -` both write to standard output");
    refused(&["--junit", "-", "--github"], "both write to standard output");
    refused(&["--github", "--json"], "cannot be used with");
    refused(&["--stage", "InReveiw"], "did you mean `InReview`?");
    refused(&["--gate", "mark"], "did you mean `marks`?");
    refused(&["--base", "no-such"], "there is no commit `no-such`");
    refused(&["--head", "no-such"], "there is no commit `no-such`");
    refused(&["--base", ""], "`git log` and `git branch --all` list what there is");
    refused(&["--base", "HEAD^{tree}"], "hint: name a commit, a branch or a tag: ");
    refused(&["marks", "--stage", "InDocs"], "runs in InTests");
    refused(&["--staged", "--head", "HEAD"], "cannot be used with");
    assert_eq!(person.git(&top, &["status", "--porcelain"]), "", "no file is left behind");
    run(&person, &top, 0, &["gates", "run", "--sarif", "../out.sarif"]);
    assert!(marker.exists() && person.path("out.sarif").is_file());
}

#[test]
fn where_there_is_nothing_to_judge_it_says_what_to_do() {
    let person = Person::new();
    let bare = person.path("bare");
    person.git(person.home.path(), &["init", "-q", "--bare", bare.to_str().unwrap()]);
    let unborn = person.path("unborn");
    person.git(person.home.path(), &["init", "-q", unborn.to_str().unwrap()]);
    for command in
        [&["gates", "run"][..], &["gates", "run", "--staged"], &["gates", "list"], &["gates", "baseline"]]
    {
        let output = run(&person, &bare, 4, command);
        assert!(text(&output.stderr).contains("is bare"), "{}", said(&output));
        if command.contains(&"--staged") {
            // A hook of a repository's first commit: see below.
            continue;
        }
        let output = run(&person, &unborn, 4, command);
        assert!(text(&output.stderr).contains("hint: commit something first"), "{}", said(&output));
    }
    let top = repository(&person, "[gates]\npresets = []\n");
    let output = run(&person, &top, 0, &["gates", "run"]);
    assert!(text(&output.stdout).contains("no gate takes part here"), "{}", said(&output));
    for args in [&["gates", "run", "--json"][..], &["gates", "run", "--json", "--stage", "Merging"]] {
        let output = run(&person, &top, 0, args);
        assert!(text(&output.stderr).contains("so nothing was judged"), "{}", said(&output));
    }
}

#[test]
fn the_first_commit_of_a_repository_is_held_against_nothing() {
    let person = Person::new();
    let top = person.path("first");
    fs::create_dir(&top).unwrap();
    person.git(&top, &["init", "-q", "-b", "main"]);
    person.git(&top, &["config", "user.name", "p"]);
    person.git(&top, &["config", "user.email", "p@example.invalid"]);
    fs::write(top.join("sprint.toml"), WORDS).unwrap();
    let hook = top.join(".git/hooks/pre-commit");
    let line = format!("#!/bin/sh\nexec {} gates run --staged\n", env!("CARGO_BIN_EXE_sprint"));
    fs::write(&hook, line).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let commit = || {
        person.git(&top, &["add", "--all"]);
        person.command("git", &top).args(["commit", "-m", "first"]).output().unwrap()
    };
    fs::write(top.join("a.txt"), "bad\n").unwrap();
    let refused = commit();
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(text(&refused.stderr).contains("new"), "{}", said(&refused));
    fs::write(top.join("a.txt"), "fine\n").unwrap();
    let made = commit();
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    assert_eq!(person.git(&top, &["rev-list", "--count", "--all"]), "1\n");
}

/// Whoever has pushed a branch would compare it with itself.
#[test]
fn with_what_is_compared_is_said_and_is_not_the_branch_itself() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    let remote = person.path("remote.git");
    person.git(&top, &["init", "-q", "--bare", "-b", "main", remote.to_str().unwrap()]);
    person.git(&top, &["remote", "add", "origin", remote.to_str().unwrap()]);
    person.git(&top, &["push", "-qu", "origin", "main"]);
    let begin = person.git(&top, &["rev-parse", "--short=7", "HEAD"]);
    let output = run(&person, &top, 0, &["gates", "run"]);
    let same = format!("compared with origin/main ({}", begin.trim());
    let shown = text(&output.stdout);
    assert!(shown.contains(&same) && shown.contains("nothing differs, so nothing is new"), "{shown}");
    person.git(&top, &["checkout", "-qb", "feature"]);
    fs::write(top.join("b.txt"), "bad\n").unwrap();
    person.git(&top, &["add", "--all"]);
    person.git(&top, &["commit", "-qm", "bad"]);
    person.git(&top, &["push", "-qu", "origin", "feature"]);
    let output = run(&person, &top, 1, &["gates", "run"]);
    let shown = text(&output.stdout);
    assert!(shown.contains(&format!("compared with main ({}", begin.trim())), "{shown}");
    // What is not pushed is compared with what is.
    person.git(&top, &["commit", "-qm", "more", "--allow-empty"]);
    let output = run(&person, &top, 0, &["gates", "run"]);
    assert!(text(&output.stdout).contains("compared with origin/feature ("), "{}", said(&output));
    let output = run(&person, &top, 0, &["gates", "run", "--base", "origin/feature"]);
    assert!(text(&output.stdout).contains("compared with origin/feature ("), "{}", said(&output));
    let output = run(&person, &top, 2, &["gates", "run", "--base", "gone"]);
    assert_eq!(text(&output.stderr).matches("gone").count(), 1, "{}", said(&output));
}

/// Its own reports have fingerprints in them, and an editor's lock is a link to nowhere.
#[test]
fn what_is_nobodys_work_is_not_judged() {
    let person = Person::new();
    let config = WORDS.replace("\"--include=*.txt\", ", "").replace("\"bad\"", "\"newly\"");
    let top = repository(&person, &config);
    fs::write(top.join("a.txt"), "newly bad\n").unwrap();
    std::os::unix::fs::symlink("p@host.1:2", top.join(".#a.py")).unwrap();
    let args = ["gates", "run", "--sarif", "o ut.sarif", "--junit", "sub/out.xml"];
    fs::create_dir(top.join("sub")).unwrap();
    run(&person, &top, 1, &args);
    fs::write(top.join("other.xml"), "<?xml version=\"1.0\"?><testsuites name=\"mine\"/>").unwrap();
    let output = run(&person, &top, 1, &["gates", "run"]);
    let said = text(&output.stderr);
    for name in ["o ut.sarif", "sub/out.xml"] {
        assert!(said.contains(&format!("`{name}` is a report of sprint and is left out")), "{said}");
    }
    assert!(!said.contains("other.xml"), "{said}");
    let output = run(&person, &top, 0, &["gates", "run", "integrity", "--json"]);
    let ran: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(ran["gates"][0]["findings"].as_array().unwrap().len(), 0, "{ran:#}");
    let listed = person.git(&top, &["status", "--porcelain", "--untracked-files=all"]);
    assert!(listed.contains(".#a.py") && listed.contains("out.xml"), "nothing was removed: {listed}");
}

#[test]
fn what_sprint_judges_itself_is_repeated_by_the_same_call() {
    let person = Person::new();
    let top = repository(&person, "");
    fs::write(top.join("a.py"), "import os  # noqa\n").unwrap();
    let output = run(&person, &top, 1, &["gates", "run", "integrity", "--base", "HEAD~0"]);
    let shown = text(&output.stdout);
    assert!(shown.contains("by hand: sprint gates run integrity --base 'HEAD~0'\n"), "{shown}");
}

#[test]
fn a_reader_that_goes_away_changes_no_verdict() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    fs::write(top.join("a.txt"), "new bad\n".repeat(5000)).unwrap();
    for form in [&["--json"][..], &["--sarif", "-"], &["--junit", "-"], &["--github"], &[]] {
        let mut command = person.command(env!("CARGO_BIN_EXE_sprint"), &top);
        command.args(["gates", "run"]).args(form).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(1), "{form:?}");
    }
}

/// Asks until it is so.
#[track_caller]
fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn an_interrupt_ends_the_tools_too_and_undoes_what_they_have_changed() {
    let person = Person::new();
    let pid = person.path("pid");
    let config = format!(
        "[gates]\npresets = []\n[gate.sleeps]\nstage = \"InTests\"\ncommand = [\"sh\", \"-c\", 'echo more >> a.txt; echo $$ > \"{0}.new\"; mv \"{0}.new\" \"{0}\"; exec sleep 1000']\n",
        pid.display()
    );
    let top = repository(&person, &config);
    let mut command = person.command(env!("CARGO_BIN_EXE_sprint"), &top);
    command.args(["gates", "run"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    until("the gate begins", || pid.exists());
    let tool = fs::read_to_string(&pid).unwrap().trim().to_owned();
    assert!(Path::new("/proc").join(&tool).exists());
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(text(&output.stderr).contains("interrupted"), "{}", said(&output));
    assert!(!Path::new("/proc").join(&tool).exists(), "the tool has ended");
    assert_eq!(fs::read_to_string(top.join("a.txt")).unwrap(), "old bad\n", "what it wrote is undone");
}

/// What nobody was there to end, the next call ends, and takes its directory away.
#[test]
fn a_call_that_was_killed_leaves_nothing_for_longer_than_to_the_next() {
    let person = Person::new();
    let (pid, tmp) = (person.path("pid"), person.path("run/tmp"));
    fs::create_dir(&tmp).unwrap();
    let config = format!(
        "[gates]\npresets = []\n[gate.sleeps]\nstage = \"InTests\"\ncommand = [\"sh\", \"-c\", '[ -e \"{0}\" ] && exit 0; echo $$ > \"{0}.new\"; mv \"{0}.new\" \"{0}\"; exec sleep 1000']\n",
        pid.display()
    );
    let top = repository(&person, &config);
    let mut command = person.command(env!("CARGO_BIN_EXE_sprint"), &top);
    command.args(["gates", "run"]).env("TMPDIR", &tmp).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until("the gate begins", || pid.exists());
    let tool = Path::new("/proc").join(fs::read_to_string(&pid).unwrap().trim());
    // Whoever inherits a dead one need not collect it.
    let runs = || fs::read(tool.join("cmdline")).is_ok_and(|line| !line.is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    // In the middle of becoming `sleep` it shows no line.
    until("nobody was there to end it", runs);
    let left = || fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert!(left().iter().any(|name| name.to_string_lossy().starts_with("sprint-gates-")), "{:?}", left());
    let mut again = person.command(env!("CARGO_BIN_EXE_sprint"), &top);
    let output = again.args(["gates", "run"]).env("TMPDIR", &tmp).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!runs(), "the tool has ended");
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0);
}

/// Anybody may put a file into a directory for temporary files, and tools look for theirs upwards.
#[test]
fn what_lies_above_the_temporary_directory_decides_nothing() {
    let person = Person::new();
    let tmp = person.path("run/tmp");
    fs::create_dir(&tmp).unwrap();
    let config = "[gates]\npresets = []\n[gate.up]\nstage = \"InTests\"\nmode = \"absolute\"\n\
        command = [\"sh\", \"-c\", '! [ -e ../../conftest.py ]']\n";
    let top = repository(&person, config);
    let run_there = |code| {
        let mut command = person.command(env!("CARGO_BIN_EXE_sprint"), &top);
        let output = command.args(["gates", "run", "--head", "HEAD"]).env("TMPDIR", &tmp).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        said(&output)
    };
    fs::write(tmp.join("conftest.py"), "").unwrap();
    run_there(0);
    fs::write(person.path("cache/setup.cfg"), "").unwrap();
    let refused = run_there(3);
    assert!(refused.contains("run/tmp/conftest.py") && refused.contains("TMPDIR"), "{refused}");
    fs::remove_file(tmp.join("conftest.py")).unwrap();
    run_there(0);
}

#[test]
fn on_a_terminal_each_gate_has_a_line_with_its_time() {
    let person = Person::new();
    let top = repository(&person, reports::ODD);
    fs::write(top.join("odd.sarif"), reports::odd_sarif(&[])).unwrap();
    let mut command = person.command("script", &top);
    let line = format!("{} gates run", env!("CARGO_BIN_EXE_sprint"));
    command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env("COLUMNS", "100");
    let output = command.output().unwrap();
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{shown}");
    assert!(shown.contains("waits") && shown.contains("build   fail 0."), "{shown}");
    assert!(!shown.contains("▶"), "the lines of the gates are for logs: {shown}");
}

#[test]
fn the_list_says_why_and_what_is_missing() {
    let person = Person::new();
    let top = repository(
        &person,
        "[gate.mypy]\nenabled = false\n[gate.mine]\nstage = \"InTests\"\ncommand = [\"no-such-tool\"]\n",
    );
    fs::write(top.join("a.py"), "x = 1\n").unwrap();
    let output = run(&person, &top, 0, &["gates", "list", "--json"]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gate =
        |name: &str| list["gates"].as_array().unwrap().iter().find(|g| g["name"] == name).unwrap().clone();
    assert_eq!(
        (gate("ruff")["takes_part"].as_bool(), gate("ruff")["why"].as_str()),
        (Some(true), Some("there is python"))
    );
    assert_eq!(
        (gate("mypy")["takes_part"].as_bool(), gate("mypy")["why"].as_str()),
        (Some(false), Some("`[gate.mypy] enabled = false`"))
    );
    assert_eq!(
        (gate("mine")["why"].as_str(), gate("mine")["missing"].as_str()),
        (Some("a gate of your own"), Some("no-such-tool"))
    );
    let shown = text(&run(&person, &top, 0, &["gates", "list"]).stdout);
    assert!(shown.contains("mine needs `no-such-tool`, which is not installed"), "{shown}");
    if person.has_tools() {
        assert!(gate("ruff")["tool_version"].as_str().unwrap().contains("ruff"), "{list:#}");
        run(&person, &top, 3, &["gates", "run", "ruff", "mine"]);
        let output = run(&person, &top, 0, &["gates", "list", "--json"]);
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        let ruff = list["gates"].as_array().unwrap().iter().find(|g| g["name"] == "ruff").unwrap();
        assert!(ruff["last_seconds"].as_f64().unwrap() > 0.0, "{list:#}");
    }
}

/// A command that never works fails at the base too, which excuses it: nobody is to take that for green.
#[test]
fn a_gate_that_fails_at_the_base_too_is_no_silent_pass() {
    let person = Person::new();
    let config = "[gates]\npresets = []\n[gate.odd]\nstage = \"InTests\"\ncommand = [\"grep\", \"--no-such-option\"]\n";
    let top = repository(&person, config);
    fs::write(top.join("a.txt"), "new\n").unwrap();
    for _ in 0..2 {
        let shown = text(&run(&person, &top, 0, &["gates", "run"]).stdout);
        assert!(shown.contains("fails at the base too: exited with 2: "), "{shown}");
        assert!(shown.contains("        by hand: ") && shown.contains(" grep --no-such-option\n"), "{shown}");
        assert!(shown.contains("\nodd: it fails at the base too, so this change is not to blame"), "{shown}");
        let shown = text(&run(&person, &top, 0, &["gates", "list"]).stdout);
        assert!(shown.contains("odd failed at the base too when it last ran"), "{shown}");
    }
    fs::write(top.join("sprint.toml"), config.replace("--no-such-option", "new\", \"a.txt")).unwrap();
    run(&person, &top, 0, &["gates", "run"]);
    let shown = text(&run(&person, &top, 0, &["gates", "list"]).stdout);
    assert!(!shown.contains("failed at the base too"), "{shown}");
    fs::write(top.join("sprint.toml"), config.replace("--no-such-option", "{fles}")).unwrap();
    let said = said(&run(&person, &top, 2, &["gates", "run"]));
    assert!(said.contains("unknown placeholder `{fles}`; the nearest known one is `files`"), "{said}");
}

#[test]
fn the_baseline_is_a_report_and_hides_nothing() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    fs::write(top.join("a.txt"), "old bad\nnew bad\n").unwrap();
    let output = run(&person, &top, 0, &["gates", "baseline", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["total"], 1, "what is old: {report:#}");
    let words = &report["gates"][0];
    assert_eq!((words["state"].as_str(), words["rules"][0]["count"].as_u64()), (Some("owes"), Some(1)));
    assert_eq!(words["reason"], "1 finding", "what is old is not called new");
    let output = run(&person, &top, 0, &["gates", "baseline", "words", "--no-cache"]);
    let (shown, progress) = (text(&output.stdout), text(&output.stderr));
    assert!(shown.contains("1 in all"), "{shown}");
    assert!(progress.contains("words owes (") && !progress.contains("new"), "{progress}");
    run(&person, &top, 1, &["gates", "run"]);
    run(&person, &top, 2, &["gates", "baseline", "--base", "no-such"]);
}

#[test]
fn the_cache_is_shown_and_cleared() {
    let person = Person::new();
    let top = repository(&person, WORDS);
    let facts = |args: &[&str]| -> Value {
        let args: Vec<&str> = ["gates", "cache", "--json"].iter().chain(args).copied().collect();
        serde_json::from_slice(&run(&person, &top, 0, &args).stdout).unwrap()
    };
    assert_eq!(facts(&[])["entries"], 0);
    run(&person, &top, 0, &["gates", "run"]);
    let kept = facts(&[]);
    assert!(kept["entries"].as_u64().unwrap() > 0 && kept["bytes"].as_u64().unwrap() > 0, "{kept:#}");
    assert_eq!(facts(&["--clear"])["entries"], kept["entries"]);
    assert_eq!(facts(&[])["entries"], 0);
}

#[test]
fn install_fetches_a_real_tool_into_its_own_place_and_gates_find_it() {
    if std::env::var_os("SPRINT_TEST_LIBRARIES").is_none_or(|value| value != "1") {
        println!("SKIPPED: pip is asked in the full run only");
        return;
    }
    let person = Person::new();
    // Nothing of the tests' own tools.
    let tools = person.path("data/sprint/tools");
    if tools.symlink_metadata().is_ok() {
        fs::remove_file(&tools).unwrap();
    }
    let top = repository(&person, "[gates]\npresets = [\"radon\"]\n");
    fs::write(top.join("a.py"), "x = 1\n").unwrap();
    let path = person.path("clean");
    fs::create_dir(&path).unwrap();
    for program in ["git", "python3"] {
        let all = std::env::var_os("PATH").unwrap();
        let real = std::env::split_paths(&all).map(|dir| dir.join(program)).find(|file| file.exists());
        std::os::unix::fs::symlink(real.unwrap(), path.join(program)).unwrap();
    }
    let sprint = |args: &[&str]| {
        let mut command = person.command(env!("CARGO_BIN_EXE_sprint"), &top);
        let output = command.env("PATH", format!("{}:/usr/bin:/bin", path.display())).args(args).output();
        output.unwrap()
    };
    let before = sprint(&["install", "--check"]);
    assert_eq!(before.status.code(), Some(3), "{}", said(&before));
    let installed = sprint(&["install"]);
    assert_eq!(installed.status.code(), Some(0), "{}", said(&installed));
    assert!(tools.join("bin/radon").is_file());
    let ran = sprint(&["gates", "run", "--json"]);
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    let ran: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(
        (ran["gates"][0]["verdict"].as_str(), ran["gates"][0]["tool_version"].as_str()),
        (Some("pass"), Some("6.0.1"))
    );
}
