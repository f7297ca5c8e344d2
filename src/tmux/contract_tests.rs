//! What we rely on of a real tmux server. Each test has its own, ended even if the test panics.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::sync::mpsc;

use super::attach::{attach_argv, socket_path};
use super::client::ClientError;
use super::command::{Key, SpawnRequest};
use super::control::Notice;
use super::server::{Server, ServerConfig, ServerError};
use crate::domain::ids::WorkerName;
use crate::process::identity::ProcId;
use crate::process::tree::Table;

const WAIT: Duration = Duration::from_secs(20);

struct World {
    server: Server,
    notices: mpsc::Receiver<Notice>,
    dir: tempfile::TempDir,
    socket: String,
}

fn config(socket: &str, dir: &Path) -> ServerConfig {
    ServerConfig {
        socket: socket.to_owned(),
        directory: dir.to_owned(),
        program: "tmux".into(),
        path: "/usr/local/bin:/usr/bin:/bin".into(),
        home: dir.into(),
        reply_wait: Duration::from_secs(3),
    }
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().file_name().unwrap().to_string_lossy().replace('.', "");
        let socket = format!("sprint-test-{}-{name}", std::process::id());
        let (server, notices) = Server::new(config(&socket, dir.path())).unwrap();
        Self { server, notices, dir, socket }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn request(&self, name: &str, argv: &[&str]) -> SpawnRequest {
        SpawnRequest {
            name: WorkerName::parse(name).unwrap(),
            argv: argv.iter().map(OsString::from).collect(),
            env: Vec::new(),
            cwd: self.dir.path().to_owned(),
        }
    }
}

/// As a supervisor that has not reached the server yet.
fn another(world: &World) -> Server {
    Server::new(config(&world.socket, world.dir.path())).unwrap().0
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(Ok(Some(fd))) = self.server.running().map(|id| id.open()) {
            fd.signal(Signal::SIGKILL).unwrap();
        }
        fs::remove_file(socket_path(&self.socket)).ok();
    }
}

