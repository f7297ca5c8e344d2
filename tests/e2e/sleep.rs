//! The machine sleeps: everything stands still for longer than any deadline, and goes on at once.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::World;

/// A program without a sign of life for so long is ended.
const HUNG: &str = "\"30s\"";
/// More than that, and so long that a worker takes it for a sleep: shorter ones are shorter than any real deadline.
const ASLEEP: Duration = Duration::from_secs(65);

#[test]
fn a_machine_that_sleeps_wakes_up_as_it_was() {
    let mut world = World::with(
        "- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n",
        "touch $W/here.$1; until [ -e $W/go ]; do sleep 0.05; done\necho $1 > $1.txt; git add -A; git commit -qm $1",
    );
    world.set("timeouts.heartbeat", HUNG);
    world.set("timeouts.hung", HUNG);
    world.configure();
    world.commit("short deadlines");
    world.detach();
    world.wait_until("both agents", || world.exists("here.T001") && world.exists("here.T002"));
    let supervisor = world.supervisor().unwrap();
    let mut all: Vec<u32> = world.processes().iter().map(|found| found.pid).collect();
    // The supervisor first: it finds everybody else silent.
    all.sort_by_key(|pid| *pid != supervisor);
    let to_all = |signal| {
        for pid in &all {
            // What comes and goes meanwhile, as an agent's `sleep`, may be gone.
            kill(Pid::from_raw(pid.cast_signed()), signal).ok();
        }
    };
    to_all(Signal::SIGSTOP);
    std::thread::sleep(ASLEEP);
    to_all(Signal::SIGCONT);
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    let mut landed: Vec<String> = world.landed().split(' ').map(str::to_owned).collect();
    landed.sort();
    assert_eq!(landed, ["T001:1", "T002:1"]);
    let log = world.log();
    assert!(!log.contains("hung"), "nobody was judged: {log}");
    world.sprint(&["verify"]).expect(0);
    world.assert_nothing_left();
}
