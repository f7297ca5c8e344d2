//! The control-mode connection: one task owns the `tmux -C` child, commands are pipelined.
//!
//! It refuses to wait for ever: if the server does not answer the oldest command in time, all that
//! wait get an error, the child is killed and the connection is over.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::command::{Command, CommandError};
use super::control::{ControlError, Message, Notice, Parser, Reply};
use crate::process::identity::ProcId;

/// The server must answer the oldest command so long after it was sent, or after the answer before.
pub const REPLY_WAIT: Duration = Duration::from_secs(10);
/// Time for a server to start and for the client to be attached.
pub const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// Commands that wait for the task to take them; senders wait beyond that.
const QUEUE_MAX: usize = 1024;
/// Commands that are sent and not answered; more wait in the queue.
const PENDING_MAX: usize = 4096;
/// One read.
const CHUNK: usize = 64 * 1024;
/// Bytes of the child's complaint that an error carries.
const COMPLAINT_MAX: usize = 1024;
/// Time for the child to leave after its standard input is closed.
const LEAVE_WAIT: Duration = Duration::from_secs(1);

/// How to start the child.
#[derive(Debug, Clone)]
pub struct Launch {
    /// tmux.
    pub program: OsString,
    /// From `-L` to the command that attaches.
    pub args: Vec<OsString>,
    /// The whole environment of the client, and of the server if this starts it.
    pub env: Vec<(OsString, OsString)>,
    /// A directory that stays.
    pub cwd: PathBuf,
    /// [`REPLY_WAIT`], as a rule.
    pub reply_wait: Duration,
}

/// What goes wrong with a connection or a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It cannot be written as a line.
    #[error("not a tmux command")]
    Command(#[from] CommandError),
    /// tmux cannot be run.
    #[error("cannot run tmux: {0}")]
    Start(String),
    /// tmux understood and refused.
    #[error("tmux: {0}")]
    Refused(String),
    /// The server is there and does not answer.
    #[error("the tmux server has not answered for {} s", .0.as_secs())]
    Deadline(Duration),
    /// The connection is over; whether the command was executed is not known.
    #[error("the connection to tmux is closed: {0}")]
    Closed(String),
    /// Not what control mode says.
    #[error(transparent)]
    Protocol(#[from] ControlError),
    /// The answer to a command is not what its format says.
    #[error("tmux answered `{0}`, which is not what was asked for")]
    Answer(String),
}

/// A connection that can be cloned; it is closed when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    requests: mpsc::Sender<Request>,
    /// Its sender is the task's: gone when the child is.
    ended: watch::Receiver<()>,
    server: ProcId,
    version: String,
}

type Answer = Result<Reply, ClientError>;

#[derive(Debug)]
struct Request {
    line: Vec<u8>,
    answer: oneshot::Sender<Answer>,
}

impl Client {
    /// Starts the child, waits until it is attached, and learns who the server is. Notices go to
    /// `notices`; those that do not fit are dropped (they are hints).
    ///
    /// # Errors
    /// [`ClientError::Deadline`] means a wedged server.
    pub async fn connect(launch: &Launch, notices: mpsc::Sender<Notice>) -> Result<Self, ClientError> {
        let (requests, queue) = mpsc::channel(QUEUE_MAX);
        let (attached, is_attached) = oneshot::channel();
        let connection = Connection::start(launch, notices, attached)?;
        let (ending, ended) = watch::channel(());
        tokio::spawn(async move {
            connection.serve(queue).await;
            drop(ending);
        });
        match timeout(CONNECT_WAIT, is_attached).await {
            Ok(Ok(answer)) => accept(&answer?)?,
            Ok(Err(_)) => return Err(ClientError::Closed("before it was attached".to_owned())),
            Err(_) => return Err(ClientError::Deadline(CONNECT_WAIT)),
        };
        // Not known until it has answered; nobody sees it before.
        let nobody = ProcId { boot_id: String::new(), pid: 0, start_ticks: 0 };
        let mut client = Self { requests, ended, server: nobody, version: String::new() };
        let facts = client.send_all(&[Command::server_facts(), Command::quiet_client()]).await;
        let mut answers = facts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter();
        let line = answers.next().and_then(|lines| lines.into_iter().next()).unwrap_or_default();
        (client.server, client.version) = server_facts(&line).ok_or(ClientError::Answer(line))?;
        Ok(client)
    }

