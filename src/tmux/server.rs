//! Our own tmux server: found or started, asked, and ended when it is wedged.
//!
//! It refuses to touch any server but `-L <socket>`; the user's configuration is not read, and
//! the server's environment is fixed, so nothing of ours leaks into panes.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use tmux_interface::NewSession;
use tokio::sync::{Mutex, mpsc};

use super::attach::socket_path;
use super::client::{Client, ClientError, Launch};
use super::command::{Command, CommandError, Key, SpawnRequest};
use super::control::Notice;
use super::pane::{Pane, PaneId, PaneInfo, SessionId, parse_info, parse_pane};
use crate::process::doorbell::SOCKET_PATH_MAX;
use crate::process::identity::ProcId;
use crate::process::tree::Table;
use crate::process::watch::gone_within;

/// The session that keeps the server's client attached; nothing runs in it.
pub const SENTINEL: &str = "sprint";

/// Attempts to reach a server that is going down just now, with a longer wait after each.
const CONNECT_TRIES: u32 = 6;
const CONNECT_PAUSE: Duration = Duration::from_millis(25);
/// From SIGTERM to SIGKILL, and from there to giving up.
const END_WAIT: Duration = Duration::from_secs(5);
/// From the server's end to that of the last process in its panes.
const PANES_WAIT: Duration = Duration::from_secs(2);
/// Notices that wait to be read.
const NOTICES_MAX: usize = 1024;

/// All that differs from tmux's defaults, which no file of the user's or the machine's can change.
const CONFIG: &str = "\
set -s exit-empty off
set -s escape-time 25
set -s set-clipboard off
set -g default-terminal tmux-256color
set -g default-shell /bin/sh
set -g update-environment ''
set -g history-limit 2000
set -g mouse on
set -g status-interval 0
set -g status-left '[#S] '
set -g status-left-length 40
set -g status-right 'detach: C-b d (inside another tmux: C-b C-b d)'
set -g status-right-length 50
set -g window-size latest
setw -g remain-on-exit off
setw -g automatic-rename off
setw -g allow-rename off
";

/// What is wrong with the server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The command or the connection failed.
    #[error(transparent)]
    Client(ClientError),
    /// The server is there and has not answered for so long; [`Server::recover`] ends it, and all
    /// its panes.
    #[error("the tmux server does not answer (waited {} s)", .0.as_secs())]
    Wedged(Duration),
    /// It does not even die of SIGKILL.
    #[error("the tmux server {id} is still there after SIGKILL")]
    Unkillable {
        /// Its process.
        id: ProcId,
    },
    /// The socket's path would be too long.
    #[error("the tmux socket `{}` has a longer path than {SOCKET_PATH_MAX} bytes", path.display())]
    SocketPath {
        /// The path.
        path: PathBuf,
    },
    /// A file of the server's.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl From<ClientError> for ServerError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Deadline(waited) => Self::Wedged(waited),
            error => Self::Client(error),
        }
    }
}

/// Where the server is and with what it starts.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Its `-L` name: `sprint-<hash>`.
    pub socket: String,
    /// A directory of ours that stays, mode 0700: configuration, recorded pid, texts to paste.
    pub directory: PathBuf,
    /// tmux.
    pub program: OsString,
    /// The PATH of the server and, unless `SpawnRequest::env` says otherwise, of panes.
    pub path: OsString,
    /// The HOME of the same.
    pub home: OsString,
    /// After so long without an answer the server is wedged: [`REPLY_WAIT`](super::client::REPLY_WAIT), as a rule.
    pub reply_wait: Duration,
}

/// The server. Shared by reference; commands of several callers are pipelined.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    client: Mutex<Option<Client>>,
    /// Who the server was when it was last reached: its record can be removed with its directory.
    reached: std::sync::Mutex<Option<ProcId>>,
    notices: mpsc::Sender<Notice>,
    texts: AtomicU64,
}

impl Server {
    /// Prepares; nothing is started. The receiver hears the notices of all connections.
    ///
    /// # Errors
    /// The socket's path is too long.
    pub fn new(config: ServerConfig) -> Result<(Self, mpsc::Receiver<Notice>), ServerError> {
        let path = socket_path(&config.socket);
        if path.as_os_str().as_bytes().len() > SOCKET_PATH_MAX {
            return Err(ServerError::SocketPath { path });
        }
        let (notices, heard) = mpsc::channel(NOTICES_MAX);
        let server = Self {
            config,
            client: Mutex::new(None),
            reached: std::sync::Mutex::new(None),
            notices,
            texts: AtomicU64::new(0),
        };
        Ok((server, heard))
    }

