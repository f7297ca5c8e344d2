//! The tmux side: workers' sessions, made in one go, adopted, ended.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Place, SupervisorError};
use crate::config::layout::{
    HASH_VARIABLE, REPO_VARIABLE, RUNTIME_VARIABLE, SLOTS_VARIABLE, STATE_VARIABLE, WORKER_VARIABLE,
};
use crate::domain::ids::WorkerName;
use crate::domain::pipeline::Role;
use crate::error::chain as full;
use crate::process::identity::ProcId;
use crate::seeded;
use crate::tmux::client::REPLY_WAIT;
use crate::tmux::{
    command::SpawnRequest,
    pane::{Pane, PaneInfo},
    server::{Server, ServerConfig, ServerError},
};

/// The sprint's tmux server.
#[derive(Debug, Clone)]
pub(super) struct Panes {
    server: Arc<Server>,
    place: Place,
    program: PathBuf,
}

impl Panes {
    /// Finds or starts the server.
    ///
    /// # Errors
    /// tmux is missing, too old, or does not answer even after it was ended.
    pub(super) async fn open(place: &Place) -> Result<Self, SupervisorError> {
        let variable = |name: &str| std::env::var_os(name).unwrap_or_default();
        let config = ServerConfig {
            socket: place.layout.tmux_name(),
            // Not the runtime directory: that one can go while the server runs.
            directory: place.layout.state.clone(),
            program: OsString::from("tmux"),
            path: variable("PATH"),
            home: variable("HOME"),
            reply_wait: REPLY_WAIT,
        };
        let (server, mut notices) = Server::new(config)?;
        // Deaths are seen by pidfd; the notices only have to be taken away.
        tokio::task::spawn_local(async move { while notices.recv().await.is_some() {} });
        let program =
            std::env::current_exe().map_err(SupervisorError::system("find sprint's own program"))?;
        let panes = Self { server: Arc::new(server), place: place.clone(), program };
        panes.ensure().await?;
        Ok(panes)
    }

    /// Connects, or ends a wedged server and starts another one.
    pub(super) async fn ensure(&self) -> Result<ProcId, ServerError> {
        match self.server.ensure().await {
            Err(ServerError::Wedged(waited)) => {
                tracing::warn!(?waited, "the tmux server does not answer; it is ended and started again");
                self.server.recover().await
            }
            other => other,
        }
    }

    /// Makes the sessions of several workers in one round trip.
    pub(super) async fn spawn(
        &self,
        workers: &[(WorkerName, Role, u32)],
    ) -> Vec<(WorkerName, Result<Pane, String>)> {
        let requests: Vec<SpawnRequest> =
            workers.iter().map(|(name, role, slot)| self.request(name, *role, *slot)).collect();
        let answers = match self.try_spawn(&requests).await {
            Ok(answers) => answers,
            Err(error) => {
                let text = full(&error);
                return workers.iter().map(|(name, _, _)| (name.clone(), Err(text.clone()))).collect();
            }
        };
        let answer = |answer: Result<Pane, ServerError>| answer.map_err(|error| full(&error));
        workers.iter().zip(answers).map(|((name, _, _), pane)| (name.clone(), answer(pane))).collect()
    }

    async fn try_spawn(
        &self,
        requests: &[SpawnRequest],
    ) -> Result<Vec<Result<Pane, ServerError>>, ServerError> {
        self.ensure().await?;
        self.server.spawn_sessions(requests).await
    }

    fn request(&self, name: &WorkerName, role: Role, slot: u32) -> SpawnRequest {
        let layout = &self.place.layout;
        let slot = slot.to_string();
        let words = ["agent", "work", "--role", role.as_str(), "--slot", slot.as_str()];
        let mut argv = vec![self.program.clone().into_os_string()];
        argv.extend(words.iter().map(OsString::from));
        let mut env: Vec<(OsString, OsString)> = vec![
            (STATE_VARIABLE.into(), layout.state.clone().into()),
            (RUNTIME_VARIABLE.into(), layout.runtime.clone().into()),
            (HASH_VARIABLE.into(), layout.hash.clone().into()),
            (REPO_VARIABLE.into(), self.place.repo.git_dir.clone().into()),
            (WORKER_VARIABLE.into(), name.as_str().into()),
        ];
        let passed_on = |name: &str| std::env::var_os(name).map(|value| (OsString::from(name), value));
        env.extend([SLOTS_VARIABLE, seeded::VARIABLE].into_iter().filter_map(passed_on));
        SpawnRequest { name: name.clone(), argv, env, cwd: layout.state.clone() }
    }

    /// The panes of workers, as tmux has them. An error means "not known", never "none".
    pub(super) async fn list(&self) -> Result<Vec<PaneInfo>, ServerError> {
        self.server.list_panes().await
    }

    /// Ends a session that nobody registered for.
    pub(super) async fn end(&self, pane: &PaneInfo) -> Result<(), ServerError> {
        self.server.kill_session(pane.pane.session).await
    }

    /// Ends the server with everything in it.
    pub(super) async fn close(&self) -> Result<(), ServerError> {
        self.server.kill_server().await
    }

    /// Makes the server take away a dead pane, whose exit it can miss.
    pub(super) fn reap(&self) {
        if let Err(error) = self.server.reap() {
            tracing::debug!(%error, "the tmux server cannot be told of a dead pane");
        }
    }

    /// Sees to it that the server can be reached, if it is there. Nobody waits for it.
    pub(super) fn keep(&self) {
        if self.server.is_in_place() {
            return;
        }
        let server = Arc::clone(&self.server);
        tokio::task::spawn_local(async move {
            if let Err(error) = server.keep().await {
                tracing::warn!(error = full(&error), "the tmux server cannot be reached from outside");
            }
        });
    }

    /// Whether the server is there.
    pub(super) fn is_up(&self) -> bool {
        self.server.running().is_some()
    }
}
