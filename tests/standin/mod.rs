//! A stand-in for the model providers: a server on the loopback interface that speaks their
//! protocols over real HTTP, so that the real agent programs run against it unmodified, offline and
//! the same way each time. What it answers is a [`Scenario`]; where a conversation is in it, it
//! reads from the conversation, so that any number of agents may share one stand-in.
//!
//! The server is by hand over `std::net`: a fault is a socket that ends or stops in the wrong place.
//!
//! ```ignore
//! let standin = Standin::start(Scenario::default().rule("T001", [write("a.txt", "a"), say("Done.")]));
//! // ANTHROPIC_BASE_URL=standin.url(), or a provider's base URL format!("{}/v1", standin.url())
//! ```

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test program uses its own part of this, and fails loudly"
)]

mod anthropic;
mod chat;
mod conversation;
mod gemini;
mod http;
mod play;
mod protocol;
mod responses;
pub(crate) mod scenario;
mod server;
mod tools;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use protocol::Protocol;
pub(crate) use scenario::Scenario;
use server::{Shared, lock};

/// The connection that wakes the server up for its end.
const WAKE_MAX: Duration = Duration::from_secs(5);

/// One request for an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// How it was asked.
    pub protocol: Protocol,
    /// Without the query.
    pub path: String,
    /// The model that was asked for.
    pub model: String,
    /// What the user, or the program in the user's name, said last.
    pub user: String,
    /// All of it.
    pub body: Value,
}

/// A server that plays a scenario until it is dropped.
#[derive(Debug)]
pub(crate) struct Standin {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Standin {
    /// Starts on a free port of 127.0.0.1.
    pub(crate) fn start(scenario: Scenario) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::new(scenario));
        let for_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || server::accept(&listener, &for_thread));
        Self { address, shared, thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`, without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests for an answer, the newest 1000.
    pub(crate) fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).iter().cloned().collect()
    }

    /// How many requests for an answer there were.
    pub(crate) fn count(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Connections that broke, and requests that were not understood: empty after a good run.
    pub(crate) fn failures(&self) -> Vec<String> {
        lock(&self.shared.failures).iter().cloned().collect()
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Only a connection ends `accept`; if there is none to be had, the thread is left behind.
        let woken = TcpStream::connect_timeout(&self.address, WAKE_MAX).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken)
            && thread.join().is_err()
            && !thread::panicking()
        {
            panic!("the stand-in has panicked");
        }
    }
}
