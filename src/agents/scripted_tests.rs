//! Scripts played in real directories, with real git.

use super::*;

struct Scene {
    dir: tempfile::TempDir,
    env: Vec<(OsString, OsString)>,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tree")).unwrap();
        let mut scene = Self { env: Vec::new(), dir };
        let home = scene.dir.path().to_str().unwrap().to_owned();
        let path = std::env::var("PATH").unwrap();
        for (name, value) in [
            ("PATH", path.as_str()),
            ("HOME", &home),
            ("SIGNS", &home),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "A"),
            ("GIT_AUTHOR_EMAIL", "a@example.org"),
            ("GIT_COMMITTER_NAME", "A"),
            ("GIT_COMMITTER_EMAIL", "a@example.org"),
            ("SPRINT_ATTEMPT", "1"),
        ] {
            scene.set(name, value);
        }
        scene
    }

    fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(key, _)| key != name);
        self.env.push((name.into(), value.into()));
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.tree().join(path)).unwrap()
    }

    /// Exit code or error, and the output.
    fn play(&self, script: &str) -> (Result<u8, String>, String) {
        let world = World { worktree: self.tree(), env: self.env.clone() };
        let mut out = Vec::new();
        let script = parse("T001.toml", script).unwrap();
        let end = play(&script, &world, &mut out).map_err(|error| error.to_string());
        (end, String::from_utf8(out).unwrap())
    }
}

#[test]
fn files_are_written_changed_and_deleted() {
    let scene = Scene::new();
    let (end, output) = scene.play(
        "[[step]]\nwrite = \"src/a.py\"\ncontent = \"one\\n\"\n\
         [[step]]\nappend = \"src/a.py\"\ncontent = \"two\\n\"\n\
         [[step]]\nreplace = \"src/a.py\"\nold = \"one\"\nnew = \"1\"\n\
         [[step]]\nwrite = \"b\"\ncontent = \"\"\nexecutable = true\n\
         [[step]]\ndelete = \"b\"\n",
    );
    assert_eq!(end, Ok(0));
    assert_eq!(scene.read("src/a.py"), "1\ntwo\n");
    assert!(!scene.tree().join("b").exists());
    assert!(output.lines().all(|line| line.starts_with(LABEL)), "{output}");
}

#[test]
fn a_commit_is_a_commit() {
    let scene = Scene::new();
    let git = |arguments: &str| format!("[[step]]\nrun = [\"git\", {arguments}]\n");
    let script = git("\"init\", \"--quiet\"")
        + "[[step]]\nwrite = \"a\"\ncontent = \"x\"\n[[step]]\ncommit = \"--a: first\"\n"
        + &git("\"log\", \"--format=%s\"");
    let (end, output) = scene.play(&script);
    assert_eq!(end, Ok(0), "{output}");
    assert!(output.ends_with(&format!("{LABEL} --a: first\n")), "{output}");
    let (end, _) = scene.play("[[step]]\nsay = \"x\"\n[[step]]\ncommit = \"nothing\"\n");
    assert!(end.unwrap_err().starts_with("the step in line 3 failed: `git commit` failed: "));
}

#[test]
fn a_question_is_asked_once() {
    let mut scene = Scene::new();
    let script = "[[step]]\nblocked = \"Which port?\"\n[[step]]\nanswer_contains = \"8080\"\nwrite = \"port\"\ncontent = \"8080\"\n";
    let (end, output) = scene.play(script);
    assert_eq!((end, output.lines().last()), (Ok(0), Some("BLOCKED: Which port?")));
    scene.set("SPRINT_ANSWER", "8080, please");
    let (end, output) = scene.play(script);
    assert_eq!(end, Ok(0), "{output}");
    assert_eq!(scene.read("port"), "8080");
}

