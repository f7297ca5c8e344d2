//! What lands, what does not, and a branch that somebody else holds or moves.

use super::*;

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
fn a_land_stage_never_just_passes() {
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Land);
    world.report(&run, checked(Verdict::Pass, None));
    assert_eq!(task(&world, "T001").status.kind(), StatusKind::Retry);
}

#[test]
fn work_that_the_branch_has_already_is_skipped_at_whatever_stage_that_is_seen() {
    for kind in [StageKind::Check, StageKind::Land] {
        let mut world = quiet(&chain(2));
        let run = until(&mut world, "T001", kind);
        world.report(&run, Report::NothingToDo { reason: "the branch has all of it".to_owned() });
        let first = task(&world, "T001");
        assert_eq!((first.status.kind(), first.failures), (StatusKind::Skipped, 0), "{kind:?}");
        assert_eq!(first.reason, "the branch has all of it");
        until(&mut world, "T002", StageKind::Land);
        assert!(world.landed.is_empty());
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
