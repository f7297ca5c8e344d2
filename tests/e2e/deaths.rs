//! Whatever dies: nothing finished is lost, nothing lands twice.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::{World, processes, task_row};

const WAITS: &str = "echo $1 >> $W/began; touch $W/here.$1\n\
                     until [ -e $W/go ]; do sleep 0.05; done\n\
                     echo $1 > $1.txt; git add -A; git commit -qm $1; echo $1 >> $W/ended";

fn waiting() -> World {
    let world = World::with("- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n", WAITS);
    world.detach();
    world.wait_until("the agent", || world.exists("here.T001"));
    world
}

fn end(pid: u32) {
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
}

fn worker_of(status: &Value, task: &str) -> u32 {
    let name = &task_row(status, task)["worker"];
    let worker = status["workers"].as_array().unwrap().iter().find(|worker| worker["name"] == *name);
    u32::try_from(
        worker.unwrap_or_else(|| panic!("{task} has no worker: {status:#}"))["pid"].as_u64().unwrap(),
    )
    .unwrap()
}

fn kill_supervisor(world: &World) {
    let pid = world.supervisor().unwrap();
    end(pid);
    world.wait_until("its death", || !processes::alive(pid));
}

#[test]
fn the_next_supervisor_adopts_workers_that_live() {
    let world = waiting();
    let worker = worker_of(&world.status(), "T001");
    kill_supervisor(&world);
    assert!(processes::alive(worker), "workers outlive their supervisor");
    world.detach();
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1 T002:1");
    assert_eq!(world.read("began"), "T001\nT002\n", "nothing was done twice");
}

/// Of two who end it, the slower one would end the next run's program: it works in the same directory.
#[test]
fn what_a_dead_worker_has_left_is_ended_once() {
    let world = waiting();
    let worker = worker_of(&world.status(), "T001");
    kill_supervisor(&world);
    end(worker);
    world.wait_until("its death", || !processes::alive(worker));
    world.detach();
    world.wait_until("the second run", || world.read("began") == "T001\nT001\n");
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1 T002:1");
    let logs = std::fs::read_dir(world.state().join("logs")).unwrap().flatten();
    let told = logs.map(|log| std::fs::read_to_string(log.path()).unwrap());
    let ended: usize = told.map(|text| text.matches("what a dead worker has left is ended").count()).sum();
    assert_eq!(ended, 1);
}

#[test]
fn a_report_that_nobody_heard_is_found() {
    let world = waiting();
    kill_supervisor(&world);
    world.touch("go");
    let filed = || {
        let runs = std::fs::read_dir(world.state().join("runs")).unwrap().flatten();
        runs.filter(|run| run.path().join("report.json").exists()).count()
    };
    let before = filed();
    world.wait_until("the report", || world.exists("ended") && filed() > before.min(1));
    world.start().expect(0);
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1 T002:1");
    assert_eq!(world.read("began"), "T001\nT002\n", "nothing was done twice");
}

#[test]
fn a_worker_that_is_killed_spends_no_attempt() {
    let world = waiting();
    let worker = worker_of(&world.status(), "T001");
    end(worker);
    world.wait_until("the second run", || world.read("began") == "T001\nT001\n");
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1 T002:1");
}

#[test]
fn the_tmux_server_is_killed_and_everything_goes_on() {
    let world = waiting();
    world.tmux(&["kill-server"]).expect(0);
    world.wait_until("the second run", || world.read("began") == "T001\nT001\n");
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1 T002:1");
}

#[test]
fn everything_is_killed_at_once() {
    let world = waiting();
    processes::end(&world.processes());
    world.assert_nothing_left();
    world.touch("go");
    world.start().expect(0);
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1 T002:1");
}

#[test]
fn a_follower_starts_a_dead_supervisor_again() {
    let world = World::with("- [ ] T001 write a.txt\n", WAITS);
    let follower = world.spawn(&["start", "specs/001-demo"]);
    world.wait_until("the agent", || world.exists("here.T001"));
    let first = world.supervisor().unwrap();
    end(first);
    world.wait_until("another supervisor", || world.supervisor().is_some_and(|pid| pid != first));
    world.touch("go");
    follower.end().expect(0);
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn the_lock_of_a_git_that_was_killed_keeps_no_feature_from_beginning() {
    let world = World::with("- [ ] T001 write a.txt\n", "echo a > a.txt; git add -A; git commit -qm a");
    let heads = world.repo().join(".git/refs/heads/sprint");
    std::fs::create_dir(&heads).unwrap();
    std::fs::write(heads.join("001-demo.lock"), "").unwrap();
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    world.assert_nothing_left();
}

#[test]
fn stop_ends_what_a_killed_supervisor_has_left() {
    let world = waiting();
    let worker = worker_of(&world.status(), "T001");
    kill_supervisor(&world);
    assert!(processes::alive(worker));
    let told = world.sprint(&["stop", "--now"]).expect(0);
    assert!(told.stdout.contains("its workers are not"), "{}", told.stdout);
    assert!(told.stdout.contains("0 tasks landed, 2 open"), "{}", told.stdout);
    world.assert_nothing_left();
    assert!(world.sprint(&["stop", "--now"]).expect(0).stdout.contains("nothing runs"));
    world.touch("go");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1 T002:1");
}

#[test]
fn stop_that_a_dying_supervisor_leaves_unread_is_read_by_the_next() {
    let world = waiting();
    let supervisor = Pid::from_raw(world.supervisor().unwrap().cast_signed());
    kill(supervisor, Signal::SIGSTOP).unwrap();
    let stop = world.spawn(&["stop", "--now"]);
    world.wait_until("the request", || waits_unread(&world));
    kill(supervisor, Signal::SIGKILL).unwrap();
    let told = stop.end().expect(0);
    assert!(told.stdout.contains("its workers are not; another one ends them"), "{}", told.stdout);
    world.assert_nothing_left();
}

fn waits_unread(world: &World) -> bool {
    let database = rusqlite::Connection::open(world.state().join("sprint.db")).unwrap();
    let count = "SELECT count(*) FROM inbox WHERE body LIKE '%stop%'";
    database.query_row(count, [], |row| row.get::<_, i64>(0)).is_ok_and(|rows| rows > 0)
}
