//! Cases worked by hand: boots, deaths, retries, landing, people.

mod deaths;
mod features;
mod landing;
mod life;
mod rules;
mod service;

use std::fmt::Write;

use sprint::domain::effect::Effect;
use sprint::domain::event::{Event, ForeignBranch, Request};
use sprint::domain::gate::Verdict;
use sprint::domain::ids::{GateName, TaskId, WorkerName};
use sprint::domain::pipeline::{Role, StageKind};
use sprint::domain::plan::PlanItem;
use sprint::domain::policy::Policy;
use sprint::domain::report::{Candidate, GateRecord, Report};
use sprint::domain::state::{FeatureStatus, Mode, Run};
use sprint::domain::task::{Input, Status, StatusKind, Task, TaskName, WaitKind, transition};
use sprint::domain::worker::Life;

use crate::plans::{AGENT, chain, default_policy, feature, feature_id, item, sha, task_id, wide};
use crate::world::{Checkout, Choices, World, checked, record};

pub fn quiet(items: &[PlanItem]) -> World {
    quiet_with(items, false)
}

pub fn quiet_with(items: &[PlanItem], gate_base: bool) -> World {
    let mut policy = default_policy();
    policy.gate_base = gate_base;
    let mut world = World::new(Choices::default());
    world.faults = false;
    let mut new = feature("001-one", items, policy);
    new.stay = true;
    world.start(new);
    world
}

pub fn task(world: &World, id: &str) -> Task {
    let id = TaskId::parse(id).unwrap();
    world.state.tasks.values().find(|task| task.key.id == id).unwrap().clone()
}

pub fn run_of(world: &World, id: &str) -> Run {
    let id = TaskId::parse(id).unwrap();
    world.state.runs.values().find(|run| run.job.task.as_ref() == Some(&id)).unwrap().clone()
}

/// Turns until the task runs in a stage of that kind.
pub fn until(world: &mut World, id: &str, kind: StageKind) -> Run {
    for _ in 0..500 {
        let task = TaskId::parse(id).unwrap();
        let run = world
            .state
            .runs
            .values()
            .find(|run| run.job.task.as_ref() == Some(&task) && run.job.kind == kind);
        if let Some(run) = run {
            return run.clone();
        }
        assert!(world.turn(), "{id} never gets there");
    }
    panic!("{id} never gets there");
}

pub fn name(text: &str) -> WorkerName {
    WorkerName::parse(text).unwrap()
}

pub fn request(world: &mut World, id: &str, make: fn(TaskName) -> Request) -> (u8, String) {
    world.request(make(TaskName::parse(id).unwrap()))
}

pub fn tick(world: &mut World, ms: u64) {
    world.now_ms += ms;
    world.apply(Event::TimePassed);
}

/// Turns until the gates of the base run.
pub fn until_base(world: &mut World) -> Run {
    loop {
        if let Some(run) = world.state.runs.values().find(|run| run.job.task.is_none()) {
            return run.clone();
        }
        assert!(world.turn(), "nobody gates the base");
    }
}

/// Turns until the task runs in that stage.
pub fn until_stage(world: &mut World, id: &str, stage: &str) -> Run {
    for _ in 0..500 {
        let run = world.state.runs.values().find(|run| {
            run.job.task.as_ref().is_some_and(|task| task.as_str() == id)
                && run.job.stage.as_ref().is_some_and(|name| name.as_str() == stage)
        });
        if let Some(run) = run {
            return run.clone();
        }
        assert!(world.turn(), "{id} never gets to {stage}");
    }
    panic!("{id} never gets to {stage}");
}

pub fn added(number: u64) -> Report {
    let paths = vec!["tests/test_a.py".to_owned()];
    Report::Added { head: sha(number), paths, remarks: vec!["look".into()], summary: "tests".to_owned() }
}

pub fn task_commit(world: &World, id: &str) -> Option<sprint::domain::ids::CommitSha> {
    match task(world, id).status {
        Status::Done { commit } => Some(commit),
        _ => None,
    }
}

/// A task whose candidate is about to land, with what its worker would say.
pub fn landable(world: &mut World) -> (Run, Candidate, Vec<GateRecord>) {
    let run = until(world, "T001", StageKind::Land);
    let Report::Landable { candidate, gates } = world.good_report(&run) else { panic!() };
    (run, candidate, gates)
}
