//! What happens to a sprint from outside.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sprint::process::identity::ProcId;

use super::scene::Soaked;
use crate::common::processes::Found;
use crate::rng::Rng;

/// A victim that comes and goes is waited for at most so long.
const SEEN_MAX: Duration = Duration::from_secs(2);

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    Supervisor,
    Worker,
    Agent,
    Gate,
    Tmux,
    /// The supervisor stands still for a while.
    Stopped,
    /// The disk of the state is full for a while.
    FullDisk,
}

/// Every kind comes before one comes twice.
pub(super) struct Deck {
    all: Vec<Fault>,
    left: Vec<Fault>,
}

impl Deck {
    pub(super) fn of(disk: bool) -> Self {
        let mut all =
            vec![Fault::Supervisor, Fault::Worker, Fault::Agent, Fault::Gate, Fault::Tmux, Fault::Stopped];
        all.extend(disk.then_some(Fault::FullDisk));
        Self { all, left: Vec::new() }
    }

    /// The next one; not the supervisor's death where it is to be spared.
    pub(super) fn draw(&mut self, rng: &mut Rng, spare: bool) -> Fault {
        loop {
            if self.left.is_empty() {
                self.left.clone_from(&self.all);
            }
            let at = usize::try_from(rng.of(0..u64::try_from(self.left.len()).unwrap())).unwrap();
            let fault = self.left.swap_remove(at);
            if !(spare && fault == Fault::Supervisor) {
                return fault;
            }
        }
    }
}

/// Does it; false where there was nobody to do it to. Back when the fault is over.
pub(super) fn happen(fault: Fault, scene: &Soaked, rng: &mut Rng) -> Result<bool, String> {
    match fault {
        Fault::FullDisk => {
            let Some(disk) = &scene.disk else { return Ok(false) };
            disk.fill();
            std::thread::sleep(rng.ms(500..2_500));
            disk.make_room();
            Ok(true)
        }
        Fault::Stopped => {
            let Some(victim) = seen(scene, fault, rng) else { return Ok(false) };
            if !signal(&victim, Signal::SIGSTOP) {
                return Ok(false);
            }
            std::thread::sleep(rng.ms(1_000..4_000));
            if signal(&victim, Signal::SIGCONT) {
                Ok(true)
            } else {
                Err("a stopped supervisor is gone".to_owned())
            }
        }
        Fault::Supervisor | Fault::Worker | Fault::Agent | Fault::Gate | Fault::Tmux => {
            Ok(seen(scene, fault, rng).is_some_and(|victim| signal(&victim, Signal::SIGKILL)))
        }
    }
}

/// One that lives, as soon as there is one.
fn seen(scene: &Soaked, fault: Fault, rng: &mut Rng) -> Option<Found> {
    let end = Instant::now() + SEEN_MAX;
    while Instant::now() < end {
        let all = scene.world.processes();
        let mine: Vec<Found> = all.into_iter().filter(|found| is(fault, found)).collect();
        if let Some(victim) = rng.pick(&mine) {
            return Some(victim.clone());
        }
    }
    None
}

fn is(fault: Fault, found: &Found) -> bool {
    let command = &found.command;
    match fault {
        Fault::Supervisor | Fault::Stopped => command.contains(" supervise "),
        Fault::Worker => command.contains(" agent work "),
        Fault::Agent => command.contains("agent.sh T"),
        Fault::Gate => command.contains("bin/pytest"),
        Fault::Tmux => {
            let comm = std::fs::read_to_string(format!("/proc/{}/comm", found.pid)).unwrap_or_default();
            comm.trim() == "tmux: server"
        }
        Fault::FullDisk => false,
    }
}

/// Only to the process that was found.
fn signal(victim: &Found, signal: Signal) -> bool {
    let handle = ProcId::of(victim.pid.cast_signed()).and_then(|id| id.open()).ok().flatten();
    handle.is_some_and(|handle| handle.signal(signal).is_ok())
}
