//! A person takes the wheel: stop, pause, task stop; and everything goes on afterwards.

use nix::sys::signal::Signal;

use crate::common::{World, task_row};

/// Waits for `$W/go`; writes down each beginning and each end.
const WAITS: &str = "echo $1 >> $W/began; echo draft > draft.txt; touch $W/here.$1\n\
                     until [ -e $W/go ]; do sleep 0.05; done\n\
                     echo $1 >> $W/ended; rm draft.txt; echo $1 > $1.txt; git add -A; git commit -qm $1";

fn waiting(tasks: &str) -> World {
    let world = World::with(tasks, WAITS);
    world.detach();
    world.wait_until("the agent", || world.exists("here.T001"));
    world
}

#[test]
fn stop_lets_runs_finish_and_start_goes_on() {
    let world = waiting("- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n");
    let stop = world.spawn(&["stop", "--limit", "60s"]);
    world.wait_for("stopping", |status| status["state"].as_str().is_some_and(|word| word.contains("stop")));
    world.touch("go");
    stop.end().expect(0);
    world.assert_nothing_left();
    assert_eq!(world.read("ended"), "T001\n", "T001's run finished, T002 was not begun");
    let shown = world.start().expect(0);
    assert!(!shown.stdout.contains("sprint reload"), "nothing has changed: {}", shown.stdout);
    assert_eq!(world.landed(), "T001:1 T002:1");
    assert_eq!(world.read("began"), "T001\nT002\n", "nothing was done twice");
}

#[test]
fn stop_now_ends_everything_and_saves_the_work() {
    let mut world = waiting("- [ ] T001 write a.txt\n");
    let told = world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
    assert!(told.stdout.contains("sprint start specs/001-demo"), "{}", told.stdout);
    let saved = world.git(&["for-each-ref", "--format=%(refname)", "refs/sprint/wip/"]);
    assert!(saved.contains("refs/sprint/wip/001-demo/T001/1"), "{saved}");
    let name = saved.lines().next().unwrap();
    assert_eq!(world.git(&["show", &format!("{name}:draft.txt")]), "draft");
    world.touch("go");
    world.set("planner.parked", "\"continue\"");
    world.configure();
    let shown = world.start().expect(0);
    let frozen =
        "001-demo goes on with the configuration that it began with; `sprint reload` takes the present one";
    assert_eq!(shown.stdout.matches(frozen).count(), 1, "{}", shown.stdout);
    assert_eq!(world.landed(), "T001:1", "no attempt is spent");
}

