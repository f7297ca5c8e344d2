//! Children that behave badly.

use super::*;
use crate::process::identity::ProcId;
use std::cell::Cell;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

fn sh(script: &str) -> Spec {
    Spec {
        program: OsString::from("sh"),
        args: vec!["-c".into(), script.into()],
        cwd: std::env::temp_dir(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into()), ("ONE".into(), "1".into())],
        stdin: Stdin::Null,
        timeout: Duration::from_secs(30),
        output_max: 1 << 20,
        grace: Duration::from_secs(5),
        session: Session::NewGroup,
        bounds: None,
    }
}

fn go(spec: &Spec) -> Outcome {
    run(spec, &mut |_, _| {}, &|| false).unwrap()
}

#[test]
fn output_exit_code_and_environment_come_through() {
    let outcome = go(&sh("echo out; echo err >&2; env | cut -d= -f1 | grep -E 'HOME|ONE'; cat; exit 3"));
    assert_eq!(outcome.ending, Ending::Exit(3));
    assert_eq!(outcome.stdout, b"out\nONE\n");
    assert_eq!(outcome.stderr, b"err\n");
    assert!(!outcome.success());
    assert_eq!(go(&sh("kill -9 $$")).ending, Ending::Signal(9));
}

#[test]
fn a_file_is_read_as_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in");
    std::fs::write(&path, "text").unwrap();
    let spec = Spec { stdin: Stdin::File(path), ..sh("cat") };
    assert_eq!(go(&spec).stdout, b"text");
    let spec = Spec { stdin: Stdin::File(dir.path().join("none")), ..spec };
    assert!(matches!(spawn(&spec), Err(SpawnError::Stdin { .. })));
}

#[test]
fn output_beyond_the_bound_is_counted_and_shown_but_not_kept() {
    let spec = Spec { output_max: 10, ..sh("head -c 3000000 /dev/zero; echo x >&2") };
    let mut seen = 0;
    let outcome = run(&spec, &mut |_, bytes| seen += bytes.len(), &|| false).unwrap();
    assert_eq!((outcome.stdout.len(), outcome.stderr.len()), (10, 2));
    assert_eq!((outcome.dropped, seen), (2_999_990, 3_000_002));
}

#[test]
fn a_daemon_that_keeps_the_pipe_open_is_not_waited_for_and_does_not_outlive_the_run() {
    let outcome = go(&sh("sleep 300 & echo $!"));
    assert_eq!(outcome.ending, Ending::Exit(0));
    assert!(outcome.seconds < 10.0, "{outcome:?}");
    assert_gone(&outcome);
}

#[test]
fn a_timeout_ends_the_whole_group_even_if_it_ignores_term() {
    let spec = Spec {
        timeout: Duration::from_millis(300),
        grace: Duration::from_millis(200),
        ..sh("trap '' TERM; sleep 300 & echo $!; while :; do sleep 1; done")
    };
    let outcome = go(&spec);
    assert_eq!(outcome.ending, Ending::TimedOut);
    assert!(outcome.seconds < 10.0);
    assert_gone(&outcome);
}

#[test]
fn a_flood_does_not_hide_the_timeout_and_a_stopped_child_is_ended_too() {
    let flood = Spec { timeout: Duration::from_millis(300), output_max: 10, ..sh("exec yes") };
    assert_eq!(go(&flood).ending, Ending::TimedOut);
    let stopped = Spec { timeout: Duration::from_millis(300), ..sh("kill -STOP $$") };
    let outcome = go(&stopped);
    assert_eq!(outcome.ending, Ending::TimedOut);
    assert!(outcome.seconds < 4.0, "{outcome:?}");
}

#[test]
fn a_cancelled_child_has_its_grace() {
    let started = Cell::new(false);
    let spec = sh("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done");
    let outcome = run(&spec, &mut |_, _| started.set(true), &|| started.get()).unwrap();
    assert_eq!(outcome.ending, Ending::Cancelled);
    assert_eq!(outcome.stdout, b"up\nbye\n");
}

#[test]
fn a_new_session_has_no_terminal_and_signals_are_as_at_login() {
    use nix::sys::signal::{SigSet, SigmaskHow};
    let mut old = SigSet::empty();
    let mut all = SigSet::empty();
    all.add(Signal::SIGTERM);
    nix::sys::signal::pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&all), Some(&mut old)).unwrap();
    let spec = Spec { session: Session::NewSession, ..sh("cat /proc/self/status /proc/$$/stat") };
    let outcome = go(&spec);
    old.thread_set_mask().unwrap();
    let text = String::from_utf8(outcome.stdout).unwrap();
    assert!(text.contains("SigBlk:\t0000000000000000"), "{text}");
    let stat = crate::process::identity::parse_stat(text.lines().last().unwrap().as_bytes()).unwrap();
    assert_eq!((stat.session, stat.group), (stat.pid, stat.pid));
}

#[test]
fn what_cannot_be_started_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec { program: "no-such-program".into(), ..sh("") };
    assert!(matches!(spawn(&spec), Err(SpawnError::Missing { .. })));
    let file = dir.path().join("plain");
    std::fs::write(&file, "x").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let spec = Spec { program: file.into(), ..spec };
    assert!(matches!(spawn(&spec), Err(SpawnError::NotExecutable { .. })));
    let spec = Spec { cwd: dir.path().join("none"), ..sh("") };
    assert!(matches!(spawn(&spec), Err(SpawnError::Cwd { .. })));
}

#[test]
fn a_dropped_child_is_gone() {
    let child = spawn(&sh("sleep 300")).unwrap();
    let id: ProcId = child.identity().clone();
    assert!(id.alive());
    assert_eq!(child.try_wait().unwrap(), None);
    drop(child);
    assert!(!id.alive());
}

/// The pid that the script printed belongs to nobody, or to a process that is being reaped.
fn assert_gone(outcome: &Outcome) {
    let pid: i32 = String::from_utf8_lossy(&outcome.stdout).trim().parse().unwrap();
    let fd = crate::process::identity::PidFd::open(pid).unwrap();
    assert!(fd.is_none_or(|fd| fd.wait(Duration::from_secs(5))));
}
