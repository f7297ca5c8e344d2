//! Cases worked by hand: boots, deaths, retries, landing, people.

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
use sprint::domain::task::{Input, Status, StatusKind, Task, WaitKind, transition};
use sprint::domain::worker::Life;

use crate::plans::{AGENT, chain, default_policy, feature, feature_id, item, sha, task_id, wide};
use crate::world::{Checkout, Choices, World, checked, record};

fn quiet(items: &[PlanItem]) -> World {
    quiet_with(items, false)
}

fn quiet_with(items: &[PlanItem], gate_base: bool) -> World {
    let mut policy = default_policy();
    policy.gate_base = gate_base;
    let mut world = World::new(Choices::default());
    world.faults = false;
    let mut new = feature("001-one", items, policy);
    new.stay = true;
    world.start(new);
    world
}

fn task(world: &World, id: &str) -> Task {
    let id = TaskId::parse(id).unwrap();
    world.state.tasks.values().find(|task| task.key.id == id).unwrap().clone()
}

fn run_of(world: &World, id: &str) -> Run {
    let id = TaskId::parse(id).unwrap();
    world.state.runs.values().find(|run| run.job.task.as_ref() == Some(&id)).unwrap().clone()
}

/// Turns until the task runs in a stage of that kind.
fn until(world: &mut World, id: &str, kind: StageKind) -> Run {
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

fn name(text: &str) -> WorkerName {
    WorkerName::parse(text).unwrap()
}

fn request(world: &mut World, id: &str, make: fn(TaskId) -> Request) -> (u8, String) {
    world.request(make(TaskId::parse(id).unwrap()))
}

#[test]
fn the_table_of_a_tasks_life() {
    let mut states = vec![
        StatusKind::ToDo,
        StatusKind::Ready,
        StatusKind::Running,
        StatusKind::Retry,
        StatusKind::Landing,
    ];
    states.extend(WaitKind::ALL.map(StatusKind::Waiting));
    states.extend([StatusKind::Parked, StatusKind::Skipped, StatusKind::Done]);
    let mut table = format!("{:<12}", "");
    for state in &states {
        let text = match state {
            StatusKind::Waiting(kind) => format!("?{kind:?}").to_lowercase(),
            other => format!("{other:?}"),
        };
        write!(table, "{text:<12}").unwrap();
    }
    for input in Input::ALL {
        write!(table, "\n{:<12}", format!("{input:?}")).unwrap();
        for state in &states {
            write!(table, "{:<12}", format!("{:?}", transition(*state, input))).unwrap();
        }
    }
    let trimmed: Vec<&str> = table.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(trimmed.join("\n"));
}

#[test]
fn three_failed_attempts_park_and_a_retry_begins_anew_with_what_was_wrong() {
    let mut world = quiet(&chain(2));
    for attempt in 1..=3 {
        let run = until(&mut world, "T001", StageKind::Work);
        assert_eq!(run.job.attempt, attempt);
        assert_eq!(run.job.feedback.is_some(), attempt > 1);
        world.report(&run, Report::Failed { reason: "no".to_owned(), feedback: None });
    }
    assert_eq!(task(&world, "T001").status, Status::Parked);
    assert_eq!(task(&world, "T002").status, Status::ToDo, "a parked task holds what depends on it");
    assert!(world.shut_down, "a parked task is nothing to wait for");
    world.boot_with(false, Some(Request::TaskRetry { task: task_id(1) }));
    let run = until(&mut world, "T001", StageKind::Work);
    assert_eq!((run.job.attempt, task(&world, "T001").failures), (4, 0));
    assert_eq!(run.job.feedback.unwrap().reason, "no");
}

#[test]
fn parked_tasks_let_go_where_the_policy_says_so() {
    let mut policy = default_policy();
    policy.gate_base = false;
    policy.parked = sprint::domain::plan::ParkedPolicy::Continue;
    let mut world = World::new(Choices::default());
    world.faults = false;
    world.start(feature("001-one", &chain(2), policy));
    until(&mut world, "T001", StageKind::Work);
    assert_eq!(request(&mut world, "T001", |task| Request::TaskStop { task }).0, 0);
    until(&mut world, "T002", StageKind::Work);
}

#[test]
fn an_error_waits_10_20_40_seconds_and_then_for_the_operator_whose_retry_repeats_the_gate() {
    let mut world = quiet(&chain(1));
    let errored = || Report::Errored { reason: "no mypy".to_owned() };
    for wait in [10_000, 20_000, 40_000] {
        let run = until(&mut world, "T001", StageKind::Check);
        world.report(&run, errored());
        assert_eq!(task(&world, "T001").status, Status::Retry { due_ms: world.now_ms + wait });
        world.now_ms += wait;
        world.apply(Event::TimePassed);
    }
    let run = until(&mut world, "T001", StageKind::Check);
    world.report(&run, errored());
    assert!(matches!(task(&world, "T001").status, Status::Waiting { wait: WaitKind::Operator, .. }));
    assert_eq!(
        (task(&world, "T001").attempt, task(&world, "T001").failures),
        (1, 0),
        "not the developer's fault"
    );
    assert_eq!(request(&mut world, "T001", |task| Request::TaskRetry { task }).0, 0);
    let run = until(&mut world, "T001", StageKind::Check);
    assert_eq!(
        (run.job.attempt, run.job.head),
        (1, task(&world, "T001").head),
        "the gate is repeated, not the work"
    );
}

#[test]
fn what_could_not_run_is_known_until_the_retry_has_run() {
    let mut world = quiet_with(&chain(1), true);
    let feature = |world: &World| world.state.features[&feature_id("001-one")].clone();
    let run = until_base(&mut world);
    world.report(&run, Report::Errored { reason: "no npm".to_owned() });
    assert_eq!(feature(&world).base_error.as_deref(), Some("no npm"));
    tick(&mut world, 10_000);
    assert_eq!((feature(&world).errors, feature(&world).base_error.is_some()), (1, true), "it runs again");
    let run = until(&mut world, "T001", StageKind::Check);
    assert_eq!(feature(&world).base_error, None);
    world.report(&run, Report::Errored { reason: "no mypy".to_owned() });
    tick(&mut world, 10_000);
    until(&mut world, "T001", StageKind::Check);
    assert_eq!((task(&world, "T001").errors, task(&world, "T001").reason.as_str()), (1, "no mypy"));
}

fn tick(world: &mut World, ms: u64) {
    world.now_ms += ms;
    world.apply(Event::TimePassed);
}

/// Turns until the gates of the base run.
fn until_base(world: &mut World) -> Run {
    loop {
        if let Some(run) = world.state.runs.values().find(|run| run.job.task.is_none()) {
            return run.clone();
        }
        assert!(world.turn(), "nobody gates the base");
    }
}

#[test]
fn a_death_spends_no_attempt_and_ten_at_a_stage_park() {
    let mut world = quiet(&chain(1));
    for death in 1..=10 {
        let run = until(&mut world, "T001", StageKind::Work);
        assert_eq!(run.job.attempt, 1);
        world.now_ms += 20_000;
        world.kill(&run.worker, false);
        assert!(matches!(world.state.workers[&run.worker].life, Life::Clearing { .. }));
        world.apply(Event::RunCleared { run: run.id.clone(), survivors: Vec::new() });
        assert_eq!(task(&world, "T001").deaths, death);
        assert!(
            !matches!(world.state.workers[&run.worker].life, Life::Backoff { .. }),
            "its slot restarts at once"
        );
    }
    assert_eq!(task(&world, "T001").status, Status::Parked);
}

#[test]
fn a_report_that_was_filed_before_the_death_counts() {
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Work);
    world.kill(&run.worker, false);
    let report = world.good_report(&run);
    world.report(&run, report);
    world.apply(Event::RunCleared { run: run.id.clone(), survivors: Vec::new() });
    assert_eq!(
        (task(&world, "T001").deaths, task(&world, "T001").stage.unwrap().to_string()),
        (0, "InReview".to_owned())
    );
}

