//! `doctor`, `install`, `init` and `attach`: what they need of the machine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::fixture::{Sprint, command, git, shop, shown, sprint};

/// A directory with these programs, each answering with a line.
fn programs(home: &Path, names: &[(&str, &str)]) -> String {
    let bin = home.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    for (name, body) in names {
        let path = bin.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let git = bin.join("git");
    if !git.exists() {
        let path = std::env::var_os("PATH").unwrap();
        let real =
            std::env::split_paths(&path).map(|dir| dir.join("git")).find(|file| file.exists()).unwrap();
        std::os::unix::fs::symlink(real, git).unwrap();
    }
    bin.to_str().unwrap().to_owned()
}

/// Without what is said of the machine: it is another one everywhere.
fn without_machine(text: &str) -> String {
    let machine =
        "network|systemd|cgroups|namespaces|bwrap|files|processes|watches|memory|clock|proc|temporary";
    let about = regex::Regex::new(&format!(r"(?m)^(ok|warning) +({machine}) .*\n(?: {{24}}.*\n)*")).unwrap();
    about.replace_all(text, "").into_owned()
}

#[test]
fn doctor_says_what_to_do_about_each_problem() {
    let (dir, top) = Sprint::empty();
    std::fs::write(top.join("a.py"), "x = 1\n").unwrap();
    git(dir.path(), &top, &["add", "."]);
    git(dir.path(), &top, &["commit", "-qm", "python"]);
    let tools = [("tmux", "echo tmux 2.9"), ("ruff", "true"), ("mypy", "true"), ("radon", "true")];
    let bin = programs(dir.path(), &tools);
    let mut doctor = command(dir.path(), &top, &["doctor"]);
    doctor.env("PATH", &bin);
    let shown = shown(doctor.output().unwrap());
    let head = git(dir.path(), &top, &["rev-parse", "--short=10", "HEAD"]);
    insta::assert_snapshot!(without_machine(&shown.whole()).replace(&head, "HEAD"));
}

#[test]
fn doctor_is_content_when_everything_is_there() {
    let (dir, top) = Sprint::empty();
    std::fs::write(
        top.join("sprint.toml"),
        "[roles.developer]\nagent = \"scripted\"\n[general]\ndisk_free_min = \"1kB\"\n",
    )
    .unwrap();
    let bin = programs(dir.path(), &[("tmux", "echo tmux 3.3a")]);
    let mut doctor = command(dir.path(), &top, &["doctor", "--json"]);
    doctor
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
        .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.org")]);
    let shown = shown(doctor.output().unwrap());
    assert_eq!(shown.exit, 0, "{}", shown.whole());
    assert!(!shown.out.contains("\"problem\""), "{}", shown.out);
}

#[test]
fn doctor_warns_of_what_a_start_would_not_refuse() {
    let (dir, top) = Sprint::empty();
    let prompts = top.join(".sprint/prompts");
    std::fs::create_dir_all(&prompts).unwrap();
    std::fs::write(prompts.join("reviewer.md"), "{{ nothing }}\n").unwrap();
    let settings = "[roles.developer]\nagent = \"codex\"\n[budget]\nrun = { usd = 1.0 }\n";
    std::fs::write(top.join("sprint.toml"), settings).unwrap();
    let bin = programs(dir.path(), &[("tmux", "echo tmux 3.3a"), ("codex", "true")]);
    let runtime = || std::fs::read_dir(dir.path().join("run")).unwrap().count();
    let before = runtime();
    let mut doctor = command(dir.path(), &top, &["doctor"]);
    doctor
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
        .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.org")]);
    let found = shown(doctor.output().unwrap());
    let head = git(dir.path(), &top, &["rev-parse", "--short=10", "HEAD"]);
    let git_version = git(dir.path(), &top, &["version"]);
    let version = git_version.trim_start_matches("git version ").to_owned();
    insta::assert_snapshot!(
        without_machine(&found.whole()).replace(&head, "HEAD").replace(&version, "VERSION")
    );
    assert_eq!(runtime(), before, "it makes nothing");
    assert!(!dir.path().join("state").exists(), "it makes nothing");
}

#[test]
fn of_a_wrong_configuration_doctor_ends_as_every_command_does() {
    let (dir, top) = Sprint::empty();
    let of = |file: &str, text: &str| {
        let path = top.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let found = sprint(dir.path(), &top, &["doctor"]);
        std::fs::remove_file(&path).unwrap();
        let about =
            |line: &&str| line.starts_with("problem  configuration") || line.starts_with("problem  prompts");
        let line = found.out.lines().find(about).unwrap_or_default();
        (found.exit, line.replace(dir.path().to_str().unwrap(), "DIR"))
    };
    let found = [
        of("sprint.toml", "[agents]\nmax_developer = 2\n"),
        of("sprint.toml", "[worktree]\ncopy = [\"nowhere.env\"]\n"),
        of(".sprint/prompts/develop.md", "one\n{{ tsk.id }}\n"),
    ];
    insta::assert_snapshot!(found.map(|(exit, line)| format!("{exit} {line}")).join("\n"));
}

#[test]
fn the_command_of_an_agent_is_that_of_its_mode() {
    let (dir, top) = Sprint::empty();
    let show = || sprint(dir.path(), &top, &["agents", "show", "codex", "--print-command"]).out;
    let headless = show();
    assert!(headless.starts_with("codex exec "), "{headless}");
    std::fs::write(top.join("sprint.toml"), "[agent.codex]\nmode = \"interactive\"\n").unwrap();
    let interactive = show();
    assert!(interactive.starts_with("codex ") && !interactive.contains(" exec "), "{interactive}");
}

/// A repository with a Python file, for which gates take part; nothing of it is committed.
fn python_repository() -> (tempfile::TempDir, std::path::PathBuf) {
    let (dir, top) = Sprint::empty();
    std::fs::write(top.join("a.py"), "x = 1\n").unwrap();
    std::fs::write(top.join("sprint.toml"), ONLY_FOUR).unwrap();
    (dir, top)
}

const ONLY_FOUR: &str = "[gates]\npresets = [\"ruff\", \"mypy\", \"radon\", \"pytest\"]\n";

#[test]
fn install_says_what_is_missing_and_why_it_cannot_be_had() {
    let (dir, top) = python_repository();
    let bin = programs(dir.path(), &[("ruff", "true"), ("radon", "true"), ("mypy", "true")]);
    let run = |args: &[&str], path: &str| {
        let mut install = command(dir.path(), &top, args);
        install.env("PATH", path).env("XDG_DATA_HOME", dir.path().join("data"));
        shown(install.output().unwrap()).whole()
    };
    let mut all = run(&["install", "--check"], &bin);
    all.push_str(&run(&["install"], &bin));
    // A Python without ensurepip, as Debian has it without python3-venv.
    programs(
        dir.path(),
        &[("python3", "echo 'The virtual environment was not created: ensurepip is not available'; exit 1")],
    );
    all.push_str(&run(&["install"], &bin));
    all.push_str(&run(&["install", "pytets"], &bin));
    insta::assert_snapshot!(all);
    assert!(!dir.path().join("data/sprint/tools/bin").exists(), "nothing that looks installed");
}

/// Stands in for Python and pip: makes the environment, and "installs" by making programs.
const PYTHON: &str = r#"
if [ "$2" = venv ]; then mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; exit 0; fi
here=$(dirname "$0")
for word in "$@"; do case "$word" in -*|pip|install) ;; *) printf '#!/bin/sh\necho %s\n' "$word" > "$here/${word%%==*}"; chmod 755 "$here/${word%%==*}";; esac; done"#;

