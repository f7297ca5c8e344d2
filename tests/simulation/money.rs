//! Cases of money, worked by hand: budgets, limits whose end is told, programs that fail at once.

use sprint::domain::budget::{Budget, Limit, Scope};
use sprint::domain::effect::Effect;
use sprint::domain::event::{Event, Request};
use sprint::domain::ids::{TaskId, WorkerName};
use sprint::domain::pipeline::{Role, StageKind};
use sprint::domain::plan::PlanItem;
use sprint::domain::policy::Policy;
use sprint::domain::report::Report;
use sprint::domain::state::{FeatureStatus, Run};
use sprint::domain::task::{Status, Task, WaitKind};

use crate::plans::{AGENT, chain, default_policy, feature, feature_id, task_id, tokens_limit, wide};
use crate::world::{Choices, World};

const DAY_MS: u64 = 86_400_000;

fn limited(budget: Budget) -> Policy {
    Policy { budget, gate_base: false, ..default_policy() }
}

fn world(items: &[PlanItem], budget: Budget) -> World {
    let mut world = World::new(Choices::default());
    world.faults = false;
    let mut new = feature("001-one", items, limited(budget));
    new.stay = true;
    world.start(new);
    world
}

fn works(world: &mut World, number: usize) -> Run {
    let id = task_id(number);
    for _ in 0..500 {
        let works = |run: &&Run| run.job.task.as_ref() == Some(&id) && run.job.kind == StageKind::Work;
        if let Some(run) = world.state.runs.values().find(works) {
            return run.clone();
        }
        assert!(world.turn(), "{id} is never worked on: {:#?}", world.state);
    }
    panic!("{id} is never worked on");
}

fn task(world: &World, number: usize) -> Task {
    let id: TaskId = task_id(number);
    world.state.tasks.values().find(|task| task.key.id == id).unwrap().clone()
}

fn reload(world: &mut World, budget: Budget) {
    let policy = Box::new(Policy { config: "more".to_owned(), ..limited(budget) });
    assert_eq!(world.request(Request::Reload { policy }).0, 0);
}

fn failed() -> Report {
    Report::Failed { reason: "no".to_owned(), feedback: None }
}

fn finish(world: &mut World) {
    while world.turn() && !world.shut_down {}
    assert_eq!(world.state.features[&feature_id("001-one")].status, FeatureStatus::Finished);
}

fn of_task(tokens: u64) -> Budget {
    Budget { task: tokens_limit(tokens), ..Budget::default() }
}

fn of_feature(tokens: u64) -> Budget {
    Budget { feature: tokens_limit(tokens), ..Budget::default() }
}

#[test]
fn a_task_whose_budget_is_used_up_waits_and_goes_on_when_it_is_raised() {
    let mut world = world(&chain(1), of_task(100));
    let run = works(&mut world, 1);
    assert_eq!(run.job.budget.task.tokens, Some(100));
    world.spend(&run, 60, false);
    world.spend(&run, 60, false);
    world.spend(&run, 20, false);
    world.spend(&run, 70, true);
    assert_eq!(task(&world, 1).used.tokens, 70, "told again, or less, it counts once");
    world.report(&run, failed());
    let run = works(&mut world, 1);
    assert_eq!((run.job.attempt, run.job.budget.task.tokens), (2, Some(30)));
    world.spend(&run, 40, true);
    world.report(&run, Report::Overspent { scope: Scope::Task, reason: "x".to_owned() });
    let Status::Waiting { wait: WaitKind::Operator, text } = task(&world, 1).status else { panic!() };
    assert_eq!(
        text,
        "the budget of the task is used up (110 of 100 tokens); its work is saved: raise `[budget] task`, then: sprint reload, or, where the sprint has ended, sprint start; then: sprint task retry T001"
    );
    // Without more of it nothing begins.
    world.request(Request::TaskRetry { task: task_id(1).into() });
    while world.turn() {}
    assert!(matches!(task(&world, 1).status, Status::Waiting { wait: WaitKind::Operator, .. }));
    reload(&mut world, of_task(500));
    world.request(Request::TaskRetry { task: task_id(1).into() });
    let run = works(&mut world, 1);
    assert_eq!((run.job.attempt, task(&world, 1).failures, run.job.budget.task.tokens), (2, 1, Some(390)));
    finish(&mut world);
}