#[test]
fn processes_that_will_not_go_hold_the_task_with_their_pids_and_free_the_slot() {
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Work);
    world.kill(&run.worker, false);
    world.apply(Event::RunCleared { run: run.id.clone(), survivors: vec!["4711 cc1".to_owned()] });
    let Status::Waiting { wait: WaitKind::Operator, text } = task(&world, "T001").status else { panic!() };
    assert!(text.contains("4711 cc1"), "{text}");
    assert!(world.state.workers[&run.worker].life.run().is_none());
}

#[test]
fn instant_deaths_open_the_breaker_but_not_those_with_the_tmux_server() {
    let mut world = quiet(&chain(1));
    let slot = name("merger");
    for _ in 0..8 {
        if !matches!(world.state.workers[&slot].life, Life::Idle { .. }) {
            world.register(&slot);
        }
        world.kill(&slot, true);
    }
    assert_eq!(world.state.workers[&slot].instant_deaths, 0);
    for _ in 0..5 {
        world.register(&slot);
        world.kill(&slot, false);
        let Life::Backoff { due_ms, .. } = world.state.workers[&slot].life else { panic!("no backoff") };
        world.now_ms = due_ms;
        if world.state.workers[&slot].broken_since_ms.is_none() {
            world.apply(Event::TimePassed);
        }
    }
    assert_eq!(world.state.workers[&slot].life.word(), "broken");
    world.apply(Event::TimePassed);
    world.register(&slot);
    let run = until(&mut world, "T001", StageKind::Land);
    let report = world.good_report(&run);
    world.report(&run, report);
    assert_eq!(world.state.workers[&slot].broken_since_ms, None, "a report closes the breaker for good");
}

#[test]
fn a_breaker_that_is_open_for_ten_minutes_lets_the_sprint_rest() {
    let mut world = quiet(&chain(1));
    let mut turns = 0;
    while task(&world, "T001").stage.is_none_or(|stage| stage.as_str() != "Merging") {
        assert!(world.turn());
    }
    let slot = name("merger");
    while !matches!(world.state.features[&feature_id("001-one")].status, FeatureStatus::Resting) {
        turns += 1;
        assert!(turns < 200, "{:?}", world.state.workers[&slot]);
        match world.state.workers[&slot].life.clone() {
            Life::Starting { .. } => {
                world.apply(Event::SpawnFailed { worker: slot.clone(), reason: "x".to_owned() });
            }
            Life::Backoff { due_ms, .. } => {
                world.now_ms = due_ms;
                world.apply(Event::TimePassed);
            }
            Life::Clearing { run } => world.apply(Event::RunCleared { run, survivors: Vec::new() }),
            _ => world.kill(&slot, false),
        }
    }
    let since = world.state.workers[&slot].broken_since_ms.unwrap();
    assert!(world.now_ms - since >= 600_000);
    // A person who starts it again has mended something.
    world.restart();
    world.start(feature("001-one", &chain(1), default_policy()));
    assert_eq!(world.state.workers[&slot].broken_since_ms, None);
}