#[test]
fn install_gives_each_tool_an_environment_of_its_own() {
    let (dir, top) = python_repository();
    let bin = programs(dir.path(), &[("python3", PYTHON), ("ruff", "true")]);
    let run = |args: &[&str]| {
        let mut install = command(dir.path(), &top, args);
        install.env("PATH", format!("{bin}:/usr/bin:/bin")).env("XDG_DATA_HOME", dir.path().join("data"));
        shown(install.output().unwrap())
    };
    assert_eq!(run(&["install", "--check"]).exit, 3);
    let first = run(&["install"]);
    assert_eq!(first.exit, 0, "{}", first.whole());
    assert!(first.out.contains("data/sprint/tools/bin/pytest"), "{}", first.out);
    let tools = dir.path().join("data/sprint/tools");
    let kept: Vec<_> = std::fs::read_dir(tools.join("kept")).unwrap().collect();
    assert_eq!(kept.len(), 3, "ruff was there: {kept:?}");
    let list = run(&["install", "--check", "--json"]);
    assert_eq!(list.exit, 0, "{}", list.whole());
    assert!(list.out.contains("\"state\": \"ok\"") && !list.out.contains("missing"), "{}", list.out);
    assert_eq!(run(&["install"]).out, run(&["install", "--check"]).out, "there is nothing to do");
}

