//! How a person's terminal gets to a worker's session.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tmux_interface::{AttachSession, SwitchClient};

use crate::domain::ids::WorkerName;

/// What to execute, in place of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attach {
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// Variables to remove first: inside another tmux server, `TMUX` would forbid to nest, and
    /// `TMUX_TMPDIR` would look for the socket elsewhere.
    pub env_remove: &'static [&'static str],
}

/// The path of a socket `-L name` for this user, with `TMUX_TMPDIR` unset.
pub fn socket_path(name: &str) -> PathBuf {
    Path::new("/tmp").join(format!("tmux-{}", nix::unistd::getuid())).join(name)
}

/// Inside our own server (`tmux_env` is the caller's `TMUX`) the client is switched, everywhere
/// else it is attached.
pub fn attach_argv(socket: &str, name: &WorkerName, tmux_env: Option<&str>) -> Attach {
    let exact = format!("={name}");
    let inside = tmux_env.and_then(|value| value.split(',').next()).is_some_and(|path| {
        let ours = socket_path(socket);
        Path::new(path) == ours || ours.canonicalize().is_ok_and(|ours| Path::new(path) == ours)
    });
    let built = if inside {
        SwitchClient::new().target_session(exact).build()
    } else {
        AttachSession::new().target_session(exact).build()
    };
    let mut argv: Vec<OsString> = ["tmux", "-L", socket].iter().map(OsString::from).collect();
    argv.extend(built.to_vec().into_iter().map(|word| OsString::from(word.into_owned())));
    let env_remove: &[&str] = if inside { &["TMUX_TMPDIR"] } else { &["TMUX", "TMUX_TMPDIR"] };
    Attach { argv, env_remove }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_it_switches_outside_it_attaches() {
        let name = WorkerName::parse("reviewer").unwrap();
        let outside = attach_argv("sprint-x", &name, None);
        assert_eq!(outside.argv, ["tmux", "-L", "sprint-x", "attach", "-t", "=reviewer"]);
        let other = attach_argv("sprint-x", &name, Some("/tmp/tmux-0/default,1,0"));
        assert_eq!(other, outside);
        let ours = format!("{},1,0", socket_path("sprint-x").display());
        let inside = attach_argv("sprint-x", &name, Some(&ours));
        assert_eq!(inside.argv[3], "switchc");
        assert_eq!(inside.env_remove, ["TMUX_TMPDIR"]);
    }
}