    /// The server's process.
    pub fn server(&self) -> &ProcId {
        &self.server
    }

    /// The running server's own version, which an upgrade of the program does not change.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Waits until the child is gone, if this is the last clone; a server that is ended while a
    /// client is about to leave has been seen to hang.
    pub async fn leave(self) {
        let mut ended = self.ended.clone();
        drop(self);
        if timeout(LEAVE_WAIT * 2, ended.changed()).await.is_err() {
            tracing::debug!("the control client of tmux is still in use");
        }
    }

    /// Sends one command; its output by line.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if tmux refuses it, others if the connection ends meanwhile.
    pub async fn send(&self, command: &Command) -> Result<Vec<String>, ClientError> {
        self.enqueue(command.line()?).await?.lines().await
    }

    /// Sends all commands at once, then collects the answers, in the same order.
    pub async fn send_all(&self, commands: &[Command]) -> Vec<Result<Vec<String>, ClientError>> {
        let mut waiting = Vec::with_capacity(commands.len());
        for command in commands {
            waiting.push(match command.line() {
                Ok(line) => self.enqueue(line).await,
                Err(error) => Err(error.into()),
            });
        }
        let mut answers = Vec::with_capacity(waiting.len());
        for one in waiting {
            answers.push(match one {
                Ok(waiting) => waiting.lines().await,
                Err(error) => Err(error),
            });
        }
        answers
    }

    async fn enqueue(&self, line: Vec<u8>) -> Result<Waiting, ClientError> {
        let (answer, waiting) = oneshot::channel();
        // The task always goes on taking requests or ends, so this cannot hang.
        match self.requests.send(Request { line, answer }).await {
            Ok(()) => Ok(Waiting(waiting)),
            Err(_) => Err(ClientError::Closed("it was closed before".to_owned())),
        }
    }
}

struct Waiting(oneshot::Receiver<Answer>);

impl Waiting {
    async fn lines(self) -> Result<Vec<String>, ClientError> {
        match self.0.await {
            Ok(answer) => accept(&answer?),
            Err(_) => Err(ClientError::Closed("it ended".to_owned())),
        }
    }
}

fn accept(reply: &Reply) -> Result<Vec<String>, ClientError> {
    let lines: Vec<String> = reply.lines.iter().map(|l| String::from_utf8_lossy(l).into_owned()).collect();
    if reply.ok { Ok(lines) } else { Err(ClientError::Refused(lines.join("; "))) }
}

fn server_facts(line: &str) -> Option<(ProcId, String)> {
    let (pid, version) = line.split_once(' ')?;
    Some((ProcId::of(pid.parse().ok()?).ok()?, version.to_owned()))
}

/// What the task owns.
struct Connection {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    parser: Parser,
    outgoing: Vec<u8>,
    /// How much of `outgoing` the child has.
    written: usize,
    pending: VecDeque<oneshot::Sender<Answer>>,
    /// When the oldest of `pending` was sent or got to the front.
    since: Instant,
    reply_wait: Duration,
    attached: Option<oneshot::Sender<Answer>>,
    notices: mpsc::Sender<Notice>,
}

impl Connection {
    fn start(
        launch: &Launch,
        notices: mpsc::Sender<Notice>,
        attached: oneshot::Sender<Answer>,
    ) -> Result<Self, ClientError> {
        let mut child = tokio::process::Command::new(&launch.program)
            .args(&launch.args)
            .env_clear()
            .envs(launch.env.iter().cloned())
            .current_dir(&launch.cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| ClientError::Start(error.to_string()))?;
        let pipes = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = pipes else {
            return Err(ClientError::Start("it has no pipes".to_owned()));
        };
        Ok(Self {
            child,
            stdin,
            stdout,
            parser: Parser::default(),
            outgoing: Vec::new(),
            written: 0,
            pending: VecDeque::new(),
            since: Instant::now(),
            reply_wait: launch.reply_wait,
            attached: Some(attached),
            notices,
        })
    }

