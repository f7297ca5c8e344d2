//! Many supervisors of one repository at the same time.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{World, processes};

const MANY: usize = 50;

#[test]
fn of_fifty_supervisors_one_runs() {
    let world = World::with(
        "- [ ] T001 write one.txt\n",
        "touch $W/at-work; while [ ! -e $W/go ]; do sleep 0.05; done; echo one > one.txt",
    );
    world.detach();
    world.wait_until("the agent is at work", || world.exists("at-work"));
    let first = world.supervisor().unwrap();
    kill(Pid::from_raw(first.cast_signed()), Signal::SIGKILL).unwrap();
    world.wait_until("the first one is gone", || !processes::alive(first));
    let repository = world.repo();
    let words = ["supervise", "--repository", repository.to_str().unwrap()];
    let mut all: Vec<_> = (0..MANY).map(|_| world.spawn(&words)).collect();
    world.wait_until("one is left", || all.iter().filter(|one| processes::alive(one.pid())).count() == 1);
    let at = all.iter().position(|one| processes::alive(one.pid())).unwrap();
    let winner = all.swap_remove(at);
    for other in all {
        let ended = other.end().expect(4);
        assert!(ended.stderr.contains("supervisor"), "{}", ended.shown());
    }
    world.touch("go");
    winner.end().expect(0);
    assert_eq!(world.landed(), "T001:1");
    world.sprint(&["verify"]).expect(0);
    world.assert_nothing_left();
}
