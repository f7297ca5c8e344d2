//! Tools, repositories, suites and configurations that are odd or broken: a clear message, the right
//! verdict, and never a pass.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test: it panics, and says what it skips")]

mod person;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use person::{Person, text};
use serde_json::Value;

/// A repository on `main`, and a branch with what is judged.
struct Bench {
    person: Person,
    top: PathBuf,
}

impl Bench {
    fn new(base: &[(&str, &str)]) -> Self {
        let person = Person::new();
        let top = person.path("re po");
        fs::create_dir(&top).unwrap();
        let bench = Self { person, top };
        bench.git(&["init", "-q", "-b", "main"]);
        bench.git(&["config", "user.name", "p"]);
        bench.git(&["config", "user.email", "p@example.invalid"]);
        bench.write(base);
        bench.git(&["add", "--all"]);
        bench.git(&["commit", "-q", "--allow-empty", "-m", "base"]);
        bench.git(&["checkout", "-q", "-b", "work"]);
        bench
    }

    fn git(&self, args: &[&str]) {
        self.person.git(&self.top, args);
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let file = self.top.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
    }

    /// A program that comes first in PATH.
    fn tool(&self, name: &str, script: &str) {
        let bin = self.person.path("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.person.command(program, &self.top);
        let path = format!("{}:{}", self.person.path("bin").display(), std::env::var("PATH").unwrap());
        command.env("PATH", path);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_sprint"));
        command.args(["gates", "run", "--json", "--base", "main"]).args(args).output().unwrap()
    }

    /// Exit code, and the one gate that ran.
    #[track_caller]
    fn gate(&self, name: &str) -> (i32, Value) {
        let output = self.run(&[name]);
        let ran: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&output)));
        (output.status.code().unwrap(), ran["gates"][0].clone())
    }

    /// The gate's verdict, by the exit code, with this in its reason.
    #[track_caller]
    fn check(&self, what: &str, name: &str, code: i32, reason: &str) -> Value {
        let (found, gate) = self.gate(name);
        assert_eq!(found, code, "{what}: {gate:#}");
        assert!(gate["reason"].as_str().unwrap().contains(reason), "{what}: {gate:#}");
        gate
    }
}

