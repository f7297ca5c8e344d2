//! Directories that vanish while a sprint runs: without the runtime directory it goes on, without
//! the state directory it ends, and says so.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::{World, processes, task_row};

/// What is gone is back within this.
const BACK: Duration = Duration::from_secs(10);

const WAITS: &str = "touch $W/here.$1; until [ -e $W/go -o -e $W/go.$1 ]; do sleep 0.05; done\n\
                     echo $1 > $1.txt; git add -A; git commit -qm $1";

/// T002 asks; everybody else waits for a sign.
const ASKS: &str = "[ $1 = T002 ] && [ -z \"$SPRINT_ANSWER\" ] && echo 'BLOCKED: which colour?' && exit 7\n\
                    touch $W/here.$1; until [ -e $W/go ]; do sleep 0.05; done\n\
                    echo \"$SPRINT_ANSWER\" > $1.txt; git add -A; git commit -qm $1";

fn waiting(tasks: &str) -> World {
    let world = World::with(tasks, WAITS);
    world.detach();
    world.wait_until("the agent", || world.exists("here.T001"));
    world
}

/// As logind does when the person's last session ends.
fn remove_runtime(world: &World) {
    fs::remove_dir_all(world.path().join("x")).unwrap();
}

fn remove_state(world: &World) {
    // What is at work there makes files meanwhile.
    world.wait_until("nothing of it", || {
        let state = world.path().join("s/sprint");
        fs::remove_dir_all(&state).is_ok() || !state.exists()
    });
}

/// The names in the runtime directory, sorted.
fn names(world: &World) -> Vec<String> {
    let Some(runtime) = world.runtimes().pop() else { return Vec::new() };
    let entries = fs::read_dir(runtime).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn health(world: &World) -> Value {
    world.sprint(&["health", "--json"]).json()
}

fn wait_dead(world: &World, pid: u32) {
    world.wait_until("the supervisor's end", || !processes::alive(pid));
}

#[test]
fn the_runtime_directory_is_removed_and_everything_is_back_in_time() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n");
    world.agent(ASKS);
    world.set("general.answer_wait", "\"60s\"");
    world.configure();
    world.commit("base");
    let follower = world.spawn(&["start", "specs/001-demo"]);
    world.wait_until("the agent", || world.exists("here.T001"));
    world.wait_task("T002", "Waiting");
    let (pid, before) = (world.supervisor().unwrap(), names(&world));
    let socket = format!("/tmp/tmux-{}/sprint-{}", nix::unistd::getuid(), world.hash());
    remove_runtime(&world);
    fs::remove_file(&socket).unwrap();
    let gone = Instant::now();

    // At once, by the lock on the repository.
    assert_eq!(health(&world)["supervisor"]["pid"], pid);
    assert!(world.sprint(&["answer"]).expect(0).stdout.contains("which colour?"));
    world.sprint(&["answer", "T002", "blue"]).expect(0);
    assert!(gone.elapsed() < BACK, "an answer took {:?}", gone.elapsed());
    // Workers that are busy have no need of their bells until they are done.
    let needed = before.iter().filter(|name| !name.starts_with("developer-"));
    let needed: Vec<&String> = needed.collect();
    world.wait_until("bells, heartbeats and announcement", || {
        let names = names(&world);
        needed.iter().all(|name| names.contains(name))
    });
    world.wait_until("tmux can be reached", || world.tmux(&["has-session", "-t", "=manager"]).code == 0);
    assert!(gone.elapsed() < BACK, "back after {:?}", gone.elapsed());
    assert_eq!(health(&world)["status"], "healthy");
    world.detach();
    assert_eq!(world.supervisor(), Some(pid), "it is the same one");

    world.touch("go");
    follower.end().expect(0);
    world.assert_nothing_left();
    assert_eq!(world.landed_file("T002.txt"), "blue");
    assert_eq!(world.landed_of("001-demo").len(), 2);
    assert_eq!(names(&world), ["supervisor.json"]);
    assert!(!fs::exists(&socket).unwrap());
}

#[test]
fn stop_finds_a_supervisor_whose_runtime_directory_is_gone() {
    let world = waiting("- [ ] T001 write a.txt\n");
    let pid = world.supervisor().unwrap();
    remove_runtime(&world);
    let began = Instant::now();
    world.sprint(&["stop", "--now"]).expect(0);
    assert!(began.elapsed() < BACK * 2, "it took {:?}", began.elapsed());
    assert!(!processes::alive(pid));
    world.assert_nothing_left();
    world.touch("go");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
}

/// Without a session there is nobody who could make the directory: that can last for hours.
#[test]
fn while_the_runtime_directory_cannot_be_made_workers_start_gates_run_and_work_lands() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.agent(WAITS);
    world.gate("scratch", "echo x > $TMPDIR/x; echo $TMPDIR >> $W/scratch");
    world.configure();
    world.commit("base");
    let follower = world.spawn(&["start", "specs/001-demo"]);
    world.wait_until("the agent", || world.exists("here.T001"));
    let pid = world.supervisor().unwrap();
    remove_runtime(&world);
    world.touch("x");
    // The next one cannot make it either.
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
    world.touch("go");
    follower.end().expect(0);
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1");
    let scratch = world.read("scratch");
    let last = scratch.lines().last().unwrap();
    assert!(last.starts_with(world.state().to_str().unwrap()), "{scratch}");
    let left = fs::read_dir(world.state()).unwrap().flatten();
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("t-")));
}