#[test]
fn a_parked_task_with_nothing_left_waits_instead_of_beginning() {
    let mut world = world(&chain(1), of_task(100));
    let run = works(&mut world, 1);
    world.spend(&run, 100, true);
    world.request(Request::TaskStop { task: task_id(1).into() });
    world.report(&run, Report::Interrupted { reason: "x".to_owned() });
    while world.turn() && !world.shut_down {}
    world.boot_with(false, Some(Request::TaskRetry { task: task_id(1).into() }));
    while world.turn() && !world.shut_down {}
    assert!(matches!(task(&world, 1).status, Status::Waiting { wait: WaitKind::Operator, .. }));
    assert!(world.state.runs.is_empty());
}

#[test]
fn whoever_waits_for_a_budget_holds_nobody_up() {
    let mut policy = limited(of_task(100));
    policy.max_in_flight = 1;
    let mut world = World::new(Choices::default());
    world.faults = false;
    let mut new = feature("001-one", &wide(2), policy);
    new.stay = true;
    world.start(new);
    let run = works(&mut world, 1);
    world.spend(&run, 100, true);
    world.request(Request::TaskStop { task: task_id(1).into() });
    world.request(Request::Pause);
    world.report(&run, Report::Interrupted { reason: "x".to_owned() });
    world.request(Request::TaskRetry { task: task_id(1).into() });
    // Both may begin now, and the first has nothing left: the idle developer goes to the second.
    world.request(Request::Resume { branch: None });
    assert!(matches!(task(&world, 1).status, Status::Waiting { wait: WaitKind::Operator, .. }));
    assert!(matches!(task(&world, 2).status, Status::Running { .. }), "{:?}", task(&world, 2).status);
}

#[test]
fn what_several_share_ends_all_of_them_and_rests_for_the_person() {
    let mut world = world(&wide(3), of_feature(100));
    let first = works(&mut world, 1);
    world.register(&WorkerName::parse("developer-2").unwrap());
    let second = works(&mut world, 2);
    assert!(world.state.runs.contains_key(&first.id));
    world.spend(&first, 50, false);
    world.spend(&second, 50, false);
    let runs: Vec<&Run> = world.state.runs.values().filter(|run| run.job.kind == StageKind::Work).collect();
    assert!(runs.iter().all(|run| run.over == Some(Scope::Feature)), "{runs:#?}");
    let (_, step) = world.log.last().unwrap();
    assert!(step.effects.iter().any(|effect| *effect == Effect::Wake { worker: first.worker.clone() }));
    assert_eq!(step.lines.iter().filter(|line| line.kind == "budget_used_up").count(), 1);
    for run in world.state.runs.values().cloned().collect::<Vec<_>>() {
        world.report(&run, Report::Overspent { scope: Scope::Feature, reason: "x".to_owned() });
    }
    while world.turn() {}
    assert!(!world.shut_down, "it stays for the person");
    assert_eq!(world.state.features[&feature_id("001-one")].status, FeatureStatus::Resting);
    assert!(world.state.runs.is_empty() && world.state.next_due().is_none());
    assert!(world.state.tasks.values().all(|task| task.failures == 0 && task.attempt <= 1));
    reload(&mut world, of_feature(1000));
    finish(&mut world);
    let told = world.log.iter().flat_map(|(_, step)| &step.lines);
    assert_eq!(told.filter(|line| line.kind == "budget_used_up").count(), 1, "told once");
}

#[test]
fn a_start_with_a_higher_budget_goes_on_too() {
    let mut world = world(&chain(2), of_feature(10));
    let run = works(&mut world, 1);
    world.spend(&run, 10, true);
    let report = world.good_report(&run);
    world.report(&run, report);
    while world.turn() && !world.shut_down {}
    assert_eq!(world.landed.len(), 1, "what is there is gated and lands");
    world.start(feature("001-one", &chain(2), limited(of_feature(20))));
    finish(&mut world);
}

