//! The server: a thread that accepts, and one for each connection, all ended with the stand-in.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use super::conversation::{Answer, Conversation, Event};
use super::play::{self, Met, Next};
use super::protocol::{self, Protocol, Route};
use super::scenario::{Kind, Scenario};
use super::{Request, http};

/// Connections at a time; more are closed at once.
const OPEN_MAX: usize = 64;
/// Requests and failures that are kept.
const KEPT_MAX: usize = 1000;
/// A client that takes longer to send or to read is gone.
const CLIENT_MAX: Duration = Duration::from_secs(30);
/// A stalled answer is held no longer.
const STALL_MAX: Duration = Duration::from_mins(10);

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub scenario: Scenario,
    pub stop: AtomicBool,
    pub count: AtomicUsize,
    pub requests: Mutex<VecDeque<Request>>,
    /// Connections that broke, and what could not be understood.
    pub failures: Mutex<VecDeque<String>>,
    met: Mutex<Met>,
    open: Mutex<BTreeMap<usize, TcpStream>>,
}

/// The content, also after a thread has panicked: the test fails by that thread.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep<T>(kept: &Mutex<VecDeque<T>>, one: T) {
    let mut kept = lock(kept);
    if kept.len() >= KEPT_MAX {
        kept.pop_front();
    }
    kept.push_back(one);
}

impl Shared {
    pub(super) fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            stop: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            requests: Mutex::default(),
            failures: Mutex::default(),
            met: Mutex::default(),
            open: Mutex::default(),
        }
    }
}

/// A connection while it is served. The copy by which the server can end it would keep it open after
/// its thread, also one that has panicked.
struct Open<'a> {
    shared: &'a Shared,
    number: usize,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        lock(&self.shared.open).remove(&self.number);
    }
}

/// Accepts until it is told to stop, then ends every connection and its thread.
pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for (number, stream) in listener.incoming().enumerate() {
        if shared.stop.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        let begun = stream.and_then(|stream| {
            if threads.len() >= OPEN_MAX {
                return Err(io::Error::other("too many connections at a time"));
            }
            lock(&shared.open).insert(number, stream.try_clone()?);
            Ok(stream)
        });
        match begun {
            Ok(stream) => {
                let shared = Arc::clone(shared);
                threads.push(thread::spawn(move || {
                    let _open = Open { shared: &shared, number };
                    if let Err(error) = serve(&stream, &shared) {
                        keep(&shared.failures, error.to_string());
                    }
                }));
            }
            Err(error) => keep(&shared.failures, error.to_string()),
        }
    }
    for stream in lock(&shared.open).values() {
        // Closed already by its client: nothing is left to end.
        let _ = stream.shutdown(Shutdown::Both);
    }
    for thread in threads {
        if thread.join().is_err() {
            keep(&shared.failures, "a thread has panicked".to_owned());
        }
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(CLIENT_MAX))?;
    stream.set_write_timeout(Some(CLIENT_MAX))?;
    stream.set_nodelay(true)?;
    let Some(incoming) = http::read(stream)? else { return Ok(()) };
    let Some(route) = protocol::route(&incoming.method, &incoming.path, &incoming.query) else {
        keep(&shared.failures, format!("{} {} is not known", incoming.method, incoming.path));
        let body = protocol::error(Protocol::Chat, 404, None);
        return http::answer(stream, 404, &[], &body.to_string());
    };
    let (protocol, model, streamed) = match route {
        Route::Models(protocol) => {
            return http::answer(stream, 200, &[], &protocol::models(protocol).to_string());
        }
        Route::Count(protocol) => {
            let body = protocol::count(protocol, shared.scenario.usage);
            return http::answer(stream, 200, &[], &body.to_string());
        }
        Route::Alive => return http::answer(stream, 200, &[], ""),
        Route::Generate { protocol, model, stream } => (protocol, model, stream),
    };
    let body: Value = match serde_json::from_slice(&incoming.body) {
        Ok(body) => body,
        Err(error) => {
            keep(&shared.failures, format!("{}: the body is no JSON: {error}", incoming.path));
            let said = error.to_string();
            let body = protocol::error(protocol, 400, Some(("invalid_request_error", &said)));
            return http::answer(stream, 400, &[], &body.to_string());
        }
    };
    let conversation = protocol::read(protocol, &body, &model, streamed);
    let number = shared.count.fetch_add(1, Ordering::SeqCst) + 1;
    let next = play::next(&shared.scenario, &conversation, &mut lock(&shared.met));
    let user = conversation.last_user().to_owned();
    let model = conversation.model.clone();
    keep(&shared.requests, Request { protocol, path: incoming.path, model, user, body });
    let reply = Reply { stream, shared, protocol, number, conversation: &conversation };
    match next {
        Next::Answer(answer) => reply.answer(&answer, None),
        Next::Fault(kind) => reply.fault(&kind),
        Next::Impossible(why) => {
            keep(&shared.failures, why.clone());
            reply.status(400, &[], Some(("invalid_request_error", &why)))
        }
    }
}

