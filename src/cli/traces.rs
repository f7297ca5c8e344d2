//! What changed in the person's repository while a run was on, as people and programs are told of it for as
//! long as it is so.

use serde::Serialize;

use super::out::Out;
use super::text::{LINE_MAX, Tone, plain};
use crate::domain::state::State;
use crate::domain::trace::{Kind, Told};
use crate::error::chain;
use crate::git::Repo;
use crate::git::traces::Snapshot;
use crate::redact;

/// So many are shown, the newest; the JSON has them all.
const SHOWN_MAX: usize = 10;

/// One of them in `status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceRow {
    /// In which feature.
    pub feature: String,
    /// While what it came: `T004`.
    pub during: String,
    /// `branch` or `setting`.
    pub kind: Kind,
    /// The branch, or the key.
    pub name: String,
    /// The commit or value that it had.
    pub from: Option<String>,
    /// What it has now.
    pub to: Option<String>,
    /// The command that puts it back.
    pub fix: String,
    /// As people are told.
    #[serde(skip)]
    text: String,
}

impl TraceRow {
    fn of(feature: &impl ToString, told: &Told) -> Self {
        let trace = told.trace.clone();
        Self {
            feature: feature.to_string(),
            during: told.during.clone(),
            kind: trace.kind,
            name: trace.name,
            from: trace.from,
            to: trace.to,
            fix: trace.fix,
            text: told.text(),
        }
    }
}

/// Those that still are as they became: what was put back, or went on, is not told again.
pub(super) fn standing(repo: &Repo, state: &State) -> Vec<TraceRow> {
    let all =
        || state.features.values().flat_map(|feature| feature.traces.iter().map(move |told| (feature, told)));
    // The repository is not even opened for nothing: `status` is quick.
    if all().next().is_none() {
        return Vec::new();
    }
    match Snapshot::now(repo, &|value| redact::text(value).into_owned()) {
        Ok(now) => all()
            .filter(|(_, told)| now.still_has(&told.trace))
            .map(|(feature, told)| TraceRow::of(&feature.id, told))
            .collect(),
        Err(error) => {
            tracing::debug!(error = chain(&error), "what changed in the repository cannot be compared");
            all().map(|(feature, told)| TraceRow::of(&feature.id, told)).collect()
        }
    }
}

/// The text form.
pub(super) fn show(rows: &[TraceRow], out: &mut Out<'_>) {
    if rows.is_empty() {
        return;
    }
    out.line(out.colour.paint(Tone::Bold, "Changed in your repository (sprint takes nothing back)"));
    for row in rows.iter().rev().take(SHOWN_MAX) {
        out.line(format!("  {}", plain(&row.text, LINE_MAX)));
        out.line(format!("      if that was not you: {}", plain(&row.fix, LINE_MAX)));
    }
    if rows.len() > SHOWN_MAX {
        out.line(format!("  … and {} more: sprint events", rows.len() - SHOWN_MAX));
    }
}