#[test]
fn a_boot_adopts_the_living_and_buries_the_dead() {
    let mut world = quiet(&wide(3));
    let dead = until(&mut world, "T002", StageKind::Work);
    let alive = world.state.runs.values().find(|run| run.id != dead.id).unwrap().clone();
    world.apply(Event::SupervisorStarted { epoch: 9, rebooted: false });
    let proc = world.proc_of(&dead.worker);
    let before = world.state.runs.len();
    world.apply(Event::WorkerDied { worker: dead.worker.clone(), proc, with_server: true });
    assert_eq!(world.state.runs.len(), before, "nothing is assigned before the boot is over");
    world.apply(Event::Recovered);
    assert_eq!(world.state.runs[&alive.id], alive, "the living keep their runs");
    world.apply(Event::RunCleared { run: dead.id.clone(), survivors: Vec::new() });
    let again = until(&mut world, "T002", StageKind::Work);
    assert_ne!(again.token, dead.token);
    assert_eq!((again.job.attempt, world.state.workers[&dead.worker].instant_deaths), (1, 0));
}

#[test]
fn a_reboot_clears_every_deadline() {
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Check);
    world.report(&run, Report::Errored { reason: "x".to_owned() });
    let slot = name("merger");
    world.kill(&slot, false);
    assert!(world.state.next_due().is_some());
    world.now_ms = 5;
    world.apply(Event::SupervisorStarted { epoch: 9, rebooted: true });
    world.apply(Event::Recovered);
    world.apply(Event::TimePassed);
    assert_ne!(task(&world, "T001").status.kind(), StatusKind::Retry);
    assert!(!matches!(world.state.workers[&slot].life, Life::Backoff { .. }));
}

#[test]
fn a_pause_outlives_the_supervisor_and_nothing_is_assigned_meanwhile() {
    let mut world = quiet(&chain(1));
    world.request(Request::Pause);
    world.restart();
    assert_eq!(world.state.sprint.mode, Mode::Paused);
    while world.turn() {}
    assert!(world.state.runs.is_empty());
    assert_eq!(world.request(Request::Resume { branch: None }).0, 0);
    until(&mut world, "T001", StageKind::Work);
}

#[test]
fn a_drain_lets_runs_finish_assigns_nothing_and_ends_and_a_start_takes_it_back() {
    let mut world = quiet(&chain(2));
    let run = until(&mut world, "T001", StageKind::Work);
    world.request(Request::Stop { now: false, limit_ms: u64::MAX });
    assert_eq!(world.request(Request::Resume { branch: None }).0, 4);
    world.start(feature("001-one", &chain(2), default_policy()));
    assert_eq!(world.state.sprint.mode, Mode::Running);
    world.request(Request::Stop { now: false, limit_ms: 60_000 });
    let report = world.good_report(&run);
    world.report(&run, report);
    assert!(world.shut_down && world.state.sprint.mode == Mode::Stopping);
    assert_eq!(task(&world, "T001").status, Status::Ready);
}

#[test]
fn an_answer_goes_on_with_the_same_attempt_though_there_is_no_room() {
    let mut world = quiet(&wide(8));
    let run = until(&mut world, "T001", StageKind::Work);
    world.report(&run, Report::Blocked { question: "tabs?".to_owned() });
    assert!(task(&world, "T001").in_flight(), "its convoy stays held");
    assert_eq!(world.request(Request::Answer { task: task_id(2), text: "x".to_owned() }).0, 4);
    assert_eq!(world.request(Request::Answer { task: task_id(1), text: "spaces".to_owned() }).0, 0);
    let again = until(&mut world, "T001", StageKind::Work);
    let answer = again.job.answer.unwrap();
    assert_eq!((again.job.attempt, answer.question.as_str(), answer.answer.as_str()), (1, "tabs?", "spaces"));
}

#[test]
fn another_answer_takes_the_firsts_place_until_a_run_has_it() {
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Work);
    world.report(&run, Report::Blocked { question: "tabs?".to_owned() });
    world.request(Request::Pause);
    let answer = |text: &str| Request::Answer { task: task_id(1), text: text.to_owned() };
    assert_eq!(world.request(answer("tabs")).0, 0);
    let (exit, said) = world.request(answer("spaces"));
    assert!(exit == 0 && said.contains("instead of \"tabs\""), "{said}");
    world.request(Request::Resume { branch: None });
    let again = run_of(&world, "T001").job.answer.unwrap();
    assert_eq!((again.question.as_str(), again.answer.as_str()), ("tabs?", "spaces"));
    assert_eq!(world.request(answer("both")).0, 4, "a run has it");
    let run = run_of(&world, "T001");
    world.report(&run, Report::Interrupted { reason: String::new() });
    assert_eq!(world.request(answer("both")).0, 4, "it was given, whatever became of the run");
}