#[test]
fn the_days_budget_ends_at_midnight_and_a_clock_that_is_set_forgets_nothing() {
    let mut world = world(&chain(1), Budget { day: tokens_limit(100), ..Budget::default() });
    let run = works(&mut world, 1);
    world.spend(&run, 100, true);
    world.report(&run, failed());
    let over = |world: &World| world.state.features[&feature_id("001-one")].over;
    assert_eq!(over(&world).unwrap().scope, Scope::Day);
    assert_eq!(world.state.features[&feature_id("001-one")].status, FeatureStatus::Running, "it waits");
    let before = world.now_ms;
    // Somebody sets the clock a day ahead, and back again.
    world.now_ms = before + DAY_MS;
    world.apply(Event::DiskLow { low: true });
    assert_eq!(over(&world), None);
    world.now_ms = before;
    world.apply(Event::DiskLow { low: false });
    assert_eq!(over(&world).unwrap().scope, Scope::Day);
    let mut looks = 0;
    while over(&world).is_some() {
        looks += 1;
        assert!(looks < 100 && world.turn(), "it never ends");
    }
    let local = |ms: u64| (ms + 3_600_000 + 1_700_000_000_000) / DAY_MS;
    assert_eq!(local(world.now_ms), local(before) + 1);
    assert!(world.now_ms < before + DAY_MS);
    finish(&mut world);
    assert_eq!(task(&world, 1).attempt, 2);
}

#[test]
fn what_a_dead_run_has_told_is_written_down() {
    let mut world = world(&chain(1), of_task(100));
    let run = works(&mut world, 1);
    world.spend(&run, 30, false);
    world.kill(&run.worker, false);
    world.apply(Event::RunCleared { run: run.id.clone(), survivors: Vec::new() });
    let (_, step) = world.log.last().unwrap();
    assert_eq!(step.spent.iter().map(|row| row.spent.output).collect::<Vec<_>>(), [30]);
    let again = works(&mut world, 1);
    assert_eq!(again.job.budget.task.tokens, Some(70));
}

#[test]
fn three_that_fail_at_once_open_the_breaker_and_spend_no_more_attempts() {
    let mut world = world(&wide(2), Budget::default());
    let at_once = |world: &mut World| {
        let works = |run: &&Run| run.job.kind == StageKind::Work;
        let run = loop {
            match world.state.runs.values().find(works) {
                Some(run) => break run.clone(),
                None => assert!(world.turn(), "nobody works"),
            }
        };
        let (id, token) = (run.id.clone(), run.token.clone());
        world.apply(Event::RunFailedAtOnce { run: id, token, agent: AGENT.to_owned() });
        world.report(&run, failed());
    };
    for _ in 0..3 {
        at_once(&mut world);
    }
    // Who is at it when the breaker opens pays nothing either.
    while let Some(run) = world.state.runs.values().find(|run| run.job.kind == StageKind::Work).cloned() {
        let (id, token) = (run.id.clone(), run.token.clone());
        world.apply(Event::RunFailedAtOnce { run: id, token, agent: AGENT.to_owned() });
        world.report(&run, failed());
    }
    let failures = |world: &World| world.state.tasks.values().map(|task| task.failures).sum::<u32>();
    assert_eq!(failures(&world), 2);
    while world.turn() {}
    assert_eq!(world.state.sprint.holds[AGENT].until_ms, None);
    let held = |world: &World| {
        world.log.iter().flat_map(|(_, step)| &step.lines).filter(|line| line.kind == "agent_held").count()
    };
    assert_eq!(held(&world), 1, "told once");
    world.request(Request::Resume { branch: None });
    at_once(&mut world);
    assert_eq!((failures(&world), world.state.sprint.holds[AGENT].until_ms), (2, None), "still broken");
    world.request(Request::Resume { branch: None });
    finish(&mut world);
    assert!(world.state.sprint.at_once.is_empty());
}