#[test]
fn attempts_differ() {
    let mut scene = Scene::new();
    let script = "[[step]]\nattempt = 1\nfail = \"first\"\n[[step]]\nfeedback_contains = \"F401\"\nexit = 7\n[[step]]\nskip = \"x\"\n";
    assert_eq!(scene.play(script).0, Ok(1));
    scene.set("SPRINT_ATTEMPT", "2");
    assert_eq!(scene.play(script).0, Ok(2));
    scene.set("SPRINT_FEEDBACK", "{\"findings\":[{\"rule\":\"F401\"}]}");
    assert_eq!(scene.play(script).0, Ok(7));
}

#[test]
fn signs_go_both_ways() {
    let scene = Scene::new();
    let sign = scene.dir.path().join("go");
    let pid = scene.dir.path().join("pid");
    let script = "[[step]]\npid_file = \"$SIGNS/pid\"\n[[step]]\nwait = \"$SIGNS/go\"\ntimeout = \"20s\"\n";
    std::thread::scope(|scope| {
        let playing = scope.spawn(|| scene.play(script));
        let end = Instant::now() + Duration::from_secs(20);
        while !pid.exists() && Instant::now() < end {
            std::thread::yield_now();
        }
        std::fs::write(&sign, "").unwrap();
        assert_eq!(playing.join().unwrap().0, Ok(0));
    });
    assert_eq!(std::fs::read_to_string(pid).unwrap().trim(), std::process::id().to_string());
}

#[test]
fn what_goes_wrong_is_told_with_its_line() {
    let scene = Scene::new();
    std::os::unix::fs::symlink("/tmp", scene.tree().join("out")).unwrap();
    std::fs::write(scene.tree().join("twice"), "x x").unwrap();
    for (script, message) in [
        ("delete = \"none\"", "cannot delete `none`"),
        ("replace = \"twice\"\nold = \"x\"\nnew = \"y\"", "has the text 2 times"),
        ("write = \"out/x\"\ncontent = \"\"", "`out/x` leads out of the worktree"),
        ("write = \"out\"\ncontent = \"\"", "`out` leads out of the worktree"),
        ("run = [\"sh\", \"-c\", \"exit 3\"]", "`sh` ended with exit code 3, and 0 was expected"),
        ("run = [\"sleep\", \"60\"]\ntimeout = \"50ms\"", "`sleep` took longer than 50ms"),
        ("run = [\"no-such-program\"]", "no-such-program"),
        ("wait = \"none\"\ntimeout = \"30ms\"", "`none` was not there after 30ms"),
        ("wait = \"$NO_SUCH/x\"", "the variable `NO_SUCH` of `$NO_SUCH/x` is not set"),
    ] {
        let (end, _) = scene.play(&format!("[[step]]\n{script}\n"));
        let error = end.unwrap_err();
        assert!(
            error.starts_with("the step in line 1 failed: ") && error.contains(message),
            "{script}: {error}"
        );
    }
}

#[test]
fn a_script_that_is_not_there() {
    let scene = Scene::new();
    let world = World { worktree: scene.tree(), env: scene.env.clone() };
    let file = scene.tree().join("script/T001.toml");
    let error = play_file(&file, &world, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("script/T001.toml"), "{error}");
    std::fs::create_dir(scene.tree().join("script")).unwrap();
    std::fs::write(&file, "[[step]]\nsay = 1\n").unwrap();
    let error = play_file(&file, &world, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("script/T001.toml:2: "), "{error}");
    std::fs::write(&file, "[[step]]\nsay = \"hello\"\n").unwrap();
    let mut out = Vec::new();
    assert_eq!(play_file(&file, &world, &mut out).unwrap(), 0);
    assert_eq!(out, b"[script, not a model] hello\n");
}

#[test]
fn the_examples_of_the_page_are_scripts() {
    let page = include_str!("../../docs/scripted.md");
    let examples: Vec<usize> = page
        .split("```toml\n")
        .skip(1)
        .map(|rest| parse("docs/scripted.md", rest.split("```").next().unwrap()).unwrap().steps.len())
        .collect();
    assert_eq!(examples, [3, 3]);
    for action in
        ["say", "print", "write", "append", "replace", "delete", "run", "commit", "wait", "pid_file"]
    {
        assert!(page.contains(&format!("| `{action}` |")), "{action}");
    }
}