    async fn serve(mut self, mut queue: mpsc::Receiver<Request>) {
        let end = self.pump(&mut queue).await;
        // Whoever enqueues from now on is told at once.
        queue.close();
        let error = match end {
            Ok(()) => return self.leave().await,
            Err(ClientError::Closed(why)) => ClientError::Closed(self.complaint().await.unwrap_or(why)),
            Err(error) => error,
        };
        tracing::debug!(%error, "the connection to tmux is over");
        let mut waiting: Vec<_> = self.attached.take().into_iter().chain(self.pending.drain(..)).collect();
        while let Ok(request) = queue.try_recv() {
            waiting.push(request.answer);
        }
        for answer in waiting {
            // A receiver that has gone does not want to know.
            drop(answer.send(Err(error.clone())));
        }
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "cannot kill the control client of tmux");
        }
    }

    /// Until all clients are dropped (`Ok`) or the connection is of no use any more.
    async fn pump(&mut self, queue: &mut mpsc::Receiver<Request>) -> Result<(), ClientError> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let stalled = self.since + self.reply_wait;
            tokio::select! {
                request = queue.recv(), if self.pending.len() < PENDING_MAX => match request {
                    Some(request) => self.take(request),
                    None => return Ok(()),
                },
                written = self.stdin.write(&self.outgoing[self.written..]), if !self.outgoing.is_empty() => {
                    self.written += written.map_err(closed)?;
                    if self.written == self.outgoing.len() {
                        self.outgoing.clear();
                        self.written = 0;
                    }
                }
                read = self.stdout.read(&mut buffer) => match read.map_err(closed)? {
                    0 => return Err(ClientError::Closed("tmux has ended".to_owned())),
                    n => self.hear(&buffer[..n])?,
                },
                () = sleep_until(stalled), if !self.pending.is_empty() => {
                    return Err(ClientError::Deadline(self.reply_wait));
                }
            }
        }
    }

    fn take(&mut self, request: Request) {
        if self.pending.is_empty() {
            self.since = Instant::now();
        }
        self.outgoing.extend_from_slice(&request.line);
        self.pending.push_back(request.answer);
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let mut messages = Vec::new();
        self.parser.feed(bytes, &mut messages)?;
        for message in messages {
            match message {
                Message::Reply(reply) if reply.ours => {
                    self.since = Instant::now();
                    let Some(answer) = self.pending.pop_front() else {
                        return Err(ClientError::Answer("a reply to nothing".to_owned()));
                    };
                    drop(answer.send(Ok(reply)));
                }
                Message::Reply(reply) => {
                    if let Some(attached) = self.attached.take() {
                        drop(attached.send(Ok(reply)));
                    }
                }
                Message::Notice(notice) => self.pass_on(notice)?,
            }
        }
        Ok(())
    }

    fn pass_on(&mut self, notice: Notice) -> Result<(), ClientError> {
        let exit = match &notice {
            Notice::Exit(reason) => Some(reason.clone().unwrap_or_else(|| "tmux put us out".to_owned())),
            _ => None,
        };
        if let Err(error) = self.notices.try_send(notice) {
            tracing::debug!(%error, "a notice of tmux is dropped");
        }
        exit.map_or(Ok(()), |reason| Err(ClientError::Closed(reason)))
    }

    /// All clients are dropped: lets the child go, so that the server is not left with half a
    /// client.
    async fn leave(mut self) {
        drop(self.stdin);
        if timeout(LEAVE_WAIT, self.child.wait()).await.is_err()
            && let Err(error) = self.child.kill().await
        {
            tracing::warn!(%error, "cannot kill the control client of tmux");
        }
    }

    /// What the child wrote to standard error, if it did.
    async fn complaint(&mut self) -> Option<String> {
        let mut text = vec![0; COMPLAINT_MAX];
        let read = timeout(LEAVE_WAIT, self.child.stderr.as_mut()?.read(&mut text)).await;
        let n = read.ok()?.ok()?;
        let text = String::from_utf8_lossy(&text[..n]).trim().escape_debug().to_string();
        (!text.is_empty()).then_some(text)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn closed(error: io::Error) -> ClientError {
    ClientError::Closed(error.to_string())
}