fn said(output: &Output) -> String {
    format!("exit {:?}\n{}{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Before every script of a made-up ruff.
const RUFF: &str = "[ \"$1\" = --version ] && exec echo ruff 9.9.9\n";

fn finding(path: &str) -> String {
    format!(r#"{{"code":"F1","filename":"{path}","location":{{"row":1}},"message":"m"}}"#)
}

#[test]
fn what_a_tool_prints() {
    let bench = Bench::new(&[("a.py", "x = 1\n")]);
    bench.write(&[("new.py", "x = 2\n")]);
    let one = finding("a.py");
    let future = one.replace("\"code\"", "\"future\":[{\"a\":null}],\"code\"");
    for (what, script, code, reason) in [
        ("truncated", format!("echo '[{}'; exit 1", &one[..30]), 3, ""),
        ("words before the report", "echo hello; echo '[]'".into(), 3, ""),
        ("words behind the report", "echo '[]'; echo hello".into(), 3, ""),
        ("two reports", "echo '[]'; echo '[]'".into(), 3, ""),
        ("findings and exit code 0", format!("echo '[{one}]'"), 1, "1 new finding"),
        ("no findings and exit code 1", "echo '[]'; exit 1".into(), 3, ""),
        ("a code that is none of its verdicts", "echo '[]'; exit 2".into(), 3, "it exited with 2"),
        ("out of memory", "kill -9 $$".into(), 3, "signal 9 killed it"),
        ("out of memory, in a container", "exit 137".into(), 3, "it exited with 137"),
        ("a crash", "kill -SEGV $$".into(), 3, "signal 11 killed it"),
        ("another version, with unknown fields", format!("echo '[{future}]'; exit 1"), 1, "1 new finding"),
        ("an object in the place of a list", "echo '{\"findings\":[]}'".into(), 3, ""),
        ("a null", "echo null".into(), 3, ""),
        ("a closed output", "exec >&-; exit 0".into(), 3, ""),
        (
            "bytes that are no UTF-8",
            format!(
                "printf '[{}]'; exit 1",
                one.replace("\"m\"", "\"\\\\377\\\\376\"").replace("\\\\", "\\")
            ),
            3,
            "cannot be read",
        ),
        ("nothing but such bytes", "printf '\\377\\376\\000'".into(), 3, ""),
        ("a path outside", format!("echo '[{}]'; exit 1", finding("/etc/passwd")), 1, "1 new finding"),
        ("a path above", format!("echo '[{}]'; exit 1", finding("../../x.py")), 1, "1 new finding"),
        (
            "a path with a newline",
            format!("printf '%s' '[{}]'; exit 1", finding("new\\nline 😀.py")),
            1,
            "1 new finding",
        ),
        ("deep nesting", "head -c 200000 /dev/zero | tr '\\0' '['".into(), 3, ""),
    ] {
        // At the base, where there is no `new.py`, all is well.
        bench.tool("ruff", &format!("{RUFF}[ -e new.py ] || {{ echo '[]'; exit 0; }}\n{script}"));
        let gate = bench.check(what, "ruff", code, reason);
        assert!(!gate["reason"].as_str().unwrap().is_empty(), "{what}: {gate:#}");
    }
}

/// Half a gigabyte, in an address space in which it would not fit.
#[test]
fn output_is_bounded() {
    let bench = Bench::new(&[("a.py", "x = 1\n")]);
    bench.write(&[("a.py", "x = 2\n")]);
    bench.tool("ruff", &format!("{RUFF}head -c 500000000 /dev/zero | tr '\\0' x"));
    let line = format!(
        "ulimit -v 1000000; exec '{}' gates run ruff --json --base main",
        env!("CARGO_BIN_EXE_sprint")
    );
    let output = bench.command("sh").args(["-c", &line]).output().unwrap();
    let ran: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&output)));
    assert_eq!(ran["gates"][0]["reason"], "it printed more than 64 MiB");
    assert_eq!(output.status.code(), Some(3), "{ran:#}");
    bench.write(&[("sprint.toml", "[gate.ruff]\ntimeout = \"1s\"\n")]);
    bench.tool("ruff", &format!("{RUFF}exec yes"));
    bench.check("without end", "ruff", 3, "it still ran after 1s and was ended");
}