#[test]
fn a_skipped_run_is_revoked_and_its_task_is_not_given_out_again_before_it_is_over() {
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Work);
    assert_eq!(request(&mut world, "T001", |task| Request::TaskSkip { task }).0, 0);
    assert_eq!(request(&mut world, "T001", |task| Request::TaskRetry { task }).0, 0);
    assert_eq!(task(&world, "T001").status, Status::ToDo, "its worker is still at it");
    let report = world.good_report(&run);
    world.report(&run, report);
    let again = run_of(&world, "T001");
    assert_eq!((again.job.attempt, again.job.head), (2, None), "the late report changed nothing");
}

/// A task whose candidate is about to land, with what its worker would say.
fn landable(world: &mut World) -> (Run, Candidate, Vec<GateRecord>) {
    let run = until(world, "T001", StageKind::Land);
    let Report::Landable { candidate, gates } = world.good_report(&run) else { panic!() };
    (run, candidate, gates)
}

#[test]
fn nothing_lands_but_the_gated_tree_of_the_tasks_own_head() {
    let lies: [fn(&mut Candidate, &mut Vec<GateRecord>); 6] = [
        |_, gates| gates.clear(),
        |_, gates| gates[0].verdict = Verdict::Error,
        |candidate, _| candidate.tree = sha(77),
        |candidate, _| candidate.head = sha(78),
        |candidate, _| candidate.base = sha(79),
        |_, gates| gates.push(record("ruff", Verdict::Fail, &sha(80))),
    ];
    for lie in lies {
        let mut world = quiet(&chain(1));
        let (run, mut candidate, mut gates) = landable(&mut world);
        lie(&mut candidate, &mut gates);
        world.report(&run, Report::Landable { candidate, gates });
        assert!(!matches!(task(&world, "T001").status, Status::Landing { .. } | Status::Done { .. }));
    }
}

#[test]
fn a_conflict_that_the_merger_resolves_is_checked_again_and_not_resolved_twice() {
    let mut policy = default_policy();
    policy.gate_base = false;
    policy.agents.insert(Role::Merger, "joiner".to_owned());
    let mut world = World::new(Choices::default());
    world.faults = false;
    world.start(feature("001-one", &chain(1), policy));
    let run = until(&mut world, "T001", StageKind::Land);
    assert!(run.job.resolves);
    let head = sha(4711);
    world.report(&run, Report::Resolved { head: head.clone(), summary: "both".to_owned() });
    let after = task(&world, "T001");
    assert_eq!(after.stage.as_ref().unwrap().as_str(), "InReview", "what follows the developer");
    assert_eq!((after.head, after.attempt, after.gates), (Some(head.clone()), 1, Vec::new()));
    let check = until(&mut world, "T001", StageKind::Check);
    assert_eq!(check.job.head, Some(head));
    let again = until(&mut world, "T001", StageKind::Land);
    assert!(!again.job.resolves, "once an attempt");
    let conflict = Report::Failed { reason: "conflict".to_owned(), feedback: None };
    world.report(&again, conflict);
    assert_eq!(task(&world, "T001").attempt, 2, "back to the developer");
    let third = until(&mut world, "T001", StageKind::Land);
    assert!(third.job.resolves, "another attempt, another conflict");
    let limit = Report::Unserved {
        agent: "joiner".to_owned(),
        reason: "429".to_owned(),
        lasting: true,
        until_ms: None,
    };
    world.report(&third, limit);
    let without = until(&mut world, "T001", StageKind::Land);
    assert!(!without.job.resolves, "landing needs no model");
    while !world.shut_down && world.turn() {}
    assert_eq!(world.landed.len(), 1);
}

#[test]
fn nobody_resolves_what_nobody_was_asked_to() {
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Land);
    assert!(!run.job.resolves);
    world.report(&run, Report::Resolved { head: sha(4711), summary: String::new() });
    let after = task(&world, "T001");
    assert!(matches!(after.status, Status::Retry { .. }), "{:?}", after.status);
    assert_ne!(after.head, Some(sha(4711)));
}

#[test]
fn a_gate_that_is_skipped_and_shown_so_lets_a_tree_land() {
    let mut world = quiet(&chain(1));
    let (run, candidate, mut gates) = landable(&mut world);
    gates[0].verdict = Verdict::Skipped;
    world.report(&run, Report::Landable { candidate, gates });
    assert!(matches!(task(&world, "T001").status, Status::Landing { .. }));
    for make in [
        |task| Request::TaskSkip { task },
        |task| Request::TaskStop { task },
        |task| Request::TaskRetry { task },
    ] {
        assert_eq!(
            request(&mut world, "T001", make).0,
            4,
            "from the intent until its result nothing moves it"
        );
    }
}

#[test]
fn a_reload_makes_an_entry_that_was_gated_by_the_old_rules_start_over() {
    let mut world = quiet(&chain(1));
    let (run, candidate, gates) = landable(&mut world);
    let mut policy = default_policy();
    policy.config = "c2".to_owned();
    policy.must_land.push(GateName::parse("new").unwrap());
    world.request(Request::Reload { policy: Box::new(policy) });
    world.report(&run, Report::Landable { candidate, gates });
    let again = run_of(&world, "T001");
    assert_eq!(
        (again.job.kind, again.job.config.as_str(), again.job.gates.len()),
        (StageKind::Land, "c2", 0)
    );
}