/// What breaks an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Truncated,
    Malformed,
    Stalled,
}

/// One answer on its connection.
struct Reply<'a> {
    stream: &'a TcpStream,
    shared: &'a Shared,
    protocol: Protocol,
    number: usize,
    conversation: &'a Conversation,
}

impl Reply<'_> {
    fn status(
        &self,
        status: u16,
        headers: &[(String, String)],
        said: Option<(&str, &str)>,
    ) -> io::Result<()> {
        let body = protocol::error(self.protocol, status, said);
        http::answer(self.stream, status, headers, &body.to_string())
    }

    fn fault(&self, kind: &Kind) -> io::Result<()> {
        // What is seen of it does not matter.
        let some =
            Answer { text: Some("This answer does not arrive whole.".to_owned()), ..Answer::default() };
        match kind {
            Kind::Http { status, retry_after, headers, body } => {
                let mut all: Vec<(String, String)> =
                    headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                all.extend(retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_string())));
                match body {
                    Some(body) => http::answer(self.stream, *status, &all, body),
                    None => self.status(*status, &all, None),
                }
            }
            Kind::Dropped => self.stream.shutdown(Shutdown::Both),
            Kind::Truncated => self.answer(&some, Some(Broken::Truncated)),
            Kind::Malformed => self.answer(&some, Some(Broken::Malformed)),
            Kind::Stalled => self.answer(&some, Some(Broken::Stalled)),
            Kind::Refusal => {
                let text = Some("I cannot help with that.".to_owned());
                self.answer(&Answer { text, call: None, refused: true }, None)
            }
            Kind::ContextTooLong => {
                let said = protocol::too_long(self.protocol);
                match protocol::failed(self.protocol, self.number, self.conversation, said) {
                    Some(events) => self.send(&events, None),
                    None => self.status(400, &[], Some(said)),
                }
            }
        }
    }

    fn answer(&self, answer: &Answer, broken: Option<Broken>) -> io::Result<()> {
        let usage = self.shared.scenario.usage;
        if self.conversation.stream {
            let events = protocol::events(self.protocol, self.number, self.conversation, answer, usage);
            return self.send(&events, broken);
        }
        let body = protocol::whole(self.protocol, self.number, self.conversation, answer, usage).to_string();
        match broken {
            None => http::answer(self.stream, 200, &[], &body),
            Some(Broken::Malformed) => http::answer(self.stream, 200, &[], "{\"id\": \"msg"),
            Some(broken) => {
                let mut chunks = http::Chunks::begin(self.stream, "application/json")?;
                chunks.write(body.get(..body.len() / 2).unwrap_or("{"))?;
                self.leave(broken)
            }
        }
    }

    fn send(&self, events: &[Event], broken: Option<Broken>) -> io::Result<()> {
        let mut chunks = http::Chunks::begin(self.stream, "text/event-stream; charset=utf-8")?;
        let middle = events.len().div_ceil(2);
        for (index, event) in events.iter().enumerate() {
            match broken {
                Some(Broken::Malformed) if index == middle => {
                    let cut = event.data.get(..event.data.len() / 2).unwrap_or("{").to_owned();
                    chunks.write(&Event { name: event.name.clone(), data: cut }.lines())?;
                    continue;
                }
                Some(broken @ (Broken::Truncated | Broken::Stalled)) if index == middle => {
                    return self.leave(broken);
                }
                _ => {}
            }
            chunks.write(&event.lines())?;
        }
        chunks.end()
    }

    /// Leaves the answer as it is: at once, or when the client has given up.
    fn leave(&self, broken: Broken) -> io::Result<()> {
        if broken == Broken::Stalled {
            self.stream.set_read_timeout(Some(STALL_MAX))?;
            let mut stream = self.stream;
            let mut rest = [0; 256];
            while stream.read(&mut rest)? > 0 {}
        }
        self.stream.shutdown(Shutdown::Both)
    }
}
