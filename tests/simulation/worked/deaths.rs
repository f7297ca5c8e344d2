//! Workers and supervisors that die, wait and come back.

use super::*;

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
fn a_worker_that_dies_before_it_registers_is_started_again_without_waiting_until_it_is_late() {
    let mut world = quiet(&chain(1));
    let slot = name("merger");
    let life = |world: &World| world.state.workers[&slot].life.clone();
    assert!(matches!(life(&world), Life::Starting { .. }));
    let pane_died = |pane: &str, with_server| Event::PaneDied {
        worker: slot.clone(),
        pane: pane.to_owned(),
        with_server,
    };
    world.apply(Event::WorkerSpawned { worker: slot.clone(), pane: "%8".to_owned() });
    world.apply(pane_died("%7", false));
    assert!(matches!(life(&world), Life::Starting { .. }), "an older pane is not the one that it waits for");
    world.apply(pane_died("%8", false));
    assert!(matches!(life(&world), Life::Backoff { .. }), "it died at once");
    assert_eq!(world.state.workers[&slot].instant_deaths, 1);
    world.now_ms += 1_000;
    world.apply(Event::TimePassed);
    world.apply(Event::WorkerSpawned { worker: slot.clone(), pane: "%9".to_owned() });
    world.apply(pane_died("%9", true));
    assert_eq!(world.state.workers[&slot].instant_deaths, 0, "with the server it is not its own doing");
    world.register(&slot);
    let pane = world.state.workers[&slot].pane.clone().unwrap();
    world.apply(pane_died(&pane, false));
    assert!(matches!(life(&world), Life::Idle { .. }), "who has registered is watched by its process");
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