    /// Connects, starting the server if there is none; who it is. Cheap when connected.
    ///
    /// # Errors
    /// [`ServerError::Wedged`] asks for [`Server::recover`].
    pub async fn ensure(&self) -> Result<ProcId, ServerError> {
        Ok(self.client().await?.server().clone())
    }

    /// The running server's version.
    ///
    /// # Errors
    /// As [`Server::ensure`].
    pub async fn version(&self) -> Result<String, ServerError> {
        Ok(self.client().await?.version().to_owned())
    }

    /// Starts a session with one pane, in one round trip.
    ///
    /// # Errors
    /// The name is taken, or what [`Server::ensure`] says.
    pub async fn spawn_session(&self, request: &SpawnRequest) -> Result<Pane, ServerError> {
        let command = Command::new_session(request).map_err(ClientError::from)?;
        match self.send(&command).await {
            // Perhaps a dead one that the server has not noticed.
            Err(ServerError::Client(ClientError::Refused(why))) if why.starts_with("duplicate session") => {
                self.reap()?;
                read_pane(self.send(&command).await?)
            }
            answer => read_pane(answer?),
        }
    }

    /// Makes the server look at its dead children. Debian's tmux loses a death now and then (its
    /// utempter helper replaces the handler of SIGCHLD): the session would stay, with its name.
    /// For each death that a pidfd tells.
    ///
    /// # Errors
    /// The server may not be signalled.
    pub fn reap(&self) -> Result<(), ServerError> {
        let Some(id) = self.recorded() else { return Ok(()) };
        match id.open().map_err(|source| self.record_error(source))? {
            Some(pidfd) => pidfd.signal(Signal::SIGCHLD).map_err(|source| self.record_error(source)),
            None => Ok(()),
        }
    }

    /// Starts many sessions, all in one round trip; the answers in their order.
    ///
    /// # Errors
    /// As [`Server::ensure`]; a session's own failure is its own answer.
    pub async fn spawn_sessions(
        &self,
        requests: &[SpawnRequest],
    ) -> Result<Vec<Result<Pane, ServerError>>, ServerError> {
        let client = self.client().await?;
        let commands: Vec<Result<Command, CommandError>> =
            requests.iter().map(Command::new_session).collect();
        let good: Vec<Command> = commands.iter().filter_map(|c| c.as_ref().ok()).cloned().collect();
        let mut answers = client.send_all(&good).await.into_iter();
        let answer = |command: Result<Command, CommandError>| match command {
            Ok(_) => read_pane(answers.next().expect("one answer for each command")?),
            Err(error) => Err(ClientError::from(error).into()),
        };
        Ok(commands.into_iter().map(answer).collect())
    }

    /// All panes but the sentinel's.
    ///
    /// # Errors
    /// As [`Server::ensure`]. An error means "not known", never "none".
    pub async fn list_panes(&self) -> Result<Vec<PaneInfo>, ServerError> {
        let mut panes = Vec::new();
        for line in self.send(&Command::list_panes()).await? {
            panes.push(parse_info(&line).ok_or(ClientError::Answer(line))?);
        }
        panes.retain(|pane| pane.session_name != SENTINEL);
        Ok(panes)
    }

    /// Ends a session; its processes get SIGHUP. One that is gone already is no error.
    ///
    /// # Errors
    /// As [`Server::ensure`].
    pub async fn kill_session(&self, session: SessionId) -> Result<(), ServerError> {
        match self.send(&Command::kill_session(session)).await {
            Ok(_) => Ok(()),
            Err(ServerError::Client(ClientError::Refused(message))) if message.contains("find session") => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Types `text` into a pane, byte by byte as it is; it is submitted separately, by a key.
    ///
    /// # Errors
    /// The pane is gone, or the text cannot be written to its directory.
    pub async fn paste_text(&self, pane: PaneId, text: &[u8]) -> Result<(), ServerError> {
        let number = self.texts.fetch_add(1, Ordering::Relaxed);
        let buffer = format!("sprint-{}-{number}", std::process::id());
        let path = self.config.directory.join(format!("paste-{}-{number}", std::process::id()));
        let file = |source| ServerError::File { path: path.clone(), source };
        write_private(&path, text).map_err(file)?;
        let client = self.client().await?;
        let commands = [Command::load_buffer(&buffer, &path), Command::paste_buffer(&buffer, pane)];
        let answers = client.send_all(&commands).await;
        fs::remove_file(&path).map_err(file)?;
        for answer in answers {
            answer?;
        }
        Ok(())
    }

    /// Presses one key in a pane.
    ///
    /// # Errors
    /// The pane is gone.
    pub async fn send_key(&self, pane: PaneId, key: &Key) -> Result<(), ServerError> {
        self.send(&Command::send_key(pane, key)).await.map(|_| ())
    }

    /// The lines that a pane shows now.
    ///
    /// # Errors
    /// The pane is gone.
    pub async fn capture_pane(&self, pane: PaneId) -> Result<Vec<String>, ServerError> {
        self.send(&Command::capture_pane(pane)).await
    }

    /// Any command; its output by line.
    ///
    /// # Errors
    /// As [`Server::ensure`], or tmux refuses it.
    pub async fn send(&self, command: &Command) -> Result<Vec<String>, ServerError> {
        Ok(self.client().await?.send(command).await?)
    }

    /// Ends a server that does not answer, by its recorded pid, and starts another one. All panes
    /// of the old one are gone afterwards.
    ///
    /// # Errors
    /// It cannot be killed, or no other one started.
    pub async fn recover(&self) -> Result<ProcId, ServerError> {
        let mut slot = self.client.lock().await;
        // Not waited for: it is as stuck as its server.
        *slot = None;
        self.end(&[Signal::SIGKILL]).await?;
        let client = self.connect().await?;
        Ok(slot.insert(client).server().clone())
    }

    /// Ends the server and all its panes, and waits until they are gone.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill_server(&self) -> Result<(), ServerError> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.take() {
            client.leave().await;
        }
        self.end(&[Signal::SIGTERM, Signal::SIGKILL]).await?;
        self.await_panes().await
    }

