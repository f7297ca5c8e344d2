//! Bombs with an end, and what is left of them.

use std::time::{Duration, Instant};

use super::{Bounds, Excess};
use crate::process::cgroup;
use crate::process::run::{Ending, Outcome, Session, Spec, Stdin, run};
use crate::process::tree::{KILL_WAIT, RUN_MARK, Scope, end_tree, members};

const MB: u64 = 1_000_000;

fn sh(script: &str, bounds: Bounds) -> Spec {
    Spec {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        cwd: "/".into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into()), (RUN_MARK.into(), mark().into())],
        stdin: Stdin::Null,
        timeout: Duration::from_mins(2),
        output_max: 1 << 16,
        grace: Duration::from_secs(1),
        session: Session::NewSession,
        bounds: Some(bounds),
    }
}

/// Of this test alone.
fn mark() -> String {
    format!("limits-{}", std::process::id())
}

fn wide() -> Bounds {
    Bounds { processes: 10_000, memory: 1 << 40, output: 1 << 40, groups: true }
}

/// With the kernel's counting, where there is any, and without.
fn both(bounds: Bounds) -> [Bounds; 2] {
    [bounds, Bounds { groups: false, ..bounds }]
}

/// Ends what is left of it, as a worker does, and sees that it is gone.
fn go(script: &str, bounds: Bounds) -> Outcome {
    let outcome = run(&sh(script, bounds), &mut |_, _| {}, &|| false).unwrap();
    let scope = Scope { mark: Some(mark()), ..Scope::default() };
    end_tree(&scope, Duration::ZERO, KILL_WAIT).unwrap();
    assert_eq!(members(&scope).unwrap(), []);
    outcome
}

#[test]
fn many_processes_are_ended_with_their_maker_however_they_are_counted() {
    for bounds in both(Bounds { processes: 60, ..wide() }) {
        let began = Instant::now();
        let outcome = go("for i in $(seq 200); do sleep 100 & done; wait", bounds);
        assert_eq!(outcome.ending, Ending::Exceeded(Excess::Processes(60)), "{bounds:?}");
        assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    }
}

#[test]
fn those_that_leave_the_session_count_too() {
    crate::process::subreaper::become_subreaper().unwrap();
    for bounds in both(Bounds { processes: 40, ..wide() }) {
        let outcome = go("for i in $(seq 80); do setsid sleep 100 & done; exec sleep 100", bounds);
        assert_eq!(outcome.ending, Ending::Exceeded(Excess::Processes(40)), "{bounds:?}");
    }
}

#[test]
fn much_memory_ends_it_however_it_is_counted() {
    for bounds in both(Bounds { memory: 200 * MB, ..wide() }) {
        let outcome = go("exec python3 -c 'x = b\"x\" * 600_000_000; import time; time.sleep(100)'", bounds);
        assert_eq!(outcome.ending, Ending::Exceeded(Excess::Memory(200 * MB)), "{bounds:?}");
    }
}

#[test]
fn a_flood_ends_it_and_less_does_not() {
    let bounds = Bounds { output: MB, ..wide() };
    assert_eq!(go("exec yes", bounds).ending, Ending::Exceeded(Excess::Output(MB)));
    assert_eq!(go("head -c 900000 /dev/zero; exit 3", bounds).ending, Ending::Exit(3));
}

#[test]
fn within_its_limits_it_ends_as_it_likes_and_goes_first_when_memory_runs_out() {
    for bounds in both(wide()) {
        let outcome = go("cat /proc/self/oom_score_adj; sleep 1 & wait; exit 4", bounds);
        assert_eq!(outcome.ending, Ending::Exit(4), "{bounds:?}");
        let score: i32 = String::from_utf8_lossy(&outcome.stdout).trim().parse().unwrap();
        assert!(score >= 500, "{score}");
    }
}

#[test]
fn what_hides_its_mark_and_its_parents_is_found_by_its_group() {
    if cgroup::tier().is_none() {
        eprintln!("skipped: there are no control groups to be had here");
        return;
    }
    // Until it has left, it is in the shell's own group, and would be ended with that.
    let script = "setsid env -i /bin/sleep 100 </dev/null >/dev/null 2>&1 &\n\
                  until read -r name </proc/$!/comm && [ \"$name\" = sleep ]; do :; done";
    let outcome = run(&sh(script, wide()), &mut |_, _| {}, &|| false).unwrap();
    assert_eq!(outcome.ending, Ending::Exit(0));
    let scope = Scope { mark: Some(mark()), ..Scope::default() };
    let found = members(&scope).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    end_tree(&scope, Duration::ZERO, KILL_WAIT).unwrap();
    assert!(cgroup::sweep().iter().all(|path| !path.to_string_lossy().contains(&mark())));
}

#[test]
fn reasons_name_the_limit() {
    let said = [Excess::Processes(100), Excess::Memory(200 * MB), Excess::Output(10)].map(|e| e.to_string());
    insta::assert_snapshot!(said.join("\n"), @r"
    it had more than 100 processes at once (`limits.processes`)
    it took more than 200MB of memory (`limits.memory`)
    it printed more than 10B (`limits.output`)
    ");
}
