//! Orphans come to us. In a process of its own: being a subreaper is a property of all of it.

#![expect(clippy::unwrap_used, reason = "a test: it panics")]

use std::process::Command;
use std::time::Duration;

use sprint::process::identity::ProcId;
use sprint::process::run::{Ending, Session, Spec, Stdin, run, spawn};
use sprint::process::subreaper::{become_subreaper, children, reap_orphans};
use sprint::process::tree::{KILL_WAIT, end_children};

#[test]
fn an_orphan_comes_to_us_and_is_reaped_but_a_child_of_somebody_elses_is_not() {
    become_subreaper().unwrap();
    let mut own = Command::new("true").spawn().unwrap();
    let own_pid = own.id().cast_signed();
    let output =
        Command::new("sh").args(["-c", "setsid sleep 300 >/dev/null 2>&1 & echo $!"]).output().unwrap();
    let orphan: i32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert!(children().unwrap().contains(&orphan));

    let wait = Duration::from_secs(10);
    let exit = |pid| ProcId::of(pid).unwrap().open().unwrap().unwrap();
    assert!(exit(own_pid).wait(wait));
    assert_eq!(reap_orphans(&[own_pid]).unwrap(), 0);
    let handle = exit(orphan);
    handle.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
    assert!(handle.wait(wait));
    assert_eq!(reap_orphans(&[own_pid]).unwrap(), 1);
    assert!(own.wait().unwrap().success());
    assert_eq!(children().unwrap(), [0; 0]);
    what_others_left_is_ended_and_what_is_waited_for_is_not();
}

fn what_others_left_is_ended_and_what_is_waited_for_is_not() {
    // `$()` ends when the session of its own is there: what is left has got away from our group.
    let script = "got=$(setsid sh -c 'sleep 300 >/dev/null 2>&1 & echo away'); read never";
    let spec = Spec {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        cwd: "/".into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        stdin: Stdin::Null,
        timeout: Duration::from_mins(1),
        output_max: 0,
        grace: Duration::from_secs(1),
        session: Session::NewSession,
        bounds: None,
    };
    // One that has ended leaves a program, one that still runs is ours.
    let left = run(&spec, &mut |_, _| {}, &|| false).unwrap();
    assert_eq!(left.ending, Ending::Exit(1), "`read` is at the end at once");
    let script = "echo; kill -STOP $$";
    let waited = spawn(&Spec { args: vec!["-c".into(), script.into()], ..spec }).unwrap();
    assert!(end_children(Duration::from_secs(1), KILL_WAIT).unwrap());
    assert_eq!(children().unwrap(), [waited.pid()]);
    drop(waited);
    assert_eq!(children().unwrap(), [0; 0]);
}