    /// A pane's process dies of the hang-up a moment after the server, also after one that somebody
    /// else has ended. What ignores the hang-up was started by a person, and stays.
    async fn await_panes(&self) -> Result<(), ServerError> {
        let file = |source| self.record_error(source);
        let mark = format!("TMUX={},", socket_path(&self.config.socket).display());
        let end = tokio::time::Instant::now() + PANES_WAIT;
        let processes = Table::scan().and_then(|table| table.with_environment(mark.as_bytes()));
        for process in processes.map_err(file)? {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            if !gone_within(&process, left).await.map_err(file)? {
                tracing::warn!(pid = process.pid, "a process of a pane outlives the tmux server");
            }
        }
        Ok(())
    }

    /// The server that runs, if one does; nothing is started and it need not answer.
    pub fn running(&self) -> Option<ProcId> {
        self.recorded().or_else(|| listener(&socket_path(&self.config.socket)))
    }

    /// Puts up again what a living server and those who look for it need: its socket and its record.
    /// Cheap where they are there.
    ///
    /// # Errors
    /// [`ServerError::Wedged`] if the server does not put its socket up.
    pub async fn keep(&self) -> Result<(), ServerError> {
        self.restore_socket().await?;
        match self.recorded() {
            Some(id) if !self.record_path().exists() => self.record(&id),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether both files are where [`Self::keep`] would put them: two looks, for a loop that idles.
    pub fn is_in_place(&self) -> bool {
        socket_path(&self.config.socket).exists() && self.record_path().exists()
    }

    /// The server that was recorded last, if it lives.
    fn recorded(&self) -> Option<ProcId> {
        let written = fs::read(self.record_path()).ok();
        let written = written.and_then(|text| serde_json::from_slice::<ProcId>(&text).ok());
        let reached = || self.reached.lock().unwrap_or_else(PoisonError::into_inner).clone();
        written.filter(ProcId::alive).or_else(|| reached().filter(ProcId::alive))
    }

    async fn client(&self) -> Result<Client, ServerError> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| !client.is_closed() && client.server().alive()) {
            return Ok(client.clone());
        }
        *slot = None;
        Ok(slot.insert(self.connect().await?).clone())
    }

