//! Applies events: `step`, the state in memory, and one transaction for all of a batch.

use std::collections::BTreeSet;

use crate::domain::away::step_bringing;
use crate::domain::effect::{Effect, EffectId};
use crate::domain::event::{Envelope, Event, Now};
use crate::domain::ids::FeatureId;
use crate::domain::state::State;
use crate::process::clock;
use crate::redact;
use crate::store::{Batch, InboxBody, Store, StoreError};

/// Inbox rows that one transaction takes at most.
const INBOX_MAX: u32 = 256;

/// The state, and the store that it is written to before anything acts on it.
#[derive(Debug)]
pub(super) struct Engine {
    store: Store,
    state: State,
    outlook: Outlook,
    commits: u64,
}

/// What the loop asks of the state each time it wakes. It changes with the state only, and an idle
/// sprint does not go through a thousand tasks for it.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    /// When time alone makes a difference, in monotonic milliseconds.
    pub(super) due_ms: Option<u64>,
    /// Features that wait for their branch to be checked out nowhere.
    pub(super) wait_for_branch: BTreeSet<FeatureId>,
}

impl Outlook {
    fn of(state: &State) -> Self {
        let waiting = state.tasks.values().filter(|task| task.waits_for_branch());
        Self {
            due_ms: state.next_due(),
            wait_for_branch: waiting.map(|task| task.key.feature.clone()).collect(),
        }
    }
}

/// What a batch asks for.
pub(super) type Dispatch = Vec<(EffectId, Effect)>;

impl Engine {
    /// `state`: all that is in the store.
    pub(super) fn new(store: Store, state: State) -> Self {
        let outlook = Outlook::of(&state);
        Self { store, state, outlook, commits: 0 }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn outlook(&self) -> &Outlook {
        &self.outlook
    }

    /// How many transactions this supervisor has written.
    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Applies `events` and everything in the inbox, in this order, in one transaction.
    ///
    /// # Errors
    /// What the store says; the state in memory is then ahead of it, and this engine is done.
    pub(super) fn apply(&mut self, events: Vec<Event>, done: Vec<EffectId>) -> Result<Dispatch, StoreError> {
        let began = std::time::Instant::now();
        // What it is by now was written, and its effects went out. Before the first event the store's last
        // supervisor speaks in the state, and this one has yet to recover.
        if self.commits > 0 {
            self.state.put_away();
        }
        let (mut all, consumed) = (events, self.take_inbox()?);
        let mut batch = Batch { done, ..Batch::default() };
        for (id, body) in consumed {
            batch.consumed.push(id);
            all.push(match body {
                InboxBody::Fact(event) => event,
                InboxBody::Request(request) => Event::Request { id, request },
            });
        }
        let mut effects = Vec::new();
        for mut event in all {
            // What workers and people sent has none; what git and tmux say has been nowhere yet.
            event.each_text(&mut redact::in_place);
            let envelope = Envelope { now: now(), entropy: entropy()?, event };
            let step = step_bringing(&mut self.state, &envelope, |feature| self.store.bring(feature))?;
            self.state.apply(&step);
            effects.push(step.effects.clone());
            batch.steps.push((envelope, step));
        }
        if batch.steps.iter().all(|(_, step)| step.is_empty())
            && batch.consumed.is_empty()
            && batch.done.is_empty()
        {
            return Ok(Vec::new());
        }
        self.outlook = Outlook::of(&self.state);
        let numbers = self.store.commit(&batch)?;
        self.commits += 1;
        tell(&batch, began.elapsed());
        Ok(numbers.into_iter().zip(effects).flat_map(|(event, effects)| numbered(event, effects)).collect())
    }

    /// [`crate::seeded::Bug::EarlyDispatch`]: what the facts in the inbox will ask for, before anything is
    /// written.
    pub(super) fn foresee(&self) -> Result<Vec<Effect>, StoreError> {
        let (mut state, mut effects) = (self.state.clone(), Vec::new());
        for (_, body) in self.store.inbox(INBOX_MAX)? {
            let Ok(InboxBody::Fact(event)) = body else { continue };
            let envelope = Envelope { now: now(), entropy: entropy()?, event };
            let step = step_bringing(&mut state, &envelope, |feature| self.store.bring(feature))?;
            state.apply(&step);
            effects.extend(step.effects);
        }
        Ok(effects)
    }

    /// Rows that cannot be read are logged and taken out: they must not block the others.
    fn take_inbox(&self) -> Result<Vec<(i64, InboxBody)>, StoreError> {
        let mut rows = Vec::new();
        for (id, body) in self.store.inbox(INBOX_MAX)? {
            match body {
                Ok(body) => rows.push((id, body)),
                Err(error) => {
                    tracing::error!(id, error, "an inbox row cannot be read and is left out");
                    self.store.drop_inbox(id)?;
                }
            }
        }
        Ok(rows)
    }
}

/// The history in the log too, with a finer clock: when it was durable, and what that took.
fn tell(batch: &Batch, took: std::time::Duration) {
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    for line in batch.steps.iter().flat_map(|(_, step)| &step.lines) {
        let name = |id: Option<&str>| id.unwrap_or("-").to_owned();
        tracing::info!(
            kind = line.kind,
            task = name(line.task.as_ref().map(crate::domain::ids::TaskId::as_str)),
            worker = name(line.worker.as_ref().map(crate::domain::ids::WorkerName::as_str)),
            took_us,
            "history"
        );
    }
}

fn numbered(event: i64, effects: Vec<Effect>) -> impl Iterator<Item = (EffectId, Effect)> {
    (0u32..).zip(effects).map(move |(place, effect)| (EffectId { event, place }, effect))
}

fn now() -> Now {
    clock::now()
}

fn entropy() -> Result<String, StoreError> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Io {
        path: "the system's random numbers".into(),
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("a nibble is a hex digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