#[test]
fn a_tool_of_an_older_sprint_is_brought_up_to_date() {
    let (dir, top) = python_repository();
    let bin = programs(dir.path(), &[("python3", PYTHON), ("mypy", ""), ("radon", ""), ("pytest", "")]);
    let tools = dir.path().join("data/sprint/tools");
    let old = tools.join("kept/ruff__0.0.1/bin");
    std::fs::create_dir_all(&old).unwrap();
    std::fs::create_dir_all(tools.join("bin")).unwrap();
    std::fs::copy(format!("{bin}/mypy"), old.join("ruff")).unwrap();
    std::os::unix::fs::symlink(old.join("ruff"), tools.join("bin/ruff")).unwrap();
    let run = |args: &[&str]| {
        let mut install = command(dir.path(), &top, args);
        install.env("PATH", format!("{bin}:/usr/bin:/bin")).env("XDG_DATA_HOME", dir.path().join("data"));
        shown(install.output().unwrap())
    };
    let check = run(&["install", "--check"]);
    assert!(check.exit == 0 && check.out.contains("outdated ruff"), "{}", check.whole());
    assert_eq!(run(&["install"]).exit, 0);
    assert!(!run(&["install", "--check"]).out.contains("outdated"));
}

#[test]
fn what_breaks_or_does_not_run_is_not_installed_and_the_rest_is() {
    let (dir, top) = python_repository();
    // pip "installs" a mypy that does not start, and breaks in the middle of radon.
    let body = PYTHON.replace(
        "for word",
        "case \"$*\" in *radon*) touch \"$here/radon\"; echo 'no such version'; kill -9 $$;; esac\nfor word",
    ) + "\ncase \"$*\" in *mypy*) printf '#!/bin/sh\\necho broken; exit 1\\n' > \"$here/mypy\";; esac";
    let bin = programs(dir.path(), &[("python3", &body)]);
    let run = |args: &[&str]| {
        let mut install = command(dir.path(), &top, args);
        install.env("PATH", format!("{bin}:/usr/bin:/bin")).env("XDG_DATA_HOME", dir.path().join("data"));
        shown(install.output().unwrap())
    };
    let first = run(&["install"]);
    assert_eq!(first.exit, 3, "{}", first.whole());
    assert!(first.out.contains("it is installed and does not run (exit 1)"), "{}", first.out);
    assert!(first.out.contains("pip could not install it (signal 9)"), "{}", first.out);
    let names = |path: &str| {
        let entries = std::fs::read_dir(dir.path().join("data/sprint/tools").join(path)).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("bin"), ["pytest", "ruff"]);
    assert_eq!(names("kept"), ["pytest__9.2.0_pytest-cov__7.1.0", "ruff__0.17.6"]);
}

#[test]
fn outside_of_a_repository_tools_are_named() {
    let (dir, _) = Sprint::empty();
    let outside = dir.path().join("run");
    let refused = shown(command(dir.path(), &outside, &["install"]).output().unwrap());
    assert_eq!(refused.exit, 4, "{}", refused.whole());
    assert!(refused.err.contains("or name the gates: sprint install ruff pytest"), "{}", refused.err);
    let bin = programs(dir.path(), &[("ruff", "true")]);
    let mut named = command(dir.path(), &outside, &["install", "--check", "ruff"]);
    assert_eq!(shown(named.env("PATH", &bin).output().unwrap()).exit, 0);
}

