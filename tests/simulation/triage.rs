//! The manager looks at what is parked or asks: once, one at a time, and bounded where it acts by
//! itself.

use sprint::domain::event::Request;
use sprint::domain::ids::TaskId;
use sprint::domain::pipeline::{Role, StageKind};
use sprint::domain::report::Report;
use sprint::domain::state::{Run, RunStatus};
use sprint::domain::task::{Status, Task};
use sprint::domain::triage::{Action, CauseKind, Proposal};

use crate::plans::{chain, default_policy, feature, task_id, wide};
use crate::world::{Choices, World};

fn managed(tasks: usize, auto: bool) -> World {
    let mut policy = default_policy();
    policy.gate_base = false;
    policy.agents.insert(Role::Manager, "planner".to_owned());
    policy.manager_auto = auto;
    let mut world = World::new(Choices::default());
    world.faults = false;
    let mut new = feature("001-one", &wide(tasks), policy);
    new.stay = true;
    world.start(new);
    world
}

fn task(world: &World, number: usize) -> Task {
    world.state.tasks.values().find(|task| task.key.id == task_id(number)).unwrap().clone()
}

fn looks(world: &World) -> Option<Run> {
    world.state.runs.values().find(|run| run.job.triage.is_some()).cloned()
}

/// Turns until there is such a run.
fn until(world: &mut World, wanted: impl Fn(&Run) -> bool) -> Run {
    for _ in 0..500 {
        if let Some(run) = world.state.runs.values().find(|run| wanted(run)) {
            return run.clone();
        }
        assert!(world.turn(), "it never comes");
    }
    panic!("it never comes");
}

fn works(id: &TaskId) -> impl Fn(&Run) -> bool {
    let id = id.clone();
    move |run| run.job.task.as_ref() == Some(&id) && run.job.kind == StageKind::Work
}

fn asks(world: &mut World, number: usize, question: &str) {
    let run = until(world, works(&task_id(number)));
    world.report(&run, Report::Blocked { question: question.to_owned() });
}

fn parks(world: &mut World, number: usize) {
    for _ in 0..3 {
        let run = until(world, works(&task_id(number)));
        world.report(&run, Report::Failed { reason: "no".to_owned(), feedback: None });
    }
    assert_eq!(task(world, number).status, Status::Parked);
}

fn proposes(world: &mut World, action: Action, text: &str) {
    let run = until(world, |run| run.job.triage.is_some());
    world.report(&run, Report::Proposed { proposal: Proposal { action, text: text.to_owned() } });
}

#[test]
fn it_proposes_once_and_the_person_decides() {
    let mut world = managed(1, false);
    asks(&mut world, 1, "which port?");
    proposes(&mut world, Action::Answer, "8080");
    while world.turn() {}
    assert!(looks(&world).is_none(), "a cause is looked at once");
    let waiting = task(&world, 1);
    assert!(matches!(waiting.status, Status::Waiting { .. }), "nothing is done without the person");
    assert_eq!(waiting.proposal().unwrap().text, "8080");
    world.request(Request::Answer { task: task_id(1).into(), text: "9090".to_owned() });
    assert_eq!(task(&world, 1).proposal(), None, "it is of the question alone");
    let run = until(&mut world, works(&task_id(1)));
    assert_eq!(run.job.answer.as_ref().unwrap().answer, "9090");
    world.report(&run, Report::Blocked { question: "and the host?".to_owned() });
    let again = until(&mut world, |run| run.job.triage.is_some());
    assert_eq!(again.job.triage.unwrap().text, "and the host?", "another question is another cause");
}

#[test]
fn by_itself_it_acts_once_a_task_and_kind() {
    let mut world = managed(1, true);
    parks(&mut world, 1);
    proposes(&mut world, Action::Retry, "look at the fixture");
    let run = until(&mut world, works(&task_id(1)));
    assert_eq!(run.job.attempt, 4);
    let told = run.job.feedback.unwrap();
    assert_eq!(told.reason, "no\nThe manager's advice: look at the fixture");
    parks(&mut world, 1);
    proposes(&mut world, Action::Retry, "again");
    while world.turn() {}
    let parked = task(&world, 1);
    assert_eq!((parked.status.clone(), parked.attempt), (Status::Parked, 6), "no loop without a person");
    assert_eq!(parked.proposal().unwrap().text, "again", "it is shown instead");
    assert!(parked.triage.unwrap().acted.contains(&CauseKind::Parked));
}

