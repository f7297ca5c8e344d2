//! The contract with programs as a program sees it: shell scripts run with the real environment,
//! arguments and output, judged by the real rules.

use std::ffi::OsString;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::claim::{self, Claim};
use super::environment::{RunContext, environment, tests::adapter, tests::context};
use super::feedback::Feedback;
use super::outcome::{GitFacts, Needed, ProgramEnding, RunOutcome, Said, Standing, decide};
use super::placeholders::fill_in;
use super::protocol::Protocol;
use crate::process::run::{Ending, Session, Spec, Stdin, Stream, run};

struct Bench {
    _dir: tempfile::TempDir,
    run: RunContext,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root: Utf8PathBuf = Utf8Path::from_path(dir.path()).unwrap().to_owned();
        for sub in ["run", "tree"] {
            std::fs::create_dir(root.join(sub)).unwrap();
        }
        let mut run = context();
        run.worktree = root.join("tree");
        run.run_dir = root.join("run");
        run.prompt_file = root.join("run/prompt.md");
        std::fs::write(&run.prompt_file, "the prompt").unwrap();
        Self { _dir: dir, run }
    }

    /// What the program printed, and how its run is judged if git says `git`.
    fn play(&self, script: &str, git: &GitFacts) -> (String, RunOutcome) {
        let command: Vec<String> =
            ["sh", "-c", script, "agent", "{prompt}", "{task.id}-{attempt}", "{task.title}"]
                .map(str::to_owned)
                .into();
        let command = fill_in(&command, &self.run, "do \"this\"").unwrap();
        let person: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), std::env::var_os("PATH").unwrap()),
            ("SPRINT_TOKEN".into(), "of somebody else".into()),
        ];
        let spec = Spec {
            program: command[0].clone().into(),
            args: command[1..].iter().map(OsString::from).collect(),
            cwd: self.run.worktree.clone().into_std_path_buf(),
            env: environment(&person, &adapter(), &self.run),
            stdin: Stdin::Null,
            timeout: Duration::from_secs(30),
            output_max: 64 * 1024,
            grace: Duration::from_secs(1),
            session: Session::NewGroup,
            bounds: None,
        };
        let mut protocol = Protocol::default();
        let mut listen = |stream, bytes: &[u8]| {
            if stream == Stream::Out {
                protocol.push(bytes);
            }
        };
        let outcome = run(&spec, &mut listen, &|| false).unwrap();
        protocol.finish();
        let ending = match outcome.ending {
            Ending::Exit(code) => ProgramEnding::Exited(code),
            Ending::Signal(signal) => ProgramEnding::Signaled(signal),
            Ending::TimedOut | Ending::Cancelled | Ending::Exceeded(_) => {
                ProgramEnding::TimedOut(spec.timeout)
            }
        };
        let said = Said {
            question: protocol.question().map(str::to_owned),
            complete: protocol.is_complete(),
            ..Said::default()
        };
        let claims = claim::read(&self.run.run_dir, &self.run.token).unwrap().claims;
        let text = String::from_utf8(outcome.stdout).unwrap();
        (text, decide(&ending, &said, &claims, git, Needed::Change))
    }
}

fn changed() -> GitFacts {
    GitFacts {
        head: Some(context().base),
        new_commit: true,
        astray_of: None,
        diff: false,
        left_out: None,
        worktree: Standing::There,
    }
}

#[test]
fn a_program_sees_what_is_promised() {
    let mut bench = Bench::new();
    bench.run.attempt = 2;
    bench.run.feedback = Some(Feedback { stage: "InReview".to_owned(), ..Feedback::default() }.to_json());
    let script = r#"
        echo "$1|$2|$3"
        cat "$SPRINT_PROMPT"; echo
        echo "$SPRINT_TASK_ID $SPRINT_ATTEMPT $SPRINT_STAGE $KEY"
        echo "$SPRINT_FEEDBACK"
        echo "answer: ${SPRINT_ANSWER-unset}"
        test "$PWD" = "$SPRINT_WORKTREE" && test "$SPRINT_FEATURE_DIR" = "$PWD/specs/001-thing" && echo here
        test "$SPRINT_TOKEN" != "of somebody else" && echo "own token"
        ls
    "#;
    let (output, outcome) = bench.play(script, &changed());
    insta::assert_snapshot!(output, @r#"
    do "this"|T001-2|Write `a.py`; $(rm -rf /)
    the prompt
    T001 2 InProgress value
    {"stage":"InReview","reason":"","findings":[]}
    answer: unset
    here
    own token
    "#);
    assert_eq!(outcome, RunOutcome::Done { message: String::new(), commit_diff: false });
}

#[test]
fn a_program_is_judged() {
    let nothing = GitFacts { new_commit: false, ..changed() };
    let failed = |reason: &str| RunOutcome::Failed { reason: reason.to_owned() };
    let blocked = || RunOutcome::Blocked { question: "why?".to_owned() };
    let bench = Bench::new();
    for (script, git, expected) in [
        ("exit 0", &nothing, failed("ended as if it were done, but nothing was changed")),
        ("exit 1", &changed(), failed("the agent failed (exit 1)")),
        ("exit 2", &changed(), RunOutcome::Skipped),
        ("no-such-program-at-all", &changed(), failed(&super::outcome::exit_reason(127))),
        ("kill -9 $$", &changed(), failed("the agent was killed by signal 9")),
        ("echo BLOCKED: why?; exit 0", &changed(), blocked()),
        ("printf 'BLOCKED: why?'; kill -9 $$", &nothing, blocked()),
        ("echo BLOCKED: not on stderr >&2; exit 1", &changed(), failed("the agent failed (exit 1)")),
    ] {
        assert_eq!(bench.play(script, git).1, expected, "{script}");
    }
    claim::append(&bench.run.run_dir, &bench.run.token, Claim::Fail { reason: "too hard".to_owned() })
        .unwrap();
    assert_eq!(bench.play("exit 0", &changed()).1, failed("too hard"));
}