#[test]
fn bells_of_commands_that_were_killed_are_taken_away_at_the_end() {
    let world = waiting("- [ ] T001 write a.txt\n");
    let follower = world.spawn(&["events", "-f"]);
    let bell = format!("follow-{}.sock", follower.pid());
    world.wait_until("it follows", || names(&world).contains(&bell));
    follower.signal(Signal::SIGKILL);
    follower.end();
    assert!(names(&world).contains(&bell));
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    world.assert_nothing_left();
    assert_eq!(names(&world), ["supervisor.json"]);
}

#[test]
fn the_state_directory_is_removed_and_the_sprint_ends_and_begins_anew_on_what_has_landed() {
    let world = waiting("- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n");
    world.touch("go.T001");
    world.wait_until("the second agent", || world.exists("here.T002"));
    assert_eq!(task_row(&world.status(), "T001")["state"], "Done");
    let pid = world.supervisor().unwrap();
    remove_state(&world);
    let stopped = world.sprint(&["stop"]);
    assert!(stopped.stderr.contains("is gone") || stopped.stdout.contains("nothing runs"), "{stopped:?}");
    wait_dead(&world, pid);
    world.assert_nothing_left();
    assert_eq!(names(&world), ["supervisor.json"]);
    insta::assert_snapshot!("after_the_state_is_gone", shown_after(&world));

    world.touch("go");
    world.sprint(&["start", "--base", "sprint/001-demo", "specs/001-demo"]).expect(0);
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1 T002:2", "what has landed is not done again");
}

/// What a person is told.
fn shown_after(world: &World) -> String {
    let commands: [&[&str]; 5] =
        [&["status"], &["health"], &["answer", "T002", "x"], &["stop"], &["start", "specs/001-demo"]];
    let free = regex::Regex::new(r"[\d.]+ [kMGT]?B free").unwrap();
    let mut text = String::new();
    for args in commands {
        let shown = world.redact(&world.sprint(args).shown());
        let shown = free.replace_all(&shown, "[free]");
        text += &format!("$ sprint {}\n{shown}\n\n", args.join(" "));
    }
    text
}

#[test]
fn a_start_that_follows_says_that_the_state_is_gone_when_everything_has_ended() {
    let world = World::with("- [ ] T001 write a.txt\n", WAITS);
    let follower = world.spawn(&["start", "specs/001-demo"]);
    world.wait_until("the agent", || world.exists("here.T001"));
    remove_state(&world);
    let ended = follower.end().expect(3);
    world.assert_nothing_left();
    assert!(ended.stderr.contains("was removed while the sprint ran"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: begin anew: sprint start specs/001-demo"), "{}", ended.stderr);
    world.touch("go");
    world.start().expect(0);
    world.assert_nothing_left();
    assert_eq!(world.landed_of("001-demo").len(), 1);
}

#[test]
fn a_signal_to_a_supervisor_without_state_leaves_nothing_behind() {
    let world = waiting("- [ ] T001 write a.txt\n");
    let pid = world.supervisor().unwrap();
    remove_state(&world);
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).unwrap();
    wait_dead(&world, pid);
    world.assert_nothing_left();
}

#[test]
fn a_start_right_after_the_state_was_removed_waits_for_the_end_of_the_old_sprint() {
    let world = waiting("- [ ] T001 write a.txt\n");
    let pid = world.supervisor().unwrap();
    remove_state(&world);
    world.touch("go");
    world.start().expect(0);
    assert!(!processes::alive(pid));
    world.assert_nothing_left();
    assert_eq!(world.landed_of("001-demo").len(), 1);
}

#[test]
fn the_database_of_another_repository_is_refused_by_everybody() {
    let agent = "echo $1 > $1.txt; git add -A; git commit -qm $1";
    let [one, other] = [0, 1].map(|_| {
        let world = World::with("- [ ] T001 write a.txt\n", agent);
        world.start().expect(0);
        world
    });
    let own = one.state().join("sprint.db");
    let kept = one.path().join("kept.db");
    fs::rename(&own, &kept).unwrap();
    fs::copy(other.state().join("sprint.db"), &own).unwrap();
    let before = fs::read(&own).unwrap();
    for command in
        [vec!["status"], vec!["events"], vec!["task", "retry", "T001"], vec!["start", "specs/001-demo"]]
    {
        let told = one.sprint(&command).expect(4);
        assert!(told.stderr.contains("is of another repository"), "{command:?}: {}", told.shown());
        assert!(told.stderr.contains("snapshots"), "{command:?}: {}", told.shown());
    }
    assert_eq!(one.sprint(&["supervise"]).expect(4).stdout, "");
    assert_eq!(fs::read(&own).unwrap(), before, "nothing was written");
    one.assert_nothing_left();
    fs::rename(&kept, &own).unwrap();
    one.start().expect(0);
}