#[test]
fn a_supervisor_that_is_told_to_end_by_a_signal_saves_everything_too() {
    let world = waiting("- [ ] T001 write a.txt\n");
    let pid = nix::unistd::Pid::from_raw(world.supervisor().unwrap().cast_signed());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    world.wait_until("its end", || world.supervisor().is_none());
    world.assert_nothing_left();
    world.touch("go");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn pause_assigns_nothing_new_and_resume_goes_on() {
    let world = waiting("- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n");
    world.sprint(&["pause"]).expect(0);
    world.touch("go");
    let status = world.wait_for("T001's run ends", |status| {
        let row = task_row(status, "T001");
        row["stage"] != "InProgress" && row["worker"].is_null()
    });
    assert_eq!(status["state"], "paused", "{status:#}");
    assert_eq!(world.read("began"), "T001\n");
    world.sprint(&["resume"]).expect(0);
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1 T002:1");
    world.assert_nothing_left();
}

#[test]
fn reload_takes_what_fits_the_repository_and_nothing_else() {
    let mut world = waiting("- [ ] T001 write a.txt\n");
    world.set("worktree.link", "[\"cache\"]");
    world.configure();
    let told = world.sprint(&["reload"]).expect(2);
    assert!(told.stderr.contains("`worktree.link`: the checkout has no `cache`"), "{}", told.stderr);
    world.file("cache/x", "");
    world.sprint(&["reload"]).expect(0);
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn a_task_is_stopped_parked_and_retried() {
    let world = waiting("- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n");
    world.wait_until("the other agent", || world.exists("here.T002"));
    world.sprint(&["task", "stop", "T001"]).expect(0);
    world.wait_task("T001", "Parked");
    world.touch("go");
    world.wait_task("T002", "Done");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    world.assert_nothing_left();
    world.sprint(&["task", "retry", "T001"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed(), "T002:1 T001:2");
}

#[test]
fn start_follows_a_sprint_that_runs_and_a_signal_stops_only_the_following() {
    let world = waiting("- [ ] T001 write a.txt\n");
    let follower = world.spawn(&["start", "specs/001-demo"]);
    world.wait_until("it follows", || {
        world
            .runtimes()
            .iter()
            .any(|runtime| runtime.join(format!("follow-{}.sock", follower.pid())).exists())
    });
    follower.signal(Signal::SIGINT);
    let left = follower.end().expect(1);
    assert!(left.stdout.contains("the sprint goes on"), "{}", left.stdout);
    assert!(world.supervisor().is_some());
    let follower = world.spawn(&["start", "specs/001-demo"]);
    world.touch("go");
    follower.end().expect(0);
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn events_and_logs_tell_what_happened() {
    let world = World::demo();
    world.start().expect(0);
    let events = world.sprint(&["events", "--json", "-n", "1000"]).expect(0).stdout;
    let kinds: Vec<String> = events
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "task_landed").count(), 4, "{kinds:?}");
    world.sprint(&["logs"]).expect(0);
    let log = world.sprint(&["logs", "T004"]).expect(0);
    assert!(!log.stdout.is_empty());
    let shown = world.sprint(&["task", "show", "T004"]).expect(0);
    assert!(shown.stdout.contains("join"), "{}", shown.stdout);
    assert!(world.sprint(&["task", "diff", "T004"]).expect(0).stdout.contains("all.txt"));
    assert!(world.sprint(&["task", "list"]).expect(0).stdout.contains("T003"));
}

#[test]
fn starts_at_once_take_turns() {
    let world = World::with("- [ ] T001 write a.txt\n", "echo a > a.txt; git add -A; git commit -qm a");
    let starts = [(); 4].map(|()| world.spawn(&["start", "specs/001-demo", "--detach"]));
    for start in starts {
        start.end().expect(0);
    }
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1");
    world.assert_nothing_left();
}

#[test]
fn a_disk_that_is_nearly_full_is_named_and_the_next_start_goes_by_what_it_finds() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.agent("echo a > a.txt; git add -A; git commit -qm a");
    world.set("general.disk_free_min", "\"9000TB\"");
    world.configure();
    world.commit("base");
    let started = world.sprint(&["start", "specs/001-demo", "--detach"]).expect(0);
    let named = "less than general.disk_free_min = 9000.0 TB: nothing new is begun until there is room";
    assert!(started.stdout.contains("warning: the disk is nearly full: "), "{}", started.shown());
    assert!(started.stdout.contains(named), "{}", started.shown());
    let low = |status: &serde_json::Value| status["needs_you"].to_string().contains(named);
    let status = world.wait_for("the disk to be named", low);
    assert!(status["reason"].as_str().unwrap().contains(named), "{status:#}");
    assert_eq!(task_row(&status, "T001")["reason"], "waits for room on the disk", "{status:#}");
    let shown = world.sprint(&["status"]).expect(0).stdout;
    assert_eq!(shown.matches(named).count(), 2, "under the heading and below: {shown}");
    assert!(shown.contains("make room, or lower general.disk_free_min and: sprint reload"), "{shown}");
    // Health judges as the supervisor does, whatever the file says by now.
    world.set("general.disk_free_min", "\"1KB\"");
    world.configure();
    let health = world.sprint(&["health"]).expect(1).stdout;
    assert!(health.contains("less than general.disk_free_min = 9000.0 TB"), "{health}");
    world.sprint(&["stop"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
}
