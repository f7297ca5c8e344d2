//! A network of a child's own, with nothing in it but loopback: what a test may need is there, and
//! nobody outside is.
//!
//! Root may have one at once; anybody else in a user namespace of the child's own, in which they are
//! themselves. See `unshare(2)`, `user_namespaces(7)` and `netdevice(7)`. Where the kernel allows
//! neither, [`possible`] says so.

#![expect(unsafe_code, reason = "called between fork and exec, where only system calls are made")]

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use nix::libc;

use super::child::{Session, Spec, Stdin};

/// `true` answers within this.
const PROBE_WAIT: Duration = Duration::from_secs(10);

/// Who the child is outside, as the kernel wants to be told.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    users: Vec<u8>,
    groups: Vec<u8>,
}

impl Identity {
    /// Of this process. Made before the fork: nothing may be allocated after it.
    pub(super) fn own() -> Self {
        let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
        Self { users: format!("{user} {user} 1").into(), groups: format!("{group} {group} 1").into() }
    }

    /// Moves this process into a network of its own. Only async-signal-safe calls.
    ///
    /// # Errors
    /// The kernel does not allow it.
    pub(super) fn leave_the_network(&self) -> io::Result<()> {
        // SAFETY: plain system calls on integers.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 {
            return raise_loopback();
        }
        // SAFETY: as above.
        check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) })?;
        // Without this the group cannot be told; it may be missing in an old kernel.
        let _ = write(c"/proc/self/setgroups", b"deny");
        write(c"/proc/self/uid_map", &self.users)?;
        write(c"/proc/self/gid_map", &self.groups)?;
        raise_loopback()
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn write(path: &std::ffi::CStr, text: &[u8]) -> io::Result<()> {
    // SAFETY: a string that ends with NUL, a buffer with its length, a descriptor of our own.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        check(file)?;
        let written = libc::write(file, text.as_ptr().cast(), text.len());
        let result = if written < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
        libc::close(file);
        result
    }
}

/// `IFF_UP | IFF_RUNNING`, of the size that an `ifreq` has.
const UP: libc::c_short = 0x41;

/// Loopback is there and down in a new network.
fn raise_loopback() -> io::Result<()> {
    // SAFETY: `request` is a whole `ifreq` on the stack, with a name that ends with NUL; the socket is ours.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        check(socket)?;
        let mut request: libc::ifreq = std::mem::zeroed();
        for (place, byte) in request.ifr_name.iter_mut().zip(*b"lo\0") {
            *place = libc::c_char::from_ne_bytes([byte]);
        }
        request.ifr_ifru.ifru_flags = UP;
        let result = check(libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request));
        libc::close(socket);
        result
    }
}

/// Whether a child can have a network of its own here. Tried once, with a real child.
pub fn possible() -> bool {
    static POSSIBLE: OnceLock<bool> = OnceLock::new();
    *POSSIBLE.get_or_init(|| {
        let spec = Spec {
            program: OsString::from("/bin/true"),
            args: Vec::new(),
            cwd: PathBuf::from("/"),
            env: Vec::new(),
            stdin: Stdin::Null,
            timeout: PROBE_WAIT,
            output_max: 0,
            grace: Duration::from_secs(1),
            session: Session::Offline,
            bounds: None,
        };
        match super::run::run(&spec, &mut |_, _| {}, &|| false) {
            Ok(outcome) => outcome.success(),
            Err(error) => {
                tracing::info!(%error, "no child can have a network of its own here");
                false
            }
        }
    })
}

/// What to do where [`possible`] says no, as far as the kernel's settings tell.
pub fn remedy() -> &'static str {
    remedy_of(&|name| std::fs::read_to_string(Path::new("/proc/sys").join(name)).ok())
}

/// Settings that forbid a namespace, the value with which they do, and the command that allows it.
const SETTINGS: [(&str, &str, &str); 4] = [
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    ("kernel/unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
    ("user/max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=10000"),
    ("user/max_net_namespaces", "0", "sudo sysctl -w user.max_net_namespaces=10000"),
];

fn remedy_of(setting: &dyn Fn(&str) -> Option<String>) -> &'static str {
    let forbids =
        |(name, value, _): &&(&str, &str, &str)| setting(name).is_some_and(|found| found.trim() == *value);
    SETTINGS.iter().find(forbids).map_or(
        "in a container: start it so that `unshare -rn true` works there, or without any network",
        |(_, _, command)| command,
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::process::run::run;

    /// Connects to the port of `argv[1]`, and to one of its own.
    const PROGRAM: &str = "import os, socket, sys\n\
        def reach(port):\n\
        \x20   try:\n\
        \x20       socket.create_connection(('127.0.0.1', port), 5).close(); return 'reached'\n\
        \x20   except OSError as error: return 'refused'\n\
        own = socket.create_server(('127.0.0.1', 0))\n\
        print(reach(int(sys.argv[1])), reach(own.getsockname()[1]), os.geteuid() == int(sys.argv[2]))\n";

    fn said(session: Session, port: u16) -> String {
        let user = nix::unistd::geteuid().to_string();
        let words = ["-c", PROGRAM, &port.to_string(), &user];
        let spec = Spec {
            program: "python3".into(),
            args: words.iter().map(OsString::from).collect(),
            cwd: "/".into(),
            env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
            stdin: Stdin::Null,
            timeout: Duration::from_mins(1),
            output_max: 4096,
            grace: Duration::from_secs(1),
            session,
            bounds: None,
        };
        let outcome = run(&spec, &mut |_, _| {}, &|| false).unwrap();
        String::from_utf8_lossy(&outcome.stdout).trim().to_owned()
    }

    #[test]
    fn a_child_without_the_network_has_its_own_loopback_and_reaches_nobody() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        assert_eq!(said(Session::NewSession, port), "reached reached True");
        if possible() {
            assert_eq!(said(Session::Offline, port), "refused reached True");
        } else {
            // The kernel of this machine forbids it: then it must not look as if it had been done.
            assert_eq!(said(Session::Offline, port), "");
        }
    }

    #[test]
    fn the_setting_that_forbids_it_is_named() {
        let with = |name: &'static str, value: &'static str| {
            remedy_of(&|asked| (asked == name).then(|| format!("{value}\n")))
        };
        assert!(with("user/max_net_namespaces", "0").contains("max_net_namespaces=10000"));
        assert!(with("kernel/apparmor_restrict_unprivileged_userns", "1").contains("apparmor"));
        assert!(with("user/max_net_namespaces", "96365").contains("in a container"));
        assert!(remedy_of(&|_| None).contains("in a container"));
    }
}
