//! What runs have reported that the database knows nothing of, because it was made again from a copy or has
//! lost its newest transactions. In the order in which the runs were given; what has landed is asked of git.

use std::fs;
use std::io::ErrorKind;

use super::run::Supervisor;
use super::{Place, SupervisorError};
use crate::domain::event::Event;
use crate::domain::ids::{CommitSha, FeatureId, RunId};
use crate::domain::report::{Filed, Report};
use crate::domain::task::Status;
use crate::git::{branch, diff};
use crate::store::{Store, StoreError, reports};

/// Tasks that are landing, and whose candidate the branch has.
pub(super) fn landed_already(supervisor: &Supervisor) -> Result<Vec<Event>, SupervisorError> {
    let mut events = Vec::new();
    for task in supervisor.engine.state().tasks.values() {
        let (Status::Landing { entry }, Some(candidate)) = (&task.status, &task.candidate) else { continue };
        if is_in_branch(&supervisor.place, &task.key.feature, &candidate.commit)? {
            events.push(Event::RefMoved { entry: entry.clone() });
        }
    }
    Ok(events)
}

/// Reports of unknown runs, each with whether it has landed.
pub(super) fn reports(supervisor: &Supervisor) -> Result<Vec<Event>, SupervisorError> {
    let mut events = Vec::new();
    for filed in unknown(supervisor)? {
        let landed = match (&filed.report, &filed.given) {
            (Report::Landable { candidate, .. }, Some(given)) => {
                is_in_branch(&supervisor.place, &given.job.feature, &candidate.commit)?
            }
            _ => false,
        };
        tracing::warn!(run = %filed.run, landed, "a report of a run that the database does not know");
        events.push(Event::RunFound { filed: Box::new(filed), landed });
    }
    Ok(events)
}

fn unknown(supervisor: &Supervisor) -> Result<Vec<Filed>, SupervisorError> {
    let (place, store) = (&supervisor.place, supervisor.engine.store());
    let name = store.name()?;
    let mut found = Vec::new();
    for run in runs(place)? {
        if store.knows_run(&run)? {
            continue;
        }
        match reports::read(&place.layout.run(&run)) {
            Ok(Some(filed)) if filed.run == run && is_news(store, &name, &filed)? => found.push(filed),
            Ok(_) => {}
            Err(StoreError::Row { source, .. }) => {
                tracing::error!(%run, %source, "its report cannot be read");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Of this database, and of a time after all that it knows of the task.
fn is_news(store: &Store, name: &str, filed: &Filed) -> Result<bool, StoreError> {
    let Some(given) = filed.given.as_ref().filter(|given| given.database == name) else { return Ok(false) };
    let Some(task) = &given.job.task else { return Ok(false) };
    let newest = store.newest_run(&given.job.feature, task)?;
    Ok(newest.is_none_or(|newest| newest.as_str() < filed.run.as_str()))
}

/// Their names are in the order of time.
fn runs(place: &Place) -> Result<Vec<RunId>, SupervisorError> {
    let path = place.layout.runs();
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(SupervisorError::system(format!("read `{}`", path.display()))(error)),
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut runs: Vec<RunId> = names.filter_map(|name| RunId::parse(&name).ok()).collect();
    runs.sort();
    Ok(runs)
}

fn is_in_branch(place: &Place, feature: &FeatureId, commit: &CommitSha) -> Result<bool, SupervisorError> {
    let name = branch::head_ref(&Place::branch(feature));
    let Some(head) = place.repo.reference(&name)? else { return Ok(false) };
    Ok(diff::is_descendant(&place.repo, commit, &head)?)
}
