//! Orphans come to us. In a process of its own: being a subreaper is a property of all of it.

use std::process::Command;
use std::time::Duration;

use sprint::process::identity::ProcId;
use sprint::process::subreaper::{become_subreaper, children, reap_orphans};

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
}
