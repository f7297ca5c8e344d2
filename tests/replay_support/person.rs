//! A person at a terminal: starts, and starts again when that is what the message says.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use sprint::process::identity::ProcId;

use super::case::FEATURE;
use crate::common::{SPRINT, World};

/// A `sprint start` that follows.
pub struct Follower {
    child: Child,
    out: PathBuf,
}

/// How it ended.
#[derive(Debug)]
pub struct End {
    /// `None` after a signal.
    pub code: Option<i32>,
    pub output: String,
}

impl Follower {
    pub fn start(world: &World, name: &str) -> Self {
        let out = world.path().join("out").join(format!("start-{name}"));
        let file = File::create(&out).unwrap();
        let mut command = world.command(SPRINT);
        command.args(["start", &format!("specs/{FEATURE}")]);
        let child =
            command.stdout(file.try_clone().unwrap()).stderr(file).stdin(Stdio::null()).spawn().unwrap();
        Self { child, out }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended, at most for `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<End> {
        let handle = ProcId::of(self.child.id().cast_signed()).ok().and_then(|id| id.open().ok().flatten());
        if handle.is_some_and(|handle| !handle.wait(limit)) {
            return None;
        }
        let code = self.child.wait().unwrap().code();
        Some(End { code, output: String::from_utf8_lossy(&fs::read(&self.out).unwrap()).into_owned() })
    }

    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.out).unwrap()).into_owned()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }
}

/// Starts once and must end well within `limit`.
pub fn start_to_end(world: &World, limit: Duration) -> (End, Duration) {
    let began = Instant::now();
    let mut follower = Follower::start(world, "once");
    let Some(end) = follower.wait(limit) else {
        let said = follower.said();
        follower.kill();
        panic!("still running after {limit:?}:\n{said}");
    };
    (end, began.elapsed())
}