/// The default rules with another gate in them.
fn corrected(config: &str) -> Request {
    Request::Reload { policy: Box::new(Policy { config: config.to_owned(), ..default_policy() }) }
}

#[test]
fn a_start_of_what_goes_on_and_a_reload_say_which_configuration_was_found_last() {
    let mut world = quiet(&chain(2));
    assert_eq!(world.state.sprint.config.as_ref(), Some(&default_policy().config));
    let mut policy = default_policy();
    policy.config = "found".into();
    world.start(feature("001-one", &chain(2), policy));
    assert_eq!(world.state.sprint.config.as_deref(), Some("found"));
    let frozen = &world.state.features[&feature_id("001-one")].frozen;
    assert_eq!(frozen.policy.config, default_policy().config, "its gates are those that it began with");
    world.request(corrected("corrected"));
    assert_eq!(world.state.sprint.config.as_deref(), Some("corrected"));
}

#[test]
fn a_reload_ends_the_wait_for_the_retry_of_the_base() {
    let mut world = quiet_with(&chain(1), true);
    for _ in 0..2 {
        let run = until_base(&mut world);
        world.report(&run, Report::Errored { reason: "no mypy".to_owned() });
        tick(&mut world, 20_000);
    }
    let run = until_base(&mut world);
    world.report(&run, Report::Errored { reason: "no mypy".to_owned() });
    let waits = world.state.features[&feature_id("001-one")].status.due_ms().is_some();
    assert!(waits && world.state.runs.is_empty(), "the third retry comes in 40 s");
    let (exit, said) = world.request(corrected("c2"));
    assert!(exit == 0 && said.contains("at once"), "{said}");
    let again = until_base(&mut world);
    let feature = &world.state.features[&feature_id("001-one")];
    assert_eq!((again.job.config.as_str(), feature.errors, feature.base_error.is_none()), ("c2", 0, true));
}

#[test]
fn a_base_that_was_gated_by_the_old_rules_is_gated_again() {
    for report in [
        Report::Errored { reason: "no mypy".to_owned() },
        checked(Verdict::Fail, None),
        checked(Verdict::Pass, None),
    ] {
        let mut world = quiet_with(&chain(1), true);
        let run = until_base(&mut world);
        world.request(corrected("c2"));
        world.report(&run, report);
        assert_eq!(until_base(&mut world).job.config, "c2", "neither refused nor begun");
        until(&mut world, "T001", StageKind::Work);
    }
}

#[test]
fn a_reload_ends_the_wait_for_the_retry_of_a_task_and_its_errors_begin_anew() {
    let mut world = quiet(&chain(1));
    let errored = || Report::Errored { reason: "no mypy".to_owned() };
    let run = until(&mut world, "T001", StageKind::Check);
    world.report(&run, errored());
    assert_eq!(task(&world, "T001").status.kind(), StatusKind::Retry);
    assert!(world.request(corrected("c2")).1.contains("at once"));
    let run = run_of(&world, "T001");
    assert_eq!((run.job.kind, run.job.config.as_str()), (StageKind::Check, "c2"));
    assert_eq!((task(&world, "T001").errors, task(&world, "T001").attempt), (0, 1));
    // An error of a run that began before the reload is not the new configuration's.
    world.request(corrected("c3"));
    world.report(&run, errored());
    assert_eq!((run_of(&world, "T001").job.config.as_str(), task(&world, "T001").errors), ("c3", 0));
    assert!(!world.request(corrected("c2")).1.contains("at once"), "nothing waits");
}

#[test]
fn a_land_stage_never_just_passes() {
    let mut world = quiet(&chain(1));
    for report in [checked(Verdict::Pass, None), Report::NothingToDo { reason: String::new() }] {
        let run = until(&mut world, "T001", StageKind::Land);
        world.report(&run, report);
        assert_eq!(task(&world, "T001").status.kind(), StatusKind::Retry);
    }
}

#[test]
fn an_entry_in_error_gives_its_place_and_has_it_back_afterwards() {
    let mut world = quiet(&wide(3));
    let first = loop {
        if let Some(run) = world.state.runs.values().find(|run| run.job.kind == StageKind::Land) {
            break run.clone();
        }
        assert!(world.turn());
    };
    let id = first.job.task.clone().unwrap();
    world.report(&first, Report::Errored { reason: "x".to_owned() });
    let next = loop {
        if let Some(run) = world.state.runs.values().find(|run| run.job.kind == StageKind::Land) {
            break run.clone();
        }
        assert!(world.turn());
    };
    assert_ne!(next.job.task.as_ref(), Some(&id));
    let place = |world: &World, id: &TaskId| task(world, id.as_str()).queued.unwrap();
    assert!(place(&world, &id) < place(&world, next.job.task.as_ref().unwrap()));
}

fn halted(gate_base: bool) -> World {
    let mut world = quiet_with(&chain(2), gate_base);
    let (run, candidate, gates) = landable(&mut world);
    world.branches.insert(feature_id("001-one"), sha(666));
    world.report(&run, Report::Landable { candidate, gates });
    while world.state.features[&feature_id("001-one")].halted.is_none() {
        assert!(world.turn());
    }
    world
}