    /// A server that is just going down refuses clients for a moment: tried again. One that never
    /// comes to its end, because a client of its does not go, refuses them for ever: it is wedged.
    async fn connect(&self) -> Result<Client, ServerError> {
        self.restore_socket().await?;
        let launch = self.launch()?;
        let mut pause = CONNECT_PAUSE;
        for left in (0..CONNECT_TRIES).rev() {
            match Client::connect(&launch, self.notices.clone()).await {
                Ok(client) => {
                    self.record(client.server())?;
                    return Ok(client);
                }
                Err(error @ (ClientError::Deadline(_) | ClientError::Start(_) | ClientError::Command(_))) => {
                    return Err(error.into());
                }
                Err(ClientError::Closed(why)) if left == 0 && self.running().is_some() => {
                    tracing::warn!(why, "the tmux server is there and takes nobody");
                    return Err(ServerError::Wedged(pause));
                }
                Err(error) if left == 0 => return Err(error.into()),
                Err(error) => tracing::debug!(%error, "tmux cannot be reached, trying again"),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(ClientError::Closed("it could not be opened".to_owned()).into())
    }

    /// Something that cleans /tmp may have removed the socket of a living server; connecting would
    /// then start a second one beside it. SIGUSR1 makes tmux put its socket up again.
    async fn restore_socket(&self) -> Result<(), ServerError> {
        let socket = socket_path(&self.config.socket);
        let mut pause = CONNECT_PAUSE;
        for _ in 0..CONNECT_TRIES {
            let Some(id) = self.recorded().filter(|_| !socket.exists()) else { return Ok(()) };
            tracing::warn!(socket = %socket.display(), "the socket of the tmux server is gone; asking for it");
            make_socket_directory(&socket)?;
            if let Some(pidfd) = id.open().map_err(|source| self.record_error(source))? {
                pidfd.signal(Signal::SIGUSR1).map_err(|source| self.record_error(source))?;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(ServerError::Wedged(pause))
    }

    fn record_error(&self, source: io::Error) -> ServerError {
        ServerError::File { path: self.record_path(), source }
    }

    fn launch(&self) -> Result<Launch, ServerError> {
        let config = self.config.directory.join("tmux.conf");
        write_private(&config, CONFIG.as_bytes())
            .map_err(|source| ServerError::File { path: config.clone(), source })?;
        let attach = NewSession::new().attach().session_name(SENTINEL).width(80).height(24).build();
        let mut args: Vec<OsString> = vec!["-L".into(), self.config.socket.clone().into()];
        args.extend(["-f".into(), config.into(), "-C".into()]);
        args.extend(attach.to_vec().into_iter().map(|word| OsString::from(word.into_owned())));
        args.extend(["--", "sleep", "infinity"].map(OsString::from));
        let program = self.config.program.clone();
        Ok(Launch {
            program,
            args,
            env: self.environment(),
            cwd: "/".into(),
            reply_wait: self.config.reply_wait,
        })
    }

    /// All that the server, and therefore every pane, has from us. `TMUX` and `TMUX_TMPDIR` are
    /// not in it, nor what an agent's CLI set in the terminal where sprint was started.
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let fixed = [("LANG", "C.UTF-8"), ("TERM", "xterm-256color"), ("SHELL", "/bin/sh")];
        let mut env: Vec<_> = fixed.map(|(key, value)| (key.into(), value.into())).to_vec();
        env.push(("PATH".into(), self.config.path.clone()));
        env.push(("HOME".into(), self.config.home.clone()));
        env
    }

    async fn end(&self, signals: &[Signal]) -> Result<(), ServerError> {
        let Some(id) = self.running() else { return Ok(()) };
        let file = |source| self.record_error(source);
        for &signal in signals {
            if let Some(pidfd) = id.open().map_err(file)? {
                pidfd.signal(signal).map_err(file)?;
            }
            if gone_within(&id, END_WAIT).await.map_err(file)? {
                return self.forget();
            }
        }
        Err(ServerError::Unkillable { id })
    }

    /// A dead server leaves its socket behind.
    fn forget(&self) -> Result<(), ServerError> {
        for path in [socket_path(&self.config.socket), self.record_path()] {
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if is_gone(&error) => {}
                Err(source) => return Err(ServerError::File { path, source }),
            }
        }
        Ok(())
    }

    fn record(&self, id: &ProcId) -> Result<(), ServerError> {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.clone());
        let written = serde_json::to_vec(id).map_err(io::Error::from);
        written
            .and_then(|text| write_private(&self.record_path(), &text))
            .map_err(|source| self.record_error(source))
    }

    fn record_path(&self) -> PathBuf {
        self.config.directory.join("tmux.pid")
    }
}

fn read_pane(lines: Vec<String>) -> Result<Pane, ServerError> {
    let line = lines.into_iter().next().unwrap_or_default();
    Ok(parse_pane(&line).ok_or(ClientError::Answer(line))?)
}

/// Who listens on a socket, as the kernel knows it: also of a server whose record is lost and that
/// answers nothing. Never blocks.
fn listener(path: &Path) -> Option<ProcId> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
    socket::connect(socket.as_raw_fd(), &UnixAddr::new(path).ok()?).ok()?;
    let peer = socket::getsockopt(&socket, sockopt::PeerCredentials).ok()?;
    (peer.uid() == nix::unistd::getuid().as_raw()).then(|| ProcId::of(peer.pid()).ok()).flatten()
}

/// tmux makes the directory of its socket only when it starts.
fn make_socket_directory(socket: &Path) -> Result<(), ServerError> {
    let Some(directory) = socket.parent() else { return Ok(()) };
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(ServerError::File { path: directory.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Writes a file of mode 0600 in place of another one, whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let beside = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    fs::rename(&beside, path)
}