#[test]
fn by_itself_it_answers_and_skips_but_never_splits() {
    let mut world = managed(1, true);
    asks(&mut world, 1, "which port?");
    proposes(&mut world, Action::Answer, "8080");
    let run = until(&mut world, works(&task_id(1)));
    assert_eq!(run.job.answer.unwrap().answer, "8080");
    let mut world = managed(1, true);
    parks(&mut world, 1);
    proposes(&mut world, Action::Split, "- [ ] T003 one half");
    while world.turn() {}
    assert_eq!(task(&world, 1).status, Status::Parked);
    assert_eq!(task(&world, 1).proposal().unwrap().action, Action::Split);
    let mut world = managed(1, true);
    parks(&mut world, 1);
    proposes(&mut world, Action::Skip, "nobody needs it");
    assert_eq!(task(&world, 1).status, Status::Skipped);
    assert_eq!(task(&world, 1).reason, "skipped by the manager: nobody needs it");
}

#[test]
fn what_goes_on_meanwhile_ends_the_look() {
    let mut world = managed(1, false);
    asks(&mut world, 1, "which port?");
    let run = until(&mut world, |run| run.job.triage.is_some());
    world.request(Request::Answer { task: task_id(1).into(), text: "9090".to_owned() });
    assert_eq!(world.state.runs[&run.id].status, RunStatus::Revoked, "what it costs is wanted by nobody");
    let works = until(&mut world, works(&task_id(1)));
    assert_eq!(works.job.attempt, 1, "the task does not wait for the manager's end");
    let proposal = Proposal { action: Action::Answer, text: "8080".to_owned() };
    world.report(&run, Report::Proposed { proposal });
    assert_eq!(task(&world, 1).proposal(), None);
    while !world.shut_down && world.turn() {}
    assert_eq!(world.landed.len(), 1);
}

#[test]
fn the_operators_and_the_persons_own_business_is_not_looked_at() {
    let mut world = managed(3, true);
    for number in 1..=2 {
        let run = until(&mut world, works(&task_id(number)));
        let processes = vec!["7 sleep".to_owned()];
        world.report(&run, Report::Survived { processes });
    }
    world.request(Request::TaskStop { task: task_id(3).into() });
    while world.turn() {
        assert!(looks(&world).is_none());
    }
    assert_eq!(task(&world, 3).status, Status::Parked);
}

#[test]
fn a_look_that_dies_or_says_nothing_is_not_repeated_and_one_that_is_interrupted_is() {
    let mut world = managed(1, false);
    asks(&mut world, 1, "which port?");
    let first = until(&mut world, |run| run.job.triage.is_some());
    world.report(&first, Report::Interrupted { reason: "stop".to_owned() });
    let second = until(&mut world, |run| run.job.triage.is_some());
    let held = Report::Unserved {
        agent: "planner".to_owned(),
        reason: "429".to_owned(),
        lasting: false,
        until_ms: None,
    };
    world.report(&second, held);
    assert!(looks(&world).is_none(), "its service does not serve");
    let third = until(&mut world, |run| run.job.triage.is_some());
    world.kill(&third.worker, false);
    while world.turn() {}
    assert!(looks(&world).is_none());
    assert_eq!(task(&world, 1).proposal(), None);
    assert!(matches!(task(&world, 1).status, Status::Waiting { .. }), "the person is asked as ever");
}

#[test]
fn without_an_agent_nobody_looks() {
    let mut world = World::new(Choices::default());
    world.faults = false;
    let mut new = feature("001-one", &chain(1), default_policy());
    new.stay = true;
    world.start(new);
    asks(&mut world, 1, "which port?");
    while world.turn() {
        assert!(looks(&world).is_none());
    }
}