#[test]
fn what_failed_at_once_goes_after_the_others_and_then_pays_for_itself() {
    let mut policy = limited(Budget::default());
    policy.max_in_flight = 3;
    policy.roles.get_mut(&Role::Developer).unwrap().max = 1;
    let mut world = World::new(Choices::default());
    world.faults = false;
    let mut new = feature("001-one", &wide(3), policy);
    new.stay = true;
    world.start(new);
    let poison = |world: &mut World| {
        let run = works(world, 1);
        let (id, token) = (run.id.clone(), run.token.clone());
        world.apply(Event::RunFailedAtOnce { run: id, token, agent: AGENT.to_owned() });
        world.report(&run, failed());
    };
    poison(&mut world);
    let next = world.state.runs.values().find(|run| run.job.kind == StageKind::Work);
    assert_eq!(next.unwrap().job.task, Some(task_id(2)), "what failed at once goes after the others");
    for _ in 0..2 {
        poison(&mut world);
    }
    // The others were served meanwhile: what fails is the task, and its attempts are spent.
    while world.turn() {}
    assert_eq!((task(&world, 1).failures, &task(&world, 1).status), (3, &Status::Parked));
    assert_eq!(world.landed.len(), 2);
    assert!(!world.state.sprint.holds.contains_key(AGENT));
}

#[test]
fn a_limit_whose_end_is_told_is_waited_for_until_then_and_at_most_a_day() {
    let mut world = world(&chain(1), Budget::default());
    let wall = |world: &World| i64::try_from(world.now_ms).unwrap() + 1_700_000_000_000;
    let limit = |until_ms| Report::Unserved {
        agent: AGENT.to_owned(),
        reason: "429".to_owned(),
        lasting: false,
        until_ms: Some(until_ms),
    };
    for (told, waited) in [(20_000, 21_000), (-5_000, 1000), (i64::MAX / 2, DAY_MS)] {
        let run = works(&mut world, 1);
        let at = wall(&world).saturating_add(told);
        world.report(&run, limit(at));
        let hold = world.state.sprint.holds[AGENT].clone();
        assert_eq!(hold.until_ms, Some(world.now_ms + waited));
        assert_eq!(hold.told_ms, Some(at));
    }
    finish(&mut world);
    assert_eq!(task(&world, 1).attempt, 1);
}

#[test]
fn money_and_tokens_are_limits_of_their_own() {
    let both = Limit { micro_usd: Some(5_000_000), tokens: Some(100) };
    let world = &mut world(&chain(1), Budget { run: both, ..Budget::default() });
    let run = works(world, 1);
    assert_eq!(run.job.budget.run, both);
    world.spend(&run, 100, true);
    world.report(&run, Report::Overspent { scope: Scope::Run, reason: "x".to_owned() });
    let Status::Waiting { text, .. } = task(world, 1).status else { panic!() };
    assert!(text.starts_with("the budget of the run is used up (100 of 100 tokens)"), "{text}");
    assert_eq!(task(world, 1).failures, 0);
}

#[test]
fn an_agent_that_a_label_names_has_its_budget_and_its_breaker() {
    let mut policy = limited(of_feature(100));
    policy.agents.clear();
    policy.label_agents.insert("hard".to_owned(), [(Role::Developer, "other".to_owned())].into());
    let mut world = World::new(Choices::default());
    world.faults = false;
    let mut new = feature("001-one", &chain(1), policy);
    new.stay = true;
    new.tasks[0].labels = vec!["Hard".to_owned()];
    world.start(new);
    let run = works(&mut world, 1);
    assert_eq!(run.job.budget.feature.tokens, Some(100));
    world.state.sprint.at_once.insert("other".to_owned(), 2);
    world.spend(&run, 120, false);
    assert_eq!(world.state.runs[&run.id].over, Some(Scope::Feature));
    world.spend(&run, 120, true);
    world.report(&run, Report::Overspent { scope: Scope::Feature, reason: "x".to_owned() });
    assert!(world.state.sprint.at_once.is_empty(), "it has worked");
    while world.turn() {}
    assert!(world.state.runs.is_empty() && task(&world, 1).status == Status::Ready, "no model is asked");
}
