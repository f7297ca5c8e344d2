//! A terminal with a person before it: a tmux server of the test's own, whose screen can be read.

use std::fs;
use std::time::Instant;

use sprint::process::identity::read_stat;

use super::processes::alive;
use super::{DEADLINE, World};

/// One window of 120 × 40 with a shell or a command in it.
pub(crate) struct Terminal<'w> {
    world: &'w World,
    socket: String,
}

impl<'w> Terminal<'w> {
    /// A terminal with bash in the repository, in the world's environment.
    pub(crate) fn open(world: &'w World) -> Self {
        let socket = world.path().join("t.sock").to_string_lossy().into_owned();
        let terminal = Self { world, socket };
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-s",
            "t",
            "-x",
            "120",
            "-y",
            "40",
            "env",
            "PS1=$ ",
            "bash",
            "--norc",
        ]);
        terminal.wait("$");
        terminal
    }

    /// `tmux` against the terminal's server; its output.
    pub(crate) fn tmux(&self, args: &[&str]) -> String {
        let mut command = self.world.command("tmux");
        command.args(["-S", &self.socket]).args(args);
        self.world.spawn_command(command).end().stdout
    }

    /// Types a line and presses Enter.
    pub(crate) fn line(&self, text: &str) {
        self.tmux(&["send-keys", "-t", "t", "-l", text]);
        self.keys(&["Enter"]);
    }

    /// Presses keys: `C-c`, `Enter`.
    pub(crate) fn keys(&self, keys: &[&str]) {
        let mut args = vec!["send-keys", "-t", "t"];
        args.extend(keys);
        self.tmux(&args);
    }

    /// What is on the screen.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "t"])
    }

    /// Waits until the screen shows `text`; returns the screen.
    #[track_caller]
    pub(crate) fn wait(&self, text: &str) -> String {
        self.wait_for(text, |screen| screen.contains(text))
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + DEADLINE / 3;
        loop {
            let screen = self.screen();
            if condition(&screen) {
                return screen;
            }
            assert!(Instant::now() < end, "the screen never showed {what}:\n{screen}\n{}", self.world.log());
            // The screen has no bell; each look is a process of its own and takes its time.
            nix::poll::poll(&mut [], nix::poll::PollTimeout::from(30u8)).unwrap();
        }
    }

    /// The terminal is closed under whatever runs in it; returns when all of that has gone.
    pub(crate) fn close(&self) {
        let pids = self.tmux(&["display-message", "-p", "-t", "t", "#{pid} #{pane_pid}"]);
        let mut pids: Vec<u32> = pids.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        pids.extend(pids.last().map(|shell| of_session(*shell)).unwrap_or_default());
        self.tmux(&["kill-server"]);
        let end = Instant::now() + DEADLINE / 3;
        while pids.iter().any(|pid| alive(*pid)) {
            assert!(Instant::now() < end, "the terminal does not close: {pids:?}");
            nix::poll::poll(&mut [], nix::poll::PollTimeout::from(10u8)).unwrap();
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// What runs in the session of this number, its leader too.
fn of_session(leader: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let stats = pids.filter_map(|pid| read_stat(pid).ok());
    stats.filter(|stat| stat.session == leader.cast_signed()).map(|stat| stat.pid.cast_unsigned()).collect()
}