#[test]
fn attach_refuses_what_does_not_run_and_needs_a_terminal() {
    let fixture = shop();
    let mut all = String::new();
    for args in [
        &["attach", "reviewer"][..],
        &["attach", "T005"],
        &["attach", "T006"],
        &["attach", "tester"],
        &["attach", "x"],
    ] {
        all.push_str(&format!("$ sprint {}\n{}", args.join(" "), fixture.sprint(args).whole()));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn attach_switches_the_client_of_our_own_server() {
    let fixture = shop();
    let bin = programs(fixture.dir.path(), &[("tmux", "echo \"$@\"; echo \"TMUX=$TMUX\"")]);
    let name = fixture.layout.tmux_name();
    let socket = sprint::tmux::attach::socket_path(&name);
    let mut attach = command(fixture.dir.path(), &fixture.top, &["attach", "T005"]);
    attach.env("PATH", &bin).env("TMUX", format!("{},1,0", socket.display()));
    let shown = shown(attach.output().unwrap());
    assert!(shown.out.contains("switch") && shown.out.contains("=developer-4"), "{}", shown.whole());
    assert!(shown.out.contains(&format!("TMUX={}", socket.display())), "{}", shown.whole());
}

#[test]
fn a_foreign_head_is_adopted_or_kept_and_set_back() {
    use sprint::domain::event::Event;
    let mut fixture = shop();
    let home = fixture.dir.path().to_owned();
    let top = fixture.top.clone();
    let run = |args: &[&str]| sprint(&home, &top, args);
    let base = git(&home, &top, &["rev-parse", "HEAD"]);
    git(&home, &top, &["branch", "sprint/001-shop"]);
    let feature = fixture.state.features.keys().next().unwrap().clone();
    let tree = git(&home, &top, &["rev-parse", "HEAD^{tree}"]);
    let foreign = git(&home, &top, &["commit-tree", &tree, "-p", "HEAD", "-m", "foreign"]);
    git(&home, &top, &["update-ref", "refs/heads/sprint/001-shop", &foreign]);
    let found = sprint::domain::ids::CommitSha::parse(&foreign).unwrap();
    fixture.feed(Event::BranchMoved { feature, found: Some(found) });
    assert!(fixture.sprint(&["status"]).out.contains("sprint resume --adopt"));

    let adopted = run(&["resume", "--adopt"]);
    assert_eq!(adopted.exit, 0, "{}", adopted.whole());
    let restored = run(&["resume", "--restore"]);
    assert_eq!(restored.exit, 0, "{}", restored.whole());
    assert_eq!(git(&home, &top, &["rev-parse", "sprint/001-shop"]), base);
    let kept = git(&home, &top, &["for-each-ref", "--format=%(objectname)", "refs/sprint/foreign/"]);
    assert_eq!(kept, foreign);

    let stranger = git(&home, &top, &["commit-tree", &tree, "-m", "no relation"]);
    git(&home, &top, &["update-ref", "refs/heads/sprint/001-shop", &stranger]);
    let refused = run(&["resume", "--adopt"]);
    assert!(refused.exit == 4 && refused.err.contains("does not contain what landed"), "{}", refused.whole());
    let status = fixture.sprint(&["status"]).out;
    assert!(status.contains("\n      sprint resume --restore\n"), "it cannot be adopted: {status}");
}

#[test]
fn of_a_branch_that_is_gone_only_the_restoring_is_offered() {
    use sprint::domain::event::Event;
    let mut fixture = shop();
    fixture.supervised();
    let feature = fixture.state.features.keys().next().unwrap().clone();
    fixture.feed(Event::BranchMoved { feature: feature.clone(), found: Some(crate::fixture::sha('f')) });
    fixture.feed(Event::BranchMoved { feature, found: None });
    let lines = |args: &[&str], about: &str| {
        let out = fixture.sprint(args).out;
        let lines: Vec<&str> = out.lines().skip_while(|line| !line.contains(about)).take(2).collect();
        lines.join("\n") + "\n"
    };
    let halted = "landing is halted: branch";
    let refused = fixture.sprint(&["resume", "--adopt"]).whole();
    let all = lines(&["status"], halted) + &lines(&["health"], halted) + &refused;
    let hash = regex::Regex::new("commit is [0-9a-f]{10}").unwrap();
    insta::assert_snapshot!(hash.replace_all(&all, "commit is SHA"), @r"
    landing is halted: branch sprint/001-shop is gone, the last landed commit is SHA; `sprint resume --restore` puts it back
        sprint resume --restore
    landing is halted: branch sprint/001-shop is gone, the last landed commit is SHA; `sprint resume --restore` puts it back
        sprint resume --restore
  exit 4
  --- err
  error: `sprint/001-shop` is gone: there is nothing to adopt
  hint: sprint resume --restore puts it back
  ");
}

#[test]
fn gates_by_hand_in_a_repository_without_a_commit_say_what_to_do_first() {
    let dir = tempfile::Builder::new().prefix("sprint-cli-").tempdir().unwrap();
    git(dir.path(), dir.path(), &["init", "-q", "-b", "main"]);
    std::fs::write(dir.path().join("a.py"), "import os\n").unwrap();
    let shown = sprint(dir.path(), dir.path(), &["gates", "run"]).whole();
    insta::assert_snapshot!(shown, @r#"
    exit 4
    --- err
    error: the repository has no commit yet
    hint: commit something first: `git add -A && git commit -m "begin"`
    "#);
    assert_eq!(sprint(dir.path(), dir.path(), &["gates", "run", "--json"]).whole(), shown);
}

#[test]
fn an_agent_that_is_in_no_run_is_told_so() {
    let (dir, top) = Sprint::empty();
    insta::assert_snapshot!(sprint(dir.path(), &top, &["agent", "done"]).whole());
}