#[test]
fn a_moved_branch_halts_landing_until_it_is_set_back() {
    let mut world = halted(false);
    while world.turn() {}
    assert_eq!(world.state.features[&feature_id("001-one")].status, FeatureStatus::Resting);
    assert!(!world.shut_down, "it waits for the person");
    assert_eq!(world.request(Request::Resume { branch: None }).0, 4);
    world.resume();
    while world.turn() {}
    assert_eq!(world.landed.len(), 2);
    assert_eq!(
        world.request(Request::Resume { branch: Some(ForeignBranch::Restored) }).0,
        4,
        "it is not halted"
    );
}

#[test]
fn a_foreign_head_is_gated_before_it_is_taken_over() {
    for (verdict, taken) in [(Verdict::Pass, true), (Verdict::Fail, false)] {
        let mut world = halted(true);
        world.request(Request::Resume { branch: Some(ForeignBranch::Adopted { head: sha(666) }) });
        let run = until_base(&mut world);
        assert_eq!(run.job.base, sha(666));
        world.report(&run, checked(verdict, None));
        let feature = &world.state.features[&feature_id("001-one")];
        assert_eq!((feature.halted.is_none(), feature.head == Some(sha(666))), (taken, taken));
    }
}

#[test]
fn a_branch_that_git_cannot_move_is_tried_again() {
    let mut world = quiet(&chain(1));
    let (run, candidate, gates) = landable(&mut world);
    world.report(&run, Report::Landable { candidate, gates });
    let busy = Event::RefRefused { entry: run.id.clone(), reason: "no space".to_owned(), busy: true };
    world.apply(busy);
    assert_eq!(task(&world, "T001").status.kind(), StatusKind::Retry);
    assert_eq!(task(&world, "T001").reason, "no space");
}

/// The first of two entries is to land, and a person has the branch checked out.
fn checked_out() -> (World, Run) {
    let mut world = quiet(&wide(2));
    let (run, candidate, gates) = landable(&mut world);
    world.report(&run, Report::Landable { candidate, gates });
    world.checked_out.insert(feature_id("001-one"), Checkout::Kept);
    while world.turn() {}
    (world, run)
}

#[test]
fn a_branch_that_is_checked_out_is_waited_for_without_end_and_lands_by_itself() {
    let (mut world, run) = checked_out();
    let id = run.job.task.clone().unwrap().to_string();
    let first = task(&world, &id);
    assert_eq!(first.status.kind(), StatusKind::Waiting(WaitKind::Checkout));
    let others: Vec<&Task> = world.state.tasks.values().filter(|task| task.key.id != first.key.id).collect();
    assert_eq!((others.len(), others[0].status.kind()), (1, StatusKind::Ready), "and nobody overtakes it");
    let one = &world.state.features[&feature_id("001-one")];
    assert_eq!(one.status, FeatureStatus::Resting, "only a person can go on");
    assert!(
        !world.shut_down && world.state.next_due().is_none(),
        "it stays for the person, and does not spin"
    );
    world.free(feature_id("001-one"));
    while world.turn() && !world.shut_down {}
    assert_eq!(world.landed.len(), 2);
    assert_eq!(world.landed[0].1, first.key.id);
}

#[test]
fn a_checkout_that_ends_while_nobody_looks_is_seen_at_the_next_start() {
    let (mut world, _) = checked_out();
    world.checked_out.clear();
    world.restart();
    while world.turn() && !world.shut_down {}
    assert_eq!(world.landed.len(), 2);
}

#[test]
fn a_person_may_leave_out_what_waits_for_the_checkout() {
    let (mut world, run) = checked_out();
    let id = run.job.task.unwrap().to_string();
    assert_eq!(request(&mut world, &id, |task| Request::TaskRetry { task }).0, 0, "looks at once");
    while world.turn() {}
    assert!(task(&world, &id).waits_for_branch());
    assert_eq!(request(&mut world, &id, |task| Request::TaskSkip { task }).0, 0);
    while world.turn() {}
    let waiting = world.state.tasks.values().filter(|task| task.waits_for_branch()).count();
    assert_eq!(waiting, 1, "the next one waits for it now");
    world.free(feature_id("001-one"));
    while world.turn() && !world.shut_down {}
    assert_eq!(world.landed.len(), 1);
}

#[test]
fn permanent_workers_are_there_while_the_person_is_waited_for_after_a_restart_too() {
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Work);
    world.report(&run, Report::Blocked { question: "?".to_owned() });
    let living = |world: &World| {
        let workers = world.state.workers.values().filter(|worker| worker.life.proc().is_some());
        workers.map(|worker| worker.name.to_string()).collect::<Vec<_>>()
    };
    while world.turn() {}
    assert_eq!(world.state.features[&feature_id("001-one")].status, FeatureStatus::Resting);
    let before = living(&world);
    assert!(before.contains(&"manager".to_owned()), "{before:?}");
    world.restart();
    while world.turn() {}
    assert!(!world.shut_down);
    let permanent = ["librarian", "manager", "merger", "reviewer"];
    assert_eq!(living(&world), permanent, "developers are not needed");
    world.kill(&name("manager"), false);
    while world.turn() {}
    assert_eq!(living(&world), permanent);
}