#[test]
fn files_with_odd_names() {
    let bench = Bench::new(&[("a.py", "x = 1\n")]);
    if !bench.person.has_tools() {
        println!("SKIPPED: no ruff");
        return;
    }
    let names = [
        "a b.py",
        "new\nline.py",
        "😀.py",
        "-x.py",
        "--fix.py",
        "q'uo\"te.py",
        "$(x).py",
        "{root}.py",
        "back\\slash.py",
    ];
    for name in names {
        bench.write(&[(name, "import os\n")]);
    }
    let (code, gate) = bench.gate("ruff");
    assert_eq!(code, 1, "{gate:#}");
    let found: Vec<&str> = gate["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["path"].as_str().unwrap())
        .collect();
    for name in names {
        assert!(found.contains(&name), "{name:?}: {found:?}");
        assert_eq!(fs::read_to_string(bench.top.join(name)).unwrap(), "import os\n");
    }
    assert_eq!(bench.gate("radon").0, 0);
}

/// A name that no tool can be told, and that some pass by without a word.
#[test]
fn a_name_that_is_not_utf8_is_an_error_that_names_it() {
    use std::os::unix::ffi::OsStrExt as _;
    let bench = Bench::new(&[("a.py", "x = 1\n")]);
    let name = std::ffi::OsStr::from_bytes(b"b\xff.py");
    fs::write(bench.top.join(name), "x = eval(input())\n").unwrap();
    let hint = "`b\u{fffd}.py`: its name is not UTF-8, which few tools can read: rename it with `git mv`";
    bench.check("integrity", "integrity", 3, hint);
    for (name, words) in [
        ("detect-secrets", "echo '{\"plugins_used\":[{}],\"results\":{}}'"),
        ("bandit", "echo '{\"errors\":[],\"results\":[],\"metrics\":{\"_totals\":{},\"a.py\":{}}}'"),
        ("semgrep", "echo '{\"results\":[],\"errors\":[],\"paths\":{\"scanned\":[\"a.py\"]}}'"),
    ] {
        bench.tool(name, &format!("[ \"$1\" = --version ] && exec echo {name} 9.9.9\n{words}"));
        let said = "`b\u{fffd}.py` cannot be looked at: its name is not UTF-8";
        bench.check(name, name, 3, said);
    }
}

/// What a suite is called is the repository's to say; another configuration makes no suite vanish.
#[test]
fn tests_that_the_repository_names_itself() {
    let failing = "def test_a():\n    assert 1 + 1 == 3\n";
    let passing = failing.replace('3', "2");
    let ini = |said: &str| format!("[pytest]\n{said}\n");
    let toml = "[tool.pytest.ini_options]\npython_files = [\"tests.py\"]\n".to_owned();
    for (config, text, path) in [
        ("pytest.ini", ini("python_files = check_*.py"), "web/check_core.py"),
        ("pyproject.toml", toml, "web/tests.py"),
        ("pytest.ini", ini("testpaths = web/suite.py"), "web/suite.py"),
    ] {
        let bench = Bench::new(&[(config, &text), (path, &passing), ("core.py", "x = 1\n")]);
        if !bench.person.has_tools() {
            println!("SKIPPED: no pytest");
            return;
        }
        bench.write(&[(path, failing)]);
        bench.check(path, "pytest", 1, "1 test failed");
        bench.write(&[(config, "[pytest]\n")]);
        let (code, gate) = bench.gate("pytest");
        assert_ne!(code, 0, "{path}, with another configuration: {gate:#}");
        fs::remove_file(bench.top.join(path)).unwrap();
        bench.check(path, "pytest", 1, "the base has 1 files for this gate to check, the candidate has none");
    }
    let config = ("setup.cfg", "[tool:pytest]\naddopts = --doctest-modules\n");
    let bench = Bench::new(&[config, ("core.py", "x = 1\n")]);
    bench.check("no example", "pytest", 0, "nothing to check");
    bench.write(&[("core.py", "def f():\n    \"\"\"\n    >>> 1 + 1\n    3\n    \"\"\"\n")]);
    bench.check("a doctest", "pytest", 1, "1 test failed");
}

#[test]
fn repositories_with_little_in_them() {
    let empty = Bench::new(&[]);
    let output = empty.run(&[]);
    let ran: Value = serde_json::from_slice(&output.stdout).unwrap();
    let passed = |ran: &Value| ran["gates"].as_array().unwrap().iter().any(|gate| gate["verdict"] == "pass");
    assert!(!passed(&ran), "nothing was looked at: {ran:#}");
    let words = Bench::new(&[
        ("a.txt", "x\n"),
        ("sprint.toml", "[gates]\npresets = [\"ruff\", \"mypy\", \"radon\", \"pytest\"]\n"),
    ]);
    if !words.person.has_tools() {
        println!("SKIPPED: no tools");
        return;
    }
    for name in ["ruff", "mypy", "radon", "pytest"] {
        let gate = words.check("no Python file", name, 0, "nothing to check");
        assert_eq!(gate["verdict"], "skipped");
    }
    let broken = "def f(:\n";
    for (what, base, head, codes) in [
        ("a syntax error in the head", "x = 1\n", broken, [1, 1, 1]),
        ("in the base", broken, "x = 1\n", [0, 0, 0]),
        ("a tree without a test", "x = 1\n", "x = 2\n", [0, 0, 0]),
    ] {
        let bench = Bench::new(&[("a.py", base)]);
        bench.write(&[("a.py", head)]);
        for (name, code) in ["ruff", "mypy", "radon"].into_iter().zip(codes) {
            bench.check(what, name, code, "");
        }
        let gate = bench.check(what, "pytest", 0, "nothing to check");
        assert_eq!(gate["verdict"], "skipped", "{what}");
    }
}

#[test]
fn suites_that_are_odd() {
    let tested = |body: &str| format!("import os\nimport subprocess\nimport time\n\n\ndef test_a():\n{body}");
    let length = format!("7{}.5", std::process::id());
    let forks = format!(
        "    subprocess.Popen([\"sleep\", \"{length}\"], start_new_session=True)\n    assert os.getpid() > 1\n"
    );
    for (what, body, code, reason) in [
        ("hangs", "    time.sleep(600)\n", 3, "it still ran after 8s and was ended"),
        ("leaves a process", forks.as_str(), 0, ""),
        (
            "needs a port",
            "    import socket\n    s = socket.socket()\n    s.bind((\"127.0.0.1\", 0))\n    s.listen()\n    c = socket.create_connection(s.getsockname(), 5)\n    assert c.getpeername() == s.getsockname()\n",
            0,
            "",
        ),
        (
            "needs a terminal",
            "    with open(\"/dev/tty\") as tty:\n        assert tty.isatty()\n",
            1,
            "1 test failed",
        ),
        (
            "reads its input",
            "    assert os.read(0, 1) == b\"\"\n    assert input() == \"y\"\n",
            1,
            "1 test failed",
        ),
        ("ends the program", "    os._exit(0)\n", 3, ""),
        ("ends the session", "    import pytest\n    pytest.exit(\"x\", 0)\n", 1, "1 test failed"),
        ("kills the program", "    os.kill(os.getpid(), 9)\n", 3, "signal 9 killed it"),
    ] {
        let bench = Bench::new(&[
            ("test_a.py", "def test_a():\n    assert 1 + 1 == 2\n"),
            ("sprint.toml", "[gate.pytest]\ntimeout = \"8s\"\n"),
        ]);
        if !bench.person.has_tools() {
            println!("SKIPPED: no pytest");
            return;
        }
        bench.write(&[("test_a.py", &tested(body))]);
        let began = Instant::now();
        bench.check(what, "pytest", code, reason);
        assert!(began.elapsed() < Duration::from_secs(50), "{what}");
    }
    let sleeping = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let left = sleeping
        .filter(|line| String::from_utf8_lossy(line).replace('\0', " ").contains(&format!("sleep {length}")));
    assert_eq!(left.count(), 0, "what a suite leaves is ended");
}

/// Of the same size, in the same moment: by time and size alone nothing has changed.
#[test]
fn an_edit_that_only_its_content_tells() {
    for _ in 0..3 {
        let bench = Bench::new(&[("a.py", "import os  # abcd\n")]);
        bench.write(&[("a.py", "import os  # noqa\n")]);
        let gate = bench.check("same size", "integrity", 1, "1 new finding");
        assert_eq!(gate["findings"][0]["rule"], "suppression");
    }
}

fn own(command: &str, more: &str) -> String {
    format!(
        "[gates]\npresets = []\n[gate.own]\nstage = \"InTests\"\nmode = \"absolute\"\ncommand = [\"sh\", \"-c\", '{command}']\n{more}"
    )
}

#[test]
fn gates_that_do_more_than_judge() {
    for (what, command, more, reason) in [
        ("edits", "echo more >> a.txt", "", "it changed tracked files (`a.txt`)"),
        (
            "edits and commits",
            "echo more >> a.txt; git commit -qam more",
            "",
            "while it ran, HEAD moved from ",
        ),
        ("commits", "git commit -q --allow-empty -m more", "", "`git reset --soft "),
        ("stashes", "echo more >> a.txt; git stash -q", "", "while it ran, what is stashed changed"),
        (
            "goes to a branch",
            "git checkout -qb other",
            "",
            "while it ran, `other` was checked out in the place of `work`",
        ),
        (
            "edits and hangs",
            "echo more >> a.txt; exec sleep 60",
            "timeout = \"2s\"\n",
            "2s and was ended; it changed tracked files (`a.txt`)",
        ),
        ("deletes", "rm a.txt", "", "it changed tracked files (`a.txt`)"),
        ("fills the disk", "ulimit -f 8; head -c 1000000 /dev/zero > {out}", "parser = \"junit\"\n", ""),
        (
            "fills the disk, and says no word",
            "ulimit -f 8; trap \"\" XFSZ; head -c 1000000 /dev/zero > {out} 2>/dev/null; true",
            "parser = \"junit\"\n",
            "",
        ),
        ("a report that is no file", "mkdir {out}", "parser = \"junit\"\n", "is not a file"),
        ("a report that never ends", "mkfifo {out}", "parser = \"junit\"\n", "is not a file"),
        ("is not there", "exec no-such-program", "", "its command cannot be run (exit code 127)"),
    ] {
        let bench = Bench::new(&[("a.txt", "x\n"), ("sprint.toml", &own(command, more))]);
        bench.check(what, "own", 3, reason);
        assert_eq!(fs::read_to_string(bench.top.join("a.txt")).unwrap(), "x\n", "{what}: it is as it was");
    }
}

#[test]
fn configurations_of_tools_that_are_odd() {
    for (gate, path, text) in [
        ("ruff", "ruff.toml", "select = [\n"),
        ("ruff", "pyproject.toml", "[tool.ruff]\nno-such-key = 1\n"),
        ("ruff", "pyproject.toml", "[tool.ruff]\nextend = \"gone.toml\"\n"),
        ("mypy", "mypy.ini", "[mypy]\nplugins = no_such_plugin\n"),
        ("pytest", "pytest.ini", "[pytest]\naddopts = --no-such-option\n"),
        ("pytest", "pytest.ini", "addopts = 1\n"),
        ("pytest", "pyproject.toml", "[tool.pytest.ini_options\n"),
    ] {
        let bench =
            Bench::new(&[("a.py", "x = 1\n"), ("test_a.py", "def test_a():\n    assert 1 + 1 == 2\n")]);
        if !bench.person.has_tools() {
            println!("SKIPPED: no tools");
            return;
        }
        bench.write(&[(path, text)]);
        let gate = bench.check(&format!("{path}: {text}"), gate, 3, "");
        assert!(!gate["reason"].as_str().unwrap().is_empty(), "{path}: {text}: {gate:#}");
    }
}

#[test]
fn configurations_of_gates_that_cannot_be() {
    let gate =
        |more: &str| format!("[gate.x]\nstage = \"InTests\"\ncommand = [\"touch\", \"ran\"]\n{more}\n");
    for (text, why) in [
        (
            "[gate.x]\nstage = \"InTest\"\ncommand = [\"touch\", \"ran\"]\n".to_owned(),
            "the nearest known one is `InTests`",
        ),
        (gate("parser = \"sarf\""), "the nearest known one is `sarif`"),
        (gate("mode = \"newer\""), "the nearest known one is `new`"),
        (gate("timeout = \"0s\""), "timeout"),
        (gate("timeout = \"-1s\""), "timeout"),
        (gate("weight = 0"), "weight"),
        (gate("output = \"/etc/x\""), "leaves the repository"),
        (gate("output = \"../x\""), "leaves the repository"),
        (gate("paths = [\"[\"]"), "paths"),
        (gate("no_such_key = 1"), "no_such_key"),
        ("[gate.x]\nstage = \"InTests\"\ncommand = []\n".to_owned(), "command"),
        ("[quality]\ncoverage = 101\n".to_owned(), "coverage"),
        ("[quality]\ncoverage = -1\n".to_owned(), "coverage"),
        ("[quality]\nmutation = \"140%\"\n".to_owned(), "mutation"),
        ("[quality]\ncomplexity_max = 0\n".to_owned(), "complexity_max"),
        ("[quality]\ncomplexity_max = 100000\n".to_owned(), "complexity_max"),
        ("[security]\ncritical = -1\n".to_owned(), "critical"),
        ("[general]\nroot = \"nope\"\n".to_owned(), "general.root"),
    ] {
        let bench = Bench::new(&[("a.txt", "x\n"), ("sprint.toml", &text)]);
        let output = bench.run(&[]);
        assert_eq!(output.status.code(), Some(2), "{text}: {}", said(&output));
        let words = self::text(&output.stderr);
        assert!(words.contains(why) && words.contains("sprint.toml"), "{text}: {words}");
        assert!(!bench.top.join("ran").exists(), "{text}: nothing ran");
    }
}
