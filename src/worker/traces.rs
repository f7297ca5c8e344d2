//! Tells the person what changed in the repository, beside its work, while a run was on. It looks twice a run
//! and forks nothing.

use super::deliver;
use super::life::Desk;
use super::screen::Screen;
use crate::domain::event::Event;
use crate::error::chain;
use crate::git::traces::Snapshot;
use crate::redact;

/// Changes of one run that are told.
const TOLD_MAX: usize = 20;

/// How the repository was when a run began; `None` if it could not be read.
pub(super) struct Before(Option<Snapshot>);

impl Before {
    /// As of now.
    pub(super) fn now(desk: &Desk<'_>) -> Self {
        Self(look(desk))
    }

    /// Tells what is otherwise now.
    pub(super) fn tell(&self, desk: &Desk<'_>, screen: &mut Screen) {
        let Some((before, now)) = self.0.as_ref().and_then(|before| Some((before, look(desk)?))) else {
            return;
        };
        let mut traces = now.since(before, &desk.place.repo);
        if traces.is_empty() {
            return;
        }
        for trace in traces.iter().take(TOLD_MAX) {
            screen.say(&format!("meanwhile {}", trace.text()));
        }
        let (run, token, more) =
            (desk.run.id.clone(), desk.run.token.clone(), traces.len().saturating_sub(TOLD_MAX));
        traces.truncate(TOLD_MAX);
        let told = |event| deliver::remark(desk.place, desk.interrupts.client(), event);
        if more > 0 {
            let (run, token) = (run.clone(), token.clone());
            let text = format!(
                "while it ran, {more} more branches or settings changed: see `git for-each-ref refs/heads`"
            );
            told(Event::Comment { run, token, text });
        }
        if !told(Event::RepositoryChanged { run, token, traces }) {
            tracing::warn!("what changed in the repository is in the transcript only");
        }
    }
}

fn look(desk: &Desk<'_>) -> Option<Snapshot> {
    Snapshot::now(&desk.place.repo, &|value| redact::text(value).into_owned())
        .inspect_err(|error| {
            tracing::warn!(error = chain(error), "it is not known what changed in the repository");
        })
        .ok()
}