fn unserved(lasting: bool) -> Report {
    Report::Unserved { agent: AGENT.to_owned(), reason: "429".to_owned(), lasting, until_ms: None }
}

#[test]
fn a_limit_holds_everybody_with_that_agent_spends_no_attempt_and_ends_by_itself() {
    let mut world = quiet(&wide(2));
    let developing = |world: &World| -> Vec<Run> {
        world.state.runs.values().filter(|run| run.job.kind == StageKind::Work).cloned().collect()
    };
    until(&mut world, "T001", StageKind::Work);
    world.register(&name("developer-2"));
    assert_eq!(developing(&world).len(), 2);
    for run in developing(&world) {
        world.report(&run, unserved(false));
    }
    let hold = world.state.sprint.holds[AGENT].clone();
    assert_eq!(hold.tries, 1, "the same limit counts once");
    assert_eq!(developing(&world), []);
    assert!(hold.until_ms.is_some() && world.state.next_due() <= hold.until_ms);
    let again = until(&mut world, "T001", StageKind::Work);
    assert_eq!(again.job.attempt, 1);
    world.report(&again, unserved(false));
    assert_eq!(world.state.sprint.holds[AGENT].tries, 2, "the next one waits longer");
    while world.turn() && !world.shut_down {}
    assert_eq!(world.landed.len(), 2);
    assert!(world.state.sprint.holds.is_empty(), "whoever is served has no hold");
    assert!(world.state.tasks.values().all(|task| task.attempt == 1));
}

#[test]
fn a_limit_leaves_those_alone_whose_label_names_another_agent() {
    let mut policy = default_policy();
    policy.label_agents.insert("other".to_owned(), [(Role::Developer, "second".to_owned())].into());
    let mut world = World::new(Choices::default());
    world.faults = false;
    world.start(feature("001-one", &wide(3), policy));
    let run = until(&mut world, "T001", StageKind::Work);
    world.report(&run, unserved(false));
    // The third has the label: see `plans::feature`.
    let other = until(&mut world, "T003", StageKind::Work);
    assert_eq!(other.job.labels, ["Other"]);
    assert!(world.state.sprint.holds[AGENT].holds(), "the others wait");
    world.report(
        &other,
        Report::Unserved {
            agent: "second".to_owned(),
            reason: "429".to_owned(),
            lasting: false,
            until_ms: None,
        },
    );
    assert_eq!(world.state.sprint.holds.len(), 2);
    while world.turn() && !world.shut_down {}
    assert_eq!((world.landed.len(), world.state.sprint.holds.len()), (3, 0));
}

/// Turns until the task runs in that stage.
fn until_stage(world: &mut World, id: &str, stage: &str) -> Run {
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

fn added(number: u64) -> Report {
    let paths = vec!["tests/test_a.py".to_owned()];
    Report::Added { head: sha(number), paths, remarks: vec!["look".into()], summary: "tests".to_owned() }
}

#[test]
fn what_a_tester_adds_is_gated_from_the_first_stage_and_what_was_said_stands() {
    let mut world = quiet(&chain(1));
    let first = until_stage(&mut world, "T001", "InTests");
    assert!(!first.job.stands && first.job.candidate.is_some());
    world.report(&first, added(77));
    let now = task(&world, "T001");
    assert_eq!((now.head, now.candidate, now.attempt), (Some(sha(77)), None, 1));
    assert_eq!(now.remarks, ["look"]);
    let review = until_stage(&mut world, "T001", "InReview");
    assert!(review.job.stands && review.job.candidate.is_none(), "gates of the new head, no second review");
    assert_eq!(review.job.head, Some(sha(77)));
    let good = world.good_report(&review);
    world.report(&review, good);
    let again = until_stage(&mut world, "T001", "InTests");
    assert!(again.job.stands);
    world.report(&again, added(78));
    assert_eq!(task(&world, "T001").errors, 1, "who has spoken does not add again");
    let again = until_stage(&mut world, "T001", "InTests");
    // What is red now goes back to the developer, and the next attempt is looked at anew.
    world.report(&again, checked(Verdict::Fail, again.job.candidate.clone()));
    let next = until_stage(&mut world, "T001", "InReview");
    assert_eq!((next.job.attempt, next.job.stands), (2, false));
    assert_eq!(task(&world, "T001").remarks, Vec::<serde_json::Value>::new());
    while world.turn() && !world.shut_down {}
    assert_eq!(world.landed.len(), 1);
}

#[test]
fn a_reviewer_that_is_served_again_ends_the_hold_on_its_agent() {
    let mut policy = default_policy();
    policy.agents.insert(Role::Reviewer, "second".to_owned());
    let mut world = World::new(Choices::default());
    world.faults = false;
    world.start(feature("001-one", &chain(1), policy));
    let run = until_stage(&mut world, "T001", "InReview");
    world.report(
        &run,
        Report::Unserved {
            agent: "second".to_owned(),
            reason: "429".to_owned(),
            lasting: false,
            until_ms: None,
        },
    );
    let again = until_stage(&mut world, "T001", "InReview");
    assert_eq!((world.state.sprint.holds["second"].tries, again.job.attempt), (1, 1));
    let good = world.good_report(&again);
    world.report(&again, good);
    assert!(world.state.sprint.holds.is_empty());
}

#[test]
fn a_stage_without_a_judgement_is_the_operators_at_once() {
    let mut world = quiet(&chain(1));
    let run = until_stage(&mut world, "T001", "InReview");
    world.report(&run, Report::Unjudged { reason: "no evidence".to_owned() });
    let now = task(&world, "T001");
    assert_eq!(now.status.kind(), StatusKind::Waiting(WaitKind::Operator));
    assert_eq!((now.reason.as_str(), now.attempt), ("no evidence", 1));
    assert_eq!(request(&mut world, "T001", |task| Request::TaskRetry { task }).0, 0);
    until_stage(&mut world, "T001", "InReview");
}

#[test]
fn an_account_that_is_refused_waits_for_the_person() {
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Work);
    world.report(&run, unserved(true));
    while world.turn() {}
    assert!(!world.shut_down, "it stays for the person");
    assert_eq!(world.state.features[&feature_id("001-one")].status, FeatureStatus::Resting);
    assert_eq!(world.state.sprint.holds[AGENT].until_ms, None);
    assert_eq!(world.request(Request::Resume { branch: None }).0, 0);
    while world.turn() && !world.shut_down {}
    assert_eq!(world.landed.len(), 1);
    assert_eq!(task(&world, "T001").attempt, 1);
}

