//! Several children at once, for a caller with one thread: it waits for all of them together.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::run::{Outcome, SpawnError, Spec, Stream, run};

/// So many chunks of output wait to be heard by a caller that is busy; then the child waits.
const CHUNKS: usize = 16;

/// Ends what runs, all at once. Its clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends them.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has come.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Starts a child that nobody listens to, on a thread of its own, whether or not anybody waits for it
    /// yet. Within [`wait`].
    pub fn start(&self, spec: Spec) -> Started {
        let stop = self.clone();
        Started(tokio::task::spawn_blocking(move || run(&spec, &mut |_, _| {}, &|| stop.came())))
    }

    /// Runs a child to its end, or until it comes: as [`run`], on a thread of its own, within [`wait`].
    ///
    /// # Errors
    /// As [`run`].
    pub async fn run(
        &self,
        spec: Spec,
        on_output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Outcome, SpawnError> {
        let (sender, mut heard) = mpsc::channel::<(Stream, Vec<u8>)>(CHUNKS);
        let stop = self.clone();
        let driven = tokio::task::spawn_blocking(move || {
            // Who does not listen any more has dropped this future, and wants none of it.
            let mut tell = |stream, bytes: &[u8]| drop(sender.blocking_send((stream, bytes.to_vec())));
            run(&spec, &mut tell, &|| stop.came())
        });
        while let Some((stream, bytes)) = heard.recv().await {
            on_output(stream, &bytes);
        }
        driven.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

/// A child that runs.
#[derive(Debug)]
pub struct Started(JoinHandle<Result<Outcome, SpawnError>>);

impl Started {
    /// Waits for its end.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn end(self) -> Result<Outcome, SpawnError> {
        self.0.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

/// Waits for what waits for children.
///
/// # Errors
/// The system has no means for it.
pub fn wait<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    Ok(runtime.block_on(future))
}

/// What `future` comes to, if it does so within `limit`. Within [`wait`].
pub async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, future).await.ok()
}

/// Lets others go on for so long. Within [`wait`].
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::run::{Ending, Session, Stdin};

    fn sh(script: &str) -> Spec {
        Spec {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            cwd: "/".into(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            stdin: Stdin::Null,
            timeout: Duration::from_mins(1),
            output_max: 1 << 20,
            grace: Duration::from_secs(1),
            session: Session::NewSession,
            bounds: None,
        }
    }

    #[test]
    fn all_that_a_child_says_is_heard_in_its_order() {
        let mut heard = Vec::new();
        let outcome = wait(async {
            let mut hear = |_, bytes: &[u8]| heard.extend_from_slice(bytes);
            Stop::default().run(sh("seq 1 300000; exit 3"), &mut hear).await
        });
        let outcome = outcome.unwrap().unwrap();
        assert_eq!(outcome.ending, Ending::Exit(3));
        assert_eq!(outcome.stdout.len() as u64 + outcome.dropped, heard.len() as u64);
        let numbers = String::from_utf8(heard).unwrap();
        assert!(numbers.lines().map(|line| line.parse::<u32>().unwrap()).eq(1..=300_000));
    }

    #[test]
    fn a_stop_ends_them_all() {
        let stop = Stop::default();
        let (a, b, none) = wait(async {
            let (mut quiet, mut also) = (|_, _: &[u8]| {}, |_, _: &[u8]| {});
            let none = within(Duration::from_millis(10), stop.run(sh("exec sleep 60"), &mut |_, _| {})).await;
            let long = async {
                tokio::join!(stop.run(sh("sleep 60"), &mut quiet), stop.run(sh("sleep 60"), &mut also))
            };
            let end = async {
                pause(Duration::from_millis(10)).await;
                stop.now();
            };
            let ((a, b), ()) = tokio::join!(long, end);
            (a, b, none)
        })
        .unwrap();
        assert!(none.is_none());
        assert_eq!((a.unwrap().ending, b.unwrap().ending), (Ending::Cancelled, Ending::Cancelled));
    }
}