/// Reads a file that a pane writes, as soon as `done` likes it.
async fn read_when(path: &Path, done: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let end = Instant::now() + WAIT;
    loop {
        let bytes = fs::read(path).unwrap_or_default();
        if done(&bytes) {
            return bytes;
        }
        assert!(Instant::now() < end, "{}: {:?}", path.display(), String::from_utf8_lossy(&bytes));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn twenty_sessions_in_one_pipeline_are_listed_and_ended_one_by_one() {
    let mut world = World::new();
    let names: Vec<String> = (1..=20).map(|n| format!("developer-{n}")).collect();
    let requests: Vec<_> = names.iter().map(|n| world.request(n, &["sleep", "300"])).collect();
    let spawned = world.server.spawn_sessions(&requests).await.unwrap();
    let panes: Vec<_> = spawned.into_iter().map(Result::unwrap).collect();
    let listed = world.server.list_panes().await.unwrap();
    assert_eq!(listed.len(), 20);
    for (pane, name) in panes.iter().zip(&names) {
        let info = listed.iter().find(|info| info.session_name == *name).unwrap();
        assert_eq!((&info.pane, info.dead, info.attached), (pane, false, 0));
        assert!(info.activity > 1_700_000_000);
        let executed = fs::read(format!("/proc/{}/cmdline", pane.pid)).unwrap();
        assert!(executed == b"sleep\x00300\x00" || executed.starts_with(b"tmux"), "no shell in between");
    }
    // `developer-1` is a prefix of eleven others.
    world.server.kill_session(panes[0].session).await.unwrap();
    world.server.kill_session(panes[0].session).await.unwrap();
    assert_eq!(world.server.list_panes().await.unwrap().len(), 19);
    let taken = world.server.spawn_session(&requests[1]).await.unwrap_err();
    assert_eq!(taken.to_string(), "tmux: duplicate session: developer-2");
    let heard = tokio::time::timeout(WAIT, world.notices.recv()).await.unwrap();
    assert!(heard.is_some());
}

#[tokio::test]
async fn hostile_words_arrive_as_they_are_and_nothing_is_executed() {
    let world = World::new();
    let canary = world.path("canary");
    let touch = format!("touch {}", canary.display());
    let hostile = [
        format!("#({touch})"),
        format!("$({touch})"),
        format!("`{touch}`"),
        format!("; {touch}"),
        format!("\nrun-shell '{touch}'\n"),
        format!("' ; run-shell '{touch}"),
        format!("\" ; run-shell \"{touch}"),
        "#{pid} #[fg=red] %1 ~ $HOME ${HOME} {a} \\n \\".to_owned(),
        "--option".to_owned(),
        "ends in;".to_owned(),
        ";".to_owned(),
        String::new(),
        "é \u{202e}\u{1f980}".to_owned(),
        "\u{1}\u{1b}[2J\u{7f}\t\r".to_owned(),
        "x".repeat(10_000),
    ];
    let mut bytes: Vec<OsString> = hostile.iter().map(OsString::from).collect();
    bytes.push(OsString::from_vec(vec![0xff, 0xfe, b'x']));

    let odd = world.path(&format!("#(touch canary) #[x] ##[y] ## # ';{} é", "#{pid}"));
    fs::create_dir(&odd).unwrap();
    let script = "for a; do printf '%s\\0' \"$a\"; done > out.new; pwd >> out.new; \
                  printf '%s' \"$ODD\" >> out.new; mv out.new out; exec sleep 300";
    let mut request = world.request("reviewer", &["sh", "-c", script, "sh"]);
    request.argv.extend(bytes.iter().cloned());
    request.env = vec![("ODD".into(), hostile.concat().into())];
    request.cwd.clone_from(&odd);
    world.server.spawn_session(&request).await.unwrap();

    let mut expected = Vec::new();
    for word in bytes {
        expected.extend(word.into_vec());
        expected.push(0);
    }
    expected.extend(format!("{}\n{}", odd.display(), hostile.concat()).into_bytes());
    let got = read_when(&odd.join("out"), |bytes| !bytes.is_empty()).await;
    let same = got.iter().zip(&expected).take_while(|(a, b)| a == b).count();
    let near = |bytes: &[u8]| bytes[same..].iter().take(60).map(|&b| char::from(b)).collect::<String>();
    assert!(got == expected, "at {same}: {:?}, not {:?}", near(&got), near(&expected));
    world.server.list_panes().await.unwrap();
    assert!(!canary.exists() && !odd.join("canary").exists());
}

#[tokio::test]
async fn a_pane_has_the_fixed_environment_and_what_was_added() {
    let world = World::new();
    let mut request =
        world.request("tester-1", &["sh", "-c", "env > env.new; mv env.new env; exec sleep 300"]);
    request.env = vec![("PATH".into(), "/usr/bin:/bin".into()), ("BIG".into(), "x".repeat(100_000).into())];
    world.server.spawn_session(&request).await.unwrap();
    let env = read_when(&world.path("env"), |bytes| !bytes.is_empty()).await;
    let env = String::from_utf8(env).unwrap();
    let mut keys: Vec<&str> = env.lines().filter_map(|line| line.split_once('=')).map(|kv| kv.0).collect();
    keys.sort_unstable();
    assert_eq!(
        keys.iter().filter(|k| !k.starts_with('_')).copied().collect::<Vec<_>>(),
        [
            "BIG",
            "HOME",
            "LANG",
            "PATH",
            "PWD",
            "SHELL",
            "TERM",
            "TERM_PROGRAM",
            "TERM_PROGRAM_VERSION",
            "TMUX",
            "TMUX_PANE"
        ]
    );
    assert!(env.contains("PATH=/usr/bin:/bin\n") && env.contains("TERM=tmux-256color\n"));
}

#[tokio::test]
async fn a_killed_server_is_an_error_within_the_deadline_and_replaced_by_the_next_command() {
    let mut world = World::new();
    let first = world.server.ensure().await.unwrap();
    world.server.spawn_session(&world.request("merger", &["sleep", "300"])).await.unwrap();
    assert_eq!(world.server.running(), Some(first.clone()));
    first.open().unwrap().unwrap().signal(Signal::SIGKILL).unwrap();
    // Whether the connection has noticed yet or not: the answer comes, and soon.
    let start = Instant::now();
    let answer = world.server.list_panes().await;
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(answer.is_err() || answer.unwrap().is_empty());
    let second = world.server.ensure().await.unwrap();
    assert_ne!(first, second);
    assert_eq!(world.server.list_panes().await.unwrap(), []);
    world.notices.close();
    world.server.spawn_session(&world.request("merger", &["sleep", "300"])).await.unwrap();
}

#[tokio::test]
async fn a_wedged_server_is_an_error_and_recover_ends_it_without_its_help() {
    let world = World::new();
    let first = world.server.ensure().await.unwrap();
    first.open().unwrap().unwrap().signal(Signal::SIGSTOP).unwrap();
    let start = Instant::now();
    let error = world.server.list_panes().await.unwrap_err();
    assert!(matches!(error, ServerError::Wedged(_)), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
    fs::remove_file(world.path("tmux.pid")).unwrap();
    let second = another(&world).recover().await.unwrap();
    assert!(!first.alive() && second.alive());
    assert_eq!(world.server.list_panes().await.unwrap(), []);
}

#[tokio::test]
async fn a_server_that_never_comes_to_its_end_is_wedged_and_replaced() {
    let world = World::new();
    let id = world.server.ensure().await.unwrap();
    // It waits for this client, which does not go.
    let mut client = std::process::Command::new("tmux")
        .args(["-L", &world.socket, "-C", "attach", "-t", "=sprint"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0u8; 1];
    std::io::Read::read_exact(client.stdout.as_mut().unwrap(), &mut first).unwrap();
    let stuck = ProcId::of(client.id().cast_signed()).unwrap().open().unwrap().unwrap();
    stuck.signal(Signal::SIGSTOP).unwrap();
    await_panes(&world);
    id.open().unwrap().unwrap().signal(Signal::SIGTERM).unwrap();
    // Its sessions end when the signal has reached it. A client that comes just before makes this
    // tmux (3.3a) crash now and then, and there is nothing that is wedged.
    let end = Instant::now() + WAIT;
    while !panes_of(&world).is_empty() {
        assert!(Instant::now() < end, "the server does not go down");
        std::thread::yield_now();
    }

    let (second, _notices) = Server::new(config(&world.socket, world.dir.path())).unwrap();
    assert!(matches!(second.ensure().await, Err(ServerError::Wedged(_))));
    assert!(id.alive(), "it is still going down");
    assert_ne!(second.recover().await.unwrap(), id);
    assert!(second.list_panes().await.unwrap().is_empty());
    stuck.signal(Signal::SIGKILL).unwrap();
    client.wait().unwrap();
    second.kill_server().await.unwrap();
}

fn panes_of(world: &World) -> Vec<ProcId> {
    let mark = format!("TMUX={},", socket_path(&world.socket).display());
    Table::scan().unwrap().with_environment(mark.as_bytes()).unwrap()
}

/// A pane's process has its environment only when it has become another program.
fn await_panes(world: &World) {
    let end = Instant::now() + WAIT;
    while panes_of(world).is_empty() {
        assert!(Instant::now() < end, "the server has no pane");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn the_end_of_the_server_is_waited_for_and_another_can_start_at_once() {
    let world = World::new();
    for _ in 0..5 {
        let id = world.server.ensure().await.unwrap();
        world.server.spawn_session(&world.request("manager", &["sleep", "300"])).await.unwrap();
        world.server.kill_server().await.unwrap();
        assert!(!id.alive() && !socket_path(&world.socket).exists());
        assert_eq!(world.server.running(), None);
        assert_eq!(panes_of(&world), [], "a pane's process outlives the server");
    }
    // One that somebody else ended.
    let id = world.server.ensure().await.unwrap();
    await_panes(&world);
    id.open().unwrap().unwrap().signal(Signal::SIGKILL).unwrap();
    world.server.kill_server().await.unwrap();
    assert_eq!(panes_of(&world), []);
    world.server.kill_server().await.unwrap();
    let id = world.server.ensure().await.unwrap();
    fs::remove_file(world.path("tmux.pid")).unwrap();
    another(&world).kill_server().await.unwrap();
    assert!(!id.alive(), "a server whose record is lost is found by its socket");
    let id = world.server.ensure().await.unwrap();
    fs::remove_file(world.path("tmux.pid")).unwrap();
    fs::remove_file(socket_path(&world.socket)).unwrap();
    world.server.kill_server().await.unwrap();
    assert!(!id.alive(), "one whose socket is lost too is known to whoever has reached it");
}

#[tokio::test]
async fn a_second_supervisor_finds_the_server_and_its_panes() {
    let world = World::new();
    let pane = world.server.spawn_session(&world.request("librarian", &["sleep", "300"])).await.unwrap();
    let (second, _notices) = Server::new(config(&world.socket, world.dir.path())).unwrap();
    assert_eq!(second.ensure().await.unwrap(), world.server.ensure().await.unwrap());
    assert_eq!(second.list_panes().await.unwrap()[0].pane, pane);
    assert!(!second.version().await.unwrap().is_empty());
    drop(second);
    assert_eq!(world.server.list_panes().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_whose_socket_was_cleaned_away_is_not_doubled() {
    let world = World::new();
    let first = world.server.ensure().await.unwrap();
    world.server.spawn_session(&world.request("librarian", &["sleep", "300"])).await.unwrap();
    fs::remove_file(socket_path(&world.socket)).unwrap();
    let (second, _notices) = Server::new(config(&world.socket, world.dir.path())).unwrap();
    assert_eq!(second.ensure().await.unwrap(), first);
    assert_eq!(second.list_panes().await.unwrap().len(), 1);
}

#[tokio::test]
async fn socket_and_record_of_a_living_server_are_put_up_again() {
    let world = World::new();
    world.server.keep().await.unwrap();
    assert_eq!(world.server.running(), None, "nothing is started for it");
    let id = world.server.ensure().await.unwrap();
    fs::remove_file(socket_path(&world.socket)).unwrap();
    fs::remove_file(world.path("tmux.pid")).unwrap();
    world.server.keep().await.unwrap();
    let second = another(&world);
    assert_eq!(second.running(), Some(id.clone()));
    assert_eq!(second.ensure().await.unwrap(), id);
}

#[tokio::test]
async fn no_death_is_lost_and_the_name_is_free_again() {
    let world = World::new();
    let request = world.request("developer-1", &["sleep", "300"]);
    for _ in 0..60 {
        let pane = world.server.spawn_session(&request).await.unwrap();
        let fd = ProcId::of(pane.pid).unwrap().open().unwrap().unwrap();
        fd.signal(Signal::SIGKILL).unwrap();
        assert!(fd.wait(WAIT));
        world.server.reap().unwrap();
        let end = Instant::now() + WAIT;
        while !world.server.list_panes().await.unwrap().is_empty() {
            assert!(Instant::now() < end, "a dead session stays");
        }
    }
}

#[tokio::test]
async fn the_death_of_a_pane_is_seen_by_its_pidfd() {
    let world = World::new();
    let pane = world.server.spawn_session(&world.request("developer-1", &["sleep", "300"])).await.unwrap();
    let id = ProcId::of(pane.pid).unwrap();
    let fd = id.open().unwrap().unwrap();
    assert!(!fd.has_exited());
    fd.signal(Signal::SIGKILL).unwrap();
    assert!(fd.wait(Duration::from_secs(5)));
    world.server.reap().unwrap();
    let end = Instant::now() + WAIT;
    while !world.server.list_panes().await.unwrap().is_empty() {
        assert!(Instant::now() < end, "the session goes with its process");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_megabyte_is_pasted_byte_by_byte_and_submitted_by_a_key() {
    let world = World::new();
    let script = "stty raw -echo; printf ready > up; cat > out";
    let pane =
        world.server.spawn_session(&world.request("developer-1", &["sh", "-c", script])).await.unwrap();
    read_when(&world.path("up"), |bytes| bytes == b"ready").await;
    let line = "it's \"quoted\" $HOME `x` #{pid} ; é \u{1f980} \\ \t.\n";
    let mut text = line.repeat(1 + (1 << 20) / line.len()).into_bytes();
    world.server.paste_text(pane.pane, &text).await.unwrap();
    world.server.send_key(pane.pane, &Key::Literal("\r".to_owned())).await.unwrap();
    world.server.send_key(pane.pane, &Key::Enter).await.unwrap();
    text.extend(b"\r\r");
    let out = read_when(&world.path("out"), |bytes| bytes.len() >= text.len()).await;
    assert!(out == text, "{} bytes arrived, {} sent", out.len(), text.len());
    let left: Vec<_> = fs::read_dir(world.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("paste"))
        .collect();
    assert_eq!(left, [""; 0]);
}

#[tokio::test]
async fn what_a_pane_shows_can_be_read_and_a_missing_pane_is_refused() {
    let world = World::new();
    let argv = ["sh", "-c", "echo '%end 1 1 1'; echo shown; printf x > up; exec sleep 300"];
    let pane = world.server.spawn_session(&world.request("reviewer", &argv)).await.unwrap();
    read_when(&world.path("up"), |bytes| bytes == b"x").await;
    let end = Instant::now() + WAIT;
    loop {
        let screen = world.server.capture_pane(pane.pane).await.unwrap();
        if screen.iter().any(|line| line == "shown") {
            assert!(screen.iter().any(|line| line == "%end 1 1 1"));
            break;
        }
        assert!(Instant::now() < end);
    }
    world.server.kill_session(pane.session).await.unwrap();
    let error = world.server.send_key(pane.pane, &Key::Enter).await.unwrap_err();
    assert!(matches!(error, ServerError::Client(ClientError::Refused(_))), "{error}");
}

#[tokio::test]
async fn files_of_the_server_are_private_and_a_long_socket_name_is_refused() {
    let world = World::new();
    world.server.ensure().await.unwrap();
    for name in ["tmux.conf", "tmux.pid"] {
        assert_eq!(fs::metadata(world.path(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(matches!(
        Server::new(config(&"x".repeat(100), world.dir.path())),
        Err(ServerError::SocketPath { .. })
    ));
}

#[tokio::test]
async fn a_person_who_attaches_sees_the_pane() {
    let world = World::new();
    for name in ["developer-1", "developer-10"] {
        let script = format!("echo this is {name}; exec sleep 300");
        world.server.spawn_session(&world.request(name, &["sh", "-c", &script])).await.unwrap();
    }
    let name = WorkerName::parse("developer-1").unwrap();
    let attach = attach_argv(&world.socket, &name, Some("/tmp/another/server,1,0"));
    let line = attach.argv.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ");
    let screen = world.path("screen");
    // script(1) gives a terminal, and passes its line to a shell: it is of our own words only.
    let mut person = std::process::Command::new("script");
    person.args(["-qfc", &line]).arg(&screen).env("TERM", "xterm").env("TMUX", "x");
    for variable in attach.env_remove {
        person.env_remove(variable);
    }
    let mut person =
        person.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let has = |bytes: &[u8], text: &str| String::from_utf8_lossy(bytes).contains(text);
    let seen = read_when(&screen, |bytes| has(bytes, "this is developer-1") && has(bytes, "detach")).await;
    assert!(!has(&seen, "developer-10"));
    let panes = world.server.list_panes().await.unwrap();
    let attached = |name: &str| panes.iter().find(|pane| pane.session_name == name).unwrap().attached;
    assert_eq!((attached("developer-1"), attached("developer-10")), (1, 0));
    world.server.kill_server().await.unwrap();
    person.wait().unwrap();
}

#[tokio::test]
async fn our_configuration_is_in_force_and_nobody_elses() {
    let world = World::new();
    fs::write(world.path(".tmux.conf"), "set -g history-limit 9\n").unwrap();
    world.server.ensure().await.unwrap();
    let show = |flags: &str, option: &str| {
        let args = ["-L", &world.socket, "show-options", flags, option];
        let output = std::process::Command::new("tmux").args(args).env_remove("TMUX").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let shown = [show("-sv", "exit-empty"), show("-gv", "history-limit"), show("-gwv", "automatic-rename")];
    assert_eq!(shown, ["off", "2000", "off"]);
}