#[test]
fn features_follow_one_another_and_a_late_answer_is_worked_on_in_between() {
    let mut world = quiet(&chain(1));
    let mut second = feature("002-two", &chain(1), default_policy());
    second.after = Some(feature_id("001-one"));
    second.stay = true;
    world.start(second);
    let run = until(&mut world, "T001", StageKind::Work);
    world.report(&run, Report::Blocked { question: "?".to_owned() });
    let of_second = loop {
        let found = world
            .state
            .runs
            .values()
            .find(|run| run.job.feature == feature_id("002-two") && run.job.task.is_some());
        if let Some(run) = found {
            break run.clone();
        }
        assert!(world.turn());
    };
    assert_eq!(of_second.job.base, world.state.features[&feature_id("001-one")].head.clone().unwrap());
    assert_eq!(world.request(Request::Answer { task: task_id(1), text: "!".to_owned() }).0, 0);
    while world.turn() && !world.shut_down {}
    assert!(world.state.features.values().all(|feature| feature.status == FeatureStatus::Finished));
}

#[test]
fn another_round_takes_new_tasks_and_leaves_out_those_that_are_gone() {
    let mut world = quiet(&chain(2));
    request(&mut world, "T002", |task| Request::TaskStop { task });
    while world.turn() && !world.shut_down {}
    let mut items = chain(3);
    items.remove(1);
    items[0].done = true;
    let mut new = feature("001-one", &items, default_policy());
    new.base = sha(5);
    assert!(world.start(new).1.contains("another round"));
    assert_eq!(task(&world, "T002").status, Status::Skipped);
    assert_eq!(
        request(&mut world, "T002", |task| Request::TaskRetry { task }).0,
        4,
        "no plan knows its files"
    );
    while world.turn() && !world.shut_down {}
    let row = &world.state.features[&feature_id("001-one")];
    assert_eq!((row.round, &row.status), (2, &FeatureStatus::Finished));
    assert_eq!(world.landed.len(), 2);
}

#[test]
fn the_last_parked_task_that_is_skipped_finishes_the_feature() {
    let mut world = quiet(&chain(1));
    until(&mut world, "T001", StageKind::Work);
    request(&mut world, "T001", |task| Request::TaskStop { task });
    while world.turn() {}
    assert_eq!(world.state.features[&feature_id("001-one")].status.word(), "resting");
    world.boot_with(false, Some(Request::TaskSkip { task: task_id(1) }));
    assert_eq!(world.state.features[&feature_id("001-one")].status.word(), "finished");
    let finish = |effect: &Effect| matches!(effect, Effect::FinishFeature { .. });
    assert!(world.log.iter().any(|(_, done)| done.effects.iter().any(finish)));
}

#[test]
fn tasks_that_share_a_file_are_never_in_flight_together() {
    let items = [item(1, 1, true, &["a.py"], Vec::new()), item(2, 1, true, &["a.py"], Vec::new())];
    let mut world = quiet(&items);
    until(&mut world, "T001", StageKind::Land);
    assert_eq!(task(&world, "T002").status, Status::ToDo);
    let second = until(&mut world, "T002", StageKind::Work);
    assert_eq!(Some(second.job.base), task_commit(&world, "T001"), "based on a head that contains the first");
}

fn task_commit(world: &World, id: &str) -> Option<sprint::domain::ids::CommitSha> {
    match task(world, id).status {
        Status::Done { commit } => Some(commit),
        _ => None,
    }
}

#[test]
fn nothing_spins_while_nothing_is_decided() {
    for event in [Event::DiskLow { low: true }, Event::Request { id: 99, request: Request::Pause }] {
        let mut world = quiet(&chain(2));
        let run = until(&mut world, "T001", StageKind::Work);
        let report = world.good_report(&run);
        world.apply(event);
        world.report(&run, report);
        world.now_ms += 60_000;
        world.apply(Event::TimePassed);
        assert!(world.state.next_due().is_none_or(|due| due > world.now_ms));
    }
}
